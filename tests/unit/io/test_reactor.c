// Reactors stepped by hand on one thread: timers, ready work, messages, credits, the order of stopping, stalls.
#include "io_test.h"

#include <time.h>

#include "engine/base/rand.h"
#include "engine/io/reactor_private.h"

enum { N = 3 };

struct rig {
    struct io *ios[N];
    struct reactor_group *g;
    struct reactor *r[N];
    struct metrics *m;
};

static void rig_make(struct rig *t, uint32_t credits)
{
    for (int i = 0; i < N; i++)
        t->ios[i] = test_io();
    t->m = metrics_create(N);
    t->g = reactor_group_create(N, t->ios, credits, t->m);
    assert_non_null(t->g);
    assert_int_equal(reactor_group_size(t->g), N);
    for (uint32_t i = 0; i < N; i++) {
        t->r[i] = reactor_group_get(t->g, i);
        assert_int_equal(reactor_id(t->r[i]), i);
    }
}

static void rig_free(struct rig *t)
{
    reactor_group_destroy(t->g);
    for (int i = 0; i < N; i++)
        test_io_end(t->ios[i]);
    metrics_destroy(t->m);
}

// Turns of all reactors until none has anything to do.
static void rig_settle(struct rig *t)
{
    for (int idle = 0; idle < 2;) {
        bool did = false;
        for (int i = 0; i < N; i++)
            did |= reactor_turn(t->r[i], 0);
        idle = did ? 0 : idle + 1;
    }
}

// ---- timers ------------------------------------------------------------------------------------------------------

struct tick {
    struct timer t;
    struct reactor *r;
    int id;
    int again;
};
static int fired[16];
static int fired_n;

static void tick_fire(struct timer *t)
{
    struct tick *k = SL_CONTAINER_OF(t, struct tick, t);
    assert_ptr_equal(reactor_current(), k->r);
    fired[fired_n++] = k->id;
    if (k->again-- > 0)
        timer_set(k->r, t, reactor_now(k->r)); // due already: the next turn, not this one
}

static void test_timers(void **state)
{
    struct rig rig;
    struct tick k[4];
    rig_make(&rig, 4);
    fired_n = 0;
    for (int i = 0; i < 4; i++) {
        k[i] = (struct tick){.r = rig.r[0], .id = i};
        timer_init(&k[i].t, tick_fire);
    }
    uint64_t now = io_now_ns(rig.ios[0]);
    timer_set(rig.r[0], &k[0].t, now + 30000000);
    timer_set(rig.r[0], &k[1].t, now + 10000000);
    timer_set(rig.r[0], &k[2].t, now + 20000000);
    timer_set(rig.r[0], &k[3].t, now + 1000);
    timer_set(rig.r[0], &k[3].t, now + 15000000); // re-armed
    timer_cancel(rig.r[0], &k[2].t);
    timer_cancel(rig.r[0], &k[2].t);
    assert_false(reactor_turn(rig.r[0], 0));
    while (fired_n < 3)
        reactor_turn(rig.r[0], 5 * TEST_SECOND); // sleeps until the first timer, not five seconds
    uint64_t dt = io_now_ns(rig.ios[0]) - now;
    assert_true(dt >= 30000000 && dt < 4 * TEST_SECOND);
    assert_true(fired[0] == 1 && fired[1] == 3 && fired[2] == 0);
    assert_false(k[0].t.armed);
    k[1].again = 3;
    timer_set(rig.r[0], &k[1].t, 0);
    for (int turn = 1; turn <= 4; turn++) {
        assert_true(reactor_turn(rig.r[0], 0));
        assert_int_equal(fired_n, 3 + turn);
    }
    assert_false(reactor_turn(rig.r[0], 0));
    rig_free(&rig);
}

// ---- ready work --------------------------------------------------------------------------------------------------

struct job {
    struct ready w;
    struct reactor *r;
    int runs;
    int again;
};

static void job_run(struct ready *w)
{
    struct job *j = SL_CONTAINER_OF(w, struct job, w);
    j->runs++;
    if (j->again-- > 0)
        ready_push(j->r, w);
}

static void test_ready(void **state)
{
    struct rig rig;
    rig_make(&rig, 4);
    struct job a = {.w.run = job_run, .r = rig.r[0], .again = 2};
    struct job b = {.w.run = job_run, .r = rig.r[0]};
    ready_push(rig.r[0], &a.w);
    ready_push(rig.r[0], &a.w); // once
    ready_push(rig.r[0], &b.w);
    ready_cancel(rig.r[0], &b.w);
    ready_cancel(rig.r[0], &b.w);
    for (int turn = 1; turn <= 3; turn++) {
        assert_true(reactor_turn(rig.r[0], 10 * TEST_SECOND));
        assert_int_equal(a.runs, turn);
    }
    assert_false(reactor_turn(rig.r[0], 0));
    assert_int_equal(a.runs, 3);
    assert_int_equal(b.runs, 0);
    assert_null(reactor_current());
    rig_free(&rig);
}

// A turn is bounded in time: what is left goes on in the next, in order.
static int slow_order[8];
static int slow_n;
static void slow_run(struct ready *w)
{
    struct timespec nap = {.tv_nsec = REACTOR_TURN_NS};
    slow_order[slow_n++] = SL_CONTAINER_OF(w, struct job, w)->again;
    nanosleep(&nap, NULL);
}

static void test_turn_bound(void **state)
{
    struct rig rig;
    struct job jobs[4];
    rig_make(&rig, 4);
    slow_n = 0;
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct job){.w.run = slow_run, .again = i};
        ready_push(rig.r[0], &jobs[i].w);
    }
    for (int turn = 1; turn <= 4; turn++) {
        assert_true(reactor_turn(rig.r[0], 10 * TEST_SECOND));
        assert_int_equal(slow_n, turn);
        assert_int_equal(slow_order[turn - 1], turn - 1);
    }
    rig_free(&rig);
}

// ---- messages ----------------------------------------------------------------------------------------------------

struct echo {
    struct service s;
    struct reactor *r;
    uint64_t seen[64];
    uint32_t from[64];
    uint32_t n;
    uint32_t flushes;
};

static void echo_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct echo *e = SL_CONTAINER_OF(s, struct echo, s);
    assert_ptr_equal(reactor_current(), e->r);
    e->from[e->n] = from;
    e->seen[e->n++] = m->u[0];
}

static bool echo_flush(struct service *s)
{
    SL_CONTAINER_OF(s, struct echo, s)->flushes++;
    return false;
}

static void echo_add(struct echo *e, struct reactor *r, enum service_kind kind)
{
    *e = (struct echo){.s = {.kind = kind, .name = "echo", .on_msg = echo_msg, .on_flush = echo_flush},
                       .r = r};
    reactor_add_service(r, &e->s);
    assert_ptr_equal(reactor_service(r, kind), &e->s);
}

static void send_u64(struct reactor *r, uint32_t to, uint16_t op, uint64_t v)
{
    struct spsc_msg *m = reactor_send(r, to, op);
    m->u[0] = v;
}

static void test_messages(void **state)
{
    struct rig rig;
    struct echo shard[N], net;
    rig_make(&rig, 4);
    for (int i = 0; i < N; i++)
        echo_add(&shard[i], rig.r[i], SVC_SHARD);
    echo_add(&net, rig.r[1], SVC_NET);
    assert_null(reactor_service(rig.r[0], SVC_NET));
    for (uint64_t i = 0; i < 5; i++) // into one ring: order holds
        send_u64(rig.r[0], 1, MSG_OP(SVC_SHARD, 1), 100 + i);
    send_u64(rig.r[0], 1, MSG_OP(SVC_NET, 2), 7);
    send_u64(rig.r[0], 0, MSG_OP(SVC_SHARD, 1), 55); // to itself
    send_u64(rig.r[2], 1, MSG_OP(SVC_SHARD, 1), 200);
    reactor_turn(rig.r[1], 0);
    assert_int_equal(shard[1].n, 0); // staged, not published
    rig_settle(&rig);
    assert_int_equal(shard[1].n, 6);
    assert_int_equal(net.n, 1);
    assert_int_equal(net.seen[0], 7);
    uint64_t next = 100;
    for (uint32_t i = 0; i < 6; i++) {
        if (shard[1].from[i] == 0)
            assert_int_equal(shard[1].seen[i], next++);
        else
            assert_int_equal(shard[1].seen[i], 200);
    }
    assert_int_equal(next, 105);
    assert_int_equal(shard[0].n, 1);
    assert_int_equal(shard[0].seen[0], 55);
    assert_true(shard[2].flushes > 0 && shard[2].n == 0);
    struct metrics sum;
    metrics_snapshot(rig.m, N, &sum);
    assert_int_equal(metrics_value(&sum, METRIC_MESSAGES), 8);
    assert_true(metrics_value(&sum, METRIC_TURNS) > 0);
    rig_free(&rig);
}

// A reply with the request's own op goes to the service that asked, not to the one that the op names.
struct asker {
    struct service s;
    struct reactor *r;
    uint64_t answer;
    uint32_t replies;
};

static void asker_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct asker *a = SL_CONTAINER_OF(s, struct asker, s);
    if (m->flags & MSG_REPLY) {
        assert_int_equal(m->flags & MSG_ASKER, s->kind);
        a->answer = m->u[0];
        a->replies++;
        return;
    }
    assert_int_equal(MSG_KIND(m->op), s->kind);
    uint64_t question = m->u[0];
    reactor_reply(a->r, from, m->op, (enum service_kind)(m->flags & MSG_ASKER))->u[0] = question * 2;
}

// What nobody waits for lets a sleeper sleep, and is there, in order, when something else wakes it.
static void test_lazy(void **state)
{
    struct rig rig;
    struct echo shard;
    rig_make(&rig, 4);
    echo_add(&shard, rig.r[1], SVC_SHARD);
    sleep_prepare(&rig.r[1]->sleep);
    reactor_send_lazy(rig.r[0], 1, MSG_OP(SVC_SHARD, 1))->u[0] = 1;
    reactor_turn(rig.r[0], 0);
    assert_int_equal(metric_get(rig.m, METRIC_DOORBELLS), 0);
    assert_true(sleep_peer_needs_wake(&rig.r[1]->sleep));
    assert_true(msg_waiting(rig.r[1]));
    send_u64(rig.r[0], 1, MSG_OP(SVC_SHARD, 1), 2);
    reactor_send_lazy(rig.r[0], 1, MSG_OP(SVC_SHARD, 1))->u[0] = 3;
    reactor_turn(rig.r[0], 0);
    assert_int_equal(metric_get(rig.m, METRIC_DOORBELLS), 1);
    reactor_send_lazy(rig.r[0], 1, MSG_OP(SVC_SHARD, 1))->u[0] = 4;
    sleep_prepare(&rig.r[1]->sleep);
    reactor_turn(rig.r[0], 0);
    assert_int_equal(metric_get(rig.m, METRIC_DOORBELLS), 1); // the haste of earlier ones is over
    rig_settle(&rig);
    assert_int_equal(shard.n, 4);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(shard.seen[i], i + 1);
    rig_free(&rig);
}

static void test_request_reply(void **state)
{
    static const enum service_kind kinds[] = {SVC_NET, SVC_COORD, SVC_SHARD};
    struct rig rig;
    struct asker a[2][3];
    rig_make(&rig, 4);
    for (uint32_t i = 0; i < 2; i++) {
        for (int k = 0; k < 3; k++) {
            a[i][k] =
                (struct asker){.s = {.kind = kinds[k], .name = "asker", .on_msg = asker_msg}, .r = rig.r[i]};
            reactor_add_service(rig.r[i], &a[i][k].s);
        }
    }
    for (uint64_t k = 0; k < 3;
         k++) // each asks the other reactor's shard; the shard asks one of its own kind
        reactor_request(rig.r[0], 1, MSG_OP(SVC_SHARD, 5), kinds[k])->u[0] = 10 + k;
    reactor_request(rig.r[1], 1, MSG_OP(SVC_SHARD, 5), SVC_NET)->u[0] = 21; // and within one reactor
    rig_settle(&rig);
    for (uint64_t k = 0; k < 3; k++) {
        assert_int_equal(a[0][k].replies, 1);
        assert_int_equal(a[0][k].answer, 2 * (10 + k));
    }
    assert_int_equal(a[1][0].replies, 1);
    assert_int_equal(a[1][0].answer, 42);
    assert_true(a[1][1].replies == 0 && a[1][2].replies == 0);
    rig_free(&rig);
}

// Half a ring is published early, and half a ring's worth more still fits.
static void test_early_publish(void **state)
{
    struct rig rig;
    struct echo e;
    rig_make(&rig, 8); // rings of 32
    echo_add(&e, rig.r[1], SVC_SHARD);
    for (uint64_t i = 0; i < 20; i++)
        send_u64(rig.r[0], 1, MSG_OP(SVC_SHARD, 0), i);
    reactor_turn(rig.r[1], 0);
    assert_int_equal(e.n, 16);
    rig_settle(&rig);
    assert_int_equal(e.n, 20);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(e.seen[i], i);
    rig_free(&rig);
}

// ---- credits -----------------------------------------------------------------------------------------------------

struct waiter {
    struct ready w;
    struct reactor *r;
    uint32_t to;
    uint32_t need;
    int id;
    int tries;
    bool got;
};
static int served[16];
static int served_n;

static void waiter_run(struct ready *w)
{
    struct waiter *x = SL_CONTAINER_OF(w, struct waiter, w);
    x->tries++;
    if (!reactor_credit_take(x->r, x->to, x->need)) {
        reactor_credit_wait(x->r, x->to, w);
        return;
    }
    x->got = true;
    served[served_n++] = x->id;
}

static void waiter_make(struct waiter *x, struct reactor *r, uint32_t to, uint32_t need, int id)
{
    *x = (struct waiter){.w.run = waiter_run, .r = r, .to = to, .need = need, .id = id};
    assert_false(reactor_credit_take(r, to, need));
    reactor_credit_wait(r, to, &x->w);
}

static void test_credits(void **state)
{
    struct rig rig;
    struct waiter a, b, c;
    rig_make(&rig, 4);
    struct reactor *r = rig.r[0];
    served_n = 0;
    assert_true(reactor_credit_take(r, 1, 3));
    assert_false(reactor_credit_take(r, 1, 2)); // all or nothing
    assert_true(reactor_credit_take(r, 1, 1));
    assert_true(reactor_credit_take(r, 2, 4)); // each pair has its own
    waiter_make(&a, r, 1, 1, 1);
    waiter_make(&b, r, 1, 3, 2);
    waiter_make(&c, r, 1, 1, 3);
    assert_false(reactor_turn(r, 0));
    reactor_credit_give(r, 1, 1);
    assert_false(reactor_credit_take(r, 1, 1)); // a newcomer does not overtake
    rig_settle(&rig);
    assert_true(a.got && !b.got && !c.got);
    reactor_credit_give(r, 1, 2);
    rig_settle(&rig); // b needs three: it keeps its place, and does not spin
    assert_true(!b.got && !c.got);
    assert_int_equal(b.tries, 1);
    assert_false(reactor_turn(r, 0));
    reactor_credit_give(r, 1, 2); // b takes three, c the fourth
    rig_settle(&rig);
    assert_true(b.got && c.got);
    assert_int_equal(served_n, 3);
    assert_true(served[0] == 1 && served[1] == 2 && served[2] == 3);
    rig_free(&rig);
}

// A waiter that goes away leaves the credits to those behind it.
static void test_credit_cancel(void **state)
{
    struct rig rig;
    struct waiter a, b;
    rig_make(&rig, 2);
    struct reactor *r = rig.r[0];
    served_n = 0;
    assert_true(reactor_credit_take(r, 1, 2));
    waiter_make(&a, r, 1, 2, 1);
    waiter_make(&b, r, 1, 1, 2);
    reactor_credit_give(r, 1, 1);
    rig_settle(&rig);
    assert_int_equal(served_n, 0);
    ready_cancel(r, &a.w);
    rig_settle(&rig);
    assert_true(b.got && !a.got);
    // One that waits although there is a credit is served at once.
    reactor_credit_give(r, 1, 2);
    b = (struct waiter){.w.run = waiter_run, .r = r, .to = 1, .need = 1, .id = 9};
    reactor_credit_wait(r, 1, &b.w);
    rig_settle(&rig);
    assert_true(b.got);
    rig_free(&rig);
}

// Every pair keeps all its credits busy with a request, a notice after each, and replies, in random order of turns with
// rings of the smallest size: reactor_send asserts that a slot is always free.
enum { OP_REQ = MSG_OP(SVC_SHARD, 1), OP_NOTICE = MSG_OP(SVC_SHARD, 2), OP_REPLY = MSG_OP(SVC_SHARD, 3) };

struct chatter {
    struct service s;
    struct reactor *r;
    struct sl_rand *rand;
    uint64_t sent[N], replied[N], noticed, notices, requests;
    uint64_t sum_out, sum_in;
    uint64_t limit;
};

static void chatter_ask(struct chatter *c, uint32_t to)
{
    while (c->sent[to] < c->limit && reactor_credit_take(c->r, to, 1)) {
        uint64_t v = sl_rand_u64(c->rand);
        send_u64(c->r, to, OP_REQ, v);
        c->sum_out += v;
        c->sent[to]++;
    }
}

static void chatter_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct chatter *c = SL_CONTAINER_OF(s, struct chatter, s);
    switch (m->op) {
    case OP_REQ:
        c->requests++;
        send_u64(c->r, from, OP_REPLY, m->u[0]);
        break;
    case OP_NOTICE:
        c->noticed++;
        break;
    default:
        c->sum_in += m->u[0];
        c->replied[from]++;
        send_u64(c->r, from, OP_NOTICE, 0); // the one that the credit still allows
        c->notices++;
        reactor_credit_give(c->r, from, 1);
        chatter_ask(c, from);
        break;
    }
}

static bool chatter_flush(struct service *s)
{
    struct chatter *c = SL_CONTAINER_OF(s, struct chatter, s);
    for (uint32_t to = 0; to < N; to++)
        chatter_ask(c, to);
    return false;
}

static void slots_case(uint32_t credits, uint64_t seed)
{
    struct rig rig;
    struct sl_rand rand;
    struct chatter c[N];
    uint64_t noticed = 0, notices = 0;
    sl_rand_seed(&rand, seed);
    rig_make(&rig, credits);
    for (int i = 0; i < N; i++) {
        c[i] = (struct chatter){
            .s = {.kind = SVC_SHARD, .name = "chatter", .on_msg = chatter_msg, .on_flush = chatter_flush},
            .r = rig.r[i],
            .rand = &rand,
            .limit = 500};
        reactor_add_service(rig.r[i], &c[i].s);
    }
    for (int turn = 0; turn < 3000; turn++)
        reactor_turn(rig.r[sl_rand_below(&rand, N)], 0);
    rig_settle(&rig);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            assert_int_equal(c[i].sent[j], 500);
            assert_int_equal(c[i].replied[j], 500);
            assert_true(credit_idle(&rig.r[i]->peers[j].credit));
        }
        assert_int_equal(c[i].sum_in, c[i].sum_out);
        assert_int_equal(c[i].requests, 500 * N);
        noticed += c[i].noticed;
        notices += c[i].notices;
    }
    assert_int_equal(noticed, notices);
    rig_free(&rig);
}

static void test_slots(void **state)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        slots_case(1u << (seed % 4), seed);
}

// ---- stopping ----------------------------------------------------------------------------------------------------

struct stopper {
    struct service s;
    struct reactor *r;
    struct timer later;
    uint64_t delay;
    int asked;
};
static int stop_log[64];
static int stop_n;

static void stopper_finish(struct timer *t)
{
    struct stopper *x = SL_CONTAINER_OF(t, struct stopper, later);
    stop_log[stop_n++] = (int)x->s.kind;
    reactor_service_stopped(x->r, &x->s);
}

static void stopper_stop(struct service *s)
{
    struct stopper *x = SL_CONTAINER_OF(s, struct stopper, s);
    x->asked++;
    if (x->delay)
        timer_set(x->r, &x->later, reactor_now(x->r) + x->delay);
    else
        stopper_finish(&x->later);
}

static void no_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    fail();
}

static void test_stop_order(void **state)
{
    static const enum service_kind kinds[] = {SVC_META, SVC_SHARD, SVC_NET, SVC_SYS, SVC_COORD};
    static const int rank[SVC_COUNT] = {
        [SVC_NET] = 1, [SVC_COORD] = 2, [SVC_META] = 3, [SVC_SHARD] = 4, [SVC_SYS] = 5};
    struct rig rig;
    struct stopper x[N][5];
    rig_make(&rig, 4);
    stop_n = 0;
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 5; k++) {
            if (i == 1 && kinds[k] == SVC_COORD)
                continue; // not everything is everywhere
            x[i][k] = (struct stopper){
                .s = {.kind = kinds[k], .name = "stopper", .on_msg = no_msg, .on_stop = stopper_stop},
                .r = rig.r[i],
                .delay = (uint64_t)((i * 7 + k * 3) % 4) * 1000000};
            timer_init(&x[i][k].later, stopper_finish);
            reactor_add_service(rig.r[i], &x[i][k].s);
        }
    }
    rig_settle(&rig);
    assert_false(reactor_group_stopped(rig.g));
    reactor_group_stop(rig.g);
    reactor_group_stop(rig.g); // asking twice is asking
    for (int i = 0; !reactor_group_stopped(rig.g); i++) {
        assert_true(i < 1000000);
        reactor_turn(rig.r[i % N], 0);
    }
    assert_int_equal(stop_n, N * 5 - 1);
    for (int i = 1; i < stop_n; i++)
        assert_true(rank[stop_log[i - 1]] <= rank[stop_log[i]]);
    for (int i = 0; i < N; i++)
        assert_int_equal(x[i][0].asked, 1);
    rig_free(&rig);
}

// ---- stalls, run_until -------------------------------------------------------------------------------------------

static void nap_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct timespec nap = {.tv_nsec = 25000000};
    nanosleep(&nap, NULL);
}

static bool nap_flush(struct service *s)
{
    struct echo *e = SL_CONTAINER_OF(s, struct echo, s);
    if (e->flushes++ > 0)
        return false;
    nap_msg(s, 0, NULL);
    return true;
}

static void test_stalls(void **state)
{
    struct rig rig;
    struct echo e = {.s = {.kind = SVC_SHARD, .name = "nap", .on_msg = nap_msg, .on_flush = nap_flush}};
    rig_make(&rig, 4);
    reactor_add_service(rig.r[0], &e.s);
    reactor_group_set_stall(rig.g, 20);
    reactor_turn(rig.r[0], 0);
    assert_int_equal(metric_get(metrics_at(rig.m, 0), METRIC_STALLS_FLUSH), 1);
    assert_int_equal(metric_get(metrics_at(rig.m, 0), METRIC_STALLS_MESSAGES), 0);
    send_u64(rig.r[0], 0, MSG_OP(SVC_SHARD, 0), 0);
    reactor_turn(rig.r[0], 0);
    reactor_turn(rig.r[0], 0);
    assert_int_equal(metric_get(metrics_at(rig.m, 0), METRIC_STALLS_MESSAGES), 1);
    assert_int_equal(metric_get(metrics_at(rig.m, 0), METRIC_STALLS_FLUSH), 1);
    reactor_turn(rig.r[0], 50000000); // sleeping is no stall
    uint64_t stalls = 0;
    for (int i = METRIC_STALLS_MESSAGES; i <= METRIC_STALLS_PUBLISH; i++)
        stalls += metric_get(metrics_at(rig.m, 0), (enum metric_id)i);
    assert_int_equal(stalls, 2);
    assert_int_equal(metric_get(metrics_at(rig.m, 0), METRIC_STALLS_BUSY), 0); // it slept
    rig_free(&rig);
}

static void busy_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct io *io = reactor_io(reactor_current());
    uint64_t until = io_cpu_ns(io) + 10 * 1000 * 1000;
    while (io_cpu_ns(io) < until)
        ;
}

static void test_busy_stalls(void **state)
{
    struct rig rig;
    struct service s = {.kind = SVC_SHARD, .name = "busy", .on_msg = busy_msg};
    rig_make(&rig, 4);
    reactor_add_service(rig.r[0], &s);
    reactor_group_set_stall(rig.g, 8);
    for (uint64_t i = 1; i <= 2; i++) {
        send_u64(rig.r[0], 0, MSG_OP(SVC_SHARD, 0), 0);
        reactor_turn(rig.r[0], 0);
        reactor_turn(rig.r[0], 0);
        assert_int_equal(metric_get(metrics_at(rig.m, 0), METRIC_STALLS_MESSAGES), i);
        assert_int_equal(metric_get(metrics_at(rig.m, 0), METRIC_STALLS_BUSY), i);
    }
    rig_free(&rig);
}

static bool until_flag;
static void until_fire(struct timer *t)
{
    until_flag = true;
}

static void test_run_until(void **state)
{
    struct rig rig;
    struct timer t;
    rig_make(&rig, 4);
    until_flag = false;
    timer_init(&t, until_fire);
    uint64_t now = io_now_ns(rig.ios[1]);
    timer_set(rig.r[1], &t, now + 5000000);
    reactor_run_until(rig.r[1], &until_flag);
    assert_true(io_now_ns(rig.ios[1]) - now >= 5000000);
    assert_true(reactor_now(rig.r[1]) >= now);
    assert_true(reactor_wall_ms(rig.r[1]) > 1600000000000);
    assert_ptr_equal(reactor_io(rig.r[1]), rig.ios[1]);
    assert_ptr_equal(reactor_get_group(rig.r[1]), rig.g);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers),        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_turn_bound),    cmocka_unit_test(test_messages),
        cmocka_unit_test(test_lazy),          cmocka_unit_test(test_request_reply),
        cmocka_unit_test(test_early_publish), cmocka_unit_test(test_credits),
        cmocka_unit_test(test_credit_cancel), cmocka_unit_test(test_slots),
        cmocka_unit_test(test_stop_order),    cmocka_unit_test(test_stalls),
        cmocka_unit_test(test_busy_stalls),   cmocka_unit_test(test_run_until),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
