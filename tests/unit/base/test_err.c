/* err.h: asserts and panics stop the process and say where; the arithmetic macros round and evaluate once. */
#include "death.h"

#include "engine/base/err.h"

static void do_panic(void *arg)
{
    sl_panic("broken %s=%d", (const char *)arg, 7);
}

static void do_assert(void *arg)
{
    int zero = *(int *)arg;
    SL_ASSERT(zero == 1);
}

static void do_long_panic(void *arg)
{
    char text[4000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    sl_panic("%s", text);
}

static void test_stops(void **state)
{
    int zero = 0;
    death_expect(do_panic, "thing", "sluice: panic: broken thing=7\n");
    death_expect(do_assert, &zero, "test_err.c:");
    death_expect(do_assert, &zero, "do_assert: assertion failed: zero == 1\n");
    death_expect(do_long_panic, NULL, "xxx\n");
}

static void test_assert_holds(void **state)
{
    int n = 0;
    SL_ASSERT(++n == 1);
    assert_int_equal(n, 1);
#if SL_DEBUG_BUILD
    SL_DASSERT(++n == 2);
    assert_int_equal(n, 2);
#else
    SL_DASSERT(++n == 2);
    assert_int_equal(n, 1);
#endif
}

static void test_macros(void **state)
{
    struct outer {
        int a;
        char c;
        uint64_t inner;
    } o;
    assert_ptr_equal(SL_CONTAINER_OF(&o.inner, struct outer, inner), &o);
    int arr[7] = {0};
    assert_int_equal(SL_ARRAY_LEN(arr), 7);
    int i = 3;
    assert_int_equal(SL_MIN(i++, 10), 3);
    assert_int_equal(i, 4);
    assert_int_equal(SL_MAX(i++, 1), 4);
    assert_int_equal(i, 5);
    assert_int_equal(SL_MIN(-1, 1), -1);
    assert_int_equal(SL_MIN(SL_MAX(2, SL_MIN(9, 7)), SL_MAX(4, 8)), 7);
    assert_int_equal(SL_MAX(-1, -2), -1);
    assert_true(sl_likely(5) == 1 && sl_unlikely(0) == 0);
}

static void test_align(void **state)
{
    assert_int_equal(SL_ALIGN_UP(0u, 16), 0);
    assert_int_equal(SL_ALIGN_UP(1u, 16), 16);
    assert_int_equal(SL_ALIGN_UP(16u, 16), 16);
    assert_int_equal(SL_ALIGN_DOWN(31u, 16), 16);
    /* In the argument's own width: a 64-bit position with a 32-bit block size keeps its high half. */
    uint64_t pos = (1ull << 40) + 5;
    assert_true(SL_ALIGN_DOWN(pos, 4096u) == 1ull << 40);
    assert_true(SL_ALIGN_UP(pos, 4096u) == (1ull << 40) + 4096);
    assert_true(SL_ALIGN_UP((size_t)4096, 1) == 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_assert_holds),
        cmocka_unit_test(test_macros),
        cmocka_unit_test(test_align),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
