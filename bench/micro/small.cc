// The small things that run many times a request: histogram and metrics updates, pools, arena, timers, hashing.
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "engine/base/arena.h"
#include "engine/base/hash.h"
#include "engine/base/heap.h"
#include "engine/base/hist.h"
#include "engine/base/metrics.h"
#include "engine/base/pool.h"
#include "engine/base/rand.h"

namespace
{

void HistRecord(benchmark::State &state)
{
    auto h = std::make_unique<hist>();
    hist_init(h.get());
    uint64_t v = 1;
    for (auto _ : state) {
        hist_record(h.get(), v >> 40);
        v = v * 6364136223846793005u + 1442695040888963407u;
    }
    benchmark::DoNotOptimize(hist_percentile(h.get(), 99));
}
BENCHMARK(HistRecord);

void HistPercentile(benchmark::State &state)
{
    auto h = std::make_unique<hist>();
    hist_init(h.get());
    for (uint64_t v = 0; v < 1000000; v++)
        hist_record(h.get(), v);
    for (auto _ : state)
        benchmark::DoNotOptimize(hist_percentile(h.get(), 99.9));
}
BENCHMARK(HistPercentile);

void MetricAdd(benchmark::State &state)
{
    metrics *m = metrics_create(1);
    for (auto _ : state) {
        metric_add(m, METRIC_MESSAGES, 1);
        benchmark::ClobberMemory();
    }
    metrics_destroy(m);
}
BENCHMARK(MetricAdd);

void MetricObserve(benchmark::State &state)
{
    metrics *m = metrics_create(1);
    uint64_t v = 0;
    for (auto _ : state)
        metric_observe(m, METRIC_COMMIT_NS, v++);
    metrics_destroy(m);
}
BENCHMARK(MetricObserve);

void ObjPool(benchmark::State &state)
{
    obj_pool p;
    obj_pool_init(&p, 128, 1024);
    for (auto _ : state) {
        void *obj = obj_pool_alloc(&p);
        benchmark::DoNotOptimize(obj);
        obj_pool_free(&p, obj);
    }
    obj_pool_destroy(&p);
}
BENCHMARK(ObjPool);

// Buffers of one class come and go while others keep the slabs in pieces.
void BufPool(benchmark::State &state)
{
    const auto n = static_cast<size_t>(state.range(0));
    buf_pool_config cfg = {};
    cfg.limit = 64u << 20;
    cfg.keep_free = 64u << 20;
    buf_pool *p = buf_pool_create(&cfg);
    std::vector<void *> others(100);
    for (auto &b : others)
        b = buf_pool_alloc(p, 4096, nullptr);
    for (auto _ : state) {
        void *b = buf_pool_alloc(p, n, nullptr);
        benchmark::DoNotOptimize(b);
        buf_pool_free(p, b, n);
    }
    for (auto &b : others)
        buf_pool_free(p, b, 4096);
    buf_pool_destroy(p);
}
BENCHMARK(BufPool)->Arg(4096)->Arg(65536)->Arg(2 << 20);

void ArenaRequest(benchmark::State &state)
{
    arena a;
    arena_init(&a, 0);
    for (auto _ : state) {
        for (int i = 0; i < 16; i++)
            benchmark::DoNotOptimize(arena_alloc(&a, 100));
        arena_reset(&a);
    }
    arena_free(&a);
    state.SetItemsProcessed(16 * state.iterations());
}
BENCHMARK(ArenaRequest);

// A timer fires and is set again, among `range` others.
void HeapTimers(benchmark::State &state)
{
    std::vector<heap_node> nodes(static_cast<size_t>(state.range(0)));
    heap h;
    sl_rand r;
    heap_init(&h);
    sl_rand_seed(&r, 1);
    for (auto &n : nodes)
        heap_push(&h, &n, sl_rand_below(&r, 1000000));
    for (auto _ : state) {
        heap_node *n = heap_pop(&h);
        heap_push(&h, n, n->key + sl_rand_below(&r, 1000000));
    }
}
BENCHMARK(HeapTimers)->Arg(100)->Arg(10000);

void Hash(benchmark::State &state)
{
    std::vector<uint8_t> key(static_cast<size_t>(state.range(0)), 7);
    uint64_t h = 0;
    for (auto _ : state)
        h = sl_hash64(key.data(), key.size(), h);
    benchmark::DoNotOptimize(h);
}
BENCHMARK(Hash)->Arg(16)->Arg(40)->Arg(1024);

} // namespace
