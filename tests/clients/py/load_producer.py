"""Produces until its input closes, then flushes; reports every acknowledged record (lib/load.py).

Usage: load_producer.py BOOTSTRAP TOPIC PRODUCER idempotent|plain SEED BYTES_PER_SECOND
It outlives restarts of the broker. A record that cannot be delivered, or a fatal error, ends it with 1.
"""

import os
import pathlib
import random
import select
import sys
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from confluent_kafka import KafkaError, Producer  # noqa: E402
from lib import load  # noqa: E402

MAX_UNACKED = 6_000_000  # bytes
HARMLESS = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)


class Load:
    def __init__(self, bootstrap, topic, producer, idempotent, seed, rate):
        self.topic, self.producer, self.rate = topic, producer, rate
        self.random = random.Random(seed)
        self.sequence = [0] * load.PARTITIONS
        self.unacked = 0
        self.sent = self.acked = 0
        self.out = os.fdopen(1, "wb", buffering=1 << 16)
        self.client = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": idempotent,
                "acks": "all",
                "message.timeout.ms": 300_000,
                "socket.timeout.ms": 10_000,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 100,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 100,
                "enable.sparse.connections": False,
                "retries": 2_000_000_000,
                "message.max.bytes": 1_048_588,
                "linger.ms": 2,
                "error_cb": self.on_error,
            }
        )

    def on_error(self, err):
        if err.fatal() or err.code() not in HARMLESS:
            self.give_up(f"client error: {err}")

    def give_up(self, why):
        print(f"producer {self.producer}: {why}", file=sys.stderr, flush=True)
        self.out.flush()
        os._exit(1)

    def send(self, partition, size):
        sequence = self.sequence[partition]
        self.sequence[partition] += 1
        value = load.make_value(self.producer, partition, sequence, size)
        crc = zlib.crc32(value)

        def delivered(err, message):
            if err is not None:
                self.give_up(f"partition {partition} record {sequence} was not delivered: {err}")
            self.acked += 1
            self.unacked -= size
            self.out.write(load.REPORT.pack(load.ACKED, partition, crc, message.offset(), sequence))

        self.client.produce(self.topic, value=value, partition=partition, on_delivery=delivered)
        self.unacked += size
        self.sent += 1
        return size

    def burst(self):
        """One step of load: a run of small records, a few of middle size, or a large one."""
        r, partition = self.random, self.random.randrange(load.PARTITIONS)
        kind = r.random()
        if kind < 0.60:
            sizes = [r.randrange(100, 2000) for _ in range(r.randrange(1, 40))]
        elif kind < 0.92:
            sizes = [r.randrange(2000, 120_000) for _ in range(r.randrange(1, 5))]
        else:
            sizes = [r.randrange(300_000, load.MAX_VALUE)]
        return sum(self.send(partition, s) for s in sizes)

    def run(self):
        budget, last = 0.0, time.monotonic()
        while not select.select([0], [], [], 0)[0]:
            now = time.monotonic()
            budget = min(self.rate * 0.2, budget + (now - last) * self.rate)
            last = now
            if budget > 0 and self.unacked < MAX_UNACKED:
                budget -= self.burst()
                self.client.poll(0)
            else:
                self.client.poll(0.01)
            self.out.flush()
        left = self.client.flush(60)
        if left or self.sent != self.acked:
            self.give_up(f"{left} left at the end, {self.acked} acknowledged of {self.sent}")
        self.out.flush()


def main():
    bootstrap, topic, producer, mode, seed, rate = sys.argv[1:]
    Load(bootstrap, topic, int(producer), mode == "idempotent", int(seed), float(rate)).run()


main()
