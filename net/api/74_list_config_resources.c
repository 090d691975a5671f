// ListConfigResources (key 74), versions 0-1: what has a configuration (KIP-1142). Version 0 lists metrics subscriptions.
//
// Deviations from upstream 4.3: none known.
#include "net/api/common.h"

#include "proto/gen/list_config_resources_request.h"
#include "proto/gen/list_config_resources_response.h"

typedef struct kp_list_config_resources_response out_t;

static const int8_t KINDS[] = {META_RES_GROUP, META_RES_METRICS, META_RES_LOGGER, META_RES_BROKER,
                               META_RES_TOPIC};

static bool known(int8_t kind)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(KINDS); i++)
        if (KINDS[i] == kind)
            return true;
    return false;
}

static bool wanted(const struct kp_list_config_resources_request *m, int16_t version, int8_t kind)
{
    if (version == 0)
        return kind == META_RES_METRICS;
    for (int32_t i = 0; i < m->resource_types_n; i++)
        if (m->resource_types[i] == kind)
            return true;
    return m->resource_types_n <= 0;
}

static void add(out_t *out, int8_t kind, struct kp_str name)
{
    out->config_resources[out->config_resources_n++] =
        (struct kp_list_config_resources_response_config_resource){.resource_name = name,
                                                                   .resource_type = kind};
}

static void add_kind(struct req *r, out_t *out, const struct meta_image *img, int8_t kind)
{
    if (kind == META_RES_TOPIC)
        for (uint32_t i = 0; i < img->topics_n; i++)
            add(out, kind, kp_str_of(img->topics[i]->name));
    else if (kind == META_RES_BROKER || kind == META_RES_LOGGER)
        for (uint32_t i = 0; i < img->brokers_n; i++)
            add(out, kind, api_text(r, "%d", img->brokers[i].id));
    else
        for (uint32_t i = 0; i < img->resources_n; i++)
            if (img->resources[i].type == kind)
                add(out, kind, kp_str_of(img->resources[i].name));
}

static void start(struct req *r)
{
    struct kp_list_config_resources_request m;
    out_t out;
    if (!REQ_DECODE(r, &m, list_config_resources_request))
        return;
    const struct meta_image *img = net_image(r->net);
    if (!img) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    kp_list_config_resources_response_init(&out);
    for (int32_t i = 0; i < m.resource_types_n; i++)
        if (!known(m.resource_types[i]))
            out.error_code = KERR_UNSUPPORTED_VERSION;
    out.config_resources = req_alloc_array(r, img->topics_n + 2 * (size_t)img->brokers_n + img->resources_n,
                                           sizeof(*out.config_resources));
    for (size_t i = 0; i < SL_ARRAY_LEN(KINDS) && !out.error_code; i++)
        if (wanted(&m, r->version, KINDS[i]))
            add_kind(r, &out, img, KINDS[i]);
    REQ_RESPOND(r, &out, list_config_resources_response);
}

const struct api_handler api_list_config_resources = {
    .key = 74, .min = 0, .max = 1, .advertise_min = 0, .start = start};
