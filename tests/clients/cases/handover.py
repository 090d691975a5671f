"""A data directory cleanly stopped by one broker is opened by the other, there and back, both ways round.

Under --broker upstream both are upstream, which checks the test itself.
"""

from lib import broker as brokers
from lib import wire
from lib.results import check, same
from lib.wait import wait_until

from cases import restart

TOPIC = "handover"


def write_more(broker, producer, tag):
    """Appends records, checks duplicate detection, and returns all bytes of the topic."""
    with wire.Connection(broker.host, broker.port) as c:
        c.wait_for_leaders(TOPIC, restart.PARTS)
        if producer is not None:
            producer.check_detection(c, 1)
        restart.fill(c, TOPIC, 10, tag)
        return restart.snapshot(c, TOPIC)


def still_there(broker, before):
    with wire.Connection(broker.host, broker.port) as c:
        c.wait_for_leaders(TOPIC, restart.PARTS)
        restart.same_records(before, restart.snapshot(c, TOPIC))


def offsets(broker, expected, new):
    """The group's offsets are what the broker before committed; then others are."""
    with wire.Connection(broker.host, broker.port) as c:
        c.wait_for_coordinator("handover")
        wait_until(lambda: c.committed("handover", TOPIC, restart.PARTS)[1] == 0, 30, "the group's coordinator")
        same([expected] * restart.PARTS, c.committed("handover", TOPIC, restart.PARTS)[0], "committed offsets")
        same([0] * restart.PARTS, c.commit("handover", TOPIC, new, restart.PARTS), "errors of OffsetCommit")
        same([new] * restart.PARTS, c.committed("handover", TOPIC, restart.PARTS)[0], "offsets just committed")


def there_and_back(first, second):
    first.start()
    with wire.Connection(first.host, first.port) as c:
        same(0, c.create_topic(TOPIC, restart.PARTS, {"segment.bytes": 1 << 20}), "error of CreateTopics")
        c.wait_for_leaders(TOPIC, restart.PARTS)
        producer = restart.Idempotent(c, TOPIC, 1)
        topic_names = set(c.metadata().topics)
    bytes_now = write_more(first, None, "first")
    offsets(first, -1, 100)
    first.stop()
    for turn, broker in enumerate((second, first, second)):
        broker.start()
        with wire.Connection(broker.host, broker.port) as c:
            names = set(c.metadata().topics)
            check(topic_names <= names, f"turn {turn}: topics {topic_names - names} are gone")
        still_there(broker, bytes_now)
        bytes_now = write_more(broker, producer, f"turn{turn}")
        offsets(broker, 100 + turn, 101 + turn)
        broker.stop()


def pair(ctx, name, kinds, config=None):
    """Two brokers of the given kinds over one data directory."""
    made = []
    for i, kind in enumerate(kinds):
        b = brokers.KINDS[kind](ctx.build, ctx.deps, ctx.tmp / f"{name}-{i}", config)
        b.data = ctx.tmp / f"{name}-data"
        made.append(b)
        ctx.brokers.append(b)
    return made


def run(ctx):
    for name, kinds in (
        ("ours-to-upstream", (ctx.kind, "upstream")),
        ("upstream-to-ours", ("upstream", ctx.kind)),
    ):
        first, second = pair(ctx, name, kinds)
        ctx.results.run(f"handover/{name}", lambda a=first, b=second: there_and_back(a, b), ctx.logs)
        first.kill()
        second.kill()
