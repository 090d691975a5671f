// Recovery of the partitions that the metadata image places here, several at a time.
#include "tools/broker/broker_private.h"

#include "engine/log/bulk.h"
#include "engine/log/points.h"
#include "engine/log/textfiles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 255, WORKERS = 16, PROGRESS_NS = 1000 * 1000 * 1000 };

struct job {
    const struct meta_topic *topic;
    int32_t partition;
    bool here;      // one of its replicas is ours
    uint32_t found; // bits: directories where something of its name lies
};
struct run_dir {
    struct start_points points;
    struct bulk bulk; // what is laid, and creations that a crash cut short
    uint32_t written; // logs that may be
};
struct run {
    struct broker *b;
    struct job *jobs; // of each topic of the image in turn, every partition
    uint32_t n, next;
    uint32_t *first; // of each topic: its first job
    struct run_dir *dirs;
    uint32_t here, offline, done;
    uint64_t said_ns; // when progress was last told
    int rc;
    struct fiber_wait wait;
};
_Static_assert(SHARD_DIRS_MAX <= 32, "a bit for each directory");

// ---- where it lies --------------------------------------------------------------------------------------------------------
static void note_dirent(struct run *run, uint32_t dir, const struct io_dirent *e)
{
    const struct meta_image *img = meta_boot_image(run->b->meta);
    const char *dash = strrchr(e->name, '-');
    char *end;
    if (!e->is_dir || !dash || dash == e->name || dash[1] < '0' || dash[1] > '9')
        return;
    long n = strtol(dash + 1, &end, 10);
    const struct meta_topic *t = meta_find_topic(img, e->name, (size_t)(dash - e->name));
    if (*end || !t || n < 0 || (uint64_t)n >= t->partitions_n || (dash[1] == '0' && dash[2]))
        return;
    uint32_t lo = 0, hi = img->topics_n - 1;
    while (lo < hi) { // they are sorted by name
        uint32_t mid = (lo + hi) / 2;
        if (strcmp(img->topics[mid]->name, t->name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    run->jobs[run->first[lo] + (uint32_t)n].found |= 1u << dir;
}

struct survey {
    struct run *run;
    uint32_t dir;
};

static int on_dirent(void *arg, const struct io_dirent *e)
{
    struct survey *s = arg;
    note_dirent(s->run, s->dir, e);
    return 0;
}

static int survey_dirs(struct run *run)
{
    struct broker *b = run->b;
    int rc = 0;
    for (uint32_t i = 0; i < b->dirs_n && !rc; i++) {
        struct survey s = {.run = run, .dir = i};
        if (!b->dirs[i].data || !dir_up(&b->dirs[i]))
            continue;
        rc = io_listdir(reactor_io(reactor_group_get(b->group, 0)), b->dirs[i].path, on_dirent, &s);
        if (rc)
            rc = dir_give_up(b, i, rc, strerror(-rc));
    }
    return rc;
}

// A directory of that name that belongs to another topic id is kept aside, as upstream does, under a name of its own: there
// may be an earlier one.
static int set_stray_aside(struct broker *b, uint32_t dir, const char *topic, int32_t partition)
{
    const char *at = b->dirs[dir].path;
    char from[1400], to[1500], tail[64], unique[SL_UUID_TEXT_LEN + 1];
    struct sl_uuid id;
    io_random(reactor_io(reactor_group_get(b->group, 0)), id.b, sizeof(id.b));
    sl_uuid_to_text(&id, unique);
    int n = snprintf(tail, sizeof(tail), "-%d.%s-stray", partition, unique);
    snprintf(from, sizeof(from), "%s/%s-%d", at, topic, partition);
    snprintf(to, sizeof(to), "%s/%.*s%s", at, NAME_BYTES - n, topic, tail);
    sl_log(SL_WARN, "broker", "%s belongs to another topic id: kept as %s", from, to);
    int rc = fio_rename(from, to);
    return rc ? rc : fio_sync_dir(at);
}

static bool is_its_own(struct broker *b, uint32_t dir, const struct job *j)
{
    char path[1400];
    uint8_t *text = NULL;
    size_t n = 0;
    struct sl_uuid id;
    snprintf(path, sizeof(path), "%s/%s-%d/partition.metadata", b->dirs[dir].path, j->topic->name,
             j->partition);
    int rc = fio_read_file(path, 4096, &text, &n);
    if (!rc)
        rc = partition_metadata_parse((const char *)text, n, &id);
    free(text);
    return !rc && sl_uuid_eq(&id, &j->topic->id);
}

// The directory where the partition lies; *dir -1: in none. In two, upstream refuses to start, and so do we: which one holds
// what was acknowledged is not ours to guess.
static int locate(struct run *run, const struct job *j, int *dir)
{
    struct broker *b = run->b;
    bool several = (j->found & (j->found - 1)) != 0;
    int rc = 0;
    *dir = -1;
    for (uint32_t i = 0; i < b->dirs_n; i++) {
        if (!(j->found >> i & 1) || !dir_up(&b->dirs[i]) || (several && !is_its_own(b, i, j)))
            continue;
        if (*dir >= 0)
            return boot_fail(
                b, -EUCLEAN,
                "%s-%d lies in both %s and %s: delete the one that is out of date (that of the directory "
                "that failed last, if one did)",
                j->topic->name, j->partition, b->dirs[*dir].path, b->dirs[i].path);
        *dir = (int)i;
    }
    for (uint32_t i = 0; i < b->dirs_n && several && !rc; i++)
        if (j->found >> i & 1 && (int)i != *dir && dir_up(&b->dirs[i])) {
            rc = set_stray_aside(b, i, j->topic->name, j->partition);
            rc = rc ? dir_give_up(b, i, rc, strerror(-rc)) : 0;
        }
    return rc;
}

// A partition that was moved by hand after an unclean stop left acknowledged records behind, in a journal.
static int check_journals(struct broker *b, const struct job *j, uint32_t dir)
{
    for (uint32_t i = 0; i < b->dirs_n; i++) {
        if (i == dir || !dir_up(&b->dirs[i]))
            continue;
        const struct store_log *sl = store_find_log(b->dirs[i].store, &j->topic->id, j->partition);
        if (sl && sl->entries_n && !sl->deleted)
            return boot_fail(
                b, -EUCLEAN,
                "%s-%d lies in %s, but the journal of %s has records of it: move it back, and move it after "
                "a clean stop",
                j->topic->name, j->partition, b->dirs[dir].path, b->dirs[i].path);
    }
    return 0;
}

// ---- one partition --------------------------------------------------------------------------------------------------------
// The metadata is to know where it lies all the same: it must not be made anew in another directory.
static int fail_one(struct run *run, const struct job *j, uint32_t dir, int rc, const char *err)
{
    char why[900];
    run->offline++;
    meta_found(run->b->meta, j->topic, j->partition, dir);
    snprintf(why, sizeof(why), "recovery of %s-%d failed: %s", j->topic->name, j->partition,
             err[0] ? err : strerror(-rc));
    return dir_give_up(run->b, dir, rc, why);
}

// -ENOENT: there is nothing of it after all.
static int recover_in(struct run *run, const struct job *j, uint32_t dir, const struct log_config *lc)
{
    struct broker *b = run->b;
    const struct meta_topic *t = j->topic;
    const struct start_points *points = &run->dirs[dir].points;
    struct store *store = b->dirs[dir].store;
    struct shard *s = dir_shard(b, dir, &t->id, j->partition);
    struct log *l = NULL;
    char err[700] = "";
    const struct log_left left = {.kind = store_kind(store),
                                  .sl = store_find_log(store, &t->id, j->partition),
                                  .recovery_point = start_points_recovery(points, t->name, j->partition),
                                  .bulk = run->dirs[dir].bulk.on};
    int rc = log_recover(shard_env(s), b->dirs[dir].path, t->name, &t->id, j->partition, &left, lc, &l, err,
                         sizeof(err));
    if (!rc)
        rc = start_points_apply(points, l);
    if (rc == -ESTALE) {
        rc = set_stray_aside(b, dir, t->name, j->partition);
        rc = rc ? rc : -ENOENT;
    }
    if (rc == -ENOENT)
        return rc;
    if (rc)
        return fail_one(run, j, dir, rc, err);
    run->dirs[dir].written += left.kind == STORE_OURS;
    meta_found(b->meta, t, j->partition, dir);
    return shard_adopt(s, l);
}

// Its record is durable, its directory is not: a crash came between.
static int create_in(struct run *run, const struct job *j, uint32_t dir, const struct log_config *lc)
{
    struct broker *b = run->b;
    const struct meta_topic *t = j->topic;
    struct run_dir *d = &run->dirs[dir];
    struct shard *s = dir_shard(b, dir, &t->id, j->partition);
    int rc = 0;
    struct log *l = log_create(shard_env(s), b->dirs[dir].path, t->name, &t->id, j->partition,
                               t->partitions[j->partition].leader_epoch, lc, d->bulk.on, &rc);
    d->written++;
    if (l && !d->bulk.on)
        rc = fio_sync_dir(b->dirs[dir].path);
    if (rc)
        return fail_one(run, j, dir, rc, "");
    meta_found(b->meta, t, j->partition, dir);
    return shard_adopt(s, l);
}

static int recover_one(struct run *run, const struct job *j)
{
    struct broker *b = run->b;
    struct log_config lc;
    int dir, rc = locate(run, j, &dir);
    if (!rc && dir >= 0)
        rc = check_journals(b, j, (uint32_t)dir);
    if (rc)
        return rc;
    meta_log_config(meta_boot_image(b->meta)->config, j->topic, &lc);
    rc = dir >= 0 ? recover_in(run, j, (uint32_t)dir, &lc) : -ENOENT;
    if (rc != -ENOENT)
        return rc;
    for (uint32_t i = 0; i < b->dirs_n; i++)
        if (j->found >> i & 1 && !dir_up(&b->dirs[i])) { // given up since it was looked through
            run->offline++;
            meta_found(b->meta, j->topic, j->partition, i);
            return 0;
        }
    dir = meta_dir_for(b->meta, &j->topic->partitions[j->partition]);
    run->offline += dir < 0;
    return dir < 0 ? 0 : create_in(run, j, (uint32_t)dir, &lc);
}

// Whoever waits for a long recovery sees it move.
static void say_progress(struct run *run)
{
    uint64_t now = io_now_ns(reactor_io(reactor_group_get(run->b->group, 0)));
    if (now < run->said_ns + PROGRESS_NS)
        return;
    run->said_ns = now;
    sl_log(SL_INFO, "broker", "recovering partitions=%u of=%u", run->done, run->here);
}

static void worker(void *arg)
{
    struct run *run = arg;
    while (run->next < run->n && !run->rc) {
        const struct job *j = &run->jobs[run->next++];
        if (!j->here)
            continue;
        int rc = recover_one(run, j);
        run->done++;
        say_progress(run);
        if (rc && !run->rc)
            run->rc = rc;
    }
    fiber_wait_done(&run->wait);
}

static bool lives_here(const struct meta_partition *p, int32_t node)
{
    for (uint32_t i = 0; i < p->replicas_n; i++)
        if (p->replicas[i] == node)
            return true;
    return false;
}

static int jobs_list(struct run *run, const struct meta_image *img)
{
    uint32_t cap = 0;
    for (uint32_t i = 0; i < img->topics_n; i++)
        cap += img->topics[i]->partitions_n;
    run->jobs = calloc(cap + 1, sizeof(*run->jobs));
    run->first = calloc(img->topics_n + 1, sizeof(*run->first));
    run->dirs = calloc(run->b->dirs_n, sizeof(*run->dirs));
    if (!run->jobs || !run->first || !run->dirs)
        return -ENOMEM;
    for (uint32_t i = 0; i < run->b->dirs_n; i++)
        run->dirs[i].bulk.dir = -1;
    for (uint32_t i = 0; i < img->topics_n; i++) {
        run->first[i] = run->n;
        for (uint32_t k = 0; k < img->topics[i]->partitions_n; k++) {
            struct job *j = &run->jobs[run->n++];
            *j = (struct job){.topic = img->topics[i], .partition = (int32_t)k};
            j->here = lives_here(&img->topics[i]->partitions[k], img->node_id);
            run->here += j->here;
        }
    }
    return 0;
}

static void dirs_begin(struct run *run)
{
    struct broker *b = run->b;
    for (uint32_t i = 0; i < b->dirs_n; i++) {
        if (!b->dirs[i].data || !dir_up(&b->dirs[i]))
            continue;
        start_points_load(&run->dirs[i].points, b->dirs[i].path, store_kind(b->dirs[i].store));
        bulk_begin(&run->dirs[i].bulk, b->dirs[i].path, run->here, BROKER_BULK_LOGS);
    }
}

static int dirs_finish(struct run *run)
{
    struct broker *b = run->b;
    int rc = run->rc;
    for (uint32_t i = 0; i < b->dirs_n; i++) {
        struct run_dir *d = &run->dirs[i];
        int e = 0;
        if (rc || !d->written || !dir_up(&b->dirs[i]))
            bulk_drop(&d->bulk);
        else
            e = bulk_end(&d->bulk);
        if (e)
            rc = dir_give_up(b, i, e, "what was recovered cannot be made durable");
        start_points_free(&d->points);
    }
    return rc;
}

static void recover_all(struct run *run)
{
    uint32_t workers = SL_MIN((uint32_t)WORKERS, run->n);
    dirs_begin(run);
    fiber_wait_add(&run->wait, workers);
    for (uint32_t i = 0; i < workers; i++)
        if (!fiber_spawn(reactor_group_get(run->b->group, 0), worker, run, 0))
            sl_panic("out of memory for a fiber");
    fiber_wait(&run->wait);
    run->rc = dirs_finish(run);
}

int recover_partitions(struct broker *b)
{
    struct run run = {.b = b};
    uint64_t t0 = io_now_ns(reactor_io(reactor_group_get(b->group, 0)));
    run.said_ns = t0;
    int rc = jobs_list(&run, meta_boot_image(b->meta));
    if (rc)
        boot_fail(b, rc, "out of memory for recovery");
    else
        rc = survey_dirs(&run);
    if (!rc) {
        recover_all(&run);
        rc = run.rc;
    }
    uint64_t t1 = io_now_ns(reactor_io(reactor_group_get(b->group, 0)));
    sl_log(SL_INFO, "broker", "recovered partitions=%u ms=%llu", run.here - run.offline,
           (unsigned long long)((t1 - t0) / 1000000));
    if (run.offline)
        sl_log(SL_ERROR, "broker", "partitions=%u are offline: their log directory is not here", run.offline);
    free(run.dirs);
    free(run.first);
    free(run.jobs);
    return rc;
}
