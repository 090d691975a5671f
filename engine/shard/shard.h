// The storage service of one reactor: its partitions, their group commit, waiting fetches, producer checks, ends.
//
// Others speak to it by message only. A request message carries a pointer to a request struct that the sender owns and
// lends until the reply; the shard answers with the same op and the same pointer (reactor_request, reactor_reply). The
// sender takes one credit towards the
// shard's reactor per request and gives it back when the exchange is over (for a fetch: after the release was sent).
// Every answer waits on an offset (S6): acks=1 on durable_end, acks=all on the high watermark, a duplicate on its
// original's last offset; with write caching or acks=0 on nothing.
//
// A partition belongs to shard (hash(topic id) + partition) mod shards for the life of the process; shard i runs on
// the reactor that placement.h names.
//
// With several log directories there is a whole shard, journal and checkpoints and all, for each directory and each place:
// shard i is then a row of them on one reactor, one a directory (shard_join). The first one is the row's front: it is the
// service that others speak to, and it finds the partition in whichever directory it lies. Nobody else needs to know where
// that is. A directory that fails takes its own shard of each row with it, and the memory that was that shard's; the others
// of the row go on.
#ifndef SLUICE_ENGINE_SHARD_SHARD_H
#define SLUICE_ENGINE_SHARD_SHARD_H

#include "engine/base/kerr.h"
#include "engine/log/compact.h"
#include "engine/log/log.h"

struct shard;

enum shard_op {
    SHARD_APPEND = MSG_OP(SVC_SHARD, 1),  // u[0]: struct shard_append *
    SHARD_FETCH = MSG_OP(SVC_SHARD, 2),   // u[0]: struct shard_fetch *
    SHARD_RELEASE = MSG_OP(SVC_SHARD, 3), // notice; u[0]: struct shard_pins *
    // For whoever has no credit left over from a fetch. Gives pins back: u[0]: struct shard_pins *, or 0; drops a watch: u[1]: its
    // key, or 0. u[2]: 1: the reply wakes nobody; u[3]: key of the watch that brought what the pins held, or 0.
    SHARD_SETTLE = MSG_OP(SVC_SHARD, 4),
    SHARD_LIST_OFFSETS = MSG_OP(SVC_SHARD, 5), // u[0]: struct shard_offsets *
    SHARD_EPOCH_END = MSG_OP(SVC_SHARD, 6),    // u[0]: struct shard_epochs *
    SHARD_OPEN = MSG_OP(SVC_SHARD, 7),         // u[0]: struct shard_open *
    SHARD_DELETE = MSG_OP(SVC_SHARD, 8),       // u[0]: struct shard_delete *
    SHARD_CONFIG = MSG_OP(SVC_SHARD, 9),       // u[0]: struct shard_open * (config of existing partitions)
    SHARD_DESCRIBE = MSG_OP(SVC_SHARD, 10),    // u[0]: struct shard_describe * (sizes, ends: log dirs, tests)
    SHARD_DELETE_RECORDS = MSG_OP(SVC_SHARD, 16), // u[0]: struct shard_trim *
    // from the shard to a net service:
    SHARD_FIRED =
        MSG_OP(SVC_NET, 200), // u[0]: struct shard_fired *; the receiver answers with SHARD_FIRED_ACK
    SHARD_FIRED_ACK = MSG_OP(SVC_SHARD, 11), // u[0]: the same pointer
};

// ---- append ----------------------------------------------------------------------------------------------------------
enum { SHARD_ERROR_TEXT = 160, SHARD_BAD_RECORDS = 32 };
struct shard_append_part {
    // in
    struct sl_uuid topic_id;
    int32_t partition;
    uint8_t *records; // as received: exactly one v2 batch; may be modified in place
    int32_t bytes;
    // out
    int16_t error; // KERR_*
    bool
        refused; // with an error: nothing was appended, nor will be; without it the batch's fate is not known
    int64_t base_offset;
    int64_t log_append_time; // -1 for CreateTime
    int64_t log_start;
    int32_t leader_epoch;              // current leader epoch (KIP-951), filled on NOT_LEADER/FENCED errors
    char error_text[SHARD_ERROR_TEXT]; // empty: none; of the first record at fault, if there are any
    uint32_t bad_n;                    // records at fault that are told; there may be more
    int32_t bad_index[SHARD_BAD_RECORDS]; // of the first bad_n: their indexes in the batch
    uint8_t bad_fault[SHARD_BAD_RECORDS]; // and enum validate_fault
    // the shard's while in progress
    struct shard_append *req;
    uint8_t *converted; // the batch in the topic's compression.type
    uint32_t converted_bytes;
    int64_t wait_offset;
    struct list_node node;
};
struct shard_append {
    struct shard_append_part *parts;
    uint32_t n;
    int16_t acks;        // 0, 1, -1
    int16_t api_version; // of Produce: zstd from 7
    bool internal;       // coordinators and metadata: control batches allowed, producer sequences not checked
    int32_t timeout_ms;
    // Stage stamps, monotonic ns: of the frame; when the shard took it, its last part was in memory, the write of its
    // last commit group began, and was done. 0: not passed (an error, write caching, no acks).
    uint64_t t_received, t_taken, t_appended, t_written, t_durable;
    void *owner;      // the sender's
    uint32_t pending; // the shard's
    uint32_t from;    // the shard's: whom to answer
};

// ---- fetch -----------------------------------------------------------------------------------------------------------
// A fetch is answered at once (after cold reads): there is no waiting request inside the shard. If `watch_key` is not 0 and
// fewer than `watch_bytes` came of all parts, the shard keeps a one-shot watch on the parts under that key: when enough
// arrived, or a part's state changed (deleted, epoch, error), the key is named in a SHARD_FIRED message and the sender
// fetches again. With `push` it need not: the shard reads the parts when the watch fires, and the message brings what a fetch
// would have been answered. If what arrived cannot be shown yet (an open transaction's), the watch goes on instead.
// A new fetch with the same key replaces the watch, one without a key lets it be; SHARD_SETTLE drops it. Keys are chosen by
// the net service and unique per reactor. A notice follows the reply to the fetch that left the watch.
struct shard_fetch_part {
    // in
    struct sl_uuid topic_id;
    int32_t partition;
    int64_t fetch_offset;
    int32_t max_bytes;
    int32_t current_leader_epoch; // -1: not checked
    int32_t last_fetched_epoch;   // -1: none
    // out
    int16_t error;
    int64_t high_watermark, last_stable, log_start;
    int32_t leader_epoch;
    bool diverging;
    int32_t diverging_epoch;
    int64_t diverging_end;
    const struct log_piece *pieces; // valid until released
    uint32_t pieces_n;
    uint32_t bytes;
    const struct aborted_txn *aborted; // read_committed: those among the bytes; valid until released
    uint32_t aborted_n;
    int64_t next_offset; // of a pushed answer: behind the bytes
};
struct shard_fetch {
    struct shard_fetch_part *parts;
    uint32_t n;
    uint32_t max_bytes; // of all parts of this request, in order
    bool read_committed;
    bool
        min_one; // nothing was returned before this request's parts: KIP-74 holds for its first non-empty part
    uint64_t watch_key; // 0: none
    uint32_t watch_bytes;
    bool push;
    struct shard_pins *pins; // out: NULL if nothing is pinned; else to be sent back with SHARD_RELEASE
    uint32_t total;          // out: bytes of all parts
    void *owner;
    uint32_t from;
};
struct shard_pins; // what a fetch reply holds on to
// The shard's, lent until SHARD_FIRED_ACK. Of an answer the receiver copies what it needs; it takes the pins by setting them to
// NULL there, and then owes their SHARD_RELEASE. Pins that are left go home with the acknowledgement.
struct shard_fired_key {
    uint64_t key;
    struct shard_fetch *answer; // parts in the order of the fetch; NULL: fetch again
    // The watch waits on for what follows the answer, each part from its next_offset: a reader that goes on there need not
    // fetch. It does so once, and again after a SHARD_SETTLE has said that its answer was read.
    bool again;
};
struct shard_fired {
    uint32_t n, cap;
    bool urgent; // another one was in flight: the acknowledgement is to wake the shard
    struct shard_fired_key *keys;
};

// ---- offsets and epochs ------------------------------------------------------------------------------------------------
struct shard_offset_part {
    struct sl_uuid topic_id;
    int32_t partition;
    int64_t
        timestamp; // -1 latest, -2 earliest, -3 max timestamp, -4 earliest local, -5, -6 tiered; >= 0 a time
    int32_t current_leader_epoch;
    int16_t error;
    int64_t offset, found_timestamp; // -1, -1: none
    int32_t leader_epoch;
};
struct shard_offsets {
    struct shard_offset_part *parts;
    uint32_t n;
    bool read_committed;
    void *owner;
    uint32_t from;
};
struct shard_epoch_part {
    struct sl_uuid topic_id;
    int32_t partition;
    int32_t current_leader_epoch, leader_epoch;
    int16_t error;
    int32_t end_epoch; // -1, -1: undefined
    int64_t end_offset;
};
struct shard_epochs {
    struct shard_epoch_part *parts;
    uint32_t n;
    void *owner;
    uint32_t from;
};

// ---- partitions --------------------------------------------------------------------------------------------------------
// Opens (creates) partitions of one topic in this shard; answered when their directory entries are durable.
struct shard_open {
    uint32_t dir; // where partitions are made that are not there yet: shard_config.dir_no
    const char *topic;
    struct sl_uuid topic_id;
    const int32_t *partitions;
    uint32_t n;
    int32_t leader_epoch;
    struct log_config config;
    int16_t error; // out
    void *owner;
    uint32_t from;
};
struct shard_delete {
    struct sl_uuid topic_id;
    const int32_t *partitions;
    uint32_t n;
    int16_t error;
    void *owner;
    uint32_t from;
};
// DeleteRecords: answered when the new log starts are durable.
struct shard_trim_part {
    struct sl_uuid topic_id;
    int32_t partition;
    int64_t offset; // the new log start; -1: the high watermark
    // out
    int16_t error;
    int64_t low_watermark; // the log start now; -1 with an error
    // the shard's
    struct part *part;
    uint64_t sequence;
};
struct shard_trim {
    struct shard_trim_part *parts;
    uint32_t n;
    bool remove; // segments below the new start go before the answer, not with the next look of retention
    void *owner;
    uint32_t from;
};
struct shard_describe_part {
    struct sl_uuid topic_id;
    int32_t partition;
    int16_t error;
    uint32_t dir; // out: shard_config.dir_no of the directory where it is
    struct log_ends ends;
    uint64_t size;
};
struct shard_describe {
    struct shard_describe_part *parts;
    uint32_t n;
    void *owner;
    uint32_t from;
};

// ---- set-up (composition root, before the reactors run) -------------------------------------------------------------------
enum { SHARD_DIRS_MAX = 32 }; // log directories of a broker, that of the metadata log among them
struct shard_config {
    uint32_t shard, shards; // of its directory
    uint32_t dir_no;        // which directory, below SHARD_DIRS_MAX
    void (*offline)(void *arg,
                    struct shard *s); // its directory failed: on its reactor, at most once; NULL: nobody asks
    uint64_t tail_pool_bytes, read_pool_bytes;
    struct prefault *prefault; // gets memory of the pools ready; outlives the shard; NULL: nobody does
    uint32_t read_ahead;       // bytes that a sequential reader is read ahead at most; 0: never
    uint64_t cache_bytes;      // of the cold cache; 0: all of the read pool
    uint32_t cache_extent;     // bytes of an extent of the cold cache; 0: CACHE_EXTENT
    uint32_t cold_reads,
        cold_low;              // reads of it in flight, and beside appends; 0: CACHE_READS, CACHE_READS_LOW
    uint64_t dirty_bytes;      // write-back starts above it
    uint32_t writeback_age_ms; // and for bytes older than this
    int64_t
        producer_check_ms; // how often producers are looked for that were idle for too long, while there are appends; 0: never
    int64_t retention_check_ms; // how often segments are looked for that may go; 0: never
    int64_t cleaner_backoff_ms; // pause between two looks for logs to compact; 0: never
    struct compactor_config compactor;
    uint32_t max_watches;
    uint32_t fetch_window; // bytes that one fetch request pins at most; its first batch may exceed it
    uint32_t bulk_logs; // so many logs made or closed together are made durable together (bulk.h); 0: never
    uint32_t files_max; // open segment files, about (files.h); 0: without limit
    struct journal_config journal;
    struct direct_config direct;
    char dir[1024]; // the log directory
};
// Makes the service; logs are handed over with shard_adopt. shard_start opens its journal.
struct shard *shard_create(struct reactor *r, struct store *store, const struct shard_config *cfg,
                           void (*ready)(void *arg, int err), void *arg);
// Opens the journal in a fiber on the shard's reactor, then calls `ready` there. After store_begin_life.
int shard_start(struct shard *s);
// Before its reactor runs: `s` joins the row of `front`, a shard of another directory on the same reactor; messages for it
// come through that one's service, and it stops with it. Shards that are not joined are a row of their own. The front is
// destroyed first.
void shard_join(struct shard *front, struct shard *s);
// Before its reactor runs, instead of shard_start: its directory could not be recovered, for an I/O error (-errno). Its
// logs are known and refuse everything.
void shard_give_up(struct shard *s, int err);
uint32_t shard_dir_no(const struct shard *s);
struct reactor *shard_reactor(const struct shard *s);
struct service *shard_service(struct shard *s);
struct log_env *shard_env(struct shard *s);
int shard_adopt(struct shard *s, struct log *l);
// After the clean stop: 0 if every log was closed cleanly.
int shard_stop_error(const struct shard *s);
// Fiber, after every shard was stopped cleanly. Writes upstream's recovery-point-, replication-,
// log-start- and cleaner-offset-checkpoint of a directory, with all logs but those of topic `skip` (the metadata log keeps none; NULL:
// none is left out). 0 or -errno.
int shard_write_points(struct shard *const *shards, uint32_t n, const struct sl_uuid *skip, const char *dir);
// Calls fn for every log; stops at its first non-zero and returns it. The shard's thread, or after the threads ended.
int shard_each_log(struct shard *s, int (*fn)(void *arg, struct log *l), void *arg);
// Frees memory; no I/O. Watches that are still linked are dropped.
void shard_destroy(struct shard *s);
// The life that store_begin_life began; before the first turn.
void shard_set_life(struct shard *s, const struct sl_uuid *life);
// Fiber: appends every log's part to a first checkpoint image (store_begin_life).
int shard_first_checkpoint(struct shard *s, const struct sl_uuid *life, struct sbuf *out);

// Which shard, and which reactor, a partition lives on.
static inline uint32_t shard_of(const struct sl_uuid *topic_id, int32_t partition, uint32_t shards)
{
    return (uint32_t)((sl_uuid_hash(topic_id) + (uint64_t)(uint32_t)partition) % shards);
}

#endif
