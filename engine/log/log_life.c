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

static int write_partition_metadata(struct log *l)
{
    struct sbuf b;
    sbuf_init(&b);
    int rc = partition_metadata_print(&b, &l->topic_id);
    if (!rc)
        rc = log_write_small(l, "partition.metadata", &b);
    sbuf_free(&b);
    return rc;
}

struct log *log_create(struct log_env *env, const char *dir, const char *topic, const struct sl_uuid *topic_id,
                       int32_t partition, int32_t leader_epoch, const struct log_config *cfg, int *err)
{
    struct log *l = log_alloc(env, dir, topic, topic_id, partition, cfg);
    if (!l) {
        *err = -ENOMEM;
        return NULL;
    }
    int rc = fio_mkdir(l->dir, 0755);
    if (rc == -EEXIST)
        rc = 0; // an earlier attempt was cut short: its file is written again
    if (!rc)
        rc = write_partition_metadata(l);
    if (!rc)
        rc = log_set_leader_epoch(l, leader_epoch);
    if (!rc)
        return l;
    log_destroy(l);
    *err = rc;
    return NULL;
}

// Upstream opens a directory whose logs have at least one segment file; an empty log gets an empty one.
static int ensure_segment(struct log *l)
{
    if (l->segments_n)
        return 0;
    struct segment *s = segment_new(l, l->appended.offset, l->env->next_file_id++, l->cfg.segment_index_bytes);
    if (!s)
        return -ENOMEM;
    int rc = log_push_segment(l, s);
    return rc ? rc : segment_open(s, true);
}

static int close_segments(struct log *l)
{
    int rc = ensure_segment(l);
    for (uint32_t i = l->segments_n; i-- > 0 && !rc;) {
        struct segment *s = l->segments[i];
        bool last = i + 1 == l->segments_n;
        if (last || s->flushed < s->size || s->synced < s->size || s->allocated != s->size) {
            if (!last && s->file < 0 && s->synced == s->size && s->allocated <= s->size)
                continue; // sealed in an earlier life and not touched in this one
            rc = log_flush_segment(l, s, true);
            if (!rc)
                rc = segment_cut(s);
            if (!rc)
                rc = segment_write_indexes(s, true);
        }
        int e = segment_close(s);
        rc = rc ? rc : e;
    }
    return rc;
}

int log_close_clean(struct log *l)
{
    uint8_t *snapshot = NULL;
    size_t n = 0;
    struct sbuf epochs;
    while (l->background)
        fiber_sleep(1000 * 1000);
    sbuf_init(&epochs);
    fiber_lock(&l->io_lock);
    int rc = close_segments(l);
    if (!rc)
        rc = log_encode_snapshot(l, &snapshot, &n);
    if (!rc)
        rc = log_write_snapshot(l, l->appended.offset, snapshot, n);
    if (!rc)
        rc = epoch_cache_print(&l->epochs, &epochs);
    if (!rc)
        rc = log_write_small(l, "leader-epoch-checkpoint", &epochs);
    if (!rc)
        rc = fio_sync_dir(l->dir);
    l->closed = !rc;
    if (!rc)
        log_mark_clean(l);
    fiber_unlock(&l->io_lock);
    free(snapshot);
    sbuf_free(&epochs);
    return rc;
}

// ---- deletion ---------------------------------------------------------------------------------------------------------------
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

struct names {
    char (*name)[256];
    uint32_t n, cap;
};

static int add_name(void *arg, const struct io_dirent *e)
{
    struct names *x = arg;
    if (x->n == x->cap) {
        uint32_t cap = x->cap ? x->cap * 2 : 16;
        void *p = realloc(x->name, cap * sizeof(x->name[0]));
        if (!p)
            return -ENOMEM;
        x->name = p;
        x->cap = cap;
    }
    snprintf(x->name[x->n++], sizeof(x->name[0]), "%s", e->name);
    return 0;
}

static int remove_tree(struct log *l, const char *dir)
{
    struct names x = {0};
    char path[2000];
    int rc = io_listdir(reactor_io(l->env->r), dir, add_name, &x);
    for (uint32_t i = 0; i < x.n && !rc; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, x.name[i]);
        rc = fio_unlink(path, false);
    }
    free(x.name);
    return rc ? rc : fio_unlink(dir, true);
}

int log_delete(struct log *l)
{
    char gone[1500], parent[1400], id[32];
    struct journal *j = l->env->journal;
    while (l->background)
        fiber_sleep(1000 * 1000);
    fiber_lock(&l->io_lock);
    fence(l);
    int rc = 0;
    while (!SL_CANARY(FENCE_LATE) && journal_durable_sequence(j) < l->last_sequence && !(rc = l->env->failed))
        fiber_sleep(200 * 1000);
    snprintf(parent, sizeof(parent), "%s", l->dir);
    *strrchr(parent, '/') = 0;
    sl_uuid_to_text(&l->topic_id, id);
    snprintf(gone, sizeof(gone), "%s.%s-delete", l->dir, id);
    if (!rc)
        rc = fio_rename(l->dir, gone);
    if (!rc)
        rc = fio_sync_dir(parent);
    for (uint32_t i = 0; i < l->segments_n; i++)
        segment_close(l->segments[i]);
    if (!rc)
        rc = remove_tree(l, gone);
    if (!rc)
        rc = fio_sync_dir(parent);
    log_mark_clean(l);
    l->closed = true;
    fiber_unlock(&l->io_lock);
    return rc;
}
