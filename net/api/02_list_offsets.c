// ListOffsets (key 2), versions 1-11: offsets by time, earliest (-2), latest (-1), of the largest timestamp (-3, from
// version 7), earliest local (-4, from 8), and of tiered storage (-5 from 9, -6 from 11), which there is none of: no
// offset. Answers never pass the high watermark, or the last stable offset for read_committed.
//
// Deviations from upstream 4.3: none known. The timeout (from version 10) is for remote storage and has no use here.
#include "net/api/common.h"

#include "proto/gen/list_offsets_request.h"
#include "proto/gen/list_offsets_response.h"

typedef struct kp_list_offsets_request_list_offsets_topic in_topic;
typedef struct kp_list_offsets_request_list_offsets_partition in_part;
typedef struct kp_list_offsets_response_list_offsets_topic_response out_topic;
typedef struct kp_list_offsets_response_list_offsets_partition_response out_part;

struct part { // a distinct partition of the request, in the order of the answer
    const in_part *in;
    out_part *out;
    uint32_t topic; // of the answer
};
struct state {
    struct kp_list_offsets_request m;
    struct kp_list_offsets_response out;
    struct part *parts;
    uint32_t parts_n;
    struct shard_offsets *asks; // per shard
    out_part ***outs;           // per shard, per part: where its answer goes
    uint32_t *counts;           // per shard: parts to ask for
    struct call *calls;
    uint32_t pending;
};

// From which version on each special timestamp may be asked for; -1: never.
static int timestamp_since(int64_t ts)
{
    static const int8_t SINCE[] = {[1] = 1, [2] = 1, [3] = 7, [4] = 8, [5] = 9, [6] = 11};
    if (ts >= 0)
        return 1;
    return ts >= -6 ? SINCE[-ts] : INT16_MAX;
}

static void finish(struct req *r)
{
    struct state *st = r->state;
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        for (uint32_t i = 0; i < st->asks[s].n; i++) {
            const struct shard_offset_part *p = &st->asks[s].parts[i];
            out_part *o = st->outs[s][i];
            o->error_code = p->error;
            if (p->error)
                continue;
            o->timestamp = p->found_timestamp;
            o->offset = p->offset;
            o->leader_epoch = r->version >= 4 ? p->leader_epoch : -1;
        }
    }
    REQ_RESPOND(r, &st->out, list_offsets_response);
}

static void answered(struct call *c)
{
    struct state *st = c->req->state;
    if (--st->pending == 0)
        finish(c->req);
}

static void add_part(struct req *r, struct state *st, const struct meta_topic *t, const in_part *in,
                     out_part *o)
{
    uint32_t shard = net_shard_of(r->net, &t->id, in->partition_index);
    struct shard_offsets *a = &st->asks[shard];
    if (!a->parts) {
        a->parts = req_alloc_array(r, st->counts[shard], sizeof(*a->parts));
        st->outs[shard] = req_alloc_array(r, st->counts[shard], sizeof(**st->outs));
    }
    st->outs[shard][a->n] = o;
    a->parts[a->n++] = (struct shard_offset_part){.topic_id = t->id,
                                                  .partition = in->partition_index,
                                                  .timestamp = in->timestamp,
                                                  .current_leader_epoch = in->current_leader_epoch};
}

static int16_t check_part(const struct req *r, const struct meta_topic *t, const in_part *in)
{
    if (r->version < timestamp_since(in->timestamp))
        return KERR_UNSUPPORTED_VERSION;
    return api_check_leader(r, t, in->partition_index);
}

// The answer's topics and partitions, each once; what is named twice is refused.
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
    kp_list_offsets_response_init(&st->out);
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
        kp_list_offsets_response_list_offsets_partition_response_init(o);
        o->partition_index = p->partition;
        o->error_code = p->times > 1 ? KERR_INVALID_REQUEST : KERR_NONE;
        st->parts[k] = (struct part){.in = p->in, .out = o, .topic = p->topic};
    }
}

static void plan(struct req *r, struct state *st)
{
    const struct meta_topic *t = NULL;
    st->counts = req_alloc_array(r, net_shards(r->net), sizeof(*st->counts));
    st->asks = req_alloc_array(r, net_shards(r->net), sizeof(*st->asks));
    st->outs = req_alloc_array(r, net_shards(r->net), sizeof(*st->outs));
    st->calls = req_alloc_array(r, net_shards(r->net), sizeof(*st->calls));
    parts_make(r, st);
    for (uint32_t k = 0; k < st->parts_n; k++) {
        struct part *p = &st->parts[k];
        if (!k || p->topic != p[-1].topic)
            t = api_topic(r, st->out.topics[p->topic].name);
        if (!p->out->error_code)
            p->out->error_code = check_part(r, t, p->in);
        if (!p->out->error_code)
            st->counts[net_shard_of(r->net, &t->id, p->in->partition_index)]++;
    }
    for (uint32_t k = 0; k < st->parts_n; k++) {
        struct part *p = &st->parts[k];
        if (!k || p->topic != p[-1].topic)
            t = api_topic(r, st->out.topics[p->topic].name);
        if (!p->out->error_code)
            add_part(r, st, t, p->in, p->out);
    }
}

// A level that does not exist: all that is named has the error.
static void refuse(struct req *r, struct state *st, int16_t error)
{
    parts_make(r, st);
    for (uint32_t k = 0; k < st->parts_n; k++)
        st->parts[k].out->error_code = error;
    REQ_RESPOND(r, &st->out, list_offsets_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, list_offsets_request))
        return;
    if (r->version >= 2 && st->m.isolation_level != API_READ_UNCOMMITTED &&
        st->m.isolation_level != API_READ_COMMITTED) {
        refuse(r, st, KERR_UNKNOWN_SERVER_ERROR);
        return;
    }
    plan(r, st);
    st->pending = 1;
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        if (!st->asks[s].n)
            continue;
        st->asks[s].read_committed = st->m.isolation_level == API_READ_COMMITTED;
        st->pending++;
        call_send(&st->calls[s], r, net_shard_reactor(r->net, s), SHARD_LIST_OFFSETS, &st->asks[s], answered);
    }
    if (--st->pending == 0)
        finish(r);
}

const struct api_handler api_list_offsets = {
    .key = 2, .min = 1, .max = 11, .advertise_min = 1, .start = start};
