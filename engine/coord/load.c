// Loading a coordinator's partition: its log is read in slices through the shard, and every record goes to ops->replay in
// order, so that the last value of a key stands. A slice is copied and its extents go home before it is looked at. One
// turn does a bounded part of it.
#include "engine/coord/runtime_private.h"

#include "engine/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE_BYTES = 1 << 20,
    DECOMPRESSED_MAX = 128 << 20, // of one batch
    MEMORY_PAUSE_MS = 10,
};

static void load_ask(struct crt_part *p)
{
    struct crt *rt = p->rt;
    if (p->dropped || p->state != CRT_LOADING || p->load_go.queued)
        return;
    if (!reactor_credit_take(rt->r, p->to, 1)) {
        reactor_credit_wait(rt->r, p->to, &p->load_go);
        return;
    }
    p->fetch_part = (struct shard_fetch_part){.topic_id = p->key.topic_id,
                                              .partition = p->key.partition,
                                              .fetch_offset = p->load_at,
                                              .max_bytes = SLICE_BYTES,
                                              .current_leader_epoch = -1,
                                              .last_fetched_epoch = -1};
    p->fetch = (struct shard_fetch){
        .parts = &p->fetch_part, .n = 1, .max_bytes = SLICE_BYTES, .min_one = true, .owner = p};
    crt_ref(p);
    reactor_request(rt->r, p->to, SHARD_FETCH, SVC_COORD)->u[0] = (uint64_t)(uintptr_t)&p->fetch;
}

// ---- one batch -------------------------------------------------------------------------------------------------------------
// The records' bytes, decompressed if need be into *owned.
static int batch_records(struct crt_part *p, const uint8_t *b, const struct batch_info *info,
                         const uint8_t **out, size_t *n, uint8_t **owned)
{
    unsigned codec = batch_attr_codec(info->attributes);
    struct decompressor d;
    size_t cap = 0, len = 0;
    ssize_t got = 0;
    *out = b + BATCH_RECORDS;
    *n = info->size - BATCH_RECORDS;
    if (codec == BATCH_CODEC_NONE)
        return 0;
    int rc = decompressor_init(&d, &p->rt->decompress, codec, *out, *n, DECOMPRESSED_MAX);
    if (rc)
        return rc;
    do {
        if (cap - len < COMPRESS_WINDOW) {
            cap = cap ? cap * 2 : 4 * COMPRESS_WINDOW;
            *owned = realloc(*owned, cap);
            if (!*owned)
                sl_panic("coordinator: out of memory for a batch of %zu bytes", cap);
        }
        got = decompressor_next(&d, *owned + len, cap - len);
        len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    decompressor_destroy(&d);
    *out = *owned;
    *n = len;
    return (int)got;
}

static int replay_control(struct crt_part *p, const struct batch_info *info, struct record_iter *it)
{
    struct record r;
    int rc;
    while ((rc = record_iter_next(it, &r)) == 1) {
        int type = record_control_type(r.key);
        if (p->ops->replay_end && (type == RECORD_CONTROL_COMMIT || type == RECORD_CONTROL_ABORT))
            p->ops->replay_end(p->co, info->producer_id, type == RECORD_CONTROL_COMMIT);
    }
    return rc;
}

static int replay_data(struct crt_part *p, const struct batch_info *info, struct record_iter *it)
{
    struct record r;
    int rc;
    while ((rc = record_iter_next(it, &r)) == 1) {
        struct coord_record cr = {.key = {r.key.p, r.key.len},
                                  .value = {r.value.p, r.value.len},
                                  .producer_id = batch_info_is_transactional(info) ? info->producer_id : -1};
        if (r.key.len < 2) // upstream never writes such a record, and passes it over
            continue;
        p->load_records++;
        rc = p->ops->replay(p->co, &cr);
        if (rc)
            return rc;
    }
    return rc;
}

static int replay_batch(struct crt_part *p, const uint8_t *b, const struct batch_info *info)
{
    const uint8_t *records;
    uint8_t *owned = NULL;
    struct record_iter it;
    size_t n;
    if (!batch_crc_ok(b))
        return -EBADMSG;
    int rc = batch_records(p, b, info, &records, &n, &owned);
    if (!rc) {
        record_iter_init(&it, records, n, info->record_count);
        rc = batch_info_is_control(info) ? replay_control(p, info, &it) : replay_data(p, info, &it);
    }
    free(owned);
    return rc;
}

// ---- slices ----------------------------------------------------------------------------------------------------------------
static void load_failed(struct crt_part *p, int16_t error, const char *why)
{
    sl_log(SL_ERROR, "coord", "%s: partition=%d offset=%lld cannot be loaded: %s", p->ops->name,
           p->key.partition, (long long)p->load_at, why);
    crt_fail(p, error);
}

static void load_done(struct crt_part *p)
{
    free(p->load_buf);
    p->load_buf = NULL;
    p->load_cap = p->load_len = p->load_pos = 0;
    if (p->load_records)
        sl_log(SL_INFO, "coord", "%s: partition=%d loaded records=%llu ms=%llu", p->ops->name,
               p->key.partition, (unsigned long long)p->load_records,
               (unsigned long long)((reactor_now(p->rt->r) - p->load_since) / 1000000));
    crt_loaded(p);
}

// Replays what is left of the slice, a turn's worth, and then asks for more.
static void load_work(struct crt_part *p)
{
    struct batch_info info;
    if (p->dropped || p->state != CRT_LOADING)
        return;
    while (p->load_pos < p->load_len) {
        const uint8_t *b = p->load_buf + p->load_pos;
        int rc = batch_parse(b, p->load_len - p->load_pos, &info);
        if (rc == -EAGAIN) // cut off by the slice's end: it comes whole with the next one
            break;
        if (!rc && batch_info_last_offset(&info) >= p->load_at)
            rc = replay_batch(p, b, &info);
        if (rc) {
            load_failed(p, KERR_CORRUPT_MESSAGE, strerror(-rc));
            return;
        }
        p->load_pos += info.size;
        p->load_at = batch_info_last_offset(&info) + 1;
        if (p->load_pos < p->load_len && reactor_turn_spent(p->rt->r)) {
            ready_push(p->rt->r, &p->load_go);
            return;
        }
    }
    p->load_len = p->load_pos = 0;
    if (p->load_at >= p->load_end)
        load_done(p);
    else
        load_ask(p);
}

static void load_go(struct ready *w)
{
    struct crt_part *p = SL_CONTAINER_OF(w, struct crt_part, load_go);
    if (p->load_len)
        load_work(p);
    else
        load_ask(p);
}

static void slice_copy(struct crt_part *p)
{
    const struct shard_fetch_part *fp = &p->fetch_part;
    p->load_len = p->load_pos = 0;
    if (fp->bytes > p->load_cap) {
        free(p->load_buf);
        p->load_cap = SL_MAX(fp->bytes, (uint32_t)4096);
        p->load_buf = malloc(p->load_cap);
        if (!p->load_buf)
            sl_panic("coordinator: out of memory for a slice of %u bytes", fp->bytes);
    }
    for (uint32_t i = 0; i < fp->pieces_n; i++) {
        memcpy(p->load_buf + p->load_len, fp->pieces[i].p, fp->pieces[i].len);
        p->load_len += fp->pieces[i].len;
    }
    SL_ASSERT(p->load_len == fp->bytes);
}

void load_slice_came(struct crt_part *p)
{
    struct crt *rt = p->rt;
    const struct shard_fetch_part *fp = &p->fetch_part;
    bool wanted = !p->dropped && p->state == CRT_LOADING;
    if (wanted && !fp->error)
        slice_copy(p);
    if (p->fetch.pins)
        reactor_send(rt->r, p->to, SHARD_RELEASE)->u[0] = (uint64_t)(uintptr_t)p->fetch.pins;
    reactor_credit_give(rt->r, p->to, 1);
    if (!wanted)
        return;
    if (fp->error == KERR_OFFSET_OUT_OF_RANGE && fp->log_start > p->load_at) {
        p->load_at = fp->log_start;
        load_ask(p);
    } else if (fp->error) {
        load_failed(p, fp->error, kerr_name(fp->error));
    } else {
        p->load_end = fp->high_watermark;
        if (!p->load_len && p->load_at < p->load_end) // memory is short
            timer_set(rt->r, &p->timer, reactor_now(rt->r) + MEMORY_PAUSE_MS * 1000000ull);
        else
            load_work(p);
    }
}

void load_begin(struct crt_part *p)
{
    SL_ASSERT(!p->co && list_empty(&p->batches) && !p->in_flight);
    p->state = CRT_LOADING;
    p->load_at = p->load_end = 0;
    p->load_len = p->load_pos = 0;
    p->load_records = 0;
    p->load_since = reactor_now(p->rt->r);
    p->load_go.run = load_go;
    // Batch numbers go on: what waited for an earlier life's has been answered.
    p->durable = p->next - 1;
    p->ctx.gone = 0;
    coord_ctx_begin(&p->ctx, p->load_since, reactor_wall_ms(p->rt->r));
    p->co = p->ops->create(p, &p->ctx, p->arg);
    load_ask(p);
}

void load_again(struct crt_part *p)
{
    load_ask(p);
}

void load_cancel(struct crt_part *p)
{
    ready_cancel(p->rt->r, &p->load_go);
}
