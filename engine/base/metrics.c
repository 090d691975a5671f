#include "engine/base/metrics.h"

#include <stdlib.h>
#include <string.h>

static const struct metric_info rows[METRIC_COUNT] = {
#define METRIC_ROW_(id, name, labels, kind, unit, prose)                                                     \
    {name, labels, unit, prose, METRIC_##kind, METRIC_AT_##id},
    METRICS_TABLE(METRIC_ROW_)
#undef METRIC_ROW_
};

static const char *const kind_names[] = {"counter", "gauge", "histogram"};

const struct metric_info *metric_describe(enum metric_id id)
{
    SL_ASSERT((unsigned)id < METRIC_COUNT);
    return &rows[id];
}

struct metrics *metrics_create(uint32_t n)
{
    SL_ASSERT(n > 0);
    struct metrics *m = aligned_alloc(SL_CACHE_LINE, n * sizeof(*m));
    if (m)
        memset(m, 0, n * sizeof(*m));
    return m;
}

void metrics_destroy(struct metrics *m)
{
    free(m);
}

void metrics_snapshot(const struct metrics *m, uint32_t n, struct metrics *out)
{
    memset(out, 0, sizeof(*out));
    for (uint32_t r = 0; r < n; r++) {
        for (size_t i = 0; i < METRIC_WORDS; i++)
            out->words[i] += __atomic_load_n(&m[r].words[i], __ATOMIC_RELAXED);
    }
}

uint64_t metrics_value(const struct metrics *m, enum metric_id id)
{
    const struct metric_info *info = metric_describe(id);
    if (info->kind != METRIC_HISTOGRAM)
        return metric_get(m, id);
    uint64_t count = 0;
    for (uint32_t i = 0; i < METRIC_BUCKETS; i++)
        count += __atomic_load_n(&m->words[info->at + i], __ATOMIC_RELAXED);
    return count;
}

uint64_t metrics_hist_sum(const struct metrics *m, enum metric_id id)
{
    const struct metric_info *info = metric_describe(id);
    SL_ASSERT(info->kind == METRIC_HISTOGRAM);
    return __atomic_load_n(&m->words[info->at + METRIC_BUCKETS], __ATOMIC_RELAXED);
}

uint64_t metrics_hist_percentile(const struct metrics *m, enum metric_id id, double percent)
{
    const struct metric_info *info = metric_describe(id);
    SL_ASSERT(info->kind == METRIC_HISTOGRAM && percent >= 0.0 && percent <= 100.0);
    double want = (double)metrics_value(m, id) * percent / 100.0;
    uint64_t seen = 0;
    if (metrics_value(m, id) == 0)
        return 0;
    for (uint32_t i = 0; i < METRIC_BUCKETS - 1; i++) {
        seen += __atomic_load_n(&m->words[info->at + i], __ATOMIC_RELAXED);
        if (seen > 0 && (double)seen >= want)
            return metric_bucket_high(i);
    }
    return UINT64_MAX;
}

static void metrics_print_hist(const struct metric_info *info, const uint64_t *w, struct sbuf *out)
{
    const char *comma = info->labels[0] ? "," : "";
    const char *open = info->labels[0] ? "{" : "";
    const char *close = info->labels[0] ? "}" : "";
    uint64_t seen = 0;
    /* Only buckets that hold something: they are cumulative, so none is missed. */
    for (uint32_t i = 0; i < METRIC_BUCKETS - 1; i++) {
        seen += w[i];
        if (w[i])
            sbuf_printf(out, "%s_bucket{%s%sle=\"%llu\"} %llu\n", info->name, info->labels, comma,
                        (unsigned long long)metric_bucket_high(i), (unsigned long long)seen);
    }
    seen += w[METRIC_BUCKETS - 1];
    sbuf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", info->name, info->labels, comma,
                (unsigned long long)seen);
    sbuf_printf(out, "%s_sum%s%s%s %llu\n", info->name, open, info->labels, close,
                (unsigned long long)w[METRIC_BUCKETS]);
    sbuf_printf(out, "%s_count%s%s%s %llu\n", info->name, open, info->labels, close,
                (unsigned long long)seen);
}

/* Rows that differ only in labels share one head. */
static bool metrics_same_name(size_t i)
{
    return i > 0 && strcmp(rows[i].name, rows[i - 1].name) == 0;
}

int metrics_print(const struct metrics *m, struct sbuf *out)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *info = &rows[i];
        const uint64_t *w = &m->words[info->at];
        if (!metrics_same_name(i))
            sbuf_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", info->name, info->prose, info->name,
                        kind_names[info->kind]);
        if (info->kind == METRIC_HISTOGRAM)
            metrics_print_hist(info, w, out);
        else
            sbuf_printf(out, "%s%s%s%s %llu\n", info->name, info->labels[0] ? "{" : "", info->labels,
                        info->labels[0] ? "}" : "", (unsigned long long)w[0]);
    }
    return sbuf_reserve(out, 0);
}

int metrics_print_docs(struct sbuf *out)
{
    sbuf_puts(
        out, "# Metrics\n\nPrinted from engine/base/metrics_table.h. Each value is the sum over reactors.\n\n"
             "| name | labels | kind | unit | what |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *info = &rows[i];
        sbuf_printf(out, "| `%s` | %s%s%s | %s | %s | %s. |\n", info->name, info->labels[0] ? "`" : "",
                    info->labels, info->labels[0] ? "`" : "", kind_names[info->kind], info->unit,
                    info->prose);
    }
    return sbuf_reserve(out, 0);
}
