/* Replays tests/golden/records/producer-trace.txt, which upstream's log wrote while it took appends,
 * markers and high watermarks from six producers, and compares every outcome; then the snapshot and the
 * three indexes.
 *   D producer epoch sequence count transactional timestamp bytes -> error first last
 *   M producer epoch coordinator-epoch commit txn-version timestamp -> error first last
 *   H high-watermark -> last-stable-offset */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/log/index.h"
#include "engine/log/producer_state.h"
#include "engine/log/timeindex.h"
#include "engine/log/txnindex.h"
#include "tests/unit/log/golden.h"

#define NOW      1700000000000LL
#define DAY_MS   86400000
#define INTERVAL 300

struct replay {
    struct producer_state s;
    struct offset_index index;
    struct time_index time;
    uint8_t txns[64 * TXN_INDEX_ENTRY_SIZE];
    size_t txn_bytes;
    uint32_t position;
    int64_t end;
    struct timestamp_offset max;
    unsigned line, data, duplicates, markers, errors;
};

static void index_batch(struct replay *r, int64_t timestamp, uint32_t bytes)
{
    int64_t last = r->end - 1;
    if (timestamp > r->max.timestamp)
        r->max = (struct timestamp_offset){timestamp, last};
    int rc = offset_index_on_batch(&r->index, INTERVAL, last, r->position, bytes);
    assert_true(rc >= 0);
    if (rc == 1)
        assert_true(time_index_append(&r->time, r->max.timestamp, r->max.offset, false) >= 0);
    r->position += bytes;
}

static void replay_data(struct replay *r, const char *line)
{
    long long pid, ts, first, last;
    int epoch, seq, count, txn, bytes, error;
    assert_int_equal(sscanf(line, "D %lld %d %d %d %d %lld %d -> %d %lld %lld", &pid, &epoch, &seq, &count,
                            &txn, &ts, &bytes, &error, &first, &last),
                     10);
    struct batch_info b = {.base_offset = r->end,
                           .max_timestamp = ts,
                           .producer_id = pid,
                           .producer_epoch = (int16_t)epoch,
                           .base_sequence = seq,
                           .record_count = count,
                           .last_offset_delta = count - 1,
                           .attributes = txn ? BATCH_ATTR_TRANSACTIONAL : 0,
                           .size = (uint32_t)bytes};
    struct producer_check check = {.origin = PRODUCER_FROM_CLIENT};
    struct producer_duplicate dup;
    int16_t rc = producer_state_check(&r->s, &b, &check, &dup);
    if (rc != error)
        fail_msg("line %u: %s: %s", r->line, kerr_name(rc), line);
    r->data++;
    r->errors += rc != 0;
    if (rc == KERR_DUPLICATE_SEQUENCE_NUMBER) {
        r->duplicates++;
        assert_int_equal(dup.base_offset, first);
        assert_int_equal(dup.last_offset, last);
    }
    if (rc != KERR_NONE)
        return;
    assert_int_equal(r->end, first);
    assert_int_equal(producer_state_apply(&r->s, &b), 0);
    r->end += count;
    assert_int_equal(r->end - 1, last);
    index_batch(r, ts, (uint32_t)bytes);
}

static void replay_marker(struct replay *r, const char *line)
{
    long long pid, ts, first, last;
    int epoch, coordinator, commit, version, error;
    assert_int_equal(sscanf(line, "M %lld %d %d %d %d %lld -> %d %lld %lld", &pid, &epoch, &coordinator,
                            &commit, &version, &ts, &error, &first, &last),
                     9);
    struct producer_marker m = {.producer_id = pid,
                                .offset = r->end,
                                .timestamp = ts,
                                .coordinator_epoch = coordinator,
                                .epoch = (int16_t)epoch,
                                .commit = commit != 0};
    int16_t rc = producer_state_check_marker(&r->s, &m, version);
    if (rc != error)
        fail_msg("line %u: %s: %s", r->line, kerr_name(rc), line);
    r->markers++;
    if (rc != KERR_NONE)
        return;
    struct producer_completed done;
    assert_int_equal(producer_state_apply_marker(&r->s, &m, &done), 0);
    r->end++;
    assert_int_equal(r->end - 1, last);
    index_batch(r, ts, 78);
    if (done.first_offset < 0 || !done.aborted)
        return;
    struct aborted_txn t = {done.producer_id, done.first_offset, done.last_offset, done.last_stable_offset};
    assert_true(r->txn_bytes < sizeof(r->txns));
    aborted_txn_encode(&t, r->txns + r->txn_bytes);
    r->txn_bytes += TXN_INDEX_ENTRY_SIZE;
}

static void replay_watermark(struct replay *r, const char *line)
{
    long long hw, stable;
    assert_int_equal(sscanf(line, "H %lld -> %lld", &hw, &stable), 2);
    producer_state_on_high_watermark(&r->s, hw);
    if (producer_state_last_stable(&r->s, hw, 0) != stable)
        fail_msg("line %u: last stable offset %lld: %s", r->line,
                 (long long)producer_state_last_stable(&r->s, hw, 0), line);
}

static void replay_all(struct replay *r)
{
    size_t n;
    char *text = (char *)golden_read("producer-trace.txt", &n);
    text = realloc(text, n + 1);
    text[n] = '\0';
    *r = (struct replay){.max = {-1, -1}};
    producer_state_init(&r->s, 0);
    offset_index_init(&r->index, 0, 10 << 20);
    time_index_init(&r->time, 0, 10 << 20);
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        r->line++;
        if (line[0] == 'D')
            replay_data(r, line);
        else if (line[0] == 'M')
            replay_marker(r, line);
        else
            replay_watermark(r, line);
    }
    free(text);
}

static void replay_free(struct replay *r)
{
    producer_state_destroy(&r->s);
    offset_index_destroy(&r->index);
    time_index_destroy(&r->time);
}

static void test_trace(void **state)
{
    struct replay r;
    replay_all(&r);
    assert_int_equal(r.s.end_offset, r.end);
    assert_true(r.data > 1000 && r.duplicates > 20 && r.markers > 100 && r.errors > 100);
    replay_free(&r);
}

/* Upstream's hash map gives its entries any order; ours must have the same ones. */
static void test_snapshot(void **state)
{
    struct replay r;
    size_t n;
    uint8_t *theirs = golden_read("trace.snapshot", &n);
    replay_all(&r);
    assert_int_equal(producer_state_snapshot_size(&r.s), n);
    uint8_t *ours = malloc(n);
    producer_state_snapshot_encode(&r.s, ours);
    assert_memory_equal(ours, theirs, 2);
    assert_memory_equal(ours + 6, theirs + 6, 4);
    for (size_t at = PRODUCER_SNAPSHOT_HEADER; at < n; at += PRODUCER_SNAPSHOT_ENTRY_SIZE) {
        size_t k = PRODUCER_SNAPSHOT_HEADER;
        while (k < n && memcmp(theirs + at, ours + k, PRODUCER_SNAPSHOT_ENTRY_SIZE) != 0)
            k += PRODUCER_SNAPSHOT_ENTRY_SIZE;
        assert_true(k < n);
    }
    struct producer_state s;
    producer_state_init(&s, 0);
    assert_int_equal(producer_state_snapshot_load(&s, theirs, n, r.end, NOW, DAY_MS), 0);
    assert_int_equal(s.count, r.s.count);
    assert_int_equal(s.end_offset, r.end);
    assert_int_equal(producer_state_first_undecided(&s), producer_state_first_undecided(&r.s));
    /* Written again it is the same file, byte for byte. */
    producer_state_snapshot_encode(&s, ours);
    assert_memory_equal(ours, theirs, n);
    producer_state_destroy(&s);
    free(ours);
    free(theirs);
    replay_free(&r);
}

static void test_indexes(void **state)
{
    struct replay r;
    size_t n;
    replay_all(&r);
    assert_true(time_index_append(&r.time, r.max.timestamp, r.max.offset, true) >= 0);

    uint8_t *theirs = golden_read("trace.index", &n);
    assert_int_equal(n, r.index.count * OFFSET_INDEX_ENTRY_SIZE);
    uint8_t *ours = malloc(n);
    offset_index_encode(&r.index, 0, r.index.count, ours);
    assert_memory_equal(ours, theirs, n);
    struct offset_index x;
    offset_index_init(&x, 0, 0);
    assert_int_equal(offset_index_load(&x, theirs, n, r.position), 0);
    assert_memory_equal(x.e, r.index.e, n);
    offset_index_destroy(&x);
    free(ours);
    free(theirs);

    theirs = golden_read("trace.timeindex", &n);
    assert_int_equal(n, r.time.count * TIME_INDEX_ENTRY_SIZE);
    ours = malloc(n);
    time_index_encode(&r.time, 0, r.time.count, ours);
    assert_memory_equal(ours, theirs, n);
    struct time_index t;
    time_index_init(&t, 0, 0);
    assert_int_equal(time_index_load(&t, theirs, n), 0);
    assert_int_equal(t.count, r.time.count);
    time_index_destroy(&t);
    free(ours);
    free(theirs);

    theirs = golden_read("trace.txnindex", &n);
    assert_int_equal(n, r.txn_bytes);
    assert_memory_equal(r.txns, theirs, n);
    assert_int_equal(txn_index_check(theirs, n, 0), n / TXN_INDEX_ENTRY_SIZE);
    free(theirs);
    replay_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_indexes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
