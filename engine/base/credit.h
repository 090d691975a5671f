/* Counts what may still be in flight: a slot is reserved before a request is dispatched and released when its
 * reply is home (design, I4). A bug that releases twice, or more than was reserved, stops the process. Owner
 * thread only. */
#ifndef SLUICE_BASE_CREDIT_H
#define SLUICE_BASE_CREDIT_H

#include "engine/base/err.h"

struct credit {
    uint32_t limit;
    uint32_t used;
};

static inline void credit_init(struct credit *c, uint32_t limit)
{
    c->limit = limit;
    c->used = 0;
}

static inline uint32_t credit_available(const struct credit *c)
{
    SL_ASSERT(c->used <= c->limit);
    return c->limit - c->used;
}

/* Takes n: all, and true, or none, and false. */
static inline bool credit_reserve(struct credit *c, uint32_t n)
{
    if (credit_available(c) < n)
        return false;
    c->used += n;
    return true;
}

/* Gives back n that were reserved. */
static inline void credit_release(struct credit *c, uint32_t n)
{
    SL_ASSERT(n <= c->used);
    c->used -= n;
}

/* True when everything reserved has come back: nothing is in flight. */
static inline bool credit_idle(const struct credit *c)
{
    return c->used == 0;
}

#endif
