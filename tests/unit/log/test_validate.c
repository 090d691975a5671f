/* Validation rules that the upstream cases do not reach: budgets, large records, limits, coordinators. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/base/crc32c.h"
#include "engine/base/varint.h"
#include "engine/log/record.h"
#include "engine/log/validate.h"
#include "tests/unit/log/golden.h"
#include "tests/unit/log/records_sample.h"

static struct validate_rules rules_default(void)
{
    return (struct validate_rules){.now_ms = SAMPLE_T0 + 1000,
                                   .timestamp_before_max_ms = INT64_MAX,
                                   .timestamp_after_max_ms = 3600000,
                                   .max_message_bytes = 100u << 20,
                                   .segment_bytes = 1u << 30,
                                   .produce_version = 13};
}

/* A batch of n records of `value` bytes with `headers` headers each, in the codec. The caller frees it. */
static uint8_t *make_batch(unsigned codec, int records, size_t value_n, size_t headers, size_t *n)
{
    struct batch_builder b = {0};
    struct compress_ctx c = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    struct record_header *h = calloc(headers + 1, sizeof(*h));
    uint8_t *value = malloc(value_n + 1);
    const uint8_t *p;
    for (size_t i = 0; i < headers; i++)
        h[i] = (struct record_header){record_bytes_text("header"), record_bytes_text("v")};
    for (size_t i = 0; i < value_n; i++)
        value[i] = (uint8_t)(i * i >> 7);
    for (int i = 0; i < records; i++)
        assert_int_equal(batch_builder_append(&b, SAMPLE_T0 + (i == 1 ? 50 : 0), record_bytes_text("k"),
                                              record_bytes_make(value, value_n), h, headers),
                         0);
    o.codec = (uint8_t)codec;
    assert_int_equal(batch_builder_finish(&b, &o, &c, &p, n), 0);
    uint8_t *copy = malloc(*n);
    memcpy(copy, p, *n);
    batch_builder_destroy(&b);
    compress_ctx_destroy(&c);
    free(h);
    free(value);
    return copy;
}

/* Validates with the given budget a step; returns the steps taken. */
static unsigned run(const struct validate_rules *r, struct decompress_ctx *ctx, uint8_t *p, size_t n,
                    uint64_t budget, struct validate_result *out)
{
    struct validator v;
    unsigned steps = 1;
    assert_int_equal(validate_header(r, p, n, out), 0);
    assert_int_equal(validate_crc(out, batch_compute_crc(p)), 0);
    assert_int_equal(validator_begin(&v, r, ctx, p + BATCH_HEADER_SIZE, out), 0);
    while (validator_step(&v, budget) == -EAGAIN)
        steps++;
    assert_int_equal(validator_step(&v, budget), 0);
    validator_end(&v);
    return steps;
}

/* Whatever the shape of the records and the budget, the verdict is the same, and budgets bound the steps'
 * work. */
static void test_budgets(void **state)
{
    struct decompress_ctx ctx = {0};
    const struct {
        int records;
        size_t value, headers;
    } shapes[] = {{3, 10, 0}, {2000, 100, 1}, {3, 200000, 0}, {2, 65530, 2}, {2, 10, 30000}, {40, 70000, 3}};
    for (size_t s = 0; s < SL_ARRAY_LEN(shapes); s++) {
        for (unsigned codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
            struct validate_rules r = rules_default();
            struct validate_result whole, cut;
            size_t n;
            uint8_t *p = make_batch(codec, shapes[s].records, shapes[s].value, shapes[s].headers, &n);
            assert_int_equal(run(&r, &ctx, p, n, UINT64_MAX, &whole), 1);
            unsigned steps = run(&r, &ctx, p, n, 1000, &cut);
            assert_int_equal(whole.error, 0);
            assert_int_equal(cut.error, 0);
            assert_int_equal(whole.max_timestamp, SAMPLE_T0 + 50);
            assert_int_equal(cut.max_timestamp, SAMPLE_T0 + 50);
            assert_int_equal(cut.max_timestamp_delta, 1);
            assert_int_equal(cut.records_bytes, whole.records_bytes);
            assert_false(cut.header_changed);
            if (codec != 0)
                assert_true(steps >= cut.records_bytes / (COMPRESS_WINDOW + 1000));
            if (shapes[s].records == 2000 || shapes[s].headers == 30000)
                assert_true(steps > 50);
            free(p);
        }
    }
    decompress_ctx_destroy(&ctx);
}

/* A walk may be given up in the middle; the context is free again. */
static void test_abandon(void **state)
{
    struct decompress_ctx ctx = {0};
    struct validate_rules r = rules_default();
    struct validate_result out;
    struct validator v;
    size_t n;
    uint8_t *p = make_batch(BATCH_CODEC_ZSTD, 40, 70000, 3, &n);
    assert_int_equal(validate_header(&r, p, n, &out), 0);
    assert_int_equal(validator_begin(&v, &r, &ctx, p + BATCH_HEADER_SIZE, &out), 0);
    assert_int_equal(validator_step(&v, 100), -EAGAIN);
    assert_true(ctx.busy);
    validator_end(&v);
    assert_false(ctx.busy);
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), 0);
    free(p);
    decompress_ctx_destroy(&ctx);
}

static void test_sizes(void **state)
{
    struct decompress_ctx ctx = {0};
    struct validate_rules r = rules_default();
    struct validate_result out;
    size_t n;
    uint8_t *p = make_batch(BATCH_CODEC_GZIP, 10, 70000, 0, &n);
    r.max_message_bytes = (uint32_t)n - 1;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_MESSAGE_TOO_LARGE);
    r.max_message_bytes = (uint32_t)n;
    r.segment_bytes = (uint32_t)n - 1;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_RECORD_LIST_TOO_LARGE);
    r.header_only = true;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_RECORD_LIST_TOO_LARGE);
    r.header_only = false;
    r.segment_bytes = (uint32_t)n;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_NONE);
    assert_true(out.records_bytes > 700000);
    r.max_decompressed = out.records_bytes - 1;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_MESSAGE_TOO_LARGE);
    r.max_decompressed++;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_NONE);
    free(p);
    decompress_ctx_destroy(&ctx);
}

/* record.validation=header believes the header, records and all. */
static void test_header_only(void **state)
{
    struct decompress_ctx ctx = {0};
    struct validate_rules r = rules_default();
    struct validate_result out;
    size_t n;
    uint8_t *p = make_batch(BATCH_CODEC_NONE, 10, 100, 0, &n);
    memset(p + BATCH_HEADER_SIZE, 0xff, n - BATCH_HEADER_SIZE);
    batch_seal(p);
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_INVALID_RECORD);
    r.header_only = true;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_NONE);
    assert_int_equal(out.max_timestamp, SAMPLE_T0 + 50);
    assert_int_equal(out.max_timestamp_delta, -1);
    r.timestamp_type = BATCH_LOG_APPEND_TIME;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_NONE);
    assert_int_equal(batch_max_timestamp(p), r.now_ms);
    assert_true(batch_crc_ok(p));
    batch_set_record_count(p, 11);
    batch_seal(p);
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_INVALID_RECORD);
    free(p);
    decompress_ctx_destroy(&ctx);
}

/* The new CRC comes from the old one without reading the records. */
static void test_append_time(void **state)
{
    struct decompress_ctx ctx = {0};
    struct validate_rules r = rules_default();
    r.timestamp_type = BATCH_LOG_APPEND_TIME;
    for (unsigned codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        struct validate_result out;
        size_t n;
        uint8_t *p = make_batch(codec, 100, 1000, 0, &n);
        assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_NONE);
        assert_true(out.header_changed);
        assert_int_equal(out.log_append_time, r.now_ms);
        assert_int_equal(out.max_timestamp_delta, 0);
        assert_int_equal(batch_attributes(p), codec | BATCH_ATTR_LOG_APPEND_TIME);
        assert_int_equal(batch_max_timestamp(p), r.now_ms);
        assert_true(batch_crc_ok(p));
        free(p);
    }
    decompress_ctx_destroy(&ctx);
}

/* A codec that nobody defines is refused by the walk itself, in whatever order the caller checks. */
static void test_unknown_codec(void **state)
{
    struct decompress_ctx ctx = {0};
    struct validate_rules r = rules_default();
    for (int i = 0; i < 2; i++) {
        for (uint16_t codec = 5; codec < 8; codec++) {
            struct validate_result out;
            struct validator v;
            size_t n;
            uint8_t *p = make_batch(BATCH_CODEC_NONE, 2, 10, 0, &n);
            batch_set_attributes(p, codec);
            r.header_only = i == 1;
            assert_int_equal(validate_header(&r, p, n, &out), 0);
            assert_int_equal(validator_begin(&v, &r, &ctx, p + BATCH_HEADER_SIZE, &out),
                             KERR_UNKNOWN_SERVER_ERROR);
            assert_int_equal(validator_step(&v, 1), 0);
            validator_end(&v);
            free(p);
        }
    }
    decompress_ctx_destroy(&ctx);
}

static void test_coordinator(void **state)
{
    struct decompress_ctx ctx = {0};
    struct validate_rules r = rules_default();
    struct validate_result out;
    size_t n;
    uint8_t *p = golden_read("control-commit.bin", &n);
    batch_set_base_offset(p, 0);
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_INVALID_RECORD);
    r.origin = VALIDATE_COORDINATOR;
    r.produce_version = 0;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_NONE);
    free(p);
    decompress_ctx_destroy(&ctx);
}

/* More bad records than are kept: all are counted, the first are named; timestamps win over keys. */
static void test_many_record_errors(void **state)
{
    struct decompress_ctx ctx = {0};
    struct validate_rules r = rules_default();
    struct validate_result out;
    struct batch_builder b = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *q;
    char text[200];
    size_t n;
    for (int i = 0; i < 100; i++)
        batch_builder_append(&b, SAMPLE_T0 + i, i % 2 ? record_bytes_text("k") : RECORD_NULL, RECORD_NULL,
                             NULL, 0);
    assert_int_equal(batch_builder_finish(&b, &o, NULL, &q, &n), 0);
    uint8_t *p = malloc(n);
    memcpy(p, q, n);
    r.compacted = true;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_INVALID_RECORD);
    assert_int_equal(out.error_count, 50);
    for (int i = 0; i < VALIDATE_MAX_RECORD_ERRORS; i++) {
        assert_int_equal(out.errors[i].batch_index, 2 * i);
        assert_int_equal(out.errors[i].fault, VALIDATE_FAULT_NO_KEY);
    }
    assert_true(validate_record_error_text(&r, &out.errors[0], text, sizeof(text)) > 0);
    assert_string_equal(text, validate_fault_text(VALIDATE_FAULT_NO_KEY));
    r.timestamp_after_max_ms = 10;
    r.now_ms = SAMPLE_T0 + 80;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_INVALID_TIMESTAMP);
    assert_int_equal(out.error_count, 55);
    r.compacted = false;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_INVALID_TIMESTAMP);
    assert_int_equal(out.error_count, 9);
    assert_int_equal(out.errors[0].batch_index, 91);
    assert_true(validate_record_error_text(&r, &out.errors[0], text, sizeof(text)) > 0);
    assert_non_null(strstr(text, "1700000000091"));
    assert_non_null(strstr(text, "1700000000090]"));
    free(p);
    batch_builder_destroy(&b);
    decompress_ctx_destroy(&ctx);
}

/* Rewrites one byte of an uncompressed batch's records, and compresses the result too: same verdict in all
 * codecs. */
static void expect_broken(size_t at, uint8_t value)
{
    struct decompress_ctx ctx = {0};
    struct compress_ctx c = {0};
    size_t n;
    uint8_t *p = make_batch(BATCH_CODEC_NONE, 3, 10, 1, &n);
    p[BATCH_HEADER_SIZE + at] = value;
    for (unsigned codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        struct validate_rules r = rules_default();
        struct validate_result out;
        size_t bound = compress_bound(codec, n);
        uint8_t *q = malloc(BATCH_HEADER_SIZE + bound);
        memcpy(q, p, BATCH_HEADER_SIZE);
        ssize_t m = compress_all(&c, codec, COMPRESS_LEVEL_DEFAULT, p + BATCH_HEADER_SIZE,
                                 n - BATCH_HEADER_SIZE, q + BATCH_HEADER_SIZE, bound);
        assert_true(m > 0);
        batch_set_attributes(q, (uint16_t)codec);
        batch_set_length(q, (int32_t)(BATCH_MIN_LENGTH + m));
        batch_seal(q);
        assert_int_equal(validate_batch(&r, &ctx, q, (size_t)(BATCH_HEADER_SIZE + m), &out),
                         KERR_INVALID_RECORD);
        free(q);
    }
    free(p);
    decompress_ctx_destroy(&ctx);
    compress_ctx_destroy(&c);
}

static void test_broken_records(void **state)
{
    /* A record: 0 length, 1 attributes, 2 timestamp, 3 offset, 4 key length, 5 key, 6 value length, 7-16
     * value, 17 header count, 18 header key length, 19-24 header key, 25 header value length, 26 value. */
    expect_broken(0, 0);
    expect_broken(0, 51);
    expect_broken(0, 54);
    expect_broken(0, 0xff);
    expect_broken(3, 2);
    expect_broken(4, 3);
    expect_broken(4, 0x7e);
    expect_broken(6, 0x7e);
    expect_broken(17, 0);
    expect_broken(17, 3);
    expect_broken(17, 4);
    expect_broken(18, 1);
    expect_broken(25, 4);
}

/* The states that large records take hold the same checks. */
static void test_broken_large_record(void **state)
{
    struct decompress_ctx ctx = {0};
    const size_t value_n = 100000;
    size_t n, at = BATCH_HEADER_SIZE;
    uint8_t *p = make_batch(BATCH_CODEC_NONE, 1, value_n, 2, &n);
    /* length 3 bytes, attributes, timestamp, offset, key length, key; then value length, 3 bytes. */
    const size_t key_len = at + 6, value_len = at + 8, header_count = value_len + 3 + value_n;
    const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{at, 0xff},
               {key_len, 3},
               {value_len + 2, 0x7f},
               {header_count, 1},
               {header_count, 6},
               {header_count, 2},
               {header_count + 1, 1},
               {header_count + 1, 0x40},
               {header_count + 8, 3},
               {header_count + 8, 8},
               {header_count + 1, 0xff}};
    struct validate_rules r = rules_default();
    struct validate_result out;
    assert_int_equal(p[key_len], 2);
    assert_int_equal(p[header_count], 4);
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_NONE);
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        uint8_t old = p[bad[i].at];
        p[bad[i].at] = bad[i].value;
        batch_seal(p);
        assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_INVALID_RECORD);
        p[bad[i].at] = old;
    }
    /* Its key counts in a compacted topic. */
    batch_seal(p);
    r.compacted = true;
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_NONE);
    p[key_len] = 1;
    batch_seal(p);
    assert_int_equal(validate_batch(&r, &ctx, p, n, &out), KERR_INVALID_RECORD);
    free(p);
    decompress_ctx_destroy(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budgets),        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_header_only),
        cmocka_unit_test(test_append_time),    cmocka_unit_test(test_unknown_codec),
        cmocka_unit_test(test_coordinator),    cmocka_unit_test(test_many_record_errors),
        cmocka_unit_test(test_broken_records), cmocka_unit_test(test_broken_large_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
