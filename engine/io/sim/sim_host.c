// A simulated machine: its disk as seen from outside, and the power cut. See sim.h.
#include "engine/io/sim/sim_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_host *sim_host_create(struct sim_world *w)
{
    struct sim_host *h = sim_alloc(sizeof(*h));
    h->w = w;
    sim_disk_init(&h->disk, w);
    list_push_back(&w->hosts, &h->node);
    return h;
}

// Ends what is in flight without effect.
static void drop_ops(struct sim_disk *d)
{
    list_foreach_safe(n, &d->ops)
    {
        struct sim_op *o = list_entry(n, struct sim_op, disk_node);
        struct sim_grave *g = o->grave;
        SL_ASSERT(!o->io);
        sim_op_free(o);
        if (g)
            sim_grave_landed(d->w, g);
    }
}

void sim_power_cut(struct sim_host *h)
{
    struct sim_world *w = h->w;
    struct sim_disk *d = &h->disk;
    list_foreach(n, &w->procs)
    {
        struct sim_process *p = list_entry(n, struct sim_process, node);
        if (p->host == h && !p->dead) {
            sim_process_kill(p);
            w->stats.kills--;
        }
    }
    sim_trace(w, "power-cut", w->stats.power_cuts, 0, 0);
    w->stats.power_cuts++;
    list_foreach(n, &d->ops)
    {
        struct sim_op *o = list_entry(n, struct sim_op, disk_node);
        if (o->kind == SIM_WRITE)
            sim_inode_tear(d, o->ino, o->pos, o->iov, o->iov_n, (o->flags & IO_DIRECT) != 0);
    }
    drop_ops(d);
    list_foreach(n, &d->inodes)
    {
        struct sim_inode *i = list_entry(n, struct sim_inode, node);
        if (!i->is_dir)
            sim_inode_cut(d, i);
    }
    sim_names_cut(d);
}

void sim_host_destroy(struct sim_host *h)
{
    struct sim_world *w = h->w;
    list_foreach_safe(n, &w->procs)
    {
        struct sim_process *p = list_entry(n, struct sim_process, node);
        if (p->host == h)
            sim_process_free(p);
    }
    drop_ops(&h->disk);
    sim_disk_free(&h->disk);
    list_remove(&h->node);
    free(h);
}

void sim_disk_set_capacity(struct sim_host *h, uint64_t bytes)
{
    h->disk.capacity = bytes / SIM_PAGE;
    if (bytes && !h->disk.capacity)
        h->disk.capacity = 1;
}

uint64_t sim_disk_used(const struct sim_host *h)
{
    return h->disk.used * SIM_PAGE;
}

int64_t sim_disk_read(struct sim_host *h, const char *path, uint64_t pos, void *buf, size_t len)
{
    int err = 0;
    struct sim_inode *i = sim_lookup(&h->disk, path, &err);
    return i ? sim_inode_read(i, pos, buf, len) : err;
}

int64_t sim_disk_size(struct sim_host *h, const char *path)
{
    int err = 0;
    struct sim_inode *i = sim_lookup(&h->disk, path, &err);
    return i ? (int64_t)i->size : err;
}

int64_t sim_disk_id(struct sim_host *h, const char *path)
{
    int err = 0;
    struct sim_inode *i = sim_lookup(&h->disk, path, &err);
    return i ? (int64_t)i->id : err;
}

int sim_disk_poke(struct sim_host *h, const char *path, uint64_t pos, const void *buf, size_t len)
{
    int err = 0;
    struct sim_inode *i = sim_lookup(&h->disk, path, &err);
    if (!i)
        return err;
    h->disk.seq++;
    err = sim_inode_write(&h->disk, i, pos, buf, len);
    sim_inode_persist_range(&h->disk, i, pos, len);
    sim_inode_persist_size(i, i->size, i->size_seq);
    return err;
}

int sim_disk_create(struct sim_host *h, const char *path)
{
    int err = 0;
    const char *name;
    struct sim_inode *dir = sim_lookup_parent(&h->disk, path, &name, &err);
    if (!dir)
        return err;
    if (sim_dir_find(dir, name))
        return -EEXIST;
    sim_dir_create(&h->disk, dir, name, false);
    return 0;
}

int sim_disk_break(struct sim_host *h, const char *path, uint64_t pos)
{
    int err = 0;
    struct sim_inode *i = sim_lookup(&h->disk, path, &err);
    if (!i)
        return err;
    struct sim_page *p = sim_inode_page(i, pos / SIM_PAGE);
    if (!p)
        return -EINVAL;
    p->bad |= (uint8_t)(1u << (pos % SIM_PAGE / SIM_SECTOR));
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct sim_dirent *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void walk(struct sim_inode *dir, const char *path, void (*fn)(void *, const char *, uint64_t),
                 void *arg)
{
    const struct sim_dirent **list = sim_alloc(dir->ents_n * sizeof(struct sim_dirent *));
    uint32_t n = 0;
    for (uint32_t k = 0; k < dir->ents_n; k++)
        if (dir->ents[k].cur)
            list[n++] = &dir->ents[k];
    qsort(list, n, sizeof(struct sim_dirent *), by_name);
    for (uint32_t k = 0; k < n; k++) {
        char full[4096];
        snprintf(full, sizeof(full), "%s/%s", strcmp(path, "/") == 0 ? "" : path, list[k]->name);
        if (list[k]->cur->is_dir)
            walk(list[k]->cur, full, fn, arg);
        else
            fn(arg, full, list[k]->cur->size);
    }
    free(list);
}

void sim_disk_walk(struct sim_host *h, const char *path, void (*fn)(void *, const char *, uint64_t),
                   void *arg)
{
    int err = 0;
    struct sim_inode *i = sim_lookup(&h->disk, path, &err);
    if (i && i->is_dir)
        walk(i, path, fn, arg);
}

void sim_disk_settle(struct sim_host *h)
{
    struct sim_disk *d = &h->disk;
    sim_names_settle(d);
    list_foreach(n, &d->inodes)
    {
        struct sim_inode *i = list_entry(n, struct sim_inode, node);
        sim_inode_persist(d, i, UINT32_MAX);
        sim_inode_persist_size(i, i->size, i->size_seq);
    }
}

bool sim_disk_busy(const struct sim_host *h)
{
    return !list_empty(&h->disk.ops);
}

static void copy_dir(struct sim_disk *to, struct sim_inode *dst, const struct sim_inode *src)
{
    for (uint32_t k = 0; k < src->ents_n; k++) {
        const struct sim_dirent *e = &src->ents[k];
        if (!e->cur)
            continue;
        struct sim_inode *i = sim_dir_create(to, dst, e->name, e->cur->is_dir);
        if (i->is_dir)
            copy_dir(to, i, e->cur);
        else
            sim_inode_copy(to, i, e->cur);
    }
}

uint32_t sim_disk_mount(struct sim_host *h, const char *path)
{
    struct sim_disk *d = &h->disk;
    SL_ASSERT(path[0] == '/' && !strchr(path + 1, '/') && d->drives < 31);
    struct sim_inode *i = sim_dir_create(d, d->root, path + 1, true);
    sim_dir_persist(d, d->root, d->seq);
    i->drive = (uint8_t)++d->drives;
    return d->drives;
}

void sim_disk_break_drive(struct sim_host *h, uint32_t drive, bool broken)
{
    SL_ASSERT(drive > 0 && drive <= h->disk.drives);
    uint32_t bit = 1u << drive;
    h->disk.broken_drives = broken ? h->disk.broken_drives | bit : h->disk.broken_drives & ~bit;
    sim_trace(h->w, "drive", drive, broken, 0);
}

struct sim_host *sim_host_clone(struct sim_host *h)
{
    SL_ASSERT(!sim_disk_busy(h));
    struct sim_host *c = sim_host_create(h->w);
    c->disk.capacity = h->disk.capacity;
    copy_dir(&c->disk, c->disk.root, h->disk.root);
    sim_names_settle(&c->disk);
    return c;
}
