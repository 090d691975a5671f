// What a group subscribes to, now and after a change, and the hash of these topics.
#include "engine/coord/modern/modern_private.h"

#include <string.h>

struct scan {
    struct cg_op *op;
    const struct cg_change *change;
    const struct cg_pattern *left;     // the pattern that its last member gave up, or NULL
    const struct cg_pattern **dropped; // patterns that went with the members who leave
    uint32_t dropped_n;
    struct kp_str *names;
    uint32_t names_n;
    bool by_name_only, one_pattern;
    bool homogeneous;
};

static void *scratch(struct cg_op *op, size_t n)
{
    void *p = arena_zalloc(&op->a, n);
    if (!p)
        sl_panic("coordinator: out of memory for subscriptions of %.*s", op->group.n, op->group.p);
    return p;
}

// ---- hashes ----------------------------------------------------------------------------------------------------------
uint64_t cg_hash_names(struct cg_op *op, const struct kp_str *sorted, uint32_t n)
{
    const struct groups_env *env = op->gs->env;
    uint64_t *hashes = scratch(op, n * sizeof(*hashes));
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct coord_topic t;
        if (!env->topics->by_name(env->r, sorted[i].p, (size_t)sorted[i].n, &t))
            continue;
        if (cg_topic_hash(&t.id, sorted[i], t.partitions, NULL, &op->a, &hashes[found]))
            sl_panic("coordinator: out of memory for the hash of topic %s", t.name);
        found++;
    }
    return cg_group_hash(hashes, found);
}

// ---- the change ------------------------------------------------------------------------------------------------------
static const struct cg_meta *meta_or_none(const struct cg_meta *m)
{
    static const struct cg_meta none = {.regex = {NULL, -1}};
    return m ? m : &none;
}

// Members that subscribe by a pattern after the change.
static uint32_t users_after(const struct scan *s, const struct cg_pattern *p)
{
    struct kp_str text = kp_str_of(p->text);
    uint32_t n = p->members;
    n -= cg_has_regex(meta_or_none(s->change->old_meta)) && kp_str_eq(s->change->old_meta->regex, text);
    n += cg_has_regex(meta_or_none(s->change->new_meta)) && kp_str_eq(s->change->new_meta->regex, text);
    for (uint32_t i = 0; i < s->change->gone_n; i++)
        n -= cg_has_regex(&s->change->gone[i]->meta) && kp_str_eq(s->change->gone[i]->meta.regex, text);
    return n;
}

static void scan_patterns(struct scan *s)
{
    const struct cg *c = s->op->cg;
    struct cg_pattern *p, *tmp;
    uint32_t used = 0;
    bool all = false;
    s->dropped = scratch(s->op, HASH_COUNT(c->patterns) * sizeof(struct cg_pattern *));
    HASH_ITER(hh, c->patterns, p, tmp)
    {
        uint32_t n = users_after(s, p);
        if (!n && p->members && p->resolved)
            s->dropped[s->dropped_n++] = p;
        used += n > 0;
        all = all || (n > 0 && n == s->change->members);
    }
    const struct cg_meta *m = meta_or_none(s->change->new_meta);
    if (cg_has_regex(m) && !cg_pattern_find(c, m->regex)) {
        used++;
        all = all || s->change->members == 1;
    }
    s->by_name_only = used == 0;
    s->one_pattern = all;
}

static void scan_use(struct scan *s, const struct cg_use *u)
{
    struct kp_str name = kp_str_of(u->name);
    const struct cg_meta *was = meta_or_none(s->change->old_meta), *is = meta_or_none(s->change->new_meta);
    uint32_t by_name = u->by_name, by_regex = u->by_regex;
    by_name -= cg_str_find(was->topics, was->topics_n, name);
    by_name += cg_str_find(is->topics, is->topics_n, name);
    for (uint32_t i = 0; i < s->change->gone_n; i++)
        by_name -= cg_str_find(s->change->gone[i]->meta.topics, s->change->gone[i]->meta.topics_n, name);
    for (uint32_t i = 0; i < s->dropped_n; i++)
        by_regex -= cg_str_find(s->dropped[i]->topics, s->dropped[i]->topics_n, name);
    if (!by_name && !by_regex)
        return;
    s->names[s->names_n++] = name;
    if (s->by_name_only ? by_name != s->change->members : by_regex != 1 || by_name)
        s->homogeneous = false;
}

// Topics that the change brings and that nobody named before.
static void scan_new_names(struct scan *s)
{
    const struct cg_meta *is = meta_or_none(s->change->new_meta);
    for (uint32_t i = 0; i < is->topics_n; i++) {
        if (cg_subscribed_to(s->op->cg, is->topics[i]))
            continue;
        s->names[s->names_n++] = is->topics[i];
        if (!s->by_name_only || s->change->members != 1)
            s->homogeneous = false;
    }
}

void cg_subscriptions_after(struct cg_op *op, const struct cg_change *change, struct cg_after *out)
{
    struct scan s = {.op = op, .change = change};
    struct cg_use *u, *tmp;
    scan_patterns(&s);
    s.names =
        scratch(op, (HASH_COUNT(op->cg->uses) + meta_or_none(change->new_meta)->topics_n) * sizeof(*s.names));
    s.homogeneous = s.by_name_only || s.one_pattern;
    HASH_ITER(hh, op->cg->uses, u, tmp)
    scan_use(&s, u);
    scan_new_names(&s);
    s.names_n = cg_str_sort(s.names, s.names_n);
    out->hash = cg_hash_names(op, s.names, s.names_n);
    out->homogeneous = s.homogeneous;
}

bool cg_member_subscribes(const struct cg *c, const struct cg_meta *m, struct kp_str topic)
{
    if (cg_str_find(m->topics, m->topics_n, topic))
        return true;
    const struct cg_pattern *p = cg_pattern_find(c, m->regex);
    return p && p->resolved && cg_str_find(p->topics, p->topics_n, topic);
}
