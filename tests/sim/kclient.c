// See kclient.h. A connection has a reader and a writer fiber; both end when it breaks.
#include "tests/sim/kclient.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/base/bytes.h"
#include "engine/base/sbuf.h"
#include "proto/gen/request_header.h"
#include "proto/gen/response_header.h"

struct kconn {
    struct run *run;
    struct reactor *r;
    io_sock s;
    bool broken, closed;
    int32_t correlation;
    struct list_node calls; // in order
    struct sbuf out;        // to be sent
    struct fiber *writer;
    bool writer_waits;
    uint32_t fibers;
};

struct sock_op {
    struct io_op op;
    struct fiber *f;
    int32_t res;
    bool done;
};

static void sock_done(struct io_op *op, int32_t res)
{
    struct sock_op *x = SL_CONTAINER_OF(op, struct sock_op, op);
    x->res = res;
    x->done = true;
    fiber_wake(x->f);
}

static struct sock_op sock_begin(void)
{
    return (struct sock_op){.op = {.done = sock_done}, .f = fiber_current()};
}

static int32_t sock_end(struct sock_op *x)
{
    while (!x->done)
        fiber_park();
    return x->res;
}

// ---- breaking -------------------------------------------------------------------------------------------------------
static void fail_calls(struct kconn *c)
{
    struct list_node *n;
    while ((n = list_pop_front(&c->calls)) != NULL) {
        struct kcall *call = list_entry(n, struct kcall, node);
        call->err = -ECONNRESET;
        call->done(call);
    }
}

static void break_now(struct kconn *c)
{
    if (c->broken)
        return;
    c->broken = true;
    io_shutdown(reactor_io(c->r), c->s);
    fail_calls(c);
    if (c->writer_waits)
        fiber_wake(c->writer);
}

// The last fiber to leave frees the connection.
static void leave(struct kconn *c)
{
    break_now(c);
    if (--c->fibers)
        return;
    struct sock_op x = sock_begin();
    io_close_sock(reactor_io(c->r), &x.op, c->s);
    sock_end(&x);
    while (!c->closed)
        fiber_sleep(1000000);
    sbuf_free(&c->out);
    free(c);
}

bool kconn_broken(const struct kconn *c)
{
    return c->broken;
}

void kconn_close(struct kconn *c)
{
    break_now(c);
    c->closed = true;
}

// ---- writing ----------------------------------------------------------------------------------------------------------
static int send_all(struct kconn *c, const char *p, size_t n)
{
    while (n && !c->broken) {
        struct sock_op x = sock_begin();
        struct iovec v = {(void *)(uintptr_t)p, n};
        io_send(reactor_io(c->r), &x.op, c->s, &v, 1, 0);
        int32_t res = sock_end(&x);
        if (res <= 0)
            return -ECONNRESET;
        p += res;
        n -= (size_t)res;
    }
    return c->broken ? -ECONNRESET : 0;
}

static void writer_fiber(void *arg)
{
    struct kconn *c = arg;
    c->writer = fiber_current();
    while (!c->broken) {
        if (!c->out.len) {
            c->writer_waits = true;
            fiber_park();
            c->writer_waits = false;
            continue;
        }
        struct sbuf now = c->out;
        sbuf_init(&c->out);
        if (send_all(c, now.data, now.len))
            break_now(c);
        sbuf_free(&now);
    }
    leave(c);
}

// ---- reading -------------------------------------------------------------------------------------------------------------
static int recv_all(struct kconn *c, uint8_t *p, size_t n)
{
    while (n) {
        struct sock_op x = sock_begin();
        io_recv(reactor_io(c->r), &x.op, c->s, p, (uint32_t)n);
        int32_t res = sock_end(&x);
        if (res <= 0)
            return -ECONNRESET;
        p += res;
        n -= (size_t)res;
    }
    return 0;
}

// `frame` becomes the call's.
static void answer(struct kconn *c, uint8_t *frame, size_t n)
{
    struct kcall *call = list_empty(&c->calls) ? NULL : list_entry(list_first(&c->calls), struct kcall, node);
    struct kp_response_header h;
    if (!call)
        run_fail(c->run, "an answer came that nobody waits for");
    int16_t hv = kp_response_header_version(call->api, call->version);
    int64_t at = kp_response_header_decode(&h, frame, n, hv, &call->arena);
    if (at < 0 || h.correlation_id != call->correlation)
        run_fail(c->run, "api %d: the answer has correlation id %d, expected %d", call->api, h.correlation_id,
                 call->correlation);
    const struct kp_message *m = kp_message_find(KP_KIND_RESPONSE, call->api);
    int64_t got = m->decode(call->resp, frame + at, n - (size_t)at, call->version, &call->arena);
    if (got != (int64_t)n - at)
        run_fail(c->run, "api %d: the answer of %zu bytes cannot be read (%lld)", call->api, n,
                 (long long)got);
    list_remove(&call->node);
    call->frame = frame;
    call->err = 0;
    call->done(call);
}

static void reader_fiber(void *arg)
{
    struct kconn *c = arg;
    uint8_t head[4];
    while (recv_all(c, head, 4) == 0) {
        uint32_t n = be32_load(head);
        if (n > 64u << 20)
            run_fail(c->run, "an answer claims %u bytes", n);
        uint8_t *frame = malloc(n + 1);
        SL_ASSERT(frame);
        if (recv_all(c, frame, n) || c->broken) {
            free(frame);
            break;
        }
        answer(c, frame, n);
    }
    leave(c);
}

// ---- the outside -----------------------------------------------------------------------------------------------------------
struct kconn *kconn_open(struct run *run, struct reactor *r, uint16_t port)
{
    struct sock_op x = sock_begin();
    io_connect(reactor_io(r), &x.op, "127.0.0.1", port);
    io_sock s = sock_end(&x);
    if (s < 0)
        return NULL;
    struct kconn *c = calloc(1, sizeof(*c));
    SL_ASSERT(c);
    c->run = run;
    c->r = r;
    c->s = s;
    c->fibers = 2;
    list_init(&c->calls);
    sbuf_init(&c->out);
    SL_ASSERT(fiber_spawn(r, reader_fiber, c, 64 << 10));
    SL_ASSERT(fiber_spawn(r, writer_fiber, c, 64 << 10));
    return c;
}

static void encode(struct kconn *c, struct kcall *call, const void *req)
{
    const struct kp_message *m = kp_message_find(KP_KIND_REQUEST, call->api);
    struct kp_request_header h = {.request_api_key = call->api,
                                  .request_api_version = call->version,
                                  .correlation_id = call->correlation,
                                  .client_id = KP_STR_LIT("sim")};
    int16_t hv = kp_request_header_version(call->api, call->version);
    int64_t hn = kp_request_header_size(&h, hv), n = m->size(req, call->version);
    SL_ASSERT(hn > 0 && n >= 0);
    size_t total = (size_t)(hn + n);
    uint8_t *b = malloc(4 + total);
    SL_ASSERT(b);
    struct kp_writer w = {.buf = b + 4, .cap = total};
    int rc = kp_request_header_encode(&h, hv, &w);
    rc = rc ? rc : m->encode(req, call->version, &w);
    SL_ASSERT(rc == 0 && w.len == total);
    be32_store(b, (uint32_t)total);
    SL_ASSERT(sbuf_append(&c->out, b, 4 + total) == 0);
    free(b);
}

void kconn_send(struct kconn *c, struct kcall *call, const void *req)
{
    arena_init(&call->arena, 0);
    call->correlation = ++c->correlation;
    if (c->broken) {
        call->err = -ECONNRESET;
        call->done(call);
        return;
    }
    list_push_back(&c->calls, &call->node);
    encode(c, call, req);
    if (c->writer_waits)
        fiber_wake(c->writer);
}

static void wake_waiter(struct kcall *call)
{
    struct fiber *f = call->waiter;
    call->waiter = NULL;
    if (f != fiber_current())
        fiber_wake(f);
}

int kconn_call(struct kconn *c, struct kcall *call, int16_t api, int16_t version, const void *req, void *resp)
{
    *call = (struct kcall){
        .api = api, .version = version, .resp = resp, .done = wake_waiter, .waiter = fiber_current()};
    kconn_send(c, call, req);
    while (call->waiter)
        fiber_park();
    return call->err;
}

void kcall_free(struct kcall *call)
{
    arena_free(&call->arena);
    free(call->frame);
    call->frame = NULL;
}
