/* A thread that touches memory for the first time, so that others need not.
 *
 * The kernel clears a huge page when it is first written to. That takes a quarter of a millisecond, and, in a virtual
 * machine whose host hands out memory lazily, up to 20 ms: far more than a turn of a reactor may take. A job
 * names memory that is mapped; the thread writes to each of its pages and says so.
 *
 * The thread takes nobody's place (SCHED_BATCH) and gives its own up after 0.1 ms to those who wake (a slice of that
 * length; the kernel looks for it at each 4 KiB that it clears). Its work is not idle work, though: who finds none
 * done does it himself. On a busy machine SCHED_IDLE was too late for half of the jobs, an equal share for one in 30.
 *
 * It holds nothing that others could wait for: jobs are pushed without a lock, and a fault takes no more than
 * the mapping's own lock for reading (which MADV_POPULATE_WRITE would not do). Those who push must not change the
 * protection of a mapping with jobs in flight, or unmap it; and they must get by without what is not done in time.
 *
 * A job's states, and who moves it on: NONE -> QUEUED by prefault_push; QUEUED -> RUNNING -> READY by the thread;
 * QUEUED -> CANCELLED by prefault_cancel, and CANCELLED -> NONE by the thread, as it comes to it; READY -> NONE by
 * prefault_take. A job that is in neither NONE nor READY belongs to the thread.
 */
#ifndef SLUICE_BASE_PREFAULT_H
#define SLUICE_BASE_PREFAULT_H

#include <semaphore.h>

#include "engine/base/err.h"

struct prefault;

enum prefault_state {
    PREFAULT_NONE = 0,
    PREFAULT_QUEUED,
    PREFAULT_RUNNING,
    PREFAULT_READY,
    PREFAULT_CANCELLED,
};

/* Embedded in what its owner knows of the memory; starts as zeros. */
struct prefault_job {
    struct prefault_job *next;
    void *addr; /* private and writable; aligned to 4 KiB, as is len */
    size_t len;
    uint32_t node;  /* NUMA node of the thread that pushed it: its memory comes from there */
    uint32_t state; /* enum prefault_state */
    sem_t *tell;    /* prefault_drain */
};

SL_EXTERN_C_BEGIN

/* Without a thread yet. NULL when memory is short. */
struct prefault *prefault_create(void);

/* Starts the thread. It may run on every CPU that the caller may run on. 0 or -errno. */
int prefault_start(struct prefault *f);

/* Ends the thread. All jobs were drained. */
void prefault_destroy(struct prefault *f);

/* Gives the thread a job in state NONE whose addr and len are set. Any thread; never waits, and makes a system
 * call only when nothing else is queued. */
void prefault_push(struct prefault *f, struct prefault_job *job);

/* Takes a queued job back. True: the thread has not touched its memory, and will not. False: it has begun. The
 * owner's thread. */
bool prefault_cancel(struct prefault_job *job);

/* True if the job was ready, and now is in state NONE: all pages of its memory were written to (with zeros), and
 * that happened before. The owner's thread. */
bool prefault_take(struct prefault_job *job);

/* True if the job may be pushed, or freed: its state is NONE or READY. The owner's thread. */
bool prefault_is_done(const struct prefault_job *job);

/* Waits until all jobs that this thread pushed are done. */
void prefault_drain(struct prefault *f);

/* Does what is queued, on the caller's thread: what the thread does over and over. For tests, before
 * prefault_start. */
void prefault_step(struct prefault *f);

SL_EXTERN_C_END

#endif
