// Few files open, many logs that are written and read (engine/log/files.h).
#include "tests/unit/shard/shard_test.h"

enum { MAX = 3, ROUNDS = 12 };

static void produce_all(struct broker *b, uint32_t round)
{
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < T_PARTS; i++) {
            struct t_spec s = {.records = 5, .value = 100 + 97 * round};
            assert_int_equal(t_produce(b, t, i, &s, NULL), 0);
        }
}

static void rounds(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 16384;
    assert_int_equal(t_open(b, 0, "a", T_PARTS, &c), 0);
    assert_int_equal(t_open(b, 1, "b", T_PARTS, &c), 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        produce_all(b, i);
        fiber_sleep(200ull * 1000 * 1000); // written back, and idle
        struct t_spec s = {.records = 1, .value = 10};
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0); // one more is opened
        fiber_sleep(20ull * 1000 * 1000);
        assert_in_range(shard_env(b->s)->files.n, 1, MAX + 1);
        t_cool(b, 1, (int32_t)(i % T_PARTS));
        t_verify(b, 1, (int32_t)(i % T_PARTS), 1 << 20, false); // from the file
    }
    t_verify_all(b, false);
}

static void verify(struct broker *b)
{
    t_verify_all(b, false);
}

static void few_are_open(struct broker *b)
{
    b->cfg.files_max = MAX;
    b->cfg.writeback_age_ms = 10;
    t_boot_ok(b);
    t_run(b, rounds);
    t_crash(b, false);
    t_boot_ok(b);
    t_run(b, verify);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, verify);
    assert_int_equal(t_stop(b), 0);
}

T_BOTH(few_are_open, 5)

int main(void)
{
    const struct CMUnitTest tests[] = {T_BOTH_ENTRIES(few_are_open)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
