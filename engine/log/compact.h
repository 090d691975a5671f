// Compaction of one log: of each key, the newest record of the closed segments stays (cleanup.policy=compact).
//
// A round, as upstream's cleaner (Kafka 4.3, KIP-534) has it:
//   1. The dirty part, from the first dirty offset up to the first segment that must not be touched (the active one, what lies
//      behind the last stable offset, what is younger than min.compaction.lag.ms), is read into a map from key to the newest
//      offset: 16 bytes of a keyed 128-bit hash, and 8 of offset. What the map cannot hold waits for the next round.
//   2. Every segment below the map's end is read again and written anew, several small ones into one: a record goes if the map
//      knows a newer one of its key, if it is a tombstone past its delete horizon, or if its transaction was aborted. A batch
//      that loses all its records goes too, unless it holds its producer's last sequence or ends the part: then it stays empty.
//      A batch with tombstones, or a marker whose transaction has no data left, gets its delete horizon (now +
//      delete.retention.ms, in the batch's base timestamp) the first time it is seen so.
//   3. The new file takes the old ones' place (compact_swap.c).
//
// One compactor per shard works on one log at a time; its buffers and its map are reused. Fibers of the shard's reactor.
#ifndef SLUICE_ENGINE_LOG_COMPACT_H
#define SLUICE_ENGINE_LOG_COMPACT_H

#include "engine/log/log.h"

struct compactor;

struct compactor_config {
    uint64_t map_bytes; // log.cleaner.dedupe.buffer.size, this shard's share
    double load_factor; // of the map: log.cleaner.io.buffer.load.factor
    double
        bytes_per_second; // read and written, at most: log.cleaner.io.max.bytes.per.second, this shard's share
};
struct compactor *compactor_create(struct reactor *r,
                                   const struct compactor_config *cfg); // NULL: out of memory
void compactor_destroy(struct compactor *c);

// What there is to compact of a log.
struct compactable {
    int64_t first_dirty; // offsets below were compacted
    int64_t end;         // from here on nothing may be: a segment's base
    uint64_t clean_bytes, dirty_bytes;
    bool must; // a record of the dirty part is older than max.compaction.lag.ms
};
// 0, or -errno. dirty_bytes is 0 when there is nothing.
int log_compactable(struct log *l, struct compactable *out);
// One round. 1: the first dirty offset moved, more may be left; 0: there was nothing; -errno. -EBADMSG: a batch does not hold;
// the log stays as it is. -E2BIG: the map cannot take the keys of one batch.
int log_compact(struct log *l, struct compactor *c);
// The first dirty offset, kept in checkpoints and in upstream's cleaner-offset-checkpoint; 0: nothing was compacted.
int64_t log_first_dirty(const struct log *l);
void log_set_first_dirty(struct log *l, int64_t offset);

#endif
