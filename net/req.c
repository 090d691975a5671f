// Requests: making one of a frame, starting, answering, freeing.
#include "net/net_private.h"

#include "engine/base/bytes.h"
#include "proto/gen/request_header.h"
#include "proto/gen/response_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SPLICES_INLINE = 64, HEAD_MAX = 16 };

void *req_alloc(struct req *r, size_t n)
{
    if (r->arena.limit == 0)
        r->arena.limit = SIZE_MAX;
    void *p = arena_zalloc(&r->arena, n);
    if (!p)
        sl_panic("out of memory for a request: key=%d version=%d bytes=%zu", r->key, r->version, n);
    return p;
}

void *req_alloc_array(struct req *r, size_t n, size_t size)
{
    SL_ASSERT(size == 0 || n <= SIZE_MAX / size);
    return req_alloc(r, n * size);
}

// Decoded structures can be several times as large as the frame: one request's are limited by its arena,
// those of all requests together here. What handlers build of them is a small multiple.
static bool decoded_admit(struct req *r)
{
    struct net *n = r->net;
    if (r->arena.reserved < REQ_DECODED_BIG)
        return true;
    if (n->decoded && n->decoded + r->arena.reserved > NET_DECODED_MAX)
        return false;
    r->decoded = (uint32_t)r->arena.reserved;
    n->decoded += r->decoded;
    return true;
}

static void drop_frame(struct req *r)
{
    if (!r->frame.p)
        return;
    SL_ASSERT(r->conn->frame_bytes >= r->frame.cap);
    r->conn->frame_bytes -= r->frame.cap;
    frame_free(r->net, &r->frame);
    frame_grant_end(r->net, &r->granted);
    r->frame.p = NULL;
    r->body = NULL;
    r->body_len = 0;
    r->client_id = KP_STR_NULL;
}

void req_keep_body(struct req *r)
{
    uint8_t *body = req_alloc(r, r->body_len);
    struct kp_str id = r->client_id;
    if (r->body_len)
        memcpy(body, r->body, r->body_len);
    if (id.n > 0) {
        char *copy = req_alloc(r, (size_t)id.n);
        memcpy(copy, id.p, (size_t)id.n);
        id.p = copy;
    }
    size_t len = r->body_len;
    drop_frame(r);
    r->body = body;
    r->body_len = len;
    r->client_id = id;
}

bool req_decode(struct req *r, void *m, kp_decode_fn decode)
{
    int64_t n = decode(m, r->body, r->body_len, r->version, &r->arena);
    if (n < 0) {
        req_close(r, n == -ENOMEM ? "a request too large once decoded" : "a request that cannot be decoded");
        return false;
    }
    if (!decoded_admit(r)) {
        req_close(r, "too much memory in decoded requests");
        return false;
    }
    r->arena.limit = SIZE_MAX;
    return true;
}

void req_destroy(struct req *r)
{
    drop_frame(r);
    r->net->decoded -= r->decoded;
    if (r->answer) { // not queued yet
        r->answer->req = NULL;
        out_item_free(r->answer);
    }
    arena_free(&r->arena);
    obj_pool_free(&r->net->reqs, r);
}

// Its answer, if it had one, was sent.
void req_free(struct req *r)
{
    if (r->on_free)
        r->on_free(r);
    r->answer = NULL;
    req_destroy(r);
}

// A done request has reached the front: its answer goes out, or the connection ends with it.
static void leave(struct conn *c, struct req *r)
{
    struct out_item *it = r->answer;
    list_remove(&r->node);
    c->requests_n--;
    if (r->close_why)
        conn_end(c, r->close_why, true);
    req_stamp(r, REQ_ANSWERED);
    if (!it)
        req_free(r);
    else if (c->muted)
        out_item_free(it); // frees the request as well
    else
        out_push(c, it);
}

// Its turn in the order of answers has come when it is the first of its connection.
void req_finish(struct req *r)
{
    struct conn *c = r->conn;
    struct list_node *n;
    SL_ASSERT(!r->done);
    r->done = true;
    if (r->net->busy == r)
        r->net->busy = NULL;
    drop_frame(r);
    while ((n = list_first(&c->requests))) {
        struct req *first = list_entry(n, struct req, node);
        if (!first->done)
            break;
        leave(c, first);
    }
    if (!c->receiving || c->eof || !list_empty(&c->backlog))
        conn_wake(c);
    conn_maybe_free(c);
}

void req_respond_none(struct req *r)
{
    req_finish(r);
}

void req_close(struct req *r, const char *why)
{
    r->close_why = why;
    req_finish(r);
}

// ---- quotas ---------------------------------------------------------------------------------------------------------------
static uint64_t busy_ns(const struct req *r)
{
    struct net *n = r->net;
    uint64_t ns = r->busy_ns;
    if (n->busy == r)
        ns += io_now_ns(reactor_io(n->r)) - n->busy_since;
    if (r->api == &api_produce && r->t[REQ_STORED] > r->t[REQ_QUEUED]) // the shard's part
        ns += r->t[REQ_STORED] - r->t[REQ_QUEUED];
    return ns;
}

uint32_t req_throttle(struct req *r)
{
    if (r->counted || !quota_any(r->net))
        return r->throttle_ms;
    r->counted = true;
    uint32_t ms = quota_record(r, META_QUOTA_REQUEST, (double)busy_ns(r));
    r->throttle_ms = SL_MAX(r->throttle_ms, ms);
    if (r->throttle_ms) {
        reactor_count(r->net->r, METRIC_THROTTLED_REQUESTS, 1);
        conn_throttle(r->conn, r->throttle_ms);
    }
    return r->throttle_ms;
}

// ---- encoding -----------------------------------------------------------------------------------------------------------
static int64_t header_encode(const struct req *r, uint8_t *out)
{
    struct kp_response_header h;
    struct kp_writer w = {.buf = out, .cap = HEAD_MAX};
    kp_response_header_init(&h);
    h.correlation_id = r->correlation_id;
    int rc = kp_response_header_encode(&h, kp_response_header_version(r->key, r->version), &w);
    return rc ? rc : (int64_t)w.len;
}

static uint32_t splice_pieces(const struct kp_writer *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->splices_n; i++)
        n += ((struct splice_bytes *)w->splices[i].ext)->n;
    return n;
}

static void item_add(struct out_item *it, const void *p, size_t n)
{
    if (!n)
        return;
    it->iov[it->iov_n++] = (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    it->bytes += n;
}

// The pieces to send: buffer up to a splice, the splice's pieces, buffer on, ...
static int item_build(struct out_item *it, const struct kp_writer *w, size_t head)
{
    it->iov = &it->one;
    if (w->splices_n)
        it->iov = malloc((2 * (size_t)w->splices_n + 1 + splice_pieces(w)) * sizeof(*it->iov));
    if (!it->iov)
        sl_panic("out of memory for an answer of %u pieces", splice_pieces(w));
    size_t from = 0;
    for (uint32_t i = 0; i < w->splices_n; i++) {
        const struct splice_bytes *b = w->splices[i].ext;
        size_t at = head + w->splices[i].at;
        item_add(it, it->buf + from, at - from);
        size_t len = it->bytes;
        for (uint32_t k = 0; k < b->n; k++)
            item_add(it, b->pieces[k].p, b->pieces[k].len);
        SL_ASSERT(it->bytes - len == (size_t)w->splices[i].len);
        from = at;
    }
    item_add(it, it->buf + from, head + w->len - from);
    if (it->bytes - 4 > INT32_MAX)
        return -EMSGSIZE;
    be32_store(it->buf, (uint32_t)(it->bytes - 4));
    return 0;
}

static uint32_t count_splices_max(int64_t size)
{
    // A partition that carries records takes tens of bytes of the answer itself.
    return (uint32_t)SL_MIN(size / 16, (int64_t)INT32_MAX) + 4;
}

static int answer_build(struct req *r, const void *m, int16_t version, int64_t size, kp_encode_fn encode)
{
    struct kp_splice inline_splices[SPLICES_INLINE], *splices = inline_splices;
    uint8_t head[HEAD_MAX];
    uint32_t cap = SL_MAX(count_splices_max(size), (uint32_t)SPLICES_INLINE);
    int64_t h = header_encode(r, head);
    SL_ASSERT(h > 0); // of our own making
    size_t front = 4 + (size_t)h;
    struct out_item *it = malloc(sizeof(*it) + front + (size_t)size);
    if (it && cap > SPLICES_INLINE)
        splices = malloc(cap * sizeof(*splices));
    if (!it || !splices)
        sl_panic("out of memory for an answer of %lld bytes", (long long)size);
    *it = (struct out_item){.iov = &it->one, .req = r};
    list_init(&it->node);
    struct kp_writer w = {
        .buf = it->buf + front, .cap = (size_t)size, .splices = splices, .splices_cap = cap};
    memcpy(it->buf + 4, head, (size_t)h);
    int rc = encode(m, version, &w);
    if (!rc)
        rc = item_build(it, &w, front);
    if (splices != inline_splices)
        free(splices);
    if (rc) {
        it->req = NULL;
        out_item_free(it);
        return rc;
    }
    r->answer = it;
    return 0;
}

void req_respond_as(struct req *r, const void *m, int16_t version, kp_size_fn size, kp_encode_fn encode)
{
    if (r->conn->muted) { // nobody reads it
        req_finish(r);
        return;
    }
    int64_t n = size(m, version);
    int rc = n < 0 ? (int)n : answer_build(r, m, version, n, encode);
    if (rc) {
        sl_log(SL_ERROR, "net", "answer cannot be encoded: api=%d version=%d: %s", r->key, r->version,
               strerror(-rc));
        req_close(r, "an answer that cannot be encoded");
        return;
    }
    req_finish(r);
}

void req_respond(struct req *r, const void *m, kp_size_fn size, kp_encode_fn encode)
{
    req_respond_as(r, m, r->version, size, encode);
}
