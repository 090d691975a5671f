/* kerr.h: the table has every code once, in place, with a name and a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/kerr.h"

static void test_codes(void **state)
{
    assert_int_equal(KERR_UNKNOWN_SERVER_ERROR, -1);
    assert_int_equal(KERR_NONE, 0);
    assert_int_equal(KERR_OFFSET_OUT_OF_RANGE, 1);
    assert_int_equal(KERR_NOT_LEADER_OR_FOLLOWER, 6);
    assert_int_equal(KERR_UNSUPPORTED_VERSION, 35);
    assert_int_equal(KERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 45);
    assert_int_equal(KERR_KAFKA_STORAGE_ERROR, 56);
    assert_int_equal(KERR_FETCH_SESSION_ID_NOT_FOUND, 70);
    assert_int_equal(KERR_UNKNOWN_TOPIC_ID, 100);
    assert_int_equal(KERR_STALE_MEMBER_EPOCH, 113);
    assert_int_equal(KERR_REBOOTSTRAP_REQUIRED, 129);
    assert_int_equal(KERR_SHARE_SESSION_LIMIT_REACHED, KERR_MAX);
}

static void test_every_row(void **state)
{
    /* The numbers run without a gap, so every code in range has a row, and no two rows share a name. */
    for (int c = KERR_MIN; c <= KERR_MAX; c++) {
        const char *name = kerr_name((int16_t)c);
        const char *text = kerr_text((int16_t)c);
        assert_non_null(name);
        assert_non_null(text);
        assert_true(strlen(text) > 5);
        assert_true(text[strlen(text) - 1] != '.');
        assert_string_not_equal(name, "UNKNOWN_CODE");
        for (int d = KERR_MIN; d < c; d++)
            assert_string_not_equal(name, kerr_name((int16_t)d));
    }
}

static void test_lookup(void **state)
{
    assert_string_equal(kerr_name(0), "NONE");
    assert_string_equal(kerr_name(-1), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(kerr_name(3), "UNKNOWN_TOPIC_OR_PARTITION");
    assert_string_equal(kerr_name(-2), "UNKNOWN_CODE");
    assert_string_equal(kerr_name(KERR_MAX + 1), "UNKNOWN_CODE");
    assert_string_equal(kerr_name(INT16_MIN), "UNKNOWN_CODE");
    assert_string_equal(kerr_text(INT16_MAX), "not an error code of Kafka's");
    assert_true(kerr_retriable(KERR_NOT_LEADER_OR_FOLLOWER));
    assert_true(kerr_retriable(KERR_KAFKA_STORAGE_ERROR));
    assert_false(kerr_retriable(KERR_NONE));
    assert_false(kerr_retriable(KERR_MESSAGE_TOO_LARGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_lookup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
