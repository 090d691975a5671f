// The front of a log moves: DeleteRecords, and retention by size and time. Fibers, but for log_fence_start.
//
// The order is rule S3's: a fence entry is made durable, then the log starts at its floor, and only then files are touched:
// renamed to *.deleted, and removed later (trash.h). A crash in between finds the fence (or a checkpoint that says as much) and the
// start removes what is left below it. The fence also says from which segment on journal entries still lay bytes: those of
// segments below it count for producers and epochs alone.
//
// Readers go on: a segment that is being read keeps its open file until its last reader is through.
#include "engine/log/log_private.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Retention comes again, and finds a fence that took longer: one log does not hold up the others.
static const uint64_t RETAIN_WAIT_NS = 1000ull * 1000 * 1000;

// ---- the log start ------------------------------------------------------------------------------------------------------
uint64_t log_add_fence(struct log *l, int64_t floor, int64_t settled)
{
    struct jentry e = {.type = JE_FENCE,
                       .topic_id = l->topic_id,
                       .partition = l->partition,
                       .incarnation = l->incarnation + 1,
                       .segment_base = settled,
                       .base_offset = floor,
                       .last_offset = INT64_MAX, // nothing is cut off at the end
                       .producer_id = l->incarnation + 1,
                       .base_sequence = -1,
                       .producer_epoch = -1,
                       .max_timestamp = -1,
                       .leader_epoch = l->leader_epoch};
    l->incarnation++;
    return journal_add(l->env->journal, &e, NULL, 0);
}

int log_fence_start(struct log *l, int64_t offset, uint64_t *sequence)
{
    if (offset < 0 || offset > l->visible.offset)
        return -ERANGE;
    *sequence = offset <= l->log_start ? 0 : l->floor_sequence;
    if (l->env->failed)
        return l->env->failed;
    if (offset <= SL_MAX(l->log_start, l->floor))
        return 1;
    const struct segment *s = log_segment_for(l, offset, NULL);
    l->floor = offset;
    l->floor_sequence = *sequence = log_add_fence(l, offset, s ? s->base_offset : offset);
    return 0;
}

void log_move_start(struct log *l, int64_t offset)
{
    if (offset <= l->log_start)
        return;
    SL_ASSERT(offset <= l->visible.offset);
    l->log_start = offset;
    (void)epoch_cache_truncate_start(&l->epochs, offset);
    producer_state_on_log_start(&l->producers, offset);
    log_aborted_cut_start(l, offset);
}

int log_fence_wait(struct log *l, uint64_t sequence, uint64_t until)
{
    const struct journal *j = l->env->journal;
    if (SL_CANARY(FENCE_LATE))
        sequence = 0;
    while (journal_durable_sequence(j) < sequence && !l->env->failed && !l->closed && !l->env->stopping) {
        if (reactor_now(l->env->r) >= until)
            return -ETIMEDOUT;
        fiber_sleep(200 * 1000);
    }
    if (l->env->failed)
        return l->env->failed;
    return journal_durable_sequence(j) < sequence ? -ECANCELED : 0;
}

int log_start_fenced(struct log *l, int64_t offset, uint64_t sequence, uint64_t until)
{
    int rc = log_fence_wait(l, sequence, until);
    if (!rc)
        log_move_start(l, offset);
    return rc;
}

static int advance_start(struct log *l, int64_t offset)
{
    uint64_t sequence;
    int rc = log_fence_start(l, offset, &sequence);
    return rc < 0 ? rc : log_start_fenced(l, offset, sequence, reactor_now(l->env->r) + RETAIN_WAIT_NS);
}

// Moves the start to where a durable fence says that it is: whoever asked for it may have waited no longer.
static void settle_start(struct log *l)
{
    if (l->floor > l->log_start && journal_durable_sequence(l->env->journal) >= l->floor_sequence)
        log_move_start(l, l->floor);
}

// ---- segments leave -----------------------------------------------------------------------------------------------------
static void mark_move(struct log_mark *m, const struct segment *gone, struct segment *next)
{
    if (m->seg == gone) {
        SL_ASSERT(m->offset == next->base_offset);
        *m = (struct log_mark){.offset = m->offset, .seg = next};
    }
}

void log_move_marks(struct log *l, const struct segment *gone, struct segment *next)
{
    mark_move(&l->appended, gone, next);
    mark_move(&l->durable, gone, next);
    mark_move(&l->visible, gone, next);
}

static void detach_first(struct log *l)
{
    struct segment *s = l->segments[0], *next = l->segments[1];
    SL_ASSERT(l->segments_n > 1 && s->finished && !s->writing);
    log_move_marks(l, s, next);
    if (l->hint.seg == s)
        l->hint = (struct log_mark){0};
    l->finished_n--;
    l->segments_n--;
    memmove(l->segments, l->segments + 1, l->segments_n * sizeof(*l->segments));
}

static uint32_t count_below_start(const struct log *l)
{
    uint32_t n = 0;
    while (n + 1 < l->segments_n && l->segments[n + 1]->base_offset <= l->log_start)
        n++;
    return n;
}

// Holds io_lock. It leaves the list first: from here on no reader finds it. Names that cannot be changed go at the next start.
static int remove_first(struct log *l)
{
    struct segment *s = l->segments[0];
    detach_first(l);
    int rc = log_put_away(l, s, true);
    segment_retire(s);
    return rc;
}

// Nothing of one that goes may be under way to the disk. Where there is no space to write the last of them, those before go.
static int remove_below_start(struct log *l)
{
    int rc = 0, write_rc = 0, removed = 0;
    fiber_lock(&l->io_lock);
    uint32_t n = count_below_start(l);
    if (n > l->finished_n)
        write_rc = log_write_locked(l, false, true);
    for (n = SL_MIN(n, l->finished_n); n && !rc && write_rc != -EIO && !l->env->failed; n--) {
        rc = remove_first(l);
        removed++;
    }
    if (removed && !rc)
        rc = fio_sync_dir(l->dir);
    reactor_count(l->env->r, METRIC_SEGMENTS_REMOVED, (uint64_t)removed);
    fiber_unlock(&l->io_lock);
    rc = rc ? rc : write_rc == -EIO || !removed ? write_rc : 0;
    return rc ? rc : removed;
}

// ---- retention ------------------------------------------------------------------------------------------------------------
// Where segment `i` ends: at the next one's base.
static int64_t end_of(const struct log *l, uint32_t i)
{
    return i + 1 < l->segments_n ? l->segments[i + 1]->base_offset : l->appended.offset;
}

// Only below the high watermark, so that the log start cannot pass it; an empty active segment stays.
static bool may_go(const struct log *l, uint32_t i)
{
    return i < l->segments_n && end_of(l, i) <= l->visible.offset &&
           (i + 1 < l->segments_n || l->segments[i]->size);
}

// What counts as kept is what a power cut would leave: a batch under way does not stand in for a segment that goes.
static uint32_t count_too_many(const struct log *l, uint32_t from)
{
    uint64_t size = 0, keep = (uint64_t)l->cfg.retention_bytes;
    if (l->cfg.retention_bytes < 0)
        return from;
    for (uint32_t i = from; i < l->segments_n; i++)
        size += log_durable_position(l, l->segments[i]);
    while (may_go(l, from) && size >= keep + l->segments[from]->size)
        size -= l->segments[from++]->size;
    return from;
}

// Whether the newest record of a segment is too old. Negative: -errno.
static int too_old(struct log *l, struct segment *s, int64_t now)
{
    int rc = 0;
    segment_hold(s);
    if (s->max_timestamp < 0)
        rc = segment_load_index(s);
    int64_t newest = s->max_timestamp;
    bool old = s->size && newest >= 0 && newest < now && now - newest > l->cfg.retention_ms;
    segment_release(s);
    return rc ? rc : old;
}

// One that compaction emptied is as old as what follows it: a reader that stands in front is not told that it is out of range
// while the next record is there.
static int count_too_old(struct log *l, uint32_t from, uint32_t *n)
{
    int64_t now = reactor_wall_ms(l->env->r);
    int rc = 0;
    *n = from;
    while (l->cfg.retention_ms >= 0 && may_go(l, *n)) {
        uint32_t i = *n;
        while (l->segments[i]->size == 0 && may_go(l, i + 1))
            i++;
        rc = too_old(l, l->segments[i], now);
        if (rc <= 0)
            return rc;
        *n = i + 1;
    }
    return 0;
}

// How many segments go, by the log start, size and time. Other fibers append meanwhile, but none removes segments (life_lock).
static int count_expired(struct log *l, uint32_t *n)
{
    *n = count_below_start(l);
    return l->cfg.deletes ? count_too_old(l, count_too_many(l, *n), n) : 0;
}

// On a full disk what can go does: the active segment stays if there is no space for the next one, and what lies below the start
// does not wait for a fence of more.
static int retain_locked(struct log *l)
{
    uint32_t n;
    settle_start(l);
    int rc = count_expired(l, &n);
    if (!rc && n && n == l->segments_n) { // the active one goes too, if nothing new came until it is rolled
        rc = log_roll(l);
        if (rc == -ENOSPC) {
            n = l->segments_n - 1;
            rc = 0;
        } else if (!rc) {
            rc = count_expired(l, &n);
        }
    }
    if (!rc && n && n < l->segments_n && l->segments[n]->base_offset > l->log_start) {
        sl_log(SL_INFO, "log", "%s-%d: %u segments expired, the log starts at %lld", l->topic, l->partition,
               n, (long long)l->segments[n]->base_offset);
        rc = advance_start(l, l->segments[n]->base_offset);
    }
    if (rc && rc != -ETIMEDOUT)
        return rc;
    int removed = remove_below_start(l);
    return removed ? removed : rc;
}

int log_retain(struct log *l)
{
    if (!log_enter(l))
        return 0;
    fiber_lock(&l->life_lock);
    int rc = l->env->failed ? l->env->failed : retain_locked(l);
    fiber_unlock(&l->life_lock);
    log_leave(l);
    return rc;
}
