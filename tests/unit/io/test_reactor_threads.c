// Reactors on their threads: millions of requests and replies under credits with sums checked, sleeping and waking
// without a lost wake-up (a lost one hangs: the alarm ends the test), stopping, and the time of a hop.
//
// IO_TEST_ROUNDS multiplies the work; the hop times are printed, not judged.
#include "io_test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "engine/base/rand.h"
#include "engine/io/reactor_private.h"

#if defined(SL_TSAN) || defined(SLUICE_SANITIZED)
enum { SCALE = 1 };
#else
enum { SCALE = 8 };
#endif

static uint64_t rounds(void)
{
    const char *s = getenv("IO_TEST_ROUNDS");
    return (s ? strtoull(s, NULL, 10) : 1) * SCALE;
}

enum { MAX = 4, DEADLINE_S = 240 };
enum { OP_REQ = MSG_OP(SVC_SHARD, 1), OP_REPLY = MSG_OP(SVC_SHARD, 2), OP_NOTICE = MSG_OP(SVC_SHARD, 3) };

// ---- asking and answering ----------------------------------------------------------------------------------------

struct worker;
struct credit_wait {
    struct ready w;
    struct worker *owner;
    uint32_t to;
};

struct worker {
    struct service s;
    struct reactor *r;
    struct reactor_group *g;
    struct timer nap;
    struct credit_wait wait[MAX]; // for a credit of each peer
    struct sl_rand rand;
    uint32_t n;
    uint64_t limit; // requests to each peer
    uint64_t sent[MAX];
    uint64_t replied;
    uint64_t handled;
    uint64_t notices_out, notices_in;
    uint64_t sum_out, sum_in;
    bool naps; // pauses at random, so that everybody goes to sleep again and again
    bool finished;
    uint32_t *finished_all;
};

static uint64_t mix(uint64_t v)
{
    return (v ^ (v >> 29)) * 0x9e3779b97f4a7c15ull;
}

static void worker_ask(struct worker *w, uint32_t to)
{
    uint64_t burst = w->naps ? 1 + sl_rand_below(&w->rand, 16) : UINT64_MAX;
    for (; w->sent[to] < w->limit && burst > 0; burst--) {
        if (!reactor_credit_take(w->r, to, 1)) {
            if (!w->wait[to].w.queued)
                reactor_credit_wait(w->r, to, &w->wait[to].w);
            return;
        }
        uint64_t v = sl_rand_u64(&w->rand);
        struct spsc_msg *m = reactor_send(w->r, to, OP_REQ);
        m->u[0] = v;
        m->u[1] = w->sent[to]++;
        w->sum_out += mix(v);
    }
}

static void worker_waited(struct ready *r)
{
    struct credit_wait *c = SL_CONTAINER_OF(r, struct credit_wait, w);
    worker_ask(c->owner, c->to);
}

static void worker_check(struct worker *w)
{
    if (w->finished || w->replied < w->limit * w->n)
        return;
    w->finished = true;
    if (__atomic_add_fetch(w->finished_all, 1, __ATOMIC_ACQ_REL) == w->n)
        reactor_group_stop(w->g);
}

static void worker_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct worker *w = SL_CONTAINER_OF(s, struct worker, s);
    if (m->op == OP_REQ) {
        struct spsc_msg *out = reactor_send(w->r, from, OP_REPLY);
        out->u[0] = mix(m->u[0]);
        w->handled++;
    } else if (m->op == OP_NOTICE) {
        w->notices_in++;
    } else {
        w->sum_in += m->u[0];
        w->replied++;
        if (w->replied % 3 == 0) {
            (void)reactor_send(w->r, from, OP_NOTICE);
            w->notices_out++;
        }
        reactor_credit_give(w->r, from, 1);
        if (!w->naps)
            worker_ask(w, from);
        worker_check(w);
    }
}

static void worker_tick(struct timer *t)
{
    struct worker *w = SL_CONTAINER_OF(t, struct worker, nap);
    bool more = false;
    for (uint32_t to = 0; to < w->n; to++) {
        if (!w->wait[to].w.queued)
            worker_ask(w, to);
        more |= w->sent[to] < w->limit;
    }
    if (more && w->naps)
        timer_set(w->r, t, reactor_now(w->r) + sl_rand_below(&w->rand, 120000));
}

static void worker_make(struct worker *w, struct reactor_group *g, uint32_t i, uint64_t limit, bool naps,
                        uint32_t *finished_all)
{
    *w = (struct worker){.s = {.kind = SVC_SHARD, .name = "worker", .on_msg = worker_msg},
                         .r = reactor_group_get(g, i),
                         .g = g,
                         .n = reactor_group_size(g),
                         .limit = limit,
                         .naps = naps,
                         .finished_all = finished_all};
    for (uint32_t k = 0; k < MAX; k++)
        w->wait[k] = (struct credit_wait){.w.run = worker_waited, .owner = w, .to = k};
    sl_rand_seed(&w->rand, i + 1);
    timer_init(&w->nap, worker_tick);
    timer_set(w->r, &w->nap, 1);
    reactor_add_service(w->r, &w->s);
}

static void talk(uint32_t n, uint32_t credits, uint64_t limit, bool naps)
{
    struct io *ios[MAX];
    struct worker w[MAX];
    uint32_t finished_all = 0;
    uint64_t in = 0, notices_in = 0, notices_out = 0, bells = 0;
    for (uint32_t i = 0; i < n; i++)
        ios[i] = test_io();
    struct metrics *m = metrics_create(n);
    struct reactor_group *g = reactor_group_create(n, ios, credits, m);
    for (uint32_t i = 0; i < n; i++)
        worker_make(&w[i], g, i, limit, naps, &finished_all);
    uint64_t t0 = io_now_ns(ios[0]);
    alarm(DEADLINE_S);
    assert_int_equal(reactor_group_run(g, false), 0);
    alarm(0);
    double s = (double)(io_now_ns(ios[0]) - t0) / 1e9;
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(w[i].replied, limit * n);
        assert_int_equal(w[i].handled, limit * n);
        assert_true(w[i].sum_in == w[i].sum_out);
        notices_in += w[i].notices_in;
        notices_out += w[i].notices_out;
        for (uint32_t j = 0; j < n; j++)
            assert_true(credit_idle(&w[i].r->peers[j].credit));
        in += w[i].handled + w[i].replied + w[i].notices_in;
        bells += io_counter(ios[i], IO_CTR_DOORBELLS);
    }
    // Notices sent in the very last turns may still be in the rings.
    assert_true(notices_in <= notices_out && notices_out - notices_in <= n * n * credits * 2);
    struct metrics sum;
    metrics_snapshot(m, n, &sum);
    assert_int_equal(metrics_value(&sum, METRIC_CQ_OVERFLOWS), 0);
    printf("  %u reactors, %u credits%s: %.2f M messages, %.2f M/s, %llu doorbells, %llu turns\n", n, credits,
           naps ? ", napping" : "", (double)in / 1e6, (double)in / s / 1e6, (unsigned long long)bells,
           (unsigned long long)metrics_value(&sum, METRIC_TURNS));
    reactor_group_destroy(g);
    metrics_destroy(m);
    for (uint32_t i = 0; i < n; i++)
        test_io_end(ios[i]);
}

static void test_busy(void **state)
{
    talk(1, 64, 100000 * rounds(), false);
    talk(2, 256, 100000 * rounds(), false);
    talk(2, 1, 2000 * rounds(), false);
    talk(3, 16, 15000 * rounds(), false);
    talk(4, 128, 20000 * rounds(), false);
}

static void test_napping(void **state)
{
    talk(2, 4, 4000 * rounds(), true);
    talk(4, 8, 2000 * rounds(), true);
}

// ---- the time of a hop -------------------------------------------------------------------------------------------

struct pong {
    struct service s;
    struct reactor *r;
    struct reactor_group *g;
    struct timer gap;
    uint64_t left;
    uint64_t t0;
    uint64_t *rtt;
    uint64_t n;
    uint64_t gap_ns;
};

static void pong_serve(struct pong *p)
{
    p->t0 = io_now_ns(reactor_io(p->r));
    (void)reactor_send(p->r, 1, OP_REQ);
}

static void pong_gap(struct timer *t)
{
    pong_serve(SL_CONTAINER_OF(t, struct pong, gap));
}

static void pong_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct pong *p = SL_CONTAINER_OF(s, struct pong, s);
    if (m->op == OP_REQ) {
        (void)reactor_send(p->r, from, OP_REPLY);
        return;
    }
    p->rtt[p->n++] = io_now_ns(reactor_io(p->r)) - p->t0;
    if (--p->left == 0)
        reactor_group_stop(p->g);
    else if (p->gap_ns)
        timer_set(p->r, &p->gap, reactor_now(p->r) + p->gap_ns);
    else
        pong_serve(p);
}

static bool pong_stay_awake(struct service *s)
{
    return true;
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// `awake`: both spin, as if they had other work. Else both sleep between messages.
static void hop(const char *what, uint64_t n, bool awake, uint64_t gap_ns)
{
    struct io *ios[2] = {test_io(), test_io()};
    struct reactor_group *g = reactor_group_create(2, ios, 4, NULL);
    struct pong p[2];
    uint64_t *rtt = calloc(n, sizeof(*rtt));
    for (uint32_t i = 0; i < 2; i++) {
        p[i] = (struct pong){.s = {.kind = SVC_SHARD, .name = "pong", .on_msg = pong_msg},
                             .r = reactor_group_get(g, i),
                             .g = g,
                             .left = n,
                             .rtt = rtt,
                             .gap_ns = gap_ns};
        p[i].s.on_flush = awake ? pong_stay_awake : NULL;
        timer_init(&p[i].gap, pong_gap);
        reactor_add_service(p[i].r, &p[i].s);
    }
    timer_set(p[0].r, &p[0].gap, 1);
    alarm(DEADLINE_S);
    assert_int_equal(reactor_group_run(g, true), 0);
    alarm(0);
    assert_int_equal(p[0].n, n);
    qsort(rtt, n, sizeof(*rtt), cmp_u64);
    printf("  one-way hop, %s: p10 %.2f us, median %.2f us, p99 %.2f us\n", what, (double)rtt[n / 10] / 2e3,
           (double)rtt[n / 2] / 2e3, (double)rtt[n * 99 / 100] / 2e3);
    free(rtt);
    reactor_group_destroy(g);
    test_io_end(ios[0]);
    test_io_end(ios[1]);
}

static void test_hops(void **state)
{
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    if (CPU_COUNT(&set) < 2)
        skip(); // two that spin on one core measure the scheduler
    hop("both awake", 2000 * rounds(), true, 0);
    hop("both asleep", 500 * rounds(), false, 200000);
    hop("back to back, each sleeps", 1000 * rounds(), false, 0);
}

// ---- stopping ----------------------------------------------------------------------------------------------------

static void *stop_soon(void *arg)
{
    struct timespec nap = {.tv_nsec = 30000000};
    nanosleep(&nap, NULL);
    reactor_group_stop(arg);
    return NULL;
}

struct stopper {
    struct service s;
    struct reactor *r;
    struct timer later;
    uint32_t *order; // shared: services that have stopped
    uint32_t rank;
};

static void stopper_finish(struct timer *t)
{
    struct stopper *x = SL_CONTAINER_OF(t, struct stopper, later);
    x->rank = __atomic_fetch_add(x->order, 1, __ATOMIC_ACQ_REL);
    reactor_service_stopped(x->r, &x->s);
}

static void stopper_stop(struct service *s)
{
    struct stopper *x = SL_CONTAINER_OF(s, struct stopper, s);
    timer_set(x->r, &x->later, reactor_now(x->r) + 1000000);
}

// From another thread, while every reactor sleeps without a timer.
static void test_stop_from_outside(void **state)
{
    static const enum service_kind kinds[] = {SVC_SHARD, SVC_META, SVC_COORD, SVC_NET};
    struct io *ios[MAX];
    struct stopper x[MAX][4];
    uint32_t order = 0;
    pthread_t t;
    for (int i = 0; i < MAX; i++)
        ios[i] = test_io();
    struct reactor_group *g = reactor_group_create(MAX, ios, 4, NULL);
    for (uint32_t i = 0; i < MAX; i++) {
        for (int k = 0; k < 4; k++) {
            x[i][k] = (struct stopper){.s = {.kind = kinds[k], .name = "x", .on_stop = stopper_stop},
                                       .r = reactor_group_get(g, i),
                                       .order = &order};
            timer_init(&x[i][k].later, stopper_finish);
            reactor_add_service(x[i][k].r, &x[i][k].s);
        }
    }
    assert_int_equal(pthread_create(&t, NULL, stop_soon, g), 0);
    alarm(DEADLINE_S);
    assert_int_equal(reactor_group_run(g, false), 0);
    alarm(0);
    pthread_join(t, NULL);
    assert_true(reactor_group_stopped(g));
    assert_int_equal(order, 4 * MAX);
    for (int i = 0; i < MAX; i++) {
        for (uint32_t k = 0; k < 4; k++)
            assert_int_equal(x[i][k].rank / MAX, 3 - k); // each kind everywhere before the next
    }
    reactor_group_destroy(g);
    for (int i = 0; i < MAX; i++)
        test_io_end(ios[i]);
}

static struct reactor_group *signal_group;
static void on_signal(int sig)
{
    reactor_group_stop(signal_group);
}

static void test_stop_from_signal(void **state)
{
    struct io *ios[2] = {test_io(), test_io()};
    struct sigaction sa = {.sa_handler = on_signal};
    struct sigaction old;
    signal_group = reactor_group_create(2, ios, 4, NULL);
    assert_int_equal(sigaction(SIGALRM, &sa, &old), 0);
    struct itimerval it = {.it_value = {.tv_usec = 20000}};
    assert_int_equal(setitimer(ITIMER_REAL, &it, NULL), 0);
    uint64_t t0 = io_now_ns(ios[0]);
    assert_int_equal(reactor_group_run(signal_group, false), 0);
    assert_true(io_now_ns(ios[0]) - t0 < 10 * TEST_SECOND);
    assert_true(reactor_group_stopped(signal_group));
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    reactor_group_destroy(signal_group);
    test_io_end(ios[0]);
    test_io_end(ios[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_napping),
        cmocka_unit_test(test_hops),
        cmocka_unit_test(test_stop_from_outside),
        cmocka_unit_test(test_stop_from_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
