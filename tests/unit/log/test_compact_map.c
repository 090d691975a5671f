// The compactor's map: the newest offset of each key, in memory that fits the job and goes back bit by bit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/log/compact_private.h"

static const uint64_t seed[2] = {7, 11};

static bool put(struct compact_map *m, uint32_t key, int64_t offset)
{
    return compact_map_put(m, (const uint8_t *)&key, sizeof(key), offset);
}

static int64_t get(const struct compact_map *m, uint32_t key)
{
    return compact_map_get(m, (const uint8_t *)&key, sizeof(key));
}

static void newest_of_each_key(void **state)
{
    struct compact_map m;
    (void)state;
    assert_int_equal(compact_map_init(&m, 1000, 0.9, seed), 0);
    for (uint32_t i = 0; i < 1800; i++)
        assert_true(put(&m, i % 900, i));
    assert_false(put(&m, 900, 1800)); // full at nine tenths
    assert_true(put(&m, 5, 3));       // older than what is there
    for (uint32_t i = 0; i < 900; i++)
        assert_int_equal(get(&m, i), 900 + i);
    assert_int_equal(get(&m, 900), -1);
    assert_false(compact_map_drop_some(&m));
    assert_null(m.slots);
}

// A mebibyte of records of a kilobyte has a thousand keys at most, not as many as there could be records of the least size.
static void no_more_slots_than_records(void **state)
{
    (void)state;
    assert_int_equal(compact_map_slots(1 << 20, 5000, 6000, 0.9), 2 * 1000 + 64);
    assert_int_equal(compact_map_slots(8000, 0, INT64_MAX, 0.9), 2 * 1000 + 64);
    assert_int_equal(compact_map_slots(8000, 10, 10, 0.9), 64);
}

// Where few of the slots may be taken there are more of them: a batch whose keys do not fit is never compacted.
static void all_keys_fit_at_any_load(void **state)
{
    static const double loads[] = {0.0, 0.05, 0.3, 0.5, 0.9, 1.0};
    struct compact_map m;
    (void)state;
    for (size_t k = 0; k < SL_ARRAY_LEN(loads); k++) {
        uint64_t n = compact_map_slots(1 << 20, 0, 10000, loads[k]);
        assert_int_equal(compact_map_init(&m, n, loads[k], seed), 0);
        for (uint32_t i = 0; i < 10000; i++)
            assert_true(put(&m, i, i));
        while (compact_map_drop_some(&m))
            ;
    }
}

static void given_back_in_parts(void **state)
{
    struct compact_map m;
    uint64_t n = (64u << 20) / sizeof(struct compact_slot);
    size_t left;
    int steps = 0;
    (void)state;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(compact_map_init(&m, n, 0.9, seed), 0);
        for (uint32_t i = 0; i < 1000; i++) {
            assert_int_equal(get(&m, i), -1); // nothing of the round before
            assert_true(put(&m, i, i));
        }
        do {
            left = m.bytes;
            steps++;
        } while (compact_map_drop_some(&m) && left - m.bytes <= 4u << 20);
        assert_int_equal(m.bytes, 0);
    }
    assert_int_equal(steps, 2 * 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_of_each_key),
        cmocka_unit_test(no_more_slots_than_records),
        cmocka_unit_test(all_keys_fit_at_any_load),
        cmocka_unit_test(given_back_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
