/* Hand-made wire images: what each rule of the wire format looks like, accepted and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "proto/gen/all.h"

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static struct arena arena;

static int setup(void **state)
{
    arena_init(&arena, 1u << 20);
    return 0;
}

static int teardown(void **state)
{
    arena_free(&arena);
    return 0;
}

static void assert_str(struct kp_str s, const char *want)
{
    assert_true(kp_str_eq(s, kp_str_of(want)));
}

/* ---- frame headers ---- */

static void test_request_header(void **state)
{
    struct kp_request_header h;
    /* The client id keeps two bytes of length in version 2, and a tagged section follows it. */
    assert_int_equal(
        kp_request_header_decode(&h, BYTES(0, 1, 0, 12, 0, 0, 0, 7, 0, 2, 'm', 'e', 0), 2, &arena), 13);
    assert_int_equal(h.request_api_key, 1);
    assert_int_equal(h.request_api_version, 12);
    assert_int_equal(h.correlation_id, 7);
    assert_str(h.client_id, "me");
    assert_int_equal(kp_request_header_decode(&h, BYTES(0, 1, 0, 4, 0, 0, 0, 7, 0xff, 0xff), 1, &arena), 10);
    assert_int_equal(h.client_id.n, -1);
    assert_null(h.client_id.p);
    assert_int_equal(kp_request_header_decode(&h, BYTES(0, 1, 0, 4, 0, 0, 0, 7, 0xff, 0xfe), 1, &arena),
                     -EBADMSG);
    assert_int_equal(kp_request_header_decode(&h, BYTES(0, 1, 0, 4, 0, 0, 0, 7, 0xff, 0xff), 0, &arena),
                     -EPROTONOSUPPORT);
}

static void test_header_versions(void **state)
{
    assert_int_equal(kp_request_header_version(0, 8), 1);
    assert_int_equal(kp_request_header_version(0, 9), 2);
    assert_int_equal(kp_response_header_version(0, 8), 0);
    assert_int_equal(kp_response_header_version(0, 9), 1);
    assert_int_equal(kp_request_header_version(18, 3), 2);
    assert_int_equal(kp_response_header_version(18, 3), 0);
    assert_int_equal(kp_response_header_version(18, 4), 0);
    assert_int_equal(kp_request_header_version(18, 99), 2);
    assert_int_equal(kp_request_header_version(47, 0), 1);
    assert_int_equal(kp_response_header_version(47, 0), 0);
    assert_int_equal(kp_response_header_version(68, 0), 1);
    assert_int_equal(kp_request_header_version(999, 0), -1);
    assert_int_equal(kp_response_header_version(-1, 0), -1);
}

/* ---- strings, bytes, arrays ---- */

static void test_plain_lengths(void **state)
{
    struct kp_heartbeat_request m;
    assert_int_equal(kp_heartbeat_request_decode(&m, BYTES(0, 1, 'g', 0, 0, 0, 5, 0, 0), 0, &arena), 9);
    assert_str(m.group_id, "g");
    assert_str(m.member_id, "");
    assert_int_equal(m.generation_id, 5);
    assert_int_equal(m.group_instance_id.n, -1); /* not in version 0: its default */
    /* Null where none may be, a negative length, a length beyond the end. */
    assert_int_equal(kp_heartbeat_request_decode(&m, BYTES(0xff, 0xff, 0, 0, 0, 5, 0, 0), 0, &arena),
                     -EBADMSG);
    assert_int_equal(kp_heartbeat_request_decode(&m, BYTES(0x80, 0, 0, 0, 0, 5, 0, 0), 0, &arena), -EBADMSG);
    assert_int_equal(kp_heartbeat_request_decode(&m, BYTES(0, 9, 'g', 0, 0, 0, 5, 0, 0), 0, &arena),
                     -EBADMSG);
    assert_int_equal(kp_heartbeat_request_decode(&m, NULL, 0, 0, &arena), -EBADMSG);
}

static void test_compact_lengths(void **state)
{
    struct kp_heartbeat_request m;
    assert_int_equal(kp_heartbeat_request_decode(&m, BYTES(2, 'g', 0, 0, 0, 5, 1, 0, 0), 4, &arena), 9);
    assert_str(m.group_id, "g");
    assert_str(m.member_id, "");
    assert_int_equal(m.group_instance_id.n, -1);
    /* A compact null where none may be. */
    assert_int_equal(kp_heartbeat_request_decode(&m, BYTES(0, 0, 0, 0, 5, 1, 0, 0), 4, &arena), -EBADMSG);
    /* A length of 2^32 - 1, one of six bytes, and a padded but valid one. */
    assert_int_equal(kp_heartbeat_request_decode(&m, BYTES(0xff, 0xff, 0xff, 0xff, 0x0f, 'g'), 4, &arena),
                     -EBADMSG);
    assert_int_equal(kp_heartbeat_request_decode(&m, BYTES(0x80, 0x80, 0x80, 0x80, 0x80, 1), 4, &arena),
                     -EBADMSG);
    assert_int_equal(kp_heartbeat_request_decode(&m, BYTES(0x82, 0, 'g', 0, 0, 0, 5, 1, 0, 0), 4, &arena),
                     10);
}

static void test_string_limit(void **state)
{
    size_t len = 3 + 32768 + 4 + 3;
    uint8_t *buf = calloc(1, len);
    struct kp_heartbeat_request m;
    memcpy(buf, ((const uint8_t[]){0x81, 0x80, 0x02}), 3); /* 32769 - 1 */
    buf[3 + 32768 + 4] = 1;
    assert_int_equal(kp_heartbeat_request_decode(&m, buf, len, 4, &arena), -EBADMSG);
    memcpy(buf, ((const uint8_t[]){0x80, 0x80, 0x02}), 3); /* 32767 */
    buf[3 + 32767 + 4] = 1;
    assert_int_equal(kp_heartbeat_request_decode(&m, buf, len, 4, &arena), (int64_t)len - 1);
    m.group_id.n = 32768;
    assert_int_equal(kp_heartbeat_request_size(&m, 4), -EINVAL);
    struct kp_writer w = {.buf = buf, .cap = len};
    assert_int_equal(kp_heartbeat_request_encode(&m, 4, &w), -EINVAL);
    free(buf);
}

static void test_array_bounds(void **state)
{
    struct kp_metadata_request m;
    /* Null topics: all of them, from version 1; in version 0 an empty array says that. */
    assert_int_equal(kp_metadata_request_decode(&m, BYTES(0xff, 0xff, 0xff, 0xff), 1, &arena), 4);
    assert_int_equal(m.topics_n, -1);
    assert_true(m.allow_auto_topic_creation);
    assert_int_equal(kp_metadata_request_decode(&m, BYTES(0xff, 0xff, 0xff, 0xff), 0, &arena), -EBADMSG);
    assert_int_equal(kp_metadata_request_decode(&m, BYTES(0, 0, 0, 0), 0, &arena), 4);
    assert_int_equal(m.topics_n, 0);
    assert_int_equal(kp_metadata_request_decode(&m, BYTES(0xff, 0xff, 0xff, 0xfe), 1, &arena), -EBADMSG);
    /* Counts that the bytes left cannot hold are refused before memory is taken. */
    size_t before = arena.reserved;
    assert_int_equal(kp_metadata_request_decode(&m, BYTES(0x7f, 0xff, 0xff, 0xff, 0, 0), 1, &arena),
                     -EBADMSG);
    assert_int_equal(kp_metadata_request_decode(&m, BYTES(0, 0, 0, 2, 0, 0, 0), 1, &arena), -EBADMSG);
    assert_int_equal(kp_metadata_request_decode(&m, BYTES(0x80, 0x80, 0x80, 0x80, 0x08, 0), 9, &arena),
                     -EBADMSG);
    assert_int_equal(arena.reserved, before);
    assert_int_equal(kp_metadata_request_decode(&m, BYTES(0, 0, 0, 2, 0, 1, 'a', 0, 1, 'b'), 1, &arena), 10);
    assert_int_equal(m.topics_n, 2);
    assert_str(m.topics[1].name, "b");
}

static void test_arena_limit(void **state)
{
    struct arena tight;
    arena_init(&tight, 8);
    struct kp_metadata_request m;
    assert_int_equal(kp_metadata_request_decode(&m, BYTES(0, 0, 0, 1, 0, 1, 'a'), 1, &tight), -ENOMEM);
    arena_free(&tight);
}

/* ---- tagged fields ---- */

static void test_tags_unknown(void **state)
{
    struct kp_heartbeat_response m;
    assert_int_equal(
        kp_heartbeat_response_decode(&m, BYTES(0, 0, 0, 1, 0, 27, 2, 3, 1, 'x', 200, 1, 0), 4, &arena), 13);
    assert_int_equal(m.error_code, 27);
    /* Descending, repeated, longer than the input, a count without fields. */
    assert_int_equal(kp_heartbeat_response_decode(&m, BYTES(0, 0, 0, 1, 0, 27, 2, 3, 0, 2, 0), 4, &arena),
                     -EBADMSG);
    assert_int_equal(kp_heartbeat_response_decode(&m, BYTES(0, 0, 0, 1, 0, 27, 2, 3, 0, 3, 0), 4, &arena),
                     -EBADMSG);
    assert_int_equal(kp_heartbeat_response_decode(&m, BYTES(0, 0, 0, 1, 0, 27, 1, 3, 2, 0), 4, &arena),
                     -EBADMSG);
    assert_int_equal(kp_heartbeat_response_decode(
                         &m, BYTES(0, 0, 0, 1, 0, 27, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0), 4, &arena),
                     -EBADMSG);
}

static void test_tags_known(void **state)
{
    /* Reason is tag 0 of AbortTransactionRecord. */
    struct kp_abort_transaction_record m;
    assert_int_equal(kp_abort_transaction_record_decode(&m, BYTES(1, 0, 3, 3, 'n', 'o'), 0, &arena), 6);
    assert_str(m.reason, "no");
    assert_int_equal(kp_abort_transaction_record_decode(&m, BYTES(0), 0, &arena), 1);
    assert_int_equal(m.reason.n, -1);
    /* The value must fill its size, and may not reach beyond it. */
    assert_int_equal(kp_abort_transaction_record_decode(&m, BYTES(1, 0, 4, 3, 'n', 'o', 0), 0, &arena),
                     -EBADMSG);
    assert_int_equal(kp_abort_transaction_record_decode(&m, BYTES(1, 0, 2, 3, 'n', 'o'), 0, &arena),
                     -EBADMSG);
    /* Tag 8 of PartitionChangeRecord begins with version 1. */
    struct kp_partition_change_record c;
    uint8_t buf[32] = {0};
    memcpy(buf + 20, ((const uint8_t[]){1, 8, 1, 1}), 4);
    assert_int_equal(kp_partition_change_record_decode(&c, buf, 24, 1, &arena), 24);
    assert_int_equal(c.directories_n, 0);
    assert_int_equal(c.leader, -2);
    assert_int_equal(kp_partition_change_record_decode(&c, buf, 24, 0, &arena), -EBADMSG);
}

static void test_tags_encode(void **state)
{
    struct kp_fetch_response_partition_data part;
    kp_fetch_response_partition_data_init(&part);
    part.current_leader.leader_id = 3;
    part.current_leader.leader_epoch = 4;
    part.records.n = -1;
    struct kp_fetch_response_fetchable_topic_response topic;
    kp_fetch_response_fetchable_topic_response_init(&topic);
    topic.partitions = &part;
    topic.partitions_n = 1;
    struct kp_fetch_response m;
    kp_fetch_response_init(&m);
    m.responses = &topic;
    m.responses_n = 1;
    uint8_t buf[256];
    struct kp_writer w = {.buf = buf, .cap = sizeof(buf)};
    assert_int_equal(kp_fetch_response_encode(&m, 13, &w), 0);
    assert_int_equal(kp_fetch_response_size(&m, 13), w.len);
    /* ... records null, one tag: number 1, nine bytes: leader, epoch, no tags of its own; then three ends. */
    const uint8_t tail[] = {0, 1, 1, 9, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0};
    assert_memory_equal(buf + w.len - sizeof(tail), tail, sizeof(tail));
    /* Version 11 has no such field, and it may not be lost. */
    assert_int_equal(kp_fetch_response_size(&m, 11), -EINVAL);
}

/* ---- structures that may be null ---- */

static void test_nullable_struct(void **state)
{
    struct kp_consumer_group_heartbeat_response m, back;
    kp_consumer_group_heartbeat_response_init(&m);
    assert_null(m.assignment);
    uint8_t buf[64];
    struct kp_writer w = {.buf = buf, .cap = sizeof(buf)};
    assert_int_equal(kp_consumer_group_heartbeat_response_encode(&m, 0, &w), 0);
    assert_int_equal(buf[w.len - 2], 0xff);
    struct kp_consumer_group_heartbeat_response_assignment as;
    kp_consumer_group_heartbeat_response_assignment_init(&as);
    m.assignment = &as;
    w.len = 0;
    assert_int_equal(kp_consumer_group_heartbeat_response_encode(&m, 0, &w), 0);
    const uint8_t tail[] = {1, 1, 0, 0}; /* there, an empty array, two ends */
    assert_memory_equal(buf + w.len - 4, tail, 4);
    assert_int_equal(kp_consumer_group_heartbeat_response_decode(&back, buf, w.len, 0, &arena),
                     (int64_t)w.len);
    assert_non_null(back.assignment);
    assert_int_equal(back.assignment->topic_partitions_n, 0);
}

/* Upstream's default here is an empty structure; a null is a tagged zero. */
static void test_default_struct(void **state)
{
    struct kp_consumer_group_member_metadata_value m, back;
    kp_consumer_group_member_metadata_value_init(&m);
    assert_non_null(m.classic_member_metadata);
    int64_t plain = kp_consumer_group_member_metadata_value_size(&m, 0);
    m.classic_member_metadata = NULL;
    assert_int_equal(kp_consumer_group_member_metadata_value_size(&m, 0), plain + 3);
    uint8_t buf[64];
    struct kp_writer w = {.buf = buf, .cap = sizeof(buf)};
    assert_int_equal(kp_consumer_group_member_metadata_value_encode(&m, 0, &w), 0);
    assert_memory_equal(buf + w.len - 4, ((const uint8_t[]){1, 0, 1, 0}),
                        4); /* one tag, number 0, a byte: null */
    assert_int_equal(kp_consumer_group_member_metadata_value_decode(&back, buf, w.len, 0, &arena),
                     (int64_t)w.len);
    assert_null(back.classic_member_metadata);
}

/* ---- records and splices ---- */

static void test_produce_in_place(void **state)
{
    const uint8_t image[] = {0, 0xff, 0xff, 0, 0, 0x75, 0x30, 2,   2, 't', 2,
                             0, 0,    0,    6, 4, 'r',  'e',  'c', 0, 0,   0};
    struct kp_produce_request m;
    assert_int_equal(kp_produce_request_decode(&m, image, sizeof(image), 9, &arena), (int64_t)sizeof(image));
    assert_int_equal(m.transactional_id.n, -1);
    assert_int_equal(m.acks, -1);
    assert_int_equal(m.timeout_ms, 30000);
    assert_int_equal(m.topic_data_n, 1);
    assert_str(m.topic_data[0].name, "t");
    const struct kp_produce_request_partition_produce_data *p = m.topic_data[0].partition_data;
    assert_int_equal(p->index, 6);
    assert_ptr_equal(p->records.p, image + 16);
    assert_int_equal(p->records.n, 3);
    assert_null(p->records.ext);
    assert_ptr_equal(m.topic_data[0].name.p, image + 9);
}

static void test_splices(void **state)
{
    int one, two;
    struct kp_fetch_response_partition_data parts[3];
    for (int i = 0; i < 3; i++) {
        kp_fetch_response_partition_data_init(&parts[i]);
        parts[i].partition_index = i;
    }
    parts[0].records = (struct kp_records){.n = 1000000, .ext = &one};
    parts[1].records = (struct kp_records){.p = (const uint8_t *)"abc", .n = 3};
    parts[2].records = (struct kp_records){.n = 77, .ext = &two};
    struct kp_fetch_response_fetchable_topic_response topic;
    kp_fetch_response_fetchable_topic_response_init(&topic);
    topic.topic = KP_STR_LIT("t");
    topic.partitions = parts;
    topic.partitions_n = 3;
    struct kp_fetch_response m;
    kp_fetch_response_init(&m);
    m.responses = &topic;
    m.responses_n = 1;
    uint8_t buf[512];
    struct kp_splice splices[2];
    struct kp_writer w = {.buf = buf, .cap = sizeof(buf), .splices = splices, .splices_cap = 2};
    for (int16_t v = 4; v <= 12; v++) {
        w.len = w.splices_n = 0;
        assert_int_equal(kp_fetch_response_encode(&m, v, &w), 0);
        assert_int_equal(kp_fetch_response_size(&m, v), w.len);
        assert_int_equal(w.splices_n, 2);
        assert_ptr_equal(splices[0].ext, &one);
        assert_ptr_equal(splices[1].ext, &two);
        assert_int_equal(splices[0].len, 1000000);
        assert_int_equal(splices[1].len, 77);
        if (v < 12) {
            assert_int_equal(be32_load(buf + splices[0].at - 4), 1000000);
            assert_int_equal(splices[1].at, w.len);
            assert_int_equal(be32_load(buf + w.len - 4), 77);
        } else {
            assert_memory_equal(buf + splices[0].at - 3, ((const uint8_t[]){0xc1, 0x84, 0x3d}),
                                3); /* 1000001 */
            assert_int_equal(buf[splices[1].at - 1], 78);
            assert_int_equal(splices[1].at, w.len - 3);
        }
    }
    w = (struct kp_writer){.buf = buf, .cap = sizeof(buf), .splices = splices, .splices_cap = 1};
    assert_int_equal(kp_fetch_response_encode(&m, 12, &w), -ENOBUFS);
    assert_int_equal(w.splices_n, 0);
}

/* ---- tables ---- */

static void assert_api(int16_t key, const char *name, int16_t min, int16_t max, int16_t flexible, char class)
{
    const struct kp_api *api = kp_api_find(key);
    assert_non_null(api);
    assert_int_equal(api->key, key);
    assert_string_equal(api->name, name);
    assert_int_equal(api->min, min);
    assert_int_equal(api->max, max);
    assert_int_equal(api->flexible_from, flexible);
    assert_int_equal(api->class, class);
}

static void test_apis(void **state)
{
    assert_api(0, "Produce", 3, 13, 9, 'A');
    assert_api(1, "Fetch", 4, 18, 12, 'A');
    assert_api(18, "ApiVersions", 0, 4, 3, 'A');
    assert_api(22, "InitProducerId", 0, 5, 2, 'A');
    assert_api(24, "AddPartitionsToTxn", 0, 5, 3, 'C');
    assert_api(47, "OffsetDelete", 0, 0, INT16_MAX, 'B');
    assert_api(81, "RemoveRaftVoter", 0, 0, 0, 'B');
    assert_null(kp_api_find(17));
    assert_null(kp_api_find(-1));
    assert_null(kp_api_find(INT16_MAX));
    uint32_t n;
    const struct kp_api *all = kp_api_all(&n);
    assert_true(n >= 50);
    for (uint32_t i = 1; i < n; i++)
        assert_true(all[i - 1].key < all[i].key);
}

static void test_messages(void **state)
{
    const struct kp_message *m = kp_message_find(KP_KIND_METADATA, 5);
    assert_non_null(m);
    assert_string_equal(m->name, "PartitionChangeRecord");
    assert_int_equal(m->struct_size, sizeof(struct kp_partition_change_record));
    assert_ptr_equal(m, kp_message_named("PartitionChangeRecord"));
    assert_string_equal(kp_message_find(KP_KIND_GROUP_VALUE, 1)->name, "OffsetCommitValue");
    assert_string_equal(kp_message_find(KP_KIND_TXN_KEY, 0)->name, "TransactionLogKey");
    assert_null(kp_message_find(KP_KIND_REQUEST, 17));
    assert_null(kp_message_named("Nothing"));
}

/* A writer appends: a header and a body share it, and an error sticks. */
static void test_writer_appends(void **state)
{
    struct kp_response_header h = {.correlation_id = 9};
    struct kp_heartbeat_response m = {.throttle_time_ms = 1, .error_code = 2};
    uint8_t buf[12];
    struct kp_writer w = {.buf = buf, .cap = sizeof(buf)};
    assert_int_equal(kp_response_header_encode(&h, 1, &w), 0);
    assert_int_equal(kp_heartbeat_response_encode(&m, 4, &w), 0);
    assert_int_equal(w.len, 12);
    assert_memory_equal(buf, ((const uint8_t[]){0, 0, 0, 9, 0, 0, 0, 0, 1, 0, 2, 0}), 12);
    assert_int_equal(kp_response_header_encode(&h, 1, &w), -ENOBUFS);
    assert_int_equal(w.len, 12);
    assert_int_equal(w.err, -ENOBUFS);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_request_header),   T(test_header_versions), T(test_plain_lengths),
        T(test_compact_lengths),  T(test_string_limit),    T(test_array_bounds),
        T(test_arena_limit),      T(test_tags_unknown),    T(test_tags_known),
        T(test_tags_encode),      T(test_nullable_struct), T(test_default_struct),
        T(test_produce_in_place), T(test_splices),         T(test_apis),
        T(test_messages),         T(test_writer_appends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
