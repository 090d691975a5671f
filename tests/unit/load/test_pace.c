// Intended times: no drift, pauses, Poisson gaps.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench/load/pace.h"

static void constant_does_not_drift(void **state)
{
    struct pace p;
    (void)state;
    pace_init(&p, 3.0, 1000, false, 1); // a third of a second is no whole number of nanoseconds
    assert_int_equal(p.next, 1000);
    for (int i = 0; i < 3000000; i++)
        pace_advance(&p);
    assert_in_range(p.next, 1000 + 999999999999999ull, 1000 + 1000000000000001ull);
    assert_int_equal(p.count, 3000000);
}

static void constant_gaps_are_even(void **state)
{
    struct pace p;
    (void)state;
    pace_init(&p, 10000, 5, false, 1);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(p.next, 5 + i * 100000);
        pace_advance(&p);
    }
}

static void pauses_shift_what_follows(void **state)
{
    struct pace p;
    (void)state;
    pace_init(&p, 10, 0, false, 1);
    pace_pauses(&p, 1000000000, 3000000000ull);
    for (int i = 0; i < 9; i++)
        pace_advance(&p);
    assert_int_equal(p.next, 900000000);
    pace_advance(&p); // a second of load is over: the pause
    assert_int_equal(p.next, 4000000000ull);
    for (int i = 0; i < 10; i++)
        pace_advance(&p);
    assert_int_equal(p.next, 8000000000ull);
}

static void poisson_has_the_rate_and_the_spread(void **state)
{
    struct pace p;
    uint64_t last = 0;
    double sum = 0, squares = 0;
    const int n = 200000;
    (void)state;
    pace_init(&p, 1000, 0, true, 7);
    for (int i = 0; i < n; i++) {
        pace_advance(&p);
        double gap = (double)(p.next - last) / 1e6; // ms
        assert_true(p.next >= last);
        last = p.next;
        sum += gap;
        squares += gap * gap;
    }
    double mean = sum / n, variance = squares / n - mean * mean;
    assert_true(mean > 0.99 && mean < 1.01);
    assert_true(variance > 0.97 && variance < 1.03); // exponential: the deviation is the mean
}

static void a_new_rate_begins_now(void **state)
{
    struct pace p;
    (void)state;
    pace_init(&p, 1000, 0, false, 1);
    for (int i = 0; i < 10; i++)
        pace_advance(&p);
    pace_set_rate(&p, 100, 77);
    assert_int_equal(p.next, 77);
    pace_advance(&p);
    assert_int_equal(p.next, 77 + 10000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_does_not_drift),   cmocka_unit_test(constant_gaps_are_even),
        cmocka_unit_test(pauses_shift_what_follows), cmocka_unit_test(poisson_has_the_rate_and_the_spread),
        cmocka_unit_test(a_new_rate_begins_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
