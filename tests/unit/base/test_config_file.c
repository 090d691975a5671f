/* Properties files, and the configuration printed as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/config.h"

static char err[512];

static int load(struct config *c, const char *text)
{
    err[0] = '\0';
    return config_load_text(c, "f", text, strlen(text), err, sizeof(err));
}

/* The value of broker.rack, a string without checks, after loading text. */
static void expect_rack(const char *text, const char *value)
{
    struct config *c = config_new();
    if (load(c, text) || config_finish(c, err, sizeof(err)))
        fail_msg("%s", err);
    assert_string_equal(cfg_str(c, CFG_BROKER_RACK), value);
    config_free(c);
}

static void test_separators(void **state)
{
    expect_rack("broker.rack=a", "a");
    expect_rack("broker.rack = a b ", "a b");
    expect_rack("broker.rack:a=b", "a=b");
    expect_rack("  broker.rack  a", "a");
    expect_rack("broker.rack\t:\ta\r\n", "a");
    expect_rack("broker.rack", "");
    expect_rack("broker\\.rack=a", "a");
    expect_rack("broker.rack=a\nbroker.rack=b\n", "b");
}

static void test_comments_and_lines(void **state)
{
    expect_rack("# broker.rack=x\n\n! broker.rack=y\n \t# z\nbroker.rack=a # b", "a # b");
    expect_rack("broker.rack=a\\\n   b\\\r\n\tc\nnum.partitions=2", "abc");
    expect_rack("# not continued \\\nbroker.rack=a", "a");
    expect_rack("broker.rack=a\\\\\nnum.partitions=2", "a\\");
    expect_rack("broker.rack=a\\", "a");
    expect_rack("broker.rack=a\rnum.partitions=2", "a");
}

static void test_escapes(void **state)
{
    expect_rack("broker.rack=a\\tb\\nc\\fd\\qe\\:\\=\\#", "a\tb\nc\fdqe:=#");
    expect_rack("broker.rack=\\u0041\\u00e9\\u20AC", "A\xC3\xA9\xE2\x82\xAC");
    expect_rack("broker.rack=caf\xC3\xA9", "caf\xC3\xA9");
    struct config *c = config_new();
    assert_int_equal(load(c, "num.partitions=1\nbroker.rack=\\u00zz\n"), -EINVAL);
    assert_string_equal(err, "f:2: malformed \\uXXXX escape");
    assert_int_equal(load(c, "broker.rack=\\u00"), -EINVAL);
    assert_int_equal(load(c, "broker.rack=\\u0000"), -EINVAL);
    assert_int_equal(load(c, "broker.rack=\\ud800"), -EINVAL);
    config_free(c);
}

static void test_errors_name_the_line(void **state)
{
    struct config *c = config_new();
    assert_int_equal(load(c, "# head\nbroker.rack=a\\\n b\n\nnum.partitions=0\n"), -EINVAL);
    assert_string_equal(err, "f:5: num.partitions=0: must be between 1 and 2147483647");
    assert_int_equal(load(c, "nothing.known=1"), -ENOENT);
    assert_string_equal(err, "f:1: nothing.known=1: unknown key");
    assert_int_equal(config_load_text(c, "f", "a\0b", 3, err, sizeof(err)), -EINVAL);
    assert_int_equal(config_load_file(c, "/no/such/file", err, sizeof(err)), -ENOENT);
    assert_string_equal(err, "/no/such/file: No such file or directory");
    config_free(c);
}

/* Texts of the characters that the reader treats apart, cut anywhere: it must not read past the end. */
static void test_short_texts(void **state)
{
    static const char alphabet[] = "\\u#=\n a";
    enum { LEN = 5, LETTERS = 7, ALL = LETTERS * LETTERS * LETTERS * LETTERS * LETTERS };
    char *text = malloc(LEN); /* no terminator, so that a sanitizer sees one byte too many */
    assert_non_null(text);
    for (unsigned n = 0; n < ALL; n += 47) {
        unsigned v = n;
        for (int i = 0; i < LEN; i++, v /= LETTERS)
            text[i] = alphabet[v % LETTERS];
        struct config *c = config_new();
        int rc = config_load_text(c, "f", text, LEN, err, sizeof(err));
        assert_true(rc == 0 || rc == -EINVAL || rc == -ENOENT);
        config_free(c);
    }
    free(text);
}

/* What config_print writes reads back as the same configuration. */
static void test_print_reads_back(void **state)
{
    static const char text[] = "broker.rack=\\ a\\\\b\\nc\nlog.dirs=/a,/b\nnum.partitions=7\n"
                               "ssl.key.password=hunter2\n";
    struct config *a = config_new(), *b = config_new();
    char *printed = NULL;
    size_t len = 0;
    assert_int_equal(load(a, text), 0);
    assert_int_equal(config_finish(a, err, sizeof(err)), 0);
    FILE *f = open_memstream(&printed, &len);
    config_print(a, f);
    fclose(f);
    assert_null(strstr(printed, "hunter2"));
    assert_non_null(strstr(printed, "\nnum.partitions=7\n"));
    assert_non_null(strstr(printed, "\n#num.io.threads=8\n"));
    assert_int_equal(load(b, printed), 0);
    assert_int_equal(config_finish(b, err, sizeof(err)), 0);
    for (int i = 0; i < CFG_KEY_COUNT; i++) {
        struct cfg_view x, y;
        config_view(a, i, &x);
        config_view(b, i, &y);
        assert_true((x.value == NULL) == (y.value == NULL));
        if (x.value)
            assert_string_equal(x.value, y.value);
        if (!x.sensitive)
            assert_int_equal(x.origin, y.origin);
    }
    config_free(a);
    config_free(b);
    free(printed);
}

static void test_load_file(void **state)
{
    char path[] = "/tmp/sluice-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "num.partitions=9\n", 17), 17);
    close(fd);
    struct config *c = config_new();
    assert_int_equal(config_load_file(c, path, err, sizeof(err)), 0);
    assert_int_equal(config_finish(c, err, sizeof(err)), 0);
    assert_int_equal(cfg_int(c, CFG_NUM_PARTITIONS), 9);
    assert_int_equal(cfg_value_from(c, CFG_NUM_PARTITIONS), CFG_FROM_FILE);
    config_free(c);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_separators),  cmocka_unit_test(test_comments_and_lines),
        cmocka_unit_test(test_escapes),     cmocka_unit_test(test_errors_name_the_line),
        cmocka_unit_test(test_short_texts), cmocka_unit_test(test_print_reads_back),
        cmocka_unit_test(test_load_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
