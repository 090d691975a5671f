// Reading: from extents at once, else from the file (log_cold.c). Index hits are hints: each is verified at the batch header
// it points to (S10); one that does not hold costs a rebuild of that segment's index, never a wrong answer.
#include "engine/log/log_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void log_pieces_free(struct log_env *env, struct log_piece *pieces, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        extent_unref(pieces[i].ext);
    free(pieces);
}

int64_t log_limit_position(const struct log *l, const struct segment *s, int64_t limit)
{
    const struct log_mark *const marks[] = {&l->visible, &l->durable, &l->appended};
    for (size_t i = 0; i < SL_ARRAY_LEN(marks); i++)
        if (marks[i]->offset == limit)
            return marks[i]->seg == s ? marks[i]->pos : s->size;
    return -EAGAIN;
}

// Finds, in memory, the batch that holds `offset`; or with a limit, the position of the first batch at or above it.
// 0, -EAGAIN (not all in memory), -ENOENT (behind the end).
static int find_in_memory(struct segment *s, int64_t offset, uint32_t from, const struct offset_position *hit,
                          uint32_t *pos, struct batch_info *b)
{
    uint8_t head[BATCH_HEADER_SIZE];
    for (uint32_t at = from; at < s->size; at += b->size) {
        if (!segment_peek(s, at, head, sizeof(head)))
            return -EAGAIN;
        if (batch_parse(head, sizeof(head), b) == -EBADMSG || b->size > s->size - at)
            return -EAGAIN;
        if (at == from && hit && !log_hit_holds(hit, b))
            return -EAGAIN; // the way over the file rebuilds the index
        if (b->base_offset + b->last_offset_delta >= offset) {
            *pos = at;
            return 0;
        }
    }
    *pos = s->size;
    return -ENOENT;
}

// Where to look from. *hit: what the index says of that position, to be verified; its offset is -1 when it says nothing.
static uint32_t floor_position(const struct log *l, const struct segment *s, int64_t offset,
                               struct offset_position *hit)
{
    *hit = offset_index_lookup(&s->index, offset);
    if (!hit->position)
        hit->offset = -1;
    if (l->hint.seg != s || l->hint.offset > offset || l->hint.pos <= hit->position)
        return hit->position;
    hit->offset = -1;
    return l->hint.pos;
}

int log_add_pieces(struct segment *s, uint32_t pos, uint32_t n, struct log_read *rd)
{
    uint32_t k = segment_count_pieces(s, pos, n);
    struct log_piece *p = realloc(rd->pieces, (rd->pieces_n + k) * sizeof(*p));
    if (!p)
        return -ENOMEM;
    rd->pieces = p;
    rd->pieces_n += segment_pieces(s, pos, n, p + rd->pieces_n, k);
    rd->bytes += n;
    return 0;
}

uint32_t log_want_bytes(const struct log_read *rd, uint32_t pos, uint32_t end, const struct batch_info *b)
{
    uint32_t max = rd->min_one ? SL_MAX(rd->max_bytes, b->size) : rd->max_bytes;
    return max < b->size ? 0 : SL_MIN(max, end - pos);
}

// Tries a segment without I/O. 0 done; -EAGAIN: the file is needed; -ENOENT: nothing of it here, look at the next.
static int read_memory(struct log *l, struct segment *s, struct log_read *rd)
{
    struct batch_info b;
    struct offset_position hit;
    uint32_t pos;
    if (s->base_offset >= rd->limit)
        return 0;
    if (s->mem_start >= s->size)
        return s->size ? -EAGAIN : -ENOENT;
    if (!s->index_loaded)
        return -EAGAIN;
    uint32_t floor = floor_position(l, s, rd->offset, &hit);
    if (floor < s->mem_start)
        return -EAGAIN;
    int rc = find_in_memory(s, rd->offset, floor, &hit, &pos, &b);
    if (rc)
        return rc;
    int64_t end = log_limit_position(l, s, rd->limit);
    if (end < 0) {
        struct batch_info e;
        uint32_t at;
        struct offset_position near = offset_index_lookup(&s->index, rd->limit);
        if (near.position <= pos)
            near = (struct offset_position){.offset = -1, .position = pos};
        rc = find_in_memory(s, rd->limit, near.position, &near, &at, &e);
        if (rc == -EAGAIN)
            return rc;
        end = at;
    }
    uint32_t n = end > pos ? log_want_bytes(rd, pos, (uint32_t)end, &b) : 0;
    rc = n ? log_add_pieces(s, pos, n, rd) : 0;
    if (!rc && pos + n == (uint32_t)end)
        l->hint = (struct log_mark){.offset = rd->limit, .seg = s, .pos = pos + n};
    return rc;
}

int log_read_start(struct log *l, struct log_read *rd)
{
    uint32_t i = 0;
    rd->err = 0;
    rd->pieces = NULL;
    rd->pieces_n = rd->bytes = 0;
    if (rd->offset < l->log_start || rd->offset > l->appended.offset) {
        rd->err = -ERANGE;
        return 0;
    }
    if (rd->offset >= rd->limit)
        return 0;
    struct segment *s = log_segment_for(l, rd->offset, &i);
    int rc = -ENOENT;
    for (; s; s = ++i < l->segments_n ? l->segments[i] : NULL)
        if ((rc = read_memory(l, s, rd)) != -ENOENT)
            break;
    if (rc != -EAGAIN) {
        rd->err = rc == -ENOENT ? 0 : rc;
        return 0;
    }
    return log_read_cached(l, s, rd) ? 0 : log_read_cold(l, rd);
}

void log_read_cancel(struct log_read *rd)
{
    (void)rd; // a cold read is bounded by one window's I/O: it is waited for
}
