// Which sequence has to come first after a refusal (refusals.h).
#include "engine/shard/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void waits_for_the_first(void **state)
{
    struct refusals *r = NULL;
    assert_false(refusals_forbid(&r, 1, 0, 5)); // nothing was refused
    refusals_note(&r, 1, 0, 3);
    refusals_note(&r, 1, 0, 0);
    refusals_note(&r, 1, 0, 5);
    assert_true(refusals_forbid(&r, 1, 0, 5));
    assert_true(refusals_forbid(&r, 1, 0, 3));
    assert_false(refusals_forbid(&r, 1, 1, 3)); // another epoch begins anew
    assert_false(refusals_forbid(&r, 2, 0, 3));
    assert_false(refusals_forbid(&r, 1, 0, 0));
    assert_null(r); // the last one takes the memory with it
    assert_false(refusals_forbid(&r, 1, 0, 3));
}

static void forgets_the_oldest(void **state)
{
    struct refusals *r = NULL;
    for (int k = 0; k < REFUSALS_MAX + 2; k++)
        refusals_note(&r, k, 0, 0);
    assert_false(refusals_forbid(&r, 0, 0, 1));
    assert_false(refusals_forbid(&r, 1, 0, 1));
    for (int k = 2; k < REFUSALS_MAX + 2; k++)
        assert_true(refusals_forbid(&r, k, 0, 1));
    assert_false(refusals_forbid(&r, 7, 0, 0)); // one from the middle
    assert_false(refusals_forbid(&r, 7, 0, 1));
    assert_true(refusals_forbid(&r, 8, 0, 1));
    refusals_free(&r);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_the_first),
        cmocka_unit_test(forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
