/* Kafka's record batch, format v2, as it is on the wire and in segment files (big-endian throughout):
 *
 *   offset size field
 *        0    8 base offset              offset of the first record; assigned by the leader
 *        8    4 length                   bytes that follow this field: 49 or more
 *       12    4 partition leader epoch   written by the leader at append
 *       16    1 magic                    2
 *       17    4 CRC                      CRC-32C of everything from the attributes to the end of the batch
 *       21    2 attributes               bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control,
 *                                        6 delete horizon; 7-15 unused
 *       23    4 last offset delta        last offset minus base offset; stays when compaction drops records
 *       27    8 base timestamp           ms; of the first record; the delete horizon when bit 6 is set
 *       35    8 max timestamp            ms; the append time when the timestamp type is LogAppendTime
 *       43    8 producer id              -1: none
 *       51    2 producer epoch           -1: none
 *       53    4 base sequence            -1: none
 *       57    4 record count             0 only after compaction
 *       61      records                  see record.h; compressed as one stream when the codec is not 0
 *
 * Base offset and leader epoch lie before the CRC's range and may be rewritten freely; changing the
 * attributes or the max timestamp needs a new CRC. Accessors work in place at any alignment and check
 * nothing: at least BATCH_HEADER_SIZE bytes must be there. Everything here is pure and may be called from any
 * thread. */
#ifndef SLUICE_LOG_BATCH_H
#define SLUICE_LOG_BATCH_H

#include "engine/base/bytes.h"
#include "engine/base/err.h"

enum batch_field {
    BATCH_BASE_OFFSET = 0,
    BATCH_LENGTH = 8,
    BATCH_LEADER_EPOCH = 12,
    BATCH_MAGIC = 16,
    BATCH_CRC = 17,
    BATCH_ATTRIBUTES = 21,
    BATCH_LAST_OFFSET_DELTA = 23,
    BATCH_BASE_TIMESTAMP = 27,
    BATCH_MAX_TIMESTAMP = 35,
    BATCH_PRODUCER_ID = 43,
    BATCH_PRODUCER_EPOCH = 51,
    BATCH_BASE_SEQUENCE = 53,
    BATCH_RECORD_COUNT = 57,
    BATCH_RECORDS = 61,
};

#define BATCH_HEADER_SIZE  61 /* bytes before the first record */
#define BATCH_LOG_OVERHEAD 12 /* base offset and length: what the length field does not count */
#define BATCH_MIN_LENGTH   (BATCH_HEADER_SIZE - BATCH_LOG_OVERHEAD)
#define BATCH_MAGIC_V2     2

#define BATCH_ATTR_CODEC_MASK      0x07
#define BATCH_ATTR_LOG_APPEND_TIME 0x08
#define BATCH_ATTR_TRANSACTIONAL   0x10
#define BATCH_ATTR_CONTROL         0x20
#define BATCH_ATTR_DELETE_HORIZON  0x40
#define BATCH_ATTR_KNOWN           0x7f

#define BATCH_NO_PRODUCER_ID    (-1)
#define BATCH_NO_PRODUCER_EPOCH (-1)
#define BATCH_NO_SEQUENCE       (-1)
#define BATCH_NO_TIMESTAMP      (-1)
#define BATCH_NO_LEADER_EPOCH   (-1)

/* Values of the attributes' codec bits. */
enum batch_codec {
    BATCH_CODEC_NONE = 0,
    BATCH_CODEC_GZIP = 1,
    BATCH_CODEC_SNAPPY = 2,
    BATCH_CODEC_LZ4 = 3,
    BATCH_CODEC_ZSTD = 4,
    BATCH_CODEC_COUNT = 5,
};

/* Values of the timestamp type bit, and of message.timestamp.type. */
enum batch_timestamp_type {
    BATCH_CREATE_TIME = 0,
    BATCH_LOG_APPEND_TIME = 1,
};

SL_STATIC_ASSERT(BATCH_RECORDS == BATCH_RECORD_COUNT + 4 && BATCH_RECORDS == BATCH_HEADER_SIZE,
                 "the header is 61 bytes without padding");
SL_STATIC_ASSERT(BATCH_MIN_LENGTH == 49, "the smallest length field");

/* A decoded header. */
struct batch_info {
    int64_t base_offset;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id;
    uint32_t size; /* bytes of the whole batch, header included */
    int32_t leader_epoch;
    uint32_t crc;
    int32_t last_offset_delta;
    int32_t base_sequence;
    int32_t record_count;
    uint16_t attributes;
    int16_t producer_epoch;
    uint8_t magic;
};

#define BATCH_DEFINE_FIELD_(name, type, bits, at)                                                            \
    static inline type batch_##name(const uint8_t *p)                                                        \
    {                                                                                                        \
        return (type)be##bits##_load(p + (at));                                                              \
    }                                                                                                        \
    static inline void batch_set_##name(uint8_t *p, type v)                                                  \
    {                                                                                                        \
        be##bits##_store(p + (at), (uint##bits##_t)v);                                                       \
    }

/* TYPE batch_NAME(const uint8_t *p) and void batch_set_NAME(uint8_t *p, TYPE v), p at the batch's first byte.
 */
BATCH_DEFINE_FIELD_(base_offset, int64_t, 64, BATCH_BASE_OFFSET)
BATCH_DEFINE_FIELD_(length, int32_t, 32, BATCH_LENGTH)
BATCH_DEFINE_FIELD_(leader_epoch, int32_t, 32, BATCH_LEADER_EPOCH)
BATCH_DEFINE_FIELD_(crc, uint32_t, 32, BATCH_CRC)
BATCH_DEFINE_FIELD_(attributes, uint16_t, 16, BATCH_ATTRIBUTES)
BATCH_DEFINE_FIELD_(last_offset_delta, int32_t, 32, BATCH_LAST_OFFSET_DELTA)
BATCH_DEFINE_FIELD_(base_timestamp, int64_t, 64, BATCH_BASE_TIMESTAMP)
BATCH_DEFINE_FIELD_(max_timestamp, int64_t, 64, BATCH_MAX_TIMESTAMP)
BATCH_DEFINE_FIELD_(producer_id, int64_t, 64, BATCH_PRODUCER_ID)
BATCH_DEFINE_FIELD_(producer_epoch, int16_t, 16, BATCH_PRODUCER_EPOCH)
BATCH_DEFINE_FIELD_(base_sequence, int32_t, 32, BATCH_BASE_SEQUENCE)
BATCH_DEFINE_FIELD_(record_count, int32_t, 32, BATCH_RECORD_COUNT)

#undef BATCH_DEFINE_FIELD_

static inline uint8_t batch_magic(const uint8_t *p)
{
    return p[BATCH_MAGIC];
}

static inline void batch_set_magic(uint8_t *p, uint8_t v)
{
    p[BATCH_MAGIC] = v;
}

/* Bytes of the whole batch by its length field; meaningless when that field is negative. */
static inline uint32_t batch_size(const uint8_t *p)
{
    return (uint32_t)batch_length(p) + BATCH_LOG_OVERHEAD;
}

/* The codec bits of an attributes field: an enum batch_codec, or 5-7, which nobody defines. */
static inline unsigned batch_attr_codec(uint16_t attributes)
{
    return attributes & BATCH_ATTR_CODEC_MASK;
}

/* Offset of the last record; wraps if the fields are nonsense. */
static inline int64_t batch_info_last_offset(const struct batch_info *b)
{
    return (int64_t)((uint64_t)b->base_offset + (uint64_t)b->last_offset_delta);
}

static inline bool batch_info_is_control(const struct batch_info *b)
{
    return (b->attributes & BATCH_ATTR_CONTROL) != 0;
}

static inline bool batch_info_is_transactional(const struct batch_info *b)
{
    return (b->attributes & BATCH_ATTR_TRANSACTIONAL) != 0;
}

static inline bool batch_info_has_producer(const struct batch_info *b)
{
    return b->producer_id > BATCH_NO_PRODUCER_ID;
}

/* Sequence numbers run from 0 to INT32_MAX and wrap to 0. seq >= 0, by >= 0. */
static inline int32_t batch_sequence_add(int32_t seq, int32_t by)
{
    return (int32_t)(((uint32_t)seq + (uint32_t)by) & INT32_MAX);
}

static inline int32_t batch_sequence_sub(int32_t seq, int32_t by)
{
    return (int32_t)(((uint32_t)seq - (uint32_t)by) & INT32_MAX);
}

/* Sequence of the last record, or BATCH_NO_SEQUENCE. */
static inline int32_t batch_info_last_sequence(const struct batch_info *b)
{
    return b->base_sequence < 0 ? BATCH_NO_SEQUENCE
                                : batch_sequence_add(b->base_sequence, b->last_offset_delta);
}

SL_EXTERN_C_BEGIN

/* Decodes the header at p, of which n bytes are there. Checks sizes and the magic, neither the CRC nor the
 * sense of the fields. Returns
 *   0          the whole batch is there, and out is filled;
 *   -EAGAIN    the bytes end before the batch does; out is filled when at least the header is there, else
 *              untouched;
 *   -EBADMSG   the length field is too small for a batch or the magic is not 2; out is untouched. */
int batch_parse(const uint8_t *p, size_t n, struct batch_info *out);

/* CRC-32C of the batch at p, whose length field must be within the memory that is there. */
uint32_t batch_compute_crc(const uint8_t *p);

/* Whether the stored CRC fits. As above. */
bool batch_crc_ok(const uint8_t *p);

/* Computes and stores the CRC. As above. */
void batch_seal(uint8_t *p);

/* "none", "gzip", "snappy", "lz4", "zstd"; NULL for another number. Static storage. */
const char *batch_codec_name(unsigned codec);

/* The codec of that name (n bytes at s), or -EINVAL. */
int batch_codec_from_name(const char *s, size_t n);

SL_EXTERN_C_END

#endif
