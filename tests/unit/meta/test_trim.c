// What is kept of the metadata log and its snapshots, and that a start needs no more than that.
#include "tests/unit/meta/rig.h"

#define META_DIR "/data/__cluster_metadata-0"

struct left {
    int64_t snaps[400], first; // offsets of snapshots; base of the first segment
    uint32_t snaps_n, segments;
    uint64_t bytes; // of all
};

static int64_t newest(const struct left *f)
{
    int64_t best = -1;
    for (uint32_t i = 0; i < f->snaps_n; i++)
        best = SL_MAX(best, f->snaps[i]);
    return best;
}

static int64_t oldest(const struct left *f)
{
    int64_t best = INT64_MAX;
    for (uint32_t i = 0; i < f->snaps_n; i++)
        best = SL_MIN(best, f->snaps[i]);
    return best;
}

static void see(void *arg, const char *path, uint64_t size)
{
    struct left *f = arg;
    const char *name = strrchr(path, '/') + 1, *end = strrchr(name, '.');
    int64_t offset = strtoll(name, NULL, 10);
    if (!end)
        return;
    if (!strcmp(end, ".checkpoint")) {
        assert_true(f->snaps_n < SL_ARRAY_LEN(f->snaps));
        f->snaps[f->snaps_n++] = offset;
        f->bytes += size;
    } else if (!strcmp(end, ".log")) {
        f->first = f->segments ? SL_MIN(f->first, offset) : offset;
        f->segments++;
        f->bytes += size;
    }
}

static struct left look(struct rig *r)
{
    struct left f = {0};
    sim_disk_walk(r->h, META_DIR, see, &f);
    return f;
}

// Topics come and go: the log grows, the state does not.
static void script_churn(struct rig *r, void *arg)
{
    char name[16];
    for (int i = 0; i < *(int *)arg; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        assert_int_equal(rig_create(r, name, 4, NULL), KERR_NONE);
        assert_int_equal(rig_delete(r, name), KERR_NONE);
    }
}

static void script_keep(struct rig *r, void *arg)
{
    assert_int_equal(rig_create(r, arg, 3, NULL), KERR_NONE);
}

static void script_find(struct rig *r, void *arg)
{
    const struct meta_topic *t =
        meta_find_topic(meta_image_get(reactor_group_get(r->g, 1)), arg, strlen(arg));
    assert_non_null(t);
    assert_int_equal(t->partitions_n, 3);
}

static void make(struct rig *r, uint64_t seed, const char *retention_bytes, const char *retention_ms)
{
    const char *const settings[] = {"metadata.log.max.record.bytes.between.snapshots",
                                    "400", // a snapshot after a few changes
                                    "internal.metadata.log.segment.bytes",
                                    "4096",
                                    "internal.metadata.delete.delay.millis",
                                    "0",
                                    "metadata.max.retention.bytes",
                                    retention_bytes,
                                    "metadata.max.retention.ms",
                                    retention_ms,
                                    NULL};
    rig_new_with(r, seed, settings);
    assert_int_equal(rig_start(r), 0);
}

static void restart(struct rig *r, int how)
{
    if (how == 2)
        rig_stop(r);
    else
        rig_kill(r, how == 1);
    if (rig_start(r))
        fail_msg("%s", r->err);
}

// Without limits everything stays, as many snapshots as there were.
static void test_all_stays(void **state)
{
    struct rig r;
    int churn = 60;
    make(&r, 41, "-1", "-1");
    rig_do(&r, script_churn, &churn);
    struct left f = look(&r);
    assert_int_equal(f.first, 0);
    assert_true(f.segments > 4 && f.snaps_n > 10);
    rig_stop(&r);
    rig_end(&r);
}

// The log does not grow: oldest snapshots and segments go while all of it is too much, and every kind of start finds the state.
static void test_bytes(void **state)
{
    struct rig r;
    int churn = 60;
    make(&r, 42, "12000", "-1");
    rig_do(&r, script_keep, "kept");
    for (int round = 0; round < 6; round++) {
        rig_do(&r, script_churn, &churn);
        struct left f = look(&r);
        assert_true(f.first > 0 && newest(&f) >= f.first);
        assert_true(f.first <= oldest(&f)); // what the oldest needs is there
        assert_true(f.bytes <= 12000 + 4096);
        assert_true(f.snaps_n >= 1);
        restart(&r, round % 3);
        rig_do(&r, script_find, "kept");
    }
    rig_stop(&r);
    rig_end(&r);
}

// However little is allowed, the newest snapshot stays, and no other.
static void test_newest_stays(void **state)
{
    struct rig r;
    int churn = 20;
    make(&r, 43, "0", "-1");
    rig_do(&r, script_keep, "kept");
    rig_do(&r, script_churn, &churn);
    struct left f = look(&r);
    assert_int_equal(f.snaps_n, 1);
    assert_true(f.segments <= 2);
    restart(&r, 1);
    rig_do(&r, script_find, "kept");
    rig_stop(&r);
    rig_end(&r);
}

// Snapshots go when they tell of a time long ago, and a quiet broker looks each minute.
static void test_time(void **state)
{
    struct rig r;
    int churn = 30;
    make(&r, 44, "-1", "30000");
    rig_do(&r, script_churn, &churn);
    struct left f = look(&r);
    assert_true(f.snaps_n > 5);
    sim_run(r.w, 62 * RIG_SEC, NULL, NULL);
    f = look(&r);
    assert_int_equal(f.snaps_n, 1);
    assert_true(f.first > 0);
    rig_stop(&r);
    rig_end(&r);
}

// What a crash between the two steps leaves, a snapshot below the log's start, goes with the next look.
static void script_stale(struct rig *r, void *arg)
{
    static const uint8_t some[] = "not even a snapshot";
    assert_int_equal(
        fio_write_file(META_DIR "/00000000000000000001-0000000001.checkpoint", some, sizeof(some)), 0);
}

static void test_stale(void **state)
{
    struct rig r;
    int churn = 60;
    make(&r, 45, "12000", "-1");
    rig_do(&r, script_churn, &churn);
    sim_run(r.w, 62 * RIG_SEC, NULL, NULL); // until no look is due
    rig_do(&r, script_stale, NULL);
    struct left f = look(&r);
    assert_int_equal(oldest(&f), 1);
    restart(&r, 0);
    churn = 5;
    rig_do(&r, script_churn, &churn);
    f = look(&r);
    assert_true(oldest(&f) > 1);
    rig_stop(&r);
    rig_end(&r);
}

// Without its snapshots a log that does not begin at 0 says nothing: the start is refused.
static void script_remove(struct rig *r, void *arg)
{
    struct left f = look(r);
    for (uint32_t i = 0; i < f.snaps_n; i++)
        for (int32_t epoch = 0; epoch < 4; epoch++) {
            char path[200];
            snprintf(path, sizeof(path), META_DIR "/%020lld-%010d.checkpoint", (long long)f.snaps[i], epoch);
            (void)fio_unlink(path, false);
        }
}

static void test_missing(void **state)
{
    struct rig r;
    int churn = 60;
    make(&r, 46, "0", "-1");
    rig_do(&r, script_churn, &churn);
    rig_do(&r, script_remove, NULL);
    struct left f = look(&r);
    assert_int_equal(f.snaps_n, 0);
    rig_kill(&r, false);
    assert_int_equal(rig_start(&r), -EUCLEAN);
    assert_non_null(strstr(r.err, "no snapshot holds what was before"));
    rig_free_life(&r);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_stays), cmocka_unit_test(test_bytes), cmocka_unit_test(test_newest_stays),
        cmocka_unit_test(test_time),      cmocka_unit_test(test_stale), cmocka_unit_test(test_missing),
    };
    sl_log_set_sink(rig_quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
