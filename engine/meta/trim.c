// What is kept of the metadata: snapshots, and the log from the oldest of them on (KIP-630).
//
// As upstream's KafkaMetadataLog: while the log and all snapshots are larger than metadata.max.retention.bytes together, or the
// oldest snapshot tells of a time longer ago than metadata.max.retention.ms, the oldest snapshot goes, and the log starts at the
// next one from then on; segments wholly below that go. The newest snapshot stays, whatever the settings. Looked at when a
// snapshot was written, and each minute.
//
// A start needs one snapshot at or behind the log start. So, in this order, and a crash between any two only leaves more than
// is needed: the snapshot that will be the oldest is durable with its name; the log's new start is (a fence in the journal, S3);
// its segments go; the older snapshot goes. A snapshot below the log start, which such a crash left, goes with the next look.
#include "engine/meta/meta_private.h"

#include "engine/log/record.h"
#include "proto/gen/snapshot_header_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t LOOK_NS = 60ull * 1000 * 1000 * 1000;

// ---- which there are ------------------------------------------------------------------------------------------------------
static bool parse_name(const char *name, struct snapshot_id *id)
{
    char *end;
    id->offset = strtoll(name, &end, 10);
    if (end - name != 20 || *end != '-')
        return false;
    const char *second = end + 1;
    long epoch = strtol(second, &end, 10);
    id->epoch = (int32_t)epoch;
    return end - second == 10 && !strcmp(end, ".checkpoint") && id->offset >= 0 && epoch >= 0;
}

static int add_one(void *arg, const struct io_dirent *e)
{
    struct snapshots *s = arg;
    struct snapshot_id id;
    if (e->is_dir || !parse_name(e->name, &id))
        return 0;
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 16;
        struct snapshot_id *v = realloc(s->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = id;
    return 0;
}

static int id_cmp(const void *a, const void *b)
{
    const struct snapshot_id *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

int snapshots_list(struct meta *m, struct snapshots *out)
{
    char dir[1100];
    *out = (struct snapshots){0};
    snprintf(dir, sizeof(dir), "%s/%s-0", m->dir, META_TOPIC_NAME);
    int rc = io_listdir(reactor_io(fiber_reactor(fiber_current())), dir, add_one, out);
    if (out->n)
        qsort(out->v, out->n, sizeof(*out->v), id_cmp);
    return rc;
}

void snapshots_free(struct snapshots *s)
{
    free(s->v);
    *s = (struct snapshots){0};
}

void snapshot_path(const struct meta *m, const struct snapshot_id *id, char *out, size_t cap)
{
    snprintf(out, cap, "%s/%s-0/%020lld-%010d.checkpoint", m->dir, META_TOPIC_NAME, (long long)id->offset,
             id->epoch);
}

// ---- how much, and how old --------------------------------------------------------------------------------------------------
static uint64_t bytes_of(const struct meta *m, const struct snapshots *s)
{
    char path[1200];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        struct io_stat st;
        snapshot_path(m, &s->v[i], path, sizeof(path));
        if (fio_stat(path, &st) == 0)
            sum += st.size;
    }
    return sum;
}

// The append time of the last record in it, as its header says; -1: it says nothing.
static int64_t time_of(struct meta *m, const struct snapshot_id *id)
{
    char path[1200];
    uint8_t head[1024];
    struct batch_info b;
    struct record_iter it;
    struct record r;
    struct kp_snapshot_header_record h = {.last_contained_log_timestamp = -1};
    snapshot_path(m, id, path, sizeof(path));
    io_file f = fio_open(path, IO_RDONLY, 0);
    int n = f < 0 ? f : fio_read(f, head, sizeof(head), 0);
    if (f >= 0)
        (void)fio_close(f);
    if (n < 0 || batch_parse(head, (size_t)n, &b) || !batch_crc_ok(head) || !batch_info_is_control(&b))
        return -1;
    record_iter_init(&it, head + BATCH_RECORDS, b.size - BATCH_RECORDS, b.record_count);
    if (record_iter_next(&it, &r) <= 0 || record_control_type(r.key) != RECORD_CONTROL_SNAPSHOT_HEADER)
        return -1;
    arena_reset(&m->decode);
    if (kp_snapshot_header_record_decode(&h, r.value.p, (size_t)SL_MAX(r.value.len, 0), 0, &m->decode) < 0)
        return -1;
    return h.last_contained_log_timestamp;
}

static bool is_too_much(struct meta *m, const struct snapshots *s, uint64_t log_bytes)
{
    int64_t most = cfg_int(m->cfg, CFG_METADATA_MAX_RETENTION_BYTES);
    int64_t ms = cfg_int(m->cfg, CFG_METADATA_MAX_RETENTION_MS);
    if (most >= 0 && log_bytes + bytes_of(m, s) > (uint64_t)most)
        return true;
    int64_t time = ms >= 0 ? time_of(m, &s->v[0]) : -1;
    return time >= 0 && reactor_wall_ms(m->r) - time > ms;
}

// ---- what goes ----------------------------------------------------------------------------------------------------------------
static int describe(struct meta *m, struct shard_describe_part *out)
{
    struct meta_wait w = {0};
    *out = (struct shard_describe_part){.topic_id = meta_topic_uuid};
    struct shard_describe d = {.parts = out, .n = 1, .owner = &w};
    call_shard(m, shard_of(&meta_topic_uuid, 0, m->placement.shards), SHARD_DESCRIBE, &d, &w);
    call_wait(&w, 0);
    return out->error ? -EIO : 0;
}

int meta_start_log_at(struct meta *m, int64_t offset)
{
    struct meta_wait w = {0};
    struct shard_trim_part part = {.topic_id = meta_topic_uuid, .offset = offset};
    struct shard_trim t = {.parts = &part, .n = 1, .remove = true, .owner = &w};
    call_shard(m, shard_of(&meta_topic_uuid, 0, m->placement.shards), SHARD_DELETE_RECORDS, &t, &w);
    call_wait(&w, 0);
    return part.error ? -EIO : 0;
}

// It may have been seen only, after a kill: then a power cut could still take it.
static int make_durable(struct meta *m, const struct snapshot_id *id)
{
    char path[1200], dir[1100];
    snapshot_path(m, id, path, sizeof(path));
    snprintf(dir, sizeof(dir), "%s/%s-0", m->dir, META_TOPIC_NAME);
    io_file f = fio_open(path, IO_RDONLY, 0);
    int rc = f < 0 ? f : fio_fsync(f, false);
    if (f >= 0)
        (void)fio_close(f);
    return rc ? rc : fio_sync_dir(dir);
}

static int advance(struct meta *m, const struct snapshot_id *to)
{
    int rc = make_durable(m, to);
    rc = rc ? rc : meta_start_log_at(m, to->offset);
    if (!rc)
        sl_log(SL_INFO, "meta", "the metadata log starts at its snapshot of offset %lld",
               (long long)to->offset);
    return rc;
}

// One snapshot less. 1: there may be another; 0: what is there stays; -errno.
static int trim_once(struct meta *m)
{
    char path[1200];
    struct snapshots s;
    struct shard_describe_part log;
    int rc = snapshots_list(m, &s);
    if (!rc && s.n >= 2) {
        rc = describe(m, &log);
        bool stale = !rc && s.v[0].offset < log.ends.log_start;
        bool goes = stale || (!rc && is_too_much(m, &s, log.size));
        if (goes && !stale)
            rc = advance(m, &s.v[1]);
        if (goes && !rc) {
            snapshot_path(m, &s.v[0], path, sizeof(path));
            rc = fio_unlink(path, false);
            rc = rc ? rc : 1;
        }
    }
    snapshots_free(&s);
    return rc;
}

void meta_trim(struct meta *m)
{
    int rc;
    m->trim_due = false;
    do
        rc = m->broken || m->stopping ? 0 : trim_once(m);
    while (rc > 0);
    if (rc)
        sl_log(SL_WARN, "meta", "the metadata log could not be trimmed: %s; it is tried again",
               strerror(-rc));
}

// ---- when -----------------------------------------------------------------------------------------------------------------------
static void on_due(struct timer *t)
{
    struct meta *m = SL_CONTAINER_OF(t, struct meta, trim);
    m->trim_due = true;
    meta_trim_later(m);
    meta_work(m);
}

void meta_trim_init(struct meta *m)
{
    timer_init(&m->trim, on_due);
}

void meta_trim_later(struct meta *m)
{
    if (!m->stopping)
        timer_set(m->r, &m->trim, reactor_now(m->r) + LOOK_NS);
}
