// The coordinators' service of one reactor: groups and their offsets in the partitions of __consumer_offsets that live
// on its shard; later transactions in __transaction_state, over the same runtime.
//
// A group belongs to partition abs(hash of its id) mod (partitions of __consumer_offsets), as upstream has it, and lives
// on the reactor of the shard which owns that partition. Net services send it requests (req.h) by message: COORD_REQUEST
// with a chain of requests to one reactor, one credit for the chain. The reply comes when all of them are answered. A
// JoinGroup or SyncGroup that has to wait for other members gets its reply at once, with `parked` set, so that waiting
// members hold no credits; its end is told with COORD_DONE, one message at a time to each net service.
//
// How it hangs together:
//
//   net/api ── COORD_REQUEST ──► coord.c ── finds the partition ──► runtime.c ── begins an operation
//                                                                      │
//                                             group.c: dispatch by API key, group types, offsets (pure, ctx.h)
//                                                                      │
//   net/api ◄─ reply, COORD_DONE ─ durable ◄── SHARD_APPEND ◄── one v2 batch of all that a turn emitted
//
// A kind of group plugs in by a struct group_type (group.h): classic/ here, modern/ for KIP-848.
#ifndef SLUICE_ENGINE_COORD_COORD_H
#define SLUICE_ENGINE_COORD_COORD_H

#include "engine/base/config.h"
#include "engine/coord/req.h"
#include "engine/coord/topics.h"
#include "engine/shard/placement.h"
#include "engine/shard/shard.h"

#define COORD_GROUP_TOPIC "__consumer_offsets"
#define COORD_TXN_TOPIC   "__transaction_state"

enum coord_op {
    COORD_REQUEST =
        MSG_OP(SVC_COORD, 1), // u[0]: struct coord_req *, lent until the reply, or until COORD_DONE
    COORD_LET_GO =
        MSG_OP(SVC_COORD, 3), // a net service stops: whatever is parked is answered now. A request.
    // A request to a net service; u[0]: the first struct coord_req that is done, the others by ->next. They are its own
    // again, and it replies at once.
    COORD_DONE = MSG_OP(SVC_NET, 201),
};

// The partition of a group. id: bytes of its UTF-8 name; partitions > 0. Java's String.hashCode, then the absolute
// value (of the least int: 0), then the remainder.
int32_t coord_partition_of(const char *id, size_t n, int32_t partitions);

struct coord;
// Makes the service of reactor r, which must have a shard. `cfg`, `topics` and `pl` outlive it. NULL: no memory.
struct coord *coord_create(struct reactor *r, const struct config *cfg, const struct placement *pl,
                           const struct coord_topics *topics);
struct service *coord_service(struct coord *c);
void coord_destroy(struct coord *c);

#endif
