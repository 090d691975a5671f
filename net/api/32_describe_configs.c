// DescribeConfigs (key 32), versions 1-4: topics, this broker, its loggers, client metrics.
//
// Values come from the configuration's tables: static broker values, defaults, and topics' own. A broker's empty name asks
// for the cluster's dynamic defaults, which are none.
//
// Deviations from upstream 4.3:
// - Dynamic broker configs are not changed by any API here and not shown.
// - Our own keys (sluice.*, write.caching) are listed as well.
// - There is one logger, "root". Client metrics and groups show their defaults: neither can be configured yet.
// - A resource that is named twice is answered once.
#include "net/api/common.h"

#include "proto/gen/describe_configs_request.h"
#include "proto/gen/describe_configs_response.h"

#include <stdlib.h>
#include <string.h>

typedef struct kp_describe_configs_request_describe_configs_resource in_resource;
typedef struct kp_describe_configs_response_describe_configs_result out_resource;
typedef struct kp_describe_configs_response_describe_configs_resource_result out_config;

enum { RES_TOPIC = 2, RES_BROKER = 4, RES_BROKER_LOGGER = 8, RES_CLIENT_METRICS = 16, RES_GROUP = 32 };
enum { SOURCE_BROKER_LOGGER = 6 };

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
        topic_config_view(r->net->cfg.cfg, (enum topic_key)k,
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

static void describe_broker(struct req *r, const struct kp_describe_configs_request *m, const in_resource *in,
                            out_resource *out)
{
    if (in->resource_name.n <= 0 || check_broker(r, in, true, out))
        return;
    out->configs = req_alloc_array(r, CFG_KEY_COUNT, sizeof(*out->configs));
    for (int k = 0; k < CFG_KEY_COUNT; k++) {
        struct cfg_view v;
        config_view(r->net->cfg.cfg, (enum cfg_key)k, &v);
        config_add(r, m, in, &v, out);
    }
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
    out->configs->config_source = SOURCE_BROKER_LOGGER;
    out->configs->documentation = KP_STR_NULL;
}

// What configures a group or a metrics subscription: the broker's key that gives its default, or a fixed value.
static const struct dynamic_key {
    const char *name, *broker_key, *value;
    enum cfg_type type;
} GROUP_KEYS[] =
    {
        {"consumer.assignment.interval.ms", "group.consumer.assignment.interval.ms", "1000", CFG_INT},
        {"consumer.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms", "5000", CFG_INT},
        {"consumer.session.timeout.ms", "group.consumer.session.timeout.ms", "45000", CFG_INT},
        {"share.assignment.interval.ms", "group.share.assignment.interval.ms", "1000", CFG_INT},
        {"share.auto.offset.reset", NULL, "latest", CFG_STRING},
        {"share.delivery.count.limit", "group.share.delivery.count.limit", "5", CFG_INT},
        {"share.heartbeat.interval.ms", "group.share.heartbeat.interval.ms", "5000", CFG_INT},
        {"share.isolation.level", NULL, "read_uncommitted", CFG_STRING},
        {"share.partition.max.record.locks", "group.share.partition.max.record.locks", "2000", CFG_INT},
        {"share.record.lock.duration.ms", "group.share.record.lock.duration.ms", "30000", CFG_INT},
        {"share.renew.acknowledge.enable", NULL, "true", CFG_BOOLEAN},
        {"share.session.timeout.ms", "group.share.session.timeout.ms", "45000", CFG_INT},
        {"streams.assignment.interval.ms", "group.streams.assignment.interval.ms", "1000", CFG_INT},
        {"streams.heartbeat.interval.ms", "group.streams.heartbeat.interval.ms", "5000", CFG_INT},
        {"streams.initial.rebalance.delay.ms", "group.streams.initial.rebalance.delay.ms", "3000", CFG_INT},
        {"streams.num.standby.replicas", "group.streams.num.standby.replicas", "0", CFG_INT},
        {"streams.session.timeout.ms", "group.streams.session.timeout.ms", "45000", CFG_INT},
},
  METRICS_KEYS[] = {
      {"interval.ms", NULL, "300000", CFG_INT},
      {"match", NULL, "", CFG_LIST},
      {"metrics", NULL, "", CFG_LIST},
};

static void dynamic_view(struct req *r, const struct dynamic_key *k, bool synonym, struct cfg_view *v)
{
    int key = k->broker_key ? cfg_key_find(k->broker_key) : -ENOENT;
    if (key >= 0) {
        config_view(r->net->cfg.cfg, (enum cfg_key)key, v);
    } else {
        *v = (struct cfg_view){.value = k->value, .origin = CFG_ORIGIN_DEFAULT, .synonym_count = synonym};
        v->synonyms[0] = (struct cfg_synonym){k->name, k->value, CFG_ORIGIN_DEFAULT};
    }
    v->name = k->name;
    v->type = k->type;
    v->read_only = v->internal = v->sensitive = false;
}

static void describe_dynamic(struct req *r, const struct kp_describe_configs_request *m,
                             const in_resource *in, bool group, out_resource *out)
{
    size_t n = group ? SL_ARRAY_LEN(GROUP_KEYS) : SL_ARRAY_LEN(METRICS_KEYS);
    if (in->resource_name.n <= 0) {
        fail(out, KERR_INVALID_REQUEST,
             group ? KP_STR_LIT("Group name must not be empty")
                   : KP_STR_LIT("Client metrics subscription name must not be empty"));
        return;
    }
    out->configs = req_alloc_array(r, n, sizeof(*out->configs));
    for (size_t i = 0; i < n; i++) {
        struct cfg_view v;
        dynamic_view(r, group ? &GROUP_KEYS[i] : &METRICS_KEYS[i], group, &v);
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
    case RES_TOPIC:
        describe_topic(r, m, in, out);
        break;
    case RES_BROKER:
        describe_broker(r, m, in, out);
        break;
    case RES_BROKER_LOGGER:
        describe_logger(r, in, out);
        break;
    default:
        describe_dynamic(r, m, in, in->resource_type == RES_GROUP, out);
        break;
    }
}

// A kind that nobody knows spoils the whole request, as upstream has it.
static bool known_kinds(const struct kp_describe_configs_request *m)
{
    for (int32_t i = 0; i < m->resources_n; i++) {
        int8_t t = m->resources[i].resource_type;
        if (t != RES_TOPIC && t != RES_BROKER && t != RES_BROKER_LOGGER && t != RES_CLIENT_METRICS &&
            t != RES_GROUP)
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
