// ListTransactions (key 66), versions 0-2 (KIP-664, KIP-1152): there are none.
//
// Deviations from upstream 4.3: a pattern is taken for a POSIX extended regular expression, where upstream has RE2.
#include "net/api/common.h"

#include "proto/gen/list_transactions_request.h"
#include "proto/gen/list_transactions_response.h"

#include <regex.h>

static bool is_state(struct kp_str s)
{
    static const char *const states[] = {"Empty",        "Ongoing",          "PrepareCommit",
                                         "PrepareAbort", "CompleteCommit",   "CompleteAbort",
                                         "Dead",         "PrepareEpochFence"};
    for (size_t i = 0; i < SL_ARRAY_LEN(states); i++)
        if (kp_str_eq(s, kp_str_of(states[i])))
            return true;
    return false;
}

static bool pattern_ok(struct req *r, struct kp_str pattern)
{
    regex_t re;
    if (pattern.n <= 0)
        return true;
    if (regcomp(&re, api_cstr(r, pattern), REG_EXTENDED | REG_NOSUB))
        return false;
    regfree(&re);
    return true;
}

static void start(struct req *r)
{
    struct kp_list_transactions_request m;
    struct kp_list_transactions_response out;
    if (!REQ_DECODE(r, &m, list_transactions_request))
        return;
    kp_list_transactions_response_init(&out);
    if (r->version >= 2 && !pattern_ok(r, m.transactional_id_pattern))
        out.error_code = KERR_INVALID_REGULAR_EXPRESSION;
    out.unknown_state_filters =
        req_alloc_array(r, (size_t)SL_MAX(m.state_filters_n, 0), sizeof(*out.unknown_state_filters));
    for (int32_t i = 0; i < m.state_filters_n && !out.error_code; i++)
        if (!is_state(m.state_filters[i]))
            out.unknown_state_filters[out.unknown_state_filters_n++] = m.state_filters[i];
    REQ_RESPOND(r, &out, list_transactions_response);
}

const struct api_handler api_list_transactions = {
    .key = 66, .min = 0, .max = 2, .advertise_min = 0, .start = start};
