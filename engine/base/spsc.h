/* Lock-free ring of one producer thread and one consumer thread, of messages of one cache line: how reactors
 * talk.
 *
 * The producer stages messages in slots and publishes them together with one release store of the tail; the
 * consumer peeks at whole runs and gives them back together with one release store of the head. Each side
 * keeps a copy of the other's index and looks at the shared one only when its copy says full or empty, and
 * the two sides write different cache lines. Publishing many at once is what makes it cheap: 4.5 ns an item
 * alone, about 1 ns in batches.
 *
 * Sleeping: struct sl_sleep_flag below, one per consumer thread, whatever the number of its rings.
 *
 *   consumer                                producer
 *   sleep_prepare(flag)                     fill slots; spsc_publish(ring)
 *   all rings still empty?                  if (sleep_peer_needs_wake(flag)) ring the doorbell
 *     no:  sleep_cancel(flag), go on
 *     yes: block; after it, sleep_cancel
 *
 * Either the consumer sees the new tail or the producer sees the flag: both put a full fence between their
 * store and their load (store buffering; C17 5.1.2.4).
 */
#ifndef SLUICE_BASE_SPSC_H
#define SLUICE_BASE_SPSC_H

#include <string.h>

#include "engine/base/err.h"

/* One message. Ownership of what the words point to moves with it, as the operation's comment says. */
struct spsc_msg {
    uint16_t op;
    uint16_t flags;
    uint32_t handle;
    uint64_t u[7];
};
SL_STATIC_ASSERT(sizeof(struct spsc_msg) == SL_CACHE_LINE, "a message is one cache line");

/* Indexes count messages since the start and are taken modulo the capacity. */
struct spsc {
    /* The producer's own. */
    uint64_t staged __attribute__((aligned(SL_CACHE_LINE))); /* next slot to fill */
    uint64_t head_seen;                                      /* copy of head */
    uint64_t capacity;
    struct spsc_msg *slots;
    /* Written by the producer, read by the consumer: slots below it are published. */
    uint64_t tail __attribute__((aligned(SL_CACHE_LINE)));
    /* The consumer's own. */
    uint64_t taken __attribute__((aligned(SL_CACHE_LINE))); /* next slot to look at */
    uint64_t tail_seen;                                     /* copy of tail */
    uint64_t capacity_c;
    struct spsc_msg *slots_c;
    /* Written by the consumer, read by the producer: slots below it are free again. */
    uint64_t head __attribute__((aligned(SL_CACHE_LINE)));
};

/* Said by a consumer that is about to block: see the head of this file. On a line of its own. */
struct sl_sleep_flag {
    uint32_t sleeping __attribute__((aligned(SL_CACHE_LINE)));
};

SL_EXTERN_C_BEGIN

/* A ring for `capacity` messages, a power of two from 1 to 2^24. Ring and slots are cache-line aligned; slots
 * of 2 MiB and more are aligned for, and advised to be, huge pages. NULL when memory is short. */
struct spsc *spsc_create(uint32_t capacity);

/* Gives the memory back; what the messages point to is not looked at. NULL is fine. Both threads are done
 * with it. */
void spsc_destroy(struct spsc *s);

SL_EXTERN_C_END

/* Producer: slots that may be staged right now without the consumer's help. Looks at the consumer's line. */
static inline uint32_t spsc_free_space(struct spsc *s)
{
    s->head_seen = __atomic_load_n(&s->head, __ATOMIC_ACQUIRE);
    return (uint32_t)(s->capacity - (s->staged - s->head_seen));
}

/* Producer: stages the next slot and returns it in *slot, to be filled before the next spsc_publish. False
 * when the ring is full. The slot holds an old message. */
static inline bool spsc_reserve(struct spsc *s, struct spsc_msg **slot)
{
    if (sl_unlikely(s->staged - s->head_seen == s->capacity) && spsc_free_space(s) == 0)
        return false;
    *slot = &s->slots[s->staged & (s->capacity - 1)];
    s->staged++;
    return true;
}

/* Producer: stages a copy of *m. False when the ring is full. */
static inline bool spsc_push(struct spsc *s, const struct spsc_msg *m)
{
    struct spsc_msg *slot;
    if (!spsc_reserve(s, &slot))
        return false;
    memcpy(slot, m, sizeof(*slot));
    return true;
}

/* Producer: messages staged and not yet published. */
static inline uint32_t spsc_staged(const struct spsc *s)
{
    return (uint32_t)(s->staged - __atomic_load_n(&s->tail, __ATOMIC_RELAXED));
}

/* Producer: lets the consumer see all that is staged. True if there was anything: then ask
 * sleep_peer_needs_wake. */
static inline bool spsc_publish(struct spsc *s)
{
    if (spsc_staged(s) == 0)
        return false;
    __atomic_store_n(&s->tail, s->staged, __ATOMIC_RELEASE);
    return true;
}

/* Consumer: true when nothing is published. The re-check before blocking. */
static inline bool spsc_empty(struct spsc *s)
{
    if (s->taken != s->tail_seen)
        return false;
    s->tail_seen = __atomic_load_n(&s->tail, __ATOMIC_ACQUIRE);
    return s->taken == s->tail_seen;
}

/* Consumer: *first points to a run of published messages, oldest first; returns its length, at most max, 0
 * when there are none. A run ends where the ring wraps: call again after spsc_consume. The messages stay the
 * consumer's, and may be written to, until spsc_consume. */
static inline uint32_t spsc_peek_batch(struct spsc *s, struct spsc_msg **first, uint32_t max)
{
    if (spsc_empty(s))
        return 0;
    uint64_t at = s->taken & (s->capacity_c - 1);
    uint64_t n = s->tail_seen - s->taken;
    uint64_t to_wrap = s->capacity_c - at;
    *first = &s->slots_c[at];
    n = n < to_wrap ? n : to_wrap;
    return n < max ? (uint32_t)n : max;
}

/* Consumer: gives the n oldest messages' slots back to the producer; n is at most what peeks have shown. */
static inline void spsc_consume(struct spsc *s, uint32_t n)
{
    SL_DASSERT(n <= s->tail_seen - s->taken);
    s->taken += n;
    __atomic_store_n(&s->head, s->taken, __ATOMIC_RELEASE);
}

/* ThreadSanitizer does not model fences. A read-modify-write of the flag on both sides orders the same way:
 * of two of them on one word the later one reads from, and so synchronises with, the earlier. */
#if defined(__SANITIZE_THREAD__)
#define SL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SL_TSAN 1
#endif
#endif

/* Consumer: says that it is about to block. It must look at every ring once more after this, and before
 * blocking. */
static inline void sleep_prepare(struct sl_sleep_flag *f)
{
#ifdef SL_TSAN
    (void)__atomic_exchange_n(&f->sleeping, 1, __ATOMIC_SEQ_CST);
#else
    __atomic_store_n(&f->sleeping, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* Consumer: awake again, or did not block after all. */
static inline void sleep_cancel(struct sl_sleep_flag *f)
{
    __atomic_store_n(&f->sleeping, 0, __ATOMIC_RELAXED);
}

/* Producer, after spsc_publish returned true: true when the consumer may be blocked and its doorbell must be
 * rung. */
static inline bool sleep_peer_needs_wake(struct sl_sleep_flag *f)
{
#ifdef SL_TSAN
    return __atomic_fetch_or(&f->sleeping, 0, __ATOMIC_SEQ_CST) != 0;
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&f->sleeping, __ATOMIC_RELAXED) != 0;
#endif
}

#endif
