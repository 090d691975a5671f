// The client's side of a fetch session (KIP-227): what the next fetch has to name. The first one names all partitions; when
// the broker gives the session an id, those after it name the partitions that are new or whose offset moved, and those
// that are to be forgotten. An error begins a new session.
//
// A partition's place is its number, by which the owner knows it. One thread.
#ifndef SLUICE_BENCH_LOAD_SESSION_H
#define SLUICE_BENCH_LOAD_SESSION_H

#include "engine/base/err.h"
#include "engine/base/list.h"

struct session_part {
    struct list_node dirty; // on session.dirty: the next fetch names it
    bool in;                // the broker's session has it
};

struct session {
    bool on;
    int32_t id, epoch; // of the next fetch; epoch 0: a new session, -1: none at all
    struct list_node dirty;
    uint32_t *forgotten; // numbers
    uint32_t forgotten_n, forgotten_cap;
};

SL_EXTERN_C_BEGIN

// on: false: every fetch names all partitions, without a session.
void session_init(struct session *s, bool on);
void session_free(struct session *s);

void session_part_init(struct session_part *p);

// The partition is fetched from now on.
void session_add(struct session *s, struct session_part *p, uint32_t number);

// It is fetched no more.
void session_drop(struct session *s, struct session_part *p, uint32_t number);

// The next fetch leaves with the partition named.
void session_named(struct session *s, struct session_part *p);

// The next fetch has left; its forgotten ones are forgotten.
void session_asked(struct session *s);

// An answer without an error, which carries the session's id. False: it belongs to another session; a new one begins.
bool session_answered(struct session *s, int32_t id);

// An answer with an error, or none came. known: the broker may still have the session and is told to drop it.
void session_lost(struct session *s, bool known);

SL_EXTERN_C_END

// Whether the next fetch names every partition.
static inline bool session_full(const struct session *s)
{
    return s->epoch <= 0;
}

// The partition's offset moved, or its last answer was an error.
static inline void session_moved(struct session *s, struct session_part *p)
{
    if (s->on && !list_linked(&p->dirty))
        list_push_back(&s->dirty, &p->dirty);
}

#endif
