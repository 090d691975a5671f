/* Jobs wait on a stack that pushers swap themselves onto; the thread takes all of it at once and turns it round, so
 * that no job is ever popped alone and an address that comes back does no harm. Whoever finds the stack empty
 * posts the semaphore: once for each time that the thread will find something.
 */
#include "engine/base/prefault.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, STACK = 256 << 10, NODES_MAX = 1024 };
enum { SLICE_NS = 100000 };
enum { POLICY_DEFAULT = 0, POLICY_PREFERRED = 1 }; /* linux/mempolicy.h */
#define NO_NODE UINT32_MAX

struct prefault {
    struct prefault_job *head;
    sem_t wake;
    pthread_t thread;
    bool started;
    bool stop;
    bool own_policy; /* the process has a memory policy, which is not to be changed */
    uint32_t node;   /* where this thread's memory comes from now */
};

struct prefault *prefault_create(void)
{
    struct prefault *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    SL_ASSERT(sem_init(&f->wake, 0, 0) == 0);
    f->node = NO_NODE;
    return f;
}

static void prefault_wait(sem_t *s)
{
    while (sem_wait(s) < 0)
        SL_ASSERT(errno == EINTR);
}

/* Memory near to those who asked, not near to this thread. A kernel without NUMA refuses, and need not do it. */
static void prefault_at_node(struct prefault *f, uint32_t node)
{
    unsigned long mask[NODES_MAX / (8 * sizeof(unsigned long))] = {0};
    if (node == f->node || node >= NODES_MAX || f->own_policy)
        return;
    mask[node / (8 * sizeof(*mask))] |= 1ul << node % (8 * sizeof(*mask));
    (void)syscall(SYS_set_mempolicy, POLICY_PREFERRED, mask, (unsigned long)NODES_MAX);
    f->node = node;
}

static void prefault_run(struct prefault *f, struct prefault_job *job)
{
    sem_t *tell = job->tell;
    uint32_t queued = PREFAULT_QUEUED;
    if (__atomic_compare_exchange_n(&job->state, &queued, PREFAULT_RUNNING, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {
        volatile uint8_t *p = job->addr;
        prefault_at_node(f, job->node);
        for (size_t i = 0; i < job->len; i += PAGE)
            p[i] = 0;
        __atomic_store_n(&job->state, PREFAULT_READY, __ATOMIC_RELEASE);
    } else {
        SL_ASSERT(queued == PREFAULT_CANCELLED);
        __atomic_store_n(&job->state, PREFAULT_NONE, __ATOMIC_RELEASE);
    }
    if (tell)
        sem_post(tell); /* the job may be gone now */
}

void prefault_step(struct prefault *f)
{
    struct prefault_job *job = __atomic_exchange_n(&f->head, NULL, __ATOMIC_ACQUIRE), *first = NULL;
    while (job) {
        struct prefault_job *next = job->next;
        job->next = first;
        first = job;
        job = next;
    }
    while (first) {
        job = first;
        first = job->next;
        prefault_run(f, job);
    }
}

/* sched_setattr(2), which the C library does not have yet. */
struct sched_wish {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static void *prefault_thread(void *arg)
{
    struct prefault *f = arg;
    const struct sched_wish wish = {.size = sizeof(wish),
                                    .policy = SCHED_BATCH,
                                    .nice = getpriority(PRIO_PROCESS, 0),
                                    .runtime = SLICE_NS};
    int policy = POLICY_DEFAULT;
    (void)pthread_setname_np(pthread_self(), "prefault");
    (void)syscall(SYS_sched_setattr, 0, &wish, 0u);
    (void)syscall(SYS_get_mempolicy, &policy, NULL, 0ul, NULL, 0ul);
    f->own_policy = policy != POLICY_DEFAULT;
    for (;;) {
        prefault_wait(&f->wake);
        if (__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE))
            return NULL;
        prefault_step(f);
    }
}

int prefault_start(struct prefault *f)
{
    sigset_t all, old;
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc)
        return -rc;
    rc = pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (!rc)
        rc = pthread_create(&f->thread, &attr, prefault_thread, f);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    f->started = rc == 0;
    return -rc;
}

void prefault_destroy(struct prefault *f)
{
    if (!f)
        return;
    if (f->started) {
        __atomic_store_n(&f->stop, true, __ATOMIC_RELEASE);
        sem_post(&f->wake);
        pthread_join(f->thread, NULL);
    }
    SL_ASSERT(!f->head);
    sem_destroy(&f->wake);
    free(f);
}

void prefault_push(struct prefault *f, struct prefault_job *job)
{
    unsigned node = NO_NODE;
    SL_ASSERT(__atomic_load_n(&job->state, __ATOMIC_ACQUIRE) == PREFAULT_NONE);
    SL_DASSERT((uintptr_t)job->addr % PAGE == 0 && job->len % PAGE == 0);
    (void)getcpu(NULL, &node);
    job->node = node;
    job->state = PREFAULT_QUEUED;
    struct prefault_job *old = __atomic_load_n(&f->head, __ATOMIC_RELAXED);
    do {
        job->next = old;
    } while (!__atomic_compare_exchange_n(&f->head, &old, job, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (!old)
        sem_post(&f->wake);
}

bool prefault_cancel(struct prefault_job *job)
{
    uint32_t queued = PREFAULT_QUEUED;
    return __atomic_compare_exchange_n(&job->state, &queued, PREFAULT_CANCELLED, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

bool prefault_take(struct prefault_job *job)
{
    if (__atomic_load_n(&job->state, __ATOMIC_ACQUIRE) != PREFAULT_READY)
        return false;
    job->state = PREFAULT_NONE;
    return true;
}

bool prefault_is_done(const struct prefault_job *job)
{
    uint32_t state = __atomic_load_n(&job->state, __ATOMIC_ACQUIRE);
    return state == PREFAULT_NONE || state == PREFAULT_READY;
}

void prefault_drain(struct prefault *f)
{
    sem_t done;
    struct prefault_job last = {.tell = &done};
    SL_ASSERT(sem_init(&done, 0, 0) == 0);
    prefault_push(f, &last);
    if (!f->started)
        prefault_step(f);
    prefault_wait(&done);
    sem_destroy(&done);
}
