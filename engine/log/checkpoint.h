// A shard's checkpoint: what recovery needs besides the journal, in one file, not thousands of small syncs.
//
// It holds every log of the shard. A log's part describes it at some appended end E that was durable before the file was
// written (S6); journal entries beyond E apply on top, entries below E only lay bytes. File (little-endian):
//   0 u64 magic "SLUICECP"; 8 u16 version (1); 10 u16 zero; 12 u32 crc32c of everything after byte 16; 16 16B life id;
//   32 u32 shard; 36 u32 log count; 40 u64 first needed generation; 48 u64 zero; then the logs, each:
//   16B topic id; i32 partition; u32 incarnation; i64 log start; i64 segment base; u32 end position; i32 leader epoch;
//   i64 end offset; i64 max timestamp; i64 offset of max timestamp; u32 index entries; u32 time index entries;
//   u32 producers length, u32 epochs length; then producer snapshot bytes (Kafka's .snapshot body) and the epoch pairs
//   (i32 epoch, i64 start).
#ifndef SLUICE_ENGINE_LOG_CHECKPOINT_H
#define SLUICE_ENGINE_LOG_CHECKPOINT_H

#include "engine/base/sbuf.h"
#include "engine/base/uuid.h"

struct ckpt_log {
    struct sl_uuid topic_id;
    int32_t partition;
    uint32_t incarnation;
    int64_t log_start;
    int64_t segment_base;  // base offset of the active segment
    uint32_t end_position; // bytes of it
    int32_t leader_epoch;
    int64_t end_offset;
    int64_t max_timestamp; // of the active segment
    int64_t max_timestamp_offset;
    uint32_t index_entries; // of the active segment's .index and .timeindex files as last written
    uint32_t timeindex_entries;
    const uint8_t *producers; // Kafka's .snapshot file image, or NULL
    uint32_t producers_len;
    const uint8_t *epochs; // pairs of 12 bytes
    uint32_t epochs_len;
};

struct ckpt_head {
    struct sl_uuid life;
    uint32_t shard;
    uint32_t logs;
    uint64_t first_generation; // journal generations below it are not needed
};

// Starts, extends and finishes an image in `out`. Owner's thread. 0 or -ENOMEM.
int ckpt_begin(struct sbuf *out, const struct sl_uuid *life, uint32_t shard, uint64_t first_generation);
int ckpt_add(struct sbuf *out, const struct ckpt_log *l);
int ckpt_finish(struct sbuf *out);

// Verifies an image and walks it; the logs point into `p`. 0, -EBADMSG, or fn's non-zero.
typedef int (*ckpt_fn)(void *arg, const struct ckpt_head *h, const struct ckpt_log *l);
int ckpt_walk(const uint8_t *p, size_t n, struct ckpt_head *head, ckpt_fn fn, void *arg);

// Gives an image another life, shard and first generation, and seals it again: the first checkpoint of a life is built
// before the life has its id. 0 or -EBADMSG.
int ckpt_rebrand(uint8_t *p, size_t n, const struct sl_uuid *life, uint32_t shard, uint64_t first_generation);

#endif
