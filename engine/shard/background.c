// What a shard does beside serving: write-back by age and amount, checkpoints that free journal files, forgetting of old
// producers, the clean stop.
//
// Checkpoint of generation g: log by log, what is durable is written back and synced, sealed segments are finished, and
// the log's part is serialized at its appended end; when the journal has made all of that durable the file replaces the
// old one durably, and the journal may recycle generations <= g. (A part never runs ahead of durable_end: S6.) A log that is
// created meanwhile has its entries in later generations.
#include "engine/shard/shard_private.h"

#include "engine/base/canary.h"
#include "engine/log/bulk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLUSHERS = 8,       // logs worked on at the same time
    FLUSHERS_STOP = 64, // at a stop nothing else wants the disk, and syncs that run together cost one
};
static const uint64_t MS = 1000 * 1000;
static const uint64_t BACKGROUND_NS = 50 * MS;        // how often write-back looks
static const uint64_t CHECKPOINT_RETRY_NS = 500 * MS; // after ENOSPC
static const uint64_t PACED_GAP_MAX_NS = 2 * MS;      // between one log and the next
static const uint64_t PACED_LOOK_NS = 5 * MS;
static const uint64_t HELD_NS =
    10000 * MS; // how long an append waits for room: in the journal, its log, memory

// ---- failure ----------------------------------------------------------------------------------------------------------
static void fail_waiting(struct part *p)
{
    struct list_node *n;
    append_fail_all(p, KERR_KAFKA_STORAGE_ERROR);
    while ((n = list_pop_front(&p->waiting)))
        append_lost(p->s, list_entry(n, struct shard_append_part, node));
    watch_fire_part(p);
}

// The directory is offline: what waits is answered, what comes is refused. Groups in flight may still become durable when
// it was not the journal that failed; their answers are gone by then.
void background_fail(struct shard *s, const char *what, int err)
{
    struct part *p, *tmp;
    struct list_node *n;
    if (!s->env.failed) {
        s->env.failed = err;
        store_fail(s->store, err);
        sl_log(SL_ERROR, "shard",
               "shard=%u dir=%s %s failed: %s; the directory is offline until the broker is restarted on a "
               "sound disk",
               s->cfg.shard, s->cfg.dir, what, strerror(-err));
        if (s->cfg.offline)
            s->cfg.offline(s->ready_arg, s);
    }
    while ((n = list_pop_front(&s->journal_waiters)))
        list_entry(n, struct part, journal_node)->waiting_journal = false;
    HASH_ITER(hh, s->parts, p, tmp)
    {
        fail_waiting(p);
    }
}

void background_on_failed(void *ctx, int err)
{
    struct shard *s = ctx;
    background_fail(s, "the journal", err);
    append_forget(s); // no group becomes durable any more
}

void background_direct_failed(void *ctx, int err)
{
    background_fail(ctx, "a write to a segment", err);
}

// ---- all logs, several at a time --------------------------------------------------------------------------------------------
// A paced sweep (pace.h): while there is room one worker goes on alone, with gaps between logs that have something to write,
// so that the sweep takes half of the time in which the next journal file fills. True: the worker looks again.
static bool sweep_waits(struct sweep *w, bool first)
{
    if (!w->paced || pace_hurry(&w->s->env))
        return false;
    if (!first) {
        fiber_sleep(PACED_LOOK_NS);
        return true;
    }
    if (w->gap_ns && log_is_dirty(w->parts[w->next]->log))
        fiber_sleep(w->gap_ns);
    return false;
}

static void sweep_worker(void *arg)
{
    struct sweep *w = arg;
    bool first = w->started++ == 0;
    while (w->next < w->n && !w->rc) {
        if (sweep_waits(w, first) || w->next == w->n) // others may have gone on meanwhile
            continue;
        struct part *p = w->parts[w->next++];
        int rc = p->closing ? 0 : w->fn(w, p);
        if (rc && !w->rc)
            w->rc = rc;
        if (reactor_turn_spent(w->s->r))
            fiber_yield();
    }
    fiber_wait_done(&w->wait);
}

// In so many fibers.
static int sweep(struct shard *s, uint32_t flushers, int (*fn)(struct sweep *w, struct part *p),
                 struct sbuf *image, bool paced)
{
    struct sweep w = {.s = s, .fn = fn, .image = image, .paced = paced};
    if (paced)
        w.gap_ns = SL_MIN(s->fill_ns / 2 / SL_MAX(log_env_count_dirty(&s->env), 1u), PACED_GAP_MAX_NS);
    struct part *p, *tmp;
    w.parts = malloc((HASH_COUNT(s->parts) + 1) * sizeof(struct part *));
    if (!w.parts)
        return -ENOMEM;
    HASH_ITER(hh, s->parts, p, tmp)
    {
        w.parts[w.n++] = p;
        p->refs++;
    }
    uint32_t workers = SL_MIN(flushers, w.n);
    fiber_wait_add(&w.wait, workers);
    for (uint32_t i = 0; i < workers; i++)
        if (!fiber_spawn(s->r, sweep_worker, &w, 0))
            sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
    fiber_wait(&w.wait);
    for (uint32_t i = 0; i < w.n; i++)
        shard_part_unref(w.parts[i]);
    free(w.parts);
    return w.rc;
}

int shard_sweep(struct shard *s, int (*fn)(struct sweep *w, struct part *p), struct sbuf *image)
{
    return sweep(s, FLUSHERS, fn, image, false);
}

void shard_spawn(struct shard *s, fiber_fn fn, void *arg)
{
    if (!fiber_spawn(s->r, fn, arg, 0))
        sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
    s->fibers++;
}

// ---- write-back -----------------------------------------------------------------------------------------------------
static bool writeback_due(struct shard *s)
{
    if (s->env.dirty_bytes == 0 || s->env.failed)
        return false;
    return s->env.dirty_bytes >= s->cfg.dirty_bytes ||
           log_env_oldest_dirty(&s->env) + s->cfg.writeback_age_ms * MS <= reactor_now(s->r);
}

// Shortages: what is not written stays in memory and in the journal, and is tried again (S8).
static bool passes(int rc)
{
    return rc == -ENOSPC || rc == -ENOMEM || rc == -EDQUOT || rc == -EMFILE || rc == -ENFILE;
}

// Oldest first. Each log is looked at once in a run at most: one whose bytes are not durable yet has its turn in the next.
static void writeback_worker(void *arg)
{
    struct shard *s = arg;
    int rc = 0;
    while (!rc && s->writeback_left && writeback_due(s)) {
        s->writeback_left--;
        rc = log_env_write_oldest(&s->env);
        if (reactor_turn_spent(s->r))
            fiber_yield();
    }
    if (passes(rc) && rc != -ENOMEM && !s->env.failed)
        SL_LOG_EVERY(10000, SL_ERROR, "shard", "shard=%u dir=%s write-back waits: %s", s->cfg.shard,
                     s->cfg.dir, strerror(-rc));
    else if (rc && !passes(rc) && !s->env.failed)
        background_fail(s, "write-back", rc);
    s->writing_back--;
    s->fibers--;
}

// What waits for the journal for that long waits for the disk to get space: it is told, and consumers are served on (S8).
static void journal_wait_check(struct shard *s)
{
    struct list_node *n;
    if (list_empty(&s->journal_waiters) || reactor_now(s->r) < s->journal_waits_since + HELD_NS)
        return;
    SL_LOG_EVERY(10000, SL_ERROR, "shard",
                 "shard=%u dir=%s the journal has had no room for %llu s: produce is refused", s->cfg.shard,
                 s->cfg.dir, (unsigned long long)(HELD_NS / (1000 * MS)));
    while ((n = list_pop_front(&s->journal_waiters))) {
        struct part *p = list_entry(n, struct part, journal_node);
        p->waiting_journal = false;
        append_fail_all(p, KERR_KAFKA_STORAGE_ERROR);
    }
}

// The same for what waits for room in its log: the fiber that makes it goes on, as long as that takes.
static void room_wait_check(struct shard *s)
{
    uint64_t now = reactor_now(s->r);
    list_foreach_safe(n, &s->room_waiters)
    {
        struct part *p = list_entry(n, struct part, room_node);
        if (list_empty(&p->held))
            p->room_since = now;
        if (now < p->room_since + HELD_NS || SL_CANARY(HELD_ON_FULL_DISK))
            continue;
        p->room_since = now;
        SL_LOG_EVERY(10000, SL_ERROR, "shard",
                     "shard=%u dir=%s %s-%d has had no room for %llu s: produce is refused", s->cfg.shard,
                     s->cfg.dir, log_topic(p->log), log_partition(p->log),
                     (unsigned long long)(HELD_NS / (1000 * MS)));
        append_fail_all(p, KERR_KAFKA_STORAGE_ERROR);
    }
}

static bool appends_wait(const struct shard *s)
{
    return s->env.dirty_bytes || !list_empty(&s->journal_waiters) || !list_empty(&s->room_waiters);
}

static void background_tick(struct timer *t)
{
    struct shard *s = SL_CONTAINER_OF(t, struct shard, background);
    journal_wait_check(s);
    room_wait_check(s);
    if (!s->env.failed && store_failed(s->store))
        background_fail(s, "another shard of the directory", store_failed(s->store));
    if (!s->writing_back && writeback_due(s)) {
        s->writeback_left = HASH_COUNT(s->parts);
        s->writing_back = SL_MIN((uint32_t)FLUSHERS, s->writeback_left);
        for (uint32_t i = 0; i < s->writing_back; i++)
            shard_spawn(s, writeback_worker, s);
    }
    // An idle shard does not tick: appends arm the timer again.
    if (!s->stopping && !s->env.failed && appends_wait(s))
        timer_set(s->r, t, reactor_now(s->r) + BACKGROUND_NS);
}

void background_start(struct shard *s)
{
    if (s->background.armed || s->stopping)
        return;
    timer_set(s->r, &s->background, reactor_now(s->r) + BACKGROUND_NS);
    if (!s->expiry.armed && s->cfg.producer_check_ms > 0)
        timer_set(s->r, &s->expiry, reactor_now(s->r) + (uint64_t)s->cfg.producer_check_ms * 1000 * 1000);
}

// ---- producers that are gone ------------------------------------------------------------------------------------------------
static int expire_one(struct sweep *w, struct part *p)
{
    producer_state_expire(log_producers(p->log), reactor_wall_ms(w->s->r),
                          log_get_config(p->log)->producer_expiration_ms);
    return 0;
}

static void expiry_fiber(void *arg)
{
    struct shard *s = arg;
    (void)shard_sweep(s, expire_one, NULL);
    s->fibers--;
}

// Armed again by the next append that finds the write-back timer idle; a shard without appends gets no new producers.
static void expiry_tick(struct timer *t)
{
    struct shard *s = SL_CONTAINER_OF(t, struct shard, expiry);
    if (!s->stopping)
        shard_spawn(s, expiry_fiber, s);
}

void background_init(struct shard *s)
{
    timer_init(&s->background, background_tick);
    timer_init(&s->expiry, expiry_tick);
}

// ---- checkpoint ---------------------------------------------------------------------------------------------------------
int background_first_image(struct shard *s, const struct sl_uuid *life, struct sbuf *out)
{
    int rc = ckpt_begin(out, life, s->cfg.shard, 1);
    struct part *p, *tmp;
    HASH_ITER(hh, s->parts, p, tmp)
    {
        rc = rc ? rc : log_describe_checkpoint(p->log, out);
    }
    return rc ? rc : ckpt_finish(out);
}

static int checkpoint_one(struct sweep *w, struct part *p)
{
    return log_checkpoint(p->log, w->image);
}

static int settle_one(struct sweep *w, struct part *p)
{
    (void)w;
    return log_aborted_settle(p->log);
}

static int checkpoint_once(struct shard *s, uint64_t generation)
{
    struct sbuf image;
    char path[1200];
    sbuf_init(&image);
    int rc = ckpt_begin(&image, &s->cfg.journal.life, s->cfg.shard, generation + 1);
    if (!rc)
        rc = sweep(s, FLUSHERS, checkpoint_one, &image, true);
    if (!rc)
        rc = ckpt_finish(&image);
    if (!rc)
        rc = journal_drain(s->journal);
    if (!rc)
        rc = direct_drain(&s->env);
    if (!rc)
        rc = shard_sweep(s, settle_one, NULL);
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
        uint64_t generation = s->checkpoint_wanted, begun = reactor_now(s->r);
        int rc = checkpoint_once(s, generation);
        if (passes(rc) && !s->env.failed) {
            SL_LOG_EVERY(10000, SL_ERROR, "shard",
                         "shard=%u dir=%s no checkpoint could be written (%s): produce may be "
                         "refused until that changes",
                         s->cfg.shard, s->cfg.dir, strerror(-rc));
            fiber_sleep(CHECKPOINT_RETRY_NS);
            continue;
        }
        if (rc)
            background_fail(s, "checkpoint", rc);
        if (s->checkpoint_wanted == generation)
            s->checkpoint_wanted = 0;
        reactor_count(s->r, METRIC_CHECKPOINTS, 1);
        if (reactor_metrics(s->r))
            metric_observe(reactor_metrics(s->r), METRIC_CHECKPOINT_NS, reactor_now(s->r) - begun);
    }
    s->checkpointing = false;
    s->fibers--;
}

void background_on_full(void *ctx, uint64_t generation)
{
    struct shard *s = ctx;
    uint64_t now = reactor_now(s->r);
    s->fill_ns = s->full_at ? now - s->full_at : 0;
    s->full_at = now;
    s->checkpoint_wanted = generation;
    if (s->checkpointing || s->stopping)
        return;
    s->checkpointing = true;
    shard_spawn(s, checkpoint_fiber, s);
}

// ---- clean stop -----------------------------------------------------------------------------------------------------------
static int close_one(struct sweep *w, struct part *p)
{
    return log_close_clean(p->log, w->s->closing_in_bulk);
}

// Requests have ended when this service is asked to stop; what is left is on its way through the journal or the disk.
static void wait_idle(struct shard *s)
{
    struct part *p, *tmp;
    HASH_ITER(hh, s->parts, p, tmp)
    {
        append_fail_all(p, KERR_NOT_LEADER_OR_FOLLOWER);
    }
    while (s->fibers)
        fiber_sleep(MS);
    HASH_ITER(hh, s->parts, p, tmp)
    {
        while (p->refs > 1 && !s->env.failed)
            fiber_sleep(MS);
    }
}

static int close_all(struct shard *s)
{
    struct bulk b;
    bulk_begin(&b, s->cfg.dir, HASH_COUNT(s->parts), s->cfg.bulk_logs);
    s->closing_in_bulk = b.on;
    int rc = sweep(s, FLUSHERS_STOP, close_one, NULL, false);
    if (!rc)
        return bulk_end(&b);
    bulk_drop(&b);
    return rc;
}

static void stop_fiber(void *arg)
{
    struct shard *s = arg;
    wait_idle(s);
    int rc = s->env.failed ? s->env.failed : s->journal ? journal_drain(s->journal) : 0;
    if (!rc)
        rc = close_all(s);
    (void)trash_empty(&s->env, true);
    if (s->journal)
        journal_close(s->journal);
    if (rc)
        sl_log(SL_ERROR, "shard", "shard=%u clean stop failed: %s; the next start recovers", s->cfg.shard,
               strerror(-rc));
    s->stop_error = rc;
    if (--s->front->row_stopping == 0)
        reactor_service_stopped(s->r, &s->front->svc);
}

static void stop_one(struct shard *s)
{
    s->stopping = true;
    timer_cancel(s->r, &s->background);
    timer_cancel(s->r, &s->expiry);
    upkeep_stop(s);
    if (!fiber_spawn(s->r, stop_fiber, s, 0))
        sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
}

void background_stop(struct service *svc)
{
    struct shard *front = SL_CONTAINER_OF(svc, struct shard, svc);
    front->row_stopping = front->row_n;
    for (uint32_t i = 0; i < front->row_n; i++)
        stop_one(front->row[i]);
}
