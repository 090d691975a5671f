// RemoveRaftVoter (key 81), versions 0 (KIP-853): this node is the quorum's only voter, and stays so.
//
// Deviations from upstream 4.3: a request that names a voter with its directory is always refused.
#include "net/api/common.h"

#include "proto/gen/remove_raft_voter_request.h"
#include "proto/gen/remove_raft_voter_response.h"

static void start(struct req *r)
{
    struct kp_remove_raft_voter_request m;
    struct kp_remove_raft_voter_response out;
    if (!REQ_DECODE(r, &m, remove_raft_voter_request))
        return;
    const struct meta_image *img = net_image(r->net);
    if (!img) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    kp_remove_raft_voter_response_init(&out);
    if (m.cluster_id.n >= 0 && !kp_str_eq(m.cluster_id, kp_str_of(img->cluster_id))) {
        out.error_code = KERR_INCONSISTENT_CLUSTER_ID;
        out.error_message = api_text(r, "The given id \"%.*s\" doesn't match the cluster id \"%s\"",
                                     m.cluster_id.n, m.cluster_id.p, img->cluster_id);
    } else if (m.voter_id < 0 || sl_uuid_is_zero(&m.voter_directory_id)) {
        out.error_code = KERR_INVALID_REQUEST;
        out.error_message = KP_STR_LIT("Remove voter request didn't include a valid voter");
    } else {
        out.error_code = KERR_INVALID_REQUEST;
        out.error_message = KP_STR_LIT("This node is the quorum's only voter, and stays so.");
    }
    REQ_RESPOND(r, &out, remove_raft_voter_response);
}

const struct api_handler api_remove_raft_voter = {
    .key = 81, .min = 0, .max = 0, .advertise_min = 0, .start = start};
