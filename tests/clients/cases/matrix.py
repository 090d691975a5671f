"""Every producer x codec x {1, 8 partitions}, each topic read by every consumer.

Each producer writes a seeded record set; each consumer reads whole partitions by assignment and
reports what it saw; the report must equal what was produced in key, value, headers, timestamp,
partition and order. After a clean stop, upstream's dump-log must find every stored batch valid and
compressed with the codec that the producer was told to use.
"""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lib import batch, commandline, drivers, records, wire
from lib.results import Failure, check, same

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PARTITIONS = (1, 8)
COUNT = 120
READ_LIMIT_S = 60
# librdkafka and kafka-python store a batch as it is when compression would make it larger.
KEPT_AS_IS = 400


class DriverProducer:
    def __init__(self, name, driver, traits):
        self.name, self.driver, self.traits = name, driver, traits

    def produce(self, ctx, broker, topic, codec, partitions, path):
        del ctx, partitions
        reply = self.driver.call("produce", bootstrap=broker.bootstrap, topic=topic, codec=codec, file=str(path))
        return reply["count"]


class GroupConsumer:
    """A client that reads by group only: all topics in one subscription, before any is compared."""

    def __init__(self, name, driver, style):
        self.name, self.driver, self.style = name, driver, style

    def read_all(self, broker, outs):
        topics = [{"topic": t, "out": str(out)} for t, out in outs.items()]
        self.driver.call("consume_all", bootstrap=broker.bootstrap, topics=topics, timeout_s=READ_LIMIT_S)

    def consume(self, broker, topic, partitions, expected, out):
        """`read_all` has done it."""


class DriverConsumer:
    style = None

    def __init__(self, name, driver):
        self.name, self.driver = name, driver

    def consume(self, broker, topic, partitions, expected, out):
        del expected
        self.driver.call(
            "consume",
            bootstrap=broker.bootstrap,
            topic=topic,
            partitions=partitions,
            out=str(out),
            timeout_s=READ_LIMIT_S,
        )


class Matrix:
    def __init__(self, ctx):
        self.ctx = ctx
        tmp = ctx.tmp
        self.java = drivers.java(ctx.deps, tmp / "java.log")
        self.console = drivers.java(ctx.deps, tmp / "console.log", "console")
        self.confluent = drivers.python(ctx.deps, "confluent", tmp / "confluent.log")
        self.kafkapython = drivers.python(ctx.deps, "kafkapython", tmp / "kafkapython.log")
        self.aiokafka = drivers.python(ctx.deps, "aio", tmp / "aiokafka.log")
        self.kafkajs = drivers.node(ctx.deps, tmp / "kafkajs.log")
        self.native = None if drivers.native_missing(ctx.deps) else drivers.native(ctx.deps, tmp / "native.log")
        full = records.Traits()
        self.producers = [
            DriverProducer("java", self.java, full),
            DriverProducer("confluent", self.confluent, full),
            DriverProducer("kafka-python", self.kafkapython, records.Traits(null_header=False, null_both=False)),
            DriverProducer("aiokafka", self.aiokafka, records.Traits(null_both=False)),
            DriverProducer("kafkajs", self.kafkajs, records.Traits(null_header=False)),
            commandline.KcatProducer(),
            commandline.ConsoleProducer(self.console),
        ]
        if self.native:
            traits = records.Traits(null_header=False, empty=False)  # what is empty it sends as null
            self.producers.append(DriverProducer("kafka-javascript", self.native, traits))
        self.consumers = [
            DriverConsumer("java", self.java),
            DriverConsumer("confluent", self.confluent),
            DriverConsumer("kafka-python", self.kafkapython),
            DriverConsumer("aiokafka", self.aiokafka),
            GroupConsumer("kafkajs", self.kafkajs, "kafkajs"),
            commandline.KcatConsumer(),
            commandline.ConsoleConsumer(self.console),
        ]
        if self.native:
            self.consumers.append(GroupConsumer("kafka-javascript", self.native, "object without null"))
        self.now_ms = int(time.time() * 1000)
        self.topics = {}  # topic -> (producer, codec, partitions, records, window)
        self.learned = {}
        self.lock = threading.Lock()

    def close(self):
        for d in (self.java, self.console, self.confluent, self.kafkapython, self.aiokafka, self.kafkajs, self.native):
            if d:
                d.close()

    def record_set(self, producer, partitions):
        seed = f"{producer.name}/{partitions}"
        made = producer.make(seed, partitions, COUNT, self.now_ms) if hasattr(producer, "make") else None
        if made is None:
            made = records.make(seed, partitions, COUNT, producer.traits, self.now_ms)
        path = self.ctx.tmp / f"input-{producer.name}-{partitions}.jsonl"
        records.write_input(made, path)
        return made, path

    def produce_all(self, broker, producer):
        """One producer's ten topics. Returns the names of the topics that were written."""
        with wire.Connection(broker.host, broker.port) as c:
            for partitions in PARTITIONS:
                made, path = self.record_set(producer, partitions)
                for codec in CODECS:
                    topic = f"{producer.name}-{codec}-{partitions}"
                    name = f"matrix/produce/{topic}"
                    try:
                        same(0, c.create_topic(topic, partitions), "error of CreateTopics")
                        c.wait_for_leaders(topic, partitions)
                        begin = int(time.time() * 1000)
                        producer.produce(self.ctx, broker, topic, codec, partitions, path)
                        window = (begin - 5, int(time.time() * 1000) + 5)
                        with self.lock:
                            self.topics[topic] = (producer, codec, partitions, made, window)
                    except Exception as e:  # pylint: disable=broad-except
                        self.ctx.results.fail(name, str(e))
                        continue
                    self.ctx.results.ok(name, quiet=True)

    def consume_all(self, broker, consumer):
        begin = time.monotonic()
        outs = {topic: self.ctx.tmp / f"{topic}-{consumer.name}.jsonl" for topic in self.topics}
        if hasattr(consumer, "read_all") and not self.ctx.results.run(
            f"matrix/read-all-by-{consumer.name}", lambda: consumer.read_all(broker, outs), self.ctx.logs
        ):
            return
        for topic, (_, _, partitions, made, window) in sorted(self.topics.items()):
            name, out = f"matrix/{topic}/read-by-{consumer.name}", outs[topic]
            try:
                consumer.consume(broker, topic, partitions, made, out)
                with self.lock:
                    learned = self.learned.setdefault(topic, {})
                    records.compare(made, out, consumer.style, window, learned)
            except Exception as e:  # pylint: disable=broad-except
                self.ctx.results.fail(name, str(e))
                continue
            self.ctx.results.ok(name, quiet=True)
            out.unlink()
        self.ctx.results.say(f"      matrix: {consumer.name} read all in {time.monotonic() - begin:.1f} s")

    def check_codecs(self, broker):
        for topic, (producer, codec, partitions, made, _) in sorted(self.topics.items()):
            name = f"matrix/{topic}/stored"
            small = 0 if producer.driver is self.java or producer.driver is self.console else KEPT_AS_IS
            try:
                files = broker.segments(topic)
                check(len(files) >= partitions, f"{len(files)} segments for {partitions} partitions")
                check_dump(self.java, files, codec, self.ctx.tmp / "dump.txt", len(made), small)
                for f in files:
                    for b in batch.file_batches(f):
                        if b.length >= small:
                            same(codec, batch.CODECS[b.attributes & 7], f"codec of a batch in {f}")
            except Exception as e:  # pylint: disable=broad-except
                self.ctx.results.fail(name, str(e))
                continue
            self.ctx.results.ok(name, quiet=True)


def check_dump(java, files, codec, out, expected, small=0):
    """Upstream's dump-log over segment files: every batch valid and of the codec; record counts add up.

    Batches of fewer than `small` bytes may be uncompressed.
    """
    java.call("dump", args=["--files", ",".join(map(str, files))], out=str(out))
    text = out.read_text(errors="replace")
    found = re.findall(r"^baseOffset: .* count: (\d+) .* size: (\d+) .*compresscodec: (\w+) .*isvalid: (\w+)", text, re.M)
    check(found, f"dump-log found no batch:\n{text[:500]}")
    for _, size, name, valid in found:
        same("true", valid, "isvalid")
        if int(size) >= small:
            same(codec, name.lower(), "codec of a stored batch")
    check(codec in {name.lower() for _, _, name, _ in found}, f"no stored batch is {codec}")
    same(expected, sum(int(f[0]) for f in found), "records counted by dump-log")
    if re.search(r"Found \d+ invalid|corrupt|Non-secutive|Mismatches", text):
        raise Failure("dump-log complains:\n" + text[-2000:])


def run(ctx):
    broker = ctx.broker({"group.initial.rebalance.delay.ms": "0"})
    m = Matrix(ctx)
    begin = time.monotonic()

    def phase(what):
        ctx.results.say(f"      matrix: {what} after {time.monotonic() - begin:.1f} s")

    try:
        with ThreadPoolExecutor(len(m.producers)) as pool:
            list(pool.map(lambda p: m.produce_all(broker, p), m.producers))
        phase("produced")
        with ThreadPoolExecutor(len(m.consumers)) as pool:
            list(pool.map(lambda c: m.consume_all(broker, c), m.consumers))
        phase("consumed")
        ctx.results.run("matrix/clean-stop", broker.stop, ctx.logs)
        m.check_codecs(broker)
        phase("stored batches checked")
    finally:
        m.close()
