// What a shard tells of a partition's producers (DescribeProducers).
#ifndef SLUICE_ENGINE_SHARD_PRODUCERS_H
#define SLUICE_ENGINE_SHARD_PRODUCERS_H

#include "engine/shard/shard.h"

enum { SHARD_PRODUCERS = MSG_OP(SVC_SHARD, 40) }; // u[0]: struct shard_producers *

// What a partition knows of its producers. The lists are malloc'd by the shard, and the asker's from the answer on.
struct shard_producer {
    int64_t producer_id;
    int64_t last_timestamp;
    int64_t txn_first_offset; // -1: no open transaction
    int32_t last_sequence;    // -1: none
    int32_t coordinator_epoch;
    int16_t epoch;
};
struct shard_producers_part {
    struct sl_uuid topic_id;
    int32_t partition;
    int16_t error;
    struct shard_producer *producers;
    uint32_t producers_n;
};
struct shard_producers {
    struct shard_producers_part *parts;
    uint32_t n;
    void *owner;
    uint32_t from;
};

#endif
