/* rand.h: known output, uniformity, ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/rand.h"

/* Reference values of splitmix64 from seed 1234567, as its author publishes them. */
static void test_splitmix(void **state)
{
    static const uint64_t want[] = {6457827717110365317ull, 3203168211198807973ull, 9817491932198370423ull,
                                    4593380528125082431ull, 16408922859458223821ull};
    uint64_t s = 1234567;
    for (size_t i = 0; i < SL_ARRAY_LEN(want); i++)
        assert_true(sl_splitmix64(&s) == want[i]);
}

/* xoshiro256** from the state 1, 2, 3, 4: the first outputs follow from its definition by hand. */
static void test_xoshiro(void **state)
{
    struct sl_rand r = {{1, 2, 3, 4}};
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240ull};
    for (size_t i = 0; i < SL_ARRAY_LEN(want); i++)
        assert_true(sl_rand_u64(&r) == want[i]);
}

static void test_repeatable(void **state)
{
    struct sl_rand a, b, c;
    sl_rand_seed(&a, 0);
    sl_rand_seed(&b, 0);
    sl_rand_seed(&c, 1);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = sl_rand_u64(&a);
        assert_true(x == sl_rand_u64(&b));
        same += x == sl_rand_u64(&c);
    }
    assert_int_equal(same, 0);
}

static void test_below(void **state)
{
    struct sl_rand r;
    sl_rand_seed(&r, 2);
    int seen[10] = {0};
    for (int i = 0; i < 100000; i++) {
        uint64_t v = sl_rand_below(&r, 10);
        assert_true(v < 10);
        seen[v]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 9500, 10500);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(sl_rand_below(&r, 1), 0);
        /* Just above half the range: the case where a careless modulo is uneven. */
        assert_true(sl_rand_below(&r, (1ull << 63) + 1) <= 1ull << 63);
        assert_true(sl_rand_below(&r, UINT64_MAX) < UINT64_MAX);
        uint64_t v = sl_rand_range(&r, 5, 7);
        assert_in_range(v, 5, 7);
        assert_true(sl_rand_range(&r, 9, 9) == 9);
        double d = sl_rand_double(&r);
        assert_true(d >= 0.0 && d < 1.0);
    }
    assert_true(sl_rand_range(&r, 0, UINT64_MAX) != sl_rand_range(&r, 0, UINT64_MAX));
    int yes = 0;
    for (int i = 0; i < 100000; i++)
        yes += sl_rand_chance(&r, 1, 4);
    assert_in_range(yes, 24000, 26000);
    assert_false(sl_rand_chance(&r, 0, 4));
    assert_true(sl_rand_chance(&r, 4, 4));
}

static void test_bytes(void **state)
{
    struct sl_rand a, b;
    for (size_t n = 0; n < 40; n++) {
        uint8_t x[48], y[48];
        memset(x, 0xee, sizeof(x));
        sl_rand_seed(&a, n);
        sl_rand_seed(&b, n);
        sl_rand_bytes(&a, x, n);
        sl_rand_bytes(&b, y, n);
        assert_memory_equal(x, y, n);
        assert_int_equal(x[n], 0xee);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splitmix), cmocka_unit_test(test_xoshiro), cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_below),    cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
