// Keys, files, and what an error says.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/load/plan.h"

static char err[4096];

static void refused(struct plan *p, const char *pair, const char *says)
{
    err[0] = 0;
    assert_int_equal(plan_set_pair(p, pair, err, sizeof(err)), -EINVAL);
    if (!strstr(err, says))
        fail_msg("%s: \"%s\" does not say \"%s\"", pair, err, says);
}

static void values_and_errors(void **state)
{
    struct plan *p = plan_new();
    (void)state;
    assert_int_equal(p->batch_bytes, 65536);
    assert_int_equal(plan_set_pair(p, " batch.bytes = 1m ", err, sizeof(err)), 0);
    assert_int_equal(p->batch_bytes, 1 << 20);
    assert_int_equal(plan_set_pair(p, "acks=0", err, sizeof(err)), 0);
    assert_int_equal(p->acks, PLAN_ACKS_NONE);
    assert_int_equal(plan_set_pair(p, "linger.ms=0.5", err, sizeof(err)), 0);
    assert_true(p->linger_ms == 0.5);
    assert_int_equal(plan_set_pair(p, "topic=a=b", err, sizeof(err)), 0);
    assert_string_equal(p->topic, "a=b");
    refused(p, "acks=2", "must be one of all|1|0");
    refused(p, "acks=al", "must be one of");
    refused(p, "partitions=0", "from 1 to 100000");
    refused(p, "partitions=3k", "whole number");
    refused(p, "rate=-1", "from 0 to");
    refused(p, "rate=nan", "number from");
    refused(p, "batch.bytes=1x", "k, m or g may follow");
    refused(p, "producer=1", "no such key; allowed are");
    refused(p, "producer=1", "producers");
    refused(p, "producers", "key=value");
    assert_int_equal(p->partitions, 1);
    plan_free(p);
}

static void modes(void **state)
{
    struct plan *p = plan_new();
    (void)state;
    assert_int_equal(plan_check(p, err, sizeof(err)), -EINVAL); // nothing to do
    assert_int_equal(plan_set_mode(p, "e2e", err, sizeof(err)), 0);
    assert_int_equal(p->stamp, 1);
    assert_int_equal(plan_check(p, err, sizeof(err)), 0);
    assert_int_equal(plan_set_mode(p, "fast", err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "produce, consume, e2e, mixed, commit, ramp"));
    plan_free(p);
}

static void committers(void **state)
{
    static const char *const pairs[][2] = {{"producers=1", "do not go together"},
                                           {"groups=5", "above groups"},
                                           {"commit.offsets=11", "number of partitions"},
                                           {"duration.s=0", "duration.s"}};
    (void)state;
    for (size_t i = 0; i <= SL_ARRAY_LEN(pairs); i++) {
        struct plan *p = plan_new();
        bool last = i == SL_ARRAY_LEN(pairs);
        assert_int_equal(plan_set_mode(p, "commit", err, sizeof(err)), 0);
        assert_true(plan_writes(p));
        assert_int_equal(last ? 0 : plan_set_pair(p, pairs[i][0], err, sizeof(err)), 0);
        assert_int_equal(plan_check(p, err, sizeof(err)), last ? 0 : -EINVAL);
        assert_true(last || strstr(err, pairs[i][1]));
        plan_free(p);
    }
}

static void keys_that_do_not_go_together(void **state)
{
    static const char *const pairs[][2] = {{"acks=1", "acks=all"},
                                           {"inflight=6", "inflight up to 5"},
                                           {"batch.bytes=2m", "request.bytes"},
                                           {"pause.s=1", "pause.every.s"},
                                           {"group=g", "a group needs consumers"},
                                           {"churn.s=1", "churn.s needs a group"},
                                           {"duration.s=0", "duration.s or records"}};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(pairs); i++) {
        struct plan *p = plan_new();
        assert_int_equal(plan_set_mode(p, "produce", err, sizeof(err)), 0);
        assert_int_equal(plan_set_pair(p, pairs[i][0], err, sizeof(err)), 0);
        assert_int_equal(plan_check(p, err, sizeof(err)), -EINVAL);
        assert_non_null(strstr(err, pairs[i][1]));
        plan_free(p);
    }
}

static const char *file_of(const char *text)
{
    static char path[64];
    strcpy(path, "/tmp/plan-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return path;
}

static void files(void **state)
{
    struct plan *p = plan_new();
    const char *path = file_of("# one topic\nmode = produce\n\n  record.bytes = 100-200 \npartitions=7\n");
    (void)state;
    assert_int_equal(plan_load(p, path, err, sizeof(err)), 0);
    assert_int_equal(p->producers, 1);
    assert_int_equal(p->partitions, 7);
    assert_string_equal(p->record_bytes, "100-200");
    unlink(path);
    path = file_of("partitions=7\nfoo=1\n");
    assert_int_equal(plan_load(p, path, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, ":2: foo: no such key"));
    unlink(path);
    assert_int_equal(plan_load(p, "/nowhere/at/all", err, sizeof(err)), -ENOENT);
    plan_free(p);
}

static void json(void **state)
{
    struct plan *p = plan_new();
    struct sbuf b;
    (void)state;
    sbuf_init(&b);
    assert_int_equal(plan_set(p, "name", "a \"b\"\n", err, sizeof(err)), 0);
    assert_int_equal(plan_set(p, "compression", "zstd", err, sizeof(err)), 0);
    plan_json(p, &b);
    assert_non_null(strstr(sbuf_cstr(&b), "\"name\": \"a \\\"b\\\"\\u000a\""));
    assert_non_null(strstr(sbuf_cstr(&b), "\"compression\": \"zstd\""));
    assert_non_null(strstr(sbuf_cstr(&b), "\"batch.bytes\": 65536"));
    sbuf_free(&b);
    plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_errors),
        cmocka_unit_test(modes),
        cmocka_unit_test(committers),
        cmocka_unit_test(keys_that_do_not_go_together),
        cmocka_unit_test(files),
        cmocka_unit_test(json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
