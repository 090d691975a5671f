// The simulated disk: what a write, a sync and a power cut do to bytes, sizes and allocations.
#include "sim_test.h"

#define SEEDS 200

// A file whose name is durable, with n durable blocks of `fill`.
static io_file durable_file(struct rig *r, const char *path, uint32_t n, int fill)
{
    io_file f = t_open(r->io, path, IO_RDWR | IO_CREATE | IO_DIRECT);
    assert_true(f >= 0);
    uint8_t *b = blocks(n ? n : 1, fill);
    if (n) {
        assert_int_equal(t_fallocate(r->io, f, 0, n * 4096u), 0);
        assert_int_equal(t_write(r->io, f, b, n * 4096u, 0, 0), n * 4096);
    }
    assert_int_equal(t_fsync(r->io, f, false), 0);
    assert_int_equal(t_sync_dir(r->io, "/"), 0);
    free(b);
    return f;
}

static void writes_and_reads(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 1);
    io_file f = t_open(r.io, "/a", IO_RDWR | IO_CREATE | IO_DIRECT);
    assert_true(f >= 0);
    uint8_t *b = blocks(4, 'x'), *c = blocks(4, 0);
    assert_int_equal(t_write(r.io, f, b, 16384, 4096, 0), 16384);
    assert_int_equal(t_read(r.io, f, c, 8192, 0), 8192);
    assert_int_equal(c[0], 0);
    assert_int_equal(c[4095], 0);
    assert_int_equal(c[4096], 'x');
    assert_int_equal(t_read(r.io, f, c, 8192, 16384), 4096);
    assert_int_equal(t_read(r.io, f, c, 4096, 20480), 0);
    assert_int_equal(t_open(r.io, "/none", IO_RDWR), -ENOENT);
    assert_int_equal(t_open(r.io, "/a", IO_RDWR | IO_CREATE | IO_EXCL), -EEXIST);
    assert_int_equal(t_open(r.io, "/a/b", IO_RDWR | IO_CREATE), -ENOTDIR);
    assert_int_equal(sim_disk_size(r.h, "/a"), 20480);
    assert_int_equal(t_close(r.io, f), 0);
    free(b);
    free(c);
    rig_down(&r);
}

static void direct_io_must_be_aligned(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 1);
    io_file f = t_open(r.io, "/a", IO_RDWR | IO_CREATE | IO_DIRECT);
    uint8_t *b = blocks(2, 1);
    assert_int_equal(t_write(r.io, f, b, 100, 0, 0), -EINVAL);
    assert_int_equal(t_write(r.io, f, b, 4096, 512, 0), -EINVAL);
    assert_int_equal(t_write(r.io, f, b + 512, 4096, 0, 0), -EINVAL);
    assert_int_equal(t_read(r.io, f, b + 1, 4096, 0), -EINVAL);
    assert_int_equal(t_write(r.io, f, b, 4096, 0, 0), 4096);
    io_file ro = t_open(r.io, "/a", IO_RDONLY);
    assert_int_equal(t_write(r.io, ro, b, 10, 0, 0), -EBADF);
    io_file rw = t_open(r.io, "/a", IO_RDWR); // through the page cache: any position
    assert_int_equal(t_write(r.io, rw, "hello", 5, 77, 0), 5);
    uint8_t five[5];
    assert_int_equal(t_read(r.io, rw, five, 5, 77), 5);
    assert_memory_equal(five, "hello", 5);
    free(b);
    rig_down(&r);
}

static void unsynced_bytes_may_go_synced_ones_stay(void **state)
{
    (void)state;
    unsigned lost = 0, kept = 0;
    uint8_t *b = blocks(1, 'n');
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        io_file f = durable_file(&r, "/a", 2, 'o');
        assert_int_equal(t_write(r.io, f, b, 4096, 0, 0), 4096);
        assert_int_equal(t_fsync(r.io, f, true), 0);
        assert_int_equal(t_write(r.io, f, b, 4096, 4096, 0), 4096);
        sim_world_faults(r.w)->garbage_unsynced = 0;
        rig_cut(&r);
        uint8_t c[8192];
        assert_int_equal(sim_disk_read(r.h, "/a", 0, c, 8192), 8192);
        for (unsigned k = 0; k < 4096; k++)
            assert_int_equal(c[k], 'n');
        for (unsigned s = 4096; s < 8192; s += 512) {
            assert_true(c[s] == 'n' || c[s] == 'o');
            assert_int_equal(c[s + 511], c[s]);
            lost += c[s] == 'o';
            kept += c[s] == 'n';
        }
        rig_down(&r);
    }
    assert_true(lost > SEEDS && kept > SEEDS);
    free(b);
}

// Submitted together, the sync need not cover the write; submitted after its completion, it must.
static void a_sync_covers_what_was_complete(void **state)
{
    (void)state;
    unsigned missed = 0;
    uint8_t *b = blocks(1, 'n');
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        sim_world_faults(r.w)->garbage_unsynced = 0;
        io_file f = durable_file(&r, "/a", 1, 'o');
        struct waiter w, s;
        io_write(r.io, waiter_start(&w), f, b, 4096, 0, 0);
        io_fsync(r.io, waiter_start(&s), f, true);
        assert_int_equal(wait_for(r.io, &w), 4096);
        assert_int_equal(wait_for(r.io, &s), 0);
        rig_cut(&r);
        uint8_t c[4096];
        assert_int_equal(sim_disk_read(r.h, "/a", 0, c, 4096), 4096);
        for (unsigned k = 0; k < 4096; k += 512)
            missed += c[k] == 'o';
        rig_down(&r);
    }
    assert_true(missed > 0);
    free(b);
}

// Every file at once; names when something was synced behind it.
static void a_syncfs_covers_all_files(void **state)
{
    (void)state;
    unsigned gone = 0;
    uint8_t *b = blocks(1, 'n');
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        struct waiter w;
        rig_seed(&r, seed);
        io_file root = t_open(r.io, "/", IO_DIRECTORY), old = durable_file(&r, "/old", 1, 'o');
        io_file fresh = t_open(r.io, "/fresh", IO_RDWR | IO_CREATE | IO_DIRECT);
        assert_int_equal(t_write(r.io, old, b, 4096, 0, 0), 4096);
        assert_int_equal(t_write(r.io, fresh, b, 4096, 0, 0), 4096);
        assert_true(io_can_syncfs(r.io, root));
        io_syncfs(r.io, waiter_start(&w), root);
        assert_int_equal(wait_for(r.io, &w), 0);
        if (seed % 2)
            assert_int_equal(t_fsync(r.io, root, false), 0);
        rig_cut(&r);
        uint8_t c[4096];
        assert_int_equal(sim_disk_read(r.h, "/old", 0, c, 4096), 4096);
        for (unsigned k = 0; k < 4096; k++)
            assert_int_equal(c[k], 'n');
        int n = sim_disk_read(r.h, "/fresh", 0, c, 4096);
        if (seed % 2)
            assert_int_equal(n, 4096);
        gone += n < 0;
        assert_true(n < 0 || c[4095] == 'n');
        rig_down(&r);
    }
    assert_true(gone > 0);
    free(b);
}

// A write that lands after the sync began must not take back what the sync covers.
static void a_sync_survives_a_later_overwrite(void **state)
{
    (void)state;
    uint8_t *b = blocks(1, 'n'), *c = blocks(1, 'p');
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        sim_world_faults(r.w)->garbage_unsynced = 0;
        io_file f = durable_file(&r, "/a", 1, 'o');
        assert_int_equal(t_write(r.io, f, b, 4096, 0, 0), 4096);
        struct waiter w, s;
        io_fsync(r.io, waiter_start(&s), f, true);
        io_write(r.io, waiter_start(&w), f, c, 4096, 0, 0);
        assert_int_equal(wait_for(r.io, &s), 0);
        assert_int_equal(wait_for(r.io, &w), 4096);
        rig_cut(&r);
        uint8_t d[4096];
        assert_int_equal(sim_disk_read(r.h, "/a", 0, d, 4096), 4096);
        for (unsigned k = 0; k < 4096; k++)
            assert_true(d[k] == 'n' || d[k] == 'p');
        rig_down(&r);
    }
    free(b);
    free(c);
}

static void dsync_covers_its_own_bytes_and_size(void **state)
{
    (void)state;
    unsigned lost = 0;
    uint8_t *b = blocks(1, 'n');
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        io_file f = durable_file(&r, "/a", 0, 0);
        assert_int_equal(t_fallocate(r.io, f, 0, 8192), 0);
        assert_int_equal(t_write(r.io, f, b, 4096, 4096, 0), 4096);
        assert_int_equal(t_write(r.io, f, b, 4096, 0, IO_WRITE_DSYNC), 4096);
        rig_cut(&r);
        uint8_t c[8192] = {0};
        int64_t n = sim_disk_read(r.h, "/a", 0, c, 8192);
        assert_int_equal(n, 8192); // the size was known when the write completed
        for (unsigned k = 0; k < 4096; k++)
            assert_int_equal(c[k], 'n');
        for (unsigned k = 4096; k < 8192; k++) {
            assert_true(c[k] == 0 || c[k] == 'n');
            lost += c[k] == 0;
        }
        rig_down(&r);
    }
    assert_true(lost > 0);
    free(b);
}

static void a_write_in_flight_tears(void **state)
{
    (void)state;
    unsigned old = 0, new = 0, garbage = 0, unreadable = 0;
    uint8_t *b = blocks(1, 'n');
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        sim_world_faults(r.w)->garbage_unsynced = 0;
        io_file f = durable_file(&r, "/a", 3, 'o');
        struct waiter w;
        io_write(r.io, waiter_start(&w), f, b, 4096, 4096, IO_WRITE_DSYNC);
        rig_cut(&r);
        assert_int_equal(w.times, 0);
        for (unsigned at = 0; at < 12288; at += 512) {
            uint8_t c[512];
            int64_t n = sim_disk_read(r.h, "/a", at, c, 512);
            bool inside = at >= 4096 && at < 8192;
            if (n == -EIO) {
                assert_true(inside);
                unreadable++;
                continue;
            }
            assert_int_equal(n, 512);
            bool is_old = c[0] == 'o' && memcmp(c, c + 1, 511) == 0;
            bool is_new = c[0] == 'n' && memcmp(c, c + 1, 511) == 0;
            assert_true(inside || is_old);
            old += inside && is_old;
            new += is_new;
            garbage += !is_old && !is_new;
        }
        rig_down(&r);
    }
    assert_true(old > 100 && new > 100 && garbage > 50 && unreadable > 20);
    free(b);
}

static void an_unreadable_sector_heals_when_written(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 3);
    io_file f = durable_file(&r, "/a", 1, 'o');
    uint8_t *b = blocks(1, 'n');
    assert_int_equal(sim_disk_break(r.h, "/a", 1024), 0);
    assert_int_equal(t_read(r.io, f, b, 4096, 0), -EIO);
    memset(b, 'n', 4096);
    assert_int_equal(t_write(r.io, f, b, 4096, 0, 0), 4096);
    assert_int_equal(t_read(r.io, f, b, 4096, 0), 4096);
    assert_int_equal(b[1024], 'n');
    free(b);
    rig_down(&r);
}

static void sizes_and_allocations_are_lost_on_their_own(void **state)
{
    (void)state;
    unsigned size_lost = 0, size_kept = 0, holes = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        io_file f = durable_file(&r, "/a", 1, 'o');
        assert_int_equal(t_fallocate(r.io, f, 4096, 8 * 4096), 0);
        uint64_t used = sim_disk_used(r.h);
        assert_int_equal(used, 9 * 4096);
        rig_cut(&r);
        int64_t size = sim_disk_size(r.h, "/a");
        assert_true(size == 4096 || size == 9 * 4096);
        size_lost += size == 4096;
        size_kept += size != 4096;
        holes += size != 4096 && sim_disk_used(r.h) < used;
        uint8_t c[4096];
        for (int64_t at = 4096; at < size; at += 4096) {
            assert_int_equal(sim_disk_read(r.h, "/a", (uint64_t)at, c, 4096), 4096);
            assert_int_equal(c[0], 0);
        }
        rig_down(&r);
    }
    assert_true(size_lost > 10 && size_kept > 10 && holes > 10);
}

static void a_synced_allocation_stays(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        io_file f = durable_file(&r, "/a", 0, 0);
        assert_int_equal(t_fallocate(r.io, f, 0, 4 * 4096), 0);
        assert_int_equal(t_fsync(r.io, f, true), 0);
        rig_cut(&r);
        assert_int_equal(sim_disk_size(r.h, "/a"), 4 * 4096);
        assert_int_equal(sim_disk_used(r.h), 4 * 4096);
        f = t_open(r.io, "/a", IO_RDWR | IO_DIRECT);
        uint8_t *b = blocks(1, 'x');
        assert_int_equal(t_write(r.io, f, b, 4096, 8192, 0), 4096);
        assert_int_equal(sim_world_stats(r.w)->extending_writes, 0);
        assert_int_equal(t_write(r.io, f, b, 4096, 16384, 0), 4096);
        assert_int_equal(sim_world_stats(r.w)->extending_writes, 1);
        free(b);
        rig_down(&r);
    }
}

static void truncation_cuts_and_may_be_lost(void **state)
{
    (void)state;
    unsigned lost = 0, kept = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        sim_world_faults(r.w)->garbage_unsynced = 0;
        io_file f = durable_file(&r, "/a", 3, 'o');
        assert_int_equal(t_ftruncate(r.io, f, 5000), 0);
        assert_int_equal(sim_disk_size(r.h, "/a"), 5000);
        assert_int_equal(sim_disk_used(r.h), 8192);
        if (seed % 2)
            assert_int_equal(t_fsync(r.io, f, false), 0);
        rig_cut(&r);
        int64_t size = sim_disk_size(r.h, "/a");
        assert_true(size == 5000 || (seed % 2 == 0 && size == 12288));
        lost += size != 5000;
        kept += size == 5000;
        uint8_t c[12288];
        assert_int_equal(sim_disk_read(r.h, "/a", 0, c, sizeof(c)), size);
        for (unsigned k = 0; k < 5000; k++)
            assert_int_equal(c[k], 'o');
        // What was cut off never comes back as anything but zeros or what it was.
        f = t_open(r.io, "/a", IO_RDWR);
        if (size == 5000) {
            assert_int_equal(t_ftruncate(r.io, f, 12288), 0);
            assert_int_equal(sim_disk_read(r.h, "/a", 0, c, sizeof(c)), 12288);
            for (unsigned k = 5000; k < 12288; k++)
                assert_int_equal(c[k], 0);
        }
        rig_down(&r);
    }
    assert_true(lost > 20 && kept > 20);
}

static void the_disk_fills_and_heals(void **state)
{
    (void)state;
    struct sim_config cfg;
    sim_config_default(&cfg, 5);
    cfg.disk_bytes = 8 * 4096;
    struct rig r;
    rig_up(&r, &cfg);
    io_file f = durable_file(&r, "/a", 4, 'o');
    assert_int_equal(t_fallocate(r.io, f, 16384, 5 * 4096), -ENOSPC);
    assert_int_equal(t_fallocate(r.io, f, 16384, 4 * 4096), 0);
    io_file g = t_open(r.io, "/b", IO_RDWR | IO_CREATE);
    assert_int_equal(t_write(r.io, g, "x", 1, 0, 0), -ENOSPC);
    assert_int_equal(t_unlink(r.io, "/a", false), 0);
    assert_int_equal(t_write(r.io, g, "x", 1, 0, 0), -ENOSPC); // still open
    assert_int_equal(t_close(r.io, f), 0);
    assert_int_equal(t_write(r.io, g, "x", 1, 0, 0), 1);
    sim_world_faults(r.w)->enospc = 1000000;
    assert_int_equal(t_fallocate(r.io, g, 0, 8192), -ENOSPC);
    assert_int_equal(t_write(r.io, g, "y", 1, 0, 0), 1); // nothing to allocate
    rig_down(&r);
}

static void faults_are_injected_when_asked(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 9);
    io_file f = durable_file(&r, "/a", 8, 'o');
    struct sim_faults *fl = sim_world_faults(r.w);
    uint8_t *b = blocks(8, 'n');
    fl->short_write = 1000000;
    int n = t_write(r.io, f, b, 8 * 4096, 0, 0);
    assert_true(n >= 4096 && n < 8 * 4096 && n % 4096 == 0);
    fl->short_write = 0;
    fl->short_read = 1000000;
    n = t_read(r.io, f, b, 8 * 4096, 0);
    assert_true(n >= 4096 && n < 8 * 4096 && n % 4096 == 0);
    fl->short_read = 0;
    fl->eio_read = fl->eio_write = fl->eio_sync = 1000000;
    assert_int_equal(t_read(r.io, f, b, 4096, 0), -EIO);
    assert_int_equal(t_write(r.io, f, b, 4096, 0, 0), -EIO);
    assert_int_equal(t_fsync(r.io, f, true), -EIO);
    fl->eio_read = fl->eio_write = fl->eio_sync = 0;
    memset(b, 'q', 4096);
    fl->lost_write = 1000000;
    assert_int_equal(t_write(r.io, f, b, 4096, 4096, 0), 4096);
    fl->lost_write = 0;
    assert_int_equal(t_read(r.io, f, b, 4096, 4096), 4096);
    assert_int_not_equal(b[0], 'q');
    memset(b, 'r', 4096);
    fl->rot = 1000000;
    assert_int_equal(t_write(r.io, f, b, 4096, 4096, 0), 4096);
    fl->rot = 0;
    assert_int_equal(t_read(r.io, f, b, 4096, 4096), 4096);
    unsigned wrong = 0;
    for (unsigned k = 0; k < 4096; k++)
        wrong += b[k] != 'r';
    assert_int_equal(wrong, 1);
    free(b);
    rig_down(&r);
}

static char fail_text[256];
static void on_fail(void *arg, const char *what)
{
    (void)arg;
    snprintf(fail_text, sizeof(fail_text), "%s", what);
}

static void misuse_is_noticed(void **state)
{
    (void)state;
    struct sim_config cfg;
    sim_config_default(&cfg, 4);
    cfg.on_fail = on_fail;
    struct rig r;
    rig_up(&r, &cfg);
    io_file f = durable_file(&r, "/a", 1, 'o');
    uint8_t *b = blocks(1, 'n');
    struct waiter w;
    io_write(r.io, waiter_start(&w), f, b, 4096, 0, 0);
    b[100] = 'z';
    wait_for(r.io, &w);
    assert_non_null(strstr(fail_text, "changed while it was in flight"));
    assert_int_equal(t_close(r.io, f), 0);
    assert_int_equal(t_read(r.io, f, b, 4096, 0), -EBADF);
    assert_non_null(strstr(fail_text, "not open"));
    free(b);
    rig_down(&r);
}

static void clones_and_walks(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 4);
    durable_file(&r, "/a", 2, 'o');
    assert_int_equal(t_mkdir(r.io, "/d"), 0);
    durable_file(&r, "/d/b", 1, 'p');
    struct sim_host *c = sim_host_clone(r.h);
    uint8_t b[4096];
    assert_int_equal(sim_disk_poke(r.h, "/a", 100, "zz", 2), 0);
    assert_int_equal(sim_disk_read(c, "/a", 0, b, 4096), 4096);
    assert_int_equal(b[100], 'o');
    assert_int_equal(sim_disk_read(c, "/d/b", 0, b, 4096), 4096);
    assert_int_equal(b[4095], 'p');
    assert_int_equal(sim_disk_used(c), sim_disk_used(r.h));
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads),
        cmocka_unit_test(direct_io_must_be_aligned),
        cmocka_unit_test(unsynced_bytes_may_go_synced_ones_stay),
        cmocka_unit_test(a_sync_covers_what_was_complete),
        cmocka_unit_test(a_syncfs_covers_all_files),
        cmocka_unit_test(a_sync_survives_a_later_overwrite),
        cmocka_unit_test(dsync_covers_its_own_bytes_and_size),
        cmocka_unit_test(a_write_in_flight_tears),
        cmocka_unit_test(an_unreadable_sector_heals_when_written),
        cmocka_unit_test(sizes_and_allocations_are_lost_on_their_own),
        cmocka_unit_test(a_synced_allocation_stays),
        cmocka_unit_test(truncation_cuts_and_may_be_lost),
        cmocka_unit_test(the_disk_fills_and_heals),
        cmocka_unit_test(faults_are_injected_when_asked),
        cmocka_unit_test(misuse_is_noticed),
        cmocka_unit_test(clones_and_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
