/* Leader epochs: the cases of upstream's cache, its file, checkpoint images. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/log/epoch.h"
#include "tests/unit/log/golden.h"

static void expect_entries(const struct epoch_cache *c, const int64_t (*want)[2], uint32_t n)
{
    assert_int_equal(c->count, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(c->e[i].epoch, want[i][0]);
        assert_int_equal(c->e[i].start_offset, want[i][1]);
    }
}

static void test_assign(void **state)
{
    struct epoch_cache c = {0};
    assert_int_equal(epoch_cache_latest(&c), EPOCH_UNDEFINED);
    assert_int_equal(epoch_cache_assign(&c, -1, 0), -EINVAL);
    assert_int_equal(epoch_cache_assign(&c, 0, -1), -EINVAL);
    assert_int_equal(epoch_cache_assign(&c, 2, 10), 1);
    assert_int_equal(epoch_cache_assign(&c, 2, 10), 0);
    assert_int_equal(epoch_cache_assign(&c, 2, 15), 0);
    assert_int_equal(epoch_cache_assign(&c, 4, 20), 1);
    assert_int_equal(epoch_cache_assign(&c, 7, 30), 1);
    expect_entries(&c, (const int64_t[][2]){{2, 10}, {4, 20}, {7, 30}}, 3);
    /* Nothing was written in epoch 7. */
    assert_int_equal(epoch_cache_assign(&c, 8, 30), 1);
    expect_entries(&c, (const int64_t[][2]){{2, 10}, {4, 20}, {8, 30}}, 3);
    /* The same epoch, but earlier. */
    assert_int_equal(epoch_cache_assign(&c, 8, 25), 1);
    expect_entries(&c, (const int64_t[][2]){{2, 10}, {4, 20}, {8, 25}}, 3);
    /* A lower epoch, or a start before others, takes them along. */
    assert_int_equal(epoch_cache_assign(&c, 3, 40), 1);
    expect_entries(&c, (const int64_t[][2]){{2, 10}, {3, 40}}, 2);
    assert_int_equal(epoch_cache_assign(&c, 9, 5), 1);
    expect_entries(&c, (const int64_t[][2]){{9, 5}}, 1);
    epoch_cache_destroy(&c);
}

static void expect_end(const struct epoch_cache *c, int32_t epoch, int32_t want_epoch, int64_t want)
{
    struct epoch_end e = epoch_cache_end_offset(c, epoch, 100);
    assert_int_equal(e.epoch, want_epoch);
    assert_int_equal(e.end_offset, want);
}

static void test_end_offsets(void **state)
{
    struct epoch_cache c = {0};
    expect_end(&c, 0, -1, -1);
    expect_end(&c, -1, -1, -1);
    epoch_cache_assign(&c, 2, 10);
    epoch_cache_assign(&c, 4, 20);
    epoch_cache_assign(&c, 7, 30);
    expect_end(&c, -1, -1, -1);
    expect_end(&c, 0, 0, 10);
    expect_end(&c, 1, 1, 10);
    expect_end(&c, 2, 2, 20);
    expect_end(&c, 3, 2, 20);
    expect_end(&c, 4, 4, 30);
    expect_end(&c, 6, 4, 30);
    expect_end(&c, 7, 7, 100);
    expect_end(&c, 8, -1, -1);
    assert_int_equal(epoch_cache_for_offset(&c, 9), -1);
    assert_int_equal(epoch_cache_for_offset(&c, 10), 2);
    assert_int_equal(epoch_cache_for_offset(&c, 29), 4);
    assert_int_equal(epoch_cache_for_offset(&c, 1000), 7);
    epoch_cache_destroy(&c);
}

static void test_truncation(void **state)
{
    struct epoch_cache c = {0};
    epoch_cache_assign(&c, 2, 10);
    epoch_cache_assign(&c, 4, 20);
    epoch_cache_assign(&c, 7, 30);
    assert_false(epoch_cache_truncate_end(&c, 31));
    assert_true(epoch_cache_truncate_end(&c, 30));
    assert_int_equal(epoch_cache_latest(&c), 4);
    epoch_cache_assign(&c, 7, 30);
    assert_false(epoch_cache_truncate_start(&c, 9));
    assert_false(epoch_cache_truncate_start(&c, 10));
    assert_true(epoch_cache_truncate_start(&c, 19));
    expect_entries(&c, (const int64_t[][2]){{2, 19}, {4, 20}, {7, 30}}, 3);
    assert_true(epoch_cache_truncate_start(&c, 20));
    expect_entries(&c, (const int64_t[][2]){{4, 20}, {7, 30}}, 2);
    assert_true(epoch_cache_truncate_start(&c, 500));
    expect_entries(&c, (const int64_t[][2]){{7, 500}}, 1);
    assert_true(epoch_cache_truncate_end(&c, 0));
    assert_int_equal(c.count, 0);
    assert_false(epoch_cache_truncate_end(&c, 0));
    epoch_cache_destroy(&c);
}

static void test_upstream_file(void **state)
{
    struct epoch_cache c = {0};
    struct sbuf out;
    size_t n;
    char *text = (char *)golden_read("leader-epoch-checkpoint", &n);
    sbuf_init(&out);
    assert_int_equal(epoch_cache_parse(&c, text, n), 0);
    expect_entries(&c, (const int64_t[][2]){{0, 0}, {3, 17}, {4, 9000000000}}, 3);
    assert_int_equal(epoch_cache_print(&c, &out), 0);
    assert_int_equal(out.len, n);
    assert_memory_equal(out.data, text, n);
    sbuf_free(&out);
    epoch_cache_destroy(&c);
    free(text);
}

static void test_bad_files(void **state)
{
    struct epoch_cache c = {0};
    const char *const bad[] = {"1\n0\n",
                               "x\n0\n",
                               "0\n1\n",
                               "0\n0\n1 2\n",
                               "0\n1\n1\n",
                               "0\n1\n1 2 3\n",
                               "0\n1\n-1 2\n",
                               "0\n1\n1 -2\n",
                               "0\n1\n1 x\n",
                               "0\n-1\n",
                               "0\n2\n1 2\n",
                               "0\n1\n2147483648 0\n",
                               "0\n1\n0 9223372036854775808\n",
                               "0\n1\n 0 1\n"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        assert_int_equal(epoch_cache_parse(&c, bad[i], strlen(bad[i])), -EBADMSG);
        assert_int_equal(c.count, 0);
    }
    assert_int_equal(epoch_cache_parse(&c, "", 0), 0);
    assert_int_equal(epoch_cache_parse(&c, "0\n", 2), 0);
    assert_int_equal(epoch_cache_parse(&c, "0\r\n1\r\n5 \t 6\r\n", 13), 0);
    expect_entries(&c, (const int64_t[][2]){{5, 6}}, 1);
    epoch_cache_destroy(&c);
}

static void test_images(void **state)
{
    struct epoch_cache c = {0}, d = {0};
    uint8_t image[3 * EPOCH_PAIR_SIZE];
    epoch_cache_assign(&c, 2, 10);
    epoch_cache_assign(&c, 4, 20);
    epoch_cache_assign(&c, 7, 30);
    epoch_cache_encode(&c, image);
    assert_int_equal(epoch_cache_load(&d, image, sizeof(image)), 0);
    expect_entries(&d, (const int64_t[][2]){{2, 10}, {4, 20}, {7, 30}}, 3);
    assert_int_equal(epoch_cache_load(&d, image, sizeof(image) - 1), -EBADMSG);
    assert_int_equal(epoch_cache_load(&d, image, 0), 0);
    assert_int_equal(d.count, 0);
    image[EPOCH_PAIR_SIZE + 3] = 2;
    assert_int_equal(epoch_cache_load(&d, image, sizeof(image)), -EBADMSG);
    image[EPOCH_PAIR_SIZE] = 0x80;
    assert_int_equal(epoch_cache_load(&d, image, sizeof(image)), -EBADMSG);
    assert_int_equal(d.count, 0);
    epoch_cache_destroy(&c);
    epoch_cache_destroy(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assign),     cmocka_unit_test(test_end_offsets),
        cmocka_unit_test(test_truncation), cmocka_unit_test(test_upstream_file),
        cmocka_unit_test(test_bad_files),  cmocka_unit_test(test_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
