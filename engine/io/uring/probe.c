// What this kernel offers, and what to tell a person when it offers too little.

#include "engine/io/uring/uring_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

enum { UP_KERNEL_MAJOR = 6, UP_KERNEL_MINOR = 1 };

static void kernel_version(char *text, size_t cap, unsigned *major, unsigned *minor)
{
    struct utsname un;
    *major = *minor = 0;
    snprintf(text, cap, "unknown");
    if (uname(&un) < 0)
        return;
    snprintf(text, cap, "%.*s", (int)cap - 1, un.release);
    (void)sscanf(un.release, "%u.%u", major, minor);
}

static bool kernel_at_least(unsigned major, unsigned minor)
{
    char text[64];
    unsigned a, b;
    kernel_version(text, sizeof(text), &a, &b);
    return a > major || (a == major && b >= minor);
}

// kernel.io_uring_disabled (6.6 and later), or -1.
static int sysctl_disabled(void)
{
    FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int v = -1;
    if (!f)
        return -1;
    if (fscanf(f, "%d", &v) != 1)
        v = -1;
    fclose(f);
    return v;
}

// ---- words -------------------------------------------------------------------------------------------------------

static void explain_eperm(int disabled, char *out, size_t cap)
{
    const char *seccomp =
        "a seccomp profile forbids io_uring (Docker's and containerd's default profiles do): run the "
        "container with a profile that allows io_uring_setup, io_uring_enter and io_uring_register, "
        "or with --security-opt seccomp=unconfined";
    if (disabled == 2)
        snprintf(out, cap, "io_uring is switched off by sysctl kernel.io_uring_disabled=2: set it to 0");
    else if (disabled == 1)
        snprintf(out, cap,
                 "sysctl kernel.io_uring_disabled=1 allows io_uring only to privileged processes and to the "
                 "group in "
                 "kernel.io_uring_group: set it to 0, or run with that group. If it is allowed, %s",
                 seccomp);
    else
        snprintf(out, cap, "io_uring_setup: not permitted, and kernel.io_uring_disabled is %s: %s",
                 disabled == 0 ? "0" : "not there", seccomp);
}

void up_explain_setup(int err, int disabled, uint64_t memlock, const char *kernel, char *out, size_t cap)
{
    switch (err) {
    case ENOSYS:
        snprintf(out, cap,
                 "kernel %s has no io_uring: Linux %d.%d or later with CONFIG_IO_URING is needed (a sandbox "
                 "such as "
                 "gVisor, or a seccomp profile that answers ENOSYS, looks the same)",
                 kernel, UP_KERNEL_MAJOR, UP_KERNEL_MINOR);
        break;
    case EPERM:
    case EACCES:
        explain_eperm(disabled, out, cap);
        break;
    case ENOMEM:
        snprintf(out, cap,
                 "not enough memory for the rings: the limit on locked memory is %llu KiB (ulimit -l; "
                 "LimitMEMLOCK= in "
                 "systemd, --ulimit memlock=-1 in Docker), or the memory cgroup is full",
                 (unsigned long long)(memlock >> 10));
        break;
    case EMFILE:
    case ENFILE:
        snprintf(out, cap, "io_uring_setup: %s: raise the limit on open files (ulimit -n)", strerror(err));
        break;
    default:
        snprintf(out, cap, "io_uring_setup on kernel %s: %s", kernel, strerror(err));
        break;
    }
}

void up_explain_setup_here(int err, char *out, size_t cap)
{
    char kernel[64];
    unsigned a, b;
    struct rlimit rl = {0};
    kernel_version(kernel, sizeof(kernel), &a, &b);
    (void)getrlimit(RLIMIT_MEMLOCK, &rl);
    up_explain_setup(err, sysctl_disabled(), rl.rlim_cur, kernel, out, cap);
}

// ---- set-up ------------------------------------------------------------------------------------------------------

uint32_t up_setup_skip;

int up_ring_setup(struct io_uring *ring, uint32_t entries, uint32_t cq_entries, uint32_t *flags)
{
    const uint32_t base =
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
    // Best first. TASKRUN_FLAG lets a poll see without a system call that completions wait in the kernel.
    const uint32_t tries[] = {
        base | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        base | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        base,
    };
    int rc = -EINVAL;
    for (size_t i = up_setup_skip; i < SL_ARRAY_LEN(tries) && rc == -EINVAL; i++) {
        struct io_uring_params p = {.flags = tries[i], .cq_entries = cq_entries};
        rc = io_uring_queue_init_params(entries, ring, &p);
        *flags = tries[i];
    }
    return rc;
}

uint32_t up_features_of(struct io_uring *ring)
{
    static const struct {
        uint8_t op;
        uint32_t feature;
    } ops[] = {{IORING_OP_MSG_RING, UP_MSG_RING},
               {IORING_OP_SEND_ZC, UP_SEND_ZC | UP_RECV_MULTI | UP_PBUF_RING | UP_SPARSE_BUFS},
               {IORING_OP_SENDMSG_ZC, UP_SENDMSG_ZC},
               {UC_OP_FTRUNCATE, UP_FTRUNCATE}};
    struct io_uring_probe *p = io_uring_get_probe_ring(ring);
    uint32_t f = 0;
    if (!p)
        return 0;
    // SEND_ZC came with 6.0, as multishot receive did; buffer rings and sparse tables are from 5.19.
    for (size_t i = 0; i < SL_ARRAY_LEN(ops); i++)
        f |= io_uring_opcode_supported(p, ops[i].op) ? ops[i].feature : 0;
    io_uring_free_probe(p);
    if ((f & UP_SEND_ZC) && kernel_at_least(6, 2))
        f |= UP_ZC_REPORT;
    return f;
}

static const struct {
    uint32_t feature;
    const char *name;
    bool required;
} feature_names[] = {
    {UP_DEFER_TASKRUN, "defer_taskrun", false},
    {UP_MSG_RING, "msg_ring", false},
    {UP_PBUF_RING, "buffer_ring", true},
    {UP_RECV_MULTI, "recv_multishot", true},
    {UP_SEND_ZC, "send_zc", false},
    {UP_SENDMSG_ZC, "sendmsg_zc", false},
    {UP_ZC_REPORT, "zc_report", false},
    {UP_SPARSE_BUFS, "sparse_buffers", false},
    {UP_FTRUNCATE, "ftruncate", false},
};

static const uint8_t ops_required[] = {
    IORING_OP_READ,    IORING_OP_WRITE,    IORING_OP_WRITEV,   IORING_OP_READ_FIXED,   IORING_OP_WRITE_FIXED,
    IORING_OP_FSYNC,   IORING_OP_OPENAT,   IORING_OP_CLOSE,    IORING_OP_STATX,        IORING_OP_FALLOCATE,
    IORING_OP_MKDIRAT, IORING_OP_RENAMEAT, IORING_OP_UNLINKAT, IORING_OP_ACCEPT,       IORING_OP_CONNECT,
    IORING_OP_RECV,    IORING_OP_SEND,     IORING_OP_SENDMSG,  IORING_OP_ASYNC_CANCEL,
};

// A required opcode that is missing, or -1.
static int op_missing(struct io_uring *ring)
{
    struct io_uring_probe *p = io_uring_get_probe_ring(ring);
    int missing = p ? -1 : IORING_OP_NOP;
    for (size_t i = 0; p && missing < 0 && i < SL_ARRAY_LEN(ops_required); i++) {
        if (!io_uring_opcode_supported(p, ops_required[i]))
            missing = ops_required[i];
    }
    if (p)
        io_uring_free_probe(p);
    return missing;
}

// The line for the log, and the verdict on what is required.
static int probe_describe(struct uring_probe *p, int missing)
{
    int n = snprintf(p->line, sizeof(p->line), "io_uring on kernel %s:", p->kernel);
    for (size_t i = 0; i < SL_ARRAY_LEN(feature_names); i++) {
        bool has = p->features & feature_names[i].feature;
        n += snprintf(p->line + n, sizeof(p->line) - (size_t)n, " %s=%s", feature_names[i].name,
                      has ? "yes" : "no");
        if (!has && feature_names[i].required)
            snprintf(p->why, sizeof(p->why), "io_uring on kernel %s lacks %s: Linux %d.%d or later is needed",
                     p->kernel, feature_names[i].name, UP_KERNEL_MAJOR, UP_KERNEL_MINOR);
    }
    if (missing >= 0)
        snprintf(p->why, sizeof(p->why),
                 "io_uring on kernel %s lacks operation %d: Linux %d.%d or later is needed", p->kernel,
                 missing, UP_KERNEL_MAJOR, UP_KERNEL_MINOR);
    return p->why[0] ? -EOPNOTSUPP : 0;
}

int uring_probe(struct uring_probe *p)
{
    unsigned major, minor;
    struct io_uring ring;
    uint32_t flags;
    memset(p, 0, sizeof(*p));
    kernel_version(p->kernel, sizeof(p->kernel), &major, &minor);
    int rc = up_ring_setup(&ring, 8, 64, &flags);
    if (rc < 0) {
        up_explain_setup_here(-rc, p->why, sizeof(p->why));
        return rc;
    }
    p->features = up_features_of(&ring) | (flags & IORING_SETUP_DEFER_TASKRUN ? UP_DEFER_TASKRUN : 0u);
    int missing = op_missing(&ring);
    io_uring_queue_exit(&ring);
    if (major < UP_KERNEL_MAJOR || (major == UP_KERNEL_MAJOR && minor < UP_KERNEL_MINOR)) {
        snprintf(p->why, sizeof(p->why), "kernel %s is too old: Linux %d.%d or later is needed", p->kernel,
                 UP_KERNEL_MAJOR, UP_KERNEL_MINOR);
        return -EOPNOTSUPP;
    }
    return probe_describe(p, missing);
}
