/*
 * A hostile client: sends a broker requests that were valid until they were mutated, frames that lie about
 * their length, bytes that trickle in, and connections that come and go. It judges nothing but itself: the
 * script `hostile` beside it looks at the broker before, during and after.
 *
 *   hostile_client PORT mutate SEEDS COUNT RANDOM_SEED   COUNT mutations of each API and version in SEEDS
 *   hostile_client PORT frames SEEDS COUNT RANDOM_SEED   COUNT frames with wrong lengths, cut short or oversized
 *   hostile_client PORT slow SEEDS COUNT RANDOM_SEED     COUNT connections that send a request byte by byte
 *   hostile_client PORT flood COUNT                      COUNT connections opened at once, then dropped
 *
 * SEEDS is the file that java/Seeds.java writes. Everything goes to 127.0.0.1, from source addresses spread
 * over 127.0.0.0/8 so that closed connections do not use up the ports. Prints one line of counts.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNS = 256, /* connections at once while mutating: many, since some wait for what never comes */
    BATCH = 6,   /* most frames written to a connection before their answers are awaited */
    FRAME_MAX = 256 * 1024, /* a mutated frame's largest size */
    PATIENCE_MS = 200,      /* a connection without an answer for so long is closed */
    KINDS_MAX = 1024,       /* APIs x versions */
};

struct seed {
    uint16_t api, version;
    uint32_t len;
    const uint8_t *data;
};

struct kind { /* the seeds of one API and version lie together */
    uint32_t first, count;
};

struct conn {
    int fd;    /* -1 when closed */
    bool lost; /* the stream's framing was broken on purpose: no answers can be counted */
    uint32_t sent, answered;
    uint64_t deadline_ms;
    uint8_t *out;
    size_t out_len, out_at, out_cap;
    uint32_t head, head_bytes, body_left; /* parsing of answers: length prefix, then so many bytes */
};

static struct {
    struct sockaddr_in broker;
    struct seed *seeds;
    uint32_t nseeds;
    struct kind kinds[KINDS_MAX];
    uint32_t nkinds;
    uint64_t random;
    uint64_t frames, answers, closed_by_peer, impatient, refused;
    struct conn conns[CONNS];
    int epoll;
} g;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* xorshift64*: fast, seeded, good enough to pick mutations. */
static uint64_t rnd(void)
{
    g.random ^= g.random >> 12;
    g.random ^= g.random << 25;
    g.random ^= g.random >> 27;
    return g.random * 0x2545F4914F6CDD1DULL;
}

static uint32_t below(uint32_t n)
{
    assert(n > 0);
    return (uint32_t)((rnd() >> 32) % n);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static void load_seeds(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        die(path);
    long size = ftell(f);
    uint8_t *all = malloc((size_t)size);
    rewind(f);
    if (size <= 0 || fread(all, 1, (size_t)size, f) != (size_t)size)
        die(path);
    fclose(f);
    g.seeds = calloc((size_t)size / 8, sizeof *g.seeds);
    for (long at = 0; at + 8 <= size;) {
        struct seed *s = &g.seeds[g.nseeds];
        s->api = (uint16_t)(all[at] << 8 | all[at + 1]);
        s->version = (uint16_t)(all[at + 2] << 8 | all[at + 3]);
        s->len = be32(all + at + 4);
        s->data = all + at + 8;
        at += 8 + (long)s->len;
        bool same = g.nseeds && s[-1].api == s->api && s[-1].version == s->version;
        if (!same) {
            assert(g.nkinds < KINDS_MAX);
            g.kinds[g.nkinds++] = (struct kind){.first = g.nseeds};
        }
        g.kinds[g.nkinds - 1].count++;
        g.nseeds++;
    }
}

/* ---- mutations: each changes buf[0..*len) in place; cap is FRAME_MAX ---- */

static uint32_t place(uint32_t len)
{
    /* Mostly beyond API key, version and correlation id, so that the body is what suffers. */
    return len > 12 && below(8) ? 8 + below(len - 8) : below(len);
}

static void mutate_bits(uint8_t *buf, uint32_t *len)
{
    for (uint32_t n = 1 + below(8); n > 0; n--)
        buf[place(*len)] ^= (uint8_t)(1u << below(8));
}

static void mutate_number(uint8_t *buf, uint32_t *len)
{
    static const uint64_t values[] = {0,          1,        0x7f,       0x80,       0xff,       0x7fff,
                                      0x8000,     0xffff,   0x10000,    0x7fffffff, 0x80000000, 0xffffffffu,
                                      0x00ffffff, 0x400000, UINT64_MAX, INT64_MAX,  1ULL << 63, 1ULL << 32};
    unsigned bytes = 1u << below(4);
    if (*len < bytes + 1)
        return;
    uint32_t at = place(*len - bytes);
    uint64_t v = values[below(sizeof values / sizeof *values)];
    if (below(4) == 0)
        v = *len - at + below(8) - 4; /* about as many as bytes are left */
    put_be(buf + at, v, bytes);
}

static void mutate_varint(uint8_t *buf, uint32_t *len)
{
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    uint32_t n = 1 + below(sizeof huge), at = place(*len);
    if (at + n > *len)
        n = *len - at;
    memcpy(buf + at, huge + below((uint32_t)sizeof huge - n + 1), n);
    if (below(2))
        buf[at + n - 1] = (uint8_t)(0x07 + below(9));
}

static void mutate_cut(uint8_t *buf, uint32_t *len)
{
    (void)buf;
    *len = 1 + below(*len);
}

static void mutate_remove(uint8_t *buf, uint32_t *len)
{
    uint32_t at = place(*len), n = 1 + below(16);
    if (at + n >= *len)
        return;
    memmove(buf + at, buf + at + n, *len - at - n);
    *len -= n;
}

static void mutate_insert(uint8_t *buf, uint32_t *len)
{
    uint32_t at = place(*len), n = below(16) ? 1 + below(32) : below(FRAME_MAX / 2);
    if (*len + n > FRAME_MAX)
        return;
    memmove(buf + at + n, buf + at, *len - at);
    if (below(2) && at + 2 * n <= *len + n)
        memmove(buf + at, buf + at + n, n); /* repeat what follows */
    else
        for (uint32_t i = 0; i < n; i++)
            buf[at + i] = (uint8_t)rnd();
    *len += n;
}

static void mutate_splice(uint8_t *buf, uint32_t *len)
{
    const struct seed *other = &g.seeds[below(g.nseeds)];
    uint32_t at = place(*len), from = below(other->len), n = other->len - from;
    if (at + n > FRAME_MAX)
        return;
    memcpy(buf + at, other->data + from, n);
    *len = at + n;
}

static void mutate_version(uint8_t *buf, uint32_t *len)
{
    if (*len < 4)
        return;
    if (below(4) == 0)
        put_be(buf, below(96), 2);
    put_be(buf + 2, below(4) ? below(20) : rnd(), 2);
}

/* CRC-32C, a bit at a time: the batches of the seeds are small. */
static uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint32_t c = UINT32_MAX;
    while (n-- > 0) {
        c ^= *p++;
        for (int i = 0; i < 8; i++)
            c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
    }
    return ~c;
}

/*
 * Gives every record batch in the frame the CRC of what it holds now, so that a mutation reaches the code
 * behind that check. A batch: base offset i64 (0 in the seeds), length i32, epoch i32, magic i8 = 2, CRC.
 */
static void repair_batches(uint8_t *buf, uint32_t len)
{
    for (uint32_t at = 0; at + 61 <= len; at++) {
        uint8_t *b = buf + at;
        uint32_t length = be32(b + 8);
        if (b[16] != 2 || be32(b) || be32(b + 4) || length < 49 || length > len - at - 12)
            continue;
        put_be(b + 17, crc32c(b + 21, length - 9), 4);
        at += 11 + length;
    }
}

/* Copies a seed of the kind into buf and mutates it; returns its length. */
static uint32_t mutant(const struct kind *k, uint8_t *buf)
{
    static void (*const mutations[])(uint8_t *, uint32_t *) = {
        mutate_bits,   mutate_bits,   mutate_number, mutate_number, mutate_number, mutate_varint,
        mutate_varint, mutate_insert, mutate_remove, mutate_splice, mutate_cut,    mutate_version,
    };
    const struct seed *s = &g.seeds[k->first + below(k->count)];
    uint32_t len = s->len;
    memcpy(buf, s->data, len);
    if (below(32) == 0)
        return len; /* as it is */
    for (uint32_t n = 1 + below(3); n > 0 && len > 0; n--)
        mutations[below(sizeof mutations / sizeof *mutations)](buf, &len);
    if (s->api == 0 && below(4))
        repair_batches(buf, len);
    return len;
}

/* ---- connections ---- */

static int open_socket(bool blocking)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);
    if (fd < 0)
        die("socket");
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000000u | (1 + below(250)) << 8 | (1 + below(250)));
    if (bind(fd, (struct sockaddr *)&from, sizeof from))
        die("bind");
    if (connect(fd, (struct sockaddr *)&g.broker, sizeof g.broker) && errno != EINPROGRESS) {
        g.refused++;
        close(fd);
        return -1;
    }
    return fd;
}

static void close_hard(int fd)
{
    /* Half of the connections end with a reset, half with a FIN. */
    struct linger l = {.l_onoff = (int)below(2), .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(fd);
}

static void conn_close(struct conn *c)
{
    if (c->fd >= 0)
        close_hard(c->fd);
    c->fd = -1;
    c->out_len = c->out_at = 0;
    c->sent = c->answered = 0;
    c->head_bytes = c->body_left = c->head = 0;
    c->lost = false;
}

static void conn_append(struct conn *c, const void *data, size_t n)
{
    if (c->out_len + n > c->out_cap) {
        c->out_cap = (c->out_len + n) * 2;
        c->out = realloc(c->out, c->out_cap);
        if (!c->out)
            die("realloc");
    }
    memcpy(c->out + c->out_len, data, n);
    c->out_len += n;
}

static bool conn_open(struct conn *c)
{
    c->fd = open_socket(false);
    if (c->fd < 0)
        return false;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(g.epoll, EPOLL_CTL_ADD, c->fd, &ev))
        die("epoll_ctl");
    return true;
}

/* Counts answers in the bytes read. */
static void conn_parse(struct conn *c, const uint8_t *p, size_t n)
{
    while (n > 0) {
        if (c->body_left > 0) {
            size_t take = n < c->body_left ? n : c->body_left;
            c->body_left -= (uint32_t)take;
            p += take;
            n -= take;
        } else {
            c->head = c->head << 8 | *p++;
            n--;
            if (++c->head_bytes < 4)
                continue;
            c->head_bytes = 0;
            c->body_left = c->head;
        }
        if (c->body_left == 0 && c->head_bytes == 0) {
            c->answered++;
            g.answers++;
        }
    }
}

/* Writes and reads what it can. False when the peer closed or reset the connection. */
static bool conn_pump(struct conn *c)
{
    static uint8_t in[1 << 16];
    while (c->out_at < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
        if (n < 0)
            break;
        c->out_at += (size_t)n;
    }
    if (c->out_at < c->out_len && errno != EAGAIN && errno != ENOTCONN)
        return false;
    for (;;) {
        ssize_t n = recv(c->fd, in, sizeof in, 0);
        if (n == 0)
            return false;
        if (n < 0)
            return errno == EAGAIN;
        conn_parse(c, in, (size_t)n);
        c->deadline_ms = now_ms() + PATIENCE_MS;
    }
}

/* ---- mutate ---- */

struct work {
    uint64_t next, total; /* frames: next of total, all kinds in turn */
};

/* Gives a connection its next frames; one in 64 batches breaks the stream's framing as well. */
static void conn_feed(struct conn *c, struct work *w)
{
    static uint8_t buf[FRAME_MAX];
    c->out_len = c->out_at = 0;
    c->sent = c->answered = 0;
    /* A broker may close at the first bad frame, and those behind it are wasted: mostly send one. */
    for (uint32_t n = below(4) ? 1 : 1 + below(BATCH); n > 0 && w->next < w->total; n--) {
        uint32_t len = mutant(&g.kinds[w->next % g.nkinds], buf);
        uint8_t prefix[4];
        uint32_t claim = len;
        if (below(64) == 0) {
            claim = below(2) ? len + 1 + below(64) : below(len + 1);
            c->lost = true;
        }
        put_be(prefix, claim, 4);
        conn_append(c, prefix, 4);
        conn_append(c, buf, len);
        c->sent++;
        w->next++;
        g.frames++;
    }
    c->deadline_ms = now_ms() + PATIENCE_MS;
}

/* Moves one connection on; false if the broker does not accept connections any more. */
static bool conn_step(struct conn *c, struct work *w)
{
    for (int turns = 0; turns < 4; turns++) {
        if (c->fd < 0) {
            if (w->next >= w->total)
                return true;
            if (!conn_open(c))
                return false;
            conn_feed(c, w);
        }
        if (!conn_pump(c)) {
            g.closed_by_peer++;
            conn_close(c);
            continue;
        }
        bool whole = c->out_at == c->out_len && c->answered >= c->sent && !c->lost;
        if (whole && (w->next >= w->total || below(32) == 0)) {
            conn_close(c);
        } else if (whole) {
            conn_feed(c, w);
        } else if (now_ms() > c->deadline_ms) {
            g.impatient++;
            conn_close(c);
        } else {
            return true;
        }
    }
    return true;
}

static int run_mutate(uint64_t count)
{
    struct work w = {.total = count * g.nkinds};
    struct epoll_event evs[CONNS];
    g.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < CONNS; i++)
        g.conns[i].fd = -1;
    uint64_t swept = 0;
    for (;;) {
        int open = 0;
        uint64_t now = now_ms();
        for (int i = 0; i < CONNS && now != swept; i++) {
            if (!conn_step(&g.conns[i], &w))
                return fprintf(stderr, "the broker refuses connections\n"), 1;
        }
        swept = now;
        for (int i = 0; i < CONNS; i++)
            open += g.conns[i].fd >= 0;
        if (open == 0 && w.next >= w.total)
            return 0;
        int n = epoll_wait(g.epoll, evs, CONNS, 5);
        for (int i = 0; i < n; i++) {
            struct conn *c = evs[i].data.ptr;
            if (c->fd >= 0 && !conn_step(c, &w))
                return fprintf(stderr, "the broker refuses connections\n"), 1;
        }
    }
}

/* ---- frames, slow, flood: blocking, one connection after the other ---- */

static void wait_for_close(int fd, int ms)
{
    struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    char buf[4096];
    while (recv(fd, buf, sizeof buf, 0) > 0)
        continue;
}

static int run_frames(uint64_t count)
{
    static const uint32_t claims[] = {0x7fffffff, 0x80000000, 0xffffffff, 0,         1,
                                      7,          0x40000000, 0x06400001, 0x06400000};
    for (uint64_t i = 0; i < count; i++) {
        const struct seed *s = &g.seeds[below(g.nseeds)];
        uint8_t prefix[4];
        uint32_t kind = below(3), send_len = s->len;
        uint32_t claim = kind == 0 ? claims[below(sizeof claims / sizeof *claims)] : s->len;
        if (kind == 1)
            send_len = below(s->len + 1); /* cut short, then closed */
        if (kind == 2)
            claim = s->len + 1 + below(100000); /* promises more than comes */
        put_be(prefix, claim, 4);
        int fd = open_socket(true);
        if (fd < 0)
            return fprintf(stderr, "the broker refuses connections\n"), 1;
        uint32_t head = kind == 1 && below(4) == 0 ? below(4) : 4;
        if (send(fd, prefix, head, MSG_NOSIGNAL) == (ssize_t)head && head == 4)
            (void)!send(fd, s->data, send_len, MSG_NOSIGNAL);
        if (below(4) == 0)
            shutdown(fd, SHUT_WR);
        wait_for_close(fd, 1 + (int)below(3));
        close_hard(fd);
        g.frames++;
    }
    return 0;
}

/* Requests in single bytes, all connections in step; then each must have its answer. */
static int run_slow(uint32_t count)
{
    static const uint8_t api_versions[] = {0, 0, 0, 14, 0, 18, 0, 0, 0, 0, 0, 7, 0, 4, 's', 'l', 'o', 'w'};
    int *fds = calloc(count, sizeof *fds);
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = open_socket(true);
        if (fds[i] < 0)
            return fprintf(stderr, "the broker refuses connections\n"), 1;
    }
    for (size_t at = 0; at < sizeof api_versions; at++) {
        for (uint32_t i = 0; i < count; i++) {
            if (send(fds[i], api_versions + at, 1, MSG_NOSIGNAL) != 1)
                return perror("a slow sender was cut off"), 1;
        }
        usleep(20000);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t head[8];
        struct timeval t = {.tv_sec = 10};
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
        if (recv(fds[i], head, sizeof head, MSG_WAITALL) != (ssize_t)sizeof head || be32(head + 4) != 7)
            return fprintf(stderr, "slow sender %u has no answer\n", i), 1;
        g.answers++;
        close_hard(fds[i]);
    }
    free(fds);
    return 0;
}

static int run_flood(uint32_t count)
{
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    int *fds = calloc(count, sizeof *fds);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < count; i++)
            fds[i] = open_socket(false);
        usleep(100000);
        for (uint32_t i = 0; i < count; i++) {
            if (fds[i] < 0)
                continue;
            if (below(3) == 0)
                (void)!send(fds[i], "\0\0", 2, MSG_NOSIGNAL);
            close_hard(fds[i]);
            g.frames++;
        }
    }
    free(fds);
    return g.refused > 0;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return fprintf(stderr, "usage: hostile_client PORT mutate|frames|slow|flood [SEEDS] COUNT [SEED]\n"),
               2;
    signal(SIGPIPE, SIG_IGN);
    g.broker.sin_family = AF_INET;
    g.broker.sin_port = htons((uint16_t)atoi(argv[1]));
    g.broker.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g.random = 0x9E3779B97F4A7C15ULL ^ (argc > 5 ? strtoull(argv[5], NULL, 10) * 2 + 1 : 1);
    const char *mode = argv[2];
    int rc = 2;
    if (!strcmp(mode, "flood")) {
        rc = run_flood((uint32_t)atoi(argv[3]));
    } else if (argc > 4) {
        load_seeds(argv[3]);
        uint64_t count = strtoull(argv[4], NULL, 10);
        if (!strcmp(mode, "mutate"))
            rc = run_mutate(count);
        else if (!strcmp(mode, "frames"))
            rc = run_frames(count);
        else if (!strcmp(mode, "slow"))
            rc = run_slow((uint32_t)count);
    }
    printf("%s: %llu frames, %llu answers, %llu closed by the broker, %llu given up, %llu refused\n", mode,
           (unsigned long long)g.frames, (unsigned long long)g.answers, (unsigned long long)g.closed_by_peer,
           (unsigned long long)g.impatient, (unsigned long long)g.refused);
    return rc;
}
