// Removed segments and deleted directories leave the disk: see trash.h.
#include "engine/log/trash.h"

#include "engine/base/log.h"
#include "engine/log/log_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t PAUSE_MAX = 100ull * 1000 * 1000; // between two steps

const char *const TRASH_SUFFIX[TRASH_SUFFIXES] = {"log", "index", "timeindex", "txnindex", "snapshot"};

struct trash {
    struct list_node node;
    uint64_t due;
    struct segment *of; // whose files these are, while there are readers of it
    int64_t base;       // below 0: all of the directory
    uint64_t number;
    char dir[];
};

void trash_path(const char *dir, int64_t base, uint64_t number, size_t k, char *out, size_t cap)
{
    snprintf(out, cap, "%s/%020lld.%llu.%s.deleted", dir, (long long)base, (unsigned long long)number,
             TRASH_SUFFIX[k]);
}

void trash_number(struct log_env *env, struct segment *s)
{
    // A topic of the same name may lie with another shard by the time when this one's segments go.
    if (!s->trash_no)
        s->trash_no = ++env->trash_no << 16 | (uint16_t)reactor_id(env->r);
}

static struct trash *add(struct log_env *env, const char *dir, int64_t base, uint64_t due)
{
    size_t n = strlen(dir) + 1;
    struct trash *t = malloc(sizeof(*t) + n);
    if (!t)
        return NULL;
    *t = (struct trash){.base = base, .due = due};
    memcpy(t->dir, dir, n);
    list_init(&t->node);
    list_push_back(&env->trash, &t->node);
    return t;
}

void trash_add_segment(struct log_env *env, struct segment *s, int64_t delay_ms)
{
    uint64_t delay = (uint64_t)SL_MAX(SL_MIN(delay_ms, (int64_t)INT32_MAX * 1000), 0) * 1000 * 1000;
    struct trash *t = add(env, s->log->dir, s->base_offset, reactor_now(env->r) + delay);
    if (!t)
        return;
    t->of = s;
    t->number = s->trash_no;
    s->trash = t;
}

void trash_add_dir(struct log_env *env, const char *path)
{
    (void)add(env, path, -1, 0);
}

void trash_unread(struct trash *t)
{
    t->of = NULL;
}

static void trash_free(struct trash *t)
{
    if (t->of)
        t->of->trash = NULL;
    free(t);
}

void trash_forget(struct log_env *env)
{
    struct list_node *n;
    while ((n = list_pop_front(&env->trash)))
        trash_free(list_entry(n, struct trash, node));
}

uint64_t trash_due(const struct log_env *env)
{
    uint64_t due = UINT64_MAX;
    list_foreach(n, &env->trash)
    {
        due = SL_MIN(due, list_entry(n, struct trash, node)->due);
    }
    return due;
}

// ---- one file -----------------------------------------------------------------------------------------------------------

// Cuts it, from `size` on, until one step is left. A clean stop does not wait for the pauses. What remains after an error goes
// with the unlink.
static void cut(struct log_env *env, io_file f, uint64_t size)
{
    uint64_t at = (size - 1) / env->trash_step * env->trash_step;
    for (; at && !env->stopping && !env->failed; at -= env->trash_step) {
        uint64_t begun = reactor_now(env->r);
        if (fio_ftruncate(f, at))
            break;
        // The others have the disk for twice as long.
        fiber_sleep(SL_MIN((reactor_now(env->r) - begun) * 2, PAUSE_MAX));
    }
}

// Its name is durable first: a file that was cut is never found under the name that it had.
static void cut_file(struct log_env *env, const char *dir, const char *path)
{
    struct io_stat st;
    if (fio_stat(path, &st) || st.size <= env->trash_step || fio_sync_dir(dir))
        return;
    io_file f = fio_open(path, IO_RDWR, 0);
    if (f < 0)
        return;
    cut(env, f, st.size);
    (void)fio_close(f);
}

static int remove_file(struct log_env *env, const char *dir, const char *path, bool in_steps)
{
    if (in_steps && !env->stopping)
        cut_file(env, dir, path);
    return fio_unlink(path, false);
}

// ---- a segment's files, a directory ---------------------------------------------------------------------------------------

static int remove_segment(struct log_env *env, const struct trash *t)
{
    char path[1500];
    int rc = 0;
    for (size_t k = 0; k < TRASH_SUFFIXES; k++) {
        trash_path(t->dir, t->base, t->number, k, path, sizeof(path));
        int e = remove_file(env, t->dir, path, k == 0 && !t->of);
        if (e && e != -ENOENT && !rc)
            rc = e;
    }
    return rc;
}

struct names {
    char (*name)[256];
    uint32_t n, cap;
};

static int add_name(void *arg, const struct io_dirent *e)
{
    struct names *x = arg;
    if (x->n == x->cap) {
        uint32_t cap = x->cap ? x->cap * 2 : 16;
        void *p = realloc(x->name, cap * sizeof(x->name[0]));
        if (!p)
            return -ENOMEM;
        x->name = p;
        x->cap = cap;
    }
    snprintf(x->name[x->n++], sizeof(x->name[0]), "%s", e->name);
    return 0;
}

static int remove_dir(struct log_env *env, const char *dir)
{
    struct names x = {0};
    char path[2000];
    int rc = io_listdir(reactor_io(env->r), dir, add_name, &x);
    for (uint32_t i = 0; i < x.n && (!rc || rc == -ENOENT); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, x.name[i]);
        rc = remove_file(env, dir, path, strstr(x.name[i], ".log") != NULL);
    }
    free(x.name);
    rc = rc && rc != -ENOENT ? rc : fio_unlink(dir, true);
    if (!rc) {
        snprintf(path, sizeof(path), "%s", dir);
        *strrchr(path, '/') = 0;
        rc = fio_sync_dir(path);
    }
    if (rc && rc != -ENOENT)
        sl_log(SL_WARN, "log", "%s was deleted and cannot be removed: %s", dir, strerror(-rc));
    return rc == -ENOENT ? 0 : rc;
}

static bool is_deleted_name(const char *name)
{
    static const char end[] = "-delete";
    size_t n = strlen(name), k = sizeof(end) - 1;
    return n > k && !strcmp(name + n - k, end) && strchr(name, '.');
}

int trash_add_left(struct log_env *env, const char *dir)
{
    struct names x = {0};
    char path[2000];
    int rc = io_listdir(reactor_io(env->r), dir, add_name, &x);
    for (uint32_t i = 0; i < x.n && !rc; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, x.name[i]);
        if (is_deleted_name(x.name[i]))
            trash_add_dir(env, path);
    }
    free(x.name);
    return rc;
}

// A name that cannot be unlinked now goes at the next start.
int trash_empty(struct log_env *env, bool all)
{
    struct list_node now;
    struct list_node *n;
    int rc = 0;
    list_init(&now);
    list_foreach_safe(x, &env->trash)
    {
        if (!all && list_entry(x, struct trash, node)->due > reactor_now(env->r))
            continue;
        list_remove(x);
        list_push_back(&now, x);
    }
    while ((n = list_pop_front(&now))) {
        struct trash *t = list_entry(n, struct trash, node);
        int e = t->base < 0 ? remove_dir(env, t->dir) : remove_segment(env, t);
        rc = rc ? rc : e;
        trash_free(t);
    }
    return rc;
}
