"""A classic group of two members: what each is told while the group prepares, completes and is stable again, with a fenced
instance, old generations and strangers in every state."""

from cases.groups import CONFIG, TOPIC, commit, heartbeat, join, leave, member, pick, prepare, sync  # noqa: F401
from lib.wait import wait_until
from step import CALL, SEND, TAKE, Step

TRACKS = (2, 4, 5, 7, 9)  # versions of JoinGroup; the other requests' follow
PATIENCE = 60_000  # ms; no member is dropped for being slow


def named(track, who):
    """Keeps a member's id under a name of its own, and shows it by that name."""

    def remember(side, _, answer):
        if answer.get("MemberId"):
            side.seen[f"{who}-{track}"] = answer["MemberId"]
            side.named[answer["MemberId"]] = f"<{who}>"

    return remember


class Group:
    """The requests of one track's group, each at that track's version and on its member's connection."""

    def __init__(self, track):
        self.v, self.name = track, f"two-{track}"

    def id(self, who):
        return member(f"{who}-{self.v}")

    def join(self, label, who, fresh=False, part=CALL, instance=None, **more):
        if instance is not None and self.v < 5:
            instance = None
        own = "" if fresh else self.id(who)
        step = join(f"{label} {self.v}", self.name, own, [self.v], instance, named(self.v, who), RebalanceTimeoutMs=PATIENCE, **more)
        step.on, step.part = f"{who} {self.v}", part
        return step

    def sync(self, label, who, generation, part=CALL, give=False, **more):
        step = sync(f"{label} {self.v}", self.name, self.id(who), generation, pick(self.v, 0, 5), give, **more)
        step.on, step.part = f"{who} {self.v}", part
        return step

    def assign(self, label, generation):
        """The leader gives each member something."""
        given = [{"MemberId": self.id(who), "Assignment": text} for who, text in (("first", "AAAA"), ("second", "AQEB"))]
        return self.sync(label, "first", generation, Assignments=given)

    def heartbeat(self, label, who, generation, instance=None):
        at = pick(self.v, 0, 4)
        return heartbeat(f"{label} {self.v}", self.name, self.id(who), generation, at, instance if at[0] >= 3 else None)

    def commit(self, label, who, generation, instance=None):
        return commit(f"{label} {self.v}", self.name, self.id(who), generation, pick(self.v, 2, 9), instance=instance if self.v >= 7 else None)

    def describe(self, label):
        return Step("DescribeGroups", f"{label} {self.v}", {"Groups": [self.name]}, pick(self.v, 0, 6))

    def until(self, label, state):
        """A description, once the group is in that state: what was sent ahead has arrived."""

        def reached(side):
            def there():
                return side.caller.call("DescribeGroups", 0, {"Groups": [self.name]})["Groups"][0]["GroupState"] == state

            wait_until(there, 20, f"{self.name} to be {state}")
            return self.name

        return Step("DescribeGroups", f"{label} {self.v}", {"Groups": [reached]}, pick(self.v, 0, 6))


def entering(g, who, part=CALL):
    """From version 4 on a member is given its id first."""
    if g.v >= 4:
        yield g.join(f"{who} is given an id", who, fresh=True)
    yield g.join(f"{who} joins", who, fresh=g.v < 4, part=part)


def life(track):
    g = Group(track)
    yield from entering(g, "first")
    yield g.sync("alone", "first", 1, give=True)
    yield from entering(g, "second", SEND)
    yield g.until("preparing", "PreparingRebalance")
    yield g.heartbeat("preparing, first", "first", 1)
    yield g.heartbeat("preparing, first, before", "first", 0)
    yield g.heartbeat("preparing, first, to come", "first", 2)
    yield g.heartbeat("preparing, stranger", "nobody", 1)
    yield from g.commit("preparing, first", "first", 1)
    yield from g.commit("preparing, first, before", "first", 0)
    yield from g.commit("preparing, stranger", "nobody", 1)
    yield g.sync("preparing, first", "first", 1)
    yield g.sync("preparing, first, before", "first", 0)
    yield g.sync("preparing, stranger", "nobody", 1)
    yield from leave(f"preparing, stranger {track}", g.name, "stranger", pick(track, 0, 5))
    yield Step("DeleteGroups", f"preparing {track}", {"GroupsNames": [g.name]}, pick(track, 0, 2))
    yield g.join("first joins again", "first")
    yield g.join("second has joined", "second", part=TAKE)
    yield g.describe("completing")
    for who in ("first", "second"):
        yield g.heartbeat(f"completing, {who}", who, 2)
        yield g.heartbeat(f"completing, {who}, before", who, 1)
        yield from g.commit(f"completing, {who}", who, 2)
        yield from g.commit(f"completing, {who}, before", who, 1)
        yield g.sync(f"completing, {who}, before", who, 1)
    yield g.sync("completing, second", "second", 2, SEND)
    yield g.assign("completing, first", 2)
    yield g.sync("completing, second has its share", "second", 2, TAKE)
    yield g.describe("stable")
    for who in ("first", "second"):
        for label, off in (("", 0), (", before", -1), (", to come", 1)):
            yield g.heartbeat(f"stable, {who}{label}", who, 2 + off)
            yield from g.commit(f"stable, {who}{label}", who, 2 + off)
            yield g.sync(f"stable, {who}{label}", who, 2 + off)
    yield g.heartbeat("stable, stranger", "nobody", 2)
    yield g.sync("stable, stranger", "nobody", 2)
    yield from g.commit("stable, stranger", "nobody", 2)
    yield from leave(f"second leaves {track}", g.name, g.id("second"), pick(track, 0, 5))
    yield g.until("one is left", "PreparingRebalance")
    yield g.heartbeat("one is left, first", "first", 2)
    yield from g.commit("one is left, first", "first", 2)
    yield g.sync("one is left, first", "first", 2)
    yield g.heartbeat("one is left, second", "second", 2)
    yield from g.commit("one is left, second", "second", 2)
    yield g.join("second was here", "second")
    yield g.join("first goes on", "first")
    yield g.sync("first goes on", "first", 3, give=True)
    yield from leave(f"first leaves {track}", g.name, g.id("first"), pick(track, 0, 5))
    yield g.describe("empty")


def static(track):
    """The same, where the second member is an instance whose name another takes over."""
    g = Group(track)
    g.name = f"two-static-{track}"

    def took(side, _, answer):
        if answer.get("MemberId"):
            side.seen[f"successor-{track}"] = answer["MemberId"]
            side.named[answer["MemberId"]] = "<successor>"

    yield g.join("static first joins", "first", fresh=True, instance="one")
    yield g.sync("static alone", "first", 1, give=True)
    yield g.join("static second joins", "second", fresh=True, part=SEND, instance="two")
    yield g.until("static preparing", "PreparingRebalance")
    yield g.heartbeat("static preparing, first", "first", 1, "one")
    yield from g.commit("static preparing, first", "first", 1, "one")
    yield from g.commit("static preparing, other instance", "first", 1, "two")
    yield g.heartbeat("static preparing, other instance", "first", 1, "two")
    yield g.sync("static preparing, other instance", "first", 1, GroupInstanceId="two")
    yield g.sync("static preparing, unknown instance", "first", 1, GroupInstanceId="three")
    yield g.join("static first joins again", "first", instance="one")
    yield g.join("static second has joined", "second", part=TAKE)
    yield from g.commit("static completing, fenced", "second", 2, "one")
    yield g.heartbeat("static completing, fenced", "second", 2, "one")
    yield g.sync("static second syncs", "second", 2, SEND, GroupInstanceId="two")
    yield g.assign("static first syncs", 2)
    yield g.sync("static second has its share", "second", 2, TAKE)
    again = join(f"static successor {track}", g.name, "", [track], "two", took, RebalanceTimeoutMs=PATIENCE)
    yield again
    for who, instance in (("second", "two"), ("first", "two"), ("successor", "two"), ("successor", "one"), ("first", "one")):
        yield g.heartbeat(f"static stable, {who} as {instance}", who, 2, instance)
        yield from g.commit(f"static stable, {who} as {instance}", who, 2, instance)
        yield g.sync(f"static stable, {who} as {instance}", who, 2, GroupInstanceId=instance)
    yield g.describe("static stable")
    both = [{"MemberId": g.id("second"), "GroupInstanceId": "two"}, {"MemberId": g.id("first"), "GroupInstanceId": "one"}]
    yield Step("LeaveGroup", f"static one fenced, one leaves {track}", {"GroupId": g.name, "Members": both}, pick(track, 3, 5))
    yield g.until("static one left", "PreparingRebalance")
    yield g.heartbeat("static one left, successor", "successor", 2, "two")
    yield from g.commit("static one left, successor", "successor", 2, "two")
    yield from leave(f"static all leave {track}", g.name, "", pick(track, 3, 5), "two")
    yield g.describe("static empty")


def steps():
    new = {"Topics": [{"Name": TOPIC, "NumPartitions": 2, "ReplicationFactor": 1}]}
    yield Step("CreateTopics", "q", new, [7])
    for track in TRACKS:
        yield from life(track)
    for track in (5, 7, 9):
        yield from static(track)
