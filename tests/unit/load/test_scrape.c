// Stage rows of a metrics page, and differences of two pages whose empty buckets are left out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench/load/scrape.h"

static const char before_text[] = "# TYPE sluice_produce_stage_ns histogram\n"
                                  "sluice_produce_stage_ns_bucket{stage=\"durable\",le=\"1023\"} 5\n"
                                  "sluice_produce_stage_ns_bucket{stage=\"durable\",le=\"+Inf\"} 5\n"
                                  "sluice_commit_ns_bucket{le=\"1023\"} 5\n";
static const char after_text[] = "sluice_produce_stage_ns_bucket{stage=\"parsed\",le=\"7\"} 3\n"
                                 "sluice_produce_stage_ns_bucket{stage=\"parsed\",le=\"+Inf\"} 3\n"
                                 "sluice_produce_stage_ns_bucket{stage=\"durable\",le=\"511\"} 50\n"
                                 "sluice_produce_stage_ns_bucket{stage=\"durable\",le=\"1023\"} 55\n"
                                 "sluice_produce_stage_ns_bucket{stage=\"durable\",le=\"8191\"} 104\n"
                                 "sluice_produce_stage_ns_bucket{stage=\"durable\",le=\"+Inf\"} 105\n"
                                 "sluice_produce_stage_ns_sum{stage=\"durable\"} 1\n";

static void differences(void **state)
{
    static struct scrape before, after;
    (void)state;
    scrape_parse(before_text, &before);
    scrape_parse(after_text, &after);
    assert_int_equal(before.n, 1);
    assert_int_equal(after.n, 2);
    assert_string_equal(after.stages[1].stage, "durable");
    assert_int_equal(scrape_count(&before, &after, 0), 3);
    assert_int_equal(scrape_percentile(&before, &after, 0, 99), 7);
    assert_int_equal(scrape_count(&before, &after, 1), 100);
    assert_int_equal(scrape_percentile(&before, &after, 1, 50), 511);
    assert_int_equal(scrape_percentile(&before, &after, 1, 99), 8191);
    assert_true(scrape_percentile(&before, &after, 1, 100) == UINT64_MAX);
}

static void nothing(void **state)
{
    static struct scrape before, after;
    struct sbuf b;
    (void)state;
    scrape_parse("", &before);
    scrape_parse("garbage{\nsluice_fetch_stage_ns_bucket{stage=\"\",le=\"1\"} 3\n", &after);
    assert_int_equal(after.n, 0);
    sbuf_init(&b);
    scrape_json(&before, &after, &b);
    assert_string_equal(sbuf_cstr(&b), "\"stages_us\": {}");
    sbuf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(differences), cmocka_unit_test(nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
