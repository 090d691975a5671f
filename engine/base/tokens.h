/* A token bucket, as Kafka's quota on topic changes has it (KIP-599): tokens come at a rate up to a most, and may be taken
 * below zero; nothing more may be taken until they are back at zero. One thread at a time. */
#ifndef SLUICE_BASE_TOKENS_H
#define SLUICE_BASE_TOKENS_H

#include "engine/base/err.h"

struct sl_tokens {
    double n;    /* at `at` */
    uint64_t at; /* ns */
};

SL_EXTERN_C_BEGIN

/* A full bucket of `most` >= 0 tokens at time `now` (ns, not going back from here on). */
void sl_tokens_init(struct sl_tokens *t, double most, uint64_t now);

/* What is there now, at `rate` > 0 tokens a second. Negative: so many are owed. */
double sl_tokens_have(struct sl_tokens *t, double rate, double most, uint64_t now);

/* Takes v >= 0 of what sl_tokens_have just told, also below zero. */
void sl_tokens_take(struct sl_tokens *t, double v);

/* In how many ms nothing is owed any more, after sl_tokens_have: rounded, 0 if nothing is. */
uint32_t sl_tokens_wait_ms(const struct sl_tokens *t, double rate);

SL_EXTERN_C_END

#endif
