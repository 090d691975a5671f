// Classic members in consumer groups, and the conversion of groups from one protocol to the other and back.
#include "modern_rig.h"

#include "engine/base/bytes.h"
#include "engine/coord/classic.h"
#include "proto/gen/consumer_protocol_assignment.h"
#include "proto/gen/consumer_protocol_subscription.h"
#include "proto/gen/heartbeat_request.h"
#include "proto/gen/heartbeat_response.h"
#include "proto/gen/leave_group_request.h"
#include "proto/gen/leave_group_response.h"

static const char *const settings[] = {"group.consumer.assignment.interval.ms=0",
                                       "group.initial.rebalance.delay.ms=0", NULL};

struct old_client {
    char id[80];
    const char *topic, *instance;
    int32_t generation;
    char leader[80];
    struct cg_parts owned;
};

static uint8_t buf[4096];

static struct kp_bytes subscription(const struct old_client *c)
{
    struct kp_consumer_protocol_subscription s;
    struct kp_str topic = kp_str_of(c->topic);
    static uint8_t out[1024];
    kp_consumer_protocol_subscription_init(&s);
    s.topics = &topic;
    s.topics_n = 1;
    struct kp_consumer_protocol_subscription_topic_partition owned = {.topic = topic};
    int32_t parts[64];
    for (uint32_t i = 0; i < c->owned.n; i++)
        parts[i] = c->owned.v[i].partition;
    owned.partitions = parts;
    owned.partitions_n = (int32_t)c->owned.n;
    s.owned_partitions = &owned;
    s.owned_partitions_n = c->owned.n > 0;
    be16_store(out, 1);
    struct kp_writer w = {.buf = out + 2, .cap = sizeof(out) - 2};
    assert_int_equal(kp_consumer_protocol_subscription_encode(&s, 1, &w), 0);
    return (struct kp_bytes){out, (int32_t)w.len + 2};
}

static struct kp_bytes assignment(const char *topic, int32_t from, int32_t to)
{
    struct kp_consumer_protocol_assignment a;
    struct kp_consumer_protocol_assignment_topic_partition t = {.topic = kp_str_of(topic)};
    int32_t parts[64];
    for (int32_t p = from; p < to; p++)
        parts[t.partitions_n++] = p;
    t.partitions = parts;
    kp_consumer_protocol_assignment_init(&a);
    a.assigned_partitions = &t;
    a.assigned_partitions_n = 1;
    be16_store(buf, 1);
    struct kp_writer w = {.buf = buf + 2, .cap = sizeof(buf) - 2};
    assert_int_equal(kp_consumer_protocol_assignment_encode(&a, 1, &w), 0);
    return (struct kp_bytes){buf, (int32_t)w.len + 2};
}

// Sends a JoinGroup; the request stays the caller's until it is answered.
static void send_join(struct old_client *c, struct coord_req *q, struct kp_join_group_request *m,
                      struct kp_join_group_request_join_group_request_protocol *p)
{
    kp_join_group_request_init(m);
    m->group_id = KP_STR_LIT("g");
    m->member_id = kp_str_of(c->id);
    m->group_instance_id = kp_str_of(c->instance);
    m->session_timeout_ms = 10000;
    m->rebalance_timeout_ms = 20000;
    m->protocol_type = KP_STR_LIT("consumer");
    *p = (struct kp_join_group_request_join_group_request_protocol){KP_STR_LIT("range"), subscription(c)};
    m->protocols = p;
    m->protocols_n = 1;
    *q = (struct coord_req){.in = m};
    rig_request(q, 11, 9, "g");
}

static int16_t take_join(struct old_client *c, struct coord_req *q)
{
    const struct kp_join_group_response *out = q->out;
    int16_t e = q->error ? q->error : out->error_code;
    assert_true(q->answered);
    if (out && (!e || e == KERR_MEMBER_ID_REQUIRED))
        snprintf(c->id, sizeof(c->id), "%.*s", out->member_id.n, out->member_id.p);
    if (!e) {
        c->generation = out->generation_id;
        snprintf(c->leader, sizeof(c->leader), "%.*s", out->leader.n, out->leader.p);
    }
    arena_free(&q->arena);
    return e;
}

static int16_t join_now(struct old_client *c)
{
    struct coord_req q;
    struct kp_join_group_request m;
    struct kp_join_group_request_join_group_request_protocol p;
    send_join(c, &q, &m, &p);
    int16_t e = take_join(c, &q);
    if (e != KERR_MEMBER_ID_REQUIRED)
        return e;
    send_join(c, &q, &m, &p);
    if (!q.answered)
        rig_pass(1);
    return take_join(c, &q);
}

static void own(struct old_client *c, struct kp_bytes b)
{
    struct cg_op op = {.gs = rig.gs};
    struct cg_parts s = {0};
    arena_init(&op.a, 0);
    assert_true(b.n >= 2);
    struct kp_consumer_protocol_assignment a;
    assert_true(kp_consumer_protocol_assignment_decode(&a, b.p + 2, (size_t)b.n - 2, 1, &op.a) >= 0);
    assert_int_equal(cg_parts_reserve(&s, 256, &op.a), 0);
    for (int32_t i = 0; i < a.assigned_partitions_n; i++)
        for (int32_t k = 0; k < a.assigned_partitions[i].partitions_n; k++)
            cg_parts_push(&s, &rig.topics[0].id, a.assigned_partitions[i].partitions[k], 0);
    cg_parts_sort(&s);
    cg_parts_keep(&c->owned, &s);
    arena_free(&op.a);
}

// The leader of a classic group gives all to itself.
static int16_t sync_now(struct old_client *c, bool assigns)
{
    struct kp_sync_group_request m;
    struct kp_sync_group_request_sync_group_request_assignment a = {kp_str_of(c->id), assignment("a0", 0, 4)};
    struct coord_req q = {.in = &m};
    kp_sync_group_request_init(&m);
    m.group_id = KP_STR_LIT("g");
    m.member_id = kp_str_of(c->id);
    m.group_instance_id = kp_str_of(c->instance);
    m.generation_id = c->generation;
    m.protocol_type = KP_STR_LIT("consumer");
    m.protocol_name = KP_STR_LIT("range");
    m.assignments = &a;
    m.assignments_n = assigns;
    rig_request(&q, 14, 5, "g");
    assert_true(q.answered);
    const struct kp_sync_group_response *out = q.out;
    int16_t e = q.error ? q.error : out->error_code;
    if (!e)
        own(c, out->assignment);
    arena_free(&q.arena);
    return e;
}

static int16_t old_beat(const struct old_client *c)
{
    struct kp_heartbeat_request m;
    struct coord_req q = {.in = &m};
    kp_heartbeat_request_init(&m);
    m.member_id = kp_str_of(c->id);
    m.group_instance_id = kp_str_of(c->instance);
    m.generation_id = c->generation;
    rig_request(&q, 12, 4, "g");
    int16_t e = q.error ? q.error : ((const struct kp_heartbeat_response *)q.out)->error_code;
    arena_free(&q.arena);
    return e;
}

static int16_t old_leave(struct old_client *c)
{
    struct kp_leave_group_request m;
    struct kp_leave_group_request_member_identity who = {.member_id = kp_str_of(c->id),
                                                         .group_instance_id = kp_str_of(c->instance)};
    struct coord_req q = {.in = &m};
    kp_leave_group_request_init(&m);
    m.members = &who;
    m.members_n = 1;
    rig_request(&q, 13, 5, "g");
    int16_t e = q.error ? q.error : ((const struct kp_leave_group_response *)q.out)->members[0].error_code;
    arena_free(&q.arena);
    cg_parts_free(&c->owned);
    return e;
}

static struct group *group_g(void)
{
    struct group *g = NULL;
    HASH_FIND(hh, rig.gs->table, "g", 1, g);
    return g;
}

// What a client of the classic protocol does when a heartbeat tells it to: join with what it owns, give up the rest.
static void follow(struct old_client *c)
{
    for (int i = 0; i < 4 && old_beat(c) == KERR_REBALANCE_IN_PROGRESS; i++) {
        assert_int_equal(join_now(c), 0);
        int16_t e = sync_now(c, false);
        assert_true(e == 0 || e == KERR_REBALANCE_IN_PROGRESS);
    }
}

static struct rig_client new_client(const char *id)
{
    struct rig_client c;
    rig_client_init(&c, id);
    c.names[c.names_n++] = "a0";
    return c;
}

static void test_upgrade_and_downgrade(void **state)
{
    struct old_client old = {.topic = "a0"};
    rig_start(settings);
    rig_set_topic(0, 4);
    assert_int_equal(join_now(&old), 0);
    assert_string_equal(old.leader, old.id);
    assert_int_equal(sync_now(&old, true), 0);
    assert_int_equal(old.owned.n, 4);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    // A member of the consumer protocol joins: the group is a consumer group from now on.
    struct rig_client new = new_client("n");
    assert_int_equal(rig_beat(&new, "g", true, false), 0);
    assert_int_equal(group_kind(group_g()), GROUP_CONSUMER);
    assert_int_equal(rig_group("g")->classic_n, 1);
    assert_int_equal(new.owned.n, 0);
    assert_int_equal(old_beat(&old), KERR_REBALANCE_IN_PROGRESS);
    rig_reload(false);
    rig_reload(true);
    assert_int_equal(rig_group("g")->classic_n, 1);
    follow(&old);
    assert_int_equal(old.owned.n, 2);
    assert_int_equal(rig_beat(&new, "g", false, false), 0);
    assert_int_equal(new.owned.n, 2);
    assert_false(cg_parts_meet(&old.owned, &new.owned));
    assert_int_equal(old_beat(&old), 0);
    // The last one of the consumer protocol goes: classic again, and the other is told to join.
    assert_int_equal(rig_leave(&new, "g", CG_LEAVE_EPOCH), 0);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    assert_int_equal(old_beat(&old), KERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(join_now(&old), 0);
    assert_string_equal(old.leader, old.id);
    assert_int_equal(sync_now(&old, true), 0);
    assert_int_equal(old.owned.n, 4);
    rig_reload(true);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    assert_int_equal(old_beat(&old), 0);
    old_leave(&old);
    rig_stop();
}

// A group that became a classic one has to rebalance: nobody owns what the members that went had. A crash before that
// does not make it forget.
static void test_downgrade_rebalances_after_a_crash(void **state)
{
    struct old_client old = {.topic = "a0"};
    rig_start(settings);
    rig_set_topic(0, 4);
    struct rig_client new = new_client("n");
    assert_int_equal(rig_beat(&new, "g", true, false), 0);
    assert_int_equal(join_now(&old), 0);
    assert_int_equal(sync_now(&old, false), 0);
    for (int i = 0; i < 4; i++) {
        rig_beat(&new, "g", false, false);
        follow(&old);
    }
    assert_int_equal(old.owned.n, 2);
    assert_int_equal(rig_leave(&new, "g", CG_LEAVE_EPOCH), 0);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    rig_reload(false);
    rig_reload(true);
    assert_int_equal(classic_of(group_g())->state, CLASSIC_PREPARING_REBALANCE);
    assert_int_equal(old_beat(&old), KERR_REBALANCE_IN_PROGRESS);
    int32_t generation = old.generation;
    assert_int_equal(join_now(&old), 0);
    assert_int_equal(old.generation, generation + 1);
    assert_string_equal(old.leader, old.id);
    rig_reload(true); // no assignment was written: it is still to come
    assert_int_equal(old_beat(&old), KERR_ILLEGAL_GENERATION);
    old.generation = generation;
    assert_int_equal(old_beat(&old), KERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(join_now(&old), 0);
    assert_int_equal(sync_now(&old, true), 0);
    assert_int_equal(old.owned.n, 4);
    rig_reload(true);
    assert_int_equal(classic_of(group_g())->state, CLASSIC_STABLE);
    assert_int_equal(old_beat(&old), 0);
    old_leave(&old);
    rig_stop();
}

static void test_classic_joins_consumer_group(void **state)
{
    struct old_client old = {.topic = "a0"}, other = {.topic = "a0"};
    rig_start(settings);
    rig_set_topic(0, 4);
    struct rig_client new = new_client("n");
    assert_int_equal(rig_beat(&new, "g", true, false), 0);
    assert_int_equal(join_now(&old), 0);
    assert_string_equal(old.leader, "");
    assert_int_equal(sync_now(&old, false), 0);
    assert_int_equal(old.owned.n, 0);
    assert_int_equal(old_beat(&old), 0); // waits for what the other still holds
    rig_beat(&new, "g", false, false);
    rig_beat(&new, "g", false, false);
    assert_int_equal(new.owned.n, 2);
    assert_int_equal(old_beat(&old), KERR_REBALANCE_IN_PROGRESS);
    follow(&old);
    assert_int_equal(old.owned.n, 2);
    assert_int_equal(join_now(&other), 0);
    for (int i = 0; i < 4; i++) {
        follow(&old);
        rig_beat(&new, "g", false, false);
        follow(&other);
    }
    assert_int_equal(old.owned.n + other.owned.n + new.owned.n, 4);
    assert_int_equal(old_leave(&other), 0);
    // Its session is its own: 10 s.
    assert_int_equal(old_beat(&old), KERR_NONE);
    rig_pass(9000);
    rig_beat(&new, "g", false, false);
    rig_pass(2000);
    assert_int_equal(rig_group("g")->classic_n, 0);
    assert_int_equal(old_beat(&old), KERR_UNKNOWN_MEMBER_ID);
    cg_parts_free(&old.owned);
    rig_beat(&new, "g", false, false);
    assert_int_equal(new.owned.n, 4);
    rig_own_nothing(&new);
    rig_stop();
}

static void test_policy(void **state)
{
    static const char *const disabled[] = {"group.consumer.assignment.interval.ms=0",
                                           "group.initial.rebalance.delay.ms=0",
                                           "group.consumer.migration.policy=disabled", NULL};
    struct old_client old = {.topic = "a0"};
    rig_start(disabled);
    rig_set_topic(0, 4);
    assert_int_equal(join_now(&old), 0);
    assert_int_equal(sync_now(&old, true), 0);
    struct rig_client new = new_client("n");
    assert_int_equal(rig_beat(&new, "g", true, false), KERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    // An empty group changes its kind under every policy, both ways.
    assert_int_equal(old_leave(&old), 0);
    assert_int_equal(rig_beat(&new, "g", true, false), 0);
    assert_int_equal(group_kind(group_g()), GROUP_CONSUMER);
    old.id[0] = 0;
    assert_int_equal(join_now(&old), KERR_INCONSISTENT_GROUP_PROTOCOL);
    rig_leave(&new, "g", CG_LEAVE_EPOCH);
    rig_reload(true);
    old.id[0] = 0;
    assert_int_equal(join_now(&old), 0);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    assert_int_equal(sync_now(&old, true), 0);
    rig_reload(true);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    assert_int_equal(old_beat(&old), 0);
    old_leave(&old);
    rig_stop();
}

// A client may assign one partition twice; no consumer group comes of it.
static void test_two_owners_are_not_taken_over(void **state)
{
    struct old_client a = {.topic = "a0"}, b = {.topic = "a0"};
    rig_start(settings);
    rig_set_topic(0, 4);
    assert_int_equal(join_now(&a), 0);
    assert_int_equal(sync_now(&a, true), 0);
    struct classic *c = classic_of(group_g());
    struct coord_req q;
    struct kp_join_group_request m;
    struct kp_join_group_request_join_group_request_protocol p;
    send_join(&b, &q, &m, &p);
    assert_int_equal(take_join(&b, &q), KERR_MEMBER_ID_REQUIRED);
    send_join(&b, &q, &m, &p);
    assert_false(q.answered);
    struct coord_req qa;
    struct kp_join_group_request ma;
    struct kp_join_group_request_join_group_request_protocol pa;
    send_join(&a, &qa, &ma, &pa);
    assert_int_equal(take_join(&a, &qa), 0);
    assert_int_equal(take_join(&b, &q), 0);
    struct kp_sync_group_request s;
    struct kp_sync_group_request_sync_group_request_assignment both[2] = {
        {kp_str_of(a.id), assignment("a0", 0, 4)}, {kp_str_of(b.id), assignment("a0", 0, 4)}};
    struct coord_req qs = {.in = &s};
    kp_sync_group_request_init(&s);
    s.member_id = kp_str_of(a.id);
    s.generation_id = a.generation;
    s.assignments = both;
    s.assignments_n = 2;
    rig_request(&qs, 14, 5, "g");
    assert_int_equal(c->state, CLASSIC_STABLE);
    arena_free(&qs.arena);
    struct rig_client new = new_client("n");
    assert_int_equal(rig_beat(&new, "g", true, false), KERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    assert_int_equal(old_beat(&a), 0);
    rig_stop();
    cg_parts_free(&a.owned);
    cg_parts_free(&b.owned);
}

static void test_static_member_changes_protocol(void **state)
{
    struct old_client old = {.topic = "a0", .instance = "one"}, other = {.topic = "a0"};
    rig_start(settings);
    rig_set_topic(0, 4);
    struct rig_client new = new_client("n");
    strcpy(new.instance, "one");
    assert_int_equal(rig_beat(&new, "g", true, false), 0);
    assert_int_equal(join_now(&other), 0);
    for (int i = 0; i < 4; i++) {
        rig_beat(&new, "g", false, false);
        follow(&other);
    }
    assert_int_equal(new.owned.n, 2);
    assert_int_equal(other.owned.n, 2);
    // It comes back with the classic protocol, and was the last of the other one.
    assert_int_equal(join_now(&old), 0);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    assert_int_equal(classic_size(classic_of(group_g())), 2);
    assert_null(classic_find(classic_of(group_g()), kp_str_of(new.id)));
    assert_non_null(classic_find_static(classic_of(group_g()), KP_STR_LIT("one")));
    // A classic member has no pattern, not even none: that is a change, as upstream sees it, and so all join again.
    assert_int_equal(sync_now(&old, false), KERR_REBALANCE_IN_PROGRESS);
    assert_int_equal(old_beat(&other), KERR_REBALANCE_IN_PROGRESS);
    rig_reload(true);
    assert_int_equal(group_kind(group_g()), GROUP_CLASSIC);
    assert_int_equal(classic_size(classic_of(group_g())), 2);
    struct kp_bytes kept = (struct kp_bytes){
        classic_find_static(classic_of(group_g()), KP_STR_LIT("one"))->assignment,
        (int32_t)classic_find_static(classic_of(group_g()), KP_STR_LIT("one"))->assignment_len};
    own(&old, kept);
    assert_true(cg_parts_same(&old.owned, &new.owned)); // it kept its place
    // A restart later it comes without its id, and leads: the other one's session ends.
    struct coord_req q;
    struct kp_join_group_request m;
    struct kp_join_group_request_join_group_request_protocol p;
    old.id[0] = 0;
    send_join(&old, &q, &m, &p);
    assert_false(q.answered);
    rig_pass(10000);
    assert_int_equal(take_join(&old, &q), 0);
    assert_string_equal(old.leader, old.id);
    assert_int_equal(classic_size(classic_of(group_g())), 1);
    assert_int_equal(sync_now(&old, true), 0);
    assert_int_equal(old.owned.n, 4);
    rig_own_nothing(&new);
    cg_parts_free(&old.owned);
    cg_parts_free(&other.owned);
    rig_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade_and_downgrade),
        cmocka_unit_test(test_downgrade_rebalances_after_a_crash),
        cmocka_unit_test(test_classic_joins_consumer_group),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_two_owners_are_not_taken_over),
        cmocka_unit_test(test_static_member_changes_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
