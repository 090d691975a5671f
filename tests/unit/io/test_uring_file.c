// Files through io_uring: round trips, short reads, errors, budgets, fixed buffers, directories.
#include "io_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include "engine/io/uring/uring_private.h"

static char dir[128];
static char path[256];

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static int32_t op_read(struct io *io, io_file f, void *buf, uint32_t len, uint64_t pos)
{
    struct test_op t;
    test_op_init(&t);
    io_read(io, &t.op, f, buf, len, pos);
    return test_wait(io, &t);
}

static int32_t op_write(struct io *io, io_file f, const void *buf, uint32_t len, uint64_t pos, uint32_t fl)
{
    struct test_op t;
    test_op_init(&t);
    io_write(io, &t.op, f, buf, len, pos, fl);
    return test_wait(io, &t);
}

static int32_t op_fsync(struct io *io, io_file f, bool datasync)
{
    struct test_op t;
    test_op_init(&t);
    io_fsync(io, &t.op, f, datasync);
    return test_wait(io, &t);
}

static int32_t op_stat(struct io *io, const char *p, struct io_stat *st)
{
    struct test_op t;
    test_op_init(&t);
    io_stat(io, &t.op, p, st);
    return test_wait(io, &t);
}

static void test_round_trip(void **state)
{
    struct io *io = test_io();
    char buf[64] = {0};
    io_file f = test_open(io, in_dir("a"), IO_RDWR | IO_CREATE | IO_EXCL);
    assert_true(f >= 0);
    assert_int_equal(op_write(io, f, "hello world", 11, 0, 0), 11);
    assert_int_equal(op_fsync(io, f, true), 0);
    assert_int_equal(op_read(io, f, buf, sizeof(buf), 6), 5); // short: the end
    assert_string_equal(buf, "world");
    assert_int_equal(op_read(io, f, buf, sizeof(buf), 11), 0);
    assert_int_equal(fcntl(f, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    test_close(io, f);
    assert_int_equal(test_open(io, path, IO_RDWR | IO_CREATE | IO_EXCL), -EEXIST);
    assert_int_equal(test_open(io, in_dir("missing"), IO_RDONLY), -ENOENT);
    f = test_open(io, in_dir("a"), IO_RDONLY);
    assert_int_equal(op_write(io, f, "x", 1, 0, 0), -EBADF);
    test_close(io, f);
    assert_int_equal(io_counter(io, IO_CTR_FSYNCS), 1);
    test_io_end(io);
}

static void test_direct(void **state)
{
    struct io *io = test_io();
    uint8_t *w = test_pages(1 << 20);
    uint8_t *r = test_pages(1 << 20);
    struct io_stat st = {0};
    struct test_op t;
    io_file f = test_open(io, in_dir("direct"), IO_RDWR | IO_CREATE | IO_DIRECT);
    assert_true(f >= 0);
    assert_int_equal(fcntl(f, F_GETFL) & O_DIRECT, O_DIRECT);
    test_op_init(&t);
    io_fallocate(io, &t.op, f, 0, 4 << 20);
    assert_int_equal(test_wait(io, &t), 0);
    assert_int_equal(op_stat(io, path, &st), 0);
    assert_int_equal(st.size, 4 << 20);
    assert_true(st.is_reg && !st.is_dir);
    for (int i = 0; i < 1 << 20; i++)
        w[i] = (uint8_t)(i * 7 + i / 4096);
    assert_int_equal(op_write(io, f, w, 1 << 20, 1 << 20, IO_WRITE_DSYNC), 1 << 20);
    assert_int_equal(op_read(io, f, r, 1 << 20, 1 << 20), 1 << 20);
    assert_memory_equal(w, r, 1 << 20);
    assert_int_equal(op_read(io, f, r, 4096, 0), 4096); // allocated, not written: zeros
    assert_true(r[0] == 0 && memcmp(r, r + 1, 4095) == 0);
    assert_int_equal(op_write(io, f, w + 1, 4096, 0, 0), -EINVAL); // not aligned
    test_op_init(&t);
    io_ftruncate(io, &t.op, f, 6000);
    assert_int_equal(test_wait(io, &t), 0);
    assert_int_equal(op_read(io, f, r, 8192, 0), 6000); // a short direct read
    assert_int_equal(io_counter(io, IO_CTR_DSYNC_WRITES), 1);
    test_close(io, f);
    free(w);
    free(r);
    test_io_end(io);
}

// By the operation, where there is one, and by a thread, as on kernels before 6.9.
static void test_ftruncate(void **state)
{
    struct io *io = test_io();
    struct io_stat st;
    struct test_op t;
    io_file f = test_open(io, in_dir("cut"), IO_RDWR | IO_CREATE);
    io_file g = test_open(io, in_dir("cut"), IO_RDONLY);
    for (int thread = 0; thread < 2; thread++) {
        if (thread)
            up_ring(io)->features &= ~(uint32_t)UP_FTRUNCATE;
        for (int len = 10000; len >= 0; len -= 5000) {
            test_op_init(&t);
            io_ftruncate(io, &t.op, f, (uint64_t)len);
            assert_int_equal(test_wait(io, &t), 0);
            assert_int_equal(op_stat(io, in_dir("cut"), &st), 0);
            assert_int_equal(st.size, len);
        }
        test_op_init(&t);
        io_ftruncate(io, &t.op, g, 1);
        assert_int_equal(test_wait(io, &t), -EINVAL);
    }
    test_close(io, f);
    test_close(io, g);
    test_io_end(io);
}

// Handing a synced write over does not wait for the disk's flush, however fast the write itself was.
static void test_dsync_never_waits(void **state)
{
    enum { WRITES = 2000 };
    struct io *io = test_io();
    uint8_t *w = test_pages(4096);
    struct rusage before, after;
    struct test_op t;
    long slept = 0;
    io_file f = test_open(io, in_dir("dsync"), IO_RDWR | IO_CREATE | IO_DIRECT);
    for (uint64_t i = 0; i < 16; i++)
        assert_int_equal(op_write(io, f, w, 4096, i * 4096, IO_WRITE_DSYNC), 4096);
    for (uint64_t i = 0; i < WRITES; i++) {
        test_op_init(&t);
        io_write(io, &t.op, f, w, 4096, i % 16 * 4096, IO_WRITE_DSYNC);
        assert_int_equal(getrusage(RUSAGE_THREAD, &before), 0);
        assert_true(io_poll(io, 0) >= 0);
        assert_int_equal(getrusage(RUSAGE_THREAD, &after), 0);
        slept += after.ru_nvcsw - before.ru_nvcsw;
        assert_int_equal(test_wait(io, &t), 4096);
    }
    print_message("of %d synced writes, %ld waited while they were handed over\n", WRITES, slept);
    assert_true(slept < WRITES / 100); // the kernel may wait for something else
    test_close(io, f);
    free(w);
    test_io_end(io);
}

static void test_writev(void **state)
{
    struct io *io = test_io();
    uint8_t *w = test_pages(3 * 4096);
    uint8_t *r = test_pages(3 * 4096);
    struct test_op t;
    memset(w, 'a', 4096);
    memset(w + 4096, 'b', 4096);
    memset(w + 8192, 'c', 4096);
    const struct iovec iov[2] = {{w + 8192, 4096}, {w, 8192}};
    io_file f = test_open(io, in_dir("vec"), IO_RDWR | IO_CREATE | IO_DIRECT);
    test_op_init(&t);
    io_writev(io, &t.op, f, iov, 2, 0, IO_WRITE_DSYNC);
    assert_int_equal(test_wait(io, &t), 3 * 4096);
    test_op_init(&t);
    io_writev(io, &t.op, f, iov, 1, 3 * 4096, 0);
    assert_int_equal(test_wait(io, &t), 4096);
    assert_int_equal(op_read(io, f, r, 3 * 4096, 4096), 3 * 4096);
    assert_true(r[0] == 'a' && r[4096] == 'b' && r[8192] == 'c');
    test_close(io, f);
    free(w);
    free(r);
    test_io_end(io);
}

static int count_entries(void *arg, const struct io_dirent *e)
{
    int *seen = arg;
    if (strcmp(e->name, "sub") == 0)
        *seen += e->is_dir ? 100 : 1000;
    else
        *seen += 1;
    return strcmp(e->name, "stop") == 0 ? 42 : 0;
}

static void test_names(void **state)
{
    struct io *io = test_io();
    struct test_op t;
    struct io_stat st = {0};
    char to[512], root[256];
    int seen = 0;
    snprintf(root, sizeof(root), "%s/names", dir);
    test_op_init(&t);
    io_mkdir(io, &t.op, root, 0755);
    assert_int_equal(test_wait(io, &t), 0);
    snprintf(to, sizeof(to), "%s/sub", root);
    test_op_init(&t);
    io_mkdir(io, &t.op, to, 0755);
    assert_int_equal(test_wait(io, &t), 0);
    assert_int_equal(op_stat(io, to, &st), 0);
    assert_true(st.is_dir);
    test_close(io, test_open(io, in_dir("names/x"), IO_RDWR | IO_CREATE));
    snprintf(to, sizeof(to), "%s/y", root);
    test_op_init(&t);
    io_rename(io, &t.op, in_dir("names/x"), to);
    assert_int_equal(test_wait(io, &t), 0);
    assert_int_equal(op_stat(io, in_dir("names/x"), &st), -ENOENT);
    assert_int_equal(op_stat(io, to, &st), 0);
    io_file d = test_open(io, root, IO_RDONLY | IO_DIRECTORY);
    assert_int_equal(op_fsync(io, d, false), 0);
    test_close(io, d);
    assert_int_equal(io_listdir(io, root, count_entries, &seen), 0);
    assert_int_equal(seen, 101);
    test_close(io, test_open(io, in_dir("names/stop"), IO_RDWR | IO_CREATE));
    assert_int_equal(io_listdir(io, root, count_entries, &seen), 42);
    assert_int_equal(io_listdir(io, "nowhere/at/all", count_entries, &seen), -ENOENT);
    test_op_init(&t);
    io_unlink(io, &t.op, root, true);
    assert_int_equal(test_wait(io, &t), -ENOTEMPTY);
    test_op_init(&t);
    io_unlink(io, &t.op, to, false);
    assert_int_equal(test_wait(io, &t), 0);
    snprintf(to, sizeof(to), "%s/sub", root);
    test_op_init(&t);
    io_unlink(io, &t.op, to, true);
    assert_int_equal(test_wait(io, &t), 0);
    test_io_end(io);
}

// Far more operations at once than the rings hold: they queue, all complete, and the CQ never overflows.
static void test_budget(void **state)
{
    enum { N = 5000 };
    struct io *io = test_io_with(&(struct uring_config){.entries = 8});
    struct test_op *ops = calloc(N, sizeof(*ops));
    uint32_t *got = calloc(N, sizeof(*got));
    uint32_t *want = calloc(N, sizeof(*want));
    io_file f = test_open(io, in_dir("many"), IO_RDWR | IO_CREATE);
    for (uint32_t i = 0; i < N; i++) {
        want[i] = i * 2654435761u;
        test_op_init(&ops[i]);
        io_write(io, &ops[i].op, f, &want[i], 4, i * 4, 0);
    }
    assert_int_equal(ops[0].runs, 0); // never from inside the call
    assert_true(up_ring(io)->file.used <= up_ring(io)->file.cap);
    assert_non_null(up_ring(io)->file.q.first);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(test_wait(io, &ops[i]), 4);
    for (uint32_t i = 0; i < N; i++) {
        test_op_init(&ops[i]);
        io_read(io, &ops[i].op, f, &got[i], 4, i * 4);
    }
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(test_wait(io, &ops[i]), 4);
        assert_int_equal(ops[i].runs, 1);
    }
    assert_memory_equal(got, want, N * sizeof(*got));
    assert_int_equal(up_ring(io)->file.used, 0);
    test_close(io, f);
    free(ops);
    free(got);
    free(want);
    test_io_end(io);
}

static void test_cancel_queued(void **state)
{
    enum { N = 64 };
    struct io *io = test_io_with(&(struct uring_config){.entries = 4});
    struct test_op ops[N];
    char byte[N];
    int cancelled = 0;
    io_file f = test_open(io, in_dir("cancel"), IO_RDWR | IO_CREATE);
    assert_int_equal(op_write(io, f, "x", 1, 0, 0), 1);
    for (int i = 0; i < N; i++) {
        test_op_init(&ops[i]);
        io_read(io, &ops[i].op, f, &byte[i], 1, 0);
    }
    io_cancel(io, &ops[N - 1].op); // the queue's last, its middle, and one that is with the kernel
    io_cancel(io, &ops[N / 2].op);
    io_cancel(io, &ops[0].op);
    for (int i = 0; i < N; i++) {
        int32_t res = test_wait(io, &ops[i]);
        assert_true(res == 1 || res == -ECANCELED);
        cancelled += res == -ECANCELED;
    }
    assert_true(cancelled >= 2 && cancelled <= 3);
    assert_int_equal(ops[N - 1].res, -ECANCELED);
    assert_int_equal(ops[N / 2].res, -ECANCELED);
    io_cancel(io, &ops[1].op); // done already: nothing happens
    test_close(io, f);
    assert_int_equal(ops[1].runs, 1);
    test_io_end(io);
}

static void test_slabs(void **state)
{
    enum { SLAB = 2 << 20 };
    struct io *io = test_io();
    struct uring *u = up_ring(io);
    uint8_t *p = mmap(NULL, 3 * SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    int rc = io_register_slab(io, p + SLAB, SLAB, 1);
    if (rc < 0) { // RLIMIT_MEMLOCK: refused, and said so
        assert_true(rc == -ENOMEM || rc == -EOPNOTSUPP);
        skip();
    }
    assert_int_equal(io_register_slab(io, p, SLAB, 7), 0);
    assert_int_equal(up_slab_find(u, p, 4096), 7);
    assert_int_equal(up_slab_find(u, p + SLAB - 1, 1), 7);
    assert_int_equal(up_slab_find(u, p + SLAB, SLAB), 1);
    assert_int_equal(up_slab_find(u, p + SLAB - 1, 2), -1); // across two
    assert_int_equal(up_slab_find(u, p + 2 * SLAB, 1), -1);
    assert_int_equal(up_slab_find(u, p - 1, 1), -1);
    io_file f = test_open(io, in_dir("fixed"), IO_RDWR | IO_CREATE | IO_DIRECT);
    memset(p, 0xab, 8192);
    assert_int_equal(op_write(io, f, p, 8192, 0, IO_WRITE_DSYNC), 8192);
    assert_int_equal(op_read(io, f, p + SLAB + 4096, 8192, 0), 8192);
    assert_memory_equal(p, p + SLAB + 4096, 8192);
    assert_int_equal(io_register_slab(io, NULL, 0, 7), 0); // unregistered: a plain buffer again
    assert_int_equal(up_slab_find(u, p, 4096), -1);
    assert_int_equal(op_write(io, f, p, 4096, 0, 0), 4096);
    assert_true(io_register_slab(io, p, SLAB, 1u << 20) < 0); // beyond the table
    test_close(io, f);
    test_io_end(io);
    munmap(p, 3 * SLAB);
}

static void test_clock_random(void **state)
{
    struct io *io = test_io();
    uint8_t a[32] = {0}, b[32] = {0};
    uint64_t t0 = io_now_ns(io);
    assert_int_equal(io_poll(io, 20000000), 0); // nothing to come: the time passes
    uint64_t dt = io_now_ns(io) - t0;
    assert_true(dt >= 19000000 && dt < 5 * TEST_SECOND);
    assert_true(io_wall_ms(io) > 1600000000000);
    io_random(io, a, sizeof(a));
    io_random(io, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    test_io_end(io);
}

static void test_locks(void **state)
{
    struct io *io = test_io();
    int a = io_lock_file(io, in_dir("lock"), false, 0);
    assert_true(a >= 0);
    assert_int_equal(io_lock_register(io, a), 0);
    uint64_t t0 = io_now_ns(io);
    assert_int_equal(io_lock_file(io, path, false, 30), -EAGAIN);
    assert_true(io_now_ns(io) - t0 >= 30000000);
    io_unlock(io, a); // although a ring has it registered
    int b = io_lock_file(io, path, false, 0);
    assert_true(b >= 0);
    io_unlock(io, b);
    int j = io_lock_file(io, in_dir(".lock"), true, 0);
    assert_true(j >= 0);
    pid_t child = fork();
    if (child == 0) { // record locks are per process
        struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR);
        _exit(fcntl(fd, F_SETLK, &fl) < 0 && (errno == EAGAIN || errno == EACCES) ? 7 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    io_unlock(io, j);
    assert_true(io_lock_file(io, "nowhere/lock", false, 0) == -ENOENT);
    test_io_end(io);
}

static int setup(void **state)
{
    test_dir(dir);
    return 0;
}

static int teardown(void **state)
{
    test_dir_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_writev),
        cmocka_unit_test(test_ftruncate),
        cmocka_unit_test(test_dsync_never_waits),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_cancel_queued),
        cmocka_unit_test(test_slabs),
        cmocka_unit_test(test_clock_random),
        cmocka_unit_test(test_locks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
