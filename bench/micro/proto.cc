// Decoding and encoding of Produce and Fetch, each beside a copy of as many bytes of the message itself (records are
// never touched by the codec: they are spliced in, or pointed at).
#include <cstdlib>
#include <vector>

#include <benchmark/benchmark.h>

#include "proto/gen/fetch_request.h"
#include "proto/gen/fetch_response.h"
#include "proto/gen/produce_request.h"
#include "proto/gen/produce_response.h"

namespace
{

constexpr int16_t kProduceVersion = 13, kFetchVersion = 17;

// A Produce request of n partitions with 1 KB of records each.
std::vector<uint8_t> ProduceBytes(int n)
{
    static uint8_t records[1024];
    std::vector<kp_produce_request_partition_produce_data> parts(n);
    kp_produce_request_topic_produce_data topic = {};
    kp_produce_request m = {};
    m.transactional_id = kp_str{nullptr, -1};
    m.acks = -1;
    m.timeout_ms = 30000;
    m.topic_data = &topic;
    m.topic_data_n = 1;
    topic.partition_data = parts.data();
    topic.partition_data_n = n;
    for (int i = 0; i < n; i++) {
        parts[i].index = i;
        parts[i].records = kp_records{records, sizeof(records), nullptr};
    }
    std::vector<uint8_t> out(kp_produce_request_size(&m, kProduceVersion));
    kp_writer w = {};
    w.buf = out.data();
    w.cap = out.size();
    if (kp_produce_request_encode(&m, kProduceVersion, &w) != 0)
        abort();
    return out;
}

void ProduceDecode(benchmark::State &state)
{
    std::vector<uint8_t> bytes = ProduceBytes(static_cast<int>(state.range(0)));
    arena a;
    kp_produce_request m;
    arena_init(&a, 0);
    for (auto _ : state) {
        arena_reset(&a);
        benchmark::DoNotOptimize(
            kp_produce_request_decode(&m, bytes.data(), bytes.size(), kProduceVersion, &a));
    }
    arena_free(&a);
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ProduceDecode)->Arg(1)->Arg(10)->Arg(100);

// The reference: the same request's bytes, read once.
void ProduceCopy(benchmark::State &state)
{
    std::vector<uint8_t> bytes = ProduceBytes(static_cast<int>(state.range(0))), to(bytes.size());
    for (auto _ : state) {
        memcpy(to.data(), bytes.data(), bytes.size());
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ProduceCopy)->Arg(1)->Arg(10)->Arg(100);

void ProduceAnswerEncode(benchmark::State &state)
{
    int n = static_cast<int>(state.range(0));
    std::vector<kp_produce_response_partition_produce_response> parts(n);
    kp_produce_response_topic_produce_response topic;
    kp_produce_response m;
    kp_produce_response_init(&m);
    kp_produce_response_topic_produce_response_init(&topic);
    m.responses = &topic;
    m.responses_n = 1;
    topic.partition_responses = parts.data();
    topic.partition_responses_n = n;
    for (int i = 0; i < n; i++) {
        kp_produce_response_partition_produce_response_init(&parts[i]);
        parts[i].index = i;
        parts[i].base_offset = 1234567 + i;
    }
    std::vector<uint8_t> out(kp_produce_response_size(&m, kProduceVersion));
    for (auto _ : state) {
        kp_writer w = {};
        w.buf = out.data();
        w.cap = static_cast<size_t>(kp_produce_response_size(&m, kProduceVersion));
        benchmark::DoNotOptimize(kp_produce_response_encode(&m, kProduceVersion, &w));
    }
    state.SetItemsProcessed(state.iterations() * n);
}
BENCHMARK(ProduceAnswerEncode)->Arg(1)->Arg(10)->Arg(100);

std::vector<uint8_t> FetchBytes(int n)
{
    std::vector<kp_fetch_request_fetch_partition> parts(n);
    kp_fetch_request_fetch_topic topic;
    kp_fetch_request m;
    kp_fetch_request_init(&m);
    kp_fetch_request_fetch_topic_init(&topic);
    m.topics = &topic;
    m.topics_n = 1;
    topic.partitions = parts.data();
    topic.partitions_n = n;
    for (int i = 0; i < n; i++) {
        kp_fetch_request_fetch_partition_init(&parts[i]);
        parts[i].partition = i;
        parts[i].fetch_offset = 1000000 + i;
        parts[i].partition_max_bytes = 1 << 20;
    }
    std::vector<uint8_t> out(kp_fetch_request_size(&m, kFetchVersion));
    kp_writer w = {};
    w.buf = out.data();
    w.cap = out.size();
    if (kp_fetch_request_encode(&m, kFetchVersion, &w) != 0)
        abort();
    return out;
}

void FetchDecode(benchmark::State &state)
{
    std::vector<uint8_t> bytes = FetchBytes(static_cast<int>(state.range(0)));
    arena a;
    kp_fetch_request m;
    arena_init(&a, 0);
    for (auto _ : state) {
        arena_reset(&a);
        benchmark::DoNotOptimize(kp_fetch_request_decode(&m, bytes.data(), bytes.size(), kFetchVersion, &a));
    }
    arena_free(&a);
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(FetchDecode)->Arg(1)->Arg(10)->Arg(100);

// With records as splices, as the broker sends them.
void FetchAnswerEncode(benchmark::State &state)
{
    int n = static_cast<int>(state.range(0)), piece = 0;
    std::vector<kp_fetch_response_partition_data> parts(n);
    std::vector<kp_splice> splices(n);
    kp_fetch_response_fetchable_topic_response topic;
    kp_fetch_response m;
    kp_fetch_response_init(&m);
    kp_fetch_response_fetchable_topic_response_init(&topic);
    m.responses = &topic;
    m.responses_n = 1;
    topic.partitions = parts.data();
    topic.partitions_n = n;
    for (int i = 0; i < n; i++) {
        kp_fetch_response_partition_data_init(&parts[i]);
        parts[i].partition_index = i;
        parts[i].high_watermark = 1000000;
        parts[i].records = kp_records{nullptr, 65536, &piece};
    }
    std::vector<uint8_t> out(kp_fetch_response_size(&m, kFetchVersion));
    for (auto _ : state) {
        kp_writer w = {};
        w.buf = out.data();
        w.cap = static_cast<size_t>(kp_fetch_response_size(&m, kFetchVersion));
        w.splices = splices.data();
        w.splices_cap = static_cast<uint32_t>(n);
        benchmark::DoNotOptimize(kp_fetch_response_encode(&m, kFetchVersion, &w));
    }
    state.SetItemsProcessed(state.iterations() * n);
}
BENCHMARK(FetchAnswerEncode)->Arg(1)->Arg(10)->Arg(100);

} // namespace
