// See modern.h: the state of a group, and everything that is counted over its members.
#include "engine/coord/modern/modern_private.h"

#include "engine/base/log.h"

#include <stdlib.h>
#include <string.h>

enum { CG_COST = 512, MEMBER_COST = 640, PLACE_COST = 128 };

static void *must(void *p)
{
    if (!p)
        sl_panic("coordinator: out of memory for a consumer group");
    return p;
}

int cg_str_cmp(struct kp_str a, struct kp_str b)
{
    int c = memcmp(a.p, b.p, (size_t)SL_MIN(a.n, b.n));
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int by_text(const void *a, const void *b)
{
    return cg_str_cmp(*(const struct kp_str *)a, *(const struct kp_str *)b);
}

uint32_t cg_str_sort(struct kp_str *v, uint32_t n)
{
    uint32_t kept = 0;
    if (n)
        qsort(v, n, sizeof(*v), by_text);
    for (uint32_t i = 0; i < n; i++)
        if (!i || cg_str_cmp(v[i], v[kept - 1]) != 0)
            v[kept++] = v[i];
    return kept;
}

bool cg_str_find(const struct kp_str *sorted, uint32_t n, struct kp_str s)
{
    return n && bsearch(&s, sorted, n, sizeof(s), by_text);
}

// ---- the derived state -----------------------------------------------------------------------------------------------
enum cg_state cg_state_of(const struct cg *c)
{
    struct cg_member *m, *tmp;
    if (!c->joined_n)
        return CG_EMPTY;
    if (c->epoch > c->target_epoch)
        return CG_ASSIGNING;
    HASH_ITER(hh, c->members, m, tmp)
    if (m->joined && !cg_reconciled_to(&m->at, c->target_epoch))
        return CG_RECONCILING;
    return CG_STABLE;
}

const char *cg_state_name(enum cg_state s)
{
    static const char *const names[] = {"Empty", "Assigning", "Reconciling", "Stable"};
    SL_ASSERT(s < SL_ARRAY_LEN(names));
    return names[s];
}

// ---- topics ----------------------------------------------------------------------------------------------------------
static struct cg_use *use_of(struct cg *c, struct kp_str name)
{
    struct cg_use *u = NULL;
    HASH_FIND(hh, c->uses, name.p, (unsigned)name.n, u);
    if (u)
        return u;
    u = must(calloc(1, sizeof(*u)));
    u->name = group_strdup(name);
    HASH_ADD_KEYPTR(hh, c->uses, u->name, (unsigned)name.n, u);
    return u;
}

static void use_drop_unused(struct cg *c, struct cg_use *u)
{
    if (u->by_name || u->by_regex)
        return;
    HASH_DEL(c->uses, u);
    free(u->name);
    free(u);
}

static void count_names(struct cg *c, const struct cg_meta *m, int by)
{
    for (uint32_t i = 0; i < m->topics_n; i++) {
        struct cg_use *u = use_of(c, m->topics[i]);
        SL_ASSERT(by > 0 || u->by_name > 0);
        u->by_name += (uint32_t)by;
        use_drop_unused(c, u);
    }
}

bool cg_subscribed_to(const struct cg *c, struct kp_str topic)
{
    struct cg_use *u = NULL;
    HASH_FIND(hh, c->uses, topic.p, (unsigned)topic.n, u);
    return u != NULL;
}

// ---- patterns --------------------------------------------------------------------------------------------------------
struct cg_pattern *cg_pattern_find(const struct cg *c, struct kp_str text)
{
    struct cg_pattern *p = NULL;
    if (text.n > 0)
        HASH_FIND(hh, c->patterns, text.p, (unsigned)text.n, p);
    return p;
}

static struct cg_pattern *pattern_of(struct cg *c, struct kp_str text)
{
    struct cg_pattern *p = cg_pattern_find(c, text);
    if (p)
        return p;
    p = must(calloc(1, sizeof(*p)));
    p->text = group_strdup(text);
    HASH_ADD_KEYPTR(hh, c->patterns, p->text, (unsigned)text.n, p);
    return p;
}

static void pattern_drop_unused(struct cg *c, struct cg_pattern *p)
{
    if (p->members || p->resolved)
        return;
    HASH_DEL(c->patterns, p);
    free(p->text);
    free(p);
}

static void count_regex(struct cg *c, const struct cg_meta *m, int by)
{
    if (!cg_has_regex(m))
        return;
    struct cg_pattern *p = pattern_of(c, m->regex);
    SL_ASSERT(by > 0 || p->members > 0);
    c->patterns_used -= p->members > 0;
    p->members += (uint32_t)by;
    c->patterns_used += p->members > 0;
    pattern_drop_unused(c, p);
}

static uint64_t pattern_cost(const struct cg_pattern *p)
{
    uint64_t cost = 0;
    for (uint32_t i = 0; i < p->topics_n; i++)
        cost += (uint64_t)p->topics[i].n + PLACE_COST;
    return cost;
}

static void unresolve(struct cg *c, struct cg_pattern *p)
{
    groups_account(c->gs, -(int64_t)pattern_cost(p));
    for (uint32_t i = 0; i < p->topics_n; i++) {
        struct cg_use *u = use_of(c, p->topics[i]);
        SL_ASSERT(u->by_regex > 0);
        u->by_regex--;
        use_drop_unused(c, u);
    }
    c->patterns_resolved -= p->resolved;
    p->resolved = false;
    free(p->topics);
    p->topics = NULL;
    p->topics_n = 0;
}

// Strings and their text in one piece of memory, sorted, without duplicates.
static struct kp_str *copy_strings(const struct kp_str *s, uint32_t n, uint32_t *out_n)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += (size_t)s[i].n;
    struct kp_str *v = must(malloc(n * sizeof(*v) + bytes + 1));
    char *text = (char *)(v + n);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(text, s[i].p, (size_t)s[i].n);
        v[i] = (struct kp_str){text, s[i].n};
        text += s[i].n;
    }
    *out_n = cg_str_sort(v, n);
    return v;
}

void cg_pattern_resolve(struct cg *c, struct kp_str text, const struct kp_str *topics, uint32_t n,
                        int64_t version, int64_t ms)
{
    struct cg_pattern *p = pattern_of(c, text);
    unresolve(c, p);
    p->topics = copy_strings(topics, n, &p->topics_n);
    p->version = version;
    p->resolved_ms = ms;
    p->resolved = true;
    c->patterns_resolved++;
    for (uint32_t i = 0; i < p->topics_n; i++)
        use_of(c, p->topics[i])->by_regex++;
    groups_account(c->gs, (int64_t)pattern_cost(p));
    c->searched_ms = SL_MAX(c->searched_ms, ms);
}

void cg_pattern_forget(struct cg *c, struct kp_str text)
{
    struct cg_pattern *p = cg_pattern_find(c, text);
    if (!p)
        return;
    unresolve(c, p);
    pattern_drop_unused(c, p);
}

// ---- who holds what --------------------------------------------------------------------------------------------------
static struct cg_held *held_at(const struct cg *c, const struct cg_part *p)
{
    struct cg_place at = {.topic = p->topic, .partition = p->partition};
    struct cg_held *h = NULL;
    HASH_FIND(hh, c->held, &at, (unsigned)sizeof(at), h);
    return h;
}

bool cg_is_held(const struct cg *c, const struct cg_part *p)
{
    return held_at(c, p) != NULL;
}

static bool held_at_epoch(const struct cg *c, const struct cg_part *p, int32_t epoch)
{
    const struct cg_held *h = held_at(c, p);
    return h && h->epoch == epoch;
}

// What a member lets go that another one holds at a later epoch stays the other one's: records of a compacted log can
// come in that order.
static void let_go(struct cg *c, const struct cg_parts *s, int32_t epoch)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct cg_held *h = held_at(c, &s->v[i]);
        if (!h || h->epoch != epoch)
            continue;
        HASH_DEL(c->held, h);
        free(h);
        groups_account(c->gs, -PLACE_COST);
    }
}

static void hold(struct cg *c, const struct cg_parts *s, int32_t epoch)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct cg_held *h = held_at(c, &s->v[i]);
        // A partition that somebody holds would have two owners. Our own operations never do that; a log that says so is
        // not made worse by going on.
        SL_ASSERT(!h || c->gs->loading || c->conflict);
        if (!h) {
            h = must(calloc(1, sizeof(*h)));
            h->at = (struct cg_place){.topic = s->v[i].topic, .partition = s->v[i].partition};
            h->epoch = epoch;
            HASH_ADD_KEYPTR(hh, c->held, &h->at, (unsigned)sizeof(h->at), h);
            groups_account(c->gs, PLACE_COST);
        } else {
            c->conflict = true; // until all was read: the record that takes it from the other may follow
        }
        h->epoch = SL_MAX(h->epoch, epoch);
    }
}

// ---- members ---------------------------------------------------------------------------------------------------------
struct cg_member *cg_find(const struct cg *c, struct kp_str id)
{
    struct cg_member *m = NULL;
    if (id.n >= 0)
        HASH_FIND(hh, c->members, id.p, (unsigned)id.n, m);
    return m && m->joined ? m : NULL;
}

struct cg_member *cg_find_static(const struct cg *c, struct kp_str instance)
{
    struct cg_member *m = NULL;
    if (instance.n >= 0)
        HASH_FIND(by_instance, c->statics, instance.p, (unsigned)instance.n, m);
    return m;
}

static void unlink_static(struct cg *c, struct cg_member *m)
{
    if (m->is_static)
        HASH_DELETE(by_instance, c->statics, m);
    m->is_static = false;
}

static void link_static(struct cg *c, struct cg_member *m)
{
    struct cg_member *before = cg_find_static(c, m->meta.instance_id);
    if (m->meta.instance_id.n < 0 || before == m)
        return;
    if (before)
        unlink_static(c, before);
    HASH_ADD_KEYPTR(by_instance, c->statics, m->meta.instance_id.p, (unsigned)m->meta.instance_id.n, m);
    m->is_static = true;
}

static void account(struct cg *c, struct cg_member *m, size_t blob)
{
    uint64_t cost = MEMBER_COST + strlen(m->id) + blob +
                    (m->at.assigned.n + m->at.revoking.n + m->target.n) * sizeof(struct cg_part);
    groups_account(c->gs, (int64_t)cost - (int64_t)m->cost);
    m->cost = cost;
}

static size_t blob_size(const struct cg_meta *m)
{
    size_t n = 64;
    const struct kp_str *s[] = {&m->instance_id, &m->rack_id, &m->client_id,
                                &m->client_host, &m->regex,   &m->assignor};
    for (size_t i = 0; i < SL_ARRAY_LEN(s); i++)
        n += (size_t)SL_MAX(s[i]->n, 0) + 1;
    for (uint32_t i = 0; i < m->topics_n; i++)
        n += sizeof(struct kp_str) + (size_t)m->topics[i].n;
    for (uint32_t i = 0; m->classic && i < m->classic->protocols_n; i++)
        n += sizeof(struct cg_classic_protocol) + (size_t)m->classic->protocols[i].name.n +
             (size_t)m->classic->protocols[i].metadata.n;
    return m->classic ? n + sizeof(struct cg_classic) : n;
}

static const char *put_bytes(char **at, const void *p, int32_t n)
{
    char *to = *at;
    if (n > 0)
        memcpy(to, p, (size_t)n);
    *at = to + SL_MAX(n, 0);
    return to;
}

static void put_str(char **at, struct kp_str *s)
{
    if (s->n >= 0)
        s->p = put_bytes(at, s->p, s->n);
    else
        s->p = NULL;
}

// The structures first, so that they are aligned; their text behind them.
static void *copy_meta(const struct cg_meta *m, struct cg_meta *out)
{
    struct cg_classic *classic = must(malloc(blob_size(m)));
    uint32_t protocols = m->classic ? m->classic->protocols_n : 0;
    struct cg_classic_protocol *p = (struct cg_classic_protocol *)(classic + 1);
    struct kp_str *topics = (struct kp_str *)(p + protocols);
    char *at = (char *)(topics + m->topics_n);
    *out = *m;
    out->topics = topics;
    out->classic = m->classic ? classic : NULL;
    if (m->classic) {
        *classic = (struct cg_classic){m->classic->session_ms, protocols, p};
        for (uint32_t i = 0; i < protocols; i++) {
            p[i] = m->classic->protocols[i];
            put_str(&at, &p[i].name);
            p[i].metadata.p = (const uint8_t *)put_bytes(&at, p[i].metadata.p, p[i].metadata.n);
        }
    }
    for (uint32_t i = 0; i < m->topics_n; i++) {
        topics[i] = m->topics[i];
        put_str(&at, &topics[i]);
    }
    struct kp_str *s[] = {&out->instance_id, &out->rack_id, &out->client_id,
                          &out->client_host, &out->regex,   &out->assignor};
    for (size_t i = 0; i < SL_ARRAY_LEN(s); i++)
        put_str(&at, s[i]);
    SL_ASSERT((size_t)(at - (char *)classic) <= blob_size(m));
    return classic;
}

static void count_meta(struct cg *c, struct cg_member *m, int by)
{
    count_names(c, &m->meta, by);
    count_regex(c, &m->meta, by);
    c->classic_n += m->meta.classic ? (uint32_t)by : 0;
}

static void mark_joined(struct cg *c, struct cg_member *m)
{
    c->joined_n += !m->joined;
    m->joined = true;
}

void cg_set_meta(struct cg *c, struct cg_member *m, const struct cg_meta *meta)
{
    struct cg_meta copy;
    void *blob = copy_meta(meta, &copy);
    mark_joined(c, m);
    count_names(c, &copy, 1); // first: what stays is not freed in between
    count_regex(c, &copy, 1);
    c->classic_n += copy.classic != NULL;
    count_meta(c, m, -1);
    unlink_static(c, m);
    free(m->blob);
    m->blob = blob;
    m->meta = copy;
    link_static(c, m);
    account(c, m, blob_size(&m->meta));
}

void cg_set_progress(struct cg *c, struct cg_member *m, const struct cg_progress *p)
{
    mark_joined(c, m);
    let_go(c, &m->at.assigned, m->at.epoch);
    let_go(c, &m->at.revoking, m->at.epoch);
    if (cg_parts_keep(&m->at.assigned, &p->assigned) || cg_parts_keep(&m->at.revoking, &p->revoking))
        must(NULL);
    m->at.epoch = p->epoch;
    m->at.previous_epoch = p->previous_epoch;
    m->at.state = p->state;
    hold(c, &m->at.assigned, m->at.epoch);
    hold(c, &m->at.revoking, m->at.epoch);
    account(c, m, blob_size(&m->meta));
}

static void entry_free(struct cg *c, struct cg_member *m)
{
    SL_ASSERT(!m->joined && !m->has_target && !m->is_static);
    struct coord_timer *timers[] = {&m->session, &m->rebalance, &m->join, &m->sync};
    for (size_t i = 0; i < SL_ARRAY_LEN(timers); i++)
        coord_timer_cancel(c->gs->x, timers[i]);
    HASH_DELETE(hh, c->members, m);
    groups_account(c->gs, -(int64_t)m->cost);
    cg_parts_free(&m->at.assigned);
    cg_parts_free(&m->at.revoking);
    cg_parts_free(&m->target);
    free(m->blob);
    free(m->id);
    free(m);
}

void cg_set_target(struct cg *c, struct cg_member *m, const struct cg_parts *target)
{
    m->has_target = target != NULL;
    if (cg_parts_keep(&m->target, target ? target : &(struct cg_parts){0}))
        must(NULL);
    account(c, m, blob_size(&m->meta));
    if (!m->has_target && !m->joined)
        entry_free(c, m);
}

void cg_remove(struct cg *c, struct cg_member *m)
{
    struct cg_progress none = {.epoch = CG_LEAVE_EPOCH};
    SL_ASSERT(m->joined);
    cg_set_progress(c, m, &none);
    count_meta(c, m, -1);
    unlink_static(c, m);
    m->joined = false;
    c->joined_n--;
    m->meta = CG_META_NONE;
    if (!m->has_target)
        entry_free(c, m);
}

struct cg_member *cg_entry(struct cg *c, struct kp_str id)
{
    struct cg_member *m = NULL;
    HASH_FIND(hh, c->members, id.p, (unsigned)id.n, m);
    if (m)
        return m;
    m = must(calloc(1, sizeof(*m)));
    m->cg = c;
    m->id = group_strdup(id);
    m->meta = CG_META_NONE;
    m->session.fire = cg_fire_session;
    m->rebalance.fire = cg_fire_rebalance;
    m->join.fire = cg_fire_join;
    m->sync.fire = cg_fire_sync;
    HASH_ADD_KEYPTR(hh, c->members, m->id, (unsigned)id.n, m);
    return m;
}

// ---- life ------------------------------------------------------------------------------------------------------------
struct cg *cg_new(struct groups *gs, struct group *g)
{
    struct cg *c = must(calloc(1, sizeof(*c)));
    cg_init(c, gs, g);
    groups_account(gs, CG_COST);
    group_reset(gs, g, &group_consumer_type, c);
    return c;
}

void cg_init(struct cg *c, struct groups *gs, struct group *g)
{
    *c = (struct cg){.gs = gs, .group = g, .epoch = 1, .target_epoch = 1, .searched_ms = -1};
    c->search_timer.fire = cg_fire_search;
}

void cg_free(struct groups *gs, struct cg *c)
{
    struct cg_member *m, *mt;
    struct cg_pattern *p, *pt;
    HASH_ITER(hh, c->members, m, mt)
    {
        m->has_target = m->has_target && !m->joined;
        if (m->joined)
            cg_remove(c, m);
        else
            cg_set_target(c, m, NULL);
    }
    HASH_ITER(hh, c->patterns, p, pt)
    cg_pattern_forget(c, kp_str_of(p->text));
    cg_search_stop(c);
    SL_ASSERT(!c->members && !c->uses && !c->held && !c->patterns && !c->statics && !c->classic_n);
    groups_account(gs, -CG_COST);
    free(c);
}

// ---- after a load ----------------------------------------------------------------------------------------------------
static uint32_t held_as_said(const struct cg *c, const struct cg_parts *s, int32_t epoch)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++)
        n += held_at_epoch(c, &s->v[i], epoch);
    return n;
}

void cg_check_loaded(struct cg *c)
{
    struct cg_member *m, *tmp;
    uint32_t said = 0, held = 0;
    HASH_ITER(hh, c->members, m, tmp)
    {
        said += m->at.assigned.n + m->at.revoking.n;
        held += held_as_said(c, &m->at.assigned, m->at.epoch) + held_as_said(c, &m->at.revoking, m->at.epoch);
    }
    c->conflict = said != held || held != HASH_COUNT(c->held);
    if (c->conflict)
        sl_log(SL_WARN, "coord",
               "group=%s by its records, members own %u partitions of %u; some have two owners", c->group->id,
               said, HASH_COUNT(c->held));
}

// ---- the invariants --------------------------------------------------------------------------------------------------
static uint32_t check_held(const struct cg *c, const struct cg_parts *s, int32_t epoch)
{
    for (uint32_t i = 0; i < s->n; i++)
        SL_ASSERT(c->conflict || held_at_epoch(c, &s->v[i], epoch));
    return s->n;
}

void cg_check(const struct cg *c)
{
    struct cg_member *m, *tmp;
    struct cg_use *u, *ut;
    struct cg_pattern *p, *pt;
    uint32_t joined = 0, held = 0, statics = 0, classic = 0, names = 0, regexes = 0, matched = 0;
    HASH_ITER(hh, c->members, m, tmp)
    {
        SL_ASSERT(m->joined || m->has_target);
        SL_ASSERT(!cg_parts_meet(&m->at.assigned, &m->at.revoking));
        held += check_held(c, &m->at.assigned, m->at.epoch) + check_held(c, &m->at.revoking, m->at.epoch);
        joined += m->joined;
        statics += m->is_static;
        classic += m->meta.classic != NULL;
        names += m->meta.topics_n;
        regexes += cg_has_regex(&m->meta);
    }
    SL_ASSERT(joined == c->joined_n && classic == c->classic_n);
    SL_ASSERT(c->conflict || held == HASH_COUNT(c->held));
    SL_ASSERT(statics == HASH_CNT(by_instance, c->statics));
    HASH_ITER(hh, c->patterns, p, pt)
    {
        regexes -= p->members;
        matched += p->topics_n;
    }
    HASH_ITER(hh, c->uses, u, ut)
    {
        names -= u->by_name;
        matched -= u->by_regex;
    }
    SL_ASSERT(!names && !regexes && !matched);
}
