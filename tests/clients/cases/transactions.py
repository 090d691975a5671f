"""A directory with committed, aborted and open transactions goes from upstream to ours and back, and reads the same everywhere.

Every reader counts: read_committed sees the committed records only and stops at the open transaction, read_uncommitted sees
all, whoever serves; also after a kill -9 of ours, and of a directory that upstream left without a clean stop. Beside them a
topic whose first records were deleted, and one that both compact in turn. Under --broker upstream both are upstream.
"""

import random
import re

from lib import batch, drivers, wire
from lib.results import check, same
from lib.wait import wait_until

from cases import compaction
from cases.handover import pair

TOPIC, COMPACTED, STARTED = "txn", "txn-compacted", "txn-started"
TOPICS = (TOPIC, COMPACTED, STARTED)
KEYED = "keyed"
PARTS = 2
STARTS = (0, 37, 111)  # offsets to read from, beside the start of the log


class Reader:
    def __init__(self, ctx):
        self.driver = drivers.python(ctx.deps, "transactions", ctx.tmp / "transactions.log")

    def write(self, broker, seed, topic=TOPIC, transactions=60, size=400):
        self.driver.call(
            "write", bootstrap=broker.bootstrap, topic=topic, partitions=PARTS, transactions=transactions, size=size, seed=seed
        )

    def sights(self, broker):
        """What both kinds of readers see of all partitions, from several offsets, and what ListOffsets says."""
        out = {}
        for topic in TOPICS:
            for p in range(PARTS):
                for committed in (True, False):
                    for start in STARTS:
                        key = f"{topic}-{p} committed={committed} from={start}"
                        out[key] = self.driver.call(
                            "read", bootstrap=broker.bootstrap, topic=topic, partition=p, committed=committed, start=start
                        )
                with wire.Connection(broker.host, broker.port) as c:
                    for ts in (wire.EARLIEST, wire.LATEST, -3):
                        out[f"{topic}-{p} offset {ts}"] = c.list_offset(topic, p, ts)[:3]
        return out


def compare(before, after, when):
    for key, old in before.items():
        new = after[key]
        if isinstance(old, dict):
            gone = [x for x in old["seen"] if x not in new["seen"]]
            more = [x for x in new["seen"] if x not in old["seen"]]
            check(not gone and not more, f"{when}: {key}: missing {gone[:3]}, not to be seen {more[:3]}")
        same(old, new, f"{when}: {key}")


def no_errors(broker):
    text = broker.log_path.read_text(errors="replace")
    entries = re.split(r"\n(?=\[?20\d\d-)", text)  # each with its stack trace
    # Upstream's broker may ask its own controller before that has found out that it leads.
    bad = [e for e in entries if (" ERROR " in e or "-stray" in e) and "NotControllerException" not in e]
    check(not bad, f"in the log of the broker: {bad[:3]}")


class Keyed:
    """A compacted topic: what the last record of each key must be, whoever cleans it."""

    def __init__(self):
        self.rnd = random.Random(11)
        self.last = {}

    def write(self, broker):
        """More than a segment, most of it overwritten at once; waits until the broker has compacted what was closed."""
        with wire.Connection(broker.host, broker.port) as c:
            for _ in range(300):
                records = [compaction.record(self.rnd, 100) for _ in range(8)]
                same(0, c.produce(KEYED, 0, batch.encode(records)).error, "error of Produce")
                self.last.update({r[0]: r[1] for r in records})

        def clean():
            return sum(f.stat().st_size for f in broker.segments(KEYED)[:-1]) < 1 << 19

        wait_until(clean, 60, f"{broker.kind} to compact", step=0.2)

    def verify(self, broker, when):
        found, offset = {}, 0
        with wire.Connection(broker.host, broker.port) as c:
            _, _, end = c.list_offset(KEYED, 0, wire.LATEST)[:3]
            while offset < end:
                for h, raw in batch.batches(c.fetch(KEYED, 0, offset).records):
                    found.update({r.key: r.value for r in batch.decode_records(h, raw) if r.offset >= offset})
                    offset = h.base_offset + h.last_delta + 1
        for key, value in self.last.items():
            same(value, found.get(key), f"{when}: the last value of {key}")
        check(set(found) <= set(self.last), f"{when}: keys that were never written")


def serve(broker, reader, before, when, keyed):
    broker.start()
    with wire.Connection(broker.host, broker.port) as c:
        for topic in TOPICS:
            c.wait_for_leaders(topic, PARTS)
        c.wait_for_leaders(KEYED, 1)
    compare(before, reader.sights(broker), when)
    keyed.verify(broker, when)
    keyed.write(broker)
    keyed.verify(broker, f"{when}, compacted")
    no_errors(broker)


def there_and_back(upstream, ours, reader):
    upstream.start()
    with wire.Connection(upstream.host, upstream.port) as c:
        same(0, c.create_topic(TOPIC, PARTS, {"segment.bytes": 1 << 20}), "error of CreateTopics")
        compact = {"segment.bytes": 1 << 20, "cleanup.policy": "compact", "min.cleanable.dirty.ratio": 1}
        same(0, c.create_topic(COMPACTED, PARTS, compact), "error of CreateTopics")
        same(0, c.create_topic(STARTED, PARTS, {"segment.bytes": 1 << 20}), "error of CreateTopics")
        for topic in TOPICS:
            c.wait_for_leaders(topic, PARTS)
        keep = {"segment.bytes": 1 << 20, "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}
        same(0, c.create_topic(KEYED, 1, keep), "error of CreateTopics")
        c.wait_for_leaders(KEYED, 1)
    keyed = Keyed()
    keyed.write(upstream)
    reader.write(upstream, 5, STARTED, transactions=40, size=40_000)
    for p, offset in enumerate((3, 31)):  # within the first segment, and behind it
        at = reader.driver.call("delete_records", bootstrap=upstream.bootstrap, topic=STARTED, partition=p, offset=offset)
        same(offset, at["start"], "the start of the log")
    reader.write(upstream, 1, size=20_000)  # over several segments
    reader.write(upstream, 2)
    reader.write(upstream, 3, COMPACTED)
    reader.driver.call("leave_open", bootstrap=upstream.bootstrap, topic=TOPIC, partition=0, name="open-1")
    sights = reader.sights(upstream)
    aborted = len(sights[f"{TOPIC}-1 committed=False from=0"]["seen"]) - len(sights[f"{TOPIC}-1 committed=True from=0"]["seen"])
    check(aborted > 20, f"{aborted} aborted records: too few to tell")
    end = sights[f"{TOPIC}-0 committed=True from=0"]["position"]
    check(end < sights[f"{TOPIC}-0 committed=False from=0"]["position"], "the open transaction holds nobody back")
    upstream.stop()
    serve(ours, reader, sights, "upstream's, by ours", keyed)
    ours.kill()
    serve(ours, reader, sights, "after a kill -9 of ours", keyed)
    ours.stop()
    serve(upstream, reader, sights, "by upstream again", keyed)
    reader.write(upstream, 4)
    sights = reader.sights(upstream)
    upstream.kill()
    serve(ours, reader, sights, "left by upstream without a clean stop", keyed)
    ours.stop()
    serve(ours, reader, sights, "after a clean stop of ours", keyed)
    ours.stop()
    serve(upstream, reader, sights, "by upstream at last", keyed)
    upstream.stop()


def run(ctx):
    reader = Reader(ctx)
    upstream, ours = pair(ctx, "transactions", ("upstream", ctx.kind), compaction.CLEAN)
    try:
        ctx.results.run("transactions/there-and-back", lambda: there_and_back(upstream, ours, reader), ctx.logs)
    finally:
        reader.driver.close()
