'use strict';
// The admin calls of kafkajs, and of @confluentinc/kafka-javascript, which has some of them under the same names.

const assert = require('assert');

async function eventually(what, body) {
    const end = Date.now() + 10000;
    while (!(await body())) {
        if (Date.now() > end) throw new Error(`timed out: ${what}`);
        await new Promise((r) => setTimeout(r, 50));
    }
}

async function topics(a, cmd) {
    const entry = { topic: cmd.name, numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '123456' }] };
    assert.strictEqual(await a.createTopics({ topics: [entry] }), true);
    assert.strictEqual(await a.createTopics({ topics: [entry] }), false);
    await eventually('the topic listed', async () => (await a.listTopics()).includes(cmd.name));
    const described = await a.fetchTopicMetadata({ topics: [cmd.name] });
    const found = (described.topics || described)[0];
    assert.strictEqual(found.partitions.length, 2);
    const ends = await a.fetchTopicOffsets(cmd.topic);
    assert(ends.length > 0 && ends.every((o) => Number(o.high) > 1));
    const at = await a.fetchTopicOffsetsByTimestamp(cmd.topic, 1);
    assert(at.length === ends.length);
    return 'createTopics listTopics fetchTopicMetadata fetchTopicOffsets fetchTopicOffsetsByTimestamp';
}

async function groups(a, cmd) {
    const listed = (await a.listGroups()).groups.map((g) => g.groupId);
    assert(listed.includes(cmd.group), `listed ${listed}`);
    const described = (await a.describeGroups([cmd.group])).groups[0];
    assert.strictEqual(described.groupId, cmd.group);
    const offsets = await a.fetchOffsets({ groupId: cmd.group, topics: [cmd.topic] });
    assert(offsets[0].partitions.some((p) => Number(p.offset) > 0));
    return 'listGroups describeGroups fetchOffsets';
}

async function kafkajsOnly(a, lib, cmd) {
    const other = `${cmd.group}-other`;
    await a.setOffsets({ groupId: other, topic: cmd.topic, partitions: [{ partition: 0, offset: '7' }] });
    let offsets = await a.fetchOffsets({ groupId: other, topics: [cmd.topic] });
    assert.strictEqual(offsets[0].partitions.find((p) => p.partition === 0).offset, '7');
    await a.resetOffsets({ groupId: other, topic: cmd.topic, earliest: true });
    offsets = await a.fetchOffsets({ groupId: other, topics: [cmd.topic] });
    assert.notStrictEqual(offsets[0].partitions.find((p) => p.partition === 0).offset, '7');
    await a.deleteGroups([other]);
    await a.createPartitions({ topicPartitions: [{ topic: cmd.name, count: 4 }] });
    await eventually('four partitions', async () => (await a.fetchTopicMetadata({ topics: [cmd.name] })).topics[0].partitions
        .length === 4);
    assert.strictEqual((await a.describeCluster()).brokers.length, 1);
    const resource = { type: lib.ConfigResourceTypes.TOPIC, name: cmd.name };
    const config = async () => (await a.describeConfigs({ resources: [resource] })).resources[0].configEntries
        .find((e) => e.configName === 'retention.ms').configValue;
    assert.strictEqual(await config(), '123456');
    await a.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '654321' }] }] });
    await eventually('the altered value', async () => (await config()) === '654321');
    assert.deepStrictEqual((await a.listPartitionReassignments({})).topics, []);
    await assert.rejects(a.describeAcls({ resourceType: lib.AclResourceTypes.ANY, operation: lib.AclOperationTypes.ANY,
        permissionType: lib.AclPermissionTypes.ANY, resourcePatternType: lib.ResourcePatternTypes.ANY }),
    (e) => /SECURITY_DISABLED|no Authorizer/i.test(`${e.type} ${e.message} ${e.cause && e.cause.type}`));
    return 'setOffsets resetOffsets createPartitions describeCluster describeConfigs alterConfigs '
        + 'listPartitionReassignments describeAcls';
}

async function confluentOnly(a, cmd) {
    const other = `${cmd.group}-absent`;
    const failed = await a.deleteGroups([other]).then((r) => r, (e) => [{ error: e }]);
    assert(failed[0].error || failed[0].errorCode, 'an absent group was deleted');
    return '';
}

async function run(kafka, lib, cmd) {
    const a = kafka.admin();
    await a.connect();
    try {
        let done = `${await topics(a, cmd)} ${await groups(a, cmd)}`;
        done += ` ${lib.ConfigResourceTypes ? await kafkajsOnly(a, lib, cmd) : await confluentOnly(a, cmd)}`;
        await a.deleteTopicRecords({ topic: cmd.topic, partitions: [{ partition: 0, offset: '1' }] });
        await eventually('records deleted', async () => (await a.fetchTopicOffsets(cmd.topic))
            .find((o) => o.partition === 0).low === '1');
        await a.deleteTopics({ topics: [cmd.name] });
        await eventually('the topic deleted', async () => !(await a.listTopics()).includes(cmd.name));
        done += ' deleteGroups deleteTopicRecords deleteTopics';
        return { done: done.split(/\s+/).filter((w) => w !== '') };
    } finally {
        await a.disconnect();
    }
}

module.exports = { run };
