"""kafka-python (pure Python) as producer, as consumer by assignment, and as a member of a group."""

import time

from client import serve  # which lets the others find lib/
import kafkapython_admin
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from lib import records
from member import Member


def produce(bootstrap, topic, codec, file, props=None):
    p = KafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type=None if codec == "none" else codec,
        max_request_size=1_048_576,
        linger_ms=5,
        **(props or {}),
    )
    try:
        sent = [
            p.send(topic, key=r["k"], value=r["v"], partition=r["p"], timestamp_ms=r["t"], headers=r["h"])
            for r in records.read_input(file)
        ]
        p.flush(timeout=40)
        for future in sent:
            future.get(timeout=1)
    finally:
        p.close(timeout=5)
    return {"count": len(sent)}


def consume(bootstrap, topic, partitions, out, timeout_s):
    c = KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    parts = [TopicPartition(topic, p) for p in range(partitions)]
    end, count = time.monotonic() + timeout_s, 0
    try:
        c.assign(parts)
        c.seek_to_beginning(*parts)
        ends = c.end_offsets(parts)
        with open(out, "w", encoding="utf-8") as f:
            while any(c.position(tp) < ends[tp] for tp in parts):
                if time.monotonic() > end:
                    raise TimeoutError(f"timed out after {count} records")
                for batch in c.poll(timeout_ms=200).values():
                    for m in batch:
                        f.write(records.line(m.partition, m.offset, m.timestamp, m.key, m.value, m.headers) + "\n")
                        count += 1
    finally:
        c.close()
    return {"count": count}


MEMBER = Member()


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        MEMBER.on_revoke()

    def on_partitions_assigned(self, assigned):
        MEMBER.on_assign([tp.partition for tp in assigned])


def member_start(bootstrap, group, topic, session_ms):
    c = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=300,
        fetch_max_wait_ms=100,
    )

    def poll():
        # kafka-python 3.0.12 loses a join that is answered just after poll() gave up on it: the member then neither
        # takes its assignment nor beats. So a poll lasts longer than a join does.
        read = [(m.partition, m.offset) for batch in c.poll(timeout_ms=1500).values() for m in batch]
        if read:
            c.commit()
        return read

    MEMBER.consumer, MEMBER.topic = c, topic
    c.partitions_for_topic(topic)  # else the first assignment is empty, and a second join follows at once
    c.subscribe([topic], listener=Listener())
    return MEMBER.start(poll, c.close)


def parts(partitions):
    return [TopicPartition(MEMBER.topic, p) for p in partitions]


def member_pause(partitions):
    return MEMBER.ask(lambda: MEMBER.consumer.pause(*parts(partitions)))


def member_resume(partitions):
    return MEMBER.ask(lambda: MEMBER.consumer.resume(*parts(partitions)))


def member_seek(time_ms):
    def seek():
        for tp, at in MEMBER.consumer.offsets_for_times({tp: time_ms for tp in parts(MEMBER.assigned)}).items():
            MEMBER.consumer.seek(tp, at.offset)

    return MEMBER.ask(seek)


serve(
    {
        "admin": kafkapython_admin.run,
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
