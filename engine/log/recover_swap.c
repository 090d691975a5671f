// Compacted segments that upstream was about to put in the place of others when it ended. Its names differ from ours
// (compact_swap.c): <base>.log.cleaned while they are written, and <base>.log.swap, with their indexes, from the moment that
// they count. By then some of the old segments may be gone, so a start that passed over them would lose records.
//
// As upstream's own start does it (LogLoader, KAFKA-6264):
//   1. *.cleaned is removed. So is a *.swap whose base is not below the least *.cleaned: the swap that it belongs to, of one
//      segment into several, had not come to its end.
//   2. Segments from the least base of a .log.swap up to where the last one ends are removed.
//   3. What is called *.swap loses that ending, the log last: a crash before that comes here again.
#include "engine/log/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"index", "timeindex", "txnindex", "log"};
enum { KINDS = SL_ARRAY_LEN(kinds), KIND_LOG = KINDS - 1 };

bool recover_parse_upstream(const char *name, const char *end, int64_t *base, uint32_t *kind)
{
    char *p;
    *base = strtoll(name, &p, 10);
    if (p - name != 20 || *p++ != '.' || *base < 0)
        return false;
    for (*kind = 0; *kind < KINDS; (*kind)++) {
        size_t n = strlen(kinds[*kind]);
        if (!strncmp(p, kinds[*kind], n) && p[n] == '.' && !strcmp(p + n + 1, end))
            return true;
    }
    return false;
}

struct swaps {
    struct log *l;
    const struct sbuf *names; // each with its NUL
    int64_t cleaned;          // least base of a *.cleaned
    int64_t from, to;         // offsets that the swapped segments stand for
    uint32_t n;               // of .log.swap files that count
};

static void path_of(const struct log *l, int64_t base, uint32_t kind, const char *end, char *out, size_t cap)
{
    snprintf(out, cap, "%s/%020lld.%s%s", l->dir, (long long)base, kinds[kind], end);
}

// Calls fn for each of the names that ends so.
static int each(struct swaps *x, const char *end, int (*fn)(struct swaps *x, int64_t base, uint32_t kind))
{
    int64_t base;
    uint32_t kind;
    int rc = 0;
    for (size_t at = 0; !rc && at < x->names->len; at += strlen(x->names->data + at) + 1)
        if (recover_parse_upstream(x->names->data + at, end, &base, &kind))
            rc = fn(x, base, kind);
    return rc == -ENOENT ? 0 : rc;
}

static int drop(struct swaps *x, int64_t base, uint32_t kind, const char *end)
{
    char path[1600];
    path_of(x->l, base, kind, end, path, sizeof(path));
    int rc = fio_unlink(path, false);
    return rc == -ENOENT ? 0 : rc;
}

static int on_cleaned(struct swaps *x, int64_t base, uint32_t kind)
{
    x->cleaned = SL_MIN(x->cleaned, base);
    return 0;
}

static int drop_cleaned(struct swaps *x, int64_t base, uint32_t kind)
{
    return drop(x, base, kind, ".cleaned");
}

static int drop_incomplete(struct swaps *x, int64_t base, uint32_t kind)
{
    return base >= x->cleaned ? drop(x, base, kind, ".swap") : 0;
}

// The offset behind the last batch of a file. Everything in it was synced before it got its name; where a batch's header
// does not hold all the same, the segment ends, as it will when the log is read.
static int find_end(struct log *l, const char *path, int64_t base, int64_t *end)
{
    struct io_stat st;
    struct batch_info b;
    int rc = fio_stat(path, &st);
    if (rc)
        return rc;
    struct segment *s = segment_new(l, base, l->env->next_file_id++, l->cfg.segment_index_bytes);
    if (!s)
        return -ENOMEM;
    struct log_scan sc = {.seg = s};
    *end = base;
    s->size = s->flushed = s->mem_start = (uint32_t)SL_MIN(st.size, (uint64_t)UINT32_MAX);
    s->file = fio_open(path, IO_RDONLY | IO_DIRECT, 0);
    rc = s->file < 0 ? (int)s->file : 0;
    for (uint32_t pos = 0; !rc && pos < s->size && !(rc = log_scan_header(&sc, pos, &b)); pos += b.size)
        *end = batch_info_last_offset(&b) + 1;
    if (s->file >= 0)
        (void)fio_close(s->file);
    s->file = -1;
    free(sc.buf);
    segment_free(s);
    return rc == -EBADMSG ? 0 : rc;
}

static int on_swap(struct swaps *x, int64_t base, uint32_t kind)
{
    char path[1600];
    int64_t end;
    if (kind != KIND_LOG || base >= x->cleaned)
        return 0;
    path_of(x->l, base, kind, ".swap", path, sizeof(path));
    int rc = find_end(x->l, path, base, &end);
    x->from = SL_MIN(x->from, base);
    x->to = SL_MAX(x->to, rc ? base : end);
    x->n++;
    return rc;
}

static int drop_replaced(struct swaps *x)
{
    struct recover_dir d = {0};
    int rc = x->n ? recover_list(x->l, &d) : 0;
    for (uint32_t i = 0; i < d.logs.n && !rc; i++)
        if (d.logs.v[i] >= x->from && d.logs.v[i] < x->to)
            rc = recover_unlink_segment(x->l, d.logs.v[i]);
    recover_dir_free(&d);
    return rc ? rc : fio_sync_dir(x->l->dir);
}

static int give_name(struct swaps *x, int64_t base, uint32_t kind)
{
    char path[1600], to[1600];
    path_of(x->l, base, kind, ".swap", path, sizeof(path));
    path_of(x->l, base, kind, "", to, sizeof(to));
    int rc = fio_rename(path, to);
    return rc == -ENOENT ? 0 : rc; // it was dropped above
}

static int name_others(struct swaps *x, int64_t base, uint32_t kind)
{
    return kind == KIND_LOG ? 0 : give_name(x, base, kind);
}

static int name_logs(struct swaps *x, int64_t base, uint32_t kind)
{
    return kind == KIND_LOG ? give_name(x, base, kind) : 0;
}

int recover_upstream_swaps(struct log *l, const struct sbuf *names)
{
    struct swaps x = {.l = l, .names = names, .cleaned = INT64_MAX, .from = INT64_MAX};
    int rc = each(&x, "cleaned", on_cleaned);
    // The swaps go before what tells that they do not count.
    if (!rc)
        rc = each(&x, "swap", drop_incomplete);
    if (!rc)
        rc = fio_sync_dir(l->dir);
    if (!rc)
        rc = each(&x, "cleaned", drop_cleaned);
    if (!rc)
        rc = each(&x, "swap", on_swap);
    if (!rc)
        rc = drop_replaced(&x);
    if (!rc)
        rc = each(&x, "swap", name_others);
    if (!rc)
        rc = each(&x, "swap", name_logs);
    if (!rc && x.n)
        sl_log(SL_INFO, "log",
               "%s: a compaction that upstream had begun is ended: %u segments for offsets %lld to %lld",
               l->dir, x.n, (long long)x.from, (long long)x.to);
    return rc;
}
