// The net service's own structures: connections, requests, output. See net.h.
//
// A connection reads frames into one assembly buffer, makes a `struct req` of each, and starts requests in
// order. A request starts only when every earlier one of its connection is answered, as upstream does; but a
// Produce behind Produces starts at once (I5: sequences cannot overtake, shards take messages of a connection
// in order). Answers leave in request order.
//
// An API's handler decodes req->body with the request's arena, may send messages to shards or the controller
// with credits, and ends with exactly one of req_respond, req_respond_none, req_close. The frame lives until
// then, the request and its arena until the answer was sent. A connection that closes meanwhile is freed when
// its last request and operation are home (I7): handlers go on as if nothing had happened; req->conn->closing
// tells that the answer is not wanted.
#ifndef SLUICE_NET_NET_PRIVATE_H
#define SLUICE_NET_NET_PRIVATE_H

#include "engine/base/arena.h"
#include "engine/base/log.h"
#include "engine/base/pool.h"
#include "engine/base/table.h"
#include "net/limits.h"
#include "net/net.h"
#include "net/quota.h"
#include "proto/codec.h"

struct conn;
struct req;

enum {
    CONN_REQUESTS_MAX = 64,      // requests read, and answers not yet sent, per connection
    CONN_HEAD = 64,              // first bytes of a frame, received into the connection
    CONN_SMALL_FRAME = 8 << 10,  // a row of such frames ends direct receives
    OUT_START_MAX = 64 << 10,    // bytes not yet sent beyond which no further request is started
    REQ_ARENA_LIMIT = 16 << 20,  // decoded structures of one request
    REQ_DECODED_BIG = 256 << 10, // beyond it they count against...
    NET_DECODED_MAX = 64 << 20,  // ...what all requests of a service may decode to
};

// Stage stamps of Produce and Fetch, in order, monotonic ns; 0: not passed. Each stage is what lies between its stamp
// and the one before. They go to the histograms PRODUCE_PARSED.. and FETCH_PARSED.. when the answer was sent.
enum req_stage {
    REQ_RECEIVED, // the whole frame is here
    REQ_PARSED,   // decoded and planned
    REQ_QUEUED,   // Produce: the shard took it. Fetch: its last round began (before it, it waited)
    REQ_STORED,   // Produce: in the log's memory. Fetch: the last round's records are at hand
    REQ_WRITTEN,  // Produce: the write of its commit group began
    REQ_DURABLE,  // Produce: that write is done
    REQ_ANSWERED, // the answer is encoded, and all before it are
    REQ_SENT,     // the socket took the last byte
    REQ_STAGES
};

// A piece of output: an encoded buffer with splices of record bytes, in order.
struct out_item {
    struct list_node node;
    struct iovec *iov; // &one, or malloc'd
    struct iovec one;
    uint32_t iov_n, at; // at: first piece not yet wholly sent
    size_t at_off;      // bytes of it already sent
    size_t bytes;
    uint32_t refs; // send operations that still hold its bytes
    bool sent;
    struct req *req; // to be freed with it
    uint8_t buf[];
};

// Where a frame lies, and how it counts. Small and big ones come from the pool, of which big ones leave a part; large ones
// are mapped.
enum frame_class {
    FRAME_IS_SMALL,
    FRAME_IS_BIG,
    FRAME_IS_LARGE,
    FRAME_CLASSES,
    FRAME_IN_HEAD = FRAME_CLASSES
};
struct frame_mem {
    uint8_t *p;
    uint32_t cap;
    enum frame_class kind;
};

struct req {
    struct list_node node; // on conn->backlog, then conn->requests, in arrival order
    struct conn *conn;
    struct net *net;
    const struct api_handler *api;
    int16_t key, version;
    int32_t correlation_id;
    struct kp_str client_id;
    struct frame_mem frame; // its p is NULL once answered: body and client_id are gone then
    uint32_t decoded;
    bool granted; // its frame was let in above the limits
    const uint8_t *body;
    size_t body_len;
    struct arena arena;
    uint64_t t_received;
    uint64_t t[REQ_STAGES]; // stage stamps, see below
    uint32_t frame_len;
    uint64_t busy_ns;         // spent on it, for quotas
    uint32_t throttle_ms;     // by the quota of what it moved
    bool counted;             // its time was
    char client[SLOW_CLIENT]; // the client id, cut short
    bool done;
    void *state;                   // the handler's, usually from the arena
    void (*on_free)(struct req *); // called before the request is freed: releases what the answer pinned
    struct out_item *answer;       // NULL with done: no answer
    const char *close_why;         // with done: the connection ends here
};

// ---- handlers ----------------------------------------------------------------------------------------------------------
struct api_handler {
    int16_t key;
    int16_t min, max;      // versions accepted
    int16_t advertise_min; // as ApiVersions says (Produce: 0, trap 1)
    void (*start)(struct req *r);
    bool pipelined; // may start behind unanswered requests of the same API
};
// One per file net/api/NN_name.c.
extern const struct api_handler api_produce, api_fetch, api_list_offsets, api_metadata, api_offset_commit,
    api_offset_fetch, api_find_coordinator, api_join_group, api_heartbeat, api_leave_group, api_sync_group,
    api_describe_groups, api_list_groups, api_api_versions, api_create_topics, api_delete_topics,
    api_delete_records, api_init_producer_id, api_offset_for_leader_epoch, api_describe_acls, api_create_acls,
    api_delete_acls, api_describe_configs, api_alter_configs, api_alter_replica_log_dirs,
    api_describe_log_dirs, api_create_partitions, api_delete_groups, api_elect_leaders,
    api_incremental_alter_configs, api_alter_partition_reassignments, api_list_partition_reassignments,
    api_offset_delete, api_describe_client_quotas, api_alter_client_quotas,
    api_describe_user_scram_credentials, api_describe_quorum, api_update_features, api_describe_cluster,
    api_describe_producers, api_unregister_broker, api_describe_transactions, api_list_transactions,
    api_consumer_group_heartbeat, api_consumer_group_describe, api_list_config_resources,
    api_describe_topic_partitions, api_add_raft_voter, api_remove_raft_voter;
// All that are served, by key; NULL if not. *n: how many (for ApiVersions).
const struct api_handler *api_find(int16_t key);
const struct api_handler *const *api_all(uint32_t *n);

// Answers with message `m` (struct kp_<message>), whose size and encode functions are given: the response
// header of the request's version, then the body. Splices' ext must point to a struct splice_bytes. A message
// that cannot be encoded in this version closes the connection and is logged.
struct splice_bytes {
    const struct log_piece *pieces;
    uint32_t n;
};
typedef int64_t (*kp_size_fn)(const void *m, int16_t version);
typedef int (*kp_encode_fn)(const void *m, int16_t version, struct kp_writer *w);
void req_respond(struct req *r, const void *m, kp_size_fn size, kp_encode_fn encode);
// Fills the throttle time in, too.
#define REQ_RESPOND(r, m, message)                                                                           \
    do {                                                                                                     \
        kp_##message##_set_throttle((m), (int32_t)req_throttle(r));                                          \
        req_respond((r), (m), (kp_size_fn)kp_##message##_size, (kp_encode_fn)kp_##message##_encode);         \
    } while (0)
// Counts the request's time for its quota, once, and holds its connection up for as long as it is throttled: by that, or as
// r->throttle_ms says. Returns the ms, 0 mostly.
uint32_t req_throttle(struct req *r);
// As req_respond in another version than the request's (ApiVersions).
void req_respond_as(struct req *r, const void *m, int16_t version, kp_size_fn size, kp_encode_fn encode);
void req_respond_none(struct req *r); // acks=0
// For a request that may wait long: the body and the client id move into the arena, the frame's memory is given back.
void req_keep_body(struct req *r);
// Bad input: the connection closes without an answer, but earlier requests are answered first. `why`: static
// text.
void req_close(struct req *r, const char *why);
// Zeroed, from the arena. Not limited once the body was decoded, so bound n by a small constant times what
// was decoded.
void *req_alloc(struct req *r, size_t n);
void *req_alloc_array(struct req *r, size_t n, size_t size);
// Decodes the body or closes the connection; false: the handler returns at once.
typedef int64_t (*kp_decode_fn)(void *m, const uint8_t *buf, size_t len, int16_t version, struct arena *a);
bool req_decode(struct req *r, void *m, kp_decode_fn decode);
#define REQ_DECODE(r, m, message) req_decode((r), (m), (kp_decode_fn)kp_##message##_decode)

// ---- stages (stage.c) ------------------------------------------------------------------------------------------------
void req_stamp(struct req *r, enum req_stage s); // now
// The answer was sent: counts the stages, and keeps the request if it is among the slowest.
void req_stages_count(struct req *r);
// "parsed", "queued" or, of a Fetch, "waited" ...
const char *req_stage_name(bool fetch, enum req_stage s);

// ---- messages with credits -----------------------------------------------------------------------------------------------
// A call to another service on behalf of a request: takes a credit towards reactor `to` (waiting in order
// while there is none), sends `op` with `ptr` in u[0], and runs `done` when the reply with the same op and
// pointer comes back. The credit is given back before `done`, unless keep_credit is set; then the caller
// gives it back with call_release.
struct call {
    struct ready wait;
    struct net *net;
    struct req *req;
    uint32_t to;
    uint16_t op;
    void *ptr;
    void (*done)(struct call *c);
    bool keep_credit;
    UT_hash_handle hh; // by ptr, while under way
};
// `c` is the caller's memory (the request's arena) and lives until done ran.
void call_send(struct call *c, struct req *r, uint32_t to, uint16_t op, void *ptr,
               void (*done)(struct call *c));
// The same for the service itself.
void call_begin(struct call *c, struct net *n, uint32_t to, uint16_t op, void *ptr,
                void (*done)(struct call *c));
void call_release(struct net *n, uint32_t to);
// A request that its coordinator had parked is done (net/api/groups.c).
struct coord_req;
void net_coord_done(struct net *n, struct coord_req *q);
// The reactor of the shard that a partition lives on, and of the controller.
uint32_t net_shard_of(const struct net *n, const struct sl_uuid *topic_id, int32_t partition);
uint32_t net_shard_reactor(const struct net *n, uint32_t shard);
uint32_t net_controller_reactor(const struct net *n);
uint32_t net_shards(const struct net *n);
const struct meta_image *net_image(const struct net *n); // this turn's
// The configuration in force, dynamic broker configs included; valid for this turn.
const struct config *net_config(const struct net *n);
// The endpoint of a broker that a client of this connection should use: the advertised listener of the
// connection's own.
const struct meta_endpoint *conn_endpoint(const struct conn *c, const struct meta_broker *b);

// ---- watches (fetch) -----------------------------------------------------------------------------------------------------
// A fetch registers under a key; `fired` runs (in the net service's turn) when the shard of reactor `from` names the key. One
// key serves all shards. watch_add gives a fresh one.
struct net_watch {
    uint64_t key;
    UT_hash_handle hh;
    void (*fired)(struct net_watch *w, uint32_t from, struct shard_fired_key *f);
};
void net_watch_add(struct net *n, struct net_watch *w);
void net_watch_remove(struct net *n, struct net_watch *w); // forgets it here; shards are told with net_settle
// Gives back what a fetch left at the shard of reactor `to`: pins (may be NULL) and the watch (0: none); `read`: the key of the
// watch that brought what was pinned (0: none). Takes its credit when there is one.
struct shard_pins;
void net_settle(struct net *n, uint32_t to, struct shard_pins *pins, uint64_t unwatch, uint64_t read);
// Forgets what the connection's fetches left; `tell`: and takes their watches back.
void fetch_keep_free(struct conn *c, bool tell);
// Whether a credit towards `to` may be kept without others going short: some are free.
bool net_credit_spare(struct net *n, uint32_t to);

// ---- connections ---------------------------------------------------------------------------------------------------------
enum conn_mode { CONN_MULTI, CONN_DIRECT };
struct held_buf { // a provided buffer whose bytes found no frame memory yet
    uint8_t *p;
    uint32_t id, n;
};
struct conn {
    struct list_node node; // on net->conns
    struct net *net;
    io_sock sock;
    uint64_t id;
    const struct cfg_listener *listener;
    char peer[NET_PEER_MAX]; // its address in text
    uint32_t
        ops; // operations in flight, and callers up the stack: the connection is freed when none are left
    bool closing; // shut down: nothing is read, started or sent any more
    bool eof;     // nothing more is read; it closes when what was read is answered and the answers are sent
    bool muted;   // with eof: what is not queued for sending by now is not answered either
    const char *why; // said in the log when it closes: static text, NULL for an ordinary end
    uint64_t last_active, closed_at;
    // receiving
    struct io_op recv_op;
    enum conn_mode mode;
    bool receiving, cancelling;
    uint8_t small_frames; // in a row
    uint32_t trust;       // largest frame that it completed: as much is reserved ahead for the next
    uint32_t last_frame;
    uint64_t frame_since; // when the frame in assembly began to arrive
    // received and not yet taken: [in_at, in_len) of in_cap bytes
    struct frame_mem mem; // the assembly buffer, also at in; p is NULL if there is none
    uint8_t *in;
    uint32_t in_cap, in_at, in_len;
    uint8_t head[CONN_HEAD]; // it may lie here: FRAME_IN_HEAD
    struct held_buf *held;   // received after them
    uint32_t held_at, held_n, held_cap;
    struct list_node mem_wait; // on net->mem_waiters
    uint64_t mem_since;
    bool granted;
    // requests
    struct list_node backlog;  // struct req: read, not started
    struct list_node requests; // struct req: started, not answered; answers leave in this order
    uint32_t requests_n;       // on both
    uint64_t frame_bytes;      // frame memory of its requests
    struct ready go;           // starts requests, reads on, closes
    uint64_t throttled;        // until then (ns) nothing is read or started: quotas
    struct timer unthrottle;
    void (*on_close)(
        struct conn *c); // a waiting request wants to know; also called when the peer has shut its side down
    void *close_arg;
    struct fetch_keep *fetches; // what its last fetch left for the next one (api/fetch_keep.c), or NULL
    // output
    struct list_node out;     // struct out_item
    struct list_node leaving; // those wholly sent whose bytes the kernel still holds
    uint32_t out_n;           // on out
    uint64_t out_bytes;
    bool sending, flush_queued;
    struct list_node flush_node; // on net->flush
    uint8_t zc_copied;           // notifications in a row that said "copied"
    bool zc_off;
};

struct listener {
    struct net *net;
    const struct cfg_listener *cfg;
    io_sock sock;
    struct io_op op;
    bool armed;
    struct list_node held; // accepted, waiting to be let in (accept.c)
    uint32_t held_n;
};

enum { NET_USED = MSG_OP(SVC_NET, 210) }; // quota.c: to the other net services; replied with the same op

struct pid_block { // this service's part of the producer ids
    int64_t next, end;
    bool asking;
    struct list_node waiting;
};

struct net {
    struct service svc;
    struct reactor *r;
    struct net_config cfg;
    struct buf_pool *frames; // frames up to BUF_POOL_SLAB; larger ones are mapped one by one
    uint64_t large_bytes, large_limit;
    uint64_t frame_share; // frame memory that the requests of one connection may hold before it is read on
    uint64_t zc_min;      // sluice.zero.copy.min.bytes
    uint64_t decoded;     // memory of decoded requests that are large
    struct obj_pool reqs, sends;
    struct list_node conns, in_flight, closes; // in_flight: sends; closes: sockets whose close is under way
    uint32_t conns_n;
    uint64_t next_conn, next_watch;
    struct listener *listeners;
    uint32_t listeners_n;
    struct list_node mem_waiters[FRAME_CLASSES];
    uint64_t big_bytes, big_limit; // of the pool: the rest is for small frames
    bool mem_serving, granted;     // granted: some connection or request has the grant (frame.c)
    uint32_t mem_turn;
    uint32_t frame_max;  // socket.request.max.bytes
    struct ready mem_go; // frame memory was given back: serves the waiters
    struct list_node flush;
    struct net_watch *watches;
    uint64_t kept_bytes,
        held_bytes; // of what connections' fetches left, of answers that wait for one (api/fetch_keep.c)
    struct call *calls;
    uint32_t calls_n;   // under way or waiting for a credit, settlements that wait for one among them
    struct timer tick;  // idle connections, memory waiters
    struct timer admit; // the next look at connections that wait to be let in, at admit_at if it is set
    uint64_t admit_at;
    bool admit_set;
    bool stopping, stopped;
    struct call let_go[REACTOR_MAX]; // of a stop: to coordinators
    struct pid_block pids;
    struct fetch_sessions *sessions;
    struct quotas *quotas; // quota.c; NULL: none was ever met
    struct req *busy;      // its handler starts, since busy_since
    uint64_t busy_since;
    struct http *http; // the metrics endpoint, on one reactor
};

// conn.c
void conn_new(struct net *n, struct listener *l, io_sock sock, const char *peer);
void conn_close(struct conn *c, const char *why);              // at once; answers that are not sent are lost
void conn_abort_overdue(struct conn *c, uint64_t patience_ns); // closed so long ago and not home: it is reset
// Reads no more, and closes when what was read is answered and sent. `mute`: what is not queued yet is not
// answered.
void conn_end(struct conn *c, const char *why, bool mute);
void conn_maybe_free(struct conn *c);
bool conn_may_take(const struct conn *c); // within its limits for requests and memory
void conn_read_more(struct conn *c);      // takes frames and receives, if it may
void conn_wake(
    struct conn *c); // something was answered or sent: starts, reads or closes in this turn or the next
void conn_throttle(struct conn *c, uint32_t ms); // nothing is read or started for so long
void conn_relax(struct conn *c);                 // gives the buffer of an idle direct receive back
void conn_destroy(struct conn *c);               // tear-down without I/O
void conn_discard(struct net *n, io_sock sock);  // closes a socket
void conn_discards_destroy(struct net *n);       // tear-down
// frame.c
bool frame_take_all(struct conn *c);       // takes whole frames. False: memory is short, or it ends
uint32_t frame_need(const struct conn *c); // of the frame in assembly, with its prefix; 0: not known yet
uint32_t frame_want(const struct conn *c, uint32_t need,
                    uint32_t have); // how much of it to make room for now
// Room for `want` bytes from in_at on, of a frame of `need` (0: not known): 0, or -ENOMEM: waits for memory
int frame_reserve(struct conn *c, uint32_t want, uint32_t need);
void frame_use_head(struct conn *c);     // assembles in the connection itself; there is no other buffer
bool frame_pressed(const struct net *n); // someone waits for memory
void frame_drop(struct conn *c);         // the assembly buffer
void frame_free(struct net *n, const struct frame_mem *m);
uint32_t frame_need_at(const struct conn *c, const uint8_t *p); // of a frame whose prefix lies at p
void frame_grant_end(struct net *n, bool *granted);             // nothing if it has no grant
void frame_serve_waiters(struct ready *w);
// out.c
void out_push(struct conn *c, struct out_item *it);
void out_flush(struct conn *c);
void out_drop_all(struct conn *c);
void out_item_free(struct out_item *it);
size_t out_send_op_size(void);
void out_destroy(struct net *n); // tear-down: forgets the sends in flight
// req.c
void req_free(struct req *r);
void req_finish(struct req *r);
void req_destroy(struct req *r); // tear-down: no on_free
// http.c
int http_listen(struct net *n, char *err, size_t cap); // 0 without a listener too
void http_tick(struct net *n);
void http_stop(struct net *n);
bool http_stopped(const struct net *n);
void http_destroy(struct net *n);
// fetch_session.c
void fetch_sessions_destroy(struct net *n);
// call.c
void net_on_msg(struct service *svc, uint32_t from, const struct spsc_msg *m);
// net.c
void net_maybe_stopped(struct net *n); // tells the reactor when the stop is complete
void net_tick_start(struct net *n);
// accept.c
void listeners_tick(struct net *n);
void listeners_room(struct net *n); // a connection has left: one that waits may come in
void listeners_stop(struct net *n);
bool listeners_closed(const struct net *n);
void listeners_destroy(struct net *n);

#endif
