// JoinGroup and the rebalance of a classic group; see classic.h.
#include "engine/coord/classic.h"

#include "engine/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KNOWN_MEMBER_ID_SINCE = 4, SKIP_ASSIGNMENT_SINCE = 9 };

// ---- answers ---------------------------------------------------------------------------------------------------------
static struct kp_join_group_response *answer_new(struct coord_req *q, const char *member_id)
{
    struct kp_join_group_response *out = req_zalloc(q, sizeof(*out));
    kp_join_group_response_init(out);
    out->leader = KP_STR_LIT("");
    out->protocol_name = KP_STR_LIT("");
    out->member_id = req_str(q, kp_str_of(member_id));
    return out;
}

// With the member id that upstream gives back along with the error.
static void refuse(struct groups *gs, struct coord_req *q, const char *member_id, int16_t error)
{
    struct kp_join_group_response *out = answer_new(q, member_id);
    out->error_code = error;
    out->protocol_name = KP_STR_NULL;
    q->out = out;
    coord_answer(gs->x, q);
}

static void list_members(struct coord_req *q, const struct classic *c, struct kp_join_group_response *out)
{
    struct classic_member *m, *tmp;
    out->members = req_zalloc(q, classic_size(c) * sizeof(*out->members));
    HASH_ITER(hh, c->members, m, tmp)
    {
        struct kp_join_group_response_join_group_response_member *o = &out->members[out->members_n++];
        o->member_id = req_str(q, kp_str_of(m->id));
        o->group_instance_id = req_str(q, kp_str_of(m->instance_id));
        o->metadata = req_bytes(q, classic_metadata(m, c->protocol));
        if (o->metadata.n < 0)
            o->metadata.n = 0;
    }
}

// The present generation, as member m sees it.
static void answer_generation(struct groups *gs, const struct classic *c, const struct classic_member *m,
                              struct coord_req *q, bool members, bool skip)
{
    struct kp_join_group_response *out = answer_new(q, m->id);
    out->generation_id = c->generation;
    out->protocol_type = req_str(q, kp_str_of(c->protocol_type));
    out->protocol_name = req_str(q, kp_str_of(c->protocol));
    out->leader = c->leader ? req_str(q, kp_str_of(c->leader)) : KP_STR_LIT("");
    out->skip_assignment = skip;
    if (members)
        list_members(q, c, out);
    q->out = out;
    coord_answer(gs->x, q);
}

void classic_answer_join(struct groups *gs, struct classic *c, struct classic_member *m, int16_t error,
                         bool skip)
{
    struct coord_req *q = m->join;
    if (!q)
        return;
    SL_ASSERT(c->awaiting_join > 0);
    m->join = NULL;
    c->awaiting_join--;
    if (error)
        refuse(gs, q, error == KERR_UNKNOWN_MEMBER_ID ? "" : m->id, error);
    else
        answer_generation(gs, c, m, q, classic_is_leader(c, m), skip);
}

// The request waits at its member. One that waits there already comes from a connection that the client gave up.
static void park(struct groups *gs, struct classic *c, struct classic_member *m, struct coord_req *q)
{
    classic_answer_join(gs, c, m, KERR_REBALANCE_IN_PROGRESS, false);
    m->join = q;
    c->awaiting_join++;
}

// ---- sessions ----------------------------------------------------------------------------------------------------------
void classic_session(struct groups *gs, struct classic_member *m, int64_t ms)
{
    coord_timer_set(gs->x, &m->session, ms);
}

static void member_gone(struct groups *gs, struct classic *c, struct classic_member *m, const char *why)
{
    sl_log(SL_INFO, "coord", "group=%s member=%s %s", c->group->id, m->id, why);
    classic_remove(gs, c, m);
    if (c->state == CLASSIC_STABLE || c->state == CLASSIC_COMPLETING_REBALANCE)
        classic_rebalance(gs, c, why);
    else if (c->state == CLASSIC_PREPARING_REBALANCE && classic_all_joined(c))
        classic_complete(gs, c);
}

void classic_fire_session(struct coord_timer *t, void *co)
{
    struct classic_member *m = SL_CONTAINER_OF(t, struct classic_member, session);
    struct groups *gs = co;
    coord_see(gs->x, m->group->mark);
    // Who waits for an answer of ours cannot send heartbeats. A new member that waits too long has gone away: its
    // connection, while a request is parked, tells nothing.
    if (m->is_new || (!m->join && !m->sync))
        member_gone(gs, classic_of(m->group), m, "session expired");
}

void classic_fire_pending(struct coord_timer *t, void *co)
{
    struct classic_pending *p = SL_CONTAINER_OF(t, struct classic_pending, session);
    struct groups *gs = co;
    struct classic *c = classic_of(p->group);
    coord_see(gs->x, p->group->mark);
    classic_pending_remove(gs, c, p);
    if (c->state == CLASSIC_PREPARING_REBALANCE && classic_all_joined(c))
        classic_complete(gs, c);
}

// ---- rebalance -----------------------------------------------------------------------------------------------------------
static void stop_syncing(struct groups *gs, struct classic *c)
{
    struct classic_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    m->pending_sync = false;
    c->pending_syncs = 0;
    coord_timer_cancel(gs->x, &c->syncing);
}

void classic_prepare(struct groups *gs, struct classic *c, const char *why)
{
    bool first = c->state == CLASSIC_EMPTY;
    if (c->state == CLASSIC_COMPLETING_REBALANCE)
        classic_answer_syncs(gs, c, KERR_REBALANCE_IN_PROGRESS);
    stop_syncing(gs, c);
    sl_log(SL_INFO, "coord", "group=%s rebalances generation=%d members=%u: %s", c->group->id, c->generation,
           classic_size(c), why);
    classic_transition(gs, c, CLASSIC_PREPARING_REBALANCE);
    c->initial = first;
    if (first) { // more members have some time to come
        c->delay_ms = gs->env->set.initial_delay_ms;
        c->remaining_ms = SL_MAX(classic_rebalance_ms(c) - c->delay_ms, 0);
        coord_timer_set(gs->x, &c->rebalance, c->delay_ms);
    } else if (classic_all_joined(c)) {
        classic_complete(gs, c);
    } else {
        coord_timer_set(gs->x, &c->rebalance, classic_rebalance_ms(c));
    }
}

void classic_maybe_complete(struct groups *gs, struct classic *c)
{
    if (c->state == CLASSIC_PREPARING_REBALANCE && c->previous != CLASSIC_EMPTY && classic_all_joined(c))
        classic_complete(gs, c);
}

void classic_rebalance(struct groups *gs, struct classic *c, const char *why)
{
    if (c->state == CLASSIC_PREPARING_REBALANCE)
        classic_maybe_complete(gs, c);
    else
        classic_prepare(gs, c, why);
}

void classic_fire_rebalance(struct coord_timer *t, void *co)
{
    struct classic *c = SL_CONTAINER_OF(t, struct classic, rebalance);
    struct groups *gs = co;
    coord_see(gs->x, c->group->mark);
    if (c->initial && c->new_member_added && c->remaining_ms != 0) {
        int32_t delay = SL_MIN(gs->env->set.initial_delay_ms, c->remaining_ms);
        c->new_member_added = false;
        c->remaining_ms = SL_MAX(c->remaining_ms - c->delay_ms, 0);
        c->delay_ms = delay;
        coord_timer_set(gs->x, &c->rebalance, delay);
        return;
    }
    classic_complete(gs, c);
}

// A leader that has joined again, or the first one that has. False: nobody has, or there is nobody.
static bool elect(struct classic *c)
{
    struct classic_member *m = c->leader ? classic_find(c, kp_str_of(c->leader)) : NULL, *tmp;
    if (m && m->join)
        return true;
    HASH_ITER(hh, c->members, m, tmp)
    if (m->join) {
        classic_set_text(&c->leader, m->id);
        return true;
    }
    return false;
}

static void next_generation(struct groups *gs, struct classic *c)
{
    c->generation++;
    c->initial = false;
    c->new_member_added = false;
    classic_set_text(&c->protocol, c->members ? classic_vote(c) : NULL);
    classic_read_topics(c);
    classic_transition(gs, c, c->members ? CLASSIC_COMPLETING_REBALANCE : CLASSIC_EMPTY);
    c->pending_syncs = 0;
}

static void drop_absent(struct groups *gs, struct classic *c)
{
    struct classic_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    if (!m->join && !m->instance_id)
        classic_remove(gs, c, m);
}

void classic_complete(struct groups *gs, struct classic *c)
{
    struct classic_member *m, *tmp;
    SL_ASSERT(c->state == CLASSIC_PREPARING_REBALANCE);
    coord_timer_cancel(gs->x, &c->rebalance);
    drop_absent(gs, c);
    if (!elect(c) && c->members) { // static members only, none of them here: their sessions decide
        coord_timer_set(gs->x, &c->rebalance, classic_rebalance_ms(c));
        return;
    }
    next_generation(gs, c);
    sl_log(SL_INFO, "coord", "group=%s generation=%d members=%u", c->group->id, c->generation,
           classic_size(c));
    if (c->state == CLASSIC_EMPTY) {
        classic_emit(gs, c);
        return;
    }
    HASH_ITER(hh, c->members, m, tmp)
    {
        classic_answer_join(gs, c, m, KERR_NONE, false);
        classic_session(gs, m, m->session_ms);
        m->is_new = false;
        m->pending_sync = true;
        c->pending_syncs++;
    }
    coord_timer_set(gs->x, &c->syncing, classic_rebalance_ms(c));
}

void classic_fire_syncing(struct coord_timer *t, void *co)
{
    struct classic *c = SL_CONTAINER_OF(t, struct classic, syncing);
    struct groups *gs = co;
    struct classic_member *m, *tmp;
    coord_see(gs->x, c->group->mark);
    SL_ASSERT(c->state == CLASSIC_COMPLETING_REBALANCE || c->state == CLASSIC_STABLE);
    if (!c->pending_syncs)
        return;
    HASH_ITER(hh, c->members, m, tmp)
    if (m->pending_sync)
        classic_remove(gs, c, m);
    classic_prepare(gs, c, "members without a SyncGroup were removed");
}

// ---- joining -------------------------------------------------------------------------------------------------------------
static void add_member(struct groups *gs, struct classic *c, struct coord_req *q, struct kp_str id)
{
    const struct kp_join_group_request *req = q->in;
    struct classic_member *m = classic_member_new(id, req, q);
    struct classic_pending *p = classic_find_pending(c, id);
    m->is_new = true;
    if (c->state == CLASSIC_PREPARING_REBALANCE && c->previous == CLASSIC_EMPTY)
        c->new_member_added = true;
    if (!c->members) {
        char *type = group_strdup(req->protocol_type);
        classic_set_text(&c->protocol_type, type);
        free(type);
    }
    classic_member_protocols(gs, m, req);
    classic_add(gs, c, m);
    if (p)
        classic_pending_remove(gs, c, p);
    park(gs, c, m, q);
    classic_session(gs, m, gs->env->set.new_member_join_ms);
    classic_rebalance(gs, c, "a member joins");
}

static void update_member(struct groups *gs, struct classic *c, struct classic_member *m, struct coord_req *q)
{
    const struct kp_join_group_request *req = q->in;
    classic_member_protocols(gs, m, req);
    m->rebalance_ms = req->rebalance_timeout_ms;
    m->session_ms = req->session_timeout_ms;
    park(gs, c, m, q);
}

// A known static member comes back without its id, usually after a restart (KIP-345).
static void replace_static(struct groups *gs, struct classic *c, struct classic_member *m,
                           struct coord_req *q, const char *new_id)
{
    bool led = classic_is_leader(c, m);
    char *old_id = group_strdup(kp_str_of(m->id));
    classic_rename(gs, c, m, new_id);
    classic_session(gs, m, m->session_ms);
    update_member(gs, c, m, q);
    if (c->state == CLASSIC_COMPLETING_REBALANCE) { // the leader may be assigning to the old id
        classic_prepare(gs, c, "a static member comes back");
    } else if (c->state == CLASSIC_STABLE && c->protocol && !strcmp(c->protocol, classic_vote(c))) {
        classic_emit(gs, c);
        if (!coord_fits(gs->x)) {
            coord_emit_undo(gs->x);
            classic_prepare(gs, c, "a static member comes back");
        } else if (q->version >= SKIP_ASSIGNMENT_SINCE) {
            classic_answer_join(gs, c, m, KERR_NONE, led);
        } else { // the old leader id: or this member would assign again, without a rebalance
            struct coord_req *parked = m->join;
            m->join = NULL;
            c->awaiting_join--;
            answer_generation(gs, c, m, parked, false, false);
            if (led)
                ((struct kp_join_group_response *)parked->out)->leader = req_str(parked, kp_str_of(old_id));
        }
    } else if (c->state == CLASSIC_STABLE) {
        classic_rebalance(gs, c, "a static member comes back with other protocols");
    } else {
        classic_maybe_complete(gs, c);
    }
    free(old_id);
}

static void join_new(struct groups *gs, struct classic *c, struct coord_req *q)
{
    const struct kp_join_group_request *req = q->in;
    struct classic_member *m = classic_find_static(c, req->group_instance_id);
    struct kp_str front = req->group_instance_id.n >= 0 ? req->group_instance_id : q->client_id;
    char uuid[37];
    if (!classic_supports(c, req)) {
        refuse(gs, q, "", KERR_INCONSISTENT_GROUP_PROTOCOL);
        return;
    }
    size_t n = (size_t)SL_MAX(front.n, 0);
    char *id = req_zalloc(q, n + 1 + sizeof(uuid));
    coord_random_uuid(gs->x, uuid);
    snprintf(id, n + 1 + sizeof(uuid), "%.*s-%s", (int)n, n ? front.p : "", uuid);
    if (m) {
        replace_static(gs, c, m, q, id);
    } else if (req->group_instance_id.n < 0 && q->version >= KNOWN_MEMBER_ID_SINCE) {
        classic_pending_add(gs, c, kp_str_of(id), req->session_timeout_ms);
        refuse(gs, q, id, KERR_MEMBER_ID_REQUIRED);
    } else {
        add_member(gs, c, q, kp_str_of(id));
    }
}

static void join_known(struct groups *gs, struct classic *c, struct coord_req *q)
{
    const struct kp_join_group_request *req = q->in;
    char *text = group_strdup(req->member_id);
    int16_t e = KERR_NONE;
    if (!classic_supports(c, req)) {
        refuse(gs, q, text, KERR_INCONSISTENT_GROUP_PROTOCOL);
    } else if (classic_find_pending(c, req->member_id)) {
        if (req->group_instance_id.n >= 0) // upstream fails on it: a pending member is never a static one
            refuse(gs, q, text, KERR_UNKNOWN_SERVER_ERROR);
        else
            add_member(gs, c, q, req->member_id);
    } else if ((e = classic_validate(c, req->member_id, req->group_instance_id))) {
        refuse(gs, q, text, e);
    } else {
        struct classic_member *m = classic_find(c, req->member_id);
        bool same = classic_matches(m, req), leads = classic_is_leader(c, m);
        if (c->state == CLASSIC_COMPLETING_REBALANCE && same) { // its answer was lost
            answer_generation(gs, c, m, q, leads, false);
        } else if (c->state == CLASSIC_STABLE && same && !leads) {
            answer_generation(gs, c, m, q, false, false);
        } else if (c->state == CLASSIC_EMPTY) {
            refuse(gs, q, text, KERR_UNKNOWN_MEMBER_ID);
        } else { // news; or the leader, who sees changes that its subscription does not show
            update_member(gs, c, m, q);
            classic_rebalance(gs, c, leads ? "the leader joins again" : "a member joins again");
        }
    }
    free(text);
}

// The size of the group as upstream counts it (KIP-389): while members still join, those that have.
static bool accepts(const struct groups *gs, const struct classic *c, struct kp_str id)
{
    const struct classic_member *m = classic_find(c, id);
    switch (c->state) {
    case CLASSIC_PREPARING_REBALANCE:
        return (m && m->join) || c->awaiting_join < gs->env->set.max_size;
    case CLASSIC_COMPLETING_REBALANCE:
    case CLASSIC_STABLE:
        return m || classic_size(c) < gs->env->set.max_size;
    default:
        return true;
    }
}

static void turn_away(struct groups *gs, struct classic *c, struct coord_req *q)
{
    const struct kp_join_group_request *req = q->in;
    struct classic_member *m = classic_find(c, req->member_id);
    struct classic_pending *p = classic_find_pending(c, req->member_id);
    if (m)
        classic_remove(gs, c, m);
    if (p)
        classic_pending_remove(gs, c, p);
    refuse(gs, q, "", KERR_GROUP_MAX_SIZE_REACHED);
}

void classic_join(struct groups *gs, struct group *g, struct coord_req *q)
{
    const struct kp_join_group_request *req = q->in;
    bool unknown = req->member_id.n <= 0, made = !g;
    if (gs->x->letting_go) {
        coord_answer_error(gs->x, q, KERR_NOT_COORDINATOR);
        return;
    }
    if (!g && !unknown) {
        char *id = group_strdup(req->member_id);
        refuse(gs, q, id, KERR_UNKNOWN_MEMBER_ID);
        free(id);
        return;
    }
    if (unknown && groups_full(gs)) {
        coord_answer_error(gs->x, q, KERR_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    g = g ? g : groups_make(gs, q->group);
    struct classic *c = g->type ? classic_of(g) : classic_new(gs, g);
    if (!accepts(gs, c, req->member_id))
        turn_away(gs, c, q);
    else if (unknown)
        join_new(gs, c, q);
    else
        join_known(gs, c, q);
    if (made && !gs->x->sink.n) // so that a restart knows the group, and its members' ids are asked for again
        classic_emit_new(gs, c);
}
