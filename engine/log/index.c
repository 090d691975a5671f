#include "engine/log/index.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/base/bytes.h"

#define FIRST_CAP 8

void offset_index_init(struct offset_index *x, int64_t base_offset, uint32_t index_bytes)
{
    *x = (struct offset_index){.base_offset = base_offset,
                               .max_entries = index_bytes / OFFSET_INDEX_ENTRY_SIZE};
}

void offset_index_destroy(struct offset_index *x)
{
    free(x->e);
    x->e = NULL;
    x->count = x->cap = 0;
}

static int reserve(struct offset_index *x, uint32_t count)
{
    if (count <= x->cap)
        return 0;
    uint32_t cap = SL_MAX(SL_MAX(count, x->cap + x->cap / 2), (uint32_t)FIRST_CAP);
    struct offset_index_entry *e = realloc(x->e, (size_t)cap * sizeof(*e));
    if (!e)
        return -ENOMEM;
    x->e = e;
    x->cap = cap;
    return 0;
}

int offset_index_append(struct offset_index *x, int64_t offset, uint32_t position)
{
    if (!offset_index_can_hold(x, offset))
        return -EOVERFLOW;
    if (offset_index_is_full(x))
        return -ENOSPC;
    uint32_t relative = (uint32_t)(offset - x->base_offset);
    if (x->count &&
        (relative <= x->e[x->count - 1].relative_offset || position <= x->e[x->count - 1].position))
        return -EINVAL;
    int rc = reserve(x, x->count + 1);
    if (rc < 0)
        return rc;
    x->e[x->count++] = (struct offset_index_entry){.relative_offset = relative, .position = position};
    return 0;
}

int offset_index_on_batch(struct offset_index *x, uint32_t interval_bytes, int64_t last_offset,
                          uint32_t position, uint32_t batch_size)
{
    int added = 0;
    if (x->bytes_since > interval_bytes && !offset_index_is_full(x)) {
        int rc = offset_index_append(x, last_offset, position);
        if (rc < 0)
            return rc;
        x->bytes_since = 0;
        added = 1;
    }
    x->bytes_since = x->bytes_since > UINT32_MAX - batch_size ? UINT32_MAX : x->bytes_since + batch_size;
    return added;
}

/* How many entries have an offset <= relative. */
static uint32_t count_up_to(const struct offset_index *x, int64_t relative)
{
    uint32_t low = 0, high = x->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if ((int64_t)x->e[mid].relative_offset <= relative)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct offset_position entry_at(const struct offset_index *x, uint32_t i)
{
    return (struct offset_position){.offset = x->base_offset + x->e[i].relative_offset,
                                    .position = x->e[i].position};
}

struct offset_position offset_index_lookup(const struct offset_index *x, int64_t target)
{
    uint32_t n = target < x->base_offset ? 0 : count_up_to(x, target - x->base_offset);
    return n ? entry_at(x, n - 1) : (struct offset_position){.offset = x->base_offset};
}

bool offset_index_upper_bound(const struct offset_index *x, uint32_t position, struct offset_position *out)
{
    uint32_t low = 0, high = x->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (x->e[mid].position < position)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == x->count)
        return false;
    *out = entry_at(x, low);
    return true;
}

struct offset_position offset_index_last(const struct offset_index *x)
{
    return x->count ? entry_at(x, x->count - 1) : (struct offset_position){.offset = x->base_offset};
}

void offset_index_truncate(struct offset_index *x, int64_t offset)
{
    x->count = offset <= x->base_offset ? 0 : count_up_to(x, offset - x->base_offset - 1);
}

void offset_index_encode(const struct offset_index *x, uint32_t from, uint32_t to, uint8_t *dst)
{
    SL_ASSERT(from <= to && to <= x->count);
    for (uint32_t i = from; i < to; i++, dst += OFFSET_INDEX_ENTRY_SIZE) {
        be32_store(dst, x->e[i].relative_offset);
        be32_store(dst + 4, x->e[i].position);
    }
}

int offset_index_load(struct offset_index *x, const uint8_t *p, size_t n, uint32_t segment_bytes)
{
    size_t count = n / OFFSET_INDEX_ENTRY_SIZE;
    x->count = 0;
    if (n % OFFSET_INDEX_ENTRY_SIZE != 0 || count > UINT32_MAX)
        return -EBADMSG;
    int rc = reserve(x, (uint32_t)count);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < count; i++, p += OFFSET_INDEX_ENTRY_SIZE) {
        struct offset_index_entry e = {.relative_offset = be32_load(p), .position = be32_load(p + 4)};
        bool rises =
            i == 0 || (e.relative_offset > x->e[i - 1].relative_offset && e.position > x->e[i - 1].position);
        if (!rises || e.relative_offset > INT32_MAX || e.position >= segment_bytes)
            return -EBADMSG;
        x->e[i] = e;
    }
    x->count = (uint32_t)count;
    return 0;
}
