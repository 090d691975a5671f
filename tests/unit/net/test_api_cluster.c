// The APIs of administration that one node answers by itself: log directories, elections, reassignments, the quorum,
// quotas, producers, security. Their errors and words are compared with upstream's by tests/clients/compare.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/net/api_rig.h"

// Sends a request of `message` in version v and decodes the answer.
#define ASK(t, v, message, m, out)                                                                           \
    do {                                                                                                     \
        RIG_SEND(t, &(t)->conns[0], &api_##message, v, m, message##_request);                                \
        assert_true(RIG_PEEK(t, &(t)->conns[0], v, out, message##_response));                                \
        rig_drop(t, &(t)->conns[0]);                                                                         \
    } while (0)

static void test_log_dirs(void **state)
{
    const char *const pairs[] = {"log.dirs=/tmp", NULL};
    struct rig *t = rig_new_with(64, pairs);
    struct kp_describe_log_dirs_request m;
    struct kp_describe_log_dirs_response out;
    int32_t parts[] = {2, 0, 2, 9};
    struct kp_describe_log_dirs_request_describable_log_dir_topic topics[] = {
        {.topic = KP_STR_LIT("a"), .partitions = parts, .partitions_n = 4},
        {.topic = KP_STR_LIT("no"), .partitions = parts, .partitions_n = 1}};
    rig_topic(t, "a", 3);
    rig_topic(t, "b", 1);
    rig_append(t, &t->topics[0], 2, 5);
    for (int16_t v = 1; v <= 5; v++) {
        kp_describe_log_dirs_request_init(&m);
        m.topics = NULL;
        m.topics_n = -1;
        ASK(t, v, describe_log_dirs, &m, &out);
        assert_int_equal(out.results_n, 1);
        assert_true(kp_str_eq(out.results[0].log_dir, KP_STR_LIT("/tmp")));
        assert_int_equal(out.results[0].topics_n, 2);
        assert_int_equal(out.results[0].topics[0].partitions_n, 3);
        assert_int_equal(out.results[0].total_bytes > 0, v >= 4);
        assert_true(out.results[0].usable_bytes <= out.results[0].total_bytes);
        m.topics = topics;
        m.topics_n = 2;
        ASK(t, v, describe_log_dirs, &m, &out);
        assert_int_equal(out.results[0].topics_n, 1);
        assert_int_equal(out.results[0].topics[0].partitions_n, 2); // once each
        assert_int_equal(out.results[0].topics[0].partitions[0].partition_index, 2);
        assert_int_equal(out.results[0].topics[0].partitions[0].partition_size,
                         (int64_t)rig_part(t, &t->topics[0].id, 2)->end * 10);
    }
    rig_quiet(t, 64);
    rig_free(t);
}

// Each directory with what lies in it; one that is offline with the error alone.
static void test_log_dirs_several(void **state)
{
    const char *const pairs[] = {"log.dirs=/tmp,/var,/usr", NULL};
    struct rig *t = rig_new_with(64, pairs);
    struct kp_describe_log_dirs_request m;
    struct kp_describe_log_dirs_response out;
    rig_topic(t, "a", 3);
    rig_part(t, &t->topics[0].id, 1)->dir = 1;
    t->dirs[2].online = false;
    kp_describe_log_dirs_request_init(&m);
    m.topics_n = -1;
    ASK(t, 4, describe_log_dirs, &m, &out);
    assert_int_equal(out.results_n, 3);
    assert_int_equal(out.results[0].topics[0].partitions_n, 2);
    assert_int_equal(out.results[1].topics[0].partitions_n, 1);
    assert_int_equal(out.results[1].topics[0].partitions[0].partition_index, 1);
    assert_true(kp_str_eq(out.results[1].log_dir, KP_STR_LIT("/var")) && out.results[1].total_bytes > 0);
    assert_int_equal(out.results[2].error_code, KERR_KAFKA_STORAGE_ERROR);
    assert_true(kp_str_eq(out.results[2].log_dir, KP_STR_LIT("/usr")));
    assert_int_equal(out.results[2].topics_n, 0);
    assert_int_equal(out.results[2].total_bytes, -1);
    t->dirs[1].data = false; // the metadata log's alone
    ASK(t, 4, describe_log_dirs, &m, &out);
    assert_int_equal(out.results_n, 2);
    rig_free(t);
}

// What lies in a directory that is offline has no leader, and says why.
static void test_offline_partition(void **state)
{
    const char *const pairs[] = {"log.dirs=/tmp,/var", NULL};
    struct rig *t = rig_new_with(64, pairs);
    struct kp_metadata_request m;
    struct kp_metadata_response out;
    rig_topic(t, "a", 2);
    t->broker.dirs = &t->dirs[0].id;
    t->broker.dirs_n = 1;
    t->mparts[0][0].directory = t->dirs[0].id;
    t->mparts[0][1].directory = t->dirs[1].id;
    t->mparts[0][1].leader = -1;
    kp_metadata_request_init(&m);
    m.topics_n = -1;
    ASK(t, 12, metadata, &m, &out);
    assert_int_equal(out.topics[0].partitions[0].offline_replicas_n, 0);
    assert_int_equal(out.topics[0].partitions[1].leader_id, -1);
    assert_int_equal(out.topics[0].partitions[1].error_code, KERR_LEADER_NOT_AVAILABLE);
    assert_int_equal(out.topics[0].partitions[1].offline_replicas_n, 1);
    assert_int_equal(out.topics[0].partitions[1].offline_replicas[0], RIG_NODE);
    rig_free(t);
}

static void test_move_several(void **state)
{
    const char *const pairs[] = {"log.dirs=/tmp,/var,/usr", NULL};
    struct rig *t = rig_new_with(64, pairs);
    struct kp_alter_replica_log_dirs_request m;
    struct kp_alter_replica_log_dirs_response out;
    int32_t part = 0;
    struct kp_alter_replica_log_dirs_request_alter_replica_log_dir_topic topic = {KP_STR_LIT("a"), &part, 1};
    struct kp_alter_replica_log_dirs_request_alter_replica_log_dir dirs[] = {
        {KP_STR_LIT("/tmp"), &topic, 1}, {KP_STR_LIT("/var"), &topic, 1}, {KP_STR_LIT("/usr"), &topic, 1}};
    rig_topic(t, "a", 1);
    t->mparts[0][0].directory = t->dirs[1].id;
    t->dirs[2].online = false;
    kp_alter_replica_log_dirs_request_init(&m);
    m.dirs = dirs;
    m.dirs_n = 3;
    ASK(t, 2, alter_replica_log_dirs, &m, &out);
    assert_int_equal(out.results[0].partitions[0].error_code, KERR_UNSUPPORTED_VERSION);
    assert_int_equal(out.results[0].partitions[1].error_code, KERR_NONE);
    assert_int_equal(out.results[0].partitions[2].error_code, KERR_KAFKA_STORAGE_ERROR);
    rig_free(t);
}

static void test_move(void **state)
{
    const char *const pairs[] = {"log.dirs=/tmp", NULL};
    struct rig *t = rig_new_with(64, pairs);
    struct kp_alter_replica_log_dirs_request m;
    struct kp_alter_replica_log_dirs_response out;
    int32_t parts[] = {0, 7};
    struct kp_alter_replica_log_dirs_request_alter_replica_log_dir_topic topic = {KP_STR_LIT("a"), parts, 2};
    struct kp_alter_replica_log_dirs_request_alter_replica_log_dir dirs[] = {
        {KP_STR_LIT("/tmp"), &topic, 1}, {KP_STR_LIT("/other"), &topic, 1}};
    rig_topic(t, "a", 1);
    for (int16_t v = 1; v <= 2; v++) {
        kp_alter_replica_log_dirs_request_init(&m);
        m.dirs = dirs;
        m.dirs_n = 2;
        ASK(t, v, alter_replica_log_dirs, &m, &out);
        assert_int_equal(out.results_n, 1);
        assert_int_equal(out.results[0].partitions_n, 4);
        assert_int_equal(out.results[0].partitions[0].error_code, KERR_NONE);
        assert_int_equal(out.results[0].partitions[1].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(out.results[0].partitions[2].error_code, KERR_LOG_DIR_NOT_FOUND);
    }
    rig_free(t);
}

static void test_elections(void **state)
{
    struct rig *t = rig_new();
    struct kp_elect_leaders_request m;
    struct kp_elect_leaders_response out;
    int32_t parts[] = {0, 1, 5};
    struct kp_elect_leaders_request_topic_partitions topic = {KP_STR_LIT("a"), parts, 3};
    rig_topic(t, "a", 2);
    t->mparts[0][1].leader = -1;
    for (int16_t v = 0; v <= 2; v++) {
        kp_elect_leaders_request_init(&m);
        m.topic_partitions = &topic;
        m.topic_partitions_n = 1;
        ASK(t, v, elect_leaders, &m, &out);
        assert_int_equal(out.replica_election_results[0].partition_result[0].error_code,
                         KERR_ELECTION_NOT_NEEDED);
        assert_int_equal(out.replica_election_results[0].partition_result[1].error_code,
                         KERR_PREFERRED_LEADER_NOT_AVAILABLE);
        assert_int_equal(out.replica_election_results[0].partition_result[2].error_code,
                         KERR_UNKNOWN_TOPIC_OR_PARTITION);
        m.topic_partitions_n = -1;
        m.topic_partitions = NULL;
        ASK(t, v, elect_leaders, &m, &out);
        assert_int_equal(out.replica_election_results_n, 1);
        assert_int_equal(out.replica_election_results[0].partition_result_n, 0);
    }
    m.election_type = 5;
    m.topic_partitions = &topic;
    m.topic_partitions_n = 1;
    ASK(t, 2, elect_leaders, &m, &out);
    assert_int_equal(out.error_code, KERR_INVALID_REQUEST);
    rig_free(t);
}

static int16_t reassign(struct rig *t, const char *topic, int32_t partition, int32_t *ids, int32_t n,
                        const char *why)
{
    struct kp_alter_partition_reassignments_request m;
    struct kp_alter_partition_reassignments_response out;
    struct kp_alter_partition_reassignments_request_reassignable_partition p = {partition, ids, n};
    struct kp_alter_partition_reassignments_request_reassignable_topic in = {kp_str_of(topic), &p, 1};
    kp_alter_partition_reassignments_request_init(&m);
    m.topics = &in;
    m.topics_n = 1;
    ASK(t, 1, alter_partition_reassignments, &m, &out);
    assert_true(kp_str_eq(out.responses[0].partitions[0].error_message, kp_str_of(why)));
    return out.responses[0].partitions[0].error_code;
}

static void test_reassignments(void **state)
{
    struct rig *t = rig_new();
    int32_t self[] = {RIG_NODE, RIG_NODE}, other[] = {RIG_NODE + 1};
    char text[128];
    rig_topic(t, "a", 1);
    assert_int_equal(reassign(t, "a", 0, NULL, -1, NULL), KERR_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(
        reassign(t, "a", 0, self, 0, "The manual partition assignment includes an empty replica list."),
        KERR_INVALID_REPLICA_ASSIGNMENT);
    snprintf(text, sizeof(text), "The manual partition assignment includes the broker %d more than once.",
             RIG_NODE);
    assert_int_equal(reassign(t, "a", 0, self, 2, text), KERR_INVALID_REPLICA_ASSIGNMENT);
    snprintf(text, sizeof(text),
             "The manual partition assignment includes broker %d, but no such broker is registered.",
             RIG_NODE + 1);
    assert_int_equal(reassign(t, "a", 0, other, 1, text), KERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign(t, "a", 4, self, 1, "Unable to find partition a:4."),
                     KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign(t, "b", 0, self, 1, "Unable to find a topic named b."),
                     KERR_UNKNOWN_TOPIC_OR_PARTITION);
    rig_free(t);
}

static void test_quorum(void **state)
{
    struct rig *t = rig_new();
    struct kp_describe_quorum_request m;
    struct kp_describe_quorum_response out;
    struct kp_describe_quorum_request_partition_data p = {0};
    struct kp_describe_quorum_request_topic_data topic = {KP_STR_LIT(META_TOPIC_NAME), &p, 1};
    t->img.offset = 41;
    t->img.controller_epoch = 6;
    t->img.kraft_version = 1;
    t->img.directory_id = sl_uuid_make(3, 4);
    for (int16_t v = 0; v <= 2; v++) {
        kp_describe_quorum_request_init(&m);
        m.topics = &topic;
        m.topics_n = 1;
        p.partition_index = 0;
        ASK(t, v, describe_quorum, &m, &out);
        assert_int_equal(out.topics[0].partitions[0].leader_id, RIG_NODE);
        assert_int_equal(out.topics[0].partitions[0].leader_epoch, 6);
        assert_int_equal(out.topics[0].partitions[0].high_watermark, 42);
        assert_int_equal(out.topics[0].partitions[0].current_voters_n, 1);
        assert_int_equal(out.nodes_n, v >= 2);
        assert_int_equal(sl_uuid_eq(&out.topics[0].partitions[0].current_voters[0].replica_directory_id,
                                    &t->img.directory_id),
                         v >= 2);
        p.partition_index = 1;
        ASK(t, v, describe_quorum, &m, &out);
        assert_int_equal(out.topics[0].partitions[0].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    rig_free(t);
}

static void test_producers(void **state)
{
    struct rig *t = rig_new();
    struct kp_describe_producers_request m;
    struct kp_describe_producers_response out;
    int32_t parts[] = {0, 2, 9};
    struct kp_describe_producers_request_topic_request topics[] = {{KP_STR_LIT("a"), parts, 3},
                                                                   {KP_STR_LIT("a/b"), parts, 1}};
    rig_topic(t, "a", 3);
    kp_describe_producers_request_init(&m);
    m.topics = topics;
    m.topics_n = 2;
    ASK(t, 0, describe_producers, &m, &out);
    assert_int_equal(out.topics[0].partitions[1].active_producers_n, 1);
    assert_int_equal(out.topics[0].partitions[1].active_producers[0].producer_id, 102);
    assert_int_equal(out.topics[0].partitions[1].active_producers[0].producer_epoch, 3);
    assert_int_equal(out.topics[0].partitions[2].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(out.topics[1].partitions[0].error_code, KERR_INVALID_TOPIC_EXCEPTION);
    rig_quiet(t, 1024);
    rig_free(t);
}

static void test_quotas(void **state)
{
    struct rig *t = rig_new();
    static const struct meta_quota quotas[] = {
        {.has = {true, true}, .names = {"u", "c"}, .set = 1u << META_QUOTA_PRODUCE, .values = {5}},
        {.has = {true}, .names = {NULL}, .set = 1u << META_QUOTA_CONSUME, .values = {0, 6}}};
    static const struct {
        struct kp_describe_client_quotas_request_component_data c;
        bool strict;
        int32_t n;
        int16_t error;
    } cases[] = {{{KP_STR_LIT("user"), 2, {NULL, -1}}, false, 2, 0},
                 {{KP_STR_LIT("user"), 2, {NULL, -1}}, true, 1, 0},
                 {{KP_STR_LIT("user"), 1, {NULL, -1}}, false, 1, 0},
                 {{KP_STR_LIT("user"), 0, {"u", 1}}, false, 1, 0},
                 {{KP_STR_LIT("client-id"), 0, {"x", 1}}, false, 0, 0},
                 {{KP_STR_LIT("group"), 0, {"x", 1}}, false, -1, KERR_UNSUPPORTED_VERSION},
                 {{KP_STR_LIT("user"), 0, {NULL, -1}}, false, -1, KERR_INVALID_REQUEST},
                 {{KP_STR_LIT("user"), 7, {NULL, -1}}, false, -1, KERR_INVALID_REQUEST}};
    t->img.quotas = quotas;
    t->img.quotas_n = 2;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++)
        for (int16_t v = 0; v <= 1; v++) {
            struct kp_describe_client_quotas_request m;
            struct kp_describe_client_quotas_response out;
            struct kp_describe_client_quotas_request_component_data c = cases[i].c;
            kp_describe_client_quotas_request_init(&m);
            m.components = &c;
            m.components_n = 1;
            m.strict = cases[i].strict;
            ASK(t, v, describe_client_quotas, &m, &out);
            assert_int_equal(out.entries_n, cases[i].n);
            assert_int_equal(out.error_code, cases[i].error);
        }
    rig_free(t);
}

static void test_alter_quotas(void **state)
{
    struct rig *t = rig_new();
    struct kp_alter_client_quotas_request m;
    struct kp_alter_client_quotas_response out;
    struct kp_alter_client_quotas_request_entity_data u = {KP_STR_LIT("user"), KP_STR_LIT("u")},
                                                      w = {KP_STR_LIT("user"), {NULL, -1}};
    struct kp_alter_client_quotas_request_op_data op = {.key = KP_STR_LIT("producer_byte_rate"), .value = 5};
    struct kp_alter_client_quotas_request_entry_data in[] = {
        {&u, 1, &op, 1}, {&w, 1, &op, 1}, {&u, 1, &op, 1}};
    for (int16_t v = 0; v <= 1; v++) {
        kp_alter_client_quotas_request_init(&m);
        m.entries = in;
        m.entries_n = 3;
        ASK(t, v, alter_client_quotas, &m, &out);
        assert_int_equal(out.entries_n, 2); // one of them came twice
        assert_int_equal(out.entries[0].error_code, KERR_INVALID_REQUEST);
        assert_int_equal(out.entries[1].error_code, KERR_NONE);
        assert_int_equal(out.entries[1].entity[0].entity_name.n, -1);
        assert_int_equal(t->altered, v + 1);
    }
    rig_free(t);
}

static void test_security(void **state)
{
    struct rig *t = rig_new();
    for (int16_t v = 1; v <= 3; v++) {
        struct kp_describe_acls_request d;
        struct kp_describe_acls_response out;
        struct kp_create_acls_request c;
        struct kp_create_acls_response created;
        struct kp_create_acls_request_acl_creation one;
        kp_describe_acls_request_init(&d);
        ASK(t, v, describe_acls, &d, &out);
        assert_int_equal(out.error_code, KERR_SECURITY_DISABLED);
        kp_create_acls_request_init(&c);
        kp_create_acls_request_acl_creation_init(&one);
        c.creations = &one;
        c.creations_n = 1;
        ASK(t, v, create_acls, &c, &created);
        assert_int_equal(created.results[0].error_code, KERR_SECURITY_DISABLED);
    }
    struct kp_describe_user_scram_credentials_request m;
    struct kp_describe_user_scram_credentials_response out;
    struct kp_describe_user_scram_credentials_request_user_name users[] = {
        {KP_STR_LIT("u")}, {KP_STR_LIT("w")}, {KP_STR_LIT("u")}};
    kp_describe_user_scram_credentials_request_init(&m);
    m.users = users;
    m.users_n = 3;
    ASK(t, 0, describe_user_scram_credentials, &m, &out);
    assert_int_equal(out.results_n, 2);
    assert_int_equal(out.results[0].error_code, KERR_DUPLICATE_RESOURCE);
    assert_int_equal(out.results[1].error_code, KERR_RESOURCE_NOT_FOUND);
    rig_free(t);
}

static void test_transactions(void **state)
{
    struct rig *t = rig_new();
    struct kp_list_transactions_request m;
    struct kp_list_transactions_response out;
    struct kp_str filters[] = {KP_STR_LIT("Ongoing"), KP_STR_LIT("Bogus")};
    for (int16_t v = 0; v <= 2; v++) {
        kp_list_transactions_request_init(&m);
        m.state_filters = filters;
        m.state_filters_n = 2;
        ASK(t, v, list_transactions, &m, &out);
        assert_int_equal(out.unknown_state_filters_n, 1);
    }
    m.transactional_id_pattern = KP_STR_LIT("(");
    ASK(t, 2, list_transactions, &m, &out);
    assert_int_equal(out.error_code, KERR_INVALID_REGULAR_EXPRESSION);
    struct kp_describe_transactions_request d;
    struct kp_describe_transactions_response described;
    kp_describe_transactions_request_init(&d);
    d.transactional_ids = filters;
    d.transactional_ids_n = 1;
    ASK(t, 0, describe_transactions, &d, &described);
    assert_int_equal(described.transaction_states[0].error_code, KERR_NOT_COORDINATOR);
    rig_free(t);
}

static void test_controller(void **state)
{
    struct rig *t = rig_new();
    struct kp_update_features_request m;
    struct kp_update_features_response out;
    struct kp_update_features_request_feature_update_key f;
    kp_update_features_request_feature_update_key_init(&f);
    f.feature = KP_STR_LIT("metadata.version");
    for (int16_t v = 0; v <= 2; v++) {
        t->controller_error = KERR_NONE;
        kp_update_features_request_init(&m);
        m.feature_updates = &f;
        m.feature_updates_n = 1;
        ASK(t, v, update_features, &m, &out);
        assert_int_equal(out.error_code, KERR_NONE);
        assert_int_equal(out.results_n, v < 2);
        t->controller_error = KERR_INVALID_UPDATE_VERSION;
        ASK(t, v, update_features, &m, &out);
        assert_int_equal(out.error_code, KERR_INVALID_UPDATE_VERSION);
        assert_int_equal(out.results_n, 0);
    }
    struct kp_unregister_broker_request u = {.broker_id = 9};
    struct kp_unregister_broker_response gone;
    t->controller_error = KERR_BROKER_ID_NOT_REGISTERED;
    ASK(t, 0, unregister_broker, &u, &gone);
    assert_int_equal(gone.error_code, KERR_BROKER_ID_NOT_REGISTERED);
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_dirs),
        cmocka_unit_test(test_log_dirs_several),
        cmocka_unit_test(test_offline_partition),
        cmocka_unit_test(test_move_several),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_elections),
        cmocka_unit_test(test_reassignments),
        cmocka_unit_test(test_quorum),
        cmocka_unit_test(test_producers),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_alter_quotas),
        cmocka_unit_test(test_security),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_controller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
