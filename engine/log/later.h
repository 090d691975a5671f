// Work on logs that nobody waits for, a few of a kind at a time per shard: making files ahead, naming them, sealing. Logs that
// are filled evenly ask for it in the same second; one after the other they leave the disk to those who wait for it.
//
// What is waiting is no fiber and holds nothing: a log that is closed or deleted forgets its own (later_forget). What has
// begun is in its log (log_enter), and is waited for there.
#ifndef SLUICE_ENGINE_LOG_LATER_H
#define SLUICE_ENGINE_LOG_LATER_H

#include "engine/base/list.h"

struct log;
struct log_env;

struct later {
    struct list_node waiting;
    uint32_t running, most; // fibers
};

struct later_work {
    struct list_node node;
    struct log *log;
    // In a fiber when its turn has come, `go`; or at once, without, when it is forgotten. It may free the work.
    void (*run)(struct later_work *w, bool go);
};

// `most` at the same time.
void later_init(struct later *q, uint32_t most);
void later_work_init(struct later_work *w, struct log *l, void (*run)(struct later_work *w, bool go));
// Asks for a turn, the next one if it is `urgent`. Nothing happens if it waits for one already.
void later_add(struct later *q, struct later_work *w, bool urgent);
// The log's work that waits is forgotten.
void later_forget(struct later *q, const struct log *l);

#endif
