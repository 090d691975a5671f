// DescribeCluster (key 60), versions 0-2: cluster id, controller, brokers; from version 1 the kind of endpoint is checked,
// from version 2 fenced brokers may be asked for.
//
// Deviations from upstream 4.3: the controller id is the controller's own where it is a reachable broker, where upstream
// names a random live broker.
#include "net/api/common.h"

#include "proto/gen/describe_cluster_request.h"
#include "proto/gen/describe_cluster_response.h"

enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

static void add_brokers(struct req *r, const struct meta_image *img, bool fenced,
                        struct kp_describe_cluster_response *out)
{
    out->brokers = req_alloc_array(r, img->brokers_n, sizeof(*out->brokers));
    for (uint32_t i = 0; i < img->brokers_n; i++) {
        const struct meta_broker *b = &img->brokers[i];
        const struct meta_endpoint *ep = conn_endpoint(r->conn, b);
        if (!ep || (b->fenced && !fenced))
            continue;
        out->brokers[out->brokers_n++] =
            (struct kp_describe_cluster_response_describe_cluster_broker){.broker_id = b->id,
                                                                          .host = kp_str_of(ep->host),
                                                                          .port = ep->port,
                                                                          .rack = kp_str_of(b->rack),
                                                                          .is_fenced = b->fenced};
    }
}

static int16_t check_endpoint(struct req *r, int8_t type, struct kp_str *why)
{
    if (r->version == 0 || type == ENDPOINT_BROKERS)
        return KERR_NONE;
    if (type != ENDPOINT_CONTROLLERS) {
        *why = api_text(r, "Unsupported endpoint type %d", type);
        return KERR_UNSUPPORTED_ENDPOINT_TYPE;
    }
    *why = KP_STR_LIT(
        "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER");
    return KERR_MISMATCHED_ENDPOINT_TYPE;
}

static void start(struct req *r)
{
    struct kp_describe_cluster_request m;
    struct kp_describe_cluster_response out;
    if (!REQ_DECODE(r, &m, describe_cluster_request))
        return;
    const struct meta_image *img = net_image(r->net);
    if (!img) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    kp_describe_cluster_response_init(&out);
    out.endpoint_type = ENDPOINT_BROKERS;
    out.error_code = check_endpoint(r, m.endpoint_type, &out.error_message);
    if (!out.error_code) {
        out.cluster_id = kp_str_of(img->cluster_id);
        out.controller_id = api_controller_id(r);
        add_brokers(r, img, r->version >= 2 && m.include_fenced_brokers, &out);
        if (m.include_cluster_authorized_operations)
            out.cluster_authorized_operations = API_CLUSTER_OPS;
    }
    REQ_RESPOND(r, &out, describe_cluster_response);
}

const struct api_handler api_describe_cluster = {
    .key = 60, .min = 0, .max = 2, .advertise_min = 0, .start = start};
