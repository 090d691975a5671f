// The life of the partitions' logs: retention, deletion of records on request, and the files that these leave behind.
//
// Retention looks at every log each retention_check_ms. Files of removed segments are unlinked when their delay is over, by
// one fiber, so that a file system that is slow at it holds up nothing else.
#include "engine/shard/shard_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t MS = 1000 * 1000;
static const uint64_t TRIM_WAIT_MS = 5000; // for the fence; clients ask again

// Why something is tried again later.
const char *upkeep_why(int rc)
{
    return rc == -ETIMEDOUT ? "the journal has no room to say so" : strerror(-rc);
}

// ---- retention ------------------------------------------------------------------------------------------------------------
static void retain(struct shard *s, struct part *p)
{
    struct log_ends was, is;
    log_get_ends(p->log, &was);
    int rc = log_retain(p->log);
    log_get_ends(p->log, &is);
    if (is.log_start != was.log_start)
        watch_fire_part(p); // who waits at an offset that is gone
    if (rc > 0) {
        upkeep_trash_later(s);
    } else if (rc == -EIO && !s->env.failed) {
        background_fail(s, "removing segments", rc);
    } else if (rc < 0 && rc != -ECANCELED && !s->env.failed) {
        SL_LOG_EVERY(10000, SL_WARN, "shard", "%s-%d: segments that expired could not be removed: %s",
                     log_topic(p->log), log_partition(p->log), upkeep_why(rc));
    }
}

static int retain_one(struct sweep *w, struct part *p)
{
    if (!w->s->stopping)
        retain(w->s, p);
    return 0;
}

static void retention_again(struct shard *s)
{
    if (s->cfg.retention_check_ms > 0 && !s->stopping)
        timer_set(s->r, &s->retention, reactor_now(s->r) + (uint64_t)s->cfg.retention_check_ms * MS);
}

static void retention_fiber(void *arg)
{
    struct shard *s = arg;
    (void)shard_sweep(s, retain_one, NULL);
    s->retaining = false;
    retention_again(s);
    s->fibers--;
}

static void retention_tick(struct timer *t)
{
    struct shard *s = SL_CONTAINER_OF(t, struct shard, retention);
    if (s->stopping || s->env.failed || s->retaining)
        return;
    s->retaining = true;
    shard_spawn(s, retention_fiber, s);
}

// ---- files of removed segments ----------------------------------------------------------------------------------------------
void upkeep_trash_later(struct shard *s)
{
    uint64_t due = s->emptying || s->stopping ? UINT64_MAX : trash_due(&s->env);
    if (due != UINT64_MAX)
        timer_set(s->r, &s->trash, due);
}

static void trash_fiber(void *arg)
{
    struct shard *s = arg;
    int rc = trash_empty(&s->env, false);
    if (rc == -EIO)
        background_fail(s, "removing files", rc);
    else if (rc && !s->env.failed)
        sl_log(SL_WARN, "shard", "shard=%u files of removed segments could not be removed: %s", s->cfg.shard,
               strerror(-rc));
    s->emptying = false;
    upkeep_trash_later(s);
    s->fibers--;
}

static void trash_tick(struct timer *t)
{
    struct shard *s = SL_CONTAINER_OF(t, struct shard, trash);
    if (s->stopping || s->env.failed)
        return;
    s->emptying = true;
    shard_spawn(s, trash_fiber, s);
}

// ---- DeleteRecords ----------------------------------------------------------------------------------------------------------
struct trim_run {
    struct shard *s;
    struct shard_trim *t;
};

static int16_t trim_error(const struct shard *s, int rc)
{
    if (rc >= 0)
        return KERR_NONE;
    if (rc == -ERANGE)
        return KERR_OFFSET_OUT_OF_RANGE;
    if (rc == -ETIMEDOUT)
        return KERR_REQUEST_TIMED_OUT;
    return rc == -ECANCELED ? (s->stopping ? KERR_NOT_LEADER_OR_FOLLOWER : KERR_UNKNOWN_TOPIC_OR_PARTITION)
                            : KERR_KAFKA_STORAGE_ERROR;
}

// The fence of one partition. Upstream's order of checks.
static void trim_begin(struct shard *s, struct shard_trim_part *tp)
{
    struct part *p = shard_find(s, &tp->topic_id, tp->partition);
    tp->part = NULL;
    tp->low_watermark = -1;
    tp->error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!p)
        return;
    const struct log_config *c = log_get_config(p->log);
    tp->error = KERR_POLICY_VIOLATION; // a log that is only compacted keeps what it has
    if (c->compacted && !c->deletes)
        return;
    struct log_ends e;
    log_get_ends(p->log, &e);
    if (tp->offset == -1)
        tp->offset = e.high_watermark;
    tp->error = trim_error(s, log_fence_start(p->log, tp->offset, &tp->sequence));
    if (tp->error)
        return;
    tp->part = p;
    p->refs++;
}

static void trim_end(struct shard *s, struct shard_trim_part *tp, bool remove, uint64_t until)
{
    struct log_ends e;
    if (!tp->part)
        return;
    tp->error = trim_error(s, log_start_fenced(tp->part->log, tp->offset, tp->sequence, until));
    if (!tp->error) {
        log_get_ends(tp->part->log, &e);
        tp->low_watermark = e.log_start;
        watch_fire_part(tp->part);
        if (remove)
            retain(s, tp->part);
    }
    shard_part_unref(tp->part);
}

// All fences first, so that one group carries them.
static void trim_fiber(void *arg)
{
    struct trim_run *run = arg;
    struct shard *s = run->s;
    uint64_t until = reactor_now(s->r) + TRIM_WAIT_MS * MS;
    for (uint32_t i = 0; i < run->t->n; i++)
        trim_begin(s, &run->t->parts[i]);
    for (uint32_t i = 0; i < run->t->n; i++)
        trim_end(s, &run->t->parts[i], run->t->remove, until);
    shard_reply(s, run->t->from, SHARD_DELETE_RECORDS, run->t);
    s->fibers--;
    free(run);
}

void upkeep_delete_records(struct shard *s, uint32_t from, struct shard_trim *t)
{
    struct trim_run *run = malloc(sizeof(*run));
    if (!run)
        sl_panic("shard %u: out of memory for a request", s->cfg.shard);
    t->from = from;
    *run = (struct trim_run){.s = s, .t = t};
    shard_spawn(s, trim_fiber, run);
}

// ---- start and stop -----------------------------------------------------------------------------------------------------------
void upkeep_init(struct shard *s)
{
    timer_init(&s->retention, retention_tick);
    timer_init(&s->trash, trash_tick);
    cleaner_init(s);
}

void upkeep_start_timers(struct shard *s)
{
    retention_again(s);
    cleaner_start(s);
}

void upkeep_stop(struct shard *s)
{
    s->env.stopping = true;
    timer_cancel(s->r, &s->retention);
    timer_cancel(s->r, &s->trash);
    cleaner_stop(s);
}
