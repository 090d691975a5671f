// What the handlers of groups and offsets share: asking coordinators.
#ifndef SLUICE_NET_API_GROUPS_H
#define SLUICE_NET_API_GROUPS_H

#include "engine/coord/coord.h"
#include "net/api/common.h"

// AclOperation bits of a group (see API_TOPIC_OPS).
enum { GROUP_OPS = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11 };

// Requests to coordinators on behalf of one request of a client: those to one reactor travel together. The handler's
// state begins with a struct group_asks, so that the answers' memory goes with the request.
struct group_ask {
    struct coord_req q;
    struct call call; // of the first to its reactor
    uint32_t to;
};
struct group_asks {
    struct req *r;
    struct group_ask *v;
    uint32_t n, pending;
    void (*done)(struct req *r);
};

// Makes room for n of them; r->state must be set already.
void groups_init(struct req *r, uint32_t n);
// The i-th asks the coordinator of group `id`; `in` as req.h says. Its error is set instead when that cannot be known.
void groups_ask(struct req *r, uint32_t i, struct kp_str id, const void *in);
// The same for a partition of the groups' topic.
void groups_ask_partition(struct req *r, uint32_t i, int32_t partition, const void *in);
// Sends what can be sent; done(r) runs when all are home, perhaps at once.
void groups_send(struct req *r, void (*done)(struct req *r));
static inline struct coord_req *groups_answer(struct req *r, uint32_t i)
{
    return &((struct group_asks *)r->state)->v[i].q;
}
// Decodes for a request that may wait long for other members: it does not hold frame memory meanwhile.
bool groups_decode_kept(struct req *r, void *m, kp_decode_fn decode);
// "/127.0.0.1", as Java writes an address; in the request's arena.
struct kp_str groups_client_host(struct req *r);
// Whether the consumer protocol (KIP-848) is served: by the configuration and by the finalized features.
bool groups_consumer_protocol(const struct req *r);
// Partitions of __consumer_offsets; 0: there is none yet.
int32_t groups_partitions(const struct req *r);

#endif
