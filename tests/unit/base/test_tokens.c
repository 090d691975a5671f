/* Token buckets against what they are by their definition: a number that grows with time up to a most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/rand.h"
#include "engine/base/tokens.h"

#define S 1000000000ull

static void test_burst_and_refill(void **state)
{
    struct sl_tokens t;
    sl_tokens_init(&t, 10, 5 * S);
    assert_true(sl_tokens_have(&t, 2, 10, 5 * S) == 10);
    sl_tokens_take(&t, 10);
    assert_true(sl_tokens_have(&t, 2, 10, 5 * S) == 0); /* nothing left, and nothing owed */
    assert_int_equal(sl_tokens_wait_ms(&t, 2), 0);
    sl_tokens_take(&t, 5);
    assert_true(sl_tokens_have(&t, 2, 10, 6 * S) == -3);
    assert_int_equal(sl_tokens_wait_ms(&t, 2), 1500);
    assert_true(sl_tokens_have(&t, 2, 10, 6 * S + 1500 * 1000000ull) == 0);
    assert_true(sl_tokens_have(&t, 2, 10, 600 * S) == 10); /* no more than the most */
    assert_true(sl_tokens_have(&t, 2, 4, 600 * S) == 4);   /* which may come down */
}

static void test_over_time(void **state)
{
    struct sl_rand rand;
    struct sl_tokens t;
    double model = 30, rate = 3;
    uint64_t now = S;
    sl_rand_seed(&rand, 7);
    sl_tokens_init(&t, 30, now);
    for (int i = 0; i < 10000; i++) {
        uint64_t step = sl_rand_below(&rand, 3 * S);
        now += step;
        model += rate * (double)step / 1e9;
        model = model > 30 ? 30 : model;
        double have = sl_tokens_have(&t, rate, 30, now);
        assert_true(have - model < 1e-6 && model - have < 1e-6);
        if (have < 0)
            continue;
        double v = (double)sl_rand_below(&rand, 20);
        sl_tokens_take(&t, v);
        model -= v;
    }
}

static void test_long_waits(void **state)
{
    struct sl_tokens t;
    sl_tokens_init(&t, 0, 0);
    sl_tokens_take(&t, 1e12);
    assert_int_equal(sl_tokens_wait_ms(&t, 1e-6), INT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_refill),
        cmocka_unit_test(test_over_time),
        cmocka_unit_test(test_long_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
