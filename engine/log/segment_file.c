// Segment files: opening, allocation ahead of the writer, write-back in whole blocks, indexes, sealing. Fibers only.
#include "engine/log/log_private.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALLOC_MIN = 64 << 10, ALLOC_MAX = 8 << 20, WRITE_MAX = 1 << 20, WRITES_IN_FLIGHT = 4 };

void segment_path(const struct segment *s, enum segment_file which, char *out, size_t cap)
{
    static const char *const suffix[] = {"log", "index", "timeindex", "snapshot"};
    snprintf(out, cap, "%s/%020lld.%s", s->log->dir, (long long)s->base_offset, suffix[which]);
}

int segment_open(struct segment *s, bool create)
{
    char path[1500];
    struct io_stat st;
    if (s->file >= 0)
        return 0;
    segment_path(s, SEG_LOG, path, sizeof(path));
    io_file f = fio_open(path, IO_RDWR | IO_DIRECT | (create ? IO_CREATE : 0), 0644);
    if (f < 0)
        return f;
    int rc = fio_stat(path, &st);
    if (rc || s->file >= 0) { // another fiber was faster
        fio_close(f);
        return rc;
    }
    s->allocated = (uint32_t)SL_MIN(st.size, (uint64_t)UINT32_MAX);
    s->file = f;
    return 0;
}

int segment_close(struct segment *s)
{
    io_file f = s->file;
    s->file = -1;
    return f < 0 ? 0 : fio_close(f);
}

int segment_allocate(struct segment *s, uint32_t want, uint32_t limit)
{
    want = SL_ALIGN_UP(want, (uint32_t)IO_BLOCK);
    limit = SL_MAX(SL_ALIGN_UP(limit, (uint32_t)IO_BLOCK), want);
    if (want <= s->allocated)
        return 0;
    uint32_t step = SL_MIN(SL_MAX(s->allocated, (uint32_t)ALLOC_MIN), (uint32_t)ALLOC_MAX);
    uint32_t to = SL_MIN(SL_MAX(SL_ALIGN_UP(s->allocated, (uint32_t)IO_BLOCK) + step, want), limit);
    int rc = fio_fallocate(s->file, s->allocated, to - s->allocated);
    if (rc == -ENOSPC && to > want) {
        to = want;
        rc = fio_fallocate(s->file, s->allocated, to - s->allocated);
    }
    if (!rc)
        s->allocated = to;
    return rc;
}

int segment_read_file(struct segment *s, uint32_t pos, void *dst, uint32_t n)
{
    uint32_t from = SL_ALIGN_DOWN(pos, (uint32_t)IO_BLOCK), to = SL_ALIGN_UP(pos + n, (uint32_t)IO_BLOCK);
    uint8_t *mem = aligned_alloc(IO_BLOCK, to - from);
    if (!mem)
        return -ENOMEM;
    int rc = segment_open(s, false);
    if (!rc)
        rc = fio_read(s->file, mem, to - from, from);
    if (rc >= 0 && (uint32_t)rc < pos + n - from)
        rc = -EBADMSG;
    if (rc >= 0)
        memcpy(dst, mem + (pos - from), n);
    free(mem);
    return SL_MIN(rc, 0);
}

int segment_load_tail(struct segment *s, struct buf_pool *pool)
{
    uint32_t from = SL_ALIGN_DOWN(s->size, (uint32_t)IO_BLOCK);
    if (segment_tail_in_memory(s))
        return 0;
    struct extent *e = extent_new(pool, s->file_id, from, IO_BLOCK);
    if (!e)
        return -ENOMEM;
    int rc = segment_open(s, false);
    if (!rc)
        rc = fio_read(s->file, e->mem, IO_BLOCK, from);
    if (rc >= 0 && (uint32_t)rc < s->size - from)
        rc = -EIO;
    if (rc < 0) {
        extent_unref(e);
        return rc;
    }
    SL_ASSERT(list_empty(&s->extents));
    e->len = s->size - from;
    memset(e->mem + e->len, 0, IO_BLOCK - e->len);
    e->seg = s;
    s->mem_start = from;
    list_push_back(&s->extents, &e->node);
    return 0;
}

// ---- write-back -------------------------------------------------------------------------------------------------------
struct wb {
    struct fiber *f;
    uint32_t in_flight;
    int rc;
};
struct wb_op {
    struct io_op op;
    struct wb *wb;
    uint32_t len;
    bool busy;
};

static void wb_done(struct io_op *op, int32_t res)
{
    struct wb_op *w = SL_CONTAINER_OF(op, struct wb_op, op);
    // A short write to an allocated file is a device's fault here: O_DIRECT inside the size is all or an error.
    if (res != (int32_t)w->len && !w->wb->rc)
        w->wb->rc = res < 0 ? res : -EIO;
    w->busy = false;
    w->wb->in_flight--;
    fiber_wake(w->wb->f);
}

static struct wb_op *wb_slot(struct wb *wb, struct wb_op *ops)
{
    for (;;) {
        for (uint32_t i = 0; i < WRITES_IN_FLIGHT; i++)
            if (!ops[i].busy)
                return &ops[i];
        fiber_park();
    }
}

static void wb_write(struct wb *wb, struct wb_op *ops, struct segment *s, const uint8_t *mem, uint32_t len, uint32_t pos)
{
    struct wb_op *w = wb_slot(wb, ops);
    SL_ASSERT(pos + len <= s->allocated);
    *w = (struct wb_op){.op = {.done = wb_done}, .wb = wb, .len = len, .busy = true};
    wb->in_flight++;
    io_write(reactor_io(s->log->env->r), &w->op, s->file, mem, len, pos, 0);
}

// Pieces of at most WRITE_MAX, several in flight. The extents cannot leave: s->writing holds them.
static int write_range(struct segment *s, uint32_t from, uint32_t to)
{
    struct wb wb = {.f = fiber_current()};
    struct wb_op ops[WRITES_IN_FLIGHT] = {0};
    list_foreach(n, &s->extents) {
        struct extent *e = list_entry(n, struct extent, node);
        uint32_t a = SL_MAX(from, e->pos), b = SL_MIN(to, e->pos + e->cap);
        for (; a < b && !wb.rc; a += SL_MIN(b - a, (uint32_t)WRITE_MAX))
            wb_write(&wb, ops, s, e->mem + (a - e->pos), SL_MIN(b - a, (uint32_t)WRITE_MAX), a);
    }
    while (wb.in_flight)
        fiber_park();
    return wb.rc;
}

int segment_write(struct segment *s, uint32_t upto)
{
    if (upto <= s->flushed)
        return 0;
    int rc = segment_open(s, false);
    if (rc)
        return rc;
    s->writing = true;
    rc = write_range(s, SL_ALIGN_DOWN(s->flushed, (uint32_t)IO_BLOCK), SL_ALIGN_UP(upto, (uint32_t)IO_BLOCK));
    s->writing = false;
    if (!rc)
        s->flushed = upto;
    return rc;
}

int segment_sync(struct segment *s)
{
    uint32_t upto = s->flushed;
    if (s->synced >= upto || s->file < 0)
        return 0;
    int rc = fio_fsync(s->file, true);
    if (!rc)
        s->synced = upto;
    return rc;
}

int segment_cut(struct segment *s)
{
    int rc = segment_open(s, true);
    if (!rc)
        rc = fio_ftruncate(s->file, s->size);
    if (!rc)
        rc = fio_fsync(s->file, false);
    if (!rc) {
        s->allocated = s->size;
        s->synced = s->size;
    }
    return rc;
}

// ---- indexes ------------------------------------------------------------------------------------------------------------
static int write_index_file(struct segment *s, enum segment_file which, const uint8_t *p, size_t n, size_t at, bool final)
{
    char path[1500];
    segment_path(s, which, path, sizeof(path));
    io_file f = fio_open(path, IO_RDWR | IO_CREATE, 0644);
    if (f < 0)
        return f;
    int rc = n ? fio_write(f, p, n, at, 0) : 0;
    if (!rc && final)
        rc = fio_ftruncate(f, at + n);
    if (!rc && final)
        rc = fio_fsync(f, false);
    fio_close(f);
    return rc;
}

int segment_write_indexes(struct segment *s, bool final)
{
    if (s->index_from || !s->index_loaded)
        return final ? segment_rebuild_index(s, s->log->cfg.index_interval_bytes) : 0;
    if (final && s->max_timestamp >= 0)
        time_index_append(&s->timeindex, s->max_timestamp, s->max_timestamp_offset, true);
    uint32_t a = final ? 0 : s->index_written, b = s->index.count;
    uint32_t ta = final ? 0 : s->timeindex_written, tb = s->timeindex.count;
    if (!final && a == b && ta == tb)
        return 0;
    size_t n = (size_t)(b - a) * OFFSET_INDEX_ENTRY_SIZE, tn = (size_t)(tb - ta) * TIME_INDEX_ENTRY_SIZE;
    uint8_t *p = malloc(n + tn + 1);
    if (!p)
        return -ENOMEM;
    offset_index_encode(&s->index, a, b, p);
    time_index_encode(&s->timeindex, ta, tb, p + n);
    int rc = write_index_file(s, SEG_INDEX, p, n, (size_t)a * OFFSET_INDEX_ENTRY_SIZE, final);
    if (!rc)
        rc = write_index_file(s, SEG_TIMEINDEX, p + n, tn, (size_t)ta * TIME_INDEX_ENTRY_SIZE, final);
    free(p);
    if (!rc) {
        s->index_written = b;
        s->timeindex_written = tb;
    }
    return rc;
}

static int header_check(const struct segment *s, uint32_t pos, const uint8_t *head, struct batch_info *out)
{
    if (batch_parse(head, BATCH_HEADER_SIZE, out) == -EBADMSG)
        return -EBADMSG;
    return out->size > s->size - pos || out->base_offset < s->base_offset ? -EBADMSG : 0;
}

int log_header_at(struct segment *s, uint32_t pos, struct batch_info *out)
{
    uint8_t head[BATCH_HEADER_SIZE];
    if (s->size < BATCH_HEADER_SIZE || pos > s->size - BATCH_HEADER_SIZE)
        return -EBADMSG;
    if (!segment_peek(s, pos, head, sizeof(head))) {
        int rc = segment_read_file(s, pos, head, sizeof(head));
        if (rc)
            return rc;
    }
    return header_check(s, pos, head, out);
}

int log_scan_header(struct log_scan *sc, uint32_t pos, struct batch_info *out)
{
    struct segment *s = sc->seg;
    if (s->size < BATCH_HEADER_SIZE || pos > s->size - BATCH_HEADER_SIZE)
        return -EBADMSG;
    if (pos < sc->pos || pos + BATCH_HEADER_SIZE > sc->pos + sc->len) {
        if (!sc->buf && !(sc->buf = malloc(LOG_SCAN_WINDOW)))
            return -ENOMEM;
        uint32_t n = SL_MIN((uint32_t)LOG_SCAN_WINDOW, s->size - pos);
        int rc = segment_peek(s, pos, sc->buf, n) ? 0 : log_read_bytes(s, pos, sc->buf, n);
        if (rc)
            return rc;
        sc->pos = pos;
        sc->len = n;
    }
    return header_check(s, pos, sc->buf + (pos - sc->pos), out);
}

// What is on disk from the file, what is not (yet) from memory.
int log_read_bytes(struct segment *s, uint32_t pos, uint8_t *dst, uint32_t n)
{
    while (n) {
        uint32_t k = pos >= s->mem_start ? n : SL_MIN(n, s->mem_start - pos);
        int rc = segment_peek(s, pos, dst, k) ? 0 : segment_read_file(s, pos, dst, k);
        if (rc)
            return rc;
        pos += k;
        dst += k;
        n -= k;
    }
    return 0;
}

// Walks the headers of [0, upto) in large reads and makes both indexes anew. What was appended meanwhile is re-added.
int segment_rebuild_index(struct segment *s, uint32_t interval_bytes)
{
    struct offset_index x;
    struct time_index t;
    struct batch_info b;
    int64_t max_ts = -1, max_ts_offset = -1;
    int rc = 0;
    offset_index_init(&x, s->base_offset, s->log->cfg.segment_index_bytes);
    time_index_init(&t, s->base_offset, s->log->cfg.segment_index_bytes);
    struct log_scan sc = {.seg = s};
    for (uint32_t pos = 0; pos < s->size; pos += b.size) {
        rc = log_scan_header(&sc, pos, &b);
        if (rc)
            break;
        if (b.max_timestamp > max_ts) {
            max_ts = b.max_timestamp;
            max_ts_offset = b.base_offset + b.last_offset_delta;
        }
        if (offset_index_on_batch(&x, interval_bytes, b.base_offset + b.last_offset_delta, pos, b.size) == 1)
            time_index_append(&t, max_ts, max_ts_offset, false);
    }
    free(sc.buf);
    if (rc) {
        offset_index_destroy(&x);
        time_index_destroy(&t);
        return rc;
    }
    offset_index_destroy(&s->index);
    time_index_destroy(&s->timeindex);
    s->index = x;
    s->timeindex = t;
    s->max_timestamp = max_ts;
    s->max_timestamp_offset = max_ts_offset;
    s->index_from = 0;
    s->index_loaded = true;
    s->index_written = s->timeindex_written = 0;
    return 0;
}

static int load_one(struct segment *s, enum segment_file which, uint8_t **p, size_t *n)
{
    char path[1500];
    segment_path(s, which, path, sizeof(path));
    return fio_read_file(path, 64u << 20, p, n);
}

// A sealed segment's files, as they were synced at the seal; anything odd and they are rebuilt.
static int load_files(struct segment *s)
{
    uint8_t *p = NULL, *t = NULL;
    size_t n = 0, tn = 0;
    struct batch_info b;
    int rc = load_one(s, SEG_INDEX, &p, &n);
    if (!rc)
        rc = load_one(s, SEG_TIMEINDEX, &t, &tn);
    if (!rc)
        rc = offset_index_load(&s->index, p, n, s->size);
    if (!rc)
        rc = time_index_load(&s->timeindex, t, tn);
    free(p);
    free(t);
    if (!rc && s->index.count)
        rc = log_header_at(s, offset_index_last(&s->index).position, &b);
    return rc;
}

int segment_load_index(struct segment *s)
{
    if (s->index_loaded && s->index_from == 0)
        return 0;
    if (!s->index_loaded && load_files(s) == 0) {
        struct timestamp_offset last = time_index_last(&s->timeindex);
        s->index_loaded = true;
        if (s->timeindex.count && last.timestamp > s->max_timestamp) {
            s->max_timestamp = last.timestamp;
            s->max_timestamp_offset = last.offset;
        }
        return 0;
    }
    return segment_rebuild_index(s, s->log->cfg.index_interval_bytes);
}
