// Sockets through io_uring, over loopback.
#include "io_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "engine/io/uring/uring_private.h"

enum { PORT = 19300 };

// Sockets in the order in which they were accepted.
struct acceptor {
    struct io_op op;
    struct io *io;
    io_sock listener;
    io_sock *socks;
    uint32_t n;
    uint32_t want;
    int32_t err;
    bool full;
};

static void accept_done(struct io_op *op, int32_t res)
{
    struct acceptor *a = SL_CONTAINER_OF(op, struct acceptor, op);
    if (res >= 0) {
        assert_true(a->n < a->want);
        a->socks[a->n++] = res;
        a->full = a->n == a->want;
    } else {
        a->err = res;
    }
    if (!(op->flags & IO_OP_MORE) && res >= 0)
        io_accept(a->io, op, a->listener);
}

static void acceptor_start(struct acceptor *a, struct io *io, const char *host, uint16_t port, uint32_t want)
{
    *a = (struct acceptor){.op = {.done = accept_done}, .io = io, .want = want};
    a->socks = calloc(want, sizeof(io_sock));
    a->listener = io_listen(io, host, port, 1024);
    assert_true(a->listener >= 0);
    io_accept(io, &a->op, a->listener);
}

static void sock_close(struct io *io, io_sock s)
{
    struct test_op t;
    test_op_init(&t);
    io_close_sock(io, &t.op, s);
    assert_int_equal(test_wait(io, &t), 0);
}

static void acceptor_stop(struct acceptor *a)
{
    io_cancel(a->io, &a->op);
    uint64_t deadline = io_now_ns(a->io) + 5 * TEST_SECOND;
    while (a->err != -ECANCELED) {
        assert_true(io_now_ns(a->io) < deadline);
        io_poll(a->io, TEST_SECOND / 100);
    }
    sock_close(a->io, a->listener);
    free(a->socks);
}

static io_sock sock_connect(struct io *io, const char *host, uint16_t port)
{
    struct test_op t;
    test_op_init(&t);
    io_connect(io, &t.op, host, port);
    return test_wait(io, &t);
}

// Two connected sockets of one io: [0] is the client's.
static void sock_pair(struct io *io, io_sock s[2])
{
    struct acceptor a;
    acceptor_start(&a, io, "127.0.0.1", PORT, 1);
    s[0] = sock_connect(io, "127.0.0.1", PORT);
    assert_true(s[0] >= 0);
    test_until(io, &a.full);
    s[1] = a.socks[0];
    acceptor_stop(&a);
}

static int32_t sock_send(struct io *io, io_sock s, const void *p, size_t n)
{
    struct test_op t;
    struct iovec iov = {(void *)(uintptr_t)p, n};
    test_op_init(&t);
    io_send(io, &t.op, s, &iov, 1, 0);
    return test_wait(io, &t);
}

static int32_t sock_recv(struct io *io, io_sock s, void *p, uint32_t n)
{
    struct test_op t;
    test_op_init(&t);
    io_recv(io, &t.op, s, p, n);
    return test_wait(io, &t);
}

// Receives exactly n bytes.
static void sock_recv_all(struct io *io, io_sock s, uint8_t *p, uint32_t n)
{
    for (uint32_t got = 0; got < n;) {
        int32_t r = sock_recv(io, s, p + got, n - got);
        assert_true(r > 0);
        got += (uint32_t)r;
    }
}

// One completion for pieces that come one after the other; and what has come by the end of the stream.
static void test_recv_all(void **state)
{
    struct io *io = test_io();
    io_sock s[2];
    char buf[16] = {0};
    struct test_op t;
    sock_pair(io, s);
    test_op_init(&t);
    io_recv_all(io, &t.op, s[1], buf, 8);
    assert_int_equal(sock_send(io, s[0], "four", 4), 4);
    for (int i = 0; i < 10; i++)
        io_poll(io, TEST_SECOND / 200);
    assert_int_equal(t.runs, 0);
    assert_int_equal(sock_send(io, s[0], "more", 4), 4);
    assert_int_equal(test_wait(io, &t), 8);
    assert_string_equal(buf, "fourmore");
    test_op_init(&t);
    io_recv_all(io, &t.op, s[1], buf, 8);
    assert_int_equal(sock_send(io, s[0], "end", 3), 3);
    sock_close(io, s[0]);
    assert_int_equal(test_wait(io, &t), 3);
    sock_close(io, s[1]);
    test_io_end(io);
}

static void test_send_recv(void **state)
{
    struct io *io = test_io();
    io_sock s[2];
    char buf[64] = {0};
    sock_pair(io, s);
    assert_int_equal(sock_send(io, s[0], "ping", 4), 4);
    assert_int_equal(sock_recv(io, s[1], buf, sizeof(buf)), 4);
    assert_string_equal(buf, "ping");
    struct iovec iov[3] = {{"one", 3}, {"", 0}, {"two", 3}};
    struct test_op t;
    test_op_init(&t);
    io_send(io, &t.op, s[1], iov, 3, 0);
    assert_int_equal(test_wait(io, &t), 6);
    memset(buf, 0, sizeof(buf));
    assert_int_equal(sock_recv(io, s[0], buf, 4), 4); // as much as there is room for
    assert_int_equal(sock_recv(io, s[0], buf + 4, 60), 2);
    assert_string_equal(buf, "onetwo");
    for (int i = 0; i < 2; i++) { // an accepted socket has it from its listener
        int on = 0;
        socklen_t len = sizeof(on);
        assert_int_equal(getsockopt(s[i], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
        assert_int_equal(on, 1);
        assert_int_equal(fcntl(s[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    sock_close(io, s[0]);
    assert_int_equal(sock_recv(io, s[1], buf, 1), 0); // the peer closed
    assert_int_equal(sock_send(io, s[1], "x", 1), 1);
    struct timespec nap = {.tv_nsec = 20000000};
    nanosleep(&nap, NULL);
    assert_int_equal(sock_send(io, s[1], "x", 1), -EPIPE); // and no signal
    sock_close(io, s[1]);
    test_io_end(io);
}

static void test_names(void **state)
{
    struct io *io = test_io();
    static const struct {
        const char *listen;
        const char *connect;
        const char *shown;
    } cases[] = {{"127.0.0.1", "127.0.0.1", "127.0.0.1"},
                 {"::1", "::1", "::1"},
                 {"", "127.0.0.1", "127.0.0.1"},
                 {"", "::1", "::1"},
                 {"localhost", "localhost", NULL}};
    bool v6 = access("/proc/net/if_inet6", R_OK) == 0;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct acceptor a;
        char host[64];
        uint16_t port = 0, peer = 0;
        if (!v6 && strchr(cases[i].connect, ':'))
            continue;
        acceptor_start(&a, io, cases[i].listen, 0, 1); // a port of the kernel's choice
        assert_int_equal(io_sock_name(io, a.listener, false, host, sizeof(host), &port), 0);
        assert_true(port > 0);
        io_sock c = sock_connect(io, cases[i].connect, port);
        assert_true(c >= 0);
        test_until(io, &a.full);
        assert_int_equal(io_sock_name(io, a.socks[0], true, host, sizeof(host), &peer), 0);
        if (cases[i].shown)
            assert_string_equal(host, cases[i].shown);
        uint16_t mine = 0;
        assert_int_equal(io_sock_name(io, c, false, host, sizeof(host), &mine), 0);
        assert_int_equal(mine, peer);
        sock_close(io, c);
        sock_close(io, a.socks[0]);
        acceptor_stop(&a);
    }
    assert_int_equal(io_listen(io, "no-such-host.invalid", PORT, 1), -EADDRNOTAVAIL);
    int32_t rc = sock_connect(io, "127.0.0.1", PORT + 49); // nobody listens
    assert_int_equal(rc, -ECONNREFUSED);
    assert_true(sock_connect(io, "no-such-host.invalid", PORT) < 0);
    test_io_end(io);
}

static void test_reuseport(void **state)
{
    struct io *a = test_io();
    struct io *b = test_io();
    io_sock la = io_listen(a, "127.0.0.1", PORT, 16);
    io_sock lb = io_listen(b, "127.0.0.1", PORT, 16);
    assert_true(la >= 0 && lb >= 0);
    sock_close(a, la);
    sock_close(b, lb);
    test_io_end(a);
    test_io_end(b);
}

// ---- multishot receive -------------------------------------------------------------------------------------------

struct stream {
    struct io_op op;
    struct io *io;
    io_sock s;
    uint64_t sum;
    uint64_t bytes;
    uint32_t enobufs;
    uint32_t held[16];
    uint32_t held_n;
    uint32_t hold; // keep this many buffers before giving them all back
    int32_t last;
    bool ended;
};

static void stream_release(struct stream *st)
{
    while (st->held_n > 0)
        io_buf_return(st->io, st->held[--st->held_n]);
}

static void stream_done(struct io_op *op, int32_t res)
{
    struct stream *st = SL_CONTAINER_OF(op, struct stream, op);
    if (res > 0) {
        assert_true(op->flags & IO_OP_BUFFER);
        for (int32_t i = 0; i < res; i++)
            st->sum += op->buf[i];
        st->bytes += (uint64_t)res;
        st->held[st->held_n++] = op->buf_id;
        if (st->held_n >= SL_MAX(st->hold, 1u))
            stream_release(st);
    } else {
        assert_false(op->flags & IO_OP_BUFFER);
    }
    if (op->flags & IO_OP_MORE)
        return;
    st->last = res;
    if (res == -ENOBUFS || res > 0) {
        st->enobufs += res == -ENOBUFS;
        io_recv_multi(st->io, op, st->s);
    } else {
        st->ended = true;
    }
}

static void stream_start(struct stream *st, struct io *io, io_sock s, uint32_t hold)
{
    *st = (struct stream){.op = {.done = stream_done}, .io = io, .s = s, .hold = hold};
    io_recv_multi(io, &st->op, s);
}

static void test_recv_multi(void **state)
{
    struct io *io = test_io_with(&(struct uring_config){.entries = 64, .recv_buffers = 4, .recv_size = 1000});
    io_sock s[2];
    uint8_t data[5000];
    uint64_t sum = 0;
    struct stream st;
    sock_pair(io, s);
    stream_start(&st, io, s[1], 1);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31);
    for (int round = 0; round < 20; round++) {
        assert_int_equal(sock_send(io, s[0], data, sizeof(data)), sizeof(data));
        for (size_t i = 0; i < sizeof(data); i++)
            sum += data[i];
    }
    io_shutdown(io, s[0]);
    test_until(io, &st.ended);
    assert_int_equal(st.last, 0);
    assert_int_equal(st.bytes, 20 * sizeof(data));
    assert_int_equal(st.sum, sum);
    assert_int_equal(up_ring(io)->buf_out, 0);
    sock_close(io, s[0]);
    sock_close(io, s[1]);
    test_io_end(io);
}

// All buffers are out: the receive ends with ENOBUFS, is armed again at once, and does not spin until one is back.
static void test_enobufs(void **state)
{
    struct io *io = test_io_with(&(struct uring_config){.entries = 64, .recv_buffers = 4, .recv_size = 64});
    io_sock s[2];
    uint8_t data[64 * 10];
    struct stream st;
    sock_pair(io, s);
    stream_start(&st, io, s[1], 16);
    memset(data, 3, sizeof(data));
    assert_int_equal(sock_send(io, s[0], data, sizeof(data)), sizeof(data));
    uint64_t deadline = io_now_ns(io) + 5 * TEST_SECOND;
    while (st.enobufs == 0) {
        assert_true(io_now_ns(io) < deadline);
        io_poll(io, TEST_SECOND / 100);
    }
    assert_int_equal(st.held_n, 4);
    assert_int_equal(st.bytes, 4 * 64);
    for (int i = 0; i < 5; i++)
        io_poll(io, TEST_SECOND / 200);
    assert_int_equal(st.enobufs, 1);
    assert_int_equal(st.bytes, 4 * 64);
    while (st.bytes < sizeof(data)) { // each round gives four back
        assert_true(io_now_ns(io) < deadline);
        stream_release(&st);
        io_poll(io, TEST_SECOND / 100);
    }
    assert_int_equal(st.sum, 3 * sizeof(data));
    assert_true(st.enobufs >= 2);
    // A starved receive is cancelled without the kernel.
    st.hold = 16;
    stream_release(&st);
    uint32_t before = st.enobufs;
    assert_int_equal(sock_send(io, s[0], data, sizeof(data)), sizeof(data));
    while (st.enobufs == before) {
        assert_true(io_now_ns(io) < deadline);
        io_poll(io, TEST_SECOND / 100);
    }
    io_cancel(io, &st.op);
    test_until(io, &st.ended);
    assert_int_equal(st.last, -ECANCELED);
    stream_release(&st);
    sock_close(io, s[0]);
    sock_close(io, s[1]);
    test_io_end(io);
}

// More receives wait for a buffer than there are buffers, and those in front have nothing to receive: who has something
// is served all the same, and no turn is spent on trying.
static void test_starved_behind_idle(void **state)
{
    enum { IDLE = 9 };
    struct io *io = test_io_with(&(struct uring_config){.entries = 64, .recv_buffers = 4, .recv_size = 64});
    io_sock s[2], idle[IDLE][2], last[2];
    uint8_t data[64 * 4];
    struct stream st, quiet[IDLE], behind;
    memset(data, 1, sizeof(data));
    sock_pair(io, s);
    for (int i = 0; i < IDLE; i++)
        sock_pair(io, idle[i]);
    sock_pair(io, last);
    stream_start(&st, io, s[1], 16);
    assert_int_equal(sock_send(io, s[0], data, sizeof(data)), sizeof(data));
    while (st.held_n < 4)
        io_poll(io, TEST_SECOND / 100);
    for (int i = 0; i < IDLE; i++)
        stream_start(&quiet[i], io, idle[i][1], 1);
    stream_start(&behind, io, last[1], 1);
    assert_int_equal(sock_send(io, last[0], data, 64), 64);
    uint64_t deadline = io_now_ns(io) + 5 * TEST_SECOND;
    stream_release(&st);
    while (behind.bytes < 64) {
        assert_true(io_now_ns(io) < deadline);
        io_poll(io, TEST_SECOND / 100);
    }
    assert_null(up_ring(io)->starved.first);
    sock_close(io, s[0]);
    sock_close(io, last[0]);
    test_until(io, &st.ended);
    test_until(io, &behind.ended);
    for (int i = 0; i < IDLE; i++) {
        sock_close(io, idle[i][0]);
        test_until(io, &quiet[i].ended);
        sock_close(io, idle[i][1]);
    }
    sock_close(io, s[1]);
    sock_close(io, last[1]);
    test_io_end(io);
}

// Many receive at once from few buffers: each try that finds none costs a turn in which others moved on.
static void test_many_with_few_buffers(void **state)
{
    enum { MANY = 40, EACH = 640 };
    struct io *io = test_io_with(&(struct uring_config){.entries = 64, .recv_buffers = 4, .recv_size = 64});
    io_sock s[MANY][2];
    struct stream st[MANY];
    uint8_t data[EACH];
    uint32_t dry = 0;
    memset(data, 1, sizeof(data));
    for (int i = 0; i < MANY; i++)
        sock_pair(io, s[i]);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(sock_send(io, s[i][0], data, EACH), EACH);
    for (int i = 0; i < MANY; i++)
        stream_start(&st[i], io, s[i][1], 1);
    for (int i = 0; i < MANY; i++) {
        sock_close(io, s[i][0]);
        test_until(io, &st[i].ended);
        assert_int_equal(st[i].bytes, EACH);
        dry += st[i].enobufs;
        sock_close(io, s[i][1]);
    }
    assert_true(dry <= MANY * EACH / 64 + MANY); // at most one for each buffer's worth, beside the first
    test_io_end(io);
}

// ---- zero copy ---------------------------------------------------------------------------------------------------

struct zc {
    struct io_op op;
    int32_t res;
    uint32_t firsts;
    uint32_t notifs;
    bool copied;
    bool expect_notif;
    bool done;
};

static void zc_done(struct io_op *op, int32_t res)
{
    struct zc *z = SL_CONTAINER_OF(op, struct zc, op);
    if (op->flags & IO_OP_NOTIF) {
        assert_int_equal(res, 0);
        assert_false(op->flags & IO_OP_MORE);
        z->notifs++;
        z->copied = op->flags & IO_OP_ZC_COPIED;
        z->done = true;
        return;
    }
    z->firsts++;
    z->res = res;
    z->expect_notif = op->flags & IO_OP_MORE;
    z->done = !z->expect_notif;
}

static void zc_case(struct io *io, io_sock s[2], struct iovec *iov, uint32_t n, size_t total)
{
    struct zc z = {.op = {.done = zc_done}};
    uint8_t *got = malloc(total);
    assert_non_null(got);
    io_send(io, &z.op, s[0], iov, n, IO_SEND_ZC);
    sock_recv_all(io, s[1], got, (uint32_t)total);
    test_until(io, &z.done);
    assert_int_equal(z.res, total);
    assert_int_equal(z.firsts, 1);
    assert_int_equal(z.notifs, z.expect_notif ? 1 : 0);
    if (up_ring(io)->features & UP_ZC_REPORT)
        assert_true(z.copied); // loopback always copies
    size_t at = 0;
    for (uint32_t i = 0; i < n; at += iov[i++].iov_len)
        assert_memory_equal(got + at, iov[i].iov_base, iov[i].iov_len);
    free(got);
}

static void test_zero_copy(void **state)
{
    enum { N = 256 << 10 };
    struct io *io = test_io();
    io_sock s[2];
    uint8_t *p = mmap(NULL, N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    sock_pair(io, s);
    for (size_t i = 0; i < N; i++)
        p[i] = (uint8_t)(i >> 4);
    struct iovec one[1] = {{p, N}};
    zc_case(io, s, one, 1, N);
    struct iovec two[3] = {{p + 4096, 100000}, {p, 10}, {p + 150000, 50000}};
    zc_case(io, s, two, 3, 150010);
    if (io_register_slab(io, p, N, 0) == 0) {
        struct iovec fixed[1] = {{p + 4096, 65536}};
        zc_case(io, s, fixed, 1, 65536);
    }
    assert_int_equal(up_ring(io)->sock.used, 0);
    sock_close(io, s[0]);
    sock_close(io, s[1]);
    test_io_end(io);
    munmap(p, N);
}

// ---- ends --------------------------------------------------------------------------------------------------------

// A peer that reads nothing keeps a zero-copy send's pages, a shutdown or not; an abort gives them back.
static void test_abort(void **state)
{
    enum { N = 1 << 20 };
    struct io *io = test_io();
    io_sock s[2];
    uint8_t *p = mmap(NULL, N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), b;
    assert_true(p != MAP_FAILED);
    memset(p, 7, N);
    sock_pair(io, s);
    struct zc z = {.op = {.done = zc_done}};
    struct iovec one = {p, N};
    io_send(io, &z.op, s[0], &one, 1, IO_SEND_ZC);
    for (int i = 0; i < 20 && !z.done; i++)
        io_poll(io, TEST_SECOND / 100);
    if (up_ring(io)->features & UP_SEND_ZC) {
        assert_false(z.done);
        io_shutdown(io, s[0]);
        for (int i = 0; i < 20; i++)
            io_poll(io, TEST_SECOND / 100);
        assert_false(z.done && z.res == N);
    }
    io_abort(io, s[0]);
    test_until(io, &z.done);
    int32_t n;
    while ((n = sock_recv(io, s[1], &b, 1)) > 0)
        ;
    assert_int_equal(n, -ECONNRESET);
    io_abort(io, s[0]); // twice does no harm
    sock_close(io, s[0]);
    sock_close(io, s[1]);
    munmap(p, N);
    test_io_end(io);
}

static void test_cancel(void **state)
{
    struct io *io = test_io();
    io_sock s[2];
    struct test_op r;
    struct stream st;
    char c;
    sock_pair(io, s);
    test_op_init(&r);
    io_recv(io, &r.op, s[0], &c, 1);
    stream_start(&st, io, s[1], 1);
    assert_int_equal(io_poll(io, TEST_SECOND / 100), 0);
    io_cancel(io, &r.op);
    io_cancel(io, &st.op);
    assert_int_equal(r.runs, 0);
    assert_int_equal(test_wait(io, &r), -ECANCELED);
    test_until(io, &st.ended);
    assert_int_equal(st.last, -ECANCELED);
    // Submitted and cancelled before the kernel saw either.
    test_op_init(&r);
    io_recv(io, &r.op, s[0], &c, 1);
    io_cancel(io, &r.op);
    assert_int_equal(test_wait(io, &r), -ECANCELED);
    assert_int_equal(up_ring(io)->sock.used, 0);
    sock_close(io, s[0]);
    sock_close(io, s[1]);
    test_io_end(io);
}

static void test_shutdown_ends_receives(void **state)
{
    struct io *io = test_io();
    io_sock s[2];
    struct test_op r;
    struct stream st;
    char c;
    sock_pair(io, s);
    test_op_init(&r);
    io_recv(io, &r.op, s[0], &c, 1);
    stream_start(&st, io, s[1], 1);
    io_poll(io, TEST_SECOND / 100);
    io_shutdown(io, s[0]);
    assert_int_equal(test_wait(io, &r), 0);
    test_until(io, &st.ended);
    assert_int_equal(st.last, 0);
    io_shutdown(io, s[0]); // twice does no harm
    sock_close(io, s[0]);
    sock_close(io, s[1]);
    test_io_end(io);
}

// A send that the peer does not read stays in flight, takes no other's place, and ends with a cancel.
static void test_send_blocked(void **state)
{
    enum { N = 32 << 20 };
    struct io *io = test_io();
    io_sock s[2];
    struct test_op t;
    uint8_t *p = calloc(1, N);
    struct iovec iov = {p, N};
    sock_pair(io, s);
    test_op_init(&t);
    io_send(io, &t.op, s[0], &iov, 1, 0);
    for (int i = 0; i < 5; i++)
        io_poll(io, TEST_SECOND / 200);
    assert_int_equal(t.runs, 0);
    io_cancel(io, &t.op);
    int32_t res = test_wait(io, &t);
    assert_true(res == -ECANCELED || (res > 0 && res < N));
    sock_close(io, s[0]);
    sock_close(io, s[1]);
    free(p);
    test_io_end(io);
}

// ---- many --------------------------------------------------------------------------------------------------------

static void fd_limit(rlim_t want)
{
    struct rlimit rl;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
    if (rl.rlim_cur >= want)
        return;
    rl.rlim_cur = SL_MIN(want, rl.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
}

// A thousand connections at once, each with a multishot receive armed, each sent to, echoed and checked.
static void test_thousand(void **state)
{
    enum { N = 1000 };
    struct io *io = test_io_with(
        &(struct uring_config){.entries = 256, .recv_buffers = 256, .recv_size = 512, .sockets = 2 * N});
    struct test_op *ops = calloc(N, sizeof(*ops));
    struct stream *streams = calloc(N, sizeof(*streams));
    struct acceptor a;
    fd_limit(2 * N + 100);
    acceptor_start(&a, io, "127.0.0.1", PORT + 1, N);
    uint64_t t0 = io_now_ns(io);
    for (uint32_t i = 0; i < N; i++) {
        test_op_init(&ops[i]);
        io_connect(io, &ops[i].op, "127.0.0.1", PORT + 1);
    }
    test_until(io, &a.full);
    uint64_t dt = io_now_ns(io) - t0;
    printf("  %d connections connected and accepted in %.1f ms: %.0f/s\n", N, (double)dt / 1e6,
           N * 1e9 / (double)dt);
    io_sock *clients = calloc(N, sizeof(io_sock));
    for (uint32_t i = 0; i < N; i++) {
        clients[i] = test_wait(io, &ops[i]);
        assert_true(clients[i] >= 0);
        stream_start(&streams[i], io, a.socks[i], 1);
    }
    uint8_t data[N];
    struct iovec iov[N];
    for (uint32_t i = 0; i < N; i++) {
        data[i] = (uint8_t)(i % 251);
        iov[i] = (struct iovec){&data[i], 1};
        test_op_init(&ops[i]);
        io_send(io, &ops[i].op, clients[i], &iov[i], 1, 0);
    }
    uint64_t want = 0, got = 0;
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(test_wait(io, &ops[i]), 1);
        want += data[i];
        io_shutdown(io, clients[i]);
    }
    for (uint32_t i = 0; i < N; i++) {
        test_until(io, &streams[i].ended);
        assert_int_equal(streams[i].last, 0);
        assert_int_equal(streams[i].bytes, 1);
        got += streams[i].sum;
    }
    assert_int_equal(got, want);
    for (uint32_t i = 0; i < N; i++) {
        sock_close(io, clients[i]);
        sock_close(io, a.socks[i]);
    }
    acceptor_stop(&a);
    assert_int_equal(up_ring(io)->sock.used, 0);
    assert_int_equal(up_ring(io)->file.used, 0);
    assert_int_equal(up_ring(io)->buf_out, 0);
    free(ops);
    free(streams);
    free(clients);
    test_io_end(io);
}

// More sockets than the ring was made for: operations wait in the queue, files do not.
static void test_socket_budget(void **state)
{
    enum { N = 64 };
    struct io *io = test_io();
    struct uring *u = up_ring(io);
    io_sock s[2];
    struct test_op r[N], w;
    char c[N];
    sock_pair(io, s);
    u->sock.cap = 16;
    for (int i = 0; i < N; i++) {
        test_op_init(&r[i]);
        io_recv(io, &r[i].op, s[0], &c[i], 1);
    }
    assert_int_equal(io_poll(io, TEST_SECOND / 200), 0);
    assert_int_equal(u->sock.used, 16);
    test_op_init(&w);
    struct io_stat st;
    io_stat(io, &w.op, "/", &st);
    assert_int_equal(test_wait(io, &w), 0);
    assert_true(st.is_dir);
    // Queued receives go on as others end; a raw send, since the budget is the receives'.
    char bytes[N];
    memset(bytes, 'y', N);
    assert_int_equal(send(s[1], bytes, N, 0), N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(test_wait(io, &r[i]), 1);
        assert_int_equal(c[i], 'y');
    }
    assert_int_equal(u->sock.used, 0);
    sock_close(io, s[0]);
    sock_close(io, s[1]);
    test_io_end(io);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send_recv),
        cmocka_unit_test(test_recv_all),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_reuseport),
        cmocka_unit_test(test_recv_multi),
        cmocka_unit_test(test_enobufs),
        cmocka_unit_test(test_starved_behind_idle),
        cmocka_unit_test(test_many_with_few_buffers),
        cmocka_unit_test(test_zero_copy),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_shutdown_ends_receives),
        cmocka_unit_test(test_send_blocked),
        cmocka_unit_test(test_thousand),
        cmocka_unit_test(test_socket_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
