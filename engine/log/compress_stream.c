/* Compression piece by piece; formats as compress.h says. */
#include <errno.h>
#include <stdlib.h>

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "engine/log/compress_private.h"

/* What a context may keep from stream to stream. */
#define KEEP_MAX (4u << 20)

#define OUT_FIRST 4096

/* Room for n more bytes behind what is there; the limit holds for what is written, not for what a codec asks for. */
static int out_room(struct compressor *c, size_t n)
{
    if (c->len > c->limit)
        return -EFBIG;
    if (c->cap - c->len >= n)
        return 0;
    size_t cap = SL_MAX(c->cap * 2, (size_t)OUT_FIRST);
    while (cap - c->len < n)
        cap *= 2;
    uint8_t *p = realloc(c->out, cap);
    if (!p)
        return -ENOMEM;
    c->out = p;
    c->cap = cap;
    return 0;
}

static int deflate_some(struct compressor *c, const uint8_t *src, size_t n, int flush)
{
    z_stream *z = c->ctx->gzip;
    int rc = Z_OK;
    z->next_in = (Bytef *)(uintptr_t)src;
    z->avail_in = (uInt)n;
    do {
        int e = out_room(c, OUT_FIRST);
        if (e)
            return e;
        size_t room = SL_MIN(c->cap - c->len, (size_t)1 << 30);
        z->next_out = c->out + c->len;
        z->avail_out = (uInt)room;
        rc = deflate(z, flush);
        c->len += room - z->avail_out;
        if (rc == Z_STREAM_ERROR)
            return -EIO;
    } while (z->avail_in || (flush == Z_FINISH && rc != Z_STREAM_END));
    return 0;
}

static int snappy_some(struct compressor *c, const uint8_t *src, size_t n)
{
    for (size_t at = 0; at < n; at += XERIAL_BLOCK) {
        size_t made = snappy_max_compressed_length(XERIAL_BLOCK);
        int rc = out_room(c, 4 + made);
        if (rc)
            return rc;
        if (snappy_compress((const char *)src + at, SL_MIN((size_t)XERIAL_BLOCK, n - at),
                            (char *)c->out + c->len + 4, &made) != SNAPPY_OK)
            return -EIO;
        be32_store(c->out + c->len, (uint32_t)made);
        c->len += 4 + made;
    }
    return 0;
}

static int lz4_made(struct compressor *c, size_t rc)
{
    if (LZ4F_isError(rc))
        return -EIO;
    c->len += rc;
    return 0;
}

static int lz4_begin(struct compressor *c, int level)
{
    LZ4F_preferences_t prefs = lz4_preferences(level);
    LZ4F_cctx *l = c->ctx->lz4;
    if (!l && LZ4F_isError(LZ4F_createCompressionContext(&l, LZ4F_VERSION)))
        return -ENOMEM;
    c->ctx->lz4 = l;
    int rc = out_room(c, LZ4F_HEADER_SIZE_MAX);
    return rc ? rc : lz4_made(c, LZ4F_compressBegin(l, c->out + c->len, c->cap - c->len, &prefs));
}

static int lz4_some(struct compressor *c, const uint8_t *src, size_t n)
{
    LZ4F_preferences_t prefs = lz4_preferences(COMPRESS_LEVEL_DEFAULT); // the bound is of sizes only
    int rc = out_room(c, LZ4F_compressBound(n, &prefs));
    if (rc)
        return rc;
    return lz4_made(c, n ? LZ4F_compressUpdate(c->ctx->lz4, c->out + c->len, c->cap - c->len, src, n, NULL)
                         : LZ4F_compressEnd(c->ctx->lz4, c->out + c->len, c->cap - c->len, NULL));
}

static int zstd_begin(struct compressor *c, int level, uint64_t pledged)
{
    ZSTD_CCtx *z = c->ctx->zstd;
    if (!z)
        z = c->ctx->zstd = ZSTD_createCCtx();
    if (!z)
        return -ENOMEM;
    ZSTD_CCtx_reset(z, ZSTD_reset_session_and_parameters);
    size_t rc = ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel,
                                       level == COMPRESS_LEVEL_DEFAULT ? ZSTD_CLEVEL_DEFAULT : level);
    if (!ZSTD_isError(rc) && pledged)
        rc = ZSTD_CCtx_setPledgedSrcSize(z, pledged);
    return ZSTD_isError(rc) ? -EIO : 0;
}

static int zstd_some(struct compressor *c, const uint8_t *src, size_t n, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {.src = src, .size = n};
    size_t left;
    do {
        int rc = out_room(c, OUT_FIRST);
        if (rc)
            return rc;
        ZSTD_outBuffer out = {.dst = c->out + c->len, .size = c->cap - c->len};
        left = ZSTD_compressStream2(c->ctx->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            return -EIO;
        c->len += out.pos;
    } while (in.pos < in.size || (end == ZSTD_e_end && left));
    return 0;
}

static int begin(struct compressor *c, int level, uint64_t pledged)
{
    switch (c->codec) {
    case BATCH_CODEC_NONE:
        return 0;
    case BATCH_CODEC_GZIP:
        return compress_gzip_begin(c->ctx, level);
    case BATCH_CODEC_SNAPPY: {
        int rc = out_room(c, XERIAL_HEADER);
        if (!rc)
            memcpy(c->out + c->len, xerial_header, XERIAL_HEADER);
        c->len += rc ? 0 : XERIAL_HEADER;
        return rc;
    }
    case BATCH_CODEC_LZ4:
        return lz4_begin(c, level);
    case BATCH_CODEC_ZSTD:
        return zstd_begin(c, level, pledged);
    default:
        return -EOPNOTSUPP;
    }
}

int compressor_init(struct compressor *c, struct compress_ctx *ctx, unsigned codec, int level, size_t head,
                    uint64_t pledged, size_t limit)
{
    *c = (struct compressor){.ctx = ctx, .codec = (uint8_t)codec, .limit = limit};
    int rc = out_room(c, head);
    c->len = rc ? 0 : head;
    return rc ? rc : begin(c, level, pledged);
}

int compressor_put(struct compressor *c, const uint8_t *src, size_t n)
{
    int rc = 0;
    SL_ASSERT(n > 0 && n <= INT32_MAX);
    switch (c->codec) {
    case BATCH_CODEC_GZIP:
        return deflate_some(c, src, n, Z_NO_FLUSH);
    case BATCH_CODEC_SNAPPY:
        return snappy_some(c, src, n);
    case BATCH_CODEC_LZ4:
        return lz4_some(c, src, n);
    case BATCH_CODEC_ZSTD:
        return zstd_some(c, src, n, ZSTD_e_continue);
    default:
        rc = out_room(c, n);
        if (!rc)
            memcpy(c->out + c->len, src, n);
        c->len += rc ? 0 : n;
        return rc;
    }
}

int compressor_end(struct compressor *c)
{
    int rc = 0;
    if (c->codec == BATCH_CODEC_GZIP)
        rc = deflate_some(c, NULL, 0, Z_FINISH);
    else if (c->codec == BATCH_CODEC_LZ4)
        rc = lz4_some(c, NULL, 0);
    else if (c->codec == BATCH_CODEC_ZSTD)
        rc = zstd_some(c, NULL, 0, ZSTD_e_end);
    return !rc && c->len > c->limit ? -EFBIG : rc;
}

uint8_t *compressor_take(struct compressor *c)
{
    uint8_t *p = c->out;
    c->out = NULL;
    return p;
}

void compressor_destroy(struct compressor *c)
{
    free(c->out);
    c->out = NULL;
    if (c->codec == BATCH_CODEC_ZSTD && c->ctx->zstd && ZSTD_sizeof_CCtx(c->ctx->zstd) > KEEP_MAX) {
        ZSTD_freeCCtx(c->ctx->zstd);
        c->ctx->zstd = NULL;
    }
}
