// Booting, stopping and killing a storage-only broker. See life.h.
#include "tests/sim/life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/log/bulk.h"
#include "engine/log/points.h"
#include "tests/sim/keyed.h"
#include "tests/sim/traffic.h"

enum { CREDITS = 16 };

void life_log_config(const struct run *r, const struct mtopic *t, struct log_config *c)
{
    *c = (struct log_config){
        .segment_bytes = r->k.segment_bytes,
        .segment_ms = INT64_MAX,
        .index_interval_bytes = 512,
        .segment_index_bytes = 4096,
        .max_message_bytes = r->k.max_batch,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = INT64_MAX,
        .producer_expiration_ms = INT64_MAX / 2,
        .min_insync_replicas = 1,
        .validate_records = true,
        .write_caching = t->caching,
        .deletes = r->k.front,
        .retention_ms = -1,
        .retention_bytes = r->k.retention_bytes ? (int64_t)r->k.retention_bytes : -1,
        .file_delete_delay_ms = r->k.retention_ms / 2,
    };
    if (t->keyed)
        keyed_log_config(t, c);
}

static struct journal_config journal_settings(const struct knobs *k)
{
    return (struct journal_config){
        .file_bytes = k->journal_bytes,
        .first_file_bytes = k->journal_first,
        .files = k->journal_files,
        .slots = k->slots,
        .max_group = k->max_group,
        .late_us = k->late_us,
        .large_group = k->large_group,
    };
}

uint32_t life_reactor_of(const struct life *l, const struct mpart *p)
{
    return l->first_shard + shard_of(&p->topic->id, p->n, l->shards_n);
}

static int fail(struct life *l, int rc, const char *what)
{
    char text[640];
    snprintf(text, sizeof(text), "%.600s", l->err);
    snprintf(l->err, sizeof(l->err), "%s: %s%s%s", what, strerror(-rc), text[0] ? ": " : "", text);
    return rc;
}

static void shard_ready(void *arg, int err)
{
    struct life *l = arg;
    if (err && !l->over) {
        l->rc = fail(l, err, "a shard could not open its journal");
        l->broken = true;
    }
    if (++l->ready < l->shards_n || l->broken)
        return;
    l->serving = true;
    l->extended = sim_world_stats(l->r->w)->extending_writes;
}

static int make_shards(struct life *l)
{
    const struct knobs *k = &l->r->k;
    for (uint32_t i = 0; i < l->shards_n; i++) {
        struct shard_config c = {.shard = i,
                                 .shards = l->shards_n,
                                 .tail_pool_bytes = k->tail_pool,
                                 .read_pool_bytes = k->read_pool,
                                 .dirty_bytes = k->dirty_bytes,
                                 .writeback_age_ms = k->writeback_ms,
                                 .retention_check_ms = l->r->calm ? 0 : k->retention_ms,
                                 .cleaner_backoff_ms = l->r->calm ? 0 : k->cleaner_ms,
                                 .compactor = {k->map_bytes, 0.9, 1e9},
                                 .max_watches = 64,
                                 .fetch_window = k->fetch_window,
                                 .cache_bytes = k->cache_bytes,
                                 .cache_extent = k->cache_extent,
                                 .read_ahead = k->read_ahead,
                                 .cold_reads = k->cold_reads,
                                 .cold_low = 1,
                                 .bulk_logs = k->bulk,
                                 .files_max = k->files_max,
                                 .journal = journal_settings(k),
                                 .direct = {.min = k->direct, .flying = 1 + i % 3, .random = true}};
        snprintf(c.dir, sizeof(c.dir), "%s", LIFE_DIR);
        snprintf(c.journal.dir, sizeof(c.journal.dir), "%s/sluice.journal.d", LIFE_DIR);
        c.journal.shard = i;
        l->shards[i] =
            shard_create(reactor_group_get(l->g, l->first_shard + i), l->store, &c, shard_ready, l);
        if (!l->shards[i])
            return fail(l, -ENOMEM, "shard_create");
        shard_env(l->shards[i])->trash_step = k->trash_step;
        if (k->late_names)
            shard_env(l->shards[i])->names.most = 0;
        if (k->late_seals)
            shard_env(l->shards[i])->seals.most = 0;
    }
    return 0;
}

static int open_store(struct life *l)
{
    int rc = 0;
    l->store = store_open(reactor_group_get(l->g, 0), LIFE_DIR, 10000, l->err, sizeof(l->err), &rc);
    if (!l->store)
        return fail(l, rc, "store_open");
    l->kind = store_kind(l->store);
    run_say(l->r, "  directory found %s",
            l->kind == STORE_EMPTY   ? "empty"
            : l->kind == STORE_CLEAN ? "clean"
            : l->kind == STORE_OURS  ? "dirty"
                                     : "as upstream leaves it");
    if (l->kind == STORE_EMPTY) {
        struct store_identity id = {.node_id = 1, .cluster_id = "AAAAAAAAAAAAAAAAAAAAAA"};
        memset(id.directory_id.b, 7, sizeof(id.directory_id.b));
        rc = store_write_identity(l->store, &id);
        if (rc)
            return fail(l, rc, "store_write_identity");
    }
    rc = store_read_journals(l->store, l->err, sizeof(l->err));
    if (rc)
        return fail(l, rc, "store_read_journals");
    rc = store_mark_dirty(l->store);
    return rc ? fail(l, rc, "store_mark_dirty") : 0;
}

static int set_stray_aside(const char *name, int32_t n, uint32_t life)
{
    char from[256], to[256];
    snprintf(from, sizeof(from), "%s/%s-%d", LIFE_DIR, name, n);
    snprintf(to, sizeof(to), "%s/%s-%d.%u-stray", LIFE_DIR, name, n, life);
    int rc = fio_rename(from, to);
    return rc ? rc : fio_sync_dir(LIFE_DIR);
}

static int recover_part(struct life *l, struct mtopic *t, int32_t n, const struct start_points *points,
                        bool bulk)
{
    struct log_config c;
    struct log *log = NULL;
    uint32_t s = shard_of(&t->id, n, l->shards_n);
    struct log_env *env = shard_env(l->shards[s]);
    life_log_config(l->r, t, &c);
    const struct log_left left = {.kind = l->kind,
                                  .sl = store_find_log(l->store, &t->id, n),
                                  .recovery_point = start_points_recovery(points, t->name, n),
                                  .bulk = bulk};
    int rc = log_recover(env, LIFE_DIR, t->name, &t->id, n, &left, &c, &log, l->err, sizeof(l->err));
    if (!rc)
        rc = start_points_apply(points, log);
    if (rc == -ESTALE)
        rc = set_stray_aside(t->name, n, l->no) ? -EIO : -ENOENT;
    if (rc == -ENOENT) {
        if (t->parts[n].claimed_end && l->kind != STORE_EMPTY) {
            snprintf(l->err, sizeof(l->err), "%s-%d has acknowledged records and no directory", t->name, n);
            return fail(l, rc, "log_recover");
        }
        rc = 0;
        log = log_create(env, LIFE_DIR, t->name, &t->id, n, t->leader_epoch, &c, false, &rc);
        if (log)
            rc = fio_sync_dir(LIFE_DIR);
    }
    if (rc)
        return fail(l, rc, "log_recover");
    return shard_adopt(l->shards[s], log);
}

static int recover_topics(struct life *l)
{
    struct start_points points;
    struct bulk bulk;
    int rc = 0;
    bulk_begin(&bulk, LIFE_DIR, 1, l->r->k.bulk);
    start_points_load(&points, LIFE_DIR, l->kind);
    for (struct mtopic *t = l->r->model->topics; t; t = t->next)
        for (uint32_t n = 0; t->state != TOPIC_DELETED && n < t->parts_n && !rc; n++)
            rc = recover_part(l, t, (int32_t)n, &points, bulk.on);
    start_points_free(&points);
    if (rc)
        bulk_drop(&bulk);
    else if ((rc = bulk_end(&bulk)) != 0)
        return fail(l, rc, "bulk_end");
    return rc;
}

static int begin_life(struct life *l)
{
    struct store_shard_begin begin[LIFE_SHARDS];
    struct sbuf images[LIFE_SHARDS];
    struct journal_config jc = journal_settings(&l->r->k);
    struct store_life life;
    int rc = 0;
    store_new_life(l->store, &life.life);
    for (uint32_t i = 0; i < l->shards_n; i++) {
        sbuf_init(&images[i]);
        rc = rc ? rc : shard_first_checkpoint(l->shards[i], &life.life, &images[i]);
        begin[i] = (struct store_shard_begin){(const uint8_t *)images[i].data, images[i].len};
    }
    if (!rc)
        rc = store_begin_life(l->store, &jc, l->shards_n, begin, &life, l->err, sizeof(l->err));
    for (uint32_t i = 0; i < l->shards_n; i++) {
        sbuf_free(&images[i]);
        shard_set_life(l->shards[i], &life.life);
    }
    return rc ? fail(l, rc, "store_begin_life") : 0;
}

// What a controller does at a start: every partition gets a higher leader epoch before its first append.
static int raise_epochs(struct life *l)
{
    for (struct mtopic *t = l->r->model->topics; t; t = t->next)
        if (t->state != TOPIC_DELETED)
            t->leader_epoch++;
    return 0;
}

static int boot(struct life *l)
{
    int rc = open_store(l);
    if (!rc)
        rc = make_shards(l);
    if (!rc)
        rc = recover_topics(l);
    if (!rc)
        rc = begin_life(l);
    if (!rc)
        rc = raise_epochs(l);
    for (uint32_t i = 0; i < l->shards_n && !rc; i++) {
        reactor_add_service(reactor_group_get(l->g, l->first_shard + i), shard_service(l->shards[i]));
        rc = shard_start(l->shards[i]);
    }
    return rc;
}

static void boot_fiber(void *arg)
{
    struct life *l = arg;
    int rc = boot(l);
    if (rc && !l->over) {
        l->rc = rc;
        l->broken = true;
    }
}

struct life *life_start(struct run *r)
{
    struct life *l = calloc(1, sizeof(*l));
    SL_ASSERT(l);
    l->r = r;
    l->no = ++r->life_no;
    l->drivers = 1 + run_below(r, 2);
    l->shards_n = 1 + run_below(r, LIFE_SHARDS);
    l->first_shard = run_chance(r, 1, 2) ? l->drivers : 0;
    l->reactors = SL_MAX(l->drivers, l->first_shard + l->shards_n);
    l->p = sim_process_create(r->w, r->host);
    for (uint32_t i = 0; i < l->reactors; i++)
        l->ios[i] = sim_io_create(l->p);
    l->g = reactor_group_create(l->reactors, l->ios, CREDITS, NULL);
    SL_ASSERT(l->g);
    l->t = traffic_create(l);
    run_say(r, "life %u: %u drivers, %u shards", l->no, l->drivers, l->shards_n);
    sim_trace(r->w, "life", l->no, l->drivers, l->shards_n);
    r->sum->lives++;
    sim_attach(l->p, l->g);
    SL_ASSERT(fiber_spawn(reactor_group_get(l->g, 0), boot_fiber, l, 256 << 10));
    return l;
}

// Once it serves, no write makes a file longer: space is allocated before bytes are accepted (S8).
static void check_extending(struct life *l)
{
    uint64_t n = sim_world_stats(l->r->w)->extending_writes - l->extended;
    if (l->serving && n)
        run_fail(l->r, "%llu direct writes extended their file", (unsigned long long)n);
}

static void count_spare(void *arg, const char *path, uint64_t size)
{
    struct run *r = arg;
    (void)size;
    r->sum->spares += strstr(path, ".spare.") != NULL;
}

static void life_ended(struct life *l)
{
    check_extending(l);
    sim_disk_walk(l->r->host, LIFE_DIR, count_spare, l->r);
    if (!l->serving)
        l->r->sum->boots_broken++;
    l->over = true;
    sim_detach(l->p);
    traffic_life_over(l->t);
    model_crashed(l->r->model);
}

void life_kill(struct life *l)
{
    run_say(l->r, "  killed%s", l->serving ? "" : " while it started");
    l->r->sum->kills++;
    sim_process_kill(l->p);
    life_ended(l);
}

void life_power_cut(struct life *l)
{
    run_say(l->r, "  power cut%s", l->serving ? "" : " while it started");
    l->r->sum->power_cuts++;
    sim_power_cut(l->r->host);
    life_ended(l);
}

// ---- clean stop ------------------------------------------------------------------------------------------------------
void life_stop(struct life *l)
{
    run_say(l->r, "  stops");
    reactor_group_stop(l->g);
}

bool life_stopped(void *life)
{
    return reactor_group_stopped(((struct life *)life)->g);
}

static void finish_fiber(void *arg)
{
    struct life *l = arg;
    int rc = 0;
    for (uint32_t i = 0; i < l->shards_n && !rc; i++)
        rc = shard_stop_error(l->shards[i]);
    if (!rc)
        rc = shard_write_points(l->shards, l->shards_n, NULL, LIFE_DIR);
    if (!rc)
        rc = store_end_clean(l->store, 1);
    if (rc && !l->over)
        l->rc = fail(l, rc, "clean stop");
    l->finished = true;
}

void life_finish(struct life *l)
{
    SL_ASSERT(fiber_spawn(reactor_group_get(l->g, 0), finish_fiber, l, 256 << 10));
}

bool life_finished(void *life)
{
    return ((struct life *)life)->finished;
}

bool life_booted(void *life)
{
    struct life *l = life;
    return l->serving || l->broken;
}

void life_free(struct life *l)
{
    sim_detach(l->p);
    traffic_free(l->t);
    check_extending(l);
    for (uint32_t i = 0; i < l->shards_n; i++)
        shard_destroy(l->shards[i]); // asserts that no buffer is out
    store_close(l->store);
    reactor_group_destroy(l->g);
    for (uint32_t i = 0; i < l->reactors; i++)
        io_destroy(l->ios[i]);
    sim_process_free(l->p);
    free(l);
}
