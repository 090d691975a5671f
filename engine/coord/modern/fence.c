// Members that go, by their own will or not, and the timers that watch over them.
#include "engine/coord/modern/modern_private.h"

#include "engine/base/log.h"

static void drop_patterns(struct cg_op *op, const struct cg_member *const *gone, uint32_t n)
{
    struct cg_pattern *p, *tmp;
    HASH_ITER(hh, op->cg->patterns, p, tmp)
    {
        uint32_t users = 0;
        for (uint32_t i = 0; i < n; i++)
            users += kp_str_eq(gone[i]->meta.regex, kp_str_of(p->text));
        if (users && users == p->members)
            cg_emit_regex_end(op, kp_str_of(p->text));
    }
}

void cg_fence(struct cg_op *op, const struct cg_member *const *gone, uint32_t n)
{
    SL_ASSERT(!op->error && n <= op->cg->joined_n);
    if (!n)
        return;
    if (cg_may_downgrade(op, gone, n)) {
        cg_downgrade(op, gone, n, false);
        return;
    }
    struct cg_change change = {.gone = gone, .gone_n = n, .members = op->cg->joined_n - n};
    struct cg_after after;
    for (uint32_t i = 0; i < n; i++)
        cg_emit_gone(op, kp_str_of(gone[i]->id));
    drop_patterns(op, gone, n);
    cg_subscriptions_after(op, &change, &after);
    cg_emit_epoch(op, cg_next_epoch(op->cg->epoch), after.hash);
}

// ---- timers ----------------------------------------------------------------------------------------------------------
static void fence_one(struct cg_member *m, const char *why)
{
    struct cg_op op;
    const struct cg_member *gone = m;
    cg_op_begin(&op, m->cg->gs, group_id(m->cg->group));
    SL_ASSERT(op.cg == m->cg);
    sl_log(SL_INFO, "coord", "group=%s member=%s fenced: %s", m->cg->group->id, m->id, why);
    if (m->joined)
        cg_fence(&op, &gone, 1);
    cg_op_end(&op);
    cg_op_free(&op);
}

void cg_fire_session(struct coord_timer *t, void *co)
{
    fence_one(SL_CONTAINER_OF(t, struct cg_member, session), "the session expired");
}

void cg_fire_rebalance(struct coord_timer *t, void *co)
{
    struct cg_member *m = SL_CONTAINER_OF(t, struct cg_member, rebalance);
    if (m->at.epoch == m->rebalance_epoch)
        fence_one(m, "it did not revoke its partitions within the rebalance timeout");
}

void cg_fire_join(struct coord_timer *t, void *co)
{
    fence_one(SL_CONTAINER_OF(t, struct cg_member, join),
              "it did not join again within the rebalance timeout");
}

void cg_fire_sync(struct coord_timer *t, void *co)
{
    fence_one(SL_CONTAINER_OF(t, struct cg_member, sync), "it did not sync within the rebalance timeout");
}

// After a load every member gets a whole session to come back in.
void cg_loaded(struct groups *gs, struct group *g)
{
    struct cg *c = cg_of(g);
    struct cg_member *m, *tmp;
    struct cg_settings set;
    cg_settings_of(gs, g->id, &set);
    cg_check_loaded(c);
    HASH_ITER(hh, c->members, m, tmp)
    {
        if (!m->joined)
            continue;
        coord_timer_set(gs->x, &m->session, set.session_ms);
        if (m->at.state != CG_MEMBER_UNREVOKED)
            continue;
        m->rebalance_epoch = m->at.epoch;
        coord_timer_set(gs->x, &m->rebalance, m->meta.rebalance_ms);
    }
}
