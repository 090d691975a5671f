// The world: clock, events, chance, trace. See sim.h.
#include "engine/io/sim/sim_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *sim_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        sl_panic("sim: out of memory");
    return p;
}

char *sim_strdup(const char *s)
{
    char *p = strdup(s);
    if (!p)
        sl_panic("sim: out of memory");
    return p;
}

void sim_config_default(struct sim_config *cfg, uint64_t seed)
{
    *cfg = (struct sim_config){
        .seed = seed,
        .disk_read = {20000, 150000, 3000000, 2000},
        .disk_write = {20000, 200000, 8000000, 2000},
        .disk_sync = {80000, 400000, 20000000, 5000},
        .meta = {5000, 100000, 5000000, 2000},
        .net = {5000, 60000, 2000000, 2000},
        .late_ns = 80000000,
        .dio_align = IO_BLOCK,
        .recv_buffers = 64,
        .recv_size = 4096,
        .sock_buffer = 65536,
        .turn_min_ns = 300,
        .turn_max_ns = 5000,
        .wall_ms = 1700000000000,
        .trace_records = 1024,
    };
    cfg->faults.garbage_in_flight = 300000;
    cfg->faults.garbage_unsynced = 30000;
    cfg->faults.unreadable = 300000;
    cfg->faults.stall_ns = 3000000;
}

struct sim_world *sim_world_create(const struct sim_config *cfg)
{
    SL_ASSERT(cfg->dio_align >= SIM_SECTOR && cfg->dio_align <= SIM_PAGE);
    SL_ASSERT((cfg->dio_align & (cfg->dio_align - 1)) == 0);
    SL_ASSERT((cfg->trace_records & (cfg->trace_records - 1)) == 0);
    struct sim_world *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->cfg = *cfg;
    sl_rand_seed(&w->rng, cfg->seed);
    w->now = 1000000000ull;
    w->hash = 0xcbf29ce484222325ull;
    w->next_port = 20000;
    heap_init(&w->events);
    list_init(&w->hosts);
    list_init(&w->procs);
    list_init(&w->listeners);
    list_init(&w->all_socks);
    if (cfg->trace_records)
        w->trace = sim_alloc(cfg->trace_records * sizeof(*w->trace));
    return w;
}

void sim_world_destroy(struct sim_world *w)
{
    if (!w)
        return;
    w->closing = true;
    list_foreach_safe(n, &w->procs)
    {
        struct sim_process *p = list_entry(n, struct sim_process, node);
        if (!p->dead)
            sim_process_kill(p);
        list_foreach_safe(m, &p->ios) io_destroy(&list_entry(m, struct sim_io, node)->io);
        sim_process_free(p);
    }
    list_foreach_safe(n, &w->hosts) sim_host_destroy(list_entry(n, struct sim_host, node));
    sim_socks_destroy(w);
    struct heap_node *h;
    while ((h = heap_pop(&w->events)) != NULL) {
        struct sim_event *e = SL_CONTAINER_OF(h, struct sim_event, node);
        e->armed = false;
        e->fire(e); // what is left are the driver's calls and orphans: they free themselves
    }
    for (uint32_t i = 0; i < w->free_pages_n; i++)
        free(w->free_pages[i]);
    free(w->free_pages);
    free(w->trace);
    free(w);
}

struct sim_faults *sim_world_faults(struct sim_world *w)
{
    return &w->cfg.faults;
}

uint64_t sim_now_ns(const struct sim_world *w)
{
    return w->now;
}

struct sl_rand *sim_rand(struct sim_world *w)
{
    return &w->rng;
}

int64_t sim_wall_ms(const struct sim_world *w)
{
    return w->cfg.wall_ms + (int64_t)(w->now / 1000000) + w->wall_offset;
}

void sim_wall_jump(struct sim_world *w, int64_t delta_ms)
{
    w->wall_offset += delta_ms;
    sim_trace(w, "wall-jump", (uint64_t)delta_ms, 0, 0);
}

const struct sim_stats *sim_world_stats(const struct sim_world *w)
{
    return &w->stats;
}

// ---- chance --------------------------------------------------------------------------------------------------------
bool sim_chance(struct sim_world *w, uint32_t ppm)
{
    if (ppm == 0 || sl_rand_below(&w->rng, 1000000) >= ppm)
        return false;
    w->stats.faults++;
    return true;
}

uint64_t sim_latency(struct sim_world *w, const struct sim_latency *l)
{
    uint64_t ns = sl_rand_range(&w->rng, l->min_ns, SL_MAX(l->max_ns, l->min_ns));
    if (l->slow_ppm && sl_rand_below(&w->rng, 1000000) < l->slow_ppm)
        ns += sl_rand_below(&w->rng, l->slow_ns + 1);
    return ns;
}

// ---- events ----------------------------------------------------------------------------------------------------------
void sim_event_at(struct sim_world *w, struct sim_event *e, uint64_t at, void (*fire)(struct sim_event *))
{
    SL_ASSERT(!e->armed);
    e->armed = true;
    e->fire = fire;
    heap_push(&w->events, &e->node, SL_MAX(at, w->now));
}

void sim_event_cancel(struct sim_world *w, struct sim_event *e)
{
    if (!e->armed)
        return;
    e->armed = false;
    heap_remove(&w->events, &e->node);
}

uint64_t sim_next_event(const struct sim_world *w)
{
    return heap_empty(&w->events) ? UINT64_MAX : heap_min(&w->events)->key;
}

static void run_next(struct sim_world *w)
{
    struct heap_node *n = heap_pop(&w->events);
    struct sim_event *e = SL_CONTAINER_OF(n, struct sim_event, node);
    e->armed = false;
    if (n->key > w->now)
        w->now = n->key;
    w->stats.events++;
    e->fire(e);
}

void sim_run_due(struct sim_world *w)
{
    while (sim_next_event(w) <= w->now)
        run_next(w);
}

bool sim_step(struct sim_world *w)
{
    if (heap_empty(&w->events))
        return false;
    run_next(w);
    return true;
}

void sim_advance(struct sim_world *w, uint64_t ns)
{
    uint64_t until = w->now + ns;
    while (sim_next_event(w) <= until)
        run_next(w);
    w->now = SL_MAX(w->now, until);
}

struct at_call {
    struct sim_event ev;
    struct sim_world *w;
    void (*fn)(void *arg);
    void *arg;
};

static void at_fire(struct sim_event *e)
{
    struct at_call *c = SL_CONTAINER_OF(e, struct at_call, ev);
    void (*fn)(void *) = c->fn;
    void *arg = c->arg;
    bool gone = c->w->closing;
    free(c);
    if (!gone)
        fn(arg);
}

void sim_at(struct sim_world *w, uint64_t delay_ns, void (*fn)(void *arg), void *arg)
{
    struct at_call *c = sim_alloc(sizeof(*c));
    c->w = w;
    c->fn = fn;
    c->arg = arg;
    sim_event_at(w, &c->ev, w->now + delay_ns, at_fire);
}

// ---- page buffers ------------------------------------------------------------------------------------------------------
uint8_t *sim_page_buf(struct sim_world *w)
{
    if (w->free_pages_n)
        return w->free_pages[--w->free_pages_n];
    uint8_t *b = malloc(SIM_PAGE);
    if (!b)
        sl_panic("sim: out of memory");
    return b;
}

void sim_page_buf_free(struct sim_world *w, uint8_t *b)
{
    if (!b)
        return;
    if (w->free_pages_n == w->free_pages_cap) {
        w->free_pages_cap = w->free_pages_cap ? w->free_pages_cap * 2 : 64;
        w->free_pages = realloc(w->free_pages, w->free_pages_cap * sizeof(*w->free_pages));
        if (!w->free_pages)
            sl_panic("sim: out of memory");
    }
    w->free_pages[w->free_pages_n++] = b;
}

// ---- trace ---------------------------------------------------------------------------------------------------------------
static void print_record(const struct sim_record *r)
{
    fprintf(stderr, "  %13.6f ms %-16s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
            (double)(r->t - 1000000000ull) / 1e6, r->what, r->a, r->b, r->c);
}

void sim_trace(struct sim_world *w, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t h = w->hash;
    const uint64_t words[4] = {w->now, a, b, c};
    for (const char *s = what; *s; s++)
        h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
    for (int i = 0; i < 4; i++) {
        h = (h ^ words[i]) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    w->hash = h;
    struct sim_record r = {w->now, what, a, b, c};
    if (w->trace)
        w->trace[w->trace_n & (w->cfg.trace_records - 1)] = r;
    w->trace_n++;
    if (w->cfg.verbose)
        print_record(&r);
}

uint64_t sim_trace_hash(const struct sim_world *w)
{
    return w->hash;
}

void sim_trace_dump(const struct sim_world *w, uint32_t n)
{
    uint64_t have = SL_MIN(w->trace_n, (uint64_t)w->cfg.trace_records);
    uint64_t show = SL_MIN(have, (uint64_t)n);
    for (uint64_t i = w->trace_n - show; i < w->trace_n; i++)
        print_record(&w->trace[i & (w->cfg.trace_records - 1)]);
}

void sim_fail(struct sim_world *w, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    w->failed = true;
    if (w->cfg.on_fail) {
        w->cfg.on_fail(w->cfg.on_fail_arg, text);
        return;
    }
    fprintf(stderr, "simulation seed=%" PRIu64 " failed: %s\nlast events:\n", w->cfg.seed, text);
    sim_trace_dump(w, 64);
    sl_panic("sim: %s", text);
}
