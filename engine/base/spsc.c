#include "engine/base/spsc.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SPSC_CAPACITY_MAX (1u << 24)
#define SPSC_HUGE         ((size_t)2 << 20)

SL_STATIC_ASSERT(offsetof(struct spsc, tail) % SL_CACHE_LINE == 0, "tail has a line of its own");
SL_STATIC_ASSERT(offsetof(struct spsc, taken) % SL_CACHE_LINE == 0, "the consumer has a line of its own");
SL_STATIC_ASSERT(offsetof(struct spsc, head) % SL_CACHE_LINE == 0, "head has a line of its own");
SL_STATIC_ASSERT(sizeof(struct spsc) == 4 * SL_CACHE_LINE, "two lines a side");
SL_STATIC_ASSERT(sizeof(struct sl_sleep_flag) == SL_CACHE_LINE, "the flag shares its line with nothing");

struct spsc *spsc_create(uint32_t capacity)
{
    SL_ASSERT(capacity > 0 && capacity <= SPSC_CAPACITY_MAX && (capacity & (capacity - 1)) == 0);
    size_t bytes = (size_t)capacity * sizeof(struct spsc_msg);
    size_t align = bytes >= SPSC_HUGE ? SPSC_HUGE : (size_t)SL_CACHE_LINE;
    struct spsc *s = aligned_alloc(SL_CACHE_LINE, sizeof(*s));
    struct spsc_msg *slots = aligned_alloc(align, bytes);
    if (!s || !slots) {
        free(s);
        free(slots);
        return NULL;
    }
    if (bytes >= SPSC_HUGE)
        (void)madvise(slots, bytes, MADV_HUGEPAGE); /* advice: nothing to do if refused */
    /* Touch the slots now: page faults belong to the start, not to the data path. */
    memset(slots, 0, bytes);
    memset(s, 0, sizeof(*s));
    s->capacity = s->capacity_c = capacity;
    s->slots = s->slots_c = slots;
    return s;
}

void spsc_destroy(struct spsc *s)
{
    if (!s)
        return;
    free(s->slots);
    free(s);
}
