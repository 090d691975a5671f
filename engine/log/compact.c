// Rounds of compaction: what is dirty, the map, the groups of segments. See compact.h.
#include "engine/log/compact_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 512 << 10, UNPACKED_MAX = 256 << 20, SLICE = 64 << 10 };
static const uint64_t SECOND = 1000ull * 1000 * 1000;

struct compactor *compactor_create(struct reactor *r, const struct compactor_config *cfg)
{
    struct compactor *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->r = r;
    c->cfg = *cfg;
    return c;
}

static void buffers_free(struct compactor *c)
{
    free(c->in);
    free(c->plain);
    free(c->out);
    free(c->keep);
    c->in = c->plain = c->out = c->keep = NULL;
    c->in_cap = 0;
    c->plain_cap = c->out_cap = c->keep_cap = 0;
    decompress_ctx_destroy(&c->unpack);
    compress_ctx_destroy(&c->pack);
    c->unpack = (struct decompress_ctx){0};
    c->pack = (struct compress_ctx){0};
}

void compactor_destroy(struct compactor *c)
{
    if (!c)
        return;
    buffers_free(c);
    free(c);
}

int compactor_grow(uint8_t **buf, size_t *cap, size_t want)
{
    if (want <= *cap)
        return 0;
    want = SL_MAX(want, *cap * 2);
    uint8_t *p = realloc(*buf, want);
    if (!p)
        return -ENOMEM;
    *buf = p;
    *cap = want;
    return 0;
}

void compactor_pace(struct compactor *c, uint64_t n)
{
    uint64_t now = reactor_now(c->r);
    c->paced_bytes += n;
    double due = (double)c->paced_bytes / SL_MAX(c->cfg.bytes_per_second, 1.0) * (double)SECOND;
    double gone = (double)(now - c->paced_since);
    if (gone > (double)SECOND && gone > due) { // what was not used is not saved up
        c->paced_since = now;
        c->paced_bytes = 0;
    }
    if (due > gone)
        fiber_sleep((uint64_t)SL_MIN(due - gone, (double)SECOND));
    else
        fiber_yield();
}

// ---- reading ------------------------------------------------------------------------------------------------------------------
static int load(struct compact_reader *rd, uint32_t pos, uint32_t need)
{
    struct compactor *c = rd->c;
    struct segment *s = rd->s;
    uint32_t from = SL_ALIGN_DOWN(pos, (uint32_t)IO_BLOCK);
    uint32_t want = SL_ALIGN_UP(SL_MAX(pos - from + need, (uint32_t)WINDOW), (uint32_t)IO_BLOCK);
    if (want > c->in_cap) {
        free(c->in);
        c->in = aligned_alloc(IO_BLOCK, want);
        c->in_cap = c->in ? want : 0;
        if (!c->in)
            return -ENOMEM;
    }
    int rc = segment_open(s, false);
    if (!rc)
        rc = fio_read(s->file, c->in, want, from);
    if (rc < 0)
        return rc;
    rd->pos = from;
    rd->len = SL_MIN((uint32_t)rc, s->size - from);
    compactor_pace(c, rd->len);
    return rd->len < pos - from + need ? -EBADMSG : 0;
}

static int at_hand(struct compact_reader *rd, uint32_t pos, uint32_t need)
{
    if (pos >= rd->pos && pos + need <= rd->pos + rd->len)
        return 0;
    return load(rd, pos, need);
}

int compact_read(struct compact_reader *rd, uint32_t pos, const uint8_t **p, struct batch_info *b)
{
    if (pos >= rd->s->size)
        return 0;
    int rc = rd->s->size - pos < BATCH_HEADER_SIZE ? -EBADMSG : at_hand(rd, pos, BATCH_HEADER_SIZE);
    if (!rc && batch_parse(rd->c->in + (pos - rd->pos), BATCH_HEADER_SIZE, b) == -EBADMSG)
        rc = -EBADMSG;
    if (!rc && b->size > rd->s->size - pos)
        rc = -EBADMSG;
    if (!rc)
        rc = at_hand(rd, pos, b->size);
    if (rc)
        return rc;
    *p = rd->c->in + (pos - rd->pos);
    return batch_crc_ok(*p) ? 1 : -EBADMSG;
}

int compact_records(struct compactor *c, const uint8_t *batch, const struct batch_info *b, const uint8_t **p,
                    size_t *n)
{
    struct decompressor d;
    unsigned codec = batch_attr_codec(b->attributes);
    *p = batch + BATCH_RECORDS;
    *n = b->size - BATCH_RECORDS;
    if (codec == BATCH_CODEC_NONE)
        return 0;
    int rc = decompressor_init(&d, &c->unpack, codec, *p, *n, UNPACKED_MAX);
    if (rc)
        return rc;
    ssize_t k = 1;
    for (*n = 0; !rc && k > 0; *n += (size_t)SL_MAX(k, (ssize_t)0)) {
        rc = compactor_grow(&c->plain, &c->plain_cap, *n + SLICE);
        k = rc ? 0 : decompressor_next(&d, c->plain + *n, SLICE);
        if (reactor_turn_spent(c->r))
            fiber_yield();
    }
    decompressor_destroy(&d);
    *p = c->plain;
    return rc ? rc : k < 0 ? (int)k : 0;
}

int compact_control_type(const uint8_t *batch, const struct batch_info *b)
{
    struct record_iter it;
    struct record r;
    record_iter_init(&it, batch + BATCH_RECORDS, b->size - BATCH_RECORDS, b->record_count);
    return b->record_count && record_iter_next(&it, &r) > 0 ? record_control_type(r.key) : -1;
}

// ---- what is dirty ------------------------------------------------------------------------------------------------------------
int64_t log_first_dirty(const struct log *l)
{
    return l->first_dirty;
}

void log_set_first_dirty(struct log *l, int64_t offset)
{
    l->first_dirty = SL_MAX(offset, (int64_t)0);
}

static int newest_of(struct segment *s)
{
    segment_hold(s);
    int rc = s->max_timestamp < 0 ? segment_load_index(s) : 0;
    segment_release(s);
    return rc;
}

// The index of the first segment that must not be compacted: finished ones below the last stable offset, old enough.
static int first_untouchable(struct log *l, int64_t first_dirty, uint32_t *out)
{
    int64_t young = reactor_wall_ms(l->env->r) - l->cfg.min_compaction_lag_ms;
    int64_t stable = producer_state_last_stable(&l->producers, l->visible.offset, l->log_start);
    uint32_t i = 0;
    for (; i < l->finished_n && i + 1 < l->segments_n && l->segments[i + 1]->base_offset <= stable; i++) {
        struct segment *s = l->segments[i];
        if (l->cfg.min_compaction_lag_ms <= 0 || l->segments[i + 1]->base_offset <= first_dirty)
            continue;
        int rc = newest_of(s);
        if (rc)
            return rc;
        if (s->max_timestamp > young)
            break;
    }
    *out = i;
    return 0;
}

static int first_time(struct segment *s, int64_t *time)
{
    struct batch_info b;
    int rc = 0;
    segment_hold(s);
    if (s->first_timestamp < 0 && s->size) {
        rc = log_header_at(s, 0, &b);
        if (!rc)
            s->first_timestamp = b.max_timestamp;
    }
    segment_release(s);
    *time = s->first_timestamp;
    return rc;
}

// Holds life_lock, so that no segment goes meanwhile.
static int look(struct log *l, struct compactable *out, uint32_t *segments)
{
    int64_t now = reactor_wall_ms(l->env->r), time;
    *out = (struct compactable){.first_dirty = SL_MAX(l->first_dirty, l->log_start)};
    int rc = first_untouchable(l, out->first_dirty, segments);
    if (rc || !*segments)
        return rc;
    out->end = l->segments[*segments]->base_offset;
    for (uint32_t i = 0; i < *segments && !rc; i++) {
        struct segment *s = l->segments[i];
        bool dirty = l->segments[i + 1]->base_offset > out->first_dirty;
        *(dirty ? &out->dirty_bytes : &out->clean_bytes) += s->size;
        if (!dirty || out->must)
            continue;
        rc = first_time(s, &time);
        out->must = !rc && time >= 0 && now > time && now - time > l->cfg.max_compaction_lag_ms;
    }
    return rc;
}

int log_compactable(struct log *l, struct compactable *out)
{
    uint32_t n = 0;
    *out = (struct compactable){0};
    if (!log_enter(l))
        return 0;
    fiber_lock(&l->life_lock);
    int rc = l->env->failed ? l->env->failed : look(l, out, &n);
    fiber_unlock(&l->life_lock);
    log_leave(l);
    return rc;
}

// ---- the map --------------------------------------------------------------------------------------------------------------------
struct round {
    struct log *l;
    struct compactor *c;
    struct compactable what;
    uint32_t segments_n; // that may be compacted
    struct compact_map map;
    struct compact_aborted *aborted;
    uint32_t aborted_n;
    bool full;
};

static bool stops(const struct round *r)
{
    return r->l->closed || r->l->env->stopping || r->l->env->failed;
}

static int map_records(struct round *r, const uint8_t *batch, const struct batch_info *b)
{
    struct record_iter it;
    struct record rec;
    const uint8_t *p;
    size_t n;
    int rc = compact_records(r->c, batch, b, &p, &n);
    if (rc)
        return rc == -EFBIG ? 0 : rc;
    record_iter_init(&it, p, n, b->record_count);
    while ((rc = record_iter_next(&it, &rec)) > 0) {
        int64_t offset = b->base_offset + rec.offset_delta;
        if (rec.key.len >= 0 && offset >= r->what.first_dirty &&
            !compact_map_put(&r->map, rec.key.p, (uint32_t)rec.key.len, offset)) {
            r->full = true;
            return 0;
        }
        if (reactor_turn_spent(r->c->r))
            fiber_yield();
    }
    return rc;
}

static int map_segment(struct round *r, struct segment *s, struct compact_txns *txns)
{
    struct compact_reader rd = {.c = r->c, .s = s};
    struct batch_info b = {0};
    const uint8_t *p;
    int rc = 1;
    for (uint32_t pos = 0; rc > 0 && !r->full && !stops(r); pos += b.size) {
        rc = compact_read(&rd, pos, &p, &b);
        if (rc <= 0 || batch_info_last_offset(&b) < r->what.first_dirty)
            continue;
        int e = 0;
        if (batch_info_is_control(&b))
            (void)compact_txns_marker(txns, &b, compact_control_type(p, &b));
        else if (!compact_txns_batch(txns, &b))
            e = map_records(r, p, &b);
        if (e)
            rc = e;
        else if (!r->full)
            r->map.latest = batch_info_last_offset(&b);
    }
    return SL_MIN(rc, 0);
}

// Slots for as many keys as the dirty part can hold, or the memory that is allowed.
static int map_begin(struct round *r)
{
    uint64_t seed[2];
    uint64_t most = SL_MAX(r->c->cfg.map_bytes / sizeof(struct compact_slot), (uint64_t)4);
    uint64_t need =
        compact_map_slots(r->what.dirty_bytes, r->what.first_dirty, r->what.end, r->c->cfg.load_factor);
    io_random(reactor_io(r->c->r), seed, sizeof(seed));
    return compact_map_init(&r->map, SL_MIN(most, need), r->c->cfg.load_factor, seed);
}

static int map_make(struct round *r)
{
    struct compact_txns txns;
    int rc = map_begin(r);
    compact_txns_begin(&txns, r->aborted, r->aborted_n, r->what.first_dirty);
    for (uint32_t i = 0; i < r->segments_n && !rc && !r->full; i++) {
        struct segment *s = r->l->segments[i];
        int64_t end = r->l->segments[i + 1]->base_offset;
        if (end <= r->what.first_dirty)
            continue;
        segment_hold(s);
        rc = map_segment(r, s, &txns);
        segment_release(s);
        if (!rc && !r->full && !stops(r))
            r->map.latest = end - 1; // whatever gap there is behind its last batch
    }
    compact_txns_end(&txns);
    return rc;
}

// ---- the groups -----------------------------------------------------------------------------------------------------------------
static int clean_segment(struct round *r, struct segment *s, const struct compact_rules *k,
                         struct compact_out *o, bool *changed)
{
    struct compact_reader rd = {.c = r->c, .s = s};
    struct batch_info b = {0};
    const uint8_t *p, *out;
    uint32_t n;
    int rc = 1;
    for (uint32_t pos = 0; rc > 0 && !stops(r); pos += b.size) {
        rc = compact_read(&rd, pos, &p, &b);
        if (rc <= 0)
            break;
        int e = compact_batch(r->c, k, p, &b, &out, &n);
        *changed |= out != p;
        if (!e && n) {
            struct batch_info w;
            (void)batch_parse(out, n, &w);
            e = compact_out_put(o, out, &w);
        }
        rc = e ? e : rc;
    }
    return rc < 0 ? rc : stops(r) ? -ECANCELED : 0;
}

// As many segments from `first` on as make one segment together.
static uint32_t group_size(const struct round *r, uint32_t first)
{
    const struct log *l = r->l;
    uint64_t bytes = l->segments[first]->size;
    uint32_t n = 1;
    for (; first + n < r->segments_n; n++) {
        const struct segment *s = l->segments[first + n];
        if (s->base_offset > r->map.latest || bytes + s->size > l->cfg.segment_bytes ||
            l->segments[first + n + 1]->base_offset - l->segments[first]->base_offset > INT32_MAX)
            break;
        bytes += s->size;
    }
    return n;
}

// Writes the group anew and puts it in its place. A lone segment that keeps all it has stays.
static int clean_group(struct round *r, uint32_t first, uint32_t n, const struct compact_rules *k)
{
    struct log *l = r->l;
    struct compact_out o;
    bool changed = n > 1;
    int rc =
        compact_out_begin(&o, r->c, l, l->segments[first]->base_offset, l->segments[first + n]->base_offset);
    for (uint32_t i = 0; i < n && !rc; i++) {
        struct segment *s = l->segments[first + i];
        segment_hold(s);
        rc = clean_segment(r, s, k, &o, &changed);
        segment_release(s);
    }
    if (!rc && changed)
        rc = compact_out_finish(&o);
    if (!rc && changed)
        return compact_swap(&o);
    compact_out_drop(&o);
    return rc;
}

static int clean_all(struct round *r)
{
    struct log *l = r->l;
    struct compact_txns txns;
    struct compact_rules k = {.map = &r->map,
                              .txns = &txns,
                              .producers = &l->producers,
                              .now_ms = reactor_wall_ms(l->env->r),
                              .delete_retention_ms = l->cfg.delete_retention_ms,
                              .end = r->what.end};
    int rc = 0;
    // A producer whose id has expired may not go on: nothing is kept for it, as upstream forgets it when it loads a log.
    (void)producer_state_expire(&l->producers, k.now_ms, l->cfg.producer_expiration_ms);
    compact_txns_begin(&txns, r->aborted, r->aborted_n, l->segments[0]->base_offset);
    for (uint32_t i = 0; i < r->segments_n && !rc && l->segments[i]->base_offset <= r->map.latest; i++) {
        uint32_t n = group_size(r, i);
        rc = clean_group(r, i, n, &k); // n segments have become one
        if (!rc)
            r->segments_n -= n - 1;
    }
    compact_txns_end(&txns);
    return rc;
}

static int round_locked(struct round *r)
{
    struct log *l = r->l;
    // No work that could not be put in place again.
    if (journal_durable_sequence(l->env->journal) < l->swap_sequence)
        return -ETIMEDOUT;
    int rc = look(l, &r->what, &r->segments_n);
    if (rc || !r->what.dirty_bytes)
        return rc;
    rc = compact_scan_aborted(l, r->what.end, &r->aborted, &r->aborted_n);
    if (!rc)
        rc = map_make(r);
    if (!rc && (stops(r) || r->map.latest < r->what.first_dirty))
        rc = stops(r) ? -ECANCELED : -E2BIG; // not one batch fits the map
    if (!rc)
        rc = clean_all(r);
    if (rc)
        return rc;
    l->first_dirty = r->map.latest + 1;
    return 1;
}

int log_compact(struct log *l, struct compactor *c)
{
    struct round r = {.l = l, .c = c};
    if (!log_enter(l))
        return 0;
    fiber_lock(&l->life_lock);
    int rc = l->env->failed ? l->env->failed : round_locked(&r);
    fiber_unlock(&l->life_lock);
    while (compact_map_drop_some(&r.map))
        fiber_yield();
    free(r.aborted);
    buffers_free(c);
    log_leave(l);
    return rc;
}
