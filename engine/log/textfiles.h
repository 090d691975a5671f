/* Kafka's small text files of a log directory, to and from memory. Parsers are strict and never read past n
 * bytes; they accept what upstream writes, and what it reads unless said otherwise. Printers append to a
 * buffer. Pure; any thread.
 *
 * Offset checkpoints (recovery-point-offset-checkpoint, replication-offset-checkpoint,
 * log-start-offset-checkpoint, cleaner-offset-checkpoint):
 *   0                      version
 *   2                      number of lines that follow
 *   topic-a 0 1234         topic, partition, offset
 *   topic-b 7 99
 * partition.metadata:
 *   version: 0
 *   topic_id: Wq1mFpMSSkmKe4EHjYWblg
 * meta.properties (Java properties, in any order):
 *   version=1
 *   node.id=1
 *   cluster.id=...
 *   directory.id=...
 * .kafka_cleanshutdown: {"version":0,"brokerEpoch":42}
 * quorum-state, data_version 0 (kraft.version 0) and 1, one line:
 *   {"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],
 *    "data_version":0}
 *   {"leaderId":-1,"leaderEpoch":2,"votedId":1,"votedDirectoryId":"...","data_version":1} */
#ifndef SLUICE_LOG_TEXTFILES_H
#define SLUICE_LOG_TEXTFILES_H

#include "engine/base/sbuf.h"
#include "engine/base/uuid.h"

#define TEXT_TOPIC_MAX      249
#define TEXT_CLUSTER_ID_MAX 63
#define QUORUM_VOTERS_MAX   64

struct offset_checkpoint {
    char topic[TEXT_TOPIC_MAX + 1];
    int32_t partition;
    int64_t offset;
};

/* Called for each line; returns 0 or a negative error, which ends the parse. */
typedef int (*offset_checkpoint_fn)(void *arg, const struct offset_checkpoint *c);

struct meta_properties {
    int32_t node_id;
    char cluster_id[TEXT_CLUSTER_ID_MAX + 1];
    bool has_directory_id;
    struct sl_uuid directory_id;
};

struct quorum_state {
    int64_t applied_offset; /* version 0 */
    int32_t leader_id;      /* -1: none */
    int32_t leader_epoch;
    int32_t voted_id; /* -1: none */
    int16_t version;  /* data_version: 0 or 1 */
    uint16_t voter_count;
    char cluster_id[TEXT_CLUSTER_ID_MAX + 1]; /* version 0 */
    struct sl_uuid voted_directory_id;        /* version 1 */
    int32_t voters[QUORUM_VOTERS_MAX];        /* version 0 */
};

SL_EXTERN_C_BEGIN

/* Returns 0, -EBADMSG, or fn's error. Topic names must be legal Kafka names, partitions not negative. */
int offset_checkpoint_parse(const char *p, size_t n, offset_checkpoint_fn fn, void *arg);

/* A whole file: begin with the number of entries, then each of them. */
int offset_checkpoint_print_begin(struct sbuf *out, uint32_t count);
int offset_checkpoint_print(struct sbuf *out, const char *topic, int32_t partition, int64_t offset);

/* 0 or -EBADMSG (a zero id, too). A version above 0 is accepted, as upstream does. */
int partition_metadata_parse(const char *p, size_t n, struct sl_uuid *topic_id);
int partition_metadata_print(struct sbuf *out, const struct sl_uuid *topic_id);

/* Version 1 only: -EPROTONOSUPPORT for version 0 (before KRaft) or another; -EBADMSG when something is
 * missing or malformed. */
int meta_properties_parse(const char *p, size_t n, struct meta_properties *out);
int meta_properties_print(struct sbuf *out, const struct meta_properties *m);

/* The broker epoch. Upstream takes a file that it cannot read for one without epoch; here that is -EBADMSG,
 * and the caller decides. */
int clean_shutdown_parse(const char *p, size_t n, int64_t *broker_epoch);
int clean_shutdown_print(struct sbuf *out, int64_t broker_epoch);

/* -EPROTONOSUPPORT for a data_version above 1; -EBADMSG. Unknown fields are passed over. */
int quorum_state_parse(const char *p, size_t n, struct quorum_state *out);
int quorum_state_print(struct sbuf *out, const struct quorum_state *q);

/* Whether the n bytes at s are a legal topic name: 1 to 249 of [a-zA-Z0-9._-], not "." or "..". */
bool topic_name_ok(const char *s, size_t n);

SL_EXTERN_C_END

#endif
