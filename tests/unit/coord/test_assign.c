// Assignors: even, sticky, valid; also with what no assignor should be given. (tests/clients/groupcheck compares them
// with upstream's.)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "engine/base/rand.h"
#include "engine/coord/modern/assign.h"

enum { TOPICS = 4, MEMBERS = 7 };

static struct arena arena;
static struct cg_assign_topic topics[TOPICS];
static uint32_t all[TOPICS];
static char ids[MEMBERS][8];

static void make_topics(int32_t partitions)
{
    for (uint32_t i = 0; i < TOPICS; i++) {
        topics[i] = (struct cg_assign_topic){sl_uuid_make(i, 1), partitions + (int32_t)i};
        all[i] = i;
    }
}

static struct cg_assign_member member(uint32_t i, uint32_t from, uint32_t to)
{
    snprintf(ids[i], sizeof(ids[i]), "m%u", i);
    return (struct cg_assign_member){
        .id = kp_str_of(ids[i]), .instance = KP_STR_NULL, .topics = all + from, .topics_n = to - from};
}

// Owners of each partition: exactly one, who subscribes to the topic.
static void check_valid(const struct cg_assign *job)
{
    for (uint32_t t = 0; t < job->topics_n; t++)
        for (int32_t p = 0; p < job->topics[t].partitions; p++) {
            uint32_t owners = 0;
            bool subscribed = false;
            for (uint32_t i = 0; i < job->members_n; i++) {
                const struct cg_assign_member *m = &job->members[i];
                bool mine = m->topics_n && m->topics[0] <= t && t <= m->topics[m->topics_n - 1];
                subscribed = subscribed || mine;
                if (!cg_parts_find(&m->after, &job->topics[t].id, p))
                    continue;
                assert_true(mine);
                owners++;
            }
            assert_int_equal(owners, subscribed ? 1 : 0);
        }
}

static uint32_t spread(const struct cg_assign *job)
{
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < job->members_n; i++) {
        least = SL_MIN(least, job->members[i].after.n);
        most = SL_MAX(most, job->members[i].after.n);
    }
    return most - least;
}

static uint32_t kept(const struct cg_assign *job)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < job->members_n; i++) {
        struct cg_parts same;
        assert_int_equal(cg_parts_intersect(&job->members[i].before, &job->members[i].after, &same, &arena),
                         0);
        n += same.n;
    }
    return n;
}

static void test_uniform_is_sticky(void **state)
{
    struct cg_assign_member m[MEMBERS];
    make_topics(5); // 5 + 6 + 7 + 8 = 26
    for (uint32_t i = 0; i < MEMBERS; i++)
        m[i] = member(i, 0, TOPICS);
    struct cg_assign job = {topics, TOPICS, m, 3, true, &arena};
    for (uint32_t n = 3; n <= MEMBERS; n++) {
        job.members_n = n;
        assert_int_equal(cg_assign(CG_UNIFORM, &job), 0);
        check_valid(&job);
        assert_true(spread(&job) <= 1);
        if (n > 3) // the new one takes its share; of the others nobody loses more than for that
            assert_int_equal(kept(&job), 26 - m[n - 1].after.n);
        for (uint32_t i = 0; i < n; i++)
            m[i].before = m[i].after;
    }
    for (uint32_t i = 0; i < MEMBERS - 1; i++)
        m[i].before = m[i].after;
    job.members_n = MEMBERS - 1; // one leaves: the others keep all
    assert_int_equal(cg_assign(CG_UNIFORM, &job), 0);
    check_valid(&job);
    assert_int_equal(kept(&job), 26 - m[MEMBERS - 1].before.n);
    arena_reset(&arena);
}

static void test_mixed_subscriptions(void **state)
{
    struct cg_assign_member m[3] = {member(0, 0, 2), member(1, 0, 4), member(2, 2, 4)};
    struct cg_assign job = {topics, TOPICS, m, 3, false, &arena};
    make_topics(9);
    assert_int_equal(cg_assign(CG_UNIFORM, &job), 0);
    check_valid(&job);
    assert_true(spread(&job) <= 2); // each topic is even among its subscribers
    for (uint32_t i = 0; i < 3; i++)
        m[i].before = m[i].after;
    assert_int_equal(cg_assign(CG_UNIFORM, &job), 0);
    assert_int_equal(kept(&job), 42);
    arena_reset(&arena);
}

static void test_range(void **state)
{
    struct cg_assign_member m[3] = {member(0, 0, TOPICS), member(1, 0, TOPICS), member(2, 0, TOPICS)};
    struct cg_assign job = {topics, TOPICS, m, 3, true, &arena};
    make_topics(3);
    topics[1].partitions = 4;
    m[2].instance = KP_STR_LIT("static");
    assert_int_equal(cg_assign(CG_RANGE, &job), 0);
    check_valid(&job);
    // The static member is the first; of four partitions it has two.
    assert_non_null(cg_parts_find(&m[2].after, &topics[1].id, 0));
    assert_non_null(cg_parts_find(&m[2].after, &topics[1].id, 1));
    assert_non_null(cg_parts_find(&m[0].after, &topics[1].id, 2));
    assert_non_null(cg_parts_find(&m[1].after, &topics[1].id, 3));
    arena_reset(&arena);
}

// Records of some other broker may say that two members were meant to own one partition.
static void test_two_owners_before(void **state)
{
    struct cg_assign_member m[3] = {member(0, 0, TOPICS), member(1, 0, TOPICS), member(2, 0, TOPICS)};
    struct cg_parts both;
    make_topics(4);
    assert_int_equal(cg_parts_reserve(&both, 8, &arena), 0);
    for (int32_t p = 0; p < 8; p++) // half of them are partitions that the topic does not have
        cg_parts_push(&both, &topics[0].id, p, 0);
    for (int i = 0; i < 3; i++)
        m[i].before = both;
    for (int mixed = 0; mixed < 2; mixed++) {
        struct cg_assign job = {topics, TOPICS, m, 3, !mixed, &arena};
        assert_int_equal(cg_assign(CG_UNIFORM, &job), 0);
        check_valid(&job);
        assert_true(spread(&job) <= 1);
    }
    arena_reset(&arena);
}

static void test_nothing_to_do(void **state)
{
    struct cg_assign_member m[1] = {member(0, 0, 0)};
    struct cg_assign job = {topics, 0, m, 1, true, &arena};
    assert_int_equal(cg_assign(CG_UNIFORM, &job), 0);
    assert_int_equal(m[0].after.n, 0);
    job.members_n = 0;
    assert_int_equal(cg_assign(CG_RANGE, &job), 0);
    make_topics(2);
    job = (struct cg_assign){topics, TOPICS, m, 1, false, &arena}; // subscribes to none of them
    assert_int_equal(cg_assign(CG_UNIFORM, &job), 0);
    assert_int_equal(m[0].after.n, 0);
    arena_reset(&arena);
}

// A large group of mixed subscriptions ends within its bound, and is valid.
static void test_large_mixed_group(void **state)
{
    enum { MANY = 800, MANY_TOPICS = 60 };
    struct sl_rand rnd;
    struct cg_assign_topic *t = arena_array(&arena, MANY_TOPICS, sizeof(*t));
    struct cg_assign_member *m = arena_zalloc(&arena, MANY * sizeof(*m));
    sl_rand_seed(&rnd, 5);
    for (uint32_t i = 0; i < MANY_TOPICS; i++)
        t[i] = (struct cg_assign_topic){sl_uuid_make(i, 1), 100};
    for (uint32_t i = 0; i < MANY; i++) {
        char *id = arena_alloc(&arena, 16);
        uint32_t *list = arena_array(&arena, MANY_TOPICS, sizeof(*list)), n = 0;
        snprintf(id, 16, "m%05u", i);
        for (uint32_t k = 0; k < MANY_TOPICS; k++)
            if (sl_rand_below(&rnd, 3) == 0)
                list[n++] = k;
        m[i] = (struct cg_assign_member){
            .id = kp_str_of(id), .instance = KP_STR_NULL, .topics = list, .topics_n = n};
    }
    struct cg_assign job = {t, MANY_TOPICS, m, MANY, false, &arena};
    assert_int_equal(cg_assign(CG_UNIFORM, &job), 0);
    uint32_t total = 0;
    for (uint32_t i = 0; i < MANY; i++)
        total += m[i].after.n;
    assert_int_equal(total, MANY_TOPICS * 100);
    assert_true(spread(&job) <= 1 || m[0].topics_n == 0);
    arena_reset(&arena);
}

static int teardown(void **state)
{
    arena_free(&arena);
    return 0;
}

int main(void)
{
    arena_init(&arena, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform_is_sticky),
        cmocka_unit_test(test_mixed_subscriptions),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_two_owners_before),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_large_mixed_group),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
