#include "engine/log/files.h"

#include "engine/log/log_private.h"

void files_init(struct files *f, uint32_t max)
{
    *f = (struct files){.max = max};
    list_init(&f->open);
}

// Whoever works on a file across suspensions holds the segment, or one of its log's locks, or has a direct write under way;
// recovery, which holds nothing, runs before there is a journal.
static bool idle(const struct segment *s)
{
    const struct log *l = s->log;
    return s->name == SEG_NAMED && !s->users && !s->writing && !s->retired && !l->io_lock.held &&
           !l->space_lock.held && !s->cov_n && list_empty(&l->directs) && s->flushed == s->size;
}

// Each file is looked at once at most.
static void trim_pass(struct log_env *env)
{
    struct files *f = &env->files;
    uint32_t target = f->max - f->max / 8;
    for (uint32_t left = f->n; left && f->n + f->spares > target && !env->stopping && !env->failed; left--) {
        struct segment *s = list_entry(list_first(&f->open), struct segment, files_node);
        struct log *l = s->log;
        files_used(s);
        if (!idle(s) || !log_enter(l))
            continue;
        (void)segment_close(s); // what is not synced yet will be, through another descriptor
        log_leave(l);
    }
}

static void trim_fiber(void *arg)
{
    struct files *f = &((struct log_env *)arg)->files;
    while (f->wanted) {
        f->wanted = false;
        trim_pass(arg);
    }
    f->trimming = false;
}

void files_trim(struct log_env *env)
{
    struct files *f = &env->files;
    if (!f->max || f->n + f->spares <= f->max || !env->journal || env->stopping)
        return;
    f->wanted = true;
    if (!f->trimming)
        f->trimming = fiber_spawn(env->r, trim_fiber, env, 0) != NULL;
}

bool files_allow_spare(const struct files *f)
{
    return !f->max || (f->spares < SL_MAX(f->max / 2, 1u) && f->n + f->spares < f->max);
}

void files_opened(struct segment *s)
{
    struct log_env *env = s->log->env;
    struct files *f = &env->files;
    SL_ASSERT(!list_linked(&s->files_node));
    list_push_back(&f->open, &s->files_node);
    f->n++;
    files_trim(env);
}

void files_closed(struct segment *s)
{
    if (!list_linked(&s->files_node))
        return;
    list_remove(&s->files_node);
    s->log->env->files.n--;
}

void files_used(struct segment *s)
{
    if (!list_linked(&s->files_node))
        return;
    list_remove(&s->files_node);
    list_push_back(&s->log->env->files.open, &s->files_node);
}
