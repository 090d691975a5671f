"""Record batches (magic 2), built and read by hand, with a CRC-32C of our own.

Byte layout of a batch: base_offset i64, batch_length i32 (of what follows it), leader_epoch i32,
magic i8, crc u32 (over attributes to the end), attributes i16 (bits 0-2 codec, 3 LogAppendTime,
4 transactional, 5 control), last_offset_delta i32, base_timestamp i64, max_timestamp i64,
producer_id i64, producer_epoch i16, base_sequence i32, count i32, records.
"""

import gzip
import struct
import time
from collections import namedtuple

HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_LEN = HEADER.size  # 61
CRC_AT = 17  # position of the CRC
CRC_FROM = 21  # the CRC covers attributes to the end
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

Batch = namedtuple(
    "Batch",
    "base_offset length leader_epoch magic crc attributes last_delta base_ts max_ts pid epoch sequence count",
)
Record = namedtuple("Record", "offset timestamp key value headers")


def _tables():
    first = []
    for n in range(256):
        c = n
        for _ in range(8):
            c = (c >> 1) ^ 0x82F63B78 if c & 1 else c >> 1
        first.append(c)
    tables = [first]
    for _ in range(7):
        last = tables[-1]
        tables.append([(c >> 8) ^ first[c & 255] for c in last])
    return tables


_T = _tables()


def crc32c(data, crc=0):
    """CRC-32C (Castagnoli), eight bytes a step."""
    t0, t1, t2, t3, t4, t5, t6, t7 = _T
    crc ^= 0xFFFFFFFF
    whole = len(data) & ~7
    for (word,) in struct.iter_unpack("<Q", memoryview(data)[:whole]):
        word ^= crc
        crc = (
            t7[word & 255]
            ^ t6[word >> 8 & 255]
            ^ t5[word >> 16 & 255]
            ^ t4[word >> 24 & 255]
            ^ t3[word >> 32 & 255]
            ^ t2[word >> 40 & 255]
            ^ t1[word >> 48 & 255]
            ^ t0[word >> 56]
        )
    for byte in data[whole:]:
        crc = (crc >> 8) ^ t0[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def varint(n):
    """Zigzag variable-length integer."""
    z = (n << 1) ^ (n >> 63)
    out = bytearray()
    while z > 127:
        out.append(z & 127 | 128)
        z >>= 7
    out.append(z)
    return bytes(out)


def read_varint(data, at):
    z = shift = 0
    while True:
        b = data[at]
        at += 1
        z |= (b & 127) << shift
        if b < 128:
            return (z >> 1) ^ -(z & 1), at
        shift += 7


def _sized(blob):
    return varint(-1) if blob is None else varint(len(blob)) + blob


def encode_record(delta, ts_delta, key, value, headers=()):
    body = b"\0" + varint(ts_delta) + varint(delta) + _sized(key) + _sized(value) + varint(len(headers))
    for name, val in headers:
        body += _sized(name.encode()) + _sized(val)
    return varint(len(body)) + body


def encode(
    records,
    base_offset=0,
    pid=-1,
    epoch=-1,
    sequence=-1,
    timestamp=None,
    codec="none",
    attributes=0,
    **override,
):
    """A batch of records given as values or (key, value) or (key, value, headers).

    `override` replaces header fields (names of Batch) before the CRC is taken; crc=... replaces it.
    The timestamp is now by default: upstream forgets a producer whose last batch has a timestamp of more
    than a day ago when it next loads the partition.
    """
    timestamp = int(time.time() * 1000) if timestamp is None else timestamp
    body = b""
    for i, r in enumerate(records):
        key, value, headers = (None, r, ()) if not isinstance(r, tuple) else (*r, ())[:3]
        body += encode_record(i, 0, key, value, headers)
    if codec == "gzip":
        body = gzip.compress(body)
    elif codec != "none":
        raise ValueError("only gzip can be written here")
    n = len(records)
    batch = Batch(
        base_offset,
        HEADER_LEN - 12 + len(body),
        -1,
        2,
        0,
        attributes | CODECS.index(codec),
        n - 1,
        timestamp,
        timestamp,
        pid,
        epoch,
        sequence,
        n,
    )
    crc = override.pop("crc", None)
    raw = bytearray(HEADER.pack(*batch._replace(**override)) + body)
    struct.pack_into(">I", raw, CRC_AT, crc32c(raw[CRC_FROM:]) if crc is None else crc)
    return bytes(raw)


def batches(data):
    """Yields (Batch, whole bytes) for each whole batch; a cut one at the end is left out, as in a fetch."""
    at = 0
    while len(data) - at >= HEADER_LEN:
        b = Batch(*HEADER.unpack_from(data, at))
        end = at + 12 + b.length
        if b.length < HEADER_LEN - 12 or end > len(data):
            return
        yield b, bytes(data[at:end])
        at = end


def check_crc(raw):
    return struct.unpack_from(">I", raw, CRC_AT)[0] == crc32c(raw[CRC_FROM:])


def decode_records(batch, raw):
    """The records of one batch that is not compressed or compressed with gzip."""
    codec = CODECS[batch.attributes & 7]
    body = raw[HEADER_LEN:]
    if codec == "gzip":
        body = gzip.decompress(body)
    elif codec != "none":
        raise ValueError("cannot read " + codec)
    out, at = [], 0
    for _ in range(batch.count):
        _, at = read_varint(body, at)
        at += 1
        ts, at = read_varint(body, at)
        delta, at = read_varint(body, at)
        blobs = []
        for _ in range(2):
            n, at = read_varint(body, at)
            blobs.append(None if n < 0 else body[at : at + n])
            at += max(0, n)
        count, at = read_varint(body, at)
        headers = []
        for _ in range(count):
            n, at = read_varint(body, at)
            name = body[at : at + n].decode()
            at += n
            n, at = read_varint(body, at)
            headers.append((name, None if n < 0 else body[at : at + n]))
            at += max(0, n)
        out.append(Record(batch.base_offset + delta, batch.base_ts + ts, blobs[0], blobs[1], headers))
    return out


def file_batches(path):
    """The batch headers of a segment file, up to its end or its zero-filled tail."""
    with open(path, "rb") as f:
        for b, _ in batches(f.read()):
            if b.magic != 2:
                return
            yield b
