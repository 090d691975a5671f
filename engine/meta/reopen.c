// Topics whose partitions a shard could not open, on a full disk say: they are tried again until they open or are deleted,
// so that a created topic serves as soon as there is space (rule S8), not with the next start only.
#include "engine/meta/meta_private.h"

#include <stdlib.h>

static const uint64_t RETRY_MIN_NS = 500ull * 1000 * 1000, RETRY_MAX_NS = 5000ull * 1000 * 1000;

static bool is_noted(const struct meta *m, const struct sl_uuid *id)
{
    for (uint32_t i = 0; i < m->unopened_n; i++)
        if (sl_uuid_eq(&m->unopened[i], id))
            return true;
    return false;
}

static void note(struct meta *m, const struct sl_uuid *id)
{
    if (m->unopened_n == m->unopened_cap) {
        uint32_t cap = m->unopened_cap ? m->unopened_cap * 2 : 16;
        struct sl_uuid *more = realloc(m->unopened, cap * sizeof(*more));
        if (!more)
            sl_panic("meta: out of memory for topics that wait to be opened");
        m->unopened = more;
        m->unopened_cap = cap;
    }
    m->unopened[m->unopened_n++] = *id;
}

void meta_reopen_later(struct meta *m, const struct sl_uuid *id)
{
    if (!is_noted(m, id))
        note(m, id);
    m->reopen_delay = SL_MIN(SL_MAX(m->reopen_delay, RETRY_MIN_NS), RETRY_MAX_NS);
    if (!m->reopen.armed && !m->stopping)
        timer_set(m->r, &m->reopen, reactor_now(m->r) + m->reopen_delay);
}

static void on_due(struct timer *t)
{
    struct meta *m = SL_CONTAINER_OF(t, struct meta, reopen);
    m->reopen_due = true;
    m->dirs_waiting = false;
    meta_work(m);
}

void meta_reopen_init(struct meta *m)
{
    timer_init(&m->reopen, on_due);
}

// What opened is open for the topic's present partitions; the rest waits longer.
static void settle(struct meta *m, const struct sl_uuid *ids, const int16_t *errors, uint32_t n)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct topic_state *s = state_find_id(m, &ids[i]);
        if (errors[i]) {
            note(m, &ids[i]);
            left++;
        } else if (s) {
            sl_log(SL_INFO, "meta", "partitions could be opened now topic=%s", s->name);
        }
    }
    m->reopen_delay = left ? m->reopen_delay * 2 : 0;
    if (left)
        meta_reopen_later(m, &m->unopened[0]);
}

void meta_reopen(struct meta *m)
{
    struct meta_open run = {.m = m};
    struct sl_uuid *ids = m->unopened;
    uint32_t n = m->unopened_n;
    int16_t *errors = calloc(n + 1, sizeof(*errors));
    if (!errors)
        sl_panic("meta: out of memory for opening partitions");
    m->unopened = NULL;
    m->unopened_n = m->unopened_cap = 0;
    m->reopen_due = false;
    for (uint32_t i = 0; i < n && !m->stopping; i++) {
        const struct topic_state *s = state_find_id(m, &ids[i]);
        if (s && s->frozen)
            meta_open_topic(&run, s->frozen, 0, &errors[i]);
    }
    meta_open_wait(&run);
    if (!m->stopping)
        settle(m, ids, errors, n);
    free(errors);
    free(ids);
}
