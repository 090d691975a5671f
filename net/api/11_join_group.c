// JoinGroup (key 11), versions 0-9. It waits for the other members, so its frame is given back first. Versions 0 and 1 are
// those of older clients (librdkafka, kafka-go).
#include "net/api/groups.h"

#include "proto/gen/join_group_request.h"
#include "proto/gen/join_group_response.h"

enum { REBALANCE_TIMEOUT_SINCE = 1, NULL_PROTOCOL_SINCE = 7 };

struct state {
    struct group_asks asks;
    struct kp_join_group_request m;
};

static void respond(struct req *r, struct kp_join_group_response *out)
{
    if (r->version < NULL_PROTOCOL_SINCE && out->protocol_name.n < 0)
        out->protocol_name = KP_STR_LIT("");
    REQ_RESPOND(r, out, join_group_response);
}

static void refuse(struct req *r, int16_t error, struct kp_str member_id)
{
    struct kp_join_group_response out;
    kp_join_group_response_init(&out);
    out.error_code = error;
    out.member_id = member_id;
    out.leader = KP_STR_LIT("");
    out.protocol_name = KP_STR_NULL;
    respond(r, &out);
}

static void answered(struct req *r)
{
    struct coord_req *q = groups_answer(r, 0);
    if (q->error)
        refuse(r, q->error, KP_STR_LIT(""));
    else
        respond(r, q->out);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    const struct config *cfg = r->net->cfg.cfg;
    r->state = st;
    if (!groups_decode_kept(r, &st->m, (kp_decode_fn)kp_join_group_request_decode))
        return;
    if (r->version < REBALANCE_TIMEOUT_SINCE)
        st->m.rebalance_timeout_ms = st->m.session_timeout_ms;
    if (st->m.group_id.n <= 0) {
        refuse(r, KERR_INVALID_GROUP_ID, st->m.member_id);
    } else if (st->m.session_timeout_ms < cfg_int(cfg, CFG_GROUP_MIN_SESSION_TIMEOUT_MS) ||
               st->m.session_timeout_ms > cfg_int(cfg, CFG_GROUP_MAX_SESSION_TIMEOUT_MS)) {
        refuse(r, KERR_INVALID_SESSION_TIMEOUT, st->m.member_id);
    } else {
        groups_init(r, 1);
        groups_ask(r, 0, st->m.group_id, &st->m);
        groups_answer(r, 0)->client_host = groups_client_host(r);
        groups_send(r, answered);
    }
}

const struct api_handler api_join_group = {.key = 11, .min = 0, .max = 9, .advertise_min = 0, .start = start};
