// The log's own structure; see log.h.
#ifndef SLUICE_ENGINE_LOG_LOG_PRIVATE_H
#define SLUICE_ENGINE_LOG_LOG_PRIVATE_H

#include "engine/base/canary.h"
#include "engine/base/log.h"
#include "engine/log/aborted.h"
#include "engine/log/ahead.h"
#include "engine/log/log.h"
#include "engine/log/segment.h"
#include "engine/log/trash.h"

// Space ahead of the writer below which more is allocated, at most; a small segment's is half of what it has.
enum { LOG_AHEAD = 4 << 20 };

// An end of the log and where it lies.
struct log_mark {
    int64_t offset;
    struct segment *seg;
    uint32_t pos;
};

struct log {
    struct log_env *env;
    void *user;
    struct sl_uuid topic_id;
    char *topic;
    char *dir; // of the partition
    int32_t partition;
    uint32_t incarnation;
    int32_t leader_epoch;
    struct log_config cfg;
    int64_t log_start;
    int64_t
        floor; // of the last fence that was asked for: the log start once it is durable, and of checkpoints
    uint64_t floor_sequence; // the group of that fence
    int64_t first_dirty;     // what lies below was compacted
    uint64_t swap_sequence;  // the group of a fence that compaction did not wait for to its end
    struct log_mark appended, durable, visible; // visible: the high watermark
    struct log_mark *marks;                     // ring: appended and not yet durable
    uint32_t marks_head, marks_n, marks_cap;
    uint64_t last_sequence; // journal group of the last append
    uint64_t touched;       // last journal generation with an entry of it
    struct segment **segments;
    uint32_t segments_n, segments_cap;
    struct producer_state producers;
    struct aborted_list aborted;
    struct epoch_cache epochs;
    struct log_mark hint;     // where the last read ended
    struct list_node streams; // sequential readers of its files (stream.h)
    uint32_t streams_n;
    struct list_node directs;      // ranges of direct writes, in order (direct.h)
    int64_t direct_end;            // all ranges below are whole and synced...
    int64_t confirmed;             // ...and the journal was told so
    struct list_node confirm_node; // on direct_env.unconfirmed, where it was not
    uint64_t group;                // the commit group that its bytes are counted for, and they
    uint64_t group_bytes;
    bool direct; // large batches go direct now
    struct list_node dirty_node;
    uint64_t dirty_since;
    uint64_t dirty_bytes;
    struct fiber_mutex io_lock; // one write-back, checkpoint, seal or close at a time
    // One roll, opening or growth of the active segment at a time, beside a write-back: appends wait for this one only.
    // Nobody waits for memory while holding either.
    struct fiber_mutex space_lock;
    struct fiber_mutex
        life_lock; // one retention or compaction at a time: who removes segments, or puts others in their place
    struct fiber_mutex
        name_lock; // one naming of segments at a time (ahead.c); beside the others, under none or io_lock
    struct ahead ahead;
    bool rolling; // log_roll: appends wait
    struct later_work grow;
    bool allocating;     // it allocates space ahead of the writer, or waits for its turn
    uint32_t finished_n; // segments before this one are finished
    uint32_t background; // fibers at work on it (log_enter)
    bool closed;         // being closed or deleted: no fiber enters any more
};

struct segment *log_active(const struct log *l);
// The first segment behind the one that starts at `base`, which need not be there any more. NULL: none.
struct segment *log_segment_behind(const struct log *l, int64_t base);
// For a walk over segments that is suspended: where what follows `s` begins, asked before; -1: nothing does yet. And where to go
// on afterwards: the segment that holds `end` by then, which may be a larger one that compaction made of `s` and others, and
// has to be looked through from its start. NULL: none.
int64_t log_segment_end(const struct log *l, const struct segment *s);
struct segment *log_segment_next(const struct log *l, const struct segment *s, int64_t end);
int log_push_segment(struct log *l, struct segment *s);
// The segment that holds `offset`: the last whose base is at or below it. NULL: none.
struct segment *log_segment_for(const struct log *l, int64_t offset, uint32_t *index);
void log_mark_dirty(struct log *l, uint32_t bytes);
void log_mark_written(struct log *l, uint64_t bytes);
void log_dirty_later(struct log *l);
// The log that has been dirty for the longest time, or NULL. One whose files are being sealed or checkpointed may be at that for
// long, and what it has is written there: it is passed over.
struct log *log_env_oldest(const struct log_env *env);
// Takes what direct writes brought into the file as written back, as far as it is durable.
void log_pass_direct(struct log *l, struct segment *s);
// Space ahead of the appends got short: more is allocated in the background.
void log_allocate_ahead(struct log *l);
void log_room_init(struct log *l);
void log_journal_head(struct log *l, struct segment *s, uint32_t pos, const uint8_t *head);
// Fiber. Before its file is cut: the block that holds the end of `s` is in the open journal file from its first byte (S5).
int log_hold_tail(struct log *l, struct segment *s, bool wait);
int log_wait_durable(struct log *l, int64_t offset);       // until what lies below is
int log_wait_tail(struct log *l, const struct segment *s); // until that is durable
// Where the durable bytes of a segment end.
uint32_t log_durable_position(const struct log *l, const struct segment *s);
// A fiber that works on the log across suspensions enters it, unless it is being closed (false), and leaves it again.
bool log_enter(struct log *l);
void log_leave(struct log *l);
// Work on it that nobody waits for failed. A broken disk takes the directory offline (S8); what else it was is tried again.
void log_broken(struct log *l, int err);
// Fiber. No fiber enters from here on; waits until those inside have left.
void log_shut(struct log *l);
// Fiber; holds io_lock. Writes what is durable back; `sync`: makes it durable there. Sealed segments are waited for, until
// their last byte is durable in the journal, and finished (S9), if `finish`.
int log_write_locked(struct log *l, bool sync, bool finish);
// Directory of a partition. `out` of 1400 bytes.
void log_dir_path(const char *dir, const char *topic, int32_t partition, char *out, size_t cap);
// The path a directory gets when it is put aside; `id` NULL: unknown.
void log_aside_path(const struct log *l, const struct sl_uuid *id, const char *what, char *out, size_t cap);
struct log *log_alloc(struct log_env *env, const char *dir, const char *topic, const struct sl_uuid *topic_id,
                      int32_t partition, const struct log_config *cfg);
int log_write_small(struct log *l, const char *name, const struct sbuf *b);
// Writes the producer snapshot of `offset` from an encoded image.
int log_write_snapshot(struct log *l, int64_t offset, const uint8_t *image, size_t n);
int log_encode_snapshot(const struct log *l, uint8_t **image, size_t *n);
// A walk over headers in large reads. Free `buf` afterwards.
enum { LOG_SCAN_WINDOW = 256 << 10 };
struct log_scan {
    struct segment *seg;
    uint8_t *buf;
    uint32_t pos, len;
};
// Starts a fiber that reads from the file: rd->done will run. -EINPROGRESS, or 0 with rd->err.
int log_read_cold(struct log *l, struct log_read *rd);
// Serves `rd` from what is in memory of `s`, in the cold cache or not, without suspension; where its reader goes on is known.
// False: that needs the file.
bool log_read_cached(struct log *l, struct segment *s, struct log_read *rd);
// Pieces of extents for [pos, pos + n) of a segment, all of it in the tail's memory. 0 or -ENOMEM.
int log_add_pieces(struct segment *s, uint32_t pos, uint32_t n, struct log_read *rd);
// Where reading below `limit` ends in segment `s`. Only ends that the log knows are exact positions; another limit (the
// last stable offset) is found by walking. Returns the position or -EAGAIN when that needs the file.
int64_t log_limit_position(const struct log *l, const struct segment *s, int64_t limit);
// How many bytes from `pos`, where batch `b` starts, the reader gets: upstream's rule of LogSegment.read, and its rule that
// a first batch that does not fit is left out rather than cut.
uint32_t log_want_bytes(const struct log_read *rd, uint32_t pos, uint32_t end, const struct batch_info *b);
// Whether the batch at the position of an index entry is the one that the entry tells of; offset -1: it tells of none.
static inline bool log_hit_holds(const struct offset_position *hit, const struct batch_info *b)
{
    return hit->offset < 0 || SL_CANARY(INDEX_BELIEVED) ||
           b->base_offset + b->last_offset_delta == hit->offset;
}
// Takes its file off the list of those that nobody reads.
void segment_not_idle(struct segment *s);
// Position and header of the batch that holds `offset`, or the first behind it. -ENOENT: behind the end of the segment.
int log_find_batch(struct segment *s, int64_t offset, uint32_t *pos, struct batch_info *b);
// The same through the cold cache: for readers.
int log_find_cached(struct segment *s, int64_t offset, uint32_t *pos, struct batch_info *b);
// Fiber. A new active segment, though the present one has room.
int log_roll(struct log *l);
// The log starts at `offset`, in memory: its fence is durable.
void log_move_start(struct log *l, int64_t offset);
// How long what cannot go on without a fence waits for it: on a full disk the journal may have no room.
static const uint64_t LOG_FENCE_WAIT_NS = 5000ull * 1000 * 1000;
// Fiber. Waits until the fence of that group is durable. 0; -errno of a failed directory; -ECANCELED: the log was closed, or the
// shard stops; -ETIMEDOUT at `until` (monotonic ns): the fence waits on, for the journal has no room.
int log_fence_wait(struct log *l, uint64_t sequence, uint64_t until);
// Marks that stand at the end of a segment that goes move to the one that follows.
void log_move_marks(struct log *l, const struct segment *gone, struct segment *next);
// Fiber. Puts the files of a segment that has left the log out of its sight, into the trash (trash.c); who reads it has its file
// open. The snapshot of its base stays with another segment of that base.
int log_put_away(struct log *l, struct segment *s, bool with_snapshot);
// Adds the fence entry: entries of earlier groups in segments below `settled` lay no bytes any more.
uint64_t log_add_fence(struct log *l, int64_t floor, int64_t settled);
bool log_wants_roll(const struct log *l, uint32_t bytes, int64_t max_timestamp);
void log_index_batch(struct log *l, struct segment *s, uint32_t pos, const struct batch_info *b);
int log_scan_header(struct log_scan *sc, uint32_t pos, struct batch_info *out);
// Fiber: copies [pos, pos + n) out, from file and memory.
int log_read_bytes(struct segment *s, uint32_t pos, uint8_t *dst, uint32_t n);
// Fiber: a header at `pos` of a segment, from memory or file. -EBADMSG when there is no sound batch header.
int log_header_at(struct segment *s, uint32_t pos, struct batch_info *out);
int log_header_check(const struct segment *s, uint32_t pos, const uint8_t *head, struct batch_info *out);

#endif
