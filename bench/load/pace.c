#include "bench/load/pace.h"

#include <math.h>

void pace_init(struct pace *p, double rate, uint64_t begin, bool poisson, uint64_t seed)
{
    SL_ASSERT(rate > 0);
    *p = (struct pace){.gap_ns = 1e9 / rate, .begin = begin, .next = begin, .poisson = poisson};
    sl_rand_seed(&p->rand, seed);
}

void pace_pauses(struct pace *p, uint64_t every_ns, uint64_t pause_ns)
{
    SL_ASSERT((every_ns == 0) == (pause_ns == 0));
    p->every_ns = every_ns;
    p->pause_ns = pause_ns;
}

void pace_advance(struct pace *p)
{
    uint64_t load; // time since begin, pauses left out
    p->count++;
    if (p->poisson) {
        p->at += -log(1.0 - sl_rand_double(&p->rand)) * p->gap_ns;
        load = (uint64_t)p->at;
    } else {
        load = (uint64_t)((double)p->count * p->gap_ns);
    }
    if (p->every_ns)
        p->paused_ns = load / p->every_ns * p->pause_ns;
    p->next = p->begin + load + p->paused_ns;
}

void pace_set_rate(struct pace *p, double rate, uint64_t now)
{
    SL_ASSERT(rate > 0);
    p->gap_ns = 1e9 / rate;
    p->begin = p->next = now;
    p->count = p->paused_ns = 0;
    p->at = 0;
}
