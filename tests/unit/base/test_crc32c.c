/* crc32c.h: published vectors, and the instructions against the tables at all sizes and alignments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "engine/base/crc32c.h"
#include "engine/base/crc32c_private.h"
#include "engine/base/rand.h"

struct vector {
    const char *what;
    uint8_t bytes[48];
    size_t len;
    uint32_t crc;
};

/* RFC 3720 appendix B.4 lists the checksum bytes as they go out on the wire: least significant first. */
static void make_vectors(struct vector v[6])
{
    static const uint8_t scsi_read[48] = {
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
        0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    memset(v, 0, 6 * sizeof(*v));
    v[0] = (struct vector){.what = "zeros", .len = 32, .crc = 0x8a9136aau};
    v[1] = (struct vector){.what = "ones", .len = 32, .crc = 0x62a8ab43u};
    v[2] = (struct vector){.what = "increasing", .len = 32, .crc = 0x46dd794eu};
    v[3] = (struct vector){.what = "decreasing", .len = 32, .crc = 0x113fdb5cu};
    v[4] = (struct vector){.what = "iSCSI read command", .len = 48, .crc = 0xd9963a56u};
    v[5] = (struct vector){.what = "check value", .len = 9, .crc = 0xe3069283u};
    memset(v[1].bytes, 0xff, 32);
    for (uint8_t i = 0; i < 32; i++) {
        v[2].bytes[i] = i;
        v[3].bytes[i] = (uint8_t)(31 - i);
    }
    memcpy(v[4].bytes, scsi_read, 48);
    memcpy(v[5].bytes, "123456789", 9);
}

static void test_vectors(void **state)
{
    struct vector v[6];
    uint8_t copy[48];
    make_vectors(v);
    for (size_t i = 0; i < SL_ARRAY_LEN(v); i++) {
        assert_int_equal(crc32c(0, v[i].bytes, v[i].len), v[i].crc);
        assert_int_equal(crc32c_portable(0, v[i].bytes, v[i].len), v[i].crc);
        memset(copy, 0, sizeof(copy));
        assert_int_equal(crc32c_copy(0, copy, v[i].bytes, v[i].len), v[i].crc);
        assert_memory_equal(copy, v[i].bytes, v[i].len);
        assert_int_equal(crc32c_copy_portable(0, copy, v[i].bytes, v[i].len), v[i].crc);
    }
    assert_int_equal(crc32c(0, NULL, 0), 0);
    assert_int_equal(crc32c(0x1234, NULL, 0), 0x1234);
}

#define AREA (256u * 1024)

/* One size at one pair of alignments: both implementations agree, the copy is exact and touches nothing
 * around. */
static void check(const uint8_t *area, uint8_t *out, uint32_t seed, size_t off, size_t dst_off, size_t n)
{
    const uint8_t *p = area + off;
    uint8_t *d = out + 64 + dst_off;
    uint32_t want = crc32c_portable(seed, p, n);
    assert_int_equal(crc32c(seed, p, n), want);
    memset(d - 64, 0xee, n + 128);
    assert_int_equal(crc32c_copy(seed, d, p, n), want);
    assert_memory_equal(d, p, n);
    for (int i = 1; i <= 64; i++) {
        assert_int_equal(d[-i], 0xee);
        assert_int_equal(d[n + (size_t)i - 1], 0xee);
    }
    memset(d, 0, n);
    assert_int_equal(crc32c_copy_portable(seed, d, p, n), want);
    assert_memory_equal(d, p, n);
}

static void test_against_portable(void **state)
{
    uint8_t *area = malloc(AREA), *out = malloc(AREA + 512);
    struct sl_rand r;
    sl_rand_seed(&r, 42);
    sl_rand_bytes(&r, area, AREA);
    print_message("crc32c runs on %s\n", crc32c_implementation());
    for (size_t n = 0; n < 2048; n++)
        check(area, out, sl_rand_u32(&r), n % 16, n / 16 % 16, n);
    for (int i = 0; i < 2000; i++)
        check(area, out, sl_rand_u32(&r), sl_rand_below(&r, 64), sl_rand_below(&r, 64),
              sl_rand_below(&r, AREA - 64) >> sl_rand_below(&r, 10));
    free(area);
    free(out);
}

/* Lengths about those from which copies go around the cache. */
static void test_long_copies(void **state)
{
    const size_t most = 600u * 1024;
    uint8_t *area = malloc(most + 64), *out = malloc(most + 512);
    struct sl_rand r;
    sl_rand_seed(&r, 44);
    sl_rand_bytes(&r, area, most + 64);
    for (int i = 0; i < 60; i++)
        check(area, out, sl_rand_u32(&r), sl_rand_below(&r, 64), sl_rand_below(&r, 64),
              sl_rand_range(&r, 250u * 1024, i < 20 ? 270u * 1024 : most));
    free(area);
    free(out);
}

static void test_chain_and_combine(void **state)
{
    uint8_t *area = malloc(AREA);
    struct sl_rand r;
    sl_rand_seed(&r, 43);
    sl_rand_bytes(&r, area, AREA);
    for (int i = 0; i < 3000; i++) {
        size_t n = sl_rand_below(&r, AREA) >> sl_rand_below(&r, 16);
        size_t k = sl_rand_below(&r, n + 1);
        uint32_t whole = crc32c(0, area, n), a = crc32c(0, area, k), b = crc32c(0, area + k, n - k);
        assert_int_equal(crc32c(a, area + k, n - k), whole);
        assert_int_equal(crc32c_combine(a, b, n - k), whole);
    }
    free(area);
    /* Lengths that nothing in memory has: adding zeros in two steps is adding them in one. */
    for (int i = 0; i < 1000; i++) {
        uint64_t m = sl_rand_u64(&r) >> sl_rand_range(&r, 1, 40),
                 k = sl_rand_u64(&r) >> sl_rand_range(&r, 1, 40);
        uint32_t a = sl_rand_u32(&r) | 1;
        assert_int_equal(crc32c_combine(crc32c_combine(a, 0, m), 0, k), crc32c_combine(a, 0, m + k));
    }
}

/* The same again as on a machine without the instructions. */
static void test_without_hardware(void **state)
{
    crc32c_init(false);
    assert_string_equal(crc32c_implementation(), "portable");
    test_vectors(state);
    test_chain_and_combine(state);
    crc32c_init(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),          cmocka_unit_test(test_long_copies),
        cmocka_unit_test(test_against_portable), cmocka_unit_test(test_chain_and_combine),
        cmocka_unit_test(test_without_hardware),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
