#include "bench/load/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "proto/gen/request_header.h"

enum { IN_FIRST = 256 << 10, ANSWER_MAX = 1 << 30 };

static void send_more(struct link *l);
static void receive_more(struct link *l);

// ---- the end of a connection --------------------------------------------------------------------------------------
static void close_done(struct io_op *op, int32_t res)
{
    struct link *l = SL_CONTAINER_OF(op, struct link, close_op);
    (void)res;
    l->sock = -1;
    free(l->in);
    l->in = NULL;
}

// Ends what can be ended: calls whose bytes the kernel still has wait for it.
static void fail_calls(struct link *l)
{
    if (l->sending)
        return;
    struct list_node *n;
    while ((n = list_pop_front(&l->calls))) {
        struct link_call *c = list_entry(n, struct link_call, node);
        l->calls_n--;
        c->done(c, l->why, NULL, 0);
    }
    l->at = NULL;
}

static void maybe_close(struct link *l)
{
    if (!l->broken || l->connecting || l->sending || l->receiving || l->held || l->closing)
        return;
    l->closing = true;
    if (l->sock < 0) {
        close_done(&l->close_op, 0);
        return;
    }
    l->close_op = (struct io_op){.done = close_done};
    io_close_sock(reactor_io(l->r), &l->close_op, l->sock);
}

static void break_now(struct link *l, int why)
{
    if (!l->broken) {
        l->broken = true;
        l->why = why;
        if (l->sock >= 0)
            io_shutdown(reactor_io(l->r), l->sock);
        if (l->on_broken)
            l->on_broken(l);
    }
    fail_calls(l);
    maybe_close(l);
}

void link_close(struct link *l)
{
    break_now(l, -ECANCELED);
}

bool link_closed(const struct link *l)
{
    return l->closing && l->sock < 0;
}

// ---- sending ------------------------------------------------------------------------------------------------------
static struct link_call *call_next(struct link *l, struct link_call *c)
{
    return c->node.next == &l->calls ? NULL : list_entry(c->node.next, struct link_call, node);
}

static uint32_t gather(struct link *l)
{
    uint32_t n = 0;
    size_t bytes = 0, off = l->at_off;
    uint32_t i = l->at_iov;
    for (struct link_call *c = l->at; c && n < LINK_IOV && bytes < LINK_SEND_BYTES; c = call_next(l, c)) {
        c->in_send = true;
        for (; i < c->iov_n && n < LINK_IOV; i++) {
            l->iov[n].iov_base = (uint8_t *)c->iov[i].iov_base + off;
            l->iov[n].iov_len = c->iov[i].iov_len - off;
            bytes += l->iov[n++].iov_len;
            off = 0;
        }
        i = 0;
    }
    return n;
}

static void call_sent(struct link *l, struct link_call *c)
{
    c->in_send = false;
    if (!c->no_answer)
        return;
    list_remove(&c->node);
    l->calls_n--;
    c->done(c, 0, NULL, 0);
}

static void advance(struct link *l, size_t n)
{
    while (n && l->at) {
        struct link_call *c = l->at;
        size_t left = c->iov[l->at_iov].iov_len - l->at_off, k = SL_MIN(n, left);
        l->at_off += k;
        n -= k;
        if (k < left)
            break;
        l->at_off = 0;
        if (++l->at_iov < c->iov_n)
            continue;
        l->at_iov = 0;
        l->at = call_next(l, c);
        call_sent(l, c);
    }
    SL_ASSERT(n == 0);
}

static void send_done(struct io_op *op, int32_t res)
{
    struct link *l = SL_CONTAINER_OF(op, struct link, send_op);
    if (l->broken || (res <= 0 && res != -EAGAIN && res != -EINTR)) {
        l->sending = false;
        break_now(l, res < 0 ? res : -ECONNRESET);
        return;
    }
    if (res > 0) {
        l->bytes_out += (uint64_t)res;
        advance(l, (size_t)res); // may queue calls: they leave below
    }
    l->sending = false;
    if (l->broken) {
        break_now(l, l->why);
        return;
    }
    send_more(l);
    receive_more(l); // an answer may have been faster than this completion
}

static void send_more(struct link *l)
{
    if (l->sending || l->broken || l->connecting || !l->at)
        return;
    uint32_t n = gather(l);
    l->sending = true;
    l->send_op = (struct io_op){.done = send_done};
    io_send(reactor_io(l->r), &l->send_op, l->sock, l->iov, n, 0);
}

uint32_t link_head(struct link *l, struct link_call *c, int16_t api, int16_t version, uint32_t body,
                   uint8_t *out)
{
    struct kp_request_header h = {.request_api_key = api,
                                  .request_api_version = version,
                                  .correlation_id = l->next_correlation,
                                  .client_id = KP_STR_LIT("sluice-bench")};
    struct kp_writer w = {.buf = out + 4, .cap = LINK_HEAD_MAX - 4};
    int rc = kp_request_header_encode(&h, kp_request_header_version(api, version), &w);
    SL_ASSERT(rc == 0);
    c->api = api;
    c->version = version;
    c->correlation = l->next_correlation++;
    be32_store(out, (uint32_t)w.len + body);
    return 4 + (uint32_t)w.len;
}

void link_encode(struct link *l, struct link_call *c, struct link_request *q, int16_t api, int16_t version,
                 const void *msg)
{
    const struct kp_message *m = kp_message_find(KP_KIND_REQUEST, api);
    int64_t n = m->size(msg, version);
    SL_ASSERT(n >= 0);
    if (q->cap < LINK_HEAD_MAX + (size_t)n) {
        free(q->buf);
        q->cap = LINK_HEAD_MAX + (size_t)n * 2;
        q->buf = malloc(q->cap);
        SL_ASSERT(q->buf);
    }
    uint32_t head = link_head(l, c, api, version, (uint32_t)n, q->buf);
    struct kp_writer w = {.buf = q->buf + head, .cap = (size_t)n};
    int rc = m->encode(msg, version, &w);
    SL_ASSERT(rc == 0 && w.len == (size_t)n);
    q->iov = (struct iovec){q->buf, head + w.len};
    c->iov = &q->iov;
    c->iov_n = 1;
    c->bytes = (uint32_t)q->iov.iov_len;
}

void link_request_free(struct link_request *q)
{
    free(q->buf);
    *q = (struct link_request){0};
}

void link_send(struct link *l, struct link_call *c)
{
    SL_ASSERT(c->iov_n > 0 && c->done);
    c->in_send = false;
    c->t_send = reactor_now(l->r);
    list_push_back(&l->calls, &c->node);
    l->calls_n++;
    if (!l->at) {
        l->at = c;
        l->at_iov = 0;
        l->at_off = 0;
    }
    if (l->broken)
        fail_calls(l);
    else
        send_more(l);
}

// ---- receiving ----------------------------------------------------------------------------------------------------
// Bytes of the answer's header: correlation id and, in flexible versions, a tag section that is empty.
static uint32_t answer_head(const struct link_call *c)
{
    return kp_response_header_version(c->api, c->version) > 0 ? 5 : 4;
}

// Takes whole answers. False: the connection broke.
static bool take_all(struct link *l)
{
    while (!l->held && l->in_len - l->in_at >= 4) {
        uint32_t n = be32_load(l->in + l->in_at);
        struct list_node *first = list_first(&l->calls);
        if (!first || n < 4 || n > ANSWER_MAX)
            return false;
        struct link_call *c = list_entry(first, struct link_call, node);
        if (l->in_len - l->in_at - 4 < n || c->in_send)
            return true;
        const uint8_t *p = l->in + l->in_at + 4;
        uint32_t head = answer_head(c);
        if (n < head || be32_load(p) != (uint32_t)c->correlation || (head == 5 && p[4] != 0))
            return false;
        l->in_at += 4 + n;
        list_remove(&c->node);
        l->calls_n--;
        c->done(c, 0, p + head, n - head);
    }
    return true;
}

// Room for the answer in assembly, from the buffer's start.
static bool make_room(struct link *l)
{
    uint32_t have = l->in_len - l->in_at, need = IN_FIRST;
    if (have >= 4)
        need = SL_MAX(need, be32_load(l->in + l->in_at) + 4);
    if (l->in_at) {
        memmove(l->in, l->in + l->in_at, have);
        l->in_at = 0;
        l->in_len = have;
    }
    if (l->in_cap >= need)
        return true;
    uint8_t *p = realloc(l->in, need);
    if (!p)
        return false;
    l->in = p;
    l->in_cap = need;
    return true;
}

static void recv_done(struct io_op *op, int32_t res)
{
    struct link *l = SL_CONTAINER_OF(op, struct link, recv_op);
    l->receiving = false;
    if (l->broken || (res <= 0 && res != -EAGAIN && res != -EINTR)) {
        break_now(l, res < 0 ? res : -ECONNRESET);
        return;
    }
    if (res > 0) {
        l->in_len += (uint32_t)res;
        l->bytes_in += (uint64_t)res;
    }
    receive_more(l);
}

static void receive_more(struct link *l)
{
    if (l->receiving || l->connecting)
        return;
    if (!l->broken && !take_all(l)) {
        break_now(l, -EBADMSG);
        return;
    }
    if (l->broken) {
        maybe_close(l);
        return;
    }
    if (l->held)
        return;
    struct list_node *first = list_first(&l->calls);
    // A whole answer waits for the completion of its own request's send.
    if (first && list_entry(first, struct link_call, node)->in_send && l->in_len > l->in_at)
        return;
    if (!make_room(l)) {
        break_now(l, -ENOMEM);
        return;
    }
    l->receiving = true;
    l->recv_op = (struct io_op){.done = recv_done};
    io_recv(reactor_io(l->r), &l->recv_op, l->sock, l->in + l->in_len, l->in_cap - l->in_len);
}

void link_hold(struct link *l)
{
    SL_ASSERT(!l->held);
    l->held = true;
}

void link_resume(struct link *l)
{
    SL_ASSERT(l->held);
    l->held = false;
    receive_more(l);
}

// ---- connecting ---------------------------------------------------------------------------------------------------
static void connect_done(struct io_op *op, int32_t res)
{
    struct link *l = SL_CONTAINER_OF(op, struct link, connect_op);
    l->connecting = false;
    if (res >= 0)
        l->sock = res;
    if (res < 0 || l->broken) {
        break_now(l, res < 0 ? res : -ECANCELED);
        return;
    }
    send_more(l);
    receive_more(l);
}

void link_open(struct link *l, struct reactor *r, const char *host, uint16_t port)
{
    *l = (struct link){.r = r, .sock = -1, .port = port, .connecting = true, .next_correlation = 1};
    snprintf(l->host, sizeof(l->host), "%s", host);
    list_init(&l->calls);
    l->connect_op = (struct io_op){.done = connect_done};
    io_connect(reactor_io(r), &l->connect_op, l->host, port);
}

void link_reopen(struct link *l, const char *host, uint16_t port)
{
    void *owner = l->owner;
    void (*on_broken)(struct link *) = l->on_broken;
    int32_t node_id = l->node_id;
    uint64_t out = l->bytes_out, in = l->bytes_in;
    SL_ASSERT(link_closed(l));
    link_open(l, l->r, host, port);
    l->owner = owner;
    l->on_broken = on_broken;
    l->node_id = node_id;
    l->bytes_out = out;
    l->bytes_in = in;
}
