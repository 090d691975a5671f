"""kcat and upstream's console tools as producers and consumers of the matrix."""

import json
import random
import subprocess

from . import records

# Delimiters that no record set contains: the sets of these producers are plain words.
KCAT_KEY, KCAT_MESSAGE = "\x02", "\x03"
# Frames around what the console consumer prints; no seeded value contains them.
FIELD, END = b"\x01|f|\x01", b"\x01|end|\x01\n"


class KcatProducer:
    """kcat gives each run one partition, one set of headers, and one meaning to empty fields (-Z)."""

    name = "kcat"
    driver = None

    def make(self, seed, partitions, count, now_ms):
        """Runs of records that share partition, headers and -Z; the last field says which run."""
        del now_ms
        rnd = random.Random(seed)
        out = []
        sizes = records.SIZES + [rnd.choice([3, 20, 100, 2000]) for _ in range(count - len(records.SIZES))]
        rnd.shuffle(sizes)
        runs = [(p, nulls) for p in range(partitions) for nulls in (False, True)]
        for i, size in enumerate(sizes):
            p, nulls = runs[i * len(runs) // len(sizes)]
            headers = [("run", str(p).encode()), ("second", b"a value, with = signs")] if not nulls else []
            value = records.text_blob(rnd, size) if not nulls or i % 5 else None
            key = records.text_blob(rnd, rnd.choice([0, 0, 5, 40]))
            if nulls:  # -Z: what is empty becomes null
                value = value or None
                key = key or None
            out.append({"p": p, "t": None, "k": key, "v": value, "h": headers, "z": nulls})
        return out

    def produce(self, ctx, broker, topic, codec, partitions, path):
        del ctx
        runs = {}
        for r in records.read_input(path):
            # -Z runs have no headers: see make().
            runs.setdefault((r["p"], not r["h"]), []).append(r)
        for (p, nulls), rs in runs.items():
            cmd = ["kcat", "-P", "-q", "-b", broker.bootstrap, "-t", topic, "-p", str(p), "-K", KCAT_KEY]
            cmd += ["-D", KCAT_MESSAGE, "-X", "message.max.bytes=1048588", "-X", "message.timeout.ms=30000"]
            cmd += ["-X", f"compression.type={codec}"]
            cmd += ["-Z"] if nulls else []
            for name, value in rs[0]["h"]:
                cmd += ["-H", f"{name}={value.decode()}"]
            data = KCAT_MESSAGE.encode().join((r["k"] or b"") + KCAT_KEY.encode() + (r["v"] or b"") for r in rs)
            run_kcat(cmd, data)
        return partitions


def run_kcat(cmd, data=None, timeout=60):
    done = subprocess.run(cmd, input=data, capture_output=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"kcat exited with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class KcatConsumer:
    name = "kcat"
    style = "kcat"

    def consume(self, broker, topic, partitions, expected, out):
        del partitions, expected
        # Lengths come first, so that keys and values may hold anything. Headers have no length: END ends them.
        fmt = "%p %o %T %K %S %k%s%h\x01|end|\x01\n"
        cmd = ["kcat", "-C", "-q", "-b", broker.bootstrap, "-t", topic, "-o", "beginning", "-e", "-f", fmt]
        data = run_kcat([*cmd, "-X", "check.crcs=true", "-X", "fetch.wait.max.ms=20"])
        at = 0
        with open(out, "w", encoding="utf-8") as f:
            while at < len(data):
                fields = []
                for _ in range(5):
                    space = data.index(b" ", at)
                    fields.append(int(data[at:space]))
                    at = space + 1
                partition, offset, ts, klen, vlen = fields
                key = data[at : at + max(0, klen)]
                at += max(0, klen)
                value = data[at : at + max(0, vlen)]
                at += max(0, vlen)
                end = data.index(END, at)
                write_line(f, partition, offset, ts, None if klen < 0 else key, None if vlen < 0 else value, data[at:end])
                at = end + len(END)


def write_line(f, partition, offset, ts, key, value, headers):
    r = json.loads(records.line(partition, offset, ts, key, value, ()))
    del r["h"]
    r["hs"] = records.canonical(headers)
    f.write(json.dumps(r) + "\n")


class ConsoleProducer:
    """Upstream's console producer reads lines: text, keyed, partition by the key's hash."""

    name = "console"
    traits = records.Traits(binary=False, timestamps=False, null_value=True, null_header=True, keyed=True)

    def __init__(self, java):
        self.driver = self.java = java

    def produce(self, ctx, broker, topic, codec, partitions, path):
        del partitions
        text = ctx.tmp / f"{topic}.txt"
        with open(text, "wb") as f:
            for r in records.read_input(path):
                headers = b",".join(n.encode() + b":" + (b"NULL!" if v is None else v) for n, v in r["h"])
                value = b"NULL!" if r["v"] is None else r["v"]
                # A record without headers has the null marker in their place.
                f.write(b"\t".join([headers or b"NULL!", r["k"], value]) + b"\n")
        args = ["--bootstrap-server", broker.bootstrap, "--topic", topic, "--compression-codec", codec]
        for prop in ("parse.key=true", "parse.headers=true", "null.marker=NULL!"):
            args += ["--reader-property", prop]
        # --timeout is its linger, one second by default.
        args += ["--command-property", "max.request.size=1048576", "--timeout", "5"]
        self.java.call("console_produce", args=args, file=str(text))


class ConsoleConsumer:
    """Upstream's console consumer, one run per partition."""

    name = "console"
    style = "console"

    def __init__(self, java):
        self.java = java

    def consume(self, broker, topic, partitions, expected, out):
        runs = []
        counts = [0] * partitions
        for r in expected:
            counts[r["p"]] += 1
        props = {
            "print.timestamp": "true",
            "print.partition": "true",
            "print.offset": "true",
            "print.headers": "true",
            "print.key": "true",
            "key.separator": FIELD.decode(),
            "line.separator": END.decode(),
            "headers.separator": "\x01,\x01",
            "null.literal": "<null-header>",
        }
        for p in range(partitions):
            if counts[p] == 0:
                continue
            args = ["--bootstrap-server", broker.bootstrap, "--topic", topic, "--partition", str(p)]
            args += ["--offset", "earliest", "--max-messages", str(counts[p]), "--timeout-ms", "30000"]
            args += ["--command-property", "fetch.max.wait.ms=20"]
            for key, value in props.items():
                args += ["--formatter-property", f"{key}={value}"]
            runs.append({"args": args, "out": f"{out}.{p}", "count": counts[p]})
        self.java.call("console_consume", runs=runs)
        with open(out, "w", encoding="utf-8") as f:
            for run in runs:
                with open(run["out"], "rb") as part:
                    self.parse(part.read(), f)
                subprocess.run(["rm", "-f", run["out"]], check=True)

    @staticmethod
    def parse(data, f):
        for chunk in data.split(END)[:-1]:
            ts, partition, offset, headers, key, value = chunk.split(FIELD)
            number = lambda s: int(s.rpartition(b":")[2])  # noqa: E731
            null = b"<null-header>"
            write_line(
                f,
                number(partition),
                number(offset),
                number(ts),
                None if key == null else key,
                None if value == null else value,
                headers,
            )
