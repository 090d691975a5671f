// Incremental fetch sessions (KIP-227) of one net service: what a client fetches is remembered, so that its requests name
// only changes and answers leave out partitions without news.
//
// A session belongs to the net service that made it; another answers FETCH_SESSION_ID_NOT_FOUND, after which clients begin
// anew. Bounded in sessions (max.incremental.fetch.session.cache.slots, divided among the net services) and in partitions
// a session. Owner thread only.
#ifndef SLUICE_NET_FETCH_SESSION_H
#define SLUICE_NET_FETCH_SESSION_H

#include "engine/base/err.h"
#include "engine/base/kerr.h"
#include "engine/base/list.h"
#include "engine/base/table.h"
#include "proto/codec.h"

enum {
    FETCH_SESSION_NONE = 0,  // session id: none
    FETCH_EPOCH_INITIAL = 0, // a full request that wants a session
    FETCH_EPOCH_FINAL = -1,  // a full request that wants none
    FETCH_SESSION_PARTS_MAX = 1 << 20,
    FETCH_SESSION_EVICT_MS =
        120000, // idle for so long: may go for a newcomer; a larger one may after so long a life
};

// One partition as a fetch asks for it. `name` is given in sessions by name (Fetch up to 12), `id` in sessions by id.
struct fetch_want {
    struct kp_str name;
    struct sl_uuid id;
    int32_t partition;
    int32_t max_bytes;
    int64_t offset;
    int32_t current_leader_epoch, last_fetched_epoch;
};
// What was answered for one.
struct fetch_news {
    int16_t error;
    bool diverging;
    uint32_t bytes;
    int64_t high_watermark, log_start;
};

struct fetch_session_part {
    struct list_node node; // in the session's order
    UT_hash_handle hh;
    struct fetch_want want;            // its name points behind this structure
    int64_t high_watermark, log_start; // as last answered; -1: to be answered again
};
struct fetch_session {
    int32_t id, epoch; // epoch: that the next request must carry
    bool by_id;
    bool privileged; // a follower's
    uint32_t refs;   // the cache's and those of requests under way
    uint32_t n;
    struct list_node parts;
    struct fetch_session_part *index;
    uint64_t used_ms, created_ms;
    struct list_node lru; // the least recently used first
    UT_hash_handle hh;    // by id; in the cache while lru is linked
};

struct fetch_sessions;
struct fetch_sessions_config {
    uint32_t slots;
    uint32_t (*random)(void *arg); // unpredictable
    void *arg;
};
struct fetch_sessions *fetch_sessions_create(const struct fetch_sessions_config *cfg);
void fetch_sessions_free(struct fetch_sessions *fs); // no request may hold a session
uint32_t fetch_sessions_count(const struct fetch_sessions *fs);

// How a request is to be answered.
enum fetch_kind { FETCH_SESSIONLESS, FETCH_FULL, FETCH_INCREMENTAL };
struct fetch_begin {
    // in
    int32_t session_id, epoch;
    bool by_id; // Fetch 13 and later
    const struct fetch_want *wants;
    uint32_t wants_n;
    const struct fetch_want *forgotten; // name or id, and partition
    uint32_t forgotten_n;
    uint64_t now_ms;
    // out
    enum fetch_kind kind;
    struct fetch_session *session; // FETCH_INCREMENTAL: held, to be given back with fetch_session_unref
    int32_t expect_epoch;          // ... its epoch while nobody else uses it
};
// Applies a request to the cache: ends the session of a full request, updates that of an incremental one.
// KERR_NONE, FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR.
int16_t fetch_session_begin(struct fetch_sessions *fs, struct fetch_begin *b);
void fetch_session_unref(struct fetch_session *s);

// Full answers: makes a session of what was asked and answered. Its id, or FETCH_SESSION_NONE when there is no room.
int32_t fetch_session_add(struct fetch_sessions *fs, bool by_id, bool privileged,
                          const struct fetch_want *wants, const struct fetch_news *news, uint32_t n,
                          uint64_t now_ms);
// Incremental answers: true if the partition belongs into the answer; remembers what was told, and moves a partition that
// had records to the end, so that the others come first the next time.
bool fetch_session_tell(struct fetch_session *s, struct fetch_session_part *p, const struct fetch_news *news);

#endif
