# Counting: every program that tests ends its output with a line 'N passed, N failed'.
# Sourced by tools/test and tools/lib/part.
# shellcheck shell=bash

PASSED=0
FAILED=0

# add_counts NAME LOG STATUS: adds the last such line of LOG to PASSED and FAILED. A program without one, or one
# that fails without saying so, is a failure.
add_counts() {
    local name=$1 log=$2 status=$3 line
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -1 || true)
    if [ -z "$line" ]; then
        say "$name ended with status $status and without counts"
        line="0 passed, 1 failed"
    elif [ "$status" -ne 0 ] && [[ $line == *", 0 failed" ]]; then
        say "$name ended with status $status though nothing failed"
        line="${line%%,*}, 1 failed"
    fi
    PASSED=$((PASSED + ${line%% *}))
    line=${line#*, }
    FAILED=$((FAILED + ${line%% *}))
}

# counted PROGRAM ARG...: runs a program, shows its output, adds its counts.
counted() {
    local log status=0
    log=$(mktemp "$BUILD/counted.XXXXXX")
    "$@" 2>&1 | tee "$log" || status=$?
    add_counts "$(basename "$1")" "$log" "$status"
    rm -f "$log"
}

# checked PROGRAM ARG...: a program that checks one thing and says so by its exit status alone.
checked() {
    if "$@"; then
        PASSED=$((PASSED + 1))
    else
        say "FAIL  $*"
        FAILED=$((FAILED + 1))
    fi
}

print_counts() { echo "$PASSED passed, $FAILED failed"; }
