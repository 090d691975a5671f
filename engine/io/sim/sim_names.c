// Names of a simulated disk: directories with a volatile and a durable meaning per entry. See sim.h.
//
// Each create, unlink and rename is put on the disk's list of changes in order; an fsync of a directory that it touches
// makes it durable and takes it off. A power cut keeps or loses each that is left, in order, one by one.
#include "engine/io/sim/sim_private.h"

#include "engine/base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sim_disk_init(struct sim_disk *d, struct sim_world *w)
{
    d->w = w;
    d->seq = 1;
    d->capacity = w->cfg.disk_bytes / SIM_PAGE;
    list_init(&d->inodes);
    list_init(&d->dirops);
    list_init(&d->ops);
    list_init(&d->locks);
    d->root = sim_inode_ref(sim_inode_new(d, true));
    d->root->links = 1;
}

static struct sim_dirent *find_ent(const struct sim_inode *dir, const char *name)
{
    uint32_t h = (uint32_t)sl_hash64(name, strlen(name), 0);
    for (uint32_t k = 0; k < dir->ents_n; k++)
        if (dir->ents[k].hash == h && strcmp(dir->ents[k].name, name) == 0)
            return &dir->ents[k];
    return NULL;
}

static struct sim_dirent *make_ent(struct sim_inode *dir, const char *name)
{
    struct sim_dirent *e = find_ent(dir, name);
    if (e)
        return e;
    for (uint32_t k = 0; k < dir->ents_n && !e; k++)
        if (!dir->ents[k].cur && !dir->ents[k].dur)
            e = &dir->ents[k];
    if (!e) {
        if (dir->ents_n == dir->ents_cap) {
            dir->ents_cap = dir->ents_cap ? dir->ents_cap * 2 : 8;
            dir->ents = realloc(dir->ents, dir->ents_cap * sizeof(*dir->ents));
            if (!dir->ents)
                sl_panic("sim: out of memory");
        }
        e = &dir->ents[dir->ents_n++];
        memset(e, 0, sizeof(*e));
    }
    free(e->name);
    e->name = sim_strdup(name);
    e->hash = (uint32_t)sl_hash64(name, strlen(name), 0);
    return e;
}

static void set_cur(struct sim_disk *d, struct sim_inode *dir, const char *name, struct sim_inode *i)
{
    struct sim_dirent *e = make_ent(dir, name);
    struct sim_inode *was = e->cur;
    if (i) {
        sim_inode_ref(i)->links++;
        if (!i->charged) {
            i->charged = true;
            d->used += i->pages_alloc;
        }
    }
    e->cur = i;
    if (was) {
        was->links--;
        sim_inode_uncharge(d, was);
        sim_inode_unref(d, was);
    }
}

static void set_dur(struct sim_disk *d, struct sim_inode *dir, const char *name, struct sim_inode *i)
{
    struct sim_dirent *e = make_ent(dir, name);
    struct sim_inode *was = e->dur;
    e->dur = i ? sim_inode_ref(i) : NULL;
    if (was)
        sim_inode_unref(d, was);
}

static void dirop_add(struct sim_disk *d, struct sim_inode *a, const char *name_a, struct sim_inode *ia,
                      struct sim_inode *b, const char *name_b)
{
    struct sim_dirop *o = sim_alloc(sizeof(*o));
    o->seq = ++d->seq;
    o->a = sim_inode_ref(a);
    o->name_a = sim_strdup(name_a);
    o->ia = ia ? sim_inode_ref(ia) : NULL;
    if (b) {
        o->b = sim_inode_ref(b);
        o->name_b = sim_strdup(name_b);
    }
    list_push_back(&d->dirops, &o->node);
}

static void dirop_end(struct sim_disk *d, struct sim_dirop *o, bool keep)
{
    struct sim_dirent *e = keep ? find_ent(o->a, o->name_a) : NULL;
    if (e && e->dur && e->dur != o->ia && e->dur->is_dir)
        sim_dir_persist(
            d, e->dur, UINT32_MAX); // a directory that is gone: what is left to do in it, earlier on the list
    if (keep && o->b)
        set_dur(d, o->b, o->name_b, NULL);
    if (keep)
        set_dur(d, o->a, o->name_a, o->ia);
    list_remove(&o->node);
    free(o->name_a);
    free(o->name_b);
    if (o->ia)
        sim_inode_unref(d, o->ia);
    if (o->b)
        sim_inode_unref(d, o->b);
    sim_inode_unref(d, o->a);
    free(o);
}

void sim_dir_persist(struct sim_disk *d, struct sim_inode *dir, uint32_t upto)
{
    list_foreach_safe(n, &d->dirops)
    {
        struct sim_dirop *o = list_entry(n, struct sim_dirop, node);
        if (o->seq > upto)
            break;
        if (o->a == dir || o->b == dir)
            dirop_end(d, o, true);
    }
}

void sim_names_persist(struct sim_disk *d, uint32_t upto)
{
    for (struct list_node *n; (n = list_first(&d->dirops));) {
        struct sim_dirop *o = list_entry(n, struct sim_dirop, node);
        if (o->seq > upto)
            break;
        dirop_end(d, o, true);
    }
}

// ---- lookup --------------------------------------------------------------------------------------------------------
struct sim_inode *sim_dir_find(const struct sim_inode *dir, const char *name)
{
    struct sim_dirent *e = find_ent(dir, name);
    return e ? e->cur : NULL;
}

struct sim_inode *sim_lookup_parent(struct sim_disk *d, const char *path, const char **name, int *err)
{
    struct sim_inode *dir = d->root;
    char part[256];
    for (;;) {
        while (*path == '/')
            path++;
        const char *end = strchrnul(path, '/');
        const char *rest = end;
        while (*rest == '/')
            rest++;
        size_t n = (size_t)(end - path);
        if (n >= sizeof(part)) {
            *err = -ENAMETOOLONG;
            return NULL;
        }
        if (!*rest) { // trailing slashes are dropped by the callers' paths not having them
            *name = path;
            return dir;
        }
        memcpy(part, path, n);
        part[n] = 0;
        struct sim_inode *next = n == 1 && part[0] == '.' ? dir : sim_dir_find(dir, part);
        if (!next || !next->is_dir) {
            *err = next ? -ENOTDIR : -ENOENT;
            return NULL;
        }
        dir = next;
        path = end;
    }
}

struct sim_inode *sim_lookup(struct sim_disk *d, const char *path, int *err)
{
    const char *name;
    struct sim_inode *dir = sim_lookup_parent(d, path, &name, err);
    if (!dir)
        return NULL;
    if (!*name || strcmp(name, ".") == 0)
        return dir;
    struct sim_inode *i = sim_dir_find(dir, name);
    if (!i)
        *err = -ENOENT;
    return i;
}

bool sim_dir_empty(const struct sim_inode *dir)
{
    for (uint32_t k = 0; k < dir->ents_n; k++)
        if (dir->ents[k].cur)
            return false;
    return true;
}

// ---- changes -----------------------------------------------------------------------------------------------------------
struct sim_inode *sim_dir_create(struct sim_disk *d, struct sim_inode *dir, const char *name, bool is_dir)
{
    struct sim_inode *i = sim_inode_new(d, is_dir);
    i->drive = dir->drive;
    set_cur(d, dir, name, i);
    dirop_add(d, dir, name, i, NULL, NULL);
    return i;
}

int sim_dir_unlink(struct sim_disk *d, const char *path, bool is_dir)
{
    const char *name;
    int err = 0;
    struct sim_inode *dir = sim_lookup_parent(d, path, &name, &err);
    if (!dir)
        return err;
    struct sim_inode *i = sim_dir_find(dir, name);
    if (!i)
        return -ENOENT;
    if (i->is_dir != is_dir)
        return is_dir ? -ENOTDIR : -EISDIR;
    if (is_dir && !sim_dir_empty(i))
        return -ENOTEMPTY;
    if (sim_drive_broken(d, dir))
        return -EIO;
    dirop_add(d, dir, name, NULL, NULL, NULL);
    set_cur(d, dir, name, NULL);
    return 0;
}

static bool is_below(const struct sim_inode *dir, const struct sim_inode *what)
{
    if (dir == what)
        return true;
    for (uint32_t k = 0; k < dir->ents_n; k++)
        if (dir->ents[k].cur && dir->ents[k].cur->is_dir && is_below(dir->ents[k].cur, what))
            return true;
    return false;
}

int sim_dir_rename(struct sim_disk *d, const char *from, const char *to)
{
    const char *fn, *tn;
    int err = 0;
    struct sim_inode *fd = sim_lookup_parent(d, from, &fn, &err);
    struct sim_inode *td = fd ? sim_lookup_parent(d, to, &tn, &err) : NULL;
    if (!td)
        return err;
    struct sim_inode *i = sim_dir_find(fd, fn);
    if (!i)
        return -ENOENT;
    struct sim_inode *over = sim_dir_find(td, tn);
    if (over == i)
        return 0;
    if (over && over->is_dir != i->is_dir)
        return over->is_dir ? -EISDIR : -ENOTDIR;
    if (over && over->is_dir && !sim_dir_empty(over))
        return -ENOTEMPTY;
    if (i->is_dir && is_below(i, td))
        return -EINVAL;
    if (sim_drive_broken(d, fd) || sim_drive_broken(d, td))
        return -EIO;
    dirop_add(d, td, tn, i, fd, fn);
    set_cur(d, td, tn, i);
    set_cur(d, fd, fn, NULL);
    return 0;
}

// ---- power cut ---------------------------------------------------------------------------------------------------------
// The volatile tree becomes the durable one.
static void reload_dir(struct sim_disk *d, struct sim_inode *dir)
{
    for (uint32_t k = 0; k < dir->ents_n; k++) {
        struct sim_dirent *e = &dir->ents[k];
        if (e->cur == e->dur)
            continue;
        set_cur(d, dir, e->name, e->dur); // does not move entries: this one exists
    }
    for (uint32_t k = 0; k < dir->ents_n; k++)
        if (dir->ents[k].cur && dir->ents[k].cur->is_dir)
            reload_dir(d, dir->ents[k].cur);
}

// Entries of a directory that nobody can reach any more let go of what they name.
void sim_dir_drop(struct sim_disk *d, struct sim_inode *dir)
{
    for (uint32_t k = 0; k < dir->ents_n; k++) {
        struct sim_inode *cur = dir->ents[k].cur, *dur = dir->ents[k].dur;
        if (cur)
            set_cur(d, dir, dir->ents[k].name, NULL);
        dir->ents[k].dur = NULL;
        if (dur)
            sim_inode_unref(d, dur);
    }
}

static uint32_t mark_reached(struct sim_inode *dir, uint64_t *ids, uint32_t n)
{
    ids[n++] = dir->id;
    for (uint32_t k = 0; k < dir->ents_n; k++)
        if (dir->ents[k].cur && dir->ents[k].cur->is_dir)
            n = mark_reached(dir->ents[k].cur, ids, n);
    return n;
}

static void collect(struct sim_disk *d)
{
    uint32_t dirs = 0;
    list_foreach(n, &d->inodes) dirs += list_entry(n, struct sim_inode, node)->is_dir;
    uint64_t *ids = sim_alloc((size_t)dirs * sizeof(*ids));
    uint32_t reached = mark_reached(d->root, ids, 0);
    struct sim_inode **lost = sim_alloc((size_t)dirs * sizeof(*lost));
    uint32_t lost_n = 0;
    list_foreach(n, &d->inodes)
    {
        struct sim_inode *i = list_entry(n, struct sim_inode, node);
        bool found = !i->is_dir;
        for (uint32_t k = 0; k < reached && !found; k++)
            found = ids[k] == i->id;
        if (!found)
            lost[lost_n++] = sim_inode_ref(i);
    }
    for (uint32_t k = 0; k < lost_n; k++)
        sim_dir_drop(d, lost[k]);
    for (uint32_t k = 0; k < lost_n; k++)
        sim_inode_unref(d, lost[k]);
    free(lost);
    free(ids);
}

void sim_names_cut(struct sim_disk *d)
{
    uint64_t mood = sl_rand_below(&d->w->rng, 4); // 0: lose all, 1: keep all, else one by one
    list_foreach_safe(n, &d->dirops)
    {
        bool keep = mood > 1 ? sl_rand_chance(&d->w->rng, 1, 2) : mood == 1;
        dirop_end(d, list_entry(n, struct sim_dirop, node), keep);
    }
    reload_dir(d, d->root);
    collect(d);
}

void sim_names_settle(struct sim_disk *d)
{
    list_foreach_safe(n, &d->dirops) dirop_end(d, list_entry(n, struct sim_dirop, node), true);
}

void sim_disk_free(struct sim_disk *d)
{
    sim_names_settle(d);
    list_foreach_safe(n, &d->locks) free(list_entry(n, struct sim_lock, node));
    // Break the tree, then what is left has no references but the root's.
    struct sim_inode **all = NULL;
    uint32_t count = 0;
    list_foreach(n, &d->inodes) count++;
    all = sim_alloc(count * sizeof(struct sim_inode *));
    count = 0;
    list_foreach(n, &d->inodes) all[count++] = sim_inode_ref(list_entry(n, struct sim_inode, node));
    for (uint32_t k = 0; k < count; k++)
        if (all[k]->is_dir)
            sim_dir_drop(d, all[k]);
    for (uint32_t k = 0; k < count; k++)
        sim_inode_unref(d, all[k]);
    free(all);
    sim_inode_unref(d, d->root);
    SL_ASSERT(list_empty(&d->inodes));
}
