/* A blocking connection to a broker for `sluice crash-check`: one request at a time, each with a deadline. One thread. */
#ifndef SLUICE_TOOLS_SLUICE_CRASH_WIRE_H
#define SLUICE_TOOLS_SLUICE_CRASH_WIRE_H

#include "proto/codec.h"

struct crash_wire {
    int fd; /* -1: not connected */
    int32_t correlation;
    uint8_t *buf; /* of the last answer, or of a request under way */
    size_t cap;
    struct arena arena; /* of the last answer */
};

/* Not connected; crash_wire_free gives its memory back. */
void crash_wire_init(struct crash_wire *w);
/* Connects to 127.0.0.1:port; timeout_ms bounds this and every later wait. 0 or -errno. */
int crash_wire_open(struct crash_wire *w, uint16_t port, int timeout_ms);
/* Closes; the memory stays for the next open. */
void crash_wire_close(struct crash_wire *w);
void crash_wire_free(struct crash_wire *w);

/* Sends a request of an API and decodes its answer into `resp`, valid until the next call. 0, or -errno: then the
 * connection is closed, and whether the broker did it is not known. */
int crash_wire_ask(struct crash_wire *w, int16_t api, int16_t version, const void *req, void *resp);

#endif
