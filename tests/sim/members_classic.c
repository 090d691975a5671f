// Members of groups of the classic protocol with a protocol type of their own: see members.h.
#include <stdio.h>
#include <string.h>

#include "engine/base/kerr.h"
#include "proto/gen/heartbeat_request.h"
#include "proto/gen/heartbeat_response.h"
#include "proto/gen/join_group_request.h"
#include "proto/gen/join_group_response.h"
#include "proto/gen/leave_group_request.h"
#include "proto/gen/leave_group_response.h"
#include "proto/gen/sync_group_request.h"
#include "proto/gen/sync_group_response.h"
#include "tests/sim/members_private.h"

static bool lost_membership(int16_t e)
{
    return e == KERR_UNKNOWN_MEMBER_ID || e == KERR_ILLEGAL_GENERATION;
}

// Takes an error in: what the member does next. Anything that a client need not understand fails the run.
static void took(struct member *me, int16_t e, const char *what)
{
    if (e == KERR_UNKNOWN_MEMBER_ID)
        me->id[0] = 0;
    if (lost_membership(e) || e == KERR_REBALANCE_IN_PROGRESS) {
        me->generation = -1;
        me->owned = 0;
    } else if (e && !member_not_now(e)) {
        run_fail(me->ms->r, "group %s member %s: %s failed: %s", me->g->name, me->id, what, kerr_name(e));
    }
}

static struct kp_str text(const char *s)
{
    return kp_str_of(s);
}

static void commit(struct member *me, int32_t p)
{
    struct mgroup *g = me->g;
    int32_t newest = g->newest, generation = me->generation;
    int16_t e;
    bool taken = member_commit(me, p, &e);
    took(me, e, "a commit");
    if (taken && !me->simple && newest > generation)
        run_fail(me->ms->r, "group %s: a commit of generation %d was taken after generation %d was given out",
                 g->name, generation, newest);
}

// A leader's work: partitions dealt out in turn.
static uint32_t share_of(uint32_t i, uint32_t n)
{
    uint32_t bits = 0;
    for (uint32_t p = i; p < FIRST_PARTS; p += n)
        bits |= 1u << p;
    return bits;
}

static bool sync(struct member *me, const struct kp_join_group_response *j)
{
    uint32_t n = (uint32_t)SL_MAX(j->members_n, 0), shares[MEMBERS * 16];
    struct kp_sync_group_request_sync_group_request_assignment a[SL_ARRAY_LEN(shares)];
    SL_ASSERT(n <= SL_ARRAY_LEN(a));
    for (uint32_t i = 0; i < n; i++) {
        shares[i] = share_of(i, n);
        a[i].member_id = j->members[i].member_id;
        a[i].assignment = (struct kp_bytes){(const uint8_t *)&shares[i], sizeof(shares[i])};
    }
    struct kp_sync_group_request req = {.group_id = text(me->g->name),
                                        .generation_id = j->generation_id,
                                        .member_id = text(me->id),
                                        .group_instance_id = KP_STR_NULL,
                                        .protocol_type = text("sim"),
                                        .protocol_name = text("deal"),
                                        .assignments = a,
                                        .assignments_n = (int32_t)n};
    struct kp_sync_group_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_SYNC, V_SYNC, &req, &resp);
    int16_t e = rc ? 0 : resp.error_code;
    bool ok = !rc && !e && resp.assignment.n == sizeof(me->owned);
    if (ok)
        memcpy(&me->owned, resp.assignment.p, sizeof(me->owned));
    kcall_free(&call);
    if (!rc)
        took(me, e, "SyncGroup");
    return ok;
}

// The member was given its share of a generation: nobody else may have been given any of it.
static void given(struct member *me, int32_t generation)
{
    struct mgroup *g = me->g;
    SL_ASSERT(generation > 0 && generation < GENERATIONS);
    for (int32_t p = 0; p < FIRST_PARTS; p++) {
        char *owner = g->owner[generation][p];
        if (!(me->owned & (1u << p)))
            continue;
        if (owner[0] && strcmp(owner, me->id))
            run_fail(me->ms->r, "group %s: partition %d of generation %d was given to %s and to %s", g->name,
                     p, generation, owner, me->id);
        snprintf(owner, ID_MAX, "%s", me->id);
    }
    me->generation = generation;
    g->newest = SL_MAX(g->newest, generation);
}

static bool join(struct member *me)
{
    struct run *r = me->ms->r;
    struct kp_join_group_request_join_group_request_protocol proto = {.name = text("deal"),
                                                                      .metadata = {(const uint8_t *)"m", 1}};
    struct kp_join_group_request req = {.group_id = text(me->g->name),
                                        .session_timeout_ms = 300,
                                        .rebalance_timeout_ms = 500,
                                        .member_id = text(me->id),
                                        .group_instance_id = KP_STR_NULL,
                                        .protocol_type = text("sim"),
                                        .protocols = &proto,
                                        .protocols_n = 1,
                                        .reason = KP_STR_NULL};
    struct kp_join_group_response resp;
    struct kcall call;
    bool ok = false;
    me->generation = -1;
    me->owned = 0;
    int rc = kconn_call(me->conn, &call, API_JOIN, V_JOIN, &req, &resp);
    if (!rc && resp.error_code == KERR_MEMBER_ID_REQUIRED) {
        snprintf(me->id, sizeof(me->id), "%.*s", resp.member_id.n, resp.member_id.p);
    } else if (!rc && resp.error_code) {
        took(me, resp.error_code, "JoinGroup");
    } else if (!rc) {
        int32_t generation = resp.generation_id;
        if (run_chance(r, 1, 20))
            member_nap(me->ms, 1000, 800 * 1000); // the others wait for it, or do without
        ok = sync(me, &resp);
        if (ok)
            given(me, generation);
    }
    kcall_free(&call);
    return ok;
}

static void beat(struct member *me)
{
    struct kp_heartbeat_request req = {.group_id = text(me->g->name),
                                       .generation_id = me->generation,
                                       .member_id = text(me->id),
                                       .group_instance_id = KP_STR_NULL};
    struct kp_heartbeat_response resp;
    struct kcall call;
    int rc = kconn_call(me->conn, &call, API_BEAT, V_BEAT, &req, &resp);
    int16_t e = rc ? 0 : resp.error_code;
    kcall_free(&call);
    took(me, e, "Heartbeat");
}

static void leave(struct member *me)
{
    struct kp_leave_group_request_member_identity who = {
        .member_id = text(me->id), .group_instance_id = KP_STR_NULL, .reason = KP_STR_NULL};
    struct kp_leave_group_request req = {.group_id = text(me->g->name), .members = &who, .members_n = 1};
    struct kp_leave_group_response resp;
    struct kcall call;
    kconn_call(me->conn, &call, API_LEAVE, V_LEAVE, &req, &resp);
    kcall_free(&call);
    me->id[0] = 0;
    me->generation = -1;
    me->owned = 0;
}

static void work(struct member *me)
{
    struct run *r = me->ms->r;
    int64_t v[PLACES];
    uint32_t what = run_below(r, 30);
    if (me->simple || (what >= 15 && me->owned)) {
        int32_t p = (int32_t)run_below(r, FIRST_PARTS);
        if (me->simple || (me->owned & (1u << p)))
            commit(me, p);
    } else if (what < 4) {
        member_offsets(me, v);
    } else if (what == 4 && !r->calm) {
        leave(me);
    } else if (what == 5 && !r->calm) {
        member_nap(me->ms, 200 * 1000, 1000 * 1000); // long enough to be thrown out, which it does not know
        for (int32_t p = 0; p < FIRST_PARTS && member_connected(me) && me->found; p++)
            if (me->owned & (1u << p))
                commit(me, p);
    } else {
        beat(me);
    }
}

void member_classic_step(struct member *me)
{
    int64_t v[PLACES];
    if (me->simple || me->generation >= 0)
        work(me);
    else if (join(me))
        member_offsets(me, v); // where it would go on
}

bool member_classic_settled(const struct members *m)
{
    uint32_t owned[CLASSIC_GROUPS] = {0};
    for (uint32_t k = 0; k < m->n; k++) {
        const struct member *me = &m->all[k];
        if (me->simple || me->g->modern)
            continue;
        if (me->generation < 0 || me->generation != me->g->newest)
            return false;
        owned[me->g - m->groups] |= me->owned;
    }
    for (uint32_t g = 0; g < CLASSIC_GROUPS; g++)
        if (owned[g] != FIRST_BITS)
            return false;
    return true;
}
