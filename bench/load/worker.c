// A worker: the producers and consumers of one reactor, and the conductor's messages.
#include "bench/load/run.h"

#include <stdlib.h>
#include <string.h>

static uint64_t worker_state(const struct worker *w)
{
    uint64_t state = WORKER_PRODUCED | WORKER_CONSUMED | WORKER_LEFT;
    for (uint32_t i = 0; i < w->producers_n; i++) {
        if (!producer_done(w->producers[i]))
            state &= ~(uint64_t)WORKER_PRODUCED;
        if (producer_dead(w->producers[i]))
            state |= WORKER_DEAD;
    }
    for (uint32_t i = 0; i < w->consumers_n; i++) {
        if (!consumer_done(w->consumers[i]))
            state &= ~(uint64_t)WORKER_CONSUMED;
        if (consumer_dead(w->consumers[i]))
            state |= WORKER_DEAD;
        if (!consumer_left(w->consumers[i]))
            state &= ~(uint64_t)WORKER_LEFT;
    }
    for (uint32_t i = 0; i < w->committers_n; i++) {
        if (!committer_done(w->committers[i]))
            state &= ~(uint64_t)WORKER_PRODUCED;
        if (committer_dead(w->committers[i]))
            state |= WORKER_DEAD;
    }
    return state;
}

static bool all_produced(const struct worker *w)
{
    for (uint32_t i = 0; i < w->producers_n; i++)
        if (!producer_done(w->producers[i]))
            return false;
    for (uint32_t i = 0; i < w->committers_n; i++)
        if (!committer_done(w->committers[i]))
            return false;
    return true;
}

static void report(struct worker *w, struct stats *out)
{
    w->now.t = io_now_ns(reactor_io(w->r));
    if (w->acked_at && !all_produced(w)) // an outage that goes on
        w->now.ack_gap = SL_MAX(w->now.ack_gap, w->now.t - w->acked_at);
    *out = w->now;
    stats_init(&w->now);
}

static void begin(struct worker *w)
{
    for (uint32_t i = 0; i < w->consumers_n; i++)
        consumer_begin(w->consumers[i]);
    for (uint32_t i = 0; i < w->producers_n; i++)
        producer_begin(w->producers[i]);
    for (uint32_t i = 0; i < w->committers_n; i++)
        committer_begin(w->committers[i]);
}

static void end(struct worker *w)
{
    for (uint32_t i = 0; i < w->consumers_n; i++)
        consumer_end(w->consumers[i]);
    for (uint32_t i = 0; i < w->producers_n; i++)
        producer_end(w->producers[i]);
    for (uint32_t i = 0; i < w->committers_n; i++)
        committer_end(w->committers[i]);
    view_end(w->view);
}

static void on_msg(struct service *svc, uint32_t from, const struct spsc_msg *m)
{
    struct worker *w = SL_CONTAINER_OF(svc, struct worker, svc);
    uint64_t state = 0;
    double rate;
    if (m->flags & MSG_REPLY) {
        reactor_credit_give(w->r, from, 1);
        conduct_reply(svc, m);
        return;
    }
    switch (m->op) {
    case OP_BEGIN:
        begin(w);
        break;
    case OP_REPORT:
        report(w, (struct stats *)(uintptr_t)m->u[0]);
        state = worker_state(w);
        break;
    case OP_RATE:
        memcpy(&rate, &m->u[0], sizeof(rate));
        for (uint32_t i = 0; i < w->producers_n; i++)
            producer_set_rate(w->producers[i], rate);
        for (uint32_t i = 0; i < w->committers_n; i++)
            committer_stop(w->committers[i]); // theirs is never changed
        break;
    case OP_LEAVE:
        for (uint32_t i = 0; i < w->consumers_n; i++)
            consumer_leave(w->consumers[i]);
        break;
    case OP_END:
        end(w);
        break;
    default:
        sl_panic("worker: message %#x", m->op);
    }
    struct spsc_msg *a = reactor_reply(w->r, from, m->op, SVC_LOAD);
    a->u[0] = m->u[0];
    a->u[1] = state;
}

struct worker *worker_create(struct run *run, uint32_t reactor)
{
    const struct plan *p = run->plan;
    struct worker *w = calloc(1, sizeof(*w));
    uint32_t consumers = (uint32_t)(p->consumers * p->subscriptions), all = consumers + (uint32_t)p->catchup;
    SL_ASSERT(w);
    w->run = run;
    w->r = reactor_group_get(run->group, reactor);
    w->svc = (struct service){.kind = SVC_LOAD, .name = "load", .on_msg = on_msg};
    stats_init(&w->now);
    arena_init(&w->arena, 0);
    w->view = view_create(w);
    w->producers = calloc((size_t)p->producers + 1, sizeof(struct producer *));
    w->consumers = calloc((size_t)all + 1, sizeof(struct consumer *));
    w->committers = calloc((size_t)p->committers + 1, sizeof(struct committer *));
    SL_ASSERT(w->producers && w->consumers && w->committers);
    for (uint32_t i = reactor; i < (uint32_t)p->producers; i += (uint32_t)p->threads)
        w->producers[w->producers_n++] = producer_create(w, i);
    for (uint32_t i = reactor; i < (uint32_t)p->committers; i += (uint32_t)p->threads)
        w->committers[w->committers_n++] = committer_create(w, i);
    for (uint32_t i = reactor; i < all; i += (uint32_t)p->threads)
        w->consumers[w->consumers_n++] =
            consumer_create(w, i < consumers ? i : i - consumers, i >= consumers);
    reactor_add_service(w->r, &w->svc);
    return w;
}

void worker_destroy(struct worker *w)
{
    for (uint32_t i = 0; i < w->producers_n; i++)
        producer_destroy(w->producers[i]);
    for (uint32_t i = 0; i < w->consumers_n; i++)
        consumer_destroy(w->consumers[i]);
    for (uint32_t i = 0; i < w->committers_n; i++)
        committer_destroy(w->committers[i]);
    view_destroy(w->view);
    free(w->committers);
    free(w->producers);
    free(w->consumers);
    arena_free(&w->arena);
    compress_ctx_destroy(&w->pack);
    decompress_ctx_destroy(&w->unpack);
    free(w);
}
