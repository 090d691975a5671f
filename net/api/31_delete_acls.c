// DeleteAcls (key 31), versions 1-3: there is no authorizer.
//
// Deviations from upstream 4.3: none known, as long as upstream has no authorizer either.
#include "net/api/common.h"

#include "proto/gen/delete_acls_request.h"
#include "proto/gen/delete_acls_response.h"

static void start(struct req *r)
{
    struct kp_delete_acls_request m;
    struct kp_delete_acls_response out;
    if (!REQ_DECODE(r, &m, delete_acls_request))
        return;
    kp_delete_acls_response_init(&out);
    out.filter_results_n = SL_MAX(m.filters_n, 0);
    out.filter_results = req_alloc_array(r, (size_t)out.filter_results_n, sizeof(*out.filter_results));
    for (int32_t i = 0; i < out.filter_results_n; i++) {
        out.filter_results[i].error_code = KERR_SECURITY_DISABLED;
        out.filter_results[i].error_message = KP_STR_LIT("No Authorizer is configured.");
    }
    REQ_RESPOND(r, &out, delete_acls_response);
}

const struct api_handler api_delete_acls = {
    .key = 31, .min = 1, .max = 3, .advertise_min = 1, .start = start};
