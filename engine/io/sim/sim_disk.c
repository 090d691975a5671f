// Files of a simulated disk: sparse pages with a volatile and a durable image per 512-byte sector. See sim.h.
//
// Invariant: a sector that is not dirty has the same bytes and the same written bit in both images. A page stays on its
// inode's dirty list while a sector is dirty or its allocation is not durable.
#include "engine/io/sim/sim_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t zeros[SIM_PAGE];

struct sim_inode *sim_inode_new(struct sim_disk *d, bool is_dir)
{
    struct sim_inode *i = sim_alloc(sizeof(*i));
    i->id = ++d->next_inode;
    i->is_dir = is_dir;
    i->charged = true;
    list_init(&i->dirty);
    list_push_back(&d->inodes, &i->node);
    return i;
}

struct sim_page *sim_inode_page(const struct sim_inode *i, uint64_t idx)
{
    return idx < i->pages_cap ? i->pages[idx] : NULL;
}

static void page_free(struct sim_disk *d, struct sim_inode *i, struct sim_page *p)
{
    list_remove(&p->dirty_node);
    i->pages[p->idx] = NULL;
    sim_page_buf_free(d->w, p->cur);
    sim_page_buf_free(d->w, p->old);
    free(p);
}

static struct sim_page *page_make(struct sim_inode *i, uint64_t idx)
{
    struct sim_page *p = sim_inode_page(i, idx);
    if (p)
        return p;
    SL_ASSERT(idx < 1u << 28);
    if (idx >= i->pages_cap) {
        uint32_t cap = i->pages_cap ? i->pages_cap : 8;
        while (cap <= idx)
            cap *= 2;
        i->pages = realloc(i->pages, cap * sizeof(*i->pages));
        if (!i->pages)
            sl_panic("sim: out of memory");
        memset(i->pages + i->pages_cap, 0, (cap - i->pages_cap) * sizeof(*i->pages));
        i->pages_cap = cap;
    }
    p = sim_alloc(sizeof(*p));
    p->idx = (uint32_t)idx;
    list_init(&p->dirty_node);
    i->pages[idx] = p;
    return p;
}

static void page_mark(struct sim_inode *i, struct sim_page *p)
{
    if (!list_linked(&p->dirty_node))
        list_push_back(&i->dirty, &p->dirty_node);
}

// Takes a page that is durable off the dirty list; one that is a hole in both images goes.
static void page_settle(struct sim_disk *d, struct sim_inode *i, struct sim_page *p)
{
    if (p->dirty || p->alloc != p->dur_alloc)
        return;
    list_remove(&p->dirty_node);
    sim_page_buf_free(d->w, p->old);
    p->old = NULL;
    if (!p->alloc)
        page_free(d, i, p);
}

static void page_set_alloc(struct sim_disk *d, struct sim_inode *i, struct sim_page *p, bool on)
{
    if (p->alloc == on)
        return;
    p->alloc = on;
    p->alloc_seq = d->seq;
    i->pages_alloc += on ? 1u : -1u;
    if (i->charged)
        d->used += on ? 1u : -1ull;
    page_mark(i, p);
}

static void page_need_cur(struct sim_disk *d, struct sim_page *p)
{
    if (p->cur)
        return;
    p->cur = sim_page_buf(d->w);
    memset(p->cur, 0, SIM_PAGE);
}

static void sector_persist(struct sim_page *p, unsigned s)
{
    uint8_t bit = (uint8_t)(1u << s);
    p->dur_written = (uint8_t)((p->dur_written & ~bit) | (p->written & bit));
    p->dirty = (uint8_t)(p->dirty & ~bit);
    if (p->written & bit)
        p->dur_alloc = true;
}

// Before a sector changes: keeps its durable bytes. A version that a sync in flight covers, and now and then any other,
// reaches the platter first.
static void sector_touch(struct sim_disk *d, struct sim_inode *i, struct sim_page *p, unsigned s)
{
    uint8_t bit = (uint8_t)(1u << s);
    if ((p->dirty & bit) && ((i->syncs && p->seq[s] <= i->sync_upto) || sl_rand_chance(&d->w->rng, 1, 8)))
        sector_persist(p, s);
    if (!(p->dirty & bit)) {
        if (p->written & bit) {
            if (!p->old)
                p->old = sim_page_buf(d->w);
            memcpy(p->old + s * SIM_SECTOR, p->cur + s * SIM_SECTOR, SIM_SECTOR);
        }
        p->dirty |= bit;
    }
    p->seq[s] = d->seq;
    p->bad = (uint8_t)(p->bad & ~bit);
    page_mark(i, p);
}

static void sector_write(struct sim_disk *d, struct sim_inode *i, struct sim_page *p, unsigned s,
                         uint32_t off, const uint8_t *b, uint32_t n)
{
    page_need_cur(d, p);
    sector_touch(d, i, p, s);
    memcpy(p->cur + s * SIM_SECTOR + off, b, n);
    p->written |= (uint8_t)(1u << s);
}

static void sector_punch(struct sim_disk *d, struct sim_inode *i, struct sim_page *p, unsigned s)
{
    uint8_t bit = (uint8_t)(1u << s);
    if (!(p->written & bit) && !(p->dirty & bit))
        return;
    page_need_cur(d, p);
    sector_touch(d, i, p, s);
    memset(p->cur + s * SIM_SECTOR, 0, SIM_SECTOR);
    p->written = (uint8_t)(p->written & ~bit);
}

static bool disk_full(const struct sim_disk *d, uint64_t pages)
{
    return d->capacity && d->used + pages > d->capacity;
}

static uint64_t holes(const struct sim_inode *i, uint64_t pos, uint64_t len)
{
    uint64_t n = 0;
    for (uint64_t k = pos / SIM_PAGE; len && k <= (pos + len - 1) / SIM_PAGE; k++) {
        const struct sim_page *p = sim_inode_page(i, k);
        n += !p || !p->alloc;
    }
    return n;
}

bool sim_inode_extends(const struct sim_inode *i, uint64_t pos, uint64_t len)
{
    return pos + len > i->size || holes(i, pos, len) != 0;
}

static void set_size(struct sim_disk *d, struct sim_inode *i, uint64_t size)
{
    if (i->size == size)
        return;
    i->size = size;
    i->size_seq = d->seq;
}

int sim_inode_allocate(struct sim_disk *d, struct sim_inode *i, uint64_t pos, uint64_t len)
{
    if (disk_full(d, holes(i, pos, len)))
        return -ENOSPC;
    d->seq++;
    for (uint64_t k = pos / SIM_PAGE; len && k <= (pos + len - 1) / SIM_PAGE; k++)
        page_set_alloc(d, i, page_make(i, k), true);
    set_size(d, i, SL_MAX(i->size, pos + len));
    return 0;
}

int sim_inode_read(struct sim_inode *i, uint64_t pos, uint8_t *buf, uint64_t len)
{
    if (pos >= i->size)
        return 0;
    len = SL_MIN(len, i->size - pos);
    for (uint64_t done = 0; done < len;) {
        uint64_t at = pos + done;
        uint32_t off = (uint32_t)(at % SIM_PAGE);
        uint32_t n = (uint32_t)SL_MIN((uint64_t)SIM_PAGE - off, len - done);
        const struct sim_page *p = sim_inode_page(i, at / SIM_PAGE);
        if (p && p->bad)
            for (unsigned s = off / SIM_SECTOR; s <= (off + n - 1) / SIM_SECTOR; s++)
                if (p->bad & (1u << s))
                    return -EIO;
        memcpy(buf + done, p && p->cur ? p->cur + off : zeros, n);
        done += n;
    }
    return (int)len;
}

int sim_inode_write(struct sim_disk *d, struct sim_inode *i, uint64_t pos, const uint8_t *buf, uint64_t len)
{
    if (disk_full(d, holes(i, pos, len)))
        return -ENOSPC;
    for (uint64_t done = 0; done < len;) {
        uint64_t at = pos + done;
        uint32_t off = (uint32_t)(at % SIM_SECTOR);
        uint32_t n = (uint32_t)SL_MIN((uint64_t)SIM_SECTOR - off, len - done);
        struct sim_page *p = page_make(i, at / SIM_PAGE);
        page_set_alloc(d, i, p, true);
        sector_write(d, i, p, (unsigned)(at % SIM_PAGE / SIM_SECTOR), off, buf + done, n);
        done += n;
    }
    if (len)
        set_size(d, i, SL_MAX(i->size, pos + len));
    return 0;
}

void sim_inode_truncate(struct sim_disk *d, struct sim_inode *i, uint64_t len)
{
    d->seq++;
    for (uint64_t k = len / SIM_PAGE; k < i->pages_cap; k++) {
        struct sim_page *p = i->pages[k];
        if (!p)
            continue;
        uint64_t base = k * SIM_PAGE;
        for (unsigned s = 0; s < SIM_SECTORS; s++) {
            uint64_t at = base + s * SIM_SECTOR;
            if (at >= len)
                sector_punch(d, i, p, s);
            else if (at + SIM_SECTOR > len && (p->written & (1u << s)))
                sector_write(d, i, p, s, (uint32_t)(len - at), zeros, (uint32_t)(at + SIM_SECTOR - len));
        }
        if (base >= len) {
            page_set_alloc(d, i, p, false);
            page_settle(d, i, p);
        }
    }
    set_size(d, i, len);
}

void sim_inode_persist(struct sim_disk *d, struct sim_inode *i, uint32_t upto)
{
    list_foreach_safe(n, &i->dirty)
    {
        struct sim_page *p = list_entry(n, struct sim_page, dirty_node);
        for (unsigned s = 0; s < SIM_SECTORS; s++)
            if ((p->dirty & (1u << s)) && p->seq[s] <= upto)
                sector_persist(p, s);
        if (p->alloc_seq <= upto)
            p->dur_alloc = p->alloc;
        page_settle(d, i, p);
    }
}

void sim_inode_persist_range(struct sim_disk *d, struct sim_inode *i, uint64_t pos, uint64_t len)
{
    for (uint64_t at = SL_ALIGN_DOWN(pos, (uint64_t)SIM_SECTOR); at < pos + len; at += SIM_SECTOR) {
        struct sim_page *p = sim_inode_page(i, at / SIM_PAGE);
        if (!p)
            continue;
        unsigned s = (unsigned)(at % SIM_PAGE / SIM_SECTOR);
        if (p->dirty & (1u << s))
            sector_persist(p, s);
        if (s == SIM_SECTORS - 1 || at + SIM_SECTOR >= pos + len)
            page_settle(d, i, p);
    }
}

void sim_inode_persist_size(struct sim_inode *i, uint64_t size, uint32_t size_seq)
{
    if (size_seq < i->dur_size_seq)
        return;
    i->dur_size = size;
    i->dur_size_seq = size_seq;
}

void sim_inode_clear(struct sim_disk *d, struct sim_inode *i)
{
    for (uint32_t k = 0; k < i->pages_cap; k++)
        if (i->pages[k])
            page_free(d, i, i->pages[k]);
    free(i->pages);
    i->pages = NULL;
    i->pages_cap = 0;
    if (i->charged)
        d->used -= i->pages_alloc;
    i->pages_alloc = 0;
}

void sim_inode_uncharge(struct sim_disk *d, struct sim_inode *i)
{
    if (!i->charged || i->links || i->opens)
        return;
    i->charged = false;
    d->used -= i->pages_alloc;
}

void sim_inode_unref(struct sim_disk *d, struct sim_inode *i)
{
    SL_ASSERT(i->refs > 0);
    if (--i->refs)
        return;
    i->refs = 1; // while its entries go
    sim_dir_drop(d, i);
    sim_inode_clear(d, i);
    for (uint32_t k = 0; k < i->ents_n; k++)
        free(i->ents[k].name);
    free(i->ents);
    list_remove(&i->node);
    free(i);
}

// ---- power cut -------------------------------------------------------------------------------------------------------
// Garbage: noise, constant bytes, or half of the new over half of the old; or the sector cannot be read.
static void sector_garbage(struct sim_disk *d, struct sim_page *p, unsigned s, const uint8_t *fresh)
{
    struct sim_world *w = d->w;
    page_need_cur(d, p);
    uint8_t *b = p->cur + s * SIM_SECTOR;
    w->stats.garbage_sectors++;
    if (sl_rand_below(&w->rng, 1000000) < w->cfg.faults.unreadable) {
        p->bad |= (uint8_t)(1u << s);
        memset(b, 0xee, SIM_SECTOR);
        return;
    }
    switch (sl_rand_below(&w->rng, 4)) {
    case 0:
        sl_rand_bytes(&w->rng, b, SIM_SECTOR);
        break;
    case 1:
        memset(b, sl_rand_chance(&w->rng, 1, 2) ? 0 : 0xff, SIM_SECTOR);
        break;
    default: {
        uint32_t cut = (uint32_t)sl_rand_range(&w->rng, 1, SIM_SECTOR - 1);
        const uint8_t *old = p->old && (p->dirty & p->dur_written & (1u << s)) ? p->old + s * SIM_SECTOR : b;
        if (old != b)
            memcpy(b + cut, old + cut, SIM_SECTOR - cut);
        if (fresh)
            memcpy(b, fresh, cut);
        break;
    }
    }
}

static const uint8_t *iov_at(const struct iovec *iov, uint32_t n, uint64_t off)
{
    for (uint32_t k = 0; k < n; k++) {
        if (off < iov[k].iov_len)
            return (const uint8_t *)iov[k].iov_base + off;
        off -= iov[k].iov_len;
    }
    return NULL;
}

void sim_inode_tear(struct sim_disk *d, struct sim_inode *i, uint64_t pos, const struct iovec *iov,
                    uint32_t n, bool direct)
{
    uint64_t len = 0;
    for (uint32_t k = 0; k < n; k++)
        len += iov[k].iov_len;
    if (!direct || pos % SIM_SECTOR)
        return; // still in memory only
    d->seq++;
    for (uint64_t off = 0; off + SIM_SECTOR <= len; off += SIM_SECTOR) {
        struct sim_page *p = sim_inode_page(i, (pos + off) / SIM_PAGE);
        if (!p || !p->alloc || sl_rand_chance(&d->w->rng, 1, 3))
            continue;
        unsigned s = (unsigned)((pos + off) % SIM_PAGE / SIM_SECTOR);
        bool overwrites = (p->dur_written & (1u << s)) != 0;
        const uint8_t *fresh = iov_at(iov, n, off);
        if (overwrites && sl_rand_below(&d->w->rng, 1000000) < d->w->cfg.faults.garbage_in_flight) {
            sector_touch(d, i, p, s);
            sector_garbage(d, p, s, fresh);
            sector_persist(p, s);
            continue;
        }
        sector_write(d, i, p, s, 0, fresh, SIM_SECTOR);
        if (overwrites)
            sector_persist(p, s);
    }
}

enum cut_mood { CUT_LOSE, CUT_KEEP, CUT_MIXED };

static enum cut_mood pick_mood(struct sim_world *w)
{
    uint64_t r = sl_rand_below(&w->rng, 8);
    return r < 2 ? CUT_LOSE : r < 4 ? CUT_KEEP : CUT_MIXED;
}

static bool survives(struct sim_world *w, enum cut_mood m)
{
    return m == CUT_MIXED ? sl_rand_chance(&w->rng, 1, 2) : m == CUT_KEEP;
}

static void cut_sector(struct sim_disk *d, struct sim_page *p, unsigned s, enum cut_mood mood)
{
    struct sim_world *w = d->w;
    uint8_t bit = (uint8_t)(1u << s);
    bool overwrites = (p->written & p->dur_written & bit) != 0;
    if (overwrites && sl_rand_below(&w->rng, 1000000) < w->cfg.faults.garbage_unsynced) {
        sector_garbage(d, p, s, NULL);
        return;
    }
    if (survives(w, mood))
        return;
    w->stats.lost_sectors++;
    page_need_cur(d, p);
    if (p->dur_written & bit)
        memcpy(p->cur + s * SIM_SECTOR, p->old + s * SIM_SECTOR, SIM_SECTOR);
    else
        memset(p->cur + s * SIM_SECTOR, 0, SIM_SECTOR);
    p->written = (uint8_t)((p->written & ~bit) | (p->dur_written & bit));
}

static void cut_page(struct sim_disk *d, struct sim_inode *i, struct sim_page *p, enum cut_mood mood)
{
    bool keep = p->alloc == p->dur_alloc || survives(d->w, mood);
    bool alloc = keep ? p->alloc : p->dur_alloc;
    if (!alloc) {
        page_set_alloc(d, i, p, false);
        page_free(d, i, p);
        return;
    }
    for (unsigned s = 0; s < SIM_SECTORS; s++)
        if (p->dirty & (1u << s))
            cut_sector(d, p, s, mood);
    page_set_alloc(d, i, p, true);
    p->dur_alloc = true;
    p->dur_written = p->written;
    p->dirty = 0;
    page_settle(d, i, p);
}

void sim_inode_cut(struct sim_disk *d, struct sim_inode *i)
{
    enum cut_mood mood = pick_mood(d->w);
    i->syncs = 0;
    if (list_empty(&i->dirty) && i->size == i->dur_size)
        return;
    list_foreach_safe(n, &i->dirty) cut_page(d, i, list_entry(n, struct sim_page, dirty_node), mood);
    if (i->size != i->dur_size && !survives(d->w, mood))
        i->size = i->dur_size;
    // What lies beyond the end is not there when the file grows again.
    sim_inode_truncate(d, i, i->size);
    sim_inode_persist(d, i, UINT32_MAX);
    i->dur_size = i->size;
    i->dur_size_seq = i->size_seq;
}

void sim_inode_copy(struct sim_disk *to, struct sim_inode *dst, const struct sim_inode *src)
{
    for (uint32_t k = 0; k < src->pages_cap; k++) {
        const struct sim_page *p = src->pages[k];
        if (!p || !p->alloc)
            continue;
        struct sim_page *q = page_make(dst, k);
        page_set_alloc(to, dst, q, true);
        q->dur_alloc = true;
        q->written = q->dur_written = p->written;
        q->bad = p->bad;
        if (p->cur) {
            q->cur = sim_page_buf(to->w);
            memcpy(q->cur, p->cur, SIM_PAGE);
        }
        page_settle(to, dst, q);
    }
    dst->size = dst->dur_size = src->size;
}
