// Members of consumer groups (KIP-848): see members.h. A member lists what it owns when that changed or when an answer was
// lost, revokes what it is told to before it says so, and gives everything up when it was thrown out. Members of a mixed
// group choose the protocol anew each time they join (members_mixed.c: the classic one).
#include "tests/sim/members_modern.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/kerr.h"
#include "proto/gen/consumer_group_heartbeat_request.h"
#include "proto/gen/consumer_group_heartbeat_response.h"

enum { LEAVES = -1, STEPS_OUT = -2, REBALANCE_MS = 150 };
#define PATTERN "group.*"

typedef struct kp_consumer_group_heartbeat_request request;
typedef struct kp_consumer_group_heartbeat_response response;

// ---- what is known of a member -----------------------------------------------------------------------------------------
void modern_lost(struct member *me)
{
    me->generation = -1;
    me->owned = me->doomed = 0;
    me->rejoin = me->stubborn = false;
    me->say_all = true;
}

static void new_id(struct member *me)
{
    me->epoch_was = 0;
    if (me->classic)
        me->id[0] = 0; // the broker makes one
    else
        snprintf(me->id, sizeof(me->id), "m%u.%u", me->no, ++me->ms->ids);
}

void modern_begin(struct member *me)
{
    struct run *r = me->ms->r;
    if (me->g->mixed && !r->calm)
        me->classic = run_chance(r, 1, 2);
    if (!r->calm)
        me->eager = run_chance(r, 1, 2);
    r->sum->switches++;
    modern_lost(me);
    new_id(me);
}

void modern_told(struct member *me, uint32_t now)
{
    struct members *m = me->ms;
    if (now != me->owned)
        run_say(m->r, "  group %s member %s: %x, was %x", me->g->name, me->id, now, me->owned);
    uint32_t gained = now & ~me->owned;
    for (uint32_t k = 0; k < m->n; k++) {
        struct member *other = &m->all[k];
        if (other != me && other->g == me->g)
            other->doomed |= other->owned & gained;
    }
    me->owned = now;
    me->doomed &= now;
}

void modern_confirmed(struct member *me, uint32_t doomed, const char *how)
{
    if (doomed)
        run_fail(me->ms->r,
                 "group %s: member %s is confirmed by %s, but places %x were given to others before",
                 me->g->name, me->id, how, doomed);
}

uint32_t modern_subscribed(const struct member *me)
{
    static const uint32_t bits[SUBS] = {FIRST_BITS, ALL_BITS & ~FIRST_BITS, ALL_BITS, ALL_BITS};
    return bits[me->sub];
}

static void subscribe(struct member *me)
{
    struct run *r = me->ms->r;
    me->sub = r->calm ? SUB_BOTH : (enum msubscription)run_below(r, SUBS);
    me->say_all = true;
}

void member_modern_init(struct member *me)
{
    struct run *r = me->ms->r;
    if (run_chance(r, 1, 3))
        snprintf(me->instance, sizeof(me->instance), "i%u", me->no);
    subscribe(me);
    modern_begin(me);
}

// ---- heartbeats --------------------------------------------------------------------------------------------------------
struct beat {
    request req;
    struct kp_str topics[TOPICS];
    struct kp_consumer_group_heartbeat_request_topic_partitions owned[TOPICS];
    int32_t parts[PLACES];
};

static void put_subscription(struct member *me, struct beat *b)
{
    struct members *m = me->ms;
    bool pattern = me->sub == SUB_PATTERN;
    uint32_t n = 0;
    for (uint32_t t = 0; t < TOPICS; t++)
        if (!pattern && (modern_subscribed(me) & (1u << m->topics[t].from)))
            b->topics[n++] = kp_str_of(m->topics[t].name);
    b->req.subscribed_topic_names = b->topics;
    b->req.subscribed_topic_names_n = (int32_t)n;
    b->req.subscribed_topic_regex = kp_str_of(pattern ? PATTERN : "");
    if (!b->req.member_id.n)
        b->req.subscribed_topic_regex = KP_STR_NULL; // version 0 does not have it
}

static void put_owned(struct member *me, struct beat *b)
{
    struct members *m = me->ms;
    int32_t *next = b->parts;
    uint32_t n = 0;
    for (uint32_t t = 0; t < TOPICS; t++) {
        struct kp_consumer_group_heartbeat_request_topic_partitions *o = &b->owned[n];
        o->topic_id = m->topics[t].id;
        o->partitions = next;
        for (int32_t p = 0; p < m->topics[t].parts; p++)
            if (me->owned & (1u << (m->topics[t].from + p)))
                *next++ = p;
        o->partitions_n = (int32_t)(next - o->partitions);
        n += o->partitions_n > 0;
    }
    b->req.topic_partitions = b->owned;
    b->req.topic_partitions_n = (int32_t)n;
}

static void begin_beat(struct member *me, struct beat *b, int32_t epoch)
{
    kp_consumer_group_heartbeat_request_init(&b->req);
    b->req.group_id = kp_str_of(me->g->name);
    b->req.member_id = kp_str_of(me->id);
    b->req.member_epoch = epoch;
    b->req.instance_id = me->instance[0] ? kp_str_of(me->instance) : KP_STR_NULL;
    b->req.subscribed_topic_names_n = b->req.topic_partitions_n = -1;
}

static uint32_t read_places(struct member *me,
                            const struct kp_consumer_group_heartbeat_response_assignment *a)
{
    struct members *m = me->ms;
    uint32_t bits = 0;
    for (int32_t i = 0; i < a->topic_partitions_n; i++) {
        struct mtopic_id *t = m->topics;
        const struct sl_uuid *id = &a->topic_partitions[i].topic_id;
        while (t < m->topics + TOPICS && t->there && memcmp(&t->id, id, sizeof(t->id)) != 0)
            t++;
        if (t < m->topics + TOPICS && !t->there && sl_uuid_is_zero(&t->id))
            t->id = *id; // the answer to its creation was lost, or is under way
        if (t < m->topics + TOPICS && memcmp(&t->id, id, sizeof(t->id)) != 0)
            t = m->topics + TOPICS;
        if (t == m->topics + TOPICS)
            run_fail(m->r, "group %s member %s: given a topic that nobody knows", me->g->name, me->id);
        for (int32_t k = 0; k < a->topic_partitions[i].partitions_n; k++) {
            int32_t p = a->topic_partitions[i].partitions[k];
            if (p < 0 || p >= t->parts)
                run_fail(m->r, "group %s member %s: given partition %d of %s", me->g->name, me->id, p,
                         t->name);
            bits |= 1u << (t->from + p);
        }
    }
    return bits;
}

static void took_error(struct member *me, const response *resp)
{
    struct run *r = me->ms->r;
    bool joins = me->generation < 0;
    int16_t e = resp->error_code;
    struct kp_str why = resp->error_message;
    if (e == KERR_FENCED_MEMBER_EPOCH && why.n > 0 &&
        memmem(why.p, (size_t)why.n, "a greater member epoch", 22))
        run_fail(r, "group %s member %s: the coordinator forgot its epoch %d: %.*s", me->g->name, me->id,
                 me->generation, why.n, why.p);
    if (member_not_now(e) || (joins && e == KERR_UNRELEASED_INSTANCE_ID))
        return;
    if (joins ||
        (e != KERR_FENCED_MEMBER_EPOCH && e != KERR_UNKNOWN_MEMBER_ID && e != KERR_GROUP_ID_NOT_FOUND))
        run_fail(r, "group %s member %s: a heartbeat failed: %s: %.*s", me->g->name, me->id, kerr_name(e),
                 SL_MAX(why.n, 0), why.n > 0 ? why.p : "");
    r->sum->fenced++;
    modern_lost(me);
    if (run_chance(r, 1, 3))
        modern_begin(me); // as another one
}

// newest: the highest epoch that anybody had been told when the heartbeat was sent.
static void took_answer(struct member *me, const response *resp, int32_t newest)
{
    struct run *r = me->ms->r;
    struct mgroup *g = me->g;
    bool joined = me->generation < 0;
    int32_t floor = !joined ? me->generation : g->mixed ? 0 : SL_MAX(newest, me->epoch_was);
    if (resp->member_epoch < floor)
        run_fail(r, "group %s: the epoch of member %s went back from %d to %d", g->name, me->id, floor,
                 resp->member_epoch);
    if (resp->member_id.n > 0)
        snprintf(me->id, sizeof(me->id), "%.*s", resp->member_id.n, resp->member_id.p);
    if (!resp->member_epoch)
        return; // it is in, and nothing was computed for it so far: its client joins again
    me->generation = me->epoch_was = resp->member_epoch;
    g->newest = SL_MAX(g->newest, resp->member_epoch);
    r->sum->joins += joined;
    if (!resp->assignment && joined)
        run_fail(r, "group %s member %s: joined, and was not told what it owns", g->name, me->id);
    if (!resp->assignment)
        return;
    uint32_t now = read_places(me, resp->assignment), was = me->owned;
    if (now & ~modern_subscribed(me))
        run_fail(r, "group %s member %s: given places %x, but it subscribes to %x", g->name, me->id, now,
                 modern_subscribed(me));
    if (!r->calm && (was & ~now) && run_chance(r, 1, 3))
        me->stubborn = true;
    modern_told(me, me->stubborn && !r->calm ? now | was : now);
    me->say_owned |= me->owned != was;
}

static void beat(struct member *me)
{
    struct run *r = me->ms->r;
    struct beat b;
    response resp;
    struct kcall call;
    bool joins = me->generation < 0;
    bool unnamed = joins && me->sub != SUB_PATTERN && run_chance(r, 1, 8); // as a client of version 0
    begin_beat(me, &b, joins ? 0 : me->generation);
    if (unnamed)
        b.req.member_id = kp_str_of("");
    if (joins || me->say_all || run_chance(r, 1, 8)) {
        put_subscription(me, &b);
        b.req.rebalance_timeout_ms = REBALANCE_MS;
    }
    if (joins || me->say_all || me->say_owned || run_chance(r, 1, 8))
        put_owned(me, &b);
    uint32_t doomed = me->doomed;
    int32_t newest = me->g->newest;
    me->say_all = true; // unless there is an answer
    int rc = kconn_call(me->conn, &call, API_MODERN_BEAT, unnamed ? 0 : 1, &b.req, &resp);
    if (!rc && resp.error_code) {
        took_error(me, &resp);
    } else if (!rc) {
        me->say_all = me->say_owned = false;
        modern_confirmed(me, doomed, "a heartbeat");
        took_answer(me, &resp, newest);
    }
    kcall_free(&call);
}

static void leave(struct member *me)
{
    struct beat b;
    response resp;
    struct kcall call;
    bool back = me->instance[0] && run_chance(me->ms->r, 2, 3);
    begin_beat(me, &b, back ? STEPS_OUT : LEAVES);
    modern_lost(me);
    kconn_call(me->conn, &call, API_MODERN_BEAT, 1, &b.req, &resp);
    kcall_free(&call);
    modern_begin(me);
}

// ---- commits -----------------------------------------------------------------------------------------------------------
void modern_commit(struct member *me, int32_t place)
{
    uint32_t doomed = me->doomed & (1u << place);
    int16_t e;
    if (member_commit(me, place, &e))
        modern_confirmed(me, doomed, "a commit");
    if (!e || member_not_now(e))
        return;
    if (e == KERR_STALE_MEMBER_EPOCH && !me->classic) {
        me->say_all = true; // an answer was lost: the next heartbeat tells
    } else if (e == KERR_UNKNOWN_MEMBER_ID || e == KERR_ILLEGAL_GENERATION || e == KERR_GROUP_ID_NOT_FOUND) {
        modern_lost(me);
        if (e == KERR_UNKNOWN_MEMBER_ID && me->classic)
            me->id[0] = 0;
    } else {
        run_fail(me->ms->r, "group %s member %s: a commit failed: %s", me->g->name, me->id, kerr_name(e));
    }
}

void modern_commit_all(struct member *me)
{
    for (int32_t p = 0; p < PLACES && member_connected(me) && me->found; p++)
        if (me->owned & (1u << p))
            modern_commit(me, p);
}

// ---- a step ------------------------------------------------------------------------------------------------------------
bool modern_usual(struct member *me, uint32_t what, int32_t place, void (*go)(struct member *me))
{
    struct run *r = me->ms->r;
    int64_t v[PLACES];
    if (what >= 18 && me->owned) {
        if (me->owned & (1u << place))
            modern_commit(me, place);
    } else if (what < 3) {
        member_offsets(me, v);
    } else if (what == 3 && !r->calm) {
        go(me);
    } else if (what == 4 && !r->calm) {
        member_nap(me->ms, 200 * 1000, 1000 * 1000); // long enough to be thrown out, which it does not know
        modern_commit_all(me);
    } else if (what == 5 && !r->calm) {
        modern_begin(me); // it crashed: another one comes in its place, and nobody says so
    } else {
        return false;
    }
    return true;
}

static void work(struct member *me)
{
    struct run *r = me->ms->r;
    uint32_t what = run_below(r, 30);
    int32_t place = (int32_t)run_below(r, PLACES);
    if (modern_usual(me, what, place, leave))
        return;
    if (what == 6 && !r->calm)
        subscribe(me);
    beat(me);
}

void member_modern_step(struct member *me)
{
    struct run *r = me->ms->r;
    if (r->calm && me->sub != SUB_BOTH && (me->sub != SUB_PATTERN || me->classic || r->seed % 4))
        subscribe(me); // in some seeds patterns stay: they are matched again every 10 s only
    if (r->calm)
        me->stubborn = false;
    if (me->classic)
        modern_classic_step(me);
    else if (me->generation < 0)
        beat(me);
    else
        work(me);
}

bool member_modern_settled(const struct members *m)
{
    uint32_t owned[GROUPS] = {0};
    int32_t epoch[GROUPS] = {0};
    for (uint32_t k = 0; k < m->n; k++) {
        const struct member *me = &m->all[k];
        uint32_t g = (uint32_t)(me->g - m->groups);
        if (!me->g->modern)
            continue;
        if (me->generation < 0 || me->rejoin || (epoch[g] && epoch[g] != me->generation) ||
            (owned[g] & me->owned))
            return false;
        epoch[g] = me->generation;
        owned[g] |= me->owned;
    }
    for (uint32_t g = CLASSIC_GROUPS; g < GROUPS; g++)
        if (owned[g] != ALL_BITS)
            return false;
    return true;
}
