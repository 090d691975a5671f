"""The admin calls that aiokafka has."""

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from lib.results import check, same


async def topics(a, name):
    made = await a.create_topics([NewTopic(name, 2, 1, topic_configs={"retention.ms": "123456"})])
    same(0, made.topic_errors[0][1], "error of create_topics")
    again = await a.create_topics([NewTopic(name, 2, 1)])
    same(36, again.topic_errors[0][1], "error of a second create_topics")
    same(0, (await a.create_partitions({name: NewPartitions(4)})).topic_errors[0][1], "error of create_partitions")
    check(name in await a.list_topics(), "a created topic is not listed")
    described = await a.describe_topics([name])
    same(4, len(described[0]["partitions"]), "partitions")


async def configs(a, name):
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    answer = (await a.describe_configs([resource]))[0].resources[0]
    found = {entry[0]: entry[1] for entry in answer[4]}
    same("123456", found["retention.ms"], "retention.ms")
    await a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "654321"})])
    answer = (await a.describe_configs([resource]))[0].resources[0]
    same("654321", {entry[0]: entry[1] for entry in answer[4]}["retention.ms"], "altered retention.ms")


async def groups(a, group, topic):
    same(1, await a.find_coordinator(group), "coordinator")
    check(group in [g[0] for g in await a.list_consumer_groups()], "the group is not listed")
    described = (await a.describe_consumer_groups([group]))[0].groups[0]
    same((0, group), (described[0], described[1]), "described group")
    offsets = await a.list_consumer_group_offsets(group)
    check(offsets[TopicPartition(topic, 0)].offset >= 0, "no offset")


async def run(bootstrap, name, group, topic):
    a = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await a.start()
    try:
        same(1, len((await a.describe_cluster())["brokers"]), "brokers")
        await topics(a, name)
        await configs(a, name)
        await groups(a, group, topic)
        low = await a.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=1)})
        same(1, low[TopicPartition(topic, 0)], "low watermark after delete_records")
        same(0, (await a.delete_topics([name])).topic_error_codes[0][1], "error of delete_topics")
    finally:
        await a.close()
    done = "create_topics create_partitions list_topics describe_topics delete_topics describe_cluster describe_configs "
    done += "alter_configs find_coordinator list_consumer_groups describe_consumer_groups list_consumer_group_offsets delete_records"
    return {"done": done.split()}
