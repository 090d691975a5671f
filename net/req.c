// Requests: making one of a frame, starting, answering, freeing.
#include "net/net_private.h"

#include "engine/base/bytes.h"
#include "proto/gen/request_header.h"
#include "proto/gen/response_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SPLICES_INLINE = 64 };

void *req_alloc(struct req *r, size_t n)
{
    void *p = arena_zalloc(&r->arena, n ? n : 1);
    if (!p)
        sl_panic("request arena exhausted: key=%d version=%d", r->key, r->version);
    return p;
}

void *req_alloc_array(struct req *r, size_t n, size_t size)
{
    SL_ASSERT(size == 0 || n <= SIZE_MAX / size);
    return req_alloc(r, n * size);
}

bool req_decode(struct req *r, void *m, kp_decode_fn decode)
{
    int64_t n = decode(m, r->body, r->body_len, r->version, &r->arena);
    if (n >= 0)
        return true;
    req_close(r, n == -ENOMEM ? "the request is too large once decoded" : "the request cannot be decoded");
    return false;
}

// Frees the request; its answer, if it had one, was sent.
void req_free(struct req *r)
{
    if (r->on_free)
        r->on_free(r);
    if (r->frame)
        frame_free(r->net, r->frame, r->frame_cap);
    arena_free(&r->arena);
    free(r);
}

// Its turn in the order of answers has come when it is the first of its connection.
void req_finish(struct req *r)
{
    struct conn *c = r->conn;
    struct list_node *n;
    r->done = true;
    while ((n = list_first(&c->requests))) {
        struct req *first = list_entry(n, struct req, node);
        if (!first->done)
            break;
        list_remove(n);
        c->requests_n--;
        if (first->answer && !c->closing) {
            out_push(c, first->answer);
        } else {
            if (first->answer)
                out_item_free(c->net, first->answer); // frees the request as well
            else
                req_free(first);
        }
    }
    if (c->closing)
        conn_maybe_free(c);
    else
        ready_push(c->net->r, &c->go);
}

void req_respond_none(struct req *r)
{
    req_finish(r);
}

void req_close(struct req *r, const char *why)
{
    conn_close(r->conn, why);
    req_finish(r);
}

// ---- encoding -----------------------------------------------------------------------------------------------------------
static int64_t header_encode(const struct req *r, uint8_t *out)
{
    struct kp_response_header h;
    struct kp_writer w = {.buf = out, .cap = 64};
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

// The pieces to send: buffer up to a splice, the splice's pieces, buffer on, ...
static int item_build(struct out_item *it, const struct kp_writer *w, size_t head)
{
    it->iov = malloc((2 * (size_t)w->splices_n + 1 + splice_pieces(w)) * sizeof(*it->iov));
    if (!it->iov)
        return -ENOMEM;
    size_t from = 0;
    for (uint32_t i = 0; i < w->splices_n; i++) {
        const struct splice_bytes *b = w->splices[i].ext;
        size_t at = head + w->splices[i].at;
        if (at > from)
            it->iov[it->iov_n++] = (struct iovec){.iov_base = it->buf + from, .iov_len = at - from};
        for (uint32_t k = 0; k < b->n; k++)
            it->iov[it->iov_n++] = (struct iovec){.iov_base = (void *)b->pieces[k].p, .iov_len = b->pieces[k].len};
        from = at;
    }
    if (head + w->len > from)
        it->iov[it->iov_n++] = (struct iovec){.iov_base = it->buf + from, .iov_len = head + w->len - from};
    return 0;
}

static size_t item_bytes(const struct out_item *it)
{
    size_t n = 0;
    for (uint32_t i = 0; i < it->iov_n; i++)
        n += it->iov[i].iov_len;
    return n;
}

static uint32_t count_splices_max(int64_t size)
{
    // A partition that carries records takes tens of bytes of the answer itself.
    return (uint32_t)(size / 16) + 4;
}

static int answer_build(struct req *r, const void *m, int16_t version, int64_t size, kp_encode_fn encode)
{
    struct kp_splice inline_splices[SPLICES_INLINE], *splices = inline_splices;
    struct out_item *it = calloc(1, sizeof(*it));
    uint8_t head[64];
    uint32_t cap = count_splices_max(size);
    int64_t h = header_encode(r, head);
    int rc = it && h >= 0 ? 0 : -ENOMEM;
    if (!rc && cap > SPLICES_INLINE)
        splices = malloc(cap * sizeof(*splices));
    if (!rc)
        it->buf = malloc(4 + (size_t)h + (size_t)size);
    if (rc || !splices || !it->buf)
        sl_panic("out of memory for an answer of %lld bytes", (long long)size);
    size_t front = 4 + (size_t)h;
    struct kp_writer w = {.buf = it->buf + front, .cap = (size_t)size, .splices = splices, .splices_cap = cap};
    memcpy(it->buf + 4, head, (size_t)h);
    rc = encode(m, version, &w);
    if (!rc)
        rc = item_build(it, &w, front);
    if (splices != inline_splices)
        free(splices);
    if (rc) {
        free(it->buf);
        free(it);
        return rc;
    }
    list_init(&it->node);
    it->req = r;
    be32_store(it->buf, (uint32_t)(item_bytes(it) - 4));
    r->answer = it;
    return 0;
}

void req_respond_as(struct req *r, const void *m, int16_t version, kp_size_fn size, kp_encode_fn encode)
{
    int64_t n = size(m, version);
    int rc = n < 0 ? (int)n : answer_build(r, m, version, n, encode);
    if (rc) {
        sl_log(SL_ERROR, "net", "answer cannot be encoded: api=%d version=%d: %s", r->key, version, strerror(-rc));
        req_close(r, "the answer cannot be encoded");
        return;
    }
    req_finish(r);
}

void req_respond(struct req *r, const void *m, kp_size_fn size, kp_encode_fn encode)
{
    req_respond_as(r, m, r->version, size, encode);
}
