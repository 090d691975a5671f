/* log.h: the line format, levels, cutting, control characters, rate limit, and stderr itself. */
#include "death.h"

#include <errno.h>
#include <stdio.h>

#include "engine/base/log.h"

static uint64_t now_us;
static char lines[8][SL_LOG_LINE_MAX + 1];
static enum sl_log_level levels[8];
static size_t count;

static uint64_t fake_clock(void *ctx)
{
    assert_ptr_equal(ctx, &now_us);
    return now_us;
}

static void keep(void *ctx, enum sl_log_level level, const char *line, size_t len)
{
    assert_ptr_equal(ctx, lines);
    assert_true(count < SL_ARRAY_LEN(lines));
    assert_int_equal(strlen(line), len);
    assert_int_equal(line[len - 1], 10);
    levels[count] = level;
    memcpy(lines[count++], line, len + 1);
}

static int setup(void **state)
{
    count = 0;
    /* 2024-02-29 12:34:56.000789 UTC */
    now_us = 1709210096000789ull;
    sl_log_set_clock(fake_clock, &now_us);
    sl_log_set_sink(keep, lines);
    sl_log_set_level(SL_INFO);
    return 0;
}

static void test_format(void **state)
{
    errno = ENOENT;
    sl_log(SL_INFO, "shard", "recovered partition=%s-%d bytes=%u", "orders", 3, 17u);
    assert_int_equal(errno, ENOENT);
    sl_log(SL_ERROR, "log", "write failed errno=%d", 5);
    assert_int_equal(count, 2);
    assert_string_equal(lines[0],
                        "2024-02-29T12:34:56.000789Z INFO  shard recovered partition=orders-3 bytes=17\n");
    assert_string_equal(lines[1], "2024-02-29T12:34:56.000789Z ERROR log write failed errno=5\n");
    assert_int_equal(levels[1], SL_ERROR);
}

static void test_levels(void **state)
{
    sl_log(SL_DEBUG, "m", "hidden");
    assert_int_equal(count, 0);
    assert_false(sl_log_enabled(SL_DEBUG));
    sl_log_set_level(SL_DEBUG);
    sl_log(SL_DEBUG, "m", "shown");
    assert_int_equal(count, 1);
    sl_log_set_level(SL_ERROR);
    sl_log(SL_WARN, "m", "hidden");
    assert_int_equal(count, 1);
    enum sl_log_level l = SL_INFO;
    assert_int_equal(sl_log_parse_level("warn", &l), 0);
    assert_int_equal(l, SL_WARN);
    assert_int_equal(sl_log_parse_level("DEBUG", &l), 0);
    assert_int_equal(l, SL_DEBUG);
    assert_int_equal(sl_log_parse_level("loud", &l), -EINVAL);
    assert_int_equal(l, SL_DEBUG);
}

static void test_forged_and_long(void **state)
{
    sl_log(SL_INFO, "net", "client id=%s", "a\nERROR b\033[1m\x7f");
    assert_non_null(strstr(lines[0], "client id=a.ERROR b.[1m.\n"));
    char big[3 * SL_LOG_LINE_MAX];
    memset(big, 120, sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    sl_log(SL_INFO, "net", "%s", big);
    assert_int_equal(strlen(lines[1]), SL_LOG_LINE_MAX);
    assert_string_equal(lines[1] + SL_LOG_LINE_MAX - 3, "xx\n");
}

static void log_often(int i)
{
    SL_LOG_EVERY(1000, SL_WARN, "net", "dropped i=%d", i);
}

static void test_every(void **state)
{
    for (int i = 0; i < 100; i++)
        log_often(i);
    assert_int_equal(count, 1);
    assert_non_null(strstr(lines[0], "dropped i=0 suppressed=0\n"));
    now_us += 1000000;
    log_often(100);
    assert_int_equal(count, 2);
    assert_non_null(strstr(lines[1], "dropped i=100 suppressed=99\n"));
    now_us += 999999;
    log_often(101);
    assert_int_equal(count, 2);
    /* A clock set back by an hour does not silence the line for an hour. */
    now_us -= 3600ull * 1000000;
    log_often(102);
    assert_int_equal(count, 3);
    assert_non_null(strstr(lines[2], "suppressed=1\n"));
    /* Hidden levels are neither written nor counted. */
    sl_log_set_level(SL_ERROR);
    now_us += 5000000;
    log_often(103);
    assert_int_equal(count, 3);
}

static void log_plain(void *arg)
{
    sl_log_set_clock(NULL, NULL);
    sl_log_set_sink(NULL, NULL);
    sl_log(SL_WARN, "main", "hello pid=%d", 1);
}

static void test_stderr(void **state)
{
    char text[4096];
    assert_int_equal(death_run(log_plain, NULL, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "Z WARN  main hello pid=1\n"));
    int year = 0;
    assert_int_equal(sscanf(text, "%d-", &year), 1);
    assert_in_range(year, 2024, 2200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_format, setup),          cmocka_unit_test_setup(test_levels, setup),
        cmocka_unit_test_setup(test_forged_and_long, setup), cmocka_unit_test_setup(test_every, setup),
        cmocka_unit_test_setup(test_stderr, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
