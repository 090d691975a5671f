// A log's next segment file, made ahead of the roll that takes it, and the names that such segments get afterwards. See ahead.c.
#ifndef SLUICE_ENGINE_LOG_AHEAD_H
#define SLUICE_ENGINE_LOG_AHEAD_H

#include "engine/io/io.h"
#include "engine/log/later.h"

struct log;
struct segment;

// What a log has of it.
struct ahead {
    io_file file;       // the spare's, open; negative: there is none
    uint32_t allocated; // its bytes
    int64_t base;       // in its name
    int64_t asked_for;  // base of the segment that a spare was asked for last
    uint32_t at;        // bytes of the active segment from which one is due
    struct later_work make, give_name;
    bool naming; // give_name is under way
};

void ahead_init(struct log *l);
// Its segment.bytes has changed.
void ahead_measure(struct log *l);
// The active segment is past that measure: a spare is made in the background, once for each segment at most.
void ahead_later(struct log *l);
// Gives the spare's file to a new segment, which is unnamed then. False: there is none. And back, when there is to be no such
// segment (fiber).
bool ahead_take(struct log *l, struct segment *s);
void ahead_return(struct log *l, struct segment *s);
// Fiber. Closes and unlinks the spare; the caller syncs the directory. 0 or -errno.
int ahead_drop(struct log *l);
// Fiber. All segments that the log has now have their names, durably. 0 or -errno.
int ahead_name(struct log *l);
// The same in the background. Is that under way?
void ahead_name_later(struct log *l);
bool ahead_is_naming(const struct log *l);
// The log is closed, or freed: its work that waits for a turn, seals among it, is forgotten.
void ahead_forget(struct log *l);
// Fiber. Unlinks the spare with that base in its name, if it is there. 0 or -errno.
int ahead_unlink(struct log *l, int64_t base);
// Whether a file of a partition's directory is a spare.
bool ahead_parse_name(const char *name, int64_t *base);

#endif
