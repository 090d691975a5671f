// The one I/O interface: everything the kernel does for us goes through here.
//
// Two implementations stand behind it: engine/io/uring (the kernel, through io_uring) and engine/io/sim (a seeded
// world with durable and volatile sector images, a clock, and loopback sockets). A `struct io` belongs to one reactor
// and may be used by that reactor's thread only, except where a function says otherwise.
//
// Operations are completion based. The caller embeds a `struct io_op`, sets `done`, and hands it over; the op and every
// buffer it names (paths too) belong to the implementation until `done` runs, cancelled or not. `done` always runs from
// io_poll(), never from inside the call that started the operation. Results are >= 0 or -errno.
//
// Short I/O: read, write, recv and send may transfer less than asked, as the kernel may. The helpers in fiber.h
// (fio_read, fio_write) and the callers on the data path finish them.
#ifndef SLUICE_ENGINE_IO_IO_H
#define SLUICE_ENGINE_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct io;
struct io_op;

// A file or directory handle: a descriptor in uring, an index in the simulator. Negative: none.
typedef int32_t io_file;
// A socket handle, likewise.
typedef int32_t io_sock;

typedef void (*io_done_fn)(struct io_op *op, int32_t res);

// One operation in flight. Zero it, set `done`, keep it alive until `done` ran for the last time.
struct io_op {
    io_done_fn done;
    uint32_t flags;   // out: IO_OP_*
    uint32_t buf_id;  // out: with IO_OP_BUFFER, the provided buffer, to give back with io_buf_return
    uint8_t *buf;     // out: with IO_OP_BUFFER, its bytes
    uint64_t priv[6]; // the implementation's
};
enum {
    IO_OP_MORE = 1u << 0,      // multishot (or zero-copy): `done` will run again for this op
    IO_OP_BUFFER = 1u << 1,    // `buf`/`buf_id` name a provided buffer
    IO_OP_NOTIF = 1u << 2,     // zero-copy send: this is the notification; the buffers are free now. res = 0
    IO_OP_ZC_COPIED = 1u << 3, // with IO_OP_NOTIF: the kernel copied after all
};

// Flags of io_open.
enum {
    IO_RDONLY = 0,
    IO_RDWR = 1u << 0,
    IO_CREATE = 1u << 1,
    IO_EXCL = 1u << 2,
    IO_DIRECT = 1u << 3, // buffers, lengths and positions are then multiples of IO_BLOCK
    IO_DIRECTORY = 1u << 4,
    IO_TRUNC = 1u << 5,
};
enum { IO_BLOCK = 4096 };
// Flags of io_write.
enum { IO_WRITE_DSYNC = 1u << 0 }; // RWF_DSYNC: durable when done (pwritev2(2))
// Flags of io_send.
enum { IO_SEND_ZC = 1u << 0 }; // zero-copy: done runs twice, see IO_OP_MORE and IO_OP_NOTIF

struct io_stat {
    uint64_t size;
    uint32_t links; // names that the file has
    bool is_dir;
    bool is_reg;
};

// One directory entry of io_listdir.
struct io_dirent {
    char name[256];
    bool is_dir;
};
typedef int (*io_dirent_fn)(void *arg,
                            const struct io_dirent *e); // non-zero stops the listing and is returned

// What an implementation provides. Use the io_* wrappers below, not the table.
struct io_vtable {
    const char *name;
    // files: asynchronous
    void (*open)(struct io *, struct io_op *, const char *path, uint32_t flags, uint32_t mode);
    void (*close)(struct io *, struct io_op *, io_file f);
    void (*read)(struct io *, struct io_op *, io_file f, void *buf, uint32_t len, uint64_t pos);
    void (*write)(struct io *, struct io_op *, io_file f, const void *buf, uint32_t len, uint64_t pos,
                  uint32_t fl);
    void (*writev)(struct io *, struct io_op *, io_file f, const struct iovec *iov, uint32_t n, uint64_t pos,
                   uint32_t fl);
    void (*fsync)(struct io *, struct io_op *, io_file f, bool datasync);
    void (*syncfs)(struct io *, struct io_op *, io_file f);
    void (*fallocate)(struct io *, struct io_op *, io_file f, uint64_t pos, uint64_t len);
    void (*ftruncate)(struct io *, struct io_op *, io_file f, uint64_t len);
    void (*mkdir)(struct io *, struct io_op *, const char *path, uint32_t mode);
    void (*rename)(struct io *, struct io_op *, const char *from, const char *to);
    void (*unlink)(struct io *, struct io_op *, const char *path, bool is_dir);
    void (*stat)(struct io *, struct io_op *, const char *path, struct io_stat *out);
    // files: at once (cold paths only)
    bool (*can_syncfs)(struct io *, io_file f);
    int (*listdir)(struct io *, const char *path, io_dirent_fn fn, void *arg);
    int (*lock_file)(struct io *, const char *path, bool java_lock, uint32_t wait_ms);
    int (*lock_register)(struct io *, int lock);
    void (*unlock)(struct io *, int lock);
    // sockets
    io_sock (*listen)(struct io *, const char *host, uint16_t port, uint32_t backlog);
    void (*accept)(struct io *, struct io_op *, io_sock s);
    void (*connect)(struct io *, struct io_op *, const char *host, uint16_t port);
    void (*recv)(struct io *, struct io_op *, io_sock s, void *buf, uint32_t len, bool all);
    void (*recv_multi)(struct io *, struct io_op *, io_sock s);
    void (*buf_return)(struct io *, uint32_t buf_id);
    void (*send)(struct io *, struct io_op *, io_sock s, const struct iovec *iov, uint32_t n, uint32_t fl);
    void (*shutdown)(struct io *, io_sock s);
    void (*abort)(struct io *, io_sock s);
    void (*close_sock)(struct io *, struct io_op *, io_sock s);
    int (*sock_name)(struct io *, io_sock s, bool peer, char *host, size_t host_cap, uint16_t *port);
    void (*cancel)(struct io *, struct io_op *);
    // memory, clock, randomness
    int (*register_slab)(struct io *, void *base, size_t len, uint32_t slab_index);
    uint64_t (*now_ns)(struct io *);
    int64_t (*wall_ms)(struct io *);
    uint64_t (*cpu_ns)(struct io *);
    void (*random)(struct io *, void *buf, size_t len);
    // the loop
    int (*poll)(struct io *, uint64_t wait_ns);
    void (*doorbell)(struct io *from, struct io *to);
    uint64_t (*counter)(struct io *, uint32_t which);
    void (*destroy)(struct io *);
};
struct io {
    const struct io_vtable *vt;
};

// ---- files -------------------------------------------------------------------------------------------------------
// Opens `path`; the result is an io_file. open(2).
static inline void io_open(struct io *io, struct io_op *op, const char *path, uint32_t flags, uint32_t mode)
{
    io->vt->open(io, op, path, flags, mode);
}
// Closes `f`; f is gone whatever the result.
static inline void io_close(struct io *io, struct io_op *op, io_file f)
{
    io->vt->close(io, op, f);
}
// Reads up to `len` bytes at `pos`; 0 at the end of the file.
static inline void io_read(struct io *io, struct io_op *op, io_file f, void *buf, uint32_t len, uint64_t pos)
{
    io->vt->read(io, op, f, buf, len, pos);
}
// Writes up to `len` bytes at `pos`; with IO_WRITE_DSYNC they are durable when done says so.
static inline void io_write(struct io *io, struct io_op *op, io_file f, const void *buf, uint32_t len,
                            uint64_t pos, uint32_t flags)
{
    io->vt->write(io, op, f, buf, len, pos, flags);
}
// As io_write from `n` pieces. `iov` must stay valid until done. On an IO_DIRECT file each piece is block aligned.
static inline void io_writev(struct io *io, struct io_op *op, io_file f, const struct iovec *iov, uint32_t n,
                             uint64_t pos, uint32_t flags)
{
    io->vt->writev(io, op, f, iov, n, pos, flags);
}
// Makes the file's completed writes durable (fdatasync when `datasync`). Covers one file, and only writes whose
// completion was seen before this call. On a directory: its entries.
static inline void io_fsync(struct io *io, struct io_op *op, io_file f, bool datasync)
{
    io->vt->fsync(io, op, f, datasync);
}
// Makes everything durable that was done to the file system of `f` before this call: writes that completed, sizes, names
// (syncfs(2)), what other programs did there included; a thread of its own waits for it. An error that any write-back there
// met since `f` was opened is the result, so open it before the first write that this is to cover. A drive's cache may still
// hold names when it completes: an io_fsync of any file behind it empties that too.
static inline void io_syncfs(struct io *io, struct io_op *op, io_file f)
{
    io->vt->syncfs(io, op, f);
}
// At once. Whether io_syncfs holds its promise there: on file systems known to keep it (ext4, XFS, btrfs, f2fs).
static inline bool io_can_syncfs(struct io *io, io_file f)
{
    return io->vt->can_syncfs(io, f);
}
// Allocates [pos, pos+len) and extends the size to it (fallocate(2), mode 0).
static inline void io_fallocate(struct io *io, struct io_op *op, io_file f, uint64_t pos, uint64_t len)
{
    io->vt->fallocate(io, op, f, pos, len);
}
// Sets the size (ftruncate(2)). Never made by the caller's thread: a file system that discards freed blocks waits for the disk.
static inline void io_ftruncate(struct io *io, struct io_op *op, io_file f, uint64_t len)
{
    io->vt->ftruncate(io, op, f, len);
}
static inline void io_mkdir(struct io *io, struct io_op *op, const char *path, uint32_t mode)
{
    io->vt->mkdir(io, op, path, mode);
}
static inline void io_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
    io->vt->rename(io, op, from, to);
}
// Removes a name; `is_dir`: an empty directory.
static inline void io_unlink(struct io *io, struct io_op *op, const char *path, bool is_dir)
{
    io->vt->unlink(io, op, path, is_dir);
}
static inline void io_stat(struct io *io, struct io_op *op, const char *path, struct io_stat *out)
{
    io->vt->stat(io, op, path, out);
}
// Lists a directory at once, without "." and "..", in no order. Cold paths only. 0, -errno, or what fn returned.
static inline int io_listdir(struct io *io, const char *path, io_dirent_fn fn, void *arg)
{
    return io->vt->listdir(io, path, fn, arg);
}
// Takes an exclusive lock on `path` (created if missing). `java_lock`: an fcntl lock as Java's FileChannel takes it
// (upstream's .lock); else flock(2). Waits up to wait_ms. Returns a lock id >= 0, or -EAGAIN, -errno.
static inline int io_lock_file(struct io *io, const char *path, bool java_lock, uint32_t wait_ms)
{
    return io->vt->lock_file(io, path, java_lock, wait_ms);
}
// Registers a flock taken by any reactor's io in this ring, so that the lock outlives the process until this ring's
// writes have landed (storage rule S1). Called once per reactor before its first write. 0 or -errno.
static inline int io_lock_register(struct io *io, int lock)
{
    return io->vt->lock_register(io, lock);
}
static inline void io_unlock(struct io *io, int lock)
{
    io->vt->unlock(io, lock);
}

// ---- sockets -----------------------------------------------------------------------------------------------------
// Listens on host:port with SO_REUSEPORT, so that every reactor may listen on the same port; port 0 picks one.
// Returns the socket or -errno.
static inline io_sock io_listen(struct io *io, const char *host, uint16_t port, uint32_t backlog)
{
    return io->vt->listen(io, host, port, backlog);
}
// Multishot accept: done runs per connection with the new socket (TCP_NODELAY set) and IO_OP_MORE while it goes on;
// without IO_OP_MORE the caller re-arms.
static inline void io_accept(struct io *io, struct io_op *op, io_sock s)
{
    io->vt->accept(io, op, s);
}
// Connects; the result is the socket.
static inline void io_connect(struct io *io, struct io_op *op, const char *host, uint16_t port)
{
    io->vt->connect(io, op, host, port);
}
// Receives up to `len` bytes into `buf`; 0: the peer closed.
static inline void io_recv(struct io *io, struct io_op *op, io_sock s, void *buf, uint32_t len)
{
    io->vt->recv(io, op, s, buf, len, false);
}
// As io_recv, for who has no use for less than `len`: one completion for all of it, not one for each piece that arrives.
// Fewer bytes may still come back, at the end of the stream or when it is cancelled, but also otherwise.
static inline void io_recv_all(struct io *io, struct io_op *op, io_sock s, void *buf, uint32_t len)
{
    io->vt->recv(io, op, s, buf, len, true);
}
// Multishot receive into provided buffers: done runs with res bytes at op->buf (IO_OP_BUFFER); give each back with
// io_buf_return. Ends (no IO_OP_MORE) on close, error, or -ENOBUFS when the buffers ran dry: re-arm then. An op that is
// armed while every buffer is out starts when one comes back, so re-arming at once does not spin; first come, first served.
static inline void io_recv_multi(struct io *io, struct io_op *op, io_sock s)
{
    io->vt->recv_multi(io, op, s);
}
static inline void io_buf_return(struct io *io, uint32_t buf_id)
{
    io->vt->buf_return(io, buf_id);
}
// Sends the pieces in order; may send less. `iov` and the bytes stay valid until done (with IO_SEND_ZC: until the
// done that carries IO_OP_NOTIF; if the first done has no IO_OP_MORE there is no notification).
static inline void io_send(struct io *io, struct io_op *op, io_sock s, const struct iovec *iov, uint32_t n,
                           uint32_t flags)
{
    io->vt->send(io, op, s, iov, n, flags);
}
// Shuts both directions down at once: operations in flight complete with an error or 0.
static inline void io_shutdown(struct io *io, io_sock s)
{
    io->vt->shutdown(io, s);
}
// As io_shutdown, and the peer sees a reset: what it has not acknowledged is dropped at once, so that zero-copy sends give
// their bytes back although a peer reads nothing.
static inline void io_abort(struct io *io, io_sock s)
{
    io->vt->abort(io, s);
}
static inline void io_close_sock(struct io *io, struct io_op *op, io_sock s)
{
    io->vt->close_sock(io, op, s);
}
// The local (or peer's) address in text. 0 or -errno.
static inline int io_sock_name(struct io *io, io_sock s, bool peer, char *host, size_t cap, uint16_t *port)
{
    return io->vt->sock_name(io, s, peer, host, cap, port);
}
// Asks for an operation to end early; its done still runs (with -ECANCELED, or its result if it was faster). Nothing
// happens if the op has run its last done already (its memory must still be valid).
static inline void io_cancel(struct io *io, struct io_op *op)
{
    io->vt->cancel(io, op);
}

// ---- memory, clock, randomness -----------------------------------------------------------------------------------
// Registers a pool slab as a fixed buffer; a refusal (-ENOMEM: RLIMIT_MEMLOCK) is not fatal: plain buffers are used.
// Reads and writes that lie wholly in a registered slab use it by themselves. base NULL: unregisters the index.
static inline int io_register_slab(struct io *io, void *base, size_t len, uint32_t slab_index)
{
    return io->vt->register_slab(io, base, len, slab_index);
}
// Monotonic nanoseconds. Any thread may call it on its own io.
static inline uint64_t io_now_ns(struct io *io)
{
    return io->vt->now_ns(io);
}
// Wall clock, milliseconds since the epoch: record timestamps.
static inline int64_t io_wall_ms(struct io *io)
{
    return io->vt->wall_ms(io);
}
// CPU time that the calling thread has used, nanoseconds (clock_gettime(2), CLOCK_THREAD_CPUTIME_ID): a system call. In the
// simulated world, where work takes no time, it is the clock.
static inline uint64_t io_cpu_ns(struct io *io)
{
    return io->vt->cpu_ns(io);
}
static inline void io_random(struct io *io, void *buf, size_t len)
{
    io->vt->random(io, buf, len);
}

// ---- the loop ----------------------------------------------------------------------------------------------------
// Submits what is queued, waits up to wait_ns for a completion or a doorbell (0: does not wait), and runs done for
// everything complete. Returns the number of completions run, or -errno.
static inline int io_poll(struct io *io, uint64_t wait_ns)
{
    return io->vt->poll(io, wait_ns);
}
// Wakes the reactor that waits, or is about to wait, in io_poll(to). Called by `from`'s thread; `to` may belong to another
// thread; the bell leaves with `from`'s next io_poll. `from` NULL: from any thread or a signal handler, at once.
static inline void io_doorbell(struct io *from, struct io *to)
{
    to->vt->doorbell(from, to);
}
// Counters kept by the implementation.
enum {
    IO_CTR_SQES,
    IO_CTR_ENTERS,
    IO_CTR_CQES,
    IO_CTR_CQ_OVERFLOW,
    IO_CTR_DOORBELLS,
    IO_CTR_FSYNCS,
    IO_CTR_DSYNC_WRITES,
    IO_CTR_COUNT
};
static inline uint64_t io_counter(struct io *io, uint32_t which)
{
    return io->vt->counter(io, which);
}
static inline void io_destroy(struct io *io)
{
    io->vt->destroy(io);
}

#endif
