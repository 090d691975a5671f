// One commit group: a stream of block-aligned chunks, filled entry by entry and written at once.
#include "engine/log/journal_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/crc32c.h"

static const uint8_t zeros[8];

static bool chunk_add(struct journal *j)
{
    struct jchunk *c = malloc(sizeof(*c));
    if (!c)
        return false;
    c->data = aligned_alloc(JOURNAL_BLOCK, JOURNAL_CHUNK);
    if (!c->data) {
        free(c);
        return false;
    }
    c->next = j->free_chunks;
    j->free_chunks = c;
    j->free_chunks_n++;
    return true;
}

static struct jchunk *chunk_get(struct journal *j)
{
    if (!j->free_chunks && !chunk_add(j))
        return NULL;
    struct jchunk *c = j->free_chunks;
    j->free_chunks = c->next;
    j->free_chunks_n--;
    c->next = NULL;
    return c;
}

static void chunk_free(struct jchunk *c)
{
    free(c->data);
    free(c);
}

// Keeps as many as the open group and those in flight need in the steady state; the rest of a burst goes
// back.
static void chunk_put(struct journal *j, struct jchunk *c)
{
    if (j->free_chunks_n >= j->keep_chunks) {
        chunk_free(c);
        return;
    }
    c->next = j->free_chunks;
    j->free_chunks = c;
    j->free_chunks_n++;
}

void chunk_free_all(struct journal *j)
{
    while (j->free_chunks) {
        struct jchunk *c = j->free_chunks;
        j->free_chunks = c->next;
        chunk_free(c);
    }
    j->free_chunks_n = 0;
}

struct jgrp *group_get(struct journal *j, uint64_t sequence)
{
    struct list_node *n = list_pop_front(&j->spare);
    struct jgrp *g = n ? list_entry(n, struct jgrp, node) : calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    struct iovec *iov = g->iov;
    uint32_t cap = g->iov_cap;
    *g = (struct jgrp){.j = j, .sequence = sequence, .len = JOURNAL_HEADER, .iov = iov, .iov_cap = cap};
    list_init(&g->node);
    return g;
}

void group_put(struct journal *j, struct jgrp *g)
{
    while (g->first) {
        struct jchunk *c = g->first;
        g->first = c->next;
        chunk_put(j, c);
    }
    g->last = NULL;
    list_push_back(&j->spare, &g->node);
}

void group_destroy(struct jgrp *g)
{
    while (g->first) {
        struct jchunk *c = g->first;
        g->first = c->next;
        chunk_free(c);
    }
    free(g->iov);
    free(g);
}

bool group_reserve(struct journal *j, const struct jgrp *g, uint64_t bytes)
{
    uint64_t have = g->first ? SL_ALIGN_UP(g->len, (uint64_t)JOURNAL_CHUNK) : 0;
    uint64_t want = SL_ALIGN_UP(g->len + bytes, (uint64_t)JOURNAL_CHUNK);
    while (j->free_chunks_n < (want - have) / JOURNAL_CHUNK)
        if (!chunk_add(j))
            return false;
    return true;
}

static bool group_grow(struct journal *j, struct jgrp *g)
{
    struct jchunk *c = chunk_get(j);
    if (!c)
        return false;
    if (g->last)
        g->last->next = c;
    else
        g->first = c;
    g->last = c;
    return true;
}

static bool stream_put(struct journal *j, struct jgrp *g, const void *p, size_t n)
{
    const uint8_t *from = p;
    while (n > 0) {
        size_t at = g->len % JOURNAL_CHUNK;
        if (at == 0 && !group_grow(j, g))
            return false;
        size_t part = SL_MIN(n, JOURNAL_CHUNK - at);
        memcpy(g->last->data + at, from, part);
        g->len += part;
        from += part;
        n -= part;
    }
    return true;
}

bool group_append(struct journal *j, struct jgrp *g, const struct jentry *e, const struct iovec *payload,
                  uint32_t n)
{
    uint8_t b[JOURNAL_ENTRY];
    jentry_encode(e, b);
    if (!g->first && !group_grow(j, g))
        return false;
    if (!stream_put(j, g, b, sizeof(b)))
        return false;
    g->entries_crc = crc32c(g->entries_crc, b, sizeof(b));
    g->count++;
    uint64_t start = g->len;
    if (jentry_payload_len(e) > 0)
        for (uint32_t i = 0; i < n; i++)
            if (!stream_put(j, g, payload[i].iov_base, payload[i].iov_len))
                return false;
    SL_ASSERT(g->len - start == jentry_payload_len(e));
    return stream_put(j, g, zeros, SL_ALIGN_UP(g->len, 8) - g->len);
}

static void encode_header(struct journal *j, struct jgrp *g)
{
    struct jgroup h = {
        .life = j->cfg.life,
        .generation = g->file->generation,
        .position = g->position,
        .sequence = g->sequence,
        .durable_through = j->durable,
        .prev_crc = j->last_crc,
        .shard = j->cfg.shard,
        .length = g->length,
        .count = g->count,
        .flags = g->flags,
    };
    uint8_t *out = g->first->data;
    jgroup_encode(&h, out);
    uint32_t crc = jgroup_crc_header(out, &h.life);
    crc = crc32c_combine(crc, g->entries_crc, (uint64_t)g->count * JOURNAL_ENTRY);
    jgroup_set_crc(out, crc);
    j->last_crc = crc;
}

static bool iov_reserve(struct jgrp *g)
{
    uint32_t n = (g->length + JOURNAL_CHUNK - 1) / JOURNAL_CHUNK;
    if (n <= g->iov_cap)
        return true;
    struct iovec *iov = realloc(g->iov, n * sizeof(*iov));
    if (!iov)
        return false;
    g->iov = iov;
    g->iov_cap = n;
    return true;
}

bool group_start(struct journal *j, struct jgrp *g)
{
    SL_ASSERT(g->file && g->file->state == JF_USED);
    g->length = (uint32_t)group_padded(g->len);
    if ((!g->first && !group_grow(j, g)) || !iov_reserve(g)) {
        group_put(j, g);
        journal_fail(j, -ENOMEM);
        return false;
    }
    // The last chunk's block is padded with zeros: chunks are recycled and hold older bytes.
    memset(g->last->data + (g->len - 1) % JOURNAL_CHUNK + 1, 0, g->length - g->len);
    encode_header(j, g);
    g->started_ns = io_now_ns(reactor_io(j->r));
    list_push_back(&j->in_flight, &g->node);
    j->in_flight_n++;
    j->last_closing = g->count == 0;
    j->stats.groups++;
    j->stats.bytes += g->length;
    group_write(j, g);
    return true;
}

void group_write(struct journal *j, struct jgrp *g)
{
    uint32_t n = 0;
    uint32_t at = 0;
    for (struct jchunk *c = g->first; c; c = c->next) {
        uint32_t len = SL_MIN(g->length - at, (uint32_t)JOURNAL_CHUNK);
        uint32_t skip = g->done > at ? SL_MIN(g->done - at, len) : 0;
        if (len > skip) {
            SL_ASSERT(n < g->iov_cap);
            g->iov[n++] = (struct iovec){.iov_base = c->data + skip, .iov_len = len - skip};
        }
        at += len;
    }
    SL_ASSERT(at == g->length && n > 0);
    g->op = (struct io_op){.done = journal_write_done};
    io_writev(reactor_io(j->r), &g->op, g->file->f, g->iov, n, g->position + g->done, IO_WRITE_DSYNC);
}
