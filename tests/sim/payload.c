// See payload.h.
#include "tests/sim/payload.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/varint.h"
#include "engine/log/batch.h"

// Bytes of journal files and earlier batches: what a careless recovery would take for its own.
enum { LOOTS_MAX = 2000 };
struct loot {
    struct run *r;
    uint8_t *out;
    uint32_t n;
    bool done;
};

static void loot_file(void *arg, const char *path, uint64_t size)
{
    struct loot *l = arg;
    if (l->done || !strstr(path, sl_rand_chance(l->r->rng, 1, 2) ? ".journal" : ".log") || size < 4096)
        return;
    uint64_t blocks = size / 4096;
    uint64_t at = sl_rand_below(l->r->rng, blocks) * 4096;
    int64_t n = sim_disk_read(l->r->host, path, at, l->out, l->n);
    l->done = n > 0 && sl_rand_chance(l->r->rng, 1, 2);
}

void payload_fill(struct run *r, uint8_t *b, uint32_t n)
{
    switch (run_below(r, r->k.imitate ? 5 : 3)) {
    case 0:
        memset(b, 0, n);
        break;
    case 1:
        sl_rand_bytes(r->rng, b, n);
        break;
    case 2:
        memset(b, (int)run_below(r, 256), n);
        break;
    default: {
        memset(b, 0x5a, n);
        if (r->loots++ > LOOTS_MAX) // each walks through the whole disk
            break;
        struct loot l = {.r = r, .out = b, .n = n};
        sim_disk_walk(r->host, "/data", loot_file, &l);
        break;
    }
    }
}

static uint8_t *put_record(struct run *r, uint8_t *p, uint32_t delta, uint32_t attempt, uint32_t value)
{
    uint32_t body = 1 + 1 + (uint32_t)sl_varint32_size((int32_t)delta) + 1 +
                    (uint32_t)sl_varint32_size((int32_t)value) + value + 1;
    p += sl_varint32_put(p, (int32_t)body);
    *p++ = 0; // attributes
    *p++ = 0; // timestamp delta
    p += sl_varint32_put(p, (int32_t)delta);
    p += sl_varint32_put(p, -1); // no key
    p += sl_varint32_put(p, (int32_t)value);
    payload_fill(r, p, value);
    uint8_t name[8];
    for (int k = 0; k < 8; k++)
        name[k] = (uint8_t)(((uint64_t)attempt * 2654435761u) >> (8 * k));
    memcpy(p, name, SL_MIN(value, 8u));
    p += value;
    *p++ = 0; // no headers
    return p;
}

uint8_t *payload_make(struct run *r, const struct payload_spec *s, uint32_t *bytes, uint32_t *records)
{
    uint32_t n = run_chance(r, 1, 3) ? 1 + run_below(r, 5) : 1;
    uint32_t room = s->max_bytes - BATCH_HEADER_SIZE - n * 24;
    uint32_t total = (uint32_t)run_skewed(r, 8 * n, SL_MAX(room, 8 * n));
    uint8_t *b = malloc(BATCH_HEADER_SIZE + total + n * 24);
    SL_ASSERT(b);
    uint8_t *p = b + BATCH_RECORDS;
    for (uint32_t k = 0; k < n; k++)
        p = put_record(r, p, k, s->attempt, total / n);
    *bytes = (uint32_t)(p - b);
    *records = n;
    memset(b, 0, BATCH_HEADER_SIZE);
    batch_set_base_offset(b, 0);
    batch_set_length(b, (int32_t)(*bytes - BATCH_LOG_OVERHEAD));
    batch_set_leader_epoch(b, -1);
    batch_set_magic(b, 2);
    batch_set_last_offset_delta(b, (int32_t)n - 1);
    batch_set_base_timestamp(b, s->now_ms);
    batch_set_max_timestamp(b, s->now_ms);
    batch_set_producer_id(b, s->producer_id);
    batch_set_producer_epoch(b, s->producer_id < 0 ? -1 : 0);
    batch_set_base_sequence(b, s->producer_id < 0 ? -1 : s->sequence);
    batch_set_record_count(b, (int32_t)n);
    batch_seal(b);
    return b;
}

uint64_t payload_whole_batches(const uint8_t *b, uint64_t n)
{
    uint64_t at = 0;
    while (n - at >= BATCH_HEADER_SIZE && batch_length(b + at) >= BATCH_MIN_LENGTH &&
           batch_size(b + at) <= n - at)
        at += batch_size(b + at);
    return at;
}
