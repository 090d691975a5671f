// The net service: listeners, flushing once a turn, idle connections, the stop.
#include "net/net_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_NS = 1000 * 1000 * 1000, BACKLOG = 1024 };
#define MEM_WAIT_MAX_NS (10ull * 1000 * 1000 * 1000)

// ---- listeners -------------------------------------------------------------------------------------------------------
static void accepted(struct io_op *op, int32_t res)
{
    struct listener *l = SL_CONTAINER_OF(op, struct listener, op);
    struct net *n = l->net;
    l->armed = op->flags & IO_OP_MORE;
    if (res >= 0) {
        if (n->stopping || n->conns_n >= (uint64_t)cfg_int(n->cfg.cfg, CFG_MAX_CONNECTIONS)) {
            io_shutdown(reactor_io(n->r), res);
            conn_discard(n, res);
        } else {
            conn_new(n, l, res);
        }
    } else if (res != -ECANCELED) {
        SL_LOG_EVERY(1000, SL_WARN, "net", "accept failed: %s%s", strerror(-res),
                     res == -EMFILE ? " (raise the limit of open files, ulimit -n)" : "");
    }
    if (!l->armed && !n->stopping && res != -EMFILE && res != -ENFILE) {
        l->armed = true;
        io_accept(reactor_io(n->r), op, l->sock);
    }
    net_maybe_stopped(n);
}

static int listen_one(struct net *n, struct listener *l, const struct cfg_listener *cl, char *err, size_t cap)
{
    l->net = n;
    l->cfg = cl;
    l->sock = io_listen(reactor_io(n->r), cl->host, cl->port, BACKLOG);
    if (l->sock < 0) {
        snprintf(err, cap, "listeners=%s://%s:%u: %s", cl->name, cl->host, cl->port, strerror(-l->sock));
        return l->sock;
    }
    l->op = (struct io_op){.done = accepted};
    l->armed = true;
    io_accept(reactor_io(n->r), &l->op, l->sock);
    return 0;
}

int net_listen(struct net *n, char *err, size_t cap)
{
    size_t count;
    const struct cfg_listener *all = cfg_listeners(n->cfg.cfg, &count);
    n->listeners = calloc(count + 1, sizeof(*n->listeners));
    if (!n->listeners)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (all[i].controller)
            continue;
        int rc = listen_one(n, &n->listeners[n->listeners_n], &all[i], err, cap);
        if (rc)
            return rc;
        n->listeners_n++;
    }
    timer_set(n->r, &n->tick, reactor_now(n->r) + TICK_NS);
    return 0;
}

// ---- each turn, each second ----------------------------------------------------------------------------------------------
static bool net_on_flush(struct service *svc)
{
    struct net *n = SL_CONTAINER_OF(svc, struct net, svc);
    struct list_node *node;
    bool any = false;
    while ((node = list_pop_front(&n->flush))) {
        struct conn *c = list_entry(node, struct conn, flush_node);
        c->flush_queued = false;
        out_flush(c);
        any = true;
    }
    return any;
}

static void rearm_accepts(struct net *n)
{
    for (uint32_t i = 0; i < n->listeners_n; i++) {
        struct listener *l = &n->listeners[i];
        if (l->armed || n->stopping)
            continue;
        l->armed = true;
        io_accept(reactor_io(n->r), &l->op, l->sock);
    }
}

// A connection that waits for frame memory longer than this is closed, so that half-sent frames cannot hold the pool.
static void net_tick(struct timer *t)
{
    struct net *n = SL_CONTAINER_OF(t, struct net, tick);
    uint64_t now = reactor_now(n->r);
    int64_t idle_ms = cfg_int(n->cfg.cfg, CFG_CONNECTIONS_MAX_IDLE_MS);
    rearm_accepts(n);
    list_foreach_safe(node, &n->conns) {
        struct conn *c = list_entry(node, struct conn, node);
        if (list_linked(&c->mem_wait) && now - c->mem_since > MEM_WAIT_MAX_NS)
            conn_close(c, "it waited too long for frame memory (sluice.pool.bytes)");
        else if (idle_ms > 0 && !c->requests_n && now - c->last_active > (uint64_t)idle_ms * 1000000)
            conn_close(c, NULL);
    }
    if (!n->stopping)
        timer_set(n->r, t, now + TICK_NS);
}

// ---- set-up and stop -----------------------------------------------------------------------------------------------------
void net_maybe_stopped(struct net *n)
{
    bool armed = false;
    for (uint32_t i = 0; i < n->listeners_n; i++)
        armed |= n->listeners[i].armed;
    if (!n->stopping || n->stopped || n->conns_n || armed)
        return;
    n->stopped = true;
    reactor_service_stopped(n->r, &n->svc);
}

static void net_on_stop(struct service *svc)
{
    struct net *n = SL_CONTAINER_OF(svc, struct net, svc);
    n->stopping = true;
    timer_cancel(n->r, &n->tick);
    for (uint32_t i = 0; i < n->listeners_n; i++)
        if (n->listeners[i].armed)
            io_cancel(reactor_io(n->r), &n->listeners[i].op);
    list_foreach_safe(node, &n->conns) {
        conn_close(list_entry(node, struct conn, node), NULL);
    }
    net_maybe_stopped(n);
}

struct net *net_create(struct reactor *r, const struct net_config *cfg)
{
    struct net *n = calloc(1, sizeof(*n));
    struct buf_pool_config pc = {.limit = cfg->frame_pool_bytes, .max_large = 128u << 20, .keep_free = 8u << 20};
    if (!n)
        return NULL;
    n->svc = (struct service){
        .kind = SVC_NET, .name = "net", .on_msg = net_on_msg, .on_flush = net_on_flush, .on_stop = net_on_stop};
    n->r = r;
    n->cfg = *cfg;
    list_init(&n->conns);
    list_init(&n->mem_waiters);
    list_init(&n->flush);
    list_init(&n->pids.waiting);
    timer_init(&n->tick, net_tick);
    n->frames = buf_pool_create(&pc);
    if (n->frames)
        return n;
    free(n);
    return NULL;
}

struct service *net_service(struct net *n)
{
    return &n->svc;
}

// A torn-down simulation frees what an orderly stop would have: connections with nothing in flight are gone already.
void net_destroy(struct net *n)
{
    if (!n)
        return;
    fetch_sessions_destroy(n);
    if (list_empty(&n->conns))
        buf_pool_destroy(n->frames);
    free(n->listeners);
    free(n);
}
