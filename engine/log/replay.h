// Replay: what the journals and checkpoints of one life say, read and verified (storage rules S3 and S4).
//
// Used by store.c at a start; nothing else includes this but its tests. Replay never writes.
//
// Per shard, the groups of its files form one chain: generations in order, in each file from position 0 on, sequence +1
// and the previous group's crc from group to group. The chain starts at the checkpoint's first needed generation and ends
// at the first group that does not verify (the break). What follows a break is dropped, but every 4 KiB behind it is
// looked at for a group header of this life: if one says that the group at the break was durable, acknowledged records
// are lost, and the start is refused. (A group's sequence is at most JOURNAL_SLOTS_MAX beyond its durable-through; a block
// that claims more is somebody's payload.) That is the rest of the file in which the chain ends, and the first MiB of every
// other: a group that lies deeper in a file than that has its predecessor there, or was preceded by a durable one that is
// larger than that and that the drive never wrote.
//
// So a start reads what the last life wrote since its last checkpoint, that rest, and little more.
//
// The chain of a file whose generation is below the needed one only tells which sequence the needed one begins with.
#ifndef SLUICE_ENGINE_LOG_REPLAY_H
#define SLUICE_ENGINE_LOG_REPLAY_H

#include "engine/log/store.h"

// ---- one shard's chain, pure (replay_chain.c) -----------------------------------------------------------------------
struct replay_file {
    char name[80];
    uint8_t *data;   // of the whole file; unreadable blocks are zeros
    uint64_t len;    // a multiple of JOURNAL_BLOCK
    uint64_t loaded; // bytes of data that are there, from position 0
    // found by replay_chain
    uint64_t generation; // that the header at position 0 claims; 0: none of this life and shard
    uint64_t walked;     // bytes of the chain, from position 0
};

struct replay_chain {
    // in
    struct sl_uuid life;
    uint32_t shard;
    uint64_t first_generation;
    struct replay_file *files;
    uint32_t n;
    jentry_fn fn; // called for every entry of the chain, in order; its non-zero result ends the walk
    void *arg;
    // Makes [0, upto) of a file be there, or more; 0 or -errno. NULL: all files are there.
    int (*load)(void *load_arg, struct replay_file *f, uint64_t upto);
    void *load_arg;
    // out
    uint64_t groups, last_sequence, last_generation;
    uint64_t durable_through; // the highest that was seen anywhere
    char break_file[80];
    uint64_t break_position;
    int failed; // what load said
};
// 0; -EUCLEAN with the break set when a group that was durable is broken or missing; or what load or fn said.
int replay_chain(struct replay_chain *c);

// ---- what is known of every log (replay.c) ----------------------------------------------------------------------------
struct replay;

struct replay *replay_create(void); // NULL: out of memory
void replay_destroy(struct replay *r);

// Takes a checkpoint image (malloc'd; owned from here on, even on failure). *first_generation is what it says.
// 0, -EBADMSG (also for another life or shard), -EUCLEAN (a log in two shards), -ENOMEM.
int replay_add_checkpoint(struct replay *r, uint8_t *image, size_t n, const struct sl_uuid *life,
                          uint32_t shard, uint64_t *first_generation);
// Keeps memory that entries point into, until replay_destroy (free'd).
int replay_keep(struct replay *r, void *memory);
// A jentry_fn, `arg` the replay: adds the entry to its log. 0, -EUCLEAN (a log in two shards), -ENOMEM.
int replay_add_entry(void *arg, const struct jgroup *g, const struct jentry *e, const uint8_t *payload);
// After all were added: drops every entry that a later fence of its log does not keep. Fences stay.
//   - a BATCH is void if its last offset lies at or above the end;
//   - a fence's segment base says which segments are settled: those below it were finished, and perhaps rewritten since, or lie
//     wholly below the floor. A BATCH there counts for the end, producers and epochs only (state_only); a PREFIX there is void;
//   - the floor is where the log starts; it voids nothing by itself: a segment that it lies in keeps all its bytes;
//   - a CONFIRMED beyond the end confirms up to the end; an EPOCH at or above the end is void;
//   - a last fence with floor INT64_MAX deletes the log.
void replay_apply_fences(struct replay *r);
struct store_log *replay_find(struct replay *r, const struct sl_uuid *topic_id, int32_t partition);
// The i-th log in no order; NULL beyond the last.
struct store_log *replay_log_at(struct replay *r, uint32_t i);

// ---- files (replay_read.c), fibers ------------------------------------------------------------------------------------
// Reads and verifies everything of a life in `dir` (the journal directory). 0; -EUCLEAN with err naming file and position;
// -errno.
int replay_read_life(struct replay *r, const char *dir, const struct sl_uuid *life, uint32_t shards,
                     char *err, size_t cap);
// Reads [from, to) of an open file, multiples of a block, into data (its own offset 0 is the file's); blocks that cannot be
// read are zeros, *bad counts them.
int replay_read_blocks(io_file f, uint8_t *data, uint64_t from, uint64_t to, uint32_t *bad);

#endif
