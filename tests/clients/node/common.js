'use strict';
// What the JavaScript drivers share: the command loop, and records in their canonical form (lib/records.py).

const crypto = require('crypto');
const fs = require('fs');
const readline = require('readline');

const INLINE_LIMIT = 64;
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

function readMessages(file) {
    const lines = fs.readFileSync(file, 'utf8').split('\n').filter((l) => l !== '');
    return lines.map((l) => toMessage(JSON.parse(l)));
}

function canonical(value) {
    if (value === null || value === undefined) return null;
    const b = Buffer.isBuffer(value) ? value : Buffer.from(value);
    if (b.length <= INLINE_LIMIT) return b.toString('base64');
    return `sha256:${crypto.createHash('sha256').update(b).digest('hex')}:${b.length}`;
}

// Headers come as an object: values of one name in a list, and nothing about the order of different names.
function headersOf(message) {
    const out = [];
    for (const [name, value] of Object.entries(message.headers || {})) {
        for (const v of Array.isArray(value) ? value : [value]) out.push([name, canonical(v)]);
    }
    return out;
}

// Takes the records of several topics until each partition's end has been seen; one file a topic.
class Reader {
    constructor() {
        this.topics = new Map();
        this.count = 0;
    }

    // offsets: as fetchTopicOffsets answers.
    expect(topic, out, offsets) {
        const left = new Map(offsets.filter((o) => Number(o.high) > 0).map((o) => [o.partition, Number(o.high)]));
        this.topics.set(topic, { out, left, lines: [] });
    }

    take(topic, partition, m) {
        const t = this.topics.get(topic);
        t.lines.push(JSON.stringify({ p: partition, o: Number(m.offset), t: Number(m.timestamp), k: canonical(m.key),
            v: canonical(m.value), h: headersOf(m) }));
        this.count += 1;
        if (Number(m.offset) + 1 >= t.left.get(partition)) t.left.delete(partition);
    }

    async wait(seconds) {
        const end = Date.now() + seconds * 1000;
        const open = () => [...this.topics].filter(([, t]) => t.left.size > 0).map(([name]) => name);
        while (open().length > 0) {
            if (Date.now() > end) throw new Error(`no end of ${open().slice(0, 5)} after ${this.count} records`);
            await new Promise((r) => setTimeout(r, 20));
        }
        for (const t of this.topics.values()) fs.writeFileSync(t.out, t.lines.map((l) => l + '\n').join(''));
    }
}

async function expectAll(admin, topics) {
    const reader = new Reader();
    await admin.connect();
    for (const t of topics) reader.expect(t.topic, t.out, await admin.fetchTopicOffsets(t.topic));
    await admin.disconnect();
    return reader;
}

// JSON lines in, JSON lines out.
async function serve(ops) {
    for await (const text of readline.createInterface({ input: process.stdin })) {
        const cmd = JSON.parse(text);
        let reply;
        try {
            reply = { ...(await ops[cmd.op](cmd)), ok: true };
        } catch (e) {
            reply = { ok: false, error: String(e && e.stack || e) };
        }
        process.stdout.write(JSON.stringify(reply) + '\n');
    }
}

module.exports = { chunks, expectAll, readMessages, serve };
