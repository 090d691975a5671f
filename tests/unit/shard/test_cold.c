// The cold cache and read-ahead: what is read from disk how often, what is evicted, what stuck readers hold, and that nothing
// of a segment that went is found. Bytes read are counted by the simulated disk.
#include "shard_test.h"

#include "engine/log/stream.h"

enum { VALUE = 3000, MANY = 5000 };

static const uint64_t MB = 1 << 20;

// `bytes` of batches in partition 0 of a topic, all of it on disk only.
static void fill(struct broker *b, int topic, const char *name, const struct log_config *c, uint64_t bytes)
{
    assert_int_equal(t_open(b, topic, name, 1, c), 0);
    for (uint64_t n = 0; n < bytes; n += 20 * VALUE) {
        struct t_spec s = {.records = 20, .value = VALUE, .timestamp = 1};
        assert_int_equal(t_produce(b, topic, 0, &s, NULL), 0);
    }
}

static uint64_t disk(const struct broker *b)
{
    return sim_world_stats(b->w)->bytes_read;
}

static struct cache *cache_of(struct broker *b)
{
    return b->s->env.cache;
}

static uint64_t metric(struct broker *b, enum metric_id id)
{
    return metric_get(reactor_metrics(b->r), id);
}

// Reads [from, to) of a topic in order, and compares it with what was acknowledged.
static void scan(struct broker *b, int topic, int64_t from, int64_t to, uint32_t max)
{
    const struct t_part *p = &b->topics[topic].parts[0];
    struct shard_fetch_part fp;
    uint32_t at = 0;
    while (from < to) {
        uint8_t *bytes = t_fetch(b, topic, 0, from, max, 0, &fp);
        assert_int_equal(fp.error, 0);
        assert_true(fp.bytes >= BATCH_HEADER_SIZE && batch_size(bytes) <= fp.bytes);
        for (uint32_t k = 0; fp.bytes - k >= BATCH_HEADER_SIZE && batch_size(bytes + k) <= fp.bytes - k;) {
            struct batch_info i;
            assert_int_equal(batch_parse(bytes + k, fp.bytes - k, &i), 0);
            while (at < p->n && p->claims[at].offset < i.base_offset)
                at++;
            assert_true(at < p->n && p->claims[at].offset == i.base_offset);
            assert_int_equal(p->claims[at].hash, t_hash(bytes + k, i.size));
            from = batch_info_last_offset(&i) + 1;
            k += i.size;
        }
        free(bytes);
    }
}

static int64_t end_of(const struct broker *b, int topic)
{
    const struct t_part *p = &b->topics[topic].parts[0];
    return p->claims[p->n - 1].offset + p->claims[p->n - 1].records;
}

// One life that fills, then a second one, in which all is cold.
static void run_cold(uint64_t seed, void (*first)(struct broker *b), void (*then)(struct broker *b))
{
    struct broker *b = malloc(sizeof(*b));
    t_sim(b, seed);
    b->cfg.read_pool_bytes = 4 * MB;
    b->cfg.read_ahead = 1 * MB;
    t_boot_ok(b);
    t_run(b, first);
    assert_int_equal(t_stop(b), 0);
    t_boot_ok(b);
    t_run(b, then);
    assert_int_equal(t_stop(b), 0); // asserts that nothing is held
    t_down(b);
    free(b);
}

static void fill_small(struct broker *b)
{
    struct log_config c = t_log_config();
    fill(b, 0, "cold", &c, 2 * MB);
}

// ---- sharing ------------------------------------------------------------------------------------------------------------------
struct side {
    struct broker *b;
    struct fiber_wait *wait;
};

static void one_reader(void *arg)
{
    struct side *x = arg;
    scan(x->b, 0, 0, end_of(x->b, 0), 200 * 1000);
    fiber_wait_done(x->wait);
}

// Eight readers at once read the disk once.
static void read_together(struct broker *b)
{
    struct fiber_wait w = {0};
    struct side x = {b, &w};
    uint64_t before = disk(b), size = log_size_bytes(t_log(b, 0, 0));
    fiber_wait_add(&w, 8);
    for (int i = 0; i < 8; i++)
        assert_non_null(fiber_spawn(b->r, one_reader, &x, 0));
    fiber_wait(&w);
    assert_in_range(disk(b) - before, size, size + size / 20);
    assert_true(metric(b, METRIC_COLD_JOINED) > 0);
    assert_true(metric(b, METRIC_COLD_HITS) > metric(b, METRIC_COLD_MISSES));
}

static void joined(void **state)
{
    run_cold(101, fill_small, read_together);
}

// ---- eviction -----------------------------------------------------------------------------------------------------------------
static void fill_two(struct broker *b)
{
    struct log_config c = t_log_config();
    fill(b, 0, "hot", &c, 1 * MB);
    fill(b, 1, "long", &c, 40 * MB);
}

// What is read again and again stays through a scan of ten times the pool, and so does the tail.
static void scan_beside(struct broker *b)
{
    struct log_config c = t_log_config();
    fill(b, 2, "tail", &c, 1 * MB);
    uint64_t tail = log_memory_bytes(t_log(b, 2, 0));
    for (int i = 0; i < 3; i++)
        scan(b, 0, 0, end_of(b, 0), 200 * 1000);
    uint64_t before = disk(b), size = log_size_bytes(t_log(b, 1, 0));
    scan(b, 1, 0, end_of(b, 1), 1 << 20);
    assert_in_range(disk(b) - before, size, size + size / 20);
    assert_true(cache_of(b)->held <= 4 * MB);
    assert_true(metric(b, METRIC_COLD_EVICTIONS) > 0);
    before = disk(b);
    scan(b, 0, 0, end_of(b, 0), 200 * 1000);
    assert_int_equal(disk(b), before);
    assert_int_equal(log_memory_bytes(t_log(b, 2, 0)), tail);
    scan(b, 2, 0, end_of(b, 2), 200 * 1000);
    assert_int_equal(disk(b), before);
}

static void scan_resistant(void **state)
{
    run_cold(102, fill_two, scan_beside);
}

// ---- read-ahead -----------------------------------------------------------------------------------------------------------------
// Small steps: extents beyond are read before they are asked for, never more than the limit ahead.
static void step_through(struct broker *b)
{
    struct shard_fetch_part fp;
    struct log *l = t_log(b, 1, 0);
    uint32_t step = cache_extent_bytes(cache_of(b));
    uint64_t before = disk(b), misses = metric(b, METRIC_COLD_MISSES), most = 0;
    int64_t next = 0;
    for (int i = 0; i < 60; i++) {
        uint8_t *bytes = t_fetch(b, 1, 0, next, 70 * 1000, 0, &fp);
        next = batch_base_offset(bytes) + batch_last_offset_delta(bytes) + 1;
        free(bytes);
        fiber_sleep(20 * 1000 * 1000);
        struct stream st;
        assert_true(stream_look(l, l->segments[0]->file_id, next, &st));
        most = SL_MAX(most, disk(b) - before - SL_MIN(disk(b) - before, st.pos));
    }
    assert_in_range(most, 1 * MB - step, 1 * MB + 3 * step);
    assert_true(metric(b, METRIC_COLD_MISSES) - misses <= 3);
}

// Jumps read what they ask for, and what was read ahead for a reader that left is what goes first.
static void jump_about(struct broker *b)
{
    struct shard_fetch_part fp;
    uint32_t step = cache_extent_bytes(cache_of(b));
    uint64_t before = disk(b);
    int64_t end = end_of(b, 1);
    for (int64_t i = 1; i <= 20; i++)
        free(t_fetch(b, 1, 0, end * ((i * 7) % 20) / 20 + 1, 1000, 0, &fp));
    assert_true(disk(b) - before <= 20 * 4 * step);
    uint64_t wasted = metric(b, METRIC_COLD_WASTED);
    step_through(b);
    fiber_sleep(30 * T_SECOND);
    assert_true(cache_of(b)->ahead_bytes > 0);
    free(t_fetch(b, 0, 0, end_of(b, 0) / 2, 1000, 0, &fp)); // someone comes: the others are looked through
    assert_int_equal(cache_of(b)->ahead_bytes, 0);
    assert_true(metric(b, METRIC_COLD_WASTED) > wasted);
}

static void read_ahead(void **state)
{
    run_cold(103, fill_two, step_through);
    run_cold(104, fill_two, jump_about);
}

// ---- stuck readers --------------------------------------------------------------------------------------------------------------
struct stuck {
    struct shard_fetch f;
    struct shard_fetch_part part;
    struct t_call call;
};

static void release(struct broker *b, struct stuck *x)
{
    if (!x->f.pins)
        return;
    while (!reactor_credit_take(b->r, 0, 1))
        fiber_yield();
    reactor_send(b->r, 0, SHARD_RELEASE)->u[0] = (uint64_t)(uintptr_t)x->f.pins;
    reactor_credit_give(b->r, 0, 1);
}

// 5,000 answers whose bytes are never taken hold no more than the pool, each no more than its window; appends and the tail go
// on beside them; whoever waits for memory gets it when it comes back.
static void get_stuck(struct broker *b)
{
    struct stuck *x = calloc(MANY, sizeof(*x));
    struct shard_fetch_part fp;
    int64_t end = end_of(b, 1);
    uint64_t served = 0;
    for (int i = 0; i < MANY; i++) {
        x[i].part = (struct shard_fetch_part){.topic_id = b->topics[1].id,
                                              .fetch_offset = end * i / MANY,
                                              .max_bytes = 1 << 20,
                                              .current_leader_epoch = -1,
                                              .last_fetched_epoch = -1};
        x[i].f = (struct shard_fetch){
            .parts = &x[i].part, .n = 1, .max_bytes = 1 << 20, .min_one = true, .owner = &x[i].call};
        t_send(b, SHARD_FETCH, &x[i].f, &x[i].call);
    }
    for (int i = 0; i < MANY; i++) {
        x[i].call.f = fiber_current();
        fiber_park_until(&x[i].call.done);
        assert_int_equal(x[i].part.error, 0);
        assert_true(x[i].part.bytes <= 1 << 20);
        served += x[i].part.bytes;
        assert_true(cache_of(b)->held <= 4 * MB && cache_of(b)->pinned <= 4 * MB + MB);
    }
    assert_true(served > 0);
    struct log_config c = t_log_config();
    fill(b, 2, "beside", &c, 1 * MB);
    scan(b, 2, 0, end_of(b, 2), 1 << 20);
    free(t_fetch(b, 0, 0, 1, 1000, 0, &fp)); // nothing is left: an empty answer, not an error
    assert_int_equal(fp.error, 0);
    for (int i = 0; i < MANY; i++) {
        release(b, &x[i]);
        fiber_yield();
    }
    fiber_sleep(T_SECOND);
    assert_int_equal(cache_of(b)->pinned, 0);
    scan(b, 0, 0, end_of(b, 0), 1 << 20);
    free(x);
}

static void stuck(void **state)
{
    run_cold(105, fill_two, get_stuck);
}

// ---- what went ------------------------------------------------------------------------------------------------------------------
static void fill_rolling(struct broker *b)
{
    struct log_config c = t_log_config();
    c.segment_bytes = 512 << 10;
    fill(b, 0, "rolling", &c, 3 * MB);
}

static uint32_t cached_of(struct broker *b, uint64_t file_id)
{
    struct cache_entry *e, *tmp;
    uint32_t n = 0;
    HASH_ITER(hh, cache_of(b)->table, e, tmp)
    n += e->key.file_id == file_id;
    return n;
}

// A segment that retention removes, and a topic that is deleted, leave nothing in the cache; an answer that holds bytes of it
// keeps them as they were.
static void remove_under_reader(struct broker *b)
{
    struct log *l = t_log(b, 0, 0);
    uint64_t first = l->segments[0]->file_id, last = log_active(l)->file_id;
    struct stuck x = {.part = {.topic_id = b->topics[0].id,
                               .max_bytes = 300 << 10,
                               .current_leader_epoch = -1,
                               .last_fetched_epoch = -1}};
    x.f = (struct shard_fetch){
        .parts = &x.part, .n = 1, .max_bytes = 300 << 10, .min_one = true, .owner = &x.call};
    scan(b, 0, 0, end_of(b, 0), 1 << 20);
    t_ask(b, SHARD_FETCH, &x.f, &x.call);
    assert_true(x.part.bytes > 0 && cached_of(b, first) > 0 && cached_of(b, last) > 0);
    uint64_t hash = sl_hash64(x.part.pieces[0].p, x.part.pieces[0].len, 1), sequence;
    int64_t start = l->segments[1]->base_offset;
    assert_int_equal(log_fence_start(l, start, &sequence), 0);
    assert_int_equal(log_start_fenced(l, start, sequence, UINT64_MAX), 0);
    assert_int_equal(log_retain(l), 1);
    t_forget(b, 0, 0, start);
    assert_int_equal(cached_of(b, first), 0);
    scan(b, 0, start, end_of(b, 0), 1 << 20);
    assert_int_equal(sl_hash64(x.part.pieces[0].p, x.part.pieces[0].len, 1), hash);
    assert_int_equal(t_delete(b, 0), 0);
    assert_int_equal(HASH_COUNT(cache_of(b)->table), 0);
    assert_int_equal(sl_hash64(x.part.pieces[0].p, x.part.pieces[0].len, 1), hash);
    release(b, &x);
    fiber_sleep(T_SECOND);
    assert_int_equal(cache_of(b)->held, 0);
}

static void removed(void **state)
{
    run_cold(106, fill_rolling, remove_under_reader);
}

// A failed read is an error for who waited for it, and is not remembered.
static void fail_reads(struct broker *b)
{
    struct shard_fetch_part fp;
    scan(b, 0, 0, 20, 1000);
    sim_world_faults(b->w)->eio_read = 1000000;
    free(t_fetch(b, 0, 0, end_of(b, 0) / 2, 1000, 0, &fp));
    assert_int_equal(fp.error, KERR_KAFKA_STORAGE_ERROR);
    sim_world_faults(b->w)->eio_read = 0;
    sim_world_faults(b->w)->short_read = 500000;
    scan(b, 0, 0, end_of(b, 0), 100 * 1000);
    sim_world_faults(b->w)->short_read = 0;
}

static void faults(void **state)
{
    run_cold(107, fill_rolling, fail_reads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joined), cmocka_unit_test(scan_resistant), cmocka_unit_test(read_ahead),
        cmocka_unit_test(stuck),  cmocka_unit_test(removed),        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
