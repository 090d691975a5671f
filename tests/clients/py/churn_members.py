"""Many members of one group in one process, for the churn test: churn_members.py BOOTSTRAP GROUP TOPIC KIND.

Commands come as JSON lines on stdin: {"op": "new"|"join"|"leave", "m": NAME}; the end of the input ends the process
without a word to the broker. Everything that happens to a member leaves as a JSON line on stdout, with the time of
CLOCK_MONOTONIC, which all processes share. What was read is written before it is committed, and one commit is under way
at a time: librdkafka tries one again whose connection broke, and it would overtake a later one.
"""

import json
import os
import select
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

SESSION_MS = 6000
KINDS = {
    "eager": {"partition.assignment.strategy": "range", "session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 500},
    "cooperative": {
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": 500,
    },
    "consumer": {"group.protocol": "consumer"},
}
# Errors of a commit that tell a member it is not in any more, or that the broker is away.
HARMLESS = {
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.FENCED_MEMBER_EPOCH,
    KafkaError.GROUP_ID_NOT_FOUND,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._WAIT_COORD,
    KafkaError._DESTROY,
    KafkaError._NO_OFFSET,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._STATE,
}


class Out:
    def __init__(self):
        self.lock = threading.Lock()

    def say(self, member, event, **fields):
        line = json.dumps({"t": time.monotonic(), "m": member, "e": event, **fields}) + "\n"
        with self.lock:
            os.write(1, line.encode())


class Member:
    def __init__(self, name, args, out):
        bootstrap, group, self.topic, kind = args
        self.name, self.out, self.owned = name, out, set()
        self.sent, self.pending = None, {}  # when the commit under way was sent; offsets to be committed next
        self.client = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "client.id": name,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 200,
                "topic.metadata.refresh.interval.ms": 5000,
                "reconnect.backoff.max.ms": 500,
                "queued.max.messages.kbytes": 1024,
                "log_level": 0,
                "on_commit": self.committed,
                **KINDS[kind],
            }
        )

    def event(self, what):
        def happened(_, partitions):
            self.out.say(self.name, what, p=[p.partition for p in partitions])
            named = {p.partition for p in partitions}
            self.owned = self.owned | named if what == "assigned" else self.owned - named

        return happened

    def join(self):
        self.client.subscribe(
            [self.topic], on_assign=self.event("assigned"), on_revoke=self.event("revoked"), on_lost=self.event("lost")
        )

    def step(self):
        ends, starts = {}, {}
        for m in self.client.consume(500, 0):
            if m.error():
                continue
            p, offset = m.partition(), m.offset()
            if int(m.value()) != offset:
                self.out.say(self.name, "wrong", p=p, o=offset, value=m.value().decode())
            if offset != ends.get(p, offset):
                self.out.say(self.name, "wrong", p=p, o=offset, value=f"after {ends[p] - 1}")
            starts.setdefault(p, offset)
            ends[p] = offset + 1
        for p, start in starts.items():
            self.out.say(self.name, "read", p=p, a=start, b=ends[p])
        self.pending.update(ends)
        # What it does not own any more is not its to commit: whoever was given it reads that again.
        self.pending = {p: o for p, o in self.pending.items() if p in self.owned}
        if self.pending and self.sent is None:
            self.commit()

    def commit(self):
        offsets = [TopicPartition(self.topic, p, o) for p, o in self.pending.items()]
        self.sent, self.pending = time.monotonic(), {}
        try:
            self.client.commit(offsets=offsets, asynchronous=True)
        except KafkaException:
            self.sent = None  # it owns nothing any more

    def committed(self, err, partitions):
        sent, self.sent = self.sent, None
        for p in partitions:
            e = err or p.error
            if e is None:
                self.out.say(self.name, "committed", p=p.partition, o=p.offset, sent=sent)
            elif e.code() not in HARMLESS:
                self.out.say(self.name, "wrong", p=p.partition, o=p.offset, value=f"commit: {e}")

    def leave(self):
        self.client.close()
        self.out.say(self.name, "gone")


def lines(buffer):
    """Commands that are there by now; None at the end of the input."""
    if not select.select([0], [], [], 0.02)[0]:
        return []
    data = os.read(0, 65536)
    if not data:
        return None
    *done, buffer[0] = (buffer[0] + data).split(b"\n")
    return [json.loads(line) for line in done]


def main():
    members, joined, buffer, out = {}, {}, [b""], Out()
    while (commands := lines(buffer)) is not None:
        for c in commands:
            name = c["m"]
            if c["op"] == "new":
                members[name] = Member(name, sys.argv[1:], out)
            elif c["op"] == "join":
                joined[name] = members[name]
                joined[name].join()
            elif name in members:
                joined.pop(name, None)
                threading.Thread(target=members.pop(name).leave, daemon=True).start()
        for member in joined.values():
            member.step()
    os._exit(0)


if __name__ == "__main__":
    main()
