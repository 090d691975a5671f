"""What a broker does to batches by the topic's settings, or its own, as they are altered while it runs: timestamps,
largest size, compression.type. Upstream's dump-log reads the segments that are left."""

import time

from lib import batch, drivers, wire
from lib.results import check, same
from lib.wait import wait_until

INVALID_TIMESTAMP = 32
TIME_BIT = 8
CODECS = ("uncompressed", "gzip", "snappy", "lz4", "zstd")
HOUR = 3_600_000


def now_ms():
    return int(time.time() * 1000)


def until(c, topic, error, make):
    """Upstream's altered settings are in force a little after the answer: produces until that error comes."""
    wait_until(lambda: c.produce(topic, 0, make()).error == error, 10, f"error {error} from {topic}", step=0.02)


def until_stored(c, topic, make, want):
    """The same for what is stored: produces until `want` says yes to the answer and the batch."""

    def stored_so():
        got = c.produce(topic, 0, make())
        same(0, got.error, f"error from {topic}")
        return want(got, stored(c, topic, got.base_offset)[0])

    wait_until(stored_so, 10, f"altered settings of {topic}", step=0.02)


def stored(c, topic, offset):
    fetched = c.fetch(topic, 0, offset)
    same(0, fetched.error, "fetch error")
    return next(batch.batches(fetched.records))


def append_time(c):
    """LogAppendTime: the answer and the batch carry the broker's time, whatever the records say; altered back, theirs."""
    topic = "append-time"
    same(0, c.create_topic(topic, 1, {"message.timestamp.type": "LogAppendTime"}), "creation")
    c.wait_for_leaders(topic, 1)
    before = now_ms()
    got = c.produce(topic, 0, batch.encode([b"a", b"b"], timestamp=1000))
    same(0, got.error, "error")
    check(before <= got.log_append_time <= now_ms(), f"append time {got.log_append_time}")
    b, raw = stored(c, topic, 0)
    check(batch.check_crc(raw), "CRC")
    same((TIME_BIT, 1000, got.log_append_time), (b.attributes, b.base_ts, b.max_ts), "attributes, base and max timestamp")
    got = c.produce(topic, 0, batch.encode([b"far"], timestamp=now_ms() + 99 * HOUR))
    same(0, got.error, "a record of the future, with LogAppendTime")
    same(2, c.list_offset(topic, 0, got.log_append_time)[2], "offset for the append time")
    same(0, c.alter_config(topic, {"message.timestamp.type": "CreateTime"}), "alteration")
    until_stored(
        c,
        topic,
        lambda: batch.encode([b"c"], timestamp=2000),
        lambda got, b: (got.log_append_time, b.attributes, b.base_ts, b.max_ts) == (-1, 0, 2000, 2000),
    )


def bounds(c):
    """message.timestamp.before/after.max.ms of the topic, altered, and of the broker."""
    topic = "bounds"

    def old():
        return batch.encode([b"a"], timestamp=now_ms() - 2 * HOUR)

    def new():
        return batch.encode([b"a"], timestamp=now_ms() + 2 * HOUR)

    same(0, c.create_topic(topic, 1, {"message.timestamp.before.max.ms": HOUR}), "creation")
    c.wait_for_leaders(topic, 1)
    same(INVALID_TIMESTAMP, c.produce(topic, 0, old()).error, "older than the topic takes")
    same(INVALID_TIMESTAMP, c.produce(topic, 0, new()).error, "newer than an hour, the default")
    same(0, c.produce(topic, 0, batch.encode([b"a"])).error, "of now")
    same(0, c.alter_config(topic, {"message.timestamp.before.max.ms": 3 * HOUR}), "alteration")
    until(c, topic, 0, old)
    same(0, c.alter_config(topic, {"message.timestamp.after.max.ms": 3 * HOUR}), "alteration")
    until(c, topic, 0, new)
    same(0, c.alter_config(topic, {"message.timestamp.before.max.ms": None}), "alteration")
    same(0, c.alter_config("", {"log.message.timestamp.before.max.ms": HOUR}, 4), "alteration of the broker")
    until(c, topic, INVALID_TIMESTAMP, old)
    same(0, c.alter_config("", {"log.message.timestamp.before.max.ms": None}, 4), "alteration of the broker")
    until(c, topic, 0, old)


def sizes(c):
    """max.message.bytes of the topic, altered, and message.max.bytes of the broker."""
    topic = "sizes"

    def big():
        return batch.encode([b"x" * 5000])

    same(0, c.create_topic(topic, 1, {"max.message.bytes": len(big()) - 1}), "creation")
    c.wait_for_leaders(topic, 1)
    same(wire.MESSAGE_TOO_LARGE, c.produce(topic, 0, big()).error, "one byte too large")
    same(0, c.alter_config(topic, {"max.message.bytes": len(big())}), "alteration")
    until(c, topic, 0, big)
    same(0, c.alter_config(topic, {"max.message.bytes": None}), "alteration")
    same(0, c.alter_config("", {"message.max.bytes": 1000}, 4), "alteration of the broker")
    until(c, topic, wire.MESSAGE_TOO_LARGE, big)
    same(0, c.alter_config("", {"message.max.bytes": None}, 4), "alteration of the broker")
    until(c, topic, 0, big)


def convert(c, topic, codec, state):
    """What comes plain and in gzip, small and large: codec, header, records; sent again, it is a duplicate."""
    same(0, c.create_topic(topic, 1, {"compression.type": codec}), "creation")
    c.wait_for_leaders(topic, 1)
    pid, epoch = state
    end = 0
    for source in ("none", "gzip"):
        for size in (10, 3000, 300_000):
            made = batch.encode(
                [b"v" * size, (b"k", None), (b"k", b"w", [("h", b"1")])],
                pid=pid,
                epoch=epoch,
                sequence=end,
                timestamp=now_ms() - 5000,
                codec=source,
            )
            what = f"{codec} from {source}, {size} bytes"
            got = c.produce(topic, 0, made)
            same((0, end), (got.error, got.base_offset), what)
            again = c.produce(topic, 0, made)
            same((0, end), (again.error, again.base_offset), f"{what}: sent again")
            b, raw = stored(c, topic, end)
            sent, sent_raw = next(batch.batches(made))
            check(batch.check_crc(raw), f"{what}: CRC")
            same(CODECS.index(codec), b.attributes, f"{what}: attributes")
            want = (sent.base_ts, sent.max_ts, pid, epoch, end, 3)
            same(want, (b.base_ts, b.max_ts, b.pid, b.epoch, b.sequence, b.count), f"{what}: header")
            if codec in ("uncompressed", "gzip"):
                records = [r._replace(offset=r.offset + end) for r in batch.decode_records(sent, sent_raw)]
                same(records, batch.decode_records(b, raw), f"{what}: records")
            end += 3


def conversion(c):
    """compression.type: every codec of a topic; altered; what grows too large in it, and what is damaged."""
    state = c.new_producer_id()
    for codec in CODECS:
        convert(c, f"in-{codec}", codec, state)
    topic = "altered"
    same(0, c.create_topic(topic, 1, {"max.message.bytes": 5000}), "creation")
    c.wait_for_leaders(topic, 1)
    grows = batch.encode([b"v" * 50_000], codec="gzip")
    same(0, c.produce(topic, 0, grows).error, "as it came")
    same(0, c.alter_config(topic, {"compression.type": "uncompressed"}), "alteration")
    until(c, topic, wire.MESSAGE_TOO_LARGE, lambda: grows)
    end = c.list_offset(topic, 0, wire.LATEST)[2]
    same(wire.CORRUPT_MESSAGE, c.produce(topic, 0, batch.encode([b"v"], codec="gzip", crc=7)).error, "damaged")
    same(end, c.list_offset(topic, 0, wire.LATEST)[2], "end")
    same(0, c.alter_config(topic, {"compression.type": None}), "alteration")
    until_stored(c, topic, lambda: batch.encode([b"v"], codec="gzip"), lambda got, b: b.attributes == 1)


def dump(ctx, broker):
    """Upstream's dump-log finds every batch of the stopped broker's segments valid, and every record in it."""
    java = drivers.java(ctx.deps, ctx.tmp / "dump.log", heap="192m")
    out = ctx.tmp / "dump.txt"
    files = [broker.segments(f"in-{codec}")[0] for codec in CODECS]
    try:
        java.call("dump", out=str(out), args=["--deep-iteration", "--files", ",".join(map(str, files))])
    finally:
        java.close()
    lines = out.read_text(errors="replace").splitlines()
    heads = [line for line in lines if line.startswith("baseOffset:")]
    same([], [line for line in heads if "isvalid: true" not in line], "batches that dump-log finds invalid")
    same(18 * len(CODECS), sum(1 for line in lines if line.startswith("| offset:")), "records that dump-log finds")
    names = [line.split("compresscodec: ")[1].split()[0] for line in heads]
    same([n for n in batch.CODECS for _ in range(6)], names, "codecs")


def run(ctx):
    broker = ctx.broker()
    with wire.Connection(broker.host, broker.port, timeout=30.0) as c:
        ctx.results.run("appends/append-time", lambda: append_time(c), ctx.logs)
        ctx.results.run("appends/bounds", lambda: bounds(c), ctx.logs)
        ctx.results.run("appends/sizes", lambda: sizes(c), ctx.logs)
        ctx.results.run("appends/conversion", lambda: conversion(c), ctx.logs)
    ctx.results.run("appends/clean-stop", broker.stop, ctx.logs)
    ctx.results.run("appends/dump", lambda: dump(ctx, broker), ctx.logs)
