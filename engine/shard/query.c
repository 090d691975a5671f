// ListOffsets, OffsetForLeaderEpoch and descriptions of partitions. Answers never pass the durable end (S6).
#include "engine/shard/shard_private.h"

#include <errno.h>
#include <stdlib.h>

enum {
    TS_LATEST = -1,
    TS_EARLIEST = -2,
    TS_MAX_TIMESTAMP = -3,
    TS_EARLIEST_LOCAL = -4,
    TS_LATEST_TIERED = -5,
    TS_EARLIEST_PENDING_UPLOAD = -6,
};

struct offsets_run {
    struct shard *s;
    struct shard_offsets *q;
};

// True when the answer needs no look into the log.
static bool offset_at_once(struct part *p, struct shard_offset_part *o, bool read_committed)
{
    struct log_ends e;
    log_get_ends(p->log, &e);
    o->leader_epoch = -1;
    o->offset = -1;
    o->found_timestamp = -1;
    switch (o->timestamp) {
    case TS_LATEST:
        o->offset = read_committed ? e.last_stable : e.high_watermark;
        o->leader_epoch = e.leader_epoch;
        return true;
    case TS_EARLIEST:
    case TS_EARLIEST_LOCAL:
        o->offset = e.log_start;
        o->leader_epoch = epoch_cache_for_offset(log_epochs(p->log), e.log_start);
        return true;
    case TS_LATEST_TIERED:
    case TS_EARLIEST_PENDING_UPLOAD:
        return true;
    case TS_MAX_TIMESTAMP:
        return false;
    default:
        if (o->timestamp < 0)
            o->error = KERR_INVALID_REQUEST;
        return o->timestamp < 0;
    }
}

static void offset_from_log(struct part *p, struct shard_offset_part *o, bool read_committed)
{
    struct log_ends e;
    log_get_ends(p->log, &e);
    int64_t limit = read_committed ? e.last_stable : e.high_watermark;
    int rc;
    if (o->timestamp == TS_MAX_TIMESTAMP)
        rc = log_offset_of_max_time(p->log, &o->offset, &o->found_timestamp, &o->leader_epoch);
    else
        rc = log_offset_for_time(p->log, o->timestamp, limit, &o->offset, &o->found_timestamp,
                                 &o->leader_epoch);
    if (rc == 0 && o->offset < limit)
        return;
    o->offset = -1;
    o->found_timestamp = -1;
    o->leader_epoch = -1;
    if (rc && rc != -ENOENT)
        o->error = KERR_KAFKA_STORAGE_ERROR;
}

static void offsets_fiber(void *arg)
{
    struct offsets_run *run = arg;
    struct shard *s = run->s;
    for (uint32_t i = 0; i < run->q->n; i++) {
        struct shard_offset_part *o = &run->q->parts[i];
        struct part *p = shard_find(s, &o->topic_id, o->partition);
        if (!p || o->error || offset_at_once(p, o, run->q->read_committed))
            continue;
        p->refs++;
        offset_from_log(p, o, run->q->read_committed);
        shard_part_unref(p);
    }
    shard_reply(s, run->q->from, SHARD_LIST_OFFSETS, run->q);
    s->fibers--;
    free(run);
}

void query_offsets(struct shard *s, uint32_t from, struct shard_offsets *q)
{
    bool all = true;
    q->from = from;
    for (uint32_t i = 0; i < q->n; i++) {
        struct shard_offset_part *o = &q->parts[i];
        struct part *p = shard_find(s, &o->topic_id, o->partition);
        o->offset = o->found_timestamp = -1;
        o->leader_epoch = -1;
        o->error = p ? shard_check_epoch(p, o->current_leader_epoch) : KERR_UNKNOWN_TOPIC_OR_PARTITION;
        if (!o->error)
            all &= offset_at_once(p, o, q->read_committed);
    }
    if (all) {
        shard_reply(s, from, SHARD_LIST_OFFSETS, q);
        return;
    }
    struct offsets_run *run = malloc(sizeof(*run));
    if (!run)
        sl_panic("shard %u: out of memory for an offset query", s->cfg.shard);
    *run = (struct offsets_run){.s = s, .q = q};
    if (!fiber_spawn(s->r, offsets_fiber, run, 0))
        sl_panic("shard %u: out of memory for a fiber", s->cfg.shard);
    s->fibers++;
}

void query_epochs(struct shard *s, uint32_t from, struct shard_epochs *q)
{
    q->from = from;
    for (uint32_t i = 0; i < q->n; i++) {
        struct shard_epoch_part *o = &q->parts[i];
        struct part *p = shard_find(s, &o->topic_id, o->partition);
        o->end_epoch = -1;
        o->end_offset = -1;
        o->error = p ? shard_check_epoch(p, o->current_leader_epoch) : KERR_UNKNOWN_TOPIC_OR_PARTITION;
        if (o->error)
            continue;
        struct log_ends e;
        log_get_ends(p->log, &e);
        struct epoch_end end = epoch_cache_end_offset(log_epochs(p->log), o->leader_epoch, e.high_watermark);
        o->end_epoch = end.epoch;
        o->end_offset = end.end_offset;
    }
    shard_reply(s, from, SHARD_EPOCH_END, q);
}

void query_describe(struct shard *s, uint32_t from, struct shard_describe *q)
{
    q->from = from;
    for (uint32_t i = 0; i < q->n; i++) {
        struct shard_describe_part *o = &q->parts[i];
        struct part *p = shard_find(s, &o->topic_id, o->partition);
        o->error = p ? 0 : KERR_UNKNOWN_TOPIC_OR_PARTITION;
        if (!p)
            continue;
        o->dir = p->s->cfg.dir_no;
        log_get_ends(p->log, &o->ends);
        o->size = log_size_bytes(p->log);
    }
    shard_reply(s, from, SHARD_DESCRIBE, q);
}

static void list_producers(const struct producer_state *ps, struct shard_producers_part *o)
{
    o->producers = malloc((ps->count + 1) * sizeof(*o->producers));
    if (!o->producers)
        sl_panic("shard: out of memory for a list of producers");
    for (uint32_t i = 0; i < ps->count; i++) {
        const struct producer_entry *e = &ps->entries[i];
        uint32_t last =
            (e->batch_first + e->batch_count + PRODUCER_BATCHES_KEPT - 1u) % PRODUCER_BATCHES_KEPT;
        o->producers[o->producers_n++] =
            (struct shard_producer){.producer_id = e->producer_id,
                                    .last_timestamp = e->last_timestamp,
                                    .txn_first_offset = e->txn_first_offset,
                                    .last_sequence = e->batch_count ? e->batches[last].last_sequence : -1,
                                    .coordinator_epoch = e->coordinator_epoch,
                                    .epoch = e->epoch};
    }
}

void query_producers(struct shard *s, uint32_t from, struct shard_producers *q)
{
    q->from = from;
    for (uint32_t i = 0; i < q->n; i++) {
        struct shard_producers_part *o = &q->parts[i];
        struct part *p = shard_find(s, &o->topic_id, o->partition);
        o->error = p ? KERR_NONE : KERR_UNKNOWN_TOPIC_OR_PARTITION;
        o->producers = NULL;
        o->producers_n = 0;
        if (p)
            list_producers(log_producers(p->log), o);
    }
    shard_reply(s, from, SHARD_PRODUCERS, q);
}
