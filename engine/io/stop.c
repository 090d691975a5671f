// Stopping: every service of one step, on all reactors, before any of the next. The steps are shared words that each
// reactor looks at once a turn; whoever moves them rings all bells, so that sleepers look too.

#include "engine/io/reactor_private.h"

static const uint8_t kind_step[SVC_COUNT] = {
    [SVC_NET] = STOP_NET,    [SVC_COORD] = STOP_COORD, [SVC_META] = STOP_META, [SVC_SHARD] = STOP_SHARD,
    [SVC_SYS] = STOP_OTHERS, [5] = STOP_OTHERS,        [6] = STOP_OTHERS,      [7] = STOP_OTHERS,
};

// Signal-safe: one write(2) for each reactor.
static void wake_all(struct reactor_group *g)
{
    for (uint32_t i = 0; i < g->n; i++)
        io_doorbell(NULL, g->ios[i]);
}

void reactor_group_stop(struct reactor_group *g)
{
    __atomic_store_n(&g->stop_asked, 1, __ATOMIC_RELEASE);
    wake_all(g);
}

bool reactor_group_stopping(const struct reactor_group *g)
{
    return __atomic_load_n(&g->stop_asked, __ATOMIC_ACQUIRE);
}

bool reactor_group_stopped(const struct reactor_group *g)
{
    return __atomic_load_n(&g->stop_step, __ATOMIC_ACQUIRE) == STOP_DONE;
}

uint64_t reactor_group_stop_ns(const struct reactor_group *g, enum service_kind kind)
{
    SL_ASSERT(reactor_group_stopped(g) && kind < SVC_COUNT);
    return g->stop_at[kind_step[kind] + 1] - g->stop_at[kind_step[kind]];
}

// This reactor is through with the step; the last one opens the next.
static void stop_arrive(struct reactor *r)
{
    struct reactor_group *g = r->group;
    r->stop_counted = true;
    if (__atomic_add_fetch(&g->stop_arrived, 1, __ATOMIC_ACQ_REL) < g->n)
        return;
    __atomic_store_n(&g->stop_arrived, 0, __ATOMIC_RELAXED);
    g->stop_at[r->stop_seen + 1] = io_now_ns(r->io);
    __atomic_store_n(&g->stop_step, r->stop_seen + 1, __ATOMIC_RELEASE);
    wake_all(g);
}

void reactor_service_stopped(struct reactor *r, struct service *s)
{
    SL_ASSERT(r->svc[s->kind] == s);
    SL_ASSERT(kind_step[s->kind] == r->stop_seen && r->stopping > 0 && !r->stop_counted);
    // While stop_enter still goes through the services it holds one for itself.
    if (--r->stopping == 0)
        stop_arrive(r);
}

static void stop_enter(struct reactor *r, uint32_t step)
{
    r->stop_seen = step;
    r->stop_counted = false;
    r->stopping = 1;
    for (int k = 0; k < SVC_COUNT; k++) {
        struct service *s = r->svc[k];
        if (!s || !s->on_stop || kind_step[k] != step)
            continue;
        r->stopping++;
        s->on_stop(s);
    }
    if (--r->stopping == 0)
        stop_arrive(r);
}

bool stop_turn(struct reactor *r)
{
    struct reactor_group *g = r->group;
    uint32_t step = __atomic_load_n(&g->stop_step, __ATOMIC_ACQUIRE);
    if (sl_likely(step == STOP_RUNNING)) {
        if (sl_likely(!__atomic_load_n(&g->stop_asked, __ATOMIC_ACQUIRE)))
            return false;
        uint32_t running = STOP_RUNNING;
        // The bells of reactor_group_stop have brought all the others here too.
        if (__atomic_compare_exchange_n(&g->stop_step, &running, STOP_NET, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            g->stop_at[STOP_NET] = io_now_ns(r->io);
        step = __atomic_load_n(&g->stop_step, __ATOMIC_ACQUIRE);
    }
    if (step == r->stop_seen || step == STOP_DONE)
        return false;
    stop_enter(r, step);
    return true;
}
