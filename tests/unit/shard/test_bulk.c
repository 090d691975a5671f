// Many logs made, and closed, under one sync of their file system (engine/log/bulk.h).
#include "tests/unit/shard/shard_test.h"

enum { SEEDS = 20 };

static uint64_t syncs(struct broker *b)
{
    return io_counter(b->io, IO_CTR_FSYNCS);
}

static void produce_some(struct broker *b, uint32_t parts)
{
    for (uint32_t i = 0; i < parts; i++) {
        struct t_spec s = {.records = 3, .value = 200 + 700 * i};
        assert_int_equal(t_produce(b, 0, (int)i, &s, NULL), 0);
    }
}

static struct log_config small(void)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 16384;
    return c;
}

static void made_part(struct broker *b)
{
    struct log_config c = small();
    uint64_t before = syncs(b);
    assert_int_equal(t_open(b, 0, "many", T_PARTS, &c), 0);
    // The file system, what empties the drive's cache, and the journal's files, which are made meanwhile: not two each.
    assert_in_range(syncs(b) - before, 2, 2 * T_PARTS - 1);
    before = syncs(b);
    assert_int_equal(t_open(b, 1, "few", 3, &c), 0);
    assert_in_range(syncs(b) - before, 7, 12); // each file and its directory, and the parent
    produce_some(b, T_PARTS);
    t_verify_all(b, false);
}

static void verify_part(struct broker *b)
{
    t_verify_all(b, false);
}

static void made_and_closed(struct broker *b)
{
    b->cfg.bulk_logs = 4;
    t_boot_ok(b);
    t_run(b, made_part);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    assert_int_equal(b->kind, STORE_CLEAN);
    t_run(b, verify_part);
    assert_int_equal(t_stop(b), 0);
}

T_BOTH(made_and_closed, 1)

static void open_part(struct broker *b)
{
    struct log_config c = small();
    assert_int_equal(t_open(b, 0, "many", T_PARTS, &c), 0);
}

static void fill_part(struct broker *b)
{
    produce_some(b, T_PARTS);
}

// The power goes as soon as the topic was made, or the stop was clean: both hold.
static void power_goes_behind(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, seed);
        b->cfg.bulk_logs = 1;
        t_boot_ok(b);
        t_run(b, open_part);
        t_crash(b, true);
        t_boot_ok(b);
        for (int i = 0; i < T_PARTS; i++)
            assert_non_null(t_log(b, 0, i));
        t_run(b, fill_part);
        assert_int_equal(t_stop(b), 0);
        sim_power_cut(b->host);
        t_boot_ok(b);
        assert_int_equal(b->kind, STORE_CLEAN);
        t_run(b, verify_part);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// A sync that fails is not tried again: the directory is offline (S8).
static void refused_part(struct broker *b)
{
    struct log_config c = small();
    sim_world_faults(b->w)->eio_sync = 1000000;
    assert_int_equal(t_open(b, 0, "many", T_PARTS, &c), KERR_KAFKA_STORAGE_ERROR);
    sim_world_faults(b->w)->eio_sync = 0;
    assert_int_equal(t_open(b, 1, "again", T_PARTS, &c), KERR_KAFKA_STORAGE_ERROR);
}

static void a_failed_sync_is_the_end(struct broker *b)
{
    b->cfg.bulk_logs = 1;
    t_boot_ok(b);
    t_run(b, refused_part);
    assert_int_equal(t_stop(b), -EIO);
}
T_SIM(a_failed_sync_is_the_end, 3)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(made_and_closed),
        cmocka_unit_test(power_goes_behind),
        T_SIM_ENTRY(a_failed_sync_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
