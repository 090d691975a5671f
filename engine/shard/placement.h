// Which service runs on which reactor. Set once at start, read by everyone.
#ifndef SLUICE_ENGINE_SHARD_PLACEMENT_H
#define SLUICE_ENGINE_SHARD_PLACEMENT_H

#include "engine/io/reactor.h"

struct placement {
    uint32_t reactors;
    uint32_t shards;
    uint32_t shard_reactor[REACTOR_MAX]; // shard -> reactor
    uint32_t nets;
    uint32_t net_reactor[REACTOR_MAX]; // net service -> reactor
};

// fused: a net service and a shard on every reactor. split: net services on the first half (at least one reactor),
// shards on the rest; one reactor has both.
static inline void placement_make(struct placement *p, uint32_t reactors, bool split)
{
    uint32_t nets = split && reactors > 1 ? reactors / 2 : reactors;
    uint32_t first_shard = split && reactors > 1 ? nets : 0;
    *p = (struct placement){.reactors = reactors, .shards = reactors - first_shard, .nets = nets};
    for (uint32_t i = 0; i < p->shards; i++)
        p->shard_reactor[i] = first_shard + i;
    for (uint32_t i = 0; i < nets; i++)
        p->net_reactor[i] = i;
}

#endif
