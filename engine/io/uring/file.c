// Files: one submission entry each; what io_uring lacks on 6.1 is made by a thread, or at once where nothing waits.

#include "engine/io/uring/uring_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/log.h"

static int open_flags_of(uint32_t flags)
{
    int f = O_CLOEXEC;
    f |= flags & IO_RDWR ? O_RDWR : O_RDONLY;
    f |= flags & IO_CREATE ? O_CREAT : 0;
    f |= flags & IO_EXCL ? O_EXCL : 0;
    f |= flags & IO_DIRECT ? O_DIRECT : 0;
    f |= flags & IO_DIRECTORY ? O_DIRECTORY : 0;
    f |= flags & IO_TRUNC ? O_TRUNC : 0;
    return f;
}

void up_open(struct io *io, struct io_op *op, const char *path, uint32_t flags, uint32_t mode)
{
    up_prep(op, UK_FILE, IORING_OP_OPENAT, AT_FDCWD, path, mode, 0, (uint32_t)open_flags_of(flags));
    up_issue(up_ring(io), op);
}

void up_close(struct io *io, struct io_op *op, io_file f)
{
    SL_ASSERT(f >= 0);
    up_prep(op, UK_FILE, IORING_OP_CLOSE, f, NULL, 0, 0, 0);
    up_issue(up_ring(io), op);
}

void up_read(struct io *io, struct io_op *op, io_file f, void *buf, uint32_t len, uint64_t pos)
{
    struct uring *u = up_ring(io);
    int slab = up_slab_find(u, buf, len);
    struct up_op *o =
        up_prep(op, UK_FILE, slab >= 0 ? IORING_OP_READ_FIXED : IORING_OP_READ, f, buf, len, pos, 0);
    o->buf_index = slab >= 0 ? (uint16_t)slab : 0;
    up_issue(u, op);
}

static uint32_t write_flags(struct uring *u, uint32_t fl)
{
    if (!(fl & IO_WRITE_DSYNC))
        return 0;
    up_count(u, IO_CTR_DSYNC_WRITES);
    return RWF_DSYNC;
}

void up_write(struct io *io, struct io_op *op, io_file f, const void *buf, uint32_t len, uint64_t pos,
              uint32_t fl)
{
    struct uring *u = up_ring(io);
    int slab = up_slab_find(u, buf, len);
    struct up_op *o = up_prep(op, UK_FILE, slab >= 0 ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE, f, buf, len,
                              pos, write_flags(u, fl));
    o->buf_index = slab >= 0 ? (uint16_t)slab : 0;
    up_issue(u, op);
}

void up_writev(struct io *io, struct io_op *op, io_file f, const struct iovec *iov, uint32_t n, uint64_t pos,
               uint32_t fl)
{
    if (n == 1 && iov[0].iov_len <= INT32_MAX) {
        up_write(io, op, f, iov[0].iov_base, (uint32_t)iov[0].iov_len, pos, fl);
        return;
    }
    struct uring *u = up_ring(io);
    up_prep(op, UK_FILE, IORING_OP_WRITEV, f, iov, n, pos, write_flags(u, fl));
    up_issue(u, op);
}

void up_fsync(struct io *io, struct io_op *op, io_file f, bool datasync)
{
    struct uring *u = up_ring(io);
    up_count(u, IO_CTR_FSYNCS);
    up_prep(op, UK_FILE, IORING_OP_FSYNC, f, NULL, 0, 0, datasync ? IORING_FSYNC_DATASYNC : 0);
    up_issue(u, op);
}

// ---- what io_uring has no operation for: a thread makes the call, and its word is read from a pipe ------------------------
enum call_kind { CALL_SYNCFS, CALL_FTRUNCATE };

// The thread shares no memory with the reactor: it owns this.
struct call_job {
    enum call_kind kind;
    int fd; // the caller's
    int out;
    uint64_t len;
};

static void *call_thread(void *arg)
{
    struct call_job job = *(struct call_job *)arg;
    free(arg);
    int32_t rc =
        (job.kind == CALL_SYNCFS ? syncfs(job.fd) : ftruncate(job.fd, (off_t)job.len)) < 0 ? -errno : 0;
    while (write(job.out, &rc, sizeof(rc)) < 0 && errno == EINTR)
        ;
    close(job.out);
    return NULL;
}

static int call_spawn(const struct call_job *of)
{
    struct call_job *job = malloc(sizeof(*job));
    pthread_attr_t attr;
    pthread_t t;
    int rc = job ? pthread_attr_init(&attr) : ENOMEM;
    if (rc) {
        free(job);
        return -rc;
    }
    *job = *of;
    rc = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (!rc)
        rc = pthread_create(&t, &attr, call_thread, job);
    if (rc)
        free(job);
    pthread_attr_destroy(&attr);
    return -rc;
}

static void call_issue(struct uring *u, struct io_op *op, enum call_kind kind, io_file f, uint64_t len)
{
    struct up_call *s = calloc(1, sizeof(*s));
    int ends[2] = {-1, -1};
    int rc = s ? 0 : -ENOMEM;
    SL_ASSERT(f >= 0);
    if (!rc && pipe2(ends, O_CLOEXEC) < 0)
        rc = -errno;
    if (!rc && (rc = call_spawn(&(struct call_job){kind, f, ends[1], len})) != 0) {
        close(ends[0]);
        close(ends[1]);
    }
    if (rc) {
        free(s);
        up_prep(op, UK_FILE, IORING_OP_NOP, -1, NULL, 0, 0, 0);
        up_local(u, op, rc);
        return;
    }
    s->in = ends[0];
    struct up_op *o = up_prep(op, UK_CALL, IORING_OP_READ, s->in, &s->result, sizeof(s->result), 0, 0);
    o->aux = s;
    up_issue(u, op);
}

int32_t up_call_done(struct up_op *o, int32_t res)
{
    struct up_call *s = o->aux;
    int32_t result = res == (int32_t)sizeof(s->result) ? s->result : res < 0 ? res : -EIO;
    close(s->in);
    free(s);
    return result;
}

void up_syncfs(struct io *io, struct io_op *op, io_file f)
{
    struct uring *u = up_ring(io);
    up_count(u, IO_CTR_FSYNCS);
    call_issue(u, op, CALL_SYNCFS, f, 0);
}

void up_ftruncate(struct io *io, struct io_op *op, io_file f, uint64_t len)
{
    struct uring *u = up_ring(io);
    if (!(u->features & UP_FTRUNCATE)) {
        call_issue(u, op, CALL_FTRUNCATE, f, len);
        return;
    }
    up_prep(op, UK_FILE, UC_OP_FTRUNCATE, f, NULL, 0, len, 0);
    up_issue(u, op);
}

// By their magic numbers (statfs(2)): file systems whose sync_fs waits for data and names.
bool up_can_syncfs(struct io *io, io_file f)
{
    static const uint32_t known[] = {0xEF53, 0x58465342, 0x9123683E, 0xF2F52010};
    struct statfs st;
    (void)io;
    if (fstatfs(f, &st) < 0)
        return false;
    for (size_t i = 0; i < SL_ARRAY_LEN(known); i++)
        if ((uint32_t)st.f_type == known[i])
            return true;
    return false;
}

void up_fallocate(struct io *io, struct io_op *op, io_file f, uint64_t pos, uint64_t len)
{
    // The length travels in the address field, the mode in the length field.
    struct up_op *o = up_prep(op, UK_FILE, IORING_OP_FALLOCATE, f, NULL, 0, pos, 0);
    o->addr = len;
    up_issue(up_ring(io), op);
}

void up_mkdir(struct io *io, struct io_op *op, const char *path, uint32_t mode)
{
    up_prep(op, UK_FILE, IORING_OP_MKDIRAT, AT_FDCWD, path, mode, 0, 0);
    up_issue(up_ring(io), op);
}

void up_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
    up_prep(op, UK_FILE, IORING_OP_RENAMEAT, AT_FDCWD, from, (uint32_t)AT_FDCWD, (uint64_t)(uintptr_t)to, 0);
    up_issue(up_ring(io), op);
}

void up_unlink(struct io *io, struct io_op *op, const char *path, bool is_dir)
{
    up_prep(op, UK_FILE, IORING_OP_UNLINKAT, AT_FDCWD, path, 0, 0, is_dir ? AT_REMOVEDIR : 0);
    up_issue(up_ring(io), op);
}

void up_statx(struct io *io, struct io_op *op, const char *path, struct io_stat *out)
{
    struct up_stat *s = calloc(1, sizeof(*s));
    struct up_op *o =
        up_prep(op, UK_STAT, IORING_OP_STATX, AT_FDCWD, path, STATX_TYPE | STATX_SIZE | STATX_NLINK,
                (uint64_t)(uintptr_t)(s ? &s->stx : NULL), 0);
    if (!s) {
        up_local(up_ring(io), op, -ENOMEM);
        return;
    }
    s->out = out;
    o->aux = s;
    up_issue(up_ring(io), op);
}

int32_t up_stat_done(struct up_op *o, int32_t res)
{
    struct up_stat *s = o->aux;
    if (res == 0)
        *s->out = (struct io_stat){.size = s->stx.stx_size,
                                   .links = s->stx.stx_nlink,
                                   .is_dir = S_ISDIR(s->stx.stx_mode),
                                   .is_reg = S_ISREG(s->stx.stx_mode)};
    free(s);
    return res;
}

// ---- at once -----------------------------------------------------------------------------------------------------

static bool entry_is_dir(DIR *d, const struct dirent *e)
{
    struct stat st;
    if (e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int up_listdir(struct io *io, const char *path, io_dirent_fn fn, void *arg)
{
    DIR *d = opendir(path);
    if (!d)
        return -errno;
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) {
            rc = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        struct io_dirent out = {.is_dir = entry_is_dir(d, e)};
        memcpy(out.name, e->d_name, strnlen(e->d_name, sizeof(out.name) - 1));
        rc = fn(arg, &out);
    }
    closedir(d);
    return rc;
}

// ---- locks: the id is the descriptor -----------------------------------------------------------------------------

static int lock_try(int fd, bool java_lock)
{
    if (!java_lock)
        return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    // What FileChannel.lock() takes: a write lock over the whole file.
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    if (fcntl(fd, F_SETLK, &fl) == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

int up_lock_file(struct io *io, const char *path, bool java_lock, uint32_t wait_ms)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    uint64_t deadline = io_now_ns(io) + (uint64_t)wait_ms * 1000000u;
    for (;;) {
        int rc = lock_try(fd, java_lock);
        if (rc == 0)
            return fd;
        if ((rc != -EAGAIN && rc != -EINTR) || io_now_ns(io) >= deadline) {
            close(fd);
            return rc;
        }
        const struct timespec nap = {.tv_nsec = 2000000};
        nanosleep(&nap, NULL);
    }
}

// The ring's file table holds the open file description, and with it the flock, until the ring is torn down; the kernel
// does that only when the ring's last operation has ended (storage rule S1).
int up_lock_register(struct io *io, int lock)
{
    struct uring *u = up_ring(io);
    if (!u->files_ok)
        return -EOPNOTSUPP;
    int rc = io_uring_register_files_update(&u->ring, u->lock_n, &lock, 1); // -EINVAL: the table is full
    if (rc < 0)
        return rc;
    u->lock_n++;
    return 0;
}

void up_unlock(struct io *io, int lock)
{
    SL_ASSERT(lock >= 0);
    // Explicitly: closing alone would leave the lock to the rings that have it registered.
    if (flock(lock, LOCK_UN) < 0)
        sl_log(SL_WARN, "io", "cannot unlock: %s", strerror(errno));
    close(lock);
}
