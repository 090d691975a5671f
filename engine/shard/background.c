// What a shard does beside serving: write-back by age and amount, checkpoints that free journal files, the clean stop.
//
// Checkpoint of generation g: every log with bytes not yet synced is written back and its files synced; then each log's
// part is serialized at its appended end; when the journal has made all of that durable the file replaces the old one
// durably, and the journal may recycle generations <= g. (A part never runs ahead of durable_end: S6.)
#include "engine/shard/shard_private.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKGROUND_NS = 50 * 1000 * 1000, // how often write-back looks
    FLUSHERS = 8,                     // logs written back at the same time
};

struct flush_job {
    struct shard *s;
    struct part **parts;
    uint32_t n, next;
    bool sync;
    bool close; // a clean stop's last write
    int rc;
    struct fiber_wait wait;
};

static void fail(struct shard *s, const char *what, int err)
{
    if (!s->env.failed) {
        s->env.failed = err;
        sl_log(SL_ERROR, "shard",
               "shard=%u dir=%s %s failed: %s; the directory is offline until the broker is restarted on a sound disk",
               s->cfg.shard, s->cfg.dir, what, strerror(-err));
    }
    struct part *p, *tmp;
    HASH_ITER(hh, s->parts, p, tmp) {
        struct list_node *n;
        append_fail_all(p, KERR_KAFKA_STORAGE_ERROR);
        while ((n = list_pop_front(&p->waiting))) {
            struct shard_append_part *ap = list_entry(n, struct shard_append_part, node);
            append_part_done(ap, KERR_KAFKA_STORAGE_ERROR);
            if (!ap->req->pending)
                shard_reply(s, ap->req->from, SHARD_APPEND, ap->req);
        }
        watch_fire_part(p);
    }
}

static void flush_worker(void *arg)
{
    struct flush_job *job = arg;
    while (job->next < job->n && !job->rc) {
        struct part *p = job->parts[job->next++];
        int rc = job->close ? log_close_clean(p->log) : log_write_back(p->log, job->sync);
        if (rc && rc != -ENOSPC && !job->rc)
            job->rc = rc;
    }
    fiber_wait_done(&job->wait);
}

// Runs log_write_back (or log_close_clean) over every partition, several at a time. Fiber.
static int flush_all(struct shard *s, bool sync, bool close)
{
    struct flush_job job = {.s = s, .sync = sync, .close = close};
    job.parts = malloc((HASH_COUNT(s->parts) + 1) * sizeof(struct part *));
    if (!job.parts)
        return -ENOMEM;
    struct part *p, *tmp;
    HASH_ITER(hh, s->parts, p, tmp) {
        job.parts[job.n++] = p;
        p->refs++;
    }
    uint32_t workers = SL_MIN((uint32_t)FLUSHERS, job.n);
    fiber_wait_add(&job.wait, workers);
    for (uint32_t i = 0; i < workers; i++)
        if (!fiber_spawn(s->r, flush_worker, &job, 0))
            sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
    fiber_wait(&job.wait);
    for (uint32_t i = 0; i < job.n; i++)
        shard_part_unref(job.parts[i]);
    free(job.parts);
    return job.rc;
}

// ---- write-back -----------------------------------------------------------------------------------------------------
static void writeback_fiber(void *arg)
{
    struct shard *s = arg;
    int rc = flush_all(s, false, false);
    if (rc)
        fail(s, "write-back", rc);
    s->writing_back = false;
    s->fibers--;
}

static bool writeback_due(struct shard *s)
{
    static const uint64_t ms = 1000 * 1000;
    if (s->env.dirty_bytes == 0 || s->writing_back || s->stopping || s->env.failed)
        return false;
    return s->env.dirty_bytes >= s->cfg.dirty_bytes || log_env_oldest_dirty(&s->env) + s->cfg.writeback_age_ms * ms <=
                                                           reactor_now(s->r);
}

static void background_tick(struct timer *t)
{
    struct shard *s = SL_CONTAINER_OF(t, struct shard, background);
    if (writeback_due(s)) {
        s->writing_back = true;
        if (!fiber_spawn(s->r, writeback_fiber, s, 0))
            sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
        s->fibers++;
    }
    // An idle shard does not tick: appends arm the timer again.
    if (!s->stopping && s->env.dirty_bytes)
        timer_set(s->r, t, reactor_now(s->r) + BACKGROUND_NS);
}

void background_start(struct shard *s)
{
    if (!s->background.armed && !s->stopping)
        timer_set(s->r, &s->background, reactor_now(s->r) + BACKGROUND_NS);
}

void background_init(struct shard *s)
{
    timer_init(&s->background, background_tick);
}

// ---- checkpoint ---------------------------------------------------------------------------------------------------------
int background_checkpoint_image(struct shard *s, const struct sl_uuid *life, uint64_t first_generation,
                                struct sbuf *out, bool yield)
{
    int rc = ckpt_begin(out, life, s->cfg.shard, first_generation);
    uint32_t n = HASH_COUNT(s->parts), at = 0;
    struct part **parts = malloc((n + 1) * sizeof(*parts));
    if (!parts)
        return -ENOMEM;
    struct part *p, *tmp;
    HASH_ITER(hh, s->parts, p, tmp) {
        parts[at++] = p;
        p->refs++;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!rc && !parts[i]->closing)
            log_checkpoint(parts[i]->log, out, &rc);
        shard_part_unref(parts[i]);
        if (yield && reactor_turn_spent(s->r))
            fiber_yield();
    }
    free(parts);
    return rc ? rc : ckpt_finish(out);
}

static int checkpoint_once(struct shard *s, uint64_t generation)
{
    struct sbuf image;
    char path[1200];
    sbuf_init(&image);
    int rc = SL_CANARY(RECYCLE_EARLY) ? 0 : flush_all(s, true, false);
    if (!rc)
        rc = background_checkpoint_image(s, &s->cfg.journal.life, generation + 1, &image, true);
    if (!rc)
        rc = journal_drain(s->journal);
    store_checkpoint_path(s->store, s->cfg.shard, path, sizeof(path));
    if (!rc)
        rc = fio_write_file(path, image.data, image.len);
    sbuf_free(&image);
    if (!rc)
        journal_recycle(s->journal, generation);
    return rc;
}

static void checkpoint_fiber(void *arg)
{
    struct shard *s = arg;
    while (s->checkpoint_wanted && !s->env.failed && !s->stopping) {
        uint64_t generation = s->checkpoint_wanted, t0 = reactor_now(s->r);
        int rc = checkpoint_once(s, generation);
        if (rc)
            fail(s, "checkpoint", rc);
        if (s->checkpoint_wanted == generation)
            s->checkpoint_wanted = 0;
        reactor_count(s->r, METRIC_CHECKPOINTS, 1);
        (void)t0;
    }
    s->checkpointing = false;
    s->fibers--;
}

void background_on_full(void *ctx, uint64_t generation)
{
    struct shard *s = ctx;
    s->checkpoint_wanted = generation;
    if (s->checkpointing || s->stopping)
        return;
    s->checkpointing = true;
    if (!fiber_spawn(s->r, checkpoint_fiber, s, 0))
        sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
    s->fibers++;
}

void background_on_failed(void *ctx, int err)
{
    fail(ctx, "the journal", err);
}

// ---- clean stop -----------------------------------------------------------------------------------------------------------
static void stop_fiber(void *arg)
{
    struct shard *s = arg;
    struct part *p, *tmp;
    HASH_ITER(hh, s->parts, p, tmp) {
        append_fail_all(p, KERR_NOT_LEADER_OR_FOLLOWER);
    }
    int rc = s->journal && !s->env.failed ? journal_drain(s->journal) : s->env.failed;
    while (s->fibers)
        fiber_sleep(1000000);
    if (!rc)
        rc = flush_all(s, true, true);
    if (s->journal)
        journal_close(s->journal);
    if (rc)
        sl_log(SL_ERROR, "shard", "shard=%u clean stop failed: %s; the next start recovers", s->cfg.shard, strerror(-rc));
    s->stop_error = rc;
    reactor_service_stopped(s->r, &s->svc);
}

void background_stop(struct service *svc)
{
    struct shard *s = SL_CONTAINER_OF(svc, struct shard, svc);
    s->stopping = true;
    timer_cancel(s->r, &s->background);
    if (!fiber_spawn(s->r, stop_fiber, s, 0))
        sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
}
