#include "engine/log/aborted.h"

#include "engine/base/canary.h"
#include "engine/log/compact_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 30 };

void aborted_list_free(struct aborted_list *x)
{
    free(x->v);
    *x = (struct aborted_list){0};
}

static void push(struct log *l, const struct aborted_txn *t)
{
    struct aborted_list *x = &l->aborted;
    if (x->n == x->cap) {
        uint32_t cap = x->cap ? x->cap * 2 : 8;
        struct aborted_txn *v = realloc(x->v, cap * sizeof(*v));
        if (!v) // the marker is in the journal and cannot be taken back
            sl_panic("%s-%d: out of memory for aborted transactions", l->topic, l->partition);
        x->v = v;
        x->cap = cap;
    }
    x->v[x->n++] = *t;
}

void log_aborted_add(struct log *l, const struct producer_completed *done)
{
    const struct aborted_list *x = &l->aborted;
    if (done->first_offset < 0 || !done->aborted || (x->n && x->v[x->n - 1].last_offset >= done->last_offset))
        return;
    push(l, &(struct aborted_txn){.producer_id = done->producer_id,
                                  .first_offset = done->first_offset,
                                  .last_offset = done->last_offset,
                                  .last_stable_offset = done->last_stable_offset});
}

// The first entry whose marker is at or behind `offset`.
static uint32_t lower(const struct aborted_list *x, int64_t offset)
{
    uint32_t lo = 0, hi = x->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (x->v[mid].last_offset < offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void erase(struct aborted_list *x, uint32_t from, uint32_t to)
{
    if (from == to)
        return;
    memmove(x->v + from, x->v + to, (x->n - to) * sizeof(*x->v));
    x->n -= to - from;
}

void log_aborted_cut_start(struct log *l, int64_t start)
{
    erase(&l->aborted, 0, lower(&l->aborted, start));
}

void log_aborted_cut_end(struct log *l, int64_t end)
{
    l->aborted.n = lower(&l->aborted, end);
    l->aborted.written = SL_MIN(l->aborted.written, end);
}

void log_aborted_keep(struct log *l, int64_t base, int64_t next, const int64_t *offsets, uint32_t n)
{
    struct aborted_list *x = &l->aborted;
    uint32_t from = lower(x, base), to = lower(x, next), kept = from, k = 0;
    for (uint32_t i = from; i < to; i++) {
        while (k < n && offsets[k] < x->v[i].last_offset)
            k++;
        if (k < n && offsets[k] == x->v[i].last_offset)
            x->v[kept++] = x->v[i];
    }
    erase(x, kept, to);
}

uint32_t log_aborted_between(const struct log *l, int64_t from, int64_t upto, struct aborted_txn **out)
{
    const struct aborted_list *x = &l->aborted;
    uint32_t n = 0;
    bool stop = false;
    *out = NULL;
    if (SL_CANARY(ABORTED_NOT_TOLD))
        return 0;
    for (uint32_t i = lower(x, from); i < x->n && !stop; i++)
        n += aborted_txn_match(&x->v[i], from, upto, &stop);
    if (!n)
        return 0;
    if (!(*out = malloc(n * sizeof(**out))))
        sl_panic("%s-%d: out of memory for aborted transactions", l->topic, l->partition);
    n = 0;
    stop = false;
    for (uint32_t i = lower(x, from); i < x->n && !stop; i++)
        if (aborted_txn_match(&x->v[i], from, upto, &stop))
            (*out)[n++] = x->v[i];
    return n;
}

// Most logs have none behind the reader, and then nothing is walked over.
uint32_t log_aborted_read(const struct log *l, const struct log_read *rd, struct aborted_txn **out)
{
    *out = NULL;
    if (lower(&l->aborted, rd->offset) == l->aborted.n)
        return 0;
    return log_aborted_between(l, rd->offset, log_read_end(rd), out);
}

// ---- files ----------------------------------------------------------------------------------------------------------------
static void path_of(const struct log *l, int64_t base, char *out, size_t cap)
{
    snprintf(out, cap, "%s/%020lld.txnindex", l->dir, (long long)base);
}

static int load_file(struct log *l, int64_t base)
{
    char path[1500];
    uint8_t *p = NULL;
    size_t len = 0;
    struct aborted_txn t;
    path_of(l, base, path, sizeof(path));
    int rc = fio_read_file(path, FILE_MAX, &p, &len);
    if (!rc && txn_index_check(p, len, base) < 0)
        rc = -EBADMSG;
    for (size_t at = 0; at < len && !rc; at += TXN_INDEX_ENTRY_SIZE) {
        rc = aborted_txn_decode(p + at, &t);
        if (!rc && l->aborted.n && l->aborted.v[l->aborted.n - 1].last_offset >= t.last_offset)
            rc = -EBADMSG; // of the segment before it
        if (!rc)
            push(l, &t);
    }
    free(p);
    if (rc == -EBADMSG)
        sl_log(SL_WARN, "log", "%s is damaged: it is made anew from the batches", path);
    return rc == -ENOENT ? 0 : rc;
}

int log_aborted_load(struct log *l, const int64_t *bases, uint32_t n)
{
    int rc = 0;
    aborted_list_free(&l->aborted);
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = load_file(l, bases[i]);
    if (rc != -EBADMSG) {
        l->aborted.written = l->aborted.n ? l->aborted.v[l->aborted.n - 1].last_offset + 1 : 0;
        return rc;
    }
    aborted_list_free(&l->aborted);
    l->aborted.lost = true;
    return 0;
}

static int by_last(const void *a, const void *b)
{
    const struct compact_aborted *x = a, *y = b;
    return (x->last > y->last) - (x->last < y->last);
}

static int rebuild(struct log *l)
{
    struct compact_aborted *list = NULL;
    uint32_t n = 0;
    int rc = compact_scan_aborted(l, l->appended.offset, &list, &n);
    aborted_list_free(&l->aborted);
    if (!rc && n)
        qsort(list, n, sizeof(*list), by_last);
    for (uint32_t i = 0; i < n && !rc; i++)
        push(l, &(struct aborted_txn){.producer_id = list[i].producer_id,
                                      .first_offset = list[i].first,
                                      .last_offset = list[i].last,
                                      .last_stable_offset = list[i].stable});
    free(list);
    return rc;
}

// Those of the list's places [from, to).
static int write_file(struct log *l, int64_t base, uint32_t from, uint32_t to)
{
    char path[1500];
    size_t n = (size_t)(to - from) * TXN_INDEX_ENTRY_SIZE;
    uint8_t *p = malloc(n + 1);
    if (!p)
        return -ENOMEM;
    for (uint32_t i = from; i < to; i++)
        aborted_txn_encode(&l->aborted.v[i], p + (size_t)(i - from) * TXN_INDEX_ENTRY_SIZE);
    path_of(l, base, path, sizeof(path));
    int rc = fio_write_file(path, p, n);
    free(p);
    return rc;
}

int log_aborted_write_segment(struct log *l, int64_t base, int64_t next)
{
    uint32_t from = lower(&l->aborted, base), to = lower(&l->aborted, next);
    return from == to ? 0 : write_file(l, base, from, to);
}

int log_aborted_recovered(struct log *l)
{
    int rc = l->aborted.lost ? rebuild(l) : 0;
    log_aborted_cut_start(l, l->log_start);
    log_aborted_cut_end(l, l->appended.offset);
    return rc ? rc : log_aborted_write(l);
}

int log_aborted_settle(struct log *l)
{
    const struct aborted_list *x = &l->aborted;
    if (!x->n || x->v[x->n - 1].last_offset < x->written || !log_enter(l))
        return 0;
    int64_t end = x->v[x->n - 1].last_offset + 1;
    fiber_lock(&l->io_lock);
    int rc = log_wait_durable(l, end);
    rc = rc ? rc : log_aborted_write(l);
    fiber_unlock(&l->io_lock);
    log_leave(l);
    return rc;
}

// The list may grow meanwhile, at its end, or lose what lies below the log start.
int log_aborted_write(struct log *l)
{
    int64_t end = l->durable.offset, at = l->aborted.written;
    int rc = 0;
    while (!rc && at < end) {
        uint32_t i = lower(&l->aborted, at), k;
        struct segment *s = i < l->aborted.n ? log_segment_for(l, l->aborted.v[i].last_offset, &k) : NULL;
        if (!s || l->aborted.v[i].last_offset >= end)
            break;
        int64_t next = k + 1 < l->segments_n ? SL_MIN(l->segments[k + 1]->base_offset, end) : end;
        rc = log_aborted_write_segment(l, s->base_offset, next);
        at = next;
    }
    if (!rc)
        l->aborted.written = SL_MAX(l->aborted.written, end);
    return rc;
}
