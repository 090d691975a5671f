#include "engine/log/pace.h"

#include "engine/io/fiber.h"
#include "engine/log/log.h"

struct pace_waiter {
    struct list_node node;
    struct fiber *f;
    uint32_t bytes;
    bool granted;
};

void pace_init(struct pace *p)
{
    *p = (struct pace){0};
    list_init(&p->waiters);
}

bool pace_hurry(const struct log_env *env)
{
    return env->stopping || env->pace.short_of_memory || !env->journal || journal_is_short(env->journal);
}

uint32_t pace_write_max(const struct log_env *env)
{
    return pace_hurry(env) ? PACE_HURRY_WRITE : PACE_CALM_BYTES;
}

static bool fits(const struct log_env *env, uint32_t bytes)
{
    const struct pace *p = &env->pace;
    bool hurry = pace_hurry(env);
    if (!p->writes)
        return true;
    return p->writes < (hurry ? PACE_HURRY_WRITES : PACE_CALM_WRITES) &&
           p->bytes + bytes <= (hurry ? PACE_HURRY_BYTES : PACE_CALM_BYTES);
}

static void count_in(struct pace *p, uint32_t bytes)
{
    p->bytes += bytes;
    p->writes++;
}

void pace_enter(struct log_env *env, uint32_t bytes)
{
    struct pace *p = &env->pace;
    struct pace_waiter w = {.f = fiber_current(), .bytes = bytes};
    SL_ASSERT(w.f && bytes > 0);
    if (list_empty(&p->waiters) && fits(env, bytes)) {
        count_in(p, bytes);
        return;
    }
    list_push_back(&p->waiters, &w.node);
    fiber_park_until(&w.granted);
}

void pace_leave(struct log_env *env, uint32_t bytes)
{
    struct pace *p = &env->pace;
    struct list_node *n;
    SL_ASSERT(p->writes > 0 && p->bytes >= bytes);
    p->bytes -= bytes;
    p->writes--;
    while ((n = list_first(&p->waiters)) && fits(env, list_entry(n, struct pace_waiter, node)->bytes)) {
        struct pace_waiter *w = list_entry(list_pop_front(&p->waiters), struct pace_waiter, node);
        count_in(p, w->bytes);
        w->granted = true;
        fiber_wake(w->f);
    }
}
