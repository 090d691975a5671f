// The net service: flushing once a turn, idle connections, the stop.
#include "engine/coord/coord.h"
#include "net/net_private.h"

#include <stdlib.h>

#define MS               1000000ull
#define TICK_NS          (1000 * MS)
#define TICK_PRESSED_NS  (100 * MS)  // while someone waits for frame memory
#define RELAX_NS         (1000 * MS) // an idle direct receive gives its buffer back...
#define RELAX_PRESSED_NS (100 * MS)  // ...sooner then
#define PRESSED_NS       (2000 * MS) // someone waits for so long: those who keep memory and do not move...
#define HOLD_MAX_NS      (10 * 1000 * MS) // ...for so long are closed
#define GRANT_QUIET_NS   (2000 * MS)      // and who has the grant is closed when nothing comes for so long
#define MEM_WAIT_MAX_NS  (20 * 1000 * MS)
#define ABORT_NS         (1000 * MS)       // closing has so long to bring what was sent home...
#define ABORT_STOP_NS    (100 * MS)        // ...or so long at a stop
#define OUT_STALL_MAX_NS (600 * 1000 * MS) // a peer that reads nothing of its answers

enum { SLABS_AHEAD = 2 };

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

static bool first_waiter(const struct net *n, const struct list_node *wait)
{
    for (uint32_t i = 0; i < FRAME_CLASSES; i++)
        if (wait->prev == &n->mem_waiters[i])
            return true;
    return false;
}

// Why a connection is closed by the tick; false: it goes on.
static bool overdue(const struct conn *c, uint64_t now, uint64_t pressed_since, const char **why)
{
    struct net *n = c->net;
    int64_t idle_ms = cfg_int(n->cfg.cfg, CFG_CONNECTIONS_MAX_IDLE_MS);
    uint64_t quiet = now - c->last_active;
    bool idle = idle_ms > 0 && quiet > (uint64_t)idle_ms * MS;
    *why = NULL;
    if (idle && list_empty(&c->requests))
        return true;
    *why = "its peer does not read";
    if (c->out_n && (idle || quiet > OUT_STALL_MAX_NS))
        return true;
    *why = "it waited too long for frame memory (sluice.pool.bytes)";
    if (list_linked(&c->mem_wait)) // the first only: what it kept may serve the next
        return now - c->mem_since > MEM_WAIT_MAX_NS && first_waiter(n, &c->mem_wait);
    *why = "it kept frame memory that others need (sluice.pool.bytes)";
    if (!pressed_since || now - pressed_since < PRESSED_NS || !list_empty(&c->requests))
        return false;
    bool partial = c->in_len > c->in_at;
    if (c->granted && now - SL_MAX(c->frame_since, c->last_active) > GRANT_QUIET_NS)
        return true;
    return (partial && now - c->frame_since > HOLD_MAX_NS) ||
           (!list_empty(&c->backlog) && quiet > HOLD_MAX_NS);
}

// Since when the first waits for frame memory; 0: nobody does.
static uint64_t pressed_since(const struct net *n)
{
    uint64_t since = 0;
    for (uint32_t i = 0; i < SL_ARRAY_LEN(n->mem_waiters); i++) {
        const struct list_node *w = list_first(&n->mem_waiters[i]);
        if (w && (!since || list_entry(w, struct conn, mem_wait)->mem_since < since))
            since = list_entry(w, struct conn, mem_wait)->mem_since;
    }
    return since;
}

static void net_tick(struct timer *t)
{
    struct net *n = SL_CONTAINER_OF(t, struct net, tick);
    uint64_t now = reactor_now(n->r), pressed = pressed_since(n);
    listeners_tick(n);
    http_tick(n);
    list_foreach_safe(node, &n->conns)
    {
        struct conn *c = list_entry(node, struct conn, node);
        const char *why;
        conn_abort_overdue(c, ABORT_NS);
        if (c->closing)
            continue;
        if (overdue(c, now, pressed, &why))
            conn_close(c, why);
        else if (now - c->last_active > (pressed ? RELAX_PRESSED_NS : RELAX_NS))
            conn_relax(c);
        if (c->eof && !c->closing && c->on_close) // it waits although its peer has gone
            c->on_close(c);
    }
    timer_set(n->r, t, now + (pressed ? TICK_PRESSED_NS : TICK_NS));
}

void net_tick_start(struct net *n)
{
    timer_set(n->r, &n->tick, reactor_now(n->r) + TICK_NS);
}

// ---- set-up and stop -----------------------------------------------------------------------------------------------------
void net_maybe_stopped(struct net *n)
{
    if (!n->stopping || n->stopped || n->conns_n || n->calls_n || !list_empty(&n->closes) || !http_stopped(n))
        return;
    if (!listeners_closed(n) || !quota_settled(n))
        return;
    n->stopped = true;
    timer_cancel(n->r, &n->tick);
    reactor_service_stopped(n->r, &n->svc);
}

static void let_go_done(struct call *c)
{
    SL_ASSERT(c->net->stopping);
}

// Requests that wait for members of their group would hold up the stop.
static void net_let_go(struct net *n)
{
    for (uint32_t i = 0; i < reactor_group_size(reactor_get_group(n->r)); i++)
        if (reactor_service(reactor_group_get(reactor_get_group(n->r), i), SVC_COORD))
            call_begin(&n->let_go[i], n, i, COORD_LET_GO, &n->let_go[i], let_go_done);
}

// At a stop: what is left of the connections has had its time.
static void abort_all(struct timer *t)
{
    struct net *n = SL_CONTAINER_OF(t, struct net, tick);
    list_foreach(node, &n->conns) conn_abort_overdue(list_entry(node, struct conn, node), 0);
    if (!n->stopped)
        timer_set(n->r, t, reactor_now(n->r) + ABORT_STOP_NS);
}

static void net_on_stop(struct service *svc)
{
    struct net *n = SL_CONTAINER_OF(svc, struct net, svc);
    n->stopping = true;
    timer_cancel(n->r, &n->tick);
    timer_init(&n->tick, abort_all);
    timer_set(n->r, &n->tick, reactor_now(n->r) + ABORT_STOP_NS);
    listeners_stop(n);
    list_foreach(node, &n->conns) conn_close(list_entry(node, struct conn, node), NULL);
    net_let_go(n);
    http_stop(n);
    net_maybe_stopped(n);
}

struct net *net_create(struct reactor *r, const struct net_config *cfg)
{
    struct net *n = calloc(1, sizeof(*n));
    struct buf_pool_config pc = {.limit = cfg->frame_pool_bytes,
                                 .max_large = BUF_POOL_SLAB,
                                 .keep_free = 8u << 20,
                                 .prefault = cfg->prefault,
                                 .ahead = SLABS_AHEAD};
    if (!n)
        return NULL;
    n->svc = (struct service){.kind = SVC_NET,
                              .name = "net",
                              .on_msg = net_on_msg,
                              .on_flush = net_on_flush,
                              .on_stop = net_on_stop};
    n->r = r;
    n->cfg = *cfg;
    n->frame_max = (uint32_t)cfg_int(cfg->cfg, CFG_SOCKET_REQUEST_MAX_BYTES);
    n->zc_min = (uint64_t)cfg_int(cfg->cfg, CFG_SLUICE_ZERO_COPY_MIN_BYTES);
    n->large_limit = cfg->frame_pool_bytes;
    n->frame_share = cfg->frame_pool_bytes / 2;
    n->big_limit = cfg->frame_pool_bytes - cfg->frame_pool_bytes / 8;
    obj_pool_init(&n->reqs, sizeof(struct req), SIZE_MAX / sizeof(struct req));
    obj_pool_init(&n->sends, out_send_op_size(), SIZE_MAX / out_send_op_size());
    list_init(&n->conns);
    list_init(&n->in_flight);
    list_init(&n->closes);
    for (uint32_t i = 0; i < FRAME_CLASSES; i++)
        list_init(&n->mem_waiters[i]);
    n->mem_go.run = frame_serve_waiters;
    list_init(&n->mem_go.node);
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

// After an orderly stop there is no connection left. A torn-down simulation frees what was in flight when it
// died.
void net_destroy(struct net *n)
{
    if (!n)
        return;
    HASH_CLEAR(hh, n->calls); // whose memory goes with their requests
    HASH_CLEAR(hh, n->watches);
    list_foreach_safe(node, &n->conns) conn_destroy(list_entry(node, struct conn, node));
    out_destroy(n);
    http_destroy(n);
    conn_discards_destroy(n);
    ready_cancel(n->r, &n->mem_go);
    timer_cancel(n->r, &n->tick);
    fetch_sessions_destroy(n);
    quota_destroy(n);
    buf_pool_destroy(n->frames);
    obj_pool_destroy(&n->reqs);
    obj_pool_destroy(&n->sends);
    listeners_destroy(n);
    free(n);
}
