# The parts of tools/test, each a function that runs programs through `counted`.
# SLUICE_LONG is 1 for the long form. Sourced by tools/test and tools/lib/part.
# shellcheck shell=bash

# In the order in which they run: the cheap ones first. This array is the list; a part that is not in it is not run.
# shellcheck disable=SC2034
PARTS=(lint unit tsan fuzz proto sim clients hostile kill9 interop)

long() { [ "${SLUICE_LONG:-0}" = 1 ]; }

part_lint() {
    need build lint
    build release sluice
    counted tools/lint/lint --sluice "$BUILD/sluice"
    counted tests/lint/run
    checked tests/lint/protocol_md
    checked tests/clients/compatibility --check
}

part_unit() {
    need build test
    build asan unit-tests
    export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
    counted tools/lib/units.py --jobs "$JOBS" "$BUILD/asan/bin" 'unit_*'
}

# The rooms where threads meet: rings, pools, metrics, reactors.
part_tsan() {
    need build test
    build tsan unit-base unit-io
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
    counted tools/lib/units.py --jobs "$JOBS" "$BUILD/tsan/bin" 'unit_*'
}

# The storage engine in a simulated world: fixed seeds, the same seeds twice, and every rule broken once. What is broken on
# purpose, and in the long form many more seeds, run by the program that users run, which takes a quarter of the time.
part_sim() {
    need build
    build asan sluice-sim
    build release sluice-sim
    seeds "$BUILD/asan/sluice-sim" 300 150 60 40 60 60
    checked "$BUILD/asan/sluice-sim" --seeds 1..20 --replay-check --jobs "$JOBS"
    checked "$BUILD/sluice-sim" --canaries --jobs "$JOBS"
    long || return 0
    checked "$BUILD/asan/sluice-sim" --seeds 301..1500 --jobs "$JOBS"
    seeds "$BUILD/sluice-sim" 10000 2500 1000 800 800 800
}

# seeds PROGRAM PLAIN KEYED DIRECT BROKER GROUPS DIRS: so many seeds of each kind.
seeds() {
    local sim=$1 both=(--jobs "$JOBS")
    checked "$sim" --seeds "1..$2" "${both[@]}"
    checked "$sim" --with keyed --seeds "1..$3" "${both[@]}"
    checked "$sim" --broker --with keyed --seeds "1..$5" "${both[@]}"
    checked "$sim" --with direct --seeds "1..$4" "${both[@]}"
    checked "$sim" --broker --seeds "1..$5" "${both[@]}"
    checked "$sim" --groups --seeds "1..$6" "${both[@]}"
    checked "$sim" --dirs --seeds "1..$7" "${both[@]}"
}

part_fuzz() {
    local seconds=20 runs=100000
    long && seconds=100 runs=0
    need build fuzz
    build fuzz fuzzers
    counted tools/lib/fuzz.py --jobs "$JOBS" --seconds "$seconds" --runs "$runs" "$BUILD/fuzz/bin" tests/fuzz "$BUILD/fuzz/work"
}

part_proto() {
    need build clients
    build release proto-roundtrip group-cases
    counted tests/clients/protocheck/run "$BUILD"
    counted tests/clients/groupcheck/run "$BUILD"
}

# Real clients against the sanitized broker. What the clients need is installed once, in build/.
part_clients() {
    local args=()
    long && args+=(--long)
    need build clients
    build asan sluiced sluice
    counted tests/clients/run "$BUILD/asan" --deps "$BUILD" "${args[@]}"
}

# Clients that send what no client should.
part_hostile() {
    local count=40
    long && count=500
    need build clients
    build asan sluiced
    counted tests/clients/hostile "$BUILD/asan" --deps "$BUILD" --count "$count"
}

# Killed under load, again and again, and on a full or broken disk; what was acknowledged or read must be there. The
# long form also times a restart over 2 GB and lets 100 members of a group come and go, with the program that users run.
part_kill9() {
    local rounds=10
    long && rounds=60
    need build clients
    build asan sluiced
    counted tests/clients/kill9 "$BUILD/asan" --deps "$BUILD" --rounds "$rounds"
    counted tests/clients/diskfull "$BUILD/asan"
    long || return 0
    build release sluiced
    counted tests/clients/restart2g "$BUILD"
    counted tests/clients/groupchurn "$BUILD" --minutes 3
}

# One directory, ours and upstream's in turn; the metadata log and the controller's answers beside upstream's.
part_interop() {
    need build clients
    build release sluiced
    counted tests/clients/metacheck/run "$BUILD"
    counted tests/clients/run "$BUILD" --only transactions
    counted tests/clients/run "$BUILD" --only dirs_handover
    counted tests/clients/compare/run "$BUILD"
}
