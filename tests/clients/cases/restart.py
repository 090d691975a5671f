"""What must survive a clean stop and a kill -9: records byte by byte, topics, producer state."""

import threading
import time

from lib import batch, wire
from lib.results import check, same

PARTS = 3
LOADED = 24  # partitions of the stop under load
STOP_LIMIT_S = 8.0  # a second on a machine of its own; this one may be crowded, and the build sanitized


def connect(broker):
    return wire.Connection(broker.host, broker.port)


def read_all(c, topic, partition):
    """Every stored byte of a partition, and its end offset."""
    out, offset = b"", 0
    end = c.list_offset(topic, partition, wire.LATEST)[2]
    while offset < end:
        f = c.fetch(topic, partition, offset, max_wait_ms=500)
        same(0, f.error, "error of Fetch")
        got = list(batch.batches(f.records))
        check(got, f"an empty fetch at {offset} of {end}")
        for b, raw in got:
            check(batch.check_crc(raw), f"CRC of the batch at {b.base_offset}")
            same(offset, b.base_offset, "base offset")
            offset = b.base_offset + b.last_delta + 1
            out += raw
    return out, end


def snapshot(c, topic):
    return [read_all(c, topic, p) for p in range(PARTS)]


def same_records(before, after):
    for p in range(PARTS):
        same(before[p][1], after[p][1], f"end offset of partition {p}")
        # The leader epoch in the header is the broker's to set at append; nothing may change it later.
        check(before[p][0] == after[p][0], f"bytes of partition {p} differ")


def fill(c, topic, rounds, tag):
    for i in range(rounds):
        for p in range(PARTS):
            values = [f"{tag}-{p}-{i}-{j}".encode() * (1 + (i * 7 + j) % 40) for j in range(1 + i % 5)]
            codec = "gzip" if i % 3 == 0 else "none"
            same(0, c.produce(topic, p, batch.encode(values, codec=codec)).error, "error of Produce")


class Idempotent:
    """A producer by hand: five batches of three records, so sequences 0-14."""

    def __init__(self, c, topic, partition):
        self.pid, self.epoch = c.new_producer_id()
        self.topic, self.partition = topic, partition
        self.answers = []
        for i in range(5):
            self.answers.append(self.send(c, 3 * i))
            same(0, self.answers[i].error, "error of Produce")
        first = self.answers[0].base_offset
        same([first + 3 * i for i in range(5)], [a.base_offset for a in self.answers], "offsets")
        self.next = 15

    def send(self, c, sequence, epoch=None, count=3):
        values = [f"{self.pid}-{sequence + j}".encode() for j in range(count)]
        epoch = self.epoch if epoch is None else epoch
        return c.produce(
            self.topic,
            self.partition,
            batch.encode(values, pid=self.pid, epoch=epoch, sequence=sequence),
        )

    def end(self, c):
        return c.list_offset(self.topic, self.partition, wire.LATEST)[2]

    def check_detection(self, c, duplicates):
        """Duplicates answer with the original offset, a gap is refused, the next in sequence is taken."""
        end = self.end(c)
        for back in range(1, duplicates + 1):
            again = self.send(c, self.next - 3 * back)
            same(0, again.error, f"error of a duplicate, {back} batches back")
            same(self.answers[-back].base_offset, again.base_offset, f"offset of a duplicate, {back} batches back")
        same(end, self.end(c), "end offset after duplicates")
        gap = self.send(c, self.next + 3)
        same(wire.OUT_OF_ORDER_SEQUENCE_NUMBER, gap.error, "error of a gap")
        # Neither a duplicate as a whole nor the next: it overlaps the last batch.
        overlap = self.send(c, self.next - 2)
        same(wire.OUT_OF_ORDER_SEQUENCE_NUMBER, overlap.error, "error of an overlap")
        same(end, self.end(c), "end offset after refusals")
        good = self.send(c, self.next)
        same(0, good.error, "error of the next batch")
        same(end, good.base_offset, "offset of the next batch")
        self.answers.append(good)
        self.next += 3


def check_epochs(c, topic):
    """A lower epoch is fenced; a new epoch starts at sequence 0."""
    p = Idempotent(c, topic, 2)
    same(wire.OUT_OF_ORDER_SEQUENCE_NUMBER, p.send(c, 5, epoch=p.epoch + 1).error, "a new epoch not at 0")
    same(0, p.send(c, 0, epoch=p.epoch + 1).error, "a new epoch at 0")
    same(wire.INVALID_PRODUCER_EPOCH, p.send(c, 15, epoch=p.epoch).error, "the old epoch")


def restart_and_check(ctx, broker, how):
    topic = f"restart-{how}"
    with connect(broker) as c:
        for t in (topic, f"{topic}-empty", f"{topic}-gone"):
            same(0, c.create_topic(t, PARTS, {"segment.bytes": 1 << 20}), "error of CreateTopics")
            c.wait_for_leaders(t, PARTS)
        fill(c, topic, 40, "one")
        producer = Idempotent(c, topic, 1)
        producer.check_detection(c, 5)
        check_epochs(c, topic)
        same(0, c.delete_topic(f"{topic}-gone"), "error of DeleteTopics")
        before = snapshot(c, topic)
    if how == "clean":
        broker.stop()
    else:
        broker.kill()
    broker.start()
    with connect(broker) as c:
        c.wait_for_leaders(topic, PARTS)
        c.wait_for_leaders(f"{topic}-empty", PARTS)
        topics = c.metadata().topics
        check(f"{topic}-gone" not in topics, "a deleted topic is back")
        same_records(before, snapshot(c, topic))
        for p in range(PARTS):
            same(0, read_all(c, f"{topic}-empty", p)[1], "end of an empty partition")
        # Upstream's snapshot at a clean stop holds each producer's last batch only.
        producer.check_detection(c, 1)
        check(c.new_producer_id()[0] > producer.pid, "a producer id was given twice")
        fill(c, topic, 10, "two")
        after = snapshot(c, topic)
        for p in range(PARTS):
            check(after[p][0].startswith(before[p][0]), "appends changed what was there")


def repeated(ctx, broker):
    """Five clean restarts and kills in turn, a few records in each life."""
    del ctx
    with connect(broker) as c:
        same(0, c.create_topic("lives", PARTS), "error of CreateTopics")
        c.wait_for_leaders("lives", PARTS)
    last = None
    for life in range(6):
        with connect(broker) as c:
            c.wait_for_leaders("lives", PARTS)
            if last is not None:
                same_records(last, snapshot(c, "lives"))
            fill(c, "lives", 5, f"life{life}")
            last = snapshot(c, "lives")
        if life % 2:
            broker.stop()
        else:
            broker.kill()
        broker.start()
    with connect(broker) as c:
        c.wait_for_leaders("lives", PARTS)
        same_records(last, snapshot(c, "lives"))


class Loader(threading.Thread):
    """Sends the same batch to its partitions without waiting; keeps the highest offset that was acknowledged."""

    def __init__(self, broker, partitions, records):
        super().__init__(daemon=True)
        self.broker, self.partitions, self.records = broker, partitions, records
        self.acked = dict.fromkeys(partitions, -1)

    def run(self):
        with connect(self.broker) as c:
            sent = []
            reader = threading.Thread(target=self.receive, args=(c, sent), daemon=True)
            reader.start()
            try:
                while True:
                    for p in self.partitions:
                        sent.append(p)
                        c.send(wire.PRODUCE, 7, c.produce_body("loaded", p, self.records))
            except OSError:
                reader.join(10)

    def receive(self, c, sent):
        try:
            for at in range(1 << 62):
                r = c.receive()
                answer = c.produce_answer(r)
                if answer.error == 0:
                    self.acked[sent[at]] = answer.base_offset
        except OSError:
            return


class Tail(threading.Thread):
    """Reads its partitions as they grow."""

    def __init__(self, broker, partitions):
        super().__init__(daemon=True)
        self.broker, self.at = broker, dict.fromkeys(partitions, 0)

    def run(self):
        try:
            with connect(self.broker) as c:
                while True:
                    for p in self.at:
                        self.at[p] = c.fetch("loaded", p, self.at[p], max_wait_ms=100).high_watermark
        except (OSError, ValueError):
            return


def under_load(ctx, broker):
    """SIGTERM while several produce and consume: it ends soon, cleanly, and keeps what was acknowledged."""
    with connect(broker) as c:
        same(0, c.create_topic("loaded", LOADED), "error of CreateTopics")
        c.wait_for_leaders("loaded", LOADED)
    records = batch.encode([b"x" * 1000] * 60)
    loaders = [Loader(broker, range(i, LOADED, 4), records) for i in range(4)]
    for t in loaders + [Tail(broker, range(i, LOADED, 2)) for i in range(2)]:
        t.start()
    time.sleep(2)
    took = broker.stop()
    ctx.results.say(f"      restart: stopped under load in {took:.2f} s")
    if ctx.kind == "sluice":
        check(took <= STOP_LIMIT_S, f"the stop took {took:.1f} s")
    check((broker.data / ".kafka_cleanshutdown").exists(), "the stop was not clean")
    for t in loaders:
        t.join(20)
    broker.start()
    with connect(broker) as c:
        c.wait_for_leaders("loaded", LOADED)
        for p, last in [x for t in loaders for x in t.acked.items()]:
            check(last >= 0, f"nothing was acknowledged in partition {p}")
            end = c.list_offset("loaded", p, wire.LATEST)[2]
            check(end >= last + 60, f"partition {p} ends at {end}, {last} + 60 was acknowledged")


def run(ctx):
    broker = ctx.broker()
    for name, body in (
        ("clean-stop", lambda: restart_and_check(ctx, broker, "clean")),
        ("kill-9", lambda: restart_and_check(ctx, broker, "kill")),
        ("six-lives", lambda: repeated(ctx, broker)),
        ("stop-under-load", lambda: under_load(ctx, broker)),
        ("last-stop", broker.stop),
    ):
        if not ctx.results.run(f"restart/{name}", body, ctx.logs) and not broker.alive():
            broker.start()
