// DescribeGroups (key 15), versions 0-6. A group that is not there is "Dead"; from version 6 it is an error as well.
#include "net/api/groups.h"

#include "proto/gen/describe_groups_request.h"
#include "proto/gen/describe_groups_response.h"

enum { OPERATIONS_SINCE = 3 };

struct state {
    struct group_asks asks;
    struct kp_describe_groups_request m;
};

static void fill(struct req *r, uint32_t i, struct kp_describe_groups_response_described_group *o)
{
    const struct state *st = r->state;
    const struct coord_req *q = groups_answer(r, i);
    if (q->out) {
        *o = *(const struct kp_describe_groups_response_described_group *)q->out;
    } else {
        kp_describe_groups_response_described_group_init(o);
        o->group_id = q->group;
        o->error_code = q->error;
        o->group_state = o->protocol_type = o->protocol_data = KP_STR_LIT("");
    }
    if (st->m.include_authorized_operations && r->version >= OPERATIONS_SINCE && !o->error_code)
        o->authorized_operations = GROUP_OPS;
}

static void answered(struct req *r)
{
    const struct state *st = r->state;
    struct kp_describe_groups_response out;
    kp_describe_groups_response_init(&out);
    out.groups_n = SL_MAX(st->m.groups_n, 0);
    out.groups = req_alloc_array(r, (size_t)out.groups_n, sizeof(*out.groups));
    for (int32_t i = 0; i < out.groups_n; i++)
        fill(r, (uint32_t)i, &out.groups[i]);
    REQ_RESPOND(r, &out, describe_groups_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, describe_groups_request))
        return;
    uint32_t n = (uint32_t)SL_MAX(st->m.groups_n, 0);
    groups_init(r, n);
    for (uint32_t i = 0; i < n; i++)
        groups_ask(r, i, st->m.groups[i], NULL);
    groups_send(r, answered);
}

const struct api_handler api_describe_groups = {
    .key = 15, .min = 0, .max = 6, .advertise_min = 0, .start = start};
