// The broker's own structure; see broker.h.
#ifndef SLUICE_TOOLS_BROKER_BROKER_PRIVATE_H
#define SLUICE_TOOLS_BROKER_BROKER_PRIVATE_H

#include "engine/base/log.h"
#include "engine/coord/coord.h"
#include "tools/broker/broker.h"

// So many logs made or closed together are made durable by one syncfs (engine/log/bulk.h). Fewer are not worth what the
// neighbours on that file system have to be written for it.
enum { BROKER_BULK_LOGS = 64 };

struct broker {
    const struct config *cfg;
    uint32_t reactors;
    struct reactor_group *group;
    struct metrics *metrics;
    struct placement placement;
    char dir[1024];
    struct store *store;
    struct meta *meta;
    struct shard *shards[REACTOR_MAX];
    struct coord *coords[REACTOR_MAX]; // by shard
    struct net *nets[REACTOR_MAX];
    struct net_limits *limits;
    struct log *meta_log;
    bool booted, finished;
    int rc;
    char text[1024];
    _Atomic uint32_t shards_ready;
    _Atomic int failed;      // first error after boot
    _Atomic bool registered; // the controller has appended what a start appends
    _Atomic uint32_t listening;
};

// boot.c
int boot_fail(struct broker *b, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void boot_fiber(void *arg);
// coordinators.c
extern const struct coord_topics broker_coord_topics;
// recover.c: every partition of the image that lives here. Fiber.
int recover_partitions(struct broker *b);
// finish.c
void finish_fiber(void *arg);

#endif
