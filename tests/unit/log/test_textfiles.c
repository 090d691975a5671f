/* Kafka's small files: upstream's own are read, and printed again where their form is fixed; damage is
 * refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/log/textfiles.h"
#include "tests/unit/log/golden.h"

static const char *const uuid_text = "AQIDBAUGBwjxEhMUFRYXGA";

static void expect_text(struct sbuf *out, const char *want, size_t n)
{
    assert_int_equal(out->len, n);
    assert_memory_equal(out->data, want, n);
    sbuf_free(out);
}

struct seen {
    struct offset_checkpoint c[4];
    unsigned n;
    int fail;
};

static int see(void *arg, const struct offset_checkpoint *c)
{
    struct seen *s = arg;
    s->c[s->n++] = *c;
    return s->fail;
}

static void test_offset_checkpoint(void **state)
{
    struct seen s = {0};
    struct sbuf out;
    size_t n;
    char *text = (char *)golden_read("recovery-point-offset-checkpoint", &n);
    sbuf_init(&out);
    assert_int_equal(offset_checkpoint_parse(text, n, see, &s), 0);
    assert_int_equal(s.n, 2);
    offset_checkpoint_print_begin(&out, s.n);
    for (unsigned i = 0; i < s.n; i++)
        offset_checkpoint_print(&out, s.c[i].topic, s.c[i].partition, s.c[i].offset);
    expect_text(&out, text, n);
    unsigned b = strcmp(s.c[0].topic, "topic-a") == 0;
    assert_string_equal(s.c[b].topic, "topic.b_c");
    assert_int_equal(s.c[b].partition, 70000);
    assert_int_equal(s.c[b].offset, 9000000000);
    assert_int_equal(s.c[!b].offset, 1234);
    s = (struct seen){.fail = -EEXIST};
    assert_int_equal(offset_checkpoint_parse(text, n, see, &s), -EEXIST);
    assert_int_equal(s.n, 1);
    free(text);
}

static void test_bad_offset_checkpoints(void **state)
{
    const char *const bad[] = {"0\n1\nt 0\n",         "0\n1\nt -1 5\n",          "0\n1\nt 0 5 6\n",
                               "0\n1\nt 0 5 6 7 8\n", "0\n1\na/b 0 5\n",         "0\n1\n.. 0 5\n",
                               "0\n1\nt 0 5\n\n",     "0\n2\nt 0 5\n",           "0\n1\nt 0 5.0\n",
                               "0\n1\nt 0 --5\n",     "0\n1\nt 99999999999 5\n", "0\n1\nt 0 \n"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        struct seen s = {0};
        assert_int_equal(offset_checkpoint_parse(bad[i], strlen(bad[i]), see, &s), -EBADMSG);
    }
    char name[300], line[400];
    memset(name, 'a', sizeof(name));
    for (size_t len = 249; len <= 250; len++) {
        struct seen s = {0};
        int n = snprintf(line, sizeof(line), "0\n1\n%.*s 1 2", (int)len, name);
        assert_int_equal(offset_checkpoint_parse(line, (size_t)n, see, &s), len == 249 ? 0 : -EBADMSG);
    }
    assert_true(topic_name_ok("a", 1) && topic_name_ok("...", 3));
    assert_false(topic_name_ok("", 0) || topic_name_ok(".", 1) || topic_name_ok("a b", 3) ||
                 topic_name_ok("\xc3\xa4", 2));
}

static void test_partition_metadata(void **state)
{
    struct sl_uuid id;
    struct sbuf out;
    char text[SL_UUID_TEXT_LEN + 1];
    size_t n;
    char *file = (char *)golden_read("partition.metadata", &n);
    sbuf_init(&out);
    assert_int_equal(partition_metadata_parse(file, n, &id), 0);
    sl_uuid_to_text(&id, text);
    assert_string_equal(text, uuid_text);
    partition_metadata_print(&out, &id);
    expect_text(&out, file, n);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(partition_metadata_parse(file, cut, &id), -EBADMSG);
    free(file);
    const char *const bad[] = {
        "version: x\ntopic_id: AQIDBAUGBwjxEhMUFRYXGA", "topic_id: AQIDBAUGBwjxEhMUFRYXGA",
        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA", "version: -1\ntopic_id: AQIDBAUGBwjxEhMUFRYXGA",
        "version: 0\ntopic: AQIDBAUGBwjxEhMUFRYXGA",    "version: 0 1\ntopic_id: AQIDBAUGBwjxEhMUFRYXGA"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
        assert_int_equal(partition_metadata_parse(bad[i], strlen(bad[i]), &id), -EBADMSG);
}

static void expect_meta(const char *p, size_t n)
{
    struct meta_properties m;
    char text[SL_UUID_TEXT_LEN + 1];
    assert_int_equal(meta_properties_parse(p, n, &m), 0);
    assert_int_equal(m.node_id, 12);
    assert_string_equal(m.cluster_id, "a b:c=1");
    assert_true(m.has_directory_id);
    sl_uuid_to_text(&m.directory_id, text);
    assert_string_equal(text, uuid_text);
}

static void test_meta_properties(void **state)
{
    struct meta_properties m;
    struct sbuf out;
    size_t n;
    char *file = (char *)golden_read("meta.properties", &n);
    sbuf_init(&out);
    expect_meta(file, n);
    assert_int_equal(meta_properties_parse(file, n, &m), 0);
    assert_int_equal(meta_properties_print(&out, &m), 0);
    expect_meta(out.data, out.len);
    sbuf_free(&out);
    free(file);

    const char *loose = "  ! comment\n\n version : 1 \nnode.id 12\r\ncluster.id=a "
                        "b\\:c\\=1\nother=1\ndirectory.id=AQIDBAUGBwjxEhMUFRYXGA";
    /* A trailing blank belongs to the value, as in Java. */
    assert_int_equal(meta_properties_parse(loose, strlen(loose), &m), -EBADMSG);
    const char *tidy = "  ! comment\n\n version : 1\nnode.id 12\r\ncluster.id=a "
                       "b\\:c\\=1\nother=1\ndirectory.id=AQIDBAUGBwjxEhMUFRYXGA";
    expect_meta(tidy, strlen(tidy));
    const char *no_directory = "version=1\nnode.id=0\ncluster.id=x\n";
    assert_int_equal(meta_properties_parse(no_directory, strlen(no_directory), &m), 0);
    assert_false(m.has_directory_id);
}

static void test_bad_meta_properties(void **state)
{
    struct meta_properties m;
    const struct {
        const char *text;
        int rc;
    } bad[] = {{"", -EPROTONOSUPPORT},
               {"version=0\nbroker.id=1\n", -EPROTONOSUPPORT},
               {"version=2\nnode.id=1\ncluster.id=x\n", -EPROTONOSUPPORT},
               {"version=one\nnode.id=1\ncluster.id=x\n", -EBADMSG},
               {"version=1\ncluster.id=x\n", -EBADMSG},
               {"version=1\nnode.id=1\n", -EBADMSG},
               {"version=1\nnode.id=-1\ncluster.id=x\n", -EBADMSG},
               {"version=1\nnode.id=1\ncluster.id=x\ndirectory.id=short\n", -EBADMSG},
               {"version=1\nnode.id=1\nnode.id=2\ncluster.id=x\n", -EBADMSG},
               {"version=1\nnode.id=1\ncluster.id=x\\u0041\n", -EBADMSG},
               {"version=1\nnode.id=1\ncluster.id=x\\", -EBADMSG}};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
        assert_int_equal(meta_properties_parse(bad[i].text, strlen(bad[i].text), &m), bad[i].rc);
}

static void test_clean_shutdown(void **state)
{
    int64_t epoch = 0;
    struct sbuf out;
    size_t n;
    char *file = (char *)golden_read("kafka_cleanshutdown", &n);
    sbuf_init(&out);
    assert_int_equal(clean_shutdown_parse(file, n, &epoch), 0);
    assert_int_equal(epoch, 42);
    clean_shutdown_print(&out, epoch);
    expect_text(&out, file, n);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(clean_shutdown_parse(file, cut, &epoch), -EBADMSG);
    free(file);
    const char *good = " { \"x\" : [ 1.5e3 , { \"y\" : [] , \"z\":null } , true, \"\\u00e4\\n\" ] , "
                       "\"brokerEpoch\" : -7 }\n";
    assert_int_equal(clean_shutdown_parse(good, strlen(good), &epoch), 0);
    assert_int_equal(epoch, -7);
    const char *const bad[] = {"{}",
                               "{\"version\":0}",
                               "{\"brokerEpoch\":\"1\"}",
                               "{\"brokerEpoch\":1.5}",
                               "{\"brokerEpoch\":1,}",
                               "{\"brokerEpoch\":1}x",
                               "{\"brokerEpoch\" 1}",
                               "[{\"brokerEpoch\":1}]",
                               "{\"a\":[[[[[[[[[[1]]]]]]]]]],\"brokerEpoch\":1}",
                               "{\"a\":,\"brokerEpoch\":1}",
                               "{\"a\":\"\n\",\"brokerEpoch\":1}"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
        assert_int_equal(clean_shutdown_parse(bad[i], strlen(bad[i]), &epoch), -EBADMSG);
}

static void test_quorum_state(void **state)
{
    for (int version = 0; version < 2; version++) {
        struct quorum_state q;
        struct sbuf out;
        size_t n;
        char *file = (char *)golden_read(version ? "quorum-state-1" : "quorum-state-0", &n);
        sbuf_init(&out);
        assert_int_equal(quorum_state_parse(file, n, &q), 0);
        assert_int_equal(q.version, version);
        assert_int_equal(q.leader_id, version ? -1 : 1);
        assert_int_equal(q.leader_epoch, version ? 8 : 7);
        assert_int_equal(q.voted_id, version ? 1 : -1);
        assert_int_equal(q.voter_count, version ? 0 : 1);
        if (!version)
            assert_int_equal(q.voters[0], 1);
        assert_int_equal(quorum_state_print(&out, &q), 0);
        expect_text(&out, file, n);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(quorum_state_parse(file, cut, &q), -EBADMSG);
        free(file);
    }
}

static void test_bad_quorum_states(void **state)
{
    struct quorum_state q;
    const struct {
        const char *text;
        int rc;
    } bad[] = {
        {"{\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\"}",
         -EBADMSG},
        {"{\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\"data_version\":1}", -EBADMSG},
        {"{\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\"votedDirectoryId\":\"AAAA\",\"data_version\":1}",
         -EBADMSG},
        {"{\"leaderId\":1,\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\"votedDirectoryId\":"
         "\"AAAAAAAAAAAAAAAAAAAAAA\","
         "\"data_version\":1}",
         -EBADMSG},
        {"{\"leaderId\":3000000000,\"leaderEpoch\":1,\"votedId\":-1,\"votedDirectoryId\":"
         "\"AAAAAAAAAAAAAAAAAAAAAA\","
         "\"data_version\":1}",
         -EBADMSG},
        {"{\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\","
         "\"data_version\":2}",
         -EPROTONOSUPPORT},
        {"{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\"appliedOffset\":0,"
         "\"currentVoters\":[{}],"
         "\"data_version\":0}",
         -EBADMSG},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++)
        assert_int_equal(quorum_state_parse(bad[i].text, strlen(bad[i].text), &q), bad[i].rc);
    const char *good =
        "{\"data_version\":0,\"clusterId\":\"c\\\"\",\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,"
        "\"appliedOffset\":5,\"currentVoters\":null,\"more\":{}}";
    assert_int_equal(quorum_state_parse(good, strlen(good), &q), 0);
    assert_string_equal(q.cluster_id, "c\"");
    assert_int_equal(q.applied_offset, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offset_checkpoint),   cmocka_unit_test(test_bad_offset_checkpoints),
        cmocka_unit_test(test_partition_metadata),  cmocka_unit_test(test_meta_properties),
        cmocka_unit_test(test_bad_meta_properties), cmocka_unit_test(test_clean_shutdown),
        cmocka_unit_test(test_quorum_state),        cmocka_unit_test(test_bad_quorum_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
