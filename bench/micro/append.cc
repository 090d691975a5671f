// What an append does with a batch's bytes: header rules, the walk over the records, CRC and copy in one pass; and the
// index beside it. The references: a plain copy of the batch, and a binary search of the standard library.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/load/prep.h"
#include "engine/base/crc32c.h"
#include "engine/log/index.h"
#include "engine/log/validate.h"

namespace
{

// One batch of about `bytes`, of records of 100 or 1,000 bytes.
std::vector<uint8_t> Batch(uint32_t bytes, const char *record)
{
    prep_spec spec = {};
    if (prep_parse_sizes(record, &spec.values) || prep_parse_sizes("0", &spec.keys))
        abort();
    spec.key_space = 1;
    spec.batch_bytes = bytes;
    spec.compressible = 50;
    spec.seed = 1;
    prep *p = prep_make(&spec);
    prep_header h = {};
    h.time_ms = 1770000000000;
    h.producer_id = -1;
    h.sequence = -1;
    h.epoch = -1;
    std::vector<uint8_t> out(BATCH_HEADER_SIZE + p->ends[p->max_n]);
    prep_header_plain(p, p->max_n, &h, out.data());
    memcpy(out.data() + BATCH_HEADER_SIZE, p->records, p->ends[p->max_n]);
    prep_free(p);
    return out;
}

validate_rules Rules()
{
    validate_rules r = {};
    r.now_ms = 1770000000000;
    r.timestamp_before_max_ms = r.timestamp_after_max_ms = INT64_MAX;
    r.max_message_bytes = 1 << 24;
    r.segment_bytes = 1 << 30;
    r.produce_version = 13;
    return r;
}

const char *const kRecord[] = {"100", "1000"};

void Count(benchmark::State &state, size_t bytes)
{
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
}

void AppendWalk(benchmark::State &state)
{
    std::vector<uint8_t> b = Batch(static_cast<uint32_t>(state.range(0)), kRecord[state.range(1)]);
    validate_rules r = Rules();
    decompress_ctx ctx = {};
    validate_result out;
    for (auto _ : state) {
        validator v;
        if (validate_header(&r, b.data(), b.size(), &out) ||
            validator_begin(&v, &r, &ctx, b.data() + BATCH_HEADER_SIZE, &out) ||
            validator_step(&v, UINT64_MAX))
            abort();
        validator_end(&v);
        benchmark::DoNotOptimize(out.max_timestamp);
    }
    decompress_ctx_destroy(&ctx);
    Count(state, b.size());
}
BENCHMARK(AppendWalk)->ArgsProduct({{1180, 16384, 262144}, {0, 1}});

void AppendWhole(benchmark::State &state)
{
    std::vector<uint8_t> b = Batch(static_cast<uint32_t>(state.range(0)), kRecord[state.range(1)]),
                         to(b.size());
    validate_rules r = Rules();
    decompress_ctx ctx = {};
    validate_result out;
    for (auto _ : state) {
        validator v;
        if (validate_header(&r, b.data(), b.size(), &out) ||
            validator_begin(&v, &r, &ctx, b.data() + BATCH_HEADER_SIZE, &out) ||
            validator_step(&v, UINT64_MAX))
            abort();
        validator_end(&v);
        memcpy(to.data(), b.data(), BATCH_ATTRIBUTES);
        uint32_t crc = crc32c_copy(0, to.data() + BATCH_ATTRIBUTES, b.data() + BATCH_ATTRIBUTES,
                                   b.size() - BATCH_ATTRIBUTES);
        if (validate_crc(&out, crc))
            abort();
    }
    decompress_ctx_destroy(&ctx);
    Count(state, b.size());
}
BENCHMARK(AppendWhole)->ArgsProduct({{1180, 16384, 262144}, {0, 1}});

void AppendPlainCopy(benchmark::State &state)
{
    std::vector<uint8_t> b = Batch(static_cast<uint32_t>(state.range(0)), "1000"), to(b.size());
    for (auto _ : state) {
        memcpy(to.data(), b.data(), b.size());
        benchmark::ClobberMemory();
    }
    Count(state, b.size());
}
BENCHMARK(AppendPlainCopy)->Arg(1180)->Arg(16384)->Arg(262144);

// A batch made ahead of time is made right: what the load generator pays for one.
void PrepHeader(benchmark::State &state)
{
    prep_spec spec = {};
    if (prep_parse_sizes("1000", &spec.values) || prep_parse_sizes("0", &spec.keys))
        abort();
    spec.key_space = 1;
    spec.batch_bytes = static_cast<uint32_t>(state.range(0));
    prep *p = prep_make(&spec);
    prep_header h = {};
    uint8_t head[BATCH_HEADER_SIZE];
    for (auto _ : state) {
        h.sequence++;
        prep_header_plain(p, p->max_n, &h, head);
        benchmark::DoNotOptimize(head);
    }
    prep_free(p);
}
BENCHMARK(PrepHeader)->Arg(16384)->Arg(262144);

constexpr int64_t kInterval = 16; // records an entry

void IndexLookup(benchmark::State &state)
{
    offset_index x;
    int64_t n = state.range(0);
    uint64_t v = 1;
    offset_index_init(&x, 0, 1 << 30);
    for (int64_t i = 1; i <= n; i++)
        if (offset_index_append(&x, i * kInterval, static_cast<uint32_t>(i * 4096)))
            abort();
    for (auto _ : state) {
        v = v * 6364136223846793005u + 1442695040888963407u;
        benchmark::DoNotOptimize(
            offset_index_lookup(&x, static_cast<int64_t>((v >> 33) % static_cast<uint64_t>(n * kInterval))));
    }
    offset_index_destroy(&x);
}
BENCHMARK(IndexLookup)->Arg(100)->Arg(10000)->Arg(250000);

void IndexUpperBound(benchmark::State &state)
{
    std::vector<std::pair<uint32_t, uint32_t>> x;
    int64_t n = state.range(0);
    uint64_t v = 1;
    for (int64_t i = 1; i <= n; i++)
        x.emplace_back(static_cast<uint32_t>(i * kInterval), static_cast<uint32_t>(i * 4096));
    for (auto _ : state) {
        v = v * 6364136223846793005u + 1442695040888963407u;
        uint32_t target = static_cast<uint32_t>((v >> 33) % static_cast<uint64_t>(n * kInterval));
        benchmark::DoNotOptimize(std::upper_bound(x.begin(), x.end(), std::make_pair(target, UINT32_MAX)));
    }
}
BENCHMARK(IndexUpperBound)->Arg(100)->Arg(10000)->Arg(250000);

void IndexAppend(benchmark::State &state)
{
    offset_index x;
    int64_t offset = 0;
    uint32_t position = 0;
    offset_index_init(&x, 0, 1 << 30);
    for (auto _ : state) {
        if (position > 1u << 30 || offset_index_is_full(&x)) {
            offset_index_truncate(&x, 0);
            offset = position = 0;
        }
        offset += 4;
        position += 4096;
        benchmark::DoNotOptimize(offset_index_on_batch(&x, 4096, offset, position, 4096));
    }
    offset_index_destroy(&x);
}
BENCHMARK(IndexAppend);

} // namespace
