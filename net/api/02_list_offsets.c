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
typedef struct kp_list_offsets_response_list_offsets_partition_response out_part;

struct state {
    struct kp_list_offsets_request m;
    struct kp_list_offsets_response out;
    struct shard_offsets *asks; // per shard
    out_part ***outs;           // per shard, per part: where its answer goes
    const in_part ***ins;       // per topic, per part of the answer: its question
    uint32_t *counts;           // per shard: parts to ask for
    struct call *calls;
    uint32_t pending;
    struct api_set seen;
    struct api_part_key *keys;
    uint32_t parts_n;
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

// The place of an equal partition before this one, or NULL.
static out_part *named_before(struct state *st, const struct meta_topic *t, int32_t partition, uint32_t k,
                              out_part *o, out_part **all)
{
    all[k] = o;
    st->keys[k] = (struct api_part_key){.id = t->id, .partition = partition};
    uint32_t first = api_set_put(&st->seen, &st->keys[k], sizeof(st->keys[k]), k);
    return first == k ? NULL : all[first];
}

static int16_t check_part(const struct req *r, const struct meta_topic *t, const in_part *in)
{
    if (r->version < timestamp_since(in->timestamp))
        return KERR_UNSUPPORTED_VERSION;
    return api_check_leader(r, t, in->partition_index);
}

// A partition that is named twice is refused, and answered once.
static void check_topic(struct req *r, struct state *st, int32_t ti, uint32_t *k, out_part **all)
{
    const in_topic *in = &st->m.topics[ti];
    const struct meta_topic *t = api_topic(r, in->name);
    struct kp_list_offsets_response_list_offsets_topic_response *out = &st->out.topics[ti];
    out->name = in->name;
    out->partitions = req_alloc_array(r, (size_t)in->partitions_n, sizeof(*out->partitions));
    st->ins[ti] = req_alloc_array(r, (size_t)in->partitions_n, sizeof(**st->ins));
    for (int32_t i = 0; i < in->partitions_n; i++, (*k)++) {
        out_part *o = &out->partitions[out->partitions_n];
        const in_part *p = &in->partitions[i];
        out_part *before = t ? named_before(st, t, p->partition_index, *k, o, all) : NULL;
        if (before) {
            before->error_code = KERR_INVALID_REQUEST;
            continue;
        }
        st->ins[ti][out->partitions_n++] = p;
        kp_list_offsets_response_list_offsets_partition_response_init(o);
        o->partition_index = p->partition_index;
        o->error_code = check_part(r, t, p);
    }
}

static void count_topic(struct req *r, struct state *st, int32_t ti)
{
    const struct meta_topic *t = api_topic(r, st->m.topics[ti].name);
    for (int32_t i = 0; i < st->out.topics[ti].partitions_n; i++)
        if (!st->out.topics[ti].partitions[i].error_code)
            st->counts[net_shard_of(r->net, &t->id, st->out.topics[ti].partitions[i].partition_index)]++;
}

static void plan(struct req *r, struct state *st)
{
    uint32_t k = 0;
    for (int32_t t = 0; t < st->m.topics_n; t++)
        st->parts_n += (uint32_t)SL_MAX(st->m.topics[t].partitions_n, 0);
    out_part **all = req_alloc_array(r, st->parts_n, sizeof(out_part *));
    st->keys = req_alloc_array(r, st->parts_n, sizeof(*st->keys));
    api_set_init(r, &st->seen, st->parts_n);
    st->counts = req_alloc_array(r, net_shards(r->net), sizeof(*st->counts));
    st->asks = req_alloc_array(r, net_shards(r->net), sizeof(*st->asks));
    st->outs = req_alloc_array(r, net_shards(r->net), sizeof(*st->outs));
    st->calls = req_alloc_array(r, net_shards(r->net), sizeof(*st->calls));
    kp_list_offsets_response_init(&st->out);
    st->out.topics_n = SL_MAX(st->m.topics_n, 0);
    st->out.topics = req_alloc_array(r, (size_t)st->out.topics_n, sizeof(*st->out.topics));
    st->ins = req_alloc_array(r, (size_t)st->out.topics_n, sizeof(*st->ins));
    for (int32_t t = 0; t < st->out.topics_n; t++)
        check_topic(r, st, t, &k, all);
    for (int32_t t = 0; t < st->out.topics_n; t++)
        count_topic(r, st, t);
    for (int32_t t = 0; t < st->out.topics_n; t++) {
        const struct meta_topic *mt = api_topic(r, st->m.topics[t].name);
        for (int32_t i = 0; i < st->out.topics[t].partitions_n; i++)
            if (!st->out.topics[t].partitions[i].error_code)
                add_part(r, st, mt, st->ins[t][i], &st->out.topics[t].partitions[i]);
    }
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, list_offsets_request))
        return;
    plan(r, st);
    st->pending = 1;
    for (uint32_t s = 0; s < net_shards(r->net); s++) {
        if (!st->asks[s].n)
            continue;
        st->asks[s].read_committed = st->m.isolation_level == 1;
        st->pending++;
        call_send(&st->calls[s], r, net_shard_reactor(r->net, s), SHARD_LIST_OFFSETS, &st->asks[s], answered);
    }
    if (--st->pending == 0)
        finish(r);
}

const struct api_handler api_list_offsets = {
    .key = 2, .min = 1, .max = 11, .advertise_min = 1, .start = start};
