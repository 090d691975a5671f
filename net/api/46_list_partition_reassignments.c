// ListPartitionReassignments (key 46), version 0: none is ever under way on one node.
//
// Deviations from upstream 4.3: none known.
#include "net/api/common.h"

#include "proto/gen/list_partition_reassignments_request.h"
#include "proto/gen/list_partition_reassignments_response.h"

static void start(struct req *r)
{
    struct kp_list_partition_reassignments_request m;
    struct kp_list_partition_reassignments_response out;
    if (!REQ_DECODE(r, &m, list_partition_reassignments_request))
        return;
    kp_list_partition_reassignments_response_init(&out);
    out.error_message = KP_STR_NULL;
    REQ_RESPOND(r, &out, list_partition_reassignments_response);
}

const struct api_handler api_list_partition_reassignments = {
    .key = 46, .min = 0, .max = 0, .advertise_min = 0, .start = start};
