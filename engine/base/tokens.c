/* Token buckets: tokens.h. */
#include "engine/base/tokens.h"

void sl_tokens_init(struct sl_tokens *t, double most, uint64_t now)
{
    *t = (struct sl_tokens){.n = most, .at = now};
}

double sl_tokens_have(struct sl_tokens *t, double rate, double most, uint64_t now)
{
    t->n = SL_MIN(most, t->n + rate * (double)(now - t->at) / 1e9);
    t->at = now;
    return t->n;
}

void sl_tokens_take(struct sl_tokens *t, double v)
{
    SL_ASSERT(v >= 0);
    t->n -= v;
}

uint32_t sl_tokens_wait_ms(const struct sl_tokens *t, double rate)
{
    double ms = t->n < 0 ? -t->n / rate * 1000 + 0.5 : 0;
    return (uint32_t)SL_MIN(ms, (double)INT32_MAX);
}
