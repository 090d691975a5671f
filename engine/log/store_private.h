// The store's own header: store.c opens and classifies a directory, store_life.c begins and ends lives.
#ifndef SLUICE_ENGINE_LOG_STORE_PRIVATE_H
#define SLUICE_ENGINE_LOG_STORE_PRIVATE_H

#include "engine/log/replay.h"
#include "engine/log/store.h"

#include <stdatomic.h>

enum { STORE_PATH_MAX = 1200 };

struct store {
    struct reactor *r;
    char *dir;
    char *journal_dir;
    enum store_kind kind;
    int java_lock, flock; // -1: not held
    bool has_identity;
    struct store_identity identity;
    bool has_journal_dir, has_clean_file;
    bool no_ballast; // it was freed for this start
    bool has_life;
    struct sl_uuid life; // in force
    uint32_t shards;
    bool has_next;
    struct sl_uuid next; // of the coming store_begin_life
    struct replay *replay;
    _Atomic int failed;
};

// Writes the message, cut to `cap`, and returns rc.
__attribute__((format(printf, 4, 5))) int store_error(int rc, char *err, size_t cap, const char *fmt, ...);
// <dir>/<name> and <journal dir>/<name>; out has STORE_PATH_MAX bytes.
void store_path(const struct store *s, const char *name, char *out);
void store_journal_path(const struct store *s, const char *name, char *out);
// Fiber. Frees the space that was kept back for this start, if there is any.
void store_drop_ballast(struct store *s);
// Fiber. Reads `current`, if there is one. 0, -EUCLEAN, -errno.
int store_read_current(struct store *s, char *err, size_t cap);

#endif
