#include "engine/base/hash.h"

#include "engine/base/bytes.h"

#define HASH_K0 0x9e3779b97f4a7c15ull
#define HASH_K1 0xe7037ed1a0b428dbull
#define HASH_K2 0x8ebc6af09c88c6e3ull

/* Folds the 128-bit product of two words: one multiplication mixes every bit of both. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* The last 1 to 16 bytes as two words; they may overlap, the length goes into the seed. */
static inline void hash_tail(const uint8_t *p, size_t n, uint64_t *a, uint64_t *b)
{
    if (n >= 8) {
        *a = le64_load(p);
        *b = le64_load(p + n - 8);
    } else if (n >= 4) {
        *a = le32_load(p);
        *b = le32_load(p + n - 4);
    } else {
        *a = (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
        *b = 0;
    }
}

uint64_t sl_hash64(const void *data, size_t n, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t a = 0, b = 0;
    uint64_t h = hash_fold(seed ^ HASH_K0, (uint64_t)n ^ HASH_K1);
    while (n > 16) {
        h = hash_fold(le64_load(p) ^ HASH_K1, le64_load(p + 8) ^ h);
        p += 16;
        n -= 16;
    }
    if (n > 0)
        hash_tail(p, n, &a, &b);
    h = hash_fold(a ^ HASH_K2, b ^ h);
    return hash_fold(h ^ HASH_K0, HASH_K1);
}
