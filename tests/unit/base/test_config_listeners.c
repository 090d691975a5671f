/* listeners, advertised.listeners, protocols and the quorum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/config.h"

static char err[512];

static struct config *build(const char *const *pairs)
{
    struct config *c = config_new();
    int rc = 0;
    err[0] = '\0';
    for (; *pairs && rc == 0; pairs++)
        rc = config_set_pair(c, *pairs, CFG_FROM_FILE, err, sizeof(err));
    if (rc == 0)
        rc = config_finish(c, err, sizeof(err));
    if (rc == 0)
        return c;
    config_free(c);
    return NULL;
}

#define BUILD(...) build((const char *const[]){__VA_ARGS__, NULL})

/* One or more pairs that must be refused, and a part of the message. */
#define REFUSED(part, ...)                                                                                   \
    do {                                                                                                     \
        assert_null(BUILD(__VA_ARGS__));                                                                     \
        if (!strstr(err, part))                                                                              \
            fail_msg("\"%s\" is not in \"%s\"", part, err);                                                  \
    } while (0)

static struct config *ok(struct config *c)
{
    if (!c)
        fail_msg("%s", err);
    return c;
}

static void test_two_listeners(void **state)
{
    struct config *c = ok(BUILD("listeners=plaintext://10.0.0.1:9092, CONTROLLER://:9093",
                                "controller.listener.names=CONTROLLER"));
    size_t n;
    const struct cfg_listener *l = cfg_listeners(c, &n);
    assert_int_equal(n, 2);
    assert_string_equal(l[0].name, "PLAINTEXT");
    assert_false(l[0].controller);
    assert_string_equal(l[1].name, "CONTROLLER");
    assert_string_equal(l[1].host, "");
    assert_int_equal(l[1].port, 9093);
    assert_true(l[1].controller);
    l = cfg_advertised(c, &n);
    assert_int_equal(n, 1);
    assert_string_equal(l[0].host, "10.0.0.1");
    config_free(c);
}

static void test_named_listeners(void **state)
{
    struct config *c = ok(BUILD("listeners=IN://0.0.0.0:29092,OUT://[::1]:0",
                                "advertised.listeners=OUT://example.org:9092,IN://broker:29092",
                                "listener.security.protocol.map=in:PLAINTEXT, OUT:plaintext,X:SSL",
                                "inter.broker.listener.name=IN"));
    size_t n;
    const struct cfg_listener *l = cfg_listeners(c, &n);
    assert_string_equal(l[1].host, "::1");
    assert_int_equal(l[1].port, 0);
    l = cfg_advertised(c, &n);
    assert_int_equal(n, 2);
    assert_string_equal(l[0].name, "OUT");
    assert_string_equal(l[0].host, "example.org");
    config_free(c);
}

static void test_every_address_is_advertised_by_name(void **state)
{
    struct config *c = ok(BUILD("listeners=PLAINTEXT://:9092"));
    char name[256] = "";
    size_t n;
    assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
    assert_string_equal(cfg_listeners(c, &n)[0].host, "");
    assert_string_equal(cfg_advertised(c, &n)[0].host, name);
    config_free(c);
}

static void test_refused_listeners(void **state)
{
    REFUSED("listeners=PLAINTEXT:9092: must be NAME://host:port", "listeners=PLAINTEXT:9092");
    REFUSED("must be NAME://host:port", "listeners=PLAINTEXT://localhost");
    REFUSED("must be NAME://host:port", "listeners=PLAINTEXT://localhost:65536");
    REFUSED("must be NAME://host:port", "listeners=PLAINTEXT://localhost:+1");
    REFUSED("must be NAME://host:port", "listeners=PLAINTEXT://::1:9092");
    REFUSED("must be NAME://host:port", "listeners=PLAINTEXT://[::1:9092");
    REFUSED("listeners=: must be a list of at least one item", "listeners=");
    REFUSED("listeners=SSL://:9093: only PLAINTEXT listeners are served, and SSL speaks SSL",
            "listeners=SSL://:9093");
    REFUSED("S speaks SASL_SSL", "listeners=S://:9093", "listener.security.protocol.map=S:SASL_SSL");
    REFUSED("listener.security.protocol.map has no protocol for FOO", "listeners=FOO://:9092");
    REFUSED("names PLAINTEXT twice", "listeners=PLAINTEXT://a:1,plaintext://a:2");
    REFUSED("two listeners share a port", "listeners=A://h:1,B://h:1",
            "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT");
    REFUSED("must have one that is not in controller.listener.names", "listeners=C://:1",
            "controller.listener.names=C");
    REFUSED("listener.security.protocol.map=A:FTP: must be", "listener.security.protocol.map=A:FTP");
}

static void test_refused_advertised(void **state)
{
    REFUSED("clients cannot connect to 0.0.0.0", "listeners=PLAINTEXT://0.0.0.0:9092");
    REFUSED("must name an address that clients can reach", "advertised.listeners=PLAINTEXT://0.0.0.0:9092");
    REFUSED("must name an address that clients can reach", "advertised.listeners=PLAINTEXT://:9092");
    REFUSED("SSL is not in listeners", "advertised.listeners=SSL://a:9092",
            "listener.security.protocol.map=SSL:PLAINTEXT,PLAINTEXT:PLAINTEXT");
    REFUSED("must be one of the advertised listeners", "inter.broker.listener.name=OTHER");
    REFUSED("security.inter.broker.protocol=SSL: only PLAINTEXT is served",
            "security.inter.broker.protocol=SSL");
    REFUSED("max.connections.per.ip.overrides=a:x: must be host:count",
            "max.connections.per.ip.overrides=a:x");
}

static void test_quorum(void **state)
{
    config_free(ok(BUILD("node.id=3", "controller.quorum.voters=3@localhost:9093")));
    config_free(ok(BUILD("node.id=3", "controller.quorum.voters=3@localhost:9093",
                         "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
                         "controller.listener.names=CONTROLLER",
                         "controller.quorum.bootstrap.servers=127.0.0.1:9093")));
    REFUSED("must name this node alone, as 3@host:port", "node.id=3",
            "controller.quorum.voters=1@localhost:9093");
    REFUSED("must name this node alone", "controller.quorum.voters=1@localhost:9093,2@localhost:9094");
    REFUSED("must name this node alone", "controller.quorum.voters=1@elsewhere.example:9093");
    REFUSED("must name this node alone", "controller.quorum.voters=localhost:9093");
    REFUSED("controller.quorum.bootstrap.servers=elsewhere.example:9093",
            "controller.quorum.bootstrap.servers=elsewhere.example:9093");
    REFUSED("controller.quorum.bootstrap.servers=localhost:1",
            "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
            "controller.listener.names=CONTROLLER", "controller.quorum.bootstrap.servers=localhost:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_listeners),      cmocka_unit_test(test_named_listeners),
        cmocka_unit_test(test_refused_listeners),  cmocka_unit_test(test_every_address_is_advertised_by_name),
        cmocka_unit_test(test_refused_advertised), cmocka_unit_test(test_quorum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
