/* The leader epochs of a log, and where each began: upstream's LeaderEpochFileCache.
 *
 * Epochs and start offsets both rise. An epoch covers the offsets from its start to the next one's.
 * File (leader-epoch-checkpoint), text:
 *   0                 version
 *   2                 number of lines that follow
 *   3 0               epoch, start offset
 *   5 117
 * Checkpoint images use pairs of 12 bytes, big-endian: int32 epoch, int64 start offset.
 *
 * One owner thread; 16 bytes an epoch. */
#ifndef SLUICE_LOG_EPOCH_H
#define SLUICE_LOG_EPOCH_H

#include "engine/base/err.h"
#include "engine/base/sbuf.h"

#define EPOCH_UNDEFINED        (-1)
#define EPOCH_UNDEFINED_OFFSET (-1)
#define EPOCH_PAIR_SIZE        12

struct epoch_entry {
    int64_t start_offset;
    int32_t epoch;
};

/* Zeroed is a valid empty cache. */
struct epoch_cache {
    struct epoch_entry *e;
    uint32_t count, cap;
};

/* Answer of OffsetForLeaderEpoch. */
struct epoch_end {
    int64_t end_offset; /* EPOCH_UNDEFINED_OFFSET: unknown */
    int32_t epoch;
};

SL_EXTERN_C_BEGIN

void epoch_cache_destroy(struct epoch_cache *c);

/* Records that `epoch` starts at start_offset, unless the latest epoch is this one and began no later.
 * Entries with the same or a higher epoch, or that start at or behind start_offset, go. Returns 1 when the
 * cache changed (the file needs writing), 0 when not, -EINVAL for negative numbers, -ENOMEM. */
int epoch_cache_assign(struct epoch_cache *c, int32_t epoch, int64_t start_offset);

/* The latest epoch, or EPOCH_UNDEFINED. */
int32_t epoch_cache_latest(const struct epoch_cache *c);

/* Where `epoch` ends: for the latest, at log_end; for one between others, the largest known epoch not above
 * it and the start of the next; for one older than all, itself and the first start; else undefined. */
struct epoch_end epoch_cache_end_offset(const struct epoch_cache *c, int32_t epoch, int64_t log_end);

/* The epoch that the offset belongs to, or EPOCH_UNDEFINED when it lies before the first. */
int32_t epoch_cache_for_offset(const struct epoch_cache *c, int64_t offset);

/* The log now ends at end_offset: epochs that start at or behind it go. True: changed. */
bool epoch_cache_truncate_end(struct epoch_cache *c, int64_t end_offset);

/* The log now starts at start_offset: epochs that lie wholly before it go, the one that covers it starts
 * there. True: changed. */
bool epoch_cache_truncate_start(struct epoch_cache *c, int64_t start_offset);

/* Appends the file's text. 0 or -ENOMEM. */
int epoch_cache_print(const struct epoch_cache *c, struct sbuf *out);

/* Replaces the cache by a file's text; an empty file is an empty cache. Entries go through
 * epoch_cache_assign, as upstream's do. Returns 0; -EBADMSG, with the cache empty, for a bad version, count
 * or line; -ENOMEM. */
int epoch_cache_parse(struct epoch_cache *c, const char *p, size_t n);

/* The checkpoint image: count * EPOCH_PAIR_SIZE bytes. */
void epoch_cache_encode(const struct epoch_cache *c, uint8_t *dst);

/* Replaces the cache by an image. 0, -EBADMSG, -ENOMEM. */
int epoch_cache_load(struct epoch_cache *c, const uint8_t *p, size_t n);

SL_EXTERN_C_END

#endif
