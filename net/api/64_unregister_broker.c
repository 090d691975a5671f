// UnregisterBroker (key 64), version 0: forgets a broker that a larger cluster left in the metadata.
//
// Deviations from upstream 4.3: this broker itself cannot be unregistered.
#include "net/api/common.h"

#include "proto/gen/unregister_broker_request.h"
#include "proto/gen/unregister_broker_response.h"

struct state {
    struct meta_unregister ask;
    struct call call;
};

static void unregistered(struct call *c)
{
    struct state *st = c->req->state;
    struct kp_unregister_broker_response out;
    kp_unregister_broker_response_init(&out);
    out.error_code = st->ask.error;
    out.error_message = st->ask.error ? kp_str_of(st->ask.message) : KP_STR_NULL;
    REQ_RESPOND(c->req, &out, unregister_broker_response);
}

static void start(struct req *r)
{
    struct kp_unregister_broker_request m;
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &m, unregister_broker_request))
        return;
    st->ask.id = m.broker_id;
    call_send(&st->call, r, net_controller_reactor(r->net), META_UNREGISTER, &st->ask, unregistered);
}

const struct api_handler api_unregister_broker = {
    .key = 64, .min = 0, .max = 0, .advertise_min = 0, .start = start};
