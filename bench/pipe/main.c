// The bare pipe: what this machine can do at most for a synced produce, with nothing of a broker in it.
//
// Two processes. The sender writes 1 MiB frames to a loopback TCP connection. The receiver takes each frame,
// copies it into a block-aligned buffer while it computes CRC-32C, and writes that buffer with O_DIRECT, a few
// writes in flight, through io_uring. `--dsync` makes every write durable before it counts, `--no-disk` leaves
// the writes out. Prints one JSON object. Broker figures are quoted as shares of this, from the same run.
#include "engine/base/crc32c.h"
#include "engine/base/rand.h"
#include "engine/io/uring/uring.h"

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAME = 1 << 20, WRITES_MAX = 16, SENDER_MEMORY = 4 << 20 };

struct args {
    uint64_t bytes, file_bytes;
    const char *file;
    uint32_t writes;
    bool dsync, no_disk;
};

static const struct argp_option OPTIONS[] = {
    {"bytes", 'b', "N", 0, "Bytes to move (default 4 GiB)", 0},
    {"file", 'f', "FILE", 0, "File to write to, made and removed (default ./sluice-pipe.tmp)", 0},
    {"file-bytes", 'l', "N", 0, "Size of the file, written round and round (default 1 GiB)", 0},
    {"writes", 'w', "N", 0, "Writes in flight, 1 to 16 (default 4)", 0},
    {"dsync", 'd', NULL, 0, "Each write durable (RWF_DSYNC)", 0},
    {"no-disk", 'n', NULL, 0, "No writes", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case 'b':
        a->bytes = strtoull(arg, NULL, 10);
        break;
    case 'f':
        a->file = arg;
        break;
    case 'l':
        a->file_bytes = strtoull(arg, NULL, 10) / FRAME * FRAME;
        break;
    case 'w':
        a->writes = (uint32_t)strtoul(arg, NULL, 10);
        break;
    case 'd':
        a->dsync = true;
        break;
    case 'n':
        a->no_disk = true;
        break;
    case ARGP_KEY_END:
        if (a->bytes < FRAME || a->file_bytes < FRAME || a->writes < 1 || a->writes > WRITES_MAX)
            argp_error(state, "bytes and file-bytes from %d, writes from 1 to %d", FRAME, WRITES_MAX);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

// ---- sender -------------------------------------------------------------------------------------------------------
static int sender(uint16_t port, uint64_t bytes)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint8_t *memory = malloc(SENDER_MEMORY);
    struct sl_rand r;
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (!memory || fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
        return 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    sl_rand_seed(&r, 1);
    sl_rand_bytes(&r, memory, SENDER_MEMORY);
    for (uint64_t at = 0; at < bytes;) {
        size_t n = FRAME - at % FRAME;
        ssize_t k = send(fd, memory + at % SENDER_MEMORY, n, MSG_NOSIGNAL);
        if (k <= 0)
            return 1;
        at += (uint64_t)k;
    }
    return recv(fd, memory, 1, 0) == 0 ? 0 : 1; // until the receiver has all
}

// ---- receiver -----------------------------------------------------------------------------------------------------
struct slot {
    struct io_op op;
    struct receiver *r;
    uint8_t *buf;
    bool busy;
};

struct receiver {
    const struct args *a;
    struct io *io;
    io_sock listener, sock;
    io_file file;
    struct io_op op, accept_op;
    uint8_t *frame;
    uint32_t have;
    uint64_t got, written, pos;
    struct slot slots[WRITES_MAX];
    uint32_t crc;
    bool receiving, done;
    int err;
};

static void go_on(struct receiver *r);

static void fail(struct receiver *r, int err)
{
    r->err = err ? err : -EIO;
    r->done = true;
}

static void write_done(struct io_op *op, int32_t res)
{
    struct slot *s = SL_CONTAINER_OF(op, struct slot, op);
    s->busy = false;
    if (res != FRAME)
        fail(s->r, res);
    s->r->written += FRAME;
    go_on(s->r);
}

static struct slot *slot_free(struct receiver *r)
{
    for (uint32_t i = 0; i < r->a->writes; i++)
        if (!r->slots[i].busy)
            return &r->slots[i];
    return NULL;
}

// A whole frame is here: checksum, copy, write. False: all writes are in flight.
static bool frame_take(struct receiver *r)
{
    struct slot *s = slot_free(r);
    if (!s)
        return false;
    r->crc = crc32c_copy(r->crc, s->buf, r->frame, FRAME);
    r->have = 0;
    if (r->a->no_disk) {
        r->written += FRAME;
        return true;
    }
    s->busy = true;
    s->op = (struct io_op){.done = write_done};
    io_write(r->io, &s->op, r->file, s->buf, FRAME, r->pos, r->a->dsync ? IO_WRITE_DSYNC : 0);
    r->pos = (r->pos + FRAME) % r->a->file_bytes;
    return true;
}

static void recv_done(struct io_op *op, int32_t res)
{
    struct receiver *r = SL_CONTAINER_OF(op, struct receiver, op);
    r->receiving = false;
    if (res <= 0) {
        fail(r, res);
        return;
    }
    r->have += (uint32_t)res;
    r->got += (uint64_t)res;
    go_on(r);
}

static void go_on(struct receiver *r)
{
    if (r->done || (r->have == FRAME && !frame_take(r)))
        return;
    if (r->written >= r->a->bytes) {
        r->done = true;
        return;
    }
    if (r->receiving || r->got >= r->a->bytes)
        return;
    r->receiving = true;
    r->op = (struct io_op){.done = recv_done};
    io_recv(r->io, &r->op, r->sock, r->frame + r->have, FRAME - r->have);
}

static void accepted(struct io_op *op, int32_t res)
{
    struct receiver *r = SL_CONTAINER_OF(op, struct receiver, accept_op);
    if (res < 0) {
        if (r->sock < 0)
            fail(r, res);
        return;
    }
    r->sock = res;
    go_on(r);
}

struct wait {
    struct io_op op;
    int32_t res;
    bool done;
};

static void wait_done(struct io_op *op, int32_t res)
{
    struct wait *w = SL_CONTAINER_OF(op, struct wait, op);
    w->res = res;
    w->done = true;
}

static int32_t wait_for(struct io *io, struct wait *w)
{
    while (!w->done)
        io_poll(io, UINT64_MAX);
    return w->res;
}

static int file_make(struct receiver *r)
{
    struct wait o = {.op = {.done = wait_done}}, f = {.op = {.done = wait_done}};
    io_open(r->io, &o.op, r->a->file, IO_RDWR | IO_CREATE | IO_TRUNC | IO_DIRECT, 0644);
    r->file = wait_for(r->io, &o);
    if (r->file < 0)
        return r->file;
    io_fallocate(r->io, &f.op, r->file, 0, r->a->file_bytes);
    return wait_for(r->io, &f);
}

static int receiver_make(struct receiver *r, const struct args *a)
{
    struct uring_config uc = {.entries = 64, .sockets = 16};
    char err[256], host[64];
    uint16_t port;
    *r = (struct receiver){.a = a, .sock = -1};
    r->io = uring_create(&uc, err, sizeof(err));
    if (!r->io) {
        fprintf(stderr, "sluice-pipe: %s\n", err);
        return -EIO;
    }
    r->frame = aligned_alloc(IO_BLOCK, FRAME);
    for (uint32_t i = 0; i < a->writes; i++) {
        r->slots[i].r = r;
        r->slots[i].buf = aligned_alloc(IO_BLOCK, FRAME);
        memset(r->slots[i].buf, 0, FRAME);
    }
    r->listener = io_listen(r->io, "127.0.0.1", 0, 4);
    if (r->listener < 0 || io_sock_name(r->io, r->listener, false, host, sizeof(host), &port))
        return -EADDRNOTAVAIL;
    return a->no_disk ? port : file_make(r) < 0 ? -EIO : port;
}

static double seconds_of(struct timeval a, struct timeval b)
{
    return (double)(a.tv_sec + b.tv_sec) + (double)(a.tv_usec + b.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    struct args a = {.bytes = 4ull << 30, .file_bytes = 1ull << 30, .file = "sluice-pipe.tmp", .writes = 4};
    const struct argp argp = {
        OPTIONS, parse, NULL, "Loopback, CRC and copy, O_DIRECT writes: the limit of this machine.",
        NULL,    NULL,  NULL};
    struct receiver r;
    struct rusage before, mine, child;
    int status = 0;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    a.bytes = a.bytes / FRAME * FRAME;
    int port = receiver_make(&r, &a);
    if (port < 0) {
        fprintf(stderr, "sluice-pipe: cannot begin: %s\n", strerror(-port));
        return 1;
    }
    r.accept_op = (struct io_op){.done = accepted};
    pid_t pid = fork();
    if (pid == 0)
        _exit(sender((uint16_t)port, a.bytes));
    getrusage(RUSAGE_SELF, &before);
    uint64_t begin = io_now_ns(r.io);
    io_accept(r.io, &r.accept_op, r.listener);
    while (!r.done)
        io_poll(r.io, UINT64_MAX);
    double t = (double)(io_now_ns(r.io) - begin) / 1e9, gb = (double)r.written / 1e9;
    getrusage(RUSAGE_SELF, &mine);
    io_shutdown(r.io, r.sock);
    waitpid(pid, &status, 0);
    getrusage(RUSAGE_CHILDREN, &child);
    unlink(a.file);
    if (r.err || status) {
        fprintf(stderr, "sluice-pipe: %s\n", strerror(-r.err));
        return 1;
    }
    double cpu = seconds_of(mine.ru_utime, mine.ru_stime) - seconds_of(before.ru_utime, before.ru_stime);
    printf("{\"mb_per_s\": %.1f, \"seconds\": %.3f, \"receiver_cpu_s_per_gb\": %.4f, "
           "\"sender_cpu_s_per_gb\": %.4f, "
           "\"disk\": %s, \"dsync\": %s, \"crc\": %u}\n",
           gb * 1e3 / t, t, cpu / gb, seconds_of(child.ru_utime, child.ru_stime) / gb,
           a.no_disk ? "false" : "true", a.dsync ? "true" : "false", r.crc);
    return 0;
}
