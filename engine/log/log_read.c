// Reading: from extents at once, from the file in a fiber. Index hits are hints: each is verified at the batch header
// it points to (S10); one that does not hold costs a rebuild of that segment's index, never a wrong answer.
#include "engine/log/log_private.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { READ_WINDOW = 1 << 20 };

void log_pieces_free(struct log_env *env, struct log_piece *pieces, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        extent_unref(pieces[i].ext);
    free(pieces);
}

// Where reading below `limit` ends in segment `s`. Only ends that the log knows are exact positions; another limit (the
// last stable offset) is found by walking. Returns the position or -EAGAIN when that needs the file.
static int64_t limit_position(const struct log *l, const struct segment *s, int64_t limit)
{
    const struct log_mark *const marks[] = {&l->visible, &l->durable, &l->appended};
    for (size_t i = 0; i < SL_ARRAY_LEN(marks); i++)
        if (marks[i]->offset == limit)
            return marks[i]->seg == s ? marks[i]->pos : s->size;
    return -EAGAIN;
}

static bool hit_holds(const struct offset_position *hit, const struct batch_info *b)
{
    return hit->offset < 0 || SL_CANARY(INDEX_BELIEVED) ||
           b->base_offset + b->last_offset_delta == hit->offset;
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
        if (at == from && hit && !hit_holds(hit, b))
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

static int add_pieces(struct segment *s, uint32_t pos, uint32_t n, struct log_read *rd)
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

// How many bytes from `pos`, where batch `b` starts, the reader gets: upstream's rule of LogSegment.read, and its rule that
// a first batch that does not fit is left out rather than cut.
static uint32_t want_bytes(const struct log_read *rd, uint32_t pos, uint32_t end, const struct batch_info *b)
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
    int64_t end = limit_position(l, s, rd->limit);
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
    uint32_t n = end > pos ? want_bytes(rd, pos, (uint32_t)end, &b) : 0;
    rc = n ? add_pieces(s, pos, n, rd) : 0;
    if (!rc && pos + n == (uint32_t)end)
        l->hint = (struct log_mark){.offset = rd->limit, .seg = s, .pos = pos + n};
    return rc;
}

// ---- cold reads ---------------------------------------------------------------------------------------------------------
struct cold {
    struct log *l;
    struct log_read *rd;
};

static int find_from(struct segment *s, int64_t offset, struct offset_position hit, uint32_t *pos,
                     struct batch_info *b)
{
    struct log_scan sc = {.seg = s};
    int rc = -ENOENT;
    if (!hit.position)
        hit.offset = -1;
    for (uint32_t at = hit.position; at < s->size; at += b->size) {
        rc = log_scan_header(&sc, at, b);
        if (!rc && at == hit.position && !hit_holds(&hit, b))
            rc = -EBADMSG;
        if (rc || b->base_offset + b->last_offset_delta >= offset) {
            *pos = at;
            break;
        }
        rc = -ENOENT;
    }
    free(sc.buf);
    return rc;
}

int log_find_batch(struct segment *s, int64_t offset, uint32_t *pos, struct batch_info *b)
{
    int rc = segment_load_index(s);
    if (rc)
        return rc;
    rc = find_from(s, offset, offset_index_lookup(&s->index, offset), pos, b);
    if (rc != -EBADMSG)
        return rc;
    sl_log(SL_WARN, "log", "%s-%d: the index of segment %lld does not fit it: rebuilding", s->log->topic,
           s->log->partition, (long long)s->base_offset);
    rc = segment_rebuild_index(s);
    return rc ? rc : find_from(s, offset, offset_index_lookup(&s->index, offset), pos, b);
}

static int add_disk(struct segment *s, uint32_t pos, uint32_t n, struct log_read *rd)
{
    uint32_t from = SL_ALIGN_DOWN(pos, (uint32_t)IO_BLOCK),
             cap = SL_ALIGN_UP(pos + n, (uint32_t)IO_BLOCK) - from;
    struct extent *e = extent_new(s->log->env->read_pool, s->file_id, from, cap);
    if (!e)
        return -ENOMEM;
    int rc = segment_open(s, false);
    if (!rc)
        rc = fio_read(s->file, e->mem, cap, from);
    if (rc >= 0 && (uint32_t)rc < pos + n - from)
        rc = -EIO;
    struct log_piece *p = rc < 0 ? NULL : realloc(rd->pieces, (rd->pieces_n + 1) * sizeof(*p));
    if (!p) {
        extent_unref(e);
        return rc < 0 ? rc : -ENOMEM;
    }
    e->len = pos + n - from;
    p[rd->pieces_n++] = (struct log_piece){.ext = e, .p = e->mem + (pos - from), .len = n};
    rd->pieces = p;
    rd->bytes += n;
    return 0;
}

// [pos, pos + n): what left memory from the file, the rest from extents. A shortage of memory ends it early.
static int cold_collect(struct segment *s, uint32_t pos, uint32_t n, uint32_t first, struct log_read *rd)
{
    while (n) {
        int rc;
        uint32_t k;
        if (pos >= s->mem_start) {
            k = n;
            rc = add_pieces(s, pos, k, rd);
        } else {
            uint32_t window = rd->bytes ? READ_WINDOW : SL_MAX((uint32_t)READ_WINDOW, first);
            k = SL_MIN(SL_MIN(n, window), s->mem_start - pos);
            rc = add_disk(s, pos, k, rd);
        }
        if (rc == -ENOMEM && rd->bytes)
            return 0;
        if (rc)
            return rc;
        pos += k;
        n -= k;
    }
    return 0;
}

// Where an earlier read says that the batch of rd->offset begins; verified there. It spares the way through the index.
static int cold_hint(struct log *l, struct segment *s, int64_t offset, uint32_t *pos, struct batch_info *b)
{
    for (uint32_t i = 0; i < LOG_COLD_HINTS; i++) {
        const struct log_cold *h = &l->cold[i];
        if (h->file_id != s->file_id || h->offset != offset)
            continue;
        *pos = h->pos;
        int rc = log_header_at(s, *pos, b);
        return !rc && b->base_offset <= offset && batch_info_last_offset(b) >= offset ? 0 : -ENOENT;
    }
    return -ENOENT;
}

// Copies `n` bytes from `at` in what was read. False: they are not all there.
static bool read_peek(const struct log_read *rd, uint32_t at, uint8_t *dst, uint32_t n)
{
    for (uint32_t i = 0; i < rd->pieces_n && n; i++) {
        const struct log_piece *p = &rd->pieces[i];
        if (at >= p->len) {
            at -= p->len;
            continue;
        }
        uint32_t k = SL_MIN(n, p->len - at);
        memcpy(dst, p->p + at, k);
        dst += k;
        n -= k;
        at = 0;
    }
    return n == 0;
}

int64_t log_read_end(const struct log_read *rd)
{
    uint8_t head[BATCH_HEADER_SIZE];
    struct batch_info b;
    int64_t end = rd->offset;
    for (uint32_t at = 0; read_peek(rd, at, head, sizeof(head)); at += b.size) {
        if (batch_parse(head, sizeof(head), &b) == -EBADMSG || b.size > rd->bytes - at)
            break;
        end = batch_info_last_offset(&b) + 1;
    }
    return end;
}

// Notes where the first batch begins that was not read whole.
static void cold_note(struct log *l, struct segment *s, uint32_t pos, const struct log_read *rd)
{
    uint8_t head[BATCH_HEADER_SIZE];
    struct batch_info b;
    struct log_cold c = {.file_id = s->file_id};
    uint32_t at = 0;
    while (read_peek(rd, at, head, sizeof(head)) && batch_parse(head, sizeof(head), &b) != -EBADMSG &&
           b.size <= rd->bytes - at) {
        at += b.size;
        c.offset = batch_info_last_offset(&b) + 1;
    }
    c.pos = pos + at;
    if (at && c.pos < s->size)
        l->cold[l->cold_next++ % LOG_COLD_HINTS] = c;
}

static int cold_segment(struct log *l, struct segment *s, struct log_read *rd)
{
    struct batch_info b, e;
    uint32_t pos, at;
    if (s->base_offset >= rd->limit)
        return 0;
    int rc = cold_hint(l, s, rd->offset, &pos, &b);
    if (rc)
        rc = log_find_batch(s, rd->offset, &pos, &b);
    if (rc)
        return rc;
    int64_t end = limit_position(l, s, rd->limit);
    if (end < 0) {
        rc = log_find_batch(s, rd->limit, &at, &e);
        if (rc && rc != -ENOENT)
            return rc;
        end = rc == -ENOENT ? s->size : at;
    }
    uint32_t n = end > pos ? want_bytes(rd, pos, (uint32_t)end, &b) : 0;
    rc = n ? cold_collect(s, pos, n, b.size, rd) : 0;
    if (!rc && rd->bytes)
        cold_note(l, s, pos, rd);
    return rc;
}

static void cold_fiber(void *arg)
{
    struct cold *c = arg;
    struct log *l = c->l;
    struct log_read *rd = c->rd;
    struct segment *s = log_segment_for(l, rd->offset, NULL), *next;
    int rc = -ENOENT;
    for (; s && rc == -ENOENT; s = next) { // what was the next one may have gone meanwhile
        segment_hold(s);
        rc = cold_segment(l, s, rd);
        next = log_segment_behind(l, s->base_offset);
        segment_release(s);
    }
    if (rd->offset < l->log_start) { // it was deleted meanwhile
        log_pieces_free(l->env, rd->pieces, rd->pieces_n);
        rd->pieces = NULL;
        rd->pieces_n = rd->bytes = 0;
        rc = -ERANGE;
    }
    rd->err = rc == -ENOENT ? 0 : rc;
    free(c);
    log_leave(l);
    rd->done(rd);
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
    for (; s && rc == -ENOENT; s = ++i < l->segments_n ? l->segments[i] : NULL)
        rc = read_memory(l, s, rd);
    if (rc != -EAGAIN) {
        rd->err = rc == -ENOENT ? 0 : rc;
        return 0;
    }
    struct cold *c = malloc(sizeof(*c));
    if (!c || !log_enter(l)) {
        free(c);
        rd->err = -ENOMEM;
        return 0;
    }
    *c = (struct cold){.l = l, .rd = rd};
    if (!fiber_spawn(l->env->r, cold_fiber, c, 0)) {
        log_leave(l);
        free(c);
        rd->err = -ENOMEM;
        return 0;
    }
    return -EINPROGRESS;
}

void log_read_cancel(struct log_read *rd)
{
    (void)rd; // a cold read is bounded by one window's I/O: it is waited for
}
