// Reading what left memory: through the cold cache (cache.h), for sequential readers ahead of them (stream.h). What is there
// is handed out at once; what is not, a fiber waits for.
#include "engine/log/cache.h"
#include "engine/log/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Waits for memory that replies hold, in turn, before an empty answer leaves it to the client to come again.
enum { MEMORY_TRIES = 50 };
static const uint64_t MEMORY_WAIT_NS = 2ull * 1000 * 1000;

struct cold {
    struct log *l;
    struct log_read *rd;
};

// Bytes from `pos` to the end of its extent, of a segment's file, or of `n`.
static uint32_t within(const struct cache *c, const struct segment *s, uint32_t pos, uint32_t n)
{
    uint32_t step = cache_extent_bytes(c), to_end = step - pos % step;
    return SL_MIN(SL_MIN(n, to_end), s->mem_start - pos);
}

// ---- headers --------------------------------------------------------------------------------------------------------------
// Fiber: copies [pos, pos + n) out of file and memory.
static int copy_cached(struct segment *s, uint32_t pos, uint8_t *dst, uint32_t n)
{
    struct cache *c = s->log->env->cache;
    int rc = segment_open(s, false);
    while (n && !rc) {
        if (segment_peek(s, pos, dst, n))
            return 0;
        uint32_t k = within(c, s, pos, n);
        struct cache_entry *e = cache_want(c, s, pos, pos + k);
        if (!e)
            return -ENOMEM;
        rc = cache_wait(e);
        if (!rc)
            memcpy(dst, e->e.mem + (pos - e->e.pos), k);
        cache_unhold(e);
        pos += k;
        dst += k;
        n -= k;
    }
    return rc;
}

// The same without suspension. False: it is not all there.
static bool copy_ready(struct segment *s, uint32_t pos, uint8_t *dst, uint32_t n)
{
    struct cache *c = s->log->env->cache;
    while (n && !segment_peek(s, pos, dst, n)) {
        uint32_t k = pos < s->mem_start ? within(c, s, pos, n) : 0;
        struct cache_entry *e = k ? cache_ready(c, s, pos, pos + k) : NULL;
        if (!e)
            return false;
        memcpy(dst, e->e.mem + (pos - e->e.pos), k);
        cache_unhold(e);
        pos += k;
        dst += k;
        n -= k;
    }
    return true;
}

static bool header_fits(const struct segment *s, uint32_t pos)
{
    return s->size >= BATCH_HEADER_SIZE && pos <= s->size - BATCH_HEADER_SIZE;
}

static int header_cached(struct segment *s, uint32_t pos, struct batch_info *out)
{
    uint8_t head[BATCH_HEADER_SIZE];
    int rc = header_fits(s, pos) ? copy_cached(s, pos, head, sizeof(head)) : -EBADMSG;
    return rc ? rc : log_header_check(s, pos, head, out);
}

// ---- finding --------------------------------------------------------------------------------------------------------------
// From a position that the index names on. `sc`: how headers are read; NULL: through the cache.
static int find_from(struct segment *s, int64_t offset, struct log_scan *sc, uint32_t *pos,
                     struct batch_info *b)
{
    struct offset_position hit = offset_index_lookup(&s->index, offset);
    int rc = -ENOENT;
    if (!hit.position)
        hit.offset = -1;
    for (uint32_t at = hit.position; at < s->size; at += b->size) {
        rc = sc ? log_scan_header(sc, at, b) : header_cached(s, at, b);
        if (!rc && at == hit.position && !log_hit_holds(&hit, b))
            rc = -EBADMSG;
        if (rc || b->base_offset + b->last_offset_delta >= offset) {
            *pos = at;
            break;
        }
        rc = -ENOENT;
    }
    return rc;
}

static int find_batch(struct segment *s, int64_t offset, struct log_scan *sc, uint32_t *pos,
                      struct batch_info *b)
{
    int rc = segment_load_index(s);
    if (rc)
        return rc;
    rc = find_from(s, offset, sc, pos, b);
    if (rc != -EBADMSG)
        return rc;
    sl_log(SL_WARN, "log", "%s-%d: the index of segment %lld does not fit it: rebuilding", s->log->topic,
           s->log->partition, (long long)s->base_offset);
    rc = segment_rebuild_index(s);
    return rc ? rc : find_from(s, offset, sc, pos, b);
}

int log_find_batch(struct segment *s, int64_t offset, uint32_t *pos, struct batch_info *b)
{
    struct log_scan sc = {.seg = s};
    int rc = find_batch(s, offset, &sc, pos, b);
    free(sc.buf);
    return rc;
}

int log_find_cached(struct segment *s, int64_t offset, uint32_t *pos, struct batch_info *b)
{
    return find_batch(s, offset, NULL, pos, b);
}

// Fiber. Where the batch of rd->offset begins: where its stream says, verified there, else by the index.
static int find_first(struct log *l, struct segment *s, const struct log_read *rd, struct stream *st,
                      uint32_t *pos, struct batch_info *b)
{
    if (stream_take(l, s->file_id, rd->offset, st)) {
        *pos = st->pos;
        int rc = header_cached(s, *pos, b);
        if (!rc && b->base_offset <= rd->offset && batch_info_last_offset(b) >= rd->offset) {
            stream_widen(l, st);
            return 0;
        }
        if (rc && rc != -EBADMSG)
            return rc;
    }
    *st = (struct stream){.file_id = s->file_id};
    int rc = log_find_cached(s, rd->offset, pos, b);
    if (!rc && *pos == 0) // whoever begins at the beginning goes on
        stream_widen(l, st);
    st->passed = *pos;
    return rc;
}

// ---- where a reader goes on -------------------------------------------------------------------------------------------------
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

// The last index entry within [pos, end): the walk to the end of what was read begins there.
static struct offset_position last_entry(const struct segment *s, uint32_t pos, uint32_t end)
{
    uint32_t lo = 0, hi = s->index_loaded ? s->index.count : 0;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (s->index.e[mid].position < end)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo || s->index.e[lo - 1].position <= pos)
        return (struct offset_position){.offset = -1, .position = pos};
    return (struct offset_position){.offset = s->base_offset + s->index.e[lo - 1].relative_offset,
                                    .position = s->index.e[lo - 1].position};
}

// Walks from `hit` to the first batch that was not read whole. *next: the offset behind the last whole one; -1: none was, or
// the entry does not fit. Returns where it ends, from `pos`.
static uint32_t walk_read(const struct log_read *rd, uint32_t pos, const struct offset_position *hit,
                          int64_t *next)
{
    uint8_t head[BATCH_HEADER_SIZE];
    struct batch_info b;
    uint32_t at = hit->position - pos, from = at;
    *next = -1;
    while (read_peek(rd, at, head, sizeof(head)) && batch_parse(head, sizeof(head), &b) != -EBADMSG) {
        if (at == from && !log_hit_holds(hit, &b))
            break;
        if (b.size > rd->bytes - at) {
            *next = *next < 0 && hit->offset >= 0 ? b.base_offset : *next;
            break;
        }
        at += b.size;
        *next = batch_info_last_offset(&b) + 1;
    }
    return at;
}

int64_t log_read_end(const struct log_read *rd)
{
    int64_t next;
    (void)walk_read(rd, 0, &(struct offset_position){.offset = -1}, &next);
    return next < 0 ? rd->offset : next;
}

// `rd` has [pos, pos + rd->bytes) of `s`: its reader will go on behind the last whole batch.
static void stream_goes_on(struct log *l, struct segment *s, uint32_t pos, const struct log_read *rd,
                           struct stream *st)
{
    struct offset_position hit = last_entry(s, pos, pos + rd->bytes);
    uint32_t at = walk_read(rd, pos, &hit, &st->offset);
    if (st->offset < 0 && hit.offset >= 0) {
        hit = (struct offset_position){.offset = -1, .position = pos};
        at = walk_read(rd, pos, &hit, &st->offset);
    }
    st->pos = pos + at;
    st->passed = SL_MAX(st->passed, pos + rd->bytes);
    if (st->offset < 0)
        return;
    if (st->pos == s->size && s->sealed) {
        const struct segment *next = log_segment_behind(l, s->base_offset);
        if (!next)
            return;
        *st = (struct stream){.file_id = next->file_id, .offset = st->offset, .window = st->window};
    }
    stream_put(l, st);
}

// ---- pieces -----------------------------------------------------------------------------------------------------------------
static int piece_add(struct log_read *rd, struct cache_entry *e, uint32_t pos, uint32_t n,
                     const struct stream *st)
{
    struct log_piece *p = realloc(rd->pieces, (rd->pieces_n + 1) * sizeof(*p));
    if (!p)
        return -ENOMEM;
    uint32_t end = e->e.pos + e->want;
    if (pos + n == end && end > st->passed)
        cache_passed(e);
    p[rd->pieces_n++] = (struct log_piece){.ext = &e->e, .p = e->e.mem + (pos - e->e.pos), .len = n};
    rd->pieces = p;
    rd->bytes += n;
    return 0;
}

// Fiber. Asks for all extents of [pos, pos + n), n > 0, of the file, then for what lies ahead, and waits in order.
static int collect_file(struct segment *s, uint32_t pos, uint32_t n, struct log_read *rd, struct stream *st)
{
    struct cache *c = s->log->env->cache;
    uint32_t most = n / cache_extent_bytes(c) + 2, k = 0, got = 0, done = 0;
    struct cache_entry **e = calloc(most, sizeof(struct cache_entry *));
    int rc = e ? segment_open(s, false) : -ENOMEM;
    while (got < n && !rc) {
        uint32_t len = within(c, s, pos + got, n - got);
        SL_ASSERT(k < most);
        if (!(e[k++] = cache_want(c, s, pos + got, pos + got + len)))
            break;
        got += len;
    }
    if (got == n && !rc)
        stream_read_ahead(s->log, s, st, pos + n);
    for (uint32_t i = 0, at = pos; i < k; i++) {
        uint32_t len = e[i] ? SL_MIN(e[i]->e.pos + cache_extent_bytes(c), pos + n) - at : 0;
        rc = rc ? rc : e[i] ? cache_wait(e[i]) : -ENOMEM;
        if (!rc)
            rc = piece_add(rd, e[i], at, len, st);
        if (rc && e[i])
            cache_unhold(e[i]);
        done += rc ? 0 : len;
        at += len;
    }
    free(e);
    return rc == -ENOMEM && done ? 0 : rc;
}

// [pos, pos + n): what left memory from the file, the rest from extents. A shortage of memory ends it early.
static int collect(struct segment *s, uint32_t pos, uint32_t n, struct log_read *rd, struct stream *st)
{
    while (n) {
        uint32_t before = rd->bytes, k = pos < s->mem_start ? SL_MIN(n, s->mem_start - pos) : n;
        int rc = pos < s->mem_start ? collect_file(s, pos, k, rd, st) : log_add_pieces(s, pos, k, rd);
        if (rc)
            return rc == -ENOMEM && rd->bytes ? 0 : rc;
        if (rd->bytes - before < k)
            return 0;
        pos += k;
        n -= k;
    }
    return 0;
}

// KIP-74: less than the first batch is nothing.
static int whole_or_nothing(struct log *l, struct log_read *rd, uint32_t first)
{
    if (rd->bytes >= first)
        return 0;
    log_pieces_free(l->env, rd->pieces, rd->pieces_n);
    rd->pieces = NULL;
    rd->pieces_n = rd->bytes = 0;
    return -ENOMEM;
}

// No reply holds more than its share of the pool, but for a first batch.
static uint32_t bounded(const struct log *l, uint32_t n, const struct batch_info *first)
{
    return SL_MIN(n, SL_MAX(cache_window(l->env->cache), first->size));
}

static int cold_segment(struct log *l, struct segment *s, struct log_read *rd)
{
    struct batch_info b, e;
    struct stream st;
    uint32_t pos, at;
    if (s->base_offset >= rd->limit)
        return 0;
    int rc = find_first(l, s, rd, &st, &pos, &b);
    if (rc)
        return rc;
    int64_t end = log_limit_position(l, s, rd->limit);
    if (end < 0) {
        rc = log_find_cached(s, rd->limit, &at, &e);
        if (rc && rc != -ENOENT)
            return rc;
        end = rc == -ENOENT ? s->size : at;
    }
    uint32_t n = end > pos ? log_want_bytes(rd, pos, (uint32_t)end, &b) : 0;
    if (!n)
        return 0;
    rc = collect(s, pos, bounded(l, n, &b), rd, &st);
    if (!rc)
        rc = whole_or_nothing(l, rd, SL_MIN(b.size, n));
    if (!rc)
        stream_goes_on(l, s, pos, rd, &st);
    return rc;
}

static int cold_read(struct log *l, struct log_read *rd)
{
    struct segment *s = log_segment_for(l, rd->offset, NULL), *next;
    int rc = -ENOENT;
    for (; s && rc == -ENOENT; s = next) {
        int64_t end = log_segment_end(l, s);
        segment_hold(s);
        rc = cold_segment(l, s, rd);
        next = log_segment_next(l, s, end);
        segment_release(s);
    }
    return rc;
}

static void cold_fiber(void *arg)
{
    struct cold *c = arg;
    struct log *l = c->l;
    struct log_read *rd = c->rd;
    int rc = cold_read(l, rd);
    for (int i = 0; rc == -ENOMEM && i < MEMORY_TRIES && !l->closed; i++) {
        fiber_sleep(MEMORY_WAIT_NS);
        rc = cold_read(l, rd);
    }
    if (rd->offset < l->log_start || (rc && rc != -ENOENT)) {
        log_pieces_free(l->env, rd->pieces, rd->pieces_n);
        rd->pieces = NULL;
        rd->pieces_n = rd->bytes = 0;
    }
    if (rd->offset < l->log_start) // it was deleted meanwhile
        rc = -ERANGE;
    rd->err = rc == -ENOENT ? 0 : rc;
    free(c);
    log_leave(l);
    rd->done(rd);
}

int log_read_cold(struct log *l, struct log_read *rd)
{
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

// ---- at once ----------------------------------------------------------------------------------------------------------------
static bool all_ready(const struct segment *s, uint32_t pos, uint32_t n)
{
    const struct cache *c = s->log->env->cache;
    for (uint32_t k; n && pos < s->mem_start; pos += k, n -= k) {
        k = within(c, s, pos, n);
        if (!cache_has(c, s, pos, pos + k))
            return false;
    }
    return true;
}

// [pos, pos + n), which is all there.
static int collect_ready(struct segment *s, uint32_t pos, uint32_t n, struct log_read *rd, struct stream *st)
{
    struct cache *c = s->log->env->cache;
    while (n && pos < s->mem_start) {
        uint32_t k = within(c, s, pos, n);
        struct cache_entry *e = cache_ready(c, s, pos, pos + k);
        SL_ASSERT(e);
        if (piece_add(rd, e, pos, k, st)) {
            cache_unhold(e);
            return -ENOMEM;
        }
        pos += k;
        n -= k;
    }
    return n ? log_add_pieces(s, pos, n, rd) : 0;
}

bool log_read_cached(struct log *l, struct segment *s, struct log_read *rd)
{
    uint8_t head[BATCH_HEADER_SIZE];
    struct batch_info b;
    struct stream st;
    int64_t end = log_limit_position(l, s, rd->limit);
    if (end < 0 || !stream_look(l, s->file_id, rd->offset, &st) || end <= st.pos)
        return false;
    if (!header_fits(s, st.pos) || !copy_ready(s, st.pos, head, sizeof(head)) ||
        log_header_check(s, st.pos, head, &b) || b.base_offset > rd->offset ||
        batch_info_last_offset(&b) < rd->offset)
        return false;
    uint32_t n = log_want_bytes(rd, st.pos, (uint32_t)end, &b), pos = st.pos;
    if (!n)
        return true;
    n = bounded(l, n, &b);
    struct log_read got = *rd;
    if (!all_ready(s, pos, n))
        return false;
    if (collect_ready(s, pos, n, &got, &st)) {
        log_pieces_free(l->env, got.pieces, got.pieces_n);
        return false;
    }
    (void)stream_take(l, s->file_id, rd->offset, &st);
    stream_widen(l, &st);
    if (s->file >= 0)
        stream_read_ahead(l, s, &st, pos + n);
    *rd = got;
    reactor_count(l->env->r, METRIC_COLD_HITS, got.pieces_n);
    stream_goes_on(l, s, pos, rd, &st);
    return true;
}
