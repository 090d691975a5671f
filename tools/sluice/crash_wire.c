#include "tools/sluice/crash_wire.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/base/bytes.h"
#include "proto/gen/request_header.h"
#include "proto/gen/response_header.h"

enum { ANSWER_MAX = 64 << 20, HEAD_ROOM = 128 };

void crash_wire_init(struct crash_wire *w)
{
    *w = (struct crash_wire){.fd = -1};
    arena_init(&w->arena, 2 * ANSWER_MAX);
}

int crash_wire_open(struct crash_wire *w, uint16_t port, int timeout_ms)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int one = 1;
    crash_wire_close(w);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    w->fd = fd;
    return 0;
}

void crash_wire_close(struct crash_wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

void crash_wire_free(struct crash_wire *w)
{
    crash_wire_close(w);
    arena_free(&w->arena);
    free(w->buf);
    w->buf = NULL;
    w->cap = 0;
}

static int reserve(struct crash_wire *w, size_t n)
{
    if (n <= w->cap)
        return 0;
    uint8_t *grown = realloc(w->buf, n);
    if (!grown)
        return -ENOMEM;
    w->buf = grown;
    w->cap = n;
    return 0;
}

static int send_all(int fd, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t did = send(fd, p, n, MSG_NOSIGNAL);
        if (did <= 0)
            return did ? -errno : -EPIPE;
        p += did;
        n -= (size_t)did;
    }
    return 0;
}

static int recv_all(int fd, uint8_t *p, size_t n)
{
    while (n) {
        ssize_t did = recv(fd, p, n, 0);
        if (did <= 0)
            return did ? -errno : -ECONNRESET;
        p += did;
        n -= (size_t)did;
    }
    return 0;
}

static int send_request(struct crash_wire *w, int16_t api, int16_t version, const void *req)
{
    const struct kp_message *m = kp_message_find(KP_KIND_REQUEST, api);
    struct kp_request_header h;
    int64_t n = m->size(req, version);
    int16_t hv = kp_request_header_version(api, version);
    SL_ASSERT(n >= 0 && hv >= 0);
    kp_request_header_init(&h);
    h.request_api_key = api;
    h.request_api_version = version;
    h.correlation_id = ++w->correlation;
    h.client_id = KP_STR_LIT("sluice-crash-check");
    int rc = reserve(w, 4 + HEAD_ROOM + (size_t)n);
    if (rc)
        return rc;
    struct kp_writer out = {.buf = w->buf + 4, .cap = w->cap - 4};
    rc = kp_request_header_encode(&h, hv, &out);
    if (!rc)
        rc = m->encode(req, version, &out);
    SL_ASSERT(rc == 0);
    be32_store(w->buf, (uint32_t)out.len);
    return send_all(w->fd, w->buf, out.len + 4);
}

static int receive_answer(struct crash_wire *w, int16_t api, int16_t version, void *resp)
{
    struct kp_response_header h;
    uint8_t head[4];
    int rc = recv_all(w->fd, head, 4);
    uint32_t n = be32_load(head);
    if (!rc && n > ANSWER_MAX)
        rc = -EMSGSIZE;
    if (!rc)
        rc = reserve(w, n);
    if (!rc)
        rc = recv_all(w->fd, w->buf, n);
    if (rc)
        return rc;
    arena_reset(&w->arena);
    int64_t used =
        kp_response_header_decode(&h, w->buf, n, kp_response_header_version(api, version), &w->arena);
    if (used < 0 || h.correlation_id != w->correlation)
        return -EBADMSG;
    const struct kp_message *m = kp_message_find(KP_KIND_RESPONSE, api);
    return m->decode(resp, w->buf + used, n - (size_t)used, version, &w->arena) < 0 ? -EBADMSG : 0;
}

int crash_wire_ask(struct crash_wire *w, int16_t api, int16_t version, const void *req, void *resp)
{
    SL_ASSERT(w->fd >= 0);
    int rc = send_request(w, api, version, req);
    if (!rc)
        rc = receive_answer(w, api, version, resp);
    if (rc)
        crash_wire_close(w);
    return rc;
}
