// The simulated disk: when names last.
#include "sim_test.h"

#define SEEDS 200

static bool there(struct rig *r, const char *path)
{
    return sim_disk_size(r->h, path) >= 0;
}

static io_file make(struct rig *r, const char *path)
{
    io_file f = t_open(r->io, path, IO_RDWR | IO_CREATE | IO_EXCL);
    assert_true(f >= 0);
    return f;
}

static void a_synced_file_without_a_synced_name_may_go(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        io_file f = make(&r, "/a");
        assert_int_equal(t_write(r.io, f, "abc", 3, 0, 0), 3);
        assert_int_equal(t_fsync(r.io, f, false), 0);
        rig_cut(&r);
        lost += !there(&r, "/a");
        if (there(&r, "/a"))
            assert_int_equal(sim_disk_size(r.h, "/a"), 3);
        rig_down(&r);
    }
    assert_true(lost > SEEDS / 4 && lost < SEEDS);
}

static void a_synced_name_stays_but_not_its_bytes(void **state)
{
    (void)state;
    unsigned empty = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        io_file f = make(&r, "/a");
        assert_int_equal(t_write(r.io, f, "abc", 3, 0, 0), 3);
        assert_int_equal(t_sync_dir(r.io, "/"), 0);
        rig_cut(&r);
        assert_true(there(&r, "/a"));
        empty += sim_disk_size(r.h, "/a") == 0;
        rig_down(&r);
    }
    assert_true(empty > 20);
}

static void new_parents_need_their_own_sync(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        assert_int_equal(t_mkdir(r.io, "/d"), 0);
        assert_int_equal(t_mkdir(r.io, "/d"), -EEXIST);
        make(&r, "/d/a");
        assert_int_equal(t_sync_dir(r.io, "/d"), 0);
        if (seed % 2)
            assert_int_equal(t_sync_dir(r.io, "/"), 0);
        rig_cut(&r);
        assert_true(there(&r, "/d/a") || seed % 2 == 0);
        lost += !there(&r, "/d/a");
        rig_down(&r);
    }
    assert_true(lost > 20);
}

// Old target or new one, and never both names or neither.
static void a_rename_is_whole(void **state)
{
    (void)state;
    unsigned old = 0, new = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        io_file a = make(&r, "/a"), b = make(&r, "/b");
        assert_int_equal(t_write(r.io, a, "a", 1, 0, 0), 1);
        assert_int_equal(t_write(r.io, b, "bb", 2, 0, 0), 2);
        assert_int_equal(t_fsync(r.io, a, false), 0);
        assert_int_equal(t_fsync(r.io, b, false), 0);
        assert_int_equal(t_sync_dir(r.io, "/"), 0);
        assert_int_equal(t_rename(r.io, "/b", "/a"), 0);
        assert_false(there(&r, "/b"));
        assert_int_equal(sim_disk_size(r.h, "/a"), 2);
        if (seed % 4 == 0)
            assert_int_equal(t_sync_dir(r.io, "/"), 0);
        rig_cut(&r);
        int64_t size = sim_disk_size(r.h, "/a");
        assert_true(size == 1 || size == 2);
        assert_int_equal(there(&r, "/b"), size == 1);
        assert_true(size == 2 || seed % 4 != 0);
        old += size == 1;
        new += size == 2;
        rig_down(&r);
    }
    assert_true(old > 20 && new > 60);
}

static void an_unlink_may_come_back_until_synced(void **state)
{
    (void)state;
    unsigned back = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        io_file f = make(&r, "/a");
        assert_int_equal(t_write(r.io, f, "abc", 3, 0, 0), 3);
        assert_int_equal(t_fsync(r.io, f, false), 0);
        assert_int_equal(t_sync_dir(r.io, "/"), 0);
        assert_int_equal(t_unlink(r.io, "/a", false), 0);
        char c[3];
        assert_int_equal(t_read(r.io, f, c, 3, 0), 3); // open files live on
        assert_int_equal(t_unlink(r.io, "/a", false), -ENOENT);
        if (seed % 2)
            assert_int_equal(t_sync_dir(r.io, "/"), 0);
        rig_cut(&r);
        assert_true(!there(&r, "/a") || seed % 2 == 0);
        back += there(&r, "/a");
        if (there(&r, "/a"))
            assert_int_equal(sim_disk_size(r.h, "/a"), 3);
        rig_down(&r);
    }
    assert_true(back > 20);
}

static void each_name_is_lost_on_its_own(void **state)
{
    (void)state;
    unsigned mixed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        unsigned have = 0;
        char path[16];
        for (int k = 0; k < 8; k++) {
            snprintf(path, sizeof(path), "/f%d", k);
            make(&r, path);
        }
        rig_cut(&r);
        for (int k = 0; k < 8; k++) {
            snprintf(path, sizeof(path), "/f%d", k);
            have += there(&r, path);
        }
        mixed += have > 0 && have < 8;
        rig_down(&r);
    }
    assert_true(mixed > SEEDS / 4);
}

// A directory is renamed away and removed with what is in it; a new one takes its name.
static void directories_come_and_go(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        assert_int_equal(t_mkdir(r.io, "/t"), 0);
        io_file f = make(&r, "/t/x");
        assert_int_equal(t_sync_dir(r.io, "/t"), 0);
        assert_int_equal(t_sync_dir(r.io, "/"), 0);
        assert_int_equal(t_unlink(r.io, "/t", true), -ENOTEMPTY);
        assert_int_equal(t_unlink(r.io, "/t", false), -EISDIR);
        assert_int_equal(t_rename(r.io, "/t", "/t-delete"), 0);
        assert_int_equal(t_rename(r.io, "/t-delete", "/t-delete/sub"), -EINVAL);
        assert_int_equal(t_mkdir(r.io, "/t"), 0);
        make(&r, "/t/y");
        assert_int_equal(t_unlink(r.io, "/t-delete/x", false), 0);
        assert_int_equal(t_unlink(r.io, "/t-delete", true), 0);
        assert_int_equal(t_close(r.io, f), 0);
        if (seed % 2) {
            assert_int_equal(t_sync_dir(r.io, "/t"), 0);
            assert_int_equal(t_sync_dir(r.io, "/"), 0);
        }
        rig_cut(&r);
        if (seed % 2) {
            assert_true(there(&r, "/t/y"));
            assert_false(there(&r, "/t/x") || there(&r, "/t-delete"));
        }
        rig_down(&r);
    }
}

static int collect(void *arg, const struct io_dirent *e)
{
    unsigned *seen = arg;
    if (strcmp(e->name, "a") == 0 && !e->is_dir)
        *seen |= 1;
    else if (strcmp(e->name, "d") == 0 && e->is_dir)
        *seen |= 2;
    else
        return -EINVAL;
    return 0;
}

static void lists_and_stats(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 7);
    make(&r, "/a");
    assert_int_equal(t_mkdir(r.io, "/d"), 0);
    unsigned seen = 0;
    assert_int_equal(io_listdir(r.io, "/", collect, &seen), 0);
    assert_int_equal(seen, 3);
    assert_int_equal(io_listdir(r.io, "/a", collect, &seen), -ENOTDIR);
    assert_int_equal(io_listdir(r.io, "/x", collect, &seen), -ENOENT);
    struct waiter w;
    struct io_stat st;
    io_stat(r.io, waiter_start(&w), "/d", &st);
    assert_int_equal(wait_for(r.io, &w), 0);
    assert_true(st.is_dir && !st.is_reg);
    io_stat(r.io, waiter_start(&w), "/nope", &st);
    assert_int_equal(wait_for(r.io, &w), -ENOENT);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_synced_file_without_a_synced_name_may_go),
        cmocka_unit_test(a_synced_name_stays_but_not_its_bytes),
        cmocka_unit_test(new_parents_need_their_own_sync),
        cmocka_unit_test(a_rename_is_whole),
        cmocka_unit_test(an_unlink_may_come_back_until_synced),
        cmocka_unit_test(each_name_is_lost_on_its_own),
        cmocka_unit_test(directories_come_and_go),
        cmocka_unit_test(lists_and_stats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
