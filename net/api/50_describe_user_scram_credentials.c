// DescribeUserScramCredentials (key 50), version 0 (KIP-554): nobody has credentials here.
//
// Deviations from upstream 4.3: credentials in a directory that upstream wrote are kept and not shown.
#include "net/api/common.h"

#include "proto/gen/describe_user_scram_credentials_request.h"
#include "proto/gen/describe_user_scram_credentials_response.h"

typedef struct kp_describe_user_scram_credentials_response_describe_user_scram_credentials_result out_user;

static void start(struct req *r)
{
    struct kp_describe_user_scram_credentials_request m;
    struct kp_describe_user_scram_credentials_response out;
    struct api_set seen;
    if (!REQ_DECODE(r, &m, describe_user_scram_credentials_request))
        return;
    uint32_t n = (uint32_t)SL_MAX(m.users_n, 0);
    kp_describe_user_scram_credentials_response_init(&out);
    out.error_message = KP_STR_LIT("");
    out.results = req_alloc_array(r, n, sizeof(*out.results));
    api_set_init(r, &seen, n);
    for (uint32_t i = 0; i < n; i++) {
        struct kp_str name = m.users[i].name;
        uint32_t at = api_set_put(&seen, name.p, (size_t)SL_MAX(name.n, 0), (uint32_t)out.results_n);
        bool again = at != (uint32_t)out.results_n;
        out_user *o = &out.results[at];
        out.results_n += !again;
        o->user = name;
        o->error_code = again ? KERR_DUPLICATE_RESOURCE : KERR_RESOURCE_NOT_FOUND;
        o->error_message =
            again ? api_text(
                        r,
                        "Cannot describe SCRAM credentials for the same user twice in a single request: %.*s",
                        name.n, name.p)
                  : api_text(r, "Attempt to describe a user credential that does not exist: %.*s", name.n,
                             name.p);
    }
    REQ_RESPOND(r, &out, describe_user_scram_credentials_response);
}

const struct api_handler api_describe_user_scram_credentials = {
    .key = 50, .min = 0, .max = 0, .advertise_min = 0, .start = start};
