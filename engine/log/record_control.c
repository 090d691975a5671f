/* Control records: keys and values, written by hand since this room knows no protocol definitions. The KRaft
 * values are messages in "flexible" encoding: compact lengths are the length plus one as an unsigned varint,
 * and each structure ends with a count of tagged fields, 0 here.
 *
 *   EndTxn          int16 version 0, int32 coordinator epoch (not flexible)
 *   LeaderChange    int16 version 0, int32 leader id, compact array of voters, compact array of granting
 *                   voters, tags; a voter is {int32 id, tags}
 *   SnapshotHeader  int16 version 0, int64 last contained log timestamp, tags
 *   SnapshotFooter  int16 version 0, tags
 *   KRaftVersion    int16 version 0, int16 kraft version, tags
 *   KRaftVoters     int16 version 0, compact array of voters, tags; a voter is {int32 id, uuid directory id,
 *                   compact array of endpoints, {int16 min, int16 max, tags}, tags}; an endpoint is {compact
 *                   string name, compact string host, uint16 port, tags} */
#include <errno.h>
#include <stdlib.h>

#include "engine/base/varint.h"
#include "engine/log/record.h"

/* A value under construction: a count first (p NULL), then the bytes. */
struct writer {
    uint8_t *p;
    size_t n;
};

static void put_be(struct writer *w, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        if (w->p)
            w->p[w->n] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
        w->n++;
    }
}

static void put_uvarint(struct writer *w, uint32_t v)
{
    uint8_t b[SL_VARINT32_MAX];
    size_t n = (size_t)sl_uvarint32_put(b, v);
    if (w->p)
        memcpy(w->p + w->n, b, n);
    w->n += n;
}

static void put_bytes(struct writer *w, const void *p, size_t n)
{
    if (w->p && n)
        memcpy(w->p + w->n, p, n);
    w->n += n;
}

static void put_string(struct writer *w, const char *s)
{
    size_t n = strlen(s);
    SL_ASSERT(n <= INT16_MAX);
    put_uvarint(w, (uint32_t)n + 1);
    put_bytes(w, s, n);
}

static void put_tags(struct writer *w)
{
    put_uvarint(w, 0);
}

static int append_control(struct batch_builder *b, int64_t timestamp, enum record_control type,
                          struct record_bytes value)
{
    uint8_t key[RECORD_CONTROL_KEY_SIZE];
    be16_store(key, 0);
    be16_store(key + 2, (uint16_t)type);
    return batch_builder_append(b, timestamp, record_bytes_make(key, sizeof(key)), value, NULL, 0);
}

int batch_builder_end_txn(struct batch_builder *b, int64_t timestamp, bool commit, int32_t coordinator_epoch)
{
    uint8_t value[6];
    be16_store(value, 0);
    be32_store(value + 2, (uint32_t)coordinator_epoch);
    return append_control(b, timestamp, commit ? RECORD_CONTROL_COMMIT : RECORD_CONTROL_ABORT,
                          record_bytes_make(value, sizeof(value)));
}

int batch_builder_kraft_version(struct batch_builder *b, int64_t timestamp, int16_t kraft_version)
{
    uint8_t value[5];
    be16_store(value, 0);
    be16_store(value + 2, (uint16_t)kraft_version);
    value[4] = 0;
    return append_control(b, timestamp, RECORD_CONTROL_KRAFT_VERSION,
                          record_bytes_make(value, sizeof(value)));
}

int batch_builder_snapshot_header(struct batch_builder *b, int64_t timestamp,
                                  int64_t last_contained_timestamp)
{
    uint8_t value[11];
    be16_store(value, 0);
    be64_store(value + 2, (uint64_t)last_contained_timestamp);
    value[10] = 0;
    return append_control(b, timestamp, RECORD_CONTROL_SNAPSHOT_HEADER,
                          record_bytes_make(value, sizeof(value)));
}

int batch_builder_snapshot_footer(struct batch_builder *b, int64_t timestamp)
{
    static const uint8_t value[3] = {0, 0, 0};
    return append_control(b, timestamp, RECORD_CONTROL_SNAPSHOT_FOOTER,
                          record_bytes_make(value, sizeof(value)));
}

static void write_ids(struct writer *w, const struct record_voter *voters, uint32_t count)
{
    put_uvarint(w, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        put_be(w, (uint32_t)voters[i].id, 4);
        put_tags(w);
    }
}

struct leader_change {
    int32_t leader_id;
    const struct record_voter *voters, *granting;
    uint32_t voter_count, granting_count;
};

static void write_leader_change(struct writer *w, const struct leader_change *c)
{
    put_be(w, 0, 2);
    put_be(w, (uint32_t)c->leader_id, 4);
    write_ids(w, c->voters, c->voter_count);
    write_ids(w, c->granting, c->granting_count);
    put_tags(w);
}

static void write_voter(struct writer *w, const struct record_voter *v)
{
    put_be(w, (uint32_t)v->id, 4);
    put_bytes(w, v->directory_id.b, sizeof(v->directory_id.b));
    put_uvarint(w, v->endpoint_count + 1);
    for (uint32_t i = 0; i < v->endpoint_count; i++) {
        put_string(w, v->endpoints[i].name);
        put_string(w, v->endpoints[i].host);
        put_be(w, v->endpoints[i].port, 2);
        put_tags(w);
    }
    put_be(w, (uint16_t)v->kraft_version_min, 2);
    put_be(w, (uint16_t)v->kraft_version_max, 2);
    put_tags(w);
    put_tags(w);
}

static void write_voters(struct writer *w, const struct record_voter *voters, uint32_t count)
{
    put_be(w, 0, 2);
    put_uvarint(w, count + 1);
    for (uint32_t i = 0; i < count; i++)
        write_voter(w, &voters[i]);
    put_tags(w);
}

int batch_builder_leader_change(struct batch_builder *b, int64_t timestamp, int32_t leader_id,
                                const struct record_voter *voters, uint32_t voter_count,
                                const struct record_voter *granting, uint32_t granting_count)
{
    struct leader_change c = {leader_id, voters, granting, voter_count, granting_count};
    struct writer w = {0};
    write_leader_change(&w, &c);
    uint8_t *value = malloc(w.n);
    if (!value)
        return -ENOMEM;
    w = (struct writer){.p = value};
    write_leader_change(&w, &c);
    int rc = append_control(b, timestamp, RECORD_CONTROL_LEADER_CHANGE, record_bytes_make(value, w.n));
    free(value);
    return rc;
}

int batch_builder_kraft_voters(struct batch_builder *b, int64_t timestamp, const struct record_voter *voters,
                               uint32_t voter_count)
{
    struct writer w = {0};
    write_voters(&w, voters, voter_count);
    uint8_t *value = malloc(w.n);
    if (!value)
        return -ENOMEM;
    w = (struct writer){.p = value};
    write_voters(&w, voters, voter_count);
    int rc = append_control(b, timestamp, RECORD_CONTROL_KRAFT_VOTERS, record_bytes_make(value, w.n));
    free(value);
    return rc;
}
