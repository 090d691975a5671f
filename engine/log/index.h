/* Kafka's sparse offset index of a segment (.index), in memory.
 *
 * File: entries of 8 bytes, big-endian:
 *   0  4  offset relative to the segment's base offset (the last offset of a batch)
 *   4  4  position in the segment file of that batch's first byte
 * Entries rise strictly in offset and position. An entry is added before a batch is appended when more than
 * index.interval.bytes went into the segment since the last entry, so none points at position 0.
 *
 * An index is a hint (rule S10): every hit is verified at the batch it points to. One owner thread; memory
 * grows with the entries, 8 bytes each. */
#ifndef SLUICE_LOG_INDEX_H
#define SLUICE_LOG_INDEX_H

#include "engine/base/err.h"

#define OFFSET_INDEX_ENTRY_SIZE 8

struct offset_index_entry {
    uint32_t relative_offset;
    uint32_t position;
};
SL_STATIC_ASSERT(sizeof(struct offset_index_entry) == OFFSET_INDEX_ENTRY_SIZE, "as compact as the file");

struct offset_index {
    int64_t base_offset;
    struct offset_index_entry *e;
    uint32_t count, cap;
    uint32_t max_entries;
    uint32_t bytes_since; /* bytes appended to the segment since the last entry */
};

struct offset_position {
    int64_t offset;
    uint32_t position;
};

SL_EXTERN_C_BEGIN

/* An empty index. index_bytes: segment.index.bytes. Needs no memory until the first entry. */
void offset_index_init(struct offset_index *x, int64_t base_offset, uint32_t index_bytes);

void offset_index_destroy(struct offset_index *x);

/* To be called for each batch appended at `position`, in order. Adds an entry for it when the interval is
 * passed, and counts its size. Returns 1 when an entry was added, else 0 (also when the index is full), or
 * what offset_index_append returns. */
int offset_index_on_batch(struct offset_index *x, uint32_t interval_bytes, int64_t last_offset,
                          uint32_t position, uint32_t batch_size);

/* Adds an entry. -EINVAL unless offset and position rise; -ENOSPC when full; -EOVERFLOW when the offset is
 * more than INT32_MAX from the base; -ENOMEM. */
int offset_index_append(struct offset_index *x, int64_t offset, uint32_t position);

/* The last entry with offset <= target; {base offset, 0} when there is none. */
struct offset_position offset_index_lookup(const struct offset_index *x, int64_t target);

/* The first entry with position >= `position`, for bounding a read. False: none. */
bool offset_index_upper_bound(const struct offset_index *x, uint32_t position, struct offset_position *out);

/* The last entry; {base offset, 0} when empty. */
struct offset_position offset_index_last(const struct offset_index *x);

/* Removes all entries with offset >= `offset`. */
void offset_index_truncate(struct offset_index *x, int64_t offset);

/* The segment must roll: no entry fits any more. */
static inline bool offset_index_is_full(const struct offset_index *x)
{
    return x->count >= x->max_entries;
}

/* Whether an offset can be stored relative to the base: the segment must roll when not. */
static inline bool offset_index_can_hold(const struct offset_index *x, int64_t offset)
{
    return offset >= x->base_offset && offset - x->base_offset <= INT32_MAX;
}

/* Writes entries [from, to) in file form: (to - from) * 8 bytes at dst. */
void offset_index_encode(const struct offset_index *x, uint32_t from, uint32_t to, uint8_t *dst);

/* Replaces the entries by those of a file's n bytes. segment_bytes: the segment's size. Returns 0; -EBADMSG,
 * with the index empty, when n is no multiple of 8, when entries do not rise strictly or when a position lies
 * outside the segment; -ENOMEM. The file may hold more entries than max_entries. */
int offset_index_load(struct offset_index *x, const uint8_t *p, size_t n, uint32_t segment_bytes);

SL_EXTERN_C_END

#endif
