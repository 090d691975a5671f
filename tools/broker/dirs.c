// The log directories of a broker: each is a store of its own, with its lock, life, journals and recovery, and a shard at
// each place. See docs/internals/dirs.md for what happens to one that fails.
#include "tools/broker/broker_private.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCK_WAIT_MS = 10000, RESERVED_IDS = 100 };

bool dir_up(const struct bdir *d)
{
    return d->store && !d->given_up;
}

// ---- which they are -------------------------------------------------------------------------------------------------------
static bool same_path(const char *a, const char *b)
{
    size_t n = strlen(a), k = strlen(b);
    while (n > 1 && a[n - 1] == '/')
        n--;
    while (k > 1 && b[k - 1] == '/')
        k--;
    return n == k && !memcmp(a, b, n);
}

static int list(struct broker *b)
{
    const struct cfg_list *dirs = cfg_list(b->cfg, CFG_LOG_DIRS);
    const char *meta = cfg_str(b->cfg, CFG_METADATA_LOG_DIR);
    if (dirs->count >= SHARD_DIRS_MAX)
        return boot_fail(b, -EINVAL, "log.dirs: %zu directories given; at most %d are served", dirs->count,
                         SHARD_DIRS_MAX - 1);
    b->dirs = calloc(dirs->count + 1, sizeof(*b->dirs));
    if (!b->dirs)
        return boot_fail(b, -ENOMEM, "out of memory for the log directories");
    b->meta_dir = UINT32_MAX;
    for (size_t i = 0; i < dirs->count; i++) {
        struct bdir *d = &b->dirs[b->dirs_n];
        snprintf(d->path, sizeof(d->path), "%s", dirs->items[i]);
        d->data = true;
        d->shards_n = b->placement.shards;
        for (uint32_t k = 0; k < b->dirs_n; k++)
            if (same_path(b->dirs[k].path, d->path))
                return boot_fail(b, -EINVAL, "log.dirs: %s is given twice", d->path);
        if (same_path(meta, d->path))
            b->meta_dir = b->dirs_n;
        b->dirs_n++;
    }
    if (b->meta_dir == UINT32_MAX) {
        b->meta_dir = b->dirs_n;
        struct bdir *d = &b->dirs[b->dirs_n++];
        snprintf(d->path, sizeof(d->path), "%s", meta);
        d->shards_n = 1;
    }
    return 0;
}

// ---- giving one up --------------------------------------------------------------------------------------------------------
// What the disk or its mount is to blame for. Anything else (another broker's lock, a foreign or damaged directory) needs a
// decision, and the start is refused.
static bool is_disk_error(int rc)
{
    static const int codes[] = {EIO,   EACCES, EPERM,  EROFS,  ENOTDIR,  ENOENT,    ENXIO,
                                ELOOP, ENODEV, ENOSPC, EDQUOT, ENOTCONN, ETIMEDOUT, ENOTBLK};
    for (size_t i = 0; i < SL_ARRAY_LEN(codes); i++)
        if (rc == -codes[i])
            return true;
    return false;
}

static bool others_up(const struct broker *b, uint32_t dir)
{
    for (uint32_t i = 0; i < b->dirs_n; i++)
        if (i != dir && b->dirs[i].data && dir_up(&b->dirs[i]) && !b->dirs[i].offline)
            return true;
    return false;
}

int dir_give_up(struct broker *b, uint32_t dir, int rc, const char *why)
{
    struct bdir *d = &b->dirs[dir];
    if (!is_disk_error(rc) || dir == b->meta_dir || !others_up(b, dir))
        return boot_fail(b, rc, "%s", why);
    if (!d->given_up)
        sl_log(SL_ERROR, "broker", "dir=%s is offline, its partitions are not served: %s", d->path, why);
    d->given_up = true;
    for (uint32_t i = 0; i < d->shards_n; i++)
        if (d->shards[i])
            shard_give_up(d->shards[i], rc);
    if (b->meta)
        meta_dir_given_up(b->meta, dir);
    return 0;
}

// ---- opening --------------------------------------------------------------------------------------------------------------
struct opening {
    struct broker *b;
    struct bdir *d;
    struct fiber_wait *wait;
    int rc;
    char err[900];
};

static void open_fiber(void *arg)
{
    struct opening *o = arg;
    o->d->store = store_open(reactor_group_get(o->b->group, 0), o->d->path, LOCK_WAIT_MS, o->err,
                             sizeof(o->err), &o->rc);
    if (o->d->store)
        o->rc = store_read_journals(o->d->store, o->err, sizeof(o->err));
    fiber_wait_done(o->wait);
}

// While others are still to be opened none of them counts as gone: dir_give_up cannot tell yet.
static int opened(struct broker *b, const struct opening *all)
{
    uint32_t up = 0, bad = 0;
    for (uint32_t i = 0; i < b->dirs_n; i++) {
        const struct opening *o = &all[i];
        if (o->rc && (i == b->meta_dir || !is_disk_error(o->rc)))
            return boot_fail(b, o->rc, "%s", o->err);
        if (o->rc) {
            bad = i;
            o->d->given_up = true;
            sl_log(SL_ERROR, "broker", "dir=%s is offline, its partitions are not served: %s", o->d->path,
                   o->err);
        }
        up += o->d->data && dir_up(o->d);
    }
    return up ? 0 : boot_fail(b, all[bad].rc, "no directory of log.dirs can be opened: %s", all[bad].err);
}

// All at the same time: they are disks of their own, and reading journals is what takes long.
static int open_all(struct broker *b)
{
    struct opening *all = calloc(b->dirs_n, sizeof(*all));
    struct fiber_wait wait = {0};
    if (!all)
        return boot_fail(b, -ENOMEM, "out of memory for the log directories");
    fiber_wait_add(&wait, b->dirs_n);
    for (uint32_t i = 0; i < b->dirs_n; i++) {
        all[i] = (struct opening){.b = b, .d = &b->dirs[i], .wait = &wait};
        if (!fiber_spawn(reactor_group_get(b->group, 0), open_fiber, &all[i], 512 << 10))
            sl_panic("out of memory for a fiber");
    }
    fiber_wait(&wait);
    int rc = opened(b, all);
    free(all);
    return rc;
}

// ---- do they belong together? ---------------------------------------------------------------------------------------------
static bool is_reserved(const struct sl_uuid *id)
{
    return sl_uuid_msb(id) == 0 && (int64_t)be64_load(id->b + 8) < RESERVED_IDS;
}

static int check_identity(struct broker *b, uint32_t dir, const struct store_identity *ref)
{
    const struct bdir *d = &b->dirs[dir];
    struct store_identity si;
    int64_t node = cfg_int(b->cfg, CFG_NODE_ID);
    if (!store_get_identity(d->store, &si))
        return boot_fail(b, -EINVAL, "%s: meta.properties is missing or unreadable", d->path);
    if (si.node_id != node)
        return boot_fail(b, -EINVAL, "node.id=%lld: %s/meta.properties was written by node.id=%d",
                         (long long)node, d->path, si.node_id);
    if (strcmp(si.cluster_id, ref->cluster_id) != 0)
        return boot_fail(b, -EINVAL, "%s/meta.properties is of cluster.id=%s, and %s is of cluster.id=%s",
                         d->path, si.cluster_id, b->dirs[b->meta_dir].path, ref->cluster_id);
    if (sl_uuid_is_zero(&si.directory_id))
        return 0;
    if (is_reserved(&si.directory_id))
        return boot_fail(b, -EINVAL, "%s/meta.properties has a reserved directory.id", d->path);
    for (uint32_t i = 0; i < dir; i++) {
        struct store_identity other;
        if (dir_up(&b->dirs[i]) && store_get_identity(b->dirs[i].store, &other) &&
            sl_uuid_eq(&other.directory_id, &si.directory_id))
            return boot_fail(b, -EINVAL, "%s and %s have the same directory.id: one is a copy of the other",
                             b->dirs[i].path, d->path);
    }
    return 0;
}

static int note_partition(void *arg, const struct io_dirent *e)
{
    if (e->is_dir && strcmp(e->name, "sluice.journal.d") != 0 && strcmp(e->name, "lost+found") != 0)
        *(bool *)arg = true;
    return 0;
}

// The metadata log lies in its own directory alone, and where it is missing there are no partitions.
static int check_contents(struct broker *b, uint32_t dir, bool has_metadata)
{
    const struct bdir *d = &b->dirs[dir];
    struct io_stat st;
    char path[1100];
    bool any = false;
    snprintf(path, sizeof(path), "%s/" META_TOPIC_NAME "-0", d->path);
    if (fio_stat(path, &st) == 0)
        return boot_fail(b, -EINVAL, "%s: the metadata log's directory is %s, and only there may it lie",
                         path, b->dirs[b->meta_dir].path);
    int rc = has_metadata
                 ? 0
                 : io_listdir(reactor_io(reactor_group_get(b->group, 0)), d->path, note_partition, &any);
    if (rc)
        return dir_give_up(b, dir, rc, strerror(-rc));
    return any ? boot_fail(b, -EUCLEAN,
                           "%s holds partitions, but %s no metadata log: it is the wrong one, or empty",
                           d->path, b->dirs[b->meta_dir].path)
               : 0;
}

static int check_all(struct broker *b)
{
    const struct bdir *md = &b->dirs[b->meta_dir];
    struct store_identity ref;
    struct io_stat st;
    char path[1100];
    bool formatted = store_get_identity(md->store, &ref);
    snprintf(path, sizeof(path), "%s/" META_TOPIC_NAME "-0", md->path);
    bool has_metadata = fio_stat(path, &st) == 0;
    for (uint32_t i = 0; i < b->dirs_n; i++) {
        if (!dir_up(&b->dirs[i]) || store_kind(b->dirs[i].store) == STORE_EMPTY)
            continue;
        if (!formatted)
            return boot_fail(b, -EINVAL, "%s is formatted, but %s, where the metadata log belongs, is empty",
                             b->dirs[i].path, md->path);
        int rc = check_identity(b, i, &ref);
        if (!rc && i != b->meta_dir)
            rc = check_contents(b, i, has_metadata);
        if (rc)
            return rc;
    }
    return 0;
}

// ---- identities -----------------------------------------------------------------------------------------------------------
static int identify_meta(struct broker *b, struct meta_identity *id)
{
    struct bdir *d = &b->dirs[b->meta_dir];
    struct store_identity si;
    char err[512];
    int rc = store_mark_dirty(d->store); // before anything is written or removed (S11)
    if (rc)
        return boot_fail(b, rc, "%s: %s", d->path, strerror(-rc));
    if (!store_get_identity(d->store, &si)) {
        rc = meta_format(d->store, b->cfg, id, err, sizeof(err));
        d->id = id->directory_id;
        return rc ? boot_fail(b, rc, "%s", err) : 0;
    }
    id->node_id = si.node_id;
    id->directory_id = si.directory_id;
    snprintf(id->cluster_id, sizeof(id->cluster_id), "%s", si.cluster_id);
    if (b->dirs_n > 1 && sl_uuid_is_zero(&id->directory_id) &&
        (rc = meta_format_more(d->store, id, &id->directory_id, err, sizeof(err))))
        return boot_fail(b, rc, "%s", err);
    d->id = id->directory_id;
    return 0;
}

static int identify_other(struct broker *b, uint32_t dir, const struct meta_identity *id)
{
    struct bdir *d = &b->dirs[dir];
    struct store_identity si = {0};
    char err[512];
    int rc = store_mark_dirty(d->store);
    if (rc)
        return dir_give_up(b, dir, rc, strerror(-rc));
    (void)store_get_identity(d->store, &si);
    d->id = si.directory_id;
    if (sl_uuid_is_zero(&d->id))
        rc = meta_format_more(d->store, id, &d->id, err, sizeof(err));
    return rc ? dir_give_up(b, dir, rc, err) : 0;
}

int dirs_open(struct broker *b, struct meta_identity *id)
{
    int rc = list(b);
    if (!rc)
        rc = open_all(b);
    if (!rc)
        rc = check_all(b);
    if (!rc)
        rc = identify_meta(b, id);
    for (uint32_t i = 0; i < b->dirs_n && !rc; i++)
        if (i != b->meta_dir && dir_up(&b->dirs[i]))
            rc = identify_other(b, i, id);
    id->dirs_n = b->dirs_n;
    for (uint32_t i = 0; i < b->dirs_n; i++)
        id->dirs[i] = (struct meta_dir){.path = b->dirs[i].path,
                                        .id = b->dirs[i].id,
                                        .data = b->dirs[i].data,
                                        .online = dir_up(&b->dirs[i])};
    return rc;
}

// ---- shards ---------------------------------------------------------------------------------------------------------------
static uint32_t meta_place(const struct broker *b)
{
    return shard_of(&meta_topic_uuid, 0, b->placement.shards);
}

struct shard *dir_shard(const struct broker *b, uint32_t dir, const struct sl_uuid *topic, int32_t partition)
{
    const struct bdir *d = &b->dirs[dir];
    return d->shards[d->data ? shard_of(topic, partition, b->placement.shards) : 0];
}

// A directory failed while the broker ran. On the reactor of the shard that noticed. Without the metadata log's, or without
// any, there is nothing to go on with.
static void went_offline(void *arg, struct shard *s)
{
    struct broker *b = arg;
    uint32_t dir = shard_dir_no(s);
    struct bdir *d = &b->dirs[dir];
    int none = 0;
    if (atomic_exchange(&d->offline, true))
        return;
    if (dir != b->meta_dir && others_up(b, dir)) {
        meta_dir_failed(b->meta, shard_reactor(s), dir);
        return;
    }
    sl_log(SL_ERROR, "broker", "the broker ends: %s=%s is offline",
           dir == b->meta_dir ? "metadata.log.dir" : "the last of log.dirs, dir", d->path);
    atomic_compare_exchange_strong(&b->failed, &none, -EIO);
    reactor_group_stop(b->group);
}

int dirs_make_shards(struct broker *b, const struct shard_config *common, void (*ready)(void *, int))
{
    for (uint32_t k = 0; k < b->dirs_n; k++) {
        struct bdir *d = &b->dirs[k];
        for (uint32_t i = 0; i < d->shards_n && dir_up(d); i++) {
            struct shard_config sc = *common;
            uint32_t place = d->data ? i : meta_place(b);
            sc.shard = sc.journal.shard = i;
            sc.shards = d->shards_n;
            sc.dir_no = k;
            sc.offline = went_offline;
            snprintf(sc.dir, sizeof(sc.dir), "%s", d->path);
            snprintf(sc.journal.dir, sizeof(sc.journal.dir), "%.1000s/sluice.journal.d", d->path);
            struct reactor *r = reactor_group_get(b->group, b->placement.shard_reactor[place]);
            d->shards[i] = shard_create(r, d->store, &sc, ready, b);
            if (!d->shards[i])
                return boot_fail(b, -ENOMEM, "out of memory for shard %u of %s", i, d->path);
        }
    }
    return 0;
}

// A reactor's row: the shard of the first directory is its front. One that was given up has its place too: its partitions
// are known, and refuse.
static int place_row(struct broker *b, uint32_t place)
{
    struct shard *front = NULL;
    for (uint32_t k = 0; k < b->dirs_n; k++) {
        struct bdir *d = &b->dirs[k];
        struct shard *s = d->data ? d->shards[place] : place == meta_place(b) ? d->shards[0] : NULL;
        if (!s)
            continue;
        if (front)
            shard_join(front, s);
        front = front ? front : s;
        if (dir_up(d) && shard_start(s))
            return boot_fail(b, -ENOMEM, "out of memory for a fiber");
        b->shards_started += dir_up(d);
    }
    reactor_add_service(reactor_group_get(b->group, b->placement.shard_reactor[place]), shard_service(front));
    return 0;
}

int dirs_place_shards(struct broker *b)
{
    int rc = 0;
    for (uint32_t i = 0; i < b->placement.shards && !rc; i++)
        rc = place_row(b, i);
    return rc;
}

// ---- lives ----------------------------------------------------------------------------------------------------------------
// The first checkpoint and journal file of every shard, then the switch to the new life.
static int begin_life(struct bdir *d, const struct journal_config *jc, char *err, size_t cap)
{
    struct store_shard_begin begin[REACTOR_MAX];
    struct sbuf images[REACTOR_MAX];
    struct store_life life;
    uint32_t n = d->shards_n;
    int rc = 0;
    store_new_life(d->store, &life.life);
    for (uint32_t i = 0; i < n; i++) {
        sbuf_init(&images[i]);
        rc = rc ? rc : shard_first_checkpoint(d->shards[i], &life.life, &images[i]);
        begin[i] = (struct store_shard_begin){.checkpoint = (const uint8_t *)images[i].data,
                                              .checkpoint_len = images[i].len};
    }
    if (!rc)
        rc = store_begin_life(d->store, jc, n, begin, &life, err, cap);
    else
        snprintf(err, cap, "first checkpoint: %s", strerror(-rc));
    for (uint32_t i = 0; i < n; i++) {
        sbuf_free(&images[i]);
        shard_set_life(d->shards[i], &life.life);
    }
    return rc;
}

int dirs_begin_life(struct broker *b, const struct journal_config *jc)
{
    char err[900];
    int rc = 0;
    for (uint32_t i = 0; i < b->dirs_n && !rc; i++) {
        if (dir_up(&b->dirs[i]))
            rc = begin_life(&b->dirs[i], jc, err, sizeof(err));
        if (rc)
            rc = dir_give_up(b, i, rc, err);
    }
    return rc;
}

static int end_one(struct broker *b, struct bdir *d)
{
    int rc = 0;
    for (uint32_t i = 0; i < d->shards_n && !rc; i++)
        rc = shard_stop_error(d->shards[i]);
    if (!rc && d->data)
        rc = shard_write_points(d->shards, d->shards_n, &meta_topic_uuid, d->path);
    return rc ? rc : store_end_clean(d->store, d->data ? meta_broker_epoch(b->meta) : -1);
}

int dirs_end(struct broker *b)
{
    int rc = 0;
    for (uint32_t i = 0; i < b->dirs_n; i++) {
        struct bdir *d = &b->dirs[i];
        int e = dir_up(d) ? end_one(b, d) : 0;
        if (e)
            sl_log(SL_WARN, "broker", "dir=%s was not stopped cleanly (%s): the next start recovers it",
                   d->path, strerror(-e));
        rc = rc || d->offline ? rc : e; // of one that failed while the broker ran, everybody was told then
    }
    return rc;
}

// The fronts of the rows are the first ones: see shard_join.
void dirs_destroy(struct broker *b)
{
    for (uint32_t k = 0; k < b->dirs_n; k++)
        for (uint32_t i = 0; i < b->dirs[k].shards_n; i++)
            shard_destroy(b->dirs[k].shards[i]);
    for (uint32_t k = 0; k < b->dirs_n; k++)
        store_close(b->dirs[k].store);
    free(b->dirs);
}
