#include "bench/load/session.h"

#include <stdlib.h>

void session_init(struct session *s, bool on)
{
    *s = (struct session){.on = on, .epoch = on ? 0 : -1};
    list_init(&s->dirty);
}

void session_free(struct session *s)
{
    free(s->forgotten);
}

void session_part_init(struct session_part *p)
{
    list_init(&p->dirty);
    p->in = false;
}

// Brokers take what is forgotten out after they have put in what is named.
void session_add(struct session *s, struct session_part *p, uint32_t number)
{
    for (uint32_t i = 0; i < s->forgotten_n; i++) {
        if (s->forgotten[i] != number)
            continue;
        s->forgotten[i] = s->forgotten[--s->forgotten_n];
        p->in = true;
        break;
    }
    session_moved(s, p);
}

void session_drop(struct session *s, struct session_part *p, uint32_t number)
{
    list_remove(&p->dirty);
    if (!p->in)
        return;
    p->in = false;
    if (s->forgotten_n == s->forgotten_cap) {
        s->forgotten_cap = s->forgotten_cap * 2 + 16;
        s->forgotten = realloc(s->forgotten, s->forgotten_cap * sizeof(*s->forgotten));
        SL_ASSERT(s->forgotten);
    }
    s->forgotten[s->forgotten_n++] = number;
}

void session_named(struct session *s, struct session_part *p)
{
    p->in = s->on;
    list_remove(&p->dirty);
}

void session_asked(struct session *s)
{
    s->forgotten_n = 0;
}

bool session_answered(struct session *s, int32_t id)
{
    if (!s->on)
        return true;
    if (s->epoch == 0) {
        s->id = id;
        s->epoch = id ? 1 : 0; // no id: the broker has no room for one
        return true;
    }
    if (id != s->id) {
        session_lost(s, true);
        return false;
    }
    s->epoch = s->epoch == INT32_MAX ? 1 : s->epoch + 1;
    return true;
}

void session_lost(struct session *s, bool known)
{
    if (!s->on)
        return;
    s->epoch = 0;
    s->id = known ? s->id : 0;
}
