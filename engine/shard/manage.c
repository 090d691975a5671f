// Opening, configuring and deleting partitions: cold paths, each request in a fiber of its own.
#include "engine/shard/shard_private.h"

#include "engine/log/bulk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct open_run {
    struct shard *s;
    struct shard_open *o;
};
struct delete_run {
    struct shard *s;
    struct shard_delete *d;
};

static int16_t error_of(int rc)
{
    return rc == 0 ? KERR_NONE : KERR_KAFKA_STORAGE_ERROR;
}

// Directories made or removed at the same time: each costs a few syncs.
enum { OPENERS = 16 };

struct open_all {
    struct shard *s;
    const struct shard_open *o;
    struct log **made;
    uint32_t made_n, next;
    int rc;
    struct bulk bulk;
    struct fiber_wait wait;
};

static int open_one(struct open_all *w, int32_t partition)
{
    const struct shard_open *o = w->o;
    struct part *p = shard_find(w->s, &o->topic_id, partition);
    int rc = 0;
    if (p) {
        log_set_config(p->log, &o->config);
        return log_set_leader_epoch(p->log, o->leader_epoch);
    }
    struct log *l = log_create(&w->s->env, w->s->cfg.dir, o->topic, &o->topic_id, partition, o->leader_epoch,
                               &o->config, w->bulk.on, &rc);
    if (l)
        w->made[w->made_n++] = l;
    return rc;
}

static void opener(void *arg)
{
    struct open_all *w = arg;
    while (w->next < w->o->n && !w->rc) {
        int rc = open_one(w, w->o->partitions[w->next++]);
        w->rc = w->rc ? w->rc : rc;
    }
    fiber_wait_done(&w->wait);
}

// The logs that are new are made first and served when their names are durable: nothing is acknowledged before (S3, S9).
static int open_all(struct shard *s, const struct shard_open *o, struct log **made, uint32_t *made_n)
{
    struct open_all w = {.s = s, .o = o, .made = made};
    uint32_t workers = SL_MIN((uint32_t)OPENERS, o->n);
    bulk_begin(&w.bulk, s->cfg.dir, o->n, s->cfg.bulk_logs);
    fiber_wait_add(&w.wait, workers);
    for (uint32_t i = 0; i < workers; i++)
        if (!fiber_spawn(s->r, opener, &w, 0))
            sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
    fiber_wait(&w.wait);
    *made_n = w.made_n;
    bool synced = w.bulk.on;
    if (w.rc)
        bulk_drop(&w.bulk);
    else if (w.bulk.on && (w.rc = bulk_end(&w.bulk)) == -EIO)
        background_fail(s, "syncing new partitions", w.rc);
    else if (w.made_n && !synced)
        w.rc = fio_sync_dir(s->cfg.dir);
    return w.rc;
}

static void open_fiber(void *arg)
{
    struct open_run *run = arg;
    struct shard *s = run->s;
    struct shard_open *o = run->o;
    uint32_t n = 0;
    struct log **made = malloc((o->n + 1) * sizeof(*made));
    fiber_lock(&s->front->manage);
    int rc = s->env.failed ? s->env.failed : made ? open_all(s, o, made, &n) : -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        if (rc || shard_find(s, &o->topic_id, log_partition(made[i])))
            log_destroy(made[i]); // refused, or named twice
        else
            shard_add_part(s, made[i]);
    }
    fiber_unlock(&s->front->manage);
    free(made);
    if (rc)
        sl_log(SL_ERROR, "shard", "opening partitions of %s failed: %s", o->topic, strerror(-rc));
    o->error = error_of(rc);
    shard_reply(s, o->from, SHARD_OPEN, o);
    s->fibers--;
    free(run);
}

// The shard of the row that the request's directory is; NULL: that one could not be opened.
static struct shard *of_dir(struct shard *front, uint32_t dir)
{
    for (uint32_t i = 0; i < front->row_n; i++)
        if (front->row[i]->cfg.dir_no == dir)
            return front->row[i];
    return NULL;
}

void manage_open(struct shard *front, uint32_t from, struct shard_open *o)
{
    struct shard *s = of_dir(front, o->dir);
    struct open_run *run = malloc(sizeof(*run));
    o->from = from;
    if (!s) {
        free(run);
        o->error = KERR_KAFKA_STORAGE_ERROR;
        shard_reply(front, from, SHARD_OPEN, o);
        return;
    }
    if (!run)
        sl_panic("shard %u: out of memory for a request", s->cfg.shard);
    *run = (struct open_run){.s = s, .o = o};
    shard_spawn(s, open_fiber, run);
}

void manage_config(struct shard *s, uint32_t from, struct shard_open *o)
{
    o->from = from;
    o->error = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        struct part *p = shard_find(s, &o->topic_id, o->partitions[i]);
        if (p)
            log_set_config(p->log, &o->config);
        else
            o->error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    shard_reply(s, from, SHARD_CONFIG, o);
}

// From here on the partition finds no request; what is in flight drains before its files are touched.
static void part_close(struct part *p)
{
    p->closing = true;
    if (p->waiting_journal) {
        list_remove(&p->journal_node);
        p->waiting_journal = false;
    }
    append_fail_all(p, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    watch_fire_part(p);
}

static int delete_one(struct part *p)
{
    part_close(p);
    log_close_begin(p->log);
    while (p->refs > 1) // the table's own, and every append, read and query in flight
        fiber_sleep(1000000);
    int rc = p->s->journal ? log_delete(p->log) : 0;
    upkeep_trash_later(p->s);
    if (p->s->env.failed) // what is left of it belongs to no topic when its directory is back
        rc = 0;
    HASH_DEL(p->s->parts, p);
    shard_part_unref(p);
    return rc;
}

// Several at a time: their fences share commit groups, and their syncs the disk's.
struct delete_all {
    struct shard *s;
    const struct shard_delete *d;
    uint32_t next;
    int rc;
    struct fiber_wait wait;
};

static void deleter(void *arg)
{
    struct delete_all *w = arg;
    while (w->next < w->d->n) {
        struct part *p = shard_find(w->s, &w->d->topic_id, w->d->partitions[w->next++]);
        int rc = p && !p->closing ? delete_one(p) : 0; // one that is closing was named twice
        w->rc = w->rc ? w->rc : rc;
    }
    fiber_wait_done(&w->wait);
}

static void delete_fiber(void *arg)
{
    struct delete_run *run = arg;
    struct shard *s = run->s;
    struct shard_delete *d = run->d;
    struct delete_all w = {.s = s, .d = d};
    uint32_t workers = SL_MIN((uint32_t)OPENERS, d->n);
    fiber_lock(&s->front->manage);
    fiber_wait_add(&w.wait, workers);
    for (uint32_t i = 0; i < workers; i++)
        if (!fiber_spawn(s->r, deleter, &w, 0))
            sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
    fiber_wait(&w.wait);
    fiber_unlock(&s->front->manage);
    int rc = w.rc;
    if (rc)
        sl_log(SL_ERROR, "shard", "deleting partitions failed: %s", strerror(-rc));
    d->error = error_of(rc);
    shard_reply(s, d->from, SHARD_DELETE, d);
    s->fibers--;
    free(run);
}

void manage_delete(struct shard *s, uint32_t from, struct shard_delete *d)
{
    struct delete_run *run = malloc(sizeof(*run));
    d->from = from;
    if (!run)
        sl_panic("shard %u: out of memory for a request", s->cfg.shard);
    *run = (struct delete_run){.s = s, .d = d};
    shard_spawn(s, delete_fiber, run);
}
