#include "engine/log/timeindex.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/base/bytes.h"

#define FIRST_CAP 8

void time_index_init(struct time_index *x, int64_t base_offset, uint32_t index_bytes)
{
    *x = (struct time_index){.base_offset = base_offset, .max_entries = index_bytes / TIME_INDEX_ENTRY_SIZE};
}

void time_index_destroy(struct time_index *x)
{
    free(x->e);
    x->e = NULL;
    x->count = x->cap = 0;
}

static int reserve(struct time_index *x, uint32_t count)
{
    if (count <= x->cap)
        return 0;
    uint32_t cap = SL_MAX(SL_MAX(count, x->cap + x->cap / 2), (uint32_t)FIRST_CAP);
    struct time_index_entry *e = realloc(x->e, (size_t)cap * sizeof(*e));
    if (!e)
        return -ENOMEM;
    x->e = e;
    x->cap = cap;
    return 0;
}

static int64_t timestamp_at(const struct time_index *x, uint32_t i)
{
    return (int64_t)be64_load(x->e[i].b);
}

static uint32_t relative_at(const struct time_index *x, uint32_t i)
{
    return be32_load(x->e[i].b + 8);
}

struct timestamp_offset time_index_at(const struct time_index *x, uint32_t i)
{
    SL_ASSERT(i < x->count);
    return (struct timestamp_offset){.timestamp = timestamp_at(x, i),
                                     .offset = x->base_offset + relative_at(x, i)};
}

struct timestamp_offset time_index_last(const struct time_index *x)
{
    if (x->count)
        return time_index_at(x, x->count - 1);
    return (struct timestamp_offset){.timestamp = -1, .offset = x->base_offset};
}

int time_index_append(struct time_index *x, int64_t timestamp, int64_t offset, bool sealing)
{
    struct timestamp_offset last = time_index_last(x);
    if (offset < x->base_offset || offset - x->base_offset > INT32_MAX)
        return -EOVERFLOW;
    if (x->count && (timestamp < last.timestamp || offset < last.offset))
        return -EINVAL;
    if (timestamp <= last.timestamp)
        return 0;
    if (x->count >= x->max_entries || (!sealing && time_index_is_full(x)))
        return -ENOSPC;
    int rc = reserve(x, x->count + 1);
    if (rc < 0)
        return rc;
    be64_store(x->e[x->count].b, (uint64_t)timestamp);
    be32_store(x->e[x->count].b + 8, (uint32_t)(offset - x->base_offset));
    x->count++;
    return 1;
}

struct timestamp_offset time_index_lookup(const struct time_index *x, int64_t target)
{
    uint32_t low = 0, high = x->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (timestamp_at(x, mid) <= target)
            low = mid + 1;
        else
            high = mid;
    }
    if (low)
        return time_index_at(x, low - 1);
    return (struct timestamp_offset){.timestamp = -1, .offset = x->base_offset};
}

void time_index_truncate(struct time_index *x, int64_t offset)
{
    while (x->count && x->base_offset + relative_at(x, x->count - 1) >= offset)
        x->count--;
}

void time_index_encode(const struct time_index *x, uint32_t from, uint32_t to, uint8_t *dst)
{
    SL_ASSERT(from <= to && to <= x->count);
    if (from < to)
        memcpy(dst, x->e + from, (size_t)(to - from) * TIME_INDEX_ENTRY_SIZE);
}

int time_index_load(struct time_index *x, const uint8_t *p, size_t n)
{
    size_t count = n / TIME_INDEX_ENTRY_SIZE;
    x->count = 0;
    if (n % TIME_INDEX_ENTRY_SIZE != 0 || count > UINT32_MAX)
        return -EBADMSG;
    int rc = reserve(x, (uint32_t)count);
    if (rc < 0)
        return rc;
    if (n)
        memcpy(x->e, p, n);
    for (uint32_t i = 0; i < count; i++) {
        bool rises = i == 0 || (timestamp_at(x, i) > timestamp_at(x, i - 1) &&
                                relative_at(x, i) >= relative_at(x, i - 1));
        if (!rises || timestamp_at(x, i) < 0 || relative_at(x, i) > INT32_MAX)
            return -EBADMSG;
    }
    x->count = (uint32_t)count;
    return 0;
}
