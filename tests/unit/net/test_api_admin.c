// The handlers that look at the image or ask the controller: Metadata, InitProducerId, ListOffsets, FindCoordinator,
// CreateTopics, DeleteTopics, CreatePartitions, OffsetForLeaderEpoch, DescribeConfigs, DescribeCluster,
// DescribeTopicPartitions.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/net/api_rig.h"

static void assert_str(struct kp_str s, const char *want)
{
    assert_true(kp_str_eq(s, kp_str_of(want)));
}

// ---- Metadata ------------------------------
typedef struct kp_metadata_request_metadata_request_topic md_topic;

static struct kp_metadata_response metadata(struct rig *t, int16_t v, md_topic *topics, int32_t n,
                                            bool create)
{
    struct kp_metadata_request m;
    struct kp_metadata_response out;
    kp_metadata_request_init(&m);
    m.topics = topics;
    m.topics_n = n;
    if (v >= 4)
        m.allow_auto_topic_creation = create;
    m.include_topic_authorized_operations = v >= 8;
    RIG_SEND(t, &t->conns[0], &api_metadata, v, &m, metadata_request);
    assert_true(RIG_PEEK(t, &t->conns[0], v, &out, metadata_response));
    rig_drop(t, &t->conns[0]);
    return out;
}

static void test_metadata_all(void **state)
{
    struct rig *t = rig_new();
    rig_topic(t, "b", 2);
    rig_topic(t, "a", 1);
    t->mparts[0][1].leader = -1;
    for (int16_t v = 0; v <= 13; v++) {
        struct kp_metadata_response m = metadata(t, v, NULL, v ? -1 : 0, true);
        assert_int_equal(m.brokers_n, 1);
        assert_str(m.brokers[0].host, "127.0.0.1");
        assert_int_equal(m.brokers[0].port, 9092);
        if (v >= 1) {
            assert_int_equal(m.controller_id, RIG_NODE);
            assert_str(m.brokers[0].rack, "r1");
        }
        if (v >= 2)
            assert_str(m.cluster_id, "rig-cluster");
        assert_int_equal(m.topics_n, 2);
        assert_str(m.topics[0].name, "a");
        assert_int_equal(m.topics[1].partitions_n, 2);
        assert_int_equal(m.topics[1].partitions[0].leader_id, RIG_NODE);
        assert_int_equal(m.topics[1].partitions[0].leader_epoch, v >= 7 ? 3 : -1);
        assert_int_equal(m.topics[1].partitions[1].error_code, KERR_LEADER_NOT_AVAILABLE);
        assert_int_equal(m.topics[1].partitions[1].leader_id, -1);
        assert_int_equal(m.topics[0].topic_authorized_operations, v >= 8 ? API_TOPIC_OPS : INT32_MIN);
    }
    assert_int_equal(t->creates, 0);
    // An empty list from version 1 asks for brokers only.
    assert_int_equal(metadata(t, 1, NULL, 0, true).topics_n, 0);
    rig_free(t);
}

static void test_metadata_by_name(void **state)
{
    struct rig *t = rig_new();
    rig_topic(t, "a", 1);
    md_topic in[] = {{.name = KP_STR_LIT("a")},   {.name = KP_STR_LIT("no")}, {.name = KP_STR_LIT("a")},
                     {.name = KP_STR_LIT("b/d")}, {.name = KP_STR_LIT("..")}, {.name = KP_STR_LIT("")}};
    struct kp_metadata_response m = metadata(t, 9, in, 6, false);
    assert_int_equal(m.topics_n, 5); // each once
    assert_int_equal(m.topics[0].error_code, KERR_NONE);
    assert_int_equal(m.topics[1].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    for (int i = 2; i < 5; i++)
        assert_int_equal(m.topics[i].error_code, KERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(t->creates, 0);
    rig_free(t);
}

static void test_metadata_creates(void **state)
{
    struct rig *t = rig_new();
    md_topic in[] = {{.name = KP_STR_LIT("made-a")},
                     {.name = KP_STR_LIT("__consumer_offsets")},
                     {.name = KP_STR_LIT("a b")}};
    struct kp_metadata_response m = metadata(t, 2, in, 3, true);
    assert_int_equal(t->creates, 1);
    assert_int_equal(m.topics[0].error_code, KERR_NONE);
    assert_int_equal(m.topics[0].partitions_n, 1);
    assert_int_equal(m.topics[1].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_true(m.topics[1].is_internal);
    assert_int_equal(m.topics[2].error_code, KERR_INVALID_TOPIC_EXCEPTION);
    metadata(t, 12, in, 1, true);
    assert_int_equal(t->creates, 1); // it is there
    t->controller_error = KERR_INVALID_REPLICATION_FACTOR;
    in[0].name = KP_STR_LIT("made-b");
    assert_int_equal(metadata(t, 12, in, 1, true).topics[0].error_code, KERR_INVALID_REPLICATION_FACTOR);
    t->controller_error = KERR_NOT_CONTROLLER;
    assert_int_equal(metadata(t, 12, in, 1, true).topics[0].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    rig_free(t);
    const char *const off[] = {"auto.create.topics.enable=false", NULL};
    t = rig_new_with(64, off);
    assert_int_equal(metadata(t, 2, in, 1, true).topics[0].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(t->creates, 0);
    rig_free(t);
}

static void test_metadata_by_id(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 1);
    md_topic in[] = {{.topic_id = mt->id, .name = KP_STR_NULL},
                     {.topic_id = sl_uuid_make(9, 9), .name = KP_STR_NULL}};
    for (int16_t v = 12; v <= 13; v++) {
        struct kp_metadata_response m = metadata(t, v, in, 2, true);
        assert_int_equal(m.topics_n, 2);
        assert_str(m.topics[0].name, "a");
        assert_int_equal(m.topics[1].error_code, KERR_UNKNOWN_TOPIC_ID);
        assert_int_equal(m.topics[1].name.n, -1);
        assert_true(sl_uuid_eq(&m.topics[1].topic_id, &in[1].topic_id));
    }
    // Versions 10 and 11 carry ids that must not be used.
    for (int16_t v = 10; v <= 11; v++)
        assert_int_equal(metadata(t, v, in, 2, true).topics[0].error_code, KERR_INVALID_REQUEST);
    rig_free(t);
}

// ---- InitProducerId ------------------------------
static struct kp_init_producer_id_response init_pid(struct rig *t, int16_t v, const char *txn, int64_t id,
                                                    int16_t epoch)
{
    struct kp_init_producer_id_request m;
    struct kp_init_producer_id_response out;
    kp_init_producer_id_request_init(&m);
    m.transactional_id = kp_str_of(txn);
    m.transaction_timeout_ms = 1000;
    m.producer_id = id;
    m.producer_epoch = epoch;
    RIG_SEND(t, &t->conns[0], &api_init_producer_id, v, &m, init_producer_id_request);
    assert_true(RIG_PEEK(t, &t->conns[0], v, &out, init_producer_id_response));
    rig_drop(t, &t->conns[0]);
    return out;
}

static void test_producer_ids(void **state)
{
    struct rig *t = rig_new();
    for (int64_t i = 0; i < 2500; i++) {
        struct kp_init_producer_id_response m = init_pid(t, (int16_t)(i % 6), NULL, -1, -1);
        assert_int_equal(m.error_code, 0);
        assert_int_equal(m.producer_id, 5000 + i);
        assert_int_equal(m.producer_epoch, 0);
        free(t->bodies[--t->bodies_n]);
    }
    assert_int_equal(t->pid_blocks, 3);
    // KIP-360 without a transaction: a fresh id; half of a pair: refused.
    assert_int_equal(init_pid(t, 4, NULL, 5000, 0).producer_id, 7500);
    assert_int_equal(init_pid(t, 4, NULL, 5000, -1).error_code, KERR_INVALID_REQUEST);
    assert_int_equal(init_pid(t, 4, NULL, -1, 3).error_code, KERR_INVALID_REQUEST);
    assert_int_equal(init_pid(t, 4, "", -1, -1).error_code, KERR_INVALID_REQUEST);
    struct kp_init_producer_id_response m = init_pid(t, 4, "txn", -1, -1);
    assert_int_equal(m.error_code, KERR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(m.producer_id, -1);
    assert_int_equal(m.producer_epoch, -1);
    rig_free(t);
}

static void test_producer_ids_fail(void **state)
{
    struct rig *t = rig_new();
    t->controller_error = KERR_UNKNOWN_SERVER_ERROR;
    assert_int_equal(init_pid(t, 4, NULL, -1, -1).error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    t->controller_error = KERR_NONE;
    assert_int_equal(init_pid(t, 4, NULL, -1, -1).error_code, KERR_NONE);
    rig_free(t);
}

// ---- ListOffsets, OffsetForLeaderEpoch ------------------------------
typedef struct kp_list_offsets_request_list_offsets_partition lo_part;

static struct kp_list_offsets_response list_offsets(struct rig *t, int16_t v, const char *topic,
                                                    lo_part *parts, int32_t n)
{
    struct kp_list_offsets_request_list_offsets_topic topics = {
        .name = kp_str_of(topic), .partitions = parts, .partitions_n = n};
    struct kp_list_offsets_request m;
    struct kp_list_offsets_response out;
    kp_list_offsets_request_init(&m);
    m.topics = &topics;
    m.topics_n = 1;
    RIG_SEND(t, &t->conns[0], &api_list_offsets, v, &m, list_offsets_request);
    assert_true(RIG_PEEK(t, &t->conns[0], v, &out, list_offsets_response));
    rig_drop(t, &t->conns[0]);
    return out;
}

static void test_list_offsets(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 8);
    for (int32_t i = 0; i < 8; i++)
        rig_append(t, mt, i, 10 + i);
    for (int16_t v = 1; v <= 11; v++) {
        lo_part in[8];
        for (int32_t i = 0; i < 8; i++)
            in[i] = (lo_part){.partition_index = 7 - i, .current_leader_epoch = -1, .timestamp = i ? -1 : -2};
        struct kp_list_offsets_response m = list_offsets(t, v, "a", in, 8);
        for (int32_t i = 0; i < 8; i++) {
            assert_int_equal(m.topics[0].partitions[i].partition_index, 7 - i);
            assert_int_equal(m.topics[0].partitions[i].error_code, 0);
            assert_int_equal(m.topics[0].partitions[i].offset, i ? 17 - i : 0);
            assert_int_equal(m.topics[0].partitions[i].leader_epoch, v >= 4 ? 3 : -1);
        }
        // Special timestamps come with versions of their own.
        static const int since[] = {0, 1, 1, 7, 8, 9, 11, 99};
        for (int ts = 1; ts <= 7; ts++) {
            lo_part one = {.partition_index = 0, .current_leader_epoch = -1, .timestamp = -ts};
            m = list_offsets(t, v, "a", &one, 1);
            assert_int_equal(m.topics[0].partitions[0].error_code,
                             v >= since[ts] ? 0 : KERR_UNSUPPORTED_VERSION);
        }
    }
    lo_part twice[] = {{.partition_index = 1, .timestamp = -1, .current_leader_epoch = -1},
                       {.partition_index = 2, .timestamp = -1, .current_leader_epoch = -1},
                       {.partition_index = 1, .timestamp = -2, .current_leader_epoch = -1},
                       {.partition_index = 8, .timestamp = -2, .current_leader_epoch = -1}};
    struct kp_list_offsets_response m = list_offsets(t, 7, "a", twice, 4);
    assert_int_equal(m.topics[0].partitions_n, 3); // the repeated one once
    assert_int_equal(m.topics[0].partitions[0].error_code, KERR_INVALID_REQUEST);
    assert_int_equal(m.topics[0].partitions[0].offset, -1);
    assert_int_equal(m.topics[0].partitions[1].error_code, KERR_NONE);
    assert_int_equal(m.topics[0].partitions[1].partition_index, 2);
    assert_int_equal(m.topics[0].partitions[1].offset, 12);
    assert_int_equal(m.topics[0].partitions[2].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(list_offsets(t, 7, "b", twice, 1).topics[0].partitions[0].error_code,
                     KERR_UNKNOWN_TOPIC_OR_PARTITION);
    m = list_offsets(t, 7, "b", twice, 4); // also of a topic that is not there
    assert_int_equal(m.topics[0].partitions_n, 3);
    assert_int_equal(m.topics[0].partitions[0].error_code, KERR_INVALID_REQUEST);
    assert_int_equal(m.topics[0].partitions[1].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(list_offsets(t, 7, "a", NULL, 0).topics_n, 0); // without partitions: left out
    rig_quiet(t, 1024);
    rig_free(t);
}

// Topics named twice are one, and a level that does not exist refuses them all.
static void test_list_offsets_of_several(void **state)
{
    struct rig *t = rig_new();
    rig_append(t, rig_topic(t, "a", 8), 1, 11);
    lo_part one[] = {{.partition_index = 1, .timestamp = -1, .current_leader_epoch = -1}};
    lo_part two[] = {{.partition_index = 2, .timestamp = -1, .current_leader_epoch = -1},
                     {.partition_index = 1, .timestamp = -2, .current_leader_epoch = -1}};
    struct kp_list_offsets_request_list_offsets_topic topics[] = {
        {.name = KP_STR_LIT("a"), .partitions = one, .partitions_n = 1},
        {.name = KP_STR_LIT("b"), .partitions = one, .partitions_n = 1},
        {.name = KP_STR_LIT("a"), .partitions = two, .partitions_n = 2}};
    for (int8_t level = -1; level <= 2; level++) {
        struct kp_list_offsets_request m;
        struct kp_list_offsets_response out;
        bool bad = level != 0 && level != 1;
        kp_list_offsets_request_init(&m);
        m.topics = topics;
        m.topics_n = 3;
        m.isolation_level = level;
        RIG_SEND(t, &t->conns[0], &api_list_offsets, 7, &m, list_offsets_request);
        assert_true(RIG_PEEK(t, &t->conns[0], 7, &out, list_offsets_response));
        assert_int_equal(out.topics_n, 2);
        assert_int_equal(out.topics[0].partitions_n, 2);
        assert_int_equal(out.topics[0].partitions[0].error_code,
                         bad ? KERR_UNKNOWN_SERVER_ERROR : KERR_INVALID_REQUEST);
        assert_int_equal(out.topics[0].partitions[1].partition_index, 2);
        assert_int_equal(out.topics[0].partitions[1].error_code, bad ? KERR_UNKNOWN_SERVER_ERROR : KERR_NONE);
        assert_int_equal(out.topics[1].partitions[0].error_code,
                         bad ? KERR_UNKNOWN_SERVER_ERROR : KERR_UNKNOWN_TOPIC_OR_PARTITION);
        rig_drop(t, &t->conns[0]);
    }
    rig_free(t);
}

static void test_epoch_ends(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 4);
    struct kp_offset_for_leader_epoch_request_offset_for_leader_partition parts[5];
    struct kp_offset_for_leader_epoch_request_offset_for_leader_topic topic = {
        .topic = KP_STR_LIT("a"), .partitions = parts, .partitions_n = 5};
    struct kp_offset_for_leader_epoch_request m;
    struct kp_offset_for_leader_epoch_response out;
    for (int32_t i = 0; i < 5; i++) {
        parts[i] = (struct kp_offset_for_leader_epoch_request_offset_for_leader_partition){
            .partition = i, .current_leader_epoch = -1, .leader_epoch = 3};
        if (i < 4)
            rig_append(t, mt, i, i + 1);
    }
    kp_offset_for_leader_epoch_request_init(&m);
    m.topics = &topic;
    m.topics_n = 1;
    for (int16_t v = 2; v <= 4; v++) {
        RIG_SEND(t, &t->conns[0], &api_offset_for_leader_epoch, v, &m, offset_for_leader_epoch_request);
        assert_true(RIG_PEEK(t, &t->conns[0], v, &out, offset_for_leader_epoch_response));
        for (int32_t i = 0; i < 4; i++) {
            assert_int_equal(out.topics[0].partitions[i].partition, i);
            assert_int_equal(out.topics[0].partitions[i].end_offset, i + 1);
            assert_int_equal(out.topics[0].partitions[i].leader_epoch, 3);
        }
        assert_int_equal(out.topics[0].partitions[4].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(out.topics[0].partitions[4].end_offset, -1);
        rig_drop(t, &t->conns[0]);
    }
    rig_quiet(t, 1024);
    rig_free(t);
}

// ---- FindCoordinator ------------------------------
static void test_find_coordinator(void **state)
{
    struct rig *t = rig_new();
    struct kp_str keys[] = {KP_STR_LIT("g"), KP_STR_LIT("h")};
    for (int16_t v = 0; v <= 6; v++) {
        struct kp_find_coordinator_request m;
        struct kp_find_coordinator_response out;
        kp_find_coordinator_request_init(&m);
        if (v < 4) {
            m.key = keys[0];
        } else {
            m.coordinator_keys = keys;
            m.coordinator_keys_n = 2;
        }
        RIG_SEND(t, &t->conns[0], &api_find_coordinator, v, &m, find_coordinator_request);
        assert_true(RIG_PEEK(t, &t->conns[0], v, &out, find_coordinator_response));
        if (v < 4) {
            assert_int_equal(out.error_code, KERR_COORDINATOR_NOT_AVAILABLE);
            assert_int_equal(out.node_id, -1);
            assert_int_equal(out.port, -1);
        } else {
            assert_int_equal(out.coordinators_n, 2);
            assert_str(out.coordinators[1].key, "h");
            assert_int_equal(out.coordinators[1].error_code, KERR_COORDINATOR_NOT_AVAILABLE);
            assert_int_equal(out.coordinators[1].node_id, -1);
        }
        rig_drop(t, &t->conns[0]);
    }
    rig_free(t);
}

static void test_coordinator_kinds(void **state)
{
    static const struct {
        int16_t version;
        int8_t kind;
        const char *key;
        int16_t error;
    } cases[] = {
        {5, 1, "txn", KERR_COORDINATOR_NOT_AVAILABLE},
        {5, 3, "g", KERR_INVALID_REQUEST},
        {5, 2, "g:AAAAAAAAAAAAAAAAAAAAAQ:0", KERR_INVALID_REQUEST},
        {6, 2, "g:AAAAAAAAAAAAAAAAAAAAAQ:0", KERR_COORDINATOR_NOT_AVAILABLE},
        {6, 2, "g:AAAAAAAAAAAAAAAAAAAAAQ:", KERR_INVALID_REQUEST},
        {6, 2, "g:AAAA:0", KERR_INVALID_REQUEST},
        {6, 2, ":AAAAAAAAAAAAAAAAAAAAAQ:0", KERR_INVALID_REQUEST},
        {6, 2, "", KERR_INVALID_REQUEST},
        {6, -1, "g", KERR_INVALID_REQUEST},
    };
    struct rig *t = rig_new();
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct kp_str key = kp_str_of(cases[i].key);
        struct kp_find_coordinator_request m;
        struct kp_find_coordinator_response out;
        kp_find_coordinator_request_init(&m);
        m.key_type = cases[i].kind;
        m.coordinator_keys = &key;
        m.coordinator_keys_n = 1;
        RIG_SEND(t, &t->conns[0], &api_find_coordinator, cases[i].version, &m, find_coordinator_request);
        assert_true(RIG_PEEK(t, &t->conns[0], cases[i].version, &out, find_coordinator_response));
        assert_int_equal(out.coordinators[0].error_code, cases[i].error);
        rig_drop(t, &t->conns[0]);
    }
    rig_free(t);
}

// ---- CreateTopics, DeleteTopics, CreatePartitions ------------------------------
static void test_create_topics(void **state)
{
    struct rig *t = rig_new();
    struct kp_create_topics_request_creatable_topic_config cfg[] = {
        {KP_STR_LIT("retention.ms"), KP_STR_LIT("1")}, {KP_STR_LIT("retention.ms"), KP_STR_LIT("77")}};
    struct kp_create_topics_request_creatable_topic in[] = {
        {.name = KP_STR_LIT("x"), .num_partitions = 1, .replication_factor = 1},
        {.name = KP_STR_LIT("made-a"),
         .num_partitions = 2,
         .replication_factor = 1,
         .configs = cfg,
         .configs_n = 2},
        {.name = KP_STR_LIT("x"), .num_partitions = 1, .replication_factor = 1},
        {.name = KP_STR_LIT("__cluster_metadata"), .num_partitions = 1, .replication_factor = 1}};
    struct kp_create_topics_request m;
    struct kp_create_topics_response out;
    kp_create_topics_request_init(&m);
    m.topics = in;
    m.topics_n = 4;
    for (int16_t v = 2; v <= 7; v++) {
        RIG_SEND(t, &t->conns[0], &api_create_topics, v, &m, create_topics_request);
        assert_true(RIG_PEEK(t, &t->conns[0], v, &out, create_topics_response));
        assert_int_equal(out.topics_n, 3);
        assert_int_equal(t->create_configs, 1); // the last of the key that is named twice
        for (int32_t i = 0; i < 3; i++) {
            bool made = kp_str_eq(out.topics[i].name, KP_STR_LIT("made-a"));
            assert_int_equal(out.topics[i].error_code, made ? KERR_NONE : KERR_INVALID_REQUEST);
            if (!made || v < 5)
                continue;
            assert_int_equal(out.topics[i].num_partitions, 2);
            bool found = false;
            for (int32_t k = 0; k < out.topics[i].configs_n; k++) {
                if (!kp_str_eq(out.topics[i].configs[k].name, KP_STR_LIT("retention.ms")))
                    continue;
                found = true;
                assert_str(out.topics[i].configs[k].value, "77");
                assert_int_equal(out.topics[i].configs[k].config_source, CFG_ORIGIN_TOPIC);
            }
            assert_true(found);
        }
        rig_drop(t, &t->conns[0]);
    }
    rig_free(t);
}

typedef struct kp_delete_topics_request_delete_topic_state dt_topic;

static void test_delete_topics(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *a = rig_topic(t, "a", 1), *b = rig_topic(t, "b", 1);
    struct sl_uuid zero = {{0}}, unknown = sl_uuid_make(8, 8);
    dt_topic in[] = {{KP_STR_LIT("a"), zero},  {KP_STR_NULL, b->id},        {KP_STR_LIT("b"), zero},
                     {KP_STR_LIT("no"), zero}, {KP_STR_NULL, unknown},      {KP_STR_NULL, zero},
                     {KP_STR_LIT("a"), a->id}, {KP_STR_LIT("twice"), zero}, {KP_STR_LIT("twice"), zero}};
    struct kp_delete_topics_request m;
    struct kp_delete_topics_response out;
    kp_delete_topics_request_init(&m);
    m.topics = in;
    m.topics_n = 9;
    RIG_SEND(t, &t->conns[0], &api_delete_topics, 6, &m, delete_topics_request);
    assert_true(RIG_PEEK(t, &t->conns[0], 6, &out, delete_topics_response));
    assert_int_equal(out.responses_n, 7);
    int invalid = 0, good = 0;
    for (int32_t i = 0; i < 7; i++) {
        invalid += out.responses[i].error_code == KERR_INVALID_REQUEST;
        if (out.responses[i].error_code == KERR_NONE) {
            good++;
            assert_str(out.responses[i].name, "a");
            assert_true(sl_uuid_eq(&out.responses[i].topic_id, &a->id));
        }
        if (sl_uuid_eq(&out.responses[i].topic_id, &unknown))
            assert_int_equal(out.responses[i].error_code, KERR_UNKNOWN_TOPIC_ID);
    }
    assert_int_equal(good, 1);    // b is named by name and by id: it stays
    assert_int_equal(invalid, 4); // b, neither, both, twice
    rig_drop(t, &t->conns[0]);
    struct kp_str names[] = {KP_STR_LIT("a"), KP_STR_LIT("no")};
    kp_delete_topics_request_init(&m);
    m.topic_names = names;
    m.topic_names_n = 2;
    for (int16_t v = 1; v <= 5; v++) {
        RIG_SEND(t, &t->conns[0], &api_delete_topics, v, &m, delete_topics_request);
        assert_true(RIG_PEEK(t, &t->conns[0], v, &out, delete_topics_response));
        assert_int_equal(out.responses[0].error_code, KERR_NONE);
        assert_int_equal(out.responses[1].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
        rig_drop(t, &t->conns[0]);
    }
    rig_free(t);
}

static void test_create_partitions(void **state)
{
    struct rig *t = rig_new();
    struct kp_create_partitions_request_create_partitions_topic in[] = {
        {.name = KP_STR_LIT("a"), .count = 3, .assignments_n = -1},
        {.name = KP_STR_LIT("b"), .count = 3, .assignments_n = -1},
        {.name = KP_STR_LIT("a"), .count = 4, .assignments_n = -1}};
    struct kp_create_partitions_request m;
    struct kp_create_partitions_response out;
    kp_create_partitions_request_init(&m);
    m.topics = in;
    m.topics_n = 3;
    for (int16_t v = 0; v <= 3; v++) {
        t->controller_error = v == 3 ? KERR_INVALID_PARTITIONS : KERR_NONE;
        RIG_SEND(t, &t->conns[0], &api_create_partitions, v, &m, create_partitions_request);
        assert_true(RIG_PEEK(t, &t->conns[0], v, &out, create_partitions_response));
        assert_int_equal(out.results_n, 2);
        assert_str(out.results[0].name, "a");
        assert_int_equal(out.results[0].error_code, KERR_INVALID_REQUEST);
        assert_int_equal(out.results[1].error_code, t->controller_error);
        assert_int_equal(out.results[1].error_message.n, -1);
        rig_drop(t, &t->conns[0]);
    }
    rig_free(t);
}

// ---- DescribeConfigs ------------------------------
typedef struct kp_describe_configs_response_describe_configs_resource_result dc_config;

static struct kp_describe_configs_response describe(struct rig *t, int16_t v, int8_t type, const char *name,
                                                    const char *key)
{
    struct kp_str keys = kp_str_of(key);
    struct kp_describe_configs_request_describe_configs_resource in = {.resource_type = type,
                                                                       .resource_name = kp_str_of(name),
                                                                       .configuration_keys =
                                                                           key ? &keys : NULL,
                                                                       .configuration_keys_n = key ? 1 : -1};
    struct kp_describe_configs_request m;
    struct kp_describe_configs_response out;
    kp_describe_configs_request_init(&m);
    m.resources = &in;
    m.resources_n = 1;
    m.include_synonyms = true;
    m.include_documentation = v >= 3;
    RIG_SEND(t, &t->conns[0], &api_describe_configs, v, &m, describe_configs_request);
    assert_true(RIG_PEEK(t, &t->conns[0], v, &out, describe_configs_response));
    rig_drop(t, &t->conns[0]);
    return out;
}

static const dc_config *config_named(const struct kp_describe_configs_response *m, const char *name)
{
    for (int32_t i = 0; i < m->results[0].configs_n; i++)
        if (kp_str_eq(m->results[0].configs[i].name, kp_str_of(name)))
            return &m->results[0].configs[i];
    return NULL;
}

static void test_describe_topic(void **state)
{
    const char *const pairs[] = {"log.retention.hours=2", NULL};
    struct rig *t = rig_new_with(64, pairs);
    static const struct meta_config_entry own[] = {{"max.message.bytes", "2000"}};
    struct meta_topic *mt = rig_topic(t, "a", 1);
    mt->configs = own;
    mt->configs_n = 1;
    for (int16_t v = 1; v <= 4; v++) {
        struct kp_describe_configs_response m = describe(t, v, 2, "a", NULL);
        assert_int_equal(m.results[0].error_code, 0);
        assert_true(m.results[0].configs_n > 20);
        const dc_config *c = config_named(&m, "max.message.bytes");
        assert_str(c->value, "2000");
        assert_int_equal(c->config_source, CFG_ORIGIN_TOPIC);
        assert_true(c->synonyms_n >= 2);
        c = config_named(&m, "retention.ms");
        assert_str(c->value, "7200000");
        assert_int_equal(c->config_source,
                         CFG_ORIGIN_DEFAULT); // log.retention.hours says it, not log.retention.ms
        assert_int_equal(c->config_type, v >= 3 ? CFG_LONG : 0);
        assert_true(v < 3 || c->documentation.n > 0);
    }
    struct kp_describe_configs_response m = describe(t, 4, 2, "a", "retention.ms");
    assert_int_equal(m.results[0].configs_n, 1);
    assert_int_equal(describe(t, 4, 2, "b", NULL).results[0].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(describe(t, 4, 2, "b b", NULL).results[0].error_code, KERR_INVALID_TOPIC_EXCEPTION);
    rig_free(t);
}

static void test_describe_broker(void **state)
{
    struct rig *t = rig_new();
    struct kp_describe_configs_response m = describe(t, 4, 4, "1", NULL);
    assert_true(m.results[0].configs_n > 200);
    assert_non_null(config_named(&m, "delete.topic.enable"));
    const dc_config *c = config_named(&m, "ssl.keystore.password");
    assert_true(c->is_sensitive);
    assert_int_equal(c->value.n, -1);
    assert_int_equal(describe(t, 4, 4, "", NULL).results[0].configs_n, 0);
    assert_int_equal(describe(t, 4, 4, "2", NULL).results[0].error_code, KERR_INVALID_REQUEST);
    assert_str(describe(t, 4, 4, "x", NULL).results[0].error_message,
               "Broker id must be an integer, but it is: x");
    m = describe(t, 4, 8, "1", NULL);
    assert_str(config_named(&m, "root")->value, "INFO");
    assert_int_equal(describe(t, 4, 8, "", NULL).results[0].error_code, KERR_INVALID_REQUEST);
    assert_int_equal(describe(t, 4, 8, "7", NULL).results[0].error_code, KERR_INVALID_REQUEST);
    m = describe(t, 4, 16, "sub", NULL);
    assert_int_equal(m.results[0].configs_n, 3);
    assert_str(config_named(&m, "interval.ms")->value, "300000");
    m = describe(t, 4, 32, "g", NULL);
    assert_int_equal(m.results[0].configs_n, 17);
    assert_str(config_named(&m, "consumer.session.timeout.ms")->value, "45000");
    assert_int_equal(describe(t, 4, 32, "", NULL).results[0].error_code, KERR_INVALID_REQUEST);
    assert_int_equal(describe(t, 4, 16, "", NULL).results[0].error_code, KERR_INVALID_REQUEST);
    assert_int_equal(describe(t, 4, 3, "a", NULL).results[0].error_code, KERR_INVALID_REQUEST);
    rig_free(t);
}

// ---- DescribeCluster, DescribeTopicPartitions ------------------------------
static void test_describe_cluster(void **state)
{
    struct rig *t = rig_new();
    for (int16_t v = 0; v <= 2; v++) {
        struct kp_describe_cluster_request m;
        struct kp_describe_cluster_response out;
        kp_describe_cluster_request_init(&m);
        t->broker.fenced = v == 2;
        m.include_fenced_brokers = v == 2;
        m.include_cluster_authorized_operations = v > 0;
        RIG_SEND(t, &t->conns[0], &api_describe_cluster, v, &m, describe_cluster_request);
        assert_true(RIG_PEEK(t, &t->conns[0], v, &out, describe_cluster_response));
        assert_str(out.cluster_id, "rig-cluster");
        assert_int_equal(out.brokers_n, 1);
        assert_int_equal(out.brokers[0].is_fenced, v == 2);
        assert_int_equal(out.controller_id, v == 2 ? -1 : RIG_NODE);
        assert_int_equal(out.cluster_authorized_operations, v ? API_CLUSTER_OPS : INT32_MIN);
        rig_drop(t, &t->conns[0]);
        for (int8_t e = 2; v && e <= 3; e++) {
            m.endpoint_type = e;
            RIG_SEND(t, &t->conns[0], &api_describe_cluster, v, &m, describe_cluster_request);
            assert_true(RIG_PEEK(t, &t->conns[0], v, &out, describe_cluster_response));
            assert_int_equal(out.error_code,
                             e == 2 ? KERR_MISMATCHED_ENDPOINT_TYPE : KERR_UNSUPPORTED_ENDPOINT_TYPE);
            rig_drop(t, &t->conns[0]);
        }
    }
    rig_free(t);
}

static struct kp_describe_topic_partitions_response
pages(struct rig *t, const char *const *names, int32_t limit,
      struct kp_describe_topic_partitions_request_cursor *cursor)
{
    struct kp_describe_topic_partitions_request_topic_request in[8];
    struct kp_describe_topic_partitions_request m;
    struct kp_describe_topic_partitions_response out;
    kp_describe_topic_partitions_request_init(&m);
    m.topics = in;
    for (; names && names[m.topics_n]; m.topics_n++)
        in[m.topics_n].name = kp_str_of(names[m.topics_n]);
    m.response_partition_limit = limit;
    m.cursor = cursor;
    RIG_SEND(t, &t->conns[0], &api_describe_topic_partitions, 0, &m, describe_topic_partitions_request);
    assert_true(RIG_PEEK(t, &t->conns[0], 0, &out, describe_topic_partitions_response));
    rig_drop(t, &t->conns[0]);
    return out;
}

static void test_partitions_by_page(void **state)
{
    struct rig *t = rig_new();
    rig_topic(t, "c", 2);
    rig_topic(t, "a", 5);
    rig_topic(t, "b", 1);
    struct kp_describe_topic_partitions_request_cursor cursor = {0}, *at = NULL;
    int32_t seen[3] = {0}, asked = 0;
    do {
        struct kp_describe_topic_partitions_response m = pages(t, NULL, 3, at);
        int32_t n = 0;
        for (int32_t i = 0; i < m.topics_n; i++) {
            n += m.topics[i].partitions_n;
            for (int32_t k = 0; k < m.topics[i].partitions_n; k++)
                assert_int_equal(m.topics[i].partitions[k].partition_index,
                                 seen[m.topics[i].name.p[0] - 'a']++);
        }
        assert_true(n <= 3 && n > 0);
        at = NULL;
        if (m.next_cursor) {
            cursor.topic_name = m.next_cursor->topic_name;
            cursor.partition_index = m.next_cursor->partition_index;
            at = &cursor;
        }
        asked++;
    } while (at);
    assert_int_equal(seen[0], 5);
    assert_int_equal(seen[1], 1);
    assert_int_equal(seen[2], 2);
    assert_int_equal(asked, 3);
    rig_free(t);
}

static void test_partitions_by_name(void **state)
{
    struct rig *t = rig_new();
    rig_topic(t, "a", 2);
    const char *const names[] = {"z", "a", "a", "b/", NULL};
    struct kp_describe_topic_partitions_response m = pages(t, names, 2000, NULL);
    assert_int_equal(m.topics_n, 3);
    assert_str(m.topics[0].name, "a");
    assert_int_equal(m.topics[0].partitions_n, 2);
    assert_int_equal(m.topics[1].error_code, KERR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(m.topics[2].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_null(m.next_cursor);
    struct kp_describe_topic_partitions_request_cursor cursor = {.topic_name = KP_STR_LIT("q"),
                                                                 .partition_index = 0};
    assert_int_equal(pages(t, names, 2000, &cursor).topics[0].error_code, KERR_INVALID_REQUEST);
    cursor = (struct kp_describe_topic_partitions_request_cursor){.topic_name = KP_STR_LIT("a"),
                                                                  .partition_index = -1};
    assert_int_equal(pages(t, names, 2000, &cursor).topics[0].error_code, KERR_INVALID_REQUEST);
    cursor.partition_index = 7; // beyond the topic: it has no more, the others follow
    m = pages(t, names, 2000, &cursor);
    assert_int_equal(m.topics[0].partitions_n, 0);
    assert_int_equal(m.topics_n, 3);
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata_all),       cmocka_unit_test(test_metadata_by_name),
        cmocka_unit_test(test_metadata_creates),   cmocka_unit_test(test_metadata_by_id),
        cmocka_unit_test(test_producer_ids),       cmocka_unit_test(test_producer_ids_fail),
        cmocka_unit_test(test_list_offsets),       cmocka_unit_test(test_list_offsets_of_several),
        cmocka_unit_test(test_epoch_ends),         cmocka_unit_test(test_find_coordinator),
        cmocka_unit_test(test_coordinator_kinds),  cmocka_unit_test(test_create_topics),
        cmocka_unit_test(test_delete_topics),      cmocka_unit_test(test_create_partitions),
        cmocka_unit_test(test_describe_topic),     cmocka_unit_test(test_describe_broker),
        cmocka_unit_test(test_describe_cluster),   cmocka_unit_test(test_partitions_by_page),
        cmocka_unit_test(test_partitions_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
