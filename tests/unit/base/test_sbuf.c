/* sbuf.h: growing, formatting, stealing, and the sticky failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "engine/base/sbuf.h"

static void test_append(void **state)
{
    struct sbuf b;
    sbuf_init(&b);
    assert_string_equal(sbuf_cstr(&b), "");
    assert_int_equal(sbuf_append(&b, NULL, 0), 0);
    assert_int_equal(sbuf_puts(&b, "abc"), 0);
    assert_int_equal(sbuf_putc(&b, 33), 0);
    assert_int_equal(sbuf_printf(&b, " %d-%s", 42, "x"), 0);
    assert_string_equal(sbuf_cstr(&b), "abc! 42-x");
    assert_int_equal(b.len, 9);
    sbuf_reset(&b);
    assert_string_equal(sbuf_cstr(&b), "");
    assert_int_equal(sbuf_append(&b, "a\0b", 3), 0);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "a\0b", 4);
    sbuf_free(&b);
    assert_null(b.data);
}

static void test_grows(void **state)
{
    struct sbuf b;
    sbuf_init(&b);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(sbuf_printf(&b, "%05d", i), 0);
    assert_int_equal(b.len, 50000);
    assert_int_equal(strlen(sbuf_cstr(&b)), 50000);
    assert_memory_equal(b.data + 5 * 7777, "07777", 5);
    /* Exactly to the brim: the NUL still has room. */
    sbuf_free(&b);
    for (size_t n = 50; n < 70; n++) {
        char fill[70];
        memset(fill, 120, sizeof(fill));
        assert_int_equal(sbuf_append(&b, fill, n), 0);
        assert_int_equal(strlen(sbuf_cstr(&b)), n);
        sbuf_free(&b);
    }
}

static void test_fails_for_good(void **state)
{
    struct sbuf b;
    sbuf_init(&b);
    assert_int_equal(sbuf_puts(&b, "kept"), 0);
    assert_int_equal(sbuf_reserve(&b, SIZE_MAX / 2), -ENOMEM);
    assert_true(b.failed);
    assert_int_equal(sbuf_puts(&b, "lost"), -ENOMEM);
    assert_int_equal(sbuf_printf(&b, "%d", 1), -ENOMEM);
    assert_string_equal(sbuf_cstr(&b), "kept");
    sbuf_reset(&b);
    assert_int_equal(sbuf_puts(&b, "again"), 0);
    assert_string_equal(sbuf_cstr(&b), "again");
    assert_int_equal(sbuf_reserve(&b, SIZE_MAX), -ENOMEM);
    assert_null(sbuf_steal(&b));
    assert_null(b.data);
    assert_false(b.failed);
}

static void test_steal(void **state)
{
    struct sbuf b;
    sbuf_init(&b);
    sbuf_puts(&b, "mine");
    char *s = sbuf_steal(&b);
    assert_string_equal(s, "mine");
    free(s);
    assert_int_equal(b.len, 0);
    s = sbuf_steal(&b);
    assert_string_equal(s, "");
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_fails_for_good),
        cmocka_unit_test(test_steal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
