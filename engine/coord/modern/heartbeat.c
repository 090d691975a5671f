// ConsumerGroupHeartbeat (68), versions 0 and 1: joining, staying in, changing subscriptions, leaving.
#include "engine/coord/modern/modern_private.h"

#include "engine/base/log.h"
#include "proto/gen/consumer_group_heartbeat_request.h"
#include "proto/gen/consumer_group_heartbeat_response.h"

#include <string.h>

enum { MEMBER_ID_SINCE = 1 }; // from this version on, members make their own ids

typedef struct kp_consumer_group_heartbeat_request request;
typedef struct kp_consumer_group_heartbeat_response response;

// ---- checks that need no group ---------------------------------------------------------------------------------------
static bool blank(struct kp_str s)
{
    for (int32_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] > ' ')
            return false;
    return s.n >= 0;
}

static bool texts_ok(const request *m)
{
    return group_text_ok(m->member_id) && group_text_ok(m->instance_id) && group_text_ok(m->rack_id) &&
           group_text_ok(m->subscribed_topic_regex) && group_text_ok(m->server_assignor) &&
           group_texts_ok(m->subscribed_topic_names, m->subscribed_topic_names_n);
}

static void check_join(struct cg_op *op, const request *m)
{
    if (m->rebalance_timeout_ms == -1)
        cg_op_fail(op, KERR_INVALID_REQUEST, "RebalanceTimeoutMs must be provided in first request.");
    else if (m->topic_partitions_n != 0)
        cg_op_fail(op, KERR_INVALID_REQUEST, "TopicPartitions must be empty when (re-)joining.");
    else if (m->subscribed_topic_names_n < 0 && m->subscribed_topic_regex.n < 0)
        cg_op_fail(op, KERR_INVALID_REQUEST,
                   "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
}

static bool serves(const struct cg_settings *set, struct kp_str assignor)
{
    int a = cg_assignor_find(assignor);
    for (uint32_t i = 0; a >= 0 && i < set->assignors_n; i++)
        if (set->assignors[i] == (enum cg_assignor)a)
            return true;
    return false;
}

static void check_assignor(struct cg_op *op, struct kp_str assignor)
{
    if (assignor.n < 0 || serves(&op->set, assignor))
        return;
    const char *first = cg_assignor_name(op->set.assignors[0]);
    bool two = op->set.assignors_n > 1;
    cg_op_fail(op, KERR_UNSUPPORTED_ASSIGNOR,
               "ServerAssignor %.*s is not supported. Supported assignors: %s%s%s.", assignor.n, assignor.p,
               first, two ? ", " : "", two ? cg_assignor_name(op->set.assignors[1]) : "");
}

static void check_request(struct cg_op *op, const request *m, int16_t version)
{
    bool needs_id = version >= MEMBER_ID_SINCE || m->member_epoch > 0 || m->member_epoch == CG_LEAVE_EPOCH;
    if (!texts_ok(m))
        cg_op_fail(op, KERR_INVALID_REQUEST, "A text of the request has a zero byte.");
    else if (needs_id && blank(m->member_id))
        cg_op_fail(op, KERR_INVALID_REQUEST, "MemberId can't be empty.");
    else if (blank(m->group_id))
        cg_op_fail(op, KERR_INVALID_REQUEST, "GroupId can't be empty.");
    else if (blank(m->instance_id))
        cg_op_fail(op, KERR_INVALID_REQUEST, "InstanceId can't be empty.");
    else if (blank(m->rack_id))
        cg_op_fail(op, KERR_INVALID_REQUEST, "RackId can't be empty.");
    else if (m->member_epoch == 0)
        check_join(op, m);
    else if (m->member_epoch == CG_LEAVE_STATIC_EPOCH && m->instance_id.n < 0)
        cg_op_fail(op, KERR_INVALID_REQUEST, "InstanceId can't be null.");
    else if (m->member_epoch < CG_LEAVE_STATIC_EPOCH)
        cg_op_fail(op, KERR_INVALID_REQUEST, "MemberEpoch is invalid.");
    check_assignor(op, m->server_assignor);
}

// ---- the group -------------------------------------------------------------------------------------------------------
static void no_group(struct cg_op *op, bool of_other_kind)
{
    if (of_other_kind)
        cg_op_fail(op, KERR_GROUP_ID_NOT_FOUND, "Group %.*s is not a consumer group.", op->group.n,
                   op->group.p);
    else
        cg_op_fail(op, KERR_GROUP_ID_NOT_FOUND, "Consumer group %.*s not found.", op->group.n, op->group.p);
}

// A group of another kind becomes a consumer group if it is empty, or by an upgrade.
static void check_group(struct cg_op *op, bool join)
{
    struct group *g = groups_find(op->gs, op->group);
    if (g && cg_of(g))
        return;
    if (!join) {
        no_group(op, g != NULL && g->type != NULL);
        return;
    }
    if (groups_full(op->gs))
        cg_op_fail(op, KERR_COORDINATOR_NOT_AVAILABLE, "The coordinator holds as many groups as it may.");
    if (g && g->type && group_rules(g)->is_empty(g))
        group_rules(g)->tombstones(op->gs, g);
    else if (g && g->type)
        cg_upgrade(op, g);
}

static void read_owned(struct cg_op *op, const request *m, struct cg_parts *out)
{
    uint32_t total = 0;
    for (int32_t i = 0; i < m->topic_partitions_n; i++)
        total += (uint32_t)SL_MAX(m->topic_partitions[i].partitions_n, 0);
    if (cg_parts_reserve(out, total, &op->a))
        sl_panic("coordinator: out of memory for a heartbeat");
    for (int32_t i = 0; i < m->topic_partitions_n; i++)
        for (int32_t k = 0; k < m->topic_partitions[i].partitions_n; k++)
            cg_parts_push(out, &m->topic_partitions[i].topic_id, m->topic_partitions[i].partitions[k], 0);
    cg_parts_sort(out);
}

static struct kp_str or_before(struct kp_str s, struct kp_str before)
{
    return s.n < 0 ? before : s;
}

static struct kp_str or_empty(struct kp_str s)
{
    return s.n < 0 ? KP_STR_LIT("") : s;
}

// A heartbeat says what changed; what is null is as before.
static void read_news(struct cg_op *op, const struct coord_req *q, const request *m)
{
    struct cg_meta *is = &op->m.meta;
    is->instance_id = or_before(m->instance_id, is->instance_id);
    is->rack_id = or_before(m->rack_id, is->rack_id);
    is->assignor = or_before(m->server_assignor, is->assignor);
    is->regex = or_before(m->subscribed_topic_regex, is->regex);
    is->rebalance_ms = m->rebalance_timeout_ms == -1 ? is->rebalance_ms : m->rebalance_timeout_ms;
    is->client_id = or_empty(q->client_id);
    is->client_host = or_empty(q->client_host);
    is->classic = NULL;
    if (m->subscribed_topic_names_n < 0)
        return;
    uint32_t n = (uint32_t)m->subscribed_topic_names_n;
    is->topics = arena_array(&op->a, n, sizeof(*is->topics));
    if (!is->topics)
        sl_panic("coordinator: out of memory for a heartbeat");
    if (n)
        memcpy(is->topics, m->subscribed_topic_names, n * sizeof(*is->topics));
    is->topics_n = cg_str_sort(is->topics, n);
}

// ---- the answer ------------------------------------------------------------------------------------------------------
static void put_assignment(struct coord_req *q, const struct cg_parts *s, response *out)
{
    uint32_t from, to = 0;
    out->assignment = req_zalloc(q, sizeof(*out->assignment));
    out->assignment->topic_partitions = req_zalloc(q, s->n * sizeof(*out->assignment->topic_partitions));
    while (cg_parts_next_topic(s, &from, &to)) {
        struct kp_consumer_group_heartbeat_response_topic_partitions *t =
            &out->assignment->topic_partitions[out->assignment->topic_partitions_n++];
        t->topic_id = s->v[from].topic;
        t->partitions_n = (int32_t)(to - from);
        t->partitions = req_zalloc(q, (to - from) * sizeof(*t->partitions));
        for (uint32_t i = from; i < to; i++)
            t->partitions[i - from] = s->v[i].partition;
    }
}

static response *new_response(struct coord_req *q, struct kp_str id, int32_t epoch)
{
    response *out = req_zalloc(q, sizeof(*out));
    kp_consumer_group_heartbeat_response_init(out);
    out->member_id = req_str(q, id);
    out->member_epoch = epoch;
    return out;
}

// changed: the assignment is another one than before.
static void answer(struct cg_op *op, struct coord_req *q, bool changed)
{
    const request *in = q->in;
    const struct cg_member *m = cg_find(op->cg, op->m.id);
    response *out = new_response(q, op->m.id, m->at.epoch);
    bool full = in->rebalance_timeout_ms != -1 && in->topic_partitions_n >= 0 &&
                (in->subscribed_topic_names_n >= 0 || in->subscribed_topic_regex.n >= 0);
    out->heartbeat_interval_ms = op->set.heartbeat_ms;
    if (in->member_epoch == 0 || full || changed)
        put_assignment(q, &m->at.assigned, out);
    q->out = out;
    coord_answer(op->gs->x, q);
}

// ---- joining and staying ---------------------------------------------------------------------------------------------
static struct kp_str member_id(struct cg_op *op, const request *m)
{
    char *id = arena_alloc(&op->a, 37);
    if (m->member_id.n > 0)
        return m->member_id;
    if (!id)
        sl_panic("coordinator: out of memory for a member id");
    coord_random_uuid(op->gs->x, id);
    return kp_str_of(id);
}

// True: the member gets another assignment than before.
static bool beat(struct cg_op *op, struct coord_req *q)
{
    const request *m = q->in;
    bool join = m->member_epoch == 0;
    struct cg_parts parts = {0}, *owned = m->topic_partitions_n >= 0 ? &parts : NULL;
    read_owned(op, m, &parts);
    check_group(op, join);
    if (op->error || cg_full(op, m->member_id))
        return false;
    if (m->instance_id.n < 0)
        cg_find_dynamic(op, member_id(op, m), m->member_epoch, owned, join, false);
    else
        cg_find_instance(op, member_id(op, m), m->instance_id, m->member_epoch, owned, join, false);
    if (op->error)
        return false;
    read_news(op, q, m);
    struct cg_news news = cg_take_over(op);
    cg_update_epoch(op, news.topics || news.regex == CG_REGEX_RESOLVED);
    cg_update_target(op);
    cg_move_on(op, news.topics || news.regex != CG_REGEX_SAME, owned);
    return !cg_parts_equal(&op->old.at.assigned, &op->m.at.assigned);
}

// ---- leaving ---------------------------------------------------------------------------------------------------------
// A static member that will be back keeps its place; that it is away shows in its epoch.
static void step_out(struct cg_op *op, const struct cg_member *m)
{
    struct cg_progress at = m->at;
    if (cg_parts_union(&m->at.assigned, &(struct cg_parts){0}, &at.assigned, &op->a))
        sl_panic("coordinator: out of memory for a heartbeat");
    at.epoch = CG_LEAVE_STATIC_EPOCH;
    at.revoking = (struct cg_parts){0};
    for (uint32_t i = 0; i < at.assigned.n; i++)
        at.assigned.v[i].epoch = 0;
    cg_emit_current(op, kp_str_of(m->id), &at);
}

static void leave(struct cg_op *op, const request *m)
{
    struct group *g = groups_find(op->gs, op->group);
    if (!g || !cg_of(g)) {
        if (g && g->type)
            no_group(op, true);
        else
            cg_op_fail(op, KERR_GROUP_ID_NOT_FOUND, "Group %.*s not found.", op->group.n, op->group.p);
        return;
    }
    if (m->instance_id.n < 0)
        cg_find_dynamic(op, m->member_id, 0, NULL, false, false);
    else
        cg_find_instance(op, m->member_id, m->instance_id, 0, NULL, false, false);
    if (op->error)
        return;
    if (m->instance_id.n >= 0 && m->member_epoch == CG_LEAVE_STATIC_EPOCH)
        step_out(op, op->present);
    else
        cg_fence(op, &op->present, 1);
}

void cg_heartbeat(struct groups *gs, struct coord_req *q)
{
    const request *m = q->in;
    bool leaving = m->member_epoch == CG_LEAVE_EPOCH || m->member_epoch == CG_LEAVE_STATIC_EPOCH;
    bool changed = false;
    struct cg_op op;
    cg_op_begin(&op, gs, q->group);
    check_request(&op, m, q->version);
    if (!op.error && leaving)
        leave(&op, m);
    else if (!op.error)
        changed = beat(&op, q);
    if (!cg_op_end(&op)) {
        cg_op_answer_error(&op, q);
    } else if (leaving) {
        q->out = new_response(q, m->member_id, m->member_epoch);
        coord_answer(gs->x, q);
    } else {
        cg_after_member(&op, op.set.session_ms);
        answer(&op, q, changed);
    }
    cg_op_free(&op);
}
