// Assembly of frames: a 4-byte length, then that many bytes; and the memory they lie in.
//
// A length prefix alone reserves little: room is made for four times what has really arrived, or for as much
// as the connection has completed before, whichever is more. Frames up to 2 MiB come from the service's pool;
// larger ones are mapped one by one, their pages touched as bytes arrive, and have a limit of their own.
//
// Part of the pool is kept for small frames, and those wait in a line of their own. While anyone waits, a connection that
// begins a frame receives its first bytes into itself (conn.c, arm_head) and asks for memory once its length is known: so
// those who wait for large frames keep neither memory nor provided buffers that small requests need.
//
// A frame that fills most of the assembly buffer takes it along; what was received behind it moves to a new
// one. A frame that is small beside what follows it is copied out instead, so that each byte is copied once
// or twice, not more.
//
// Who finds no memory waits on net->mem_waiters, first come, first served: nobody behind the first is tried
// before it. So that parts of frames which use up all memory cannot wait for each other, and frames larger
// than the limits still come in, the first in line gets the grant, if nobody has it: it may exceed the limits
// until its frame is answered (or it stalls: net.c).
#include "net/net_private.h"

#include "engine/base/bytes.h"
#include "proto/gen/request_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { FRAME_MIN = 4096, FRAME_TRUST = 64 << 10, FRAME_SMALL = 32 << 10 };

// ---- memory ------------------------------------------------------------------------------------------------------------
static bool is_large(uint64_t want)
{
    return want > BUF_POOL_SLAB;
}

static uint8_t *map(struct net *n, uint64_t cap)
{
    void *p = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    n->large_bytes += cap;
    return p;
}

// By the length of the frame, not by what it asks for now.
static enum frame_class class_of(uint32_t want, uint32_t need)
{
    if (is_large(want))
        return FRAME_IS_LARGE;
    return SL_MAX(want, need) > FRAME_SMALL ? FRAME_IS_BIG : FRAME_IS_SMALL;
}

static uint8_t *pool_alloc(struct net *n, size_t size, enum frame_class k)
{
    if (k == FRAME_IS_BIG && n->big_bytes + size > n->big_limit)
        return NULL;
    uint8_t *p = buf_pool_alloc(n->frames, size, NULL);
    if (p && k == FRAME_IS_BIG)
        n->big_bytes += size;
    return p;
}

// While others wait for such memory, whoever comes now waits behind them. `need`: the frame's length, 0 if it is not known.
static bool frame_alloc(struct conn *c, uint32_t want, uint32_t need, struct frame_mem *m)
{
    struct net *n = c->net;
    size_t size = buf_pool_size(SL_MAX(want, (uint32_t)FRAME_MIN));
    *m = (struct frame_mem){.cap = (uint32_t)size, .kind = class_of(want, need)};
    if (!c->granted && !n->mem_serving && !list_empty(&n->mem_waiters[m->kind]))
        return false;
    if (m->kind != FRAME_IS_LARGE)
        m->p = pool_alloc(n, size, m->kind);
    else if (n->large_bytes + size <= n->large_limit)
        m->p = map(n, size);
    if (m->p || !c->granted)
        return m->p;
    m->cap = (uint32_t)SL_MAX(size, BUF_POOL_SLAB + FRAME_MIN);
    m->kind = FRAME_IS_LARGE;
    m->p = map(n, m->cap);
    return m->p;
}

bool frame_pressed(const struct net *n)
{
    for (uint32_t i = 0; i < FRAME_CLASSES; i++)
        if (!list_empty(&n->mem_waiters[i]))
            return true;
    return false;
}

static void waiters_wake(struct net *n)
{
    if (frame_pressed(n))
        ready_push(n->r, &n->mem_go);
}

void frame_free(struct net *n, const struct frame_mem *m)
{
    if (m->kind == FRAME_IN_HEAD)
        return;
    if (m->kind == FRAME_IS_LARGE) {
        munmap(m->p, m->cap);
        n->large_bytes -= m->cap;
    } else {
        buf_pool_free(n->frames, m->p, m->cap);
        n->big_bytes -= m->kind == FRAME_IS_BIG ? m->cap : 0;
    }
    waiters_wake(n);
}

// The assembly moves to `m`, with what of it is there already.
static void assembly_set(struct conn *c, const struct frame_mem *m, uint32_t len)
{
    c->mem = *m;
    c->in = m->p;
    c->in_cap = m->cap;
    c->in_at = 0;
    c->in_len = len;
}

void frame_drop(struct conn *c)
{
    if (c->in)
        frame_free(c->net, &c->mem);
    assembly_set(c, &(struct frame_mem){0}, 0);
}

void frame_use_head(struct conn *c)
{
    SL_ASSERT(!c->in);
    assembly_set(c, &(struct frame_mem){.p = c->head, .cap = sizeof(c->head), .kind = FRAME_IN_HEAD}, 0);
}

void frame_grant_end(struct net *n, bool *granted)
{
    if (!*granted)
        return;
    *granted = n->granted = false;
    waiters_wake(n);
}

static int frame_wait(struct conn *c, enum frame_class kind)
{
    SL_ASSERT(!list_linked(&c->mem_wait) && kind < FRAME_CLASSES);
    list_push_back(&c->net->mem_waiters[kind], &c->mem_wait);
    c->mem_since = reactor_now(c->net->r);
    waiters_wake(c->net); // the grant may be free
    return -ENOMEM;
}

// True if it need not wait any more.
static bool serve_one(struct conn *c, struct list_node *waiters)
{
    uint64_t since = c->mem_since;
    list_remove(&c->mem_wait);
    conn_read_more(c);
    if (list_linked(&c->mem_wait) && !c->net->granted) {
        list_remove(&c->mem_wait);
        c->granted = c->net->granted = true;
        c->frame_since = reactor_now(c->net->r); // from now on it has no excuse
        conn_read_more(c);
    }
    conn_wake(c); // it may have been the last thing that an ended connection waited for
    if (!list_linked(&c->mem_wait))
        return true;
    list_remove(&c->mem_wait); // still short: it keeps its place
    list_push_front(waiters, &c->mem_wait);
    c->mem_since = since;
    return false;
}

void frame_serve_waiters(struct ready *w)
{
    struct net *n = SL_CONTAINER_OF(w, struct net, mem_go);
    n->mem_serving = true;
    n->mem_turn++; // the grant goes to each class in turn
    for (uint32_t i = 0; i < FRAME_CLASSES; i++) {
        struct list_node *node, *waiters = &n->mem_waiters[(i + n->mem_turn) % FRAME_CLASSES];
        while ((node = list_first(waiters)) && serve_one(list_entry(node, struct conn, mem_wait), waiters))
            ;
    }
    n->mem_serving = false;
}

int frame_reserve(struct conn *c, uint32_t want, uint32_t need)
{
    uint32_t have = c->in_len - c->in_at;
    struct frame_mem m;
    SL_ASSERT(want >= have && (!c->receiving || c->mode == CONN_MULTI));
    if (c->in_cap - c->in_at >= want)
        return 0;
    if (c->in_cap >= want) {
        memmove(c->in, c->in + c->in_at, have);
        c->in_at = 0;
        c->in_len = have;
        return 0;
    }
    if (!frame_alloc(c, want, need, &m))
        return frame_wait(c, m.kind);
    if (have)
        memcpy(m.p, c->in + c->in_at, have);
    frame_drop(c);
    assembly_set(c, &m, have);
    return 0;
}

uint32_t frame_want(const struct conn *c, uint32_t need, uint32_t have)
{
    uint64_t want = SL_MAX(SL_MAX((uint64_t)have * 4, (uint64_t)FRAME_TRUST), (uint64_t)c->trust);
    return want > BUF_POOL_SLAB ? need : SL_MIN(need, (uint32_t)want);
}

// Of the frame that begins at p: a length out of range counts as its prefix alone, and is refused when its
// turn comes.
uint32_t frame_need_at(const struct conn *c, const uint8_t *p)
{
    uint32_t n = be32_load(p);
    return n > c->net->frame_max ? 4 : n + 4;
}

uint32_t frame_need(const struct conn *c)
{
    return c->in_len - c->in_at < 4 ? 0 : frame_need_at(c, c->in + c->in_at);
}

// ---- requests ----------------------------------------------------------------------------------------------------------
static int parse_header(struct req *r, const uint8_t *p, uint32_t n)
{
    struct kp_request_header h;
    if (n < 8)
        return -EBADMSG;
    r->key = (int16_t)be16_load(p);
    r->version = (int16_t)be16_load(p + 2);
    r->correlation_id = (int32_t)be32_load(p + 4);
    r->api = api_find(r->key);
    if (!r->api)
        return -EPROTONOSUPPORT;
    bool known = r->version >= r->api->min && r->version <= r->api->max;
    if (!known && r->key != 18)
        return -EPROTONOSUPPORT;
    if (!known) { // ApiVersions of the future: its body is not looked at
        r->client_id = KP_STR_NULL;
        r->body = p + n;
        return 0;
    }
    int64_t k = kp_request_header_decode(&h, p, n, kp_request_header_version(r->key, r->version), &r->arena);
    if (k < 0)
        return (int)k;
    r->client_id = h.client_id;
    if (h.client_id.n > 0) // for /slow: the frame will be gone
        memcpy(r->client, h.client_id.p, (size_t)SL_MIN(h.client_id.n, SLOW_CLIENT - 1));
    r->body = p + k;
    r->body_len = n - (size_t)k;
    return 0;
}

// A request of the frame of `size` bytes at `at` in a buffer that becomes its own. False: the connection
// ends.
static bool request_make(struct conn *c, const struct frame_mem *m, uint32_t at, uint32_t size)
{
    struct net *n = c->net;
    struct req *r = obj_pool_zalloc(&n->reqs);
    if (!r)
        sl_panic("out of memory for a request");
    r->conn = c;
    r->net = n;
    r->frame = *m;
    r->t_received = r->t[REQ_RECEIVED] = reactor_now(n->r);
    r->frame_len = size;
    list_init(&r->node);
    arena_init(&r->arena, REQ_ARENA_LIMIT);
    r->granted = c->granted; // until it is answered
    c->granted = false;
    c->frame_bytes += m->cap;
    c->last_frame = size;
    c->trust = SL_MAX(c->trust, size);
    c->small_frames = size <= CONN_SMALL_FRAME ? (uint8_t)SL_MIN(c->small_frames + 1, UINT8_MAX) : 0;
    int rc = parse_header(r, m->p + at + 4, size - 4);
    if (rc) {
        req_free(r);
        conn_end(
            c, rc == -EPROTONOSUPPORT ? "an API or version that is not served" : "a malformed request header",
            false);
        return false;
    }
    list_push_back(&c->backlog, &r->node);
    c->requests_n++;
    conn_wake(c);
    return true;
}

// The first `size` bytes of the assembly are a frame. False: it waits for memory, or the connection ends.
static bool frame_take(struct conn *c, uint32_t size)
{
    struct net *n = c->net;
    uint32_t rest = c->in_len - c->in_at - size, at = c->in_at;
    // The frame takes the buffer, and the rest moves; or the frame moves.
    bool move = size >= rest && buf_pool_size(size) * 2 > c->in_cap && c->mem.kind != FRAME_IN_HEAD;
    struct frame_mem other = {0};
    if (!move || rest) {
        uint32_t want = size, need = size;
        if (move) {
            need = rest < 4 ? 0 : frame_need_at(c, c->in + at + size);
            want = need > rest ? frame_want(c, need, rest) : rest;
        }
        if (!frame_alloc(c, want, need, &other)) {
            frame_wait(c, other.kind);
            return false;
        }
    }
    c->frame_since = reactor_now(n->r);
    if (!move) {
        memcpy(other.p, c->in + at, size);
        c->in_at += size;
        return request_make(c, &other, 0, size);
    }
    struct frame_mem taken = c->mem;
    if (rest)
        memcpy(other.p, taken.p + at + size, rest);
    assembly_set(c, &other, rest);
    return request_make(c, &taken, at, size);
}

bool frame_take_all(struct conn *c)
{
    while (c->in_len - c->in_at >= 4 && conn_may_take(c)) {
        uint32_t n = be32_load(c->in + c->in_at);
        if (n > c->net->frame_max) {
            conn_end(c, "a frame length out of range (socket.request.max.bytes)", false);
            return false;
        }
        if (c->in_len - c->in_at < n + 4)
            return true;
        if (!frame_take(c, n + 4))
            return false;
    }
    return true;
}
