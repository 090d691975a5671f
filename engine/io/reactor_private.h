// The inside of a reactor, for the files of this folder.
#ifndef SLUICE_ENGINE_IO_REACTOR_PRIVATE_H
#define SLUICE_ENGINE_IO_REACTOR_PRIVATE_H

#include "engine/base/credit.h"
#include "engine/io/reactor.h"

enum {
    // A turn that has run this long is spent: what waits goes on in the next one.
    REACTOR_TURN_NS = 500 * 1000,
    // How often the thread's CPU time is noted, so that a stall tells how much of it the thread ran: a system call each.
    REACTOR_CPU_NOTE_NS = 1000 * 1000,
    // Ring slots for each credit: see reactor.h, and msg.c for the sum.
    REACTOR_SLOTS_PER_CREDIT = 4,
    // Messages handled before their slots are given back together.
    REACTOR_MSG_BATCH = 32,
};

enum reactor_phase {
    PHASE_MESSAGES,
    PHASE_COMPLETIONS,
    PHASE_READY,
    PHASE_FLUSH,
    PHASE_PUBLISH,
    PHASE_COUNT
};

// The order of stopping: 0 while running, then one step for each group of kinds, then the end.
enum { STOP_RUNNING = 0, STOP_NET, STOP_COORD, STOP_META, STOP_SHARD, STOP_OTHERS, STOP_DONE };

// One other reactor (or this one) as this reactor sees it.
struct peer {
    struct spsc *out; // from us
    struct spsc *in;  // to us
    struct credit credit;
    struct list_node waiting; // struct ready: refused a credit, the first to be served first
};

struct reactor {
    struct sl_sleep_flag sleep; // on a line of its own; peers read it
    struct reactor_group *group;
    struct io *io;
    struct metrics *metrics; // ours, or NULL
    uint32_t id;
    uint32_t n; // reactors
    struct service *svc[SVC_COUNT];
    // messages
    uint64_t dirty;      // a bit for each peer with staged messages
    uint64_t urgent;     // ... with such among them as wake it
    bool belled;         // a doorbell waits for the next poll
    struct spsc *taking; // the ring whose batch is being handled, and how much of it is
    uint32_t taken;
    uint32_t first; // the peer served first: rotates
    // time
    uint64_t now;
    int64_t wall;
    bool now_ok;
    bool wall_ok;
    uint64_t turn_start;
    uint64_t phase_start;
    uint64_t phase_ns[PHASE_COUNT];
    uint64_t stall_ns; // 0: off
    uint64_t cpu_at;   // when cpu_ns was noted
    uint64_t cpu_ns;   // the thread's CPU time by then
    // work
    struct heap timers;
    struct list_node ready;
    uint64_t credit_due;    // a bit for each peer whose credits may serve a waiter now
    uint32_t credit_served; // 1 + the peer whose waiter runs now; 0: none does
    // stopping
    uint32_t stop_seen;
    uint32_t stopping; // services of this step that have not stopped yet
    bool stop_counted; // arrived at the end of this step
    // fibers (fiber.c)
    struct list_node fibers;
    struct list_node fiber_cache;
    uint32_t fiber_n;
    uint32_t fiber_cached;
    struct peer peers[];
};

struct reactor_group {
    uint32_t n;
    uint32_t credits;
    struct reactor *reactors[REACTOR_MAX];
    struct spsc *rings[REACTOR_MAX][REACTOR_MAX]; // [from][to]
    struct io *ios[REACTOR_MAX];
    // Shared words; off the data path but for one relaxed load of each a turn.
    uint32_t stop_asked __attribute__((aligned(SL_CACHE_LINE)));
    uint32_t stop_step;
    uint32_t stop_arrived;
    uint32_t pad[13];
    uint64_t stop_at[STOP_DONE + 1]; // when each step began, by the clock of the reactor that began it
};

// The reactor whose turn runs on this thread.
extern _Thread_local struct reactor *reactor_running;

// msg.c
bool msg_take_all(struct reactor *r);       // step 1
void msg_publish(struct reactor *r);        // step 5
bool msg_waiting(struct reactor *r);        // step 6: is any ring not empty?
bool msg_credit_run(struct reactor *r);     // step 3: waiters whose credits have come
void msg_credit_recheck(struct reactor *r); // a waiter may have gone: look at all lists in step 3

// timer.c
bool timer_run_due(struct reactor *r);
// How long to sleep: until the first timer, at most `max`.
uint64_t timer_wait(struct reactor *r, uint64_t max);

// stop.c
bool stop_turn(struct reactor *r);

// fiber.c
void fiber_reactor_init(struct reactor *r);
void fiber_reactor_destroy(struct reactor *r);

#endif
