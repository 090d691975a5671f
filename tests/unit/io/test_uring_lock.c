// Storage rule S1: a flock that is registered in a ring is free only when the ring's writes have landed.
//
// A child takes the lock, registers it and keeps many O_DIRECT writes of ever new content in flight. It is killed at a
// random moment; the parent takes the lock, reads the file, and reads it again later: nothing may have changed. The
// number of changes after a plain flock, which shows what the rule is for, is printed and not judged.
#include "io_test.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>

#include "engine/base/rand.h"

enum { CHUNK = 256 << 10, CHUNKS = 64, FLIGHT = 32, ROUNDS = 12 };

static char dir[128];

static void path_of(char *p, size_t cap, const char *name)
{
    snprintf(p, cap, "%s/%s", dir, name);
}

// ---- the child ---------------------------------------------------------------------------------------------------

struct shot {
    struct io_op op;
    struct io *io;
    io_file f;
    uint8_t *buf;
    uint64_t next;
};

static void shot_fire(struct shot *s)
{
    uint64_t n = s->next++;
    for (size_t at = 0; at < CHUNK; at += 4096)
        memcpy(s->buf + at, &n, sizeof(n));
    io_write(s->io, &s->op, s->f, s->buf, CHUNK, (n % CHUNKS) * CHUNK, 0);
}

static void shot_done(struct io_op *op, int32_t res)
{
    struct shot *s = SL_CONTAINER_OF(op, struct shot, op);
    if (res != CHUNK)
        _exit(9);
    s->next += FLIGHT - 1;
    shot_fire(s);
}

static void child_main(int ready_fd, bool registered)
{
    char p[256];
    struct io *io = test_io();
    static struct shot shots[FLIGHT];
    path_of(p, sizeof(p), "lock");
    int lock = io_lock_file(io, p, false, 10000);
    if (lock < 0 || (registered && io_lock_register(io, lock) != 0))
        _exit(8);
    path_of(p, sizeof(p), "data");
    io_file f = test_open(io, p, IO_RDWR | IO_DIRECT);
    for (uint32_t i = 0; i < FLIGHT; i++) {
        shots[i] =
            (struct shot){.op = {.done = shot_done}, .io = io, .f = f, .buf = test_pages(CHUNK), .next = i};
        memset(shots[i].buf, (int)i, CHUNK);
        shot_fire(&shots[i]);
    }
    io_poll(io, 0);
    if (write(ready_fd, "r", 1) != 1)
        _exit(7);
    for (;;)
        io_poll(io, TEST_SECOND);
}

// ---- the parent --------------------------------------------------------------------------------------------------

static void file_make(void)
{
    char p[256];
    path_of(p, sizeof(p), "data");
    int fd = open(p, O_RDWR | O_CREAT, 0644);
    uint8_t *zero = calloc(1, CHUNK);
    for (int i = 0; i < CHUNKS; i++)
        assert_int_equal(pwrite(fd, zero, CHUNK, (off_t)i * CHUNK), CHUNK);
    assert_int_equal(fsync(fd), 0);
    free(zero);
    close(fd);
}

// The first word of every block, as it is on the disk.
static void file_read(uint64_t *words)
{
    char p[256];
    uint8_t *buf = test_pages(CHUNK);
    size_t n = 0;
    path_of(p, sizeof(p), "data");
    int fd = open(p, O_RDONLY | O_DIRECT);
    assert_true(fd >= 0);
    for (int i = 0; i < CHUNKS; i++) {
        assert_int_equal(pread(fd, buf, CHUNK, (off_t)i * CHUNK), CHUNK);
        for (size_t at = 0; at < CHUNK; at += 4096)
            memcpy(&words[n++], buf + at, 8);
    }
    close(fd);
    free(buf);
}

// One life and death. Returns how many blocks changed after the lock was ours; *wait_ms: how long that took.
static uint32_t round_run(struct io *io, struct sl_rand *rand, bool registered, double *wait_ms)
{
    enum { WORDS = CHUNKS * CHUNK / 4096 };
    static uint64_t before[WORDS], after[WORDS];
    int fds[2];
    char c, p[256];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child_main(fds[1], registered);
    close(fds[1]);
    assert_int_equal(read(fds[0], &c, 1), 1);
    close(fds[0]);
    struct timespec nap = {.tv_nsec = (long)sl_rand_below(rand, 30000000)};
    nanosleep(&nap, NULL);
    uint64_t t0 = io_now_ns(io);
    assert_int_equal(kill(pid, SIGKILL), 0);
    path_of(p, sizeof(p), "lock");
    int lock = io_lock_file(io, p, false, 30000);
    assert_true(lock >= 0);
    *wait_ms = (double)(io_now_ns(io) - t0) / 1e6;
    file_read(before);
    nap.tv_nsec = 150000000;
    nanosleep(&nap, NULL);
    file_read(after);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    io_unlock(io, lock);
    uint32_t changed = 0;
    for (size_t i = 0; i < WORDS; i++)
        changed += before[i] != after[i];
    return changed;
}

static void test_registered_lock(void **state)
{
    struct io *io = test_io();
    struct sl_rand rand;
    double worst = 0;
    uint32_t plain = 0;
    sl_rand_seed(&rand, 1);
    file_make();
    for (int i = 0; i < ROUNDS; i++) {
        double ms;
        assert_int_equal(round_run(io, &rand, true, &ms), 0);
        worst = SL_MAX(worst, ms);
    }
    for (int i = 0; i < 3; i++) {
        double ms;
        plain += round_run(io, &rand, false, &ms);
    }
    printf("  registered: 0 of %d blocks changed in %d rounds, the lock came after at most %.1f ms; plain "
           "flock: %u "
           "blocks changed in 3 rounds\n",
           CHUNKS * CHUNK / 4096, ROUNDS, worst, plain);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_registered_lock)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
