/* Rates over a sliding window, against numbers worked out by hand from Kafka's rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/rate.h"

#define SEC 1000000000ull

static void a_new_rate_counts_as_full(void **state)
{
    struct sl_rate *r = sl_rate_new(11, SEC);
    uint64_t span = 0;
    assert_true(sl_rate_per_second(r, 5 * SEC, &span) == 0);
    sl_rate_add(r, 100, 5 * SEC);
    assert_float_equal(sl_rate_per_second(r, 5 * SEC, &span), 10,
                       1e-9); /* 100 in the 10 windows before this one */
    assert_int_equal(span, 10 * SEC);
    assert_float_equal(sl_rate_per_second(r, 5 * SEC + SEC / 2, &span), 100 / 10.5, 1e-9);
    free(r);
}

static void old_samples_are_forgotten(void **state)
{
    struct sl_rate *r = sl_rate_new(3, SEC);
    for (uint64_t t = 0; t < 10; t++)
        sl_rate_add(r, 7, t * SEC);
    /* those of 7, 8 and 9 s are left; two full windows lie between the oldest and now */
    assert_float_equal(sl_rate_per_second(r, 9 * SEC, NULL), 21.0 / 2, 1e-9);
    assert_float_equal(sl_rate_per_second(r, 10 * SEC, NULL), 14.0 / 2, 1e-9);
    assert_float_equal(sl_rate_per_second(r, 100 * SEC, NULL), 0, 1e-9);
    free(r);
}

static void excess_is_in_proportion(void **state)
{
    struct sl_rate *r = sl_rate_new(11, SEC);
    sl_rate_add(r, 1000, 0);
    assert_int_equal(sl_rate_excess_ns(r, 100, 0), 0); /* 100 a second over 10 s */
    sl_rate_add(r, 500, 0);
    assert_int_equal(sl_rate_excess_ns(r, 100, 0), 5 * SEC); /* half as much again, of 10 s */
    assert_true(sl_rate_excess_ns(r, 100, 10 * SEC + SEC / 2) < 5 * SEC);
    free(r);
}

static void one_sample(void **state)
{
    struct sl_rate *r = sl_rate_new(1, SEC);
    sl_rate_add(r, 5, 0);
    assert_float_equal(sl_rate_per_second(r, 0, NULL), 5, 1e-9);
    assert_float_equal(sl_rate_per_second(r, SEC, NULL), 0, 1e-9);
    free(r);
}

static void what_is_taken_back_does_not_count(void **state)
{
    struct sl_rate *r = sl_rate_new(11, SEC);
    sl_rate_add(r, 1000, 0);
    sl_rate_add(r, 500, 0);
    sl_rate_take_back(r, 500);
    assert_int_equal(sl_rate_excess_ns(r, 100, 0), 0);
    sl_rate_take_back(r, 5000); /* more than its sample has */
    assert_true(sl_rate_per_second(r, 0, NULL) == 0);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_rate_counts_as_full),         cmocka_unit_test(old_samples_are_forgotten),
        cmocka_unit_test(excess_is_in_proportion),           cmocka_unit_test(one_sample),
        cmocka_unit_test(what_is_taken_back_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
