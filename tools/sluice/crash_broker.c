/* The broker that crash-check kills: a child process with its log in a file beside its data. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/kerr.h"
#include "proto/gen/api_versions_request.h"
#include "proto/gen/api_versions_response.h"
#include "proto/gen/create_topics_request.h"
#include "proto/gen/create_topics_response.h"
#include "tools/sluice/crash_check.h"

enum { API_VERSIONS = 18, API_CREATE_TOPICS = 19, START_LIMIT_MS = 60000, LOOK_NS = 2 * 1000 * 1000 };
enum { ARGS_FIXED = 8 };

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A port that is free now. */
static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok =
        fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0;
    if (fd >= 0)
        close(fd);
    return ok ? ntohs(a.sin_port) : 0;
}

static void become_broker(struct crash_run *run)
{
    const struct crash_options *o = run->o;
    char listeners[64], dirs[CRASH_DIRS_MAX * 1100], log[1100];
    const char **argv = calloc((size_t)(ARGS_FIXED + 2 * o->sets_n + 1), sizeof(*argv));
    int n = 0;
    if (!argv)
        _exit(127);
    snprintf(listeners, sizeof(listeners), "listeners=PLAINTEXT://127.0.0.1:%u", run->port);
    int at = snprintf(dirs, sizeof(dirs), "log.dirs=%s/data", run->data);
    for (int i = 1; i < o->dirs; i++)
        at += snprintf(dirs + at, sizeof(dirs) - (size_t)at, ",%s/data%d", run->data, i + 1);
    snprintf(log, sizeof(log), "%s/broker.log", run->data);
    argv[n++] = o->sluiced;
    for (int i = 0; i < o->sets_n; i++) {
        argv[n++] = "--set";
        argv[n++] = o->sets[i];
    }
    argv[n++] = "--set";
    argv[n++] = listeners;
    argv[n++] = "--set";
    argv[n++] = dirs;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), none = open("/dev/null", O_RDONLY);
    if (fd < 0 || none < 0 || dup2(none, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(127);
    execv(o->sluiced, (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool is_serving(struct crash_run *run)
{
    struct crash_wire w;
    struct kp_api_versions_request req;
    struct kp_api_versions_response resp;
    kp_api_versions_request_init(&req);
    req.client_software_name = KP_STR_LIT("sluice-crash-check");
    req.client_software_version = KP_STR_LIT(SLUICE_VERSION);
    crash_wire_init(&w);
    bool ok =
        crash_wire_open(&w, run->port, 1000) == 0 && crash_wire_ask(&w, API_VERSIONS, 3, &req, &resp) == 0;
    crash_wire_free(&w);
    return ok;
}

int64_t crash_broker_start(struct crash_run *run)
{
    struct timespec pause = {.tv_nsec = LOOK_NS};
    int64_t begin = now_ms();
    int status;
    if (!run->port)
        run->port = free_port();
    SL_ASSERT(run->broker == 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become_broker(run);
    run->broker = pid;
    while (!is_serving(run)) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            run->broker = 0;
            return -ECHILD;
        }
        if (now_ms() > begin + START_LIMIT_MS)
            return -ETIMEDOUT;
        nanosleep(&pause, NULL);
    }
    return now_ms() - begin;
}

void crash_broker_kill(struct crash_run *run)
{
    int status;
    if (run->broker <= 0)
        return;
    kill(run->broker, SIGKILL);
    waitpid(run->broker, &status, 0);
    run->broker = 0;
}

int crash_broker_stop(struct crash_run *run)
{
    int status = 0;
    if (run->broker <= 0)
        return 0;
    kill(run->broker, SIGTERM);
    waitpid(run->broker, &status, 0);
    run->broker = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int crash_create_topic(struct crash_run *run)
{
    struct crash_wire w;
    struct kp_create_topics_request_creatable_topic topic;
    struct kp_create_topics_request req;
    struct kp_create_topics_response resp;
    kp_create_topics_request_creatable_topic_init(&topic);
    topic.name = KP_STR_LIT(CRASH_TOPIC);
    topic.num_partitions = run->o->partitions;
    topic.replication_factor = 1;
    kp_create_topics_request_init(&req);
    req.topics = &topic;
    req.topics_n = 1;
    crash_wire_init(&w);
    int rc = crash_wire_open(&w, run->port, CRASH_TIMEOUT_MS);
    if (!rc)
        rc = crash_wire_ask(&w, API_CREATE_TOPICS, 5, &req, &resp);
    if (!rc && (resp.topics_n != 1 || resp.topics[0].error_code)) {
        fprintf(stderr, "sluice crash-check: the topic could not be created: %s\n",
                resp.topics_n == 1 ? kerr_name(resp.topics[0].error_code) : "no answer for it");
        rc = -EPROTO;
    }
    crash_wire_free(&w);
    return rc;
}
