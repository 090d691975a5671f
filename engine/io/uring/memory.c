// Memory the kernel knows: provided buffers for multishot receive, and pool slabs as fixed buffers.

#include "engine/io/uring/uring_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { UP_BUF_GROUP = 0 };

// ---- provided buffers --------------------------------------------------------------------------------------------

static void *map_pages(size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int up_buffers_create(struct uring *u, uint32_t n, uint32_t size)
{
    SL_ASSERT(size > 0);
    u->br_bytes = SL_ALIGN_UP((size_t)n * sizeof(struct io_uring_buf), (size_t)4096);
    u->bufs_bytes = SL_ALIGN_UP((size_t)n * size, (size_t)4096);
    u->br = map_pages(u->br_bytes);
    u->bufs = map_pages(u->bufs_bytes);
    if (!u->br || !u->bufs)
        return -ENOMEM;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)u->br, .ring_entries = n, .bgid = UP_BUF_GROUP};
    int rc = io_uring_register_buf_ring(&u->ring, &reg, 0);
    if (rc < 0)
        return rc;
    u->buf_n = n;
    u->buf_size = size;
    io_uring_buf_ring_init(u->br);
    for (uint32_t i = 0; i < n; i++)
        io_uring_buf_ring_add(u->br, u->bufs + (size_t)i * size, size, (unsigned short)i,
                              io_uring_buf_ring_mask(n), (int)i);
    io_uring_buf_ring_advance(u->br, (int)n);
    return 0;
}

// After the ring is gone.
void up_buffers_destroy(struct uring *u)
{
    if (u->br)
        munmap(u->br, u->br_bytes);
    if (u->bufs)
        munmap(u->bufs, u->bufs_bytes);
}

void up_buf_return(struct io *io, uint32_t buf_id)
{
    struct uring *u = up_ring(io);
    SL_ASSERT(buf_id < u->buf_n && u->buf_out > 0);
    io_uring_buf_ring_add(u->br, u->bufs + (size_t)buf_id * u->buf_size, u->buf_size, (unsigned short)buf_id,
                          io_uring_buf_ring_mask(u->buf_n), 0);
    io_uring_buf_ring_advance(u->br, 1);
    u->buf_out--;
}

// ---- fixed buffers -----------------------------------------------------------------------------------------------

// Where a slab of this base is, or would be.
static uint32_t slab_place(const struct uring *u, uintptr_t base)
{
    uint32_t lo = 0;
    uint32_t hi = u->slab_n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (u->slabs[mid].base < base)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int up_slab_find(const struct uring *u, const void *buf, size_t len)
{
    uintptr_t p = (uintptr_t)buf;
    if (u->slab_n == 0)
        return -1;
    uint32_t at = slab_place(u, p + 1); // the first slab that starts behind p
    if (at == 0)
        return -1;
    const struct up_slab *s = &u->slabs[at - 1];
    return p - s->base + len <= s->len ? (int)s->index : -1;
}

static int slot_update(struct uring *u, uint32_t index, void *base, size_t len)
{
    struct iovec iov = {.iov_base = base, .iov_len = len};
    uint64_t tag = 0;
    int rc = io_uring_register_buffers_update_tag(&u->ring, index, &iov, (const __u64 *)&tag, 1);
    return rc < 0 ? rc : 0;
}

static void slab_forget(struct uring *u, uint32_t index)
{
    for (uint32_t i = 0; i < u->slab_n; i++) {
        if (u->slabs[i].index != index)
            continue;
        u->slab_n--;
        memmove(&u->slabs[i], &u->slabs[i + 1], (u->slab_n - i) * sizeof(u->slabs[0]));
        return;
    }
}

static int slab_remember(struct uring *u, void *base, size_t len, uint32_t index)
{
    if (u->slab_n == u->slab_cap) {
        uint32_t cap = u->slab_cap ? u->slab_cap * 2 : 64;
        struct up_slab *s = realloc(u->slabs, cap * sizeof(*s));
        if (!s)
            return -ENOMEM;
        u->slabs = s;
        u->slab_cap = cap;
    }
    uint32_t at = slab_place(u, (uintptr_t)base);
    memmove(&u->slabs[at + 1], &u->slabs[at], (u->slab_n - at) * sizeof(u->slabs[0]));
    u->slabs[at] = (struct up_slab){.base = (uintptr_t)base, .len = len, .index = index};
    u->slab_n++;
    return 0;
}

int up_register_slab(struct io *io, void *base, size_t len, uint32_t slab_index)
{
    struct uring *u = up_ring(io);
    if (!u->slots_ok)
        return -EOPNOTSUPP;
    slab_forget(u, slab_index);
    int rc = slot_update(u, slab_index, base, base ? len : 0); // -EINVAL beyond the table
    if (rc < 0 || !base)
        return rc;
    rc = slab_remember(u, base, len, slab_index);
    if (rc < 0)
        (void)slot_update(u, slab_index, NULL, 0);
    return rc;
}
