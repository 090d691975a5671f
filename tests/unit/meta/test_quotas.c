// Client quotas, feature levels and registrations through the controller: what is refused, which quota counts for whom, and
// that a restart finds them.
#include "tests/unit/meta/rig.h"

static const struct meta_image *image(struct rig *r)
{
    return meta_image_get(reactor_group_get(r->g, 1));
}

static int16_t set(struct rig *r, const char *type, const char *name, const char *type2, const char *name2,
                   const char *key, double value, bool remove)
{
    struct meta_quota_entity e[] = {{type, name}, {type2, name2}};
    struct meta_quota_op op = {key, value, remove};
    struct meta_quota_entry entry = {.entity = e, .entity_n = !!type + !!type2, .ops = &op, .ops_n = 1};
    struct meta_alter_quotas a = {.entries = &entry, .n = 1};
    rig_ask(r, META_ALTER_QUOTAS, &a);
    snprintf(r->err, sizeof(r->err), "%s", entry.message);
    return entry.error;
}

static double rate(struct rig *r, const char *user, const char *client)
{
    const struct meta_quota *q = meta_find_quota(image(r), user, client, META_QUOTA_PRODUCE);
    return q ? q->values[META_QUOTA_PRODUCE] : 0;
}

// KIP-55: the closest entity counts.
static void script_order(struct rig *r, void *arg)
{
    static const char key[] = "producer_byte_rate";
    static const struct {
        const char *type, *name, *type2, *name2;
    } entities[] = {{"client-id", NULL, NULL, NULL},  {"client-id", "c", NULL, NULL},
                    {"user", NULL, NULL, NULL},       {"user", NULL, "client-id", NULL},
                    {"user", NULL, "client-id", "c"}, {"user", "u", NULL, NULL},
                    {"user", "u", "client-id", NULL}, {"user", "u", "client-id", "c"}};
    assert_true(rate(r, "u", "c") == 0);
    for (size_t i = 0; i < SL_ARRAY_LEN(entities); i++) {
        assert_int_equal(set(r, entities[i].type, entities[i].name, entities[i].type2, entities[i].name2, key,
                             (double)(i + 1), false),
                         KERR_NONE);
        assert_true(rate(r, "u", "c") == (double)(i + 1));
    }
    assert_true(rate(r, "v", "c") == 5); // (default user, c)
    assert_true(rate(r, "u", "d") == 7); // (u, default client)
    assert_null(meta_find_quota(image(r), "u", "c", META_QUOTA_CONSUME));
    assert_int_equal(set(r, "ip", NULL, NULL, NULL, "connection_creation_rate", 9, false), KERR_NONE);
    assert_int_equal(set(r, "ip", "10.0.0.1", NULL, NULL, "connection_creation_rate", 3, false), KERR_NONE);
    assert_true(meta_find_ip_quota(image(r), "10.0.0.1")->values[META_QUOTA_CONNECTIONS] == 3);
    assert_true(meta_find_ip_quota(image(r), "10.0.0.2")->values[META_QUOTA_CONNECTIONS] == 9);
}

static void script_after(struct rig *r, void *arg)
{
    assert_true(rate(r, "u", "c") == 8);
    assert_int_equal(image(r)->quotas_n, 10);
    assert_int_equal(set(r, "user", "u", "client-id", "c", "producer_byte_rate", 0, true), KERR_NONE);
    assert_int_equal(image(r)->quotas_n, 9);
    assert_true(rate(r, "u", "c") == 7);
}

static void refused(struct rig *r, const char *type, const char *name, const char *key, double value,
                    const char *why)
{
    assert_int_equal(set(r, type, name, NULL, NULL, key, value, false), KERR_INVALID_REQUEST);
    assert_string_equal(r->err, why);
}

static void script_refused(struct rig *r, void *arg)
{
    uint32_t had = image(r)->quotas_n;
    refused(r, NULL, NULL, "producer_byte_rate", 1, "Invalid empty client quota entity");
    refused(r, "group", "g", "producer_byte_rate", 1, "Unhandled client quota entity type: group");
    refused(r, "user", "", "producer_byte_rate", 1, "Empty user not supported");
    refused(r, "user", "u", "nothing", 1, "Invalid configuration key nothing");
    refused(r, "user", "u", "connection_creation_rate", 1,
            "Invalid configuration key connection_creation_rate");
    refused(r, "user", "u", "producer_byte_rate", 0, "Quota producer_byte_rate must be greater than 0");
    refused(r, "user", "u", "producer_byte_rate", 1.5, "producer_byte_rate cannot be a fractional value.");
    refused(r, "user", "u", "producer_byte_rate", 1e30,
            "Proposed value for producer_byte_rate is too large for a LONG.");
    refused(r, "ip", "no address", "connection_creation_rate", 1,
            "no address is not a valid IP or resolvable host.");
    assert_int_equal(set(r, "ip", "::1", "user", "u", "connection_creation_rate", 1, false),
                     KERR_INVALID_REQUEST);
    assert_int_equal(set(r, "user", "w", NULL, NULL, "request_percentage", 1.5, false), KERR_NONE);
    assert_int_equal(image(r)->quotas_n, had + 1);
}

static void test_quotas(void **state)
{
    struct rig r;
    rig_new(&r, 21);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_order, NULL);
    rig_kill(&r, true);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_after, NULL);
    rig_do(&r, script_refused, NULL);
    rig_stop(&r);
    rig_end(&r);
}

static void level(struct rig *r, const char *name, int16_t to, int8_t type, const char *why)
{
    struct meta_feature_update f = {name, to, type};
    struct meta_update_features u = {.updates = &f, .n = 1};
    rig_ask(r, META_UPDATE_FEATURES, &u);
    assert_int_equal(u.error, why ? KERR_INVALID_UPDATE_VERSION : KERR_NONE);
    if (why)
        assert_non_null(strstr(u.message, why));
}

static void script_features(struct rig *r, void *arg)
{
    level(r, "metadata.version", 30, 1, NULL);
    level(r, "metadata.version", 99, 1, "Local controller 1 only supports versions 7-30");
    level(r, "metadata.version", -1, 1, "A feature version cannot be less than 0.");
    level(r, "metadata.version", 30, 7, "The controller does not support the given upgrade type.");
    level(r, "metadata.version", 20, 1, "Can't downgrade the version of this feature without");
    level(r, "no.such", 1, 1, "Local controller 1 does not support this feature.");
    struct meta_unregister u = {.id = 7};
    rig_ask(r, META_UNREGISTER, &u);
    assert_int_equal(u.error, KERR_BROKER_ID_NOT_REGISTERED);
    assert_string_equal(u.message, "Broker ID 7 is not currently registered");
    u.id = 1;
    rig_ask(r, META_UNREGISTER, &u);
    assert_int_equal(u.error, KERR_INVALID_REQUEST);
    assert_non_null(meta_find_broker(image(r), 1));
}

static void test_features(void **state)
{
    struct rig r;
    rig_new(&r, 22);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_features, NULL);
    rig_stop(&r);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_features),
    };
    sl_log_set_sink(rig_quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
