// The target assignment of a group, and a member's way to it.
#include "engine/coord/modern/modern_private.h"

#include <stdlib.h>
#include <string.h>

static void *scratch(struct cg_op *op, size_t n)
{
    void *p = arena_zalloc(&op->a, n);
    if (!p)
        sl_panic("coordinator: out of memory for the assignment of %.*s", op->group.n, op->group.p);
    return p;
}

// The topics that an assignment is about: those with a subscriber that exist.
struct topic_list {
    struct kp_str *names; // sorted; all that members subscribe to
    uint32_t names_n;
    int64_t *index; // per name: its place in `topics`, or -1: no such topic
    struct cg_assign_topic *topics;
    uint32_t topics_n;
};

struct name_id {
    struct sl_uuid id;
    uint32_t name;
    int32_t partitions;
};

static int by_topic_id(const void *a, const void *b)
{
    return sl_uuid_cmp(&((const struct name_id *)a)->id, &((const struct name_id *)b)->id);
}

static void find_topics(struct cg_op *op, struct topic_list *l)
{
    const struct groups_env *env = op->gs->env;
    struct name_id *found = scratch(op, l->names_n * sizeof(*found));
    l->index = scratch(op, l->names_n * sizeof(*l->index));
    for (uint32_t i = 0; i < l->names_n; i++) {
        struct coord_topic t;
        l->index[i] = -1;
        if (env->topics->by_name(env->r, l->names[i].p, (size_t)l->names[i].n, &t) && t.partitions > 0)
            found[l->topics_n++] = (struct name_id){t.id, i, t.partitions};
    }
    qsort(found, l->topics_n, sizeof(*found), by_topic_id);
    l->topics = scratch(op, l->topics_n * sizeof(*l->topics));
    for (uint32_t i = 0; i < l->topics_n; i++) {
        l->topics[i] = (struct cg_assign_topic){found[i].id, found[i].partitions};
        l->index[found[i].name] = i;
    }
}

// Names that a member subscribes to, by name and by pattern.
static uint32_t names_of(const struct cg *c, const struct cg_meta *m, struct kp_str *out)
{
    const struct cg_pattern *p = cg_pattern_find(c, m->regex);
    uint32_t n = 0;
    if (m->topics_n)
        memcpy(out, m->topics, m->topics_n * sizeof(*out));
    n = m->topics_n;
    if (p && p->topics_n)
        memcpy(out + n, p->topics, p->topics_n * sizeof(*out));
    return n + (p ? p->topics_n : 0);
}

static uint32_t names_room(const struct cg *c, const struct cg_meta *m)
{
    const struct cg_pattern *p = cg_pattern_find(c, m->regex);
    return m->topics_n + (p ? p->topics_n : 0);
}

static void list_names(struct cg_op *op, struct topic_list *l)
{
    struct cg_use *u, *tmp;
    l->names = scratch(op, (HASH_COUNT(op->cg->uses) + names_room(op->cg, &op->m.meta)) * sizeof(*l->names));
    if (!op->homogeneous)
        HASH_ITER(hh, op->cg->uses, u, tmp)
    l->names[l->names_n++] = kp_str_of(u->name);
    l->names_n += names_of(op->cg, &op->m.meta, l->names + l->names_n);
    l->names_n = cg_str_sort(l->names, l->names_n);
    find_topics(op, l);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int64_t name_place(const struct topic_list *l, struct kp_str name)
{
    uint32_t lo = 0, hi = l->names_n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = cg_str_cmp(l->names[mid], name);
        if (c == 0)
            return l->index[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

static void list_member_topics(struct cg_op *op, const struct topic_list *l, const struct cg_meta *m,
                               struct cg_assign_member *out)
{
    uint32_t room = names_room(op->cg, m), n = 0;
    struct kp_str *names = scratch(op, room * sizeof(*names));
    uint32_t *topics = scratch(op, room * sizeof(*topics));
    room = names_of(op->cg, m, names);
    for (uint32_t i = 0; i < room; i++) {
        int64_t at = name_place(l, names[i]);
        if (at >= 0)
            topics[n++] = (uint32_t)at;
    }
    qsort(topics, n, sizeof(*topics), by_number);
    for (uint32_t i = 0; i < n; i++)
        if (!i || topics[i] != topics[out->topics_n - 1])
            topics[out->topics_n++] = topics[i];
    out->topics = topics;
}

static bool same_subscription(const struct cg_meta *a, const struct cg_meta *b)
{
    if (a->topics_n != b->topics_n || !kp_str_eq(a->regex, b->regex))
        return false;
    for (uint32_t i = 0; i < a->topics_n; i++)
        if (!kp_str_eq(a->topics[i], b->topics[i]))
            return false;
    return true;
}

struct candidate {
    struct kp_str id;
    const struct cg_meta *meta;
    const struct cg_parts *before; // its last target; NULL: none was recorded
};

static int by_member_id(const void *a, const void *b)
{
    return cg_str_cmp(((const struct candidate *)a)->id, ((const struct candidate *)b)->id);
}

// The members as they will be, by id: the one of this operation as its draft says, in place of whom it replaces.
static struct candidate *list_members(struct cg_op *op, uint32_t *n)
{
    struct cg_member *m, *tmp;
    struct candidate *v = scratch(op, (op->cg->joined_n + 1) * sizeof(*v));
    *n = 0;
    HASH_ITER(hh, op->cg->members, m, tmp)
    if (m->joined && m != op->present)
        v[(*n)++] = (struct candidate){kp_str_of(m->id), &m->meta, m->has_target ? &m->target : NULL};
    const struct cg_member *p = op->present;
    bool renamed =
        p && !kp_str_eq(op->m.id, kp_str_of(p->id)); // its target was written again under the new id
    v[(*n)++] =
        (struct candidate){op->m.id, &op->m.meta, p && (p->has_target || renamed) ? &p->target : NULL};
    qsort(v, *n, sizeof(*v), by_member_id);
    return v;
}

// The assignor that most members prefer; the first of the configuration when none says, or says one that is not
// served any more.
static enum cg_assignor preferred(const struct cg_op *op, const struct candidate *v, uint32_t n)
{
    uint32_t votes[CG_ASSIGNORS] = {0}, most = 0;
    enum cg_assignor best = op->set.assignors[0];
    for (uint32_t i = 0; i < n; i++) {
        int a = v[i].meta->assignor.n >= 0 ? cg_assignor_find(v[i].meta->assignor) : -ENOENT;
        if (a >= 0)
            votes[a]++;
    }
    for (uint32_t i = 0; i < op->set.assignors_n; i++)
        if (votes[op->set.assignors[i]] > most) {
            best = op->set.assignors[i];
            most = votes[best];
        }
    return best;
}

static void assign(struct cg_op *op)
{
    struct topic_list l = {0};
    uint32_t n;
    struct candidate *v = list_members(op, &n);
    list_names(op, &l);
    struct cg_assign job = {.topics = l.topics,
                            .topics_n = l.topics_n,
                            .members = scratch(op, n * sizeof(*job.members)),
                            .members_n = n,
                            .homogeneous = op->homogeneous,
                            .arena = &op->a};
    for (uint32_t i = 0; i < n; i++) {
        struct cg_assign_member *m = &job.members[i];
        m->id = v[i].id;
        m->instance = v[i].meta->instance_id;
        m->before = v[i].before ? *v[i].before : (struct cg_parts){0};
        if (i && same_subscription(v[i].meta, v[i - 1].meta)) {
            m->topics = job.members[i - 1].topics;
            m->topics_n = job.members[i - 1].topics_n;
        } else {
            list_member_topics(op, &l, v[i].meta, m);
        }
    }
    if (cg_assign(preferred(op, v, n), &job))
        sl_panic("coordinator: out of memory for the assignment of %.*s", op->group.n, op->group.p);
    for (uint32_t i = 0; i < n; i++) {
        if (kp_str_eq(v[i].id, op->m.id))
            op->target = job.members[i].after;
        if (!v[i].before || !cg_parts_same(v[i].before, &job.members[i].after))
            cg_emit_target(op, v[i].id, &job.members[i].after);
    }
    cg_emit_target_epoch(op, op->epoch, op->gs->x->wall_ms);
}

// A target of the future says that the clock was set back since: there would be none until it has caught up.
static bool due(const struct cg_op *op)
{
    int64_t last = op->cg->target_ms, now = op->gs->x->wall_ms;
    return last == 0 || op->set.assignment_ms == 0 || now < last || now >= last + op->set.assignment_ms;
}

void cg_update_target(struct cg_op *op)
{
    op->target_epoch = op->cg->target_epoch;
    op->target = op->present ? op->present->target : (struct cg_parts){0};
    if (op->error || op->target_epoch >= op->epoch || !due(op))
        return;
    if (!op->homogeneous_known) {
        struct cg_change none = {.members = op->cg->joined_n + (op->present == NULL)};
        struct cg_after after;
        cg_subscriptions_after(op, &none, &after);
        op->homogeneous = after.homogeneous;
    }
    assign(op);
    op->target_epoch = op->epoch;
}

// ---- a member's way to it --------------------------------------------------------------------------------------------
static bool held(void *ctx, const struct cg_part *p)
{
    const struct cg_op *op = ctx;
    return cg_is_held(op->cg, p);
}

static bool subscribed(void *ctx, const struct sl_uuid *topic)
{
    const struct cg_op *op = ctx;
    const struct groups_env *env = op->gs->env;
    struct coord_topic t;
    return env->topics->by_id(env->r, topic, &t) &&
           cg_member_subscribes(op->cg, &op->m.meta, (struct kp_str){t.name, (int32_t)t.name_len});
}

static bool same_progress(const struct cg_progress *a, const struct cg_progress *b)
{
    return a->epoch == b->epoch && a->previous_epoch == b->previous_epoch && a->state == b->state &&
           cg_parts_equal(&a->assigned, &b->assigned) && cg_parts_equal(&a->revoking, &b->revoking);
}

void cg_move_on(struct cg_op *op, bool subscription_changed, const struct cg_parts *owned)
{
    struct cg_reconcile in = {.target_epoch = op->target_epoch,
                              .target = &op->target,
                              .subscription_changed = subscription_changed,
                              .owned = owned,
                              .ctx = op,
                              .held = held,
                              .subscribed = subscribed};
    struct cg_progress before = op->m.at;
    if (op->error || (!subscription_changed && cg_reconciled_to(&op->m.at, op->target_epoch)))
        return;
    int rc = cg_reconcile(&in, &op->m.at, &op->a);
    if (rc == -ESTALE) {
        cg_op_fail(
            op, KERR_FENCED_MEMBER_EPOCH,
            "The consumer group member is in an unknown state. The member must abandon all its partitions "
            "and rejoin.");
        return;
    }
    if (rc)
        sl_panic("coordinator: out of memory for a member of %.*s", op->group.n, op->group.p);
    if (same_progress(&before, &op->m.at))
        return;
    cg_emit_current(op, op->m.id, &op->m.at);
    if (!op->m.meta.classic)
        op->rebalance_timer = op->m.at.state == CG_MEMBER_UNREVOKED ? CG_TIMER_SET : CG_TIMER_CANCEL;
}
