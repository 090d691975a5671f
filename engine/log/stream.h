// Sequential readers of a log's files. A fetch carries no name of its reader, so a stream is known by where it goes on: a
// fetch at the offset where an earlier one ended belongs to it. That spares the way through the index, and from its second
// fetch on the reader is read ahead: the window doubles up to log_env.read_ahead.
//
// A stream is taken out for the time of a fetch and put back with its new place; two readers at one place have one each. One
// that nobody came back to is dropped, by age or when there are too many, and what was read ahead for it is given up first.
#ifndef SLUICE_ENGINE_LOG_STREAM_H
#define SLUICE_ENGINE_LOG_STREAM_H

#include "engine/log/log_private.h"

struct stream {
    struct list_node of_log, of_env;
    struct log *log;
    uint64_t used;    // when it was put (reactor_now's clock)
    uint64_t file_id; // its place: a file, the offset that is wanted next, and where its batch begins
    int64_t offset;
    uint32_t pos;
    uint32_t passed; // extents that end below were counted as read through by it
    uint32_t window; // bytes that it is read ahead
    uint32_t ahead;  // up to here was read ahead
};

// The stream that goes on at `offset` of a file, copied to *out and dropped. False: none.
bool stream_take(struct log *l, uint64_t file_id, int64_t offset, struct stream *out);
// Copies it without taking it.
bool stream_look(const struct log *l, uint64_t file_id, int64_t offset, struct stream *out);
// Keeps a copy of `st`. Others that were not used for long are dropped.
void stream_put(struct log *l, const struct stream *st);
// Its reader was sequential once more.
void stream_widen(struct log *l, struct stream *st);
// Starts reads for it behind `from`, where the present fetch ends. The file must be open.
void stream_read_ahead(struct log *l, struct segment *s, struct stream *st, uint32_t from);
// Frees all of a log.
void stream_drop_all(struct log *l);

#endif
