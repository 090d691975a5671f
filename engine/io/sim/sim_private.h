// The simulator's insides. See sim.h.
//
// One sim_op stands for one operation in flight. It lives on the world's list of disk operations (so that a power cut
// finds it) or hangs on a socket, and on its io's list. When it has a result, a sim_cqe goes to the io's queue; io_poll
// hands it out. After a kill an operation may live on without an io: a late write.
#ifndef SLUICE_ENGINE_IO_SIM_PRIVATE_H
#define SLUICE_ENGINE_IO_SIM_PRIVATE_H

#include "engine/base/heap.h"
#include "engine/base/list.h"
#include "engine/base/rand.h"
#include "engine/io/sim/sim.h"

enum { SIM_SECTOR = 512, SIM_PAGE = 4096, SIM_SECTORS = SIM_PAGE / SIM_SECTOR };

// ---- disk ----------------------------------------------------------------------------------------------------------
// One 4 KiB page of a file. A sector is *dirty* while its volatile state differs from its durable one; `old` then holds
// the durable bytes. A sector whose written bit is clear reads as zeros (hole, or unwritten extent).
struct sim_page {
    struct list_node dirty_node; // on the inode's dirty list while anything is not durable
    uint32_t idx;
    uint8_t dirty, bad; // per sector
    uint8_t written, dur_written;
    bool alloc, dur_alloc;
    uint8_t *cur, *old; // NULL: zeros
    uint32_t alloc_seq;
    uint32_t seq[SIM_SECTORS]; // disk sequence of the last change
};

struct sim_dirent {
    uint32_t hash;
    char *name;
    struct sim_inode *cur, *dur; // volatile and durable meaning; both NULL: dead
};

struct sim_inode {
    struct list_node node; // the disk's
    uint64_t id;
    uint32_t refs;  // handles, entries, directory operations, operations in flight
    uint32_t links; // volatile entries
    uint32_t opens;
    bool is_dir;
    bool charged;  // its pages count as used
    uint8_t drive; // its directory's; 0: the root's
    // file
    uint64_t size, dur_size;
    uint32_t size_seq, dur_size_seq;
    uint32_t sync_upto; // highest sequence covered by a sync in flight
    uint32_t syncs;     // in flight
    struct sim_page **pages;
    uint32_t pages_cap;
    uint32_t pages_alloc;
    struct list_node dirty;
    // directory
    struct sim_dirent *ents;
    uint32_t ents_n, ents_cap;
};

// A change of names that is not durable yet: at `a`, `name_a` becomes `ia`; at `b` (rename only), `name_b` becomes NULL.
struct sim_dirop {
    struct list_node node;
    uint32_t seq;
    struct sim_inode *a, *b;
    char *name_a, *name_b;
    struct sim_inode *ia;
};

struct sim_disk {
    struct sim_world *w;
    uint32_t seq; // of changes; a sync covers what is <= its submission's
    uint32_t
        cached_names; // changes up to here are in the drive's cache: the next sync of anything makes them durable
    uint64_t next_inode;
    uint32_t drives, broken_drives; // how many were mounted; bits
    uint64_t capacity, used;        // pages; capacity 0: no limit
    struct sim_inode *root;
    struct list_node inodes;
    struct list_node dirops; // in order
    struct list_node ops;    // sim_op in flight
    struct list_node locks;
};

struct sim_lock {
    struct list_node node;
    struct sim_inode *ino;
    bool java;
    struct sim_process *proc; // NULL: its process is gone, late writes hold it
    uint32_t holds;           // dead rings with late writes
    int id;
};

struct sim_host {
    struct list_node node;
    struct sim_world *w;
    struct sim_disk disk;
};

// ---- processes -----------------------------------------------------------------------------------------------------
struct sim_handle {
    struct sim_inode *ino; // NULL: closed
    uint32_t flags;
};

enum { SIM_RING_LOCKS = 8 };

// What a ring keeps after its process was killed: the registered locks, until the last late write has landed.
struct sim_grave {
    struct sim_disk *disk;
    uint32_t writes;
    uint32_t locks_n;
    struct sim_lock *locks[SIM_RING_LOCKS];
};

struct sim_cqe {
    struct list_node node;
    struct io_op *op;
    struct sim_op *sop; // to free when this is its last completion; else NULL
    int32_t res;
    uint32_t flags;
    uint32_t buf_id;
    uint8_t *buf;
};

struct sim_io {
    struct io io;
    struct list_node node; // the process's
    struct sim_world *w;
    struct sim_process *p;
    struct list_node ops; // sim_op whose completions this io awaits
    struct list_node cqes;
    bool dead;
    bool bell;
    // scheduling
    uint64_t wake_at; // when idle: the wanted wake-up
    uint64_t stalled_until;
    bool idle; // the last turn ended in a wait
    // registered locks
    uint32_t locks_n;
    struct sim_lock *locks[SIM_RING_LOCKS];
    // provided buffers
    uint8_t *bufs;
    uint32_t *free_bufs;
    uint32_t free_n;
    struct list_node starved; // sim_ops by disk_node: multishot receives armed while every buffer was out
    uint64_t counters[IO_CTR_COUNT];
};

struct sim_process {
    struct list_node node; // the world's
    struct sim_world *w;
    struct sim_host *host; // NULL: client
    struct list_node ios;
    struct list_node socks;
    bool dead;
    uint32_t id;
    struct sim_handle *handles;
    uint32_t handles_n, handles_cap;
    struct sim_sock **socktab;
    uint32_t socktab_n, socktab_cap;
    struct reactor_group *group;
    int next_lock;
};

// ---- operations ------------------------------------------------------------------------------------------------------
enum sim_kind {
    SIM_OPEN = 1,
    SIM_CLOSE,
    SIM_READ,
    SIM_WRITE,
    SIM_FSYNC,
    SIM_SYNCFS,
    SIM_FALLOCATE,
    SIM_FTRUNCATE,
    SIM_MKDIR,
    SIM_RENAME,
    SIM_UNLINK,
    SIM_STAT,
    SIM_ACCEPT,
    SIM_CONNECT,
    SIM_RECV,
    SIM_RECV_MULTI,
    SIM_SEND,
    SIM_CLOSE_SOCK,
    SIM_ZC_NOTIF,
};

struct sim_event {
    struct heap_node node;
    void (*fire)(struct sim_event *e);
    bool armed;
};

// An inode that a syncfs covers, with its size then.
struct sim_covered {
    struct sim_inode *ino;
    uint64_t size;
    uint32_t size_seq;
};

struct sim_op {
    struct list_node io_node;   // sim_io.ops
    struct list_node disk_node; // sim_disk.ops, or a socket's waiting list
    struct sim_event ev;
    struct sim_io *io; // NULL: an orphan
    struct io_op *op;
    struct sim_world *w;
    struct sim_disk *disk;
    enum sim_kind kind;
    uint32_t flags; // of open, write, send
    // files
    struct sim_inode *ino;
    struct sim_grave *grave; // of a late write
    uint64_t pos, len;
    struct iovec iov1;
    struct iovec *iov; // &iov1, or allocated
    uint32_t iov_n;
    uint8_t *copy; // late write: its bytes
    uint64_t hash; // of the bytes at submission
    uint32_t upto; // fsync: covers changes up to it
    uint64_t size;
    uint32_t size_seq;
    bool datasync;
    struct sim_covered *covered; // syncfs: what there was when it was submitted
    uint32_t covered_n;
    char *path, *path2;
    struct io_stat *st;
    io_file file;
    // sockets
    struct sim_sock *sock;
    uint16_t port;
};

// ---- world -------------------------------------------------------------------------------------------------------------
struct sim_record {
    uint64_t t;
    const char *what;
    uint64_t a, b, c;
};

struct sim_world {
    struct sim_config cfg;
    struct sl_rand rng;
    uint64_t now;
    int64_t wall_offset;
    struct heap events;
    struct list_node hosts, procs, listeners;
    struct list_node all_socks; // also those that are closed and still have bytes under way
    struct sim_stats stats;
    uint64_t hash;
    struct sim_record *trace;
    uint64_t trace_n;
    uint32_t next_proc, next_sock;
    uint16_t next_port;
    bool scheduled; // inside sim_run
    bool failed;
    bool closing;         // being destroyed
    uint8_t **free_pages; // recycled page buffers
    uint32_t free_pages_n, free_pages_cap;
};

// ---- sim_world.c
void *sim_alloc(size_t n); // zeroed, panics when memory is short
char *sim_strdup(const char *s);
bool sim_chance(struct sim_world *w, uint32_t ppm); // and counts a fault
uint64_t sim_latency(struct sim_world *w, const struct sim_latency *l);
void sim_event_at(struct sim_world *w, struct sim_event *e, uint64_t at, void (*fire)(struct sim_event *));
void sim_event_cancel(struct sim_world *w, struct sim_event *e);
uint64_t sim_next_event(const struct sim_world *w); // UINT64_MAX: none
void sim_run_due(struct sim_world *w);
uint8_t *sim_page_buf(struct sim_world *w); // 4 KiB, not zeroed
void sim_page_buf_free(struct sim_world *w, uint8_t *b);

// ---- sim_io.c
struct sim_op *sim_op_new(struct sim_io *io, struct io_op *op, enum sim_kind kind);
// Queues a completion; `last`: the sim_op is done with and will be freed when this is handed out.
struct sim_cqe *sim_complete(struct sim_op *o, int32_t res, uint32_t flags, bool last);
// The same for an io_op that has no sim_op (an error at once, a dead io).
void sim_complete_now(struct sim_io *io, struct io_op *op, int32_t res);
void sim_op_free(struct sim_op *o);
static inline struct sim_io *sim_io_of(struct io *io)
{
    return SL_CONTAINER_OF(io, struct sim_io, io);
}
void sim_process_drop(struct sim_process *p); // what kill and free share: ops, sockets, handles, locks
void sim_grave_landed(struct sim_world *w, struct sim_grave *g);

// ---- sim_disk.c: inodes, pages, durability
struct sim_inode *sim_inode_new(struct sim_disk *d, bool is_dir);
static inline struct sim_inode *sim_inode_ref(struct sim_inode *i)
{
    i->refs++;
    return i;
}
void sim_inode_unref(struct sim_disk *d, struct sim_inode *i);
void sim_inode_uncharge(struct sim_disk *d, struct sim_inode *i); // when neither a name nor a handle is left
int sim_inode_read(struct sim_inode *i, uint64_t pos, uint8_t *buf, uint64_t len); // bytes, or -EIO
// Lands bytes; -ENOSPC when a hole cannot be filled.
int sim_inode_write(struct sim_disk *d, struct sim_inode *i, uint64_t pos, const uint8_t *buf, uint64_t len);
bool sim_inode_extends(const struct sim_inode *i, uint64_t pos, uint64_t len);
int sim_inode_allocate(struct sim_disk *d, struct sim_inode *i, uint64_t pos, uint64_t len);
void sim_inode_truncate(struct sim_disk *d, struct sim_inode *i, uint64_t len);
void sim_inode_persist(struct sim_disk *d, struct sim_inode *i, uint32_t upto);
void sim_inode_persist_range(struct sim_disk *d, struct sim_inode *i, uint64_t pos, uint64_t len);
void sim_inode_persist_size(struct sim_inode *i, uint64_t size, uint32_t size_seq);
void sim_inode_clear(struct sim_disk *d, struct sim_inode *i); // frees all pages
// What a power cut leaves of a file.
void sim_inode_cut(struct sim_disk *d, struct sim_inode *i);
void sim_inode_tear(struct sim_disk *d, struct sim_inode *i, uint64_t pos, const struct iovec *iov,
                    uint32_t n,
                    bool direct);                                         // a write in flight at the cut
struct sim_page *sim_inode_page(const struct sim_inode *i, uint64_t idx); // or NULL
void sim_inode_copy(struct sim_disk *to, struct sim_inode *dst, const struct sim_inode *src);

// ---- sim_names.c: directories
void sim_disk_init(struct sim_disk *d, struct sim_world *w);
void sim_disk_free(struct sim_disk *d);
struct sim_inode *sim_lookup(struct sim_disk *d, const char *path, int *err);
// The directory of `path`'s last part, and that part.
struct sim_inode *sim_lookup_parent(struct sim_disk *d, const char *path, const char **name, int *err);
struct sim_inode *sim_dir_find(const struct sim_inode *dir, const char *name);
static inline bool sim_drive_broken(const struct sim_disk *d, const struct sim_inode *i)
{
    return (d->broken_drives >> i->drive & 1) != 0;
}
struct sim_inode *sim_dir_create(struct sim_disk *d, struct sim_inode *dir, const char *name, bool is_dir);
int sim_dir_unlink(struct sim_disk *d, const char *path, bool is_dir);
int sim_dir_rename(struct sim_disk *d, const char *from, const char *to);
void sim_dir_persist(struct sim_disk *d, struct sim_inode *dir, uint32_t upto);
void sim_names_persist(struct sim_disk *d, uint32_t upto);
void sim_dir_drop(struct sim_disk *d, struct sim_inode *dir); // lets go of all entries, in both images
void sim_names_cut(struct sim_disk *d);
void sim_names_settle(struct sim_disk *d);
bool sim_dir_empty(const struct sim_inode *dir);

// ---- sim_file.c: the file half of the vtable
extern const struct io_vtable sim_vtable;
void sim_file_orphan(struct sim_op *o); // its process was killed
void sim_file_open(struct io *, struct io_op *, const char *, uint32_t, uint32_t);
void sim_file_close(struct io *, struct io_op *, io_file);
void sim_file_read(struct io *, struct io_op *, io_file, void *, uint32_t, uint64_t);
void sim_file_write(struct io *, struct io_op *, io_file, const void *, uint32_t, uint64_t, uint32_t);
void sim_file_writev(struct io *, struct io_op *, io_file, const struct iovec *, uint32_t, uint64_t,
                     uint32_t);
void sim_file_fsync(struct io *, struct io_op *, io_file, bool);
void sim_file_syncfs(struct io *, struct io_op *, io_file);
bool sim_file_can_syncfs(struct io *, io_file);
void sim_file_covered_free(struct sim_op *o);
void sim_file_fallocate(struct io *, struct io_op *, io_file, uint64_t, uint64_t);
void sim_file_ftruncate(struct io *, struct io_op *, io_file, uint64_t);
void sim_file_mkdir(struct io *, struct io_op *, const char *, uint32_t);
void sim_file_rename(struct io *, struct io_op *, const char *, const char *);
void sim_file_unlink(struct io *, struct io_op *, const char *, bool);
void sim_file_stat(struct io *, struct io_op *, const char *, struct io_stat *);
int sim_file_listdir(struct io *, const char *, io_dirent_fn, void *);
int sim_file_lock(struct io *, const char *, bool, uint32_t);
int sim_file_lock_register(struct io *, int);
void sim_file_unlock(struct io *, int);
void sim_handles_close(struct sim_process *p);
void sim_locks_drop(struct sim_process *p);
uint64_t sim_iov_hash(const struct iovec *iov, uint32_t n, uint64_t limit);

// ---- sim_sock.c: the socket half
io_sock sim_sock_listen(struct io *, const char *, uint16_t, uint32_t);
void sim_sock_accept(struct io *, struct io_op *, io_sock);
void sim_sock_connect(struct io *, struct io_op *, const char *, uint16_t);
void sim_sock_recv(struct io *, struct io_op *, io_sock, void *, uint32_t, bool);
void sim_sock_recv_multi(struct io *, struct io_op *, io_sock);
void sim_sock_buf_return(struct io *, uint32_t);
void sim_sock_send(struct io *, struct io_op *, io_sock, const struct iovec *, uint32_t, uint32_t);
void sim_sock_shutdown(struct io *, io_sock);
void sim_sock_abort(struct io *, io_sock);
void sim_sock_close(struct io *, struct io_op *, io_sock);
int sim_sock_name(struct io *, io_sock, bool, char *, size_t, uint16_t *);
bool sim_sock_cancel(struct sim_op *o); // false: nothing to cancel there
void sim_socks_kill(struct sim_process *p);
void sim_socks_destroy(struct sim_world *w);

#endif
