// Offsets: commits, limits, deletion, expiry, transactions in a log that upstream wrote; which partition a group is in.
#include "coord_test.h"

#include "engine/coord/coord.h"

enum { MIN_MS = 60 * 1000, DAY_MS = 24 * 60 * MIN_MS };

// ---- where a group lives ---------------------------------------------------------------------------------------------
// Known answers of Java's Math.abs("...".hashCode()) % 50; "polygenelubricants" hashes to the least int.
static void partition_of(void **s)
{
    static const struct {
        const char *id;
        int32_t p;
    } known[] = {{"", 0}, {"a", 47}, {"group", 47}, {"polygenelubricants", 0}, {"console-consumer-1", -1}};
    uint32_t h = 0;
    for (const char *p = "console-consumer-1"; *p; p++)
        h = h * 31 + (uint8_t)*p;
    int32_t v = (int32_t)h;
    int32_t expect = (v < 0 ? -v : v) % 50;
    for (size_t i = 0; i < SL_ARRAY_LEN(known); i++)
        assert_int_equal(coord_partition_of(known[i].id, strlen(known[i].id), 50),
                         known[i].p < 0 ? expect : known[i].p);
    // "é" is one UTF-16 unit (233), U+1F600 two (55357, 56832).
    assert_int_equal(coord_partition_of("\xc3\xa9", 2, 1000), 233);
    assert_int_equal(coord_partition_of("\xf0\x9f\x98\x80", 4, 1 << 30), (55357 * 31 + 56832) % (1 << 30));
    // Bytes that are not UTF-8, and a sequence that is cut short, are within bounds.
    coord_partition_of("\xf0\x9f", 2, 50);
    coord_partition_of("\xff\xfe\x80", 3, 50);
}

// ---- commit and fetch ------------------------------------------------------------------------------------------------------
static void values(void **s)
{
    struct t_group *t = t_new();
    struct t_commit c = {.generation = -1, .offset = 7, .metadata = "note", .partition = 3, .topic = "x"};
    assert_int_equal(t_commit_with(t, "g", c), 0);
    assert_int_equal(t_offset(t, "g", "x", 3), 7);
    assert_int_equal(t_offset(t, "g", "x", 2), -1);
    assert_int_equal(t_offset(t, "h", "x", 3), -1);
    c.offset = 9;
    c.metadata = NULL;
    assert_int_equal(t_commit_with(t, "g", c), 0);
    t_restart(t);
    assert_int_equal(t_offset(t, "g", "x", 3), 9);
    assert_int_equal(t_fetch_one(t, "g", "x", 3, false).metadata.n, 0);
    assert_string_equal(t_state(t, "g"), "Empty");
    t_free(t);
}

static void metadata_limit(void **s)
{
    struct t_group *t = t_new_with("offset.metadata.max.bytes", "4");
    assert_int_equal(t_commit_with(t, "g", (struct t_commit){.generation = -1, .metadata = "12345"}),
                     KERR_OFFSET_METADATA_TOO_LARGE);
    assert_int_equal(t_offset(t, "g", "t", 0), -1);
    // Upstream counts Java's chars.
    assert_int_equal(
        t_commit_with(t, "g", (struct t_commit){.generation = -1, .metadata = "\xc3\xa9\xc3\xa9\xc3\xa9"}),
        0);
    assert_int_equal(
        t_commit_with(t, "g",
                      (struct t_commit){.generation = -1, .metadata = "\xf0\x9f\x98\x80\xf0\x9f\x98\x80z"}),
        KERR_OFFSET_METADATA_TOO_LARGE);
    t_free(t);
}

static struct coord_req *delete_offset(struct t_group *t, const char *group, const char *topic)
{
    struct kp_offset_delete_request *m = t_own(t, sizeof(*m));
    kp_offset_delete_request_init(m);
    m->group_id = kp_str_of(group);
    m->topics = t_own(t, sizeof(*m->topics));
    m->topics_n = 1;
    m->topics[0].name = kp_str_of(topic);
    m->topics[0].partitions = t_own(t, sizeof(*m->topics[0].partitions));
    m->topics[0].partitions_n = 1;
    return t_ask(t, 47, 0, group, m);
}

static int16_t deleted(const struct coord_req *q)
{
    return q->error ? q->error
                    : ((const struct kp_offset_delete_response *)q->out)->topics[0].partitions[0].error_code;
}

static void offset_delete(void **s)
{
    struct t_group *t = t_new();
    static const char subscription[] = "\0\0\0\0\0\1\0\1t\0\0\0\0";
    assert_int_equal(deleted(delete_offset(t, "none", "t")), KERR_GROUP_ID_NOT_FOUND);
    // A member whose subscription (version 0: topics, user data) names "t".
    struct kp_join_group_request m;
    kp_join_group_request_init(&m);
    struct kp_join_group_request_join_group_request_protocol p = {
        KP_STR_LIT("range"), {(const uint8_t *)subscription, sizeof(subscription) - 1}};
    m.group_id = KP_STR_LIT("g");
    m.session_timeout_ms = m.rebalance_timeout_ms = 10000;
    m.member_id = KP_STR_LIT("");
    m.protocol_type = KP_STR_LIT("consumer");
    m.protocols = &p;
    m.protocols_n = 1;
    struct coord_req *j = t_ask(t, 11, 3, "g", &m);
    t_pass(t, 5000);
    char *id = t_text(t, t_joined(j)->member_id);
    t_sync(t, "g", id, 1, (const char *[]){id}, (const char *[]){"A"}, 1);
    assert_int_equal(t_commit(t, "g", id, 1, 5), 0);
    assert_int_equal(t_commit_with(t, "g", (struct t_commit){.member = id, .generation = 1, .topic = "u"}),
                     0);
    assert_int_equal(deleted(delete_offset(t, "g", "t")), KERR_GROUP_SUBSCRIBED_TO_TOPIC);
    assert_int_equal(deleted(delete_offset(t, "g", "u")), 0);
    assert_int_equal(t_offset(t, "g", "u", 0), -1);
    assert_int_equal(t_offset(t, "g", "t", 0), 5);
    t_restart(t);
    assert_int_equal(t_offset(t, "g", "u", 0), -1);
    assert_int_equal(t_offset(t, "g", "t", 0), 5);
    assert_int_equal(deleted(delete_offset(t, "g", "t")), KERR_GROUP_SUBSCRIBED_TO_TOPIC);
    t_free(t);
}

// A group stays without its last offset, as upstream's does, until the next sweep.
static void last_offset_deleted(void **s)
{
    struct t_group *t = t_new_with("offsets.retention.check.interval.ms", "1000");
    assert_int_equal(t_commit(t, "g", "", -1, 5), 0);
    assert_int_equal(deleted(delete_offset(t, "g", "t")), 0);
    assert_int_equal(deleted(delete_offset(t, "g", "t")), 0);
    assert_int_equal(t_ask(t, 42, 2, "g", NULL)->error, 0);
    assert_int_equal(t_ask(t, 42, 2, "g", NULL)->error, KERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(t_commit(t, "g", "", -1, 5), 0);
    assert_int_equal(deleted(delete_offset(t, "g", "t")), 0);
    t_pass(t, 3000);
    assert_int_equal(t_ask(t, 42, 2, "g", NULL)->error, KERR_GROUP_ID_NOT_FOUND);
    t_free(t);
}

static void delete_group(void **s)
{
    struct t_group *t = t_new();
    struct t_pair p = t_pair_up(t, "g");
    assert_int_equal(t_commit(t, "g", p.a, 1, 5), 0);
    assert_int_equal(t_ask(t, 42, 2, "none", NULL)->error, KERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(t_ask(t, 42, 2, "g", NULL)->error, KERR_NON_EMPTY_GROUP);
    t_leave(t, "g", p.a, NULL);
    t_leave(t, "g", p.b, NULL);
    assert_int_equal(t_ask(t, 42, 2, "g", NULL)->error, 0);
    assert_string_equal(t_state(t, "g"), "Dead");
    assert_int_equal(t_offset(t, "g", "t", 0), -1);
    t_restart(t);
    assert_string_equal(t_state(t, "g"), "Dead");
    assert_int_equal(t_offset(t, "g", "t", 0), -1);
    t_free(t);
}

// ---- expiry ------------------------------------------------------------------------------------------------------------------
static void expiry(void **s)
{
    struct t_group *t = t_new();
    assert_int_equal(t_commit(t, "simple", "", -1, 5), 0);
    assert_int_equal(
        t_commit_with(t, "own",
                      (struct t_commit){.generation = -1, .offset = 1, .retention = DAY_MS, .version = 4}),
        0);
    struct t_pair p = t_pair_up(t, "g");
    assert_int_equal(t_commit(t, "g", p.a, 1, 6), 0);
    t_leave(t, "g", p.a, NULL);
    t_leave(t, "g", p.b, NULL); // empty from now on
    t_pass(t, DAY_MS - MIN_MS);
    assert_int_equal(t_offset(t, "own", "t", 0), 1);
    t_restart(t);
    t_pass(t, 20 * MIN_MS);
    assert_int_equal(t_offset(t, "own", "t", 0), -1); // its own retention
    assert_string_equal(t_state(t, "own"), "Dead");
    assert_int_equal(t_offset(t, "g", "t", 0), 6);
    t_pass(t, 6 * (int64_t)DAY_MS - 60 * MIN_MS);
    assert_int_equal(t_offset(t, "g", "t", 0), 6);
    assert_int_equal(t_offset(t, "simple", "t", 0), 5);
    t_pass(t, 61 * MIN_MS); // 7 days
    assert_int_equal(t_offset(t, "simple", "t", 0), -1);
    assert_int_equal(t_offset(t, "g", "t", 0), -1);
    assert_string_equal(t_state(t, "g"), "Dead");
    t_restart(t);
    assert_int_equal(t_offset(t, "g", "t", 0), -1);
    assert_string_equal(t_state(t, "g"), "Dead");
    t_free(t);
}

static void a_sweep_meets_many(void **s)
{
    struct t_group *t = t_new();
    char names[100][16];
    for (int i = 0; i < 100; i++) { // more than one step
        snprintf(names[i], sizeof(names[i]), "g%d", i);
        assert_int_equal(
            t_commit_with(t, names[i],
                          (struct t_commit){.generation = -1, .retention = MIN_MS, .version = 4}),
            0);
    }
    t_pass(t, 11 * MIN_MS);
    assert_null(t->gs->table);
    assert_int_equal(t->log_n, 300); // a commit; its tombstone and the group's
    t_free(t);
}

static void deleted_topic(void **s)
{
    struct t_group *t = t_new();
    assert_int_equal(t_commit(t, "g", "", -1, 5), 0);
    t_begin(t);
    groups_ops.image(t->gs);
    t_end(t);
    assert_int_equal(t_offset(t, "g", "t", 0), 5);
    t->topic_parts = 0;
    t_begin(t);
    groups_ops.image(t->gs);
    t_end(t);
    assert_int_equal(t_offset(t, "g", "t", 0), -1);
    t->topic_parts = 4;
    t_restart(t);
    assert_int_equal(t_offset(t, "g", "t", 0), -1);
    // A topic that no image has shown yet does not cost an offset.
    t->topic_parts = 0;
    assert_int_equal(t_commit(t, "g", "", -1, 6), 0);
    t_begin(t);
    groups_ops.image(t->gs);
    t_end(t);
    assert_int_equal(t_offset(t, "g", "t", 0), 6);
    t_free(t);
}

// ---- transactions ------------------------------------------------------------------------------------------------------------
static void txn_commit(struct t_group *t, int64_t pid, int64_t offset)
{
    struct kp_offset_commit_key k = {KP_STR_LIT("g"), KP_STR_LIT("t"), 0};
    struct kp_offset_commit_value v;
    kp_offset_commit_value_init(&v);
    v.offset = offset;
    v.metadata = KP_STR_LIT("");
    t_begin(t);
    assert_int_equal(coord_emit(&t->x, NULL, GREC_OFFSET_COMMIT, &k, 3, &v), 0);
    t->x.sink.v[0].producer_id = pid;
    assert_int_equal(groups_ops.replay(t->gs, &t->x.sink.v[0]), 0);
    coord_emit_undo(&t->x);
}

static void transactions(void **s)
{
    struct t_group *t = t_new();
    assert_int_equal(t_commit(t, "g", "", -1, 5), 0);
    txn_commit(t, 10, 7);
    txn_commit(t, 11, 8);
    assert_int_equal(t_offset(t, "g", "t", 0), 5);
    assert_int_equal(t_fetch_one(t, "g", "t", 0, true).error_code, KERR_UNSTABLE_OFFSET_COMMIT);
    groups_ops.replay_end(t->gs, 10, true);
    assert_int_equal(t_offset(t, "g", "t", 0), 7);
    assert_int_equal(t_fetch_one(t, "g", "t", 0, true).error_code, KERR_UNSTABLE_OFFSET_COMMIT);
    groups_ops.replay_end(t->gs, 11, false);
    assert_int_equal(t_fetch_one(t, "g", "t", 0, true).committed_offset, 7);
    // A commit outside that came later than the transaction's stands.
    txn_commit(t, 12, 20);
    assert_int_equal(t_commit(t, "g", "", -1, 9), 0);
    groups_ops.replay_end(t->gs, 12, true);
    assert_int_equal(t_offset(t, "g", "t", 0), 9);
    // Deleting takes pending ones along.
    txn_commit(t, 13, 30);
    assert_int_equal(t_ask(t, 42, 2, "g", NULL)->error, 0);
    groups_ops.replay_end(t->gs, 13, true);
    assert_int_equal(t_offset(t, "g", "t", 0), -1);
    t_free(t);
}

// ---- hostile records ---------------------------------------------------------------------------------------------------------
static void broken_records(void **s)
{
    struct t_group *t = t_new();
    static const uint8_t bytes[] = "\0\1\0\1g\0\1t\0\0\0\0";
    uint8_t junk[64];
    t_begin(t);
    for (int32_t n = 0; n < (int32_t)sizeof(bytes) - 1; n++) {
        struct coord_record r = {.key = {bytes, n}, .value = KP_BYTES_NULL, .producer_id = -1};
        assert_int_equal(groups_ops.replay(t->gs, &r), -EBADMSG);
    }
    for (int i = 0; i < 20000; i++) {
        int32_t n = 2 + (int32_t)sl_rand_below(&t->rand, 60);
        sl_rand_bytes(&t->rand, junk, sizeof(junk));
        junk[0] = 0;
        junk[1] = (uint8_t)sl_rand_below(&t->rand, 4);
        struct coord_record r = {.key = {i % 2 ? junk : bytes, i % 2 ? n : (int32_t)sizeof(bytes) - 1},
                                 .value = {junk, n},
                                 .producer_id = -1};
        (void)groups_ops.replay(t->gs, &r); // whatever it is: no crash, no leak
    }
    t_end(t);
    t_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partition_of),        cmocka_unit_test(values),
        cmocka_unit_test(metadata_limit),      cmocka_unit_test(offset_delete),
        cmocka_unit_test(delete_group),        cmocka_unit_test(expiry),
        cmocka_unit_test(a_sweep_meets_many),  cmocka_unit_test(deleted_topic),
        cmocka_unit_test(transactions),        cmocka_unit_test(broken_records),
        cmocka_unit_test(last_offset_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
