#include "bench/load/cover.h"

#include <stdatomic.h>

void cover_read(struct cover *c, int64_t from, int64_t next, uint64_t *missing, uint64_t *twice)
{
    int64_t upto = atomic_load_explicit(&c->upto, memory_order_acquire);
    *missing = from > upto ? (uint64_t)(from - upto) : 0;
    *twice = from < upto ? (uint64_t)(SL_MIN(next, upto) - from) : 0;
    while (upto < next && !atomic_compare_exchange_weak(&c->upto, &upto, next))
        ;
}
