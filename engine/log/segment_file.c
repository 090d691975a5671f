// Segment files: opening, allocation ahead of the writer, write-back in whole blocks, indexes, sealing. Fibers only.
#include "engine/log/log_private.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALLOC_MIN = 64 << 10,
    ALLOC_MAX = 8 << 20,
    WRITES_IN_FLIGHT = 4, // of one segment
    WRITE_STUCK_MAX = 64,
    IDLE_MAX = 32 // open files of finished segments that nobody reads
};

void segment_path(const struct segment *s, enum segment_file which, char *out, size_t cap)
{
    static const char *const suffix[] = {"log", "index", "timeindex", "snapshot"};
    snprintf(out, cap, "%s/%020lld.%s", s->log->dir, (long long)s->base_offset, suffix[which]);
}

static int open_file(struct segment *s, bool create)
{
    char path[1500];
    struct io_stat st;
    if (s->file >= 0)
        return 0;
    SL_ASSERT(s->name == SEG_NAMED);
    segment_path(s, SEG_LOG, path, sizeof(path));
    io_file f = fio_open(path, IO_RDWR | IO_DIRECT | (create ? IO_CREATE : 0), 0644);
    if (f < 0)
        return s->file >= 0 ? 0 : f; // another fiber was faster, and then the name went
    int rc = fio_stat(path, &st);
    bool late = s->file >= 0; // another fiber was faster, and the name may have gone since
    if (rc || late) {
        fio_close(f);
        return late ? 0 : rc;
    }
    s->allocated = (uint32_t)SL_MIN(st.size, (uint64_t)UINT32_MAX);
    s->file = f;
    files_opened(s);
    return 0;
}

int segment_try_open(struct segment *s)
{
    return open_file(s, false);
}

// Not -ENOENT: to those who look for an offset or a time it says that there is nothing here, and they go on behind it.
int segment_open(struct segment *s, bool create)
{
    int rc = open_file(s, create);
    return rc == -ENOENT && !create ? -EIO : rc;
}

void segment_not_idle(struct segment *s)
{
    if (!list_linked(&s->idle))
        return;
    list_remove(&s->idle);
    s->log->env->idle_n--;
}

int segment_close(struct segment *s)
{
    io_file f = s->file;
    segment_not_idle(s);
    s->file = -1;
    files_closed(s);
    return f < 0 ? 0 : fio_close(f);
}

void segment_hold(struct segment *s)
{
    s->users++;
    segment_not_idle(s);
}

bool segment_release_now(struct segment *s)
{
    struct log_env *env = s->log->env;
    SL_ASSERT(s->users > 0);
    if (s->users == 1 && s->retired)
        return false;
    files_used(s);
    if (--s->users == 0 && s->finished && s->file >= 0) {
        list_push_back(&env->idle, &s->idle);
        env->idle_n++;
    }
    return true;
}

void segment_release(struct segment *s)
{
    struct log_env *env = s->log->env;
    if (!segment_release_now(s)) {
        s->users--;
        segment_retire(s);
    }
    while (env->idle_n > IDLE_MAX)
        (void)segment_close(list_entry(list_first(&env->idle), struct segment, idle));
}

void segment_retire(struct segment *s)
{
    s->retired = true;
    if (s->users)
        return;
    (void)segment_close(s);
    segment_free(s);
}

int segment_allocate(struct segment *s, uint32_t want, uint32_t limit)
{
    want = SL_ALIGN_UP(want, (uint32_t)IO_BLOCK);
    limit = SL_MAX(SL_ALIGN_UP(limit, (uint32_t)IO_BLOCK), want);
    if (want <= s->allocated)
        return 0;
    // A file that was cut to its length ends anywhere; what is allocated from here on ends at a block.
    uint32_t at = SL_ALIGN_UP(s->allocated, (uint32_t)IO_BLOCK);
    uint32_t step = SL_MIN(SL_MAX(at, (uint32_t)ALLOC_MIN), (uint32_t)ALLOC_MAX);
    uint32_t to = SL_MIN(SL_MAX(at + step, want), limit);
    int rc = fio_fallocate(s->file, s->allocated, to - s->allocated);
    if (rc == -ENOSPC && to > want) {
        to = want;
        rc = fio_fallocate(s->file, s->allocated, to - s->allocated);
    }
    SL_ASSERT(to % IO_BLOCK == 0);
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
    struct segment *s;
    const uint8_t *mem;
    uint32_t len, pos;
    uint32_t paced; // bytes that it counts for in pace.h
    uint32_t stuck; // writes in a row that moved less than a block
    bool busy;
};

static void wb_start(struct wb_op *w);

// Short writes are completed (S7); one that ends inside a block is gone over again from that block on.
static bool wb_goes_on(struct wb_op *w, int32_t res)
{
    if (res < 0 && res != -EINTR && res != -EAGAIN) {
        w->wb->rc = w->wb->rc ? w->wb->rc : res;
        return false;
    }
    uint32_t whole = res > 0 ? SL_ALIGN_DOWN((uint32_t)res, (uint32_t)IO_BLOCK) : 0;
    SL_ASSERT(whole <= w->len);
    w->mem += whole;
    w->pos += whole;
    w->len -= whole;
    w->stuck = whole ? 0 : w->stuck + 1;
    if (w->len && w->stuck >= WRITE_STUCK_MAX)
        w->wb->rc = w->wb->rc ? w->wb->rc : -EIO;
    return w->len && w->stuck < WRITE_STUCK_MAX;
}

static void wb_done(struct io_op *op, int32_t res)
{
    struct wb_op *w = SL_CONTAINER_OF(op, struct wb_op, op);
    if (wb_goes_on(w, res)) {
        wb_start(w);
        return;
    }
    w->busy = false;
    pace_leave(w->s->log->env, w->paced);
    w->wb->in_flight--;
    fiber_wake(w->wb->f);
}

static void wb_start(struct wb_op *w)
{
    w->op = (struct io_op){.done = wb_done};
    io_write(reactor_io(w->s->log->env->r), &w->op, w->s->file, w->mem, w->len, w->pos, 0);
}

static struct wb_op *wb_slot(struct wb_op *ops)
{
    for (;;) {
        for (uint32_t i = 0; i < WRITES_IN_FLIGHT; i++)
            if (!ops[i].busy)
                return &ops[i];
        fiber_park();
    }
}

static void wb_write(struct wb *wb, struct wb_op *ops, struct segment *s, const uint8_t *mem, uint32_t len,
                     uint32_t pos)
{
    struct wb_op *w = wb_slot(ops);
    SL_ASSERT(pos + len <= s->allocated);
    pace_enter(s->log->env, len);
    *w = (struct wb_op){.wb = wb, .s = s, .mem = mem, .len = len, .pos = pos, .paced = len, .busy = true};
    wb->in_flight++;
    wb_start(w);
}

// [from, to), whole blocks out of extents, then `last`, a block at `to`, if there is one. Several pieces in flight, as the pace
// allows. The extents cannot leave: s->writing holds them.
static int write_range(struct segment *s, uint32_t from, uint32_t to, const uint8_t *last)
{
    struct wb wb = {.f = fiber_current()};
    struct wb_op ops[WRITES_IN_FLIGHT] = {0};
    list_foreach(n, &s->extents)
    {
        struct extent *e = list_entry(n, struct extent, node);
        uint32_t a = SL_MAX(from, e->pos), b = SL_MIN(to, e->pos + e->cap);
        while (a < b && !wb.rc) {
            uint32_t piece = SL_MIN(b - a, pace_write_max(s->log->env));
            wb_write(&wb, ops, s, e->mem + (a - e->pos), piece, a);
            a += piece;
        }
        if (e->pos >= to)
            break;
    }
    if (last && !wb.rc)
        wb_write(&wb, ops, s, last, IO_BLOCK, to);
    while (wb.in_flight)
        fiber_park();
    return wb.rc;
}

// What the canary breaks: zeros in memory over published bytes.
static void pad_in_place(struct segment *s, uint32_t from, uint32_t to)
{
    list_foreach(n, &s->extents)
    {
        struct extent *e = list_entry(n, struct extent, node);
        if (from >= e->pos && from < e->pos + e->cap)
            memset(e->mem + (from - e->pos), 0, SL_MIN(to, e->pos + e->cap) - from);
    }
}

int segment_write(struct segment *s, uint32_t upto)
{
    uint32_t from = SL_ALIGN_DOWN(s->flushed, (uint32_t)IO_BLOCK),
             whole = SL_ALIGN_DOWN(upto, (uint32_t)IO_BLOCK);
    uint8_t *last = NULL;
    if (upto <= s->flushed)
        return 0;
    SL_ASSERT(upto <= s->size && from >= s->mem_start);
    int rc = segment_open(s, false);
    if (!rc && upto != whole && !(last = aligned_alloc(IO_BLOCK, IO_BLOCK)))
        rc = -ENOMEM;
    if (rc)
        return rc;
    if (last) {
        bool there = segment_peek(s, whole, last, upto - whole);
        SL_ASSERT(there);
        memset(last + (upto - whole), 0, IO_BLOCK - (upto - whole));
        if (SL_CANARY(PUBLISHED_CHANGES))
            pad_in_place(s, upto, SL_MIN(s->size, whole + IO_BLOCK));
    }
    files_used(s);
    s->writing = true;
    s->wb_end = SL_MAX(s->wb_end, SL_ALIGN_UP(upto, (uint32_t)IO_BLOCK));
    SL_ASSERT(!s->cov_n || s->wb_end <= s->cov[0].from);
    rc = write_range(s, from, whole, last);
    s->writing = false;
    free(last);
    if (!rc)
        s->flushed = upto;
    return rc;
}

int segment_sync(struct segment *s)
{
    uint32_t upto = s->flushed;
    if (s->synced >= upto)
        return 0;
    int rc = segment_open(s, false);
    if (!rc)
        rc = fio_fsync(s->file, true);
    if (!rc)
        s->synced = upto;
    return rc;
}

int segment_cut(struct segment *s, bool sync)
{
    SL_ASSERT(s->name == SEG_NAMED);
    int rc = segment_open(s, false);
    // Not even to the length that it has: the file system writes the last block again all the same, and nothing may hold what is
    // in it (log_hold_tail).
    if (!rc && s->allocated != s->size)
        rc = fio_ftruncate(s->file, s->size);
    if (!rc && sync)
        rc = fio_fsync(s->file, false);
    if (!rc) {
        s->allocated = s->size;
        s->synced = s->size;
    }
    return rc;
}

// ---- indexes ------------------------------------------------------------------------------------------------------------
enum index_end { INDEX_GROWS, INDEX_ENDS, INDEX_ENDS_SYNCED };

static int write_index_file(struct segment *s, enum segment_file which, const uint8_t *p, size_t n, size_t at,
                            enum index_end end)
{
    char path[1500];
    segment_path(s, which, path, sizeof(path));
    io_file f = fio_open(path, IO_RDWR | IO_CREATE, 0644);
    if (f < 0)
        return f;
    int rc = n ? fio_write(f, p, n, at, 0) : 0;
    if (!rc && end != INDEX_GROWS)
        rc = fio_ftruncate(f, at + n);
    if (!rc && end == INDEX_ENDS_SYNCED)
        rc = fio_fsync(f, false);
    fio_close(f);
    return rc;
}

// How many entries are of batches below the durable end. A file that never has others never has any that turn out wrong.
static void durable_entries(const struct segment *s, uint32_t *n, uint32_t *tn)
{
    int64_t end = s->log->durable.offset;
    *n = s->index.count;
    *tn = s->timeindex.count;
    while (*n && s->base_offset + s->index.e[*n - 1].relative_offset >= end)
        --*n;
    while (*tn && time_index_at(&s->timeindex, *tn - 1).offset >= end)
        --*tn;
}

static int write_entries(struct segment *s, uint32_t a, uint32_t b, uint32_t ta, uint32_t tb,
                         enum index_end end)
{
    size_t n = (size_t)(b - a) * OFFSET_INDEX_ENTRY_SIZE, tn = (size_t)(tb - ta) * TIME_INDEX_ENTRY_SIZE;
    uint8_t *p = malloc(n + tn + 1);
    if (!p)
        return -ENOMEM;
    offset_index_encode(&s->index, a, b, p);
    time_index_encode(&s->timeindex, ta, tb, p + n);
    int rc = write_index_file(s, SEG_INDEX, p, n, (size_t)a * OFFSET_INDEX_ENTRY_SIZE, end);
    if (!rc)
        rc = write_index_file(s, SEG_TIMEINDEX, p + n, tn, (size_t)ta * TIME_INDEX_ENTRY_SIZE, end);
    free(p);
    if (!rc) {
        s->index_written = b;
        s->timeindex_written = tb;
    }
    return rc;
}

int segment_put_indexes(struct segment *s, bool sync)
{
    int rc = segment_load_index(s);
    if (rc)
        return rc;
    if (s->max_timestamp >= 0)
        time_index_append(&s->timeindex, s->max_timestamp, s->max_timestamp_offset, true);
    return write_entries(s, 0, s->index.count, 0, s->timeindex.count, sync ? INDEX_ENDS_SYNCED : INDEX_ENDS);
}

// A start after a crash looks at the batches of what the files do not have yet: a few hundred KiB of a log are soon read, and
// thousands of logs' files are not opened for a few entries each.
enum { INDEX_FEW = 64 };

int segment_write_indexes(struct segment *s)
{
    uint32_t b, tb;
    if (!s->index_loaded)
        return 0;
    durable_entries(s, &b, &tb);
    if (b < s->index_written + INDEX_FEW && tb < s->timeindex_written + INDEX_FEW)
        return 0;
    return write_entries(s, SL_MIN(b, s->index_written), b, SL_MIN(tb, s->timeindex_written), tb,
                         INDEX_GROWS);
}

int log_header_check(const struct segment *s, uint32_t pos, const uint8_t *head, struct batch_info *out)
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
    return log_header_check(s, pos, head, out);
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
    return log_header_check(s, pos, sc->buf + (pos - sc->pos), out);
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

// ---- loading and rebuilding indexes -----------------------------------------------------------------------------------
struct build {
    struct segment *s;
    struct offset_index x;
    struct time_index t;
    int64_t max_timestamp, max_timestamp_offset;
};

static void build_init(struct build *b, struct segment *s)
{
    *b = (struct build){.s = s, .max_timestamp = -1, .max_timestamp_offset = -1};
    offset_index_init(&b->x, s->base_offset, s->log->cfg.segment_index_bytes);
    time_index_init(&b->t, s->base_offset, s->log->cfg.segment_index_bytes);
}

static void build_drop(struct build *b)
{
    offset_index_destroy(&b->x);
    time_index_destroy(&b->t);
}

// Walks headers from `pos` to the end, which may move meanwhile, and adds their entries.
static int build_walk(struct build *b, uint32_t pos)
{
    struct segment *s = b->s;
    struct log_scan sc = {.seg = s};
    struct batch_info i;
    int rc = 0;
    for (; pos < s->size && !rc; pos += i.size) {
        rc = log_scan_header(&sc, pos, &i);
        if (rc)
            break;
        int64_t last = i.base_offset + i.last_offset_delta;
        if (i.max_timestamp > b->max_timestamp) {
            b->max_timestamp = i.max_timestamp;
            b->max_timestamp_offset = last;
        }
        if (offset_index_on_batch(&b->x, s->log->cfg.index_interval_bytes, last, pos, i.size) == 1)
            time_index_append(&b->t, b->max_timestamp, b->max_timestamp_offset, false);
    }
    free(sc.buf);
    return rc;
}

static void build_use(struct build *b)
{
    struct segment *s = b->s;
    offset_index_destroy(&s->index);
    time_index_destroy(&s->timeindex);
    s->index = b->x;
    s->timeindex = b->t;
    if (b->max_timestamp > s->max_timestamp) {
        s->max_timestamp = b->max_timestamp;
        s->max_timestamp_offset = b->max_timestamp_offset;
    }
    s->index_loaded = true;
    s->index_written = s->timeindex_written = 0;
}

int segment_rebuild_index(struct segment *s)
{
    struct build b;
    build_init(&b, s);
    int rc = build_walk(&b, 0);
    if (rc)
        build_drop(&b);
    else
        build_use(&b);
    return rc;
}

static int load_one(struct segment *s, enum segment_file which, uint8_t **p, size_t *n)
{
    char path[1500];
    segment_path(s, which, path, sizeof(path));
    return fio_read_file(path, 64u << 20, p, n);
}

// Entries as far as they rise. Zeros, or the end of the file, are where a crash cut it.
static void load_offsets(struct build *b, const uint8_t *p, size_t n)
{
    for (; n >= OFFSET_INDEX_ENTRY_SIZE; n -= OFFSET_INDEX_ENTRY_SIZE, p += OFFSET_INDEX_ENTRY_SIZE) {
        uint32_t pos = be32_load(p + 4);
        if (!pos || pos >= b->s->size ||
            offset_index_append(&b->x, b->s->base_offset + (int32_t)be32_load(p), pos))
            return;
    }
}

static void load_times(struct build *b, const uint8_t *p, size_t n)
{
    for (; n >= TIME_INDEX_ENTRY_SIZE; n -= TIME_INDEX_ENTRY_SIZE, p += TIME_INDEX_ENTRY_SIZE)
        if (time_index_append(&b->t, (int64_t)be64_load(p), b->s->base_offset + (int32_t)be32_load(p + 8),
                              true) != 1)
            return;
}

// After a crash, or where one of them is missing, the files do not belong together: an entry of the offset index comes with what
// the time index has to say of all batches up to it, and that may be what is lost. Entries behind the newest time are found anew.
static void doubt(struct build *b)
{
    struct timestamp_offset t = time_index_last(&b->t);
    offset_index_truncate(&b->x, b->t.count ? t.offset + 1 : b->s->base_offset);
}

// The position from which the batches are to be walked: the last entry's, if it fits its batch; else nothing of the files is
// believed and it is 0.
static int load_start(struct build *b, uint32_t *pos)
{
    struct offset_position last = offset_index_last(&b->x);
    struct batch_info i;
    *pos = 0;
    if (last.position) {
        int rc = log_header_at(b->s, last.position, &i);
        if (rc && rc != -EBADMSG)
            return rc;
        if (!rc && (SL_CANARY(INDEX_BELIEVED) || i.base_offset + i.last_offset_delta == last.offset)) {
            *pos = last.position + i.size;
            b->x.bytes_since = i.size;
            return 0;
        }
    }
    build_drop(b);
    build_init(b, b->s);
    return 0;
}

static int load_files(struct build *b)
{
    uint8_t *p = NULL, *t = NULL;
    size_t n = 0, tn = 0;
    uint32_t pos = 0;
    if (load_one(b->s, SEG_INDEX, &p, &n) == 0)
        load_offsets(b, p, n);
    if (load_one(b->s, SEG_TIMEINDEX, &t, &tn) == 0)
        load_times(b, t, tn);
    free(p);
    free(t);
    if (b->s->index_doubted || !b->t.count)
        doubt(b);
    struct timestamp_offset last = time_index_last(&b->t);
    if (b->t.count) {
        b->max_timestamp = last.timestamp;
        b->max_timestamp_offset = last.offset;
    }
    int rc = load_start(b, &pos);
    return rc ? rc : build_walk(b, pos);
}

int segment_load_index(struct segment *s)
{
    struct build b;
    if (s->index_loaded)
        return 0;
    build_init(&b, s);
    int rc = load_files(&b);
    if (!rc && !s->index_loaded)
        build_use(&b);
    else
        build_drop(&b); // or another fiber was faster, and appends may have gone on from there
    return rc;
}
