"""Configurations: describing them, altering them both ways, and what is refused."""

from step import Step

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def describe(label, kind, name, keys=None, at=None, synonyms=True, doc=False):
    resource = {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}
    body = {"Resources": [resource], "IncludeSynonyms": synonyms, "IncludeDocumentation": doc}
    return Step("DescribeConfigs", label, body, at)


def incremental(label, kind, name, ops, at=None, validate=False):
    configs = [{"Name": k, "ConfigOperation": op, "Value": v} for k, op, v in ops]
    return Step(
        "IncrementalAlterConfigs",
        label,
        {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": configs}], "ValidateOnly": validate},
        at,
    )


def alter(label, kind, name, pairs, at=None, validate=False):
    configs = [{"Name": k, "Value": v} for k, v in pairs]
    return Step(
        "AlterConfigs",
        label,
        {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": configs}], "ValidateOnly": validate},
        at,
    )


BAD_TOPIC = [
    ("retention.ms", "x"),
    ("retention.ms", "-2"),
    ("retention.ms", "99999999999999999999"),
    ("retention.ms", ""),
    ("segment.bytes", "1"),
    ("segment.bytes", "3000000000"),
    ("min.insync.replicas", "0"),
    ("cleanup.policy", "shred"),
    ("cleanup.policy", "delete,shred"),
    ("cleanup.policy", "delete,delete"),
    ("cleanup.policy", "delete,,compact"),
    ("cleanup.policy", ""),
    ("compression.type", "rar"),
    ("compression.gzip.level", "0"),
    ("compression.gzip.level", "10"),
    ("compression.lz4.level", "18"),
    ("compression.zstd.level", "23"),
    ("message.timestamp.type", "Never"),
    ("min.cleanable.dirty.ratio", "2"),
    ("min.cleanable.dirty.ratio", "x"),
    ("preallocate", "perhaps"),
    ("unclean.leader.election.enable", "TRUE"),
    ("leader.replication.throttled.replicas", "a:b"),
    ("leader.replication.throttled.replicas", "0:1,1:1"),
    ("max.compaction.lag.ms", "0"),
    ("remote.storage.enable", "true"),
    ("remote.log.copy.disable", "true"),
    ("local.retention.ms", "5"),
    ("no.such.key", "1"),
    ("flush.messages", "0"),
    ("index.interval.bytes", "-1"),
]

BAD_BROKER = [
    ("log.retention.ms", "x"),
    ("log.retention.ms", "0"),
    ("log.segment.bytes", "5"),
    ("log.cleaner.threads", "-1"),
    ("log.cleaner.threads", "100"),
    ("num.io.threads", "0"),
    ("num.io.threads", "1000"),
    ("max.connections", "-1"),
    ("max.connections.per.ip.overrides", "bogus"),
    ("log.dirs", "/tmp/x"),
    ("node.id", "7"),
    ("no.such.key", "1"),
    ("compression.type", "rar"),
    ("message.max.bytes", "-1"),
    ("min.insync.replicas", "0"),
    ("num.partitions", "3"),
    ("advertised.listeners", "PLAINTEXT://x:1"),
    ("listener.name.internal.max.connections", "5"),
    ("broker.session.timeout.ms", "5"),
    ("unclean.leader.election.enable", "maybe"),
    ("group.consumer.assignment.interval.ms", "-1"),
    ("group.consumer.assignment.interval.ms", "100000000"),
    ("producer.id.expiration.ms", "0"),
]

BAD_GROUP = [
    ("consumer.session.timeout.ms", "1"),
    ("consumer.session.timeout.ms", "45001"),
    ("consumer.session.timeout.ms", "100000"),
    ("consumer.session.timeout.ms", "x"),
    ("consumer.session.timeout.ms", "5000"),
    ("consumer.heartbeat.interval.ms", "1"),
    ("consumer.heartbeat.interval.ms", "20000"),
    ("consumer.assignment.interval.ms", "-1"),
    ("consumer.assignment.interval.ms", "70000"),
    ("share.session.timeout.ms", "1"),
    ("share.record.lock.duration.ms", "1"),
    ("share.record.lock.duration.ms", "100000"),
    ("share.heartbeat.interval.ms", "1"),
    ("share.heartbeat.interval.ms", "100000"),
    ("share.session.timeout.ms", "100000"),
    ("share.auto.offset.reset", "never"),
    ("share.auto.offset.reset", "by_duration:PT1H"),
    ("share.isolation.level", "read_none"),
    ("share.delivery.count.limit", "1"),
    ("share.delivery.count.limit", "50"),
    ("share.partition.max.record.locks", "1"),
    ("share.partition.max.record.locks", "100000"),
    ("share.renew.acknowledge.enable", "x"),
    ("streams.session.timeout.ms", "1"),
    ("streams.session.timeout.ms", "1000000"),
    ("streams.heartbeat.interval.ms", "1"),
    ("streams.heartbeat.interval.ms", "1000000"),
    ("streams.num.standby.replicas", "-1"),
    ("streams.num.standby.replicas", "100"),
    ("streams.initial.rebalance.delay.ms", "-1"),
    ("no.such.key", "1"),
]

BAD_METRICS = [
    ("interval.ms", "50"),
    ("interval.ms", "3600001"),
    ("interval.ms", "x"),
    ("match", "nonsense"),
    ("match", "client_id=["),
    ("match", "bogus=x"),
    ("metrics", ""),
    ("no.such.key", "1"),
]


def one_by_one(what, kind, name, pairs):
    for k, v in pairs:
        yield incremental(f"{what} {k} {v}", kind, name, [(k, SET, v)])


def topics():
    yield Step("CreateTopics", "t", {"Topics": [{"Name": "t", "NumPartitions": 2, "ReplicationFactor": 1}]}, [7])
    yield describe("topic", TOPIC, "t")
    yield describe("topic without synonyms", TOPIC, "t", synonyms=False)
    yield describe("topic doc", TOPIC, "t", doc=True)
    yield describe("topic keys", TOPIC, "t", ["retention.ms", "nothing", "segment.bytes"])
    yield describe("topic no keys", TOPIC, "t", [])
    yield describe("topic unknown", TOPIC, "nowhere")
    yield describe("topic bad name", TOPIC, "a/b")
    yield describe("topic empty name", TOPIC, "")
    yield from one_by_one("topic", TOPIC, "t", BAD_TOPIC)
    yield describe("topic after", TOPIC, "t")
    yield incremental("set two", TOPIC, "t", [("retention.ms", SET, "86400000"), ("segment.bytes", SET, "2097152")])
    yield incremental("set again", TOPIC, "t", [("retention.ms", SET, "86400000")])
    yield incremental("delete", TOPIC, "t", [("segment.bytes", DELETE, None)])
    yield incremental("delete absent", TOPIC, "t", [("segment.bytes", DELETE, None), ("no.such.key", DELETE, None)])
    yield incremental("append", TOPIC, "t", [("cleanup.policy", APPEND, "compact")])
    yield incremental("append again", TOPIC, "t", [("cleanup.policy", APPEND, "compact,delete")])
    yield incremental("subtract", TOPIC, "t", [("cleanup.policy", SUBTRACT, "delete")])
    yield incremental("append a number", TOPIC, "t", [("retention.ms", APPEND, "5")])
    yield incremental("subtract unknown", TOPIC, "t", [("no.such.key", SUBTRACT, "5")])
    yield incremental("null", TOPIC, "t", [("retention.ms", SET, None)])
    yield incremental("null append", TOPIC, "t", [("cleanup.policy", APPEND, None)])
    yield incremental("twice", TOPIC, "t", [("retention.ms", SET, "1000"), ("retention.ms", SET, "2000")])
    yield incremental("operation", TOPIC, "t", [("retention.ms", 9, "1000")])
    yield incremental("validate", TOPIC, "t", [("retention.ms", SET, "1000")], validate=True)
    yield incremental("validate bad", TOPIC, "t", [("retention.ms", SET, "bad")], validate=True)
    yield incremental("lags", TOPIC, "t", [("min.compaction.lag.ms", SET, "10"), ("max.compaction.lag.ms", SET, "5")])
    yield incremental("unknown topic", TOPIC, "nowhere", [("retention.ms", SET, "1000")])
    yield incremental("bad name", TOPIC, "a/b", [("retention.ms", SET, "1000")])
    yield incremental("no name", TOPIC, "", [("retention.ms", SET, "1000")])
    yield incremental("metadata topic", TOPIC, "__cluster_metadata", [("retention.ms", SET, "1000")])
    yield incremental("nothing", TOPIC, "t", [])
    yield incremental("long", TOPIC, "t", [("leader.replication.throttled.replicas", SET, "1:1," * 8192 + "1:1")], [1])
    yield incremental("kind", 3, "t", [("retention.ms", SET, "1000")])
    yield incremental("kind 0", 0, "t", [("retention.ms", SET, "1000")])
    yield describe("topic changed", TOPIC, "t")
    yield describe("kind", 3, "t")
    two = [
        {"ResourceType": TOPIC, "ResourceName": "t", "Configs": [{"Name": "flush.ms", "ConfigOperation": 0, "Value": "7"}]},
        {"ResourceType": TOPIC, "ResourceName": "t", "Configs": [{"Name": "flush.ms", "ConfigOperation": 0, "Value": "8"}]},
    ]
    yield Step("IncrementalAlterConfigs", "resource twice", {"Resources": two})
    mixed = [two[0], {"ResourceType": TOPIC, "ResourceName": "nowhere", "Configs": two[0]["Configs"]}]
    yield Step("IncrementalAlterConfigs", "one good", {"Resources": mixed})
    yield describe("topic mixed", TOPIC, "t")
    yield alter("replace", TOPIC, "t", [("retention.bytes", "12345"), ("max.message.bytes", "5000")])
    yield describe("topic replaced", TOPIC, "t")
    yield alter("bad", TOPIC, "t", [("retention.bytes", "x")])
    yield alter("null", TOPIC, "t", [("retention.bytes", None)])
    yield alter("unknown key", TOPIC, "t", [("no.such.key", "x")])
    yield alter("unknown topic", TOPIC, "nowhere", [("retention.bytes", "x")])
    yield alter("validate", TOPIC, "t", [("retention.bytes", "1")], validate=True)
    yield alter("empty", TOPIC, "t", [])
    yield describe("topic emptied", TOPIC, "t")


def brokers():
    yield describe("broker", BROKER, "1")
    yield describe("broker doc", BROKER, "1", doc=True)
    yield describe("cluster", BROKER, "")
    yield describe("broker other", BROKER, "2")
    yield describe("broker word", BROKER, "one")
    yield from one_by_one("broker", BROKER, "1", BAD_BROKER)
    yield from one_by_one("cluster", BROKER, "", BAD_BROKER)
    yield describe("cluster refused", BROKER, "")
    yield incremental("other broker", BROKER, "2", [("log.retention.ms", SET, "1000000")])
    yield incremental("broker word", BROKER, "one", [("log.retention.ms", SET, "1000000")])
    yield incremental("cluster set", BROKER, "", [("log.retention.ms", SET, "7200000"), ("message.max.bytes", SET, "900000")])
    yield describe("cluster set", BROKER, "")
    yield describe("broker under cluster", BROKER, "1", ["log.retention.ms", "message.max.bytes", "log.retention.hours"])
    yield describe("topic under cluster", TOPIC, "t")
    yield incremental("broker set", BROKER, "1", [("log.cleaner.threads", SET, "2"), ("log.retention.ms", SET, "3600000")])
    yield describe("broker set", BROKER, "1")
    yield describe("topic under broker", TOPIC, "t")
    yield incremental("cluster append", BROKER, "", [("log.cleanup.policy", APPEND, "compact")])
    yield describe("cluster appended", BROKER, "")
    yield incremental("broker append", BROKER, "1", [("log.cleanup.policy", APPEND, "compact")])
    yield describe("broker appended", BROKER, "1", ["log.cleanup.policy"])
    yield incremental("password", BROKER, "1", [("ssl.keystore.password", SET, "secret")])
    yield incremental("broker delete", BROKER, "1", [("log.cleaner.threads", DELETE, None), ("log.cleanup.policy", DELETE, None)])
    yield alter("broker replace", BROKER, "1", [("log.flush.interval.ms", "5000")])
    yield describe("broker replaced", BROKER, "1")
    yield alter("broker bad", BROKER, "1", [("log.flush.interval.ms", "x")])
    yield alter("cluster replace", BROKER, "", [("log.flush.interval.ms", "6000"), ("min.insync.replicas", "1")])
    yield describe("cluster replaced", BROKER, "")
    yield alter("broker empty", BROKER, "1", [])
    yield alter("cluster empty", BROKER, "", [("min.insync.replicas", "1")])
    yield describe("broker emptied", BROKER, "1")
    yield describe("cluster emptied", BROKER, "")


def others():
    yield describe("group", GROUP, "g")
    yield describe("group doc", GROUP, "g", doc=True)
    yield describe("group empty", GROUP, "")
    yield from one_by_one("group", GROUP, "g", BAD_GROUP)
    yield incremental("group", GROUP, "g", [("consumer.session.timeout.ms", SET, "50000")])
    yield incremental("group empty name", GROUP, "", [("consumer.session.timeout.ms", SET, "50000")])
    yield describe("group set", GROUP, "g")
    yield alter("group", GROUP, "g", [("consumer.heartbeat.interval.ms", "6000")])
    yield describe("group altered", GROUP, "g")
    yield describe("metrics", METRICS, "m")
    yield describe("metrics empty", METRICS, "")
    yield from one_by_one("metrics", METRICS, "m", BAD_METRICS)
    yield incremental("metrics", METRICS, "m", [("interval.ms", SET, "5000"), ("metrics", SET, "org.apache")])
    yield incremental("metrics match", METRICS, "m", [("match", SET, "client_id=a.*,client_software_name=b")])
    yield describe("metrics set", METRICS, "m")
    yield describe("logger", LOGGER, "1", ["root"])
    yield describe("logger other", LOGGER, "2")
    yield describe("logger empty", LOGGER, "")
    yield incremental("logger", LOGGER, "1", [("root", SET, "WARN")])
    yield describe("logger set", LOGGER, "1", ["root"])
    yield incremental("logger bad", LOGGER, "1", [("root", SET, "LOUD")])
    yield incremental("logger delete root", LOGGER, "1", [("root", DELETE, None)])
    yield incremental("logger unknown", LOGGER, "1", [("no.such.logger", SET, "INFO")])
    yield incremental("logger append", LOGGER, "1", [("root", APPEND, "INFO")])
    yield incremental("logger back", LOGGER, "1", [("root", SET, "INFO")])
    yield incremental("logger other", LOGGER, "2", [("root", SET, "INFO")])
    yield incremental("logger empty", LOGGER, "", [("root", SET, "INFO")])
    yield alter("logger", LOGGER, "1", [("root", "INFO")])
    yield Step("ListConfigResources", "all")
    for kind in (TOPIC, BROKER, LOGGER, METRICS, GROUP, 3, 0):
        yield Step("ListConfigResources", f"kind {kind}", {"ResourceTypes": [kind]})
    yield Step("ListConfigResources", "two kinds", {"ResourceTypes": [METRICS, GROUP]})


def steps():
    yield from topics()
    yield from brokers()
    yield from others()
