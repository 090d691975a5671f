/* Keys as DescribeConfigs shows them: value, default, where it comes from, and what else could supply it. */
#include "engine/base/config_private.h"

#include <errno.h>
#include <string.h>

/* Broker keys that stand in for one another: the first that is not null counts. */
static const struct {
    size_t count;
    enum cfg_key keys[3];
} broker_chains[] = {
    {3, {CFG_LOG_RETENTION_MS, CFG_LOG_RETENTION_MINUTES, CFG_LOG_RETENTION_HOURS}},
    {2, {CFG_LOG_ROLL_MS, CFG_LOG_ROLL_HOURS}},
    {2, {CFG_LOG_ROLL_JITTER_MS, CFG_LOG_ROLL_JITTER_HOURS}},
    {2, {CFG_LOG_FLUSH_INTERVAL_MS, CFG_LOG_FLUSH_SCHEDULER_INTERVAL_MS}},
};

static void add_synonym(struct cfg_view *out, const char *name, const char *value, enum cfg_origin origin)
{
    SL_ASSERT(out->synonym_count < CFG_SYNONYMS_MAX);
    out->synonyms[out->synonym_count++] = (struct cfg_synonym){name, out->sensitive ? NULL : value, origin};
}

/* As upstream: only from the first one of the key's own name on; none, if only its stand-ins supply values. */
static void drop_stand_ins(struct cfg_view *out, const char *name)
{
    size_t i = 0;
    while (i < out->synonym_count && strcmp(out->synonyms[i].name, name) != 0)
        i++;
    memmove(out->synonyms, out->synonyms + i, (out->synonym_count - i) * sizeof(out->synonyms[0]));
    out->synonym_count -= i;
}

/* Layer by layer, the strongest first; what was set comes before every default. */
static void add_broker_synonyms(const struct config *c, struct cfg_view *out, const enum cfg_key *keys,
                                size_t count)
{
    for (int layer = CFG_LAYERS - 1; layer >= 0; layer--)
        for (size_t i = 0; i < count; i++)
            if (c->dynamic[layer][keys[i]])
                add_synonym(out, cfg_rows[keys[i]].spec.name, c->dynamic[layer][keys[i]],
                            layer == CFG_LAYER_BROKER ? CFG_ORIGIN_BROKER : CFG_ORIGIN_CLUSTER);
    for (size_t i = 0; i < count; i++) {
        const struct cfg_value *v = &(c->below ? c->below : c)->values[keys[i]];
        if (v->from != CFG_FROM_DEFAULT && v->text)
            add_synonym(out, cfg_rows[keys[i]].spec.name, v->text, CFG_ORIGIN_STATIC_BROKER);
    }
    for (size_t i = 0; i < count; i++) {
        const struct cfg_spec *s = &cfg_rows[keys[i]].spec;
        if (s->fallback)
            add_synonym(out, s->name, s->fallback, CFG_ORIGIN_DEFAULT);
    }
    if (count)
        drop_stand_ins(out, cfg_rows[keys[0]].spec.name);
}

static void fill_spec(struct cfg_view *out, const struct cfg_spec *s)
{
    memset(out, 0, sizeof(*out));
    out->name = s->name;
    out->type = s->type;
    out->fallback = s->fallback;
    out->doc = s->doc;
    out->sensitive = s->type == CFG_PASSWORD;
    out->internal = s->flags == CFG_FLAG_INTERNAL;
    out->meaning = s->meaning;
}

static void finish_origin(struct cfg_view *out)
{
    out->origin = out->synonym_count ? out->synonyms[0].origin : CFG_ORIGIN_DEFAULT;
}

void config_view(const struct config *c, enum cfg_key key, struct cfg_view *out)
{
    SL_ASSERT(c->finished);
    SL_ASSERT((unsigned)key < CFG_KEY_COUNT);
    const struct cfg_row *row = &cfg_rows[key];
    fill_spec(out, &row->spec);
    out->read_only = row->update == CFG_READ_ONLY;
    out->importance = row->importance;
    out->value = out->sensitive ? NULL : c->values[key].text;
    const enum cfg_key *keys = &key;
    size_t count = 1;
    for (size_t i = 0; i < SL_ARRAY_LEN(broker_chains); i++) {
        for (size_t j = 0; j < broker_chains[i].count; j++) {
            if (broker_chains[i].keys[j] == key) {
                keys = &broker_chains[i].keys[j];
                count = broker_chains[i].count - j;
            }
        }
    }
    add_broker_synonyms(c, out, keys, count);
    finish_origin(out);
}

void config_layer_view(const struct config *c, const char *key, const char *broker, const char *cluster,
                       bool inherit, struct cfg_view *out)
{
    int k = cfg_key_find(config_base_key(key));
    SL_ASSERT(c->finished && (broker || cluster));
    if (k >= 0)
        fill_spec(out, &cfg_rows[k].spec);
    else
        memset(out, 0, sizeof(*out));
    out->sensitive |= k < 0; /* of a plugin, perhaps: nobody knows what it says */
    out->read_only = k < 0 || key != config_base_key(key) || cfg_rows[k].update == CFG_READ_ONLY;
    out->name = key;
    out->value = out->sensitive ? NULL : broker ? broker : cluster;
    out->internal = false;
    if (broker)
        add_synonym(out, key, broker, CFG_ORIGIN_BROKER);
    if (cluster)
        add_synonym(out, key, cluster, CFG_ORIGIN_CLUSTER);
    if (inherit && k >= 0 && cfg_rows[k].spec.fallback)
        add_synonym(out, cfg_rows[k].spec.name, cfg_rows[k].spec.fallback, CFG_ORIGIN_DEFAULT);
    finish_origin(out);
}

/* The broker's default for a topic key as text; NULL is null. */
static const char *topic_fallback(const struct config *c, const struct topic_row *row, struct cfg_view *out)
{
    size_t s = topic_synonym_pick(c, row);
    if (s == row->synonyms.count)
        return row->spec.fallback;
    const struct cfg_value *v = &c->values[row->synonyms.at[s].key];
    if (row->synonyms.at[s].unit == 1)
        return v->text;
    int64_t n;
    if (__builtin_mul_overflow(v->number, row->synonyms.at[s].unit, &n))
        n = INT64_MAX;
    snprintf(out->scratch, sizeof(out->scratch), "%lld", (long long)(n < 0 ? -1 : n));
    return out->scratch;
}

/* The value as upstream prints it once parsed. 0 or -ENOBUFS or -EINVAL. */
static int topic_config_text(enum topic_key key, const char *value, char *out, size_t cap)
{
    struct cfg_value v;
    char err[64];
    int rc = config_value_parse(&topic_rows[key].spec, value, &v, err, sizeof(err));
    if (rc)
        return rc;
    rc = strlen(v.text) < cap ? 0 : -ENOBUFS;
    if (!rc)
        memcpy(out, v.text, strlen(v.text) + 1);
    config_value_clear(&v);
    return rc;
}

void topic_config_view(const struct config *c, enum topic_key key, const char *override, struct cfg_view *out)
{
    SL_ASSERT(c->finished);
    SL_ASSERT((unsigned)key < TOPIC_KEY_COUNT);
    const struct topic_row *row = &topic_rows[key];
    fill_spec(out, &row->spec);
    out->importance = CFG_MEDIUM;
    out->fallback = topic_fallback(c, row, out);
    if (override && !topic_config_text(key, override, out->text, sizeof(out->text)))
        override = out->text; /* as upstream shows a parsed value */
    out->value = override ? override : out->fallback;
    enum cfg_key keys[TOPIC_SYNONYMS_MAX] = {0};
    for (size_t i = 0; i < row->synonyms.count; i++)
        keys[i] = row->synonyms.at[i].key;
    add_broker_synonyms(c, out, keys, row->synonyms.count);
    if (override) {
        SL_ASSERT(out->synonym_count < CFG_SYNONYMS_MAX);
        memmove(&out->synonyms[1], &out->synonyms[0], out->synonym_count++ * sizeof(out->synonyms[0]));
        out->synonyms[0] = (struct cfg_synonym){row->spec.name, override, CFG_ORIGIN_TOPIC};
    }
    finish_origin(out);
}
