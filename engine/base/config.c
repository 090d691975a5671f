/* A broker's configuration: filling it, checking what keys say together, reading it. */
#include "engine/base/config_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Keys that brokers before 4.3 had, often left in files; they are accepted so that an old file still starts.
 */
static const char *const retired_keys[] = {
    "advertised.host.name",
    "advertised.port",
    "auto.include.jmx.reporter",
    "broker.id.generation.enable",
    "control.plane.listener.name",
    "delegation.token.master.key",
    "eligible.leader.replicas.enable",
    "group.coordinator.new.enable",
    "host.name",
    "inter.broker.protocol.version",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "offsets.commit.required.acks",
    "port",
    "quota.consumer.default",
    "quota.producer.default",
    "reserved.broker.max.id",
    "unstable.metadata.versions.enable",
};

/* Keys that belong to a plugin, a single listener, or ZooKeeper. */
static const char *const foreign_prefixes[] = {
    "confluent.", "listener.name.", "password.encoder.", "rlmm.config.", "rsm.config.", "zookeeper.",
};

struct config *config_new(void)
{
    struct config *c = config_calloc(1, sizeof(*c));
    for (int i = 0; i < CFG_KEY_COUNT; i++) {
        const struct cfg_spec *s = &cfg_rows[i].spec;
        char err[256];
        if (s->fallback && config_value_parse(s, s->fallback, &c->values[i], err, sizeof(err)))
            sl_panic("config: default of %s", err);
    }
    return c;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (int i = 0; i < CFG_KEY_COUNT; i++) {
        config_value_clear(&c->values[i]);
        for (int layer = 0; layer < CFG_LAYERS; layer++)
            free(c->dynamic[layer][i]);
    }
    for (size_t i = 0; i < c->notice_count; i++)
        free(c->notices[i]);
    free(c->notices);
    free(c);
}

__attribute__((format(printf, 2, 3))) static void add_notice(struct config *c, const char *fmt, ...)
{
    char buf[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < c->notice_count; i++) {
        if (strcmp(c->notices[i], buf) == 0)
            return;
    }
    char **grown = realloc(c->notices, (c->notice_count + 1) * sizeof(char *));
    if (!grown)
        sl_panic("config: out of memory");
    c->notices = grown;
    c->notices[c->notice_count++] = config_strndup(buf, strlen(buf));
}

const char *config_notice(const struct config *c, size_t i)
{
    return i < c->notice_count ? c->notices[i] : NULL;
}

static bool is_foreign_key(const char *key)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(retired_keys); i++) {
        if (strcmp(key, retired_keys[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(foreign_prefixes); i++) {
        if (strncmp(key, foreign_prefixes[i], strlen(foreign_prefixes[i])) == 0)
            return true;
    }
    return false;
}

/* Number of single-character edits between a and b, or anything above `limit` when there are more. */
static size_t edit_distance(const char *a, const char *b, size_t limit)
{
    size_t row[128];
    size_t la = strlen(a), lb = strlen(b);
    if (la >= SL_ARRAY_LEN(row) || lb >= SL_ARRAY_LEN(row) || (la > lb ? la - lb : lb - la) > limit)
        return limit + 1;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t swap = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            size_t gap = SL_MIN(row[j], row[j - 1]) + 1;
            row[j] = SL_MIN(swap, gap);
        }
    }
    return row[lb];
}

static int unknown_key(const char *key, const char *value, char *err, size_t err_len)
{
    size_t best = 4;
    const char *near = NULL;
    for (int i = 0; i < CFG_KEY_COUNT; i++) {
        size_t d = edit_distance(key, cfg_rows[i].spec.name, 3);
        if (d < best) {
            best = d;
            near = cfg_rows[i].spec.name;
        }
    }
    if (near)
        config_fail(err, err_len, "%s=%s: unknown key; did you mean %s?", key, value, near);
    else
        config_fail(err, err_len, "%s=%s: unknown key", key, value);
    return -ENOENT;
}

int config_set(struct config *c, const char *key, const char *value, enum cfg_from from, char *err,
               size_t err_len)
{
    SL_ASSERT(!c->finished);
    int i = cfg_key_find(key);
    if (i < 0 && is_foreign_key(key)) {
        add_notice(c, "%s is not a key of this broker; it has no effect", key);
        return 0;
    }
    if (i < 0)
        return unknown_key(key, value, err, err_len);
    struct cfg_value v;
    int rc = config_value_parse(&cfg_rows[i].spec, value, &v, err, err_len);
    if (rc)
        return rc;
    v.from = from;
    struct cfg_value *slot = &c->values[i];
    if (from < slot->from) { /* a stronger source already spoke: checked, then dropped */
        config_value_clear(&v);
        return 0;
    }
    config_value_clear(slot);
    *slot = v;
    return 0;
}

int config_set_pair(struct config *c, const char *pair, enum cfg_from from, char *err, size_t err_len)
{
    const char *eq = strchr(pair, '=');
    if (!eq || eq == pair)
        return config_fail(err, err_len, "%s: must be key=value", pair);
    char *key = config_strndup(pair, (size_t)(eq - pair));
    int rc = config_set(c, key, eq + 1, from, err, err_len);
    free(key);
    return rc;
}

/* Gives `to` the value of `key`, as if it had been set from the same place. */
static void copy_value(struct config *c, enum cfg_key to, enum cfg_key key)
{
    char err[256];
    struct cfg_value v;
    if (config_value_parse(&cfg_rows[to].spec, c->values[key].text, &v, err, sizeof(err)))
        sl_panic("config: %s", err);
    v.from = c->values[key].from;
    config_value_clear(&c->values[to]);
    c->values[to] = v;
}

static bool is_set(const struct config *c, enum cfg_key key)
{
    return c->values[key].from != CFG_FROM_DEFAULT;
}

static int finish_identity(struct config *c, char *err, size_t err_len)
{
    const struct cfg_value *id = &c->values[CFG_BROKER_ID], *node = &c->values[CFG_NODE_ID];
    const struct cfg_list *roles = &c->values[CFG_PROCESS_ROLES].list;
    if (roles->count != 2)
        return config_fail(
            err, err_len,
            "process.roles=%s: only a broker with its embedded controller is served: broker,controller",
            c->values[CFG_PROCESS_ROLES].text);
    if (is_set(c, CFG_BROKER_ID) && id->number >= 0 && !is_set(c, CFG_NODE_ID))
        copy_value(c, CFG_NODE_ID, CFG_BROKER_ID);
    else if (is_set(c, CFG_NODE_ID) && !is_set(c, CFG_BROKER_ID))
        copy_value(c, CFG_BROKER_ID, CFG_NODE_ID); /* as upstream shows it */
    else if (is_set(c, CFG_BROKER_ID) && id->number >= 0 && id->number != node->number)
        return config_fail(err, err_len, "broker.id=%s: must equal node.id=%s when both are set", id->text,
                           node->text);
    return 0;
}

static void finish_dirs(struct config *c)
{
    if (!is_set(c, CFG_LOG_DIRS) && is_set(c, CFG_LOG_DIR))
        copy_value(c, CFG_LOG_DIRS, CFG_LOG_DIR);
    if (!c->values[CFG_METADATA_LOG_DIR].text) {
        const char *first = c->values[CFG_LOG_DIRS].list.items[0];
        c->values[CFG_METADATA_LOG_DIR].text = config_strndup(first, strlen(first));
    }
}

int config_finish(struct config *c, char *err, size_t err_len)
{
    SL_ASSERT(!c->finished);
    int rc = finish_identity(c, err, err_len);
    if (rc == 0)
        rc = config_finish_checks(c, err, err_len);
    if (rc == 0)
        rc = config_finish_listeners(c, err, err_len);
    if (rc == 0)
        rc = config_finish_quorum(c, err, err_len);
    if (rc)
        return rc;
    finish_dirs(c);
    for (int i = 0; i < CFG_KEY_COUNT; i++) {
        if (is_set(c, i) && cfg_rows[i].spec.meaning == CFG_ACCEPTED)
            add_notice(c, "%s has no effect here: %s", cfg_rows[i].spec.name, cfg_rows[i].spec.doc);
    }
    c->finished = true;
    return 0;
}

static const struct cfg_value *read_value(const struct config *c, enum cfg_key key)
{
    SL_ASSERT(c->finished);
    SL_ASSERT((unsigned)key < CFG_KEY_COUNT);
    return &c->values[key];
}

bool cfg_bool(const struct config *c, enum cfg_key key)
{
    const struct cfg_value *v = read_value(c, key);
    SL_ASSERT(cfg_rows[key].spec.type == CFG_BOOLEAN && v->text);
    return v->number != 0;
}

int64_t cfg_int(const struct config *c, enum cfg_key key)
{
    const struct cfg_value *v = read_value(c, key);
    enum cfg_type t = cfg_rows[key].spec.type;
    SL_ASSERT((t == CFG_INT || t == CFG_SHORT || t == CFG_LONG) && v->text);
    return v->number;
}

double cfg_double(const struct config *c, enum cfg_key key)
{
    const struct cfg_value *v = read_value(c, key);
    SL_ASSERT(cfg_rows[key].spec.type == CFG_DOUBLE && v->text);
    return v->real;
}

const char *cfg_str(const struct config *c, enum cfg_key key)
{
    const struct cfg_value *v = read_value(c, key);
    enum cfg_type t = cfg_rows[key].spec.type;
    SL_ASSERT(t == CFG_STRING || t == CFG_CLASS || t == CFG_PASSWORD);
    return v->text;
}

const struct cfg_list *cfg_list(const struct config *c, enum cfg_key key)
{
    const struct cfg_value *v = read_value(c, key);
    SL_ASSERT(cfg_rows[key].spec.type == CFG_LIST);
    return &v->list;
}

bool cfg_is_null(const struct config *c, enum cfg_key key)
{
    return read_value(c, key)->text == NULL;
}

enum cfg_from cfg_value_from(const struct config *c, enum cfg_key key)
{
    return read_value(c, key)->from;
}

const struct cfg_listener *cfg_listeners(const struct config *c, size_t *count)
{
    SL_ASSERT(c->finished);
    *count = c->listener_count;
    return c->listeners;
}

const struct cfg_listener *cfg_advertised(const struct config *c, size_t *count)
{
    SL_ASSERT(c->finished);
    *count = c->advertised_count;
    return c->advertised;
}
