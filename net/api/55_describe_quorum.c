// DescribeQuorum (key 55), versions 0-2 (KIP-836, KIP-853): the metadata log's leader and only voter is this node.
//
// Deviations from upstream 4.3: without a controller listener, the voter's endpoint is the first listener's, under the name
// CONTROLLER, as the metadata log has it.
#include "net/api/common.h"

#include "proto/gen/describe_quorum_request.h"
#include "proto/gen/describe_quorum_response.h"

typedef struct kp_describe_quorum_response_partition_data out_part;

static bool is_metadata(const struct kp_describe_quorum_request *m)
{
    return m->topics_n == 1 && kp_str_eq(m->topics[0].topic_name, KP_STR_LIT(META_TOPIC_NAME)) &&
           m->topics[0].partitions_n == 1 && m->topics[0].partitions[0].partition_index == 0;
}

static void refuse_all(struct req *r, const struct kp_describe_quorum_request *m,
                       struct kp_describe_quorum_response *out)
{
    out->topics_n = SL_MAX(m->topics_n, 0);
    out->topics = req_alloc_array(r, (size_t)out->topics_n, sizeof(*out->topics));
    for (int32_t t = 0; t < out->topics_n; t++) {
        int32_t n = SL_MAX(m->topics[t].partitions_n, 0);
        out->topics[t].topic_name = m->topics[t].topic_name;
        out->topics[t].partitions_n = n;
        out->topics[t].partitions = req_alloc_array(r, (size_t)n, sizeof(out_part));
        for (int32_t p = 0; p < n; p++) {
            out_part *o = &out->topics[t].partitions[p];
            o->partition_index = m->topics[t].partitions[p].partition_index;
            o->error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
            o->error_message = KP_STR_LIT("This server does not host this topic-partition.");
        }
    }
}

static void describe(struct req *r, const struct meta_image *img, struct kp_describe_quorum_response *out)
{
    int64_t now = reactor_wall_ms(r->net->r);
    struct meta_endpoint ep;
    out_part *p = req_alloc(r, sizeof(*p));
    out->topics = req_alloc(r, sizeof(*out->topics));
    out->topics_n = 1;
    out->topics->topic_name = KP_STR_LIT(META_TOPIC_NAME);
    out->topics->partitions = p;
    out->topics->partitions_n = 1;
    p->error_message = KP_STR_LIT("");
    p->leader_id = img->controller_id;
    p->leader_epoch = img->controller_epoch;
    p->high_watermark = img->offset + 1;
    p->current_voters = req_alloc(r, sizeof(*p->current_voters));
    p->current_voters_n = 1;
    kp_describe_quorum_response_replica_state_init(p->current_voters);
    p->current_voters->replica_id = img->controller_id;
    if (img->kraft_version > 0 && r->version >= 2)
        p->current_voters->replica_directory_id = img->directory_id;
    p->current_voters->log_end_offset = img->offset + 1;
    if (r->version >= 1)
        p->current_voters->last_fetch_timestamp = p->current_voters->last_caught_up_timestamp = now;
    if (r->version < 2)
        return;
    meta_controller_endpoint(r->net->cfg.cfg, &ep);
    out->nodes = req_alloc(r, sizeof(*out->nodes));
    out->nodes_n = 1;
    out->nodes->node_id = img->controller_id;
    out->nodes->listeners = req_alloc(r, sizeof(*out->nodes->listeners));
    out->nodes->listeners_n = 1;
    out->nodes->listeners->name = kp_str_of(ep.listener);
    out->nodes->listeners->host = kp_str_of(ep.host);
    out->nodes->listeners->port = ep.port;
}

static void start(struct req *r)
{
    struct kp_describe_quorum_request m;
    struct kp_describe_quorum_response out;
    if (!REQ_DECODE(r, &m, describe_quorum_request))
        return;
    const struct meta_image *img = net_image(r->net);
    if (!img) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    kp_describe_quorum_response_init(&out);
    out.error_message = KP_STR_LIT("");
    if (is_metadata(&m))
        describe(r, img, &out);
    else
        refuse_all(r, &m, &out);
    REQ_RESPOND(r, &out, describe_quorum_response);
}

const struct api_handler api_describe_quorum = {
    .key = 55, .min = 0, .max = 2, .advertise_min = 0, .start = start};
