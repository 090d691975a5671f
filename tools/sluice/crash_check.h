/* sluice crash-check: producers that remember what was acknowledged, a broker that is killed, and a reader that compares.
 *
 * Each partition has one idempotent producer (a thread): it sends one batch at a time with acks=all and sends it again,
 * with the same sequence, until it is acknowledged, over as many kills as that takes. So after each restart the partition
 * must hold exactly its batches, in order, each once, at the offsets that were acknowledged; the last one may be there
 * without its acknowledgement. The ledger of a partition is written by its producer, and read by others while no
 * producer runs. */
#ifndef SLUICE_TOOLS_SLUICE_CRASH_CHECK_H
#define SLUICE_TOOLS_SLUICE_CRASH_CHECK_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/base/rand.h"
#include "tools/sluice/crash_wire.h"

#define CRASH_TOPIC "crash-check"
enum { CRASH_PARTITIONS_MAX = 256, CRASH_TIMEOUT_MS = 15000 };

enum { CRASH_DIRS_MAX = 16 };
struct crash_options {
    const char *dir; /* where the data directory is made */
    const char *sluiced;
    int rounds;
    double seconds; /* of load before a kill, at most */
    int partitions;
    int max_batch; /* bytes */
    int dirs;      /* log directories: 1 to CRASH_DIRS_MAX */
    uint64_t seed;
    const char **sets; /* key=value for the broker */
    int sets_n;
};

/* One acknowledged batch. */
struct crash_batch {
    int64_t offset;
    uint32_t crc; /* the batch's own, over everything that the broker does not rewrite */
    int32_t records;
};

struct crash_ledger {
    struct crash_batch *acked;
    size_t n, cap;
    int64_t next; /* offset behind the last acknowledged batch */
    /* a batch that was sent and not acknowledged; records 0: none */
    uint8_t *open;
    size_t open_cap, open_len;
    struct crash_batch open_batch;
};

struct crash_producer {
    struct crash_run *run;
    pthread_t thread;
    int32_t partition;
    int64_t producer_id; /* -1: not yet given */
    int16_t epoch;
    int32_t sequence; /* of the next new batch */
    struct sl_rand rand;
    struct crash_wire wire;
    struct crash_ledger ledger;
    char error[200]; /* what no kill explains; empty: none */
};

struct crash_run {
    const struct crash_options *o;
    uint16_t port;
    char data[1024];
    pid_t broker; /* 0: none runs */
    atomic_bool stop;
    struct crash_producer *producers;
    /* found */
    uint64_t lost, changed, doubled, unreadable;
    uint64_t batches_read, bytes_read, records_acked, bytes_acked;
};

/* crash_load.c: runs the producers from now until crash_load_join, which is called after run->stop was set or the broker
 * killed. 0 or -errno. */
int crash_load_start(struct crash_run *run);
void crash_load_join(struct crash_run *run);
/* Every open batch is acknowledged now, as its producer would have it. 0, or -errno with a producer's error set. */
int crash_load_settle(struct crash_run *run);

/* crash_verify.c: reads every partition from its first offset and compares it with its ledger. 0, or -errno: it could not
 * be read. */
int crash_verify(struct crash_run *run);

/* crash_broker.c: the broker as a child. Start returns the milliseconds until it served, or -errno. */
int64_t crash_broker_start(struct crash_run *run);
void crash_broker_kill(struct crash_run *run);
int crash_broker_stop(struct crash_run *run); /* SIGTERM; its exit status */
int crash_create_topic(struct crash_run *run);

#endif
