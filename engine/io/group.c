// All reactors of a process: making them, and running each on a thread of its own.

#include "engine/io/reactor_private.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"

// ---- making ------------------------------------------------------------------------------------------------------

static struct reactor *reactor_make(struct reactor_group *g, uint32_t id, struct metrics *m)
{
    size_t size = SL_ALIGN_UP(sizeof(struct reactor) + g->n * sizeof(struct peer), (size_t)SL_CACHE_LINE);
    struct reactor *r = aligned_alloc(SL_CACHE_LINE, size);
    if (!r)
        return NULL;
    memset(r, 0, size);
    r->group = g;
    r->io = g->ios[id];
    r->metrics = m ? metrics_at(m, id) : NULL;
    r->id = id;
    r->n = g->n;
    heap_init(&r->timers);
    list_init(&r->ready);
    fiber_reactor_init(r);
    for (uint32_t i = 0; i < g->n; i++) {
        struct peer *p = &r->peers[i];
        p->out = g->rings[id][i];
        p->in = g->rings[i][id];
        credit_init(&p->credit, g->credits);
        list_init(&p->waiting);
    }
    return r;
}

struct reactor_group *reactor_group_create(uint32_t n, struct io *const *ios, uint32_t credits,
                                           struct metrics *m)
{
    SL_ASSERT(n >= 1 && n <= REACTOR_MAX);
    SL_ASSERT(credits >= 1 && (credits & (credits - 1)) == 0);
    struct reactor_group *g = aligned_alloc(SL_CACHE_LINE, sizeof(*g));
    if (!g)
        return NULL;
    memset(g, 0, sizeof(*g));
    g->n = n;
    g->credits = credits;
    for (uint32_t i = 0; i < n; i++)
        g->ios[i] = ios[i];
    for (uint32_t i = 0; i < n * n; i++) {
        g->rings[i / n][i % n] = spsc_create(credits * REACTOR_SLOTS_PER_CREDIT);
        if (!g->rings[i / n][i % n])
            goto err;
    }
    for (uint32_t i = 0; i < n; i++) {
        g->reactors[i] = reactor_make(g, i, m);
        if (!g->reactors[i])
            goto err;
    }
    return g;
err:
    reactor_group_destroy(g);
    return NULL;
}

void reactor_group_destroy(struct reactor_group *g)
{
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->reactors[i])
            fiber_reactor_destroy(g->reactors[i]);
        free(g->reactors[i]);
    }
    for (uint32_t i = 0; i < g->n * g->n; i++)
        spsc_destroy(g->rings[i / g->n][i % g->n]);
    free(g);
}

struct reactor *reactor_group_get(struct reactor_group *g, uint32_t i)
{
    SL_ASSERT(i < g->n);
    return g->reactors[i];
}

uint32_t reactor_group_size(const struct reactor_group *g)
{
    return g->n;
}

void reactor_group_set_stall(struct reactor_group *g, uint32_t warn_ms)
{
    for (uint32_t i = 0; i < g->n; i++)
        g->reactors[i]->stall_ns = (uint64_t)warn_ms * 1000000u;
}

// ---- running -----------------------------------------------------------------------------------------------------

// The nth CPU that this process may use, wrapping; -1 if that cannot be told.
static int nth_cpu(const cpu_set_t *allowed, uint32_t n)
{
    uint32_t count = (uint32_t)CPU_COUNT(allowed);
    if (count == 0)
        return -1;
    n %= count;
    for (int c = 0; c < CPU_SETSIZE; c++) {
        if (CPU_ISSET(c, allowed) && n-- == 0)
            return c;
    }
    return -1;
}

static void pin_to(pthread_t t, const cpu_set_t *allowed, uint32_t n)
{
    cpu_set_t set;
    int cpu = nth_cpu(allowed, n);
    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    int rc = pthread_setaffinity_np(t, sizeof(set), &set);
    if (rc != 0)
        sl_log(SL_WARN, "reactor", "cannot pin reactor=%u cpu=%d: %s", n, cpu, strerror(rc));
}

static void reactor_loop(struct reactor *r)
{
    while (!reactor_group_stopped(r->group))
        reactor_turn(r, UINT64_MAX);
}

static void *reactor_thread(void *arg)
{
    reactor_loop(arg);
    return NULL;
}

int reactor_group_run(struct reactor_group *g, bool pin)
{
    pthread_t threads[REACTOR_MAX];
    cpu_set_t allowed;
    uint32_t made = 1;
    int rc = 0;
    CPU_ZERO(&allowed);
    if (pin && sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return -errno;
    for (; made < g->n && rc == 0; made++) {
        char name[32];
        rc = -pthread_create(&threads[made], NULL, reactor_thread, g->reactors[made]);
        if (rc < 0)
            break;
        snprintf(name, sizeof(name), "reactor-%u", made); // at most 15 bytes: REACTOR_MAX
        (void)pthread_setname_np(threads[made], name);
        if (pin)
            pin_to(threads[made], &allowed, made);
    }
    if (rc == 0) {
        if (pin)
            pin_to(pthread_self(), &allowed, 0);
        reactor_loop(g->reactors[0]);
        if (pin)
            (void)pthread_setaffinity_np(pthread_self(), sizeof(allowed), &allowed);
    } else { // not all of them run: no orderly stop is possible, nothing was served
        __atomic_store_n(&g->stop_step, STOP_DONE, __ATOMIC_RELEASE);
        for (uint32_t i = 0; i < made; i++)
            io_doorbell(NULL, g->ios[i]);
    }
    for (uint32_t i = 1; i < made; i++)
        pthread_join(threads[i], NULL);
    return rc;
}
