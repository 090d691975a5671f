// sluice-sim: the storage engine in a simulated world, seed by seed.
//
//   sluice-sim --seed N [--verbose] [--trace]     one seed, replayed exactly
//   sluice-sim --seeds A..B [--jobs J]            many; exit 1 at the first that fails, with its number
//   sluice-sim --broker ...                       the whole broker over sockets, not the storage rooms alone
//   sluice-sim --groups ...                       the whole broker, with members of groups
//   sluice-sim --dirs ...                         the whole broker, with two or three log directories, drives of which break
//   sluice-sim --keep-going ...                   does not stop at a failing seed
//   sluice-sim --canary NAME ...                  with one rule broken: exit 0 if a seed notices, 1 if none does
//   sluice-sim --canaries [--seeds A..B]          every canary in turn, each with those seeds at most, or with as many as it
//                                                 is held to
//   sluice-sim --without LIST ...                 leaves parts out: deletes,faults,tight-disk,imitation,kills,cuts,caching,front,keyed
//   sluice-sim --with LIST ...                    every seed has them: faults,tight-disk,imitation,caching,direct,keyed
//   sluice-sim --replay-check ...                 runs every seed twice and compares the hashes of all events
//
// Each seed runs in a process of its own: a crash is that seed's failure, and what a killed life leaves in memory goes.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "tests/sim/run.h"

enum { MAX_JOBS = 64, SEED_SECONDS = 120 };

struct options {
    uint64_t from, to;
    uint32_t jobs;
    bool broker, groups, several, verbose, trace, replay_check, canaries, keep_going;
    bool ranged; // seeds were given
    enum sl_canary canary;
    uint32_t without, with;
};

struct job {
    pid_t pid;
    uint64_t seed;
    struct totals *sum; // shared with the child
};

static void silent(void *ctx, enum sl_log_level level, const char *line, size_t len)
{
    (void)ctx;
    (void)level;
    (void)line;
    (void)len;
}

static void child(const struct options *o, uint64_t seed, struct totals *sum)
{
    // Of the processor: how busy the machine is says nothing of the seed.
    struct rlimit cpu = {.rlim_cur = SEED_SECONDS, .rlim_max = SEED_SECONDS + 5};
    (void)setrlimit(RLIMIT_CPU, &cpu);
    if (!o->verbose)
        sl_log_set_sink(silent, NULL);
    if (o->canary != SL_CANARY_NONE && !o->verbose && !freopen("/dev/null", "w", stderr))
        _exit(2);
    struct run r = {.seed = seed,
                    .verbose = o->verbose,
                    .trace = o->trace,
                    .broker = o->broker,
                    .groups = o->groups,
                    .several = o->several,
                    .without = o->without,
                    .with = o->with,
                    .sum = sum};
    scenario_run(&r);
    _exit(0);
}

static void start(struct job *j, const struct options *o, uint64_t seed)
{
    j->seed = seed;
    memset(j->sum, 0, sizeof(*j->sum));
    fflush(NULL);
    j->pid = fork();
    if (j->pid < 0) {
        perror("fork");
        exit(2);
    }
    if (j->pid == 0)
        child(o, seed, j->sum);
}

static void add(struct totals *a, const struct totals *b)
{
    uint64_t *x = (uint64_t *)a;
    const uint64_t *y = (const uint64_t *)b;
    for (size_t k = 0; k < sizeof(*a) / sizeof(*x); k++)
        x[k] += y[k];
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say_died(const struct job *j, int status, bool quiet)
{
    if (quiet)
        return;
    if (WIFSIGNALED(status))
        fprintf(stderr, "FAILED seed=%" PRIu64 ": signal %d%s\n", j->seed, WTERMSIG(status),
                WTERMSIG(status) == SIGXCPU ? " (too slow)" : "");
    fprintf(stderr, "to see it: sluice-sim --seed %" PRIu64 " --verbose --trace\n", j->seed);
}

static struct job *slot(struct job *jobs, uint32_t n, pid_t pid)
{
    for (uint32_t k = 0; k < n; k++)
        if (jobs[k].pid == pid)
            return &jobs[k];
    return NULL;
}

static uint64_t failing; // seeds of the last play

// Returns a failing seed, 0 if there was none: the first to end, or the last when it keeps going. Seeds run, in *ran.
static uint64_t play(const struct options *o, struct totals *sum, uint64_t *ran)
{
    struct job jobs[MAX_JOBS];
    struct totals *shared =
        mmap(NULL, sizeof(*shared) * MAX_JOBS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        exit(2);
    for (uint32_t k = 0; k < MAX_JOBS; k++)
        jobs[k] = (struct job){.sum = &shared[k]};
    uint64_t next = o->from, bad = 0;
    uint32_t running = 0;
    *ran = failing = 0;
    while (running || (next <= o->to && (!bad || o->keep_going))) {
        struct job *j;
        while (running < o->jobs && next <= o->to && (!bad || o->keep_going) &&
               (j = slot(jobs, o->jobs, 0))) {
            start(j, o, next++);
            running++;
        }
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        j = slot(jobs, o->jobs, pid);
        if (!j)
            continue;
        running--;
        j->pid = 0;
        ++*ran;
        add(sum, j->sum);
        if (status && (!bad || o->keep_going)) {
            bad = j->seed;
            failing++;
            say_died(j, status, o->canary != SL_CANARY_NONE && !o->verbose);
        }
    }
    munmap(shared, sizeof(*shared) * MAX_JOBS);
    return bad;
}

static void summary(const struct totals *s, uint64_t seeds, double took)
{
    printf("seeds %" PRIu64 ", %.1f s; simulated %.2f h; lives %" PRIu64 ": clean stops %" PRIu64
           ", kills %" PRIu64 ", power cuts %" PRIu64 ", ended while starting %" PRIu64 "\n",
           seeds, took, (double)s->virtual_ns / 3600e9, s->lives, s->clean_stops, s->kills, s->power_cuts,
           s->boots_broken);
    printf("batches acknowledged %" PRIu64 " (%" PRIu64 " records, %" PRIu64 " MiB), read %" PRIu64
           ", duplicates %" PRIu64 " (forgotten %" PRIu64 "); topics created %" PRIu64 ", deleted %" PRIu64
           "; records deleted %" PRIu64 " times, log starts moved %" PRIu64
           "; records seen to be gone by compaction %" PRIu64 "\n",
           s->batches_acked, s->records_acked, s->bytes_acked >> 20, s->batches_read, s->duplicates,
           s->forgotten, s->creates, s->deletes, s->trims, s->starts, s->compacted);
    printf("full disks that healed %" PRIu64 ", files of earlier lives that came back %" PRIu64
           ", rot refused %" PRIu64 ", spare files left by crashes %" PRIu64 "; faults %" PRIu64
           ", late writes %" PRIu64 ", sectors lost %" PRIu64 ", torn %" PRIu64
           ", writes from changing buffers %" PRIu64 "; events %" PRIu64 "\n",
           s->heals, s->strays, s->refused, s->spares, s->faults, s->late_writes, s->lost_sectors,
           s->garbage_sectors, s->unstable_writes, s->events);
    if (s->meta_trims)
        printf("metadata logs cut behind a snapshot at the end %" PRIu64 "\n", s->meta_trims);
    if (s->drives_broken)
        printf("drives that broke under a broker with others %" PRIu64 "\n", s->drives_broken);
    if (s->joins)
        printf("members of consumer groups: joined %" PRIu64 " times, thrown out %" PRIu64
               ", began anew %" PRIu64 "\n",
               s->joins, s->fenced, s->switches);
}

static int run_seeds(const struct options *o)
{
    struct totals sum = {0}, twice = {0};
    uint64_t ran;
    double t0 = seconds();
    uint64_t bad = play(o, &sum, &ran);
    summary(&sum, ran, seconds() - t0);
    if (bad)
        return 1;
    if (!o->replay_check)
        return 0;
    bad = play(o, &twice, &ran);
    if (bad || memcmp(&sum, &twice, sizeof(sum)) != 0) {
        fprintf(stderr, "FAILED: the same seeds gave other events the second time\n");
        return 1;
    }
    printf("the second time all events were the same\n");
    return 0;
}

// ---- canaries ----------------------------------------------------------------------------------------------------------
enum { STORAGE_RULES = 13 };

// What a story must be like for the rule to matter, and within how many seeds it is noticed. The first seed that notices
// moves with every change of the code or of the stories, so there is room.
struct canary_story {
    uint32_t with;
    bool broker, groups, several;
    uint64_t within;
};

static struct canary_story story_of(enum sl_canary c)
{
    switch (c) {
    case SL_CANARY_HELD_ON_FULL_DISK:
        return (struct canary_story){.with = WITHOUT_TIGHT_DISK, .within = 100};
    case SL_CANARY_DIRECT_OVER_BLOCK:
    case SL_CANARY_CONFIRM_EARLY:
    case SL_CANARY_DIRECT_NOT_AWAITED:
    case SL_CANARY_DIRECT_UNNAMED:
        return (struct canary_story){.with = WITHOUT_DIRECT, .within = 200};
    case SL_CANARY_LOCK_NOT_REGISTERED:
    case SL_CANARY_FENCE_LATE:
    case SL_CANARY_REPLAY_WITHOUT_LIFE_ID:
        return (struct canary_story){.within = 1000};
    case SL_CANARY_COMPACT_NEWEST_GOES:
    case SL_CANARY_COMPACT_TOMBSTONE_EARLY:
    case SL_CANARY_COMPACT_FORGETS_SEQUENCE:
    case SL_CANARY_CONVERT_IGNORED:
    case SL_CANARY_ABORTED_NOT_TOLD:
        return (struct canary_story){.with = WITHOUT_KEYED, .within = 200};
    case SL_CANARY_COMPACT_SWAP_UNSYNCED:
        return (struct canary_story){.with = WITHOUT_KEYED, .within = 400};
    case SL_CANARY_CLEAN_TOO_EARLY:
        return (struct canary_story){.with = WITHOUT_KEYED, .within = 1000};
    case SL_CANARY_COORD_ANSWERS_EARLY:
    case SL_CANARY_COORD_NO_FENCE:
    case SL_CANARY_COORD_FORGETS:
    case SL_CANARY_COORD_TWO_OWNERS:
    case SL_CANARY_COORD_NO_EPOCH_FENCE: // only members of groups can notice
        return (struct canary_story){.broker = true, .groups = true, .within = 100};
    case SL_CANARY_DIR_MADE_ANEW:
        return (struct canary_story){.broker = true, .several = true, .within = 100};
    case SL_CANARY_META_CUT_EARLY:
        return (struct canary_story){.broker = true, .within = 200};
    default:
        return (struct canary_story){.within = 400};
    }
}

// True: some seed noticed the broken rule.
static bool run_canary(const struct options *o, enum sl_canary c)
{
    struct canary_story story = story_of(c);
    struct options with = *o;
    struct totals sum = {0};
    uint64_t ran;
    with.canary = sl_canary_active = c;
    with.broker |= story.broker;
    with.groups |= story.groups;
    with.several |= story.several;
    with.with |= story.with;
    if (!o->ranged) {
        with.from = 1;
        with.to = story.within;
    }
    uint64_t bad = play(&with, &sum, &ran);
    sl_canary_active = SL_CANARY_NONE;
    if (bad)
        printf("canary %-24s noticed: %" PRIu64 " of %" PRIu64 " seeds (seed %" PRIu64 ", %" PRIu64
               " at most)\n",
               sl_canary_name(c), failing, ran, bad, with.to);
    else
        printf("canary %-24s NOT noticed in %" PRIu64 " seeds: %s\n", sl_canary_name(c), ran,
               sl_canary_text(c));
    return bad != 0;
}

// Whether some canary's text names rule S`rule`.
static bool rule_has_canary(int rule)
{
    char name[8];
    int n = snprintf(name, sizeof(name), "S%d:", rule);
    for (unsigned c = 1; c < SL_CANARY_COUNT; c++)
        if (strncmp(sl_canary_text((enum sl_canary)c), name, (size_t)n) == 0)
            return true;
    return false;
}

static int run_canaries(const struct options *o)
{
    int missed = 0;
    for (unsigned c = 1; c < SL_CANARY_COUNT; c++)
        missed += !run_canary(o, (enum sl_canary)c);
    for (int rule = 1; rule <= STORAGE_RULES; rule++)
        if (!rule_has_canary(rule)) {
            printf("rule S%d has NO canary\n", rule);
            missed++;
        }
    if (!missed)
        printf("each of the rules S1 to S%d is broken by a canary, and each canary was noticed\n",
               STORAGE_RULES);
    return missed ? 1 : 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: sluice-sim [--seed N | --seeds A..B] [--jobs N] [--verbose] [--trace] [--replay-check]\n"
            "                  [--broker] [--groups] [--dirs] [--without LIST] [--with LIST] [--keep-going]"
            "                  [--canary NAME | --canaries]\ncanaries:\n");
    for (unsigned c = 1; c < SL_CANARY_COUNT; c++)
        fprintf(stderr, "  %-24s %s\n", sl_canary_name((enum sl_canary)c), sl_canary_text((enum sl_canary)c));
    return 2;
}

static bool parse_range(const char *s, struct options *o)
{
    char *end;
    o->from = strtoull(s, &end, 10);
    if (end == s || strncmp(end, "..", 2) != 0)
        return false;
    const char *b = end + 2;
    o->to = strtoull(b, &end, 10);
    o->ranged = true;
    return end != b && *end == 0 && o->to >= o->from;
}

static bool parse_parts(const char *s, uint32_t *parts)
{
    static const char *const names[] = {"deletes", "faults", "tight-disk", "imitation", "kills",
                                        "cuts",    "direct", "caching",    "front",     "keyed"};
    while (*s) {
        size_t n = strcspn(s, ","), k = 0;
        while (k < SL_ARRAY_LEN(names) && (strlen(names[k]) != n || strncmp(names[k], s, n) != 0))
            k++;
        if (k == SL_ARRAY_LEN(names))
            return false;
        *parts |= 1u << k;
        s += n + (s[n] == ',');
    }
    return true;
}

static bool parse(struct options *o, int argc, char **argv)
{
    for (int k = 1; k < argc; k++) {
        const char *a = argv[k], *v = k + 1 < argc ? argv[k + 1] : NULL;
        if (strcmp(a, "--verbose") == 0)
            o->verbose = true;
        else if (strcmp(a, "--trace") == 0)
            o->trace = true;
        else if (strcmp(a, "--replay-check") == 0)
            o->replay_check = true;
        else if (strcmp(a, "--broker") == 0)
            o->broker = true;
        else if (strcmp(a, "--groups") == 0)
            o->broker = o->groups = true;
        else if (strcmp(a, "--dirs") == 0)
            o->broker = o->several = true;
        else if (strcmp(a, "--keep-going") == 0)
            o->keep_going = true;
        else if (strcmp(a, "--canaries") == 0)
            o->canaries = true;
        else if (!v)
            return false;
        else if (strcmp(a, "--seed") == 0 && ++k) {
            o->from = o->to = strtoull(v, NULL, 10);
            o->ranged = true;
        } else if (strcmp(a, "--seeds") == 0 && ++k) {
            if (!parse_range(v, o))
                return false;
        } else if (strcmp(a, "--without") == 0 && ++k) {
            if (!parse_parts(v, &o->without))
                return false;
        } else if (strcmp(a, "--with") == 0 && ++k) {
            if (!parse_parts(v, &o->with))
                return false;
        } else if (strcmp(a, "--jobs") == 0 && ++k)
            o->jobs = (uint32_t)strtoul(v, NULL, 10);
        else if (strcmp(a, "--canary") == 0 && ++k) {
            o->canary = sl_canary_find(v);
            if (o->canary == SL_CANARY_NONE)
                return false;
        } else
            return false;
    }
    return o->jobs >= 1 && o->jobs <= MAX_JOBS;
}

int main(int argc, char **argv)
{
    struct options o = {.from = 1, .to = 100, .jobs = 1};
    if (!parse(&o, argc, argv))
        return usage();
    if (o.canaries)
        return run_canaries(&o);
    if (o.canary != SL_CANARY_NONE)
        return run_canary(&o, o.canary) ? 0 : 1;
    return run_seeds(&o);
}
