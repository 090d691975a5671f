// The micro-benchmarks' main. Pick with --benchmark_filter=REGEX; figures of two threads need two free cores.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
