// The search for topics that the patterns of a group match. It goes over all topics, some at a time, as operations of a
// timer's, and ends with one that records what was found and asks for a new assignment if something changed.
//
// It begins when a pattern was not searched for yet, when the metadata changed, or every
// group.consumer.regex.refresh.interval.ms; not within MIN_INTERVAL_MS of the last one, so that many new topics make few
// rebalances. If topics come or go meanwhile, the next search sees them: it is remembered of which image this one began.
// Unlike upstream, a search that finds what was found before writes no record.
#include "engine/coord/modern/modern_private.h"
#include "engine/coord/modern/regex.h"

#include "engine/base/log.h"

#include <stdlib.h>

enum { SLICE = 1024, SLICE_PAUSE_MS = 1, MIN_INTERVAL_MS = 10000 };

struct result {
    char *text;
    struct kp_str *topics; // in the order of names; each malloc'd
    uint32_t n, cap;
};
struct cg_search {
    struct result *results;
    uint32_t n, at; // patterns, and the one under way
    struct cg_regex *re;
    uint32_t topic; // the next one to look at
    uint64_t image;
    int64_t start_ms;
};

static void *must(void *p)
{
    if (!p)
        sl_panic("coordinator: out of memory for a search");
    return p;
}

static bool due(const struct cg *c, bool asked)
{
    const struct groups_env *env = c->gs->env;
    int64_t now = c->gs->x->wall_ms;
    struct cg_settings set;
    if (!c->patterns_used || c->search)
        return false;
    bool set_back = now < c->searched_ms; // the clock: how long ago it was, nobody knows
    if (c->patterns_resolved && now <= c->searched_ms + MIN_INTERVAL_MS && !set_back)
        return false;
    cg_settings_of(c->gs, c->group->id, &set);
    return asked || c->patterns_used != c->patterns_resolved ||
           c->searched_image != env->topics->version(env->r) || set_back ||
           now > c->searched_ms + set.regex_refresh_ms;
}

void cg_search_start(struct cg *c, bool asked)
{
    struct cg_pattern *p, *tmp;
    if (!due(c, asked))
        return;
    struct cg_search *s = c->search = must(calloc(1, sizeof(*s)));
    s->results = must(calloc(c->patterns_used, sizeof(*s->results)));
    HASH_ITER(hh, c->patterns, p, tmp)
    if (p->members)
        s->results[s->n++].text = group_strdup(kp_str_of(p->text));
    SL_ASSERT(s->n == c->patterns_used);
    s->image = c->gs->env->topics->version(c->gs->env->r);
    s->start_ms = c->gs->x->wall_ms;
    coord_timer_set(c->gs->x, &c->search_timer, 0);
}

void cg_search_stop(struct cg *c)
{
    struct cg_search *s = c->search;
    coord_timer_cancel(c->gs->x, &c->search_timer);
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++) {
        for (uint32_t k = 0; k < s->results[i].n; k++)
            free((void *)(uintptr_t)s->results[i].topics[k].p);
        free(s->results[i].topics);
        free(s->results[i].text);
    }
    cg_regex_free(s->re);
    free(s->results);
    free(s);
    c->search = NULL;
}

static void found(struct result *r, const struct coord_topic *t)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->topics = must(realloc(r->topics, r->cap * sizeof(*r->topics)));
    }
    struct kp_str name = {t->name, (int32_t)t->name_len};
    r->topics[r->n++] = (struct kp_str){group_strdup(name), name.n};
}

// Looks at some topics. True: all patterns are done.
static bool search_on(struct cg *c, struct cg_search *s)
{
    const struct groups_env *env = c->gs->env;
    const char *why = "";
    for (int left = SLICE; left > 0 && s->at < s->n; left--) {
        struct coord_topic t;
        struct result *r = &s->results[s->at];
        if (!s->re)
            s->re = cg_regex_compile(r->text, strlen(r->text), &why);
        if (!s->re)
            sl_log(SL_WARN, "coord", "group=%s pattern %s matches nothing: %s", c->group->id, r->text, why);
        if (s->re && env->topics->at(env->r, s->topic++, &t)) {
            if (cg_regex_matches(s->re, t.name, t.name_len))
                found(r, &t);
            continue;
        }
        cg_regex_free(s->re);
        s->re = NULL;
        s->topic = 0;
        s->at++;
    }
    return s->at == s->n;
}

static bool same_topics(const struct cg_pattern *p, const struct result *r)
{
    if (!p->resolved || p->topics_n != r->n)
        return false;
    for (uint32_t i = 0; i < r->n; i++)
        if (!kp_str_eq(p->topics[i], r->topics[i]))
            return false;
    return true;
}

static const struct result *result_of(const struct cg_search *s, const struct cg_pattern *p)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (!strcmp(s->results[i].text, p->text))
            return &s->results[i];
    return NULL;
}

// The hash over all topics of the group, with what the search found in place of what was known.
static uint64_t hash_after(struct cg_op *op, const struct cg_search *s)
{
    struct cg_use *u, *ut;
    struct cg_pattern *p, *pt;
    uint32_t room = HASH_COUNT(op->cg->uses), n = 0;
    for (uint32_t i = 0; i < s->n; i++)
        room += s->results[i].n;
    HASH_ITER(hh, op->cg->patterns, p, pt)
    room += p->topics_n;
    struct kp_str *names = must(arena_array(&op->a, room, sizeof(*names)));
    HASH_ITER(hh, op->cg->uses, u, ut)
    if (u->by_name)
        names[n++] = kp_str_of(u->name);
    HASH_ITER(hh, op->cg->patterns, p, pt)
    {
        const struct result *r = result_of(s, p);
        const struct kp_str *topics = r ? r->topics : p->topics;
        for (uint32_t i = 0, k = r ? r->n : p->topics_n; i < k; i++)
            names[n++] = topics[i];
    }
    SL_ASSERT(n <= room);
    return cg_hash_names(op, names, cg_str_sort(names, n));
}

static void record_found(struct cg_op *op, const struct cg_search *s)
{
    bool bump = false;
    for (uint32_t i = 0; i < s->n; i++) {
        struct result *r = &s->results[i];
        r->n = cg_str_sort(r->topics, r->n);
        const struct cg_pattern *p = cg_pattern_find(op->cg, kp_str_of(r->text));
        if (!p || !p->members || same_topics(p, r))
            continue;
        cg_emit_regex(op, kp_str_of(r->text), r->topics, r->n, (int64_t)s->image, s->start_ms);
        bump = bump || r->n != p->topics_n || r->n > 0;
    }
    uint64_t hash = hash_after(op, s);
    if (bump || hash != op->cg->hash)
        cg_emit_epoch(op, cg_next_epoch(op->cg->epoch), hash);
}

static void finish(struct cg *c, struct cg_search *s)
{
    struct cg_op op;
    cg_op_begin(&op, c->gs, group_id(c->group));
    SL_ASSERT(op.cg == c);
    record_found(&op, s);
    c->searched_image = s->image;
    c->searched_ms = s->start_ms;
    if (!cg_op_end(&op))
        sl_log(SL_WARN, "coord", "group=%s what its patterns match is too large to record", c->group->id);
    cg_op_free(&op);
    cg_search_stop(c);
}

void cg_fire_search(struct coord_timer *t, void *co)
{
    struct cg *c = SL_CONTAINER_OF(t, struct cg, search_timer);
    coord_see(c->gs->x, c->group->mark);
    if (search_on(c, c->search))
        finish(c, c->search);
    else
        coord_timer_set(c->gs->x, &c->search_timer, SLICE_PAUSE_MS);
}
