// A classic group becomes a consumer group when a member of the consumer protocol joins it, and a consumer group becomes
// a classic one when its last member of the consumer protocol goes (KIP-848, group.consumer.migration.policy).
//
// Both conversions happen within the operation that asks for them: the records of the new kind lie in one batch with the
// tombstones of the old one.
#include "engine/coord/modern/consumer_protocol.h"
#include "engine/coord/modern/modern_private.h"

#include "engine/base/log.h"
#include "engine/coord/classic.h"

#include <string.h>

static void *scratch(struct cg_op *op, size_t n)
{
    void *p = arena_zalloc(&op->a, n);
    if (!p)
        sl_panic("coordinator: out of memory to convert %.*s", op->group.n, op->group.p);
    return p;
}

// ---- upgrade ---------------------------------------------------------------------------------------------------------
static void check_upgrade(struct cg_op *op, const struct classic *c)
{
    const char *why = NULL;
    if (!(op->set.migration & CG_MAY_UPGRADE))
        why = "online upgrade is disabled";
    else if (!classic_is_consumer(c))
        why = "the group does not use the consumer embedded protocol";
    else if (classic_size(c) > op->set.max_size)
        why = "the group size exceeds the consumer group maximum size";
    if (why)
        cg_op_fail(op, KERR_GROUP_ID_NOT_FOUND,
                   "Cannot upgrade classic group %.*s to consumer group because %s.", op->group.n,
                   op->group.p, why);
}

static void malformed(struct cg_op *op)
{
    cg_op_fail(
        op, KERR_GROUP_ID_NOT_FOUND,
        "Cannot upgrade classic group %.*s to consumer group because the embedded consumer protocol is "
        "malformed.",
        op->group.n, op->group.p);
}

static struct cg_classic *classic_meta(struct cg_op *op, const struct classic_member *m)
{
    struct cg_classic *out = scratch(op, sizeof(*out));
    out->session_ms = m->session_ms;
    out->protocols = scratch(op, m->protocols_n * sizeof(*out->protocols));
    for (uint32_t i = 0; i < m->protocols_n; i++)
        out->protocols[out->protocols_n++] =
            (struct cg_classic_protocol){kp_str_of(m->protocols[i].name),
                                         {m->protocols[i].metadata, (int32_t)m->protocols[i].metadata_len}};
    return out;
}

// The member as it will be: stable, with what it was last assigned.
static void upgrade_member(struct cg_op *op, const struct classic *c, const struct classic_member *m,
                           struct cg_draft *d)
{
    const char *protocol = c->protocol ? c->protocol : m->protocols_n ? m->protocols[0].name : NULL;
    struct cg_subscription s;
    *d = (struct cg_draft){.id = kp_str_of(m->id), .meta = CG_META_NONE};
    d->at.epoch = d->at.previous_epoch = c->generation;
    if (cg_read_subscription(op, classic_metadata(m, protocol), &s) ||
        cg_read_assignment(op, (struct kp_bytes){m->assignment, (int32_t)m->assignment_len}, c->generation,
                           &d->at.assigned)) {
        malformed(op);
        return;
    }
    d->meta.instance_id = kp_str_of(m->instance_id);
    d->meta.rack_id = s.rack;
    d->meta.rebalance_ms = m->rebalance_ms;
    d->meta.client_id = kp_str_of(m->client_id);
    d->meta.client_host = kp_str_of(m->client_host);
    d->meta.topics = s.topics;
    d->meta.topics_n = s.topics_n;
    d->meta.classic = classic_meta(op, m);
}

// An assignment comes from a client: it may give a partition to two members, which no consumer group may have.
static void check_owners(struct cg_op *op, const struct cg_draft *v, uint32_t n)
{
    struct cg_parts all = {0};
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += v[i].at.assigned.n;
    if (cg_parts_reserve(&all, total, &op->a))
        sl_panic("coordinator: out of memory to convert %.*s", op->group.n, op->group.p);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < v[i].at.assigned.n; k++)
            all.v[all.n++] = v[i].at.assigned.v[k];
    cg_parts_sort(&all);
    if (all.n != total)
        malformed(op);
}

static void emit_upgraded(struct cg_op *op, const struct classic *c, const struct cg_draft *v, uint32_t n)
{
    struct kp_str *names;
    uint32_t names_n = 0;
    for (uint32_t i = 0; i < n; i++)
        names_n += v[i].meta.topics_n;
    names = scratch(op, names_n * sizeof(*names));
    names_n = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < v[i].meta.topics_n; k++)
            names[names_n++] = v[i].meta.topics[k];
    for (uint32_t i = 0; i < n; i++)
        cg_emit_member(op, &v[i]);
    cg_emit_epoch(op, c->generation, cg_hash_names(op, names, cg_str_sort(names, names_n)));
    for (uint32_t i = 0; i < n; i++)
        cg_emit_target(op, v[i].id, &v[i].at.assigned);
    cg_emit_target_epoch(op, c->generation, 0);
    for (uint32_t i = 0; i < n; i++)
        cg_emit_current(op, v[i].id, &v[i].at);
}

// Who waits for the end of a rebalance hears that there is another one.
static void answer_waiting(struct groups *gs, struct classic *c)
{
    struct classic_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    {
        classic_answer_join(gs, c, m, KERR_REBALANCE_IN_PROGRESS, false);
        if (m->sync)
            coord_answer_error(gs->x, m->sync, KERR_REBALANCE_IN_PROGRESS);
        m->sync = NULL;
    }
}

void cg_upgrade(struct cg_op *op, struct group *g)
{
    struct classic_member *m, *tmp;
    struct classic *c = classic_of(g);
    uint32_t n = 0;
    SL_ASSERT(group_kind(g) == GROUP_CLASSIC);
    check_upgrade(op, c);
    struct cg_draft *v = scratch(op, (classic_size(c) + 1u) * sizeof(*v));
    if (op->error)
        return;
    HASH_ITER(hh, c->members, m, tmp)
    if (!op->error)
        upgrade_member(op, c, m, &v[n++]);
    if (!op->error)
        check_owners(op, v, n);
    if (op->error)
        return;
    classic_emit_tombstone(op->gs, g);
    emit_upgraded(op, c, v, n);
    if (op->error || !coord_fits(op->gs->x)) {
        cg_op_fail(op, KERR_UNKNOWN_SERVER_ERROR, "The records of this change are too large for one batch.");
        return;
    }
    answer_waiting(op->gs, c);
    sl_log(SL_INFO, "coord", "group=%s becomes a consumer group with %u members", g->id, n);
    if (!cg_op_end(op))
        return;
    op->epoch = op->cg->epoch;
    struct cg_member *is, *next;
    HASH_ITER(hh, op->cg->members, is, next)
    coord_timer_set(op->gs->x, &is->session, is->meta.classic->session_ms);
}

// ---- downgrade -------------------------------------------------------------------------------------------------------
bool cg_may_downgrade(const struct cg_op *op, const struct cg_member *const *gone, uint32_t n)
{
    const struct cg *c = op->cg;
    uint32_t classic = c->classic_n, left = c->joined_n - n;
    for (uint32_t i = 0; i < n; i++)
        classic -= gone[i]->meta.classic != NULL;
    return left > 0 && classic == left && (op->set.migration & CG_MAY_DOWNGRADE) &&
           left <= op->set.classic_max_size;
}

static bool among(const struct cg_member *m, const struct cg_member *const *gone, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (gone[i] == m)
            return true;
    return false;
}

static void add_member(struct cg_op *op, struct classic *c, struct kp_str id, const struct cg_meta *meta,
                       const struct cg_parts *target)
{
    const struct cg_classic *classic = meta->classic;
    struct kp_join_group_request req = {.group_instance_id = meta->instance_id,
                                        .session_timeout_ms = classic->session_ms,
                                        .rebalance_timeout_ms = meta->rebalance_ms,
                                        .protocols_n = (int32_t)classic->protocols_n};
    struct coord_req q = {.client_id = meta->client_id, .client_host = meta->client_host};
    req.protocols = scratch(op, classic->protocols_n * sizeof(*req.protocols));
    for (uint32_t i = 0; i < classic->protocols_n; i++) {
        req.protocols[i].name = classic->protocols[i].name;
        req.protocols[i].metadata = classic->protocols[i].metadata;
    }
    struct classic_member *m = classic_member_new(id, &req, &q);
    classic_member_protocols(op->gs, m, &req);
    classic_member_assign(op->gs, m, cg_write_assignment(op, target, classic));
    classic_add(op->gs, c, m);
}

// The classic group, beside the table so far: its records may still turn out to be too large.
static struct classic *build_classic(struct cg_op *op, struct group *beside,
                                     const struct cg_member *const *gone, uint32_t n, bool joins)
{
    struct cg_member *m, *tmp;
    beside->id = (char *)(uintptr_t)op->group.p;
    beside->id_len = (uint32_t)op->group.n;
    struct classic *c = classic_new(op->gs, beside);
    c->state = c->previous = CLASSIC_STABLE;
    c->generation = op->cg->epoch;
    classic_set_text(&c->protocol_type, "consumer");
    HASH_ITER(hh, op->cg->members, m, tmp)
    if (m->joined && !among(m, gone, n) && !(joins && m == op->present))
        add_member(op, c, kp_str_of(m->id), &m->meta, &m->target);
    if (joins)
        add_member(op, c, op->m.id, &op->m.meta, &op->present->target);
    classic_set_text(&c->protocol, classic_vote(c));
    classic_read_topics(c);
    return c;
}

static void move_in(struct cg_op *op, struct group *g, struct group *beside, struct classic *c)
{
    struct classic_member *m, *tmp;
    group_reset(op->gs, g, &group_classic_type, c);
    beside->type = NULL;
    beside->state = NULL;
    c->group = g;
    HASH_ITER(hh, c->members, m, tmp)
    {
        m->group = g;
        classic_session(op->gs, m, m->session_ms);
    }
    for (uint32_t i = op->first; i < op->gs->x->sink.n; i++)
        op->gs->x->sink.v[i].mark = &g->mark;
    op->first = op->gs->x->sink.n; // it is as its records say already
    op->first_bytes = op->gs->x->sink.bytes;
    op->cg = NULL;
}

void cg_downgrade(struct cg_op *op, const struct cg_member *const *gone, uint32_t n, bool joins)
{
    struct group *g = op->cg->group, beside = {0};
    bool rebalance = n > 0 || op->cg->target_epoch < op->epoch;
    SL_ASSERT(!op->error);
    cg_tombstones(op->gs, g);
    if (joins)
        cg_emit_gone(op, op->m.id);
    struct classic *c = build_classic(op, &beside, gone, n, joins);
    if (rebalance)
        classic_set_text(&c->leader, NULL); // the record tells that it is due: classic.h
    if (c->protocol)
        classic_emit(op->gs, c);
    if (!c->protocol || !coord_fits(op->gs->x)) {
        group_reset(op->gs, &beside, NULL, NULL);
        cg_op_fail(op, KERR_UNKNOWN_SERVER_ERROR, "The group cannot become a classic group.");
        return;
    }
    sl_log(SL_INFO, "coord", "group=%s becomes a classic group with %u members", g->id, classic_size(c));
    move_in(op, g, &beside, c);
    if (rebalance)
        classic_prepare(op->gs, c, "it was a consumer group");
}
