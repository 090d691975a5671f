// Offsets by time and the special timestamps, epochs' ends, watches, fetch rules, creation and deletion.
#include "engine/log/checkpoint.h"
#include "shard_test.h"

// ---- ListOffsets ----------------------------------------------------------------------------------------------------------
static struct shard_offset_part list(struct broker *b, int64_t timestamp)
{
    struct t_call call;
    struct shard_offset_part o = {
        .topic_id = b->topics[0].id, .timestamp = timestamp, .current_leader_epoch = -1};
    struct shard_offsets q = {.parts = &o, .n = 1, .owner = &call};
    t_ask(b, SHARD_LIST_OFFSETS, &q, &call);
    return o;
}

// The record times, by offset; every batch has rising ones, batches overlap.
static int64_t times[4000];
static int64_t times_n;

static void fill_times(struct broker *b, int batches)
{
    static const uint8_t codecs[] = {BATCH_CODEC_NONE, BATCH_CODEC_GZIP, BATCH_CODEC_SNAPPY, BATCH_CODEC_LZ4,
                                     BATCH_CODEC_ZSTD};
    for (int i = 0; i < batches; i++) {
        struct t_spec s = {.records = 1 + (uint32_t)sl_rand_below(&b->rand, 12),
                           .value = (uint32_t)sl_rand_below(&b->rand, 3000),
                           .codec = codecs[i % 5],
                           .flat = true,
                           .timestamp = 1000 + times_n + (int64_t)sl_rand_below(&b->rand, 40)};
        int64_t offset;
        assert_int_equal(t_produce(b, 0, 0, &s, &offset), 0);
        assert_int_equal(offset, times_n);
        for (uint32_t k = 0; k < s.records; k++)
            times[times_n++] = s.timestamp + k;
    }
}

static int64_t model_first_at(int64_t ts)
{
    for (int64_t i = 0; i < times_n; i++)
        if (times[i] >= ts)
            return i;
    return -1;
}

static void check_times(struct broker *b)
{
    int64_t max = 0, first_max = 0;
    for (int64_t i = 0; i < times_n; i++)
        if (times[i] > max) {
            max = times[i];
            first_max = i;
        }
    for (int k = 0; k < 60; k++) {
        int64_t ts = k < 2 ? 0 : 990 + (int64_t)sl_rand_below(&b->rand, (uint64_t)times_n + 60),
                want = model_first_at(ts);
        struct shard_offset_part o = list(b, ts);
        assert_int_equal(o.error, 0);
        assert_int_equal(o.offset, want);
        assert_int_equal(o.found_timestamp, want < 0 ? -1 : times[want]);
    }
    assert_int_equal(list(b, max + 1).offset, -1);
    struct shard_offset_part o = list(b, -3);
    assert_int_equal(o.offset, first_max);
    assert_int_equal(o.found_timestamp, max);
    assert_int_equal(list(b, -1).offset, times_n);
    assert_int_equal(list(b, -2).offset, 0);
    assert_int_equal(list(b, -4).offset, 0);
    assert_int_equal(list(b, -5).offset, -1);
    assert_int_equal(list(b, -99).error, KERR_INVALID_REQUEST);
}

static void times_live(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 64 << 10;
    c.index_interval_bytes = 512;
    times_n = 0;
    assert_int_equal(t_open(b, 0, "times", 1, &c), 0);
    struct shard_offset_part o = list(b, -3);
    assert_int_equal(o.offset, -1); // nothing there
    assert_int_equal(list(b, 5).offset, -1);
    fill_times(b, 100);
    check_times(b);
    t_cool(b, 0, 0);
    check_times(b);
    fill_times(b, 50);
    check_times(b);
}

static void times_again(struct broker *b)
{
    check_times(b);
    fill_times(b, 30);
    check_times(b);
    t_verify_all(b, false);
}

static void offsets_by_time(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, times_live);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b); // indexes from files
    t_run(b, times_again);
    t_crash(b, true);
    t_boot_ok(b); // from what is left of them, and the journal
    t_run(b, times_again);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(offsets_by_time, 21)

// ---- epochs ---------------------------------------------------------------------------------------------------------------
static struct shard_epoch_part epoch_end(struct broker *b, int32_t epoch)
{
    struct t_call call;
    struct shard_epoch_part o = {
        .topic_id = b->topics[0].id, .leader_epoch = epoch, .current_leader_epoch = -1};
    struct shard_epochs q = {.parts = &o, .n = 1, .owner = &call};
    t_ask(b, SHARD_EPOCH_END, &q, &call);
    assert_int_equal(o.error, 0);
    return o;
}

static void three_batches(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 1, .value = 10, .timestamp = 1};
    assert_int_equal(t_open(b, 0, "epochs", 1, &c), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
}

static void epoch_checks(struct broker *b)
{
    three_batches(b); // the third life's: epochs 0, 1 and 2 have three offsets each
    for (int32_t e = 0; e < 3; e++) {
        struct shard_epoch_part o = epoch_end(b, e);
        assert_int_equal(o.end_epoch, e);
        assert_int_equal(o.end_offset, 3 * (e + 1));
    }
    assert_int_equal(epoch_end(b, 9).end_epoch, -1);
    struct t_call call;
    struct shard_fetch_part fp = {.topic_id = b->topics[0].id,
                                  .fetch_offset = 7,
                                  .max_bytes = 1000,
                                  .current_leader_epoch = 1,
                                  .last_fetched_epoch = -1};
    struct shard_fetch f = {.parts = &fp, .n = 1, .max_bytes = 1000, .owner = &call};
    t_ask(b, SHARD_FETCH, &f, &call);
    assert_int_equal(fp.error, KERR_FENCED_LEADER_EPOCH);
    fp.current_leader_epoch = -2; // only -1 asks for no check
    t_ask(b, SHARD_FETCH, &f, &call);
    assert_int_equal(fp.error, KERR_FENCED_LEADER_EPOCH);
    fp.current_leader_epoch = 3;
    t_ask(b, SHARD_FETCH, &f, &call);
    assert_int_equal(fp.error, KERR_UNKNOWN_LEADER_EPOCH);
    fp.current_leader_epoch = 2;
    fp.last_fetched_epoch = 1; // which ended at 6
    t_ask(b, SHARD_FETCH, &f, &call);
    assert_int_equal(fp.error, 0);
    assert_true(fp.diverging);
    assert_int_equal(fp.diverging_epoch, 1);
    assert_int_equal(fp.diverging_end, 6);
}

static void epochs(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, three_batches);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, three_batches);
    t_crash(b, false);
    t_boot_ok(b);
    t_run(b, epoch_checks);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(epochs, 22)

// ---- watches and fetch rules -----------------------------------------------------------------------------------------------
static void fetch_checks(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 1, .value = 1000, .timestamp = 1};
    struct shard_fetch_part fp;
    assert_int_equal(t_open(b, 0, "watched", 2, &c), 0);
    free(t_fetch(b, 0, 0, 0, 100000, 4711, &fp)); // nothing there: a watch
    assert_int_equal(fp.bytes, 0);
    fiber_sleep(20 * 1000000);
    assert_int_equal(b->fired, 0);
    assert_int_equal(t_produce(b, 0, 1, &s, NULL), 0); // another partition
    fiber_sleep(5 * 1000000);
    assert_int_equal(b->fired, 0);
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    while (!b->fired)
        fiber_yield();
    assert_int_equal(b->fired_key, 4711);
    free(t_fetch(b, 0, 0, 0, 100000, 4712, &fp)); // enough: no watch
    assert_true(fp.bytes > 1000);
    free(t_fetch(b, 0, 0, 1, 100000, 4713, &fp));
    t_settle(b, NULL, 4713, 0);
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    fiber_sleep(20 * 1000000);
    assert_int_equal(b->fired, 1);
    // KIP-74: a first batch is whole whatever the limit; behind it what does not fit is left out.
    free(t_fetch(b, 0, 0, 0, 1, 0, &fp));
    assert_true(fp.bytes > 1000 && fp.bytes < 1200);
    free(t_fetch(b, 0, 0, 3, 100, 0, &fp));
    assert_int_equal(fp.error, KERR_OFFSET_OUT_OF_RANGE);
    free(t_fetch(b, 0, 0, -1, 100, 0, &fp));
    assert_int_equal(fp.error, KERR_OFFSET_OUT_OF_RANGE);
    free(t_fetch(b, 0, 7, 0, 100, 0, &fp));
    assert_int_equal(fp.error, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    // A deletion wakes who waits.
    free(t_fetch(b, 0, 1, 1, 100000, 99, &fp));
    assert_int_equal(t_delete(b, 0), 0);
    while (b->fired < 2)
        fiber_yield();
    assert_int_equal(b->fired_key, 99);
}

static void fetch_rules(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, fetch_checks);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(fetch_rules, 23)

// ---- watches that bring the answer -----------------------------------------------------------------------------------------
static void ends_checks(struct broker *b, int64_t *at)
{
    struct t_spec s = {.records = 1, .value = 1000, .timestamp = 1};
    // Taken back; replaced; and dropped by a fetch under its key that finds enough.
    t_watch(b, 0, 3, at, 3, false);
    t_settle(b, NULL, 3, 0);
    t_watch(b, 0, 3, at, 4, false);
    t_watch(b, 0, 1, at, 4, false);
    assert_int_equal(t_produce(b, 0, 1, &s, NULL), 0);
    struct shard_fetch_part fp;
    free(t_fetch(b, 0, 1, 0, 100000, 4, &fp));
    assert_true(fp.bytes > 0);
    assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    fiber_sleep(5 * 1000000);
    assert_int_equal(b->fired, 2);
    // A deletion is an answer.
    at[0] = 4;
    at[1] = 6;
    t_watch(b, 0, 3, at, 5, false);
    assert_int_equal(t_delete(b, 0), 0);
    t_until_fired(b, 3);
    assert_int_equal(b->pushed_n, 3);
    assert_int_equal(b->pushed_bytes, 0);
    assert_int_equal(b->pushed[0].error, KERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static void push_checks(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 1, .value = 1000, .timestamp = 1};
    int64_t at[3] = {0};
    b->fired = 0;
    assert_int_equal(t_open(b, 0, "pushed", 3, &c), 0);
    // What arrived in one part, and nothing of the others.
    t_watch(b, 0, 3, at, 1, false);
    assert_int_equal(t_produce(b, 0, 1, &s, NULL), 0);
    t_until_fired(b, 1);
    assert_int_equal(b->fired_key, 1);
    assert_int_equal(b->pushed_n, 3);
    assert_true(b->pushed_bytes > 1000 && b->pushed[1].bytes == b->pushed_bytes);
    assert_int_equal(b->pushed[0].bytes + b->pushed[2].bytes, 0);
    assert_int_equal(b->pushed[1].high_watermark, 1);
    assert_int_equal(b->pushed[0].high_watermark, 0);
    // It waits on behind that, one answer ahead of its reader and no more.
    assert_true(b->again);
    assert_int_equal(b->pushed[1].next_offset, 1);
    assert_int_equal(t_produce(b, 0, 1, &s, NULL), 0);
    t_until_fired(b, 2);
    assert_int_equal(b->pushed[1].fetch_offset, 1);
    assert_true(b->pushed[1].bytes > 1000 && !b->again);
    assert_int_equal(t_produce(b, 0, 1, &s, NULL), 0);
    fiber_sleep(5 * 1000000);
    assert_int_equal(b->fired, 2);
    at[1] = 3;
    t_watch(b, 0, 3, at, 2, false);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(t_produce(b, 0, i & 1, &s, NULL), 0);
        t_until_fired(b, 3 + i);
        assert_true(b->again);
        assert_int_equal(b->pushed_bytes, b->pushed[i & 1].bytes);
        t_settle(b, NULL, 0, 2);
    }
    at[0] = 3;
    at[1] = 5;
    // Pins that were taken stay until they are given back.
    b->fired = 1;
    b->take_pins = true;
    t_watch(b, 0, 3, at, 2, false);
    assert_int_equal(t_produce(b, 0, 2, &s, NULL), 0);
    t_until_fired(b, 2);
    assert_non_null(b->pushed_pins);
    struct batch_info i;
    assert_int_equal(batch_parse(b->pushed[2].pieces[0].p, b->pushed[2].pieces[0].len, &i), 0);
    assert_int_equal(i.base_offset, 0);
    t_settle(b, b->pushed_pins, 2, 0);
    b->take_pins = false;
    at[2] = 1;
    ends_checks(b, at);
}

// Many at once, more than notices are in flight, and above the limit of watches, where notices come without an answer.
static void push_crowd(struct broker *b)
{
    enum { CROWD = 24 };
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 1, .value = 100, .timestamp = 1};
    b->fired = 0;
    assert_int_equal(t_open(b, 1, "crowd", 1, &c), 0);
    for (int64_t round = 0; round < 20; round++) {
        for (uint64_t k = 0; k < CROWD; k++)
            t_watch(b, 1, 1, &round, 100 + 100 * round + k, false);
        assert_int_equal(t_produce(b, 1, 0, &s, NULL), 0);
        while (b->fired < CROWD)
            fiber_yield();
        assert_int_equal(b->fired, CROWD);
        for (uint64_t k = 0; k < CROWD; k++)
            t_settle(b, NULL, 100 + 100 * round + k, 0);
        b->fired = 0;
    }
}

static void push_rules(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, push_checks);
    t_run(b, push_crowd);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(push_rules, 26)

// ---- creation and deletion ---------------------------------------------------------------------------------------------------
static void deletion_checks(struct broker *b)
{
    struct log_config c = t_log_config();
    char name[250];
    struct t_append x[30];
    c.segment_bytes = 64 << 10;
    memset(name, 'n', 249); // the longest that Kafka allows
    name[249] = 0;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(t_open(b, 1, name, 3, &c), 0);
        for (int i = 0; i < 30; i++) {
            struct t_spec s = {.records = 1, .value = 5000, .timestamp = 1};
            uint32_t n;
            uint8_t *batch = t_batch(b, &s, &n);
            t_append_start(b, &x[i], 1, i % 3, batch, n, 1, -1);
            if (i == 15)
                fiber_yield();
        }
        // While all that is in flight. Each is answered once, and what comes later finds nothing.
        assert_int_equal(t_delete(b, 1), 0);
        for (int i = 0; i < 30; i++) {
            x[i].call.f = fiber_current();
            fiber_park_until(&x[i].call.done);
            assert_true(x[i].part.error == 0 || x[i].part.error == KERR_UNKNOWN_TOPIC_OR_PARTITION);
            free(x[i].part.records);
        }
    }
    assert_int_equal(t_open(b, 1, name, 3, &c), 0);
    t_verify_all(b, false);
    struct t_spec s = {.records = 1, .value = 5000, .timestamp = 1};
    int64_t offset;
    assert_int_equal(t_produce(b, 1, 2, &s, &offset), 0);
    assert_int_equal(offset, 0);
}

static void verify(struct broker *b)
{
    t_verify_all(b, false);
}

static void deletion(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, deletion_checks);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, verify);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(deletion, 24)

// The metadata forgot the topic, its directory stayed: a new topic of that name starts empty, the old files are kept aside.
static void leave_files(struct broker *b)
{
    three_batches(b);
}

static void other_topic(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 1, .value = 10, .timestamp = 1};
    int64_t offset;
    assert_int_equal(t_open(b, 0, "epochs", 1, &c), 0);
    assert_int_equal(t_produce(b, 0, 0, &s, &offset), 0);
    assert_int_equal(offset, 0);
    t_verify_all(b, false);
}

static void same_name(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, leave_files);
    t_crash(b, true);
    b->topics[0].parts_n = 0;
    b->topics[0].parts[0].n = 0;
    t_boot_ok(b);
    t_run(b, other_topic);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, verify);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(same_name, 25)

// ---- transactions ------------------------------------------------------------------------------------------------------------
static int16_t transactional(struct broker *b, int64_t pid, int32_t sequence, int marker, int64_t *offset)
{
    struct batch_builder bb = {.limit = 0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    const uint8_t *out;
    size_t n;
    struct t_call call;
    if (marker < 0)
        assert_int_equal(batch_builder_append(&bb, 5, RECORD_NULL, record_bytes_text("value"), NULL, 0), 0);
    else
        assert_int_equal(batch_builder_end_txn(&bb, 5, marker, 0), 0);
    o.producer_id = pid;
    o.producer_epoch = 0;
    o.base_sequence = marker < 0 ? sequence : -1;
    o.transactional = true;
    o.control = marker >= 0;
    assert_int_equal(batch_builder_finish(&bb, &o, NULL, &out, &n), 0);
    uint8_t *copy = malloc(n);
    memcpy(copy, out, n);
    struct shard_append_part part = {.topic_id = b->topics[0].id, .records = copy, .bytes = (int32_t)n};
    struct shard_append a = {
        .parts = &part, .n = 1, .acks = -1, .api_version = 9, .internal = marker >= 0, .owner = &call};
    t_ask(b, SHARD_APPEND, &a, &call);
    batch_builder_destroy(&bb);
    free(copy);
    *offset = part.base_offset;
    return part.error;
}

// The offset behind the last batch that a read_committed reader gets, reading from 0.
static int64_t committed_end(struct broker *b)
{
    int64_t next = 0;
    for (;;) {
        struct t_call call;
        struct shard_fetch_part fp = {.topic_id = b->topics[0].id,
                                      .fetch_offset = next,
                                      .max_bytes = 700,
                                      .current_leader_epoch = -1,
                                      .last_fetched_epoch = -1};
        struct shard_fetch f = {
            .parts = &fp, .n = 1, .max_bytes = 700, .min_one = true, .read_committed = true, .owner = &call};
        t_ask(b, SHARD_FETCH, &f, &call);
        assert_int_equal(fp.error, 0);
        uint32_t n = 0;
        uint8_t *bytes = malloc(fp.bytes + 1);
        for (uint32_t i = 0; i < fp.pieces_n; n += fp.pieces[i++].len)
            memcpy(bytes + n, fp.pieces[i].p, fp.pieces[i].len);
        for (uint32_t at = 0; n - at >= BATCH_HEADER_SIZE && batch_size(bytes + at) <= n - at;
             at += batch_size(bytes + at)) {
            assert_int_equal(batch_base_offset(bytes + at), next);
            next += batch_last_offset_delta(bytes + at) + 1;
        }
        free(bytes);
        if (f.pins) {
            while (!reactor_credit_take(b->r, 0, 1))
                fiber_yield();
            reactor_send(b->r, 0, SHARD_RELEASE)->u[0] = (uint64_t)(uintptr_t)f.pins;
            reactor_credit_give(b->r, 0, 1);
        }
        assert_true(next <= fp.last_stable);
        if (next == fp.last_stable)
            return next;
        assert_true(fp.bytes > 0);
    }
}

static void open_transactions(struct broker *b)
{
    struct log_config c = t_log_config();
    struct t_spec s = {.records = 1, .value = 300, .timestamp = 1};
    int64_t first, second, offset;
    c.segment_bytes = 8 << 10;
    c.max_message_bytes = 4 << 10;
    c.index_interval_bytes = 700;
    assert_int_equal(t_open(b, 0, "txn", 1, &c), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    assert_int_equal(transactional(b, 90, 0, -1, &first), 0);
    for (int i = 0; i < 40; i++)
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    assert_int_equal(transactional(b, 91, 0, -1, &second), 0);
    for (int i = 0; i < 40; i++)
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    assert_int_equal(committed_end(b), first);
    t_cool(b, 0, 0);
    assert_int_equal(committed_end(b), first);
    assert_int_equal(transactional(b, 90, 0, 1, &offset), 0); // committed: up to the second transaction
    assert_int_equal(committed_end(b), second);
}

static void end_transactions(struct broker *b)
{
    int64_t offset;
    assert_int_equal(committed_end(b), 61);                   // what was open is open still
    assert_int_equal(transactional(b, 91, 0, 0, &offset), 0); // aborted
    assert_int_equal(committed_end(b), offset + 1);
}

static void transactions(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, open_transactions);
    t_crash(b, true);
    t_boot_ok(b);
    t_run(b, end_transactions);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(transactions, 26)

// ---- a time index that lost its end ------------------------------------------------------------------------------------------
// The index files of a segment that appends go to are written one after the other and not synced: a crash may leave the offset
// index and only the beginning of the time index. The newest time lies in between, and what comes later is older.
static void late_part(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 4 << 20;
    c.index_interval_bytes = 1024; // an entry for each batch
    assert_int_equal(t_open(b, 0, "late", 1, &c), 0);
    for (int i = 0; i < 180; i++) {
        struct t_spec s = {
            .records = 1, .value = 3000, .flat = true, .timestamp = i == 40 ? 1000000 : 1000 + i};
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    }
}

// The index files are written, though no checkpoint takes note of it: that of the life's beginning holds. What follows is in the
// journal only.
static void late_written(struct broker *b)
{
    struct sbuf out;
    struct t_spec first = {.records = 1, .value = 3000, .flat = true, .timestamp = 1999};
    assert_int_equal(t_produce(b, 0, 0, &first, NULL), 0); // the index is in memory from here on
    sbuf_init(&out);
    assert_int_equal(ckpt_begin(&out, &b->topics[0].id, 0, 0), 0);
    assert_int_equal(log_checkpoint(t_log(b, 0, 0), &out), 0);
    sbuf_free(&out);
    for (int i = 0; i < 20; i++) {
        struct t_spec s = {.records = 1, .value = 3000, .flat = true, .timestamp = 2000 + i};
        assert_int_equal(t_produce(b, 0, 0, &s, NULL), 0);
    }
}

struct cut_index {
    struct broker *b;
    uint32_t times, offsets;
};

static void cut_index(void *arg, const char *path, uint64_t size)
{
    struct cut_index *x = arg;
    static const uint8_t zero[8192];
    if (!strstr(path, "/late-0/"))
        return;
    if (strstr(path, ".timeindex")) {
        x->times = (uint32_t)size / 12;
        assert_true(size > 24 && size < sizeof(zero));
        assert_int_equal(sim_disk_poke(x->b->host, path, 24, zero, size - 24), 0);
    } else if (strstr(path, ".index")) {
        x->offsets = (uint32_t)size / 8;
    }
}

static void late_found(struct broker *b)
{
    struct shard_offset_part o = list(b, 500000);
    assert_int_equal(o.error, 0);
    assert_int_equal(o.offset, 40);
    assert_int_equal(o.found_timestamp, 1000000);
    o = list(b, 1050); // as upstream: the first that is as new
    assert_int_equal(o.offset, 40);
}

static void time_index_without_its_end(struct broker *b)
{
    struct cut_index x = {.b = b};
    t_boot_ok(b);
    t_run(b, late_part);
    t_crash(b, false);
    t_boot_ok(b);
    t_run(b, late_written);
    t_crash(b, false);
    sim_disk_walk(b->host, "/", cut_index, &x);
    assert_true(x.times > 3 && x.offsets > 40);
    t_boot_ok(b);
    t_run(b, late_found);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(time_index_without_its_end, 47)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(offsets_by_time), T_BOTH_ENTRIES(epochs),
        T_BOTH_ENTRIES(fetch_rules),     T_BOTH_ENTRIES(push_rules),
        T_BOTH_ENTRIES(deletion),        T_BOTH_ENTRIES(same_name),
        T_BOTH_ENTRIES(transactions),    T_SIM_ENTRY(time_index_without_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
