/* The partitions of a log directory. Where the journals of an unclean stop know a log, its segments are checked as the next
 * start will leave them: with the journals' bytes laid over the files, up to the end that the journals say. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/log/producer_state.h"
#include "engine/log/textfiles.h"
#include "tools/sluice/log_check.h"

struct bases {
    int64_t *v;
    size_t n, cap;
};

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static bool add_base(struct bases *x, int64_t base)
{
    if (x->n == x->cap) {
        x->cap = x->cap * 2 + 64;
        int64_t *grown = realloc(x->v, x->cap * sizeof(*grown));
        if (!grown)
            return false;
        x->v = grown;
    }
    x->v[x->n++] = base;
    return true;
}

static void check_producers(struct check_log *l, const char *name)
{
    char path[1400];
    struct logfile f;
    struct producer_state s;
    snprintf(path, sizeof(path), "%.1300s/%.60s", l->path, name);
    int rc = logfile_open(&f, path);
    producer_state_init(&s, 0);
    if (!rc)
        rc = producer_state_snapshot_load(&s, f.data, f.len, f.base_offset, 0, INT64_MAX);
    producer_state_destroy(&s);
    logfile_close(&f);
    if (rc)
        check_problem(l->c, path, "%s", rc == -EBADMSG ? "its length or CRC is wrong" : strerror(-rc));
}

static void list_files(struct check_log *l, struct bases *segments)
{
    DIR *d = opendir(l->path);
    if (!d) {
        check_problem(l->c, l->path, "%s", strerror(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        int64_t base = logfile_number(e->d_name, ".log");
        if (base >= 0 && !add_base(segments, base))
            check_problem(l->c, l->path, "out of memory: not checked whole");
        if (logfile_number(e->d_name, ".snapshot") >= 0)
            check_producers(l, e->d_name);
    }
    closedir(d);
}

static bool has_base(const struct bases *x, int64_t base)
{
    for (size_t i = x->n; i-- > 0;)
        if (x->v[i] == base)
            return true;
    return false;
}

/* Segments whose file had no name of its own when the broker ended (engine/log/ahead.c): the journals hold all of them. */
static void list_unnamed(struct check_log *l, struct bases *segments)
{
    const struct store_log *sl = l->sl;
    for (uint32_t i = 0; sl && i < sl->entries_n; i++) {
        const struct jentry *e = &sl->entries[i].e;
        bool finished =
            e->segment_base < sl->settled || (sl->has_checkpoint && e->segment_base < sl->ckpt.segment_base);
        if (e->type != JE_BATCH || sl->entries[i].state_only || finished ||
            has_base(segments, e->segment_base))
            continue;
        if (!add_base(segments, e->segment_base))
            check_problem(l->c, l->path, "out of memory: not checked whole");
    }
}

/* Where the log's bytes in the segment end by checkpoint and entries; *settled: they do not concern it. */
static size_t known_end(const struct check_log *l, int64_t base, size_t file_len, bool *settled)
{
    const struct store_log *sl = l->sl;
    size_t end = 0;
    *settled = !sl || base < sl->settled || (sl->has_checkpoint && base < sl->ckpt.segment_base);
    if (*settled)
        return file_len;
    if (l->cut)
        return 0;
    if (sl->has_checkpoint && base == sl->ckpt.segment_base)
        end = sl->ckpt.end_position;
    for (uint32_t i = 0; i < sl->entries_n; i++) {
        const struct jentry *e = &sl->entries[i].e;
        if (e->type == JE_BATCH && e->segment_base == base)
            end = SL_MAX(end, (size_t)e->position + e->bytes);
    }
    return end;
}

/* Below which offset direct batches must hold. */
static int64_t confirmed_end(const struct store_log *sl)
{
    int64_t end = sl->has_checkpoint ? sl->ckpt.end_offset : 0;
    for (uint32_t i = 0; i < sl->entries_n; i++)
        if (sl->entries[i].e.type == JE_CONFIRMED)
            end = SL_MAX(end, sl->entries[i].e.last_offset);
    return end;
}

/* Lays the entry's bytes. False: it is a direct batch that does not hold. */
static bool lay_entry(const struct store_entry *se, uint8_t *p)
{
    const struct jentry *e = &se->e;
    uint32_t head, tail;
    if (e->flags & JE_INLINE) {
        memcpy(p + e->position, se->payload, e->bytes);
        return true;
    }
    if (e->type != JE_BATCH)
        return true;
    if (e->flags & JE_EDGES && jentry_edges(e->position, e->bytes, &head, &tail)) {
        memcpy(p + e->position, se->payload, head);
        memcpy(p + e->position + e->bytes - tail, se->payload + head, tail);
    }
    return e->bytes >= BATCH_HEADER_SIZE && jentry_batch_ok(e, p + e->position);
}

/* The segment's bytes as recovery will leave them, in new memory; *len is less where the log ends earlier. */
static uint8_t *lay_over(struct check_log *l, int64_t base, const struct logfile *f, size_t *len)
{
    uint8_t *p = calloc(1, *len + 1);
    int64_t confirmed = confirmed_end(l->sl);
    if (!p)
        return NULL;
    if (f->len)
        memcpy(p, f->data, SL_MIN(*len, f->len));
    for (uint32_t i = 0; i < l->sl->entries_n && !l->cut; i++) {
        const struct store_entry *se = &l->sl->entries[i];
        const struct jentry *e = &se->e;
        bool bytes = (e->type == JE_BATCH || e->type == JE_PREFIX) && !se->state_only;
        if (!bytes || e->segment_base != base || (size_t)e->position + e->bytes > *len)
            continue;
        l->cut = !lay_entry(se, p) && e->last_offset >= confirmed;
        if (l->cut)
            *len = e->position;
    }
    return p;
}

/* False: the rest of the log is not looked at. */
static bool check_segment(struct check_log *l, int64_t base, bool last)
{
    char path[1400];
    struct logfile f;
    snprintf(path, sizeof(path), "%s/%020" PRId64 ".log", l->path, base);
    int rc = logfile_open(&f, path);
    if (rc == -ENOENT && l->sl) {
        f = (struct logfile){0};
        rc = 0;
    }
    if (rc || base < l->end) {
        check_problem(l->c, path, "%s",
                      rc ? strerror(-rc) : "the segment begins below the end of the one before it");
        logfile_close(&f);
        return false;
    }
    struct check_segment s = {.log = l, .base = base, .data = f.data, .last = last};
    s.len = known_end(l, base, f.len, &s.settled);
    uint8_t *laid = s.settled ? NULL : lay_over(l, base, &f, &s.len);
    if (laid)
        s.data = laid;
    bool sound = s.settled || laid;
    if (!sound)
        check_problem(l->c, path, "out of memory: not checked");
    else if (l->c->kind == STORE_UPSTREAM && last)
        check_note(l->c, path, "may end in the middle of a batch after an unclean stop of Kafka");
    sound = sound && check_batches(&s);
    if (sound && s.settled)
        check_indexes(&s);
    free(laid);
    logfile_close(&f);
    return sound;
}

static void load_epochs(struct check_log *l)
{
    char path[1400];
    struct logfile f;
    snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", l->path);
    int rc = logfile_open(&f, path);
    if (!rc)
        rc = epoch_cache_parse(&l->epochs, (const char *)f.data, f.len);
    if (rc && rc != -ENOENT)
        check_problem(l->c, path, "%s", rc == -EBADMSG ? "cannot be parsed" : strerror(-rc));
    l->has_epochs = !rc && l->c->kind == STORE_CLEAN; /* behind the batches after an unclean stop */
    logfile_close(&f);
}

static bool load_identity(struct check_log *l, int32_t partition)
{
    char path[1400];
    struct logfile f;
    struct sl_uuid id;
    snprintf(path, sizeof(path), "%s/partition.metadata", l->path);
    int rc = logfile_open(&f, path);
    if (!rc)
        rc = partition_metadata_parse((const char *)f.data, f.len, &id);
    logfile_close(&f);
    if (rc) {
        check_problem(l->c, path, "%s: the partition would be taken for a stray one",
                      rc == -EBADMSG ? "cannot be parsed" : strerror(-rc));
        return false;
    }
    l->sl = l->c->kind == STORE_OURS ? store_find_log(l->c->store, &id, partition) : NULL;
    if (l->sl)
        l->sl->used = true;
    return true;
}

static void check_partition(struct check *c, const char *name, int32_t partition)
{
    struct check_log l = {.c = c, .name = name, .last_epoch = -1};
    struct bases segments = {0};
    snprintf(l.path, sizeof(l.path), "%s/%s", c->dir, name);
    c->partitions++;
    if (!load_identity(&l, partition))
        return;
    load_epochs(&l);
    list_files(&l, &segments);
    list_unnamed(&l, &segments);
    if (segments.n)
        qsort(segments.v, segments.n, sizeof(int64_t), by_value);
    for (size_t i = 0; i < segments.n; i++) {
        if (!check_segment(&l, segments.v[i], i + 1 == segments.n))
            break;
    }
    if (l.sl && l.sl->has_checkpoint && l.end < l.sl->ckpt.end_offset &&
        l.sl->ckpt.log_start < l.sl->ckpt.end_offset)
        check_problem(c, l.path, "it ends at offset %" PRId64 ", and its checkpoint says %" PRId64, l.end,
                      l.sl->ckpt.end_offset);
    free(segments.v);
    epoch_cache_destroy(&l.epochs);
}

/* The partition number of a name like topic-12, or -1. */
static int32_t partition_of(const char *name)
{
    const char *dash = strrchr(name, '-');
    char *end;
    if (!dash || dash[1] < '0' || dash[1] > '9' || !topic_name_ok(name, (size_t)(dash - name)))
        return -1;
    long v = strtol(dash + 1, &end, 10);
    return *end || v > INT32_MAX ? -1 : (int32_t)v;
}

static bool is_directory(const struct check *c, const char *name)
{
    char path[1400];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%.255s", c->dir, name);
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n >= m && strcmp(name + n - m, suffix) == 0;
}

static void check_entry(struct check *c, const char *name)
{
    char path[1400];
    if (name[0] == '.' || !is_directory(c, name) || strcmp(name, "sluice.journal.d") == 0)
        return;
    snprintf(path, sizeof(path), "%s/%s", c->dir, name);
    int32_t partition = partition_of(name);
    if (partition >= 0)
        check_partition(c, name, partition);
    else if (ends_with(name, "-delete") || ends_with(name, "-stray"))
        check_note(c, path, "put aside: not checked");
    else
        check_problem(c, path, "not a partition's directory: Kafka refuses to start beside it");
}

void check_directory(struct check *c)
{
    struct dirent **names = NULL;
    int n = scandir(c->dir, &names, NULL, alphasort);
    if (n < 0)
        check_problem(c, c->dir, "%s", strerror(errno));
    for (int i = 0; i < n; i++) {
        check_entry(c, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    struct store_log *sl;
    for (uint32_t i = 0; c->kind == STORE_OURS && (sl = store_log_at(c->store, i)); i++) {
        char id[SL_UUID_TEXT_LEN + 1];
        if (sl->used || sl->deleted)
            continue;
        sl_uuid_to_text(&sl->topic_id, id);
        check_note(c, c->dir,
                   "the journal knows partition %d of topic id %s, which has no directory: sound only if "
                   "that topic was deleted",
                   sl->partition, id);
    }
}
