"""Produce: what is taken, in which form it is stored, and every way in which one node refuses it."""

import struct
import time
import zlib

from cases.groups import prepare as prepare_groups
from lib import batch
from lib.wait import wait_until
from step import CAST, Step

CONFIG = {"offsets.topic.num.partitions": "1", "log.retention.ms": "-1"}  # records of TIME stay
TIME = 1_600_000_000_000  # of the records, the same for both brokers
UNKNOWN_ID = "AAAAAAAAAAAAAAAAAAAAJw"
ALL = range(3, 14)
SOME = (3, 8, 13)  # of what no version does otherwise
PARTITIONS = 14  # each version writes to the partition of its number
SHORT = 2000  # max.message.bytes of one topic


def prepare(side):
    """Has __consumer_offsets made, and the first producer ids there: the first of all is 0, which stays as it is."""

    def given():
        return side.caller.call("InitProducerId", 0, {"TransactionalId": None})["ErrorCode"] == 0

    prepare_groups(side)
    wait_until(given, 30, "producer ids")


def encode(records, **more):
    return batch.encode(records, **{"timestamp": TIME, **more})


def zstd(data):
    """A zstd frame of one block that is not compressed."""
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def zstd_batch(value):
    """A batch of one record, as encode() makes it, compressed."""
    body = zstd(encode([value])[batch.HEADER_LEN :])
    raw = bytearray(encode([value], attributes=4, length=batch.HEADER_LEN - 12 + len(body))[: batch.HEADER_LEN] + body)
    struct.pack_into(">I", raw, batch.CRC_AT, batch.crc32c(raw[batch.CRC_FROM :]))
    return bytes(raw)


def old_batch(magic, value):
    """A message of the formats before batches; its CRC is right."""
    body = struct.pack(">bb", magic, 0) + (struct.pack(">q", TIME) if magic else b"")
    body += struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    return struct.pack(">qi", 0, len(body) + 4) + struct.pack(">I", zlib.crc32(body)) + body


def at_topic(name, *parts):
    """`parts`: pairs of partition and records; a partition of None is that of the version."""
    return {"Name": name, "TopicId": lambda side: side.seen.get(name, UNKNOWN_ID), "PartitionData": list(parts)}


def at(partition, records):
    return {"Index": partition, "Records": records}


def produce(label, topics, versions=ALL, acks=-1, transactional=None, timeout=5000, **more):
    for v in versions:
        body = {"TransactionalId": transactional, "Acks": acks, "TimeoutMs": timeout, "TopicData": topics(v)}
        yield Step("Produce", label, body, [v], **more)


def one(label, records, versions=ALL, topic="p", partition=None, **more):
    def topics(v):
        raw = records(v) if callable(records) else records
        return [at_topic(topic, at(v if partition is None else partition, raw))]

    return produce(label, topics, versions, **more)


def fetch(label, topic, partition, offset=0):
    """What is stored there, up to the end."""
    part = {"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}
    body = {"MaxWaitMs": 0, "MinBytes": 0, "Topics": [{"Topic": topic, "Partitions": [part]}]}
    return Step("Fetch", label, body, [11])


def ends(label, topic, partitions):
    parts = [{"PartitionIndex": p, "Timestamp": -1} for p in partitions]
    return Step("ListOffsets", label, {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": parts}]}, [5])


def remember_ids(side, _, answer):
    for t in answer["Topics"]:
        if t["ErrorCode"] == 0:
            side.seen[t["Name"]] = t["TopicId"]
            side.named[t["TopicId"]] = f"<id of {t['Name']}>"


def create(name, partitions=1, **configs):
    made = [{"Name": k.replace("_", "."), "Value": v} for k, v in configs.items()]
    topic = {"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1, "Configs": made}
    return Step("CreateTopics", name, {"Topics": [topic], "timeoutMs": 5000}, [7], remember_ids)


def topics():
    yield create("p", PARTITIONS)
    yield create("short", PARTITIONS, max_message_bytes=str(SHORT))
    yield create("compacted", PARTITIONS, cleanup_policy="compact")
    yield create("broker-time", PARTITIONS, message_timestamp_type="LogAppendTime")
    yield create("strict", PARTITIONS, message_timestamp_before_max_ms="1000", message_timestamp_after_max_ms="1000")
    yield create("gzip", PARTITIONS, compression_type="gzip")
    yield create("plain", PARTITIONS, compression_type="uncompressed")
    yield create("small-segments", PARTITIONS, segment_bytes="1048576")


def taken():
    for acks in (-1, 1):
        yield from one(f"acks {acks}", encode([b"a", (b"k", b"v", [("h", b"x"), ("n", None)]), None]), acks=acks)
    yield from one("gzip", encode([b"a", b"b" * 500], codec="gzip"))
    yield from one("zstd", zstd_batch(b"zstandard"))
    yield from one("with an epoch of the client's", encode([b"a"], leader_epoch=5, max_ts=5), SOME)
    yield from one("no time to wait", encode([b"a"]), SOME, timeout=0)
    yield from one("negative timeout", encode([b"a"]), SOME, timeout=-1)
    yield from one("long ago", encode([b"a"], timestamp=1), SOME)
    yield from one("no timestamp", encode([b"a"], timestamp=-1), SOME)
    yield from one("negative timestamp", encode([b"a"], timestamp=-5), SOME)
    yield from one("broker's time", encode([b"a", b"b"]), topic="broker-time")
    yield from one("said to be the broker's time", encode([b"a"], attributes=8), SOME)
    yield from one("recompressed", encode([b"a", b"b"]), SOME, topic="gzip")
    yield from one("decompressed", encode([b"a", b"b"], codec="gzip"), SOME, topic="plain")
    for v in SOME:
        yield fetch(f"stored {v}", "p", v)
        yield fetch(f"decompressed {v}", "plain", v)


def places():
    one_record = encode([b"a"])
    for label, topic, partition in (
        ("unknown partition", "p", 99),
        ("negative partition", "p", -1),
        ("unknown topic", "nowhere", 0),
        ("bad topic", "a/b", 0),
        ("empty topic", "", 0),
        ("long topic", "x" * 300, 0),
        ("metadata topic", "__cluster_metadata", 0),
    ):
        yield from one(label, one_record, topic=topic, partition=partition)
    yield from produce("nothing", lambda v: [])
    yield from produce("no partitions", lambda v: [at_topic("p")])
    yield from produce("two", lambda v: [at_topic("p", at(v, one_record), at(0, one_record))])
    yield from produce("two topics", lambda v: [at_topic("p", at(v, one_record)), at_topic("short", at(v, one_record))])
    yield from produce("one good", lambda v: [at_topic("p", at(v, one_record), at(77, one_record)), at_topic("nowhere", at(0, one_record))])
    yield from produce("twice", lambda v: [at_topic("p", at(v, one_record), at(v, encode([b"c", b"d"])))], SOME)
    yield from produce("topic twice", lambda v: [at_topic("p", at(v, one_record)), at_topic("p", at(0, one_record))], SOME)
    yield ends("so far", "p", range(PARTITIONS))


def acknowledgements():
    for acks in (2, -2, 32767):
        yield from one(f"acks {acks}", encode([b"a"]), acks=acks)
        yield from one(f"acks {acks} and unknown", encode([b"a"]), SOME, "p", 99, acks=acks)
    yield from produce("acks 2, one unknown", lambda v: [at_topic("p", at(v, encode([b"a"])), at(77, encode([b"a"])))], SOME, acks=2)
    yield from one("acks 0", encode([b"a"]), acks=0, part=CAST)
    yield from one("acks 0 and corrupt", encode([b"a"], crc=1), acks=0, part=CAST)
    yield from one("acks 0 and unknown", encode([b"a"]), SOME, "p", 99, acks=0, part=CAST)
    yield from produce("acks 0, nothing", lambda v: [], SOME, acks=0, part=CAST)
    yield ends("of acks 0", "p", range(PARTITIONS))


def broken():
    """Batches that are refused, and a few that only look as if they should be."""
    header = batch.HEADER_LEN - 12
    yield from one("corrupt", encode([b"a"], crc=1))
    yield from one("empty", b"")
    yield from one("two batches", encode([b"a"]) + encode([b"b"]))
    yield from one("magic 0", old_batch(0, b"a"))
    yield from one("magic 1", old_batch(1, b"a"))
    for label, raw in {
        "zeros": b"\0" * 61,
        "few zeros": b"\0" * 20,
        "one byte": b"\0",
        "noise": bytes(range(200)),
        "cut short": encode([b"a" * 50])[:-5],
        "with a tail": encode([b"a"]) + b"\0\0\0",
        "header alone": encode([])[: batch.HEADER_LEN],
        "no records": encode([]),
        "count too high": encode([b"a"], count=2),
        "count zero": encode([b"a"], count=0),
        "count negative": encode([b"a"], count=-1),
        "count huge": encode([b"a"], count=2**31 - 1, last_delta=2**31 - 2),
        "last delta": encode([b"a"], last_delta=5),
        "negative last delta": encode([b"a"], last_delta=-1),
        "magic of a batch 0": encode([b"a"], magic=0),
        "magic of a batch 1": encode([b"a"], magic=1),
        "magic 3": encode([b"a"], magic=3),
        "magic -1": encode([b"a"], magic=-1),
        "length beyond": encode([b"a"], length=header + 9),
        "length short": encode([b"a"], length=header - 9),
        "length negative": encode([b"a"], length=-1),
        "control": encode([b"a"], attributes=0x20),
        "base offset": encode([b"a"], base_offset=77),
        "negative base offset": encode([b"a"], base_offset=-1),
        "max timestamp": encode([b"a"], max_ts=5),
        "not gzip": encode([b"a"], attributes=1),
        "not snappy": encode([b"a"], attributes=2),
        "not lz4": encode([b"a"], attributes=3),
        "not zstd": encode([b"a"], attributes=4),
        "no such codec": encode([b"a"], attributes=7),
        "unknown attributes": encode([b"a"], attributes=0x40),
        "delete horizon": encode([b"a"], attributes=0x40 | 0x80),
        "gzip cut short": encode([b"a" * 500], codec="gzip")[:-8],
        "record cut short": encode([b"a"])[:-1] + b"\x7f",
    }.items():
        yield from one(label, raw, SOME)
    yield from produce("one corrupt", lambda v: [at_topic("p", at(v, encode([b"a"], crc=1)), at(0, encode([b"a"])))], SOME)
    yield ends("of broken ones", "p", range(PARTITIONS))


def refused():
    yield from one("too large", encode([b"x" * SHORT]), topic="short")
    yield from one("too large, compressed", encode([b"x" * SHORT], codec="gzip"), SOME, topic="short")
    future = int(time.time() * 1000) + 7_200_000
    yield from one("future", encode([b"a"], timestamp=future, max_ts=future))
    yield from one("future by a record", later_record(), SOME)
    yield from one("too late", encode([b"a"]), topic="strict")
    yield from one("too late, three", encode([b"a", b"b", b"c"]), SOME, topic="strict")
    yield from one("without a key", encode([b"a"]), topic="compacted")
    yield from one("one without a key", encode([(b"k", b"a"), b"b", (b"k", b"c"), b"d"]), SOME, topic="compacted")
    yield from one("without a key, compressed", encode([(b"k", b"a"), b"b"], codec="gzip"), SOME, topic="compacted")
    yield from one("with a key", encode([(b"k", b"a"), (b"", b"b")]), SOME, topic="compacted")
    yield from one("internal topic", encode([(b"k", b"a")]), topic="__consumer_offsets", partition=0)
    yield from one("transactional, no id", encode([b"a"], attributes=0x10, pid=5, epoch=0, sequence=0))
    yield from one("transactional", encode([b"a"], attributes=0x10, pid=5, epoch=0, sequence=0), transactional="t")
    yield from one("plain, with a transactional id", encode([b"a"]), transactional="t")
    yield from one("empty transactional id", encode([b"a"]), SOME, transactional="")
    yield ends("of refused ones", "p", range(PARTITIONS))


def later_record():
    """A batch whose header is of TIME and whose second record is of the far future."""
    body = batch.encode_record(0, 0, None, b"a") + batch.encode_record(1, 10**13, None, b"b")
    raw = bytearray(encode([b"a", b"b"], length=batch.HEADER_LEN - 12 + len(body))[: batch.HEADER_LEN] + body)
    struct.pack_into(">I", raw, batch.CRC_AT, batch.crc32c(raw[batch.CRC_FROM :]))
    return bytes(raw)


def idempotent():
    """Producers whose ids the versions number, epochs and sequences that fit and that do not."""

    def of(label, sequence, epoch=3, count=2, pid=1000, versions=ALL, **more):
        def raw(v):
            return encode([b"x%d" % i for i in range(count)], pid=pid + v, epoch=epoch, sequence=sequence, **more)

        return one(label, raw, versions)

    yield from of("first", 0)
    yield from of("first again", 0)
    yield from of("next", 2)
    yield from of("gap", 9)
    yield from of("overlap", 3)
    yield from of("within", 1, count=1)
    yield from of("back", 0)
    yield from of("old epoch", 4, epoch=2)
    yield from of("negative epoch", 4, epoch=-1)
    yield from of("new epoch, sequence", 4, epoch=4)
    yield from of("new epoch", 0, epoch=4)
    yield from of("of the epoch before", 4, epoch=3)
    for n in range(6):
        yield from of(f"one of six {n}", 2 + n, epoch=4, count=1)
    yield from of("older than five", 2, epoch=4, count=1)
    yield from of("oldest of five", 3, epoch=4, count=1)
    yield from of("unknown, any sequence", 7, pid=2000)
    yield from of("unknown, no sequence", -1, pid=3000)
    yield from of("sequence without an id", 0, pid=-1, epoch=0, versions=[])
    yield from of("negative sequence", -5, pid=3500, versions=SOME)
    yield from of("wraps", 2**31 - 2, pid=4000, versions=SOME)
    yield from of("wrapped", 0, pid=4000, versions=SOME)
    yield from one("id without an epoch", encode([b"a"], pid=5000, epoch=-1, sequence=0), SOME)
    yield from one("epoch without an id", encode([b"a"], pid=-1, epoch=0, sequence=0), SOME)
    yield from one("very negative id", encode([b"a"], pid=-7, epoch=0, sequence=0), SOME)
    yield Step("DescribeProducers", "after", {"Topics": [{"Name": "p", "PartitionIndexes": list(ALL)}]})
    yield ends("of producers", "p", range(PARTITIONS))


def ids():
    """InitProducerId without transactions, and what is wrong with one for them."""

    def init(label, versions=range(7), transactional=None, timeout=60000, **more):
        return Step("InitProducerId", label, {"TransactionalId": transactional, "TransactionTimeoutMs": timeout, **more}, versions)

    yield init("idempotent")
    yield init("no timeout", timeout=0)
    yield init("negative timeout", timeout=-1)
    yield init("empty id", transactional="")
    yield init("id and no timeout", transactional="t", timeout=0)
    yield init("id and negative timeout", transactional="t", timeout=-5)
    yield init("id and long timeout", transactional="t", timeout=2**31 - 1)
    yield init("with an id and epoch", range(3, 7), ProducerId=5, ProducerEpoch=1)
    yield init("with an id", range(3, 7), ProducerId=5)
    yield init("with an epoch", range(3, 7), ProducerEpoch=1)
    yield init("two phases", [6], Enable2Pc=True)
    yield init("kept", [6], KeepPreparedTxn=True)


def steps():
    yield from topics()
    yield from taken()
    yield from places()
    yield from acknowledgements()
    yield from broken()
    yield from refused()
    yield from idempotent()
    yield from ids()
