/* Kafka's time index of a segment (.timeindex), in memory.
 *
 * File: entries of 12 bytes, big-endian:
 *   0  8  timestamp, ms: no record before the next entry's offset is newer
 *   8  4  offset relative to the segment's base offset: last offset of the first batch with that timestamp
 * Timestamps rise strictly, offsets do not fall. An entry is offered whenever the offset index gets one, and
 * once more when the segment is sealed (that one may use the last slot, which appends leave free).
 *
 * A hint, like the offset index. One owner thread; 12 bytes an entry. */
#ifndef SLUICE_LOG_TIMEINDEX_H
#define SLUICE_LOG_TIMEINDEX_H

#include "engine/base/err.h"

#define TIME_INDEX_ENTRY_SIZE 12

/* In the file's form, so that memory is as compact as the file. */
struct time_index_entry {
    uint8_t b[TIME_INDEX_ENTRY_SIZE];
};

struct time_index {
    int64_t base_offset;
    struct time_index_entry *e;
    uint32_t count, cap;
    uint32_t max_entries;
};

struct timestamp_offset {
    int64_t timestamp;
    int64_t offset;
};

SL_EXTERN_C_BEGIN

/* An empty index. index_bytes: segment.index.bytes. */
void time_index_init(struct time_index *x, int64_t base_offset, uint32_t index_bytes);

void time_index_destroy(struct time_index *x);

/* Adds an entry when the timestamp is above the last one's; otherwise does nothing. sealing: the last slot
 * may be used. Returns 1 added, 0 not; -EINVAL when timestamp or offset fall below the last entry's; -ENOSPC
 * when full; -EOVERFLOW; -ENOMEM. */
int time_index_append(struct time_index *x, int64_t timestamp, int64_t offset, bool sealing);

/* The last entry with timestamp <= target; {-1, base offset} when there is none. Records at or after `target`
 * are at or behind that offset. */
struct timestamp_offset time_index_lookup(const struct time_index *x, int64_t target);

/* Entry i < count. */
struct timestamp_offset time_index_at(const struct time_index *x, uint32_t i);

/* The last entry; {-1, base offset} when empty. */
struct timestamp_offset time_index_last(const struct time_index *x);

/* Removes all entries with offset >= `offset`. */
void time_index_truncate(struct time_index *x, int64_t offset);

/* The segment must roll. One slot is kept for sealing. */
static inline bool time_index_is_full(const struct time_index *x)
{
    return x->count + 1 >= x->max_entries;
}

/* Writes entries [from, to) in file form: (to - from) * 12 bytes at dst. */
void time_index_encode(const struct time_index *x, uint32_t from, uint32_t to, uint8_t *dst);

/* Replaces the entries by those of a file's n bytes. Returns 0; -EBADMSG, with the index empty, when n is no
 * multiple of 12, when timestamps do not rise or offsets fall; -ENOMEM. */
int time_index_load(struct time_index *x, const uint8_t *p, size_t n);

SL_EXTERN_C_END

#endif
