// Batches made ahead of time are the batches that the log's own builder and validator know.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/prep.h"
#include "engine/log/compress.h"

static struct prep_spec spec_of(const char *values, const char *keys, uint32_t batch)
{
    struct prep_spec s = {.key_space = 1000, .batch_bytes = batch, .compressible = 50, .seed = 3};
    assert_int_equal(prep_parse_sizes(values, &s.values), 0);
    assert_int_equal(prep_parse_sizes(keys, &s.keys), 0);
    return s;
}

// The whole batch of n records in new memory.
static uint8_t *assemble(const struct prep *p, uint32_t n, const struct prep_header *h)
{
    uint8_t *b = malloc(BATCH_HEADER_SIZE + p->ends[n]);
    assert_non_null(b);
    prep_header_plain(p, n, h, b);
    memcpy(b + BATCH_HEADER_SIZE, p->records, p->ends[n]);
    return b;
}

static void check_batch(const struct prep *p, uint32_t n)
{
    const struct prep_header h = {.time_ms = 1234567890123, .producer_id = 77, .sequence = 5, .epoch = 2};
    uint8_t *b = assemble(p, n, &h);
    struct batch_info info;
    struct record_iter it;
    struct record r;
    uint64_t payload = 0;
    assert_int_equal(batch_parse(b, BATCH_HEADER_SIZE + p->ends[n], &info), 0);
    assert_int_equal(info.size, BATCH_HEADER_SIZE + p->ends[n]);
    assert_true(batch_crc_ok(b));
    assert_int_equal(info.base_timestamp, h.time_ms);
    assert_int_equal(info.producer_id, 77);
    assert_int_equal(info.base_sequence, 5);
    assert_int_equal(info.record_count, (int)n);
    assert_int_equal(info.last_offset_delta, (int)n - 1);
    record_iter_init(&it, b + BATCH_HEADER_SIZE, p->ends[n], (int32_t)n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(record_iter_next(&it, &r), 1);
        assert_int_equal(r.offset_delta, i);
        assert_int_equal(r.timestamp_delta, 0);
        assert_ptr_equal(r.value.p, b + BATCH_HEADER_SIZE + p->value[i]);
        payload += (uint64_t)(r.key.len > 0 ? r.key.len : 0) + (uint64_t)r.value.len;
    }
    assert_int_equal(record_iter_next(&it, &r), 0);
    assert_int_equal(payload, p->payload[n]);
    free(b);
}

static void every_prefix_is_a_batch(void **state)
{
    struct prep_spec s = spec_of("10-300,1000:0.1", "8", 16384);
    struct prep *p = prep_make(&s);
    (void)state;
    assert_non_null(p);
    assert_true(p->max_n > 20);
    for (uint32_t n = 1; n <= p->max_n; n++)
        check_batch(p, n);
    prep_free(p);
}

static void a_batch_is_as_full_as_asked_for(void **state)
{
    struct prep_spec s = spec_of("1000", "0", 65536);
    struct prep *p = prep_make(&s);
    (void)state;
    assert_non_null(p);
    assert_in_range(BATCH_HEADER_SIZE + p->ends[p->max_n], 65536 - 1100, 65536);
    prep_free(p);
    s = spec_of("100k", "0", 1024); // a record larger than the batch: alone
    p = prep_make(&s);
    assert_non_null(p);
    assert_int_equal(p->max_n, 1);
    check_batch(p, 1);
    prep_free(p);
}

static void packed_batches_hold_the_same_records(void **state)
{
    struct prep_spec s = spec_of("500", "0", 32768);
    (void)state;
    for (unsigned codec = BATCH_CODEC_GZIP; codec < BATCH_CODEC_COUNT; codec++) {
        struct prep *p = prep_make(&s);
        struct compress_ctx c = {0};
        struct decompress_ctx d = {0};
        struct decompressor dec;
        const struct prep_header h = {
            .time_ms = 1, .producer_id = -1, .sequence = -1, .epoch = -1, .attributes = (uint16_t)codec};
        uint8_t head[BATCH_HEADER_SIZE], *b, *plain = malloc(65536);
        size_t n = 0;
        ssize_t k;
        assert_non_null(plain);
        assert_int_equal(prep_pack(p, &c, codec), 0);
        prep_header_packed(p, &h, head);
        b = malloc(sizeof(head) + p->packed->len);
        memcpy(b, head, sizeof(head));
        memcpy(b + sizeof(head), p->packed->p, p->packed->len);
        assert_true(batch_crc_ok(b));
        assert_int_equal(batch_attr_codec(batch_attributes(b)), codec);
        assert_int_equal(batch_record_count(b), p->max_n);
        assert_int_equal(decompressor_init(&dec, &d, codec, b + sizeof(head), p->packed->len, 0), 0);
        while ((k = decompressor_next(&dec, plain + n, 65536 - n)) > 0)
            n += (size_t)k;
        assert_int_equal(k, 0);
        assert_int_equal(n, p->ends[p->max_n]);
        assert_memory_equal(plain, p->records, n);
        decompressor_destroy(&dec);
        decompress_ctx_destroy(&d);
        compress_ctx_destroy(&c);
        free(plain);
        free(b);
        prep_free(p);
    }
}

static void stamps_come_back(void **state)
{
    uint8_t value[PREP_STAMP_SIZE];
    struct prep_stamp out, in = {.producer = 7, .sequence = 1ull << 40, .time_us = 1770000000000001};
    (void)state;
    prep_stamp_write(value, &in);
    assert_true(prep_stamp_read(record_bytes_make(value, sizeof(value)), &out));
    assert_int_equal(out.producer, in.producer);
    assert_int_equal(out.sequence, in.sequence);
    assert_int_equal(out.time_us, in.time_us);
    assert_false(prep_stamp_read(record_bytes_make(value, sizeof(value) - 1), &out));
    value[0] ^= 1;
    assert_false(prep_stamp_read(record_bytes_make(value, sizeof(value)), &out));
    assert_false(prep_stamp_read(RECORD_NULL, &out));
}

static void header_over_foreign_bytes(void **state)
{
    struct prep_spec s = spec_of("100", "0", 4096);
    struct prep *p = prep_make(&s);
    const struct prep_header h = {.time_ms = 9, .producer_id = 1, .sequence = 0, .epoch = 0};
    uint8_t plain[BATCH_HEADER_SIZE], over[BATCH_HEADER_SIZE];
    (void)state;
    prep_header_plain(p, 3, &h, plain);
    prep_header_over(3, &h, p->records, p->ends[3], over);
    assert_memory_equal(plain, over, sizeof(plain));
    prep_free(p);
}

static void sizes_as_text(void **state)
{
    static const char *const bad[] = {"", "x", "1-", "5-3", "10:0", "10:x", ",", "-1", "17m", "1:2:3"};
    struct prep_sizes s;
    (void)state;
    assert_int_equal(prep_parse_sizes("1k", &s), 0);
    assert_int_equal(s.lo[0], 1024);
    assert_int_equal(s.hi[0], 1024);
    assert_int_equal(prep_parse_sizes("100:3,200-400:1", &s), 0);
    assert_int_equal(s.n, 2);
    assert_true(s.upto[0] > 0.7499 && s.upto[0] < 0.7501 && s.upto[1] == 1.0);
    assert_true(s.mean > 149.99 && s.mean < 150.01);
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
        assert_int_equal(prep_parse_sizes(bad[i], &s), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_is_a_batch),
        cmocka_unit_test(a_batch_is_as_full_as_asked_for),
        cmocka_unit_test(packed_batches_hold_the_same_records),
        cmocka_unit_test(stamps_come_back),
        cmocka_unit_test(header_over_foreign_bytes),
        cmocka_unit_test(sizes_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
