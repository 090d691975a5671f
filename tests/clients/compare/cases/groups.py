"""Classic groups and offsets: joining, syncing, staying, leaving; committing, fetching, deleting; listing and describing."""

import base64
import struct

from lib.wait import wait_until
from lib.wire import string
from step import Step

CONFIG = {"offsets.topic.num.partitions": "3", "offset.metadata.max.bytes": "100"}
TOPIC = "q"
TRACKS = range(11)  # a group each, at the versions that its number picks


def b64(raw):
    return base64.b64encode(raw).decode()


SUBSCRIPTION = b64(struct.pack(">hi", 0, 1) + string(TOPIC) + struct.pack(">i", -1))
ASSIGNMENT = b64(struct.pack(">hi", 0, 1) + string(TOPIC) + struct.pack(">iiii", 2, 0, 1, -1))


def pick(i, low, high):
    return [max(low, min(i, high))]


def prepare(side):
    """Has the groups' topic made and its coordinators loaded."""

    def ready(group):
        body = {"Groups": [{"GroupId": group, "Topics": None}]}
        return side.caller.call("OffsetFetch", 8, body)["Groups"][0]["ErrorCode"] == 0

    side.caller.call("FindCoordinator", 1, {"Key": "g"})
    for group in ("a", "b", "c", "d", "e", "f", "g"):
        wait_until(lambda group=group: ready(group), 30, "the groups' coordinators")


def member(name):
    return lambda side: side.seen.get(name, "nobody")


def keep(name, field="MemberId"):
    def remember(side, version, answer):
        del version
        if answer.get(field):
            side.seen[name] = answer[field]

    return remember


def join(label, group, who, at=None, instance=None, remember=None, **more):
    body = {
        "GroupId": group,
        "SessionTimeoutMs": 45000,
        "RebalanceTimeoutMs": 60000,
        "MemberId": who,
        "GroupInstanceId": instance,
        "ProtocolType": "consumer",
        "Protocols": [{"Name": "range", "Metadata": SUBSCRIPTION}],
    }
    if instance is not None:
        at = [v for v in (at or range(5, 10)) if v >= 5]
    return Step("JoinGroup", label, {**body, **more}, at, remember)


def sync(label, group, who, generation, at=None, give=True, **more):
    given = [{"MemberId": who, "Assignment": ASSIGNMENT}] if give else []
    body = {"GroupId": group, "GenerationId": generation, "MemberId": who, "Assignments": given}
    return Step("SyncGroup", label, {**body, "ProtocolType": "consumer", "ProtocolName": "range", **more}, at)


def heartbeat(label, group, who, generation, at=None, instance=None):
    if instance is not None:
        at = [v for v in (at or range(3, 5)) if v >= 3]
    body = {"GroupId": group, "GenerationId": generation, "MemberId": who, "GroupInstanceId": instance}
    return Step("Heartbeat", label, body, at)


def leave(label, group, who, at=None, instance=None):
    """At version 3 and above a list of members, below it one."""
    for v in at or range(6):
        if v >= 3:
            yield Step("LeaveGroup", label, {"GroupId": group, "Members": [{"MemberId": who, "GroupInstanceId": instance}]}, [v])
        elif instance is None:
            yield Step("LeaveGroup", label, {"GroupId": group, "MemberId": who}, [v])


def topics_of(version, partitions, extra, name=TOPIC):
    """By name; at version 10 by id."""
    entry = {"TopicId": lambda side: side.seen[name]} if version >= 10 else {"Name": name}
    return [{**entry, "Partitions": [{"PartitionIndex": p, **extra} for p in partitions]}]


def commit(label, group, who="", epoch=-1, at=None, offset=5, metadata="m", name=TOPIC, partitions=(0,), instance=None):
    for v in at or range(2, 11):
        extra = {"CommittedOffset": offset, "CommittedMetadata": metadata}
        if v >= 6:
            extra["CommittedLeaderEpoch"] = 0
        body = {"GroupId": group, "GenerationIdOrMemberEpoch": epoch, "MemberId": who, "Topics": topics_of(v, partitions, extra, name)}
        if instance is not None and v >= 7:
            body["GroupInstanceId"] = instance
        yield Step("OffsetCommit", label, body, [v])


def fetch(label, group, at=None, partitions=(0, 1, 9), name=TOPIC, every=False, who=None, epoch=-1):
    for v in at or range(1, 11):
        topics = None if every else topics_of(v, (), {}, name)
        if topics:
            topics[0].pop("Partitions")
            topics[0]["PartitionIndexes"] = list(partitions)
        if v >= 8:
            one = {"GroupId": group, "Topics": topics, **({"MemberId": who, "MemberEpoch": epoch} if v >= 9 else {})}
            yield Step("OffsetFetch", label, {"Groups": [one], "RequireStable": True}, [v])
        elif topics or v >= 2:
            yield Step("OffsetFetch", label, {"GroupId": group, "Topics": topics}, [v])


def coordinators():
    for label, key, kind in (
        ("group", "g", 0),
        ("empty", "", 0),
        ("long", "x" * 300, 0),
        ("kind", "g", 9),
        ("negative kind", "g", -1),
        ("share key", "a:AAAAAAAAAAAAAAAAAAAABw:0", 2),
        ("share bad key", "a", 2),
    ):
        yield Step("FindCoordinator", label, {"Key": key, "KeyType": kind}, range(1, 4))
        yield Step("FindCoordinator", label, {"CoordinatorKeys": [key], "KeyType": kind}, range(4, 7))
    yield Step("FindCoordinator", "group", {"Key": "g"}, [0])
    yield Step("FindCoordinator", "several", {"CoordinatorKeys": ["g", "", "h"], "KeyType": 0}, range(4, 7))
    yield Step("FindCoordinator", "nothing", {"CoordinatorKeys": [], "KeyType": 0}, range(4, 7))


def life(i):
    """A group from its first member to its end."""
    g, who = f"life-{i}", member(f"life-{i}")
    keeping = keep(f"life-{i}")
    at = pick(i, 2, 9)
    yield join(f"first {i}", g, "", at, remember=keeping)
    if at[0] >= 4:
        yield join(f"with its id {i}", g, who, at, remember=keeping)
    yield Step("DescribeGroups", f"before sync {i}", {"Groups": [g]}, pick(i, 0, 6))
    yield heartbeat(f"before sync {i}", g, who, 1, pick(i, 0, 4))
    yield from commit(f"before sync {i}", g, who, 1, pick(i, 2, 10))
    yield sync(f"first {i}", g, who, 1, pick(i, 0, 5))
    yield sync(f"again {i}", g, who, 1, pick(i, 0, 5), give=False)
    yield heartbeat(f"stable {i}", g, who, 1, pick(i, 0, 4))
    yield heartbeat(f"old generation {i}", g, who, 0, pick(i, 0, 4))
    yield heartbeat(f"future generation {i}", g, who, 7, pick(i, 0, 4))
    yield heartbeat(f"stranger {i}", g, "stranger", 1, pick(i, 0, 4))
    yield sync(f"old generation {i}", g, who, 0, pick(i, 0, 5))
    yield sync(f"stranger {i}", g, "stranger", 1, pick(i, 0, 5))
    if i >= 5:
        yield sync(f"protocol {i}", g, who, 1, pick(i, 5, 5), ProtocolName="roundrobin")
        yield sync(f"kind {i}", g, who, 1, pick(i, 5, 5), ProtocolType="connect")
    yield from commit(f"stable {i}", g, who, 1, pick(i, 2, 10))
    yield from commit(f"old generation {i}", g, who, 0, pick(i, 2, 10))
    yield from commit(f"stranger {i}", g, "stranger", 1, pick(i, 2, 10))
    yield from commit(f"outsider {i}", g, "", -1, pick(i, 2, 10))
    yield from fetch(f"stable {i}", g, pick(i, 1, 10))
    yield from fetch(f"everything {i}", g, pick(i, 2, 10), every=True)
    yield Step("DescribeGroups", f"stable {i}", {"Groups": [g]}, pick(i, 0, 6))
    yield Step("ListGroups", f"stable {i}", {}, pick(i, 0, 5))
    yield Step("DeleteGroups", f"not empty {i}", {"GroupsNames": [g]}, pick(i, 0, 2))
    one = {"Name": TOPIC, "Partitions": [{"PartitionIndex": 0}]}
    yield Step("OffsetDelete", f"subscribed {i}", {"GroupId": g, "Topics": [one]})
    yield join(f"other protocol {i}", g, "", at, Protocols=[{"Name": "own", "Metadata": ""}])
    yield join(f"other kind {i}", g, "", at, ProtocolType="connect")
    yield join(f"stranger {i}", g, "stranger", at)
    yield join(f"leader with another protocol {i}", g, who, at, Protocols=[{"Name": "own", "Metadata": ""}])
    yield join(f"leader again {i}", g, who, at, Protocols=[{"Name": "range", "Metadata": ""}])
    yield sync(f"second {i}", g, who, 2, pick(i, 0, 5))
    yield from leave(f"stranger {i}", g, "stranger", pick(i, 0, 5))
    yield from leave(f"leaves {i}", g, who, pick(i, 0, 5))
    yield heartbeat(f"left {i}", g, who, 2, pick(i, 0, 4))
    yield sync(f"left {i}", g, who, 2, pick(i, 0, 5))
    yield from leave(f"left {i}", g, who, pick(i, 0, 5))
    yield Step("DescribeGroups", f"empty {i}", {"Groups": [g]}, pick(i, 0, 6))
    yield Step("OffsetDelete", f"empty {i}", {"GroupId": g, "Topics": [one]})
    yield from fetch(f"deleted offset {i}", g, pick(i, 1, 10))
    yield Step("DeleteGroups", f"empty {i}", {"GroupsNames": [g]}, pick(i, 0, 2))
    yield Step("DescribeGroups", f"deleted {i}", {"Groups": [g]}, pick(i, 0, 6))
    yield Step("DeleteGroups", f"deleted {i}", {"GroupsNames": [g]}, pick(i, 0, 2))


def static(i):
    """Members with names of their own: coming back, being fenced, being removed."""
    g, who, again = f"static-{i}", member(f"static-{i}"), member(f"static-{i}-again")
    at = [i]
    yield join(f"static {i}", g, "", at, "one", keep(f"static-{i}"))
    yield sync(f"static {i}", g, who, 1, pick(i, 3, 5), GroupInstanceId="one")
    yield heartbeat(f"static {i}", g, who, 1, pick(i, 3, 4), "one")
    yield Step("DescribeGroups", f"static {i}", {"Groups": [g]}, pick(i, 4, 6))
    yield join(f"static back {i}", g, "", at, "one", keep(f"static-{i}-again"))
    yield heartbeat(f"fenced {i}", g, who, 1, pick(i, 3, 4), "one")
    yield sync(f"fenced {i}", g, who, 1, pick(i, 3, 5), GroupInstanceId="one")
    yield from commit(f"fenced {i}", g, who, 1, pick(i, 7, 9), instance="one")
    yield join(f"fenced {i}", g, who, at, "one")
    yield join(f"unknown id {i}", g, "stranger", at, "two")
    yield heartbeat(f"unknown instance {i}", g, again, 1, pick(i, 3, 4), "two")
    yield from leave(f"fenced {i}", g, who, pick(i, 3, 5), "one")
    yield from leave(f"unknown instance {i}", g, "", pick(i, 3, 5), "two")
    yield from leave(f"by name {i}", g, "", pick(i, 3, 5), "one")
    yield from leave(f"by name again {i}", g, "", pick(i, 3, 5), "one")


def refused():
    yield join("empty group", "", "")
    yield join("short session", "r-{v}", "", SessionTimeoutMs=1)
    yield join("long session", "r-{v}", "", SessionTimeoutMs=2_000_000_000)
    yield join("negative session", "r-{v}", "", SessionTimeoutMs=-1)
    yield join("no protocols", "r-{v}", "", Protocols=[])
    yield join("no kind", "r-{v}", "", ProtocolType="")
    yield join("unknown member", "r-{v}", "stranger")
    yield join("empty instance", "r-{v}-a", "", range(5, 10), "")
    yield join("long instance", "r-{v}-b", "", range(5, 10), "x" * 300)
    yield join("bad instance", "r-{v}-c", "", range(5, 10), "a/b")
    yield sync("empty group", "", "m", 1)
    yield sync("unknown group", "nowhere", "m", 1)
    yield heartbeat("empty group", "", "m", 1)
    yield heartbeat("unknown group", "nowhere", "m", 1)
    yield heartbeat("empty member", "nowhere", "", 1)
    yield from leave("empty group", "", "m")
    yield from leave("unknown group", "nowhere", "m")
    two = [{"MemberId": "m"}, {"MemberId": "", "GroupInstanceId": "i"}]
    yield Step("LeaveGroup", "two unknown", {"GroupId": "nowhere", "Members": two}, range(3, 6))
    yield Step("LeaveGroup", "nobody", {"GroupId": "nowhere", "Members": []}, range(3, 6))
    yield Step("DescribeGroups", "unknown", {"Groups": ["nowhere", "", "nowhere"]})
    yield Step("DescribeGroups", "nothing", {"Groups": []})
    yield Step("DescribeGroups", "operations", {"Groups": ["nowhere"], "IncludeAuthorizedOperations": True}, range(3, 7))
    yield Step("DeleteGroups", "unknown", {"GroupsNames": ["nowhere", "", "nowhere"]})
    yield Step("DeleteGroups", "nothing", {"GroupsNames": []})
    yield Step("OffsetDelete", "unknown group", {"GroupId": "nowhere", "Topics": [{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0}]}]})
    yield Step("OffsetDelete", "empty group", {"GroupId": "", "Topics": [{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0}]}]})


def offsets():
    yield from commit("empty group", "")
    yield from commit("outsider", "o-{v}", partitions=(0, 1))
    yield from commit("unknown partition", "o-{v}", partitions=(0, 9))
    yield from commit("unknown topic", "o-{v}", name="nowhere", at=range(2, 10))
    yield from commit("bad topic", "o-{v}", name="a/b", at=range(2, 10))
    yield from commit("long metadata", "o-{v}", metadata="x" * 101)
    yield from commit("no metadata", "o-{v}", metadata=None)
    yield from commit("negative offset", "o-{v}", offset=-1)
    yield from commit("very negative offset", "o-{v}", offset=-5)
    yield from commit("unknown member", "o-{v}", "stranger", 1)
    yield from commit("generation without a member", "o-{v}", "", 3)
    yield from commit("no group yet", "new-{v}", "stranger", 3)
    yield Step("OffsetCommit", "nothing", {"GroupId": "o-{v}", "GenerationIdOrMemberEpoch": -1, "Topics": []})
    strange = [{"TopicId": "AAAAAAAAAAAAAAAAAAAAJw", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1}]}]
    yield Step("OffsetCommit", "unknown id", {"GroupId": "o-{v}", "GenerationIdOrMemberEpoch": -1, "Topics": strange}, [10])
    yield from fetch("outsider", "o-{v}")
    yield from fetch("everything", "o-{v}", every=True)
    yield from fetch("unknown group", "nowhere")
    yield from fetch("unknown group, everything", "nowhere", every=True)
    yield from fetch("empty group", "")
    yield from fetch("unknown topic", "o-{v}", name="nowhere", at=range(1, 10))
    yield from fetch("as a stranger", "o-{v}", who="stranger", epoch=3, at=(9, 10))
    yield from fetch("as nobody", "o-{v}", who="", epoch=3, at=(9, 10))
    several = [{"GroupId": "o-2", "Topics": None}, {"GroupId": "nowhere", "Topics": None}, {"GroupId": "", "Topics": None}]
    yield Step("OffsetFetch", "several", {"Groups": several, "RequireStable": False}, range(8, 11))
    yield Step("OffsetFetch", "nothing", {"Groups": []}, range(8, 11))
    strange = [{"TopicId": "AAAAAAAAAAAAAAAAAAAAJw", "PartitionIndexes": [0]}]
    yield Step("OffsetFetch", "unknown id", {"Groups": [{"GroupId": "o-2", "Topics": strange}]}, [10])
    for label, topics in (
        ("mixed", [{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0}, {"PartitionIndex": 9}]}]),
        ("unknown topic", [{"Name": "nowhere", "Partitions": [{"PartitionIndex": 0}]}]),
        ("nothing", []),
    ):
        yield Step("OffsetDelete", label, {"GroupId": "o-3", "Topics": topics})
    yield from fetch("after deletion", "o-3", at=[8])


def listings():
    for label, body in (
        ("all", {}),
        ("empty ones", {"StatesFilter": ["Empty"]}),
        ("lower case", {"StatesFilter": ["empty"]}),
        ("unknown state", {"StatesFilter": ["Sleeping"]}),
        ("two states", {"StatesFilter": ["Stable", "Dead"]}),
    ):
        yield Step("ListGroups", label, body, range(4 if body else 0, 6))
    for kinds in (["classic"], ["Consumer"], ["share"], ["streams"], ["none"], ["classic", "consumer"]):
        yield Step("ListGroups", f"kind {' '.join(kinds)}", {"TypesFilter": kinds}, [5])


def steps():
    new = {"Topics": [{"Name": TOPIC, "NumPartitions": 2, "ReplicationFactor": 1}]}
    yield Step("CreateTopics", "q", new, [7], lambda side, _, got: side.seen.update({TOPIC: got["Topics"][0]["TopicId"]}))
    yield from coordinators()
    yield from refused()
    for i in TRACKS:
        yield from life(i)
    for i in range(5, 10):
        yield from static(i)
    yield from offsets()
    yield from listings()
