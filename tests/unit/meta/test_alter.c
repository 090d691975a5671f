// Altering configurations through the controller: what is refused, what reaches the image and the shards, what a restart
// finds.
#include "tests/unit/meta/rig.h"

#include "engine/log/batch.h"
#include "engine/log/record.h"

static int16_t alter(struct rig *r, int8_t type, const char *name, const char *key, const char *value,
                     int8_t op, bool incremental)
{
    struct meta_alter_entry e = {.key = key, .value = value, .op = op};
    struct meta_alter_resource res = {.type = type, .name = name, .entries = &e, .entries_n = key != NULL};
    struct meta_alter a = {.resources = &res, .n = 1, .incremental = incremental};
    rig_ask(r, META_ALTER_CONFIGS, &a);
    if (res.error)
        snprintf(r->err, sizeof(r->err), "%s", res.message);
    return res.error;
}

static int16_t set(struct rig *r, int8_t type, const char *name, const char *key, const char *value)
{
    return alter(r, type, name, key, value, META_SET, true);
}

static const struct meta_image *image(struct rig *r, uint32_t reactor)
{
    return meta_image_get(reactor_group_get(r->g, reactor));
}

// Appends one record of n bytes to partition 0 of a topic.
static int16_t append(struct rig *r, const char *name, size_t n)
{
    const struct meta_topic *t = meta_find_topic(image(r, 0), name, strlen(name));
    struct batch_builder b = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *batch;
    size_t len;
    uint8_t *bytes = calloc(n, 1);
    assert_int_equal(batch_builder_append(&b, reactor_wall_ms(reactor_group_get(r->g, 0)), RECORD_NULL,
                                          record_bytes_make(bytes, n), NULL, 0),
                     0);
    assert_int_equal(batch_builder_finish(&b, &o, NULL, &batch, &len), 0);
    struct shard_append_part part = {
        .topic_id = t->id, .partition = 0, .records = (uint8_t *)batch, .bytes = (int32_t)len};
    struct shard_append a = {.parts = &part, .n = 1, .acks = -1, .api_version = 9};
    rig_ask_at(r, r->pl.shard_reactor[shard_of(&t->id, 0, r->pl.shards)], SHARD_APPEND, &a);
    batch_builder_destroy(&b);
    free(bytes);
    return part.error;
}

static void script_alter(struct rig *r, void *arg)
{
    assert_int_equal(rig_create(r, "t", 2, NULL), KERR_NONE);
    assert_int_equal(append(r, "t", 5000), KERR_NONE);
    // A topic's own value reaches its partitions and every image.
    assert_int_equal(set(r, META_RES_TOPIC, "t", "max.message.bytes", "1000"), KERR_NONE);
    assert_int_equal(append(r, "t", 5000), KERR_MESSAGE_TOO_LARGE);
    for (uint32_t i = 0; i < RIG_REACTORS; i++)
        assert_int_equal(meta_find_topic(image(r, i), "t", 1)->config->max_message_bytes, 1000);
    assert_int_equal(alter(r, META_RES_TOPIC, "t", "max.message.bytes", NULL, META_DELETE, true), KERR_NONE);
    assert_int_equal(append(r, "t", 5000), KERR_NONE);
    // A dynamic default of all brokers does, too, until the topic says otherwise.
    assert_int_equal(set(r, META_RES_BROKER, "", "message.max.bytes", "2000"), KERR_NONE);
    assert_int_equal(append(r, "t", 5000), KERR_MESSAGE_TOO_LARGE);
    assert_int_equal(set(r, META_RES_BROKER, "1", "message.max.bytes", "9000"), KERR_NONE);
    assert_int_equal(append(r, "t", 5000), KERR_NONE);
    assert_int_equal(cfg_int(image(r, 1)->config, CFG_MESSAGE_MAX_BYTES), 9000);
    // Lists.
    assert_int_equal(alter(r, META_RES_TOPIC, "t", "cleanup.policy", "compact", META_APPEND, true),
                     KERR_NONE);
    assert_string_equal(meta_find_topic(image(r, 0), "t", 1)->configs[0].value, "delete,compact");
    assert_int_equal(alter(r, META_RES_TOPIC, "t", "cleanup.policy", "delete", META_SUBTRACT, true),
                     KERR_NONE);
    assert_string_equal(meta_find_topic(image(r, 0), "t", 1)->configs[0].value, "compact");
    // Replacing all.
    assert_int_equal(alter(r, META_RES_TOPIC, "t", "flush.ms", "7", META_SET, false), KERR_NONE);
    assert_int_equal(meta_find_topic(image(r, 0), "t", 1)->configs_n, 1);
    assert_string_equal(meta_find_topic(image(r, 0), "t", 1)->configs[0].key, "flush.ms");
    assert_int_equal(set(r, META_RES_GROUP, "g", "consumer.session.timeout.ms", "50000"), KERR_NONE);
}

static void script_after(struct rig *r, void *arg)
{
    const struct meta_image *img = image(r, 2);
    assert_string_equal(
        meta_resource_config(meta_find_resource(img, META_RES_GROUP, "g"), "consumer.session.timeout.ms"),
        "50000");
    assert_int_equal(cfg_int(img->config, CFG_MESSAGE_MAX_BYTES), 9000);
    assert_int_equal(append(r, "t", 5000), KERR_NONE);
    assert_int_equal(append(r, "t", 9500), KERR_MESSAGE_TOO_LARGE);
    // What holds the last config forgets the resource.
    assert_int_equal(alter(r, META_RES_GROUP, "g", NULL, NULL, META_SET, false), KERR_NONE);
    assert_null(meta_find_resource(image(r, 1), META_RES_GROUP, "g"));
    assert_int_equal(alter(r, META_RES_BROKER, "1", NULL, NULL, META_SET, false), KERR_NONE);
    assert_int_equal(append(r, "t", 5000), KERR_MESSAGE_TOO_LARGE); // all brokers' again
}

static void test_effect(void **state)
{
    struct rig r;
    rig_new(&r, 11);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_alter, NULL);
    rig_kill(&r, true);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_after, NULL);
    rig_stop(&r);
    rig_end(&r);
}

static void refused(struct rig *r, int8_t type, const char *name, const char *key, const char *value,
                    int8_t op, int16_t error, const char *why)
{
    r->err[0] = 0;
    assert_int_equal(alter(r, type, name, key, value, op, true), error);
    assert_string_equal(r->err, why);
}

static void script_refused(struct rig *r, void *arg)
{
    uint64_t version = image(r, 0)->version;
    refused(r, META_RES_TOPIC, "no", "flush.ms", "7", META_SET, KERR_UNKNOWN_TOPIC_OR_PARTITION,
            "The topic 'no' does not exist.");
    refused(r, META_RES_TOPIC, "", "flush.ms", "7", META_SET, KERR_INVALID_REQUEST,
            "Default topic resources are not allowed.");
    refused(r, META_RES_TOPIC, "a/b", "flush.ms", "7", META_SET, KERR_INVALID_TOPIC_EXCEPTION,
            "Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, "
            "'.', '_' "
            "and '-'");
    refused(r, META_RES_TOPIC, "no", "flush.ms", NULL, META_SET, KERR_INVALID_REQUEST,
            "Null value not supported for : flush.ms");
    refused(r, META_RES_TOPIC, "no", "flush.ms", "7", META_APPEND, KERR_INVALID_CONFIG,
            "Can't APPEND to key flush.ms because its type is not LIST.");
    refused(r, META_RES_TOPIC, "no", "flush.ms", "7", 9, KERR_UNKNOWN_SERVER_ERROR, "");
    refused(r, META_RES_BROKER, "1", "log.retention.ms", "7", 9, KERR_INVALID_REQUEST,
            "Unknown operations type 9");
    refused(r, META_RES_BROKER, "one", "log.retention.ms", "7", META_SET, KERR_INVALID_REQUEST,
            "Node id must be an integer, but it is: one");
    refused(r, META_RES_BROKER, "2", "log.retention.ms", "7", META_SET, KERR_INVALID_REQUEST,
            "Unexpected broker id, expected 1, but received 2");
    refused(r, META_RES_BROKER, "1", "node.id", "7", META_SET, KERR_INVALID_REQUEST,
            "Cannot update these configs dynamically: [node.id]");
    refused(r, META_RES_GROUP, "", "consumer.session.timeout.ms", "50000", META_SET, KERR_INVALID_REQUEST,
            "Default group resources are not allowed.");
    refused(r, 3, "x", "k", "v", META_SET, KERR_INVALID_REQUEST, "Unknown resource type 3");
    assert_int_equal(image(r, 0)->version, version); // nothing was published
    // One bad resource does not keep a good one.
    struct meta_alter_entry e = {.key = "flush.ms", .value = "8"};
    struct meta_alter_resource two[] = {{.type = META_RES_TOPIC, .name = "no", .entries = &e, .entries_n = 1},
                                        {.type = META_RES_TOPIC, .name = "t", .entries = &e, .entries_n = 1}};
    struct meta_alter a = {.resources = two, .n = 2, .incremental = true, .validate_only = true};
    assert_int_equal(rig_create(r, "t", 1, NULL), KERR_NONE);
    rig_ask(r, META_ALTER_CONFIGS, &a);
    assert_int_equal(two[0].error, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(two[1].error, KERR_NONE);
    assert_int_equal(meta_find_topic(image(r, 0), "t", 1)->configs_n, 0);
    a.validate_only = false;
    rig_ask(r, META_ALTER_CONFIGS, &a);
    assert_int_equal(meta_find_topic(image(r, 0), "t", 1)->configs_n, 1);
}

// Keys and names that nobody sets in earnest: none may become a record that cannot be applied.
static void script_odd(struct rig *r, void *arg)
{
    static char name[4000];
    assert_int_equal(set(r, META_RES_BROKER, "1", "", "x"), KERR_NONE); // as upstream has it
    assert_string_equal(meta_resource_config(meta_find_resource(image(r, 0), META_RES_BROKER, "1"), ""), "x");
    memset(name, '0', sizeof(name) - 2);
    name[sizeof(name) - 2] = '1'; // a number, and it is ours
    refused(r, META_RES_BROKER, name, "log.retention.ms", "3600000", META_SET, KERR_INVALID_REQUEST,
            "The name has 3999 bytes; at most 2048 are allowed.");
}

static void script_odd_after(struct rig *r, void *arg)
{
    assert_string_equal(meta_resource_config(meta_find_resource(image(r, 2), META_RES_BROKER, "1"), ""), "x");
    assert_int_equal(alter(r, META_RES_BROKER, "1", "", NULL, META_DELETE, true), KERR_NONE);
    assert_null(meta_find_resource(image(r, 0), META_RES_BROKER, "1"));
}

static void test_odd(void **state)
{
    struct rig r;
    rig_new(&r, 13);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_odd, NULL);
    rig_kill(&r, true);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_odd_after, NULL);
    rig_stop(&r);
    rig_end(&r);
}

static void test_refused(void **state)
{
    struct rig r;
    rig_new(&r, 12);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_refused, NULL);
    rig_stop(&r);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_effect),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_odd),
    };
    sl_log_set_sink(rig_quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
