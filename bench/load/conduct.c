// The conductor: begins the run, takes the workers' counters once a second, and ends it.
#include "bench/load/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "engine/io/fiber.h"

enum { TICK_NS = 1000000000 };
#define LEAVE_NS 5000000000ull

// One round of messages to all workers; the fiber waits for the replies.
static struct round {
    struct fiber *f;
    uint32_t left;
    uint64_t all, any; // of u[1]
    bool done;
} the_round;

void conduct_reply(struct service *s, const struct spsc_msg *m)
{
    (void)s;
    SL_ASSERT(the_round.left > 0);
    the_round.all &= m->u[1];
    the_round.any |= m->u[1];
    if (--the_round.left)
        return;
    the_round.done = true;
    fiber_wake(the_round.f);
}

// args: one word for each worker, or NULL. Returns the state that all (WORKER_DEAD: any) report.
static uint64_t ask_all(struct conduct *c, uint16_t op, const uint64_t *args)
{
    struct reactor *r = reactor_current();
    uint32_t n = (uint32_t)c->run->plan->threads;
    the_round = (struct round){.f = fiber_current(), .left = n, .all = UINT64_MAX};
    for (uint32_t i = 0; i < n; i++) {
        SL_ASSERT(reactor_credit_take(r, i, 1));
        struct spsc_msg *m = reactor_request(r, i, op, SVC_LOAD);
        m->u[0] = args ? args[i] : 0;
    }
    fiber_park_until(&the_round.done);
    return (the_round.all & ~(uint64_t)WORKER_DEAD) | (the_round.any & WORKER_DEAD);
}

static double own_cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static uint64_t now_ns(void)
{
    return io_now_ns(reactor_io(reactor_current()));
}

// The counters since the last time, of all workers.
static uint64_t collect(struct conduct *c, struct stats *out)
{
    uint32_t n = (uint32_t)c->run->plan->threads;
    uint64_t args[RUN_THREADS_MAX];
    struct stats *each = malloc(n * sizeof(*each));
    SL_ASSERT(each);
    for (uint32_t i = 0; i < n; i++)
        args[i] = (uint64_t)(uintptr_t)&each[i];
    uint64_t state = ask_all(c, OP_REPORT, args);
    stats_init(out);
    for (uint32_t i = 0; i < n; i++)
        stats_merge(out, &each[i]);
    free(each);
    c->made_all += out->made;
    c->acked_all += out->acked;
    c->read_all += out->read;
    return state;
}

static void row_add(struct conduct *c, const struct stats *s, double t, double seconds)
{
    if ((c->rows_n & (c->rows_n - 1)) == 0) {
        c->rows = realloc(c->rows, SL_MAX(c->rows_n * 2, 1u) * sizeof(*c->rows));
        SL_ASSERT(c->rows);
    }
    uint32_t i = c->rows_n++;
    memset(&c->rows[i], 0, sizeof(c->rows[i]));
    c->rows[i].t = t;
    c->rows[i].seconds = seconds;
    c->rows[i].made = (double)s->made;
    c->rows[i].acked = (double)s->acked;
    c->rows[i].acked_bytes = (double)s->acked_bytes;
    c->rows[i].read = (double)s->read;
    c->rows[i].read_bytes = (double)s->read_wire;
    c->rows[i].catchup_bytes = (double)s->catchup_bytes;
    c->rows[i].p50 = hist_percentile(&s->ack, 50);
    c->rows[i].p99 = hist_percentile(&s->ack, 99);
    c->rows[i].max = s->ack.max;
    c->rows[i].e2e50 = hist_percentile(&s->e2e, 50);
    c->rows[i].e2e99 = hist_percentile(&s->e2e, 99);
    c->rows[i].late99 = hist_percentile(&s->late, 99);
}

static void progress(const struct conduct *c, const struct stats *s, double t, double seconds, bool warm)
{
    const struct plan *p = c->run->plan;
    if (c->quiet || seconds <= 0)
        return;
    fprintf(stderr, "\r%5.0f s%s", t, warm ? " warm-up" : "");
    if (p->producers)
        fprintf(stderr, "  produce %.1f MB/s %.0f rec/s p50 %.2f p99 %.2f max %.2f ms",
                (double)s->acked_bytes / 1e6 / seconds, (double)s->acked / seconds,
                (double)hist_percentile(&s->ack, 50) / 1e3, (double)hist_percentile(&s->ack, 99) / 1e3,
                (double)s->ack.max / 1e3);
    if (p->committers)
        fprintf(stderr, "  commit %.0f offsets/s p50 %.2f p99 %.2f max %.2f ms", (double)s->acked / seconds,
                (double)hist_percentile(&s->ack, 50) / 1e3, (double)hist_percentile(&s->ack, 99) / 1e3,
                (double)s->ack.max / 1e3);
    if (p->consumers)
        fprintf(stderr, "  consume %.1f MB/s %.0f rec/s", (double)s->read_wire / 1e6 / seconds,
                (double)s->read / seconds);
    if (p->stamp && s->e2e.count)
        fprintf(stderr, " e2e p50 %.2f p99 %.2f", (double)hist_percentile(&s->e2e, 50) / 1e3,
                (double)hist_percentile(&s->e2e, 99) / 1e3);
    if (p->catchup)
        fprintf(stderr, "  catch-up %.1f MB/s", (double)s->catchup_bytes / 1e6 / seconds);
    if (s->late.count)
        fprintf(stderr, "  late p99 %.2f", (double)hist_percentile(&s->late, 99) / 1e3);
    fputs(isatty(2) ? "\033[K" : "\n", stderr);
    fflush(stderr);
}

static void sleep_until(uint64_t t)
{
    uint64_t now = now_ns();
    if (t > now)
        fiber_sleep(t - now);
}

// One tick up to `until`: collects, shows, and keeps it unless it is of the warm-up. Returns the state.
static uint64_t tick(struct conduct *c, uint64_t until, uint64_t *last, struct stats *s)
{
    struct run *run = c->run;
    bool warm = until <= run->t_measure;
    sleep_until(until);
    uint64_t state = collect(c, s);
    double seconds = (double)(s->t - *last) / 1e9;
    double t = ((double)s->t - (double)run->t_begin) / 1e9;
    progress(c, s, t, seconds, warm);
    row_add(c, s, t, seconds);
    *last = s->t;
    if (stats_faults(s) || !warm) {
        stats_merge(&c->total, s);
        c->seconds += warm ? 0 : seconds;
    } else {
        stats_merge_events(&c->total, s);
    }
    return state;
}

static bool load_over(const struct conduct *c, uint64_t state, uint64_t now)
{
    const struct run *run = c->run;
    if (state & WORKER_DEAD || c->total.errors > 1000)
        return true;
    if (run->t_end && now >= run->t_end)
        return true;
    if (run->t_end && !run->plan->records)
        return false;
    return plan_writes(run->plan) ? (state & WORKER_PRODUCED) != 0 : (state & WORKER_CONSUMED) != 0;
}

static void scrape(struct conduct *c, struct scrape *into)
{
    const char *address = c->run->plan->metrics;
    int rc = address[0] ? scrape_fetch(address, into) : 0;
    if (rc && !c->quiet)
        fprintf(stderr, "sluice bench: no metrics from %s: %s\n", address, strerror(-rc));
}

static void measure(struct conduct *c, struct stats *s)
{
    struct run *run = c->run;
    uint64_t last = run->t_begin, state = 0, until = run->t_begin, fine = 20000000;
    double cpu = own_cpu();
    bool measuring = run->t_measure == run->t_begin;
    if (measuring)
        scrape(c, &c->before);
    sleep_until(run->t_begin);
    do {
        // Without an end in time it is looked at more often at first: small runs end soon.
        uint64_t step = run->t_end && !run->plan->records ? TICK_NS : SL_MIN(fine, (uint64_t)TICK_NS);
        fine += fine / 2;
        until += step;
        if (!measuring && until >= run->t_measure)
            until = run->t_measure;
        if (run->t_end)
            until = SL_MIN(until, run->t_end);
        state = tick(c, until, &last, s);
        if (!measuring && until >= run->t_measure) {
            measuring = true;
            cpu = own_cpu();
            scrape(c, &c->before);
        }
    } while (!load_over(c, state, until));
    c->cpu_s = own_cpu() - cpu;
    scrape(c, &c->after);
}

// How much of what was acknowledged a group has not read, of all groups; `where` says of which the first one is.
static uint64_t groups_lack(const struct conduct *c, char *where, size_t cap)
{
    const struct plan *p = c->run->plan;
    const struct cluster *cl = &c->run->cluster;
    uint64_t n = 0;
    for (uint32_t s = 0; s < (uint32_t)p->subscriptions; s++) {
        for (uint32_t i = 0; i < cl->parts_n; i++) {
            int64_t upto = cl->covers[s * cl->parts_n + i].upto, end = cl->acked_end[i];
            if (upto >= end)
                continue;
            if (!n && where)
                snprintf(where, cap, "group %u has read %.100s-%d up to %lld of %lld", s,
                         cl->topics[cl->parts[i].topic].name, cl->parts[i].index, (long long)upto,
                         (long long)end);
            n += (uint64_t)(end - upto);
        }
    }
    return n;
}

// All that was acknowledged is read by every subscription.
static bool all_read(const struct conduct *c)
{
    const struct plan *p = c->run->plan;
    if (plan_has_groups(p))
        return groups_lack(c, NULL, 0) == 0;
    return !p->consumers || c->read_all >= c->acked_all * (uint64_t)p->subscriptions;
}

// What is under way comes home: answers, and what consumers have not read yet.
static void drain(struct conduct *c, struct stats *s)
{
    const struct plan *p = c->run->plan;
    uint64_t limit = now_ns() + (uint64_t)(p->drain_s * 1e9), state;
    uint64_t zero[RUN_THREADS_MAX] = {0};
    if (plan_writes(p) && p->rate > 0)
        ask_all(c, OP_RATE, zero);
    if (!plan_writes(p))
        return;
    do {
        fiber_sleep(20000000);
        state = collect(c, s);
        stats_merge(&c->drained, s);
        if (state & WORKER_DEAD)
            return;
    } while ((!(state & WORKER_PRODUCED) || !all_read(c)) && now_ns() < limit);
}

// Members leave their groups, so that nobody waits for them; what a group has not read by now is missing.
static void groups_end(struct conduct *c, struct stats *s)
{
    uint64_t limit = now_ns() + LEAVE_NS, state = 0;
    char where[192];
    if (!plan_has_groups(c->run->plan))
        return;
    uint64_t lack = groups_lack(c, where, sizeof(where));
    if (lack)
        stats_error(&c->drained, "%s", where);
    c->drained.lost += lack;
    ask_all(c, OP_LEAVE, NULL);
    while (!(state & (WORKER_LEFT | WORKER_DEAD)) && now_ns() < limit) {
        fiber_sleep(20000000);
        state = collect(c, s);
        stats_merge(&c->drained, s);
    }
}

// Records of the measured time that were answered after it count too: the slowest are among them.
static void latencies_complete(struct conduct *c)
{
    hist_merge(&c->total.ack, &c->drained.ack);
    hist_merge(&c->total.service, &c->drained.service);
    hist_merge(&c->total.e2e, &c->drained.e2e);
}

// ---- ramp ---------------------------------------------------------------------------------------------------------
static bool ramp_step(struct conduct *c, double rate, struct stats *s, uint64_t *last)
{
    const struct plan *p = c->run->plan;
    double each = rate / (double)p->producers;
    uint64_t word, args[RUN_THREADS_MAX];
    struct stats sum;
    uint64_t fifth = (uint64_t)(p->ramp_step_s * 1e9 / 5), from, state = 0;
    memcpy(&word, &each, sizeof(word));
    for (uint32_t i = 0; i < RUN_THREADS_MAX; i++)
        args[i] = word;
    ask_all(c, OP_RATE, args);
    tick(c, now_ns() + fifth, last, s);
    stats_init(&sum);
    from = *last;
    for (int i = 0; i < 4 && !(state & WORKER_DEAD); i++) {
        state = tick(c, now_ns() + fifth, last, s);
        stats_merge(&sum, s);
    }
    uint32_t k = c->steps_n++;
    c->steps[k].rate = rate;
    c->steps[k].achieved = (double)sum.acked / ((double)(*last - from) / 1e9);
    c->steps[k].p50 = hist_percentile(&sum.ack, 50);
    c->steps[k].p99 = hist_percentile(&sum.ack, 99);
    c->steps[k].p999 = hist_percentile(&sum.ack, 99.9);
    c->steps[k].max = sum.ack.max;
    c->steps[k].good = !stats_faults(&sum) && (double)c->steps[k].p99 <= p->ramp_p99_ms * 1e3 &&
                       c->steps[k].achieved >= 0.97 * rate;
    if (!c->quiet)
        fprintf(stderr, "\nramp: %.0f rec/s: %.0f achieved, p99 %.3f ms: %s\n", rate, c->steps[k].achieved,
                (double)c->steps[k].p99 / 1e3, c->steps[k].good ? "good" : "too much");
    return c->steps[k].good;
}

// After a step that was too much, what has piled up has to go before the next one is fair.
static void ramp_settle(struct conduct *c, struct stats *s, uint64_t *last)
{
    const struct plan *p = c->run->plan;
    double low = p->ramp_from / (double)p->producers;
    uint64_t word, args[RUN_THREADS_MAX];
    memcpy(&word, &low, sizeof(word));
    for (uint32_t i = 0; i < RUN_THREADS_MAX; i++)
        args[i] = word;
    ask_all(c, OP_RATE, args);
    for (int i = 0; i < 20; i++) {
        tick(c, now_ns() + TICK_NS / 2, last, s);
        if (s->ack.count && (double)hist_percentile(&s->ack, 50) <= p->ramp_p99_ms * 1e3)
            return;
    }
}

static void ramp(struct conduct *c, struct stats *s)
{
    const struct plan *p = c->run->plan;
    double good = 0, bad = 0, rate = p->ramp_from;
    double cpu = own_cpu();
    uint64_t last = now_ns();
    sleep_until(c->run->t_begin);
    while (c->steps_n < SL_ARRAY_LEN(c->steps) && !c->total.errors) {
        bool ok = ramp_step(c, rate, s, &last);
        if (ok)
            good = rate;
        else
            bad = rate;
        if ((bad > 0 && good > 0 && bad / good < 1.06) || (!good && bad) || good >= p->ramp_to)
            break;
        if (!ok)
            ramp_settle(c, s, &last);
        rate = bad > 0 ? (good + bad) / 2 : SL_MIN(good * 1.6, p->ramp_to);
    }
    c->ramp_best = good;
    c->cpu_s = own_cpu() - cpu;
}

// ---- the whole ----------------------------------------------------------------------------------------------------
static void times_set(struct run *run)
{
    const struct plan *p = run->plan;
    struct io *io = reactor_io(reactor_current());
    struct timespec ts;
    uint64_t now = io_now_ns(io);
    clock_gettime(CLOCK_REALTIME, &ts);
    run->wall_offset_us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 - (int64_t)(now / 1000);
    run->t_begin = now + 200000000 + (uint64_t)(p->producers + p->consumers + p->committers) * 1000000;
    run->t_measure = run->t_begin + (uint64_t)(p->warmup_s * 1e9);
    run->t_end = p->duration_s > 0 ? run->t_measure + (uint64_t)(p->duration_s * 1e9) : 0;
    if (plan_is_ramp(p))
        run->t_end = 0;
    if (!plan_writes(p)) // nothing to wait for
        run->t_begin = run->t_measure = now;
    if (!plan_writes(p) && run->t_end)
        run->t_end = now + (uint64_t)(p->duration_s * 1e9);
}

void conduct_fiber(void *arg)
{
    struct conduct *c = arg;
    struct run *run = c->run;
    struct stats *s = malloc(sizeof(*s));
    SL_ASSERT(s);
    stats_init(&c->total);
    stats_init(&c->drained);
    times_set(run);
    ask_all(c, OP_BEGIN, NULL);
    if (plan_is_ramp(run->plan))
        ramp(c, s);
    else
        measure(c, s);
    drain(c, s);
    groups_end(c, s);
    latencies_complete(c);
    ask_all(c, OP_END, NULL);
    if (!c->quiet)
        fputs(isatty(2) ? "\n" : "", stderr);
    free(s);
    reactor_group_stop(run->group);
}
