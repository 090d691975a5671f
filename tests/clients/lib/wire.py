"""A raw Kafka protocol client: requests of fixed versions (none of them flexible), blocking sockets.

Versions: Produce 7, Fetch 11, ListOffsets 5, Metadata 4, OffsetCommit 2, OffsetFetch 5, FindCoordinator 0, CreateTopics 4, DeleteTopics 1,
InitProducerId 1, ApiVersions 0, IncrementalAlterConfigs 0. Errors come back as Kafka's numbers; nothing is retried.
"""

import socket
import struct
from collections import namedtuple

from .wait import wait_until

PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 8, 9, 10
INCREMENTAL_ALTER_CONFIGS = 44
API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID = 18, 19, 20, 22

NONE = 0
CORRUPT_MESSAGE = 2
UNKNOWN_TOPIC_OR_PARTITION = 3
MESSAGE_TOO_LARGE = 10
COORDINATOR_LOAD_IN_PROGRESS = 14
TOPIC_ALREADY_EXISTS = 36
OUT_OF_ORDER_SEQUENCE_NUMBER = 45
DUPLICATE_SEQUENCE_NUMBER = 46
INVALID_PRODUCER_EPOCH = 47

EARLIEST, LATEST = -2, -1

Produced = namedtuple("Produced", "error base_offset log_append_time log_start")
Fetched = namedtuple("Fetched", "error high_watermark last_stable log_start records")
Metadata = namedtuple("Metadata", "brokers controller topics")


def string(s):
    if s is None:
        return struct.pack(">h", -1)
    raw = s.encode()
    return struct.pack(">h", len(raw)) + raw


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise ValueError("response too short")
        self.at += n
        return self.data[self.at - n : self.at]

    def num(self, fmt):
        return struct.unpack(">" + fmt, self.take(struct.calcsize(">" + fmt)))[0]

    def string(self):
        n = self.num("h")
        return None if n < 0 else self.take(n).decode()

    def blob(self):
        n = self.num("i")
        return b"" if n < 0 else self.take(n)

    def array(self, item):
        return [item() for _ in range(max(0, self.num("i")))]

    def done(self):
        if self.at != len(self.data):
            raise ValueError(f"{len(self.data) - self.at} bytes left in the response")


class Connection:
    """One connection. Every call sends one request and reads its answer (unless acks=0)."""

    def __init__(self, host, port, timeout=10.0, client_id="sluice-test"):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client_id = client_id
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def frame(self, key, version, body):
        self.correlation += 1
        head = struct.pack(">hhi", key, version, self.correlation) + string(self.client_id)
        return struct.pack(">i", len(head) + len(body)) + head + body

    def send(self, key, version, body):
        self.sock.sendall(self.frame(key, version, body))
        return self.correlation

    def read_exact(self, n):
        out = bytearray()
        while len(out) < n:
            part = self.sock.recv(min(n - len(out), 1 << 20))
            if not part:
                raise ConnectionError("the broker closed the connection")
            out += part
        return bytes(out)

    def receive(self, correlation=None):
        size = struct.unpack(">i", self.read_exact(4))[0]
        r = Reader(self.read_exact(size))
        got = r.num("i")
        if correlation is not None and got != correlation:
            raise ValueError(f"correlation id {got}, expected {correlation}")
        return r

    def call(self, key, version, body):
        return self.receive(self.send(key, version, body))

    def api_versions(self):
        r = self.call(API_VERSIONS, 0, b"")
        error = r.num("h")
        apis = r.array(lambda: (r.num("h"), (r.num("h"), r.num("h"))))
        r.done()
        return error, dict(apis)

    def metadata(self, topics=None, create=False):
        body = struct.pack(">i", -1 if topics is None else len(topics))
        body += b"".join(string(t) for t in topics or ()) + struct.pack(">?", create)
        r = self.call(METADATA, 4, body)
        r.num("i")
        brokers = r.array(lambda: (r.num("i"), r.string(), r.num("i"), r.string()))
        r.string()
        controller = r.num("i")

        def partition():
            return (r.num("h"), r.num("i"), r.num("i"), r.array(lambda: r.num("i")), r.array(lambda: r.num("i")))

        found = r.array(lambda: (r.num("h"), r.string(), r.num("?"), r.array(partition)))
        r.done()
        return Metadata(brokers, controller, {t[1]: (t[0], t[3]) for t in found})

    def create_topic(self, name, partitions, configs=None, timeout_ms=10000):
        body = struct.pack(">i", 1) + string(name) + struct.pack(">ihi", partitions, 1, 0)
        body += struct.pack(">i", len(configs or {}))
        body += b"".join(string(k) + string(str(v)) for k, v in (configs or {}).items())
        r = self.call(CREATE_TOPICS, 4, body + struct.pack(">i?", timeout_ms, False))
        r.num("i")
        answers = r.array(lambda: (r.string(), r.num("h"), r.string()))
        r.done()
        return answers[0][1]

    def wait_for_leaders(self, topic, partitions):
        """Waits until every partition's leader serves it.

        Upstream's Metadata names a leader before that broker knows of its role. Batches sent meanwhile are
        refused, and when a later one of the same idempotent producer is let in first, the partition has no
        state yet, takes any sequence, and refuses the earlier ones for good (OUT_OF_ORDER_SEQUENCE_NUMBER).
        """

        def ready():
            error, parts = self.metadata([topic]).topics[topic]
            if error or len(parts) != partitions or any(p[0] for p in parts):
                return False
            return all(self.list_offset(topic, p, LATEST)[0] == NONE for p in range(partitions))

        wait_until(ready, 20, f"leaders of {topic}")

    def delete_topic(self, name, timeout_ms=10000):
        r = self.call(DELETE_TOPICS, 1, struct.pack(">i", 1) + string(name) + struct.pack(">i", timeout_ms))
        r.num("i")
        answers = r.array(lambda: (r.string(), r.num("h")))
        r.done()
        return answers[0][1]

    def alter_config(self, name, values, kind=2):
        """Sets values of a topic (kind 2) or of a broker (kind 4, name "" for all brokers); None removes one. The error."""
        body = struct.pack(">ib", 1, kind) + string(name) + struct.pack(">i", len(values))
        for key, value in values.items():
            body += string(key) + struct.pack(">b", value is None) + string(None if value is None else str(value))
        r = self.call(INCREMENTAL_ALTER_CONFIGS, 0, body + struct.pack(">?", False))
        r.num("i")
        answers = r.array(lambda: (r.num("h"), r.string(), r.num("b"), r.string()))
        r.done()
        return answers[0][0]

    def new_producer_id(self):
        """A producer id and epoch; retries while the broker's block of ids is being fetched, as clients do."""

        def attempt():
            error, pid, epoch = self.init_producer_id()
            if error == COORDINATOR_LOAD_IN_PROGRESS:
                return None
            if error:
                raise ValueError(f"InitProducerId answered with error {error}")
            return pid, epoch

        return wait_until(attempt, 10, "a producer id")

    def init_producer_id(self, transactional_id=None, timeout_ms=60000):
        r = self.call(INIT_PRODUCER_ID, 1, string(transactional_id) + struct.pack(">i", timeout_ms))
        r.num("i")
        out = (r.num("h"), r.num("q"), r.num("h"))
        r.done()
        return out

    @staticmethod
    def produce_body(topic, partition, records, acks=-1, timeout_ms=30000):
        body = string(None) + struct.pack(">hii", acks, timeout_ms, 1) + string(topic)
        return body + struct.pack(">iii", 1, partition, len(records)) + records

    def produce(self, topic, partition, records, acks=-1, timeout_ms=30000):
        correlation = self.send(PRODUCE, 7, self.produce_body(topic, partition, records, acks, timeout_ms))
        return None if acks == 0 else self.produce_answer(self.receive(correlation))

    @staticmethod
    def produce_answer(r):
        topics = r.array(
            lambda: (
                r.string(),
                r.array(lambda: (r.num("i"), Produced(r.num("h"), r.num("q"), r.num("q"), r.num("q")))),
            )
        )
        r.num("i")
        r.done()
        return topics[0][1][0][1]

    @staticmethod
    def fetch_body(topic, partition, offset, max_wait_ms, min_bytes, max_bytes):
        body = struct.pack(">iiiibii", -1, max_wait_ms, min_bytes, max_bytes, 0, 0, -1)
        body += struct.pack(">i", 1) + string(topic)
        body += struct.pack(">iiiqqi", 1, partition, -1, offset, -1, max_bytes)
        return body + struct.pack(">i", 0) + string("")

    def fetch(self, topic, partition, offset, max_wait_ms=100, min_bytes=1, max_bytes=1 << 22):
        body = self.fetch_body(topic, partition, offset, max_wait_ms, min_bytes, max_bytes)
        return self.fetch_answer(self.call(FETCH, 11, body))

    @staticmethod
    def fetch_answer(r):
        r.num("i")
        error = r.num("h")
        r.num("i")
        if error:
            return Fetched(error, -1, -1, -1, b"")

        def part():
            r.num("i")
            err, hw, lso, start = r.num("h"), r.num("q"), r.num("q"), r.num("q")
            r.array(lambda: (r.num("q"), r.num("q")))
            r.num("i")
            return Fetched(err, hw, lso, start, r.blob())

        topics = r.array(lambda: (r.string(), r.array(part)))
        r.done()
        return topics[0][1][0]

    def list_offset(self, topic, partition, timestamp):
        body = struct.pack(">ibi", -1, 0, 1) + string(topic) + struct.pack(">iiiq", 1, partition, -1, timestamp)
        r = self.call(LIST_OFFSETS, 5, body)
        r.num("i")
        topics = r.array(
            lambda: (r.string(), r.array(lambda: (r.num("i"), r.num("h"), r.num("q"), r.num("q"), r.num("i"))))
        )
        r.done()
        _, error, ts, offset, epoch = topics[0][1][0]
        return error, ts, offset, epoch

    def wait_for_coordinator(self, group):
        """Has the groups' topic created, if need be."""

        def found():
            r = self.call(FIND_COORDINATOR, 0, string(group))
            return r.num("h") == NONE

        wait_until(found, 30, f"the coordinator of {group}")

    def commit(self, group, topic, offset, partitions):
        """Commits from outside of the group, the same offset everywhere; returns the partitions' errors."""
        parts = b"".join(struct.pack(">iq", p, offset) + string("by hand") for p in range(partitions))
        body = string(group) + struct.pack(">i", -1) + string("") + struct.pack(">qi", -1, 1) + string(topic)
        r = self.call(OFFSET_COMMIT, 2, body + struct.pack(">i", partitions) + parts)
        topics = r.array(lambda: (r.string(), r.array(lambda: (r.num("i"), r.num("h")))))
        r.done()
        return [e for _, e in sorted(topics[0][1])]

    def committed(self, group, topic, partitions):
        """Per partition its committed offset, -1 for none; NONE or an error for all as second value."""
        body = string(group) + struct.pack(">i", 1) + string(topic) + struct.pack(">i", partitions)
        r = self.call(OFFSET_FETCH, 5, body + struct.pack(f">{partitions}i", *range(partitions)))
        r.num("i")
        topics = r.array(
            lambda: (
                r.string(),
                r.array(lambda: (r.num("i"), r.num("q"), r.num("i"), r.string(), r.num("h"))),
            )
        )
        error = r.num("h")
        r.done()
        parts = sorted(topics[0][1]) if topics else []
        return [-1 if p[4] else p[1] for p in parts], error


def answers_api_versions(host, port, timeout=2.0):
    """True if the port answers an ApiVersions request."""
    try:
        with Connection(host, port, timeout) as c:
            return c.api_versions()[0] == NONE
    except (OSError, ValueError):
        return False


def has_broker(host, port, timeout=2.0):
    """True if Metadata names a broker and a controller."""
    try:
        with Connection(host, port, timeout) as c:
            m = c.metadata([])
            return bool(m.brokers) and m.controller >= 0
    except (OSError, ValueError):
        return False
