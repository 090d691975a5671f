"""Members of groups, one client process each: a driver that is told what to do, or a tool that only reads and commits.

Each has `look()`, what it holds now; `read`, the offsets that it has read, by partition; `stop()` and `kill()`.
"""

import json
import re
import signal
import subprocess
import threading

from . import drivers

SESSION_MS = 3000


class Member:
    """A client behind a driver."""

    def __init__(self, ctx, broker, kind, group, topic, n, start=True, **extra):
        self.driver = drivers.of_kind(kind, ctx.deps, ctx.tmp / f"{kind}-{n}.log")
        self.assigned, self.read, self.gone = [], {}, False
        self.args = {"bootstrap": broker.bootstrap, "group": group, "topic": topic, "session_ms": SESSION_MS, **extra}
        if start:
            self.begin()

    def begin(self):
        self.driver.call("member_start", **self.args)

    def look(self):
        """What it holds now; what it has read is added up by partition."""
        if self.gone:
            return self.assigned
        state = self.driver.call("member_state")
        self.assigned = sorted(state["assigned"])
        for partition, offset in state["seen"]:
            self.read.setdefault(partition, []).append(offset)
        return self.assigned

    def ask(self, what, **fields):
        """Pause, resume or seek, by the driver's name of it."""
        self.driver.call(f"member_{what}", **fields)

    def stop(self):
        self.look()
        self.driver.call("member_stop")
        self.look()
        self.gone = True
        self.driver.close()

    def kill(self):
        self.look()
        self.gone = True
        self.driver.proc.kill()
        self.driver.close()


class ToolMember:
    """A command line tool: its output tells what it holds and reads."""

    end_signal = signal.SIGTERM
    clean_exits = (0,)

    def __init__(self, ctx, broker, kind, group, topic, n):
        self.assigned, self.read, self.lock = [], {}, threading.Lock()
        self.log = ctx.tmp / f"{kind}-{n}.log"
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen(
                self.command(ctx, broker, group, topic),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if self.one_output else log,
                cwd=ctx.tmp,
            )
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        for line in self.proc.stdout:
            with self.lock:
                self.take(line.decode(errors="replace"))

    def look(self):
        with self.lock:
            return list(self.assigned)

    def stop(self):
        self.proc.send_signal(self.end_signal)
        try:
            code = self.proc.wait(30)
        finally:
            self.kill()
        if code not in self.clean_exits:
            raise RuntimeError(f"{type(self).__name__} ended with {code}; {self.log.read_text()[-2000:]}")

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.thread.join(10)
        self.proc.stdout.close()


class KcatMember(ToolMember):
    one_output = True
    end_signal = signal.SIGINT

    def command(self, ctx, broker, group, topic):
        cmd = ["kcat", "-b", broker.bootstrap, "-G", group, "-u", "-f", "%p %o\n"]
        for key, value in (
            ("auto.offset.reset", "earliest"),
            ("session.timeout.ms", SESSION_MS),
            ("heartbeat.interval.ms", 300),
            ("auto.commit.interval.ms", 100),
            ("fetch.wait.max.ms", 100),
        ):
            cmd += ["-X", f"{key}={value}"]
        return [*cmd, topic]

    def take(self, line):
        if line.startswith("%"):
            if "assigned:" in line:
                self.assigned = sorted(int(p) for p in re.findall(r"\[(\d+)\]", line.split("assigned:")[1]))
            elif "revoked" in line:
                self.assigned = []
        elif re.match(r"\d+ \d+$", line):
            partition, offset = line.split()
            self.read.setdefault(int(partition), []).append(int(offset))


class VerifiableMember(ToolMember):
    """Upstream's VerifiableConsumer."""

    one_output = False
    clean_exits = (0, 143)

    def command(self, ctx, broker, group, topic):
        conf = ctx.tmp / "verifiable.properties"
        conf.write_text("heartbeat.interval.ms=300\nfetch.max.wait.ms=100\n")
        args = ["--bootstrap-server", broker.bootstrap, "--topic", topic, "--group-id", group, "--session-timeout", str(SESSION_MS)]
        return drivers.tool(ctx.deps, "org.apache.kafka.tools.VerifiableConsumer", *args, "--command-config", str(conf))

    def take(self, line):
        if not line.startswith("{"):
            return
        event = json.loads(line)
        parts = event.get("partitions", [])
        if event["name"] == "partitions_assigned":
            self.assigned = sorted(p["partition"] for p in parts)
        elif event["name"] == "partitions_revoked":
            self.assigned = []
        elif event["name"] == "records_consumed":
            for p in parts:
                self.read.setdefault(p["partition"], []).extend(range(p["minOffset"], p["maxOffset"] + 1))


def new(ctx, broker, kind, group, topic, n, **extra):
    tools = {"kcat": KcatMember, "verifiable": VerifiableMember}
    return tools.get(kind, Member)(ctx, broker, kind, group, topic, n, **extra)
