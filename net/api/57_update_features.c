// UpdateFeatures (key 57), versions 0-2 (KIP-584, KIP-1022): finalized feature levels, changed by the controller.
//
// Deviations from upstream 4.3: levels never go back, and kraft.version does not change.
#include "net/api/common.h"

#include "proto/gen/update_features_request.h"
#include "proto/gen/update_features_response.h"

enum { UPGRADE = 1, SAFE_DOWNGRADE = 2 };

struct state {
    struct kp_update_features_request m;
    struct meta_update_features ask;
    struct call call;
};

static void updated(struct call *c)
{
    struct req *r = c->req;
    struct state *st = r->state;
    struct kp_update_features_response out;
    kp_update_features_response_init(&out);
    out.error_code = st->ask.error;
    out.error_message = st->ask.error ? kp_str_of(st->ask.message) : KP_STR_NULL;
    if (r->version <= 1 && !st->ask.error) {
        out.results = req_alloc_array(r, st->ask.n, sizeof(*out.results));
        for (uint32_t i = 0; i < st->ask.n; i++)
            out.results[out.results_n++] = (struct kp_update_features_response_updatable_feature_result){
                .feature = st->m.feature_updates[i].feature, .error_message = KP_STR_LIT("NONE")};
    }
    REQ_RESPOND(r, &out, update_features_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, update_features_request))
        return;
    st->ask.n = (uint32_t)SL_MAX(st->m.feature_updates_n, 0);
    struct meta_feature_update *u = req_alloc_array(r, st->ask.n, sizeof(*u));
    for (uint32_t i = 0; i < st->ask.n; i++) {
        const struct kp_update_features_request_feature_update_key *in = &st->m.feature_updates[i];
        u[i].name = api_cstr(r, in->feature);
        u[i].level = in->max_version_level;
        u[i].type = r->version >= 1 ? in->upgrade_type : in->allow_downgrade ? SAFE_DOWNGRADE : UPGRADE;
    }
    st->ask.updates = u;
    st->ask.validate_only = r->version >= 1 && st->m.validate_only;
    call_send(&st->call, r, net_controller_reactor(r->net), META_UPDATE_FEATURES, &st->ask, updated);
}

const struct api_handler api_update_features = {
    .key = 57, .min = 0, .max = 2, .advertise_min = 0, .start = start};
