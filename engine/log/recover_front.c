// Recovery of what moved the front of a log, or put other segments in the place of some, when a crash came.
#include "engine/log/recover.h"

#include "engine/log/compact_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void recover_drop_below_start(struct log *l)
{
    uint32_t n = 0;
    while (n + 1 < l->segments_n && l->segments[n + 1]->base_offset <= l->log_start) {
        segment_close(l->segments[n]);
        segment_free(l->segments[n++]);
    }
    l->segments_n -= n;
    if (n)
        memmove(l->segments, l->segments + n, l->segments_n * sizeof(*l->segments));
}

int log_start_at(struct log *l, int64_t offset)
{
    int rc = 0;
    uint32_t n = l->segments_n;
    if (offset <= l->log_start)
        return 0;
    int64_t *bases = malloc((n + 1) * sizeof(*bases));
    if (!bases)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        bases[i] = l->segments[i]->base_offset;
    log_move_start(l, SL_MIN(offset, l->visible.offset));
    recover_drop_below_start(l);
    l->finished_n = l->segments_n ? l->segments_n - 1 : 0;
    for (uint32_t i = 0; i < n - l->segments_n && !rc; i++)
        rc = recover_unlink_segment(l, bases[i]);
    if (!rc && n > l->segments_n)
        rc = fio_sync_dir(l->dir);
    free(bases);
    return rc;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n > k && !strcmp(name + n - k, end);
}

bool recover_is_leftover(const char *name)
{
    int64_t base, next;
    uint32_t kind;
    return ends_with(name, ".deleted") || compact_parse_name(name, "cleaned", &base, &next) ||
           compact_parse_name(name, "swap", &base, &next) ||
           recover_parse_upstream(name, "cleaned", &base, &kind) ||
           recover_parse_upstream(name, "swap", &base, &kind);
}

static bool is_leftover(void *arg, const struct io_dirent *e)
{
    return !e->is_dir && recover_is_leftover(e->name);
}

// Of a compacted segment without its name yet: they may be there in part only. They are found anew.
static int unlink_indexes(struct log *l, int64_t base)
{
    static const char *const suffix[] = {"index", "timeindex"};
    char path[1600];
    int rc = 0;
    for (size_t i = 0; i < SL_ARRAY_LEN(suffix) && !rc; i++) {
        snprintf(path, sizeof(path), "%s/%020lld.%s", l->dir, (long long)base, suffix[i]);
        rc = fio_unlink(path, false);
        rc = rc == -ENOENT ? 0 : rc;
    }
    return rc;
}

// A compacted segment that was about to take the place of those from `base` up to `next`: now it does. What is left of them
// goes first, then it gets its name; a crash in between comes here again.
static int finish_swap(struct log *l, const char *path, int64_t base, int64_t next)
{
    struct recover_dir d = {0};
    char to[1600];
    int rc = recover_list(l, &d);
    for (uint32_t i = 0; i < d.logs.n && !rc; i++)
        if (d.logs.v[i] >= base && d.logs.v[i] < next)
            rc = recover_unlink_segment(l, d.logs.v[i]);
    for (uint32_t i = 0; i < d.snapshots.n && !rc; i++) {
        snprintf(to, sizeof(to), "%s/%020lld.snapshot", l->dir, (long long)d.snapshots.v[i]);
        if (d.snapshots.v[i] > base && d.snapshots.v[i] < next)
            rc = fio_unlink(to, false);
    }
    recover_dir_free(&d);
    if (!rc)
        rc = unlink_indexes(l, base);
    snprintf(to, sizeof(to), "%s/%020lld.log", l->dir, (long long)base);
    if (!rc)
        rc = fio_sync_dir(l->dir);
    return rc ? rc : fio_rename(path, to);
}

int recover_leftovers(struct log *l)
{
    struct sbuf names;
    char path[1800];
    int64_t base, next;
    uint32_t kind;
    bool upstream = false;
    sbuf_init(&names);
    int rc = fio_names(l->dir, is_leftover, NULL, &names);
    for (size_t at = 0; !rc && at < names.len; at += strlen(names.data + at) + 1) {
        snprintf(path, sizeof(path), "%s/%s", l->dir, names.data + at);
        if (compact_parse_name(names.data + at, "swap", &base, &next))
            rc = finish_swap(l, path, base, next);
        else if (recover_parse_upstream(names.data + at, "swap", &base, &kind) ||
                 recover_parse_upstream(names.data + at, "cleaned", &base, &kind))
            upstream = true;
        else if (!trash_add_left_file(l->env, l->dir, names.data + at))
            rc = fio_unlink(path, false);
        rc = rc == -ENOENT ? 0 : rc;
    }
    if (!rc && upstream)
        rc = recover_upstream_swaps(l, &names);
    sbuf_free(&names);
    return rc ? rc : fio_sync_dir(l->dir);
}
