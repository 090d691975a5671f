// One simulated run: a world made of a seed, a broker's directory that lives through several lives, clients that produce
// and read, and a model of what must be true. See scenario.c for the story, model.h for the truths.
#ifndef SLUICE_TESTS_SIM_RUN_H
#define SLUICE_TESTS_SIM_RUN_H

#include "engine/base/canary.h"
#include "engine/base/rand.h"
#include "engine/io/sim/sim.h"

struct model;
struct members;
struct life;

// What a seed chooses once.
struct knobs {
    uint32_t segment_bytes;
    uint32_t journal_bytes, journal_first, journal_files, slots, direct, max_group, late_us, large_group;
    uint32_t max_batch; // bytes of a producer's largest batch
    uint32_t tail_pool, read_pool, dirty_bytes, writeback_ms, fetch_window;
    uint32_t cache_bytes, cache_extent, read_ahead, cold_reads;
    uint32_t topics, partitions; // at most
    uint32_t producers, consumers;
    uint32_t pause_us; // between a producer's batches, at most
    uint32_t lives;
    uint32_t files_max;          // open segments of a shard
    bool late_names, late_seals; // new segments get their names, full ones are sealed, by those who need it
    uint32_t trash_step;         // bytes of a removed file that go at once
    uint32_t bulk;               // logs made or closed together from which on a syncfs covers them; 0: never
    bool faults;                 // short I/O, stalls, refused space
    bool tight_disk;
    bool imitate;    // payloads that look like headers
    bool deletes;    // topics are deleted, and created again under their names
    bool follow_cut; // endings follow an answer closely
    bool torn;       // every life ends by a power cut, with direct writes in flight
    bool caching;    // some topics have write.caching: their answers promise nothing
    // The front of the logs moves. Off in most seeds, which draw nothing for it.
    bool front;
    uint32_t retention_bytes; // 0: without limit
    uint32_t retention_ms;    // between two looks
    // Topics with keys, compaction and conversion (keyed.h). Off in most seeds, which draw nothing for it.
    bool keyed;
    uint32_t cleaner_ms, map_bytes;
};

// Parts of the story that can be left out, to narrow a failure down.
enum {
    WITHOUT_DELETES = 1u << 0,
    WITHOUT_FAULTS = 1u << 1,
    WITHOUT_TIGHT_DISK = 1u << 2,
    WITHOUT_IMITATION = 1u << 3,
    WITHOUT_KILLS = 1u << 4,
    WITHOUT_CUTS = 1u << 5,
    WITHOUT_DIRECT = 1u << 6,
    WITHOUT_CACHING = 1u << 7,
    WITHOUT_FRONT = 1u << 8,
    WITHOUT_KEYED = 1u << 9,
};

// Sums over seeds; a child writes it for its parent.
struct totals {
    uint64_t lives, clean_stops, kills, power_cuts, boots_broken; // boots_broken: ended while recovering
    uint64_t spares;  // files made ahead that a kill or power cut left, those of unnamed segments among them
    uint64_t heals;   // of a full disk within a life
    uint64_t strays;  // files of earlier lives that came back
    uint64_t refused; // starts, after a bit rotted
    uint64_t batches_acked, batches_read, records_acked, bytes_acked, deletes, creates, duplicates, forgotten;
    uint64_t drives_broken;           // while a broker ran
    uint64_t trims, starts;           // DeleteRecords answered; log starts seen to move
    uint64_t compacted;               // records that readers saw to be gone
    uint64_t meta_trims;              // metadata logs that did not begin at 0 any more, at the end
    uint64_t joins, fenced, switches; // of members of consumer groups: got in, were thrown out, began anew
    uint64_t unstable_writes;         // whose buffer changed while they were in flight
    uint64_t faults, events, virtual_ns, late_writes, garbage_sectors, lost_sectors;
    uint64_t hash;
};

struct run {
    uint64_t seed;
    bool verbose, trace;
    bool broker;      // the whole broker over sockets, not storage alone
    bool groups;      // with members of groups
    bool several;     // log directories, on drives of their own that may break
    uint32_t without; // WITHOUT_*
    uint32_t with;    // the same, for parts that every seed is to have
    struct sim_world *w;
    struct sim_host *host;
    struct sl_rand *rng;
    struct knobs k;
    struct model *model;
    uint32_t loots;          // payloads made of what lies on the disk
    struct members *members; // NULL: none
    struct totals *sum;
    uint32_t life_no;
    uint32_t dirs;      // of log.dirs: run_dirs[0..n)
    bool meta_apart;    // metadata.log.dir is a directory of its own
    uint32_t drives[3]; // of the directories; 0: the root's
    bool calm;          // faults have stopped: what fails now is a bug
};

// Ends the process with the seed and the last events. Any oracle calls it.
__attribute__((noreturn, format(printf, 2, 3))) void run_fail(struct run *r, const char *fmt, ...);
// A line of the story, when asked for.
__attribute__((format(printf, 2, 3))) void run_say(struct run *r, const char *fmt, ...);

static inline uint32_t run_below(struct run *r, uint32_t n)
{
    return (uint32_t)sl_rand_below(r->rng, n);
}
static inline bool run_chance(struct run *r, uint32_t num, uint32_t den)
{
    return sl_rand_chance(r->rng, num, den);
}
// Between lo and hi, small values more often.
uint64_t run_skewed(struct run *r, uint64_t lo, uint64_t hi);

// The log directories of the broker's story.
extern const char *const run_dirs[3];

// scenario.c: the whole story of one seed.
void scenario_run(struct run *r);

#endif
