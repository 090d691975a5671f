// The member of a request: found, made or refused; what it brings; the group's epoch.
#include "engine/coord/modern/modern_private.h"
#include "engine/coord/modern/regex.h"

#include "engine/base/log.h"

#include <string.h>

#define STR(s) (s).n, (s).p

// ---- finding ---------------------------------------------------------------------------------------------------------
static struct cg_draft draft_of(const struct cg_member *m)
{
    return (struct cg_draft){.id = kp_str_of(m->id), .meta = m->meta, .at = m->at};
}

static void begin_new(struct cg_op *op, struct kp_str id)
{
    op->old = op->m = (struct cg_draft){.id = id, .meta = CG_META_NONE};
}

static void begin_present(struct cg_op *op, const struct cg_member *m)
{
    op->present = m;
    op->old = op->m = draft_of(m);
}

// Epoch 0 joins, or comes back after it was fenced. The previous epoch is accepted while the member holds no more than
// it should: the answer that told it the new one may have been lost.
static void check_epoch(struct cg_op *op, const struct cg_member *m, int32_t epoch,
                        const struct cg_parts *owned)
{
    if (epoch == 0 || epoch == m->at.epoch)
        return;
    if (epoch > m->at.epoch)
        cg_op_fail(
            op, KERR_FENCED_MEMBER_EPOCH,
            "The consumer group member has a greater member epoch (%d) than the one known by the group "
            "coordinator (%d). The member must abandon all its partitions and rejoin.",
            epoch, m->at.epoch);
    else if (epoch != m->at.previous_epoch || !owned || !cg_parts_subset(owned, &m->at.assigned))
        cg_op_fail(
            op, KERR_FENCED_MEMBER_EPOCH,
            "The consumer group member has a smaller member epoch (%d) than the one known by the group "
            "coordinator (%d). The member must abandon all its partitions and rejoin.",
            epoch, m->at.epoch);
}

int16_t cg_full(struct cg_op *op, struct kp_str member_id)
{
    if (op->cg->joined_n < op->set.max_size || cg_find(op->cg, member_id))
        return KERR_NONE;
    return cg_op_fail(op, KERR_GROUP_MAX_SIZE_REACHED,
                      "The consumer group has reached its maximum capacity of %u members.", op->set.max_size);
}

void cg_find_dynamic(struct cg_op *op, struct kp_str id, int32_t epoch, const struct cg_parts *owned,
                     bool create, bool classic)
{
    const struct cg_member *m = cg_find(op->cg, id);
    if (!m && !create) {
        cg_op_fail(op, KERR_UNKNOWN_MEMBER_ID, "Member %.*s is not a member of group %.*s.", STR(id),
                   STR(op->group));
        return;
    }
    if (!m) {
        begin_new(op, id);
        return;
    }
    if (!classic)
        check_epoch(op, m, epoch, owned);
    begin_present(op, m);
}

// The new member takes over what the old one had, under its own id; that it starts at epoch 0 makes its answer whole.
static void replace(struct cg_op *op, const struct cg_member *was, struct kp_str id)
{
    begin_present(op, was);
    op->m.id = id;
    op->m.at.epoch = op->m.at.previous_epoch = 0;
    op->old = op->m;
    cg_emit_gone(op, kp_str_of(was->id));
    cg_emit_member(op, &op->m);
    cg_emit_target(op, id, &was->target);
    cg_emit_current(op, id, &op->m.at);
}

void cg_find_instance(struct cg_op *op, struct kp_str id, struct kp_str instance, int32_t epoch,
                      const struct cg_parts *owned, bool create, bool classic)
{
    const struct cg_member *was = cg_find_static(op->cg, instance);
    if (create && !was) {
        const struct cg_member *m = cg_find(op->cg, id);
        if (m)
            begin_present(op, m);
        else
            begin_new(op, id);
    } else if (create) {
        if (!classic && !was->meta.classic && was->at.epoch != CG_LEAVE_STATIC_EPOCH)
            cg_op_fail(
                op, KERR_UNRELEASED_INSTANCE_ID,
                "Static member %.*s with instance id %.*s cannot join the group because the instance id is "
                "owned by %s member.",
                STR(id), STR(instance), was->id);
        else
            replace(op, was, id);
    } else if (!was) {
        cg_op_fail(op, KERR_UNKNOWN_MEMBER_ID, "Instance id %.*s is unknown.", STR(instance));
    } else if (!kp_str_eq(kp_str_of(was->id), id)) {
        cg_op_fail(op, KERR_FENCED_INSTANCE_ID,
                   "Static member %.*s with instance id %.*s was fenced by member %s.", STR(id),
                   STR(instance), was->id);
    } else {
        if (!classic)
            check_epoch(op, was, epoch, owned);
        begin_present(op, was);
    }
}

// ---- what it brings --------------------------------------------------------------------------------------------------
static bool same_strings(const struct kp_str *a, uint32_t an, const struct kp_str *b, uint32_t bn)
{
    if (an != bn)
        return false;
    for (uint32_t i = 0; i < an; i++)
        if (!kp_str_eq(a[i], b[i]))
            return false;
    return true;
}

static bool same_classic(const struct cg_classic *a, const struct cg_classic *b)
{
    if (!a || !b)
        return a == b;
    if (a->session_ms != b->session_ms || a->protocols_n != b->protocols_n)
        return false;
    for (uint32_t i = 0; i < a->protocols_n; i++) {
        const struct cg_classic_protocol *x = &a->protocols[i], *y = &b->protocols[i];
        if (!kp_str_eq(x->name, y->name) || x->metadata.n != y->metadata.n ||
            (x->metadata.n > 0 && memcmp(x->metadata.p, y->metadata.p, (size_t)x->metadata.n)))
            return false;
    }
    return true;
}

static bool same_meta(const struct cg_meta *a, const struct cg_meta *b)
{
    return kp_str_eq(a->instance_id, b->instance_id) && kp_str_eq(a->rack_id, b->rack_id) &&
           kp_str_eq(a->client_id, b->client_id) && kp_str_eq(a->client_host, b->client_host) &&
           kp_str_eq(a->regex, b->regex) && kp_str_eq(a->assignor, b->assignor) &&
           a->rebalance_ms == b->rebalance_ms &&
           same_strings(a->topics, a->topics_n, b->topics, b->topics_n) &&
           same_classic(a->classic, b->classic);
}

static void check_regex(struct cg_op *op, struct kp_str regex)
{
    const char *why = "";
    struct cg_regex *re = cg_regex_compile(regex.p, (size_t)regex.n, &why);
    if (!re)
        cg_op_fail(op, KERR_INVALID_REGULAR_EXPRESSION,
                   "SubscribedTopicRegex `%.*s` is not a valid regular expression: %s.", STR(regex), why);
    cg_regex_free(re);
}

static enum cg_regex_change take_regex(struct cg_op *op)
{
    const struct cg_meta *was = &op->old.meta, *is = &op->m.meta;
    if (kp_str_eq(was->regex, is->regex))
        return CG_REGEX_SAME;
    const struct cg_pattern *old = cg_pattern_find(op->cg, was->regex);
    const struct cg_pattern *new = cg_pattern_find(op->cg, is->regex);
    if (old && old->members == 1)
        cg_emit_regex_end(op, was->regex);
    if (!cg_has_regex(is))
        return cg_has_regex(was) ? CG_REGEX_RESOLVED : CG_REGEX_CHANGED;
    if (!new || !new->members) { // nobody used it so far: is it one at all?
        check_regex(op, is->regex);
        op->search = true;
        return CG_REGEX_CHANGED;
    }
    return new->resolved ? CG_REGEX_RESOLVED : CG_REGEX_CHANGED;
}

struct cg_news cg_take_over(struct cg_op *op)
{
    const struct cg_meta *was = &op->old.meta, *is = &op->m.meta;
    struct cg_news news = {0};
    if (!op->present || !same_meta(was, is)) {
        cg_emit_member(op, &op->m);
        news.topics = !same_strings(was->topics, was->topics_n, is->topics, is->topics_n);
    }
    news.regex = take_regex(op);
    return news;
}

// ---- the group's epoch -----------------------------------------------------------------------------------------------
void cg_update_epoch(struct cg_op *op, bool bump)
{
    const struct groups_env *env = op->gs->env;
    uint64_t image = env->topics->version(env->r);
    if (op->error || (!bump && op->cg->image_seen == image))
        return;
    struct cg_change change = {.old_meta = op->present ? &op->old.meta : NULL,
                               .new_meta = &op->m.meta,
                               .members = op->cg->joined_n + (op->present == NULL)};
    struct cg_after after;
    cg_subscriptions_after(op, &change, &after);
    op->homogeneous = after.homogeneous;
    op->homogeneous_known = true;
    if (bump || after.hash != op->cg->hash) {
        op->epoch = cg_next_epoch(op->cg->epoch);
        cg_emit_epoch(op, op->epoch, after.hash);
    }
    if (op->cg->old_metadata)
        cg_emit_old_metadata_end(op);
    op->image = image;
}

void cg_after_member(struct cg_op *op, int32_t session_ms)
{
    SL_ASSERT(op->cg && !op->error);
    struct cg_member *m = cg_find(op->cg, op->m.id);
    struct coord_ctx *x = op->gs->x;
    SL_ASSERT(m);
    if (op->image)
        op->cg->image_seen = op->image;
    coord_timer_set(x, &m->session, session_ms);
    if (op->rebalance_timer == CG_TIMER_SET) {
        m->rebalance_epoch = m->at.epoch;
        coord_timer_set(x, &m->rebalance, m->meta.rebalance_ms);
    } else if (op->rebalance_timer == CG_TIMER_CANCEL) {
        coord_timer_cancel(x, &m->rebalance);
    }
    cg_search_start(op->cg, op->search);
}
