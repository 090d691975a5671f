// What is set of things other than topics: configs of brokers, groups and metrics subscriptions, and quotas. The state
// is the controller's; its frozen form (struct settings) is shared by all images until something changes, for it may be
// large and changes seldom.
#include "engine/meta/meta_private.h"

#include <stdlib.h>

// ---- configs ------------------------------------------------------------------------------------------------
static size_t resource_key(char *buf, size_t cap, int8_t type, const char *name, size_t len)
{
    SL_ASSERT(len + 1 <= cap);
    buf[0] = (char)type;
    memcpy(buf + 1, name, len);
    return len + 1;
}

struct resource_state *settings_find(struct meta *m, int8_t type, const char *name, size_t len)
{
    char key[RESOURCE_NAME_MAX + 1];
    struct resource_state *r = NULL;
    if (len > RESOURCE_NAME_MAX)
        return NULL;
    size_t n = resource_key(key, sizeof(key), type, name, len);
    HASH_FIND(hh, m->resources, key, n, r);
    return r;
}

static struct resource_state *resource_add(struct meta *m, int8_t type, const char *name, size_t len)
{
    struct resource_state *r = calloc(1, sizeof(*r) + len + 2);
    if (!r)
        return NULL;
    r->type = type;
    r->name = r->key + 1;
    size_t n = resource_key(r->key, len + 1, type, name, len);
    HASH_ADD_KEYPTR(hh, m->resources, r->key, n, r);
    return r;
}

static void resource_drop(struct meta *m, struct resource_state *r)
{
    HASH_DEL(m->resources, r);
    for (uint32_t i = 0; i < r->n; i++) {
        free((char *)r->v[i].key);
        free((char *)r->v[i].value);
    }
    free(r->v);
    free(r);
}

// Entries stay sorted by key.
static int resource_set(struct resource_state *r, struct kp_str key, struct kp_str value)
{
    char *k = strndup(key.p, (size_t)key.n), *v = value.n < 0 ? NULL : strndup(value.p, (size_t)value.n);
    struct meta_config_entry *e = realloc(r->v, (r->n + 1) * sizeof(*e));
    uint32_t i = 0;
    int cmp = 1;
    if (e)
        r->v = e;
    if (!k || !e || (value.n >= 0 && !v)) {
        free(k);
        free(v);
        return -ENOMEM;
    }
    while (i < r->n && (cmp = strcmp(r->v[i].key, k)) < 0)
        i++;
    if (i < r->n && cmp == 0) {
        free((char *)r->v[i].key);
        free((char *)r->v[i].value);
        r->v[i] = (struct meta_config_entry){k, v};
        if (v)
            return 0;
        free(k);
        memmove(&r->v[i], &r->v[i + 1], (r->n - i - 1) * sizeof(*e));
        r->n--;
    } else if (v) {
        memmove(&r->v[i + 1], &r->v[i], (r->n - i) * sizeof(*e));
        r->v[i] = (struct meta_config_entry){k, v};
        r->n++;
    } else {
        free(k);
    }
    return 0;
}

int settings_set(struct meta *m, int8_t type, struct kp_str name, struct kp_str key, struct kp_str value)
{
    if (name.n < 0 || name.n > RESOURCE_NAME_MAX || key.n < 0)
        return -EPROTONOSUPPORT;
    struct resource_state *r = settings_find(m, type, name.p, (size_t)name.n);
    if (!r && value.n < 0)
        return 0;
    if (!r)
        r = resource_add(m, type, name.p, (size_t)name.n);
    if (!r)
        return -ENOMEM;
    m->settings_changed = true;
    int rc = resource_set(r, key, value);
    if (!rc && r->n == 0)
        resource_drop(m, r);
    return rc;
}

// ---- quotas -------------------------------------------------------------------------------------------------
// An entity as a key: per type, in order, a mark whether it is there, then its name or nothing for the default.
static size_t entity_key(const struct meta_quota *q, char *buf, size_t cap)
{
    size_t n = 0;
    for (int t = 0; t < META_QUOTA_TYPES; t++) {
        const char *name = q->names[t];
        size_t len = name ? strlen(name) + 1 : 1;
        if (n + len + 1 > cap)
            return 0;
        buf[n++] = (char)('0' + q->has[t] + (q->has[t] && name));
        memcpy(buf + n, name ? name : "", len);
        n += len;
    }
    return n;
}

static struct quota_state *quota_find(struct meta *m, const struct meta_quota *q)
{
    char key[QUOTA_KEY_MAX];
    struct quota_state *s = NULL;
    size_t n = entity_key(q, key, sizeof(key));
    if (n)
        HASH_FIND(hh, m->quotas, key, n, s);
    return s;
}

const struct meta_quota *settings_quota(struct meta *m, const struct meta_quota *entity)
{
    struct quota_state *s = quota_find(m, entity);
    return s ? &s->q : NULL;
}

static struct quota_state *quota_add(struct meta *m, const struct meta_quota *q)
{
    char key[QUOTA_KEY_MAX];
    size_t n = entity_key(q, key, sizeof(key));
    struct quota_state *s = n ? calloc(1, sizeof(*s) + n) : NULL;
    if (!s)
        return NULL;
    memcpy(s->key, key, n);
    char *p = s->key;
    for (int t = 0; t < META_QUOTA_TYPES; t++) {
        s->q.has[t] = q->has[t];
        s->q.names[t] = q->names[t] ? p + 1 : NULL;
        p += strlen(p + 1) + 2;
    }
    HASH_ADD_KEYPTR(hh, m->quotas, s->key, n, s);
    return s;
}

static int quota_index(const struct kp_str *key)
{
    for (int i = 0; i < META_QUOTA_KEYS; i++)
        if (kp_str_eq(*key, kp_str_of(meta_quota_keys[i])))
            return i;
    return -1;
}

int settings_set_quota(struct meta *m, const struct meta_quota *entity, struct kp_str key, double value,
                       bool remove)
{
    struct quota_state *s = quota_find(m, entity);
    int i = quota_index(&key);
    if (i < 0)
        return -EPROTONOSUPPORT;
    if (!s && remove)
        return 0;
    if (!s && !(s = quota_add(m, entity)))
        return -ENOMEM;
    m->settings_changed = true;
    s->q.set = remove ? s->q.set & ~(1u << i) : s->q.set | 1u << i;
    s->q.values[i] = value;
    if (!s->q.set) {
        HASH_DEL(m->quotas, s);
        free(s);
    }
    return 0;
}

// ---- records without effect here: kept for snapshots ---------------------------------------------------------
int settings_keep(struct meta *m, uint8_t kind, const void *key, size_t n, const uint8_t *rec, size_t rec_n)
{
    struct kept_record *k = NULL;
    uint8_t id[KEPT_KEY_MAX];
    if (n + 1 > sizeof(id))
        return -EPROTONOSUPPORT;
    id[0] = kind;
    memcpy(id + 1, key, n);
    HASH_FIND(hh, m->kept, id, n + 1, k);
    if (k) {
        HASH_DEL(m->kept, k);
        free(k);
    }
    if (!rec)
        return 0;
    k = malloc(sizeof(*k) + n + 1 + rec_n);
    if (!k)
        return -ENOMEM;
    k->id = k->bytes;
    k->rec = k->bytes + n + 1;
    k->rec_n = (uint32_t)rec_n;
    memcpy(k->bytes, id, n + 1);
    memcpy(k->bytes + n + 1, rec, rec_n);
    HASH_ADD_KEYPTR(hh, m->kept, k->id, n + 1, k);
    return 0;
}

// ---- the frozen form -----------------------------------------------------------------------------------------
static int freeze_resources(struct meta *m, struct settings *s)
{
    struct resource_state *r, *tmp;
    struct meta_resource *v = arena_array(&s->arena, HASH_COUNT(m->resources) + 1u, sizeof(*v));
    if (!v)
        return -ENOMEM;
    HASH_ITER(hh, m->resources, r, tmp)
    {
        struct meta_config_entry *e = arena_array(&s->arena, r->n + 1, sizeof(*e));
        const char *name = arena_strndup(&s->arena, r->name, strlen(r->name));
        if (!e || !name)
            return -ENOMEM;
        for (uint32_t i = 0; i < r->n; i++) {
            e[i].key = arena_strndup(&s->arena, r->v[i].key, strlen(r->v[i].key));
            e[i].value = arena_strndup(&s->arena, r->v[i].value, strlen(r->v[i].value));
            if (!e[i].key || !e[i].value)
                return -ENOMEM;
        }
        v[s->resources_n++] =
            (struct meta_resource){.type = r->type, .name = name, .configs = e, .configs_n = r->n};
    }
    qsort(v, s->resources_n, sizeof(*v), meta_resource_cmp);
    s->resources = v;
    return 0;
}

static int freeze_quotas(struct meta *m, struct settings *s)
{
    struct quota_state *q, *tmp;
    struct meta_quota *v = arena_array(&s->arena, HASH_COUNT(m->quotas) + 1u, sizeof(*v));
    if (!v)
        return -ENOMEM;
    HASH_ITER(hh, m->quotas, q, tmp)
    {
        struct meta_quota *o = &v[s->quotas_n++];
        *o = q->q;
        for (int t = 0; t < META_QUOTA_TYPES; t++) {
            o->names[t] =
                q->q.names[t] ? arena_strndup(&s->arena, q->q.names[t], strlen(q->q.names[t])) : NULL;
            if (q->q.names[t] && !o->names[t])
                return -ENOMEM;
        }
    }
    qsort(v, s->quotas_n, sizeof(*v), meta_quota_cmp);
    s->quotas = v;
    return 0;
}

static const struct meta_resource *find_resource(const struct settings *s, int8_t type, const char *name)
{
    struct meta_resource key = {.type = type, .name = name};
    return s->resources_n ? bsearch(&key, s->resources, s->resources_n, sizeof(key), meta_resource_cmp)
                          : NULL;
}

static size_t pairs_of(const struct settings *s, const char *name, struct cfg_pair **out)
{
    const struct meta_resource *r = find_resource(s, META_RES_BROKER, name);
    *out = calloc((r ? r->configs_n : 0) + 1u, sizeof(**out));
    for (uint32_t i = 0; *out && r && i < r->configs_n; i++)
        (*out)[i] = (struct cfg_pair){r->configs[i].key, r->configs[i].value};
    return r ? r->configs_n : 0;
}

static struct config *overlay(const struct meta *m, const struct settings *s)
{
    char self[16];
    struct cfg_pair *cluster, *broker;
    snprintf(self, sizeof(self), "%d", m->id.node_id);
    size_t cluster_n = pairs_of(s, "", &cluster), broker_n = pairs_of(s, self, &broker);
    struct config *c =
        cluster && broker ? config_overlay(m->cfg, cluster, cluster_n, broker, broker_n) : NULL;
    free(cluster);
    free(broker);
    return c;
}

static struct settings *settings_make(struct meta *m)
{
    struct settings *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->refs = 1; // the controller's
    arena_init(&s->arena, 0);
    if (!freeze_resources(m, s) && !freeze_quotas(m, s))
        s->config = overlay(m, s);
    if (s->config)
        return s;
    settings_unref(s);
    return NULL;
}

// Topics that look at broker defaults see the new ones.
static int redraft_topics(struct meta *m)
{
    for (uint32_t i = 0; i < m->sorted_n; i++) {
        const struct meta_topic *t = m->sorted[i];
        struct topic_config now;
        meta_resolve_config(m, t->configs, t->configs_n, t->name, &now);
        if (!memcmp(&now, t->config, sizeof(now)))
            continue;
        struct topic_state *s = state_find_id(m, &t->id);
        if (s && !state_draft(m, s))
            return -ENOMEM;
    }
    return 0;
}

int settings_freeze(struct meta *m)
{
    if (m->settings && !m->settings_changed)
        return 0;
    struct settings *s = settings_make(m);
    if (!s)
        return -ENOMEM;
    settings_unref(m->settings);
    m->settings = s;
    m->settings_changed = false;
    topic_config_init(&m->base, s->config);
    return redraft_topics(m);
}

struct settings *settings_ref(struct settings *s)
{
    s->refs++;
    return s;
}

void settings_unref(struct settings *s)
{
    if (!s || --s->refs > 0)
        return;
    config_free(s->config);
    arena_free(&s->arena);
    free(s);
}

void settings_destroy(struct meta *m)
{
    struct resource_state *r, *rt;
    struct quota_state *q, *qt;
    struct kept_record *k, *kt;
    HASH_ITER(hh, m->resources, r, rt)
    {
        resource_drop(m, r);
    }
    HASH_ITER(hh, m->quotas, q, qt)
    {
        HASH_DEL(m->quotas, q);
        free(q);
    }
    HASH_ITER(hh, m->kept, k, kt)
    {
        HASH_DEL(m->kept, k);
        free(k);
    }
    settings_unref(m->settings);
}
