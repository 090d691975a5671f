// SyncGroup (key 14), versions 0-5. It waits for the leader's, so its frame is given back first. From version 5 protocol
// type and name must be there.
#include "net/api/groups.h"

#include "proto/gen/sync_group_request.h"
#include "proto/gen/sync_group_response.h"

enum { PROTOCOL_SINCE = 5 };

struct state {
    struct group_asks asks;
    struct kp_sync_group_request m;
};

static void refuse(struct req *r, int16_t error)
{
    struct kp_sync_group_response out;
    kp_sync_group_response_init(&out);
    out.error_code = error;
    out.assignment = (struct kp_bytes){(const uint8_t *)"", 0};
    REQ_RESPOND(r, &out, sync_group_response);
}

static void answered(struct req *r)
{
    struct coord_req *q = groups_answer(r, 0);
    if (q->error)
        refuse(r, q->error);
    else
        REQ_RESPOND(r, q->out, sync_group_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!groups_decode_kept(r, &st->m, (kp_decode_fn)kp_sync_group_request_decode))
        return;
    if (r->version >= PROTOCOL_SINCE && (st->m.protocol_type.n < 0 || st->m.protocol_name.n < 0)) {
        refuse(r, KERR_INCONSISTENT_GROUP_PROTOCOL);
        return;
    }
    groups_init(r, 1);
    groups_ask(r, 0, st->m.group_id.n > 0 ? st->m.group_id : KP_STR_NULL, &st->m);
    groups_send(r, answered);
}

const struct api_handler api_sync_group = {.key = 14, .min = 0, .max = 5, .advertise_min = 0, .start = start};
