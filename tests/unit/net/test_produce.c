// Produce and ApiVersions: fields, refusals, order; what is expected was seen from upstream 4.3.1.
#include "net_test.h"

#include "engine/log/batch.h"

struct asked {
    const char *topic;
    int32_t partition;
    const uint8_t *records;
    int32_t n;
};
static uint8_t some[64];

// Sends one request whose partitions are given, each in a topic entry of its own unless `together`.
static void ask(struct client *c, int16_t version, int16_t acks, const char *txn, const struct asked *a,
                uint32_t n, bool together)
{
    struct kp_produce_request m;
    struct kp_produce_request_topic_produce_data t[16];
    struct kp_produce_request_partition_produce_data p[16];
    kp_produce_request_init(&m);
    for (uint32_t i = 0; i < SL_MAX(n, 1u); i++) {
        kp_produce_request_topic_produce_data_init(&t[i]);
        kp_produce_request_partition_produce_data_init(&p[i]);
        p[i].index = a[i].partition;
        p[i].records = (struct kp_records){.p = a[i].records, .n = a[i].n};
        t[i].name = kp_str_of(a[i].topic);
        const struct meta_topic *mt = meta_find_topic(&image, a[i].topic, strlen(a[i].topic));
        t[i].topic_id = mt ? mt->id : (struct sl_uuid){{9, 9}};
        t[i].partition_data = &p[i];
        t[i].partition_data_n = 1;
    }
    m.acks = acks;
    m.timeout_ms = 1000;
    m.transactional_id = kp_str_of(txn);
    m.topic_data = t;
    m.topic_data_n = (int32_t)n;
    if (together) {
        m.topic_data_n = 1;
        t[0].partition_data_n = (int32_t)n;
    }
    size_t len;
    uint8_t *f = FRAME_OF(0, version, (int32_t)c->next_corr++, &m, produce_request, &len);
    client_send(c, f, len);
    free(f);
    c->sent++;
}

static void answer(struct client *c, int16_t version, struct kp_produce_response *m, struct arena *a)
{
    uint32_t n;
    assert_true(client_wait(c, c->sent, SEC));
    const uint8_t *p = client_take(c, &n);
    uint32_t head = version >= 9 ? 5 : 4;
    assert_int_equal(kp_produce_response_decode(m, p + head, n - head, version, a), n - head);
}

static void one(struct client *c, int16_t version, int16_t acks, const char *txn, struct asked what,
                struct kp_produce_response_partition_produce_response *out, struct arena *a)
{
    struct kp_produce_response m;
    ask(c, version, acks, txn, &what, 1, false);
    answer(c, version, &m, a);
    assert_int_equal(m.responses_n, 1);
    assert_int_equal(m.responses[0].partition_responses_n, 1);
    assert_int_equal(m.throttle_time_ms, 0);
    *out = m.responses[0].partition_responses[0];
    assert_int_equal(out->index, what.partition);
}

static struct asked ours(const char *topic, int32_t partition, uint32_t seq)
{
    batch_fill(some, sizeof(some), 0, seq);
    return (struct asked){topic, partition, some, sizeof(some)};
}

static void every_version(void **state)
{
    struct rig g;
    struct arena a;
    struct kp_produce_response_partition_produce_response o;
    rig_up(&g, &(struct rig_opts){.seed = 1});
    arena_init(&a, 0);
    struct client *c = client_up(&g);
    for (int16_t v = 3; v <= 13; v++) {
        one(c, v, v % 2 ? 1 : -1, NULL, ours("logs", 1, (uint32_t)v), &o, &a);
        assert_int_equal(o.error_code, 0);
        assert_int_equal(o.base_offset, v);
        assert_int_equal(o.log_append_time_ms, -1);
        assert_int_equal(o.log_start_offset, v >= 5 ? 0 : -1);
        assert_int_equal(o.record_errors_n, 0);
        assert_true(o.error_message.n < 0);
        assert_int_equal(o.current_leader.leader_id, -1);
        assert_int_equal(g.last_append.acks, v % 2 ? 1 : -1);
        assert_int_equal(g.last_append.api_version, v);
        assert_int_equal(g.last_append.timeout_ms, 1000);
    }
    arena_free(&a);
    rig_down(&g);
}

static void refusals(void **state)
{
    struct rig g;
    struct arena a;
    struct kp_produce_response_partition_produce_response o;
    rig_up(&g, &(struct rig_opts){.seed = 2});
    arena_init(&a, 0);
    struct client *c = client_up(&g);
    static const struct {
        const char *topic;
        int32_t partition;
        int32_t bytes;
        int16_t version, acks, error;
    } rows[] = {
        {"logs", 0, 64, 9, 2, KERR_INVALID_REQUIRED_ACKS},
        {"logs", 9, 64, 9, 2, KERR_UNKNOWN_TOPIC_OR_PARTITION},
        {"nope", 0, 64, 9, -2, KERR_UNKNOWN_TOPIC_OR_PARTITION},
        {"logs", -1, 64, 12, 1, KERR_UNKNOWN_TOPIC_OR_PARTITION},
        {"nope", 0, 64, 13, 1, KERR_UNKNOWN_TOPIC_ID},
        {"logs", 4, 64, 13, 1, KERR_UNKNOWN_TOPIC_OR_PARTITION},
        {"logs", 0, -1, 9, 1, KERR_INVALID_RECORD},
        {"logs", 0, -1, 3, 1, KERR_INVALID_RECORD},
        {"__consumer_offsets", 0, 64, 9, -1, KERR_INVALID_TOPIC_EXCEPTION},
        {"", 0, 64, 9, -1, KERR_UNKNOWN_TOPIC_OR_PARTITION},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        struct asked what = ours(rows[i].topic, rows[i].partition, 1);
        what.n = rows[i].bytes;
        one(c, rows[i].version, rows[i].acks, NULL, what, &o, &a);
        assert_int_equal(o.error_code, rows[i].error);
        assert_int_equal(o.base_offset, -1);
        assert_int_equal(o.log_append_time_ms, -1);
        assert_int_equal(o.log_start_offset, -1);
        assert_true(o.error_message.n < 0);
    }
    assert_int_equal(g.appends, 0);
    arena_free(&a);
    rig_down(&g);
}

static void errors_of_the_shard(void **state)
{
    struct rig g;
    struct arena a;
    struct kp_produce_response_partition_produce_response o;
    rig_up(&g, &(struct rig_opts){.seed = 3});
    arena_init(&a, 0);
    struct client *c = client_up(&g);
    for (int16_t v = 3; v <= 13; v++) {
        g.append_error = KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        one(c, v, -1, NULL, ours("logs", 0, 2 * (uint32_t)v), &o, &a);
        assert_int_equal(o.error_code, KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_int_equal(o.base_offset, -1);
        assert_int_equal(o.log_start_offset, v >= 5 ? 0 : -1);
        g.append_error = KERR_CORRUPT_MESSAGE;
        one(c, v, -1, NULL, ours("logs", 1, (uint32_t)v), &o, &a);
        assert_int_equal(o.error_code, KERR_CORRUPT_MESSAGE);
        assert_int_equal(o.log_start_offset, -1);
        g.append_error = KERR_INVALID_TIMESTAMP; // of three records, and each is told
        one(c, v, -1, NULL, ours("logs", 0, 2 * (uint32_t)v + 1), &o, &a);
        assert_int_equal(o.error_code, KERR_INVALID_TIMESTAMP);
        assert_int_equal(o.record_errors_n, v >= 8 ? 3 : 0);
        for (int32_t i = 0; i < o.record_errors_n; i++)
            assert_int_equal(o.record_errors[i].batch_index, 2 * i);
        if (v >= 8) {
            assert_true(kp_str_eq(o.record_errors[0].batch_index_error_message, KP_STR_LIT("the first one")));
            assert_true(kp_str_eq(o.record_errors[1].batch_index_error_message,
                                  kp_str_of(validate_fault_text(VALIDATE_FAULT_NO_KEY))));
            assert_non_null(o.error_message.p);
        }
        g.append_error = KERR_NOT_LEADER_OR_FOLLOWER; // deposed meanwhile: the image says by whom
        one(c, v, -1, NULL, ours("logs", 2, (uint32_t)v), &o, &a);
        assert_int_equal(o.error_code, KERR_NOT_LEADER_OR_FOLLOWER);
        assert_int_equal(o.current_leader.leader_id, v >= 10 ? 1 : -1);
        assert_int_equal(o.current_leader.leader_epoch, v >= 10 ? 5 : -1);
    }
    arena_free(&a);
    rig_down(&g);
}

// KIP-951. Partition 3 is led by broker 2.
static void another_leader(void **state)
{
    struct rig g;
    struct arena a;
    rig_up(&g, &(struct rig_opts){.seed = 4});
    arena_init(&a, 0);
    struct client *c = client_up(&g);
    for (int16_t v = 3; v <= 13; v++) {
        struct kp_produce_response m;
        struct asked what[] = {ours("logs", 3, 1), ours("words", 3, 1), ours("words", 0, (uint32_t)v)};
        ask(c, v, 1, NULL, what, 3, false);
        answer(c, v, &m, &a);
        assert_int_equal(m.responses_n, 2);
        struct kp_produce_response_partition_produce_response *o = &m.responses[0].partition_responses[0];
        assert_int_equal(o->error_code, KERR_NOT_LEADER_OR_FOLLOWER);
        assert_int_equal(o->current_leader.leader_id, v >= 10 ? 2 : -1);
        assert_int_equal(o->current_leader.leader_epoch, v >= 10 ? 9 : -1);
        assert_int_equal(m.responses[1].partition_responses_n, 2);
        assert_int_equal(m.responses[1].partition_responses[1].error_code, 0);
        assert_int_equal(m.responses[1].partition_responses[1].base_offset, v);
        assert_int_equal(m.node_endpoints_n, v >= 10 ? 1 : 0);
        if (v < 10)
            continue;
        assert_int_equal(m.node_endpoints[0].node_id, 2);
        assert_int_equal(m.node_endpoints[0].port, 9093);
        assert_true(kp_str_eq(m.node_endpoints[0].host, KP_STR_LIT("two.example")));
        assert_true(kp_str_eq(m.node_endpoints[0].rack, KP_STR_LIT("r2")));
    }
    arena_free(&a);
    rig_down(&g);
}

// The last data of a partition counts, and it is answered once.
static void partitions_named_twice(void **state)
{
    for (int together = 0; together < 2; together++) {
        struct rig g;
        struct arena a;
        struct kp_produce_response m;
        uint8_t b[3][40];
        rig_up(&g, &(struct rig_opts){.seed = 5});
        arena_init(&a, 0);
        struct client *c = client_up(&g);
        batch_fill(b[0], 40, 0, 1);
        batch_fill(b[1], 40, 0, 2);
        batch_fill(b[2], 40, 0, 7);
        struct asked what[] = {{"logs", 2, b[0], 40}, {"logs", 1, b[1], 40}, {"logs", 2, b[2], 40}};
        ask(c, 9, -1, NULL, what, 3, together);
        answer(c, 9, &m, &a);
        assert_int_equal(m.responses_n, 1);
        assert_int_equal(m.responses[0].partition_responses_n, 2);
        assert_int_equal(m.responses[0].partition_responses[0].index, 2);
        assert_int_equal(m.responses[0].partition_responses[0].base_offset, 7);
        assert_int_equal(m.responses[0].partition_responses[1].index, 1);
        assert_int_equal(m.responses[0].partition_responses[1].base_offset, 2);
        arena_free(&a);
        rig_down(&g);
    }
}

static void nothing_asked(void **state)
{
    struct rig g;
    struct arena a;
    struct kp_produce_response m;
    rig_up(&g, &(struct rig_opts){.seed = 6});
    arena_init(&a, 0);
    struct client *c = client_up(&g);
    struct asked what = ours("logs", 0, 1);
    ask(c, 9, -1, NULL, &what, 0, false); // no topics
    answer(c, 9, &m, &a);
    assert_int_equal(m.responses_n, 0);
    ask(c, 9, -1, NULL, &what, 0, true); // a topic without partitions
    answer(c, 9, &m, &a);
    assert_int_equal(m.responses_n, 0);
    arena_free(&a);
    rig_down(&g);
}

static void transactional_batches(void **state)
{
    struct rig g;
    struct arena a;
    uint8_t b[BATCH_HEADER_SIZE + 10] = {0};
    struct kp_produce_response m;
    struct kp_produce_response_partition_produce_response o;
    rig_up(&g, &(struct rig_opts){.seed = 7});
    arena_init(&a, 0);
    struct client *c = client_up(&g);
    b[BATCH_MAGIC] = 2;
    be16_store(b + BATCH_ATTRIBUTES, BATCH_ATTR_TRANSACTIONAL);
    struct asked what[] = {ours("logs", 0, 1), {"words", 0, b, sizeof(b)}};
    // Without an id nothing of the request is appended.
    ask(c, 9, -1, NULL, what, 2, false);
    answer(c, 9, &m, &a);
    for (int i = 0; i < 2; i++)
        assert_int_equal(m.responses[i].partition_responses[0].error_code,
                         KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_int_equal(g.appends, 0);
    one(c, 9, -1, "tx", what[1], &o, &a);
    assert_int_equal(o.error_code, KERR_INVALID_TXN_STATE);
    one(c, 9, -1, "tx", ours("logs", 0, 2), &o, &a); // a plain batch with an id
    assert_int_equal(o.error_code, 0);
    arena_free(&a);
    rig_down(&g);
}

static void without_acks(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 8});
    struct client *c = client_up(&g);
    client_produce(c, 0, 0, 100);
    client_produce(c, -1, 0, 100);
    client_produce(c, 0, 1, 100);
    client_produce(c, 1, 1, 100);
    assert_true(client_wait(c, 2, SEC));
    assert_int_equal(client_take_corr(c), 1);
    assert_int_equal(client_take_corr(c), 3);
    assert_int_equal(g.appends, 4);
    // A failure closes the connection, after what was asked before was answered; later requests are not
    // answered.
    g.delay_min = g.delay_max = 10 * MSEC;
    client_produce(c, -1, 0, 100);
    client_produce(c, 0, 3, 100); // led by another broker
    client_produce(c, -1, 0, 100);
    assert_true(client_wait_end(c, SEC));
    assert_int_equal(c->frames, 3);
    rig_down(&g);
}

// Shards answer in any order; the client sees its own. What comes behind a Produce waits for its answer.
static void pipelined(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 9, .credits = 4});
    g.delay_max = 5 * MSEC;
    struct client *c = client_up(&g);
    g.hold = true;
    for (int i = 0; i < 30; i++)
        client_produce(c, -1, i % 3, 500);
    client_ask_versions(c);
    sim_run(g.w, SEC, NULL, NULL);
    assert_int_equal(g.appends, 8); // as many as there are credits towards two shards
    assert_int_equal(c->frames, 0);
    rig_release(&g);
    assert_true(client_wait(c, 31, 10 * SEC));
    client_check_order(c, 0);
    rig_down(&g);
}

// ---- ApiVersions ---------------------------------------------------------------------------------------------------
static void versions(void **state)
{
    struct rig g;
    struct arena a;
    rig_up(&g, &(struct rig_opts){.seed = 10});
    arena_init(&a, 0);
    struct client *c = client_up(&g);
    for (int16_t v = 0; v <= 4; v++) {
        size_t len;
        uint32_t n, all;
        struct kp_api_versions_response m;
        uint8_t *f = frame_api_versions(v, 1, &len);
        client_send(c, f, len);
        free(f);
        assert_true(client_wait(c, (uint32_t)v + 1, SEC));
        const uint8_t *p = client_take(c, &n);
        assert_int_equal(kp_api_versions_response_decode(&m, p + 4, n - 4, v, &a), n - 4);
        assert_int_equal(m.error_code, 0);
        api_all(&all);
        assert_int_equal(m.api_keys_n, all);
        assert_int_equal(m.api_keys[0].api_key, 0);
        assert_int_equal(m.api_keys[0].min_version, 0); // served from 3
        assert_int_equal(m.api_keys[0].max_version, 13);
        for (uint32_t i = 1; i < all; i++) {
            const struct kp_api *k = kp_api_find(m.api_keys[i].api_key);
            assert_true(m.api_keys[i].api_key > m.api_keys[i - 1].api_key);
            assert_int_equal(m.api_keys[i].min_version, k->min);
            assert_int_equal(m.api_keys[i].max_version, k->max);
        }
        // Features whose minimum is 0 are not for old clients.
        assert_int_equal(m.supported_features_n, v < 3 ? 0 : v < 4 ? 1 : 2);
        assert_int_equal(m.finalized_features_n, v < 3 ? 0 : 2);
        assert_int_equal(m.finalized_features_epoch, v < 3 ? -1 : 77);
        if (v == 3)
            assert_true(kp_str_eq(m.supported_features[0].name, KP_STR_LIT("metadata.version")));
    }
    arena_free(&a);
    rig_down(&g);
}

static void versions_of_the_future(void **state)
{
    static const int16_t vs[] = {5, 99, 32767, -1};
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 11});
    struct client *c = client_up(&g);
    for (uint32_t i = 0; i < SL_ARRAY_LEN(vs); i++) {
        uint8_t f[16] = {0, 0, 0,    12,   0,    18,  (uint8_t)(vs[i] >> 8), (uint8_t)vs[i], 0, 0,
                         0, 7, 0xff, 0xff, 0xff, 0xff};
        static const uint8_t want[] = {0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4};
        uint32_t n;
        client_send(c, f, sizeof(f));
        assert_true(client_wait(c, i + 1, SEC));
        const uint8_t *p = client_take(c, &n);
        assert_int_equal(n, sizeof(want));
        assert_memory_equal(p, want, n);
    }
    rig_down(&g);
}

static void software_names(void **state)
{
    static const struct {
        const char *name, *version;
        bool good;
    } rows[] = {{"a", "1", true},    {"a-b.c", "1.2-x", true}, {"", "1", false},   {"a", "", false},
                {"a b", "1", false}, {"-a", "1", false},       {"a.", "1", false}, {"a", "1!", false}};
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 12});
    struct client *c = client_up(&g);
    for (uint32_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        struct kp_api_versions_request m;
        size_t len;
        uint32_t n;
        kp_api_versions_request_init(&m);
        m.client_software_name = kp_str_of(rows[i].name);
        m.client_software_version = kp_str_of(rows[i].version);
        uint8_t *f = FRAME_OF(18, 3, 1, &m, api_versions_request, &len);
        client_send(c, f, len);
        free(f);
        assert_true(client_wait(c, i + 1, SEC));
        const uint8_t *p = client_take(c, &n);
        static const uint8_t bad[] = {0, 0, 0, 1, 0, 42, 1, 0, 0, 0, 0, 0};
        if (rows[i].good)
            assert_int_equal(be16_load(p + 4), 0);
        else
            assert_true(n == sizeof(bad) && !memcmp(p, bad, n));
    }
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version),
        cmocka_unit_test(refusals),
        cmocka_unit_test(errors_of_the_shard),
        cmocka_unit_test(another_leader),
        cmocka_unit_test(partitions_named_twice),
        cmocka_unit_test(nothing_asked),
        cmocka_unit_test(transactional_batches),
        cmocka_unit_test(without_acks),
        cmocka_unit_test(pipelined),
        cmocka_unit_test(versions),
        cmocka_unit_test(versions_of_the_future),
        cmocka_unit_test(software_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
