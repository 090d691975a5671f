#!/usr/bin/env python3
"""Runs libFuzzer programs for a while each and ends with 'N passed, N failed', in programs.

    tools/lib/fuzz.py --seconds N [--jobs N] BIN SOURCES WORK

SOURCES/<room>/fuzz_<name>.c is the program BIN/<room>_fuzz_<name>. Inputs that deserve to stay lie in
SOURCES/<room>/corpus/<name>/; new ones are collected under WORK, and so are inputs that crash.
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys


def run_one(source, args):
    """Returns (name, passed, last lines of output)."""
    room, stem = source.parent.name, source.stem
    program = args.bin / f"{room}_{stem}"
    if not program.exists():
        return program.name, False, "was not built"
    work = args.work / program.name
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    kept = source.parent / "corpus" / stem.removeprefix("fuzz_")
    # With a number of runs the seed is fixed: the short form tries the same inputs every time.
    fixed = ["-seed=1", f"-runs={args.runs}"] if args.runs else []
    command = [str(program), *fixed, f"-max_total_time={args.seconds}", "-rss_limit_mb=2048", "-timeout=20",
               f"-artifact_prefix={work}/", "-print_final_stats=1", str(work / "corpus")]
    if kept.is_dir():
        command.append(str(kept))
    try:
        done = subprocess.run(command, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=args.seconds + 120, check=False)
    except subprocess.TimeoutExpired:
        return program.name, False, "did not stop in time"
    runs = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("stat::number_of_executed_units")]
    good = done.returncode == 0 and bool(runs) and int(runs[-1]) > 0
    return program.name, good, f"{runs[-1]} inputs" if good else done.stdout[-6000:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("sources", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--runs", type=int, default=0, help="at most so many inputs, from a fixed seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    sources = sorted(args.sources.glob("*/fuzz_*.c"))
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, good, text in pool.map(lambda s: run_one(s, args), sources):
            print(f"{'ok' if good else 'FAIL'}  {name}: {text}")
            passed += good
            failed += not good
    if not sources:
        print(f"FAIL  no fuzzers below {args.sources}")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
