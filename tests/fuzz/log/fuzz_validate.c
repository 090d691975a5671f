/* Validation: the first 8 bytes make the rules, the rest is what a client sent; its CRC is made right, so
 * that the walk is reached. The verdict must not depend on the budget, and an accepted batch must be one
 * that can be read. */
#include <errno.h>
#include <stdlib.h>

#include "engine/log/record.h"
#include "engine/log/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct validate_rules make_rules(const uint8_t *p)
{
    return (struct validate_rules){
        .now_ms = 1700000000000LL + p[0],
        .timestamp_before_max_ms = p[1] & 1 ? INT64_MAX : p[1],
        .timestamp_after_max_ms = p[2] & 1 ? INT64_MAX : p[2],
        .max_decompressed = 1u << 20,
        .max_message_bytes = p[3] & 1 ? 1u << 20 : 100,
        .segment_bytes = p[3] & 2 ? 1u << 20 : 200,
        .produce_version = p[4] & 15,
        .timestamp_type = p[5] & 1,
        .origin = p[5] >> 1 & 1,
        .compacted = p[5] & 4,
        .header_only = (p[5] & 0x18) == 0x18,
    };
}

static int16_t in_steps(const struct validate_rules *r, struct decompress_ctx *ctx, const uint8_t *p,
                        size_t n, uint64_t budget, bool crc, struct validate_result *out)
{
    struct validator v;
    if (validate_header(r, p, n, out) != 0 || (crc && validate_crc(out, batch_compute_crc(p)) != 0))
        return out->error;
    if (validator_begin(&v, r, ctx, p + BATCH_HEADER_SIZE, out) == 0) {
        while (validator_step(&v, budget) == -EAGAIN)
            ;
    }
    validator_end(&v);
    return out->error;
}

/* An uncompressed batch that passed has exactly the records that it says. */
static void check_accepted(const struct validate_rules *r, const uint8_t *batch,
                           const struct validate_result *out)
{
    struct record_iter it;
    struct record rec;
    int rc, count = 0;
    SL_ASSERT(batch_crc_ok(batch) && batch_max_timestamp(batch) == out->max_timestamp);
    if (r->header_only || batch_attr_codec(out->info.attributes) != BATCH_CODEC_NONE)
        return;
    record_iter_init(&it, batch + BATCH_HEADER_SIZE, out->info.size - BATCH_HEADER_SIZE,
                     out->info.record_count);
    while ((rc = record_iter_next(&it, &rec)) == 1)
        SL_ASSERT(rec.offset_delta == count++);
    SL_ASSERT(rc == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct decompress_ctx ctx;
    struct validate_result whole, steps;
    if (n < 8)
        return 0;
    struct validate_rules r = make_rules(p);
    uint64_t budget = 1 + p[6] * 16u;
    bool crc = p[7] & 1;
    p += 8;
    n -= 8;
    uint8_t *batch = malloc(n ? n : 1);
    memcpy(batch, p, n);
    if (n >= BATCH_HEADER_SIZE && batch_length(batch) >= BATCH_MIN_LENGTH && batch_size(batch) <= n)
        batch_seal(batch);
    int16_t b = in_steps(&r, &ctx, batch, n, budget, crc, &steps);
    int16_t a = validate_batch(&r, &ctx, batch, n, &whole);
    SL_ASSERT(a == b && whole.error_count == steps.error_count);
    SL_ASSERT(a != 0 || (whole.max_timestamp == steps.max_timestamp &&
                         whole.max_timestamp_delta == steps.max_timestamp_delta));
    SL_ASSERT((a == 0) == (whole.reason == NULL));
    if (a == 0)
        check_accepted(&r, batch, &whole);
    free(batch);
    return 0;
}
