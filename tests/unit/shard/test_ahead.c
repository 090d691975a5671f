// Segment files that are made ahead of the rolls that take them (engine/log/ahead.c), what a crash, a stop or a full disk makes of
// them, and sealing a few at a time (later.h).
#include "tests/unit/shard/shard_test.h"

#include "engine/log/ahead.h"

enum { SEGMENT = 64 << 10, LARGE = 20 * 1000 };
#define SPARE "/data/t-0/00000000000000000000.spare.deleted"

static struct broker *up(uint64_t seed)
{
    struct broker *b = malloc(sizeof(*b));
    t_sim(b, seed);
    b->cfg.writeback_age_ms = 1000 * 1000; // nothing is written back unless a test says so
    b->cfg.dirty_bytes = 1 << 30;
    b->cfg.journal.first_file_bytes = b->cfg.journal.file_bytes; // nor is there a checkpoint
    t_boot_ok(b);
    return b;
}

static void down(struct broker *b)
{
    assert_int_equal(t_stop(b), 0);
    t_down(b);
    free(b);
}

static void open_topic(struct broker *b, uint32_t parts)
{
    struct log_config c = t_log_config();
    c.segment_bytes = SEGMENT;
    assert_int_equal(t_open(b, 0, "t", parts, &c), 0);
}

static int16_t append(struct broker *b, int32_t part, uint32_t bytes)
{
    struct t_spec s = {.records = 1, .value = bytes, .timestamp = 1};
    return t_produce(b, 0, part, &s, NULL);
}

static void wait_ms(uint64_t ms)
{
    fiber_sleep(ms * 1000 * 1000);
}

static struct log_segments segments(struct broker *b, int32_t part)
{
    struct log_segments x;
    log_get_segments(t_log(b, 0, part), &x);
    return x;
}

static int64_t end_of(struct broker *b)
{
    struct log_ends e;
    log_get_ends(t_log(b, 0, 0), &e);
    return e.appended_end;
}

// Until its spare is there, which has had the time to be made.
static void fill(struct broker *b, int32_t part)
{
    do
        assert_int_equal(append(b, part, 4000), 0);
    while (segments(b, part).size < segments(b, part).spare_at);
    for (int i = 0; i < 500 && !segments(b, part).spare; i++)
        wait_ms(1);
}

static void roll(struct broker *b, int32_t part)
{
    uint32_t n = segments(b, part).n;
    while (segments(b, part).n == n)
        assert_int_equal(append(b, part, 4000), 0);
}

// The active segment has no name yet, and gets none by itself.
static void roll_unnamed(struct broker *b)
{
    open_topic(b, 1);
    b->s->env.names.most = 0;
    b->s->env.seals.most = 0;
    fill(b, 0);
    roll(b, 0);
    assert_false(segments(b, 0).named);
    assert_int_equal(append(b, 0, 3000), 0);
}

static void new_path(struct broker *b, char *out, size_t cap)
{
    snprintf(out, cap, "/data/t-0/%020lld.log", (long long)segments(b, 0).base);
}

static void verify(struct broker *b)
{
    t_verify_all(b, true);
    assert_int_equal(append(b, 0, 10), 0);
    t_verify_all(b, true);
}

static void count_spares(void *arg, const char *path, uint64_t size)
{
    *(int *)arg += strstr(path, ".spare.") != NULL;
}

static int spares(struct broker *b)
{
    int n = 0;
    sim_disk_walk(b->host, "/data", count_spares, &n);
    return n;
}

// ---- the roll ---------------------------------------------------------------------------------------------------------------
static void takes_it(struct broker *b)
{
    char path[1500];
    open_topic(b, 1);
    fill(b, 0);
    struct log *l = t_log(b, 0, 0);
    assert_true(segments(b, 0).spare && sim_disk_size(b->host, SPARE) == SEGMENT);
    assert_int_equal(b->s->env.files.spares, 1);
    b->s->env.names.most = b->s->env.seals.most = 0;
    wait_ms(500); // for what else is under way
    const struct sim_stats *st = sim_world_stats(b->w);
    uint64_t names = st->meta_ops, syncs = st->syncs;
    roll(b, 0);
    assert_true(st->meta_ops == names && st->syncs == syncs); // the append waited for nothing but the journal
    assert_int_equal(b->s->env.files.spares, 0);
    new_path(b, path, sizeof(path));
    assert_int_equal(sim_disk_size(b->host, path), -ENOENT);
    b->s->env.names.most = 1;
    fill(b, 0); // another is asked for
    assert_int_equal(sim_disk_size(b->host, path), -ENOENT);
    ahead_name_later(l); // it waits for its turn already: no second one
    roll(b, 0);
    wait_ms(500);
    assert_true(segments(b, 0).named);
    assert_true(sim_disk_size(b->host, path) > 0);
    assert_int_equal(spares(b), 0);
    t_verify_all(b, false);
}

static void test_takes_it(void **state)
{
    struct broker *b = up(1);
    t_run(b, takes_it);
    down(b);
}

// ---- no name, no direct write (S9) ----------------------------------------------------------------------------------------------
static void goes_inline(struct broker *b)
{
    roll_unnamed(b);
    const struct journal_stats *st = journal_get_stats(b->s->journal);
    uint64_t before = st->direct_bytes;
    assert_int_equal(append(b, 0, LARGE), 0);
    assert_int_equal(st->direct_bytes, before);
    assert_int_equal(ahead_name(t_log(b, 0, 0)), 0);
    assert_int_equal(append(b, 0, LARGE), 0);
    assert_true(st->direct_bytes > before);
    t_verify_all(b, false);
}

static void test_goes_inline(void **state)
{
    struct broker *b = up(2);
    b->s->env.direct.cfg = (struct direct_config){.min = 16 << 10, .flying = 2};
    t_run(b, goes_inline);
    down(b);
}

// ---- whatever needs the name gives it -------------------------------------------------------------------------------------------
static void written_back(struct broker *b)
{
    char path[1500];
    roll_unnamed(b);
    new_path(b, path, sizeof(path));
    t_cool(b, 0, 0);
    assert_true(segments(b, 0).named);
    assert_int_equal(sim_disk_size(b->host, path), SEGMENT);
    t_verify_all(b, false);
}

static void test_written_back(void **state)
{
    struct broker *b = up(3);
    t_run(b, written_back);
    down(b);
}

static void test_stopped(void **state)
{
    struct broker *b = up(4);
    t_run(b, roll_unnamed);
    t_run(b, verify);
    assert_int_equal(t_stop(b), 0);
    assert_int_equal(spares(b), 0);
    t_boot_ok(b);
    assert_int_equal(b->kind, STORE_CLEAN);
    t_run(b, verify);
    down(b);
}

static void spare_waits(struct broker *b)
{
    open_topic(b, 1);
    fill(b, 0);
    assert_int_equal(spares(b), 1);
}

// A spare that was never taken goes with a clean stop, and with the start behind a crash.
static void test_not_taken(void **state)
{
    struct broker *b = up(5);
    t_run(b, spare_waits);
    t_crash(b, false);
    assert_int_equal(spares(b), 1);
    t_boot_ok(b);
    assert_int_equal(spares(b), 0);
    t_run(b, verify);
    t_run(b, spare_waits);
    assert_int_equal(t_stop(b), 0);
    assert_int_equal(spares(b), 0);
    t_boot_ok(b);
    t_run(b, verify);
    down(b);
}

static void delete_unnamed(struct broker *b)
{
    roll_unnamed(b);
    fill(b, 0); // and another spare
    assert_int_equal(spares(b), 2);
    assert_int_equal(t_delete(b, 0), 0);
    for (int i = 0; i < 1000 && spares(b); i++) // its directory goes behind the answer
        fiber_sleep(1000 * 1000);
    assert_int_equal(spares(b), 0);
    assert_int_equal(b->s->env.files.spares, 0);
    assert_true(list_empty(&b->s->env.names.waiting) && list_empty(&b->s->env.seals.waiting));
}

static void test_deleted(void **state)
{
    struct broker *b = up(6);
    t_run(b, delete_unnamed);
    down(b);
}

// ---- crashes ----------------------------------------------------------------------------------------------------------------
// Of the new segment nothing is there but what the journal holds: all of it, from its first byte on.
static void crash_unnamed(uint64_t seed, bool power)
{
    struct broker *b = up(seed);
    char path[1500];
    t_run(b, roll_unnamed);
    new_path(b, path, sizeof(path));
    t_crash(b, power);
    assert_int_equal(sim_disk_size(b->host, path), -ENOENT);
    t_boot_ok(b);
    assert_true(sim_disk_size(b->host, path) > 0);
    assert_int_equal(spares(b), 0);
    t_run(b, verify);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, verify);
    down(b);
}

static void test_killed(void **state)
{
    crash_unnamed(7, false);
}

static void test_power_cut(void **state)
{
    for (uint64_t seed = 8; seed < 14; seed++)
        crash_unnamed(seed, true);
}

// DeleteRecords up to the middle of an unnamed segment: the old one goes, and then the power.
static void trim_unnamed(struct broker *b)
{
    struct log_ends e;
    struct log *l;
    uint64_t sequence;
    roll_unnamed(b);
    l = t_log(b, 0, 0);
    log_get_ends(l, &e);
    assert_int_equal(log_fence_start(l, e.high_watermark - 1, &sequence), 0);
    assert_int_equal(log_start_fenced(l, e.high_watermark - 1, sequence, UINT64_MAX), 0);
    assert_int_equal(log_retain(l), 1);
    assert_int_equal(log_segment_count(l), 1);
    t_forget(b, 0, 0, e.high_watermark - 1);
}

static void test_trimmed(void **state)
{
    struct broker *b = up(14);
    t_run(b, trim_unnamed);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, verify);
    down(b);
}

// Many rolls, over the kernel too.
static void many(struct broker *b)
{
    open_topic(b, 4);
    for (int i = 0; i < 12; i++)
        for (int32_t k = 0; k < 4; k++) {
            fill(b, k);
            roll(b, k);
        }
    assert_int_equal(metrics_value(metrics_at(b->metrics, 0), METRIC_SEGMENTS_AHEAD), 48);
    t_verify_all(b, false);
}

static void many_rolls(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, many);
    t_crash(b, false);
    t_boot_ok(b);
    t_run(b, verify);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    assert_int_equal(b->kind, STORE_CLEAN);
    t_run(b, verify);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(many_rolls, 19)

// ---- shortages -----------------------------------------------------------------------------------------------------------------
static void no_space(struct broker *b)
{
    sim_world_faults(b->w)->enospc = 1000 * 1000;
    while (segments(b, 0).size < segments(b, 0).spare_at)
        assert_int_equal(append(b, 0, 2000), 0);
    wait_ms(500);
    assert_false(segments(b, 0).spare);
    assert_int_equal(spares(b), 0);
    sim_world_faults(b->w)->enospc = 0;
    roll(b, 0); // makes its file itself
    assert_true(segments(b, 0).named);
    t_verify_all(b, false);
}

// Space for the whole of the first segment is there, and for no other.
static void first_segment(struct broker *b)
{
    open_topic(b, 1);
    assert_int_equal(append(b, 0, 10), 0);
    while (segments(b, 0).allocated < SEGMENT) {
        assert_int_equal(append(b, 0, 1000), 0);
        wait_ms(10);
    }
}

static void test_no_space(void **state)
{
    struct broker *b = up(15);
    t_run(b, first_segment);
    t_run(b, no_space);
    down(b);
}

// A batch for which the spare has not the space, nor the disk: the spare is kept, and the log goes on in its old segment.
static void give_back(struct broker *b)
{
    open_topic(b, 1);
    fill(b, 0);
    int64_t end = end_of(b);
    sim_world_faults(b->w)->enospc = 1000 * 1000;
    assert_int_not_equal(append(b, 0, 2 * SEGMENT), 0);
    assert_true(segments(b, 0).spare);
    assert_int_equal(b->s->env.files.spares, 1);
    assert_int_equal(segments(b, 0).n, 1);
    sim_world_faults(b->w)->enospc = 0;
    assert_int_equal(append(b, 0, 10), 0);
    assert_int_equal(end_of(b), end + 1);
    roll(b, 0);
    assert_int_equal(b->s->env.files.spares, 0);
    t_verify_all(b, false);
}

static void test_given_back(void **state)
{
    struct broker *b = malloc(sizeof(*b));
    t_sim(b, 16);
    t_boot_ok(b);
    t_run(b, give_back);
    assert_int_equal(spares(b), 0);
    down(b);
}

static void test_limit(void **state)
{
    struct files f = {.max = 40, .n = 15, .spares = 19};
    assert_true(files_allow_spare(&f));
    f.spares = 20; // half
    assert_false(files_allow_spare(&f));
    f.spares = 9;
    f.n = 31; // no room
    assert_false(files_allow_spare(&f));
    f.max = 0;
    assert_true(files_allow_spare(&f));
}

// ---- a few at a time -------------------------------------------------------------------------------------------------------------
static uint32_t unfinished(struct broker *b)
{
    uint32_t n = 0;
    for (int32_t i = 0; i < T_PARTS; i++)
        n += segments(b, i).n - 1 - segments(b, i).finished;
    return n;
}

static void seal_all(struct broker *b)
{
    open_topic(b, T_PARTS);
    b->s->env.seals.most = 0;
    for (int32_t i = 0; i < T_PARTS; i++) {
        fill(b, i);
        roll(b, i);
    }
    wait_ms(500);
    assert_int_equal(unfinished(b), T_PARTS);
    b->s->env.seals.most = 2;
    roll(b, 0); // its seal finds the others waiting
    uint32_t most = 0;
    for (int i = 0; i < 10000 && unfinished(b); i++) {
        most = SL_MAX(most, b->s->env.seals.running);
        fiber_yield();
        wait_ms(1);
    }
    assert_int_equal(unfinished(b), 0);
    assert_in_range(most, 1, 2);
    t_verify_all(b, false);
}

static void test_seals(void **state)
{
    struct broker *b = up(17);
    t_run(b, seal_all);
    down(b);
}

static void nothing(struct later_work *w, bool go) {}

// An error of a sealed segment's sync is never tried again (S8).
static void seal_fails(struct broker *b)
{
    struct later_work w;
    open_topic(b, 1);
    b->s->env.seals.most = 0;
    fill(b, 0);
    roll(b, 0);
    wait_ms(500);
    sim_world_faults(b->w)->eio_sync = 1000 * 1000;
    b->s->env.seals.most = 1;
    later_work_init(&w, t_log(b, 0, 0), nothing);
    later_add(&b->s->env.seals, &w, false);
    wait_ms(500);
    sim_world_faults(b->w)->eio_sync = 0;
    assert_int_equal(b->s->env.failed, -EIO);
    assert_int_not_equal(append(b, 0, 10), 0);
}

static void test_seal_fails(void **state)
{
    struct broker *b = up(18);
    t_run(b, seal_fails);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, verify);
    down(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_it),     cmocka_unit_test(test_goes_inline),
        cmocka_unit_test(test_written_back), cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_not_taken),    cmocka_unit_test(test_deleted),
        cmocka_unit_test(test_killed),       cmocka_unit_test(test_power_cut),
        cmocka_unit_test(test_trimmed),      cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_given_back),   cmocka_unit_test(test_limit),
        T_BOTH_ENTRIES(many_rolls),          cmocka_unit_test(test_seals),
        cmocka_unit_test(test_seal_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
