"""The values and reports of the crash test's load programs.

A value is 24 bytes of head (magic u32, producer u16, partition u16, sequence u64, length u32,
CRC-32 of the filler u32) and a filler cut from a fixed pool at a place that follows from the sequence.
A report is 24 bytes: kind u8 ('A' acknowledged, 'R' read), pad, partition u16, CRC-32 of the whole value
u32, offset i64, sequence u64.
"""

import random
import struct
import zlib

HEAD = struct.Struct("<IHHQII")
REPORT = struct.Struct("<BxHIqQ")
MAGIC = 0x51C3B0D5
ACKED, READ = ord("A"), ord("R")
PARTITIONS = 8
MAX_VALUE = 1_000_000

_POOL = random.Random(1).randbytes(MAX_VALUE + 65536)


def make_value(producer, partition, sequence, size):
    body = max(0, size - HEAD.size)
    at = (sequence * 7919 + partition * 104729) % 65536
    filler = _POOL[at : at + body]
    return HEAD.pack(MAGIC, producer, partition, sequence, body, zlib.crc32(filler)) + filler


def parse_value(value):
    """(producer, partition, sequence); ValueError if the value is not one that make_value made."""
    magic, producer, partition, sequence, body, crc = HEAD.unpack_from(value)
    filler = value[HEAD.size :]
    if magic != MAGIC or body != len(filler) or crc != zlib.crc32(filler):
        raise ValueError("a value that no producer made")
    return producer, partition, sequence
