"""confluent-kafka for transactions: writes a log with committed, aborted and open ones, and reads one as either kind of reader."""

import random
import zlib

import client
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

open_producers = []


def producer(bootstrap, name):
    p = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": name,
            "transaction.timeout.ms": 600_000,
            "linger.ms": 0,
            "retry.backoff.ms": 20,
            "retry.backoff.max.ms": 100,
            "compression.type": random.choice(["none", "lz4", "zstd", "gzip", "snappy"]),
        }
    )
    p.init_transactions(30)
    return p


def write(bootstrap, topic, partitions, transactions, size, seed, keys=50):
    """Interleaved transactions of three producers, a third of them aborted."""
    random.seed(seed)
    names = [f"{topic}-{seed}-{i}" for i in range(3)]
    producers = [producer(bootstrap, n) for n in names]
    running = [0, 0, 0]
    for i in range(transactions):
        k = random.randrange(3)
        p = producers[k]
        if not running[k]:
            p.begin_transaction()
        running[k] += 1
        for j in range(random.randrange(1, 5)):
            value = f"{seed}-{i}-{j}-".encode() + random.randbytes(size)
            p.produce(topic, value, key=f"k{random.randrange(keys)}", partition=random.randrange(partitions))
        p.flush(30)
        if random.random() < 0.6:
            running[k] = 0
            p.abort_transaction(30) if random.random() < 0.4 else p.commit_transaction(30)
    for k, p in enumerate(producers):
        if running[k]:
            p.abort_transaction(30) if k else p.commit_transaction(30)


def leave_open(bootstrap, topic, partition, name):
    """A transaction that nobody ends while this process lives."""
    p = producer(bootstrap, name)
    p.begin_transaction()
    p.produce(topic, b"undecided", key=b"open", partition=partition)
    p.flush(30)
    open_producers.append(p)


def delete_records(bootstrap, topic, partition, offset):
    """Moves the start of a log; returns where it is now."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = admin.delete_records([TopicPartition(topic, partition, offset)])
    return {"start": next(iter(asked.values())).result(20).low_watermark}


def read(bootstrap, topic, partition, committed, start=0):
    """Offsets with CRCs of what a reader sees, the end that it was told, and the position that it reached."""
    c = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reads-by-hand",
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
            "auto.offset.reset": "error",
        }
    )
    low, high = c.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
    c.assign([TopicPartition(topic, partition, max(start, low))])
    seen, ended = [], False
    while not ended:
        m = c.poll(20)
        if m is None:
            raise TimeoutError(f"{topic}-{partition}: nothing came after {len(seen)} records")
        if m.error():
            ended = True
            continue
        crc = zlib.crc32(m.value() if m.value() is not None else b"")
        seen.append([m.offset(), crc, (m.key() or b"").decode(), m.timestamp()[1]])
    position = c.position([TopicPartition(topic, partition)])[0].offset
    c.close()
    return {"seen": seen, "low": low, "high": high, "position": position}


client.serve({"write": write, "leave_open": leave_open, "delete_records": delete_records, "read": read})
