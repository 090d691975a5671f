// The controller's state: topics with their drafts, brokers, features.
#include "engine/meta/meta_private.h"

#include <stdlib.h>

static int grow_array(void **p, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return 0;
    uint32_t c = *cap ? *cap * 2 : 4;
    void *q = realloc(*p, c * size);
    if (!q)
        return -ENOMEM;
    *p = q;
    *cap = c;
    return 0;
}

// ---- topics -----------------------------------------------------------------------------------------------
struct topic_state *state_find_name(struct meta *m, const char *name, size_t len)
{
    struct topic_state *t = NULL;
    HASH_FIND(by_name, m->by_name, name, len, t);
    return t;
}

struct topic_state *state_find_id(struct meta *m, const struct sl_uuid *id)
{
    struct topic_state *t = NULL;
    HASH_FIND(by_id, m->by_id, id, sizeof(*id), t);
    return t;
}

struct topic_state *state_add_topic(struct meta *m, const char *name, size_t len, const struct sl_uuid *id)
{
    struct topic_state *t = calloc(1, sizeof(*t));
    if (!t || !(t->name = strndup(name, len))) {
        free(t);
        return NULL;
    }
    SL_ASSERT(len <= UINT16_MAX && strlen(t->name) == len);
    t->name_len = (uint16_t)len;
    t->id = *id;
    HASH_ADD_KEYPTR(by_name, m->by_name, t->name, t->name_len, t);
    HASH_ADD(by_id, m->by_id, id, sizeof(t->id), t);
    list_init(&t->changed);
    if (state_draft(m, t))
        return t;
    state_remove_topic(m, t);
    return NULL;
}

void draft_free(struct draft *d)
{
    if (!d)
        return;
    free(d->parts);
    free(d->configs);
    free(d);
}

// The state stays until the next image, which drops the frozen topic.
void state_remove_topic(struct meta *m, struct topic_state *t)
{
    HASH_DELETE(by_name, m->by_name, t);
    HASH_DELETE(by_id, m->by_id, t);
    draft_free(t->draft);
    t->draft = NULL;
    t->removed = true;
    if (!list_linked(&t->changed))
        list_push_back(&m->changed, &t->changed);
}

static int draft_copy(struct draft *d, const struct meta_topic *f)
{
    d->parts_cap = d->parts_n = f->partitions_n;
    d->configs_cap = d->configs_n = f->configs_n;
    d->parts = malloc((f->partitions_n + 1) * sizeof(*d->parts));
    d->configs = malloc((f->configs_n + 1) * sizeof(*d->configs));
    if (!d->parts || !d->configs)
        return -ENOMEM;
    for (uint32_t i = 0; i < f->partitions_n; i++)
        d->parts[i] = (struct draft_part){.p = f->partitions[i], .exists = true};
    memcpy(d->configs, f->configs, f->configs_n * sizeof(*d->configs));
    return 0;
}

struct draft *state_draft(struct meta *m, struct topic_state *t)
{
    if (t->draft)
        return t->draft;
    struct draft *d = calloc(1, sizeof(*d));
    if (!d || (t->frozen && draft_copy(d, t->frozen))) {
        draft_free(d);
        return NULL;
    }
    t->draft = d;
    if (!list_linked(&t->changed))
        list_push_back(&m->changed, &t->changed);
    return d;
}

// A record's word for a partition is believed up to here: memory follows the highest one.
enum { PARTS_MAX = 1 << 20 };

struct draft_part *state_part(struct draft *d, int32_t partition, bool create)
{
    uint32_t i = (uint32_t)partition;
    if (partition < 0 || partition >= PARTS_MAX)
        return NULL;
    if (i < d->parts_n)
        return d->parts[i].exists || create ? &d->parts[i] : NULL;
    if (!create)
        return NULL;
    while (d->parts_n <= i) {
        if (grow_array((void **)&d->parts, d->parts_n, &d->parts_cap, sizeof(*d->parts)))
            return NULL;
        d->parts[d->parts_n++] = (struct draft_part){0};
    }
    return &d->parts[i];
}

int state_set_config(struct meta *m, struct topic_state *t, struct kp_str key, struct kp_str value)
{
    struct draft *d = state_draft(m, t);
    char *k = arena_strndup(&m->drafts, key.p, (size_t)key.n);
    char *v = value.n < 0 ? NULL : arena_strndup(&m->drafts, value.p, (size_t)value.n);
    if (!d || !k || (value.n >= 0 && !v))
        return -ENOMEM;
    uint32_t i = 0;
    int cmp = 1;
    while (i < d->configs_n && (cmp = strcmp(d->configs[i].key, k)) < 0)
        i++;
    bool found = i < d->configs_n && cmp == 0;
    if (found && v) {
        d->configs[i].value = v;
    } else if (found) {
        memmove(&d->configs[i], &d->configs[i + 1], (d->configs_n - i - 1) * sizeof(*d->configs));
        d->configs_n--;
    } else if (v) {
        if (grow_array((void **)&d->configs, d->configs_n, &d->configs_cap, sizeof(*d->configs)))
            return -ENOMEM;
        memmove(&d->configs[i + 1], &d->configs[i], (d->configs_n - i) * sizeof(*d->configs));
        d->configs[i] = (struct meta_config_entry){.key = k, .value = v};
        d->configs_n++;
    }
    return 0;
}

// ---- brokers ----------------------------------------------------------------------------------------------
static void broker_clear(struct broker_state *s)
{
    for (uint32_t i = 0; i < s->b.endpoints_n; i++) {
        free((char *)s->b.endpoints[i].listener);
        free((char *)s->b.endpoints[i].host);
    }
    free((void *)s->b.endpoints);
    free((void *)s->b.dirs);
    free((char *)s->b.rack);
}

// Takes over a copy of the directories that are online now.
int state_set_dirs(struct broker_state *b, const struct sl_uuid *dirs, int32_t n)
{
    size_t count = (size_t)SL_MAX(n, 0);
    struct sl_uuid *copy = calloc(count + 1, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    if (count)
        memcpy(copy, dirs, count * sizeof(*copy));
    free((void *)b->b.dirs);
    b->b.dirs = copy;
    b->b.dirs_n = (uint32_t)count;
    return 0;
}

struct broker_state *state_broker(struct meta *m, int32_t id)
{
    for (uint32_t i = 0; i < m->brokers_n; i++)
        if (m->brokers[i].b.id == id)
            return &m->brokers[i];
    return NULL;
}

// Takes over a copy of b with all it points to; brokers stay sorted by id.
int state_set_broker(struct meta *m, const struct meta_broker *b, const struct sl_uuid *incarnation)
{
    struct broker_state s = {.b = *b, .incarnation = *incarnation};
    struct meta_endpoint *ep = calloc(b->endpoints_n + 1, sizeof(*ep));
    if (!ep)
        return -ENOMEM;
    bool ok = true;
    for (uint32_t i = 0; i < b->endpoints_n; i++) {
        ep[i] = b->endpoints[i];
        ep[i].listener = strdup(b->endpoints[i].listener);
        ep[i].host = strdup(b->endpoints[i].host);
        ok = ok && ep[i].listener && ep[i].host;
    }
    s.b.endpoints = ep;
    s.b.dirs = NULL;
    ok = state_set_dirs(&s, b->dirs, (int32_t)b->dirs_n) == 0 && ok;
    s.b.rack = b->rack ? strdup(b->rack) : NULL;
    struct broker_state *old = state_broker(m, b->id), *v = m->brokers;
    if (!old)
        v = realloc(m->brokers, (m->brokers_n + 1) * sizeof(*v));
    if (!ok || (b->rack && !s.b.rack) || !v) {
        broker_clear(&s);
        return -ENOMEM;
    }
    if (old) {
        broker_clear(old);
        *old = s;
        return 0;
    }
    m->brokers = v;
    uint32_t i = m->brokers_n++;
    for (; i > 0 && v[i - 1].b.id > b->id; i--)
        v[i] = v[i - 1];
    v[i] = s;
    return 0;
}

void state_drop_broker(struct meta *m, int32_t id)
{
    struct broker_state *s = state_broker(m, id);
    if (!s)
        return;
    broker_clear(s);
    uint32_t i = (uint32_t)(s - m->brokers);
    memmove(s, s + 1, (m->brokers_n - i - 1) * sizeof(*s));
    m->brokers_n--;
}

// ---- features -----------------------------------------------------------------------------------------------
int state_set_feature(struct meta *m, struct kp_str name, int16_t level)
{
    struct named_level f = {.level = level};
    if (name.n <= 0 || (size_t)name.n >= sizeof(f.name))
        return -EPROTONOSUPPORT;
    memcpy(f.name, name.p, (size_t)name.n);
    uint32_t i = 0;
    while (i < m->features_n && strcmp(m->features[i].name, f.name) < 0)
        i++;
    bool found = i < m->features_n && !strcmp(m->features[i].name, f.name);
    if (found && level) {
        m->features[i] = f;
    } else if (found) {
        memmove(&m->features[i], &m->features[i + 1], (m->features_n - i - 1) * sizeof(f));
        m->features_n--;
    } else if (level) {
        struct named_level *v = realloc(m->features, (m->features_n + 1) * sizeof(*v));
        if (!v)
            return -ENOMEM;
        m->features = v;
        memmove(&v[i + 1], &v[i], (m->features_n - i) * sizeof(f));
        v[i] = f;
        m->features_n++;
    }
    return 0;
}

int16_t state_feature(const struct meta *m, const char *name)
{
    for (uint32_t i = 0; i < m->features_n; i++)
        if (!strcmp(m->features[i].name, name))
            return m->features[i].level;
    return 0;
}

void state_destroy(struct meta *m)
{
    struct topic_state *t, *tmp;
    HASH_ITER(by_name, m->by_name, t, tmp)
    {
        state_remove_topic(m, t);
    }
    struct list_node *n;
    while ((n = list_pop_front(&m->changed))) {
        t = list_entry(n, struct topic_state, changed);
        free(t->name);
        free(t);
    }
    for (uint32_t i = 0; i < m->brokers_n; i++)
        broker_clear(&m->brokers[i]);
    free(m->brokers);
    free(m->features);
    free(m->reconfigured);
    settings_destroy(m);
    arena_free(&m->drafts);
    arena_free(&m->decode);
    recs_free(&m->txn_recs);
    recs_free(&m->bootstrap);
}
