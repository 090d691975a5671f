// Recovery of the partitions that the metadata image places here, several at a time.
#include "tools/broker/broker_private.h"

#include "engine/log/bulk.h"
#include "engine/log/points.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 16, PROGRESS_NS = 1000 * 1000 * 1000 };

struct job {
    const struct meta_topic *topic;
    int32_t partition;
};
struct run {
    struct broker *b;
    struct job *jobs;
    uint32_t n, next;
    struct start_points points;
    uint32_t done;
    uint64_t said_ns; // when progress was last told
    int rc;
    struct bulk bulk; // creations that a crash cut short
    uint32_t created;
    struct fiber_wait wait;
};

// A directory of that name that belongs to another topic id is kept aside, as upstream does.
static int set_stray_aside(struct broker *b, const char *topic, int32_t partition)
{
    char from[1400], to[1500];
    snprintf(from, sizeof(from), "%s/%s-%d", b->dir, topic, partition);
    snprintf(to, sizeof(to), "%s/%s-%d-stray", b->dir, topic, partition);
    sl_log(SL_WARN, "broker", "%s belongs to another topic id: kept as %s", from, to);
    int rc = fio_rename(from, to);
    return rc ? rc : fio_sync_dir(b->dir);
}

static int recover_one(struct run *run, const struct job *j)
{
    struct broker *b = run->b;
    const struct meta_topic *t = j->topic;
    struct log_config lc;
    struct log *l = NULL;
    char err[700] = "";
    uint32_t shard = shard_of(&t->id, j->partition, b->placement.shards);
    struct log_env *env = shard_env(b->shards[shard]);
    meta_log_config(meta_boot_image(b->meta)->config, t, &lc);
    int64_t point = start_points_recovery(&run->points, t->name, j->partition);
    int rc = log_recover(env, b->dir, t->name, &t->id, j->partition, store_kind(b->store),
                         store_find_log(b->store, &t->id, j->partition), point, &lc, &l, err, sizeof(err));
    if (!rc)
        rc = start_points_apply(&run->points, l);
    if (rc == -ESTALE) {
        rc = set_stray_aside(b, t->name, j->partition);
        rc = rc ? rc : -ENOENT;
    }
    if (rc == -ENOENT) { // its record is durable, its directory is not: the crash came between
        l = log_create(env, b->dir, t->name, &t->id, j->partition, t->partitions[j->partition].leader_epoch,
                       &lc, run->bulk.on, &rc);
        run->created++;
        if (l && !run->bulk.on)
            rc = fio_sync_dir(b->dir);
    }
    if (rc)
        return boot_fail(b, rc, "recovery of %s-%d failed: %s", t->name, j->partition,
                         err[0] ? err : strerror(-rc));
    return shard_adopt(b->shards[shard], l);
}

// Whoever waits for a long recovery sees it move.
static void say_progress(struct run *run)
{
    uint64_t now = io_now_ns(reactor_io(reactor_group_get(run->b->group, 0)));
    if (now < run->said_ns + PROGRESS_NS)
        return;
    run->said_ns = now;
    sl_log(SL_INFO, "broker", "recovering partitions=%u of=%u", run->done, run->n);
}

static void worker(void *arg)
{
    struct run *run = arg;
    while (run->next < run->n && !run->rc) {
        int rc = recover_one(run, &run->jobs[run->next++]);
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
    run->jobs = malloc((cap + 1) * sizeof(*run->jobs));
    if (!run->jobs)
        return -ENOMEM;
    for (uint32_t i = 0; i < img->topics_n; i++)
        for (uint32_t k = 0; k < img->topics[i]->partitions_n; k++)
            if (lives_here(&img->topics[i]->partitions[k], img->node_id))
                run->jobs[run->n++] = (struct job){.topic = img->topics[i], .partition = (int32_t)k};
    return 0;
}

int recover_partitions(struct broker *b)
{
    struct run run = {.b = b};
    uint64_t t0 = io_now_ns(reactor_io(reactor_group_get(b->group, 0)));
    run.said_ns = t0;
    int rc = jobs_list(&run, meta_boot_image(b->meta));
    if (rc)
        return boot_fail(b, rc, "out of memory for recovery");
    start_points_load(&run.points, b->dir, store_kind(b->store));
    bulk_begin(&run.bulk, b->dir, run.n, BROKER_BULK_LOGS);
    uint32_t workers = SL_MIN((uint32_t)WORKERS, run.n);
    fiber_wait_add(&run.wait, workers);
    for (uint32_t i = 0; i < workers; i++)
        if (!fiber_spawn(reactor_group_get(b->group, 0), worker, &run, 0))
            sl_panic("out of memory for a fiber");
    fiber_wait(&run.wait);
    if (run.rc || !run.created)
        bulk_drop(&run.bulk);
    else if ((rc = bulk_end(&run.bulk)))
        run.rc = boot_fail(b, rc, "creating partitions in %s failed: %s", b->dir, strerror(-rc));
    uint64_t t1 = io_now_ns(reactor_io(reactor_group_get(b->group, 0)));
    sl_log(SL_INFO, "broker", "recovered partitions=%u ms=%llu", run.n,
           (unsigned long long)((t1 - t0) / 1000000));
    start_points_free(&run.points);
    free(run.jobs);
    return run.rc;
}
