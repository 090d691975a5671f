"""`sluice bench` against the broker: what it says it sent is there, what it read is verified, and it notices damage.

The record counts come from another client's view (offsets), so that the generator does not only agree with itself.
"""

import json
import subprocess

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
    broker = ctx.broker()
    ctx.results.run("bench/every-record", lambda: every_record_arrives(ctx, broker))
    ctx.results.run("bench/end-to-end", lambda: end_to_end(ctx, broker))
    ctx.results.run("bench/offsets", lambda: offsets_arrive(ctx, broker))
    ctx.results.run("bench/wrong-calls", lambda: wrong_calls(ctx, broker))
    broker.stop()
