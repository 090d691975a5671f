/* Between crc32c.c (tables, dispatch) and crc32c_x86.c. The functions here work on the raw register: inverted
 * before and after by the public ones. */
#ifndef SLUICE_BASE_CRC32C_PRIVATE_H
#define SLUICE_BASE_CRC32C_PRIVATE_H

#include "engine/base/err.h"

/* Fills the tables and chooses the implementation. Runs before main; tests call it again, without hardware, on
 * their only thread. */
void crc32c_init(bool allow_hardware);

/* x^n mod P in reflected form: bit 31 is the coefficient of x^0. */
uint32_t crc32c_xpow(uint64_t n);

#if defined(__x86_64__)
/* Sets up the folding constants; false when the processor lacks the instructions. */
bool crc32c_x86_init(void);
uint32_t crc32c_x86(uint32_t reg, const uint8_t *p, size_t n);
uint32_t crc32c_x86_copy(uint32_t reg, uint8_t *dst, const uint8_t *src, size_t n);

/* a * b * x^CRC32C_X86_MUL_BIAS mod P. */
#define CRC32C_X86_MUL_BIAS 33
uint32_t crc32c_x86_mul(uint32_t a, uint32_t b);
#endif

#endif
