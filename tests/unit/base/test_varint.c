/* varint.h: known encodings, every length boundary, every way to be malformed, random round trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/rand.h"
#include "engine/base/varint.h"

static void check_u32(uint32_t v, int size)
{
    uint8_t buf[SL_VARINT32_MAX + 1];
    memset(buf, 0xee, sizeof(buf));
    assert_int_equal(sl_uvarint32_size(v), size);
    assert_int_equal(sl_uvarint32_put(buf, v), size);
    assert_int_equal(buf[size], 0xee);
    uint32_t got = ~v;
    const uint8_t *p = buf;
    assert_int_equal(sl_uvarint32_get(&p, buf + size, &got), 0);
    assert_true(got == v && p == buf + size);
    /* One byte short, at every length. */
    for (int n = 0; n < size; n++) {
        p = buf;
        assert_int_equal(sl_uvarint32_get(&p, buf + n, &got), -EBADMSG);
        assert_ptr_equal(p, buf);
    }
}

static void check_u64(uint64_t v, int size)
{
    uint8_t buf[SL_VARINT64_MAX + 1];
    memset(buf, 0xee, sizeof(buf));
    assert_int_equal(sl_uvarint64_size(v), size);
    assert_int_equal(sl_uvarint64_put(buf, v), size);
    assert_int_equal(buf[size], 0xee);
    uint64_t got = ~v;
    const uint8_t *p = buf;
    assert_int_equal(sl_uvarint64_get(&p, buf + size, &got), 0);
    assert_true(got == v && p == buf + size);
    for (int n = 0; n < size; n++) {
        p = buf;
        assert_int_equal(sl_uvarint64_get(&p, buf + n, &got), -EBADMSG);
        assert_ptr_equal(p, buf);
    }
}

static void test_boundaries(void **state)
{
    check_u32(0, 1);
    check_u64(0, 1);
    for (int bits = 7; bits < 64; bits += 7) {
        uint64_t v = 1ull << bits;
        if (bits < 32) {
            check_u32((uint32_t)v - 1, bits / 7);
            check_u32((uint32_t)v, bits / 7 + 1);
        }
        check_u64(v - 1, bits / 7);
        check_u64(v, bits / 7 + 1);
    }
    check_u32(UINT32_MAX, 5);
    check_u64(UINT64_MAX, 10);
}

static void check_s32(int32_t v, int size, const char *bytes)
{
    uint8_t buf[SL_VARINT32_MAX];
    assert_int_equal(sl_varint32_size(v), size);
    assert_int_equal(sl_varint32_put(buf, v), size);
    assert_memory_equal(buf, bytes, (size_t)size);
    const uint8_t *p = buf;
    int32_t got = ~v;
    assert_int_equal(sl_varint32_get(&p, buf + size, &got), 0);
    assert_int_equal(got, v);
    assert_ptr_equal(p, buf + size);
}

static void check_s64(int64_t v, int size, const char *bytes)
{
    uint8_t buf[SL_VARINT64_MAX];
    assert_int_equal(sl_varint64_size(v), size);
    assert_int_equal(sl_varint64_put(buf, v), size);
    assert_memory_equal(buf, bytes, (size_t)size);
    const uint8_t *p = buf;
    int64_t got = ~v;
    assert_int_equal(sl_varint64_get(&p, buf + size, &got), 0);
    assert_true(got == v && p == buf + size);
}

/* Zigzag: small magnitudes of either sign are short. */
static void test_zigzag(void **state)
{
    check_s32(0, 1, "\x00");
    check_s32(-1, 1, "\x01");
    check_s32(1, 1, "\x02");
    check_s32(63, 1, "\x7e");
    check_s32(-64, 1, "\x7f");
    check_s32(64, 2, "\x80\x01");
    check_s32(-65, 2, "\x81\x01");
    check_s32(INT32_MAX, 5, "\xfe\xff\xff\xff\x0f");
    check_s32(INT32_MIN, 5, "\xff\xff\xff\xff\x0f");
    check_s64(-1, 1, "\x01");
    check_s64(300, 2, "\xd8\x04");
    check_s64(INT64_MAX, 10, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    check_s64(INT64_MIN, 10, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

struct bad {
    const char *bytes;
    size_t len;
    int rc32, rc64;
};

static void test_malformed(void **state)
{
    const struct bad cases[] = {
        {"", 0, -EBADMSG, -EBADMSG},
        {"\x80", 1, -EBADMSG, -EBADMSG},
        /* Padded with zero groups: long, but within 5 bytes. */
        {"\x80\x00", 2, 0, 0},
        {"\x81\x80\x80\x80\x00", 5, 0, 0},
        /* A fifth byte with bits above 2^32, or with a continuation. */
        {"\xff\xff\xff\xff\x1f", 5, -EBADMSG, 0},
        {"\x80\x80\x80\x80\x10", 5, -EBADMSG, 0},
        {"\x80\x80\x80\x80\x80\x00", 6, -EBADMSG, 0},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, -EBADMSG, -EBADMSG},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, -EBADMSG, -EBADMSG},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, -EBADMSG, -EBADMSG},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, -EBADMSG, -EBADMSG},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        const uint8_t *start = (const uint8_t *)cases[i].bytes, *end = start + cases[i].len;
        uint32_t u32 = 77;
        uint64_t u64 = 77;
        const uint8_t *p = start;
        assert_int_equal(sl_uvarint32_get(&p, end, &u32), cases[i].rc32);
        assert_ptr_equal(p, cases[i].rc32 ? start : end);
        p = start;
        assert_int_equal(sl_uvarint64_get(&p, end, &u64), cases[i].rc64);
        assert_ptr_equal(p, cases[i].rc64 ? start : end);
        int32_t s32 = 77;
        p = start;
        assert_int_equal(sl_varint32_get(&p, end, &s32), cases[i].rc32);
        if (cases[i].rc32)
            assert_int_equal(s32, 77);
    }
}

static void test_random(void **state)
{
    struct sl_rand r;
    sl_rand_seed(&r, 1);
    for (int i = 0; i < 200000; i++) {
        uint64_t v = sl_rand_u64(&r) >> sl_rand_below(&r, 64);
        uint8_t buf[3 * SL_VARINT64_MAX];
        int a = sl_uvarint32_put(buf, (uint32_t)v);
        int b = sl_varint64_put(buf + a, (int64_t)v);
        int c = sl_varint32_put(buf + a + b, (int32_t)v);
        assert_int_equal(a + b + c, sl_uvarint32_size((uint32_t)v) + sl_varint64_size((int64_t)v) +
                                        sl_varint32_size((int32_t)v));
        const uint8_t *p = buf, *end = buf + a + b + c;
        uint32_t u = 0;
        int64_t s64 = 0;
        int32_t s32 = 0;
        assert_int_equal(sl_uvarint32_get(&p, end, &u), 0);
        assert_int_equal(sl_varint64_get(&p, end, &s64), 0);
        assert_int_equal(sl_varint32_get(&p, end, &s32), 0);
        assert_true(u == (uint32_t)v && s64 == (int64_t)v && s32 == (int32_t)v && p == end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_zigzag),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
