// The broker's own view: stage histograms read from a metrics endpoint (sluice.metrics.listener) before and after
// the measured time, and their difference. Any broker without such an endpoint simply has none.
#ifndef SLUICE_BENCH_LOAD_SCRAPE_H
#define SLUICE_BENCH_LOAD_SCRAPE_H

#include "engine/base/sbuf.h"

#include <stdio.h>

enum { SCRAPE_BUCKETS = 160, SCRAPE_STAGES = 24 };

struct scrape_stage {
    char api[16], stage[16]; // "produce", "durable"
    uint32_t n;
    struct {
        uint64_t upto, count; // cumulative: values <= upto, UINT64_MAX for +Inf
    } b[SCRAPE_BUCKETS];
};

struct scrape {
    uint32_t n;
    struct scrape_stage stages[SCRAPE_STAGES];
};

// Takes the stage rows out of a page in Prometheus' text format.
void scrape_parse(const char *text, struct scrape *out);

// GET /metrics from "host:port", blocking for two seconds at most. 0 or -errno.
int scrape_fetch(const char *address, struct scrape *out);

// Values that `after` has beyond `before`: how many, and the upper bound of the bucket of a percentile (0: none).
uint64_t scrape_count(const struct scrape *before, const struct scrape *after, uint32_t stage);
uint64_t scrape_percentile(const struct scrape *before, const struct scrape *after, uint32_t stage,
                           double percent);

void scrape_text(const struct scrape *before, const struct scrape *after, FILE *out);
// Appends `"stages_us": {"produce": {"parsed": {...}}}`.
void scrape_json(const struct scrape *before, const struct scrape *after, struct sbuf *out);

#endif
