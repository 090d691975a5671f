// Groups of the consumer protocol: the story of a group, step by step, and random lives against what clients believe.
#include "modern_rig.h"

#include "proto/gen/consumer_group_describe_response.h"
#include "proto/gen/join_group_request.h"

static const char *const settings[] = {"group.consumer.assignment.interval.ms=0", NULL};

static uint32_t count(const struct rig_client *c)
{
    return c->owned.n;
}

static struct rig_client client(const char *id, const char *topic)
{
    struct rig_client c;
    rig_client_init(&c, id);
    if (topic)
        c.names[c.names_n++] = topic;
    return c;
}

// ---- the basic story ---------------------------------------------------------------------------------------------------
static void test_two_members(void **state)
{
    rig_start(settings);
    rig_set_topic(0, 4);
    struct rig_client a = client("a", "a0"), b = client("b", "a0");
    assert_int_equal(rig_beat(&a, "g", true, false), 0);
    assert_int_equal(a.epoch, 2);
    assert_int_equal(count(&a), 4);
    struct cg *g = rig_group("g");
    assert_int_equal(cg_state_of(g), CG_STABLE);
    // The second one gets nothing before the first has let go.
    assert_int_equal(rig_beat(&b, "g", true, false), 0);
    assert_int_equal(b.epoch, 3);
    assert_int_equal(count(&b), 0);
    assert_int_equal(cg_state_of(g), CG_RECONCILING);
    assert_int_equal(rig_beat(&a, "g", false, false), 0);
    assert_int_equal(a.epoch, 2); // must revoke first
    assert_int_equal(count(&a), 2);
    assert_int_equal(rig_beat(&b, "g", false, false), 0);
    assert_int_equal(count(&b), 0);
    assert_int_equal(rig_beat(&a, "g", false, false), 0);
    assert_int_equal(a.epoch, 3);
    assert_int_equal(rig_beat(&b, "g", false, false), 0);
    assert_int_equal(count(&b), 2);
    assert_int_equal(cg_state_of(g), CG_STABLE);
    assert_false(cg_parts_meet(&a.owned, &b.owned));
    // One leaves: the other takes all.
    assert_int_equal(rig_leave(&a, "g", CG_LEAVE_EPOCH), 0);
    assert_int_equal(cg_state_of(g), CG_ASSIGNING);
    assert_int_equal(rig_beat(&b, "g", false, false), 0);
    assert_int_equal(count(&b), 4);
    assert_int_equal(b.epoch, 4);
    assert_int_equal(rig_leave(&b, "g", CG_LEAVE_EPOCH), 0);
    assert_int_equal(cg_state_of(g), CG_EMPTY);
    rig_reload(true);
    assert_int_equal(cg_state_of(rig_group("g")), CG_EMPTY);
    rig_stop();
}

static void test_epochs_fence(void **state)
{
    rig_start(settings);
    rig_set_topic(0, 2);
    struct rig_client a = client("a", "a0"), nobody = client("n", "a0");
    nobody.epoch = 5;
    assert_int_equal(rig_beat(&nobody, "g", false, false), KERR_GROUP_ID_NOT_FOUND);
    assert_null(rig_group("g"));
    assert_int_equal(rig_beat(&a, "g", true, false), 0);
    nobody.epoch = 5;
    assert_int_equal(rig_beat(&nobody, "g", false, false), KERR_UNKNOWN_MEMBER_ID);
    a.epoch++;
    assert_int_equal(rig_beat(&a, "g", false, false), KERR_FENCED_MEMBER_EPOCH);
    assert_int_equal(a.epoch, 0);
    assert_int_equal(rig_beat(&a, "g", true, false), 0); // comes back as the same member
    assert_int_equal(count(&a), 2);
    // An answer that is lost: the previous epoch is good while the member holds no more than it may.
    rig_set_topic(0, 3);
    int32_t before = a.epoch;
    assert_int_equal(rig_beat(&a, "g", false, true), 0);
    assert_int_equal(rig_group("g")->epoch, before + 1);
    assert_int_equal(rig_beat(&a, "g", true, false), 0);
    assert_int_equal(a.epoch, before + 1);
    assert_int_equal(count(&a), 3);
    a.epoch = before - 1;
    assert_int_equal(rig_beat(&a, "g", false, false), KERR_FENCED_MEMBER_EPOCH);
    rig_own_nothing(&a);
    rig_stop();
}

static void test_session_and_rebalance_timeouts(void **state)
{
    rig_start(settings);
    rig_set_topic(0, 4);
    struct rig_client a = client("a", "a0"), b = client("b", "a0");
    rig_beat(&a, "g", true, false);
    rig_pass(44000);
    assert_int_equal(rig_beat(&a, "g", false, false), 0);
    rig_pass(44000);
    assert_int_equal(rig_group("g")->joined_n, 1);
    rig_pass(2000);
    assert_int_equal(rig_group("g")->joined_n, 0);
    rig_own_nothing(&a);
    a.epoch = 0;
    // A member that keeps its heartbeats, but does not revoke within its rebalance timeout of 20 s.
    rig_beat(&a, "g", true, false);
    rig_beat(&b, "g", true, false);
    struct cg_parts all = {0};
    cg_parts_keep(&all, &a.owned);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rig_beat(&a, "g", false, false), 0);
        cg_parts_keep(&a.owned, &all);
        rig_pass(4900);
    }
    assert_int_equal(rig_group("g")->joined_n, 2);
    rig_pass(1000);
    assert_int_equal(rig_group("g")->joined_n, 1);
    assert_int_equal(rig_beat(&b, "g", false, false), 0);
    assert_int_equal(count(&b), 4);
    cg_parts_free(&all);
    rig_own_nothing(&a);
    rig_own_nothing(&b);
    rig_stop();
}

static void test_a_group_has_its_own_session_timeout(void **state)
{
    rig_start(settings);
    rig_set_topic(0, 4);
    struct rig_client a = client("a", "a0");
    rig_group_session = "60000";
    rig_beat(&a, "g", true, false);
    rig_pass(59000);
    assert_int_equal(rig_group("g")->joined_n, 1);
    rig_pass(2000);
    assert_int_equal(rig_group("g")->joined_n, 0);
    rig_group_session = NULL;
    rig_own_nothing(&a);
    rig_stop();
}

static void test_static_members(void **state)
{
    rig_start(settings);
    rig_set_topic(0, 4);
    struct rig_client a = client("a", "a0"), b = client("b", "a0"), again = client("a2", "a0");
    strcpy(a.instance, "one");
    strcpy(again.instance, "one");
    rig_beat(&a, "g", true, false);
    rig_beat(&b, "g", true, false);
    for (int i = 0; i < 3; i++) {
        rig_beat(&a, "g", false, false);
        rig_beat(&b, "g", false, false);
    }
    assert_int_equal(count(&a), 2);
    struct cg_parts had = {0};
    cg_parts_keep(&had, &a.owned);
    assert_int_equal(rig_beat(&again, "g", true, false), KERR_UNRELEASED_INSTANCE_ID);
    int32_t epoch = rig_group("g")->epoch;
    assert_int_equal(rig_leave(&a, "g", CG_LEAVE_STATIC_EPOCH), 0);
    assert_int_equal(rig_group("g")->epoch, epoch); // it will be back: no rebalance
    assert_int_equal(rig_group("g")->joined_n, 2);
    rig_reload(false);
    rig_reload(true);
    assert_int_equal(rig_beat(&again, "g", true, false), 0);
    assert_int_equal(rig_group("g")->epoch, epoch);
    assert_true(cg_parts_same(&had, &again.owned));
    assert_null(cg_find(rig_group("g"), KP_STR_LIT("a")));
    a.epoch = epoch;
    assert_int_equal(rig_beat(&a, "g", false, false), KERR_FENCED_INSTANCE_ID);
    // Gone for longer than its session.
    assert_int_equal(rig_leave(&again, "g", CG_LEAVE_STATIC_EPOCH), 0);
    for (int i = 0; i < 12; i++) {
        rig_pass(4000);
        rig_beat(&b, "g", false, false);
    }
    assert_int_equal(count(&b), 4);
    assert_int_equal(rig_group("g")->joined_n, 1);
    cg_parts_free(&had);
    rig_own_nothing(&b);
    rig_stop();
}

static void test_patterns(void **state)
{
    rig_start(settings);
    rig_set_topic(0, 2);
    rig_set_topic(1, 3);
    rig_set_topic(8, 4);
    struct rig_client a = client("a", NULL);
    a.regex = "a.*";
    a.names_n = -1;
    assert_int_equal(rig_beat(&a, "g", true, false), 0);
    assert_int_equal(count(&a), 0); // it is not known yet what it matches
    rig_pass(10);
    assert_int_equal(rig_beat(&a, "g", false, false), 0);
    assert_int_equal(count(&a), 5);
    rig_set_topic(2, 1); // a new topic is found, but not within 10 s of the last search
    rig_pass(1000);
    rig_beat(&a, "g", false, false);
    rig_pass(10);
    rig_beat(&a, "g", false, false);
    assert_int_equal(count(&a), 5);
    rig_pass(10000);
    rig_beat(&a, "g", false, false);
    rig_pass(10);
    rig_beat(&a, "g", false, false);
    assert_int_equal(count(&a), 6);
    rig_reload(true);
    assert_int_equal(HASH_COUNT(rig_group("g")->uses), 3);
    a.regex = "a[";
    a.news = true;
    assert_int_equal(rig_beat(&a, "g", false, false), KERR_INVALID_REGULAR_EXPRESSION);
    a.regex = "b0|zzz";
    assert_int_equal(rig_beat(&a, "g", false, false), 0);
    rig_pass(11000);
    for (int i = 0; i < 4; i++) {
        rig_beat(&a, "g", false, false);
        rig_pass(10);
    }
    assert_int_equal(count(&a), 4);
    assert_int_equal(HASH_COUNT(rig_group("g")->patterns), 1);
    rig_leave(&a, "g", CG_LEAVE_EPOCH);
    assert_int_equal(HASH_COUNT(rig_group("g")->patterns), 0);
    rig_stop();
}

static void test_topics_change(void **state)
{
    rig_start(settings);
    struct rig_client a = client("a", "a0");
    a.names[a.names_n++] = "a1";
    assert_int_equal(rig_beat(&a, "g", true, false), 0);
    assert_int_equal(count(&a), 0);
    int32_t epoch = a.epoch;
    rig_set_topic(5, 3); // not one of its own
    rig_beat(&a, "g", false, false);
    assert_int_equal(a.epoch, epoch);
    rig_set_topic(0, 3);
    rig_beat(&a, "g", false, false);
    assert_int_equal(a.epoch, epoch + 1);
    assert_int_equal(count(&a), 3);
    rig_set_topic(0, 5);
    rig_beat(&a, "g", false, false);
    assert_int_equal(count(&a), 5);
    rig_set_topic(1, 1);
    rig_beat(&a, "g", false, false);
    assert_int_equal(count(&a), 6);
    rig_set_topic(0, 0); // deleted, and made again under another id
    rig_set_topic(0, 2);
    for (int i = 0; i < 3; i++)
        rig_beat(&a, "g", false, false);
    assert_int_equal(count(&a), 3);
    assert_int_equal(cg_state_of(rig_group("g")), CG_STABLE);
    rig_own_nothing(&a);
    rig_stop();
}

static void test_refusals(void **state)
{
    static const char *const small[] = {"group.consumer.assignment.interval.ms=0",
                                        "group.consumer.max.size=1", "group.consumer.assignors=range", NULL};
    rig_start(small);
    rig_set_topic(0, 2);
    struct rig_client a = client("a", "a0"), b = client("b", "a0");
    a.assignor = "uniform";
    assert_int_equal(rig_beat(&a, "g", true, false), KERR_UNSUPPORTED_ASSIGNOR);
    a.assignor = "range";
    assert_int_equal(rig_beat(&a, "g", true, false), 0);
    assert_int_equal(rig_beat(&b, "g", true, false), KERR_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(rig_beat(&a, "g", true, false), 0); // a member may stay
    struct rig_client no_id = client("", "a0");
    assert_int_equal(rig_beat(&no_id, "g", true, false), KERR_INVALID_REQUEST);
    no_id = client("x", "a0");
    assert_int_equal(rig_leave(&no_id, "g", CG_LEAVE_STATIC_EPOCH), KERR_INVALID_REQUEST);
    assert_int_equal(rig_leave(&no_id, "g", -3), KERR_INVALID_REQUEST);
    assert_int_equal(rig_leave(&no_id, "g", CG_LEAVE_EPOCH), KERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(rig_leave(&no_id, "none", CG_LEAVE_EPOCH), KERR_GROUP_ID_NOT_FOUND);
    rig_own_nothing(&a);
    rig_stop();
}

static void test_assignment_interval(void **state)
{
    rig_start(NULL); // 1 s
    rig_set_topic(0, 4);
    struct rig_client a = client("a", "a0"), b = client("b", "a0");
    rig_beat(&a, "g", true, false);
    rig_pass(500);
    rig_beat(&b, "g", true, false);
    assert_int_equal(cg_state_of(rig_group("g")), CG_ASSIGNING); // too early
    assert_int_equal(b.epoch, 2);
    rig_pass(600);
    rig_beat(&b, "g", false, false);
    assert_int_equal(cg_state_of(rig_group("g")), CG_RECONCILING);
    assert_int_equal(b.epoch, 3);
    rig_own_nothing(&a);
    rig_own_nothing(&b);
    rig_stop();
}

// A target of the future says that the clock was set back: nobody waits until it has caught up.
static void test_clock_set_back(void **state)
{
    rig_start(NULL);
    rig_set_topic(0, 4);
    struct rig_client a = client("a", "a0"), b = client("b", "a0"), p = client("p", NULL);
    rig_beat(&a, "g", true, false);
    p.regex = "a.*";
    p.names_n = -1;
    rig_beat(&p, "patterns", true, false);
    rig_pass(10);
    rig_beat(&p, "patterns", false, false);
    rig.wall_off = -3600000;
    rig_reload(true);
    rig_beat(&b, "g", true, false);
    assert_int_equal(cg_state_of(rig_group("g")), CG_RECONCILING);
    assert_int_equal(b.epoch, 3);
    rig_set_topic(1, 3);
    rig_beat(&p, "patterns", false, false);
    rig_pass(10);
    rig_beat(&p, "patterns", false, false);
    assert_int_equal(count(&p), 7);
    rig_own_nothing(&a);
    rig_own_nothing(&b);
    rig_own_nothing(&p);
    rig_stop();
}

static void test_describe_and_claims(void **state)
{
    rig_start(settings);
    rig_set_topic(0, 2);
    struct rig_client a = client("a", "a0");
    rig_beat(&a, "g", true, false);
    struct coord_req q = {0};
    rig_request(&q, 69, 1, "g");
    const struct kp_consumer_group_describe_response_described_group *d = q.out;
    assert_int_equal(d->error_code, 0);
    assert_true(kp_str_eq(d->group_state, KP_STR_LIT("Stable")));
    assert_true(kp_str_eq(d->assignor_name, KP_STR_LIT("uniform")));
    assert_int_equal(d->group_epoch, 2);
    assert_int_equal(d->members_n, 1);
    assert_int_equal(d->members[0].assignment.topic_partitions[0].partitions_n, 2);
    assert_int_equal(d->members[0].member_type, 1);
    arena_free(&q.arena);
    q = (struct coord_req){0};
    rig_request(&q, 69, 1, "none");
    d = q.out;
    assert_int_equal(d->error_code, KERR_GROUP_ID_NOT_FOUND);
    arena_free(&q.arena);

    struct group *g = rig_group("g")->group;
    const struct group_type *t = &group_consumer_type;
    struct group_claim c = {
        .member_id = KP_STR_LIT("a"), .instance_id = KP_STR_NULL, .epoch = 2, .version = 9};
    assert_int_equal(t->check_commit(rig.gs, g, &c), 0);
    assert_int_equal(t->check_fetch(rig.gs, g, &c), 0);
    c.version = 8;
    assert_int_equal(t->check_commit(rig.gs, g, &c), KERR_UNSUPPORTED_VERSION);
    c.version = 9;
    c.epoch = 3;
    assert_int_equal(t->check_commit(rig.gs, g, &c), KERR_STALE_MEMBER_EPOCH);
    assert_int_equal(t->check_fetch(rig.gs, g, &c), KERR_STALE_MEMBER_EPOCH);
    c.member_id = KP_STR_LIT("b");
    assert_int_equal(t->check_commit(rig.gs, g, &c), KERR_UNKNOWN_MEMBER_ID);
    c = (struct group_claim){
        .member_id = KP_STR_LIT(""), .instance_id = KP_STR_NULL, .epoch = -1, .version = 9};
    assert_int_equal(t->check_commit(rig.gs, g, &c),
                     KERR_UNKNOWN_MEMBER_ID); // from outside, and there are members
    // An older epoch commits what the member has had since then (KIP-1251).
    rig_set_topic(0, 3);
    rig_beat(&a, "g", false, false);
    c = (struct group_claim){
        .member_id = KP_STR_LIT("a"), .instance_id = KP_STR_NULL, .epoch = 2, .version = 9};
    assert_int_equal(t->check_commit(rig.gs, g, &c), 0);
    assert_int_equal(t->check_commit_part(rig.gs, g, &c, &rig.topics[0].id, KP_STR_LIT("a0"), 0), 0);
    assert_int_equal(t->check_commit_part(rig.gs, g, &c, &rig.topics[0].id, KP_STR_LIT("a0"), 2),
                     KERR_STALE_MEMBER_EPOCH);
    assert_int_equal(t->check_delete(g), KERR_NON_EMPTY_GROUP);
    assert_int_equal(rig_leave(&a, "g", CG_LEAVE_EPOCH), 0);
    assert_int_equal(t->check_delete(g), 0);
    assert_int_equal(t->check_commit(rig.gs, g, &(struct group_claim){.epoch = -1}), 0);
    rig_begin();
    groups_drop(rig.gs, g);
    rig_end();
    rig_reload(true);
    assert_null(rig_group("g"));
    rig_stop();
}

// ---- random lives ------------------------------------------------------------------------------------------------------
enum { CLIENTS = 8 };

struct life {
    struct rig_client c[CLIENTS];
    bool up[CLIENTS];
    uint64_t beat_ms[CLIENTS];
    uint32_t next_id;
};

static const char *const topic_names[] = {"a0", "a1", "a2", "b0", "b1"};
static const int topic_at[] = {0, 1, 2, 8, 9};
static const char *const patterns[] = {"a.*", "b.*", ".*", "a0|b1"};

static uint32_t below(uint32_t n)
{
    return (uint32_t)sl_rand_below(&rig.rnd, n);
}

static void resubscribe(struct rig_client *c)
{
    c->names_n = 0;
    c->regex = NULL;
    c->news = true;
    for (uint32_t i = 0; i < SL_ARRAY_LEN(topic_names); i++)
        if (below(2))
            c->names[c->names_n++] = topic_names[i];
    if (below(3) == 0) {
        c->regex = patterns[below(SL_ARRAY_LEN(patterns))];
    } else {
        c->regex = ""; // none any more
    }
}

static void come_up(struct life *l, uint32_t i)
{
    struct rig_client *c = &l->c[i];
    char instance[16];
    memcpy(instance, c->instance, sizeof(instance));
    rig_own_nothing(c);
    rig_client_init(c, "");
    snprintf(c->id, sizeof(c->id), "m%u", l->next_id++);
    memcpy(c->instance, instance, sizeof(instance));
    resubscribe(c);
    l->up[i] = true;
    l->beat_ms[i] = rig.now_ms;
}

// A client that was silent for nearly its rebalance timeout has stopped by itself; the group may have fenced it.
static void stop_silent(struct life *l)
{
    for (int i = 0; i < CLIENTS; i++)
        if (rig.now_ms - l->beat_ms[i] > 15000) {
            rig_own_nothing(&l->c[i]);
            l->up[i] = false;
        }
}

// The oracle: what clients believe to own never overlaps. A client that was killed believes nothing.
static void check_owners(const struct life *l)
{
    for (int i = 0; i < CLIENTS; i++)
        for (int k = i + 1; k < CLIENTS; k++)
            assert_false(cg_parts_meet(&l->c[i].owned, &l->c[k].owned));
}

static void beat_one(struct life *l, uint32_t i, bool calm)
{
    struct rig_client *c = &l->c[i];
    if (!l->up[i])
        return;
    l->beat_ms[i] = rig.now_ms;
    int16_t e = rig_beat(c, "g", below(4) == 0, !calm && below(12) == 0);
    if (e == KERR_UNRELEASED_INSTANCE_ID || e == KERR_FENCED_INSTANCE_ID) {
        rig_own_nothing(c);
        l->up[i] = false;
        return;
    }
    assert_true(e == 0 || e == KERR_FENCED_MEMBER_EPOCH || e == KERR_UNKNOWN_MEMBER_ID ||
                e == KERR_GROUP_ID_NOT_FOUND);
    if (e == KERR_GROUP_ID_NOT_FOUND) {
        rig_own_nothing(c);
        c->epoch = 0;
    }
}

static void disturb(struct life *l)
{
    uint32_t i = below(CLIENTS);
    switch (below(10)) {
    case 0:
    case 1:
    case 2:
        if (!l->up[i])
            come_up(l, i);
        break;
    case 3:
        if (l->up[i])
            rig_leave(&l->c[i], "g", CG_LEAVE_EPOCH);
        l->up[i] = false;
        break;
    case 4:
        if (l->up[i] && l->c[i].instance[0])
            rig_leave(&l->c[i], "g", CG_LEAVE_STATIC_EPOCH);
        else
            rig_own_nothing(&l->c[i]); // killed
        l->up[i] = false;
        break;
    case 5:
        if (l->up[i])
            resubscribe(&l->c[i]);
        break;
    case 6: {
        uint32_t t = below(SL_ARRAY_LEN(topic_at));
        int32_t n = rig.topics[topic_at[t]].partitions;
        rig_set_topic(topic_at[t], below(4) ? n + 1 + (int32_t)below(2) : 0);
        break;
    }
    case 7:
        rig_reload(below(2));
        break;
    default:
        rig_pass(below(3) ? below(3000) : below(30000));
    }
}

// Everybody behaves for a while: the group must come to rest, and every partition have an owner.
static void settle(struct life *l)
{
    for (int round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < CLIENTS; i++)
            beat_one(l, i, true);
        check_owners(l);
        rig_pass(1500);
    }
    struct cg *g = rig_group("g");
    bool any = false;
    for (int i = 0; i < CLIENTS; i++)
        any = any || l->up[i];
    if (!any)
        return;
    assert_int_equal(cg_state_of(g), CG_STABLE);
    for (size_t t = 0; t < SL_ARRAY_LEN(topic_at); t++) {
        const struct rig_topic *topic = &rig.topics[topic_at[t]];
        uint32_t owned = 0;
        for (int i = 0; i < CLIENTS; i++)
            for (int32_t p = 0; p < topic->partitions; p++)
                owned += cg_parts_find(&l->c[i].owned, &topic->id, p) != NULL;
        bool subscribed = topic->partitions && cg_subscribed_to(g, kp_str_of(topic->name));
        assert_int_equal(owned, subscribed ? topic->partitions : 0);
    }
}

static void live(uint64_t seed)
{
    struct life l = {0};
    rig_start(seed % 3 ? settings : NULL);
    sl_rand_seed(&rig.rnd, seed);
    for (size_t t = 0; t < SL_ARRAY_LEN(topic_at); t++)
        rig_set_topic(topic_at[t], (int32_t)below(5));
    for (int i = 0; i < CLIENTS / 3; i++)
        snprintf(l.c[i].instance, sizeof(l.c[i].instance), "i%d", i);
    for (int step = 0; step < 150; step++) {
        if (below(3) == 0)
            disturb(&l);
        stop_silent(&l);
        beat_one(&l, below(CLIENTS), false);
        if (rig_group("g"))
            cg_check(rig_group("g"));
        check_owners(&l);
        if (step % 75 == 74)
            settle(&l);
    }
    for (int i = 0; i < CLIENTS; i++)
        rig_own_nothing(&l.c[i]);
    rig_stop();
}

// A JoinGroup whose subscription names such a topic.
static void join_by_zero_topic(const char *group, int16_t error)
{
    static const uint8_t subscription[] = {0, 0, 0, 0, 0, 1, 0, 3, 'a', 0, 'b', 0xff, 0xff, 0xff, 0xff};
    static struct kp_join_group_request_join_group_request_protocol p = {
        .name = {"range", 5}, .metadata = {subscription, sizeof(subscription)}};
    static struct kp_join_group_request m;
    static struct coord_req q; // it may be parked
    q = (struct coord_req){.in = &m};
    kp_join_group_request_init(&m);
    m.session_timeout_ms = m.rebalance_timeout_ms = 10000;
    m.member_id = KP_STR_LIT("");
    m.protocol_type = KP_STR_LIT("consumer");
    m.protocols = &p;
    m.protocols_n = 1;
    rig_request(&q, 11, 3, group);
    assert_int_equal(q.error, error);
    if (error)
        arena_free(&q.arena);
}

// Texts with a zero byte in them, as no client sends them: refused, and passed over in a log that has them.
static void test_zero_bytes(void **state)
{
    static const struct kp_str zero = {"a\0b", 3};
    struct kp_consumer_group_heartbeat_request m, base;
    struct kp_str topic = KP_STR_LIT("a0"), zero_topic = zero;
    rig_start(NULL);
    rig_set_topic(0, 2);
    struct rig_client a = client("a", "a0");
    assert_int_equal(rig_beat(&a, "g", true, false), 0);
    kp_consumer_group_heartbeat_request_init(&base);
    base.group_id = KP_STR_LIT("g");
    base.member_id = KP_STR_LIT("b");
    base.rebalance_timeout_ms = 20000;
    base.subscribed_topic_names = &topic;
    base.subscribed_topic_names_n = 1;
    base.topic_partitions_n = 0;
    for (int i = 0; i < 7; i++) {
        struct coord_req q = {.in = &m};
        m = base;
        if (i < 5) {
            struct kp_str *const texts[] = {&m.member_id, &m.instance_id, &m.rack_id,
                                            &m.subscribed_topic_regex, &m.server_assignor};
            *texts[i] = zero;
        } else if (i == 5) {
            m.subscribed_topic_names = &zero_topic;
        }
        rig_request(&q, 68, 1, "g");
        assert_int_equal(q.error, i < 6 ? KERR_INVALID_REQUEST : 0);
        arena_free(&q.arena);
    }
    rig_begin();
    struct coord_req named = {.in = &base, .api = 68, .version = 1, .group = zero};
    arena_init(&named.arena, 0);
    groups_ops.request(rig.gs, &named);
    rig_end();
    assert_int_equal(named.error, KERR_INVALID_GROUP_ID);
    arena_free(&named.arena);
    join_by_zero_topic("g", KERR_UNKNOWN_SERVER_ERROR); // a malformed subscription
    join_by_zero_topic("h", 0);                         // the classic protocol does not look into it
    rig_pass(5000);
    struct coord_req upgrade = {.in = &base};
    rig_request(&upgrade, 68, 1, "h");
    assert_int_not_equal(upgrade.error, 0);
    arena_free(&upgrade.arena);
    for (uint32_t i = 0, n = rig.log_n; i < n; i++) { // the same log, in which some are called otherwise
        struct rig_record r = rig.log[i];
        r.key = rig_copy(r.key, r.key_n);
        r.value = rig_copy(r.value, r.value_n);
        r.key[r.key_n - 1] = 0;
        rig.log = realloc(rig.log, (rig.log_n + 1) * sizeof(*rig.log));
        rig.log_cap = rig.log_n + 1;
        rig.log[rig.log_n++] = r;
    }
    uint32_t members = rig_group("g")->joined_n;
    rig_reload(false);
    assert_int_equal(rig_group("g")->joined_n, members);
    rig_pass(120000);
    assert_int_equal(rig_group("g")->joined_n, 0);
    rig_own_nothing(&a);
    rig_stop();
}

static void test_random_lives(void **state)
{
    const char *one = getenv("SLUICE_SEED");
    for (uint64_t seed = one ? strtoull(one, NULL, 10) : 1; seed <= (one ? strtoull(one, NULL, 10) : 150);
         seed++) {
        if (one)
            print_message("seed %llu\n", (unsigned long long)seed);
        live(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_members),
        cmocka_unit_test(test_epochs_fence),
        cmocka_unit_test(test_session_and_rebalance_timeouts),
        cmocka_unit_test(test_a_group_has_its_own_session_timeout),
        cmocka_unit_test(test_static_members),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_topics_change),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_assignment_interval),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_describe_and_claims),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_random_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
