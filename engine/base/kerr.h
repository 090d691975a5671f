/* Kafka's error codes, as of 4.3 (org.apache.kafka.common.protocol.Errors): what goes into an errorCode
 * field. A function that returns one says so; elsewhere failures are -errno. */
#ifndef SLUICE_BASE_KERR_H
#define SLUICE_BASE_KERR_H

#include "engine/base/err.h"
#include "engine/base/kerr_table.h"

enum kerr {
#define KERR_ROW_(code, name, retriable, text) KERR_##name = code,
    KERR_TABLE(KERR_ROW_)
#undef KERR_ROW_
};

/* Smallest and largest code. */
#define KERR_MIN (-1)
#define KERR_MAX 133

SL_EXTERN_C_BEGIN

/* "OFFSET_OUT_OF_RANGE" and so on; "UNKNOWN_CODE" for a code that is not Kafka's. Static storage. */
const char *kerr_name(int16_t code);

/* A short sentence for logs and errorMessage fields, without a full stop. Static storage. */
const char *kerr_text(int16_t code);

/* True when Kafka's clients retry after this error (its exception is a RetriableException). */
bool kerr_retriable(int16_t code);

SL_EXTERN_C_END

#endif
