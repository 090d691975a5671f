// Members of the classic protocol in a consumer group: their JoinGroup, SyncGroup, Heartbeat and LeaveGroup. A join is a
// heartbeat that tells everything; what it answers is a generation (the member's epoch), and SyncGroup collects the
// assignment. That there is something new, a heartbeat tells by REBALANCE_IN_PROGRESS.
#include "engine/coord/modern/consumer_protocol.h"
#include "engine/coord/modern/modern_private.h"

#include "engine/coord/classic.h"
#include "proto/gen/heartbeat_request.h"
#include "proto/gen/heartbeat_response.h"
#include "proto/gen/leave_group_request.h"
#include "proto/gen/leave_group_response.h"

#include <string.h>

enum { KNOWN_MEMBER_ID_SINCE = 4 };

typedef struct kp_join_group_request join_request;

// ---- join ------------------------------------------------------------------------------------------------------------
// Every member of the classic protocol must have it.
static bool common(const struct cg *c, struct kp_str name)
{
    struct cg_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    {
        bool has = !m->meta.classic;
        for (uint32_t i = 0; !has && i < m->meta.classic->protocols_n; i++)
            has = kp_str_eq(m->meta.classic->protocols[i].name, name);
        if (!has)
            return false;
    }
    return true;
}

static bool supported(const struct cg *c, const join_request *m)
{
    if (!kp_str_eq(m->protocol_type, KP_STR_LIT("consumer")))
        return false;
    for (int32_t i = 0; i < m->protocols_n; i++)
        if (common(c, m->protocols[i].name))
            return true;
    return false;
}

static void check_join(struct cg_op *op, const join_request *m, struct kp_str id)
{
    if (!op->set.migration)
        cg_op_fail(
            op, KERR_INCONSISTENT_GROUP_PROTOCOL,
            "Cannot join the consumer group %.*s with the classic protocol because the group migration is "
            "disabled.",
            op->group.n, op->group.p);
    else if (!cg_full(op, id) && !supported(op->cg, m))
        cg_op_fail(op, KERR_INCONSISTENT_GROUP_PROTOCOL, "Member %.*s's protocols are not supported.", id.n,
                   id.p);
}

static struct cg_classic *classic_of_request(struct cg_op *op, const join_request *m)
{
    struct cg_classic *c = arena_zalloc(&op->a, sizeof(*c));
    struct cg_classic_protocol *p = arena_array(&op->a, (size_t)m->protocols_n, sizeof(*p));
    if (!c || !p)
        sl_panic("coordinator: out of memory for a join");
    *c = (struct cg_classic){.session_ms = m->session_timeout_ms, .protocols = p};
    for (int32_t i = 0; i < m->protocols_n; i++)
        p[c->protocols_n++] = (struct cg_classic_protocol){m->protocols[i].name, m->protocols[i].metadata};
    return c;
}

static struct kp_str or_empty(struct kp_str s)
{
    return s.n < 0 ? KP_STR_LIT("") : s;
}

static void read_member(struct cg_op *op, const struct coord_req *q, const struct cg_subscription *s)
{
    const join_request *m = q->in;
    struct cg_meta *is = &op->m.meta;
    if (m->group_instance_id.n >= 0)
        is->instance_id = m->group_instance_id;
    if (s->rack.n >= 0)
        is->rack_id = s->rack;
    if (m->rebalance_timeout_ms != -1)
        is->rebalance_ms = m->rebalance_timeout_ms;
    is->topics = s->topics;
    is->topics_n = s->topics_n;
    is->regex = KP_STR_LIT("");
    is->client_id = or_empty(q->client_id);
    is->client_host = or_empty(q->client_host);
    is->classic = classic_of_request(op, m);
}

// A static member of the consumer protocol comes back with the classic one, and was the last of its kind.
static bool downgrades(const struct cg_op *op)
{
    const struct cg *c = op->cg;
    return op->present && op->present->is_static && !op->present->meta.classic &&
           c->classic_n == c->joined_n - 1 && (op->set.migration & CG_MAY_DOWNGRADE) &&
           c->joined_n <= op->set.classic_max_size;
}

static void join(struct cg_op *op, struct coord_req *q, struct kp_str id)
{
    const join_request *m = q->in;
    struct cg_subscription s;
    if (m->group_instance_id.n < 0)
        cg_find_dynamic(op, id, -1, NULL, true, true);
    else
        cg_find_instance(op, id, m->group_instance_id, -1, NULL, m->member_id.n <= 0, true);
    if (op->error)
        return;
    if (cg_read_subscription(op, m->protocols[0].metadata, &s)) {
        cg_op_fail(op, KERR_UNKNOWN_SERVER_ERROR, "Malformed embedded consumer protocol.");
        return;
    }
    read_member(op, q, &s);
    struct cg_news news = cg_take_over(op);
    bool bump = news.topics || news.regex != CG_REGEX_SAME;
    cg_update_epoch(op, bump);
    if (!op->error && downgrades(op)) {
        int32_t generation = op->cg->epoch;
        cg_downgrade(op, NULL, 0, true);
        op->m.at.epoch = generation;
        return;
    }
    cg_update_target(op);
    cg_move_on(op, bump, &s.owned);
}

static void answer_join(struct cg_op *op, struct coord_req *q, struct kp_str id, int32_t epoch)
{
    const join_request *m = q->in;
    struct kp_join_group_response *out = req_zalloc(q, sizeof(*out));
    kp_join_group_response_init(out);
    out->member_id = req_str(q, id);
    out->generation_id = epoch;
    out->protocol_type = KP_STR_LIT("consumer");
    out->protocol_name = req_str(q, m->protocols[0].name);
    out->leader = KP_STR_LIT("");
    q->out = out;
    coord_answer(op->gs->x, q);
}

static void ask_again(struct groups *gs, struct coord_req *q, struct kp_str id)
{
    struct kp_join_group_response *out = req_zalloc(q, sizeof(*out));
    kp_join_group_response_init(out);
    out->error_code = KERR_MEMBER_ID_REQUIRED;
    out->member_id = req_str(q, id);
    out->protocol_name = KP_STR_NULL;
    out->leader = KP_STR_LIT("");
    q->out = out;
    coord_answer(gs->x, q);
}

static void set_classic_timers(struct cg_op *op, const join_request *m)
{
    struct cg_member *is = cg_find(op->cg, op->m.id);
    coord_timer_cancel(op->gs->x, &is->join);
    coord_timer_set(op->gs->x, &is->sync, m->rebalance_timeout_ms);
}

// The group is empty: it becomes a classic one, as if it had not been there.
static void join_empty(struct groups *gs, struct group *g, struct coord_req *q)
{
    const join_request *m = q->in;
    if (m->member_id.n > 0) {
        coord_answer_error(gs->x, q, KERR_UNKNOWN_MEMBER_ID);
        return;
    }
    if (gs->x->letting_go ||
        groups_full(gs)) { // the same that classic_join would say, before anything is changed
        coord_answer_error(gs->x, q,
                           gs->x->letting_go ? KERR_NOT_COORDINATOR : KERR_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    cg_tombstones(gs, g);
    uint32_t n = gs->x->sink.n;
    group_reset(gs, g, NULL, NULL);
    classic_join(gs, g, q);
    if (group_kind(g) == GROUP_CLASSIC && gs->x->sink.n == n)
        classic_emit_new(gs, classic_of(g));
}

void cg_classic_join(struct groups *gs, struct group *g, struct coord_req *q)
{
    const join_request *m = q->in;
    struct cg_op op;
    char uuid[37];
    if (!cg_of(g)->joined_n) {
        join_empty(gs, g, q);
        return;
    }
    cg_op_begin(&op, gs, q->group);
    coord_random_uuid(gs->x, uuid);
    struct kp_str id = m->member_id.n > 0 ? m->member_id : kp_str_of(uuid);
    check_join(&op, m, id);
    if (!op.error && m->member_id.n <= 0 && m->group_instance_id.n < 0 &&
        q->version >= KNOWN_MEMBER_ID_SINCE) {
        ask_again(gs, q, id);
        cg_op_free(&op);
        return;
    }
    if (!op.error)
        join(&op, q, id);
    int32_t epoch = op.m.at.epoch;
    if (!cg_op_end(&op)) {
        cg_op_answer_error(&op, q);
    } else {
        answer_join(&op, q, id, epoch); // op.m may be gone with the group
        if (op.cg) {
            cg_after_member(&op, m->session_timeout_ms);
            set_classic_timers(&op, m);
        }
    }
    cg_op_free(&op);
}

// ---- sync and heartbeat ------------------------------------------------------------------------------------------------
// The member of a request, if it may speak; else op->error.
static struct cg_member *speaker(struct cg_op *op, struct kp_str id, struct kp_str instance,
                                 int32_t generation)
{
    if (instance.n < 0)
        cg_find_dynamic(op, id, 0, NULL, false, true);
    else
        cg_find_instance(op, id, instance, 0, NULL, false, true);
    const struct cg_member *m = op->present;
    if (op->error)
        return NULL;
    if (!m->meta.classic)
        cg_op_fail(op, KERR_UNKNOWN_MEMBER_ID, "Member %s does not use the classic protocol.", m->id);
    else if (generation != m->at.epoch)
        cg_op_fail(op, KERR_ILLEGAL_GENERATION,
                   "The request generation id %d is not equal to the member epoch %d of member %s.",
                   generation, m->at.epoch, m->id);
    return op->error ? NULL : cg_find(op->cg, kp_str_of(m->id));
}

static void must_join_soon(struct cg_op *op, struct cg_member *m)
{
    if (!m->join.armed)
        coord_timer_set(op->gs->x, &m->join, m->meta.rebalance_ms);
}

static bool differs(struct kp_str asked, struct kp_str is)
{
    return asked.n >= 0 && !kp_str_eq(asked, is);
}

void cg_classic_sync(struct groups *gs, struct group *g, struct coord_req *q)
{
    const struct kp_sync_group_request *in = q->in;
    struct cg_op op;
    cg_op_begin(&op, gs, q->group);
    struct cg_member *m = speaker(&op, in->member_id, in->group_instance_id, in->generation_id);
    if (m && (differs(in->protocol_type, KP_STR_LIT("consumer")) ||
              differs(in->protocol_name, m->meta.classic->protocols[0].name))) {
        cg_op_fail(&op, KERR_INCONSISTENT_GROUP_PROTOCOL, "The protocol of member %s is another one.", m->id);
    } else if (m && op.cg->target_epoch > m->at.epoch && m->at.state != CG_MEMBER_UNREVOKED) {
        must_join_soon(&op, m);
        cg_op_fail(&op, KERR_REBALANCE_IN_PROGRESS,
                   "A new rebalance is triggered and member %s should rejoin.", m->id);
    }
    if (op.error) {
        cg_op_answer_error(&op, q);
    } else {
        struct kp_sync_group_response *out = req_zalloc(q, sizeof(*out));
        kp_sync_group_response_init(out);
        coord_timer_cancel(gs->x, &m->sync);
        coord_timer_set(gs->x, &m->session, m->meta.classic->session_ms);
        out->protocol_type = in->protocol_type;
        out->protocol_name = in->protocol_name;
        out->assignment = req_bytes(q, cg_write_assignment(&op, &m->at.assigned, m->meta.classic));
        q->out = out;
        coord_answer(gs->x, q);
    }
    cg_op_free(&op);
}

// Whether somebody else still holds a partition that the member is to get.
static bool waits(const struct cg *c, const struct cg_member *m)
{
    for (uint32_t i = 0; i < m->target.n; i++) {
        const struct cg_part *p = &m->target.v[i];
        if (!cg_parts_find(&m->at.assigned, &p->topic, p->partition) && cg_is_held(c, p))
            return true;
    }
    return false;
}

void cg_classic_heartbeat(struct groups *gs, struct group *g, struct coord_req *q)
{
    const struct kp_heartbeat_request *in = q->in;
    struct cg_op op;
    cg_op_begin(&op, gs, q->group);
    struct cg_member *m = speaker(&op, in->member_id, in->group_instance_id, in->generation_id);
    if (!m) {
        cg_op_answer_error(&op, q);
    } else {
        struct kp_heartbeat_response *out = req_zalloc(q, sizeof(*out));
        kp_heartbeat_response_init(out);
        coord_timer_set(gs->x, &m->session, m->meta.classic->session_ms);
        if (m->at.epoch < op.cg->target_epoch || m->at.state == CG_MEMBER_UNREVOKED ||
            (m->at.state == CG_MEMBER_UNRELEASED && !waits(op.cg, m))) {
            out->error_code = KERR_REBALANCE_IN_PROGRESS;
            must_join_soon(&op, m);
        }
        q->out = out;
        coord_answer(gs->x, q);
    }
    cg_op_free(&op);
}

// ---- leave -----------------------------------------------------------------------------------------------------------
static int16_t find_leaving(const struct cg *c, struct kp_str id, struct kp_str instance,
                            const struct cg_member **out)
{
    *out = instance.n < 0 ? cg_find(c, id) : cg_find_static(c, instance);
    if (!*out)
        return KERR_UNKNOWN_MEMBER_ID;
    // An administrator who removes a static member does not know its id.
    bool fenced = instance.n >= 0 && id.n > 0 && !kp_str_eq(kp_str_of((*out)->id), id);
    return fenced ? KERR_FENCED_INSTANCE_ID : KERR_NONE;
}

static bool listed(const struct cg_member *const *v, uint32_t n, const struct cg_member *m)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i] == m)
            return true;
    return false;
}

void cg_classic_leave(struct groups *gs, struct group *g, struct coord_req *q)
{
    const struct kp_leave_group_request *in = q->in;
    struct kp_leave_group_response *out = req_zalloc(q, sizeof(*out));
    struct cg_op op;
    uint32_t n = 0;
    cg_op_begin(&op, gs, q->group);
    kp_leave_group_response_init(out);
    out->members_n = SL_MAX(in->members_n, 0);
    out->members = req_zalloc(q, (size_t)out->members_n * sizeof(*out->members));
    const struct cg_member **gone = req_zalloc(q, (size_t)out->members_n * sizeof(struct cg_member *));
    for (int32_t i = 0; i < out->members_n; i++) {
        const struct cg_member *m;
        out->members[i].member_id = in->members[i].member_id;
        out->members[i].group_instance_id = in->members[i].group_instance_id;
        out->members[i].error_code =
            find_leaving(op.cg, in->members[i].member_id, in->members[i].group_instance_id, &m);
        if (!out->members[i].error_code && !listed(gone, n, m))
            gone[n++] = m;
    }
    cg_fence(&op, gone, n);
    if (cg_op_end(&op)) {
        q->out = out;
        coord_answer(gs->x, q);
    } else {
        cg_op_answer_error(&op, q);
    }
    cg_op_free(&op);
}
