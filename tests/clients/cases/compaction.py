"""Compaction leaves what upstream's own cleaner leaves of the same closed segments.

One directory is filled with compaction off and cleanly stopped. A copy of it is compacted by upstream, the other by the
broker under test. Then the segment files are compared: every record (offset, timestamp, key, value, headers), and what each
batch says of its producer and its offsets.
"""

import random
import shutil

from lib import batch, wire
from lib import broker as brokers
from lib.results import check, same
from lib.wait import wait_until

TOPIC = "compacted"
SEGMENT = 1 << 20
CLEAN = {"log.cleaner.backoff.ms": "200", "log.cleaner.enable": "true"}


def record(rnd, keys):
    key = f"key-{rnd.randrange(keys)}".encode()
    if rnd.randrange(12) == 0:
        return (key, None)
    headers = (("h", b"%d" % rnd.randrange(9)), ("n", None)) if rnd.randrange(3) == 0 else ()
    return (key, rnd.randbytes(100 + rnd.randrange(1500)), headers)


def fill(c, rnd):
    """Plain batches, and idempotent producers that stop at different times."""
    producers = [[*c.new_producer_id(), 0] for _ in range(4)]
    clock = 1_700_000_000_000
    written = 0
    for i in range(900):
        records = [record(rnd, 400) for _ in range(1 + rnd.randrange(12))]
        more = {"codec": "gzip" if rnd.randrange(3) == 0 else "none", "timestamp": clock + 1000 * i}
        p = producers[rnd.randrange(4)] if rnd.randrange(2) else None
        if p and i < 250 * (1 + producers.index(p)):
            more.update(pid=p[0], epoch=p[1], sequence=p[2])
            p[2] += len(records)
        raw = batch.encode(records, **more)
        same(0, c.produce(TOPIC, 0, raw).error, "error of Produce")
        written += len(raw)
    check(written > 4 * SEGMENT, f"only {written} bytes were written")


def closed_size(b):
    return sum(f.stat().st_size for f in b.segments(TOPIC)[:-1])


def read_files(b):
    """The records and the batches of the closed segments."""
    records, frames = [], []
    for path in b.segments(TOPIC)[:-1]:
        for h, raw in batch.batches(path.read_bytes()):
            check(batch.check_crc(raw), f"{path.name}: CRC of the batch at {h.base_offset}")
            frames.append((h.base_offset, h.last_delta, h.pid, h.epoch, h.sequence, h.count, h.attributes))
            for r in batch.decode_records(h, raw):
                records.append((r.offset, r.timestamp, r.key, r.value, tuple(r.headers)))
    return records, frames


def compact(b):
    before = closed_size(b)
    b.start()
    wait_until(lambda: closed_size(b) < before * 0.7, 60, f"{b.kind} to compact {before} bytes", step=0.2)
    last = [0]

    def still():
        size, last[0] = last[0], closed_size(b)
        return size == last[0]

    wait_until(still, 30, "compaction to end", step=1.5)
    b.stop()
    return read_files(b)


def compare(ctx):
    rnd = random.Random(7)
    writer = ctx.broker({"log.cleaner.enable": "false"}, name="writer", start=False)
    writer.start()
    with wire.Connection(writer.host, writer.port) as c:
        configs = {"cleanup.policy": "compact", "segment.bytes": SEGMENT, "min.cleanable.dirty.ratio": "0.01"}
        same(0, c.create_topic(TOPIC, 1, configs), "error of CreateTopics")
        c.wait_for_leaders(TOPIC, 1)
        fill(c, rnd)
    writer.stop()
    whole, _ = read_files(writer)
    results = {}
    for name, kind in (("ours", ctx.kind), ("theirs", "upstream")):
        b = brokers.KINDS[kind](ctx.build, ctx.deps, ctx.tmp / name, CLEAN)
        ctx.brokers.append(b)
        shutil.copytree(writer.data, b.data)
        results[name] = compact(b)
    ours, theirs = results["ours"], results["theirs"]
    check(len(theirs[0]) < len(whole) * 0.7, "upstream did not compact")
    same([], sorted(set(ours[0]) ^ set(theirs[0]), key=lambda r: r[0])[:5], "records that only one of them kept")
    same(len(theirs[0]), len(ours[0]), "records")
    same([], sorted(set(ours[1]) - set(theirs[1]))[:5], "batches that only ours has")
    same([], sorted(set(theirs[1]) - set(ours[1]))[:5], "batches that only upstream has")


def run(ctx):
    ctx.results.run("compaction/same-as-upstream", lambda: compare(ctx), ctx.logs)
