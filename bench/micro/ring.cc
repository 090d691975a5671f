// Messages between two threads: the SPSC ring, published one, 8 or 32 at a time, against a queue with a mutex and a
// condition variable. Time is per message (items_per_second is its inverse).
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <sched.h>

#include <benchmark/benchmark.h>

#include "engine/base/spsc.h"

namespace
{

constexpr uint32_t kCapacity = 1024;
constexpr uint64_t kMessages = 1 << 20; // per iteration

void Fill(spsc_msg *m, uint64_t n)
{
    m->op = 1;
    m->handle = static_cast<uint32_t>(n);
    m->u[0] = n;
    m->u[1] = n + 1;
}

// One thread plays both sides: the instructions alone, no cache line moves.
void RingOneThread(benchmark::State &state)
{
    const auto batch = static_cast<uint32_t>(state.range(0));
    spsc *ring = spsc_create(kCapacity);
    uint64_t sum = 0, n = 0;
    for (auto _ : state) {
        spsc_msg *m;
        for (uint32_t i = 0; i < batch; i++) {
            if (spsc_reserve(ring, &m))
                Fill(m, n++);
        }
        spsc_publish(ring);
        for (uint32_t left = batch; left > 0;) {
            uint32_t k = spsc_peek_batch(ring, &m, left);
            for (uint32_t i = 0; i < k; i++)
                sum += m[i].u[0];
            spsc_consume(ring, k);
            left -= k;
        }
    }
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(static_cast<int64_t>(n));
    spsc_destroy(ring);
}
BENCHMARK(RingOneThread)->Arg(1)->Arg(8)->Arg(32);

void ProduceRing(spsc *ring, uint32_t batch)
{
    spsc_msg *m;
    for (uint64_t n = 0; n < kMessages;) {
        uint32_t staged = 0;
        while (staged < batch && n < kMessages && spsc_reserve(ring, &m)) {
            Fill(m, n++);
            staged++;
        }
        if (!spsc_publish(ring))
            sched_yield();
    }
}

// Both sides awake on their own cores. The consumer takes what it finds, up to the same batch.
void RingTwoThreads(benchmark::State &state)
{
    const auto batch = static_cast<uint32_t>(state.range(0));
    uint64_t sum = 0;
    for (auto _ : state) {
        spsc *ring = spsc_create(kCapacity);
        std::thread producer(ProduceRing, ring, batch);
        for (uint64_t n = 0; n < kMessages;) {
            spsc_msg *m;
            uint32_t k = spsc_peek_batch(ring, &m, batch);
            if (k == 0) {
                sched_yield();
                continue;
            }
            for (uint32_t i = 0; i < k; i++)
                sum += m[i].u[0];
            spsc_consume(ring, k);
            n += k;
        }
        producer.join();
        spsc_destroy(ring);
    }
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(static_cast<int64_t>(kMessages * state.iterations()));
}
BENCHMARK(RingTwoThreads)->Arg(1)->Arg(8)->Arg(32)->UseRealTime();

// The queue that one would write first: bounded, a lock, two conditions; `batch` messages under one lock.
class LockedQueue
{
  public:
    void Push(const spsc_msg *m, uint32_t n)
    {
        std::unique_lock<std::mutex> lock(mutex_);
        while (n > 0) {
            not_full_.wait(lock, [this] { return tail_ - head_ < kCapacity; });
            while (n > 0 && tail_ - head_ < kCapacity) {
                slots_[tail_++ % kCapacity] = *m++;
                n--;
            }
            not_empty_.notify_one();
        }
    }

    uint32_t Pop(spsc_msg *m, uint32_t max)
    {
        std::unique_lock<std::mutex> lock(mutex_);
        not_empty_.wait(lock, [this] { return tail_ != head_; });
        uint32_t n = 0;
        while (n < max && head_ != tail_)
            m[n++] = slots_[head_++ % kCapacity];
        not_full_.notify_one();
        return n;
    }

  private:
    std::mutex mutex_;
    std::condition_variable not_full_, not_empty_;
    std::vector<spsc_msg> slots_ = std::vector<spsc_msg>(kCapacity);
    uint64_t head_ = 0, tail_ = 0;
};

void LockedQueueTwoThreads(benchmark::State &state)
{
    const auto batch = static_cast<uint32_t>(state.range(0));
    uint64_t sum = 0;
    for (auto _ : state) {
        LockedQueue queue;
        std::thread producer([&queue, batch] {
            std::vector<spsc_msg> staged(batch);
            for (uint64_t n = 0; n < kMessages;) {
                uint32_t k = 0;
                while (k < batch && n < kMessages)
                    Fill(&staged[k++], n++);
                queue.Push(staged.data(), k);
            }
        });
        std::vector<spsc_msg> taken(batch);
        for (uint64_t n = 0; n < kMessages;) {
            uint32_t k = queue.Pop(taken.data(), batch);
            for (uint32_t i = 0; i < k; i++)
                sum += taken[i].u[0];
            n += k;
        }
        producer.join();
    }
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(static_cast<int64_t>(kMessages * state.iterations()));
}
BENCHMARK(LockedQueueTwoThreads)->Arg(1)->Arg(8)->Arg(32)->UseRealTime();

// What every publish of something new costs on top: the fence and the look at the flag.
void SleepCheck(benchmark::State &state)
{
    sl_sleep_flag flag = {};
    bool wake = false;
    for (auto _ : state)
        wake |= sleep_peer_needs_wake(&flag);
    benchmark::DoNotOptimize(wake);
}
BENCHMARK(SleepCheck);

} // namespace
