// What the simulator's tests share: operations that wait for their result.
#ifndef SLUICE_TESTS_UNIT_IO_SIM_TEST_H
#define SLUICE_TESTS_UNIT_IO_SIM_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/rand.h"
#include "engine/io/sim/sim.h"

// An operation and what came of it.
struct waiter {
    struct io_op op;
    int32_t res;
    uint32_t flags;
    uint32_t times; // completions
    bool done;      // the last one came
};

static inline void waiter_done(struct io_op *op, int32_t res)
{
    struct waiter *w = (struct waiter *)(void *)((char *)op - offsetof(struct waiter, op));
    w->res = res;
    w->flags = op->flags;
    w->times++;
    w->done = (op->flags & IO_OP_MORE) == 0;
}

static inline struct io_op *waiter_start(struct waiter *w)
{
    memset(w, 0, sizeof(*w));
    w->op.done = waiter_done;
    return &w->op;
}

static inline int wait_for(struct io *io, struct waiter *w)
{
    while (!w->done)
        io_poll(io, 1000000000);
    return w->res;
}

static inline io_file t_open(struct io *io, const char *path, uint32_t flags)
{
    struct waiter w;
    io_open(io, waiter_start(&w), path, flags, 0600);
    return wait_for(io, &w);
}

static inline int t_close(struct io *io, io_file f)
{
    struct waiter w;
    io_close(io, waiter_start(&w), f);
    return wait_for(io, &w);
}

static inline int t_write(struct io *io, io_file f, const void *buf, uint32_t len, uint64_t pos,
                          uint32_t flags)
{
    struct waiter w;
    io_write(io, waiter_start(&w), f, buf, len, pos, flags);
    return wait_for(io, &w);
}

static inline int t_read(struct io *io, io_file f, void *buf, uint32_t len, uint64_t pos)
{
    struct waiter w;
    io_read(io, waiter_start(&w), f, buf, len, pos);
    return wait_for(io, &w);
}

static inline int t_fsync(struct io *io, io_file f, bool datasync)
{
    struct waiter w;
    io_fsync(io, waiter_start(&w), f, datasync);
    return wait_for(io, &w);
}

static inline int t_fallocate(struct io *io, io_file f, uint64_t pos, uint64_t len)
{
    struct waiter w;
    io_fallocate(io, waiter_start(&w), f, pos, len);
    return wait_for(io, &w);
}

static inline int t_ftruncate(struct io *io, io_file f, uint64_t len)
{
    struct waiter w;
    io_ftruncate(io, waiter_start(&w), f, len);
    return wait_for(io, &w);
}

static inline int t_mkdir(struct io *io, const char *path)
{
    struct waiter w;
    io_mkdir(io, waiter_start(&w), path, 0700);
    return wait_for(io, &w);
}

static inline int t_rename(struct io *io, const char *from, const char *to)
{
    struct waiter w;
    io_rename(io, waiter_start(&w), from, to);
    return wait_for(io, &w);
}

static inline int t_unlink(struct io *io, const char *path, bool is_dir)
{
    struct waiter w;
    io_unlink(io, waiter_start(&w), path, is_dir);
    return wait_for(io, &w);
}

static inline int t_sync_dir(struct io *io, const char *path)
{
    io_file f = t_open(io, path, IO_DIRECTORY);
    assert_true(f >= 0);
    int rc = t_fsync(io, f, false);
    assert_int_equal(t_close(io, f), 0);
    return rc;
}

// A world with one host and one process.
struct rig {
    struct sim_world *w;
    struct sim_host *h;
    struct sim_process *p;
    struct io *io;
};

static inline void rig_life(struct rig *r)
{
    r->p = sim_process_create(r->w, r->h);
    r->io = sim_io_create(r->p);
}

static inline void rig_up(struct rig *r, const struct sim_config *cfg)
{
    r->w = sim_world_create(cfg);
    assert_non_null(r->w);
    r->h = sim_host_create(r->w);
    rig_life(r);
}

static inline void rig_seed(struct rig *r, uint64_t seed)
{
    struct sim_config cfg;
    sim_config_default(&cfg, seed);
    rig_up(r, &cfg);
}

static inline void rig_down(struct rig *r)
{
    sim_world_destroy(r->w);
}

// The power goes; a new life begins.
static inline void rig_cut(struct rig *r)
{
    sim_power_cut(r->h);
    rig_life(r);
}

static inline uint8_t *blocks(uint32_t n, int fill)
{
    uint8_t *b = aligned_alloc(4096, n * 4096u);
    assert_non_null(b);
    memset(b, fill, n * 4096u);
    return b;
}

#endif
