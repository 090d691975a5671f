// The metrics endpoint: a few lines of HTTP/1.1 for Prometheus and for people, on a listener of its own
// (sluice.metrics.listener), served by one reactor for all.
//
//   GET /metrics   every row of engine/base/metrics_table.h, summed over reactors, text format 0.0.4
//   GET /slow      the slowest requests of the last two minutes with what each stage took, one a line
//
// One request a connection, at most HTTP_CONNS at a time and HTTP_TIME_NS each; a request head has HTTP_HEAD
// bytes. Anything else is answered with 400, 404, 405 or 503.
#include "net/net_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/sbuf.h"

enum { HTTP_CONNS = 8, HTTP_HEAD = 2048 };
#define HTTP_TIME_NS UINT64_C(5000000000)

struct http_conn {
    struct list_node node;
    struct http *h;
    io_sock sock;
    struct io_op op;
    struct timer timer;
    char in[HTTP_HEAD + 1];
    uint32_t in_len;
    struct sbuf out;
    size_t sent;
    struct iovec iov;
    bool busy, over; // busy: an operation is in flight
};

struct http {
    struct net *net;
    io_sock sock;
    struct io_op accept_op;
    bool armed, stopping;
    struct list_node conns;
    uint32_t conns_n;
};

static void accept_arm(struct http *h);

// ---- the end of a connection -------------------------------------------------------------------------------------------
static void closed(struct io_op *op, int32_t res)
{
    struct http_conn *c = SL_CONTAINER_OF(op, struct http_conn, op);
    struct net *n = c->h->net;
    (void)res;
    list_remove(&c->node);
    c->h->conns_n--;
    sbuf_free(&c->out);
    free(c);
    net_maybe_stopped(n);
}

static void finish(struct http_conn *c)
{
    if (!c->over) {
        c->over = true;
        timer_cancel(c->h->net->r, &c->timer);
        io_shutdown(reactor_io(c->h->net->r), c->sock);
    }
    if (c->busy)
        return;
    c->busy = true;
    c->op = (struct io_op){.done = closed};
    io_close_sock(reactor_io(c->h->net->r), &c->op, c->sock);
}

static void timed_out(struct timer *t)
{
    finish(SL_CONTAINER_OF(t, struct http_conn, timer));
}

// ---- the pages ---------------------------------------------------------------------------------------------------------
static int page_metrics(const struct net *n, struct sbuf *out)
{
    struct metrics *sum = metrics_create(1);
    if (!sum)
        return -ENOMEM;
    metrics_snapshot(n->cfg.metrics, n->cfg.metrics_n, sum);
    int rc = metrics_print(sum, out);
    metrics_destroy(sum);
    return rc;
}

static void slow_line(struct sbuf *out, uint32_t reactor, const struct slow_request *s)
{
    const struct kp_api *api = kp_api_find((int16_t)s->api);
    sbuf_printf(out, "ended_ms=%llu reactor=%u api=%s version=%llu bytes=%llu total_us=%.1f",
                (unsigned long long)s->wall_ms, reactor, api ? api->name : "?",
                (unsigned long long)s->version, (unsigned long long)s->bytes, (double)s->total_ns / 1e3);
    for (int i = REQ_PARSED; i < REQ_STAGES; i++)
        if (s->stage_ns[i])
            sbuf_printf(out, " %s_us=%.1f", req_stage_name(s->api == 1, (enum req_stage)i),
                        (double)s->stage_ns[i] / 1e3);
    sbuf_puts(out, " client=");
    for (const char *p = s->client; *p; p++)
        sbuf_putc(out, *p > ' ' && *p < 127 ? *p : '_');
    sbuf_putc(out, '\n');
}

static int page_slow(const struct net *n, struct sbuf *out)
{
    struct slow_request kept[2 * SLOW_KEEP];
    for (uint32_t i = 0; i < n->cfg.metrics_n; i++) {
        uint32_t k = slow_read(&n->cfg.metrics[i].slow, kept);
        for (uint32_t j = 0; j < k; j++)
            slow_line(out, i, &kept[j]);
    }
    return sbuf_reserve(out, 0);
}

// ---- answering ---------------------------------------------------------------------------------------------------------
static void answer_more(struct http_conn *c);

static void sent(struct io_op *op, int32_t res)
{
    struct http_conn *c = SL_CONTAINER_OF(op, struct http_conn, op);
    c->busy = false;
    if (res > 0)
        c->sent += (size_t)res;
    if (c->over || (res <= 0 && res != -EAGAIN && res != -EINTR) || c->sent == c->out.len)
        finish(c);
    else
        answer_more(c);
}

static void answer_more(struct http_conn *c)
{
    c->busy = true;
    c->op = (struct io_op){.done = sent};
    c->iov = (struct iovec){c->out.data + c->sent, c->out.len - c->sent};
    io_send(reactor_io(c->h->net->r), &c->op, c->sock, &c->iov, 1, 0);
}

static void answer(struct http_conn *c, const char *status, const struct sbuf *body)
{
    sbuf_printf(
        &c->out,
        "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %zu\r\n"
        "Connection: close\r\n\r\n",
        status, body->len);
    sbuf_append(&c->out, sbuf_cstr(body), body->len);
    if (c->out.failed)
        finish(c);
    else
        answer_more(c);
}

static void answer_error(struct http_conn *c, const char *status)
{
    struct sbuf body;
    sbuf_init(&body);
    sbuf_printf(&body, "%s\n", status);
    answer(c, status, &body);
    sbuf_free(&body);
}

// The head is whole: GET PATH HTTP/1.x
static void serve(struct http_conn *c)
{
    struct net *n = c->h->net;
    struct sbuf body;
    char *path = strchr(c->in, ' '), *end = path ? strpbrk(path + 1, " ?\r\n") : NULL;
    int rc = -ENOENT;
    if (!end || !strstr(c->in, " HTTP/1.")) {
        answer_error(c, "400 Bad Request");
        return;
    }
    *end = 0;
    if (strncmp(c->in, "GET ", 4)) {
        answer_error(c, "405 Method Not Allowed");
        return;
    }
    sbuf_init(&body);
    if (!strcmp(path + 1, "/metrics"))
        rc = page_metrics(n, &body);
    else if (!strcmp(path + 1, "/slow"))
        rc = page_slow(n, &body);
    if (rc)
        answer_error(c, rc == -ENOENT ? "404 Not Found: there are /metrics and /slow"
                                      : "503 Service Unavailable");
    else
        answer(c, "200 OK", &body);
    sbuf_free(&body);
}

// ---- receiving ---------------------------------------------------------------------------------------------------------
static void receive(struct http_conn *c);

static void received(struct io_op *op, int32_t res)
{
    struct http_conn *c = SL_CONTAINER_OF(op, struct http_conn, op);
    c->busy = false;
    if (c->over || (res <= 0 && res != -EAGAIN && res != -EINTR)) {
        finish(c);
        return;
    }
    c->in_len += res > 0 ? (uint32_t)res : 0;
    c->in[c->in_len] = 0;
    if (strstr(c->in, "\r\n\r\n"))
        serve(c);
    else if (c->in_len == HTTP_HEAD)
        answer_error(c, "400 Bad Request");
    else
        receive(c);
}

static void receive(struct http_conn *c)
{
    c->busy = true;
    c->op = (struct io_op){.done = received};
    io_recv(reactor_io(c->h->net->r), &c->op, c->sock, c->in + c->in_len, HTTP_HEAD - c->in_len);
}

static void accepted(struct io_op *op, int32_t res)
{
    struct http *h = SL_CONTAINER_OF(op, struct http, accept_op);
    if (!(op->flags & IO_OP_MORE))
        h->armed = false;
    if (res >= 0) {
        struct http_conn *c = h->conns_n < HTTP_CONNS && !h->stopping ? calloc(1, sizeof(*c)) : NULL;
        if (c) {
            c->h = h;
            c->sock = res;
            sbuf_init(&c->out);
            timer_init(&c->timer, timed_out);
            timer_set(h->net->r, &c->timer, reactor_now(h->net->r) + HTTP_TIME_NS);
            list_push_back(&h->conns, &c->node);
            h->conns_n++;
            receive(c);
        } else {
            conn_discard(h->net, res);
        }
    }
    if (!h->armed && h->stopping) {
        conn_discard(h->net, h->sock);
        h->sock = -1;
    } else if (!h->armed && res >= 0) {
        accept_arm(h); // after an error the tick does it: at once, it might fail at once
    }
    net_maybe_stopped(h->net);
}

static void accept_arm(struct http *h)
{
    h->armed = true;
    h->accept_op = (struct io_op){.done = accepted};
    io_accept(reactor_io(h->net->r), &h->accept_op, h->sock);
}

// ---- life --------------------------------------------------------------------------------------------------------------
// host:port
static int address_parse(const char *text, char *host, size_t cap, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    long p = colon ? strtol(colon + 1, &end, 10) : -1;
    if (!colon || colon == text || (size_t)(colon - text) >= cap || end == colon + 1 || *end || p < 1 ||
        p > 65535)
        return -EINVAL;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    *port = (uint16_t)p;
    return 0;
}

int http_listen(struct net *n, char *err, size_t cap)
{
    const char *text = cfg_str(n->cfg.cfg, CFG_SLUICE_METRICS_LISTENER);
    char host[256];
    uint16_t port;
    if (reactor_id(n->r) != n->cfg.placement->net_reactor[0] || !text || !text[0])
        return 0;
    if (address_parse(text, host, sizeof(host), &port)) {
        snprintf(err, cap, "sluice.metrics.listener=%s: must be host:port, port from 1 to 65535", text);
        return -EINVAL;
    }
    struct http *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->net = n;
    list_init(&h->conns);
    h->sock = io_listen(reactor_io(n->r), host, port, HTTP_CONNS);
    if (h->sock < 0) {
        int rc = h->sock;
        snprintf(err, cap, "sluice.metrics.listener=%s: %s", text, strerror(-rc));
        free(h);
        return rc;
    }
    n->http = h;
    accept_arm(h);
    return 0;
}

void http_tick(struct net *n)
{
    if (n->http && !n->http->armed && !n->http->stopping)
        accept_arm(n->http);
}

void http_stop(struct net *n)
{
    struct http *h = n->http;
    if (!h || h->stopping)
        return;
    h->stopping = true;
    if (h->armed) {
        io_cancel(reactor_io(n->r), &h->accept_op);
    } else {
        conn_discard(n, h->sock);
        h->sock = -1;
    }
    list_foreach_safe(node, &h->conns) finish(list_entry(node, struct http_conn, node));
}

bool http_stopped(const struct net *n)
{
    return !n->http || (!n->http->armed && n->http->sock < 0 && !n->http->conns_n);
}

void http_destroy(struct net *n)
{
    struct list_node *node;
    if (!n->http)
        return;
    while ((node = list_pop_front(&n->http->conns))) {
        struct http_conn *c = list_entry(node, struct http_conn, node);
        timer_cancel(n->r, &c->timer);
        sbuf_free(&c->out);
        free(c);
    }
    free(n->http);
    n->http = NULL;
}
