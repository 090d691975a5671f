// CreatePartitions (key 37), versions 0-3: more partitions for a topic. The controller validates and creates; the answer
// comes when the records are durable and every reactor has the new image.
// Partitions count for the client's quota on changes (KIP-599): who owes is refused from version 3 on, before it he is
// throttled only.
//
// Deviations from upstream 4.3: the timeout is not applied.
#include "net/api/common.h"

#include "proto/gen/create_partitions_request.h"
#include "proto/gen/create_partitions_response.h"

typedef struct kp_create_partitions_request_create_partitions_topic in_topic;

enum { QUOTA_STRICT_SINCE = 3 };

struct state {
    struct kp_create_partitions_request m;
    struct meta_grow grow;
    struct call call;
    struct kp_create_partitions_response out;
};

static void add(struct state *st, struct kp_str name, int16_t error, const char *why)
{
    st->out.results[st->out.results_n++] =
        (struct kp_create_partitions_response_create_partitions_topic_result){
            .name = name, .error_code = error, .error_message = kp_str_of(why)};
}

static void grown(struct call *c)
{
    struct req *r = c->req;
    struct state *st = r->state;
    for (uint32_t i = 0; i < st->grow.n; i++) {
        const struct meta_grow_topic *t = &st->grow.topics[i];
        add(st, (struct kp_str){t->name, t->name_len}, t->error,
            t->error && t->message[0] ? t->message : NULL);
    }
    quota_mutated(r, &st->grow.quota);
    REQ_RESPOND(r, &st->out, create_partitions_response);
}

static void topic_ask(struct req *r, struct state *st, const in_topic *in)
{
    struct meta_grow_topic *g = &st->grow.topics[st->grow.n++];
    *g = (struct meta_grow_topic){.name = api_cstr(r, in->name), .name_len = in->name.n, .count = in->count};
    if (in->assignments_n < 0)
        return;
    const int32_t **lists = req_alloc_array(r, (size_t)in->assignments_n, sizeof(*lists));
    int32_t *lens = req_alloc_array(r, (size_t)in->assignments_n, sizeof(*lens));
    for (int32_t i = 0; i < in->assignments_n; i++) {
        lists[i] = in->assignments[i].broker_ids;
        lens[i] = SL_MAX(in->assignments[i].broker_ids_n, 0);
    }
    g->has_assignments = true;
    g->assignments = lists;
    g->assignment_n = lens;
    g->assignments_n = (uint32_t)in->assignments_n;
}

static void plan(struct req *r, struct state *st)
{
    uint32_t n = (uint32_t)SL_MAX(st->m.topics_n, 0);
    uint32_t *times = req_alloc_array(r, n, sizeof(*times));
    struct api_set seen;
    api_set_init(r, &seen, n);
    kp_create_partitions_response_init(&st->out);
    st->out.results = req_alloc_array(r, n, sizeof(*st->out.results));
    st->grow.topics = req_alloc_array(r, n, sizeof(*st->grow.topics));
    st->grow.validate_only = st->m.validate_only;
    for (uint32_t i = 0; i < n; i++)
        times[api_set_put(&seen, st->m.topics[i].name.p, (size_t)SL_MAX(st->m.topics[i].name.n, 0), i)]++;
    for (uint32_t i = 0; i < n; i++) {
        if (times[i] > 1)
            add(st, st->m.topics[i].name, KERR_INVALID_REQUEST, "Duplicate topic name.");
        else if (times[i] == 1)
            topic_ask(r, st, &st->m.topics[i]);
    }
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, create_partitions_request))
        return;
    plan(r, st);
    quota_mutations(r, QUOTA_STRICT_SINCE, &st->grow.quota);
    if (st->grow.n)
        call_send(&st->call, r, net_controller_reactor(r->net), META_CREATE_PARTITIONS, &st->grow, grown);
    else
        REQ_RESPOND(r, &st->out, create_partitions_response);
}

const struct api_handler api_create_partitions = {
    .key = 37, .min = 0, .max = 3, .advertise_min = 0, .start = start};
