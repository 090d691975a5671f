// Writes random cases for GroupCheck.java, each with our answer:  group-cases SEED ASSIGNMENTS RECONCILIATIONS
//
//   assign uniform|range HOMOGENEOUS(0|1)         a group in its life: members come and go, topics come and grow
//   topic NUMBER PARTITIONS
//   member ID INSTANCE|- TOPICS BEFORE AFTER      TOPICS 1,2  BEFORE and AFTER 1:0,1;2:5 or -
//   end
//   reconcile STATE EPOCH TARGET_EPOCH CHANGED(0|1) TOPICS ASSIGNED REVOKING TARGET OWNED|? HELD  ASSIGNED..: 1:0@5,1@6
//   result STATE EPOCH PREVIOUS ASSIGNED REVOKING | result fenced
//   hash NAME NUMBER PARTITIONS RACKS(; between partitions, + between racks) HASH        grouphash HASHES HASH
//
// Topic NUMBER has the id (0, NUMBER): upstream's hash tables then hold topics in ascending order, as ours do.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/rand.h"
#include "engine/coord/modern/assign.h"
#include "engine/coord/modern/hash.h"
#include "engine/coord/modern/reconcile.h"

enum { MAX_TOPICS = 12, MAX_MEMBERS = 40 };

static struct sl_rand rnd;
static struct arena arena;

static uint32_t below(uint32_t n)
{
    return (uint32_t)sl_rand_below(&rnd, n);
}

static void need(int rc)
{
    if (rc) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
}

static struct sl_uuid id_of(uint32_t number)
{
    return sl_uuid_make(0, number);
}

static void print_parts(const struct cg_parts *s, bool epochs)
{
    uint32_t from, to = 0;
    printf(" ");
    if (!s->n)
        printf("-");
    while (cg_parts_next_topic(s, &from, &to)) {
        printf("%s%" PRIu64 ":", from ? ";" : "", sl_uuid_lsb(&s->v[from].topic));
        for (uint32_t i = from; i < to; i++) {
            printf("%s%d", i > from ? "," : "", s->v[i].partition);
            if (epochs)
                printf("@%d", s->v[i].epoch);
        }
    }
}

// ---- assignments ----------------------------------------------------------------------------------------------------
struct world_member {
    char id[16], instance[16];
    uint32_t topics; // bits
    struct cg_parts target;
};
struct world {
    int32_t partitions[MAX_TOPICS]; // 0: no such topic
    struct world_member members[MAX_MEMBERS];
    uint32_t members_n, next_id, every; // every: what a homogeneous group subscribes to
    bool mixed;
};

static uint32_t some_topics(void)
{
    uint32_t bits = below(1u << MAX_TOPICS);
    return bits ? bits : 1;
}

static void world_begin(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->mixed = below(2);
    w->every = below(3) ? some_topics() : 1u << below(MAX_TOPICS);
    for (uint32_t t = 0; t < MAX_TOPICS; t++)
        w->partitions[t] = below(4) ? (int32_t)below(below(5) ? 12 : 120) : 0;
}

static void join(struct world *w)
{
    if (w->members_n == MAX_MEMBERS)
        return;
    struct world_member *m = &w->members[w->members_n++];
    *m = (struct world_member){.topics = w->mixed ? some_topics() : w->every};
    snprintf(m->id, sizeof(m->id), "m%05u", below(100000));
    if (below(4) == 0)
        snprintf(m->instance, sizeof(m->instance), "i%05u", below(100000));
}

static void leave(struct world *w)
{
    if (!w->members_n)
        return;
    uint32_t i = below(w->members_n);
    cg_parts_free(&w->members[i].target);
    w->members[i] = w->members[--w->members_n];
}

static void change(struct world *w)
{
    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        for (uint32_t n = 1 + below(4); n > 0; n--)
            join(w);
        break;
    case 3:
    case 4:
        for (uint32_t n = 1 + below(3); n > 0; n--)
            leave(w);
        break;
    case 5:
        w->partitions[below(MAX_TOPICS)] += (int32_t)below(9);
        break;
    case 6:
        w->every = some_topics();
        for (uint32_t i = 0; !w->mixed && i < w->members_n; i++)
            w->members[i].topics = w->every;
        break;
    default:
        if (w->mixed && w->members_n)
            w->members[below(w->members_n)].topics = some_topics();
    }
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct world_member *)a)->id, ((const struct world_member *)b)->id);
}

static bool distinct(struct world *w)
{
    qsort(w->members, w->members_n, sizeof(w->members[0]), by_id);
    for (uint32_t i = 1; i < w->members_n; i++)
        if (!strcmp(w->members[i - 1].id, w->members[i].id))
            return false;
    return w->members_n > 0;
}

static void build_job(const struct world *w, struct cg_assign *job)
{
    struct cg_assign_topic *topics = arena_array(&arena, MAX_TOPICS, sizeof(*topics));
    struct cg_assign_member *members = arena_array(&arena, w->members_n, sizeof(*members));
    uint32_t used = 0, index[MAX_TOPICS], n = 0;
    need(!topics || !members);
    for (uint32_t i = 0; i < w->members_n; i++)
        used |= w->members[i].topics;
    for (uint32_t t = 0; t < MAX_TOPICS; t++)
        if ((used >> t & 1) && w->partitions[t]) {
            index[t] = n;
            topics[n++] = (struct cg_assign_topic){id_of(t), w->partitions[t]};
        }
    for (uint32_t i = 0; i < w->members_n; i++) {
        const struct world_member *m = &w->members[i];
        uint32_t *list = arena_array(&arena, MAX_TOPICS, sizeof(*list)), k = 0;
        need(!list);
        for (uint32_t t = 0; t < MAX_TOPICS; t++)
            if ((m->topics >> t & 1) && w->partitions[t])
                list[k++] = index[t];
        members[i] =
            (struct cg_assign_member){.id = kp_str_of(m->id),
                                      .instance = m->instance[0] ? kp_str_of(m->instance) : KP_STR_NULL,
                                      .topics = list,
                                      .topics_n = k,
                                      .before = m->target};
    }
    *job = (struct cg_assign){topics, n, members, w->members_n, !w->mixed, &arena};
}

static void write_assignment(struct world *w)
{
    struct cg_assign job;
    enum cg_assignor which = below(4) ? CG_UNIFORM : CG_RANGE;
    if (!distinct(w))
        return;
    build_job(w, &job);
    need(cg_assign(which, &job));
    printf("assign %s %d\n", cg_assignor_name(which), job.homogeneous);
    for (uint32_t t = 0; t < job.topics_n; t++)
        printf("topic %" PRIu64 " %d\n", sl_uuid_lsb(&job.topics[t].id), job.topics[t].partitions);
    for (uint32_t i = 0; i < job.members_n; i++) {
        struct world_member *m = &w->members[i];
        printf("member %s %s ", m->id, m->instance[0] ? m->instance : "-");
        for (uint32_t k = 0; k < job.members[i].topics_n; k++)
            printf("%s%" PRIu64, k ? "," : "", sl_uuid_lsb(&job.topics[job.members[i].topics[k]].id));
        if (!job.members[i].topics_n)
            printf("-");
        print_parts(&m->target, false);
        print_parts(&job.members[i].after, false);
        printf("\n");
    }
    printf("end\n");
    for (uint32_t i = 0; i < job.members_n; i++)
        need(cg_parts_keep(&w->members[i].target, &job.members[i].after));
    arena_reset(&arena);
}

static void write_assignments(uint32_t count)
{
    struct world w;
    while (count > 0) {
        uint32_t steps = SL_MIN(count, 1 + below(20));
        world_begin(&w);
        for (uint32_t i = 0; i < steps; i++, count--) {
            change(&w);
            if (!below(3))
                change(&w);
            write_assignment(&w);
        }
        while (w.members_n)
            leave(&w);
    }
}

// ---- reconciliation ---------------------------------------------------------------------------------------------------
enum { R_TOPICS = 3, R_PARTS = 4, R_ALL = R_TOPICS * R_PARTS };

struct holders {
    uint32_t held, topics; // bits
};

static bool held_by_some(void *ctx, const struct cg_part *p)
{
    const struct holders *h = ctx;
    uint32_t bit = (uint32_t)sl_uuid_lsb(&p->topic) * R_PARTS + (uint32_t)p->partition;
    return h->held >> bit & 1;
}

static bool subscribed(void *ctx, const struct sl_uuid *topic)
{
    const struct holders *h = ctx;
    return h->topics >> sl_uuid_lsb(topic) & 1;
}

static struct cg_parts parts_of(uint32_t bits, int32_t epoch)
{
    struct cg_parts s;
    need(cg_parts_reserve(&s, R_ALL, &arena));
    for (uint32_t i = 0; i < R_ALL; i++) {
        struct sl_uuid id = id_of(i / R_PARTS);
        if (bits >> i & 1)
            cg_parts_push(&s, &id, (int32_t)(i % R_PARTS), epoch > 0 ? epoch - (int32_t)below(3) : 0);
    }
    return s;
}

static void write_reconciliation(void)
{
    uint32_t mine = below(1u << R_ALL), revoking_bits = 0;
    const enum cg_member_state states[] = {CG_MEMBER_STABLE, CG_MEMBER_UNREVOKED, CG_MEMBER_UNRELEASED,
                                           CG_MEMBER_UNKNOWN};
    struct cg_progress m = {.epoch = 10, .previous_epoch = 9, .state = states[below(below(10) ? 3 : 4)]};
    if (m.state == CG_MEMBER_UNREVOKED) {
        revoking_bits = mine & below(1u << R_ALL);
        mine &= ~revoking_bits;
    }
    m.assigned = parts_of(mine, 10);
    m.revoking = parts_of(revoking_bits, 10);
    uint32_t others = below(1u << R_ALL) & below(1u << R_ALL) & ~mine & ~revoking_bits;
    struct holders h = {.held = others | mine | revoking_bits, .topics = below(2) ? 7 : below(8)};
    struct cg_parts target = parts_of(below(1u << R_ALL), 0), owned = parts_of(0, 0),
                    held = parts_of(h.held, 0);
    bool told = below(3);
    if (told)
        owned = parts_of(below(2) ? mine : (mine | revoking_bits) & (below(2) ? ~0u : below(1u << R_ALL)), 0);
    struct cg_reconcile in = {.target_epoch = 10 + (int32_t)below(3),
                              .target = &target,
                              .subscription_changed = below(2),
                              .owned = told ? &owned : NULL,
                              .ctx = &h,
                              .held = held_by_some,
                              .subscribed = subscribed};
    printf("reconcile %d %d %d %d %u", m.state, m.epoch, in.target_epoch, in.subscription_changed, h.topics);
    print_parts(&m.assigned, true);
    print_parts(&m.revoking, true);
    print_parts(&target, false);
    if (told)
        print_parts(&owned, false);
    else
        printf(" ?");
    print_parts(&held, false);
    int rc = cg_reconcile(&in, &m, &arena);
    if (rc == -ESTALE) {
        printf("\nresult fenced\n");
    } else {
        need(rc);
        printf("\nresult %d %d %d", m.state, m.epoch, m.previous_epoch);
        print_parts(&m.assigned, true);
        print_parts(&m.revoking, true);
        printf("\n");
    }
    arena_reset(&arena);
}

// ---- hashes -------------------------------------------------------------------------------------------------------------
static const char *const rack_names[] = {
    "a", "rack-1", "rack-2", "r\xc3\xa9gion", "\xe4\xb8\x9c\xe4\xba\xac", "\xf0\x9f\x9a\x80z"};

struct rack_bits {
    uint32_t bits[64];
};

static uint32_t racks_of(void *ctx, const struct sl_uuid *topic, int32_t partition, struct kp_str *out)
{
    const struct rack_bits *r = ctx;
    uint32_t n = 0;
    for (uint32_t i = SL_ARRAY_LEN(rack_names); i-- > 0;) // not in order
        if (r->bits[partition] >> i & 1)
            out[n++] = kp_str_of(rack_names[i]);
    return n;
}

static void write_hashes(void)
{
    uint64_t hashes[8];
    uint32_t n = below(9);
    for (uint32_t i = 0; i < n; i++) {
        struct rack_bits bits;
        struct cg_racks racks = {&bits, racks_of};
        char name[128];
        uint32_t number = below(1000), len = 1 + below(100);
        int32_t partitions = (int32_t)(1 + below(40));
        for (uint32_t k = 0; k < len; k++)
            name[k] = (char)('a' + below(26));
        name[len] = 0;
        bool any = below(2);
        struct sl_uuid id = sl_uuid_make(number * 0x9e3779b97f4a7c15ull, number);
        printf("hash %s %u %d ", name, number, partitions);
        for (int32_t p = 0; p < partitions; p++) {
            struct kp_str out[CG_RACKS_MAX];
            bits.bits[p] = any ? below(1u << SL_ARRAY_LEN(rack_names)) : 0;
            uint32_t k = racks_of(&bits, &id, p, out);
            for (uint32_t r = 0; r < k; r++)
                printf("%s%.*s", r ? "+" : "", out[r].n, out[r].p);
            printf(";");
        }
        need(cg_topic_hash(&id, kp_str_of(name), partitions, any ? &racks : NULL, &arena, &hashes[i]));
        printf(" %016" PRIx64 "\n", hashes[i]);
        arena_reset(&arena);
    }
    printf("grouphash ");
    for (uint32_t i = 0; i < n; i++)
        printf("%s%016" PRIx64, i ? "," : "", hashes[i]);
    printf("%s %016" PRIx64 "\n", n ? "" : "-", cg_group_hash(hashes, n));
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: group-cases SEED ASSIGNMENTS RECONCILIATIONS\n");
        return 2;
    }
    sl_rand_seed(&rnd, strtoull(argv[1], NULL, 10));
    arena_init(&arena, 0);
    write_assignments((uint32_t)atoi(argv[2]));
    for (int i = 0; i < atoi(argv[3]); i++)
        write_reconciliation();
    for (int i = 0; i < 200; i++)
        write_hashes();
    arena_free(&arena);
    return 0;
}
