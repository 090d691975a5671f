/* slow.h: the slowest of a window are kept, the window before stays, a reader beside a writer sees whole requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "engine/base/slow.h"

#define SEC UINT64_C(1000000000)

static void offer(struct slow *s, uint64_t now, uint64_t total)
{
    struct slow_request r = {.total_ns = total, .bytes = total};
    if (slow_wants(s, now, total))
        slow_keep(s, now, &r);
}

static int by_total(const void *a, const void *b)
{
    const struct slow_request *x = a, *y = b;
    return (x->total_ns < y->total_ns) - (x->total_ns > y->total_ns);
}

static void test_the_slowest_stay(void **state)
{
    struct slow s = {0};
    struct slow_request got[2 * SLOW_KEEP];
    for (uint64_t i = 0; i < 1000; i++)
        offer(&s, SEC + i, 1 + i * 7919 % 1000); /* each of 1..1000 once, in no order */
    uint32_t n = slow_read(&s, got);
    assert_int_equal(n, SLOW_KEEP);
    qsort(got, n, sizeof(*got), by_total);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(got[i].total_ns, 1000 - i);
    assert_false(slow_wants(&s, 2 * SEC, 993));
    assert_true(slow_wants(&s, 2 * SEC, 994));
}

static void test_windows(void **state)
{
    struct slow s = {0};
    struct slow_request got[2 * SLOW_KEEP];
    offer(&s, SEC, 50);
    offer(&s, 70 * SEC, 5); /* another window: the first becomes the one before */
    assert_int_equal(slow_read(&s, got), 2);
    assert_int_equal(got[0].total_ns, 5);
    assert_int_equal(got[1].total_ns, 50);
    offer(&s, 1000 * SEC, 7); /* long after: what was is no news any more */
    assert_int_equal(slow_read(&s, got), 1);
    assert_int_equal(got[0].total_ns, 7);
}

enum { OFFERS = 200000 };

static void *writer(void *arg)
{
    struct slow *s = arg;
    for (uint64_t i = 1; i <= OFFERS; i++) {
        struct slow_request r = {.wall_ms = i, .total_ns = i, .bytes = i, .api = i, .version = i};
        for (int k = 0; k < SLOW_STAGES; k++)
            r.stage_ns[k] = i;
        slow_keep(s, i * 1000000, &r);
    }
    return NULL;
}

static void test_reader_beside_writer(void **state)
{
    struct slow *s = calloc(1, sizeof(*s));
    struct slow_request got[2 * SLOW_KEEP];
    pthread_t t;
    assert_non_null(s);
    assert_int_equal(pthread_create(&t, NULL, writer, s), 0);
    for (int i = 0; i < 2000; i++) {
        uint32_t n = slow_read(s, got);
        for (uint32_t k = 0; k < n; k++) {
            assert_int_equal(got[k].bytes, got[k].total_ns);
            assert_int_equal(got[k].version, got[k].total_ns);
            assert_int_equal(got[k].stage_ns[SLOW_STAGES - 1], got[k].total_ns);
        }
    }
    pthread_join(t, NULL);
    assert_int_equal(slow_read(s, got), 2 * SLOW_KEEP);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_slowest_stay),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_reader_beside_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
