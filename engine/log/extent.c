#include "engine/log/extent.h"

#include "engine/log/cache.h"

#include <stdlib.h>

struct extent *extent_new(struct buf_pool *pool, uint64_t file_id, uint32_t pos, uint32_t cap)
{
    struct extent *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->mem = buf_pool_alloc(pool, cap, NULL);
    if (!e->mem) {
        free(e);
        return NULL;
    }
    e->pool = pool;
    e->file_id = file_id;
    e->pos = pos;
    e->cap = cap;
    e->refs = 1;
    list_init(&e->node);
    list_init(&e->lru);
    return e;
}

void extent_unref(struct extent *e)
{
    SL_ASSERT(e->refs > 0);
    if (e->cache) {
        cache_unhold(SL_CONTAINER_OF(e, struct cache_entry, e));
        return;
    }
    if (--e->refs)
        return;
    SL_ASSERT(!list_linked(&e->node) && !list_linked(&e->lru));
    buf_pool_free(e->pool, e->mem, e->cap);
    free(e);
}
