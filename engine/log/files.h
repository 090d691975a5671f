// Open segment files of a shard, in the order of their use. Each file that appends or reads have opened stays open, so that
// the next does not wait; beyond a limit the ones used longest ago are closed, if nobody is at work on them, and opened again
// when they are needed. The limit is soft: files with bytes that are not written back yet stay open until they are.
#ifndef SLUICE_ENGINE_LOG_FILES_H
#define SLUICE_ENGINE_LOG_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/list.h"

struct segment;
struct log_env;

struct files {
    struct list_node open; // segments by files_node, the one used longest ago first
    uint32_t n, max;       // max 0: without limit
    uint32_t spares;       // files that are open for segments to come (ahead.h); they count
    bool trimming, wanted;
};

void files_init(struct files *f, uint32_t max);
// A segment's file was opened; closed (harmless if it is not on the list); used.
void files_opened(struct segment *s);
void files_closed(struct segment *s);
void files_used(struct segment *s);
// Whether one more spare may be open: they take half of the limit at most.
bool files_allow_spare(const struct files *f);

// Closes some, in a fiber, if there are too many: one was opened, or written back and may be closed from here on.
void files_trim(struct log_env *env);

#endif
