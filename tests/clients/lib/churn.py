"""Groups under trouble: members come, go and are killed while records are produced and the broker is restarted.

A Ledger takes in everything that members say and judges at the end:
- every record that was acknowledged was read by somebody, with the value it was given;
- no partition has two owners: whoever still holds one when another member is given it was thrown out (its assignment
  is lost, or its process was killed), and commits nothing for it from then on;
- committed offsets never go back, and a new owner goes on where the group was.
"""

import bisect
import itertools
import json
import pathlib
import random
import subprocess
import threading
import time
from collections import defaultdict

from lib import wire
from lib.results import check
from lib.wait import wait_until

HERE = pathlib.Path(__file__).resolve().parent.parent
CONFIG = {
    "group.initial.rebalance.delay.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.assignment.interval.ms": "500",
    "offsets.topic.num.partitions": "5",
}
STILL_HELD = ("revoked", "gone")  # ends of an ownership that its member chose; others: it was thrown out


class Hold:
    """A member held a partition from `start` to `end`."""

    def __init__(self, member, partition, start):
        self.member, self.partition, self.start = member, partition, start
        self.end, self.how, self.first = float("inf"), "held", None

    def close(self, when, how):
        self.end, self.how = when, how


class Ledger:
    def __init__(self, partitions):
        self.lock = threading.Lock()
        self.partitions = partitions
        self.open = defaultdict(dict)  # member -> partition -> Hold
        self.holds = [[] for _ in range(partitions)]
        self.ranges = [[] for _ in range(partitions)]
        self.commits = [[] for _ in range(partitions)]  # (sent, done, offset, member)
        self.wrong, self.last_change, self.counts = [], 0.0, defaultdict(int)

    def take(self, e):
        with self.lock:
            self.counts[e["e"]] += 1
            getattr(self, "on_" + e["e"])(e, e["m"], e["t"])

    def on_assigned(self, e, m, t):
        for p in e["p"]:
            hold = Hold(m, p, t)
            self.open[m][p] = hold
            self.holds[p].append(hold)
        self.last_change = max(self.last_change, t)

    def end(self, m, partitions, t, how):
        for p in partitions:
            hold = self.open[m].pop(p, None)
            if hold:
                hold.close(t, how)
        self.last_change = max(self.last_change, t)

    def on_revoked(self, e, m, t):
        self.end(m, e["p"], t, "revoked")

    def on_lost(self, e, m, t):
        self.end(m, e["p"], t, "lost")

    def on_gone(self, _, m, t):
        self.end(m, list(self.open.pop(m, {})), t, "gone")

    def on_killed(self, _, m, t):
        self.end(m, list(self.open[m]), t, "killed")
        self.open.pop(m)

    def on_read(self, e, m, _):
        self.ranges[e["p"]].append((e["a"], e["b"]))
        hold = self.open[m].get(e["p"])
        if hold and hold.first is None:
            hold.first = e["a"]

    def on_committed(self, e, m, t):
        self.commits[e["p"]].append((e["sent"], t, e["o"], m))

    def on_wrong(self, e, m, _):
        self.wrong.append(f"{m}: partition {e['p']} offset {e['o']}: {e['value']}")

    # ---- questions ---------------------------------------------------------------------------------------------------
    def shares(self):
        with self.lock:
            return {m: len(held) for m, held in self.open.items()}

    def settled(self):
        """Whether every partition has exactly one owner just now."""
        with self.lock:
            owned = [p for held in self.open.values() for p in held]
        return sorted(owned) == list(range(self.partitions))

    def read_until(self, ends):
        with self.lock:
            return all(self.covered(p) >= end for p, end in enumerate(ends))

    def covered(self, p):
        """The first offset that nobody read; ranges are merged as they are looked at."""
        ranges = sorted(self.ranges[p])
        merged = []
        for a, b in ranges:
            if merged and a <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
            else:
                merged.append((a, b))
        self.ranges[p] = merged
        return merged[0][1] if merged and merged[0][0] == 0 else 0

    # ---- judgement ---------------------------------------------------------------------------------------------------
    def judge_partition(self, p):
        holds = sorted(self.holds[p], key=lambda h: h.start)
        for n, a in enumerate(holds):
            for b in holds[n + 1 :]:
                if b.member != a.member and a.end > b.start and a.how in STILL_HELD:
                    yield f"partition {p}: {b.member} was given it {a.end - b.start:.3f} s before {a.member} gave it up"
        starts = [h.start for h in holds]
        for sent, _, offset, m in self.commits[p]:
            last = bisect.bisect_left(starts, sent) - 1
            if last < 0 or holds[last].member != m:
                owner = holds[last].member if last >= 0 else "nobody"
                yield f"partition {p}: a commit of {offset} by {m} was taken, but it was given to {owner}"
        commits = sorted((done, offset, m) for _, done, offset, m in self.commits[p])
        highest = list(itertools.accumulate(commits, lambda a, b: max(a, b, key=lambda c: c[1])))
        for h in holds:
            before = bisect.bisect_left(commits, (h.start,)) - 1
            if before < 0 or h.first is None or h.first >= highest[before][1]:
                continue
            done, floor, m = highest[before]
            yield (
                f"partition {p}: {h.member} began at {h.first}, but {floor} was committed by {m} {h.start - done:.3f} s "
                f"before it was given the partition"
            )

    def judge(self, ends):
        faults = list(self.wrong)
        for p in range(self.partitions):
            faults += list(self.judge_partition(p))
            if self.covered(p) < ends[p]:
                faults.append(f"partition {p}: {ends[p]} acknowledged, {self.covered(p)} read in a row: {self.ranges[p][:3]}")
        check(not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:20]))


class Worker:
    """A process with some members, and the thread that takes in what they say."""

    def __init__(self, group, size):
        self.group, self.size, self.members = group, size, []
        with open(group.log, "ab") as log:
            self.proc = subprocess.Popen(group.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        for line in self.proc.stdout:
            self.group.ledger.take(json.loads(line))

    def tell(self, op, member):
        self.proc.stdin.write(json.dumps({"op": op, "m": member}).encode() + b"\n")
        self.proc.stdin.flush()

    def add(self):
        name = self.group.new_name()
        self.members.append(name)
        self.tell("new", name)
        return name

    def leave(self):
        self.tell("leave", self.members.pop())

    def kill(self):
        when = time.monotonic()
        self.proc.kill()
        self.proc.wait()
        self.thread.join(10)
        for m in self.members:
            self.group.ledger.take({"t": when, "m": m, "e": "killed"})
        self.members = []


class Group:
    """One group and its workers. sizes: members of each worker."""

    def __init__(self, ctx, broker, topic, kind, partitions, sizes, seed):
        self.kind, self.name, self.broker, self.topic = kind, f"{topic}-{kind}", broker, topic
        script = str(HERE / "py" / "churn_members.py")
        self.command = [f"{ctx.deps}/venv/bin/python3", script, broker.bootstrap, self.name, topic, kind]
        self.log = ctx.tmp / f"{self.name}.log"
        self.ledger = Ledger(partitions)
        self.random = random.Random(seed)
        self.names = self.kills = self.adds = self.leaves = 0
        self.floor = [-1] * partitions
        self.workers = [Worker(self, n) for n in sizes]

    def new_name(self):
        self.names += 1
        return f"{self.kind}-{self.names}"

    def members(self):
        return sum(len(w.members) for w in self.workers)

    def join_all(self):
        """All members join at once; the seconds until each has its share, and nothing else moves."""
        for w in self.workers:
            while len(w.members) < w.size:
                w.add()
        time.sleep(1 + self.members() / 50)  # clients are made and connected
        begin = time.monotonic()
        for w in self.workers:
            for m in w.members:
                w.tell("join", m)
        n, parts = self.members(), self.ledger.partitions
        low, high = parts // n, -(-parts // n)

        def shared():
            shares = self.ledger.shares()
            return self.ledger.settled() and len(shares) == n and all(low <= s <= high for s in shares.values())

        wait_until(shared, 60, f"{n} members of {self.name} to share {parts} partitions")
        return self.ledger.last_change - begin

    def fill(self, w):
        while len(w.members) < w.size:
            w.tell("join", w.add())

    def trouble(self):
        """Something happens to a member or two."""
        what = self.random.random()
        w = self.random.choice(self.workers)
        if what < 0.25:
            self.kills += len(w.members)
            w.kill()
            self.workers.remove(w)
            self.workers.append(Worker(self, w.size))
        elif what < 0.6 and len(w.members) > 1:
            self.leaves += 1
            w.leave()
        elif len(w.members) < w.size:
            self.adds += 1
            w.tell("join", w.add())

    def look_at_commits(self):
        """Committed offsets as the broker has them: they never go back."""
        try:
            with wire.Connection(self.broker.host, self.broker.port, 5) as c:
                now, error = c.committed(self.name, self.topic, self.ledger.partitions)
        except OSError:
            return  # it is being restarted
        for p, offset in enumerate(now if not error else []):
            before = self.floor[p]
            check(offset >= before, f"{self.name}: the offset of partition {p} went back from {before} to {offset}")
            self.floor[p] = offset

    def end(self):
        for w in self.workers:
            w.proc.stdin.close()
            w.proc.wait()
            w.thread.join(10)


class Producer:
    """Records whose value is their offset, at a rate, to all partitions in turn; a process of its own."""

    def __init__(self, ctx, broker, topic, partitions, rate):
        script = str(HERE / "py" / "churn_producer.py")
        command = [f"{ctx.deps}/venv/bin/python3", script, broker.bootstrap, topic, str(partitions), str(rate)]
        with open(ctx.tmp / "producer.log", "ab") as log:
            self.proc = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def stop(self):
        """What each partition holds now."""
        out, _ = self.proc.communicate(timeout=90)
        check(self.proc.returncode == 0 and out, "the producer failed")
        said = json.loads(out)
        check(not said["errors"], f"producing failed: {said['errors']}")
        return said["ends"]

    def end(self):
        self.proc.kill()
        self.proc.wait()


def rounds(groups, seconds, broker, pause, say):
    """Trouble for so long; at a third of it the broker stops and starts, at two thirds it is killed."""
    begin = time.monotonic()
    restarts = [(seconds / 3, "stopped", broker.stop), (seconds * 2 / 3, "killed", broker.kill)]
    while time.monotonic() - begin < seconds:
        if restarts and time.monotonic() - begin >= restarts[0][0]:
            _, what, how = restarts.pop(0)
            how()
            say(f"the broker was {what}, serves again after {broker.start():.2f} s")
        for g in groups:
            g.trouble()
            g.look_at_commits()
        time.sleep(pause)


def play(ctx, kinds, partitions, sizes, seconds, rate, pause, seed=1):
    """The whole: groups of these kinds over one topic. Returns their Group objects, judged."""
    broker = ctx.broker(CONFIG)
    topic = "churn"
    with wire.Connection(broker.host, broker.port) as c:
        check(c.create_topic(topic, partitions) == 0, "CreateTopics failed")
        c.wait_for_leaders(topic, partitions)
    groups = [Group(ctx, broker, topic, kind, partitions, sizes, seed + n) for n, kind in enumerate(kinds)]
    producer = Producer(ctx, broker, topic, partitions, rate)
    try:
        for g in groups:
            g.joined = g.join_all()
            say = f"      churn: {g.name}: {g.members()} members share {partitions} partitions after {g.joined:.2f} s"
            ctx.results.say(say)
        rounds(groups, seconds, broker, pause, lambda text: ctx.results.say(f"      churn: {text}"))
        for g in groups:
            for w in g.workers:
                g.fill(w)
        ends = producer.stop()
        for g in groups:
            wait_until(lambda g=g: g.ledger.settled(), 60, f"{g.name} to settle")
            wait_until(lambda g=g: g.ledger.read_until(ends), 60, f"{g.name} to read everything")
            g.look_at_commits()
    finally:
        producer.end()
        for g in groups:
            g.end()
    for g in groups:
        g.ledger.judge(ends)
        n = g.ledger.counts
        ctx.results.say(
            f"      churn: {g.name}: {sum(ends)} records, {n['committed']} offsets committed, {n['assigned']} assignments, "
            f"{g.kills} members killed, {g.adds} added, {g.leaves} left, {n['lost']} assignments lost"
        )
    broker.stop()
    return groups
