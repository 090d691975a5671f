// The controller with real shards in the simulated world: requests, and lives one after another.
#include "rig.h"

// ---- creating, adding, deleting ---------------------------------------------------------------------------
static void script_topics(struct rig *r, void *arg)
{
    struct meta_create_topic t;
    struct log_ends e;
    assert_int_equal(rig_create(r, "orders", 7, &t), KERR_NONE);
    assert_int_equal(t.out_partitions, 7);
    for (uint32_t i = 0; i < RIG_REACTORS; i++) { // every reactor sees it when the answer is there
        const struct meta_topic *x = rig_find(r, i, "orders");
        assert_non_null(x);
        assert_ptr_equal(x, meta_find_topic_id(meta_image_get(reactor_group_get(r->g, i)), &t.id));
        assert_int_equal(x->partitions_n, 7);
        assert_int_equal(x->partitions[6].leader, 1);
        assert_int_equal(x->partitions[6].leader_epoch, 0);
    }
    for (int32_t p = 0; p < 7; p++)
        assert_int_equal(rig_describe(r, &t.id, p, &e), KERR_NONE);
    assert_int_equal(rig_create(r, "orders", 1, NULL), KERR_TOPIC_ALREADY_EXISTS);

    struct meta_grow_topic g = {.name = "orders", .name_len = 6, .count = 9};
    struct meta_grow grow = {.topics = &g, .n = 1};
    rig_ask(r, META_CREATE_PARTITIONS, &grow);
    assert_int_equal(g.error, KERR_NONE);
    assert_int_equal(rig_find(r, 2, "orders")->partitions_n, 9);
    assert_int_equal(rig_describe(r, &t.id, 8, &e), KERR_NONE);

    assert_int_equal(rig_delete(r, "orders"), KERR_NONE);
    for (uint32_t i = 0; i < RIG_REACTORS; i++)
        assert_null(rig_find(r, i, "orders"));
    for (int32_t p = 0; p < 9; p++)
        assert_int_equal(rig_describe(r, &t.id, p, &e), KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(rig_delete(r, "orders"), KERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(rig_create(r, "orders", 2, &t), KERR_NONE);
}

static void test_topics(void **state)
{
    struct rig r;
    rig_new(&r, 1);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_topics, NULL);
    rig_stop(&r);
    rig_end(&r);
}

// ---- lives ------------------------------------------------------------------------------------------------
struct seen {
    struct sl_uuid id;
    int32_t epoch;
    int64_t broker_epoch, pid;
};

static void script_first(struct rig *r, void *arg)
{
    struct seen *s = arg;
    struct meta_create_topic t;
    struct meta_pids p = {0};
    assert_int_equal(rig_create(r, "kept", 3, &t), KERR_NONE);
    s->id = t.id;
    rig_ask(r, META_ALLOC_PIDS, &p);
    assert_int_equal(p.error, KERR_NONE);
    assert_int_equal(p.count, 1000);
    s->pid = p.first;
    s->broker_epoch = meta_broker_epoch(r->meta);
}

static void script_next(struct rig *r, void *arg)
{
    struct seen *s = arg;
    struct log_ends e;
    struct meta_pids p = {0};
    const struct meta_topic *t = rig_find(r, 1, "kept");
    assert_non_null(t);
    assert_true(sl_uuid_eq(&t->id, &s->id));
    assert_int_equal(t->partitions[2].leader_epoch, s->epoch + 1);
    s->epoch++;
    struct sl_uuid id = t->id;
    assert_int_equal(rig_describe(r, &id, 2, &e), KERR_NONE);
    assert_int_equal(e.leader_epoch, s->epoch); // the shard appends under the new epoch
    rig_ask(r, META_ALLOC_PIDS, &p);
    assert_int_equal(p.error, KERR_NONE);
    assert_true(p.first >= s->pid + 1000);
    s->pid = p.first;
    assert_true(meta_broker_epoch(r->meta) > s->broker_epoch);
    s->broker_epoch = meta_broker_epoch(r->meta);
    const struct meta_broker *b = meta_find_broker(meta_image_get(reactor_group_get(r->g, 1)), 1);
    assert_non_null(b);
    assert_false(b->fenced);
    assert_int_equal(b->epoch, s->broker_epoch);
    assert_int_equal(b->endpoints[0].port, 9092);
}

static void test_lives(void **state)
{
    struct rig r;
    struct seen s = {0};
    rig_new(&r, 2);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_first, &s);
    for (uint32_t i = 0; i < 6; i++) {
        if (i % 3 == 0)
            rig_stop(&r);
        else
            rig_kill(&r, i % 3 == 1);
        assert_int_equal(rig_start(&r), 0);
        rig_do(&r, script_next, &s);
    }
    rig_stop(&r);
    rig_end(&r);
}

// ---- many partitions --------------------------------------------------------------------------------------
static void script_many(struct rig *r, void *arg)
{
    assert_int_equal(rig_create(r, "many", 2000, NULL),
                     KERR_NONE); // more than one batch: a metadata transaction
    assert_int_equal(rig_find(r, 1, "many")->partitions_n, 2000);
    for (uint32_t i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m-%02u", 59 - i);
        assert_int_equal(rig_create(r, name, 1, NULL), KERR_NONE);
    }
    const struct meta_image *img = meta_image_get(reactor_group_get(r->g, 0));
    for (uint32_t i = 1; i < img->topics_n; i++)
        assert_true(strcmp(img->topics[i - 1]->name, img->topics[i]->name) < 0);
}

static void script_many_after(struct rig *r, void *arg)
{
    const struct meta_topic *t = rig_find(r, 2, "many");
    assert_non_null(t);
    assert_int_equal(t->partitions_n, 2000);
    for (uint32_t p = 0; p < 2000; p++)
        assert_int_equal(t->partitions[p].leader_epoch, 1);
    assert_int_equal(meta_image_get(reactor_group_get(r->g, 0))->topics_n, 61);
}

static void test_many(void **state)
{
    struct rig r;
    rig_new(&r, 5);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_many, NULL);
    rig_kill(&r, true);
    if (rig_start(&r))
        fail_msg("%s", r.err);
    rig_do(&r, script_many_after, NULL);
    rig_stop(&r);
    rig_end(&r);
}

// ---- a full disk --------------------------------------------------------------------------------------------
static void all_open(struct rig *r)
{
    const struct meta_image *img = meta_image_get(reactor_group_get(r->g, 0));
    uint32_t topics = img->topics_n;
    for (uint32_t i = 0; i < topics; i++) {
        struct log_ends e;
        img = meta_image_get(reactor_group_get(r->g, 0));
        struct sl_uuid id = img->topics[i]->id;
        uint32_t n = img->topics[i]->partitions_n;
        for (uint32_t p = 0; p < n; p++)
            assert_int_equal(rig_describe(r, &id, (int32_t)p, &e), KERR_NONE);
    }
}

// Partitions that cannot be opened for lack of space open by themselves once there is some, and so does the controller's
// own log go on, even if it was refused in the middle of a metadata transaction.
static void script_full(struct rig *r, void *arg)
{
    struct log_ends e;
    struct meta_create_topic t;
    char name[16];
    sim_disk_set_capacity(r->h, sim_disk_used(r->h));
    assert_int_equal(rig_create(r, "late", 4, &t), KERR_KAFKA_STORAGE_ERROR);
    struct sl_uuid late = t.id;
    assert_int_equal(rig_describe(r, &late, 0, &e), KERR_UNKNOWN_TOPIC_OR_PARTITION);
    sim_disk_set_capacity(r->h, 0);
    fiber_sleep(6 * RIG_SEC);
    for (int32_t p = 0; p < 4; p++)
        assert_int_equal(rig_describe(r, &late, p, &e), KERR_NONE);
    sim_disk_set_capacity(r->h, sim_disk_used(r->h) + (64 << 10));
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 8; i++) { // records of several batches each
        snprintf(name, sizeof(name), "wide%u", i);
        refused += rig_create(r, name, 900, NULL) != KERR_NONE;
    }
    assert_true(refused > 4);
    assert_int_equal(rig_delete(r, "late"), KERR_NONE);
    sim_disk_set_capacity(r->h, 0);
    fiber_sleep(20 * RIG_SEC);
    assert_int_equal(rig_create(r, "after", 3, &t), KERR_NONE);
    all_open(r);
}

static void script_after_full(struct rig *r, void *arg)
{
    assert_non_null(rig_find(r, 1, "after"));
    assert_null(rig_find(r, 1, "late"));
    all_open(r);
}

static void test_full_disk(void **state)
{
    struct rig r;
    rig_new(&r, 7);
    assert_int_equal(rig_start(&r), 0);
    rig_launch(&r, script_full, NULL);
    if (!sim_run(r.w, 600 * RIG_SEC, rig_is, &r.script_done))
        fail_msg("a full disk leaves requests without an answer");
    rig_stop(&r);
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_after_full, NULL);
    rig_stop(&r);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_lives),
        cmocka_unit_test(test_many),
    };
    sl_log_set_sink(rig_quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
