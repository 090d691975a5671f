// DescribeAcls (key 29), versions 1-3: there is no authorizer.
//
// Deviations from upstream 4.3: none known, as long as upstream has no authorizer either.
#include "net/api/common.h"

#include "proto/gen/describe_acls_request.h"
#include "proto/gen/describe_acls_response.h"

static void start(struct req *r)
{
    struct kp_describe_acls_request m;
    struct kp_describe_acls_response out;
    if (!REQ_DECODE(r, &m, describe_acls_request))
        return;
    kp_describe_acls_response_init(&out);
    out.error_code = KERR_SECURITY_DISABLED;
    out.error_message = KP_STR_LIT("No Authorizer is configured on the broker");
    REQ_RESPOND(r, &out, describe_acls_response);
}

const struct api_handler api_describe_acls = {
    .key = 29, .min = 1, .max = 3, .advertise_min = 1, .start = start};
