/* Topic configuration: defaults through broker keys, overrides, checks, views. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "engine/base/config.h"

static char err[512];

static struct config *build(const char *const *pairs)
{
    struct config *c = config_new();
    for (; *pairs; pairs++) {
        if (config_set_pair(c, *pairs, CFG_FROM_FILE, err, sizeof(err)))
            fail_msg("%s", err);
    }
    if (config_finish(c, err, sizeof(err)))
        fail_msg("%s", err);
    return c;
}

#define BUILD(...) build((const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
    struct config *c = BUILD(NULL);
    struct topic_config t;
    topic_config_init(&t, c);
    assert_int_equal(t.overridden, 0);
    assert_int_equal(t.segment_bytes, 1 << 30);
    assert_int_equal(t.segment_ms, 168LL * 3600 * 1000);
    assert_int_equal(t.segment_jitter_ms, 0);
    assert_int_equal(t.segment_index_bytes, 10 << 20);
    assert_int_equal(t.index_interval_bytes, 4096);
    assert_int_equal(t.retention_ms, 168LL * 3600 * 1000);
    assert_int_equal(t.retention_bytes, -1);
    assert_int_equal(t.local_retention_ms, -2);
    assert_int_equal(t.max_message_bytes, 1048588);
    assert_int_equal(t.min_insync_replicas, 1);
    assert_true(t.flush_ms == INT64_MAX);
    assert_true(t.timestamp_before_max_ms == INT64_MAX);
    assert_int_equal(t.timestamp_after_max_ms, 3600000);
    assert_int_equal(t.timestamp_type, CFG_CREATE_TIME);
    assert_int_equal(t.compression_type, CFG_COMPRESSION_PRODUCER);
    assert_int_equal(t.cleanup_policy, CFG_CLEANUP_DELETE);
    assert_true(t.min_cleanable_dirty_ratio == 0.5);
    assert_int_equal(t.file_delete_delay_ms, 60000);
    assert_int_equal(t.internal_segment_bytes, 0);
    assert_false(t.write_caching);
    config_free(c);
}

static void test_broker_defaults(void **state)
{
    struct config *c = BUILD("log.retention.hours=2", "log.roll.hours=3", "log.cleanup.policy=compact,delete",
                             "write.caching.default=true", "message.max.bytes=5000", "compression.type=lz4",
                             "log.message.timestamp.type=LogAppendTime");
    struct topic_config t;
    topic_config_init(&t, c);
    assert_int_equal(t.retention_ms, 7200000);
    assert_int_equal(t.segment_ms, 10800000);
    assert_int_equal(t.cleanup_policy, CFG_CLEANUP_DELETE | CFG_CLEANUP_COMPACT);
    assert_true(t.write_caching);
    assert_int_equal(t.max_message_bytes, 5000);
    assert_int_equal(t.compression_type, CFG_COMPRESSION_LZ4);
    assert_int_equal(t.timestamp_type, CFG_LOG_APPEND_TIME);
    config_free(c);
    c = BUILD("log.retention.hours=2", "log.retention.minutes=-1", "log.roll.ms=5", "log.roll.hours=3");
    topic_config_init(&t, c);
    assert_int_equal(t.retention_ms, -1);
    assert_int_equal(t.segment_ms, 5);
    config_free(c);
}

static void test_overrides(void **state)
{
    struct config *c = BUILD("log.retention.ms=1000");
    struct topic_config t;
    topic_config_init(&t, c);
    assert_int_equal(topic_config_set(&t, "retention.ms", "-1", err, sizeof(err)), 0);
    assert_int_equal(topic_config_set(&t, "cleanup.policy", "compact", err, sizeof(err)), 0);
    assert_int_equal(topic_config_set(&t, "compression.type", "uncompressed", err, sizeof(err)), 0);
    assert_int_equal(topic_config_set(&t, "write.caching", "true", err, sizeof(err)), 0);
    assert_int_equal(t.retention_ms, -1);
    assert_int_equal(t.cleanup_policy, CFG_CLEANUP_COMPACT);
    assert_int_equal(t.compression_type, CFG_COMPRESSION_NONE);
    assert_true(t.write_caching);
    assert_true(t.overridden == (UINT64_C(1) << TOPIC_RETENTION_MS | UINT64_C(1) << TOPIC_CLEANUP_POLICY |
                                 UINT64_C(1) << TOPIC_COMPRESSION_TYPE | UINT64_C(1) << TOPIC_WRITE_CACHING));
    assert_int_equal(topic_config_set(&t, "cleanup.policy", "", err, sizeof(err)), 0);
    assert_int_equal(t.cleanup_policy, 0);
    config_free(c);
}

/* internal.segment.bytes wins over segment.bytes in either order. */
static void test_internal_segment_bytes(void **state)
{
    struct config *c = BUILD(NULL);
    struct topic_config t;
    topic_config_init(&t, c);
    assert_int_equal(topic_config_set(&t, "internal.segment.bytes", "8192", err, sizeof(err)), 0);
    assert_int_equal(topic_config_set(&t, "segment.bytes", "2097152", err, sizeof(err)), 0);
    assert_int_equal(t.segment_bytes, 8192);
    config_free(c);
}

static void expect_error(const char *key, const char *value, int code, const char *message)
{
    struct config *c = BUILD(NULL);
    struct topic_config t, before;
    topic_config_init(&t, c);
    memcpy(&before, &t, sizeof(t));
    assert_int_equal(topic_config_set(&t, key, value, err, sizeof(err)), code);
    assert_string_equal(err, message);
    assert_memory_equal(&before, &t, sizeof(t));
    config_free(c);
}

static void test_errors(void **state)
{
    expect_error("no.such", "1", -ENOENT, "Unknown topic config name: no.such");
    expect_error("retention.ms", "-2", -EINVAL,
                 "Invalid value -2 for configuration retention.ms: Value must be at least -1");
    expect_error("segment.bytes", "14", -EINVAL,
                 "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576");
    expect_error("segment.bytes", "3000000000", -EINVAL,
                 "Invalid value 3000000000 for configuration segment.bytes: Not a number of type INT");
    expect_error("segment.ms", " soon ", -EINVAL,
                 "Invalid value soon for configuration segment.ms: Not a number of type LONG");
    expect_error("compression.lz4.level", "18", -EINVAL,
                 "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17");
    expect_error("compression.gzip.level", "0", -EINVAL,
                 "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or "
                 "equal to -1");
    expect_error(
        "min.cleanable.dirty.ratio", "2", -EINVAL,
        "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1");
    expect_error("cleanup.policy", "delete,,compact", -EINVAL,
                 "Configuration 'cleanup.policy' values must not be empty.");
    expect_error(
        "cleanup.policy", "delete,shred", -EINVAL,
        "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete");
    expect_error(
        "compression.type", "ZSTD", -EINVAL,
        "Invalid value ZSTD for configuration compression.type: String must be one of: uncompressed, "
        "zstd, lz4, snappy, gzip, producer");
    expect_error("leader.replication.throttled.replicas", "1:x", -EINVAL,
                 "Invalid value [1:x] for configuration leader.replication.throttled.replicas: "
                 "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the "
                 "following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...");
    expect_error(
        "remote.storage.enable", "true", -EINVAL,
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote "
        "log storage.");
    expect_error("write.caching", "maybe", -EINVAL,
                 "Invalid value maybe for configuration write.caching: Expected value to be either true or "
                 "false");
}

/* A word that comes twice counts once, as upstream takes it. */
static void test_repeated_word(void **state)
{
    struct config *c = BUILD(NULL);
    struct topic_config t;
    topic_config_init(&t, c);
    assert_int_equal(topic_config_set(&t, "cleanup.policy", "compact,compact", err, sizeof(err)), 0);
    assert_int_equal(t.cleanup_policy, CFG_CLEANUP_COMPACT);
    config_free(c);
}

static void test_throttled_replicas(void **state)
{
    struct config *c = BUILD(NULL);
    struct topic_config t;
    topic_config_init(&t, c);
    assert_int_equal(
        topic_config_set(&t, "leader.replication.throttled.replicas", "0:1,1:2", err, sizeof(err)), 0);
    assert_int_equal(topic_config_set(&t, "follower.replication.throttled.replicas", "*", err, sizeof(err)),
                     0);
    assert_int_equal(topic_config_set(&t, "follower.replication.throttled.replicas", "", err, sizeof(err)),
                     0);
    config_free(c);
}

static void test_check(void **state)
{
    struct config *c = BUILD(NULL);
    struct topic_config t;
    topic_config_init(&t, c);
    assert_int_equal(topic_config_check(&t, err, sizeof(err)), 0);
    assert_int_equal(topic_config_set(&t, "min.compaction.lag.ms", "10", err, sizeof(err)), 0);
    assert_int_equal(topic_config_set(&t, "max.compaction.lag.ms", "9", err, sizeof(err)), 0);
    assert_int_equal(topic_config_check(&t, err, sizeof(err)), -EINVAL);
    assert_string_equal(
        err, "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (9)");
    config_free(c);
}

static void test_views(void **state)
{
    struct config *c = BUILD("log.retention.hours=2", "log.segment.bytes=2000000");
    struct cfg_view v;
    topic_config_view(c, TOPIC_RETENTION_MS, NULL, &v);
    assert_string_equal(v.name, "retention.ms");
    assert_string_equal(v.value, "7200000");
    assert_int_equal(v.origin, CFG_ORIGIN_DEFAULT); // as upstream, which looks for log.retention.ms first
    assert_int_equal(v.synonym_count, 0);
    topic_config_view(c, TOPIC_SEGMENT_BYTES, "3000000", &v);
    assert_string_equal(v.value, "3000000");
    assert_string_equal(v.fallback, "2000000");
    assert_int_equal(v.origin, CFG_ORIGIN_TOPIC);
    assert_int_equal(v.synonym_count, 3);
    assert_string_equal(v.synonyms[0].name, "segment.bytes");
    assert_string_equal(v.synonyms[1].name, "log.segment.bytes");
    assert_int_equal(v.synonyms[1].origin, CFG_ORIGIN_STATIC_BROKER);
    assert_int_equal(v.synonyms[2].origin, CFG_ORIGIN_DEFAULT);
    topic_config_view(c, TOPIC_REMOTE_STORAGE_ENABLE, NULL, &v);
    assert_string_equal(v.value, "false");
    assert_int_equal(v.origin, CFG_ORIGIN_DEFAULT);
    assert_int_equal(v.synonym_count, 0);
    topic_config_view(c, TOPIC_INTERNAL_SEGMENT_BYTES, NULL, &v);
    assert_true(v.internal);
    assert_null(v.value);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_broker_defaults),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_internal_segment_bytes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_repeated_word),
        cmocka_unit_test(test_throttled_replicas),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
