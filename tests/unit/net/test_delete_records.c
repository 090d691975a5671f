// DeleteRecords: every partition of every topic is answered in its place, whatever shard it lives on.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/net/api_rig.h"

typedef struct kp_delete_records_request_delete_records_topic dr_topic;
typedef struct kp_delete_records_request_delete_records_partition dr_part;

static struct kp_delete_records_response ask(struct rig *t, int16_t v, dr_topic *topics, int32_t n)
{
    struct kp_delete_records_request m;
    struct kp_delete_records_response out;
    kp_delete_records_request_init(&m);
    m.topics = topics;
    m.topics_n = n;
    m.timeout_ms = 1000;
    RIG_SEND(t, &t->conns[0], &api_delete_records, v, &m, delete_records_request);
    assert_true(RIG_PEEK(t, &t->conns[0], v, &out, delete_records_response));
    rig_drop(t, &t->conns[0]);
    return out;
}

static void assert_part(const struct kp_delete_records_response *m, int32_t topic, int32_t part,
                        int32_t index, int16_t error, int64_t low)
{
    assert_true(part < m->topics[topic].partitions_n);
    assert_int_equal(m->topics[topic].partitions[part].partition_index, index);
    assert_int_equal(m->topics[topic].partitions[part].error_code, error);
    assert_int_equal(m->topics[topic].partitions[part].low_watermark, low);
}

static void every_partition_is_answered(void **state)
{
    for (int16_t v = 0; v <= 2; v++) {
        struct rig *t = rig_new();
        struct meta_topic *mt = rig_topic(t, "a", 5);
        rig_topic(t, "__consumer_offsets", 1);
        t->mparts[0][3].leader = -1;
        for (int k = 0; k < 5; k++)
            rig_part(t, &mt->id, k)->end = 100;
        dr_part one[] = {{.partition_index = 2, .offset = 50}, {.partition_index = 0, .offset = -1},
                         {.partition_index = 9, .offset = 1},  {.partition_index = 1, .offset = 101},
                         {.partition_index = 4, .offset = -2}, {.partition_index = 3, .offset = 1}};
        dr_part two[] = {{.partition_index = 0, .offset = 0}};
        dr_topic in[] = {{.name = KP_STR_LIT("a"), .partitions = one, .partitions_n = 6},
                         {.name = KP_STR_LIT("none"), .partitions = two, .partitions_n = 1},
                         {.name = KP_STR_LIT("__consumer_offsets"), .partitions = two, .partitions_n = 1}};
        struct kp_delete_records_response m = ask(t, v, in, 3);
        assert_int_equal(m.topics_n, 3);
        assert_part(&m, 0, 0, 2, KERR_NONE, 50);
        assert_part(&m, 0, 1, 0, KERR_NONE, 100);
        assert_part(&m, 0, 2, 9, KERR_UNKNOWN_TOPIC_OR_PARTITION, -1);
        assert_part(&m, 0, 3, 1, KERR_OFFSET_OUT_OF_RANGE, -1);
        assert_part(&m, 0, 4, 4, KERR_OFFSET_OUT_OF_RANGE, -1);
        assert_int_not_equal(m.topics[0].partitions[5].error_code, KERR_NONE);
        assert_part(&m, 1, 0, 0, KERR_UNKNOWN_TOPIC_OR_PARTITION, -1);
        assert_part(&m, 2, 0, 0, KERR_INVALID_TOPIC_EXCEPTION, -1);
        assert_int_equal(rig_part(t, &mt->id, 2)->start, 50);
        assert_int_equal(ask(t, v, NULL, 0).topics_n, 0);
        rig_free(t);
    }
}

// As upstream's map has it: equal topics are one, of equal partitions the last counts, and what is empty is left out.
static void named_twice(void **state)
{
    struct rig *t = rig_new();
    struct meta_topic *mt = rig_topic(t, "a", 4);
    for (int k = 0; k < 4; k++)
        rig_part(t, &mt->id, k)->end = 100;
    dr_part one[] = {{.partition_index = 2, .offset = 50}, {.partition_index = 0, .offset = 10}};
    dr_part two[] = {{.partition_index = 2, .offset = 40}, {.partition_index = 1, .offset = 20}};
    dr_topic in[] = {{.name = KP_STR_LIT("a"), .partitions = one, .partitions_n = 2},
                     {.name = KP_STR_LIT("empty"), .partitions = NULL, .partitions_n = 0},
                     {.name = KP_STR_LIT("b"), .partitions = two, .partitions_n = 1},
                     {.name = KP_STR_LIT("a"), .partitions = two, .partitions_n = 2}};
    struct kp_delete_records_response m = ask(t, 2, in, 4);
    assert_int_equal(m.topics_n, 2);
    assert_int_equal(m.topics[0].partitions_n, 3);
    assert_part(&m, 0, 0, 2, KERR_NONE, 40);
    assert_part(&m, 0, 1, 0, KERR_NONE, 10);
    assert_part(&m, 0, 2, 1, KERR_NONE, 20);
    assert_part(&m, 1, 0, 2, KERR_UNKNOWN_TOPIC_OR_PARTITION, -1);
    rig_quiet(t, 1024);
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_partition_is_answered),
                                       cmocka_unit_test(named_twice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
