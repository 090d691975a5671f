// AlterConfigs, IncrementalAlterConfigs and ListConfigResources: what the handlers answer by themselves, and what they ask
// the controller.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/net/api_rig.h"

#include "engine/base/log.h"

typedef struct kp_incremental_alter_configs_request_alter_configs_resource inc_resource;
typedef struct kp_incremental_alter_configs_request_alterable_config inc_config;

static struct kp_incremental_alter_configs_response incremental(struct rig *t, int16_t v, inc_resource *in,
                                                                int32_t n)
{
    struct kp_incremental_alter_configs_request m;
    struct kp_incremental_alter_configs_response out;
    kp_incremental_alter_configs_request_init(&m);
    m.resources = in;
    m.resources_n = n;
    RIG_SEND(t, &t->conns[0], &api_incremental_alter_configs, v, &m, incremental_alter_configs_request);
    assert_true(RIG_PEEK(t, &t->conns[0], v, &out, incremental_alter_configs_response));
    rig_drop(t, &t->conns[0]);
    return out;
}

static void test_incremental(void **state)
{
    struct rig *t = rig_new();
    inc_config set = {.name = KP_STR_LIT("flush.ms"), .value = KP_STR_LIT("7")};
    inc_resource in[] = {{2, KP_STR_LIT("t"), &set, 1},
                         {32, KP_STR_LIT("g"), &set, 1},
                         {2, KP_STR_LIT("u"), &set, 1},
                         {2, KP_STR_LIT("u"), &set, 1}};
    for (int16_t v = 0; v <= 1; v++) {
        t->controller_error = KERR_INVALID_CONFIG;
        struct kp_incremental_alter_configs_response m = incremental(t, v, in, 4);
        assert_int_equal(m.responses_n, 4);
        assert_int_equal(m.responses[0].error_code, KERR_INVALID_CONFIG);
        assert_true(kp_str_eq(m.responses[1].resource_name, KP_STR_LIT("g")));
        assert_int_equal(m.responses[1].resource_type, 32);
        assert_int_equal(m.responses[2].error_code, KERR_INVALID_REQUEST);
        assert_true(
            kp_str_eq(m.responses[3].error_message, KP_STR_LIT("Each resource must appear at most once.")));
        assert_int_equal(t->altered, 2 + 3 * v); // named once each
        assert_true(t->altered_incremental);
        t->controller_error = KERR_NONE;
        m = incremental(t, v, in, 1);
        assert_int_equal(m.responses[0].error_code, KERR_NONE);
        assert_int_equal(m.responses[0].error_message.n, -1);
        assert_int_equal(incremental(t, v, NULL, 0).responses_n, 0);
    }
    inc_resource nul = {2, {"a\0b", 3}, &set, 1};
    assert_int_equal(incremental(t, 1, &nul, 1).responses[0].error_code, KERR_INVALID_REQUEST);
    rig_free(t);
}

static int16_t logger(struct rig *t, const char *name, const char *key, int8_t op, const char *level,
                      const char *why)
{
    inc_config c = {.name = kp_str_of(key), .config_operation = op, .value = kp_str_of(level)};
    inc_resource in = {8, kp_str_of(name), &c, 1};
    struct kp_incremental_alter_configs_response m = incremental(t, 1, &in, 1);
    assert_true(kp_str_eq(m.responses[0].error_message, kp_str_of(why)));
    return m.responses[0].error_code;
}

static void test_logger(void **state)
{
    struct rig *t = rig_new();
    char self[16], wrong[96];
    snprintf(self, sizeof(self), "%d", RIG_NODE);
    snprintf(wrong, sizeof(wrong), "Unexpected node id. Expected %d, but received 99", RIG_NODE);
    assert_int_equal(logger(t, self, "root", META_SET, "ERROR", NULL), KERR_NONE);
    assert_false(sl_log_enabled(SL_WARN));
    assert_int_equal(logger(t, self, "root", META_SET, "INFO", NULL), KERR_NONE);
    assert_true(sl_log_enabled(SL_INFO));
    assert_int_equal(
        logger(t, self, "root", META_SET, "LOUD",
               "Cannot set the log level of root to LOUD as it is not a supported log level. Valid "
               "log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"),
        KERR_INVALID_CONFIG);
    assert_int_equal(logger(t, self, "x.y", META_SET, "INFO", "Logger x.y does not exist!"),
                     KERR_INVALID_CONFIG);
    assert_int_equal(logger(t, self, "root", META_DELETE, NULL,
                            "Removing the log level of the root logger is not allowed"),
                     KERR_INVALID_REQUEST);
    assert_int_equal(logger(t, self, "root", META_APPEND, "INFO",
                            "APPEND operation is not allowed for the BROKER_LOGGER resource"),
                     KERR_INVALID_REQUEST);
    assert_int_equal(logger(t, self, "root", META_SET, NULL, "Null value not supported for : root"),
                     KERR_INVALID_REQUEST);
    assert_int_equal(logger(t, "99", "root", META_SET, "INFO", wrong), KERR_INVALID_REQUEST);
    assert_int_equal(logger(t, "x", "root", META_SET, "INFO", "Node id must be an integer, but it is: x"),
                     KERR_INVALID_REQUEST);
    assert_int_equal(t->altered, 0); // the controller was not asked
    rig_free(t);
}

static void test_replacing(void **state)
{
    struct rig *t = rig_new();
    struct kp_alter_configs_request_alterable_config c = {.name = KP_STR_LIT("flush.ms"),
                                                          .value = KP_STR_LIT("7")};
    struct kp_alter_configs_request_alter_configs_resource in = {2, KP_STR_LIT("t"), &c, 1};
    struct kp_alter_configs_request m;
    struct kp_alter_configs_response out;
    for (int16_t v = 0; v <= 2; v++) {
        kp_alter_configs_request_init(&m);
        m.resources = &in;
        m.resources_n = 1;
        RIG_SEND(t, &t->conns[0], &api_alter_configs, v, &m, alter_configs_request);
        assert_true(RIG_PEEK(t, &t->conns[0], v, &out, alter_configs_response));
        rig_drop(t, &t->conns[0]);
        assert_int_equal(out.responses_n, 1);
        assert_int_equal(out.responses[0].error_code, KERR_NONE);
        assert_int_equal(t->altered, v + 1);
        assert_false(t->altered_incremental);
    }
    rig_free(t);
}

static void test_list(void **state)
{
    struct rig *t = rig_new();
    static const struct meta_resource set[] = {{.type = META_RES_METRICS, .name = "m"},
                                               {.type = META_RES_GROUP, .name = "g"}};
    rig_topic(t, "a", 1);
    t->img.resources = set;
    t->img.resources_n = 2;
    static const struct {
        int16_t version;
        int8_t kind; // 0: all
        int32_t n;
        int16_t error;
    } cases[] = {{0, 0, 1, 0},  {1, 0, 5, 0},  {1, 2, 1, 0}, {1, 4, 1, 0},
                 {1, 16, 1, 0}, {1, 32, 1, 0}, {1, 8, 1, 0}, {1, 3, 0, KERR_UNSUPPORTED_VERSION}};
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct kp_list_config_resources_request m;
        struct kp_list_config_resources_response out;
        int8_t kind = cases[i].kind;
        kp_list_config_resources_request_init(&m);
        m.resource_types = &kind;
        m.resource_types_n = kind != 0;
        RIG_SEND(t, &t->conns[0], &api_list_config_resources, cases[i].version, &m,
                 list_config_resources_request);
        assert_true(RIG_PEEK(t, &t->conns[0], cases[i].version, &out, list_config_resources_response));
        rig_drop(t, &t->conns[0]);
        assert_int_equal(out.config_resources_n, cases[i].n);
        assert_int_equal(out.error_code, cases[i].error);
    }
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_incremental),
        cmocka_unit_test(test_logger),
        cmocka_unit_test(test_replacing),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
