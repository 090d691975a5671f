/* A segment's indexes beside its batches. An index is a hint: an entry is right when a search that starts there cannot
 * miss anything. --repair writes the two of them anew, as the broker would at its next look. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/log/batch.h"
#include "engine/log/index.h"
#include "engine/log/timeindex.h"
#include "engine/log/txnindex.h"
#include "tools/sluice/log_check.h"

enum { INTERVAL = 4096, INDEX_BYTES = 10 << 20 }; /* upstream's defaults */

struct batch_at {
    uint32_t position;
    int64_t base, last;
    int64_t max_before; /* the newest timestamp of all batches before it */
};
struct batches {
    struct batch_at *b;
    size_t n;
};

static int collect(const struct check_segment *s, struct batches *out)
{
    size_t cap = 0;
    int64_t newest = BATCH_NO_TIMESTAMP;
    struct batch_info b;
    for (size_t at = 0; at < s->len; at += b.size) {
        SL_ASSERT(batch_parse(s->data + at, s->len - at, &b) == 0); /* they were checked */
        if (out->n == cap) {
            cap = cap * 2 + 1024;
            struct batch_at *grown = realloc(out->b, cap * sizeof(*grown));
            if (!grown)
                return -ENOMEM;
            out->b = grown;
        }
        out->b[out->n++] = (struct batch_at){(uint32_t)at, b.base_offset, batch_info_last_offset(&b), newest};
        newest = SL_MAX(newest, b.max_timestamp);
    }
    return 0;
}

static const struct batch_at *at_position(const struct batches *x, uint32_t position)
{
    size_t lo = 0, hi = x->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->b[mid].position < position)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < x->n && x->b[lo].position == position ? &x->b[lo] : NULL;
}

/* The first batch that ends at or behind the offset. */
static const struct batch_at *at_offset(const struct batches *x, int64_t offset)
{
    size_t lo = 0, hi = x->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->b[mid].last < offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < x->n ? &x->b[lo] : NULL;
}

static const char *check_offsets(const struct check_segment *s, const struct batches *x,
                                 const struct logfile *f)
{
    struct offset_index index;
    const char *why = NULL;
    offset_index_init(&index, s->base, INT32_MAX);
    if (offset_index_load(&index, f->data, f->len, (uint32_t)s->len))
        why = "its entries do not rise or lie outside the segment";
    for (uint32_t i = 0; i < index.count && !why; i++) {
        const struct batch_at *b = at_position(x, index.e[i].position);
        int64_t offset = s->base + index.e[i].relative_offset;
        if (!b)
            why = "an entry points between batches";
        else if (b->base > offset || offset >= s->log->end)
            why = "an entry's offset is not at its batch";
    }
    offset_index_destroy(&index);
    return why;
}

static const char *check_times(const struct check_segment *s, const struct batches *x,
                               const struct logfile *f)
{
    struct time_index index;
    const char *why = NULL;
    time_index_init(&index, s->base, INT32_MAX);
    if (time_index_load(&index, f->data, f->len))
        why = "its entries do not rise";
    for (uint32_t i = 0; i < index.count && !why; i++) {
        struct timestamp_offset e = time_index_at(&index, i);
        const struct batch_at *b = at_offset(x, e.offset);
        if (!b)
            why = "an entry's offset lies behind the segment";
        else if (b->max_before > e.timestamp)
            why = "a search by time would miss records";
    }
    time_index_destroy(&index);
    return why;
}

/* Replaces the file durably. */
static int write_file(const char *path, const uint8_t *p, size_t n)
{
    char tmp[1500];
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int rc = 0;
    for (size_t at = 0; at < n && !rc;) {
        ssize_t did = write(fd, p + at, n - at);
        rc = did < 0 ? -errno : 0;
        at += did > 0 ? (size_t)did : 0;
    }
    if (!rc && fsync(fd))
        rc = -errno;
    close(fd);
    if (!rc && rename(tmp, path))
        rc = -errno;
    if (rc)
        unlink(tmp);
    return rc;
}

static int rebuild(const struct check_segment *s, const char *index_path, const char *time_path)
{
    struct offset_index x;
    struct time_index t;
    struct batch_info b;
    int64_t newest = BATCH_NO_TIMESTAMP, newest_at = s->base;
    int rc = 0;
    offset_index_init(&x, s->base, INDEX_BYTES);
    time_index_init(&t, s->base, INDEX_BYTES);
    for (size_t at = 0; at < s->len && rc >= 0; at += b.size) {
        SL_ASSERT(batch_parse(s->data + at, s->len - at, &b) == 0);
        int64_t last = batch_info_last_offset(&b);
        if (b.max_timestamp > newest) {
            newest = b.max_timestamp;
            newest_at = last;
        }
        rc = offset_index_on_batch(&x, INTERVAL, last, (uint32_t)at, b.size);
        if (rc == 1)
            rc = time_index_append(&t, newest, newest_at, false);
    }
    if (rc >= 0 && newest > BATCH_NO_TIMESTAMP)
        rc = time_index_append(&t, newest, newest_at, true);
    size_t n = (size_t)x.count * OFFSET_INDEX_ENTRY_SIZE, m = (size_t)t.count * TIME_INDEX_ENTRY_SIZE;
    uint8_t *image = malloc(n + m + 1);
    if (image && rc >= 0) {
        offset_index_encode(&x, 0, x.count, image);
        time_index_encode(&t, 0, t.count, image + n);
        rc = write_file(index_path, image, n);
        if (!rc)
            rc = write_file(time_path, image + n, m);
    }
    free(image);
    offset_index_destroy(&x);
    time_index_destroy(&t);
    return rc < 0 ? rc : 0;
}

typedef const char *(*check_fn)(const struct check_segment *s, const struct batches *x,
                                const struct logfile *f);

/* True if the index is sound or absent: an absent one is made at the next look. */
static bool check_one(const struct check_segment *s, const struct batches *x, const char *path, check_fn fn)
{
    struct check *c = s->log->c;
    struct logfile f;
    int rc = logfile_open(&f, path);
    if (rc == -ENOENT) {
        check_note(c, path, "missing; it is made from the batches when it is needed");
        return true;
    }
    const char *why = rc ? strerror(-rc) : fn(s, x, &f);
    if (why)
        check_problem(c, path, "%s", why);
    c->indexes++;
    logfile_close(&f);
    return !why;
}

static void check_txnindex(const struct check_segment *s)
{
    char path[1500];
    struct logfile f;
    snprintf(path, sizeof(path), "%s/%020" PRId64 ".txnindex", s->log->path, s->base);
    int rc = logfile_open(&f, path);
    if (rc == -ENOENT)
        return; /* no transaction was aborted there */
    s->log->c->indexes++;
    if (rc)
        check_problem(s->log->c, path, "%s", strerror(-rc));
    else if (txn_index_check(f.data, f.len, 0) < 0)
        check_problem(s->log->c, path,
                      "its entries are damaged: read_committed consumers would see aborted records");
    logfile_close(&f);
}

void check_indexes(struct check_segment *s)
{
    struct check *c = s->log->c;
    struct batches x = {0};
    char index_path[1500], time_path[1500];
    snprintf(index_path, sizeof(index_path), "%s/%020" PRId64 ".index", s->log->path, s->base);
    snprintf(time_path, sizeof(time_path), "%s/%020" PRId64 ".timeindex", s->log->path, s->base);
    check_txnindex(s);
    if (collect(s, &x)) {
        check_problem(c, index_path, "out of memory: not checked");
        free(x.b);
        return;
    }
    uint64_t before = c->problems;
    bool sound = check_one(s, &x, index_path, check_offsets);
    sound = check_one(s, &x, time_path, check_times) && sound;
    if (!sound && c->repair) {
        int rc = rebuild(s, index_path, time_path);
        if (rc)
            check_problem(c, index_path, "could not be written anew: %s", strerror(-rc));
        else
            check_note(c, index_path, "written anew from the batches, and the time index");
        c->repaired += rc ? 0 : c->problems - before;
    }
    free(x.b);
}
