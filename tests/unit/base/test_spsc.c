/* spsc.h: order, fullness, batches and wrap on one thread; millions of messages between two threads, one of
 * which checks every word; the sleep protocol with a real futex, where a lost wake-up shows as a time-out.
 * Also runs under ThreadSanitizer. */
#include "death.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include "engine/base/rand.h"
#include "engine/base/spsc.h"

#ifdef SL_TSAN
#define MILLIONS 1
#else
#define MILLIONS 4
#endif
#define MESSAGES ((uint64_t)MILLIONS * 1000000)

static void fill(struct spsc_msg *m, uint64_t n)
{
    m->op = (uint16_t)n;
    m->flags = (uint16_t)~n;
    m->handle = (uint32_t)(n * 2654435761u);
    for (int i = 0; i < 7; i++)
        m->u[i] = n * (uint64_t)(i + 3);
}

/* Word by word: a memcmp that gcc expands in line is invisible to its ThreadSanitizer. */
static bool same(const struct spsc_msg *m, uint64_t n)
{
    struct spsc_msg want;
    fill(&want, n);
    bool ok = m->op == want.op && m->flags == want.flags && m->handle == want.handle;
    for (int i = 0; i < 7; i++)
        ok &= m->u[i] == want.u[i];
    return ok;
}

static void test_single_thread(void **state)
{
    for (uint32_t cap = 1; cap <= 64; cap *= 2) {
        struct spsc *s = spsc_create(cap);
        struct spsc_msg *m = NULL, msg;
        assert_non_null(s);
        assert_true(spsc_empty(s));
        assert_false(spsc_publish(s));
        assert_int_equal(spsc_free_space(s), cap);
        uint64_t in = 0, out = 0;
        for (int round = 0; round < 300; round++) {
            /* Fill to the brim, then no more. */
            while (spsc_free_space(s) > 0) {
                if (in % 2) {
                    assert_true(spsc_reserve(s, &m));
                    fill(m, in++);
                } else {
                    fill(&msg, in++);
                    assert_true(spsc_push(s, &msg));
                }
            }
            assert_false(spsc_reserve(s, &m));
            /* Staged is not published. */
            assert_true(spsc_staged(s) > 0);
            if (in == cap) {
                assert_int_equal(spsc_staged(s), cap);
                assert_int_equal(spsc_peek_batch(s, &m, UINT32_MAX), 0);
            }
            assert_true(spsc_publish(s));
            assert_false(spsc_publish(s));
            assert_int_equal(spsc_staged(s), 0);
            assert_false(spsc_empty(s));
            uint32_t want = (uint32_t)round % cap + 1;
            while (want > 0) {
                uint32_t n = spsc_peek_batch(s, &m, want);
                assert_in_range(n, 1, want);
                for (uint32_t i = 0; i < n; i++)
                    assert_true(same(&m[i], out + i));
                /* Peeking takes nothing. */
                assert_int_equal(spsc_peek_batch(s, &m, n), n);
                spsc_consume(s, n);
                out += n;
                want -= n;
            }
            assert_int_equal(spsc_free_space(s), out + cap - in);
        }
        spsc_destroy(s);
    }
    spsc_destroy(NULL);
}

static void test_layout(void **state)
{
    struct spsc *s = spsc_create(65536);
    struct spsc_msg *m = NULL;
    assert_int_equal((uintptr_t)s % SL_CACHE_LINE, 0);
    assert_true(spsc_reserve(s, &m));
    /* 4 MiB of slots: aligned for huge pages. */
    assert_int_equal((uintptr_t)m % (2u << 20), 0);
    spsc_destroy(s);
}

static void bad_capacity(void *arg)
{
    (void)spsc_create(*(uint32_t *)arg);
}

static void test_bad_capacity(void **state)
{
    uint32_t bad[] = {0, 3, 1u << 25};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
        death_expect(bad_capacity, &bad[i], "spsc_create");
}

struct pair {
    struct spsc *ring;
    uint64_t seed;
    uint64_t total;
    uint64_t errors;
};

static void *produce(void *arg)
{
    struct pair *p = arg;
    struct spsc_msg *m;
    struct sl_rand r;
    sl_rand_seed(&r, p->seed);
    for (uint64_t n = 0; n < p->total;) {
        uint64_t batch = sl_rand_range(&r, 1, 40);
        while (batch-- > 0 && n < p->total && spsc_reserve(p->ring, &m))
            fill(m, n++);
        if (!spsc_publish(p->ring))
            sched_yield();
    }
    return NULL;
}

static void *consume(void *arg)
{
    struct pair *p = arg;
    struct sl_rand r;
    sl_rand_seed(&r, p->seed + 1);
    for (uint64_t n = 0; n < p->total;) {
        struct spsc_msg *m;
        uint32_t k = spsc_peek_batch(p->ring, &m, (uint32_t)sl_rand_range(&r, 1, 64));
        if (k == 0)
            sched_yield();
        for (uint32_t i = 0; i < k; i++) {
            p->errors += !same(&m[i], n + i);
            /* Slots are the consumer's to write to until they are given back. */
            fill(&m[i], ~n);
        }
        spsc_consume(p->ring, k);
        n += k;
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    static const uint32_t caps[] = {1, 8, 1024};
    for (size_t i = 0; i < SL_ARRAY_LEN(caps); i++) {
        /* A ring of one costs a switch of threads for each message, which takes milliseconds where both share a busy
         * core: it passes fewer. */
        struct pair p = {.ring = spsc_create(caps[i]), .seed = i, .total = caps[i] == 1 ? 10000 : MESSAGES};
        pthread_t a, b;
        assert_int_equal(pthread_create(&a, NULL, produce, &p), 0);
        assert_int_equal(pthread_create(&b, NULL, consume, &p), 0);
        pthread_join(a, NULL);
        pthread_join(b, NULL);
        assert_int_equal(p.errors, 0);
        assert_true(spsc_empty(p.ring));
        assert_int_equal(spsc_free_space(p.ring), caps[i]);
        spsc_destroy(p.ring);
    }
}

/* ---- sleeping ---- */

/* Two threads send a number back and forth through two rings, and each sleeps on a futex whenever its ring is
 * empty. Every round trip is a chance to lose a wake-up; the sleeper then waits out its time-out, which is
 * counted. */
struct sleeper {
    struct sl_sleep_flag flag;
    uint32_t bell; /* futex word: rung by the peer */
    struct spsc *in;
    struct sleeper *peer;
    struct spsc *out;
    uint64_t rounds;
    uint64_t slept, rang, lost, errors;
    bool starts;
    uint64_t seed;
};

#define LOST_AFTER_S 5

static void sleeper_wait(struct sleeper *s)
{
    uint32_t heard = __atomic_load_n(&s->bell, __ATOMIC_ACQUIRE);
    sleep_prepare(&s->flag);
    if (spsc_empty(s->in)) {
        struct timespec limit = {.tv_sec = LOST_AFTER_S};
        s->slept++;
        if (syscall(SYS_futex, &s->bell, FUTEX_WAIT_PRIVATE, heard, &limit, NULL, 0) && errno == ETIMEDOUT)
            s->lost++;
    }
    sleep_cancel(&s->flag);
}

static void sleeper_send(struct sleeper *s, uint64_t n)
{
    struct spsc_msg *m;
    if (!spsc_reserve(s->out, &m)) {
        s->errors++;
        return;
    }
    fill(m, n);
    if (spsc_publish(s->out) && sleep_peer_needs_wake(&s->peer->flag)) {
        s->rang++;
        __atomic_fetch_add(&s->peer->bell, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, &s->peer->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void *sleeper_run(void *arg)
{
    struct sleeper *s = arg;
    struct sl_rand r;
    sl_rand_seed(&r, s->seed);
    if (s->starts)
        sleeper_send(s, 0);
    for (uint64_t n = 0; n < s->rounds && s->lost == 0;) {
        struct spsc_msg *m;
        if (spsc_peek_batch(s->in, &m, 1) == 0) {
            /* A little dawdling moves the race window about. */
            for (volatile uint64_t spin = sl_rand_below(&r, 300); spin > 0; spin--)
                ;
            sleeper_wait(s);
            continue;
        }
        s->errors += !same(m, n);
        spsc_consume(s->in, 1);
        n++;
        if (!s->starts || n < s->rounds)
            sleeper_send(s, s->starts ? n : n - 1);
    }
    return NULL;
}

static void test_no_lost_wakeup(void **state)
{
    struct spsc *ab = spsc_create(2), *ba = spsc_create(2);
    const uint64_t rounds = MILLIONS * 50000;
    struct sleeper a = {.in = ba, .out = ab, .rounds = rounds, .starts = true, .seed = 1};
    struct sleeper b = {.in = ab, .out = ba, .rounds = rounds, .seed = 2};
    pthread_t ta, tb;
    a.peer = &b;
    b.peer = &a;
    assert_int_equal(pthread_create(&ta, NULL, sleeper_run, &a), 0);
    assert_int_equal(pthread_create(&tb, NULL, sleeper_run, &b), 0);
    pthread_join(ta, NULL);
    pthread_join(tb, NULL);
    print_message("%llu round trips, slept %llu and %llu times, rang %llu and %llu\n",
                  (unsigned long long)rounds, (unsigned long long)a.slept, (unsigned long long)b.slept,
                  (unsigned long long)a.rang, (unsigned long long)b.rang);
    assert_int_equal(a.lost + b.lost, 0);
    assert_int_equal(a.errors + b.errors, 0);
    /* It did sleep, and it was woken: otherwise this proves nothing. */
    assert_true(a.slept > 0 && b.slept > 0 && a.rang > 0 && b.rang > 0);
    spsc_destroy(ab);
    spsc_destroy(ba);
}

static void test_flag(void **state)
{
    struct sl_sleep_flag f = {0};
    assert_false(sleep_peer_needs_wake(&f));
    sleep_prepare(&f);
    assert_true(sleep_peer_needs_wake(&f));
    sleep_cancel(&f);
    assert_false(sleep_peer_needs_wake(&f));
}

/* The race itself, over and over: one thread says that it will sleep and looks at the ring, the other
 * publishes and looks at the flag, both at the same moment. If neither sees the other, a wake-up is lost. */
struct race {
    struct spsc *ring;
    struct sl_sleep_flag flag;
    uint64_t gate[2] __attribute__((aligned(SL_CACHE_LINE))); /* rounds each thread has finished half of */
    uint64_t rounds, done, lost, both;
    uint64_t until; /* s: where both threads share a core each round takes milliseconds */
    bool saw_empty, saw_awake, over;
};

static uint64_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

/* Both threads leave at nearly the same moment. Yields after a while: the other may have no core. */
static void race_meet(struct race *r, int me, uint64_t step)
{
    __atomic_store_n(&r->gate[me], step, __ATOMIC_RELEASE);
    for (int spins = 0; __atomic_load_n(&r->gate[1 - me], __ATOMIC_ACQUIRE) < step; spins++) {
        if (spins % 2000 == 1999)
            sched_yield();
    }
}

static void *race_producer(void *arg)
{
    struct race *r = arg;
    struct spsc_msg msg = {0};
    for (uint64_t i = 0; i < r->rounds; i++) {
        (void)spsc_push(r->ring, &msg);
        race_meet(r, 1, 2 * i + 1);
        (void)spsc_publish(r->ring);
        r->saw_awake = !sleep_peer_needs_wake(&r->flag);
        race_meet(r, 1, 2 * i + 2);
        if (r->over)
            break;
    }
    return NULL;
}

static void *race_consumer(void *arg)
{
    struct race *r = arg;
    for (uint64_t i = 0; i < r->rounds; i++) {
        race_meet(r, 0, 2 * i + 1);
        sleep_prepare(&r->flag);
        r->saw_empty = spsc_empty(r->ring);
        r->over = i % 64 == 63 && now_s() >= r->until; /* read by the other behind the next meeting */
        bool over = r->over;
        race_meet(r, 0, 2 * i + 2);
        struct spsc_msg *m;
        r->lost += r->saw_empty && r->saw_awake;
        r->both += !r->saw_empty && !r->saw_awake;
        sleep_cancel(&r->flag);
        r->lost += spsc_peek_batch(r->ring, &m, 1) != 1;
        spsc_consume(r->ring, 1);
        r->done = i + 1;
        if (over)
            break;
    }
    return NULL;
}

static void test_sleep_race(void **state)
{
    struct race r = {.ring = spsc_create(4), .rounds = MILLIONS * 200000, .until = now_s() + 20};
    pthread_t a, b;
    assert_int_equal(pthread_create(&a, NULL, race_producer, &r), 0);
    assert_int_equal(pthread_create(&b, NULL, race_consumer, &r), 0);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    print_message("%llu rounds, %llu of them met\n", (unsigned long long)r.done, (unsigned long long)r.both);
    assert_true(r.done >= 64);
    assert_int_equal(r.lost, 0);
    spsc_destroy(r.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_thread), cmocka_unit_test(test_layout),
        cmocka_unit_test(test_bad_capacity),  cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_flag),          cmocka_unit_test(test_no_lost_wakeup),
        cmocka_unit_test(test_sleep_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
