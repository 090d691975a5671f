// DescribeProducers (key 61), version 0 (KIP-664): the idempotent and transactional producers that a partition knows, from
// its shard.
//
// Deviations from upstream 4.3: none known.
#include "net/api/common.h"

#include "engine/shard/producers.h"
#include "proto/gen/describe_producers_request.h"
#include "proto/gen/describe_producers_response.h"

#include <stdlib.h>

typedef struct kp_describe_producers_response_partition_response out_part;

struct ask {
    struct shard_producers q;
    out_part **outs; // of each of its parts
    struct call call;
};
struct state {
    struct kp_describe_producers_request m;
    struct kp_describe_producers_response out;
    struct ask *asks; // per shard
    uint32_t pending;
};

static void part_fill(struct req *r, const struct shard_producers_part *p, out_part *o)
{
    o->error_code = p->error;
    o->active_producers = req_alloc_array(r, p->producers_n, sizeof(*o->active_producers));
    for (uint32_t i = 0; i < p->producers_n; i++) {
        const struct shard_producer *in = &p->producers[i];
        o->active_producers[o->active_producers_n++] = (struct kp_describe_producers_response_producer_state){
            .producer_id = in->producer_id,
            .producer_epoch = in->epoch,
            .last_sequence = in->last_sequence,
            .last_timestamp = in->last_timestamp,
            .coordinator_epoch = in->coordinator_epoch,
            .current_txn_start_offset = in->txn_first_offset};
    }
}

static void answered(struct call *c)
{
    struct req *r = c->req;
    struct state *st = r->state;
    struct ask *a = SL_CONTAINER_OF(c, struct ask, call);
    for (uint32_t i = 0; i < a->q.n; i++) {
        part_fill(r, &a->q.parts[i], a->outs[i]);
        free(a->q.parts[i].producers);
    }
    if (--st->pending == 0)
        REQ_RESPOND(r, &st->out, describe_producers_response);
}

static void fail(out_part *o, int16_t error, struct kp_str why)
{
    o->error_code = error;
    o->error_message = why;
}

static void check_topic(struct req *r, struct state *st, int32_t ti, uint32_t *counts)
{
    const struct kp_describe_producers_request_topic_request *in = &st->m.topics[ti];
    struct kp_describe_producers_response_topic_response *out = &st->out.topics[ti];
    const struct meta_topic *t = api_topic(r, in->name);
    const char *bad = api_topic_name_error(r, in->name);
    out->name = in->name;
    out->partitions_n = SL_MAX(in->partition_indexes_n, 0);
    out->partitions = req_alloc_array(r, (size_t)out->partitions_n, sizeof(out_part));
    for (int32_t i = 0; i < out->partitions_n; i++) {
        out_part *o = &out->partitions[i];
        kp_describe_producers_response_partition_response_init(o);
        o->partition_index = in->partition_indexes[i];
        if (bad)
            fail(o, KERR_INVALID_TOPIC_EXCEPTION, kp_str_of(bad));
        else if (!t)
            fail(o, KERR_UNKNOWN_TOPIC_OR_PARTITION,
                 KP_STR_LIT("This server does not host this topic-partition."));
        else if ((o->error_code = api_check_leader(r, t, o->partition_index)) == 0)
            counts[net_shard_of(r->net, &t->id, o->partition_index)]++;
    }
}

static void add_topic(struct req *r, struct state *st, int32_t ti)
{
    const struct meta_topic *t = api_topic(r, st->m.topics[ti].name);
    for (int32_t i = 0; i < st->out.topics[ti].partitions_n; i++) {
        out_part *o = &st->out.topics[ti].partitions[i];
        if (o->error_code)
            continue;
        struct ask *a = &st->asks[net_shard_of(r->net, &t->id, o->partition_index)];
        a->outs[a->q.n] = o;
        a->q.parts[a->q.n++] =
            (struct shard_producers_part){.topic_id = t->id, .partition = o->partition_index};
    }
}

static void plan(struct req *r, struct state *st)
{
    uint32_t shards = net_shards(r->net);
    uint32_t *counts = req_alloc_array(r, shards, sizeof(*counts));
    kp_describe_producers_response_init(&st->out);
    st->out.topics_n = SL_MAX(st->m.topics_n, 0);
    st->out.topics = req_alloc_array(r, (size_t)st->out.topics_n, sizeof(*st->out.topics));
    st->asks = req_alloc_array(r, shards, sizeof(*st->asks));
    for (int32_t t = 0; t < st->out.topics_n; t++)
        check_topic(r, st, t, counts);
    for (uint32_t s = 0; s < shards; s++) {
        st->asks[s].q.parts = req_alloc_array(r, counts[s], sizeof(*st->asks[s].q.parts));
        st->asks[s].outs = req_alloc_array(r, counts[s], sizeof(*st->asks[s].outs));
    }
    for (int32_t t = 0; t < st->out.topics_n; t++)
        add_topic(r, st, t);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, describe_producers_request))
        return;
    plan(r, st);
    st->pending = 1;
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        if (!st->asks[s].q.n)
            continue;
        st->pending++;
        call_send(&st->asks[s].call, r, net_shard_reactor(r->net, s), SHARD_PRODUCERS, &st->asks[s].q,
                  answered);
    }
    if (--st->pending == 0)
        REQ_RESPOND(r, &st->out, describe_producers_response);
}

const struct api_handler api_describe_producers = {
    .key = 61, .min = 0, .max = 0, .advertise_min = 0, .start = start};
