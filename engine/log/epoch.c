#include "engine/log/epoch.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/base/bytes.h"
#include "engine/log/textfiles_private.h"

void epoch_cache_destroy(struct epoch_cache *c)
{
    free(c->e);
    *c = (struct epoch_cache){0};
}

static int reserve(struct epoch_cache *c)
{
    if (c->count < c->cap)
        return 0;
    uint32_t cap = c->cap ? c->cap * 2 : 2;
    struct epoch_entry *e = realloc(c->e, (size_t)cap * sizeof(*e));
    if (!e)
        return -ENOMEM;
    c->e = e;
    c->cap = cap;
    return 0;
}

int epoch_cache_assign(struct epoch_cache *c, int32_t epoch, int64_t start_offset)
{
    if (epoch < 0 || start_offset < 0)
        return -EINVAL;
    if (c->count && c->e[c->count - 1].epoch == epoch && c->e[c->count - 1].start_offset <= start_offset)
        return 0;
    if (reserve(c) < 0)
        return -ENOMEM;
    while (c->count && (c->e[c->count - 1].epoch >= epoch || c->e[c->count - 1].start_offset >= start_offset))
        c->count--;
    c->e[c->count++] = (struct epoch_entry){.start_offset = start_offset, .epoch = epoch};
    return 1;
}

int32_t epoch_cache_latest(const struct epoch_cache *c)
{
    return c->count ? c->e[c->count - 1].epoch : EPOCH_UNDEFINED;
}

/* Index of the first entry with a higher epoch, or count. */
static uint32_t higher(const struct epoch_cache *c, int32_t epoch)
{
    uint32_t low = 0, high = c->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (c->e[mid].epoch <= epoch)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct epoch_end epoch_cache_end_offset(const struct epoch_cache *c, int32_t epoch, int64_t log_end)
{
    const struct epoch_end undefined = {.end_offset = EPOCH_UNDEFINED_OFFSET, .epoch = EPOCH_UNDEFINED};
    if (epoch == EPOCH_UNDEFINED)
        return undefined;
    if (epoch_cache_latest(c) == epoch)
        return (struct epoch_end){.end_offset = log_end, .epoch = epoch};
    uint32_t next = higher(c, epoch);
    if (next == c->count)
        return undefined;
    return (struct epoch_end){.end_offset = c->e[next].start_offset,
                              .epoch = next ? c->e[next - 1].epoch : epoch};
}

int32_t epoch_cache_for_offset(const struct epoch_cache *c, int64_t offset)
{
    int32_t found = EPOCH_UNDEFINED;
    for (uint32_t i = 0; i < c->count && c->e[i].start_offset <= offset; i++)
        found = c->e[i].epoch;
    return found;
}

bool epoch_cache_truncate_end(struct epoch_cache *c, int64_t end_offset)
{
    uint32_t before = c->count;
    while (end_offset >= 0 && c->count && c->e[c->count - 1].start_offset >= end_offset)
        c->count--;
    return c->count != before;
}

bool epoch_cache_truncate_start(struct epoch_cache *c, int64_t start_offset)
{
    uint32_t covers = 0;
    while (covers < c->count && c->e[covers].start_offset <= start_offset)
        covers++;
    if (covers == 0 || (covers == 1 && c->e[0].start_offset == start_offset))
        return false;
    covers--;
    c->count -= covers;
    memmove(c->e, c->e + covers, (size_t)c->count * sizeof(*c->e));
    c->e[0].start_offset = start_offset;
    return true;
}

int epoch_cache_print(const struct epoch_cache *c, struct sbuf *out)
{
    sbuf_printf(out, "0\n%u\n", c->count);
    for (uint32_t i = 0; i < c->count; i++)
        sbuf_printf(out, "%d %lld\n", c->e[i].epoch, (long long)c->e[i].start_offset);
    return out->failed ? -ENOMEM : 0;
}

static int parse_line(void *arg, const struct text_token *t, unsigned tokens)
{
    int64_t epoch, start;
    if (tokens != 2 || text_int(t[0], INT32_MIN, INT32_MAX, &epoch) < 0 ||
        text_int(t[1], INT64_MIN, INT64_MAX, &start) < 0)
        return -EBADMSG;
    int rc = epoch_cache_assign(arg, (int32_t)epoch, start);
    return rc == -EINVAL ? -EBADMSG : SL_MIN(rc, 0);
}

int epoch_cache_parse(struct epoch_cache *c, const char *p, size_t n)
{
    c->count = 0;
    int rc = text_checkpoint_parse(p, n, parse_line, c);
    if (rc < 0)
        c->count = 0;
    return rc;
}

void epoch_cache_encode(const struct epoch_cache *c, uint8_t *dst)
{
    for (uint32_t i = 0; i < c->count; i++, dst += EPOCH_PAIR_SIZE) {
        be32_store(dst, (uint32_t)c->e[i].epoch);
        be64_store(dst + 4, (uint64_t)c->e[i].start_offset);
    }
}

int epoch_cache_load(struct epoch_cache *c, const uint8_t *p, size_t n)
{
    c->count = 0;
    if (n % EPOCH_PAIR_SIZE != 0)
        return -EBADMSG;
    for (size_t at = 0; at < n; at += EPOCH_PAIR_SIZE) {
        uint32_t before = c->count;
        int rc = epoch_cache_assign(c, (int32_t)be32_load(p + at), (int64_t)be64_load(p + at + 4));
        if (rc < 0 || c->count != before + 1) {
            c->count = 0;
            return rc == -ENOMEM ? rc : -EBADMSG;
        }
    }
    return 0;
}
