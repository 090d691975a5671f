// Shortage: little memory, a full disk, a broken disk, long validation, stops and deletions under load. What is asked is
// answered once, nothing is lost, nothing leaks, and it ends.
#include "shard_test.h"

#include "engine/base/kerr.h"

enum { MANY = 40 };

// `n` appends to the partitions of topic 0 at once. Errors are counted, successes claimed.
static uint32_t storm(struct broker *b, uint32_t n, uint32_t value, bool flat, uint8_t codec, int16_t allowed)
{
    struct t_append *x = calloc(n, sizeof(*x));
    uint32_t failed = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct t_spec s = {.records = 1, .value = value, .timestamp = 1, .flat = flat, .codec = codec};
        uint32_t bytes;
        uint8_t *batch = t_batch(b, &s, &bytes);
        t_append_start(b, &x[i], 0, (int32_t)(i % b->topics[0].parts_n), batch, bytes, 1, -1);
    }
    for (uint32_t i = 0; i < n; i++) {
        int16_t error = t_append_end(b, &x[i]);
        assert_true(error == 0 || error == allowed);
        failed += error != 0;
    }
    free(x);
    return failed;
}

// ---- memory -----------------------------------------------------------------------------------------------------------------
// 2 MiB for the tails of 8 partitions and 20 MB in flight: appends wait for write-back, of other logs too, and all succeed.
static void storm_in_little_memory(struct broker *b)
{
    struct log_config c = t_log_config();
    assert_int_equal(t_open(b, 0, "memory", 8, &c), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(storm(b, 60, 90000, false, 0, 0), 0);
        assert_int_equal(storm(b, 60, 700, false, 0, 0), 0);
        assert_int_equal(storm(b, 3, 900000, false, 0, 0), 0);
    }
    t_verify_all(b, false);
}

static void memory(struct broker *b)
{
    b->cfg.tail_pool_bytes = 2 << 20;
    b->cfg.read_pool_bytes = 2 << 20;
    b->cfg.dirty_bytes = 64 << 20; // write-back comes when memory is wanted
    b->cfg.writeback_age_ms = 100000;
    t_boot_ok(b);
    t_run(b, storm_in_little_memory);
    struct buf_pool_stats s;
    buf_pool_get_stats(b->s->env.tail_pool, &s);
    assert_true(s.refused > 0);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, storm_in_little_memory);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(memory, 61)

// ---- pieces -------------------------------------------------------------------------------------------------------------------
// Many slow logs leave a pool that is full of small pieces. A fast one that comes then has large extents all the same: its
// batches lie in few pieces, which are few iovecs of a write and of a send.
static void slow_then_fast(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 1, .value = 200000, .timestamp = 1};
    struct shard_fetch_part fp;
    int64_t last = 0;
    assert_int_equal(t_open(b, 0, "slow", T_PARTS, &c), 0);
    assert_int_equal(t_open(b, 1, "fast", 1, &c), 0);
    for (int i = 0; i < 60; i++)
        assert_int_equal(storm(b, 4 * MANY, 2500, false, 0, 0), 0);
    for (int i = 0; i < 60; i++)
        assert_int_equal(t_produce(b, 1, 0, &s, &last), 0);
    free(t_fetch(b, 1, 0, last - 4, 1100000, 0, &fp));
    assert_true(fp.bytes > 5 * 200000);
    assert_true(fp.pieces_n <= 8);
    t_verify_all(b, false);
}

static void pieces(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, slow_then_fast);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(pieces, 67)

// ---- long validation ----------------------------------------------------------------------------------------------------------
static void delete_topic(void *arg)
{
    struct broker *b = arg;
    assert_int_equal(t_delete(b, 0), 0);
    b->rc = 1;
}

// Compressed batches whose records are 30 MB: walked in slices, others go on between, and a deletion in the middle ends them.
static void bombs(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_append x[6];
    assert_int_equal(t_open(b, 0, "bombs", 2, &c), 0);
    assert_int_equal(t_open(b, 1, "small", 1, &c), 0);
    assert_int_equal(storm(b, 6, 30 << 20, true, BATCH_CODEC_ZSTD, 0), 0);
    t_verify_all(b, false);
    for (int i = 0; i < 6; i++) {
        struct t_spec s = {
            .records = 1, .value = 30 << 20, .timestamp = 1, .flat = true, .codec = BATCH_CODEC_GZIP};
        uint32_t bytes;
        uint8_t *batch = t_batch(b, &s, &bytes);
        t_append_start(b, &x[i], 0, i % 2, batch, bytes, 1, -1);
    }
    struct t_spec s = {.records = 1, .value = 100, .timestamp = 1};
    assert_int_equal(t_produce(b, 1, 0, &s, NULL), 0);
    assert_false(x[5].call.done); // it did not wait for all of them
    b->rc = 0;
    assert_non_null(fiber_spawn(b->r, delete_topic, b, 0));
    for (int i = 0; i < 6; i++) {
        x[i].call.f = fiber_current();
        fiber_park_until(&x[i].call.done);
        assert_true(x[i].part.error == 0 || x[i].part.error == KERR_UNKNOWN_TOPIC_OR_PARTITION);
        free(x[i].part.records);
    }
    while (!b->rc)
        fiber_yield();
    assert_int_equal(t_produce(b, 1, 0, &s, NULL), 0);
    t_verify_all(b, false);
}

static void slices(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, bombs);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(slices, 62)

// ---- a full disk ----------------------------------------------------------------------------------------------------------------
static void fill_disk(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 256 << 10;
    assert_int_equal(t_open(b, 0, "space", 2, &c), 0);
    assert_int_equal(storm(b, 10, 5000, false, 0, 0), 0);
    sim_disk_set_capacity(b->host, sim_disk_used(b->host) + (300 << 10));
    uint32_t failed = 0;
    for (int i = 0; i < 30; i++)
        failed += storm(b, 10, 5000, false, 0, KERR_KAFKA_STORAGE_ERROR);
    assert_true(failed > 0);
    t_verify_all(b, true); // consumers are served
    sim_disk_set_capacity(b->host, 0);
    fiber_sleep(2 * T_SECOND);
    assert_int_equal(storm(b, 20, 5000, false, 0, 0), 0); // it heals
    t_verify_all(b, true);
}

static void full_disk(struct broker *b)
{
    b->cfg.journal.file_bytes = 256 << 10;
    b->cfg.journal.first_file_bytes = 256 << 10;
    t_boot_ok(b);
    t_run(b, fill_disk);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, fill_disk);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(full_disk, 63)

// A start finds the disk as full as `fill` left it.
static void from_full_disk(struct broker *b, void (*fill)(struct broker *b), void (*then)(struct broker *b))
{
    b->cfg.journal.file_bytes = b->cfg.journal.first_file_bytes = 256 << 10;
    b->cfg.retention_check_ms = 1000;
    t_boot_ok(b);
    t_run(b, fill);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, then);
    assert_int_equal(t_stop(b), 0);
}

// What an operator does then: deletes records. Those segments whose bytes reached the disk go, though the last could not be written.
static void fill_segments(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 64 << 10;
    c.file_delete_delay_ms = 500;
    assert_int_equal(t_open(b, 0, "space", 1, &c), 0);
    assert_int_equal(storm(b, 200, 5000, false, 0, 0), 0);
    fiber_sleep(2 * T_SECOND);
    sim_disk_set_capacity(b->host, sim_disk_used(b->host));
}

// All is too old, the segment that is appended to as well, and there is no space for another one.
static bool by_time;

static void delete_what_fills(struct broker *b)
{
    struct log_ends e;
    struct log_config c = b->topics[0].config;
    uint32_t failed = 0;
    for (int i = 0; i < 60; i++)
        failed += storm(b, 10, 5000, false, 0, KERR_KAFKA_STORAGE_ERROR);
    assert_true(failed > 0);
    log_get_ends(t_log(b, 0, 0), &e);
    c.deletes = true;
    c.retention_ms = 1000;
    if (by_time)
        log_set_config(t_log(b, 0, 0), &c);
    else
        assert_int_equal(t_delete_records(b, e.high_watermark, NULL), 0);
    fiber_sleep(5 * T_SECOND);
    assert_int_equal(storm(b, 100, 5000, false, 0, 0), 0);
}

static void deletion_makes_space(struct broker *b)
{
    from_full_disk(b, fill_segments, delete_what_fills);
}
T_SIM(deletion_makes_space, 69)

static void retention_makes_space(struct broker *b)
{
    by_time = true;
    deletion_makes_space(b);
    by_time = false;
}
T_SIM(retention_makes_space, 71)

// A roll that finds no space leaves nothing behind: what is appended to the old segment in its place is read after a start.
static void fail_roll(struct broker *b)
{
    struct t_spec small = {.records = 1, .value = 1000, .timestamp = 1},
                  half = {.records = 1, .value = 30000, .timestamp = 1}, // no file is made ahead yet
        large = {.records = 1, .value = 40000, .timestamp = 1};
    struct log_config c = t_log_config();
    c.segment_bytes = 64 << 10;
    assert_int_equal(t_open(b, 0, "roll", 1, &c), 0);
    assert_int_equal(t_produce(b, 0, 0, &half, NULL), 0);
    sim_disk_set_capacity(b->host, sim_disk_used(b->host));
    assert_int_equal(t_produce(b, 0, 0, &large, NULL), KERR_KAFKA_STORAGE_ERROR);
    assert_int_equal(t_produce(b, 0, 0, &small, NULL), 0);
    assert_int_equal(t_produce(b, 0, 0, &small, NULL), 0);
    sim_disk_set_capacity(b->host, 0);
    assert_int_equal(log_segment_count(t_log(b, 0, 0)), 1);
    if (b->rc)
        return;
    assert_int_equal(t_produce(b, 0, 0, &large, NULL), 0);
    assert_int_equal(t_produce(b, 0, 0, &small, NULL), 0);
}

static void read_each(struct broker *b)
{
    struct shard_fetch_part fp;
    int64_t n = b->topics[0].parts[0].n;
    for (int64_t at = 0; at < n; at++) {
        uint8_t *bytes = t_fetch(b, 0, 0, at, 1, 0, &fp);
        assert_int_equal(fp.high_watermark, n);
        assert_int_equal(batch_base_offset(bytes), at);
        free(bytes);
    }
    t_verify_all(b, false);
}

// `leave`: no other roll comes, so that the failed one would be the last. `how`: clean stop, kill, power cut.
static void failed_roll(void **state)
{
    for (int i = 0; i < 6; i++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, 90 + (uint64_t)i);
        t_boot_ok(b);
        b->rc = i % 2;
        t_run(b, fail_roll);
        b->rc = 0;
        if (i < 2)
            assert_int_equal(t_stop(b), 0);
        else
            t_crash(b, i < 4);
        t_boot_ok(b);
        t_run(b, read_each);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// Killed on a full disk, and started on it: what is there is served, and what was kept back for that is enough.
static void fill_up(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 256 << 10;
    assert_int_equal(t_open(b, 0, "start", 2, &c), 0);
    assert_int_equal(storm(b, 10, 5000, false, 0, 0), 0);
    fiber_sleep(2 * T_SECOND); // the ballast is there
    sim_disk_set_capacity(b->host, sim_disk_used(b->host) + (300 << 10));
    uint32_t failed = 0;
    for (int i = 0; i < 30; i++)
        failed += storm(b, 10, 5000, false, 0, KERR_KAFKA_STORAGE_ERROR);
    assert_true(failed > 0);
    sim_disk_set_capacity(b->host, sim_disk_used(b->host));
}

static void read_all(struct broker *b)
{
    t_verify_all(b, true);
}

static void space_returns(struct broker *b)
{
    sim_disk_set_capacity(b->host, 0);
    fiber_sleep(40 * T_SECOND);
    assert_int_equal(storm(b, 20, 5000, false, 0, 0), 0);
    t_verify_all(b, true);
}

static void start_on_full_disk(void **state)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, 80 + seed);
        b->cfg.journal.file_bytes = b->cfg.journal.first_file_bytes = 256 << 10;
        t_boot_ok(b);
        t_run(b, fill_up);
        t_crash(b, seed % 2);
        t_boot_ok(b);
        t_run(b, read_all);
        t_run(b, space_returns);
        t_crash(b, seed % 2);
        t_boot_ok(b);
        t_run(b, read_all);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// Records are deleted one by one on a disk that stays full, until the one journal file that there is has no room to say so:
// each request is answered all the same, and what was not done in time is done once there is space.
static void trim_for_ever(struct broker *b)
{
    struct log_ends e;
    int16_t error = 0;
    int64_t asked = 0;
    struct log *l = t_log(b, 0, 0);
    for (int i = 0; i < 30; i++)
        (void)storm(b, 10, 5000, false, 0, KERR_KAFKA_STORAGE_ERROR);
    log_get_ends(l, &e);
    while (!error && asked < e.high_watermark)
        error = t_delete_records(b, ++asked, NULL);
    assert_int_equal(error, KERR_REQUEST_TIMED_OUT);
    log_get_ends(l, &e);
    assert_int_equal(e.log_start, asked - 1);
    assert_int_equal(t_delete_records(b, asked - 1, NULL), 0); // is done
    assert_int_equal(t_delete_records(b, asked, NULL), KERR_REQUEST_TIMED_OUT);
    (void)log_retain(l);
    log_get_ends(l, &e);
    assert_int_equal(e.log_start, asked - 1);
    sim_disk_set_capacity(b->host, 0);
    fiber_sleep(12 * T_SECOND);
    log_get_ends(l, &e);
    assert_int_equal(e.log_start, asked);
    assert_int_equal(t_delete_records(b, asked, NULL), 0);
}

static void trims_on_full_disk(struct broker *b)
{
    from_full_disk(b, fill_up, trim_for_ever);
}
T_SIM(trims_on_full_disk, 68)

// ---- room that does not come ------------------------------------------------------------------------------------------------------
// A disk that takes twenty seconds for a write: the memory for appends is full, and what is held for it hears so in time.
static void wait_for_room(struct broker *b)
{
    enum { N = 60 };
    struct log_config c = t_log_config();
    struct t_append x[N];
    uint32_t held = 0, answered = 0;
    assert_int_equal(t_open(b, 0, "slow", 2, &c), 0);
    for (int i = 0; i < N; i++) {
        struct t_spec s = {.records = 1, .value = 90000, .timestamp = 1};
        uint32_t bytes;
        uint8_t *batch = t_batch(b, &s, &bytes);
        t_append_start(b, &x[i], 0, i % 2, batch, bytes, 1, -1);
    }
    fiber_sleep(12 * T_SECOND);
    for (int i = 0; i < N; i++)
        held += x[i].call.done && x[i].part.error == KERR_KAFKA_STORAGE_ERROR && x[i].part.refused;
    assert_true(held > 0);
    for (int i = 0; i < N; i++)
        answered += t_append_end(b, &x[i]) == 0;
    assert_int_equal(answered + held, N); // what had room was only slow
    assert_true(answered > 0);
    fiber_sleep(120 * T_SECOND);
    assert_int_equal(storm(b, 4, 90000, false, 0, 0), 0); // and it goes on
    t_verify_all(b, false);
}

static void no_room(struct broker *b)
{
    struct sim_config c;
    sim_world_destroy(b->w);
    sim_config_default(&c, 65);
    c.disk_write = (struct sim_latency){20 * T_SECOND, 21 * T_SECOND, 0, 0};
    b->w = sim_world_create(&c);
    b->host = sim_host_create(b->w);
    b->cfg.tail_pool_bytes = 2 << 20;
    b->cfg.read_pool_bytes = 2 << 20;
    b->cfg.journal.file_bytes = b->cfg.journal.first_file_bytes = 4 << 20;
    t_boot_ok(b);
    t_run(b, wait_for_room);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(no_room, 65)

// A log whose full segment is being sealed, on a disk where a sync takes long, is the one that has been dirty for the longest
// time. Appends to another that need memory do not wait for it: they would be refused in the end.
static void beside_a_seal(struct broker *b)
{
    enum { N = 40 };
    struct log_config c = t_log_config();
    struct t_append x[N];
    struct t_spec s = {.records = 1, .value = 90000, .timestamp = 1};
    assert_int_equal(t_open(b, 1, "other", 1, &c), 0);
    assert_int_equal(t_produce(b, 1, 0, &s, NULL), 0);
    c.segment_bytes = 1 << 20;
    assert_int_equal(t_open(b, 0, "sealed", 1, &c), 0);
    for (int i = 0; i < 13; i++)
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    for (int i = 0; i < N; i++) {
        uint32_t bytes;
        uint8_t *batch = t_batch(b, &s, &bytes);
        t_append_start(b, &x[i], 1, 0, batch, bytes, 1, -1);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(t_append_end(b, &x[i]), 0);
    t_verify_all(b, false);
}

static void slow_seal(struct broker *b)
{
    struct sim_config c;
    sim_world_destroy(b->w);
    sim_config_default(&c, 66);
    c.disk_sync = (struct sim_latency){5 * T_SECOND, 6 * T_SECOND, 0, 0};
    b->w = sim_world_create(&c);
    b->host = sim_host_create(b->w);
    b->cfg.tail_pool_bytes = 2 << 20;
    b->cfg.read_pool_bytes = 2 << 20;
    b->cfg.dirty_bytes = 64 << 20;
    b->cfg.writeback_age_ms = 100000;
    t_boot_ok(b);
    t_run(b, beside_a_seal);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(slow_seal, 66)

// ---- a broken disk ----------------------------------------------------------------------------------------------------------------
static void break_disk(struct broker *b)
{
    struct log_config c = t_log_config();
    struct shard_fetch_part fp;
    assert_int_equal(t_open(b, 0, "broken", 4, &c), 0);
    assert_int_equal(storm(b, 20, 3000, false, 0, 0), 0);
    sim_world_faults(b->w)->eio_write = 300000;
    uint32_t failed = 0;
    for (int i = 0; i < 20 && !failed; i++)
        failed = storm(b, MANY, 3000, false, 0, KERR_KAFKA_STORAGE_ERROR);
    assert_true(failed > 0);
    sim_world_faults(b->w)->eio_write = 0;
    assert_int_equal(storm(b, 10, 3000, false, 0, KERR_KAFKA_STORAGE_ERROR), 10); // never retried
    free(t_fetch(b, 0, 0, 0, 1000, 0, &fp));
    assert_int_equal(fp.error, KERR_KAFKA_STORAGE_ERROR);
    assert_int_equal(t_delete(b, 0),
                     0); // that ends, too: what is left belongs to no topic when the disk is back
    b->topics[0].parts_n = 4;
}

static void recovered(struct broker *b)
{
    for (int32_t k = 0; k < 4; k++)
        b->topics[0].parts[k].n = 0; // t_delete forgot the claims
    t_verify_all(b, true);
}

// Another shard of the directory met the error: this one is offline as soon as it has something to do.
static void fail_elsewhere(struct broker *b)
{
    struct log_config c = t_log_config();
    assert_int_equal(t_open(b, 0, "broken", 4, &c), 0);
    assert_int_equal(storm(b, 20, 3000, false, 0, 0), 0);
    store_fail(b->store, -EIO);
    storm(b, 4, 3000, false, 0, KERR_KAFKA_STORAGE_ERROR);
    fiber_sleep(T_SECOND);
    assert_int_equal(storm(b, 10, 3000, false, 0, KERR_KAFKA_STORAGE_ERROR), 10);
}

static void broken_elsewhere(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, fail_elsewhere);
    assert_true(t_stop(b) != 0);
    t_boot_ok(b);
    t_run(b, read_all);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(broken_elsewhere, 78)

static void broken_disk(void **state)
{
    for (uint64_t seed = 1; seed < 8; seed++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, 70 + seed);
        t_boot_ok(b);
        t_run(b, break_disk);
        assert_true(t_stop(b) != 0); // not a clean stop
        t_boot_ok(b);
        assert_int_equal(b->kind, STORE_OURS);
        t_run(b, recovered);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// ---- stops under load ---------------------------------------------------------------------------------------------------------
static struct t_append flying[MANY];

static void take_off(struct broker *b)
{
    struct log_config c = t_log_config();
    assert_int_equal(t_open(b, 0, "flying", 3, &c), 0);
    for (int i = 0; i < MANY; i++) {
        struct t_spec s = {.records = 1, .value = 40000, .timestamp = 1};
        uint32_t bytes;
        uint8_t *batch = t_batch(b, &s, &bytes);
        t_append_start(b, &flying[i], 0, i % 3, batch, bytes, 1, -1);
    }
}

static void all_there(struct broker *b)
{
    t_verify_all(b, false);
}

static void stop_under_load(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, take_off);
    assert_int_equal(t_stop(b), 0);
    for (int i = 0; i < MANY; i++) {
        assert_true(flying[i].call.done);
        int16_t error = flying[i].part.error;
        assert_true(error == 0 || error == KERR_NOT_LEADER_OR_FOLLOWER);
        if (!error)
            t_claim(b, &flying[i]);
        free(flying[i].part.records);
    }
    t_boot_ok(b);
    t_run(b, all_there);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(stop_under_load, 64)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(memory),
        T_BOTH_ENTRIES(pieces),
        T_BOTH_ENTRIES(slices),
        T_SIM_ENTRY(full_disk),
        T_SIM_ENTRY(deletion_makes_space),
        T_SIM_ENTRY(retention_makes_space),
        T_SIM_ENTRY(trims_on_full_disk),
        cmocka_unit_test(failed_roll),
        cmocka_unit_test(start_on_full_disk),
        T_SIM_ENTRY(no_room),
        T_SIM_ENTRY(slow_seal),
        T_SIM_ENTRY(broken_elsewhere),
        cmocka_unit_test(broken_disk),
        T_BOTH_ENTRIES(stop_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
