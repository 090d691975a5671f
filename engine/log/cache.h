// The cold cache of a shard (S13): aligned extents of segments as they were read from disk.
//
// A key is (file id, position / extent size); file ids are never reused, so a key never means other bytes. What an entry
// holds was final when its read began: only bytes below its segment's mem_start are read, and those are on disk for good.
// An entry that ends where mem_start was then is replaced when more of its extent is wanted.
//
//   absent ──want──► queued ──► reading ──► ready ──► (evicted, or its segment went)
//                      └─ dropped ─┘└─ failed: absent again; who waits is told
//
// Whoever wants what is queued or being read waits for that read: a region is read once however many want it.
//
// Reads in flight are bounded, and those that somebody waits for go first. While a journal of any reactor is at work, there are
// fewer, with pauses (cold_pace.h): it shares the disk, and its writes are answers.
//
// What goes first when memory is wanted: extents that were read through once, oldest first (a long scan so takes the place of
// its own past only); then those read ahead and not yet used; last those that were read through again, of which half the pool
// at most is kept. An entry that a reader holds stays. The tail's memory is another pool's.
//
// One shard's; its reactor's thread only.
#ifndef SLUICE_ENGINE_LOG_CACHE_H
#define SLUICE_ENGINE_LOG_CACHE_H

#include "engine/base/table.h"
#include "engine/io/reactor.h"
#include "engine/log/cold_pace.h"
#include "engine/log/extent.h"

struct segment;
struct log_env;

struct cache_config {
    struct buf_pool *pool;  // its memory
    uint64_t limit;         // bytes; 0: the pool's limit
    uint32_t extent_bytes;  // a power of two from 4 KiB to 2 MiB; lowered for a small pool
    uint32_t in_flight;     // reads at a time, at least 1
    uint32_t in_flight_low; // and while the journals are at work
};

struct cache_key {
    uint64_t file_id, index;
};

enum cache_state { CACHE_QUEUED, CACHE_READING, CACHE_READY, CACHE_FAILED };
// Which eviction list it is, or will be, on.
enum cache_class { CACHE_ONCE, CACHE_FRESH, CACHE_KEPT, CACHE_CLASSES };

struct cache_entry {
    struct extent e; // first: who holds it knows this only. refs: holds of readers
    struct cache_key key;
    UT_hash_handle hh;
    struct segment *seg; // NULL when it is not in the table any more, and not in flight
    struct list_node of_segment;
    struct list_node node; // queued: on its queue; ready and not held: on its class's list
    struct list_node all;
    struct list_node waiters;
    struct io_op op;
    uint32_t want, got; // bytes to read, and read
    uint64_t began;
    int err;
    enum cache_state state;
    enum cache_class cls;
    bool indexed; // in the table
    bool ahead;   // read ahead, and nobody came for it so far
};

struct cache {
    struct cache_config cfg;
    struct log_env *env;
    struct cache_entry *table;
    struct list_node classes[CACHE_CLASSES];
    struct list_node demand, ahead; // queues
    struct list_node all;
    uint64_t limit;       // bytes
    uint64_t held;        // bytes of entries that have memory
    uint64_t pinned;      // bytes of entries that readers hold, what is still to be read for them too
    uint64_t ahead_bytes; // bytes read ahead, or about to be, that nobody came for so far
    uint64_t kept_bytes;
    uint32_t flying;
    struct cold_pace pace;
    uint64_t pause_until; // no read begins before, while appends are at work
    struct timer pause;
};

// NULL on lack of memory. `env` outlives it.
struct cache *cache_create(struct log_env *env, const struct cache_config *cfg);
// Frees all memory, held or in flight, after the io is gone and before the segments are. NULL is allowed.
void cache_destroy(struct cache *c);

// The entry with the bytes from `pos` to `upto` (within one extent, upto <= mem_start) of `s`, held; its read is started if
// need be. The file must be open, and the caller has entered the log. NULL on lack of memory.
struct cache_entry *cache_want(struct cache *c, struct segment *s, uint32_t pos, uint32_t upto);
// Fiber. Waits until it was read. 0; -EIO and others; -ENOMEM: all memory is held.
int cache_wait(struct cache_entry *e);
// The same entry if it is ready, held; NULL otherwise. No I/O.
struct cache_entry *cache_ready(struct cache *c, const struct segment *s, uint32_t pos, uint32_t upto);
bool cache_has(const struct cache *c, const struct segment *s, uint32_t pos, uint32_t upto);
// A reader read it through to its end.
void cache_passed(struct cache_entry *e);
// Drops a hold.
void cache_unhold(struct cache_entry *e);
// Starts reading the extent of `pos` (< mem_start), which nobody waits for yet. False: not now (memory is short, the log is being
// closed).
bool cache_read_ahead(struct cache *c, struct segment *s, uint32_t pos);
// Whoever it was read ahead for does not come.
void cache_not_wanted(struct cache *c, const struct segment *s, uint32_t pos);
// Its bytes are not to be found any more: the segment goes, or is cut. Who holds an entry keeps it.
void cache_forget(struct segment *s);
// How much a reply may hold now: a share of what is left, so that none takes all.
uint32_t cache_window(const struct cache *c);
uint32_t cache_extent_bytes(const struct cache *c);

#endif
