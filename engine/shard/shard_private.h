// The storage service's own structures; see shard.h.
#ifndef SLUICE_ENGINE_SHARD_SHARD_PRIVATE_H
#define SLUICE_ENGINE_SHARD_SHARD_PRIVATE_H

#include "engine/base/log.h"
#include "engine/base/table.h"
#include "engine/log/convert.h"
#include "engine/log/trash.h"
#include "engine/shard/producers.h"
#include "engine/shard/refusals.h"
#include "engine/shard/shard.h"

struct part_key {
    struct sl_uuid topic_id;
    int32_t partition;
};

// A partition of this shard. Freed at the end of a turn when closed and nothing refers to it.
struct part {
    struct part_key key;
    UT_hash_handle hh;
    struct shard *s;
    struct log *log;
    int64_t journal_end;       // the journal is durable up to this offset, if anything was appended
    uint32_t refs;             // in-flight appends, reads, fibers
    bool closing;              // being deleted: new requests find nothing
    bool uncleanable;          // compaction gave it up
    struct refusals *refusals; // producers that have to come again
    bool making_room;          // log_make_room is under way: appends are held
    bool waiting_journal;      // on shard->journal_waiters
    struct list_node held;     // struct shard_append_part, in arrival order
    struct list_node waiting;  // struct shard_append_part appended and not yet durable, in order
    struct list_node watches;  // struct watch_node
    struct list_node journal_node;
    struct list_node room_node;      // on shard->room_waiters while making_room
    uint64_t room_since;             // when the oldest append that is held for it came to wait
    struct list_node slice_node;     // on shard->slicing while its head is validated in slices
    bool slicing;                    // on shard->slicing, or the one that shard->slice works on
    struct validate_result *checked; // of the held head, once its walk is over
};

// One append on its way to the disk: the log's end once group `sequence` is durable.
struct inflight {
    uint64_t sequence;
    struct part *part;
    int64_t end_offset;
};

// The one record walk, or conversion, that goes on over several turns. Others of its kind queue on shard->slicing.
struct slice {
    struct part *part; // NULL: free
    bool walking;      // the validator was begun
    bool converting;   // the converter was; a short conversion uses it between two turns
    struct validator v;
    struct validate_rules rules;
    struct validate_result out;
    struct decompress_ctx ctx;
    struct converter converter;
    struct convert_ctx convert;
};

struct watch;
struct watch_node {
    struct list_node node; // on the part, if it is there
    struct watch *w;
    bool news; // something happened to it since it was last read
};
struct watch_key {
    uint64_t key;
    uint64_t from;
};
enum watch_state {
    WATCH_WAITS,   // linked to its parts
    WATCH_FIRED,   // on the fired list; with a question, still linked
    WATCH_READING, // on no list
    WATCH_READ,    // on the fired list, with its answer
    WATCH_DROPPED, // nobody wants it any more, and it is still being read
};
struct watch {
    struct watch_key id;
    UT_hash_handle hh;
    enum watch_state state;
    int64_t need;          // bytes still to come
    struct shard_fetch *f; // push: the question, then the answer; NULL without
    bool all;              // every part is to be read, not only those with news
    bool ahead;            // it waits for more, and nobody has said that its last answer was read
    uint32_t n;
    struct list_node fired_node;
    struct watch_node nodes[]; // one for each part of the fetch
};
// What one reactor is owed: fired watches; two messages in flight, so that the first one's acknowledgement need not wake us.
struct fired_box {
    struct shard_fired out[2];
    bool in_flight[2];
    struct list_node fired; // struct watch
};

struct shard {
    struct service svc; // the front's is in use
    struct reactor *r;
    struct shard *front;               // of the row; itself if it is that
    struct shard *row[SHARD_DIRS_MAX]; // the front's: all of them, itself first
    uint32_t row_n, row_stopping;
    struct shard_config cfg;
    struct store *store;
    struct log_env env;
    uint64_t max_batch; // bytes of a batch that can be appended at all
    struct journal *journal;
    uint64_t written_ns, durable_ns; // of the last durable group: when its write began, and ended
    void (*ready)(void *arg, int err);
    void *ready_arg;
    struct part *parts;        // hash
    struct inflight *inflight; // ring
    uint32_t inflight_head, inflight_n, inflight_cap;
    struct list_node journal_waiters; // parts
    uint64_t journal_waits_since;
    struct list_node room_waiters; // parts that make room in their log
    struct list_node slicing;      // parts
    struct ready slice_work;
    uint64_t converted_bytes; // in memory
    struct watch *watches;    // hash
    uint32_t watches_n;
    struct fired_box fired[REACTOR_MAX];
    struct slice slice;
    struct decompress_ctx ctx;
    struct timer background, expiry, retention, trash, cleaner;
    struct compactor *compactor;
    struct choice *cleaner_choice; // while it looks
    bool retaining, emptying;      // their fibers
    uint32_t writing_back;         // workers
    uint32_t writeback_left;       // logs that this run may still look at
    bool checkpointing, stopping;
    bool closing_in_bulk;
    uint64_t full_at, fill_ns;  // when a journal file was last full, and how long after the one before
    struct fiber_mutex manage;  // the front's: one creation or deletion at a time
    uint64_t checkpoint_wanted; // generation
    uint32_t fibers;            // background fibers alive
    int stop_error;
};

// In any shard of the row.
struct part *shard_find(struct shard *s, const struct sl_uuid *topic_id, int32_t partition);
struct part *shard_add_part(struct shard *s, struct log *l);
void shard_part_unref(struct part *p);
void shard_reply(struct shard *s, uint32_t who, uint16_t op, void *req);
// 0, or the error for a request that names `current` as the leader epoch it knows (-1: not checked).
int16_t shard_check_epoch(const struct part *p, int32_t current);

// append.c
void append_handle(struct shard *s, uint32_t from, struct shard_append *a);
void append_resume(struct part *p); // tries the held appends again
void append_fail_all(struct part *p, int16_t error);
void append_lost(struct shard *s,
                 struct shard_append_part *ap); // it was appended, and may or may not become durable
void append_on_durable(void *ctx, uint64_t sequence);
void append_on_settled(void *ctx, struct log *l);
void append_on_room(void *ctx);
void append_run_slices(struct ready *w);
void append_forget(struct shard *s); // the journal failed: nothing in flight becomes durable
// fetch.c
void fetch_handle(struct shard *s, uint32_t from, struct shard_fetch *f);
void fetch_release(struct shard *s, struct shard_pins *pins);
void fetch_watched(struct shard *s, struct watch *w); // reads the parts with news; ends with watch_read_done
// watch.c
void watch_register(struct shard *s, uint32_t from, const struct shard_fetch *f);
void watch_read_done(struct shard *s, struct watch *w, bool state); // `state`: a part's is worth an answer
void watch_drop(struct shard *s, uint32_t from, uint64_t key);
void watch_arrived(struct part *p, int64_t bytes); // high watermark moved
void watch_fire_part(struct part *p);              // its state changed
void watch_ack(struct shard *s, uint32_t from, struct shard_fired *f);
void watch_settle(struct shard *s, uint32_t from, const struct spsc_msg *m);
bool watch_flush(struct shard *s);
void watch_destroy_all(struct shard *s);
// query.c
void query_offsets(struct shard *s, uint32_t from, struct shard_offsets *q);
void query_epochs(struct shard *s, uint32_t from, struct shard_epochs *q);
void query_describe(struct shard *s, uint32_t from, struct shard_describe *q);
void query_producers(struct shard *s, uint32_t from, struct shard_producers *q);
// manage.c
void manage_open(struct shard *front, uint32_t from, struct shard_open *o);
void manage_config(struct shard *s, uint32_t from, struct shard_open *o);
void manage_delete(struct shard *s, uint32_t from, struct shard_delete *d);
// A pass over all partitions, several at a time.
struct sweep {
    struct shard *s;
    struct part **parts;
    uint32_t n, next;
    int (*fn)(struct sweep *w, struct part *p);
    struct sbuf *image;
    bool paced; // one log at a time while there is room (pace.h), and so long between one and the next
    uint64_t gap_ns;
    uint32_t started; // workers
    int rc;           // the first error
    struct fiber_wait wait;
};
// Fiber. Runs fn over every partition; stops at the first error and returns it.
int shard_sweep(struct shard *s, int (*fn)(struct sweep *w, struct part *p), struct sbuf *image);
// Starts a fiber that counts as the shard's, or ends the process.
void shard_spawn(struct shard *s, fiber_fn fn, void *arg);
// upkeep.c
void upkeep_init(struct shard *s);
void upkeep_start_timers(struct shard *s);
void upkeep_stop(struct shard *s);        // no new work
void upkeep_trash_later(struct shard *s); // segments were removed: their files are to be unlinked in time
void upkeep_delete_records(struct shard *s, uint32_t from, struct shard_trim *t);
const char *upkeep_why(int rc); // in words, why what failed with `rc` is tried again later
// cleaner.c
void cleaner_init(struct shard *s);
void cleaner_start(struct shard *s);
void cleaner_stop(struct shard *s);
// background.c
void background_init(struct shard *s);
void background_start(struct shard *s); // arms write-back: something was appended
void background_on_failed(void *ctx, int err);
void background_direct_failed(void *ctx, int err);
void background_on_full(void *ctx, uint64_t generation);
void background_stop(struct service *svc);
void background_fail(struct shard *s, const char *what, int err); // the directory goes offline
int background_first_image(struct shard *s, const struct sl_uuid *life, struct sbuf *out);

#endif
