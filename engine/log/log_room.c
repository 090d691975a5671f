// Making room: new segments, rolls, space ahead of the writer, memory; these are what appends wait for (space_lock). And
// write-back, sealing and checkpoints (io_lock), which may take long. The two go on side by side: a write-back stays below
// what is allocated, and only sealed segments are cut. No fiber waits for memory while it holds a lock: memory comes back
// when other logs, or this one, are written back.
#include "engine/log/log_private.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_NS = 200 * 1000, MEMORY_WAIT_NS = 1000 * 1000, MEMORY_TRIES = 30 * 1000, TAIL_TRIES = 5000 };

struct room_run {
    struct log *l;
    uint32_t bytes;
    int64_t max_timestamp;
    log_room_fn done;
    void *arg;
};
struct seal_run {
    struct later_work work;
    uint8_t *snapshot;
    size_t snapshot_len;
    int64_t next_base;
};

bool log_enter(struct log *l)
{
    if (l->closed)
        return false;
    l->background++;
    return true;
}

void log_leave(struct log *l)
{
    SL_ASSERT(l->background > 0);
    l->background--;
}

void log_close_begin(struct log *l)
{
    l->closed = true;
}

void log_shut(struct log *l)
{
    log_close_begin(l);
    ahead_forget(l);
    while (l->background) {
        fiber_sleep(1000 * 1000);
        ahead_forget(l); // a roll was among them
    }
    list_remove(&l->confirm_node);
}

void log_broken(struct log *l, int err)
{
    struct direct_env *d = &l->env->direct;
    if (err == -EIO && !l->env->failed && d->failed)
        d->failed(d->ctx, err);
}

// ---- write-back ---------------------------------------------------------------------------------------------------------
void log_pass_direct(struct log *l, struct segment *s)
{
    uint32_t n = direct_pass(s, log_durable_position(l, s));
    if (!n)
        return;
    log_mark_written(l, n);
    segment_mark_clean(s, &l->env->lru);
}

int log_wait_durable(struct log *l, int64_t offset)
{
    while (l->durable.offset < offset && !l->env->failed)
        fiber_sleep(POLL_NS);
    return l->env->failed;
}

// A block that holds acknowledged bytes may be overwritten only with bytes that the journal holds durably (S5): those below
// the durable end, whose block is in journal files from its first byte on until the next sync.
static int flush_segment(struct log *l, struct segment *s)
{
    uint32_t upto = log_durable_position(l, s);
    int rc = s->name == SEG_NAMED ? 0 : ahead_name(l);
    while (!rc) {
        log_pass_direct(l, s);
        uint32_t from = s->flushed, to = s->cov_n ? SL_MIN(upto, s->cov[0].from) : upto;
        if (from >= to) // nothing left, or the rest is under way
            break;
        rc = segment_write(s, to);
        if (rc)
            break;
        log_mark_written(l, to - from);
        segment_mark_clean(s, &l->env->lru);
    }
    return rc;
}

// Cutting a file inside a block makes the file system write that block again. `wait`: for journal room, but not for ever;
// else the tail is held only if there is room now (a clean stop, which no checkpoint helps any more).
int log_hold_tail(struct log *l, struct segment *s, bool wait)
{
    uint8_t head[IO_BLOCK];
    struct journal *j = l->env->journal;
    uint32_t in = s->size % IO_BLOCK;
    if (!j || !in || s->allocated == s->size)
        return 0;
    int rc = log_read_bytes(s, s->size - in, head, in);
    for (int i = 0; !rc && !journal_room(j, 0); i++) {
        if (!wait)
            return 0;
        fiber_sleep(1000 * 1000);
        rc = l->env->failed ? l->env->failed : i >= TAIL_TRIES ? -ENOSPC : 0;
    }
    if (!rc)
        log_journal_head(l, s, s->size, head);
    return rc;
}

int log_wait_tail(struct log *l, const struct segment *s)
{
    struct journal *j = l->env->journal;
    while (j && journal_durable_sequence(j) < s->tail_sequence && !l->env->failed)
        fiber_sleep(200 * 1000);
    return l->env->failed;
}

// Write the tail, sync, cut to length, sync the file and its indexes (S9).
static int finish_segment(struct log *l, struct segment *s)
{
    int rc = log_wait_durable(l, l->segments[l->finished_n + 1]->base_offset);
    SL_ASSERT(s == l->segments[l->finished_n] && s->sealed);
    if (!rc)
        rc = log_wait_tail(l, s);
    if (!rc)
        rc = flush_segment(l, s);
    SL_ASSERT(rc || s->flushed == s->size);
    if (!rc)
        rc = segment_cut(s, true);
    if (!rc)
        rc = segment_put_indexes(s, true);
    if (!rc)
        rc = log_aborted_write(l);
    if (rc)
        return rc;
    s->finished = true;
    l->finished_n++;
    if (!s->users)
        rc = segment_close(s);
    return rc;
}

int log_write_locked(struct log *l, bool sync, bool finish)
{
    int rc = 0;
    while (finish && !rc && l->finished_n + 1 < l->segments_n)
        rc = finish_segment(l, l->segments[l->finished_n]);
    for (uint32_t i = l->finished_n; i < l->segments_n && !rc; i++) {
        rc = flush_segment(l, l->segments[i]);
        if (!rc && sync)
            rc = segment_sync(l->segments[i]);
    }
    if (!rc && sync)
        rc = log_aborted_write(l);
    return rc;
}

// Names that come a few at a time are not asked for out of turn: what waits for one is written in the next run.
int log_write_back(struct log *l, bool sync)
{
    if (!log_enter(l))
        return 0;
    fiber_lock(&l->io_lock);
    log_dirty_later(l);
    int rc = l->env->failed;
    if (!rc && (sync || !ahead_is_naming(l)))
        rc = log_write_locked(l, sync, false);
    fiber_unlock(&l->io_lock);
    files_trim(l->env);
    log_leave(l);
    return rc;
}

int log_env_write_oldest(struct log_env *env)
{
    struct log *l = log_env_oldest(env);
    return l ? log_write_back(l, false) : 0;
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

// The snapshot is of the state at the roll, and due when what it tells of is durable (S6).
static int seal(struct log *l, struct seal_run *run)
{
    int rc = log_write_locked(l, false, true);
    if (!rc)
        rc = log_wait_durable(l, run->next_base);
    if (!rc && run->snapshot)
        rc = log_write_snapshot(l, run->next_base, run->snapshot, run->snapshot_len);
    return rc;
}

// Whatever closes the log finishes its segments itself.
static void seal_now(struct log *l, struct seal_run *run)
{
    fiber_lock(&l->io_lock);
    int rc = l->closed || l->env->stopping ? 0 : l->env->failed ? l->env->failed : seal(l, run);
    fiber_unlock(&l->io_lock);
    if (!rc || l->env->failed)
        return;
    sl_log(SL_ERROR, "log", "%s-%d: sealing the segment before %lld failed: %s", l->topic, l->partition,
           (long long)run->next_base, strerror(-rc));
    log_broken(l, rc); // what is not broken is tried again by the next checkpoint
}

static void seal_run(struct later_work *w, bool go)
{
    struct seal_run *run = SL_CONTAINER_OF(w, struct seal_run, work);
    if (go)
        seal_now(w->log, run);
    free(run->snapshot);
    free(run);
}

static void seal_later(struct log *l, struct segment *s)
{
    struct seal_run *run = calloc(1, sizeof(*run));
    s->sealed = true;
    if (!run)
        return; // the next checkpoint and the clean close finish it as well
    run->next_base = l->appended.offset;
    (void)log_encode_snapshot(l, &run->snapshot, &run->snapshot_len);
    later_work_init(&run->work, l, seal_run);
    later_add(&l->env->seals, &run->work, false);
}

// ---- room ----------------------------------------------------------------------------------------------------------------
// A segment that was not to be leaves no file: appends go on in the one before it, and a file whose name lies within that
// one would hide their offsets after the next start.
static int roll_undo(struct log *l, struct segment *s, bool made, int rc)
{
    char path[1500];
    if (s->name != SEG_NAMED)
        ahead_return(l, s);
    segment_close(s);
    segment_path(s, SEG_LOG, path, sizeof(path));
    int undo = made ? fio_unlink(path, false) : 0;
    if (!undo && made)
        undo = fio_sync_dir(l->dir);
    segment_free(s);
    return undo && undo != -ENOENT ? -EIO : rc;
}

// As upstream draws it, so that segments that began together do not all roll together.
static int64_t jitter(const struct log *l)
{
    uint64_t most = (uint64_t)SL_MIN(l->cfg.segment_jitter_ms, l->cfg.segment_ms), r;
    if (l->cfg.segment_jitter_ms <= 0 || !most)
        return 0;
    io_random(reactor_io(l->env->r), &r, sizeof(r));
    return (int64_t)(r % most);
}

// A file for it, with space: the spare, or one that is made now, and then its directory entry is durable before it takes the
// first append (S9).
static int roll_file(struct log *l, struct segment *s, uint32_t bytes, bool *made)
{
    if (ahead_take(l, s))
        return segment_allocate(s, bytes, l->cfg.segment_bytes);
    *made = true;
    int rc = segment_open(s, true);
    if (!rc)
        rc = segment_allocate(s, bytes, l->cfg.segment_bytes);
    if (!rc && !SL_CANARY(NO_DIR_SYNC))
        rc = fio_sync_dir(l->dir);
    return rc;
}

// A new active segment.
static int roll(struct log *l, uint32_t bytes)
{
    struct segment *old = log_active(l);
    struct segment *s =
        segment_new(l, l->appended.offset, l->env->next_file_id++, l->cfg.segment_index_bytes);
    if (!s)
        return -ENOMEM;
    s->jitter_ms = jitter(l);
    bool made = false;
    int rc = old ? log_hold_tail(l, old, true) : 0;
    if (!rc)
        rc = roll_file(l, s, bytes, &made);
    if (!rc)
        rc = log_push_segment(l, s);
    if (rc)
        return roll_undo(l, s, made, rc);
    if (l->marks_n == 0 && l->appended.seg == NULL)
        l->appended = l->durable = l->visible =
            (struct log_mark){.offset = l->appended.offset, .seg = s, .pos = 0};
    reactor_count(l->env->r, METRIC_SEGMENTS_ROLLED, 1);
    if (s->name != SEG_NAMED) {
        reactor_count(l->env->r, METRIC_SEGMENTS_AHEAD, 1);
        ahead_name_later(l);
    }
    if (old)
        seal_later(l, old);
    return 0;
}

int log_roll(struct log *l)
{
    l->rolling = true; // a new segment's base is the end that it begins at
    fiber_lock(&l->space_lock);
    int rc = l->env->failed ? l->env->failed : roll(l, 0);
    l->rolling = false;
    fiber_unlock(&l->space_lock);
    return rc;
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

// The active segment: there, open, indexed, with space for the bytes.
static int make_space(struct room_run *run)
{
    struct log *l = run->l;
    int rc = log_wants_roll(l, run->bytes, run->max_timestamp) ? roll(l, run->bytes) : 0;
    struct segment *s = log_active(l);
    if (!rc)
        rc = segment_open(s, true);
    if (!rc)
        rc = segment_load_index(s);
    if (!rc && s->size && s->first_timestamp < 0)
        rc = first_time(s);
    if (!rc && (uint64_t)s->size + run->bytes > s->allocated)
        rc = segment_allocate(s, s->size + run->bytes, SL_MAX(l->cfg.segment_bytes, s->size + run->bytes));
    return rc;
}

static int try_memory(struct log *l, uint32_t bytes)
{
    struct segment *s = log_active(l);
    int rc = segment_load_tail(s, l->env->tail_pool);
    if (!rc && !segment_reserve(s, l->env->tail_pool, bytes))
        rc = -ENOMEM;
    return rc;
}

// Memory comes back when dirty bytes are written, the oldest first. This log's are among them.
static int make_room(struct room_run *run)
{
    struct log *l = run->l;
    int rc = -ENOMEM;
    for (int i = 0; i < MEMORY_TRIES && rc == -ENOMEM; i++) {
        fiber_lock(&l->space_lock);
        rc = l->env->failed;
        if (!rc)
            rc = make_space(run);
        if (!rc)
            rc = try_memory(l, run->bytes);
        fiber_unlock(&l->space_lock);
        if (rc != -ENOMEM)
            break;
        log_env_reclaim(l->env, (uint64_t)run->bytes + (2u << 20));
        l->env->pace.short_of_memory++;
        int e = log_env_write_oldest(l->env);
        l->env->pace.short_of_memory--;
        if (e && e != -ENOMEM)
            return e;
        fiber_sleep(MEMORY_WAIT_NS);
    }
    return rc;
}

static void grow(struct log *l)
{
    fiber_lock(&l->space_lock);
    struct segment *s = log_active(l);
    uint32_t limit = SL_ALIGN_UP(l->cfg.segment_bytes, (uint32_t)IO_BLOCK);
    if (!l->closed && !l->env->failed && s->file >= 0 && s->allocated < limit)
        (void)segment_allocate(s, s->allocated + 1, limit); // who really needs it hears of the failure
    fiber_unlock(&l->space_lock);
}

static void grow_run(struct later_work *w, bool go)
{
    if (go)
        grow(w->log);
    w->log->allocating = false;
}

void log_room_init(struct log *l)
{
    later_work_init(&l->grow, l, grow_run);
}

void log_allocate_ahead(struct log *l)
{
    if (l->allocating || l->closed || log_active(l)->allocated >= l->cfg.segment_bytes)
        return;
    l->allocating = true;
    later_add(&l->env->grows, &l->grow, l->direct);
}

static void room_fiber(void *arg)
{
    struct room_run *run = arg;
    int rc = make_room(run);
    log_leave(run->l);
    run->done(run->arg, rc);
    free(run);
}

void log_make_room(struct log *l, uint32_t bytes, int64_t max_timestamp, log_room_fn done, void *arg)
{
    struct room_run *run = malloc(sizeof(*run));
    if (!run)
        sl_panic("%s-%d: out of memory", l->topic, l->partition);
    *run =
        (struct room_run){.l = l, .bytes = bytes, .max_timestamp = max_timestamp, .done = done, .arg = arg};
    l->background++;
    if (!fiber_spawn(l->env->r, room_fiber, run, 0))
        sl_panic("%s-%d: out of memory for a fiber", l->topic, l->partition);
}

// ---- checkpoint -------------------------------------------------------------------------------------------------------------
static int encode_checkpoint(struct log *l, struct sbuf *out)
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
                             .log_start = SL_MAX(l->log_start, l->floor),
                             .segment_base = s ? s->base_offset : l->appended.offset,
                             .end_position = s ? s->size : 0,
                             .leader_epoch = l->leader_epoch,
                             .end_offset = l->appended.offset,
                             .max_timestamp = s ? s->max_timestamp : -1,
                             .max_timestamp_offset = s ? s->max_timestamp_offset : -1,
                             .index_entries = s ? s->index_written : 0,
                             .timeindex_entries = s ? s->timeindex_written : 0,
                             .producers = snapshot,
                             .producers_len = (uint32_t)n,
                             .epochs = epochs,
                             .epochs_len = l->epochs.count * EPOCH_PAIR_SIZE};
        rc = ckpt_add(out, &c);
    }
    free(snapshot);
    free(epochs);
    return rc;
}

int log_describe_checkpoint(struct log *l, struct sbuf *out)
{
    SL_ASSERT(l->appended.offset == l->durable.offset);
    return encode_checkpoint(l, out);
}

// What the entries of full journal files tell of was durable in the journal when the checkpoint began. Ranges that hold the
// durable end back, or that have the last block of what is durable, end first.
static int write_settled(struct log *l)
{
    int rc = direct_wait(l);
    struct segment *s = l->durable.seg;
    uint32_t upto = l->durable.pos;
    if (!rc)
        rc = log_write_locked(l, true, true);
    while (!rc && s && !s->finished && s->flushed < upto) {
        fiber_sleep(POLL_NS); // for the groups of ranges that are whole
        rc = direct_wait(l);
        if (!rc)
            rc = log_write_locked(l, true, true);
    }
    return rc;
}

// A failed write of the indexes' new entries costs time after a crash, nothing else, unless the disk is broken.
static int checkpoint_locked(struct log *l, struct sbuf *out, bool write)
{
    int rc = 0;
    while (write && !rc) {
        rc = write_settled(l);
        struct segment *s = log_active(l);
        if (!rc && s && (rc = segment_write_indexes(s)) != -EIO)
            rc = 0;
        // A roll that came meanwhile left one more segment to finish: the part says that all below the active one are.
        if (l->finished_n + 1 >= l->segments_n) {
            SL_ASSERT(rc || !s || s->name == SEG_NAMED);
            break;
        }
    }
    return rc ? rc : encode_checkpoint(l, out);
}

int log_checkpoint(struct log *l, struct sbuf *out)
{
    if (!log_enter(l))
        return 0;
    fiber_lock(&l->io_lock);
    int rc = l->env->failed ? l->env->failed : checkpoint_locked(l, out, !SL_CANARY(RECYCLE_EARLY));
    fiber_unlock(&l->io_lock);
    log_leave(l);
    return rc;
}
