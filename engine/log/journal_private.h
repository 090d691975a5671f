// The journal's own header: format helpers shared by writer and replay, and the writer's structures.
//
//   journal.c         the interface: room, add, flush, completion in sequence, failure, drain, close
//   journal_group.c   one group: its stream of aligned chunks, header and CRC, the write
//   journal_file.c    the ring of files: creation, placement, rotation, recycling
//   journal_format.c  bytes
//
// A group's way:   open --seal--> pending --start--> in flight --written, and all before it--> durable
// The open group always exists and takes entries. It is *placed* when it has a file and a position; only
// groups of reserved entries (fences and the like) may wait without a place. Sealing fixes its length, and so
// the place of the next one: groups are placed, sealed, started and completed in sequence order, though
// writes may end in any order.
#ifndef SLUICE_ENGINE_LOG_JOURNAL_PRIVATE_H
#define SLUICE_ENGINE_LOG_JOURNAL_PRIVATE_H

#include "engine/log/journal.h"

#define JOURNAL_MAGIC 0x474a454349554c53ull // "SLUICEJG", little-endian

// ---- format (journal_format.c), pure
// -------------------------------------------------------------------------------- Stores the crc field of an
// encoded header.
void jgroup_set_crc(uint8_t header[JOURNAL_HEADER], uint32_t crc);
// The initial value of every group's crc in a life.
uint32_t jgroup_crc_seed(const struct sl_uuid *life);
// The crc so far after the header, its crc field taken as zero.
uint32_t jgroup_crc_header(const uint8_t header[JOURNAL_HEADER], const struct sl_uuid *life);
// Bytes of payload that follow the entry, without padding.
uint64_t jentry_payload_len(const struct jentry *e);

// ---- the writer
// -----------------------------------------------------------------------------------------------------
enum {
    JOURNAL_CHUNK = 64 * 1024, // a group's stream is cut into buffers of this size
    JOURNAL_IOV_MAX = 1024,
    JOURNAL_GROUP_MAX = JOURNAL_CHUNK * JOURNAL_IOV_MAX,
    JOURNAL_STUCK_MAX = 64, // writes in a row that moved less than a block, before it counts as an error
};
SL_STATIC_ASSERT(JOURNAL_CHUNK % JOURNAL_BLOCK == 0, "chunks are written with O_DIRECT");

struct jchunk {
    struct jchunk *next;
    uint8_t *data; // JOURNAL_CHUNK bytes, aligned to a block
};

enum jfile_state {
    JF_MISSING, // to be created by the background fiber
    JF_GROW,    // recycled, but shorter than the others: to be grown by the background fiber
    JF_FREE,
    JF_USED,
};
struct jfile {
    enum jfile_state state;
    uint32_t n;
    io_file f;
    uint64_t bytes;
    uint64_t generation;    // while JF_USED
    uint64_t last_sequence; // while JF_USED and no longer the current one: its last group
    bool full_told;
    struct list_node node; // journal.free_files
};

struct jgrp {
    struct list_node node; // journal.pending, in_flight or spare
    struct journal *j;
    uint64_t sequence;
    struct jfile *file; // NULL: not placed
    uint64_t position;
    uint64_t len; // bytes of the stream so far, header included
    uint32_t count;
    uint32_t flags;
    uint32_t entries_crc; // of the entries' 128 bytes, combined with the header's at the end
    struct jchunk *first, *last;
    // in flight
    struct io_op op;
    uint64_t started_ns;
    uint32_t length; // padded
    uint32_t done;   // written so far
    uint32_t stuck;
    bool written;
    struct iovec *iov;
    uint32_t iov_cap;
};

struct jwaiter {
    struct list_node node;
    struct fiber *fiber;
};

struct journal {
    struct reactor *r;
    struct journal_config cfg;
    struct journal_owner owner;
    struct jfile *files; // cfg.files of them
    struct list_node free_files;
    struct jfile *cur;
    uint64_t cursor; // in cur: where the next group goes that is not placed yet
    struct jgrp *open;
    struct list_node pending;   // sealed, in sequence order
    struct list_node in_flight; // started, in sequence order; a written one waits here for those before it
    uint32_t in_flight_n;
    struct list_node spare;
    struct jchunk *free_chunks;
    uint32_t free_chunks_n;
    uint32_t keep_chunks;
    uint64_t durable;         // sequence
    uint64_t last_started_ns; // when the write of the last durable group began
    uint64_t last_done_ns;    // when the last group became durable
    uint32_t last_crc;
    bool last_closing; // the last started group is a closing header
    bool stalled;      // journal_room said no since the last room callback
    bool room_due;
    bool starved; // it said so for lack of memory
    bool closing;
    bool preparing; // the background fiber runs
    int failed;
    struct timer late, idle;
    struct ready notify;
    struct list_node waiters;
    struct journal_stats stats;
};

// journal_group.c
struct jgrp *group_get(struct journal *j, uint64_t sequence); // NULL: out of memory
void group_put(struct journal *j, struct jgrp *g);
void group_destroy(struct jgrp *g);
// Makes sure that `bytes` more can be appended without allocating. False: out of memory.
bool group_reserve(struct journal *j, const struct jgrp *g, uint64_t bytes);
bool group_append(struct journal *j, struct jgrp *g, const struct jentry *e, const struct iovec *payload,
                  uint32_t n);
// Pads, writes the header, chains the crc, and starts the write.
bool group_start(struct journal *j, struct jgrp *g);
// Starts the write of what is left.
void group_write(struct journal *j, struct jgrp *g);
void chunk_free_all(struct journal *j);
static inline uint64_t group_padded(uint64_t len)
{
    return SL_ALIGN_UP(len, (uint64_t)JOURNAL_BLOCK);
}

// journal_file.c
uint64_t jfile_reserve(const struct jfile *f);
bool jfile_fits(const struct jfile *f, uint64_t position, uint64_t len, uint64_t reserve);
// A free file in which a group of `len` fits beside the reserve; NULL if there is none.
struct jfile *jfile_find_free(struct journal *j, uint64_t len, bool reserve);
// Makes `next`, which is free, the current file. `sequence`: of the first group that will go there.
void jfile_rotate(struct journal *j, struct jfile *next, uint64_t sequence);
// Places what is not placed yet, in sequence order, rotating where needed. True if every pending group has
// its place.
bool journal_place(struct journal *j);
// Starts the background fiber if a file is to be made or grown.
void journal_prepare(struct journal *j);

// journal.c
void journal_seal(struct journal *j);
void journal_fail(struct journal *j, int err);
void journal_write_done(struct io_op *op, int32_t res);
void journal_wake(struct journal *j);
// Something changed that may give room: tells the owner at the next step (3) if it was refused before.
void journal_room_maybe(struct journal *j);

#endif
