#include "engine/log/validate.h"

#include <errno.h>
#include <stdio.h>

#include "engine/base/crc32c.h"
#include "engine/log/validate_private.h"

/* Upstream's smallest length field: a v0 message. Below it the bytes are CORRUPT_MESSAGE, above it, but short
 * of what the length says, they count as no batch at all. */
#define MIN_LENGTH_ANY_MAGIC 14

#define FIRST_PRODUCE_WITH_ZSTD 7

int16_t validate_fail(struct validate_result *out, int16_t error, const char *reason)
{
    SL_ASSERT(error != KERR_NONE);
    out->error = error;
    out->reason = reason;
    return error;
}

enum framing { FRAMING_BATCH, FRAMING_NONE, FRAMING_CORRUPT };

/* Whether a batch of any magic starts at p and is wholly there. */
static enum framing framing_at(const uint8_t *p, size_t n)
{
    if (n < BATCH_LOG_OVERHEAD)
        return FRAMING_NONE;
    if (batch_length(p) < MIN_LENGTH_ANY_MAGIC)
        return FRAMING_CORRUPT;
    if (n <= BATCH_MAGIC)
        return FRAMING_NONE;
    if (batch_magic(p) > BATCH_MAGIC_V2)
        return FRAMING_CORRUPT;
    return n < batch_size(p) ? FRAMING_NONE : FRAMING_BATCH;
}

/* The partition's bytes must be one whole v2 batch. What follows is ignored unless it is another whole one.
 */
static int16_t check_framing(const uint8_t *p, size_t n, struct validate_result *out)
{
    enum framing first = framing_at(p, n);
    if (first == FRAMING_NONE)
        return validate_fail(out, KERR_INVALID_RECORD, "the partition has no whole record batch");
    if (first == FRAMING_CORRUPT)
        return validate_fail(out, KERR_CORRUPT_MESSAGE, "the batch's length or magic is impossible");
    if (batch_magic(p) != BATCH_MAGIC_V2)
        return validate_fail(out, KERR_INVALID_RECORD, "only record batches of magic 2 are accepted");
    int rc = batch_parse(p, n, &out->info);
    if (rc < 0)
        return validate_fail(out, KERR_CORRUPT_MESSAGE, "the batch is shorter than its header");
    return KERR_NONE;
}

static int16_t check_trailing(const uint8_t *p, size_t n, struct validate_result *out)
{
    enum framing next = framing_at(p + out->info.size, n - out->info.size);
    if (next == FRAMING_BATCH)
        return validate_fail(out, KERR_INVALID_RECORD, "more than one record batch for a partition");
    if (next == FRAMING_CORRUPT)
        return validate_fail(out, KERR_CORRUPT_MESSAGE, "corrupt bytes behind the record batch");
    return KERR_NONE;
}

int16_t validate_header(const struct validate_rules *r, const uint8_t *p, size_t n,
                        struct validate_result *out)
{
    out->max_timestamp = BATCH_NO_TIMESTAMP;
    out->log_append_time = BATCH_NO_TIMESTAMP;
    out->max_timestamp_delta = -1;
    out->error = KERR_NONE;
    out->header_changed = out->of_log = false;
    out->error_count = 0;
    out->records_bytes = 0;
    out->reason = NULL;

    int16_t rc = check_framing(p, n, out);
    if (rc != KERR_NONE)
        return rc;
    out->attributes = out->info.attributes;
    bool client = r->origin == VALIDATE_CLIENT;
    if (client && r->produce_version < FIRST_PRODUCE_WITH_ZSTD &&
        batch_attr_codec(out->info.attributes) == BATCH_CODEC_ZSTD)
        return validate_fail(out, KERR_UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Produce version 7");
    rc = check_trailing(p, n, out);
    if (rc != KERR_NONE)
        return rc;
    out->of_log = client && out->info.base_offset != 0;
    if (out->of_log)
        return validate_fail(out, KERR_INVALID_RECORD, "the base offset of a produced batch must be 0");
    if (out->info.size > r->max_message_bytes)
        return validate_fail(out, KERR_MESSAGE_TOO_LARGE, "the batch is larger than max.message.bytes");
    return KERR_NONE;
}

int16_t validate_crc(struct validate_result *out, uint32_t computed)
{
    SL_ASSERT(out->error == KERR_NONE);
    if (computed != out->info.crc)
        return validate_fail(out, KERR_CORRUPT_MESSAGE, "the batch's CRC does not fit");
    return KERR_NONE;
}

/* Rules of the header alone that come after the CRC's. */
int16_t validate_check_batch(const struct validate_rules *r, struct validate_result *out)
{
    const struct batch_info *b = &out->info;
    bool client = r->origin == VALIDATE_CLIENT;
    if (batch_attr_codec(b->attributes) >= BATCH_CODEC_COUNT)
        return validate_fail(out, KERR_UNKNOWN_SERVER_ERROR, "unknown compression codec");
    if (b->last_offset_delta < 0)
        return validate_fail(out, KERR_INVALID_RECORD, "the batch's last offset delta is negative");
    if (b->record_count < client)
        return validate_fail(out, KERR_INVALID_RECORD, "the batch's record count is not positive");
    if (!client)
        return KERR_NONE;
    if ((int64_t)b->last_offset_delta + 1 != b->record_count)
        return validate_fail(out, KERR_INVALID_RECORD, "record count and last offset delta disagree");
    if (batch_info_is_control(b))
        return validate_fail(out, KERR_INVALID_RECORD, "clients may not write control records");
    if (batch_info_has_producer(b) && b->base_sequence < 0)
        return validate_fail(out, KERR_INVALID_RECORD, "a producer id without a sequence number");
    return KERR_NONE;
}

/* What the header will say, once every record was seen (or trusted). */
void validate_complete(const struct validate_rules *r, struct validate_result *out, int64_t max_timestamp)
{
    uint16_t type = 0;
    if (r->timestamp_type == BATCH_LOG_APPEND_TIME) {
        type = BATCH_ATTR_LOG_APPEND_TIME;
        max_timestamp = r->now_ms;
        out->log_append_time = r->now_ms;
    }
    out->max_timestamp = max_timestamp;
    if ((out->info.attributes & BATCH_ATTR_LOG_APPEND_TIME) == type &&
        out->info.max_timestamp == max_timestamp)
        return;
    out->header_changed = true;
    out->attributes =
        (uint16_t)((out->info.attributes & BATCH_ATTR_KNOWN & ~BATCH_ATTR_LOG_APPEND_TIME) | type);
}

void validate_apply(const struct validate_result *out, uint8_t *batch)
{
    /* Only the first bytes under the CRC change, so the rest's share is kept: crc(rest) comes out of the
     * stored CRC and that of the old bytes, and goes in again behind the new ones. */
    const size_t head = BATCH_PRODUCER_ID - BATCH_ATTRIBUTES;
    const uint64_t rest = out->info.size - BATCH_PRODUCER_ID;
    SL_ASSERT(out->error == KERR_NONE);
    if (!out->header_changed)
        return;
    uint32_t crc_old = crc32c(0, batch + BATCH_ATTRIBUTES, head);
    uint32_t crc_rest = crc32c_combine(crc_old, batch_crc(batch), rest);
    batch_set_attributes(batch, out->attributes);
    batch_set_max_timestamp(batch, out->max_timestamp);
    uint32_t crc_new = crc32c(0, batch + BATCH_ATTRIBUTES, head);
    batch_set_crc(batch, crc32c_combine(crc_new, crc_rest, rest));
    SL_DASSERT(batch_crc_ok(batch));
}

int16_t validate_batch(const struct validate_rules *r, struct decompress_ctx *ctx, uint8_t *batch, size_t n,
                       struct validate_result *out)
{
    if (validate_header(r, batch, n, out) != KERR_NONE)
        return out->error;
    if (validate_crc(out, batch_compute_crc(batch)) != KERR_NONE)
        return out->error;
    struct validator v;
    if (validator_begin(&v, r, ctx, batch + BATCH_HEADER_SIZE, out) == KERR_NONE) {
        int rc = validator_step(&v, UINT64_MAX);
        SL_ASSERT(rc == 0);
    }
    validator_end(&v);
    if (out->error == KERR_NONE)
        validate_apply(out, batch);
    return out->error;
}

const char *validate_fault_text(unsigned fault)
{
    switch (fault) {
    case VALIDATE_FAULT_NO_KEY:
        return "a record of a compacted topic needs a key";
    case VALIDATE_FAULT_TIMESTAMP_RANGE:
        return "the timestamp is out of range";
    case VALIDATE_FAULT_TIMESTAMP_TYPE:
        return "a producer must not set the timestamp type to LogAppendTime";
    default:
        return "unknown fault";
    }
}

int validate_record_error_text(const struct validate_rules *r, const struct validate_record_error *e,
                               char *buf, size_t cap)
{
    if (e->fault != VALIDATE_FAULT_TIMESTAMP_RANGE)
        return snprintf(buf, cap, "%s", validate_fault_text(e->fault));
    /* The limits default to the largest number, so the subtraction may wrap; print what upstream would. */
    int64_t low = (int64_t)((uint64_t)r->now_ms - (uint64_t)r->timestamp_before_max_ms);
    int64_t high = (int64_t)((uint64_t)r->now_ms + (uint64_t)r->timestamp_after_max_ms);
    return snprintf(buf, cap,
                    "timestamp %lld of the record at index %d is out of range: not within [%lld, %lld]",
                    (long long)e->timestamp, e->batch_index, (long long)low, (long long)high);
}
