/* Journals, shards' checkpoints and producer snapshots, printed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/log/checkpoint.h"
#include "engine/log/epoch.h"
#include "engine/log/journal.h"
#include "tools/sluice/log_command.h"

static void print_life(const struct sl_uuid *life)
{
    for (size_t i = 0; i < sizeof(life->b); i++)
        printf("%02x", life->b[i]);
}

static int print_entry(void *arg, const struct jgroup *g, const struct jentry *e, const uint8_t *payload)
{
    static const char *const names[] = {"?", "batch", "prefix", "fence", "confirmed", "epoch"};
    const struct log_dump_options *o = arg;
    char id[SL_UUID_TEXT_LEN + 1];
    (void)g;
    sl_uuid_to_text(&e->topic_id, id);
    printf("  %s %s-%d incarnation %u", e->type < SL_ARRAY_LEN(names) ? names[e->type] : "?", id,
           e->partition, e->incarnation);
    if (e->type == JE_FENCE)
        printf(" floor %" PRId64 " end %" PRId64 " new incarnation %" PRId64, e->base_offset, e->last_offset,
               e->producer_id);
    else
        printf(" segment %" PRId64 " position %u bytes %u offsets %" PRId64 "..%" PRId64
               " leader epoch %d %s",
               e->segment_base, e->position, e->bytes, e->base_offset, e->last_offset, e->leader_epoch,
               e->flags & JE_INLINE ? "inline" : "direct");
    if (e->type == JE_BATCH && e->producer_id >= 0)
        printf(" producer %" PRId64 " epoch %d sequence %d", e->producer_id, e->producer_epoch,
               e->base_sequence);
    putchar('\n');
    if (o->records && payload && e->type == JE_BATCH && (e->flags & JE_INLINE))
        (void)log_dump_batch(payload, e->bytes, o); /* its CRC was checked before it came here */
    return 0;
}

/* A recycled file goes on with groups of an older generation: they are not part of what this one says. Behind a group that is
 * damaged come others that are not: who gives a journal up wants to know what was in them. */
int log_dump_journal(const struct logfile *f, const struct log_dump_options *o)
{
    uint64_t generation = 0;
    int failed = 0;
    for (size_t at = 0; at + JOURNAL_HEADER <= f->len;) {
        struct jgroup g;
        int rc = jgroup_decode(&g, f->data + at, f->len - at, NULL, at);
        if (rc || (generation && g.generation != generation)) {
            printf("# position %zu: %s\n", at,
                   rc ? "no group: the end of this file's chain" : "groups of an older use");
            return failed;
        }
        generation = g.generation;
        printf("group %" PRIu64 " position %" PRIu64 " length %u entries %u shard %u generation %" PRIu64
               " durable through %" PRIu64 "%s life ",
               g.sequence, g.position, g.length, g.count, g.shard, g.generation, g.durable_through,
               g.flags & JGROUP_CLOSING ? " closing" : "");
        print_life(&g.life);
        putchar('\n');
        if (jgroup_walk(&g, f->data + at, print_entry, (void *)o)) {
            printf("# the group at position %zu does not verify\n", at);
            failed = -EBADMSG;
        }
        at += g.length;
    }
    return failed;
}

static int print_log(void *arg, const struct ckpt_head *h, const struct ckpt_log *l)
{
    char id[SL_UUID_TEXT_LEN + 1];
    (void)arg, (void)h;
    sl_uuid_to_text(&l->topic_id, id);
    printf("log %s-%d incarnation %u log start %" PRId64 " end %" PRId64 " segment %" PRId64
           " position %u leader epoch %d index entries %u, %u\n",
           id, l->partition, l->incarnation, l->log_start, l->end_offset, l->segment_base, l->end_position,
           l->leader_epoch, l->index_entries, l->timeindex_entries);
    if (l->producers)
        log_print_producers(l->producers, l->producers_len);
    for (uint32_t at = 0; at + EPOCH_PAIR_SIZE <= l->epochs_len; at += EPOCH_PAIR_SIZE)
        printf("  epoch %d from offset %" PRId64 "\n", (int32_t)be32_load(l->epochs + at),
               (int64_t)be64_load(l->epochs + at + 4));
    return 0;
}

int log_dump_shard_checkpoint(const struct logfile *f)
{
    struct ckpt_head h;
    int rc = ckpt_walk(f->data, f->len, &h, print_log, NULL);
    if (rc)
        return rc;
    printf("shard %u, %u logs, journal needed from generation %" PRIu64 ", life ", h.shard, h.logs,
           h.first_generation);
    print_life(&h.life);
    putchar('\n');
    return 0;
}

void log_print_producers(const uint8_t *p, size_t n)
{
    enum { HEAD = 10, ENTRY = 46 };
    for (size_t at = HEAD; at + ENTRY <= n; at += ENTRY)
        printf("  producer %" PRId64 " epoch %d last sequence %d last offset %" PRId64
               " delta %d timestamp %" PRId64 " coordinator epoch %d open transaction from %" PRId64 "\n",
               (int64_t)be64_load(p + at), (int16_t)be16_load(p + at + 8), (int32_t)be32_load(p + at + 10),
               (int64_t)be64_load(p + at + 14), (int32_t)be32_load(p + at + 22),
               (int64_t)be64_load(p + at + 26), (int32_t)be32_load(p + at + 34),
               (int64_t)be64_load(p + at + 38));
}
