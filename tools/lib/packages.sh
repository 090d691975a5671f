# Debian packages: what is missing is installed with apt-get; what is there, from whatever source, is left alone.
# Sourced by common.sh.
# shellcheck shell=bash

# header NAME: the compiler finds it. module NAME: pkg-config knows it.
header() { printf '#include <%s>\n' "$1" | cc -E -xc - >/dev/null 2>&1; }
module() { have pkg-config && pkg-config --exists "$1"; }
jdk17() { have javac && [ "$(javac -version 2>&1 | sed 's/[^0-9]*\([0-9]*\).*/\1/')" -ge 17 ]; }
# Node's headers, to compile a client's native part.
node_headers() { have node && [ -f "$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")/include/node/node.h" ]; }
venv() { have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }
# LeakSanitizer's and libFuzzer's archives of clang 14.
clang_runtime() { [ -f "$(clang-14 --print-resource-dir 2>/dev/null)/lib/linux/libclang_rt.fuzzer-x86_64.a" ] ||
    compgen -G '/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a' >/dev/null; }

# group -> lines "package probe...". A probe that succeeds makes the package unnecessary.
packages_of() {
    case $1 in
    build) cat <<'END' ;;
gcc have gcc
g++ have g++
libc6-dev header stdio.h
cmake have cmake
ninja-build have ninja
ccache have ccache
pkg-config have pkg-config
python3 have python3
liburing-dev module liburing
libzstd-dev module libzstd
liblz4-dev module liblz4
libjemalloc-dev module jemalloc
libsnappy-dev header snappy-c.h
zlib1g-dev header zlib.h
uthash-dev header uthash.h
libre2-dev module re2
libxxhash-dev module libxxhash
END
    lint) cat <<'END' ;;
python3 have python3
clang-format-14 have clang-format-14
shellcheck have shellcheck
END
    test) echo "libcmocka-dev module cmocka" ;;
    fuzz) cat <<'END' ;;
clang-14 have clang-14
libclang-rt-14-dev clang_runtime
END
    clients) cat <<'END' ;;
default-jdk-headless jdk17
maven have mvn
make have make
nodejs have node
npm have npm
libnode-dev node_headers
python3-venv venv
kcat have kcat
strace have strace
END
    micro) echo "libbenchmark-dev test -f /usr/include/benchmark/benchmark.h" ;;
    *) die "no package group $1" ;;
    esac
}

# need GROUP...: installs what is missing from the groups.
need() {
    local group package probe missing=()
    for group in "$@"; do
        while read -r package probe; do
            $probe || missing+=("$package")
        done < <(packages_of "$group")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing: ${missing[*]}"
    [ "$(id -u)" = 0 ] || die "not root; install these packages first: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get install -y -q --no-install-recommends)
    # Package lists may be absent or old: refresh them only when the first try fails.
    "${apt[@]}" "${missing[@]}" >"$BUILD/apt.log" 2>&1 ||
        { apt-get update -q && "${apt[@]}" "${missing[@]}"; } >"$BUILD/apt.log" 2>&1 ||
        { tail -20 "$BUILD/apt.log" >&2; die "apt-get could not install: ${missing[*]}"; }
}
