/* Objects of one size: slabs on demand, a free list through the objects' first word. */
#include "engine/base/pool.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/asan.h"

/* Objects are small as a rule; a slab is about this large, header included. */
#define OBJ_SLAB_BYTES 16384u

/* Takes one cache line in front of the objects. */
struct obj_slab {
    struct obj_slab *next;
    size_t bytes; /* all of the slab */
};
SL_STATIC_ASSERT(sizeof(struct obj_slab) <= SL_CACHE_LINE, "the header fits its line");

void obj_pool_init(struct obj_pool *p, size_t size, size_t limit)
{
    SL_ASSERT(size > 0 && size <= SIZE_MAX / 2 && limit > 0);
    *p = (struct obj_pool){.limit = limit};
    p->obj_align = size >= SL_CACHE_LINE ? SL_CACHE_LINE : 16;
    p->obj_size = SL_ALIGN_UP(size, p->obj_align);
    p->per_slab = SL_MAX((OBJ_SLAB_BYTES - SL_CACHE_LINE) / p->obj_size, (size_t)1);
}

void obj_pool_destroy(struct obj_pool *p)
{
    SL_ASSERT(p->in_use == 0);
    struct obj_slab *s = p->slabs;
    while (s) {
        struct obj_slab *next = s->next;
        SL_ASAN_UNPOISON(s, s->bytes);
        free(s);
        s = next;
    }
    *p = (struct obj_pool){0};
}

static void obj_pool_link(struct obj_pool *p, void *obj)
{
    memcpy(obj, &p->free, sizeof(p->free));
    p->free = obj;
    SL_ASAN_POISON(obj, p->obj_size);
}

static int obj_pool_grow(struct obj_pool *p)
{
    size_t n = SL_MIN(p->per_slab, p->limit - p->made);
    if (n == 0)
        return -1;
    size_t bytes = SL_ALIGN_UP(SL_CACHE_LINE + n * p->obj_size, (size_t)SL_CACHE_LINE);
    struct obj_slab *s = aligned_alloc(SL_CACHE_LINE, bytes);
    if (!s)
        return -1;
    s->next = p->slabs;
    s->bytes = bytes;
    p->slabs = s;
    p->made += n;
    /* Backwards, so that objects come out in address order. */
    for (size_t i = n; i-- > 0;)
        obj_pool_link(p, (char *)s + SL_CACHE_LINE + i * p->obj_size);
    return 0;
}

void *obj_pool_alloc(struct obj_pool *p)
{
    if (!p->free && obj_pool_grow(p))
        return NULL;
    void *obj = p->free;
    SL_ASAN_UNPOISON(obj, p->obj_size);
    memcpy(&p->free, obj, sizeof(p->free));
    p->in_use++;
    p->peak = SL_MAX(p->peak, p->in_use);
    return obj;
}

void *obj_pool_zalloc(struct obj_pool *p)
{
    void *obj = obj_pool_alloc(p);
    if (obj)
        memset(obj, 0, p->obj_size);
    return obj;
}

void obj_pool_free(struct obj_pool *p, void *obj)
{
    SL_ASSERT(p->in_use > 0);
    SL_DASSERT((uintptr_t)obj % p->obj_align == 0);
#if SL_DEBUG_BUILD
    memset(obj, 0xdd, p->obj_size);
#endif
    obj_pool_link(p, obj);
    p->in_use--;
}
