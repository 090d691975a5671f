// Files of the simulated io: each operation takes effect at one moment between its start and its completion.
#include "engine/io/sim/sim_private.h"

#include "engine/base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- handles -------------------------------------------------------------------------------------------------------
static io_file handle_new(struct sim_process *p, struct sim_inode *i, uint32_t flags)
{
    if (p->handles_n == p->handles_cap) {
        p->handles_cap = p->handles_cap ? p->handles_cap * 2 : 32;
        p->handles = realloc(p->handles, p->handles_cap * sizeof(*p->handles));
        if (!p->handles)
            sl_panic("sim: out of memory");
    }
    sim_inode_ref(i)->opens++;
    p->handles[p->handles_n] = (struct sim_handle){i, flags};
    return (io_file)p->handles_n++; // never reused: a stale handle is noticed
}

static struct sim_handle *handle_get(struct sim_process *p, io_file f)
{
    if (f >= 0 && (uint32_t)f < p->handles_n && p->handles[f].ino)
        return &p->handles[f];
    sim_fail(p->w, "file handle %d is not open", f);
    return NULL;
}

static void handle_close(struct sim_process *p, struct sim_handle *h)
{
    struct sim_disk *d = &p->host->disk;
    struct sim_inode *i = h->ino;
    h->ino = NULL;
    i->opens--;
    sim_inode_uncharge(d, i);
    sim_inode_unref(d, i);
}

void sim_handles_close(struct sim_process *p)
{
    for (uint32_t k = 0; k < p->handles_n; k++)
        if (p->handles[k].ino)
            handle_close(p, &p->handles[k]);
    free(p->handles);
    p->handles = NULL;
    p->handles_n = p->handles_cap = 0;
}

// ---- starting and finishing ----------------------------------------------------------------------------------------
// NULL: refused, and completed.
static struct sim_op *start(struct io *io, struct io_op *op, enum sim_kind kind)
{
    struct sim_io *s = sim_io_of(io);
    s->counters[IO_CTR_SQES]++;
    if (s->dead) {
        sim_complete_now(s, op, -ECANCELED);
        return NULL;
    }
    SL_ASSERT(s->p->host);
    struct sim_op *o = sim_op_new(s, op, kind);
    o->disk = &s->p->host->disk;
    list_push_back(&o->disk->ops, &o->disk_node);
    return o;
}

static void launch(struct sim_op *o, const struct sim_latency *l, void (*fire)(struct sim_event *))
{
    sim_event_at(o->w, &o->ev, o->w->now + sim_latency(o->w, l), fire);
}

static struct sim_op *op_of(struct sim_event *e)
{
    return SL_CONTAINER_OF(e, struct sim_op, ev);
}

static void finish(struct sim_op *o, int32_t res)
{
    list_remove(&o->disk_node);
    sim_trace(o->w, "done", o->kind, o->ino ? o->ino->id : 0, (uint64_t)(int64_t)res);
    if (o->io)
        sim_complete(o, res, 0, true);
    else
        sim_op_free(o);
}

static int fault(struct sim_op *o, uint32_t ppm, int err)
{
    return sim_chance(o->w, ppm) ? err : 0;
}

// The same for what changes the drive of `i`.
static int fault_on(struct sim_op *o, const struct sim_inode *i, uint32_t ppm, int err)
{
    int rc = fault(o, ppm, err);
    return sim_drive_broken(o->disk, i) ? -EIO : rc;
}

// Starts an operation on a handle. NULL: refused, and completed.
static struct sim_op *start_on(struct io *io, struct io_op *op, enum sim_kind kind, io_file f)
{
    struct sim_io *s = sim_io_of(io);
    struct sim_handle *h = s->dead ? NULL : handle_get(s->p, f);
    if (!s->dead && !h) {
        sim_complete_now(s, op, -EBADF);
        return NULL;
    }
    struct sim_op *o = start(io, op, kind);
    if (!o)
        return NULL;
    o->ino = sim_inode_ref(h->ino);
    o->flags = h->flags;
    return o;
}

// ---- open, close -------------------------------------------------------------------------------------------------------
static int open_now(struct sim_op *o)
{
    struct sim_disk *d = o->disk;
    int err = 0;
    struct sim_inode *i = sim_lookup(d, o->path, &err);
    if (i && (o->flags & IO_CREATE) && (o->flags & IO_EXCL))
        return -EEXIST;
    if (!i && err == -ENOENT && (o->flags & IO_CREATE)) {
        const char *name;
        struct sim_inode *dir = sim_lookup_parent(d, o->path, &name, &err);
        if (!dir)
            return err;
        if ((err = fault_on(o, dir, o->w->cfg.faults.enospc, -ENOSPC)) != 0)
            return err;
        i = sim_dir_create(d, dir, name, false);
    }
    if (!i)
        return err;
    if ((o->flags & IO_DIRECTORY) && !i->is_dir)
        return -ENOTDIR;
    if (i->is_dir && (o->flags & IO_RDWR))
        return -EISDIR;
    if (o->flags & IO_TRUNC)
        sim_inode_truncate(d, i, 0);
    o->ino = sim_inode_ref(i);
    return o->io ? handle_new(o->io->p, i, o->flags) : 0;
}

static void land_open(struct sim_event *e)
{
    struct sim_op *o = op_of(e);
    finish(o, open_now(o));
}

void sim_file_open(struct io *io, struct io_op *op, const char *path, uint32_t flags, uint32_t mode)
{
    struct sim_op *o = start(io, op, SIM_OPEN);
    if (!o)
        return;
    (void)mode;
    o->path = sim_strdup(path);
    o->flags = flags;
    o->w->stats.meta_ops++;
    launch(o, &o->w->cfg.meta, land_open);
}

static void land_nothing(struct sim_event *e)
{
    finish(op_of(e), 0);
}

void sim_file_close(struct io *io, struct io_op *op, io_file f)
{
    struct sim_op *o = start_on(io, op, SIM_CLOSE, f);
    if (!o)
        return;
    handle_close(o->io->p, &o->io->p->handles[f]);
    launch(o, &o->w->cfg.meta, land_nothing);
}

// ---- reading and writing -------------------------------------------------------------------------------------------------
uint64_t sim_iov_hash(const struct iovec *iov, uint32_t n, uint64_t limit)
{
    uint64_t h = 0;
    for (uint32_t k = 0; k < n && limit; k++) {
        size_t len = SL_MIN((uint64_t)iov[k].iov_len, limit);
        h = sl_hash64(iov[k].iov_base, len, h);
        limit -= len;
    }
    return h;
}

static void set_iov(struct sim_op *o, const struct iovec *iov, uint32_t n)
{
    o->iov = n == 1 ? &o->iov1 : sim_alloc(n * sizeof(*iov));
    memcpy(o->iov, iov, n * sizeof(*iov));
    o->iov_n = n;
    for (uint32_t k = 0; k < n; k++)
        o->len += iov[k].iov_len;
}

static bool misaligned(const struct sim_op *o)
{
    if (!(o->flags & IO_DIRECT))
        return false;
    uint64_t bits = o->pos;
    for (uint32_t k = 0; k < o->iov_n; k++)
        bits |= (uint64_t)(uintptr_t)o->iov[k].iov_base | o->iov[k].iov_len;
    return (bits & (o->w->cfg.dio_align - 1)) != 0;
}

// A part of a transfer: at least one aligned piece, less than all.
static uint64_t shorten(struct sim_op *o, uint64_t len)
{
    uint64_t unit = (o->flags & IO_DIRECT) ? o->w->cfg.dio_align : 1;
    if (len <= unit)
        return len;
    return SL_MAX(unit, sl_rand_below(&o->w->rng, len) / unit * unit);
}

static int read_now(struct sim_op *o)
{
    struct sim_world *w = o->w;
    uint64_t len = o->len;
    int err = fault(o, w->cfg.faults.eio_read, -EIO);
    if (err)
        return err;
    if (sim_chance(w, w->cfg.faults.short_read))
        len = shorten(o, len);
    uint64_t done = 0;
    for (uint32_t k = 0; k < o->iov_n && done < len; k++) {
        uint64_t want = SL_MIN((uint64_t)o->iov[k].iov_len, len - done);
        int n = sim_inode_read(o->ino, o->pos + done, o->iov[k].iov_base, want);
        if (n < 0)
            return done ? (int)done : n;
        done += (uint64_t)n;
        if ((uint64_t)n < want)
            break;
    }
    w->stats.bytes_read += done;
    return (int)done;
}

static void land_read(struct sim_event *e)
{
    struct sim_op *o = op_of(e);
    finish(o, o->io ? read_now(o) : 0);
}

void sim_file_read(struct io *io, struct io_op *op, io_file f, void *buf, uint32_t len, uint64_t pos)
{
    struct sim_op *o = start_on(io, op, SIM_READ, f);
    if (!o)
        return;
    struct iovec v = {buf, len};
    set_iov(o, &v, 1);
    o->pos = pos;
    o->w->stats.reads++;
    if (misaligned(o) || o->ino->is_dir) {
        finish(o, o->ino->is_dir ? -EISDIR : -EINVAL);
        return;
    }
    launch(o, &o->w->cfg.disk_read, land_read);
}

static int land_bytes(struct sim_op *o, uint64_t pos, uint64_t len)
{
    uint64_t done = 0;
    for (uint32_t k = 0; k < o->iov_n && done < len; k++) {
        uint64_t n = SL_MIN((uint64_t)o->iov[k].iov_len, len - done);
        int err = sim_inode_write(o->disk, o->ino, pos + done, o->iov[k].iov_base, n);
        if (err)
            return done ? (int)done : err;
        done += n;
    }
    return (int)done;
}

static void rot(struct sim_op *o, uint64_t len)
{
    uint64_t at = o->pos + sl_rand_below(&o->w->rng, len);
    uint8_t b;
    if (sim_inode_read(o->ino, at, &b, 1) != 1)
        return;
    b ^= (uint8_t)(1u << sl_rand_below(&o->w->rng, 8));
    sim_inode_write(o->disk, o->ino, at, &b, 1);
}

static uint8_t *gather(const struct sim_op *o)
{
    uint8_t *copy = sim_alloc(o->len);
    uint64_t at = 0;
    for (uint32_t k = 0; k < o->iov_n; k++) {
        memcpy(copy + at, o->iov[k].iov_base, o->iov[k].iov_len);
        at += o->iov[k].iov_len;
    }
    return copy;
}

// The operation's bytes are `copy` from here on.
static void replace_iov(struct sim_op *o, uint8_t *copy)
{
    if (o->iov != &o->iov1)
        free(o->iov);
    free(o->copy);
    o->copy = copy;
    o->iov = &o->iov1;
    o->iov1 = (struct iovec){copy, o->len};
    o->iov_n = 1;
}

// The device may have taken each sector early, late, or in the middle.
static void buffer_changed(struct sim_op *o)
{
    struct sim_world *w = o->w;
    w->stats.unstable_writes++;
    if (!o->copy) {
        sim_fail(w, "a write's buffer changed while it was in flight: file %llu position %llu length %llu",
                 (unsigned long long)o->ino->id, (unsigned long long)o->pos, (unsigned long long)o->len);
        return;
    }
    uint8_t *now = gather(o);
    for (uint64_t at = 0; at < o->len; at += SIM_SECTOR) {
        uint64_t n = SL_MIN((uint64_t)SIM_SECTOR, o->len - at);
        uint64_t early = sl_rand_chance(&w->rng, 1, 2) ? sl_rand_below(&w->rng, n + 1) : 0;
        memcpy(now + at, o->copy + at, early);
    }
    replace_iov(o, now);
}

static int write_now(struct sim_op *o)
{
    struct sim_world *w = o->w;
    const struct sim_faults *fl = &w->cfg.faults;
    uint64_t len = o->len, pos = o->pos;
    if (o->io && sim_iov_hash(o->iov, o->iov_n, len) != o->hash)
        buffer_changed(o);
    o->disk->seq++;
    bool extends = sim_inode_extends(o->ino, pos, len);
    if (extends && sim_chance(w, fl->enospc))
        return -ENOSPC;
    if (extends && (o->flags & IO_DIRECT)) {
        bool beyond = pos + len > o->ino->size;
        *(beyond ? &w->stats.extending_writes : &w->stats.hole_writes) += 1;
        sim_trace(w, beyond ? "extending" : "hole", o->ino->id, pos, len);
    }
    int err = fault_on(o, o->ino, fl->eio_write, -EIO);
    if (err || sim_chance(w, fl->short_write))
        len = shorten(o, len);
    if (sim_chance(w, fl->lost_write))
        return err ? err : (int)len;
    if (!extends && o->ino->size > len && sim_chance(w, fl->misdirected_write))
        pos = sl_rand_below(&w->rng, (o->ino->size - len) / SIM_PAGE + 1) * SIM_PAGE + pos % SIM_PAGE;
    if (pos + len > o->ino->size && !extends)
        pos = o->pos;
    int n = land_bytes(o, pos, len);
    if (n > 0 && (o->flags & (IO_WRITE_DSYNC << 16))) {
        sim_inode_persist_range(o->disk, o->ino, pos, (uint64_t)n);
        sim_inode_persist_size(o->ino, o->ino->size, o->ino->size_seq);
    }
    if (n > 0 && sim_chance(w, fl->rot))
        rot(o, (uint64_t)n);
    w->stats.bytes_written += n > 0 ? (uint64_t)n : 0;
    return err ? err : n;
}

static void land_write(struct sim_event *e)
{
    struct sim_op *o = op_of(e);
    struct sim_grave *g = o->grave;
    struct sim_world *w = o->w;
    int res = write_now(o);
    finish(o, res);
    if (g)
        sim_grave_landed(w, g);
}

static void do_write(struct io *io, struct io_op *op, io_file f, const struct iovec *iov, uint32_t n,
                     uint64_t pos, uint32_t fl)
{
    struct sim_op *o = start_on(io, op, SIM_WRITE, f);
    if (!o)
        return;
    set_iov(o, iov, n);
    o->pos = pos;
    o->w->stats.writes++;
    if (misaligned(o) || !(o->flags & IO_RDWR)) {
        finish(o, o->flags & IO_RDWR ? -EINVAL : -EBADF);
        return;
    }
    if (fl & IO_WRITE_DSYNC) {
        o->flags |= IO_WRITE_DSYNC << 16;
        o->w->stats.dsync_writes++;
        o->io->counters[IO_CTR_DSYNC_WRITES]++;
    }
    o->hash = sim_iov_hash(o->iov, o->iov_n, o->len);
    if (o->w->cfg.unstable_buffers)
        o->copy = gather(o);
    sim_trace(o->w, "write", o->ino->id, pos, o->len);
    sim_trace(o->w, "  bytes", o->hash, 0, 0);
    launch(o, &o->w->cfg.disk_write, land_write);
    if (fl & IO_WRITE_DSYNC) {
        uint64_t at = o->ev.node.key + sim_latency(o->w, &o->w->cfg.disk_sync) / 2;
        sim_event_cancel(o->w, &o->ev);
        sim_event_at(o->w, &o->ev, at, land_write);
    }
}

void sim_file_write(struct io *io, struct io_op *op, io_file f, const void *buf, uint32_t len, uint64_t pos,
                    uint32_t fl)
{
    struct iovec v = {(void *)(uintptr_t)buf, len};
    do_write(io, op, f, &v, 1, pos, fl);
}

void sim_file_writev(struct io *io, struct io_op *op, io_file f, const struct iovec *iov, uint32_t n,
                     uint64_t pos, uint32_t fl)
{
    do_write(io, op, f, iov, n, pos, fl);
}

// ---- sync, allocate --------------------------------------------------------------------------------------------------------
static int fsync_now(struct sim_op *o)
{
    struct sim_inode *i = o->ino;
    if (--i->syncs == 0)
        i->sync_upto = 0;
    int err = fault_on(o, o->ino, o->w->cfg.faults.eio_sync, -EIO);
    if (err)
        return err;
    sim_names_persist(o->disk, o->disk->cached_names);
    if (i->is_dir) {
        sim_dir_persist(o->disk, i, o->upto);
        return 0;
    }
    sim_inode_persist(o->disk, i, o->upto);
    sim_inode_persist_size(i, o->size, o->size_seq);
    return 0;
}

static void land_fsync(struct sim_event *e)
{
    struct sim_op *o = op_of(e);
    finish(o, fsync_now(o));
}

void sim_file_fsync(struct io *io, struct io_op *op, io_file f, bool datasync)
{
    struct sim_op *o = start_on(io, op, SIM_FSYNC, f);
    if (!o)
        return;
    o->datasync = datasync;
    o->upto = o->disk->seq;
    o->size = o->ino->size;
    o->size_seq = o->ino->size_seq;
    o->ino->syncs++;
    o->ino->sync_upto = o->upto;
    o->w->stats.syncs++;
    o->io->counters[IO_CTR_FSYNCS]++;
    sim_trace(o->w, "fsync", o->ino->id, datasync, 0);
    launch(o, &o->w->cfg.disk_sync, land_fsync);
}

// The same of every file that there is, as it was at the submission. Names are in the drive's cache when it lands.
static void cover(struct sim_op *o, struct sim_inode *i)
{
    o->covered[o->covered_n++] =
        (struct sim_covered){.ino = sim_inode_ref(i), .size = i->size, .size_seq = i->size_seq};
    i->syncs++;
    i->sync_upto = o->upto;
}

static void uncover(struct sim_op *o)
{
    for (uint32_t k = 0; k < o->covered_n; k++) {
        struct sim_inode *i = o->covered[k].ino;
        if (i->syncs && --i->syncs == 0)
            i->sync_upto = 0;
    }
}

void sim_file_covered_free(struct sim_op *o)
{
    for (uint32_t k = 0; k < o->covered_n; k++)
        sim_inode_unref(o->disk, o->covered[k].ino);
    free(o->covered);
    o->covered = NULL;
    o->covered_n = 0;
}

static void land_syncfs(struct sim_event *e)
{
    struct sim_op *o = op_of(e);
    int err = fault_on(o, o->ino, o->w->cfg.faults.eio_sync, -EIO);
    uncover(o);
    for (uint32_t k = 0; k < o->covered_n && !err; k++) {
        const struct sim_covered *c = &o->covered[k];
        if (c->ino->is_dir)
            continue;
        sim_inode_persist(o->disk, c->ino, o->upto);
        sim_inode_persist_size(c->ino, c->size, c->size_seq);
    }
    if (!err)
        o->disk->cached_names = SL_MAX(o->disk->cached_names, o->upto);
    finish(o, err);
}

void sim_file_syncfs(struct io *io, struct io_op *op, io_file f)
{
    uint32_t n = 0;
    struct sim_op *o = start_on(io, op, SIM_SYNCFS, f);
    if (!o)
        return;
    list_foreach(node, &o->disk->inodes) n++;
    o->upto = o->disk->seq;
    o->covered = sim_alloc((n + 1) * sizeof(*o->covered));
    list_foreach(node, &o->disk->inodes) cover(o, list_entry(node, struct sim_inode, node));
    o->w->stats.syncs++;
    o->io->counters[IO_CTR_FSYNCS]++;
    sim_trace(o->w, "syncfs", n, 0, 0);
    launch(o, &o->w->cfg.disk_sync, land_syncfs);
}

bool sim_file_can_syncfs(struct io *io, io_file f)
{
    (void)f;
    return !sim_io_of(io)->dead;
}

static void land_fallocate(struct sim_event *e)
{
    struct sim_op *o = op_of(e);
    int err = fault_on(o, o->ino, o->w->cfg.faults.enospc, -ENOSPC);
    finish(o, err ? err : sim_inode_allocate(o->disk, o->ino, o->pos, o->len));
}

void sim_file_fallocate(struct io *io, struct io_op *op, io_file f, uint64_t pos, uint64_t len)
{
    struct sim_op *o = start_on(io, op, SIM_FALLOCATE, f);
    if (!o)
        return;
    o->pos = pos;
    o->len = len;
    o->w->stats.meta_ops++;
    if (!len || !(o->flags & IO_RDWR)) {
        finish(o, len ? -EBADF : -EINVAL);
        return;
    }
    launch(o, &o->w->cfg.meta, land_fallocate);
}

static void land_ftruncate(struct sim_event *e)
{
    struct sim_op *o = op_of(e);
    sim_inode_truncate(o->disk, o->ino, o->len);
    finish(o, 0);
}

void sim_file_ftruncate(struct io *io, struct io_op *op, io_file f, uint64_t len)
{
    struct sim_op *o = start_on(io, op, SIM_FTRUNCATE, f);
    if (!o)
        return;
    o->len = len;
    o->w->stats.meta_ops++;
    sim_trace(o->w, "ftruncate", o->ino->id, len, 0);
    if (!(o->flags & IO_RDWR)) {
        finish(o, -EBADF);
        return;
    }
    launch(o, &o->w->cfg.meta, land_ftruncate);
}

// ---- names -------------------------------------------------------------------------------------------------------------------
static int mkdir_now(struct sim_op *o)
{
    const char *name;
    int err = 0;
    struct sim_inode *dir = sim_lookup_parent(o->disk, o->path, &name, &err);
    if (!dir)
        return err;
    if (!*name || sim_dir_find(dir, name))
        return -EEXIST;
    if ((err = fault_on(o, dir, o->w->cfg.faults.enospc, -ENOSPC)) != 0)
        return err;
    sim_dir_create(o->disk, dir, name, true);
    return 0;
}

static int stat_now(struct sim_op *o)
{
    int err = 0;
    struct sim_inode *i = sim_lookup(o->disk, o->path, &err);
    if (!i)
        return err;
    if (o->io)
        *o->st = (struct io_stat){i->size, 1, i->is_dir, !i->is_dir};
    return 0;
}

static void land_name(struct sim_event *e)
{
    struct sim_op *o = op_of(e);
    int res;
    switch (o->kind) {
    case SIM_MKDIR:
        res = mkdir_now(o);
        break;
    case SIM_RENAME:
        res = sim_dir_rename(o->disk, o->path, o->path2);
        break;
    case SIM_UNLINK:
        res = sim_dir_unlink(o->disk, o->path, o->flags != 0);
        break;
    default:
        res = stat_now(o);
        break;
    }
    finish(o, res);
}

static struct sim_op *start_name(struct io *io, struct io_op *op, enum sim_kind kind, const char *path)
{
    struct sim_op *o = start(io, op, kind);
    if (!o)
        return NULL;
    o->path = sim_strdup(path);
    o->w->stats.meta_ops++;
    sim_trace(o->w, "name", kind, sl_hash64(path, strlen(path), 0), 0);
    launch(o, &o->w->cfg.meta, land_name);
    return o;
}

void sim_file_mkdir(struct io *io, struct io_op *op, const char *path, uint32_t mode)
{
    (void)mode;
    start_name(io, op, SIM_MKDIR, path);
}

void sim_file_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
    struct sim_op *o = start_name(io, op, SIM_RENAME, from);
    if (o)
        o->path2 = sim_strdup(to);
}

void sim_file_unlink(struct io *io, struct io_op *op, const char *path, bool is_dir)
{
    struct sim_op *o = start_name(io, op, SIM_UNLINK, path);
    if (o)
        o->flags = is_dir;
}

void sim_file_stat(struct io *io, struct io_op *op, const char *path, struct io_stat *out)
{
    struct sim_op *o = start_name(io, op, SIM_STAT, path);
    if (o)
        o->st = out;
}

// ---- at once --------------------------------------------------------------------------------------------------------------------
int sim_file_listdir(struct io *io, const char *path, io_dirent_fn fn, void *arg)
{
    struct sim_io *s = sim_io_of(io);
    if (s->dead)
        return -ECANCELED;
    int err = 0;
    struct sim_inode *dir = sim_lookup(&s->p->host->disk, path, &err);
    if (!dir || !dir->is_dir)
        return dir ? -ENOTDIR : err;
    struct io_dirent *list = sim_alloc(dir->ents_n * sizeof(*list));
    uint32_t n = 0;
    for (uint32_t k = 0; k < dir->ents_n; k++) {
        const struct sim_dirent *e = &dir->ents[k];
        if (!e->cur)
            continue;
        uint32_t at = (uint32_t)sl_rand_below(&s->w->rng, n + 1);
        list[n++] = list[at];
        strncpy(list[at].name, e->name, sizeof(list[at].name) - 1);
        list[at].name[sizeof(list[at].name) - 1] = 0;
        list[at].is_dir = e->cur->is_dir;
    }
    int rc = 0;
    for (uint32_t k = 0; k < n && rc == 0; k++)
        rc = fn(arg, &list[k]);
    free(list);
    return rc;
}

// ---- locks -------------------------------------------------------------------------------------------------------------------------
static bool locked(const struct sim_disk *d, const struct sim_inode *i, bool java)
{
    list_foreach(n, &d->locks)
    {
        const struct sim_lock *l = list_entry(n, struct sim_lock, node);
        if (l->ino == i && l->java == java)
            return true;
    }
    return false;
}

int sim_file_lock(struct io *io, const char *path, bool java_lock, uint32_t wait_ms)
{
    struct sim_io *s = sim_io_of(io);
    if (s->dead)
        return -ECANCELED;
    struct sim_disk *d = &s->p->host->disk;
    const char *name;
    int err = 0;
    struct sim_inode *dir = sim_lookup_parent(d, path, &name, &err);
    if (!dir)
        return err;
    struct sim_inode *i = sim_dir_find(dir, name);
    if (!i)
        i = sim_dir_create(d, dir, name, false);
    sim_inode_ref(i);
    uint64_t deadline = s->w->now + (uint64_t)wait_ms * 1000000u;
    while (locked(d, i, java_lock)) {
        if (sim_next_event(s->w) > deadline) {
            s->w->now = SL_MAX(s->w->now, deadline);
            sim_inode_unref(d, i);
            return -EAGAIN;
        }
        sim_step(s->w);
        if (s->dead) { // killed while it waited
            sim_inode_unref(d, i);
            return -ECANCELED;
        }
    }
    struct sim_lock *l = sim_alloc(sizeof(*l));
    l->ino = i;
    l->java = java_lock;
    l->proc = s->p;
    l->id = s->p->next_lock++;
    list_push_back(&d->locks, &l->node);
    sim_trace(s->w, "lock", i->id, java_lock, (uint64_t)l->id);
    return l->id;
}

static struct sim_lock *find_lock(struct sim_process *p, int id)
{
    list_foreach(n, &p->host->disk.locks)
    {
        struct sim_lock *l = list_entry(n, struct sim_lock, node);
        if (l->proc == p && l->id == id)
            return l;
    }
    return NULL;
}

static void lock_free(struct sim_disk *d, struct sim_lock *l)
{
    list_remove(&l->node);
    sim_inode_unref(d, l->ino);
    free(l);
}

int sim_file_lock_register(struct io *io, int lock)
{
    struct sim_io *s = sim_io_of(io);
    if (s->dead)
        return -ECANCELED;
    struct sim_lock *l = find_lock(s->p, lock);
    if (!l)
        return -EBADF;
    for (uint32_t k = 0; k < s->locks_n; k++)
        if (s->locks[k] == l)
            return 0;
    if (s->locks_n == SIM_RING_LOCKS)
        return -ENOSPC;
    s->locks[s->locks_n++] = l;
    return 0;
}

void sim_file_unlock(struct io *io, int lock)
{
    struct sim_io *s = sim_io_of(io);
    if (s->dead)
        return;
    struct sim_lock *l = find_lock(s->p, lock);
    if (!l)
        return;
    list_foreach(n, &s->p->ios)
    {
        struct sim_io *q = list_entry(n, struct sim_io, node);
        for (uint32_t k = 0; k < q->locks_n; k++)
            if (q->locks[k] == l)
                q->locks[k--] = q->locks[--q->locks_n];
    }
    lock_free(&s->p->host->disk, l);
}

// The process is gone: its locks go, but those that a dead ring with late writes still holds.
void sim_locks_drop(struct sim_process *p)
{
    struct sim_disk *d = &p->host->disk;
    list_foreach_safe(n, &d->locks)
    {
        struct sim_lock *l = list_entry(n, struct sim_lock, node);
        if (l->proc != p)
            continue;
        l->proc = NULL;
        if (l->holds == 0)
            lock_free(d, l);
    }
}

void sim_grave_landed(struct sim_world *w, struct sim_grave *g)
{
    if (--g->writes)
        return;
    for (uint32_t k = 0; k < g->locks_n; k++) {
        struct sim_lock *l = g->locks[k];
        if (--l->holds == 0 && !l->proc)
            lock_free(g->disk, l);
    }
    sim_trace(w, "grave", g->locks_n, 0, 0);
    free(g);
}

// ---- after a kill ---------------------------------------------------------------------------------------------------------------------
void sim_file_orphan(struct sim_op *o)
{
    struct sim_world *w = o->w;
    if (o->kind == SIM_WRITE) {
        replace_iov(o, gather(o));
        sim_event_cancel(w, &o->ev);
        sim_event_at(w, &o->ev, w->now + sl_rand_below(&w->rng, w->cfg.late_ns + 1), land_write);
        w->stats.late_writes++;
        return;
    }
    sim_event_cancel(w, &o->ev);
    bool happened = o->kind != SIM_READ && o->kind != SIM_STAT && sl_rand_chance(&w->rng, 1, 2);
    if (o->kind == SIM_FSYNC && !happened && --o->ino->syncs == 0)
        o->ino->sync_upto = 0;
    if (o->kind == SIM_SYNCFS && !happened)
        uncover(o);
    if (happened)
        o->ev.fire(&o->ev);
    else
        finish(o, -ECANCELED);
}
