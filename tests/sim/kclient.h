// A small Kafka client for fibers on a simulated reactor: one connection, requests answered in order.
#ifndef SLUICE_TESTS_SIM_KCLIENT_H
#define SLUICE_TESTS_SIM_KCLIENT_H

#include "engine/io/fiber.h"
#include "proto/codec.h"
#include "tests/sim/run.h"

struct kconn;

// A request in flight. The caller's, until `done` ran; the answer's strings and records live until kcall_free.
struct kcall {
    void (*done)(struct kcall *c); // on the reader's fiber; err and resp are set
    int err;                       // 0, or -ECONNRESET: no answer will come, what happened is unknown
    int16_t api, version;
    void *resp; // the caller's struct of the response message
    struct arena arena;
    uint8_t *frame; // the answer's bytes
    int32_t correlation;
    struct list_node node;
    struct fiber *waiter;
};

// Fiber. Connects to the port; NULL if nobody listens or the connection breaks.
struct kconn *kconn_open(struct run *run, struct reactor *r, uint16_t port);
// Queues a request (req: the struct of its message) behind those before it; any fiber of the reactor. c->resp, api,
// version and done are set by the caller. On a broken connection `done` runs before this returns.
void kconn_send(struct kconn *c, struct kcall *call, const void *req);
// Fiber. The same, and waits. 0 or -ECONNRESET. kcall_free afterwards.
int kconn_call(struct kconn *c, struct kcall *call, int16_t api, int16_t version, const void *req,
               void *resp);
void kcall_free(struct kcall *call);
bool kconn_broken(const struct kconn *c);
// Breaks the connection; it is freed when its fibers have ended. Calls in flight end with an error first.
void kconn_close(struct kconn *c);

#endif
