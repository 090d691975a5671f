// What a group has read: nothing missing, and what was read again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench/load/cover.h"

static void read_is(struct cover *c, int64_t from, int64_t next, uint64_t missing, uint64_t twice)
{
    uint64_t m = 99, t = 99;
    cover_read(c, from, next, &m, &t);
    assert_int_equal(m, missing);
    assert_int_equal(t, twice);
}

static void one_after_the_other(void **state)
{
    struct cover c = {.upto = 100, .start = 100};
    (void)state;
    read_is(&c, 100, 110, 0, 0);
    read_is(&c, 110, 120, 0, 0);
    read_is(&c, 105, 118, 0, 13); // from an old commit: all of it again
    assert_int_equal(c.upto, 120);
    read_is(&c, 118, 125, 0, 2); // and beyond it
    assert_int_equal(c.upto, 125);
    read_is(&c, 128, 130, 3, 0); // 125 to 127 were read by nobody
    assert_int_equal(c.upto, 130);
    read_is(&c, 125, 128, 0, 3); // it is said once
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_after_the_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
