#include "bench/load/stats.h"

#include <stdarg.h>
#include <stddef.h>
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

static void add(struct stats *dst, const struct stats *src, const size_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *(uint64_t *)((char *)dst + at[i]) += *(const uint64_t *)((const char *)src + at[i]);
}

#define AT(f) offsetof(struct stats, f)

void stats_merge_events(struct stats *dst, const struct stats *src)
{
    static const size_t sums[] = {AT(fetch_asked),    AT(sessions_lost), AT(refused),    AT(retried),
                                  AT(reconnects),     AT(refreshes),     AT(rebalances), AT(assigned),
                                  AT(revoked),        AT(commits),       AT(twice),      AT(idle_ns),
                                  AT(commits_refused)};
    add(dst, src, sums, SL_ARRAY_LEN(sums));
    dst->ack_gap = SL_MAX(dst->ack_gap, src->ack_gap);
    dst->idle_max_ns = SL_MAX(dst->idle_max_ns, src->idle_max_ns);
}

void stats_merge(struct stats *dst, const struct stats *src)
{
    static const size_t sums[] = {AT(made),          AT(acked),     AT(acked_bytes), AT(acked_wire),
                                  AT(requests),      AT(batches),   AT(errors),      AT(read),
                                  AT(read_bytes),    AT(read_wire), AT(fetches),     AT(gaps),
                                  AT(fetches_empty), AT(catchup),   AT(lost),        AT(catchup_bytes),
                                  AT(bad_order),     AT(bad_crc),   AT(malformed)};
    add(dst, src, sums, SL_ARRAY_LEN(sums));
    stats_merge_events(dst, src);
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

void stats_idle(struct stats *s, uint64_t ns)
{
    s->idle_ns += ns;
    s->idle_max_ns = SL_MAX(s->idle_max_ns, ns);
}

uint64_t stats_faults(const struct stats *s)
{
    return s->errors + s->gaps + s->lost + s->bad_crc + s->bad_order + s->malformed;
}
