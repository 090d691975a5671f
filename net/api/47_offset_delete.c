// OffsetDelete (key 47), version 0: offsets of topics that a group does not subscribe to.
//
// Deviations from upstream 4.3: topics and partitions are answered in request order.
#include "net/api/groups.h"

#include "proto/gen/offset_delete_request.h"
#include "proto/gen/offset_delete_response.h"

typedef struct kp_offset_delete_request_offset_delete_request_topic in_topic;
typedef struct kp_offset_delete_response_offset_delete_response_topic out_topic;

struct state {
    struct group_asks asks;
    struct kp_offset_delete_request m, ask;
    struct kp_offset_delete_response out;
    uint32_t *asked;
};

static void check_topic(struct req *r, struct state *st, int32_t i)
{
    const in_topic *in = &st->m.topics[i];
    const struct meta_topic *t = api_topic(r, in->name);
    out_topic *o = &st->out.topics[i];
    in_topic *ask = &st->ask.topics[st->ask.topics_n];
    o->name = in->name;
    o->partitions_n = SL_MAX(in->partitions_n, 0);
    o->partitions = req_alloc_array(r, (size_t)o->partitions_n, sizeof(*o->partitions));
    ask->name = in->name;
    ask->partitions_n = 0;
    ask->partitions = req_alloc_array(r, (size_t)o->partitions_n, sizeof(*ask->partitions));
    for (int32_t k = 0; k < o->partitions_n; k++) {
        int32_t p = in->partitions[k].partition_index;
        bool there = t && p >= 0 && (uint32_t)p < t->partitions_n;
        o->partitions[k].partition_index = p;
        o->partitions[k].error_code = there ? KERR_NONE : KERR_UNKNOWN_TOPIC_OR_PARTITION;
        if (there)
            ask->partitions[ask->partitions_n++] = in->partitions[k];
    }
    if (ask->partitions_n)
        st->asked[st->ask.topics_n++] = (uint32_t)i;
}

static void answered(struct req *r)
{
    struct state *st = r->state;
    struct coord_req *q = groups_answer(r, 0);
    const struct kp_offset_delete_response *got = q->out;
    if (q->error) {
        st->out.error_code = q->error;
        st->out.topics_n = 0;
    }
    for (int32_t i = 0; got && i < got->topics_n; i++) {
        out_topic *o = &st->out.topics[st->asked[i]];
        for (int32_t k = 0, at = 0; k < o->partitions_n; k++)
            if (!o->partitions[k].error_code)
                o->partitions[k].error_code = got->topics[i].partitions[at++].error_code;
    }
    REQ_RESPOND(r, &st->out, offset_delete_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, offset_delete_request))
        return;
    size_t n = (size_t)SL_MAX(st->m.topics_n, 0);
    kp_offset_delete_response_init(&st->out);
    st->out.topics_n = (int32_t)n;
    st->out.topics = req_alloc_array(r, n, sizeof(*st->out.topics));
    st->asked = req_alloc_array(r, n, sizeof(*st->asked));
    st->ask = st->m;
    st->ask.topics_n = 0;
    st->ask.topics = req_alloc_array(r, n, sizeof(*st->ask.topics));
    for (size_t i = 0; i < n; i++)
        check_topic(r, st, (int32_t)i);
    groups_init(r, 1);
    groups_ask(r, 0, st->m.group_id.n > 0 ? st->m.group_id : KP_STR_NULL, &st->ask);
    groups_send(r, answered);
}

const struct api_handler api_offset_delete = {
    .key = 47, .min = 0, .max = 0, .advertise_min = 0, .start = start};
