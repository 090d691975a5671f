"""What the machine under the tests does."""

import mmap
import os
import pathlib
import time


def cpu_ticks():
    """(all, stolen by the hypervisor) of all CPUs since the machine's start: proc(5)."""
    fields = [int(n) for n in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields), fields[7]


def stolen_percent(before, after):
    """Of the CPUs' time between two of cpu_ticks()."""
    return 100 * (after[1] - before[1]) / max(after[0] - before[0], 1)


def settle(directory, bound_ms=5, limit_s=40):
    """Waits until the disk answers as it usually does: after a large directory was removed it may stand still now and then, behind
    what it was told to discard. Synced writes of 8 KiB, one after the other, until for three seconds none takes more than
    `bound_ms`, or `limit_s` have passed. Returns (seconds waited, longest write of the last second in ms)."""
    path = pathlib.Path(directory) / "settle"
    block = mmap.mmap(-1, 8192)
    flags = os.O_CREAT | os.O_RDWR | os.O_DSYNC
    try:
        fd = os.open(path, flags | os.O_DIRECT, 0o600)
    except OSError:  # not every file system has it
        fd = os.open(path, flags, 0o600)
    begun, quiet, worst = time.monotonic(), 0, 0
    try:
        while quiet < 3 and time.monotonic() - begun < limit_s:
            end, worst = time.monotonic() + 1, 0
            while time.monotonic() < end:
                t = time.monotonic()
                os.pwrite(fd, block, 0)
                worst = max(worst, (time.monotonic() - t) * 1000)
                time.sleep(0.001)
            quiet = quiet + 1 if worst <= bound_ms else 0
    finally:
        os.close(fd)
        path.unlink()
    return time.monotonic() - begun, worst
