// Recovery of a log of ours: the checkpoint says how it was, the journal's entries what came after. Bytes of entries are
// laid over the segment blocks; entries behind the checkpoint's end also move the end, the producer state, the epochs and
// the index. Every file written is synced, and sealed ones are cut to their length again (S4, S9). Direct batches are looked at
// in the file: with their CRC where they are not confirmed, and where one does not hold, the log ends; else their header
// (direct.h).
#include "engine/log/recover.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replay {
    struct log *l;
    struct recover_dir *dir;
    struct layer layer;
    int64_t end;          // of the log
    int64_t ckpt_end;     // entries below only lay bytes
    int64_t ckpt_segment; // segments below are finished: nothing is laid there
    int64_t settled;      // nor below this one, by the fences
    int64_t confirmed;    // direct bytes of batches below are synced
    bool cut;             // the log ended before the entries did
    bool changed;         // entries were laid, or files removed
    bool sync;            // not in a bulk
    char *err;
    size_t cap;
};

static int broken(struct replay *r, const struct jentry *e, const char *what)
{
    snprintf(r->err, r->cap,
             "journal entry of %s-%d (segment %lld, position %u, offset %lld) %s: the journal and the log do "
             "not fit "
             "together",
             r->l->topic, r->l->partition, (long long)e->segment_base, e->position, (long long)e->base_offset,
             what);
    return -EUCLEAN;
}

static struct segment *find_segment(struct log *l, int64_t base)
{
    uint32_t i;
    struct segment *s = log_segment_for(l, base, &i);
    return s && s->base_offset == base ? s : NULL;
}

static uint64_t file_size(const struct recover_dir *d, int64_t base)
{
    for (uint32_t i = 0; i < d->logs.n; i++)
        if (d->logs.v[i] == base)
            return d->sizes[i];
    return 0;
}

// The segments that the checkpoint or a fence knows: those below the checkpoint's active one, or settled, were finished. The
// active one may be shorter in the file than the checkpoint says: what was allocated after the sync is durable only as
// entries, which are laid first.
static int load_segments(struct replay *r, const struct ckpt_log *c)
{
    struct log *l = r->l;
    int rc = 0;
    for (uint32_t i = 0; i < r->dir->logs.n && !rc; i++) {
        int64_t base = r->dir->logs.v[i];
        bool settled = base < r->ckpt_segment || base < r->settled,
             active = !settled && base == r->ckpt_segment;
        if (!settled && !active)
            break;
        struct segment *s =
            recover_add_segment(l, base, settled ? (uint32_t)r->dir->sizes[i] : c->end_position, &rc);
        if (s)
            s->index_doubted = true;
        if (s && active) {
            s->allocated = (uint32_t)SL_MIN(r->dir->sizes[i], (uint64_t)UINT32_MAX);
            s->touched = true;
            s->max_timestamp = c->max_timestamp;
            s->max_timestamp_offset = c->max_timestamp_offset;
        }
    }
    return rc;
}

static int load_checkpoint(struct replay *r, const struct ckpt_log *c)
{
    struct log *l = r->l;
    int rc = 0;
    if (c->end_position && !find_segment(l, c->segment_base) && c->segment_base >= r->settled) {
        snprintf(r->err, r->cap, "%s/%020lld.log is missing, %u bytes of it were checkpointed", l->dir,
                 (long long)c->segment_base, c->end_position);
        return -EUCLEAN;
    }
    l->incarnation = SL_MAX(l->incarnation, c->incarnation);
    l->log_start = SL_MAX(l->log_start, c->log_start);
    l->leader_epoch = c->leader_epoch;
    r->end = r->ckpt_end = c->end_offset;
    if (c->producers_len)
        rc = producer_state_snapshot_load(&l->producers, c->producers, c->producers_len, c->end_offset, 0,
                                          INT64_MAX);
    if (!rc && c->epochs_len)
        rc = epoch_cache_load(&l->epochs, c->epochs, c->epochs_len);
    if (rc && !r->err[0])
        snprintf(r->err, r->cap, "the checkpoint of %s-%d cannot be read", l->topic, l->partition);
    return rc;
}

// A segment that entries name and that the checkpoint did not know: its file was made by a roll.
static struct segment *new_segment(struct replay *r, const struct jentry *e, int *rc)
{
    struct segment *last = log_active(r->l);
    if (last && e->segment_base <= last->base_offset) {
        *rc = broken(r, e, "names a segment that is not the next one");
        return NULL;
    }
    struct segment *s = recover_add_segment(r->l, e->segment_base, 0, rc);
    if (s)
        s->allocated = (uint32_t)SL_MIN(file_size(r->dir, e->segment_base), (uint64_t)UINT32_MAX);
    return s;
}

// What is known of a direct batch without its records. It is not a control batch.
static void info_of(const struct jentry *e, struct batch_info *b)
{
    *b = (struct batch_info){.base_offset = e->base_offset,
                             .base_timestamp = e->max_timestamp,
                             .max_timestamp = e->max_timestamp,
                             .producer_id = e->producer_id,
                             .size = e->bytes,
                             .leader_epoch = e->leader_epoch,
                             .crc = e->crc,
                             .last_offset_delta = (int32_t)(e->last_offset - e->base_offset),
                             .base_sequence = e->base_sequence,
                             .record_count = e->record_count,
                             .attributes = e->attributes,
                             .producer_epoch = e->producer_epoch,
                             .magic = BATCH_MAGIC_V2};
}

// What a batch says of producers and epochs, and where the log ends.
static int apply_state(struct replay *r, const struct store_entry *se, struct batch_info *b)
{
    struct log *l = r->l;
    const struct jentry *e = &se->e;
    bool direct = !(e->flags & JE_INLINE);
    struct producer_completed done = {.first_offset = -1};
    if (e->base_offset < r->end)
        return broken(r, e, "does not continue the log");
    if (direct)
        info_of(e, b);
    else if (batch_parse(se->payload, e->bytes, b) || b->base_offset != e->base_offset)
        return broken(r, e, "holds no batch");
    int rc = direct ? producer_state_apply(&l->producers, b)
                    : producer_state_apply_batch(&l->producers, se->payload, e->bytes, &done);
    if (!rc)
        log_aborted_add(l, &done);
    if (!rc && b->leader_epoch > epoch_cache_latest(&l->epochs))
        rc = SL_MIN(epoch_cache_assign(&l->epochs, b->leader_epoch, b->base_offset), 0);
    if (rc)
        return rc;
    l->leader_epoch = SL_MAX(l->leader_epoch, b->leader_epoch);
    r->end = e->last_offset + 1;
    return 0;
}

static int apply_batch(struct replay *r, struct segment *s, const struct store_entry *se)
{
    struct log *l = r->l;
    const struct jentry *e = &se->e;
    struct batch_info b;
    if (e->position != s->size)
        return broken(r, e, "does not continue the log");
    int rc = apply_state(r, se, &b);
    if (rc)
        return rc;
    s->size += e->bytes;
    if (s->index_loaded)
        log_index_batch(l, s, e->position, &b);
    if (b.max_timestamp > s->max_timestamp) {
        s->max_timestamp = b.max_timestamp;
        s->max_timestamp_offset = e->last_offset;
    }
    return 0;
}

static int lay(struct replay *r, struct segment *s, const struct store_entry *se)
{
    const struct jentry *e = &se->e;
    uint32_t head, tail;
    if (e->flags & JE_INLINE)
        return layer_put(&r->layer, s, e->position, se->payload, e->bytes);
    if (!(e->flags & JE_EDGES) || !jentry_edges(e->position, e->bytes, &head, &tail))
        return 0;
    int rc = head ? layer_put(&r->layer, s, e->position, se->payload, head) : 0;
    return rc || !tail ? rc
                       : layer_put(&r->layer, s, e->position + e->bytes - tail, se->payload + head, tail);
}

// A batch in the file alone: 0, also where the log ends before it.
static int check_direct(struct replay *r, struct segment *s, const struct store_entry *se)
{
    const struct jentry *e = &se->e;
    bool confirmed = e->last_offset < SL_MAX(r->confirmed, r->ckpt_end);
    if (!(e->flags & JE_EDGES) || (e->attributes & BATCH_ATTR_CONTROL))
        return broken(r, e, "is of a kind that is not known");
    int rc = direct_check(s, se, !confirmed);
    if (rc != -EBADMSG)
        return rc;
    if (confirmed) {
        snprintf(r->err, r->cap,
                 "%s/%020lld.log does not hold at position %u the batch of offset %lld, which was synced "
                 "there: the file is "
                 "damaged",
                 r->l->dir, (long long)e->segment_base, e->position, (long long)e->base_offset);
        return -EUCLEAN;
    }
    sl_log(SL_WARN, "log",
           "%s-%d ends at offset %lld: what follows was not written whole and never acknowledged",
           r->l->topic, r->l->partition, (long long)e->base_offset);
    r->cut = true;
    return 0;
}

static int replay_entry(struct replay *r, const struct store_entry *se)
{
    const struct jentry *e = &se->e;
    int rc = 0;
    if (r->cut || (e->type != JE_BATCH && e->type != JE_PREFIX))
        return 0;
    bool behind = e->type == JE_BATCH && e->last_offset >= r->ckpt_end;
    if (se->state_only || e->segment_base < r->settled)
        return behind ? apply_state(r, se, &(struct batch_info){0}) : 0;
    // Finished segments have all their bytes and end where their file ends. Laying blocks there would make it longer, and a
    // crash before it is cut again would leave it so.
    if (e->segment_base < r->ckpt_segment)
        return behind ? broken(r, e, "lies in a segment that was finished") : 0;
    struct segment *s = find_segment(r->l, e->segment_base);
    if (!s)
        s = new_segment(r, e, &rc);
    if (s && behind && !(e->flags & JE_INLINE))
        rc = check_direct(r, s, se);
    if (rc || r->cut)
        return rc;
    if (s && se->payload)
        rc = lay(r, s, se);
    if (s)
        s->touched = true;
    return rc || !behind ? rc : apply_batch(r, s, se);
}

static int check_length(struct replay *r, const struct segment *s)
{
    if (s->allocated >= s->size)
        return 0;
    snprintf(r->err, r->cap,
             "%s/%020lld.log is %u bytes long, and neither it nor the journal has the %u bytes that it held",
             r->l->dir, (long long)s->base_offset, s->allocated, s->size);
    return -EUCLEAN;
}

// Bytes that are only readable are not durable: everything laid is synced before the log serves (S4), here or by the bulk. All
// segments but the last are finished: the next checkpoint will say so. A log without entries is as it was when its checkpoint was written,
// and that was synced before; but a segment of which the checkpoint has no byte may be a roll that was cut short, whose name
// is not durable.
static int sync_touched(struct replay *r)
{
    struct log *l = r->l;
    int rc = 0;
    for (uint32_t i = 0; i < l->segments_n && !rc; i++) {
        struct segment *s = l->segments[i];
        s->flushed = s->synced = s->mem_start = s->size;
        if (!s->touched)
            continue;
        rc = check_length(r, s);
        if (!r->changed)
            continue;
        if (!rc && i + 1 < l->segments_n) {
            rc = segment_cut(s, r->sync);
            if (!rc)
                rc = segment_put_indexes(s, r->sync);
        } else if (!rc && r->sync && s->file >= 0 && !SL_CANARY(NO_SYNC_ON_RECOVERY)) {
            rc = fio_fsync(s->file, false);
        }
    }
    return rc || !r->changed || !r->sync ? rc : fio_sync_dir(l->dir);
}

// Settled segments' index files were synced, but not the directory for their names' sake: a power cut may take one of the two
// or both. This log does without (segment_load_index), but upstream believes an index that has no time index beside it, and
// then finds no time in that segment.
static int restore_indexes(struct replay *r)
{
    struct log *l = r->l;
    bool restored = false;
    int rc = 0;
    for (uint32_t i = 0; i + 1 < l->segments_n && !rc; i++) {
        struct segment *s = l->segments[i];
        if (s->touched || recover_has_indexes(r->dir, s->base_offset))
            continue;
        rc = segment_put_indexes(s, r->sync);
        if (!rc)
            rc = segment_close(s);
        restored = true;
    }
    return rc || !restored || !r->sync ? rc : fio_sync_dir(l->dir);
}

// Files of segments that no durable entry names: a roll whose first append was never acknowledged, or what lies below the
// start.
static int remove_stale(struct replay *r)
{
    int rc = 0;
    int64_t first = r->l->segments_n ? r->l->segments[0]->base_offset : r->end;
    for (uint32_t i = 0; i < r->dir->logs.n && !rc; i++)
        if (!find_segment(r->l, r->dir->logs.v[i])) {
            r->changed = true;
            rc = recover_unlink_segment(r->l, r->dir->logs.v[i]);
        }
    for (uint32_t i = 0; i < r->dir->snapshots.n && !rc; i++) {
        char path[1500];
        if (r->dir->snapshots.v[i] <= r->end && r->dir->snapshots.v[i] >= first)
            continue;
        r->changed = true;
        snprintf(path, sizeof(path), "%s/%020lld.snapshot", r->l->dir, (long long)r->dir->snapshots.v[i]);
        rc = fio_unlink(path, false);
    }
    return rc;
}

// Before the segments below the start go: what is left is what the log is.
static void begin_at(struct replay *r)
{
    struct log *l = r->l;
    // With write caching the fence may have outlived the records that it deletes: the log goes on behind them.
    r->end = SL_MAX(r->end, l->log_start);
    (void)epoch_cache_truncate_start(&l->epochs, l->log_start);
    producer_state_on_log_start(&l->producers, l->log_start);
    recover_drop_below_start(l);
    // Nothing of the last segment counts, and it need not be whole: entries of settled segments lay no bytes.
    struct segment *s = log_active(l);
    if (s && s->base_offset < r->settled && r->end == l->log_start) {
        segment_close(s);
        segment_free(s);
        l->segments_n = 0;
    }
}

// The segment that the log starts in. Those below it hold nothing but deleted records: they may be gone already, removed by
// retention or by a start that did not get to its end, and need not be whole. INT64_MAX: all that there was is deleted.
static int64_t first_needed(const struct recover_dir *d, const struct store_log *sl)
{
    int64_t floor = SL_MAX(sl->floor, sl->has_checkpoint ? sl->ckpt.log_start : 0), base = INT64_MIN;
    bool left = sl->has_checkpoint && sl->ckpt.end_offset > floor;
    if (floor <= 0)
        return INT64_MIN;
    if (left && sl->ckpt.segment_base <= floor)
        base = sl->ckpt.segment_base;
    for (uint32_t i = 0; i < sl->entries_n; i++) {
        const struct jentry *e = &sl->entries[i].e;
        if (e->type != JE_BATCH || e->last_offset < floor)
            continue;
        left = true;
        base = e->segment_base <= floor ? SL_MAX(base, e->segment_base) : base;
    }
    for (uint32_t i = 0; i < d->logs.n; i++)
        base = d->logs.v[i] <= floor ? SL_MAX(base, d->logs.v[i]) : base;
    return left ? base : INT64_MAX;
}

int recover_from_journal(struct log *l, struct recover_dir *d, const struct log_left *left, char *err,
                         size_t cap)
{
    struct store_log *sl = left->sl;
    struct replay r = {.l = l,
                       .dir = d,
                       .ckpt_segment = sl->has_checkpoint ? sl->ckpt.segment_base : INT64_MIN,
                       .settled = SL_MAX(sl->settled, first_needed(d, sl)),
                       .changed = sl->entries_n > 0,
                       .sync = !left->bulk,
                       .err = err,
                       .cap = cap};
    for (uint32_t i = 0; i < sl->entries_n; i++)
        if (sl->entries[i].e.type == JE_CONFIRMED)
            r.confirmed = SL_MAX(r.confirmed, sl->entries[i].e.last_offset);
    l->log_start = sl->floor;
    l->incarnation = sl->incarnation;
    int rc = load_segments(&r, &sl->ckpt);
    r.changed |= l->segments_n && !sl->ckpt.end_position;
    if (!rc && sl->has_checkpoint)
        rc = load_checkpoint(&r, &sl->ckpt);
    for (uint32_t i = 0; i < sl->entries_n && !rc; i++)
        rc = replay_entry(&r, &sl->entries[i]);
    if (!rc)
        rc = layer_flush(&r.layer);
    layer_free(&r.layer);
    if (!rc)
        begin_at(&r);
    if (!rc)
        rc = remove_stale(&r);
    if (!rc)
        rc = sync_touched(&r);
    if (!rc)
        rc = restore_indexes(&r);
    if (rc) {
        if (!err[0])
            snprintf(err, cap, "replaying the journal of %s-%d: %s", l->topic, l->partition, strerror(-rc));
        return rc;
    }
    recover_set_end(l, r.end);
    return 0;
}
