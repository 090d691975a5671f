/* Decompression: the first byte picks the codec and the slice, the rest is the stream. Any bytes, bounded
 * output, the same result whatever the slices; and what we compress comes back. */
#include <stdlib.h>

#include "engine/log/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define LIMIT (1u << 20)

static uint64_t hash_more(uint64_t h, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}

static ssize_t read_all(struct decompress_ctx *ctx, unsigned codec, const uint8_t *p, size_t n, size_t slice,
                        uint64_t *hash)
{
    static uint8_t out[65536];
    struct decompressor d;
    ssize_t got, total = 0;
    int rc = decompressor_init(&d, ctx, codec, p, n, LIMIT);
    if (rc < 0)
        return rc;
    while ((got = decompressor_next(&d, out, slice)) > 0) {
        total += got;
        *hash = hash_more(*hash, out, (size_t)got);
    }
    decompressor_destroy(&d);
    SL_ASSERT(total <= LIMIT + 65536);
    return got < 0 ? got : total;
}

static void round_trip(struct decompress_ctx *ctx, unsigned codec, const uint8_t *p, size_t n)
{
    struct compress_ctx c = {0};
    size_t bound = compress_bound(codec, n);
    uint8_t *packed = malloc(bound + 1);
    ssize_t m = compress_all(&c, codec, COMPRESS_LEVEL_DEFAULT, p, n, packed, bound);
    SL_ASSERT(m >= 0);
    uint64_t want = hash_more(1, p, n), have = 1;
    SL_ASSERT(read_all(ctx, codec, packed, (size_t)m, 1000, &have) == (ssize_t)n && have == want);
    compress_ctx_destroy(&c);
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct decompress_ctx ctx;
    static const size_t slices[] = {1, 13, 4096, 65536};
    if (n == 0)
        return 0;
    unsigned codec = p[0] & 7;
    uint64_t a = 1, b = 1;
    ssize_t first = read_all(&ctx, codec, p + 1, n - 1, 65536, &a);
    ssize_t second = read_all(&ctx, codec, p + 1, n - 1, slices[p[0] >> 3 & 3], &b);
    SL_ASSERT((first < 0) == (second < 0));
    SL_ASSERT(first < 0 || (first == second && a == b));
    if (codec < BATCH_CODEC_COUNT && n < 5000)
        round_trip(&ctx, codec, p + 1, n - 1);
    return 0;
}
