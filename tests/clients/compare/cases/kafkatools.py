"""The commands of kafka-tools: what each prints and its exit status, for both brokers. All run in one Java process."""

import json
import pathlib
import re
import time

from lib import drivers

NAME = "tools"
CONFIG = {"offsets.topic.num.partitions": "3"}

CLASSES = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
}
# Upstream answers before its broker has taken a change over; what is set at a broker is asked for many commands later.
SETTLE_S = 0.3
# What a run of a command says of its own: times, ids, rates, and the log's own lines.
OWN = [
    (re.compile(r"\[?20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d\S*"), "<time>"),
    (re.compile(r"TopicId: \S+"), "TopicId: <id>"),
    (re.compile(r"(LeaderEpoch|HighWatermark|MaxFollowerLag\w*):\s+-?\d+"), r"\1: <n>"),
    (re.compile(r'"(totalBytes|usableBytes|size)": ?\d+'), r'"\1": <n>'),
    (re.compile(r"\b[A-Za-z0-9_-]{22}\b(?!\()"), "<id>"),
    (re.compile(r"\(id: \d+ rack: \S+ isFenced: \w+\)"), "(node)"),
    (re.compile(r"Epoch: \d+"), "Epoch: <n>"),
    (re.compile(r"\b\d{13}\b *"), "<ms>"),
    (re.compile(r"^(\d+ *\t<id>)\t\d+ *"), r"\1\t<offset>"),
]
COMMANDS = [
    ("kafka-topics", "--create --topic tools --partitions 2 --config retention.ms=123456"),
    ("kafka-topics", "--create --topic tools --partitions 2"),
    ("kafka-topics", "--create --topic a/b"),
    ("kafka-topics", "--create --if-not-exists --topic tools"),
    ("kafka-topics", "--list"),
    ("kafka-topics", "--describe --topic tools"),
    ("kafka-topics", "--describe --topic nowhere"),
    ("kafka-topics", "--describe --under-replicated-partitions"),
    ("kafka-topics", "--describe --topics-with-overrides"),
    ("kafka-topics", "--alter --topic tools --partitions 3"),
    ("kafka-topics", "--alter --topic tools --partitions 1"),
    ("kafka-configs", "--alter --entity-type topics --entity-name tools --add-config segment.bytes=2097152"),
    ("kafka-configs", "--describe --entity-type topics --entity-name tools"),
    ("kafka-configs", "--alter --entity-type topics --entity-name tools --delete-config segment.bytes"),
    ("kafka-configs", "--alter --entity-type topics --entity-name tools --add-config no.such=1"),
    ("kafka-configs", "--describe --entity-type topics --entity-name nowhere"),
    ("kafka-configs", "--alter --entity-type brokers --entity-name 1 --add-config log.cleaner.threads=2"),
    ("kafka-configs", "--alter --entity-type users --entity-name u --add-config producer_byte_rate=1000"),
    ("kafka-configs", "--describe --entity-type users"),
    ("kafka-configs", "--describe --entity-type clients"),
    ("kafka-configs", "--alter --entity-type groups --entity-name g --add-config consumer.session.timeout.ms=50000"),
    ("kafka-configs", "--describe --entity-type groups --entity-name g"),
    ("kafka-get-offsets", "--topic tools"),
    ("kafka-get-offsets", "--topic tools --time -2"),
    ("kafka-get-offsets", "--topic nowhere"),
    ("kafka-consumer-groups", "--group g --topic tools --reset-offsets --to-earliest --execute"),
    ("kafka-consumer-groups", "--list"),
    ("kafka-consumer-groups", "--list --state"),
    ("kafka-consumer-groups", "--list --type"),
    ("kafka-consumer-groups", "--describe --group g"),
    ("kafka-consumer-groups", "--describe --group g --state"),
    ("kafka-consumer-groups", "--describe --group g --members"),
    ("kafka-consumer-groups", "--describe --group nobody"),
    ("kafka-consumer-groups", "--delete-offsets --group g --topic tools"),
    ("kafka-consumer-groups", "--delete --group g"),
    ("kafka-consumer-groups", "--delete --group nobody"),
    ("kafka-groups", "--list"),
    ("kafka-log-dirs", "--describe --topic-list tools"),
    ("kafka-log-dirs", "--describe --broker-list 7"),
    ("kafka-delete-records", "--offset-json-file {records}"),
    ("kafka-features", "describe"),
    ("kafka-features", "upgrade --feature no.such=1"),
    ("kafka-features", "downgrade --feature metadata.version=20"),
    ("kafka-metadata-quorum", "describe --status"),
    ("kafka-metadata-quorum", "describe --replication"),
    ("kafka-leader-election", "--election-type preferred --all-topic-partitions"),
    ("kafka-leader-election", "--election-type preferred --topic nowhere --partition 0"),
    ("kafka-reassign-partitions", "--list"),
    ("kafka-reassign-partitions", "--reassignment-json-file {moves} --execute"),
    ("kafka-reassign-partitions", "--reassignment-json-file {moves} --verify"),
    ("kafka-reassign-partitions", "--topics-to-move-json-file {topics} --broker-list 1 --generate"),
    ("kafka-configs", "--describe --entity-type brokers --entity-name 1"),
    ("kafka-configs", "--describe --entity-type brokers --entity-default"),
    ("kafka-cluster", "cluster-id"),
    ("kafka-cluster", "unregister --id 7"),
    ("kafka-cluster", "list-endpoints"),
    ("kafka-client-metrics", "--list"),
    ("kafka-acls", "--list"),
    ("kafka-broker-api-versions", ""),
    ("kafka-topics", "--delete --topic tools"),
    ("kafka-topics", "--delete --topic nowhere"),
    ("kafka-topics", "--no-such-option"),
]


def files(directory):
    """The files that some commands read."""
    given = {
        "records": {"partitions": [{"topic": "tools", "partition": 0, "offset": 0}], "version": 1},
        "moves": {"partitions": [{"topic": "tools", "partition": 0, "replicas": [1]}], "version": 1},
        "topics": {"topics": [{"topic": "tools"}], "version": 1},
    }
    for name, value in given.items():
        (directory / f"{name}.json").write_text(json.dumps(value))
    return {name: str(directory / f"{name}.json") for name in given}


def ordered(value):
    """JSON with its lists sorted: partitions come as a hash table has them."""
    if isinstance(value, dict):
        return {k: ordered(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted((ordered(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


def name_of(line):
    """The first word, or the first two where that says only what kind of line it is."""
    words = line.split()
    if line.startswith("{"):
        return "{}"
    return " ".join(words[:2] if words and words[0] in ("Feature:", "Topic:") else words[:1])


def lines(text, own):
    for whose, kind in own:
        text = text.replace(whose, kind)
    out = {}
    for line in text.splitlines():
        if line.startswith("{"):
            line = json.dumps(ordered(json.loads(line)))
        for pattern, kind in OWN:
            line = pattern.sub(kind, line)
        if re.match(r"<time>|\s+at ", line):
            continue
        name = name_of(line)
        same = sum(1 for k in out if k.split("#")[0] == name)
        out[f"{name}#{same + 1}" if same else name] = line.rstrip()
    return out


def answers(side):
    broker, directory = side.broker, pathlib.Path(side.broker.dir)
    given = files(directory)
    java = drivers.java(broker.deps, directory / "tools.log")
    out = []
    try:
        for command, text in COMMANDS:
            address = ["--bootstrap-server", broker.bootstrap]
            words = [w.format(**given) for w in text.split()]
            first = command in ("kafka-features", "kafka-metadata-quorum")
            argv = [*address, *words] if first or not words or words[0].startswith("--") else [words[0], *address, *words[1:]]
            got = java.call("tool", **{"class": CLASSES[command], "args": argv})
            if broker.kind == "upstream" and {"--alter", "--create"} & set(words):
                time.sleep(SETTLE_S)
            out.append((f"{command} {text}".strip(), {"status": got["status"], "lines": lines(got["text"], side.own())}))
    finally:
        java.close()
    return out
