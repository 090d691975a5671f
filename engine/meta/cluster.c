// Feature levels and broker registrations, as clients change them: upstream's FeatureControlManager and
// ClusterControlManager as far as one node goes.
#include "engine/meta/meta_private.h"

#include "proto/gen/feature_level_record.h"
#include "proto/gen/unregister_broker_record.h"

#include <stdarg.h>
#include <stdio.h>

enum { UPGRADE = 1, SAFE_DOWNGRADE = 2, UNSAFE_DOWNGRADE = 3 };

__attribute__((format(printf, 3, 4))) static int16_t
refuse(struct meta_update_features *u, const struct meta_feature_update *f, const char *fmt, ...)
{
    char why[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    snprintf(u->message, sizeof(u->message),
             "The update failed for all features since the following feature had an error: Invalid update "
             "version %d "
             "for feature %s. %s",
             f->level, f->name, why);
    return u->error = KERR_INVALID_UPDATE_VERSION;
}

static const struct meta_supported *find_feature(const char *name)
{
    for (uint32_t i = 0; i < meta_supported_n; i++)
        if (!strcmp(meta_supported[i].name, name))
            return &meta_supported[i];
    return NULL;
}

static int16_t check_one(struct meta *m, struct meta_update_features *u, const struct meta_feature_update *f)
{
    const struct meta_supported *s = find_feature(f->name);
    int16_t now = s && !strcmp(f->name, "kraft.version") ? m->kraft_version : state_feature(m, f->name);
    int16_t max = s ? SL_MAX(s->max, now) : 0; // a level that the directory came with stays
    if (f->type < UPGRADE || f->type > UNSAFE_DOWNGRADE)
        return refuse(u, f, "The controller does not support the given upgrade type.");
    if (f->level < 0)
        return refuse(u, f, "A feature version cannot be less than 0.");
    if (!s || max <= 0)
        return refuse(u, f, "Local controller %d does not support this feature.", m->id.node_id);
    if (f->level < s->min || f->level > max)
        return refuse(u, f, "Local controller %d only supports versions %d-%d", m->id.node_id, s->min, max);
    if (f->level < now && f->type == UPGRADE)
        return refuse(
            u, f,
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or "
            "unsafe downgrade.");
    if (f->level < now)
        return refuse(u, f, "This controller keeps feature levels; it cannot go back from %d.", now);
    if (f->level > now && f->type != UPGRADE)
        return refuse(u, f, "Can't downgrade to a newer version.");
    if (f->level > now && !strcmp(f->name, "kraft.version"))
        return refuse(u, f, "This controller cannot raise the version of the quorum's protocol.");
    return KERR_NONE;
}

void op_update_features(struct meta *m, struct meta_update_features *u)
{
    struct recs rs;
    recs_init(&rs);
    u->error = m->stopping ? KERR_NOT_CONTROLLER : KERR_NONE;
    u->message[0] = 0;
    for (uint32_t i = 0; i < u->n && !u->error; i++) {
        const struct meta_feature_update *f = &u->updates[i];
        struct kp_feature_level_record r = {.name = kp_str_of(f->name), .feature_level = f->level};
        if (!check_one(m, u, f) && strcmp(f->name, "kraft.version") != 0 &&
            state_feature(m, f->name) != f->level)
            recs_add(&rs, REC_FEATURE_LEVEL, 0, &r);
    }
    if (!u->error && !u->validate_only && (rs.n || rs.rc)) {
        u->error = meta_error_of(meta_append(m, &rs, true));
        if (!u->error)
            meta_publish(m);
    }
    recs_free(&rs);
}

void op_unregister_broker(struct meta *m, struct meta_unregister *u)
{
    struct broker_state *b = state_broker(m, u->id);
    struct kp_unregister_broker_record r = {.broker_id = u->id, .broker_epoch = b ? b->b.epoch : 0};
    struct recs rs;
    u->error = m->stopping ? KERR_NOT_CONTROLLER : !b ? KERR_BROKER_ID_NOT_REGISTERED : KERR_NONE;
    snprintf(u->message, sizeof(u->message), "Broker ID %d is not currently registered", u->id);
    if (!u->error && u->id == m->id.node_id) {
        snprintf(u->message, sizeof(u->message), "Broker ID %d is the controller itself, and serves.", u->id);
        u->error = KERR_INVALID_REQUEST;
    }
    if (u->error)
        return;
    recs_init(&rs);
    recs_add(&rs, REC_UNREGISTER_BROKER, 0, &r);
    u->error = meta_error_of(meta_append(m, &rs, true));
    if (!u->error)
        meta_publish(m);
    recs_free(&rs);
}
