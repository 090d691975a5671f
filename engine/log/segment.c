// Segment memory: extents of the tail, copying in, publishing, pieces for readers, dropping what is clean.
#include "engine/log/segment.h"

#include "engine/base/crc32c.h"
#include "engine/log/cache.h"
#include "engine/log/log_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXTENT_MIN = 4096, EXTENT_MAX = 1 << 20 };

struct segment *segment_new(struct log *l, int64_t base_offset, uint64_t file_id, uint32_t index_bytes)
{
    struct segment *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->log = l;
    s->base_offset = base_offset;
    s->file_id = file_id;
    s->file = -1;
    s->first_timestamp = s->max_timestamp = -1;
    s->max_timestamp_offset = -1;
    s->index_loaded = true;
    list_init(&s->extents);
    list_init(&s->cached);
    list_init(&s->idle);
    list_init(&s->files_node);
    offset_index_init(&s->index, base_offset, index_bytes);
    time_index_init(&s->timeindex, base_offset, index_bytes);
    return s;
}

static void extent_leave(struct extent *e)
{
    list_remove(&e->node);
    list_remove(&e->lru);
    e->seg = NULL;
    extent_unref(e);
}

void segment_free(struct segment *s)
{
    struct list_node *n;
    while ((n = list_first(&s->extents)))
        extent_leave(list_entry(n, struct extent, node));
    segment_not_idle(s);
    if (s->trash)
        trash_unread(s->trash);
    cache_forget(s);
    files_closed(s);
    offset_index_destroy(&s->index);
    time_index_destroy(&s->timeindex);
    free(s);
}

static struct extent *last_extent(const struct segment *s)
{
    struct list_node *n = list_last(&s->extents);
    return n ? list_entry(n, struct extent, node) : NULL;
}

static struct extent *first_extent(const struct segment *s)
{
    struct list_node *n = list_first(&s->extents);
    return n ? list_entry(n, struct extent, node) : NULL;
}

bool segment_tail_in_memory(const struct segment *s)
{
    return s->size % IO_BLOCK == 0 || s->mem_start < s->size;
}

// A log that got much since it was last written back gets large extents; ten thousand slow ones get a block each. The list
// stays short: extents also grow with what is in memory.
static uint32_t extent_size(const struct segment *s, uint32_t need)
{
    uint32_t want = SL_MAX(SL_MAX(need, s->size - s->flushed), (s->size - s->mem_start) / 8),
             cap = EXTENT_MIN;
    while (cap < want && cap < EXTENT_MAX)
        cap *= 2;
    return cap;
}

bool segment_reserve(struct segment *s, struct buf_pool *pool, uint32_t bytes)
{
    struct extent *last = last_extent(s);
    uint32_t end = last ? last->pos + last->cap : s->size;
    SL_ASSERT(segment_tail_in_memory(s) && end >= s->size);
    while (end - s->size < bytes) {
        uint32_t cap = extent_size(s, bytes - (end - s->size));
        struct extent *e;
        // The largest piece that the pool has: blocks would do, but each is an iovec of a write of the direct path.
        while (!(e = extent_new(pool, s->file_id, end, cap)) && cap > EXTENT_MIN)
            cap /= 2;
        if (!e)
            return false;
        e->seg = s;
        if (list_empty(&s->extents))
            s->mem_start = end;
        list_push_back(&s->extents, &e->node);
        end += e->cap;
    }
    return true;
}

// The extent that holds `pos`, searched from the end: appends and most readers are there.
static struct extent *extent_at(const struct segment *s, uint32_t pos)
{
    for (struct list_node *n = s->extents.prev; n != &s->extents; n = n->prev) {
        struct extent *e = list_entry(n, struct extent, node);
        if (pos >= e->pos)
            return pos < e->pos + e->cap ? e : NULL;
    }
    return NULL;
}

static struct extent *next_extent(struct extent *e)
{
    return list_entry(e->node.next, struct extent, node);
}

uint32_t segment_copy_in(struct segment *s, uint32_t pos, const uint8_t *src, uint32_t n, uint32_t crc,
                         bool with_crc)
{
    struct extent *e = extent_at(s, pos);
    while (n) {
        SL_ASSERT(e && pos >= e->pos && pos < e->pos + e->cap);
        uint32_t k = SL_MIN(n, e->pos + e->cap - pos);
        uint8_t *dst = e->mem + (pos - e->pos);
        if (with_crc)
            crc = crc32c_copy(crc, dst, src, k);
        else
            memcpy(dst, src, k);
        src += k;
        pos += k;
        n -= k;
        if (n)
            e = next_extent(e);
    }
    return crc;
}

void segment_publish(struct segment *s, uint32_t n)
{
    uint32_t old = s->size, end = s->size + n;
    for (struct extent *e = extent_at(s, old); old < end; e = next_extent(e)) {
        uint32_t upto = SL_MIN(end, e->pos + e->cap);
        e->len = upto - e->pos;
        list_remove(&e->lru);
        old = upto;
    }
    s->size = end;
}

uint32_t segment_count_pieces(struct segment *s, uint32_t pos, uint32_t n)
{
    uint32_t k = 0;
    for (struct extent *e = extent_at(s, pos); n; e = next_extent(e), k++) {
        uint32_t len = SL_MIN(n, e->pos + e->len - pos);
        SL_ASSERT(len > 0);
        pos += len;
        n -= len;
    }
    return k;
}

uint32_t segment_pieces(struct segment *s, uint32_t pos, uint32_t n, struct log_piece *out, uint32_t max)
{
    uint32_t k = 0;
    for (struct extent *e = extent_at(s, pos); n; e = next_extent(e), k++) {
        uint32_t len = SL_MIN(n, e->pos + e->len - pos);
        SL_ASSERT(k < max && len > 0);
        out[k] = (struct log_piece){.ext = extent_ref(e), .p = e->mem + (pos - e->pos), .len = len};
        pos += len;
        n -= len;
    }
    return k;
}

uint32_t segment_iov(struct segment *s, uint32_t from, uint32_t to, struct iovec *out, uint32_t max)
{
    uint32_t k = 0;
    SL_ASSERT(from >= s->mem_start && to <= s->size);
    for (struct extent *e = extent_at(s, from); from < to && k < max; e = next_extent(e), k++) {
        uint32_t len = SL_MIN(to, e->pos + e->len) - from;
        SL_ASSERT(len > 0);
        out[k] = (struct iovec){.iov_base = e->mem + (from - e->pos), .iov_len = len};
        from += len;
    }
    return k;
}

bool segment_peek(struct segment *s, uint32_t pos, void *dst, uint32_t n)
{
    uint8_t *to = dst;
    if (pos < s->mem_start || pos + n > s->size)
        return false;
    for (struct extent *e = extent_at(s, pos); n; e = next_extent(e)) {
        uint32_t len = SL_MIN(n, e->pos + e->len - pos);
        SL_ASSERT(len > 0);
        memcpy(to, e->mem + (pos - e->pos), len);
        to += len;
        pos += len;
        n -= len;
    }
    return true;
}

// An extent is clean when all it holds is on disk; one with room left is clean too. The lru holds clean extents only.
void segment_mark_clean(struct segment *s, struct list_node *lru)
{
    list_foreach(n, &s->extents)
    {
        struct extent *e = list_entry(n, struct extent, node);
        if (e->len == 0 || e->pos + e->len > s->flushed)
            break;
        if (!list_linked(&e->lru))
            list_push_back(lru, &e->lru);
    }
}

bool segment_may_leave(const struct segment *s, const struct extent *e)
{
    if (e->len == 0 || e->pos + e->len > s->flushed)
        return false;
    return !s->writing || e->pos + e->cap <= SL_ALIGN_DOWN(s->flushed, (uint32_t)IO_BLOCK);
}

bool segment_drop_first(struct segment *s, struct list_node *lru)
{
    struct extent *e = first_extent(s);
    if (!e || !segment_may_leave(s, e))
        return false;
    s->mem_start = e->pos + e->len;
    extent_leave(e);
    // Reserved extents behind the end have no bytes: without the tail they would not be reached.
    while (s->mem_start == s->size && (e = first_extent(s)))
        extent_leave(e);
    // The next one was passed over while it was not the first.
    e = first_extent(s);
    if (e && e->len && e->pos + e->len <= s->flushed && !list_linked(&e->lru))
        list_push_front(lru, &e->lru);
    return true;
}
