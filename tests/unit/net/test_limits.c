// Limits of connections: the counting itself, then connections in the simulated world.
#include "net_test.h"

static struct net_limits *limits_of(struct config **cfg, const char *const *pairs)
{
    char err[256] = "";
    *cfg = rig_config(pairs);
    struct net_limits *l = net_limits_create(*cfg, err, sizeof(err));
    if (!l)
        fail_msg("%s", err);
    return l;
}

static enum net_admit enter(struct net_limits *l, struct config *cfg, const char *peer, uint64_t now)
{
    size_t n;
    bool counted = false;
    uint64_t until;
    return net_limits_enter(l, cfg, peer, &cfg_listeners(cfg, &n)[0], now, &counted, &until);
}

static void an_address_has_its_share(void **state)
{
    struct config *cfg;
    struct net_limits *l =
        limits_of(&cfg, (const char *const[]){"max.connections.per.ip=2",
                                              "max.connections.per.ip.overrides=10.0.0.1:3,::1:0", NULL});
    for (int i = 0; i < 2; i++)
        assert_int_equal(enter(l, cfg, "10.0.0.9", 0), NET_ADMIT);
    assert_int_equal(enter(l, cfg, "10.0.0.9", 0), NET_REFUSE);
    for (int i = 0; i < 3; i++)
        assert_int_equal(enter(l, cfg, "10.0.0.1", 0), NET_ADMIT);
    assert_int_equal(enter(l, cfg, "10.0.0.1", 0), NET_REFUSE);
    assert_int_equal(enter(l, cfg, "::1", 0), NET_REFUSE);
    assert_int_equal(net_limits_total(l), 5);
    net_limits_leave(l, "10.0.0.9");
    assert_int_equal(enter(l, cfg, "10.0.0.9", 0), NET_ADMIT);
    assert_int_equal(enter(l, cfg, "10.0.0.9", 0), NET_REFUSE);
    config_free(cfg);
    // Another configuration comes into force: who is in stays, the next is measured by it.
    cfg = rig_config((const char *const[]){"max.connections.per.ip=3",
                                           "max.connections.per.ip.overrides=10.0.0.1:1", NULL});
    assert_int_equal(enter(l, cfg, "10.0.0.9", 0), NET_ADMIT);
    assert_int_equal(enter(l, cfg, "10.0.0.9", 0), NET_REFUSE);
    assert_int_equal(enter(l, cfg, "10.0.0.1", 0), NET_REFUSE);
    assert_int_equal(enter(l, cfg, "::1", 0), NET_ADMIT);
    net_limits_destroy(l);
    config_free(cfg);
}

static void a_host_that_is_none_is_named(void **state)
{
    char err[256] = "";
    struct config *cfg = rig_config(
        (const char *const[]){"max.connections.per.ip.overrides=127.0.0.1:3,300.1.2.3.4.5:1", NULL});
    assert_null(net_limits_create(cfg, err, sizeof(err)));
    assert_non_null(strstr(err, "max.connections.per.ip.overrides"));
    assert_non_null(strstr(err, "300.1.2.3.4.5"));
    config_free(cfg);
}

static void the_rate_holds_back(void **state)
{
    struct config *cfg;
    struct net_limits *l = limits_of(&cfg, (const char *const[]){"max.connection.creation.rate=5", NULL});
    size_t n;
    uint64_t until = 0;
    const struct cfg_listener *cl = &cfg_listeners(cfg, &n)[0];
    for (int i = 0; i < 50; i++) // what ten seconds allow comes at once
        assert_int_equal(enter(l, cfg, "10.0.0.9", SEC), NET_ADMIT);
    bool counted = false;
    assert_int_equal(net_limits_enter(l, cfg, "10.0.0.9", cl, SEC, &counted, &until), NET_WAIT);
    assert_true(counted && until > SEC && until <= 2 * SEC);
    assert_int_equal(net_limits_enter(l, cfg, "10.0.0.9", cl, until, &counted, &until),
                     NET_ADMIT); // counts once
    assert_int_equal(enter(l, cfg, "10.0.0.9", 30 * SEC), NET_ADMIT);
    net_limits_destroy(l);
    config_free(cfg);
}

static uint32_t conns_of(const struct rig *g)
{
    return g->nets[0]->conns_n + g->nets[1]->conns_n;
}

static uint32_t served_of(const struct rig *g)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->clients_n; i++)
        n += g->clients[i]->frames > 0;
    return n;
}

// Over both services together; those who wait are served when others leave, and a stop finds some waiting.
static void connections_wait_for_room(void **state)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig g;
        rig_up(&g, &(struct rig_opts){.seed = seed, .cfg = (const char *const[]){"max.connections=5", NULL}});
        for (int i = 0; i < 20; i++)
            client_ask_versions(client_up(&g));
        sim_run(g.w, SEC, NULL, NULL);
        assert_int_equal(conns_of(&g), 5);
        assert_int_equal(served_of(&g), 5);
        for (uint32_t i = 0, closed = 0; closed < 10; i = (i + 1) % g.clients_n) {
            struct client *c = g.clients[i];
            if (!c->frames || c->closed)
                continue;
            client_close(c);
            closed++;
            sim_run(g.w, SEC, NULL, NULL);
            assert_int_equal(conns_of(&g), 5);
            assert_int_equal(served_of(&g), 5 + closed);
        }
        for (uint32_t i = 0; i < g.clients_n; i++)
            assert_true(g.clients[i]->closed || !g.clients[i]->ended);
        if (seed % 2) { // or with connections still waiting
            for (uint32_t i = 0; i < g.clients_n; i++)
                client_close(g.clients[i]);
            sim_run(g.w, SEC, NULL, NULL);
            assert_int_equal(conns_of(&g), 0);
            client_ask_versions(client_up(&g));
            sim_run(g.w, SEC, NULL, NULL);
            assert_int_equal(served_of(&g), 16);
        }
        rig_down(&g);
    }
}

static void an_address_beyond_its_share_is_closed(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1, .cfg = (const char *const[]){"max.connections.per.ip=3", NULL}});
    for (int i = 0; i < 6; i++) {
        client_up(&g);
        sim_run(g.w, 100 * MSEC, NULL, NULL);
    }
    assert_int_equal(conns_of(&g), 3);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(g.clients[i]->ended, i >= 3);
    rig_down(&g);
}

static void connections_come_at_their_rate(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1,
                                  .cfg = (const char *const[]){"max.connection.creation.rate=2", NULL}});
    for (int i = 0; i < 60; i++)
        client_ask_versions(client_up(&g));
    sim_run(g.w, SEC, NULL, NULL);
    assert_in_range(served_of(&g), 20, 26);
    sim_run(g.w, 60 * SEC, NULL, NULL);
    assert_int_equal(served_of(&g), 60);
    rig_down(&g);
}

// Two listeners: that of the brokers is let in, and the quietest connection of the other makes room.
static void the_brokers_listener_is_let_in(void **state)
{
    struct rig g;
    rig_up(&g, &(struct rig_opts){.seed = 1,
                                  .cfg = (const char *const[]){
                                      "listeners=PLAINTEXT://127.0.0.1:19092,INTERNAL://"
                                      "127.0.0.1:19094,CONTROLLER://127.0.0.1:19093",
                                      "listener.security.protocol.map="
                                      "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
                                      "inter.broker.listener.name=INTERNAL", "max.connections=3", NULL}});
    for (int i = 0; i < 3; i++)
        client_ask_versions(client_up(&g));
    sim_run(g.w, SEC, NULL, NULL);
    for (int i = 1; i < 3; i++)
        client_ask_versions(g.clients[i]);
    sim_run(g.w, SEC, NULL, NULL);
    struct client *broker = client_new_at(&g, 19094);
    assert_true(sim_run(g.w, SEC, client_is_up, broker));
    client_ask_versions(broker);
    sim_run(g.w, 3 * SEC, NULL, NULL);
    assert_int_equal(broker->frames, 1);
    assert_int_equal(conns_of(&g), 3);
    uint32_t left = 0;
    for (uint32_t i = 0; i < 3; i++)
        left += !g.clients[i]->ended;
    assert_int_equal(left, 2);
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_share),
        cmocka_unit_test(a_host_that_is_none_is_named),
        cmocka_unit_test(the_rate_holds_back),
        cmocka_unit_test(connections_wait_for_room),
        cmocka_unit_test(an_address_beyond_its_share_is_closed),
        cmocka_unit_test(connections_come_at_their_rate),
        cmocka_unit_test(the_brokers_listener_is_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
