#include "bench/load/prep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/plan.h"
#include "engine/base/crc32c.h"
#include "engine/base/rand.h"
#include "engine/log/compress.h"

enum { SIZE_MAX_BYTES = 16 << 20, CRC_HEADER = BATCH_RECORDS - BATCH_ATTRIBUTES };

// ---- sizes --------------------------------------------------------------------------------------------------------
// "N" or "N-M".
static int parse_class(char *text, uint32_t *lo, uint32_t *hi)
{
    int64_t a, b;
    char *dash = strchr(text, '-');
    if (dash)
        *dash++ = 0;
    if (!plan_parse_size(text, &a))
        return -EINVAL;
    b = a;
    if (dash && !plan_parse_size(dash, &b))
        return -EINVAL;
    if (a > b || b > SIZE_MAX_BYTES)
        return -EINVAL;
    *lo = (uint32_t)a;
    *hi = (uint32_t)b;
    return 0;
}

static int parse_classes(char *text, struct prep_sizes *out, double *weights)
{
    char *save = NULL;
    for (char *part = strtok_r(text, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
        char *colon = strchr(part, ':'), *end = NULL;
        if (out->n == PREP_SIZES_MAX)
            return -EINVAL;
        weights[out->n] = 1;
        if (colon) {
            *colon++ = 0;
            weights[out->n] = strtod(colon, &end);
            if (end == colon || *end || !(weights[out->n] > 0))
                return -EINVAL;
        }
        if (parse_class(part, &out->lo[out->n], &out->hi[out->n]))
            return -EINVAL;
        out->n++;
    }
    return out->n ? 0 : -EINVAL;
}

int prep_parse_sizes(const char *text, struct prep_sizes *out)
{
    double weights[PREP_SIZES_MAX], total = 0, sum = 0;
    char *copy = strdup(text);
    SL_ASSERT(copy);
    memset(out, 0, sizeof(*out));
    int rc = parse_classes(copy, out, weights);
    free(copy);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < out->n; i++)
        total += weights[i];
    for (uint32_t i = 0; i < out->n; i++) {
        sum += weights[i];
        out->upto[i] = i + 1 == out->n ? 1.0 : sum / total;
        out->mean += weights[i] / total * ((double)out->lo[i] + (double)out->hi[i]) / 2;
    }
    return 0;
}

static uint32_t size_draw(const struct prep_sizes *s, struct sl_rand *r)
{
    double x = sl_rand_double(r);
    uint32_t i = 0;
    while (i + 1 < s->n && x >= s->upto[i])
        i++;
    return (uint32_t)sl_rand_range(r, s->lo[i], s->hi[i]);
}

// ---- making -------------------------------------------------------------------------------------------------------
// Letters and digits at random, then, for the compressible share, one phrase again and again.
static void fill_value(uint8_t *p, uint32_t n, uint32_t compressible, struct sl_rand *r)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    static const char phrase[] = "the same words over and over; ";
    uint32_t noise = n - (uint32_t)((uint64_t)n * compressible / 100);
    for (uint32_t i = 0; i < n; i++) {
        if (i < noise || i < PREP_STAMP_SIZE)
            p[i] = (uint8_t)letters[sl_rand_u32(r) & 63];
        else
            p[i] = (uint8_t)phrase[i % (sizeof(phrase) - 1)];
    }
}

static void fill_key(uint8_t *p, uint32_t n, uint64_t key)
{
    for (uint32_t i = 0; i < n; i++, key /= 10)
        p[n - 1 - i] = (uint8_t)('0' + key % 10);
}

// Appends one record; false when the batch is full with those before it.
static bool add_record(struct batch_builder *b, const struct prep_spec *spec, uint8_t *scratch,
                       struct sl_rand *r, struct record_bytes *key, struct record_bytes *value)
{
    uint32_t k = size_draw(&spec->keys, r), v = size_draw(&spec->values, r);
    fill_key(scratch, k, sl_rand_below(r, spec->key_space));
    fill_value(scratch + k, v, spec->compressible, r);
    *key = spec->keys.mean > 0 ? record_bytes_make(scratch, k) : RECORD_NULL;
    *value = record_bytes_make(scratch + k, v);
    return batch_builder_append(b, 0, *key, *value, NULL, 0) == 0;
}

static bool arrays_grow(struct prep *p, uint32_t *cap)
{
    uint32_t n = *cap ? *cap * 2 : 64;
    uint32_t *ends = realloc(p->ends, (n + 1) * sizeof(*ends));
    p->ends = ends ? ends : p->ends;
    uint32_t *crcs = realloc(p->crcs, (n + 1) * sizeof(*crcs));
    p->crcs = crcs ? crcs : p->crcs;
    uint64_t *payload = realloc(p->payload, (n + 1) * sizeof(*payload));
    p->payload = payload ? payload : p->payload;
    uint32_t *value = realloc(p->value, (n + 1) * sizeof(*value));
    p->value = value ? value : p->value;
    *cap = n;
    return ends && crcs && payload && value;
}

static bool fill(struct prep *p, const struct prep_spec *spec, struct batch_builder *b, uint8_t *scratch)
{
    uint32_t cap = 0;
    struct sl_rand r;
    struct record_bytes key, value;
    sl_rand_seed(&r, spec->seed);
    if (!arrays_grow(p, &cap))
        return false;
    p->ends[0] = p->crcs[0] = 0;
    p->payload[0] = 0;
    b->limit = SL_MAX((size_t)spec->batch_bytes, (size_t)BATCH_HEADER_SIZE + 1);
    for (;;) {
        if (p->max_n + 1 >= cap && !arrays_grow(p, &cap))
            return false;
        if (p->max_n == 0)
            b->limit = (size_t)SIZE_MAX_BYTES * 3; // the first one always fits
        bool added = add_record(b, spec, scratch, &r, &key, &value);
        b->limit = spec->batch_bytes;
        if (!added)
            return p->max_n > 0;
        uint32_t n = ++p->max_n;
        p->ends[n] = (uint32_t)(batch_builder_size(b) - BATCH_HEADER_SIZE);
        p->payload[n] = p->payload[n - 1] + (uint64_t)(key.len > 0 ? key.len : 0) + (uint64_t)value.len;
        p->value[n - 1] = p->ends[n] - 1 - (uint32_t)value.len; // one byte behind it: no headers
        if (n >= 1u << 20)
            return true;
    }
}

struct prep *prep_make(const struct prep_spec *spec)
{
    struct batch_builder b = {0};
    struct prep *p = calloc(1, sizeof(*p));
    uint8_t *scratch = malloc(2 * (size_t)SIZE_MAX_BYTES);
    SL_ASSERT(spec->key_space > 0);
    bool ok = p && scratch && fill(p, spec, &b, scratch);
    if (ok) {
        p->records = malloc(p->ends[p->max_n]);
        ok = p->records != NULL;
    }
    if (ok) {
        memcpy(p->records, b.buf + BATCH_HEADER_SIZE, p->ends[p->max_n]);
        for (uint32_t n = 1; n <= p->max_n; n++)
            p->crcs[n] = crc32c(p->crcs[n - 1], p->records + p->ends[n - 1], p->ends[n] - p->ends[n - 1]);
    } else {
        prep_free(p);
        p = NULL;
    }
    free(scratch);
    batch_builder_destroy(&b);
    return p;
}

void prep_free(struct prep *p)
{
    if (!p)
        return;
    free(p->records);
    free(p->ends);
    free(p->crcs);
    free(p->payload);
    free(p->value);
    if (p->packed)
        free(p->packed->p);
    free(p->packed);
    free(p);
}

int prep_pack(struct prep *p, struct compress_ctx *ctx, unsigned codec)
{
    uint32_t n = p->ends[p->max_n];
    size_t cap = compress_bound(codec, n);
    struct prep_packed *k = calloc(1, sizeof(*k));
    SL_ASSERT(!p->packed && codec != BATCH_CODEC_NONE);
    if (k)
        k->p = malloc(cap);
    ssize_t len =
        k && k->p ? compress_all(ctx, codec, COMPRESS_LEVEL_DEFAULT, p->records, n, k->p, cap) : -ENOMEM;
    if (len < 0) {
        if (k)
            free(k->p);
        free(k);
        return (int)len;
    }
    k->len = (uint32_t)len;
    k->crc = crc32c(0, k->p, k->len);
    p->packed = k;
    return 0;
}

// ---- headers ------------------------------------------------------------------------------------------------------
static uint32_t header_write(uint32_t n, uint32_t len, const struct prep_header *h, uint8_t *out)
{
    SL_DASSERT(n > 0);
    batch_set_base_offset(out, 0);
    batch_set_length(out, (int32_t)(len + BATCH_MIN_LENGTH));
    batch_set_leader_epoch(out, BATCH_NO_LEADER_EPOCH);
    batch_set_magic(out, BATCH_MAGIC_V2);
    batch_set_attributes(out, h->attributes);
    batch_set_last_offset_delta(out, (int32_t)n - 1);
    batch_set_base_timestamp(out, h->time_ms);
    batch_set_max_timestamp(out, h->time_ms);
    batch_set_producer_id(out, h->producer_id);
    batch_set_producer_epoch(out, h->epoch);
    batch_set_base_sequence(out, h->sequence);
    batch_set_record_count(out, (int32_t)n);
    return crc32c(0, out + BATCH_ATTRIBUTES, CRC_HEADER);
}

void prep_header_plain(const struct prep *p, uint32_t n, const struct prep_header *h, uint8_t *out)
{
    SL_ASSERT(n >= 1 && n <= p->max_n);
    uint32_t crc = header_write(n, p->ends[n], h, out);
    batch_set_crc(out, crc32c_combine(crc, p->crcs[n], p->ends[n]));
}

void prep_header_packed(const struct prep *p, const struct prep_header *h, uint8_t *out)
{
    SL_ASSERT(p->packed);
    uint32_t crc = header_write(p->max_n, p->packed->len, h, out);
    batch_set_crc(out, crc32c_combine(crc, p->packed->crc, p->packed->len));
}

void prep_header_over(uint32_t n, const struct prep_header *h, const uint8_t *body, uint32_t len,
                      uint8_t *out)
{
    SL_ASSERT(n >= 1);
    uint32_t crc = header_write(n, len, h, out);
    batch_set_crc(out, crc32c(crc, body, len));
}

// ---- stamps -------------------------------------------------------------------------------------------------------
void prep_stamp_write(uint8_t *value, const struct prep_stamp *s)
{
    be32_store(value, PREP_STAMP_MAGIC);
    be32_store(value + 4, s->producer);
    be64_store(value + 8, s->sequence);
    be64_store(value + 16, s->time_us);
}

bool prep_stamp_read(struct record_bytes value, struct prep_stamp *s)
{
    if (value.len < PREP_STAMP_SIZE || be32_load(value.p) != PREP_STAMP_MAGIC)
        return false;
    *s = (struct prep_stamp){.producer = be32_load(value.p + 4),
                             .sequence = be64_load(value.p + 8),
                             .time_us = be64_load(value.p + 16)};
    return true;
}
