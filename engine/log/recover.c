// Recovery of one log: what is shared, the directory's list, laying bytes, and the choice between the two ways.
#include "engine/log/recover.h"

#include "engine/base/canary.h"
#include "engine/log/textfiles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYER_BUF = 1 << 20 };

// ---- the directory ------------------------------------------------------------------------------------------------------
static int push(struct offsets *o, int64_t x)
{
    if (o->n == o->cap) {
        uint32_t cap = o->cap ? o->cap * 2 : 8;
        int64_t *p = realloc(o->v, cap * sizeof(*p));
        if (!p)
            return -ENOMEM;
        o->v = p;
        o->cap = cap;
    }
    o->v[o->n++] = x;
    return 0;
}

// Which list a name with this ending is on.
static struct offsets *list_of(struct recover_dir *d, const char *end)
{
    return !strcmp(end, ".log")         ? &d->logs
           : !strcmp(end, ".snapshot")  ? &d->snapshots
           : !strcmp(end, ".txnindex")  ? &d->txnindexes
           : !strcmp(end, ".index")     ? &d->indexes
           : !strcmp(end, ".timeindex") ? &d->timeindexes
                                        : NULL;
}

static int list_entry_of_dir(void *arg, const struct io_dirent *e)
{
    struct recover_dir *d = arg;
    char *end;
    int64_t base = strtoll(e->name, &end, 10);
    if (end - e->name != 20 || e->is_dir)
        return 0;
    if (ahead_parse_name(e->name, &base))
        return push(&d->spares, base);
    d->transactions |= strstr(end, ".txnindex") != NULL; // a removed one, too
    d->leftovers |= recover_is_leftover(e->name);
    struct offsets *o = list_of(d, end);
    return o ? push(o, base) : 0;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void sort(struct offsets *o)
{
    if (o->n)
        qsort(o->v, o->n, sizeof(*o->v), by_value);
}

static bool has(const struct offsets *o, int64_t base)
{
    return o->n && bsearch(&base, o->v, o->n, sizeof(*o->v), by_value);
}

bool recover_has_indexes(const struct recover_dir *d, int64_t base)
{
    return has(&d->indexes, base) && has(&d->timeindexes, base);
}

int recover_list(struct log *l, struct recover_dir *d)
{
    char path[1500];
    int rc = io_listdir(reactor_io(fiber_reactor(fiber_current())), l->dir, list_entry_of_dir, d);
    if (rc)
        return rc;
    sort(&d->logs);
    sort(&d->snapshots);
    sort(&d->txnindexes);
    sort(&d->indexes);
    sort(&d->timeindexes);
    d->sizes = calloc(d->logs.n + 1, sizeof(uint64_t));
    if (!d->sizes)
        return -ENOMEM;
    for (uint32_t i = 0; i < d->logs.n && !rc; i++) {
        struct io_stat st;
        snprintf(path, sizeof(path), "%s/%020lld.log", l->dir, (long long)d->logs.v[i]);
        rc = fio_stat(path, &st);
        d->sizes[i] = rc ? 0 : st.size;
    }
    return rc;
}

void recover_dir_free(struct recover_dir *d)
{
    free(d->logs.v);
    free(d->sizes);
    free(d->snapshots.v);
    free(d->txnindexes.v);
    free(d->indexes.v);
    free(d->timeindexes.v);
    free(d->spares.v);
}

// A crash left them. What a segment held that had no other name yet is in the journal; whether the names are gone durably does
// not matter.
static int drop_spares(struct log *l, const struct recover_dir *d)
{
    int rc = 0;
    for (uint32_t i = 0; i < d->spares.n && !rc; i++)
        rc = ahead_unlink(l, d->spares.v[i]);
    return rc;
}

struct segment *recover_add_segment(struct log *l, int64_t base, uint32_t size, int *err)
{
    struct segment *s = segment_new(l, base, l->env->next_file_id++, l->cfg.segment_index_bytes);
    *err = s ? log_push_segment(l, s) : -ENOMEM;
    if (*err) {
        if (s)
            segment_free(s);
        return NULL;
    }
    s->size = s->flushed = s->synced = s->mem_start = s->allocated = size;
    s->sealed = true;
    s->index_loaded = size == 0;
    return s;
}

int recover_unlink_segment(struct log *l, int64_t base)
{
    static const char *const suffix[] = {"log", "index", "timeindex", "txnindex"};
    char path[1500];
    for (size_t i = 0; i < SL_ARRAY_LEN(suffix); i++) {
        snprintf(path, sizeof(path), "%s/%020lld.%s", l->dir, (long long)base, suffix[i]);
        int rc = fio_unlink(path, false);
        if (rc && rc != -ENOENT)
            return rc;
    }
    return 0;
}

void recover_set_end(struct log *l, int64_t end)
{
    struct segment *s = log_active(l);
    for (uint32_t i = 0; i + 1 < l->segments_n; i++)
        l->segments[i]->finished = true;
    l->finished_n = l->segments_n ? l->segments_n - 1 : 0;
    if (s)
        s->sealed = false;
    l->appended = (struct log_mark){.offset = end, .seg = s, .pos = s ? s->size : 0};
    l->durable = l->visible = l->appended;
    producer_state_on_high_watermark(&l->producers, end); // what ended below is decided
}

// ---- laying bytes ---------------------------------------------------------------------------------------------------------
// A block as the file has it; one that cannot be read, or lies behind the end, counts as zeros.
static void read_block(struct segment *s, uint32_t pos, uint8_t *out)
{
    memset(out, 0, IO_BLOCK);
    int rc = fio_read(s->file, out, IO_BLOCK, pos);
    if (rc < 0)
        memset(out, 0, IO_BLOCK);
}

static int layer_write(struct layer *y, uint32_t upto)
{
    struct segment *s = y->seg;
    if (upto == y->start)
        return 0;
    int rc = segment_allocate(s, upto, SL_MAX(s->log->cfg.segment_bytes, upto));
    if (!rc)
        rc = fio_write(s->file, y->buf, upto - y->start, y->start, 0);
    y->wrote = true;
    return rc;
}

int layer_flush(struct layer *y)
{
    if (!y->seg || y->end == y->start)
        return 0;
    uint32_t in = y->end % IO_BLOCK, upto = SL_ALIGN_UP(y->end, (uint32_t)IO_BLOCK);
    if (in) {
        uint8_t *block = aligned_alloc(IO_BLOCK, IO_BLOCK);
        if (!block)
            return -ENOMEM;
        if (SL_CANARY(ZERO_PADDED_REPLAY))
            memset(block, 0, IO_BLOCK);
        else
            read_block(y->seg, upto - IO_BLOCK, block);
        memcpy(y->buf + (y->end - y->start), block + in, IO_BLOCK - in);
        free(block);
    }
    int rc = layer_write(y, upto);
    y->start = y->end = 0;
    y->seg = NULL;
    return rc;
}

static int layer_begin(struct layer *y, struct segment *s, uint32_t pos)
{
    int rc = layer_flush(y);
    if (!rc && !y->buf && !(y->buf = aligned_alloc(IO_BLOCK, LAYER_BUF + IO_BLOCK)))
        rc = -ENOMEM;
    if (!rc)
        rc = segment_open(s, true);
    if (rc)
        return rc;
    y->seg = s;
    y->start = SL_ALIGN_DOWN(pos, (uint32_t)IO_BLOCK);
    y->end = pos;
    if (pos != y->start)
        read_block(s, y->start, y->buf);
    return 0;
}

int layer_put(struct layer *y, struct segment *s, uint32_t pos, const uint8_t *p, uint32_t n)
{
    int rc = y->seg == s && y->end == pos ? 0 : layer_begin(y, s, pos);
    while (n && !rc) {
        uint32_t k = SL_MIN(n, LAYER_BUF - (y->end - y->start));
        memcpy(y->buf + (y->end - y->start), p, k);
        y->end += k;
        p += k;
        n -= k;
        if (y->end - y->start == LAYER_BUF) {
            rc = layer_write(y, y->end);
            y->start = y->end;
        }
    }
    return rc;
}

void layer_free(struct layer *y)
{
    free(y->buf);
}

// Files of segments below `below` that hold nothing and are followed by others were rolls that failed: their names lie
// within the segment before them and would hide its offsets.
static int forget_empty(struct log *l, struct recover_dir *d, int64_t below)
{
    uint32_t keep = 0;
    int rc = 0;
    for (uint32_t i = 0; i < d->logs.n && !rc; i++) {
        if (i > 0 && i + 1 < d->logs.n && !d->sizes[i] && d->logs.v[i] < below) {
            sl_log(SL_WARN, "log", "%s-%d: segment %lld is empty and not the last: removed", l->topic,
                   l->partition, (long long)d->logs.v[i]);
            rc = recover_unlink_segment(l, d->logs.v[i]);
            continue;
        }
        d->logs.v[keep] = d->logs.v[i];
        d->sizes[keep++] = d->sizes[i];
    }
    d->logs.n = rc ? d->logs.n : keep;
    return rc;
}

// ---- the choice -------------------------------------------------------------------------------------------------------------
static int check_identity(struct log *l, const struct recover_dir *d)
{
    char path[1500];
    uint8_t *text = NULL;
    size_t n = 0;
    struct sl_uuid id;
    bool data = false;
    for (uint32_t i = 0; i < d->logs.n; i++)
        data |= d->sizes[i] > 0;
    snprintf(path, sizeof(path), "%s/partition.metadata", l->dir);
    int rc = fio_read_file(path, 4096, &text, &n);
    if (!rc)
        rc = partition_metadata_parse((const char *)text, n, &id);
    free(text);
    if (rc && rc != -ENOENT && rc != -EBADMSG)
        return rc; // not a word about whose it is
    if (rc) // without its identity a directory that holds data is not ours to touch; an empty one is made anew
        return data ? -ESTALE : -ENOENT;
    return sl_uuid_eq(&id, &l->topic_id) ? 0 : -ESTALE;
}

static int recover_into(struct log *l, const struct log_left *left, char *err, size_t cap)
{
    const struct store_log *sl = left->sl;
    struct recover_dir d = {0};
    int rc = recover_list(l, &d);
    if (!rc)
        rc = check_identity(l, &d);
    if (!rc)
        rc = drop_spares(l, &d);
    bool lost = d.leftovers && d.transactions;
    if (!rc && d.leftovers) {
        recover_dir_free(&d);
        d = (struct recover_dir){0};
        rc = recover_leftovers(l);
        rc = rc ? rc : recover_list(l, &d);
    }
    if (!rc)
        rc = log_aborted_load(l, d.txnindexes.v, d.txnindexes.n);
    l->aborted.lost |= lost;
    bool ours = left->kind == STORE_OURS && sl && (sl->has_checkpoint || sl->entries_n);
    // After an unclean end an empty file may also be one whose size was lost: what follows it does not belong to the log.
    int64_t whole = left->kind == STORE_CLEAN    ? INT64_MAX
                    : ours && sl->has_checkpoint ? sl->ckpt.segment_base
                                                 : INT64_MIN;
    if (ours)
        whole = SL_MAX(whole, sl->settled); // compaction may leave an empty segment
    if (!rc)
        rc = forget_empty(l, &d, whole);
    if (!rc && ours)
        rc = recover_from_journal(l, &d, left, err, cap);
    else if (!rc)
        rc = recover_from_files(l, &d, left->kind == STORE_CLEAN,
                                left->kind == STORE_OURS ? 0 : left->recovery_point, err, cap);
    recover_dir_free(&d);
    return rc ? rc : log_aborted_recovered(l);
}

int log_recover(struct log_env *env, const char *dir, const char *topic, const struct sl_uuid *topic_id,
                int32_t partition, const struct log_left *left, const struct log_config *cfg,
                struct log **out, char *err, size_t cap)
{
    struct io_stat st;
    char path[1400];
    log_dir_path(dir, topic, partition, path, sizeof(path));
    err[0] = 0;
    if (left->sl)
        left->sl->used = true;
    int rc = fio_stat(path, &st);
    if (rc)
        return rc;
    struct log *l = log_alloc(env, dir, topic, topic_id, partition, cfg);
    if (!l)
        return -ENOMEM;
    rc = recover_into(l, left, err, cap);
    for (uint32_t i = 0; i < l->segments_n; i++) {
        segment_close(l->segments[i]); // opened again by the first append or read
        l->segments[i]->allocated = SL_MAX(l->segments[i]->allocated, l->segments[i]->size);
    }
    if (rc) {
        log_destroy(l);
        return rc;
    }
    *out = l;
    return 0;
}
