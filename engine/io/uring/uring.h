// The kernel's implementation of io.h, over io_uring (liburing 2.3 headers, Linux 6.1 or later).
#ifndef SLUICE_ENGINE_IO_URING_URING_H
#define SLUICE_ENGINE_IO_URING_URING_H

#include "engine/io/io.h"

struct uring_config {
    uint32_t entries; // SQ size, power of two; CQ is 8 times that, or more if the rest needs it
    uint32_t
        recv_buffers; // provided buffers for multishot receive: number (power of two, at most 32768; 0: none)
    uint32_t recv_size; // and bytes of each
    uint32_t
        sockets; // sockets open at once that the CQ has room for; 0: as many as `entries`. Above it operations
                 // on sockets queue in software behind others
};

struct uring_probe {
    char kernel[64];
    uint32_t features; // UP_*
    char line[512];    // one line for the start-up log
    char why[512];     // if the probe failed: what is missing and what a person can do about it
};
enum {
    UP_DEFER_TASKRUN = 1,
    UP_SEND_ZC = 2,
    UP_SENDMSG_ZC = 4,
    UP_MSG_RING = 8,
    UP_PBUF_RING = 16,
    UP_RECV_MULTI = 32,
    UP_ZC_REPORT = 64,
    UP_SPARSE_BUFS = 128,
    UP_FTRUNCATE = 256 // else a thread makes the call
};

// Checks what this kernel offers. 0, or -errno with `why` filled (kernel too old, kernel.io_uring_disabled, seccomp,
// memlock, ...).
int uring_probe(struct uring_probe *p);
// Makes an io on a ring of its own. Must be called, or first used, on the thread that will own it
// (SINGLE_ISSUER: the ring is enabled by the first io_poll).
struct io *uring_create(const struct uring_config *cfg, char *err, size_t err_cap);

#endif
