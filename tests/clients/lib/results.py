"""Collects results, prints failures with their logs, ends with the line 'N passed, N failed'."""

import sys
import threading
import time
import traceback


class Failure(AssertionError):
    """A check of a test did not hold."""


def check(ok, message):
    if not ok:
        raise Failure(message)


def same(want, got, what):
    if want != got:
        raise Failure(f"{what}: want {want!r}, got {got!r}")


class Results:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.lock = threading.Lock()
        self.passed = 0
        self.failed = []
        self.names = []  # of what passed
        self.notes = {}

    def say(self, text):
        with self.lock:
            print(text, file=self.out, flush=True)

    def ok(self, name, quiet=False):
        with self.lock:
            self.passed += 1
            self.names.append(name.split(" ")[0])
            if not quiet:
                print(f"ok    {name}", file=self.out, flush=True)

    def note(self, what, text):
        """Something that the report of a run is to tell beside what passed."""
        with self.lock:
            self.notes[what] = text

    def report(self):
        return {"passed": self.names, "failed": self.failed, "notes": self.notes}

    def fail(self, name, detail):
        with self.lock:
            self.failed.append(name)
            text = "".join(f"      | {line}\n" for line in str(detail).rstrip().splitlines())
            print(f"FAIL  {name}\n{text}", end="", file=self.out, flush=True)

    def run(self, name, body, logs=None):
        """Runs body(); any exception is a failure, shown with what logs() returns."""
        start = time.monotonic()
        try:
            body()
        except Exception as e:  # pylint: disable=broad-except
            detail = str(e) if isinstance(e, Failure) else traceback.format_exc()
            if logs is not None:
                detail += "\n" + logs()
            self.fail(name, detail)
            return False
        self.ok(f"{name} ({time.monotonic() - start:.1f} s)")
        return True

    def finish(self):
        if self.failed:
            self.say("failed: " + " ".join(self.failed))
        self.say(f"{self.passed} passed, {len(self.failed)} failed")
        return 1 if self.failed or self.passed == 0 else 0
