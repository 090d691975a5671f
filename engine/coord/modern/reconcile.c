#include "engine/coord/modern/reconcile.h"

#include <errno.h>

#include "engine/base/canary.h"

/* Whether the member may still use some of these: it named one of them, or did not say. */
static bool still_owns(const struct cg_reconcile *in, const struct cg_parts *parts)
{
    return !in->owned || cg_parts_meet(in->owned, parts);
}

static void set_epoch(struct cg_progress *m, int32_t epoch)
{
    m->previous_epoch = m->epoch;
    m->epoch = epoch;
}

/* Those of s whose topics the member subscribes to. */
static int select_subscribed(const struct cg_reconcile *in, const struct cg_parts *s, struct cg_parts *out,
                             struct arena *arena)
{
    struct cg_parts got;
    if (cg_parts_reserve(&got, s->n, arena))
        return -ENOMEM;
    for (uint32_t from, to = 0; cg_parts_next_topic(s, &from, &to);) {
        if (!in->subscribed(in->ctx, &s->v[from].topic))
            continue;
        memcpy(&got.v[got.n], &s->v[from], (to - from) * sizeof(*got.v));
        got.n += to - from;
    }
    *out = got;
    return 0;
}

/* Splits what is wanted and not yet held into what is free and what another member holds. What the member
 * itself is about to give up counts as free: nobody else can hold it. */
static bool drop_unreleased(const struct cg_reconcile *in, const struct cg_progress *m,
                            struct cg_parts *wanted)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < wanted->n; i++) {
        const struct cg_part *p = &wanted->v[i];
        if (!in->held(in->ctx, p) || cg_parts_find(&m->revoking, &p->topic, p->partition) ||
            SL_CANARY(COORD_TWO_OWNERS))
            wanted->v[n++] = *p;
    }
    bool any = n < wanted->n;
    wanted->n = n;
    return any;
}

static int advance(const struct cg_reconcile *in, struct cg_progress *m, int32_t epoch, struct arena *arena)
{
    struct cg_parts target, kept, revoke, gain, all;
    if (select_subscribed(in, in->target, &target, arena) ||
        cg_parts_intersect(&m->assigned, &target, &kept, arena) ||
        cg_parts_subtract(&m->assigned, &kept, &revoke, arena) ||
        cg_parts_subtract(&target, &kept, &gain, arena))
        return -ENOMEM;
    bool unreleased = drop_unreleased(in, m, &gain);
    if (revoke.n && still_owns(in, &revoke)) {
        set_epoch(m, epoch);
        m->state = CG_MEMBER_UNREVOKED;
        m->assigned = kept;
        m->revoking = revoke;
        return 0;
    }
    for (uint32_t i = 0; i < gain.n; i++)
        gain.v[i].epoch = in->target_epoch;
    if (cg_parts_union(&kept, &gain, &all, arena))
        return -ENOMEM;
    set_epoch(m, in->target_epoch);
    m->state = unreleased ? CG_MEMBER_UNRELEASED : CG_MEMBER_STABLE;
    m->assigned = all;
    m->revoking = (struct cg_parts){0};
    return 0;
}

/* The member left some topics: their partitions go, and nothing else changes. */
static int leave_topics(const struct cg_reconcile *in, struct cg_progress *m, struct arena *arena)
{
    struct cg_parts kept, gone, revoking;
    if (select_subscribed(in, &m->assigned, &kept, arena))
        return -ENOMEM;
    if (kept.n == m->assigned.n)
        return 0;
    if (cg_parts_subtract(&m->assigned, &kept, &gone, arena) ||
        cg_parts_union(&m->revoking, &gone, &revoking, arena))
        return -ENOMEM;
    set_epoch(m, m->epoch);
    m->assigned = kept;
    if (still_owns(in, &revoking)) {
        m->state = CG_MEMBER_UNREVOKED;
        m->revoking = revoking;
    }
    return 0;
}

int cg_reconcile(const struct cg_reconcile *in, struct cg_progress *m, struct arena *arena)
{
    SL_ASSERT(in->target && in->held && in->subscribed);
    switch (m->state) {
    case CG_MEMBER_STABLE:
        if (m->epoch != in->target_epoch)
            return advance(in, m, m->epoch, arena);
        return in->subscription_changed ? leave_topics(in, m, arena) : 0;
    case CG_MEMBER_UNREVOKED:
        if (!still_owns(in, &m->revoking))
            return advance(in, m, m->epoch, arena);
        return in->subscription_changed ? leave_topics(in, m, arena) : 0;
    case CG_MEMBER_UNRELEASED:
        return advance(in, m, m->epoch, arena);
    case CG_MEMBER_UNKNOWN:
        break;
    }
    if (!in->owned || in->owned->n)
        return -ESTALE;
    return advance(in, m, in->target_epoch, arena);
}
