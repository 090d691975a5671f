// The direct path (engine/log/direct.h): large batches in the segment alone, through every kind of end; what is damaged there
// and not confirmed ends the log, what is confirmed refuses the start.
#include "shard_test.h"

enum { BIG = 100 * 1000 };

static void direct_on(struct broker *b)
{
    b->cfg.direct = (struct direct_config){.min = 64 << 10, .flying = 2};
}

static int16_t append(struct broker *b, uint32_t bytes, int64_t timestamp)
{
    struct t_append x;
    struct t_spec s = {.records = 1, .value = bytes, .timestamp = timestamp};
    uint32_t n;
    uint8_t *batch = t_batch(b, &s, &n);
    t_append_start(b, &x, 0, 0, batch, n, 1, -1);
    return t_append_end(b, &x);
}

// Several in flight, so that they come in one range.
static void burst(struct broker *b, uint32_t n, uint32_t bytes)
{
    struct t_append x[16];
    for (uint32_t i = 0; i < n; i++) {
        struct t_spec s = {.records = 3, .value = bytes / 3, .timestamp = 1 + i};
        uint32_t size;
        uint8_t *batch = t_batch(b, &s, &size);
        t_append_start(b, &x[i], 0, 0, batch, size, 3, -1);
    }
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(t_append_end(b, &x[i]), 0);
}

static void large_and_small(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 4 << 20; // a roll, behind which batches go inline for a moment
    assert_int_equal(t_open(b, 0, "big", 1, &c), 0);
    for (int i = 0; i < 12; i++) {
        burst(b, 1 + (uint32_t)i, i % 4 == 3 ? 700 : BIG);
        assert_int_equal(append(b, 500, 100 + i), 0);
    }
    t_verify_all(b, true);
}

static void verify(struct broker *b)
{
    t_verify_all(b, true);
    burst(b, 3, BIG);
    t_verify_all(b, true);
}

// Most bytes go around the journal, are served, and are there after each kind of end.
static void around_the_journal(struct broker *b)
{
    direct_on(b);
    t_boot_ok(b);
    t_run(b, large_and_small);
    const struct journal_stats *st = journal_get_stats(b->s->journal);
    assert_true(st->direct_bytes > 35 * BIG && st->inline_bytes < st->direct_bytes / 2);
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            assert_int_equal(t_stop(b), 0);
        else
            t_crash(b, i == 2);
        t_boot_ok(b);
        t_run(b, verify);
    }
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(around_the_journal, 7)

// ---- damage --------------------------------------------------------------------------------------------------------------
static const char damaged_path[] = "/data/big-0/00000000000000000000.log";

static void three(struct broker *b)
{
    struct log_config c = t_log_config();
    assert_int_equal(t_open(b, 0, "big", 1, &c), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(append(b, BIG, i + 1), 0);
}

static void count(struct broker *b)
{
    struct log_ends e;
    log_get_ends(shard_find(b->s, &b->topics[0].id, 0)->log, &e);
    assert_int_equal(e.appended_end, 2);
    b->topics[0].parts[0].n = 2;
    t_verify_all(b, true);
    assert_int_equal(append(b, BIG, 9), 0);
    assert_int_equal(append(b, 10, 10), 0);
    t_verify_all(b, true);
}

// The last batch, which nothing confirmed, is torn: the log ends before it, and goes on from there.
static void torn_is_the_end(struct broker *b)
{
    uint8_t junk[512];
    direct_on(b);
    t_boot_ok(b);
    t_run(b, three);
    t_crash(b, true);
    memset(junk, 0xa5, sizeof(junk));
    assert_int_equal(sim_disk_poke(b->host, damaged_path, 2 * BIG + BIG / 2, junk, sizeof(junk)), 0);
    t_boot_ok(b);
    t_run(b, count);
    t_crash(b, false);
    t_boot_ok(b);
    t_run(b, verify);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(torn_is_the_end, 3)

// The first batch was confirmed when the second came.
static void confirmed_must_hold(struct broker *b)
{
    uint8_t junk[512];
    direct_on(b);
    t_boot_ok(b);
    t_run(b, three);
    t_crash(b, true);
    memset(junk, 0xa5, sizeof(junk));
    assert_int_equal(sim_disk_poke(b->host, damaged_path, 0, junk, sizeof(junk)), 0);
    assert_int_equal(t_boot(b), -EUCLEAN);
    assert_non_null(strstr(b->err, "00000000000000000000.log"));
    assert_non_null(strstr(b->err, "position 0"));
    t_crash(b, false);
}
T_SIM(confirmed_must_hold, 4)

static void another(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 1, .value = 10, .timestamp = 1};
    assert_int_equal(t_open(b, 1, "another", 1, &c), 0);
    assert_int_equal(t_produce(b, 1, 0, &s, NULL), 0);
}

static void three_and_another(struct broker *b)
{
    three(b);
    another(b);
}

static void three_that_go(struct broker *b)
{
    three(b);
    assert_int_equal(t_delete(b, 0), 0);
    another(b);
}

static void verify_another(struct broker *b)
{
    t_verify(b, 1, 0, 1 << 20, true);
}

static void all_three(struct broker *b)
{
    struct log_ends e;
    log_get_ends(t_log(b, 0, 0), &e);
    assert_int_equal(e.appended_end, 3);
}

// The last batch was confirmed with an append to another log, so a start does not read all of it, and does not see that it was
// damaged since. A log that is gone is not
// confirmed any more.
static void confirmed_by_another(struct broker *b)
{
    uint8_t junk[512];
    memset(junk, 0xa5, sizeof(junk));
    direct_on(b);
    t_boot_ok(b);
    t_run(b, three_and_another);
    t_crash(b, true);
    assert_int_equal(sim_disk_poke(b->host, damaged_path, 2 * BIG + BIG / 2, junk, sizeof(junk)), 0);
    t_boot_ok(b);
    t_run(b, all_three);
    t_crash(b, true);
    t_down(b);

    t_sim(b, 7);
    direct_on(b);
    t_boot_ok(b);
    t_run(b, three_that_go);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, verify_another);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(confirmed_by_another, 5)

// ---- cold reads ------------------------------------------------------------------------------------------------------------
static uint64_t cold_read, cold_served, log_bytes;

// In pieces that end inside batches, from the file.
static void read_in_order(struct broker *b)
{
    struct shard_fetch_part fp;
    uint64_t before = sim_world_stats(b->w)->bytes_read;
    int64_t next = 0;
    cold_served = 0;
    for (uint32_t at = 1; at;) {
        uint8_t *bytes = t_fetch(b, 0, 0, next, 150 * 1000, 0, &fp);
        for (at = 0; fp.bytes - at >= BATCH_HEADER_SIZE && batch_size(bytes + at) <= fp.bytes - at;
             at += batch_size(bytes + at))
            next = batch_base_offset(bytes + at) + batch_last_offset_delta(bytes + at) + 1;
        cold_served += fp.bytes;
        free(bytes);
    }
    cold_read = sim_world_stats(b->w)->bytes_read - before;
    log_bytes = log_size_bytes(t_log(b, 0, 0));
}

// A sequential reader costs the log's bytes once, although its pieces overlap, and no look around in the file for each.
static void readers_in_order(struct broker *b)
{
    direct_on(b);
    t_boot_ok(b);
    t_run(b, large_and_small);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, read_in_order);
    assert_true(cold_served > 40 * BIG);
    assert_in_range(cold_read, log_bytes, log_bytes + log_bytes / 50);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(readers_in_order, 5)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(around_the_journal), T_SIM_ENTRY(torn_is_the_end),  T_SIM_ENTRY(confirmed_must_hold),
        T_SIM_ENTRY(confirmed_by_another),  T_SIM_ENTRY(readers_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
