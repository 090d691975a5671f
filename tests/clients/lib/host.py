"""What the machine under the tests does."""

import pathlib


def cpu_ticks():
    """(all, stolen by the hypervisor) of all CPUs since the machine's start: proc(5)."""
    fields = [int(n) for n in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields), fields[7]


def stolen_percent(before, after):
    """Of the CPUs' time between two of cpu_ticks()."""
    return 100 * (after[1] - before[1]) / max(after[0] - before[0], 1)
