// How fast old records are read beside appends: pauses grow while commits are slow, and shrink again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/log/cold_pace.h"

enum { LOOK = 2 * 1000 * 1000, USUAL = 400 * 1000, READ = 1000 };

struct world {
    struct cold_pace p;
    uint64_t now;
    struct cold_pace_totals t;
    uint64_t reads; // bytes with each look, and
    uint64_t appends;
};

static void begin(struct world *w)
{
    *w = (struct world){.now = 1000000000, .reads = 10 << 20, .appends = 1 << 20};
    cold_pace_init(&w->p);
}

// One look, `n` groups of `each` ns after the last.
static void look(struct world *w, uint32_t n, uint64_t each)
{
    w->now += LOOK;
    assert_true(cold_pace_due(&w->p, w->now));
    w->t.groups += n;
    w->t.commit_ns += n * each;
    w->t.read += w->reads;
    w->t.appended += w->appends;
    cold_pace_look(&w->p, w->now, &w->t);
    assert_false(cold_pace_due(&w->p, w->now));
}

static uint64_t pause_of(const struct world *w)
{
    return cold_pace_pause(&w->p, READ);
}

static void test_busy(void **state)
{
    struct world w;
    begin(&w);
    assert_false(cold_pace_busy(&w.p, w.now));
    look(&w, 1, USUAL);
    assert_true(cold_pace_busy(&w.p, w.now));
    assert_true(cold_pace_busy(&w.p, w.now + 49000000));
    assert_false(cold_pace_busy(&w.p, w.now + 50000000));
    w.now += 100000000;
    look(&w, 0, 0);
    assert_false(cold_pace_busy(&w.p, w.now));
}

static void test_usual(void **state)
{
    struct world w;
    begin(&w);
    assert_int_equal(pause_of(&w), READ);
    for (int i = 0; i < 1000; i++)
        look(&w, 10, USUAL + (uint64_t)(i % 7) * 50000);
    assert_int_equal(pause_of(&w), READ);
}

static void test_slow_commits(void **state)
{
    struct world w;
    begin(&w);
    for (int i = 0; i < 20; i++)
        look(&w, 10, USUAL);
    look(&w, 10, 4 * USUAL);
    assert_int_equal(pause_of(&w), 2 * READ);
    look(&w, 10, 4 * USUAL);
    assert_int_equal(pause_of(&w), 4 * READ);
    for (int i = 0; i < 20; i++)
        look(&w, 10, 4 * USUAL);
    assert_int_equal(pause_of(&w), 16 * READ); // at most: readers go on
    assert_int_equal(cold_pace_pause(&w.p, 10 * 1000 * 1000), 50 * 1000 * 1000);
    assert_int_equal(cold_pace_pause(&w.p, 70 * 1000 * 1000), 70 * 1000 * 1000);
    for (int i = 0; i < 60; i++)
        look(&w, 10, USUAL);
    assert_in_range(pause_of(&w), 8 * READ, 9 * READ);
    for (int i = 0; i < 60; i++)
        look(&w, 10, USUAL);
    assert_int_equal(pause_of(&w), READ);
}

// A few groups are put together with those of later looks.
static void test_few_groups(void **state)
{
    struct world w;
    begin(&w);
    look(&w, 8, USUAL);
    for (int i = 0; i < 7; i++) {
        look(&w, 1, 10 * USUAL);
        assert_int_equal(pause_of(&w), READ);
    }
    look(&w, 1, 10 * USUAL);
    assert_int_equal(pause_of(&w), 2 * READ);
}

// Readers that do not get ahead of appends are not held up, however slow commits are.
static void test_catching_up(void **state)
{
    struct world w;
    begin(&w);
    look(&w, 10, USUAL);
    for (int i = 0; i < 10; i++)
        look(&w, 10, 8 * USUAL);
    assert_int_equal(pause_of(&w), 16 * READ);
    w.appends = w.reads;
    for (int i = 0; i < 40; i++)
        look(&w, 10, 8 * USUAL);
    assert_int_equal(pause_of(&w), READ);
    w.appends = w.reads / 3 * 2;
    for (int i = 0; i < 10; i++)
        look(&w, 10, 8 * USUAL);
    assert_int_equal(pause_of(&w), 16 * READ);
}

// What is usual follows: at once to a faster disk, within half a minute to a slower one.
static void test_other_disk(void **state)
{
    struct world w;
    begin(&w);
    for (int i = 0; i < 20; i++)
        look(&w, 10, 8 * USUAL);
    for (int i = 0; i < 20; i++)
        look(&w, 10, USUAL);
    look(&w, 10, 8 * USUAL);
    assert_int_equal(pause_of(&w), 2 * READ);
    for (int i = 0; i < 15000; i++)
        look(&w, 10, 8 * USUAL);
    assert_int_equal(pause_of(&w), READ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy),         cmocka_unit_test(test_usual),
        cmocka_unit_test(test_slow_commits), cmocka_unit_test(test_few_groups),
        cmocka_unit_test(test_catching_up),  cmocka_unit_test(test_other_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
