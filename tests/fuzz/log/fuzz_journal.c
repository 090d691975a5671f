// Journal files of any content: the chain walk must not read outside them, and what it hands out must be sound.
// The first byte says how: as it is, or with every group's crc made right, so that lengths and counts are what lies.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/crc32c.h"
#include "engine/log/batch.h"
#include "engine/log/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sl_uuid life = {{'l', 'i', 'f', 'e'}};

struct bounds {
    const uint8_t *from, *to;
};

static int see(void *arg, const struct jgroup *g, const struct jentry *e, const uint8_t *payload)
{
    const struct bounds *b = arg;
    SL_ASSERT(e->type >= JE_BATCH && e->type <= JE_EPOCH && g->length % JOURNAL_BLOCK == 0);
    if (!payload) {
        SL_ASSERT(!(e->flags & (JE_INLINE | JE_EDGES)));
        return 0;
    }
    if (e->flags & JE_EDGES) {
        uint32_t head, tail;
        SL_ASSERT(jentry_edges(e->position, e->bytes, &head, &tail) && head < JOURNAL_BLOCK &&
                  tail < JOURNAL_BLOCK);
        SL_ASSERT(payload >= b->from && payload + head + tail <= b->to);
        SL_ASSERT(crc32c(0, payload, head + tail) == e->edges_crc);
        return 0;
    }
    SL_ASSERT(payload >= b->from && payload + e->bytes <= b->to);
    if (e->type == JE_BATCH)
        SL_ASSERT(batch_crc_ok(payload) && batch_size(payload) == e->bytes &&
                  batch_base_offset(payload) == e->base_offset);
    else
        SL_ASSERT(crc32c(0, payload, e->bytes) == e->crc);
    return 0;
}

// Makes the payload's and the group's crc right wherever the lengths let it, as the head of journal.h describes them.
static void seal(uint8_t *p, size_t n, uint64_t position)
{
    struct jgroup g;
    memcpy(p, "SLUICEJG\1\0\x80\0\0\0\0\0", 16);
    memcpy(p + 16, life.b, 16);
    le64_store(p + 40, position);
    if (jgroup_decode(&g, p, n, NULL, position))
        return;
    uint32_t crc = crc32c(crc32c(0, life.b, 16), p, JOURNAL_HEADER);
    uint64_t at = JOURNAL_HEADER;
    for (uint32_t i = 0; i < g.count && g.length - at >= JOURNAL_ENTRY; i++) {
        struct jentry e;
        jentry_decode(&e, p + at);
        uint64_t len = e.flags & JE_INLINE ? e.bytes : 0;
        if (len <= g.length - at - JOURNAL_ENTRY && e.type != JE_BATCH)
            le32_store(p + at + 4, crc32c(0, p + at + JOURNAL_ENTRY, len));
        crc = crc32c(crc, p + at, JOURNAL_ENTRY);
        at += JOURNAL_ENTRY + SL_ALIGN_UP(len, 8);
        if (at > g.length)
            break;
    }
    le32_store(p + 12, crc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint8_t how = data[0];
    size_t len = SL_ALIGN_UP(size - 1, (size_t)JOURNAL_BLOCK);
    uint8_t *p = aligned_alloc(JOURNAL_BLOCK, len);
    memset(p, 0, len);
    memcpy(p, data + 1, size - 1);
    for (size_t at = 0; (how & 1) && at < len; at += JOURNAL_BLOCK)
        seal(p + at, len - at, at);
    struct bounds b = {p, p + len};
    struct jgroup g;
    if (jgroup_decode(&g, p, len, NULL, 0) == 0)
        (void)jgroup_walk(&g, p, see, &b);
    // As two files of a shard, cut somewhere.
    size_t cut = (how >> 1) * (size_t)JOURNAL_BLOCK % len;
    struct replay_file files[2] = {{.data = p, .len = cut}, {.data = p + cut, .len = len - cut}};
    struct replay_chain c = {
        .life = life, .first_generation = 1 + (how >> 6), .files = files, .n = 2, .fn = see, .arg = &b};
    int rc = replay_chain(&c);
    SL_ASSERT(rc == 0 || rc == -EUCLEAN);
    free(p);
    return 0;
}
