'use strict';
// @confluentinc/kafka-javascript (librdkafka) as producer, as consumer by group, and its admin calls.
// Usage: node native.js <directory that holds node_modules>; JSON lines in, JSON lines out.

const path = require('path');
const { createRequire } = require('module');
const common = require('./common');

const load = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const { Kafka, logLevel } = load('@confluentinc/kafka-javascript').KafkaJS;

const client = (bootstrap) => new Kafka({ kafkaJS: { clientId: 'kafka-javascript', brokers: [bootstrap], logLevel: logLevel.NOTHING } });

async function produce(cmd) {
    const producer = client(cmd.bootstrap).producer({ 'compression.type': cmd.codec, 'linger.ms': 5,
        'message.max.bytes': 1048588, 'message.timeout.ms': 30000 });
    const messages = common.readMessages(cmd.file);
    await producer.connect();
    try {
        // A send waits for its records' acknowledgements.
        for (const chunk of common.chunks(messages)) await producer.send({ topic: cmd.topic, messages: chunk });
    } finally {
        await producer.disconnect();
    }
    return { count: messages.length };
}

// Several topics at once, by group: reads until every partition's end has been seen.
async function consumeAll(cmd) {
    const kafka = client(cmd.bootstrap);
    const reader = await common.expectAll(kafka.admin(), cmd.topics);
    const consumer = kafka.consumer({ 'group.id': 'read-by-kafka-javascript', 'auto.offset.reset': 'earliest',
        'fetch.wait.max.ms': 20, 'check.crcs': true });
    await consumer.connect();
    try {
        await consumer.subscribe({ topics: cmd.topics.map((t) => t.topic) });
        await consumer.run({ partitionsConsumedConcurrently: 16,
            eachMessage: async ({ topic, partition, message }) => { reader.take(topic, partition, message); } });
        await reader.wait(cmd.timeout_s);
    } finally {
        await consumer.disconnect();
    }
    return { count: reader.count };
}

const member = { consumer: null, topic: null, bootstrap: null, rounds: 0, seen: [] };

async function memberStart(cmd) {
    const config = { 'group.id': cmd.group, 'auto.offset.reset': 'earliest', 'fetch.wait.max.ms': 100,
        'auto.commit.interval.ms': 100, 'group.protocol': cmd.protocol || 'classic',
        rebalance_cb: () => { member.rounds += 1; } };
    if (config['group.protocol'] === 'classic') {
        Object.assign(config, { 'session.timeout.ms': cmd.session_ms, 'heartbeat.interval.ms': 300 });
    }
    const consumer = client(cmd.bootstrap).consumer(config);
    Object.assign(member, { consumer, topic: cmd.topic, bootstrap: cmd.bootstrap });
    await consumer.connect();
    await consumer.subscribe({ topics: [cmd.topic] });
    await consumer.run({ eachMessage: async ({ partition, message }) => {
        member.seen.push([partition, Number(message.offset)]);
    } });
    return {};
}

const assigned = () => (member.consumer ? member.consumer.assignment().map((tp) => tp.partition) : []);

async function memberStop() {
    await member.consumer.disconnect();
    member.consumer = null;
    return {};
}

async function memberSeek(cmd) {
    const admin = client(member.bootstrap).admin();
    await admin.connect();
    const found = await admin.fetchTopicOffsetsByTimestamp(member.topic, cmd.time_ms);
    await admin.disconnect();
    for (const o of found) member.consumer.seek({ topic: member.topic, partition: o.partition, offset: o.offset });
    return {};
}

const these = (cmd) => [{ topic: member.topic, partitions: cmd.partitions }];

common.serve({
    produce,
    consume_all: consumeAll,
    admin: (cmd) => require('./admin').run(client(cmd.bootstrap), {}, cmd),
    member_start: memberStart,
    member_state: async () => ({ assigned: assigned(), rounds: member.rounds, seen: member.seen.splice(0) }),
    member_stop: memberStop,
    member_pause: async (cmd) => { member.consumer.pause(these(cmd)); return {}; },
    member_resume: async (cmd) => { member.consumer.resume(these(cmd)); return {}; },
    member_seek: memberSeek,
});
