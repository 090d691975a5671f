"""Reads all partitions from the beginning until its input closes; reports every record (lib/load.py).

Usage: load_consumer.py BOOTSTRAP TOPIC. It outlives restarts of the broker. An offset out of range is an
error: it means that the log became shorter than what was read.
"""

import os
import pathlib
import select
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition  # noqa: E402
from lib import load  # noqa: E402

HARMLESS = (
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)


def main():
    bootstrap, topic = sys.argv[1:]
    out = os.fdopen(1, "wb", buffering=1 << 16)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "check.crcs": True,
            "fetch.wait.max.ms": 50,
            "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100,
            "fetch.error.backoff.ms": 20,
            "retry.backoff.ms": 20,
            "retry.backoff.max.ms": 100,
            "enable.sparse.connections": False,
            "queued.max.messages.kbytes": 16384,
        }
    )
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(load.PARTITIONS)])
    while not select.select([0], [], [], 0)[0]:
        for m in consumer.consume(500, 0.1):
            if m.error() is not None:
                if m.error().code() in HARMLESS:
                    continue
                print(f"consumer: {m.topic()} {m.partition()}: {m.error()}", file=sys.stderr, flush=True)
                out.flush()
                os._exit(1)
            value = m.value()
            _, _, sequence = load.parse_value(value)
            out.write(load.REPORT.pack(load.READ, m.partition(), zlib.crc32(value), m.offset(), sequence))
        out.flush()
    consumer.close()


main()
