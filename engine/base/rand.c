#include "engine/base/rand.h"

#include <string.h>

void sl_rand_seed(struct sl_rand *r, uint64_t seed)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(r->s); i++)
        r->s[i] = sl_splitmix64(&seed);
}

void sl_rand_bytes(struct sl_rand *r, void *p, size_t n)
{
    uint8_t *out = p;
    while (n > 0) {
        uint64_t v = sl_rand_u64(r);
        size_t k = SL_MIN(n, sizeof(v));
        memcpy(out, &v, k);
        out += k;
        n -= k;
    }
}

/* Lemire's method: the high half of a 64x64 product, drawn again in the few cases that would be uneven. */
uint64_t sl_rand_below(struct sl_rand *r, uint64_t n)
{
    SL_ASSERT(n > 0);
    unsigned __int128 m = (unsigned __int128)sl_rand_u64(r) * n;
    if ((uint64_t)m < n) {
        uint64_t uneven = (0 - n) % n;
        while ((uint64_t)m < uneven)
            m = (unsigned __int128)sl_rand_u64(r) * n;
    }
    return (uint64_t)(m >> 64);
}
