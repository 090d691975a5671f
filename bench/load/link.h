// A connection to a broker: requests go out in order, several at a time, and their answers come in order.
//
// A call and the bytes it names belong to the link from link_send until its `done` ran. Answers are parsed in
// place in the receive buffer: the body is valid during `done`, or, when `done` calls link_hold, until
// link_resume; nothing further is taken from the connection meanwhile. One reactor's thread.
#ifndef SLUICE_BENCH_LOAD_LINK_H
#define SLUICE_BENCH_LOAD_LINK_H

#include "engine/base/list.h"
#include "engine/io/reactor.h"
#include "proto/codec.h"

struct link;

struct link_call {
    struct list_node node;
    // rc: 0, with the answer behind its header (none at acks=0); or -errno: the connection is gone.
    void (*done)(struct link_call *c, int rc, const uint8_t *body, uint32_t n);
    struct iovec *iov; // the request with its length prefix
    uint32_t iov_n;
    uint32_t bytes;
    int32_t correlation;
    int16_t api, version;
    bool no_answer, in_send;
    uint64_t t_send; // when it was handed to the link
};

enum { LINK_IOV = 64, LINK_SEND_BYTES = 4 << 20, LINK_HEAD_MAX = 64 };

struct link {
    struct reactor *r;
    io_sock sock;
    bool connecting, broken, sending, receiving, held, closing;
    int why; // broken: -errno
    int32_t node_id;
    struct list_node calls; // sent or to be sent, in order
    uint32_t calls_n;
    struct link_call *at; // the first not yet wholly sent; NULL: none
    uint32_t at_iov;
    size_t at_off;
    struct io_op connect_op, send_op, recv_op, close_op;
    struct iovec iov[LINK_IOV];
    uint8_t *in;
    uint32_t in_at, in_len, in_cap;
    int32_t next_correlation;
    uint64_t bytes_out, bytes_in;
    void *owner;
    void (*on_broken)(struct link *l); // may be NULL
    char host[256];
    uint16_t port;
};

// Begins to connect. Calls may be sent at once. `l` is the caller's and lives until link_closed says true.
void link_open(struct link *l, struct reactor *r, const char *host, uint16_t port);

// Connects anew, after link_closed said true, to where the broker is now. Owner, on_broken, node_id and the counts of bytes
// stay.
void link_reopen(struct link *l, const char *host, uint16_t port);

// Writes the request's length and header into `out` (LINK_HEAD_MAX bytes); the body of `body` bytes follows.
// Sets the call's api, version and correlation. Returns the bytes written.
uint32_t link_head(struct link *l, struct link_call *c, int16_t api, int16_t version, uint32_t body,
                   uint8_t *out);

// A request in one piece, in memory of its own that is kept for the next one. Zeros to begin with.
struct link_request {
    struct iovec iov;
    uint8_t *buf;
    size_t cap;
};
// Encodes `msg`, the API's request in that version, into `q`, and makes it what the call sends: `done` is left to set. No call
// with `q` may be under way. link_request_free: when none will be.
void link_encode(struct link *l, struct link_call *c, struct link_request *q, int16_t api, int16_t version,
                 const void *msg);
void link_request_free(struct link_request *q);

// Queues a call, whose iov, iov_n, bytes and done are set. On a broken link `done` runs at the end of the turn.
void link_send(struct link *l, struct link_call *c);

// From within `done`: keeps the body.
void link_hold(struct link *l);
void link_resume(struct link *l);

// Shuts down; calls in flight end with an error.
void link_close(struct link *l);
// No operation is in flight any more: the memory is the caller's again.
bool link_closed(const struct link *l);

#endif
