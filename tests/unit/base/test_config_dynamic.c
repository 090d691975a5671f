// Overlays of dynamic configs, what may be set, and how values show. The words are upstream 4.3.1's own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "engine/base/config_private.h"

static char err[512];

static struct config *finished(void)
{
    struct config *c = config_new();
    assert_int_equal(config_set(c, "log.retention.hours", "24", CFG_FROM_FILE, err, sizeof(err)), 0);
    assert_int_equal(config_finish(c, err, sizeof(err)), 0);
    return c;
}

static void test_overlay(void **state)
{
    struct config *c = finished();
    const struct cfg_pair cluster[] = {
        {"log.retention.ms", "7200000"}, {"max.connections", "10"}, {"no.key", "1"}};
    const struct cfg_pair own[] = {{"max.connections", "20"}, {"node.id", "9"}, {"log.roll.ms", "x"}};
    struct config *o = config_overlay(c, cluster, 3, own, 3);
    struct cfg_view v;
    assert_int_equal(cfg_int(o, CFG_MAX_CONNECTIONS), 20);
    assert_int_equal(cfg_int(o, CFG_NODE_ID), cfg_int(c, CFG_NODE_ID)); // read-only
    assert_true(cfg_is_null(o, CFG_LOG_ROLL_MS));                       // not a number
    config_view(o, CFG_MAX_CONNECTIONS, &v);
    assert_int_equal(v.origin, CFG_ORIGIN_BROKER);
    assert_int_equal(v.synonym_count, 3);
    assert_string_equal(v.synonyms[1].value, "10");
    assert_int_equal(v.synonyms[1].origin, CFG_ORIGIN_CLUSTER);
    assert_string_equal(v.synonyms[2].value, "2147483647");
    struct topic_config t;
    topic_config_init(&t, o);
    assert_int_equal(t.retention_ms, 7200000);
    topic_config_view(o, TOPIC_RETENTION_MS, NULL, &v);
    assert_string_equal(v.value, "7200000");
    assert_int_equal(v.origin, CFG_ORIGIN_CLUSTER);
    topic_config_view(o, TOPIC_MIN_CLEANABLE_DIRTY_RATIO, " 0.50 ", &v);
    assert_string_equal(v.value, "0.5"); // as upstream prints what it parsed
    config_free(o);
    // A stand-in's value shows no synonyms, as upstream has it.
    topic_config_view(c, TOPIC_RETENTION_MS, NULL, &v);
    assert_string_equal(v.value, "86400000");
    assert_int_equal(v.synonym_count, 0);
    config_free(c);
}

static void refused(const struct config *c, const char *key, const char *value, bool cluster, const char *why)
{
    struct cfg_pair p = {key, value};
    err[0] = 0;
    assert_int_equal(config_dynamic_check(c, &p, 1, cluster, err, sizeof(err)), why ? -EINVAL : 0);
    if (why)
        assert_string_equal(err, why);
}

static void test_checks(void **state)
{
    struct config *c = finished();
    refused(c, "log.retention.ms", "1000", true, NULL);
    refused(c, "no.such.key", "x", false, NULL);
    refused(c, "listener.name.internal.max.connections", "5", true, NULL);
    refused(c, "node.id", "7", false, "Cannot update these configs dynamically: [node.id]");
    refused(c, "log.retention.ms", "x", false,
            "Invalid value x for configuration log.retention.ms: Not a number of type LONG");
    refused(c, "log.retention.ms", "0", true,
            "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1");
    refused(c, "log.roll.ms", "0", true,
            "requirement failed: log.roll.ms must be greater than or equal to 1");
    refused(c, "ssl.keystore.password", "s", false,
            "These security configs can be dynamically updated only per-listener using the listener prefix: "
            "[ssl.keystore.password]");
    refused(c, "sasl.enabled.mechanisms", "PLAIN", true,
            "Cannot update these configs at default cluster level, broker id must be specified: "
            "[sasl.enabled.mechanisms]");
    refused(
        c, "num.io.threads", "3", false,
        "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update "
        "validation "
        "failed for num.io.threads=3, value should be at least half the current value 8 for configuration "
        "Invalid dynamic configuration");
    refused(c, "max.connections.per.ip.overrides", "127.0.0.1:5,h:x", false, "For input string: \"x\"");
    refused(c, "group.consumer.assignment.interval.ms", "100000000", true,
            "group.consumer.assignment.interval.ms must be less than or equal to "
            "group.consumer.max.assignment.interval.ms");
    refused(c, "listeners", "PLAINTEXT://127.0.0.1:1", false,
            "listeners cannot change while this broker runs: it must be PLAINTEXT://127.0.0.1:9092");
    config_free(c);
}

static int set(const struct config *c, enum cfg_resource kind, const char *key, const char *value)
{
    struct cfg_pair p = {key, value};
    return config_resource_check(kind, c, &p, 1, err, sizeof(err));
}

static void test_resources(void **state)
{
    struct config *c = finished();
    struct cfg_view v;
    assert_int_equal(set(c, CFG_RESOURCE_GROUP, "consumer.session.timeout.ms", "50000"), 0);
    assert_int_equal(set(c, CFG_RESOURCE_GROUP, "consumer.session.timeout.ms", "5000"), -EINVAL);
    assert_string_equal(err, "consumer.session.timeout.ms must be greater than or equal to "
                             "group.consumer.min.session.timeout.ms");
    assert_int_equal(set(c, CFG_RESOURCE_GROUP, "share.delivery.count.limit", "1"), -EINVAL);
    assert_string_equal(
        err, "Invalid value 1 for configuration share.delivery.count.limit: Value must be at least 2");
    assert_int_equal(set(c, CFG_RESOURCE_GROUP, "no.key", "1"), -EINVAL);
    assert_string_equal(err, "Unknown group config name: no.key");
    assert_int_equal(set(c, CFG_RESOURCE_METRICS, "no.key", "1"), -EBADRQC);
    assert_int_equal(set(c, CFG_RESOURCE_METRICS, "interval.ms", "5"), -EBADRQC);
    assert_int_equal(set(c, CFG_RESOURCE_METRICS, "match", "client_id=["), -EINVAL);
    assert_int_equal(set(c, CFG_RESOURCE_METRICS, "match", "client_id=a.*,client_software_name=b"), 0);
    for (size_t i = 0; i < config_resource_keys(CFG_RESOURCE_GROUP); i++) {
        config_resource_view(CFG_RESOURCE_GROUP, c, i, NULL, &v);
        assert_non_null(v.value); // every broker key that gives a default exists
        assert_int_equal(v.origin, CFG_ORIGIN_DEFAULT);
        config_resource_view(CFG_RESOURCE_GROUP, c, i, "7", &v);
        assert_string_equal(v.value, "7");
        assert_int_equal(v.origin, CFG_ORIGIN_GROUP);
        assert_int_equal(v.synonym_count, 2);
    }
    config_free(c);
}

static void double_is(double d, const char *text)
{
    char buf[40];
    config_double_text(d, buf, sizeof(buf));
    assert_string_equal(buf, text);
}

static void test_doubles(void **state)
{
    double_is(0, "0.0");
    double_is(0.5, "0.5");
    double_is(2, "2.0");
    double_is(100, "100.0");
    double_is(1234567.25, "1234567.25");
    double_is(1e7, "1.0E7");
    double_is(0.0001, "1.0E-4");
    double_is(1.7976931348623157e308, "1.7976931348623157E308");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
