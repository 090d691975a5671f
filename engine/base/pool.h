/* Two pools with limits. Both belong to one thread.
 *
 * struct obj_pool: objects of one size, from slabs that are allocated on demand and kept until the pool is
 * destroyed.
 *
 * struct buf_pool: buffers of a power of two of bytes, 4 KiB to 2 MiB, cut from slabs of 2 MiB by halving (a
 * buddy allocator), each aligned to its own size. Slabs lie side by side in one range of addresses that is
 * reserved at the start and backed with memory on demand, so an address gives its slab by division. A
 * callback tells when a slab gets memory, so that io can register it as a fixed buffer. Larger buffers are
 * mapped one by one. All memory held, free slabs included, counts against one limit.
 *
 * The first touch of a slab costs milliseconds. A pool with a thread for it (prefault.h) has a few slabs got ready
 * before they are needed: as many as are in use, at most `ahead`, and up to twice as many while it grows faster than
 * that. They count as free slabs, and while they are worked on as reserved. When none is ready in time, a
 * slab is used as it is.
 *
 * Giving a slab's memory back (RSS falls): pages of a registered buffer stay pinned by the kernel while our
 * mapping would get new ones, so a registered slab must be unregistered first. With on_slab set, slabs are
 * given back only when off_slab is set too.
 */
#ifndef SLUICE_BASE_POOL_H
#define SLUICE_BASE_POOL_H

#include "engine/base/err.h"
#include "engine/base/list.h"
#include "engine/base/prefault.h"

/* ---- objects ---- */

struct obj_pool {
    size_t obj_size; /* rounded up to obj_align */
    size_t obj_align;
    size_t per_slab;
    size_t limit;  /* objects */
    size_t made;   /* objects in slabs so far */
    size_t in_use; /* objects out */
    size_t peak;
    void *free;  /* singly linked through the objects' first word */
    void *slabs; /* singly linked */
};

SL_EXTERN_C_BEGIN

/* Objects of `size` bytes (> 0), at most `limit` of them, aligned to 16; sizes of 64 and more to a cache
 * line. Allocates nothing yet. */
void obj_pool_init(struct obj_pool *p, size_t size, size_t limit);

/* Frees all slabs; no object may be out. */
void obj_pool_destroy(struct obj_pool *p);

/* An object, its content undefined; NULL at the limit or when memory is short. */
void *obj_pool_alloc(struct obj_pool *p);

/* As obj_pool_alloc, all zero. */
void *obj_pool_zalloc(struct obj_pool *p);

/* Gives an object back. Debug builds fill it with 0xdd; ASan builds forbid touching it. */
void obj_pool_free(struct obj_pool *p, void *obj);

/* ---- buffers ---- */

#define BUF_POOL_MIN_SHIFT 12
#define BUF_POOL_MAX_SHIFT 21
#define BUF_POOL_MIN       ((size_t)1 << BUF_POOL_MIN_SHIFT)
#define BUF_POOL_SLAB      ((size_t)1 << BUF_POOL_MAX_SHIFT)
#define BUF_POOL_ORDERS    (BUF_POOL_MAX_SHIFT - BUF_POOL_MIN_SHIFT + 1)
/* Buffers that lie in no registered slab. */
#define BUF_POOL_NO_SLAB UINT32_MAX

struct buf_pool_config {
    size_t limit;              /* bytes held at most; rounded down to whole slabs, at least one */
    size_t max_large;          /* largest buffer; up to BUF_POOL_SLAB: no buffers above 2 MiB. E.g. 128 MiB */
    size_t keep_free;          /* bytes of wholly free slabs that are kept rather than given back */
    struct prefault *prefault; /* gets slabs ready; outlives the pool. NULL: nobody does */
    uint32_t ahead;            /* slabs to have ready; at most keep_free, and an eighth of the limit */
    void *ctx;
    /* A slab got memory: register it. Returns 0, or <0: the slab is used, but counts as not registered. May
     * be NULL. */
    int (*on_slab)(void *ctx, void *base, size_t len, uint32_t slab_index);
    /* A slab is about to lose its memory: unregister it. Returns 0, or <0 to keep it. May be NULL. */
    int (*off_slab)(void *ctx, void *base, size_t len, uint32_t slab_index);
};

struct buf_pool_stats {
    size_t limit;
    size_t reserved;                    /* bytes held: slabs with memory, and large buffers */
    size_t in_use;                      /* bytes handed out, rounded up to their classes */
    size_t peak;                        /* largest in_use so far */
    uint64_t refused;                   /* allocations that failed */
    uint32_t slabs;                     /* slabs with memory */
    uint32_t slabs_free;                /* of these, wholly free */
    uint32_t slabs_pending;             /* being got ready: reserved, but not among `slabs` yet */
    uint64_t opened_ready, opened_cold; /* slabs that came into use touched, and untouched */
};

struct buf_pool;

/* Reserves addresses, not memory. NULL when even that fails. */
struct buf_pool *buf_pool_create(const struct buf_pool_config *cfg);

/* Gives everything back; no buffer may be out. Waits until no slab is being got ready. off_slab is not called: the
 * ring goes away with its registrations. */
void buf_pool_destroy(struct buf_pool *p);

/* A buffer of buf_pool_size(n) bytes (n >= 1), content undefined, aligned to its size (above 2 MiB: to 4
 * KiB). *slab_index, if wanted, becomes the index of its registered slab, or BUF_POOL_NO_SLAB. NULL at the
 * limit, above max_large, or when memory is short. */
void *buf_pool_alloc(struct buf_pool *p, size_t n, uint32_t *slab_index);

/* Gives a buffer back; n as it was allocated (or any n of the same class). */
void buf_pool_free(struct buf_pool *p, void *ptr, size_t n);

/* The registered slab that ptr, a buffer or an address inside one, lies in, with *base its start;
 * BUF_POOL_NO_SLAB if none. */
uint32_t buf_pool_slab_of(const struct buf_pool *p, const void *ptr, void **base);

/* Gives wholly free slabs beyond `keep` bytes back to the system; returns bytes given back. */
size_t buf_pool_trim(struct buf_pool *p, size_t keep);

void buf_pool_get_stats(const struct buf_pool *p, struct buf_pool_stats *out);

SL_EXTERN_C_END

/* Bytes of the buffer that a request of n (>= 1) gets: the power of two from 4 KiB to 2 MiB, above that whole
 * pages. */
static inline size_t buf_pool_size(size_t n)
{
    if (n <= BUF_POOL_MIN)
        return BUF_POOL_MIN;
    if (n > BUF_POOL_SLAB)
        return SL_ALIGN_UP(n, (size_t)4096);
    return (size_t)1 << (64 - __builtin_clzll((unsigned long long)n - 1));
}

#endif
