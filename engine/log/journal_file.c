// The journal's files: made, placed into, rotated and recycled.
//
// Each file keeps a reserve at its end that batches may not use, so that fences and confirmations, which a
// checkpoint may wait for, find room while every other file waits to be checkpointed.
#include "engine/log/journal_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"

enum {
    ZERO_PIECE =
        256 * 1024, // zeros written at once: small, so that a running journal's groups are not held up
    RESERVE_MIN = 2 * JOURNAL_BLOCK,
    RESERVE_MAX = 1024 * 1024,
    RETRY_MS = 100,
};

void journal_file_path(const struct journal_config *cfg, uint32_t n, char *out, size_t cap)
{
    const uint8_t *l = cfg->life.b;
    int len = snprintf(out, cap, "%s/%02x%02x%02x%02x-s%u-f%u.journal", cfg->dir, l[0], l[1], l[2], l[3],
                       cfg->shard, n);
    SL_ASSERT(len > 0 && (size_t)len < cap);
}

// Zeros in [from, to) of an open file, and their sync.
static int zero_fill(io_file f, uint64_t from, uint64_t to)
{
    void *zeros = aligned_alloc(JOURNAL_BLOCK, ZERO_PIECE);
    if (!zeros)
        return -ENOMEM;
    memset(zeros, 0, ZERO_PIECE);
    // Allocation first: a full disk says so here, not half-way, and the blocks lie together.
    int rc = fio_fallocate(f, from, to - from);
    for (uint64_t at = from; rc == 0 && at < to;) {
        size_t n = (size_t)SL_MIN(to - at, (uint64_t)ZERO_PIECE);
        rc = fio_write(f, zeros, n, at, 0);
        at += n;
    }
    if (rc == 0)
        rc = fio_fsync(f, false);
    free(zeros);
    return rc;
}

int journal_file_create(const char *path, uint64_t bytes)
{
    SL_ASSERT(bytes > 0 && bytes % JOURNAL_BLOCK == 0);
    io_file f = fio_open(path, IO_RDWR | IO_CREATE | IO_TRUNC | IO_DIRECT, 0600);
    if (f < 0)
        return f;
    int rc = zero_fill(f, 0, bytes);
    int rc2 = fio_close(f);
    rc = rc ? rc : rc2;
    if (rc)
        (void)fio_unlink(path, false);
    return rc;
}

// ---- the ring
// -------------------------------------------------------------------------------------------------------
uint64_t jfile_reserve(const struct jfile *f)
{
    uint64_t r = SL_ALIGN_DOWN(f->bytes / 16, (uint64_t)JOURNAL_BLOCK);
    return SL_MIN(SL_MAX(r, (uint64_t)RESERVE_MIN), (uint64_t)RESERVE_MAX);
}

bool jfile_fits(const struct jfile *f, uint64_t position, uint64_t len, uint64_t reserve)
{
    return position + group_padded(len) + reserve <= f->bytes;
}

struct jfile *jfile_find_free(struct journal *j, uint64_t len, bool reserve)
{
    list_foreach(n, &j->free_files)
    {
        struct jfile *f = list_entry(n, struct jfile, node);
        if (jfile_fits(f, 0, len, reserve ? jfile_reserve(f) : 0))
            return f;
    }
    return NULL;
}

bool journal_is_short(const struct journal *j)
{
    uint32_t free_files = 0;
    list_foreach(n, &j->free_files)
    {
        free_files++;
    }
    return free_files < j->cfg.files / 2;
}

void jfile_rotate(struct journal *j, struct jfile *next, uint64_t sequence)
{
    struct jfile *cur = j->cur;
    SL_ASSERT(next->state == JF_FREE && cur->state == JF_USED);
    list_remove(&next->node);
    next->state = JF_USED;
    next->full_told = false;
    if (j->cursor == 0) {
        // Nothing was placed there: it goes back unused, and its generation with it.
        next->generation = cur->generation;
        cur->state = JF_FREE;
        list_push_back(&j->free_files, &cur->node);
    } else {
        next->generation = cur->generation + 1;
        cur->last_sequence = sequence - 1;
        j->stats.rotations++;
    }
    j->cur = next;
    j->cursor = 0;
    ready_push(j->r, &j->notify); // the full one may be durable already
}

static bool group_place(struct journal *j, struct jgrp *g, bool may_rotate)
{
    if (!jfile_fits(j->cur, j->cursor, g->len, 0)) {
        struct jfile *next = may_rotate ? jfile_find_free(j, g->len, false) : NULL;
        if (!next)
            return false;
        jfile_rotate(j, next, g->sequence);
    }
    g->file = j->cur;
    g->position = j->cursor;
    return true;
}

bool journal_place(struct journal *j)
{
    list_foreach(n, &j->pending)
    {
        struct jgrp *g = list_entry(n, struct jgrp, node);
        if (g->file)
            continue;
        if (!group_place(j, g, true))
            return false;
        j->cursor += group_padded(g->len);
    }
    struct jgrp *g = j->open;
    // An empty group takes what is there, but is no reason to rotate. While open its length may still change,
    // so the cursor stays at its start.
    if (!g->file)
        (void)group_place(j, g, g->count > 0);
    return true;
}

static void file_free(struct journal *j, struct jfile *f)
{
    if (f->bytes < j->cfg.file_bytes) {
        f->state = JF_GROW;
        journal_prepare(j);
        return;
    }
    f->state = JF_FREE;
    list_push_back(&j->free_files, &f->node);
}

void journal_recycle(struct journal *j, uint64_t generation)
{
    for (uint32_t i = 0; i < j->cfg.files && !j->failed; i++) {
        struct jfile *f = &j->files[i];
        if (f->state != JF_USED || f == j->cur || f->generation > generation)
            continue;
        SL_ASSERT(f->last_sequence <= j->durable);
        file_free(j, f);
    }
    if (!j->failed)
        journal_room_maybe(j);
}

uint64_t journal_oldest_generation(const struct journal *j)
{
    uint64_t oldest = j->cur->generation;
    for (uint32_t i = 0; i < j->cfg.files; i++)
        if (j->files[i].state == JF_USED)
            oldest = SL_MIN(oldest, j->files[i].generation);
    return oldest;
}

// ---- the background fiber
// -------------------------------------------------------------------------------------------
static int file_make(struct journal *j, struct jfile *f)
{
    char path[1280];
    journal_file_path(&j->cfg, f->n, path, sizeof(path));
    int rc = journal_file_create(path, j->cfg.file_bytes);
    // The name must be durable before a group in the file may count.
    if (rc == 0)
        rc = fio_sync_dir(j->cfg.dir);
    if (rc)
        return rc;
    io_file h = fio_open(path, IO_RDWR | IO_DIRECT, 0);
    if (h < 0)
        return h;
    f->f = h;
    f->bytes = j->cfg.file_bytes;
    return 0;
}

static struct jfile *next_to_prepare(struct journal *j)
{
    for (uint32_t i = 0; i < j->cfg.files; i++)
        if (j->files[i].state == JF_MISSING || j->files[i].state == JF_GROW)
            return &j->files[i];
    return NULL;
}

static int prepare_one(struct journal *j, struct jfile *f)
{
    if (f->state == JF_MISSING)
        return file_make(j, f);
    int rc = zero_fill(f->f, f->bytes, j->cfg.file_bytes);
    if (rc == 0)
        f->bytes = j->cfg.file_bytes;
    return rc;
}

static void prepare_fiber(void *arg)
{
    struct journal *j = arg;
    struct jfile *f;
    while (!j->closing && !j->failed && (f = next_to_prepare(j))) {
        int rc = prepare_one(j, f);
        if (rc == -EIO || rc == -ECANCELED) {
            journal_fail(j, rc); // a broken disk, or an io that is shut down
        } else if (rc) {
            // No space, no descriptors: the journal goes on with the files it has, and this is tried again.
            SL_LOG_EVERY(10000, SL_ERROR, "journal", "cannot prepare a file dir=%s file=%u error=%s",
                         j->cfg.dir, f->n, strerror(-rc));
            fiber_sleep(RETRY_MS * 1000000ull);
        } else {
            f->state = JF_FREE;
            list_push_back(&j->free_files, &f->node);
            journal_room_maybe(j);
        }
    }
    j->preparing = false;
    journal_wake(j);
}

void journal_prepare(struct journal *j)
{
    if (j->preparing || j->closing || j->failed || !next_to_prepare(j))
        return;
    j->preparing = fiber_spawn(j->r, prepare_fiber, j, 0) != NULL;
    if (!j->preparing)
        SL_LOG_EVERY(10000, SL_ERROR, "journal", "no memory for a fiber dir=%s", j->cfg.dir);
}
