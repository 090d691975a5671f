"""Deadlines, polling and free ports. Nothing here waits without a limit, and nothing spins."""

import os
import random
import socket
import time


class Timeout(Exception):
    """A deadline passed; the message says what was waited for."""


class Deadline:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return max(0.0, self.end - time.monotonic())

    def passed(self):
        return time.monotonic() >= self.end


def wait_until(condition, seconds, what, step=0.005, max_step=0.1):
    """Polls `condition` with a growing pause until it is true; returns its value."""
    deadline = Deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        if deadline.passed():
            raise Timeout(f"timed out after {seconds} s waiting for {what}")
        time.sleep(step)
        step = min(max_step, step * 1.5)


_given = set()


def free_port():
    """A port of 127.0.0.1 that nothing listens on and that this process has not handed out before.

    SLUICE_TEST_PORTS=LOW-HIGH restricts the choice. Without it the range lies below the kernel's
    ephemeral ports, so that an outgoing connection cannot take the port of a broker that is down.
    """
    low, high = (int(x) for x in os.environ.get("SLUICE_TEST_PORTS", "19200-19299").split("-"))
    ports = list(range(low, high + 1))
    random.shuffle(ports)
    for again in (False, True):
        for port in ports:
            if port in _given and not again:
                continue
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                except OSError:
                    continue
            _given.add(port)
            return port
    raise OSError(f"no free port in {low}-{high}")
