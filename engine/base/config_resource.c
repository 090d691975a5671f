/* Configurations of groups and of client metrics subscriptions: their keys, what may be set, how they show. */
#include "engine/base/config_private.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct resource_key {
    struct cfg_spec spec;
    const char *broker_key;   /* gives the default; NULL: the spec does */
    const char *least, *most; /* broker keys that bound it; NULL: none */
};

#define INT_AT_LEAST(n, lo_, def)                                                                            \
    {                                                                                                        \
        .name = (n), .type = CFG_INT, .fallback = def, .check = {                                            \
            .kind = CFG_CHECK_RANGE,                                                                         \
            .lo = (lo_),                                                                                     \
            .hi = INT64_MAX                                                                                  \
        }                                                                                                    \
    }
#define WORDS(n, def, w)                                                                                     \
    {                                                                                                        \
        .name = (n), .type = CFG_STRING, .fallback = def, .check = {.kind = CFG_CHECK_ONE_OF, .words = (w) } \
    }
#define PLAIN(n, t, def)                                                                                     \
    {                                                                                                        \
        .name = (n), .type = CFG_##t, .fallback = def                                                        \
    }

#define TIMES(kind, what, lo, def)                                                                           \
    {                                                                                                        \
        INT_AT_LEAST(kind "." what, lo, def), "group." kind "." what, "group." kind ".min." what,            \
            "group." kind ".max." what                                                                       \
    }

static const struct resource_key group_keys[] = {
    {INT_AT_LEAST("consumer.assignment.interval.ms", 0, "1000"), "group.consumer.assignment.interval.ms",
     "group.consumer.min.assignment.interval.ms", "group.consumer.max.assignment.interval.ms"},
    TIMES("consumer", "heartbeat.interval.ms", 1, "5000"),
    TIMES("consumer", "session.timeout.ms", 1, "45000"),
    {INT_AT_LEAST("share.assignment.interval.ms", 0, "1000"), "group.share.assignment.interval.ms",
     "group.share.min.assignment.interval.ms", "group.share.max.assignment.interval.ms"},
    {PLAIN("share.auto.offset.reset", STRING, "latest"), NULL, NULL, NULL},
    {INT_AT_LEAST("share.delivery.count.limit", 2, "5"), "group.share.delivery.count.limit",
     "group.share.min.delivery.count.limit", "group.share.max.delivery.count.limit"},
    TIMES("share", "heartbeat.interval.ms", 1, "5000"),
    {WORDS("share.isolation.level", "read_uncommitted", "read_committed|read_uncommitted"), NULL, NULL, NULL},
    {INT_AT_LEAST("share.partition.max.record.locks", 100, "2000"), "group.share.partition.max.record.locks",
     "group.share.min.partition.max.record.locks", "group.share.max.partition.max.record.locks"},
    {INT_AT_LEAST("share.record.lock.duration.ms", 1000, "30000"), "group.share.record.lock.duration.ms",
     "group.share.min.record.lock.duration.ms", "group.share.max.record.lock.duration.ms"},
    {PLAIN("share.renew.acknowledge.enable", BOOLEAN, "true"), NULL, NULL, NULL},
    TIMES("share", "session.timeout.ms", 1, "45000"),
    {INT_AT_LEAST("streams.assignment.interval.ms", 0, "1000"), "group.streams.assignment.interval.ms",
     "group.streams.min.assignment.interval.ms", "group.streams.max.assignment.interval.ms"},
    TIMES("streams", "heartbeat.interval.ms", 1, "5000"),
    {INT_AT_LEAST("streams.initial.rebalance.delay.ms", 0, "3000"),
     "group.streams.initial.rebalance.delay.ms", NULL, NULL},
    {INT_AT_LEAST("streams.num.standby.replicas", 0, "0"), "group.streams.num.standby.replicas", NULL,
     "group.streams.max.standby.replicas"},
    TIMES("streams", "session.timeout.ms", 1, "45000"),
};

static const struct resource_key metrics_keys[] = {
    {PLAIN("interval.ms", INT, "300000"), NULL, NULL, NULL},
    {PLAIN("match", LIST, ""), NULL, NULL, NULL},
    {PLAIN("metrics", LIST, ""), NULL, NULL, NULL},
};

static const struct resource_key *keys_of(enum cfg_resource kind, size_t *n)
{
    *n = kind == CFG_RESOURCE_GROUP ? SL_ARRAY_LEN(group_keys) : SL_ARRAY_LEN(metrics_keys);
    return kind == CFG_RESOURCE_GROUP ? group_keys : metrics_keys;
}

static const struct resource_key *key_of(enum cfg_resource kind, const char *name)
{
    size_t n;
    const struct resource_key *k = keys_of(kind, &n);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(k[i].spec.name, name))
            return &k[i];
    return NULL;
}

size_t config_resource_keys(enum cfg_resource kind)
{
    size_t n;
    keys_of(kind, &n);
    return n;
}

const char *config_resource_key(enum cfg_resource kind, size_t i)
{
    size_t n;
    const struct resource_key *k = keys_of(kind, &n);
    SL_ASSERT(i < n);
    return k[i].spec.name;
}

static const char *pair_of(const struct cfg_pair *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(pairs[i].key, key))
            return pairs[i].value;
    return NULL;
}

/* ---- groups ----------------------------------------------------------------------------------------------- */
static bool is_reset(const char *v)
{
    size_t n = strlen("by_duration:");
    return !strcmp(v, "earliest") || !strcmp(v, "latest") ||
           (!strncmp(v, "by_duration:", n) && v[n] == 'P' && v[n + 1]);
}

static int64_t broker_number(const struct config *c, const char *key, int64_t none)
{
    int k = key ? cfg_key_find(key) : -ENOENT;
    return k < 0 ? none : c->values[k].number;
}

static int check_group_key(const struct config *c, const struct resource_key *k, const char *value, char *err,
                           size_t len)
{
    struct cfg_value v;
    int rc = config_value_read(&k->spec, value, &v, err, len);
    if (rc)
        return rc;
    if (!strcmp(k->spec.name, "share.auto.offset.reset") && !is_reset(v.text))
        rc =
            config_fail(err, len,
                        "Invalid value %s for configuration %s: Invalid value `%s` for configuration %s. The "
                        "value must be either 'earliest', 'latest' or of the format "
                        "'by_duration:<PnDTnHnMn.nS>'.",
                        v.text, k->spec.name, v.text, k->spec.name);
    config_value_clear(&v);
    return rc;
}

static int check_group_bounds(const struct config *c, const struct resource_key *k, const char *value,
                              char *err, size_t len)
{
    int64_t v = strtoll(value, NULL, 10);
    if (k->spec.type != CFG_INT)
        return 0;
    if (v < broker_number(c, k->least, INT64_MIN))
        return config_fail(err, len, "%s must be greater than or equal to %s", k->spec.name, k->least);
    if (v > broker_number(c, k->most, INT64_MAX))
        return config_fail(err, len, "%s must be less than or equal to %s", k->spec.name, k->most);
    return 0;
}

static int64_t group_number(const struct config *c, const struct cfg_pair *pairs, size_t n, const char *key)
{
    const char *own = pair_of(pairs, n, key);
    return own ? strtoll(own, NULL, 10) : broker_number(c, key_of(CFG_RESOURCE_GROUP, key)->broker_key, 0);
}

static int check_group(const struct config *c, const struct cfg_pair *pairs, size_t n, char *err, size_t len)
{
    static const char *const kinds[] = {"consumer", "share", "streams"};
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        if (!key_of(CFG_RESOURCE_GROUP, pairs[i].key))
            rc = config_fail(err, len, "Unknown group config name: %s", pairs[i].key);
    for (size_t i = 0; i < n && !rc; i++)
        rc = check_group_key(c, key_of(CFG_RESOURCE_GROUP, pairs[i].key), pairs[i].value, err, len);
    for (size_t i = 0; i < SL_ARRAY_LEN(group_keys) && !rc; i++) {
        const char *v = pair_of(pairs, n, group_keys[i].spec.name);
        if (v)
            rc = check_group_bounds(c, &group_keys[i], v, err, len);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(kinds) && !rc; i++) {
        char beat[64], session[64];
        snprintf(beat, sizeof(beat), "%s.heartbeat.interval.ms", kinds[i]);
        snprintf(session, sizeof(session), "%s.session.timeout.ms", kinds[i]);
        if (group_number(c, pairs, n, session) <= group_number(c, pairs, n, beat))
            rc = config_fail(err, len, "%s must be greater than %s", session, beat);
    }
    return rc;
}

/* ---- client metrics (KIP-714) ----------------------------------------------------------------------------- */
enum { METRICS_INTERVAL_MIN = 100, METRICS_INTERVAL_MAX = 3600000 };

static bool is_match(const char *item)
{
    static const char selectors[] =
        "client_instance_id|client_id|client_software_name|client_software_version|"
        "client_source_address|client_source_port";
    const char *eq = strchr(item, '=');
    regex_t re;
    if (!eq || strchr(eq + 1, '='))
        return false;
    char *name = config_strndup(item, (size_t)(eq - item));
    bool ok = config_word_in(selectors, config_trim(name), false, NULL);
    free(name);
    if (!ok || regcomp(&re, eq + 1, REG_EXTENDED | REG_NOSUB))
        return false;
    regfree(&re);
    return true;
}

static int check_metrics(const struct cfg_pair *pairs, size_t n, char *err, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        const struct resource_key *k = key_of(CFG_RESOURCE_METRICS, pairs[i].key);
        struct cfg_value v;
        int rc = 0;
        if (!k) {
            config_fail(err, len, "Unknown client metrics configuration: %s", pairs[i].key);
            return -EBADRQC;
        }
        if (config_value_read(&k->spec, pairs[i].value, &v, err, len))
            return -EINVAL;
        if (k->spec.type == CFG_INT && (v.number < METRICS_INTERVAL_MIN || v.number > METRICS_INTERVAL_MAX)) {
            config_fail(
                err, len,
                "Invalid value %lld for interval.ms, interval must be between 100 and 3600000 (1 hour)",
                (long long)v.number);
            rc = -EBADRQC;
        }
        for (size_t m = 0; !strcmp(k->spec.name, "match") && m < v.list.count && !rc; m++)
            if (!is_match(v.list.items[m]))
                rc = config_fail(err, len, "Illegal client matching pattern: %s", v.list.items[m]);
        config_value_clear(&v);
        if (rc)
            return rc;
    }
    return 0;
}

int config_resource_check(enum cfg_resource kind, const struct config *c, const struct cfg_pair *pairs,
                          size_t n, char *err, size_t err_len)
{
    return kind == CFG_RESOURCE_GROUP ? check_group(c, pairs, n, err, err_len)
                                      : check_metrics(pairs, n, err, err_len);
}

bool config_resource_is_list(enum cfg_resource kind, const char *key)
{
    const struct resource_key *k = key_of(kind, key);
    /* Upstream does not take the lists of a metrics subscription for lists. */
    return k && kind == CFG_RESOURCE_GROUP && k->spec.type == CFG_LIST;
}

void config_resource_view(enum cfg_resource kind, const struct config *c, size_t i, const char *own,
                          struct cfg_view *out)
{
    size_t n;
    const struct resource_key *k = &keys_of(kind, &n)[i];
    int key = k->broker_key ? cfg_key_find(k->broker_key) : -ENOENT;
    SL_ASSERT(i < n);
    if (key >= 0) {
        config_view(c, (enum cfg_key)key, out);
    } else {
        *out = (struct cfg_view){.value = k->spec.fallback, .origin = CFG_ORIGIN_DEFAULT};
        out->synonym_count = kind == CFG_RESOURCE_GROUP;
        out->synonyms[0] = (struct cfg_synonym){k->spec.name, k->spec.fallback, CFG_ORIGIN_DEFAULT};
    }
    out->name = k->spec.name;
    out->type = k->spec.type;
    out->read_only = out->internal = out->sensitive = false;
    if (!own)
        return;
    SL_ASSERT(out->synonym_count < CFG_SYNONYMS_MAX);
    memmove(&out->synonyms[1], &out->synonyms[0], out->synonym_count * sizeof(out->synonyms[0]));
    out->synonym_count++;
    out->value = own;
    out->origin = kind == CFG_RESOURCE_GROUP ? CFG_ORIGIN_GROUP : CFG_ORIGIN_METRICS;
    out->synonyms[0] = (struct cfg_synonym){k->spec.name, own, out->origin};
}
