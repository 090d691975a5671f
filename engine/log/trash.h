// What nobody finds any more, on its way off the disk: the files of removed segments, renamed to <base>.<number>.log.deleted and
// so on, and the directories of deleted topics (<name>.<uuid>-delete). A start removes what a crash leaves of it, what is long
// beside serving. The number tells apart what had the same name: a compacted segment has its first one's, and may be gone
// before that one's time has come. No other shard gives the same.
//
// A long file goes in steps from its end, with pauses between them, which get shorter when it is late by some ten seconds. A file
// system that is mounted with `discard` tells the device of freed blocks before the call returns (mount(8), ext4), and a device
// that hears of a GiB at once may let everybody else's writes wait meanwhile: measured in perf/results/engine.md. What would miss
// the bytes is unlinked whole: a file that a reader still has open, and one that has a name elsewhere.
#ifndef SLUICE_ENGINE_LOG_TRASH_H
#define SLUICE_ENGINE_LOG_TRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_env;
struct segment;
struct trash;

enum { TRASH_STEP = 4 << 20 }; // bytes that one step frees at most

// What file `k` of a segment is called when it is removed; 0: its records.
void trash_path(const char *dir, int64_t base, uint64_t number, size_t k, char *out, size_t cap);
// No suspension. A directory that is called *-delete by now goes at once. On lack of memory the next start removes it.
void trash_add_dir(struct log_env *env, const char *path);
// Fiber. Adds the directories in `dir` that deletions of an earlier life left behind. 0 or -errno.
int trash_add_left(struct log_env *env, const char *dir);
// Fiber. Whether `name` in `dir` is a long file of a segment that an earlier life removed, and did not get to: it goes when its
// shard runs, so that a start does not wait for it. False: it is the caller's, as it is where less than a GiB is left.
bool trash_add_left_file(struct log_env *env, const char *dir, const char *name);
// The shard runs: what was left is due from now on. No suspension.
void trash_begin(struct log_env *env);
// `s` is being freed: from here on nobody reads it.
void trash_unread(struct trash *t);
// Fiber, one at a time of an env. Removes what is due; `all`: whatever the time, for the end of a clean stop. Without it a stop
// ends it early, and what is left stays. 0 or an -errno: -EIO if there was one.
int trash_empty(struct log_env *env, bool all);
// Fiber. Removes one file of `dir` that nobody has open, in steps as well. 0 or -errno.
int trash_remove_file(struct log_env *env, const char *dir, const char *path);
// The time (reactor_now's clock) when the next of it is due; UINT64_MAX: none.
uint64_t trash_due(const struct log_env *env);
// Frees memory only.
void trash_forget(struct log_env *env);

#endif
