#include "bench/load/stats.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void stats_init(struct stats *s)
{
    memset(s, 0, sizeof(*s));
    hist_init(&s->ack);
    hist_init(&s->service);
    hist_init(&s->e2e);
    hist_init(&s->late);
}

void stats_merge(struct stats *dst, const struct stats *src)
{
    static const size_t sums[] = {offsetof(struct stats, made),        offsetof(struct stats, acked),
                                  offsetof(struct stats, acked_bytes), offsetof(struct stats, acked_wire),
                                  offsetof(struct stats, requests),    offsetof(struct stats, batches),
                                  offsetof(struct stats, errors),      offsetof(struct stats, read),
                                  offsetof(struct stats, read_bytes),  offsetof(struct stats, read_wire),
                                  offsetof(struct stats, fetches),     offsetof(struct stats, fetches_empty),
                                  offsetof(struct stats, catchup),     offsetof(struct stats, catchup_bytes),
                                  offsetof(struct stats, gaps),        offsetof(struct stats, lost),
                                  offsetof(struct stats, bad_crc),     offsetof(struct stats, bad_order),
                                  offsetof(struct stats, malformed)};
    for (size_t i = 0; i < SL_ARRAY_LEN(sums); i++)
        *(uint64_t *)((char *)dst + sums[i]) += *(const uint64_t *)((const char *)src + sums[i]);
    dst->t = SL_MAX(dst->t, src->t);
    dst->t_last_ack = SL_MAX(dst->t_last_ack, src->t_last_ack);
    dst->t_last_read = SL_MAX(dst->t_last_read, src->t_last_read);
    hist_merge(&dst->ack, &src->ack);
    hist_merge(&dst->service, &src->service);
    hist_merge(&dst->e2e, &src->e2e);
    hist_merge(&dst->late, &src->late);
    if (!dst->error[0])
        memcpy(dst->error, src->error, sizeof(dst->error));
}

void stats_error(struct stats *s, const char *fmt, ...)
{
    va_list ap;
    s->errors++;
    if (s->error[0])
        return;
    va_start(ap, fmt);
    vsnprintf(s->error, sizeof(s->error), fmt, ap);
    va_end(ap);
}

uint64_t stats_faults(const struct stats *s)
{
    return s->errors + s->gaps + s->lost + s->bad_crc + s->bad_order + s->malformed;
}
