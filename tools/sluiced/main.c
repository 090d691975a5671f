// sluiced: the broker daemon. Reads the configuration, probes the kernel, builds one io per reactor, runs the broker.
#include "engine/base/config.h"
#include "engine/base/log.h"
#include "engine/io/uring/uring.h"
#include "tools/broker/broker.h"

#include <argp.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

const char *argp_program_version = "sluiced " SLUICE_VERSION;

enum { KEY_SET = 's', KEY_CONFIG = 'c', KEY_PRINT = 0x100, KEY_LEVEL, KEY_METRICS };

struct args {
    struct config *cfg;
    bool print, metrics;
    char err[1024];
};

static const struct argp_option OPTIONS[] = {
    {"config", KEY_CONFIG, "FILE", 0, "Read a server.properties file", 0},
    {"set", KEY_SET, "KEY=VALUE", 0, "Set one key; wins over the file", 0},
    {"print-config", KEY_PRINT, NULL, 0, "Print the configuration in force and exit", 0},
    {"metrics", KEY_METRICS, NULL, 0, "Print all counters to standard output after the stop", 0},
    {"log-level", KEY_LEVEL, "LEVEL", 0, "debug, info (default), warn or error", 0},
    {0}};

static error_t set_level(struct argp_state *state, const char *arg)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    static const int levels[] = {SL_DEBUG, SL_INFO, SL_WARN, SL_ERROR};
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++)
        if (!strcmp(arg, names[i])) {
            sl_log_set_level(levels[i]);
            return 0;
        }
    argp_error(state, "--log-level %s: allowed are debug, info, warn, error", arg);
    return EINVAL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    int rc = 0;
    switch (key) {
    case KEY_CONFIG:
        rc = config_load_file(a->cfg, arg, a->err, sizeof(a->err));
        break;
    case KEY_SET:
        rc = config_set_pair(a->cfg, arg, CFG_FROM_COMMAND_LINE, a->err, sizeof(a->err));
        break;
    case KEY_PRINT:
        a->print = true;
        break;
    case KEY_METRICS:
        a->metrics = true;
        break;
    case KEY_LEVEL:
        return set_level(state, arg);
    case ARGP_KEY_ARG: // upstream's start script takes the file as an argument
        rc = config_load_file(a->cfg, arg, a->err, sizeof(a->err));
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (rc) {
        fprintf(stderr, "sluiced: %s\n", a->err);
        exit(2);
    }
    return 0;
}

// ---- one io per reactor ------------------------------------------------------------------------------------------------
static uint32_t reactor_count_wanted(const struct config *cfg)
{
    int64_t n = cfg_int(cfg, CFG_SLUICE_REACTORS);
    cpu_set_t set;
    if (n == 0 && sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    n = n < 1 ? 1 : n;
    return (uint32_t)SL_MIN(n, (int64_t)REACTOR_MAX);
}

// Descriptors: one per connection, one per open segment. As many as the system lets us have.
static void raise_limits(void)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }
}

static int make_ios(struct io **ios, uint32_t n)
{
    struct uring_probe probe;
    char err[512];
    if (uring_probe(&probe)) {
        fprintf(stderr, "sluiced: %s\n", probe.why);
        return -1;
    }
    sl_log(SL_INFO, "io", "%s", probe.line);
    for (uint32_t i = 0; i < n; i++) {
        struct uring_config uc = {.entries = 1024, .recv_buffers = 256, .recv_size = 16384, .sockets = 8192};
        ios[i] = uring_create(&uc, err, sizeof(err));
        if (!ios[i]) {
            fprintf(stderr, "sluiced: %s\n", err);
            return -1;
        }
    }
    return 0;
}

// ---- signals -------------------------------------------------------------------------------------------------------------
static struct reactor_group *the_group;

static void on_signal(int sig)
{
    (void)sig;
    reactor_group_stop(the_group);
}

static void catch_signals(struct reactor_group *g)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    the_group = g;
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

// Before any thread is pinned. The broker does without it.
static struct prefault *start_prefault(void)
{
    struct prefault *f = prefault_create();
    int rc = f ? prefault_start(f) : -ENOMEM;
    if (!rc)
        return f;
    sl_log(SL_WARN, "broker", "no thread to get memory ready: %s", strerror(-rc));
    prefault_destroy(f);
    return NULL;
}

static int run(const struct config *cfg, uint32_t n, struct io **ios, struct metrics *metrics,
               struct prefault *prefault)
{
    const char *text = "";
    struct broker *b = broker_create(cfg, n, ios, metrics);
    if (b)
        broker_set_prefault(b, prefault);
    if (!b || broker_boot(b)) {
        fprintf(stderr, "sluiced: out of memory\n");
        return 1;
    }
    struct reactor *first = reactor_group_get(broker_group(b), 0);
    reactor_run_until(first, broker_booted(b));
    int refused = broker_error(b, &text);
    if (refused) {
        fprintf(stderr, "sluiced: %s\n", text);
        if (refused == -EUCLEAN)
            fputs("sluiced: acknowledged records are at stake; docs/OPERATIONS.md, \"Going on after "
                  "damage\", says what to do\n",
                  stderr);
        // Half of a broker is there, and fibers hold parts of it: the process's end is its end.
        fflush(NULL);
        _exit(1);
    }
    catch_signals(broker_group(b));
    int rc = reactor_group_run(broker_group(b), cfg_bool(cfg, CFG_SLUICE_PIN_CORES));
    if (!rc && !broker_finish(b))
        reactor_run_until(first, broker_finished(b));
    rc = broker_error(b, &text) ? 1 : 0;
    broker_destroy(b);
    return rc;
}

static void print_metrics(struct metrics *metrics, uint32_t n)
{
    struct metrics *sum = metrics_create(1);
    struct sbuf text;
    sbuf_init(&text);
    if (sum) {
        metrics_snapshot(metrics, n, sum);
        metrics_print(sum, &text);
    }
    fputs(sbuf_cstr(&text), stdout);
    sbuf_free(&text);
    metrics_destroy(sum);
}

int main(int argc, char **argv)
{
    struct args a = {.cfg = config_new()};
    const struct argp argp = {OPTIONS, parse, "[server.properties]", "A Kafka broker on io_uring.", NULL,
                              NULL,    NULL};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (config_finish(a.cfg, a.err, sizeof(a.err))) {
        fprintf(stderr, "sluiced: %s\n", a.err);
        return 2;
    }
    if (a.print) {
        config_print(a.cfg, stdout);
        config_free(a.cfg);
        return 0;
    }
    const char *notice;
    for (size_t i = 0; (notice = config_notice(a.cfg, i)); i++)
        sl_log(SL_INFO, "config", "%s", notice);
    raise_limits();
    struct io *ios[REACTOR_MAX] = {0};
    uint32_t n = reactor_count_wanted(a.cfg);
    struct metrics *metrics = metrics_create(n);
    int rc = 1;
    if (!make_ios(ios, n)) {
        struct prefault *prefault = start_prefault();
        rc = run(a.cfg, n, ios, metrics, prefault);
        prefault_destroy(prefault);
    }
    if (a.metrics)
        print_metrics(metrics, n);
    for (uint32_t i = 0; i < n; i++)
        if (ios[i])
            io_destroy(ios[i]);
    metrics_destroy(metrics);
    config_free(a.cfg);
    return rc;
}
