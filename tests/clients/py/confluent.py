"""confluent-kafka (librdkafka) as producer, as consumer by assignment, and as a member of a group."""

import time

from client import serve  # which lets the others find lib/
import confluent_admin
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from lib import records
from member import Member


def produce(bootstrap, topic, codec, file, props=None):
    failed = []
    conf = {"bootstrap.servers": bootstrap, "compression.type": codec, "message.max.bytes": 1_048_588}
    p = Producer({**conf, "linger.ms": 5, "message.timeout.ms": 30_000, **(props or {})})

    def on_delivery(err, _):
        if err is not None:
            failed.append(str(err))

    count = 0
    for r in records.read_input(file):
        p.produce(
            topic,
            key=r["k"],
            value=r["v"],
            partition=r["p"],
            timestamp=r["t"] or 0,
            headers=r["h"] or None,
            on_delivery=on_delivery,
        )
        count += 1
    left = p.flush(40)
    if left or failed:
        raise RuntimeError(f"{left} not delivered; errors: {failed[:3]}")
    return {"count": count}


def consume(bootstrap, topic, partitions, out, timeout_s):
    conf = {"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False}
    c = Consumer({**conf, "enable.partition.eof": True, "check.crcs": True, "auto.offset.reset": "error", "fetch.wait.max.ms": 20})
    end = time.monotonic() + timeout_s
    open_parts, count = set(range(partitions)), 0
    try:
        c.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
        with open(out, "w", encoding="utf-8") as f:
            while open_parts:
                if time.monotonic() > end:
                    raise TimeoutError(f"no end of partitions {open_parts} after {count} records")
                for m in c.consume(500, 0.2):
                    if m.error() is None:
                        key, value = m.key(), m.value()
                        line = records.line(
                            m.partition(), m.offset(), m.timestamp()[1], key, value, m.headers() or []
                        )
                        f.write(line + "\n")
                        count += 1
                    elif m.error().code() == KafkaError._PARTITION_EOF:
                        open_parts.discard(m.partition())
                    else:
                        raise RuntimeError(str(m.error()))
    finally:
        c.close()
    return {"count": count}


MEMBER = Member()


def member_start(bootstrap, group, topic, session_ms, protocol="classic", pattern=None, instance=None):
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "group.protocol": protocol,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 100,
    }
    if instance:
        config["group.instance.id"] = instance
    if protocol == "classic":  # the others are told by the broker
        config.update({"session.timeout.ms": session_ms, "heartbeat.interval.ms": 300})
    c = Consumer(config)

    def poll():
        got = [m for m in c.consume(100, 0.1) if m.error() is None]
        if got:  # by hand: a seek forgets what the client has stored to be committed
            ends = {(m.topic(), m.partition()): m.offset() + 1 for m in got}
            c.commit(offsets=[TopicPartition(t, p, o) for (t, p), o in ends.items()], asynchronous=False)
        return [(m.partition(), m.offset()) for m in got]

    def on_assign(consumer, parts):
        if protocol == "consumer":
            consumer.incremental_assign(parts)
            MEMBER.on_assign(MEMBER.assigned + [p.partition for p in parts])
        else:
            MEMBER.on_assign([p.partition for p in parts])

    def on_revoke(consumer, parts):
        if protocol == "consumer":
            consumer.incremental_unassign(parts)
            gone = [p.partition for p in parts]
            MEMBER.on_assign([p for p in MEMBER.assigned if p not in gone])
        else:
            MEMBER.on_revoke()

    MEMBER.consumer, MEMBER.topic = c, topic
    c.subscribe([pattern or topic], on_assign=on_assign, on_revoke=on_revoke)
    return MEMBER.start(poll, c.close)


def parts(partitions):
    return [TopicPartition(MEMBER.topic, p) for p in partitions]


def member_pause(partitions):
    return MEMBER.ask(lambda: MEMBER.consumer.pause(parts(partitions)))


def member_resume(partitions):
    return MEMBER.ask(lambda: MEMBER.consumer.resume(parts(partitions)))


def member_seek(time_ms):
    def seek():
        for tp in MEMBER.consumer.offsets_for_times([TopicPartition(MEMBER.topic, p, time_ms) for p in MEMBER.assigned], 10):
            MEMBER.consumer.seek(tp)

    return MEMBER.ask(seek)


serve(
    {
        "admin": confluent_admin.run,
        "produce": produce,
        "consume": consume,
        "member_start": member_start,
        "member_state": MEMBER.state,
        "member_stop": MEMBER.stop,
        "member_pause": member_pause,
        "member_resume": member_resume,
        "member_seek": member_seek,
    }
)
