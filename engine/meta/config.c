// From topic settings to what a log needs.
#include "engine/meta/meta_private.h"

#include "engine/log/compress.h"

#include <string.h>

void meta_resolve_config(const struct meta *m, const struct meta_config_entry *own, uint32_t n,
                         const char *topic, struct topic_config *out)
{
    char err[256];
    *out = m->base;
    for (uint32_t i = 0; i < n; i++) {
        struct topic_config probe = *out;
        if (topic_config_set(&probe, own[i].key, own[i].value, err, sizeof(err)))
            sl_log(SL_WARN, "meta", "a setting of topic %s has no effect here: %s", topic, err);
        else
            *out = probe;
    }
}

static uint32_t clamp32(int64_t v)
{
    return v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

// Upstream's lz4 is the fast one at its default, 9, and the strong one at any other level, which here begins at 3.
static int32_t codec_level(const struct topic_config *c)
{
    switch (c->compression_type) {
    case CFG_COMPRESSION_GZIP:
        return (int32_t)c->gzip_level;
    case CFG_COMPRESSION_LZ4:
        return c->lz4_level == 9 ? COMPRESS_LEVEL_DEFAULT : (int32_t)SL_MAX(c->lz4_level, 3);
    case CFG_COMPRESSION_ZSTD:
        return (int32_t)c->zstd_level;
    default:
        return COMPRESS_LEVEL_DEFAULT;
    }
}

void meta_log_config(const struct config *cfg, const struct meta_topic *t, struct log_config *out)
{
    const struct topic_config *c = t->config;
    *out = (struct log_config){
        .segment_bytes = clamp32(c->segment_bytes),
        .segment_ms = c->segment_ms,
        .segment_jitter_ms = c->segment_jitter_ms,
        .retention_ms = c->retention_ms,
        .retention_bytes = c->retention_bytes,
        .file_delete_delay_ms = c->file_delete_delay_ms,
        .min_cleanable_dirty_ratio = c->min_cleanable_dirty_ratio,
        .min_compaction_lag_ms = c->min_compaction_lag_ms,
        .max_compaction_lag_ms = c->max_compaction_lag_ms,
        .delete_retention_ms = c->delete_retention_ms,
        .index_interval_bytes = clamp32(c->index_interval_bytes),
        .segment_index_bytes = clamp32(c->segment_index_bytes),
        .max_message_bytes = clamp32(c->max_message_bytes),
        .timestamp_before_max_ms = c->timestamp_before_max_ms,
        .timestamp_after_max_ms = c->timestamp_after_max_ms,
        .producer_expiration_ms = cfg_int(cfg, CFG_PRODUCER_ID_EXPIRATION_MS),
        .min_insync_replicas = clamp32(c->min_insync_replicas),
        .converts = c->compression_type != CFG_COMPRESSION_PRODUCER,
        .codec = (uint8_t)SL_MAX(c->compression_type, 0),
        .codec_level = codec_level(c),
        .log_append_time = c->timestamp_type == CFG_LOG_APPEND_TIME,
        .deletes = (c->cleanup_policy & CFG_CLEANUP_DELETE) != 0,
        .compacted = (c->cleanup_policy & CFG_CLEANUP_COMPACT) != 0,
        .write_caching = c->write_caching,
        .validate_records = !strcmp(cfg_str(cfg, CFG_RECORD_VALIDATION), "full"),
    };
}
