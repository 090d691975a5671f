// Heartbeat (key 12), versions 0-4. While the coordinator loads, members are told that all is well, as upstream does.
#include "net/api/groups.h"

#include "proto/gen/heartbeat_request.h"
#include "proto/gen/heartbeat_response.h"

struct state {
    struct group_asks asks;
    struct kp_heartbeat_request m;
};

static void answered(struct req *r)
{
    struct coord_req *q = groups_answer(r, 0);
    struct kp_heartbeat_response out;
    kp_heartbeat_response_init(&out);
    if (q->out)
        out.error_code = ((const struct kp_heartbeat_response *)q->out)->error_code;
    else
        out.error_code = q->error == KERR_COORDINATOR_LOAD_IN_PROGRESS ? KERR_NONE : q->error;
    REQ_RESPOND(r, &out, heartbeat_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, heartbeat_request))
        return;
    groups_init(r, 1);
    groups_ask(r, 0, st->m.group_id.n > 0 ? st->m.group_id : KP_STR_NULL, &st->m);
    groups_send(r, answered);
}

const struct api_handler api_heartbeat = {.key = 12, .min = 0, .max = 4, .advertise_min = 0, .start = start};
