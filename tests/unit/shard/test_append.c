// Append and read: random sizes, batches above an extent, rolls, cold reads, errors, duplicates, write caching.
#include "shard_test.h"

// ---- round trips --------------------------------------------------------------------------------------------------------
static void many_sizes(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 3 << 20; // several rolls
    assert_int_equal(t_open(b, 0, "sizes", 3, &c), 0);
    for (int i = 0; i < 90; i++) {
        struct t_append x[8];
        uint32_t n = 1 + (uint32_t)sl_rand_below(&b->rand, 8);
        int32_t part = (int32_t)sl_rand_below(&b->rand, 3);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t shape = (uint32_t)sl_rand_below(&b->rand, 10), bytes;
            struct t_spec s = {.records = 1 + (uint32_t)sl_rand_below(&b->rand, 4), .timestamp = 1000 + i};
            s.value = (uint32_t)sl_rand_below(&b->rand, shape < 5 ? 200 : shape < 8 ? 9000 : 700000);
            uint8_t *batch = t_batch(b, &s, &bytes);
            t_append_start(b, &x[k], 0, part, batch, bytes, s.records,
                           sl_rand_chance(&b->rand, 1, 2) ? -1 : 1);
        }
        for (uint32_t k = 0; k < n; k++)
            assert_int_equal(t_append_end(b, &x[k]), 0);
        if (i % 20 == 7)
            t_cool(b, 0, part);
    }
    t_verify_all(b, false);
    assert_true(log_segment_count(t_log(b, 0, 0)) > 1);
    for (int32_t k = 0; k < 3; k++)
        t_cool(b, 0, k);
    t_verify_all(b, false);
    t_verify(b, 0, 1, 1, false); // a byte at a time: each answer is one whole batch
}

static void round_trip(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, many_sizes);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    assert_int_equal(b->kind, STORE_CLEAN);
    t_run(b, many_sizes); // goes on with the same logs
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(round_trip, 11)

static void large_batches(struct broker *b)
{
    struct log_config c = t_log_config();
    assert_int_equal(t_open(b, 0, "large", 1, &c), 0);
    for (int i = 0; i < 6; i++) {
        int64_t offset;
        struct t_spec s = {.records = 1, .value = (1u << 20) + 300000u * (uint32_t)i, .timestamp = 1};
        assert_int_equal(t_produce(b, 0, 0, &s, &offset), 0);
        assert_int_equal(offset, i);
    }
    t_verify_all(b, false);
    struct t_spec s = {.records = 1, .value = c.max_message_bytes, .timestamp = 1};
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), KERR_MESSAGE_TOO_LARGE);
    // What no configuration of the topic forbids, but the journal or the memory cannot take, is refused, not held for ever.
    c.max_message_bytes = INT32_MAX;
    c.segment_bytes = INT32_MAX;
    assert_int_equal(t_open(b, 0, "large", 1, &c), 0);
    s.value = 12 << 20;
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), KERR_MESSAGE_TOO_LARGE);
    t_verify_all(b, false);
}

static void large(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, large_batches);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(large, 12)

// ---- hostile input ------------------------------------------------------------------------------------------------------
static struct shard_append_part append_bytes(struct broker *b, int topic, const uint8_t *p, int32_t n)
{
    struct t_call call;
    uint8_t *copy = malloc((size_t)(n > 0 ? n : 0) + 1);
    if (n > 0)
        memcpy(copy, p, (size_t)n);
    struct shard_append_part part = {.topic_id = b->topics[topic].id, .records = copy, .bytes = n};
    struct shard_append a = {.parts = &part, .n = 1, .acks = -1, .api_version = 9, .owner = &call};
    t_ask(b, SHARD_APPEND, &a, &call);
    free(copy);
    return part;
}

static int16_t produce_bytes(struct broker *b, const uint8_t *p, int32_t n)
{
    return append_bytes(b, 0, p, n).error;
}

// What a refused append tells beside its error: the log's start where the log judged, and the records at fault.
static void told_of_refused(struct broker *b)
{
    struct log_config c = t_log_config();
    uint32_t n;
    assert_int_equal(t_open(b, 0, "told", 1, &c), 0);
    c.compacted = true;
    assert_int_equal(t_open(b, 1, "keys", 1, &c), 0);
    struct t_spec s = {.records = 40, .value = 10, .timestamp = 5};
    uint8_t *batch = t_batch(b, &s, &n);
    struct shard_append_part p = append_bytes(b, 1, batch, (int32_t)n); // none has a key
    assert_int_equal(p.error, KERR_INVALID_RECORD);
    assert_int_equal(p.bad_n, SHARD_BAD_RECORDS);
    for (int32_t i = 0; i < SHARD_BAD_RECORDS; i++) {
        assert_int_equal(p.bad_index[i], i);
        assert_int_equal(p.bad_fault[i], VALIDATE_FAULT_NO_KEY);
    }
    assert_int_equal(p.log_start, 0);
    be64_store(batch, 77); // base offset
    p = append_bytes(b, 0, batch, (int32_t)n);
    assert_int_equal(p.error, KERR_INVALID_RECORD);
    assert_int_equal(p.bad_n, 0);
    assert_int_equal(p.log_start, 0);
    p = append_bytes(b, 0, batch, 5); // no batch at all: refused before the log is asked
    assert_int_equal(p.error, KERR_INVALID_RECORD);
    assert_int_equal(p.log_start, -1);
    free(batch);
}

static void told(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, told_of_refused);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(told, 16)

static void hostile_input(struct broker *b)
{
    struct log_config c = t_log_config();
    uint32_t n;
    assert_int_equal(t_open(b, 0, "hostile", 1, &c), 0);
    struct t_spec s = {.records = 3, .value = 100, .timestamp = 5};
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    s.bad_crc = true;
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), KERR_CORRUPT_MESSAGE);
    s.bad_crc = false;
    uint8_t *batch = t_batch(b, &s, &n);
    assert_int_not_equal(produce_bytes(b, batch, -1), 0);
    assert_int_not_equal(produce_bytes(b, batch, INT32_MIN), 0);
    assert_int_not_equal(produce_bytes(b, batch, 0), 0);
    for (int32_t cut = 1; cut < (int32_t)n; cut += 7)
        assert_int_not_equal(produce_bytes(b, batch, cut), 0);
    for (int i = 0; i < 2000;
         i++) { // any one byte wrong, in or out of the CRC's range: refused or stored as sent
        uint8_t *p = malloc(n);
        memcpy(p, batch, n);
        p[sl_rand_below(&b->rand, n)] ^= (uint8_t)(1 + sl_rand_below(&b->rand, 255));
        (void)produce_bytes(b, p, (int32_t)n);
        free(p);
    }
    free(batch);
    t_verify_all(b, true);
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    t_verify_all(b, true);
}

static void hostile(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, hostile_input);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(hostile, 13)

// ---- sequences ------------------------------------------------------------------------------------------------------------
static void sequence_checks(struct broker *b)
{
    struct log_config c = t_log_config();
    int64_t offset, again;
    assert_int_equal(t_open(b, 0, "seq", 1, &c), 0);
    struct t_spec s = {.records = 2, .value = 50, .timestamp = 9, .pid = 77};
    uint32_t n;
    uint8_t *batch = t_batch(b, &s, &n), *copy = malloc(n);
    memcpy(copy, batch, n);
    struct t_append x, y;
    // Both at once: the duplicate waits for its original and gets its offset.
    t_append_start(b, &x, 0, 0, batch, n, 2, -1);
    t_append_start(b, &y, 0, 0, copy, n, 2, -1);
    assert_int_equal(t_append_end(b, &y), 0);
    assert_int_equal(t_append_end(b, &x), 0);
    assert_int_equal(x.part.base_offset, 0);
    assert_int_equal(y.part.base_offset, 0);
    s.sequence = 2;
    assert_int_equal(t_produce(b, 0, 0, &s, &offset), 0);
    assert_int_equal(offset, 2);
    s.sequence = 6;
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    s.sequence = 4;
    assert_int_equal(t_produce(b, 0, 0, &s, &again), 0);
    assert_int_equal(again, 4);
    t_verify_all(b, false);
}

static void expect_duplicate(struct broker *b, int32_t sequence, int64_t offset)
{
    struct t_spec s = {.records = 2, .value = 50, .timestamp = 9, .pid = 77, .sequence = sequence};
    struct t_append x;
    uint32_t n;
    uint8_t *batch = t_batch(b, &s, &n); // other bytes: what is stored is the original
    t_append_start(b, &x, 0, 0, batch, n, 2, -1);
    x.call.f = fiber_current();
    fiber_park_until(&x.call.done);
    assert_int_equal(x.part.error, 0);
    assert_int_equal(x.part.base_offset, offset);
    free(batch);
}

static void expect_next(struct broker *b, int32_t sequence)
{
    struct t_spec s = {.records = 2, .value = 50, .timestamp = 9, .pid = 77, .sequence = sequence + 2};
    int64_t offset;
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    s.sequence = sequence;
    assert_int_equal(t_produce(b, 0, 0, &s, &offset), 0);
    assert_int_equal(offset, sequence);
    t_verify_all(b, false);
}

static void sequence_after_stop(struct broker *b)
{
    expect_duplicate(b, 4, 4);
    expect_next(b, 6);
}

static void sequence_after_crash(struct broker *b)
{
    expect_duplicate(b, 6, 6);
    expect_next(b, 8);
}

static void sequences(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, sequence_checks);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, sequence_after_stop);
    t_crash(b, true);
    t_boot_ok(b);
    assert_int_equal(b->kind, STORE_OURS);
    t_run(b, sequence_after_crash);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(sequences, 14)

// ---- write caching ----------------------------------------------------------------------------------------------------------
static void caching_on(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_append x[20];
    assert_int_equal(t_open(b, 0, "cached", 1, &c), 0);
    for (int round = 0; round < 4; round++) {
        c.write_caching = round % 2 == 0; // switched while appends are on their way
        assert_int_equal(t_open(b, 0, "cached", 1, &c), 0);
        for (int i = 0; i < 20; i++) {
            struct t_spec s = {.records = 1, .value = 300, .timestamp = 1};
            uint32_t n;
            uint8_t *batch = t_batch(b, &s, &n);
            t_append_start(b, &x[i], 0, 0, batch, n, 1, i % 2 ? -1 : 1);
        }
        for (int i = 0; i < 20; i++) {
            assert_int_equal(t_append_end(b, &x[i]), 0);
            struct log_ends e;
            log_get_ends(t_log(b, 0, 0), &e);
            assert_true(e.high_watermark > x[i].part.base_offset); // readers see what was answered
            if (!c.write_caching)
                assert_true(e.durable_end > x[i].part.base_offset);
        }
    }
    t_verify_all(b, false);
}

static void caching(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, caching_on);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(caching, 15)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(round_trip), T_BOTH_ENTRIES(large),   T_BOTH_ENTRIES(hostile),
        T_BOTH_ENTRIES(sequences),  T_BOTH_ENTRIES(caching), T_BOTH_ENTRIES(told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
