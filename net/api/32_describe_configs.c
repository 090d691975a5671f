// DescribeConfigs (key 32), versions 1-4: topics, this broker, its loggers, client metrics.
//
// Values come from the configuration in force: topics' own, dynamic configs of this broker and of all brokers, static ones,
// defaults. A broker's empty name asks for the dynamic configs of all brokers.
//
// Deviations from upstream 4.3:
// - Our own keys (sluice.*, write.caching) are listed as well; documentation is in our words.
// - There is one logger, "root".
// - A resource that is named twice is answered once.
#include "net/api/common.h"

#include "proto/gen/describe_configs_request.h"
#include "proto/gen/describe_configs_response.h"

#include <stdlib.h>
#include <string.h>

typedef struct kp_describe_configs_request_describe_configs_resource in_resource;
typedef struct kp_describe_configs_response_describe_configs_result out_resource;
typedef struct kp_describe_configs_response_describe_configs_resource_result out_config;

static bool wanted(const in_resource *in, const char *name)
{
    if (in->configuration_keys_n <= 0)
        return true;
    for (int32_t i = 0; i < in->configuration_keys_n; i++)
        if (kp_str_eq(in->configuration_keys[i], kp_str_of(name)))
            return true;
    return false;
}

static void synonyms_fill(struct req *r, const struct cfg_view *v, out_config *o)
{
    o->synonyms_n = (int32_t)v->synonym_count;
    o->synonyms = req_alloc_array(r, v->synonym_count, sizeof(*o->synonyms));
    for (size_t i = 0; i < v->synonym_count; i++)
        o->synonyms[i] = (struct kp_describe_configs_response_describe_configs_synonym){
            .name = kp_str_of(v->synonyms[i].name),
            .value = api_copy(r, v->synonyms[i].value),
            .source = (int8_t)v->synonyms[i].origin};
}

static void config_add(struct req *r, const struct kp_describe_configs_request *m, const in_resource *in,
                       const struct cfg_view *v, out_resource *out)
{
    if (v->internal || !wanted(in, v->name))
        return;
    out_config *o = &out->configs[out->configs_n++];
    kp_describe_configs_response_describe_configs_resource_result_init(o);
    o->name = kp_str_of(v->name);
    o->value = v->sensitive ? KP_STR_NULL : api_copy(r, v->value); // the view's scratch does not stay
    o->read_only = v->read_only;
    o->config_source = (int8_t)v->origin;
    o->is_sensitive = v->sensitive;
    o->config_type = (int8_t)v->type;
    o->documentation = m->include_documentation ? kp_str_of(v->doc) : KP_STR_NULL;
    if (m->include_synonyms)
        synonyms_fill(r, v, o);
}

static int16_t fail(out_resource *out, int16_t error, struct kp_str why)
{
    out->error_code = error;
    out->error_message = why;
    return error;
}

static const char *override_of(const struct meta_topic *t, const char *key)
{
    for (uint32_t i = 0; i < t->configs_n; i++)
        if (!strcmp(t->configs[i].key, key))
            return t->configs[i].value;
    return NULL;
}

static void describe_topic(struct req *r, const struct kp_describe_configs_request *m, const in_resource *in,
                           out_resource *out)
{
    const char *bad = api_topic_name_error(r, in->resource_name);
    const struct meta_topic *t = api_topic(r, in->resource_name);
    if (bad) {
        fail(out, KERR_INVALID_TOPIC_EXCEPTION, kp_str_of(bad));
        return;
    }
    if (!t) {
        out->error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    out->configs = req_alloc_array(r, TOPIC_KEY_COUNT, sizeof(*out->configs));
    for (int k = 0; k < TOPIC_KEY_COUNT; k++) {
        struct cfg_view v;
        topic_config_view(net_config(r->net), (enum topic_key)k,
                          override_of(t, topic_key_name((enum topic_key)k)), &v);
        config_add(r, m, in, &v, out);
    }
}

// KERR_NONE if the resource's name is this broker's id.
static int16_t check_broker(struct req *r, const in_resource *in, bool may_be_empty, out_resource *out)
{
    int32_t own = net_image(r->net)->node_id;
    const char *name = api_cstr(r, in->resource_name);
    char *end;
    errno = 0;
    long id = strtol(name, &end, 10);
    if (end == name || *end || errno || id < INT32_MIN || id > INT32_MAX)
        return fail(out, KERR_INVALID_REQUEST,
                    api_text(r, "Broker id must be an integer, but it is: %s", name));
    if (id != own)
        return fail(out, KERR_INVALID_REQUEST,
                    api_text(r, "Unexpected broker id, expected %d%s but received %s", own,
                             may_be_empty ? " or empty string," : "", name));
    return KERR_NONE;
}

// The dynamic configs of all brokers, and nothing else.
static void describe_cluster(struct req *r, const struct kp_describe_configs_request *m,
                             const in_resource *in, out_resource *out)
{
    const struct meta_resource *c = meta_find_resource(net_image(r->net), META_RES_BROKER, "");
    out->configs = req_alloc_array(r, c ? c->configs_n : 0, sizeof(*out->configs));
    for (uint32_t i = 0; c && i < c->configs_n; i++) {
        struct cfg_view v;
        config_layer_view(net_config(r->net), c->configs[i].key, NULL, c->configs[i].value, false, &v);
        config_add(r, m, in, &v, out);
    }
}

// Dynamic configs of no key of the table: for one listener, or a plugin's. With `below`, those are of the stronger layer.
static void add_strangers(struct req *r, const struct kp_describe_configs_request *m, const in_resource *in,
                          const struct meta_resource *of, const struct meta_resource *below,
                          out_resource *out)
{
    const struct meta_resource *own =
        meta_find_resource(net_image(r->net), META_RES_BROKER, api_cstr(r, in->resource_name));
    bool broker = of == own;
    for (uint32_t i = 0; of && i < of->configs_n; i++) {
        const char *key = of->configs[i].key, *value = of->configs[i].value;
        struct cfg_view v;
        if (cfg_key_find(key) >= 0 || (!broker && meta_resource_config(own, key)))
            continue;
        config_layer_view(net_config(r->net), key, broker ? value : NULL,
                          broker ? meta_resource_config(below, key) : value, true, &v);
        config_add(r, m, in, &v, out);
    }
}

static void describe_broker(struct req *r, const struct kp_describe_configs_request *m, const in_resource *in,
                            out_resource *out)
{
    if (in->resource_name.n <= 0) {
        describe_cluster(r, m, in, out);
        return;
    }
    if (check_broker(r, in, true, out))
        return;
    const struct meta_resource *c = meta_find_resource(net_image(r->net), META_RES_BROKER, ""),
                               *own = meta_find_resource(net_image(r->net), META_RES_BROKER,
                                                         api_cstr(r, in->resource_name));
    size_t more = (c ? c->configs_n : 0) + (own ? own->configs_n : 0);
    out->configs = req_alloc_array(r, CFG_KEY_COUNT + more, sizeof(*out->configs));
    for (int k = 0; k < CFG_KEY_COUNT; k++) {
        struct cfg_view v;
        config_view(net_config(r->net), (enum cfg_key)k, &v);
        config_add(r, m, in, &v, out);
    }
    add_strangers(r, m, in, own, c, out);
    add_strangers(r, m, in, c, NULL, out);
}

static const char *log_level(void)
{
    return sl_log_enabled(SL_DEBUG)  ? "DEBUG"
           : sl_log_enabled(SL_INFO) ? "INFO"
           : sl_log_enabled(SL_WARN) ? "WARN"
                                     : "ERROR";
}

static void describe_logger(struct req *r, const in_resource *in, out_resource *out)
{
    if (in->resource_name.n <= 0) {
        fail(out, KERR_INVALID_REQUEST, KP_STR_LIT("Broker id must not be empty"));
        return;
    }
    if (check_broker(r, in, false, out) || !wanted(in, "root"))
        return;
    out->configs = req_alloc_array(r, 1, sizeof(*out->configs));
    out->configs_n = 1;
    kp_describe_configs_response_describe_configs_resource_result_init(out->configs);
    out->configs->name = KP_STR_LIT("root");
    out->configs->value = kp_str_of(log_level());
    out->configs->config_source = CFG_ORIGIN_LOGGER;
    out->configs->documentation = KP_STR_NULL;
}

// A group's or a metrics subscription's.
static void describe_resource(struct req *r, const struct kp_describe_configs_request *m,
                              const in_resource *in, out_resource *out)
{
    bool group = in->resource_type == META_RES_GROUP;
    enum cfg_resource kind = group ? CFG_RESOURCE_GROUP : CFG_RESOURCE_METRICS;
    size_t n = config_resource_keys(kind);
    if (in->resource_name.n <= 0) {
        fail(out, KERR_INVALID_REQUEST,
             group ? KP_STR_LIT("Group name must not be empty")
                   : KP_STR_LIT("Client metrics subscription name must not be empty"));
        return;
    }
    const struct meta_resource *own =
        meta_find_resource(net_image(r->net), in->resource_type, api_cstr(r, in->resource_name));
    out->configs = req_alloc_array(r, n, sizeof(*out->configs));
    for (size_t i = 0; i < n; i++) {
        struct cfg_view v;
        config_resource_view(kind, net_config(r->net), i,
                             meta_resource_config(own, config_resource_key(kind, i)), &v);
        config_add(r, m, in, &v, out);
    }
}

static void describe(struct req *r, const struct kp_describe_configs_request *m, const in_resource *in,
                     out_resource *out)
{
    kp_describe_configs_response_describe_configs_result_init(out);
    out->resource_type = in->resource_type;
    out->resource_name = in->resource_name;
    switch (in->resource_type) {
    case META_RES_TOPIC:
        describe_topic(r, m, in, out);
        break;
    case META_RES_BROKER:
        describe_broker(r, m, in, out);
        break;
    case META_RES_LOGGER:
        describe_logger(r, in, out);
        break;
    default:
        describe_resource(r, m, in, out);
        break;
    }
}

// A kind that nobody knows spoils the whole request, as upstream has it.
static bool known_kinds(const struct kp_describe_configs_request *m)
{
    for (int32_t i = 0; i < m->resources_n; i++) {
        int8_t t = m->resources[i].resource_type;
        if (t != META_RES_TOPIC && t != META_RES_BROKER && t != META_RES_LOGGER && t != META_RES_METRICS &&
            t != META_RES_GROUP)
            return false;
    }
    return true;
}

static bool repeated(struct req *r, struct api_set *seen, const in_resource *in, uint32_t i)
{
    size_t n = (size_t)SL_MAX(in->resource_name.n, 0);
    char *key = req_alloc(r, n + 1);
    key[0] = (char)in->resource_type;
    if (n)
        memcpy(key + 1, in->resource_name.p, n);
    return api_set_put(seen, key, n + 1, i) != i;
}

static void start(struct req *r)
{
    struct kp_describe_configs_request m;
    struct kp_describe_configs_response out;
    struct api_set seen;
    if (!REQ_DECODE(r, &m, describe_configs_request))
        return;
    if (!net_image(r->net)) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    uint32_t n = (uint32_t)SL_MAX(m.resources_n, 0);
    bool known = known_kinds(&m);
    kp_describe_configs_response_init(&out);
    out.results = req_alloc_array(r, n, sizeof(*out.results));
    api_set_init(r, &seen, n);
    for (uint32_t i = 0; i < n; i++) {
        if (repeated(r, &seen, &m.resources[i], i))
            continue;
        out_resource *o = &out.results[out.results_n++];
        if (known) {
            describe(r, &m, &m.resources[i], o);
            continue;
        }
        kp_describe_configs_response_describe_configs_result_init(o);
        o->resource_type = m.resources[i].resource_type;
        o->resource_name = m.resources[i].resource_name;
        fail(o, KERR_INVALID_REQUEST, kp_str_of(kerr_text(KERR_INVALID_REQUEST)));
    }
    REQ_RESPOND(r, &out, describe_configs_response);
}

const struct api_handler api_describe_configs = {
    .key = 32, .min = 1, .max = 4, .advertise_min = 1, .start = start};
