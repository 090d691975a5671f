/* Shared by validate.c (header rules, result) and validate_walk.c (records). */
#ifndef SLUICE_LOG_VALIDATE_PRIVATE_H
#define SLUICE_LOG_VALIDATE_PRIVATE_H

#include "engine/log/validate.h"

/* Sets error and reason; returns error. */
int16_t validate_fail(struct validate_result *out, int16_t error, const char *reason);

/* Header rules that come after the CRC's. */
int16_t validate_check_batch(const struct validate_rules *r, struct validate_result *out);

/* Fills what is to be stored, given the largest timestamp of the records. */
void validate_complete(const struct validate_rules *r, struct validate_result *out, int64_t max_timestamp);

#endif
