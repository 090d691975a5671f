// Frozen topics and images.
#include "engine/meta/meta_private.h"

#include <stdlib.h>

static const char *const internal_topics[] = {"__consumer_offsets", "__transaction_state",
                                              "__share_group_state"};

bool meta_topic_is_internal(const char *name, size_t len)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(internal_topics); i++)
        if (strlen(internal_topics[i]) == len && !memcmp(internal_topics[i], name, len))
            return true;
    return false;
}

// ---- one topic, in one allocation -------------------------------------------------------------------------
struct cursor {
    char *p;
};

static void *take(struct cursor *c, size_t n)
{
    void *p = c->p;
    c->p += SL_ALIGN_UP(n, (size_t)8);
    return p;
}

static size_t padded(size_t n)
{
    return SL_ALIGN_UP(n, (size_t)8);
}

static size_t frozen_size(const struct topic_state *t)
{
    const struct draft *d = t->draft;
    size_t n = padded(sizeof(struct meta_topic)) + padded(sizeof(struct topic_config)) +
               padded(t->name_len + 1u) + padded(d->parts_n * sizeof(struct meta_partition)) +
               padded(d->configs_n * sizeof(struct meta_config_entry));
    for (uint32_t i = 0; i < d->parts_n; i++)
        n += padded(d->parts[i].p.replicas_n * 4u) + padded(d->parts[i].p.isr_n * 4u);
    for (uint32_t i = 0; i < d->configs_n; i++)
        n += padded(strlen(d->configs[i].key) + 1) + padded(strlen(d->configs[i].value) + 1);
    return n;
}

static const int32_t *take_ids(struct cursor *c, const int32_t *ids, uint32_t n)
{
    int32_t *p = take(c, n * 4u);
    if (n)
        memcpy(p, ids, n * 4u);
    return p;
}

static char *take_text(struct cursor *c, const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(take(c, n), s, n);
}

static struct meta_topic *freeze_topic(const struct meta *m, const struct topic_state *t)
{
    const struct draft *d = t->draft;
    struct cursor c = {.p = malloc(frozen_size(t))};
    if (!c.p)
        return NULL;
    struct meta_topic *f = take(&c, sizeof(*f));
    struct topic_config *tc = take(&c, sizeof(*tc));
    struct meta_partition *parts = take(&c, d->parts_n * sizeof(*parts));
    struct meta_config_entry *configs = take(&c, d->configs_n * sizeof(*configs));
    for (uint32_t i = 0; i < d->parts_n; i++) {
        parts[i] = d->parts[i].p;
        parts[i].replicas = take_ids(&c, parts[i].replicas, parts[i].replicas_n);
        parts[i].isr = take_ids(&c, parts[i].isr, parts[i].isr_n);
    }
    for (uint32_t i = 0; i < d->configs_n; i++)
        configs[i] = (struct meta_config_entry){.key = take_text(&c, d->configs[i].key),
                                                .value = take_text(&c, d->configs[i].value)};
    *f = (struct meta_topic){.id = t->id,
                             .name = take_text(&c, t->name),
                             .name_len = t->name_len,
                             .internal = meta_topic_is_internal(t->name, t->name_len),
                             .partitions = parts,
                             .partitions_n = d->parts_n,
                             .configs = configs,
                             .configs_n = d->configs_n,
                             .config = tc};
    meta_resolve_config(m, configs, d->configs_n, t->name, tc);
    return f;
}

// ---- the sorted list --------------------------------------------------------------------------------------
static int by_name_cmp(const void *a, const void *b)
{
    const struct meta_topic *x = *(const struct meta_topic *const *)a,
                            *y = *(const struct meta_topic *const *)b;
    return strcmp(x->name, y->name);
}

static uint32_t lower_bound(const struct meta *m, const char *name)
{
    uint32_t lo = 0, hi = m->sorted_n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (strcmp(m->sorted[mid]->name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int sorted_reserve(struct meta *m, uint32_t more)
{
    if (m->sorted_n + more <= m->sorted_cap)
        return 0;
    uint32_t cap = SL_MAX(m->sorted_cap * 2, m->sorted_n + more);
    const struct meta_topic **p = realloc(m->sorted, cap * sizeof(*p));
    if (!p)
        return -ENOMEM;
    m->sorted = p;
    m->sorted_cap = cap;
    return 0;
}

static int retire(struct meta *m, const struct meta_topic *f)
{
    if (m->retired_n == m->retired_cap) {
        uint32_t cap = m->retired_cap ? m->retired_cap * 2 : 8;
        const struct meta_topic **p = realloc(m->retired, cap * sizeof(*p));
        if (!p)
            return -ENOMEM;
        m->retired = p;
        m->retired_cap = cap;
    }
    m->retired[m->retired_n++] = f;
    return 0;
}

static int drop_frozen(struct meta *m, const struct meta_topic *f)
{
    uint32_t i = lower_bound(m, f->name);
    SL_ASSERT(i < m->sorted_n && m->sorted[i] == f);
    memmove(&m->sorted[i], &m->sorted[i + 1], (m->sorted_n - i - 1) * sizeof(*m->sorted));
    m->sorted_n--;
    table_del(&m->names, f);
    table_del(&m->ids, f);
    return retire(m, f);
}

// Few new topics are put in their places; many are appended, and the list is sorted at the end.
static int place_frozen(struct meta *m, struct topic_state *t, const struct meta_topic *f, bool many)
{
    int rc = 0;
    if (t->frozen) {
        uint32_t i = lower_bound(m, t->name);
        SL_ASSERT(i < m->sorted_n && m->sorted[i] == t->frozen);
        m->sorted[i] = f;
        rc = retire(m, t->frozen);
    } else if (many) {
        m->sorted[m->sorted_n++] = f;
    } else {
        uint32_t i = lower_bound(m, t->name);
        memmove(&m->sorted[i + 1], &m->sorted[i], (m->sorted_n - i) * sizeof(*m->sorted));
        m->sorted[i] = f;
        m->sorted_n++;
    }
    t->frozen = f;
    if (!rc)
        rc = table_put(&m->names, f);
    return rc ? rc : table_put(&m->ids, f);
}

// Shards must hear of it when a topic's settings changed.
static int note_config(struct meta *m, const struct meta_topic *was, const struct meta_topic *is)
{
    if (!memcmp(was->config, is->config, sizeof(*is->config)))
        return 0;
    if (m->reconfigured_n == m->reconfigured_cap) {
        uint32_t cap = m->reconfigured_cap ? m->reconfigured_cap * 2 : 8;
        struct sl_uuid *v = realloc(m->reconfigured, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        m->reconfigured = v;
        m->reconfigured_cap = cap;
    }
    m->reconfigured[m->reconfigured_n++] = is->id;
    return 0;
}

// Removals and replacements first, since they search the sorted list.
static int freeze_changed(struct meta *m)
{
    uint32_t fresh = 0;
    struct list_node *n;
    struct list_node news;
    list_init(&news);
    while ((n = list_pop_front(&m->changed))) {
        struct topic_state *t = list_entry(n, struct topic_state, changed);
        if (t->removed) {
            if (t->frozen && drop_frozen(m, t->frozen))
                return -ENOMEM;
            free(t->name);
            free(t);
            continue;
        }
        if (!t->frozen) {
            fresh++;
            list_push_back(&news, n);
            continue;
        }
        struct meta_topic *f = freeze_topic(m, t);
        if (!f || note_config(m, t->frozen, f) || place_frozen(m, t, f, false))
            return -ENOMEM;
        draft_free(t->draft);
        t->draft = NULL;
    }
    if (sorted_reserve(m, fresh))
        return -ENOMEM;
    while ((n = list_pop_front(&news))) {
        struct topic_state *t = list_entry(n, struct topic_state, changed);
        struct meta_topic *f = freeze_topic(m, t);
        if (!f || place_frozen(m, t, f, fresh > 32))
            return -ENOMEM;
        draft_free(t->draft);
        t->draft = NULL;
    }
    if (fresh > 32)
        qsort(m->sorted, m->sorted_n, sizeof(*m->sorted), by_name_cmp);
    return 0;
}

// ---- images -----------------------------------------------------------------------------------------------
static int copy_table(struct arena *a, const struct topic_table *from, struct topic_table *to)
{
    *to = *from;
    if (!from->slots)
        return 0;
    size_t bytes = (from->mask + 1) * sizeof(*from->slots);
    to->slots = arena_alloc(a, bytes);
    if (!to->slots)
        return -ENOMEM;
    memcpy(to->slots, from->slots, bytes);
    return 0;
}

static const char *text(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

static int copy_brokers(const struct meta *m, struct image *img)
{
    struct arena *a = &img->arena;
    struct meta_broker *b = arena_array(a, m->brokers_n + 1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    for (uint32_t i = 0; i < m->brokers_n; i++) {
        b[i] = m->brokers[i].b;
        struct meta_endpoint *ep = arena_array(a, b[i].endpoints_n + 1, sizeof(*ep));
        if (!ep)
            return -ENOMEM;
        for (uint32_t k = 0; k < b[i].endpoints_n; k++) {
            ep[k] = b[i].endpoints[k];
            ep[k].listener = text(a, ep[k].listener);
            ep[k].host = text(a, ep[k].host);
            if (!ep[k].listener || !ep[k].host)
                return -ENOMEM;
        }
        b[i].endpoints = ep;
        struct sl_uuid *dirs = arena_array(a, b[i].dirs_n + 1, sizeof(*dirs));
        if (!dirs)
            return -ENOMEM;
        if (b[i].dirs_n)
            memcpy(dirs, b[i].dirs, b[i].dirs_n * sizeof(*dirs));
        b[i].dirs = dirs;
        const char *rack = text(a, b[i].rack);
        if (b[i].rack && !rack)
            return -ENOMEM;
        b[i].rack = rack;
    }
    img->pub.brokers = b;
    img->pub.brokers_n = m->brokers_n;
    return 0;
}

// Finalized features, kraft.version among them as upstream shows it, sorted by name.
static int copy_features(const struct meta *m, struct image *img)
{
    struct meta_feature *f = arena_array(&img->arena, m->features_n + 1, sizeof(*f));
    uint32_t n = 0;
    bool kraft = m->kraft_version > 0;
    if (!f)
        return -ENOMEM;
    for (uint32_t i = 0; i < m->features_n; i++) {
        if (kraft && strcmp(m->features[i].name, "kraft.version") > 0) {
            f[n++] = (struct meta_feature){.name = "kraft.version", .level = m->kraft_version};
            kraft = false;
        }
        f[n++] = (struct meta_feature){.name = text(&img->arena, m->features[i].name),
                                       .level = m->features[i].level};
        if (!f[n - 1].name)
            return -ENOMEM;
    }
    if (kraft)
        f[n++] = (struct meta_feature){.name = "kraft.version", .level = m->kraft_version};
    img->pub.features = f;
    img->pub.features_n = n;
    return 0;
}

static int fill(struct meta *m, struct image *img)
{
    const struct meta_topic **topics = arena_array(&img->arena, m->sorted_n + 1, sizeof(*topics));
    if (!topics || copy_brokers(m, img) || copy_features(m, img) ||
        copy_table(&img->arena, &m->names, &img->names) || copy_table(&img->arena, &m->ids, &img->ids))
        return -ENOMEM;
    if (m->sorted_n)
        memcpy(topics, m->sorted, m->sorted_n * sizeof(*topics));
    img->pub.topics = topics;
    img->pub.topics_n = m->sorted_n;
    img->pub.version = ++m->version;
    img->pub.offset = m->next_offset - 1;
    img->pub.cluster_id = m->id.cluster_id;
    img->pub.node_id = m->id.node_id;
    img->pub.controller_id = m->id.node_id;
    img->pub.controller_epoch = m->epoch;
    img->pub.kraft_version = m->kraft_version;
    img->pub.directory_id = m->id.directory_id;
    struct meta_dir *dirs = arena_array(&img->arena, m->id.dirs_n + 1, sizeof(*dirs));
    if (!dirs)
        return -ENOMEM;
    memcpy(dirs, m->id.dirs, m->id.dirs_n * sizeof(*dirs));
    img->pub.dirs = dirs;
    img->pub.dirs_n = m->id.dirs_n;
    img->pub.features_epoch = img->pub.offset;
    img->settings = settings_ref(m->settings);
    img->pub.config = m->settings->config;
    img->pub.resources = m->settings->resources;
    img->pub.resources_n = m->settings->resources_n;
    img->pub.quotas = m->settings->quotas;
    img->pub.quotas_n = m->settings->quotas_n;
    img->pub.index = img;
    return 0;
}

struct image *meta_freeze(struct meta *m)
{
    struct image *img = calloc(1, sizeof(*img));
    if (!img)
        return NULL;
    arena_init(&img->arena, 0);
    if (settings_freeze(m) || freeze_changed(m) || fill(m, img)) {
        image_free(img);
        return NULL;
    }
    arena_reset(&m->drafts);
    if (m->image) { // the present image is the last one that holds them
        SL_ASSERT(!m->image->retired);
        m->image->retired = m->retired;
        m->image->retired_n = m->retired_n;
        m->retired = NULL;
        m->retired_n = m->retired_cap = 0;
    }
    return img;
}

void image_free(struct image *img)
{
    if (!img)
        return;
    for (uint32_t i = 0; i < img->retired_n; i++)
        free((void *)img->retired[i]);
    free(img->retired);
    settings_unref(img->settings);
    arena_free(&img->arena);
    free(img);
}

void image_free_topics(struct meta *m)
{
    for (uint32_t i = 0; i < m->sorted_n; i++)
        free((void *)m->sorted[i]);
    for (uint32_t i = 0; i < m->retired_n; i++)
        free((void *)m->retired[i]);
    free(m->retired);
    free(m->sorted);
    free(m->names.slots);
    free(m->ids.slots);
}

// ---- looking up -------------------------------------------------------------------------------------------
const struct meta_topic *meta_find_topic(const struct meta_image *img, const char *name, size_t len)
{
    return table_find_name(&((const struct image *)img->index)->names, name, len);
}

const struct meta_topic *meta_find_topic_id(const struct meta_image *img, const struct sl_uuid *id)
{
    return table_find_id(&((const struct image *)img->index)->ids, id);
}

const struct meta_broker *meta_find_broker(const struct meta_image *img, int32_t id)
{
    for (uint32_t i = 0; i < img->brokers_n; i++)
        if (img->brokers[i].id == id)
            return &img->brokers[i];
    return NULL;
}
