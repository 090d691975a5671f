// A fetch under way, shared by its rounds (01_fetch.c) and its question and answer (fetch_answer.c).
#ifndef SLUICE_NET_API_FETCH_H
#define SLUICE_NET_API_FETCH_H

#include "net/api/common.h"
#include "net/fetch_session.h"
#include "proto/gen/fetch_request.h"
#include "proto/gen/fetch_response.h"

// A partition, in request or session order.
struct fetch_part {
    struct fetch_want want;       // want.id: of the topic as it is now, also when it was named
    int16_t error;                // before any shard is asked
    int32_t leader, leader_epoch; // the image's, for KIP-951; -1: unknown
    uint32_t shard;
    struct shard_fetch_part *in;      // question and answer; NULL with an error
    struct fetch_session_part *known; // of an incremental session
};
// A shard's share of the request.
struct fetch_group {
    uint32_t shard;
    struct shard_fetch f;
    struct call call;
    bool credit;  // of the last reply, kept
    bool watched; // a watch may be alive there
};
struct fetch_state {
    struct req *r;
    struct fetch_begin begin;
    struct fetch_part *parts;
    uint32_t parts_n;
    struct fetch_group *groups;
    uint32_t groups_n;
    uint32_t max_bytes, min_bytes, total;
    bool read_committed, follower;
    // rounds
    uint32_t pending;
    bool last, waiting, fired, expired, watching;
    struct net_watch watch;
    struct timer deadline;
    struct ready go;
};

// Makes the parts of the request, or of its session. A session error to answer with, or KERR_NONE.
int16_t fetch_plan(struct fetch_state *st, const struct kp_fetch_request *m);
// Answers the request with what the last round brought; the session, if any, is let go.
void fetch_answer(struct fetch_state *st);
void fetch_answer_error(struct fetch_state *st, int16_t error);
// Answers the request and, up to version 12, each of its partitions with the error.
void fetch_refuse(struct fetch_state *st, const struct kp_fetch_request *m, int16_t error);

#endif
