// ConsumerGroupHeartbeat (key 68), versions 0-1 (KIP-848). Served when group.version is finalized and
// group.coordinator.rebalance.protocols names "consumer"; else UNSUPPORTED_VERSION, as upstream answers.
#include "net/api/groups.h"

#include "proto/gen/consumer_group_heartbeat_request.h"
#include "proto/gen/consumer_group_heartbeat_response.h"

#include <string.h>

struct state {
    struct group_asks asks;
    struct kp_consumer_group_heartbeat_request m;
};

bool groups_consumer_protocol(const struct req *r)
{
    const struct cfg_list *l = cfg_list(r->net->cfg.cfg, CFG_GROUP_COORDINATOR_REBALANCE_PROTOCOLS);
    const struct meta_image *img = meta_image_get(r->net->r);
    bool configured = false, finalized = false;
    for (size_t i = 0; i < l->count; i++)
        configured = configured || !strcmp(l->items[i], "consumer");
    for (uint32_t i = 0; img && i < img->features_n; i++)
        finalized =
            finalized || (!strcmp(img->features[i].name, "group.version") && img->features[i].level > 0);
    return configured && finalized;
}

static void refuse(struct req *r, int16_t error, const char *message)
{
    struct kp_consumer_group_heartbeat_response out;
    kp_consumer_group_heartbeat_response_init(&out);
    out.error_code = error;
    out.error_message = kp_str_of(message);
    REQ_RESPOND(r, &out, consumer_group_heartbeat_response);
}

static void answered(struct req *r)
{
    const struct coord_req *q = groups_answer(r, 0);
    struct kp_consumer_group_heartbeat_response *out = q->out;
    if (q->error)
        refuse(r, q->error, q->message ? q->message : kerr_text(q->error));
    else
        REQ_RESPOND(r, out, consumer_group_heartbeat_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, consumer_group_heartbeat_request))
        return;
    if (!groups_consumer_protocol(r)) {
        refuse(r, KERR_UNSUPPORTED_VERSION, NULL);
        return;
    }
    groups_init(r, 1);
    groups_ask(r, 0, st->m.group_id, &st->m);
    groups_answer(r, 0)->client_host = groups_client_host(r);
    groups_send(r, answered);
}

const struct api_handler api_consumer_group_heartbeat = {
    .key = 68, .min = 0, .max = 1, .advertise_min = 0, .start = start};
