"""Starts, stops and kills brokers: ours and upstream's, behind one interface.

A Broker keeps its address, data directory and log over restarts. `start` returns once the port
answers an ApiVersions request; `stop` is SIGTERM and a wait; `kill` is SIGKILL.
"""

import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time

from . import wire
from .wait import Timeout, free_port, wait_until

HERE = pathlib.Path(__file__).resolve().parent.parent


FINDINGS = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer|assertion .*failed|panic:", re.I)


class BrokerDied(Exception):
    """The broker's process ended by itself."""


class Broker:
    start_limit = 20.0  # seconds from start to serving
    stop_limit = 10.0  # seconds from SIGTERM to exit

    def __init__(self, deps, directory, config=None, wrapper=()):
        self.deps = pathlib.Path(deps)
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.data = self.dir / "data"
        self.log_path = self.dir / "broker.log"
        self.config = dict(config or {})
        self.wrapper = list(wrapper)
        self.host = "127.0.0.1"
        self.port = free_port()
        self.proc = None
        self.expect_exit = False

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"

    @property
    def pid(self):
        return self.proc.pid

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def prepare(self):
        """Whatever must be done once before the first start."""

    def spawn(self):
        """Starts the process and does not wait for it to serve."""
        self.prepare()
        with open(self.log_path, "ab") as log:
            log.write(f"--- start {time.strftime('%H:%M:%S')}\n".encode())
            log.flush()
            self.proc = subprocess.Popen(
                self.wrapper + self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.dir,
                env=self.environment(),
                start_new_session=True,
            )

    def start(self):
        """Starts the process and waits until it serves; returns the seconds that took."""
        begin = time.monotonic()
        self.spawn()
        self.wait_serving()
        return time.monotonic() - begin

    def serving(self):
        if self.proc.poll() is not None:
            raise BrokerDied(f"broker exited with {self.proc.returncode} while starting")
        return wire.answers_api_versions(self.host, self.port)

    def wait_serving(self):
        try:
            wait_until(self.serving, self.start_limit, "the broker to serve", step=0.002, max_step=0.05)
        except Timeout:
            self.kill()
            raise

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def stop(self):
        """A clean stop; returns the seconds it took. A non-zero exit is an error."""
        if self.proc is None:
            return 0.0
        begin = time.monotonic()
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(self.stop_limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Timeout(f"the broker did not stop within {self.stop_limit} s") from None
        code = self.proc.returncode
        self.proc = None
        if code not in self.clean_exits():
            raise BrokerDied(f"broker exited with {code} after SIGTERM")
        return time.monotonic() - begin

    def clean_exits(self):
        return (0,)

    def kill(self):
        if self.proc is not None:
            try:
                os.kill(self.proc.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.proc.wait()
            self.proc = None

    def log_tail(self, lines=60):
        try:
            text = self.log_path.read_text(errors="replace").splitlines()
        except OSError:
            return "(no broker log)"
        return "\n".join(["broker log:"] + text[-lines:])

    def findings(self):
        """What a sanitizer or an assertion wrote to the log, or None."""
        log = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        found = FINDINGS.search(log)
        return log[found.start() : found.start() + 4000] if found else None

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.proc.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise OSError("no VmRSS")

    def segments(self, topic):
        """The .log files of a topic, ordered by partition and base offset."""
        found = []
        for d in self.data.iterdir():
            name, _, part = d.name.rpartition("-")
            if name == topic and part.isdigit():
                found += [(int(part), f) for f in sorted(d.glob("*.log"))]
        return [f for _, f in sorted(found)]

    def destroy(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


class Sluice(Broker):
    kind = "sluice"
    stop_limit = 10.0

    def __init__(self, build, deps, directory, config=None, wrapper=()):
        super().__init__(deps, directory, config, wrapper)
        self.binary = pathlib.Path(build).resolve() / "sluiced"

    def command(self):
        conf = {
            "listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": str(self.data),
            "node.id": "1",
        }
        conf.update(self.config)
        args = [str(self.binary)]
        for key, value in conf.items():
            args += ["--set", f"{key}={value}"]
        return args

    def environment(self):
        env = super().environment()
        # A sanitizer's finding ends the process with a code that no clean stop has.
        env.setdefault("ASAN_OPTIONS", "abort_on_error=0:exitcode=99:detect_leaks=1")
        env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1:exitcode=99")
        return env

    def spawn(self):
        self.data.mkdir(parents=True, exist_ok=True)
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        super().spawn()


class Upstream(Broker):
    """Upstream Kafka, one node that is its own controller, from the jars under <deps>/jars."""

    kind = "upstream"
    start_limit = 60.0
    stop_limit = 60.0

    def __init__(self, build, deps, directory, config=None, wrapper=()):
        del build
        super().__init__(deps, directory, config, wrapper)
        self.controller_port = free_port()
        self.properties = self.dir / "server.properties"

    def java(self, *args):
        classpath = f"{self.deps}/java-classes:{self.deps}/jars/*"
        flags = ["-Xmx768m", "-Xms256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
        return ["java", *flags, "-cp", classpath, *args]

    def prepare(self):
        conf = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.host}:{self.controller_port}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{self.host}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.data),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # After a kill the controller would keep the broker fenced until its old session ends.
            "broker.session.timeout.ms": "1500",
            "broker.heartbeat.interval.ms": "300",
            "controlled.shutdown.enable": "false",
        }
        conf.update(self.config)
        self.properties.write_text("".join(f"{k}={v}\n" for k, v in conf.items()))
        if not (self.data / "meta.properties").exists():
            cmd = self.java(
                "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(self.properties)
            )
            done = subprocess.run(cmd, stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd=self.dir)
            if done.returncode != 0:
                raise BrokerDied("format failed: " + done.stdout.decode() + done.stderr.decode())

    def command(self):
        return self.java("kafka.Kafka", str(self.properties))

    def serving(self):
        # Upstream listens before its broker is unfenced; topics cannot be created until then.
        return super().serving() and wire.has_broker(self.host, self.port)

    def clean_exits(self):
        return (0, 143)

    def findings(self):
        return None


KINDS = {"sluice": Sluice, "upstream": Upstream}
