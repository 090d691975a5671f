/* Codecs: what upstream compressed, what we compress, bombs, cuts, lies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <lz4frame.h>
#include <snappy-c.h>

#include "engine/log/compress.h"
#include "engine/log/record.h"
#include "tests/unit/log/golden.h"

/* Reads a stream in slices; returns bytes or the error. */
static ssize_t read_all(struct decompress_ctx *ctx, unsigned codec, const uint8_t *src, size_t n,
                        size_t slice, uint64_t limit, uint8_t *dst, size_t cap)
{
    struct decompressor d;
    size_t have = 0;
    ssize_t got;
    int rc = decompressor_init(&d, ctx, codec, src, n, limit);
    if (rc < 0)
        return rc;
    do {
        assert_true(have + slice <= cap);
        got = decompressor_next(&d, dst + have, slice);
        assert_true(got <= (ssize_t)slice);
        have += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    /* The end, or the error, stays. */
    assert_true(got == 0 ? decompressor_next(&d, dst, 1) == 0 : decompressor_next(&d, dst, 1) < 0);
    decompressor_destroy(&d);
    return got < 0 ? got : (ssize_t)have;
}

static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};

#define CAP (1u << 20)

/* Upstream's compressed batches hold the bytes of its uncompressed one, through any slice. */
static void test_reads_upstream(void **state)
{
    struct decompress_ctx ctx = {0};
    size_t n, plain_n;
    uint8_t *plain = golden_read("batch-none.bin", &plain_n), *out = malloc(CAP);
    for (unsigned codec = 1; codec < BATCH_CODEC_COUNT; codec++) {
        char name[64];
        snprintf(name, sizeof(name), "batch-%s.bin", names[codec]);
        uint8_t *p = golden_read(name, &n);
        const size_t slices[] = {1, 7, 1000, 65536};
        for (size_t s = 0; s < SL_ARRAY_LEN(slices); s++) {
            ssize_t got =
                read_all(&ctx, codec, p + BATCH_HEADER_SIZE, n - BATCH_HEADER_SIZE, slices[s], 0, out, CAP);
            assert_int_equal(got, plain_n - BATCH_HEADER_SIZE);
            assert_memory_equal(out, plain + BATCH_HEADER_SIZE, (size_t)got);
        }
        free(p);
    }
    decompress_ctx_destroy(&ctx);
    free(plain);
    free(out);
}

static void test_reads_upstream_blocks(void **state)
{
    struct decompress_ctx ctx = {0};
    uint8_t *first = malloc(CAP), *out = malloc(CAP);
    ssize_t first_n = 0;
    for (unsigned codec = 1; codec < BATCH_CODEC_COUNT; codec++) {
        char name[64];
        size_t n;
        snprintf(name, sizeof(name), "big-%s.bin", names[codec]);
        uint8_t *p = golden_read(name, &n);
        ssize_t got = read_all(&ctx, codec, p + BATCH_HEADER_SIZE, n - BATCH_HEADER_SIZE, 4096, 0,
                               codec == 1 ? first : out, CAP);
        assert_true(got > 300000);
        if (codec == 1) {
            first_n = got;
        } else {
            assert_int_equal(got, first_n);
            assert_memory_equal(out, first, (size_t)got);
        }
        free(p);
    }
    decompress_ctx_destroy(&ctx);
    free(first);
    free(out);
}

static void fill(uint8_t *p, size_t n, int kind)
{
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = kind == 0 ? 0 : kind == 1 ? (uint8_t)(x >> 24) : (uint8_t)(i / 100 + (x >> 30));
    }
}

static void round_trip(struct compress_ctx *c, struct decompress_ctx *d, unsigned codec, size_t n, int kind)
{
    uint8_t *src = malloc(n + 1), *back = malloc(n + 5000);
    fill(src, n, kind);
    size_t bound = compress_bound(codec, n);
    uint8_t *packed = malloc(bound + 1);
    ssize_t m = compress_all(c, codec, COMPRESS_LEVEL_DEFAULT, src, n, packed, bound);
    assert_true(m >= 0 && (size_t)m <= bound);
    assert_int_equal(read_all(d, codec, packed, (size_t)m, 4096, 0, back, n + 5000), n);
    assert_memory_equal(back, src, n);
    free(src);
    free(back);
    free(packed);
}

static void test_round_trips(void **state)
{
    struct compress_ctx c = {0};
    struct decompress_ctx d = {0};
    const size_t sizes[] = {0, 1, 100, 32767, 32768, 32769, 65536, 65537, 300000};
    for (unsigned codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        for (size_t i = 0; i < SL_ARRAY_LEN(sizes); i++) {
            for (int kind = 0; kind < 3; kind++)
                round_trip(&c, &d, codec, sizes[i], kind);
        }
    }
    compress_ctx_destroy(&c);
    decompress_ctx_destroy(&d);
}

static void test_levels_and_space(void **state)
{
    struct compress_ctx c = {0};
    uint8_t src[5000], out[8192];
    fill(src, sizeof(src), 1);
    assert_true(compress_all(&c, BATCH_CODEC_GZIP, 1, src, sizeof(src), out, sizeof(out)) > 0);
    assert_true(compress_all(&c, BATCH_CODEC_GZIP, 9, src, sizeof(src), out, sizeof(out)) > 0);
    assert_int_equal(compress_all(&c, BATCH_CODEC_GZIP, 99, src, sizeof(src), out, sizeof(out)), -EIO);
    assert_true(compress_all(&c, BATCH_CODEC_ZSTD, 19, src, sizeof(src), out, sizeof(out)) > 0);
    assert_true(compress_all(&c, BATCH_CODEC_LZ4, 12, src, sizeof(src), out, sizeof(out)) > 0);
    for (unsigned codec = 0; codec < BATCH_CODEC_COUNT; codec++)
        assert_int_equal(compress_all(&c, codec, COMPRESS_LEVEL_DEFAULT, src, sizeof(src), out, 100),
                         -ENOSPC);
    assert_int_equal(compress_all(&c, 5, 0, src, 1, out, sizeof(out)), -EOPNOTSUPP);
    compress_ctx_destroy(&c);
}

/* librdkafka and franz-go write one raw block without framing. Above 1 MiB our own decoder reads it. */
static void test_raw_snappy(void **state)
{
    struct decompress_ctx d = {0};
    const size_t sizes[] = {0, 1, 70000, 1u << 20, (1u << 20) + 1, 3000000};
    for (size_t i = 0; i < SL_ARRAY_LEN(sizes); i++) {
        for (int kind = 0; kind < 3; kind++) {
            size_t n = sizes[i], m = snappy_max_compressed_length(n);
            uint8_t *src = malloc(n + 1), *packed = malloc(m), *back = malloc(n + 70000);
            fill(src, n, kind);
            assert_int_equal(snappy_compress((char *)src, n, (char *)packed, &m), SNAPPY_OK);
            assert_int_equal(read_all(&d, BATCH_CODEC_SNAPPY, packed, m, 65536, 0, back, n + 70000), n);
            assert_memory_equal(back, src, n);
            /* Cut short, it is refused; so is one with a byte too many. */
            if (m > 2)
                assert_int_equal(read_all(&d, BATCH_CODEC_SNAPPY, packed, m - 1, 65536, 0, back, n + 70000),
                                 -EBADMSG);
            free(src);
            free(packed);
            free(back);
        }
    }
    decompress_ctx_destroy(&d);
}

/* A copy from more than 64 KiB back, as encoders with long windows write it (tag 11, 4-byte offset). */
static void test_snappy_far_copy(void **state)
{
    struct decompress_ctx d = {0};
    size_t literal = (1u << 20) + 100, total = literal + 64, n = 0;
    uint8_t *p = malloc(literal + 32), *out = malloc(total + 4096);
    p[n++] = (uint8_t)(total | 0x80);
    p[n++] = (uint8_t)(total >> 7 | 0x80);
    p[n++] = (uint8_t)(total >> 14);
    p[n++] = 62 << 2;
    p[n++] = (uint8_t)(literal - 1);
    p[n++] = (uint8_t)((literal - 1) >> 8);
    p[n++] = (uint8_t)((literal - 1) >> 16);
    fill(p + n, literal, 1);
    const uint8_t *text = p + n;
    n += literal;
    p[n++] = 63 << 2 | 3;
    le32_store(p + n, 1000000);
    n += 4;
    assert_int_equal(read_all(&d, BATCH_CODEC_SNAPPY, p, n, 4096, 0, out, total + 4096), total);
    assert_memory_equal(out, text, literal);
    assert_memory_equal(out + literal, text + literal - 1000000, 64);
    le32_store(p + n - 4, (uint32_t)literal + 1);
    assert_int_equal(read_all(&d, BATCH_CODEC_SNAPPY, p, n, 4096, 0, out, total + 4096), -EBADMSG);
    free(p);
    free(out);
    decompress_ctx_destroy(&d);
}

/* Claims that cannot be true are refused before memory is taken for them. */
static void test_snappy_lies(void **state)
{
    struct decompress_ctx d = {0};
    uint8_t out[70000];
    const uint8_t raw[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0, 'a'};
    assert_int_equal(read_all(&d, BATCH_CODEC_SNAPPY, raw, sizeof(raw), 4096, 0, out, sizeof(out)), -EBADMSG);
    uint8_t framed[] = {0x82, 'S', 'N', 'A', 'P',  'P',  'Y',  0,    0, 0, 0,  1,
                        0,    0,   0,   1,   0x7f, 0xff, 0xff, 0xff, 1, 0, 'a'};
    assert_int_equal(read_all(&d, BATCH_CODEC_SNAPPY, framed, sizeof(framed), 4096, 0, out, sizeof(out)),
                     -EBADMSG);
    framed[16] = framed[17] = framed[18] = 0;
    framed[19] = 3;
    assert_int_equal(read_all(&d, BATCH_CODEC_SNAPPY, framed, sizeof(framed), 4096, 0, out, sizeof(out)), 1);
    assert_int_equal(read_all(&d, BATCH_CODEC_SNAPPY, framed, sizeof(framed) - 1, 4096, 0, out, sizeof(out)),
                     -EBADMSG);
    assert_int_equal(read_all(&d, BATCH_CODEC_SNAPPY, framed, 16, 4096, 0, out, sizeof(out)), 0);
    assert_int_equal(d.scratch_cap < 100, 1);
    decompress_ctx_destroy(&d);
}

/* A megabyte of zeros in a few hundred bytes: the limit ends it, and slices stay small. */
static void test_limit(void **state)
{
    struct compress_ctx c = {0};
    struct decompress_ctx d = {0};
    size_t n = 4u << 20;
    uint8_t *zeros = calloc(1, n), *out = malloc(n + 4096);
    for (unsigned codec = 1; codec < BATCH_CODEC_COUNT; codec++) {
        size_t bound = compress_bound(codec, n);
        uint8_t *packed = malloc(bound);
        ssize_t m = compress_all(&c, codec, COMPRESS_LEVEL_DEFAULT, zeros, n, packed, bound);
        assert_true(m > 0 && (size_t)m < n / 15);
        assert_int_equal(read_all(&d, codec, packed, (size_t)m, 4096, 100000, out, n + 4096), -EFBIG);
        assert_int_equal(read_all(&d, codec, packed, (size_t)m, 4096, n, out, n + 4096), n);
        assert_int_equal(read_all(&d, codec, packed, (size_t)m, 4096, n - 1, out, n + 4096), -EFBIG);
        free(packed);
    }
    free(zeros);
    free(out);
    compress_ctx_destroy(&c);
    decompress_ctx_destroy(&d);
}

/* Cuts at every length, and every byte flipped: an error or other bytes, never a read outside (ASan), never
 * a hang. */
static void test_damage(void **state)
{
    struct decompress_ctx d = {0};
    uint8_t *out = malloc(CAP);
    for (unsigned codec = 1; codec < BATCH_CODEC_COUNT; codec++) {
        char name[64];
        size_t n;
        snprintf(name, sizeof(name), "batch-%s.bin", names[codec]);
        uint8_t *p = golden_read(name, &n);
        for (size_t cut = BATCH_HEADER_SIZE; cut < n; cut++) {
            uint8_t *part = malloc(cut - BATCH_HEADER_SIZE + 1);
            memcpy(part, p + BATCH_HEADER_SIZE, cut - BATCH_HEADER_SIZE);
            ssize_t rc = read_all(&d, codec, part, cut - BATCH_HEADER_SIZE, 4096, CAP / 2, out, CAP);
            /* The one cut that leaves something valid: snappy's header without blocks. */
            assert_true(rc < 0 || (codec == BATCH_CODEC_SNAPPY && cut == BATCH_HEADER_SIZE + 16));
            free(part);
        }
        for (size_t at = BATCH_HEADER_SIZE; at < n; at++) {
            p[at] ^= 0x55;
            read_all(&d, codec, p + BATCH_HEADER_SIZE, n - BATCH_HEADER_SIZE, 4096, CAP / 2, out, CAP);
            p[at] ^= 0x55;
        }
        /* The context is as good as new. */
        assert_true(read_all(&d, codec, p + BATCH_HEADER_SIZE, n - BATCH_HEADER_SIZE, 4096, 0, out, CAP) > 0);
        uint8_t *more = malloc(n);
        memcpy(more, p + BATCH_HEADER_SIZE, n - BATCH_HEADER_SIZE);
        more[n - BATCH_HEADER_SIZE] = 0;
        assert_int_equal(read_all(&d, codec, more, n - BATCH_HEADER_SIZE + 1, 4096, 0, out, CAP), -EBADMSG);
        free(more);
        free(p);
    }
    free(out);
    decompress_ctx_destroy(&d);
}

/* What upstream's reader refuses: dependent blocks, reserved bits, a second frame. Large blocks are fine. */
static void test_lz4_frames(void **state)
{
    struct decompress_ctx d = {0};
    const size_t n = (4u << 20) + 100000, cap = 2 * n;
    uint8_t *src = malloc(n), *packed = malloc(cap), *out = malloc(cap);
    fill(src, n, 2);
    for (int linked = 0; linked < 2; linked++) {
        LZ4F_preferences_t prefs = LZ4F_INIT_PREFERENCES;
        prefs.frameInfo.blockMode = linked ? LZ4F_blockLinked : LZ4F_blockIndependent;
        prefs.frameInfo.blockSizeID = LZ4F_max4MB;
        prefs.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
        prefs.frameInfo.contentSize = n;
        size_t m = LZ4F_compressFrame(packed, cap, src, n, &prefs);
        assert_false(LZ4F_isError(m));
        ssize_t rc = read_all(&d, BATCH_CODEC_LZ4, packed, m, 4096, 0, out, cap);
        assert_int_equal(rc, linked ? -EBADMSG : (ssize_t)n);
        if (linked)
            continue;
        /* A context that grew to two blocks of 4 MiB is not kept. */
        assert_null(d.lz4);
        memcpy(packed + m, packed, 7);
        assert_int_equal(read_all(&d, BATCH_CODEC_LZ4, packed, m + 7, 4096, 0, out, cap), -EBADMSG);
        packed[4] |= 1;
        assert_int_equal(read_all(&d, BATCH_CODEC_LZ4, packed, m, 4096, 0, out, cap), -EBADMSG);
    }
    free(src);
    free(packed);
    free(out);
    decompress_ctx_destroy(&d);
}

/* Several gzip members or zstd frames in a row are one stream. */
static void test_concatenated(void **state)
{
    struct compress_ctx c = {0};
    struct decompress_ctx d = {0};
    const unsigned codecs[] = {BATCH_CODEC_GZIP, BATCH_CODEC_ZSTD};
    uint8_t src[1000], packed[8192], out[8192];
    fill(src, sizeof(src), 2);
    for (size_t i = 0; i < SL_ARRAY_LEN(codecs); i++) {
        ssize_t a = compress_all(&c, codecs[i], COMPRESS_LEVEL_DEFAULT, src, 600, packed, sizeof(packed));
        ssize_t b = compress_all(&c, codecs[i], COMPRESS_LEVEL_DEFAULT, src + 600, 400, packed + a,
                                 sizeof(packed) - (size_t)a);
        assert_true(a > 0 && b > 0);
        assert_int_equal(read_all(&d, codecs[i], packed, (size_t)(a + b), 100, 0, out, sizeof(out)), 1000);
        assert_memory_equal(out, src, 1000);
    }
    compress_ctx_destroy(&c);
    decompress_ctx_destroy(&d);
}

static void test_unknown_codec(void **state)
{
    struct decompress_ctx d = {0};
    struct decompressor x;
    assert_int_equal(decompressor_init(&x, &d, 5, NULL, 0, 0), -EOPNOTSUPP);
    assert_false(d.busy);
    assert_non_null(decompress_ctx_window(&d));
    assert_ptr_equal(decompress_ctx_window(&d), d.window);
    decompress_ctx_destroy(&d);
}

// A frame that promises its content size and is cut short must not make the next, sound one fail.
static void test_lz4_after_a_broken_frame(void **state)
{
    (void)state;
    static const uint8_t broken[] = {0x04, 0x22, 0x4d, 0x18, 0x78, 0x40, 0x2d, 0x26,
                                     0xff, 0x56, 0x26, 0x7a, 0x1f, 0x53, 0xd1};
    struct decompress_ctx ctx = {0};
    struct compress_ctx c = {0};
    struct decompressor d;
    uint8_t packed[256], out[64];
    assert_int_equal(decompressor_init(&d, &ctx, BATCH_CODEC_LZ4, broken, sizeof(broken), 1 << 20), 0);
    assert_true(decompressor_next(&d, out, sizeof(out)) < 0);
    decompressor_destroy(&d);
    ssize_t m = compress_all(&c, BATCH_CODEC_LZ4, COMPRESS_LEVEL_DEFAULT, (const uint8_t *)"sound", 5, packed,
                             sizeof(packed));
    assert_true(m > 0);
    assert_int_equal(decompressor_init(&d, &ctx, BATCH_CODEC_LZ4, packed, (size_t)m, 1 << 20), 0);
    assert_int_equal(decompressor_next(&d, out, sizeof(out)), 5);
    assert_int_equal(decompressor_next(&d, out, sizeof(out)), 0);
    decompressor_destroy(&d);
    compress_ctx_destroy(&c);
    decompress_ctx_destroy(&ctx);
}

/* What is put piece by piece comes back whole, at every level that the topic setting knows; the limit holds. */
static void one_stream(struct compress_ctx *w, struct decompress_ctx *r, unsigned codec, int level,
                       const uint8_t *src, size_t n, size_t piece, bool pledge)
{
    struct compressor c;
    uint8_t *out = malloc(2 * CAP);
    assert_int_equal(compressor_init(&c, w, codec, level, 7, pledge ? n : 0, 2 * CAP), 0);
    for (size_t at = 0; at < n; at += piece)
        assert_int_equal(compressor_put(&c, src + at, SL_MIN(piece, n - at)), 0);
    assert_int_equal(compressor_end(&c), 0);
    assert_int_equal(read_all(r, codec, c.out + 7, c.len - 7, 1000, 0, out, 2 * CAP), n);
    assert_memory_equal(out, src, n);
    size_t len = c.len;
    compressor_destroy(&c);
    int rc = compressor_init(&c, w, codec, level, 7, pledge ? n : 0, len - 1);
    for (size_t at = 0; at < n && !rc; at += piece)
        rc = compressor_put(&c, src + at, SL_MIN(piece, n - at));
    assert_int_equal(rc ? rc : compressor_end(&c), -EFBIG);
    compressor_destroy(&c);
    free(out);
}

static void test_streams(void **state)
{
    static const int levels[BATCH_CODEC_COUNT][4] = {{COMPRESS_LEVEL_DEFAULT},
                                                     {-1, 1, 6, 9},
                                                     {COMPRESS_LEVEL_DEFAULT},
                                                     {COMPRESS_LEVEL_DEFAULT, 3, 9, 17},
                                                     {-5, 1, 3, 19}};
    struct compress_ctx w = {0};
    struct decompress_ctx r = {0};
    size_t n = 300000;
    uint8_t *src = malloc(n);
    for (size_t i = 0; i < n; i++)
        src[i] = (uint8_t)(i % 7 ? i >> 9 : i * i >> 3);
    for (unsigned codec = 0; codec < BATCH_CODEC_COUNT; codec++)
        for (unsigned k = 0; k < 4; k++) {
            one_stream(&w, &r, codec, levels[codec][k], src, n, 65536, true);
            one_stream(&w, &r, codec, levels[codec][k], src, 50001, 777, false);
            one_stream(&w, &r, codec, levels[codec][k], src, 1, 1, true);
        }
    free(src);
    compress_ctx_destroy(&w);
    decompress_ctx_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_reads_upstream),
        cmocka_unit_test(test_reads_upstream_blocks),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_levels_and_space),
        cmocka_unit_test(test_raw_snappy),
        cmocka_unit_test(test_snappy_far_copy),
        cmocka_unit_test(test_snappy_lies),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_lz4_frames),
        cmocka_unit_test(test_concatenated),
        cmocka_unit_test(test_unknown_codec),
        cmocka_unit_test(test_lz4_after_a_broken_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
