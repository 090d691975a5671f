#include "engine/base/hist.h"

#include <string.h>

SL_STATIC_ASSERT((63 - HIST_SUB_BITS) * HIST_SUB + 2 * HIST_SUB == HIST_BUCKETS,
                 "UINT64_MAX has the last bucket");

void hist_init(struct hist *h)
{
    memset(h, 0, sizeof(*h));
    h->min = UINT64_MAX;
}

void hist_merge(struct hist *dst, const struct hist *src)
{
    for (uint32_t i = 0; i < HIST_BUCKETS; i++)
        dst->buckets[i] += src->buckets[i];
    dst->count += src->count;
    dst->sum += src->sum;
    dst->min = SL_MIN(dst->min, src->min);
    dst->max = SL_MAX(dst->max, src->max);
}

uint64_t hist_bucket_low(uint32_t i)
{
    SL_ASSERT(i < HIST_BUCKETS);
    if (i < 2 * HIST_SUB)
        return i;
    uint32_t e = i / HIST_SUB - 1;
    return (uint64_t)(i - e * HIST_SUB) << e;
}

uint64_t hist_bucket_high(uint32_t i)
{
    SL_ASSERT(i < HIST_BUCKETS);
    return i == HIST_BUCKETS - 1 ? UINT64_MAX : hist_bucket_low(i + 1) - 1;
}

uint64_t hist_percentile(const struct hist *h, double percent)
{
    SL_ASSERT(percent >= 0.0 && percent <= 100.0);
    if (h->count == 0)
        return 0;
    uint64_t rank = (uint64_t)((double)h->count * percent / 100.0);
    /* Rounded up, and by hand: no libm for one ceil. */
    if ((double)rank < (double)h->count * percent / 100.0)
        rank++;
    rank = SL_MIN(SL_MAX(rank, (uint64_t)1), h->count);
    uint64_t seen = 0;
    for (uint32_t i = hist_bucket(h->min); i < HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank)
            return SL_MIN(hist_bucket_high(i), h->max);
    }
    sl_panic("histogram: %llu values counted, %llu in buckets", (unsigned long long)h->count,
             (unsigned long long)seen);
}

double hist_mean(const struct hist *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0.0;
}
