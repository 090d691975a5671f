"""Groups of the consumer protocol (KIP-848, group.protocol=consumer), with Java's consumer and librdkafka's: shares, leaves
and kills, static members, patterns, the broker killed under them, and members of both protocols in one group."""

import concurrent.futures

from cases.groups import PARTS, balance, committed, connect, produce, wait_read
from lib.members import Member
from lib.results import same
from lib.wait import wait_until

CONFIG = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "5",
    "group.consumer.heartbeat.interval.ms": "300",
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.session.timeout.ms": "10000",
    "group.consumer.min.session.timeout.ms": "10000",
    "group.consumer.assignment.interval.ms": "100",
}
KINDS = ("java", "confluent")


def member(ctx, broker, kind, group, topic, n, **extra):
    return Member(ctx, broker, kind, group, topic, f"modern-{n}", **{"protocol": "consumer", **extra})


def make_topic(broker, topic, records):
    with connect(broker) as c:
        same(0, c.create_topic(topic, PARTS), "error of CreateTopics")
        c.wait_for_leaders(topic, PARTS)
        produce(c, topic, records, "first")


def more(broker, topic, records):
    with connect(broker) as c:
        c.wait_for_leaders(topic, PARTS)
        produce(c, topic, records, "more")


def share(ctx, broker, kind):
    """Two members share, one is killed, another one comes and leaves; nothing is lost."""
    group = topic = f"modern-{kind}"
    make_topic(broker, topic, 20)
    a = member(ctx, broker, kind, group, topic, 1)
    balance([a], [4], "one member to hold all")
    b = member(ctx, broker, kind, group, topic, 2)
    balance([a, b], [2, 2], "two members to share")
    wait_read([a, b], 20, "all records to be read")
    b.kill()
    balance([a], [4], "the survivor to hold all")
    more(broker, topic, 10)
    wait_read([a, b], 30, "the survivor to read on")
    d = member(ctx, broker, kind, group, topic, 3)
    balance([a, d], [2, 2], "a new member to get its share")
    d.stop()
    balance([a], [4], "the one that stays to hold all")
    a.stop()
    with connect(broker) as c:
        wait_until(lambda: committed(c, group, topic, 30), 10, "commits of what was read")


def static(ctx, broker, kind):
    """A static member that comes back within its session finds its partitions; the other one is left in peace."""
    group = topic = f"static-{kind}"
    make_topic(broker, topic, 5)
    a = member(ctx, broker, kind, group, topic, 4, instance="one")
    b = member(ctx, broker, kind, group, topic, 5, instance="two")
    again = member(ctx, broker, kind, group, topic, 6, instance="one", start=False)
    balance([a, b], [2, 2], "two static members to share")
    had, others = a.assigned, b.assigned
    a.stop()
    again.begin()
    wait_until(lambda: again.look() == had, 20, "the static member to be back")
    same(others, b.look(), "what the other one holds")
    for m in (again, b):
        m.stop()


def patterns(ctx, broker, kind):
    """A pattern takes in topics that are made later."""
    group, topic = f"pattern-{kind}", f"pattern-{kind}-1"
    pattern = f"pattern-{kind}-.*" if kind == "java" else f"^pattern-{kind}-.*"
    make_topic(broker, topic, 5)
    a = member(ctx, broker, kind, group, topic, 7, pattern=pattern)
    wait_until(lambda: a.look() == list(range(PARTS)), 30, "the pattern to be found")
    wait_read([a], 5, "all records to be read")
    make_topic(broker, f"pattern-{kind}-2", 9)
    wait_read([a], 9, "records of the new topic")  # by partition: the longer topic shows
    a.stop()


def both_protocols(ctx, broker, kind):
    """A group goes on while its members change over to the consumer protocol, and back."""
    group = topic = f"migrated-{kind}"
    make_topic(broker, topic, 10)
    first = Member(ctx, broker, kind, group, topic, "classic-1")
    balance([first], [4], "the classic member to hold all")
    new = member(ctx, broker, kind, group, topic, 8)
    balance([first, new], [2, 2], "a member of each protocol to share")
    first.stop()
    balance([new], [4], "the member of the consumer protocol to hold all")
    last = Member(ctx, broker, kind, group, topic, "classic-2")
    balance([last, new], [2, 2], "a classic member to get its share")
    new.stop()
    balance([last], [4], "the classic member to hold all again")
    more(broker, topic, 10)
    wait_read([first, new, last], 20, "the last member to read on")
    last.stop()


def before_kill(ctx, broker, kind):
    group = topic = f"killed-{kind}"
    make_topic(broker, topic, 10)
    members = [member(ctx, broker, kind, group, topic, n) for n in (9, 10)]
    balance(members, [2, 2], "two members to share")
    wait_read(members, 10, "all records to be read")
    return topic, members


def after_kill(broker, topic, members):
    more(broker, topic, 10)
    wait_read(members, 20, "records after the broker's restart")
    balance(members, [2, 2], "two members to share after the broker's restart")
    for m in members:
        m.stop()
    with connect(broker) as c:
        wait_until(lambda: committed(c, topic, topic, 20), 20, "commits after the restart")


def run(ctx):
    broker = ctx.broker(CONFIG)
    bodies = [(f"{f.__name__.replace('_', '-')}-{k}", f, (k,)) for k in KINDS for f in (share, static, patterns, both_protocols)]
    alive = {}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # most of it is waiting
        futures = [(name, pool.submit(f, ctx, broker, *args)) for name, f, args in bodies]
        for name, f in futures:
            ctx.results.run(f"consumer-groups/{name}", f.result, ctx.logs)
    for kind in KINDS:

        def begin(kind=kind):
            alive[kind] = before_kill(ctx, broker, kind)

        ctx.results.run(f"consumer-groups/before-kill-{kind}", begin, ctx.logs)
    broker.kill()
    broker.start()
    for kind in alive:
        ctx.results.run(f"consumer-groups/after-kill-{kind}", lambda k=kind: after_kill(broker, *alive[k]), ctx.logs)
    ctx.results.run("consumer-groups/last-stop", broker.stop, ctx.logs)
