// Transactions as a compaction walks through a log: upstream's CleanedTransactionMetadata, and the list of aborted ones, which
// is read off the log itself.
#include "engine/log/compact_private.h"

#include <errno.h>
#include <stdlib.h>

static struct compact_open *find(struct compact_open *table, int64_t pid)
{
    struct compact_open *o = NULL;
    HASH_FIND(hh, table, &pid, sizeof(pid), o);
    return o;
}

static struct compact_open *get(struct compact_open **table, int64_t pid)
{
    struct compact_open *o = find(*table, pid);
    if (o)
        return o;
    o = calloc(1, sizeof(*o));
    if (!o)
        sl_panic("out of memory for transactions of a compaction");
    o->producer_id = pid;
    HASH_ADD(hh, *table, producer_id, sizeof(o->producer_id), o);
    return o;
}

static void drop(struct compact_open **table, struct compact_open *o)
{
    HASH_DEL(*table, o);
    free(o);
}

static void drop_all(struct compact_open **table)
{
    struct compact_open *o, *tmp;
    HASH_ITER(hh, *table, o, tmp)
    {
        drop(table, o);
    }
}

void compact_txns_begin(struct compact_txns *t, const struct compact_aborted *list, uint32_t n, int64_t from)
{
    *t = (struct compact_txns){.aborted = list, .n = n, .from = from};
}

void compact_txns_end(struct compact_txns *t)
{
    drop_all(&t->ongoing);
    drop_all(&t->committed);
}

// Aborted transactions that have begun by `offset` and whose marker is still to come in this walk.
static void consume(struct compact_txns *t, int64_t offset)
{
    for (; t->next < t->n && t->aborted[t->next].first <= offset; t->next++)
        if (t->aborted[t->next].last >= t->from)
            (void)get(&t->ongoing, t->aborted[t->next].producer_id);
}

bool compact_txns_batch(struct compact_txns *t, const struct batch_info *b)
{
    consume(t, batch_info_last_offset(b));
    if (!batch_info_is_transactional(b))
        return false;
    struct compact_open *o = find(t->ongoing, b->producer_id);
    if (o)
        o->observed = true;
    else
        (void)get(&t->committed, b->producer_id);
    return o != NULL;
}

bool compact_txns_marker(struct compact_txns *t, const struct batch_info *b, int type)
{
    consume(t, batch_info_last_offset(b));
    struct compact_open **table = type == RECORD_CONTROL_ABORT ? &t->ongoing : &t->committed;
    if (type == -1)
        return true; // emptied before
    if (type != RECORD_CONTROL_ABORT && type != RECORD_CONTROL_COMMIT)
        return false;
    struct compact_open *o = find(*table, b->producer_id);
    bool data = o && (type == RECORD_CONTROL_COMMIT || o->observed);
    if (o)
        drop(table, o);
    return !data;
}

// ---- the aborted ones -----------------------------------------------------------------------------------------------------
struct scan {
    struct log *l;
    int64_t end, stop;
    struct compact_open *open;
    struct compact_aborted *v;
    uint32_t n, cap;
    bool over;
};

// The first offset of those still open but `done`; `last` + 1 if there is none.
static int64_t stable_after(struct scan *sc, const struct compact_open *done, int64_t last)
{
    struct compact_open *o, *tmp;
    int64_t stable = last + 1;
    HASH_ITER(hh, sc->open, o, tmp)
    {
        if (o != done)
            stable = SL_MIN(stable, o->first);
    }
    return stable;
}

static int add(struct scan *sc, const struct compact_open *o, int64_t last)
{
    if (sc->n == sc->cap) {
        uint32_t cap = sc->cap ? sc->cap * 2 : 16;
        struct compact_aborted *v = realloc(sc->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        sc->v = v;
        sc->cap = cap;
    }
    sc->v[sc->n++] = (struct compact_aborted){
        .producer_id = o->producer_id, .first = o->first, .last = last, .stable = stable_after(sc, o, last)};
    return 0;
}

static int scan_marker(struct scan *sc, struct segment *s, uint32_t pos, const struct batch_info *b)
{
    struct compact_open *o = find(sc->open, b->producer_id);
    uint8_t *raw = o ? malloc(b->size) : NULL;
    int rc = !o ? 0 : raw ? log_read_bytes(s, pos, raw, b->size) : -ENOMEM;
    int type = o && !rc ? compact_control_type(raw, b) : -1;
    free(raw);
    if (rc || !o || (type != RECORD_CONTROL_ABORT && type != RECORD_CONTROL_COMMIT))
        return rc;
    if (type == RECORD_CONTROL_ABORT && o->first < sc->end)
        rc = add(sc, o, batch_info_last_offset(b));
    drop(&sc->open, o);
    return rc;
}

static int scan_batch(struct scan *sc, struct segment *s, uint32_t pos, const struct batch_info *b)
{
    if (b->base_offset >= sc->stop || (b->base_offset >= sc->end && !sc->open)) {
        sc->over = true;
        return 0;
    }
    if (!batch_info_is_transactional(b) || b->producer_id < 0)
        return 0;
    if (batch_info_is_control(b))
        return scan_marker(sc, s, pos, b);
    if (!find(sc->open, b->producer_id) && b->base_offset < sc->end)
        get(&sc->open, b->producer_id)->first = b->base_offset;
    return 0;
}

static int scan_segment(struct scan *sc, struct segment *s)
{
    struct log_scan hs = {.seg = s};
    struct batch_info b;
    int rc = 0;
    for (uint32_t pos = 0; pos < s->size && !rc && !sc->over; pos += b.size) {
        rc = log_scan_header(&hs, pos, &b);
        if (!rc)
            rc = scan_batch(sc, s, pos, &b);
        if (reactor_turn_spent(sc->l->env->r))
            fiber_yield();
    }
    free(hs.buf);
    return rc;
}

static int by_first(const void *a, const void *b)
{
    const struct compact_aborted *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

int compact_scan_aborted(struct log *l, int64_t end, struct compact_aborted **list, uint32_t *n)
{
    struct scan sc = {.l = l, .end = end, .stop = l->visible.offset};
    struct segment *s = l->segments_n ? l->segments[0] : NULL, *next;
    int rc = 0;
    for (; s && !rc && !sc.over; s = next) {
        segment_hold(s);
        rc = scan_segment(&sc, s);
        next = log_segment_behind(l, s->base_offset);
        segment_release(s);
    }
    drop_all(&sc.open);
    if (!rc && sc.n)
        qsort(sc.v, sc.n, sizeof(*sc.v), by_first);
    *list = sc.v;
    *n = sc.n;
    return rc;
}
