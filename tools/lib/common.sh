# Shared by tools/run, tools/test and the parts: places, messages, package installation, builds.
# Source it; it changes to the root of the repository. Everything it makes lies under build/.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT" || exit 1
BUILD=$ROOT/build
JOBS=$(nproc)

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Package caches stay in the build directory, so that a deleted build/ leaves nothing behind.
use_build_caches() {
    mkdir -p "$BUILD/cache"
    export PIP_CACHE_DIR=$BUILD/cache/pip npm_config_cache=$BUILD/cache/npm
    export MAVEN_OPTS="${MAVEN_OPTS:-} -Dmaven.repo.local=$BUILD/cache/maven"
}

# shellcheck source=tools/lib/packages.sh
source "$ROOT/tools/lib/packages.sh"

# build PRESET TARGET...: configures the preset once, then builds; ninja reconfigures by itself.
build() {
    local preset=$1 dir=$BUILD
    shift
    [ "$preset" = release ] || dir=$BUILD/$preset
    if [ ! -f "$dir/build.ninja" ]; then
        say "configuring $preset"
        cmake --preset "$preset" >"$BUILD/configure-$preset.log" 2>&1 ||
            { cat "$BUILD/configure-$preset.log" >&2; die "cmake --preset $preset failed"; }
    fi
    ninja -C "$dir" --quiet -j "$JOBS" "$@" >&2
}
mkdir -p "$BUILD"
