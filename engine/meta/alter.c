// Altering configurations, as upstream's ConfigAdminManager and ConfigurationControlManager do it: the same order of
// checks, the same errors, the same words. A resource is altered whole or not at all; one that is refused does not keep
// the others from it.
#include "engine/meta/meta_private.h"

#include "proto/gen/clear_elr_record.h"
#include "proto/gen/config_record.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUE_MAX = 32767 };
#define MIN_ISR "min.insync.replicas"

// One resource on its way: what is set now, and what is to be set. Strings are the request's, the state's or the
// records' arena's.
struct change {
    struct meta *m;
    struct meta_alter_resource *r;
    const struct meta_config_entry *was;
    uint32_t was_n;
    struct cfg_pair *now;
    size_t now_n;
    struct topic_state *topic;
    struct arena *arena;
};

__attribute__((format(printf, 3, 4))) static int16_t refuse(struct meta_alter_resource *r, int16_t error,
                                                            const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->message, sizeof(r->message), fmt, ap);
    va_end(ap);
    return r->error = error;
}

// ---- the request by itself ----------------------------------------------------------------------------------
static int16_t check_entries(struct meta_alter_resource *r)
{
    char nulls[256] = "";
    for (uint32_t i = 0; i < r->entries_n; i++)
        for (uint32_t k = i + 1; k < r->entries_n; k++)
            if (!strcmp(r->entries[i].key, r->entries[k].key))
                return refuse(r, KERR_INVALID_REQUEST, "Error due to duplicate config keys");
    for (uint32_t i = 0; i < r->entries_n; i++)
        if (!r->entries[i].value && r->entries[i].op != META_DELETE) {
            size_t n = strlen(nulls);
            snprintf(nulls + n, sizeof(nulls) - n, "%s%s", n ? ", " : "", r->entries[i].key);
        }
    if (nulls[0])
        return refuse(r, KERR_INVALID_REQUEST, "Null value not supported for : %s", nulls);
    return KERR_NONE;
}

static int16_t check_length(struct meta_alter_resource *r)
{
    if (strlen(r->name) > RESOURCE_NAME_MAX)
        return refuse(r, KERR_INVALID_REQUEST, "The name has %zu bytes; at most %d are allowed.",
                      strlen(r->name), RESOURCE_NAME_MAX);
    return KERR_NONE;
}

static int16_t check_broker_name(const struct meta *m, struct meta_alter_resource *r)
{
    char *end;
    if (!r->name[0])
        return KERR_NONE;
    errno = 0;
    long id = strtol(r->name, &end, 10);
    if (end == r->name || *end || errno || id < INT32_MIN || id > INT32_MAX)
        return refuse(r, KERR_INVALID_REQUEST, "Node id must be an integer, but it is: %s", r->name);
    if (id != m->id.node_id)
        return refuse(r, KERR_INVALID_REQUEST, "Unexpected broker id, expected %d, but received %s",
                      m->id.node_id, r->name);
    return check_length(r);
}

static int16_t check_kind(const struct meta *m, struct meta_alter_resource *r)
{
    switch (r->type) {
    case META_RES_BROKER:
        return check_broker_name(m, r);
    case META_RES_TOPIC:
    case META_RES_GROUP:
    case META_RES_METRICS:
        return KERR_NONE;
    default:
        return refuse(r, KERR_INVALID_REQUEST, "Unknown resource type %d", r->type);
    }
}

// ---- what it comes to ----------------------------------------------------------------------------------------
static void load_current(struct change *c)
{
    struct meta_alter_resource *r = c->r;
    if (r->type == META_RES_TOPIC) {
        c->topic = state_find_name(c->m, r->name, strlen(r->name));
        if (!c->topic)
            return;
        SL_ASSERT(!c->topic->draft && c->topic->frozen);
        c->was = c->topic->frozen->configs;
        c->was_n = c->topic->frozen->configs_n;
        return;
    }
    struct resource_state *s = settings_find(c->m, r->type, r->name, strlen(r->name));
    c->was = s ? s->v : NULL;
    c->was_n = s ? s->n : 0;
}

static const char *current(const struct change *c, const char *key)
{
    for (uint32_t i = 0; i < c->was_n; i++)
        if (!strcmp(c->was[i].key, key))
            return c->was[i].value;
    return NULL;
}

// What a list holds when nothing is set of it.
static const char *unset_list(const struct change *c, const char *key, bool *is_list)
{
    const char *text = NULL;
    if (c->r->type == META_RES_TOPIC) {
        int k = topic_key_find(key);
        struct cfg_view v;
        if (k >= 0)
            topic_config_view(c->m->cfg, (enum topic_key)k, NULL, &v);
        *is_list = k >= 0 && v.type == CFG_LIST;
        return *is_list && v.value ? arena_strndup(c->arena, v.value, strlen(v.value)) : NULL;
    }
    if (c->r->type == META_RES_BROKER) {
        *is_list = config_is_list(key);
        return *is_list && !config_static_text(c->m->cfg, key, &text) ? text : NULL;
    }
    *is_list = c->r->type == META_RES_GROUP && config_resource_is_list(CFG_RESOURCE_GROUP, key);
    return NULL;
}

static bool in_list(const char *list, const char *item, size_t n)
{
    for (const char *p = list; p && *p;) {
        size_t len = strcspn(p, ",");
        if (len == n && !memcmp(p, item, n))
            return true;
        p += len + (p[len] == ',');
    }
    return false;
}

static void add_item(char *list, const char *item, size_t n)
{
    size_t at = strlen(list);
    if (at)
        list[at++] = ',';
    memcpy(list + at, item, n);
    list[at + n] = 0;
}

// `list` with the items of `more` added, or without them.
static const char *edit_list(struct change *c, const char *list, const char *more, bool append)
{
    char *out = arena_zalloc(c->arena, strlen(list) + strlen(more) + 2);
    const char *from = list;
    for (int pass = 0; out && pass < (append ? 2 : 1); pass++, from = more)
        for (const char *p = from; *p;) {
            size_t n = strcspn(p, ",");
            bool skip = append ? pass == 1 && in_list(out, p, n) : in_list(more, p, n);
            if (!skip)
                add_item(out, p, n);
            p += n + (p[n] == ',');
        }
    return out;
}

static void put(struct change *c, const char *key, const char *value)
{
    size_t i = 0;
    while (i < c->now_n && strcmp(c->now[i].key, key) != 0)
        i++;
    if (!value && i < c->now_n)
        c->now[i] = c->now[--c->now_n];
    else if (value)
        c->now[i] = (struct cfg_pair){key, value};
    c->now_n += value && i == c->now_n;
}

static int16_t apply_entry(struct change *c, const struct meta_alter_entry *e)
{
    bool is_list = false;
    const char *value = e->value;
    if (e->op < META_SET || e->op > META_SUBTRACT) {
        if (c->r->type == META_RES_BROKER)
            return refuse(c->r, KERR_INVALID_REQUEST, "Unknown operations type %d", e->op);
        c->r->message[0] = 0;
        return c->r->error = KERR_UNKNOWN_SERVER_ERROR; // as upstream has it
    }
    if (e->op == META_APPEND || e->op == META_SUBTRACT) {
        const char *list = unset_list(c, e->key, &is_list);
        if (!is_list)
            return refuse(c->r, KERR_INVALID_CONFIG, "Can't %s to key %s because its type is not LIST.",
                          e->op == META_APPEND ? "APPEND" : "SUBTRACT", e->key);
        const char *own = current(c, e->key);
        value = edit_list(c, own ? own : list ? list : "", e->value, e->op == META_APPEND);
        if (!value)
            return refuse(c->r, KERR_UNKNOWN_SERVER_ERROR, "out of memory");
    }
    if (value && strlen(value) > VALUE_MAX)
        return refuse(
            c->r, KERR_INVALID_CONFIG,
            "The configuration value cannot be added because it exceeds the maximum value size of %d "
            "bytes.",
            VALUE_MAX);
    put(c, e->key, e->op == META_DELETE ? NULL : value);
    return KERR_NONE;
}

static int16_t work_out(struct change *c, bool incremental)
{
    c->now = arena_array(c->arena, c->was_n + c->r->entries_n + 1u, sizeof(*c->now));
    if (!c->now)
        return refuse(c->r, KERR_UNKNOWN_SERVER_ERROR, "out of memory");
    for (uint32_t i = 0; i < c->was_n && incremental; i++)
        c->now[c->now_n++] = (struct cfg_pair){c->was[i].key, c->was[i].value};
    for (uint32_t i = 0; i < c->r->entries_n && !c->r->error; i++)
        apply_entry(c, &c->r->entries[i]);
    return c->r->error;
}

// ---- whether it may be -----------------------------------------------------------------------------------------
static int16_t check_topic(struct change *c)
{
    struct meta_alter_resource *r = c->r;
    struct topic_config tc;
    if (!r->name[0])
        return refuse(r, KERR_INVALID_REQUEST, "Default topic resources are not allowed.");
    r->error = topic_name_form(r->name, (int32_t)strlen(r->name), r->message, sizeof(r->message));
    if (r->error)
        return r->error;
    meta_resolve_config(c->m, NULL, 0, "", &tc);
    for (size_t i = 0; i < c->now_n; i++)
        if (topic_config_set(&tc, c->now[i].key, c->now[i].value, r->message, sizeof(r->message)))
            return r->error = KERR_INVALID_CONFIG;
    if (topic_config_check(&tc, r->message, sizeof(r->message)))
        return r->error = KERR_INVALID_CONFIG;
    r->message[0] = 0;
    if (!c->topic)
        return refuse(r, KERR_UNKNOWN_TOPIC_OR_PARTITION, "The topic '%s' does not exist.", r->name);
    return KERR_NONE;
}

// With eligible leader replicas, the cluster's min.insync.replicas is the one that counts (KIP-966).
static int16_t check_elr(struct change *c)
{
    bool had = current(c, MIN_ISR) != NULL, has = false, touched = false;
    for (size_t i = 0; i < c->now_n; i++)
        has |= !strcmp(c->now[i].key, MIN_ISR);
    for (uint32_t i = 0; i < c->r->entries_n; i++)
        touched |= !strcmp(c->r->entries[i].key, MIN_ISR);
    if (state_feature(c->m, "eligible.leader.replicas.version") <= 0)
        return KERR_NONE;
    if (!c->r->name[0] && !has && (had || touched))
        return refuse(c->r, KERR_INVALID_CONFIG,
                      "Cluster-level " MIN_ISR " cannot be removed while ELR is enabled.");
    if (c->r->name[0] && touched)
        return refuse(c->r, KERR_INVALID_CONFIG,
                      "Broker-level " MIN_ISR " cannot be altered while ELR is enabled.");
    return KERR_NONE;
}

static int16_t check_broker(struct change *c)
{
    struct meta_alter_resource *r = c->r;
    char text[META_MESSAGE_MAX];
    if (config_dynamic_check(c->m->settings->config, c->now, c->now_n, !r->name[0], text, sizeof(text)))
        return refuse(r, KERR_INVALID_REQUEST, "%s", text);
    return check_elr(c);
}

static int16_t check_other(struct change *c)
{
    struct meta_alter_resource *r = c->r;
    bool group = r->type == META_RES_GROUP;
    char text[META_MESSAGE_MAX];
    if (!r->name[0])
        return refuse(r, KERR_INVALID_REQUEST,
                      group ? "Default group resources are not allowed."
                            : "Subscription name can't be empty");
    if (check_length(r))
        return r->error;
    int rc = config_resource_check(group ? CFG_RESOURCE_GROUP : CFG_RESOURCE_METRICS, c->m->settings->config,
                                   c->now, c->now_n, text, sizeof(text));
    return rc ? refuse(r, rc == -EBADRQC ? KERR_INVALID_REQUEST : KERR_INVALID_CONFIG, "%s", text)
              : KERR_NONE;
}

static int16_t check_change(struct change *c)
{
    return c->r->type == META_RES_TOPIC    ? check_topic(c)
           : c->r->type == META_RES_BROKER ? check_broker(c)
                                           : check_other(c);
}

// ---- records -----------------------------------------------------------------------------------------------------
static void add_record(struct change *c, struct recs *rs, const char *key, const char *value)
{
    struct kp_config_record r = {.resource_type = c->r->type,
                                 .resource_name = kp_str_of(c->r->name),
                                 .name = kp_str_of(key),
                                 .value = kp_str_of(value)};
    recs_add(rs, REC_CONFIG, 0, &r);
    if (strcmp(key, MIN_ISR) != 0 || state_feature(c->m, "eligible.leader.replicas.version") <= 0)
        return;
    struct kp_clear_elr_record e = {.topic_name =
                                        c->r->type == META_RES_TOPIC ? r.resource_name : KP_STR_LIT("")};
    recs_add(rs, REC_CLEAR_ELR, 0, &e);
}

static void add_records(struct change *c, struct recs *rs)
{
    for (uint32_t i = 0; i < c->was_n; i++) {
        size_t k = 0;
        while (k < c->now_n && strcmp(c->now[k].key, c->was[i].key) != 0)
            k++;
        if (k == c->now_n)
            add_record(c, rs, c->was[i].key, NULL);
    }
    for (size_t i = 0; i < c->now_n; i++) {
        const char *old = current(c, c->now[i].key);
        if (!old || strcmp(old, c->now[i].value) != 0)
            add_record(c, rs, c->now[i].key, c->now[i].value);
    }
}

static void alter_one(struct meta *m, const struct meta_alter *a, struct meta_alter_resource *r,
                      struct recs *rs)
{
    struct change c = {.m = m, .r = r, .arena = &rs->arena};
    if (check_entries(r) || check_kind(m, r))
        return;
    load_current(&c);
    if (work_out(&c, a->incremental) || check_change(&c) || a->validate_only)
        return;
    add_records(&c, rs);
}

static void mark_repeated(struct meta_alter *a)
{
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = i + 1; k < a->n; k++)
            if (a->resources[i].type == a->resources[k].type &&
                !strcmp(a->resources[i].name, a->resources[k].name)) {
                refuse(&a->resources[i], KERR_INVALID_REQUEST, "Each resource must appear at most once.");
                refuse(&a->resources[k], KERR_INVALID_REQUEST, "Each resource must appear at most once.");
            }
}

void op_alter_configs(struct meta *m, struct meta_alter *a)
{
    struct recs rs;
    recs_init(&rs);
    for (uint32_t i = 0; i < a->n; i++) {
        a->resources[i].error = KERR_NONE;
        a->resources[i].message[0] = 0;
        if (m->stopping)
            refuse(&a->resources[i], KERR_NOT_CONTROLLER, "The broker is stopping.");
    }
    mark_repeated(a);
    for (uint32_t i = 0; i < a->n; i++)
        if (!a->resources[i].error)
            alter_one(m, a, &a->resources[i], &rs);
    if (rs.n || rs.rc) {
        int rc = meta_append(m, &rs, true);
        for (uint32_t i = 0; i < a->n && rc; i++)
            if (!a->resources[i].error)
                refuse(&a->resources[i], meta_error_of(rc), "The metadata log could not be written.");
        if (!rc)
            meta_publish(m);
    }
    recs_free(&rs);
}
