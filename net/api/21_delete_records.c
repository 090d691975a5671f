// DeleteRecords (key 21), versions 0-2: moves the start of a partition's log. The answer comes when that is durable, with the
// log start as the low watermark.
//
// Deviations from upstream 4.3: the timeout is not applied, since no follower is waited for.
#include "net/api/common.h"

#include "proto/gen/delete_records_request.h"
#include "proto/gen/delete_records_response.h"

typedef struct kp_delete_records_request_delete_records_topic in_topic;
typedef struct kp_delete_records_response_delete_records_topic_result out_topic;
typedef struct kp_delete_records_response_delete_records_partition_result out_part;

struct state {
    struct kp_delete_records_request m;
    struct kp_delete_records_response out;
    struct shard_trim *asks; // per shard
    out_part ***outs;        // per shard, per part: where its answer goes
    uint32_t *counts;
    struct call *calls;
    uint32_t pending;
};

static void finish(struct req *r)
{
    struct state *st = r->state;
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        for (uint32_t i = 0; i < st->asks[s].n; i++) {
            st->outs[s][i]->error_code = st->asks[s].parts[i].error;
            st->outs[s][i]->low_watermark = st->asks[s].parts[i].low_watermark;
        }
    }
    REQ_RESPOND(r, &st->out, delete_records_response);
}

static void answered(struct call *c)
{
    struct state *st = c->req->state;
    if (--st->pending == 0)
        finish(c->req);
}

static void check_topic(struct req *r, struct state *st, int32_t ti)
{
    const in_topic *in = &st->m.topics[ti];
    const struct meta_topic *t = api_topic(r, in->name);
    out_topic *out = &st->out.topics[ti];
    kp_delete_records_response_delete_records_topic_result_init(out);
    out->name = in->name;
    out->partitions_n = in->partitions_n;
    out->partitions = req_alloc_array(r, (size_t)SL_MAX(in->partitions_n, 0), sizeof(*out->partitions));
    for (int32_t i = 0; i < in->partitions_n; i++) {
        out_part *o = &out->partitions[i];
        kp_delete_records_response_delete_records_partition_result_init(o);
        o->partition_index = in->partitions[i].partition_index;
        o->low_watermark = -1;
        o->error_code = api_check_leader(r, t, o->partition_index);
        if (!o->error_code && api_is_internal(in->name))
            o->error_code = KERR_INVALID_TOPIC_EXCEPTION;
        if (!o->error_code)
            st->counts[net_shard_of(r->net, &t->id, o->partition_index)]++;
    }
}

static void ask_topic(struct req *r, struct state *st, int32_t ti)
{
    const in_topic *in = &st->m.topics[ti];
    const struct meta_topic *t = api_topic(r, in->name);
    for (int32_t i = 0; i < in->partitions_n; i++) {
        out_part *o = &st->out.topics[ti].partitions[i];
        if (o->error_code)
            continue;
        uint32_t s = net_shard_of(r->net, &t->id, o->partition_index);
        struct shard_trim *a = &st->asks[s];
        if (!a->parts) {
            a->parts = req_alloc_array(r, st->counts[s], sizeof(*a->parts));
            st->outs[s] = req_alloc_array(r, st->counts[s], sizeof(**st->outs));
        }
        st->outs[s][a->n] = o;
        a->parts[a->n++] = (struct shard_trim_part){
            .topic_id = t->id, .partition = o->partition_index, .offset = in->partitions[i].offset};
    }
}

static void plan(struct req *r, struct state *st)
{
    st->asks = req_alloc_array(r, net_shards(r->net), sizeof(*st->asks));
    st->outs = req_alloc_array(r, net_shards(r->net), sizeof(*st->outs));
    st->counts = req_alloc_array(r, net_shards(r->net), sizeof(*st->counts));
    st->calls = req_alloc_array(r, net_shards(r->net), sizeof(*st->calls));
    kp_delete_records_response_init(&st->out);
    st->out.topics_n = SL_MAX(st->m.topics_n, 0);
    st->out.topics = req_alloc_array(r, (size_t)st->out.topics_n, sizeof(*st->out.topics));
    for (int32_t t = 0; t < st->out.topics_n; t++)
        check_topic(r, st, t);
    for (int32_t t = 0; t < st->out.topics_n; t++)
        ask_topic(r, st, t);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, delete_records_request))
        return;
    plan(r, st);
    st->pending = 1;
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        if (!st->asks[s].n)
            continue;
        st->pending++;
        call_send(&st->calls[s], r, net_shard_reactor(r->net, s), SHARD_DELETE_RECORDS, &st->asks[s],
                  answered);
    }
    if (--st->pending == 0)
        finish(r);
}

const struct api_handler api_delete_records = {
    .key = 21, .min = 0, .max = 2, .advertise_min = 0, .start = start};
