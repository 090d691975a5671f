/* Offset, time and transaction indexes in memory. What upstream writes is compared in
 * test_producer_trace.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/log/index.h"
#include "engine/log/timeindex.h"
#include "engine/log/txnindex.h"

#define BASE 1000

static void test_offset_lookup(void **state)
{
    struct offset_index x;
    offset_index_init(&x, BASE, 8 * 100);
    assert_int_equal(offset_index_lookup(&x, 5000).position, 0);
    assert_int_equal(offset_index_lookup(&x, 5000).offset, BASE);
    for (uint32_t i = 1; i <= 50; i++)
        assert_int_equal(offset_index_append(&x, BASE + 10 * i, 100 * i), 0);
    for (int64_t target = BASE - 5; target < BASE + 600; target++) {
        int64_t slot = target < BASE + 10 ? 0 : (target - BASE) / 10;
        slot = slot > 50 ? 50 : slot;
        struct offset_position p = offset_index_lookup(&x, target);
        assert_int_equal(p.position, 100 * slot);
        assert_int_equal(p.offset, BASE + 10 * slot);
    }
    struct offset_position p;
    assert_true(offset_index_upper_bound(&x, 101, &p));
    assert_int_equal(p.position, 200);
    assert_true(offset_index_upper_bound(&x, 200, &p));
    assert_int_equal(p.offset, BASE + 20);
    assert_false(offset_index_upper_bound(&x, 5001, &p));
    offset_index_destroy(&x);
}

static void test_offset_limits(void **state)
{
    struct offset_index x;
    offset_index_init(&x, BASE, 8 * 2 + 7);
    assert_int_equal(offset_index_append(&x, BASE - 1, 1), -EOVERFLOW);
    assert_int_equal(offset_index_append(&x, BASE + (int64_t)INT32_MAX + 1, 1), -EOVERFLOW);
    assert_int_equal(offset_index_append(&x, BASE, 50), 0);
    assert_int_equal(offset_index_append(&x, BASE, 60), -EINVAL);
    assert_int_equal(offset_index_append(&x, BASE + 1, 50), -EINVAL);
    assert_false(offset_index_is_full(&x));
    assert_int_equal(offset_index_append(&x, BASE + (int64_t)INT32_MAX, 51), 0);
    assert_true(offset_index_is_full(&x));
    assert_int_equal(offset_index_append(&x, BASE + (int64_t)INT32_MAX, 52), -ENOSPC);
    assert_int_equal(offset_index_last(&x).offset, BASE + (int64_t)INT32_MAX);
    assert_true(offset_index_can_hold(&x, BASE) && !offset_index_can_hold(&x, BASE - 1));
    offset_index_destroy(&x);
}

/* An entry before the first batch beyond the interval, none at position 0, none when full. */
static void test_offset_interval(void **state)
{
    struct offset_index x;
    offset_index_init(&x, 0, 8 * 2);
    assert_int_equal(offset_index_on_batch(&x, 100, 0, 0, 100), 0);
    assert_int_equal(offset_index_on_batch(&x, 100, 1, 100, 1), 0);
    assert_int_equal(offset_index_on_batch(&x, 100, 9, 101, 500), 1);
    assert_int_equal(offset_index_last(&x).offset, 9);
    assert_int_equal(offset_index_last(&x).position, 101);
    assert_int_equal(x.bytes_since, 500);
    assert_int_equal(offset_index_on_batch(&x, 100, 10, 601, 500), 1);
    assert_int_equal(offset_index_on_batch(&x, 100, 11, 1101, UINT32_MAX), 0);
    assert_int_equal(x.bytes_since, UINT32_MAX);
    offset_index_destroy(&x);
}

static void test_offset_truncate(void **state)
{
    struct offset_index x;
    offset_index_init(&x, BASE, 800);
    for (uint32_t i = 1; i <= 5; i++)
        offset_index_append(&x, BASE + 10 * i, i);
    offset_index_truncate(&x, BASE + 60);
    assert_int_equal(x.count, 5);
    offset_index_truncate(&x, BASE + 45);
    assert_int_equal(x.count, 4);
    offset_index_truncate(&x, BASE + 40);
    assert_int_equal(x.count, 3);
    offset_index_truncate(&x, BASE + 10);
    assert_int_equal(x.count, 0);
    offset_index_append(&x, BASE + 10, 1);
    offset_index_truncate(&x, 0);
    assert_int_equal(x.count, 0);
    offset_index_destroy(&x);
}

static void test_offset_files(void **state)
{
    struct offset_index x, y;
    uint8_t file[80];
    offset_index_init(&x, BASE, 800);
    offset_index_init(&y, BASE, 800);
    for (uint32_t i = 1; i <= 10; i++)
        offset_index_append(&x, BASE + i * 7, i * 100);
    offset_index_encode(&x, 0, 10, file);
    assert_int_equal(be32_load(file), 7);
    assert_int_equal(be32_load(file + 4), 100);
    assert_int_equal(offset_index_load(&y, file, 80, 1001), 0);
    assert_int_equal(y.count, 10);
    assert_memory_equal(x.e, y.e, 80);
    assert_int_equal(offset_index_load(&y, file, 79, 1001), -EBADMSG);
    assert_int_equal(y.count, 0);
    assert_int_equal(offset_index_load(&y, file, 80, 1000), -EBADMSG);
    assert_int_equal(offset_index_load(&y, file, 0, 0), 0);
    uint8_t part[8];
    offset_index_encode(&x, 4, 5, part);
    assert_memory_equal(part, file + 32, 8);
    /* A tail of zeros, as an upstream index has that was not cut. */
    memset(file + 64, 0, 16);
    assert_int_equal(offset_index_load(&y, file, 80, 1001), -EBADMSG);
    assert_int_equal(offset_index_load(&y, file, 64, 1001), 0);
    be32_store(file + 56, 0x80000000);
    assert_int_equal(offset_index_load(&y, file, 64, 1001), -EBADMSG);
    offset_index_destroy(&x);
    offset_index_destroy(&y);
}

static void test_time_rules(void **state)
{
    struct time_index x;
    time_index_init(&x, BASE, 12 * 3);
    assert_int_equal(time_index_lookup(&x, 5).timestamp, -1);
    assert_int_equal(time_index_lookup(&x, 5).offset, BASE);
    assert_int_equal(time_index_append(&x, -1, BASE, false), 0);
    assert_int_equal(time_index_append(&x, 10, BASE + 5, false), 1);
    assert_int_equal(time_index_append(&x, 10, BASE + 6, false), 0);
    assert_int_equal(time_index_append(&x, 9, BASE + 6, false), -EINVAL);
    assert_int_equal(time_index_append(&x, 11, BASE + 4, false), -EINVAL);
    assert_false(time_index_is_full(&x));
    assert_int_equal(time_index_append(&x, 11, BASE + 5, false), 1);
    assert_true(time_index_is_full(&x));
    assert_int_equal(time_index_append(&x, 12, BASE + 9, false), -ENOSPC);
    assert_int_equal(time_index_append(&x, 12, BASE + 9, true), 1);
    assert_int_equal(time_index_append(&x, 13, BASE + 9, true), -ENOSPC);
    assert_int_equal(time_index_append(&x, 13, BASE - 1, true), -EOVERFLOW);
    assert_int_equal(time_index_lookup(&x, 9).offset, BASE);
    assert_int_equal(time_index_lookup(&x, 10).offset, BASE + 5);
    assert_int_equal(time_index_lookup(&x, 11).timestamp, 11);
    assert_int_equal(time_index_lookup(&x, INT64_MAX).offset, BASE + 9);
    assert_int_equal(time_index_last(&x).timestamp, 12);
    time_index_truncate(&x, BASE + 6);
    assert_int_equal(x.count, 2);
    time_index_truncate(&x, BASE + 5);
    assert_int_equal(x.count, 0);
    time_index_destroy(&x);
}

static void test_time_files(void **state)
{
    struct time_index x, y;
    uint8_t file[48];
    time_index_init(&x, BASE, 1200);
    time_index_init(&y, BASE, 1200);
    for (int i = 1; i <= 4; i++)
        assert_int_equal(time_index_append(&x, 1000 * i, BASE + i, false), 1);
    time_index_encode(&x, 0, 4, file);
    assert_int_equal(be64_load(file + 12), 2000);
    assert_int_equal(be32_load(file + 20), 2);
    assert_int_equal(time_index_load(&y, file, 48), 0);
    assert_int_equal(time_index_at(&y, 3).timestamp, 4000);
    assert_int_equal(time_index_load(&y, file, 47), -EBADMSG);
    assert_int_equal(time_index_load(&y, file, 0), 0);
    be64_store(file + 24, 2000);
    assert_int_equal(time_index_load(&y, file, 48), -EBADMSG);
    assert_int_equal(y.count, 0);
    be64_store(file + 24, 2001);
    be32_store(file + 32, 1);
    assert_int_equal(time_index_load(&y, file, 48), -EBADMSG);
    time_index_destroy(&x);
    time_index_destroy(&y);
}

static void test_aborted_txns(void **state)
{
    uint8_t file[2 * TXN_INDEX_ENTRY_SIZE];
    struct aborted_txn a = {.producer_id = 7,
                            .first_offset = 10,
                            .last_offset = 20,
                            .last_stable_offset = 12},
                       b;
    bool stop;
    aborted_txn_encode(&a, file);
    assert_int_equal(aborted_txn_decode(file, &b), 0);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_true(aborted_txn_match(&a, 20, 100, &stop) && !stop);
    assert_false(aborted_txn_match(&a, 21, 100, &stop));
    assert_true(aborted_txn_match(&a, 0, 12, &stop) && stop);
    assert_false(aborted_txn_match(&a, 0, 10, &stop));
    assert_true(stop);

    a.last_offset = 21;
    aborted_txn_encode(&a, file + TXN_INDEX_ENTRY_SIZE);
    assert_int_equal(txn_index_check(file, sizeof(file), 0), 2);
    assert_int_equal(txn_index_check(file, sizeof(file), 21), -EBADMSG);
    assert_int_equal(txn_index_check(file, sizeof(file) - 1, 0), -EBADMSG);
    assert_int_equal(txn_index_check(file, 0, 0), 0);
    a.last_offset = 20;
    aborted_txn_encode(&a, file + TXN_INDEX_ENTRY_SIZE);
    assert_int_equal(txn_index_check(file, sizeof(file), 0), -EBADMSG);
    file[1] = 1;
    assert_int_equal(aborted_txn_decode(file, &b), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offset_lookup),   cmocka_unit_test(test_offset_limits),
        cmocka_unit_test(test_offset_interval), cmocka_unit_test(test_offset_truncate),
        cmocka_unit_test(test_offset_files),    cmocka_unit_test(test_time_rules),
        cmocka_unit_test(test_time_files),      cmocka_unit_test(test_aborted_txns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
