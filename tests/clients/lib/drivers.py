"""Long-lived client processes that take one JSON command a line and answer one JSON line each."""

import json
import pathlib
import subprocess
import threading

HERE = pathlib.Path(__file__).resolve().parent.parent


class DriverError(Exception):
    """The client reported an error; the message is its own."""


class Driver:
    """One child process; calls are serialised, so a Driver may be shared between threads."""

    def __init__(self, name, command, log_path, cwd=None, env=None):
        self.name = name
        self.log_path = log_path
        self.lock = threading.Lock()
        with open(log_path, "ab") as log:
            self.proc = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=cwd, env=env
            )

    def call(self, op, timeout=120, **fields):
        with self.lock:
            # A client that hangs is ended, which shows here as the end of its output.
            guard = threading.Timer(timeout, self.proc.kill)
            guard.start()
            try:
                self.proc.stdin.write(json.dumps({"op": op, **fields}).encode() + b"\n")
                self.proc.stdin.flush()
                line = self.proc.stdout.readline()
            except BrokenPipeError:
                line = b""
            finally:
                guard.cancel()
        if not line:
            raise DriverError(f"{self.name} ended or hung during {op}; {self.log_tail()}")
        reply = json.loads(line)
        if not reply["ok"]:
            raise DriverError(f"{self.name}: {op}: {reply['error']}")
        return reply

    def log_tail(self, lines=20):
        text = pathlib.Path(self.log_path).read_text(errors="replace").splitlines()
        return "\n".join(["its log:"] + text[-lines:])

    def close(self):
        self.proc.stdin.close()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.proc.stdout.close()


def tool(deps, name, *args, heap="192m"):
    """The command line of one of upstream's tools, or of a class of ours."""
    classpath = f"{deps}/java-classes:{deps}/jars/*"
    flags = [f"-Xmx{heap}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dsluice.log.level=ERROR"]
    return ["java", *flags, "-cp", classpath, name, *args]


def java(deps, log_path, name="java", heap="512m"):
    return Driver(name, tool(deps, "Driver", heap=heap), log_path)


def java_checks(ctx, name, op, config=None, **fields):
    """A case that is a row of checks in Java: each one's result, and then a clean stop."""
    broker = ctx.broker(config)
    driver = java(ctx.deps, ctx.tmp / "java.log")
    try:
        checks = driver.call(op, bootstrap=broker.bootstrap, timeout=150, **fields)["checks"]
    finally:
        driver.close()
    for c in checks:
        if c["ok"]:
            ctx.results.ok(f"{name}/{c['name']}")
        else:
            ctx.results.fail(f"{name}/{c['name']}", c["error"])
    ctx.results.run(f"{name}/clean-stop", broker.stop, ctx.logs)


def python(deps, script, log_path):
    return Driver(script, [f"{deps}/venv/bin/python3", str(HERE / "py" / f"{script}.py")], log_path)


def node(deps, log_path):
    return Driver("kafkajs", ["node", str(HERE / "node" / "driver.js"), str(deps / "node")], log_path)


def native_missing(deps):
    """Why kafka-javascript could not be installed, or None."""
    note = deps / "native" / "missing"
    return note.read_text().strip() if note.exists() else None


def native(deps, log_path):
    return Driver("kafka-javascript", ["node", str(HERE / "node" / "native.js"), str(deps / "native")], log_path)


def of_kind(kind, deps, log_path, heap="192m"):
    """The driver of a client by the name that the tests give it."""
    if kind == "java":
        return java(deps, log_path, heap=heap)
    if kind == "kafkajs":
        return node(deps, log_path)
    if kind == "kafka-javascript":
        return native(deps, log_path)
    return python(deps, {"kafka-python": "kafkapython", "aiokafka": "aio"}.get(kind, kind), log_path)
