/* Log-linear histogram of uint64 values (latencies in ns or us, sizes): constant relative error over the
 * whole range.
 *
 * Values below 128 have a bucket each; above, every power of two is cut into 64 buckets, so a bucket is at
 * most 1/64 of its lower bound wide and a percentile is at most 1.6 % too high. About 30 KiB. Owner thread
 * only; merge copies of several owners. */
#ifndef SLUICE_BASE_HIST_H
#define SLUICE_BASE_HIST_H

#include "engine/base/err.h"

#define HIST_SUB_BITS 6
#define HIST_SUB      (1u << HIST_SUB_BITS)
#define HIST_BUCKETS  ((64 - HIST_SUB_BITS + 1) * HIST_SUB)

struct hist {
    uint64_t count;
    uint64_t sum; /* wraps when the sum of all values passes 2^64 */
    uint64_t min; /* UINT64_MAX when empty */
    uint64_t max;
    uint64_t buckets[HIST_BUCKETS];
};

SL_EXTERN_C_BEGIN

/* Empties h. */
void hist_init(struct hist *h);

/* Adds all of src's values to dst. */
void hist_merge(struct hist *dst, const struct hist *src);

/* The value that a share of `percent` (0..100) of all values does not exceed: the highest value of the bucket
 * in which the ceil(count * percent / 100)-th smallest lies, but never above the largest value recorded. 0
 * when empty. */
uint64_t hist_percentile(const struct hist *h, double percent);

/* Arithmetic mean; 0 when empty. */
double hist_mean(const struct hist *h);

/* Lowest and highest value of bucket i. */
uint64_t hist_bucket_low(uint32_t i);
uint64_t hist_bucket_high(uint32_t i);

SL_EXTERN_C_END

/* The bucket of v. */
static inline uint32_t hist_bucket(uint64_t v)
{
    if (v < 2 * HIST_SUB)
        return (uint32_t)v;
    uint32_t e = 63u - (uint32_t)__builtin_clzll(v) - HIST_SUB_BITS;
    return e * HIST_SUB + (uint32_t)(v >> e);
}

/* Adds v n times. */
static inline void hist_record_n(struct hist *h, uint64_t v, uint64_t n)
{
    if (n == 0)
        return;
    h->buckets[hist_bucket(v)] += n;
    h->count += n;
    h->sum += v * n;
    h->min = v < h->min ? v : h->min;
    h->max = v > h->max ? v : h->max;
}

static inline void hist_record(struct hist *h, uint64_t v)
{
    hist_record_n(h, v, 1);
}

#endif
