// Connections: the two ways of receiving, starting requests in order, ending and closing.
//
// CONN_MULTI: multishot receive into provided buffers, copied into the assembly buffer: idle and small
// connections hold no buffer of their own. CONN_DIRECT: single receives straight into the assembly buffer, for
// connections that send large frames, and for all that begin a frame while memory is short. A connection moves to
// DIRECT when a frame is larger than what provided buffers are good for, and back after a row of small frames or
// when it is idle. A direct receive is armed only when the multishot receive before it has had its last completion
// and its bytes are in the assembly buffer, so bytes keep their order.
//
//   reading ──eof, bad frame──► eof ──all answered and sent──► closing ──last operation home──► freed
//      └────────────── error, stop, idle ──────────────────────►┘
//
// Nothing is freed under a caller: conn_close and conn_end only mark, and `go` does the rest in this turn or the
// next. Whatever may allow progress ends in conn_wake or conn_read_more: an answer, bytes sent, memory given back.
#include "net/net_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECT_FROM = CONN_SMALL_FRAME, DIRECT_ROOM = 64 << 10, DIRECT_PIECE = 512 << 10, SMALL_FRAMES = 16 };

// ---- freeing -----------------------------------------------------------------------------------------------------------
struct close_op {
    struct io_op op;
    struct list_node node; // on net->closes
    struct net *net;
};

static void closed(struct io_op *op, int32_t res)
{
    struct close_op *c = SL_CONTAINER_OF(op, struct close_op, op);
    struct net *n = c->net;
    (void)res;
    list_remove(&c->node);
    free(c);
    net_maybe_stopped(n);
}

void conn_discard(struct net *n, io_sock sock)
{
    struct close_op *c = calloc(1, sizeof(*c));
    if (!c)
        sl_panic("out of memory to close a socket");
    c->op.done = closed;
    c->net = n;
    list_push_back(&n->closes, &c->node);
    io_close_sock(reactor_io(n->r), &c->op, sock);
}

void conn_discards_destroy(struct net *n)
{
    struct list_node *node;
    while ((node = list_pop_front(&n->closes)))
        free(list_entry(node, struct close_op, node));
}

static void conn_free(struct conn *c)
{
    struct net *n = c->net;
    out_drop_all(c);
    ready_cancel(n->r, &c->go);
    timer_cancel(n->r, &c->unthrottle);
    frame_drop(c);
    frame_grant_end(n, &c->granted);
    SL_ASSERT(c->held_n == 0 && c->frame_bytes == 0);
    free(c->held);
    list_remove(&c->mem_wait);
    list_remove(&c->node);
    if (c->flush_queued)
        list_remove(&c->flush_node);
    n->conns_n--;
    net_limits_leave(n->cfg.limits, c->peer);
    listeners_room(n);
    reactor_count(n->r, METRIC_NET_CONNECTIONS, UINT64_MAX); // -1
    free(c);
}

void conn_maybe_free(struct conn *c)
{
    struct net *n = c->net;
    if (!c->closing || c->ops || c->requests_n || c->receiving)
        return;
    conn_discard(n, c->sock);
    fetch_keep_free(c, true);
    conn_free(c);
    net_maybe_stopped(n);
}

void conn_destroy(struct conn *c)
{
    struct list_node *n;
    while ((n = list_pop_front(&c->backlog)) || (n = list_pop_front(&c->requests)))
        req_destroy(list_entry(n, struct req, node));
    while ((n = list_pop_front(&c->out)) || (n = list_pop_front(&c->leaving))) {
        struct out_item *it = list_entry(n, struct out_item, node);
        it->refs = 0;
        it->req->answer = NULL;
        req_destroy(it->req);
        it->req = NULL;
        out_item_free(it);
    }
    c->held_n = 0;
    fetch_keep_free(c, false);
    conn_free(c);
}

static void held_pop(struct conn *c)
{
    io_buf_return(reactor_io(c->net->r), c->held[c->held_at++].id);
    if (c->held_at == c->held_n)
        c->held_at = c->held_n = 0;
}

// Requests that never started are not answered.
static void drop_backlog(struct conn *c)
{
    struct list_node *n;
    while ((n = list_pop_front(&c->backlog))) {
        c->requests_n--;
        req_free(list_entry(n, struct req, node));
    }
}

// What was received and is not a request yet is forgotten.
static void drop_input(struct conn *c)
{
    while (c->held_n)
        held_pop(c);
    list_remove(&c->mem_wait);
    if (c->receiving && c->mode == CONN_DIRECT)
        return; // the kernel still writes into its buffer
    frame_drop(c);
    frame_grant_end(c->net, &c->granted);
}

static void cancel_receive(struct conn *c)
{
    if (!c->receiving || c->cancelling)
        return;
    c->cancelling = true;
    io_cancel(reactor_io(c->net->r), &c->recv_op);
}

void conn_wake(struct conn *c)
{
    ready_push(c->net->r, &c->go);
}

bool conn_may_take(const struct conn *c)
{
    return !c->closing && !c->throttled && !list_linked(&c->mem_wait) &&
           c->requests_n + c->out_n < CONN_REQUESTS_MAX &&
           (c->frame_bytes < c->net->frame_share || !c->requests_n);
}

void conn_close(struct conn *c, const char *why)
{
    if (c->closing)
        return;
    c->closing = c->eof = c->muted = true;
    c->closed_at = reactor_now(c->net->r);
    if (why)
        SL_LOG_EVERY(1000, SL_INFO, "net", "connection %llu closed: %s", (unsigned long long)c->id, why);
    io_shutdown(reactor_io(c->net->r), c->sock);
    timer_cancel(c->net->r, &c->unthrottle);
    c->throttled = 0;
    cancel_receive(c);
    drop_input(c);
    drop_backlog(c);
    if (c->on_close)
        c->on_close(c);
    conn_wake(c);
}

// What its peer has not acknowledged may be held by the kernel for minutes: a socket that closing did not bring home is
// reset, and gives it back.
void conn_abort_overdue(struct conn *c, uint64_t patience_ns)
{
    if (c->closing && c->ops && reactor_now(c->net->r) - c->closed_at >= patience_ns)
        io_abort(reactor_io(c->net->r), c->sock);
}

void conn_end(struct conn *c, const char *why, bool mute)
{
    if (c->closing)
        return;
    if (!c->why)
        c->why = why;
    c->eof = true;
    cancel_receive(c);
    drop_input(c);
    if (mute) {
        c->muted = true;
        drop_backlog(c);
    }
    conn_wake(c);
}

// ---- receiving ---------------------------------------------------------------------------------------------------------
// The peer shut its side down, or the connection broke. What was asked before an orderly end is still
// answered, a waiting request at once.
static void recv_ended(struct conn *c, int32_t res)
{
    if (res < 0) {
        conn_close(c, NULL);
        return;
    }
    c->eof = true;
    if (c->on_close)
        c->on_close(c);
    conn_wake(c);
}

static bool may_receive(const struct conn *c)
{
    return !c->eof && !c->receiving && conn_may_take(c);
}

// Between frames it is taken to send on as it did.
static bool wants_direct(const struct conn *c)
{
    uint32_t need = frame_need(c);
    return (need ? need : c->last_frame) > DIRECT_FROM;
}

// Moves held provided buffers into the assembly buffer, and takes the frames. False: memory is short, or it
// has ended.
static bool held_drain(struct conn *c)
{
    while (c->held_n) {
        const struct held_buf *h = &c->held[c->held_at];
        uint32_t have = c->in_len - c->in_at, need = frame_need(c);
        uint32_t want = have + h->n;
        if (!have && h->n >= 4)
            need = frame_need_at(c, h->p);
        if (need > have)
            want = SL_MAX(want, frame_want(c, need, have));
        if (frame_reserve(c, want, need))
            return false;
        if (!have)
            c->frame_since = reactor_now(c->net->r);
        memcpy(c->in + c->in_len, h->p, h->n);
        c->in_len += h->n;
        held_pop(c);
        if (!frame_take_all(c))
            return false;
    }
    return true;
}

// Bytes that find no memory stay in their provided buffers, which throttles everyone's receives, until frames
// are freed.
static void held_push(struct conn *c, const struct io_op *op, uint32_t n)
{
    if (c->held_n == c->held_cap) {
        uint32_t cap = c->held_cap ? c->held_cap * 2 : 4;
        struct held_buf *h = realloc(c->held, cap * sizeof(*h));
        if (!h)
            sl_panic("out of memory for received bytes");
        c->held = h;
        c->held_cap = cap;
    }
    c->held[c->held_n++] = (struct held_buf){.p = op->buf, .id = op->buf_id, .n = n};
}

static void multi_done(struct io_op *op, int32_t res)
{
    struct conn *c = SL_CONTAINER_OF(op, struct conn, recv_op);
    struct net *n = c->net;
    bool more = op->flags & IO_OP_MORE, has = op->flags & IO_OP_BUFFER, ours = c->cancelling;
    if (!more)
        c->receiving = c->cancelling = false;
    if (has && res > 0 && !c->eof) {
        reactor_count(n->r, METRIC_NET_BYTES_IN, (uint64_t)res);
        c->last_active = reactor_now(n->r);
        held_push(c, op, (uint32_t)res);
    } else if (has) {
        io_buf_return(reactor_io(n->r), op->buf_id);
    }
    bool ended = res == 0 || (res < 0 && res != -ENOBUFS && res != -EINTR && !(res == -ECANCELED && ours));
    c->ops++;
    if (!more && ended && !c->eof)
        recv_ended(c, res);
    conn_read_more(c); // also after an orderly end: what came before it is served
    if (more && !c->eof && (wants_direct(c) || !conn_may_take(c)))
        cancel_receive(c);
    c->ops--;
    conn_maybe_free(c);
}

static void direct_done(struct io_op *op, int32_t res)
{
    struct conn *c = SL_CONTAINER_OF(op, struct conn, recv_op);
    bool ours = c->cancelling;
    c->receiving = c->cancelling = false;
    c->ops++;
    if (c->eof) {
        frame_drop(c);
        frame_grant_end(c->net, &c->granted);
        conn_wake(c);
    } else if (res > 0) {
        reactor_count(c->net->r, METRIC_NET_BYTES_IN, (uint64_t)res);
        c->last_active = reactor_now(c->net->r);
        if (c->in_len == c->in_at)
            c->frame_since = c->last_active;
        c->in_len += (uint32_t)res;
        conn_read_more(c);
    } else if (res == -ECANCELED && ours) { // conn_relax
        c->mode = CONN_MULTI;
        c->last_frame = 0; // it need not send on as it did
        conn_read_more(c);
    } else if (res == -EINTR || res == -EAGAIN) {
        conn_read_more(c);
    } else {
        recv_ended(c, res);
    }
    c->ops--;
    conn_maybe_free(c);
}

static void choose_mode(struct conn *c)
{
    bool between = c->in_len == c->in_at;
    if (c->mode == CONN_MULTI && wants_direct(c))
        c->mode = CONN_DIRECT;
    else if (c->mode == CONN_DIRECT && c->small_frames >= SMALL_FRAMES && between)
        c->mode = CONN_MULTI;
    bool pressed = between && frame_pressed(c->net);
    if (between && (c->mode == CONN_MULTI || pressed || c->in_cap > BUF_POOL_SLAB)) {
        frame_drop(c);
        frame_grant_end(c->net, &c->granted);
    }
    if (pressed) {
        c->mode = CONN_DIRECT;
        frame_use_head(c);
    }
}

// To the end of the frame in assembly; between frames, as much as the last one had.
static void arm_direct(struct conn *c)
{
    uint32_t have = c->in_len - c->in_at, need = frame_need(c);
    uint32_t want = SL_MIN(SL_MAX(c->last_frame, (uint32_t)DIRECT_ROOM), (uint32_t)BUF_POOL_SLAB);
    want = need ? frame_want(c, need, have) : SL_MAX(want, have + 4);
    if (c->mem.kind == FRAME_IN_HEAD && !need)
        want = c->in_cap - c->in_at;
    if (frame_reserve(c, want, need))
        return;
    uint32_t room = c->in_cap - c->in_at;
    uint32_t end = need ? SL_MIN(need, room) : want;
    SL_ASSERT(end > have);
    c->recv_op = (struct io_op){.done = direct_done};
    c->receiving = true;
    // In bounded pieces, so that a slow sender is seen to send.
    if (need)
        io_recv_all(reactor_io(c->net->r), &c->recv_op, c->sock, c->in + c->in_len,
                    SL_MIN(end - have, (uint32_t)DIRECT_PIECE));
    else
        io_recv(reactor_io(c->net->r), &c->recv_op, c->sock, c->in + c->in_len, end - have);
}

void conn_read_more(struct conn *c)
{
    if (c->closing || list_linked(&c->mem_wait) || (c->receiving && c->mode == CONN_DIRECT))
        return;
    if (!held_drain(c) || !frame_take_all(c) || !may_receive(c))
        return; // whatever it waits for wakes it
    choose_mode(c);
    if (c->mode == CONN_DIRECT) {
        arm_direct(c);
        return;
    }
    c->recv_op = (struct io_op){.done = multi_done};
    c->receiving = true;
    io_recv_multi(reactor_io(c->net->r), &c->recv_op, c->sock);
}

void conn_relax(struct conn *c)
{
    bool head = c->mem.kind == FRAME_IN_HEAD && frame_pressed(c->net); // it holds nothing
    if (!c->closing && !c->eof && c->mode == CONN_DIRECT && c->receiving && c->in_len == c->in_at && !head)
        cancel_receive(c);
}

// ---- requests ------------------------------------------------------------------------------------------------------------
static bool may_start(const struct conn *c, const struct req *r)
{
    if (c->closing || c->throttled || c->out_bytes >= OUT_START_MAX)
        return false;
    if (list_empty(&c->requests))
        return true;
    // Behind others: only a pipelined API behind the same API.
    return r->api->pipelined && list_entry(c->requests.prev, struct req, node)->api == r->api;
}

// Its time counts for a quota on requests, if there is one.
static void start_one(struct net *n, struct req *r)
{
    bool timed = quota_any(n);
    if (timed) {
        n->busy = r;
        n->busy_since = io_now_ns(reactor_io(n->r));
    }
    r->api->start(r);
    if (timed && n->busy == r) // it is still there
        r->busy_ns += io_now_ns(reactor_io(n->r)) - n->busy_since;
    n->busy = NULL;
}

static void start_requests(struct conn *c)
{
    struct list_node *n;
    while ((n = list_first(&c->backlog))) {
        struct req *r = list_entry(n, struct req, node);
        if (!may_start(c, r))
            break;
        list_remove(n);
        list_push_back(&c->requests, n);
        start_one(c->net, r);
    }
}

static void unthrottle(struct timer *t)
{
    struct conn *c = SL_CONTAINER_OF(t, struct conn, unthrottle);
    c->throttled = 0;
    c->last_active = reactor_now(c->net->r);
    conn_wake(c);
}

// KIP-219: the answer that names the time is on its way, the next request waits.
void conn_throttle(struct conn *c, uint32_t ms)
{
    uint64_t until = reactor_now(c->net->r) + ms * 1000000ull;
    if (c->closing || until <= c->throttled)
        return;
    c->throttled = until;
    timer_set(c->net->r, &c->unthrottle, until);
    if (c->mode == CONN_MULTI)
        cancel_receive(c);
}

static void conn_go(struct ready *w)
{
    struct conn *c = SL_CONTAINER_OF(w, struct conn, go);
    c->ops++;
    start_requests(c);
    conn_read_more(c);
    bool nothing = !c->requests_n && !list_linked(&c->mem_wait);
    if (c->eof && !c->closing && list_empty(&c->out) && (c->muted || nothing))
        conn_close(c, c->why);
    c->ops--;
    conn_maybe_free(c);
}

void conn_new(struct net *n, struct listener *l, io_sock sock, const char *peer)
{
    struct conn *c = calloc(1, sizeof(*c));
    if (!c) {
        net_limits_leave(n->cfg.limits, peer);
        conn_discard(n, sock);
        return;
    }
    c->net = n;
    c->sock = sock;
    c->id = n->next_conn++;
    c->listener = l->cfg;
    snprintf(c->peer, sizeof(c->peer), "%s", peer);
    c->last_active = reactor_now(n->r);
    c->go.run = conn_go;
    timer_init(&c->unthrottle, unthrottle);
    list_init(&c->go.node);
    list_init(&c->mem_wait);
    list_init(&c->backlog);
    list_init(&c->requests);
    list_init(&c->out);
    list_init(&c->leaving);
    list_init(&c->flush_node);
    list_push_back(&n->conns, &c->node);
    n->conns_n++;
    reactor_count(n->r, METRIC_NET_CONNECTIONS, 1);
    conn_read_more(c);
}
