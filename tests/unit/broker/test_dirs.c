// A broker with several log directories, in the simulated world: what makes it refuse to start, and what it starts without.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/io/sim/sim.h"
#include "tools/broker/broker.h"

enum { DIRS = 3, REACTORS = 2 };
static const uint64_t SEC = 1000ull * 1000 * 1000;
static const char *const paths[DIRS] = {"/a", "/b", "/c"};

static struct sim_world *w;
static struct sim_host *host;
static struct sim_process *p;
static struct io *ios[REACTORS];
static struct config *cfg;
static struct broker *b;
static char said[2048];

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0"; // what a killed life's fibers held is lost with them
}

static void keep(void *ctx, enum sl_log_level level, const char *line, size_t len)
{
    if (level >= SL_WARN && strlen(said) + len + 2 < sizeof(said))
        snprintf(said + strlen(said), sizeof(said) - strlen(said), "%.*s\n", (int)len, line);
}

static void set(const char *key, const char *value)
{
    char err[256];
    if (config_set(cfg, key, value, CFG_FROM_FILE, err, sizeof(err)))
        fail_msg("%s", err);
}

static int make(void **state)
{
    struct sim_config sc;
    sim_config_default(&sc, 1);
    sc.unstable_buffers = true;
    w = sim_world_create(&sc);
    host = sim_host_create(w);
    sl_log_set_sink(keep, NULL);
    return 0;
}

static int end(void **state)
{
    sim_world_destroy(w);
    return 0;
}

static bool up(void *arg)
{
    return broker_serving(b) || broker_error(b, NULL);
}

static bool stopped(void *arg)
{
    return reactor_group_stopped(broker_group(b));
}

static bool finished(void *arg)
{
    return *broker_finished(b);
}

// 0: it serves. Otherwise *text says why it does not.
static int start(const char *dirs, const char *meta, const char *node, const char **text)
{
    char err[256];
    said[0] = 0;
    cfg = config_new();
    set("node.id", node);
    set("log.dirs", dirs);
    set("listeners", "PLAINTEXT://127.0.0.1:9092");
    set("sluice.journal.file.bytes", "1048576");
    set("message.max.bytes", "100000");
    set("sluice.pool.bytes", "33554432");
    if (meta)
        set("metadata.log.dir", meta);
    if (config_finish(cfg, err, sizeof(err)))
        fail_msg("%s", err);
    p = sim_process_create(w, host);
    for (uint32_t i = 0; i < REACTORS; i++)
        ios[i] = sim_io_create(p);
    b = broker_create(cfg, REACTORS, ios, NULL);
    assert_non_null(b);
    sim_attach(p, broker_group(b));
    assert_int_equal(broker_boot(b), 0);
    if (!sim_run(w, 60 * SEC, up, NULL))
        fail_msg("the start does not end");
    return broker_error(b, text);
}

static void gone(void)
{
    sim_detach(p);
    for (uint32_t i = 0; i < REACTORS; i++)
        fiber_abandon_all(reactor_group_get(broker_group(b), i));
    broker_destroy(b);
    for (uint32_t i = 0; i < REACTORS; i++)
        io_destroy(ios[i]);
    sim_process_free(p);
    config_free(cfg);
}

static void stop(void)
{
    reactor_group_stop(broker_group(b));
    if (!sim_run(w, 60 * SEC, stopped, NULL))
        fail_msg("the stop does not end");
    assert_int_equal(broker_finish(b), 0);
    if (!sim_run(w, 60 * SEC, finished, NULL))
        fail_msg("the end of the stop does not come");
    gone();
}

static void serves(const char *dirs, const char *meta)
{
    const char *text = "";
    if (start(dirs, meta, "1", &text))
        fail_msg("%s", text);
}

static void refuses_as(const char *dirs, const char *meta, const char *node, const char *words)
{
    const char *text = "";
    assert_int_not_equal(start(dirs, meta, node, &text), 0);
    if (!strstr(text, words))
        fail_msg("'%s' does not say '%s'", text, words);
    sim_process_kill(p);
    sim_run(w, SEC, NULL, NULL);
    gone();
}

static void refuses(const char *dirs, const char *meta, const char *words)
{
    refuses_as(dirs, meta, "1", words);
}

static bool is_there(const char *dir, const char *name)
{
    char path[100];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return sim_disk_size(host, path) >= 0;
}

static void meta_path(int dir, char out[64])
{
    snprintf(out, 64, "%s/meta.properties", paths[dir]);
}

static size_t identity(int dir, char out[512])
{
    char path[64];
    meta_path(dir, path);
    int64_t n = sim_disk_read(host, path, 0, out, 511);
    assert_true(n > 0);
    out[n] = 0;
    return (size_t)n;
}

// The value of `key` becomes `value`, of the same length.
static void poke(int dir, const char *key, const char *value)
{
    char text[512], path[64];
    identity(dir, text);
    char *at = strstr(text, key);
    assert_non_null(at);
    meta_path(dir, path);
    assert_int_equal(sim_disk_poke(host, path, (uint64_t)(at - text) + strlen(key), value, strlen(value)), 0);
}

static void value_of(int dir, const char *key, char out[64])
{
    char text[512];
    identity(dir, text);
    char *at = strstr(text, key);
    assert_non_null(at);
    at += strlen(key);
    snprintf(out, 64, "%.*s", (int)strcspn(at, "\n"), at);
}

// ---- what belongs together ----------------------------------------------------------------------------------
static void test_formatted_together(void **state)
{
    char cluster[64], other[64], ids[DIRS][64];
    serves("/a,/b,/c", NULL);
    stop();
    value_of(0, "cluster.id=", cluster);
    for (int i = 0; i < DIRS; i++) {
        value_of(i, "cluster.id=", other);
        assert_string_equal(other, cluster);
        value_of(i, "directory.id=", ids[i]);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
        assert_true(is_there(paths[i], ".kafka_cleanshutdown"));
        assert_int_equal(is_there(paths[i], "__cluster_metadata-0"), i == 0);
    }
    serves("/a,/b,/c", NULL);
    stop();
    refuses_as("/a,/b,/c", NULL, "2", "node.id");
    refuses("/a,/b/,/b", NULL, "twice");
}

static void test_strangers(void **state)
{
    char id[64], was[64], cluster[64];
    serves("/a,/b,/c", NULL);
    stop();
    value_of(1, "directory.id=", was);
    value_of(2, "directory.id=", id);
    poke(1, "directory.id=", id);
    refuses("/a,/b,/c", NULL, "same directory.id");
    poke(1, "directory.id=", "AAAAAAAAAAAAAAAAAAAAYw"); // 99
    refuses("/a,/b,/c", NULL, "reserved");
    poke(1, "directory.id=", "AAAAAAAAAAAAAAAAAAAAZA"); // 100 is not
    serves("/a,/b,/c", NULL);
    stop();
    poke(1, "directory.id=", was);
    value_of(1, "cluster.id=", cluster);
    poke(1, "cluster.id=", cluster[0] == 'x' ? "y" : "x");
    refuses("/a,/b,/c", NULL, "cluster.id");
    poke(1, "cluster.id=", cluster);
    poke(1, "node.id=", "7");
    refuses("/a,/b,/c", NULL, "node.id");
    poke(1, "node.id=", "1");
    serves("/a,/b,/c", NULL);
    stop();
}

// The metadata log is where it is configured, and nowhere else.
static void test_metadata_elsewhere(void **state)
{
    serves("/a,/b", NULL);
    stop();
    refuses("/a,/b", "/c", "where the metadata log belongs");
    refuses("/b,/a", NULL, "the metadata log's directory is /b");
    serves("/b,/a", "/a");
    stop();
    serves("/b", "/a"); // its own directory, without partitions
    stop();
    assert_false(is_there("/a", ".kafka_cleanshutdown"));
    assert_true(is_there("/b", ".kafka_cleanshutdown"));
}

// ---- what it starts without ---------------------------------------------------------------------------------
static void test_broken_at_start(void **state)
{
    uint32_t drives[DIRS];
    const char *text = "";
    for (int i = 0; i < DIRS; i++)
        drives[i] = sim_disk_mount(host, paths[i]);
    serves("/a,/b,/c", NULL);
    stop();
    sim_disk_break_drive(host, drives[1], true);
    serves("/a,/b,/c", NULL);
    assert_non_null(strstr(said, "dir=/b is offline"));
    stop();
    assert_true(is_there("/a", ".kafka_cleanshutdown") && is_there("/c", ".kafka_cleanshutdown"));
    sim_disk_break_drive(host, drives[0], true); // the metadata log's
    assert_int_not_equal(start("/a,/b,/c", NULL, "1", &text), 0);
    sim_process_kill(p);
    sim_run(w, SEC, NULL, NULL);
    gone();
    sim_disk_break_drive(host, drives[0], false);
    sim_disk_break_drive(host, drives[1], false);
    serves("/a,/b,/c", NULL);
    assert_null(strstr(said, "offline"));
    stop();
}

// One of several that breaks under the broker leaves it serving; the metadata log's ends it.
static void test_broken_under_it(void **state)
{
    uint32_t drives[DIRS];
    for (int i = 0; i < DIRS; i++)
        drives[i] = sim_disk_mount(host, paths[i]);
    serves("/a,/b,/c", NULL);
    sim_disk_break_drive(host, drives[0], true);
    reactor_group_stop(broker_group(b)); // the metadata log's last record meets the broken drive
    if (!sim_run(w, 60 * SEC, stopped, NULL))
        fail_msg("the stop does not end");
    assert_int_equal(broker_finish(b), 0);
    if (!sim_run(w, 60 * SEC, finished, NULL))
        fail_msg("the end of the stop does not come");
    assert_int_not_equal(broker_error(b, NULL), 0);
    assert_false(is_there("/a", ".kafka_cleanshutdown"));
    assert_true(is_there("/b", ".kafka_cleanshutdown") && is_there("/c", ".kafka_cleanshutdown"));
    gone();
    sim_disk_break_drive(host, drives[0], false);
    serves("/a,/b,/c", NULL);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_formatted_together, make, end),
        cmocka_unit_test_setup_teardown(test_strangers, make, end),
        cmocka_unit_test_setup_teardown(test_metadata_elsewhere, make, end),
        cmocka_unit_test_setup_teardown(test_broken_at_start, make, end),
        cmocka_unit_test_setup_teardown(test_broken_under_it, make, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
