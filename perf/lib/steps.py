"""The loads, in the order in which each subject sees them, and how one of them is run and measured.

A step is skipped when the time that is left does not suffice for it; the report names what was skipped.
"""

import json
import re
import subprocess
import time

from .lib_clients import host
from .subjects import is_upstream

KB = "record.bytes=1000"
MB_BATCH = ["batch.bytes=256k", "request.bytes=1m"]


class Skipped(Exception):
    """No time is left for a step."""


class Runner:
    """Runs programs against one subject; knows where everything is and how much time is left."""

    def __init__(self, sluice, deps, load_cpus, deadline, scale, log):
        self.sluice, self.deps, self.load_cpus, self.deadline = sluice, deps, load_cpus, deadline
        self.scale = scale  # seconds of an ordinary measurement
        self.log = log

    def left(self):
        return self.deadline - time.monotonic()

    def execute(self, command, seconds):
        """Runs a load program; returns (stdout, None) or raises."""
        if self.left() < seconds + 3:
            raise Skipped(f"{self.left():.0f} s left, {seconds:.0f} needed")
        limit = min(self.left() + 20, seconds * 3 + 30)
        done = subprocess.run(["taskset", "-c", self.load_cpus, *command], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=limit)
        if done.returncode:
            raise RuntimeError(f"{command[:3]} ended with {done.returncode}:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
        return done.stdout

    def bench(self, subject, args, seconds):
        command = [self.sluice, "bench", "--quiet", "--json", "-", f"brokers={subject.address}", *args]
        if subject.metrics:
            command.append(f"metrics={subject.metrics}")
        return json.loads(self.execute(command, seconds))

    def java(self, subject, main, args, seconds):
        del subject
        classpath = f"{self.deps}/java-classes:{self.deps}/jars/*"
        return self.execute(["java", "-Xmx512m", "-cp", classpath, main, *map(str, args)], seconds)


def summary(r):
    """What the report needs of a result of `sluice bench`; the curves stay whole."""
    wire = r["produced"]["wire_bytes"]
    per_record = wire / r["produced"]["records"] if r["produced"]["records"] else 0
    read_per = r["consumed"]["wire_bytes"] / r["consumed"]["records"] if r["consumed"]["records"] else 0
    return {
        "mb_per_s": r["produced"]["mb_per_s"],
        "records_per_s": r["produced"]["records_per_s"],
        "read_mb_per_s": r["consumed"]["mb_per_s"],
        "catchup_mb_per_s": r["consumed"]["catchup_mb_per_s"],
        "latency": r["latency_us"] if r["latency_us"]["count"] else {},
        "e2e": r["e2e_us"] if r["e2e_us"]["count"] else {},
        "unanswered": r["totals"]["made"] - r["totals"]["acked"],
        "late": {k: r["late_us"][k] for k in ("p50", "p99", "max")},
        "series": [[row["t"], row["p99_us"], row["mb_per_s"]] for row in r["series"]],
        "all_records": r["totals"]["acked"],
        "all_read": r["totals"]["read"],
        "gb_in": r["totals"]["acked"] * per_record / 1e9,
        "gb_out": r["totals"]["read"] * read_per / 1e9,
        "stages": r["stages_us"],
        "generator_cpu_s_per_gb": r["generator_cpu_s_per_gb"],
        "generator_late": r["generator_late"],
        "faults": sum(r["faults"].values()) + sum(r["faults_after_end"].values()),
    }


# ---- with sluice bench ------------------------------------------------------------------------------------------------
def pipe(run_, subject, memory):
    """The bare pipe with synced writes, beside the idle broker: the disk gives other figures from one minute to the next."""
    del memory
    file = subject.broker.dir / "pipe"
    command = [run_.sluice + "-pipe", "--dsync", "--bytes", str(1 << 30), "--file", str(file)]
    return json.loads(run_.execute(command, 3))


def produce(name, partitions, extra=(), share=1.0):
    def run(run_, subject, memory):
        seconds = run_.scale * share
        args = ["produce", KB, f"topic={name}", f"partitions={partitions}", "producers=2", *MB_BATCH, "warmup.s=1",
                f"duration.s={seconds}", *extra]
        result = summary(run_.bench(subject, args, seconds + 2))
        memory[name] = result
        return result

    return run


def consume(of):
    def run(run_, subject, memory):
        if of not in memory:
            raise Skipped(f"{of} was not run")
        expected = memory[of]["gb_in"] / 0.3 + 2
        result = run_.bench(subject, ["consume", f"topic={of}", "verify=crc"], min(expected, run_.scale * 4))
        short = summary(result)
        short["seconds"] = result["consumed"]["seconds"]
        return short

    return run


def paced(name, partitions, rate=10000, extra=(), seconds_share=1.2):
    def run(run_, subject, memory):
        del memory
        seconds = run_.scale * seconds_share
        args = ["produce", KB, f"topic={name}", f"partitions={partitions}", "producers=1", f"rate={rate}", "warmup.s=2",
                f"duration.s={seconds}", *extra]
        result = summary(run_.bench(subject, args, seconds + 4))
        result["rate"] = rate
        return result

    return run


END_TO_END = [KB, "topic=produce-8", "partitions=8", "producers=2", "batch.bytes=64k"]


def end_to_end_max(run_, subject, memory):
    """The highest rate both ways: what is written and what is read of it, the lower of the two."""
    if "produce-8" not in memory:
        raise Skipped("produce-8 was not run")
    seconds = run_.scale
    result = summary(run_.bench(subject, ["mixed", *END_TO_END, "stamp=1", "warmup.s=1", f"duration.s={seconds}"], seconds + 4))
    both = min(1.0, result["read_mb_per_s"] / result["mb_per_s"]) if result["mb_per_s"] else 0
    result["both_per_s"] = result["records_per_s"] * both
    return result


def end_to_end(share, catchup):
    """At a share of the highest rate both ways, on `produce-8`'s topic, so that a catch-up reader has cold data to read."""

    def run(run_, subject, memory):
        if "e2e-max" not in memory:
            raise Skipped("e2e-max was not run")
        rate = max(1000, int(memory["e2e-max"]["both_per_s"] * share))
        seconds = run_.scale
        args = ["e2e", *END_TO_END, "linger.ms=1", f"rate={rate}", "warmup.s=1", f"duration.s={seconds}", f"catchup={catchup}",
                "buffer.bytes=128m"]
        result = summary(run_.bench(subject, args, seconds + 4))
        result["rate"] = rate
        return result

    return run


def tail(run_, subject, memory):
    """Producers and consumers at one modest rate, the same for all: CPU of both ways together."""
    del memory
    seconds = run_.scale
    args = ["mixed", KB, "topic=tail", "partitions=8", "producers=2", "rate=50000", "linger.ms=5", "batch.bytes=64k",
            "stamp=1", "warmup.s=1", f"duration.s={seconds}"]
    return summary(run_.bench(subject, args, seconds + 4))


def tail_in(run_, subject, memory):
    """The same without consumers: the difference is what consuming costs."""
    del memory
    seconds = run_.scale
    args = ["produce", KB, "topic=tail-in", "partitions=8", "producers=2", "rate=50000", "linger.ms=5", "batch.bytes=64k",
            "warmup.s=1", f"duration.s={seconds}"]
    return summary(run_.bench(subject, args, seconds + 4))


def small(run_, subject, memory):
    """Batches of ten records of 100 bytes."""
    del memory
    seconds = run_.scale
    args = ["produce", "topic=small", "partitions=8", "producers=4", "record.bytes=100", "batch.bytes=1180", "warmup.s=1",
            f"duration.s={seconds}"]
    return summary(run_.bench(subject, args, seconds + 3))


def rates(run_, subject, memory):
    """Throughput against p99: a few paced rates up to what `produce-8` reached."""
    if "produce-8" not in memory:
        raise Skipped("produce-8 was not run")
    top = memory["produce-8"]["records_per_s"]
    points = []
    for share in (0.1, 0.25, 0.5, 0.7, 0.85):
        seconds = max(2.0, run_.scale * 0.4)
        args = ["produce", KB, "topic=rates", "partitions=8", "producers=2", "batch.bytes=64k", "linger.ms=1",
                f"rate={int(top * share)}", "buffer.bytes=128m", "warmup.s=0.5", f"duration.s={seconds}"]
        r = run_.bench(subject, args, seconds + 3)
        points.append([r["produced"]["mb_per_s"], r["latency_us"]["p99"]])
    return {"points": points}


def connections(n):
    def run(run_, subject, memory):
        del memory
        seconds = run_.scale * 0.7
        args = ["produce", KB, f"topic=conns-{n}", "partitions=8", f"producers={n}", "rate=20000", "linger.ms=0", "warmup.s=1",
                f"duration.s={seconds}", "buffer.bytes=1m"]
        return summary(run_.bench(subject, args, seconds + 6))

    return run


def idle(run_, subject, memory):
    """After `paced-1000` there are well over 1,000 partitions; 100 connections that say nothing."""
    del memory
    seconds = max(3.0, run_.scale * 0.6)
    if run_.left() < seconds + 3:
        raise Skipped("no time")
    open_ = subject.idle_connections(100)
    time.sleep(1)
    before, t = subject.reading(), time.monotonic()
    time.sleep(seconds)
    cost = subject.reading().since(before)
    for s in open_:
        s.close()
    return {"core_percent": 100 * cost["cpu_s"] / (time.monotonic() - t)}


# ---- with upstream's tools and librdkafka -----------------------------------------------------------------------------
def topic(run_, subject, name, partitions):
    run_.bench(subject, ["produce", f"topic={name}", f"partitions={partitions}", "records=1"], 3)


PERF = re.compile(
    r"([\d.]+) records/sec \(([\d.]+) MB/sec\), ([\d.]+) ms avg latency, ([\d.]+) ms max latency, (\d+) ms 50th, (\d+) ms 95th, "
    r"(\d+) ms 99th, (\d+) ms 99.9th")


def java_produce(name, partitions, records, throughput, warmup, props=(), seconds=15):
    def run(run_, subject, memory):
        del memory
        n = int(records * run_.scale / 8)
        topic(run_, subject, name, partitions)
        out = run_.java(subject, "org.apache.kafka.tools.ProducerPerformance", [
            "--topic", name, "--num-records", n, "--throughput", throughput, "--record-size", 1000, "--warmup-records",
            int(n * warmup), "--command-property", f"bootstrap.servers={subject.address}", "acks=all",
            "enable.idempotence=true", *props], seconds)
        found = PERF.findall(out)[-1]
        return {"records_per_s": float(found[0]), "mb_per_s": float(found[0]) / 1000, "p50_ms": int(found[4]), "p95_ms": int(found[5]),
                "p99_ms": int(found[6]), "p999_ms": int(found[7]), "max_ms": float(found[3]), "gb_in": n / 1e6}

    return run


def java_consume(of, seconds=20):
    def run(run_, subject, memory):
        if of not in memory:
            raise Skipped(f"{of} was not run")
        n = int(memory[of]["gb_in"] * 1e6)
        out = run_.java(subject, "org.apache.kafka.tools.ConsumerPerformance", [
            "--bootstrap-server", subject.address, "--topic", of, "--num-records", n, "--timeout", 15000,
            "--group", "perf", "--hide-header"], seconds)
        fields = [f.strip() for f in out.strip().splitlines()[-1].split(",")]
        # start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
        return {"mb_per_s": float(fields[8]) * 1.048576, "records_per_s": float(fields[9]), "gb_out": n / 1e6}

    return run


def java_end_to_end(run_, subject, memory):
    del memory
    n = int(2000 * run_.scale / 8)
    topic(run_, subject, "java-e2e", 1)
    out = run_.java(subject, "org.apache.kafka.tools.EndToEndLatency", [
        "--bootstrap-server", subject.address, "--topic", "java-e2e", "--num-records", n, "--producer-acks", "all",
        "--record-size", 1000], 15)
    avg = float(re.search(r"Avg latency: ([\d.]+) ms", out).group(1))
    p50, p99, p999 = map(int, re.search(r"50th = (\d+), 99th = (\d+), 99.9th = (\d+)", out).groups())
    return {"avg_ms": avg, "p50_ms": p50, "p99_ms": p99, "p999_ms": p999}


def kcat(run_, subject, memory):
    """librdkafka through kcat: 1 KB lines from a file, then read back."""
    del memory
    topic(run_, subject, "kcat", 1)
    lines = run_.log.parent / "kcat.lines"
    n = int(300000 * run_.scale / 8)
    if not lines.exists():
        lines.write_text("".join(f"{i:010d}" + "k" * 989 + "\n" for i in range(n)))
    begin = time.monotonic()
    run_.execute(["kcat", "-P", "-b", subject.address, "-t", "kcat", "-l", str(lines), "-X", "acks=all", "-X",
                  "enable.idempotence=true", "-X", "linger.ms=5", "-X", "batch.size=262144", "-X",
                  "queue.buffering.max.kbytes=262144"], 10)
    wrote = time.monotonic()
    run_.execute(["sh", "-c", f"kcat -C -q -e -o beginning -b {subject.address} -t kcat | tail -n +2 | wc -l"], 10)
    return {"mb_per_s": n / 1000 / (wrote - begin), "read_mb_per_s": n / 1000 / (time.monotonic() - wrote)}


def warm(run_, subject, memory):
    """Both ways, at half speed: compilers and pools. Upstream gets longer."""
    del memory
    seconds = run_.warm_upstream if is_upstream(subject.name) else run_.warm_sluice
    args = ["mixed", KB, "topic=warm", "partitions=8", "producers=2", "consumers=2", "rate=60000", "batch.bytes=64k", "linger.ms=2",
            f"duration.s={seconds}", "buffer.bytes=128m", "drain.s=3"]
    run_.execute([run_.sluice, "bench", "--quiet", "--json", "-", f"brokers={subject.address}", *args], seconds + 5)
    return {"seconds": seconds}


# name, function, in the quick run
STEPS = [
    ("warm", warm, True),
    ("paced-1", paced("paced-1", 1), True),
    ("paced-100", paced("paced-100", 100), True),
    ("produce-1", produce("produce-1", 1), True),
    ("pipe", pipe, True),
    ("produce-large", produce("produce-large", 1, ("batch.bytes=1m", "request.bytes=2m"), 0.6), True),
    ("produce-8", produce("produce-8", 8), True),
    ("e2e-max", end_to_end_max, True),
    ("e2e", end_to_end(0.5, 0), True),
    ("e2e-catchup", end_to_end(0.5, 1), True),
    ("consume-1", consume("produce-1"), True),
    ("small", small, True),
    ("tail-in", tail_in, True),
    ("tail", tail, True),
    ("paced-1000", paced("paced-1000", 1000), True),
    ("idle", idle, True),
    ("java-produce", java_produce("java-produce", 1, 500000, -1, 0.4, ("batch.size=262144", "linger.ms=5")), True),
    ("produce-100", produce("produce-100", 100), False),
    ("lz4", produce("lz4", 8, ("compression=lz4",), 0.6), False),
    ("zstd", produce("zstd", 8, ("compression=zstd",), 0.6), False),
    ("rates", rates, False),
    ("conns-1", connections(1), False),
    ("conns-500", connections(500), False),
    ("java-paced", java_produce("java-paced", 1, 80000, 10000, 0.4), False),
    ("java-consume", java_consume("java-produce"), False),
    ("java-e2e", java_end_to_end, False),
    ("kcat", kcat, False),
]

# What a CPU that is taken away for some ms makes worthless.
LATENCIES = ("paced-1", "paced-100", "paced-1000", "e2e", "e2e-catchup", "tail", "conns-1", "conns-500", "java-paced", "java-e2e")


def trim(name, result):
    """Whole curves and series of one step are enough for the plots."""
    for key in ("latency", "e2e"):
        curve = result.get(key, {}).pop("curve", None)
        if curve and key == "latency" and name == "paced-1":
            keep = max(1, len(curve) // 150)
            result[key]["curve"] = curve[:-1:keep] + curve[-1:]
    if name != "paced-1":
        result.pop("series", None)


def measured(run_, subject, name, fn, memory):
    """Runs one step and adds what it cost the broker."""
    before, t, ticks = subject.reading(), time.monotonic(), host.cpu_ticks()
    result = fn(run_, subject, memory)
    result["stolen_percent"] = host.stolen_percent(ticks, host.cpu_ticks())
    result["broker"] = subject.reading().since(before)
    result["broker"]["rss"] = subject.rss()
    result["wall_s"] = time.monotonic() - t
    memory[name] = result
    trim(name, result)
    gb, cpu = result.get("gb_in", 0) + result.get("gb_out", 0), result["broker"]["cpu_s"]
    if gb:
        result["broker"]["cpu_s_per_gb"] = cpu / gb
        result["broker"]["records_per_cpu_s"] = (result.get("all_records", 0) + result.get("all_read", 0)) / cpu if cpu else None
    return result
