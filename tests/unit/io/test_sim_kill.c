// The simulated kill -9: what stays readable, what lands late, and who holds the lock.
#include "sim_test.h"

#define SEEDS 200

static io_file file_of(struct rig *r, const char *path)
{
    io_file f = t_open(r->io, path, IO_RDWR | IO_CREATE | IO_DIRECT);
    assert_true(f >= 0);
    if (sim_disk_size(r->h, path) == 0)
        assert_int_equal(t_fallocate(r->io, f, 0, 8 * 4096), 0);
    return f;
}

static uint8_t byte_at(struct rig *r, const char *path, uint64_t pos)
{
    uint8_t c;
    assert_int_equal(sim_disk_read(r->h, path, pos, &c, 1), 1);
    return c;
}

static void readable_bytes_stay(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        uint8_t *b = blocks(1, 'n');
        io_file f = file_of(&r, "/a");
        assert_int_equal(t_write(r.io, f, b, 4096, 0, 0), 4096);
        assert_int_equal(t_rename(r.io, "/a", "/b"), 0);
        sim_process_kill(r.p);
        rig_life(&r);
        assert_int_equal(byte_at(&r, "/b", 4095), 'n');
        assert_int_equal(sim_disk_size(r.h, "/a"), -ENOENT);
        free(b);
        rig_down(&r);
    }
}

static void a_dead_process_is_cancelled_and_powerless(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        uint8_t *b = blocks(1, 'n');
        io_file f = file_of(&r, "/a");
        struct waiter w, s, o;
        io_write(r.io, waiter_start(&w), f, b, 4096, 0, 0);
        io_fsync(r.io, waiter_start(&s), f, true);
        io_open(r.io, waiter_start(&o), "/new", IO_RDWR | IO_CREATE, 0600);
        struct io *old = r.io;
        sim_process_kill(r.p);
        assert_true(sim_process_dead(r.p));
        free(b); // the dead process's memory is gone
        assert_int_equal(wait_for(old, &w), -ECANCELED);
        assert_int_equal(wait_for(old, &s), -ECANCELED);
        assert_int_equal(wait_for(old, &o), -ECANCELED);
        assert_int_equal(t_open(old, "/late", IO_RDWR | IO_CREATE), -ECANCELED);
        assert_int_equal(t_unlink(old, "/a", false), -ECANCELED);
        assert_int_equal(t_ftruncate(old, f, 0), -ECANCELED);
        sim_advance(r.w, 1000000000);
        assert_int_equal(sim_disk_size(r.h, "/a"), 8 * 4096);
        assert_int_equal(sim_disk_size(r.h, "/late"), -ENOENT);
        assert_false(sim_disk_busy(r.h));
        rig_down(&r);
    }
}

// One life writes, is killed, and the next takes the lock. Returns how often the old write landed after that.
static unsigned late_after_lock(uint64_t seed, bool registered)
{
    struct rig r;
    rig_seed(&r, seed);
    uint8_t *b = blocks(1, 'n');
    int lock = io_lock_file(r.io, "/lock", false, 0);
    assert_true(lock >= 0);
    assert_int_equal(io_lock_file(r.io, "/lock", false, 1), -EAGAIN);
    if (registered)
        assert_int_equal(io_lock_register(r.io, lock), 0);
    io_file f = file_of(&r, "/a");
    struct waiter w;
    io_write(r.io, waiter_start(&w), f, b, 4096, 0, 0);
    sim_process_kill(r.p);
    rig_life(&r);
    lock = io_lock_file(r.io, "/lock", false, 1000);
    assert_true(lock >= 0);
    bool before = byte_at(&r, "/a", 0) == 'n';
    sim_advance(r.w, 1000000000);
    bool after = byte_at(&r, "/a", 0) == 'n';
    assert_true(after);
    free(b);
    rig_down(&r);
    return !before && after;
}

static void late_writes_and_the_lock(void **state)
{
    (void)state;
    unsigned without = 0, with = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        without += late_after_lock(seed, false);
        with += late_after_lock(seed, true);
    }
    assert_true(without > SEEDS / 2);
    assert_int_equal(with, 0);
}

static void a_registered_lock_makes_the_next_life_wait(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 11);
    uint8_t *b = blocks(1, 'n');
    int lock = io_lock_file(r.io, "/lock", false, 0);
    assert_int_equal(io_lock_register(r.io, lock), 0);
    io_file f = file_of(&r, "/a");
    struct waiter w;
    io_write(r.io, waiter_start(&w), f, b, 4096, 0, 0);
    sim_process_kill(r.p);
    rig_life(&r);
    assert_int_equal(io_lock_file(r.io, "/lock", false, 0), -EAGAIN);
    assert_true(io_lock_file(r.io, "/lock", true, 0) >= 0); // another kind of lock
    uint64_t t0 = sim_now_ns(r.w);
    assert_true(io_lock_file(r.io, "/lock", false, 1000) >= 0);
    assert_true(sim_now_ns(r.w) > t0);
    free(b);
    rig_down(&r);
}

static void unlocking_frees_and_a_clean_exit_too(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 12);
    int lock = io_lock_file(r.io, "/lock", false, 0);
    assert_int_equal(io_lock_register(r.io, lock), 0);
    io_unlock(r.io, lock);
    lock = io_lock_file(r.io, "/lock", false, 0);
    assert_true(lock >= 0);
    assert_int_equal(io_lock_register(r.io, 99), -EBADF);
    io_destroy(r.io);
    sim_process_free(r.p);
    rig_life(&r);
    assert_true(io_lock_file(r.io, "/lock", false, 0) >= 0);
    rig_down(&r);
}

// A power cut after a kill: what was still to land late is torn like any write in flight, and the lock is free.
static void a_power_cut_ends_late_writes(void **state)
{
    (void)state;
    unsigned old = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        rig_seed(&r, seed);
        uint8_t *b = blocks(1, 'n');
        int lock = io_lock_file(r.io, "/lock", false, 0);
        assert_int_equal(io_lock_register(r.io, lock), 0);
        io_file f = file_of(&r, "/a");
        assert_int_equal(t_fsync(r.io, f, false), 0);
        assert_int_equal(t_sync_dir(r.io, "/"), 0);
        struct waiter w;
        io_write(r.io, waiter_start(&w), f, b, 4096, 0, 0);
        sim_process_kill(r.p);
        rig_cut(&r);
        assert_false(sim_disk_busy(r.h));
        uint8_t before = byte_at(&r, "/a", 0);
        old += before != 'n';
        sim_advance(r.w, 1000000000);
        assert_int_equal(byte_at(&r, "/a", 0), before);
        assert_true(io_lock_file(r.io, "/lock", false, 0) >= 0);
        free(b);
        rig_down(&r);
    }
    assert_true(old > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readable_bytes_stay),
        cmocka_unit_test(a_dead_process_is_cancelled_and_powerless),
        cmocka_unit_test(late_writes_and_the_lock),
        cmocka_unit_test(a_registered_lock_makes_the_next_life_wait),
        cmocka_unit_test(unlocking_frees_and_a_clean_exit_too),
        cmocka_unit_test(a_power_cut_ends_late_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
