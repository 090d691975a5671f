// The journal's writer: entries into the open group, self-clocking writes, completion in sequence. See
// journal.h.
#include "engine/log/journal_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/canary.h"
#include "engine/base/crc32c.h"
#include "engine/base/log.h"

static void on_late(struct timer *t);
static void on_idle(struct timer *t);
static void on_notify(struct ready *w);

// ---- notices
// --------------------------------------------------------------------------------------------------------
void journal_wake(struct journal *j)
{
    list_foreach(n, &j->waiters) fiber_wake(list_entry(n, struct jwaiter, node)->fiber);
}

static void wait_change(struct journal *j)
{
    struct jwaiter w = {.fiber = fiber_current()};
    SL_ASSERT(w.fiber);
    list_push_back(&j->waiters, &w.node);
    fiber_park();
    list_remove(&w.node);
}

void journal_room_maybe(struct journal *j)
{
    journal_wake(j);
    if (!j->stalled)
        return;
    j->room_due = true;
    ready_push(j->r, &j->notify);
}

static struct jfile *next_full(struct journal *j)
{
    struct jfile *best = NULL;
    for (uint32_t i = 0; i < j->cfg.files; i++) {
        struct jfile *f = &j->files[i];
        if (f->state == JF_USED && f != j->cur && !f->full_told && f->last_sequence <= j->durable &&
            (!best || f->generation < best->generation))
            best = f;
    }
    return best;
}

// Runs at step (3), so that the owner is never called from inside one of its own calls.
static void on_notify(struct ready *w)
{
    struct journal *j = SL_CONTAINER_OF(w, struct journal, notify);
    struct jfile *f;
    while (!j->failed && (f = next_full(j))) {
        f->full_told = true;
        j->owner.full(j->owner.ctx, f->generation);
    }
    if (j->room_due && !j->failed) {
        j->room_due = false;
        j->stalled = false;
        j->owner.room(j->owner.ctx);
    }
    journal_wake(j);
}

void journal_fail(struct journal *j, int err)
{
    if (j->failed)
        return;
    SL_ASSERT(err < 0);
    j->failed = err;
    sl_log(SL_ERROR, "journal", "write failed, the directory goes offline dir=%s shard=%u error=%s",
           j->cfg.dir, j->cfg.shard, strerror(-err));
    journal_wake(j);
    j->owner.failed(j->owner.ctx, err);
}

// ---- opening
// --------------------------------------------------------------------------------------------------------
static bool config_ok(const struct journal_config *c)
{
    return c->file_bytes % JOURNAL_BLOCK == 0 && c->first_file_bytes % JOURNAL_BLOCK == 0 &&
           c->file_bytes >= 8 * JOURNAL_BLOCK && c->first_file_bytes >= 8 * JOURNAL_BLOCK &&
           c->first_file_bytes <= c->file_bytes && c->file_bytes <= UINT32_MAX && c->files >= 3 &&
           c->files <= JOURNAL_FILES_MAX && c->slots >= 1 && c->slots <= JOURNAL_SLOTS_MAX &&
           c->max_group > 0;
}

uint64_t journal_max_bytes(const struct journal_config *cfg)
{
    struct jfile f = {.bytes = cfg->file_bytes};
    uint64_t most = SL_MIN(cfg->file_bytes - jfile_reserve(&f), (uint64_t)JOURNAL_GROUP_MAX);
    return most - JOURNAL_HEADER - 3 * JOURNAL_ENTRY - JOURNAL_BLOCK;
}

static void journal_init(struct journal *j, struct reactor *r, const struct journal_config *cfg,
                         const struct journal_owner *owner)
{
    j->r = r;
    j->cfg = *cfg;
    j->cfg.max_group = SL_MIN(cfg->max_group, (uint32_t)JOURNAL_GROUP_MAX);
    j->owner = *owner;
    j->keep_chunks = (cfg->slots + 1) * (j->cfg.max_group / JOURNAL_CHUNK + 2);
    list_init(&j->free_files);
    list_init(&j->pending);
    list_init(&j->in_flight);
    list_init(&j->spare);
    list_init(&j->waiters);
    timer_init(&j->late, on_late);
    timer_init(&j->idle, on_idle);
    j->notify.run = on_notify;
    for (uint32_t i = 0; i < cfg->files; i++) {
        j->files[i] = (struct jfile){.state = JF_MISSING, .n = i, .f = -1};
        list_init(&j->files[i].node);
    }
}

static int first_file_open(struct journal *j)
{
    char path[1280];
    journal_file_path(&j->cfg, 0, path, sizeof(path));
    struct io_stat st;
    int rc = fio_stat(path, &st);
    if (rc)
        return rc;
    if (st.size < j->cfg.first_file_bytes)
        return -EUCLEAN;
    io_file f = fio_open(path, IO_RDWR | IO_DIRECT, 0);
    if (f < 0)
        return f;
    struct jfile *first = &j->files[0];
    first->state = JF_USED;
    first->f = f;
    first->bytes = j->cfg.first_file_bytes;
    first->generation = 1;
    j->cur = first;
    return 0;
}

struct journal *journal_open(struct reactor *r, const struct journal_config *cfg,
                             const struct journal_owner *owner, int *err)
{
    *err = -EINVAL;
    if (!config_ok(cfg))
        return NULL;
    *err = -ENOMEM;
    struct journal *j = calloc(1, sizeof(*j));
    if (!j)
        return NULL;
    j->files = calloc(cfg->files, sizeof(*j->files));
    if (!j->files)
        goto err;
    journal_init(j, r, cfg, owner);
    *err = first_file_open(j);
    if (*err)
        goto err;
    j->open = group_get(j, 1);
    *err = j->open ? 0 : -ENOMEM;
    if (*err) {
        (void)fio_close(j->cur->f);
        goto err;
    }
    (void)journal_place(j);
    journal_prepare(j);
    return j;
err:
    free(j->files);
    free(j);
    return NULL;
}

// ---- adding
// ---------------------------------------------------------------------------------------------------------
void journal_seal(struct journal *j)
{
    struct jgrp *g = j->open;
    struct jgrp *next = group_get(j, g->sequence + 1);
    if (!next) {
        journal_fail(j, -ENOMEM);
        return;
    }
    if (g->file) {
        SL_ASSERT(g->file == j->cur && g->position == j->cursor);
        j->cursor += group_padded(g->len);
    }
    list_push_back(&j->pending, &g->node);
    j->open = next;
    (void)journal_place(j);
}

// Entry and payload with its padding.
static uint64_t entry_need(uint64_t payload)
{
    return JOURNAL_ENTRY + SL_ALIGN_UP(payload, (uint64_t)8);
}

static bool open_fits(const struct journal *j, uint64_t need, bool reserve)
{
    const struct jgrp *g = j->open;
    return g->file && jfile_fits(g->file, g->position, g->len + need, reserve ? jfile_reserve(g->file) : 0);
}

// Moves the open group, or what comes after it, to a file where `need` more fits.
static bool room_by_rotation(struct journal *j, uint64_t need)
{
    struct jgrp *g = j->open;
    bool moves = !g->file || g->count == 0; // a group without a place goes there with all it has
    // One sealed group may wait behind those in flight; more would only pile up memory.
    if (!moves && !list_empty(&j->pending))
        return false;
    struct jfile *next = jfile_find_free(j, (moves ? g->len : JOURNAL_HEADER) + need, true);
    if (!next)
        return false;
    if (!moves) {
        journal_seal(j);
        if (j->failed)
            return false;
        g = j->open;
    }
    jfile_rotate(j, next, g->sequence);
    g->file = j->cur;
    g->position = 0;
    return true;
}

static bool room_find(struct journal *j, uint64_t need)
{
    struct jgrp *g = j->open;
    if (g->count > 0 && (g->len >= j->cfg.max_group || g->len + need > JOURNAL_GROUP_MAX))
        return false;
    if (JOURNAL_HEADER + need > JOURNAL_GROUP_MAX || !journal_place(j))
        return false;
    if (!open_fits(j, need, true) && !room_by_rotation(j, need))
        return false;
    j->starved = !group_reserve(j, j->open, need);
    return !j->starved;
}

bool journal_room(struct journal *j, uint32_t bytes)
{
    if (j->failed)
        return false;
    uint64_t need = entry_need(JOURNAL_BLOCK) + entry_need(0) + entry_need(bytes);
    if (room_find(j, need))
        return true;
    if (!j->stalled && !j->failed) {
        j->stalled = true;
        j->stats.stalls++;
    }
    return false;
}

// Finds a place for a reserved entry, or leaves the open group without one until a file is free.
static void reserve_place(struct journal *j, uint64_t need)
{
    if (open_fits(j, need, false))
        return;
    struct jgrp *g = j->open;
    uint64_t most = SL_MIN(j->cfg.first_file_bytes, j->cfg.file_bytes) / 2;
    SL_ASSERT(JOURNAL_HEADER + need <= most);
    if (g->count == 0)
        g->file = NULL;
    else if (g->file || g->len + need > most)
        journal_seal(j);
    if (j->failed)
        return;
    // The next one may have been placed where too little is left.
    if (!open_fits(j, need, false) && j->open->count == 0)
        j->open->file = NULL;
}

static uint32_t payload_crc(const struct iovec *payload, uint32_t n)
{
    uint32_t crc = 0;
    for (uint32_t i = 0; i < n; i++)
        crc = crc32c(crc, payload[i].iov_base, payload[i].iov_len);
    return crc;
}

uint64_t journal_add(struct journal *j, const struct jentry *entry, const struct iovec *payload, uint32_t n)
{
    struct jentry e = *entry;
    SL_ASSERT(e.type >= JE_BATCH && e.type <= JE_EPOCH);
    bool is_reserved = e.type != JE_BATCH && e.type != JE_PREFIX;
    uint64_t need = entry_need(jentry_payload_len(&e));
    if (e.type != JE_BATCH) {
        SL_ASSERT(e.bytes == 0 || (e.flags & JE_INLINE));
        e.crc = e.bytes ? payload_crc(payload, n) : 0;
    } else if (e.flags & JE_EDGES) {
        e.edges_crc = payload_crc(payload, n);
    }
    if (is_reserved && !j->failed)
        reserve_place(j, need);
    if (j->failed)
        return j->open->sequence;
    SL_ASSERT(is_reserved || open_fits(j, need, false));
    if (!group_append(j, j->open, &e, payload, n)) {
        journal_fail(j, -ENOMEM);
        return j->open->sequence;
    }
    j->stats.entries++;
    uint64_t inl = jentry_payload_len(&e);
    j->stats.inline_bytes += inl;
    if (e.type == JE_BATCH) {
        j->stats.direct_bytes += e.bytes - inl;
        reactor_count(j->r, METRIC_JOURNAL_INLINE_BYTES, inl);
        reactor_count(j->r, METRIC_JOURNAL_DIRECT_BYTES, e.bytes - inl);
    }
    // A group of reserved entries without a place gets one as soon as it can.
    if (!j->open->file)
        (void)journal_place(j);
    return j->open->sequence;
}

uint64_t journal_open_generation(const struct journal *j)
{
    return j->open->file ? j->open->file->generation : j->cur->generation;
}

uint64_t journal_open_sequence(const struct journal *j)
{
    return j->open->sequence;
}

uint64_t journal_durable_sequence(const struct journal *j)
{
    return j->durable;
}

uint64_t journal_started_ns(const struct journal *j)
{
    return j->last_started_ns;
}

const struct journal_stats *journal_get_stats(const struct journal *j)
{
    return &j->stats;
}

// ---- writing
// --------------------------------------------------------------------------------------------------------
// Whether the open group may start beside what is in flight: measured, small groups side by side make the
// tail longer.
static bool open_may_start(const struct journal *j)
{
    if (j->in_flight_n == 0 || j->open->len >= j->cfg.large_group)
        return true;
    const struct jgrp *newest = list_entry(list_last(&j->in_flight), struct jgrp, node);
    return reactor_now(j->r) >= newest->started_ns + j->cfg.late_us * 1000ull;
}

static bool start_next(struct journal *j)
{
    if (j->failed || j->closing || j->in_flight_n >= j->cfg.slots)
        return false;
    (void)journal_place(j);
    if (list_empty(&j->pending)) {
        if (j->open->count == 0 || !j->open->file || !open_may_start(j))
            return false;
        journal_seal(j);
        if (j->failed)
            return false;
    }
    struct jgrp *g = list_entry(list_first(&j->pending), struct jgrp, node);
    if (!g->file)
        return false;
    list_remove(&g->node);
    return group_start(j, g);
}

// Nobody else may call when the group in flight becomes late.
static void late_arm(struct journal *j)
{
    bool waits = j->open->count > 0 && j->open->file && list_empty(&j->pending);
    if (j->failed || j->late.armed || !waits || j->in_flight_n == 0 || j->in_flight_n >= j->cfg.slots)
        return;
    const struct jgrp *newest = list_entry(list_last(&j->in_flight), struct jgrp, node);
    timer_set(j->r, &j->late, newest->started_ns + j->cfg.late_us * 1000ull);
}

bool journal_flush(struct journal *j)
{
    bool started = false;
    if (SL_CANARY(CACHING_NOT_SUBMITTED) && reactor_now(j->r) < j->last_done_ns + 3000000000ull)
        return false;
    while (start_next(j))
        started = true;
    if (started)
        journal_room_maybe(j); // the open group is empty again
    late_arm(j);
    return started;
}

static void on_late(struct timer *t)
{
    (void)journal_flush(SL_CONTAINER_OF(t, struct journal, late));
}

static bool is_idle(const struct journal *j)
{
    return j->in_flight_n == 0 && j->open->count == 0 && list_empty(&j->pending);
}

static void idle_arm(struct journal *j)
{
    if (is_idle(j) && !j->last_closing && !j->closing && !j->idle.armed)
        timer_set(j->r, &j->idle, j->last_done_ns + JOURNAL_IDLE_MS * 1000000ull);
}

// Writes the closing header: an empty group, whose durable-through covers the last acknowledged one.
static void on_idle(struct timer *t)
{
    struct journal *j = SL_CONTAINER_OF(t, struct journal, idle);
    if (j->failed || j->closing || j->last_closing || !is_idle(j))
        return;
    if (reactor_now(j->r) < j->last_done_ns + JOURNAL_IDLE_MS * 1000000ull) {
        idle_arm(j);
        return;
    }
    if (!open_fits(j, 0, false)) {
        struct jfile *next = jfile_find_free(j, JOURNAL_HEADER, false);
        if (!next)
            return; // every file waits for a checkpoint: the next group will be the successor
        jfile_rotate(j, next, j->open->sequence);
        j->open->file = j->cur;
        j->open->position = 0;
    }
    j->open->flags |= JGROUP_CLOSING;
    journal_seal(j);
    if (!j->failed)
        (void)start_next(j);
}

// ---- completion
// -----------------------------------------------------------------------------------------------------
static void group_count(struct journal *j, const struct jgrp *g)
{
    struct metrics *m = reactor_metrics(j->r);
    if (!m)
        return;
    metric_add(m, METRIC_COMMIT_GROUPS, 1);
    metric_add(m, METRIC_JOURNAL_BYTES, g->length);
    metric_observe(m, METRIC_COMMIT_GROUP_BYTES, g->length);
    metric_observe(m, METRIC_COMMIT_GROUP_ENTRIES, g->count);
    metric_observe(m, METRIC_COMMIT_NS, io_now_ns(reactor_io(j->r)) - g->started_ns);
}

static void complete_in_sequence(struct journal *j)
{
    uint64_t before = j->durable;
    struct list_node *n;
    while ((n = list_first(&j->in_flight)) && list_entry(n, struct jgrp, node)->written) {
        struct jgrp *g = list_entry(n, struct jgrp, node);
        SL_ASSERT(g->sequence == j->durable + 1);
        list_remove(n);
        j->in_flight_n--;
        j->durable = g->sequence;
        j->last_started_ns = g->started_ns;
        group_count(j, g);
        group_put(j, g);
    }
    if (j->durable == before)
        return;
    j->last_done_ns = reactor_now(j->r);
    idle_arm(j);
    if (next_full(j))
        ready_push(j->r, &j->notify);
    if (j->starved)
        journal_room_maybe(j);
    journal_wake(j);
    j->owner.durable(j->owner.ctx, j->durable);
}

// Takes note of `res` bytes written. 0: whole; -EAGAIN: more to write; or the error.
static int write_progress(struct jgrp *g, int32_t res)
{
    if (res < 0 && res != -EINTR && res != -EAGAIN)
        return res;
    // A short write may end inside a block: that block is written again, whole.
    uint32_t whole = res > 0 ? SL_ALIGN_DOWN((uint32_t)res, (uint32_t)JOURNAL_BLOCK) : 0;
    SL_ASSERT(whole <= g->length - g->done);
    g->done += whole;
    g->stuck = whole ? 0 : g->stuck + 1;
    if (g->done == g->length)
        return 0;
    return g->stuck < JOURNAL_STUCK_MAX ? -EAGAIN : -EIO;
}

void journal_write_done(struct io_op *op, int32_t res)
{
    struct jgrp *g = SL_CONTAINER_OF(op, struct jgrp, op);
    struct journal *j = g->j;
    int rc = write_progress(g, res);
    if (rc == -EAGAIN && !j->failed) {
        group_write(j, g);
        return;
    }
    if (rc == 0 && !j->failed) {
        g->written = true;
        if (SL_CANARY(OUT_OF_SEQUENCE))
            j->owner.durable(j->owner.ctx, g->sequence);
        complete_in_sequence(j);
        return;
    }
    // Offline: nothing counts any more, not even what was written whole.
    list_remove(&g->node);
    j->in_flight_n--;
    group_put(j, g);
    journal_wake(j);
    if (rc != 0 && rc != -EAGAIN)
        journal_fail(j, rc);
}

// ---- closing
// --------------------------------------------------------------------------------------------------------
// The last group that has entries and a place: groups without one wait for a file to be recycled, and what recycles it may
// be waiting here.
static uint64_t last_placed(struct journal *j)
{
    (void)journal_place(j);
    list_foreach(n, &j->pending)
    {
        const struct jgrp *g = list_entry(n, struct jgrp, node);
        if (!g->file)
            return g->sequence - 1;
    }
    return j->open->count > 0 && j->open->file ? j->open->sequence : j->open->sequence - 1;
}

int journal_drain(struct journal *j)
{
    uint64_t target = last_placed(j);
    while (!j->failed && j->durable < target) {
        (void)journal_flush(j);
        if (!j->failed && j->durable < target)
            wait_change(j);
    }
    return j->failed;
}

// Groups that were written whole but wait behind a failed one have no completion to come.
static bool writes_out(const struct journal *j)
{
    list_foreach(n, &j->in_flight) if (!list_entry(n, struct jgrp, node)->written) return true;
    return false;
}

int journal_close(struct journal *j)
{
    int rc = journal_drain(j);
    if (rc == 0 && (j->open->count > 0 || !list_empty(&j->pending)))
        rc = -ENOSPC;
    j->closing = true;
    timer_cancel(j->r, &j->late);
    timer_cancel(j->r, &j->idle);
    while (writes_out(j) || j->preparing)
        wait_change(j);
    while (j->notify.queued)
        fiber_yield();
    for (uint32_t i = 0; i < j->cfg.files; i++) {
        if (j->files[i].f < 0)
            continue;
        int rc2 = fio_close(j->files[i].f);
        j->files[i].f = -1;
        rc = rc ? rc : rc2;
    }
    return rc;
}

static void groups_destroy(struct list_node *head)
{
    struct list_node *n;
    while ((n = list_pop_front(head)))
        group_destroy(list_entry(n, struct jgrp, node));
}

void journal_destroy(struct journal *j)
{
    if (!j)
        return;
    groups_destroy(&j->pending);
    groups_destroy(&j->in_flight);
    groups_destroy(&j->spare);
    group_destroy(j->open);
    chunk_free_all(j);
    free(j->files);
    free(j);
}
