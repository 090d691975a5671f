// The direct path: a log's large batches go straight to the segment file, and the journal only refers to them (S2, S5, S7).
//
// A direct batch at [a, b) of a segment has in its journal entry the bytes up to its first block boundary and those behind its
// last one ("edges", flag JE_EDGES); the whole blocks between are in the segment alone. Batches that follow each other
// make one *range* of blocks, written at once with RWF_DSYNC out of the extents:
//
//      journal  ..inline..|edge|                          |edge|.. or the next batch's edge
//      segment            |    |======= range ============|    |
//                         a    from (or the block of a)   to   b
//
// How an acknowledged record could be lost, and why it is not:
// - Told before it is there. A log's durable end passes a direct batch when its entry's group *and* its range are durable: the
//   end is the lower of what the journal says and where the first unfinished range begins (direct_settled). Ranges end
//   in any order and hold up only their own log.
// - A block with acknowledged bytes is torn by a range. The block of `a` is written only if nothing wrote it before: then all it
//   holds is in the journal, which is kept until a checkpoint has written the block, and that counts as written
//   (segment->wb_end). Else the range begins at the next block, and write-back fills the one that was left out.
//   The block of `b` is never written: the next range or write-back does.
// - Write-back rewrites a range whose only copy is in the file, or writes an older version of its first block over it: it
//   leaves out the blocks of segment->cov, the ranges opened and not yet passed by `flushed`, whole or in flight.
// - A checkpoint recycles the journal's entries of batches that it did not write because the durable end stood before an
//   unfinished range: it waits for the ranges that were open when it began (direct_wait), and for those that its part tells
//   of before it is in force (direct_drain).
// - After a crash a range is taken for whole that is not. Recovery reads each direct batch that is not confirmed and checks it
//   against its entry; where one does not hold, the log ends. JE_CONFIRMED(log, offset) is added behind the completion of
//   all ranges below `offset`, with the next append of any log of the shard; a checkpoint confirms what it tells of. Confirmed
//   ones are not read but for the header; one that does not fit its entry refuses the start.
//
// Which batches: those of DIRECT_BATCH_MIN and more of a log that had env->direct.min bytes in one commit group, until a group has
// less than a quarter of it; and those that are that large themselves. Never control batches, nor those of a segment whose name
// is not durable yet (ahead.c).
#ifndef SLUICE_ENGINE_LOG_DIRECT_H
#define SLUICE_ENGINE_LOG_DIRECT_H

#include "engine/base/pool.h"
#include "engine/io/io.h"

struct log;
struct log_env;
struct segment;

enum {
    DIRECT_BATCH_MIN = 16 << 10,
    DIRECT_RANGE_MAX = 4 << 20, // a longer one is closed, and another opened
    DIRECT_IOV_MAX = 64,
    DIRECT_COV_MAX = 8,  // ranges of a segment beyond `flushed`; with more, batches go inline
    DIRECT_OPEN_MAX = 16 // ranges of a shard: each costs a sync of its file; with more, batches go inline
};

struct direct_config {
    uint32_t min;    // bytes of a log in a commit group from which its batches go direct; 0: none ever do
    uint32_t flying; // ranges in flight at most
    bool random;     // simulation: any batch with a whole block goes either way by chance
};

// What a shard has of it, in its log_env.
struct direct_env {
    struct direct_config cfg;
    struct obj_pool pool;
    struct list_node waiting;     // ranges not yet started, oldest first
    struct list_node all;         // and those in flight
    struct list_node unconfirmed; // logs whose ranges have ended since the journal was last told of them
    uint32_t flying;
    uint64_t opened; // number of the newest
    // The log's durable end may move on.
    void (*settled)(void *ctx, struct log *l);
    void (*failed)(void *ctx, int err); // a write failed: the directory is offline
    void *ctx;
};

void direct_env_init(struct direct_env *d, const struct direct_config *cfg);
void direct_env_destroy(struct direct_env *d);

// Whether the published batch at [pos, pos + bytes) is to go direct; asked once for every batch that is not a control batch, as
// it counts them. True: direct_add follows.
bool direct_wanted(struct log *l, struct segment *s, uint32_t pos, uint32_t bytes);
// `before`: the log's end before the batch; `end`: behind it.
void direct_add(struct log *l, struct segment *s, uint32_t pos, uint32_t bytes, int64_t before, int64_t end);
// Once a turn: starts what may start. True if something was started.
bool direct_flush(struct log_env *env);
// Up to where the log is durable when the journal is up to `end`.
int64_t direct_settled(const struct log *l, int64_t end);
// Below which offset all ranges are whole and synced, for JE_CONFIRMED.
int64_t direct_confirmed(const struct log *l);
// Fibers. Wait for the ranges of a log, or of the shard, that are open now; end early when the directory fails: 0 or its error.
int direct_wait(struct log *l);
int direct_drain(struct log_env *env);

// Moves `flushed` over what is whole in the file up to the durable end. Returns the number of bytes.
uint32_t direct_pass(struct segment *s, uint32_t durable);

struct store_entry;
// Fiber, recovery. The direct batch that an entry tells of: its header alone, or all of it with its CRC. 0; -EBADMSG: the file
// does not hold it; -errno.
int direct_check(struct segment *s, const struct store_entry *se, bool whole);

#endif
