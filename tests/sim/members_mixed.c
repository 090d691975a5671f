// Members of a mixed group that speak the classic protocol, with the consumer's own subscriptions and assignments: the
// group may be a classic one, whose leader deals out, or a consumer group. Eager members give everything up before they
// join again; cooperative ones keep it, give up what they are not assigned again, and then join once more.
#include "tests/sim/members_modern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/kerr.h"
#include "proto/gen/consumer_protocol_assignment.h"
#include "proto/gen/consumer_protocol_subscription.h"
#include "proto/gen/heartbeat_request.h"
#include "proto/gen/heartbeat_response.h"
#include "proto/gen/join_group_request.h"
#include "proto/gen/join_group_response.h"
#include "proto/gen/leave_group_request.h"
#include "proto/gen/leave_group_response.h"
#include "proto/gen/sync_group_request.h"
#include "proto/gen/sync_group_response.h"

enum { SESSION_MS = 300, REBALANCE_MS = 200, BYTES_VERSION = 3, BYTES_MAX = 512, MANY = MEMBERS * 8 };
#define DEAL "deal"

// ---- subscriptions and assignments as bytes ----------------------------------------------------------------------------
struct blob {
    uint8_t b[BYTES_MAX];
    int32_t n;
};

static struct kp_bytes bytes_of(const struct blob *b)
{
    return (struct kp_bytes){b->b, b->n};
}

// The partitions of a topic among the places; returns how many.
static int32_t parts_of(const struct mtopic_id *t, uint32_t places, int32_t *out)
{
    int32_t n = 0;
    for (int32_t p = 0; p < t->parts; p++)
        if (places & (1u << (t->from + p)))
            out[n++] = p;
    return n;
}

static void write_subscription(const struct member *me, uint32_t claimed, struct blob *out)
{
    const struct members *m = me->ms;
    struct kp_consumer_protocol_subscription s;
    struct kp_consumer_protocol_subscription_topic_partition owned[TOPICS];
    struct kp_str topics[TOPICS];
    int32_t parts[TOPICS][PLACES];
    kp_consumer_protocol_subscription_init(&s);
    s.topics = topics;
    s.owned_partitions = owned;
    s.generation_id = me->generation;
    for (uint32_t t = 0; t < TOPICS; t++) {
        if (modern_subscribed(me) & (1u << m->topics[t].from))
            topics[s.topics_n++] = kp_str_of(m->topics[t].name);
        int32_t n = parts_of(&m->topics[t], claimed, parts[t]);
        if (n)
            owned[s.owned_partitions_n++] = (struct kp_consumer_protocol_subscription_topic_partition){
                kp_str_of(m->topics[t].name), parts[t], n};
    }
    struct kp_writer w = {.buf = out->b + 2, .cap = BYTES_MAX - 2};
    be16_store(out->b, BYTES_VERSION);
    SL_ASSERT(kp_consumer_protocol_subscription_encode(&s, BYTES_VERSION, &w) == 0);
    out->n = (int32_t)w.len + 2;
}

static void write_assignment(const struct members *m, uint32_t places, struct blob *out)
{
    struct kp_consumer_protocol_assignment a;
    struct kp_consumer_protocol_assignment_topic_partition given[TOPICS];
    int32_t parts[TOPICS][PLACES];
    kp_consumer_protocol_assignment_init(&a);
    a.assigned_partitions = given;
    for (uint32_t t = 0; t < TOPICS; t++) {
        int32_t n = parts_of(&m->topics[t], places, parts[t]);
        if (n)
            given[a.assigned_partitions_n++] = (struct kp_consumer_protocol_assignment_topic_partition){
                kp_str_of(m->topics[t].name), parts[t], n};
    }
    struct kp_writer w = {.buf = out->b + 2, .cap = BYTES_MAX - 2};
    be16_store(out->b, BYTES_VERSION);
    SL_ASSERT(kp_consumer_protocol_assignment_encode(&a, BYTES_VERSION, &w) == 0);
    out->n = (int32_t)w.len + 2;
}

static uint32_t places_of(const struct members *m, struct kp_str topic, const int32_t *parts, int32_t n)
{
    uint32_t bits = 0;
    for (uint32_t t = 0; t < TOPICS; t++)
        for (int32_t k = 0; k < n && kp_str_eq(topic, kp_str_of(m->topics[t].name)); k++)
            bits |= 1u << (m->topics[t].from + parts[k]);
    return bits;
}

static uint32_t read_assignment(const struct members *m, struct kp_bytes b)
{
    struct kp_consumer_protocol_assignment a;
    struct arena arena;
    uint32_t bits = 0;
    if (b.n < 2)
        return 0;
    arena_init(&arena, 0);
    int64_t n =
        kp_consumer_protocol_assignment_decode(&a, b.p + 2, (size_t)b.n - 2, (int16_t)be16_load(b.p), &arena);
    if (n < 0)
        run_fail(m->r, "an assignment cannot be read");
    for (int32_t i = 0; i < a.assigned_partitions_n; i++)
        bits |= places_of(m, a.assigned_partitions[i].topic, a.assigned_partitions[i].partitions,
                          a.assigned_partitions[i].partitions_n);
    arena_free(&arena);
    return bits;
}

// ---- the leader ----------------------------------------------------------------------------------------------------------
struct share {
    uint32_t wants, claims, gets; // bits of places
    int32_t generation;           // of the claims
};

static void read_share(const struct members *m, struct kp_bytes b, struct share *out)
{
    struct kp_consumer_protocol_subscription s;
    struct arena arena;
    *out = (struct share){0};
    arena_init(&arena, 0);
    if (b.n < 2 || kp_consumer_protocol_subscription_decode(&s, b.p + 2, (size_t)b.n - 2,
                                                            (int16_t)be16_load(b.p), &arena) < 0)
        run_fail(m->r, "a subscription cannot be read");
    for (uint32_t t = 0; t < TOPICS; t++)
        for (int32_t i = 0; i < s.topics_n && m->topics[t].there; i++)
            if (kp_str_eq(s.topics[i], kp_str_of(m->topics[t].name)))
                out->wants |= ((1u << m->topics[t].parts) - 1) << m->topics[t].from;
    for (int32_t i = 0; i < s.owned_partitions_n; i++)
        out->claims |= places_of(m, s.owned_partitions[i].topic, s.owned_partitions[i].partitions,
                                 s.owned_partitions[i].partitions_n);
    out->generation = s.generation_id;
    arena_free(&arena);
}

// Who claims a place keeps it, if it still wants it; who claims it by an older generation has lost it. What nobody claims
// goes to who has least. Now and then a claimed place is kept back, and moves when it was given up.
static void deal_place(struct run *r, struct share *v, uint32_t n, uint32_t bit)
{
    struct share *owner = NULL, *least = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if ((v[i].claims & bit) && (!owner || v[i].generation > owner->generation))
            owner = &v[i];
        if ((v[i].wants & bit) && (!least || __builtin_popcount(v[i].gets) < __builtin_popcount(least->gets)))
            least = &v[i];
    }
    bool keeps = owner && (owner->wants & bit) && (r->calm || !run_chance(r, 1, 8));
    if (keeps)
        owner->gets |= bit;
    else if (!owner && least)
        least->gets |= bit;
}

// ---- joining -------------------------------------------------------------------------------------------------------------
// Takes an error in. False: there was none.
static bool took(struct member *me, int16_t e, const char *what)
{
    struct run *r = me->ms->r;
    if (!e)
        return false;
    if (e == KERR_UNKNOWN_MEMBER_ID || e == KERR_ILLEGAL_GENERATION) {
        r->sum->fenced++;
        modern_lost(me);
        if (e == KERR_UNKNOWN_MEMBER_ID)
            me->id[0] = 0;
    } else if (e == KERR_REBALANCE_IN_PROGRESS) {
        me->rejoin = true;
        if (me->eager)
            me->owned = me->doomed = 0;
    } else if (!member_not_now(e)) {
        run_fail(r, "group %s member %s: %s failed: %s", me->g->name, me->id, what, kerr_name(e));
    }
    return true;
}

static struct kp_str instance(const struct member *me)
{
    return me->instance[0] ? kp_str_of(me->instance) : KP_STR_NULL;
}

// A static leader that comes back is given what it had, whatever it subscribes to by now (KIP-814): in the end it asks for what
// it would deal itself, as a leader does whose topics changed.
static bool deals_otherwise(const struct member *me, const struct kp_join_group_response *j,
                            const struct share *shares, uint32_t now)
{
    for (int32_t i = 0; i < j->members_n && me->ms->r->calm; i++)
        if (kp_str_eq(j->members[i].member_id, kp_str_of(me->id)))
            return shares[i].gets != now;
    return false;
}

static void sync(struct member *me, int32_t generation, const struct kp_join_group_response *j)
{
    struct members *m = me->ms;
    struct kp_sync_group_request_sync_group_request_assignment a[MANY];
    struct share shares[MANY];
    struct blob blobs[MANY];
    uint32_t n = (uint32_t)SL_MAX(j->members_n, 0), doomed = me->doomed;
    SL_ASSERT(n <= MANY);
    for (uint32_t i = 0; i < n; i++)
        read_share(m, j->members[i].metadata, &shares[i]);
    for (uint32_t p = 0; p < PLACES; p++)
        deal_place(m->r, shares, n, 1u << p);
    for (uint32_t i = 0; i < n; i++) {
        write_assignment(m, shares[i].gets, &blobs[i]);
        a[i].member_id = j->members[i].member_id;
        a[i].assignment = bytes_of(&blobs[i]);
    }
    struct kp_sync_group_request req = {.group_id = kp_str_of(me->g->name),
                                        .generation_id = generation,
                                        .member_id = kp_str_of(me->id),
                                        .group_instance_id = instance(me),
                                        .protocol_type = kp_str_of("consumer"),
                                        .protocol_name = kp_str_of(DEAL),
                                        .assignments = a,
                                        .assignments_n = (int32_t)n};
    struct kp_sync_group_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_SYNC, V_SYNC, &req, &resp);
    if (!rc && !took(me, resp.error_code, "SyncGroup")) {
        uint32_t now = read_assignment(m, resp.assignment), lost = me->owned & ~now;
        run_say(m->r, "  group %s member %s%s: generation %d of %u members", me->g->name, me->id,
                me->eager ? " (eager)" : "", generation, n);
        modern_confirmed(me, doomed & now, "SyncGroup");
        modern_told(me, now);
        me->generation = generation;
        me->g->newest = SL_MAX(me->g->newest, generation);
        me->rejoin = lost || deals_otherwise(me, j, shares, now);
        m->r->sum->joins++;
    }
    kcall_free(&call);
}

static void join(struct member *me)
{
    struct run *r = me->ms->r;
    struct blob claim;
    if (me->eager)
        me->owned = me->doomed = 0;
    write_subscription(me, me->owned, &claim);
    struct kp_join_group_request_join_group_request_protocol proto = {.name = kp_str_of(DEAL),
                                                                      .metadata = bytes_of(&claim)};
    struct kp_join_group_request req = {.group_id = kp_str_of(me->g->name),
                                        .session_timeout_ms = SESSION_MS,
                                        .rebalance_timeout_ms = REBALANCE_MS,
                                        .member_id = kp_str_of(me->id),
                                        .group_instance_id = instance(me),
                                        .protocol_type = kp_str_of("consumer"),
                                        .protocols = &proto,
                                        .protocols_n = 1,
                                        .reason = KP_STR_NULL};
    struct kp_join_group_response resp;
    struct kcall call;
    me->rejoin = true;
    int rc = kconn_call(me->conn, &call, API_JOIN, V_JOIN, &req, &resp);
    if (!rc && (resp.error_code == KERR_MEMBER_ID_REQUIRED || !resp.error_code))
        snprintf(me->id, sizeof(me->id), "%.*s", resp.member_id.n, resp.member_id.p);
    if (!rc && resp.error_code != KERR_MEMBER_ID_REQUIRED && !took(me, resp.error_code, "JoinGroup")) {
        // A consumer group takes back who was thrown out, under the same id and without a word, as upstream's does. What others
        // were given meanwhile is lost, and gained anew if it is given back: then those others must hear of it.
        if (me->g->mixed && resp.leader.n <= 0) {
            me->owned &= ~me->doomed;
            me->doomed = 0;
        }
        if (!r->calm && run_chance(r, 1, 20))
            member_nap(me->ms, 1000, 800 * 1000); // the others wait for it, or do without
        sync(me, resp.generation_id, &resp);
    }
    kcall_free(&call);
}

// ---- being in --------------------------------------------------------------------------------------------------------------
// True: answered, without an error.
static bool beat_once(struct member *me)
{
    struct kp_heartbeat_request req = {.group_id = kp_str_of(me->g->name),
                                       .generation_id = me->generation,
                                       .member_id = kp_str_of(me->id),
                                       .group_instance_id = instance(me)};
    struct kp_heartbeat_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_BEAT, V_BEAT, &req, &resp);
    bool ok = !rc && !took(me, resp.error_code, "Heartbeat");
    kcall_free(&call);
    return ok;
}

// A coordinator that loads tells whoever sends a Heartbeat that all is well, as upstream does, but gives out no offsets. So
// a member that is to hear that it was thrown out asks again when it has read some, and that twice: a coordinator whose
// write failed loads again.
static void beat(struct member *me)
{
    int64_t v[PLACES];
    uint32_t doomed = me->doomed;
    bool ok = beat_once(me);
    for (int k = 0; k < 2 && ok && doomed; k++)
        ok = member_offsets(me, v) && beat_once(me);
    if (ok)
        modern_confirmed(me, doomed, "Heartbeat");
}

static void leave(struct member *me)
{
    struct kp_leave_group_request_member_identity who = {
        .member_id = kp_str_of(me->id), .group_instance_id = instance(me), .reason = KP_STR_NULL};
    struct kp_leave_group_request req = {.group_id = kp_str_of(me->g->name), .members = &who, .members_n = 1};
    struct kp_leave_group_response resp;
    struct kcall call;
    modern_lost(me);
    kconn_call(me->conn, &call, API_LEAVE, V_LEAVE, &req, &resp);
    kcall_free(&call);
    modern_begin(me);
}

void modern_classic_step(struct member *me)
{
    struct run *r = me->ms->r;
    uint32_t what = run_below(r, 30);
    int32_t place = (int32_t)run_below(r, PLACES);
    if (me->generation < 0 || me->rejoin || me->say_all || me->late_seen != me->ms->topics[1].there) {
        me->say_all = false; // its subscription changed; or, as a leader, there is more to deal out
        me->late_seen = me->ms->topics[1].there;
        join(me);
    } else if (!modern_usual(me, what, place, leave)) {
        beat(me);
    }
}
