// Readers: fetches of one partition at a time, and what watches bring them. See traffic.h.
#include "tests/sim/traffic_private.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/keyed.h"
#include "tests/sim/payload.h"

static struct run *run_of(struct traffic *t)
{
    return t->l->r;
}

// ---- reading ---------------------------------------------------------------------------------------------------------------
// What an answer for one partition says; whoever asks gives its pins back. Returns malloc'd bytes, *n of them whole batches; -1
// in *n: the partition is gone.
static uint8_t *answer_bytes(struct traffic *t, struct mpart *p, const struct shard_fetch_part *part,
                             bool committed, int64_t *n)
{
    struct run *run = run_of(t);
    int64_t offset = part->fetch_offset;
    uint8_t *b = NULL;
    *n = 0;
    if (part->bytes) {
        b = malloc(part->bytes);
        SL_ASSERT(b);
        for (uint32_t k = 0; k < part->pieces_n; k++) {
            memcpy(b + *n, part->pieces[k].p, part->pieces[k].len);
            *n += part->pieces[k].len;
        }
        if (*n != part->bytes)
            run_fail(run, "%s-%d: a fetch says %u bytes, its pieces have %lld", p->topic->name, p->n,
                     part->bytes, (long long)*n);
        *n = (int64_t)payload_whole_batches(b, (uint64_t)*n);
        if (*n == 0)
            run_fail(run, "%s-%d: a fetch at offset %lld returned %u bytes and no whole batch",
                     p->topic->name, p->n, (long long)offset, part->bytes);
        if (committed && !t->l->over)
            keyed_committed(run->model, p, part->log_start, part->last_stable, b, (uint64_t)*n, part->aborted,
                            part->aborted_n);
    }
    if (part->bytes && run_chance(run, 1, 4))
        fiber_sleep(1000 * run_skewed(run, 1, 5000)); // a slow reader holds on to it
    if (!part->error || part->error == KERR_OFFSET_OUT_OF_RANGE)
        return b;
    if (part->error != KERR_UNKNOWN_TOPIC_OR_PARTITION && !traffic_may_fail(t, p, part->error))
        run_fail(run, "%s-%d: a fetch at offset %lld failed: %s", p->topic->name, p->n, (long long)offset,
                 kerr_name(part->error));
    if (part->error == KERR_UNKNOWN_TOPIC_OR_PARTITION && p->topic->state == TOPIC_SERVING)
        run_fail(run, "%s-%d: a fetch does not find the partition", p->topic->name, p->n);
    free(b);
    *n = -1;
    return NULL;
}

// One fetch of one partition.
uint8_t *readers_fetch(struct traffic *t, struct mpart *p, int64_t offset, uint32_t max, uint64_t key,
                       bool committed, struct shard_fetch_part *part, int64_t *n)
{
    struct reactor *r = fiber_reactor(fiber_current());
    uint32_t to = life_reactor_of(t->l, p);
    struct call c;
    *part = (struct shard_fetch_part){.topic_id = p->topic->id,
                                      .partition = p->n,
                                      .fetch_offset = offset,
                                      .max_bytes = (int32_t)max,
                                      .current_leader_epoch = -1,
                                      .last_fetched_epoch = -1};
    struct shard_fetch f = {.parts = part,
                            .n = 1,
                            .max_bytes = max,
                            .min_one = true,
                            .read_committed = committed,
                            .watch_key = key,
                            .watch_bytes = 1,
                            .push = key & 1,
                            .owner = &c};
    traffic_ask(t, r, to, SHARD_FETCH, &f, &c);
    uint8_t *b = answer_bytes(t, p, part, committed, n);
    if (f.pins)
        reactor_request(r, to, SHARD_RELEASE, SVC_NET)->u[0] = (uint64_t)(uintptr_t)f.pins;
    return b;
}
static void check_range(struct traffic *t, struct mpart *p, int64_t offset, int64_t known,
                        const struct shard_fetch_part *part)
{
    if (part->error == KERR_OFFSET_OUT_OF_RANGE && offset <= known && offset >= part->log_start)
        run_fail(run_of(t), "%s-%d: offset %lld is out of range (%lld to %lld) though %lld was shown",
                 p->topic->name, p->n, (long long)offset, (long long)part->log_start,
                 (long long)part->high_watermark, (long long)known);
}

// As a connection does what its fetch's credit is not there for: what a watch brought goes back, or a watch is dropped.
static void settle(struct traffic *t, uint32_t to, struct shard_pins *pins, uint64_t unwatch, uint64_t read)
{
    struct reactor *r = fiber_reactor(fiber_current());
    traffic_take_credit(t, r, to, true);
    t->in_flight++;
    struct spsc_msg *m = reactor_request(r, to, SHARD_SETTLE, SVC_NET);
    m->u[0] = (uint64_t)(uintptr_t)pins;
    m->u[1] = unwatch;
    m->u[2] = 0;
    m->u[3] = read;
}

// Before the question is sent: what its watch brings before the reader is there to wait for it is known to be missed.
static void watcher_add(struct traffic *t, struct watcher *w, uint64_t key)
{
    *w = (struct watcher){.key = key, .f = fiber_current(), .early = true, .next = t->watchers};
    t->watchers = w;
}

static void watcher_remove(struct traffic *t, const struct watcher *w)
{
    struct watcher **at = &t->watchers;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
}

// False: nothing came in time, or too early.
static bool watch_wait(struct traffic *t, uint32_t to, struct watcher *w)
{
    struct reactor *r = fiber_reactor(fiber_current());
    uint64_t until = reactor_now(r) + 1000 * run_skewed(run_of(t), 100, 20000);
    w->early = w->fired = w->pushed = w->again = false;
    while (!w->fired && !w->missed && reactor_now(r) < until && traffic_going(t))
        fiber_sleep(100000);
    if (!w->fired)
        settle(t, to, NULL, w->key, 0);
    return w->fired;
}

// What a reader was answered, to a fetch of its own or by a watch. `known`, `start`: what had been shown when it asked.
struct reading {
    struct mpart *p;
    int64_t *tail;
    int64_t known, start;
    uint64_t asked;
    bool committed;
};

static void read_check(struct traffic *t, const struct reading *x, const struct shard_fetch_part *part,
                       const uint8_t *b, int64_t n)
{
    struct model *model = run_of(t)->model;
    if (n < 0 || t->l->over)
        return;
    check_range(t, x->p, *x->tail, x->known, part);
    model_saw_start(model, x->p, x->start, part->log_start);
    if (part->error) {
        *x->tail = part->log_start;
        return;
    }
    model_saw_hw(model, x->p, x->known, part->high_watermark);
    *x->tail = model_read(model, x->p, *x->tail, x->asked, part->high_watermark, b, (uint64_t)n);
}

static void read_pushed(struct traffic *t, const struct reading *x, struct watcher *w)
{
    int64_t n;
    if (!w->part.error && w->part.fetch_offset != *x->tail)
        run_fail(run_of(t), "a watch at offset %lld was answered for %lld", (long long)*x->tail,
                 (long long)w->part.fetch_offset);
    uint8_t *b = answer_bytes(t, x->p, &w->part, x->committed, &n);
    read_check(t, x, &w->part, b, n);
    free(b);
    if (w->again && n >= 0 && !t->l->over && w->part.next_offset != *x->tail)
        run_fail(run_of(t), "a watch goes on at offset %lld behind an answer that ends at %lld",
                 (long long)w->part.next_offset, (long long)*x->tail);
}

// What a watch brings, and what it brings behind that while it goes on.
static void read_watched(struct traffic *t, const struct reading *x, uint32_t to, struct watcher *w)
{
    bool ends = false;
    while (!ends && watch_wait(t, to, w) && w->pushed) {
        w->early = true; // for what comes behind it
        read_pushed(t, x, w);
        ends = !w->again || t->l->over || run_chance(run_of(t), 1, 4);
        settle(t, to, w->pins, ends && w->again ? w->key : 0, ends ? 0 : w->key);
    }
}

void readers_once(struct traffic *t, int64_t *tail, struct mpart **last)
{
    struct run *run = run_of(t);
    struct mpart *p =
        *last && (*last)->topic->state == TOPIC_SERVING && run_chance(run, 3, 4) ? *last : traffic_pick(t);
    if (!p)
        return;
    if (p != *last || run_chance(run, 1, 8))
        *tail = (int64_t)run_below(run, (uint32_t)p->hw_seen + 1);
    *last = p;
    uint32_t to = life_reactor_of(t->l, p);
    if (!traffic_take_credit(t, fiber_reactor(fiber_current()), to, false))
        return;
    struct shard_fetch_part part;
    int64_t n;
    struct reading x = {.p = p, .tail = tail, .known = p->hw_seen, .start = p->start_seen};
    x.asked = model_now(run->model);
    uint64_t key = run_chance(run, 1, 2) ? ++t->next_key : 0;
    uint32_t max = (uint32_t)run_skewed(run, 1, 3 * run->k.max_batch);
    x.committed = p->topic->keyed && !p->topic->caching && run_chance(run, 1, 2);
    struct watcher w;
    watcher_add(t, &w, key);
    uint8_t *b = readers_fetch(t, p, *tail, max, key, x.committed, &part, &n);
    read_check(t, &x, &part, b, n);
    free(b);
    reactor_credit_give(fiber_reactor(fiber_current()), to, 1);
    if (n == 0 && !part.error && key && !t->l->over)
        read_watched(t, &x, to, &w);
    watcher_remove(t, &w);
}

// A notice with an answer that its reader still waits for: it takes the answer's pins. Every answer that is pushed says
// something: records, or an error.
static void pushed_came(struct traffic *t, struct watcher *w, struct shard_fetch *answer, bool again)
{
    const struct shard_fetch_part *part = &answer->parts[0];
    if (answer->n != 1 || (!part->error && !part->bytes) || answer->total != part->bytes)
        run_fail(run_of(t), "a watch brought an answer with %u parts, error %d, %u bytes of %u", answer->n,
                 part->error, part->bytes, answer->total);
    if (w->fired && !w->again)
        run_fail(run_of(t), "a watch fired twice");
    if (w->fired) { // it is still to be woken for the first: this one is not taken
        w->missed = true;
        return;
    }
    w->part = *part;
    w->pins = answer->pins;
    w->pushed = true;
    w->again = again;
    answer->pins = NULL;
}

void readers_fired(struct traffic *t, struct reactor *r, uint32_t from, struct shard_fired *fd)
{
    for (uint32_t k = 0; k < fd->n; k++)
        for (struct watcher *w = t->watchers; w; w = w->next)
            if (w->key == fd->keys[k].key && w->early) {
                w->missed = true;
            } else if (w->key == fd->keys[k].key) {
                if (fd->keys[k].answer)
                    pushed_came(t, w, fd->keys[k].answer, fd->keys[k].again);
                w->fired = true;
                fiber_wake(w->f);
            }
    struct spsc_msg *m =
        fd->urgent ? reactor_send(r, from, SHARD_FIRED_ACK) : reactor_send_lazy(r, from, SHARD_FIRED_ACK);
    m->u[0] = (uint64_t)(uintptr_t)fd;
}
