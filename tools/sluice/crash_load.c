/* The producers of crash-check, a thread a partition. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/kerr.h"
#include "engine/log/record.h"
#include "proto/gen/init_producer_id_request.h"
#include "proto/gen/init_producer_id_response.h"
#include "proto/gen/produce_request.h"
#include "proto/gen/produce_response.h"
#include "tools/sluice/crash_check.h"

enum { API_PRODUCE = 0, API_INIT_PRODUCER_ID = 22, PRODUCE_VERSION = 9, INIT_VERSION = 4 };
enum { RECORD_MAX = 16 << 10, PAUSE_NS = 2 * 1000 * 1000 };

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_pause(int16_t error) /* errors that a client answers by trying again */
{
    return error == KERR_LEADER_NOT_AVAILABLE || error == KERR_NOT_LEADER_OR_FOLLOWER ||
           error == KERR_COORDINATOR_LOAD_IN_PROGRESS || error == KERR_UNKNOWN_TOPIC_OR_PARTITION ||
           error == KERR_KAFKA_STORAGE_ERROR || error == KERR_NOT_ENOUGH_REPLICAS;
}

/* A new batch of random records into the ledger's open slot. Its size is log-uniform: most are small, some are large. */
static int make_batch(struct crash_producer *p)
{
    struct crash_ledger *l = &p->ledger;
    struct batch_builder b = {0};
    struct batch_options opt = BATCH_OPTIONS_DEFAULT;
    uint8_t value[RECORD_MAX];
    const uint8_t *out;
    size_t n;
    int64_t now = wall_ms();
    size_t want = (size_t)p->run->o->max_batch >> sl_rand_below(&p->rand, 10);
    int rc = 0;
    do {
        size_t len = 1 + sl_rand_below(&p->rand, SL_MIN((uint64_t)RECORD_MAX, want + 1));
        sl_rand_bytes(&p->rand, value, len);
        rc = batch_builder_append(&b, now, RECORD_NULL, record_bytes_make(value, len), NULL, 0);
    } while (!rc && batch_builder_size(&b) < want);
    opt.producer_id = p->producer_id;
    opt.producer_epoch = p->epoch;
    opt.base_sequence = p->sequence;
    if (!rc)
        rc = batch_builder_finish(&b, &opt, NULL, &out, &n);
    if (!rc && n > l->open_cap) {
        uint8_t *grown = realloc(l->open, n);
        rc = grown ? 0 : -ENOMEM;
        l->open = grown ? grown : l->open;
        l->open_cap = grown ? n : l->open_cap;
    }
    if (!rc) {
        memcpy(l->open, out, n);
        l->open_len = n;
        l->open_batch = (struct crash_batch){-1, batch_crc(out), batch_record_count(out)};
    }
    batch_builder_destroy(&b);
    return rc;
}

static int note_acked(struct crash_producer *p, int64_t offset)
{
    struct crash_ledger *l = &p->ledger;
    if (offset < l->next) {
        snprintf(p->error, sizeof(p->error),
                 "acknowledged at offset %lld, below %lld, which was acknowledged before", (long long)offset,
                 (long long)l->next);
        return -EUCLEAN;
    }
    if (l->n == l->cap) {
        size_t cap = l->cap * 2 + 1024;
        struct crash_batch *grown = realloc(l->acked, cap * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        l->acked = grown;
        l->cap = cap;
    }
    l->open_batch.offset = offset;
    l->acked[l->n++] = l->open_batch;
    l->next = offset + l->open_batch.records;
    p->sequence = batch_sequence_add(p->sequence, l->open_batch.records);
    l->open_batch.records = 0;
    return 0;
}

static int ask_producer_id(struct crash_producer *p)
{
    struct kp_init_producer_id_request req;
    struct kp_init_producer_id_response resp;
    kp_init_producer_id_request_init(&req);
    req.transactional_id = KP_STR_NULL;
    req.producer_id = -1;
    req.producer_epoch = -1;
    int rc = crash_wire_ask(&p->wire, API_INIT_PRODUCER_ID, INIT_VERSION, &req, &resp);
    if (rc || resp.error_code)
        return rc ? rc : -EAGAIN;
    p->producer_id = resp.producer_id;
    p->epoch = resp.producer_epoch;
    return 0;
}

/* Sends the open batch. 0: acknowledged; -EAGAIN: again later; -EUCLEAN with p->error; else the connection broke. */
static int send_open(struct crash_producer *p)
{
    struct crash_ledger *l = &p->ledger;
    struct kp_produce_request_partition_produce_data part = {
        .index = p->partition, .records = {.p = l->open, .n = (int32_t)l->open_len}};
    struct kp_produce_request_topic_produce_data topic = {
        .name = KP_STR_LIT(CRASH_TOPIC), .partition_data = &part, .partition_data_n = 1};
    struct kp_produce_request req = {.transactional_id = KP_STR_NULL,
                                     .acks = -1,
                                     .timeout_ms = CRASH_TIMEOUT_MS,
                                     .topic_data = &topic,
                                     .topic_data_n = 1};
    struct kp_produce_response resp;
    int rc = crash_wire_ask(&p->wire, API_PRODUCE, PRODUCE_VERSION, &req, &resp);
    if (rc)
        return rc;
    if (resp.responses_n != 1 || resp.responses[0].partition_responses_n != 1)
        return -EBADMSG;
    const struct kp_produce_response_partition_produce_response *a = resp.responses[0].partition_responses;
    if (!a->error_code)
        return note_acked(p, a->base_offset);
    if (is_pause(a->error_code))
        return -EAGAIN;
    snprintf(p->error, sizeof(p->error), "sequence %d was refused with %s", p->sequence,
             kerr_name(a->error_code));
    return -EUCLEAN;
}

static int step(struct crash_producer *p)
{
    int rc = 0;
    if (p->wire.fd < 0)
        rc = crash_wire_open(&p->wire, p->run->port, CRASH_TIMEOUT_MS);
    if (!rc && p->producer_id < 0)
        rc = ask_producer_id(p);
    if (!rc && !p->ledger.open_batch.records)
        rc = make_batch(p);
    return rc ? rc : send_open(p);
}

static void *produce(void *arg)
{
    struct crash_producer *p = arg;
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    while (!atomic_load(&p->run->stop) && !p->error[0]) {
        if (step(p))
            nanosleep(&pause, NULL);
    }
    crash_wire_close(&p->wire);
    return NULL;
}

int crash_load_start(struct crash_run *run)
{
    atomic_store(&run->stop, false);
    for (int i = 0; i < run->o->partitions; i++) {
        int rc = pthread_create(&run->producers[i].thread, NULL, produce, &run->producers[i]);
        if (rc) {
            atomic_store(&run->stop, true);
            while (i-- > 0)
                pthread_join(run->producers[i].thread, NULL);
            return -rc;
        }
    }
    return 0;
}

void crash_load_join(struct crash_run *run)
{
    atomic_store(&run->stop, true);
    for (int i = 0; i < run->o->partitions; i++)
        pthread_join(run->producers[i].thread, NULL);
}

int crash_load_settle(struct crash_run *run)
{
    int64_t until = wall_ms() + CRASH_TIMEOUT_MS;
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (int i = 0; i < run->o->partitions; i++) {
        struct crash_producer *p = &run->producers[i];
        while (p->ledger.open_batch.records && !p->error[0]) {
            if (wall_ms() > until)
                return -ETIMEDOUT;
            if (step(p))
                nanosleep(&pause, NULL);
        }
        crash_wire_close(&p->wire);
    }
    return 0;
}
