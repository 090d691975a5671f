// The broker's own structure; see broker.h.
#ifndef SLUICE_TOOLS_BROKER_BROKER_PRIVATE_H
#define SLUICE_TOOLS_BROKER_BROKER_PRIVATE_H

#include "engine/base/log.h"
#include "engine/coord/coord.h"
#include "tools/broker/broker.h"

// So many logs made or closed together are made durable by one syncfs (engine/log/bulk.h). Fewer are not worth what the
// neighbours on that file system have to be written for it.
enum { BROKER_BULK_LOGS = 64 };

// A log directory: one of log.dirs, or that of the metadata log alone. A data directory has a shard for each place; the
// other one a single shard, where the metadata log belongs.
struct bdir {
    char path[1024];
    bool data;
    struct store *store; // NULL: it could not be opened
    struct sl_uuid id;
    struct shard *shards[REACTOR_MAX];
    uint32_t shards_n;
    bool given_up;        // its recovery failed
    _Atomic bool offline; // it failed while the broker ran
};

struct broker {
    const struct config *cfg;
    uint32_t reactors;
    struct reactor_group *group;
    struct metrics *metrics;
    struct prefault *prefault;
    struct placement placement;
    struct bdir *dirs; // those of log.dirs first
    uint32_t dirs_n, meta_dir;
    struct meta *meta;
    struct coord *coords[REACTOR_MAX]; // by shard
    struct net *nets[REACTOR_MAX];
    struct net_limits *limits;
    struct log *meta_log;
    bool booted, finished;
    int rc;
    char text[1024];
    uint32_t shards_started;
    _Atomic uint32_t shards_ready;
    _Atomic int failed;      // first error after boot
    _Atomic bool registered; // the controller has appended what a start appends
    _Atomic uint32_t listening;
};

// boot.c
int boot_fail(struct broker *b, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void boot_fiber(void *arg);
// dirs.c: the log directories. Opens all that can be opened, checks that they belong together, formats those that are empty.
// Fiber. 0, or an error with its text.
int dirs_open(struct broker *b, struct meta_identity *id);
bool dir_up(const struct bdir *d); // opened, and not given up
// Makes the shards of every open directory. After dirs_open.
int dirs_make_shards(struct broker *b, const struct shard_config *common, void (*ready)(void *, int));
// Joins the shards of each reactor in a row, and starts them.
int dirs_place_shards(struct broker *b);
// The shard of a directory where a partition belongs; of the metadata log's where it is alone, that one.
struct shard *dir_shard(const struct broker *b, uint32_t dir, const struct sl_uuid *topic, int32_t partition);
// An error of this directory's at a start: 0 if the broker goes on without it, else rc.
int dir_give_up(struct broker *b, uint32_t dir, int rc, const char *why);
// Every directory's new life.
int dirs_begin_life(struct broker *b, const struct journal_config *jc);
// Clean ends, of those that were stopped cleanly. The first error of one that had not failed before.
int dirs_end(struct broker *b);
void dirs_destroy(struct broker *b);
// coordinators.c
extern const struct coord_topics broker_coord_topics;
// recover.c: every partition of the image that lives here. Fiber.
int recover_partitions(struct broker *b);
// finish.c
void finish_fiber(void *arg);

#endif
