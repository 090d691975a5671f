// One segment of a log: Kafka's files `%020lld.log`, `.index`, `.timeindex`, the extents that hold its recent bytes, and
// how far it was written and synced.
//
//   0 ........ mem_start ......... flushed ......... size ......... allocated
//   |- on disk ----------------------|                |- zeros, allocated ahead of the writer
//              |- in extents ------------------------|
//
// mem_start <= flushed: only clean bytes leave memory, from the front. The file grows by fallocate, never by a write. Beyond
// `flushed` there may be ranges of blocks that direct writes (direct.h) brought there, or are bringing: `cov`.
#ifndef SLUICE_ENGINE_LOG_SEGMENT_H
#define SLUICE_ENGINE_LOG_SEGMENT_H

#include "engine/io/fiber.h"
#include "engine/log/batch.h"
#include "engine/log/direct.h"
#include "engine/log/extent.h"
#include "engine/log/index.h"
#include "engine/log/timeindex.h"

struct log;

struct trash;

enum segment_file { SEG_LOG, SEG_INDEX, SEG_TIMEINDEX, SEG_SNAPSHOT };

// What its file is called (ahead.c).
enum segment_name {
    SEG_NAMED,   // as it should be, durably
    SEG_SPARE,   // as the spare was that it began in
    SEG_RENAMED, // as it should be, until a crash
};

// Whole blocks.
struct segment_cov {
    uint32_t from, to;
};

struct segment {
    struct log *log;
    int64_t base_offset;
    uint64_t file_id;
    io_file file; // negative: closed
    uint32_t size;
    uint32_t flushed;   // written back up to here
    uint32_t synced;    // and synced up to here
    uint32_t allocated; // bytes of the file
    uint32_t
        wb_end; // write-back wrote, or writes, up to this block boundary; after a start `flushed` says so
    struct segment_cov cov[DIRECT_COV_MAX];
    uint32_t cov_n;
    uint32_t mem_start; // == size when nothing is in memory
    struct list_node extents;
    struct list_node cached;     // struct cache_entry: what the cold cache has of it
    struct list_node idle;       // on log_env.idle
    struct list_node files_node; // while its file is open
    struct offset_index index;
    struct time_index timeindex;
    bool index_loaded;
    bool index_doubted;     // a crash lies between its index files and now
    uint32_t index_written; // entries that the file has; never any at or above the log's durable end
    uint32_t timeindex_written;
    int64_t first_timestamp; // of its first batch: age for segment.ms; -1: empty
    int64_t max_timestamp, max_timestamp_offset;
    uint64_t
        tail_sequence; // journal group with the head of its last block, to be durable before the file is cut
    enum segment_name name;
    int64_t spare_base;  // the base in its name while it is SEG_SPARE
    bool sealed;         // no append goes there any more
    bool finished;       // sealed, written, cut to its length, synced, and so are its indexes (S9)
    bool writing;        // a write-back reads its extents
    bool touched;        // recovery laid bytes into it
    bool retired;        // not of the log any more: its last user frees it
    struct trash *trash; // its files wait to be removed; NULL: they do not, or did
    uint64_t trash_no;   // in their names then; 0: none yet
    uint32_t users;      // fibers that read its file
    int64_t jitter_ms;   // taken off segment.ms
};

// Memory only; index_bytes is segment.index.bytes. NULL on lack of memory.
struct segment *segment_new(struct log *l, int64_t base_offset, uint64_t file_id, uint32_t index_bytes);
void segment_free(struct segment *s); // drops its extents; the file must be closed
void segment_path(const struct segment *s, enum segment_file which, char *out, size_t cap);

// Fibers. Opens the file (creating it when `create`), which has its name. 0 or -errno; -EIO if it should be there and is not.
int segment_open(struct segment *s, bool create);
// The same of a file that may have gone: -ENOENT.
int segment_try_open(struct segment *s);
int segment_close(struct segment *s);
// A fiber that reads the file, across suspensions. A finished segment's file that nobody reads stays open for a while, and is
// closed when others came after it, so that a broker with many segments has few of them open.
void segment_hold(struct segment *s);
void segment_release(struct segment *s);
// The same outside of fibers. False: it was the last user of a retired segment, and a fiber has to segment_release it.
bool segment_release_now(struct segment *s);
// Fiber. It left its log: freed now, or by its last user. Its file must be open if it has users.
void segment_retire(struct segment *s);
// Makes [0, want) allocated, in steps ahead of it, not past `limit` rounded up.
int segment_allocate(struct segment *s, uint32_t want, uint32_t limit);
// Loads the block that holds the end into memory when the end is inside a block.
int segment_load_tail(struct segment *s, struct buf_pool *pool);
bool segment_tail_in_memory(const struct segment *s);
// Writes [flushed, upto) back, in whole blocks; the caller made sure that upto is durable in the journal. Bytes behind upto
// are not handed over: a last block that is part-filled is written from a copy, padded with zeros, so that what is written
// never changes under the write, and nothing that is not durable gets into the file.
int segment_write(struct segment *s, uint32_t upto);
int segment_sync(struct segment *s);
// Writes the index files' new entries, those below the durable end. segment_put_indexes: the whole of them, cut, and synced
// if `sync`.
int segment_write_indexes(struct segment *s);
int segment_put_indexes(struct segment *s, bool sync);
// Cuts the file to its size and syncs it (S9), the latter unless a bulk does (bulk.h).
int segment_cut(struct segment *s, bool sync);
// Loads the indexes: the files' entries as far as they rise and the last one fits the batch that it points to, then what
// lies behind it is walked. 0 or -errno.
int segment_load_index(struct segment *s);
// From the batches alone.
int segment_rebuild_index(struct segment *s);

// Room for `bytes` more in extents; allocates them. False when the pool is at its limit.
bool segment_reserve(struct segment *s, struct buf_pool *pool, uint32_t bytes);
// Copies into the reserved extents at `pos` (== size or beyond) and returns the CRC continued from `crc`.
uint32_t segment_copy_in(struct segment *s, uint32_t pos, const uint8_t *src, uint32_t n, uint32_t crc,
                         bool with_crc);
// Publishes `n` bytes at the end.
void segment_publish(struct segment *s, uint32_t n);
// The pieces of memory of [pos, pos + n), all of it in extents. Returns how many; at most `max`, asserted.
struct log_piece;
uint32_t segment_pieces(struct segment *s, uint32_t pos, uint32_t n, struct log_piece *out, uint32_t max);
uint32_t segment_count_pieces(struct segment *s, uint32_t pos, uint32_t n);
// The same as iovecs, as far as `max` of them go.
struct iovec;
uint32_t segment_iov(struct segment *s, uint32_t from, uint32_t to, struct iovec *out, uint32_t max);
// Copies [pos, pos + n) out of memory. False if it is not all there.
bool segment_peek(struct segment *s, uint32_t pos, void *dst, uint32_t n);
// The extents below `flushed` go on the lru.
void segment_mark_clean(struct segment *s, struct list_node *lru);
// Whether the extent is clean, and below the block at which a write-back that is under way began.
bool segment_may_leave(const struct segment *s, const struct extent *e);
// Drops its first extent from memory, if that may leave. The next one may go on the lru.
bool segment_drop_first(struct segment *s, struct list_node *lru);
// Reads [pos, pos + n) of the file through aligned memory into dst (n bytes, any alignment). Fiber.
int segment_read_file(struct segment *s, uint32_t pos, void *dst, uint32_t n);

#endif
