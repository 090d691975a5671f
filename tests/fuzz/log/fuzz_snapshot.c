/* Files that are read back: producer snapshots (with a right CRC, so that the entries are reached),
 * indexes, epoch images. What loads must encode to the same bytes. */
#include <stdlib.h>

#include "engine/base/crc32c.h"
#include "engine/log/epoch.h"
#include "engine/log/index.h"
#include "engine/log/producer_state.h"
#include "engine/log/timeindex.h"
#include "engine/log/txnindex.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void snapshot(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n + 1), *back = malloc(n + 1);
    struct producer_state s;
    memcpy(copy, p, n);
    if (n >= PRODUCER_SNAPSHOT_HEADER)
        be32_store(copy + 2, crc32c(0, copy + 6, n - 6));
    producer_state_init(&s, 0);
    if (producer_state_snapshot_load(&s, copy, n, 100, INT64_MIN / 2, INT64_MAX) == 0 &&
        producer_state_snapshot_size(&s) == n) {
        /* Entries without a batch, and negative numbers that mean none, are written in one way only. */
        producer_state_snapshot_encode(&s, back);
        struct producer_state t;
        producer_state_init(&t, 0);
        SL_ASSERT(producer_state_snapshot_load(&t, back, n, 100, INT64_MIN / 2, INT64_MAX) == 0);
        SL_ASSERT(t.count == s.count &&
                  producer_state_first_undecided(&t) == producer_state_first_undecided(&s));
        producer_state_destroy(&t);
    }
    producer_state_destroy(&s);
    free(copy);
    free(back);
}

static void indexes(const uint8_t *p, size_t n)
{
    uint8_t *back = malloc(n + 1);
    struct offset_index x;
    struct time_index t;
    struct epoch_cache c = {0};
    offset_index_init(&x, 1000, 1u << 20);
    time_index_init(&t, 1000, 1u << 20);
    if (offset_index_load(&x, p, n, 1u << 30) == 0) {
        offset_index_encode(&x, 0, x.count, back);
        SL_ASSERT(memcmp(back, p, n) == 0);
        struct offset_position at = offset_index_lookup(&x, 1500);
        SL_ASSERT(at.offset <= 1500);
        offset_index_truncate(&x, 1200);
        SL_ASSERT(offset_index_last(&x).offset < 1200);
    }
    if (time_index_load(&t, p, n) == 0) {
        time_index_encode(&t, 0, t.count, back);
        SL_ASSERT(memcmp(back, p, n) == 0);
        SL_ASSERT(time_index_lookup(&t, 5000).timestamp <= 5000);
        time_index_truncate(&t, 1200);
    }
    if (epoch_cache_load(&c, p, n) == 0) {
        epoch_cache_encode(&c, back);
        SL_ASSERT(memcmp(back, p, n) == 0);
        (void)epoch_cache_end_offset(&c, 5, 2000);
        epoch_cache_truncate_start(&c, 1500);
    }
    (void)txn_index_check(p, n, 0);
    offset_index_destroy(&x);
    time_index_destroy(&t);
    epoch_cache_destroy(&c);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    snapshot(p, n);
    indexes(p, n);
    return 0;
}
