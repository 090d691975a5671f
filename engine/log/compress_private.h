/* Between compress.c and compress_snappy.c. */
#ifndef SLUICE_LOG_COMPRESS_PRIVATE_H
#define SLUICE_LOG_COMPRESS_PRIVATE_H

#include "engine/log/compress.h"

/* xerial's framing: 8 bytes of magic, int32 version, int32 oldest compatible version. */
#define XERIAL_HEADER 16
extern const uint8_t xerial_header[XERIAL_HEADER];

/* Looks for the framing at the start of the stream. */
int snappy_begin(struct decompressor *d);

/* As decompressor_next, without the limit. */
ssize_t snappy_next(struct decompressor *d, uint8_t *dst, size_t cap);

#endif
