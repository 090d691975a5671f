// ConsumerGroupDescribe (key 69), versions 0-1 (KIP-848).
#include "net/api/groups.h"

#include "proto/gen/consumer_group_describe_request.h"
#include "proto/gen/consumer_group_describe_response.h"

typedef struct kp_consumer_group_describe_response_described_group described;

struct state {
    struct group_asks asks;
    struct kp_consumer_group_describe_request m;
};

static void fill(struct req *r, uint32_t i, described *o)
{
    const struct state *st = r->state;
    const struct coord_req *q = groups_answer(r, i);
    if (q->out) {
        *o = *(const described *)q->out;
    } else {
        kp_consumer_group_describe_response_described_group_init(o);
        o->group_id = st->m.group_ids[i];
        o->group_state = o->assignor_name = KP_STR_LIT("");
        o->error_code = q->error;
    }
    if (st->m.include_authorized_operations && !o->error_code)
        o->authorized_operations = GROUP_OPS;
}

static void answered(struct req *r)
{
    const struct state *st = r->state;
    struct kp_consumer_group_describe_response out;
    kp_consumer_group_describe_response_init(&out);
    out.groups_n = SL_MAX(st->m.group_ids_n, 0);
    out.groups = req_alloc_array(r, (size_t)out.groups_n, sizeof(*out.groups));
    for (int32_t i = 0; i < out.groups_n; i++)
        fill(r, (uint32_t)i, &out.groups[i]);
    REQ_RESPOND(r, &out, consumer_group_describe_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, consumer_group_describe_request))
        return;
    uint32_t n = (uint32_t)SL_MAX(st->m.group_ids_n, 0);
    bool served = groups_consumer_protocol(r);
    groups_init(r, n);
    for (uint32_t i = 0; i < n; i++) {
        groups_ask(r, i, st->m.group_ids[i].n > 0 ? st->m.group_ids[i] : KP_STR_NULL, NULL);
        if (!served)
            groups_answer(r, i)->error = KERR_UNSUPPORTED_VERSION;
    }
    groups_send(r, answered);
}

const struct api_handler api_consumer_group_describe = {
    .key = 69, .min = 0, .max = 1, .advertise_min = 0, .start = start};
