// Fibers: stacks, scheduling, wait groups, mutexes. The I/O helpers are in fiber_io.c.
//
// A fiber is a piece of ready work that, when run, switches to its own stack, and comes back when it parks or ends.
// States: ready (queued) -> running -> parked -> ready ...; running -> done, and the reactor's stack frees it.

#include "engine/io/fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/asan.h"
#include "engine/io/fiber_ctx.h"
#include "engine/io/reactor_private.h"

#ifdef SL_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SL_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum {
    FIBER_STACK = 128 * 1024,
    FIBER_STACK_MIN = 16 * 1024,
    FIBER_GUARD = 4096,
    FIBER_CACHE = 64, // stacks of the default size that a reactor keeps
};

struct fiber {
    struct list_node node; // in the reactor's list, or its cache
    struct ready ready;
    struct reactor *r;
    fiber_fn fn;
    void *arg;
    uint8_t *map; // guard page, then the stack
    size_t map_len;
    struct fiber_ctx ctx;
    bool parked;
    bool woken; // a wake came while it was not parked
    bool done;
#ifdef SL_ASAN
    void *fake_stack;
#endif
#ifdef SL_TSAN
    void *tsan;
#endif
};

// The stack that fibers of this thread come back to.
struct scheduler {
    struct fiber_ctx ctx;
    struct fiber *current;
#ifdef SL_ASAN
    void *fake_stack;
    const void *stack;
    size_t stack_len;
#endif
#ifdef SL_TSAN
    void *tsan;
#endif
};
static _Thread_local struct scheduler sched;

// ---- switching, with word to the sanitizers ----------------------------------------------------------------------

// A fiber's first steps on its stack, or its return to it.
static void arrived_in_fiber(struct fiber *f, bool first)
{
#ifdef SL_ASAN
    __sanitizer_finish_switch_fiber(first ? NULL : f->fake_stack, &sched.stack, &sched.stack_len);
#endif
}

static void switch_to_fiber(struct fiber *f)
{
#ifdef SL_ASAN
    __sanitizer_start_switch_fiber(&sched.fake_stack, f->map + FIBER_GUARD, f->map_len - FIBER_GUARD);
#endif
#ifdef SL_TSAN
    sched.tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
    sched.current = f;
    fiber_ctx_switch(&sched.ctx, &f->ctx);
    sched.current = NULL;
#ifdef SL_ASAN
    __sanitizer_finish_switch_fiber(sched.fake_stack, NULL, NULL);
#endif
}

static void switch_to_scheduler(struct fiber *f)
{
#ifdef SL_ASAN
    // NULL: this stack is left for good, its fake frames may go.
    __sanitizer_start_switch_fiber(f->done ? NULL : &f->fake_stack, sched.stack, sched.stack_len);
#endif
#ifdef SL_TSAN
    __tsan_switch_to_fiber(sched.tsan, 0);
#endif
    fiber_ctx_switch(&f->ctx, &sched.ctx);
    arrived_in_fiber(f, false);
}

static void fiber_entry(void)
{
    struct fiber *f = sched.current;
    arrived_in_fiber(f, true);
    f->fn(f->arg);
    f->done = true;
    switch_to_scheduler(f);
    __builtin_unreachable();
}

// ---- life --------------------------------------------------------------------------------------------------------

static void fiber_unmap(struct fiber *f)
{
    SL_ASAN_UNPOISON(f->map + FIBER_GUARD, f->map_len - FIBER_GUARD);
    munmap(f->map, f->map_len);
    free(f);
}

static void fiber_free(struct reactor *r, struct fiber *f)
{
    list_remove(&f->node);
    r->fiber_n--;
#ifdef SL_TSAN
    __tsan_destroy_fiber(f->tsan);
#endif
    if (f->map_len != FIBER_STACK + FIBER_GUARD || r->fiber_cached >= FIBER_CACHE) {
        fiber_unmap(f);
        return;
    }
    list_push_front(&r->fiber_cache, &f->node);
    r->fiber_cached++;
}

static void fiber_resume(struct ready *w)
{
    struct fiber *f = list_entry(w, struct fiber, ready);
    SL_ASSERT(!sched.current && reactor_running == f->r);
    switch_to_fiber(f);
    if (f->done)
        fiber_free(f->r, f);
}

static struct fiber *fiber_map(size_t stack)
{
    struct fiber *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->map_len = SL_ALIGN_UP(stack, (size_t)4096) + FIBER_GUARD;
    // Pages get memory when they are touched; the lowest one never: an overflow faults.
    f->map = mmap(NULL, f->map_len, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (f->map == MAP_FAILED || mprotect(f->map, FIBER_GUARD, PROT_NONE) < 0) {
        if (f->map != MAP_FAILED)
            munmap(f->map, f->map_len);
        free(f);
        return NULL;
    }
    return f;
}

static struct fiber *fiber_recycle(struct reactor *r)
{
    struct list_node *n = list_pop_front(&r->fiber_cache);
    if (!n)
        return NULL;
    struct fiber *f = list_entry(n, struct fiber, node);
    r->fiber_cached--;
    SL_ASAN_UNPOISON(f->map + FIBER_GUARD, f->map_len - FIBER_GUARD);
    uint8_t *map = f->map;
    size_t map_len = f->map_len;
    *f = (struct fiber){.map = map, .map_len = map_len};
    return f;
}

struct fiber *fiber_spawn(struct reactor *r, fiber_fn fn, void *arg, size_t stack)
{
    struct fiber *f = stack == 0 ? fiber_recycle(r) : NULL;
    if (!f)
        f = fiber_map(stack == 0 ? FIBER_STACK : SL_MAX(stack, (size_t)FIBER_STACK_MIN));
    if (!f)
        return NULL;
    f->r = r;
    f->fn = fn;
    f->arg = arg;
    f->ready.run = fiber_resume;
#ifdef SL_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    fiber_ctx_make(&f->ctx, f->map + FIBER_GUARD, f->map_len - FIBER_GUARD, fiber_entry);
    list_push_back(&r->fibers, &f->node);
    r->fiber_n++;
    ready_push(r, &f->ready);
    return f;
}

struct fiber *fiber_current(void)
{
    return sched.current;
}

struct reactor *fiber_reactor(struct fiber *f)
{
    return f->r;
}

uint32_t fiber_count(const struct reactor *r)
{
    return r->fiber_n;
}

void fiber_abandon_all(struct reactor *r)
{
    SL_ASSERT(!sched.current);
    for (struct list_node *n; (n = list_first(&r->fibers));) {
        struct fiber *f = list_entry(n, struct fiber, node);
        ready_cancel(r, &f->ready);
        SL_ASAN_UNPOISON(f->map + FIBER_GUARD, f->map_len - FIBER_GUARD);
        fiber_free(r, f);
    }
}

void fiber_reactor_init(struct reactor *r)
{
    list_init(&r->fibers);
    list_init(&r->fiber_cache);
}

void fiber_reactor_destroy(struct reactor *r)
{
    fiber_abandon_all(r);
    for (struct list_node *n; (n = list_pop_front(&r->fiber_cache));)
        fiber_unmap(list_entry(n, struct fiber, node));
}

// ---- scheduling --------------------------------------------------------------------------------------------------

void fiber_park(void)
{
    struct fiber *f = sched.current;
    SL_ASSERT(f);
    if (f->woken) {
        f->woken = false;
        return;
    }
    f->parked = true;
    switch_to_scheduler(f);
}

void fiber_wake(struct fiber *f)
{
    if (!f->parked) {
        f->woken = true;
        return;
    }
    f->parked = false;
    ready_push(f->r, &f->ready);
}

void fiber_yield(void)
{
    struct fiber *f = sched.current;
    SL_ASSERT(f);
    ready_push(f->r, &f->ready);
    switch_to_scheduler(f);
}

void fiber_park_until(const bool *flag)
{
    struct fiber *f = sched.current;
    bool others = false;
    SL_ASSERT(f);
    while (!*flag) {
        fiber_park();
        others |= !*flag;
    }
    // A wake meant for a later fiber_park is not lost to this wait.
    if (others)
        f->woken = true;
}

struct sleeper {
    struct timer timer;
    struct fiber *f;
    bool fired;
};

static void sleeper_fire(struct timer *t)
{
    struct sleeper *s = SL_CONTAINER_OF(t, struct sleeper, timer);
    s->fired = true;
    fiber_wake(s->f);
}

void fiber_sleep(uint64_t ns)
{
    struct sleeper s = {.f = sched.current};
    SL_ASSERT(s.f);
    timer_init(&s.timer, sleeper_fire);
    timer_set(s.f->r, &s.timer, reactor_now(s.f->r) + ns);
    fiber_park_until(&s.fired);
}

// ---- wait groups and mutexes -------------------------------------------------------------------------------------

void fiber_wait_add(struct fiber_wait *w, uint32_t n)
{
    w->n += n;
}

void fiber_wait_done(struct fiber_wait *w)
{
    SL_ASSERT(w->n > 0);
    if (--w->n == 0 && w->waiter)
        fiber_wake(w->waiter);
}

void fiber_wait(struct fiber_wait *w)
{
    struct fiber *f = sched.current;
    bool others = false;
    SL_ASSERT(f && !w->waiter);
    while (w->n > 0) {
        w->waiter = f;
        fiber_park();
        w->waiter = NULL;
        others |= w->n > 0;
    }
    if (others)
        f->woken = true;
}

struct lock_waiter {
    struct list_node node;
    struct fiber *f;
    bool granted;
};

void fiber_mutex_init(struct fiber_mutex *m)
{
    m->held = false;
    list_init(&m->waiters);
}

void fiber_lock(struct fiber_mutex *m)
{
    struct lock_waiter w = {.f = sched.current};
    SL_ASSERT(w.f);
    if (!m->held) {
        m->held = true;
        return;
    }
    list_push_back(&m->waiters, &w.node);
    fiber_park_until(&w.granted);
}

void fiber_unlock(struct fiber_mutex *m)
{
    SL_ASSERT(m->held);
    struct list_node *n = list_pop_front(&m->waiters);
    if (!n) {
        m->held = false;
        return;
    }
    // Handed over: nobody slips in between.
    struct lock_waiter *w = list_entry(n, struct lock_waiter, node);
    w->granted = true;
    fiber_wake(w->f);
}
