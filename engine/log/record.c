#include "engine/log/record.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/base/varint.h"
#include "engine/log/compress.h"

#define BUILDER_DEFAULT_LIMIT (1u << 30)
#define BUILDER_FIRST_CAP     512

/* A length that may be -1 for null, and the bytes behind it. */
static int bytes_parse(const uint8_t **p, const uint8_t *end, struct record_bytes *out)
{
    int32_t len;
    if (sl_varint32_get(p, end, &len) < 0 || len < -1 || len > end - *p)
        return -EBADMSG;
    out->p = len < 0 ? NULL : *p;
    out->len = len;
    if (len > 0)
        *p += len;
    return 0;
}

static int headers_parse(const uint8_t **p, const uint8_t *end, struct record *out)
{
    /* A header is two bytes at least, so a count beyond that is a lie; checked before the loop. */
    if (sl_varint32_get(p, end, &out->header_count) < 0 || out->header_count < 0 ||
        out->header_count > (end - *p) / 2)
        return -EBADMSG;
    out->headers = *p;
    for (int32_t i = 0; i < out->header_count; i++) {
        struct record_header h;
        if (bytes_parse(p, end, &h.key) < 0 || h.key.len < 0 || bytes_parse(p, end, &h.value) < 0)
            return -EBADMSG;
    }
    out->headers_end = *p;
    return 0;
}

int record_parse(const uint8_t **p, const uint8_t *end, struct record *out)
{
    const uint8_t *q = *p;
    int32_t len;
    if (sl_varint32_get(&q, end, &len) < 0 || len < 1 || len > end - q)
        return -EBADMSG;
    end = q + len;
    out->attributes = *q++;
    if (sl_varint64_get(&q, end, &out->timestamp_delta) < 0 ||
        sl_varint32_get(&q, end, &out->offset_delta) < 0 || bytes_parse(&q, end, &out->key) < 0 ||
        bytes_parse(&q, end, &out->value) < 0 || headers_parse(&q, end, out) < 0 || q != end)
        return -EBADMSG;
    out->size = (uint32_t)(end - *p);
    *p = end;
    return 0;
}

bool record_header_next(const struct record *r, const uint8_t **p, struct record_header *out)
{
    SL_ASSERT(*p >= r->headers && *p <= r->headers_end);
    if (*p == r->headers_end)
        return false;
    int rc = bytes_parse(p, r->headers_end, &out->key);
    rc |= bytes_parse(p, r->headers_end, &out->value);
    SL_ASSERT(rc == 0);
    return true;
}

void record_iter_init(struct record_iter *it, const uint8_t *p, size_t n, int32_t count)
{
    *it = (struct record_iter){.p = p, .end = n ? p + n : p, .left = count};
}

int record_iter_next(struct record_iter *it, struct record *out)
{
    if (it->left <= 0)
        return it->left == 0 && it->p == it->end ? 0 : -EBADMSG;
    int rc = record_parse(&it->p, it->end, out);
    if (rc < 0)
        return rc;
    it->left--;
    return 1;
}

int record_control_type(struct record_bytes key)
{
    /* A version above 0 is read as version 0, as upstream does. */
    if (key.len < RECORD_CONTROL_KEY_SIZE || (int16_t)be16_load(key.p) < 0 ||
        (int16_t)be16_load(key.p + 2) < 0)
        return -EBADMSG;
    return be16_load(key.p + 2);
}

int record_end_txn_parse(struct record_bytes value, int32_t *coordinator_epoch)
{
    if (value.len < 6 || (int16_t)be16_load(value.p) < 0)
        return -EBADMSG;
    *coordinator_epoch = (int32_t)be32_load(value.p + 2);
    return 0;
}

void batch_builder_reset(struct batch_builder *b)
{
    b->len = 0;
    b->count = 0;
}

void batch_builder_destroy(struct batch_builder *b)
{
    free(b->buf);
    free(b->packed);
    *b = (struct batch_builder){.limit = b->limit};
}

size_t batch_builder_size(const struct batch_builder *b)
{
    return b->len ? b->len : BATCH_HEADER_SIZE;
}

static int reserve(uint8_t **buf, size_t *cap, size_t want)
{
    if (want <= *cap)
        return 0;
    size_t next = SL_MAX(*cap * 2, (size_t)BUILDER_FIRST_CAP);
    next = SL_MAX(next, want);
    uint8_t *p = realloc(*buf, next);
    if (!p)
        return -ENOMEM;
    *buf = p;
    *cap = next;
    return 0;
}

static size_t bytes_size(struct record_bytes v)
{
    return (size_t)sl_varint32_size(v.len) + (v.len > 0 ? (size_t)v.len : 0);
}

static uint8_t *bytes_put(uint8_t *p, struct record_bytes v)
{
    p += sl_varint32_put(p, v.len);
    if (v.len > 0) {
        memcpy(p, v.p, (size_t)v.len);
        p += v.len;
    }
    return p;
}

int batch_builder_append(struct batch_builder *b, int64_t timestamp, struct record_bytes key,
                         struct record_bytes value, const struct record_header *headers, size_t nheaders)
{
    size_t start = batch_builder_size(b);
    size_t limit = b->limit ? b->limit : BUILDER_DEFAULT_LIMIT;
    int64_t ts_delta = b->count ? (int64_t)((uint64_t)timestamp - (uint64_t)b->base_timestamp) : 0;
    SL_ASSERT(nheaders <= INT32_MAX && key.len >= -1 && value.len >= -1);
    size_t body = 1 + (size_t)sl_varint64_size(ts_delta) + (size_t)sl_varint32_size(b->count) +
                  bytes_size(key) + bytes_size(value) + (size_t)sl_varint32_size((int32_t)nheaders);
    for (size_t i = 0; i < nheaders; i++) {
        SL_ASSERT(headers[i].key.len >= 0);
        body += bytes_size(headers[i].key) + bytes_size(headers[i].value);
    }
    if (body > limit || start + SL_VARINT32_MAX + body > limit)
        return -EFBIG;
    int rc = reserve(&b->buf, &b->cap, start + SL_VARINT32_MAX + body);
    if (rc < 0)
        return rc;

    uint8_t *p = b->buf + start;
    p += sl_varint32_put(p, (int32_t)body);
    *p++ = 0;
    p += sl_varint64_put(p, ts_delta);
    p += sl_varint32_put(p, b->count);
    p = bytes_put(p, key);
    p = bytes_put(p, value);
    p += sl_varint32_put(p, (int32_t)nheaders);
    for (size_t i = 0; i < nheaders; i++) {
        p = bytes_put(p, headers[i].key);
        p = bytes_put(p, headers[i].value);
    }
    b->base_timestamp = b->count ? b->base_timestamp : timestamp;
    b->max_timestamp = b->count ? SL_MAX(b->max_timestamp, timestamp) : timestamp;
    b->count++;
    b->len = (size_t)(p - b->buf);
    SL_ASSERT(b->len <= b->cap);
    return 0;
}

static uint16_t attributes_make(const struct batch_options *o)
{
    unsigned a = o->codec;
    a |= o->timestamp_type == BATCH_LOG_APPEND_TIME ? BATCH_ATTR_LOG_APPEND_TIME : 0;
    a |= o->transactional ? BATCH_ATTR_TRANSACTIONAL : 0;
    a |= o->control ? BATCH_ATTR_CONTROL : 0;
    return (uint16_t)a;
}

static void header_write(const struct batch_builder *b, const struct batch_options *o, uint8_t *p, size_t n)
{
    int64_t max = o->timestamp_type == BATCH_LOG_APPEND_TIME ? o->log_append_time : b->max_timestamp;
    batch_set_base_offset(p, o->base_offset);
    batch_set_length(p, (int32_t)(n - BATCH_LOG_OVERHEAD));
    batch_set_leader_epoch(p, o->leader_epoch);
    batch_set_magic(p, BATCH_MAGIC_V2);
    batch_set_attributes(p, attributes_make(o));
    batch_set_last_offset_delta(p, b->count - 1);
    batch_set_base_timestamp(p, b->base_timestamp);
    batch_set_max_timestamp(p, max);
    batch_set_producer_id(p, o->producer_id);
    batch_set_producer_epoch(p, o->producer_epoch);
    batch_set_base_sequence(p, o->base_sequence);
    batch_set_record_count(p, b->count);
    batch_seal(p);
}

int batch_builder_finish(struct batch_builder *b, const struct batch_options *o, struct compress_ctx *ctx,
                         const uint8_t **out, size_t *n)
{
    SL_ASSERT(b->count > 0);
    if (o->codec >= BATCH_CODEC_COUNT)
        return -EINVAL;
    uint8_t *p = b->buf;
    size_t size = b->len;
    if (o->codec != BATCH_CODEC_NONE) {
        SL_ASSERT(ctx != NULL);
        size_t records = b->len - BATCH_HEADER_SIZE;
        size_t bound = compress_bound(o->codec, records);
        int rc = reserve(&b->packed, &b->packed_cap, BATCH_HEADER_SIZE + bound);
        if (rc < 0)
            return rc;
        ssize_t packed = compress_all(ctx, o->codec, COMPRESS_LEVEL_DEFAULT, b->buf + BATCH_HEADER_SIZE,
                                      records, b->packed + BATCH_HEADER_SIZE, bound);
        if (packed < 0)
            return (int)packed;
        p = b->packed;
        size = BATCH_HEADER_SIZE + (size_t)packed;
    }
    header_write(b, o, p, size);
    *out = p;
    *n = size;
    return 0;
}
