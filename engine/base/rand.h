/* A seeded pseudo-random generator, xoshiro256** (Blackman and Vigna; public domain) with its state filled by
 * splitmix64: the same numbers for the same seed on every machine. For the simulator, tests and load
 * generators; randomness that must not be guessed comes through io_random. Not thread-safe: one per user. */
#ifndef SLUICE_BASE_RAND_H
#define SLUICE_BASE_RAND_H

#include "engine/base/err.h"

struct sl_rand {
    uint64_t s[4];
};

SL_EXTERN_C_BEGIN

/* Any seed is fine, 0 too. */
void sl_rand_seed(struct sl_rand *r, uint64_t seed);

/* Fills n bytes at p. */
void sl_rand_bytes(struct sl_rand *r, void *p, size_t n);

/* Uniform in [0, n); n > 0. Without bias. */
uint64_t sl_rand_below(struct sl_rand *r, uint64_t n);

SL_EXTERN_C_END

/* One step of splitmix64: also a way to derive seeds from a seed. */
static inline uint64_t sl_splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* 64 random bits. */
static inline uint64_t sl_rand_u64(struct sl_rand *r)
{
    uint64_t *s = r->s;
    uint64_t x = s[1] * 5;
    uint64_t result = ((x << 7) | (x >> 57)) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

static inline uint32_t sl_rand_u32(struct sl_rand *r)
{
    return (uint32_t)(sl_rand_u64(r) >> 32);
}

/* Uniform in [lo, hi], both included; lo <= hi. */
static inline uint64_t sl_rand_range(struct sl_rand *r, uint64_t lo, uint64_t hi)
{
    uint64_t span = hi - lo;
    return span == UINT64_MAX ? sl_rand_u64(r) : lo + sl_rand_below(r, span + 1);
}

/* True in num of den cases. */
static inline bool sl_rand_chance(struct sl_rand *r, uint64_t num, uint64_t den)
{
    return sl_rand_below(r, den) < num;
}

/* Uniform in [0, 1). */
static inline double sl_rand_double(struct sl_rand *r)
{
    return (double)(sl_rand_u64(r) >> 11) * 0x1.0p-53;
}

#endif
