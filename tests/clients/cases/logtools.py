"""`sluice log check` and `sluice log dump` over directories as a kill, a clean stop and damage leave them."""

import random
import re
import subprocess

from lib import batch, wire
from lib import broker as brokers
from lib.results import check, same

TOPIC = "tools"
PARTS = 2


def sluice(ctx, *args):
    """Exit status and output of the command line."""
    done = subprocess.run([str(ctx.build / "sluice"), "log", *map(str, args)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def fill(broker, rounds):
    with wire.Connection(broker.host, broker.port) as c:
        if TOPIC not in c.metadata().topics:
            conf = {"segment.bytes": 1 << 20, "index.interval.bytes": 512}
            same(0, c.create_topic(TOPIC, PARTS, conf), "error of CreateTopics")
        c.wait_for_leaders(TOPIC, PARTS)
        rest = random.Random(rounds)  # what no codec makes smaller: segments roll
        for i in range(rounds):
            for p in range(PARTS):
                values = [f"value-{rounds}-{p}-{i}-{j}-".encode() + b"x" + rest.randbytes(20_000) for j in range(3)]
                codec = ("none", "gzip")[i % 2]
                same(0, c.produce(TOPIC, p, batch.encode(values, codec=codec)).error, "error of Produce")


def counted(text):
    """(partitions, segments, indexes, batches, records, problems) of a report."""
    sums = re.search(r"(\d+) partitions, (\d+) segments, (\d+) indexes, (\d+) batches, (\d+) records", text)
    problems = re.search(r"(\d+) problems, ", text)
    check(sums and problems, f"no report:\n{text}")
    return [int(x) for x in sums.groups()] + [int(problems[1])]


def check_sound(ctx, broker, records):
    status, text = sluice(ctx, "check", broker.data)
    same(0, status, f"exit status; {text}")
    got = counted(text)
    check(got[1] > 3 * PARTS, f"too few segments to show anything:\n{text}")
    check(got[4] >= records, f"{records} records were acknowledged:\n{text}")
    same(0, got[5], "problems")
    return got


def running(ctx, broker):
    """A running broker's directory is left alone."""
    broker.start()
    fill(broker, 60)
    status, text = sluice(ctx, "check", broker.data)
    same(2, status, f"exit status; {text}")
    check("locked" in text, text)


def killed(ctx, broker):
    """After a kill the journal's bytes count, and nothing is written: the next start finds all."""
    broker.kill()
    before = {f: f.read_bytes() for f in sorted(broker.data.rglob("*.log"))}
    got = check_sound(ctx, broker, 60 * PARTS * 3)
    for f, content in before.items():
        check(f.read_bytes() == content, f"{f} was changed")
    journal = sorted((broker.data / "sluice.journal.d").glob("*.journal"))
    status, text = sluice(ctx, "dump", *journal)
    same(0, status, f"exit status of dump; {text[-500:]}")
    check(text.count("\ngroup ") >= 60 and "  batch " in text, f"groups and batches of the journal:\n{text[:500]}")
    # As if the newest segment's file had not got its name yet: the journal has all of it, for the check and the next start.
    sorted((broker.data / f"{TOPIC}-0").glob("*.log"))[-1].unlink()
    same(got, check_sound(ctx, broker, 60 * PARTS * 3), "what is there without a file that the journal makes up for")


def stopped(ctx, broker):
    broker.start()
    fill(broker, 20)
    broker.stop()
    got = check_sound(ctx, broker, 80 * PARTS * 3)
    check(got[2] >= 2 * PARTS, f"indexes: {got}")


def dumped(ctx, broker):
    """Every record once, in order, with its value; indexes and snapshots can be read."""
    values = []
    for f in broker.segments(TOPIC):
        status, text = sluice(ctx, "dump", "--values", f)
        same(0, status, f"exit status; {text[-500:]}")
        check("WRONG" not in text, text[-500:])
        values += re.findall(r'value \d+ bytes "(value-[0-9-]+)x', text)
        check("codec gzip" in text and "codec none" in text, text[:500])
    same(80 * PARTS * 3, len(values), "records dumped")
    same(len(values), len(set(values)), "different records")
    others = [f for s in ("index", "timeindex", "snapshot") for f in broker.data.rglob(f"*.{s}")]
    status, text = sluice(ctx, "dump", *others)
    same(0, status, f"exit status; {text[-500:]}")
    check(re.search(r"offset \d+ position \d+", text) and re.search(r"timestamp \d+ offset \d+", text), text[:500])


def damaged_index(ctx, broker):
    """Found, and repaired from the batches."""
    index = next(f for f in sorted(broker.data.glob(f"{TOPIC}-0/*.index")) if f.stat().st_size >= 16)
    content = bytearray(index.read_bytes())
    content[7] ^= 0x5A
    index.write_bytes(content)
    status, text = sluice(ctx, "check", broker.data)
    same(1, status, f"exit status; {text}")
    check(f"problem: {TOPIC}-0/{index.name}" in text, text)
    status, text = sluice(ctx, "check", "--repair", broker.data)
    same(0, status, f"exit status of the repair; {text}")
    check_sound(ctx, broker, 80 * PARTS * 3)


def damaged_batch(ctx, broker):
    """Named by file and position; --repair removes nothing."""
    log = broker.segments(TOPIC)[0]
    content = bytearray(log.read_bytes())
    at = len(content) // 2
    content[at] ^= 1
    log.write_bytes(content)
    for args in (["check"], ["check", "--repair"]):
        status, text = sluice(ctx, *args, broker.data)
        same(1, status, f"exit status of {args}; {text}")
        found = re.search(rf"problem: {TOPIC}-0/{log.name}: position (\d+), offset \d+: .*CRC", text)
        check(found and int(found[1]) <= at, text)
    check(log.read_bytes() == content, "the segment was changed")
    content[at] ^= 1
    log.write_bytes(content)
    check_sound(ctx, broker, 80 * PARTS * 3)


def still_good(ctx, broker):
    """The broker opens what was checked and repaired."""
    del ctx
    broker.start()
    with wire.Connection(broker.host, broker.port) as c:
        c.wait_for_leaders(TOPIC, PARTS)
        for p in range(PARTS):
            same(240, c.list_offset(TOPIC, p, wire.LATEST)[2], f"end of partition {p}")
    broker.stop()


def damaged_journal(ctx, broker):
    """The start refuses and says where; without the journal it serves what the segments hold, and goes on."""
    broker.start()
    fill(broker, 40)
    broker.kill()
    journals = broker.data / "sluice.journal.d"
    hurt = None
    for f in journals.glob("*.journal"):
        content = bytearray(f.read_bytes())
        ends = [m.start() for m in re.finditer(b"value-40-", content)]
        if len(ends) > 20:  # a batch with many groups behind it
            content[ends[len(ends) // 2] + 50] ^= 1
            f.write_bytes(content)
            hurt = f
            break
    check(hurt, "no journal holds the batches")
    refused(broker, f"{hurt.name} is damaged at byte")
    aside = ctx.tmp / "damaged-journal"
    journals.rename(aside)
    status, text = sluice(ctx, "check", broker.data)
    check(status in (0, 1), text)
    status, text = sluice(ctx, "dump", "--values", *sorted(aside.glob("*.journal")))
    check(text.count('"value-40-') >= 20, f"the journal's batches:\n{text[-800:]}")
    broker.start()
    with wire.Connection(broker.host, broker.port) as c:
        c.wait_for_leaders(TOPIC, PARTS)
        for p in range(PARTS):
            end = c.list_offset(TOPIC, p, wire.LATEST)[2]
            check(240 <= end <= 360, f"partition {p} ends at {end}: what was checkpointed is there")
    fill(broker, 5)
    broker.stop()
    check_sound(ctx, broker, 240 * PARTS)


def refused(broker, why):
    """The start fails, and the log says why."""
    try:
        broker.start()
    except brokers.BrokerDied:
        pass
    else:
        check(False, "a damaged directory was opened")
    text = broker.log_tail()
    check(why in text and "Going on after damage" in text, text)


def run(ctx):
    if ctx.upstream:
        return
    broker = ctx.broker(start=False)
    for name in ("running", "killed", "stopped", "dumped", "damaged_index", "damaged_batch", "still_good", "damaged_journal"):
        if not ctx.results.run(f"logtools/{name.replace('_', '-')}", lambda: globals()[name](ctx, broker), ctx.logs):
            break
