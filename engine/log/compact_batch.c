// What compaction leaves of one batch: all of it, some records, a header without records, or nothing. Upstream's
// RecordFilter and MemoryRecords.filterTo, batch by batch.
#include "engine/log/compact_private.h"

#include "engine/base/canary.h"
#include "engine/base/varint.h"

#include <errno.h>
#include <string.h>

// What was found out about a batch before it is written.
struct verdict {
    bool discard;      // none of its records stays
    bool retain_empty; // but its header does
    bool no_data;      // a marker whose transaction has no data left
    int32_t kept, tombstones;
    int64_t max_timestamp, first_timestamp; // of the records that stay
};

static bool has_horizon(const struct batch_info *b)
{
    return (b->attributes & BATCH_ATTR_DELETE_HORIZON) != 0;
}

// The batch that a producer's next one is checked against: it stays, even without records.
static bool is_last_of_producer(const struct producer_state *s, const struct batch_info *b)
{
    const struct producer_entry *e =
        batch_info_has_producer(b) ? producer_state_find(s, b->producer_id) : NULL;
    if (!e)
        return false;
    if (!e->batch_count)
        return batch_info_is_control(b) && b->producer_epoch == e->epoch;
    const struct producer_batch *last =
        &e->batches[(e->batch_first + e->batch_count - 1) % PRODUCER_BATCHES_KEPT];
    return last->last_offset == batch_info_last_offset(b);
}

static void judge_batch(const struct compact_rules *k, const uint8_t *batch, const struct batch_info *b,
                        struct verdict *v)
{
    *v = (struct verdict){.max_timestamp = -1};
    if (batch_info_is_control(b)) {
        v->no_data = compact_txns_marker(k->txns, b, compact_control_type(batch, b));
        v->discard = v->no_data && has_horizon(b) && b->base_timestamp <= k->now_ms;
    } else {
        v->discard = compact_txns_batch(k->txns, b);
    }
    bool last = !SL_CANARY(COMPACT_FORGETS_SEQUENCE) && is_last_of_producer(k->producers, b);
    v->retain_empty = last || batch_info_last_offset(b) + 1 == k->end;
}

static bool keeps_record(const struct compact_rules *k, const struct batch_info *b, const struct record *r)
{
    int64_t offset = b->base_offset + r->offset_delta;
    if (offset > k->map->latest || batch_info_is_control(b))
        return true;
    if (r->key.len < 0)
        return false;
    int64_t newest = compact_map_get(k->map, r->key.p, (uint32_t)r->key.len);
    if (offset < newest || (SL_CANARY(COMPACT_NEWEST_GOES) && offset == newest && r->offset_delta))
        return false;
    bool waits = !has_horizon(b) || k->now_ms < b->base_timestamp;
    return r->value.len >= 0 || (waits && !SL_CANARY(COMPACT_TOMBSTONE_EARLY));
}

static int64_t time_of(const struct batch_info *b, const struct record *r)
{
    return b->attributes & BATCH_ATTR_LOG_APPEND_TIME ? b->max_timestamp
                                                      : b->base_timestamp + r->timestamp_delta;
}

static int judge_records(struct compactor *c, const struct compact_rules *k, const struct batch_info *b,
                         const uint8_t *p, size_t n, struct verdict *v)
{
    struct record_iter it;
    struct record r;
    size_t bytes = ((size_t)b->record_count + 7) / 8;
    int rc = compactor_grow(&c->keep, &c->keep_cap, bytes + 1);
    if (rc)
        return rc;
    memset(c->keep, 0, bytes + 1);
    record_iter_init(&it, p, n, b->record_count);
    for (int32_t i = 0; (rc = record_iter_next(&it, &r)) > 0; i++) {
        if (!keeps_record(k, b, &r))
            continue;
        c->keep[i / 8] |= (uint8_t)(1u << (i % 8));
        if (!v->kept++)
            v->first_timestamp = time_of(b, &r);
        v->max_timestamp = SL_MAX(v->max_timestamp, time_of(b, &r));
        v->tombstones += r.value.len < 0;
        if (i % 64 == 0 && reactor_turn_spent(c->r))
            fiber_yield();
    }
    return rc;
}

// ---- writing ---------------------------------------------------------------------------------------------------------------
// The bytes of a record from its key length on do not change.
static const uint8_t *record_tail(const uint8_t *start, const uint8_t *end)
{
    int32_t n;
    int64_t n64;
    const uint8_t *p = start;
    int rc = sl_varint32_get(&p, end, &n);
    p++; // attributes
    rc = rc ? rc : sl_varint64_get(&p, end, &n64);
    rc = rc ? rc : sl_varint32_get(&p, end, &n);
    SL_ASSERT(rc == 0 && p < end); // it was parsed before
    return p;
}

static size_t put_record(uint8_t *out, const struct record *r, const uint8_t *start, int64_t timestamp_delta)
{
    uint8_t head[1 + SL_VARINT64_MAX + SL_VARINT32_MAX];
    const uint8_t *tail = record_tail(start, start + r->size);
    size_t tail_n = (size_t)(start + r->size - tail), n = 1;
    head[0] = r->attributes;
    n += (size_t)sl_varint64_put(head + n, timestamp_delta);
    n += (size_t)sl_varint32_put(head + n, r->offset_delta);
    size_t at = (size_t)sl_varint32_put(out, (int32_t)(n + tail_n));
    memcpy(out + at, head, n);
    memcpy(out + at + n, tail, tail_n);
    return at + n + tail_n;
}

// The records that stay, behind room for a header, in c->out. Returns their bytes, or -errno.
static int64_t put_records(struct compactor *c, const struct batch_info *b, const uint8_t *p, size_t n,
                           int64_t base_timestamp)
{
    struct record_iter it;
    struct record r;
    size_t at = BATCH_HEADER_SIZE;
    // A timestamp delta and a length may become longer.
    int rc = compactor_grow(&c->out, &c->out_cap,
                            at + n + (size_t)b->record_count * (SL_VARINT64_MAX + SL_VARINT32_MAX));
    if (rc)
        return rc;
    record_iter_init(&it, p, n, b->record_count);
    for (int32_t i = 0; (rc = record_iter_next(&it, &r)) > 0; i++) {
        if (c->keep[i / 8] & 1u << (i % 8))
            at += put_record(c->out + at, &r, it.p - r.size, time_of(b, &r) - base_timestamp);
        if (i % 64 == 0 && reactor_turn_spent(c->r))
            fiber_yield();
    }
    return rc < 0 ? rc : (int64_t)at - BATCH_HEADER_SIZE;
}

// Packs the records of c->out anew with the batch's codec, behind them in the same buffer, and moves them to their place.
static int64_t pack_records(struct compactor *c, unsigned codec, size_t n)
{
    if (codec == BATCH_CODEC_NONE)
        return (int64_t)n;
    size_t bound = compress_bound(codec, n);
    int rc = compactor_grow(&c->out, &c->out_cap, BATCH_HEADER_SIZE + n + bound);
    if (rc)
        return rc;
    uint8_t *packed = c->out + BATCH_HEADER_SIZE + n;
    ssize_t k =
        compress_all(&c->pack, codec, COMPRESS_LEVEL_DEFAULT, c->out + BATCH_HEADER_SIZE, n, packed, bound);
    if (k > 0)
        memmove(c->out + BATCH_HEADER_SIZE, packed, (size_t)k);
    return k;
}

static int write_some(struct compactor *c, const struct compact_rules *k, const uint8_t *batch,
                      const struct batch_info *b, const uint8_t *p, size_t n, const struct verdict *v,
                      uint32_t *size)
{
    bool mark = !has_horizon(b) && (v->tombstones || v->no_data);
    int64_t base = mark             ? k->now_ms + k->delete_retention_ms
                   : has_horizon(b) ? b->base_timestamp
                                    : v->first_timestamp;
    int64_t len = put_records(c, b, p, n, base);
    if (len >= 0)
        len = pack_records(c, batch_attr_codec(b->attributes), (size_t)len);
    if (len < 0 || len > INT32_MAX - BATCH_HEADER_SIZE)
        return len < 0 ? (int)len : -EFBIG;
    uint8_t *out = c->out;
    memcpy(out, batch, BATCH_HEADER_SIZE);
    batch_set_length(out, (int32_t)(BATCH_HEADER_SIZE - BATCH_LOG_OVERHEAD + len));
    batch_set_attributes(out, (uint16_t)(b->attributes | (mark ? BATCH_ATTR_DELETE_HORIZON : 0)));
    batch_set_base_timestamp(out, base);
    batch_set_max_timestamp(out, v->max_timestamp);
    batch_set_record_count(out, v->kept);
    batch_seal(out);
    *size = (uint32_t)(BATCH_HEADER_SIZE + len);
    return 0;
}

static int write_empty(struct compactor *c, const uint8_t *batch, const struct batch_info *b, uint32_t *size)
{
    int rc = compactor_grow(&c->out, &c->out_cap, BATCH_HEADER_SIZE);
    if (rc)
        return rc;
    memcpy(c->out, batch, BATCH_HEADER_SIZE);
    batch_set_length(c->out, BATCH_MIN_LENGTH);
    batch_set_attributes(c->out,
                         (uint16_t)(b->attributes & ~(BATCH_ATTR_CODEC_MASK | BATCH_ATTR_DELETE_HORIZON)));
    batch_set_base_timestamp(c->out, BATCH_NO_TIMESTAMP);
    batch_set_record_count(c->out, 0);
    batch_seal(c->out);
    *size = BATCH_HEADER_SIZE;
    return 0;
}

int compact_batch(struct compactor *c, const struct compact_rules *k, const uint8_t *batch,
                  const struct batch_info *b, const uint8_t **out, uint32_t *size)
{
    struct verdict v;
    const uint8_t *p = NULL;
    size_t n = 0;
    *out = batch;
    *size = b->size;
    judge_batch(k, batch, b, &v);
    int rc = v.discard || !b->record_count ? 0 : compact_records(c, batch, b, &p, &n);
    if (rc == -EFBIG)
        return 0; // too large to look into: it stays as it is
    if (!rc && p)
        rc = judge_records(c, k, b, p, n, &v);
    if (rc)
        return rc;
    bool mark = !has_horizon(b) && v.kept && (v.tombstones || v.no_data);
    if (v.kept && v.kept == b->record_count && !mark)
        return 0;
    *out = c->out;
    if (v.kept)
        rc = write_some(c, k, batch, b, p, n, &v, size);
    else if (v.retain_empty)
        rc = write_empty(c, batch, b, size);
    else
        *size = 0;
    *out = c->out; // it may have moved
    return rc;
}
