// Loopback sockets of the simulated world.
//
// A connection is two ends. What one sends goes into the other's queue at once but becomes visible only when its
// arrival event fires; arrivals keep their order. An end that is closed, or whose process died, lives on until nothing
// is under way to it. A close takes effect when no operation is left on the socket, as with a kernel that holds a
// reference per operation in flight.
#include "engine/io/sim/sim_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_sock {
    struct list_node node;      // the process's
    struct list_node all_node;  // the world's
    struct list_node port_node; // listeners
    struct sim_world *w;
    struct sim_process *p;
    io_sock fd;
    uint64_t id;
    uint16_t port, peer_port;
    bool listener, bound;
    uint32_t backlog;
    struct list_node waiting; // connections not accepted yet, by their accept_node
    struct list_node accept_node;
    uint32_t waiting_n;
    struct sim_sock *peer; // NULL: gone
    // what arrives
    uint8_t *buf;
    uint32_t head, len; // visible bytes
    uint32_t coming;    // sent, not yet visible
    uint64_t last_arrival;
    bool fin, reset;   // visible after the bytes
    uint32_t arrivals; // events under way to this end
    // this end
    bool shut, fin_sent, closing, closed;
    struct list_node readers, senders, acceptors; // waiting sim_ops (disk_node)
    uint32_t ops;                                 // operations in flight on it
};

struct arrival {
    struct sim_event ev;
    struct sim_sock *to;
    uint32_t bytes;
    bool fin, reset;
};

static void serve_readers(struct sim_sock *s);
static void serve_senders(struct sim_sock *s);
static void close_now(struct sim_sock *s);

// ---- ends ----------------------------------------------------------------------------------------------------------
static struct sim_sock *sock_new(struct sim_world *w)
{
    struct sim_sock *s = sim_alloc(sizeof(*s));
    s->w = w;
    s->fd = -1;
    s->id = ++w->next_sock;
    list_init(&s->node);
    list_init(&s->port_node);
    list_init(&s->accept_node);
    list_init(&s->waiting);
    list_init(&s->readers);
    list_init(&s->senders);
    list_init(&s->acceptors);
    list_push_back(&w->all_socks, &s->all_node);
    return s;
}

static void sock_adopt(struct sim_process *p, struct sim_sock *s)
{
    s->p = p;
    list_push_back(&p->socks, &s->node);
    if (p->socktab_n == p->socktab_cap) {
        p->socktab_cap = p->socktab_cap ? p->socktab_cap * 2 : 16;
        p->socktab = realloc(p->socktab, p->socktab_cap * sizeof(struct sim_sock *));
        if (!p->socktab)
            sl_panic("sim: out of memory");
    }
    p->socktab[p->socktab_n] = s;
    s->fd = (io_sock)p->socktab_n++;
}

static void sock_free(struct sim_sock *s)
{
    list_remove(&s->all_node);
    list_remove(&s->port_node);
    list_remove(&s->accept_node);
    free(s->buf);
    free(s);
}

static void sock_maybe_free(struct sim_sock *s)
{
    if (s->closed && s->arrivals == 0 && s->ops == 0)
        sock_free(s);
}

// While several operations of a socket may end, it must not go.
static void sock_hold(struct sim_sock *s)
{
    s->ops++;
}

static void sock_release(struct sim_sock *s)
{
    s->ops--;
    if (s->closing && !s->closed && s->ops == 0)
        close_now(s);
    else
        sock_maybe_free(s);
}

static struct sim_sock *sock_get(struct sim_process *p, io_sock f)
{
    if (f >= 0 && (uint32_t)f < p->socktab_n && p->socktab[f])
        return p->socktab[f];
    sim_fail(p->w, "socket handle %d is not open", f);
    return NULL;
}

// ---- arrivals --------------------------------------------------------------------------------------------------------
static void arrive(struct sim_event *e)
{
    struct arrival *a = SL_CONTAINER_OF(e, struct arrival, ev);
    struct sim_sock *s = a->to;
    s->arrivals--;
    s->coming -= a->bytes;
    s->len += a->bytes;
    s->fin |= a->fin;
    if (a->reset) {
        s->reset = true;
        s->len = 0;
    }
    sim_trace(s->w, "arrive", s->id, a->bytes, (uint64_t)a->fin * 2 + a->reset);
    free(a);
    if (s->closed) {
        sock_maybe_free(s);
        return;
    }
    sock_hold(s);
    serve_readers(s);
    if (s->reset)
        serve_senders(s);
    sock_release(s);
}

static void send_arrival(struct sim_sock *to, uint32_t bytes, bool fin, bool reset)
{
    struct sim_world *w = to->w;
    struct arrival *a = sim_alloc(sizeof(*a));
    a->to = to;
    a->bytes = bytes;
    a->fin = fin;
    a->reset = reset;
    to->arrivals++;
    to->coming += bytes;
    to->last_arrival = SL_MAX(to->last_arrival + 1, w->now + sim_latency(w, &w->cfg.net));
    sim_event_at(w, &a->ev, to->last_arrival, arrive);
}

static void put_bytes(struct sim_sock *to, const uint8_t *b, uint32_t n)
{
    uint32_t cap = to->w->cfg.sock_buffer;
    if (!to->buf)
        to->buf = sim_alloc(cap);
    uint32_t at = (to->head + to->len + to->coming) % cap;
    uint32_t first = SL_MIN(n, cap - at);
    memcpy(to->buf + at, b, first);
    memcpy(to->buf, b + first, n - first);
}

static void take_bytes(struct sim_sock *s, uint8_t *b, uint32_t n)
{
    uint32_t cap = s->w->cfg.sock_buffer;
    uint32_t first = SL_MIN(n, cap - s->head);
    memcpy(b, s->buf + s->head, first);
    memcpy(b + first, s->buf, n - first);
    s->head = (s->head + n) % cap;
    s->len -= n;
}

// ---- operations on a socket ------------------------------------------------------------------------------------------------
static struct sim_op *start(struct io *io, struct io_op *op, enum sim_kind kind, io_sock f)
{
    struct sim_io *s = sim_io_of(io);
    s->counters[IO_CTR_SQES]++;
    struct sim_sock *k = s->dead ? NULL : sock_get(s->p, f);
    if (!k || k->closing) {
        sim_complete_now(s, op, s->dead ? -ECANCELED : -EBADF);
        return NULL;
    }
    struct sim_op *o = sim_op_new(s, op, kind);
    o->sock = k;
    k->ops++;
    return o;
}

// The operation's last completion.
static void finish(struct sim_op *o, int32_t res, uint32_t flags)
{
    struct sim_sock *s = o->sock;
    o->sock = NULL;
    sim_event_cancel(o->w, &o->ev);
    sim_trace(o->w, "sock-done", o->kind, s ? s->id : 0, (uint64_t)(int64_t)res);
    sim_complete(o, res, flags, true);
    if (s)
        sock_release(s);
}

// ---- listen, accept, connect --------------------------------------------------------------------------------------------
io_sock sim_sock_listen(struct io *io, const char *host, uint16_t port, uint32_t backlog)
{
    struct sim_io *s = sim_io_of(io);
    (void)host;
    if (s->dead)
        return -ECANCELED;
    list_foreach(n, &s->w->listeners)
    {
        struct sim_sock *l = list_entry(n, struct sim_sock, port_node);
        if (port && l->port == port && l->p != s->p)
            return -EADDRINUSE;
    }
    struct sim_sock *k = sock_new(s->w);
    k->listener = true;
    k->port = port ? port : s->w->next_port++;
    k->backlog = SL_MAX(backlog, 1u);
    list_push_back(&s->w->listeners, &k->port_node);
    sock_adopt(s->p, k);
    sim_trace(s->w, "listen", k->id, k->port, 0);
    return k->fd;
}

static void serve_acceptors(struct sim_sock *l)
{
    sock_hold(l);
    while (!list_empty(&l->waiting) && !list_empty(&l->acceptors)) {
        struct sim_op *o = list_entry(list_first(&l->acceptors), struct sim_op, disk_node);
        struct sim_sock *s = list_entry(list_pop_front(&l->waiting), struct sim_sock, accept_node);
        l->waiting_n--;
        sock_adopt(l->p, s);
        sim_trace(l->w, "accept", l->id, s->id, 0);
        // Multishot ends now and then for no reason, as the kernel's does when its queue is full.
        if (sl_rand_chance(&l->w->rng, 1, 16)) {
            list_remove(&o->disk_node);
            finish(o, s->fd, 0);
        } else {
            sim_complete(o, s->fd, IO_OP_MORE, false);
        }
    }
    sock_release(l);
}

void sim_sock_accept(struct io *io, struct io_op *op, io_sock f)
{
    struct sim_op *o = start(io, op, SIM_ACCEPT, f);
    if (!o)
        return;
    if (!o->sock->listener) {
        finish(o, -EINVAL, 0);
        return;
    }
    list_push_back(&o->sock->acceptors, &o->disk_node);
    serve_acceptors(o->sock);
}

static struct sim_sock *pick_listener(struct sim_world *w, uint16_t port)
{
    uint32_t count = 0;
    struct sim_sock *pick = NULL;
    list_foreach(n, &w->listeners)
    {
        struct sim_sock *l = list_entry(n, struct sim_sock, port_node);
        if (l->port == port && !l->closing && sl_rand_below(&w->rng, ++count) == 0)
            pick = l;
    }
    return pick;
}

static void land_connect(struct sim_event *e)
{
    struct sim_op *o = SL_CONTAINER_OF(e, struct sim_op, ev);
    struct sim_world *w = o->w;
    struct sim_sock *l = pick_listener(w, o->port);
    if (!l || l->waiting_n >= l->backlog) {
        finish(o, -ECONNREFUSED, 0);
        return;
    }
    struct sim_sock *a = sock_new(w), *b = sock_new(w);
    a->peer = b;
    b->peer = a;
    a->peer_port = b->port = l->port;
    a->port = b->peer_port = w->next_port++;
    sock_adopt(o->io->p, a);
    list_push_back(&l->waiting, &b->accept_node);
    l->waiting_n++;
    w->stats.connects++;
    finish(o, a->fd, 0);
    serve_acceptors(l);
}

void sim_sock_connect(struct io *io, struct io_op *op, const char *host, uint16_t port)
{
    struct sim_io *s = sim_io_of(io);
    (void)host;
    if (s->dead) {
        sim_complete_now(s, op, -ECANCELED);
        return;
    }
    struct sim_op *o = sim_op_new(s, op, SIM_CONNECT);
    o->port = port;
    sim_event_at(s->w, &o->ev, s->w->now + sim_latency(s->w, &s->w->cfg.net), land_connect);
}

// ---- receive -----------------------------------------------------------------------------------------------------------------
static int32_t ended(const struct sim_sock *s)
{
    if (s->reset)
        return -ECONNRESET;
    return 0;
}

static uint32_t chunk(struct sim_sock *s, uint32_t want)
{
    uint32_t n = SL_MIN(want, s->len);
    if (n > 1 && sim_chance(s->w, s->w->cfg.faults.short_recv))
        n = (uint32_t)sl_rand_range(&s->w->rng, 1, n - 1);
    return n;
}

static void multi_piece(struct sim_sock *s, struct sim_op *o)
{
    struct sim_io *io = o->io;
    uint32_t id = io->free_bufs[--io->free_n];
    uint8_t *b = io->bufs + (size_t)id * io->w->cfg.recv_size;
    uint32_t n = chunk(s, io->w->cfg.recv_size);
    take_bytes(s, b, n);
    struct sim_cqe *c = sim_complete(o, (int32_t)n, IO_OP_MORE | IO_OP_BUFFER, false);
    c->buf = b;
    c->buf_id = id;
}

static void serve_readers(struct sim_sock *s)
{
    bool drained = false;
    sock_hold(s);
    while (!list_empty(&s->readers)) {
        struct sim_op *o = list_entry(list_first(&s->readers), struct sim_op, disk_node);
        bool multi = o->kind == SIM_RECV_MULTI;
        if (s->len && multi && o->io->free_n) {
            multi_piece(s, o);
            drained = true;
            continue;
        }
        if (!s->len && !s->fin && !s->reset && !s->shut)
            break;
        list_remove(&o->disk_node);
        if (s->len && multi) {
            finish(o, -ENOBUFS, 0);
        } else if (s->len) {
            uint32_t n = chunk(s, (uint32_t)o->iov1.iov_len);
            take_bytes(s, o->iov1.iov_base, n);
            drained = true;
            finish(o, (int32_t)n, 0);
        } else {
            finish(o, ended(s), 0);
        }
    }
    if (drained && s->peer)
        serve_senders(s->peer);
    sock_release(s);
}

static void start_recv(struct io *io, struct io_op *op, io_sock f, enum sim_kind kind, void *buf,
                       uint32_t len)
{
    struct sim_op *o = start(io, op, kind, f);
    if (!o)
        return;
    o->iov1 = (struct iovec){buf, len};
    o->w->stats.recvs++;
    if (o->sock->listener) {
        finish(o, -ENOTCONN, 0);
        return;
    }
    if (kind == SIM_RECV_MULTI && !o->io->free_n) {
        list_push_back(&o->io->starved, &o->disk_node);
        return;
    }
    list_push_back(&o->sock->readers, &o->disk_node);
    serve_readers(o->sock);
}

// Pieces whatever is asked for: callers must cope.
void sim_sock_recv(struct io *io, struct io_op *op, io_sock f, void *buf, uint32_t len, bool all)
{
    (void)all;
    start_recv(io, op, f, SIM_RECV, buf, len);
}

void sim_sock_recv_multi(struct io *io, struct io_op *op, io_sock f)
{
    start_recv(io, op, f, SIM_RECV_MULTI, NULL, 0);
}

void sim_sock_buf_return(struct io *io, uint32_t buf_id)
{
    struct sim_io *s = sim_io_of(io);
    SL_ASSERT(buf_id < s->w->cfg.recv_buffers && s->free_n < s->w->cfg.recv_buffers);
    // What the owner reads after giving it back is not what it received.
    memset(s->bufs + (size_t)buf_id * s->w->cfg.recv_size, 0xdb, s->w->cfg.recv_size);
    s->free_bufs[s->free_n++] = buf_id;
    struct list_node *n;
    while (s->free_n && (n = list_pop_front(&s->starved))) {
        struct sim_op *o = list_entry(n, struct sim_op, disk_node);
        list_push_back(&o->sock->readers, n);
        serve_readers(o->sock);
    }
}

// ---- send -----------------------------------------------------------------------------------------------------------------------
static void check_sent(struct sim_op *o)
{
    if (sim_iov_hash(o->iov, o->iov_n, o->len) != o->hash)
        sim_fail(o->w, "a send's bytes changed while it was in flight: %llu bytes",
                 (unsigned long long)o->len);
}

// The peer's window is closed: what was sent is still here, and has to be.
static bool unacknowledged(const struct sim_sock *s)
{
    const struct sim_sock *to = s->peer;
    return to && !to->closed && !to->reset && !s->reset && to->len + to->coming > s->w->cfg.sock_buffer / 2;
}

static void land_notif(struct sim_event *e)
{
    struct sim_op *o = SL_CONTAINER_OF(e, struct sim_op, ev);
    check_sent(o);
    if (unacknowledged(o->sock)) {
        sim_event_at(o->w, &o->ev, o->w->now + 1000000, land_notif);
        return;
    }
    finish(o, 0, IO_OP_NOTIF | (sl_rand_chance(&o->w->rng, 1, 2) ? IO_OP_ZC_COPIED : 0));
}

static void sent(struct sim_op *o, int32_t res)
{
    check_sent(o);
    if (!(o->flags & IO_SEND_ZC) || res <= 0) {
        finish(o, res, 0);
        return;
    }
    sim_complete(o, res, IO_OP_MORE, false);
    o->kind = SIM_ZC_NOTIF;
    o->len = (uint64_t)res; // the rest is the sender's again
    o->hash = sim_iov_hash(o->iov, o->iov_n, o->len);
    uint64_t lag = sim_latency(o->w, &o->w->cfg.net) * sl_rand_range(&o->w->rng, 1, 8);
    sim_event_at(o->w, &o->ev, o->w->now + lag, land_notif);
}

static uint32_t push_bytes(struct sim_sock *to, const struct sim_op *o, uint32_t n)
{
    uint32_t done = 0;
    uint32_t coming = to->coming;
    for (uint32_t k = 0; k < o->iov_n && done < n; k++) {
        uint32_t part = SL_MIN((uint32_t)o->iov[k].iov_len, n - done);
        put_bytes(to, o->iov[k].iov_base, part);
        to->coming += part; // put_bytes appends behind what is under way
        done += part;
    }
    to->coming = coming;
    return done;
}

static void serve_senders(struct sim_sock *s)
{
    sock_hold(s);
    while (!list_empty(&s->senders)) {
        struct sim_op *o = list_entry(list_first(&s->senders), struct sim_op, disk_node);
        struct sim_world *w = s->w;
        struct sim_sock *to = s->peer;
        if (s->reset || s->shut || !to || to->closed) {
            list_remove(&o->disk_node);
            sent(o, s->reset ? -ECONNRESET : -EPIPE);
            continue;
        }
        if (sim_chance(w, w->cfg.faults.reset)) {
            send_arrival(to, 0, false, true);
            send_arrival(s, 0, false, true);
            s->reset = true;
            w->stats.resets++;
            continue;
        }
        uint32_t space = w->cfg.sock_buffer - to->len - to->coming;
        if (space == 0 && o->len)
            break;
        uint32_t n = (uint32_t)SL_MIN(o->len, (uint64_t)space);
        if (n > 1 && sim_chance(w, w->cfg.faults.short_send))
            n = (uint32_t)sl_rand_range(&w->rng, 1, n - 1);
        push_bytes(to, o, n);
        // It may arrive in two pieces.
        uint32_t first =
            n > 1 && sl_rand_chance(&w->rng, 1, 4) ? (uint32_t)sl_rand_range(&w->rng, 1, n - 1) : n;
        send_arrival(to, first, false, false);
        if (n > first)
            send_arrival(to, n - first, false, false);
        list_remove(&o->disk_node);
        sent(o, (int32_t)n);
    }
    sock_release(s);
}

static void land_send(struct sim_event *e)
{
    struct sim_op *o = SL_CONTAINER_OF(e, struct sim_op, ev);
    list_push_back(&o->sock->senders, &o->disk_node);
    serve_senders(o->sock);
}

void sim_sock_send(struct io *io, struct io_op *op, io_sock f, const struct iovec *iov, uint32_t n,
                   uint32_t flags)
{
    struct sim_op *o = start(io, op, SIM_SEND, f);
    if (!o)
        return;
    o->flags = flags;
    o->iov = n == 1 ? &o->iov1 : sim_alloc(n * sizeof(*iov));
    memcpy(o->iov, iov, n * sizeof(*iov));
    o->iov_n = n;
    for (uint32_t k = 0; k < n; k++)
        o->len += iov[k].iov_len;
    o->hash = sim_iov_hash(o->iov, o->iov_n, o->len);
    o->w->stats.sends++;
    if (o->sock->listener) {
        finish(o, -ENOTCONN, 0);
        return;
    }
    // Sends of one socket keep their order.
    struct sim_sock *s = o->sock;
    uint64_t at =
        SL_MAX(o->w->now + sl_rand_below(&o->w->rng, 3000), s->last_arrival == 0 ? 0 : o->w->now + 1);
    sim_event_at(o->w, &o->ev, at, land_send);
}

// ---- shutdown, close ------------------------------------------------------------------------------------------------------------
static void send_fin(struct sim_sock *s)
{
    if (s->fin_sent || s->listener || !s->peer || s->peer->closed)
        return;
    s->fin_sent = true;
    send_arrival(s->peer, 0, true, false);
}

void sim_sock_shutdown(struct io *io, io_sock f)
{
    struct sim_io *q = sim_io_of(io);
    if (q->dead)
        return;
    struct sim_sock *s = sock_get(q->p, f);
    if (!s)
        return;
    sim_trace(s->w, "shutdown", s->id, 0, 0);
    sock_hold(s);
    s->shut = true;
    while (!list_empty(&s->acceptors)) {
        struct sim_op *o = list_entry(list_pop_front(&s->acceptors), struct sim_op, disk_node);
        finish(o, -EINVAL, 0);
    }
    send_fin(s);
    serve_readers(s);
    serve_senders(s);
    sock_release(s);
}

void sim_sock_abort(struct io *io, io_sock f)
{
    struct sim_io *q = sim_io_of(io);
    struct sim_sock *s = q->dead ? NULL : sock_get(q->p, f);
    if (!s || s->reset)
        return;
    sim_trace(s->w, "abort", s->id, 0, 0);
    sock_hold(s);
    s->shut = s->fin_sent = s->reset = true;
    if (s->peer && !s->peer->closed)
        send_arrival(s->peer, 0, false, true);
    serve_readers(s);
    serve_senders(s);
    sock_release(s);
}

// No operation holds the socket any more.
static void close_now(struct sim_sock *s)
{
    SL_ASSERT(s->ops == 0 && !s->closed);
    sim_trace(s->w, "closed", s->id, s->len, 0);
    list_foreach_safe(n, &s->waiting)
    {
        struct sim_sock *b = list_entry(n, struct sim_sock, accept_node);
        list_remove(&b->accept_node);
        close_now(b);
    }
    if (s->peer && !s->peer->closed) {
        if (s->len || s->coming) { // unread bytes: a reset, as TCP does
            send_arrival(s->peer, 0, false, true);
            s->w->stats.resets++;
        } else {
            send_fin(s);
        }
    }
    if (s->peer)
        s->peer->peer = NULL;
    s->peer = NULL;
    s->closed = true;
    list_remove(&s->port_node);
    list_init(&s->port_node);
    list_remove(&s->node);
    list_init(&s->node);
    sock_maybe_free(s);
}

static void land_close(struct sim_event *e)
{
    struct sim_op *o = SL_CONTAINER_OF(e, struct sim_op, ev);
    finish(o, 0, 0);
}

void sim_sock_close(struct io *io, struct io_op *op, io_sock f)
{
    struct sim_op *o = start(io, op, SIM_CLOSE_SOCK, f);
    if (!o)
        return;
    struct sim_sock *s = o->sock;
    s->closing = true;
    s->p->socktab[f] = NULL;
    list_remove(&s->port_node);
    list_init(&s->port_node);
    // The completion does not wait for the other operations on the socket.
    o->sock = NULL;
    s->ops--;
    sim_event_at(o->w, &o->ev, o->w->now + sl_rand_below(&o->w->rng, 20000), land_close);
    if (s->ops == 0)
        close_now(s);
}

int sim_sock_name(struct io *io, io_sock f, bool peer, char *host, size_t cap, uint16_t *port)
{
    struct sim_io *q = sim_io_of(io);
    if (q->dead)
        return -ECANCELED;
    struct sim_sock *s = sock_get(q->p, f);
    if (!s)
        return -EBADF;
    if (peer && !s->peer_port)
        return -ENOTCONN;
    snprintf(host, cap, "127.0.0.1");
    *port = peer ? s->peer_port : s->port;
    return 0;
}

bool sim_sock_cancel(struct sim_op *o)
{
    switch (o->kind) {
    case SIM_ACCEPT:
    case SIM_RECV:
    case SIM_RECV_MULTI:
        if (!list_linked(&o->disk_node))
            return false;
        list_remove(&o->disk_node);
        finish(o, -ECANCELED, 0);
        return true;
    case SIM_SEND:
        if (!list_linked(&o->disk_node) && !o->ev.armed)
            return false;
        list_remove(&o->disk_node);
        finish(o, -ECANCELED, 0);
        return true;
    case SIM_CONNECT:
        if (!o->ev.armed)
            return false;
        finish(o, -ECANCELED, 0);
        return true;
    default:
        return false; // a notification or a close comes by itself
    }
}

// ---- a process dies ---------------------------------------------------------------------------------------------------------------
static void end_op(struct sim_op *o)
{
    if (sim_sock_cancel(o))
        return;
    if (o->kind == SIM_ZC_NOTIF && o->ev.armed)
        finish(o, 0, IO_OP_NOTIF);
    else if (o->kind == SIM_CLOSE_SOCK && o->ev.armed)
        finish(o, 0, 0);
}

void sim_socks_kill(struct sim_process *p)
{
    list_foreach(n, &p->ios)
    {
        struct sim_io *io = list_entry(n, struct sim_io, node);
        list_foreach_safe(m, &io->ops) end_op(list_entry(m, struct sim_op, io_node));
    }
    list_foreach_safe(n, &p->socks)
    {
        struct sim_sock *s = list_entry(n, struct sim_sock, node);
        s->closing = true;
        close_now(s);
    }
    free(p->socktab);
    p->socktab = NULL;
    p->socktab_n = p->socktab_cap = 0;
}

void sim_socks_destroy(struct sim_world *w)
{
    struct heap keep;
    heap_init(&keep);
    struct heap_node *h;
    while ((h = heap_pop(&w->events)) != NULL) {
        struct sim_event *e = SL_CONTAINER_OF(h, struct sim_event, node);
        if (e->fire != arrive) {
            heap_push(&keep, h, h->key);
            continue;
        }
        free(SL_CONTAINER_OF(e, struct arrival, ev));
    }
    w->events = keep;
    list_foreach_safe(n, &w->all_socks) sock_free(list_entry(n, struct sim_sock, all_node));
}
