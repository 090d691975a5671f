// Timers of a reactor: a heap by time, in nanoseconds of its io's clock.

#include "engine/io/reactor_private.h"

void timer_init(struct timer *t, void (*fire)(struct timer *))
{
    *t = (struct timer){.fire = fire};
}

void timer_set(struct reactor *r, struct timer *t, uint64_t at_ns)
{
    SL_DASSERT(t->fire);
    timer_cancel(r, t);
    heap_push(&r->timers, &t->node, at_ns);
    t->armed = true;
}

void timer_cancel(struct reactor *r, struct timer *t)
{
    if (!t->armed)
        return;
    heap_remove(&r->timers, &t->node);
    t->armed = false;
}

bool timer_run_due(struct reactor *r)
{
    bool did = false;
    if (heap_empty(&r->timers))
        return false;
    uint64_t now = reactor_now(r);
    // At most as many as there are: one that re-arms itself for the past waits for the next turn.
    for (size_t n = r->timers.count; n > 0; n--) {
        struct heap_node *min = heap_min(&r->timers);
        if (!min || min->key > now)
            break;
        struct timer *t = SL_CONTAINER_OF(heap_pop(&r->timers), struct timer, node);
        t->armed = false;
        t->fire(t);
        did = true;
    }
    return did;
}

uint64_t timer_wait(struct reactor *r, uint64_t max)
{
    struct heap_node *min = heap_min(&r->timers);
    if (!min || max == 0)
        return max;
    uint64_t now = reactor_now(r);
    return min->key <= now ? 0 : SL_MIN(max, min->key - now);
}
