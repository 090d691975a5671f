// What the files of this folder share.
//
// An operation's state lives in io_op.priv (struct up_op): enough to fill a submission entry later. An op whose entry
// cannot be filled at once, because the submission queue is full or because the operations in flight could post more
// completions than the completion queue holds, waits in a software queue: the completion queue never overflows.
// Files and sockets have a budget each, since receives may wait for ever and must not keep writes from the disk.
#ifndef SLUICE_ENGINE_IO_URING_PRIVATE_H
#define SLUICE_ENGINE_IO_URING_PRIVATE_H

#include <sys/socket.h>
#include <sys/stat.h>

#include "engine/base/err.h"
#include "engine/io/io.h"
#include "engine/io/uring/compat.h"
#include "engine/io/uring/uring.h"

enum up_kind {
    UK_FILE,       // anything on files whose result needs no care
    UK_CALL,       // aux: struct up_call
    UK_STAT,       // aux: struct up_stat
    UK_SOCK,       // socket operations whose result needs no care
    UK_CONNECT,    // aux: struct up_aux with the address; fd is ours until it succeeds
    UK_ACCEPT,     // multishot
    UK_RECV_MULTI, // multishot, provided buffers
    UK_SENDMSG,    // aux: struct up_aux with the msghdr
    UK_SEND_ZC,    // two completions; aux: as UK_SENDMSG, or none
};
enum up_state {
    US_IDLE,    // not with us
    US_QUEUED,  // in a budget's queue
    US_STARVED, // a multishot receive that waits for a provided buffer: starved_drain
    US_LOCAL,   // complete without the kernel; runs in the next poll
    US_FLYING,  // the kernel's
};

// The implementation's view of io_op.priv. The rw_flags word is kept in io_op.buf_id until the op flies.
struct up_op {
    struct io_op *next; // in a queue
    uint8_t opcode;
    uint8_t kind;
    uint8_t state;
    uint8_t sqe_flags;
    uint16_t ioprio;
    uint16_t buf_index; // or the buffer group
    int32_t fd;
    uint32_t len;
    uint64_t off;
    uint64_t addr;
    union {
        void *aux;
        int64_t res; // US_LOCAL
    };
};
_Static_assert(sizeof(struct up_op) == sizeof(((struct io_op *)0)->priv), "up_op fills io_op.priv");

struct up_fifo {
    struct io_op *first;
    struct io_op *last;
};

// Completions that ops of one sort may have outstanding. An op weighs as many as it may post at once.
struct up_budget {
    uint32_t used;
    uint32_t cap;
    struct up_fifo q;
};

// Kernel-visible memory that an op needs beyond its own; recycled.
struct up_aux {
    struct up_aux *next;
    union {
        struct msghdr msg;
        struct sockaddr_storage addr;
    };
};
struct up_stat {
    struct statx stx;
    struct io_stat *out;
};
struct up_call {
    int in; // of the pipe where the thread says the result of its call
    int32_t result;
};
struct up_slab {
    uintptr_t base;
    size_t len;
    uint32_t index;
};

struct uring {
    struct io io;
    struct io_uring ring;
    pid_t owner; // thread that enabled the ring; 0 before
    bool enabled;
    bool self_wake;     // a doorbell to ourselves: the next poll does not wait
    bool writes_staged; // entries that write files are to be submitted
    uint32_t features;
    struct up_budget file;
    struct up_budget sock;
    struct up_fifo local;
    struct up_fifo starved;
    struct up_aux *aux_free;
    int efd; // doorbell from any thread
    uint64_t efd_value;
    bool event_armed;
    // provided buffers
    struct io_uring_buf_ring *br;
    size_t br_bytes;
    uint8_t *bufs;
    size_t bufs_bytes;
    uint32_t buf_n;
    uint32_t buf_size;
    uint32_t buf_out; // with the caller
    bool buf_dry;     // a receive of this poll found none
    // fixed buffers: sorted by address
    bool slots_ok;
    struct up_slab *slabs;
    uint32_t slab_n;
    uint32_t slab_cap;
    bool files_ok; // the table for lock descriptors is registered
    uint32_t lock_n;
    uint64_t ctr[IO_CTR_COUNT];
};

static inline struct up_op *up_of(struct io_op *op)
{
    return (struct up_op *)(void *)op->priv;
}
static inline struct uring *up_ring(struct io *io)
{
    return (struct uring *)(void *)io;
}
static inline void up_count(struct uring *u, uint32_t which)
{
    // One writer; other threads may read.
    __atomic_store_n(&u->ctr[which], u->ctr[which] + 1, __ATOMIC_RELAXED);
}

// Prepares `op`; the caller may then change single fields before up_issue.
static inline struct up_op *up_prep(struct io_op *op, enum up_kind kind, int opcode, int fd, const void *addr,
                                    uint32_t len, uint64_t off, uint32_t rw_flags)
{
    struct up_op *o = up_of(op);
    SL_DASSERT(op->done);
    *o = (struct up_op){.opcode = (uint8_t)opcode,
                        .kind = (uint8_t)kind,
                        .fd = fd,
                        .len = len,
                        .off = off,
                        .addr = (uint64_t)(uintptr_t)addr};
    op->buf_id = rw_flags;
    return o;
}

// ring.c
void up_issue(struct uring *u, struct io_op *op);              // to the kernel, or to a queue
void up_local(struct uring *u, struct io_op *op, int32_t res); // completes in the next poll
struct up_aux *up_aux_get(struct uring *u);                    // NULL on lack of memory
void up_aux_put(struct uring *u, struct up_aux *a);
void up_fifo_push(struct up_fifo *q, struct io_op *op);
struct io_op *up_fifo_pop(struct up_fifo *q);
uint32_t up_cqes_of(enum up_kind kind); // completions that one op may have outstanding

// memory.c
int up_buffers_create(struct uring *u, uint32_t n, uint32_t size);
void up_buffers_destroy(struct uring *u);
void up_buf_return(struct io *io, uint32_t buf_id);
int up_register_slab(struct io *io, void *base, size_t len, uint32_t slab_index);
// Index of the registered slab that holds [buf, buf + len), or -1.
int up_slab_find(const struct uring *u, const void *buf, size_t len);

// file.c
void up_open(struct io *, struct io_op *, const char *path, uint32_t flags, uint32_t mode);
void up_close(struct io *, struct io_op *, io_file f);
void up_read(struct io *, struct io_op *, io_file f, void *buf, uint32_t len, uint64_t pos);
void up_write(struct io *, struct io_op *, io_file f, const void *buf, uint32_t len, uint64_t pos,
              uint32_t fl);
void up_writev(struct io *, struct io_op *, io_file f, const struct iovec *iov, uint32_t n, uint64_t pos,
               uint32_t fl);
void up_fsync(struct io *, struct io_op *, io_file f, bool datasync);
void up_syncfs(struct io *, struct io_op *, io_file f);
int32_t up_call_done(struct up_op *o, int32_t res);
bool up_can_syncfs(struct io *, io_file f);
void up_fallocate(struct io *, struct io_op *, io_file f, uint64_t pos, uint64_t len);
void up_ftruncate(struct io *, struct io_op *, io_file f, uint64_t len);
void up_mkdir(struct io *, struct io_op *, const char *path, uint32_t mode);
void up_rename(struct io *, struct io_op *, const char *from, const char *to);
void up_unlink(struct io *, struct io_op *, const char *path, bool is_dir);
void up_statx(struct io *, struct io_op *, const char *path, struct io_stat *out);
int32_t up_stat_done(struct up_op *o, int32_t res);
int up_listdir(struct io *, const char *path, io_dirent_fn fn, void *arg);
int up_lock_file(struct io *, const char *path, bool java_lock, uint32_t wait_ms);
int up_lock_register(struct io *, int lock);
void up_unlock(struct io *, int lock);

// sock.c
io_sock up_listen(struct io *, const char *host, uint16_t port, uint32_t backlog);
void up_accept(struct io *, struct io_op *, io_sock s);
void up_connect(struct io *, struct io_op *, const char *host, uint16_t port);
int32_t up_connect_done(struct uring *u, struct up_op *o, int32_t res);
void up_recv(struct io *, struct io_op *, io_sock s, void *buf, uint32_t len, bool all);
void up_recv_multi(struct io *, struct io_op *, io_sock s);
void up_send(struct io *, struct io_op *, io_sock s, const struct iovec *iov, uint32_t n, uint32_t fl);
void up_shutdown(struct io *, io_sock s);
void up_abort(struct io *, io_sock s);
void up_close_sock(struct io *, struct io_op *, io_sock s);
int up_sock_name(struct io *, io_sock s, bool peer, char *host, size_t cap, uint16_t *port);

// probe.c
// Says in words why io_uring_setup(2) failed with `err` (positive errno). `disabled`: the value of
// kernel.io_uring_disabled, or -1 when the file is not there; memlock: the limit in bytes.
void up_explain_setup(int err, int disabled, uint64_t memlock, const char *kernel, char *out, size_t cap);
// The same, reading the system's state itself.
void up_explain_setup_here(int err, char *out, size_t cap);
uint32_t up_features_of(struct io_uring *ring);
// Sets a ring up with the best flags that this kernel takes; *flags says which. 0 or -errno. The first up_setup_skip of
// the choices are left out: 0 but in tests of what older kernels get.
extern uint32_t up_setup_skip;
int up_ring_setup(struct io_uring *ring, uint32_t entries, uint32_t cq_entries, uint32_t *flags);

#endif
