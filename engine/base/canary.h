/* Canaries: switches that break one storage rule on purpose, to prove that the simulation notices.
 *
 * Code asks SL_CANARY(NAME) where it keeps the rule. Only the simulator's build of a room (SLUICE_CANARIES
 * defined) can ever say yes; everywhere else it is the constant false and costs nothing.
 */
#ifndef SLUICE_BASE_CANARY_H
#define SLUICE_BASE_CANARY_H

#include "engine/base/err.h"

/* X(name, text): the rule that the switch breaks. */
#define SL_CANARY_TABLE(X)                                                                                   \
    X(ANSWER_BEFORE_DURABLE, "S6: the durable end moves when a group is written, not when it is durable")    \
    X(REPLAY_WITHOUT_LIFE_ID, "S4: replay takes groups of any life, and does not seed their CRC with it")    \
    X(ZERO_PADDED_REPLAY, "S5: replay writes a batch's block with zeros behind it, not over what is there")  \
    X(LOCK_NOT_REGISTERED, "S1: the directory lock is not registered in the rings that write")               \
    X(NO_PREFIX, "S5: the first touch of a block after a checkpoint does not log its prefix")                \
    X(NO_SYNC_ON_RECOVERY, "S4: recovery does not sync the files that it accepted")                          \
    X(NO_DIR_SYNC, "S9: new segments' directory entries are not synced")                                     \
    X(DIRECT_UNNAMED, "S9: a direct write goes to a segment whose name is not durable")                      \
    X(NAME_NOT_SYNCED, "S9: a checkpoint counts on the name of a segment that began in a spare file")        \
    X(RECYCLE_EARLY, "S5: a journal file is recycled before its logs' segments are synced")                  \
    X(DIRECT_NOT_AWAITED, "S7: the durable end does not wait for the segment's own bytes")                   \
    X(DIRECT_OVER_BLOCK, "S5: a direct write goes over a block that write-back wrote before")                \
    X(CONFIRM_EARLY, "S2: direct bytes are confirmed before they are synced")                                \
    X(FENCE_LATE, "S3: files are deleted before the fence is durable")                                       \
    X(CRC_NOT_CHECKED, "S2: replay takes a group of this life without looking at its CRCs")                  \
    X(OUT_OF_SEQUENCE, "S7: a group that is written counts as durable before those in front of it")          \
    X(HELD_ON_FULL_DISK, "S8: what is held for space on a full disk is not answered")                        \
    X(INDEX_BELIEVED, "S10: an index entry is not verified at the batch that it points to")                  \
    X(CLEAN_TOO_EARLY, "S11: .kafka_cleanshutdown is written while the journals are still in force")         \
    X(BULK_NOT_SYNCED, "S11: a clean stop of many logs does not sync the files that it wrote")               \
    X(CACHING_NOT_SUBMITTED, "S12: groups wait for seconds before they are submitted")                       \
    X(PUBLISHED_CHANGES, "S13: write-back pads the last block in the extent, over what was published")       \
    X(COMPACT_NEWEST_GOES, "compaction: the newest record of a key goes when an older one does")             \
    X(COMPACT_TOMBSTONE_EARLY, "compaction: a tombstone goes before its time is over")                       \
    X(COMPACT_FORGETS_SEQUENCE, "compaction: the batch with a producer's last sequence goes")                \
    X(COMPACT_SWAP_UNSYNCED, "compaction: old files go before the new one is durable")                       \
    X(CONVERT_IGNORED, "compression.type: batches are stored as they were sent")                             \
    X(ABORTED_NOT_TOLD, "readers of committed records are not told of aborted transactions")                 \
    X(META_CUT_EARLY, "the metadata log is cut before the snapshot that takes its place is durable")         \
    X(COORD_ANSWERS_EARLY, "coordinators answer before their records are durable")                           \
    X(COORD_NO_FENCE, "commits are taken from members that were thrown out")                                 \
    X(COORD_FORGETS, "a generation's assignment is given out without being written")                         \
    X(COORD_TWO_OWNERS, "a partition of a consumer group is given out while another member holds it")        \
    X(COORD_NO_EPOCH_FENCE, "a consumer group takes commits of any member epoch, and of no member")          \
    X(DIR_MADE_ANEW, "a partition whose log directory is missing is made anew in another one")

enum sl_canary {
    SL_CANARY_NONE,
#define SL_CANARY_ENUM_(name, text) SL_CANARY_##name,
    SL_CANARY_TABLE(SL_CANARY_ENUM_)
#undef SL_CANARY_ENUM_
        SL_CANARY_COUNT,
};

SL_EXTERN_C_BEGIN

/* The rule that is broken in this process, at most one. Written before the simulation starts. */
extern enum sl_canary sl_canary_active;

/* Name as in the table, in lower case with '-' for '_'; NULL out of range. Static storage. */
const char *sl_canary_name(enum sl_canary c);
const char *sl_canary_text(enum sl_canary c);

/* By name, or SL_CANARY_NONE. */
enum sl_canary sl_canary_find(const char *name);

SL_EXTERN_C_END

#ifdef SLUICE_CANARIES
#define SL_CANARY(name) sl_unlikely(sl_canary_active == SL_CANARY_##name)
#else
#define SL_CANARY(name) ((void)SL_CANARY_##name, false)
#endif

#endif
