/* Upstream's append on the leader, case by case: tests/golden/records/validate-cases.bin holds, big-endian,
 *   int32 count, then per case: byte strict, int16 produce version, byte append time, byte compacted, int64
 *   now, int64 before max, int64 after max, int32 max message, int32 segment bytes, int32 n, n bytes, int16
 *   error, int64 max timestamp, int64 append time, int32 attributes, int32 crc, int32 bad records, their
 *   int32 indexes.
 * Strict cases must match in everything; the others are bytes that we may refuse where upstream does not
 * look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/log/validate.h"
#include "tests/unit/log/golden.h"

struct reader {
    const uint8_t *p, *end;
};

static uint64_t take(struct reader *r, unsigned n)
{
    uint64_t v = 0;
    assert_true((size_t)(r->end - r->p) >= n);
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | *r->p++;
    return v;
}

struct expected {
    int16_t error;
    int64_t max_timestamp, append_time;
    uint32_t attributes, crc, bad;
    const uint8_t *indexes;
};

static struct expected take_expected(struct reader *r)
{
    struct expected e = {.error = (int16_t)take(r, 2)};
    e.max_timestamp = (int64_t)take(r, 8);
    e.append_time = (int64_t)take(r, 8);
    e.attributes = (uint32_t)take(r, 4);
    e.crc = (uint32_t)take(r, 4);
    e.bad = (uint32_t)take(r, 4);
    e.indexes = r->p;
    for (uint32_t i = 0; i < e.bad; i++)
        take(r, 4);
    return e;
}

static struct validate_rules take_rules(struct reader *r)
{
    struct validate_rules x = {.origin = VALIDATE_CLIENT};
    x.produce_version = (int16_t)take(r, 2);
    x.timestamp_type = (uint8_t)take(r, 1);
    x.compacted = take(r, 1) != 0;
    x.now_ms = (int64_t)take(r, 8);
    x.timestamp_before_max_ms = (int64_t)take(r, 8);
    x.timestamp_after_max_ms = (int64_t)take(r, 8);
    x.max_message_bytes = (uint32_t)take(r, 4);
    x.segment_bytes = (uint32_t)take(r, 4);
    return x;
}

static void expect_stored(const struct expected *e, const struct validate_result *out, const uint8_t *batch)
{
    assert_int_equal(out->max_timestamp, e->max_timestamp);
    assert_int_equal(out->log_append_time, e->append_time);
    assert_int_equal(batch_attributes(batch), (uint16_t)e->attributes);
    assert_int_equal(batch_crc(batch), e->crc);
    assert_true(batch_crc_ok(batch));
}

static void expect_strict(unsigned i, const struct expected *e, const struct validate_result *out,
                          const uint8_t *batch)
{
    if (out->error != e->error)
        fail_msg("case %u: %s (%s), upstream %s", i, kerr_name(out->error), out->reason, kerr_name(e->error));
    if (e->error == 0)
        expect_stored(e, out, batch);
    assert_int_equal(out->error_count, e->bad);
    for (uint32_t k = 0; k < e->bad; k++)
        assert_int_equal(out->errors[k].batch_index, be32_load(e->indexes + 4 * k));
}

/* We may be stricter, never laxer. */
static void expect_loose(unsigned i, const struct expected *e, const struct validate_result *out,
                         const uint8_t *batch)
{
    if (out->error == 0) {
        if (e->error != 0)
            fail_msg("case %u: accepted, upstream %s", i, kerr_name(e->error));
        expect_stored(e, out, batch);
    }
}

static void test_cases(void **state)
{
    size_t n;
    uint8_t *file = golden_read("validate-cases.bin", &n);
    struct reader r = {file, file + n};
    struct decompress_ctx ctx = {0};
    unsigned count = (unsigned)take(&r, 4), stricter = 0, loose = 0;
    assert_true(count > 500);
    for (unsigned i = 0; i < count; i++) {
        bool strict = take(&r, 1) != 0;
        struct validate_rules rules = take_rules(&r);
        size_t len = (size_t)take(&r, 4);
        assert_true((size_t)(r.end - r.p) >= len);
        uint8_t *batch = malloc(len ? len : 1);
        memcpy(batch, r.p, len);
        r.p += len;
        struct expected e = take_expected(&r);
        struct validate_result out;
        validate_batch(&rules, &ctx, batch, len, &out);
        if (strict)
            expect_strict(i, &e, &out, batch);
        else
            expect_loose(i, &e, &out, batch);
        loose += !strict;
        stricter += !strict && out.error != 0 && e.error == 0;
        free(batch);
    }
    assert_ptr_equal(r.p, r.end);
    print_message("%u cases, %u of %u random ones refused that upstream accepts\n", count, stricter, loose);
    decompress_ctx_destroy(&ctx);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
