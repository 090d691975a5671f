"""What the golden data directories of tests/golden/dirs hold, and how it is read back.

Every record can be computed from its place, so the directories carry no list of their content.
"""

import subprocess

from . import batch, wire
from .results import same

# The smallest journals, so that a directory packs small; two shards, whatever the machine has.
CONFIG = {
    "sluice.reactors": 2,
    "message.max.bytes": 60_000,
    "sluice.journal.file.bytes": 1 << 20,
    "sluice.journal.files": 3,
    "num.partitions": 1,
}
TOPICS = {"gold": 3, "gold.idempotent": 1, "gold_empty": 2}
ROUNDS = 30
PER_BATCH = 4


def values(topic, partition, i):
    return [f"{topic}/{partition}/{i}/{j}/".encode() + bytes([i]) * (40 * j) for j in range(PER_BATCH)]


def fill(broker):
    """A few batches everywhere; the idempotent producer ends at sequence ROUNDS * PER_BATCH - 1."""
    with wire.Connection(broker.host, broker.port) as c:
        for topic, parts in TOPICS.items():
            same(0, c.create_topic(topic, parts), "error of CreateTopics")
            c.wait_for_leaders(topic, parts)
        pid, epoch = c.new_producer_id()
        for i in range(ROUNDS):
            for p in range(TOPICS["gold"]):
                records = batch.encode(values("gold", p, i), codec=("none", "gzip")[i % 2])
                same(0, c.produce("gold", p, records).error, "error of Produce")
            records = batch.encode(values("gold.idempotent", 0, i), pid=pid, epoch=epoch, sequence=i * PER_BATCH)
            same(0, c.produce("gold.idempotent", 0, records).error, "error of Produce")


def read(c, topic, partition):
    """All values of a partition, in order, and the producer of its last batch."""
    out, offset, last = [], 0, None
    end = c.list_offset(topic, partition, wire.LATEST)[2]
    while offset < end:
        f = c.fetch(topic, partition, offset, max_wait_ms=500)
        same(0, f.error, "error of Fetch")
        for b, raw in batch.batches(f.records):
            out += [r.value for r in batch.decode_records(b, raw)]
            offset, last = b.base_offset + b.last_delta + 1, b
    return out, last


def verify(broker):
    """Every record is there and nothing else; the idempotent producer goes on where it was."""
    with wire.Connection(broker.host, broker.port) as c:
        for topic, parts in TOPICS.items():
            c.wait_for_leaders(topic, parts)
            for p in range(parts):
                rounds = 0 if topic == "gold_empty" else ROUNDS
                want = [v for i in range(rounds) for v in values(topic, p, i)]
                got, last = read(c, topic, p)
                same(len(want), len(got), f"records of {topic}-{p}")
                same(want, got, f"records of {topic}-{p}")
        sequence = ROUNDS * PER_BATCH
        got, last = read(c, "gold.idempotent", 0)
        twice = batch.encode(values("gold.idempotent", 0, ROUNDS - 1), pid=last.pid, epoch=last.epoch,
                             sequence=sequence - PER_BATCH)
        answer = c.produce("gold.idempotent", 0, twice)
        same((0, sequence - PER_BATCH), (answer.error, answer.base_offset), "answer to a duplicate")
        gap = batch.encode([b"gap"], pid=last.pid, epoch=last.epoch, sequence=sequence + 1)
        same(wire.OUT_OF_ORDER_SEQUENCE_NUMBER, c.produce("gold.idempotent", 0, gap).error, "error of a gap")


def pack(directory, archive):
    subprocess.run(["tar", "-C", str(directory), "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-cJf",
                    str(archive), "."], check=True)


def unpack(archive, directory):
    directory.mkdir(parents=True)
    subprocess.run(["tar", "-C", str(directory), "-xJf", str(archive)], check=True)
