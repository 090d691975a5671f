/* What a leader checks before it appends a batch that a client or a coordinator produced: upstream's
 * ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords and LogValidator (4.3), in their
 * order, so that a batch with several faults gets the same error.
 *
 *   validate_header    the partition's record bytes hold exactly one v2 batch, and the header's size rules;
 *                      before anything is copied
 *   validate_crc       with the CRC that the caller computed over the bytes
 *   validator_begin,   the batch's remaining header rules, then every record, compressed ones on
 *   validator_step     decompressed slices; resumable with a budget
 *   validate_apply     writes the corrected attributes, max timestamp and CRC
 *
 * validate_batch does it all at once. Base offset and leader epoch are the caller's to write.
 *
 * Stricter than upstream, on input that no known client sends: offset deltas of records must count 0, 1, 2
 * ... (upstream stores an uncompressed batch that breaks this and rewrites a compressed one); a record's
 * length must fit its fields in compressed batches too; lengths below -1, and bytes after the end of a
 * compressed stream are refused; a length field that holds less than a v2 header is CORRUPT_MESSAGE always.
 * Recompression for `compression.type` is not done here.
 *
 * Functions that return int16_t return a Kafka error. Pure; the shard's thread. */
#ifndef SLUICE_LOG_VALIDATE_H
#define SLUICE_LOG_VALIDATE_H

#include "engine/base/kerr.h"
#include "engine/log/batch.h"
#include "engine/log/compress.h"

/* Who appends. */
enum validate_origin {
    VALIDATE_CLIENT,
    VALIDATE_COORDINATOR, /* control batches, any count and no sequence are fine */
};

/* The topic's configuration and the request's version. Times in ms. */
struct validate_rules {
    int64_t now_ms;
    int64_t timestamp_before_max_ms; /* message.timestamp.before.max.ms */
    int64_t timestamp_after_max_ms;  /* message.timestamp.after.max.ms */
    uint64_t max_decompressed;       /* bytes of records after decompression; 0: no limit */
    uint32_t max_message_bytes;
    uint32_t segment_bytes;
    int16_t produce_version;
    uint8_t timestamp_type; /* message.timestamp.type, enum batch_timestamp_type */
    uint8_t origin;         /* enum validate_origin */
    bool compacted;         /* cleanup.policy contains compact: records need keys */
    bool header_only;       /* record.validation=header: records are not looked at */
};

/* What is wrong with one record (record_errors of a ProduceResponse). */
enum validate_fault {
    VALIDATE_FAULT_NO_KEY,
    VALIDATE_FAULT_TIMESTAMP_RANGE,
    VALIDATE_FAULT_TIMESTAMP_TYPE, /* the client set LogAppendTime */
};

struct validate_record_error {
    int64_t timestamp;
    int32_t batch_index;
    uint8_t fault; /* enum validate_fault */
};

/* Errors kept for the answer; more are counted. */
#define VALIDATE_MAX_RECORD_ERRORS 32

struct validate_result {
    struct batch_info info;  /* as received; info.size bytes are the batch, anything behind it is ignored */
    int64_t max_timestamp;   /* over all records, or the append time */
    int64_t log_append_time; /* -1 for CreateTime; for the answer's LogAppendTimeMs */
    int32_t max_timestamp_delta; /* offset delta of the first record with the max timestamp; -1: records not
                                    looked at */
    uint16_t attributes;         /* to store */
    int16_t error;
    bool of_log;            /* error is of validate_header, yet the log's to find: told with its start */
    bool header_changed;    /* attributes or max timestamp differ from those received: validate_apply */
    uint32_t error_count;   /* bad records */
    uint64_t records_bytes; /* of the records, decompressed */
    const char *reason;     /* why error is not 0, for logs: static storage; NULL when 0 */
    struct validate_record_error
        errors[VALIDATE_MAX_RECORD_ERRORS]; /* the first ones; not initialized beyond */
};

/* A record walk in progress. The caller allocates it; its fields are the implementation's. */
struct validator {
    const struct validate_rules *rules;
    struct validate_result *out;
    struct decompressor d;
    const uint8_t *p, *end; /* bytes at hand */
    uint8_t *window;
    int64_t max_timestamp;
    uint64_t work, budget;
    int64_t rec_timestamp_delta;
    uint32_t rec_left; /* bytes of the current record still to parse */
    uint32_t skip;     /* bytes to pass over */
    int32_t rec_offset_delta, rec_key_len;
    int32_t headers_left;
    int32_t index; /* of the current record */
    int32_t max_timestamp_delta;
    uint8_t state;
    bool eof; /* nothing comes after the bytes at hand */
    bool compressed;
    bool bad_timestamp;
};

SL_EXTERN_C_BEGIN

/* Framing rules of the n bytes that the request holds for the partition; fills out. Errors: INVALID_RECORD,
 * CORRUPT_MESSAGE, UNSUPPORTED_COMPRESSION_TYPE, MESSAGE_TOO_LARGE. On success info.size <= n. */
int16_t validate_header(const struct validate_rules *r, const uint8_t *p, size_t n,
                        struct validate_result *out);

/* CORRUPT_MESSAGE unless `computed`, the CRC-32C of bytes [21, info.size), is the one in the header. It
 * belongs before the walk; who walks first, to check the CRC while copying, must let CORRUPT_MESSAGE win
 * over every error of the walk, and over what the producer state says: a damaged field is a reason to send
 * again, not to give up. */
int16_t validate_crc(struct validate_result *out, uint32_t computed);

/* Starts the walk over the batch of which out was filled; `records` are the bytes behind its header, which
 * must not change or go away before validator_end. ctx must not be in use. Returns an error when the header
 * alone decides; then, too, validator_end must be called. */
int16_t validator_begin(struct validator *v, const struct validate_rules *r, struct decompress_ctx *ctx,
                        const uint8_t *records, struct validate_result *out);

/* Goes on for about `budget` bytes of work (64 KiB takes some 10 to 100 microseconds). Returns -EAGAIN while
 * there is more to do, 0 when the walk is over and out is complete; out->error then says how it ended. */
int validator_step(struct validator *v, uint64_t budget);

/* Releases the context; also in the middle of a walk. */
void validator_end(struct validator *v);

/* Writes the result's attributes, max timestamp and a new CRC into the batch when header_changed. The whole
 * batch must lie at `batch`. */
void validate_apply(const struct validate_result *out, uint8_t *batch);

/* All of the above for a batch in one piece of memory. Returns out->error. */
int16_t validate_batch(const struct validate_rules *r, struct decompress_ctx *ctx, uint8_t *batch, size_t n,
                       struct validate_result *out);

/* What a fault is, in a few words. Static storage. */
const char *validate_fault_text(unsigned fault);

/* The text of one record error with its figures. Returns what snprintf returns. */
int validate_record_error_text(const struct validate_rules *r, const struct validate_record_error *e,
                               char *buf, size_t cap);

SL_EXTERN_C_END

#endif
