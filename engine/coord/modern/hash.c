#include "engine/coord/modern/hash.h"

#define XXH_STATIC_LINKING_ONLY /* a state on the stack */
#include <xxhash.h>

#include <stdlib.h>

struct sink {
    uint8_t *p;
    size_t n;
};

static void put_le(struct sink *s, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        s->p[s->n++] = (uint8_t)(v >> (8 * i));
}

/* One character at p; a byte that is no UTF-8 stands for itself. Returns its bytes. */
static int next_char(const uint8_t *p, const uint8_t *end, uint32_t *out)
{
    int more = *p < 0xc0 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
    if (!more || end - p <= more) {
        *out = *p;
        return 1;
    }
    uint32_t c = *p & (0x3fu >> more);
    for (int i = 1; i <= more; i++)
        c = c << 6 | (p[i] & 0x3f);
    *out = c;
    return more + 1;
}

/* UTF-16 units of s, into the sink unless it is NULL; returns their number. At most s.n. */
static uint32_t put_utf16(struct sink *s, struct kp_str str)
{
    const uint8_t *p = (const uint8_t *)str.p, *end = p + SL_MAX(str.n, 0);
    uint32_t units = 0;
    while (p < end) {
        uint32_t c;
        p += next_char(p, end, &c);
        units += c > 0xffff ? 2 : 1;
        if (!s)
            continue;
        if (c > 0xffff) {
            put_le(s, 0xd800 + ((c - 0x10000) >> 10), 2);
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        put_le(s, c, 2);
    }
    return units;
}

static void put_string(struct sink *s, struct kp_str str)
{
    put_le(s, put_utf16(s, str), 4);
}

static int by_text(const void *a, const void *b)
{
    const struct kp_str *x = a, *y = b;
    int c = memcmp(x->p, y->p, (size_t)SL_MIN(x->n, y->n));
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

static uint32_t sorted_racks(const struct cg_racks *racks, const struct sl_uuid *id, int32_t partition,
                             struct kp_str *out)
{
    uint32_t n = racks ? racks->of(racks->ctx, id, partition, out) : 0;
    SL_ASSERT(n <= CG_RACKS_MAX);
    qsort(out, n, sizeof(*out), by_text);
    return n;
}

int cg_topic_hash(const struct sl_uuid *id, struct kp_str name, int32_t partitions,
                  const struct cg_racks *racks, struct arena *arena, uint64_t *out)
{
    struct kp_str rack[CG_RACKS_MAX];
    SL_ASSERT(name.n >= 0 && partitions >= 0);
    size_t room = 1 + 16 + 2 * (size_t)name.n + 4 + 4 + 4 * (size_t)partitions;
    for (int32_t p = 0; racks && p < partitions; p++)
        for (uint32_t n = racks->of(racks->ctx, id, p, rack); n-- > 0;)
            room += 8 + 2 * (size_t)rack[n].n;
    struct sink s = {.p = arena_alloc(arena, room)};
    if (!s.p)
        return -ENOMEM;
    put_le(&s, 0, 1);
    put_le(&s, sl_uuid_msb(id), 8);
    put_le(&s, sl_uuid_lsb(id), 8);
    put_string(&s, name);
    put_le(&s, (uint32_t)partitions, 4);
    for (int32_t p = 0; p < partitions; p++) {
        put_le(&s, (uint32_t)p, 4);
        uint32_t n = sorted_racks(racks, id, p, rack);
        for (uint32_t i = 0; i < n; i++) {
            put_le(&s, put_utf16(NULL, rack[i]), 4);
            put_string(&s, rack[i]);
        }
    }
    SL_ASSERT(s.n <= room);
    *out = XXH3_64bits(s.p, s.n);
    return 0;
}

uint64_t cg_group_hash(const uint64_t *hashes, uint32_t n)
{
    if (!n)
        return 0;
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t le[8];
        struct sink s = {.p = le};
        put_le(&s, hashes[i], 8);
        XXH3_64bits_update(&state, le, sizeof(le));
    }
    return XXH3_64bits_digest(&state);
}
