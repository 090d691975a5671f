// Fibers: straight-line code on its own stack for cold paths (boot, recovery, roll, checkpoint, topic creation,
// deletion), suspended while its I/O is in flight. The data path uses callbacks, not fibers.
//
// A fiber belongs to one reactor and runs only at step (3) of its turn. Stacks are mmapped with a guard page and
// recycled. Sanitizers are told of every switch.
#ifndef SLUICE_ENGINE_IO_FIBER_H
#define SLUICE_ENGINE_IO_FIBER_H

#include "engine/io/reactor.h"

struct fiber;
struct sbuf;
typedef void (*fiber_fn)(void *arg);

// Starts a fiber on `r`; it first runs at the next step (3). stack: bytes, 0 = 128 KiB. NULL on lack of memory.
// The fiber frees itself when fn returns.
struct fiber *fiber_spawn(struct reactor *r, fiber_fn fn, void *arg, size_t stack);
// The running fiber, or NULL outside of one.
struct fiber *fiber_current(void);
struct reactor *fiber_reactor(struct fiber *f);
// Suspends the running fiber until fiber_wake; a wake that comes first is remembered (one).
void fiber_park(void);
// Parks until *flag is true; whoever sets it calls fiber_wake. A wake that was meant for something else is kept for the
// next fiber_park. The way to wait for a completion.
void fiber_park_until(const bool *flag);
// Makes a parked fiber ready. The reactor's thread only.
void fiber_wake(struct fiber *f);
// Frees the stacks of all fibers of `r` that never finished, without running them: what they hold is lost. For a simulated
// broker that is destroyed; nothing of its io may complete into them afterwards.
void fiber_abandon_all(struct reactor *r);
// Fibers of `r` that have not finished.
uint32_t fiber_count(const struct reactor *r);
void fiber_yield(void); // lets a turn pass
void fiber_sleep(uint64_t ns);

// A wait group for fibers: add before starting, done when finished, wait parks until the count is 0.
struct fiber_wait {
    uint32_t n;
    struct fiber *waiter;
};
void fiber_wait_add(struct fiber_wait *w, uint32_t n);
void fiber_wait_done(struct fiber_wait *w);
void fiber_wait(struct fiber_wait *w);

// A mutex between fibers of one reactor (FIFO).
struct fiber_mutex {
    bool held;
    struct list_node waiters;
};
void fiber_mutex_init(struct fiber_mutex *m);
void fiber_lock(struct fiber_mutex *m);
void fiber_unlock(struct fiber_mutex *m);

// ---- I/O that suspends the running fiber. Results >= 0 or -errno; whole transfers. --------------------------------
io_file fio_open(const char *path, uint32_t flags, uint32_t mode);
int fio_close(io_file f);
int fio_read(io_file f, void *buf, size_t len, uint64_t pos); // bytes read: less than len only at the end
int fio_write(io_file f, const void *buf, size_t len, uint64_t pos, uint32_t flags); // 0: all written
int fio_fsync(io_file f, bool datasync);
int fio_syncfs(io_file f); // io.h
int fio_fallocate(io_file f, uint64_t pos, uint64_t len);
int fio_mkdir(const char *path, uint32_t mode);
int fio_rename(const char *from, const char *to);
int fio_unlink(const char *path, bool is_dir);
int fio_stat(const char *path, struct io_stat *out);
int fio_ftruncate(io_file f, uint64_t len);
// Opens the directory, syncs its entries, closes it (rule S9).
int fio_sync_dir(const char *path);
// The same for the directory that holds `path`; a slash at its end does not count.
int fio_sync_parent(const char *path);
// Appends the names in a directory that `want` takes, each with its NUL: for who changes the directory while going through them.
// NULL takes all. 0 or -errno.
int fio_names(const char *path, bool (*want)(void *arg, const struct io_dirent *e), void *arg,
              struct sbuf *names);
// Writes a whole small file durably: temporary name in the same directory, fsync, rename, sync of the directory.
int fio_write_file(const char *path, const void *buf, size_t len);
// The same but for the directory, which the caller syncs: before that, a crash may bring the old file back. Without `sync` a
// crash may leave the name with a damaged file, until the caller's fio_syncfs.
int fio_put_file(const char *path, const void *buf, size_t len, bool sync);
// Reads a whole file of at most `limit` bytes into a malloc'd buffer (NUL added after the end). -EFBIG above it.
int fio_read_file(const char *path, size_t limit, uint8_t **buf, size_t *len);

#endif
