"""The admin calls that confluent-kafka (librdkafka) has."""

from confluent_kafka import ConsumerGroupTopicPartitions, ElectionType, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AclBindingFilter, AclOperation, AclPermissionType, AdminClient, AlterConfigOpType, ConfigEntry
from confluent_kafka.admin import ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourcePatternType, ResourceType
from lib.results import check, same
from lib.wait import wait_until

LIMIT = 20


def one(futures):
    return next(iter(futures.values())).result(LIMIT)


def fails(code, call):
    try:
        got = call()
    except KafkaException as e:
        return same(code, e.args[0].code(), "error code")
    return check(False, f"expected error {code}, got {got}")


def topics(a, name):
    one(a.create_topics([NewTopic(name, 2, 1, config={"retention.ms": "123456"})]))
    fails(KafkaError.TOPIC_ALREADY_EXISTS, lambda: one(a.create_topics([NewTopic(name, 2, 1)])))
    one(a.create_partitions([NewPartitions(name, 4)]))
    wait_until(lambda: name in a.list_topics(timeout=LIMIT).topics, 10, "the created topic to be listed")
    wait_until(lambda: len(one(a.describe_topics(TopicCollection([name]))).partitions) == 4, 10, "four partitions")


def configs(a, name):
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    same("123456", one(a.describe_configs([resource]))["retention.ms"].value, "retention.ms")
    change = ConfigEntry("retention.ms", "654321", incremental_operation=AlterConfigOpType.SET)
    one(a.incremental_alter_configs([ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[change])]))
    value = lambda key: one(a.describe_configs([resource]))[key].value  # noqa: E731
    wait_until(lambda: value("retention.ms") == "654321", 10, "the altered retention.ms")
    one(a.alter_configs([ConfigResource(ConfigResource.Type.TOPIC, name, set_config={"segment.bytes": "2097152"})]))
    wait_until(lambda: value("segment.bytes") == "2097152", 10, "the altered segment.bytes")


def groups(a, group, topic):
    check(group in [g.id for g in a.list_groups(timeout=LIMIT)], "list_groups")
    check(group in [g.group_id for g in a.list_consumer_groups().result(LIMIT).valid], "list_consumer_groups")
    same(group, one(a.describe_consumer_groups([group])).group_id, "described group")
    found = one(a.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
    check(any(tp.topic == topic for tp in found.topic_partitions), "no offsets")
    other = f"{group}-other"
    one(a.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(other, [TopicPartition(topic, 0, 7)])]))
    found = one(a.list_consumer_group_offsets([ConsumerGroupTopicPartitions(other)]))
    same([7], [tp.offset for tp in found.topic_partitions], "altered offsets")
    one(a.delete_consumer_groups([other]))
    fails(KafkaError.GROUP_ID_NOT_FOUND, lambda: one(a.delete_consumer_groups([other])))


def cluster(a, topic):
    same(1, len(a.describe_cluster().result(LIMIT).nodes), "nodes")
    check(a.cluster_id(timeout=LIMIT), "cluster_id")
    elected = a.elect_leaders(ElectionType.PREFERRED, [TopicPartition(topic, 0)]).result(LIMIT)
    check(elected, "elect_leaders")
    any_acl = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    same([], a.describe_acls(any_acl).result(LIMIT), "ACLs")  # librdkafka drops SECURITY_DISABLED


def run(bootstrap, name, group, topic):
    a = AdminClient({"bootstrap.servers": bootstrap})
    topics(a, name)
    configs(a, name)
    groups(a, group, topic)
    cluster(a, topic)
    tp = TopicPartition(topic, 0)
    check(one(a.list_offsets({tp: OffsetSpec.latest()})).offset > 1, "list_offsets")
    same(1, one(a.delete_records([TopicPartition(topic, 0, 1)])).low_watermark, "delete_records")
    one(a.delete_topics([name]))
    done = "create_topics create_partitions list_topics describe_topics delete_topics describe_configs incremental_alter_configs "
    done += "alter_configs list_groups list_consumer_groups describe_consumer_groups list_consumer_group_offsets "
    done += "alter_consumer_group_offsets delete_consumer_groups describe_cluster cluster_id elect_leaders describe_acls "
    done += "list_offsets delete_records"
    return {"done": done.split()}
