// See classic.h: members, protocols, topics of a classic group.
#include "engine/coord/classic.h"

#include "engine/base/bytes.h"
#include "proto/gen/consumer_protocol_subscription.h"

#include <stdlib.h>
#include <string.h>

enum { CLASSIC_COST = 512, MEMBER_COST = 512, PENDING_COST = 192 };

static void *must(void *p)
{
    if (!p)
        sl_panic("coordinator: out of memory for a classic group");
    return p;
}

// ---- states ----------------------------------------------------------------------------------------------------------
static const char *const STATE_NAMES[CLASSIC_STATES] = {"Empty", "PreparingRebalance", "CompletingRebalance",
                                                        "Stable"};
static const bool TRANSITIONS[CLASSIC_STATES][CLASSIC_STATES] = {
    [CLASSIC_EMPTY] = {[CLASSIC_PREPARING_REBALANCE] = true},
    [CLASSIC_PREPARING_REBALANCE] = {[CLASSIC_EMPTY] = true, [CLASSIC_COMPLETING_REBALANCE] = true},
    [CLASSIC_COMPLETING_REBALANCE] = {[CLASSIC_PREPARING_REBALANCE] = true, [CLASSIC_STABLE] = true},
    [CLASSIC_STABLE] = {[CLASSIC_PREPARING_REBALANCE] = true},
};

const char *classic_state_name(enum classic_state s)
{
    return STATE_NAMES[s];
}

void classic_transition(struct groups *gs, struct classic *c, enum classic_state to)
{
    SL_ASSERT(TRANSITIONS[c->state][to]);
    c->previous = c->state;
    c->state = to;
    c->state_ms = gs->x->wall_ms;
}

void classic_set_text(char **at, const char *text)
{
    char *old = *at;
    *at = text ? must(strdup(text)) : NULL;
    free(old);
}

struct classic *classic_new(struct groups *gs, struct group *g)
{
    struct classic *c = must(calloc(1, sizeof(*c)));
    c->group = g;
    c->state_ms = gs->x->wall_ms;
    c->rebalance.fire = classic_fire_rebalance;
    c->syncing.fire = classic_fire_syncing;
    groups_account(gs, CLASSIC_COST);
    group_reset(gs, g, &group_classic_type, c);
    return c;
}

// ---- members -------------------------------------------------------------------------------------------------------------
static void protocols_free(struct classic_member *m)
{
    for (uint32_t i = 0; i < m->protocols_n; i++) {
        free(m->protocols[i].name);
        free(m->protocols[i].metadata);
    }
    free(m->protocols);
    m->protocols = NULL;
    m->protocols_n = 0;
}

static void member_account(struct groups *gs, struct classic_member *m)
{
    uint64_t cost =
        MEMBER_COST + strlen(m->id) + strlen(m->client_id) + strlen(m->client_host) + m->assignment_len;
    for (uint32_t i = 0; i < m->protocols_n; i++)
        cost += strlen(m->protocols[i].name) + m->protocols[i].metadata_len + sizeof(m->protocols[i]);
    groups_account(gs, (int64_t)cost - (int64_t)m->cost);
    m->cost = cost;
}

static void member_free(struct groups *gs, struct classic_member *m)
{
    SL_ASSERT(!m->join && !m->sync);
    coord_timer_cancel(gs->x, &m->session);
    groups_account(gs, -(int64_t)m->cost);
    protocols_free(m);
    free(m->id);
    free(m->instance_id);
    free(m->client_id);
    free(m->client_host);
    free(m->assignment);
    free(m);
}

struct classic_member *classic_find(const struct classic *c, struct kp_str id)
{
    struct classic_member *m = NULL;
    if (id.n > 0)
        HASH_FIND(hh, c->members, id.p, (unsigned)id.n, m);
    return m;
}

struct classic_member *classic_find_static(const struct classic *c, struct kp_str instance)
{
    struct classic_member *m = NULL;
    if (instance.n >= 0)
        HASH_FIND(by_instance, c->statics, instance.p, (unsigned)instance.n, m);
    return m;
}

struct classic_pending *classic_find_pending(const struct classic *c, struct kp_str id)
{
    struct classic_pending *p = NULL;
    if (id.n > 0)
        HASH_FIND(hh, c->pendings, id.p, (unsigned)id.n, p);
    return p;
}

static struct kp_str not_null(struct kp_str s)
{
    return s.n < 0 ? KP_STR_LIT("") : s;
}

struct classic_member *classic_member_new(struct kp_str id, const struct kp_join_group_request *req,
                                          const struct coord_req *q)
{
    struct classic_member *m = must(calloc(1, sizeof(*m)));
    m->id = group_strdup(id);
    m->instance_id = group_strdup(req->group_instance_id);
    m->client_id = group_strdup(not_null(q->client_id));
    m->client_host = group_strdup(not_null(q->client_host));
    m->rebalance_ms = req->rebalance_timeout_ms;
    m->session_ms = req->session_timeout_ms;
    m->session.fire = classic_fire_session;
    return m;
}

static bool has_protocol(const struct classic_member *m, struct kp_str name)
{
    for (uint32_t i = 0; i < m->protocols_n; i++)
        if (kp_str_eq(kp_str_of(m->protocols[i].name), name))
            return true;
    return false;
}

void classic_member_protocols(struct groups *gs, struct classic_member *m,
                              const struct kp_join_group_request *req)
{
    protocols_free(m);
    m->protocols = must(calloc((size_t)SL_MAX(req->protocols_n, 1), sizeof(*m->protocols)));
    for (int32_t i = 0; i < req->protocols_n; i++) {
        const struct kp_join_group_request_join_group_request_protocol *in = &req->protocols[i];
        struct classic_protocol *p = &m->protocols[m->protocols_n];
        if (has_protocol(m, in->name))
            continue;
        p->name = group_strdup(in->name);
        p->metadata_len = (uint32_t)SL_MAX(in->metadata.n, 0);
        p->metadata = must(malloc(p->metadata_len + 1));
        if (p->metadata_len)
            memcpy(p->metadata, in->metadata.p, p->metadata_len);
        m->protocols_n++;
    }
    member_account(gs, m);
}

void classic_member_assign(struct groups *gs, struct classic_member *m, struct kp_bytes a)
{
    free(m->assignment);
    m->assignment_len = (uint32_t)SL_MAX(a.n, 0);
    m->assignment = m->assignment_len ? must(malloc(m->assignment_len)) : NULL;
    if (m->assignment_len)
        memcpy(m->assignment, a.p, m->assignment_len);
    member_account(gs, m);
}

void classic_add(struct groups *gs, struct classic *c, struct classic_member *m)
{
    SL_ASSERT(!classic_find(c, kp_str_of(m->id)));
    m->group = c->group;
    if (m->instance_id) {
        SL_ASSERT(!classic_find_static(c, kp_str_of(m->instance_id)));
        HASH_ADD_KEYPTR(by_instance, c->statics, m->instance_id, strlen(m->instance_id), m);
    }
    HASH_ADD_KEYPTR(hh, c->members, m->id, strlen(m->id), m);
    if (!c->leader)
        classic_set_text(&c->leader, m->id);
    member_account(gs, m);
}

static void unlink_member(struct classic *c, struct classic_member *m)
{
    HASH_DELETE(hh, c->members, m);
    if (m->instance_id)
        HASH_DELETE(by_instance, c->statics, m);
}

void classic_remove(struct groups *gs, struct classic *c, struct classic_member *m)
{
    bool led = classic_is_leader(c, m);
    classic_answer_join(gs, c, m, KERR_UNKNOWN_MEMBER_ID, false);
    if (m->sync)
        coord_answer_error(gs->x, m->sync, KERR_UNKNOWN_MEMBER_ID);
    m->sync = NULL;
    if (m->pending_sync)
        c->pending_syncs--;
    unlink_member(c, m);
    if (led)
        classic_set_text(&c->leader, c->members ? c->members->id : NULL);
    member_free(gs, m);
}

void classic_rename(struct groups *gs, struct classic *c, struct classic_member *m, const char *id)
{
    bool led = classic_is_leader(c, m);
    classic_answer_join(gs, c, m, KERR_FENCED_INSTANCE_ID, false);
    if (m->sync)
        coord_answer_error(gs->x, m->sync, KERR_FENCED_INSTANCE_ID);
    m->sync = NULL;
    if (m->pending_sync)
        c->pending_syncs--;
    m->pending_sync = false;
    m->is_new = false;
    HASH_DELETE(hh, c->members, m);
    classic_set_text(&m->id, id);
    HASH_ADD_KEYPTR(hh, c->members, m->id, strlen(m->id), m);
    if (led)
        classic_set_text(&c->leader, id);
    member_account(gs, m);
}

void classic_pending_add(struct groups *gs, struct classic *c, struct kp_str id, int32_t session_ms)
{
    struct classic_pending *p = must(calloc(1, sizeof(*p)));
    p->group = c->group;
    p->id = group_strdup(id);
    p->session.fire = classic_fire_pending;
    HASH_ADD_KEYPTR(hh, c->pendings, p->id, strlen(p->id), p);
    groups_account(gs, PENDING_COST);
    coord_timer_set(gs->x, &p->session, session_ms);
}

void classic_pending_remove(struct groups *gs, struct classic *c, struct classic_pending *p)
{
    HASH_DEL(c->pendings, p);
    coord_timer_cancel(gs->x, &p->session);
    groups_account(gs, -PENDING_COST);
    free(p->id);
    free(p);
}

static void topics_free(struct classic *c)
{
    struct classic_topic *t, *tmp;
    HASH_ITER(hh, c->topics, t, tmp)
    {
        HASH_DEL(c->topics, t);
        free(t->name);
        free(t);
    }
}

void classic_free(struct groups *gs, struct classic *c)
{
    struct classic_member *m, *mt;
    struct classic_pending *p, *pt;
    HASH_ITER(hh, c->members, m, mt)
    {
        m->join = m->sync = NULL; // let go of before, or a simulated kill
        unlink_member(c, m);
        member_free(gs, m);
    }
    HASH_ITER(hh, c->pendings, p, pt)
    classic_pending_remove(gs, c, p);
    coord_timer_cancel(gs->x, &c->rebalance);
    coord_timer_cancel(gs->x, &c->syncing);
    topics_free(c);
    free(c->protocol_type);
    free(c->protocol);
    free(c->leader);
    groups_account(gs, -CLASSIC_COST);
    free(c);
}

bool classic_is_leader(const struct classic *c, const struct classic_member *m)
{
    return c->leader && !strcmp(c->leader, m->id);
}

int32_t classic_rebalance_ms(const struct classic *c)
{
    struct classic_member *m, *tmp;
    int32_t most = 0;
    HASH_ITER(hh, c->members, m, tmp)
    most = SL_MAX(most, m->rebalance_ms);
    return most;
}

bool classic_all_joined(const struct classic *c)
{
    return classic_size(c) == c->awaiting_join && !c->pendings;
}

// ---- protocols -----------------------------------------------------------------------------------------------------------
// Whether every member has it.
static bool common(const struct classic *c, struct kp_str name)
{
    struct classic_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    if (!has_protocol(m, name))
        return false;
    return true;
}

bool classic_supports(const struct classic *c, const struct kp_join_group_request *m)
{
    if (c->state == CLASSIC_EMPTY)
        return m->protocol_type.n > 0 && m->protocols_n > 0;
    if (!c->protocol_type || !kp_str_eq(kp_str_of(c->protocol_type), m->protocol_type))
        return false;
    for (int32_t i = 0; i < m->protocols_n; i++)
        if (common(c, m->protocols[i].name))
            return true;
    return false;
}

// Each member votes for the first of its protocols that all have. The one with the most votes wins; of several, the one
// that the earliest member prefers.
const char *classic_vote(const struct classic *c)
{
    const struct classic_member *first = c->members;
    const char *best = NULL;
    uint32_t most = 0;
    SL_ASSERT(first);
    bool *all = must(calloc(first->protocols_n + 1, sizeof(*all)));
    uint32_t *votes = must(calloc(first->protocols_n + 1, sizeof(*votes)));
    for (uint32_t i = 0; i < first->protocols_n; i++)
        all[i] = common(c, kp_str_of(first->protocols[i].name)); // what all have, the first has
    struct classic_member *m, *tmp;
    HASH_ITER(hh, c->members, m, tmp)
    {
        bool voted = false;
        for (uint32_t k = 0; k < m->protocols_n && !voted; k++)
            for (uint32_t i = 0; i < first->protocols_n && !voted; i++)
                if (all[i] && !strcmp(first->protocols[i].name, m->protocols[k].name)) {
                    votes[i]++;
                    voted = true;
                }
    }
    for (uint32_t i = 0; i < first->protocols_n; i++)
        if (votes[i] > most) {
            most = votes[i];
            best = first->protocols[i].name;
        }
    free(all);
    free(votes);
    return best;
}

bool classic_matches(const struct classic_member *m, const struct kp_join_group_request *req)
{
    if (req->protocols_n != (int32_t)m->protocols_n)
        return false;
    for (uint32_t i = 0; i < m->protocols_n; i++) {
        const struct kp_join_group_request_join_group_request_protocol *p = &req->protocols[i];
        if (!kp_str_eq(p->name, kp_str_of(m->protocols[i].name)) ||
            SL_MAX(p->metadata.n, 0) != (int32_t)m->protocols[i].metadata_len ||
            (p->metadata.n > 0 && memcmp(p->metadata.p, m->protocols[i].metadata, (size_t)p->metadata.n)))
            return false;
    }
    return true;
}

struct kp_bytes classic_metadata(const struct classic_member *m, const char *protocol)
{
    for (uint32_t i = 0; protocol && i < m->protocols_n; i++)
        if (!strcmp(m->protocols[i].name, protocol))
            return (struct kp_bytes){m->protocols[i].metadata, (int32_t)m->protocols[i].metadata_len};
    return KP_BYTES_NULL;
}

// ---- subscriptions ---------------------------------------------------------------------------------------------------------
bool classic_is_consumer(const struct classic *c)
{
    return c->protocol_type && !strcmp(c->protocol_type, "consumer");
}

static void topic_add(struct classic *c, struct kp_str name)
{
    struct classic_topic *t = NULL;
    HASH_FIND(hh, c->topics, name.p, (unsigned)name.n, t);
    if (t)
        return;
    t = must(calloc(1, sizeof(*t)));
    t->name = group_strdup(name);
    HASH_ADD_KEYPTR(hh, c->topics, t->name, (unsigned)name.n, t);
}

// A subscription begins with an int16 version; version 0 is how every later one begins.
static bool read_member(struct classic *c, const struct classic_member *m)
{
    struct kp_bytes b = classic_metadata(m, c->protocol);
    struct kp_consumer_protocol_subscription s;
    struct arena a;
    arena_init(&a, 0);
    bool ok = b.n >= 2 && (int16_t)be16_load(b.p) >= 0 &&
              kp_consumer_protocol_subscription_decode(&s, b.p + 2, (size_t)b.n - 2, 0, &a) >= 0;
    for (int32_t i = 0; ok && i < s.topics_n; i++)
        topic_add(c, s.topics[i]);
    arena_free(&a);
    return ok;
}

void classic_read_topics(struct classic *c)
{
    struct classic_member *m, *tmp;
    topics_free(c);
    c->topics_known = classic_is_consumer(c) && (!c->members || c->protocol);
    if (!c->topics_known)
        return;
    HASH_ITER(hh, c->members, m, tmp)
    c->topics_known = c->topics_known && read_member(c, m);
    if (!c->topics_known)
        topics_free(c);
}
