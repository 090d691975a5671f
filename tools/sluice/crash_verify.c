/* Reading back what crash-check's producers were told is there. */
#include <errno.h>
#include <stdio.h>

#include "engine/base/kerr.h"
#include "engine/log/batch.h"
#include "proto/gen/fetch_request.h"
#include "proto/gen/fetch_response.h"
#include "tools/sluice/crash_check.h"

enum { API_FETCH = 1, FETCH_VERSION = 11, FETCH_BYTES = 8 << 20, WAIT_MS = 100 };

struct reading {
    struct crash_run *run;
    const struct crash_producer *p;
    int64_t at;  /* next offset to read */
    size_t next; /* next entry of the ledger */
    bool wrong;  /* the first difference was told; the rest would only repeat it */
};

static void tell(struct reading *r, uint64_t *counter, const char *what, int64_t offset)
{
    (*counter)++;
    if (!r->wrong)
        printf("WRONG: partition %d, offset %lld: %s\n", r->p->partition, (long long)offset, what);
    r->wrong = true;
}

static void check_batch(struct reading *r, const uint8_t *p, const struct batch_info *b)
{
    const struct crash_ledger *l = &r->p->ledger;
    r->run->batches_read++;
    r->run->bytes_read += b->size;
    if (!batch_crc_ok(p))
        tell(r, &r->run->changed, "a batch whose CRC does not match its bytes", b->base_offset);
    while (r->next < l->n && l->acked[r->next].offset < b->base_offset) {
        tell(r, &r->run->lost, "an acknowledged batch is missing", l->acked[r->next].offset);
        r->next++;
    }
    if (r->next == l->n || l->acked[r->next].offset != b->base_offset)
        tell(r, &r->run->doubled, "a batch that was not acknowledged there: written twice", b->base_offset);
    else if (l->acked[r->next].crc != b->crc || l->acked[r->next].records != b->record_count)
        tell(r, &r->run->changed, "another batch than the acknowledged one", b->base_offset);
    if (r->next < l->n && l->acked[r->next].offset == b->base_offset)
        r->next++;
}

/* The batches of one answer. Moves on behind the last whole one; false: there was none. */
static bool take(struct reading *r, const struct kp_records *records)
{
    int64_t before = r->at;
    for (int32_t at = 0; at < records->n;) {
        struct batch_info b;
        int rc = batch_parse(records->p + at, (size_t)(records->n - at), &b);
        if (rc == -EBADMSG)
            tell(r, &r->run->changed, "bytes that are no batch", r->at);
        if (rc)
            break;
        if (b.base_offset >= before)
            check_batch(r, records->p + at, &b);
        r->at = batch_info_last_offset(&b) + 1;
        at += (int32_t)b.size;
    }
    return r->at > before;
}

/* 1: there may be more; 0: the end; -errno. */
static int read_some(struct reading *r, struct crash_wire *w)
{
    struct kp_fetch_request_fetch_partition part;
    struct kp_fetch_request_fetch_topic topic = {
        .topic = KP_STR_LIT(CRASH_TOPIC), .partitions = &part, .partitions_n = 1};
    struct kp_fetch_request req;
    struct kp_fetch_response resp;
    kp_fetch_request_fetch_partition_init(&part);
    part.partition = r->p->partition;
    part.fetch_offset = r->at;
    part.partition_max_bytes = FETCH_BYTES;
    kp_fetch_request_init(&req);
    req.replica_id = -1;
    req.max_wait_ms = WAIT_MS;
    req.max_bytes = FETCH_BYTES;
    req.topics = &topic;
    req.topics_n = 1;
    int rc = crash_wire_ask(w, API_FETCH, FETCH_VERSION, &req, &resp);
    if (rc)
        return rc;
    if (resp.error_code || resp.responses_n != 1 || resp.responses[0].partitions_n != 1)
        return -EBADMSG;
    const struct kp_fetch_response_partition_data *a = resp.responses[0].partitions;
    if (a->error_code) {
        printf("WRONG: partition %d, offset %lld: %s\n", r->p->partition, (long long)r->at,
               kerr_name(a->error_code));
        r->run->unreadable++;
        return 0;
    }
    return take(r, &a->records) && r->at < a->high_watermark;
}

int crash_verify(struct crash_run *run)
{
    struct crash_wire w;
    crash_wire_init(&w);
    int rc = crash_wire_open(&w, run->port, CRASH_TIMEOUT_MS);
    for (int i = 0; i < run->o->partitions && rc >= 0; i++) {
        struct reading r = {.run = run, .p = &run->producers[i]};
        while ((rc = read_some(&r, &w)) > 0)
            continue;
        for (; !rc && r.next < r.p->ledger.n; r.next++)
            tell(&r, &run->lost, "an acknowledged batch is missing at the end",
                 r.p->ledger.acked[r.next].offset);
    }
    crash_wire_free(&w);
    return rc < 0 ? rc : 0;
}
