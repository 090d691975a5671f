// The simulated world as a whole: replay, clock, and reactors with fibers and messages run on one thread.
#include "sim_test.h"

#include "engine/io/fiber.h"

// A broker of `n` reactors: fibers write to files, and messages go round.
struct node {
    struct sim_world *w;
    struct sim_host *h;
    struct sim_process *p;
    struct io *ios[4];
    struct reactor_group *g;
    struct service svc[4];
    uint32_t n, id;
    uint32_t messages, files, fired;
    struct timer timers[4];
};

static void on_msg(struct service *s, uint32_t from, const struct spsc_msg *m)
{
    struct node *nd = (struct node *)(uintptr_t)m->u[0];
    uint32_t me = (uint32_t)(s - nd->svc);
    (void)from;
    nd->messages++;
    if (m->u[1] == 0)
        return;
    struct reactor *r = reactor_group_get(nd->g, me);
    struct spsc_msg *out = reactor_send(r, (me + 1) % nd->n, MSG_OP(SVC_SHARD, 1));
    *out = (struct spsc_msg){.op = out->op, .u = {(uintptr_t)nd, m->u[1] - 1}};
}

static void writer(void *arg)
{
    struct node *nd = arg;
    char path[32];
    uint8_t *b = blocks(1, 'f');
    snprintf(path, sizeof(path), "/r%u-%u", nd->id, nd->files);
    io_file f = fio_open(path, IO_RDWR | IO_CREATE | IO_DIRECT, 0600);
    if (f >= 0 && fio_write(f, b, 4096, 0, 0) == 0 && fio_fsync(f, true) == 0) {
        fiber_sleep(1000000);
        if (fio_close(f) == 0)
            nd->files++;
    }
    free(b);
}

static void fired(struct timer *t)
{
    struct node *nd = (struct node *)(void *)((char *)t - offsetof(struct node, timers));
    nd->fired++;
}

static void node_up(struct node *nd, struct sim_world *w, uint32_t n, uint32_t id)
{
    memset(nd, 0, sizeof(*nd));
    nd->w = w;
    nd->n = n;
    nd->id = id;
    nd->h = sim_host_create(w);
    nd->p = sim_process_create(w, nd->h);
    for (uint32_t k = 0; k < n; k++)
        nd->ios[k] = sim_io_create(nd->p);
    nd->g = reactor_group_create(n, nd->ios, 4, NULL);
    for (uint32_t k = 0; k < n; k++) {
        nd->svc[k] = (struct service){.kind = SVC_SHARD, .name = "test", .on_msg = on_msg};
        reactor_add_service(reactor_group_get(nd->g, k), &nd->svc[k]);
        assert_non_null(fiber_spawn(reactor_group_get(nd->g, k), writer, nd, 0));
    }
    struct reactor *r = reactor_group_get(nd->g, 0);
    timer_init(&nd->timers[0], fired);
    timer_set(r, &nd->timers[0], reactor_now(r) + 5000000000ull);
    struct spsc_msg *m = reactor_send(r, n - 1, MSG_OP(SVC_SHARD, 1));
    *m = (struct spsc_msg){.op = m->op, .u = {(uintptr_t)nd, 20}};
    sim_attach(nd->p, nd->g);
}

static void node_down(struct node *nd)
{
    sim_detach(nd->p);
    reactor_group_destroy(nd->g);
    for (uint32_t k = 0; k < nd->n; k++)
        io_destroy(nd->ios[k]);
    sim_process_free(nd->p);
}

static bool both_fired(void *arg)
{
    struct node *nd = arg;
    return nd[0].fired && nd[1].fired;
}

static uint64_t play(uint64_t seed)
{
    struct sim_config cfg;
    sim_config_default(&cfg, seed);
    cfg.faults.stall = 50000;
    cfg.poll_batch = 2;
    struct sim_world *w = sim_world_create(&cfg);
    struct node nd[2];
    node_up(&nd[0], w, 2, 0);
    node_up(&nd[1], w, 3, 1);
    uint64_t t0 = sim_now_ns(w);
    assert_true(sim_run(w, 60000000000ull, both_fired, nd));
    assert_in_range(sim_now_ns(w), t0 + 4900000000ull, t0 + 6000000000ull);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(nd[k].messages, 21);
        assert_int_equal(nd[k].files, nd[k].n);
    }
    assert_false(sim_run(w, 1000000, NULL, NULL));
    uint64_t hash = sim_trace_hash(w);
    node_down(&nd[0]);
    node_down(&nd[1]);
    sim_world_destroy(w);
    return hash;
}

static void a_seed_replays(void **state)
{
    (void)state;
    uint64_t before = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t h = play(seed);
        assert_true(h == play(seed));
        assert_true(h != before);
        before = h;
    }
}

// Killed in the middle: the fibers see -ECANCELED, end, and the group can go.
static void a_killed_group_unwinds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct sim_config cfg;
        sim_config_default(&cfg, seed);
        struct sim_world *w = sim_world_create(&cfg);
        struct node nd;
        node_up(&nd, w, 2, 0);
        sim_run(w, seed * 20000, NULL, NULL);
        if (seed % 2)
            sim_process_kill(nd.p);
        else
            sim_power_cut(nd.h);
        sim_run(w, 50000000, NULL, NULL);
        node_down(&nd);
        sim_world_destroy(w);
    }
}

static void count(void *arg)
{
    ++*(unsigned *)arg;
}

static void time_is_virtual(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 1);
    unsigned calls = 0;
    sim_at(r.w, 1000, count, &calls);
    sim_at(r.w, 3000000, count, &calls);
    uint64_t t0 = io_now_ns(r.io);
    int64_t m0 = io_wall_ms(r.io);
    io_poll(r.io, 2000000);
    assert_int_equal(io_now_ns(r.io) - t0, 2000000);
    assert_int_equal(calls, 1);
    assert_int_equal(io_wall_ms(r.io) - m0, 2);
    sim_wall_jump(r.w, -3600000);
    assert_int_equal(io_wall_ms(r.io) - m0, 2 - 3600000);
    sim_advance(r.w, 5000000);
    assert_int_equal(calls, 2);
    assert_false(sim_step(r.w));
    uint64_t a, b;
    io_random(r.io, &a, sizeof(a));
    io_random(r.io, &b, sizeof(b));
    assert_true(a != b);
    sim_at(r.w, 1000, count, &calls); // left over: freed, not run
    rig_down(&r);
    assert_int_equal(calls, 2);
}

static void a_doorbell_ends_a_wait(void **state)
{
    (void)state;
    struct rig r;
    rig_seed(&r, 1);
    struct io *other = sim_io_create(r.p);
    uint64_t t0 = sim_now_ns(r.w);
    io_doorbell(other, r.io);
    assert_int_equal(io_poll(r.io, 1000000000), 0);
    assert_int_equal(sim_now_ns(r.w), t0);
    io_poll(r.io, 1000000000);
    assert_int_equal(sim_now_ns(r.w), t0 + 1000000000);
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_replays),
        cmocka_unit_test(a_killed_group_unwinds),
        cmocka_unit_test(time_is_virtual),
        cmocka_unit_test(a_doorbell_ends_a_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
