#include "engine/base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/asan.h"

/* Sanitized builds leave this many poisoned bytes behind each allocation, so that an overrun is seen. */
#ifdef SLUICE_SANITIZED
#define ARENA_REDZONE 16u
#else
#define ARENA_REDZONE 0u
#endif

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* bytes behind the header, a multiple of ARENA_ALIGN */
    uint8_t data[];
};
SL_STATIC_ASSERT(sizeof(struct arena_chunk) % ARENA_ALIGN == 0, "data must be aligned like malloc's result");

void arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){.limit = limit ? limit : SIZE_MAX};
}

static void arena_use_chunk(struct arena *a, struct arena_chunk *c)
{
    a->current = c;
    a->pos = c->data;
    a->end = c->data + c->size;
    SL_ASAN_POISON(c->data, c->size);
}

/* Bytes for the next chunk's data: double the last one's up to the maximum, at least `need`. */
static size_t arena_next_size(const struct arena *a, size_t need)
{
    size_t size = ARENA_CHUNK_FIRST - sizeof(struct arena_chunk);
    if (a->current) {
        size_t last = a->current->size + sizeof(struct arena_chunk);
        size = SL_MIN(last * 2, (size_t)ARENA_CHUNK_MAX) - sizeof(struct arena_chunk);
    }
    size_t room = a->limit - a->reserved;
    if (room < sizeof(struct arena_chunk) + need)
        return 0;
    /* Near the limit take what is left rather than fail. */
    size = SL_MIN(size, SL_ALIGN_DOWN(room - sizeof(struct arena_chunk), (size_t)ARENA_ALIGN));
    return SL_MAX(size, need);
}

static int arena_grow(struct arena *a, size_t need)
{
    size_t size = arena_next_size(a, need);
    if (size == 0)
        return -1;
    struct arena_chunk *c = (struct arena_chunk *)malloc(sizeof(*c) + size);
    if (!c)
        return -1;
    c->next = NULL;
    c->size = size;
    a->reserved += sizeof(*c) + size;
    if (a->current)
        a->current->next = c;
    else
        a->first = c;
    arena_use_chunk(a, c);
    return 0;
}

void *arena_alloc_slow(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    size_t take = SL_ALIGN_UP(n, (size_t)ARENA_ALIGN) + ARENA_REDZONE;
    if (!a->current || take > (size_t)(a->end - a->pos)) {
        /* At least one unit, so that even an allocation of nothing has an address. */
        if (arena_grow(a, SL_MAX(take, (size_t)ARENA_ALIGN)))
            return NULL;
    }
    void *p = a->pos;
    a->pos += take;
    SL_ASAN_UNPOISON(p, n);
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t elem_size)
{
    size_t n;
    if (__builtin_mul_overflow(count, elem_size, &n))
        return NULL;
    return arena_alloc(a, n);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *p = (char *)arena_alloc(a, n + 1);
    if (!p)
        return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

static void arena_free_chain(struct arena *a, struct arena_chunk *c)
{
    while (c) {
        struct arena_chunk *next = c->next;
        a->reserved -= sizeof(*c) + c->size;
        SL_ASAN_UNPOISON(c->data, c->size);
        free(c);
        c = next;
    }
}

void arena_reset(struct arena *a)
{
    if (!a->first)
        return;
    if (a->first->size > ARENA_CHUNK_MAX) {
        arena_free(a);
        return;
    }
    arena_free_chain(a, a->first->next);
    a->first->next = NULL;
    arena_use_chunk(a, a->first);
}

void arena_free(struct arena *a)
{
    size_t limit = a->limit;
    arena_free_chain(a, a->first);
    SL_ASSERT(a->reserved == 0);
    *a = (struct arena){.limit = limit};
}
