"""Client quotas hold back whoever exceeds them, over all its connections, and nobody else.

The clients here ignore the throttle time that answers name: the broker must enforce it by itself (KIP-219).
"""

import struct
import threading
import time

from lib import batch, wire
from lib.results import check, same

ALTER_CLIENT_QUOTAS = 49
THROTTLING_QUOTA_EXCEEDED = 89
CONFIG = {"quota.window.num": "3", "quota.window.size.seconds": "1", "num.partitions": "1"}
SECONDS = 5.0
TOPIC = "quotas"
CONNECTIONS = 4


def alter(c, client, key, value):
    """Sets a quota of a client id; value None removes it."""
    entity = struct.pack(">i", 1) + wire.string("client-id") + wire.string(client)
    op = struct.pack(">i", 1) + wire.string(key) + struct.pack(">d?", value or 0.0, value is None)
    r = c.call(ALTER_CLIENT_QUOTAS, 0, struct.pack(">i", 1) + entity + op + struct.pack(">?", False))
    r.num("i")
    errors = r.array(lambda: (r.num("h"), r.string(), r.array(lambda: (r.string(), r.string()))))
    same([0], [e[0] for e in errors], f"error of AlterClientQuotas: {errors}")


class Load(threading.Thread):
    """Repeats one request until the time is over; `once` returns (bytes moved, throttle time)."""

    def __init__(self, broker, client, once, seconds=SECONDS):
        super().__init__(daemon=True)
        self.broker, self.client, self.once, self.seconds = broker, client, once, seconds
        self.bytes, self.requests, self.throttles, self.error = 0, 0, [], None

    def run(self):
        try:
            with wire.Connection(self.broker.host, self.broker.port, 30, client_id=self.client) as c:
                end = time.monotonic() + self.seconds
                while time.monotonic() < end:
                    moved, throttle = self.once(c)
                    if time.monotonic() < end:
                        self.bytes += moved
                        self.requests += 1
                    if throttle:
                        self.throttles.append(throttle)
        except Exception as e:  # pylint: disable=broad-except
            self.error = repr(e)


def all_of(loads):
    for load in loads:
        load.start()
    for load in loads:
        load.join(90)
        check(load.error is None and not load.is_alive(), f"a client failed: {load.error}")
    return sum(load.bytes for load in loads), sum(load.requests for load in loads), [t for x in loads for t in x.throttles]


def produce_once(c):
    records = batch.encode([b"x" * 10_000])
    r = c.receive(c.send(wire.PRODUCE, 7, c.produce_body(TOPIC, 0, records)))
    throttle = struct.unpack(">i", r.data[-4:])[0]
    same(0, c.produce_answer(r).error, "error of Produce")
    return len(records), throttle


def fetch_once(c):
    r = c.receive(c.send(wire.FETCH, 11, c.fetch_body(TOPIC, 0, 0, 100, 1, 50_000)))
    throttle, error = struct.unpack(">ih", r.data[r.at : r.at + 6])
    same(0, error, "error of Fetch")
    if throttle:
        check(len(r.data) < 1000, f"a throttled answer has {len(r.data)} bytes")
        return 0, throttle
    return len(c.fetch_answer(r).records), 0


def metadata_once(c):
    r = c.call(wire.METADATA, 8, struct.pack(">i", 1) + wire.string(TOPIC) + b"\0\0\0")
    return 1, r.num("i")


def held_back(broker, key, limit, once):
    with wire.Connection(broker.host, broker.port) as c:
        alter(c, "slow", key, limit)
        time.sleep(0.5)
        moved, _, throttles = all_of([Load(broker, "slow", once) for _ in range(CONNECTIONS)])
        windows = 3  # what was unused before
        check(moved <= limit * (SECONDS + windows) + CONNECTIONS * 60_000, f"{moved} bytes in {SECONDS} s, quota {limit}")
        check(moved >= limit * SECONDS / 4, f"only {moved} bytes in {SECONDS} s, quota {limit}")
        check(throttles and max(throttles) > 0, "no answer named a throttle time")
        free, _, none = all_of([Load(broker, "other", once, 1.0)])
        check(not none and free > limit, f"another client moved {free} bytes and was told {none[:3]}")
        alter(c, "slow", key, None)
        time.sleep(0.5)
        _, _, none = all_of([Load(broker, "slow", once, 1.0)])
        check(not none, f"without a quota it was told {none[:3]}")


def time_of_requests(broker):
    with wire.Connection(broker.host, broker.port) as c:
        alter(c, "busy", "request_percentage", 0.1)
        time.sleep(0.5)
        _, slow, throttles = all_of([Load(broker, "busy", metadata_once, 2.0)])
        check(throttles, "no answer named a throttle time")
        check(max(throttles) <= 1000, f"throttled for {max(throttles)} ms: more than a window")
        _, fast, none = all_of([Load(broker, "idle", metadata_once, 2.0)])
        check(not none and fast > slow, f"another client: {fast} requests, this one {slow}; told {none[:3]}")
        alter(c, "busy", "request_percentage", None)


def create_once(c, name, partitions=1):
    """CreateTopics 4, which is never refused by a quota: the error and the throttle time."""
    body = struct.pack(">i", 1) + wire.string(name) + struct.pack(">ihii", partitions, 1, 0, 0)
    r = c.call(wire.CREATE_TOPICS, 4, body + struct.pack(">i?", 10000, False))
    throttle = r.num("i")
    return r.array(lambda: (r.string(), r.num("h"), r.string()))[0][1], throttle


def create_strictly(c, name, partitions=1):
    """CreateTopics 6, a flexible version, which is refused by a quota: the error and the throttle time."""

    def compact(text):
        return bytes([len(text) + 1]) + text.encode()

    body = b"\x02" + compact(name) + struct.pack(">ih", partitions, 1) + b"\x01\x01\0" + struct.pack(">i?", 10000, False) + b"\0"
    c.correlation += 1
    head = struct.pack(">hhi", wire.CREATE_TOPICS, 6, c.correlation) + wire.string(c.client_id) + b"\0"
    c.sock.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
    r = c.receive(c.correlation)
    r.take(1)
    throttle = r.num("i")
    same((2, len(name) + 1), tuple(r.take(2)), "one topic, and its name's length")
    r.take(len(name))
    return r.num("h"), throttle


def topic_changes(broker):
    """Partitions made under a quota (KIP-599): what is owed is waited for, or refused."""
    rate, burst = 4.0, 4 * 11  # partitions a second, and controller.quota.window.num seconds of them saved up
    with wire.Connection(broker.host, broker.port) as c:
        alter(c, "maker", "controller_mutation_rate", rate)
        time.sleep(0.5)
        with wire.Connection(broker.host, broker.port, 30, client_id="maker") as m:
            error, throttle = create_once(m, "made-0", burst + 6)
            begin = time.monotonic()
            same(0, error, "error of CreateTopics")
            check(1000 < throttle <= 1500, f"told to wait {throttle} ms for 6 partitions at {rate} a second")
            with wire.Connection(broker.host, broker.port, 30, client_id="maker") as strict:
                error, throttle = create_strictly(strict, "made-1")
                same(THROTTLING_QUOTA_EXCEEDED, error, "error of CreateTopics 6")
                check(throttle > 0, "refused, and told no time")
            with wire.Connection(broker.host, broker.port, 30, client_id="someone") as free:
                same((0, 0), create_once(free, "made-2", 5), "another client's error and throttle time")
            m.metadata([TOPIC])
            check(time.monotonic() - begin > 0.9, "the connection was not held up")
            time.sleep(1.0)
            same((0, 0), create_strictly(m, "made-1"), "error and throttle time when nothing is owed")
        alter(c, "maker", "controller_mutation_rate", None)
        time.sleep(0.5)
        with wire.Connection(broker.host, broker.port, 30, client_id="maker") as m:
            for i in range(3):
                same((0, 0), create_strictly(m, f"free-{i}", 30), "error and throttle time without a quota")


def run(ctx):
    broker = ctx.broker(CONFIG)
    with wire.Connection(broker.host, broker.port) as c:
        same(0, c.create_topic(TOPIC, 1), "error of CreateTopics")
        c.wait_for_leaders(TOPIC, 1)
    results, logs = ctx.results, ctx.logs
    results.run("quotas/produce", lambda: held_back(broker, "producer_byte_rate", 100_000, produce_once), logs)
    results.run("quotas/consume", lambda: held_back(broker, "consumer_byte_rate", 200_000, fetch_once), logs)
    results.run("quotas/request", lambda: time_of_requests(broker), logs)
    results.run("quotas/topics", lambda: topic_changes(broker), logs)
    results.run("quotas/stop", broker.stop, logs)
