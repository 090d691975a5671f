// DeleteRecords (key 21), versions 0-2: moves the start of a partition's log. The answer comes when that is durable, with the
// log start as the low watermark.
//
// Deviations from upstream 4.3: the timeout is not applied, since no follower is waited for. REQUEST_TIMED_OUT, which clients
// retry, says that a full disk has no room to make it durable.
#include "net/api/common.h"

#include "proto/gen/delete_records_request.h"
#include "proto/gen/delete_records_response.h"

typedef struct kp_delete_records_request_delete_records_topic in_topic;
typedef struct kp_delete_records_request_delete_records_partition in_part;
typedef struct kp_delete_records_response_delete_records_topic_result out_topic;
typedef struct kp_delete_records_response_delete_records_partition_result out_part;

struct part { // a distinct partition of the request, in the order of the answer
    const in_part *in;
    out_part *out;
    uint32_t topic; // of the answer
};
struct state {
    struct kp_delete_records_request m;
    struct kp_delete_records_response out;
    struct part *parts;
    uint32_t parts_n;
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

// The answer's topics and partitions, each once; of one that is named twice the last offset counts.
static void parts_make(struct req *r, struct state *st)
{
    uint32_t n = (uint32_t)SL_MAX(st->m.topics_n, 0);
    struct api_named *named = req_alloc_array(r, n, sizeof(*named));
    struct api_places places;
    for (uint32_t i = 0; i < n; i++) {
        const in_topic *t = &st->m.topics[i];
        named[i] = (struct api_named){t->name, t->partitions, t->partitions_n};
    }
    api_places_make(r, &places, named, n, sizeof(in_part), offsetof(in_part, partition_index));
    kp_delete_records_response_init(&st->out);
    st->out.topics_n = (int32_t)places.topics_n;
    st->out.topics = req_alloc_array(r, places.topics_n, sizeof(*st->out.topics));
    for (uint32_t k = 0; k < places.topics_n; k++) {
        st->out.topics[k].name = places.names[k];
        st->out.topics[k].partitions = req_alloc_array(r, places.room[k], sizeof(out_part));
    }
    st->parts = req_alloc_array(r, places.parts_n, sizeof(*st->parts));
    st->parts_n = places.parts_n;
    for (uint32_t k = 0; k < places.parts_n; k++) {
        const struct api_place *p = &places.parts[k];
        out_topic *t = &st->out.topics[p->topic];
        out_part *o = &t->partitions[t->partitions_n++];
        kp_delete_records_response_delete_records_partition_result_init(o);
        o->partition_index = p->partition;
        o->low_watermark = -1;
        st->parts[k] = (struct part){.in = p->in, .out = o, .topic = p->topic};
    }
}

static int16_t check_part(const struct req *r, const struct meta_topic *t, struct kp_str name,
                          int32_t partition)
{
    int16_t error = api_check_leader(r, t, partition);
    return !error && api_is_internal(name) ? KERR_INVALID_TOPIC_EXCEPTION : error;
}

static void ask_part(struct req *r, struct state *st, const struct meta_topic *t, const struct part *p)
{
    uint32_t s = net_shard_of(r->net, &t->id, p->in->partition_index);
    struct shard_trim *a = &st->asks[s];
    if (!a->parts) {
        a->parts = req_alloc_array(r, st->counts[s], sizeof(*a->parts));
        st->outs[s] = req_alloc_array(r, st->counts[s], sizeof(**st->outs));
    }
    st->outs[s][a->n] = p->out;
    a->parts[a->n++] = (struct shard_trim_part){
        .topic_id = t->id, .partition = p->in->partition_index, .offset = p->in->offset};
}

static void plan(struct req *r, struct state *st)
{
    const struct meta_topic *t = NULL;
    st->asks = req_alloc_array(r, net_shards(r->net), sizeof(*st->asks));
    st->outs = req_alloc_array(r, net_shards(r->net), sizeof(*st->outs));
    st->counts = req_alloc_array(r, net_shards(r->net), sizeof(*st->counts));
    st->calls = req_alloc_array(r, net_shards(r->net), sizeof(*st->calls));
    parts_make(r, st);
    for (uint32_t k = 0; k < st->parts_n; k++) {
        struct part *p = &st->parts[k];
        struct kp_str name = st->out.topics[p->topic].name;
        t = api_topic(r, name);
        p->out->error_code = check_part(r, t, name, p->in->partition_index);
        if (!p->out->error_code)
            st->counts[net_shard_of(r->net, &t->id, p->in->partition_index)]++;
    }
    for (uint32_t k = 0; k < st->parts_n; k++)
        if (!st->parts[k].out->error_code)
            ask_part(r, st, api_topic(r, st->out.topics[st->parts[k].topic].name), &st->parts[k]);
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
