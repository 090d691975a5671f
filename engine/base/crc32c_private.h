/* Between crc32c.c (tables, dispatch) and crc32c_x86.c. The functions here work on the raw register: inverted
 * before and after by the public ones. */
#ifndef SLUICE_BASE_CRC32C_PRIVATE_H
#define SLUICE_BASE_CRC32C_PRIVATE_H

#include "engine/base/err.h"

/* x^n mod P in reflected form: bit 31 is the coefficient of x^0. */
uint32_t crc32c_xpow(uint64_t n);

#if defined(__x86_64__)
/* Sets up the folding constants; false when the processor lacks the instructions. */
bool crc32c_x86_init(void);
uint32_t crc32c_x86(uint32_t reg, const uint8_t *p, size_t n);
uint32_t crc32c_x86_copy(uint32_t reg, uint8_t *dst, const uint8_t *src, size_t n);
#endif

#endif
