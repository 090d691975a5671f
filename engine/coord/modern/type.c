// The consumer protocol as a kind of group (group.h): what commits, listings and sweeps ask of it; its settings.
#include "engine/coord/modern/modern_private.h"

#include "engine/base/canary.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- settings --------------------------------------------------------------------------------------------------------
static void read_assignors(const struct config *cfg, struct cg_settings *out)
{
    const struct cfg_list *l = cfg_list(cfg, CFG_GROUP_CONSUMER_ASSIGNORS);
    for (size_t i = 0; i < l->count && out->assignors_n < CG_ASSIGNORS; i++) {
        int a = cg_assignor_find(kp_str_of(l->items[i]));
        if (a >= 0)
            out->assignors[out->assignors_n++] = (enum cg_assignor)a;
    }
    if (!out->assignors_n)
        out->assignors[out->assignors_n++] = CG_UNIFORM;
}

static unsigned migration(const char *policy)
{
    static const struct {
        const char *name;
        unsigned bits;
    } policies[] = {{"disabled", 0},
                    {"upgrade", CG_MAY_UPGRADE},
                    {"downgrade", CG_MAY_DOWNGRADE},
                    {"bidirectional", CG_MAY_UPGRADE | CG_MAY_DOWNGRADE}};
    for (size_t i = 0; i < SL_ARRAY_LEN(policies); i++)
        if (!strcasecmp(policies[i].name, policy))
            return policies[i].bits;
    return 0;
}

// What the group itself has set, else the broker's. What can be set was checked when it was (config_resource_check).
static int32_t own_or(const struct groups_env *env, const char *group, const char *key, int64_t broker)
{
    const char *text = env->topics->group_config ? env->topics->group_config(env->r, group, key) : NULL;
    char *rest = NULL;
    long long v = text ? strtoll(text, &rest, 10) : 0;
    bool good = text && rest != text && !*rest && v >= 0 && v <= INT32_MAX;
    return (int32_t)(good ? v : broker);
}

void cg_settings_of(const struct groups *gs, const char *group, struct cg_settings *out)
{
    const struct groups_env *env = gs->env;
    const struct config *now = env->topics->config ? env->topics->config(env->r) : NULL;
    const struct config *cfg = now ? now : env->set.cfg;
    *out = (struct cg_settings){
        .session_ms = own_or(env, group, "consumer.session.timeout.ms",
                             cfg_int(cfg, CFG_GROUP_CONSUMER_SESSION_TIMEOUT_MS)),
        .heartbeat_ms = own_or(env, group, "consumer.heartbeat.interval.ms",
                               cfg_int(cfg, CFG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS)),
        .assignment_ms = own_or(env, group, "consumer.assignment.interval.ms",
                                cfg_int(cfg, CFG_GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS)),
        .regex_refresh_ms = (int32_t)cfg_int(cfg, CFG_GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS),
        .max_size = (uint32_t)cfg_int(cfg, CFG_GROUP_CONSUMER_MAX_SIZE),
        .classic_max_size = gs->env->set.max_size,
        .migration = migration(cfg_str(cfg, CFG_GROUP_CONSUMER_MIGRATION_POLICY)),
    };
    read_assignors(cfg, out);
}

// ---- the kind --------------------------------------------------------------------------------------------------------
static const char *state_name(const struct group *g)
{
    return cg_state_name(cg_state_of(cg_of(g)));
}

static struct kp_str protocol_type(const struct group *g)
{
    return KP_STR_LIT("consumer");
}

static bool is_empty(const struct group *g)
{
    return cg_of(g)->joined_n == 0;
}

static bool is_subscribed(const struct group *g, struct kp_str topic)
{
    return cg_subscribed_to(cg_of(g), topic);
}

static enum group_expiry expiry(const struct group *g, int64_t *since)
{
    return GROUP_EXPIRY_COMMIT;
}

static int16_t wrong_epoch(const struct cg_member *m)
{
    return m->meta.classic ? KERR_ILLEGAL_GENERATION : KERR_STALE_MEMBER_EPOCH;
}

// From this version on, OffsetCommit knows member epochs.
enum { COMMIT_EPOCHS_SINCE = 9 };

static int16_t check_commit(struct groups *gs, struct group *g, const struct group_claim *c)
{
    const struct cg *cg = cg_of(g);
    if ((c->epoch < 0 && !cg->joined_n) || SL_CANARY(COORD_NO_EPOCH_FENCE))
        return KERR_NONE;
    if (c->transactional && c->epoch == -1 && c->member_id.n <= 0 && c->instance_id.n < 0)
        return KERR_NONE;
    const struct cg_member *m = cg_find(cg, c->member_id);
    if (!m)
        return KERR_UNKNOWN_MEMBER_ID;
    if (!c->transactional && !m->meta.classic && c->version < COMMIT_EPOCHS_SINCE)
        return KERR_UNSUPPORTED_VERSION;
    return c->epoch > m->at.epoch ? wrong_epoch(m) : KERR_NONE;
}

static int16_t check_commit_part(struct groups *gs, struct group *g, const struct group_claim *c,
                                 const struct sl_uuid *topic_id, struct kp_str topic, int32_t partition)
{
    const struct cg_member *m = cg_find(cg_of(g), c->member_id);
    struct sl_uuid id = *topic_id;
    struct coord_topic t;
    if (!m || c->epoch >= m->at.epoch || SL_CANARY(COORD_NO_EPOCH_FENCE))
        return KERR_NONE; // checked for all partitions at once
    if (sl_uuid_is_zero(&id) && gs->env->topics->by_name(gs->env->r, topic.p, (size_t)topic.n, &t))
        id = t.id;
    const struct cg_part *p = cg_parts_find(&m->at.assigned, &id, partition);
    if (!p)
        p = cg_parts_find(&m->at.revoking, &id, partition);
    return p && c->epoch >= p->epoch ? KERR_NONE : wrong_epoch(m);
}

static int16_t check_fetch(struct groups *gs, struct group *g, const struct group_claim *c)
{
    if (c->member_id.n < 0 && c->epoch < 0)
        return KERR_NONE;
    const struct cg_member *m = cg_find(cg_of(g), c->member_id);
    if (!m)
        return KERR_UNKNOWN_MEMBER_ID;
    return c->epoch == m->at.epoch ? KERR_NONE : wrong_epoch(m);
}

static int16_t check_offset_delete(const struct group *g)
{
    return KERR_NONE;
}

static int16_t check_delete(const struct group *g)
{
    return is_empty(g) ? KERR_NONE : KERR_NON_EMPTY_GROUP;
}

static void let_go(struct groups *gs, struct group *g, int16_t error)
{
    SL_ASSERT(cg_of(g)); // nothing is ever parked at a consumer group
}

static void destroy(struct groups *gs, struct group *g)
{
    cg_free(gs, cg_of(g));
}

const struct group_type group_consumer_type = {
    .kind = GROUP_CONSUMER,
    .name = "consumer",
    .state_name = state_name,
    .protocol_type = protocol_type,
    .is_empty = is_empty,
    .is_subscribed = is_subscribed,
    .expiry = expiry,
    .check_commit = check_commit,
    .check_commit_part = check_commit_part,
    .check_fetch = check_fetch,
    .check_offset_delete = check_offset_delete,
    .check_delete = check_delete,
    .tombstones = cg_tombstones,
    .loaded = cg_loaded,
    .let_go = let_go,
    .destroy = destroy,
    .join = cg_classic_join,
    .sync = cg_classic_sync,
    .heartbeat = cg_classic_heartbeat,
    .leave = cg_classic_leave,
};
