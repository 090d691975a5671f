/* metrics.h: the table is sound, values add up over reactors, histograms, the printed text, a reader beside a
 * writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/base/metrics.h"

static bool ends_with(const char *s, const char *end)
{
    return strlen(s) >= strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

static void test_table(void **state)
{
    uint32_t at = 0;
    for (int i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *m = metric_describe((enum metric_id)i);
        assert_int_equal(m->at, at);
        assert_int_equal(metric_at((enum metric_id)i), at);
        at += m->kind == METRIC_HISTOGRAM ? METRIC_HIST_WORDS : 1;
        assert_int_equal(strncmp(m->name, "sluice_", 7), 0);
        for (const char *c = m->name; *c; c++)
            assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == 95);
        assert_int_equal(ends_with(m->name, "_total"), m->kind == METRIC_COUNTER);
        assert_true(strlen(m->prose) > 10 && !ends_with(m->prose, ".") && strlen(m->unit) > 0);
        /* Same name: next to each other, same kind, other labels. */
        for (int k = 0; k < i; k++) {
            const struct metric_info *o = metric_describe((enum metric_id)k);
            if (strcmp(o->name, m->name) != 0)
                continue;
            assert_string_not_equal(o->labels, m->labels);
            assert_int_equal(o->kind, m->kind);
            assert_string_equal(metric_describe((enum metric_id)(i - 1))->name, m->name);
        }
    }
    assert_int_equal(at, METRIC_WORDS);
}

static void test_values(void **state)
{
    struct metrics *m = metrics_create(3), sum;
    assert_non_null(m);
    metric_add(metrics_at(m, 0), METRIC_FSYNCS, 1);
    metric_add(metrics_at(m, 1), METRIC_FSYNCS, 10);
    metric_add(metrics_at(m, 2), METRIC_FSYNCS, 100);
    metric_set(metrics_at(m, 0), METRIC_NET_CONNECTIONS, 7);
    metric_add(metrics_at(m, 0), METRIC_NET_CONNECTIONS, (uint64_t)-2);
    metric_set(metrics_at(m, 2), METRIC_NET_CONNECTIONS, 1);
    metrics_snapshot(m, 3, &sum);
    assert_int_equal(metrics_value(&sum, METRIC_FSYNCS), 111);
    assert_int_equal(metrics_value(&sum, METRIC_NET_CONNECTIONS), 6);
    assert_int_equal(metrics_value(&sum, METRIC_CQ_OVERFLOWS), 0);
    assert_int_equal(metric_get(metrics_at(m, 1), METRIC_FSYNCS), 10);
    metrics_destroy(m);
}

static void test_histogram(void **state)
{
    struct metrics *m = metrics_create(2), sum;
    assert_int_equal(metrics_hist_percentile(m, METRIC_COMMIT_NS, 99), 0);
    for (uint64_t v = 1; v <= 1000; v++)
        metric_observe(metrics_at(m, v % 2), METRIC_COMMIT_NS, v);
    metrics_snapshot(m, 2, &sum);
    assert_int_equal(metrics_value(&sum, METRIC_COMMIT_NS), 1000);
    assert_int_equal(metrics_hist_sum(&sum, METRIC_COMMIT_NS), 500500);
    /* 500 lies in [448, 511], 990 in [896, 1023], 128 in [128, 159]. */
    assert_int_equal(metrics_hist_percentile(&sum, METRIC_COMMIT_NS, 50), 511);
    assert_int_equal(metrics_hist_percentile(&sum, METRIC_COMMIT_NS, 99), 1023);
    assert_int_equal(metrics_hist_percentile(&sum, METRIC_COMMIT_NS, 12.8), 159);
    assert_int_equal(metrics_hist_percentile(&sum, METRIC_COMMIT_NS, 0), 1);
    /* Neighbours in the table are untouched. */
    assert_int_equal(metrics_value(&sum, METRIC_COMMIT_GROUP_ENTRIES), 0);
    assert_int_equal(metrics_value(&sum, METRIC_JOURNAL_BYTES), 0);
    metric_observe(m, METRIC_COMMIT_NS, UINT64_MAX);
    metric_observe(m, METRIC_COMMIT_NS, 0);
    assert_true(metrics_hist_percentile(m, METRIC_COMMIT_NS, 100) == UINT64_MAX);
    metrics_destroy(m);
}

/* Every value has one bucket, bounds follow each other, and none is wider than a quarter of its values. */
static void test_buckets(void **state)
{
    uint64_t low = 0;
    for (uint32_t i = 0; i < METRIC_BUCKETS - 1; i++) {
        uint64_t high = metric_bucket_high(i);
        assert_true(high >= low);
        assert_int_equal(metric_bucket(low), i);
        assert_int_equal(metric_bucket(high), i);
        assert_true(high - low <= low / 4);
        low = high + 1;
    }
    assert_int_equal(low, (UINT64_C(1) << 38) / 4 * 7);
    assert_int_equal(metric_bucket(low), METRIC_BUCKETS - 1);
    assert_int_equal(metric_bucket(UINT64_MAX), METRIC_BUCKETS - 1);
}

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void test_print(void **state)
{
    struct metrics *m = metrics_create(1);
    struct sbuf b;
    sbuf_init(&b);
    metric_add(m, METRIC_STALLS_READY, 3);
    metric_add(m, METRIC_MESSAGES, 12345678901ull);
    metric_observe(m, METRIC_COMMIT_GROUP_BYTES, 3);
    metric_observe(m, METRIC_COMMIT_GROUP_BYTES, 1ull << 50);
    assert_int_equal(metrics_print(m, &b), 0);
    const char *t = sbuf_cstr(&b);
    assert_non_null(strstr(t, "# TYPE sluice_messages_total counter\nsluice_messages_total 12345678901\n"));
    assert_non_null(strstr(t, "\nsluice_reactor_stalls_total{phase=\"ready\"} 3\n"));
    assert_int_equal(count_of(t, "# TYPE sluice_reactor_stalls_total"), 1);
    assert_non_null(strstr(t, "\nsluice_commit_group_bytes_bucket{le=\"3\"} 1\n"));
    assert_int_equal(count_of(t, "\nsluice_commit_group_bytes_bucket{"), 2); /* empty ones are left out */
    assert_non_null(strstr(t, "\nsluice_commit_group_bytes_bucket{le=\"+Inf\"} 2\n"));
    assert_non_null(strstr(t, "\nsluice_commit_group_bytes_count 2\n"));
    assert_non_null(strstr(t, "\nsluice_commit_group_bytes_sum 1125899906842627\n"));
    sbuf_reset(&b);
    assert_int_equal(metrics_print_docs(&b), 0);
    /* A head, a rule, and a line for each row. */
    assert_int_equal(count_of(sbuf_cstr(&b), "\n| "), METRIC_COUNT + 1);
    assert_non_null(strstr(sbuf_cstr(&b), "| `sluice_fsyncs_total` |  | counter | calls | "));
    sbuf_free(&b);
    metrics_destroy(m);
}

enum { WRITES = 300000 };

static void *writer(void *arg)
{
    struct metrics *m = arg;
    for (int i = 0; i < WRITES; i++) {
        metric_add(m, METRIC_TURNS, 1);
        metric_observe(m, METRIC_COMMIT_NS, (uint64_t)i);
    }
    return NULL;
}

/* Two writers with a slot each, and a reader: what it sees never falls. */
static void test_threads(void **state)
{
    struct metrics *m = metrics_create(2), sum;
    pthread_t t[2];
    uint64_t last = 0;
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, writer, metrics_at(m, i)), 0);
    for (int i = 0; i < 200; i++) {
        metrics_snapshot(m, 2, &sum);
        assert_true(metrics_value(&sum, METRIC_TURNS) >= last);
        last = metrics_value(&sum, METRIC_TURNS);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    metrics_snapshot(m, 2, &sum);
    assert_int_equal(metrics_value(&sum, METRIC_TURNS), 2 * WRITES);
    assert_int_equal(metrics_value(&sum, METRIC_COMMIT_NS), 2 * WRITES);
    metrics_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),   cmocka_unit_test(test_values), cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_buckets), cmocka_unit_test(test_print),  cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
