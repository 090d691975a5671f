/* A fast 64-bit hash of bytes, for tables and placement. Not for adversaries who can see its values: tables
 * keyed by a client's strings take a random seed. For the same seed it gives the same on every machine and in
 * every version. */
#ifndef SLUICE_BASE_HASH_H
#define SLUICE_BASE_HASH_H

#include "engine/base/err.h"

SL_EXTERN_C_BEGIN

/* Hash of the n bytes at p. */
uint64_t sl_hash64(const void *p, size_t n, uint64_t seed);

SL_EXTERN_C_END

/* Mixes one number; a bijection, so distinct numbers stay distinct. */
static inline uint64_t sl_hash_u64(uint64_t x)
{
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
    return x ^ (x >> 32);
}

/* One hash from two. The order matters. */
static inline uint64_t sl_hash_pair(uint64_t a, uint64_t b)
{
    return sl_hash_u64(a * 0x9e3779b97f4a7c15ull ^ sl_hash_u64(b));
}

#endif
