// Connections: accepting, the two ways of receiving, starting requests in order, closing.
//
// CONN_MULTI: multishot receive into provided buffers, copied into the assembly buffer: idle and small connections hold no
// buffer of their own. CONN_DIRECT: single receives straight into the assembly buffer, for connections that send large
// frames. A connection moves to DIRECT when a frame is larger than what provided buffers are good for, and back after a
// row of small receives.
#include "net/net_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECT_FROM = 32 << 10, DIRECT_ROOM = 64 << 10, SMALL_RECV = 8 << 10, SMALL_STREAK = 32, MULTI_MAX = 4 << 20 };

static bool may_receive(const struct conn *c)
{
    return !c->closing && !c->eof && !c->receiving && !c->cancelling && c->requests_n < CONN_REQUESTS_MAX &&
           !list_linked(&c->mem_wait);
}

// ---- freeing -----------------------------------------------------------------------------------------------------------
struct close_op {
    struct io_op op;
};

static void closed(struct io_op *op, int32_t res)
{
    (void)res;
    free(SL_CONTAINER_OF(op, struct close_op, op));
}

void conn_discard(struct net *n, io_sock sock)
{
    struct close_op *op = calloc(1, sizeof(*op));
    if (!op)
        sl_panic("out of memory");
    op->op.done = closed;
    io_close_sock(reactor_io(n->r), &op->op, sock);
}

void conn_maybe_free(struct conn *c)
{
    struct net *n = c->net;
    if (!c->closing || c->ops || c->requests_n || c->receiving)
        return;
    conn_discard(n, c->sock);
    out_drop_all(c);
    ready_cancel(n->r, &c->go);
    if (c->in)
        frame_free(n, c->in, c->in_cap);
    list_remove(&c->mem_wait);
    list_remove(&c->node);
    if (c->flush_queued)
        list_remove(&c->flush_node);
    n->conns_n--;
    free(c);
    net_maybe_stopped(n);
}

static void held_return(struct conn *c)
{
    while (c->held_n)
        io_buf_return(reactor_io(c->net->r), c->held[--c->held_n].id);
}

// Requests that never started are not answered.
static void drop_unstarted(struct conn *c)
{
    list_foreach_safe(n, &c->requests) {
        struct req *r = list_entry(n, struct req, node);
        if (r->started)
            continue;
        list_remove(n);
        c->requests_n--;
        req_free(r);
    }
}

void conn_close(struct conn *c, const char *why)
{
    if (c->closing)
        return;
    c->closing = true;
    if (why)
        SL_LOG_EVERY(1000, SL_INFO, "net", "connection %llu closed: %s", (unsigned long long)c->id, why);
    io_shutdown(reactor_io(c->net->r), c->sock);
    if (c->receiving)
        io_cancel(reactor_io(c->net->r), &c->recv_op);
    list_remove(&c->mem_wait);
    held_return(c);
    c->ops++; // the caller still uses it
    drop_unstarted(c);
    if (c->on_close)
        c->on_close(c);
    c->ops--;
    ready_push(c->net->r, &c->go); // freed from there, not under the caller
}

// ---- receiving ---------------------------------------------------------------------------------------------------------
static void recv_ended(struct conn *c, int32_t res)
{
    c->eof = true;
    if (res == 0 && !c->closing && c->requests_n) {
        return; // the peer shut its side down: what it asked is still answered, then the connection closes
    }
    conn_close(c, NULL);
}

static bool room_for(struct conn *c, uint32_t n)
{
    if (c->in_cap - c->in_len >= n)
        return true;
    return frame_reserve(c, c->in_len + n) == 0;
}

// Moves held provided buffers into the assembly buffer. False: memory is still short.
static bool held_drain(struct conn *c)
{
    uint32_t k = 0;
    for (; k < c->held_n && !c->closing; k++) {
        if (!room_for(c, c->held[k].n))
            break;
        memcpy(c->in + c->in_len, c->held[k].p, c->held[k].n);
        c->in_len += c->held[k].n;
        io_buf_return(reactor_io(c->net->r), c->held[k].id);
    }
    c->held_n -= k;
    memmove(c->held, c->held + k, c->held_n * sizeof(c->held[0]));
    return c->held_n == 0;
}

// Bytes that find no memory stay in their provided buffer, which throttles the ring, until frames are freed.
static void take_provided(struct conn *c, struct io_op *op, uint32_t n)
{
    if (c->held_n == CONN_HELD_MAX) {
        io_buf_return(reactor_io(c->net->r), op->buf_id);
        conn_close(c, "no memory for its frames (sluice.pool.bytes)");
        return;
    }
    c->held[c->held_n].p = op->buf;
    c->held[c->held_n].id = op->buf_id;
    c->held[c->held_n++].n = n;
    if (held_drain(c))
        frame_take_all(c);
}

static bool wants_direct(const struct conn *c)
{
    return c->in_cap > DIRECT_FROM;
}

static void multi_done(struct io_op *op, int32_t res)
{
    struct conn *c = SL_CONTAINER_OF(op, struct conn, recv_op);
    struct net *n = c->net;
    bool more = op->flags & IO_OP_MORE, has = op->flags & IO_OP_BUFFER;
    if (!more)
        c->receiving = c->cancelling = false;
    if (has && res > 0 && !c->closing) {
        reactor_count(n->r, METRIC_NET_BYTES_IN, (uint64_t)res);
        c->last_active = reactor_now(n->r);
        take_provided(c, op, (uint32_t)res);
    } else if (has) {
        io_buf_return(reactor_io(n->r), op->buf_id);
    }
    if (!more && !c->closing && (res == 0 || (res < 0 && res != -ENOBUFS && res != -ECANCELED && res != -EINTR)))
        recv_ended(c, res);
    bool stop = wants_direct(c) || c->requests_n >= CONN_REQUESTS_MAX || list_linked(&c->mem_wait);
    if (more && stop && !c->cancelling && !c->closing) {
        c->cancelling = true;
        io_cancel(reactor_io(n->r), &c->recv_op);
    }
    if (c->closing)
        conn_maybe_free(c);
    else
        conn_read_more(c);
}

static void direct_done(struct io_op *op, int32_t res)
{
    struct conn *c = SL_CONTAINER_OF(op, struct conn, recv_op);
    c->receiving = c->cancelling = false;
    if (c->closing) {
        conn_maybe_free(c);
        return;
    }
    if (res <= 0 && res != -EINTR && res != -EAGAIN) {
        recv_ended(c, res);
        return;
    }
    if (res > 0) {
        reactor_count(c->net->r, METRIC_NET_BYTES_IN, (uint64_t)res);
        c->last_active = reactor_now(c->net->r);
        c->in_len += (uint32_t)res;
        c->small_streak = res < SMALL_RECV ? c->small_streak + 1 : 0;
        if (!frame_take_all(c))
            return;
    }
    conn_read_more(c);
}

static void choose_mode(struct conn *c)
{
    if (c->mode == CONN_MULTI && wants_direct(c)) {
        c->mode = CONN_DIRECT;
        c->small_streak = 0;
    } else if (c->mode == CONN_DIRECT && c->small_streak >= SMALL_STREAK && c->in_len < DIRECT_FROM) {
        c->mode = CONN_MULTI;
        c->small_streak = 0;
    }
    if (c->mode == CONN_MULTI && c->in && c->in_len == 0) {
        uint8_t *p = c->in;
        c->in = NULL;
        uint32_t cap = c->in_cap;
        c->in_cap = 0;
        frame_free(c->net, p, cap);
    }
}

void conn_read_more(struct conn *c)
{
    struct io *io = reactor_io(c->net->r);
    if (c->closing || (c->held_n && !held_drain(c)))
        return;
    if (c->in_len >= 4 && !frame_take_all(c))
        return;
    if (!may_receive(c))
        return;
    choose_mode(c);
    if (c->mode == CONN_MULTI) {
        c->recv_op = (struct io_op){.done = multi_done};
        c->receiving = true;
        io_recv_multi(io, &c->recv_op, c->sock);
        return;
    }
    if (c->in_cap == c->in_len && frame_reserve(c, SL_MAX(c->in_len * 2, (uint32_t)DIRECT_ROOM)))
        return;
    c->recv_op = (struct io_op){.done = direct_done};
    c->receiving = true;
    io_recv(io, &c->recv_op, c->sock, c->in + c->in_len, c->in_cap - c->in_len);
}

// ---- requests ------------------------------------------------------------------------------------------------------------
static bool may_start(const struct conn *c, const struct req *r)
{
    if (c->requests.next == &r->node)
        return true;
    // Behind others: only a pipelined API behind the same API.
    const struct req *before = list_entry(r->node.prev, struct req, node);
    return r->api->pipelined && before->started && before->api == r->api;
}

void conn_start_requests(struct conn *c)
{
    c->ops++;
    list_foreach_safe(n, &c->requests) {
        struct req *r = list_entry(n, struct req, node);
        if (r->started)
            continue;
        if (c->closing || !may_start(c, r))
            break;
        r->started = true;
        r->api->start(r);
    }
    c->ops--;
}

static void conn_go(struct ready *w)
{
    struct conn *c = SL_CONTAINER_OF(w, struct conn, go);
    if (!c->closing)
        conn_start_requests(c);
    if (!c->closing && c->eof && !c->requests_n && list_empty(&c->out))
        conn_close(c, NULL);
    if (c->closing)
        conn_maybe_free(c);
    else
        conn_read_more(c);
}

void conn_new(struct net *n, struct listener *l, io_sock sock)
{
    struct conn *c = calloc(1, sizeof(*c));
    if (!c)
        sl_panic("out of memory for a connection");
    c->net = n;
    c->sock = sock;
    c->id = n->next_conn++;
    c->listener = l->cfg;
    c->last_active = reactor_now(n->r);
    c->go.run = conn_go;
    list_init(&c->go.node);
    list_init(&c->mem_wait);
    list_init(&c->requests);
    list_init(&c->out);
    list_init(&c->flush_node);
    list_push_back(&n->conns, &c->node);
    n->conns_n++;
    conn_read_more(c);
}
