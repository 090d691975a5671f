"""Records whose value is their offset: churn_producer.py BOOTSTRAP TOPIC PARTITIONS RATE, until the end of its input.

One idempotent producer, all partitions in turn. Ends with a JSON line: how many records each partition has, and errors.
"""

import json
import select
import sys
import time

from confluent_kafka import Producer


class Load:
    def __init__(self, bootstrap, topic, partitions):
        self.topic, self.made, self.ends, self.errors = topic, [0] * partitions, [0] * partitions, []
        self.client = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 20,
                "message.timeout.ms": 120_000,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )

    def send(self, p):
        self.client.produce(self.topic, value=str(self.made[p]), partition=p, on_delivery=self.delivered)
        self.made[p] += 1

    def delivered(self, err, m):
        if err is not None:
            self.errors.append(str(err))
        elif m.offset() != self.ends[m.partition()]:
            self.errors.append(f"partition {m.partition()}: acknowledged at {m.offset()}, not {self.ends[m.partition()]}")
        self.ends[m.partition()] += err is None


def main():
    partitions, rate = int(sys.argv[3]), int(sys.argv[4])
    load = Load(sys.argv[1], sys.argv[2], partitions)
    begin, sent = time.monotonic(), 0
    while not select.select([0], [], [], 0.05)[0]:
        due = int((time.monotonic() - begin) * rate) - sent
        for _ in range(min(due, 2000)):
            load.send(sent % partitions)
            sent += 1
        load.client.poll(0)
    left = load.client.flush(60)
    if left:
        load.errors.append(f"{left} records without an answer")
    print(json.dumps({"ends": load.ends, "errors": load.errors[:5]}), flush=True)


if __name__ == "__main__":
    main()
