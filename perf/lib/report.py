"""results.json -> a Markdown report, plots, and the table of the README."""

import statistics

from . import plots
from .subjects import SUBJECTS

STAGES = [f"produce.{s}" for s in ("parsed", "queued", "appended", "written", "durable", "answered", "sent", "total")] + [
    f"fetch.{s}" for s in ("parsed", "waited", "read", "answered", "sent", "total")]
ORDER = ["sluice", "sluice-cached", "upstream", "upstream-synced"]
TAKEN = 1  # percent: above it, a step whose figures are latencies is run again
STOLEN = 3  # percent: above it, latencies say more of the host than of a broker (perf/results/endurance.md)


class Results:
    """Values over rounds, by subject and step."""

    def __init__(self, data):
        self.data = data
        self.steps = [s for s in data["steps"] if "error" not in s and "skipped" not in s]

    def rows(self, subject, step):
        return [s["result"] for s in self.steps if s["subject"] == subject and s["step"] == step]

    def median(self, subject, step, *path):
        values = []
        for row in self.rows(subject, step):
            for key in path:
                row = row.get(key) if isinstance(row, dict) else None
            if row is not None:
                values.append(row)
        return statistics.median(values) if values else None

    def subjects(self):
        return [s for s in ORDER if any(x["subject"] == s for x in self.steps)]


def show(value, digits=0, scale=1.0):
    if value is None:
        return "-"
    return f"{value * scale:.{digits}f}"


def table(head, rows):
    if not rows:
        return ""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def per_subject(r, cells):
    return [[s, SUBJECTS[s][2], *cells(s)] for s in r.subjects()]


def gb(r, s, step):
    return show(r.median(s, step, "broker", "cpu_s_per_gb"), 2)


def throughput(r):
    steps = [("1 partition", "produce-1"), ("1, batches of 1 MiB", "produce-large"), ("8", "produce-8"), ("100", "produce-100"),
             ("lz4, 8", "lz4"), ("zstd, 8", "zstd")]
    steps = [(n, s) for n, s in steps if any(r.rows(x, s) for x in r.subjects())]
    head = ["broker", "durability", *[f"{n}: MB/s (CPU s/GB)" for n, _ in steps]]
    return table(head, per_subject(r, lambda s: [f"{show(r.median(s, k, 'mb_per_s'))} ({gb(r, s, k)})" for _, k in steps]))


def consuming(r):
    def tail_cost(s):
        both, one = r.median(s, "tail", "broker", "cpu_s"), r.median(s, "tail-in", "broker", "cpu_s")
        out = r.median(s, "tail", "gb_out")
        return show((both - one) / out if both is not None and one is not None and out else None, 2)

    return table(
        ["broker", "durability", "read from the beginning: MB/s", "CPU s/GB", "tail at 50 MB/s, CPU s/GB of consuming", "e2e p50 ms", "p99 ms"],
        per_subject(r, lambda s: [show(r.median(s, "consume-1", "read_mb_per_s")), gb(r, s, "consume-1"), tail_cost(s),
                                  show(r.median(s, "tail", "e2e", "p50"), 2, 1e-3), show(r.median(s, "tail", "e2e", "p99"), 2, 1e-3)]))


def latency(r):
    steps = [("1", "paced-1"), ("100", "paced-100"), ("1,000", "paced-1000")]
    steps = [(n, s) for n, s in steps if any(r.rows(x, s) for x in r.subjects())]
    return table(
        ["broker", "durability", *[f"{n} partition{'s' if n != '1' else ''}: p50 / p99 / p99.9 / max ms" for n, _ in steps]],
        per_subject(r, lambda s: [
            " / ".join(show(r.median(s, k, "latency", p), 2, 1e-3) for p in ("p50", "p99", "p99.9", "max")) for _, k in steps]))


def end_to_end(r):
    return table(
        ["broker", "durability", "rate records/s", "p50 ms", "p99 ms", "with a catch-up reader: p50 ms", "p99 ms", "its MB/s"],
        per_subject(r, lambda s: [
            show(r.median(s, "e2e", "rate")), show(r.median(s, "e2e", "e2e", "p50"), 2, 1e-3),
            show(r.median(s, "e2e", "e2e", "p99"), 2, 1e-3), show(r.median(s, "e2e-catchup", "e2e", "p50"), 2, 1e-3),
            show(r.median(s, "e2e-catchup", "e2e", "p99"), 2, 1e-3), show(r.median(s, "e2e-catchup", "catchup_mb_per_s"))]))


def resources(r):
    def start(s):
        values = [x["start_s"] for x in r.data["starts"] if x["subject"] == s]
        idle = [x["rss_idle"] for x in r.data["starts"] if x["subject"] == s]
        peak = [x["result"]["broker"]["rss"] for x in r.steps if x["subject"] == s and "broker" in x["result"]]
        return [show(statistics.median(values), 3), show(statistics.median(idle), 0, 2**-20), show(max(peak, default=None), 0, 2**-20)]

    def written(s):
        bytes_, in_ = r.median(s, "produce-8", "broker", "written"), r.median(s, "produce-8", "gb_in")
        return show(bytes_ / 1e9 / in_ if in_ else None, 2)

    return table(
        ["broker", "durability", "start s", "RSS idle MiB", "RSS loaded MiB", "idle, 1,000 partitions: % of a core",
         "bytes written a byte produced", "100 B records a CPU s"],
        per_subject(r, lambda s: [*start(s), show(r.median(s, "idle", "core_percent"), 2), written(s),
                                  show(r.median(s, "small", "broker", "records_per_cpu_s"))]))


def stages(r):
    """Where the time of our synced produce goes, as the broker stamps it."""
    rows = []
    for step in ("paced-1", "paced-1000", "produce-8"):
        names = {n for row in r.rows("sluice", step) for n in row.get("stages", {})}
        for n in sorted(names, key=STAGES.index):
            rows.append([step, n, *[show(r.median("sluice", step, "stages", n, p), 1) for p in ("p50", "p99", "p99.9")]])
    return table(["step", "stage", "p50 us", "p99 us", "p99.9 us"], rows)


def other_tools(r):
    return table(
        ["broker", "durability", "ProducerPerformance MB/s", "CPU s/GB", "at 10,000/s: p50 / p99 / p99.9 ms", "ConsumerPerformance MB/s",
         "EndToEndLatency p50 / p99 ms", "kcat produce / consume MB/s"],
        per_subject(r, lambda s: [
            show(r.median(s, "java-produce", "mb_per_s")), gb(r, s, "java-produce"),
            " / ".join(show(r.median(s, "java-paced", p)) for p in ("p50_ms", "p99_ms", "p999_ms")),
            show(r.median(s, "java-consume", "mb_per_s")),
            " / ".join(show(r.median(s, "java-e2e", p)) for p in ("p50_ms", "p99_ms")),
            f"{show(r.median(s, 'kcat', 'mb_per_s'))} / {show(r.median(s, 'kcat', 'read_mb_per_s'))}"]))


def scaling(r):
    def cpu_us(s, step):
        cpu, n = r.median(s, step, "broker", "cpu_s"), r.median(s, step, "all_records")
        return show(cpu / n if cpu and n else None, 1, 1e6)

    steps = [("1 partition", "paced-1"), ("100", "paced-100"), ("1,000", "paced-1000"), ("1 connection", "conns-1"), ("500", "conns-500")]
    steps = [(n, s) for n, s in steps if any(r.rows(x, s) for x in r.subjects())]
    return table(["broker", "durability", *[n for n, _ in steps]], per_subject(r, lambda s: [cpu_us(s, k) for _, k in steps]))


def ratio(a, b):
    return a / b if a is not None and b else None


def bounds(r):
    """The claims, each with its ratio and whether it holds in this run."""
    m = r.median
    rows = []

    def claim(text, value, op, bound):
        if value is not None:
            rows.append([text, f"{value:.2f}", f"{op} {bound:g}", "yes" if (value >= bound if op == "≥" else value <= bound) else "**no**"])

    for n in ("1", "8", "100"):
        step = f"produce-{n}"
        ours = m("sluice", step, "mb_per_s")
        claim(f"produce, {n} partitions: synced / upstream not synced", ratio(ours, m("upstream", step, "mb_per_s")), "≥", 3)
        claim(f"produce, {n} partitions: synced / upstream synced", ratio(ours, m("upstream-synced", step, "mb_per_s")), "≥", 8)
    step = "produce-8"
    claim("CPU s/GB of a produce: ours / upstream's",
          ratio(m("sluice", step, "broker", "cpu_s_per_gb"), m("upstream", step, "broker", "cpu_s_per_gb")), "≤", 0.2)
    claim("CPU s/GB of reading: ours / upstream's",
          ratio(m("sluice", "consume-1", "broker", "cpu_s_per_gb"), m("upstream", "consume-1", "broker", "cpu_s_per_gb")), "≤", 0.5)
    claim("small records a CPU second: ours / upstream's",
          ratio(m("sluice", "small", "broker", "records_per_cpu_s"), m("upstream", "small", "broker", "records_per_cpu_s")), "≥", 3)
    for n in ("1", "100", "1000"):
        step = f"paced-{n}"
        for p in ("p99", "p99.9"):
            ours = m("sluice", step, "latency", p)
            claim(f"10,000/s, {n} partitions, {p}: synced / upstream synced", ratio(ours, m("upstream-synced", step, "latency", p)), "≤", 0.1)
            claim(f"10,000/s, {n} partitions, {p}: synced / upstream not synced", ratio(ours, m("upstream", step, "latency", p)), "≤", 0.5)
        claim(f"10,000/s, {n} partitions, p50: synced / upstream not synced",
              ratio(m("sluice", step, "latency", "p50"), m("upstream", step, "latency", "p50")), "≤", 1)
    claim("end-to-end p99 at half of the highest rate: ours / upstream's",
          ratio(m("sluice", "e2e", "e2e", "p99"), m("upstream", "e2e", "e2e", "p99")), "≤", 0.2)
    claim("end-to-end p99 with a catch-up reader / without",
          ratio(m("sluice", "e2e-catchup", "e2e", "p99"), m("sluice", "e2e", "e2e", "p99")), "≤", 1.2)
    claim("idle, % of a core", m("sluice", "idle", "core_percent"), "≤", 0.5)
    idle = [x["rss_idle"] / 2**20 for x in r.data["starts"] if x["subject"] == "sluice"]
    claim("resident memory before load, MiB", statistics.median(idle) if idle else None, "≤", 64)
    claim("produce of 1 MiB batches, 1 partition / the bare pipe with synced writes",
          ratio(m("sluice", "produce-large", "mb_per_s"), m("sluice", "pipe", "mb_per_s")), "≥", 0.75)
    return table(["claim", "here", "bound", "holds"], rows)


def problems(r):
    lines = []
    stolen = [s for s in r.data["steps"] if s.get("result", {}).get("stolen_percent", 0) > STOLEN]
    if stolen:
        rows = ", ".join(f"round {s['round']} {s['subject']} {s['step']} {s['result']['stolen_percent']:.0f} %" for s in stolen)
        lines.append(f"- the hypervisor took more than {STOLEN} % of the CPUs' time in: {rows}")
    again = [s for s in r.data["steps"] if s.get("result", {}).get("stolen_tries")]
    if again:
        rows = ", ".join(f"round {s['round']} {s['subject']} {s['step']} ({', '.join(f'{t:.1f}' for t in s['result']['stolen_tries'])} %)"
                         for s in again)
        lines.append(f"- run again because the hypervisor took CPUs, and the time counts in which it took the least: {rows}")
    for s in r.data["steps"]:
        where = f"round {s['round']}, {s['subject']}, {s['step']}"
        if "error" in s:
            lines.append(f"- {where}: failed: {s['error'].splitlines()[0][:200]}")
        elif "skipped" in s:
            lines.append(f"- {where}: skipped: {s['skipped']}")
        elif s["result"].get("faults"):
            lines.append(f"- {where}: {s['result']['faults']} faults in what was acknowledged or read")
        elif s["result"].get("unanswered") or s["result"].get("records_per_s", 0) < 0.95 * s["result"].get("rate", 0):
            lines.append(f"- {where}: did not keep up: {s['result']['records_per_s']:.0f} records/s of {s['result'].get('rate', 0):.0f}, "
                         f"{s['result'].get('unanswered', 0)} never answered; its latencies say so")
        elif s["result"].get("generator_late"):
            lines.append(f"- {where}: the generator itself was late, p99 {s['result']['late']['p99'] / 1e3:.2f} ms; its latencies include that")
    return "\n".join(lines) or "None."


def machine(data):
    m = data["machine"]
    lines = [f"- {k}: {m[k]}" for k in ("cpu", "cores", "kernel", "memory_gib", "load_before", "java", "upstream", "sluice", "heap", "limits") if k in m]
    for key, what in (("pipe", "bare pipe (loopback, CRC and copy, O_DIRECT writes)"), ("pipe_dsync", "the same, each write synced"),
                      ("pipe_no_disk", "the same without the disk")):
        p = m.get(key)
        if p:
            lines.append(f"- {what}: {p['mb_per_s']:.0f} MB/s, receiver {p['receiver_cpu_s_per_gb']:.2f} and sender "
                         f"{p['sender_cpu_s_per_gb']:.2f} CPU s/GB")
    return "\n".join(lines)


def markdown(data, figures):
    r = Results(data)
    rounds = max((s["round"] for s in data["steps"]), default=0)
    parts = [
        "# Sluice beside upstream\n", f"Printed by `{data['command']}` on {data['date']}; how: perf/METHOD.md. Medians of {rounds} round(s), "
        "subjects in turn. All figures are of one run on one machine, over loopback; read the ratios, not the numbers.\n",
        "## Machine and limits\n", machine(data) + "\n", "## Claims\n", bounds(r),
        "## Produce, as fast as possible (1 KB records, idempotent, acks=all)\n", throughput(r), "## Consume\n", consuming(r),
        "## Latency at 10,000 x 1 KB/s, from the intended send time\n", latency(r),
        "## End to end at half of the highest rate\n", end_to_end(r), "## Resources\n", resources(r),
        "## Broker CPU a record, us, paced\n", scaling(r), "## Stages inside the broker (sluice, synced)\n", stages(r),
        "## Upstream's own tools and librdkafka\n", other_tools(r),
        "## Failed, skipped, late\n", problems(r) + "\n"]
    if figures:
        parts += ["## Plots\n", "\n".join(f"![{name}]({name})" for name in figures) + "\n"]
    return "\n".join(p for p in parts if p)


def draw(data):
    """{file name: SVG text}"""
    r = Results(data)
    curves, over_time, rates, cpu = {}, {}, {}, {}
    for s in r.subjects():
        rows = r.rows(s, "paced-1")
        if rows:
            curves[s] = [(p, us / 1e3) for p, us in rows[-1]["latency"].get("curve", [])]
            over_time[s] = [(t, p99 / 1e3) for t, p99, _ in rows[-1].get("series", [])]
        rows = r.rows(s, "rates")
        if rows:
            rates[s] = [(x, y / 1e3) for x, y in rows[-1]["points"]]
    for name, step in (("produce", "produce-8"), ("consume", "consume-1"), ("lz4", "lz4"), ("zstd", "zstd")):
        cpu[name] = {s: r.median(s, step, "broker", "cpu_s_per_gb") for s in r.subjects()}
    made = {
        "latency.svg": plots.chart("Produce latency at 10,000 x 1 KB/s, 1 partition", "percentile", "ms", curves, percentiles=True),
        "latency-over-time.svg": plots.chart("p99 of each second, 10,000 x 1 KB/s, 1 partition", "s", "ms", over_time),
        "rates.svg": plots.chart("p99 against throughput, 8 partitions", "MB/s", "p99 ms", rates, dots=True),
        "cpu.svg": plots.bars("Broker CPU", "CPU s/GB", cpu),
    }
    return {k: v for k, v in made.items() if v}


def readme_table(data):
    """The few lines that the README shows."""
    r = Results(data)
    return table(
        ["broker", "durability", "produce MB/s (8 partitions)", "CPU s/GB", "10,000/s p50 / p99 / p99.9 ms", "read MB/s", "RSS idle MiB", "start s"],
        per_subject(r, lambda s: [
            show(r.median(s, "produce-8", "mb_per_s")), gb(r, s, "produce-8"),
            " / ".join(show(r.median(s, "paced-1", "latency", p), 2, 1e-3) for p in ("p50", "p99", "p99.9")),
            show(r.median(s, "consume-1", "read_mb_per_s")),
            show(statistics.median([x["rss_idle"] for x in data["starts"] if x["subject"] == s]), 0, 2**-20),
            show(statistics.median([x["start_s"] for x in data["starts"] if x["subject"] == s]), 2)]))
