#include "bench/load/redial.h"

#include "bench/load/run.h"

enum { PAUSE_NS = 20000000, PAUSE_MAX_NS = 500000000, CLOSING_NS = 5000000 };

static uint64_t now_of(const struct redial *rd)
{
    return io_now_ns(reactor_io(rd->w->r));
}

static void again_in(struct redial *rd, uint64_t ns)
{
    rd->waiting = true;
    timer_set(rd->w->r, &rd->timer, now_of(rd) + ns);
}

static void fire(struct timer *t)
{
    struct redial *rd = SL_CONTAINER_OF(t, struct redial, timer);
    const struct node *n = view_node(rd->w->view, rd->link->node_id);
    rd->waiting = false;
    if (now_of(rd) - rd->since > (uint64_t)rd->w->run->plan->timeout_ms * 1000000) {
        rd->lost(rd);
        return;
    }
    if (!n || (rd->link->r && !link_closed(rd->link))) {
        again_in(rd, CLOSING_NS);
        return;
    }
    rd->link->r = rd->w->r;
    link_reopen(rd->link, n->host, n->port);
    rd->up(rd);
}

void redial_init(struct redial *rd, struct worker *w, struct link *link, void (*up)(struct redial *),
                 void (*lost)(struct redial *))
{
    *rd = (struct redial){.w = w, .link = link, .up = up, .lost = lost};
    timer_init(&rd->timer, fire);
}

void redial_open(struct redial *rd, void *owner, void (*on_broken)(struct link *))
{
    int32_t id = rd->link->node_id;
    const struct node *n = view_node(rd->w->view, id);
    SL_ASSERT(n);
    link_open(rd->link, rd->w->r, n->host, n->port);
    rd->link->node_id = id;
    rd->link->owner = owner;
    rd->link->on_broken = on_broken;
}

void redial_start(struct redial *rd)
{
    if (rd->waiting)
        return;
    if (!rd->since)
        rd->since = now_of(rd);
    again_in(rd, SL_MIN((uint64_t)PAUSE_NS << SL_MIN(rd->tries, 10u), (uint64_t)PAUSE_MAX_NS));
    rd->tries++;
}

void redial_worked(struct redial *rd)
{
    rd->since = 0;
    rd->tries = 0;
    rd->w->now.reconnects++;
}

void redial_cancel(struct redial *rd)
{
    timer_cancel(rd->w->r, &rd->timer);
}
