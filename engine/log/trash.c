// Removed segments and deleted directories leave the disk: see trash.h.
#include "engine/log/trash.h"

#include "engine/base/log.h"
#include "engine/base/sbuf.h"
#include "engine/io/space.h"
#include "engine/log/log_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t PAUSE_MAX = 100ull * 1000 * 1000;     // between two steps
static const uint64_t LATE_NS = 30ull * 1000 * 1000 * 1000; // behind its time: no pauses any more
static const uint64_t SPACE_SHORT = 1ull << 30;             // bytes

static const char *const SUFFIX[] = {"log", "index", "timeindex", "txnindex", "snapshot"};

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
             SUFFIX[k]);
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

static void add_segment(struct log *l, struct segment *s)
{
    uint64_t delay = (uint64_t)SL_MAX(SL_MIN(l->cfg.file_delete_delay_ms, (int64_t)INT32_MAX * 1000), 0);
    struct trash *t = add(l->env, l->dir, s->base_offset, reactor_now(l->env->r) + delay * 1000 * 1000);
    if (!t)
        return;
    t->of = s;
    t->number = s->trash_no;
    s->trash = t;
}

int log_put_away(struct log *l, struct segment *s, bool with_snapshot)
{
    char from[1500], to[1600];
    int rc = s->users ? segment_try_open(s) : 0;
    if (rc && rc != -ENOENT)
        return rc;
    // Once, for what failed half-way is tried again. A topic of the same name may lie with another shard by the time when they go.
    if (!s->trash_no)
        s->trash_no = ++l->env->trash_no << 16 | (uint16_t)reactor_id(l->env->r);
    rc = 0;
    for (size_t k = 0; k < SL_ARRAY_LEN(SUFFIX) - !with_snapshot && !rc; k++) {
        snprintf(from, sizeof(from), "%s/%020lld.%s", l->dir, (long long)s->base_offset, SUFFIX[k]);
        trash_path(l->dir, s->base_offset, s->trash_no, k, to, sizeof(to));
        rc = fio_rename(from, to);
        if (rc == -ENOENT)
            rc = 0;
    }
    if (!rc)
        add_segment(l, s);
    return rc;
}

void trash_add_dir(struct log_env *env, const char *path)
{
    (void)add(env, path, -1, reactor_now(env->r));
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

// A clean stop leaves what is not begun to its own end (`all`); nothing is touched in a directory that failed (S8).
static bool interrupted(const struct log_env *env, bool all)
{
    return env->failed || (env->stopping && !all);
}

// What is late goes with shorter pauses, and in the end with none: the disk must not fill with it.
static uint64_t pause_after(const struct log_env *env, uint64_t took, uint64_t due)
{
    uint64_t now = reactor_now(env->r), late = now > due ? now - due : 0;
    if (late > LATE_NS)
        return 0;
    return SL_MIN(late > LATE_NS / 3 ? took : 2 * took,
                  PAUSE_MAX); // at best the others have the disk for twice as long
}

// Cuts it, from `size` on, until one step is left. A clean stop does not wait for the pauses. What remains after an error goes
// with the unlink.
static void cut(struct log_env *env, io_file f, uint64_t size, uint64_t due)
{
    uint64_t at = (size - 1) / env->trash_step * env->trash_step;
    for (; at && !env->stopping && !env->failed; at -= env->trash_step) {
        uint64_t begun = reactor_now(env->r);
        if (fio_ftruncate(f, at))
            break;
        uint64_t pause = pause_after(env, reactor_now(env->r) - begun, due);
        if (pause)
            fiber_sleep(pause);
    }
}

// Its name is durable first: a file that was cut is never found under the name that it had. One with another name elsewhere, as
// a copy by hard links has, keeps its bytes. What keeps it from being cut does not keep it from being unlinked, but for an I/O
// error (S8): 0 or -EIO.
static int cut_file(struct log_env *env, const char *dir, const char *path, uint64_t due)
{
    struct io_stat st;
    if (fio_stat(path, &st) || st.size <= env->trash_step || st.links > 1)
        return 0;
    int rc = fio_sync_dir(dir);
    io_file f = rc ? -1 : fio_open(path, IO_RDWR, 0);
    if (f < 0)
        return rc == -EIO ? rc : 0;
    cut(env, f, st.size, due);
    (void)fio_close(f);
    return 0;
}

static int remove_file(struct log_env *env, const char *dir, const char *path, bool in_steps, uint64_t due)
{
    int rc = in_steps && !env->stopping ? cut_file(env, dir, path, due) : 0;
    return rc ? rc : fio_unlink(path, false);
}

int trash_remove_file(struct log_env *env, const char *dir, const char *path)
{
    return remove_file(env, dir, path, true, reactor_now(env->r));
}

// ---- a segment's files, a directory ---------------------------------------------------------------------------------------

static int remove_segment(struct log_env *env, const struct trash *t, bool all)
{
    char path[1500];
    int rc = 0;
    for (size_t k = 0; k < SL_ARRAY_LEN(SUFFIX); k++) {
        if (interrupted(env, all))
            return -ECANCELED;
        trash_path(t->dir, t->base, t->number, k, path, sizeof(path));
        int e = remove_file(env, t->dir, path, k == 0 && !t->of, t->due);
        if (e && e != -ENOENT && !rc)
            rc = e;
    }
    return rc;
}

static bool may_be_long(const char *name)
{
    return strstr(name, ".log") || strstr(name, ".cleaned") || strstr(name, ".swap");
}

static int remove_dir(struct log_env *env, const struct trash *t, bool all)
{
    struct sbuf names;
    char path[2000];
    sbuf_init(&names);
    int rc = fio_names(t->dir, NULL, NULL, &names);
    for (size_t at = 0; at < names.len && (!rc || rc == -ENOENT); at += strlen(names.data + at) + 1) {
        const char *name = names.data + at;
        snprintf(path, sizeof(path), "%s/%s", t->dir, name);
        rc = interrupted(env, all) ? -ECANCELED : remove_file(env, t->dir, path, may_be_long(name), t->due);
    }
    sbuf_free(&names);
    rc = rc && rc != -ENOENT ? rc : fio_unlink(t->dir, true);
    if (rc && rc != -ENOENT && rc != -ECANCELED)
        sl_log(SL_WARN, "log", "%s was deleted and cannot be removed: %s", t->dir, strerror(-rc));
    return rc == -ENOENT ? 0 : rc;
}

static bool is_deleted(void *arg, const struct io_dirent *e)
{
    static const char end[] = "-delete";
    size_t n = strlen(e->name), k = sizeof(end) - 1;
    return n > k && !strcmp(e->name + n - k, end) && strchr(e->name, '.');
}

int trash_add_left(struct log_env *env, const char *dir)
{
    struct sbuf names;
    char path[2000];
    sbuf_init(&names);
    int rc = fio_names(dir, is_deleted, NULL, &names);
    for (size_t at = 0; at < names.len && !rc; at += strlen(names.data + at) + 1) {
        snprintf(path, sizeof(path), "%s/%s", dir, names.data + at);
        trash_add_dir(env, path);
    }
    sbuf_free(&names);
    return rc;
}

// Where space is short, all that a start can have is for recovery.
static bool space_is_short(const char *dir)
{
    uint64_t total, usable;
    return io_space(dir, &total, &usable) == 0 && usable < SPACE_SHORT;
}

// The numbers that this life gives are other ones: a removed segment takes nobody's name.
bool trash_add_left_file(struct log_env *env, const char *dir, const char *name)
{
    struct io_stat st;
    char path[1600];
    long long base = -1;
    unsigned long long number = 0;
    int end = 0;
    if (sscanf(name, "%20lld.%20llu.log.deleted%n", &base, &number, &end) != 2 || name[end] || base < 0)
        return false;
    trash_path(dir, base, number, 0, path, sizeof(path));
    if (strcmp(path + strlen(dir) + 1, name) || fio_stat(path, &st) || st.size <= env->trash_step ||
        space_is_short(dir))
        return false;
    struct trash *t = add(env, dir, base, UINT64_MAX);
    if (!t)
        return false;
    t->number = number;
    env->trash_no = SL_MAX(env->trash_no, number >> 16);
    return true;
}

void trash_begin(struct log_env *env)
{
    list_foreach(x, &env->trash)
    {
        struct trash *t = list_entry(x, struct trash, node);
        t->due = SL_MIN(t->due, reactor_now(env->r));
    }
}

static struct trash *next_due(struct log_env *env, bool all)
{
    list_foreach(x, &env->trash)
    {
        struct trash *t = list_entry(x, struct trash, node);
        if (all || t->due <= reactor_now(env->r))
            return t;
    }
    return NULL;
}

// A name that cannot be unlinked now goes at the next start.
int trash_empty(struct log_env *env, bool all)
{
    char last_dir[1500] = "";
    struct trash *t;
    int rc = 0;
    while (!interrupted(env, all) && (t = next_due(env, all))) {
        list_remove(&t->node);
        int e = t->base < 0 ? remove_dir(env, t, all) : remove_segment(env, t, all);
        if (e == -ECANCELED) { // for the stop to end, or for the next start
            list_push_front(&env->trash, &t->node);
            break;
        }
        if (t->base < 0)
            snprintf(last_dir, sizeof(last_dir), "%s", t->dir);
        rc = rc == -EIO || !e ? rc : e;
        trash_free(t);
    }
    if (*last_dir && !env->failed) {
        int e =
            fio_sync_parent(last_dir); // directories that come back in a crash are found by the next start
        rc = rc ? rc : e;
    }
    return rc;
}
