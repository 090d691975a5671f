// What a read_committed reader is told of aborted transactions: with it, it sees the committed records and no others, from
// whatever offset, after any end of the broker, and when parts of the log have gone.
#include "engine/log/aborted.h"
#include "engine/log/compact.h"
#include "tests/unit/shard/shard_test.h"

enum { PIDS = 6, OFFSETS = 20000 };

enum fate { GAP, OPEN, COMMITTED, ABORTED, MARKER };
static uint8_t fate[OFFSETS];
static int64_t pid_of[OFFSETS], end;
static int32_t sequence[PIDS];
static bool open_txn[PIDS];
static uint32_t aborts;

static struct log_config config(void)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 4096;
    c.retention_ms = c.retention_bytes = -1;
    return c;
}

static void reset(void)
{
    memset(fate, GAP, sizeof(fate));
    memset(sequence, 0, sizeof(sequence));
    memset(open_txn, 0, sizeof(open_txn));
    end = aborts = 0;
}

static int64_t append(struct broker *b, struct batch_builder *bb, const struct batch_options *o)
{
    struct t_append x;
    const uint8_t *out;
    size_t n;
    assert_int_equal(batch_builder_finish(bb, o, NULL, &out, &n), 0);
    uint8_t *copy = malloc(n);
    memcpy(copy, out, n);
    batch_builder_destroy(bb);
    t_append_start(b, &x, 0, 0, copy, (uint32_t)n, 1, -1);
    x.a.internal = o->control;
    x.call.f = fiber_current();
    fiber_park_until(&x.call.done);
    assert_int_equal(x.part.error, 0);
    free(copy);
    return x.part.base_offset;
}

static void data(struct broker *b, uint32_t p)
{
    struct batch_builder bb = {.limit = 0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    uint32_t n = 1 + (uint32_t)sl_rand_below(&b->rand, 4);
    char key[16];
    for (uint32_t i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "k%llu", (unsigned long long)sl_rand_below(&b->rand, 20));
        assert_int_equal(batch_builder_append(&bb, reactor_wall_ms(b->r), record_bytes_text(key),
                                              record_bytes_text("a value of some length"), NULL, 0),
                         0);
    }
    o.producer_id = 100 + p;
    o.producer_epoch = 0;
    o.base_sequence = sequence[p];
    o.transactional = true;
    int64_t at = append(b, &bb, &o);
    sequence[p] += (int32_t)n;
    open_txn[p] = true;
    for (uint32_t i = 0; i < n; i++) {
        fate[at + i] = OPEN;
        pid_of[at + i] = 100 + p;
    }
    end = at + n;
}

static void marker(struct broker *b, uint32_t p, bool commit)
{
    struct batch_builder bb = {.limit = 0};
    struct batch_options o = BATCH_OPTIONS_DEFAULT;
    o.producer_id = 100 + p;
    o.producer_epoch = 0;
    o.transactional = o.control = true;
    assert_int_equal(batch_builder_end_txn(&bb, reactor_wall_ms(b->r), commit, 1), 0);
    int64_t at = append(b, &bb, &o);
    for (int64_t i = 0; i < at; i++)
        if (fate[i] == OPEN && pid_of[i] == 100 + p)
            fate[i] = commit ? COMMITTED : ABORTED;
    fate[at] = MARKER;
    end = at + 1;
    open_txn[p] = false;
    aborts += !commit;
}

static void some(struct broker *b, int steps)
{
    for (int i = 0; i < steps; i++) {
        uint32_t p = (uint32_t)sl_rand_below(&b->rand, PIDS);
        if (open_txn[p] && sl_rand_below(&b->rand, 3) == 0)
            marker(b, p, sl_rand_below(&b->rand, 2));
        else
            data(b, p);
    }
}

static void settle(struct broker *b)
{
    for (uint32_t p = 0; p < PIDS; p++)
        if (open_txn[p])
            marker(b, p, p & 1);
}

// ---- a reader -----------------------------------------------------------------------------------------------------------
struct reader {
    struct aborted_txn named[512]; // of the answer, by first offset
    uint32_t n;
    bool skip[PIDS]; // inside an aborted transaction
};

static int by_first(const void *a, const void *b)
{
    const struct aborted_txn *x = a, *y = b;
    return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
}

// As a client reads an answer: what is named is skipped from its first offset to its producer's next abort marker.
static int64_t read_answer(struct reader *x, const uint8_t *bytes, uint32_t n, int64_t from, uint8_t *seen)
{
    struct batch_info i;
    uint32_t k = 0;
    int64_t next = from;
    memset(x->skip, 0, sizeof(x->skip));
    for (uint32_t at = 0; n - at >= BATCH_HEADER_SIZE && batch_size(bytes + at) <= n - at; at += i.size) {
        assert_int_equal(batch_parse(bytes + at, n - at, &i), 0);
        for (; k < x->n && x->named[k].first_offset <= batch_info_last_offset(&i); k++)
            x->skip[x->named[k].producer_id - 100] = true;
        next = batch_info_last_offset(&i) + 1;
        if (batch_info_is_control(&i)) {
            struct producer_marker m;
            if (producer_marker_parse(bytes + at, i.size, &m) == 1 && !m.commit)
                x->skip[m.producer_id - 100] = false;
            continue;
        }
        struct record_iter it;
        struct record r;
        record_iter_init(&it, bytes + at + BATCH_RECORDS, i.size - BATCH_RECORDS, i.record_count);
        while (!x->skip[i.producer_id - 100] && record_iter_next(&it, &r) > 0)
            if (i.base_offset + r.offset_delta >= from)
                seen[i.base_offset + r.offset_delta] = 1;
    }
    return next;
}

static int64_t fetch(struct broker *b, int64_t from, uint32_t max, uint8_t *seen, int64_t *stable)
{
    struct t_call call;
    static struct reader x;
    struct shard_fetch_part fp = {.topic_id = b->topics[0].id,
                                  .fetch_offset = from,
                                  .max_bytes = (int32_t)max,
                                  .current_leader_epoch = -1,
                                  .last_fetched_epoch = -1};
    struct shard_fetch f = {
        .parts = &fp, .n = 1, .max_bytes = max, .min_one = true, .read_committed = true, .owner = &call};
    uint8_t *bytes = malloc(1 << 20);
    uint32_t n = 0;
    t_ask(b, SHARD_FETCH, &f, &call);
    assert_int_equal(fp.error, 0);
    for (uint32_t i = 0; i < fp.pieces_n; i++) {
        memcpy(bytes + n, fp.pieces[i].p, fp.pieces[i].len);
        n += fp.pieces[i].len;
    }
    assert_true(fp.aborted_n <= SL_ARRAY_LEN(x.named));
    x.n = fp.aborted_n;
    if (x.n) {
        memcpy(x.named, fp.aborted, x.n * sizeof(x.named[0]));
        qsort(x.named, x.n, sizeof(x.named[0]), by_first);
    }
    if (f.pins) {
        while (!reactor_credit_take(b->r, 0, 1))
            fiber_yield();
        reactor_send(b->r, 0, SHARD_RELEASE)->u[0] = (uint64_t)(uintptr_t)f.pins;
        reactor_credit_give(b->r, 0, 1);
    }
    *stable = fp.last_stable;
    int64_t next = read_answer(&x, bytes, n, from, seen);
    free(bytes);
    return next;
}

// Reads from `from` in answers of at most `max` bytes; `compacted`: committed records may be missing.
static void read_from(struct broker *b, int64_t from, uint32_t max, bool compacted)
{
    uint8_t *seen = calloc(OFFSETS, 1);
    int64_t stable, at = from, next;
    while ((next = fetch(b, at, max, seen, &stable)) > at)
        at = next;
    int64_t undecided = end;
    for (int64_t i = end; i-- > 0;)
        undecided = fate[i] == OPEN ? i : undecided;
    assert_int_equal(stable, undecided);
    assert_true(at >= stable || compacted);
    for (int64_t i = 0; i < end; i++) {
        bool may = fate[i] == COMMITTED && i >= from && i < stable;
        if ((seen[i] && !may) || (!seen[i] && may && !compacted))
            fail_msg("offset %lld, fate %u, %s, read from %lld", (long long)i, fate[i],
                     seen[i] ? "was read" : "is missing", (long long)from);
    }
    free(seen);
}

static void read_everywhere(struct broker *b, bool compacted)
{
    struct log_ends e;
    log_get_ends(t_log(b, 0, 0), &e);
    read_from(b, e.log_start, 1 << 20, compacted);
    for (int i = 0; i < 8; i++) {
        int64_t from =
            e.log_start + (int64_t)sl_rand_below(&b->rand, (uint64_t)(e.last_stable - e.log_start + 1));
        read_from(b, from, 300u << sl_rand_below(&b->rand, 6), compacted);
    }
}

// ---- over restarts ------------------------------------------------------------------------------------------------------
// A watch of read_committed waits on while transactions are open, and brings what their ends make visible.
static void pushed_part(struct broker *b)
{
    struct log_config c = config();
    reset();
    b->fired = 0;
    assert_int_equal(t_open(b, 0, "txns", 1, &c), 0);
    for (int round = 0; round < 4; round++) {
        int64_t at = end;
        uint32_t before = b->fired;
        data(b, 0); // opens a transaction
        int64_t stable = at;
        t_watch(b, 0, 1, &at, 7, true);
        for (int i = 0; i < 5; i++)
            data(b, 0);
        fiber_sleep(5 * 1000000);
        assert_int_equal(b->fired, before);
        marker(b, 0, round & 1);
        t_until_fired(b, before + 1);
        assert_int_equal(b->pushed_n, 1);
        assert_true(b->pushed_bytes > 0 && b->pushed[0].last_stable > stable);
        assert_int_equal(b->pushed[0].aborted_n, !(round & 1));
    }
}

static void pushed(struct broker *b)
{
    t_boot_ok(b);
    t_run(b, pushed_part);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(pushed, 64)

static void first_part(struct broker *b)
{
    struct log_config c = config();
    assert_int_equal(t_open(b, 0, "txn", 1, &c), 0);
    some(b, 200);
    read_everywhere(b, false);
}

static void more_part(struct broker *b)
{
    read_everywhere(b, false);
    some(b, 120);
    read_everywhere(b, false);
    t_cool(b, 0, 0);
    read_everywhere(b, false);
}

static void flip_files(struct broker *b)
{
    char path[1500];
    uint8_t *p;
    size_t n;
    uint32_t hit = 0;
    for (int64_t base = 0; base < end; base++) {
        snprintf(path, sizeof(path), "%s/txn-0/%020lld.txnindex", b->dir, (long long)base);
        if (fio_read_file(path, 1 << 20, &p, &n))
            continue;
        p[n / 2] ^= 0x80;
        assert_int_equal(fio_write_file(path, p, n), 0);
        free(p);
        hit++;
    }
    assert_true(hit > 1);
}

static void over_restarts(struct broker *b)
{
    reset();
    t_boot_ok(b);
    t_run(b, first_part);
    for (int i = 0; i < 6; i++) {
        if (i == 3)
            t_run(b, flip_files); // damaged, they are made anew
        if (i == 2 || i == 4)
            assert_int_equal(t_stop(b), 0);
        else
            t_crash(b, i & 1);
        t_boot_ok(b);
        t_run(b, more_part);
    }
    assert_true(aborts > 20);
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(over_restarts, 51)

// ---- after upstream ------------------------------------------------------------------------------------------------------
// A transaction over several segments is aborted in the last one, from which on upstream has not synced.
static void long_part(struct broker *b)
{
    struct log_config c = config();
    assert_int_equal(t_open(b, 0, "txn", 1, &c), 0);
    data(b, 0);
    for (int i = 0; i < 120; i++)
        data(b, 1 + (uint32_t)i % 2);
    marker(b, 1, true);
    marker(b, 2, true);
    b->recovery_point = end;
    marker(b, 0, false);
}

static void left_by_upstream(struct broker *b)
{
    t_unlink_clean(b);
    t_drop_snapshots(b);
}

static void read_all(struct broker *b)
{
    read_everywhere(b, false);
}

static void after_upstream(struct broker *b)
{
    reset();
    t_boot_ok(b);
    t_run(b, long_part);
    assert_int_equal(t_stop(b), 0);
    t_between_lives(b, left_by_upstream);
    t_boot_ok(b);
    assert_int_equal(b->kind, STORE_UPSTREAM);
    t_run(b, read_all);
    assert_int_equal(t_stop(b), 0);
}
T_SIM(after_upstream, 65)

// ---- the front goes -----------------------------------------------------------------------------------------------------
static void trimmed_part(struct broker *b)
{
    struct log_config c = config();
    assert_int_equal(t_open(b, 0, "txn", 1, &c), 0);
    some(b, 200);
    settle(b);
    assert_int_equal(t_delete_records(b, end / 2, NULL), 0);
    assert_true(log_retain(t_log(b, 0, 0)) > 0);
    read_everywhere(b, false);
    struct aborted_txn *list;
    uint32_t n = log_aborted_between(t_log(b, 0, 0), 0, INT64_MAX, &list);
    assert_true(n > 0 && n < aborts && list[0].last_offset >= end / 2);
    free(list);
    some(b, 50);
}

static void front_goes(struct broker *b)
{
    reset();
    t_boot_ok(b);
    t_run(b, trimmed_part);
    for (int i = 0; i < 3; i++) {
        t_crash(b, i & 1);
        t_boot_ok(b);
        t_run(b, more_part);
    }
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(front_goes, 52)

// ---- compaction ---------------------------------------------------------------------------------------------------------
static void compact_part(struct broker *b)
{
    struct compactor_config cc = {.map_bytes = 1 << 20, .load_factor = 0.9, .bytes_per_second = 1e300};
    struct compactor *c = compactor_create(b->r, &cc);
    if (end == 0) {
        struct log_config lc = config();
        lc.compacted = true;
        lc.max_compaction_lag_ms = INT64_MAX;
        lc.delete_retention_ms = 0; // markers go in the second round
        assert_int_equal(t_open(b, 0, "txn", 1, &lc), 0);
    }
    struct aborted_txn *list;
    for (int round = 0; round < 4; round++) {
        some(b, 80);
        settle(b);
        fiber_sleep(50ull * 1000 * 1000);
        assert_true(log_compact(t_log(b, 0, 0), c) >= 0);
        read_everywhere(b, true);
    }
    uint32_t n = log_aborted_between(t_log(b, 0, 0), 0, INT64_MAX, &list);
    assert_true(n > 0 && n < aborts); // some markers went, and their transactions with them
    free(list);
    compactor_destroy(c);
}

static void compacted(struct broker *b)
{
    reset();
    t_boot_ok(b);
    t_run(b, compact_part);
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            assert_int_equal(t_stop(b), 0);
        else
            t_crash(b, i & 1);
        t_boot_ok(b);
        t_run(b, compact_part);
    }
    assert_int_equal(t_stop(b), 0);
}
T_BOTH(compacted, 53)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_BOTH_ENTRIES(pushed),     T_BOTH_ENTRIES(over_restarts), T_SIM_ENTRY(after_upstream),
        T_BOTH_ENTRIES(front_goes), T_BOTH_ENTRIES(compacted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
