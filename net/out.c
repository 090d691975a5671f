// Output of a connection: items in order, one send operation at a time, zero-copy where it pays.
//
// A zero-copy send holds its items until the kernel's notification; the next send starts before that.
// Loopback always copies: after a few notifications that say so, the connection goes back to plain sends.
//
// How much can wait here is bounded: no request is started while OUT_START_MAX bytes wait (conn.c), and a
// connection whose peer does not read is closed like an idle one (net.c).
#include "net/net_private.h"

#include <errno.h>
#include <stdlib.h>

enum { IOV_MAX_SEND = 128, SEND_MAX = 1 << 20, ZC_COPIED_MAX = 4, ITEMS_MAX = 64 };

struct send_op {
    struct io_op op;
    struct list_node node; // on net->in_flight
    struct conn *c;
    struct iovec iov[IOV_MAX_SEND];
    uint32_t iov_n;
    struct out_item *items[ITEMS_MAX]; // each holds one reference
    uint32_t items_n;
    size_t bytes;
};

size_t out_send_op_size(void)
{
    return sizeof(struct send_op);
}

void out_item_free(struct out_item *it)
{
    SL_ASSERT(it->refs == 0);
    if (it->iov != &it->one)
        free(it->iov);
    if (it->req)
        req_free(it->req);
    free(it);
}

static void item_unref(struct out_item *it)
{
    SL_ASSERT(it->refs > 0);
    if (--it->refs || !it->sent)
        return;
    list_remove(&it->node);
    out_item_free(it);
}

void out_push(struct conn *c, struct out_item *it)
{
    list_push_back(&c->out, &it->node);
    c->out_n++;
    c->out_bytes += it->bytes;
    if (c->out_n == 1)
        c->last_active = reactor_now(c->net->r); // the time it has to be read begins
    if (!c->flush_queued) {
        c->flush_queued = true;
        list_push_back(&c->net->flush, &c->flush_node);
    }
}

// Fills the operation with the next bytes of the queue.
static void gather(struct conn *c, struct send_op *s)
{
    list_foreach(n, &c->out)
    {
        struct out_item *it = list_entry(n, struct out_item, node);
        if (s->items_n == ITEMS_MAX || s->iov_n == IOV_MAX_SEND || s->bytes >= SEND_MAX)
            return;
        it->refs++;
        s->items[s->items_n++] = it;
        size_t off = it->at_off;
        for (uint32_t i = it->at; i < it->iov_n && s->iov_n < IOV_MAX_SEND && s->bytes < SEND_MAX; i++) {
            s->iov[s->iov_n++] = (struct iovec){.iov_base = (uint8_t *)it->iov[i].iov_base + off,
                                                .iov_len = it->iov[i].iov_len - off};
            s->bytes += it->iov[i].iov_len - off;
            off = 0;
        }
    }
}

// Moves the queue forward by what the kernel took.
static void advance(struct conn *c, size_t n)
{
    struct list_node *node;
    c->out_bytes -= n;
    while (n && (node = list_first(&c->out))) {
        struct out_item *it = list_entry(node, struct out_item, node);
        size_t left = it->iov[it->at].iov_len - it->at_off;
        size_t k = SL_MIN(n, left);
        it->at_off += k;
        n -= k;
        if (k < left)
            return;
        it->at_off = 0;
        if (++it->at < it->iov_n)
            continue;
        SL_ASSERT(it->refs > 0);
        if (it->req)
            req_stages_count(it->req);
        it->sent = true; // freed when the last operation lets go of it
        list_remove(&it->node);
        list_push_back(&c->leaving, &it->node);
        c->out_n--;
    }
    SL_ASSERT(n == 0);
}

static void send_release(struct send_op *s)
{
    struct conn *c = s->c;
    for (uint32_t i = 0; i < s->items_n; i++)
        item_unref(s->items[i]);
    list_remove(&s->node);
    obj_pool_free(&c->net->sends, s);
    c->ops--;
}

static void send_result(struct conn *c, int32_t res)
{
    c->sending = false;
    if (res > 0) {
        reactor_count(c->net->r, METRIC_NET_BYTES_OUT, (uint64_t)res);
        c->last_active = reactor_now(c->net->r);
        advance(c, (size_t)res);
    } else if (res != -EAGAIN && res != -EINTR) {
        conn_close(c, NULL);
        return;
    }
    out_flush(c);
    // It may start or read what had to wait, or close.
    if (c->eof || !c->receiving || !list_empty(&c->backlog))
        conn_wake(c);
}

static void send_done(struct io_op *op, int32_t res)
{
    struct send_op *s = SL_CONTAINER_OF(op, struct send_op, op);
    struct conn *c = s->c;
    bool more = op->flags & IO_OP_MORE;
    c->ops++; // the connection outlives this call
    if (op->flags & IO_OP_NOTIF) {
        c->zc_copied = op->flags & IO_OP_ZC_COPIED ? (uint8_t)SL_MIN(c->zc_copied + 1, ZC_COPIED_MAX) : 0;
        c->zc_off |= c->zc_copied >= ZC_COPIED_MAX;
    } else {
        send_result(c, res);
    }
    if (!more)
        send_release(s);
    c->ops--;
    conn_maybe_free(c);
}

void out_flush(struct conn *c)
{
    if (c->sending || c->closing || list_empty(&c->out))
        return;
    struct send_op *s = obj_pool_alloc(&c->net->sends);
    if (!s)
        sl_panic("out of memory for a send");
    s->op = (struct io_op){.done = send_done};
    s->c = c;
    list_push_back(&c->net->in_flight, &s->node);
    s->iov_n = s->items_n = 0;
    s->bytes = 0;
    gather(c, s);
    uint64_t zc_min = c->net->zc_min;
    bool zc = zc_min && !c->zc_off && s->bytes >= zc_min;
    c->sending = true;
    c->ops++;
    io_send(reactor_io(c->net->r), &s->op, c->sock, s->iov, s->iov_n, zc ? IO_SEND_ZC : 0);
}

// The connection is gone: what was queued and is not in the kernel's hands is dropped.
void out_drop_all(struct conn *c)
{
    struct list_node *n;
    SL_ASSERT(list_empty(&c->leaving));
    while ((n = list_pop_front(&c->out)))
        out_item_free(list_entry(n, struct out_item, node));
    c->out_n = 0;
    c->out_bytes = 0;
}

void out_destroy(struct net *n)
{
    struct list_node *node;
    while ((node = list_pop_front(&n->in_flight)))
        obj_pool_free(&n->sends, list_entry(node, struct send_op, node));
}
