/* CRC-32C on x86-64: the crc32 instruction (SSE4.2) has a latency of 3 cycles and a throughput of 1, so three
 * lanes side by side keep it busy. A block is three lanes of equal length L; its register is
 *
 *     lane0 * x^(16 L) + lane1 * x^(8 L) + lane2
 *
 * modulo the polynomial. The two multiplications are one carry-less multiplication each (PCLMULQDQ) of the
 * 32-bit register by a constant; the 64-bit sum goes through one more crc32, which reduces it and multiplies
 * it by x^32. In reflected form a product of two 32-bit values is off by one bit, hence the constants x^(8 k
 * - 33).
 */
#include "engine/base/crc32c_private.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/base/bytes.h"

#define CRC_TARGET __attribute__((target("sse4.2,pclmul")))

/* Lane lengths, largest first: long ones to spread the cost of joining, short ones for small batches. */
#define LANE_L 2048u
#define LANE_M 256u
#define LANE_S 64u

/* Copies of so many bytes at once are beyond what a core's own cache keeps for their next reader. */
#define AROUND_MIN (256u << 10)

/* Constants of one lane length: for lane1 (x^(8 L - 33)) and lane0 (x^(16 L - 33)). */
struct crc_fold {
    uint64_t one;
    uint64_t two;
};
static struct crc_fold fold_l, fold_m, fold_s;

static void crc_fold_init(struct crc_fold *f, uint64_t lane)
{
    f->one = crc32c_xpow(8 * lane - CRC32C_X86_MUL_BIAS);
    f->two = crc32c_xpow(16 * lane - CRC32C_X86_MUL_BIAS);
}

bool crc32c_x86_init(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("pclmul"))
        return false;
    crc_fold_init(&fold_l, LANE_L);
    crc_fold_init(&fold_m, LANE_M);
    crc_fold_init(&fold_s, LANE_S);
    return true;
}

/* Joins the three lanes of a block. */
CRC_TARGET static inline uint32_t crc_join(uint64_t c0, uint64_t c1, uint64_t c2, const struct crc_fold *f)
{
    __m128i k = _mm_set_epi64x((long long)f->two, (long long)f->one);
    __m128i p0 = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)c0), k, 0x10);
    __m128i p1 = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)c1), k, 0x00);
    uint64_t sum = (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(p0, p1));
    return (uint32_t)(_mm_crc32_u64(0, sum) ^ c2);
}

/* One block of three lanes of `lane` bytes, a multiple of 16. */
CRC_TARGET static inline __attribute__((always_inline)) uint32_t
crc_block(uint32_t reg, const uint8_t *p, uint32_t lane, const struct crc_fold *f)
{
    uint64_t c0 = reg, c1 = 0, c2 = 0;
    const uint8_t *end = p + lane;
    for (; p != end; p += 16) {
        c0 = _mm_crc32_u64(c0, le64_load(p));
        c1 = _mm_crc32_u64(c1, le64_load(p + lane));
        c2 = _mm_crc32_u64(c2, le64_load(p + 2 * lane));
        c0 = _mm_crc32_u64(c0, le64_load(p + 8));
        c1 = _mm_crc32_u64(c1, le64_load(p + lane + 8));
        c2 = _mm_crc32_u64(c2, le64_load(p + 2 * lane + 8));
    }
    return crc_join(c0, c1, c2, f);
}

/* The same, and copies: each 16 bytes are loaded and stored once as a vector, and fed to crc32 from the cache
 * line that is then at hand. */
CRC_TARGET static inline __attribute__((always_inline)) void copy_put(uint8_t *d, __m128i v, bool around)
{
    if (around)
        _mm_stream_si128((__m128i *)(void *)d, v);
    else
        _mm_storeu_si128((__m128i *)(void *)d, v);
}

CRC_TARGET static inline __attribute__((always_inline)) uint32_t
crc_block_copy(uint32_t reg, uint8_t *d, const uint8_t *p, uint32_t lane, const struct crc_fold *f,
               bool around)
{
    uint64_t c0 = reg, c1 = 0, c2 = 0;
    const uint8_t *end = p + lane;
    for (; p != end; p += 16, d += 16) {
        __m128i v0 = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i v1 = _mm_loadu_si128((const __m128i *)(const void *)(p + lane));
        __m128i v2 = _mm_loadu_si128((const __m128i *)(const void *)(p + 2 * lane));
        c0 = _mm_crc32_u64(c0, le64_load(p));
        c1 = _mm_crc32_u64(c1, le64_load(p + lane));
        c2 = _mm_crc32_u64(c2, le64_load(p + 2 * lane));
        c0 = _mm_crc32_u64(c0, le64_load(p + 8));
        c1 = _mm_crc32_u64(c1, le64_load(p + lane + 8));
        c2 = _mm_crc32_u64(c2, le64_load(p + 2 * lane + 8));
        copy_put(d, v0, around);
        copy_put(d + lane, v1, around);
        copy_put(d + 2 * lane, v2, around);
    }
    return crc_join(c0, c1, c2, f);
}

CRC_TARGET uint32_t crc32c_x86_mul(uint32_t a, uint32_t b)
{
    __m128i p = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)a), _mm_cvtsi32_si128((int)b), 0x00);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(p));
}

CRC_TARGET uint32_t crc32c_x86(uint32_t reg, const uint8_t *p, size_t n)
{
    for (; n >= 3 * LANE_L; p += 3 * LANE_L, n -= 3 * LANE_L)
        reg = crc_block(reg, p, LANE_L, &fold_l);
    for (; n >= 3 * LANE_M; p += 3 * LANE_M, n -= 3 * LANE_M)
        reg = crc_block(reg, p, LANE_M, &fold_m);
    for (; n >= 3 * LANE_S; p += 3 * LANE_S, n -= 3 * LANE_S)
        reg = crc_block(reg, p, LANE_S, &fold_s);
    uint64_t r = reg;
    for (; n >= 8; p += 8, n -= 8)
        r = _mm_crc32_u64(r, le64_load(p));
    reg = (uint32_t)r;
    for (; n > 0; p++, n--)
        reg = _mm_crc32_u8(reg, *p);
    return reg;
}

/* Long copies go around the cache: they would not stay in it, and the lines they fill need not be read first. dst gets
 * aligned; the fence orders the stores before whatever tells of them. */
CRC_TARGET static uint32_t copy_around(uint32_t reg, uint8_t **dst, const uint8_t **src, size_t *n)
{
    uint8_t *d = *dst;
    const uint8_t *p = *src;
    size_t left = *n;
    for (; (uintptr_t)d % 64; d++, p++, left--) {
        *d = *p;
        reg = _mm_crc32_u8(reg, *p);
    }
    for (; left >= 3 * LANE_L; d += 3 * LANE_L, p += 3 * LANE_L, left -= 3 * LANE_L)
        reg = crc_block_copy(reg, d, p, LANE_L, &fold_l, true);
    _mm_sfence();
    *dst = d;
    *src = p;
    *n = left;
    return reg;
}

CRC_TARGET uint32_t crc32c_x86_copy(uint32_t reg, uint8_t *dst, const uint8_t *src, size_t n)
{
    if (n >= AROUND_MIN)
        reg = copy_around(reg, &dst, &src, &n);
    for (; n >= 3 * LANE_L; dst += 3 * LANE_L, src += 3 * LANE_L, n -= 3 * LANE_L)
        reg = crc_block_copy(reg, dst, src, LANE_L, &fold_l, false);
    for (; n >= 3 * LANE_M; dst += 3 * LANE_M, src += 3 * LANE_M, n -= 3 * LANE_M)
        reg = crc_block_copy(reg, dst, src, LANE_M, &fold_m, false);
    for (; n >= 3 * LANE_S; dst += 3 * LANE_S, src += 3 * LANE_S, n -= 3 * LANE_S)
        reg = crc_block_copy(reg, dst, src, LANE_S, &fold_s, false);
    uint64_t r = reg;
    for (; n >= 8; dst += 8, src += 8, n -= 8) {
        uint64_t w = le64_load(src);
        le64_store(dst, w);
        r = _mm_crc32_u64(r, w);
    }
    reg = (uint32_t)r;
    for (; n > 0; dst++, src++, n--) {
        *dst = *src;
        reg = _mm_crc32_u8(reg, *src);
    }
    return reg;
}
#endif
