// One partition's log: Kafka's segments on disk, tail extents in memory, indexes, producer state, epochs.
//
// A log belongs to one shard (one reactor); nothing here is called from another thread. It holds no protocol.
//
// Three ends (S6): appended_end >= durable_end; the high watermark (== durable_end with one replica). Each is an offset
// *and* a byte position in the active segment at that time. Reads are bounded by an offset the caller chooses, never
// past the high watermark for consumers.
//
// Append: validated batch -> bytes copied into the tail extent with CRC in the same pass -> published -> journal entry
// (inline). The segment file is written later from the extents (write-back), in whole 4 KiB blocks, never past
// durable_end's block, and never beyond allocated space (fallocate runs ahead; an append that finds no room is held
// back by the shard until log_make_room's fiber is done).
#ifndef SLUICE_ENGINE_LOG_LOG_H
#define SLUICE_ENGINE_LOG_LOG_H

#include "engine/base/pool.h"
#include "engine/log/batch.h"
#include "engine/log/direct.h"
#include "engine/log/epoch.h"
#include "engine/log/extent.h"
#include "engine/log/files.h"
#include "engine/log/journal.h"
#include "engine/log/later.h"
#include "engine/log/pace.h"
#include "engine/log/producer_state.h"
#include "engine/log/store.h"
#include "engine/log/txnindex.h"

// The settings of one log, resolved from topic and broker configuration by the owner; copied.
struct log_config {
    uint32_t segment_bytes;
    int64_t segment_ms, segment_jitter_ms;
    int64_t retention_ms, retention_bytes; // -1: without limit
    int64_t file_delete_delay_ms;
    // Compaction (compact.h).
    double min_cleanable_dirty_ratio;
    int64_t min_compaction_lag_ms, max_compaction_lag_ms, delete_retention_ms;
    uint32_t index_interval_bytes;
    uint32_t segment_index_bytes;
    uint32_t max_message_bytes;
    int64_t timestamp_before_max_ms, timestamp_after_max_ms;
    int64_t producer_expiration_ms;
    uint32_t min_insync_replicas;
    // compression.type: batches are stored in `codec` (enum batch_codec), at `codec_level` (compress.h), if it is not `producer`.
    bool converts;
    uint8_t codec;
    int32_t codec_level;
    bool log_append_time; // message.timestamp.type
    bool deletes;         // cleanup.policy contains delete: retention applies
    bool compacted;       // cleanup.policy contains compact
    bool write_caching;
    bool validate_records; // record.validation=full
};

// What all logs of a shard share. Owned by the shard.
struct log_env {
    struct reactor *r;
    struct buf_pool *tail_pool; // append extents
    struct buf_pool *read_pool; // cold reads; apart from the tail (S13)
    struct journal *journal;    // NULL during recovery
    struct store *store;
    uint64_t next_file_id;  // extent cache keys are never reused
    uint64_t dirty_bytes;   // appended, not yet written back, over all logs
    struct list_node dirty; // logs with dirty bytes, oldest first
    struct list_node lru;   // extents that are clean and may be dropped, oldest first
    struct cache *cache;    // cold reads; its memory is read_pool
    struct list_node
        streams; // sequential readers of all logs (stream.h), the one that was here last at the end
    uint32_t streams_n;
    uint32_t read_ahead;   // bytes that one of them is read ahead at most; 0: never
    struct list_node idle; // open files of finished segments that nobody reads
    uint32_t idle_n;
    struct list_node trash; // files of removed segments and deleted topics (trash.h)
    uint64_t trash_no;      // the last number given
    uint32_t trash_step;    // bytes that are freed at once
    bool stopping;          // a clean stop is under way: fibers that wait for a fence give up
    int failed;             // -errno once the directory is offline
    struct direct_env direct;
    struct pace pace; // of write-back
    struct files files;
    struct later spares, names, seals, grows; // what is done for logs a few at a time: ahead.h, log_room.c
};
// Once, before a log is made in it.
void log_env_init(struct log_env *env, struct reactor *r, struct store *store);
void log_env_destroy(struct log_env *env); // frees memory only

struct log;

struct log_ends {
    int64_t log_start, appended_end, durable_end, high_watermark, last_stable;
    int32_t leader_epoch;
};

// ---- life cycle (fibers) -------------------------------------------------------------------------------------------
// Creates directory <dir>/<topic>-<partition> with partition.metadata, durably (the caller syncs the parent once for a
// whole topic with fio_sync_dir), and returns an empty log. `leader_epoch` is recorded before the first append. `bulk`:
// nothing of it is durable before the caller's bulk_end (bulk.h).
struct log *log_create(struct log_env *env, const char *dir, const char *topic,
                       const struct sl_uuid *topic_id, int32_t partition, int32_t leader_epoch,
                       const struct log_config *cfg, bool bulk, int *err);
// How the last life left a log.
struct log_left {
    enum store_kind kind; // its directory
    struct store_log *sl; // what the journal has of it; NULL: nothing
    int64_t recovery_point;
    bool bulk; // what is laid is durable with the caller's bulk_end (bulk.h), before anyone is served (S4)
};
// Recovers one log from its directory and what the last life's journal says: rule text in store.h. Every byte accepted is
// verified, and synced unless a bulk does that. 0 and *out; -EUCLEAN with err text naming file and position for corruption of
// confirmed data; -ENOENT if there is no directory; -ESTALE if partition.metadata names another topic id (nothing is touched).
int log_recover(struct log_env *env, const char *dir, const char *topic, const struct sl_uuid *topic_id,
                int32_t partition, const struct log_left *left, const struct log_config *cfg,
                struct log **out, char *err, size_t cap);
// Moves a recovered log to the shard that will own it (before the threads run).
void log_adopt(struct log *l, struct log_env *env);
// The leader epoch of appends from now on (raised at each start, durably in the metadata before); noted in the epoch cache.
// Never lower than the current one. An epoch under which nothing was appended may be forgotten in a crash.
int log_set_leader_epoch(struct log *l, int32_t epoch);
// Clean close: writes back, cuts to length, syncs segment, indexes, writes .snapshot at the end offset and
// leader-epoch-checkpoint. The log must be drained (appended_end == durable_end). `bulk`: what it writes is durable with the
// caller's bulk_end (bulk.h); until then the journal has what a crash takes.
int log_close_clean(struct log *l, bool bulk);
// It will be closed or deleted: fibers that wait for a fence of it give up, and no further one enters it.
void log_close_begin(struct log *l);
// Topic deletion: durable fence, then the directory is renamed to <name>.<uuid>-delete, as upstream does, and added to the trash
// (trash.h). Nobody uses the log by then.
int log_delete(struct log *l);
void log_destroy(struct log *l); // frees memory only

// ---- what it is ------------------------------------------------------------------------------------------------------
const struct sl_uuid *log_topic_id(const struct log *l);
const char *log_topic(const struct log *l);
int32_t log_partition(const struct log *l);
void log_get_ends(const struct log *l, struct log_ends *out);
const struct log_config *log_get_config(const struct log *l);
void log_set_config(struct log *l, const struct log_config *cfg);
struct producer_state *log_producers(struct log *l);
struct epoch_cache *log_epochs(struct log *l);
uint64_t log_size_bytes(const struct log *l);
// Its segments: how many, how many of them are finished (S9); the active one, and whether its name is durable; whether the file
// of the next one is there, which is made from so many bytes of the active one on (ahead.h).
struct log_segments {
    uint32_t n, finished;
    int64_t base;
    uint32_t size, allocated;
    bool named, spare;
    uint32_t spare_at;
};
void log_get_segments(const struct log *l, struct log_segments *out);
// How many segments it has, and how many of its bytes are in memory.
uint32_t log_segment_count(const struct log *l);
uint64_t log_memory_bytes(const struct log *l);
void *log_user(const struct log *l); // the shard's pointer
void log_set_user(struct log *l, void *user);

// ---- the front: log start, retention (retention.c) -----------------------------------------------------------------------
// Asks for a log start at `offset` (no suspension): a fence entry goes to the journal, and *sequence is its group. 0; -ERANGE
// if it lies above the high watermark or below 0; 1 if the log starts there or behind it already, or is to, with the sequence
// of the fence that says so (0: a durable one).
int log_fence_start(struct log *l, int64_t offset, uint64_t *sequence);
// Fiber. Waits until that fence is durable; then the log starts there: its epochs and transactions before are forgotten. The
// segments below go with the next log_retain. 0; -errno once the directory is offline; -ECANCELED when the log is closed first;
// -ETIMEDOUT at `until` (monotonic ns): on a full disk the journal may have no place for the fence. It stands all the same:
// once it is durable the log starts there after a crash, and from the next log_retain on.
int log_start_fenced(struct log *l, int64_t offset, uint64_t sequence, uint64_t until);
// Fiber. Removes the segments that lie below the log start, that are too many (retention_bytes), or too old (retention_ms),
// as upstream's deleteOldSegments; an active one whose time is over is rolled. Returns how many went, or -errno.
int log_retain(struct log *l);
// Fiber, at the start only, before its shard owns it: the log starts at `offset` at least, as the checkpoint file of a clean
// stop says. 0 or -errno.
int log_start_at(struct log *l, int64_t offset);

// ---- append (data path; no suspension) ---------------------------------------------------------------------------------
// True if a batch of `bytes` can be appended now: room in the active segment (else it must roll), allocated space,
// extent memory, the tail block loaded. False: call log_make_room (once) and hold the log's appends back, in order,
// until `done` runs; done never runs inside log_make_room. (Journal room is the caller's to check: journal_room.)
bool log_has_room(struct log *l, uint32_t bytes, int64_t max_timestamp);
typedef void (*log_room_fn)(void *arg, int err); // 0, -ENOSPC, -ENOMEM, -EIO
void log_make_room(struct log *l, uint32_t bytes, int64_t max_timestamp, log_room_fn done, void *arg);

struct log_append {
    // in
    uint8_t *batch; // one batch, header validated; base offset and leader epoch are rewritten on the copy
    uint32_t bytes;
    struct batch_info info; // as parsed
    bool check_crc;         // compute CRC during the copy and compare with info.crc
    bool as_is;             // keep base offset and epoch (metadata followers, later replicas)
    // out
    int64_t base_offset, last_offset;
    uint64_t sequence; // journal group that carries it: durable when owner->durable(sequence) ran
};
// Copies, publishes, indexes, journals. Sequence checks (producer state) are the caller's before, its update is done
// here. 0, or -EBADMSG when the CRC does not match (nothing was published).
int log_append(struct log *l, struct log_append *a);
// The shard tells the log that the journal is durable up to its offset `end_offset`. The durable end moves there, or to the
// first direct write under way; the log's owner tells it again when one has ended (direct_env.settled). Returns the number
// of bytes that became durable.
uint64_t log_durable_to(struct log *l, int64_t end_offset);
void log_set_high_watermark(struct log *l, int64_t hw);

// ---- read ----------------------------------------------------------------------------------------------------------------
// Bytes to send: a chain of pieces in extents, each holding one reference.
struct log_piece {
    struct extent *ext;
    const uint8_t *p;
    uint32_t len;
};
struct log_read {
    // in
    int64_t offset; // first wanted offset: the batch containing it is returned whole from its start
    int64_t limit;  // offsets at or above are not returned (high watermark, last stable offset)
    uint32_t max_bytes;
    bool min_one;                      // the first batch is returned whole even above max_bytes (KIP-74)
    void (*done)(struct log_read *rd); // only when log_read_start returned -EINPROGRESS
    void *arg;
    // out
    int err;                  // 0, -ERANGE (offset out of range), -EIO, -ENOMEM
    struct log_piece *pieces; // malloc'd by the log; log_pieces_free
    uint32_t pieces_n;
    uint32_t bytes;
};
// 0: finished at once from memory; -EINPROGRESS: a cold read was started, done will run. Fewer bytes than allowed may
// come back at a segment's or extent window's end; never 0 while there is data below the limit, unless err is set.
int log_read_start(struct log *l, struct log_read *rd);
void log_read_cancel(struct log_read *rd); // done still runs
// Where whole batches in what was read end: the offset behind the last one; rd->offset if there is none. Walks over them.
int64_t log_read_end(const struct log_read *rd);
// Fiber. Before a checkpoint counts that speaks of what was appended by now: the files of aborted transactions have what it
// tells of. 0 or -errno.
int log_aborted_settle(struct log *l);
// The aborted transactions that a read_committed reader of [from, upto), or of what was read, must know of. Returns how many;
// *out is malloc'd, or NULL for none.
uint32_t log_aborted_between(const struct log *l, int64_t from, int64_t upto, struct aborted_txn **out);
uint32_t log_aborted_read(const struct log *l, const struct log_read *rd, struct aborted_txn **out);
void log_pieces_free(struct log_env *env, struct log_piece *pieces, uint32_t n);

// The first offset whose batch has a record with timestamp >= ts, as upstream's fetchOffsetByTimestamp; fiber.
// -ENOENT: none. Sets offset, timestamp, epoch.
int log_offset_for_time(struct log *l, int64_t ts, int64_t limit, int64_t *offset, int64_t *timestamp,
                        int32_t *epoch);
int log_offset_of_max_time(struct log *l, int64_t *offset, int64_t *timestamp,
                           int32_t *epoch); // ListOffsets -3; fiber

// ---- background -----------------------------------------------------------------------------------------------------------
// Fiber. Writes durable bytes back; `sync`: then fdatasyncs what was written. Nothing happens once the log is being closed.
int log_write_back(struct log *l, bool sync);
// Fiber. The same for the log that has been dirty for the longest time, of those whose files nobody is at (seals, checkpoints).
int log_env_write_oldest(struct log_env *env);
bool log_is_dirty(const struct log *l);                  // it has bytes that are not written back
uint32_t log_env_count_dirty(const struct log_env *env); // so many logs are
// Fiber. Writes back, syncs, finishes sealed segments, and then appends this log's part of a checkpoint to `out` (ckpt_add)
// at its present appended end. Nothing for a log that is being closed: its fence comes. 0 or -errno.
int log_checkpoint(struct log *l, struct sbuf *out);
// The part alone, of a log that was just recovered: nothing of it is in memory only.
int log_describe_checkpoint(struct log *l, struct sbuf *out);
// Drops clean extents, oldest first, until `bytes` are free in the tail pool.
void log_env_reclaim(struct log_env *env, uint64_t bytes);
// Since when the log that log_env_write_oldest would write has been dirty (reactor_now's clock); UINT64_MAX: there is none.
uint64_t log_env_oldest_dirty(const struct log_env *env);

#endif
