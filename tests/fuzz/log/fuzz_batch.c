/* Batch headers, records, headers of records, markers: any bytes, no read outside of them. What parses must
 * be consistent with itself. */
#include <stdlib.h>

#include "engine/log/producer_state.h"
#include "engine/log/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void walk_headers(const struct record *r)
{
    struct record_header h;
    int32_t count = 0;
    for (const uint8_t *at = r->headers; record_header_next(r, &at, &h); count++)
        SL_ASSERT(h.key.len >= 0 && h.value.len >= -1);
    SL_ASSERT(count == r->header_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct batch_info b;
    struct record_iter it;
    struct record r;
    size_t total = 0;
    int32_t count = 0;
    int rc = batch_parse(p, n, &b);
    if (rc < 0)
        return 0;
    SL_ASSERT(b.size <= n && b.size >= BATCH_HEADER_SIZE);
    (void)batch_crc_ok(p);
    record_iter_init(&it, p + BATCH_HEADER_SIZE, b.size - BATCH_HEADER_SIZE, b.record_count);
    while ((rc = record_iter_next(&it, &r)) == 1) {
        count++;
        total += r.size;
        walk_headers(&r);
        (void)record_control_type(r.key);
    }
    if (rc == 0)
        SL_ASSERT(count == b.record_count && total == b.size - BATCH_HEADER_SIZE);

    /* Recovery takes what it is given, in any order. */
    struct producer_state s;
    struct producer_completed done;
    producer_state_init(&s, 0);
    for (int i = 0; i < 3; i++) {
        rc = producer_state_apply_batch(&s, p, n, &done);
        SL_ASSERT(rc == 0 || done.first_offset == -1);
    }
    producer_state_on_high_watermark(&s, INT64_MAX);
    producer_state_destroy(&s);
    return 0;
}
