#include "bench/load/load.h"

#include "bench/load/run.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "engine/io/fiber.h"
#include "engine/io/uring/uring.h"

enum { PREP_MEMORY = 4 << 20 };

struct args {
    struct plan *plan;
    const char *json;
    bool quiet;
    char err[4096];
};

enum { KEY_WORKLOAD = 'w', KEY_JSON = 'j', KEY_QUIET = 'q', KEY_KEYS = 0x100 };

static const struct argp_option OPTIONS[] = {
    {"workload", KEY_WORKLOAD, "FILE", 0, "Read keys from a file; later arguments win", 0},
    {"json", KEY_JSON, "FILE", 0, "Write the whole result as JSON; - is standard output, without the summary",
     0},
    {"quiet", KEY_QUIET, NULL, 0, "No progress line", 0},
    {"keys", KEY_KEYS, NULL, 0, "Print all keys and exit", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    int rc = 0;
    switch (key) {
    case KEY_WORKLOAD:
        rc = plan_load(a->plan, arg, a->err, sizeof(a->err));
        break;
    case KEY_JSON:
        a->json = arg;
        break;
    case KEY_QUIET:
        a->quiet = true;
        break;
    case KEY_KEYS:
        plan_print_keys(stdout);
        exit(0);
    case ARGP_KEY_ARG:
        rc = strchr(arg, '=') ? plan_set_pair(a->plan, arg, a->err, sizeof(a->err))
                              : plan_set_mode(a->plan, arg, a->err, sizeof(a->err));
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (rc) {
        fprintf(stderr, "sluice bench: %s\n", a->err);
        exit(2);
    }
    return 0;
}

// ---- preparing ----------------------------------------------------------------------------------------------------
static bool pack_all(struct run *run, char *err, size_t cap)
{
    struct compress_ctx ctx = {0};
    bool ok = true;
    for (uint32_t i = 0; ok && run->plan->compression && !run->plan->stamp && i < run->preps_n; i++)
        ok = prep_pack(run->preps[i], &ctx, (unsigned)run->plan->compression) == 0;
    compress_ctx_destroy(&ctx);
    if (!ok)
        snprintf(err, cap, "batches cannot be compressed");
    return ok;
}

static bool preps_make(struct run *run, char *err, size_t cap)
{
    const struct plan *p = run->plan;
    struct prep_spec spec = {.key_space = (uint64_t)p->keys,
                             .batch_bytes = (uint32_t)p->batch_bytes,
                             .compressible = (uint32_t)p->compressible};
    if (prep_parse_sizes(p->record_bytes, &spec.values) || prep_parse_sizes(p->key_bytes, &spec.keys)) {
        snprintf(err, cap,
                 "record.bytes=%s key.bytes=%s: must be N, N-M, or N:weight,N-M:weight,... up to 16m",
                 p->record_bytes, p->key_bytes);
        return false;
    }
    for (uint32_t i = 0; i < spec.values.n; i++) {
        if (p->stamp && spec.values.lo[i] < PREP_STAMP_SIZE) {
            snprintf(err, cap, "stamp=1 needs record.bytes of at least %d", PREP_STAMP_SIZE);
            return false;
        }
    }
    uint32_t n = (uint32_t)SL_MIN(SL_MAX((int64_t)PREP_MEMORY / p->batch_bytes, 2), (int64_t)RUN_PREPS_MAX);
    for (run->preps_n = 0; p->producers && run->preps_n < n; run->preps_n++) {
        spec.seed = (uint64_t)p->seed * 1000 + run->preps_n;
        run->preps[run->preps_n] = prep_make(&spec);
        SL_ASSERT(run->preps[run->preps_n]);
        run->max_n = SL_MAX(run->max_n, run->preps[run->preps_n]->max_n);
    }
    return pack_all(run, err, cap);
}

static int make_ios(struct io **ios, uint32_t n)
{
    char err[512];
    for (uint32_t i = 0; i < n; i++) {
        struct uring_config uc = {.entries = 1024, .sockets = 16384};
        ios[i] = uring_create(&uc, err, sizeof(err));
        if (!ios[i]) {
            fprintf(stderr, "sluice bench: %s\n", err);
            return -1;
        }
    }
    return 0;
}

static void raise_limits(void)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }
    prctl(PR_SET_TIMERSLACK, 1000); // 1 us instead of 50: records come due by the clock
}

// ---- running ------------------------------------------------------------------------------------------------------
static int write_json(const struct conduct *c, const char *path)
{
    struct sbuf b;
    FILE *f = strcmp(path, "-") ? fopen(path, "w") : stdout;
    if (!f) {
        perror(path);
        return 1;
    }
    sbuf_init(&b);
    report_json(c, &b);
    fputs(sbuf_cstr(&b), f);
    sbuf_free(&b);
    return (f == stdout ? fflush(f) : fclose(f)) ? 1 : 0;
}

static int finish(struct conduct *c, const struct args *a)
{
    int rc = 0;
    if (a->json)
        rc = write_json(c, a->json);
    if (!a->json || strcmp(a->json, "-"))
        report_text(c, stdout);
    return rc || stats_faults(&c->total) || stats_faults(&c->drained) ? 1 : 0;
}

static int run_load(struct run *run, const struct args *a)
{
    struct conduct *c = calloc(1, sizeof(*c));
    struct reactor *first = reactor_group_get(run->group, 0);
    uint32_t threads = (uint32_t)run->plan->threads;
    SL_ASSERT(c && fiber_spawn(first, control_fiber, run, 512 << 10));
    c->run = run;
    c->quiet = a->quiet;
    reactor_run_until(first, &run->ready);
    int rc = 1;
    if (run->error[0]) {
        fprintf(stderr, "sluice bench: %s\n", run->error);
    } else {
        for (uint32_t i = 0; i < threads; i++)
            run->workers[i] = worker_create(run, i);
        SL_ASSERT(fiber_spawn(first, conduct_fiber, c, 512 << 10));
        rc = reactor_group_run(run->group, false) ? 1 : finish(c, a);
        for (uint32_t i = 0; i < threads; i++)
            worker_destroy(run->workers[i]);
    }
    free(c->rows);
    free(c);
    return rc;
}

int load_main(int argc, char **argv)
{
    static const struct argp argp = {
        OPTIONS,
        parse,
        "[MODE] [KEY=VALUE...]",
        "Puts load on a Kafka broker and measures it.\v"
        "Modes, which set keys: produce, consume, e2e, mixed, commit, ramp. `--keys` lists the keys.",
        NULL,
        NULL,
        NULL};
    struct args a = {.plan = plan_new()};
    struct io *ios[RUN_THREADS_MAX] = {0};
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
    struct run run = {.plan = a.plan};
    if (plan_is_ramp(a.plan) && a.plan->rate == 0)
        a.plan->rate = a.plan->ramp_from;
    if (plan_check(a.plan, a.err, sizeof(a.err)) || !preps_make(&run, a.err, sizeof(a.err))) {
        fprintf(stderr, "sluice bench: %s\n", a.err);
        plan_free(a.plan);
        return 2;
    }
    raise_limits();
    uint32_t n = (uint32_t)a.plan->threads;
    int rc = make_ios(ios, n) ? 1 : 0;
    if (!rc) {
        run.group = reactor_group_create(n, ios, 64, NULL);
        SL_ASSERT(run.group);
        rc = run_load(&run, &a);
        reactor_group_destroy(run.group);
    }
    for (uint32_t i = 0; i < n; i++)
        if (ios[i])
            io_destroy(ios[i]);
    for (uint32_t i = 0; i < run.preps_n; i++)
        prep_free(run.preps[i]);
    cluster_free(&run.cluster);
    plan_free(a.plan);
    return rc;
}
