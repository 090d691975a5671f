"""The admin calls that kafka-python has, those for transactions apart."""

from kafka import TopicPartition
from kafka.admin import ACLFilter, ACLOperation, ACLPermissionType, ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.admin import NewPartitions, NewTopic, ResourcePatternFilter, ResourceType
from kafka.admin import ACLResourcePatternType
from kafka.errors import SecurityDisabledError, TopicAlreadyExistsError
from lib.results import check, same
from lib.wait import wait_until


def fails(kind, call):
    try:
        got = call()
    except kind:
        return
    check(False, f"expected {kind.__name__}, got {got}")


def topics(a, name):
    a.create_topics([NewTopic(name, 2, 1, topic_configs={"retention.ms": "123456"})], wait_for_metadata=True)
    fails(TopicAlreadyExistsError, lambda: a.create_topics([NewTopic(name, 2, 1)]))
    a.create_partitions({name: NewPartitions(4)})
    wait_until(lambda: name in a.list_topics(), 10, "the created topic to be listed")
    wait_until(lambda: len(a.describe_topics([name])[0]["partitions"]) == 4, 10, "four partitions")
    found = a.describe_topic_partitions([name])
    check(name in str(found), f"describe_topic_partitions: {found}")


def retention(a, name):
    return str(a.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)]))


def configs(a, name):
    check("123456" in retention(a, name), "retention.ms")
    a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "654321"})])
    wait_until(lambda: "654321" in retention(a, name), 10, "the altered retention.ms")
    a.reset_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": None})])
    wait_until(lambda: "654321" not in retention(a, name), 10, "reset_configs")
    a.list_config_resources()


def groups(a, group, topic):
    check(group in str(a.list_groups()), "the group is not listed")
    check(group in str(a.describe_groups([group])), "the group is not described")
    tp = TopicPartition(topic, 0)
    check(topic in str(a.list_group_offsets([group])), "no offsets")
    other = f"{group}-other"
    from kafka.structs import OffsetAndMetadata  # pylint: disable=import-outside-toplevel

    a.alter_group_offsets(other, {tp: OffsetAndMetadata(7, "note", -1)})
    check("7" in str(a.list_group_offsets([other])), "the altered offset")
    a.delete_group_offsets(other, [tp])
    a.alter_group_offsets(other, {tp: OffsetAndMetadata(7, "", -1)})
    a.delete_groups([other])


def cluster(a, topic):
    same(1, len(a.describe_cluster()["brokers"]), "brokers")
    check(topic in str(a.describe_log_dirs()), "describe_log_dirs")
    check("metadata.version" in str(a.describe_features()), "describe_features")
    a.describe_metadata_quorum()
    check(a.api_versions(), "api_versions")
    a.list_partition_reassignments()
    a.describe_producers([TopicPartition(topic, 0)])
    a.list_transactions()
    pattern = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    acls = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)
    fails(SecurityDisabledError, lambda: a.describe_acls(acls))


def run(bootstrap, name, group, topic):
    a = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        topics(a, name)
        configs(a, name)
        groups(a, group, topic)
        cluster(a, topic)
        a.list_partition_offsets({TopicPartition(topic, 0): -1})
        a.delete_records({TopicPartition(topic, 0): 1})
        a.delete_topics([name])
    finally:
        a.close()
    done = "create_topics create_partitions list_topics describe_topics describe_topic_partitions delete_topics describe_configs "
    done += "alter_configs reset_configs list_config_resources list_groups describe_groups list_group_offsets alter_group_offsets "
    done += "delete_group_offsets delete_groups describe_cluster describe_log_dirs describe_features describe_metadata_quorum "
    done += "api_versions list_partition_reassignments describe_producers list_transactions describe_acls list_partition_offsets "
    done += "delete_records"
    return {"done": done.split()}
