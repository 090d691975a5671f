// The journal: one per shard and log directory. A commit group is one aligned RWF_DSYNC write.
//
// Files live in <log.dir>/sluice.journal.d/:
//   current                       names the life in force (see store.h); switched by rename
//   <life8>-s<shard>-f<n>.journal a few fixed-size files per shard, zero-filled, recycled in turn
//   <life8>-s<shard>.checkpoint   the shard's last checkpoint (checkpoint.h)
// where <life8> is the first 8 hex digits of the life id.
//
// A journal file is a sequence of groups, each starting at a multiple of 4096. A group is one stream:
//   header (128 bytes), then `count` times: entry (128 bytes) followed by its `bytes` payload bytes padded with zeros to
//   a multiple of 8; the end is padded with zeros to a multiple of 4096. All integers little-endian.
//
// Group header
//   0  u64  magic "SLUICEJG"
//   8  u16  format version (1)
//   10 u16  header length (128)
//   12 u32  crc32c, seeded with the life id: over the header with this field zero, then over each entry's 128 bytes.
//           Payload bytes are covered through each entry's own crc, so they are not read twice.
//   16 16B  life id
//   32 u64  file generation: grows by one each time a file is put in use; a recycled file's older groups differ in it
//   40 u64  own position in the file
//   48 u64  sequence: +1 per group of this shard and life, from 1
//   56 u32  previous group's crc (0 for sequence 1)
//   60 u32  shard
//   64 u64  durable-through: every group up to this sequence was durable when this one was written
//   72 u32  length of the group in bytes, padding included (a multiple of 4096)
//   76 u32  count of entries
//   80 u32  flags (1: closing header, written by an idle shard so that the last acknowledged group has a successor)
//   84 44B  zero
//
// Entry
//   0  u8   type (enum jentry_type)
//   1  u8   flags (1: inline, the payload follows; 0: the bytes are in the segment ("direct"); 2: direct, and what the batch
//           has of its first and its last 4 KiB block, where it does not fill them, follows as the payload: see direct.h)
//   2  u16  batch attributes
//   4  u32  crc: BATCH: the batch's own CRC32C (its bytes 21..end; bytes 0..20 are verified field by field against this
//           entry); other types: CRC32C of the payload bytes (0 when there are none)
//   8  16B  topic id
//   24 i32  partition
//   28 u32  incarnation of the log
//   32 i64  segment base offset
//   40 u32  position in the segment
//   44 u32  bytes: length of the batch, or of the payload
//   48 i64  base offset          (FENCE: floor: the log starts here; INT64_MAX: the log is deleted. Its segment base: the
//           segments below it are settled, see replay.h)
//   56 i64  last offset          (FENCE: end; CONFIRMED: offset confirmed up to, exclusive)
//   64 i64  producer id          (FENCE: new incarnation)
//   72 i32  base sequence
//   76 i16  producer epoch
//   78 u16  reserved, zero
//   80 i64  max timestamp
//   88 i32  leader epoch
//   92 i32  record count (last offset delta + 1 of the batch as stored)
//   96 u32  crc32c of the payload of flag 2, else 0
//   100 28B zero
//
// Rule S5 is kept by one invariant: *every journal file begins each log that it touches at a block boundary or with a
// PREFIX entry*: at a log's first batch in a file generation, a PREFIX entry logs the bytes from the start of its 4 KiB
// block to the append position. So the files still held always hold every acknowledged block that can be rewritten,
// from its first byte.
#ifndef SLUICE_ENGINE_LOG_JOURNAL_H
#define SLUICE_ENGINE_LOG_JOURNAL_H

#include "engine/base/uuid.h"
#include "engine/io/fiber.h"

enum {
    JOURNAL_BLOCK = 4096,
    JOURNAL_HEADER = 128,
    JOURNAL_ENTRY = 128,
    JOURNAL_VERSION = 1,
    JOURNAL_SLOTS_MAX =
        4, // groups in flight at most: a group's sequence is at most this much beyond its durable-through
    JOURNAL_FILES_MAX = 64,
    JOURNAL_IDLE_MS = 50, // an idle shard writes its closing header this long after its last group
};
enum { JGROUP_CLOSING = 1u << 0 };
enum jentry_type {
    JE_BATCH = 1, // one record batch
    JE_PREFIX =
        2, // bytes of a block from its first byte up to the append position (position is block aligned)
    JE_FENCE = 3,     // the log changes: new incarnation, floor, end (rule S3)
    JE_CONFIRMED = 4, // direct bytes up to an offset are synced
    JE_EPOCH = 5,     // a leader epoch starts at base offset (leader epoch field), before its first append
};
enum { JE_INLINE = 1u << 0, JE_EDGES = 1u << 1 };

struct jentry {
    uint8_t type;
    uint8_t flags;
    uint16_t attributes;
    uint32_t crc;
    struct sl_uuid topic_id;
    int32_t partition;
    uint32_t incarnation;
    int64_t segment_base;
    uint32_t position;
    uint32_t bytes;
    int64_t base_offset;
    int64_t last_offset;
    int64_t producer_id;
    int32_t base_sequence;
    int16_t producer_epoch;
    int64_t max_timestamp;
    int32_t leader_epoch;
    int32_t record_count;
    uint32_t edges_crc; // set by journal_add
};

struct journal;

struct journal_config {
    char dir[1024]; // the journal directory: <log.dir>/sluice.journal.d
    uint32_t shard;
    struct sl_uuid life;
    uint64_t file_bytes; // size of a file, a multiple of 4096; the first file of a life may be smaller
    uint64_t first_file_bytes;
    uint32_t files; // at least 3
    uint32_t slots; // groups in flight at most (1..4)
    uint32_t
        max_group; // bytes after which an open group takes no more entries (a single larger batch still fits)
    uint32_t late_us;     // a second small group starts beside one in flight that is older than this
    uint32_t large_group; // bytes from which a second group may start at once
};

// Called on the reactor when every group up to `sequence` is durable; in sequence order.
typedef void (*journal_durable_fn)(void *ctx, uint64_t sequence);
// Called when the file of `generation` is full and its entries must be checkpointed: the owner flushes and syncs every
// log touched in generations <= `generation`, writes the checkpoint file durably, then calls journal_recycle.
typedef void (*journal_full_fn)(void *ctx, uint64_t generation);
// Called when adding may succeed again after journal_room said no.
typedef void (*journal_room_fn)(void *ctx);
// Called once when a write or sync failed: the directory is offline (EIO is never retried, rule S8).
typedef void (*journal_failed_fn)(void *ctx, int err);

struct journal_owner {
    void *ctx;
    journal_durable_fn durable;
    journal_full_fn full;
    journal_room_fn room;
    journal_failed_fn failed;
};

// Fiber, any reactor. Creates one zero-filled journal file durably (contents and size synced; not its directory).
int journal_file_create(const char *path, uint64_t bytes);
// Path of file `n` (0 is the first) of a shard in a life.
void journal_file_path(const struct journal_config *cfg, uint32_t n, char *out, size_t cap);

// Fiber on reactor `r`, which owns the journal from here on. Opens the life's first file (made by store_begin_life, which
// also switched `current`) and returns the journal; the other files are prepared by a background fiber.
// NULL with *err = -errno.
struct journal *journal_open(struct reactor *r, const struct journal_config *cfg,
                             const struct journal_owner *owner, int *err);

// True if an entry with `bytes` of payload (plus a PREFIX of up to one block, and a CONFIRMED) can be added now. False: the caller holds
// the append back (its order kept) until owner->room. May move on to the next file. More than journal_max_bytes never
// fits: the caller checks its largest batch against it when it is configured.
bool journal_room(struct journal *j, uint32_t bytes);
// Whether fewer than half of its files are free to go on to: those that wait for a checkpoint should soon be recycled.
bool journal_is_short(const struct journal *j);
// The largest payload that journal_room can ever accept with this configuration. Pure.
uint64_t journal_max_bytes(const struct journal_config *cfg);

// Adds an entry to the open group; `payload` is copied (JE_INLINE, JE_EDGES) from up to `n` pieces before it returns. For
// JE_BATCH the pieces together are e->bytes long, or what jentry_edges says, and e->crc is the batch's; for the other types
// the crc is computed here.
// Returns the sequence of the group that will carry it. Requires journal_room for JE_BATCH and JE_PREFIX. Fences,
// confirmations and epochs have reserved room and are always accepted: when even that is used up they wait in memory for
// the next free file. After a failure nothing is kept; the sequence returned never becomes durable.
uint64_t journal_add(struct journal *j, const struct jentry *e, const struct iovec *payload, uint32_t n);

// The generation that the open group will be written to: compare with the log's last touched generation to know
// whether a PREFIX entry is due *before* the batch. Stable between journal_room(true) and the following journal_adds of
// one append (a PREFIX and its batch never part).
uint64_t journal_open_generation(const struct journal *j);

// Once per turn: closes the open group if work waits and a slot is free (self-clocking). True if a write was started.
bool journal_flush(struct journal *j);

// Asks for a closing header when idle (durable-through of the last acknowledged group); the journal does it by itself
// `idle_ms` after the last group. Sequences: last handed out, last durable.
uint64_t journal_open_sequence(const struct journal *j);
uint64_t journal_durable_sequence(const struct journal *j);
// When the write of the last durable group began: monotonic ns.
uint64_t journal_started_ns(const struct journal *j);

// Everything touched in generations <= `generation` is checkpointed durably: its files may be recycled (zeroing is not
// needed: older groups differ in generation and sequence).
void journal_recycle(struct journal *j, uint64_t generation);
// Generations in use: [oldest, current].
uint64_t journal_oldest_generation(const struct journal *j);

// Fiber: waits until everything added is durable, but for fences and the like that wait for a file to be recycled (the
// checkpoint that recycles it may be the caller). 0 or -errno.
int journal_drain(struct journal *j);
// Fiber: drains and closes the files (they stay on disk; the caller removes the directory on a clean stop). -ENOSPC:
// entries were left that wait for a file.
int journal_close(struct journal *j);
// Frees memory without I/O (after journal_close, or in a torn-down simulation).
void journal_destroy(struct journal *j);

struct journal_stats {
    uint64_t groups, bytes, entries, inline_bytes, direct_bytes, stalls, rotations;
};
const struct journal_stats *journal_get_stats(const struct journal *j);

// ---- format helpers, pure (journal_format.c), used by replay, tests, fuzzers and tools ------------------------------
struct jgroup {
    struct sl_uuid life;
    uint64_t generation, position, sequence, durable_through;
    uint32_t crc, prev_crc, shard, length, count, flags;
};
void jentry_encode(const struct jentry *e, uint8_t out[JOURNAL_ENTRY]);
// Of a batch at [position, position + bytes): how many bytes lie before its first whole block, and behind its last one. False:
// it has no whole block, or ends beyond 2^32.
bool jentry_edges(uint32_t position, uint32_t bytes, uint32_t *head, uint32_t *tail);
// Whether the `bytes` at p are the batch that the entry tells of.
bool jentry_batch_ok(const struct jentry *e, const uint8_t *p);
// As far as its header goes, of which there are BATCH_HEADER_SIZE bytes at p.
bool jentry_header_ok(const struct jentry *e, const uint8_t *p);
void jentry_decode(struct jentry *e, const uint8_t in[JOURNAL_ENTRY]);
void jgroup_encode(const struct jgroup *g, uint8_t out[JOURNAL_HEADER]); // crc as given
// Checks magic, version, life (unless NULL), position, lengths against `avail`; not the crc. 0 or -EBADMSG.
int jgroup_decode(struct jgroup *g, const uint8_t *in, size_t avail, const struct sl_uuid *life,
                  uint64_t position);
// Verifies the whole group at `in`: header, entries, payload crcs. Calls fn per entry (payload points into `in`).
// 0, -EBADMSG, or fn's non-zero.
typedef int (*jentry_fn)(void *arg, const struct jgroup *g, const struct jentry *e, const uint8_t *payload);
int jgroup_walk(const struct jgroup *g, const uint8_t *in, jentry_fn fn, void *arg);
// The second half alone: hands out the entries of a group that jgroup_walk found good.
int jgroup_each(const struct jgroup *g, const uint8_t *in, jentry_fn fn, void *arg);

#endif
