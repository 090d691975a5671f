/* credit.h: all or nothing, and a stop on releasing too much. */
#include "death.h"

#include "engine/base/credit.h"

static void test_counts(void **state)
{
    struct credit c;
    credit_init(&c, 10);
    assert_true(credit_idle(&c));
    assert_int_equal(credit_available(&c), 10);
    assert_true(credit_reserve(&c, 4));
    assert_true(credit_reserve(&c, 6));
    assert_false(credit_reserve(&c, 1));
    assert_true(credit_reserve(&c, 0));
    credit_release(&c, 3);
    /* Four are wanted, three are there: none is taken. */
    assert_false(credit_reserve(&c, 4));
    assert_int_equal(credit_available(&c), 3);
    assert_false(credit_reserve(&c, UINT32_MAX));
    credit_release(&c, 7);
    assert_true(credit_idle(&c));
    credit_init(&c, 0);
    assert_false(credit_reserve(&c, 1));
}

static void release_twice(void *arg)
{
    struct credit c;
    credit_init(&c, 2);
    (void)credit_reserve(&c, 1);
    credit_release(&c, 1);
    credit_release(&c, 1);
}

static void test_release_twice(void **state)
{
    death_expect(release_twice, NULL, "n <= c->used");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_release_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
