// Running the reactors of all simulated processes on one thread. See sim.h.
#include "engine/io/sim/sim_private.h"

#include "engine/io/reactor.h"

#include <stdlib.h>

enum { SIM_MAX_REACTORS = 256, CQE_NS = 500 };

// One reactor in a round.
struct runner {
    struct reactor *r;
    struct sim_io *io;
};

void sim_attach(struct sim_process *p, struct reactor_group *g)
{
    SL_ASSERT(!p->group);
    p->group = g;
    list_foreach(n, &p->ios)
    {
        struct sim_io *io = list_entry(n, struct sim_io, node);
        io->idle = false;
        io->stalled_until = 0;
    }
}

void sim_detach(struct sim_process *p)
{
    p->group = NULL;
}

static uint32_t collect(struct sim_world *w, struct runner *out)
{
    uint32_t n = 0;
    list_foreach(node, &w->procs)
    {
        struct sim_process *p = list_entry(node, struct sim_process, node);
        for (uint32_t k = 0; p->group && k < reactor_group_size(p->group); k++) {
            SL_ASSERT(n < SIM_MAX_REACTORS);
            struct reactor *r = reactor_group_get(p->group, k);
            out[n++] = (struct runner){r, sim_io_of(reactor_io(r))};
        }
    }
    for (uint32_t k = n; k > 1; k--) {
        uint32_t j = (uint32_t)sl_rand_below(&w->rng, k);
        struct runner t = out[k - 1];
        out[k - 1] = out[j];
        out[j] = t;
    }
    return n;
}

static bool turn(struct sim_world *w, struct runner *x)
{
    x->io->idle = false;
    x->io->wake_at = UINT64_MAX;
    uint64_t before = x->io->counters[IO_CTR_CQES];
    bool did = reactor_turn(x->r, UINT64_MAX / 4);
    w->now += (x->io->counters[IO_CTR_CQES] - before) * CQE_NS;
    if (did) {
        w->now += sl_rand_range(&w->rng, w->cfg.turn_min_ns, SL_MAX(w->cfg.turn_min_ns, w->cfg.turn_max_ns));
        if (sim_chance(w, w->cfg.faults.stall))
            x->io->stalled_until = w->now + sl_rand_below(&w->rng, w->cfg.faults.stall_ns + 1);
    }
    return did || !x->io->idle;
}

// One turn of each reactor that is not stalled. False: all are idle; *wake is when the first wants to run again.
static bool round_of(struct sim_world *w, uint64_t *wake)
{
    struct runner list[SIM_MAX_REACTORS];
    uint32_t n = collect(w, list);
    bool any = false;
    *wake = UINT64_MAX;
    for (uint32_t k = 0; k < n; k++) {
        struct sim_io *io = list[k].io;
        if (io->stalled_until > w->now) {
            *wake = SL_MIN(*wake, io->stalled_until);
            continue;
        }
        any |= turn(w, &list[k]);
        *wake = SL_MIN(*wake, io->idle ? io->wake_at : w->now);
    }
    return any;
}

bool sim_run(struct sim_world *w, uint64_t max_ns, bool (*stop)(void *arg), void *arg)
{
    SL_ASSERT(!w->scheduled);
    uint64_t until = w->now + max_ns;
    bool stopped = false;
    for (;;) {
        sim_run_due(w);
        if (w->failed || (stopped = stop && stop(arg)) || w->now >= until)
            break;
        uint64_t wake;
        w->scheduled = true;
        bool any = round_of(w, &wake);
        w->scheduled = false;
        if (any) {
            w->now += w->cfg.turn_min_ns;
            continue;
        }
        uint64_t next = SL_MIN(SL_MIN(wake, sim_next_event(w)), until);
        w->now = SL_MAX(w->now, next);
    }
    return stopped;
}
