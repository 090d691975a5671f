"""`sluice bench` against the broker: what it says it sent is there, what it read is verified, and it notices damage.

The record counts come from another client's view (offsets), so that the generator does not only agree with itself.
"""

import json
import subprocess
import threading
import time

from lib import batch, wire
from lib.results import check, same
from lib.wait import wait_until


def bench(ctx, broker, *args, status=0):
    """The JSON result of one run."""
    program = str(ctx.build / "sluice")
    done = subprocess.run([program, "bench", "-q", "-j", "-", f"brokers={broker.bootstrap}", *args], capture_output=True, text=True,
                          check=False, timeout=120)
    same(status, done.returncode, f"exit status of {args}: {done.stderr[-500:]}")
    return json.loads(done.stdout) if done.stdout.startswith("{") else None


def sound(r):
    same(0, sum(r["faults"].values()) + sum(r["faults_after_end"].values()), f"faults: {r['faults']} {r['faults_after_end']}")


def records_of(broker, topic, partitions):
    with wire.Connection(broker.host, broker.port) as c:
        return sum(c.list_offset(topic, p, wire.LATEST)[2] for p in range(partitions))


def every_record_arrives(ctx, broker):
    for name, args in (
        ("plain", []),
        ("lz4", ["compression=lz4", "record.bytes=10-3000", "key.bytes=8"]),
        ("acks1", ["acks=1", "idempotence=0"]),
        ("acks0", ["acks=0", "idempotence=0"]),
        ("lingering", ["rate=20000", "batch.bytes=16k", "linger.ms=20", "record.bytes=1000"]),
        ("paced", ["rate=5000", "linger.ms=3", "arrival=poisson", "spread=zipf"]),
    ):
        topic = f"bench-{name}"
        r = bench(ctx, broker, "produce", f"topic={topic}", "partitions=3", "producers=2", "records=6000", "duration.s=60", *args)
        sound(r)
        check(r["seconds"] < 30, f"{name}: no end after {r['seconds']} s: records were left behind")
        same(6000, r["totals"]["acked"], f"{name}: acknowledged")
        # acks=0: sent is not yet appended
        wait_until(lambda t=topic: records_of(broker, t, 3) == 6000, 20, f"6000 records of {topic}, by offsets")
        got = bench(ctx, broker, "consume", f"topic={topic}", "consumers=2", "verify=records")
        sound(got)
        same(6000, got["totals"]["read"], f"{name}: read back")


def end_to_end(ctx, broker):
    r = bench(ctx, broker, "e2e", "topic=bench-e2e", "partitions=4", "rate=2000", "duration.s=2", "consumers=2", "subscriptions=2",
              "verify=records", "compression=zstd")
    sound(r)
    same(2 * r["totals"]["acked"], r["totals"]["read"], "read by two subscriptions")
    check(r["totals"]["acked"] >= 3500, f"too few records: {r['totals']}")
    check(r["e2e_us"]["count"] >= r["totals"]["acked"], "no end-to-end latencies")
    check(r["e2e_us"]["p50"] >= r["latency_us"]["p50"] / 2, "records arrive long before they are acknowledged")


def offsets_arrive(ctx, broker):
    """What the generator says it committed is what another client finds."""
    args = ["topic=bench-commit", "partitions=4", "committers=3", "groups=10", "commit.offsets=2", "rate=400", "duration.s=2"]
    r = bench(ctx, broker, "commit", *args)
    sound(r)
    same(r["totals"]["made"], r["totals"]["acked"], "offsets that were acknowledged")
    check(700 <= r["totals"]["acked"] <= 900, f"offsets of two seconds at 400 a second: {r['totals']}")
    with wire.Connection(broker.host, broker.port) as c:
        for g in range(10):
            offsets, error = c.committed(f"bench-{g}", "bench-commit", 4)
            check(error == 0 and min(offsets) > 0, f"group bench-{g} has {offsets}, error {error}")


# A broker that is killed amid a rebalance waits for who has left meanwhile: session.ms bounds that.
GROUP = ["partitions=6", "consumers=3", "subscriptions=2", "rate=2000", "linger.ms=2", "verify=records", "stamp=1", "heartbeat.ms=200",
         "session.ms=6000", "commit.ms=200", "drain.s=30"]
READERS = ["consumers=2", "verify=records", "heartbeat.ms=200"]


def groups_read_all(ctx, broker):
    """Members come and go; each group reads everything, and what it committed is where it ended."""
    for protocol in ("classic", "consumer"):
        topic, group = f"bench-group-{protocol}", f"bench-{protocol}"
        r = bench(ctx, broker, "mixed", f"topic={topic}", f"group={group}", f"group.protocol={protocol}", "duration.s=5", "churn.s=1", *GROUP)
        sound(r)
        read = r["totals"]["read"] - r["groups"]["read_twice"]
        same(2 * r["totals"]["acked"], read, f"{protocol}: read by two groups, once each")
        check(r["groups"]["rebalances"] >= 4, f"{protocol}: members left and came back, but: {r['groups']}")
        check(r["groups"]["idle_max_s"] < 5, f"{protocol}: a member waited for its partitions: {r['groups']}")
        with wire.Connection(broker.host, broker.port) as c:
            for g in (f"{group}-0", f"{group}-1"):
                offsets, error = c.committed(g, topic, 6)
                same((r["totals"]["acked"], 0), (sum(offsets), error), f"offsets that {g} committed before it left")
        again = bench(ctx, broker, "consume", f"topic={topic}", f"group={group}-0", f"group.protocol={protocol}", *READERS)
        sound(again)
        same(0, again["totals"]["read"], f"{protocol}: a group that begins at its committed offsets has read all")
        fresh = bench(ctx, broker, "consume", f"topic={topic}", f"group={group}-new", f"group.protocol={protocol}", *READERS)
        sound(fresh)
        same(r["totals"]["acked"], fresh["totals"]["read"], f"{protocol}: a new group reads from the beginning")


def groups_that_read_again_or_not_all(ctx, broker):
    """Without commits the next member reads again; what is not read is a fault."""
    r = bench(ctx, broker, "mixed", "topic=bench-group-again", "group=bench-again", "duration.s=4", "churn.s=1", *GROUP, "commit.ms=0")
    sound(r)
    check(r["groups"]["read_twice"] > 0, f"nothing was committed, and nothing read again: {r['groups']}")
    same(2 * r["totals"]["acked"], r["totals"]["read"] - r["groups"]["read_twice"], "read by two groups")
    slow = ["fetch.min.bytes=1g", "fetch.wait.ms=8000", "duration.s=1", "subscriptions=1", "drain.s=0"]
    r = bench(ctx, broker, "mixed", "topic=bench-group-slow", "group=bench-slow", *GROUP, *slow, status=1)
    same(r["totals"]["acked"], r["faults_after_end"]["lost"], "records that nobody read")


def over_a_kill(ctx, broker, mode, *args):
    """kill -9 and a start under the load of a run, which goes on."""

    def kill():
        time.sleep(2.5)
        broker.kill()
        broker.start()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        return bench(ctx, broker, mode, "duration.s=8", *args)
    finally:
        killer.join()


def nothing_lost_or_doubled(ctx, broker):
    for protocol in ("classic", "consumer"):
        for load in (["rate=2000"], ["rate=0", "producers=2", "record.bytes=1000", "batch.bytes=4k"]):
            topic = f"bench-kill-{protocol}-{load[0][5:]}"
            r = over_a_kill(ctx, broker, "mixed", *GROUP, f"topic={topic}", f"group={topic}", f"group.protocol={protocol}", *load)
            sound(r)
            out = r["outages"]
            check(out["reconnects"] > 0 and out["ack_gap_s"] > 0, f"{topic}: the kill went unnoticed: {out}")
            same(r["totals"]["made"], r["totals"]["acked"], f"{topic}: acknowledged in the end")
            same(r["totals"]["acked"], records_of(broker, topic, 6), f"{topic}: records in the log, none of them doubled")
            got = bench(ctx, broker, "consume", f"topic={topic}", "verify=records", "producers=0")
            sound(got)
            same(r["totals"]["acked"], got["totals"]["read"], f"{topic}: read back in sequence")


def every_commit_is_made(ctx, broker):
    args = ["topic=bench-commit-kill", "partitions=4", "committers=3", "groups=10", "rate=400", "drain.s=30"]
    r = over_a_kill(ctx, broker, "commit", *args)
    sound(r)
    check(r["outages"]["reconnects"] > 0, f"the kill went unnoticed: {r['outages']}")
    same(r["totals"]["made"], r["totals"]["acked"], "offsets that were acknowledged")


def without_reconnect(ctx, broker):
    """The first lost connection ends the run, as a fault."""

    def kill():
        time.sleep(1.5)
        broker.kill()
        broker.start()

    killer = threading.Thread(target=kill)
    killer.start()
    r = bench(ctx, broker, "mixed", "topic=bench-once", "duration.s=20", "rate=1000", "reconnect=0", status=1)
    killer.join()
    check(r["faults"]["errors"] + r["faults_after_end"]["errors"] > 0, f"no error: {r['faults']}")
    check(r["seconds"] < 15, f"it went on for {r['seconds']} s")


def sessions(ctx, broker):
    """A session asks for less and reads the same."""
    args = ["topic=bench-session", "partitions=200", "rate=1000", "duration.s=2", "spread=random", "verify=records", "stamp=1"]
    asked = []
    for on in (0, 1):
        r = bench(ctx, broker, "mixed", f"fetch.session={on}", *args)
        sound(r)
        same(r["totals"]["acked"], r["totals"]["read"], f"fetch.session={on}: read")
        asked.append(r["fetch_request_bytes"] / r["consumed"]["fetches"])
    check(asked[1] * 3 < asked[0], f"bytes of a fetch request without and with a session: {asked}")


def wrong_calls(ctx, broker):
    bench(ctx, broker, "produce", "partition=3", status=2)
    bench(ctx, broker, "consume", "topic=never-made", status=1)
    with wire.Connection(broker.host, broker.port) as c:
        same(0, c.create_topic("bench-foreign", 1), "error of CreateTopics")
        c.wait_for_leaders("bench-foreign", 1)
        same(0, c.produce("bench-foreign", 0, batch.encode([b"not ours"])).error, "error of Produce")
    got = bench(ctx, broker, "consume", "topic=bench-foreign", "verify=records")
    sound(got)
    same(1, got["totals"]["read"], "another client's record")


def run(ctx):
    broker = ctx.broker({"group.initial.rebalance.delay.ms": "0"})
    ctx.results.run("bench/every-record", lambda: every_record_arrives(ctx, broker))
    ctx.results.run("bench/end-to-end", lambda: end_to_end(ctx, broker))
    ctx.results.run("bench/offsets", lambda: offsets_arrive(ctx, broker))
    ctx.results.run("bench/groups", lambda: groups_read_all(ctx, broker))
    ctx.results.run("bench/groups-again", lambda: groups_that_read_again_or_not_all(ctx, broker))
    ctx.results.run("bench/sessions", lambda: sessions(ctx, broker))
    ctx.results.run("bench/kill", lambda: nothing_lost_or_doubled(ctx, broker))
    ctx.results.run("bench/kill-commits", lambda: every_commit_is_made(ctx, broker))
    ctx.results.run("bench/no-reconnect", lambda: without_reconnect(ctx, broker))
    ctx.results.run("bench/wrong-calls", lambda: wrong_calls(ctx, broker))
    broker.stop()
