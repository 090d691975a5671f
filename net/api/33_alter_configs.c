// AlterConfigs (key 33), versions 0-2: what is set of a resource is replaced by what is given. The controller checks and
// writes; the answer comes when the records are durable, the shards work by them and every reactor has the new image.
//
// Deviations from upstream 4.3:
// - listeners and listener.security.protocol.map cannot change while the broker runs.
#include "net/api/alter_configs.h"

#include "proto/gen/alter_configs_request.h"
#include "proto/gen/alter_configs_response.h"

static void answer(struct req *r, struct alter_state *st)
{
    struct kp_alter_configs_response out;
    kp_alter_configs_response_init(&out);
    out.responses_n = (int32_t)st->n;
    out.responses = req_alloc_array(r, st->n, sizeof(*out.responses));
    for (uint32_t i = 0; i < st->n; i++) {
        const struct alter_item *it = &st->items[i];
        out.responses[i].error_code = it->error;
        out.responses[i].error_message = it->message;
        out.responses[i].resource_type = it->type;
        out.responses[i].resource_name = it->name;
    }
    REQ_RESPOND(r, &out, alter_configs_response);
}

static void start(struct req *r)
{
    struct kp_alter_configs_request m;
    if (!REQ_DECODE(r, &m, alter_configs_request))
        return;
    if (!net_image(r->net)) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    struct alter_state *st = alter_new(r, (uint32_t)SL_MAX(m.resources_n, 0));
    for (uint32_t i = 0; i < st->n; i++) {
        const struct kp_alter_configs_request_alter_configs_resource *in = &m.resources[i];
        struct alter_item *it = &st->items[i];
        it->type = in->resource_type;
        it->name = in->resource_name;
        it->entries = req_alloc_array(r, (size_t)SL_MAX(in->configs_n, 0), sizeof(*it->entries));
        for (int32_t k = 0; k < in->configs_n; k++)
            alter_entry(r, it, in->configs[k].name, in->configs[k].value, META_SET);
    }
    alter_go(r, st, false, m.validate_only, answer);
}

const struct api_handler api_alter_configs = {
    .key = 33, .min = 0, .max = 2, .advertise_min = 0, .start = start};
