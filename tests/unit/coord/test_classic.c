// The classic protocol on a hand-wound clock. Cases follow what upstream's own tests of its group coordinator look at.
#include "coord_test.h"

// ---- joining -----------------------------------------------------------------------------------------------------------
static void two_members(void **s)
{
    struct t_group *t = t_new();
    struct t_pair p = t_pair_up(t, "g");
    assert_int_equal(t_beat(t, "g", p.a, 1), 0);
    assert_int_equal(t_beat(t, "g", p.b, 1), 0);
    assert_int_equal(t_beat(t, "g", p.b, 2), KERR_ILLEGAL_GENERATION);
    assert_int_equal(t_beat(t, "g", "nobody", 1), KERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(t_beat(t, "none", p.a, 1), KERR_UNKNOWN_MEMBER_ID);
    t_free(t);
}

static void member_id_required(void **s)
{
    struct t_group *t = t_new();
    // Older clients and static members are let in at once.
    struct coord_req *old = t_join_with(t, "old", (struct t_join){.version = 3});
    assert_false(old->answered);
    struct coord_req *fixed = t_join_with(t, "static", (struct t_join){.instance = "i1"});
    assert_false(fixed->answered);
    t_pass(t, 10000);
    assert_int_equal(t_joined(old)->error_code, 0);
    assert_memory_equal(t_joined(fixed)->member_id.p, "i1-", 3);
    assert_memory_equal(t_joined(old)->member_id.p, "client-", 7);
    // A member id that nobody gave.
    assert_int_equal(t_joined(t_join_with(t, "old", (struct t_join){.member = "x"}))->error_code,
                     KERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(t_joined(t_join_with(t, "none", (struct t_join){.member = "x"}))->error_code,
                     KERR_UNKNOWN_MEMBER_ID);
    t_free(t);
}

static void initial_delay_extends(void **s)
{
    struct t_group *t = t_new();
    char *a, *b;
    struct coord_req *ja = t_enter(t, "g", (struct t_join){.rebalance = 7000}, &a);
    t_pass(t, 2000);
    struct coord_req *jb = t_enter(t, "g", (struct t_join){.rebalance = 7000}, &b);
    t_pass(t, 1500); // 3.5 s: the first delay is over, another began because b came
    assert_false(ja->answered);
    t_pass(t, 2600);
    assert_int_equal(t_joined(ja)->generation_id, 1);
    assert_int_equal(t_joined(jb)->generation_id, 1);
    t_free(t);
}

static void a_third_joins_and_one_leaves(void **s)
{
    struct t_group *t = t_new();
    struct t_pair p = t_pair_up(t, "g");
    char *c;
    struct coord_req *jc = t_enter(t, "g", (struct t_join){0}, &c);
    assert_string_equal(t_state(t, "g"), "PreparingRebalance");
    assert_int_equal(t_beat(t, "g", p.a, 1), KERR_REBALANCE_IN_PROGRESS);
    struct coord_req *ja = t_join_with(t, "g", (struct t_join){.member = p.a});
    assert_false(ja->answered);
    struct coord_req *jb = t_join_with(t, "g", (struct t_join){.member = p.b});
    assert_int_equal(t_joined(ja)->generation_id, 2); // all are here: no delay
    assert_int_equal(t_joined(jb)->generation_id, 2);
    assert_int_equal(t_joined(jc)->generation_id, 2);
    assert_int_equal(t_joined(ja)->members_n, 3);
    // One leaves while the others sync: they have to come again.
    struct coord_req *sb = t_sync(t, "g", p.b, 2, NULL, NULL, 0);
    assert_int_equal(t_leave(t, "g", c, NULL), 0);
    assert_true(sb->answered);
    assert_int_equal(sb->error, KERR_REBALANCE_IN_PROGRESS);
    ja = t_join_with(t, "g", (struct t_join){.member = p.a});
    jb = t_join_with(t, "g", (struct t_join){.member = p.b});
    assert_int_equal(t_joined(jb)->generation_id, 3);
    assert_int_equal(t_leave(t, "g", p.a, NULL), 0);
    assert_int_equal(t_leave(t, "g", p.b, NULL), 0);
    assert_string_equal(t_state(t, "g"), "Empty");
    assert_int_equal(t_leave(t, "g", p.b, NULL), KERR_UNKNOWN_MEMBER_ID);
    t_free(t);
}

static void rebalance_timeout_removes_the_absent(void **s)
{
    struct t_group *t = t_new();
    struct t_pair p = t_pair_up(t, "g");
    struct coord_req *ja = t_join_with(t, "g", (struct t_join){.member = p.a}); // the leader may always
    assert_false(ja->answered);
    for (int i = 0; i < 13; i++) {
        t_pass(t, 5000);
        int16_t e = t_beat(t, "g", p.b, 1); // b lives and does not come
        assert_int_equal(e, i < 12 ? (i < 11 ? KERR_REBALANCE_IN_PROGRESS : e) : KERR_UNKNOWN_MEMBER_ID);
    }
    assert_int_equal(t_joined(ja)->generation_id, 2);
    assert_int_equal(t_joined(ja)->members_n, 1);
    t_free(t);
}

static void session_expiry(void **s)
{
    struct t_group *t = t_new();
    struct t_pair p = t_pair_up(t, "g");
    t_pass(t, 9000);
    assert_int_equal(t_beat(t, "g", p.a, 1), 0);
    t_pass(t, 2000); // b's 10 s are over
    assert_int_equal(t_beat(t, "g", p.a, 1), KERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(t_beat(t, "g", p.b, 1), KERR_UNKNOWN_MEMBER_ID);
    struct coord_req *ja = t_join_with(t, "g", (struct t_join){.member = p.a});
    assert_int_equal(t_joined(ja)->generation_id, 2);
    // Its own session ends while it says nothing, sync included.
    t_pass(t, 10001);
    assert_string_equal(t_state(t, "g"), "Empty");
    t_free(t);
}

static void missing_sync_removes(void **s)
{
    struct t_group *t = t_new();
    char *a, *b;
    struct coord_req *ja = t_enter(t, "g", (struct t_join){.rebalance = 20000}, &a);
    struct coord_req *jb = t_enter(t, "g", (struct t_join){.rebalance = 20000}, &b);
    t_pass(t, 10000);
    assert_int_equal(t_joined(ja)->generation_id, 1);
    struct coord_req *sb = t_sync(t, "g", b, 1, NULL, NULL, 0);
    for (int i = 0; i < 5; i++) {
        t_pass(t, 5000);
        t_beat(t, "g", a, 1); // the leader lives and does not sync
    }
    assert_true(sb->answered);
    assert_int_equal(sb->error, KERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(t_beat(t, "g", a, 1), KERR_UNKNOWN_MEMBER_ID);
    jb = t_join_with(t, "g", (struct t_join){.member = b});
    assert_string_equal(t_text(t, t_joined(jb)->leader), b);
    t_free(t);
}

static void lost_answers_come_again(void **s)
{
    struct t_group *t = t_new();
    struct t_pair p = t_pair_up(t, "g");
    // A follower that joins with nothing new keeps its generation; syncs again; no rebalance.
    struct coord_req *jb = t_join_with(t, "g", (struct t_join){.member = p.b});
    assert_int_equal(t_joined(jb)->generation_id, 1);
    assert_true(t_assigned(t_sync(t, "g", p.b, 1, NULL, NULL, 0), "B"));
    // With new metadata it rebalances.
    jb = t_join_with(t, "g", (struct t_join){.member = p.b, .metadata = "new"});
    assert_false(jb->answered);
    assert_string_equal(t_state(t, "g"), "PreparingRebalance");
    // A second JoinGroup of the same member: the first connection was given up.
    struct coord_req *again = t_join_with(t, "g", (struct t_join){.member = p.b, .metadata = "new"});
    assert_true(jb->answered);
    assert_int_equal(((const struct kp_join_group_response *)jb->out)->error_code,
                     KERR_REBALANCE_IN_PROGRESS);
    struct coord_req *ja = t_join_with(t, "g", (struct t_join){.member = p.a});
    assert_int_equal(t_joined(again)->generation_id, 2);
    assert_int_equal(t_joined(ja)->generation_id, 2);
    t_free(t);
}

static void protocols(void **s)
{
    struct t_group *t = t_new();
    char *a, *b, *c;
    struct coord_req *ja =
        t_enter(t, "g", (struct t_join){.protocol = "range", .protocol2 = "roundrobin"}, &a);
    struct coord_req *jb =
        t_enter(t, "g", (struct t_join){.protocol = "roundrobin", .protocol2 = "range"}, &b);
    struct coord_req *jc = t_enter(t, "g", (struct t_join){.protocol = "roundrobin"}, &c);
    // Nothing in common, another type, no protocol at all.
    assert_int_equal(t_joined(t_join_with(t, "g", (struct t_join){.protocol = "sticky"}))->error_code,
                     KERR_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(t_joined(t_join_with(t, "g", (struct t_join){.type = "connect"}))->error_code,
                     KERR_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(t_joined(t_join_with(t, "h", (struct t_join){.type = ""}))->error_code,
                     KERR_INCONSISTENT_GROUP_PROTOCOL);
    t_pass(t, 10000);
    assert_string_equal(t_text(t, t_joined(ja)->protocol_name), "roundrobin"); // the only one of all three
    assert_string_equal(t_text(t, t_joined(jb)->protocol_type), "consumer");
    assert_int_equal(t_joined(jc)->generation_id, 1);
    t_free(t);
}

static void max_size(void **s)
{
    struct t_group *t = t_new_with("group.max.size", "2");
    struct t_pair p = t_pair_up(t, "g");
    assert_int_equal(t_joined(t_join_with(t, "g", (struct t_join){0}))->error_code,
                     KERR_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(t_beat(t, "g", p.a, 1), 0);
    t_free(t);
}

// ---- static members --------------------------------------------------------------------------------------------------------
static void static_member_comes_back(void **s)
{
    struct t_group *t = t_new();
    struct coord_req *ja = t_join_with(t, "g", (struct t_join){.instance = "A"});
    struct coord_req *jb = t_join_with(t, "g", (struct t_join){.instance = "B"});
    t_pass(t, 10000);
    char *a = t_text(t, t_joined(ja)->member_id), *b = t_text(t, t_joined(jb)->member_id);
    struct coord_req *sb = t_sync(t, "g", b, 1, NULL, NULL, 0);
    t_sync(t, "g", a, 1, (const char *[]){a, b}, (const char *[]){"1", "2"}, 2);
    assert_true(t_assigned(sb, "2"));
    // The leader restarts: same generation, told not to assign; its old id is fenced.
    struct coord_req *again = t_join_with(t, "g", (struct t_join){.instance = "A"});
    const struct kp_join_group_response *r = t_joined(again);
    char *a2 = t_text(t, r->member_id);
    assert_int_equal(r->generation_id, 1);
    assert_true(r->skip_assignment);
    assert_string_equal(t_text(t, r->leader), a2);
    assert_int_equal(r->members_n, 2);
    assert_true(strcmp(a, a2) != 0);
    assert_int_equal(t_beat(t, "g", a2, 1), 0);
    assert_int_equal(t_joined(t_join_with(t, "g", (struct t_join){.instance = "A", .member = a}))->error_code,
                     KERR_FENCED_INSTANCE_ID);
    assert_int_equal(t_commit_with(t, "g", (struct t_commit){.member = a, .instance = "A", .generation = 1}),
                     KERR_FENCED_INSTANCE_ID);
    assert_true(t_assigned(t_sync(t, "g", a2, 1, NULL, NULL, 0), "1"));
    // An older version of the request does not know skip_assignment: the old leader's id keeps it from assigning.
    r = t_joined(t_join_with(t, "g", (struct t_join){.instance = "A", .version = 7}));
    assert_string_equal(t_text(t, r->leader), a2);
    assert_int_equal(r->members_n, 0);
    // The new ids outlive a restart of the broker.
    char *a3 = t_text(t, r->member_id);
    t_restart(t);
    assert_int_equal(t_beat(t, "g", a3, 1), 0);
    assert_int_equal(t_leave(t, "g", "", "A"), 0);
    assert_int_equal(t_leave(t, "g", "", "C"), KERR_UNKNOWN_MEMBER_ID);
    t_free(t);
}

static void static_member_survives_a_rebalance(void **s)
{
    struct t_group *t = t_new();
    struct coord_req *ja =
        t_join_with(t, "g", (struct t_join){.instance = "A", .session = 30000, .rebalance = 5000});
    struct coord_req *jb =
        t_join_with(t, "g", (struct t_join){.instance = "B", .session = 30000, .rebalance = 5000});
    t_pass(t, 5000);
    char *a = t_text(t, t_joined(ja)->member_id), *b = t_text(t, t_joined(jb)->member_id);
    t_sync(t, "g", b, 1, NULL, NULL, 0);
    t_sync(t, "g", a, 1, (const char *[]){a, b}, (const char *[]){"1", "2"}, 2);
    // The leader joins again, B is away: after the rebalance timeout it goes on with B still a member.
    ja = t_join_with(t, "g",
                     (struct t_join){.instance = "A", .member = a, .session = 30000, .rebalance = 5000});
    t_pass(t, 5001);
    assert_int_equal(t_joined(ja)->generation_id, 2);
    assert_int_equal(t_joined(ja)->members_n, 2);
    t_free(t);
}

// ---- restarts --------------------------------------------------------------------------------------------------------------
static void restart_keeps_the_generation(void **s)
{
    struct t_group *t = t_new();
    struct t_pair p = t_pair_up(t, "g");
    assert_int_equal(t_commit(t, "g", p.a, 1, 42), 0);
    t_restart(t);
    assert_string_equal(t_state(t, "g"), "Stable");
    assert_int_equal(t_beat(t, "g", p.a, 1), 0);
    assert_true(t_assigned(t_sync(t, "g", p.b, 1, NULL, NULL, 0), "B"));
    assert_int_equal(t_offset(t, "g", "t", 0), 42);
    assert_int_equal(t_commit(t, "g", p.b, 1, 43), 0);
    // Nobody says anything for a session: both are gone, the offsets are not.
    t_pass(t, 10001);
    assert_string_equal(t_state(t, "g"), "Empty");
    t_restart(t);
    assert_string_equal(t_state(t, "g"), "Empty");
    assert_int_equal(t_offset(t, "g", "t", 0), 43);
    t_free(t);
}

static void restart_during_a_rebalance(void **s)
{
    struct t_group *t = t_new();
    struct t_pair p = t_pair_up(t, "g");
    struct coord_req *ja = t_join_with(t, "g", (struct t_join){.member = p.a});
    assert_false(ja->answered);
    t_restart(t); // the old generation is the last one that was written
    assert_true(ja->answered);
    assert_int_equal(((const struct kp_join_group_response *)ja->out)->error_code, KERR_NOT_COORDINATOR);
    assert_int_equal(t_beat(t, "g", p.b, 1), 0);
    t_free(t);
}

// ---- commits -----------------------------------------------------------------------------------------------------------
static void who_may_commit(void **s)
{
    struct t_group *t = t_new();
    assert_int_equal(t_commit(t, "simple", "", -1, 5), 0); // outside of any group
    assert_int_equal(t_offset(t, "simple", "t", 0), 5);
    assert_int_equal(t_commit(t, "none", "x", 1, 5), KERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(t_commit_with(t, "none", (struct t_commit){.generation = 1, .version = 8}),
                     KERR_ILLEGAL_GENERATION);
    struct t_pair p = t_pair_up(t, "g");
    assert_int_equal(t_commit(t, "g", p.a, 1, 5), 0);
    assert_int_equal(t_commit(t, "g", p.a, 0, 5), KERR_ILLEGAL_GENERATION);
    assert_int_equal(t_commit(t, "g", "x", 1, 5), KERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(t_commit(t, "g", "", -1, 5), KERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(
        t_commit_with(t, "g", (struct t_commit){.member = p.a, .generation = 1, .instance = "i"}),
        KERR_UNKNOWN_MEMBER_ID);
    // While others join, commits of the old generation still count; between join and sync they do not.
    struct coord_req *ja = t_join_with(t, "g", (struct t_join){.member = p.a});
    assert_int_equal(t_commit(t, "g", p.b, 1, 6), 0);
    t_join_with(t, "g", (struct t_join){.member = p.b});
    assert_int_equal(t_joined(ja)->generation_id, 2);
    assert_int_equal(t_commit(t, "g", p.b, 2, 7), KERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(t_offset(t, "g", "t", 0), 6);
    t_free(t);
}

static void commits_keep_the_session(void **s)
{
    struct t_group *t = t_new();
    struct t_pair p = t_pair_up(t, "g");
    for (int i = 0; i < 4; i++) {
        t_pass(t, 6000);
        assert_int_equal(t_commit(t, "g", p.a, 1, i), 0);
        assert_int_equal(t_commit(t, "g", p.b, 1, i), 0);
    }
    assert_string_equal(t_state(t, "g"), "Stable");
    t_free(t);
}

// Texts with a zero byte in them, as no client sends them. "A" is there already, and is not what is asked for.
static void zero_bytes(void **s)
{
    static const struct kp_str zero = {"A\0b", 3};
    struct t_group *t = t_new();
    (void)t_join_with(t, "g", (struct t_join){.instance = "A"});
    for (int i = 0; i < 5; i++) {
        struct kp_join_group_request *m = t_own(t, sizeof(*m));
        struct kp_join_group_request_join_group_request_protocol *p = t_own(t, sizeof(*p));
        kp_join_group_request_init(m);
        *m = (struct kp_join_group_request){.group_id = KP_STR_LIT("g"),
                                            .session_timeout_ms = 10000,
                                            .rebalance_timeout_ms = 10000,
                                            .group_instance_id = i == 0 ? zero : KP_STR_NULL,
                                            .member_id = i == 1 ? zero : KP_STR_LIT(""),
                                            .protocol_type = i == 2 ? zero : KP_STR_LIT("consumer"),
                                            .protocols = p,
                                            .protocols_n = 1};
        p->name = i == 3 ? zero : KP_STR_LIT("range");
        p->metadata = (struct kp_bytes){(const uint8_t *)"m", 1};
        struct coord_req *q = t_ask(t, 11, 9, "g", m);
        if (i < 4)
            assert_int_equal(q->error, KERR_INVALID_REQUEST);
        else
            assert_int_equal(t_joined(q)->error_code, KERR_MEMBER_ID_REQUIRED);
    }
    t_free(t);
}

static void stop_lets_go(void **s)
{
    struct t_group *t = t_new();
    char *a;
    struct coord_req *ja = t_enter(t, "g", (struct t_join){0}, &a);
    t->x.letting_go = true;
    t_begin(t);
    groups_ops.let_go(t->gs, KERR_NOT_COORDINATOR);
    t_end(t);
    assert_true(ja->answered);
    struct coord_req *later = t_join_with(t, "g", (struct t_join){.member = a});
    assert_int_equal(later->error, KERR_NOT_COORDINATOR);
    t_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_members),
        cmocka_unit_test(member_id_required),
        cmocka_unit_test(initial_delay_extends),
        cmocka_unit_test(a_third_joins_and_one_leaves),
        cmocka_unit_test(rebalance_timeout_removes_the_absent),
        cmocka_unit_test(session_expiry),
        cmocka_unit_test(missing_sync_removes),
        cmocka_unit_test(lost_answers_come_again),
        cmocka_unit_test(protocols),
        cmocka_unit_test(max_size),
        cmocka_unit_test(static_member_comes_back),
        cmocka_unit_test(static_member_survives_a_rebalance),
        cmocka_unit_test(restart_keeps_the_generation),
        cmocka_unit_test(restart_during_a_rebalance),
        cmocka_unit_test(who_may_commit),
        cmocka_unit_test(commits_keep_the_session),
        cmocka_unit_test(zero_bytes),
        cmocka_unit_test(stop_lets_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
