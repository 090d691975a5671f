// OffsetForLeaderEpoch (key 23), versions 2-4: where a leader epoch ended, up to the high watermark.
//
// Deviations from upstream 4.3: none known for consumers; followers (a replica id, from version 3) are answered alike.
#include "net/api/common.h"

#include "proto/gen/offset_for_leader_epoch_request.h"
#include "proto/gen/offset_for_leader_epoch_response.h"

typedef struct kp_offset_for_leader_epoch_request_offset_for_leader_topic in_topic;
typedef struct kp_offset_for_leader_epoch_response_epoch_end_offset out_part;

struct state {
    struct kp_offset_for_leader_epoch_request m;
    struct kp_offset_for_leader_epoch_response out;
    struct shard_epochs *asks; // per shard
    out_part ***outs;          // per shard, per part: where its answer goes
    uint32_t *counts;
    struct call *calls;
    uint32_t pending;
};

static void finish(struct req *r)
{
    struct state *st = r->state;
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        for (uint32_t i = 0; i < st->asks[s].n; i++) {
            const struct shard_epoch_part *p = &st->asks[s].parts[i];
            out_part *o = st->outs[s][i];
            o->error_code = p->error;
            o->leader_epoch = p->error ? -1 : p->end_epoch;
            o->end_offset = p->error ? -1 : p->end_offset;
        }
    }
    REQ_RESPOND(r, &st->out, offset_for_leader_epoch_response);
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
    const struct meta_topic *t = api_topic(r, in->topic);
    struct kp_offset_for_leader_epoch_response_offset_for_leader_topic_result *out = &st->out.topics[ti];
    out->topic = in->topic;
    out->partitions_n = in->partitions_n;
    out->partitions = req_alloc_array(r, (size_t)in->partitions_n, sizeof(*out->partitions));
    for (int32_t i = 0; i < in->partitions_n; i++) {
        out_part *o = &out->partitions[i];
        kp_offset_for_leader_epoch_response_epoch_end_offset_init(o);
        o->partition = in->partitions[i].partition;
        o->error_code = api_check_leader(r, t, o->partition);
        if (!o->error_code)
            st->counts[net_shard_of(r->net, &t->id, o->partition)]++;
    }
}

static void ask_topic(struct req *r, struct state *st, int32_t ti)
{
    const in_topic *in = &st->m.topics[ti];
    const struct meta_topic *t = api_topic(r, in->topic);
    for (int32_t i = 0; i < in->partitions_n; i++) {
        out_part *o = &st->out.topics[ti].partitions[i];
        if (o->error_code)
            continue;
        uint32_t s = net_shard_of(r->net, &t->id, o->partition);
        struct shard_epochs *a = &st->asks[s];
        if (!a->parts) {
            a->parts = req_alloc_array(r, st->counts[s], sizeof(*a->parts));
            st->outs[s] = req_alloc_array(r, st->counts[s], sizeof(**st->outs));
        }
        st->outs[s][a->n] = o;
        a->parts[a->n++] =
            (struct shard_epoch_part){.topic_id = t->id,
                                      .partition = o->partition,
                                      .current_leader_epoch = in->partitions[i].current_leader_epoch,
                                      .leader_epoch = in->partitions[i].leader_epoch};
    }
}

static void plan(struct req *r, struct state *st)
{
    st->asks = req_alloc_array(r, net_shards(r->net), sizeof(*st->asks));
    st->outs = req_alloc_array(r, net_shards(r->net), sizeof(*st->outs));
    st->counts = req_alloc_array(r, net_shards(r->net), sizeof(*st->counts));
    st->calls = req_alloc_array(r, net_shards(r->net), sizeof(*st->calls));
    kp_offset_for_leader_epoch_response_init(&st->out);
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
    if (!REQ_DECODE(r, &st->m, offset_for_leader_epoch_request))
        return;
    plan(r, st);
    st->pending = 1;
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        if (!st->asks[s].n)
            continue;
        st->pending++;
        call_send(&st->calls[s], r, net_shard_reactor(r->net, s), SHARD_EPOCH_END, &st->asks[s], answered);
    }
    if (--st->pending == 0)
        finish(r);
}

const struct api_handler api_offset_for_leader_epoch = {
    .key = 23, .min = 2, .max = 4, .advertise_min = 2, .start = start};
