/* The .snapshot format; producer_state.h tabulates it. */
#include <errno.h>

#include "engine/base/crc32c.h"
#include "engine/log/producer_state_private.h"

enum {
    AT_VERSION = 0,
    AT_CRC = 2,
    AT_COUNT = 6,
    ENTRY_ID = 0,
    ENTRY_EPOCH = 8,
    ENTRY_LAST_SEQUENCE = 10,
    ENTRY_LAST_OFFSET = 14,
    ENTRY_OFFSET_DELTA = 22,
    ENTRY_TIMESTAMP = 26,
    ENTRY_COORDINATOR_EPOCH = 34,
    ENTRY_TXN_FIRST_OFFSET = 38,
};
SL_STATIC_ASSERT(AT_COUNT + 4 == PRODUCER_SNAPSHOT_HEADER, "the header is 10 bytes");
SL_STATIC_ASSERT(ENTRY_TXN_FIRST_OFFSET + 8 == PRODUCER_SNAPSHOT_ENTRY_SIZE, "an entry is 46 bytes");

size_t producer_state_snapshot_size(const struct producer_state *s)
{
    return PRODUCER_SNAPSHOT_HEADER + (size_t)s->count * PRODUCER_SNAPSHOT_ENTRY_SIZE;
}

static void entry_encode(const struct producer_entry *e, uint8_t *p)
{
    const struct producer_batch *b = producer_entry_last_batch(e);
    be64_store(p + ENTRY_ID, (uint64_t)e->producer_id);
    be16_store(p + ENTRY_EPOCH, (uint16_t)e->epoch);
    be32_store(p + ENTRY_LAST_SEQUENCE, b ? (uint32_t)b->last_sequence : (uint32_t)BATCH_NO_SEQUENCE);
    be64_store(p + ENTRY_LAST_OFFSET, b ? (uint64_t)b->last_offset : (uint64_t)-1);
    be32_store(p + ENTRY_OFFSET_DELTA, b ? (uint32_t)b->offset_delta : 0);
    be64_store(p + ENTRY_TIMESTAMP, (uint64_t)e->last_timestamp);
    be32_store(p + ENTRY_COORDINATOR_EPOCH, (uint32_t)e->coordinator_epoch);
    be64_store(p + ENTRY_TXN_FIRST_OFFSET, (uint64_t)e->txn_first_offset);
}

void producer_state_snapshot_encode(const struct producer_state *s, uint8_t *dst)
{
    size_t n = producer_state_snapshot_size(s);
    be16_store(dst + AT_VERSION, PRODUCER_SNAPSHOT_VERSION);
    be32_store(dst + AT_COUNT, s->count);
    for (uint32_t i = 0; i < s->count; i++)
        entry_encode(&s->entries[i],
                     dst + PRODUCER_SNAPSHOT_HEADER + (size_t)i * PRODUCER_SNAPSHOT_ENTRY_SIZE);
    be32_store(dst + AT_CRC, crc32c(0, dst + AT_COUNT, n - AT_COUNT));
}

static void entry_decode(const uint8_t *p, struct producer_entry *e)
{
    int64_t last_offset = (int64_t)be64_load(p + ENTRY_LAST_OFFSET);
    int64_t txn = (int64_t)be64_load(p + ENTRY_TXN_FIRST_OFFSET);
    *e = (struct producer_entry){
        .producer_id = (int64_t)be64_load(p + ENTRY_ID),
        .last_timestamp = (int64_t)be64_load(p + ENTRY_TIMESTAMP),
        .txn_first_offset = txn >= 0 ? txn : -1,
        .coordinator_epoch = (int32_t)be32_load(p + ENTRY_COORDINATOR_EPOCH),
        .epoch = (int16_t)be16_load(p + ENTRY_EPOCH),
    };
    if (last_offset >= 0)
        producer_entry_add_batch(e, (struct producer_batch){
                                        .last_offset = last_offset,
                                        .timestamp = e->last_timestamp,
                                        .last_sequence = (int32_t)be32_load(p + ENTRY_LAST_SEQUENCE),
                                        .offset_delta = (int32_t)be32_load(p + ENTRY_OFFSET_DELTA),
                                    });
}

static int load_entry(struct producer_state *s, const struct producer_entry *e)
{
    bool txn = e->txn_first_offset >= 0;
    if (e->producer_id < 0 || producer_state_find(s, e->producer_id))
        return -EBADMSG;
    if (producer_state_reserve(s, txn) < 0)
        return -ENOMEM;
    *producer_state_add(s, e->producer_id) = *e;
    if (txn)
        producer_txns_insert(&s->ongoing, (struct producer_txn){.first_offset = e->txn_first_offset,
                                                                .last_offset = -1,
                                                                .producer_id = e->producer_id});
    return 0;
}

int producer_state_snapshot_load(struct producer_state *s, const uint8_t *p, size_t n, int64_t end_offset,
                                 int64_t now_ms, int64_t expiration_ms)
{
    producer_state_clear(s, end_offset);
    if (n < PRODUCER_SNAPSHOT_HEADER || be16_load(p + AT_VERSION) != PRODUCER_SNAPSHOT_VERSION ||
        be32_load(p + AT_CRC) != crc32c(0, p + AT_COUNT, n - AT_COUNT))
        return -EBADMSG;
    uint32_t count = be32_load(p + AT_COUNT);
    if ((n - PRODUCER_SNAPSHOT_HEADER) / PRODUCER_SNAPSHOT_ENTRY_SIZE != count ||
        (n - PRODUCER_SNAPSHOT_HEADER) % PRODUCER_SNAPSHOT_ENTRY_SIZE != 0)
        return -EBADMSG;
    p += PRODUCER_SNAPSHOT_HEADER;
    for (uint32_t i = 0; i < count; i++, p += PRODUCER_SNAPSHOT_ENTRY_SIZE) {
        struct producer_entry e;
        entry_decode(p, &e);
        if (producer_entry_expired(&e, now_ms, expiration_ms))
            continue;
        int rc = load_entry(s, &e);
        if (rc < 0) {
            producer_state_clear(s, end_offset);
            return rc;
        }
    }
    return 0;
}
