// DescribeTransactions (key 65), version 0: no transactional id is coordinated here.
//
// Deviations from upstream 4.3: none known, as long as upstream has no transactions either.
#include "net/api/common.h"

#include "proto/gen/describe_transactions_request.h"
#include "proto/gen/describe_transactions_response.h"

static void start(struct req *r)
{
    struct kp_describe_transactions_request m;
    struct kp_describe_transactions_response out;
    if (!REQ_DECODE(r, &m, describe_transactions_request))
        return;
    kp_describe_transactions_response_init(&out);
    out.transaction_states_n = SL_MAX(m.transactional_ids_n, 0);
    out.transaction_states =
        req_alloc_array(r, (size_t)out.transaction_states_n, sizeof(*out.transaction_states));
    for (int32_t i = 0; i < out.transaction_states_n; i++) {
        kp_describe_transactions_response_transaction_state_init(&out.transaction_states[i]);
        out.transaction_states[i].transactional_id = m.transactional_ids[i];
        out.transaction_states[i].error_code =
            m.transactional_ids[i].n > 0 ? KERR_NOT_COORDINATOR : KERR_INVALID_REQUEST;
    }
    REQ_RESPOND(r, &out, describe_transactions_response);
}

const struct api_handler api_describe_transactions = {
    .key = 65, .min = 0, .max = 0, .advertise_min = 0, .start = start};
