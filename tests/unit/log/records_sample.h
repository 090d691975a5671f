/* The records of the batch-*.bin fixtures, built with batch_builder. */
#ifndef SLUICE_TESTS_UNIT_LOG_RECORDS_SAMPLE_H
#define SLUICE_TESTS_UNIT_LOG_RECORDS_SAMPLE_H

#include <stdio.h>

#include "engine/log/record.h"

#define SAMPLE_T0 1700000000000LL

static inline void sample_append(struct batch_builder *b, int i)
{
    char key[32], value[256], h1[32];
    int value_len = snprintf(value, sizeof(value), "value-%d-", i);
    memset(value + value_len, 'x', (size_t)(i * 13 % 200));
    value_len += i * 13 % 200;
    snprintf(key, sizeof(key), "key-%d", i);
    snprintf(h1, sizeof(h1), "v%d", i);
    struct record_header headers[2] = {{record_bytes_text("h1"), record_bytes_text(h1)},
                                       {record_bytes_text("h2"), RECORD_NULL}};
    int rc = batch_builder_append(
        b, SAMPLE_T0 + i * 10 + (i == 7 ? 100000 : 0), i % 5 == 0 ? RECORD_NULL : record_bytes_text(key),
        i % 7 == 3 ? RECORD_NULL : record_bytes_make(value, (size_t)value_len), headers, i % 4 == 1 ? 2 : 0);
    SL_ASSERT(rc == 0);
}

static inline void sample_fill(struct batch_builder *b, int n)
{
    for (int i = 0; i < n; i++)
        sample_append(b, i);
}

#endif
