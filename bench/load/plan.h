// What one run of the load generator does: a table of keys with type, range, default and prose.
//
// A workload file holds lines `key = value`; blank lines and lines that begin with # are skipped. The same
// pairs may stand on the command line, where they win over the file. An unknown key, or a value out of range,
// is an error that names what is allowed. Cold code; one thread.
#ifndef SLUICE_BENCH_LOAD_PLAN_H
#define SLUICE_BENCH_LOAD_PLAN_H

#include "engine/base/err.h"
#include "engine/base/sbuf.h"

#include <stdio.h>

enum plan_acks { PLAN_ACKS_ALL, PLAN_ACKS_ONE, PLAN_ACKS_NONE };
enum plan_spread { PLAN_ROUND_ROBIN, PLAN_STICKY, PLAN_RANDOM, PLAN_ZIPF };
enum plan_protocol { PLAN_CLASSIC, PLAN_CONSUMER };
enum plan_verify { PLAN_VERIFY_NONE, PLAN_VERIFY_CRC, PLAN_VERIFY_RECORDS };

// Times are in the unit of the key's name; sizes in bytes; rates in records
// (committers: offsets) per second over all of them.
struct plan {
    char *name, *brokers, *topic, *topic_config, *record_bytes, *key_bytes, *metrics, *group;
    int64_t topics, partitions, replication, create;
    int64_t producers, consumers, subscriptions, catchup, threads;
    int64_t committers, groups, commit_offsets;
    int64_t group_protocol, commit_ms, session_ms, heartbeat_ms, fetch_session, reconnect;
    double churn_s;
    double rate;
    int64_t arrival, inflight, batch_bytes, request_bytes, buffer_bytes, acks, idempotence, compression,
        spread;
    double linger_ms;
    int64_t keys, stamp, compressible;
    int64_t fetch_min, fetch_wait_ms, fetch_bytes, fetch_partition_bytes, from, verify;
    double warmup_s, duration_s, drain_s, pause_every_s, pause_s;
    int64_t records, timeout_ms, seed;
    double ramp_p99_ms, ramp_from, ramp_to, ramp_step_s, late_ms;
    char *set_by_mode; // the mode's name, for the summary
};

// Every key at its default.
struct plan *plan_new(void);
void plan_free(struct plan *p);

// Defaults of a mode: "produce", "consume", "e2e", "mixed", "commit" or "ramp". 0, or -EINVAL with `err` filled.
int plan_set_mode(struct plan *p, const char *mode, char *err, size_t cap);

// One key. 0, or -EINVAL with `err` saying what is allowed.
int plan_set(struct plan *p, const char *key, const char *value, char *err, size_t cap);

// `key=value`, blanks around both allowed. As plan_set.
int plan_set_pair(struct plan *p, const char *pair, char *err, size_t cap);

// A workload file of at most 64 KiB. 0, -EINVAL, or -errno; `err` names file and line.
int plan_load(struct plan *p, const char *path, char *err, size_t cap);

// Rules between keys; call it last. 0, or -EINVAL with `err` filled.
int plan_check(const struct plan *p, char *err, size_t cap);

// Whether anything is written: records or offsets.
bool plan_writes(const struct plan *p);

// Whether consumers are members of groups.
bool plan_has_groups(const struct plan *p);

// Whether the run looks for the highest rate.
bool plan_is_ramp(const struct plan *p);

// All keys with defaults and prose, for --help-keys.
void plan_print_keys(FILE *out);

// Appends the plan as a JSON object.
void plan_json(const struct plan *p, struct sbuf *out);

// A size as text has it: digits with an optional k, m or g (powers of 1024). False: not one.
bool plan_parse_size(const char *s, int64_t *out);

#endif
