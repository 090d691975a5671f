/* Buffers from 4 KiB to 2 MiB: a buddy allocator over 2 MiB slabs.
 *
 * Memory is counted in blocks of 4 KiB, numbered through all slabs. What is known of a block is kept apart
 * from the memory itself (struct buf_block), so a free buffer's pages are never touched. Only the first block
 * of a buffer, free or used, has a state; a free buffer of order k is on free list k. The buddy of a buffer
 * of order k at block b is at b ^ 2^k, in the same slab; two free buddies always become one.
 *
 * Slabs got ready ahead: one that another thread works on counts as reserved, and is on no list. When it is found
 * ready, it becomes a free slab like any other, which trimming gives back. Ready slabs are looked for, and more are
 * asked for, only when a wholly free slab is broken up or handed out.
 */
#include "engine/base/pool.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "engine/base/asan.h"

#define BLOCKS_PER_SLAB (1u << (BUF_POOL_ORDERS - 1))
#define NO_BLOCK        UINT32_MAX
#define TOP_ORDER       (BUF_POOL_ORDERS - 1)

enum buf_state { BUF_INSIDE = 0, BUF_FREE = 1, BUF_USED = 2 };

struct buf_block {
    uint32_t next, prev; /* free list */
    uint8_t state;
    uint8_t order;
};

struct buf_slab {
    uint32_t used;      /* blocks handed out */
    uint32_t next_idle; /* list of slabs that gave their memory back */
    bool registered;
};

enum { AHEAD_MAX = 4, AHEAD_SHARE = 8 }; /* at most so many, and one in so many of the limit's */

struct buf_ahead {
    struct prefault_job job;
    uint32_t slab; /* NO_BLOCK: none */
};

struct buf_pool {
    struct buf_pool_config cfg;
    void *map; /* the reservation, with room to align */
    size_t map_len;
    uint8_t *base;
    uint32_t nslabs;
    uint32_t fresh;  /* slabs from here on never had memory */
    uint32_t usable; /* slabs up to here may be read and written */
    uint32_t idle;   /* first slab that gave its memory back */
    uint32_t active;
    uint32_t free_slabs; /* active, and on the top free list */
    uint32_t ahead_want; /* slabs that should be free, or are being got ready */
    uint32_t ahead_most; /* what ahead_want grows to */
    uint32_t pending;    /* in ahead[] */
    struct buf_ahead ahead[AHEAD_MAX];
    struct buf_slab *slabs;
    struct buf_block *blocks; /* mapped: touched as slabs come into use */
    uint32_t free_head[BUF_POOL_ORDERS];
    size_t reserved, in_use, peak;
    uint64_t refused, opened_ready, opened_cold;
};

static void *buf_map(size_t len, int prot)
{
    void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void buf_ahead_init(struct buf_pool *p)
{
    size_t most = SL_MIN(p->cfg.keep_free / BUF_POOL_SLAB, (size_t)p->nslabs / AHEAD_SHARE);
    p->ahead_most = p->cfg.prefault && p->cfg.ahead ? (uint32_t)SL_MIN(most, (size_t)AHEAD_MAX) : 0;
    p->ahead_want = SL_MIN(p->cfg.ahead, p->ahead_most);
    for (int i = 0; i < AHEAD_MAX; i++)
        p->ahead[i].slab = NO_BLOCK;
}

struct buf_pool *buf_pool_create(const struct buf_pool_config *cfg)
{
    SL_ASSERT(cfg->limit > 0 && cfg->limit / BUF_POOL_SLAB < NO_BLOCK / BLOCKS_PER_SLAB);
    struct buf_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->cfg = *cfg;
    p->cfg.limit = SL_MAX(SL_ALIGN_DOWN(cfg->limit, BUF_POOL_SLAB), BUF_POOL_SLAB);
    p->nslabs = (uint32_t)(p->cfg.limit / BUF_POOL_SLAB);
    p->idle = NO_BLOCK;
    buf_ahead_init(p);
    for (int o = 0; o < BUF_POOL_ORDERS; o++)
        p->free_head[o] = NO_BLOCK;
    p->map_len = ((size_t)p->nslabs + 1) * BUF_POOL_SLAB;
    p->map = buf_map(p->map_len, PROT_NONE);
    p->blocks =
        buf_map((size_t)p->nslabs * BLOCKS_PER_SLAB * sizeof(struct buf_block), PROT_READ | PROT_WRITE);
    p->slabs = calloc(p->nslabs, sizeof(*p->slabs));
    if (!p->map || !p->blocks || !p->slabs)
        goto err;
    p->base = (uint8_t *)SL_ALIGN_UP((uintptr_t)p->map, BUF_POOL_SLAB);
    return p;
err:
    buf_pool_destroy(p);
    return NULL;
}

/* The thread has nothing more of this pool's. */
static void buf_ahead_end(struct buf_pool *p)
{
    bool busy = false;
    for (int k = 0; k < AHEAD_MAX; k++) {
        (void)prefault_cancel(&p->ahead[k].job);
        busy |= !prefault_is_done(&p->ahead[k].job);
    }
    if (busy)
        prefault_drain(p->cfg.prefault);
}

void buf_pool_destroy(struct buf_pool *p)
{
    if (!p)
        return;
    SL_ASSERT(p->in_use == 0);
    buf_ahead_end(p);
    if (p->map) {
        /* The addresses may be mapped again by others. */
        if (p->base)
            SL_ASAN_UNPOISON(p->base, (size_t)p->fresh * BUF_POOL_SLAB);
        munmap(p->map, p->map_len);
    }
    if (p->blocks)
        munmap(p->blocks, (size_t)p->nslabs * BLOCKS_PER_SLAB * sizeof(struct buf_block));
    free(p->slabs);
    free(p);
}

static int buf_order(size_t n)
{
    SL_DASSERT(n > 0 && n <= BUF_POOL_SLAB);
    return n <= BUF_POOL_MIN ? 0 : 64 - BUF_POOL_MIN_SHIFT - __builtin_clzll((unsigned long long)n - 1);
}

static uint8_t *buf_addr(const struct buf_pool *p, uint32_t block)
{
    return p->base + ((size_t)block << BUF_POOL_MIN_SHIFT);
}

static bool buf_in_slabs(const struct buf_pool *p, const void *ptr)
{
    uintptr_t a = (uintptr_t)ptr, b = (uintptr_t)p->base;
    return a >= b && a - b < (size_t)p->nslabs * BUF_POOL_SLAB;
}

static void buf_list_push(struct buf_pool *p, uint32_t block, int order)
{
    struct buf_block *b = &p->blocks[block];
    uint32_t head = p->free_head[order];
    *b = (struct buf_block){.next = head, .prev = NO_BLOCK, .state = BUF_FREE, .order = (uint8_t)order};
    if (head != NO_BLOCK)
        p->blocks[head].prev = block;
    p->free_head[order] = block;
    if (order == TOP_ORDER)
        p->free_slabs++;
}

static void buf_list_remove(struct buf_pool *p, uint32_t block)
{
    struct buf_block *b = &p->blocks[block];
    SL_DASSERT(b->state == BUF_FREE);
    if (b->prev != NO_BLOCK)
        p->blocks[b->prev].next = b->next;
    else
        p->free_head[b->order] = b->next;
    if (b->next != NO_BLOCK)
        p->blocks[b->next].prev = b->prev;
    if (b->order == TOP_ORDER)
        p->free_slabs--;
    b->state = BUF_INSIDE;
}

/* Makes slab i readable and writable. With a thread that gets slabs ready all of them at once: later changes of the
 * mapping would wait for the thread's faults. That may be more than the system promises; then nothing is got ready.
 */
static int buf_make_usable(struct buf_pool *p, uint32_t i)
{
    if (i < p->usable)
        return 0;
    uint8_t *base = p->base + (size_t)i * BUF_POOL_SLAB;
    uint32_t n = p->ahead_most ? p->nslabs - i : 1;
    int rc = mprotect(base, n * BUF_POOL_SLAB, PROT_READ | PROT_WRITE);
    if (rc && n > 1) {
        p->ahead_most = p->ahead_want = 0;
        n = 1;
        rc = mprotect(base, BUF_POOL_SLAB, PROT_READ | PROT_WRITE);
    }
    if (rc)
        return -1;
    (void)madvise(base, n * BUF_POOL_SLAB, MADV_HUGEPAGE); /* advice: nothing to do if refused */
    p->usable = i + n;
    return 0;
}

/* One more slab, which may have memory from now on. */
static int buf_slab_reserve(struct buf_pool *p, uint32_t *slab)
{
    uint32_t i = p->idle != NO_BLOCK ? p->idle : p->fresh;
    if (i == p->nslabs || p->reserved + BUF_POOL_SLAB > p->cfg.limit || buf_make_usable(p, i))
        return -1;
    if (i == p->fresh)
        p->fresh++;
    else
        p->idle = p->slabs[i].next_idle;
    p->slabs[i] = (struct buf_slab){.next_idle = NO_BLOCK};
    p->reserved += BUF_POOL_SLAB;
    *slab = i;
    return 0;
}

/* Puts a reserved slab on the top free list. */
static void buf_slab_enter(struct buf_pool *p, uint32_t i)
{
    uint8_t *base = p->base + (size_t)i * BUF_POOL_SLAB;
    /* Registering reads the pages' addresses only, but other users of the callback may touch them. */
    SL_ASAN_UNPOISON(base, BUF_POOL_SLAB);
    if (p->cfg.on_slab)
        p->slabs[i].registered = p->cfg.on_slab(p->cfg.ctx, base, BUF_POOL_SLAB, i) >= 0;
    SL_ASAN_POISON(base, BUF_POOL_SLAB);
    p->active++;
    buf_list_push(p, i * BLOCKS_PER_SLAB, TOP_ORDER);
}

/* Puts the slabs that are ready on the free list; with `all`, those too that the thread has not begun with. */
static void buf_ahead_collect(struct buf_pool *p, bool all)
{
    for (int k = 0; k < AHEAD_MAX; k++) {
        struct buf_ahead *a = &p->ahead[k];
        if (a->slab == NO_BLOCK)
            continue;
        bool ready = prefault_take(&a->job);
        if (!ready && !(all && prefault_cancel(&a->job)))
            continue;
        p->opened_ready += ready;
        p->opened_cold += !ready;
        p->pending--;
        buf_slab_enter(p, a->slab);
        a->slab = NO_BLOCK;
    }
}

/* Asks for slabs: as many as are in use, so that a pool that hardly holds anything stays small. */
static void buf_ahead_request(struct buf_pool *p)
{
    uint32_t want = SL_MIN(p->ahead_want, p->active - p->free_slabs);
    for (int k = 0; k < AHEAD_MAX && p->free_slabs + p->pending < want; k++) {
        struct buf_ahead *a = &p->ahead[k];
        if (a->slab != NO_BLOCK || !prefault_is_done(&a->job))
            continue;
        if (buf_slab_reserve(p, &a->slab))
            return;
        a->job.addr = p->base + (size_t)a->slab * BUF_POOL_SLAB;
        a->job.len = BUF_POOL_SLAB;
        SL_ASAN_UNPOISON(a->job.addr, BUF_POOL_SLAB);
        p->pending++;
        prefault_push(p->cfg.prefault, &a->job);
    }
}

/* Sees to it that there is a free slab. */
static int buf_slab_open(struct buf_pool *p)
{
    uint32_t i;
    if (p->pending)
        buf_ahead_collect(p, false);
    if (p->free_slabs)
        return 0;
    if (buf_slab_reserve(p, &i) == 0) {
        /* None was ready in time: more are needed. */
        if (p->active)
            p->ahead_want = SL_MIN(p->ahead_want * 2, p->ahead_most);
        p->opened_cold++;
        buf_slab_enter(p, i);
    } else if (p->pending) {
        buf_ahead_collect(p, true);
    }
    return p->free_slabs ? 0 : -1;
}

/* Gives a wholly free slab's memory back. */
static int buf_slab_close(struct buf_pool *p, uint32_t i)
{
    uint8_t *base = p->base + (size_t)i * BUF_POOL_SLAB;
    struct buf_slab *s = &p->slabs[i];
    SL_ASSERT(s->used == 0);
    if (s->registered) {
        if (!p->cfg.off_slab || p->cfg.off_slab(p->cfg.ctx, base, BUF_POOL_SLAB, i) < 0)
            return -1;
    }
    SL_ASSERT(madvise(base, BUF_POOL_SLAB, MADV_DONTNEED) == 0);
    buf_list_remove(p, i * BLOCKS_PER_SLAB);
    s->registered = false;
    s->next_idle = p->idle;
    p->idle = i;
    p->active--;
    p->reserved -= BUF_POOL_SLAB;
    p->ahead_want = SL_MIN(p->cfg.ahead, p->ahead_most);
    return 0;
}

size_t buf_pool_trim(struct buf_pool *p, size_t keep)
{
    size_t given = 0;
    /* Registered for good: nothing to walk for. */
    if (p->cfg.on_slab && !p->cfg.off_slab)
        return 0;
    if (p->pending && (size_t)(p->free_slabs + p->pending) * BUF_POOL_SLAB > keep)
        buf_ahead_collect(p, true);
    uint32_t block = p->free_head[TOP_ORDER];
    while (block != NO_BLOCK && (size_t)p->free_slabs * BUF_POOL_SLAB > keep) {
        uint32_t next = p->blocks[block].next;
        if (buf_slab_close(p, block / BLOCKS_PER_SLAB) == 0)
            given += BUF_POOL_SLAB;
        block = next;
    }
    return given;
}

static void buf_count_out(struct buf_pool *p, size_t bytes)
{
    p->in_use += bytes;
    p->peak = SL_MAX(p->peak, p->in_use);
}

static void *buf_alloc_large(struct buf_pool *p, size_t bytes)
{
    if (bytes > p->cfg.limit)
        return NULL;
    size_t room = p->cfg.limit - bytes;
    if (p->pending && p->reserved > room)
        buf_ahead_collect(p, true);
    /* Free slabs make way, but only as many as needed. */
    if (p->reserved > room) {
        size_t excess = SL_ALIGN_UP(p->reserved - room, BUF_POOL_SLAB);
        size_t have = (size_t)p->free_slabs * BUF_POOL_SLAB;
        if (excess > have || buf_pool_trim(p, have - excess) < excess)
            return NULL;
    }
    void *ptr = buf_map(bytes, PROT_READ | PROT_WRITE);
    if (!ptr)
        return NULL;
    p->reserved += bytes;
    buf_count_out(p, bytes);
    return ptr;
}

static void *buf_alloc_small(struct buf_pool *p, int order, uint32_t *slab_index)
{
    int o = order;
    while (o < BUF_POOL_ORDERS && p->free_head[o] == NO_BLOCK)
        o++;
    bool whole = o >= TOP_ORDER;
    if (whole) {
        if (buf_slab_open(p))
            return NULL;
        o = TOP_ORDER;
    }
    uint32_t block = p->free_head[o];
    buf_list_remove(p, block);
    if (whole && p->ahead_want)
        buf_ahead_request(p);
    while (o > order) {
        o--;
        buf_list_push(p, block + (1u << o), o);
    }
    p->blocks[block].state = BUF_USED;
    p->blocks[block].order = (uint8_t)order;
    struct buf_slab *s = &p->slabs[block / BLOCKS_PER_SLAB];
    s->used += 1u << order;
    buf_count_out(p, BUF_POOL_MIN << order);
    *slab_index = s->registered ? block / BLOCKS_PER_SLAB : BUF_POOL_NO_SLAB;
    SL_ASAN_UNPOISON(buf_addr(p, block), BUF_POOL_MIN << order);
    return buf_addr(p, block);
}

void *buf_pool_alloc(struct buf_pool *p, size_t n, uint32_t *slab_index)
{
    SL_ASSERT(n > 0);
    uint32_t index = BUF_POOL_NO_SLAB;
    void *ptr = NULL;
    if (n <= BUF_POOL_SLAB)
        ptr = buf_alloc_small(p, buf_order(n), &index);
    else if (n <= p->cfg.max_large)
        ptr = buf_alloc_large(p, buf_pool_size(n));
    if (!ptr)
        p->refused++;
    if (slab_index)
        *slab_index = index;
    return ptr;
}

void buf_pool_free(struct buf_pool *p, void *ptr, size_t n)
{
    size_t bytes = buf_pool_size(n);
    SL_ASSERT(p->in_use >= bytes);
    if (n > BUF_POOL_SLAB) {
        SL_ASSERT(!buf_in_slabs(p, ptr));
        SL_ASSERT(munmap(ptr, bytes) == 0);
        p->in_use -= bytes;
        p->reserved -= bytes;
        return;
    }
    SL_ASSERT(buf_in_slabs(p, ptr));
    int order = buf_order(n);
    uint32_t block = (uint32_t)(((uintptr_t)ptr - (uintptr_t)p->base) >> BUF_POOL_MIN_SHIFT);
    struct buf_slab *s = &p->slabs[block / BLOCKS_PER_SLAB];
    SL_ASSERT(buf_addr(p, block) == (uint8_t *)ptr);
    SL_ASSERT(p->blocks[block].state == BUF_USED && p->blocks[block].order == order);
    SL_ASAN_POISON(ptr, bytes);
    p->blocks[block].state = BUF_INSIDE;
    s->used -= 1u << order;
    p->in_use -= bytes;
    for (; order < TOP_ORDER; order++) {
        uint32_t buddy = block ^ (1u << order);
        if (p->blocks[buddy].state != BUF_FREE || p->blocks[buddy].order != order)
            break;
        buf_list_remove(p, buddy);
        block &= ~(1u << order);
    }
    buf_list_push(p, block, order);
    if (order == TOP_ORDER)
        buf_pool_trim(p, p->cfg.keep_free);
}

uint32_t buf_pool_slab_of(const struct buf_pool *p, const void *ptr, void **base)
{
    if (!buf_in_slabs(p, ptr))
        return BUF_POOL_NO_SLAB;
    uint32_t i = (uint32_t)(((uintptr_t)ptr - (uintptr_t)p->base) / BUF_POOL_SLAB);
    if (!p->slabs[i].registered)
        return BUF_POOL_NO_SLAB;
    if (base)
        *base = p->base + (size_t)i * BUF_POOL_SLAB;
    return i;
}

void buf_pool_get_stats(const struct buf_pool *p, struct buf_pool_stats *out)
{
    *out = (struct buf_pool_stats){
        .limit = p->cfg.limit,
        .reserved = p->reserved,
        .in_use = p->in_use,
        .peak = p->peak,
        .refused = p->refused,
        .slabs = p->active,
        .slabs_free = p->free_slabs,
        .slabs_pending = p->pending,
        .opened_ready = p->opened_ready,
        .opened_cold = p->opened_cold,
    };
}
