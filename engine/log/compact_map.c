// The map of a compaction round: from a key's hash to the newest offset of that key.
#include "engine/log/compact_private.h"

#include <errno.h>
#include <sys/mman.h>

enum { RECORD_LEAST = 8, DROP_BYTES = 4 << 20, PAGE = 4096 };

static double share(double load_factor)
{
    return SL_MIN(SL_MAX(load_factor, 0.05), 0.95);
}

// Half of them stay free where the load factor allows it, for short walks.
uint64_t compact_map_slots(uint64_t dirty_bytes, int64_t first, int64_t end, double load_factor)
{
    uint64_t keys = SL_MIN(dirty_bytes / RECORD_LEAST, (uint64_t)SL_MAX(end - first, 0));
    return (uint64_t)((double)keys / SL_MIN(share(load_factor), 0.5)) + 64;
}

// Straight from the kernel, which gives zeros page by page as they are touched. An allocator that had the memory before writes
// them all at once, and that takes longer than a turn may.
int compact_map_init(struct compact_map *m, uint64_t n, double load_factor, const uint64_t seed[2])
{
    n = SL_MAX(n, (uint64_t)4);
    *m = (struct compact_map){.n = n, .seed = {seed[0], seed[1]}, .latest = -1};
    m->most = SL_MAX((uint64_t)((double)n * share(load_factor)), (uint64_t)1);
    SL_ASSERT(m->most < n);
    size_t bytes = SL_ALIGN_UP(n * sizeof(*m->slots), (size_t)PAGE);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    m->slots = p;
    m->bytes = bytes;
    return 0;
}

bool compact_map_drop_some(struct compact_map *m)
{
    size_t k = SL_MIN(m->bytes, (size_t)DROP_BYTES);
    if (k)
        SL_ASSERT(munmap((uint8_t *)m->slots + m->bytes - k, k) == 0);
    m->bytes -= k;
    if (m->bytes)
        return true;
    *m = (struct compact_map){0};
    return false;
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
