// The net service of one reactor: listeners, connections, frames, request dispatch (net/api/NN_name.c: a file
// per API).
#ifndef SLUICE_NET_NET_H
#define SLUICE_NET_NET_H

#include "engine/base/config.h"
#include "engine/meta/meta.h"
#include "engine/shard/placement.h"
#include "net/limits.h"

struct net;

struct net_config {
    const struct config *cfg; // outlives the service
    const struct placement *placement;
    struct net_limits *limits; // one for all services; outlives them
    uint64_t frame_pool_bytes; // frames in flight of this service
    struct prefault *prefault; // gets memory for frames ready; outlives the service; NULL: nobody does
    struct metrics *metrics;   // of all reactors, for the metrics endpoint; NULL: there is none
    uint32_t metrics_n;
};
// Makes the service of reactor `r`. It opens no port before net_listen. NULL on lack of memory.
struct net *net_create(struct reactor *r, const struct net_config *cfg);
struct service *net_service(struct net *n);
// Opens every client listener of the configuration (SO_REUSEPORT: each reactor listens) and starts to accept.
// This reactor's thread or before it runs. 0, or -errno with err naming the listener.
int net_listen(struct net *n, char *err, size_t cap);
void net_destroy(struct net *n);

#endif
