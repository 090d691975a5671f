"""Groups of the consumer protocol: heartbeats that join, go on, leave and are refused, and the descriptions of it all."""

from cases.groups import commit, fetch, heartbeat, join, keep, leave, member, prepare, sync  # noqa: F401
from step import Step

CONFIG = {
    "group.max.size": "1",
    "group.consumer.max.size": "2",
    "group.consumer.assignment.interval.ms": "0",
    "offsets.topic.num.partitions": "3",
}
TOPIC = "q"
LATEST = 1
OTHER_ID = "AAAAAAAAAAAAAAAAAAAABw"
DELETE, STATIC_LEAVE = -1, -2


def beat(label, group, who, epoch, at=None, remember=None, **more):
    body = {"GroupId": group, "MemberId": who, "MemberEpoch": epoch}
    return Step("ConsumerGroupHeartbeat", label, {**body, **more}, at, remember)


def enter(label, group, who, at=None, remember=None, **more):
    body = {"RebalanceTimeoutMs": 5000, "SubscribedTopicNames": [TOPIC], "TopicPartitions": []}
    return beat(label, group, who, 0, at, remember, **{**body, **more})


def owned(*partitions):
    return [{"TopicId": lambda side: side.seen[TOPIC], "Partitions": list(partitions)}]


def epoch_of(name, off=0):
    return lambda side: side.seen.get(name, 1) + off


def remember_epoch(name):
    def remember(side, version, answer):
        del version
        if answer.get("ErrorCode") == 0:
            side.seen[name] = answer["MemberEpoch"]
            if answer.get("MemberId"):
                side.seen[f"{name}-id"] = answer["MemberId"]

    return remember


def describe(label, *groups, at=None, operations=False):
    body = {"GroupIds": list(groups), "IncludeAuthorizedOperations": operations}
    return Step("ConsumerGroupDescribe", label, body, at)


def refused():
    yield enter("empty group", "", "m")
    yield enter("no member id", "r-{v}", "", [1])
    yield enter("no topics", "r-{v}", "m", SubscribedTopicNames=None)
    yield enter("empty list of topics", "r-{v}", "m-list", SubscribedTopicNames=[])
    yield enter("owned partitions", "r-{v}", "m", TopicPartitions=owned(0))
    yield enter("null owned partitions", "r-{v}", "m", TopicPartitions=None)
    yield enter("no timeout", "r-{v}", "m", RebalanceTimeoutMs=-1)
    yield enter("zero timeout", "r-{v}", "m", RebalanceTimeoutMs=0)
    yield enter("empty instance", "r-{v}", "m", InstanceId="")
    yield enter("empty rack", "r-{v}", "m", RackId="")
    yield enter("assignor", "r-{v}", "m", ServerAssignor="no such")
    yield enter("empty assignor", "r-{v}", "m", ServerAssignor="")
    yield enter("bad pattern", "r-{v}", "m", [1], SubscribedTopicRegex="(")
    yield enter("empty pattern", "r-{v}", "m-pattern", [1], SubscribedTopicRegex="", SubscribedTopicNames=None)
    yield beat("very negative epoch", "r-{v}", "m", -3)
    yield beat("leave of nobody", "r-{v}", "m", DELETE)
    yield beat("static leave without a name", "r-{v}", "m", STATIC_LEAVE)
    yield beat("static leave of nobody", "r-{v}", "m", STATIC_LEAVE, InstanceId="one")
    yield beat("stranger", "r-{v}", "m", 1)
    yield beat("stranger in no group", "nowhere", "m", 1)
    yield beat("empty member", "nowhere", "", 1)
    yield describe("unknown", "nowhere", "", "nowhere")
    yield describe("nothing")


def life(v):
    """One member: joins, takes its partitions, changes its mind, leaves."""
    g, who = f"modern-{v}", member(f"modern-{v}-id")
    name, at = f"modern-{v}", [v]
    keeping = remember_epoch(name)
    yield enter(f"joins {v}", g, "" if v == 0 else "chosen-by-the-client", at, keeping)
    yield describe(f"joined {v}", g, at=at)
    yield beat(f"takes its partitions {v}", g, who, epoch_of(name), at, keeping, TopicPartitions=owned(0, 1))
    yield beat(f"nothing new {v}", g, who, epoch_of(name), at, keeping)
    yield describe(f"stable {v}", g, at=at)
    yield describe(f"operations {v}", g, at=at, operations=True)
    yield Step("DescribeGroups", f"of the other kind {v}", {"Groups": [g]})
    yield Step("ListGroups", f"stable {v}", {})
    yield Step("ListGroups", f"consumers {v}", {"TypesFilter": ["consumer"], "StatesFilter": ["Stable"]}, [5])
    yield from commit(f"member {v}", g, who, epoch_of(name), [8, 9, 10])
    yield from commit(f"stale {v}", g, who, epoch_of(name, -1))
    yield from commit(f"future {v}", g, who, epoch_of(name, 5))
    yield from commit(f"outsider {v}", g)
    yield from commit(f"stranger {v}", g, "stranger", 1, [8, 9, 10])
    yield from fetch(f"member {v}", g, [9, 10], who=who, epoch=epoch_of(name))
    yield from fetch(f"stale {v}", g, [9, 10], who=who, epoch=epoch_of(name, -1))
    yield from fetch(f"stranger {v}", g, [9, 10], who="stranger", epoch=1)
    yield from fetch(f"outsider {v}", g)
    yield beat(f"old epoch {v}", g, who, epoch_of(name, -1), at)
    yield beat(f"future epoch {v}", g, who, epoch_of(name, 7), at)
    yield beat(f"partitions that are not its own {v}", g, who, epoch_of(name), at, keeping, TopicPartitions=owned(0, 1))
    yield enter(f"joins again {v}", g, who, at, keeping)
    yield beat(f"other topics {v}", g, who, epoch_of(name), at, keeping, SubscribedTopicNames=[TOPIC, "later"])
    yield beat(f"range {v}", g, who, epoch_of(name), at, keeping, ServerAssignor="range", TopicPartitions=owned(0, 1))
    yield describe(f"range {v}", g, at=at)
    yield Step("DeleteGroups", f"not empty {v}", {"GroupsNames": [g]})
    one = {"Name": TOPIC, "Partitions": [{"PartitionIndex": 0}]}
    yield Step("OffsetDelete", f"subscribed {v}", {"GroupId": g, "Topics": [one]})
    yield heartbeat(f"classic {v}", g, who, 1)
    yield sync(f"classic {v}", g, who, 1)
    yield from leave(f"classic stranger {v}", g, "stranger", [3, 4, 5])
    yield join(f"classic without a subscription {v}", g, "", [9], Protocols=[{"Name": "range", "Metadata": ""}])
    yield join(f"classic of another kind {v}", g, "", [9], ProtocolType="connect")
    yield beat(f"leaves {v}", g, who, DELETE, at)
    yield beat(f"left {v}", g, who, epoch_of(name), at)
    yield describe(f"empty {v}", g, at=at)
    yield Step("DeleteGroups", f"empty {v}", {"GroupsNames": [g]})
    yield describe(f"deleted {v}", g, at=at)


def static(v):
    g, at = f"modern-static-{v}", [v]
    yield enter(f"static {v}", g, "first", at, remember_epoch(g), InstanceId="one")
    yield beat(f"static takes {v}", g, member(f"{g}-id"), epoch_of(g), at, InstanceId="one", TopicPartitions=owned(0, 1))
    yield enter(f"static unreleased {v}", g, "second", at, InstanceId="one")
    yield beat(f"static unknown {v}", g, member(f"{g}-id"), epoch_of(g), at, InstanceId="two")
    yield beat(f"static fenced {v}", g, "second", epoch_of(g), at, InstanceId="one")
    yield beat(f"static goes for a while {v}", g, member(f"{g}-id"), STATIC_LEAVE, at, InstanceId="one")
    yield describe(f"static away {v}", g, at=at)
    yield enter(f"static back {v}", g, "second", at, remember_epoch(g), InstanceId="one")
    yield beat(f"static of before {v}", g, "first", 1, at, InstanceId="one")
    yield beat(f"static leaves {v}", g, "second", DELETE, at, InstanceId="one")
    yield describe(f"static gone {v}", g, at=at)


def full():
    for v in (0, 1):
        for n in (1, 2, 3):
            yield enter(f"full {n}", "full-{v}", f"member-{n}", [v])
        yield describe("full", "full-{v}", at=[v])
    for v in (3, 9):
        g = f"full-classic-{v}"
        yield join(f"full one {v}", g, "", [v], remember=keep(g))
        if v >= 4:
            yield join(f"full one with its id {v}", g, member(g), [v])
        yield join(f"full two {v}", g, "", [v])


def patterns():
    """Which topics a pattern finds is told by a later heartbeat, at a time of the broker's own."""
    yield enter("pattern", "pattern", "m", [1], SubscribedTopicNames=None, SubscribedTopicRegex="q.*")


def mixed():
    """Classic groups asked by the new requests."""
    yield join("classic", "classic", "", [3], remember=keep("classic"))
    yield sync("classic", "classic", member("classic"), 1, [3])
    yield describe("classic", "classic")
    yield beat("stranger in a classic group", "classic", "m", 1)
    yield from leave("classic", "classic", member("classic"), [3])
    yield describe("empty classic", "classic")
    yield enter("takes over an empty classic group", "classic", "m", [1])
    yield describe("taken over", "classic")


def steps():
    new = {"Topics": [{"Name": TOPIC, "NumPartitions": 2, "ReplicationFactor": 1}]}
    yield Step("CreateTopics", "q", new, [7], lambda side, _, got: side.seen.update({TOPIC: got["Topics"][0]["TopicId"]}))
    yield from refused()
    for v in range(LATEST + 1):
        yield from life(v)
        yield from static(v)
    yield from full()
    yield from patterns()
    yield from mixed()
