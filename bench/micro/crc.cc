// CRC-32C alone and with a copy, by the instructions and by tables, against memcpy: from a batch that fits the first
// cache level to one that fits none. bytes_per_second is of the source.
#include <cstdlib>
#include <cstring>

#include <benchmark/benchmark.h>

#include "engine/base/crc32c.h"

namespace
{

struct Buffers {
    explicit Buffers(size_t len)
        : n(len), src(static_cast<uint8_t *>(aligned_alloc(4096, len + 4096))),
          dst(static_cast<uint8_t *>(aligned_alloc(4096, len + 4096)))
    {
        for (size_t i = 0; i < n; i++)
            src[i] = static_cast<uint8_t>(i * 131);
        memset(dst, 0, n);
    }
    ~Buffers()
    {
        free(src);
        free(dst);
    }
    size_t n;
    uint8_t *src, *dst;
};

using CrcFn = uint32_t (*)(uint32_t, const void *, size_t);
using CrcCopyFn = uint32_t (*)(uint32_t, void *, const void *, size_t);

void Crc(benchmark::State &state, CrcFn fn)
{
    Buffers b(static_cast<size_t>(state.range(0)));
    uint32_t crc = 0;
    for (auto _ : state)
        crc = fn(crc, b.src, b.n);
    benchmark::DoNotOptimize(crc);
    state.SetLabel(fn == crc32c ? crc32c_implementation() : "tables");
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

void CrcCopy(benchmark::State &state, CrcCopyFn fn)
{
    Buffers b(static_cast<size_t>(state.range(0)));
    uint32_t crc = 0;
    for (auto _ : state) {
        crc = fn(crc, b.dst, b.src, b.n);
        benchmark::ClobberMemory();
    }
    benchmark::DoNotOptimize(crc);
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

void Memcpy(benchmark::State &state)
{
    Buffers b(static_cast<size_t>(state.range(0)));
    for (auto _ : state) {
        memcpy(b.dst, b.src, b.n);
        benchmark::DoNotOptimize(b.dst);
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

// What crc32c_copy saves: two passes over the bytes.
void CrcThenMemcpy(benchmark::State &state)
{
    Buffers b(static_cast<size_t>(state.range(0)));
    uint32_t crc = 0;
    for (auto _ : state) {
        crc = crc32c(crc, b.src, b.n);
        memcpy(b.dst, b.src, b.n);
        benchmark::ClobberMemory();
    }
    benchmark::DoNotOptimize(crc);
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

void CrcCombine(benchmark::State &state)
{
    uint32_t crc = 1;
    for (auto _ : state)
        crc = crc32c_combine(crc, 0x1234567, static_cast<uint64_t>(state.range(0)));
    benchmark::DoNotOptimize(crc);
}

void Sizes(benchmark::internal::Benchmark *b)
{
    for (int64_t n : {100, 1024, 16384, 262144, 1048576, 16777216})
        b->Arg(n);
}

BENCHMARK_CAPTURE(Crc, hardware, crc32c)->Apply(Sizes);
BENCHMARK_CAPTURE(Crc, portable, crc32c_portable)->Arg(16384);
BENCHMARK_CAPTURE(CrcCopy, hardware, crc32c_copy)->Apply(Sizes);
BENCHMARK_CAPTURE(CrcCopy, portable, crc32c_copy_portable)->Arg(16384);
BENCHMARK(Memcpy)->Apply(Sizes);
BENCHMARK(CrcThenMemcpy)->Apply(Sizes);
BENCHMARK(CrcCombine)->Arg(1024)->Arg(1048575);

} // namespace
