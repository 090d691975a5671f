// Making room: new segments, rolls, space ahead of the writer, memory. And write-back. Fibers, one at a time per log
// (io_lock), so that appends are held for one reason only.
#include "engine/log/log_private.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_WAIT_NS = 1000 * 1000, MEMORY_TRIES = 30 * 1000 };

struct room_run {
    struct log *l;
    uint32_t bytes;
    int64_t max_timestamp;
    log_room_fn done;
    void *arg;
};
struct seal_run {
    struct log *l;
    struct segment *s;
    uint8_t *snapshot;
    size_t snapshot_len;
    int64_t next_base;
};

// ---- write-back ---------------------------------------------------------------------------------------------------------
// Waits until the journal holds everything appended so far. Only then may a block that holds acknowledged bytes be
// overwritten (S5): its bytes from the block's first one are in files that are not recycled before the next sync.
static int wait_durable(struct log *l)
{
    struct journal *j = l->env->journal;
    uint64_t sequence = l->last_sequence;
    while (j && journal_durable_sequence(j) < sequence && !l->env->failed)
        fiber_sleep(200 * 1000);
    return l->env->failed;
}

int log_flush_segment(struct log *l, struct segment *s, bool sync)
{
    int rc = 0;
    uint32_t upto = s->size;
    if (s->flushed < upto) {
        rc = wait_durable(l);
        if (!rc)
            rc = segment_write(s, upto);
        if (!rc)
            segment_mark_clean(s, &l->env->lru);
    }
    if (!rc && sync)
        rc = segment_sync(s);
    return rc;
}

static bool needs_flush(const struct segment *s, bool sync)
{
    return s->flushed < s->size || (sync && s->synced < s->size);
}

int log_write_back(struct log *l, bool sync)
{
    int rc = 0;
    fiber_lock(&l->io_lock);
    uint64_t dirty = l->dirty_bytes;
    for (uint32_t i = l->segments_n; i-- > 0 && !rc;) {
        struct segment *s = l->segments[i];
        bool cut = sync && s->sealed && s->allocated != s->size; // a checkpoint leaves no sealed segment uncut
        if (!needs_flush(s, sync) && !cut) {
            if (s->sealed)
                break; // older ones are done
            continue;
        }
        rc = log_flush_segment(l, s, sync);
        if (!rc && cut)
            rc = segment_cut(s);
        if (!rc && sync)
            rc = segment_write_indexes(s, cut);
    }
    if (!rc && dirty) { // what was appended meanwhile stays dirty
        uint64_t rest = l->dirty_bytes - dirty;
        log_mark_clean(l);
        if (rest)
            log_mark_dirty(l, (uint32_t)SL_MIN(rest, (uint64_t)UINT32_MAX));
    }
    fiber_unlock(&l->io_lock);
    return rc;
}

// ---- sealing --------------------------------------------------------------------------------------------------------------
int log_encode_snapshot(const struct log *l, uint8_t **image, size_t *n)
{
    *n = producer_state_snapshot_size(&l->producers);
    *image = malloc(*n);
    if (!*image)
        return -ENOMEM;
    producer_state_snapshot_encode(&l->producers, *image);
    return 0;
}

int log_write_snapshot(struct log *l, int64_t offset, const uint8_t *image, size_t n)
{
    char path[1500];
    snprintf(path, sizeof(path), "%s/%020lld.snapshot", l->dir, (long long)offset);
    return fio_write_file(path, image, n);
}

// Write the tail, sync, cut to length, sync the file and its indexes (S9). The snapshot is of the state at the roll.
static int seal(struct seal_run *run)
{
    struct log *l = run->l;
    int rc = log_flush_segment(l, run->s, true);
    if (!rc)
        rc = segment_cut(run->s);
    if (!rc)
        rc = segment_write_indexes(run->s, true);
    if (!rc && run->snapshot)
        rc = log_write_snapshot(l, run->next_base, run->snapshot, run->snapshot_len);
    return rc;
}

static void seal_fiber(void *arg)
{
    struct seal_run *run = arg;
    struct log *l = run->l;
    fiber_lock(&l->io_lock);
    int rc = l->closed ? 0 : seal(run);
    if (rc && !l->env->failed)
        sl_log(SL_ERROR, "log", "%s-%d: sealing segment %lld failed: %s", l->topic, l->partition,
               (long long)run->s->base_offset, strerror(-rc));
    run->s->users--;
    l->background--;
    fiber_unlock(&l->io_lock);
    free(run->snapshot);
    free(run);
}

static void seal_later(struct log *l, struct segment *s)
{
    struct seal_run *run = calloc(1, sizeof(*run));
    s->sealed = true;
    if (!run)
        return; // recovery and the clean close cut it as well
    *run = (struct seal_run){.l = l, .s = s, .next_base = l->appended.offset};
    log_encode_snapshot(l, &run->snapshot, &run->snapshot_len);
    s->users++;
    l->background++;
    if (!fiber_spawn(l->env->r, seal_fiber, run, 0)) {
        s->users--;
        l->background--;
        free(run->snapshot);
        free(run);
    }
}

// ---- room ----------------------------------------------------------------------------------------------------------------
// A new active segment: its file, space and directory entry are durable before it takes the first append (S9).
static int roll(struct log *l, uint32_t bytes)
{
    struct segment *old = log_active(l);
    struct segment *s = segment_new(l, l->appended.offset, l->env->next_file_id++, l->cfg.segment_index_bytes);
    if (!s)
        return -ENOMEM;
    int rc = segment_open(s, true);
    if (!rc)
        rc = segment_allocate(s, bytes, l->cfg.segment_bytes);
    if (!rc && !SL_CANARY(NO_DIR_SYNC))
        rc = fio_sync_dir(l->dir);
    if (!rc)
        rc = log_push_segment(l, s);
    if (rc) {
        segment_close(s);
        segment_free(s);
        return rc;
    }
    if (l->marks_n == 0 && l->appended.seg == NULL)
        l->appended = l->durable = l->visible = (struct log_mark){.offset = l->appended.offset, .seg = s, .pos = 0};
    if (old)
        seal_later(l, old);
    return 0;
}

// Memory comes back when dirty bytes are written: this log's first, then the oldest log's.
static int make_memory(struct log *l, struct segment *s, uint32_t bytes)
{
    for (int i = 0; i < MEMORY_TRIES && !l->env->failed; i++) {
        int rc = segment_tail_in_memory(s) ? 0 : segment_load_tail(s, l->env->tail_pool);
        if (!rc && segment_reserve(s, l->env->tail_pool, bytes))
            return 0;
        log_env_reclaim(l->env, (uint64_t)bytes + (2u << 20));
        struct list_node *n = list_first(&l->env->dirty);
        struct log *oldest = n ? list_entry(n, struct log, dirty_node) : NULL;
        if (oldest && oldest != l)
            rc = log_write_back(oldest, false);
        else
            rc = log_flush_segment(l, s, false);
        if (rc && rc != -ENOMEM)
            return rc;
        fiber_sleep(MEMORY_WAIT_NS);
    }
    return l->env->failed ? l->env->failed : -ENOMEM;
}

// The age of a recovered segment counts from its first batch.
static int first_time(struct segment *s)
{
    struct batch_info b;
    int rc = log_header_at(s, 0, &b);
    if (!rc)
        s->first_timestamp = b.max_timestamp;
    return rc;
}

static int make_room(struct room_run *run)
{
    struct log *l = run->l;
    int rc = log_wants_roll(l, run->bytes, run->max_timestamp) ? roll(l, run->bytes) : 0;
    struct segment *s = log_active(l);
    if (!rc)
        rc = segment_open(s, true);
    if (!rc && !s->index_loaded)
        rc = segment_load_index(s);
    if (!rc && s->size && s->first_timestamp < 0)
        rc = first_time(s);
    if (!rc && (uint64_t)s->size + run->bytes > s->allocated)
        rc = segment_allocate(s, s->size + run->bytes, SL_MAX(l->cfg.segment_bytes, s->size + run->bytes));
    if (!rc)
        rc = make_memory(l, s, run->bytes);
    return rc;
}

static void room_fiber(void *arg)
{
    struct room_run *run = arg;
    struct log *l = run->l;
    fiber_lock(&l->io_lock);
    int rc = make_room(run);
    fiber_unlock(&l->io_lock);
    if (rc == -EIO)
        l->env->failed = rc;
    run->done(run->arg, rc);
    free(run);
}

void log_make_room(struct log *l, uint32_t bytes, int64_t max_timestamp, log_room_fn done, void *arg)
{
    struct room_run *run = malloc(sizeof(*run));
    if (!run)
        sl_panic("%s-%d: out of memory", l->topic, l->partition);
    *run = (struct room_run){.l = l, .bytes = bytes, .max_timestamp = max_timestamp, .done = done, .arg = arg};
    if (!fiber_spawn(l->env->r, room_fiber, run, 0))
        sl_panic("%s-%d: out of memory for a fiber", l->topic, l->partition);
}

// ---- checkpoint -------------------------------------------------------------------------------------------------------------
int64_t log_checkpoint(struct log *l, struct sbuf *out, int *err)
{
    struct segment *s = log_active(l);
    uint8_t *snapshot = NULL;
    size_t n = 0;
    uint8_t *epochs = malloc((size_t)l->epochs.count * EPOCH_PAIR_SIZE + 1);
    int rc = epochs ? log_encode_snapshot(l, &snapshot, &n) : -ENOMEM;
    if (!rc) {
        epoch_cache_encode(&l->epochs, epochs);
        struct ckpt_log c = {.topic_id = l->topic_id,
                             .partition = l->partition,
                             .incarnation = l->incarnation,
                             .log_start = l->log_start,
                             .segment_base = s ? s->base_offset : l->appended.offset,
                             .end_position = s ? s->size : 0,
                             .leader_epoch = l->leader_epoch,
                             .end_offset = l->appended.offset,
                             .max_timestamp = s ? s->max_timestamp : -1,
                             .max_timestamp_offset = s ? s->max_timestamp_offset : -1,
                             .index_entries = s && s->index_from == 0 ? s->index_written : 0,
                             .timeindex_entries = s && s->index_from == 0 ? s->timeindex_written : 0,
                             .producers = snapshot,
                             .producers_len = (uint32_t)n,
                             .epochs = epochs,
                             .epochs_len = l->epochs.count * EPOCH_PAIR_SIZE};
        rc = ckpt_add(out, &c);
    }
    free(snapshot);
    free(epochs);
    if (rc)
        *err = rc;
    return l->appended.offset;
}
