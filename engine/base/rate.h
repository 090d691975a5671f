/* Rates over a sliding window of samples, as Kafka's quotas measure them (KIP-13, KIP-124): `n` samples of one
 * window each; a rate that is not full yet is measured as if it were, so that a burst at the start counts once.
 * One thread at a time. */
#ifndef SLUICE_BASE_RATE_H
#define SLUICE_BASE_RATE_H

#include "engine/base/err.h"

struct sl_rate_sample {
    uint64_t start; /* ns */
    double sum;
    bool used;
};
struct sl_rate {
    uint64_t window_ns;
    uint32_t n, at;
    struct sl_rate_sample samples[];
};

SL_EXTERN_C_BEGIN

/* A rate of n >= 1 samples of window_ns >= 1 each; free() frees it. NULL on lack of memory. */
struct sl_rate *sl_rate_new(uint32_t n, uint64_t window_ns);

/* Adds v >= 0 at time `now` (ns, not going back). */
void sl_rate_add(struct sl_rate *r, double v, uint64_t now);

/* Takes back what was just added, as far as its sample has it. */
void sl_rate_take_back(struct sl_rate *r, double v);

/* What was added per second, over a time that *span_ns (if wanted) tells. */
double sl_rate_per_second(struct sl_rate *r, uint64_t now, uint64_t *span_ns);

/* How long nothing may be added for the rate to come down to `limit` (> 0) per second: 0 if it is within. In
 * proportion to the excess, (rate - limit) / limit of the time measured over, as Kafka throttles. */
uint64_t sl_rate_excess_ns(struct sl_rate *r, double limit, uint64_t now);

SL_EXTERN_C_END

#endif
