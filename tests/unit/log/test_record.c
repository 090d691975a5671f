/* Records and the builder: byte for byte what upstream's builder writes, and strict parsing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/log/compress.h"
#include "engine/log/record.h"
#include "tests/unit/log/golden.h"
#include "tests/unit/log/records_sample.h"

static void expect_file(const char *name, const uint8_t *p, size_t n)
{
    size_t want;
    uint8_t *file = golden_read(name, &want);
    assert_int_equal(n, want);
    assert_memory_equal(p, file, n);
    free(file);
}

static void test_builder_matches_upstream(void **state)
{
    struct batch_builder b = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *p;
    size_t n;
    sample_fill(&b, 40);
    assert_int_equal(batch_builder_finish(&b, &o, NULL, &p, &n), 0);
    expect_file("batch-none.bin", p, n);

    batch_builder_reset(&b);
    sample_fill(&b, 3);
    o.producer_id = 4711;
    o.producer_epoch = 5;
    o.base_sequence = 2147483646;
    o.transactional = true;
    assert_int_equal(batch_builder_finish(&b, &o, NULL, &p, &n), 0);
    expect_file("batch-idempotent.bin", p, n);
    batch_builder_destroy(&b);
}

static void expect_control(struct batch_builder *b, struct batch_options o, const char *name)
{
    const uint8_t *p;
    size_t n;
    o.control = true;
    assert_int_equal(batch_builder_finish(b, &o, NULL, &p, &n), 0);
    expect_file(name, p, n);
    batch_builder_reset(b);
}

static void test_end_txn_markers(void **state)
{
    struct batch_builder b = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    o.base_offset = 12;
    o.leader_epoch = 3;
    o.producer_id = 4711;
    o.producer_epoch = 5;
    o.transactional = true;
    assert_int_equal(batch_builder_end_txn(&b, SAMPLE_T0, true, 77), 0);
    expect_control(&b, o, "control-commit.bin");
    o.base_offset = 13;
    assert_int_equal(batch_builder_end_txn(&b, SAMPLE_T0, false, 77), 0);
    expect_control(&b, o, "control-abort.bin");
    batch_builder_destroy(&b);
}

static void test_kraft_control_records(void **state)
{
    struct batch_builder b = {0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const struct record_endpoint endpoint = {"CONTROLLER", "localhost", 9093};
    struct record_voter voters[2] = {{.id = 1,
                                      .directory_id = sl_uuid_make(0x0102030405060708, 0x1112131415161718),
                                      .endpoints = &endpoint,
                                      .endpoint_count = 1,
                                      .kraft_version_max = 1},
                                     {.id = 2}};
    o.leader_epoch = 4;
    assert_int_equal(batch_builder_leader_change(&b, SAMPLE_T0, 1, voters, 2, voters, 1), 0);
    expect_control(&b, o, "control-leader-change.bin");
    o.base_offset = 1;
    assert_int_equal(batch_builder_kraft_version(&b, SAMPLE_T0, 1), 0);
    expect_control(&b, o, "control-kraft-version.bin");
    o.base_offset = 2;
    assert_int_equal(batch_builder_kraft_voters(&b, SAMPLE_T0, voters, 1), 0);
    expect_control(&b, o, "control-kraft-voters.bin");
    o.base_offset = 0;
    assert_int_equal(batch_builder_snapshot_header(&b, SAMPLE_T0, SAMPLE_T0 + 5), 0);
    expect_control(&b, o, "control-snapshot-header.bin");
    o.base_offset = 9;
    assert_int_equal(batch_builder_snapshot_footer(&b, SAMPLE_T0), 0);
    expect_control(&b, o, "control-snapshot-footer.bin");
    batch_builder_destroy(&b);
}

static void test_iterate(void **state)
{
    size_t n;
    uint8_t *p = golden_read("batch-none.bin", &n);
    struct record_iter it;
    struct record r;
    int count = 0;
    record_iter_init(&it, p + BATCH_HEADER_SIZE, n - BATCH_HEADER_SIZE, batch_record_count(p));
    for (; record_iter_next(&it, &r) == 1; count++) {
        assert_int_equal(r.offset_delta, count);
        assert_int_equal(r.timestamp_delta, count * 10 + (count == 7 ? 100000 : 0));
        assert_true((r.key.len < 0) == (count % 5 == 0));
        assert_true((r.value.len < 0) == (count % 7 == 3));
        assert_int_equal(r.header_count, count % 4 == 1 ? 2 : 0);
        const uint8_t *h = r.headers;
        struct record_header header;
        for (int i = 0; i < r.header_count; i++) {
            assert_true(record_header_next(&r, &h, &header));
            assert_memory_equal(header.key.p, i ? "h2" : "h1", 2);
            assert_true((header.value.len < 0) == (i == 1));
        }
        assert_false(record_header_next(&r, &h, &header));
    }
    assert_int_equal(count, 40);
    assert_int_equal(record_iter_next(&it, &r), 0);
    free(p);
}

static void test_iterator_counts(void **state)
{
    size_t n;
    uint8_t *p = golden_read("batch-idempotent.bin", &n);
    struct record_iter it;
    struct record r;
    /* One record less than there is: bytes are left over. One more: it is missing. */
    record_iter_init(&it, p + BATCH_HEADER_SIZE, n - BATCH_HEADER_SIZE, 2);
    assert_int_equal(record_iter_next(&it, &r), 1);
    assert_int_equal(record_iter_next(&it, &r), 1);
    assert_int_equal(record_iter_next(&it, &r), -EBADMSG);
    record_iter_init(&it, p + BATCH_HEADER_SIZE, n - BATCH_HEADER_SIZE, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(record_iter_next(&it, &r), 1);
    assert_int_equal(record_iter_next(&it, &r), -EBADMSG);
    record_iter_init(&it, p, 0, -1);
    assert_int_equal(record_iter_next(&it, &r), -EBADMSG);
    free(p);
}

/* Every cut of a record, and every length that does not fit, is refused. */
static void test_parse_is_strict(void **state)
{
    const uint8_t good[] = {22, 0, 4, 2, 2, 'k', 4, 'v', 'w', 2, 2, 'h', 1};
    const size_t n = sizeof(good);
    struct record r;
    uint8_t copy[sizeof(good)];
    memcpy(copy, good, n);
    copy[0] = (uint8_t)(2 * (n - 1));
    const uint8_t *p = copy;
    assert_int_equal(record_parse(&p, copy + n, &r), 0);
    assert_ptr_equal(p, copy + n);
    assert_int_equal(r.timestamp_delta, 2);
    assert_int_equal(r.offset_delta, 1);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, copy, cut);
        p = part;
        assert_int_equal(record_parse(&p, part + cut, &r), -EBADMSG);
        assert_ptr_equal(p, part);
        free(part);
    }
    const struct {
        uint8_t at, value;
    } bad[] = {{0, 0}, {0, 1}, {0, 20}, {4, 3},   {4, 40}, {4, 0},   {6, 3},  {6, 60},
               {9, 0}, {9, 1}, {9, 4},  {9, 200}, {10, 1}, {10, 40}, {12, 3}, {12, 2}};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        uint8_t old = copy[bad[i].at];
        copy[bad[i].at] = bad[i].value;
        p = copy;
        assert_int_equal(record_parse(&p, copy + n, &r), -EBADMSG);
        copy[bad[i].at] = old;
    }
}

static void test_control_keys(void **state)
{
    const uint8_t commit[] = {0, 0, 0, 1}, future[] = {0, 9, 0, 99}, negative[] = {255, 255, 0, 1};
    const uint8_t value[] = {0, 0, 0, 0, 0, 77}, bad_value[] = {128, 0, 0, 0, 0, 77};
    int32_t epoch;
    assert_int_equal(record_control_type(record_bytes_make(commit, 4)), RECORD_CONTROL_COMMIT);
    assert_int_equal(record_control_type(record_bytes_make(future, 4)), 99);
    assert_int_equal(record_control_type(record_bytes_make(negative, 4)), -EBADMSG);
    assert_int_equal(record_control_type(record_bytes_make(commit, 3)), -EBADMSG);
    assert_int_equal(record_control_type(RECORD_NULL), -EBADMSG);
    assert_int_equal(record_end_txn_parse(record_bytes_make(value, 6), &epoch), 0);
    assert_int_equal(epoch, 77);
    assert_int_equal(record_end_txn_parse(record_bytes_make(value, 5), &epoch), -EBADMSG);
    assert_int_equal(record_end_txn_parse(record_bytes_make(bad_value, 6), &epoch), -EBADMSG);
}

static void test_builder_limits(void **state)
{
    struct batch_builder b = {.limit = 100};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *p;
    size_t n;
    uint8_t big[200] = {0};
    assert_int_equal(batch_builder_append(&b, 1, RECORD_NULL, record_bytes_make(big, 10), NULL, 0), 0);
    size_t before = batch_builder_size(&b);
    assert_int_equal(batch_builder_append(&b, 9, RECORD_NULL, record_bytes_make(big, 30), NULL, 0), -EFBIG);
    assert_int_equal(batch_builder_append(&b, 9, RECORD_NULL, record_bytes_make(big, 200), NULL, 0), -EFBIG);
    assert_int_equal(batch_builder_size(&b), before);
    o.codec = 7;
    assert_int_equal(batch_builder_finish(&b, &o, NULL, &p, &n), -EINVAL);
    o.codec = 0;
    o.timestamp_type = BATCH_LOG_APPEND_TIME;
    o.log_append_time = 99;
    assert_int_equal(batch_builder_finish(&b, &o, NULL, &p, &n), 0);
    assert_int_equal(n, before);
    assert_int_equal(batch_record_count(p), 1);
    assert_int_equal(batch_max_timestamp(p), 99);
    assert_int_equal(batch_base_timestamp(p), 1);
    assert_int_equal(batch_attributes(p), BATCH_ATTR_LOG_APPEND_TIME);
    assert_true(batch_crc_ok(p));
    batch_builder_destroy(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builder_matches_upstream),
        cmocka_unit_test(test_end_txn_markers),
        cmocka_unit_test(test_kraft_control_records),
        cmocka_unit_test(test_iterate),
        cmocka_unit_test(test_iterator_counts),
        cmocka_unit_test(test_parse_is_strict),
        cmocka_unit_test(test_control_keys),
        cmocka_unit_test(test_builder_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
