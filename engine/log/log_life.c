// Creation, clean close and deletion of a log: fibers.
#include "engine/log/log_private.h"

#include "engine/base/canary.h"
#include "engine/log/textfiles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int log_write_small(struct log *l, const char *name, const struct sbuf *b)
{
    char path[1500];
    snprintf(path, sizeof(path), "%s/%s", l->dir, name);
    return fio_write_file(path, b->data, b->len);
}

static int put_small(struct log *l, const char *name, const struct sbuf *b, bool sync)
{
    char path[1500];
    snprintf(path, sizeof(path), "%s/%s", l->dir, name);
    return fio_put_file(path, b->data, b->len, sync);
}

static int put_snapshot(struct log *l, const uint8_t *image, size_t n, bool sync)
{
    char path[1500];
    snprintf(path, sizeof(path), "%s/%020lld.snapshot", l->dir, (long long)l->appended.offset);
    return fio_put_file(path, image, n, sync);
}

static int write_partition_metadata(struct log *l, bool bulk)
{
    struct sbuf b;
    sbuf_init(&b);
    int rc = partition_metadata_print(&b, &l->topic_id);
    if (!rc)
        rc = bulk ? put_small(l, "partition.metadata", &b, false)
                  : log_write_small(l, "partition.metadata", &b);
    sbuf_free(&b);
    return rc;
}

// ---- creation ---------------------------------------------------------------------------------------------------------------
static int note_segment(void *arg, const struct io_dirent *e)
{
    size_t n = strlen(e->name);
    if (n > 4 && !strcmp(e->name + n - 4, ".log"))
        *(bool *)arg = true;
    return 0;
}

// A directory of that name is there. An earlier attempt for this topic that was cut short is gone on with; what belongs to
// another topic (its deletion did not get that far) is put aside, never mixed with.
static int reuse_dir(struct log *l)
{
    char path[1500], aside[1500];
    uint8_t *text = NULL;
    size_t n = 0;
    struct sl_uuid id;
    bool segments = false;
    int rc = io_listdir(reactor_io(l->env->r), l->dir, note_segment, &segments);
    if (rc)
        return rc;
    snprintf(path, sizeof(path), "%s/partition.metadata", l->dir);
    rc = fio_read_file(path, 4096, &text, &n);
    if (!rc)
        rc = partition_metadata_parse((const char *)text, n, &id);
    free(text);
    if (rc && rc != -ENOENT && rc != -EBADMSG)
        return rc;
    if (!rc && sl_uuid_eq(&id, &l->topic_id))
        return segments ? -EEXIST : 0;
    if (rc && !segments)
        return 0;
    log_aside_path(l, rc ? NULL : &id, "stray", aside, sizeof(aside));
    sl_log(SL_WARN, "log", "%s belongs to another topic: kept as %s", l->dir, aside);
    rc = fio_rename(l->dir, aside);
    return rc ? rc : fio_mkdir(l->dir, 0755);
}

struct log *log_create(struct log_env *env, const char *dir, const char *topic,
                       const struct sl_uuid *topic_id, int32_t partition, int32_t leader_epoch,
                       const struct log_config *cfg, bool bulk, int *err)
{
    struct log *l = log_alloc(env, dir, topic, topic_id, partition, cfg);
    if (!l) {
        *err = -ENOMEM;
        return NULL;
    }
    int rc = fio_mkdir(l->dir, 0755);
    if (rc == -EEXIST)
        rc = reuse_dir(l);
    if (!rc)
        rc = write_partition_metadata(l, bulk);
    if (!rc)
        rc = log_set_leader_epoch(l, leader_epoch);
    if (!rc)
        return l;
    log_destroy(l);
    *err = rc;
    return NULL;
}

// ---- clean close --------------------------------------------------------------------------------------------------------------
// Upstream opens a directory whose logs have at least one segment file; an empty log gets an empty one.
static int ensure_segment(struct log *l)
{
    if (l->segments_n)
        return 0;
    struct segment *s =
        segment_new(l, l->appended.offset, l->env->next_file_id++, l->cfg.segment_index_bytes);
    if (!s)
        return -ENOMEM;
    int rc = log_push_segment(l, s);
    return rc ? rc : segment_open(s, true);
}

static int close_segments(struct log *l, bool bulk)
{
    int rc = ensure_segment(l);
    if (!rc)
        rc = ahead_drop(l);
    if (!rc)
        rc = log_write_locked(l, !bulk, true);
    if (!rc)
        rc = log_aborted_write(l);
    struct segment *s = log_active(l);
    if (!rc)
        rc = log_hold_tail(l, s, false);
    if (!rc)
        rc = log_wait_tail(l, s);
    if (!rc)
        rc = segment_cut(s, !bulk);
    if (!rc)
        rc = segment_put_indexes(s, !bulk);
    for (uint32_t i = 0; i < l->segments_n; i++) {
        int e = segment_close(l->segments[i]);
        rc = rc ? rc : e;
    }
    return rc;
}

int log_close_clean(struct log *l, bool bulk)
{
    uint8_t *snapshot = NULL;
    size_t n = 0;
    struct sbuf epochs;
    log_shut(l);
    sbuf_init(&epochs);
    fiber_lock(&l->io_lock);
    SL_ASSERT(l->env->failed || l->appended.offset == l->durable.offset);
    int rc = l->env->failed ? l->env->failed : close_segments(l, bulk);
    if (!rc)
        rc = log_encode_snapshot(l, &snapshot, &n);
    if (!rc)
        rc = put_snapshot(l, snapshot, n, !bulk);
    if (!rc)
        rc = epoch_cache_print(&l->epochs, &epochs);
    if (!rc)
        rc = put_small(l, "leader-epoch-checkpoint", &epochs, !bulk);
    if (!rc && !bulk)
        rc = fio_sync_dir(l->dir); // once for all that was put here
    fiber_unlock(&l->io_lock);
    free(snapshot);
    sbuf_free(&epochs);
    return rc;
}

// ---- deletion ---------------------------------------------------------------------------------------------------------------
// <dir>/<topic>-<partition>.<uuid>-<what>, as upstream names it; the topic is cut so that the name is a name.
void log_aside_path(const struct log *l, const struct sl_uuid *id, const char *what, char *out, size_t cap)
{
    char parent[1400], tail[96], uuid[32] = "unknown";
    snprintf(parent, sizeof(parent), "%s", l->dir);
    *strrchr(parent, '/') = 0;
    if (id)
        sl_uuid_to_text(id, uuid);
    int n = snprintf(tail, sizeof(tail), "-%d.%s-%s", l->partition, uuid, what);
    snprintf(out, cap, "%s/%.*s%s", parent, 255 - n, l->topic, tail);
}

static void fence(struct log *l)
{
    struct jentry e = {.type = JE_FENCE,
                       .topic_id = l->topic_id,
                       .partition = l->partition,
                       .incarnation = l->incarnation + 1,
                       .base_offset = INT64_MAX, // floor: nothing of the log remains
                       .last_offset = INT64_MAX,
                       .producer_id = l->incarnation + 1,
                       .base_sequence = -1,
                       .producer_epoch = -1,
                       .max_timestamp = -1,
                       .leader_epoch = l->leader_epoch};
    l->last_sequence = journal_add(l->env->journal, &e, NULL, 0);
    l->incarnation++;
}

// From here on a crash finds the fence, and the log is void whatever its files hold. On a full disk the journal may have no
// place for it, and deletion is what makes space: the topic's deletion record is durable already, and makes the entries of an
// unknown topic void as well.
static int fence_wait(struct log *l)
{
    const struct journal *j = l->env->journal;
    uint64_t until = reactor_now(l->env->r) + LOG_FENCE_WAIT_NS;
    fence(l);
    while (!SL_CANARY(FENCE_LATE) && journal_durable_sequence(j) < l->last_sequence && !l->env->failed) {
        if (reactor_now(l->env->r) >= until) {
            sl_log(SL_WARN, "log", "%s-%d is deleted before its fence is durable: the journal has no room",
                   l->topic, l->partition);
            break;
        }
        fiber_sleep(200 * 1000);
    }
    return l->env->failed;
}

int log_delete(struct log *l)
{
    char gone[1500];
    log_shut(l);
    fiber_lock(&l->io_lock);
    int rc = fence_wait(l);
    log_aside_path(l, &l->topic_id, "delete", gone, sizeof(gone));
    if (!rc)
        rc = fio_rename(l->dir, gone);
    if (!rc)
        rc = fio_sync_parent(gone);
    for (uint32_t i = 0; i < l->segments_n; i++)
        (void)segment_close(l->segments[i]);
    (void)ahead_drop(l); // its name is gone
    if (!rc)
        trash_add_dir(l->env, gone);
    log_mark_written(l, l->dirty_bytes);
    fiber_unlock(&l->io_lock);
    return rc;
}
