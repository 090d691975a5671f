"""Answers to raw requests, as upstream 4.3.1 gives them: which batches are refused and how, what a fetch
waits for, order of answers on one connection, and which requests close it."""

import socket
import struct
import time

from lib import batch, wire
from lib.results import check, same

TOPIC = "raw"
MAX_BATCH = 20_000
INVALID_RECORD, INVALID_TIMESTAMP, INVALID_REQUIRED_ACKS = 87, 32, 21
ANY_ERROR = None  # upstream answers UNKNOWN_SERVER_ERROR; a better error is as good
E = batch.encode


def batches():
    """name -> (bytes, expected error)."""
    now = int(time.time() * 1000)
    none = batch.HEADER_LEN - 12
    return {
        "plain": (E([b"a", b"b"]), 0),
        "gzip": (E([b"a", b"b"], codec="gzip"), 0),
        "null-and-empty": (E([None, b"", (b"", None), (None, b"", [("h", None), ("", b"")])]), 0),
        "wrong-crc": (E([b"a"], crc=1), wire.CORRUPT_MESSAGE),
        "too-large": (E([b"x" * 30_000]), wire.MESSAGE_TOO_LARGE),
        "far-future": (E([b"a"], timestamp=now + 7_200_000), INVALID_TIMESTAMP),
        "long-ago": (E([b"a"], timestamp=1), 0),
        "two-batches": (E([b"a"]) + E([b"b"]), INVALID_RECORD),
        "no-batch": (b"", INVALID_RECORD),
        "zeros": (b"\0" * 61, wire.CORRUPT_MESSAGE),
        "short-zeros": (b"\0" * 20, wire.CORRUPT_MESSAGE),
        "count-too-high": (E([b"a"], count=2), INVALID_RECORD),
        "count-zero": (E([b"a"], count=0), INVALID_RECORD),
        "count-negative": (E([b"a"], count=-1), INVALID_RECORD),
        "count-huge": (E([b"a"], count=2**31 - 1, last_delta=2**31 - 2), INVALID_RECORD),
        "last-delta-wrong": (E([b"a"], last_delta=5), INVALID_RECORD),
        "last-delta-negative": (E([b"a"], last_delta=-1), INVALID_RECORD),
        "magic-0": (E([b"a"], magic=0), INVALID_RECORD),
        "magic-1": (E([b"a"], magic=1), INVALID_RECORD),
        "magic-3": (E([b"a"], magic=3), wire.CORRUPT_MESSAGE),
        "length-beyond": (E([b"a"], length=none + 9), INVALID_RECORD),
        "control": (E([b"a"], attributes=0x20), INVALID_RECORD),
        "base-offset-77": (E([b"a"], base_offset=77), INVALID_RECORD),
        "leader-epoch-5": (E([b"a"], leader_epoch=5), 0),
        "max-timestamp-wrong": (E([b"a"], max_ts=5), 0),
        "not-gzip": (E([b"a"], attributes=1), ANY_ERROR),
        "not-snappy": (E([b"a"], attributes=2), ANY_ERROR),
        "not-lz4": (E([b"a"], attributes=3), ANY_ERROR),
        "not-zstd": (E([b"a"], attributes=4), ANY_ERROR),
        "no-such-codec": (E([b"a"], attributes=7), ANY_ERROR),
        "producer-without-sequence": (E([b"a"], pid=5, epoch=0, sequence=-1), INVALID_RECORD),
        "unknown-producer-any-sequence": (E([b"a"], pid=555, epoch=0, sequence=7), 0),
        "sequence-wraps": (E([b"a", b"b"], pid=600, epoch=0, sequence=2**31 - 2), 0),
        "sequence-wrapped": (E([b"a"], pid=600, epoch=0, sequence=0), 0),
    }


def produce_checks(c):
    """Each batch gets its error; those taken get the next offset, those refused leave no trace."""
    wrong = []
    end = c.list_offset(TOPIC, 0, wire.LATEST)[2]
    for name, (raw, want) in batches().items():
        got = c.produce(TOPIC, 0, raw)
        if (got.error == 0) != (want == 0) or (want is not None and got.error != want):
            wrong.append(f"{name}: error {got.error}, want {'any' if want is None else want}")
        if got.error == 0:
            if got.base_offset != end:
                wrong.append(f"{name}: base offset {got.base_offset}, want {end}")
            end = got.base_offset + next(batch.batches(raw))[0].last_delta + 1
        elif got.base_offset != -1:
            wrong.append(f"{name}: base offset {got.base_offset} with error {got.error}")
    check(not wrong, "\n".join(wrong))
    same(end, c.list_offset(TOPIC, 0, wire.LATEST)[2], "end offset")


def where_checks(c):
    one = E([b"a"])
    for topic, partition in (("no-such-topic", 0), (TOPIC, 9), (TOPIC, -1)):
        same(wire.UNKNOWN_TOPIC_OR_PARTITION, c.produce(topic, partition, one).error, f"produce {topic} {partition}")
        same(wire.UNKNOWN_TOPIC_OR_PARTITION, c.fetch(topic, partition, 0).error, f"fetch {topic} {partition}")
        same(wire.UNKNOWN_TOPIC_OR_PARTITION, c.list_offset(topic, partition, -1)[0], f"offsets {topic} {partition}")
    same(INVALID_REQUIRED_ACKS, c.produce(TOPIC, 0, one, acks=2).error, "produce with acks=2")
    same(1, c.fetch(TOPIC, 0, 10**9).error, "fetch far beyond the end")
    same(1, c.fetch(TOPIC, 0, -1).error, "fetch at -1")


def stored_form(c):
    """What is stored is what was sent, but for base offset, leader epoch and a corrected max timestamp."""
    sent = E([(b"k", b"v" * 100, [("h", b"x")]), b"second"], max_ts=5, leader_epoch=77)
    at = c.produce(TOPIC, 1, sent).base_offset
    got, raw = next(batch.batches(c.fetch(TOPIC, 1, at).records))
    before, _ = next(batch.batches(sent))
    check(batch.check_crc(raw), "CRC of the stored batch")
    same(sent[batch.HEADER_LEN :], raw[batch.HEADER_LEN :], "records")
    same(before.base_ts, got.max_ts, "max timestamp")
    changed = {"base_offset": at, "leader_epoch": got.leader_epoch, "max_ts": got.max_ts, "crc": got.crc}
    same(before._replace(**changed), got, "header")
    check(0 <= got.leader_epoch < 77, "leader epoch is the client's")


def fetch_checks(broker, c):
    offsets = [c.produce(TOPIC, 2, E([f"{i}-{j}".encode() for j in range(3)])).base_offset for i in range(4)]
    same([0, 3, 6, 9], offsets, "offsets")
    first = c.fetch(TOPIC, 2, 0, max_bytes=1)
    same([0], [b.base_offset for b, _ in batch.batches(first.records)], "the first batch whole, above max_bytes")
    middle = c.fetch(TOPIC, 2, 4)
    same([3, 6, 9], [b.base_offset for b, _ in batch.batches(middle.records)], "a fetch inside a batch")
    same((12, 12, 0), middle[1:4], "high watermark, last stable offset, log start")
    begin = time.monotonic()
    empty = c.fetch(TOPIC, 2, 12, max_wait_ms=400)
    waited = time.monotonic() - begin
    same((0, b""), (empty.error, empty.records), "a fetch at the end")
    check(0.35 <= waited < 3, f"a fetch at the end took {waited:.2f} s, max wait 0.4 s")
    with wire.Connection(broker.host, broker.port) as other:
        begin = time.monotonic()
        other.send(wire.FETCH, 11, other.fetch_body(TOPIC, 2, 12, 8000, 150, 1 << 20))
        time.sleep(0.1)
        c.produce(TOPIC, 2, E([b"too little"]))
        other.sock.settimeout(0.3)
        try:
            other.sock.recv(1, socket.MSG_PEEK)
            raise AssertionError("a fetch was answered below min_bytes")
        except TimeoutError:
            pass
        other.sock.settimeout(10)
        c.produce(TOPIC, 2, E([b"x" * 100]))
        got = other.fetch_answer(other.receive())
        waited = time.monotonic() - begin
        check(waited < 4, f"a waiting fetch took {waited:.1f} s to see a record")
        same([12, 13], [b.base_offset for b, _ in batch.batches(got.records)], "what woke the fetch")


def acks_zero(broker):
    with wire.Connection(broker.host, broker.port) as c:
        end = c.list_offset(TOPIC, 3, wire.LATEST)[2]
        c.produce(TOPIC, 3, E([b"no answer"]), acks=0)
        same(0, c.produce(TOPIC, 3, E([b"answered"])).error, "the next request on the connection")
        same(end + 2, c.list_offset(TOPIC, 3, wire.LATEST)[2], "end offset")
        c.produce(TOPIC, 3, E([b"bad"], crc=1), acks=0)
        closed(c, "an error with acks=0")


def closed(c, what):
    c.sock.settimeout(5)
    try:
        check(c.sock.recv(1) == b"", f"{what}: an answer, where the connection should close")
    except ConnectionResetError:
        pass
    except TimeoutError:
        check(False, f"{what}: the connection stays open")


def order(broker):
    """Fifty requests at once; the answers come in order, and no offset is skipped."""
    with wire.Connection(broker.host, broker.port) as c:
        start = c.list_offset(TOPIC, 3, wire.LATEST)[2]
        out, ids = b"", []
        for i in range(50):
            if i % 5 == 4:
                out += c.frame(wire.API_VERSIONS, 0, b"")
            else:
                out += c.frame(wire.PRODUCE, 7, c.produce_body(TOPIC, 3, E([f"{i}".encode()])))
            ids.append(c.correlation)
        c.sock.sendall(out)
        offsets = []
        for i, correlation in enumerate(ids):
            r = c.receive(correlation)
            if i % 5 != 4:
                offsets.append(c.produce_answer(r).base_offset)
        same(list(range(start, start + 40)), offsets, "offsets of pipelined requests")


def closing(broker):
    """Requests that upstream answers by closing the connection, and ApiVersions that it answers in v0."""
    with wire.Connection(broker.host, broker.port) as c:
        frames = {
            "Produce v2": c.frame(0, 2, b""),
            "unknown API 999": c.frame(999, 0, b""),
            "controller's API 52": c.frame(52, 0, b""),
            "length 0": b"\0\0\0\0",
            "length -1": b"\xff\xff\xff\xff",
            "length above socket.request.max.bytes": struct.pack(">i", 104857601),
            "a header cut short": struct.pack(">ihhi", 8, 18, 0, 1),
            "a body cut short": c.frame(3, 4, b"\0\0\0\7"),
        }
        future = c.frame(18, 99, b"\0")
    for name, frame in frames.items():
        with wire.Connection(broker.host, broker.port) as c:
            c.sock.sendall(frame)
            closed(c, name)
    with wire.Connection(broker.host, broker.port) as c:
        c.sock.sendall(future)
        r = c.receive()
        same(35, r.num("h"), "error of ApiVersions v99")
        apis = dict(r.array(lambda: (r.num("h"), (r.num("h"), r.num("h")))))
        same({18: (0, 4)}, apis, "APIs listed for ApiVersions v99")
        r.done()
        _, apis = c.api_versions()
        same(0, apis[0][0], "lowest advertised version of Produce")


def create_errors(c):
    for name, partitions, configs, want in (
        ("bad/name", 1, None, 17),
        (TOPIC, 1, None, wire.TOPIC_ALREADY_EXISTS),
        ("zero", 0, None, 37),
        ("config", 1, {"x": "y"}, 40),
        ("default-count", -1, None, 0),
    ):
        same(want, c.create_topic(name, partitions, configs), f"error of creating {name}")
    same(wire.UNKNOWN_TOPIC_OR_PARTITION, c.delete_topic("no-such-topic"), "error of deleting")
    same(wire.UNKNOWN_TOPIC_OR_PARTITION, c.metadata(["no-such-topic"]).topics["no-such-topic"][0], "error of Metadata")


def created_by_metadata(c):
    """Metadata with allow_auto_topic_creation makes the topic, though maybe not in the same answer."""
    c.metadata(["made-by-metadata"], create=True)
    c.wait_for_leaders("made-by-metadata", 1)
    same(0, c.produce("made-by-metadata", 0, E([b"a"])).error, "error of Produce")
    same(17, c.metadata(["bad/name"], create=True).topics["bad/name"][0], "error of Metadata for a bad name")


def run(ctx):
    broker = ctx.broker()
    with wire.Connection(broker.host, broker.port) as c:
        same(0, c.create_topic(TOPIC, 4, {"max.message.bytes": MAX_BATCH}), "error of CreateTopics")
        c.wait_for_leaders(TOPIC, 4)
        for name, body in (
            ("batches", lambda: produce_checks(c)),
            ("unknown-places", lambda: where_checks(c)),
            ("stored-form", lambda: stored_form(c)),
            ("fetch", lambda: fetch_checks(broker, c)),
            ("acks-0", lambda: acks_zero(broker)),
            ("order", lambda: order(broker)),
            ("closing", lambda: closing(broker)),
            ("create-errors", lambda: create_errors(c)),
            ("created-by-metadata", lambda: created_by_metadata(c)),
        ):
            ctx.results.run(f"raw/{name}", body, ctx.logs)
    ctx.results.run("raw/clean-stop", broker.stop, ctx.logs)
