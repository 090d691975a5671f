#include "engine/log/later.h"

#include "engine/log/log_private.h"

void later_init(struct later *q, uint32_t most)
{
    *q = (struct later){.most = most};
    list_init(&q->waiting);
}

void later_work_init(struct later_work *w, struct log *l, void (*run)(struct later_work *w, bool go))
{
    *w = (struct later_work){.log = l, .run = run};
    list_init(&w->node);
}

static void later_fiber(void *arg)
{
    struct later *q = arg;
    struct list_node *n;
    while ((n = list_pop_front(&q->waiting))) {
        struct later_work *w = list_entry(n, struct later_work, node);
        struct log *l = w->log;
        l->background++; // one that is being closed says so itself
        w->run(w, true);
        log_leave(l);
    }
    q->running--;
}

// Without memory for a fiber it waits for the next call.
void later_add(struct later *q, struct later_work *w, bool urgent)
{
    if (!list_linked(&w->node)) {
        if (urgent)
            list_push_front(&q->waiting, &w->node);
        else
            list_push_back(&q->waiting, &w->node);
    }
    if (q->running < q->most && fiber_spawn(w->log->env->r, later_fiber, q, 0))
        q->running++;
}

void later_forget(struct later *q, const struct log *l)
{
    list_foreach_safe(n, &q->waiting)
    {
        struct later_work *w = list_entry(n, struct later_work, node);
        if (w->log != l)
            continue;
        list_remove(n);
        w->run(w, false);
    }
}
