// How many connections there may be, over all net services of the process: max.connections, max.connections.per.ip with
// its overrides, max.connection.creation.rate (KIP-402, KIP-612).
//
// Beyond max.connections, and beyond the rate, a connection waits and nothing is accepted behind it; an address that has
// its share is refused, which closes the socket. The inter-broker listener, if it is not the only one, is let in all the
// same, and the connection of another listener that was quiet for longest makes room.
//
// One object is shared by all services under a lock: opening and closing a connection is no data path.
#ifndef SLUICE_NET_LIMITS_H
#define SLUICE_NET_LIMITS_H

#include "engine/base/config.h"

struct net_limits;
enum net_admit { NET_ADMIT, NET_WAIT, NET_REFUSE };
enum { NET_PEER_MAX = 64 }; // an address in text, with its NUL

// For the listeners and windows of `cfg`; its limits are checked, too. NULL, with err saying which key is wrong or that
// memory is short.
struct net_limits *net_limits_create(const struct config *cfg, char *err, size_t cap);
void net_limits_destroy(struct net_limits *l);

// May a connection from `peer` (text) to `listener` be served now (ns), by the limits that `cfg` has? *counted belongs to
// the connection and starts false: it counts for the rate once. NET_ADMIT: it counts until net_limits_leave. NET_WAIT:
// asks again at *until at the latest, or when one has left. NET_REFUSE: it is closed. Any thread.
enum net_admit net_limits_enter(struct net_limits *l, const struct config *cfg, const char *peer,
                                const struct cfg_listener *listener, uint64_t now, bool *counted,
                                uint64_t *until);
void net_limits_leave(struct net_limits *l, const char *peer);
// More connections are there than may: the caller closes one of its own that is not protected.
bool net_limits_over(struct net_limits *l, const struct config *cfg);
// The inter-broker listener beside others.
bool net_limits_protected(const struct net_limits *l, const struct cfg_listener *listener);
uint32_t net_limits_total(struct net_limits *l);

#endif
