// A fetch under way, shared by its rounds (01_fetch.c) and its question and answer (fetch_answer.c).
#ifndef SLUICE_NET_API_FETCH_H
#define SLUICE_NET_API_FETCH_H

#include "net/api/common.h"
#include "net/fetch_session.h"
#include "proto/gen/fetch_request.h"
#include "proto/gen/fetch_response.h"

typedef void (*fetch_fired_fn)(struct net_watch *w, uint32_t from, struct shard_fired_key *f);

// A partition, in request or session order.
struct fetch_part {
    struct fetch_want want;       // want.id: of the topic as it is now, also when it was named
    int16_t error;                // before any shard is asked
    int32_t leader, leader_epoch; // the image's, for KIP-951; -1: unknown
    uint32_t shard;
    struct shard_fetch_part *in;      // question and answer; NULL with an error
    struct fetch_session_part *known; // of an incremental session
};
// What a connection's fetches leave at a shard, from one to the next (fetch_keep.c).
struct fetch_kept {
    struct shard_fetch f; // the question and its last answer; the parts are ours
    uint32_t cap;
    bool watched; // a watch is alive there under the keep's key
    bool current; // ... for this question, or it has brought the answer that is held
    bool empty;   // the answer: no error, and nothing to be had
    bool held;    // the answer came while no fetch waited, and waits for one; its pins:
    bool again;   // ... behind it the watch waits on
    struct shard_pins *pins;
};
struct fetch_keep {
    struct net *net;
    struct net_watch watch;
    struct fetch_state *st; // the fetch under way, or NULL
    struct timer hold;      // until when answers are held
    bool once;              // of one request only, in its memory
    struct fetch_kept shards[];
};
// A shard's share of the request.
struct fetch_group {
    uint32_t shard, to; // `to`: its reactor
    struct fetch_kept *kept;
    struct call call;
    struct shard_pins *pins; // of the answer
    bool credit;             // of the last reply, kept for the release of the pins
    bool asked;              // it was, by this request,
    bool busy;               // and has not replied yet
    uint64_t pusher;         // the watch whose notice brought the answer, or 0; the answer may outlive `kept`
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
    struct fetch_keep *keep;
    // rounds
    uint32_t pending;
    bool push; // any shard's answer suffices, so that watches push it
    bool last, waiting, expired;
    struct timer deadline;
    struct ready go;
};

// Divides the parts among their shards, in request order: makes the groups.
void fetch_groups_make(struct fetch_state *st, fetch_fired_fn fired);
// What was left at the shard of this reactor.
struct fetch_kept *fetch_kept_at(struct fetch_keep *keep, uint32_t reactor);
// An answer that a watch brought becomes the shard's last one; false: it is none to the question as it stands. Then it is the
// group's, or held.
bool fetch_answer_keep(struct fetch_kept *k, struct shard_fired_key *f);
void fetch_hold(struct fetch_keep *keep, struct fetch_kept *k, uint32_t to, bool again);
// The question moves behind the answer: the watch waits on there, if it does.
void fetch_go_on(struct fetch_kept *k, bool again);
// An answer that is held is the group's, if it is one to its question; else it is given back.
void fetch_held_use(struct fetch_state *st, struct fetch_group *g, bool use);
// The answer of a group's shard was taken over, or cannot come any more: nothing is kept of a request with many partitions.
void fetch_keep_end(struct fetch_state *st);

// Makes the parts of the request, or of its session. A session error to answer with, or KERR_NONE.
int16_t fetch_plan(struct fetch_state *st, const struct kp_fetch_request *m);
// Answers the request with what the last round brought; the session, if any, is let go.
void fetch_answer(struct fetch_state *st);
void fetch_answer_error(struct fetch_state *st, int16_t error);
// Answers the request and, up to version 12, each of its partitions with the error.
void fetch_refuse(struct fetch_state *st, const struct kp_fetch_request *m, int16_t error);

#endif
