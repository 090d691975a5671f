// OffsetCommit (key 8), versions 2-10. Topics are checked here against the metadata image (by id from version 10); the
// coordinator gets those that exist, and answers when the records are durable.
//
// Deviations from upstream 4.3: topics and partitions are answered in request order, where upstream puts those that it
// refused first.
#include "net/api/groups.h"

#include "proto/gen/offset_commit_request.h"
#include "proto/gen/offset_commit_response.h"

typedef struct kp_offset_commit_request_offset_commit_request_topic in_topic;
typedef struct kp_offset_commit_response_offset_commit_response_topic out_topic;

enum { TOPIC_IDS_SINCE = 10 };

struct state {
    struct group_asks asks;
    struct kp_offset_commit_request m, ask; // as received; with what the coordinator is asked for
    struct kp_offset_commit_response out;
    uint32_t *asked; // of each topic of `ask`: its index in m
};

static void out_part(out_topic *o, int32_t i, int32_t partition, int16_t error)
{
    o->partitions[i].partition_index = partition;
    o->partitions[i].error_code = error;
}

// Fills the topic's answer with errors where there are any, and asks for the rest.
static void check_topic(struct req *r, struct state *st, int32_t i)
{
    const in_topic *in = &st->m.topics[i];
    bool by_id = r->version >= TOPIC_IDS_SINCE;
    const struct meta_topic *t = by_id ? api_topic_by_id(r, &in->topic_id) : api_topic(r, in->name);
    out_topic *o = &st->out.topics[i];
    in_topic *ask = &st->ask.topics[st->ask.topics_n];
    int16_t unknown = by_id ? KERR_UNKNOWN_TOPIC_ID : KERR_UNKNOWN_TOPIC_OR_PARTITION;
    o->name = by_id ? KP_STR_LIT("") : in->name;
    o->topic_id = in->topic_id;
    o->partitions_n = SL_MAX(in->partitions_n, 0);
    o->partitions = req_alloc_array(r, (size_t)o->partitions_n, sizeof(*o->partitions));
    *ask = (in_topic){.name = t ? api_copy(r, t->name) : KP_STR_LIT(""), .topic_id = in->topic_id};
    if (t)
        ask->topic_id = t->id;
    ask->partitions = req_alloc_array(r, (size_t)o->partitions_n, sizeof(*ask->partitions));
    for (int32_t k = 0; k < o->partitions_n; k++) {
        int32_t p = in->partitions[k].partition_index;
        bool there = t && p >= 0 && (uint32_t)p < t->partitions_n;
        out_part(o, k, p, there ? KERR_NONE : t ? KERR_UNKNOWN_TOPIC_OR_PARTITION : unknown);
        if (there)
            ask->partitions[ask->partitions_n++] = in->partitions[k];
    }
    if (ask->partitions_n)
        st->asked[st->ask.topics_n++] = (uint32_t)i;
}

// The coordinator's answers go where nothing was refused before, in order.
static void merge_topic(out_topic *o, const out_topic *got, int16_t error)
{
    int32_t at = 0;
    for (int32_t k = 0; k < o->partitions_n; k++)
        if (!o->partitions[k].error_code) {
            o->partitions[k].error_code = error ? error : got->partitions[at].error_code;
            at++;
        }
}

static void answered(struct req *r)
{
    struct state *st = r->state;
    struct coord_req *q = groups_answer(r, 0);
    const struct kp_offset_commit_response *got = q->out;
    for (int32_t i = 0; i < st->ask.topics_n; i++)
        merge_topic(&st->out.topics[st->asked[i]], got ? &got->topics[i] : NULL, q->error);
    REQ_RESPOND(r, &st->out, offset_commit_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, offset_commit_request))
        return;
    size_t n = (size_t)SL_MAX(st->m.topics_n, 0);
    kp_offset_commit_response_init(&st->out);
    st->out.topics_n = (int32_t)n;
    st->out.topics = req_alloc_array(r, n, sizeof(*st->out.topics));
    st->asked = req_alloc_array(r, n, sizeof(*st->asked));
    st->ask = st->m;
    st->ask.topics_n = 0;
    st->ask.topics = req_alloc_array(r, n, sizeof(*st->ask.topics));
    for (size_t i = 0; i < n; i++)
        check_topic(r, st, (int32_t)i);
    groups_init(r, 1);
    groups_ask(r, 0, st->m.group_id, &st->ask);
    if (st->ask.topics_n)
        groups_send(r, answered);
    else
        REQ_RESPOND(r, &st->out, offset_commit_response);
}

const struct api_handler api_offset_commit = {
    .key = 8, .min = 2, .max = 10, .advertise_min = 2, .start = start};
