// Altering client quotas, as upstream's ClientQuotaControlManager does it (KIP-546): the same checks, the same words.
#include "engine/meta/meta_private.h"

#include "proto/gen/client_quota_record.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    USER_KEYS = 1 << META_QUOTA_PRODUCE | 1 << META_QUOTA_CONSUME | 1 << META_QUOTA_REQUEST |
                1 << META_QUOTA_MUTATIONS,
    IP_KEYS = 1 << META_QUOTA_CONNECTIONS
};

__attribute__((format(printf, 2, 3))) static int16_t refuse(struct meta_quota_entry *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof(e->message), fmt, ap);
    va_end(ap);
    return e->error = KERR_INVALID_REQUEST;
}

static bool is_address(const char *s)
{
    struct in6_addr a;
    return inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1 || !strcmp(s, "localhost");
}

// The entity in the form in which it is kept; of a type that comes twice the last counts.
static int16_t read_entity(struct meta_quota_entry *e, struct meta_quota *out)
{
    *out = (struct meta_quota){0};
    if (!e->entity_n)
        return refuse(e, "Invalid empty client quota entity");
    for (uint32_t i = 0; i < e->entity_n; i++) {
        int t = 0;
        while (t < META_QUOTA_TYPES && strcmp(meta_quota_types[t], e->entity[i].type) != 0)
            t++;
        if (t == META_QUOTA_TYPES)
            return refuse(e, "Unhandled client quota entity type: %s", e->entity[i].type);
        if (e->entity[i].name && !e->entity[i].name[0])
            return refuse(e, "Empty %s not supported", e->entity[i].type);
        out->has[t] = true;
        out->names[t] = e->entity[i].name;
    }
    if (out->has[META_QUOTA_IP] && (out->has[META_QUOTA_USER] || out->has[META_QUOTA_CLIENT]))
        return refuse(
            e, "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId");
    if (out->names[META_QUOTA_IP] && !is_address(out->names[META_QUOTA_IP]))
        return refuse(e, "%s is not a valid IP or resolvable host.", out->names[META_QUOTA_IP]);
    size_t bytes = 2 * META_QUOTA_TYPES;
    for (int t = 0; t < META_QUOTA_TYPES; t++)
        bytes += out->names[t] ? strlen(out->names[t]) : 0;
    return bytes < QUOTA_KEY_MAX ? KERR_NONE
                                 : refuse(e, "The entity's names are longer than %d bytes.", QUOTA_KEY_MAX);
}

static int key_index(const struct meta_quota *entity, const char *key)
{
    uint32_t allowed = entity->has[META_QUOTA_IP] ? IP_KEYS : USER_KEYS;
    for (int i = 0; i < META_QUOTA_KEYS; i++)
        if (!strcmp(meta_quota_keys[i], key))
            return allowed & 1u << i ? i : -1;
    return -1;
}

static int16_t check_value(struct meta_quota_entry *e, int key, double v)
{
    bool real = key == META_QUOTA_REQUEST || key == META_QUOTA_MUTATIONS,
         small = key == META_QUOTA_CONNECTIONS;
    const char *name = meta_quota_keys[key];
    if (!(v > 0))
        return refuse(e, "Quota %s must be greater than 0", name);
    if (real)
        return isfinite(v) ? KERR_NONE : refuse(e, "Quota %s must be a number", name);
    if (v > (small ? (double)INT32_MAX : 9223372036854775807.0))
        return refuse(e, "Proposed value for %s is too large for %s.", name, small ? "an INT" : "a LONG");
    if (fabs(v - floor(v + 0.5)) > 1e-6)
        return refuse(e, "%s cannot be a fractional value.", name);
    return KERR_NONE;
}

static void add_record(struct recs *rs, const struct meta_quota_entry *e, const struct meta_quota_op *op)
{
    struct kp_client_quota_record r = {
        .key = kp_str_of(op->key), .value = op->remove ? 0 : op->value, .remove = op->remove};
    r.entity = arena_array(&rs->arena, e->entity_n, sizeof(*r.entity));
    if (!r.entity) {
        rs->rc = -ENOMEM;
        return;
    }
    for (uint32_t i = 0; i < e->entity_n; i++)
        r.entity[r.entity_n++] = (struct kp_client_quota_record_entity_data){
            .entity_type = kp_str_of(e->entity[i].type), .entity_name = kp_str_of(e->entity[i].name)};
    recs_add(rs, REC_CLIENT_QUOTA, 0, &r);
}

static int16_t check_ops(struct meta_quota_entry *e, const struct meta_quota *entity)
{
    for (uint32_t i = 0; i < e->ops_n; i++) {
        int key = key_index(entity, e->ops[i].key);
        if (key < 0)
            return refuse(e, "Invalid configuration key %s", e->ops[i].key);
        if (!e->ops[i].remove && check_value(e, key, e->ops[i].value))
            return e->error;
    }
    return KERR_NONE;
}

static void alter_one(struct meta *m, const struct meta_alter_quotas *a, struct meta_quota_entry *e,
                      struct recs *rs)
{
    struct meta_quota entity;
    if (read_entity(e, &entity) || check_ops(e, &entity) || a->validate_only)
        return;
    const struct meta_quota *now = settings_quota(m, &entity);
    for (uint32_t i = 0; i < e->ops_n; i++) {
        int key = key_index(&entity, e->ops[i].key);
        bool set = now && now->set & 1u << key;
        if (e->ops[i].remove ? set : !set || now->values[key] != e->ops[i].value)
            add_record(rs, e, &e->ops[i]);
    }
}

void op_alter_quotas(struct meta *m, struct meta_alter_quotas *a)
{
    struct recs rs;
    recs_init(&rs);
    for (uint32_t i = 0; i < a->n; i++) {
        struct meta_quota_entry *e = &a->entries[i];
        e->error = KERR_NONE;
        e->message[0] = 0;
        if (m->stopping) {
            refuse(e, "The broker is stopping.");
            e->error = KERR_NOT_CONTROLLER;
        } else {
            alter_one(m, a, e, &rs);
        }
    }
    if (rs.n || rs.rc) {
        int rc = meta_append(m, &rs, true);
        for (uint32_t i = 0; i < a->n && rc; i++)
            if (!a->entries[i].error) {
                refuse(&a->entries[i], "The metadata log could not be written.");
                a->entries[i].error = meta_error_of(rc);
            }
        if (!rc)
            meta_publish(m);
    }
    recs_free(&rs);
}
