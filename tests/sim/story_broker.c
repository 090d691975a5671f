// The story of one seed with the whole broker: its lives come and go beneath clients that stay, over sockets.
#include "tests/sim/story.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/broker_life.h"
#include "tests/sim/members.h"
#include "tests/sim/people.h"
#include "tests/sim/stray.h"

static void wait_or_fail(struct run *r, struct people *p, bool (*done)(void *), void *arg, const char *what)
{
    if (sim_run(r->w, 120 * SEC, done, arg))
        return;
    char text[200], more[800] = "";
    people_describe(p, text, sizeof(text));
    if (r->members)
        members_describe(r->members, more, sizeof(more));
    run_fail(r, "%s does not end: %s%s", what, text, more);
}

// True: it serves. False: it ended while it started.
static bool boot(struct run *r, struct people *p, struct blife *l)
{
    const char *text = "";
    wait_or_fail(r, p, blife_up, l, "the start");
    int rc = blife_error(l, &text);
    if (!rc)
        return true;
    if (r->calm || !(r->k.faults || r->k.tight_disk || r->several))
        run_fail(r, "the start failed: %d %s", rc, text);
    run_say(r, "  start failed by faults: %s", text);
    blife_kill(l);
    return false;
}

// True: the life ended in the middle of its clean stop.
static bool cut_short(struct run *r, struct blife *l, bool (*done)(void *), uint64_t within)
{
    if (r->calm || !run_chance(r, 1, 2) ||
        sim_run(r->w, run_chance(r, 1, 2) ? run_skewed(r, 1000, within) : 1 + run_below(r, (uint32_t)within),
                done, l))
        return false;
    if (run_chance(r, 1, 2) || (r->without & WITHOUT_CUTS))
        blife_kill(l);
    else
        blife_power_cut(l);
    return true;
}

static void stop(struct run *r, struct people *p, struct blife *l)
{
    blife_stop(l);
    if (cut_short(r, l, blife_stopped, 60 * MS))
        return;
    wait_or_fail(r, p, blife_stopped, l, "the stop");
    blife_finish(l);
    if (cut_short(r, l, blife_finished, 4 * MS))
        return;
    wait_or_fail(r, p, blife_finished, l, "the end of the stop");
    const char *text = "";
    int rc = blife_error(l, &text);
    if (rc && r->calm)
        run_fail(r, "the stop was not clean: %d %s", rc, text);
    if (rc) {
        blife_kill(l);
        return;
    }
    r->sum->clean_stops++;
    blife_free(l);
}

static void end_life(struct run *r, struct people *p, struct blife *l)
{
    uint32_t how = run_below(r, 8);
    bool up = blife_serving(l);
    if (how < 3 && !(r->without & WITHOUT_KILLS))
        blife_kill(l);
    else if ((how < 6 || !up) && !(r->without & WITHOUT_CUTS))
        blife_power_cut(l);
    else if (!up)
        blife_kill(l);
    else
        stop(r, p, l);
}

struct acks_wait {
    struct people *p;
    uint64_t want;
};

static bool acks_came(void *arg)
{
    struct acks_wait *w = arg;
    return people_acks(w->p) >= w->want;
}

static bool nothing_held(void *arg)
{
    return people_shots(arg) == 0;
}

// See scenario.c. Here the partitions that could not be opened for lack of space are opened, too.
static void heal(struct run *r, struct people *p)
{
    run_say(r, "  the disk has space again");
    people_hush(p, true);
    if (!sim_run(r->w, STORY_HELD, nothing_held, p))
        run_fail(r, "%u produce requests are without an answer after %llu s", people_shots(p),
                 (unsigned long long)(STORY_HELD / SEC));
    story_faults_off(r);
    sim_run(r->w, STORY_HEALED, NULL, NULL);
    people_hush(p, false);
    struct acks_wait w = {p, people_acks(p) + 1};
    if (!sim_run(r->w, STORY_HELD, acks_came, &w) && people_write(p))
        run_fail(r, "nothing is acknowledged though the disk has space again");
    sim_run(r->w, run_skewed(r, 1000, SEC), NULL, NULL);
    r->sum->heals++;
}

// What a stop leaves of the metadata log: its segments follow each other, and if they do not begin at 0, a snapshot holds what
// was before.
struct meta_files {
    int64_t first, newest;
};

static void see_meta(void *arg, const char *path, uint64_t size)
{
    struct meta_files *f = arg;
    const char *name = strrchr(path, '/') + 1;
    int64_t offset = strtoll(name, NULL, 10);
    size_t n = strlen(name);
    (void)size;
    if (n > 4 && !strcmp(name + n - 4, ".log"))
        f->first = f->first < 0 ? offset : SL_MIN(f->first, offset);
    if (n > 11 && !strcmp(name + n - 11, ".checkpoint"))
        f->newest = SL_MAX(f->newest, offset);
}

static void check_metadata(struct run *r)
{
    struct meta_files f = {-1, -1};
    sim_disk_walk(r->host, r->meta_apart ? "/meta/__cluster_metadata-0" : "/data/__cluster_metadata-0",
                  see_meta, &f);
    if (f.first > 0 && f.newest < f.first)
        run_fail(r, "the metadata log begins at %lld, its newest snapshot is of %lld", (long long)f.first,
                 (long long)f.newest);
    r->sum->meta_trims += f.first > 0;
}

// Some drive breaks, mostly after a while; those that broke before are repaired, mostly. What lies on the others is served on,
// and what was acknowledged is there when the drive is. (A tight disk's promises are of all that is written.)
static void break_drive(void *arg)
{
    struct run *r = arg;
    uint32_t i = run_below(r, r->dirs);
    if (r->calm || !r->drives[i])
        return;
    run_say(r, "  the drive of %s breaks", run_dirs[i]);
    sim_disk_break_drive(r->host, r->drives[i], true);
    r->sum->drives_broken++;
}

static void repair_drives(struct run *r)
{
    for (uint32_t i = 0; i < r->dirs; i++)
        if (r->drives[i])
            sim_disk_break_drive(r->host, r->drives[i], false);
}

static void one_life(struct run *r, struct people *p)
{
    story_faults_on(r);
    if (r->several && run_chance(r, 3, 4))
        repair_drives(r);
    if (r->several && !r->k.tight_disk && run_chance(r, 1, 2))
        sim_at(r->w, run_chance(r, 1, 8) ? 0 : run_skewed(r, MS, SEC), break_drive, r);
    struct blife *l = blife_start(r);
    if (run_chance(r, 1, 4) && !sim_run(r->w, run_skewed(r, 1000, 60 * MS), blife_up, l)) {
        end_life(r, p, l);
        return;
    }
    if (!boot(r, p, l))
        return;
    if (run_chance(r, 1, 6)) { // right behind the start
        sim_run(r->w, run_skewed(r, 1, MS), NULL, NULL);
    } else if (r->k.follow_cut) {
        struct acks_wait w = {p, people_acks(p) + run_skewed(r, 1, 300)};
        sim_run(r->w, SEC, acks_came, &w);
        if (run_chance(r, 1, 2))
            sim_run(r->w, run_skewed(r, 1, MS), NULL, NULL);
    } else {
        sim_run(r->w, run_skewed(r, 1000, SEC), NULL, NULL);
    }
    if (story_may_heal(r) && !r->several) // a drive that broke is not healed by space
        heal(r, p);
    if (r->groups && run_chance(r, 1, 6))
        sim_run(r->w, run_skewed(r, SEC, 4 * SEC), NULL, NULL); // long enough for time-outs
    end_life(r, p, l);
    if (run_chance(r, 1, 4))
        sim_run(r->w, run_skewed(r, 1, SEC), NULL, NULL); // nobody serves for a while
}

static uint64_t verify(struct run *r, struct people *p)
{
    people_verify(p);
    wait_or_fail(r, p, people_verified, p, "verification");
    if (!r->members)
        return people_content(p);
    members_verify(r->members);
    wait_or_fail(r, p, members_verified, r->members, "verification of offsets");
    return people_content(p) ^ members_content(r->members);
}

static uint64_t look(struct run *r, struct people *p, struct blife **l)
{
    *l = blife_start(r);
    boot(r, p, *l);
    return verify(r, p);
}

static void same(struct run *r, uint64_t a, uint64_t b, const char *what)
{
    if (a != b)
        run_fail(r, "the logs are not the same %s", what);
}

static void calm_end(struct run *r, struct people *p)
{
    run_say(r, "calm");
    story_faults_off(r);
    repair_drives(r);
    struct blife *l = blife_start(r);
    boot(r, p, l);
    sim_run(r->w, run_skewed(r, MS, SEC), NULL, NULL);
    if (r->members) {
        wait_or_fail(r, p, members_settled, r->members, "settling the groups");
        members_stop(r->members);
        wait_or_fail(r, p, members_gone, r->members, "draining the members");
    }
    people_stop(p);
    wait_or_fail(r, p, people_gone, p, "draining the clients");
    sim_run(r->w, SEC, NULL, NULL); // what clients that went away had sent becomes durable
    uint64_t first = verify(r, p);
    if (run_chance(r, 1, 2) || (r->without & WITHOUT_CUTS))
        blife_kill(l);
    else
        blife_power_cut(l);
    uint64_t again = look(r, p, &l);
    same(r, first, again, "after a recovery");
    blife_kill(l);
    uint64_t third = look(r, p, &l);
    same(r, again, third, "after a second recovery");
    stop(r, p, l);
    story_check_files(r);
    uint64_t clean = look(r, p, &l);
    same(r, third, clean, "after a clean stop");
    stop(r, p, l);
    story_check_files(r);
    check_metadata(r);
}

void story_broker(struct run *r)
{
    struct people *p = people_create(r);
    people_start(p);
    if (r->groups) {
        r->members = members_create(r);
        members_start(r->members);
    }
    for (uint32_t k = 0; k < r->k.lives; k++) {
        stray_plant(r);
        one_life(r, p);
        stray_keep(r);
    }
    calm_end(r, p);
}
