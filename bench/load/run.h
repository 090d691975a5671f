// One run: the cluster as control.c found it, a worker per reactor with its producers and consumers, and the
// conductor (conduct.c), a fiber on reactor 0 that begins, watches and ends it.
//
// Shared between threads: struct run, written before the workers begin and constant from then on. A worker's
// counters go to the conductor by message: it lends a struct stats, the worker copies its own into it, empties
// it and sends the loan back.
#ifndef SLUICE_BENCH_LOAD_RUN_H
#define SLUICE_BENCH_LOAD_RUN_H

#include "bench/load/cover.h"
#include "bench/load/link.h"
#include "bench/load/pace.h"
#include "bench/load/plan.h"
#include "bench/load/prep.h"
#include "bench/load/redial.h"
#include "bench/load/scrape.h"
#include "bench/load/stats.h"
#include "engine/log/compress.h"

enum { RUN_THREADS_MAX = 16, RUN_PREPS_MAX = 64, RUN_KEYS = 128 };

struct topic {
    char name[256];
    struct kp_uuid id;
    uint32_t first_part, parts_n;
};

struct part {
    uint32_t topic;
    int32_t index, leader;
    int64_t begin, end; // offsets before the run
};

struct node {
    int32_t id;
    uint16_t port;
    char host[256];
};

struct group {
    char name[32];
    uint32_t node; // its coordinator's place among the nodes
};

struct cluster {
    struct topic *topics;
    uint32_t topics_n;
    struct part *parts; // by topic, then index
    uint32_t parts_n;
    struct node *nodes;
    uint32_t nodes_n;
    struct group *groups;                   // plan.groups of them, if there are committers
    int16_t produce_version, fetch_version; // common to all
    int16_t versions[RUN_KEYS];             // of each API, the highest that all serve; -1: none
    struct cover *covers;       // by subscription, then partition, if consumers are members of groups
    _Atomic int64_t *acked_end; // by partition, as covers: behind the last record acknowledged
    struct {
        int64_t id;
        int16_t epoch;
    } * producers; // idempotence: plan.producers of them
};

struct worker;

struct run {
    const struct plan *plan;
    struct cluster cluster;
    struct reactor_group *group;
    struct prep *preps[RUN_PREPS_MAX];
    uint32_t preps_n, max_n;            // records of the largest full batch
    uint64_t t_begin, t_measure, t_end; // ns; t_end 0: none
    int64_t wall_offset_us;             // wall clock minus monotonic
    struct worker *workers[RUN_THREADS_MAX];
    char error[512]; // what made it fail
    bool ready;      // control.c is through
};

struct producer;
struct consumer;
struct committer;

struct worker {
    struct service svc;
    struct reactor *r;
    struct run *run;
    struct producer **producers;
    uint32_t producers_n;
    struct consumer **consumers;
    uint32_t consumers_n;
    struct committer **committers;
    uint32_t committers_n;
    struct view *view;
    uint64_t acked_at; // ns: the last acknowledgement
    struct stats now;  // since the last report
    struct arena arena;
    struct compress_ctx pack;
    struct decompress_ctx unpack;
};

// Something was acknowledged: keeps the longest time without it.
static inline void worker_acked(struct worker *w, uint64_t now)
{
    if (w->acked_at && now - w->acked_at > w->now.ack_gap)
        w->now.ack_gap = now - w->acked_at;
    w->acked_at = now;
}

#define SVC_LOAD ((enum service_kind)5)
enum {
    OP_BEGIN = MSG_OP(SVC_LOAD, 1),  // -> reply
    OP_REPORT = MSG_OP(SVC_LOAD, 2), // u[0]: struct stats *, lent -> the same, u[1]: WORKER_*
    OP_RATE = MSG_OP(SVC_LOAD, 3),   // u[0]: bits of a double, records/s of one producer; 0: stop -> reply
    OP_END = MSG_OP(SVC_LOAD, 4),    // closes all connections -> reply
    OP_LEAVE = MSG_OP(SVC_LOAD, 5),  // members commit and leave their groups -> reply
};
// u[1] of a report: nothing more comes of it.
enum { WORKER_PRODUCED = 1, WORKER_CONSUMED = 2, WORKER_DEAD = 4, WORKER_LEFT = 8 };

// control.c: a fiber's function; arg: struct run. Sets `ready` at its end, `error` if it failed.
void control_fiber(void *arg);
void cluster_free(struct cluster *c);

// worker.c
struct worker *worker_create(struct run *run, uint32_t reactor);
void worker_destroy(struct worker *w);

// view.c: one per worker, on its reactor's thread.
struct view *view_create(struct worker *w);
void view_want(struct view *v);                           // asks again, soon
int32_t view_leader(const struct view *v, uint32_t part); // part: place in the cluster; below 0: none now
const struct node *view_node(const struct view *v, int32_t id); // NULL: unknown. Until the next refresh
const struct node *view_any_node(const struct view *v, uint32_t turn);
void view_end(struct view *v); // closes
void view_destroy(struct view *v);

// producer.c
struct producer *producer_create(struct worker *w, uint32_t index);
void producer_begin(struct producer *p);
void producer_set_rate(struct producer *p, double rate);
bool producer_done(const struct producer *p); // nothing to send or in flight any more
bool producer_dead(const struct producer *p); // a connection broke for good
void producer_moved(struct producer *p);      // the view is new
void producer_end(struct producer *p);        // closes
void producer_destroy(struct producer *p);

// consumer.c. catchup: begins anew whenever it is through.
struct consumer *consumer_create(struct worker *w, uint32_t index, bool catchup);
void consumer_begin(struct consumer *c);
bool consumer_done(const struct consumer *c); // all offsets that were there at the beginning are read
bool consumer_dead(const struct consumer *c);
void consumer_moved(struct consumer *c); // the view is new
void consumer_leave(struct consumer *c); // leaves its group, if it is in one
bool consumer_left(const struct consumer *c);
// For its member: gives it a partition (place in the cluster) to read from offset `at` on, or takes it away. The position
// of one that it has, else -1. Why it is dead now.
void consumer_assign(struct consumer *c, uint32_t part, int64_t at);
void consumer_revoke(struct consumer *c, uint32_t part);
int64_t consumer_position(const struct consumer *c, uint32_t part);
void consumer_fail(struct consumer *c, const char *why);
void consumer_end(struct consumer *c);
void consumer_destroy(struct consumer *c);

// member.c: a consumer's membership in the group of its subscription.
struct member *member_create(struct worker *w, struct consumer *c, uint32_t subscription, uint32_t index);
void member_begin(struct member *m);
void member_leave(struct member *m); // for good: commits, leaves
bool member_left(const struct member *m);
void member_end(struct member *m); // closes
void member_destroy(struct member *m);
// The name of a subscription's group, at most `cap` bytes with the NUL.
void member_group(const struct plan *p, uint32_t subscription, char *out, size_t cap);

// committer.c
struct committer *committer_create(struct worker *w, uint32_t index);
void committer_begin(struct committer *c);
void committer_stop(struct committer *c);       // makes no more
bool committer_done(const struct committer *c); // nothing to send or in flight any more
bool committer_dead(const struct committer *c); // a connection broke
void committer_end(struct committer *c);        // closes
void committer_destroy(struct committer *c);

// conduct.c: a fiber's function; arg: struct conduct.
struct series_row {
    double t; // s since the beginning
    double seconds;
    struct stats s;
};
struct conduct {
    struct run *run;
    struct stats total;   // of the measured time
    struct stats drained; // after it
    double seconds;
    double cpu_s; // the generator's own, over the measured time
    struct {
        double t, seconds, made, acked, acked_bytes, read, read_bytes, catchup_bytes;
        uint64_t p50, p99, max, e2e50, e2e99, late99;
    } * rows;
    uint32_t rows_n;
    struct {
        double rate, achieved;
        uint64_t p50, p99, p999, max;
        bool good;
    } steps[64]; // ramp
    uint32_t steps_n;
    double ramp_best;
    uint64_t acked_all, read_all, made_all; // of the whole run
    struct scrape before, after;            // the broker's stages around the measured time
    bool quiet;
};
void conduct_fiber(void *arg);
// A worker's reply, on reactor 0.
void conduct_reply(struct service *s, const struct spsc_msg *m);

// report.c
void report_text(const struct conduct *c, FILE *out);
void report_json(const struct conduct *c, struct sbuf *out);

#endif
