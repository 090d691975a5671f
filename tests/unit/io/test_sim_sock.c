// Simulated sockets: streams keep their bytes and order through chunking, limits and resets.
#include "sim_test.h"

#define SEEDS 150

// A server process and a client process, connected.
struct link {
    struct sim_world *w;
    struct sim_process *sp, *cp;
    struct io *s, *c;
    io_sock listener, a, b; // a: the client's end, b: the server's
    struct waiter acc;
};

static void link_up_cfg(struct link *l, const struct sim_config *cfg)
{
    memset(l, 0, sizeof(*l));
    l->w = sim_world_create(cfg);
    l->sp = sim_process_create(l->w, NULL);
    l->cp = sim_process_create(l->w, NULL);
    l->s = sim_io_create(l->sp);
    l->c = sim_io_create(l->cp);
    l->listener = io_listen(l->s, "127.0.0.1", 0, 8);
    assert_true(l->listener >= 0);
    char host[64];
    uint16_t port;
    assert_int_equal(io_sock_name(l->s, l->listener, false, host, sizeof(host), &port), 0);
    io_accept(l->s, waiter_start(&l->acc), l->listener);
    struct waiter w;
    io_connect(l->c, waiter_start(&w), "127.0.0.1", port);
    l->a = wait_for(l->c, &w);
    assert_true(l->a >= 0);
    while (!l->acc.times)
        io_poll(l->s, 1000000);
    l->b = l->acc.res;
    assert_true(l->b >= 0);
}

static void link_up(struct link *l, uint64_t seed)
{
    struct sim_config cfg;
    sim_config_default(&cfg, seed);
    link_up_cfg(l, &cfg);
}

static void link_down(struct link *l)
{
    sim_world_destroy(l->w);
}

static int t_send(struct io *io, io_sock s, const void *b, size_t n, uint32_t flags)
{
    struct waiter w;
    struct iovec v = {(void *)(uintptr_t)b, n};
    io_send(io, waiter_start(&w), s, &v, 1, flags);
    return wait_for(io, &w);
}

static int t_recv(struct io *io, io_sock s, void *b, uint32_t n)
{
    struct waiter w;
    io_recv(io, waiter_start(&w), s, b, n);
    return wait_for(io, &w);
}

static uint8_t nth(uint64_t at)
{
    return (uint8_t)(at * 131 + (at >> 8));
}

// A reader with provided buffers that gives them back late.
struct multi {
    struct io_op op;
    struct io *io;
    io_sock s;
    uint64_t got;
    unsigned chunks, dry;
    uint32_t held[64];
    uint32_t held_n;
    bool over;
    int32_t last;
};

static void give_back(struct multi *m)
{
    for (uint32_t k = 0; k < m->held_n; k++)
        io_buf_return(m->io, m->held[k]);
    m->held_n = 0;
}

static void multi_done(struct io_op *op, int32_t res)
{
    struct multi *m = (struct multi *)(void *)op;
    if (op->flags & IO_OP_BUFFER) {
        for (int32_t k = 0; k < res; k++)
            assert_int_equal(op->buf[k], nth(m->got + (uint64_t)k));
        m->got += (uint64_t)res;
        m->chunks++;
        m->held[m->held_n++] = op->buf_id;
    }
    if (op->flags & IO_OP_MORE)
        return;
    m->last = res;
    if (res == -ENOBUFS) {
        m->dry++;
        give_back(m);
        io_recv_multi(m->io, &m->op, m->s);
        return;
    }
    m->over = true;
}

static void streams_keep_their_bytes(void **state)
{
    (void)state;
    unsigned partial = 0, dry = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_config cfg;
        sim_config_default(&cfg, seed);
        cfg.recv_buffers = 4;
        cfg.recv_size = 512;
        cfg.sock_buffer = 3000;
        cfg.faults.short_send = cfg.faults.short_recv = 200000;
        struct link l;
        link_up_cfg(&l, &cfg);
        enum { TOTAL = 40000 };
        uint8_t *out = malloc(TOTAL);
        for (uint64_t k = 0; k < TOTAL; k++)
            out[k] = nth(k);
        struct multi m = {.op = {.done = multi_done}, .io = l.s, .s = l.b};
        io_recv_multi(l.s, &m.op, l.b);
        uint64_t sent = 0;
        while (sent < TOTAL) {
            struct waiter w;
            struct iovec v[3] = {{out + sent, SL_MIN((uint64_t)1000, TOTAL - sent)}, {NULL, 0}, {NULL, 0}};
            v[1] = (struct iovec){out + sent + v[0].iov_len,
                                  SL_MIN((uint64_t)7000, TOTAL - sent - v[0].iov_len)};
            io_send(l.c, waiter_start(&w), l.a, v, 3, seed % 2 ? IO_SEND_ZC : 0);
            while (!w.times) {
                io_poll(l.c, 100000);
                io_poll(l.s, 100000);
            }
            assert_true(w.res > 0);
            partial += (uint64_t)w.res < v[0].iov_len + v[1].iov_len;
            sent += (uint64_t)w.res;
            while (!w.done) {
                io_poll(l.c, 1000000);
                io_poll(l.s, 0);
            }
        }
        io_shutdown(l.c, l.a);
        while (!m.over)
            io_poll(l.s, 1000000);
        assert_int_equal(m.last, 0);
        assert_int_equal(m.got, TOTAL);
        dry += m.dry;
        give_back(&m);
        free(out);
        link_down(&l);
    }
    assert_true(partial > SEEDS && dry > SEEDS);
}

// Reports every dry end and arms again at once; gives nothing back by itself.
static void keep_done(struct io_op *op, int32_t res)
{
    struct multi *m = (struct multi *)(void *)op;
    if (op->flags & IO_OP_BUFFER) {
        m->got += (uint64_t)res;
        m->held[m->held_n++] = op->buf_id;
    }
    if (op->flags & IO_OP_MORE)
        return;
    m->last = res;
    m->dry += res == -ENOBUFS;
    m->over = res != -ENOBUFS;
    if (!m->over)
        io_recv_multi(m->io, &m->op, m->s);
}

// A receive that is armed while every buffer is out ends when one is back, not at once, again and again.
static void a_receive_without_buffers_waits(void **state)
{
    (void)state;
    struct sim_config cfg;
    struct link l;
    uint8_t data[4096] = {0};
    sim_config_default(&cfg, 21);
    cfg.recv_buffers = 2;
    cfg.recv_size = 100;
    link_up_cfg(&l, &cfg);
    struct multi m = {.op = {.done = keep_done}, .io = l.s, .s = l.b};
    io_recv_multi(l.s, &m.op, l.b);
    assert_int_equal(t_send(l.c, l.a, data, 450, 0), 450);
    for (int k = 0; k < 100; k++)
        io_poll(l.s, 1000000);
    assert_int_equal(m.held_n, 2);
    assert_int_equal(m.dry, 1);
    while (m.got < 450 && m.dry < 10) {
        give_back(&m);
        for (int k = 0; k < 10; k++)
            io_poll(l.s, 1000000);
    }
    assert_int_equal(m.got, 450);
    // While it waits for one it can be cancelled.
    give_back(&m);
    assert_int_equal(t_send(l.c, l.a, data, 450, 0), 450);
    for (unsigned k = 0, before = m.dry; k < 100 && m.dry == before; k++)
        io_poll(l.s, 1000000);
    io_cancel(l.s, &m.op);
    while (!m.over)
        io_poll(l.s, 1000000);
    assert_int_equal(m.last, -ECANCELED);
    give_back(&m);
    link_down(&l);
}

static void zero_copy_notifies_after_the_result(void **state)
{
    (void)state;
    struct link l;
    link_up(&l, 5);
    struct waiter w;
    uint8_t b[100];
    memset(b, 7, sizeof(b));
    struct iovec v = {b, sizeof(b)};
    io_send(l.c, waiter_start(&w), l.a, &v, 1, IO_SEND_ZC);
    while (!w.times)
        io_poll(l.c, 1000);
    assert_int_equal(w.res, 100);
    assert_int_equal(w.flags, IO_OP_MORE);
    wait_for(l.c, &w);
    assert_int_equal(w.times, 2);
    assert_true((w.flags & IO_OP_NOTIF) && w.res == 0);
    uint8_t c[100];
    assert_int_equal(t_recv(l.s, l.b, c, 100), 100);
    assert_memory_equal(b, c, 100);
    link_down(&l);
}

static char fail_text[256];
// A peer that does not read keeps a zero-copy send's bytes until the socket is aborted; then it sees a reset.
static void an_abort_gives_bytes_back(void **state)
{
    (void)state;
    struct link l;
    struct sim_config cfg;
    struct waiter w;
    char b[8];
    sim_config_default(&cfg, 5);
    cfg.sock_buffer = 4096;
    link_up_cfg(&l, &cfg);
    uint8_t *data = calloc(1, 4096);
    struct iovec v = {data, 4096};
    io_send(l.c, waiter_start(&w), l.a, &v, 1, IO_SEND_ZC);
    for (int k = 0; k < 50; k++)
        io_poll(l.c, 10000000);
    assert_int_equal(w.times, 1);
    io_shutdown(l.c, l.a);
    for (int k = 0; k < 50; k++)
        io_poll(l.c, 10000000);
    assert_false(w.done);
    io_abort(l.c, l.a);
    for (int k = 0; k < 50 && !w.done; k++)
        io_poll(l.c, 10000000);
    assert_true(w.done);
    assert_int_equal(t_recv(l.s, l.b, b, sizeof(b)), -ECONNRESET);
    assert_int_equal(t_send(l.s, l.b, "x", 1, 0), -ECONNRESET);
    free(data);
    link_down(&l);
}

static void on_fail(void *arg, const char *what)
{
    (void)arg;
    snprintf(fail_text, sizeof(fail_text), "%s", what);
}

static void a_buffer_changed_before_its_notification_is_noticed(void **state)
{
    (void)state;
    struct sim_config cfg;
    sim_config_default(&cfg, 5);
    cfg.on_fail = on_fail;
    struct link l;
    link_up_cfg(&l, &cfg);
    struct waiter w;
    uint8_t b[100] = {0};
    struct iovec v = {b, sizeof(b)};
    io_send(l.c, waiter_start(&w), l.a, &v, 1, IO_SEND_ZC);
    while (!w.times)
        io_poll(l.c, 1000);
    b[3] = 1;
    wait_for(l.c, &w);
    assert_non_null(strstr(fail_text, "changed while it was in flight"));
    link_down(&l);
}

static void ends_and_resets(void **state)
{
    (void)state;
    unsigned resets = 0, ends = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct link l;
        link_up(&l, seed);
        if (seed % 2) { // bytes that the server never read
            assert_int_equal(t_send(l.c, l.a, "hello", 5, 0), 5);
            if (seed % 4 == 1)
                sim_advance(l.w, 100000000);
        }
        sim_process_kill(l.sp);
        uint8_t c[8];
        int res = t_recv(l.c, l.a, c, sizeof(c));
        assert_true(res == 0 || res == -ECONNRESET);
        assert_true(seed % 2 == 0 || res == -ECONNRESET);
        resets += res != 0;
        ends += res == 0;
        int n = t_send(l.c, l.a, "again", 5, 0);
        assert_true(n == -EPIPE || n == -ECONNRESET);
        struct waiter w;
        io_close_sock(l.c, waiter_start(&w), l.a);
        assert_int_equal(wait_for(l.c, &w), 0);
        link_down(&l);
    }
    assert_true(resets >= SEEDS / 2 && ends >= SEEDS / 2);
}

static void random_resets_reach_both_ends(void **state)
{
    (void)state;
    struct link l;
    link_up(&l, 9);
    struct waiter w;
    uint8_t c[8];
    io_recv(l.s, waiter_start(&w), l.b, c, sizeof(c));
    sim_world_faults(l.w)->reset = 1000000;
    assert_int_equal(t_send(l.c, l.a, "x", 1, 0), -ECONNRESET);
    assert_int_equal(wait_for(l.s, &w), -ECONNRESET);
    link_down(&l);
}

static void nobody_listens(void **state)
{
    (void)state;
    struct link l;
    link_up(&l, 6);
    struct waiter w;
    io_connect(l.c, waiter_start(&w), "127.0.0.1", 1);
    assert_int_equal(wait_for(l.c, &w), -ECONNREFUSED);
    assert_int_equal(io_listen(l.c, "127.0.0.1", 20000, 1), -EADDRINUSE);
    link_down(&l);
}

static void cancel_shutdown_and_close_end_operations(void **state)
{
    (void)state;
    struct link l;
    link_up(&l, 7);
    struct waiter r1, r2, cl;
    uint8_t c[8];
    io_recv(l.s, waiter_start(&r1), l.b, c, sizeof(c));
    io_cancel(l.s, &r1.op);
    assert_int_equal(wait_for(l.s, &r1), -ECANCELED);
    io_cancel(l.s, &r1.op); // too late: nothing
    io_recv(l.s, waiter_start(&r1), l.b, c, sizeof(c));
    io_shutdown(l.s, l.b);
    assert_int_equal(wait_for(l.s, &r1), 0);
    // A close waits for the operation in flight: the peer sees the end only then.
    io_recv(l.c, waiter_start(&r2), l.a, c, sizeof(c));
    io_close_sock(l.s, waiter_start(&cl), l.b);
    assert_int_equal(wait_for(l.s, &cl), 0);
    assert_int_equal(wait_for(l.c, &r2), 0);
    io_cancel(l.s, &l.acc.op);
    while (!l.acc.done)
        io_poll(l.s, 1000);
    link_down(&l);
}

static void a_close_waits_for_operations_in_flight(void **state)
{
    (void)state;
    struct link l;
    link_up(&l, 8);
    struct waiter mine, theirs, cl;
    uint8_t c[8], d[8];
    io_recv(l.s, waiter_start(&mine), l.b, c, sizeof(c));
    io_recv(l.c, waiter_start(&theirs), l.a, d, sizeof(d));
    io_close_sock(l.s, waiter_start(&cl), l.b);
    assert_int_equal(wait_for(l.s, &cl), 0);
    sim_advance(l.w, 1000000000);
    io_poll(l.c, 0);
    assert_int_equal(theirs.times, 0);
    io_cancel(l.s, &mine.op);
    assert_int_equal(wait_for(l.s, &mine), -ECANCELED);
    assert_int_equal(wait_for(l.c, &theirs), 0);
    link_down(&l);
}

// Two reactors of one process listen on one port; connections go to both.
static void a_shared_port_spreads(void **state)
{
    (void)state;
    struct link l;
    link_up(&l, 10);
    char host[64];
    uint16_t port;
    assert_int_equal(io_sock_name(l.s, l.listener, false, host, sizeof(host), &port), 0);
    struct io *s2 = sim_io_create(l.sp);
    io_sock l2 = io_listen(s2, "127.0.0.1", port, 64);
    assert_true(l2 >= 0);
    struct waiter acc2;
    io_accept(s2, waiter_start(&acc2), l2);
    uint32_t first = l.acc.times;
    for (int k = 0; k < 30; k++) {
        struct waiter w;
        io_connect(l.c, waiter_start(&w), "127.0.0.1", port);
        assert_true(wait_for(l.c, &w) >= 0);
        io_poll(l.s, 0);
        io_poll(s2, 0);
        if (l.acc.done)
            io_accept(l.s, (l.acc.done = false, &l.acc.op), l.listener);
        if (acc2.done)
            io_accept(s2, (acc2.done = false, &acc2.op), l2);
    }
    assert_true(l.acc.times > first + 3 && acc2.times > 3);
    link_down(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_keep_their_bytes),
        cmocka_unit_test(a_receive_without_buffers_waits),
        cmocka_unit_test(an_abort_gives_bytes_back),
        cmocka_unit_test(zero_copy_notifies_after_the_result),
        cmocka_unit_test(a_buffer_changed_before_its_notification_is_noticed),
        cmocka_unit_test(ends_and_resets),
        cmocka_unit_test(random_resets_reach_both_ends),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(cancel_shutdown_and_close_end_operations),
        cmocka_unit_test(a_close_waits_for_operations_in_flight),
        cmocka_unit_test(a_shared_port_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
