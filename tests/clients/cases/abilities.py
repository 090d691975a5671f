"""What each client can do beside reading and writing: seek by time, pause and resume, and every admin call that it has."""

import json
import subprocess
import time

from cases.groups import CONFIG, PARTS, balance, connect, kinds_here, produce, together, wait_read
from lib import batch, commandline, drivers, members
from lib.results import check, same
from lib.wait import wait_until

RECORDS = 40
SOUGHT = 25
STEP_MS = 1000


def timed_topic(broker, topic, start_ms):
    """Partition p's record i has the timestamp start + 1000 i + p."""
    with connect(broker) as c:
        same(0, c.create_topic(topic, PARTS), "error of CreateTopics")
        c.wait_for_leaders(topic, PARTS)
        for p in range(PARTS):
            for i in range(RECORDS):
                one = batch.encode([f"{p}-{i}".encode()], timestamp=start_ms + STEP_MS * i + p)
                same(0, c.produce(topic, p, one).error, "Produce")


def seek(m, start_ms):
    """After the seek each partition is read again from the first record at or after the time, and none before it."""
    m.look()
    m.read = {}
    m.ask("seek", time_ms=start_ms + STEP_MS * SOUGHT)
    want = {p: list(range(SOUGHT, RECORDS)) for p in range(PARTS)}
    wait_until(lambda: m.look() and all(RECORDS - 1 in m.read.get(p, []) for p in range(PARTS)), 30, "reading on from a time")
    same(want, {p: sorted(set(m.read[p])) for p in range(PARTS)}, "records after the seek")


def pause(broker, topic, m):
    """While paused a partition is not read, its neighbours are; once resumed it is read from where it was."""
    m.ask("pause", partitions=[1, 3])
    m.look()
    m.read = {}
    with connect(broker) as c:
        produce(c, topic, 10, "paused")
    end = RECORDS + 10
    wait_until(lambda: m.look() and all(end - 1 in m.read.get(p, []) for p in (0, 2)), 30, "partitions that are not paused")
    time.sleep(0.5)
    m.look()
    same([0, 2], sorted(m.read), "partitions read while two are paused")
    m.ask("resume", partitions=[1, 3])
    wait_until(lambda: m.look() and all(end - 1 in m.read.get(p, []) for p in (1, 3)), 30, "partitions that were resumed")
    for p in range(PARTS):
        same(list(range(RECORDS, end)), sorted(set(m.read[p])), f"records of partition {p} around the pause")


def story(ctx, broker, kind):
    topic = group = f"able-{kind}"
    start_ms = int(time.time() * 1000) - 3_600_000
    timed_topic(broker, topic, start_ms)
    m = members.new(ctx, broker, kind, group, topic, "able")
    try:
        balance([m], [PARTS], "one member to hold all")
        wait_read([m], RECORDS, "all records to be read")
        seek(m, start_ms)
        pause(broker, topic, m)
        if kind != "java":  # of which the admin case sees every call
            done = m.driver.call("admin", bootstrap=broker.bootstrap, name=f"admin-{kind}", group=group, topic=topic)["done"]
            check(len(done) > 5, f"only {done}")
            ctx.results.note(f"admin calls of {kind}", " ".join(sorted(done)))
        m.stop()
    finally:
        m.kill()


def kcat(broker):
    """kcat has no pause; it reads from a time, asks for offsets by time, and lists."""
    topic = "able-kcat"
    start_ms = int(time.time() * 1000) - 3_600_000
    timed_topic(broker, topic, start_ms)
    at = start_ms + STEP_MS * SOUGHT
    run = lambda *args: commandline.run_kcat(["kcat", "-b", broker.bootstrap, *args]).decode()  # noqa: E731
    got = run("-C", "-q", "-t", topic, "-o", f"s@{at}", "-e", "-f", "%p %o\n").split("\n")[:-1]
    want = [f"{p} {o}" for p in range(PARTS) for o in range(SOUGHT, RECORDS)]
    same(sorted(want), sorted(got), "records from a time")
    check(f"{topic} [2] offset {SOUGHT}" in run("-Q", "-t", f"{topic}:2:{at}"), "offset by time")
    listed = json.loads(run("-L", "-J", "-t", topic))
    same(PARTS, len(listed["topics"][0]["partitions"]), "listed partitions")


def verifiable(ctx, broker):
    """Upstream's VerifiableProducer has every message acknowledged, and VerifiableConsumer reads them all."""
    topic, count = "able-verifiable", 2000
    with connect(broker) as c:
        same(0, c.create_topic(topic, PARTS), "error of CreateTopics")
        c.wait_for_leaders(topic, PARTS)
    args = ["--bootstrap-server", broker.bootstrap, "--topic", topic, "--max-messages", str(count), "--acks", "-1"]
    cmd = drivers.tool(ctx.deps, "org.apache.kafka.tools.VerifiableProducer", *args)
    done = subprocess.run(cmd, capture_output=True, timeout=60, check=False)
    events = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    same(0, done.returncode, f"exit status; {done.stderr.decode()[-1000:]}")
    acked = {(e["partition"], e["offset"]) for e in events if e["name"] == "producer_send_success"}
    same(count, len(acked), "acknowledged messages")
    last = events[-1]
    same((count, count), (last["sent"], last["acked"]), "what the producer says at its end")
    m = members.new(ctx, broker, "verifiable", topic, topic, "able")
    read = lambda: {(p, o) for p, offsets in m.read.items() for o in offsets}  # noqa: E731
    try:
        wait_until(lambda: m.look() and acked <= read(), 60, "all messages to be read")
    finally:
        m.kill()
    same(acked, read(), "messages read")


def run(ctx):
    broker = ctx.broker(CONFIG)
    kinds = [k for k in kinds_here(ctx) if k not in ("kcat", "verifiable")]
    together(ctx, "seek-pause-admin", lambda k: story(ctx, broker, k), kinds, "abilities")
    ctx.results.run("abilities/seek-list-kcat", lambda: kcat(broker), ctx.logs)
    ctx.results.run("abilities/verifiable", lambda: verifiable(ctx, broker), ctx.logs)
    ctx.results.run("abilities/last-stop", broker.stop, ctx.logs)
