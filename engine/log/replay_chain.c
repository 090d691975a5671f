// One shard's chain of groups: walked, and judged where it breaks. Pure; see replay.h.
#include "engine/log/replay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/canary.h"

// Where the chain stands: what the next group must say of itself.
struct cursor {
    struct replay_chain *c;
    bool known; // sequence and crc are: the chain has begun
    uint64_t sequence;
    uint32_t crc;
};

// How far into a file that is not the chain's last one headers are looked for.
enum { BEHIND_OTHERS = 1024 * 1024 };

// Whether [0, upto) of the file is there.
static bool there(struct replay_chain *c, struct replay_file *f, uint64_t upto)
{
    upto = SL_MIN(upto, f->len);
    if (!c->load || f->loaded >= upto)
        return true;
    if (!c->failed)
        c->failed = c->load(c->load_arg, f, upto);
    return f->loaded >= upto;
}

static int header_at(struct replay_chain *c, struct replay_file *f, uint64_t position, struct jgroup *g)
{
    if (!there(c, f, position + JOURNAL_BLOCK))
        return -EBADMSG;
    const struct sl_uuid *life = SL_CANARY(REPLAY_WITHOUT_LIFE_ID) ? NULL : &c->life;
    int rc = jgroup_decode(g, f->data + position, f->len - position, life, position);
    return rc == 0 && g->shard != c->shard ? -EBADMSG : rc;
}

// Walks a file's groups of `generation` from position 0 until one does not continue the chain.
static int walk_file(struct cursor *cur, struct replay_file *f, uint64_t generation, jentry_fn fn, void *arg)
{
    uint64_t at = 0;
    while (at < f->len) {
        struct jgroup g;
        if (header_at(cur->c, f, at, &g) || g.generation != generation)
            break;
        if (cur->known && (g.sequence != cur->sequence || g.prev_crc != cur->crc))
            break;
        if (!there(cur->c, f, at + g.length) || jgroup_walk(&g, f->data + at, NULL, NULL))
            break;
        int rc = fn ? jgroup_each(&g, f->data + at, fn, arg) : 0;
        if (rc)
            return rc;
        cur->known = true;
        cur->sequence = g.sequence + 1;
        cur->crc = g.crc;
        at += g.length;
        cur->c->groups += fn != NULL;
    }
    f->walked = at;
    return 0;
}

// The file in use for a generation. With `cur`, it must begin with the group that the chain expects.
static struct replay_file *file_of(struct replay_chain *c, uint64_t generation, const struct cursor *cur)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct jgroup g;
        if (c->files[i].generation != generation)
            continue;
        if (!cur || !cur->known || (header_at(c, &c->files[i], 0, &g) == 0 && g.sequence == cur->sequence))
            return &c->files[i];
    }
    return NULL;
}

static void set_break(struct replay_chain *c, const struct replay_file *f)
{
    snprintf(c->break_file, sizeof(c->break_file), "%s", f ? f->name : "");
    c->break_position = f ? f->walked : 0;
}

// A header behind the break, if the block at `at` is one that may be believed.
static bool later_header(struct replay_chain *c, struct replay_file *f, uint64_t at, struct jgroup *g)
{
    return header_at(c, f, at, g) == 0 && g->generation >= c->first_generation &&
           g->durable_through < g->sequence && g->sequence - g->durable_through <= JOURNAL_SLOTS_MAX;
}

// What the headers behind the break say together.
struct behind {
    uint64_t lowest, generation; // sequence of the first one, and the latest generation
};

static void look_behind(struct replay_chain *c, struct replay_file *f, uint64_t upto, struct behind *b)
{
    for (uint64_t at = f->walked; at < upto; at += JOURNAL_BLOCK) {
        struct jgroup g;
        if (!later_header(c, f, at, &g))
            continue;
        c->durable_through = SL_MAX(c->durable_through, g.durable_through);
        b->lowest = SL_MIN(b->lowest, g.sequence);
        b->generation = SL_MAX(b->generation, g.generation);
    }
}

// -EUCLEAN if the group that is expected at the break was durable once.
static int judge_break(struct replay_chain *c, const struct cursor *cur, const struct replay_file *last)
{
    struct behind b = {.lowest = UINT64_MAX};
    for (uint32_t i = 0; i < c->n; i++)
        look_behind(c, &c->files[i],
                    last == &c->files[i] ? last->len : SL_MIN(c->files[i].len, (uint64_t)BEHIND_OTHERS), &b);
    if (c->failed)
        return c->failed;
    if (b.lowest == UINT64_MAX)
        return 0;
    if (cur->known)
        return c->durable_through >= cur->sequence ? -EUCLEAN : 0;
    // Not even the first sequence is known. It is below the lowest that is there: refused if that one's predecessor was
    // durable, or when there is a later generation.
    return c->durable_through + 1 >= b.lowest || b.generation > c->first_generation ? -EUCLEAN : 0;
}

static void find_generations(struct replay_chain *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct jgroup g;
        SL_ASSERT(c->files[i].len % JOURNAL_BLOCK == 0);
        c->files[i].walked = 0;
        c->files[i].generation = header_at(c, &c->files[i], 0, &g) == 0 ? g.generation : 0;
    }
}

// Learns what the first needed generation begins with, without handing out an entry.
static void learn_start(struct cursor *cur, struct replay_file **before)
{
    struct replay_chain *c = cur->c;
    *before = NULL;
    if (c->first_generation == 1) {
        cur->known = true;
        cur->sequence = 1;
        return;
    }
    struct jgroup g;
    struct replay_file *f = file_of(c, c->first_generation, NULL);
    if (f && header_at(c, f, 0, &g) == 0) {
        // It is there: its own first header says it, be the group whole or not.
        cur->known = true;
        cur->sequence = g.sequence;
        cur->crc = g.prev_crc;
        return;
    }
    *before = file_of(c, c->first_generation - 1, NULL);
    if (*before)
        (void)walk_file(cur, *before, c->first_generation - 1, NULL, NULL);
}

int replay_chain(struct replay_chain *c)
{
    struct cursor cur = {.c = c};
    struct replay_file *last;
    SL_ASSERT(c->first_generation >= 1 && c->fn);
    c->groups = c->durable_through = 0;
    c->failed = 0;
    find_generations(c);
    learn_start(&cur, &last);
    uint64_t generation = c->first_generation;
    struct replay_file *f;
    while ((f = file_of(c, generation, &cur))) {
        last = f;
        int rc = walk_file(&cur, f, generation, c->fn, c->arg);
        if (rc)
            return rc;
        if (f->walked == 0)
            break;
        c->last_generation = generation++;
    }
    c->last_sequence = cur.known ? cur.sequence - 1 : 0;
    if (!last && c->n > 0)
        last = &c->files[0];
    set_break(c, last);
    return c->failed ? c->failed : judge_break(c, &cur, last);
}
