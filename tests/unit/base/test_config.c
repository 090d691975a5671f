/* Broker keys: defaults, types, ranges, sources, messages, what keys say together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "engine/base/config.h"

static char err[512];

/* Sets pairs from the command line and finishes; NULL ends them. Returns config_finish's or the first
 * failure. */
static int build(struct config **out, const char *const *pairs)
{
    struct config *c = config_new();
    int rc = 0;
    err[0] = '\0';
    for (; *pairs && rc == 0; pairs++)
        rc = config_set_pair(c, *pairs, CFG_FROM_COMMAND_LINE, err, sizeof(err));
    if (rc == 0)
        rc = config_finish(c, err, sizeof(err));
    *out = c;
    return rc;
}

#define BUILD(c, ...) build(&(c), (const char *const[]){__VA_ARGS__, NULL})

static void expect_error(const char *pair, const char *message)
{
    struct config *c;
    int rc = BUILD(c, pair);
    config_free(c);
    assert_true(rc < 0);
    assert_string_equal(err, message);
}

static struct config *expect_ok(const char *const *pairs)
{
    struct config *c;
    int rc = build(&c, pairs);
    if (rc)
        fail_msg("%s", err);
    return c;
}

#define OK(...) expect_ok((const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
    struct config *c = OK(NULL);
    size_t n;
    const struct cfg_listener *l = cfg_listeners(c, &n);
    assert_int_equal(n, 1);
    assert_string_equal(l[0].name, "PLAINTEXT");
    assert_string_equal(l[0].host, "127.0.0.1");
    assert_int_equal(l[0].port, 9092);
    assert_int_equal(cfg_int(c, CFG_NODE_ID), 1);
    assert_string_equal(cfg_list(c, CFG_LOG_DIRS)->items[0], "./data");
    assert_string_equal(cfg_str(c, CFG_METADATA_LOG_DIR), "./data");
    assert_int_equal(cfg_int(c, CFG_OFFSETS_TOPIC_REPLICATION_FACTOR), 1);
    assert_int_equal(cfg_int(c, CFG_TRANSACTION_STATE_LOG_MIN_ISR), 1);
    assert_false(cfg_bool(c, CFG_WRITE_CACHING_DEFAULT));
    assert_true(cfg_is_null(c, CFG_LOG_RETENTION_MS));
    assert_int_equal(cfg_int(c, CFG_SLUICE_POOL_BYTES), 256 << 20);
    assert_true(cfg_double(c, CFG_LOG_CLEANER_MIN_CLEANABLE_RATIO) == 0.5);
    assert_null(config_notice(c, 0));
    config_free(c);
}

/* The number of keys and of those that carry prose: a row lost in an edit would go unseen. */
static void test_table_is_whole(void **state)
{
    struct config *c = OK(NULL);
    assert_int_equal(CFG_KEY_COUNT, 360 + 18);
    assert_int_equal(TOPIC_KEY_COUNT, 34 + 1);
    for (int i = 0; i < CFG_KEY_COUNT; i++) {
        struct cfg_view v;
        config_view(c, i, &v);
        assert_int_equal(cfg_key_find(v.name), i);
        assert_true(strlen(v.doc) > 10 && v.doc[strlen(v.doc) - 1] == '.');
    }
    for (int i = 0; i < TOPIC_KEY_COUNT; i++)
        assert_int_equal(topic_key_find(topic_key_name(i)), i);
    assert_int_equal(cfg_key_find("no.such.key"), -ENOENT);
    config_free(c);
}

static void test_values(void **state)
{
    struct config *c =
        OK("num.partitions= 12 ", "auto.create.topics.enable=FALSE", "log.cleaner.min.cleanable.ratio=0.25",
           "log.dirs= /a , /b,/c", "compression.type=zstd");
    assert_int_equal(cfg_int(c, CFG_NUM_PARTITIONS), 12);
    assert_false(cfg_bool(c, CFG_AUTO_CREATE_TOPICS_ENABLE));
    assert_true(cfg_double(c, CFG_LOG_CLEANER_MIN_CLEANABLE_RATIO) == 0.25);
    assert_int_equal(cfg_list(c, CFG_LOG_DIRS)->count, 3);
    assert_string_equal(cfg_list(c, CFG_LOG_DIRS)->items[1], "/b");
    assert_string_equal(cfg_str(c, CFG_COMPRESSION_TYPE), "zstd");
    assert_int_equal(cfg_value_from(c, CFG_NUM_PARTITIONS), CFG_FROM_COMMAND_LINE);
    assert_int_equal(cfg_value_from(c, CFG_NUM_IO_THREADS), CFG_FROM_DEFAULT);
    config_free(c);
}

static void test_bad_values(void **state)
{
    expect_error("log.segment.bytes=12", "log.segment.bytes=12: must be between 1048576 and 2147483647");
    expect_error("log.segment.bytes=2147483648",
                 "log.segment.bytes=2147483648: must be between 1048576 and 2147483647");
    expect_error("num.partitions=", "num.partitions=: must be between 1 and 2147483647");
    expect_error("num.partitions=3x", "num.partitions=3x: must be between 1 and 2147483647");
    expect_error("log.retention.bytes=9223372036854775808",
                 "log.retention.bytes=9223372036854775808: must be a whole number");
    expect_error("log.cleaner.backoff.ms=-1", "log.cleaner.backoff.ms=-1: must be at least 0");
    expect_error("auto.create.topics.enable=yes", "auto.create.topics.enable=yes: must be true or false");
    expect_error("log.cleaner.min.cleanable.ratio=1.5",
                 "log.cleaner.min.cleanable.ratio=1.5: must be between 0 and 1");
    expect_error("log.cleaner.min.cleanable.ratio=nan",
                 "log.cleaner.min.cleanable.ratio=nan: must be between 0 and 1");
    expect_error("compression.type=brotli",
                 "compression.type=brotli: must be one of uncompressed, zstd, lz4, snappy, gzip, producer");
    expect_error("compression.gzip.level=0", "compression.gzip.level=0: must be between 1 and 9, or -1");
    expect_error("log.cleanup.policy=delete,shred",
                 "log.cleanup.policy=delete,shred: must be a list of compact, delete");
    expect_error("log.dirs=a,,b", "log.dirs=a,,b: has an empty item");
    expect_error("log.dirs=a,b,a", "log.dirs=a,b,a: has an item twice");
    expect_error("offsets.topic.replication.factor=40000",
                 "offsets.topic.replication.factor=40000: must be between 1 and 32767");
}

static void test_unknown_keys(void **state)
{
    expect_error("num.partition=3", "num.partition=3: unknown key; did you mean num.partitions?");
    expect_error("blue.whale=3", "blue.whale=3: unknown key");
    expect_error("justaword", "justaword: must be key=value");
    expect_error("=3", "=3: must be key=value");
}

static void test_notices(void **state)
{
    struct config *c = OK("zookeeper.connect=x:2181", "num.io.threads=8", "num.partitions=3",
                          "log.message.format.version=2.8", "num.io.threads=9");
    assert_string_equal(config_notice(c, 0),
                        "zookeeper.connect is not a key of this broker; it has no effect");
    assert_string_equal(config_notice(c, 1),
                        "log.message.format.version is not a key of this broker; it has no effect");
    assert_non_null(strstr(config_notice(c, 2), "num.io.threads has no effect here: "));
    assert_null(config_notice(c, 3));
    config_free(c);
}

/* The stronger source wins in either order of calls, and a bad value is an error all the same. */
static void test_sources(void **state)
{
    struct config *c = config_new();
    assert_int_equal(config_set(c, "num.partitions", "5", CFG_FROM_COMMAND_LINE, err, sizeof(err)), 0);
    assert_int_equal(config_set(c, "num.partitions", "4", CFG_FROM_FILE, err, sizeof(err)), 0);
    assert_int_equal(config_set(c, "num.partitions", "0", CFG_FROM_FILE, err, sizeof(err)), -EINVAL);
    assert_int_equal(config_set(c, "background.threads", "3", CFG_FROM_FILE, err, sizeof(err)), 0);
    assert_int_equal(config_set(c, "background.threads", "2", CFG_FROM_ENVIRONMENT, err, sizeof(err)), 0);
    assert_int_equal(config_set(c, "queued.max.requests", "3", CFG_FROM_FILE, err, sizeof(err)), 0);
    assert_int_equal(config_set(c, "queued.max.requests", "2", CFG_FROM_FILE, err, sizeof(err)), 0);
    assert_int_equal(config_finish(c, err, sizeof(err)), 0);
    assert_int_equal(cfg_int(c, CFG_NUM_PARTITIONS), 5);
    assert_int_equal(cfg_int(c, CFG_BACKGROUND_THREADS), 2);
    assert_int_equal(cfg_int(c, CFG_QUEUED_MAX_REQUESTS), 2);
    assert_int_equal(cfg_value_from(c, CFG_BACKGROUND_THREADS), CFG_FROM_ENVIRONMENT);
    config_free(c);
}

static void test_identity(void **state)
{
    struct config *c = OK("broker.id=7");
    assert_int_equal(cfg_int(c, CFG_NODE_ID), 7);
    config_free(c);
    c = OK("node.id=8", "broker.id=8", "process.roles=controller,broker");
    assert_int_equal(cfg_int(c, CFG_NODE_ID), 8);
    config_free(c);
    assert_int_equal(BUILD(c, "node.id=8", "broker.id=9"), -EINVAL);
    assert_string_equal(err, "broker.id=9: must equal node.id=8 when both are set");
    config_free(c);
    expect_error("process.roles=controller",
                 "process.roles=controller: only a broker with its embedded controller "
                 "is served: broker,controller");
}

static void test_keys_together(void **state)
{
    struct config *c = OK("log.dir=/one");
    assert_string_equal(cfg_list(c, CFG_LOG_DIRS)->items[0], "/one");
    assert_string_equal(cfg_str(c, CFG_METADATA_LOG_DIR), "/one");
    config_free(c);
    c = OK("log.dir=/one", "log.dirs=/two,/three", "metadata.log.dir=/meta");
    assert_int_equal(cfg_list(c, CFG_LOG_DIRS)->count, 2);
    assert_string_equal(cfg_str(c, CFG_METADATA_LOG_DIR), "/meta");
    config_free(c);
    expect_error(
        "group.min.session.timeout.ms=2000000",
        "group.min.session.timeout.ms=2000000: must not exceed group.max.session.timeout.ms=1800000");
    expect_error("log.retention.hours=0", "log.retention.hours=0: must be at least 1, or -1 for ever");
    expect_error("sluice.journal.file.bytes=65537",
                 "sluice.journal.file.bytes=65537: must be a multiple of 4096");
}

static void test_broker_views(void **state)
{
    struct config *c =
        OK("log.retention.minutes=5", "ssl.keystore.password=secret", "log.segment.bytes=2000000");
    struct cfg_view v;
    config_view(c, CFG_LOG_RETENTION_MS, &v);
    assert_null(v.value);
    assert_int_equal(v.synonym_count, 0); // nothing of its own name supplies it: upstream's rule
    assert_int_equal(v.origin, CFG_ORIGIN_DEFAULT);
    config_view(c, CFG_LOG_RETENTION_MINUTES, &v);
    assert_int_equal(v.synonym_count, 2);
    assert_string_equal(v.synonyms[0].name, "log.retention.minutes");
    assert_int_equal(v.synonyms[0].origin, CFG_ORIGIN_STATIC_BROKER);
    assert_string_equal(v.synonyms[1].name, "log.retention.hours");
    assert_string_equal(v.synonyms[1].value, "168");
    assert_int_equal(v.synonyms[1].origin, CFG_ORIGIN_DEFAULT);
    config_view(c, CFG_SSL_KEYSTORE_PASSWORD, &v);
    assert_true(v.sensitive);
    assert_null(v.value);
    assert_null(v.synonyms[0].value);
    config_view(c, CFG_LOG_SEGMENT_BYTES, &v);
    assert_string_equal(v.value, "2000000");
    assert_string_equal(v.fallback, "1073741824");
    assert_int_equal(v.type, CFG_INT);
    assert_int_equal(v.origin, CFG_ORIGIN_STATIC_BROKER);
    assert_false(v.read_only);
    config_view(c, CFG_NUM_PARTITIONS, &v);
    assert_int_equal(v.origin, CFG_ORIGIN_DEFAULT);
    assert_true(v.read_only);
    config_free(c);
}

static void test_password_is_not_repeated(void **state)
{
    struct config *c;
    assert_int_equal(BUILD(c, "ssl.keystore.password=secret", "num.partitions=0"), -EINVAL);
    assert_null(strstr(err, "secret"));
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_table_is_whole),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_keys_together),
        cmocka_unit_test(test_broker_views),
        cmocka_unit_test(test_password_is_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
