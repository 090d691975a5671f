"""Requests of administration that only trouble sends: too long, too large, empty, doubled, of kinds that are not there."""

from cases.configs import BROKER, DELETE, GROUP, SET, TOPIC, alter, describe, incremental
from cases.topics import create, grow
from step import Step

MOST = 2**31 - 1
LONG = "x" * 1500


def topics():
    yield create("odd", {"Name": "odd", "NumPartitions": 2}, at=[7])
    yield create("very long name", {"Name": LONG})
    yield create("two dots", {"Name": ".."})
    yield create("space", {"Name": "a b"})
    yield create("accent", {"Name": "t\u00f3pico"})
    yield create("zero byte", {"Name": "a\0b"})
    yield create("most partitions", {"Name": "bad-{v}", "NumPartitions": MOST})
    yield create("least partitions", {"Name": "bad-{v}", "NumPartitions": -MOST - 1})
    yield create("most replicas", {"Name": "bad-{v}", "ReplicationFactor": 32767})
    yield create("least replicas", {"Name": "bad-{v}", "ReplicationFactor": -32768})
    yield create("no partitions and bad name", {"Name": "a/b", "NumPartitions": 0})
    yield create("empty key", {"Name": "bad-{v}", "Configs": [{"Name": "", "Value": "1"}]})
    yield create("long key", {"Name": "bad-{v}", "Configs": [{"Name": LONG, "Value": "1"}]})
    yield create("long value", {"Name": "bad-{v}", "Configs": [{"Name": "retention.ms", "Value": LONG}]})
    yield create("key twice, both bad", {"Name": "bad-{v}", "Configs": [{"Name": "retention.ms", "Value": v} for v in ("a", "b")]})
    yield create("broker's key", {"Name": "bad-{v}", "Configs": [{"Name": "log.retention.ms", "Value": "1000"}]})
    negative = [{"PartitionIndex": -1, "BrokerIds": [1]}]
    yield create("negative partition", {"Name": "bad-{v}", "NumPartitions": -1, "ReplicationFactor": -1, "Assignments": negative})
    stranger = [{"PartitionIndex": 0, "BrokerIds": [-1]}]
    yield create("negative broker", {"Name": "bad-{v}", "NumPartitions": -1, "ReplicationFactor": -1, "Assignments": stranger})
    yield create("thrice, bad", *({"Name": "a/b"} for _ in range(3)))
    yield create("many bad", *({"Name": f"many-{i}", "NumPartitions": 0} for i in range(200)))
    for label, name, count in (
        ("very long name", LONG, 5),
        ("empty name", "", 5),
        ("bad name", "a/b", 5),
        ("minus one", "odd", -1),
        ("least", "odd", -MOST - 1),
        ("metadata topic", "__cluster_metadata", 5),
    ):
        yield grow(label, name, count)
    yield Step("CreatePartitions", "nothing", {"Topics": [], "TimeoutMs": 5000})
    yield grow("thrice", "odd", 4, more=[{"Name": "odd", "Count": 5, "Assignments": None}] * 2)
    for label, name in (("very long", LONG), ("bad", "a/b"), ("empty", ""), ("metadata", "__cluster_metadata")):
        yield Step("DeleteTopics", label, {"TopicNames": [name], "TimeoutMs": 5000}, range(1, 6))
        yield Step("DeleteTopics", label, {"Topics": [{"Name": name}], "TimeoutMs": 5000}, [6])
    yield Step("DeleteTopics", "many", {"TopicNames": [f"nowhere-{i}" for i in range(300)], "TimeoutMs": 5000}, range(1, 6))


def configs():
    for kind in (0, 1, 3, 64, 127, -1, -128):
        yield describe(f"odd kind {kind}", kind, "odd")
        yield incremental(f"odd kind {kind}", kind, "odd", [("retention.ms", SET, "1000")])
        yield alter(f"odd kind {kind}", kind, "odd", [("retention.ms", "1000")])
    for kind, what in ((TOPIC, "topic"), (BROKER, "broker"), (GROUP, "group")):
        yield describe(f"long {what}", kind, LONG)
        yield incremental(f"long {what}", kind, LONG, [("retention.ms", SET, "1000")])
        yield incremental(f"long key of {what}", kind, "1", [(LONG, SET, "1000")])
        yield incremental(f"empty key of {what}", kind, "1", [("", SET, "1000")])
        yield incremental(f"unknown key of {what}, deleted", kind, "1", [("no.such.key", DELETE, None)])
    for op in (4, 127, -1):
        yield incremental(f"operation {op} of broker", BROKER, "1", [("log.retention.ms", op, "1000")])
    for api in ("DescribeConfigs", "IncrementalAlterConfigs", "AlterConfigs"):
        yield Step(api, "no resources", {"Resources": []})
    same = {"ResourceType": TOPIC, "ResourceName": "odd"}
    yield Step("DescribeConfigs", "twice", {"Resources": [{**same, "ConfigurationKeys": ["retention.ms"]}, {**same, "ConfigurationKeys": ["flush.ms"]}]})
    yield Step("ListConfigResources", "odd kinds", {"ResourceTypes": [127, -1]}, [1])


def others():
    def quota(label, entity, key, value):
        entry = {"Entity": [{"EntityType": t, "EntityName": n} for t, n in entity], "Ops": [{"Key": key, "Value": value, "Remove": False}]}
        return Step("AlterClientQuotas", label, {"Entries": [entry], "ValidateOnly": False})

    yield Step("AlterClientQuotas", "nothing", {"Entries": [], "ValidateOnly": False})
    yield quota("long type", [(LONG, "u")], "producer_byte_rate", 8.0)
    yield quota("long key", [("user", "u")], LONG, 8.0)
    yield quota("empty key", [("user", "u")], "", 8.0)
    yield quota("infinite", [("user", "u")], "request_percentage", float("inf"))
    yield quota("no number", [("user", "u")], "request_percentage", float("nan"))
    yield Step("DescribeClientQuotas", "long type", {"Components": [{"EntityType": LONG, "MatchType": 0, "Match": "u"}], "Strict": False})
    yield Step("DescribeUserScramCredentials", "long", {"Users": [{"Name": LONG}]})
    yield Step("DeleteGroups", "long", {"GroupsNames": [LONG]})
    yield Step("DescribeGroups", "long", {"Groups": [LONG]})
    yield Step("ConsumerGroupDescribe", "long", {"GroupIds": [LONG]})
    yield Step("OffsetDelete", "long", {"GroupId": LONG, "Topics": [{"Name": LONG, "Partitions": [{"PartitionIndex": -1}]}]})
    yield Step("UpdateFeatures", "long", {"FeatureUpdates": [{"Feature": LONG, "MaxVersionLevel": 1}], "timeoutMs": 1000})
    far = [{"Topic": "odd", "Partitions": [-1, MOST]}, {"Topic": LONG, "Partitions": [0]}]
    yield Step("ElectLeaders", "odd", {"ElectionType": 0, "TopicPartitions": far, "TimeoutMs": 1000})
    yield Step("ElectLeaders", "odd type", {"ElectionType": -1, "TopicPartitions": far, "TimeoutMs": 1000}, [1, 2])
    moved = [{"Name": "odd", "Partitions": [{"PartitionIndex": -1, "Replicas": [MOST]}]}]
    yield Step("AlterPartitionReassignments", "odd", {"Topics": moved, "TimeoutMs": 1000})
    yield Step("ListPartitionReassignments", "odd", {"Topics": [{"Name": LONG, "PartitionIndexes": [-1]}], "TimeoutMs": 1000})
    yield Step("DescribeLogDirs", "odd", {"Topics": [{"Topic": LONG, "Partitions": [-1]}]})
    yield Step("AlterReplicaLogDirs", "odd", {"Dirs": [{"Path": "/" + LONG, "Topics": [{"Name": "odd", "Partitions": [-1]}]}]})
    yield Step("DescribeProducers", "odd", {"Topics": [{"Name": LONG, "PartitionIndexes": [-1]}]})
    yield Step("DescribeTransactions", "odd", {"TransactionalIds": [LONG, "", LONG]})


def steps():
    yield from topics()
    yield from configs()
    yield from others()
