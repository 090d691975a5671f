// One turn of a reactor: see reactor.h for the steps. No clock, no system call and no shared state but through io,
// rings and the group: so the simulator can step any number of reactors on one thread.
//
// How often the kernel is entered: once a turn at most in the steady state. A turn that took no message and has nothing
// ready leaves the poll of step 2 to step 6, where submitting, reaping and sleeping are one call.

#include "engine/io/reactor_private.h"

#include <string.h>

#include "engine/base/log.h"

_Thread_local struct reactor *reactor_running;

// ---- time --------------------------------------------------------------------------------------------------------

uint64_t reactor_now(const struct reactor *r)
{
    struct reactor *w = (struct reactor *)(uintptr_t)r; // a cache: const to the caller
    if (sl_unlikely(!w->now_ok)) {
        w->now = io_now_ns(w->io);
        w->now_ok = true;
        w->turn_start = w->now; // a turn's work begins anew after its sleep
    }
    return w->now;
}

int64_t reactor_wall_ms(const struct reactor *r)
{
    struct reactor *w = (struct reactor *)(uintptr_t)r;
    if (sl_unlikely(!w->wall_ok)) {
        w->wall = io_wall_ms(w->io);
        w->wall_ok = true;
    }
    return w->wall;
}

bool reactor_turn_spent(const struct reactor *r)
{
    (void)reactor_now(r);
    return io_now_ns(r->io) - r->turn_start >= REACTOR_TURN_NS;
}

static void time_forget(struct reactor *r)
{
    r->now_ok = false;
    r->wall_ok = false;
}

// ---- stalls ------------------------------------------------------------------------------------------------------

static const struct {
    enum metric_id counter;
    const char *name;
} phases[PHASE_COUNT] = {
    [PHASE_MESSAGES] = {METRIC_STALLS_MESSAGES, "messages"},
    [PHASE_COMPLETIONS] = {METRIC_STALLS_COMPLETIONS, "completions"},
    [PHASE_READY] = {METRIC_STALLS_READY, "ready"},
    [PHASE_FLUSH] = {METRIC_STALLS_FLUSH, "flush"},
    [PHASE_PUBLISH] = {METRIC_STALLS_PUBLISH, "publish"},
};

// Charges the time since the turn's start or the last phase_end. A phase that did nothing reads no clock: its little time
// goes to the next one.
static void phase_end(struct reactor *r, enum reactor_phase p, bool did)
{
    if (!did || !r->stall_ns)
        return;
    uint64_t now = io_now_ns(r->io);
    r->phase_ns[p] += now - r->phase_start;
    r->phase_start = now;
}

static void cpu_note(struct reactor *r)
{
    if (r->phase_start - r->cpu_at < REACTOR_CPU_NOTE_NS)
        return;
    r->cpu_at = r->phase_start;
    r->cpu_ns = io_cpu_ns(r->io);
}

// A stall in which the thread hardly ran is none of the broker's work: the machine ran others, or the kernel made it wait. The
// CPU time is an upper bound, for it counts from the last note.
static void stall_report(struct reactor *r, uint64_t total, enum reactor_phase worst)
{
    uint64_t cpu = SL_MIN(io_cpu_ns(r->io) - r->cpu_ns, total);
    reactor_count(r, phases[worst].counter, 1);
    reactor_count(r, METRIC_STALLS_BUSY, cpu > r->stall_ns);
    SL_LOG_EVERY(1000, SL_WARN, "reactor", "stall reactor=%u ms=%llu cpu_ms=%llu phase=%s phase_ms=%llu",
                 r->id, (unsigned long long)(total / 1000000), (unsigned long long)(cpu / 1000000),
                 phases[worst].name, (unsigned long long)(r->phase_ns[worst] / 1000000));
}

static void stall_check(struct reactor *r)
{
    uint64_t total = 0;
    enum reactor_phase worst = PHASE_MESSAGES;
    for (int p = 0; p < PHASE_COUNT; p++) {
        total += r->phase_ns[p];
        if (r->phase_ns[p] > r->phase_ns[worst])
            worst = (enum reactor_phase)p;
    }
    if (sl_unlikely(total > r->stall_ns))
        stall_report(r, total, worst);
    memset(r->phase_ns, 0, sizeof(r->phase_ns));
}

// ---- ready work --------------------------------------------------------------------------------------------------

void ready_push(struct reactor *r, struct ready *w)
{
    if (w->queued)
        return;
    w->queued = true;
    list_push_back(&r->ready, &w->node);
}

void ready_cancel(struct reactor *r, struct ready *w)
{
    if (!w->queued)
        return;
    list_remove(&w->node);
    w->queued = false;
    msg_credit_recheck(r);
}

// Runs what is ready now; what it makes ready waits for the next turn.
static bool ready_run(struct reactor *r)
{
    struct list_node now;
    bool did = false;
    list_init(&now);
    list_splice_back(&now, &r->ready);
    for (struct list_node *n; (n = list_pop_front(&now));) {
        struct ready *w = list_entry(n, struct ready, node);
        w->queued = false;
        w->run(w);
        did = true;
        if (!list_empty(&now) && reactor_turn_spent(r))
            break;
    }
    // Out of time: the rest goes first in the next turn.
    list_splice_back(&now, &r->ready);
    list_splice_back(&r->ready, &now);
    return did;
}

static bool services_flush(struct reactor *r)
{
    bool did = false;
    for (int k = 0; k < SVC_COUNT; k++) {
        struct service *s = r->svc[k];
        if (s && s->on_flush)
            did |= s->on_flush(s);
    }
    return did;
}

// ---- the turn ----------------------------------------------------------------------------------------------------

static bool poll_io(struct reactor *r, uint64_t wait_ns)
{
    r->belled = false; // what the callbacks ring goes with the next poll
    int n = io_poll(r->io, wait_ns);
    if (n < 0)
        sl_panic("reactor %u: io_poll: error %d", r->id, n);
    return n > 0;
}

static void ring_counters(struct reactor *r)
{
    metric_set(r->metrics, METRIC_CQ_OVERFLOWS, io_counter(r->io, IO_CTR_CQ_OVERFLOW));
    metric_set(r->metrics, METRIC_FSYNCS, io_counter(r->io, IO_CTR_FSYNCS));
    metric_set(r->metrics, METRIC_DSYNC_WRITES, io_counter(r->io, IO_CTR_DSYNC_WRITES));
    metric_set(r->metrics, METRIC_RING_OPERATIONS, io_counter(r->io, IO_CTR_SQES));
    metric_set(r->metrics, METRIC_RING_ENTERS, io_counter(r->io, IO_CTR_ENTERS));
    metric_set(r->metrics, METRIC_RING_COMPLETIONS, io_counter(r->io, IO_CTR_CQES));
}

// Step 6. Sleeps if no ring has a message after the peers were told, by the flag, to ring. True if completions ran.
static bool turn_sleep(struct reactor *r, uint64_t wait_ns)
{
    wait_ns = list_empty(&r->ready) && !r->credit_due ? timer_wait(r, wait_ns) : 0;
    if (wait_ns == 0)
        return poll_io(r, 0);
    if (r->metrics)
        ring_counters(r);
    sleep_prepare(&r->sleep);
    if (msg_waiting(r))
        wait_ns = 0;
    time_forget(r); // whoever asks in a completion gets the time after the sleep
    bool did = poll_io(r, wait_ns);
    sleep_cancel(&r->sleep);
    // Sleep and callbacks are one call: their time is known from where the first callback asked for it, if one did.
    if (r->now_ok) {
        r->phase_start = r->turn_start;
        phase_end(r, PHASE_COMPLETIONS, did);
    }
    return did;
}

bool reactor_turn(struct reactor *r, uint64_t wait_ns)
{
    SL_ASSERT(!reactor_running);
    reactor_running = r;
    reactor_count(r, METRIC_TURNS, 1);
    time_forget(r);
    r->phase_start = reactor_now(r);
    if (r->stall_ns)
        cpu_note(r);

    bool did = stop_turn(r);
    did |= msg_take_all(r);
    phase_end(r, PHASE_MESSAGES, did);

    bool polled = did || !list_empty(&r->ready) || r->credit_due;
    if (polled) {
        bool reaped = poll_io(r, 0);
        phase_end(r, PHASE_COMPLETIONS, reaped);
        did |= reaped;
    }
    bool ran = timer_run_due(r);
    ran |= msg_credit_run(r);
    ran |= ready_run(r);
    phase_end(r, PHASE_READY, ran);

    bool flushed = services_flush(r);
    phase_end(r, PHASE_FLUSH, flushed);
    did |= ran || flushed;

    bool sent = r->dirty != 0;
    msg_publish(r);
    phase_end(r, PHASE_PUBLISH, sent);
    did |= sent;

    if (!did) {
        did = turn_sleep(r, wait_ns);
    } else if (r->belled || !polled) {
        bool reaped = poll_io(r, 0);
        phase_end(r, PHASE_COMPLETIONS, reaped);
    }
    if (r->stall_ns)
        stall_check(r);
    reactor_running = NULL;
    return did;
}

void reactor_run_until(struct reactor *r, const bool *flag)
{
    while (!*flag)
        reactor_turn(r, UINT64_MAX);
}

// ---- small things ------------------------------------------------------------------------------------------------

struct reactor *reactor_current(void)
{
    return reactor_running;
}

uint32_t reactor_id(const struct reactor *r)
{
    return r->id;
}

struct io *reactor_io(struct reactor *r)
{
    return r->io;
}

struct reactor_group *reactor_get_group(struct reactor *r)
{
    return r->group;
}

void reactor_count(struct reactor *r, enum metric_id id, uint64_t v)
{
    if (r->metrics)
        metric_add(r->metrics, id, v);
}

struct metrics *reactor_metrics(struct reactor *r)
{
    return r->metrics;
}

void reactor_add_service(struct reactor *r, struct service *s)
{
    SL_ASSERT(s->kind >= 0 && s->kind < SVC_COUNT);
    SL_ASSERT(!r->svc[s->kind]);
    r->svc[s->kind] = s;
}

struct service *reactor_service(struct reactor *r, enum service_kind kind)
{
    SL_ASSERT(kind < SVC_COUNT);
    return r->svc[kind];
}
