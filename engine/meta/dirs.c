// Log directories: where new partitions go, what a start finds elsewhere than the metadata says, and directories that go
// offline while the broker runs.
//
// Upstream's rules. A new partition goes to the directory that holds the fewest. A partition is where its log lies: what the
// metadata says is put right. One that lies nowhere is made anew only where the metadata names a directory that is here, or
// none (UNASSIGNED; MIGRATING while no directory is missing); else its directory is offline or was taken away, and the
// partition stays without a leader until that comes back.
#include "engine/meta/meta_private.h"

#include "engine/base/canary.h"
#include "proto/gen/broker_registration_change_record.h"
#include "proto/gen/partition_change_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t TELL_RETRY_NS = 1000ull * 1000 * 1000;

void dirs_init(struct meta *m)
{
    if (m->id.dirs_n)
        return;
    m->id.dirs_n = 1;
    m->id.dirs[0] = (struct meta_dir){
        .path = store_dir(m->store), .id = m->id.directory_id, .data = true, .online = true};
}

// ---- the directories ----------------------------------------------------------------------------------------
static bool usable(const struct meta *m, uint32_t i)
{
    return m->id.dirs[i].data && m->id.dirs[i].online;
}

static uint32_t usable_count(const struct meta *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->id.dirs_n; i++)
        n += usable(m, i);
    return n;
}

static int first_usable(const struct meta *m)
{
    for (uint32_t i = 0; i < m->id.dirs_n; i++)
        if (usable(m, i))
            return (int)i;
    return -1;
}

static uint32_t missing_count(const struct meta *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->id.dirs_n; i++)
        n += m->id.dirs[i].data && !m->id.dirs[i].online;
    return n;
}

// Java's Uuid.compareTo: two signed numbers.
static int java_cmp(const void *a, const void *b)
{
    const struct sl_uuid *x = a, *y = b;
    for (size_t at = 0; at < 16; at += 8) {
        int64_t p = (int64_t)be64_load(x->b + at), q = (int64_t)be64_load(y->b + at);
        if (p != q)
            return p < q ? -1 : 1;
    }
    return 0;
}

uint32_t dirs_online(const struct meta *m, struct sl_uuid *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->id.dirs_n; i++)
        if (usable(m, i))
            out[n++] = m->id.dirs[i].id;
    qsort(out, n, sizeof(*out), java_cmp);
    return n;
}

void dirs_tell(struct meta *m)
{
    if (reactor_metrics(m->r))
        metric_set(reactor_metrics(m->r), METRIC_OFFLINE_DIRS, missing_count(m));
}

int dirs_check_version(const struct meta *m, char *err, size_t cap)
{
    uint32_t n = usable_count(m) + missing_count(m);
    if (n < 2 || version_partition(m) >= 1)
        return 0;
    return meta_fail(err, cap, -EINVAL,
                     "log.dirs: %u directories need metadata.version %d (3.7-IV2) or later; finalized is %d",
                     n, MV_DIRECTORIES, state_feature(m, "metadata.version"));
}

int dirs_of(const struct meta *m, const struct meta_partition *p)
{
    int first = first_usable(m);
    if (version_partition(m) < 1 || dir_is(&p->directory, DIR_UNASSIGNED))
        return first;
    if (dir_is(&p->directory, DIR_MIGRATING))
        return missing_count(m) ? -1 : first;
    for (uint32_t i = 0; i < m->id.dirs_n; i++)
        if (usable(m, i) && sl_uuid_eq(&m->id.dirs[i].id, &p->directory))
            return (int)i;
    return SL_CANARY(DIR_MADE_ANEW) ? first : -1;
}

// ---- placing new partitions ---------------------------------------------------------------------------------
void dirs_count(const struct meta *m, struct placing *pl)
{
    memset(pl, 0, sizeof(*pl));
    if (usable_count(m) < 2)
        return;
    for (uint32_t i = 0; i < m->sorted_n; i++)
        for (uint32_t k = 0; k < m->sorted[i]->partitions_n; k++) {
            const struct meta_partition *p = &m->sorted[i]->partitions[k];
            bool known = !dir_is(&p->directory, DIR_UNASSIGNED) && !dir_is(&p->directory, DIR_MIGRATING);
            int dir = known ? dirs_of(m, p) : -1;
            if (dir >= 0)
                pl->counts[dir]++;
        }
}

// The one with the fewest, of those the first in log.dirs; -1: none is online. It counts as placed.
static int choose(const struct meta *m, struct placing *pl)
{
    int best = -1;
    for (uint32_t i = 0; i < m->id.dirs_n; i++)
        if (usable(m, i) && (best < 0 || pl->counts[i] < pl->counts[best]))
            best = (int)i;
    if (best >= 0)
        pl->counts[best]++;
    return best;
}

struct sl_uuid dirs_default(const struct meta *m)
{
    return usable_count(m) == 1 ? m->id.dirs[first_usable(m)].id : sl_uuid_make(0, DIR_UNASSIGNED);
}

static void add_directory(struct meta *m, struct recs *rs, const struct sl_uuid *topic, int32_t partition,
                          int dir)
{
    struct kp_partition_change_record r;
    kp_partition_change_record_init(&r);
    r.partition_id = partition;
    r.topic_id = *topic;
    r.directories = &m->id.dirs[dir].id;
    r.directories_n = 1;
    recs_add(rs, REC_PARTITION_CHANGE, version_partition(m), &r);
}

void dirs_add_choice(struct meta *m, struct recs *rs, struct placing *pl, const struct sl_uuid *topic,
                     int32_t partition)
{
    if (usable_count(m) < 2)
        return;
    add_directory(m, rs, topic, partition, choose(m, pl));
}

// ---- a start ------------------------------------------------------------------------------------------------
int meta_dir_for(struct meta *m, const struct meta_partition *p)
{
    int dir = dirs_of(m, p);
    if (dir < 0 || (!dir_is(&p->directory, DIR_UNASSIGNED) && !dir_is(&p->directory, DIR_MIGRATING)))
        return dir;
    if (!m->boot_counted)
        dirs_count(m, &m->boot_placing);
    m->boot_counted = true;
    return choose(m, &m->boot_placing);
}

void meta_found(struct meta *m, const struct meta_topic *t, int32_t partition, uint32_t dir)
{
    const struct meta_partition *p = &t->partitions[partition];
    if (version_partition(m) < 1 || sl_uuid_eq(&p->directory, &m->id.dirs[dir].id))
        return;
    if (m->found_n == m->found_cap) {
        uint32_t cap = m->found_cap ? m->found_cap * 2 : 64;
        struct found_part *more = realloc(m->found, cap * sizeof(*more));
        if (!more)
            sl_panic("meta: out of memory for partitions that were found");
        m->found = more;
        m->found_cap = cap;
    }
    m->found[m->found_n++] =
        (struct found_part){.topic = t->id, .partition = partition, .dir = dir, .alone = p->replicas_n == 1};
}

void meta_dir_given_up(struct meta *m, uint32_t dir)
{
    m->id.dirs[dir].online = false;
}

static int found_cmp(const void *a, const void *b)
{
    const struct found_part *x = a, *y = b;
    int c = sl_uuid_cmp(&x->topic, &y->topic);
    return c ? c : x->partition < y->partition ? -1 : x->partition > y->partition;
}

void dirs_add_found(struct meta *m, struct recs *rs)
{
    if (m->found_n)
        qsort(m->found, m->found_n, sizeof(*m->found), found_cmp);
    for (uint32_t i = 0; i < m->found_n; i++) {
        const struct found_part *f = &m->found[i];
        if (f->alone) // where a larger cluster's other replicas lie is not ours to say
            add_directory(m, rs, &f->topic, f->partition, (int)f->dir);
    }
}

int dirs_at_start(struct meta *m, const struct meta_topic *t, uint32_t partition)
{
    struct found_part key = {.topic = t->id, .partition = (int32_t)partition};
    const struct found_part *f =
        m->found_n ? bsearch(&key, m->found, m->found_n, sizeof(key), found_cmp) : NULL;
    if (f)
        return usable(m, f->dir) ? (int)f->dir : -1;
    return dirs_of(m, &t->partitions[partition]);
}

// ---- going offline ------------------------------------------------------------------------------------------
struct report {
    struct meta_agent *agent;
    uint32_t dir;
};

static void report_fiber(void *arg)
{
    struct report *x = arg;
    struct reactor *r = x->agent->r;
    while (!reactor_credit_take(r, x->agent->m->controller, 1))
        fiber_sleep(1000 * 1000);
    reactor_request(r, x->agent->m->controller, META_DIR_OFFLINE, SVC_META)->u[0] = x->dir;
    free(x);
}

void meta_dir_failed(struct meta *m, struct reactor *r, uint32_t dir)
{
    struct report *x = malloc(sizeof(*x));
    if (!x)
        sl_panic("meta: out of memory for a report");
    *x = (struct report){.agent = &m->agents[reactor_id(r)], .dir = dir};
    if (!fiber_spawn(r, report_fiber, x, 0))
        sl_panic("meta: out of memory for a fiber");
}

void dirs_on_msg(struct meta_agent *a, uint32_t from, const struct spsc_msg *msg)
{
    struct meta *m = a->m;
    if (msg->flags & MSG_REPLY) {
        reactor_credit_give(a->r, from, 1);
        return;
    }
    SL_ASSERT(a->r == m->r && msg->u[0] < m->id.dirs_n);
    if (m->id.dirs[msg->u[0]].online)
        m->dirs_due |= 1ull << msg->u[0];
    reactor_reply(m->r, from, META_DIR_OFFLINE, SVC_META)->u[0] = msg->u[0];
    meta_work(m);
}

static void add_offline(struct meta *m, struct recs *rs, const struct sl_uuid *dir)
{
    struct kp_partition_change_record r;
    for (uint32_t i = 0; i < m->sorted_n; i++)
        for (uint32_t k = 0; k < m->sorted[i]->partitions_n; k++) {
            const struct meta_partition *p = &m->sorted[i]->partitions[k];
            if (p->leader != m->id.node_id || !sl_uuid_eq(&p->directory, dir))
                continue;
            kp_partition_change_record_init(&r);
            r.partition_id = (int32_t)k;
            r.topic_id = m->sorted[i]->id;
            r.leader = NO_LEADER;
            recs_add(rs, REC_PARTITION_CHANGE, version_partition(m), &r);
        }
}

static void add_remaining(struct meta *m, struct recs *rs)
{
    struct kp_broker_registration_change_record r;
    struct sl_uuid dirs[SHARD_DIRS_MAX];
    kp_broker_registration_change_record_init(&r);
    r.broker_id = m->id.node_id;
    r.broker_epoch = m->broker_epoch;
    r.log_dirs_n = (int32_t)dirs_online(m, dirs);
    r.log_dirs = dirs;
    recs_add(rs, REC_BROKER_REGISTRATION_CHANGE, 2, &r);
}

void dirs_offline(struct meta *m)
{
    uint64_t due = m->dirs_due;
    struct recs rs;
    m->dirs_due = 0;
    if (m->stopping)
        return;
    for (uint32_t i = 0; i < m->id.dirs_n; i++)
        if (due >> i & 1)
            m->id.dirs[i].online = false;
    recs_init(&rs);
    for (uint32_t i = 0; i < m->id.dirs_n; i++)
        if (due >> i & 1)
            add_offline(m, &rs, &m->id.dirs[i].id);
    add_remaining(m, &rs);
    int rc = meta_append(m, &rs, true);
    recs_free(&rs);
    if (rc && !m->broken) { // nothing of it is in the log: the metadata log's disk is full
        m->dirs_due |= due;
        m->dirs_waiting = true;
        if (!m->reopen.armed)
            timer_set(m->r, &m->reopen, reactor_now(m->r) + TELL_RETRY_NS);
    }
    meta_publish(m);
}
