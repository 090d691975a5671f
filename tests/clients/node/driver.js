'use strict';
// kafkajs as producer, as consumer by group, the only kind that it has, and its admin calls. It ships gzip only; the
// other codecs come from npm packages.
// Usage: node driver.js <directory that holds node_modules>; JSON lines in, JSON lines out.

const path = require('path');
const { createRequire } = require('module');

const load = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = load('kafkajs');
const lz4 = load('lz4-napi');
const { ZstdCodec } = load('zstd-codec');

const common = require('./common');

function installCodecs(zstd, streaming) {
    CompressionCodecs[CompressionTypes.Snappy] = load('kafkajs-snappy');
    CompressionCodecs[CompressionTypes.LZ4] = () => ({
        compress: async (encoder) => lz4.compressFrame(encoder.buffer),
        decompress: async (buffer) => lz4.decompressFrame(buffer),
    });
    CompressionCodecs[CompressionTypes.ZSTD] = () => ({
        compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
        // The simple form answers null for a frame that does not say how long its content is.
        decompress: async (buffer) => Buffer.from(zstd.decompress(buffer) || streaming.decompress(buffer)),
    });
}

const CODECS = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' };

async function produce(cmd) {
    const kafka = new Kafka({ clientId: 'kafkajs', brokers: [cmd.bootstrap], logLevel: logLevel.ERROR,
        retry: { retries: 2 } });
    const producer = kafka.producer({ allowAutoTopicCreation: false, idempotent: !!cmd.idempotent });
    const messages = common.readMessages(cmd.file);
    await producer.connect();
    try {
        for (const chunk of common.chunks(messages)) {
            await producer.send({ topic: cmd.topic, acks: -1, messages: chunk,
                compression: CompressionTypes[CODECS[cmd.codec]] });
        }
    } finally {
        await producer.disconnect();
    }
    return { count: messages.length };
}

// Several topics at once, by group: reads until every partition's end has been seen.
async function consumeAll(cmd) {
    const kafka = new Kafka({ clientId: 'kafkajs', brokers: [cmd.bootstrap], logLevel: logLevel.ERROR });
    const reader = await common.expectAll(kafka.admin(), cmd.topics);
    const consumer = kafka.consumer({ groupId: 'read-by-kafkajs', maxWaitTimeInMs: 20, rebalanceTimeout: 10000 });
    await consumer.connect();
    try {
        await consumer.subscribe({ topics: cmd.topics.map((t) => t.topic), fromBeginning: true });
        await consumer.run({ eachBatch: async ({ batch }) => {
            for (const m of batch.messages) reader.take(batch.topic, batch.partition, m);
        } });
        await reader.wait(cmd.timeout_s);
    } finally {
        await consumer.disconnect();
    }
    return { count: reader.count };
}

// A member of a group: what it was given, and what it has read.
const member = { consumer: null, assigned: [], rounds: 0, seen: [] };

async function memberStart(cmd) {
    member.topic = cmd.topic;
    member.bootstrap = cmd.bootstrap;
    const kafka = new Kafka({ clientId: 'kafkajs', brokers: [cmd.bootstrap], logLevel: logLevel.ERROR });
    const consumer = kafka.consumer({ groupId: cmd.group, sessionTimeout: cmd.session_ms, rebalanceTimeout: 10000,
        heartbeatInterval: 300, maxWaitTimeInMs: 200, metadataMaxAge: 5000 });
    consumer.on(consumer.events.GROUP_JOIN, (e) => {
        member.assigned = (e.payload.memberAssignment[cmd.topic] || []).slice();
        member.rounds += 1;
    });
    consumer.on(consumer.events.REBALANCING, () => { member.assigned = []; });
    await consumer.connect();
    await consumer.subscribe({ topics: [cmd.topic], fromBeginning: true });
    await consumer.run({ autoCommitThreshold: 1, eachMessage: async ({ partition, message }) => {
        member.seen.push([partition, Number(message.offset)]);
    } });
    member.consumer = consumer;
    return {};
}

async function memberStop() {
    await member.consumer.disconnect();
    member.consumer = null;
    return {};
}

async function memberSeek(cmd) {
    const kafka = new Kafka({ clientId: 'kafkajs', brokers: [member.bootstrap], logLevel: logLevel.ERROR });
    const admin = kafka.admin();
    await admin.connect();
    const found = await admin.fetchTopicOffsetsByTimestamp(member.topic, cmd.time_ms);
    await admin.disconnect();
    for (const o of found) member.consumer.seek({ topic: member.topic, partition: o.partition, offset: o.offset });
    return {};
}

const these = (cmd) => [{ topic: member.topic, partitions: cmd.partitions }];

const OPS = {
    produce,
    consume_all: consumeAll,
    admin: (cmd) => require('./admin').run(new Kafka({ clientId: 'kafkajs', brokers: [cmd.bootstrap],
        logLevel: logLevel.NOTHING }), load('kafkajs'), cmd),
    member_start: memberStart,
    member_state: async () => ({ assigned: member.assigned, rounds: member.rounds, seen: member.seen.splice(0) }),
    member_stop: memberStop,
    member_pause: async (cmd) => { member.consumer.pause(these(cmd)); return {}; },
    member_resume: async (cmd) => { member.consumer.resume(these(cmd)); return {}; },
    member_seek: memberSeek,
};

ZstdCodec.run((z) => {
    installCodecs(new z.Simple(), new z.Streaming());
    common.serve(OPS);
});
