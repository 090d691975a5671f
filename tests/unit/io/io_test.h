// What the tests of engine/io over the kernel share: an io, an op that remembers its results, a temporary directory.
#ifndef SLUICE_TESTS_IO_TEST_H
#define SLUICE_TESTS_IO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/err.h"
#include "engine/io/io.h"
#include "engine/io/uring/uring.h"

#define TEST_SECOND 1000000000ull

// An op whose completions are kept.
struct test_op {
    struct io_op op;
    int32_t res;   // of the last done
    uint32_t runs; // how often done ran
    bool done;     // the last one has run (no IO_OP_MORE)
};

static inline void test_op_done(struct io_op *op, int32_t res)
{
    struct test_op *t = SL_CONTAINER_OF(op, struct test_op, op);
    t->res = res;
    t->runs++;
    t->done = !(op->flags & IO_OP_MORE);
}

static inline void test_op_init(struct test_op *t)
{
    memset(t, 0, sizeof(*t));
    t->op.done = test_op_done;
}

static inline struct io *test_io_with(const struct uring_config *cfg)
{
    char err[256] = "";
    struct io *io = uring_create(cfg, err, sizeof(err));
    if (!io)
        fail_msg("uring_create: %s", err);
    return io;
}

static inline struct io *test_io(void)
{
    return test_io_with(&(struct uring_config){.entries = 64, .recv_buffers = 64, .recv_size = 4096});
}

// The end of every test: nothing overflowed.
static inline void test_io_end(struct io *io)
{
    assert_int_equal(io_counter(io, IO_CTR_CQ_OVERFLOW), 0);
    io_destroy(io);
}

// Polls until *flag, at most ten seconds.
static inline void test_until(struct io *io, const bool *flag)
{
    uint64_t deadline = io_now_ns(io) + 10 * TEST_SECOND;
    while (!*flag) {
        assert_true(io_now_ns(io) < deadline);
        assert_true(io_poll(io, TEST_SECOND / 10) >= 0);
    }
}

static inline int32_t test_wait(struct io *io, struct test_op *t)
{
    test_until(io, &t->done);
    return t->res;
}

static inline int32_t test_open(struct io *io, const char *path, uint32_t flags)
{
    struct test_op t;
    test_op_init(&t);
    io_open(io, &t.op, path, flags, 0644);
    return test_wait(io, &t);
}

static inline void test_close(struct io *io, io_file f)
{
    struct test_op t;
    test_op_init(&t);
    io_close(io, &t.op, f);
    assert_int_equal(test_wait(io, &t), 0);
}

// A fresh directory on a real file system (tmpfs takes no O_DIRECT on older kernels): below the current one.
static inline void test_dir(char path[128])
{
    snprintf(path, 128, "io-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static inline void test_dir_remove(const char *path)
{
    char cmd[256];
    snprintf(cmd, sizeof(cmd), "rm -rf ./%s", path);
    assert_int_equal(system(cmd), 0);
}

static inline void *test_pages(size_t n)
{
    void *p = NULL;
    assert_int_equal(posix_memalign(&p, 4096, n), 0);
    return p;
}

#endif
