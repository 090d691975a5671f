// Varints as a batch's records carry them: mostly one byte (timestamp and offset deltas, header counts), or of any
// length.
#include <vector>

#include <benchmark/benchmark.h>

#include "engine/base/rand.h"
#include "engine/base/varint.h"

namespace
{

constexpr size_t kValues = 4096;

// Values of up to `bits` bits, small ones as likely as large ones.
std::vector<int64_t> Values(int64_t bits)
{
    std::vector<int64_t> v(kValues);
    sl_rand r;
    sl_rand_seed(&r, 1);
    for (auto &x : v)
        x = static_cast<int64_t>(sl_rand_u64(&r) >> (64 - sl_rand_range(&r, 1, static_cast<uint64_t>(bits))));
    return v;
}

void VarintPut(benchmark::State &state)
{
    auto values = Values(state.range(0));
    std::vector<uint8_t> buf(kValues * SL_VARINT64_MAX);
    for (auto _ : state) {
        uint8_t *p = buf.data();
        for (int64_t v : values)
            p += sl_varint64_put(p, v);
        benchmark::DoNotOptimize(p);
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(static_cast<int64_t>(kValues) * state.iterations());
}
BENCHMARK(VarintPut)->Arg(6)->Arg(13)->Arg(63);

void VarintGet(benchmark::State &state)
{
    auto values = Values(state.range(0));
    std::vector<uint8_t> buf(kValues * SL_VARINT64_MAX);
    uint8_t *end = buf.data();
    for (int64_t v : values)
        end += sl_varint64_put(end, v);
    int64_t sum = 0;
    for (auto _ : state) {
        const uint8_t *p = buf.data();
        int64_t v = 0;
        while (p < end && sl_varint64_get(&p, end, &v) == 0)
            sum += v;
        benchmark::DoNotOptimize(sum);
    }
    state.SetItemsProcessed(static_cast<int64_t>(kValues) * state.iterations());
}
BENCHMARK(VarintGet)->Arg(6)->Arg(13)->Arg(63);

} // namespace
