// A request to a coordinator, made and lent by a net service (coord.h), or by a unit test.
#ifndef SLUICE_ENGINE_COORD_REQ_H
#define SLUICE_ENGINE_COORD_REQ_H

#include "engine/base/arena.h"
#include "engine/base/list.h"
#include "engine/base/uuid.h"
#include "proto/codec.h"

// `api` is Kafka's API key and says what `in` and `out` are. `in` is the sender's; `out` lies in `arena`, which the
// coordinator fills and the sender frees. Nothing in `out` points to memory of the coordinator's.
//
//  api                        in                                                        out
//   8 OffsetCommit            kp_offset_commit_request; topics that exist, with names   kp_offset_commit_response
//   9 OffsetFetch             one kp_offset_fetch_request_offset_fetch_request_group    one ..._response_..._group
//  11 JoinGroup  14 SyncGroup  12 Heartbeat  13 LeaveGroup  47 OffsetDelete  68 ConsumerGroupHeartbeat:
//                             the request                                               the response
//  15 DescribeGroups          nothing: `group`                                          one ..._described_group
//  16 ListGroups              kp_list_groups_request; one a partition           kp_list_groups_response
//  42 DeleteGroups            nothing: `group`                                          nothing: `error`
//  69 ConsumerGroupDescribe   nothing: `group`                                          one ..._described_group
//
// With `error` set, `out` is NULL and the sender makes the answer that upstream's request class makes of an error,
// unless the table above says otherwise.
struct coord_req {
    // in
    int16_t api, version;
    struct sl_uuid topic_id; // of the coordinator's topic
    int32_t partition;       // of it
    struct kp_str group;     // group id, never null
    struct kp_str client_id, client_host;
    const void *in;
    bool require_stable;    // OffsetFetch
    struct coord_req *next; // requests to the same reactor travel together; the first one stands for all
    // out
    int16_t error;       // KERR_*
    const char *message; // for the error, in `arena` or static; NULL: none
    void *out;
    // Set in the reply: the answer comes later, in a COORD_DONE. Only JoinGroup and SyncGroup that travel alone.
    bool parked;
    struct arena arena;
    void *owner; // the sender's
    // the coordinator's while under way
    struct list_node node;
    struct coord_req *head;
    uint32_t pending; // of the head: how many of the chain are not answered
    uint32_t from;
    uint64_t wait; // batch that must be durable
    bool answered;
};

#endif
