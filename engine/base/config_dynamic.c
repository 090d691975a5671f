/* Dynamic broker configs: overlays over the static configuration, and what may be set, by upstream's rules. */
#include "engine/base/config_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LISTENER_PREFIX "listener.name."

const char *config_base_key(const char *key)
{
    size_t n = strlen(LISTENER_PREFIX);
    if (strncmp(key, LISTENER_PREFIX, n) != 0)
        return key;
    const char *dot = strchr(key + n, '.');
    return dot && dot[1] ? dot + 1 : key;
}

bool config_is_list(const char *key)
{
    int k = cfg_key_find(config_base_key(key));
    return k >= 0 && cfg_rows[k].spec.type == CFG_LIST;
}

int config_static_text(const struct config *c, const char *key, const char **out)
{
    int k = cfg_key_find(key);
    if (k < 0)
        return -ENOENT;
    *out = (c->below ? c->below : c)->values[k].text;
    return 0;
}

/* ---- overlays -------------------------------------------------------------------------------------------- */
static void value_copy(struct cfg_value *to, const struct cfg_value *from)
{
    *to = *from;
    to->text = from->text ? config_strndup(from->text, strlen(from->text)) : NULL;
    to->list.items = config_calloc(from->list.count, sizeof(char *));
    for (size_t i = 0; i < from->list.count; i++)
        to->list.items[i] = config_strndup(from->list.items[i], strlen(from->list.items[i]));
}

static struct config *overlay_new(const struct config *base)
{
    struct config *c = config_calloc(1, sizeof(*c));
    SL_ASSERT(base->finished && !base->below);
    for (int i = 0; i < CFG_KEY_COUNT; i++)
        value_copy(&c->values[i], &base->values[i]);
    memcpy(c->listeners, base->listeners, sizeof(c->listeners));
    memcpy(c->advertised, base->advertised, sizeof(c->advertised));
    c->listener_count = base->listener_count;
    c->advertised_count = base->advertised_count;
    c->below = base;
    c->finished = true;
    return c;
}

static void overlay_add(struct config *c, int layer, const struct cfg_pair *pairs, size_t n)
{
    char err[256];
    for (size_t i = 0; i < n; i++) {
        int k = cfg_key_find(pairs[i].key);
        struct cfg_value v;
        if (k < 0 || cfg_rows[k].update == CFG_READ_ONLY ||
            config_value_parse(&cfg_rows[k].spec, pairs[i].value, &v, err, sizeof(err)))
            continue;
        v.from = layer == CFG_LAYER_BROKER ? CFG_FROM_BROKER : CFG_FROM_CLUSTER;
        config_value_clear(&c->values[k]);
        c->values[k] = v;
        free(c->dynamic[layer][k]);
        c->dynamic[layer][k] = config_strndup(pairs[i].value, strlen(pairs[i].value));
    }
}

struct config *config_overlay(const struct config *base, const struct cfg_pair *cluster, size_t cluster_n,
                              const struct cfg_pair *broker, size_t broker_n)
{
    struct config *c = overlay_new(base);
    overlay_add(c, CFG_LAYER_CLUSTER, cluster, cluster_n);
    overlay_add(c, CFG_LAYER_BROKER, broker, broker_n);
    return c;
}

/* ---- what may be set -------------------------------------------------------------------------------------- */
/* Keys that can be set for one listener only. */
static const char per_listener[] =
    "ssl.key.password|ssl.keystore.certificate.chain|ssl.keystore.key|ssl.keystore.location|"
    "ssl.keystore.password|ssl.keystore.type|ssl.truststore.certificates|ssl.truststore.location|"
    "ssl.truststore.password|ssl.truststore.type";

static bool not_dynamic(const char *key)
{
    int k = cfg_key_find(key);
    return k >= 0 && cfg_rows[k].update == CFG_READ_ONLY;
}

static bool needs_listener(const char *key)
{
    return config_word_in(per_listener, key, false, NULL);
}

static bool needs_broker(const char *key)
{
    int k = cfg_key_find(key);
    return k >= 0 && cfg_rows[k].update == CFG_PER_BROKER;
}

/* "what: [a, b]" when a key is of a kind. */
static int refuse_keys(const struct cfg_pair *pairs, size_t n, bool (*kind)(const char *), const char *what,
                       char *err, size_t err_len)
{
    char names[512] = "";
    for (size_t i = 0; i < n; i++)
        if (kind(pairs[i].key)) {
            size_t len = strlen(names);
            snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "", pairs[i].key);
        }
    return names[0] ? config_fail(err, err_len, "%s: [%s]", what, names) : 0;
}

static int check_types(const struct cfg_pair *pairs, size_t n, char *err, size_t err_len)
{
    for (size_t i = 0; i < n; i++) {
        int k = cfg_key_find(config_base_key(pairs[i].key));
        struct cfg_value v;
        if (k < 0)
            continue;
        int rc = config_value_read(&cfg_rows[k].spec, pairs[i].value, &v, err, err_len);
        if (rc)
            return rc;
        config_value_clear(&v);
    }
    return 0;
}

/* Thread counts change by a factor of two at most. */
static int check_threads(const struct config *now, const struct config *next, char *err, size_t err_len)
{
    static const char *const keys[] = {"num.io.threads", "num.network.threads", "background.threads",
                                       "num.recovery.threads.per.data.dir", "num.replica.fetchers"};
    static const char *const tail = "for configuration Invalid dynamic configuration";
    static const char *const head = "Invalid value org.apache.kafka.common.config.ConfigException:";
    for (size_t i = 0; i < SL_ARRAY_LEN(keys); i++) {
        int k = cfg_key_find(keys[i]);
        SL_ASSERT(k >= 0);
        long long was = now->values[k].number, is = next->values[k].number;
        if (is * 2 < was || is > was * 2)
            return config_fail(
                err, err_len,
                "%s Dynamic thread count update validation failed for %s=%lld, value should %s "
                "the current value %lld %s",
                head, keys[i], is, is < was ? "be at least half" : "not be greater than double", was, tail);
    }
    int k = cfg_key_find("log.cleaner.threads");
    long long was = now->values[k].number, is = next->values[k].number;
    if (is * 2 < was)
        return config_fail(
            err, err_len,
            "%s Log cleaner threads cannot be reduced to less than half the current value %lld %s", head, was,
            tail);
    if (is > was * 2)
        return config_fail(err, err_len,
                           "%s Log cleaner threads cannot be increased to more than double the current value "
                           "%lld %s",
                           head, was, tail);
    return 0;
}

static const struct cfg_value *value_of(const struct config *c, const char *key)
{
    int k = cfg_key_find(key);
    SL_ASSERT(k >= 0);
    return &c->values[k];
}

/* What upstream requires of a whole configuration, of the keys that can change. */
static int check_whole(const struct config *next, char *err, size_t err_len)
{
    static const char *const kinds[] = {"consumer", "share", "streams"};
    const struct cfg_value *v = value_of(next, "log.retention.ms");
    if (v->text && v->number == 0)
        return config_fail(err, err_len,
                           "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or "
                           "equal to 1");
    v = value_of(next, "log.roll.ms");
    if (v->text && v->number < 1)
        return config_fail(err, err_len,
                           "requirement failed: log.roll.ms must be greater than or equal to 1");
    if (value_of(next, "log.cleaner.dedupe.buffer.size")->number /
            SL_MAX(value_of(next, "log.cleaner.threads")->number, INT64_C(1)) <=
        1 << 20)
        return config_fail(err, err_len,
                           "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per "
                           "cleaner thread.");
    for (size_t i = 0; i < SL_ARRAY_LEN(kinds); i++) {
        char key[64], most[64];
        snprintf(key, sizeof(key), "group.%s.assignment.interval.ms", kinds[i]);
        snprintf(most, sizeof(most), "group.%s.max.assignment.interval.ms", kinds[i]);
        if (value_of(next, key)->number > value_of(next, most)->number)
            return config_fail(err, err_len, "%s must be less than or equal to %s", key, most);
    }
    return 0;
}

static int check_overrides(const struct config *next, char *err, size_t err_len)
{
    for (const char *p = value_of(next, "max.connections.per.ip.overrides")->text; p && *p;) {
        size_t len = strcspn(p, ",");
        const char *colon = memchr(p, ':', len);
        if (!colon)
            return config_fail(
                err, err_len,
                "Error parsing configuration property 'max.connections.per.ip.overrides': begin "
                "0, end -1, length %zu",
                len);
        size_t digits = strspn(colon + 1, "0123456789");
        if (digits == 0 || colon + 1 + digits != p + len)
            return config_fail(err, err_len, "For input string: \"%.*s\"", (int)(p + len - colon - 1),
                               colon + 1);
        p += len + (p[len] == ',');
    }
    return 0;
}

/* Listeners open at the start only. */
static int check_listeners(const struct config *next, char *err, size_t err_len)
{
    static const char *const keys[] = {"listeners", "listener.security.protocol.map"};
    for (size_t i = 0; i < SL_ARRAY_LEN(keys); i++) {
        const struct cfg_value *was = value_of(next->below, keys[i]), *is = value_of(next, keys[i]);
        if (was->text && is->text && strcmp(was->text, is->text) != 0)
            return config_fail(err, err_len, "%s cannot change while this broker runs: it must be %s",
                               keys[i], was->text);
    }
    return 0;
}

/* The other layer of the configuration in force, as pairs. */
static size_t other_layer(const struct config *now, bool cluster, struct cfg_pair *out)
{
    size_t n = 0;
    int layer = cluster ? CFG_LAYER_BROKER : CFG_LAYER_CLUSTER;
    for (int k = 0; k < CFG_KEY_COUNT; k++)
        if (now->dynamic[layer][k])
            out[n++] = (struct cfg_pair){cfg_rows[k].spec.name, now->dynamic[layer][k]};
    return n;
}

int config_dynamic_check(const struct config *now, const struct cfg_pair *pairs, size_t n, bool cluster,
                         char *err, size_t err_len)
{
    struct cfg_pair other[CFG_KEY_COUNT];
    int rc = refuse_keys(pairs, n, not_dynamic, "Cannot update these configs dynamically", err, err_len);
    if (!rc)
        rc = refuse_keys(pairs, n, needs_listener,
                         "These security configs can be dynamically updated only per-listener using the "
                         "listener prefix",
                         err, err_len);
    if (!rc)
        rc = check_types(pairs, n, err, err_len);
    if (!rc && cluster)
        rc = refuse_keys(pairs, n, needs_broker,
                         "Cannot update these configs at default cluster level, broker id must be specified",
                         err, err_len);
    if (rc)
        return rc;
    size_t others = other_layer(now, cluster, other);
    const struct config *base = now->below ? now->below : now;
    struct config *next = cluster ? config_overlay(base, pairs, n, other, others)
                                  : config_overlay(base, other, others, pairs, n);
    rc = check_overrides(next, err, err_len);
    if (!rc)
        rc = check_whole(next, err, err_len);
    if (!rc)
        rc = check_threads(now, next, err, err_len);
    if (!rc)
        rc = check_listeners(next, err, err_len);
    config_free(next);
    return rc;
}
