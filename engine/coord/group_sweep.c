// What goes by itself: offsets past their retention, groups that nothing is left of, offsets of deleted topics.
//
// A sweep goes over the groups every offsets.retention.check.interval.ms, some at a time: the next step is a timer's, at
// once, so that others get their turn. A group that goes away meanwhile hands the sweep on to its successor.
#include "engine/coord/group.h"

#include "engine/base/log.h"
#include "proto/gen/offset_commit_key.h"

#include <stdlib.h>
#include <string.h>

enum { GROUPS_A_STEP = 64 };

static void emit_tombstone(struct groups *gs, struct group *g, struct kp_str topic, int32_t partition)
{
    struct kp_offset_commit_key key = {.group = group_id(g), .topic = topic, .partition = partition};
    if (coord_emit(gs->x, &g->mark, GREC_OFFSET_COMMIT, &key, 0, NULL))
        sl_panic("coordinator: a key that cannot be encoded");
}

void groups_drop_offset(struct groups *gs, struct group *g, struct kp_str topic, int32_t partition)
{
    emit_tombstone(gs, g, topic, partition);
    offsets_remove(gs, g, topic, partition);
}

void groups_drop_offsets(struct groups *gs, struct group *g)
{
    struct offset_topic *t, *tmp;
    HASH_ITER(hh, g->offsets.topics, t, tmp)
    for (uint32_t i = 0; i < t->n; i++)
        emit_tombstone(gs, g, (struct kp_str){t->name, (int32_t)t->name_len}, t->parts[i].partition);
    offsets_free(gs, g);
}

// A group that only has offsets has no record of its own to remove, but upstream writes one too: harmless, and right if
// the group's own record has yet to be compacted away.
void groups_drop(struct groups *gs, struct group *g)
{
    coord_split(gs->x);
    groups_drop_offsets(gs, g);
    group_rules(g)->tombstones(gs, g);
    group_reset(gs, g, NULL, NULL);
    groups_collect(gs, g);
}

// ---- expiry ------------------------------------------------------------------------------------------------------------------
static bool expired(const struct groups *gs, const struct offset_value *v, enum group_expiry how,
                    int64_t since)
{
    if (v->expire_ms != -1)
        return gs->x->wall_ms >= v->expire_ms;
    int64_t base = how == GROUP_EXPIRY_STATE && since >= 0 ? since : v->commit_ms;
    return gs->x->wall_ms - base >= gs->env->set.keep_ms;
}

static void expire_topic(struct groups *gs, struct group *g, struct offset_topic *t, enum group_expiry how,
                         int64_t since)
{
    struct kp_str name = {t->name, (int32_t)t->name_len};
    for (uint32_t i = t->n; i-- > 0;) {
        struct offset_part *p = &t->parts[i];
        bool last = t->n == 1;
        if (!p->set || p->pending || !expired(gs, &p->v, how, since))
            continue;
        groups_drop_offset(gs, g, name, p->partition);
        if (last)
            return; // the topic went with it
    }
}

static void expire_group(struct groups *gs, struct group *g)
{
    const struct group_type *rules = group_rules(g);
    struct offset_topic *t, *tmp;
    int64_t since = -1;
    enum group_expiry how = rules->expiry(g, &since);
    if (g->offsets.topics && how == GROUP_EXPIRY_NEVER)
        return;
    HASH_ITER(hh, g->offsets.topics, t, tmp)
    {
        if (!rules->is_subscribed(g, (struct kp_str){t->name, (int32_t)t->name_len}))
            expire_topic(gs, g, t, how, since);
    }
    if (g->offsets.topics)
        return;
    if (rules->is_empty(g))
        groups_drop(gs, g);
}

static void again(struct groups *gs, struct group *next)
{
    gs->sweep_next = next;
    coord_timer_set(gs->x, &gs->sweep, next ? 1 : gs->env->set.keep_check_ms);
}

static void sweep(struct coord_timer *t, void *co)
{
    struct groups *gs = co;
    struct group *g = gs->sweep_next ? gs->sweep_next : gs->table, *next;
    SL_ASSERT(t == &gs->sweep);
    gs->sweep_next = NULL;
    coord_split(gs->x);
    for (int i = 0; g && i < GROUPS_A_STEP; i++, g = next) {
        next = g->hh.next;
        expire_group(gs, g);
    }
    again(gs, g);
}

void groups_sweep_init(struct groups *gs)
{
    gs->sweep.fire = sweep;
}

void groups_sweep_start(struct groups *gs)
{
    again(gs, NULL);
}

void groups_sweep_stop(struct groups *gs)
{
    coord_timer_cancel(gs->x, &gs->sweep);
    gs->sweep_next = NULL;
}

// ---- deleted topics --------------------------------------------------------------------------------------------------------------
static void topic_deleted(struct groups *gs, struct kp_str name, const struct sl_uuid *id)
{
    struct group *g, *tmp;
    HASH_ITER(hh, gs->table, g, tmp)
    {
        struct offset_topic *t = NULL;
        HASH_FIND(hh, g->offsets.topics, name.p, (unsigned)name.n, t);
        for (uint32_t i = t ? t->n : 0; i-- > 0;) {
            struct offset_part *p = &t->parts[i];
            if (sl_uuid_is_zero(&p->v.topic_id) || !memcmp(&p->v.topic_id, id, sizeof(*id)))
                groups_drop_offset(gs, g, name,
                                   p->partition); // the last one takes t along, and ends the loop
        }
        groups_collect(gs, g);
    }
}

void groups_image(void *co)
{
    struct groups *gs = co;
    struct topic_use *u, *tmp;
    coord_split(gs->x);
    HASH_ITER(hh, gs->topics, u, tmp)
    {
        struct coord_topic t;
        struct sl_uuid was = u->id;
        bool there = gs->env->topics->by_name(gs->env->r, u->name, u->name_len, &t);
        bool gone = u->known && (!there || memcmp(&t.id, &was, sizeof(was)));
        u->known = there;
        if (there)
            u->id = t.id;
        if (!gone)
            continue;
        char *name =
            group_strdup((struct kp_str){u->name, (int32_t)u->name_len}); // u may go with the last offset
        topic_deleted(gs, kp_str_of(name), &was);
        free(name);
    }
}
