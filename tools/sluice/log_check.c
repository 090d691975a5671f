/* sluice log check DIR...: opens a stopped broker's log directory as a start would (locks, identity, journals), reads
 * everything, and reports. Nothing is written without --repair but the lock files. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/io/fiber.h"
#include "engine/io/uring/uring.h"
#include "tools/sluice/log_check.h"
#include "tools/sluice/log_command.h"

enum { LOCK_WAIT_MS = 200, CHECK_STACK = 512 << 10 };

static void say(struct check *c, const char *path, const char *kind, const char *fmt, va_list ap)
{
    size_t n = strlen(c->dir);
    bool inside = strncmp(path, c->dir, n) == 0 && path[n] == '/';
    printf("%s: %s: ", kind, inside ? path + n + 1 : path);
    vprintf(fmt, ap);
    putchar('\n');
}

void check_problem(struct check *c, const char *path, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(c, path, "problem", fmt, ap);
    va_end(ap);
    c->problems++;
}

void check_note(struct check *c, const char *path, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(c, path, "note", fmt, ap);
    va_end(ap);
    c->notes++;
}

struct run {
    struct reactor *r;
    struct check c;
    bool done;
    int status;
};

static void report(const struct check *c)
{
    static const char *const left[] = {
        [STORE_EMPTY] = "empty",
        [STORE_CLEAN] = "cleanly stopped",
        [STORE_OURS] =
            "not cleanly stopped: the journal holds what segments lack, the next start completes them",
        [STORE_UPSTREAM] =
            "not cleanly stopped by Kafka: the next start cuts each log behind its last sound batch"};
    printf("%s: %s\n", c->dir, left[c->kind]);
    printf("%" PRIu64 " partitions, %" PRIu64 " segments, %" PRIu64 " indexes, %" PRIu64 " batches, %" PRIu64
           " records, %" PRIu64 " bytes\n",
           c->partitions, c->segments, c->indexes, c->batches, c->records, c->bytes);
    printf("%" PRIu64 " problems, %" PRIu64 " repaired, %" PRIu64 " notes\n", c->problems, c->repaired,
           c->notes);
}

static void check_fiber(void *arg)
{
    struct run *run = arg;
    struct check *c = &run->c;
    struct io_stat st;
    char err[900] = "";
    int rc = fio_stat(c->dir, &st);
    if (rc || !st.is_dir) { // store_open would make it
        fprintf(stderr, "%s: %s\n", c->dir, rc ? strerror(-rc) : "not a directory");
        run->status = 2;
        run->done = true;
        return;
    }
    c->store = store_open(run->r, c->dir, LOCK_WAIT_MS, err, sizeof(err), &rc);
    if (!c->store) {
        fprintf(stderr, "%s%s\n", err, rc == -EAGAIN ? " (a running broker's directory is not checked)" : "");
        run->status = 2;
        run->done = true;
        return;
    }
    c->kind = store_kind(c->store);
    rc = store_read_journals(c->store, err, sizeof(err));
    if (rc)
        check_problem(c, c->dir, "the journals cannot be replayed: %s", err);
    check_directory(c);
    report(c);
    store_close(c->store);
    run->status = c->problems > c->repaired ? 1 : 0;
    run->done = true;
}

static int check_one(const char *dir, bool repair)
{
    char err[512] = "";
    struct uring_config uc = {.entries = 64};
    struct io *io = uring_create(&uc, err, sizeof(err));
    if (!io) {
        fprintf(stderr, "sluice log check: %s\n", err);
        return 2;
    }
    struct metrics *m = metrics_create(1);
    struct reactor_group *g = m ? reactor_group_create(1, &io, 8, m) : NULL;
    struct run run = {
        .r = g ? reactor_group_get(g, 0) : NULL, .c = {.dir = dir, .repair = repair}, .status = 2};
    if (g && fiber_spawn(run.r, check_fiber, &run, CHECK_STACK))
        reactor_run_until(run.r, &run.done);
    else
        fputs("sluice log check: out of memory\n", stderr);
    if (g)
        reactor_group_destroy(g);
    metrics_destroy(m);
    io_destroy(io);
    return run.status;
}

int log_command_check(int argc, char **argv)
{
    int status = 0, dirs = 0;
    bool repair = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--repair") == 0)
            repair = true;
        else if (argv[i][0] == '-')
            return log_usage();
        else
            dirs++;
    }
    if (!dirs)
        return log_usage();
    sl_log_set_level(SL_WARN);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            continue;
        int one = check_one(argv[i], repair);
        status = SL_MAX(status, one);
    }
    return status;
}
