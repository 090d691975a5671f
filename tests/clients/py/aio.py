"""aiokafka as producer, as consumer by assignment, and as a member of a group. One event loop, run by whoever waits."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from client import serve  # which lets the others find lib/
import aio_admin
from lib import records
from member import Member

LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)


def wait(coroutine):
    return LOOP.run_until_complete(coroutine)


async def send_all(bootstrap, topic, codec, file, props):
    p = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type=None if codec == "none" else codec,
        max_request_size=1_048_576,
        linger_ms=5,
        **(props or {}),
    )
    await p.start()
    try:
        sent = []
        for r in records.read_input(file):
            sent.append(await p.send(topic, r["v"], r["k"], r["p"], timestamp_ms=r["t"], headers=r["h"]))
        await asyncio.wait_for(asyncio.gather(*sent), 40)
    finally:
        await p.stop()
    return {"count": len(sent)}


def produce(bootstrap, topic, codec, file, props=None):
    return wait(send_all(bootstrap, topic, codec, file, props))


async def read_all(bootstrap, topic, partitions, out, timeout_s):
    c = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    parts = [TopicPartition(topic, p) for p in range(partitions)]
    end, count = time.monotonic() + timeout_s, 0
    await c.start()
    try:
        c.assign(parts)
        await c.seek_to_beginning(*parts)
        ends = await c.end_offsets(parts)
        with open(out, "w", encoding="utf-8") as f:
            while [tp for tp in parts if await c.position(tp) < ends[tp]]:
                if time.monotonic() > end:
                    raise TimeoutError(f"timed out after {count} records")
                for batch in (await c.getmany(timeout_ms=200)).values():
                    for m in batch:
                        f.write(records.line(m.partition, m.offset, m.timestamp, m.key, m.value, m.headers) + "\n")
                        count += 1
    finally:
        await c.stop()
    return {"count": count}


def consume(bootstrap, topic, partitions, out, timeout_s):
    return wait(read_all(bootstrap, topic, partitions, out, timeout_s))


MEMBER = Member()


class Listener(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        MEMBER.on_revoke()

    async def on_partitions_assigned(self, assigned):
        MEMBER.on_assign([tp.partition for tp in assigned])


async def begin(bootstrap, group, topic, session_ms):
    c = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=300,
        fetch_max_wait_ms=100,
    )
    c.subscribe([topic], listener=Listener())
    await c.start()
    return c


async def poll_once(c):
    read = [(m.partition, m.offset) for batch in (await c.getmany(timeout_ms=100)).values() for m in batch]
    if read:
        await c.commit()
    return read


def member_start(bootstrap, group, topic, session_ms):
    c = wait(begin(bootstrap, group, topic, session_ms))
    MEMBER.consumer, MEMBER.topic = c, topic
    return MEMBER.start(lambda: wait(poll_once(c)), lambda: wait(c.stop()))


def parts(partitions):
    return [TopicPartition(MEMBER.topic, p) for p in partitions]


def ask(action):
    """Inside of the loop, where the client looks for it."""

    async def inside():
        await action(MEMBER.consumer)

    return MEMBER.ask(lambda: wait(inside()))


def member_pause(partitions):
    async def pause(c):
        c.pause(*parts(partitions))

    return ask(pause)


def member_resume(partitions):
    async def resume(c):
        c.resume(*parts(partitions))

    return ask(resume)


def member_seek(time_ms):
    async def seek(c):
        for tp, at in (await c.offsets_for_times({tp: time_ms for tp in parts(MEMBER.assigned)})).items():
            c.seek(tp, at.offset)

    return ask(seek)


serve(
    {
        "admin": lambda **command: asyncio.run(aio_admin.run(**command)),
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
