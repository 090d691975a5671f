// I/O that suspends the running fiber: one operation, or as many as it takes.

#include "engine/io/fiber.h"

#include "engine/base/sbuf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The most that one operation is asked for; a multiple of IO_BLOCK.
enum { FIO_CHUNK = 1 << 30 };

struct fio {
    struct io_op op;
    struct io *io;
    struct fiber *f;
    int32_t res;
    bool done;
};

static void fio_done(struct io_op *op, int32_t res)
{
    struct fio *x = SL_CONTAINER_OF(op, struct fio, op);
    x->res = res;
    x->done = true;
    fiber_wake(x->f);
}

static struct fio fio_begin(void)
{
    struct fiber *f = fiber_current();
    SL_ASSERT(f);
    return (struct fio){.op = {.done = fio_done}, .io = reactor_io(fiber_reactor(f)), .f = f};
}

static int32_t fio_end(struct fio *x)
{
    fiber_park_until(&x->done);
    return x->res;
}

// ---- one operation -----------------------------------------------------------------------------------------------

io_file fio_open(const char *path, uint32_t flags, uint32_t mode)
{
    struct fio x = fio_begin();
    io_open(x.io, &x.op, path, flags, mode);
    return fio_end(&x);
}

int fio_close(io_file f)
{
    struct fio x = fio_begin();
    io_close(x.io, &x.op, f);
    return fio_end(&x);
}

int fio_fsync(io_file f, bool datasync)
{
    struct fio x = fio_begin();
    io_fsync(x.io, &x.op, f, datasync);
    return fio_end(&x);
}

int fio_syncfs(io_file f)
{
    struct fio x = fio_begin();
    io_syncfs(x.io, &x.op, f);
    return fio_end(&x);
}

int fio_fallocate(io_file f, uint64_t pos, uint64_t len)
{
    struct fio x = fio_begin();
    io_fallocate(x.io, &x.op, f, pos, len);
    return fio_end(&x);
}

int fio_mkdir(const char *path, uint32_t mode)
{
    struct fio x = fio_begin();
    io_mkdir(x.io, &x.op, path, mode);
    return fio_end(&x);
}

int fio_rename(const char *from, const char *to)
{
    struct fio x = fio_begin();
    io_rename(x.io, &x.op, from, to);
    return fio_end(&x);
}

int fio_unlink(const char *path, bool is_dir)
{
    struct fio x = fio_begin();
    io_unlink(x.io, &x.op, path, is_dir);
    return fio_end(&x);
}

int fio_stat(const char *path, struct io_stat *out)
{
    struct fio x = fio_begin();
    io_stat(x.io, &x.op, path, out);
    return fio_end(&x);
}

int fio_ftruncate(io_file f, uint64_t len)
{
    struct fio x = fio_begin();
    io_ftruncate(x.io, &x.op, f, len);
    return fio_end(&x);
}

// ---- whole transfers ---------------------------------------------------------------------------------------------

int fio_read(io_file f, void *buf, size_t len, uint64_t pos)
{
    size_t got = 0;
    SL_ASSERT(len <= INT32_MAX);
    while (got < len) {
        struct fio x = fio_begin();
        uint32_t n = (uint32_t)SL_MIN(len - got, (size_t)FIO_CHUNK);
        io_read(x.io, &x.op, f, (uint8_t *)buf + got, n, pos + got);
        int32_t res = fio_end(&x);
        if (res == -EINTR || res == -EAGAIN)
            continue;
        // An IO_DIRECT file whose end is not on a block: the read that found it left an odd position, and asking again
        // from there is refused.
        if (res == -EINVAL && got % IO_BLOCK != 0)
            break;
        if (res < 0)
            return res;
        if (res == 0)
            break;
        got += (size_t)res;
    }
    return (int)got;
}

int fio_write(io_file f, const void *buf, size_t len, uint64_t pos, uint32_t flags)
{
    size_t put = 0;
    while (put < len) {
        struct fio x = fio_begin();
        uint32_t n = (uint32_t)SL_MIN(len - put, (size_t)FIO_CHUNK);
        io_write(x.io, &x.op, f, (const uint8_t *)buf + put, n, pos + put, flags);
        int32_t res = fio_end(&x);
        if (res == -EINTR || res == -EAGAIN)
            continue;
        if (res < 0)
            return res;
        if (res == 0)
            return -EIO; // no progress and no reason: never loop on it
        put += (size_t)res;
    }
    return 0;
}

// ---- names and whole files ---------------------------------------------------------------------------------------

int fio_sync_dir(const char *path)
{
    io_file d = fio_open(path, IO_RDONLY | IO_DIRECTORY, 0);
    if (d < 0)
        return d;
    int rc = fio_fsync(d, false);
    int rc2 = fio_close(d);
    return rc < 0 ? rc : rc2;
}

int fio_sync_parent(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n && path[n - 1] != '/')
        n--;
    if (!n)
        return fio_sync_dir(".");
    char *dir = strndup(path, n > 1 ? n - 1 : 1);
    if (!dir)
        return -ENOMEM;
    int rc = fio_sync_dir(dir);
    free(dir);
    return rc;
}

struct naming {
    bool (*want)(void *arg, const struct io_dirent *e);
    void *arg;
    struct sbuf *names;
};

static int add_name(void *arg, const struct io_dirent *e)
{
    struct naming *x = arg;
    return x->want && !x->want(x->arg, e) ? 0 : sbuf_append(x->names, e->name, strlen(e->name) + 1);
}

int fio_names(const char *path, bool (*want)(void *arg, const struct io_dirent *e), void *arg,
              struct sbuf *names)
{
    struct naming x = {want, arg, names};
    return io_listdir(reactor_io(fiber_reactor(fiber_current())), path, add_name, &x);
}

static int write_whole(const char *path, const void *buf, size_t len, bool sync)
{
    io_file f = fio_open(path, IO_RDWR | IO_CREATE | IO_TRUNC, 0644);
    if (f < 0)
        return f;
    int rc = fio_write(f, buf, len, 0, 0);
    if (rc == 0 && sync)
        rc = fio_fsync(f, false);
    int rc2 = fio_close(f);
    return rc < 0 ? rc : rc2;
}

int fio_put_file(const char *path, const void *buf, size_t len, bool sync)
{
    size_t cap = strlen(path) + 5;
    char *tmp = malloc(cap);
    if (!tmp)
        return -ENOMEM;
    snprintf(tmp, cap, "%s.tmp", path);
    int rc = write_whole(tmp, buf, len, sync);
    if (rc == 0)
        rc = fio_rename(tmp, path);
    if (rc < 0)
        (void)fio_unlink(tmp, false);
    free(tmp);
    return rc;
}

int fio_write_file(const char *path, const void *buf, size_t len)
{
    int rc = fio_put_file(path, buf, len, true);
    return rc < 0 ? rc : fio_sync_parent(path);
}

int fio_read_file(const char *path, size_t limit, uint8_t **buf, size_t *len)
{
    struct io_stat st = {0};
    uint8_t *p = NULL;
    io_file f = -1;
    int rc = fio_stat(path, &st);
    if (rc < 0)
        return rc;
    if (st.size > limit || st.size > INT32_MAX - 1)
        return -EFBIG;
    f = fio_open(path, IO_RDONLY, 0);
    if (f < 0)
        return f;
    p = malloc((size_t)st.size + 1);
    rc = p ? fio_read(f, p, (size_t)st.size, 0) : -ENOMEM;
    int rc2 = fio_close(f);
    if (rc < 0 || rc2 < 0) {
        free(p);
        return rc < 0 ? rc : rc2;
    }
    p[rc] = 0;
    *buf = p;
    *len = (size_t)rc;
    return 0;
}
