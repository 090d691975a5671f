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

// ---- changes of partitions (KIP-599) ---------------------------------------------------------------------------------
// Each asks for one change under a quota of 2 partitions a second, of which 10 can be saved up.
struct change {
    const char *key;
    bool strict, validate_only;
    uint32_t throttle_ms; // out
};

static struct meta_mutations quota_of(const struct change *c)
{
    return (struct meta_mutations){.key = c->key, .rate = 2, .burst = 10, .strict = c->strict};
}

static int16_t make(struct rig *r, struct change *c, const char *name, int32_t partitions)
{
    struct meta_create_topic t = {
        .name = name, .name_len = (int32_t)strlen(name), .partitions = partitions, .replication_factor = 1};
    struct meta_create ask = {.topics = &t, .n = 1, .validate_only = c->validate_only, .quota = quota_of(c)};
    rig_ask(r, META_CREATE_TOPICS, &ask);
    c->throttle_ms = ask.quota.throttle_ms;
    return t.error;
}

static int16_t grow(struct rig *r, struct change *c, const char *name, int32_t count)
{
    struct meta_grow_topic t = {.name = name, .name_len = (int32_t)strlen(name), .count = count};
    struct meta_grow ask = {.topics = &t, .n = 1, .quota = quota_of(c)};
    rig_ask(r, META_CREATE_PARTITIONS, &ask);
    c->throttle_ms = ask.quota.throttle_ms;
    return t.error;
}

static int16_t drop(struct rig *r, struct change *c, const char *name)
{
    struct meta_delete_topic t = {.name = name, .name_len = (int32_t)strlen(name)};
    struct meta_delete ask = {.topics = &t, .n = 1, .quota = quota_of(c)};
    rig_ask(r, META_DELETE_TOPICS, &ask);
    c->throttle_ms = ask.quota.throttle_ms;
    return t.error;
}

static void assert_waits(const struct change *c, uint32_t ms)
{
    assert_in_range(c->throttle_ms, ms > 200 ? ms - 200 : 0, ms);
}

static void script_mutations(struct rig *r, void *arg)
{
    struct change strict = {.key = "a", .strict = true}, loose = {.key = "a"},
                  other = {.key = "b", .strict = true};
    assert_int_equal(make(r, &strict, "t", 8), KERR_NONE);
    assert_int_equal(grow(r, &strict, "t", 13), KERR_NONE); // 3 more than there were
    assert_int_equal(strict.throttle_ms, 0);
    assert_int_equal(make(r, &strict, "u", 1), KERR_THROTTLING_QUOTA_EXCEEDED);
    assert_waits(&strict, 1500);
    assert_int_equal(grow(r, &strict, "t", 14), KERR_THROTTLING_QUOTA_EXCEEDED);
    assert_waits(&strict, 1500);
    assert_int_equal(drop(r, &strict, "t"), KERR_THROTTLING_QUOTA_EXCEEDED);
    assert_waits(&strict, 1500);
    assert_int_equal(make(r, &other, "u", 1), KERR_NONE); // another's quota
    assert_int_equal(make(r, &loose, "v", 1), KERR_NONE); // counted, and told to wait
    assert_waits(&loose, 2000);
    assert_int_equal(drop(r, &loose, "v"), KERR_NONE);
    assert_waits(&loose, 2500);
    assert_int_equal(drop(r, &loose, "none"), KERR_UNKNOWN_TOPIC_OR_PARTITION); // what fails is not counted
    assert_int_equal(loose.throttle_ms, 0);
    fiber_sleep(2500 * 1000000ull);
    strict.validate_only = true;
    assert_int_equal(make(r, &strict, "w", 4), KERR_NONE);
    assert_int_equal(make(r, &strict, "w", 4),
                     KERR_THROTTLING_QUOTA_EXCEEDED); // also what was only validated counted
    assert_waits(&strict, 2000);
    struct change none = {.key = "a", .strict = true};
    struct meta_delete_topic t = {.name = "t", .name_len = 1};
    struct meta_delete ask = {.topics = &t, .n = 1};
    rig_ask(r, META_DELETE_TOPICS, &ask); // without a quota
    assert_int_equal(t.error, KERR_NONE);
    assert_int_equal(make(r, &none, "w", 1), KERR_THROTTLING_QUOTA_EXCEEDED);
}

static void test_mutations(void **state)
{
    struct rig r;
    rig_new(&r, 33);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_mutations, NULL);
    rig_stop(&r);
    rig_end(&r);
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
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_features),
    };
    sl_log_set_sink(rig_quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
