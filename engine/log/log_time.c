// Offsets by time: upstream's fetchOffsetByTimestamp and the special timestamp of the largest record time. Fibers.
#include "engine/log/log_private.h"

#include "engine/log/compress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 8192, DECOMPRESSED_MAX = 1 << 30 };

struct found {
    int64_t offset, timestamp;
};

// ---- records of one batch, as a stream: a bomb costs a window of memory and yields between turns --------------------------
struct stream {
    struct decompressor d;
    uint32_t at, n;
    uint8_t window[WINDOW];
};

static int stream_fill(struct stream *st)
{
    if (reactor_turn_spent(fiber_reactor(fiber_current())))
        fiber_yield();
    ssize_t k = decompressor_next(&st->d, st->window, WINDOW);
    st->at = 0;
    st->n = k > 0 ? (uint32_t)k : 0;
    return k > 0 ? 0 : k < 0 ? (int)k : -EBADMSG;
}

static int stream_varlong(struct stream *st, int64_t *out, uint32_t *taken)
{
    uint64_t v = 0;
    for (uint32_t shift = 0; shift < 70; shift += 7) {
        int rc = st->at == st->n ? stream_fill(st) : 0;
        if (rc)
            return rc;
        uint8_t c = st->window[st->at++];
        ++*taken;
        v |= (uint64_t)(c & 0x7f) << SL_MIN(shift, 63u);
        if (!(c & 0x80)) {
            *out = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
            return 0;
        }
    }
    return -EBADMSG;
}

static int stream_skip(struct stream *st, uint64_t n)
{
    while (n) {
        int rc = st->at == st->n ? stream_fill(st) : 0;
        if (rc)
            return rc;
        uint32_t k = (uint32_t)SL_MIN(n, (uint64_t)(st->n - st->at));
        st->at += k;
        n -= k;
    }
    return 0;
}

// One record: length, attributes, timestamp delta, offset delta; the rest is passed over (record.h).
static int stream_record(struct stream *st, int64_t *timestamp_delta, int64_t *offset_delta)
{
    int64_t len = 0;
    uint32_t taken = 0;
    int rc = stream_varlong(st, &len, &taken);
    taken = 1;
    if (!rc)
        rc = stream_skip(st, 1);
    if (!rc)
        rc = stream_varlong(st, timestamp_delta, &taken);
    if (!rc)
        rc = stream_varlong(st, offset_delta, &taken);
    if (!rc && len < (int64_t)taken)
        rc = -EBADMSG;
    return rc ? rc : stream_skip(st, (uint64_t)(len - taken));
}

static int search_records(struct stream *st, const struct batch_info *b, int64_t ts, int64_t start,
                          struct found *f)
{
    for (int32_t i = 0; i < b->record_count; i++) {
        int64_t td = 0, od = 0;
        int rc = stream_record(st, &td, &od);
        if (rc)
            return rc;
        *f = (struct found){.offset = b->base_offset + od, .timestamp = b->base_timestamp + td};
        if (b->attributes & BATCH_ATTR_LOG_APPEND_TIME) // all its records have the batch's time
            f->timestamp = b->max_timestamp;
        if (f->timestamp >= ts && f->offset >= start)
            return 0;
    }
    return -ENOENT;
}

// The first record of the batch at or after `ts`.
static int record_at_time(struct segment *s, uint32_t pos, const struct batch_info *b, int64_t ts,
                          struct found *f)
{
    struct decompress_ctx ctx = {0};
    int64_t start = s->log->log_start;
    if ((b->attributes & BATCH_ATTR_LOG_APPEND_TIME) && b->record_count == b->last_offset_delta + 1) {
        *f = (struct found){.offset = SL_MAX(b->base_offset, start), .timestamp = b->max_timestamp};
        return 0;
    }
    uint8_t *raw = malloc(b->size);
    struct stream *st = malloc(sizeof(*st));
    int rc = raw && st ? log_read_bytes(s, pos, raw, b->size) : -ENOMEM;
    if (!rc)
        rc = decompressor_init(&st->d, &ctx, b->attributes & BATCH_ATTR_CODEC_MASK, raw + BATCH_RECORDS,
                               b->size - BATCH_RECORDS, DECOMPRESSED_MAX);
    if (!rc) {
        st->at = st->n = 0;
        rc = search_records(st, b, ts, start, f);
        decompressor_destroy(&st->d);
    }
    decompress_ctx_destroy(&ctx);
    free(st);
    free(raw);
    return rc;
}

// ---- segments -----------------------------------------------------------------------------------------------------------------
// Where to look from: the time index says before which offset nothing is that new. What it says is verified (S10).
static int time_floor(struct segment *s, int64_t ts, uint32_t *pos)
{
    struct batch_info b;
    *pos = 0;
    int rc = segment_load_index(s);
    struct timestamp_offset t = time_index_lookup(&s->timeindex, ts);
    if (rc || t.timestamp < 0)
        return rc;
    rc = log_find_batch(s, t.offset, pos, &b);
    if (!rc && b.base_offset <= t.offset && b.max_timestamp == t.timestamp)
        return 0;
    *pos = 0; // it does not fit: the long way
    return rc == -ENOENT ? 0 : rc;
}

static int find_in_segment(struct segment *s, int64_t ts, int64_t limit, struct found *f)
{
    struct log_scan sc = {.seg = s};
    struct batch_info b;
    uint32_t pos;
    int rc = time_floor(s, ts, &pos);
    if (rc)
        return rc;
    rc = -ENOENT;
    for (; pos < s->size && rc == -ENOENT; pos += b.size) {
        int e = log_scan_header(&sc, pos, &b);
        if (e || b.base_offset >= limit) {
            rc = e ? e : -ENOENT;
            break;
        }
        if (b.max_timestamp >= ts && batch_info_last_offset(&b) >= s->log->log_start)
            rc = record_at_time(s, pos, &b, ts, f);
        if (reactor_turn_spent(fiber_reactor(fiber_current())))
            fiber_yield();
    }
    free(sc.buf);
    return rc;
}

int log_offset_for_time(struct log *l, int64_t ts, int64_t limit, int64_t *offset, int64_t *timestamp,
                        int32_t *epoch)
{
    struct found f = {0};
    int rc = -ENOENT;
    struct segment *s = l->segments_n ? l->segments[0] : NULL, *next;
    for (; s && rc == -ENOENT; s = next) {
        int64_t end = log_segment_end(l, s);
        segment_hold(s);
        rc = segment_load_index(s);
        if (!rc)
            rc = s->size == 0 || (s->sealed && s->max_timestamp < ts) ? -ENOENT
                                                                      : find_in_segment(s, ts, limit, &f);
        next = log_segment_next(l, s, end);
        segment_release(s);
    }
    if (rc)
        return rc;
    *offset = f.offset;
    *timestamp = f.timestamp;
    *epoch = epoch_cache_for_offset(&l->epochs, f.offset);
    return 0;
}

int log_offset_of_max_time(struct log *l, int64_t *offset, int64_t *timestamp, int32_t *epoch)
{
    struct segment *s = l->segments_n ? l->segments[0] : NULL, *next;
    int64_t best = -1;
    for (; s; s = next) {
        int64_t end = log_segment_end(l, s);
        segment_hold(s);
        int rc = segment_load_index(s);
        if (!rc && s->size)
            best = SL_MAX(best, s->max_timestamp);
        next = log_segment_next(l, s, end);
        segment_release(s);
        if (rc)
            return rc;
    }
    return best < 0 ? -ENOENT : log_offset_for_time(l, best, l->visible.offset, offset, timestamp, epoch);
}
