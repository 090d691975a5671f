/* Loads and stores of fixed-width integers at any alignment: big-endian (be) as on Kafka's wire and in its
 * log files, little-endian (le) as in our journal. The caller has checked that the bytes are there. */
#ifndef SLUICE_BASE_BYTES_H
#define SLUICE_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SL_BE_(bits, x) __builtin_bswap##bits(x)
#define SL_LE_(bits, x) (x)
#else
#define SL_BE_(bits, x) (x)
#define SL_LE_(bits, x) __builtin_bswap##bits(x)
#endif

#define SL_BYTES_DEFINE_(bits)                                                                               \
    static inline uint##bits##_t be##bits##_load(const void *p)                                              \
    {                                                                                                        \
        uint##bits##_t v;                                                                                    \
        memcpy(&v, p, sizeof(v));                                                                            \
        return SL_BE_(bits, v);                                                                              \
    }                                                                                                        \
    static inline void be##bits##_store(void *p, uint##bits##_t v)                                           \
    {                                                                                                        \
        v = SL_BE_(bits, v);                                                                                 \
        memcpy(p, &v, sizeof(v));                                                                            \
    }                                                                                                        \
    static inline uint##bits##_t le##bits##_load(const void *p)                                              \
    {                                                                                                        \
        uint##bits##_t v;                                                                                    \
        memcpy(&v, p, sizeof(v));                                                                            \
        return SL_LE_(bits, v);                                                                              \
    }                                                                                                        \
    static inline void le##bits##_store(void *p, uint##bits##_t v)                                           \
    {                                                                                                        \
        v = SL_LE_(bits, v);                                                                                 \
        memcpy(p, &v, sizeof(v));                                                                            \
    }

/* uintN_t beN_load(const void *p), void beN_store(void *p, uintN_t v), and the same with le; N = 16, 32, 64.
 */
SL_BYTES_DEFINE_(16)
SL_BYTES_DEFINE_(32)
SL_BYTES_DEFINE_(64)

#undef SL_BYTES_DEFINE_

#endif
