/* A bump allocator for things that die together: one request, one recovery step. Owner thread only.
 *
 * Chunks come from malloc, start at 4 KiB and double up to 1 MiB; a larger request gets a chunk of its own
 * size. `limit` bounds the bytes taken from malloc, so a request cannot grow without end (design: a limit on
 * everything).
 */
#ifndef SLUICE_BASE_ARENA_H
#define SLUICE_BASE_ARENA_H

#include "engine/base/err.h"

#define ARENA_ALIGN       16u
#define ARENA_CHUNK_FIRST 4096u
#define ARENA_CHUNK_MAX   (1u << 20)

struct arena_chunk;

struct arena {
    struct arena_chunk *first;   /* kept by arena_reset */
    struct arena_chunk *current; /* last chunk of the list, the one that serves */
    uint8_t *pos;                /* next free byte of current */
    uint8_t *end;
    size_t reserved; /* bytes taken from malloc */
    size_t limit;
};

SL_EXTERN_C_BEGIN

/* Sets up an empty arena that allocates nothing yet. limit: most bytes to take from malloc, headers included;
 * 0 means no limit. */
void arena_init(struct arena *a, size_t limit);

/* The general path behind arena_alloc. */
void *arena_alloc_slow(struct arena *a, size_t n);

/* n zeroed bytes, or NULL. */
void *arena_zalloc(struct arena *a, size_t n);

/* count elements of elem_size bytes, not zeroed; NULL at the limit or when the product overflows. */
void *arena_array(struct arena *a, size_t count, size_t elem_size);

/* A copy of n bytes at s with a NUL behind them, or NULL. */
char *arena_strndup(struct arena *a, const char *s, size_t n);

/* Everything allocated so far becomes invalid; the first chunk is kept for the next use, unless one large
 * request made it larger than ARENA_CHUNK_MAX. */
void arena_reset(struct arena *a);

/* Gives all memory back; the arena is as after arena_init. */
void arena_free(struct arena *a);

SL_EXTERN_C_END

/* n bytes, aligned to 16, not zeroed, valid until arena_reset or arena_free. n of 0 gives a valid pointer to
 * nothing. NULL when the limit is reached or malloc fails. */
static inline void *arena_alloc(struct arena *a, size_t n)
{
#ifndef SLUICE_SANITIZED
    size_t left = (size_t)(a->end - a->pos);
    /* Nothing at all takes the other path: there may be no chunk yet. */
    if (sl_likely(n - 1 < left)) {
        uint8_t *p = a->pos;
        size_t take = (n + (ARENA_ALIGN - 1)) & ~(size_t)(ARENA_ALIGN - 1);
        /* Chunk lengths are multiples of 16, so the rounded length fits too. */
        a->pos = p + take;
        return p;
    }
#endif
    return arena_alloc_slow(a, n);
}

#endif
