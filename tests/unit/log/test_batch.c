/* The batch header: upstream's bytes, sizes, CRC, what may be rewritten. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/log/batch.h"
#include "tests/unit/log/golden.h"

static void test_upstream_header(void **state)
{
    size_t n;
    uint8_t *p = golden_read("batch-idempotent.bin", &n);
    struct batch_info b;
    assert_int_equal(batch_parse(p, n, &b), 0);
    assert_int_equal(b.size, n);
    assert_int_equal(b.base_offset, 0);
    assert_int_equal(b.leader_epoch, -1);
    assert_int_equal(b.magic, 2);
    assert_int_equal(b.last_offset_delta, 2);
    assert_int_equal(b.base_timestamp, 1700000000000LL);
    assert_int_equal(b.max_timestamp, 1700000000020LL);
    assert_int_equal(b.producer_id, 4711);
    assert_int_equal(b.producer_epoch, 5);
    assert_int_equal(b.base_sequence, 2147483646);
    assert_int_equal(b.record_count, 3);
    assert_true(batch_info_is_transactional(&b) && !batch_info_is_control(&b) && batch_info_has_producer(&b));
    assert_int_equal(batch_info_last_sequence(&b), 0);
    assert_true(batch_crc_ok(p));
    free(p);
}

/* Offset and epoch lie outside of the CRC, everything from the attributes on inside. */
static void test_crc_range(void **state)
{
    size_t n;
    uint8_t *p = golden_read("batch-none.bin", &n);
    batch_set_base_offset(p, INT64_MAX);
    batch_set_leader_epoch(p, 12345);
    assert_true(batch_crc_ok(p));
    assert_int_equal(batch_base_offset(p), INT64_MAX);
    assert_int_equal(batch_leader_epoch(p), 12345);
    for (size_t at = BATCH_ATTRIBUTES; at < n; at += 37) {
        p[at] ^= 0x40;
        assert_false(batch_crc_ok(p));
        p[at] ^= 0x40;
    }
    batch_set_max_timestamp(p, 5);
    assert_false(batch_crc_ok(p));
    batch_seal(p);
    assert_true(batch_crc_ok(p));
    free(p);
}

static void test_parse_sizes(void **state)
{
    size_t n;
    uint8_t *p = golden_read("batch-none.bin", &n);
    struct batch_info b;
    for (size_t k = 0; k < n; k++) {
        b.size = 0;
        uint8_t *part = malloc(k ? k : 1);
        memcpy(part, p, k);
        assert_int_equal(batch_parse(part, k, &b), -EAGAIN);
        assert_int_equal(b.size, k >= BATCH_HEADER_SIZE ? n : 0);
        free(part);
    }
    assert_int_equal(batch_parse(p, n + 0, &b), 0);
    const int32_t bad[] = {INT32_MIN, -1, 0, 48};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        batch_set_length(p, bad[i]);
        assert_int_equal(batch_parse(p, n, &b), -EBADMSG);
        assert_int_equal(batch_parse(p, BATCH_LOG_OVERHEAD, &b), -EBADMSG);
    }
    batch_set_length(p, INT32_MAX);
    assert_int_equal(batch_parse(p, n, &b), -EAGAIN);
    assert_int_equal(b.size, (uint32_t)INT32_MAX + 12);
    batch_set_length(p, 49);
    assert_int_equal(batch_parse(p, n, &b), 0);
    batch_set_magic(p, 1);
    assert_int_equal(batch_parse(p, n, &b), -EBADMSG);
    free(p);
}

static void test_fields_do_not_overlap(void **state)
{
    uint8_t p[BATCH_HEADER_SIZE] = {0};
    batch_set_base_offset(p, 0x0102030405060708);
    batch_set_length(p, 0x090a0b0c);
    batch_set_leader_epoch(p, 0x0d0e0f10);
    batch_set_magic(p, 0x11);
    batch_set_crc(p, 0x12131415);
    batch_set_attributes(p, 0x1617);
    batch_set_last_offset_delta(p, 0x18191a1b);
    batch_set_base_timestamp(p, 0x1c1d1e1f20212223);
    batch_set_max_timestamp(p, 0x2425262728292a2b);
    batch_set_producer_id(p, 0x2c2d2e2f30313233);
    batch_set_producer_epoch(p, 0x3435);
    batch_set_base_sequence(p, 0x36373839);
    batch_set_record_count(p, 0x3a3b3c3d);
    for (int i = 0; i < BATCH_HEADER_SIZE; i++)
        assert_int_equal(p[i], i + 1);
}

static void test_sequences(void **state)
{
    assert_int_equal(batch_sequence_add(0, 5), 5);
    assert_int_equal(batch_sequence_add(INT32_MAX, 0), INT32_MAX);
    assert_int_equal(batch_sequence_add(INT32_MAX, 1), 0);
    assert_int_equal(batch_sequence_add(INT32_MAX - 2, 10), 7);
    assert_int_equal(batch_sequence_sub(7, 10), INT32_MAX - 2);
    assert_int_equal(batch_sequence_sub(0, 0), 0);
}

static void test_codec_names(void **state)
{
    for (unsigned c = 0; c < BATCH_CODEC_COUNT; c++)
        assert_int_equal(batch_codec_from_name(batch_codec_name(c), strlen(batch_codec_name(c))), c);
    assert_null(batch_codec_name(5));
    assert_int_equal(batch_codec_from_name("lz", 2), -EINVAL);
    assert_int_equal(batch_codec_from_name("lz44", 4), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upstream_header), cmocka_unit_test(test_crc_range),
        cmocka_unit_test(test_parse_sizes),     cmocka_unit_test(test_fields_do_not_overlap),
        cmocka_unit_test(test_sequences),       cmocka_unit_test(test_codec_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
