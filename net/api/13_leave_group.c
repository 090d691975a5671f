// LeaveGroup (key 13), versions 0-5: one member, from version 3 several.
#include "net/api/groups.h"

#include "proto/gen/leave_group_request.h"
#include "proto/gen/leave_group_response.h"

enum { MEMBERS_SINCE = 3 };

struct state {
    struct group_asks asks;
    struct kp_leave_group_request m;
    struct kp_leave_group_request_member_identity one;
};

// A group that is not there has none of the members.
static void all_unknown(struct req *r, const struct state *st, struct kp_leave_group_response *out)
{
    out->members_n = SL_MAX(st->m.members_n, 0);
    out->members = req_alloc_array(r, (size_t)out->members_n, sizeof(*out->members));
    for (int32_t i = 0; i < out->members_n; i++)
        out->members[i] = (struct kp_leave_group_response_member_response){
            .member_id = st->m.members[i].member_id,
            .group_instance_id = st->m.members[i].group_instance_id,
            .error_code = KERR_UNKNOWN_MEMBER_ID};
}

static void answered(struct req *r)
{
    struct state *st = r->state;
    struct coord_req *q = groups_answer(r, 0);
    struct kp_leave_group_response out;
    kp_leave_group_response_init(&out);
    if (q->error == KERR_UNKNOWN_MEMBER_ID)
        all_unknown(r, st, &out);
    else if (q->error)
        out.error_code = q->error;
    else
        out = *(struct kp_leave_group_response *)q->out;
    if (r->version < MEMBERS_SINCE) {
        if (!out.error_code && out.members_n == 1)
            out.error_code = out.members[0].error_code;
        out.members_n = 0;
    }
    REQ_RESPOND(r, &out, leave_group_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, leave_group_request))
        return;
    if (r->version < MEMBERS_SINCE) {
        kp_leave_group_request_member_identity_init(&st->one);
        st->one.member_id = st->m.member_id;
        st->m.members = &st->one;
        st->m.members_n = 1;
    }
    groups_init(r, 1);
    groups_ask(r, 0, st->m.group_id.n > 0 ? st->m.group_id : KP_STR_NULL, &st->m);
    groups_send(r, answered);
}

const struct api_handler api_leave_group = {
    .key = 13, .min = 0, .max = 5, .advertise_min = 0, .start = start};
