/* Metrics: one table of rows (metrics_table.h), one set of values per reactor.
 *
 * `struct metrics` is one reactor's values: words that only its owner thread writes, with relaxed atomic
 * stores, so that any thread may read them at any time and no increment costs a locked instruction.
 * metrics_create makes an array of them, one per reactor; metrics_snapshot sums the array.
 *
 * Counters only grow. Gauges are set or added to (also by a negative amount, modulo 2^64) and summed over
 * reactors. Histograms are log-linear: values below 8 have a bucket each, above it every power of two is cut
 * into four, so that a percentile is at most a quarter too high; the last bucket holds everything from
 * 2^38 * 7/4 on (480 s in ns).
 */
#ifndef SLUICE_BASE_METRICS_H
#define SLUICE_BASE_METRICS_H

#include "engine/base/err.h"
#include "engine/base/metrics_table.h"
#include "engine/base/sbuf.h"
#include "engine/base/slow.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum metric_id {
#define METRIC_ROW_(id, name, labels, kind, unit, prose) METRIC_##id,
    METRICS_TABLE(METRIC_ROW_)
#undef METRIC_ROW_
        METRIC_COUNT
};

/* Buckets of a histogram. */
#define METRIC_BUCKETS 152
/* Words of a histogram: buckets, then the sum of all values. */
#define METRIC_HIST_WORDS (METRIC_BUCKETS + 1)

/* Where each row's words lie: METRIC_AT_x is the first. */
enum metric_layout {
#define METRIC_WORDS_(kind) ((kind) == METRIC_HISTOGRAM ? METRIC_HIST_WORDS : 1)
#define METRIC_ROW_(id, name, labels, kind, unit, prose)                                                     \
    METRIC_AT_##id, METRIC_END_##id = METRIC_AT_##id + METRIC_WORDS_(METRIC_##kind) - 1,
    METRICS_TABLE(METRIC_ROW_)
#undef METRIC_ROW_
        METRIC_WORDS
};

/* One reactor's values. */
struct metrics {
    uint64_t words[METRIC_WORDS] __attribute__((aligned(SL_CACHE_LINE)));
    struct slow slow; /* whole requests; not summed */
};

/* A row of the table. */
struct metric_info {
    const char *name;   /* Prometheus style: sluice_..._total */
    const char *labels; /* phase="reap", or "" */
    const char *unit;
    const char *prose;
    enum metric_kind kind;
    uint16_t at; /* first word */
};

SL_EXTERN_C_BEGIN

/* Row of id, for printing docs. */
const struct metric_info *metric_describe(enum metric_id id);

/* Values of n reactors (n >= 1), all zero; NULL when memory is short. The owner passes &m[i], or
 * metrics_at(m, i), to reactor i. */
struct metrics *metrics_create(uint32_t n);
void metrics_destroy(struct metrics *m);

/* Any thread: *out becomes the sum over the n sets at m. Each word is read once; the words of one row may be
 * an update apart. */
void metrics_snapshot(const struct metrics *m, uint32_t n, struct metrics *out);

/* The value of a counter or gauge; of a histogram the number of values. */
uint64_t metrics_value(const struct metrics *m, enum metric_id id);

/* A histogram's sum of values, and an upper bound of its percentile (0..100), at most a quarter above it; 0
 * when empty. */
uint64_t metrics_hist_sum(const struct metrics *m, enum metric_id id);
uint64_t metrics_hist_percentile(const struct metrics *m, enum metric_id id, double percent);

/* Appends all rows as text in Prometheus' exposition format 0.0.4. m: a snapshot. Returns 0 or -ENOMEM. */
int metrics_print(const struct metrics *m, struct sbuf *out);

/* Appends the table as Markdown: docs/METRICS.md. Returns 0 or -ENOMEM. */
int metrics_print_docs(struct sbuf *out);

SL_EXTERN_C_END

/* Reactor i's values in an array from metrics_create. */
static inline struct metrics *metrics_at(struct metrics *m, uint32_t i)
{
    return &m[i];
}

/* First word of a row. */
static inline uint32_t metric_at(enum metric_id id)
{
    static const uint16_t at[] = {
#define METRIC_ROW_(id, name, labels, kind, unit, prose) METRIC_AT_##id,
        METRICS_TABLE(METRIC_ROW_)
#undef METRIC_ROW_
    };
    return at[id];
}

/* Owner thread: adds v to a counter or gauge. */
static inline void metric_add(struct metrics *m, enum metric_id id, uint64_t v)
{
    uint64_t *w = &m->words[metric_at(id)];
    /* One writer: a plain load and store do, and readers see whole words. */
    __atomic_store_n(w, __atomic_load_n(w, __ATOMIC_RELAXED) + v, __ATOMIC_RELAXED);
}

/* The bucket of v, and the largest value that a bucket holds (UINT64_MAX: the last one). */
static inline uint32_t metric_bucket(uint64_t v)
{
    if (v < 8)
        return (uint32_t)v;
    uint32_t e = 61u - (uint32_t)__builtin_clzll(v);
    uint32_t i = e * 4 + (uint32_t)(v >> e);
    return i < METRIC_BUCKETS ? i : METRIC_BUCKETS - 1;
}

static inline uint64_t metric_bucket_high(uint32_t i)
{
    if (i >= METRIC_BUCKETS - 1)
        return UINT64_MAX;
    if (i < 8)
        return i;
    uint32_t e = i / 4 - 1;
    return ((uint64_t)(i - e * 4 + 1) << e) - 1;
}

static inline void metric_word_add(uint64_t *w, uint64_t v)
{
    __atomic_store_n(w, __atomic_load_n(w, __ATOMIC_RELAXED) + v, __ATOMIC_RELAXED);
}

/* Owner thread: counts v into a histogram row. */
static inline void metric_observe(struct metrics *m, enum metric_id id, uint64_t v)
{
    uint64_t *w = &m->words[metric_at(id)];
    metric_word_add(&w[metric_bucket(v)], 1);
    metric_word_add(&w[METRIC_BUCKETS], v);
}

/* Owner thread: sets a gauge. */
static inline void metric_set(struct metrics *m, enum metric_id id, uint64_t v)
{
    __atomic_store_n(&m->words[metric_at(id)], v, __ATOMIC_RELAXED);
}

/* The owner's, or a snapshot's, value of a counter or gauge. */
static inline uint64_t metric_get(const struct metrics *m, enum metric_id id)
{
    return __atomic_load_n(&m->words[metric_at(id)], __ATOMIC_RELAXED);
}

#endif
