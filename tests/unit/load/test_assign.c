// The range assignor and the bytes that members exchange.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/load/assign.h"
#include "engine/base/rand.h"

static struct arena arena;

static void ranges(void **state)
{
    struct kp_str both[] = {KP_STR_LIT("a"), KP_STR_LIT("b")}, one[] = {KP_STR_LIT("b")};
    struct assign_member m[] = {{.id = KP_STR_LIT("m-10"), .topics = both, .topics_n = 2},
                                {.id = KP_STR_LIT("m-2"), .topics = one, .topics_n = 1},
                                {.id = KP_STR_LIT("m-1"), .topics = both, .topics_n = 2}};
    (void)state;
    assign_sort(m, 3); // a prefix comes first, then by bytes
    assert_true(kp_str_eq(m[0].id, KP_STR_LIT("m-1")));
    assert_true(kp_str_eq(m[1].id, KP_STR_LIT("m-10")));
    assert_true(kp_str_eq(m[2].id, KP_STR_LIT("m-2")));
    assign_range(m, 3, KP_STR_LIT("a"), 5); // two want it: 3 and 2
    assert_int_equal(m[0].first, 0);
    assert_int_equal(m[0].n, 3);
    assert_int_equal(m[1].first, 3);
    assert_int_equal(m[1].n, 2);
    assert_int_equal(m[2].n, 0);
    assign_range(m, 3, KP_STR_LIT("b"), 2); // three want two: the last gets none
    assert_int_equal(m[0].n, 1);
    assert_int_equal(m[1].first, 1);
    assert_int_equal(m[1].n, 1);
    assert_int_equal(m[2].n, 0);
    assign_range(m, 3, KP_STR_LIT("nobody's"), 7);
    assert_int_equal(m[0].n + m[1].n + m[2].n, 0);
}

// Whoever wants the topic, every partition has exactly one owner, and shares differ by one at most.
static void every_partition_once(void **state)
{
    struct kp_str topic = KP_STR_LIT("t");
    struct assign_member m[9];
    struct sl_rand r;
    char ids[9][8];
    (void)state;
    sl_rand_seed(&r, 7);
    for (int round = 0; round < 500; round++) {
        uint32_t n = 1 + (uint32_t)sl_rand_below(&r, 9), parts = (uint32_t)sl_rand_below(&r, 40);
        uint32_t takers = 0, all = 0, seen[40] = {0};
        for (uint32_t i = 0; i < n; i++) {
            snprintf(ids[i], sizeof(ids[i]), "%u", (unsigned)sl_rand_below(&r, 1000));
            m[i] = (struct assign_member){
                .id = kp_str_of(ids[i]), .topics = &topic, .topics_n = (int32_t)sl_rand_below(&r, 2)};
            takers += (uint32_t)m[i].topics_n;
        }
        assign_sort(m, n);
        assign_range(m, n, topic, parts);
        for (uint32_t i = 0; i < n; i++) {
            all += m[i].n;
            if (m[i].topics_n)
                assert_in_range(m[i].n, parts / takers, parts / takers + 1);
            for (uint32_t k = 0; k < m[i].n; k++)
                assert_int_equal(seen[m[i].first + k]++, 0);
        }
        assert_int_equal(all, takers ? parts : 0);
    }
}

static void bytes(void **state)
{
    // i16 0 | i32 1 | i16 2 "ab" | i32 -1
    static const uint8_t want[] = {0, 0, 0, 0, 0, 1, 0, 2, 'a', 'b', 0xff, 0xff, 0xff, 0xff};
    // Version 1 has partitions that the member owns behind that.
    static const uint8_t later[] = {0, 1, 0, 0, 0, 1, 0, 2, 'a', 'b', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    struct kp_consumer_protocol_subscription s;
    struct kp_str topic = KP_STR_LIT("ab");
    (void)state;
    struct kp_bytes b = assign_write_subscription(&topic, 1, &arena);
    assert_int_equal(b.n, sizeof(want));
    assert_memory_equal(b.p, want, sizeof(want));
    assert_int_equal(assign_read_subscription((struct kp_bytes){later, sizeof(later)}, &s, &arena), 0);
    assert_int_equal(s.topics_n, 1);
    assert_true(kp_str_eq(s.topics[0], topic));
    for (int32_t n = 0; n < (int32_t)sizeof(want); n++)
        assert_int_equal(assign_read_subscription((struct kp_bytes){want, n}, &s, &arena), -EBADMSG);
}

static void assignments(void **state)
{
    // i16 0 | i32 1 | i16 1 "t" | i32 2 | i32 3 | i32 4 | i32 -1
    static const uint8_t want[] = {0, 0, 0, 0, 0, 1, 0, 1, 't',  0,    0,    0,   2,
                                   0, 0, 0, 3, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff};
    int32_t parts[] = {3, 4};
    struct kp_consumer_protocol_assignment_topic_partition t = {
        .topic = KP_STR_LIT("t"), .partitions = parts, .partitions_n = 2};
    struct kp_consumer_protocol_assignment m, got;
    (void)state;
    kp_consumer_protocol_assignment_init(&m);
    m.assigned_partitions = &t;
    m.assigned_partitions_n = 1;
    struct kp_bytes b = assign_write(&m, &arena);
    assert_int_equal(b.n, sizeof(want));
    assert_memory_equal(b.p, want, sizeof(want));
    assert_int_equal(assign_read(b, &got, &arena), 0);
    assert_int_equal(got.assigned_partitions_n, 1);
    assert_int_equal(got.assigned_partitions[0].partitions[1], 4);
    assert_int_equal(assign_read((struct kp_bytes){want, 12}, &got, &arena), -EBADMSG);
    assert_int_equal(assign_read((struct kp_bytes){want, 1}, &got, &arena), -EBADMSG);
    assert_int_equal(assign_read(KP_BYTES_NULL, &got, &arena), 0); // a member that gets nothing
    assert_int_equal(got.assigned_partitions_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranges), cmocka_unit_test(every_partition_once),
                                       cmocka_unit_test(bytes), cmocka_unit_test(assignments)};
    arena_init(&arena, 0);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return rc;
}
