// Compaction: of each key the newest record of the closed segments stays, with its offset, time, headers; and what a crash at
// any moment leaves.
#include "engine/log/compact.h"
#include "tests/unit/shard/shard_test.h"

enum { KEYS = 40, RECORDS = 20000 };

// What was sent, by offset.
struct sent {
    uint16_t key;
    bool there, tombstone, control, aborted;
    int64_t timestamp;
    uint32_t value;
};
static struct sent *sent;
static int64_t sent_end;
static struct compactor *compactor;
static uint64_t map_bytes = 1 << 20;
static uint8_t codec;
static uint32_t key_space = KEYS;

static struct log_config config(void)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 8192;
    c.retention_ms = c.retention_bytes = -1;
    c.compacted = true;
    c.max_compaction_lag_ms = INT64_MAX;
    c.delete_retention_ms = 60000;
    return c;
}

static void reset(struct broker *b)
{
    free(sent);
    sent = calloc(RECORDS, sizeof(*sent));
    sent_end = 0;
    map_bytes = 1 << 20;
    key_space = KEYS;
    codec = BATCH_CODEC_NONE;
}

static void make_compactor(struct broker *b)
{
    struct compactor_config c = {.map_bytes = map_bytes, .load_factor = 0.9, .bytes_per_second = 1e300};
    compactor = compactor_create(b->r, &c);
    assert_non_null(compactor);
}

static int64_t append_raw(struct broker *b, uint8_t *batch, uint32_t n, bool internal)
{
    struct t_append x;
    t_append_start(b, &x, 0, 0, batch, n, 1, -1);
    x.a.internal = internal;
    x.call.f = fiber_current();
    fiber_park_until(&x.call.done);
    assert_int_equal(x.part.error, 0);
    free(batch);
    return x.part.base_offset;
}

struct spec {
    uint32_t records;
    int64_t pid;
    int32_t sequence;
    bool transactional;
    int tombstones; // one record in so many; 0: none
};

static int64_t produce(struct broker *b, const struct spec *s)
{
    static struct compress_ctx ctx;
    struct batch_builder bb = {.limit = 0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *out;
    size_t n;
    char key[16], value[64];
    struct sent now[64];
    for (uint32_t i = 0; i < s->records; i++) {
        struct record_header h = {.key = record_bytes_text("h"), .value = record_bytes_text("x")};
        now[i] = (struct sent){.key = (uint16_t)sl_rand_below(&b->rand, key_space),
                               .there = true,
                               .timestamp = reactor_wall_ms(b->r) - 10 + i,
                               .value = (uint32_t)sl_rand_u64(&b->rand)};
        now[i].tombstone = s->tombstones && sl_rand_below(&b->rand, (uint64_t)s->tombstones) == 0;
        snprintf(key, sizeof(key), "key-%u", now[i].key);
        snprintf(value, sizeof(value), "value-%u-%040u", now[i].value, 7);
        assert_int_equal(batch_builder_append(&bb, now[i].timestamp, record_bytes_text(key),
                                              now[i].tombstone ? RECORD_NULL : record_bytes_text(value), &h,
                                              1),
                         0);
    }
    o.codec = codec;
    if (s->pid) {
        o.producer_id = s->pid;
        o.producer_epoch = 0;
        o.base_sequence = s->sequence;
        o.transactional = s->transactional;
    }
    assert_int_equal(batch_builder_finish(&bb, &o, &ctx, &out, &n), 0);
    uint8_t *copy = malloc(n);
    memcpy(copy, out, n);
    batch_builder_destroy(&bb);
    int64_t base = append_raw(b, copy, (uint32_t)n, false);
    memcpy(sent + base, now, s->records * sizeof(now[0]));
    sent_end = base + s->records;
    return base;
}

static void end_txn(struct broker *b, int64_t pid, bool commit)
{
    struct batch_builder bb = {.limit = 0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *out;
    size_t n;
    o.producer_id = pid;
    o.producer_epoch = 0;
    o.transactional = o.control = true;
    assert_int_equal(batch_builder_end_txn(&bb, reactor_wall_ms(b->r), commit, 1), 0);
    assert_int_equal(batch_builder_finish(&bb, &o, NULL, &out, &n), 0);
    uint8_t *copy = malloc(n);
    memcpy(copy, out, n);
    batch_builder_destroy(&bb);
    int64_t at = append_raw(b, copy, (uint32_t)n, true);
    sent[at] = (struct sent){.control = true};
    sent_end = at + 1;
}

// Reads the whole log. Checks every record against what was sent, and marks in `seen` which are there. Batches, empty ones too,
// are counted.
struct sight {
    bool *seen;
    uint32_t records, batches, empty, markers;
    int64_t end;
};

static void look_at(struct sight *x, const uint8_t *p, const struct batch_info *b)
{
    static struct decompress_ctx ctx;
    uint8_t *plain = malloc(1 << 20);
    size_t n = 0;
    struct decompressor d;
    ssize_t k;
    struct record_iter it;
    struct record r;
    assert_int_equal(decompressor_init(&d, &ctx, batch_attr_codec(b->attributes), p + BATCH_RECORDS,
                                       b->size - BATCH_RECORDS, 1 << 20),
                     0);
    while ((k = decompressor_next(&d, plain + n, 65536)) > 0)
        n += (size_t)k;
    assert_int_equal(k, 0);
    decompressor_destroy(&d);
    record_iter_init(&it, plain, n, b->record_count);
    while (record_iter_next(&it, &r) > 0) {
        int64_t at = b->base_offset + r.offset_delta;
        char key[16], value[64];
        if (batch_info_is_control(b)) {
            assert_true(sent[at].control);
            continue;
        }
        const struct sent *s = &sent[at];
        assert_true(s->there && at < sent_end);
        snprintf(key, sizeof(key), "key-%u", s->key);
        snprintf(value, sizeof(value), "value-%u-%040u", s->value, 7);
        assert_int_equal(r.key.len, strlen(key));
        assert_memory_equal(r.key.p, key, strlen(key));
        assert_int_equal(r.value.len, s->tombstone ? -1 : (int)strlen(value));
        if (!s->tombstone)
            assert_memory_equal(r.value.p, value, strlen(value));
        assert_int_equal(b->base_timestamp + r.timestamp_delta, s->timestamp);
        assert_true(b->max_timestamp >= s->timestamp);
        assert_int_equal(r.header_count, 1);
        x->seen[at] = true;
        x->records++;
    }
    free(plain);
}

static struct sight read_all(struct broker *b)
{
    struct sight x = {.seen = calloc(RECORDS, sizeof(bool))};
    struct shard_fetch_part fp;
    int64_t next = 0;
    do {
        uint8_t *bytes = t_fetch(b, 0, 0, next, 1 << 16, 0, &fp);
        assert_int_equal(fp.error, 0);
        uint32_t at = 0;
        struct batch_info i;
        for (; fp.bytes - at >= BATCH_HEADER_SIZE && batch_size(bytes + at) <= fp.bytes - at; at += i.size) {
            assert_int_equal(batch_parse(bytes + at, fp.bytes - at, &i), 0);
            assert_true(batch_crc_ok(bytes + at));
            assert_true(batch_info_last_offset(&i) >= next);
            look_at(&x, bytes + at, &i);
            next = batch_info_last_offset(&i) + 1;
            x.batches++;
            x.empty += i.record_count == 0;
            x.markers += batch_info_is_control(&i) && i.record_count;
        }
        free(bytes);
        if (!at)
            break;
    } while (next < fp.high_watermark);
    x.end = next;
    return x;
}

// All that must be there is there; and with `only`, nothing else below `upto`.
static void check(struct broker *b, const struct sight *x, int64_t upto, bool only)
{
    static int64_t newest[65536];
    memset(newest, -1, sizeof(newest));
    for (int64_t i = 0; i < sent_end; i++)
        if (sent[i].there && !sent[i].aborted && i < upto)
            newest[sent[i].key] = i;
    for (int64_t i = 0; i < sent_end; i++) {
        bool must = sent[i].there && !sent[i].aborted && (i >= upto || newest[sent[i].key] == i);
        if (must && !x->seen[i])
            fail_msg("offset %lld, key %u is gone", (long long)i, sent[i].key);
        if (only && !must && i < upto && x->seen[i])
            fail_msg("offset %lld, key %u is still there", (long long)i, sent[i].key);
    }
    free(x->seen);
}

static int compact_all(struct broker *b)
{
    int rounds = 0, rc;
    struct compactable w;
    while ((rc = log_compact(t_log(b, 0, 0), compactor)) == 1) {
        rounds++;
        assert_int_equal(log_compactable(t_log(b, 0, 0), &w), 0);
        if (!w.dirty_bytes)
            break;
    }
    assert_true(rc >= 0);
    return rounds;
}

// Where the part ends that may be compacted: all but the active segment.
static int64_t closed_end(struct broker *b)
{
    return log_first_dirty(t_log(b, 0, 0));
}

// ---- the newest of each key -----------------------------------------------------------------------------------------------
static void newest_part(struct broker *b)
{
    struct log_config c = config();
    struct spec s = {.records = 10, .tombstones = 10};
    assert_int_equal(t_open(b, 0, "keys", 1, &c), 0);
    for (codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        for (int i = 0; i < 60; i++)
            produce(b, &s);
        int64_t before = log_first_dirty(t_log(b, 0, 0));
        uint64_t size = log_size_bytes(t_log(b, 0, 0));
        uint32_t segments = log_segment_count(t_log(b, 0, 0));
        assert_int_equal(log_write_back(t_log(b, 0, 0), true), 0);
        fiber_sleep(50ull * 1000 * 1000);
        assert_int_equal(compact_all(b), 1);
        assert_true(closed_end(b) > before && closed_end(b) < sent_end);
        assert_true(log_size_bytes(t_log(b, 0, 0)) < size && log_segment_count(t_log(b, 0, 0)) <= segments);
        struct sight x = read_all(b);
        check(b, &x, closed_end(b), true);
        assert_int_equal(compact_all(b), 0);
    }
    codec = BATCH_CODEC_NONE;
}

static void newest_again(struct broker *b)
{
    struct sight x = read_all(b);
    assert_int_equal(x.end, sent_end);
    check(b, &x, sent_end, false);
    struct spec s = {.records = 10};
    for (int i = 0; i < 20; i++)
        produce(b, &s);
    fiber_sleep(50ull * 1000 * 1000);
    compact_all(b);
    x = read_all(b);
    check(b, &x, closed_end(b), true);
}

static void newest_stay(struct broker *b)
{
    reset(b);
    for (int i = 0; i < 5; i++) {
        t_boot_ok(b);
        make_compactor(b);
        t_run(b, i ? newest_again : newest_part);
        compactor_destroy(compactor);
        if (i == 3)
            assert_int_equal(t_stop(b), 0);
        else
            t_crash(b, i & 1);
    }
    t_boot_ok(b);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(newest_stay, 31)

// ---- a map that is too small: several rounds ----------------------------------------------------------------------------------
static void small_part(struct broker *b)
{
    struct log_config c = config();
    struct spec s = {.records = 5};
    assert_int_equal(t_open(b, 0, "small", 1, &c), 0);
    for (int i = 0; i < 200; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    assert_true(compact_all(b) > 3);
    struct sight x = read_all(b);
    check(b, &x, closed_end(b), true);
}

static void rounds_with_a_small_map(struct broker *b)
{
    reset(b);
    map_bytes = 64 * 24;
    key_space = 300;
    t_boot_ok(b);
    make_compactor(b);
    t_run(b, small_part);
    compactor_destroy(compactor);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(rounds_with_a_small_map, 32)

// ---- tombstones -------------------------------------------------------------------------------------------------------------------
static void tombstone_part(struct broker *b)
{
    struct log_config c = config();
    struct spec s = {.records = 10}, all = {.records = 10, .tombstones = 1};
    uint32_t dead = 0;
    assert_int_equal(t_open(b, 0, "tomb", 1, &c), 0);
    for (int i = 0; i < 30; i++)
        produce(b, &s);
    for (int i = 0; i < 30; i++)
        produce(b, &all);
    key_space = 1; // the rest is another key
    for (int i = 0; i < 30; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    compact_all(b);
    struct sight x = read_all(b);
    for (int64_t i = 300; i < 600; i++)
        dead += x.seen[i];
    assert_true(dead > KEYS / 2); // they stay for their time, and say so
    check(b, &x, closed_end(b), true);
    // New ones make it dirty again; the horizon is not over.
    for (int i = 0; i < 30; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    compact_all(b);
    x = read_all(b);
    check(b, &x, closed_end(b), true);
    fiber_sleep(61ull * 1000 * 1000 * 1000);
    for (int i = 0; i < 30; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    compact_all(b);
    x = read_all(b);
    dead = 0;
    for (int64_t i = 300; i < 600; i++)
        dead += x.seen[i];
    assert_int_equal(dead, 0);
    free(x.seen);
}

static void tombstones_go_in_time(struct broker *b)
{
    reset(b);
    t_boot_ok(b);
    make_compactor(b);
    t_run(b, tombstone_part);
    compactor_destroy(compactor);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(tombstones_go_in_time, 33)

// ---- with retention ---------------------------------------------------------------------------------------------------------------
// Segments that compaction emptied at the front are no older than what follows them: retention does not move the log's start
// over them, or a reader in front of what is left would be told OFFSET_OUT_OF_RANGE. They go with it in the end.
static void retained_part(struct broker *b)
{
    struct log_config c = config();
    struct spec s = {.records = 10};
    struct log_ends e;
    c.deletes = true;
    c.retention_ms = 60000;
    assert_int_equal(t_open(b, 0, "both", 1, &c), 0);
    key_space = 1; // only the newest record of the closed segments stays
    for (int i = 0; i < 100; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    compact_all(b);
    struct log *l = t_log(b, 0, 0);
    assert_true(log_segment_count(l) > 2);
    assert_int_equal(log_retain(l), 0);
    log_get_ends(l, &e);
    assert_int_equal(e.log_start, 0);
    fiber_sleep(61ull * 1000 * 1000 * 1000);
    for (int i = 0; i < 2; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    assert_true(log_retain(l) > 0);
    log_get_ends(l, &e);
    assert_true(e.log_start > 0 && e.log_start <= 1000);
}

static void emptied_segments_wait(struct broker *b)
{
    reset(b);
    t_boot_ok(b);
    make_compactor(b);
    t_run(b, retained_part);
    compactor_destroy(compactor);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(emptied_segments_wait, 38)

// ---- producers and transactions -----------------------------------------------------------------------------------------------------
static void txn_part(struct broker *b)
{
    struct log_config c = config();
    struct spec s = {.records = 10};
    int32_t sequence = 0;
    assert_int_equal(t_open(b, 0, "txn", 1, &c), 0);
    struct spec idem = {.records = 3, .pid = 50, .sequence = 0};
    produce(b, &idem); // its last batch: it stays, even empty
    for (int i = 0; i < 20; i++) {
        struct spec t = {.records = 5, .pid = 60, .sequence = sequence, .transactional = true};
        sequence += 5;
        int64_t at = produce(b, &t);
        if (i & 1)
            for (int64_t k = at; k < at + 5; k++)
                sent[k].aborted = true;
        produce(b, &s);
        end_txn(b, 60, !(i & 1));
    }
    struct spec open = {.records = 5, .pid = 61, .sequence = 0, .transactional = true};
    int64_t undecided = produce(b, &open);
    for (int i = 0; i < 60; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    compact_all(b);
    assert_true(closed_end(b) <= undecided); // nothing behind the last stable offset
    struct sight x = read_all(b);
    check(b, &x, closed_end(b), true);
    end_txn(b, 61, true);
    for (int i = 0; i < 60; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    compact_all(b);
    assert_true(closed_end(b) > undecided);
    x = read_all(b);
    assert_true(x.empty > 0); // the idempotent producer's last batch
    uint32_t markers = x.markers;
    assert_true(markers > 0); // their horizon is to come
    check(b, &x, closed_end(b), true);
    fiber_sleep(61ull * 1000 * 1000 * 1000);
    for (int i = 0; i < 60; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    compact_all(b);
    x = read_all(b);
    assert_true(x.markers < markers);
    check(b, &x, closed_end(b), true);
}

static void txn_after(struct broker *b)
{
    struct spec idem = {.records = 3, .pid = 50, .sequence = 3};
    const struct producer_entry *e = producer_state_find(log_producers(t_log(b, 0, 0)), 50);
    assert_non_null(e);
    produce(b, &idem);
    struct sight x = read_all(b);
    check(b, &x, sent_end, false);
}

static void transactions_and_producers(struct broker *b)
{
    reset(b);
    t_boot_ok(b);
    make_compactor(b);
    t_run(b, txn_part);
    compactor_destroy(compactor);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, txn_after);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(transactions_and_producers, 34)

// ---- crashes --------------------------------------------------------------------------------------------------------------------------
static void compaction_fiber(void *arg)
{
    (void)log_compact(t_log(arg, 0, 0), compactor);
}

static void crash_part(struct broker *b)
{
    struct log_config c = config();
    struct spec s = {.records = 5, .tombstones = 10};
    if (!b->topics[0].parts_n)
        assert_int_equal(t_open(b, 0, "crash", 1, &c), 0);
    struct sight x = read_all(b);
    assert_int_equal(x.end, sent_end);
    check(b, &x, sent_end, false);
    for (int i = (int)sl_rand_below(&b->rand, 60); i > 0; i--)
        produce(b, &s);
    if (sl_rand_below(&b->rand, 2))
        fiber_sleep(30ull * 1000 * 1000);
    assert_non_null(fiber_spawn(b->r, compaction_fiber, b, 0));
    fiber_sleep(sl_rand_below(&b->rand, 3) ? 1 + sl_rand_below(&b->rand, 3000000)
                                           : 1 + sl_rand_below(&b->rand, 100000000));
}

static void crashes_at_any_moment(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, seed);
        reset(b);
        for (int i = 0; i < 12; i++) {
            t_boot_ok(b);
            make_compactor(b); // what a killed life held is lost with it
            t_run(b, crash_part);
            t_crash(b, i & 1);
        }
        t_boot_ok(b);
        t_run(b, crash_part);
        assert_int_equal(t_stop(b), 0);
        t_boot_ok(b);
        t_run(b, crash_part);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// ---- a shortage in the middle of a swap -----------------------------------------------------------------------------------------
// Once the new segment counts there is no way back: what is left of the swap is done as soon as there is space.
struct swapping {
    struct broker *b;
    int rc;
    bool done;
};
static struct swapping swapping;
static int64_t compacted_to;

static void swapping_fiber(void *arg)
{
    struct swapping *x = arg;
    x->rc = log_compact(t_log(x->b, 0, 0), compactor);
    x->done = true;
}

static bool swap_ended(void *arg)
{
    return swapping.done;
}

struct called {
    const char *end; // of the name
    uint32_t n;
};

static void count_called(void *arg, const char *path, uint64_t size)
{
    struct called *c = arg;
    size_t n = strlen(path), k = strlen(c->end);
    c->n += n > k && !strcmp(path + n - k, c->end);
}

static uint32_t files_called(struct broker *b, const char *end)
{
    struct called c = {.end = end};
    sim_disk_walk(b->host, "/data", count_called, &c);
    return c.n;
}

static uint32_t leftovers(struct broker *b)
{
    return files_called(b, ".cleaned") + files_called(b, ".swap") + files_called(b, ".deleted") -
           files_called(b, ".spare.deleted");
}

static void check_compacted(struct broker *b)
{
    struct sight x = read_all(b);
    assert_int_equal(x.end, sent_end);
    check(b, &x, compacted_to, true);
}

// The disk is full from the moment on that a new segment is called .swap.
static void short_of_space(struct broker *b)
{
    struct log_config c = config();
    struct spec s = {.records = 10};
    assert_int_equal(t_open(b, 0, "short", 1, &c), 0);
    for (int i = 0; i < 60; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    swapping = (struct swapping){.b = b};
    assert_non_null(fiber_spawn(b->r, swapping_fiber, &swapping, 0));
    while (!files_called(b, ".swap"))
        fiber_yield();
    sim_world_faults(b->w)->enospc = 1000 * 1000;
    fiber_sleep(6 * T_SECOND); // longer than a stop waits
    assert_false(swapping.done);
    assert_int_equal(files_called(b, ".swap"), 1);
    log_env_reclaim(&b->s->env, UINT64_MAX);
    struct sight x = read_all(b); // it has no name, and is read all the same
    assert_int_equal(x.end, sent_end);
    check(b, &x, sent_end, false);
}

static void space_again(struct broker *b)
{
    short_of_space(b);
    sim_world_faults(b->w)->enospc = 0;
    while (!swapping.done)
        fiber_sleep(10ull * 1000 * 1000);
    assert_int_equal(swapping.rc, 1);
    assert_int_equal(trash_empty(&b->s->env, true), 0);
    assert_int_equal(leftovers(b), 0);
    compacted_to = closed_end(b);
    log_env_reclaim(&b->s->env, UINT64_MAX);
    check_compacted(b);
}

// Its segments are merged with others: nothing of what they were before comes back.
static void compact_more(struct broker *b)
{
    struct spec s = {.records = 10};
    for (int i = 0; i < 30; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    log_set_first_dirty(t_log(b, 0, 0), 0);
    compact_all(b);
    compacted_to = closed_end(b);
    check_compacted(b);
}

static void compacted_before(struct broker *b)
{
    assert_int_equal(leftovers(b), 0);
    check_compacted(b);
    compact_more(b);
}

static void compacted_in_part(struct broker *b)
{
    assert_int_equal(leftovers(b), 0);
    struct sight x = read_all(b);
    assert_int_equal(x.end, sent_end);
    check(b, &x, sent_end, false);
    compact_more(b);
}

static void space_returns(void **state)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, seed);
        reset(b);
        t_boot_ok(b);
        make_compactor(b);
        t_run(b, space_again);
        for (uint32_t i = 0; i < 3; i++) {
            if ((seed + i) % 3 == 0) {
                compactor_destroy(compactor);
                assert_int_equal(t_stop(b), 0);
            } else {
                t_crash(b, (seed + i) % 3 == 1);
            }
            t_boot_ok(b);
            make_compactor(b);
            t_run(b, compacted_before);
        }
        compactor_destroy(compactor);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

// Nor does a stop leave a .swap in a directory that it says is clean, though all else goes well.
static void stop_in_a_shortage(struct broker *b)
{
    reset(b);
    t_boot_ok(b);
    make_compactor(b);
    t_run(b, short_of_space);
    reactor_group_stop(b->g);
    assert_true(sim_run(b->w, 60 * T_SECOND, swap_ended, b));
    sim_world_faults(b->w)->enospc = 0;
    assert_int_equal(files_called(b, ".swap"), 1);
    compactor_destroy(compactor);
    assert_int_not_equal(t_stop(b), 0);
    t_boot_ok(b);
    assert_int_equal(b->kind, STORE_OURS);
    make_compactor(b);
    t_run(b, compacted_in_part);
    compactor_destroy(compactor);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(stop_in_a_shortage, 39)

// ---- readers, and the shard's own clock -------------------------------------------------------------------------------------------------
struct reader {
    struct broker *b;
    bool stop, done;
    uint32_t read;
};

static void reader_fiber(void *arg)
{
    struct reader *x = arg;
    while (!x->stop) {
        struct shard_fetch_part fp;
        int64_t from = (int64_t)sl_rand_below(&x->b->rand, (uint64_t)sent_end);
        uint8_t *p = t_fetch(x->b, 0, 0, from, 4096, 0, &fp);
        assert_int_equal(fp.error, 0);
        if (fp.bytes >= BATCH_HEADER_SIZE && batch_size(p) <= fp.bytes) {
            struct batch_info i;
            assert_int_equal(batch_parse(p, fp.bytes, &i), 0);
            assert_true(batch_info_last_offset(&i) >= from); // the one that holds it, or the next
            assert_true(batch_crc_ok(p));
            x->read++;
        }
        free(p);
        log_env_reclaim(&x->b->s->env, UINT64_MAX);
    }
    x->done = true;
}

// Readers of segments that compaction makes one with others meanwhile: what is first at or behind the offset that they ask for
// comes, however the reader and the swap fall together.
struct merging {
    struct broker *b;
    int64_t end; // of the closed segments
    uint32_t left;
};

// The first record at `from` or behind it that compaction leaves.
static int64_t first_left(int64_t from, int64_t end)
{
    for (; from < end; from++) {
        int64_t later = from + 1;
        while (later < end && sent[later].key != sent[from].key)
            later++;
        if (later == end)
            break;
    }
    return from;
}

static void asking_fiber(void *arg)
{
    struct merging *m = arg;
    for (int i = 0; i < 60; i++) {
        struct shard_fetch_part fp;
        struct batch_info info;
        int64_t from = (int64_t)sl_rand_below(&m->b->rand, (uint64_t)m->end);
        uint8_t *p = t_fetch(m->b, 0, 0, from, 4096, 0, &fp);
        assert_int_equal(fp.error, 0);
        if (fp.bytes) {
            assert_int_equal(batch_parse(p, fp.bytes, &info), 0);
            assert_int_equal(info.base_offset, first_left(from, m->end));
        }
        free(p);
        log_env_reclaim(&m->b->s->env, UINT64_MAX);
    }
    m->left--;
}

static void merging_part(struct broker *b)
{
    struct log_config c = config();
    struct spec s = {.records = 1};
    struct compactable w;
    assert_int_equal(t_open(b, 0, "merge", 1, &c), 0);
    key_space = 100;
    for (int i = 0; i < 600; i++)
        produce(b, &s);
    fiber_sleep(100ull * 1000 * 1000);
    assert_int_equal(log_compactable(t_log(b, 0, 0), &w), 0);
    struct merging m = {.b = b, .end = w.end, .left = 8};
    compact_all(b); // many small segments
    for (uint32_t i = 0; i < 8; i++)
        assert_non_null(fiber_spawn(b->r, asking_fiber, &m, 0));
    fiber_sleep(1 + sl_rand_below(&b->rand, 3000000));
    log_set_first_dirty(t_log(b, 0, 0), w.end / 2); // once more: they become few
    compact_all(b);
    while (m.left)
        fiber_sleep(1000000);
}

static void readers_of_merged_segments(void **state)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct broker *b = malloc(sizeof(*b));
        t_sim(b, seed);
        reset(b);
        b->cfg.cache_bytes = 16384; // what was read is read again
        b->cfg.cache_extent = 4096;
        t_boot_ok(b);
        make_compactor(b);
        t_run(b, merging_part);
        compactor_destroy(compactor);
        assert_int_equal(t_stop(b), 0);
        t_down(b);
        free(b);
    }
}

static void background_part(struct broker *b)
{
    struct log_config c = config();
    struct spec s = {.records = 10};
    struct reader x = {.b = b};
    c.min_cleanable_dirty_ratio = 0.3;
    assert_int_equal(t_open(b, 0, "back", 1, &c), 0);
    produce(b, &s);
    assert_non_null(fiber_spawn(b->r, reader_fiber, &x, 0));
    for (int i = 0; i < 400; i++) {
        produce(b, &s);
        fiber_sleep(5ull * 1000 * 1000);
    }
    x.stop = true;
    while (!x.done)
        fiber_sleep(100000);
    assert_true(x.read > 10);
    fiber_sleep(1000ull * 1000 * 1000);
    assert_true(closed_end(b) > 0);
    struct sight y = read_all(b);
    check(b, &y, sent_end, false);
    assert_true(y.records < 2500 && log_segment_count(t_log(b, 0, 0)) < 20);
}

static void shard_compacts_by_itself(struct broker *b)
{
    reset(b);
    b->cfg.cleaner_backoff_ms = 100;
    b->cfg.compactor =
        (struct compactor_config){.map_bytes = 1 << 20, .load_factor = 0.9, .bytes_per_second = 1e300};
    t_boot_ok(b);
    t_run(b, background_part);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(shard_compacts_by_itself, 36)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(newest_stay),
        T_SIM_ENTRY(rounds_with_a_small_map),
        T_SIM_ENTRY(tombstones_go_in_time),
        T_SIM_ENTRY(emptied_segments_wait),
        T_SIM_ENTRY(transactions_and_producers),
        cmocka_unit_test(crashes_at_any_moment),
        cmocka_unit_test(space_returns),
        T_SIM_ENTRY(stop_in_a_shortage),
        cmocka_unit_test(readers_of_merged_segments),
        T_BOTH_ENTRIES(shard_compacts_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
