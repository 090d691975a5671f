#include "engine/log/compress.h"

#include <errno.h>
#include <stdlib.h>

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "engine/log/compress_private.h"

/* A context is kept from batch to batch up to about this size. */
#define KEEP_MAX (4u << 20)

/* LZ4 frame header bytes that matter: magic, FLG, BD. */
#define LZ4_MAGIC      0x184d2204u
#define LZ4_HEADER_MIN 7

void decompress_ctx_destroy(struct decompress_ctx *ctx)
{
    SL_ASSERT(!ctx->busy);
    if (ctx->gzip) {
        inflateEnd(ctx->gzip);
        free(ctx->gzip);
    }
    LZ4F_freeDecompressionContext(ctx->lz4);
    ZSTD_freeDCtx(ctx->zstd);
    free(ctx->scratch);
    free(ctx->window);
    *ctx = (struct decompress_ctx){0};
}

uint8_t *decompress_ctx_window(struct decompress_ctx *ctx)
{
    if (!ctx->window)
        ctx->window = malloc(COMPRESS_WINDOW);
    return ctx->window;
}

static int gzip_begin(struct decompress_ctx *ctx)
{
    if (ctx->gzip)
        return 0;
    z_stream *z = calloc(1, sizeof(*z));
    /* 15: the largest window; 16: gzip framing only. */
    if (!z || inflateInit2(z, 15 + 16) != Z_OK) {
        free(z);
        return -ENOMEM;
    }
    ctx->gzip = z;
    return 0;
}

static ssize_t gzip_next(struct decompressor *d, uint8_t *dst, size_t cap)
{
    z_stream *z = d->ctx->gzip;
    if (!d->in_frame) {
        if (inflateReset(z) != Z_OK)
            return -EBADMSG;
        d->in_frame = true;
    }
    z->next_in = (Bytef *)(uintptr_t)d->src;
    z->avail_in = (uInt)(d->end - d->src);
    z->next_out = dst;
    z->avail_out = (uInt)cap;
    int rc = inflate(z, Z_NO_FLUSH);
    d->src = d->end - z->avail_in;
    size_t made = cap - z->avail_out;
    if (rc == Z_STREAM_END) {
        d->in_frame = false;
        return (ssize_t)made;
    }
    if (rc == Z_MEM_ERROR)
        return -ENOMEM;
    /* No progress with output space left: the input ends too early. */
    return rc == Z_OK && made > 0 ? (ssize_t)made : -EBADMSG;
}

/* Upstream's reader refuses what its own writer never makes; so must we, for its consumers' sake. */
static int lz4_check_header(const struct decompressor *d, bool *large)
{
    if (d->end - d->src < LZ4_HEADER_MIN || le32_load(d->src) != LZ4_MAGIC)
        return -EBADMSG;
    uint8_t flg = d->src[4], bd = d->src[5];
    bool version_1 = flg >> 6 == 1, independent = flg & 0x20, reserved = flg & 0x03;
    unsigned block = bd >> 4 & 7;
    *large = block > 5; /* above 256 KiB */
    return version_1 && independent && !reserved && block >= 4 && !(bd & 0x8f) ? 0 : -EBADMSG;
}

static int lz4_begin(struct decompressor *d)
{
    struct decompress_ctx *ctx = d->ctx;
    LZ4F_dctx *l = ctx->lz4;
    if (!l && LZ4F_isError(LZ4F_createDecompressionContext(&l, LZ4F_VERSION)))
        return -ENOMEM;
    ctx->lz4 = l;
    LZ4F_resetDecompressionContext(l);
    return 0;
}

static ssize_t lz4_next(struct decompressor *d, uint8_t *dst, size_t cap)
{
    if (!d->in_frame) {
        bool large;
        /* One frame only: a second one, or anything else behind the first, is refused. */
        if (d->framed || lz4_check_header(d, &large) < 0)
            return -EBADMSG;
        d->ctx->trim_lz4 |= large;
        d->in_frame = d->framed = true;
    }
    size_t in = (size_t)(d->end - d->src), out = cap;
    size_t rc = LZ4F_decompress(d->ctx->lz4, dst, &out, d->src, &in, NULL);
    d->src += in;
    if (LZ4F_isError(rc))
        return strcmp(LZ4F_getErrorName(rc), "ERROR_allocation_failed") == 0 ? -ENOMEM : -EBADMSG;
    if (rc == 0)
        d->in_frame = false;
    else if (out == 0 && d->src == d->end)
        return -EBADMSG;
    return (ssize_t)out;
}

static int zstd_begin(struct decompressor *d)
{
    struct decompress_ctx *ctx = d->ctx;
    if (!ctx->zstd)
        ctx->zstd = ZSTD_createDCtx();
    if (!ctx->zstd)
        return -ENOMEM;
    ZSTD_DCtx_reset(ctx->zstd, ZSTD_reset_session_only);
    return 0;
}

static ssize_t zstd_next(struct decompressor *d, uint8_t *dst, size_t cap)
{
    ZSTD_inBuffer in = {.src = d->src, .size = (size_t)(d->end - d->src)};
    ZSTD_outBuffer out = {.dst = dst, .size = cap};
    size_t rc = ZSTD_decompressStream(d->ctx->zstd, &out, &in);
    d->src += in.pos;
    if (ZSTD_isError(rc))
        return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
    d->in_frame = rc != 0;
    if (rc != 0 && out.pos == 0 && in.pos == 0)
        return -EBADMSG;
    return (ssize_t)out.pos;
}

static ssize_t none_next(struct decompressor *d, uint8_t *dst, size_t cap)
{
    size_t n = SL_MIN(cap, (size_t)(d->end - d->src));
    memcpy(dst, d->src, n);
    d->src += n;
    return (ssize_t)n;
}

int decompressor_init(struct decompressor *d, struct decompress_ctx *ctx, unsigned codec, const uint8_t *src,
                      size_t n, uint64_t limit)
{
    int rc = 0;
    SL_ASSERT(!ctx->busy && n <= INT32_MAX);
    *d = (struct decompressor){
        .ctx = ctx, .src = src, .end = src + n, .limit = limit ? limit : UINT64_MAX, .codec = (uint8_t)codec};
    switch (codec) {
    case BATCH_CODEC_NONE:
        break;
    case BATCH_CODEC_GZIP:
        rc = gzip_begin(ctx);
        break;
    case BATCH_CODEC_SNAPPY:
        rc = snappy_begin(d);
        break;
    case BATCH_CODEC_LZ4:
        rc = lz4_begin(d);
        break;
    case BATCH_CODEC_ZSTD:
        rc = zstd_begin(d);
        break;
    default:
        rc = -EOPNOTSUPP;
    }
    ctx->busy = rc == 0;
    return rc;
}

/* One call of the codec. */
static ssize_t codec_next(struct decompressor *d, uint8_t *dst, size_t cap)
{
    switch (d->codec) {
    case BATCH_CODEC_GZIP:
        return gzip_next(d, dst, cap);
    case BATCH_CODEC_SNAPPY:
        return snappy_next(d, dst, cap);
    case BATCH_CODEC_LZ4:
        return lz4_next(d, dst, cap);
    case BATCH_CODEC_ZSTD:
        return zstd_next(d, dst, cap);
    default:
        return none_next(d, dst, cap);
    }
}

/* Whether the stream may end here. The first frame or member must have been there. */
static bool at_end(const struct decompressor *d)
{
    if (d->src != d->end || d->in_frame)
        return false;
    return d->codec != BATCH_CODEC_SNAPPY || d->block_given == d->block_len;
}

ssize_t decompressor_next(struct decompressor *d, uint8_t *dst, size_t cap)
{
    SL_ASSERT(cap > 0 && d->ctx->busy);
    cap = SL_MIN(cap, (size_t)1 << 30);
    if (d->done)
        return d->limit ? 0 : -EBADMSG;
    ssize_t n = 0;
    bool first = d->produced == 0 && !d->in_frame && d->codec != BATCH_CODEC_NONE;
    while (n == 0 && (first || !at_end(d))) {
        first = false;
        n = codec_next(d, dst, cap);
    }
    d->produced += n > 0 ? (uint64_t)n : 0;
    if (n > 0 && d->produced > d->limit)
        n = -EFBIG;
    if (n <= 0)
        d->done = true;
    if (n < 0)
        d->limit = 0; /* remembered: the stream failed */
    return n;
}

void decompressor_destroy(struct decompressor *d)
{
    struct decompress_ctx *ctx = d->ctx;
    SL_ASSERT(ctx->busy);
    ctx->busy = false;
    /* A reset (liblz4 1.9.4) keeps the content size that a frame cut short had promised: the next frame would fail. */
    if (ctx->trim_lz4 || (d->codec == BATCH_CODEC_LZ4 && d->in_frame)) {
        LZ4F_freeDecompressionContext(ctx->lz4);
        ctx->lz4 = NULL;
        ctx->trim_lz4 = false;
    }
    if (d->codec == BATCH_CODEC_ZSTD && ZSTD_sizeof_DCtx(ctx->zstd) > KEEP_MAX) {
        ZSTD_freeDCtx(ctx->zstd);
        ctx->zstd = NULL;
    }
    if (ctx->scratch_cap > KEEP_MAX) {
        free(ctx->scratch);
        ctx->scratch = NULL;
        ctx->scratch_cap = 0;
    }
}
