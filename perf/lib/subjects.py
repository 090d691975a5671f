"""The four brokers that are compared, started with the same limits, and what is read off them from outside."""

import os
import pathlib
import socket
import time

from .lib_clients import brokers

HEAP = ["-Xms1g", "-Xmx1g"]
# As upstream's own start script sets them.
GC = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
      "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true"]


class UpstreamFull(brokers.Upstream):
    """Upstream as it is run in production: both compilers, G1, a fixed heap."""

    def java(self, *args):
        classpath = f"{self.deps}/java-classes:{self.deps}/jars/*"
        return ["java", *HEAP, *GC, "-cp", classpath, *args]


# name: class, settings, durability of an acknowledged record
SUBJECTS = {
    "upstream": (UpstreamFull, {}, "not synced"),
    "sluice": (brokers.Sluice, {}, "synced"),
    "upstream-synced": (UpstreamFull, {"log.flush.interval.messages": "1"}, "synced"),
    "sluice-cached": (brokers.Sluice, {"write.caching.default": "true"}, "write-cached"),
}
# Both sides, so that neither deletes or compacts while it is measured.
COMMON = {"log.retention.hours": "24", "auto.create.topics.enable": "false"}


def is_upstream(name):
    return name.startswith("upstream")


class Cgroup:
    """A memory limit for the broker, where the machine lets us set one (cgroup v2, or v1's memory controller)."""

    def __init__(self, name, limit):
        v2, v1 = pathlib.Path("/sys/fs/cgroup/cgroup.controllers"), pathlib.Path("/sys/fs/cgroup/memory/tasks")
        self.path = None
        if not limit:
            return
        try:
            if v2.exists():
                self.path = v2.parent / name
                self.path.mkdir(exist_ok=True)
                (self.path / "memory.max").write_text(str(limit))
            elif v1.exists():
                self.path = v1.parent / name
                self.path.mkdir(exist_ok=True)
                (self.path / "memory.limit_in_bytes").write_text(str(limit))
        except OSError:
            self.path = None

    def add(self, pid):
        if self.path:
            (self.path / "cgroup.procs").write_text(str(pid))

    def remove(self):
        if self.path:
            for _ in range(50):
                try:
                    self.path.rmdir()
                    return
                except OSError:
                    time.sleep(0.1)


class Subject:
    """One start of one broker on an empty directory."""

    def __init__(self, name, build, deps, work, cpus, memory):
        cls, config, self.durability = SUBJECTS[name]
        self.name = name
        self.cgroup = Cgroup(f"sluice-compare-{os.getpid()}", memory)
        self.metrics = None
        if not is_upstream(name):
            self.metrics = f"127.0.0.1:{brokers.free_port()}"
            config = {**config, "sluice.metrics.listener": self.metrics}
        self.broker = cls(build, deps, work / name, {**COMMON, **config}, wrapper=["taskset", "-c", cpus])
        self.start_s = None
        self.rss_idle = None

    def __enter__(self):
        self.start_s = self.broker.start()
        self.cgroup.add(self.broker.pid)
        time.sleep(1)
        self.rss_idle = self.broker.rss_bytes()
        return self

    def __exit__(self, *exc):
        self.broker.destroy()
        self.cgroup.remove()

    @property
    def address(self):
        return self.broker.bootstrap

    def reading(self):
        return Reading(self.broker.pid)

    def rss(self):
        return self.broker.rss_bytes()

    def idle_connections(self, n):
        return [socket.create_connection((self.broker.host, self.broker.port)) for _ in range(n)]


class Reading:
    """CPU seconds and bytes written of a process until now; differences of two are what a step cost."""

    def __init__(self, pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        self.cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        self.written = self.read = 0
        try:
            for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
                key, value = line.split(": ")
                self.written = int(value) if key == "write_bytes" else self.written
                self.read = int(value) if key == "read_bytes" else self.read
        except OSError:
            pass

    def since(self, before):
        return {"cpu_s": self.cpu_s - before.cpu_s, "written": self.written - before.written, "read": self.read - before.read}
