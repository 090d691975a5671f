// ApiVersions (key 18), versions 0-4. A version above 4 is answered in version 0 with UNSUPPORTED_VERSION,
// naming only ApiVersions itself, its body unread (KIP-511). Only what is served is named.
#include "net/net_private.h"

#include "proto/gen/api_versions_request.h"
#include "proto/gen/api_versions_response.h"

#include <ctype.h>
#include <string.h>

typedef struct kp_api_versions_response_api_version entry_t;

static void add(struct req *r, struct kp_api_versions_response *out, const struct api_handler *const *all,
                uint32_t n)
{
    (void)r;
    for (uint32_t i = 0; i < n; i++) {
        entry_t *e = &out->api_keys[out->api_keys_n++];
        kp_api_versions_response_api_version_init(e);
        e->api_key = all[i]->key;
        e->min_version = all[i]->advertise_min;
        e->max_version = all[i]->max;
    }
}

static void features(struct req *r, struct kp_api_versions_response *out)
{
    const struct meta_image *img = net_image(r->net);
    if (!img)
        return;
    out->finalized_features_epoch = img->features_epoch;
    out->supported_features = req_alloc_array(r, img->features_n, sizeof(*out->supported_features));
    out->finalized_features = req_alloc_array(r, img->features_n, sizeof(*out->finalized_features));
    out->finalized_features_n = (int32_t)img->features_n;
    for (uint32_t i = 0; i < img->features_n; i++) {
        const struct meta_feature *f = &img->features[i];
        const char *name = f->name; // encoded in this turn (I6)
        int16_t min = strcmp(name, "metadata.version") ? 0 : 7;
        if (min > 0 || r->version >= 4) { // before version 4, clients cannot read a minimum of 0
            struct kp_api_versions_response_supported_feature_key *s =
                &out->supported_features[out->supported_features_n++];
            s->name = kp_str_of(name);
            s->min_version = min;
            s->max_version = f->level;
        }
        out->finalized_features[i].name = kp_str_of(name);
        out->finalized_features[i].max_version_level = f->level;
        out->finalized_features[i].min_version_level = f->level;
    }
}

// Upstream's rule for names and versions of client software: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
static bool software_ok(struct kp_str s)
{
    if (s.n <= 0 || !isalnum((unsigned char)s.p[0]) || !isalnum((unsigned char)s.p[s.n - 1]))
        return false;
    for (int32_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
            return false;
    return true;
}

static void start(struct req *r)
{
    struct kp_api_versions_request m;
    struct kp_api_versions_response out;
    uint32_t n;
    const struct api_handler *const *all = api_all(&n);
    const struct api_handler *self = &api_api_versions;
    kp_api_versions_response_init(&out);
    out.api_keys = req_alloc_array(r, n, sizeof(entry_t));
    if (r->version > self->max || r->version < self->min) {
        out.error_code = KERR_UNSUPPORTED_VERSION;
        add(r, &out, &self, 1);
        req_respond_as(r, &out, 0, (kp_size_fn)kp_api_versions_response_size,
                       (kp_encode_fn)kp_api_versions_response_encode);
        return;
    }
    if (!REQ_DECODE(r, &m, api_versions_request))
        return;
    if (r->version >= 3 &&
        (!software_ok(m.client_software_name) || !software_ok(m.client_software_version))) {
        out.error_code = KERR_INVALID_REQUEST;
        out.api_keys_n = 0;
    } else {
        add(r, &out, all, n);
        if (r->version >= 3)
            features(r, &out);
    }
    REQ_RESPOND(r, &out, api_versions_response);
}

const struct api_handler api_api_versions = {
    .key = 18, .min = 0, .max = 4, .advertise_min = 0, .start = start};
