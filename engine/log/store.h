// One log directory across lives: locks, identity, journals of the last life, and the switch to a new one.
//
// Start (all in one fiber on reactor 0, before any shard serves; rules S1, S3, S4, S9, S11):
//   1. store_open          locks taken (upstream's .lock and our own flock on <dir>/sluice.lock), meta.properties read,
//                          directory classified
//   2. store_read_journals every journal of the last life read and verified, for whatever number of shards it had:
//                          fences first, then entries per log in journal order, beside the shards' checkpoints
//   3. log_recover         (log.h) per log, the metadata log first: checkpoint + entries -> log end, producer state,
//                          epochs, index tail; bytes laid over the segment blocks; every file accepted or written is synced
//   4. store_begin_life    .kafka_cleanshutdown removed durably before the first write; new random life id; for each shard a
//                          first checkpoint of its logs and its first journal file; `current` renamed over, directory
//                          synced; the old life's files removed last
// Clean stop: store_end_clean.
//
// The life in force is the one that <dir>/sluice.journal.d/current names; without that file there is none, whatever else
// lies in the journal directory. `current` (little-endian):
//   0  u64 magic "SLUICECU"; 8 u16 version (1); 10 u16 journal format version (1); 12 u32 crc32c of everything after byte
//   16; 16 16B life id; 32 u32 shard count; 36 u32 zero; then per shard: u32 number of its first journal file (0).
// A crash between any two steps leaves either the old life in force, with all its files, or the new one, whose
// checkpoints say what recovery from the old one found; nothing of a new life is acknowledged before the rename is durable.
#ifndef SLUICE_ENGINE_LOG_STORE_H
#define SLUICE_ENGINE_LOG_STORE_H

#include "engine/log/checkpoint.h"
#include "engine/log/journal.h"

struct store;

enum store_kind {
    STORE_EMPTY, // nothing there: to be formatted by the caller (meta)
    STORE_CLEAN, // .kafka_cleanshutdown: ours or upstream's, cleanly stopped
    STORE_OURS,  // our journal directory is there: unclean stop of ours
    STORE_UPSTREAM, // formatted, no clean-shutdown file, no journal: upstream left it uncleanly; recovery points hold
};

// Fiber. Creates the directory (0700) if missing, takes both locks (waiting up to wait_ms each), registers the flock in this
// reactor's ring, and only then reads meta.properties and `current`, and classifies. A non-empty directory that is neither
// ours nor upstream's: -ENOTEMPTY and an `err` naming it; it is never touched, but for the lock files. -EAGAIN: another
// process holds a lock. -EUCLEAN: `current` is damaged, or there are both .kafka_cleanshutdown and a life in force, so that
// another broker may have written since. -EPROTONOSUPPORT: a newer version wrote it. NULL with err text on failure.
struct store *store_open(struct reactor *r, const char *dir, uint32_t wait_ms, char *err, size_t cap,
                         int *rc);
enum store_kind store_kind(const struct store *s);
const char *store_dir(const struct store *s);
// The lock to register in every further reactor's ring that writes here (io_lock_register).
int store_lock(const struct store *s);

struct store_identity {
    int32_t node_id;
    char cluster_id[64];
    struct sl_uuid directory_id;
};
// The identity read from meta.properties; false when the directory is empty.
bool store_get_identity(const struct store *s, struct store_identity *out);
// Fiber. Writes meta.properties durably (format of an empty directory).
int store_write_identity(struct store *s, const struct store_identity *id);

// Fiber. Step 2. 0; -EUCLEAN with err naming file and position on corruption of acknowledged groups; -errno.
int store_read_journals(struct store *s, char *err, size_t cap);

// What the journals and checkpoints of the last life say of one log.
struct store_log {
    struct sl_uuid topic_id;
    int32_t partition;
    bool has_checkpoint;
    struct ckpt_log ckpt;              // checkpoint.h; borrowed from the store
    const struct store_entry *entries; // in journal order, fences applied (void entries already dropped)
    uint32_t entries_n;
    // What the fences say.
    bool deleted;
    int64_t floor;        // the log starts here at least; 0: nothing is said
    int64_t settled;      // segments below are whole in their files, or gone
    uint32_t incarnation; // the highest
    bool used;            // set by whoever recovered it
};
struct store_entry {
    struct jentry e;
    const uint8_t *payload; // inline bytes, in the store's memory until store_begin_life; NULL: direct
    bool state_only; // of a settled segment: it counts for the end, producers and epochs, and lays no bytes
};
// NULL if the last life's journals do not know this log.
struct store_log *store_find_log(struct store *s, const struct sl_uuid *topic_id, int32_t partition);
// The i-th log that the last life knows, in no order; NULL beyond the last. For checks and reports: it walks a list.
struct store_log *store_log_at(struct store *s, uint32_t i);

// One shard's part of a new life, filled by the caller: the serialized first checkpoint (checkpoint.h).
struct store_shard_begin {
    const uint8_t *checkpoint;
    size_t checkpoint_len;
};
struct store_life {
    struct sl_uuid life;
    uint32_t shards;
};
// Fiber. Frees what store_make_ballast kept back, and removes .kafka_cleanshutdown durably, if it is there: due before the
// first write to any other file of the directory. store_begin_life does it by itself; who writes earlier calls it earlier.
int store_mark_dirty(struct store *s);
// The id that the next store_begin_life will use: random, its first 8 hex digits unlike the present life's. The same until
// that life has begun.
void store_new_life(struct store *s, struct sl_uuid *life);
// Fiber. Step 4, for `shards` shards; journal file parameters from cfg (dir, shard and life are filled in here). The
// images get life, shard and first generation 1 if they were built without. *out is the life in force from here on;
// journal_open opens each shard's journal. On failure the old life stays in force and may begin again.
int store_begin_life(struct store *s, const struct journal_config *cfg, uint32_t shards,
                     const struct store_shard_begin *begin, struct store_life *out, char *err, size_t cap);
// Fills dir, shard and life of a journal's configuration for the life in force.
void store_journal_config(const struct store *s, uint32_t shard, struct journal_config *cfg);
// Path of a shard's checkpoint file in this life (fio_write_file replaces it durably).
void store_checkpoint_path(const struct store *s, uint32_t shard, char *out, size_t cap);

// Fiber, while a life is in force. Space that a start on a full disk will need (rule S8): a file that store_mark_dirty
// removes, so that recovery and the next life's first files find room. 0, -ENOSPC: there is none now, or -errno.
int store_make_ballast(struct store *s, uint64_t bytes);

// The directory is offline: a write or a sync failed (rule S8), whichever shard saw it. Any thread; the first error stays.
void store_fail(struct store *s, int err);
int store_failed(const struct store *s); // 0, or that error

// Fiber. The last steps of a clean stop, after every log is closed, cut and synced and upstream's checkpoint files are
// written: removes the journal directory durably, then writes .kafka_cleanshutdown with `broker_epoch` durably. Below 0 that
// file is left out: a directory of the metadata log alone has none with upstream, which would not take it away either.
int store_end_clean(struct store *s, int64_t broker_epoch);
void store_close(struct store *s);

#endif
