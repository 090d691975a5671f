// A compacted segment on its way into its place. In this order, so that a crash at any moment leaves either the old segments
// whole or the new one:
//
//   1. <base>.<next>.cleaned is written, cut to its length and synced; <next> is where the segments end that it stands for.
//   2. A fence is durable: journal entries of segments below <next> lay no bytes any more (S3).
//   3. It is renamed to <base>.<next>.swap and the directory is synced. From here on it counts: a start that finds it removes
//      the segments from <base> up to <next> and gives it their place (recover_front.c).
//   4. In memory it takes their place; readers of the old ones go on with their open files.
//   5. The old files become *.deleted, its .txnindex is written, its indexes are written and synced, it becomes <base>.log: what
//      has that name has indexes that can be trusted.
//
// A start that finds *.cleaned removes it.
#include "engine/log/compact_private.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_BUF = 1 << 20, NAME_TRIES = 50, NAME_RETRY_NS = 100 * 1000 * 1000 };

static void out_path(const struct log *l, int64_t base, int64_t next, const char *end, char *out, size_t cap)
{
    snprintf(out, cap, "%s/%020lld.%020lld.%s", l->dir, (long long)base, (long long)next, end);
}

bool compact_parse_name(const char *name, const char *end, int64_t *base, int64_t *next)
{
    char *p;
    *base = strtoll(name, &p, 10);
    if (p - name != 20 || *p != '.')
        return false;
    const char *second = p + 1;
    *next = strtoll(second, &p, 10);
    return p - second == 20 && *p == '.' && !strcmp(p + 1, end) && *base >= 0 && *next > *base;
}

// ---- writing ------------------------------------------------------------------------------------------------------------------
int compact_out_begin(struct compact_out *o, struct compactor *c, struct log *l, int64_t base, int64_t next)
{
    char path[1600];
    *o = (struct compact_out){.c = c, .l = l, .next = next};
    o->s = segment_new(l, base, l->env->next_file_id++, l->cfg.segment_index_bytes);
    o->buf = aligned_alloc(IO_BLOCK, OUT_BUF);
    if (!o->s || !o->buf)
        return -ENOMEM;
    out_path(l, base, next, "cleaned", path, sizeof(path));
    (void)fio_unlink(path, false); // of an attempt that failed
    io_file f = fio_open(path, IO_RDWR | IO_DIRECT | IO_CREATE, 0644);
    if (f < 0)
        return f;
    o->s->file = f;
    return 0;
}

// Writes what fills whole blocks. Space comes first: no write makes the file longer.
static int out_flush(struct compact_out *o, uint32_t n)
{
    struct segment *s = o->s;
    uint32_t at = s->flushed;
    SL_ASSERT(n % IO_BLOCK == 0 && n <= OUT_BUF);
    int rc = at + n > s->allocated ? fio_fallocate(s->file, s->allocated, at + n - s->allocated) : 0;
    if (rc)
        return rc;
    s->allocated = SL_MAX(s->allocated, at + n);
    rc = fio_write(s->file, o->buf, n, at, 0);
    s->flushed += n;
    compactor_pace(o->c, n);
    return rc;
}

static int note_marker(struct compact_out *o, int64_t offset)
{
    if (o->markers_n == o->markers_cap) {
        uint32_t cap = o->markers_cap ? o->markers_cap * 2 : 16;
        int64_t *v = realloc(o->markers, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        o->markers = v;
        o->markers_cap = cap;
    }
    o->markers[o->markers_n++] = offset;
    return 0;
}

int compact_out_put(struct compact_out *o, const uint8_t *batch, const struct batch_info *b)
{
    struct segment *s = o->s;
    uint32_t n = b->size, pos = s->size;
    int rc = 0;
    if ((uint64_t)pos + n > INT32_MAX)
        return -EFBIG;
    if (batch_info_is_control(b) && b->record_count)
        rc = note_marker(o, batch_info_last_offset(b));
    log_index_batch(o->l, s, pos, b);
    s->size += n;
    while (n && !rc) {
        uint32_t k = SL_MIN(n, OUT_BUF - o->fill);
        memcpy(o->buf + o->fill, batch, k);
        o->fill += k;
        batch += k;
        n -= k;
        if (o->fill == OUT_BUF) {
            rc = out_flush(o, OUT_BUF);
            o->fill = 0;
        }
    }
    return rc;
}

int compact_out_finish(struct compact_out *o)
{
    struct segment *s = o->s;
    uint32_t n = SL_ALIGN_UP(o->fill, (uint32_t)IO_BLOCK);
    memset(o->buf + o->fill, 0, n - o->fill);
    int rc = n ? out_flush(o, n) : 0;
    if (!rc)
        rc = fio_ftruncate(s->file, s->size);
    if (!rc && !SL_CANARY(COMPACT_SWAP_UNSYNCED))
        rc = fio_fsync(s->file, false);
    if (!rc)
        rc = fio_sync_dir(o->l->dir);
    s->flushed = s->synced = s->mem_start = s->allocated = s->size;
    s->sealed = s->finished = true;
    return rc;
}

static void out_free(struct compact_out *o)
{
    free(o->buf);
    free(o->markers);
    o->buf = NULL;
    o->markers = NULL;
}

void compact_out_drop(struct compact_out *o)
{
    char path[1600];
    if (o->s) {
        out_path(o->l, o->s->base_offset, o->next, "cleaned", path, sizeof(path));
        if (segment_close(o->s) == 0)
            (void)trash_remove_file(o->l->env, o->l->dir, path);
        segment_free(o->s);
    }
    out_free(o);
}

// ---- the swap -------------------------------------------------------------------------------------------------------------------
// One that the journal has no room for in time does no harm when it comes later: the segments below `next` are finished.
static int fence(struct log *l, int64_t next)
{
    uint64_t sequence = log_add_fence(l, SL_MAX(l->log_start, l->floor), next);
    int rc = log_fence_wait(l, sequence, reactor_now(l->env->r) + LOG_FENCE_WAIT_NS);
    if (rc == -ETIMEDOUT)
        l->swap_sequence = sequence;
    return rc;
}

static int rename_cleaned(struct compact_out *o)
{
    char from[1600], to[1600];
    out_path(o->l, o->s->base_offset, o->next, "cleaned", from, sizeof(from));
    out_path(o->l, o->s->base_offset, o->next, "swap", to, sizeof(to));
    int rc = fio_rename(from, to);
    return rc || SL_CANARY(COMPACT_SWAP_UNSYNCED) ? rc : fio_sync_dir(o->l->dir);
}

// Holds io_lock. The old segments, *n of them, go to `old`.
static void replace(struct compact_out *o, struct segment **old, uint32_t *n)
{
    struct log *l = o->l;
    uint32_t first = 0;
    struct segment *at = log_segment_for(l, o->s->base_offset, &first);
    SL_ASSERT(at && at->base_offset == o->s->base_offset);
    for (*n = 0; l->segments[first + *n]->base_offset < o->next; ++*n) {
        struct segment *s = l->segments[first + *n];
        SL_ASSERT(s->finished && !s->writing && first + *n + 1 < l->segments_n);
        old[*n] = s;
        if (l->hint.seg == s)
            l->hint = (struct log_mark){0};
    }
    struct segment *next = l->segments[first + *n];
    SL_ASSERT(next->base_offset == o->next && l->finished_n >= first + *n);
    for (uint32_t i = 0; i < *n; i++)
        log_move_marks(l, old[i], next);
    l->segments[first] = o->s;
    memmove(l->segments + first + 1, l->segments + first + *n,
            (l->segments_n - first - *n) * sizeof(struct segment *));
    l->segments_n -= *n - 1;
    l->finished_n -= *n - 1;
    log_aborted_keep(l, o->s->base_offset, o->next, o->markers, o->markers_n);
}

static int rename_swap(struct compact_out *o)
{
    char from[1600], to[1600];
    out_path(o->l, o->s->base_offset, o->next, "swap", from, sizeof(from));
    segment_path(o->s, SEG_LOG, to, sizeof(to));
    return fio_rename(from, to);
}

// The old files go out of the way, the snapshot of the first stays, and the new one gets its name. *step: how many of the old
// ones are gone, n + 1 when the name is there; nothing is put away twice, for the new files have the first one's names.
static int take_names(struct compact_out *o, struct segment **old, uint32_t n, uint32_t *step)
{
    int rc = 0;
    for (; *step < n; ++*step)
        if ((rc = log_put_away(o->l, old[*step], *step > 0)) != 0)
            return rc;
    if (*step == n) {
        rc = log_aborted_write_segment(o->l, o->s->base_offset, o->next);
        if (!rc)
            rc = segment_put_indexes(o->s, true);
        if (!rc) // once the .swap is gone nothing tells that the old names have to go
            rc = fio_sync_dir(o->l->dir);
        if (!rc)
            rc = rename_swap(o);
        *step += !rc;
    }
    return rc || SL_CANARY(COMPACT_SWAP_UNSYNCED) ? rc : fio_sync_dir(o->l->dir);
}

// From here on memory has the new segment, and there is no way back: without its name it could not be opened again, and a
// .swap that stays would bring back, at a later start, what another compaction has made of it since. A shortage is waited
// for; a stop does so for a moment, and is not a clean one then.
static int take_names_surely(struct compact_out *o, struct segment **old, uint32_t n)
{
    struct log *l = o->l;
    uint32_t step = 0;
    int rc = take_names(o, old, n, &step);
    for (int tries = 0; rc && rc != -EIO && !l->env->failed; tries++) {
        if ((l->closed || l->env->stopping) && tries >= NAME_TRIES)
            break;
        SL_LOG_EVERY(10000, SL_ERROR, "log", "%s-%d: a compacted segment cannot get its name yet: %s",
                     l->topic, l->partition, strerror(-rc));
        fiber_sleep(NAME_RETRY_NS);
        rc = take_names(o, old, n, &step);
    }
    if (rc && l->env->stopping)
        log_broken(l, -EIO);
    return rc;
}

static int swap_locked(struct compact_out *o)
{
    struct log *l = o->l;
    uint32_t n = 0;
    struct segment **old = malloc(l->segments_n * sizeof(struct segment *));
    int rc = old ? rename_cleaned(o) : -ENOMEM;
    if (rc) { // perhaps renamed, perhaps not: what is in memory is what was there before, and so is what a start makes of it
        compact_out_drop(o);
        free(old);
        return rc;
    }
    segment_hold(o->s); // its file has no name of its own until later
    replace(o, old, &n);
    rc = take_names_surely(o, old, n);
    for (uint32_t i = 0; i < n; i++)
        segment_retire(old[i]);
    segment_release(o->s);
    out_free(o);
    free(old);
    return rc;
}

int compact_swap(struct compact_out *o)
{
    struct log *l = o->l;
    int rc = fence(l, o->next);
    if (rc) {
        compact_out_drop(o);
        return rc;
    }
    fiber_lock(&l->io_lock);
    rc = l->env->failed;
    if (rc)
        compact_out_drop(o);
    else
        rc = swap_locked(o);
    fiber_unlock(&l->io_lock);
    return rc;
}
