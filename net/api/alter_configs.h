// What AlterConfigs and IncrementalAlterConfigs share: a request to the controller, and this broker's loggers.
#ifndef SLUICE_NET_API_ALTER_CONFIGS_H
#define SLUICE_NET_API_ALTER_CONFIGS_H

#include "net/api/common.h"

// One resource of the request, as either API has it; `alter` is what the controller works on, or nothing where this
// broker answers by itself.
struct alter_item {
    int8_t type;
    struct kp_str name;
    struct meta_alter_entry *entries;
    uint32_t entries_n;
    int16_t error;
    struct kp_str message;
    struct meta_alter_resource *asked; // NULL: answered here
};
struct alter_state {
    struct meta_alter ask;
    struct call call;
    struct alter_item *items;
    uint32_t n;
    void (*answer)(struct req *r, struct alter_state *st);
};
// Items for n resources, to be filled in.
struct alter_state *alter_new(struct req *r, uint32_t n);
// An entry of an item; strings are copied.
void alter_entry(struct req *r, struct alter_item *it, struct kp_str key, struct kp_str value, int8_t op);
// Answers what is the broker's own, asks the controller for the rest, and calls `answer` when all items have their
// result.
void alter_go(struct req *r, struct alter_state *st, bool incremental, bool validate_only,
              void (*answer)(struct req *r, struct alter_state *st));

#endif
