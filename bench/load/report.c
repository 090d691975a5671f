// What the run says at its end: text for people, JSON for perf/compare.
#include "bench/load/run.h"

static const double PERCENTS[] = {50, 75, 90, 95, 99, 99.9, 99.99};

static double ms(uint64_t us)
{
    return (double)us / 1e3;
}

static void hist_text(const char *name, const struct hist *h, FILE *out)
{
    if (!h->count)
        return;
    fprintf(out, "%-10s mean %.3f", name, hist_mean(h) / 1e3);
    for (size_t i = 0; i < SL_ARRAY_LEN(PERCENTS); i++)
        fprintf(out, "  p%g %.3f", PERCENTS[i], ms(hist_percentile(h, PERCENTS[i])));
    fprintf(out, "  max %.3f ms\n", ms(h->max));
}

// Time that the throughput counts: the measured window, or, when records or the end bound the run, to the
// last answer.
static double span(const struct conduct *c, bool producing)
{
    const struct run *run = c->run;
    uint64_t last = producing ? c->total.t_last_ack : c->total.t_last_read;
    if ((run->t_end && !run->plan->records) || last <= run->t_measure)
        return c->seconds;
    return (double)(last - run->t_measure) / 1e9;
}

static double rate(double n, double seconds)
{
    return seconds > 0 ? n / seconds : 0;
}

// Of the data that went through the generator, both ways.
static double cpu_per_gb(const struct conduct *c)
{
    double gb = (double)(c->total.acked_wire + c->total.read_wire + c->total.catchup_bytes) / 1e9;
    return gb > 0 ? c->cpu_s / gb : 0;
}

static bool was_late(const struct conduct *c)
{
    return c->total.late.count && ms(hist_percentile(&c->total.late, 99)) > c->run->plan->late_ms;
}

static void faults_text(const struct stats *s, const char *when, FILE *out)
{
    if (!stats_faults(s))
        return;
    fprintf(
        out,
        "WRONG%s: errors %llu, gaps %llu (%llu records), bad CRCs %llu, out of order %llu, malformed %llu\n",
        when, (unsigned long long)s->errors, (unsigned long long)s->gaps, (unsigned long long)s->lost,
        (unsigned long long)s->bad_crc, (unsigned long long)s->bad_order, (unsigned long long)s->malformed);
    if (s->error[0])
        fprintf(out, "  first error: %s\n", s->error);
}

static void produce_text(const struct conduct *c, FILE *out)
{
    const struct stats *s = &c->total;
    double t = span(c, true);
    fprintf(out,
            "produced   %llu records, %.1f MB in %.3f s: %.1f MB/s, %.0f records/s, %.1f KB a batch, %.1f "
            "batches a request\n",
            (unsigned long long)s->acked, (double)s->acked_bytes / 1e6, t,
            rate((double)s->acked_bytes / 1e6, t), rate((double)s->acked, t),
            s->batches ? (double)s->acked_wire / 1e3 / (double)s->batches : 0,
            s->requests ? (double)s->batches / (double)s->requests : 0);
    hist_text("latency", &s->ack, out);
    hist_text("service", &s->service, out);
    hist_text("late", &s->late, out);
}

static void commit_text(const struct conduct *c, FILE *out)
{
    const struct stats *s = &c->total;
    double t = span(c, true);
    fprintf(out, "committed  %llu offsets in %llu requests in %.3f s: %.0f offsets/s\n",
            (unsigned long long)s->acked, (unsigned long long)s->requests, t, rate((double)s->acked, t));
    hist_text("latency", &s->ack, out);
    hist_text("service", &s->service, out);
    hist_text("late", &s->late, out);
}

static void outage_text(const struct conduct *c, FILE *out)
{
    const struct stats *s = &c->total, *d = &c->drained;
    uint64_t gap = SL_MAX(s->ack_gap, d->ack_gap);
    if (s->reconnects + s->refused + s->retried + d->reconnects + d->refused + d->retried == 0)
        return;
    fprintf(out,
            "outages    %llu connections made again, %llu answers to try again, %llu batches sent again, "
            "metadata asked "
            "for %llu times; %.3f s without an acknowledgement\n",
            (unsigned long long)(s->reconnects + d->reconnects),
            (unsigned long long)(s->refused + d->refused), (unsigned long long)(s->retried + d->retried),
            (unsigned long long)(s->refreshes + d->refreshes), (double)gap / 1e9);
}

static void groups_text(const struct conduct *c, FILE *out)
{
    const struct stats *s = &c->total;
    fprintf(out,
            "groups     %llu rebalances, %llu partitions given up, %.3f s without an assignment (at most "
            "%.3f s a member), "
            "%llu commits, %llu refused, %llu records read again\n",
            (unsigned long long)s->rebalances, (unsigned long long)s->revoked, (double)s->idle_ns / 1e9,
            (double)s->idle_max_ns / 1e9, (unsigned long long)s->commits,
            (unsigned long long)s->commits_refused, (unsigned long long)s->twice);
}

static void consume_text(const struct conduct *c, FILE *out)
{
    static const char *const verified[] = {"offsets", "offsets and CRCs", "every record"};
    const struct stats *s = &c->total;
    double t = span(c, false);
    fprintf(out, "consumed   %llu records, %.1f MB in %.3f s: %.1f MB/s, %.0f records/s; verified %s\n",
            (unsigned long long)s->read, (double)s->read_wire / 1e6, t, rate((double)s->read_wire / 1e6, t),
            rate((double)s->read, t), verified[c->run->plan->verify]);
    if (s->catchup)
        fprintf(out, "catch-up   %.1f MB/s\n", rate((double)s->catchup_bytes / 1e6, c->seconds));
    hist_text("end-to-end", &s->e2e, out);
    if (plan_has_groups(c->run->plan))
        groups_text(c, out);
}

void report_text(const struct conduct *c, FILE *out)
{
    const struct plan *p = c->run->plan;
    if (p->producers)
        produce_text(c, out);
    if (p->committers)
        commit_text(c, out);
    if (p->consumers + p->catchup)
        consume_text(c, out);
    outage_text(c, out);
    for (uint32_t i = 0; i < c->steps_n; i++)
        fprintf(out, "step       %.0f records/s: %.0f, p50 %.3f  p99 %.3f  p99.9 %.3f  max %.3f ms  %s\n",
                c->steps[i].rate, c->steps[i].achieved, ms(c->steps[i].p50), ms(c->steps[i].p99),
                ms(c->steps[i].p999), ms(c->steps[i].max), c->steps[i].good ? "good" : "too much");
    if (c->steps_n)
        fprintf(out, "ramp       %.0f records/s with p99 <= %g ms\n", c->ramp_best, p->ramp_p99_ms);
    scrape_text(&c->before, &c->after, out);
    fprintf(out, "generator  %.2f s of CPU, %.3f s a GB\n", c->cpu_s, cpu_per_gb(c));
    if (was_late(c))
        fprintf(
            out,
            "WARNING: the generator itself was late: its p99 is %.3f ms (late.ms=%g); latencies include it\n",
            ms(hist_percentile(&c->total.late, 99)), p->late_ms);
    if (plan_writes(p) && c->made_all > c->acked_all)
        fprintf(out, "WARNING: %llu records or offsets were not acknowledged within drain.s\n",
                (unsigned long long)(c->made_all - c->acked_all));
    faults_text(&c->total, "", out);
    faults_text(&c->drained, " after the end", out);
}

// ---- JSON ---------------------------------------------------------------------------------------------------------
// Percentiles, and the curve as [percent, us] pairs, each bucket that has values once.
static void hist_json(const char *name, const struct hist *h, struct sbuf *out)
{
    uint64_t seen = 0;
    sbuf_printf(out, ", \"%s_us\": {\"count\": %llu, \"mean\": %.3f, \"max\": %llu", name,
                (unsigned long long)h->count, hist_mean(h), (unsigned long long)h->max);
    for (size_t i = 0; i < SL_ARRAY_LEN(PERCENTS); i++)
        sbuf_printf(out, ", \"p%g\": %llu", PERCENTS[i], (unsigned long long)hist_percentile(h, PERCENTS[i]));
    sbuf_puts(out, ", \"curve\": [");
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        if (!h->buckets[i])
            continue;
        sbuf_printf(out, "%s[%.6f, %llu]", seen ? ", " : "",
                    100.0 * (double)(seen + h->buckets[i]) / (double)h->count,
                    (unsigned long long)SL_MIN(hist_bucket_high(i), h->max));
        seen += h->buckets[i];
    }
    sbuf_puts(out, "]}");
}

static void faults_json(const struct stats *s, struct sbuf *out)
{
    sbuf_printf(out,
                "{\"errors\": %llu, \"gaps\": %llu, \"lost\": %llu, \"bad_crc\": %llu, \"bad_order\": %llu, "
                "\"malformed\": %llu}",
                (unsigned long long)s->errors, (unsigned long long)s->gaps, (unsigned long long)s->lost,
                (unsigned long long)s->bad_crc, (unsigned long long)s->bad_order,
                (unsigned long long)s->malformed);
}

// Of the whole run: an outage, or a rebalance, may be anywhere in it.
static void events_json(const struct conduct *c, struct sbuf *out)
{
    const struct stats *s = &c->total, *d = &c->drained;
    sbuf_printf(out,
                ", \"outages\": {\"reconnects\": %llu, \"refused\": %llu, \"retried_batches\": %llu, "
                "\"refreshes\": %llu, "
                "\"ack_gap_s\": %.6f}",
                (unsigned long long)(s->reconnects + d->reconnects),
                (unsigned long long)(s->refused + d->refused), (unsigned long long)(s->retried + d->retried),
                (unsigned long long)(s->refreshes + d->refreshes),
                (double)SL_MAX(s->ack_gap, d->ack_gap) / 1e9);
    sbuf_printf(out, ", \"fetch_request_bytes\": %llu, \"fetch_sessions_lost\": %llu",
                (unsigned long long)(s->fetch_asked + d->fetch_asked),
                (unsigned long long)(s->sessions_lost + d->sessions_lost));
    if (!plan_has_groups(c->run->plan))
        return;
    sbuf_printf(
        out,
        ", \"groups\": {\"rebalances\": %llu, \"assigned\": %llu, \"revoked\": %llu, \"commits\": %llu, "
        "\"commits_refused\": %llu, \"read_twice\": %llu, \"idle_s\": %.6f, \"idle_max_s\": %.6f}",
        (unsigned long long)(s->rebalances + d->rebalances), (unsigned long long)(s->assigned + d->assigned),
        (unsigned long long)(s->revoked + d->revoked), (unsigned long long)(s->commits + d->commits),
        (unsigned long long)(s->commits_refused + d->commits_refused),
        (unsigned long long)(s->twice + d->twice), (double)(s->idle_ns + d->idle_ns) / 1e9,
        (double)SL_MAX(s->idle_max_ns, d->idle_max_ns) / 1e9);
}

static void series_json(const struct conduct *c, struct sbuf *out)
{
    sbuf_puts(out, ", \"series\": [");
    for (uint32_t i = 0; i < c->rows_n; i++) {
        double s = c->rows[i].seconds > 0 ? c->rows[i].seconds : 1;
        sbuf_printf(
            out,
            "%s\n  {\"t\": %.3f, \"made\": %.0f, \"acked\": %.0f, \"mb_per_s\": %.3f, \"read\": %.0f, "
            "\"read_mb_per_s\": %.3f, \"catchup_mb_per_s\": %.3f, \"p50_us\": %llu, \"p99_us\": %llu, "
            "\"max_us\": %llu, "
            "\"e2e_p50_us\": %llu, \"e2e_p99_us\": %llu, \"late_p99_us\": %llu}",
            i ? "," : "", c->rows[i].t, c->rows[i].made / s, c->rows[i].acked / s,
            c->rows[i].acked_bytes / 1e6 / s, c->rows[i].read / s, c->rows[i].read_bytes / 1e6 / s,
            c->rows[i].catchup_bytes / 1e6 / s, (unsigned long long)c->rows[i].p50,
            (unsigned long long)c->rows[i].p99, (unsigned long long)c->rows[i].max,
            (unsigned long long)c->rows[i].e2e50, (unsigned long long)c->rows[i].e2e99,
            (unsigned long long)c->rows[i].late99);
    }
    sbuf_puts(out, "]");
}

static void steps_json(const struct conduct *c, struct sbuf *out)
{
    sbuf_printf(out, ", \"ramp_records_per_s\": %.1f, \"steps\": [", c->ramp_best);
    for (uint32_t i = 0; i < c->steps_n; i++)
        sbuf_printf(
            out,
            "%s{\"rate\": %.1f, \"achieved\": %.1f, \"p50_us\": %llu, \"p99_us\": %llu, \"p999_us\": %llu, "
            "\"max_us\": %llu, \"good\": %s}",
            i ? ", " : "", c->steps[i].rate, c->steps[i].achieved, (unsigned long long)c->steps[i].p50,
            (unsigned long long)c->steps[i].p99, (unsigned long long)c->steps[i].p999,
            (unsigned long long)c->steps[i].max, c->steps[i].good ? "true" : "false");
    sbuf_puts(out, "]");
}

void report_json(const struct conduct *c, struct sbuf *out)
{
    const struct stats *s = &c->total;
    double tp = span(c, true), tc = span(c, false);
    sbuf_puts(out, "{\"plan\": ");
    plan_json(c->run->plan, out);
    sbuf_printf(out,
                ", \"seconds\": %.6f, \"generator_cpu_s\": %.6f, \"generator_cpu_s_per_gb\": %.6f, "
                "\"generator_late\": %s",
                c->seconds, c->cpu_s, cpu_per_gb(c), was_late(c) ? "true" : "false");
    sbuf_printf(out,
                ", \"produced\": {\"records\": %llu, \"bytes\": %llu, \"wire_bytes\": %llu, \"requests\": "
                "%llu, \"batches\": %llu, "
                "\"seconds\": %.6f, \"mb_per_s\": %.3f, \"records_per_s\": %.1f}",
                (unsigned long long)s->acked, (unsigned long long)s->acked_bytes,
                (unsigned long long)s->acked_wire, (unsigned long long)s->requests,
                (unsigned long long)s->batches, tp, rate((double)s->acked_bytes / 1e6, tp),
                rate((double)s->acked, tp));
    sbuf_printf(out,
                ", \"consumed\": {\"records\": %llu, \"wire_bytes\": %llu, \"fetches\": %llu, "
                "\"empty_fetches\": %llu, "
                "\"seconds\": %.6f, \"mb_per_s\": %.3f, \"records_per_s\": %.1f, \"catchup_mb_per_s\": %.3f}",
                (unsigned long long)s->read, (unsigned long long)s->read_wire, (unsigned long long)s->fetches,
                (unsigned long long)s->fetches_empty, tc, rate((double)s->read_wire / 1e6, tc),
                rate((double)s->read, tc), rate((double)s->catchup_bytes / 1e6, c->seconds));
    if (c->run->plan->committers)
        sbuf_printf(out, ", \"committed\": {\"offsets\": %llu, \"requests\": %llu, \"offsets_per_s\": %.1f}",
                    (unsigned long long)s->acked, (unsigned long long)s->requests,
                    rate((double)s->acked, tp));
    hist_json("latency", &s->ack, out);
    hist_json("service", &s->service, out);
    hist_json("e2e", &s->e2e, out);
    hist_json("late", &s->late, out);
    sbuf_puts(out, ", \"faults\": ");
    faults_json(s, out);
    sbuf_puts(out, ", \"faults_after_end\": ");
    faults_json(&c->drained, out);
    sbuf_printf(out, ", \"totals\": {\"made\": %llu, \"acked\": %llu, \"read\": %llu}",
                (unsigned long long)c->made_all, (unsigned long long)c->acked_all,
                (unsigned long long)c->read_all);
    events_json(c, out);
    sbuf_puts(out, ", ");
    scrape_json(&c->before, &c->after, out);
    if (c->steps_n)
        steps_json(c, out);
    series_json(c, out);
    sbuf_puts(out, "}\n");
}
