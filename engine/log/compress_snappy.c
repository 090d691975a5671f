/* Snappy has no streaming: a block is copies of what the same block produced before, at any distance. Small
 * blocks go through the library into the context's scratch; large ones are decoded here, element by element,
 * into a scratch of their full size, as far as the caller's slice asks, so that one call does not take the
 * whole block's time.
 *
 * A raw block is a varint of its uncompressed length, then elements by the low two bits of a tag byte:
 *   00  literal: length - 1 in the upper six bits, 60-63 say that 1-4 bytes (little-endian) hold it
 *   01  copy of 4-11 bytes, offset of 11 bits: 3 in the tag, 8 in the next byte
 *   10  copy of 1-64 bytes, offset in the next 2 bytes
 *   11  copy of 1-64 bytes, offset in the next 4 bytes */
#include <errno.h>
#include <snappy-c.h>
#include <stdlib.h>

#include "engine/base/varint.h"
#include "engine/log/compress_private.h"

/* Blocks up to this uncompressed size go to the library at once: about a millisecond. */
#define LIBRARY_BLOCK_MAX (1u << 20)

/* The densest element is a copy of 64 bytes in 3, so a block that claims more is a lie. */
#define DENSEST 24

const uint8_t xerial_header[XERIAL_HEADER] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};

int snappy_begin(struct decompressor *d)
{
    /* The magic decides; upstream's reader looks no closer at the versions either. */
    d->framed = d->end - d->src >= XERIAL_HEADER && memcmp(d->src, xerial_header, 8) == 0;
    if (d->framed)
        d->src += XERIAL_HEADER;
    return 0;
}

static int scratch_reserve(struct decompress_ctx *ctx, size_t n)
{
    if (n <= ctx->scratch_cap)
        return 0;
    free(ctx->scratch);
    ctx->scratch_cap = 0;
    ctx->scratch = malloc(n);
    if (!ctx->scratch)
        return -ENOMEM;
    ctx->scratch_cap = n;
    return 0;
}

/* Takes the next block off the stream: its bounds, its uncompressed length, room for it. */
static int block_begin(struct decompressor *d)
{
    size_t n = (size_t)(d->end - d->src);
    uint32_t len;
    if (d->framed) {
        if (n < 4 || be32_load(d->src) > n - 4)
            return -EBADMSG;
        n = be32_load(d->src);
        d->src += 4;
    }
    d->block = d->src;
    d->block_end = d->src + n;
    d->src = d->block_end;
    const uint8_t *p = d->block;
    if (sl_uvarint32_get(&p, d->block_end, &len) < 0 || len > n * DENSEST)
        return -EBADMSG;
    d->block_len = len;
    d->block_have = d->block_given = 0;
    int rc = scratch_reserve(d->ctx, SL_MAX(len, 1u));
    if (rc < 0)
        return rc;
    if (len <= LIBRARY_BLOCK_MAX) {
        size_t made = len;
        if (snappy_uncompress((const char *)d->block, n, (char *)d->ctx->scratch, &made) != SNAPPY_OK ||
            made != len)
            return -EBADMSG;
        d->block = d->block_end;
        d->block_have = len;
    } else {
        d->block = p;
    }
    return 0;
}

static int literal(struct decompressor *d, uint8_t tag)
{
    size_t len = tag >> 2;
    if (len >= 60) {
        size_t extra = len - 59;
        if ((size_t)(d->block_end - d->block) < extra)
            return -EBADMSG;
        len = 0;
        for (size_t i = 0; i < extra; i++)
            len |= (size_t)d->block[i] << (8 * i);
        d->block += extra;
    }
    len++;
    if (len > (size_t)(d->block_end - d->block) || len > d->block_len - d->block_have)
        return -EBADMSG;
    memcpy(d->ctx->scratch + d->block_have, d->block, len);
    d->block += len;
    d->block_have += len;
    return 0;
}

static int copy(struct decompressor *d, uint8_t tag)
{
    size_t bytes = (tag & 3) == 1 ? 1 : (tag & 3) == 2 ? 2 : 4;
    size_t len, offset = 0;
    if ((size_t)(d->block_end - d->block) < bytes)
        return -EBADMSG;
    for (size_t i = 0; i < bytes; i++)
        offset |= (size_t)d->block[i] << (8 * i);
    d->block += bytes;
    if ((tag & 3) == 1) {
        len = 4 + (tag >> 2 & 7);
        offset |= (size_t)(tag >> 5) << 8;
    } else {
        len = 1 + (tag >> 2);
    }
    if (offset == 0 || offset > d->block_have || len > d->block_len - d->block_have)
        return -EBADMSG;
    /* Byte by byte: the source may run into what is being written. */
    uint8_t *to = d->ctx->scratch + d->block_have;
    for (size_t i = 0; i < len; i++)
        to[i] = to[i - offset];
    d->block_have += len;
    return 0;
}

/* Decodes elements until `upto` bytes of the block are there. */
static int block_decode(struct decompressor *d, size_t upto)
{
    while (d->block_have < upto) {
        if (d->block == d->block_end)
            return -EBADMSG;
        uint8_t tag = *d->block++;
        int rc = (tag & 3) == 0 ? literal(d, tag) : copy(d, tag);
        if (rc < 0)
            return rc;
    }
    return d->block_have == d->block_len && d->block != d->block_end ? -EBADMSG : 0;
}

ssize_t snappy_next(struct decompressor *d, uint8_t *dst, size_t cap)
{
    if (d->block_given == d->block_len) {
        /* A framed stream may be empty; an unframed one is exactly one block. */
        if (d->src == d->end)
            return d->framed ? 0 : -EBADMSG;
        int rc = block_begin(d);
        if (rc < 0)
            return rc;
    }
    size_t n = SL_MIN(cap, d->block_len - d->block_given);
    int rc = block_decode(d, d->block_given + n);
    if (rc < 0)
        return rc;
    memcpy(dst, d->ctx->scratch + d->block_given, n);
    d->block_given += n;
    return (ssize_t)n;
}
