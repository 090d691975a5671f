/* The codecs of Kafka's batches: streaming decompression in slices, compression of a whole buffer or piece by piece.
 *
 *   gzip    RFC 1952, one or more members
 *   snappy  xerial's framing: "\x82SNAPPY\0", int32 version 1, int32 compatible version 1, then blocks of
 *           {int32 length, raw snappy}; or, without that magic, one raw snappy block (librdkafka, franz-go).
 *           Written framed, 32 KiB a block.
 *   lz4     one LZ4 frame (v1) with independent blocks, as upstream demands. Written with 64 KiB blocks,
 *           without checksums.
 *   zstd    one or more frames
 *
 * A decompressor hands out at most as many bytes a call as the caller's slice takes, so a bomb costs bounded
 * memory and each call bounded time. Memory beyond the slice: gzip 40 KiB, zstd its window (128 MiB at most,
 * given back when above 4 MiB), lz4 two blocks, snappy the uncompressed size of its largest block (at most 24
 * times its compressed size; blocks above 1 MiB are decoded piecemeal).
 * A context is reused from batch to batch, and serves one decompressor at a time. Pure: no I/O; any thread
 * that owns the objects. */
#ifndef SLUICE_LOG_COMPRESS_H
#define SLUICE_LOG_COMPRESS_H

#include <sys/types.h>

#include "engine/base/err.h"
#include "engine/log/batch.h"

#define COMPRESS_LEVEL_DEFAULT INT32_MIN

/* Bytes of a context's window. */
#define COMPRESS_WINDOW 65536

/* Library states that outlive a batch. Zeroed is valid: they are made at first use. */
struct decompress_ctx {
    void *gzip, *lz4, *zstd;
    uint8_t *scratch; /* uncompressed snappy block */
    size_t scratch_cap;
    uint8_t *window; /* COMPRESS_WINDOW bytes for whoever reads through slices, see decompress_ctx_window */
    bool busy;
    bool trim_lz4, trim_zstd; /* grew beyond what is kept: free after use */
};

/* One compressed stream being read. Caller-allocated; its fields are the implementation's. */
struct decompressor {
    struct decompress_ctx *ctx;
    const uint8_t *src, *end;
    uint64_t produced, limit;
    uint8_t codec;
    bool done;
    bool framed;   /* snappy: xerial framing */
    bool in_frame; /* gzip, zstd, lz4: inside a member or frame */
    /* snappy: the block in scratch */
    const uint8_t *block, *block_end; /* compressed bytes still to decode piecemeal */
    size_t block_len, block_have, block_given;
};

struct compress_ctx {
    void *gzip, *lz4, *zstd;
    int gzip_level;
};

/* One stream being written, into memory of its own. Caller-allocated; its fields are the implementation's. */
struct compressor {
    struct compress_ctx *ctx;
    uint8_t *out;
    size_t len, cap, limit;
    uint8_t codec;
};

SL_EXTERN_C_BEGIN

void decompress_ctx_destroy(struct decompress_ctx *ctx);

/* The context's slice buffer of COMPRESS_WINDOW bytes, made at first use; NULL when there is no memory. */
uint8_t *decompress_ctx_window(struct decompress_ctx *ctx);

/* Starts to read the n bytes at src, which stay the caller's and must live as long as d. limit: bytes after
 * which the stream is refused; 0: none. BATCH_CODEC_NONE hands the bytes through. Returns 0, -ENOMEM, or
 * -EOPNOTSUPP for an unknown codec. After success decompressor_destroy must be called. */
int decompressor_init(struct decompressor *d, struct decompress_ctx *ctx, unsigned codec, const uint8_t *src,
                      size_t n, uint64_t limit);

/* Writes up to cap > 0 bytes to dst. Returns how many; 0 at the end of the stream, which is then whole;
 * -EBADMSG when the stream is corrupt, cut short or followed by other bytes; -EFBIG when it passes the limit;
 * -ENOMEM. After an error every further call returns an error. */
ssize_t decompressor_next(struct decompressor *d, uint8_t *dst, size_t cap);

/* Ends the use of the context; the stream may be unfinished. */
void decompressor_destroy(struct decompressor *d);

void compress_ctx_destroy(struct compress_ctx *ctx);

/* Bytes that compress_all may need for n bytes of input. */
size_t compress_bound(unsigned codec, size_t n);

/* Compresses n bytes into dst. level: the codec's own scale, or COMPRESS_LEVEL_DEFAULT (upstream's default);
 * snappy has none. Returns the bytes written, -ENOMEM, -EIO when the library refuses, -ENOSPC when cap is too
 * small (never when cap is compress_bound), or -EOPNOTSUPP for an unknown codec. */
ssize_t compress_all(struct compress_ctx *ctx, unsigned codec, int level, const uint8_t *src, size_t n,
                     uint8_t *dst, size_t cap);

/* Starts a stream; level as for compress_all. The first `head` bytes of the output are left to the caller. pledged:
 * bytes that will be put, exactly; 0: not known. limit: the most bytes of output, head included. Returns 0, -ENOMEM, -EIO or
 * -EOPNOTSUPP; compressor_destroy must be called in any case. A context serves one stream at a time. */
int compressor_init(struct compressor *c, struct compress_ctx *ctx, unsigned codec, int level, size_t head,
                    uint64_t pledged, size_t limit);

/* Adds n > 0 bytes; 64 KiB take 0.1 to 3 ms, by codec and level. 0, -EFBIG beyond the limit, -ENOMEM, -EIO. */
int compressor_put(struct compressor *c, const uint8_t *src, size_t n);

/* Ends the stream. As compressor_put. c->len bytes lie at c->out then. */
int compressor_end(struct compressor *c);

/* The output, to be freed by the caller. */
uint8_t *compressor_take(struct compressor *c);

void compressor_destroy(struct compressor *c);

SL_EXTERN_C_END

#endif
