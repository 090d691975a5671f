// An extent: aligned memory that holds the bytes [pos, pos + len) of one segment file (S13).
//
// Bytes below `len` are published and never change; an append writes beyond them and publishes afterwards. The memory
// is a multiple of 4 KiB, aligned to 4 KiB, and starts at a block of the file, so that whole blocks are written back as they
// are. Reference counted: one reference is the segment's while the extent is on its list, one
// for each piece handed to a reader. The cache key is (file id, pos); file ids are never reused.
#ifndef SLUICE_ENGINE_LOG_EXTENT_H
#define SLUICE_ENGINE_LOG_EXTENT_H

#include "engine/base/list.h"
#include "engine/base/pool.h"

struct cache;
struct extent {
    struct list_node node; // on its segment's list, by position
    struct list_node lru;  // on log_env.lru when clean
    struct segment *seg;   // NULL once it left the segment, and for extents of the cold cache
    struct cache *cache;   // of the cold cache (cache.h): NULL for the tail's
    struct buf_pool *pool;
    uint8_t *mem;
    uint64_t file_id;
    uint32_t pos;
    uint32_t cap, len;
    uint32_t refs;
};

// A new extent with one reference, or NULL when the pool is at its limit. Content undefined.
struct extent *extent_new(struct buf_pool *pool, uint64_t file_id, uint32_t pos, uint32_t cap);
static inline struct extent *extent_ref(struct extent *e)
{
    e->refs++;
    return e;
}
// Drops a reference; the last one frees, or leaves it to the cache.
void extent_unref(struct extent *e);

#endif
