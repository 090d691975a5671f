// What coordinators need of the metadata image. Rooms side by side do not include each other: the composition root fills
// this in. Called on the coordinator's reactor; what is handed out is valid for this turn.
#ifndef SLUICE_ENGINE_COORD_TOPICS_H
#define SLUICE_ENGINE_COORD_TOPICS_H

#include "engine/base/config.h"
#include "engine/base/uuid.h"
#include "engine/io/reactor.h"

struct coord_topic {
    struct sl_uuid id;
    const char *name;
    uint32_t name_len;
    int32_t partitions;
    uint32_t max_message_bytes; // its topic configuration
};

struct coord_topics {
    // The number of the image that this reactor has, +1 for each publication; 0: none yet.
    uint64_t (*version)(struct reactor *r);
    bool (*by_name)(struct reactor *r, const char *name, size_t len, struct coord_topic *out);
    bool (*by_id)(struct reactor *r, const struct sl_uuid *id, struct coord_topic *out);
    // The i-th topic in the order of names; false past the last.
    bool (*at)(struct reactor *r, uint32_t i, struct coord_topic *out);
    // Whether this broker leads the partition.
    bool (*leads)(struct reactor *r, const struct sl_uuid *id, int32_t partition);
    // What is set of a group under one of Kafka's keys ("consumer.session.timeout.ms"); NULL: nothing. May be NULL.
    const char *(*group_config)(struct reactor *r, const char *group, const char *key);
    // The configuration in force, dynamic settings included. May be NULL: that of the start counts.
    const struct config *(*config)(struct reactor *r);
};

#endif
