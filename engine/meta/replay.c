// Reading the metadata log at boot: segment files and snapshots, batch by batch. The log was recovered
// before, so that
// its files hold every accepted byte; the shard that will own it does not run yet, which is why the files are
// read here.
#include "engine/meta/meta_private.h"

#include "engine/log/record.h"
#include "proto/gen/kraft_version_record.h"
#include "proto/gen/voters_record.h"

#include <errno.h>
#include <stdlib.h>

enum { READ_STEP = 1 << 20, BATCH_MAX = 64 << 20 };

struct reader {
    const char *path;
    io_file f;
    uint8_t *buf;
    size_t len, cap; // bytes in buf
    uint64_t pos;    // of buf[0] in the file
    bool eof;
};

static int reader_fill(struct reader *rd, size_t need)
{
    if (need > rd->cap) {
        size_t cap = SL_MAX(need, (size_t)READ_STEP);
        uint8_t *p = realloc(rd->buf, cap);
        if (!p)
            return -ENOMEM;
        rd->buf = p;
        rd->cap = cap;
    }
    while (rd->len < need && !rd->eof) {
        int n = fio_read(rd->f, rd->buf + rd->len, rd->cap - rd->len, rd->pos + rd->len);
        if (n < 0)
            return n;
        rd->len += (size_t)n;
        rd->eof = n == 0;
    }
    return 0;
}

// The batch at the reader's position. 1: *b is filled; 0: the end of the file.
static int reader_batch(struct reader *rd, struct batch_info *b)
{
    int rc = reader_fill(rd, BATCH_HEADER_SIZE);
    if (rc || rd->len == 0)
        return rc;
    rc = batch_parse(rd->buf, rd->len, b);
    if (rc == -EAGAIN && rd->len >= BATCH_HEADER_SIZE) {
        if (b->size > BATCH_MAX)
            return -EBADMSG;
        rc = reader_fill(rd, b->size);
        rc = rc ? rc : batch_parse(rd->buf, rd->len, b);
    }
    if (rc)
        return rc == -EAGAIN ? -EBADMSG : rc;
    return batch_crc_ok(rd->buf) ? 1 : -EBADMSG;
}

static void reader_next(struct reader *rd, const struct batch_info *b)
{
    memmove(rd->buf, rd->buf + b->size, rd->len - b->size);
    rd->len -= b->size;
    rd->pos += b->size;
}

static int reader_open(struct reader *rd, const char *path)
{
    *rd = (struct reader){.path = path};
    rd->f = fio_open(path, IO_RDONLY, 0);
    return rd->f < 0 ? rd->f : 0;
}

static int reader_close(struct reader *rd, int rc)
{
    int e = fio_close(rd->f);
    free(rd->buf);
    return rc ? rc : e;
}

// ---- records of a batch -----------------------------------------------------------------------------------
struct sink {
    struct meta *m;
    struct recs *into; // collect instead of applying
    char *err;
    size_t cap;
};

static int on_voters(struct sink *s, const struct record *r)
{
    struct kp_voters_record v;
    arena_reset(&s->m->decode);
    if (kp_voters_record_decode(&v, r->value.p, (size_t)SL_MAX(r->value.len, 0), 0, &s->m->decode) < 0)
        return meta_fail(s->err, s->cap, -EUCLEAN, "a KRaftVoters record cannot be decoded");
    if (v.voters_n != 1 || v.voters[0].voter_id != s->m->id.node_id)
        return meta_fail(s->err, s->cap, -EPROTONOSUPPORT,
                         "the metadata quorum has %d voters; only one, node %d itself, is served", v.voters_n,
                         s->m->id.node_id);
    return 0;
}

static int on_control(struct sink *s, const struct record *r)
{
    struct kp_kraft_version_record k;
    switch (record_control_type(r->key)) {
    case RECORD_CONTROL_KRAFT_VERSION:
        if (kp_kraft_version_record_decode(&k, r->value.p, (size_t)SL_MAX(r->value.len, 0), 0,
                                           &s->m->decode) < 0)
            return meta_fail(s->err, s->cap, -EUCLEAN, "a KRaftVersion record cannot be decoded");
        if (k.kraft_version < 0 || k.kraft_version > 1)
            return meta_fail(s->err, s->cap, -EPROTONOSUPPORT, "kraft.version %d is unknown",
                             k.kraft_version);
        s->m->kraft_version = k.kraft_version;
        return 0;
    case RECORD_CONTROL_KRAFT_VOTERS:
        return on_voters(s, r);
    default:
        return 0;
    }
}

static int on_batch(struct sink *s, const uint8_t *p, const struct batch_info *b, int64_t from)
{
    struct record_iter it;
    struct record r;
    int rc;
    if (batch_attr_codec(b->attributes) != BATCH_CODEC_NONE)
        return meta_fail(s->err, s->cap, -EPROTONOSUPPORT, "a compressed metadata batch at offset %lld",
                         (long long)b->base_offset);
    record_iter_init(&it, p + BATCH_RECORDS, b->size - BATCH_RECORDS, b->record_count);
    while ((rc = record_iter_next(&it, &r)) > 0) {
        int64_t offset = b->base_offset + r.offset_delta;
        if (offset < from)
            continue;
        if (batch_info_is_control(b))
            rc = on_control(s, &r);
        else if (s->into)
            rc = recs_add_raw(s->into, r.value.p, (size_t)SL_MAX(r.value.len, 0));
        else
            rc = meta_apply(s->m, offset, r.value.p, (size_t)SL_MAX(r.value.len, 0), s->err, s->cap);
        if (rc)
            return rc;
    }
    return rc == -EBADMSG ? meta_fail(s->err, s->cap, -EUCLEAN, "a broken record in the batch at offset %lld",
                                      (long long)b->base_offset)
                          : rc;
}

int replay_snapshot(struct meta *m, const char *path, struct recs *into, char *err, size_t cap)
{
    struct sink s = {.m = m, .into = into, .err = err, .cap = cap};
    struct reader rd;
    struct batch_info b;
    int rc = reader_open(&rd, path);
    if (rc)
        return meta_fail(err, cap, rc, "%s: %s", path, strerror(-rc));
    while ((rc = reader_batch(&rd, &b)) == 1) {
        rc = on_batch(&s, rd.buf, &b, INT64_MIN);
        if (rc)
            break;
        reader_next(&rd, &b);
    }
    if (rc == -EBADMSG)
        rc = meta_fail(err, cap, -EUCLEAN, "%s: no sound batch at position %llu", path,
                       (unsigned long long)rd.pos);
    return reader_close(&rd, rc);
}

// ---- the log's segments -----------------------------------------------------------------------------------
struct bases {
    int64_t *v;
    uint32_t n, cap;
};

static int add_base(void *arg, const struct io_dirent *e)
{
    struct bases *b = arg;
    char *end;
    long long base = strtoll(e->name, &end, 10);
    if (e->is_dir || end - e->name != 20 || strcmp(end, ".log") != 0)
        return 0;
    if (b->n == b->cap) {
        uint32_t cap = b->cap ? b->cap * 2 : 8;
        int64_t *v = realloc(b->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        b->v = v;
        b->cap = cap;
    }
    b->v[b->n++] = base;
    return 0;
}

static int base_cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

// Applies what segment `base` holds in [from, end). *next: the offset that must follow.
static int replay_segment(struct sink *s, const char *path, int64_t from, int64_t end, int64_t *next)
{
    struct reader rd;
    struct batch_info b;
    int rc = reader_open(&rd, path);
    if (rc)
        return meta_fail(s->err, s->cap, rc, "%s: %s", path, strerror(-rc));
    while (*next < end && (rc = reader_batch(&rd, &b)) == 1) {
        if (b.base_offset < *next) {
            rc = -EBADMSG;
            break;
        }
        rc = on_batch(s, rd.buf, &b, from);
        if (rc)
            break;
        *next = batch_info_last_offset(&b) + 1;
        s->m->snapshot_bytes += b.size;
        if (b.leader_epoch > s->m->epoch)
            s->m->epoch = b.leader_epoch;
        reader_next(&rd, &b);
    }
    if (rc == -EBADMSG)
        rc = meta_fail(s->err, s->cap, -EUCLEAN, "%s: no sound batch at position %llu", path,
                       (unsigned long long)rd.pos);
    return reader_close(&rd, rc);
}

int replay_log(struct meta *m, int64_t from, int64_t end, char *err, size_t cap)
{
    struct sink s = {.m = m, .err = err, .cap = cap};
    struct bases b = {0};
    char dir[1100], path[1200];
    snprintf(dir, sizeof(dir), "%s/%s-0", m->dir, META_TOPIC_NAME);
    int rc = io_listdir(reactor_io(fiber_reactor(fiber_current())), dir, add_base, &b);
    if (b.n)
        qsort(b.v, b.n, sizeof(*b.v), base_cmp);
    int64_t next = from;
    for (uint32_t i = 0; i < b.n && !rc && next < end; i++) {
        if (i + 1 < b.n && b.v[i + 1] <= from)
            continue; // wholly below
        if (b.v[i] > next) {
            rc = meta_fail(err, cap, -EUCLEAN, "%s: offsets %lld to %lld are missing", dir, (long long)next,
                           (long long)b.v[i] - 1);
            break;
        }
        snprintf(path, sizeof(path), "%s/%020lld.log", dir, (long long)b.v[i]);
        next = b.v[i];
        rc = replay_segment(&s, path, from, end, &next);
    }
    if (!rc && next < end)
        rc = meta_fail(err, cap, -EUCLEAN, "%s: offsets %lld to %lld are missing", dir, (long long)next,
                       (long long)end - 1);
    free(b.v);
    return rc;
}
