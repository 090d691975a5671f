// Several log directories in the controller: where new partitions go, what a start makes of what it finds, registration.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "proto/gen/broker_registration_change_record.h"
#include "proto/gen/feature_level_record.h"
#include "proto/gen/partition_change_record.h"
#include "proto/gen/partition_record.h"
#include "proto/gen/register_broker_record.h"
#include "proto/gen/topic_record.h"
#include "tests/unit/meta/bare.h"

enum { DIRS = 4, META_ONLY = 3 };
static struct config *cfg;
static struct meta *m;
static char err[512];

static struct sl_uuid reserved(uint64_t which)
{
    return sl_uuid_make(0, which);
}

static void apply(enum meta_record type, int16_t version, const void *msg)
{
    struct recs rs;
    recs_init(&rs);
    recs_add(&rs, type, version, msg);
    assert_int_equal(rs.rc, 0);
    if (bare_apply(m, rs.v[0].p, rs.v[0].n, err, sizeof(err)))
        fail_msg("%s", err);
    recs_free(&rs);
}

static void apply_all(const struct recs *rs)
{
    assert_int_equal(rs->rc, 0);
    for (uint32_t i = 0; i < rs->n; i++)
        if (bare_apply(m, rs->v[i].p, rs->v[i].n, err, sizeof(err)))
            fail_msg("%s", err);
}

static void level(int16_t v)
{
    struct kp_feature_level_record r = {.name = KP_STR_LIT("metadata.version"), .feature_level = v};
    apply(REC_FEATURE_LEVEL, 0, &r);
}

// Three directories for partitions and one for the metadata log alone. In Java's order the second id is the first.
static int make(void **state)
{
    static const uint64_t upper[DIRS] = {5, UINT64_C(0x8000000000000000), 3, 1};
    static const char *const paths[DIRS] = {"/a", "/b", "/c", "/meta"};
    cfg = config_new();
    assert_int_equal(config_set(cfg, "log.dirs", "/a,/b,/c", CFG_FROM_FILE, err, sizeof(err)), 0);
    assert_int_equal(config_finish(cfg, err, sizeof(err)), 0);
    m = bare_meta(cfg);
    m->id.dirs_n = DIRS;
    for (uint32_t i = 0; i < DIRS; i++)
        m->id.dirs[i] = (struct meta_dir){
            .path = paths[i], .id = sl_uuid_make(upper[i], 7), .data = i != META_ONLY, .online = true};
    level(MV_LATEST);
    return 0;
}

static int end(void **state)
{
    meta_destroy(m);
    config_free(cfg);
    return 0;
}

static void add_topic(const char *name, uint64_t id)
{
    struct kp_topic_record r = {.name = kp_str_of(name), .topic_id = sl_uuid_make(0x4000, id)};
    apply(REC_TOPIC, 0, &r);
}

static void add_part(uint64_t topic, int32_t partition, struct sl_uuid dir)
{
    struct kp_partition_record r;
    int32_t self = 1;
    kp_partition_record_init(&r);
    r.topic_id = sl_uuid_make(0x4000, topic);
    r.partition_id = partition;
    r.replicas = r.isr = &self;
    r.replicas_n = r.isr_n = 1;
    r.leader = 1;
    r.leader_epoch = r.partition_epoch = 0;
    if (version_partition(m) >= 1) {
        r.directories = &dir;
        r.directories_n = 1;
    }
    apply(REC_PARTITION, version_partition(m), &r);
}

static const struct meta_topic *topic(const char *name)
{
    return meta_find_topic(&m->image->pub, name, strlen(name));
}

static const struct meta_partition *part(const char *name, uint32_t p)
{
    return &topic(name)->partitions[p];
}

// ---- placing ------------------------------------------------------------------------------------------------
static void test_fewest_first(void **state)
{
    struct placing pl;
    struct recs rs;
    struct sl_uuid id = sl_uuid_make(0x4000, 2);
    static const int want[] = {1, 2, 1, 2, 0, 1, 2}; // two lie in the first already
    add_topic("old", 1);
    add_part(1, 0, m->id.dirs[0].id);
    add_part(1, 1, m->id.dirs[0].id);
    add_part(1, 2, reserved(DIR_UNASSIGNED)); // counts for none
    bare_publish(m);
    struct sl_uuid none = dirs_default(m);
    char text[SL_UUID_TEXT_LEN + 1];
    sl_uuid_to_text(&none, text);
    assert_string_equal(
        text,
        "AAAAAAAAAAAAAAAAAAAAAQ"); // as in upstream's records: the broker chooses, and says so afterwards
    add_topic("new", 2);
    for (int32_t p = 0; p < 7; p++)
        add_part(2, p, none);
    recs_init(&rs);
    dirs_count(m, &pl);
    for (int32_t p = 0; p < 7; p++)
        dirs_add_choice(m, &rs, &pl, &id, p);
    assert_int_equal(rs.n, 7);
    apply_all(&rs);
    recs_free(&rs);
    bare_publish(m);
    for (uint32_t p = 0; p < 7; p++) {
        assert_int_equal(dirs_of(m, part("new", p)), want[p]);
        assert_true(sl_uuid_eq(&part("new", p)->directory, &m->id.dirs[want[p]].id));
        assert_int_equal(part("new", p)->partition_epoch, 1);
        assert_int_equal(part("new", p)->leader_epoch, 0);
    }
}

// Nothing goes to a directory that is offline; the only one that is left is named by the partition's own record.
static void test_offline_gets_none(void **state)
{
    struct placing pl;
    struct recs rs;
    struct sl_uuid id = sl_uuid_make(0x4000, 1);
    recs_init(&rs);
    add_topic("t", 1);
    for (int32_t p = 0; p < 4; p++)
        add_part(1, p, reserved(DIR_UNASSIGNED));
    m->id.dirs[0].online = false;
    dirs_count(m, &pl);
    for (int32_t p = 0; p < 4; p++)
        dirs_add_choice(m, &rs, &pl, &id, p);
    apply_all(&rs);
    bare_publish(m);
    for (uint32_t p = 0; p < 4; p++)
        assert_int_equal(dirs_of(m, part("t", p)), 1 + p % 2);
    m->id.dirs[1].online = false;
    struct sl_uuid left = dirs_default(m);
    assert_true(sl_uuid_eq(&left, &m->id.dirs[2].id));
    uint32_t n = rs.n;
    dirs_add_choice(m, &rs, &pl, &id, 0);
    assert_int_equal(rs.n, n);
    assert_int_equal(dirs_of(m, part("t", 0)), -1);
    assert_int_equal(dirs_of(m, part("t", 1)), 2);
    recs_free(&rs);
}

// ---- a start ------------------------------------------------------------------------------------------------
// What was found nowhere is made anew only where that loses nothing.
static void test_made_anew(void **state)
{
    add_topic("t", 1);
    add_part(1, 0, m->id.dirs[2].id);
    add_part(1, 1, sl_uuid_make(99, 99)); // a directory that was taken away
    add_part(1, 2, reserved(DIR_UNASSIGNED));
    add_part(1, 3, reserved(DIR_LOST));
    add_part(1, 4, reserved(DIR_MIGRATING));
    bare_publish(m);
    assert_int_equal(meta_dir_for(m, part("t", 0)), 2);
    assert_int_equal(meta_dir_for(m, part("t", 1)), -1);
    assert_int_equal(meta_dir_for(m, part("t", 3)), -1);
    assert_int_equal(meta_dir_for(m, part("t", 2)), 0); // the third has one; the fewest are in the first
    assert_int_equal(meta_dir_for(m, part("t", 4)), 1);
    meta_dir_given_up(m, 2);
    assert_int_equal(meta_dir_for(m, part("t", 0)), -1);
    assert_int_equal(meta_dir_for(m, part("t", 4)), -1); // it may lie in the one that is missing
    assert_true(meta_dir_for(m, part("t", 2)) >= 0);
}

// A partition is where its log lies; the start records that, and leads it there.
static void test_found_elsewhere(void **state)
{
    struct recs rs;
    add_topic("t", 1);
    for (int32_t p = 0; p < 4; p++)
        add_part(1, p, p < 2 ? m->id.dirs[0].id : sl_uuid_make(99, 99));
    bare_publish(m);
    meta_found(m, topic("t"), 0, 0); // as known
    meta_found(m, topic("t"), 3, 1);
    meta_found(m, topic("t"), 1, 2);
    meta_dir_given_up(m, 2);
    recs_init(&rs);
    dirs_add_found(m, &rs);
    assert_int_equal(rs.n, 2);
    assert_int_equal(dirs_at_start(m, topic("t"), 0), 0);
    assert_int_equal(dirs_at_start(m, topic("t"), 1), -1);
    assert_int_equal(dirs_at_start(m, topic("t"), 2), -1);
    assert_int_equal(dirs_at_start(m, topic("t"), 3), 1);
    apply_all(&rs);
    recs_free(&rs);
    bare_publish(m);
    assert_true(sl_uuid_eq(&part("t", 3)->directory, &m->id.dirs[1].id));
    assert_true(sl_uuid_eq(&part("t", 1)->directory, &m->id.dirs[2].id)); // known, and offline: not made anew
    assert_int_equal(dirs_of(m, part("t", 1)), -1);
}

static void test_old_metadata(void **state)
{
    level(MV_DIRECTORIES - 1);
    assert_int_equal(dirs_check_version(m, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "metadata.version"));
    m->id.dirs[1].data = m->id.dirs[2].data = false;
    assert_int_equal(dirs_check_version(m, err, sizeof(err)), 0);
    add_topic("t", 1);
    add_part(1, 0, reserved(DIR_UNASSIGNED));
    bare_publish(m);
    assert_int_equal(dirs_of(m, part("t", 0)), 0);
    level(MV_DIRECTORIES);
    assert_int_equal(dirs_check_version(m, err, sizeof(err)), 0);
}

// ---- registration -------------------------------------------------------------------------------------------
static void test_registration(void **state)
{
    struct kp_register_broker_record r;
    struct kp_broker_registration_change_record c;
    struct sl_uuid dirs[SHARD_DIRS_MAX];
    assert_int_equal(dirs_online(m, dirs), 3);
    static const uint32_t order[] = {1, 2, 0}; // Java compares signed numbers
    for (uint32_t i = 0; i < 3; i++)
        assert_true(sl_uuid_eq(&dirs[i], &m->id.dirs[order[i]].id));
    kp_register_broker_record_init(&r);
    r.broker_id = 1;
    r.log_dirs = dirs;
    r.log_dirs_n = 3;
    apply(REC_REGISTER_BROKER, version_register_broker(m), &r);
    add_topic("t", 1);
    add_part(1, 0, m->id.dirs[0].id);
    add_part(1, 1, m->id.dirs[2].id);
    const struct meta_image *img = bare_publish(m);
    assert_int_equal(img->brokers[0].dirs_n, 3);
    assert_false(meta_offline_here(img, part("t", 0)));
    kp_broker_registration_change_record_init(&c);
    c.broker_id = 1;
    c.log_dirs = dirs; // the first two are left
    c.log_dirs_n = 2;
    apply(REC_BROKER_REGISTRATION_CHANGE, 2, &c);
    img = bare_publish(m);
    assert_int_equal(img->brokers[0].dirs_n, 2);
    assert_true(meta_offline_here(img, part("t", 0)));
    assert_false(meta_offline_here(img, part("t", 1)));
    const struct meta_broker *b = &img->brokers[0];
    static const bool online[] = {true, true, false}; // migrating, unassigned, lost
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(meta_dir_online(b, &(struct sl_uuid){{[15] = (uint8_t)i}}), online[i]);
    struct meta_broker before = {.id = 2}; // registered before directories had ids
    assert_true(meta_dir_online(&before, &m->id.dirs[0].id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fewest_first, make, end),
        cmocka_unit_test_setup_teardown(test_offline_gets_none, make, end),
        cmocka_unit_test_setup_teardown(test_made_anew, make, end),
        cmocka_unit_test_setup_teardown(test_found_elsewhere, make, end),
        cmocka_unit_test_setup_teardown(test_old_metadata, make, end),
        cmocka_unit_test_setup_teardown(test_registration, make, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
