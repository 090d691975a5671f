"""Several log directories: partitions spread over all of them, survive kills, and stay where they are.

What lies in a directory that is not there has no leader and is not made anew elsewhere; it comes back with the directory.
(A directory that fails under a running broker is in `diskfull`; both brokers in turn are in
`dirs_handover`.)
Where upstream demands that a new directory be formatted, or would make lost partitions anew, the case is for ours alone.
"""

import shutil
import subprocess
import struct

from lib import batch, wire
from lib.broker import BrokerDied
from lib.results import Failure, check, same
from lib.wait import wait_until

from cases import restart

TOPIC, LATER = "dirs", "dirs-later"
PARTS = 9
DESCRIBE_LOG_DIRS = 35
STORAGE_ERROR = 56


def use(broker, root, names, **more):
    dirs = [root / n for n in names]
    broker.data = dirs[0]
    broker.config = {**broker.config, "log.dirs": ",".join(map(str, dirs)), **more}
    return dirs


def connect(broker):
    return wire.Connection(broker.host, broker.port, 30)


def places(dirs, topic=TOPIC):
    """partition -> index of the directory where it lies."""
    found = {}
    for i, d in enumerate(dirs):
        for entry in d.iterdir() if d.is_dir() else ():
            name, _, part = entry.name.rpartition("-")
            if name == topic and part.isdigit():
                check(int(part) not in found, f"{entry.name} lies in two directories")
                found[int(part)] = i
    return found


def make(c, topic, partitions):
    same(0, c.create_topic(topic, partitions), "error of CreateTopics")
    c.wait_for_leaders(topic, partitions)


def fill(c, parts, tag, rounds=10):
    for p in parts:
        for i in range(rounds):
            same(0, c.produce(TOPIC, p, batch.encode([f"{tag}-{p}-{i}".encode() * 20])).error, f"error of Produce to {p}")


def read(c, parts):
    return {p: restart.read_all(c, TOPIC, p)[0] for p in parts}


def log_dirs(c):
    """path -> (error, {(topic, partition): size})."""
    r = c.call(DESCRIBE_LOG_DIRS, 1, struct.pack(">i", -1))
    r.num("i")

    def part():
        return r.num("i"), r.num("q"), r.num("q"), r.num("?")

    def topic():
        return r.string(), r.array(part)

    found = r.array(lambda: (r.num("h"), r.string(), r.array(topic)))
    r.done()
    return {path: (error, {(t, p[0]): p[1] for t, ps in topics for p in ps}) for error, path, topics in found}


def described(c, dirs, where, missing=()):
    told = log_dirs(c)
    same(sorted(map(str, dirs)), sorted(told), "directories of DescribeLogDirs")
    for i, d in enumerate(dirs):
        error, parts = told[str(d)]
        same(STORAGE_ERROR if i in missing else 0, error, f"error of {d.name}")
        mine = sorted(p for p, at in where.items() if at == i and i not in missing)
        same(mine, sorted(p for t, p in parts if t == TOPIC), f"partitions of {d.name}")
        check(all(size > 0 for (t, _), size in parts.items() if t == TOPIC), f"empty partitions in {d.name}")


def filled(broker, names=("a", "b", "c"), **more):
    """A broker that was started with its directories, a topic over all of them, and what is in it."""
    dirs = use(broker, broker.dir, names, **more)
    broker.start()
    with connect(broker) as c:
        make(c, TOPIC, PARTS)
        fill(c, range(PARTS), "one")
        where = places(dirs)
        same(list(range(PARTS)), sorted(where), "partitions in the directories")
        counts = [list(where.values()).count(i) for i in range(len(dirs))]
        check(max(counts) - min(counts) <= 1, f"partitions are spread unevenly: {counts}")
        described(c, dirs, where)
        return dirs, where, read(c, range(PARTS))


def spread(broker):
    dirs, where, before = filled(broker)
    for end in (broker.kill, broker.stop):
        end()
        broker.start()
        with connect(broker) as c:
            c.wait_for_leaders(TOPIC, PARTS)
            same(before, read(c, range(PARTS)), "records")
            same(where, places(dirs), "places")
            fill(c, range(PARTS), "more", 2)
            before = read(c, range(PARTS))
            described(c, dirs, where)
    broker.stop()


def leaders(c):
    return {p[1]: p[2] for p in c.metadata([TOPIC]).topics[TOPIC][1]}


def without(c, where, lost, before):
    """What is not in directory `lost` serves; the rest has no leader and refuses."""
    here = [p for p, i in where.items() if i != lost]
    wait_until(lambda: all(leaders(c)[p] == 1 for p in here), 20, "leaders in the other directories")
    same({p: -1 for p in where if p not in here}, {p: n for p, n in leaders(c).items() if p not in here}, "leaders of lost partitions")
    same({p: before[p] for p in here}, read(c, here), "records in the other directories")
    fill(c, here, "meanwhile", 2)
    for p in where:
        if p not in here:
            same(STORAGE_ERROR, c.produce(TOPIC, p, batch.encode([b"no"])).error, "error of a produce to a lost partition")
    return {**before, **read(c, here)}


def unreadable(broker):
    """A file lies where the directory was: the others serve. Then it is back."""
    dirs, where, before = filled(broker)
    broker.kill()
    dirs[2].rename(broker.dir / "aside")
    dirs[2].write_text("not a directory")
    broker.start()
    with connect(broker) as c:
        before = without(c, where, 2, before)
        described(c, dirs, where, missing=(2,))
        make(c, LATER, 4)
        same({0, 1}, set(places(dirs, LATER).values()), "places of a topic made meanwhile")
    broker.stop()
    dirs[2].unlink()
    (broker.dir / "aside").rename(dirs[2])
    back(broker, dirs, where, before)


def back(broker, dirs, where, before):
    broker.start()
    with connect(broker) as c:
        c.wait_for_leaders(TOPIC, PARTS)
        same(before, read(c, range(PARTS)), "records when the directory is back")
        same(where, places(dirs), "places when the directory is back")
        fill(c, range(PARTS), "back", 2)
    broker.stop()


def removed(broker):
    """A directory is taken out of log.dirs, and put back; a new one is formatted and gets what is made next."""
    dirs, where, before = filled(broker)
    broker.stop()
    use(broker, broker.dir, ("a", "b"))
    broker.start()
    with connect(broker) as c:
        before = without(c, where, 2, before)
        same({p: i for p, i in where.items() if i != 2}, places(dirs[:2]), "nothing is made anew elsewhere")
    broker.stop()
    dirs = use(broker, broker.dir, ("a", "b", "c", "d"))
    back(broker, dirs, where, before)
    broker.start()
    with connect(broker) as c:
        make(c, LATER, 3)
        same({3}, set(places(dirs, LATER).values()), "places of a topic made after a directory was added")
    broker.stop()


def refuses(broker, words):
    try:
        broker.start()
    except BrokerDied:
        check(words in broker.log_tail(5), f"the start does not say: {words}\n{broker.log_tail(5)}")
    else:
        raise Failure(f"the start is not refused: {words}")
    broker.kill()


def offline_tools(ctx, broker):
    """`sluice log check` looks into each directory, after a kill and after a clean stop."""
    dirs, _, _ = filled(broker)
    for end in (broker.kill, broker.stop):
        end()
        done = subprocess.run(
            [str(ctx.build / "sluice"), "log", "check", *map(str, dirs)], capture_output=True, text=True, check=False, timeout=120
        )
        same(0, done.returncode, f"exit status of log check; {done.stdout}{done.stderr}")
        same(3, done.stdout.count("0 problems"), f"directories that were checked; {done.stdout}")
        broker.start()
    broker.stop()


def refused(broker):
    dirs, _, _ = filled(broker)
    broker.stop()
    mine = (dirs[1] / "meta.properties").read_text()
    for other, words in (
        ((dirs[2] / "meta.properties").read_text(), "directory.id"),
        (mine.replace("cluster.id=", "cluster.id=x"), "cluster.id"),
        (mine.replace("node.id=1", "node.id=7"), "node.id"),
    ):
        (dirs[1] / "meta.properties").write_text(other)
        refuses(broker, words)
    (dirs[1] / "meta.properties").write_text(mine)
    place = places(dirs)[0]
    shutil.copytree(dirs[place] / f"{TOPIC}-0", dirs[(place + 1) % 3] / f"{TOPIC}-0")
    refuses(broker, f"{TOPIC}-0")
    shutil.rmtree(dirs[(place + 1) % 3] / f"{TOPIC}-0")
    broker.start()
    with connect(broker) as c:
        c.wait_for_leaders(TOPIC, PARTS)
        fill(c, [0], "journalled")
    broker.kill()
    (dirs[place] / f"{TOPIC}-0").rename(dirs[(place + 1) % 3] / f"{TOPIC}-0")
    refuses(broker, "journal")
    (dirs[(place + 1) % 3] / f"{TOPIC}-0").rename(dirs[place] / f"{TOPIC}-0")
    broker.start()
    broker.stop()


def apart(broker):
    """The metadata log has a directory of its own, without partitions."""
    meta = broker.dir / "meta"
    dirs, where, before = filled(broker, ("a", "b"), **{"metadata.log.dir": str(meta)})
    check((meta / "__cluster_metadata-0").is_dir() and not any(p.name.startswith(TOPIC) for p in meta.iterdir()), "the metadata's directory")
    for end in (broker.kill, broker.stop):
        end()
        back(broker, dirs, where, before)
        broker.start()
        with connect(broker) as c:
            c.wait_for_leaders(TOPIC, PARTS)
            before = read(c, range(PARTS))
    broker.stop()


def run(ctx):
    if not ctx.upstream:
        broker = ctx.broker(name="offline_tools", start=False)
        ctx.results.run("dirs/offline_tools", lambda: offline_tools(ctx, broker), ctx.logs)
        broker.kill()
    tests = [spread, apart] if ctx.upstream else [spread, unreadable, removed, refused, apart]
    for test in tests:
        broker = ctx.broker(name=test.__name__, start=False)
        ctx.results.run(f"dirs/{test.__name__}", lambda t=test, b=broker: t(b), ctx.logs)
        broker.kill()
