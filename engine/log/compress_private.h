/* Between the files of compression. */
#ifndef SLUICE_LOG_COMPRESS_PRIVATE_H
#define SLUICE_LOG_COMPRESS_PRIVATE_H

#include <lz4frame.h>

#include "engine/log/compress.h"

/* Bytes of snappy blocks as written. */
#define XERIAL_BLOCK 32768

/* xerial's framing: 8 bytes of magic, int32 version, int32 oldest compatible version. */
#define XERIAL_HEADER 16
extern const uint8_t xerial_header[XERIAL_HEADER];

/* Looks for the framing at the start of the stream. */
int snappy_begin(struct decompressor *d);

/* As decompressor_next, without the limit. */
ssize_t snappy_next(struct decompressor *d, uint8_t *dst, size_t cap);

/* How lz4 frames are written. */
LZ4F_preferences_t lz4_preferences(int level);

/* Makes the context's deflate state ready for a new member of this level. 0, -ENOMEM or -EIO. */
int compress_gzip_begin(struct compress_ctx *ctx, int level);

#endif
