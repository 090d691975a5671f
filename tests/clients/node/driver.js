'use strict';
// kafkajs as producer and as a member of a group, the only kind of consumer that it has. It ships gzip only; the other
// codecs come from npm packages.
// Usage: node driver.js <directory that holds node_modules>; JSON lines in, JSON lines out.

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { createRequire } = require('module');

const load = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = load('kafkajs');
const lz4 = load('lz4-napi');
const { ZstdCodec } = load('zstd-codec');

const never = async () => { throw new Error('this driver does not read'); };

function installCodecs(zstd) {
    CompressionCodecs[CompressionTypes.Snappy] = load('kafkajs-snappy');
    CompressionCodecs[CompressionTypes.LZ4] = () => ({
        compress: async (encoder) => lz4.compressFrame(encoder.buffer),
        decompress: never,
    });
    CompressionCodecs[CompressionTypes.ZSTD] = () => ({
        compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
        decompress: never,
    });
}

const CODECS = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' };
const blob = (text) => (text === null ? null : Buffer.from(text, 'base64'));

function toMessage(r) {
    const headers = {};
    for (const [name, value] of r.h) {
        if (name in headers) headers[name] = [].concat(headers[name], [blob(value)]);
        else headers[name] = blob(value);
    }
    const message = { partition: r.p, key: blob(r.k), value: blob(r.v), headers };
    if (r.t !== null) message.timestamp = String(r.t);
    return message;
}

// kafkajs sends what one call gets as one batch a partition: keep that below the broker's limit.
function chunks(messages) {
    const out = [];
    let chunk = [];
    let bytes = 0;
    for (const m of messages) {
        const size = (m.value ? m.value.length : 0) + (m.key ? m.key.length : 0) + 1000;
        if (chunk.length > 0 && (bytes + size > 1000000 || chunk.length >= 50)) {
            out.push(chunk);
            chunk = [];
            bytes = 0;
        }
        chunk.push(m);
        bytes += size;
    }
    if (chunk.length > 0) out.push(chunk);
    return out;
}

async function produce(cmd) {
    const kafka = new Kafka({ clientId: 'kafkajs', brokers: [cmd.bootstrap], logLevel: logLevel.ERROR,
        retry: { retries: 2 } });
    const producer = kafka.producer({ allowAutoTopicCreation: false, idempotent: !!cmd.idempotent });
    const lines = fs.readFileSync(cmd.file, 'utf8').split('\n').filter((l) => l !== '');
    const messages = lines.map((l) => toMessage(JSON.parse(l)));
    await producer.connect();
    try {
        for (const chunk of chunks(messages)) {
            await producer.send({ topic: cmd.topic, acks: -1, messages: chunk,
                compression: CompressionTypes[CODECS[cmd.codec]] });
        }
    } finally {
        await producer.disconnect();
    }
    return { count: messages.length };
}

// A member of a group: what it was given, and what it has read.
const member = { consumer: null, assigned: [], rounds: 0, seen: [] };

async function memberStart(cmd) {
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

const OPS = {
    produce,
    member_start: memberStart,
    member_state: async () => ({ assigned: member.assigned, rounds: member.rounds, seen: member.seen.splice(0) }),
    member_stop: memberStop,
};

async function main(zstd) {
    installCodecs(zstd);
    for await (const text of readline.createInterface({ input: process.stdin })) {
        const cmd = JSON.parse(text);
        let reply;
        try {
            reply = { ...(await OPS[cmd.op](cmd)), ok: true };
        } catch (e) {
            reply = { ok: false, error: String(e && e.stack || e) };
        }
        process.stdout.write(JSON.stringify(reply) + '\n');
    }
}

ZstdCodec.run((z) => main(new z.Simple()));
