// The probe, its words for every refusal, and doorbells between two rings.
#include "io_test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "engine/io/uring/uring_private.h"

static void test_probe(void **state)
{
    struct uring_probe p;
    int rc = uring_probe(&p);
    printf("  %s\n", rc == 0 ? p.line : p.why);
    assert_int_equal(rc, 0); // these tests need it anyway
    assert_string_equal(p.why, "");
    assert_non_null(strstr(p.line, p.kernel));
    assert_non_null(strstr(p.line, "msg_ring=yes"));
    assert_null(strchr(p.line, '\n'));
    assert_true(p.features & UP_RECV_MULTI);
}

static void explain(int err, int disabled, char *out)
{
    up_explain_setup(err, disabled, 8u << 20, "5.4.0-test", out, 512);
}

static void test_words(void **state)
{
    char why[512];
    explain(ENOSYS, -1, why);
    assert_non_null(strstr(why, "5.4.0-test has no io_uring"));
    explain(EPERM, 2, why);
    assert_non_null(strstr(why, "kernel.io_uring_disabled=2"));
    assert_null(strstr(why, "seccomp"));
    explain(EPERM, 1, why);
    assert_non_null(strstr(why, "kernel.io_uring_disabled=1"));
    assert_non_null(strstr(why, "kernel.io_uring_group"));
    explain(EPERM, 0, why);
    assert_non_null(strstr(why, "seccomp profile"));
    assert_non_null(strstr(why, "Docker"));
    explain(EPERM, -1, why);
    assert_non_null(strstr(why, "seccomp profile"));
    explain(ENOMEM, 0, why);
    assert_non_null(strstr(why, "8192 KiB"));
    assert_non_null(strstr(why, "LimitMEMLOCK"));
    explain(EMFILE, 0, why);
    assert_non_null(strstr(why, "ulimit -n"));
    explain(EIO, 0, why);
    assert_non_null(strstr(why, "5.4.0-test"));
}

// What Docker does: io_uring_setup answers EPERM. 0 if the probe then names the profile.
static int probe_under_seccomp(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = SL_ARRAY_LEN(filter), .filter = filter};
    struct uring_probe p;
    char err[512];
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
        return 77;
    if (uring_probe(&p) != -EPERM || !strstr(p.why, "seccomp"))
        return 1;
    struct uring_config cfg = {.entries = 8};
    if (uring_create(&cfg, err, sizeof(err)) || !strstr(err, "seccomp"))
        return 2;
    return 0;
}

static void test_seccomp(void **state)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(probe_under_seccomp());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

// ---- doorbells ---------------------------------------------------------------------------------------------------

static void test_bell_self(void **state)
{
    struct io *io = test_io();
    uint64_t t0 = io_now_ns(io);
    io_doorbell(io, io);
    io_poll(io, 5 * TEST_SECOND);
    io_doorbell(NULL, io); // before the poll that would sleep
    io_poll(io, 5 * TEST_SECOND);
    assert_true(io_now_ns(io) - t0 < 2 * TEST_SECOND);
    test_io_end(io);
}

struct sleeper {
    struct io *io;
    uint64_t woke;
};

static void *sleeper_main(void *arg)
{
    struct sleeper *s = arg;
    io_poll(s->io, 10 * TEST_SECOND);
    s->woke = io_now_ns(s->io);
    return NULL;
}

// One bell each: from another ring, from no ring, and from another ring to one that is not enabled yet.
static void bell_case(bool from_ring, bool early)
{
    struct io *a = test_io();
    struct sleeper s = {.io = test_io()};
    struct timespec nap = {.tv_nsec = 50000000};
    pthread_t t;
    uint64_t t0 = io_now_ns(a);
    if (early) {
        io_doorbell(from_ring ? a : NULL, s.io);
        io_poll(a, 0);
        io_poll(a, 1000000);
    }
    assert_int_equal(pthread_create(&t, NULL, sleeper_main, &s), 0);
    if (!early) {
        nanosleep(&nap, NULL);
        io_doorbell(from_ring ? a : NULL, s.io);
        io_poll(a, 0);
    }
    pthread_join(t, NULL);
    assert_true(s.woke - t0 < 5 * TEST_SECOND);
    assert_int_equal(io_counter(a, IO_CTR_DOORBELLS), from_ring);
    test_io_end(s.io);
    test_io_end(a);
}

static void test_bells(void **state)
{
    bell_case(true, false);
    bell_case(false, false);
    bell_case(true, true);
    bell_case(false, true);
}

// What older kernels get: COOP_TASKRUN, and no flag at all.
static void test_fallbacks(void **state)
{
    for (up_setup_skip = 1; up_setup_skip <= 2; up_setup_skip++) {
        struct io *io = test_io();
        struct uring *u = up_ring(io);
        struct io_stat st = {0};
        struct test_op ops[200];
        assert_false(u->features & UP_DEFER_TASKRUN);
        assert_int_equal(u->ring.flags & IORING_SETUP_COOP_TASKRUN,
                         up_setup_skip == 1 ? IORING_SETUP_COOP_TASKRUN : 0);
        for (int i = 0; i < 200; i++) {
            test_op_init(&ops[i]);
            io_stat(io, &ops[i].op, "/", &st);
        }
        for (int i = 0; i < 200; i++)
            assert_int_equal(test_wait(io, &ops[i]), 0);
        assert_true(st.is_dir);
        test_io_end(io);
        bell_case(true, false);
        bell_case(false, false);
        bell_case(true, true);
    }
    up_setup_skip = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),     cmocka_unit_test(test_words), cmocka_unit_test(test_seccomp),
        cmocka_unit_test(test_bell_self), cmocka_unit_test(test_bells), cmocka_unit_test(test_fallbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
