/* Topic configuration: broker defaults through the synonyms of each row, overlaid with a topic's own values.
 */
#include "engine/base/config_private.h"

#include <errno.h>
#include <string.h>

size_t topic_synonym_pick(const struct config *c, const struct topic_row *row)
{
    size_t i = 0;
    while (i < row->synonyms.count && !c->values[row->synonyms.at[i].key].text)
        i++;
    return i;
}

static int8_t codec_of(const char *word)
{
    static const struct {
        const char *word;
        int8_t codec;
    } codecs[] = {
        {"producer", CFG_COMPRESSION_PRODUCER}, {"uncompressed", CFG_COMPRESSION_NONE},
        {"gzip", CFG_COMPRESSION_GZIP},         {"snappy", CFG_COMPRESSION_SNAPPY},
        {"lz4", CFG_COMPRESSION_LZ4},           {"zstd", CFG_COMPRESSION_ZSTD},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(codecs); i++) {
        if (strcmp(codecs[i].word, word) == 0)
            return codecs[i].codec;
    }
    sl_panic("config: unknown codec %s", word); /* the row's check let only these through */
}

static uint8_t policy_of(const struct cfg_list *l)
{
    uint8_t bits = 0;
    for (size_t i = 0; i < l->count; i++)
        bits |= strcmp(l->items[i], "delete") == 0 ? CFG_CLEANUP_DELETE : CFG_CLEANUP_COMPACT;
    return bits;
}

/* Stores a parsed value in its field; unit scales a number. */
static void store_field(struct topic_config *t, const struct topic_row *row, const struct cfg_value *v,
                        int64_t unit)
{
    void *field = (char *)t + row->field.offset;
    switch (row->field.kind) {
    case TOPIC_FIELD_NONE:
        break;
    case TOPIC_FIELD_NUMBER: {
        int64_t n = 0;
        if (v->text && __builtin_mul_overflow(v->number, unit, &n))
            n = INT64_MAX;
        *(int64_t *)field = n;
        break;
    }
    case TOPIC_FIELD_FLAG:
        *(bool *)field = v->number != 0;
        break;
    case TOPIC_FIELD_REAL:
        *(double *)field = v->real;
        break;
    case TOPIC_FIELD_POLICY:
        *(uint8_t *)field = policy_of(&v->list);
        break;
    case TOPIC_FIELD_CODEC:
        *(int8_t *)field = codec_of(v->text);
        break;
    case TOPIC_FIELD_STAMP:
        *(uint8_t *)field = strcmp(v->text, "LogAppendTime") == 0 ? CFG_LOG_APPEND_TIME : CFG_CREATE_TIME;
        break;
    }
}

void topic_config_init(struct topic_config *t, const struct config *c)
{
    SL_ASSERT(c->finished);
    memset(t, 0, sizeof(*t));
    for (int i = 0; i < TOPIC_KEY_COUNT; i++) {
        const struct topic_row *row = &topic_rows[i];
        size_t s = topic_synonym_pick(c, row);
        if (s < row->synonyms.count) {
            store_field(t, row, &c->values[row->synonyms.at[s].key], row->synonyms.at[s].unit);
        } else if (row->spec.fallback) {
            char err[256];
            struct cfg_value v;
            if (config_value_parse(&row->spec, row->spec.fallback, &v, err, sizeof(err)))
                sl_panic("config: default of %s", err);
            store_field(t, row, &v, 1);
            config_value_clear(&v);
        }
    }
    if (t->retention_ms < 0) /* the broker's keys say "for ever" with any negative number */
        t->retention_ms = -1;
}

int topic_config_set(struct topic_config *t, const char *key, const char *value, char *err, size_t err_len)
{
    int i = topic_key_find(key);
    if (i < 0) {
        config_fail(err, err_len, "Unknown topic config name: %s", key);
        return -ENOENT;
    }
    const struct topic_row *row = &topic_rows[i];
    struct cfg_value v;
    int rc = config_value_read(&row->spec, value, &v, err, err_len);
    if (rc)
        return rc;
    if (i == TOPIC_REMOTE_STORAGE_ENABLE && v.number)
        rc = config_fail(err, err_len,
                         "Tiered Storage functionality is disabled in the broker. Topic cannot be configured "
                         "with remote log storage.");
    if (rc == 0) {
        store_field(t, row, &v, 1);
        t->overridden |= UINT64_C(1) << i;
        if (t->internal_segment_bytes > 0)
            t->segment_bytes = t->internal_segment_bytes;
    }
    config_value_clear(&v);
    return rc;
}

int topic_config_check(const struct topic_config *t, char *err, size_t err_len)
{
    if (t->min_compaction_lag_ms > t->max_compaction_lag_ms)
        return config_fail(err, err_len,
                           "conflict topic config setting min.compaction.lag.ms (%lld) > "
                           "max.compaction.lag.ms (%lld)",
                           (long long)t->min_compaction_lag_ms, (long long)t->max_compaction_lag_ms);
    return 0;
}
