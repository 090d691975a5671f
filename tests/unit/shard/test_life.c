// The front of a log: retention by size and time, deletion of records, what a crash leaves of either, and who reads meanwhile.
#include "tests/unit/shard/shard_test.h"

static struct log_config config(void)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 16384;
    c.retention_ms = c.retention_bytes = -1;
    c.deletes = true;
    c.file_delete_delay_ms = 1000;
    return c;
}

static void fill(struct broker *b, int part, uint32_t batches, int64_t timestamp)
{
    struct t_spec s = {.records = 10, .value = 300, .timestamp = timestamp};
    for (uint32_t i = 0; i < batches; i++)
        assert_int_equal(t_produce(b, 0, part, &s, NULL), 0);
}

static void set(struct broker *b, const struct log_config *c)
{
    log_set_config(t_log(b, 0, 0), c);
    b->topics[0].config = *c;
}

static struct log_ends ends(struct broker *b)
{
    struct log_ends e;
    log_get_ends(t_log(b, 0, 0), &e);
    return e;
}

static int16_t fetch_error(struct broker *b, int64_t offset)
{
    struct shard_fetch_part fp;
    free(t_fetch(b, 0, 0, offset, 1 << 20, 0, &fp));
    return fp.error;
}

struct count {
    const char *end;
    uint32_t n;
    int64_t first, second; // base offsets
};

static int count_name(void *arg, const struct io_dirent *e)
{
    struct count *c = arg;
    size_t n = strlen(e->name), k = strlen(c->end);
    if (n <= k || strcmp(e->name + n - k, c->end))
        return 0;
    int64_t base = strtoll(e->name, NULL, 10);
    c->n++;
    c->second = SL_MIN(c->second, SL_MAX(base, c->first));
    c->first = SL_MIN(c->first, base);
    return 0;
}

static struct count list(struct broker *b, const char *end)
{
    char dir[700];
    struct count c = {.end = end, .first = INT64_MAX, .second = INT64_MAX};
    snprintf(dir, sizeof(dir), "%s/%s-0", b->dir, b->topics[0].name);
    assert_int_equal(io_listdir(reactor_io(b->r), dir, count_name, &c), 0);
    return c;
}

static uint32_t files(struct broker *b, const char *end)
{
    return list(b, end).n;
}

// ---- by size ----------------------------------------------------------------------------------------------------------------
static int64_t kept_start;

static void size_part(struct broker *b)
{
    struct log_config c = config();
    assert_int_equal(t_open(b, 0, "size", 1, &c), 0);
    fill(b, 0, 60, 1000);
    struct log *l = t_log(b, 0, 0);
    uint32_t before = log_segment_count(l);
    assert_true(before > 8);
    assert_int_equal(log_retain(l), 0); // no limit
    c.retention_bytes = 40000;
    set(b, &c);
    uint64_t size = log_size_bytes(l);
    int removed = log_retain(l);
    assert_true(removed > 0 && (uint32_t)removed < before);
    assert_int_equal(log_segment_count(l), before - (uint32_t)removed);
    assert_true(log_size_bytes(l) >= 40000 && log_size_bytes(l) < 40000 + c.segment_bytes &&
                log_size_bytes(l) < size);
    kept_start = ends(b).log_start;
    assert_int_equal(list(b, ".log").first, kept_start);
    assert_true(kept_start > 0);
    assert_int_equal(fetch_error(b, 0), KERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(fetch_error(b, kept_start - 1), KERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(fetch_error(b, kept_start), 0);
    t_forget(b, 0, 0, kept_start);
    t_verify_all(b, false);
    // The files have another name now, and go when their time has come.
    assert_int_equal(files(b, ".log.deleted"), removed);
    assert_int_equal(trash_empty(&b->s->env, false), 0);
    assert_int_equal(files(b, ".log.deleted"), removed);
    fiber_sleep(1100ull * 1000 * 1000);
    assert_int_equal(trash_empty(&b->s->env, false), 0);
    assert_int_equal(files(b, ".log.deleted"), 0);
    assert_int_equal(files(b, ".log"), log_segment_count(l));
    assert_int_equal(log_retain(l), 0); // once is enough
}

static void start_is_kept(struct broker *b)
{
    assert_int_equal(ends(b).log_start, kept_start);
    assert_int_equal(fetch_error(b, kept_start - 1), KERR_OFFSET_OUT_OF_RANGE);
    t_verify_all(b, false);
    assert_int_equal(files(b, ".log"), log_segment_count(t_log(b, 0, 0)));
    assert_int_equal(files(b, ".deleted"), 0);
}

static void by_size(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, size_part);
    for (int i = 0; i < 2; i++) {
        t_crash(b, i);
        t_boot_ok(b);
        t_run(b, start_is_kept);
    }
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, start_is_kept);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(by_size, 21)

// What is not durable yet does not count as kept: a power cut while the first batch behind a roll is under way would leave
// nothing of a log whose front has gone for it.
static void under_way_part(struct broker *b)
{
    struct log_config c = config();
    struct t_spec s = {.records = 10, .value = 300, .timestamp = 1000};
    struct t_append x;
    uint32_t n;
    int64_t end = 0;
    c.retention_bytes = 1;
    assert_int_equal(t_open(b, 0, "underway", 1, &c), 0);
    struct log *l = t_log(b, 0, 0);
    while (log_segment_count(l) < 2) {
        uint8_t *batch = t_batch(b, &s, &n);
        t_append_start(b, &x, 0, 0, batch, n, s.records, -1);
        while (ends(b).appended_end == end)
            fiber_sleep(1000);
        end += s.records;
        if (log_segment_count(l) < 2)
            assert_int_equal(t_append_end(b, &x), 0);
    }
    assert_int_equal(ends(b).high_watermark, end - s.records);
    assert_int_equal(log_retain(l), 0);
    assert_int_equal(ends(b).log_start, 0);
    assert_int_equal(t_append_end(b, &x), 0);
    assert_int_equal(log_retain(l), 1);
    assert_int_equal(ends(b).log_start, end - s.records);
    t_forget(b, 0, 0, end - s.records);
}

static void one_is_left(struct broker *b)
{
    assert_int_equal(log_retain(t_log(b, 0, 0)), 0);
    assert_true(log_size_bytes(t_log(b, 0, 0)) >= 1);
    t_verify_all(b, false);
}

static void counts_what_is_durable(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, under_way_part);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, one_is_left);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(counts_what_is_durable, 23)

// ---- by time ----------------------------------------------------------------------------------------------------------------
static void time_part(struct broker *b)
{
    struct log_config c = config();
    int64_t now = reactor_wall_ms(b->r);
    assert_int_equal(t_open(b, 0, "time", 1, &c), 0);
    fill(b, 0, 20, now - 100000);
    fill(b, 0, 20, now - 10);
    struct log *l = t_log(b, 0, 0);
    c.retention_ms = 200000;
    set(b, &c);
    assert_int_equal(log_retain(l), 0);
    c.retention_ms = 50000;
    c.deletes = false; // compact only: nothing goes by time
    set(b, &c);
    assert_int_equal(log_retain(l), 0);
    c.deletes = true;
    set(b, &c);
    assert_true(log_retain(l) > 0);
    int64_t start = ends(b).log_start;
    assert_true(start > 100 && start <= 200); // the segment with the first new record stays
    t_forget(b, 0, 0, start);
    t_verify_all(b, false);
    // All of it expires: the active segment is rolled and goes.
    c.retention_ms = 0;
    set(b, &c);
    fiber_sleep(50ull * 1000 * 1000);
    assert_true(log_retain(l) > 0);
    assert_int_equal(ends(b).log_start, 400);
    assert_int_equal(log_segment_count(l), 1);
    assert_int_equal(log_size_bytes(l), 0);
    assert_int_equal(fetch_error(b, 400), 0);
    assert_int_equal(fetch_error(b, 399), KERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(log_retain(l), 0); // an empty one stays
    t_forget(b, 0, 0, 400);
    kept_start = 400;
}

static void goes_on(struct broker *b)
{
    int64_t offset;
    struct t_spec s = {.records = 10, .value = 300, .timestamp = reactor_wall_ms(b->r)};
    assert_int_equal(ends(b).log_start, 400);
    assert_int_equal(ends(b).appended_end, 400 + 10 * b->topics[0].parts[0].n);
    assert_int_equal(t_produce(b, 0, 0, &s, &offset), 0);
    t_verify_all(b, false);
}

static void by_time(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, time_part);
    for (int i = 0; i < 3; i++) {
        t_crash(b, i & 1);
        t_boot_ok(b);
        t_run(b, goes_on);
    }
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, goes_on);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(by_time, 22)

// The active segment is due, but a new record comes while it is rolled: it stays.
struct race {
    struct broker *b;
    bool done;
};

static void late_record(void *arg)
{
    struct race *x = arg;
    fill(x->b, 0, 1, reactor_wall_ms(x->b->r) + 5000);
    x->done = true;
}

static void race_part(struct broker *b)
{
    struct log_config c = config();
    c.retention_ms = 10;
    assert_int_equal(t_open(b, 0, "race", 1, &c), 0);
    for (int i = 0; i < 30; i++) {
        struct race x = {.b = b};
        fill(b, 0, 1, reactor_wall_ms(b->r) - 1000);
        assert_non_null(fiber_spawn(b->r, late_record, &x, 0));
        for (int k = sl_rand_below(&b->rand, 20); k > 0; k--)
            fiber_sleep(10000);
        assert_true(log_retain(t_log(b, 0, 0)) >= 0);
        while (!x.done)
            fiber_sleep(10000);
        t_forget(b, 0, 0, SL_MIN(ends(b).log_start, (int64_t)i * 20 + 10));
        b->topics[0].parts[0].start = ends(b).log_start;
        t_verify_all(b, false); // the late one is always there
        c.retention_ms = 0;
        set(b, &c);
        fiber_sleep(6000ull * 1000 * 1000);
        assert_true(log_retain(t_log(b, 0, 0)) > 0);
        assert_int_equal(ends(b).log_start, (i + 1) * 20);
        t_forget(b, 0, 0, (i + 1) * 20);
        c.retention_ms = 10;
        set(b, &c);
    }
}

static void appends_beside_a_roll(void **state)
{
    for (uint64_t seed = 1; seed < 6; seed++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, seed);
        t_boot_ok(b);
        t_run(b, race_part);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// ---- deletion of records ------------------------------------------------------------------------------------------------------
static void delete_part(struct broker *b)
{
    struct log_config c = config();
    int64_t low;
    assert_int_equal(t_open(b, 0, "del", 1, &c), 0);
    fill(b, 0, 30, 1000);
    assert_int_equal(t_delete_records(b, 301, &low), KERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(low, -1);
    assert_int_equal(t_delete_records(b, -2, &low), KERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(t_delete_records(b, 0, &low), 0);
    assert_int_equal(low, 0);
    assert_int_equal(t_delete_records(b, 123, &low), 0); // inside a batch
    assert_int_equal(low, 123);
    assert_int_equal(t_delete_records(b, 100, &low), 0); // it does not go back
    assert_int_equal(low, 123);
    assert_int_equal(fetch_error(b, 122), KERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(fetch_error(b, 123), 0);
    t_forget(b, 0, 0, 123);
    t_verify_all(b, false);
    c.deletes = false;
    c.compacted = true;
    set(b, &c);
    assert_int_equal(t_delete_records(b, 130, &low), KERR_POLICY_VIOLATION);
    c.compacted = false; // an empty cleanup.policy
    set(b, &c);
    assert_int_equal(t_delete_records(b, 130, &low), 0);
    t_forget(b, 0, 0, 130);
    b->topics[0].id.b[0] ^= 1;
    assert_int_equal(t_delete_records(b, 130, &low), KERR_UNKNOWN_TOPIC_OR_PARTITION);
    b->topics[0].id.b[0] ^= 1;
    kept_start = 130;
}

static void delete_again(struct broker *b)
{
    struct log *l = t_log(b, 0, 0);
    int64_t low;
    assert_int_equal(ends(b).log_start, kept_start);
    t_verify_all(b, false);
    uint32_t n = log_segment_count(l);
    int removed = log_retain(l); // segments wholly below go, whatever the policy
    assert_true(removed >= 0 && log_segment_count(l) == n - (uint32_t)removed);
    assert_true(list(b, ".log").first <= kept_start && list(b, ".log").second > kept_start);
    fill(b, 0, 2, 1000);
    t_verify_all(b, false);
    assert_int_equal(t_delete_records(b, -1, &low), 0);
    assert_int_equal(low, ends(b).high_watermark);
    assert_int_equal(low, ends(b).appended_end);
    t_forget(b, 0, 0, low);
    kept_start = low;
    fill(b, 0, 1, 1000);
}

static void records_are_deleted(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, delete_part);
    for (int i = 0; i < 5; i++) {
        if (i == 3)
            assert_int_equal(t_stop(b), 0);
        else
            t_crash(b, i & 1);
        t_boot_ok(b);
        t_run(b, delete_again);
    }
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(records_are_deleted, 23)

// ---- nothing left ---------------------------------------------------------------------------------------------------------
// All is deleted, and then the segment that the deletion left goes as well: no fence is needed for that, the start had moved
// before. In the same life, or in the next.
static void empty_part(struct broker *b)
{
    struct log_config c = config();
    int64_t low;
    struct t_spec nearly_full = {.records = 10, .value = 1500, .timestamp = 1000};
    assert_int_equal(t_open(b, 0, "empty", 1, &c), 0);
    assert_int_equal(t_produce(b, 0, 0, &nearly_full, NULL), 0);
    assert_int_equal(t_delete_records(b, -1, &low), 0);
    assert_int_equal(low, 10);
    t_forget(b, 0, 0, low);
}

static void empty_goes(struct broker *b)
{
    fill(b, 0, 6, 1000);
    assert_true(log_retain(t_log(b, 0, 0)) >= 0);
    assert_true(list(b, ".log").first >= 10);
}

static void empty_starts(struct broker *b)
{
    assert_int_equal(ends(b).log_start, 10);
    assert_int_equal(ends(b).high_watermark, 70);
    t_verify_all(b, false);
}

static void emptied(struct broker *b, bool crash)
{
    t_boot_ok(b);
    t_run(b, empty_part);
    if (crash) {
        t_crash(b, false);
        t_boot_ok(b);
    }
    t_run(b, empty_goes);
    for (int i = 0; i < 2; i++) {
        t_crash(b, i);
        t_boot_ok(b);
        t_run(b, empty_starts);
    }
}

static void nothing_left(struct broker *b)
{
    emptied(b, false);
}
T_BOTH(nothing_left, 24)

static void nothing_left_by_then(struct broker *b)
{
    emptied(b, true);
}
T_BOTH(nothing_left_by_then, 26)

// All is deleted when the segment was just rolled and not written yet: its bytes are in the journal only, and no entry of it
// lays any. The log does not go on in it. The crash comes between the fence and the removal of the file, of which a power cut
// left the length and not the bytes.
static void rolled_part(struct broker *b)
{
    struct log_config c = config();
    char path[800];
    uint8_t *zeros = calloc(1, 16384);
    c.retention_ms = 1;
    assert_int_equal(t_open(b, 0, "rolled", 1, &c), 0);
    fill(b, 0, 2, 1000);
    uint64_t size = log_size_bytes(t_log(b, 0, 0));
    assert_true(size < 16384);
    assert_int_equal(log_retain(t_log(b, 0, 0)), 1);
    assert_int_equal(ends(b).log_start, 20);
    t_forget(b, 0, 0, 20);
    snprintf(path, sizeof(path), "%s/rolled-0/%020d.log", b->dir, 0);
    assert_int_equal(fio_write_file(path, zeros, size), 0);
    free(zeros);
    c.retention_ms = -1;
    set(b, &c);
}

static void rolled_goes_on(struct broker *b)
{
    assert_int_equal(ends(b).log_start, 20);
    t_verify_all(b, false);
    fill(b, 0, 3, 1000);
    t_verify_all(b, false);
}

static void rolled_unwritten(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, rolled_part);
    for (int i = 0; i < 3; i++) {
        t_crash(b, i & 1);
        t_boot_ok(b);
        t_run(b, rolled_goes_on);
    }
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, rolled_goes_on);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(rolled_unwritten, 25)

static void wake_part(struct broker *b)
{
    struct log_config c = config();
    struct shard_fetch_part fp;
    int64_t low;
    assert_int_equal(t_open(b, 0, "wake", 1, &c), 0);
    fill(b, 0, 1, 1000);
    b->fired = 0;
    free(t_fetch(b, 0, 0, 10, 1 << 20, 77, &fp));
    assert_int_equal(fp.error, 0);
    assert_int_equal(t_delete_records(b, 10, &low), 0);
    for (int i = 0; i < 100 && !b->fired; i++)
        fiber_yield();
    assert_int_equal(b->fired_key, 77);
}

static void waiting_fetches_wake(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, wake_part);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(waiting_fetches_wake, 24)

// ---- producers outlive their records --------------------------------------------------------------------------------------------
static void producer_part(struct broker *b)
{
    struct log_config c = config();
    int64_t low;
    assert_int_equal(t_open(b, 0, "pid", 1, &c), 0);
    for (int i = 0; i < 20; i++) {
        struct t_spec s = {.records = 10, .value = 300, .timestamp = 1000, .pid = 7, .sequence = i * 10};
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    }
    assert_int_equal(t_delete_records(b, -1, &low), 0);
    c.retention_bytes = 0;
    set(b, &c);
    assert_true(log_retain(t_log(b, 0, 0)) > 0);
    assert_int_equal(log_size_bytes(t_log(b, 0, 0)), 0);
    t_forget(b, 0, 0, 200);
}

static void producer_known(struct broker *b)
{
    const struct producer_entry *e = producer_state_find(log_producers(t_log(b, 0, 0)), 7);
    struct t_spec s = {.records = 10, .value = 300, .timestamp = 1000, .pid = 7, .sequence = 210};
    assert_non_null(e);
    assert_int_equal(e->batches[(e->batch_first + e->batch_count - 1) % PRODUCER_BATCHES_KEPT].last_sequence,
                     199);
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), KERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(epoch_cache_for_offset(log_epochs(t_log(b, 0, 0)), 200), b->topics[0].epoch);
    assert_int_equal(log_epochs(t_log(b, 0, 0))->count, 1); // those before the start are forgotten
}

static void producers_are_kept(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, producer_part);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, producer_known);
    t_crash(b, false);
    t_boot_ok(b);
    t_run(b, producer_known);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, producer_known);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(producers_are_kept, 25)

// ---- who reads meanwhile --------------------------------------------------------------------------------------------------------
struct reader {
    struct broker *b;
    bool stop, done;
    uint32_t read, out_of_range;
};

static void reader_fiber(void *arg)
{
    struct reader *x = arg;
    struct broker *b = x->b;
    while (!x->stop) {
        struct shard_fetch_part fp;
        int64_t from = (int64_t)sl_rand_below(&b->rand, (uint64_t)ends(b).high_watermark);
        uint8_t *p = t_fetch(b, 0, 0, from, 4096, 0, &fp);
        if (fp.error == KERR_OFFSET_OUT_OF_RANGE) {
            assert_true(from < ends(b).log_start);
            x->out_of_range++;
        } else {
            assert_int_equal(fp.error, 0);
            assert_true(fp.bytes >= BATCH_HEADER_SIZE);
            assert_true(batch_base_offset(p) <= from && batch_base_offset(p) + 10 > from);
            assert_true(batch_crc_ok(p));
            x->read++;
        }
        free(p);
        log_env_reclaim(&b->s->env, UINT64_MAX);
    }
    x->done = true;
}

static void readers_part(struct broker *b)
{
    struct log_config c = config();
    struct reader x[3];
    c.file_delete_delay_ms = 0;
    c.retention_bytes = 50000;
    assert_int_equal(t_open(b, 0, "read", 1, &c), 0);
    fill(b, 0, 20, 1000);
    for (int i = 0; i < 3; i++) {
        x[i] = (struct reader){.b = b};
        assert_non_null(fiber_spawn(b->r, reader_fiber, &x[i], 0));
    }
    for (int i = 0; i < 60; i++) {
        fill(b, 0, 3, 1000);
        assert_int_equal(log_write_back(t_log(b, 0, 0), true), 0);
        assert_true(log_retain(t_log(b, 0, 0)) >= 0);
        assert_int_equal(trash_empty(&b->s->env, false), 0);
    }
    for (int i = 0; i < 3; i++) {
        x[i].stop = true;
        while (!x[i].done)
            fiber_sleep(100000);
        assert_true(x[i].read && x[i].out_of_range);
    }
    t_forget(b, 0, 0, ends(b).log_start);
    t_verify_all(b, false);
}

static void readers_go_on(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, readers_part);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(readers_go_on, 26)

// ---- the shard's own clock --------------------------------------------------------------------------------------------------------
static void clock_part(struct broker *b)
{
    struct log_config c = config();
    c.retention_bytes = 20000;
    c.file_delete_delay_ms = 2000;
    assert_int_equal(t_open(b, 0, "clock", 1, &c), 0);
    fill(b, 0, 40, 1000);
    fiber_sleep(1500ull * 1000 * 1000);
    assert_true(log_size_bytes(t_log(b, 0, 0)) < 20000 + 16384);
    assert_true(files(b, ".log.deleted") > 0);
    fiber_sleep(3000ull * 1000 * 1000);
    assert_int_equal(files(b, ".log.deleted"), 0);
}

static void shard_looks_by_itself(struct broker *b)
{
    b->cfg.retention_check_ms = 500;
    t_boot_ok(b);
    t_run(b, clock_part);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(shard_looks_by_itself, 27)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(by_size),
        T_SIM_ENTRY(counts_what_is_durable),
        T_BOTH_ENTRIES(by_time),
        cmocka_unit_test(appends_beside_a_roll),
        T_BOTH_ENTRIES(records_are_deleted),
        T_BOTH_ENTRIES(nothing_left),
        T_BOTH_ENTRIES(nothing_left_by_then),
        T_BOTH_ENTRIES(rolled_unwritten),
        T_BOTH_ENTRIES(waiting_fetches_wake),
        T_BOTH_ENTRIES(producers_are_kept),
        T_BOTH_ENTRIES(readers_go_on),
        T_SIM_ENTRY(shard_looks_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
