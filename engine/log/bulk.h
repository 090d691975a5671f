// Many small changes made durable together: a topic of thousands of partitions, the clean stop of all logs. Each log would
// cost up to six syncs; one syncfs(2) covers them all.
//
// It is for files that nobody relies on before the end: until bulk_end said 0 a crash may leave each of them old, new, or
// damaged. What was written while the bulk was on counts as durable (S9, S11) only from there on.
#ifndef SLUICE_ENGINE_LOG_BULK_H
#define SLUICE_ENGINE_LOG_BULK_H

#include "engine/io/fiber.h"

struct bulk {
    io_file dir;
    bool on; // files are written without a sync of their own
};

// Fiber, before the first write that it is to cover. It is on if `n` logs are `min` or more (0: never), `dir` can be opened and its file
// system is one where syncfs is known to hold its promise; else everything is synced as it is written.
void bulk_begin(struct bulk *b, const char *dir, uint32_t n, uint32_t min);
// Fiber. If it is on: makes all of that durable, `dir`'s entries too. 0 or -errno; it is off afterwards.
int bulk_end(struct bulk *b);
// Fiber. Ends it without making anything durable: what it was for has failed.
void bulk_drop(struct bulk *b);

#endif
