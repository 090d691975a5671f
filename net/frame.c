// Assembly of frames: a 4-byte length, then that many bytes.
//
// The assembly buffer starts small and grows with what has really arrived (a length prefix alone reserves at most
// FRAME_TRUST), so that a hostile prefix costs nothing; lengths above socket.request.max.bytes close the connection.
#include "net/net_private.h"

#include "engine/base/bytes.h"
#include "proto/gen/request_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_MIN = 4096, FRAME_TRUST = 2 << 20 };

void frame_free(struct net *n, uint8_t *p, uint32_t cap)
{
    buf_pool_free(n->frames, p, cap);
    struct list_node *w = list_pop_front(&n->mem_waiters);
    if (w)
        conn_read_more(list_entry(w, struct conn, mem_wait));
}

int frame_reserve(struct conn *c, uint32_t want)
{
    if (c->in_cap >= want)
        return 0;
    uint32_t cap = (uint32_t)buf_pool_size(SL_MAX(want, (uint32_t)FRAME_MIN));
    uint8_t *p = buf_pool_alloc(c->net->frames, cap, NULL);
    if (!p) {
        if (!list_linked(&c->mem_wait)) {
            list_push_back(&c->net->mem_waiters, &c->mem_wait);
            c->mem_since = reactor_now(c->net->r);
        }
        return -ENOMEM;
    }
    if (c->in_len)
        memcpy(p, c->in, c->in_len);
    if (c->in)
        buf_pool_free(c->net->frames, c->in, c->in_cap);
    c->in = p;
    c->in_cap = cap;
    return 0;
}

static int parse_header(struct req *r, uint8_t *p, uint32_t n)
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
    r->body = p + k;
    r->body_len = n - (size_t)k;
    return 0;
}

// The frame's bytes are [in + 4, in + 4 + n); the buffer goes to the request, the rest to a new one.
static bool frame_take(struct conn *c, uint32_t n)
{
    struct net *net = c->net;
    struct req *r = calloc(1, sizeof(*r));
    uint32_t rest = c->in_len - 4 - n;
    uint8_t *next = NULL;
    uint32_t next_cap = 0;
    if (!r)
        sl_panic("out of memory for a request");
    if (rest) {
        next_cap = (uint32_t)buf_pool_size(SL_MAX(rest, (uint32_t)FRAME_MIN));
        next = buf_pool_alloc(net->frames, next_cap, NULL);
        if (!next) { // no room for what follows: this frame waits as well
            free(r);
            if (!list_linked(&c->mem_wait)) {
                list_push_back(&net->mem_waiters, &c->mem_wait);
                c->mem_since = reactor_now(net->r);
            }
            return true;
        }
        memcpy(next, c->in + 4 + n, rest);
    }
    r->conn = c;
    r->net = net;
    r->frame = c->in;
    r->frame_cap = c->in_cap;
    r->t_received = reactor_now(net->r);
    list_init(&r->node);
    arena_init(&r->arena, REQ_ARENA_LIMIT);
    c->in = next;
    c->in_cap = next_cap;
    c->in_len = rest;
    int rc = parse_header(r, r->frame + 4, n);
    if (rc) {
        req_free(r);
        conn_close(c, rc == -EPROTONOSUPPORT ? "an API or version that is not served" : "a malformed request header");
        return false;
    }
    list_push_back(&c->requests, &r->node);
    c->requests_n++;
    ready_push(net->r, &c->go);
    return true;
}

bool frame_take_all(struct conn *c)
{
    int64_t max = cfg_int(c->net->cfg.cfg, CFG_SOCKET_REQUEST_MAX_BYTES);
    while (c->in_len >= 4 && c->requests_n < CONN_REQUESTS_MAX && !list_linked(&c->mem_wait)) {
        int32_t n = (int32_t)be32_load(c->in);
        if (n < 0 || n > max) {
            conn_close(c, "a frame length out of range (socket.request.max.bytes)");
            return false;
        }
        if (c->in_len - 4 < (uint32_t)n) {
            uint32_t want = SL_MAX(SL_MIN((uint32_t)n + 4, (uint32_t)FRAME_TRUST), SL_MIN((uint32_t)n + 4, c->in_len * 2));
            frame_reserve(c, want);
            return true;
        }
        if (!frame_take(c, (uint32_t)n))
            return false;
    }
    return true;
}
