/* Records inside a v2 batch, and a builder of batches.
 *
 * A record, as the batch's record bytes hold it once decompressed ("varint" is zigzag, engine/base/varint.h):
 *
 *   length           varint32   bytes that follow
 *   attributes       1 byte     unused, 0
 *   timestamp delta  varint64   to the batch's base timestamp
 *   offset delta     varint32   to the batch's base offset
 *   key length       varint32   -1: no key; then that many bytes
 *   value length     varint32   -1: no value; then that many bytes
 *   header count     varint32   then for each header: key length varint32 >= 0, key, value length varint32
 *                               (-1: null), value
 *
 * Control batches hold one or more records whose key is {int16 version 0, int16 control type}.
 * Nothing here copies or keeps record bytes: a struct record points into the memory that was parsed. All
 * functions are pure apart from the builder's own memory, and may be called from any thread that owns the
 * objects. */
#ifndef SLUICE_LOG_RECORD_H
#define SLUICE_LOG_RECORD_H

#include <sys/types.h>

#include "engine/base/err.h"
#include "engine/base/uuid.h"
#include "engine/log/batch.h"

/* Bytes and their count; len -1 is null. */
struct record_bytes {
    const uint8_t *p;
    int32_t len;
};

#define RECORD_NULL ((struct record_bytes){.p = NULL, .len = -1})

static inline struct record_bytes record_bytes_make(const void *p, size_t n)
{
    SL_ASSERT(n <= INT32_MAX);
    return (struct record_bytes){.p = (const uint8_t *)p, .len = (int32_t)n};
}

static inline struct record_bytes record_bytes_text(const char *s)
{
    return record_bytes_make(s, strlen(s));
}

struct record_header {
    struct record_bytes key; /* never null */
    struct record_bytes value;
};

/* A parsed record. */
struct record {
    int64_t timestamp_delta;
    int32_t offset_delta;
    uint32_t size; /* bytes of the record with its length field */
    struct record_bytes key;
    struct record_bytes value;
    const uint8_t *headers; /* the encoded headers, checked, for record_header_next */
    const uint8_t *headers_end;
    int32_t header_count;
    uint8_t attributes;
};

struct record_iter {
    const uint8_t *p, *end;
    int32_t left; /* records still to come */
};

SL_EXTERN_C_BEGIN

/* Parses one record at *p and moves *p behind it; every byte of it, headers too, is checked to lie before
 * end. Returns 0, or -EBADMSG with *p unmoved. */
int record_parse(const uint8_t **p, const uint8_t *end, struct record *out);

/* The next header at *p, which lies in [r->headers, r->headers_end). Returns false at the end. */
bool record_header_next(const struct record *r, const uint8_t **p, struct record_header *out);

/* An iterator over count records in the n uncompressed bytes at p. */
void record_iter_init(struct record_iter *it, const uint8_t *p, size_t n, int32_t count);

/* Returns 1 and fills out; 0 after the last record, when no bytes are left over; -EBADMSG when a record is
 * broken, missing, or when bytes follow the last one. */
int record_iter_next(struct record_iter *it, struct record *out);

/* The control type of a control record's key, or -EBADMSG. Unknown types are returned as they are. */
int record_control_type(struct record_bytes key);

/* Decodes the value of an EndTxn marker (COMMIT or ABORT): its coordinator epoch. Returns 0 or -EBADMSG. */
int record_end_txn_parse(struct record_bytes value, int32_t *coordinator_epoch);

SL_EXTERN_C_END

enum record_control {
    RECORD_CONTROL_ABORT = 0,
    RECORD_CONTROL_COMMIT = 1,
    RECORD_CONTROL_LEADER_CHANGE = 2,
    RECORD_CONTROL_SNAPSHOT_HEADER = 3,
    RECORD_CONTROL_SNAPSHOT_FOOTER = 4,
    RECORD_CONTROL_KRAFT_VERSION = 5,
    RECORD_CONTROL_KRAFT_VOTERS = 6,
};

#define RECORD_CONTROL_KEY_SIZE 4

/* The header fields that batch_builder_finish writes. Start from BATCH_OPTIONS_DEFAULT. */
struct batch_options {
    int64_t base_offset;
    int64_t producer_id;
    int64_t log_append_time; /* ms, used when timestamp_type says so */
    int32_t leader_epoch;
    int32_t base_sequence;
    int16_t producer_epoch;
    uint8_t codec; /* enum batch_codec */
    uint8_t timestamp_type;
    bool transactional;
    bool control;
};

#define BATCH_OPTIONS_DEFAULT                                                                                \
    ((struct batch_options){.producer_id = BATCH_NO_PRODUCER_ID,                                             \
                            .leader_epoch = BATCH_NO_LEADER_EPOCH,                                           \
                            .base_sequence = BATCH_NO_SEQUENCE,                                              \
                            .producer_epoch = BATCH_NO_PRODUCER_EPOCH})

struct compress_ctx;

/* Builds one batch in memory of its own. Zeroed is a valid empty builder; batch_builder_destroy frees it. */
struct batch_builder {
    uint8_t *buf; /* header space, then records */
    size_t len, cap;
    uint8_t *packed; /* the compressed batch */
    size_t packed_cap;
    size_t limit; /* bytes that the uncompressed batch may reach; 0: 1 GiB */
    int64_t base_timestamp, max_timestamp;
    int32_t count;
};

/* A voter of a KRaft quorum, as LeaderChange and KRaftVoters control records name it. */
struct record_endpoint {
    const char *name, *host;
    uint16_t port;
};

struct record_voter {
    int32_t id;
    struct sl_uuid directory_id;
    const struct record_endpoint *endpoints;
    uint32_t endpoint_count;
    int16_t kraft_version_min, kraft_version_max;
};

SL_EXTERN_C_BEGIN

/* Empties the builder and keeps its memory. */
void batch_builder_reset(struct batch_builder *b);

void batch_builder_destroy(struct batch_builder *b);

/* Appends a record; its offset delta is the number of records before it. The first record's timestamp (ms) is
 * the base timestamp. Returns 0, -ENOMEM, or -EFBIG when the limit would be passed; the builder is unchanged
 * after an error. */
int batch_builder_append(struct batch_builder *b, int64_t timestamp, struct record_bytes key,
                         struct record_bytes value, const struct record_header *headers, size_t nheaders);

/* The bytes that the batch would have now if finished without compression. */
size_t batch_builder_size(const struct batch_builder *b);

/* Writes header and CRC. The batch (*out, *n) lives in the builder until the next append, reset or destroy.
 * A codec other than none needs ctx. At least one record must have been appended. Returns 0, -ENOMEM,
 * -EINVAL for an unknown codec, or -EIO when the compressor fails. */
int batch_builder_finish(struct batch_builder *b, const struct batch_options *o, struct compress_ctx *ctx,
                         const uint8_t **out, size_t *n);

/* Control records; finish with options.control set. All return what batch_builder_append does. */
int batch_builder_end_txn(struct batch_builder *b, int64_t timestamp, bool commit, int32_t coordinator_epoch);

/* LeaderChangeMessage, version 0 as upstream writes it: of each voter only the id counts. */
int batch_builder_leader_change(struct batch_builder *b, int64_t timestamp, int32_t leader_id,
                                const struct record_voter *voters, uint32_t voter_count,
                                const struct record_voter *granting, uint32_t granting_count);

int batch_builder_kraft_version(struct batch_builder *b, int64_t timestamp, int16_t kraft_version);

int batch_builder_kraft_voters(struct batch_builder *b, int64_t timestamp, const struct record_voter *voters,
                               uint32_t voter_count);

/* last_contained_timestamp: append time (ms) of the last record that the snapshot holds. */
int batch_builder_snapshot_header(struct batch_builder *b, int64_t timestamp,
                                  int64_t last_contained_timestamp);

int batch_builder_snapshot_footer(struct batch_builder *b, int64_t timestamp);

SL_EXTERN_C_END

#endif
