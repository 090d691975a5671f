"""Creating, growing and deleting topics: what is done, and what is refused."""

from step import Step

ID = "AAAAAAAAAAAAAAAAAAAAAA"


def create(label, *topics, at=None, validate=False):
    body = {"Topics": [dict({"NumPartitions": 1, "ReplicationFactor": 1}, **t) for t in topics], "timeoutMs": 5000}
    body["validateOnly"] = validate
    return Step("CreateTopics", label, body, at)


def assigned(name, *lists):
    parts = [{"PartitionIndex": i, "BrokerIds": list(ids)} for i, ids in lists]
    return {"Name": name, "NumPartitions": -1, "ReplicationFactor": -1, "Assignments": parts}


def config(name, **pairs):
    return {"Name": name, "Configs": [{"Name": k.replace("_", "."), "Value": v} for k, v in pairs.items()]}


def creations():
    yield create("plain", {"Name": "plain-{v}", "NumPartitions": 3})
    yield create("again", {"Name": "plain-{v}"})
    yield create("defaults", {"Name": "defaults-{v}", "NumPartitions": -1, "ReplicationFactor": -1}, at=range(4, 8))
    yield create("configs", config("configs-{v}", retention_ms="5000", cleanup_policy="compact"))
    yield create("bad config", config("bad-{v}", retention_ms="soon"))
    yield create("unknown config", config("bad-{v}", no_such="1"))
    yield create("null config", config("bad-{v}", retention_ms=None))
    yield create("lags", config("bad-{v}", min_compaction_lag_ms="10", max_compaction_lag_ms="5"))
    yield create("validate", {"Name": "checked-{v}"}, validate=True)
    yield create("validate bad", {"Name": "checked-{v}", "NumPartitions": 0}, validate=True)
    yield create("no partitions", {"Name": "bad-{v}", "NumPartitions": 0})
    yield create("negative", {"Name": "bad-{v}", "NumPartitions": -2})
    yield create("no replicas", {"Name": "bad-{v}", "ReplicationFactor": 0})
    yield create("two replicas", {"Name": "bad-{v}", "ReplicationFactor": 2})
    yield create("many", {"Name": "bad-{v}", "NumPartitions": 20000})
    yield create("empty name", {"Name": ""})
    yield create("dot", {"Name": "."})
    yield create("slash", {"Name": "a/b"})
    yield create("long", {"Name": "x" * 250})
    yield create("longest", {"Name": "{v}" + "x" * 248})
    yield create("dotted", {"Name": "dotted.{v}"})
    yield create("collides", {"Name": "dotted_{v}"})
    yield create("metadata", {"Name": "__cluster_metadata"})
    yield create("twice", {"Name": "twice-{v}"}, {"Name": "twice-{v}"})
    yield create("one bad", {"Name": "good-{v}"}, {"Name": "bad/{v}"})
    yield create("nothing")
    yield create("assigned", assigned("assigned-{v}", (0, [1]), (1, [1])))
    yield create("assigned gap", assigned("bad-{v}", (0, [1]), (2, [1])))
    yield create("assigned twice", assigned("bad-{v}", (0, [1]), (0, [1])))
    yield create("assigned stranger", assigned("bad-{v}", (0, [7])))
    yield create("assigned repeated", assigned("bad-{v}", (0, [1, 1])))
    yield create("assigned empty", assigned("bad-{v}", (0, [])))
    yield create("assigned uneven", assigned("bad-{v}", (0, [1]), (1, [1, 2])))
    yield create("assigned count", dict(assigned("bad-{v}", (0, [1])), NumPartitions=1))
    yield create("assigned factor", dict(assigned("bad-{v}", (0, [1])), ReplicationFactor=1))


def grow(label, name, count, lists=None, validate=False, more=()):
    parts = None if lists is None else [{"BrokerIds": ids} for ids in lists]
    topics = [{"Name": name, "Count": count, "Assignments": parts}, *more]
    return Step("CreatePartitions", label, {"Topics": topics, "TimeoutMs": 5000, "ValidateOnly": validate})


def growth():
    yield create("to grow", *({"Name": f"grow-{v}"} for v in range(4)), at=[7])
    yield grow("more", "grow-{v}", 3)
    yield grow("same", "grow-{v}", 3)
    yield grow("fewer", "grow-{v}", 1)
    yield grow("unknown", "nowhere", 3)
    yield grow("validate", "grow-{v}", 9, validate=True)
    yield grow("assigned", "grow-{v}", 4, [[1]])
    yield grow("assigned too few", "grow-{v}", 6, [[1]])
    yield grow("assigned too many", "grow-{v}", 5, [[1], [1]])
    yield grow("assigned stranger", "grow-{v}", 5, [[7]])
    yield grow("assigned empty", "grow-{v}", 5, [[]])
    yield grow("assigned two", "grow-{v}", 5, [[1, 2]])
    yield grow("zero", "grow-{v}", 0)
    yield grow("twice", "grow-{v}", 6, more=[{"Name": "grow-{v}", "Count": 7, "Assignments": None}])


def deletions():
    by_name = range(1, 6)
    yield Step("DeleteTopics", "name", {"TopicNames": ["plain-2", "nowhere"], "TimeoutMs": 5000}, [1])
    yield Step("DeleteTopics", "unknown", {"TopicNames": ["nowhere"], "TimeoutMs": 5000}, by_name)
    yield Step("DeleteTopics", "twice", {"TopicNames": ["plain-3", "plain-3"], "TimeoutMs": 5000}, by_name)
    yield Step("DeleteTopics", "nothing", {"TopicNames": [], "TimeoutMs": 5000}, by_name)
    yield Step("DeleteTopics", "by name", {"Topics": [{"Name": "plain-3"}, {"Name": "nowhere"}], "TimeoutMs": 5000}, [6])
    unknown = {"Name": None, "TopicId": "AAAAAAAAAAAAAAAAAAAAJw"}
    yield Step("DeleteTopics", "by id", {"Topics": [unknown], "TimeoutMs": 5000}, [6])
    both = {"Name": "plain-4", "TopicId": "AAAAAAAAAAAAAAAAAAAAJw"}
    yield Step("DeleteTopics", "both", {"Topics": [both], "TimeoutMs": 5000}, [6])
    yield Step("DeleteTopics", "neither", {"Topics": [{"Name": None, "TopicId": ID}], "TimeoutMs": 5000}, [6])
    yield Step("DeleteTopics", "name twice", {"Topics": [{"Name": "plain-4"}, {"Name": "plain-4"}], "TimeoutMs": 5000}, [6])
    yield Step("Metadata", "left", {"Topics": [{"Name": "plain-2"}, {"Name": "plain-4"}], "AllowAutoTopicCreation": False}, range(4, 13))


def steps():
    yield from creations()
    yield from growth()
    yield from deletions()
