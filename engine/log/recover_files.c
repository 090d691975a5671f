// Recovery of a log from its files alone: after a clean stop (ours or upstream's) the length of each file is the truth and
// the producer snapshot at the end is the state; after an unclean stop of upstream every batch from the recovery point's
// segment on is checked and the log is cut at the first that does not hold, as upstream does.
#include "engine/log/recover.h"

#include "engine/base/crc32c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    struct log *l;
    struct recover_dir *dir;
    int64_t end;
    uint8_t *buf;
    size_t cap;
};

static int load_epochs(struct log *l)
{
    char path[1500];
    uint8_t *text = NULL;
    size_t n = 0;
    snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", l->dir);
    int rc = fio_read_file(path, 16u << 20, &text, &n);
    if (rc == -ENOENT)
        return 0;
    if (!rc)
        rc = epoch_cache_parse(&l->epochs, (const char *)text, n);
    free(text);
    if (rc == -EBADMSG) { // batches carry their epochs: the cache is rebuilt from those that are read
        sl_log(SL_WARN, "log", "%s is damaged and left out", path);
        rc = 0;
    }
    return rc;
}

// The newest snapshot at or below `upto` that can be read. Returns its offset, or the log's start with an empty state. One from
// before the start does not count (none was written since, on a full disk): of the batches behind it some are gone, so it
// would take the next one of a producer for out of order. Upstream leaves those out, too (ProducerStateManager).
static int64_t load_snapshot(struct scan *sc, int64_t upto)
{
    struct log *l = sc->l;
    for (uint32_t i = sc->dir->snapshots.n; i-- > 0;) {
        char path[1500];
        uint8_t *p = NULL;
        size_t n = 0;
        int64_t at = sc->dir->snapshots.v[i];
        if (at > upto || at < l->log_start)
            continue;
        snprintf(path, sizeof(path), "%s/%020lld.snapshot", l->dir, (long long)at);
        int rc = fio_read_file(path, 1u << 30, &p, &n);
        if (!rc)
            rc = producer_state_snapshot_load(&l->producers, p, n, at, 0, INT64_MAX);
        free(p);
        if (!rc)
            return at;
        sl_log(SL_WARN, "log", "%s cannot be read and is left out", path);
    }
    producer_state_clear(&l->producers, l->log_start);
    return l->log_start;
}

static int grow(struct scan *sc, size_t n)
{
    if (n <= sc->cap)
        return 0;
    free(sc->buf);
    sc->cap = SL_ALIGN_UP(n, (size_t)(1 << 20));
    sc->buf = malloc(sc->cap);
    return sc->buf ? 0 : -ENOMEM;
}

// The whole batch at `pos` into sc->buf, checked with its CRC. -EBADMSG: it does not hold.
static int read_batch(struct scan *sc, struct segment *s, uint32_t pos, struct batch_info *b)
{
    int rc = log_header_at(s, pos, b);
    if (!rc)
        rc = grow(sc, b->size);
    if (!rc)
        rc = log_read_bytes(s, pos, sc->buf, b->size);
    if (!rc && batch_compute_crc(sc->buf) != b->crc)
        rc = -EBADMSG;
    return rc;
}

static int apply(struct scan *sc, const struct batch_info *b, int64_t from)
{
    struct producer_completed done = {.first_offset = -1};
    int rc = 0;
    if (b->base_offset >= from)
        rc = producer_state_apply_batch(&sc->l->producers, sc->buf, b->size, &done);
    if (!rc)
        log_aborted_add(sc->l, &done);
    if (!rc && b->leader_epoch > epoch_cache_latest(&sc->l->epochs))
        rc = SL_MIN(epoch_cache_assign(&sc->l->epochs, b->leader_epoch, b->base_offset), 0);
    return rc;
}

// Walks a segment from `pos`, checking every batch and applying those from offset `from` on. The segment ends, and
// *whole is false, where a batch does not hold.
static int scan_segment(struct scan *sc, struct segment *s, uint32_t pos, int64_t from, bool *whole)
{
    struct batch_info b;
    uint32_t size = s->size;
    *whole = true;
    while (pos < size) {
        int rc = read_batch(sc, s, pos, &b);
        if (rc == -EBADMSG || (!rc && b.base_offset < sc->end)) {
            *whole = false;
            s->size = s->flushed = s->synced = s->mem_start = pos;
            return 0;
        }
        if (!rc)
            rc = apply(sc, &b, from);
        if (rc)
            return rc;
        pos += b.size;
        sc->end = b.base_offset + b.last_offset_delta + 1;
        if (b.max_timestamp > s->max_timestamp) {
            s->max_timestamp = b.max_timestamp;
            s->max_timestamp_offset = sc->end - 1;
        }
    }
    return 0;
}

static int drop_segments_behind(struct log *l, uint32_t keep)
{
    int rc = 0;
    while (l->segments_n > keep && !rc) {
        struct segment *s = l->segments[--l->segments_n];
        sl_log(SL_WARN, "log", "%s-%d: segment %lld does not continue the log and is removed", l->topic,
               l->partition, (long long)s->base_offset);
        rc = recover_unlink_segment(l, s->base_offset);
        segment_close(s);
        segment_free(s);
    }
    return rc;
}

// ---- clean ----------------------------------------------------------------------------------------------------------------
// The end of a clean segment: loading its index walks what lies behind the last entry, which is sound if that works.
static int clean_end(struct scan *sc, struct segment *s, bool *sound)
{
    struct batch_info b;
    int rc = segment_load_index(s);
    *sound = rc != -EBADMSG;
    sc->end = s->base_offset;
    if (rc)
        return *sound ? rc : 0;
    uint32_t pos = offset_index_last(&s->index).position;
    for (; pos < s->size; pos += b.size) {
        rc = log_header_at(s, pos, &b);
        if (rc)
            return rc;
        sc->end = b.base_offset + b.last_offset_delta + 1;
    }
    return 0;
}

// State behind the newest snapshot, from the batches of segments that begin below `end`. After a clean stop there is nothing behind
// it.
static int replay_from(struct scan *sc, int64_t from, int64_t end)
{
    uint32_t i = 0, pos;
    struct batch_info b;
    bool whole;
    struct segment *s = log_segment_for(sc->l, from, &i);
    for (; s && s->base_offset < end; s = ++i < sc->l->segments_n ? sc->l->segments[i] : NULL) {
        int rc = log_find_batch(s, from, &pos, &b);
        if (rc == -ENOENT)
            continue;
        sc->end = rc ? 0 : b.base_offset;
        if (!rc)
            rc = scan_segment(sc, s, pos, from, &whole);
        if (rc || !whole)
            return rc ? rc : -EUCLEAN;
    }
    return 0;
}

// An empty last segment continues the one before it, as a roll leaves it; one whose name lies within that was a roll that
// failed.
static int clean_last(struct scan *sc, bool *sound)
{
    struct log *l = sc->l;
    struct segment *s = log_active(l);
    if (l->segments_n > 1 && !s->size) {
        int rc = clean_end(sc, l->segments[l->segments_n - 2], sound);
        if (rc || !*sound)
            return rc;
        if (sc->end != s->base_offset && (rc = drop_segments_behind(l, l->segments_n - 1)))
            return rc;
    }
    return clean_end(sc, log_active(l), sound);
}

static int recover_clean(struct scan *sc, bool *sound)
{
    struct log *l = sc->l;
    int rc = clean_last(sc, sound);
    if (rc || !*sound)
        return rc;
    int64_t end = sc->end, from = load_snapshot(sc, end);
    rc = from < end ? replay_from(sc, from, end) : 0;
    recover_set_end(l, end);
    return rc;
}

// ---- unclean --------------------------------------------------------------------------------------------------------------
// Cut, synced, with indexes made anew: what was only readable is durable from here on.
static int settle_segment(struct segment *s)
{
    char path[1500];
    snprintf(path, sizeof(path), "%s/%020lld.txnindex", s->log->dir, (long long)s->base_offset);
    int rc = fio_unlink(path, false); // written again by log_aborted_recovered, if its batches say so
    rc = rc == -ENOENT ? 0 : rc;
    if (!rc)
        rc = segment_cut(s, true);
    if (!rc)
        rc = segment_rebuild_index(s);
    return rc ? rc : segment_put_indexes(s, true);
}

// Snapshots of offsets that the log does not reach would be taken for true once it does.
static int drop_snapshots_behind(struct scan *sc)
{
    char path[1500];
    int rc = 0;
    for (uint32_t i = 0; i < sc->dir->snapshots.n && !rc; i++) {
        if (sc->dir->snapshots.v[i] <= sc->end)
            continue;
        snprintf(path, sizeof(path), "%s/%020lld.snapshot", sc->l->dir, (long long)sc->dir->snapshots.v[i]);
        rc = fio_unlink(path, false);
    }
    return rc;
}

// True if segment `i` was scanned and belongs to the log. One that overlaps what is before it does not; nor does an empty one
// that does not continue it: a roll, ahead of batches that are not there.
static bool belongs(const struct scan *sc, uint32_t i, uint32_t first, bool overlaps)
{
    const struct segment *s = sc->l->segments[i];
    return i == first || (!overlaps && (s->size || s->base_offset == sc->end));
}

static int check_from(struct scan *sc, uint32_t first)
{
    struct log *l = sc->l;
    int64_t from = load_snapshot(sc, l->segments[first]->base_offset);
    int64_t base = l->segments[first]->base_offset;
    bool whole = true;
    int rc = from < base ? replay_from(sc, from, base) : 0;
    sc->end = base;
    log_aborted_cut_end(l, base); // what follows is read
    for (uint32_t i = first; i < l->segments_n && !rc; i++) {
        struct segment *s = l->segments[i];
        bool overlaps = s->base_offset < sc->end;
        int64_t end = sc->end;
        if (!overlaps)
            rc = scan_segment(sc, s, 0, from, &whole);
        if (!rc && !belongs(sc, i, first, overlaps)) {
            sc->end = end;
            rc = drop_segments_behind(l, i);
            break;
        }
        if (!rc && !whole) {
            sl_log(SL_WARN, "log", "%s-%d: cut at position %u of segment %lld, offset %lld", l->topic,
                   l->partition, s->size, (long long)s->base_offset, (long long)sc->end);
            rc = drop_segments_behind(l, i + 1);
        }
        if (!rc)
            rc = settle_segment(s);
    }
    if (!rc)
        rc = drop_snapshots_behind(sc);
    epoch_cache_truncate_end(&l->epochs, sc->end);
    return rc ? rc : fio_sync_dir(l->dir);
}

static int recover_unclean(struct scan *sc, int64_t recovery_point)
{
    uint32_t first = 0;
    if (!log_segment_for(sc->l, recovery_point, &first))
        first = 0;
    int rc = check_from(sc, first);
    if (!rc)
        recover_set_end(sc->l, sc->end);
    return rc;
}

int recover_from_files(struct log *l, struct recover_dir *d, bool clean, int64_t recovery_point, char *err,
                       size_t cap)
{
    struct scan sc = {.l = l, .dir = d};
    bool sound = false;
    int rc = load_epochs(l);
    for (uint32_t i = 0; i < d->logs.n && !rc; i++)
        recover_add_segment(l, d->logs.v[i], (uint32_t)SL_MIN(d->sizes[i], (uint64_t)INT32_MAX), &rc);
    if (!rc && l->segments_n)
        l->log_start = l->segments[0]->base_offset;
    if (!rc && !l->segments_n)
        recover_set_end(l, 0);
    else if (!rc && clean)
        rc = recover_clean(&sc, &sound);
    if (!rc && l->segments_n && !sound) {
        if (clean)
            sl_log(SL_WARN, "log", "%s-%d: the last segment does not end where a batch ends: checking it",
                   l->topic, l->partition);
        rc = recover_unclean(&sc, clean ? log_active(l)->base_offset : recovery_point);
    }
    l->leader_epoch = SL_MAX(l->leader_epoch, epoch_cache_latest(&l->epochs));
    if (rc)
        snprintf(err, cap, "reading %s: %s", l->dir, strerror(-rc));
    free(sc.buf);
    return rc;
}
