/* Compression of whole buffers; formats as compress.h says. */
#include <errno.h>
#include <stdlib.h>

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "engine/log/compress_private.h"

#define GZIP_EXTRA 18 /* header and trailer of a member */

void compress_ctx_destroy(struct compress_ctx *ctx)
{
    if (ctx->gzip) {
        deflateEnd(ctx->gzip);
        free(ctx->gzip);
    }
    LZ4F_freeCompressionContext(ctx->lz4);
    ZSTD_freeCCtx(ctx->zstd);
    *ctx = (struct compress_ctx){0};
}

LZ4F_preferences_t lz4_preferences(int level)
{
    LZ4F_preferences_t p = LZ4F_INIT_PREFERENCES;
    p.frameInfo.blockSizeID = LZ4F_max64KB;
    p.frameInfo.blockMode = LZ4F_blockIndependent;
    p.compressionLevel = level == COMPRESS_LEVEL_DEFAULT ? 0 : level;
    p.autoFlush = 1;
    return p;
}

static size_t snappy_bound(size_t n)
{
    size_t blocks = (n + XERIAL_BLOCK - 1) / XERIAL_BLOCK;
    return XERIAL_HEADER + blocks * (4 + snappy_max_compressed_length(XERIAL_BLOCK));
}

size_t compress_bound(unsigned codec, size_t n)
{
    LZ4F_preferences_t prefs = lz4_preferences(COMPRESS_LEVEL_DEFAULT);
    switch (codec) {
    case BATCH_CODEC_GZIP:
        return compressBound(n) + GZIP_EXTRA;
    case BATCH_CODEC_SNAPPY:
        return snappy_bound(n);
    case BATCH_CODEC_LZ4:
        return LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(n, &prefs) + LZ4F_compressBound(0, &prefs);
    case BATCH_CODEC_ZSTD:
        return ZSTD_compressBound(n);
    default:
        return n;
    }
}

int compress_gzip_begin(struct compress_ctx *ctx, int level)
{
    level = level == COMPRESS_LEVEL_DEFAULT ? Z_DEFAULT_COMPRESSION : level;
    z_stream *z = ctx->gzip;
    if (z && ctx->gzip_level != level) {
        deflateEnd(z);
        free(z);
        z = ctx->gzip = NULL;
    }
    if (!z) {
        z = calloc(1, sizeof(*z));
        int rc = z ? deflateInit2(z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) : Z_MEM_ERROR;
        if (rc != Z_OK) {
            free(z);
            return rc == Z_MEM_ERROR ? -ENOMEM : -EIO;
        }
        ctx->gzip = z;
        ctx->gzip_level = level;
    } else if (deflateReset(z) != Z_OK) {
        return -EIO;
    }
    return 0;
}

static ssize_t gzip_all(struct compress_ctx *ctx, int level, const uint8_t *src, size_t n, uint8_t *dst,
                        size_t cap)
{
    int rc = compress_gzip_begin(ctx, level);
    if (rc)
        return rc;
    z_stream *z = ctx->gzip;
    z->next_in = (Bytef *)(uintptr_t)src;
    z->avail_in = (uInt)n;
    z->next_out = dst;
    z->avail_out = (uInt)cap;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return -ENOSPC;
    return (ssize_t)(cap - z->avail_out);
}

static ssize_t snappy_all(const uint8_t *src, size_t n, uint8_t *dst, size_t cap)
{
    if (cap < snappy_bound(n))
        return -ENOSPC;
    uint8_t *p = dst;
    memcpy(p, xerial_header, XERIAL_HEADER);
    p += XERIAL_HEADER;
    for (size_t at = 0; at < n; at += XERIAL_BLOCK) {
        size_t made = snappy_max_compressed_length(XERIAL_BLOCK);
        if (snappy_compress((const char *)src + at, SL_MIN((size_t)XERIAL_BLOCK, n - at), (char *)p + 4,
                            &made) != SNAPPY_OK)
            return -EIO;
        be32_store(p, (uint32_t)made);
        p += 4 + made;
    }
    return p - dst;
}

static ssize_t lz4_all(struct compress_ctx *ctx, int level, const uint8_t *src, size_t n, uint8_t *dst,
                       size_t cap)
{
    LZ4F_preferences_t prefs = lz4_preferences(level);
    LZ4F_cctx *l = ctx->lz4;
    if (!l && LZ4F_isError(LZ4F_createCompressionContext(&l, LZ4F_VERSION)))
        return -ENOMEM;
    ctx->lz4 = l;
    size_t at = LZ4F_compressBegin(l, dst, cap, &prefs);
    if (LZ4F_isError(at))
        return -ENOSPC;
    size_t made = LZ4F_compressUpdate(l, dst + at, cap - at, src, n, NULL);
    if (LZ4F_isError(made))
        return -ENOSPC;
    at += made;
    made = LZ4F_compressEnd(l, dst + at, cap - at, NULL);
    return LZ4F_isError(made) ? -ENOSPC : (ssize_t)(at + made);
}

static ssize_t zstd_all(struct compress_ctx *ctx, int level, const uint8_t *src, size_t n, uint8_t *dst,
                        size_t cap)
{
    if (!ctx->zstd)
        ctx->zstd = ZSTD_createCCtx();
    if (!ctx->zstd)
        return -ENOMEM;
    level = level == COMPRESS_LEVEL_DEFAULT ? ZSTD_CLEVEL_DEFAULT : level;
    size_t rc = ZSTD_compressCCtx(ctx->zstd, dst, cap, src, n, level);
    if (!ZSTD_isError(rc))
        return (ssize_t)rc;
    return ZSTD_getErrorCode(rc) == ZSTD_error_dstSize_tooSmall ? -ENOSPC : -EIO;
}

ssize_t compress_all(struct compress_ctx *ctx, unsigned codec, int level, const uint8_t *src, size_t n,
                     uint8_t *dst, size_t cap)
{
    SL_ASSERT(n <= INT32_MAX);
    cap = SL_MIN(cap, (size_t)UINT32_MAX);
    switch (codec) {
    case BATCH_CODEC_NONE:
        if (cap < n)
            return -ENOSPC;
        memcpy(dst, src, n);
        return (ssize_t)n;
    case BATCH_CODEC_GZIP:
        return gzip_all(ctx, level, src, n, dst, cap);
    case BATCH_CODEC_SNAPPY:
        return snappy_all(src, n, dst, cap);
    case BATCH_CODEC_LZ4:
        return lz4_all(ctx, level, src, n, dst, cap);
    case BATCH_CODEC_ZSTD:
        return zstd_all(ctx, level, src, n, dst, cap);
    default:
        return -EOPNOTSUPP;
    }
}
