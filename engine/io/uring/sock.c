// Sockets. Listeners have TCP_NODELAY, which accepted sockets inherit: no call per connection.

#include "engine/io/uring/uring_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { UP_BACKLOG_MAX = 1024 }; // see UP_CQ_SLACK

// ---- addresses ---------------------------------------------------------------------------------------------------

static int gai_errno(int rc)
{
    switch (rc) {
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_SYSTEM:
        return errno ? -errno : -EIO;
    default:
        return -EADDRNOTAVAIL;
    }
}

// host NULL or "": any address (to listen on) or loopback.
static int addr_resolve(const char *host, uint16_t port, int flags, struct addrinfo **out)
{
    char text[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    snprintf(text, sizeof(text), "%u", port);
    int rc = getaddrinfo(host && host[0] ? host : NULL, text, &hints, out);
    return rc == 0 ? 0 : gai_errno(rc);
}

static void opt_on(int fd, int level, int name)
{
    int one = 1;
    (void)setsockopt(fd, level, name, &one, sizeof(one));
}

// ---- listen, accept, connect -------------------------------------------------------------------------------------

static int listen_on(const struct addrinfo *a, bool any, uint32_t backlog)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    int v6only = !any;
    opt_on(fd, SOL_SOCKET, SO_REUSEADDR);
    opt_on(fd, SOL_SOCKET, SO_REUSEPORT);
    opt_on(fd, IPPROTO_TCP, TCP_NODELAY);
    // One socket for "any" takes both families.
    if (a->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 &&
        listen(fd, (int)SL_MIN(backlog, (uint32_t)UP_BACKLOG_MAX)) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

io_sock up_listen(struct io *io, const char *host, uint16_t port, uint32_t backlog)
{
    struct addrinfo *list;
    bool any = !host || !host[0];
    int rc = addr_resolve(host, port, AI_PASSIVE, &list);
    if (rc < 0)
        return rc;
    rc = -EADDRNOTAVAIL;
    // IPv6 first for "any": it takes IPv4 too; where IPv6 is off, IPv4 alone.
    for (const struct addrinfo *a = list; a && rc < 0 && any; a = a->ai_next) {
        if (a->ai_family == AF_INET6)
            rc = listen_on(a, true, backlog);
    }
    for (const struct addrinfo *a = list; a && rc < 0; a = a->ai_next)
        rc = listen_on(a, false, backlog);
    freeaddrinfo(list);
    return rc;
}

void up_accept(struct io *io, struct io_op *op, io_sock s)
{
    struct up_op *o = up_prep(op, UK_ACCEPT, IORING_OP_ACCEPT, s, NULL, 0, 0, SOCK_CLOEXEC);
    o->ioprio = IORING_ACCEPT_MULTISHOT;
    up_issue(up_ring(io), op);
}

// Names are resolved at once: connections out are few and configured. A literal address does not block.
void up_connect(struct io *io, struct io_op *op, const char *host, uint16_t port)
{
    struct uring *u = up_ring(io);
    struct addrinfo *list = NULL;
    struct up_aux *aux = NULL;
    int fd = -1;
    struct up_op *o = up_prep(op, UK_CONNECT, IORING_OP_CONNECT, -1, NULL, 0, 0, 0);
    int rc = addr_resolve(host, port, 0, &list);
    if (rc < 0)
        goto err;
    rc = -ENOMEM;
    aux = up_aux_get(u);
    if (!aux)
        goto err;
    fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    rc = -errno;
    if (fd < 0)
        goto err;
    opt_on(fd, IPPROTO_TCP, TCP_NODELAY);
    memcpy(&aux->addr, list->ai_addr, list->ai_addrlen);
    o->fd = fd;
    o->addr = (uint64_t)(uintptr_t)&aux->addr;
    o->off = list->ai_addrlen;
    o->aux = aux;
    freeaddrinfo(list);
    up_issue(u, op);
    return;
err:
    if (aux)
        up_aux_put(u, aux);
    if (list)
        freeaddrinfo(list);
    up_local(u, op, rc);
}

int32_t up_connect_done(struct uring *u, struct up_op *o, int32_t res)
{
    up_aux_put(u, o->aux);
    if (res == 0)
        return o->fd;
    close(o->fd);
    return res;
}

// ---- receive -----------------------------------------------------------------------------------------------------

void up_recv(struct io *io, struct io_op *op, io_sock s, void *buf, uint32_t len, bool all)
{
    up_prep(op, UK_SOCK, IORING_OP_RECV, s, buf, len, 0, all ? MSG_WAITALL : 0);
    up_issue(up_ring(io), op);
}

void up_recv_multi(struct io *io, struct io_op *op, io_sock s)
{
    struct uring *u = up_ring(io);
    SL_ASSERT(u->buf_n > 0);
    struct up_op *o = up_prep(op, UK_RECV_MULTI, IORING_OP_RECV, s, NULL, 0, 0, 0);
    o->ioprio = IORING_RECV_MULTISHOT;
    o->sqe_flags = IOSQE_BUFFER_SELECT;
    if (u->buf_out < u->buf_n && !u->buf_dry && !u->starved.first) {
        up_issue(u, op);
        return;
    }
    // The kernel would answer ENOBUFS at once, again and again; and who waits already comes first.
    o->state = US_STARVED;
    up_fifo_push(&u->starved, op);
}

// ---- send --------------------------------------------------------------------------------------------------------

// One piece needs no msghdr; from a registered slab the kernel need not pin its pages.
static void send_one(struct uring *u, struct io_op *op, io_sock s, const struct iovec *iov, bool zc)
{
    struct up_op *o =
        up_prep(op, zc ? UK_SEND_ZC : UK_SOCK, zc ? IORING_OP_SEND_ZC : IORING_OP_SEND, s, iov->iov_base,
                (uint32_t)SL_MIN(iov->iov_len, (size_t)INT32_MAX), 0, MSG_NOSIGNAL | MSG_WAITALL);
    int slab = zc ? up_slab_find(u, iov->iov_base, o->len) : -1;
    if (slab >= 0) {
        o->ioprio |= IORING_RECVSEND_FIXED_BUF;
        o->buf_index = (uint16_t)slab;
    }
}

void up_send(struct io *io, struct io_op *op, io_sock s, const struct iovec *iov, uint32_t n, uint32_t fl)
{
    struct uring *u = up_ring(io);
    bool zc = (fl & IO_SEND_ZC) && (u->features & (n == 1 ? UP_SEND_ZC : UP_SENDMSG_ZC));
    SL_ASSERT(n > 0);
    if (n == 1) {
        send_one(u, op, s, iov, zc);
    } else {
        struct up_aux *aux = up_aux_get(u);
        struct up_op *o =
            up_prep(op, zc ? UK_SEND_ZC : UK_SENDMSG, zc ? IORING_OP_SENDMSG_ZC : IORING_OP_SENDMSG, s,
                    aux ? &aux->msg : NULL, 1, 0, MSG_NOSIGNAL | MSG_WAITALL);
        if (!aux) {
            up_local(u, op, -ENOMEM);
            return;
        }
        aux->msg = (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
        o->aux = aux;
    }
    if (zc && (u->features & UP_ZC_REPORT))
        up_of(op)->ioprio |= UC_SEND_ZC_REPORT_USAGE;
    up_issue(u, op);
}

// ---- the rest ----------------------------------------------------------------------------------------------------

void up_shutdown(struct io *io, io_sock s)
{
    (void)shutdown(s, SHUT_RDWR); // ENOTCONN: the peer was faster
}

// Connecting a stream socket to no address disconnects it: its queues are freed, its peer is reset (tcp(7), connect(2)).
void up_abort(struct io *io, io_sock s)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    (void)shutdown(s, SHUT_RDWR); // operations that wait on it end with what they have
    (void)connect(s, &none, sizeof(none));
}

void up_close_sock(struct io *io, struct io_op *op, io_sock s)
{
    SL_ASSERT(s >= 0);
    // Counted with the files: it always completes, however many sockets wait.
    up_prep(op, UK_FILE, IORING_OP_CLOSE, s, NULL, 0, 0, 0);
    up_issue(up_ring(io), op);
}

int up_sock_name(struct io *io, io_sock s, bool peer, char *host, size_t cap, uint16_t *port)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    int rc =
        peer ? getpeername(s, (struct sockaddr *)&ss, &len) : getsockname(s, (struct sockaddr *)&ss, &len);
    if (rc < 0)
        return -errno;
    if (ss.ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)&ss;
        *port = ntohs(a->sin_port);
        return inet_ntop(AF_INET, &a->sin_addr, host, (socklen_t)cap) ? 0 : -errno;
    }
    if (ss.ss_family != AF_INET6)
        return -EAFNOSUPPORT;
    const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&ss;
    *port = ntohs(a->sin6_port);
    // A client that came over IPv4 to a socket for both is shown as it knows itself.
    if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr))
        return inet_ntop(AF_INET, &a->sin6_addr.s6_addr[12], host, (socklen_t)cap) ? 0 : -errno;
    return inet_ntop(AF_INET6, &a->sin6_addr, host, (socklen_t)cap) ? 0 : -errno;
}
