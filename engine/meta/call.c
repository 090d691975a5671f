// Requests of the controller's fibers to shards: appends, opening and deleting partitions.
#include "engine/meta/meta_private.h"

#include "engine/log/record.h"
#include "proto/gen/abort_transaction_record.h"
#include "proto/gen/begin_transaction_record.h"
#include "proto/gen/end_transaction_record.h"

#include <errno.h>
#include <stdlib.h>

enum { OPEN_WINDOW = 64 }; // requests to open partitions that are under way at a time

struct credit_wait {
    struct ready ready;
    struct fiber *fiber;
    bool woken;
};

static void credit_back(struct ready *w)
{
    struct credit_wait *c = SL_CONTAINER_OF(w, struct credit_wait, ready);
    c->woken = true;
    fiber_wake(c->fiber);
}

void call_credit(struct meta *m, uint32_t to)
{
    while (!reactor_credit_take(m->r, to, 1)) {
        struct credit_wait c = {.ready = {.run = credit_back}, .fiber = fiber_current()};
        reactor_credit_wait(m->r, to, &c.ready);
        fiber_park_until(&c.woken);
    }
}

void call_shard(struct meta *m, uint32_t shard, uint16_t op, void *req, struct meta_wait *w)
{
    uint32_t to = m->placement.shard_reactor[shard];
    call_credit(m, to);
    w->fiber = fiber_current();
    w->pending++;
    reactor_request(m->r, to, op, SVC_META)->u[0] = (uint64_t)(uintptr_t)req;
}

void call_done(struct meta_wait *w)
{
    SL_ASSERT(w->pending > 0);
    w->pending--;
    fiber_wake(w->fiber);
}

void call_wait(struct meta_wait *w, uint32_t most)
{
    while (w->pending > most)
        fiber_park();
}

int16_t meta_error_of(int rc)
{
    return rc == 0 ? KERR_NONE : rc == -ENOMEM ? KERR_UNKNOWN_SERVER_ERROR : KERR_KAFKA_STORAGE_ERROR;
}

// ---- appends ----------------------------------------------------------------------------------------------
// One batch to the metadata log; returns when it is durable. The offsets are known beforehand: nobody else
// appends there.
int meta_append_batch(struct meta *m, const uint8_t *batch, size_t n, uint32_t count)
{
    struct meta_wait w = {0};
    struct shard_append_part part = {
        .topic_id = meta_topic_uuid, .records = (uint8_t *)batch, .bytes = (int32_t)n};
    struct shard_append a = {
        .parts = &part, .n = 1, .acks = -1, .api_version = 13, .internal = true, .owner = &w};
    if (m->broken)
        return -EIO;
    call_shard(m, shard_of(&meta_topic_uuid, 0, m->placement.shards), SHARD_APPEND, &a, &w);
    call_wait(&w, 0);
    if (part.error && part.refused) { // a full disk, say: nothing of it is in the log
        sl_log(SL_WARN, "meta", "an append to the metadata log was refused: %s %s", kerr_name(part.error),
               part.error_text);
        return -ENOSPC;
    }
    if (part.error) {
        m->broken = true; // what the log holds is not known: only a new start can tell
        sl_log(SL_ERROR, "meta", "appending to the metadata log failed: %s %s", kerr_name(part.error),
               part.error_text);
        return -EIO;
    }
    SL_ASSERT(part.base_offset == m->next_offset);
    m->next_offset += count;
    m->snapshot_bytes += (int64_t)n;
    return 0;
}

static int append_slice(struct meta *m, const struct recs *rs, uint32_t from, uint32_t to)
{
    struct batch_builder b = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *batch;
    char err[256];
    size_t n;
    int64_t now = reactor_wall_ms(m->r), base = m->next_offset;
    int rc = 0;
    for (uint32_t i = from; i < to && !rc; i++)
        rc = batch_builder_append(&b, now, RECORD_NULL, record_bytes_make(rs->v[i].p, rs->v[i].n), NULL, 0);
    o.leader_epoch = m->epoch;
    if (!rc)
        rc = batch_builder_finish(&b, &o, NULL, &batch, &n);
    if (!rc)
        rc = meta_append_batch(m, batch, n, to - from);
    batch_builder_destroy(&b);
    for (uint32_t i = from; i < to && !rc; i++) {
        rc = meta_apply(m, base + (i - from), rs->v[i].p, rs->v[i].n, err, sizeof(err));
        if (rc)
            sl_panic("meta: a record of our own does not apply: %s", rc == -ENOMEM ? "out of memory" : err);
    }
    return rc;
}

// Where the batch that starts at `from` ends: at least one record, and at most batch_limit bytes.
static uint32_t slice_end(const struct meta *m, const struct recs *rs, uint32_t from)
{
    size_t bytes = BATCH_HEADER_SIZE;
    uint32_t i = from;
    for (; i < rs->n; i++) {
        bytes += rs->v[i].n + 24; // a record's own fields
        if (bytes > m->batch_limit && i > from)
            break;
    }
    return i;
}

static int wrap(struct meta *m, struct recs *rs)
{
    struct kp_begin_transaction_record begin;
    struct kp_end_transaction_record end;
    if (state_feature(m, "metadata.version") < MV_TRANSACTIONS)
        return 0;
    kp_begin_transaction_record_init(&begin);
    kp_end_transaction_record_init(&end);
    recs_add(rs, REC_BEGIN_TRANSACTION, 0, &begin);
    recs_add(rs, REC_END_TRANSACTION, 0, &end);
    if (rs->rc)
        return rs->rc;
    struct rec first = rs->v[rs->n - 2];
    memmove(&rs->v[1], &rs->v[0], (rs->n - 2) * sizeof(*rs->v));
    rs->v[0] = first;
    return 0;
}

// A transaction that was begun and not ended, by the last life or by an append that was refused half-way, is void.
static int abort_open(struct meta *m)
{
    struct kp_abort_transaction_record a = {.reason = KP_STR_LIT("Controller failover")};
    struct recs rs;
    recs_init(&rs);
    recs_add(&rs, REC_ABORT_TRANSACTION, 0, &a);
    int rc = rs.rc ? rs.rc : append_slice(m, &rs, 0, rs.n);
    recs_free(&rs);
    return rc;
}

int meta_append(struct meta *m, struct recs *rs, bool atomic)
{
    int rc = rs->rc;
    if (!rc && m->in_txn && rs->n)
        rc = abort_open(m);
    if (!rc && atomic && rs->n && slice_end(m, rs, 0) < rs->n)
        rc = wrap(m, rs);
    for (uint32_t i = 0, to; i < rs->n && !rc; i = to) {
        to = slice_end(m, rs, i);
        rc = append_slice(m, rs, i, to);
    }
    return rc;
}

// ---- partitions -------------------------------------------------------------------------------------------
// One topic's partitions in one shard, with one leader epoch.
struct open_req {
    struct shard_open o;
    struct open_req *next;
    int16_t *error; // where a failure goes; the first one stays
    int32_t *ids;
};

static bool lives_here(const struct meta *m, const struct meta_partition *p)
{
    for (uint32_t i = 0; i < p->replicas_n; i++)
        if (p->replicas[i] == m->id.node_id)
            return true;
    return false;
}

void meta_open_wait(struct meta_open *run)
{
    struct open_req *q;
    call_wait(&run->w, 0);
    while ((q = run->all)) {
        run->all = q->next;
        if (q->o.error && !*q->error)
            *q->error = q->o.error;
        free(q);
    }
}

static void open_send(struct meta_open *run, const struct meta_topic *t, const int32_t *ids, uint32_t n,
                      int dir, int16_t *error)
{
    struct open_req *q = malloc(sizeof(*q) + n * sizeof(int32_t));
    if (!q)
        sl_panic("meta: out of memory for opening partitions");
    q->ids = (int32_t *)(q + 1);
    memcpy(q->ids, ids, n * sizeof(int32_t));
    q->o = (struct shard_open){.dir = (uint32_t)dir,
                               .topic = t->name,
                               .topic_id = t->id,
                               .partitions = q->ids,
                               .n = n,
                               .leader_epoch = t->partitions[ids[0]].leader_epoch,
                               .owner = &run->w};
    meta_log_config(run->m->settings->config, t, &q->o.config);
    q->error = error;
    q->next = run->all;
    run->all = q;
    uint32_t shard = shard_of(&t->id, ids[0], run->m->placement.shards);
    call_shard(run->m, shard, run->configure ? SHARD_CONFIG : SHARD_OPEN, &q->o, &run->w);
}

// Those that go with partition i: of the same shard, directory and epoch. Marks them, and returns how many they are.
static uint32_t open_group(const struct meta *m, const struct meta_topic *t, uint32_t i, int dir, bool *done,
                           int32_t *ids)
{
    int32_t epoch = t->partitions[i].leader_epoch;
    uint32_t k = 0;
    for (uint32_t p = i; p < t->partitions_n;
         p += m->placement.shards) { // shard_of is (hash + partition) mod shards
        const struct meta_partition *mp = &t->partitions[p];
        if (done[p] || mp->leader_epoch != epoch || !lives_here(m, mp) || dirs_of(m, mp) != dir)
            continue;
        ids[k++] = (int32_t)p;
        done[p] = true;
    }
    return k;
}

// Groups a topic's partitions by shard, directory and epoch; usually one request a shard. What is in no directory that is
// here stays closed.
void meta_open_topic(struct meta_open *run, const struct meta_topic *t, uint32_t from, int16_t *error)
{
    struct meta *m = run->m;
    uint32_t n = t->partitions_n;
    int32_t *ids = malloc((n + 1) * sizeof(*ids));
    bool *done = calloc(n + 1, sizeof(*done));
    if (!ids || !done)
        sl_panic("meta: out of memory for opening partitions");
    for (uint32_t i = from; i < n; i++) {
        int dir = dirs_of(m, &t->partitions[i]);
        if (done[i] || dir < 0 || !lives_here(m, &t->partitions[i]))
            continue;
        open_send(run, t, ids, open_group(m, t, i, dir, done, ids), dir, error);
        call_wait(&run->w, OPEN_WINDOW);
    }
    free(ids);
    free(done);
}

void meta_open_all(struct meta *m)
{
    struct meta_open run = {.m = m};
    int16_t *errors = calloc(m->sorted_n + 1, sizeof(*errors));
    if (!errors)
        sl_panic("meta: out of memory for opening partitions");
    for (uint32_t i = 0; i < m->sorted_n; i++) {
        meta_open_topic(&run, m->sorted[i], 0, &errors[i]);
        if (i % 256 == 255)
            meta_open_wait(&run);
    }
    meta_open_wait(&run);
    for (uint32_t i = 0; i < m->sorted_n; i++) {
        if (!errors[i])
            continue;
        sl_log(SL_ERROR, "meta", "partitions could not be opened topic=%s error=%s; it is tried again",
               m->sorted[i]->name, kerr_name(errors[i]));
        meta_reopen_later(m, &m->sorted[i]->id);
    }
    free(errors);
}

// One topic's partitions in one shard.
struct drop_req {
    struct shard_delete d;
    struct drop_req *next;
    int16_t *error;
    int32_t ids[];
};

void meta_drop_topic(struct meta_drop *run, const struct sl_uuid *id, uint32_t n, int16_t *error)
{
    uint32_t shards = run->m->placement.shards;
    for (uint32_t i = 0; i < SL_MIN(shards, n); i++) {
        struct drop_req *q = malloc(sizeof(*q) + (n / shards + 1) * sizeof(int32_t));
        if (!q)
            sl_panic("meta: out of memory for deleting partitions");
        q->d = (struct shard_delete){.topic_id = *id, .partitions = q->ids, .owner = &run->w};
        for (uint32_t p = i; p < n; p += shards)
            q->ids[q->d.n++] = (int32_t)p;
        q->error = error;
        q->next = run->all;
        run->all = q;
        call_shard(run->m, shard_of(id, (int32_t)i, shards), SHARD_DELETE, &q->d, &run->w);
        call_wait(&run->w, OPEN_WINDOW);
    }
}

void meta_drop_wait(struct meta_drop *run)
{
    struct drop_req *q;
    call_wait(&run->w, 0);
    while ((q = run->all)) {
        run->all = q->next;
        if (q->d.error && !*q->error)
            *q->error = q->d.error;
        free(q);
    }
}
