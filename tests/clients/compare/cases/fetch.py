"""Fetch, with and without sessions, and the requests about offsets: ListOffsets, OffsetForLeaderEpoch, DeleteRecords."""

from cases.produce import CONFIG, TIME, UNKNOWN_ID, at, at_topic, create, encode, ends, prepare  # noqa: F401
from lib.wait import wait_until
from step import Restart, Step

ALL = range(4, 19)
BY_ID = range(13, 19)
SESSIONS = range(7, 19)
BATCHES = 4  # of three records each, a second apart


def batches(topic, partitions):
    """Each partition gets BATCHES batches."""
    for n in range(BATCHES):
        raw = encode([b"%d-%d" % (n, i) for i in range(3)], timestamp=TIME + n * 1000)
        body = {"Acks": -1, "TimeoutMs": 5000, "TopicData": [at_topic(topic, *(at(p, raw) for p in partitions))]}
        yield Step("Produce", f"{topic} {n}", body, [7])


def topics():
    yield create("f", 4)
    yield create("trimmed", 2)
    yield create("empty", 1)
    yield create("compacted", 1, cleanup_policy="compact")
    yield create("both", 1, cleanup_policy="compact,delete")
    yield create("broker-time", 1, message_timestamp_type="LogAppendTime")
    for v in range(3):
        yield create(f"cut-{v}", 2)
        yield from batches(f"cut-{v}", range(2))
    yield from batches("f", range(4))
    yield from batches("trimmed", range(2))
    keyed = encode([(b"k", b"a"), (b"l", b"b")])
    for name in ("compacted", "both"):
        yield Step("Produce", name, {"Acks": -1, "TopicData": [at_topic(name, at(0, keyed))], "TimeoutMs": 5000}, [7])
    trim = {"Topics": [{"Name": "trimmed", "Partitions": [{"PartitionIndex": 0, "Offset": 4}]}], "TimeoutMs": 5000}
    yield Step("DeleteRecords", "trimmed", trim, [2])


# ---- Fetch
def part(partition, offset=0, size=1 << 20, **more):
    return {"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": size, **more}


def of(name, *parts):
    return {"Topic": name, "TopicId": lambda side: side.seen.get(name, UNKNOWN_ID), "Partitions": list(parts)}


def fetch(label, topics_asked, versions=ALL, remember=None, **more):
    body = {"MaxWaitMs": 0, "MinBytes": 0, "Topics": topics_asked, **more}
    return Step("Fetch", label, body, versions, remember)


def replica(version, node, epoch=-1):
    return {"ReplicaState": {"ReplicaId": node, "ReplicaEpoch": epoch}} if version >= 15 else {"ReplicaId": node}


def plain_fetches():
    yield fetch("all", [of("f", part(0))])
    yield fetch("two partitions", [of("f", part(0), part(1, 3))])
    yield fetch("two topics", [of("f", part(0)), of("trimmed", part(1))])
    yield fetch("inside a batch", [of("f", part(0, 4))])
    yield fetch("at the end", [of("f", part(0, 12))])
    yield fetch("empty topic", [of("empty", part(0))])
    yield fetch("behind the end", [of("f", part(0, 13))])
    yield fetch("far behind the end", [of("f", part(0, 2**40))])
    yield fetch("negative", [of("f", part(0, -1))])
    yield fetch("below the start", [of("trimmed", part(0, 3))])
    yield fetch("at the start", [of("trimmed", part(0, 4))])
    yield fetch("unknown partition", [of("f", part(9))])
    yield fetch("negative partition", [of("f", part(-1))])
    yield fetch("unknown topic", [of("nowhere", part(0))])
    yield fetch("bad topic", [of("a/b", part(0))])
    yield fetch("no id", [{"Topic": "", "TopicId": "AAAAAAAAAAAAAAAAAAAAAA", "Partitions": [part(0)]}])
    yield fetch("one good", [of("nowhere", part(0)), of("f", part(0, 9), part(9), part(1, 99))])
    yield fetch("internal topic", [of("__consumer_offsets", part(0))], range(4, 13))
    yield fetch("metadata topic", [of("__cluster_metadata", part(0))], range(4, 13))
    yield fetch("metadata topic by id", [{"TopicId": "AAAAAAAAAAAAAAAAAAAAAQ", "Partitions": [part(0)]}], BY_ID)
    yield fetch("nothing", [])
    yield fetch("no partitions", [of("f")])
    yield fetch("partition twice", [of("f", part(0), part(0, 9))])
    yield fetch("topic twice", [of("f", part(0, 9)), of("f", part(1, 9))])
    yield fetch("topic and partition twice", [of("f", part(0, 3)), of("f", part(0, 9))])


def limits():
    yield fetch("one byte", [of("f", part(0))], MaxBytes=1)
    yield fetch("one byte of a partition", [of("f", part(0, 0, 1), part(1, 0, 1))])
    yield fetch("one byte, two partitions", [of("f", part(0), part(1))], MaxBytes=1)
    yield fetch("no bytes", [of("f", part(0), part(1))], MaxBytes=0)
    yield fetch("negative bytes", [of("f", part(0), part(1))], MaxBytes=-1)
    yield fetch("no bytes of a partition", [of("f", part(0, 0, 0), part(1))])
    yield fetch("negative bytes of a partition", [of("f", part(0, 0, -1), part(1))])
    yield fetch("two batches", [of("f", part(0, 0, 200), part(1))])
    yield fetch("more than there is", [of("f", part(0))], [4, 12, 18], MinBytes=1 << 20, MaxWaitMs=20)
    yield fetch("end, with a wait", [of("f", part(0, 12))], [4, 12, 18], MinBytes=1, MaxWaitMs=20)
    yield fetch("error, with a wait", [of("f", part(0, 12), part(1, 99))], MinBytes=1 << 20, MaxWaitMs=3000)
    yield fetch("negative wait", [of("f", part(0, 12))], MinBytes=1, MaxWaitMs=-1)
    yield fetch("negative minimum", [of("f", part(0))], MinBytes=-1)
    for level in (0, 1, 2, -1):
        yield fetch(f"isolation {level}", [of("f", part(0))], IsolationLevel=level)
        yield fetch(f"isolation {level}, nothing", [of("empty", part(0))], IsolationLevel=level)


def epochs():
    with_epochs = range(9, 19)
    yield fetch("epoch", [of("f", part(0, CurrentLeaderEpoch=0))], with_epochs)
    yield fetch("future epoch", [of("f", part(0, CurrentLeaderEpoch=5), part(1, CurrentLeaderEpoch=0))], with_epochs)
    yield fetch("past epoch", [of("f", part(0, CurrentLeaderEpoch=-2))], with_epochs)
    with_last = range(12, 19)
    yield fetch("last epoch", [of("f", part(0, 3, LastFetchedEpoch=0))], with_last)
    yield fetch("last epoch at the end", [of("f", part(0, 12, LastFetchedEpoch=0))], with_last)
    yield fetch("last epoch behind the end", [of("f", part(0, 20, LastFetchedEpoch=0))], with_last)
    yield fetch("last epoch that is not", [of("f", part(0, 3, LastFetchedEpoch=4))], with_last)
    yield fetch("last epoch that is not, trimmed", [of("trimmed", part(0, 6, LastFetchedEpoch=4))], with_last)
    yield fetch("negative last epoch", [of("f", part(0, 3, LastFetchedEpoch=-2))], with_last)
    yield fetch("last epoch of an empty log", [of("empty", part(0, 0, LastFetchedEpoch=0))], with_last)
    yield fetch("another cluster", [of("f", part(0, 9))], with_last, ClusterId="nonsense")
    yield fetch("rack", [of("f", part(0, 9))], range(11, 19), RackId="r")


def followers():
    for v in (4, 9, 12, 14, 15, 18):
        for node in (1, 2, -2, -3):
            yield fetch(f"replica {node}", [of("f", part(0))], [v], **replica(v, node))
    for epoch in (0, 7):
        yield fetch(f"replica of epoch {epoch}", [of("f", part(0))], [15, 18], **replica(15, 2, epoch))


def session(name, off=0):
    """The fields that go on with the session of that name."""
    return {"SessionId": lambda side: side.seen.get(f"session {name}", 77), "SessionEpoch": lambda side: side.seen.get(f"epoch {name}", 1) + off}


def begins(name):
    def remember(side, _, answer):
        side.seen[f"session {name}"] = answer.get("SessionId", 0)
        side.seen[f"epoch {name}"] = 1

    return remember


def goes_on(name):
    def remember(side, _, answer):
        if answer.get("ErrorCode") == 0:
            side.seen[f"epoch {name}"] += 1

    return remember


def sessions():
    for v in SESSIONS:
        more = {"versions": [v], "remember": goes_on(v)}
        yield fetch("session", [of("f", part(0, 9), part(1, 12))], [v], begins(v), SessionId=0, SessionEpoch=0)
        yield fetch("session, nothing new", [], **more, **session(v))
        yield fetch("session, another offset", [of("f", part(0, 12))], **more, **session(v))
        yield fetch("session, nothing new at all", [], **more, **session(v))
        yield fetch("session, more", [of("f", part(2, 9)), of("trimmed", part(0, 10))], **more, **session(v))
        yield fetch("session, unknown", [of("f", part(9)), of("nowhere", part(0))], **more, **session(v))
        yield fetch("session, still unknown", [], **more, **session(v))
        gone = [{**of("f"), "Partitions": [9, 2]}, {**of("nowhere"), "Partitions": [0]}]
        yield fetch("session, forgotten", [], ForgottenTopicsData=gone, **more, **session(v))
        yield fetch("session, after that", [], **more, **session(v))
        gone = [{**of("f"), "Partitions": [0]}]
        yield fetch("session, forgotten and wanted", [of("f", part(0, 9))], ForgottenTopicsData=gone, **more, **session(v))
        yield fetch("session, forgotten that it never had", [], ForgottenTopicsData=[{**of("empty"), "Partitions": [0, 5]}], **more, **session(v))
        yield fetch("session, old epoch", [], **more, **session(v, -1))
        yield fetch("session, future epoch", [], **more, **session(v, 3))
        yield fetch("session, negative epoch", [], **more, SessionId=session(v)["SessionId"], SessionEpoch=-7)
        yield fetch("session, behind the end", [of("f", part(1, 50))], **more, **session(v))
        yield fetch("session, still behind the end", [], **more, **session(v))
        yield fetch("session, limited", [of("f", part(0, 0), part(1, 0), part(2, 0))], MaxBytes=100, **more, **session(v))
        yield fetch("session, the next ones", [], MaxBytes=100, **more, **session(v))
        yield fetch("session, of the other kind", [], [12 if v >= 13 else 13], **session(v))
        yield fetch("session, closed", [of("f", part(0, 9))], [v], SessionId=session(v)["SessionId"], SessionEpoch=-1)
        yield fetch("session, gone", [], **more, **session(v))
        everything = [{**of("f"), "Partitions": [0]}]
        yield fetch("short session", [of("f", part(0, 9))], [v], begins(v), SessionId=0, SessionEpoch=0)
        yield fetch("short session, nothing left", [], ForgottenTopicsData=everything, **more, **session(v))
        yield fetch("short session, over", [], **more, **session(v))
    yield fetch("unknown session", [of("f", part(0, 9))], SESSIONS, SessionId=12345, SessionEpoch=1)
    yield fetch("unknown session, first epoch", [of("f", part(0, 9))], SESSIONS, SessionId=12345, SessionEpoch=0)
    yield fetch("unknown session, last epoch", [of("f", part(0, 9))], SESSIONS, SessionId=12345, SessionEpoch=-1)
    yield fetch("no session, epoch", [of("f", part(0, 9))], SESSIONS, SessionId=0, SessionEpoch=1)
    yield fetch("empty session", [], SESSIONS, SessionId=0, SessionEpoch=0)
    yield fetch("session of errors", [of("nowhere", part(0))], SESSIONS, SessionId=0, SessionEpoch=0)


# ---- ListOffsets
def listed(label, name, *times, versions=range(1, 12), partition=0, **more):
    parts = [{"PartitionIndex": partition, "Timestamp": t} for t in times]
    return Step("ListOffsets", label, {"ReplicaId": -1, "Topics": [{"Name": name, "Partitions": parts}], **more}, versions)


def listings():
    times = {
        "latest": -1,
        "earliest": -2,
        "largest": -3,
        "earliest local": -4,
        "latest tiered": -5,
        "earliest pending upload": -6,
        "no such special": -7,
        "very negative": -(2**63),
        "0": 0,
        "first": TIME,
        "between": TIME + 500,
        "second": TIME + 1000,
        "last": TIME + 3000,
        "after the last": TIME + 3001,
        "after all": 2**63 - 1,
    }
    for label, t in times.items():
        for name in ("f", "empty", "trimmed"):
            yield listed(f"{label} of {name}", name, t)
        yield listed(f"{label}, committed", "f", t, versions=range(2, 12), IsolationLevel=1)
    yield listed("compacted", "compacted", -3)
    yield listed("isolation 2", "f", -1, IsolationLevel=2)
    yield listed("isolation -1", "f", -1, IsolationLevel=-1)
    yield listed("unknown partition", "f", -1, partition=9)
    yield listed("negative partition", "f", -1, partition=-1)
    yield listed("unknown topic", "nowhere", -1)
    yield listed("bad topic", "a/b", -1)
    yield listed("empty topic name", "", -1)
    yield listed("internal topic", "__consumer_offsets", -2)
    yield listed("twice", "f", -1, -2)
    yield listed("unknown twice", "nowhere", -1, -2)
    yield listed("no partitions", "f")
    yield Step("ListOffsets", "nothing", {"ReplicaId": -1, "Topics": []})
    for node in (0, 1, 2, -2, -3):
        yield listed(f"replica {node}", "f", -1, ReplicaId=node)
    for epoch in (0, 5, -2):
        parts = [{"PartitionIndex": p, "Timestamp": -1, "CurrentLeaderEpoch": epoch if p == 0 else -1} for p in (0, 1)]
        yield Step("ListOffsets", f"epoch {epoch}", {"ReplicaId": -1, "Topics": [{"Name": "f", "Partitions": parts}]}, range(4, 12))
    two = [{"Name": n, "Partitions": [{"PartitionIndex": p, "Timestamp": -1}]} for n, p in (("f", 0), ("empty", 0), ("f", 1), ("f", 0))]
    yield Step("ListOffsets", "topic twice", {"ReplicaId": -1, "Topics": two})
    yield listed("no time", "f", -1, versions=[10, 11], TimeoutMs=0)


# ---- OffsetForLeaderEpoch
def ended(label, name, *parts, versions=range(2, 5), **more):
    """`parts`: partition, current epoch, epoch."""
    asked = [{"Partition": p, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch} for p, current, epoch in parts]
    return Step("OffsetForLeaderEpoch", label, {"Topics": [{"Topic": name, "Partitions": asked}], **more}, versions)


def leader_epochs():
    for name in ("f", "empty", "trimmed"):
        for epoch in (0, 1, -1, -2, 99):
            yield ended(f"{name}, epoch {epoch}", name, (0, -1, epoch))
    for current in (0, 5, -2):
        yield ended(f"current epoch {current}", "f", (0, current, 0))
    yield ended("two", "f", (0, -1, 0), (1, -1, 0))
    yield ended("twice", "f", (0, -1, 0), (0, -1, 0))
    yield ended("unknown partition", "f", (9, -1, 0), (-1, -1, 0))
    yield ended("unknown topic", "nowhere", (0, -1, 0))
    yield ended("bad topic", "a/b", (0, -1, 0))
    yield ended("internal topic", "__consumer_offsets", (0, -1, 99))
    yield ended("no partitions", "f")
    yield Step("OffsetForLeaderEpoch", "nothing", {"Topics": []})
    for node in (1, 2, -1, -2, -3):
        yield ended(f"replica {node}", "f", (0, -1, 0), versions=[3, 4], ReplicaId=node)


# ---- DeleteRecords
def delete(label, name, *parts, more=()):
    """`parts`: partition, offset."""
    asked = [{"PartitionIndex": p, "Offset": o} for p, o in parts]
    return Step("DeleteRecords", label, {"Topics": [{"Name": name, "Partitions": asked}, *more], "TimeoutMs": 5000})


def deletions():
    yield delete("inside a batch", "cut-{v}", (0, 4))
    yield delete("the same", "cut-{v}", (0, 4))
    yield delete("lower", "cut-{v}", (0, 2))
    yield delete("behind the end", "cut-{v}", (0, 13))
    yield delete("far behind the end", "cut-{v}", (0, 2**40))
    yield delete("minus two", "cut-{v}", (0, -2))
    yield delete("two", "cut-{v}", (0, 6), (1, 5))
    yield delete("one good", "cut-{v}", (0, 7), (9, 1))
    yield delete("twice", "cut-{v}", (1, 6), (1, 7))
    yield delete("all", "cut-{v}", (0, -1))
    yield delete("all again", "cut-{v}", (0, -1))
    yield delete("to the end", "cut-{v}", (1, 12))
    yield delete("nothing to delete", "empty", (0, 0))
    yield delete("all of nothing", "empty", (0, -1))
    yield delete("behind nothing", "empty", (0, 1))
    yield delete("compacted", "compacted", (0, 1))
    yield delete("compacted, all", "compacted", (0, -1))
    yield delete("compacted and deleted", "both", (0, 1))
    yield delete("unknown partition", "f", (9, 1), (-1, 1))
    yield delete("unknown topic", "nowhere", (0, 1))
    yield delete("bad topic", "a/b", (0, 1))
    yield delete("internal topic", "__consumer_offsets", (0, 1))
    yield delete("metadata topic", "__cluster_metadata", (0, 1))
    yield delete("no partitions", "f")
    yield delete("topic twice", "empty", (0, 0), more=[{"Name": "empty", "Partitions": [{"PartitionIndex": 0, "Offset": -1}]}])
    yield Step("DeleteRecords", "nothing", {"Topics": [], "TimeoutMs": 5000})
    yield Step("DeleteRecords", "no time", {"Topics": [{"Name": "f", "Partitions": [{"PartitionIndex": 3, "Offset": 1}]}], "TimeoutMs": 0})
    yield ends("of deleted", "cut-0", range(2))
    yield listed("earliest of deleted", "cut-0", -2)
    yield listed("largest of deleted", "cut-0", -3)
    yield listed("time in deleted", "cut-0", TIME)
    yield ended("epoch of deleted", "cut-0", (0, -1, 0))
    yield fetch("deleted", [of("cut-0", part(0), part(1, 11))])


# ---- after a restart, which gives leaders new epochs: how many is a broker's own affair
def learn_epochs(side):
    """Waits until all is led again, and names the leaders' epoch."""

    def led():
        body = {"Topics": [{"Name": "f"}, {"Name": "trimmed"}], "AllowAutoTopicCreation": False}
        parts = [p for t in side.caller.call("Metadata", 9, body)["Topics"] for p in t["Partitions"]]
        return parts and all(p["ErrorCode"] == 0 and p["LeaderId"] == 1 for p in parts) and parts[0]["LeaderEpoch"]

    side.seen["epoch"] = wait_until(led, 30, "leaders after a restart")
    for field in ("LeaderEpoch", "Epoch"):
        side.named[field, side.seen["epoch"]] = "<the leader's epoch>"


def epoch(off=0):
    return lambda side: side.seen["epoch"] + off


def restarted():
    yield Restart(learn_epochs)
    raw = encode([b"x", b"y", b"z"])
    yield Step("Produce", "after a restart", {"Acks": -1, "TimeoutMs": 5000, "TopicData": [at_topic("f", at(0, raw))]}, [7])
    for label, current in (("leader's epoch", 0), ("epoch before", -1), ("epoch after", 1)):
        asked = [{"PartitionIndex": 0, "Timestamp": -1, "CurrentLeaderEpoch": epoch(current)}]
        yield Step("ListOffsets", label, {"ReplicaId": -1, "Topics": [{"Name": "f", "Partitions": asked}]}, range(4, 12))
        yield fetch(label, [of("f", part(0, 15, CurrentLeaderEpoch=epoch(current)))], range(9, 19))
        yield ended(label, "f", (0, epoch(current), 0))
        yield ended(f"{label} is asked for", "f", (0, -1, epoch(current)))
    yield ended("first epoch", "f", (0, -1, 0))
    yield ended("first epoch, nothing new", "f", (1, -1, 0))
    yield ended("first epoch, trimmed", "trimmed", (0, -1, 0))
    for label, partition, offset, last in (
        ("in the first epoch", 0, 3, 0),
        ("at the end of the first epoch", 1, 12, 0),
        ("behind the first epoch", 0, 14, 0),
        ("in the leader's epoch", 0, 15, epoch()),
        ("before the leader's epoch", 0, 3, epoch()),
        ("behind the leader's epoch", 0, 17, epoch()),
        ("of an epoch to come", 0, 15, epoch(1)),
    ):
        yield fetch(label, [of("f", part(partition, offset, LastFetchedEpoch=last))], range(12, 19), MaxBytes=1)


def steps():
    yield from topics()
    yield from plain_fetches()
    yield from limits()
    yield from epochs()
    yield from followers()
    yield from sessions()
    yield from listings()
    yield from leader_epochs()
    yield from deletions()
    yield from restarted()
