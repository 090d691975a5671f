"""Members of groups: two clients of a kind over four partitions, each partition to exactly one; rebalances on join, leave
and kill; commits that are resumed from, also after the broker was killed. And Java's Admin over groups."""

import concurrent.futures

from lib import batch, drivers, wire
from lib.members import new as new_member
from lib.results import check, same
from lib.wait import wait_until

PARTS = 4
CONFIG = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "5",
}
KINDS = ("java", "confluent", "kafka-python", "aiokafka", "kafkajs", "kafka-javascript", "kcat", "verifiable")
AT_ONCE = 4


def connect(broker):
    return wire.Connection(broker.host, broker.port)


def shared(members, counts):
    """True if the members hold all partitions, each one once, in shares of this size."""
    held = [m.look() for m in members]
    return sorted(len(h) for h in held) == sorted(counts) and sorted(p for h in held for p in h) == list(range(PARTS))


def balance(members, counts, what):
    wait_until(lambda: shared(members, counts), 60, what, step=0.05, max_step=0.2)


def produce(c, topic, n, tag):
    for p in range(PARTS):
        same(0, c.produce(topic, p, batch.encode([f"{tag}-{p}-{i}".encode() for i in range(n)])).error, "Produce")


def all_read(members, upto):
    """Every record below `upto` of each partition was read by some member."""
    for m in members:
        m.look()
    return all({o for m in members for o in m.read.get(p, [])} >= set(range(upto)) for p in range(PARTS))


def wait_read(members, upto, what):
    wait_until(lambda: all_read(members, upto), 60, what, step=0.05, max_step=0.2)


def committed(c, group, topic, offset):
    """True if that is what the group has committed everywhere."""
    return c.committed(group, topic, PARTS) == ([offset] * PARTS, 0)


def story(ctx, broker, kind):
    """Before the broker's restart; returns what has to hold after it."""
    group, topic = f"group-{kind}", f"topic-{kind}"
    with connect(broker) as c:
        same(0, c.create_topic(topic, PARTS), "error of CreateTopics")
        c.wait_for_leaders(topic, PARTS)
        produce(c, topic, 20, "first")
        a = new_member(ctx, broker, kind, group, topic, 1)
        balance([a], [4], "one member to hold all")
        b = new_member(ctx, broker, kind, group, topic, 2)
        balance([a, b], [2, 2], "two members to share")
        wait_read([a, b], 20, "all records to be read")
        before = {id(m): {p: len(m.read.get(p, [])) for p in range(PARTS)} for m in (a, b)}
        produce(c, topic, 30, "second")
        wait_read([a, b], 50, "the second records to be read")
        for m in (a, b):  # while nothing changes, each partition is read by its owner alone
            grown = {p for p in range(PARTS) if len(m.read.get(p, [])) > before[id(m)][p]}
            same(set(m.assigned), grown, "partitions read by a member")
        b.kill()
        balance([a], [4], "the survivor to hold all")
        produce(c, topic, 10, "third")
        wait_read([a, b], 60, "the survivor to read on")
        d = new_member(ctx, broker, kind, group, topic, 3)
        balance([a, d], [2, 2], "a new member to get its share")
        d.stop()
        balance([a], [4], "the one that stays to hold all")
        a.stop()
        wait_until(lambda: committed(c, group, topic, 60), 10, "commits of what was read")
    return group, topic


def resume(ctx, broker, kind, group, topic):
    """After the restart a member reads what was not committed, and nothing before it."""
    with connect(broker) as c:
        c.wait_for_leaders(topic, PARTS)
        wait_until(lambda: committed(c, group, topic, 60), 20, "commits after the restart")
        produce(c, topic, 5, "fourth")
        m = new_member(ctx, broker, kind, group, topic, 4)
        balance([m], [4], "one member to hold all after the restart")
        wait_until(lambda: m.look() and all(64 in m.read.get(p, []) for p in range(PARTS)), 60, "reading on")
        for p in range(PARTS):
            same(list(range(60, 65)), sorted(set(m.read[p])), f"records of partition {p} after the restart")
        m.stop()
        wait_until(lambda: committed(c, group, topic, 65), 10, "the last commits")


def survivor(ctx, broker, kind):
    """A member lives through a kill of the broker: it goes on in its group and loses nothing."""
    group, topic = f"survivor-{kind}", f"survivor-{kind}"
    with connect(broker) as c:
        same(0, c.create_topic(topic, PARTS), "error of CreateTopics")
        c.wait_for_leaders(topic, PARTS)
        produce(c, topic, 10, "first")
    members = [new_member(ctx, broker, kind, group, topic, n) for n in (5, 6)]
    balance(members, [2, 2], "two members to share")
    wait_read(members, 10, "all records to be read")
    return group, topic, members


def survived(broker, topic, members):
    with connect(broker) as c:
        c.wait_for_leaders(topic, PARTS)
        produce(c, topic, 10, "second")
    wait_read(members, 20, "records after the broker's restart")
    balance(members, [2, 2], "two members to share after the broker's restart")
    for m in members:
        m.stop()


def admin(ctx, broker):
    topic = "topic-admin"
    with connect(broker) as c:
        same(0, c.create_topic(topic, PARTS), "error of CreateTopics")
        c.wait_for_leaders(topic, PARTS)
        produce(c, topic, 3, "x")
    members = [new_member(ctx, broker, "java", "live", topic, f"s{i}", instance=f"static-{i}") for i in range(2)]
    balance(members, [2, 2], "two static members to share")
    wait_read(members, 3, "all records to be read")
    checker = drivers.java(ctx.deps, ctx.tmp / "admin.log", heap="192m")
    try:
        reply = checker.call("groups", bootstrap=broker.bootstrap, topic=topic, live="live", remove="static-1")
        same("describe,offsets,list,delete,remove", reply["done"], "checks of Admin")
        balance(members, [2, 2], "the one that was removed to join again")
    finally:
        checker.close()
        for m in members:
            m.kill()


def dump(ctx, broker, kinds):
    """Upstream's dump-log reads our groups' records: every key and value decoded, the last commits among them."""
    java = drivers.java(ctx.deps, ctx.tmp / "dump.log", heap="192m")
    text = ""
    try:
        for i, segment in enumerate(broker.segments("__consumer_offsets")):
            out = ctx.tmp / f"dump-{i}.txt"
            java.call("dump", out=str(out), args=["--offsets-decoder", "--files", str(segment)])
            text += out.read_text()
    finally:
        java.close()
    lines = [line for line in text.splitlines() if "key:" in line or "payload:" in line]
    check(lines, "no records in the dump")
    bad = [line for line in lines if "key: {" not in line or ("payload: {" not in line and "<DELETE>" not in line)]
    check(not bad, f"records that upstream does not decode: {bad[:3]}")
    for kind in kinds:
        check(any(f'"group":"group-{kind}"' in line and '"offset":65' in line for line in lines), f"the commits of {kind}")
    check('"protocolType":"consumer"' in text, "group metadata")


def kinds_here(ctx):
    """The clients that could be installed."""
    missing = drivers.native_missing(ctx.deps)
    if missing:
        ctx.results.say(f"      kafka-javascript is left out: {missing}")
    return [k for k in KINDS if not (missing and k == "kafka-javascript")]


def together(ctx, name, body, kinds, case="groups"):
    """Several kinds at the same time: most of it is waiting. Each is a result of its own."""
    out = {}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {k: pool.submit(body, k) for k in kinds}
        for kind, f in futures.items():

            def result(f=f, kind=kind):
                out[kind] = f.result()

            ctx.results.run(f"{case}/{name}-{kind}", result, ctx.logs)
    return out


def run(ctx):
    broker = ctx.broker(CONFIG)
    kinds = kinds_here(ctx)
    done = together(ctx, "share", lambda k: story(ctx, broker, k), kinds)
    hardy = [k for k in kinds if k not in ("kcat", "verifiable")] if ctx.long else ("java", "confluent")
    alive = together(ctx, "before-kill", lambda k: survivor(ctx, broker, k), hardy)
    broker.kill()
    broker.start()
    together(ctx, "resume", lambda k: resume(ctx, broker, k, *done[k]), done)
    together(ctx, "survive", lambda k: survived(broker, *alive[k][1:]), alive)
    ctx.results.run("groups/admin", lambda: admin(ctx, broker), ctx.logs)
    ctx.results.run("groups/last-stop", broker.stop, ctx.logs)
    ctx.results.run("groups/dump", lambda: dump(ctx, broker, kinds), ctx.logs)
