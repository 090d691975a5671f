// The metrics endpoint: pages, bad requests, slow ones, too many at once, and stage stamps of a produce.
#include "tests/unit/net/net_test.h"

enum { HTTP_PORT = 19464 };
static const char *const http_cfg[] = {"sluice.metrics.listener=127.0.0.1:19464", NULL};

static const char *text_of(struct client *c)
{
    c->in = realloc(c->in, c->in_n + 1);
    c->in[c->in_n] = 0;
    return (const char *)c->in;
}

// Sends a request and returns the whole answer.
static const char *ask(struct rig *g, const char *request)
{
    struct client *c = client_new_at(g, HTTP_PORT);
    assert_true(sim_run(g->w, SEC, client_is_up, c));
    assert_true(c->connected);
    client_send(c, request, strlen(request));
    assert_true(sim_run(g->w, SEC, has_ended, c));
    return text_of(c);
}

static void starts(const char *text, const char *what)
{
    if (strncmp(text, what, strlen(what)))
        fail_msg("\"%.60s\" does not begin with \"%s\"", text, what);
}

static void pages(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1, .cfg = http_cfg});
    metric_add(&g.metrics[0], METRIC_COMMIT_GROUPS, 3);
    metric_add(&g.metrics[1], METRIC_COMMIT_GROUPS, 4);
    const char *t = ask(&g, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    starts(t, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(t, "\nsluice_commit_groups_total 7\n"));
    const char *body = strstr(t, "\r\n\r\n") + 4, *length = strstr(t, "Content-Length: ");
    assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body));
    starts(ask(&g, "GET /metrics?x=1 HTTP/1.0\r\n\r\n"), "HTTP/1.1 200 OK\r\n");
    starts(ask(&g, "GET /slow HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK\r\n");
    starts(ask(&g, "GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 ");
    starts(ask(&g, "POST /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 ");
    starts(ask(&g, "\r\n\r\n"), "HTTP/1.1 400 ");
    char big[4000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    starts(ask(&g, big), "HTTP/1.1 400 ");
    rig_down(&g);
}

static void who_says_nothing_is_closed(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 2, .cfg = http_cfg});
    struct client *all[9];
    for (int i = 0; i < 9; i++) { // one more than there are places
        all[i] = client_new_at(&g, HTTP_PORT);
        assert_true(sim_run(g.w, SEC, client_is_up, all[i]));
    }
    assert_true(sim_run(g.w, SEC, has_ended, all[8]));
    assert_false(all[0]->ended);
    for (int i = 0; i < 8; i++)
        assert_true(sim_run(g.w, 6 * SEC, has_ended, all[i]));
    starts(ask(&g, "GET /slow HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK\r\n"); // there is room again
    rig_down(&g);
}

static void a_stop_does_not_wait(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 3, .cfg = http_cfg});
    struct client *c = client_new_at(&g, HTTP_PORT);
    assert_true(sim_run(g.w, SEC, client_is_up, c));
    client_send(c, "GET /met", 8);
    rig_down(&g); // less than a second
}

// A produce passes received, parsed, answered and sent; the scripted shard stamps nothing. It is among the slowest.
static void a_produce_is_stamped(void **state)
{
    struct rig g;
    struct metrics sum;
    rig_up(&g, &(struct rig_opts){.seed = 5, .cfg = http_cfg});
    g.delay_min = g.delay_max = 3 * MSEC;
    struct client *c = client_up(&g);
    client_produce(c, -1, 0, 1000);
    assert_true(client_wait(c, 1, SEC));
    metrics_snapshot(g.metrics, REACTORS, &sum);
    assert_int_equal(metrics_value(&sum, METRIC_PRODUCE_TOTAL), 1);
    assert_int_equal(metrics_value(&sum, METRIC_PRODUCE_PARSED), 1);
    assert_int_equal(metrics_value(&sum, METRIC_PRODUCE_ANSWERED), 1);
    assert_int_equal(metrics_value(&sum, METRIC_PRODUCE_SENT), 1);
    assert_int_equal(metrics_value(&sum, METRIC_PRODUCE_QUEUED), 0);
    assert_in_range(metrics_hist_sum(&sum, METRIC_PRODUCE_TOTAL), 3 * MSEC, SEC);
    assert_in_range(metrics_hist_sum(&sum, METRIC_PRODUCE_ANSWERED), 3 * MSEC, SEC);
    const char *t = ask(&g, "GET /slow HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(t, " api=Produce "));
    assert_non_null(strstr(t, " answered_us="));
    assert_null(strstr(t, " durable_us="));
    rig_down(&g);
}

static void bad_addresses(void **state)
{
    static const char *const bad[] = {"x", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", ":1", "h:1x"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        struct rig g;
        char pair[64], err[256] = "";
        const char *cfg[] = {pair, NULL};
        rig_up(&g, &(struct rig_opts){.seed = 4});
        snprintf(pair, sizeof(pair), "sluice.metrics.listener=%s", bad[i]);
        struct config *c = rig_config(cfg);
        g.nets[0]->cfg.cfg = c;
        assert_int_equal(http_listen(g.nets[0], err, sizeof(err)), -EINVAL);
        assert_non_null(strstr(err, pair));
        assert_non_null(strstr(err, "must be host:port"));
        g.nets[0]->cfg.cfg = g.cfg;
        rig_down(&g);
        config_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages),
        cmocka_unit_test(who_says_nothing_is_closed),
        cmocka_unit_test(a_stop_does_not_wait),
        cmocka_unit_test(a_produce_is_stamped),
        cmocka_unit_test(bad_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
