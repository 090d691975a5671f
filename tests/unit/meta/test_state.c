// Records, state and images without a log: what each record does, transactions, tables, names, encoding.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "engine/base/rand.h"
#include "proto/gen/begin_transaction_record.h"
#include "proto/gen/broker_registration_change_record.h"
#include "proto/gen/config_record.h"
#include "proto/gen/end_transaction_record.h"
#include "proto/gen/feature_level_record.h"
#include "proto/gen/no_op_record.h"
#include "proto/gen/partition_change_record.h"
#include "proto/gen/producer_ids_record.h"
#include "proto/gen/register_broker_record.h"
#include "proto/gen/remove_topic_record.h"
#include "proto/gen/topic_record.h"
#include "tests/unit/meta/bare.h"

static struct config *cfg;
static struct meta *m;
static char err[512];

static int make(void **state)
{
    cfg = config_new();
    assert_int_equal(config_set(cfg, "log.dirs", "/nowhere", CFG_FROM_FILE, err, sizeof(err)), 0);
    assert_int_equal(config_finish(cfg, err, sizeof(err)), 0);
    m = bare_meta(cfg);
    return 0;
}

static int end(void **state)
{
    meta_destroy(m);
    config_free(cfg);
    return 0;
}

static int apply_rec(enum meta_record type, int16_t version, const void *msg)
{
    struct recs rs;
    recs_init(&rs);
    recs_add(&rs, type, version, msg);
    assert_int_equal(rs.rc, 0);
    int rc = meta_apply(m, m->next_offset++, rs.v[0].p, rs.v[0].n, err, sizeof(err));
    recs_free(&rs);
    return rc;
}

static void publish(void)
{
    bare_publish(m);
}

static const struct meta_topic *find(const char *name)
{
    return meta_find_topic(&m->image->pub, name, strlen(name));
}

static int add_topic(const char *name, uint64_t id)
{
    struct kp_topic_record r = {.name = kp_str_of(name), .topic_id = sl_uuid_make(0x4000, id)};
    return apply_rec(REC_TOPIC, 0, &r);
}

static int add_part(uint64_t id, int32_t p, int32_t leader)
{
    struct sl_uuid t = sl_uuid_make(0x4000, id);
    struct recs rs;
    int32_t self = 1;
    struct meta_broker b = {.id = leader};
    struct meta_endpoint none = {0};
    b.endpoints = &none;
    if (!state_broker(m, leader))
        state_set_broker(m, &b, &t);
    self = leader;
    recs_init(&rs);
    recs_add_partition(m, &rs, &t, p, &self, 1);
    int rc = meta_apply(m, m->next_offset++, rs.v[0].p, rs.v[0].n, err, sizeof(err));
    recs_free(&rs);
    return rc;
}

static int feature(const char *name, int16_t level)
{
    struct kp_feature_level_record r = {.name = kp_str_of(name), .feature_level = level};
    return apply_rec(REC_FEATURE_LEVEL, 0, &r);
}

static int topic_setting(const char *topic, const char *key, const char *value)
{
    struct kp_config_record r = {.resource_type = META_RES_TOPIC,
                                 .resource_name = kp_str_of(topic),
                                 .name = kp_str_of(key),
                                 .value = kp_str_of(value)};
    return apply_rec(REC_CONFIG, 0, &r);
}

// ---- topics -----------------------------------------------------------------------------------------------
static void test_topic(void **state)
{
    assert_int_equal(feature("metadata.version", 30), 0);
    assert_int_equal(add_topic("b", 1), 0);
    assert_int_equal(add_topic("a", 2), 0);
    assert_int_equal(add_part(1, 0, 1), 0);
    assert_int_equal(add_part(1, 1, 1), 0);
    assert_int_equal(topic_setting("b", "retention.ms", "1234"), 0);
    assert_int_equal(topic_setting("b", "cleanup.policy", "compact"), 0);
    assert_int_equal(topic_setting("b", "no.such.key", "x"), 0); // tolerated, without effect
    publish();
    const struct meta_topic *b = find("b");
    assert_non_null(b);
    assert_int_equal(b->partitions_n, 2);
    assert_int_equal(b->partitions[1].leader, 1);
    assert_int_equal(b->partitions[1].isr_n, 1);
    assert_int_equal(b->configs_n, 3);
    assert_string_equal(b->configs[0].key, "cleanup.policy");
    assert_int_equal(b->config->retention_ms, 1234);
    assert_true((b->config->cleanup_policy & CFG_CLEANUP_COMPACT) != 0);
    assert_string_equal(m->image->pub.topics[0]->name, "a");
    assert_ptr_equal(find("a"), meta_find_topic_id(&m->image->pub, &find("a")->id));
    assert_null(find("c"));

    const struct meta_topic *a = find("a");
    assert_int_equal(topic_setting("b", "retention.ms", NULL), 0);
    publish();
    assert_ptr_equal(find("a"), a); // shared
    assert_true(find("b") != b);
    assert_int_equal(find("b")->configs_n, 2);
    assert_int_equal(find("b")->config->retention_ms, 604800000);

    struct kp_remove_topic_record rm = {.topic_id = find("b")->id};
    assert_int_equal(apply_rec(REC_REMOVE_TOPIC, 0, &rm), 0);
    assert_int_equal(add_topic("b", 3), 0); // again, in the same publication
    publish();
    assert_int_equal(m->image->pub.topics_n, 2);
    assert_int_equal(find("b")->partitions_n, 0);
    assert_int_equal(find("b")->configs_n, 0);
    assert_null(meta_find_topic_id(&m->image->pub, &rm.topic_id));
}

static void test_partition_change(void **state)
{
    struct kp_partition_change_record r;
    int32_t isr[2] = {1, 2};
    add_topic("t", 1);
    add_part(1, 0, 1);
    publish();
    kp_partition_change_record_init(&r);
    r.topic_id = sl_uuid_make(0x4000, 1);
    r.partition_id = 0;
    r.isr = isr;
    r.isr_n = 2;
    assert_int_equal(apply_rec(REC_PARTITION_CHANGE, 0, &r), 0);
    publish();
    assert_int_equal(find("t")->partitions[0].leader_epoch, 0); // the leader was not named
    assert_int_equal(find("t")->partitions[0].partition_epoch, 1);
    assert_int_equal(find("t")->partitions[0].isr_n, 2);
    r.isr = NULL;
    r.isr_n = -1;
    r.leader = 1; // the same one
    assert_int_equal(apply_rec(REC_PARTITION_CHANGE, 0, &r), 0);
    publish();
    assert_int_equal(find("t")->partitions[0].leader_epoch, 1);
    assert_int_equal(find("t")->partitions[0].partition_epoch, 2);
    r.partition_id = 1;
    assert_int_equal(apply_rec(REC_PARTITION_CHANGE, 0, &r), -EUCLEAN);
    r.topic_id = sl_uuid_make(0x4000, 9);
    assert_int_equal(apply_rec(REC_PARTITION_CHANGE, 0, &r), -EUCLEAN);
    assert_int_equal(add_topic("t", 4), -EUCLEAN);
}

// Many topics come and go; image and model agree after every publication.
static void test_many_topics(void **state)
{
    enum { N = 300 };
    bool there[N] = {0};
    struct sl_rand rng;
    sl_rand_seed(&rng, 7);
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t changes = 1 + (uint32_t)sl_rand_below(&rng, 60);
        for (uint32_t k = 0; k < changes; k++) {
            uint32_t i = (uint32_t)sl_rand_below(&rng, N);
            char name[16];
            snprintf(name, sizeof(name), "topic-%u", i);
            struct kp_remove_topic_record rm = {.topic_id = sl_uuid_make(0x4000, i)};
            assert_int_equal(there[i] ? apply_rec(REC_REMOVE_TOPIC, 0, &rm) : add_topic(name, i), 0);
            there[i] = !there[i];
        }
        publish();
        uint32_t n = 0;
        for (uint32_t i = 0; i < N; i++) {
            char name[16];
            struct sl_uuid id = sl_uuid_make(0x4000, i);
            snprintf(name, sizeof(name), "topic-%u", i);
            assert_int_equal(find(name) != NULL, there[i]);
            assert_ptr_equal(find(name), meta_find_topic_id(&m->image->pub, &id));
            n += there[i];
        }
        assert_int_equal(m->image->pub.topics_n, n);
        for (uint32_t i = 1; i < n; i++)
            assert_true(strcmp(m->image->pub.topics[i - 1]->name, m->image->pub.topics[i]->name) < 0);
    }
}

// ---- transactions, unknown things -------------------------------------------------------------------------
static void test_transactions(void **state)
{
    struct kp_begin_transaction_record begin = {.name = KP_STR_NULL};
    struct kp_end_transaction_record none = {0};
    assert_int_equal(apply_rec(REC_BEGIN_TRANSACTION, 0, &begin), 0);
    add_topic("t", 1);
    publish();
    assert_null(find("t"));
    assert_int_equal(apply_rec(REC_END_TRANSACTION, 0, &none), 0);
    publish();
    assert_non_null(find("t"));
    assert_int_equal(apply_rec(REC_BEGIN_TRANSACTION, 0, &begin), 0);
    assert_int_equal(apply_rec(REC_BEGIN_TRANSACTION, 0, &begin), -EUCLEAN);
    add_topic("u", 2);
    const uint8_t abort_rec[] = {1, REC_ABORT_TRANSACTION, 0, 0};
    assert_int_equal(meta_apply(m, 9, abort_rec, sizeof(abort_rec), err, sizeof(err)), 0);
    publish();
    assert_null(find("u"));
    assert_int_equal(apply_rec(REC_END_TRANSACTION, 0, &none), -EUCLEAN);
}

static void test_refused(void **state)
{
    const uint8_t unknown_type[] = {1, 99, 0, 0}, unknown_version[] = {1, REC_TOPIC, 7, 0},
                  frame[] = {2, REC_TOPIC, 0, 0}, cut[] = {1, REC_TOPIC, 0, 5}, no_op[] = {1, 20, 0, 0};
    assert_int_equal(meta_apply(m, 5, unknown_type, 4, err, sizeof(err)), -EPROTONOSUPPORT);
    assert_string_equal(err, "unknown metadata record type 99 version 0 at offset 5");
    assert_int_equal(meta_apply(m, 5, unknown_version, 4, err, sizeof(err)), -EPROTONOSUPPORT);
    assert_int_equal(meta_apply(m, 5, frame, 4, err, sizeof(err)), -EPROTONOSUPPORT);
    assert_int_equal(meta_apply(m, 5, cut, 4, err, sizeof(err)), -EUCLEAN);
    assert_int_equal(meta_apply(m, 5, cut, 1, err, sizeof(err)), -EUCLEAN);
    assert_int_equal(meta_apply(m, 5, no_op, 4, err, sizeof(err)), 0);
    assert_int_equal(feature("metadata.version", 31), -EPROTONOSUPPORT);
    assert_int_equal(feature("metadata.version", 6), -EPROTONOSUPPORT);
    assert_int_equal(feature("time.travel", 1), -EPROTONOSUPPORT);
    assert_int_equal(feature("time.travel", 0), 0);
    assert_int_equal(feature("transaction.version", 2), 0); // known, kept, though not ours
    assert_int_equal(state_feature(m, "transaction.version"), 2);
    m->kraft_version = 1;
    assert_int_equal(feature("metadata.version", 25), 0);
    publish();
    assert_int_equal(m->image->pub.features_n, 3);
    assert_string_equal(m->image->pub.features[0].name, "kraft.version");
    assert_string_equal(m->image->pub.features[2].name, "transaction.version");
    assert_int_equal(feature("transaction.version", 0), 0);
    assert_int_equal(state_feature(m, "transaction.version"), 0);
}

// Damaged records are refused or harmless, never a crash.
static void test_damage(void **state)
{
    struct sl_rand rng;
    sl_rand_seed(&rng, 3);
    const uint32_t n = 4000;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t rec[80];
        size_t len = 3 + sl_rand_below(&rng, sizeof(rec) - 3);
        for (size_t k = 0; k < len; k++)
            rec[k] = (uint8_t)sl_rand_below(&rng, sl_rand_below(&rng, 3) ? 4 : 256);
        rec[0] = 1;
        rec[1] = (uint8_t)sl_rand_below(&rng, 30);
        rec[2] = 0;
        int rc = meta_apply(m, i, rec, len, err, sizeof(err));
        assert_true(rc == 0 || rc == -EUCLEAN || rc == -EPROTONOSUPPORT);
    }
    publish();
}

// ---- brokers, producer ids --------------------------------------------------------------------------------
static void test_brokers(void **state)
{
    struct kp_register_broker_record r;
    struct kp_register_broker_record_broker_endpoint ep = {
        .name = KP_STR_LIT("PLAINTEXT"), .host = KP_STR_LIT("h"), .port = 9092};
    kp_register_broker_record_init(&r);
    r.broker_id = 3;
    r.broker_epoch = 17;
    r.end_points = &ep;
    r.end_points_n = 1;
    r.rack = KP_STR_LIT("r1");
    assert_int_equal(apply_rec(REC_REGISTER_BROKER, 4, &r), 0);
    r.broker_id = 2;
    r.rack = KP_STR_NULL;
    assert_int_equal(apply_rec(REC_REGISTER_BROKER, 4, &r), 0);
    publish();
    assert_int_equal(m->image->pub.brokers_n, 2);
    assert_int_equal(m->image->pub.brokers[0].id, 2);
    assert_null(m->image->pub.brokers[0].rack);
    assert_string_equal(meta_find_broker(&m->image->pub, 3)->rack, "r1");
    assert_true(meta_find_broker(&m->image->pub, 3)->fenced);
    struct kp_broker_registration_change_record c;
    kp_broker_registration_change_record_init(&c);
    c.broker_id = 3;
    c.broker_epoch = 17;
    c.fenced = -1;
    assert_int_equal(apply_rec(REC_BROKER_REGISTRATION_CHANGE, 0, &c), 0);
    publish();
    assert_false(meta_find_broker(&m->image->pub, 3)->fenced);
    assert_string_equal(meta_find_broker(&m->image->pub, 3)->endpoints[0].host, "h");
    c.broker_id = 9;
    assert_int_equal(apply_rec(REC_BROKER_REGISTRATION_CHANGE, 0, &c), -EUCLEAN);
    struct kp_producer_ids_record p = {.broker_id = 3, .broker_epoch = 17, .next_producer_id = 5000};
    assert_int_equal(apply_rec(REC_PRODUCER_IDS, 0, &p), 0);
    assert_int_equal(m->next_pid, 5000);
}

// A dynamic default of the cluster lies under a topic's own value.
static void test_dynamic_configs(void **state)
{
    struct kp_config_record r = {.resource_type = META_RES_BROKER,
                                 .resource_name = KP_STR_LIT(""),
                                 .name = KP_STR_LIT("min.insync.replicas"),
                                 .value = KP_STR_LIT("2")};
    assert_int_equal(apply_rec(REC_CONFIG, 0, &r), 0);
    r.resource_name = KP_STR_LIT("7"); // another broker's
    r.value = KP_STR_LIT("5");
    assert_int_equal(apply_rec(REC_CONFIG, 0, &r), 0);
    add_topic("t", 1);
    add_topic("u", 2);
    assert_int_equal(topic_setting("u", "min.insync.replicas", "3"), 0);
    publish();
    assert_int_equal(find("t")->config->min_insync_replicas, 2);
    assert_int_equal(find("u")->config->min_insync_replicas, 3);
    assert_int_equal(m->image->pub.resources_n, 2);
    assert_int_equal(cfg_int(m->image->pub.config, CFG_MIN_INSYNC_REPLICAS), 2);
    assert_string_equal(
        meta_resource_config(meta_find_resource(&m->image->pub, META_RES_BROKER, "7"), "min.insync.replicas"),
        "5");
}

// ---- names ------------------------------------------------------------------------------------------------
static int16_t check_name(const char *name, char *msg)
{
    return topic_name_check(m, name, (int32_t)strlen(name), msg, META_MESSAGE_MAX);
}

static void test_names(void **state)
{
    char msg[META_MESSAGE_MAX], longest[251];
    add_topic("a.b_c", 1);
    publish();
    memset(longest, 'x', sizeof(longest));
    longest[249] = 0;
    assert_int_equal(check_name(longest, msg), 0);
    longest[249] = 'x';
    longest[250] = 0;
    assert_int_equal(check_name(longest, msg), KERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(check_name("ok-1", msg), 0);
    assert_int_equal(check_name("a", msg), 0);
    assert_int_equal(check_name("a.b.c", msg), KERR_INVALID_TOPIC_EXCEPTION);
    assert_string_equal(msg, "Topic 'a.b.c' collides with existing topic: a.b_c");
    assert_int_equal(check_name("", msg), KERR_INVALID_TOPIC_EXCEPTION);
    assert_string_equal(msg, "Topic name is invalid: the empty string is not allowed");
    assert_int_equal(check_name("..", msg), KERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(check_name("a/b", msg), KERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(topic_name_check(m, NULL, -1, msg, sizeof(msg)), KERR_INVALID_TOPIC_EXCEPTION);
    assert_true(meta_topic_is_internal("__consumer_offsets", 18));
    assert_false(meta_topic_is_internal("__consumer_offset", 17));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make, end)
    const struct CMUnitTest tests[] = {
        T(test_topic),        T(test_partition_change), T(test_many_topics),
        T(test_transactions), T(test_refused),          T(test_damage),
        T(test_brokers),      T(test_dynamic_configs),  T(test_names),
    };
    sl_log_set_level(SL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
