/* Producer state by hand: what the upstream trace does not reach, and snapshots that are not whole. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/base/crc32c.h"
#include "engine/log/producer_state.h"
#include "engine/log/record.h"
#include "tests/unit/log/golden.h"

static struct batch_info data(int64_t pid, int epoch, int32_t seq, int32_t count, bool txn, int64_t offset)
{
    return (struct batch_info){.base_offset = offset,
                               .max_timestamp = 1000 + offset,
                               .producer_id = pid,
                               .producer_epoch = (int16_t)epoch,
                               .base_sequence = seq,
                               .record_count = count,
                               .last_offset_delta = count - 1,
                               .attributes = txn ? BATCH_ATTR_TRANSACTIONAL : 0};
}

static int16_t append(struct producer_state *s, struct batch_info b, struct producer_check c)
{
    struct producer_duplicate dup;
    b.base_offset = s->end_offset;
    b.max_timestamp = 1000 + s->end_offset;
    int16_t rc = producer_state_check(s, &b, &c, &dup);
    if (rc == KERR_NONE)
        assert_int_equal(producer_state_apply(s, &b), 0);
    return rc;
}

static const struct producer_check client = {.origin = PRODUCER_FROM_CLIENT};

/* The last five are remembered, not six, and only whole ranges match. */
static void test_duplicates(void **state)
{
    struct producer_state s;
    struct producer_duplicate dup;
    producer_state_init(&s, 100);
    for (int i = 0; i < 6; i++)
        assert_int_equal(append(&s, data(1, 0, i * 10, 10, false, 0), client), KERR_NONE);
    for (int i = 0; i < 6; i++) {
        struct batch_info b = data(1, 0, i * 10, 10, false, 0);
        int16_t rc = producer_state_check(&s, &b, &client, &dup);
        if (i == 0) {
            assert_int_equal(rc, KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
            continue;
        }
        assert_int_equal(rc, KERR_DUPLICATE_SEQUENCE_NUMBER);
        assert_int_equal(dup.base_offset, 100 + i * 10);
        assert_int_equal(dup.last_offset, 109 + i * 10);
        assert_int_equal(dup.timestamp, 1100 + i * 10);
    }
    assert_int_equal(append(&s, data(1, 0, 50, 9, false, 0), client), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append(&s, data(1, 0, 51, 9, false, 0), client), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append(&s, data(1, 1, 50, 10, false, 0), client), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(s.end_offset, 160);
    producer_state_destroy(&s);
}

static void test_sequence_wraps(void **state)
{
    struct producer_state s;
    struct producer_duplicate dup;
    producer_state_init(&s, 0);
    assert_int_equal(append(&s, data(1, 0, INT32_MAX - 1, 4, false, 0), client), KERR_NONE);
    struct batch_info again = data(1, 0, INT32_MAX - 1, 4, false, 0);
    assert_int_equal(producer_state_check(&s, &again, &client, &dup), KERR_DUPLICATE_SEQUENCE_NUMBER);
    assert_int_equal(append(&s, data(1, 0, 2, 1, false, 0), client), KERR_NONE);
    assert_int_equal(append(&s, data(2, 0, INT32_MAX, 1, false, 0), client), KERR_NONE);
    assert_int_equal(append(&s, data(2, 0, 0, 1, false, 0), client), KERR_NONE);
    producer_state_destroy(&s);
}

/* Transactions v2: a producer of which nothing is known starts at 0. */
static void test_txn_v2(void **state)
{
    struct producer_state s;
    const struct producer_check v2 = {.origin = PRODUCER_FROM_CLIENT, .txn_v2 = true};
    producer_state_init(&s, 0);
    assert_int_equal(append(&s, data(1, 0, 3, 1, true, 0), v2), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append(&s, data(1, 0, 3, 1, true, 0), client), KERR_NONE);
    assert_int_equal(append(&s, data(2, 0, 0, 1, true, 0), v2), KERR_NONE);
    assert_int_equal(append(&s, data(2, 0, 1, 1, true, 0), v2), KERR_NONE);
    producer_state_destroy(&s);
}

static void test_unverified(void **state)
{
    struct producer_state s;
    const struct producer_check unverified = {.origin = PRODUCER_FROM_CLIENT, .txn_unverified = true};
    producer_state_init(&s, 0);
    assert_int_equal(append(&s, data(1, 4, 0, 1, true, 0), unverified), KERR_INVALID_TXN_STATE);
    assert_int_equal(append(&s, data(1, 4, 0, 1, false, 0), unverified), KERR_NONE);
    assert_int_equal(append(&s, data(1, 3, 0, 1, true, 0), unverified), KERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(append(&s, data(1, 4, 1, 1, true, 0), client), KERR_NONE);
    /* In an open transaction nothing needs to be confirmed again. */
    assert_int_equal(append(&s, data(1, 4, 2, 1, true, 0), unverified), KERR_NONE);
    assert_int_equal(append(&s, data(1, 4, 3, 1, false, 0), client), KERR_INVALID_TXN_STATE);
    producer_state_destroy(&s);
}

static void test_coordinator_has_no_sequence(void **state)
{
    struct producer_state s;
    const struct producer_check c = {.origin = PRODUCER_FROM_COORDINATOR};
    producer_state_init(&s, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(append(&s, data(1, 2, -1, 1, true, 0), c), KERR_NONE);
    assert_int_equal(append(&s, data(1, 1, -1, 1, true, 0), c), KERR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(producer_state_first_undecided(&s), 0);
    producer_state_destroy(&s);
}

/* Two transactions: the stable offset waits for the older, then for the markers to be below the high
 * watermark. */
static void test_stable_offset(void **state)
{
    struct producer_state s;
    struct producer_completed done;
    producer_state_init(&s, 10);
    assert_int_equal(producer_state_last_stable(&s, 10, 0), 10);
    append(&s, data(1, 0, 0, 5, true, 0), client);
    append(&s, data(2, 0, 0, 5, true, 0), client);
    assert_int_equal(producer_state_last_stable(&s, 20, 0), 10);
    assert_int_equal(producer_state_last_stable(&s, 20, 12), 12);
    assert_int_equal(producer_state_last_stable(&s, 5, 0), 5);
    struct producer_marker m = {.producer_id = 1, .offset = 20, .timestamp = 5, .epoch = 0, .commit = false};
    assert_int_equal(producer_state_check_marker(&s, &m, 0), KERR_NONE);
    assert_int_equal(producer_state_apply_marker(&s, &m, &done), 0);
    assert_true(done.aborted);
    assert_int_equal(done.first_offset, 10);
    assert_int_equal(done.last_stable_offset, 15);
    producer_state_on_high_watermark(&s, 20);
    assert_int_equal(producer_state_first_unstable(&s), 10);
    producer_state_on_high_watermark(&s, 21);
    assert_int_equal(producer_state_first_unstable(&s), 15);
    assert_int_equal(producer_state_oldest_txn_timestamp(&s), 1015);
    m.producer_id = 2;
    m.offset = 21;
    m.commit = true;
    assert_int_equal(producer_state_apply_marker(&s, &m, &done), 0);
    assert_int_equal(done.last_stable_offset, 22);
    /* A marker without a transaction completes nothing. */
    m.offset = 22;
    assert_int_equal(producer_state_apply_marker(&s, &m, &done), 0);
    assert_int_equal(done.first_offset, -1);
    producer_state_on_log_start(&s, 22);
    assert_int_equal(producer_state_first_unstable(&s), -1);
    assert_int_equal(s.end_offset, 23);
    producer_state_on_log_start(&s, 30);
    assert_int_equal(s.end_offset, 30);
    producer_state_destroy(&s);
}

/* Recovery applies whole batches, markers of upstream's included. */
static void test_apply_batches(void **state)
{
    struct producer_state s;
    struct producer_completed done;
    size_t n;
    producer_state_init(&s, 0);
    uint8_t *p = golden_read("batch-idempotent.bin", &n);
    assert_int_equal(producer_state_apply_batch(&s, p, n, &done), 0);
    assert_int_equal(done.first_offset, -1);
    assert_int_equal(producer_state_first_undecided(&s), 0);
    free(p);
    p = golden_read("control-abort.bin", &n);
    assert_int_equal(producer_state_apply_batch(&s, p, n, &done), 0);
    assert_true(done.first_offset == 0 && done.last_offset == 13 && done.aborted);
    assert_int_equal(producer_state_find(&s, 4711)->coordinator_epoch, 77);
    assert_int_equal(producer_state_find(&s, 4711)->last_timestamp, 1700000000000LL);
    assert_int_equal(s.end_offset, 14);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(producer_state_apply_batch(&s, p, cut, &done), -EBADMSG);
    /* The only record's key length says that there is no key. */
    p[BATCH_HEADER_SIZE + 4] = 1;
    assert_int_equal(producer_state_apply_batch(&s, p, n, &done), -EBADMSG);
    /* Compaction leaves empty control batches behind. */
    batch_set_record_count(p, 0);
    assert_int_equal(producer_state_apply_batch(&s, p, n, &done), 0);
    free(p);
    p = golden_read("control-leader-change.bin", &n);
    batch_set_base_offset(p, 14);
    assert_int_equal(producer_state_apply_batch(&s, p, n, &done), 0);
    assert_int_equal(s.end_offset, 15);
    /* A control batch without a producer may come through the other door, too. */
    struct batch_info b;
    assert_int_equal(batch_parse(p, n, &b), 0);
    assert_int_equal(producer_state_apply(&s, &b), 0);
    assert_int_equal(s.count, 1);
    free(p);
    producer_state_destroy(&s);
}

/* Enough of them for the hash table; then most expire, and the rest is still found. */
static void test_many_and_expiry(void **state)
{
    struct producer_state s;
    const int64_t many = 5000;
    producer_state_init(&s, 0);
    for (int64_t i = 0; i < many; i++)
        assert_int_equal(append(&s, data(i * 1000003, 0, 0, 1, i % 100 == 0, 0), client), KERR_NONE);
    assert_int_equal(s.count, many);
    for (int64_t i = 0; i < many; i++)
        assert_non_null(producer_state_find(&s, i * 1000003));
    assert_null(producer_state_find(&s, 1));
    /* Timestamps are 1000 + offset: all up to offset 4000 are expired but those with open transactions. */
    assert_int_equal(producer_state_expire(&s, 6000, 1000), 4001 - 41);
    for (int64_t i = 0; i < many; i++)
        assert_true((producer_state_find(&s, i * 1000003) != NULL) == (i > 4000 || i % 100 == 0));
    assert_int_equal(append(&s, data(1, 0, 0, 1, false, 0), client), KERR_NONE);
    assert_non_null(producer_state_find(&s, 1));
    producer_state_clear(&s, 77);
    assert_int_equal(s.count, 0);
    assert_int_equal(s.end_offset, 77);
    assert_int_equal(append(&s, data(1, 0, 5, 1, false, 0), client), KERR_NONE);
    assert_int_equal(producer_state_expire(&s, 100000, 1), 1);
    assert_null(s.entries);
    producer_state_destroy(&s);
}

static void test_snapshot_round_trip(void **state)
{
    struct producer_state s, t;
    producer_state_init(&s, 0);
    producer_state_init(&t, 0);
    for (int i = 0; i < 100; i++)
        append(&s, data(i, 0, 0, 1 + i % 3, i % 10 == 0, 0), client);
    size_t n = producer_state_snapshot_size(&s);
    uint8_t *p = malloc(n);
    producer_state_snapshot_encode(&s, p);
    assert_int_equal(producer_state_snapshot_load(&t, p, n, s.end_offset, 1000, 100000), 0);
    assert_int_equal(t.count, 100);
    assert_int_equal(t.ongoing.count, 10);
    assert_int_equal(producer_state_first_undecided(&t), producer_state_first_undecided(&s));
    for (int i = 0; i < 100; i++) {
        struct batch_info again = data(i, 0, 0, 1 + i % 3, i % 10 == 0, 0);
        struct producer_duplicate dup;
        assert_int_equal(producer_state_check(&t, &again, &client, &dup), KERR_DUPLICATE_SEQUENCE_NUMBER);
    }
    /* Expired ones are left out, open transactions never. */
    assert_int_equal(producer_state_snapshot_load(&t, p, n, s.end_offset, 1000000, 1), 0);
    assert_int_equal(t.count, 10);
    producer_state_destroy(&s);
    producer_state_destroy(&t);
    free(p);
}

static void reseal(uint8_t *p, size_t n)
{
    be32_store(p + 2, crc32c(0, p + 6, n - 6));
}

static void expect_bad(struct producer_state *s, const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    assert_int_equal(producer_state_snapshot_load(s, copy, n, 0, 0, INT64_MAX), -EBADMSG);
    assert_int_equal(s->count, 0);
    free(copy);
}

static void test_snapshot_damage(void **state)
{
    struct producer_state s;
    size_t n;
    uint8_t *p = golden_read("trace.snapshot", &n);
    producer_state_init(&s, 0);
    for (size_t cut = 0; cut < n; cut++)
        expect_bad(&s, p, cut);
    for (size_t at = 0; at < n; at++) {
        p[at] ^= 1;
        expect_bad(&s, p, n);
        p[at] ^= 1;
    }
    /* Right CRCs around wrong contents. */
    be32_store(p + 6, be32_load(p + 6) + 1);
    reseal(p, n);
    expect_bad(&s, p, n);
    be32_store(p + 6, be32_load(p + 6) - 2);
    reseal(p, n);
    expect_bad(&s, p, n);
    be32_store(p + 6, be32_load(p + 6) + 1);
    be64_store(p + 10, be64_load(p + 10 + PRODUCER_SNAPSHOT_ENTRY_SIZE));
    reseal(p, n);
    expect_bad(&s, p, n);
    be64_store(p + 10, (uint64_t)-3);
    reseal(p, n);
    expect_bad(&s, p, n);
    free(p);
    producer_state_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_sequence_wraps),
        cmocka_unit_test(test_txn_v2),
        cmocka_unit_test(test_unverified),
        cmocka_unit_test(test_coordinator_has_no_sequence),
        cmocka_unit_test(test_stable_offset),
        cmocka_unit_test(test_apply_batches),
        cmocka_unit_test(test_many_and_expiry),
        cmocka_unit_test(test_snapshot_round_trip),
        cmocka_unit_test(test_snapshot_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
