// A shard's checkpoint image: built, verified and walked. Pure; the layout is in checkpoint.h.
#include "engine/log/checkpoint.h"

#include <errno.h>

#include "engine/base/bytes.h"
#include "engine/base/crc32c.h"

#define CKPT_MAGIC 0x5043454349554c53ull // "SLUICECP", little-endian

enum {
    CKPT_VERSION = 1,
    H_MAGIC = 0,
    H_VERSION = 8,
    H_ZERO16 = 10,
    H_CRC = 12,
    H_LIFE = 16,
    H_SHARD = 32,
    H_LOGS = 36,
    H_GENERATION = 40,
    H_ZERO64 = 48,
    CKPT_HEADER = 56,
};
enum {
    L_TOPIC = 0,
    L_PARTITION = 16,
    L_INCARNATION = 20,
    L_LOG_START = 24,
    L_SEGMENT = 32,
    L_END_POSITION = 40,
    L_LEADER_EPOCH = 44,
    L_END_OFFSET = 48,
    L_MAX_TIMESTAMP = 56,
    L_MAX_TIMESTAMP_OFFSET = 64,
    L_INDEX = 72,
    L_TIMEINDEX = 76,
    L_PRODUCERS_LEN = 80,
    L_EPOCHS_LEN = 84,
    CKPT_LOG = 88,
    CKPT_EPOCH = 12,
};
SL_STATIC_ASSERT(H_ZERO64 + 8 == CKPT_HEADER && L_EPOCHS_LEN + 4 == CKPT_LOG, "the parts have no holes");

int ckpt_begin(struct sbuf *out, const struct sl_uuid *life, uint32_t shard, uint64_t first_generation)
{
    SL_ASSERT(out->len == 0);
    uint8_t h[CKPT_HEADER] = {0};
    le64_store(h + H_MAGIC, CKPT_MAGIC);
    le16_store(h + H_VERSION, CKPT_VERSION);
    memcpy(h + H_LIFE, life->b, 16);
    le32_store(h + H_SHARD, shard);
    le64_store(h + H_GENERATION, first_generation);
    return sbuf_append(out, h, sizeof(h));
}

int ckpt_add(struct sbuf *out, const struct ckpt_log *l)
{
    SL_ASSERT(out->len >= CKPT_HEADER || out->failed);
    SL_ASSERT(l->epochs_len % CKPT_EPOCH == 0);
    uint8_t b[CKPT_LOG];
    memcpy(b + L_TOPIC, l->topic_id.b, 16);
    le32_store(b + L_PARTITION, (uint32_t)l->partition);
    le32_store(b + L_INCARNATION, l->incarnation);
    le64_store(b + L_LOG_START, (uint64_t)l->log_start);
    le64_store(b + L_SEGMENT, (uint64_t)l->segment_base);
    le32_store(b + L_END_POSITION, l->end_position);
    le32_store(b + L_LEADER_EPOCH, (uint32_t)l->leader_epoch);
    le64_store(b + L_END_OFFSET, (uint64_t)l->end_offset);
    le64_store(b + L_MAX_TIMESTAMP, (uint64_t)l->max_timestamp);
    le64_store(b + L_MAX_TIMESTAMP_OFFSET, (uint64_t)l->max_timestamp_offset);
    le32_store(b + L_INDEX, l->index_entries);
    le32_store(b + L_TIMEINDEX, l->timeindex_entries);
    le32_store(b + L_PRODUCERS_LEN, l->producers_len);
    le32_store(b + L_EPOCHS_LEN, l->epochs_len);
    int rc = sbuf_reserve(out, (size_t)CKPT_LOG + l->producers_len + l->epochs_len);
    if (rc)
        return rc;
    rc = sbuf_append(out, b, sizeof(b));
    if (!rc && l->producers_len)
        rc = sbuf_append(out, l->producers, l->producers_len);
    if (!rc && l->epochs_len)
        rc = sbuf_append(out, l->epochs, l->epochs_len);
    if (!rc)
        le32_store(out->data + H_LOGS, le32_load(out->data + H_LOGS) + 1);
    return rc;
}

int ckpt_finish(struct sbuf *out)
{
    if (out->failed)
        return -ENOMEM;
    SL_ASSERT(out->len >= CKPT_HEADER);
    le32_store(out->data + H_CRC, crc32c(0, out->data + H_LIFE, out->len - H_LIFE));
    return 0;
}

int ckpt_rebrand(uint8_t *p, size_t n, const struct sl_uuid *life, uint32_t shard, uint64_t first_generation)
{
    struct ckpt_head head;
    int rc = ckpt_walk(p, n, &head, NULL, NULL);
    if (rc)
        return rc;
    memcpy(p + H_LIFE, life->b, 16);
    le32_store(p + H_SHARD, shard);
    le64_store(p + H_GENERATION, first_generation);
    le32_store(p + H_CRC, crc32c(0, p + H_LIFE, n - H_LIFE));
    return 0;
}

// Decodes the log's part at p, of which n bytes are left. Returns its length, or 0 when it does not fit.
static size_t log_decode(struct ckpt_log *l, const uint8_t *p, size_t n)
{
    if (n < CKPT_LOG)
        return 0;
    memcpy(l->topic_id.b, p + L_TOPIC, 16);
    l->partition = (int32_t)le32_load(p + L_PARTITION);
    l->incarnation = le32_load(p + L_INCARNATION);
    l->log_start = (int64_t)le64_load(p + L_LOG_START);
    l->segment_base = (int64_t)le64_load(p + L_SEGMENT);
    l->end_position = le32_load(p + L_END_POSITION);
    l->leader_epoch = (int32_t)le32_load(p + L_LEADER_EPOCH);
    l->end_offset = (int64_t)le64_load(p + L_END_OFFSET);
    l->max_timestamp = (int64_t)le64_load(p + L_MAX_TIMESTAMP);
    l->max_timestamp_offset = (int64_t)le64_load(p + L_MAX_TIMESTAMP_OFFSET);
    l->index_entries = le32_load(p + L_INDEX);
    l->timeindex_entries = le32_load(p + L_TIMEINDEX);
    l->producers_len = le32_load(p + L_PRODUCERS_LEN);
    l->epochs_len = le32_load(p + L_EPOCHS_LEN);
    uint64_t more = (uint64_t)l->producers_len + l->epochs_len;
    if (more > n - CKPT_LOG || l->epochs_len % CKPT_EPOCH != 0)
        return 0;
    l->producers = l->producers_len ? p + CKPT_LOG : NULL;
    l->epochs = l->epochs_len ? p + CKPT_LOG + l->producers_len : NULL;
    return CKPT_LOG + (size_t)more;
}

static int head_decode(struct ckpt_head *head, const uint8_t *p, size_t n)
{
    if (n < CKPT_HEADER || le64_load(p + H_MAGIC) != CKPT_MAGIC || le16_load(p + H_VERSION) != CKPT_VERSION ||
        le16_load(p + H_ZERO16) != 0)
        return -EBADMSG;
    if (crc32c(0, p + H_LIFE, n - H_LIFE) != le32_load(p + H_CRC))
        return -EBADMSG;
    memcpy(head->life.b, p + H_LIFE, 16);
    head->shard = le32_load(p + H_SHARD);
    head->logs = le32_load(p + H_LOGS);
    head->first_generation = le64_load(p + H_GENERATION);
    return head->logs <= (n - CKPT_HEADER) / CKPT_LOG ? 0 : -EBADMSG;
}

int ckpt_walk(const uint8_t *p, size_t n, struct ckpt_head *head, ckpt_fn fn, void *arg)
{
    int rc = head_decode(head, p, n);
    size_t at = CKPT_HEADER;
    for (uint32_t i = 0; rc == 0 && i < head->logs; i++) {
        struct ckpt_log l;
        size_t len = log_decode(&l, p + at, n - at);
        if (len == 0)
            return -EBADMSG;
        at += len;
        rc = fn ? fn(arg, head, &l) : 0;
    }
    if (rc)
        return rc;
    return at == n ? 0 : -EBADMSG;
}
