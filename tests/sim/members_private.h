// What the kinds of members share: members.c (the whole, offsets), members_classic.c (groups of the classic protocol with
// a protocol type of their own), members_modern.c (groups of the consumer protocol).
#ifndef SLUICE_TESTS_SIM_MEMBERS_PRIVATE_H
#define SLUICE_TESTS_SIM_MEMBERS_PRIVATE_H

#include "engine/base/uuid.h"
#include "tests/sim/kclient.h"
#include "tests/sim/members.h"

enum { CLASSIC_GROUPS = 2, MODERN_GROUPS = 2, GROUPS = CLASSIC_GROUPS + MODERN_GROUPS };
enum { MEMBERS = 4, GENERATIONS = 4096, ID_MAX = 128 };

// Offsets are committed for places: the partitions of two topics, one after the other. The classic groups use the first
// topic only; the second one comes later.
enum { TOPICS = 2, FIRST_PARTS = 5, SECOND_PARTS = 3, PLACES = FIRST_PARTS + SECOND_PARTS };
#define FIRST_BITS ((1u << FIRST_PARTS) - 1)
#define ALL_BITS   ((1u << PLACES) - 1)
struct mtopic_id {
    const char *name;
    int32_t parts, from; // places from..from + parts - 1
    bool there;
    struct sl_uuid id;
};

// What is known of a group, outside of the broker.
struct mgroup {
    char name[8];
    bool modern, mixed; // mixed: members come and go with either protocol
    int32_t newest;     // generation whose assignment somebody was given, or the highest member epoch
    char owner[GENERATIONS][FIRST_PARTS][ID_MAX]; // classic groups: member ids; "": nobody yet
    int64_t sent, acked[PLACES];                  // offsets: the next one is larger than all before
};

enum msubscription { SUB_FIRST, SUB_SECOND, SUB_BOTH, SUB_PATTERN, SUBS };

struct member {
    struct members *ms;
    struct mgroup *g;
    struct kconn *conn;
    uint32_t no;
    char id[ID_MAX];
    int32_t generation; // or member epoch; -1: in none
    uint32_t owned;     // bits of places
    bool simple, found;
    bool gone; // the member's fiber has ended

    // of modern groups
    char instance[8]; // "": dynamic
    uint32_t
        doomed; // of what it believes to own: given to another one meanwhile. It must hear that it was thrown out
    int32_t epoch_was; // the highest epoch that this id was told
    bool classic;      // speaks the classic protocol at present
    bool eager;        // and gives up everything before it joins again
    bool rejoin;       // and is to join again
    bool say_all;      // the next heartbeat leaves nothing out
    bool say_owned;    // or at least not what it owns
    bool late_seen;    // its client knows of the second topic
    bool stubborn;     // does not revoke what it is asked to
    enum msubscription sub;
};

struct members {
    struct run *r;
    struct sim_process *proc;
    struct io *io;
    struct reactor_group *group;
    struct reactor *re;
    struct mgroup *groups; // GROUPS, and the one without members
    struct mtopic_id topics[TOPICS];
    struct member all[GROUPS * MEMBERS + 1];
    uint32_t n, fibers, ids;
    bool stop, verified;
    uint64_t content;
};

enum {
    API_COMMIT = 8,
    API_FETCH = 9,
    API_FIND = 10,
    API_JOIN = 11,
    API_BEAT = 12,
    API_LEAVE = 13,
    API_SYNC = 14,
    API_MODERN_BEAT = 68,
};
enum { V_COMMIT = 9, V_FETCH = 9, V_FIND = 4, V_JOIN = 9, V_BEAT = 4, V_LEAVE = 5, V_SYNC = 5 };

// ---- members.c -------------------------------------------------------------------------------------------------------
void member_nap(struct members *m, uint64_t lo_us, uint64_t hi_us);
// Errors that only say "not now".
bool member_not_now(int16_t e);
// Fiber. A connection that works so far, or NULL.
struct kconn *member_connected(struct member *me);
// Fiber. Commits the next offset for a place. What the answer says of the member is in *error; 0 with `false`: none came.
bool member_commit(struct member *me, int32_t place, int16_t *error);
// Fiber. All offsets of the group, checked against what was acknowledged. False: no answer, or not now.
bool member_offsets(struct member *me, int64_t v[PLACES]);

// ---- members_classic.c -------------------------------------------------------------------------------------------------
// Fiber. One step: joins, or works.
void member_classic_step(struct member *me);
bool member_classic_settled(const struct members *m);

// ---- members_modern.c ---------------------------------------------------------------------------------------------------
void member_modern_init(struct member *me);
void member_modern_step(struct member *me);
bool member_modern_settled(const struct members *m);

#endif
