/* bytes.h: byte order and alignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"

static const uint8_t digits[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

static void test_load(void **state)
{
    for (size_t off = 0; off < 8; off++) {
        uint8_t buf[16];
        memcpy(buf + off, digits, 8);
        assert_int_equal(be16_load(buf + off), 0x0123);
        assert_int_equal(le16_load(buf + off), 0x2301);
        assert_int_equal(be32_load(buf + off), 0x01234567);
        assert_int_equal(le32_load(buf + off), 0x67452301);
        assert_true(be64_load(buf + off) == 0x0123456789abcdefull);
        assert_true(le64_load(buf + off) == 0xefcdab8967452301ull);
    }
}

/* A store writes its width and not a byte more. */
#define CHECK_STORE(bits, v, be_first, le_first)                                                             \
    do {                                                                                                     \
        uint8_t buf[18];                                                                                     \
        for (size_t off = 1; off < 9; off++) {                                                               \
            memset(buf, 0xee, sizeof(buf));                                                                  \
            be##bits##_store(buf + off, v);                                                                  \
            assert_int_equal(buf[off], be_first);                                                            \
            assert_int_equal(buf[off - 1], 0xee);                                                            \
            assert_int_equal(buf[off + bits / 8], 0xee);                                                     \
            assert_true(be##bits##_load(buf + off) == v);                                                    \
            le##bits##_store(buf + off, v);                                                                  \
            assert_int_equal(buf[off], le_first);                                                            \
            assert_int_equal(buf[off - 1], 0xee);                                                            \
            assert_int_equal(buf[off + bits / 8], 0xee);                                                     \
            assert_true(le##bits##_load(buf + off) == v);                                                    \
        }                                                                                                    \
    } while (0)

static void test_store(void **state)
{
    CHECK_STORE(16, 0x1234, 0x12, 0x34);
    CHECK_STORE(32, 0x12345678u, 0x12, 0x78);
    CHECK_STORE(64, 0x123456789abcdef0ull, 0x12, 0xf0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
