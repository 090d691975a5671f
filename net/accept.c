// Listeners: accepting connections within the limits of limits.h.
//
// A connection that has to wait (max.connections, max.connection.creation.rate) is kept as a bare socket, first come,
// first served, and its listener accepts nothing behind it but what was on its way already: clients then wait in the
// kernel's backlog, as with upstream.
#include "net/net_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKLOG = 1024, HELD_MAX = 2 * BACKLOG };

struct arrival {
    struct list_node node; // on listener->held
    io_sock sock;
    bool counted;
    char peer[NET_PEER_MAX];
};

static void listener_arm(struct listener *l)
{
    l->armed = true;
    io_accept(reactor_io(l->net->r), &l->op, l->sock);
}

static void listener_close(struct listener *l)
{
    if (l->sock >= 0)
        conn_discard(l->net, l->sock);
    l->sock = -1;
}

// ---- the limits ------------------------------------------------------------------------------------------------------------
// Makes room for a protected connection: of this service's others, the one that was quiet for longest goes.
static void shed(struct net *n)
{
    struct conn *oldest = NULL;
    list_foreach(node, &n->conns)
    {
        struct conn *c = list_entry(node, struct conn, node);
        if (c->closing || net_limits_protected(n->cfg.limits, c->listener))
            continue;
        if (!oldest || c->last_active < oldest->last_active)
            oldest = c;
    }
    if (oldest)
        conn_close(oldest, "it made room for the inter-broker listener (max.connections)");
}

// False: it waits on.
static bool admit(struct listener *l, struct arrival *a, uint64_t *until)
{
    struct net *n = l->net;
    switch (net_limits_enter(n->cfg.limits, net_config(n), a->peer, l->cfg, reactor_now(n->r), &a->counted,
                             until)) {
    case NET_WAIT:
        return false;
    case NET_REFUSE:
        SL_LOG_EVERY(1000, SL_WARN, "net", "a connection from %s was refused: max.connections.per.ip",
                     a->peer);
        conn_discard(n, a->sock);
        return true;
    case NET_ADMIT:
        conn_new(n, l, a->sock, a->peer);
        break;
    }
    if (net_limits_over(n->cfg.limits, net_config(n)))
        shed(n);
    return true;
}

static void admit_at(struct net *n, uint64_t at)
{
    if (!n->admit_set || at < n->admit_at) {
        n->admit_set = true;
        n->admit_at = at;
        timer_set(n->r, &n->admit, at);
    }
}

static void hold(struct listener *l, const struct arrival *a, uint64_t until)
{
    struct arrival *h = l->held_n < HELD_MAX ? malloc(sizeof(*h)) : NULL;
    SL_LOG_EVERY(1000, SL_WARN, "net",
                 "connections wait: max.connections or max.connection.creation.rate is reached");
    if (!h) {
        conn_discard(l->net, a->sock);
        return;
    }
    *h = *a;
    list_push_back(&l->held, &h->node);
    l->held_n++;
    admit_at(l->net, until);
    if (l->armed)
        io_cancel(reactor_io(l->net->r), &l->op);
}

static void serve_held(struct listener *l)
{
    struct list_node *node;
    uint64_t until;
    while ((node = list_first(&l->held))) {
        struct arrival *a = list_entry(node, struct arrival, node);
        if (!admit(l, a, &until)) {
            admit_at(l->net, until);
            return;
        }
        list_remove(node);
        free(a);
        l->held_n--;
    }
    if (!l->armed)
        listener_arm(l);
}

static void admit_due(struct timer *t)
{
    struct net *n = SL_CONTAINER_OF(t, struct net, admit);
    n->admit_set = false;
    for (uint32_t i = 0; i < n->listeners_n; i++)
        if (n->listeners[i].held_n)
            serve_held(&n->listeners[i]);
}

void listeners_room(struct net *n)
{
    if (n->admit_set && !n->stopping)
        admit_at(n, reactor_now(n->r));
}

// ---- accepting -----------------------------------------------------------------------------------------------------------------
static void accept_one(struct listener *l, io_sock sock)
{
    struct net *n = l->net;
    struct arrival a = {.sock = sock};
    uint64_t until = reactor_now(n->r);
    uint16_t port;
    if (n->stopping || io_sock_name(reactor_io(n->r), sock, true, a.peer, sizeof(a.peer), &port)) {
        conn_discard(n, sock); // it has gone again
        return;
    }
    if (l->held_n || !admit(l, &a, &until))
        hold(l, &a, until);
}

static void accepted(struct io_op *op, int32_t res)
{
    struct listener *l = SL_CONTAINER_OF(op, struct listener, op);
    struct net *n = l->net;
    l->armed = op->flags & IO_OP_MORE;
    if (res >= 0)
        accept_one(l, res);
    else if (res != -ECANCELED && res != -ECONNABORTED)
        SL_LOG_EVERY(1000, SL_WARN, "net", "accept failed: %s%s", strerror(-res),
                     res == -EMFILE ? " (raise the limit of open files, ulimit -n)" : "");
    // After an error the tick arms it again: at once, it might fail at once.
    if (!l->armed && !n->stopping && !l->held_n && (res >= 0 || res == -ECANCELED))
        listener_arm(l);
    if (!l->armed && n->stopping)
        listener_close(l);
    net_maybe_stopped(n);
}

static int listen_one(struct net *n, struct listener *l, const struct cfg_listener *cl, char *err, size_t cap)
{
    l->net = n;
    l->cfg = cl;
    list_init(&l->held);
    l->sock = io_listen(reactor_io(n->r), cl->host, cl->port, BACKLOG);
    if (l->sock < 0) {
        snprintf(err, cap, "listeners=%s://%s:%u: %s", cl->name, cl->host, cl->port, strerror(-l->sock));
        return l->sock;
    }
    l->op = (struct io_op){.done = accepted};
    listener_arm(l);
    return 0;
}

int net_listen(struct net *n, char *err, size_t cap)
{
    size_t count;
    const struct cfg_listener *all = cfg_listeners(n->cfg.cfg, &count);
    timer_init(&n->admit, admit_due);
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
    int rc = http_listen(n, err, cap);
    if (rc)
        return rc;
    net_tick_start(n);
    return 0;
}

// ---- now and then, and the end --------------------------------------------------------------------------------------------------
void listeners_tick(struct net *n)
{
    for (uint32_t i = 0; i < n->listeners_n; i++)
        if (!n->listeners[i].armed && !n->listeners[i].held_n)
            listener_arm(&n->listeners[i]);
    if (net_limits_over(n->cfg.limits, net_config(n)))
        shed(n);
}

static void drop_held(struct listener *l, bool discard)
{
    struct list_node *node;
    while ((node = list_pop_front(&l->held))) {
        struct arrival *a = list_entry(node, struct arrival, node);
        if (discard)
            conn_discard(l->net, a->sock);
        free(a);
    }
    l->held_n = 0;
}

void listeners_stop(struct net *n)
{
    timer_cancel(n->r, &n->admit);
    for (uint32_t i = 0; i < n->listeners_n; i++) {
        struct listener *l = &n->listeners[i];
        drop_held(l, true);
        if (l->armed)
            io_cancel(reactor_io(n->r), &l->op);
        else
            listener_close(l);
    }
}

bool listeners_closed(const struct net *n)
{
    for (uint32_t i = 0; i < n->listeners_n; i++)
        if (n->listeners[i].sock >= 0)
            return false;
    return true;
}

void listeners_destroy(struct net *n)
{
    if (n->listeners)
        timer_cancel(n->r, &n->admit);
    for (uint32_t i = 0; i < n->listeners_n; i++)
        drop_held(&n->listeners[i], false);
    free(n->listeners);
}
