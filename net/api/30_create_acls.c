// CreateAcls (key 30), versions 1-3: there is no authorizer.
//
// Deviations from upstream 4.3: none known, as long as upstream has no authorizer either.
#include "net/api/common.h"

#include "proto/gen/create_acls_request.h"
#include "proto/gen/create_acls_response.h"

static void start(struct req *r)
{
    struct kp_create_acls_request m;
    struct kp_create_acls_response out;
    if (!REQ_DECODE(r, &m, create_acls_request))
        return;
    kp_create_acls_response_init(&out);
    out.results_n = SL_MAX(m.creations_n, 0);
    out.results = req_alloc_array(r, (size_t)out.results_n, sizeof(*out.results));
    for (int32_t i = 0; i < out.results_n; i++) {
        out.results[i].error_code = KERR_SECURITY_DISABLED;
        out.results[i].error_message = KP_STR_LIT("No Authorizer is configured.");
    }
    REQ_RESPOND(r, &out, create_acls_response);
}

const struct api_handler api_create_acls = {
    .key = 30, .min = 1, .max = 3, .advertise_min = 1, .start = start};
