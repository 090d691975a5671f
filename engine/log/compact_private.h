// The compactor's own structures; see compact.h.
#ifndef SLUICE_ENGINE_LOG_COMPACT_PRIVATE_H
#define SLUICE_ENGINE_LOG_COMPACT_PRIVATE_H

#include "engine/base/table.h"
#include "engine/log/compact.h"
#include "engine/log/compress.h"
#include "engine/log/log_private.h"
#include "engine/log/record.h"

// ---- the map (compact_map.c), pure ------------------------------------------------------------------------------------
struct compact_slot {
    uint64_t hash[2];
    int64_t offset; // + 1; 0: the slot is free
};
struct compact_map {
    struct compact_slot *slots;
    size_t bytes; // mapped
    uint64_t n, used, most;
    uint64_t seed[2];
    int64_t latest; // every key up to this offset is in it; -1: none
};
// Slots for as many keys as there can be in so many bytes of batches with offsets in [first, end), of which `load_factor` may be
// taken.
uint64_t compact_map_slots(uint64_t dirty_bytes, int64_t first, int64_t end, double load_factor);
// Room for `most` keys, in `n` slots. -ENOMEM.
int compact_map_init(struct compact_map *m, uint64_t n, double load_factor, const uint64_t seed[2]);
// Gives back a part of its memory, no more than a turn has time for; nothing else may be asked of it then. False: it was the last.
bool compact_map_drop_some(struct compact_map *m);
// False: it is full.
bool compact_map_put(struct compact_map *m, const uint8_t *key, uint32_t len, int64_t offset);
int64_t compact_map_get(const struct compact_map *m, const uint8_t *key, uint32_t len); // -1: not there

// ---- transactions (compact_txn.c) ---------------------------------------------------------------------------------------
struct compact_aborted {
    int64_t producer_id, first, last;
    int64_t stable; // the last stable offset once its marker counts
};
// A producer whose transaction is being walked through.
struct compact_open {
    int64_t producer_id;
    int64_t first;     // of the scan: first offset
    bool observed;     // of an aborted one: a batch of it was seen
    UT_hash_handle hh; // by producer id
};
struct compact_txns {
    const struct compact_aborted *aborted; // by first offset
    uint32_t n, next;
    int64_t from;
    struct compact_open *ongoing, *committed;
};
// A walk that begins at offset `from`; the list stays the caller's.
void compact_txns_begin(struct compact_txns *t, const struct compact_aborted *list, uint32_t n, int64_t from);
void compact_txns_end(struct compact_txns *t);
// A data batch: true if its transaction was aborted.
bool compact_txns_batch(struct compact_txns *t, const struct batch_info *b);
// A control batch; type -1: it is empty. True if no data of its transaction was seen: it may go.
bool compact_txns_marker(struct compact_txns *t, const struct batch_info *b, int type);
// Fiber. The aborted transactions of the log whose first offset lies below `end`, by first offset; *list is malloc'd.
int compact_scan_aborted(struct log *l, int64_t end, struct compact_aborted **list, uint32_t *n);

// ---- the compactor (compact.c) --------------------------------------------------------------------------------------------
struct compactor {
    struct reactor *r;
    struct compactor_config cfg;
    struct decompress_ctx unpack;
    struct compress_ctx pack;
    uint64_t paced_bytes, paced_since;
    // buffers, grown as needed and given back after a log
    uint8_t *in; // read window, aligned
    uint32_t in_cap;
    uint8_t *plain; // decompressed records of a batch
    size_t plain_cap;
    uint8_t *out; // a batch written anew
    size_t out_cap;
    uint8_t *keep; // a bit for each record of a batch
    size_t keep_cap;
};
// Fiber. Waits as long as the rate demands after n more bytes, and lets others have their turn.
void compactor_pace(struct compactor *c, uint64_t n);
// Grows a buffer to `want` at least, keeping its content. -ENOMEM.
int compactor_grow(uint8_t **buf, size_t *cap, size_t want);

// Whole batches of a finished segment, from its file.
struct compact_reader {
    struct compactor *c;
    struct segment *s;
    uint32_t pos, len; // of the file, in c->in
};
// The batch at `pos`, with its CRC checked: 1; 0 at the end; -EBADMSG, -errno.
int compact_read(struct compact_reader *rd, uint32_t pos, const uint8_t **p, struct batch_info *b);
// The record bytes of a batch, decompressed. -EFBIG: more than a compactor unpacks.
int compact_records(struct compactor *c, const uint8_t *batch, const struct batch_info *b, const uint8_t **p,
                    size_t *n);
// The control type of a control batch, -1 if it is empty.
int compact_control_type(const uint8_t *batch, const struct batch_info *b);

// ---- one batch (compact_batch.c) ------------------------------------------------------------------------------------------
struct compact_rules {
    const struct compact_map *map;
    struct compact_txns *txns;
    const struct producer_state *producers;
    int64_t now_ms, delete_retention_ms;
    int64_t end; // of the part that may be compacted
};
// What to write for a batch: *out of *n bytes (n 0: nothing), in the batch itself or in c->out. 0 or -errno.
int compact_batch(struct compactor *c, const struct compact_rules *k, const uint8_t *batch,
                  const struct batch_info *b, const uint8_t **out, uint32_t *n);

// ---- files (compact_swap.c) ---------------------------------------------------------------------------------------------------
// A segment that is being written: <base>.<next>.cleaned in the log's directory.
struct compact_out {
    struct compactor *c;
    struct log *l;
    int64_t next;      // where the segments end that it stands for
    struct segment *s; // indexes, size; its file is open
    uint8_t *buf;      // from the last whole block written on
    uint32_t fill;
    int64_t *markers; // offsets of the control batches with a record in it
    uint32_t markers_n, markers_cap;
};
int compact_out_begin(struct compact_out *o, struct compactor *c, struct log *l, int64_t base, int64_t next);
int compact_out_put(struct compact_out *o, const uint8_t *batch, const struct batch_info *b);
int compact_out_finish(struct compact_out *o); // whole, cut and synced
void compact_out_drop(struct compact_out *o);  // and its file goes
// Puts it in the place of the log's segments of its range. It is the log's afterwards.
int compact_swap(struct compact_out *o);
// Of a file's name: false if it is no file of a compaction.
bool compact_parse_name(const char *name, const char *end, int64_t *base, int64_t *next);

#endif
