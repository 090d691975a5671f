// The simulated world behind io.h: disks, loopback sockets, a clock and processes that die, all from one seed.
//
// A world holds hosts (a disk each), and processes (one *life* of a broker, or a client). A process has one `struct io`
// per reactor. Everything runs on one thread; time is virtual and moves only when nothing can run, or a little with
// each turn. The same seed and the same calls give the same events, whose hash is sim_trace_hash.
//
// Disk. Per file and 512-byte sector there is a volatile image (what reads return) and a durable one. Until synced, each
// is lost on its own in a power cut: sector contents, the unwritten-to-written state, allocations, the size; and per
// directory each create, unlink and rename (a rename is lost or kept as one). An fsync covers one file, and only what had
// completed when the fsync was *submitted*; an io_syncfs covers all files, and all names once anything was synced behind
// it; an IO_WRITE_DSYNC write is durable when it completes, its own bytes only.
// At a power cut, a sector that is being written becomes old, new or garbage (random bytes, or unreadable: -EIO);
// one that was written but not synced becomes old or new, now and then garbage too (the drive was destaging it).
//
// Kill. Volatile images stay. Writes in flight land up to `late_ns` later, that is while the next life may be running,
// unless the directory lock was registered in that ring (io_lock_register): then the lock is free only after they
// landed. Other operations in flight happened or did not. Sockets close; their peers see a reset or an end.
// A dead process's io completes each operation with -ECANCELED and does nothing else, so that its owner can be torn down.
//
// Misuse that a kernel would punish silently is a failure here (sim_fail): a buffer changed while a write or a zero-copy
// send was in flight, a handle used after its close.
#ifndef SLUICE_ENGINE_IO_SIM_SIM_H
#define SLUICE_ENGINE_IO_SIM_SIM_H

#include "engine/io/io.h"

struct reactor_group;
struct sim_world;
struct sim_host;    // a machine with one disk
struct sim_process; // one life of a broker on a host, or a client

// How long something takes: uniform in [min, max], and now and then up to `slow`.
struct sim_latency {
    uint64_t min_ns, max_ns;
    uint64_t slow_ns;
    uint32_t slow_ppm;
};

// Faults, in parts per million of the operations concerned; 0: never. May be changed while the world runs.
struct sim_faults {
    uint32_t short_read, short_write;       // files; whole multiples of dio_align
    uint32_t eio_read, eio_write, eio_sync; // the operation fails; a write may have landed in part
    uint32_t enospc;                        // an allocation fails although there is room
    uint32_t lost_write, misdirected_write; // the drive lies
    uint32_t rot;                           // a written sector gets a flipped bit
    uint32_t short_send, short_recv;        // cut at any byte
    uint32_t reset;                         // a connection breaks at a send
    uint32_t stall;                         // a reactor is not run for up to stall_ns after a turn
    uint64_t stall_ns;
    uint32_t garbage_in_flight, garbage_unsynced; // at a power cut, per sector
    uint32_t unreadable;                          // of those, how many are -EIO instead of random bytes
};

struct sim_config {
    uint64_t seed;
    struct sim_latency disk_read, disk_write, disk_sync, meta, net;
    uint64_t late_ns; // after a kill, writes land up to this much later
    struct sim_faults faults;
    uint64_t disk_bytes;   // capacity; 0: no limit
    uint32_t dio_align;    // of IO_DIRECT memory, length and position: a power of two from 512 to 4096
    uint32_t recv_buffers; // provided buffers per io
    uint32_t recv_size;    // bytes of each
    uint32_t sock_buffer;  // bytes that a connection holds per direction before sends wait
    uint32_t poll_batch;   // completions per io_poll at most; 0: all
    uint32_t turn_min_ns, turn_max_ns; // virtual time that a working turn takes
    int64_t wall_ms;                   // wall clock at the start
    uint32_t trace_records;            // events kept for sim_trace_dump; a power of two
    bool verbose;                      // every event to stderr at once
    // A write's buffer may change while it is in flight (as with a block that is still being appended to); then each
    // changed sector lands as it was at the start, as it is at the end, or as a mixture. Otherwise it is a failure.
    bool unstable_buffers;
    // Called by sim_fail; NULL: prints the trace's tail and aborts.
    void (*on_fail)(void *arg, const char *what);
    void *on_fail_arg;
};
// A usual world: SSD-like latencies, no faults but garbage at power cuts, generous sizes.
void sim_config_default(struct sim_config *cfg, uint64_t seed);

// ---- world -------------------------------------------------------------------------------------------------------
// NULL on lack of memory. The configuration is copied.
struct sim_world *sim_world_create(const struct sim_config *cfg);
// Frees everything in it, processes and ios included (their groups must be gone).
void sim_world_destroy(struct sim_world *w);
struct sim_faults *sim_world_faults(struct sim_world *w);
uint64_t sim_now_ns(const struct sim_world *w);
struct sl_rand *sim_rand(struct sim_world *w); // the world's generator, for whoever drives it
int64_t sim_wall_ms(const struct sim_world *w);
void sim_wall_jump(struct sim_world *w, int64_t delta_ms);
// Runs `fn(arg)` once, `delay_ns` from now, between turns.
void sim_at(struct sim_world *w, uint64_t delay_ns, void (*fn)(void *arg), void *arg);

// Moves to the next event and runs it; false if there is none.
bool sim_step(struct sim_world *w);
// Lets `ns` of virtual time pass, events included; no reactor runs.
void sim_advance(struct sim_world *w, uint64_t ns);

// Hash of every event so far: equal for equal seeds.
uint64_t sim_trace_hash(const struct sim_world *w);
// Adds the driver's own event to hash and trace. `what`: static text.
void sim_trace(struct sim_world *w, const char *what, uint64_t a, uint64_t b, uint64_t c);
// Prints the last `n` events to stderr.
void sim_trace_dump(const struct sim_world *w, uint32_t n);
// An oracle failed or the interface was misused.
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim_world *w, const char *fmt, ...);

struct sim_stats {
    uint64_t events, reads, writes, syncs, dsync_writes, meta_ops, bytes_read, bytes_written;
    uint64_t extending_writes; // IO_DIRECT writes beyond the size
    uint64_t hole_writes;      // IO_DIRECT writes into unallocated space below the size (lost in a power cut)
    uint64_t unstable_writes;  // whose buffer changed while they were in flight
    uint64_t faults;           // injected, power cuts' sector choices not counted
    uint64_t kills, power_cuts, late_writes, garbage_sectors, lost_sectors;
    uint64_t connects, resets, sends, recvs;
};
const struct sim_stats *sim_world_stats(const struct sim_world *w);

// ---- hosts, processes ----------------------------------------------------------------------------------------------
struct sim_host *sim_host_create(struct sim_world *w);
// A new life. `host` NULL: a client without a disk.
struct sim_process *sim_process_create(struct sim_world *w, struct sim_host *host);
// An io of this process, one per reactor. Destroyed with io_destroy or the world.
struct io *sim_io_create(struct sim_process *p);
// kill -9 between two turns.
void sim_process_kill(struct sim_process *p);
bool sim_process_dead(const struct sim_process *p);
// Ends a process whose ios are destroyed: leftovers (handles, locks, sockets) go as in a kill. Frees it.
void sim_process_free(struct sim_process *p);
// Power cut: all processes of the host die, nothing lands late, the disk keeps what it keeps.
void sim_power_cut(struct sim_host *h);

// ---- looking at a disk from outside (tests, oracles) -------------------------------------------------------------------
void sim_disk_set_capacity(struct sim_host *h, uint64_t bytes); // 0: no limit
uint64_t sim_disk_used(const struct sim_host *h);
// The volatile image. Bytes read, or -ENOENT, -EIO.
int64_t sim_disk_read(struct sim_host *h, const char *path, uint64_t pos, void *buf, size_t len);
int64_t sim_disk_size(struct sim_host *h, const char *path); // or -ENOENT
int64_t sim_disk_id(struct sim_host *h, const char *path);   // the file's number in the trace, or -ENOENT
// Overwrites bytes of a file, at once and durably.
int sim_disk_poke(struct sim_host *h, const char *path, uint64_t pos, const void *buf, size_t len);
// Makes an empty file, which a power cut may take back. 0, or -errno.
int sim_disk_create(struct sim_host *h, const char *path);
// Makes a sector unreadable.
int sim_disk_break(struct sim_host *h, const char *path, uint64_t pos);
// Makes a directory in the root, durably, as the mount point of a drive of its own; returns the drive's number (1 to 31).
uint32_t sim_disk_mount(struct sim_host *h, const char *path);
// While a drive is broken each write, sync, allocation and change of a name on it fails with EIO; reads go on.
void sim_disk_break_drive(struct sim_host *h, uint32_t drive, bool broken);
// Calls fn for every file below `path`, in name order.
void sim_disk_walk(struct sim_host *h, const char *path,
                   void (*fn)(void *arg, const char *file, uint64_t size), void *arg);
// Everything becomes durable now, as if it had been synced.
void sim_disk_settle(struct sim_host *h);
// True while writes or other disk operations are in flight (late ones included).
bool sim_disk_busy(const struct sim_host *h);
// A copy of the disk as it is (nothing may be in flight); as a host of its own in the same world.
struct sim_host *sim_host_clone(struct sim_host *h);
void sim_host_destroy(struct sim_host *h); // its processes are freed

// ---- running reactors ------------------------------------------------------------------------------------------------
// While sim_run is on the stack, io_poll returns at once and notes when it wants to be called again; outside of it,
// io_poll with wait_ns > 0 lets virtual time pass until a completion, a doorbell or the deadline.

// The group's reactors are run by sim_run from now on; their ios are of process `p`.
void sim_attach(struct sim_process *p, struct reactor_group *g);
void sim_detach(struct sim_process *p);
// Steps the reactors of all attached groups, also those of dead processes (to tear them down), in a seeded order, one
// turn each per round, and moves time on when all are idle; until `stop` says true (asked before every round) or max_ns
// have passed. True if `stop` did. `stop` NULL: runs for max_ns.
bool sim_run(struct sim_world *w, uint64_t max_ns, bool (*stop)(void *arg), void *arg);

#endif
