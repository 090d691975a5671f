// Snapshots of the metadata: one read by itself is the state it was made of, and a start uses it.
#include "tests/unit/meta/rig.h"

#include "tests/unit/meta/bare.h"

struct found {
    char newest[256];
    uint32_t n;
};

static int look(void *arg, const struct io_dirent *e)
{
    struct found *f = arg;
    if (strlen(e->name) > 11 && !strcmp(e->name + strlen(e->name) - 11, ".checkpoint")) {
        f->n++;
        if (strcmp(e->name, f->newest) > 0)
            snprintf(f->newest, sizeof(f->newest), "%s", e->name);
    }
    return 0;
}

static struct found list(void)
{
    struct found f = {0};
    assert_int_equal(
        io_listdir(reactor_io(fiber_reactor(fiber_current())), "/data/__cluster_metadata-0", look, &f), 0);
    return f;
}

static void same_partition(const struct meta_partition *a, const struct meta_partition *b)
{
    assert_int_equal(a->leader, b->leader);
    assert_int_equal(a->leader_epoch, b->leader_epoch);
    assert_int_equal(a->partition_epoch, b->partition_epoch);
    assert_int_equal(a->replicas_n, b->replicas_n);
    assert_int_equal(a->isr_n, b->isr_n);
    assert_int_equal(a->replicas[0], b->replicas[0]);
    assert_true(sl_uuid_eq(&a->directory, &b->directory));
}

static void same_configs(const struct meta_config_entry *a, const struct meta_config_entry *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_string_equal(a[i].key, b[i].key);
        assert_string_equal(a[i].value, b[i].value);
    }
}

static void same_state(const struct meta_image *a, const struct meta_image *b)
{
    assert_int_equal(a->topics_n, b->topics_n);
    for (uint32_t i = 0; i < a->topics_n; i++) {
        const struct meta_topic *x = a->topics[i], *y = b->topics[i];
        assert_string_equal(x->name, y->name);
        assert_true(sl_uuid_eq(&x->id, &y->id));
        assert_int_equal(x->partitions_n, y->partitions_n);
        for (uint32_t p = 0; p < x->partitions_n; p++)
            same_partition(&x->partitions[p], &y->partitions[p]);
        assert_int_equal(x->configs_n, y->configs_n);
        same_configs(x->configs, y->configs, x->configs_n);
    }
    assert_int_equal(a->resources_n, b->resources_n);
    for (uint32_t i = 0; i < a->resources_n; i++) {
        assert_int_equal(a->resources[i].type, b->resources[i].type);
        assert_string_equal(a->resources[i].name, b->resources[i].name);
        assert_int_equal(a->resources[i].configs_n, b->resources[i].configs_n);
        same_configs(a->resources[i].configs, b->resources[i].configs, a->resources[i].configs_n);
    }
    assert_int_equal(a->quotas_n, b->quotas_n);
    for (uint32_t i = 0; i < a->quotas_n; i++)
        assert_memory_equal(a->quotas[i].values, b->quotas[i].values, sizeof(a->quotas[i].values));
    assert_int_equal(a->features_n, b->features_n);
    for (uint32_t i = 0; i < a->features_n; i++)
        assert_int_equal(a->features[i].level, b->features[i].level);
    assert_int_equal(a->brokers_n, b->brokers_n);
    assert_int_equal(a->brokers[0].epoch, b->brokers[0].epoch);
    assert_int_equal(a->brokers[0].fenced, b->brokers[0].fenced);
    assert_string_equal(a->brokers[0].endpoints[0].host, b->brokers[0].endpoints[0].host);
}

static void alter(struct rig *r, int8_t type, const char *name, const char *key, const char *value)
{
    struct meta_alter_entry e = {.key = key, .value = value};
    struct meta_alter_resource res = {.type = type, .name = name, .entries = &e, .entries_n = 1};
    struct meta_alter a = {.resources = &res, .n = 1, .incremental = true};
    rig_ask(r, META_ALTER_CONFIGS, &a);
    assert_int_equal(res.error, KERR_NONE);
}

// The newest snapshot against the image in force.
static void check_newest(struct rig *r)
{
    char path[400], err[256];
    struct meta_unregister none = {.id = 99};
    rig_ask(r, META_UNREGISTER, &none); // what was due before is written
    struct found f = list();
    struct meta *m = bare_meta(r->cfg);
    assert_true(f.n >= 1);
    snprintf(path, sizeof(path), "/data/__cluster_metadata-0/%s", f.newest);
    if (replay_snapshot(m, path, NULL, err, sizeof(err)))
        fail_msg("%s", err);
    m->image = meta_freeze(m);
    assert_non_null(m->image);
    const struct meta_image *now = meta_image_get(reactor_group_get(r->g, 0));
    assert_int_equal(strtoll(f.newest, NULL, 10), r->meta->next_offset);
    same_state(now, &m->image->pub);
    assert_int_equal(m->next_pid, r->meta->next_pid);
    assert_int_equal(m->kraft_version, 1);
    meta_destroy(m);
}

static void script_make(struct rig *r, void *arg)
{
    struct meta_pids p = {0};
    struct meta_quota_entity user = {"user", "u"};
    struct meta_quota_op op = {"producer_byte_rate", 1024, false};
    struct meta_quota_entry e = {.entity = &user, .entity_n = 1, .ops = &op, .ops_n = 1};
    struct meta_alter_quotas q = {.entries = &e, .n = 1};
    assert_int_equal(rig_create(r, "a", 3, NULL), KERR_NONE);
    assert_int_equal(rig_create(r, "many", 900, NULL), KERR_NONE); // several batches
    check_newest(r);
    alter(r, META_RES_TOPIC, "a", "flush.ms", "7");
    alter(r, META_RES_GROUP, "g", "consumer.session.timeout.ms", "50000");
    alter(r, META_RES_BROKER, "", "message.max.bytes", "5000");
    rig_ask(r, META_ALTER_QUOTAS, &q);
    rig_ask(r, META_ALLOC_PIDS, &p);
    check_newest(r);
}

static void script_again(struct rig *r, void *arg)
{
    assert_int_equal(meta_find_topic(meta_image_get(reactor_group_get(r->g, 1)), "many", 4)->partitions_n,
                     900);
    assert_int_equal(cfg_int(meta_image_get(reactor_group_get(r->g, 1))->config, CFG_MESSAGE_MAX_BYTES),
                     5000);
    check_newest(r); // the start wrote one
    char name[8];
    snprintf(name, sizeof(name), "b%d", *(int *)arg);
    assert_int_equal(rig_create(r, name, 1, NULL), KERR_NONE);
    check_newest(r);
}

static void test_state(void **state)
{
    struct rig r;
    static const char *const settings[] = {"metadata.log.max.record.bytes.between.snapshots", "1", NULL};
    rig_new_with(&r, 31, settings); // one after every change
    assert_int_equal(rig_start(&r), 0);
    rig_do(&r, script_make, NULL);
    for (int how = 0; how < 3; how++) {
        if (how == 2)
            rig_stop(&r);
        else
            rig_kill(&r, how == 1);
        if (rig_start(&r))
            fail_msg("%s", r.err);
        rig_do(&r, script_again, &how);
    }
    rig_stop(&r);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state),
    };
    sl_log_set_sink(rig_quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
