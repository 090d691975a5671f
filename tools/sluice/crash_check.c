/* sluice crash-check: does this disk, with this kernel and this broker, keep what was acknowledged? See crash_check.h.
 *
 * A kill ends the process, not the machine: what the disk has not stored yet is not lost by it. The report says so, and
 * what the directory's file system is. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "tools/sluice/command.h"
#include "tools/sluice/crash_check.h"

enum {
    KEY_ROUNDS = 'r',
    KEY_SECONDS = 't',
    KEY_PARTITIONS = 'p',
    KEY_BATCH = 'b',
    KEY_DIRS = 'd',
    KEY_SET = 's',
    KEY_SEED = 'S'
};
enum { KEY_SLUICED = 0x100, ROUNDS_MAX = 100000, SETS_MAX = 64, BATCH_MIN = 64, BATCH_MAX = 900 << 10 };

static const struct argp_option OPTIONS[] = {
    {"rounds", KEY_ROUNDS, "N", 0, "Kills (20)", 0},
    {"seconds", KEY_SECONDS, "S", 0, "Load before a kill: random, at most this long (2)", 0},
    {"partitions", KEY_PARTITIONS, "N", 0, "Partitions, and producers (8)", 0},
    {"batch", KEY_BATCH, "BYTES", 0, "Largest batch; most are smaller (262144)", 0},
    {"dirs", KEY_DIRS, "N", 0, "Log directories, side by side (1)", 0},
    {"set", KEY_SET, "KEY=VALUE", 0, "A setting of the broker (repeatable)", 0},
    {"seed", KEY_SEED, "N", 0, "Of sizes and moments (the clock)", 0},
    {"sluiced", KEY_SLUICED, "FILE", 0, "The broker's program (beside this one)", 0},
    {0}};

static double number(struct argp_state *state, const char *name, const char *arg, double lo, double hi)
{
    char *end;
    double v = strtod(arg, &end);
    if (*end || end == arg || !(v >= lo && v <= hi))
        argp_error(state, "--%s=%s: must be a number from %g to %g", name, arg, lo, hi);
    return v;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct crash_options *o = state->input;
    switch (key) {
    case KEY_ROUNDS:
        o->rounds = (int)number(state, "rounds", arg, 1, ROUNDS_MAX);
        return 0;
    case KEY_SECONDS:
        o->seconds = number(state, "seconds", arg, 0.05, 3600);
        return 0;
    case KEY_PARTITIONS:
        o->partitions = (int)number(state, "partitions", arg, 1, CRASH_PARTITIONS_MAX);
        return 0;
    case KEY_BATCH:
        o->max_batch = (int)number(state, "batch", arg, BATCH_MIN, BATCH_MAX);
        return 0;
    case KEY_DIRS:
        o->dirs = (int)number(state, "dirs", arg, 1, CRASH_DIRS_MAX);
        return 0;
    case KEY_SEED:
        o->seed = strtoull(arg, NULL, 10);
        return 0;
    case KEY_SLUICED:
        o->sluiced = arg;
        return 0;
    case KEY_SET:
        if (o->sets_n == SETS_MAX)
            argp_error(state, "--set: at most %d", SETS_MAX);
        o->sets[o->sets_n++] = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->dir)
            argp_usage(state);
        o->dir = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

struct figures {
    int done;
    int64_t starts[3]; /* ms: sum, most, number */
    uint64_t begin;
};

static void pause_random(struct sl_rand *rand, double seconds)
{
    double s = 0.02 + seconds * (double)sl_rand_below(rand, 1000000) / 1e6;
    struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};
    nanosleep(&t, NULL);
}

static bool is_sound(const struct crash_run *run)
{
    for (int i = 0; i < run->o->partitions; i++) {
        if (run->producers[i].error[0])
            return false;
    }
    return !run->lost && !run->changed && !run->doubled && !run->unreadable;
}

/* Load, kill, start, compare. 0, or -errno: it could not be done. */
static int one_round(struct crash_run *run, struct sl_rand *rand, struct figures *f)
{
    int rc = crash_load_start(run);
    if (rc)
        return rc;
    pause_random(rand, run->o->seconds);
    crash_broker_kill(run);
    crash_load_join(run);
    int64_t ms = crash_broker_start(run);
    if (ms < 0)
        return (int)ms;
    f->starts[0] += ms;
    f->starts[1] = SL_MAX(f->starts[1], ms);
    f->starts[2]++;
    rc = crash_load_settle(run);
    return rc ? rc : crash_verify(run);
}

static void report(const struct crash_run *run, const struct figures *f)
{
    struct utsname u;
    struct statfs fs;
    uint64_t records = 0, batches = 0;
    for (int i = 0; i < run->o->partitions; i++) {
        const struct crash_producer *p = &run->producers[i];
        records += (uint64_t)p->ledger.next;
        batches += p->ledger.n;
        if (p->error[0])
            printf("WRONG: partition %d: %s\n", p->partition, p->error);
    }
    printf("\nsluice crash-check %s\n", SLUICE_VERSION);
    if (!uname(&u) && !statfs(run->data, &fs))
        printf("  machine       %s %s, file system type 0x%lx at %s\n", u.sysname, u.release, (long)fs.f_type,
               run->o->dir);
    printf("  load          %d partitions, one idempotent producer each, acks=all, batches up to %d bytes, "
           "seed %llu\n",
           run->o->partitions, run->o->max_batch, (unsigned long long)run->o->seed);
    printf("  kills         %d of %d (SIGKILL at random moments within %.2g s of load)\n", f->done,
           run->o->rounds, run->o->seconds);
    printf("  acknowledged  %llu batches, %llu records\n", (unsigned long long)batches,
           (unsigned long long)records);
    printf("  read back     %llu batches, %llu bytes, all of it after each kill\n",
           (unsigned long long)run->batches_read, (unsigned long long)run->bytes_read);
    printf("  lost %llu, changed %llu, doubled %llu, unreadable %llu\n", (unsigned long long)run->lost,
           (unsigned long long)run->changed, (unsigned long long)run->doubled,
           (unsigned long long)run->unreadable);
    if (f->starts[2])
        printf("  restart       %lld ms on average, %lld ms at most, from exec to serving\n",
               (long long)(f->starts[0] / f->starts[2]), (long long)f->starts[1]);
    printf("  verdict       %s\n", is_sound(run) ? "everything acknowledged was there, once, in order"
                                                 : "NOT EVERYTHING THAT WAS ACKNOWLEDGED WAS THERE");
    printf("A kill does not take the disk's power: whether the disk stores what it says it stored, only "
           "pulling the\n"
           "plug shows. %s/broker.log is the broker's log.\n",
           run->data);
}

static int run_all(struct crash_run *run)
{
    struct figures f = {0};
    struct sl_rand rand;
    sl_rand_seed(&rand, run->o->seed);
    for (int i = 0; i < run->o->partitions; i++) {
        struct crash_producer *p = &run->producers[i];
        *p = (struct crash_producer){.run = run, .partition = i, .producer_id = -1};
        crash_wire_init(&p->wire);
        sl_rand_seed(&p->rand, run->o->seed * 1000003 + (uint64_t)i + 1);
    }
    int64_t ms = crash_broker_start(run);
    int rc = ms < 0 ? (int)ms : crash_create_topic(run);
    while (!rc && f.done < run->o->rounds && is_sound(run)) {
        rc = one_round(run, &rand, &f);
        f.done += !rc;
        printf("\rkill %d of %d", f.done, run->o->rounds);
        fflush(stdout);
    }
    printf("\n");
    if (rc)
        fprintf(stderr, "sluice crash-check: %s; see %s/broker.log\n",
                rc == -ECHILD ? "the broker did not start" : strerror(-rc), run->data);
    report(run, &f);
    int status = crash_broker_stop(run);
    if (!rc && status)
        printf("the last, clean stop ended with status %d\n", status);
    return rc || status ? 2 : is_sound(run) ? 0 : 1;
}

/* The broker's program: beside this one. */
static const char *beside(char *out, size_t cap)
{
    ssize_t n = readlink("/proc/self/exe", out, cap - 1);
    out[n > 0 ? n : 0] = 0;
    char *slash = strrchr(out, '/');
    if (slash)
        snprintf(slash + 1, cap - (size_t)(slash + 1 - out), "sluiced");
    return out;
}

int command_crash_check(int argc, char **argv)
{
    static const struct argp argp = {OPTIONS,
                                     parse,
                                     "DIRECTORY",
                                     "Produces to a broker of its own with its data below DIRECTORY, kills "
                                     "it again and again, and verifies that every "
                                     "acknowledged record is there, once and in order. Exit status: 0 it "
                                     "was, 1 it was not, 2 it could not be told.",
                                     NULL,
                                     NULL,
                                     NULL};
    const char *sets[SETS_MAX];
    char program[1024];
    struct crash_options o = {
        .rounds = 20, .seconds = 2, .partitions = 8, .dirs = 1, .max_batch = 256 << 10, .sets = sets};
    struct crash_run run = {.o = &o};
    o.seed = (uint64_t)time(NULL);
    if (argp_parse(&argp, argc, argv, 0, NULL, &o))
        return 2;
    if (!o.sluiced)
        o.sluiced = beside(program, sizeof(program));
    snprintf(run.data, sizeof(run.data), "%.900s/sluice-crash-check-%d", o.dir, (int)getpid());
    if (mkdir(run.data, 0700)) {
        fprintf(stderr, "sluice crash-check: %s: %s\n", run.data, strerror(errno));
        return 2;
    }
    run.producers = calloc((size_t)o.partitions, sizeof(*run.producers));
    if (!run.producers)
        return 2;
    int status = run_all(&run);
    for (int i = 0; i < o.partitions; i++) {
        crash_wire_free(&run.producers[i].wire);
        free(run.producers[i].ledger.acked);
        free(run.producers[i].ledger.open);
    }
    free(run.producers);
    return status;
}
