// SyncGroup, Heartbeat, LeaveGroup, and what commits ask of a classic group.
#include "engine/coord/classic.h"

#include "engine/base/canary.h"
#include "proto/gen/heartbeat_request.h"
#include "proto/gen/heartbeat_response.h"
#include "proto/gen/leave_group_request.h"
#include "proto/gen/leave_group_response.h"

#include <string.h>

int16_t classic_validate(const struct classic *c, struct kp_str member_id, struct kp_str instance_id)
{
    if (instance_id.n >= 0) {
        const struct classic_member *m = classic_find_static(c, instance_id);
        if (!m)
            return KERR_UNKNOWN_MEMBER_ID;
        if (!kp_str_eq(kp_str_of(m->id), member_id))
            return KERR_FENCED_INSTANCE_ID;
    }
    return classic_find(c, member_id) ? KERR_NONE : KERR_UNKNOWN_MEMBER_ID;
}

// ---- sync ------------------------------------------------------------------------------------------------------------------
static void answer_assignment(struct groups *gs, const struct classic *c, const struct classic_member *m,
                              struct coord_req *q)
{
    struct kp_sync_group_response *out = req_zalloc(q, sizeof(*out));
    kp_sync_group_response_init(out);
    out->protocol_type = req_str(q, kp_str_of(c->protocol_type));
    out->protocol_name = req_str(q, kp_str_of(c->protocol));
    out->assignment = req_bytes(q, (struct kp_bytes){m->assignment, (int32_t)m->assignment_len});
    q->out = out;
    coord_answer(gs->x, q);
}

void classic_answer_syncs(struct groups *gs, struct classic *c, int16_t error)
{
    struct classic_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    {
        struct coord_req *q = m->sync;
        if (error)
            classic_member_assign(gs, m, KP_BYTES_NULL);
        if (!q)
            continue;
        m->sync = NULL;
        if (error)
            coord_answer_error(gs->x, q, error);
        else
            answer_assignment(gs, c, m, q);
        // Its session may have run out while it waited, without effect.
        classic_session(gs, m, m->session_ms);
    }
}

static bool differs(struct kp_str asked, const char *has)
{
    return asked.n >= 0 && has && !kp_str_eq(asked, kp_str_of(has));
}

static int16_t check_sync(const struct classic *c, const struct kp_sync_group_request *req)
{
    int16_t e = classic_validate(c, req->member_id, req->group_instance_id);
    if (!e && req->generation_id != c->generation)
        e = KERR_ILLEGAL_GENERATION;
    if (!e && (differs(req->protocol_type, c->protocol_type) || differs(req->protocol_name, c->protocol)))
        e = KERR_INCONSISTENT_GROUP_PROTOCOL;
    if (!e && c->state == CLASSIC_PREPARING_REBALANCE)
        e = KERR_REBALANCE_IN_PROGRESS;
    return e;
}

// The leader's word: the generation is complete. It is written before anybody is told.
static void assign_all(struct groups *gs, struct classic *c, const struct kp_sync_group_request *req)
{
    struct classic_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    classic_member_assign(gs, m, KP_BYTES_NULL);
    for (int32_t i = 0; i < req->assignments_n; i++) {
        m = classic_find(c, req->assignments[i].member_id);
        if (m)
            classic_member_assign(gs, m, req->assignments[i].assignment);
    }
    if (!SL_CANARY(COORD_FORGETS))
        classic_emit(gs, c);
    if (!coord_fits(gs->x)) {
        coord_emit_undo(gs->x);
        classic_answer_syncs(gs, c, KERR_UNKNOWN_SERVER_ERROR);
        classic_prepare(gs, c, "the assignment is too large to be stored");
        return;
    }
    classic_transition(gs, c, CLASSIC_STABLE);
    classic_answer_syncs(gs, c, KERR_NONE);
}

void classic_sync(struct groups *gs, struct group *g, struct coord_req *q)
{
    struct classic *c = classic_of(g);
    const struct kp_sync_group_request *req = q->in;
    int16_t e = gs->x->letting_go ? KERR_NOT_COORDINATOR : check_sync(c, req);
    if (e) {
        coord_answer_error(gs->x, q, e);
        return;
    }
    struct classic_member *m = classic_find(c, req->member_id);
    if (m->pending_sync)
        c->pending_syncs--;
    m->pending_sync = false;
    if (!c->pending_syncs)
        coord_timer_cancel(gs->x, &c->syncing);
    if (c->state == CLASSIC_STABLE) {
        answer_assignment(gs, c, m, q);
        return;
    }
    SL_ASSERT(c->state == CLASSIC_COMPLETING_REBALANCE);
    if (m->sync) // from a connection that the client gave up
        coord_answer_error(gs->x, m->sync, KERR_REBALANCE_IN_PROGRESS);
    m->sync = q;
    if (classic_is_leader(c, m))
        assign_all(gs, c, req);
}

// ---- heartbeat -----------------------------------------------------------------------------------------------------------
void classic_heartbeat(struct groups *gs, struct group *g, struct coord_req *q)
{
    struct classic *c = classic_of(g);
    const struct kp_heartbeat_request *req = q->in;
    int16_t e = c ? classic_validate(c, req->member_id, req->group_instance_id) : KERR_UNKNOWN_MEMBER_ID;
    if (!e && req->generation_id != c->generation)
        e = KERR_ILLEGAL_GENERATION;
    if (!e) {
        struct classic_member *m = classic_find(c, req->member_id);
        classic_session(gs, m, m->session_ms);
        e = c->state == CLASSIC_PREPARING_REBALANCE ? KERR_REBALANCE_IN_PROGRESS : KERR_NONE;
    }
    struct kp_heartbeat_response *out = req_zalloc(q, sizeof(*out));
    kp_heartbeat_response_init(out);
    out->error_code = e;
    q->out = out;
    coord_answer(gs->x, q);
}

// ---- leave -----------------------------------------------------------------------------------------------------------------
static int16_t leave_one(struct groups *gs, struct classic *c, struct kp_str id, struct kp_str instance)
{
    struct classic_pending *p = classic_find_pending(c, id);
    int16_t e = KERR_NONE;
    struct classic_member *m;
    if (id.n <= 0) { // an administrator removes a static member
        m = classic_find_static(c, instance);
        e = m ? KERR_NONE : KERR_UNKNOWN_MEMBER_ID;
    } else if (p) {
        classic_pending_remove(gs, c, p);
        return KERR_NONE;
    } else {
        e = classic_validate(c, id, instance);
        m = classic_find(c, id);
    }
    if (!e)
        classic_remove(gs, c, m);
    return e;
}

void classic_leave(struct groups *gs, struct group *g, struct coord_req *q)
{
    struct classic *c = classic_of(g);
    const struct kp_leave_group_request *req = q->in;
    struct kp_leave_group_response *out = req_zalloc(q, sizeof(*out));
    bool any = false;
    kp_leave_group_response_init(out);
    out->members_n = SL_MAX(req->members_n, 0);
    out->members = req_zalloc(q, (size_t)out->members_n * sizeof(*out->members));
    for (int32_t i = 0; i < out->members_n; i++) {
        out->members[i].member_id = req->members[i].member_id;
        out->members[i].group_instance_id = req->members[i].group_instance_id;
        out->members[i].error_code =
            c ? leave_one(gs, c, req->members[i].member_id, req->members[i].group_instance_id)
              : KERR_UNKNOWN_MEMBER_ID;
        any |= !out->members[i].error_code;
    }
    if (any && (c->state == CLASSIC_STABLE || c->state == CLASSIC_COMPLETING_REBALANCE))
        classic_rebalance(gs, c, "members left");
    else if (any)
        classic_maybe_complete(gs, c);
    q->out = out;
    coord_answer(gs->x, q);
}

// ---- commits -----------------------------------------------------------------------------------------------------------
static int16_t may_commit(const struct classic *c, const struct group_claim *claim)
{
    bool empty = !c || c->state == CLASSIC_EMPTY;
    if ((claim->epoch < 0 && empty) || SL_CANARY(COORD_NO_FENCE))
        return KERR_NONE; // from outside of any group
    if (claim->epoch >= 0 || claim->member_id.n > 0 || claim->instance_id.n >= 0) {
        int16_t e = c ? classic_validate(c, claim->member_id, claim->instance_id) : KERR_UNKNOWN_MEMBER_ID;
        if (e)
            return e;
        if (claim->epoch != c->generation)
            return KERR_ILLEGAL_GENERATION;
    } else if (!claim->transactional && !empty) {
        return KERR_UNKNOWN_MEMBER_ID;
    }
    if (!claim->transactional && c && c->state == CLASSIC_COMPLETING_REBALANCE)
        return KERR_REBALANCE_IN_PROGRESS;
    return KERR_NONE;
}

static int16_t check_commit(struct groups *gs, struct group *g, const struct group_claim *claim)
{
    struct classic *c = classic_of(g);
    int16_t e = may_commit(c, claim);
    if (e || !c || claim->transactional)
        return e;
    struct classic_member *m = classic_find(c, claim->member_id);
    if (m && (c->state == CLASSIC_STABLE || c->state == CLASSIC_PREPARING_REBALANCE))
        classic_session(gs, m, m->session_ms);
    return KERR_NONE;
}

static int16_t check_commit_part(struct groups *gs, struct group *g, const struct group_claim *c,
                                 const struct sl_uuid *topic_id, struct kp_str topic, int32_t partition)
{
    (void)gs, (void)g, (void)c, (void)topic_id, (void)topic, (void)partition;
    return KERR_NONE;
}

static int16_t check_fetch(struct groups *gs, struct group *g, const struct group_claim *c)
{
    (void)gs, (void)g, (void)c;
    return KERR_NONE;
}

static bool is_empty(const struct group *g)
{
    const struct classic *c = classic_of(g);
    return !c || c->state == CLASSIC_EMPTY;
}

static int16_t check_offset_delete(const struct group *g)
{
    return is_empty(g) || classic_is_consumer(classic_of(g)) ? KERR_NONE : KERR_NON_EMPTY_GROUP;
}

static int16_t check_delete(const struct group *g)
{
    return is_empty(g) ? KERR_NONE : KERR_NON_EMPTY_GROUP;
}

static bool is_subscribed(const struct group *g, struct kp_str topic)
{
    const struct classic *c = classic_of(g);
    struct classic_topic *t = NULL;
    if (!c || !c->topics_known)
        return c && classic_is_consumer(c);
    HASH_FIND(hh, c->topics, topic.p, (unsigned)topic.n, t);
    return t != NULL;
}

static enum group_expiry expiry(const struct group *g, int64_t *since)
{
    const struct classic *c = classic_of(g);
    if (!c || !c->protocol_type)
        return GROUP_EXPIRY_COMMIT;
    *since = c->state_ms;
    if (c->state == CLASSIC_EMPTY)
        return GROUP_EXPIRY_STATE;
    return classic_is_consumer(c) && c->topics_known && c->state == CLASSIC_STABLE ? GROUP_EXPIRY_COMMIT
                                                                                   : GROUP_EXPIRY_NEVER;
}

static const char *state_name(const struct group *g)
{
    return classic_state_name(g->type ? classic_of(g)->state : CLASSIC_EMPTY);
}

static struct kp_str protocol_type(const struct group *g)
{
    const struct classic *c = classic_of(g);
    return kp_str_of(c && c->protocol_type ? c->protocol_type : "");
}

// ---- life ------------------------------------------------------------------------------------------------------------------
static void loaded(struct groups *gs, struct group *g)
{
    struct classic *c = classic_of(g);
    struct classic_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    classic_session(gs, m, m->session_ms);
    if (c->members && !c->leader)
        classic_prepare(gs, c, "it was a consumer group, before the restart");
    else if (classic_size(c) > gs->env->set.max_size)
        classic_prepare(gs, c, "larger than group.max.size");
}

static void let_go(struct groups *gs, struct group *g, int16_t error)
{
    struct classic *c = classic_of(g);
    struct classic_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    {
        classic_answer_join(gs, c, m, error, false);
        if (m->sync)
            coord_answer_error(gs->x, m->sync, error);
        m->sync = NULL;
    }
}

static void destroy(struct groups *gs, struct group *g)
{
    classic_free(gs, classic_of(g));
}

const struct group_type group_classic_type = {
    .kind = GROUP_CLASSIC,
    .name = "classic",
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
    .tombstones = classic_emit_tombstone,
    .loaded = loaded,
    .let_go = let_go,
    .destroy = destroy,
    .join = classic_join,
    .sync = classic_sync,
    .heartbeat = classic_heartbeat,
    .leave = classic_leave,
};
