// A reactor: one pinned thread, one io, inbound SPSC rings from every reactor (itself included), timers, fibers.
//
// One turn: (1) take messages from the inbound rings; (2) reap completions; (3) run what became ready: fibers, timers,
// deferred work; (4) services flush once (the shard closes a commit group, connections submit one send each);
// (5) publish ring tails, one doorbell per sleeping peer that is to wake; (6) nothing to do: mark sleeping, fence, re-check
// the rings, wait in the kernel. A reactor can be stepped one turn at a time: the simulator runs all of them on one thread.
//
// Messages and credits (I4). A message is one cache line (struct spsc_msg). Its `op` names a service kind in the high
// byte and that service's operation in the low byte. A *request* takes one credit towards its peer before it is sent;
// the peer owes exactly one reply, and the credit returns when the reply was handled. For each credit the sender may
// also send one notice that is not answered (a cancel or a release). Rings hold four times the credits, so a reply, a
// release or a cancel always finds its slot: they never block and never fail.
#ifndef SLUICE_ENGINE_IO_REACTOR_H
#define SLUICE_ENGINE_IO_REACTOR_H

#include "engine/base/heap.h"
#include "engine/base/list.h"
#include "engine/base/metrics.h"
#include "engine/base/spsc.h"
#include "engine/io/io.h"

struct reactor;
struct reactor_group; // all reactors of a process (or of a simulated broker), and their rings

enum { REACTOR_MAX = 64 };

// Service kinds: the high byte of a message's op.
enum service_kind { SVC_SYS = 0, SVC_NET = 1, SVC_SHARD = 2, SVC_META = 3, SVC_COORD = 4, SVC_COUNT = 8 };
#define MSG_OP(kind, n) ((uint16_t)(((kind) << 8) | (n)))
#define MSG_KIND(op)    ((enum service_kind)((op) >> 8))
// Flags of a message: the low byte is the asking service's kind; MSG_REPLY sends it to that kind instead of the op's.
enum { MSG_ASKER = 0xff, MSG_REPLY = 0x100 };

// A service on a reactor. All callbacks run on the reactor's thread.
struct service {
    enum service_kind kind;
    const char *name;
    // A message for this service arrived from reactor `from`. The slot is valid during the call only.
    void (*on_msg)(struct service *s, uint32_t from, const struct spsc_msg *m);
    // Once per turn, after messages, completions, fibers and timers. May be NULL. Returns true if it did work: then
    // another turn follows before the reactor sleeps.
    bool (*on_flush)(struct service *s);
    // Asked to stop cleanly: when finished, the service calls reactor_service_stopped. May be NULL.
    void (*on_stop)(struct service *s);
};

// A timer owned by its embedder. Fires once.
struct timer {
    struct heap_node node;
    void (*fire)(struct timer *t);
    bool armed;
};

// Work to run at step (3) of this turn or the next: embeddable, queued at most once.
struct ready {
    struct list_node node;
    void (*run)(struct ready *w);
    bool queued;
};

// ---- set-up ------------------------------------------------------------------------------------------------------
// Makes `n` reactors (1..REACTOR_MAX); ios[i] is reactor i's io and stays the caller's to destroy after the group.
// `credits`: requests in flight per ordered pair, a power of two. NULL on lack of memory.
struct reactor_group *reactor_group_create(uint32_t n, struct io *const *ios, uint32_t credits,
                                           struct metrics *m);
void reactor_group_destroy(struct reactor_group *g);
struct reactor *reactor_group_get(struct reactor_group *g, uint32_t i);
uint32_t reactor_group_size(const struct reactor_group *g);

// Puts a service on a reactor, before it runs. One service of a kind per reactor.
void reactor_add_service(struct reactor *r, struct service *s);
struct service *reactor_service(struct reactor *r, enum service_kind kind);
// Turns longer than this count as stalls and are logged with the phase that took longest and the CPU time of the thread
// meanwhile (sluice.stall.warn.ms; 0 turns the detector off, and the clock reads it needs). Before the reactors run.
void reactor_group_set_stall(struct reactor_group *g, uint32_t warn_ms);

// ---- running -----------------------------------------------------------------------------------------------------
// One turn. `wait_ns`: how long step 6 may sleep at most (0: never; the simulator's choice). True if anything was done.
bool reactor_turn(struct reactor *r, uint64_t wait_ns);
// Starts a thread per reactor (reactor 0 runs on the caller's), pinned to cores when `pin`, and runs until stopped.
int reactor_group_run(struct reactor_group *g, bool pin);
// Runs turns of reactor `r` alone on the caller's thread until *flag is true (boot, before the other threads run).
void reactor_run_until(struct reactor *r, const bool *flag);
// Any thread or a signal handler: ask every service to stop, in the order NET, COORD, META, SHARD (kinds without a name
// last), each kind on all reactors before the next; then the loops end. A service without on_stop is stopped at once.
void reactor_group_stop(struct reactor_group *g);
void reactor_service_stopped(struct reactor *r, struct service *s);
bool reactor_group_stopping(const struct reactor_group *g); // was asked to stop; any thread
bool reactor_group_stopped(const struct reactor_group *g);
// How long the services of this kind took to stop (ns). After the group has stopped.
uint64_t reactor_group_stop_ns(const struct reactor_group *g, enum service_kind kind);

// ---- inside a reactor (its thread only) ---------------------------------------------------------------------------
// The reactor whose turn runs on this thread, or NULL between turns.
struct reactor *reactor_current(void);
uint32_t reactor_id(const struct reactor *r);
struct io *reactor_io(struct reactor *r);
struct reactor_group *reactor_get_group(struct reactor *r);
// The time of this turn: monotonic ns and wall ms, read once a turn (and again after a sleep). Cheap.
uint64_t reactor_now(const struct reactor *r);
int64_t reactor_wall_ms(const struct reactor *r);
// Adds to this reactor's slot of a metric.
void reactor_count(struct reactor *r, enum metric_id id, uint64_t v);
// This reactor's values; NULL: none are kept.
struct metrics *reactor_metrics(struct reactor *r);

// Takes `n` request credits towards reactor `to`: all or nothing.
bool reactor_credit_take(struct reactor *r, uint32_t to, uint32_t n);
void reactor_credit_give(struct reactor *r, uint32_t to, uint32_t n);
// Registers `w` to run when a credit towards `to` comes back after a refusal (fair, first come first served: while
// someone waits, newcomers are refused; one that is woken and refused again goes back to the front).
void reactor_credit_wait(struct reactor *r, uint32_t to, struct ready *w);

// Stages a message to reactor `to` (may be itself) and returns its slot, to be filled at once; published at the end of
// the turn, or earlier when half a ring is staged. Asserts that a slot is free: credits make it so.
struct spsc_msg *reactor_send(struct reactor *r, uint32_t to, uint16_t op);
// The same for a release, a cancel or an acknowledgement that nobody waits for: a peer that sleeps goes on sleeping, and finds
// it before anything else when it wakes.
struct spsc_msg *reactor_send_lazy(struct reactor *r, uint32_t to, uint16_t op);
// A request on behalf of service `kind` of this reactor: its flags carry the kind, so that the reply, which has the same
// op, finds its way back (an op's own kind names the service that is asked).
struct spsc_msg *reactor_request(struct reactor *r, uint32_t to, uint16_t op, enum service_kind kind);
// The reply to a request that came from reactor `to` with flags `kind`: delivered to that service.
struct spsc_msg *reactor_reply(struct reactor *r, uint32_t to, uint16_t op, enum service_kind kind);

void timer_init(struct timer *t, void (*fire)(struct timer *));
void timer_set(struct reactor *r, struct timer *t, uint64_t at_ns); // re-arms
void timer_cancel(struct reactor *r, struct timer *t);
void ready_push(struct reactor *r, struct ready *w);
// Takes `w` off the ready list or a credit's waiting list, if it is on one.
void ready_cancel(struct reactor *r, struct ready *w);

// How long this turn has run; long loops ask and cut themselves into slices (design: turns are bounded).
bool reactor_turn_spent(const struct reactor *r);

#endif
