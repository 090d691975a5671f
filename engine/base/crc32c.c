/* Tables, arithmetic modulo the polynomial, and the choice of implementation. */
#include "engine/base/crc32c.h"

#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/crc32c_private.h"

/* x^32 is left out; bit 31 is x^0. */
#define CRC32C_POLY 0x82f63b78u

/* table[k][b]: the register after byte b and k zero bytes, from 0. */
static uint32_t table[8][256];

static uint32_t (*impl)(uint32_t reg, const uint8_t *p, size_t n);
static uint32_t (*impl_copy)(uint32_t reg, uint8_t *dst, const uint8_t *src, size_t n);
static uint32_t (*impl_mul)(uint32_t a, uint32_t b);
static const char *impl_name;

/* x^CRC32C_ORDER is 1: the polynomial is x + 1 times a primitive one of degree 31. */
#define CRC32C_ORDER ((1ull << 31) - 1)

/* shift_table[j][d]: the factor that moves a checksum on by d * 16^j zero bytes, for impl_mul. */
static uint32_t shift_table[16][16];

static inline uint32_t crc32c_byte(uint32_t reg, uint8_t b)
{
    return table[0][(reg ^ b) & 0xff] ^ (reg >> 8);
}

/* Eight bytes at once. */
static inline uint32_t crc32c_word(uint32_t reg, uint64_t w)
{
    w ^= reg;
    return table[7][w & 0xff] ^ table[6][(w >> 8) & 0xff] ^ table[5][(w >> 16) & 0xff] ^
           table[4][(w >> 24) & 0xff] ^ table[3][(w >> 32) & 0xff] ^ table[2][(w >> 40) & 0xff] ^
           table[1][(w >> 48) & 0xff] ^ table[0][w >> 56];
}

static uint32_t crc32c_table(uint32_t reg, const uint8_t *p, size_t n)
{
    for (; n >= 8; p += 8, n -= 8)
        reg = crc32c_word(reg, le64_load(p));
    for (; n > 0; p++, n--)
        reg = crc32c_byte(reg, *p);
    return reg;
}

static uint32_t crc32c_table_copy(uint32_t reg, uint8_t *dst, const uint8_t *src, size_t n)
{
    for (; n >= 8; dst += 8, src += 8, n -= 8) {
        uint64_t w = le64_load(src);
        le64_store(dst, w);
        reg = crc32c_word(reg, w);
    }
    for (; n > 0; dst++, src++, n--) {
        *dst = *src;
        reg = crc32c_byte(reg, *src);
    }
    return reg;
}

/* a * b mod P. */
static uint32_t crc32c_mul(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = (b >> 1) ^ (CRC32C_POLY & (0 - (b & 1)));
    }
    return product;
}

/* x_squares[k]: x^(2^k) mod P. */
static uint32_t x_squares[64];

uint32_t crc32c_xpow(uint64_t n)
{
    uint32_t r = 1u << 31; /* x^0 */
    for (int k = 0; n; k++, n >>= 1) {
        if (n & 1)
            r = crc32c_mul(r, x_squares[k]);
    }
    return r;
}

uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
    /* Inversion before and after cancels out: A's checksum moves on by len_b zero bytes, B's is added. */
    for (int j = 0; len_b; j++, len_b >>= 4) {
        if (len_b & 15)
            crc_a = impl_mul(crc_a, shift_table[j][len_b & 15]);
    }
    return crc_a ^ crc_b;
}

/* bias: what the implementation's multiplication adds to the exponent. */
static void crc32c_init_shifts(int64_t bias)
{
    uint64_t step = 8; /* 8 * 16^j, modulo the order of x */
    for (int j = 0; j < 16; j++) {
        for (uint64_t d = 1; d < 16; d++)
            shift_table[j][d] = crc32c_xpow((d * step + CRC32C_ORDER - (uint64_t)bias) % CRC32C_ORDER);
        step = step * 16 % CRC32C_ORDER;
    }
}

static void crc32c_init_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t r = i;
        for (int bit = 0; bit < 8; bit++)
            r = (r >> 1) ^ (CRC32C_POLY & (0 - (r & 1)));
        table[0][i] = r;
    }
    for (int k = 1; k < 8; k++) {
        for (uint32_t i = 0; i < 256; i++)
            table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
    }
    x_squares[0] = 1u << 30; /* x^1 */
    for (int k = 1; k < 64; k++)
        x_squares[k] = crc32c_mul(x_squares[k - 1], x_squares[k - 1]);
}

void crc32c_init(bool allow_hardware)
{
    crc32c_init_tables();
    impl = crc32c_table;
    impl_copy = crc32c_table_copy;
    impl_mul = crc32c_mul;
    impl_name = "portable";
    int64_t bias = 0;
#if defined(__x86_64__)
    if (allow_hardware && crc32c_x86_init()) {
        impl = crc32c_x86;
        impl_copy = crc32c_x86_copy;
        impl_mul = crc32c_x86_mul;
        impl_name = "sse4.2+pclmul";
        bias = CRC32C_X86_MUL_BIAS;
    }
#endif
    crc32c_init_shifts(bias);
}

/* Before main and before any thread, so that the calls need no check. */
__attribute__((constructor)) static void crc32c_choose(void)
{
    crc32c_init(true);
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    return ~impl(~crc, p, n);
}

uint32_t crc32c_copy(uint32_t crc, void *dst, const void *src, size_t n)
{
    return ~impl_copy(~crc, dst, src, n);
}

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n)
{
    return ~crc32c_table(~crc, p, n);
}

uint32_t crc32c_copy_portable(uint32_t crc, void *dst, const void *src, size_t n)
{
    return ~crc32c_table_copy(~crc, dst, src, n);
}

const char *crc32c_implementation(void)
{
    return impl_name;
}
