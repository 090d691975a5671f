/* CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected; RFC 3720 appendix B.4): the checksum of Kafka's
 * record batches and of our journal.
 *
 * `crc` is always a finished checksum, 0 for no bytes at all, so that results chain:
 * crc32c(crc32c(0, a), b) == crc32c(0, ab). The plain names run on the processor's own instructions where it
 * has them (SSE4.2 and PCLMULQDQ, chosen before main starts), on tables otherwise. Pure; any thread.
 */
#ifndef SLUICE_BASE_CRC32C_H
#define SLUICE_BASE_CRC32C_H

#include "engine/base/err.h"

SL_EXTERN_C_BEGIN

/* The checksum of the n bytes at p behind those that gave crc. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

/* The same, and copies the bytes to dst in the same pass. The two ranges must not overlap. */
uint32_t crc32c_copy(uint32_t crc, void *dst, const void *src, size_t n);

/* Slicing by 8 with tables: what runs where the instructions are missing, and what tests compare with. */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);
uint32_t crc32c_copy_portable(uint32_t crc, void *dst, const void *src, size_t n);

/* The checksum of A followed by B from those of A and of B, and B's length in bytes. O(log len_b). */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);

/* "sse4.2+pclmul" or "portable": what crc32c runs on, for the start-up log and benchmarks. */
const char *crc32c_implementation(void);

SL_EXTERN_C_END

#endif
