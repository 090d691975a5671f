"""What a test gets: directories, brokers that are cleaned up after it, and the results."""

import pathlib
import shutil
import tempfile

from . import broker


class Context:
    def __init__(self, build, deps, kind, results, long=False, keep=False):
        self.build = pathlib.Path(build).resolve()
        self.deps = pathlib.Path(deps).resolve()
        self.kind = kind
        self.results = results
        self.long = long
        self.keep = keep
        self.upstream = kind == "upstream"
        self.brokers = []
        self.tmp = None

    def enter(self, name):
        """A fresh directory for one test."""
        root = self.build / "clients-tmp"
        root.mkdir(parents=True, exist_ok=True)
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root))
        self.brokers = []

    def leave(self):
        for b in self.brokers:
            b.kill()
        if not self.keep:
            shutil.rmtree(self.tmp, ignore_errors=True)

    def broker(self, config=None, name="broker", wrapper=(), start=True):
        b = broker.KINDS[self.kind](self.build, self.deps, self.tmp / name, config, wrapper)
        self.brokers.append(b)
        if start:
            b.start()
        return b

    def logs(self):
        return "\n".join((b.findings() or "") + "\n" + b.log_tail(25) for b in self.brokers)
