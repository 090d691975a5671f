// The journal's bytes: group headers and entries, encoded, decoded and verified. Pure; the layout is in
// journal.h.
#include "engine/log/journal_private.h"

#include <errno.h>

#include "engine/base/bytes.h"
#include "engine/base/canary.h"
#include "engine/base/crc32c.h"
#include "engine/log/batch.h"

// Where each field lies, as the head of journal.h tabulates them.
enum group_field {
    G_MAGIC = 0,
    G_VERSION = 8,
    G_HEADER_LEN = 10,
    G_CRC = 12,
    G_LIFE = 16,
    G_GENERATION = 32,
    G_POSITION = 40,
    G_SEQUENCE = 48,
    G_PREV_CRC = 56,
    G_SHARD = 60,
    G_DURABLE = 64,
    G_LENGTH = 72,
    G_COUNT = 76,
    G_FLAGS = 80,
    G_ZERO = 84,
};
enum entry_field {
    E_TYPE = 0,
    E_FLAGS = 1,
    E_ATTRIBUTES = 2,
    E_CRC = 4,
    E_TOPIC = 8,
    E_PARTITION = 24,
    E_INCARNATION = 28,
    E_SEGMENT = 32,
    E_POSITION = 40,
    E_BYTES = 44,
    E_BASE_OFFSET = 48,
    E_LAST_OFFSET = 56,
    E_PRODUCER_ID = 64,
    E_SEQUENCE = 72,
    E_PRODUCER_EPOCH = 76,
    E_RESERVED = 78,
    E_MAX_TIMESTAMP = 80,
    E_LEADER_EPOCH = 88,
    E_RECORD_COUNT = 92,
    E_EDGES_CRC = 96,
    E_ZERO = 100,
};
SL_STATIC_ASSERT(G_LIFE + 16 == G_GENERATION && G_DURABLE % 8 == 0,
                 "the header has no holes before its zeros");
SL_STATIC_ASSERT(G_ZERO + 44 == JOURNAL_HEADER, "a group header is 128 bytes");
SL_STATIC_ASSERT(E_TOPIC + 16 == E_PARTITION && E_ZERO + 28 == JOURNAL_ENTRY, "an entry is 128 bytes");
SL_STATIC_ASSERT(JOURNAL_HEADER % 8 == 0 && JOURNAL_ENTRY % 8 == 0, "entries stay 8-byte aligned");
SL_STATIC_ASSERT(JOURNAL_HEADER <= 512, "a group header lies in one sector: it is never torn in itself");

void jentry_encode(const struct jentry *e, uint8_t out[JOURNAL_ENTRY])
{
    memset(out, 0, JOURNAL_ENTRY);
    out[E_TYPE] = e->type;
    out[E_FLAGS] = e->flags;
    le16_store(out + E_ATTRIBUTES, e->attributes);
    le32_store(out + E_CRC, e->crc);
    memcpy(out + E_TOPIC, e->topic_id.b, 16);
    le32_store(out + E_PARTITION, (uint32_t)e->partition);
    le32_store(out + E_INCARNATION, e->incarnation);
    le64_store(out + E_SEGMENT, (uint64_t)e->segment_base);
    le32_store(out + E_POSITION, e->position);
    le32_store(out + E_BYTES, e->bytes);
    le64_store(out + E_BASE_OFFSET, (uint64_t)e->base_offset);
    le64_store(out + E_LAST_OFFSET, (uint64_t)e->last_offset);
    le64_store(out + E_PRODUCER_ID, (uint64_t)e->producer_id);
    le32_store(out + E_SEQUENCE, (uint32_t)e->base_sequence);
    le16_store(out + E_PRODUCER_EPOCH, (uint16_t)e->producer_epoch);
    le64_store(out + E_MAX_TIMESTAMP, (uint64_t)e->max_timestamp);
    le32_store(out + E_LEADER_EPOCH, (uint32_t)e->leader_epoch);
    le32_store(out + E_RECORD_COUNT, (uint32_t)e->record_count);
    le32_store(out + E_EDGES_CRC, e->edges_crc);
}

void jentry_decode(struct jentry *e, const uint8_t in[JOURNAL_ENTRY])
{
    e->type = in[E_TYPE];
    e->flags = in[E_FLAGS];
    e->attributes = le16_load(in + E_ATTRIBUTES);
    e->crc = le32_load(in + E_CRC);
    memcpy(e->topic_id.b, in + E_TOPIC, 16);
    e->partition = (int32_t)le32_load(in + E_PARTITION);
    e->incarnation = le32_load(in + E_INCARNATION);
    e->segment_base = (int64_t)le64_load(in + E_SEGMENT);
    e->position = le32_load(in + E_POSITION);
    e->bytes = le32_load(in + E_BYTES);
    e->base_offset = (int64_t)le64_load(in + E_BASE_OFFSET);
    e->last_offset = (int64_t)le64_load(in + E_LAST_OFFSET);
    e->producer_id = (int64_t)le64_load(in + E_PRODUCER_ID);
    e->base_sequence = (int32_t)le32_load(in + E_SEQUENCE);
    e->producer_epoch = (int16_t)le16_load(in + E_PRODUCER_EPOCH);
    e->max_timestamp = (int64_t)le64_load(in + E_MAX_TIMESTAMP);
    e->leader_epoch = (int32_t)le32_load(in + E_LEADER_EPOCH);
    e->record_count = (int32_t)le32_load(in + E_RECORD_COUNT);
    e->edges_crc = le32_load(in + E_EDGES_CRC);
}

void jgroup_encode(const struct jgroup *g, uint8_t out[JOURNAL_HEADER])
{
    memset(out, 0, JOURNAL_HEADER);
    le64_store(out + G_MAGIC, JOURNAL_MAGIC);
    le16_store(out + G_VERSION, JOURNAL_VERSION);
    le16_store(out + G_HEADER_LEN, JOURNAL_HEADER);
    le32_store(out + G_CRC, g->crc);
    memcpy(out + G_LIFE, g->life.b, 16);
    le64_store(out + G_GENERATION, g->generation);
    le64_store(out + G_POSITION, g->position);
    le64_store(out + G_SEQUENCE, g->sequence);
    le32_store(out + G_PREV_CRC, g->prev_crc);
    le32_store(out + G_SHARD, g->shard);
    le64_store(out + G_DURABLE, g->durable_through);
    le32_store(out + G_LENGTH, g->length);
    le32_store(out + G_COUNT, g->count);
    le32_store(out + G_FLAGS, g->flags);
}

void jgroup_set_crc(uint8_t header[JOURNAL_HEADER], uint32_t crc)
{
    le32_store(header + G_CRC, crc);
}

uint32_t jgroup_crc_seed(const struct sl_uuid *life)
{
    return crc32c(0, life->b, sizeof(life->b));
}

uint32_t jgroup_crc_header(const uint8_t header[JOURNAL_HEADER], const struct sl_uuid *life)
{
    uint8_t copy[JOURNAL_HEADER];
    memcpy(copy, header, JOURNAL_HEADER);
    le32_store(copy + G_CRC, 0);
    return crc32c(jgroup_crc_seed(life), copy, JOURNAL_HEADER);
}

int jgroup_decode(struct jgroup *g, const uint8_t *in, size_t avail, const struct sl_uuid *life,
                  uint64_t position)
{
    if (avail < JOURNAL_BLOCK || le64_load(in + G_MAGIC) != JOURNAL_MAGIC ||
        le16_load(in + G_VERSION) != JOURNAL_VERSION || le16_load(in + G_HEADER_LEN) != JOURNAL_HEADER)
        return -EBADMSG;
    if (life && memcmp(in + G_LIFE, life->b, 16) != 0)
        return -EBADMSG;
    memcpy(g->life.b, in + G_LIFE, 16);
    g->crc = le32_load(in + G_CRC);
    g->generation = le64_load(in + G_GENERATION);
    g->position = le64_load(in + G_POSITION);
    g->sequence = le64_load(in + G_SEQUENCE);
    g->prev_crc = le32_load(in + G_PREV_CRC);
    g->shard = le32_load(in + G_SHARD);
    g->durable_through = le64_load(in + G_DURABLE);
    g->length = le32_load(in + G_LENGTH);
    g->count = le32_load(in + G_COUNT);
    g->flags = le32_load(in + G_FLAGS);
    if (g->position != position || g->length < JOURNAL_BLOCK || g->length % JOURNAL_BLOCK != 0 ||
        g->length > avail)
        return -EBADMSG;
    if (g->count > (g->length - JOURNAL_HEADER) / JOURNAL_ENTRY)
        return -EBADMSG;
    return 0;
}

bool jentry_edges(uint32_t position, uint32_t bytes, uint32_t *head, uint32_t *tail)
{
    uint64_t end = (uint64_t)position + bytes;
    uint64_t from = SL_ALIGN_UP((uint64_t)position, (uint64_t)JOURNAL_BLOCK);
    uint64_t to = SL_ALIGN_DOWN(end, (uint64_t)JOURNAL_BLOCK);
    if (from >= to || end > UINT32_MAX)
        return false;
    *head = (uint32_t)(from - position);
    *tail = (uint32_t)(end - to);
    return true;
}

uint64_t jentry_payload_len(const struct jentry *e)
{
    uint32_t head, tail;
    if (e->flags & JE_INLINE)
        return e->bytes;
    return e->flags & JE_EDGES && jentry_edges(e->position, e->bytes, &head, &tail) ? head + tail : 0;
}

// A batch's bytes 0..20 lie outside its own CRC: each field there is compared with the entry.
bool jentry_header_ok(const struct jentry *e, const uint8_t *p)
{
    return e->bytes >= BATCH_HEADER_SIZE && batch_base_offset(p) == e->base_offset &&
           batch_length(p) >= BATCH_MIN_LENGTH && batch_size(p) == e->bytes &&
           batch_leader_epoch(p) == e->leader_epoch && batch_magic(p) == BATCH_MAGIC_V2 &&
           batch_crc(p) == e->crc;
}

bool jentry_batch_ok(const struct jentry *e, const uint8_t *p)
{
    return jentry_header_ok(e, p) && crc32c(0, p + BATCH_ATTRIBUTES, e->bytes - BATCH_ATTRIBUTES) == e->crc;
}

static bool entry_ok(const struct jentry *e, const uint8_t *payload)
{
    bool is_inline = (e->flags & JE_INLINE) != 0;
    uint32_t head, tail;
    if (e->type < JE_BATCH || e->type > JE_EPOCH || (e->flags & ~(unsigned)(JE_INLINE | JE_EDGES)))
        return false;
    if (e->flags & JE_EDGES)
        return e->type == JE_BATCH && !is_inline && e->bytes >= BATCH_HEADER_SIZE &&
               jentry_edges(e->position, e->bytes, &head, &tail) &&
               crc32c(0, payload, head + tail) == e->edges_crc;
    if (e->edges_crc)
        return false;
    if (e->type == JE_BATCH)
        return is_inline ? jentry_batch_ok(e, payload) : true;
    if (!is_inline)
        return e->bytes == 0 && e->crc == 0;
    return crc32c(0, payload, e->bytes) == e->crc;
}

// One pass over the entries at `in`. With `crc`, verifies each and adds it to *crc; else hands each to fn.
static int group_pass(const struct jgroup *g, const uint8_t *in, uint32_t *crc, jentry_fn fn, void *arg)
{
    uint64_t at = JOURNAL_HEADER;
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->length - at < JOURNAL_ENTRY)
            return -EBADMSG;
        struct jentry e;
        jentry_decode(&e, in + at);
        if (crc)
            *crc = crc32c(*crc, in + at, JOURNAL_ENTRY);
        at += JOURNAL_ENTRY;
        uint64_t len = SL_ALIGN_UP(jentry_payload_len(&e), 8);
        if (len > g->length - at)
            return -EBADMSG;
        const uint8_t *payload = e.flags & (JE_INLINE | JE_EDGES) ? in + at : NULL;
        if (crc && !entry_ok(&e, payload))
            return -EBADMSG;
        int rc = crc ? 0 : fn(arg, g, &e, payload);
        if (rc)
            return rc;
        at += len;
    }
    // The group is as long as its stream, rounded up: nothing hides behind the last entry.
    return SL_ALIGN_UP(at, JOURNAL_BLOCK) == g->length ? 0 : -EBADMSG;
}

int jgroup_walk(const struct jgroup *g, const uint8_t *in, jentry_fn fn, void *arg)
{
    SL_ASSERT(g->length >= JOURNAL_BLOCK && g->length % JOURNAL_BLOCK == 0);
    uint32_t crc = jgroup_crc_header(in, &g->life);
    int rc = SL_CANARY(CRC_NOT_CHECKED) ? 0 : group_pass(g, in, &crc, NULL, NULL);
    if (rc)
        return rc;
    if (crc != g->crc && !SL_CANARY(CRC_NOT_CHECKED))
        return -EBADMSG;
    // Nothing is handed out before the whole group is known to be good.
    return fn ? group_pass(g, in, NULL, fn, arg) : 0;
}

int jgroup_each(const struct jgroup *g, const uint8_t *in, jentry_fn fn, void *arg)
{
    SL_ASSERT(g->length >= JOURNAL_BLOCK && fn);
    return group_pass(g, in, NULL, fn, arg);
}
