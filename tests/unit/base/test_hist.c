/* hist.h: bucket bounds over the whole range, percentiles against sorted values, merging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "engine/base/hist.h"
#include "engine/base/rand.h"

static void test_buckets(void **state)
{
    assert_int_equal(hist_bucket_low(0), 0);
    assert_true(hist_bucket_high(HIST_BUCKETS - 1) == UINT64_MAX);
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        uint64_t lo = hist_bucket_low(i), hi = hist_bucket_high(i);
        assert_true(lo <= hi);
        assert_int_equal(hist_bucket(lo), i);
        assert_int_equal(hist_bucket(hi), i);
        if (i > 0)
            assert_true(hist_bucket_high(i - 1) + 1 == lo);
        /* The promised relative width. */
        assert_true(hi - lo <= lo / HIST_SUB);
    }
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_percentiles(void **state)
{
    enum { N = 20000 };
    static const double percents[] = {0, 0.01, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 100};
    struct hist *h = malloc(sizeof(*h));
    uint64_t *v = malloc(N * sizeof(*v));
    struct sl_rand r;
    sl_rand_seed(&r, 9);
    for (int round = 0; round < 4; round++) {
        hist_init(h);
        double sum = 0;
        for (int i = 0; i < N; i++) {
            v[i] = sl_rand_u64(&r) >> (round == 0   ? sl_rand_range(&r, 8, 63)
                                       : round == 1 ? 60u
                                                    : round * 16u);
            sum += (double)v[i];
            hist_record(h, v[i]);
        }
        qsort(v, N, sizeof(*v), cmp_u64);
        assert_true(h->count == N && h->min == v[0] && h->max == v[N - 1]);
        for (size_t k = 0; k < SL_ARRAY_LEN(percents); k++) {
            size_t rank = (size_t)(N * percents[k] / 100.0 + 0.999999);
            uint64_t want = v[rank ? rank - 1 : 0], got = hist_percentile(h, percents[k]);
            assert_true(got >= want && got - want <= want / HIST_SUB);
        }
        assert_true(hist_percentile(h, 100) == h->max);
        if (round != 0)
            assert_true(hist_mean(h) > sum / N * 0.999 && hist_mean(h) < sum / N * 1.001);
    }
    free(v);
    free(h);
}

static void test_merge(void **state)
{
    struct hist *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b)), *all = malloc(sizeof(*all));
    struct sl_rand r;
    sl_rand_seed(&r, 10);
    hist_init(a);
    hist_init(b);
    hist_init(all);
    assert_int_equal(hist_percentile(a, 99), 0);
    assert_true(hist_mean(a) == 0.0);
    for (int i = 0; i < 5000; i++) {
        uint64_t v = sl_rand_u64(&r) >> sl_rand_range(&r, 10, 63);
        hist_record(i % 3 ? a : b, v);
        hist_record(all, v);
    }
    hist_record_n(a, 77, 1000);
    hist_record_n(b, 77, 0);
    for (int i = 0; i < 1000; i++)
        hist_record(all, 77);
    hist_merge(a, b);
    assert_memory_equal(a, all, sizeof(*a));
    /* Merging an empty one changes nothing, the minimum least of all. */
    hist_init(b);
    hist_merge(a, b);
    assert_memory_equal(a, all, sizeof(*a));
    hist_merge(b, a);
    assert_memory_equal(b, all, sizeof(*b));
    free(a);
    free(b);
    free(all);
}

static void test_extremes(void **state)
{
    struct hist *h = malloc(sizeof(*h));
    hist_init(h);
    hist_record(h, 0);
    hist_record(h, UINT64_MAX);
    assert_true(hist_percentile(h, 50) == 0);
    assert_true(hist_percentile(h, 51) == UINT64_MAX);
    assert_true(h->min == 0 && h->max == UINT64_MAX && h->count == 2);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
