// Offsets by time: upstream's fetchOffsetByTimestamp and the special timestamp of the largest record time. Fibers.
#include "engine/log/log_private.h"

#include "engine/log/compress.h"
#include "engine/log/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct found {
    int64_t offset, timestamp;
};

// The bytes of a batch's records, decompressed when they have to be. *out is malloc'd.
static int batch_records(struct segment *s, uint32_t pos, const struct batch_info *b, uint8_t **out, size_t *n)
{
    uint8_t *raw = malloc(b->size);
    int rc = raw ? log_read_bytes(s, pos, raw, b->size) : -ENOMEM;
    unsigned codec = b->attributes & BATCH_ATTR_CODEC_MASK;
    struct decompress_ctx ctx = {0};
    struct decompressor d;
    struct sbuf text;
    uint8_t window[8192];
    ssize_t k = 0;
    sbuf_init(&text);
    if (!rc && codec == BATCH_CODEC_NONE)
        rc = sbuf_append(&text, raw + BATCH_RECORDS, b->size - BATCH_RECORDS);
    else if (!rc)
        rc = decompressor_init(&d, &ctx, codec, raw + BATCH_RECORDS, b->size - BATCH_RECORDS, 1u << 30);
    if (!rc && codec != BATCH_CODEC_NONE) {
        while (!rc && (k = decompressor_next(&d, window, sizeof(window))) > 0)
            rc = sbuf_append(&text, window, (size_t)k);
        decompressor_destroy(&d);
    }
    decompress_ctx_destroy(&ctx);
    free(raw);
    *n = text.len;
    *out = (uint8_t *)sbuf_steal(&text);
    return rc ? rc : (int)SL_MIN(k, 0);
}

// The first record of the batch at or after `ts`.
static int record_at_time(struct segment *s, uint32_t pos, const struct batch_info *b, int64_t ts, struct found *f)
{
    uint8_t *p = NULL;
    size_t n = 0;
    struct record_iter it;
    struct record r;
    if (b->attributes & BATCH_ATTR_LOG_APPEND_TIME) { // all its records have the batch's time
        *f = (struct found){.offset = b->base_offset, .timestamp = b->max_timestamp};
        return 0;
    }
    int rc = batch_records(s, pos, b, &p, &n);
    if (!rc)
        record_iter_init(&it, p, n, b->record_count);
    int more = rc ? 0 : 1;
    rc = rc ? rc : -ENOENT;
    while (more && (more = record_iter_next(&it, &r)) == 1) {
        if (b->base_timestamp + r.timestamp_delta < ts)
            continue;
        *f = (struct found){.offset = b->base_offset + r.offset_delta,
                            .timestamp = b->base_timestamp + r.timestamp_delta};
        rc = 0;
        break;
    }
    free(p);
    return more < 0 ? more : rc;
}

static int find_in_segment(struct segment *s, int64_t ts, int64_t limit, struct found *f)
{
    struct log_scan sc = {.seg = s};
    struct batch_info b;
    int rc = segment_load_index(s);
    if (rc)
        return rc;
    struct timestamp_offset t = time_index_lookup(&s->timeindex, ts);
    uint32_t pos = t.timestamp < 0 ? 0 : offset_index_lookup(&s->index, t.offset).position;
    rc = -ENOENT;
    for (; pos < s->size && rc == -ENOENT; pos += b.size) {
        int e = log_scan_header(&sc, pos, &b);
        if (e || b.base_offset >= limit) {
            rc = e ? e : -ENOENT;
            break;
        }
        if (b.max_timestamp >= ts)
            rc = record_at_time(s, pos, &b, ts, f);
    }
    free(sc.buf);
    return rc;
}

int log_offset_for_time(struct log *l, int64_t ts, int64_t limit, int64_t *offset, int64_t *timestamp, int32_t *epoch)
{
    struct found f = {0};
    int rc = -ENOENT;
    for (uint32_t i = 0; i < l->segments_n && rc == -ENOENT; i++) {
        struct segment *s = l->segments[i];
        if (s->size == 0)
            continue;
        if (!s->index_loaded && (rc = segment_load_index(s)))
            return rc;
        if (s->max_timestamp >= 0 && s->max_timestamp < ts && s->sealed) {
            rc = -ENOENT;
            continue;
        }
        s->users++;
        rc = find_in_segment(s, ts, limit, &f);
        s->users--;
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
    struct segment *best = NULL;
    for (uint32_t i = 0; i < l->segments_n; i++) {
        struct segment *s = l->segments[i];
        int rc = s->index_loaded ? 0 : segment_load_index(s);
        if (rc)
            return rc;
        if (s->size && (!best || s->max_timestamp > best->max_timestamp))
            best = s;
    }
    if (!best)
        return -ENOENT;
    return log_offset_for_time(l, best->max_timestamp, l->visible.offset, offset, timestamp, epoch);
}
