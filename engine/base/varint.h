/* Variable-length integers as Kafka uses them: little-endian groups of 7 bits, the high bit says that more
 * follows. "uvarint" is the plain unsigned form (KIP-482: compact lengths, tags); "varint" is the zigzag form
 * of a signed value (records in a batch). 32-bit values take at most 5 bytes, 64-bit ones at most 10.
 *
 * A decoder returns 0 and moves *p behind the number, or returns -EBADMSG and leaves *p alone when the bytes
 * end early, when the number is longer than 5 or 10 bytes, or when its last byte carries bits that do not
 * fit. Numbers padded with zero groups inside those lengths are accepted, as upstream does.
 *
 * An encoder writes at most SL_VARINT32_MAX or SL_VARINT64_MAX bytes, which must be there, and returns how
 * many.
 */
#ifndef SLUICE_BASE_VARINT_H
#define SLUICE_BASE_VARINT_H

#include <errno.h>
#include <stdint.h>

#include "engine/base/err.h"

#define SL_VARINT32_MAX 5
#define SL_VARINT64_MAX 10

SL_EXTERN_C_BEGIN

/* The general decoders behind the one-byte fast paths below. */
int sl_uvarint32_get_slow(const uint8_t **p, const uint8_t *end, uint32_t *out);
int sl_uvarint64_get_slow(const uint8_t **p, const uint8_t *end, uint64_t *out);

SL_EXTERN_C_END

/* Zigzag: 0, -1, 1, -2 ... to 0, 1, 2, 3 ... and back. */
static inline uint32_t sl_zigzag32(int32_t v)
{
    return ((uint32_t)v << 1) ^ (uint32_t)(v >> 31);
}

static inline int32_t sl_unzigzag32(uint32_t v)
{
    return (int32_t)((v >> 1) ^ (0u - (v & 1)));
}

static inline uint64_t sl_zigzag64(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t sl_unzigzag64(uint64_t v)
{
    return (int64_t)((v >> 1) ^ (0u - (v & 1)));
}

/* Decodes an unsigned number of at most 32 bits from [*p, end). Returns 0 or -EBADMSG. */
static inline int sl_uvarint32_get(const uint8_t **p, const uint8_t *end, uint32_t *out)
{
    if (sl_likely(*p < end && **p < 0x80)) {
        *out = *(*p)++;
        return 0;
    }
    return sl_uvarint32_get_slow(p, end, out);
}

/* Decodes an unsigned number of at most 64 bits from [*p, end). Returns 0 or -EBADMSG. */
static inline int sl_uvarint64_get(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    if (sl_likely(*p < end && **p < 0x80)) {
        *out = *(*p)++;
        return 0;
    }
    return sl_uvarint64_get_slow(p, end, out);
}

/* Decodes a zigzag number of at most 32 bits from [*p, end). Returns 0 or -EBADMSG. */
static inline int sl_varint32_get(const uint8_t **p, const uint8_t *end, int32_t *out)
{
    uint32_t u;
    int rc = sl_uvarint32_get(p, end, &u);
    if (sl_likely(rc == 0))
        *out = sl_unzigzag32(u);
    return rc;
}

/* Decodes a zigzag number of at most 64 bits from [*p, end). Returns 0 or -EBADMSG. */
static inline int sl_varint64_get(const uint8_t **p, const uint8_t *end, int64_t *out)
{
    uint64_t u;
    int rc = sl_uvarint64_get(p, end, &u);
    if (sl_likely(rc == 0))
        *out = sl_unzigzag64(u);
    return rc;
}

/* Bytes that the encoders below write for v. */
static inline int sl_uvarint32_size(uint32_t v)
{
    return (38 - __builtin_clz(v | 1)) / 7;
}

static inline int sl_uvarint64_size(uint64_t v)
{
    return (70 - __builtin_clzll(v | 1)) / 7;
}

static inline int sl_varint32_size(int32_t v)
{
    return sl_uvarint32_size(sl_zigzag32(v));
}

static inline int sl_varint64_size(int64_t v)
{
    return sl_uvarint64_size(sl_zigzag64(v));
}

/* Write v in its shortest form at p and return the number of bytes. */
static inline int sl_uvarint32_put(uint8_t *p, uint32_t v)
{
    int n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

static inline int sl_uvarint64_put(uint8_t *p, uint64_t v)
{
    int n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

static inline int sl_varint32_put(uint8_t *p, int32_t v)
{
    return sl_uvarint32_put(p, sl_zigzag32(v));
}

static inline int sl_varint64_put(uint8_t *p, int64_t v)
{
    return sl_uvarint64_put(p, sl_zigzag64(v));
}

#endif
