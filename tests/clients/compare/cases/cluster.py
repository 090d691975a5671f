"""The APIs of administration that one node answers by itself: log directories, elections, reassignments, the quorum,
features, producers, quotas, and what is refused without an authorizer."""

from cases.produce import remember_ids
from step import Step

TOPIC = "q"
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"


def log_dirs():
    yield Step("DescribeLogDirs", "all", {"Topics": None})
    yield Step("DescribeLogDirs", "none", {"Topics": []})
    yield Step("DescribeLogDirs", "one", {"Topics": [{"Topic": TOPIC, "Partitions": [0]}]})
    yield Step("DescribeLogDirs", "two", {"Topics": [{"Topic": TOPIC, "Partitions": [0, 1, 7]}, {"Topic": "nowhere", "Partitions": [0]}]})
    own = lambda side: str(side.broker.data)  # noqa: E731
    for label, path, topic, parts in (
        ("same", own, TOPIC, [0]),
        ("same unknown topic", own, "nowhere", [0]),
        ("same unknown partition", own, TOPIC, [9]),
        ("elsewhere", "/nowhere/at/all", TOPIC, [0, 1]),
        ("relative", "data", TOPIC, [0]),
        ("empty", "", TOPIC, [0]),
    ):
        body = {"Dirs": [{"Path": path, "Topics": [{"Name": topic, "Partitions": parts}]}]}
        yield Step("AlterReplicaLogDirs", label, body)
    yield Step("AlterReplicaLogDirs", "nothing", {"Dirs": []})


def elections():
    for kind in (0, 1):
        parts = [{"Topic": TOPIC, "Partitions": [0, 1]}]
        yield Step("ElectLeaders", f"one {kind}", {"ElectionType": kind, "TopicPartitions": parts, "TimeoutMs": 5000})
        yield Step("ElectLeaders", f"all {kind}", {"ElectionType": kind, "TopicPartitions": None, "TimeoutMs": 5000})
        parts = [{"Topic": TOPIC, "Partitions": [9]}, {"Topic": "nowhere", "Partitions": [0]}]
        yield Step("ElectLeaders", f"unknown {kind}", {"ElectionType": kind, "TopicPartitions": parts, "TimeoutMs": 5000})
        yield Step("ElectLeaders", f"none {kind}", {"ElectionType": kind, "TopicPartitions": [], "TimeoutMs": 5000})
    yield Step("ElectLeaders", "type", {"ElectionType": 5, "TopicPartitions": [{"Topic": TOPIC, "Partitions": [0]}], "TimeoutMs": 5000}, [1, 2])


def reassignments():
    def step(label, name, parts, **more):
        body = {"Topics": [{"Name": name, "Partitions": parts}], "TimeoutMs": 5000, **more}
        return Step("AlterPartitionReassignments", label, body)

    yield step("same", TOPIC, [{"PartitionIndex": 0, "Replicas": [1]}])
    yield step("other broker", TOPIC, [{"PartitionIndex": 0, "Replicas": [2]}])
    yield step("more", TOPIC, [{"PartitionIndex": 0, "Replicas": [1, 2]}])
    yield step("twice", TOPIC, [{"PartitionIndex": 0, "Replicas": [1, 1]}])
    yield step("empty", TOPIC, [{"PartitionIndex": 0, "Replicas": []}])
    yield step("negative", TOPIC, [{"PartitionIndex": 0, "Replicas": [-1]}])
    yield step("cancel", TOPIC, [{"PartitionIndex": 0, "Replicas": None}])
    yield step("unknown partition", TOPIC, [{"PartitionIndex": 9, "Replicas": [1]}])
    yield step("unknown topic", "nowhere", [{"PartitionIndex": 0, "Replicas": [1]}])
    yield step("cancel unknown", "nowhere", [{"PartitionIndex": 0, "Replicas": None}])
    yield step("mixed", TOPIC, [{"PartitionIndex": 0, "Replicas": [1]}, {"PartitionIndex": 1, "Replicas": [7]}])
    yield Step("AlterPartitionReassignments", "nothing", {"Topics": [], "TimeoutMs": 5000})
    yield Step("ListPartitionReassignments", "all", {"Topics": None, "TimeoutMs": 5000})
    yield Step("ListPartitionReassignments", "none", {"Topics": [], "TimeoutMs": 5000})
    topics = [{"Name": TOPIC, "PartitionIndexes": [0, 9]}, {"Name": "nowhere", "PartitionIndexes": [0]}]
    yield Step("ListPartitionReassignments", "some", {"Topics": topics, "TimeoutMs": 5000})


def quorum():
    def step(label, topic, parts):
        return Step("DescribeQuorum", label, {"Topics": [{"TopicName": topic, "Partitions": [{"PartitionIndex": p} for p in parts]}]})

    yield step("metadata", "__cluster_metadata", [0])
    yield step("other partition", "__cluster_metadata", [1])
    yield step("other topic", TOPIC, [0])
    yield step("unknown", "nowhere", [0])
    yield Step("DescribeQuorum", "nothing", {"Topics": []})
    yield Step("DescribeQuorum", "two", {"Topics": [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}, {"PartitionIndex": 0}]}]})
    zero = {"VoterId": 1, "VoterDirectoryId": NO_ID, "Listeners": [{"Name": "CONTROLLER", "Host": "localhost", "Port": 9093}]}
    yield Step("AddRaftVoter", "self", {"ClusterId": None, "TimeoutMs": 1000, **zero})
    yield Step("AddRaftVoter", "other", {"ClusterId": None, "TimeoutMs": 1000, **zero, "VoterId": 2})
    yield Step("AddRaftVoter", "cluster", {"ClusterId": "nonsense", "TimeoutMs": 1000, **zero})
    yield Step("RemoveRaftVoter", "other", {"ClusterId": None, "VoterId": 2, "VoterDirectoryId": NO_ID})
    yield Step("RemoveRaftVoter", "cluster", {"ClusterId": "nonsense", "VoterId": 2, "VoterDirectoryId": NO_ID})
    yield Step("UnregisterBroker", "other", {"BrokerId": 7})
    yield Step("UnregisterBroker", "negative", {"BrokerId": -1})


def features():
    def step(label, feature, level, kind=1, validate=False, at=None):
        update = {"Feature": feature, "MaxVersionLevel": level, "UpgradeType": kind, "AllowDowngrade": False}
        return Step("UpdateFeatures", label, {"timeoutMs": 5000, "FeatureUpdates": [update], "ValidateOnly": validate}, at)

    for v in (1, 2):
        yield step("unknown", "no.such.feature", 1, at=[v])
        yield step("too high", "metadata.version", 99, at=[v])
        yield step("downgrade", "metadata.version", 20, at=[v])
        yield step("same", "metadata.version", 30, at=[v])
        yield step("same safe", "metadata.version", 30, 2, at=[v])
        yield step("zero", "metadata.version", 0, 2, at=[v])
        yield step("negative", "metadata.version", -1, at=[v])
        yield step("kind", "metadata.version", 30, 7, at=[v])
        yield step("kraft", "kraft.version", 1, at=[v])
        yield step("empty name", "", 1, at=[v])
    yield Step("UpdateFeatures", "nothing", {"timeoutMs": 5000, "FeatureUpdates": []})
    two = [{"Feature": "metadata.version", "MaxVersionLevel": 30, "UpgradeType": 1}] * 2
    yield Step("UpdateFeatures", "twice", {"timeoutMs": 5000, "FeatureUpdates": two}, [1, 2])


def producers():
    def step(label, topic, parts):
        return Step("DescribeProducers", label, {"Topics": [{"Name": topic, "PartitionIndexes": parts}]})

    yield step("idle", TOPIC, [0, 1])
    yield step("unknown partition", TOPIC, [9])
    yield step("unknown topic", "nowhere", [0])
    yield step("bad name", "a/b", [0])
    yield Step("DescribeTransactions", "unknown", {"TransactionalIds": ["t", "u"]})
    yield Step("DescribeTransactions", "nothing", {"TransactionalIds": []})
    yield Step("DescribeTransactions", "empty", {"TransactionalIds": [""]})
    yield Step("ListTransactions", "all", {"StateFilters": [], "ProducerIdFilters": []})
    yield Step("ListTransactions", "states", {"StateFilters": ["Ongoing", "Bogus"], "ProducerIdFilters": [5]})
    yield Step("ListTransactions", "duration", {"DurationFilter": 1000}, [1, 2])
    yield Step("ListTransactions", "pattern", {"TransactionalIdPattern": "a.*"}, [2])
    yield Step("ListTransactions", "bad pattern", {"TransactionalIdPattern": "("}, [2])


def alter_quota(label, entity, ops, validate=False):
    entry = {
        "Entity": [{"EntityType": t, "EntityName": n} for t, n in entity],
        "Ops": [{"Key": k, "Value": v if v is not None else 0.0, "Remove": v is None} for k, v in ops],
    }
    return Step("AlterClientQuotas", label, {"Entries": [entry], "ValidateOnly": validate})


def describe_quota(label, components, strict=False):
    parts = [{"EntityType": t, "MatchType": m, "Match": n} for t, m, n in components]
    return Step("DescribeClientQuotas", label, {"Components": parts, "Strict": strict})


EXACT, DEFAULT, ANY = 0, 1, 2


def quotas():
    yield describe_quota("none", [])
    yield alter_quota("user", [("user", "u{v}")], [("producer_byte_rate", 1000.0), ("consumer_byte_rate", 2000.5)])
    yield alter_quota("client", [("client-id", "c")], [("request_percentage", 50.0)])
    yield alter_quota("both", [("user", "u"), ("client-id", "c")], [("producer_byte_rate", 3000.0)])
    yield alter_quota("default user", [("user", None)], [("producer_byte_rate", 4000.0)])
    yield alter_quota("default client", [("client-id", None)], [("producer_byte_rate", 5000.0)])
    yield alter_quota("both default", [("user", None), ("client-id", None)], [("controller_mutation_rate", 6.0)])
    yield alter_quota("ip", [("ip", "127.0.0.1")], [("connection_creation_rate", 7.0)])
    yield alter_quota("default ip", [("ip", None)], [("connection_creation_rate", 8.0)])
    yield alter_quota("bad ip", [("ip", "no address")], [("connection_creation_rate", 8.0)])
    yield alter_quota("ip and user", [("ip", "127.0.0.1"), ("user", "u")], [("connection_creation_rate", 8.0)])
    yield alter_quota("ip key", [("ip", "127.0.0.1")], [("producer_byte_rate", 8.0)])
    yield alter_quota("user key", [("user", "u")], [("connection_creation_rate", 8.0)])
    yield alter_quota("unknown key", [("user", "u")], [("no_such_rate", 8.0)])
    yield alter_quota("negative", [("user", "u")], [("producer_byte_rate", -8.0)])
    yield alter_quota("zero", [("user", "u")], [("producer_byte_rate", 0.0)])
    yield alter_quota("fraction", [("user", "u")], [("producer_byte_rate", 8.5)])
    yield alter_quota("fraction ip", [("ip", "127.0.0.1")], [("connection_creation_rate", 8.5)])
    yield alter_quota("fraction mutation", [("user", "u")], [("controller_mutation_rate", 8.5)])
    yield alter_quota("fraction request", [("user", "u")], [("request_percentage", 8.5)])
    yield alter_quota("huge", [("user", "u")], [("producer_byte_rate", 1e30)])
    yield alter_quota("unknown entity", [("group", "u")], [("producer_byte_rate", 8.0)])
    yield alter_quota("empty entity", [], [("producer_byte_rate", 8.0)])
    yield alter_quota("entity twice", [("user", "u"), ("user", "w")], [("producer_byte_rate", 8.0)])
    yield alter_quota("empty name", [("user", "")], [("producer_byte_rate", 8.0)])
    yield alter_quota("key twice", [("user", "u")], [("producer_byte_rate", 8.0), ("producer_byte_rate", 9.0)])
    yield alter_quota("no ops", [("user", "u")], [])
    yield alter_quota("remove absent", [("user", "nobody")], [("producer_byte_rate", None)])
    yield alter_quota("validate", [("user", "only-checked")], [("producer_byte_rate", 8.0)], True)
    yield alter_quota("validate bad", [("user", "only-checked")], [("producer_byte_rate", -8.0)], True)
    yield describe_quota("all", [])
    yield describe_quota("all strict", [], True)
    yield describe_quota("any user", [("user", ANY, None)])
    yield describe_quota("any user strict", [("user", ANY, None)], True)
    yield describe_quota("user u", [("user", EXACT, "u")])
    yield describe_quota("default user", [("user", DEFAULT, None)])
    yield describe_quota("both", [("user", EXACT, "u"), ("client-id", EXACT, "c")])
    yield describe_quota("both any", [("user", ANY, None), ("client-id", ANY, None)], True)
    yield describe_quota("ip", [("ip", EXACT, "127.0.0.1")])
    yield describe_quota("any ip", [("ip", ANY, None)])
    yield describe_quota("ip and user", [("ip", ANY, None), ("user", ANY, None)])
    yield describe_quota("type twice", [("user", ANY, None), ("user", EXACT, "u")])
    yield describe_quota("unknown type", [("group", ANY, None)])
    yield describe_quota("empty type", [("", ANY, None)])
    yield describe_quota("match type", [("user", 7, None)])
    yield describe_quota("null match", [("user", EXACT, None)])
    yield describe_quota("match with default", [("user", DEFAULT, "u")])
    yield alter_quota("remove", [("user", "u{v}")], [("producer_byte_rate", None), ("consumer_byte_rate", None)])
    yield alter_quota("remove both", [("user", "u"), ("client-id", "c")], [("producer_byte_rate", None)])
    yield describe_quota("after", [])
    one = {"Entity": [{"EntityType": "user", "EntityName": "z"}], "Ops": [{"Key": "producer_byte_rate", "Value": 1.0, "Remove": False}]}
    yield Step("AlterClientQuotas", "entry twice", {"Entries": [one, one], "ValidateOnly": False})
    bad = {"Entity": [{"EntityType": "user", "EntityName": "y"}], "Ops": [{"Key": "nothing", "Value": 1.0, "Remove": False}]}
    yield Step("AlterClientQuotas", "one bad", {"Entries": [one, bad], "ValidateOnly": False})
    yield describe_quota("at last", [])


def mutations():
    """Changes of partitions under a quota that one large change exceeds for seconds (KIP-599). Every request comes on a
    connection of its own, since those that are throttled are not read on; the clients are told apart by their ids."""

    def step(api, label, version, client, body):
        step.n += 1
        return Step(api, f"{label}, quota", {"timeoutMs" if api == "CreateTopics" else "TimeoutMs": 5000, **body}, [version], on=f"{client}-{version}/{step.n}")

    def create(label, version, *topics, validate=False):
        asked = [{"Name": n, "NumPartitions": p, "ReplicationFactor": 1} for n, p in topics]
        return step("CreateTopics", label, version, "create", {"Topics": asked, "validateOnly": validate})

    def grow(label, version, name, count, validate=False):
        topics = [{"Name": name, "Count": count, "Assignments": None}]
        return step("CreatePartitions", label, version, "grow", {"Topics": topics, "ValidateOnly": validate})

    def drop(label, version, *names):
        body = {"Topics": [{"Name": n} for n in names]} if version >= 6 else {"TopicNames": list(names)}
        return step("DeleteTopics", label, version, "drop", body)

    step.n = 0
    yield alter_quota("mutations", [("client-id", None)], [("controller_mutation_rate", 0.5)])
    for v in (2, 5, 6, 7):
        yield create("spends", v, (f"large-{v}", 12))
        yield create("owes", v, (f"small-{v}", 1))
        yield create("owes, one bad", v, (f"other-{v}", 1), ("a/b", 1))
        yield create("owes, all bad", v, ("a/b", 1), ("small", 0))
        yield create("owes, validates", v, (f"checked-{v}", 1), validate=True)
        yield create("owes, nothing", v)
    for v in (7, 6):
        yield create("validates and spends", v, ("checked", 12), validate=True)
    for v in (0, 2, 3):
        yield grow("spends", v, "large-2", 24 + 12 * v)
        yield grow("owes", v, "large-2", 25 + 12 * v)
        yield grow("owes, bad", v, "large-2", 1)
        yield grow("owes, validates", v, "large-2", 26 + 12 * v, True)
    for v, large, small in ((1, "large-2", "small-2"), (4, "large-5", "small-5"), (5, "large-6", "other-2"), (6, "large-7", "other-5")):
        yield drop("spends", v, large)
        yield drop("owes", v, small)
        yield drop("owes, one bad", v, small, "nowhere")
    by_id = {"Topics": [{"Name": None, "TopicId": lambda side: side.seen[TOPIC]}]}
    yield step("DeleteTopics", "owes, by id", 6, "drop", by_id)
    yield alter_quota("no mutations", [("client-id", None)], [("controller_mutation_rate", None)])


def security():
    any_acl = {"ResourceTypeFilter": 1, "ResourceNameFilter": None, "PatternTypeFilter": 1, "PrincipalFilter": None, "HostFilter": None, "Operation": 1, "PermissionType": 1}
    yield Step("DescribeAcls", "any", any_acl)
    acl = {"ResourceType": 2, "ResourceName": "t", "ResourcePatternType": 3, "Principal": "User:u", "Host": "*", "Operation": 3, "PermissionType": 3}
    yield Step("CreateAcls", "one", {"Creations": [acl]})
    yield Step("CreateAcls", "two", {"Creations": [acl, acl]})
    yield Step("DeleteAcls", "any", {"Filters": [any_acl]})
    yield Step("DescribeUserScramCredentials", "all", {"Users": None})
    yield Step("DescribeUserScramCredentials", "some", {"Users": [{"Name": "u"}, {"Name": "w"}]})
    yield Step("DescribeUserScramCredentials", "twice", {"Users": [{"Name": "u"}, {"Name": "u"}]})
    yield Step("DescribeUserScramCredentials", "empty", {"Users": [{"Name": ""}]})
    yield Step("DescribeUserScramCredentials", "none", {"Users": []})


def steps():
    yield Step("CreateTopics", "q", {"Topics": [{"Name": TOPIC, "NumPartitions": 2, "ReplicationFactor": 1}]}, [7], remember_ids)
    yield from elections()
    yield from reassignments()
    yield from quorum()
    yield from features()
    yield from producers()
    yield from mutations()
    yield from quotas()
    yield from security()
    yield from log_dirs()
