/* Rates over a sliding window: rate.h. */
#include "engine/base/rate.h"

#include <stdlib.h>

struct sl_rate *sl_rate_new(uint32_t n, uint64_t window_ns)
{
    SL_ASSERT(n >= 1 && window_ns >= 1);
    struct sl_rate *r = calloc(1, sizeof(*r) + n * sizeof(r->samples[0]));
    if (!r)
        return NULL;
    r->n = n;
    r->window_ns = window_ns;
    return r;
}

void sl_rate_add(struct sl_rate *r, double v, uint64_t now)
{
    struct sl_rate_sample *s = &r->samples[r->at];
    SL_ASSERT(v >= 0);
    if (s->used && now - s->start >= r->window_ns) {
        r->at = (r->at + 1) % r->n;
        s = &r->samples[r->at];
        s->used = false;
    }
    if (!s->used)
        *s = (struct sl_rate_sample){.start = now, .used = true};
    s->sum += v;
}

void sl_rate_take_back(struct sl_rate *r, double v)
{
    struct sl_rate_sample *s = &r->samples[r->at];
    s->sum = s->used && s->sum > v ? s->sum - v : 0;
}

/* Forgets samples older than all windows together; *oldest is the start of the first that is left. */
static double sum_of(struct sl_rate *r, uint64_t now, uint64_t *oldest)
{
    double sum = 0;
    *oldest = now;
    for (uint32_t i = 0; i < r->n; i++) {
        struct sl_rate_sample *s = &r->samples[i];
        if (s->used && now - s->start >= r->n * r->window_ns)
            s->used = false;
        if (!s->used)
            continue;
        sum += s->sum;
        *oldest = SL_MIN(*oldest, s->start);
    }
    return sum;
}

double sl_rate_per_second(struct sl_rate *r, uint64_t now, uint64_t *span_ns)
{
    uint64_t oldest;
    double sum = sum_of(r, now, &oldest);
    uint64_t span = now - oldest, full = span / r->window_ns, least = r->n - 1;
    if (full < least)
        span += (least - full) * r->window_ns;
    if (span < r->window_ns) /* of one sample only */
        span = r->window_ns;
    if (span_ns)
        *span_ns = span;
    return sum * 1e9 / (double)span;
}

uint64_t sl_rate_excess_ns(struct sl_rate *r, double limit, uint64_t now)
{
    uint64_t span;
    SL_ASSERT(limit > 0);
    double rate = sl_rate_per_second(r, now, &span);
    return rate <= limit ? 0 : (uint64_t)((rate - limit) / limit * (double)span);
}
