"""A directory with committed, aborted and open transactions goes from upstream to ours and back, and reads the same everywhere.

Every reader counts: read_committed sees the committed records only and stops at the open transaction, read_uncommitted sees
all, whoever serves; also after a kill -9 of ours, and of a directory that upstream left without a clean stop. Under
--broker upstream both are upstream.
"""

from lib import drivers, wire
from lib.results import check, same

from cases.handover import pair

TOPIC, COMPACTED = "txn", "txn-compacted"
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
        for topic in (TOPIC, COMPACTED):
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
    bad = [line for line in text.splitlines() if " ERROR " in line or "-stray" in line]
    check(not bad, f"in the log of the broker: {bad[:3]}")


def serve(broker, reader, before, when):
    broker.start()
    with wire.Connection(broker.host, broker.port) as c:
        for topic in (TOPIC, COMPACTED):
            c.wait_for_leaders(topic, PARTS)
    compare(before, reader.sights(broker), when)
    no_errors(broker)


def there_and_back(upstream, ours, reader):
    upstream.start()
    with wire.Connection(upstream.host, upstream.port) as c:
        same(0, c.create_topic(TOPIC, PARTS, {"segment.bytes": 1 << 20}), "error of CreateTopics")
        compact = {"segment.bytes": 1 << 20, "cleanup.policy": "compact", "min.cleanable.dirty.ratio": 1}
        same(0, c.create_topic(COMPACTED, PARTS, compact), "error of CreateTopics")
        for topic in (TOPIC, COMPACTED):
            c.wait_for_leaders(topic, PARTS)
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
    serve(ours, reader, sights, "upstream's, by ours")
    ours.kill()
    serve(ours, reader, sights, "after a kill -9 of ours")
    ours.stop()
    serve(upstream, reader, sights, "by upstream again")
    reader.write(upstream, 4)
    sights = reader.sights(upstream)
    upstream.kill()
    serve(ours, reader, sights, "left by upstream without a clean stop")
    ours.stop()
    serve(ours, reader, sights, "after a clean stop of ours")
    ours.stop()
    serve(upstream, reader, sights, "by upstream at last")
    upstream.stop()


def run(ctx):
    reader = Reader(ctx)
    upstream, ours = pair(ctx, "transactions", ("upstream", ctx.kind))
    try:
        ctx.results.run("transactions/there-and-back", lambda: there_and_back(upstream, ours, reader), ctx.logs)
    finally:
        reader.driver.close()
