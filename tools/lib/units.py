#!/usr/bin/env python3
"""Runs cmocka programs side by side and ends with 'N passed, N failed', in tests.

    tools/lib/units.py [--jobs N] [--timeout SECONDS] DIR PATTERN

A program that crashes, hangs, leaks under a sanitizer or reports no test counts as one failure more.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time


def run_one(program, timeout):
    """Returns (program, seconds, passed, failed, text to show)."""
    begin = time.monotonic()
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP")
    try:
        done = subprocess.run([program], env=env, text=True, errors="replace", stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, check=False)
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as e:
        output, status = (e.stdout or b"").decode("utf-8", "replace"), f"no end after {timeout} s"
    passed = len(re.findall(r"^ok \d+", output, re.M))
    failed = len(re.findall(r"^not ok \d+\b(?! # SKIP)", output, re.M))  # cmocka says "not ok" of a skipped test
    skipped = re.findall(r"^not ok \d+ # SKIP (\S+)", output, re.M)
    if (status != 0 or passed == 0) and failed == 0:
        failed = 1
    text = f"{output}\n{program.name}: status {status}" if failed else "\n".join(f"skip  {program.name}: {t}" for t in skipped)
    return program, time.monotonic() - begin, passed, failed, text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("pattern")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=300)
    args = parser.parse_args()
    programs = sorted(p for p in args.dir.glob(args.pattern) if os.access(p, os.X_OK) and p.is_file())
    total = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for program, seconds, passed, failed, text in pool.map(lambda p: run_one(p, args.timeout), programs):
            if text:
                print(text)
            print(f"{'FAIL' if failed else 'ok'}  {program.name}: {passed} passed, {failed} failed ({seconds:.1f} s)")
            total[0] += passed
            total[1] += failed
    if not programs:
        print(f"FAIL  no program matches {args.dir}/{args.pattern}")
        total[1] += 1
    print(f"{total[0]} passed, {total[1]} failed")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
