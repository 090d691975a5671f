// Fibers over the kernel's io: scheduling, wait groups, mutexes, whole transfers, stacks, abandoned fibers.
#include "io_test.h"

#include <sys/resource.h>

#include "engine/base/rand.h"
#include "engine/base/sbuf.h"
#include "engine/io/fiber.h"
#include "engine/io/reactor_private.h"

static char dir[128];
static struct io *io;
static struct reactor_group *g;
static struct reactor *r;

static int rig_make(void **state)
{
    io = test_io();
    g = reactor_group_create(1, &io, 4, NULL);
    r = reactor_group_get(g, 0);
    return 0;
}

static int rig_free(void **state)
{
    assert_int_equal(fiber_count(r), 0);
    reactor_group_destroy(g);
    test_io_end(io);
    return 0;
}

static void run_all(void)
{
    uint64_t deadline = io_now_ns(io) + 60 * TEST_SECOND;
    while (fiber_count(r) > 0) {
        assert_true(io_now_ns(io) < deadline);
        reactor_turn(r, TEST_SECOND / 10);
    }
}

// ---- scheduling --------------------------------------------------------------------------------------------------

static char trace[64];
static void mark(char c)
{
    size_t n = strlen(trace);
    assert_true(n + 1 < sizeof(trace));
    trace[n] = c;
    trace[n + 1] = 0;
}

static void letter(void *arg)
{
    const char *s = arg;
    assert_non_null(fiber_current());
    assert_ptr_equal(fiber_reactor(fiber_current()), r);
    for (; *s; s++) {
        mark(*s);
        fiber_yield();
    }
}

static void test_yield(void **state)
{
    trace[0] = 0;
    assert_non_null(fiber_spawn(r, letter, "abc", 0));
    assert_non_null(fiber_spawn(r, letter, "xyz", 0));
    assert_string_equal(trace, ""); // not before a turn
    assert_null(fiber_current());
    reactor_turn(r, 0);
    assert_string_equal(trace, "ax"); // a yield lets a turn pass
    run_all();
    assert_string_equal(trace, "axbycz");
}

static void parker(void *arg)
{
    mark('p');
    fiber_park();
    mark('q');
    fiber_park();
    mark('r');
}

static void test_park_wake(void **state)
{
    trace[0] = 0;
    struct fiber *f = fiber_spawn(r, parker, NULL, 0);
    fiber_wake(f); // comes first: remembered, once
    fiber_wake(f);
    reactor_turn(r, 0);
    assert_string_equal(trace, "pq");
    reactor_turn(r, 0);
    assert_string_equal(trace, "pq");
    fiber_wake(f);
    assert_string_equal(trace, "pq"); // runs at step 3, not here
    run_all();
    assert_string_equal(trace, "pqr");
}

static void sleepy(void *arg)
{
    const char *s = arg;
    uint64_t t0 = reactor_now(r);
    fiber_sleep((uint64_t)(s[0] - '0') * 10000000);
    assert_true(reactor_now(r) - t0 >= (uint64_t)(s[0] - '0') * 10000000);
    mark(s[0]);
}

static void test_sleep(void **state)
{
    trace[0] = 0;
    fiber_spawn(r, sleepy, "3", 0);
    fiber_spawn(r, sleepy, "1", 0);
    fiber_spawn(r, sleepy, "2", 0);
    run_all();
    assert_string_equal(trace, "123");
}

// A wake for a later park must survive the wait for something else in between.
static void patient(void *arg)
{
    fiber_sleep(5000000);
    mark('s');
    fiber_park(); // woken while it slept
    mark('t');
}

static void test_wake_survives_wait(void **state)
{
    trace[0] = 0;
    struct fiber *f = fiber_spawn(r, patient, NULL, 0);
    reactor_turn(r, 0);
    fiber_wake(f);
    reactor_turn(r, 0);
    assert_string_equal(trace, "");
    run_all();
    assert_string_equal(trace, "st");
}

// ---- wait groups, mutexes ----------------------------------------------------------------------------------------

struct family {
    struct fiber_wait wait;
    struct family *parent;
    int depth;
    uint64_t leaves;
};

static void family_run(void *arg)
{
    struct family *f = arg;
    if (f->depth == 0) {
        fiber_sleep(1000000);
        f->leaves = 1;
    } else {
        struct family child[3];
        for (int i = 0; i < 3; i++) {
            child[i] = (struct family){.parent = f, .depth = f->depth - 1};
            fiber_wait_add(&f->wait, 1);
            assert_non_null(fiber_spawn(r, family_run, &child[i], 0));
        }
        fiber_wait(&f->wait);
        for (int i = 0; i < 3; i++)
            f->leaves += child[i].leaves;
    }
    if (f->parent)
        fiber_wait_done(&f->parent->wait);
}

static void wait_nothing(void *arg)
{
    struct fiber_wait w = {0};
    fiber_wait(&w);
    *(bool *)arg = true;
}

static void test_nested_waits(void **state)
{
    struct family root = {.depth = 5};
    bool done = false;
    fiber_spawn(r, family_run, &root, 0);
    fiber_spawn(r, wait_nothing, &done, 0);
    run_all();
    assert_int_equal(root.leaves, 243);
    assert_true(done);
}

static struct fiber_mutex mutex;
static int inside;
static void locker(void *arg)
{
    fiber_lock(&mutex);
    assert_int_equal(inside, 0);
    inside = 1;
    mark(*(const char *)arg);
    fiber_sleep(1000000);
    fiber_yield();
    assert_int_equal(inside, 1);
    inside = 0;
    fiber_unlock(&mutex);
}

static void test_mutex(void **state)
{
    trace[0] = 0;
    inside = 0;
    fiber_mutex_init(&mutex);
    static const char names[] = "abcdefgh";
    for (int i = 0; i < 8; i++)
        fiber_spawn(r, locker, (void *)(uintptr_t)&names[i], 0);
    run_all();
    assert_string_equal(trace, names); // first come, first served
    assert_false(mutex.held);
}

// ---- many --------------------------------------------------------------------------------------------------------

static uint64_t many_sum;
static uint32_t many_alive, many_peak;

static void one_of_many(void *arg)
{
    uint64_t v = (uint64_t)(uintptr_t)arg;
    volatile char deep[2048];
    struct sl_rand rand;
    many_alive++;
    many_peak = SL_MAX(many_peak, many_alive);
    sl_rand_seed(&rand, v);
    for (size_t i = 0; i < sizeof(deep); i++)
        deep[i] = (char)v;
    for (int i = 0; i < 3; i++) {
        if (sl_rand_below(&rand, 2))
            fiber_yield();
        else
            fiber_sleep(sl_rand_below(&rand, 2000000));
    }
    for (size_t i = 0; i < sizeof(deep); i++)
        assert_int_equal(deep[i], (char)v); // nobody else wrote on this stack
    many_sum += v;
    many_alive--;
}

static void test_ten_thousand(void **state)
{
#ifdef SL_TSAN
    enum { N = 1000 }; // each of its fibers takes several mappings, and their number is limited
#else
    enum { N = 10000 };
#endif
    many_sum = many_alive = many_peak = 0;
    for (uint64_t i = 0; i < N; i++)
        assert_non_null(fiber_spawn(r, one_of_many, (void *)(uintptr_t)i, 0));
    assert_int_equal(fiber_count(r), N);
    run_all();
    assert_int_equal(many_sum, (uint64_t)N * (N - 1) / 2);
    assert_true(many_peak > N / 2);
    // And one after another, on recycled stacks.
    for (uint64_t i = 0; i < 200; i++) {
        assert_non_null(fiber_spawn(r, one_of_many, (void *)(uintptr_t)i, 0));
        run_all();
    }
    assert_true(r->fiber_cached > 0);
}

// ---- stacks ------------------------------------------------------------------------------------------------------

static int depth_reached;
__attribute__((noinline)) static int recurse(int n)
{
    volatile char pad[1024];
    memset((void *)(uintptr_t)pad, n, sizeof(pad));
    depth_reached = n;
    int below = n > 0 ? recurse(n - 1) : 0;
    return below + pad[512] - pad[513];
}

static void deep_run(void *arg)
{
    assert_int_equal(recurse((int)(intptr_t)arg), 0);
}

static void test_big_stack(void **state)
{
    fiber_spawn(r, deep_run, (void *)(intptr_t)1000, 4 << 20);
    run_all();
    assert_int_equal(depth_reached, 0);
}

// A child whose fiber recurses `depth` times; its wait status.
static int child_recurses(int depth)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        struct io *io2 = test_io(); // the parent's ring is the parent's
        struct reactor_group *g2 = reactor_group_create(1, &io2, 4, NULL);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO); // a sanitizer's report of the overflow
        fiber_spawn(reactor_group_get(g2, 0), deep_run, (void *)(intptr_t)depth, 0);
        reactor_turn(reactor_group_get(g2, 0), 0);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_overflow_faults(void **state)
{
    int status = child_recurses(20);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = child_recurses(1000000);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// The rounding mode belongs to a fiber, as the calling convention wants.
#if defined(__x86_64__)
#include <xmmintrin.h>

static void rounder(void *arg)
{
    unsigned mode = *(unsigned *)arg;
    _MM_SET_ROUNDING_MODE(mode);
    for (int i = 0; i < 3; i++) {
        fiber_yield();
        assert_int_equal(_MM_GET_ROUNDING_MODE(), mode);
    }
}

static void test_float_control(void **state)
{
    static unsigned up = _MM_ROUND_UP, down = _MM_ROUND_DOWN;
    fiber_spawn(r, rounder, &up, 0);
    fiber_spawn(r, rounder, &down, 0);
    run_all();
    assert_int_equal(_MM_GET_ROUNDING_MODE(), _MM_ROUND_NEAREST);
}
#else
static void test_float_control(void **state)
{
    skip();
}
#endif

// ---- abandoned ---------------------------------------------------------------------------------------------------

static void forever(void *arg)
{
    for (;;)
        fiber_park();
}

static void test_abandon(void **state)
{
    for (int i = 0; i < 100; i++)
        fiber_spawn(r, i % 2 ? forever : letter, "abcdefghijklmnopqrstuvwxyz", 0);
    trace[0] = 0;
    reactor_turn(r, 0);
    assert_int_equal(fiber_count(r), 100);
    fiber_abandon_all(r);
    assert_int_equal(fiber_count(r), 0);
    assert_false(reactor_turn(r, 0)); // none of them is ready any more
    trace[0] = 0;
    fiber_spawn(r, letter, "ok", 0); // on a stack that was left in the middle
    run_all();
    assert_string_equal(trace, "ok");
}

// ---- I/O ---------------------------------------------------------------------------------------------------------

// The fiber sets the bool that it is given at its end.
static void run_to_end(fiber_fn fn)
{
    bool done = false;
    fiber_spawn(r, fn, &done, 0);
    run_all();
    assert_true(done);
}

static void files_run(void *arg)
{
    char path[256], other[256];
    struct io_stat st;
    uint8_t *buf;
    size_t len;
    char text[100] = {0};
    snprintf(path, sizeof(path), "%s/sub", dir);
    assert_int_equal(fio_mkdir(path, 0755), 0);
    assert_int_equal(fio_mkdir(path, 0755), -EEXIST);
    assert_int_equal(fio_sync_dir(path), 0);
    snprintf(path, sizeof(path), "%s/sub/f", dir);
    io_file f = fio_open(path, IO_RDWR | IO_CREATE, 0644);
    assert_true(f >= 0);
    assert_int_equal(fio_write(f, "0123456789", 10, 0, IO_WRITE_DSYNC), 0);
    assert_int_equal(fio_read(f, text, 100, 3), 7);
    assert_string_equal(text, "3456789");
    assert_int_equal(fio_fsync(f, true), 0);
    assert_int_equal(fio_syncfs(f), 0);
    assert_int_equal(fio_fallocate(f, 0, 100), 0);
    assert_int_equal(fio_stat(path, &st), 0);
    assert_int_equal(st.size, 100);
    assert_int_equal(fio_ftruncate(f, 5), 0);
    assert_int_equal(fio_close(f), 0);
    assert_int_equal(fio_read_file(path, 4, &buf, &len), -EFBIG);
    assert_int_equal(fio_read_file(path, 5, &buf, &len), 0);
    assert_int_equal(len, 5);
    assert_string_equal((char *)buf, "01234");
    free(buf);
    assert_int_equal(fio_write_file(path, "new", 3), 0);
    assert_int_equal(fio_read_file(path, 100, &buf, &len), 0);
    assert_string_equal((char *)buf, "new");
    free(buf);
    snprintf(other, sizeof(other), "%s/sub/f.tmp", dir);
    assert_int_equal(fio_stat(other, &st), -ENOENT);
    snprintf(other, sizeof(other), "%s/none/f", dir);
    assert_int_equal(fio_write_file(other, "new", 3), -ENOENT);
    assert_int_equal(fio_read_file(other, 100, &buf, &len), -ENOENT);
    snprintf(other, sizeof(other), "%s/sub/g", dir);
    assert_int_equal(fio_rename(path, other), 0);
    assert_int_equal(fio_unlink(other, false), 0);
    assert_int_equal(fio_unlink(other, false), -ENOENT);
    assert_int_equal(fio_open("/proc/self/none", IO_RDONLY, 0), -ENOENT);
    f = fio_open("/proc", IO_RDONLY | IO_DIRECTORY, 0);
    assert_false(io_can_syncfs(reactor_io(fiber_reactor(fiber_current())), f)); // it promises nothing
    assert_int_equal(fio_close(f), 0);
    *(bool *)arg = true;
}

static void test_files(void **state)
{
    run_to_end(files_run);
}

// Cutting a file frees blocks, and a file system that discards them waits for the disk: other fibers run meanwhile.
static void ran(void *arg)
{
    *(bool *)arg = true;
}

static void truncate_run(void *arg)
{
    char path[256];
    bool other = false;
    struct io_stat st;
    snprintf(path, sizeof(path), "%s/cut", dir);
    io_file f = fio_open(path, IO_RDWR | IO_CREATE, 0644);
    assert_int_equal(fio_fallocate(f, 0, 1 << 20), 0);
    fiber_spawn(r, ran, &other, 0);
    assert_int_equal(fio_ftruncate(f, 5000), 0);
    assert_true(other);
    assert_int_equal(fio_stat(path, &st), 0);
    assert_int_equal(st.size, 5000);
    assert_int_equal(fio_close(f), 0);
    f = fio_open(path, IO_RDONLY, 0);
    assert_int_equal(fio_ftruncate(f, 0), -EINVAL);
    assert_int_equal(fio_close(f), 0);
    *(bool *)arg = true;
}

static void test_truncation_yields(void **state)
{
    run_to_end(truncate_run);
}

static bool not_called(void *name, const struct io_dirent *e)
{
    return strcmp(e->name, name) != 0;
}

static void names_run(void *arg)
{
    char path[256], file[300];
    struct sbuf names;
    sbuf_init(&names);
    snprintf(path, sizeof(path), "%s/names", dir);
    assert_int_equal(fio_mkdir(path, 0755), 0);
    for (const char *c = "ab"; *c; c++) {
        snprintf(file, sizeof(file), "%s/%c", path, *c);
        assert_int_equal(fio_write_file(file, "x", 1), 0);
    }
    assert_int_equal(fio_names(path, NULL, NULL, &names), 0);
    assert_int_equal(names.len, 4);
    sbuf_reset(&names);
    assert_int_equal(fio_names(path, not_called, "a", &names), 0);
    assert_int_equal(names.len, 2);
    assert_string_equal(names.data, "b");
    sbuf_free(&names);
    assert_int_equal(fio_names("/nowhere", NULL, NULL, &names), -ENOENT);
    assert_int_equal(fio_sync_parent(path), 0);
    strcat(path, "//");
    assert_int_equal(fio_sync_parent(path), 0);
    assert_int_equal(fio_sync_parent("/nowhere"), 0);
    assert_int_equal(fio_sync_parent("nowhere"), 0);
    assert_int_equal(fio_sync_parent("/"), 0);
    assert_int_equal(fio_sync_parent("/nowhere/x/"), -ENOENT);
    *(bool *)arg = true;
}

static void test_names(void **state)
{
    run_to_end(names_run);
}

// A file whose end is not on a block, read with O_DIRECT: whole, in the face of the odd position.
static void direct_run(void *arg)
{
    char path[256];
    uint8_t *p = test_pages(16384);
    snprintf(path, sizeof(path), "%s/odd", dir);
    io_file f = fio_open(path, IO_RDWR | IO_CREATE | IO_DIRECT, 0644);
    memset(p, 'z', 8192);
    assert_int_equal(fio_write(f, p, 8192, 0, IO_WRITE_DSYNC), 0);
    assert_int_equal(fio_ftruncate(f, 5001), 0);
    memset(p, 0, 16384);
    assert_int_equal(fio_read(f, p, 16384, 0), 5001);
    assert_int_equal(p[5000], 'z');
    assert_int_equal(fio_read(f, p, 4096, 8192), 0);
    assert_int_equal(fio_close(f), 0);
    free(p);
    *(bool *)arg = true;
}

static void test_direct_end(void **state)
{
    run_to_end(direct_run);
}

// Many fibers at once, each with files of its own, on a small ring.
static int many_files_ok;
static void many_files_run(void *arg)
{
    char path[256], text[64];
    uint8_t *buf;
    size_t len;
    snprintf(path, sizeof(path), "%s/m%d", dir, (int)(intptr_t)arg);
    snprintf(text, sizeof(text), "file %d", (int)(intptr_t)arg);
    io_file f = fio_open(path, IO_RDWR | IO_CREATE, 0644);
    assert_true(f >= 0);
    assert_int_equal(fio_write(f, text, strlen(text), 0, 0), 0);
    assert_int_equal(fio_close(f), 0);
    assert_int_equal(fio_read_file(path, 64, &buf, &len), 0);
    assert_string_equal((char *)buf, text);
    free(buf);
    assert_int_equal(fio_unlink(path, false), 0);
    many_files_ok++;
}

static void test_many_files(void **state)
{
    enum { N = 500 };
    many_files_ok = 0;
    for (intptr_t i = 0; i < N; i++)
        fiber_spawn(r, many_files_run, (void *)i, 0);
    run_all();
    assert_int_equal(many_files_ok, N);
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

#define FIBER_TEST(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIBER_TEST(test_yield),
        FIBER_TEST(test_park_wake),
        FIBER_TEST(test_sleep),
        FIBER_TEST(test_wake_survives_wait),
        FIBER_TEST(test_nested_waits),
        FIBER_TEST(test_mutex),
        FIBER_TEST(test_ten_thousand),
        FIBER_TEST(test_big_stack),
        FIBER_TEST(test_overflow_faults),
        FIBER_TEST(test_float_control),
        FIBER_TEST(test_abandon),
        FIBER_TEST(test_files),
        FIBER_TEST(test_truncation_yields),
        FIBER_TEST(test_names),
        FIBER_TEST(test_direct_end),
        FIBER_TEST(test_many_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
