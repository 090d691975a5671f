"""`sluice crash-check`: it finds nothing wrong with our broker, and finds what a broker that goes back in time lost."""

import os
import re
import subprocess

from lib.results import check, same

# At its third start it serves the directory as it was at its second: what was acknowledged in between is gone.
FORGETFUL = """#!/bin/sh
dir=$(dirname "$0")
n=$(cat "$dir/starts" 2>/dev/null || echo 0)
n=$((n + 1))
echo $n >"$dir/starts"
data=$(printf '%s\\n' "$@" | sed -n 's/^log.dirs=//p')
if [ $n = 2 ]; then cp -a "$data" "$dir/saved"; fi
if [ $n = 3 ]; then rm -rf "$data" && cp -a "$dir/saved" "$data"; fi
exec {sluiced} "$@"
"""


def crash_check(ctx, name, *args):
    """Exit status and report."""
    directory = ctx.tmp / name
    directory.mkdir()
    env = dict(os.environ, ASAN_OPTIONS="abort_on_error=0:exitcode=99:detect_leaks=1")
    done = subprocess.run(
        [str(ctx.build / "sluice"), "crash-check", str(directory), "--seconds", "0.6", "--partitions", "4", *args],
        capture_output=True, text=True, check=False, env=env, timeout=300)
    return done.returncode, done.stdout + done.stderr


def sound(ctx):
    status, text = crash_check(ctx, "sound", "--rounds", "5", "--set", "log.segment.bytes=1048576", "--seed", "7")
    same(0, status, f"exit status; {text}")
    check("kills         5 of 5" in text and "lost 0, changed 0, doubled 0, unreadable 0" in text, text)
    acked = re.search(r"acknowledged  (\d+) batches", text)
    check(acked and int(acked[1]) > 20, text)


def several(ctx):
    status, text = crash_check(ctx, "several", "--rounds", "4", "--dirs", "3", "--seed", "9", "--set", "log.segment.bytes=1048576")
    same(0, status, f"exit status; {text}")
    check("kills         4 of 4" in text and "lost 0, changed 0, doubled 0, unreadable 0" in text, text)


def forgetful(ctx):
    wrapper = ctx.tmp / "forgetful"
    wrapper.write_text(FORGETFUL.replace("{sluiced}", str(ctx.build / "sluiced")))
    wrapper.chmod(0o755)
    status, text = crash_check(ctx, "lost", "--rounds", "3", "--sluiced", str(wrapper), "--seed", "8")
    same(1, status, f"exit status; {text}")
    check("WRONG: partition" in text and "NOT EVERYTHING" in text, text)


def run(ctx):
    if ctx.upstream:
        return
    ctx.results.run("crashcheck/sound", lambda: sound(ctx))
    ctx.results.run("crashcheck/several", lambda: several(ctx))
    ctx.results.run("crashcheck/forgetful", lambda: forgetful(ctx))
