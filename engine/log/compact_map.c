// The map of a compaction round: from a key's hash to the newest offset of that key.
#include "engine/log/compact_private.h"

#include <errno.h>
#include <stdlib.h>

int compact_map_init(struct compact_map *m, uint64_t n, double load_factor, const uint64_t seed[2])
{
    n = SL_MAX(n, (uint64_t)4);
    *m = (struct compact_map){.n = n, .seed = {seed[0], seed[1]}, .latest = -1};
    m->most = SL_MAX((uint64_t)((double)n * SL_MIN(SL_MAX(load_factor, 0.05), 0.95)), (uint64_t)1);
    SL_ASSERT(m->most < n);
    m->slots = calloc(n, sizeof(*m->slots)); // untouched pages cost nothing
    return m->slots ? 0 : -ENOMEM;
}

void compact_map_destroy(struct compact_map *m)
{
    free(m->slots);
    *m = (struct compact_map){0};
}

// The key's slot, or the free one where it belongs.
static struct compact_slot *slot_of(const struct compact_map *m, const uint8_t *key, uint32_t len,
                                    uint64_t hash[2])
{
    hash[0] = sl_hash64(key, len, m->seed[0]);
    hash[1] = sl_hash64(key, len, m->seed[1]);
    uint64_t i = hash[0] % m->n;
    while (m->slots[i].offset && (m->slots[i].hash[0] != hash[0] || m->slots[i].hash[1] != hash[1]))
        i = i + 1 == m->n ? 0 : i + 1;
    return &m->slots[i];
}

bool compact_map_put(struct compact_map *m, const uint8_t *key, uint32_t len, int64_t offset)
{
    uint64_t hash[2];
    struct compact_slot *s = slot_of(m, key, len, hash);
    if (!s->offset) {
        if (m->used >= m->most)
            return false;
        m->used++;
        s->hash[0] = hash[0];
        s->hash[1] = hash[1];
    }
    s->offset = SL_MAX(s->offset, offset + 1);
    return true;
}

int64_t compact_map_get(const struct compact_map *m, const uint8_t *key, uint32_t len)
{
    uint64_t hash[2];
    return slot_of(m, key, len, hash)->offset - 1;
}
