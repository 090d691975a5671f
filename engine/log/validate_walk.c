/* The walk over a batch's records. Bytes come from the batch itself or, compressed, through the context's
 * window of 64 KiB. A record that lies whole in the bytes at hand is parsed at once; a larger one passes
 * through the states below, which need only the next number at hand:
 *
 *   START --> VALUE_LEN --> HEADER_COUNT --> HEADER_KEY --> HEADER_VALUE --> END --> START
 *     (skip key)   (skip value)      |            ^  (skip)     |  (skip)     ^
 *                                    |            +-------------+             |
 *                                    +------ no headers ----------------------+
 *
 * `skip` bytes are passed over before the next state is entered. `rec_left` counts down what the record's
 * length field leaves, so no field reaches beyond its record. */
#include <errno.h>

#include "engine/base/varint.h"
#include "engine/log/validate_private.h"

enum walk_state {
    WALK_START,
    WALK_VALUE_LEN,
    WALK_HEADER_COUNT,
    WALK_HEADER_KEY,
    WALK_HEADER_VALUE,
    WALK_END,
    WALK_DONE,
};

/* The longest run of numbers that a state reads: length, attributes, timestamp delta, offset delta, key
 * length. */
#define HEAD_MAX (SL_VARINT32_MAX + 1 + SL_VARINT64_MAX + SL_VARINT32_MAX + SL_VARINT32_MAX)

/* Records above this take the states even when they lie whole in memory, so that a step's work has a bound.
 */
#define WHOLE_RECORD_MAX COMPRESS_WINDOW

/* How many records ahead to prefetch: enough to cover memory's latency. */
#define PREFETCH_RECORDS 4

/* Work units (bytes) that a record and a header count for. */
#define RECORD_WORK 32
#define HEADER_WORK 8

static int fail(struct validator *v, int16_t error, const char *reason)
{
    validate_fail(v->out, error, reason);
    v->state = WALK_DONE;
    return -EBADMSG;
}

static int fail_record(struct validator *v)
{
    return fail(v, KERR_INVALID_RECORD, "a record's structure is broken");
}

/* Gets more decompressed bytes behind those at hand, which must leave room. 0, or -EBADMSG after fail. */
static int fill(struct validator *v)
{
    size_t have = (size_t)(v->end - v->p);
    SL_ASSERT(v->compressed && !v->eof && have < COMPRESS_WINDOW);
    memmove(v->window, v->p, have);
    v->p = v->window;
    v->end = v->window + have;
    ssize_t n = decompressor_next(&v->d, v->window + have, COMPRESS_WINDOW - have);
    if (n == -EFBIG)
        return fail(v, KERR_MESSAGE_TOO_LARGE, "the batch is too large when decompressed");
    if (n < 0)
        return fail(v, KERR_UNKNOWN_SERVER_ERROR, "the compressed records cannot be decompressed");
    v->end += n;
    v->eof = n == 0;
    v->work += (uint64_t)n;
    v->out->records_bytes += (uint64_t)n;
    return 0;
}

/* Makes `want` bytes, at most HEAD_MAX, be at hand unless the stream ends before. */
static int want(struct validator *v, size_t n)
{
    while ((size_t)(v->end - v->p) < n && !v->eof) {
        int rc = fill(v);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void add_record_error(struct validator *v, uint8_t fault, int64_t timestamp)
{
    struct validate_result *out = v->out;
    if (out->error_count < VALIDATE_MAX_RECORD_ERRORS)
        out->errors[out->error_count] =
            (struct validate_record_error){.timestamp = timestamp, .batch_index = v->index, .fault = fault};
    out->error_count++;
    v->bad_timestamp |= fault != VALIDATE_FAULT_NO_KEY;
}

static bool timestamp_out_of_range(const struct validate_rules *r, int64_t timestamp)
{
    /* In wrapping arithmetic, as upstream has it. */
    int64_t age = (int64_t)((uint64_t)r->now_ms - (uint64_t)timestamp);
    int64_t ahead = (int64_t)(0 - (uint64_t)age);
    return age > r->timestamp_before_max_ms || ahead > r->timestamp_after_max_ms;
}

static int check_record(struct validator *v, int64_t timestamp_delta, int32_t offset_delta, bool has_key)
{
    const struct validate_rules *r = v->rules;
    const struct batch_info *b = &v->out->info;
    bool append_time = (b->attributes & BATCH_ATTR_LOG_APPEND_TIME) != 0;
    int64_t timestamp =
        append_time ? b->max_timestamp : (int64_t)((uint64_t)b->base_timestamp + (uint64_t)timestamp_delta);
    if (offset_delta != v->index)
        return fail(v, KERR_INVALID_RECORD, "the records' offset deltas do not count from 0");
    if (r->compacted && !has_key) {
        add_record_error(v, VALIDATE_FAULT_NO_KEY, timestamp);
    } else if (r->timestamp_type == BATCH_CREATE_TIME && timestamp != BATCH_NO_TIMESTAMP) {
        if (timestamp_out_of_range(r, timestamp))
            add_record_error(v, VALIDATE_FAULT_TIMESTAMP_RANGE, timestamp);
    } else if (append_time) {
        add_record_error(v, VALIDATE_FAULT_TIMESTAMP_TYPE, timestamp);
    }
    if (timestamp > v->max_timestamp || v->index == 0) {
        v->max_timestamp = SL_MAX(timestamp, (int64_t)BATCH_NO_TIMESTAMP);
        v->max_timestamp_delta = v->index;
    }
    v->index++;
    return 0;
}

/* sl_varint32_get with the two-byte form inline: what most lengths and deltas take. */
static inline int number(const uint8_t **p, const uint8_t *end, int32_t *out)
{
    const uint8_t *q = *p;
    if (end - q < 2 || (q[0] & q[1] & 0x80))
        return sl_varint32_get(p, end, out);
    uint32_t two = q[0] >> 7;
    *out = sl_unzigzag32((q[0] & 0x7fu) | (two ? (uint32_t)q[1] << 7 : 0));
    *p = q + 1 + two;
    return 0;
}

/* Passes over a length and its bytes; the length, -1 or more, or INT32_MIN when it does not fit. */
static inline int32_t pass(const uint8_t **p, const uint8_t *end)
{
    int32_t len;
    if (number(p, end, &len) < 0 || len < -1 || len > end - *p)
        return INT32_MIN;
    *p += len > 0 ? len : 0;
    return len;
}

/* The record whose fields are [p, end) is at hand. */
static int whole_record(struct validator *v, const uint8_t *p, const uint8_t *end)
{
    int64_t timestamp_delta;
    int32_t offset_delta, key_len, headers;
    p++; /* attributes */
    if (sl_varint64_get(&p, end, &timestamp_delta) < 0 || number(&p, end, &offset_delta) < 0)
        return fail_record(v);
    key_len = pass(&p, end);
    if (key_len == INT32_MIN || pass(&p, end) == INT32_MIN || number(&p, end, &headers) < 0 || headers < 0 ||
        headers > (end - p) / 2)
        return fail_record(v);
    for (int32_t i = 0; i < headers; i++) {
        if (pass(&p, end) < 0 || pass(&p, end) == INT32_MIN)
            return fail_record(v);
    }
    if (p != end)
        return fail_record(v);
    v->p = end;
    v->work += RECORD_WORK + (uint64_t)headers * HEADER_WORK;
    return check_record(v, timestamp_delta, offset_delta, key_len >= 0);
}

/* Takes `n` parsed bytes off the current record. */
static int consume(struct validator *v, const uint8_t *to)
{
    v->rec_left -= (uint32_t)(to - v->p);
    v->p = to;
    return 0;
}

/* A length of bytes to pass over inside the record; null_ok: it may be -1. */
static int take_skip(struct validator *v, int32_t len, bool null_ok)
{
    if (len < (null_ok ? -1 : 0) || len > (int64_t)v->rec_left)
        return fail_record(v);
    v->skip = len > 0 ? (uint32_t)len : 0;
    v->rec_left -= v->skip;
    return 0;
}

/* The next varint of the record. */
static int take_number(struct validator *v, int32_t *out)
{
    int rc = want(v, SL_VARINT32_MAX);
    if (rc < 0)
        return rc;
    const uint8_t *q = v->p;
    const uint8_t *end = v->p + SL_MIN((size_t)(v->end - v->p), (size_t)v->rec_left);
    if (sl_varint32_get(&q, end, out) < 0)
        return fail_record(v);
    return consume(v, q);
}

/* WALK_START: the whole record when it is at hand, else its head, up to the key's length. */
static int step_start(struct validator *v)
{
    int rc = want(v, HEAD_MAX);
    if (rc < 0)
        return rc;
    int32_t len;
    const uint8_t *q = v->p;
    if (number(&q, v->end, &len) < 0 || len < 1)
        return fail_record(v);
    size_t at_hand = (size_t)(v->end - q);
    if ((size_t)len <= at_hand && len <= WHOLE_RECORD_MAX) {
        // Records are often of about one length: a later one's head is fetched while this one is looked at.
        __builtin_prefetch(q + (size_t)len * PREFETCH_RECORDS);
        return whole_record(v, q, q + len);
    }
    if (v->eof && (size_t)len > at_hand)
        return fail_record(v);

    const uint8_t *end = q + SL_MIN(at_hand, (size_t)len);
    v->p = q;
    v->rec_left = (uint32_t)len;
    q++; /* attributes; len >= 1, and HEAD_MAX bytes or all that are left are at hand */
    if (q > end || sl_varint64_get(&q, end, &v->rec_timestamp_delta) < 0 ||
        sl_varint32_get(&q, end, &v->rec_offset_delta) < 0 || sl_varint32_get(&q, end, &v->rec_key_len) < 0)
        return fail_record(v);
    consume(v, q);
    v->work += RECORD_WORK;
    v->state = WALK_VALUE_LEN;
    return take_skip(v, v->rec_key_len, true);
}

static int step_header_count(struct validator *v)
{
    int rc = take_number(v, &v->headers_left);
    if (rc < 0)
        return rc;
    if (v->headers_left < 0 || v->headers_left > (int64_t)v->rec_left / 2)
        return fail_record(v);
    v->state = v->headers_left ? WALK_HEADER_KEY : WALK_END;
    return 0;
}

static int step_header_value(struct validator *v)
{
    int32_t len;
    int rc = take_number(v, &len);
    if (rc < 0)
        return rc;
    v->work += HEADER_WORK;
    v->headers_left--;
    v->state = v->headers_left ? WALK_HEADER_KEY : WALK_END;
    return take_skip(v, len, true);
}

static int step_end(struct validator *v)
{
    if (v->rec_left != 0)
        return fail_record(v);
    v->state = WALK_START;
    return check_record(v, v->rec_timestamp_delta, v->rec_offset_delta, v->rec_key_len >= 0);
}

static int step_length(struct validator *v, bool null_ok, uint8_t next)
{
    int32_t len;
    int rc = take_number(v, &len);
    if (rc < 0)
        return rc;
    v->state = next;
    return take_skip(v, len, null_ok);
}

/* Passes over what is to be skipped, one window at most. */
static int step_skip(struct validator *v)
{
    size_t n = SL_MIN((size_t)v->skip, (size_t)(v->end - v->p));
    v->p += n;
    v->skip -= (uint32_t)n;
    if (v->skip == 0)
        return 0;
    return v->eof ? fail_record(v) : fill(v);
}

/* After the last record: nothing may be left. Then the verdict. */
static int finish(struct validator *v)
{
    int rc = want(v, 1);
    if (rc < 0)
        return rc;
    if (v->p != v->end)
        return fail(v, KERR_INVALID_RECORD, "bytes are left over behind the batch's records");
    struct validate_result *out = v->out;
    v->state = WALK_DONE;
    if (v->bad_timestamp)
        validate_fail(out, KERR_INVALID_TIMESTAMP, "records were rejected for their timestamps");
    else if (out->error_count > 0)
        validate_fail(out, KERR_INVALID_RECORD, "records were rejected");
    else if (out->info.size > v->rules->segment_bytes)
        validate_fail(out, KERR_RECORD_LIST_TOO_LARGE, "the batch is larger than a segment");
    if (out->error != KERR_NONE)
        return 0;
    out->max_timestamp_delta = v->rules->timestamp_type == BATCH_LOG_APPEND_TIME ? 0 : v->max_timestamp_delta;
    validate_complete(v->rules, out, v->max_timestamp);
    return 0;
}

static int step_once(struct validator *v)
{
    if (v->skip)
        return step_skip(v);
    switch ((enum walk_state)v->state) {
    case WALK_START:
        return v->index < v->out->info.record_count ? step_start(v) : finish(v);
    case WALK_VALUE_LEN:
        return step_length(v, true, WALK_HEADER_COUNT);
    case WALK_HEADER_COUNT:
        return step_header_count(v);
    case WALK_HEADER_KEY:
        return step_length(v, false, WALK_HEADER_VALUE);
    case WALK_HEADER_VALUE:
        return step_header_value(v);
    case WALK_END:
        return step_end(v);
    case WALK_DONE:
        break;
    }
    return 0;
}

int validator_step(struct validator *v, uint64_t budget)
{
    uint64_t stop = v->work > UINT64_MAX - budget ? UINT64_MAX : v->work + budget;
    while (v->state != WALK_DONE) {
        if (v->work >= stop)
            return -EAGAIN;
        /* A failed step has set the error and ended the walk. */
        int rc = step_once(v);
        SL_ASSERT(rc == 0 || v->state == WALK_DONE);
    }
    return 0;
}

/* The records need no look: the header is trusted, as the configuration says. */
static void complete_header_only(struct validator *v)
{
    v->state = WALK_DONE;
    if (v->out->info.size > v->rules->segment_bytes)
        validate_fail(v->out, KERR_RECORD_LIST_TOO_LARGE, "the batch is larger than a segment");
    else
        validate_complete(v->rules, v->out, v->out->info.max_timestamp);
}

int16_t validator_begin(struct validator *v, const struct validate_rules *r, struct decompress_ctx *ctx,
                        const uint8_t *records, struct validate_result *out)
{
    unsigned codec = batch_attr_codec(out->info.attributes);
    size_t n = out->info.size - BATCH_HEADER_SIZE;
    SL_ASSERT(out->error == KERR_NONE);
    *v = (struct validator){.rules = r, .out = out, .max_timestamp = BATCH_NO_TIMESTAMP, .state = WALK_DONE};
    if (validate_check_batch(r, out) != KERR_NONE)
        return out->error;
    if (r->header_only) {
        complete_header_only(v);
        return out->error;
    }
    v->state = WALK_START;
    if (codec == BATCH_CODEC_NONE) {
        v->p = records;
        v->end = records + n;
        v->eof = true;
        out->records_bytes = n;
        return KERR_NONE;
    }
    v->window = decompress_ctx_window(ctx);
    v->p = v->end = v->window;
    if (!v->window || decompressor_init(&v->d, ctx, codec, records, n, r->max_decompressed) < 0) {
        fail(v, KERR_UNKNOWN_SERVER_ERROR, "no memory to decompress");
        return out->error;
    }
    v->compressed = true;
    return KERR_NONE;
}

void validator_end(struct validator *v)
{
    if (v->compressed)
        decompressor_destroy(&v->d);
    v->compressed = false;
    v->state = WALK_DONE;
}
