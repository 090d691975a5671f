// Produce on a shard: validation, sequence checks, room, the append itself, and the answer when it is durable.
//
// Appends of one partition keep their order: while its head waits for room (a roll, space, memory, the journal) or is
// validated in slices, later ones are held behind it. Other partitions go on.
//
//   arrive ── validate_header ── walk ── convert ── room? ── sequence check ── log_append ── waiting ── durable ── answer
//                                 │ long    │ long   │ no
//                                 └───── held ───────┘
//
// `convert` is there for compression.type: the batch in the topic's codec (engine/log/convert.h), in memory of the shard's
// until it is appended, or refused.
#include "engine/shard/shard_private.h"

#include "engine/base/canary.h"
#include "engine/base/crc32c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Bytes of record walk that one turn does without cutting it into slices, and bytes of a slice.
enum { WALK_INLINE = 2 << 20, WALK_SLICE = 256 << 10 };
// The same of a conversion, and how many bytes of converted batches may wait for room before no other is begun.
enum { CONVERT_INLINE = 16 << 10, CONVERT_SLICE = 64 << 10, CONVERTED_MAX = 32 << 20 };

static void converted_drop(struct shard *s, struct shard_append_part *ap)
{
    if (!ap->converted)
        return;
    s->converted_bytes -= ap->converted_bytes;
    free(ap->converted);
    ap->converted = NULL;
    if (!list_empty(&s->slicing) && !s->slice.part)
        ready_push(s->r, &s->slice_work); // one may have waited for that
}

// What is appended.
static uint8_t *batch_of(const struct shard_append_part *ap)
{
    return ap->converted ? ap->converted : ap->records;
}

static void append_part_done(struct shard *s, struct shard_append_part *ap, int16_t error)
{
    struct shard_append *a = ap->req;
    converted_drop(s, ap);
    ap->error = error;
    if (error) {
        ap->base_offset = -1;
        ap->log_append_time = -1;
    }
    SL_ASSERT(a->pending > 0);
    a->pending--;
}

static void append_reply_if_done(struct shard *s, struct shard_append *a)
{
    if (a->pending)
        return;
    shard_reply(s, a->from, SHARD_APPEND, a);
}

static void append_finish(struct shard *s, struct shard_append_part *ap, int16_t error, const char *why)
{
    struct shard_append *a = ap->req;
    if (error && why)
        snprintf(ap->error_text, sizeof(ap->error_text), "%s", why);
    ap->refused = error != 0;
    append_part_done(s, ap, error);
    append_reply_if_done(s, a);
}

void append_lost(struct shard *s, struct shard_append_part *ap)
{
    struct shard_append *a = ap->req;
    append_part_done(s, ap, KERR_KAFKA_STORAGE_ERROR);
    append_reply_if_done(s, a);
}

static void rules_fill(const struct shard *s, const struct log_config *c, const struct shard_append *a,
                       struct validate_rules *r)
{
    *r = (struct validate_rules){
        .now_ms = reactor_wall_ms(s->r),
        .timestamp_before_max_ms = c->timestamp_before_max_ms,
        .timestamp_after_max_ms = c->timestamp_after_max_ms,
        .max_message_bytes = a->internal ? UINT32_MAX : c->max_message_bytes,
        .segment_bytes = c->segment_bytes,
        .produce_version = a->api_version,
        .timestamp_type = c->log_append_time ? BATCH_LOG_APPEND_TIME : BATCH_CREATE_TIME,
        .origin = a->internal ? VALIDATE_COORDINATOR : VALIDATE_CLIENT,
        .compacted = c->compacted && !a->internal,
        .header_only = !c->validate_records || a->internal,
    };
}

// ---- waiting for the disk ---------------------------------------------------------------------------------------------
static void inflight_push(struct shard *s, struct part *p, const struct log_append *la)
{
    if (s->inflight_n == s->inflight_cap) {
        uint32_t cap = s->inflight_cap ? s->inflight_cap * 2 : 1024;
        struct inflight *ring = malloc(cap * sizeof(*ring));
        if (!ring)
            sl_panic("shard %u: out of memory for appends in flight", s->cfg.shard);
        for (uint32_t i = 0; i < s->inflight_n; i++)
            ring[i] = s->inflight[(s->inflight_head + i) % s->inflight_cap];
        free(s->inflight);
        s->inflight = ring;
        s->inflight_cap = cap;
        s->inflight_head = 0;
    }
    s->inflight[(s->inflight_head + s->inflight_n++) % s->inflight_cap] =
        (struct inflight){.sequence = la->sequence, .part = p, .end_offset = la->last_offset + 1};
    p->refs++;
}

// Answers what waits at or below `visible`, in order.
static void waiting_release(struct part *p, int64_t visible)
{
    struct list_node *n;
    while ((n = list_first(&p->waiting))) {
        struct shard_append_part *ap = list_entry(n, struct shard_append_part, node);
        if (ap->wait_offset > visible)
            break;
        list_remove(n);
        ap->req->t_written = p->s->written_ns;
        ap->req->t_durable = p->s->durable_ns;
        append_finish(p->s, ap, KERR_NONE, NULL);
    }
}

static void part_visible(struct part *p, int64_t end_offset, uint32_t bytes)
{
    log_set_high_watermark(p->log, end_offset);
    watch_arrived(p, bytes);
}

// Moves the durable end as far as the journal and the log's direct writes let it.
static void part_settle(struct part *p)
{
    struct log_ends e;
    uint64_t bytes = log_durable_to(p->log, p->journal_end);
    if (!bytes)
        return;
    log_get_ends(p->log, &e);
    if (e.high_watermark < e.durable_end)
        part_visible(p, e.durable_end, (uint32_t)SL_MIN(bytes, (uint64_t)INT32_MAX));
    waiting_release(p, e.durable_end);
}

// The journal's word that every group up to `sequence` is on disk.
void append_on_durable(void *ctx, uint64_t sequence)
{
    struct shard *s = ctx;
    s->written_ns = journal_started_ns(s->journal);
    s->durable_ns = io_now_ns(reactor_io(s->r));
    while (s->inflight_n && s->inflight[s->inflight_head].sequence <= sequence) {
        struct inflight f = s->inflight[s->inflight_head];
        s->inflight_head = (s->inflight_head + 1) % s->inflight_cap;
        s->inflight_n--;
        f.part->journal_end = f.end_offset;
        part_settle(f.part);
        shard_part_unref(f.part);
    }
}

// A direct write of the log has ended.
void append_on_settled(void *ctx, struct log *l)
{
    struct part *p = log_user(l);
    (void)ctx;
    p->refs++;
    part_settle(p);
    shard_part_unref(p);
}

// The parts' references of what was in flight come home. Their answers were given by background_fail.
void append_forget(struct shard *s)
{
    while (s->inflight_n) {
        struct part *p = s->inflight[s->inflight_head].part;
        s->inflight_head = (s->inflight_head + 1) % s->inflight_cap;
        s->inflight_n--;
        shard_part_unref(p);
    }
}

static void append_wait(struct part *p, struct shard_append_part *ap, int64_t offset)
{
    struct log_ends e;
    log_get_ends(p->log, &e);
    ap->wait_offset = offset;
    bool no_wait = ap->req->acks == 0 || log_get_config(p->log)->write_caching || offset <= e.durable_end;
    if (SL_CANARY(ANSWER_BEFORE_DURABLE))
        no_wait = true;
    if (no_wait)
        append_finish(p->s, ap, KERR_NONE, NULL);
    else
        list_push_back(&p->waiting, &ap->node);
}

// ---- one append --------------------------------------------------------------------------------------------------------
static void answer_invalid(struct shard *s, struct shard_append_part *ap, const struct validate_rules *r,
                           const struct validate_result *res)
{
    if (res->error_count) {
        ap->bad_n = SL_MIN(res->error_count, (uint32_t)SHARD_BAD_RECORDS);
        for (uint32_t i = 0; i < ap->bad_n; i++) {
            ap->bad_index[i] = res->errors[i].batch_index;
            ap->bad_fault[i] = res->errors[i].fault;
        }
        validate_record_error_text(r, &res->errors[0], ap->error_text, sizeof(ap->error_text));
        append_finish(s, ap, res->error, NULL);
    } else {
        append_finish(s, ap, res->error, res->reason);
    }
}

static uint32_t crc_of(const uint8_t *batch, uint32_t bytes)
{
    return crc32c(0, batch + BATCH_ATTRIBUTES, bytes - BATCH_ATTRIBUTES);
}

// Appends a validated batch. The CRC is verified in the copying pass, unless the header had to change.
static void append_store(struct part *p, struct shard_append_part *ap, struct validate_result *res)
{
    struct shard *s = p->s;
    struct log_append la = {
        .batch = batch_of(ap), .bytes = res->info.size, .info = res->info, .check_crc = true};
    if (res->header_changed) {
        if (validate_crc(res, crc_of(batch_of(ap), la.bytes))) {
            append_finish(s, ap, res->error, res->reason);
            return;
        }
        validate_apply(res, batch_of(ap));
        SL_ASSERT(batch_parse(batch_of(ap), la.bytes, &la.info) == 0);
        la.check_crc = false;
    }
    int rc = log_append(p->log, &la);
    if (rc) {
        bool crc = rc == -EBADMSG;
        append_finish(s, ap, crc ? KERR_CORRUPT_MESSAGE : KERR_KAFKA_STORAGE_ERROR,
                      crc ? "the batch's CRC does not match its contents" : NULL);
        return;
    }
    if (s->env.failed) { // the journal ran out of memory over this one
        append_lost(s, ap);
        return;
    }
    converted_drop(s, ap);
    ap->base_offset = la.base_offset;
    ap->log_append_time = res->log_append_time;
    ap->req->t_appended = io_now_ns(reactor_io(s->r));
    reactor_count(s->r, METRIC_APPEND_BATCHES, 1);
    reactor_count(s->r, METRIC_APPEND_RECORDS, (uint64_t)la.info.record_count);
    reactor_count(s->r, METRIC_APPEND_BYTES, la.bytes);
    inflight_push(s, p, &la);
    if (log_get_config(p->log)->write_caching)
        part_visible(p, la.last_offset + 1, la.bytes);
    append_wait(p, ap, la.last_offset + 1);
}

static void append_checked(struct part *p, struct shard_append_part *ap, const struct validate_rules *r,
                           struct validate_result *res)
{
    struct shard *s = p->s;
    struct log_ends e;
    log_get_ends(p->log, &e);
    ap->log_start = e.log_start;
    if (res->error) {
        // Upstream checks the CRC before it looks at records: a damaged batch is CORRUPT_MESSAGE, whatever else it is.
        if (res->error != KERR_CORRUPT_MESSAGE && crc_of(batch_of(ap), res->info.size) != res->info.crc)
            append_finish(s, ap, KERR_CORRUPT_MESSAGE, "the batch's CRC does not match its contents");
        else
            answer_invalid(s, ap, r, res);
        return;
    }
    if (res->info.producer_id >= 0 && !(res->info.attributes & BATCH_ATTR_CONTROL)) {
        struct producer_check c = {.origin =
                                       ap->req->internal ? PRODUCER_FROM_COORDINATOR : PRODUCER_FROM_CLIENT};
        struct producer_duplicate dup;
        int16_t err = producer_state_check(log_producers(p->log), &res->info, &c, &dup);
        // A batch damaged in its producer fields is retriable, not out of order: the CRC speaks first.
        if (err && crc_of(batch_of(ap), res->info.size) != res->info.crc) {
            append_finish(s, ap, KERR_CORRUPT_MESSAGE, "the batch's CRC does not match its contents");
            return;
        }
        if (!err && sl_unlikely(p->refusals) &&
            refusals_forbid(&p->refusals, res->info.producer_id, res->info.producer_epoch,
                            res->info.base_sequence))
            err = KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        if (err == KERR_DUPLICATE_SEQUENCE_NUMBER) {
            ap->base_offset = dup.base_offset;
            ap->log_append_time = dup.timestamp;
            append_wait(p, ap, dup.last_offset + 1);
            return;
        }
        if (err) {
            append_finish(s, ap, err, NULL);
            return;
        }
    }
    append_store(p, ap, res);
}

// ---- room ----------------------------------------------------------------------------------------------------------------
static void append_room_made(void *arg, int err)
{
    struct part *p = arg;
    p->making_room = false;
    list_remove(&p->room_node);
    if (err == -ENOSPC)
        SL_LOG_EVERY(1000, SL_ERROR, "shard", "no space left in %s: produce is refused until space is freed",
                     p->s->cfg.dir);
    if (err == -EIO)
        background_fail(p->s, "making room in a log", err);
    else if (err && !SL_CANARY(HELD_ON_FULL_DISK))
        append_fail_all(p, KERR_KAFKA_STORAGE_ERROR);
    else if (!err)
        append_resume(p);
    shard_part_unref(p);
}

static bool append_room(struct part *p, const struct validate_result *res)
{
    struct shard *s = p->s;
    if (!log_has_room(p->log, res->info.size, res->max_timestamp)) {
        p->making_room = true;
        p->room_since = reactor_now(s->r);
        list_push_back(&s->room_waiters, &p->room_node);
        p->refs++;
        log_make_room(p->log, res->info.size, res->max_timestamp, append_room_made, p);
        return false;
    }
    if (!journal_room(s->journal, res->info.size)) {
        p->waiting_journal = true;
        if (list_empty(&s->journal_waiters))
            s->journal_waits_since = reactor_now(s->r);
        list_push_back(&s->journal_waiters, &p->journal_node);
        return false;
    }
    return true;
}

void append_on_room(void *ctx)
{
    struct shard *s = ctx;
    struct list_node again;
    list_init(&again);
    list_splice_back(&again, &s->journal_waiters);
    struct list_node *n;
    while ((n = list_pop_front(&again))) {
        struct part *p = list_entry(n, struct part, journal_node);
        p->waiting_journal = false;
        append_resume(p);
    }
}

// ---- validation, in slices when long -----------------------------------------------------------------------------------
// The result of the head's walk, kept while it waits.
static void checked_keep(struct part *p, const struct validate_result *res)
{
    p->checked = malloc(sizeof(*p->checked));
    if (!p->checked)
        sl_panic("shard %u: out of memory for a validation result", p->s->cfg.shard);
    *p->checked = *res;
}

static void checked_drop(struct part *p)
{
    free(p->checked);
    p->checked = NULL;
}

// Framing and sizes. What does not fit the journal or the memory for appends at all would wait for ever.
static bool append_header(struct part *p, struct shard_append_part *ap, const struct validate_rules *r,
                          struct validate_result *res)
{
    struct shard *s = p->s;
    struct log_ends e;
    if (!validate_header(r, ap->records, ap->bytes > 0 ? (size_t)ap->bytes : 0, res) &&
        res->info.size > s->max_batch) {
        res->error = KERR_MESSAGE_TOO_LARGE;
        res->reason = "the batch is larger than the journal or the memory for appends can take";
    }
    if (!res->error)
        return true;
    log_get_ends(p->log, &e);
    if (res->of_log)
        ap->log_start = e.log_start;
    answer_invalid(s, ap, r, res);
    return false;
}

// 0: res is complete (res->error says how). -EAGAIN: the walk goes on in slices, the partition is held.
static int append_walk(struct part *p, struct shard_append_part *ap, const struct validate_rules *r,
                       struct validate_result *res)
{
    struct shard *s = p->s;
    struct validator v;
    int rc = 0;
    res->error = validator_begin(&v, r, &s->ctx, ap->records + BATCH_RECORDS, res);
    if (!res->error)
        rc = validator_step(&v, WALK_INLINE);
    validator_end(&v);
    if (rc != -EAGAIN)
        return 0;
    p->slicing = true;
    list_push_back(&s->slicing, &p->slice_node);
    ready_push(s->r, &s->slice_work);
    return -EAGAIN;
}

static struct shard_append_part *held_head(struct part *p)
{
    struct list_node *n = list_first(&p->held);
    return n ? list_entry(n, struct shard_append_part, node) : NULL;
}

// ---- conversion, in slices when long ------------------------------------------------------------------------------------
// What coordinators write stays as it is: markers always do, and their records come uncompressed.
static bool convert_wanted(const struct part *p, const struct shard_append_part *ap,
                           const struct validate_result *res)
{
    const struct log_config *c = log_get_config(p->log);
    return !res->error && c->converts && !SL_CANARY(CONVERT_IGNORED) && !ap->converted &&
           !ap->req->internal && batch_attr_codec(res->info.attributes) != c->codec;
}

static void convert_start(struct part *p, struct shard_append_part *ap, struct validate_result *res)
{
    const struct log_config *c = log_get_config(p->log);
    struct shard *s = p->s;
    (void)convert_begin(&s->slice.converter, &s->slice.convert, ap->records, c->codec, c->codec_level,
                        SL_MIN(c->max_message_bytes, s->max_batch), res);
}

static void convert_finish(struct shard *s, struct shard_append_part *ap, const struct validate_result *res)
{
    ap->converted = convert_end(&s->slice.converter);
    ap->converted_bytes = ap->converted ? res->info.size : 0;
    s->converted_bytes += ap->converted_bytes;
}

// 0: res tells of the converted batch, or of the error. -EAGAIN: it goes on in slices, the partition is held.
static int append_convert(struct part *p, struct shard_append_part *ap, struct validate_result *res)
{
    struct shard *s = p->s;
    bool small = res->records_bytes && res->records_bytes <= CONVERT_INLINE;
    if (small && !s->slice.part && s->converted_bytes < CONVERTED_MAX) {
        convert_start(p, ap, res);
        int rc = convert_step(&s->slice.converter, UINT64_MAX);
        SL_ASSERT(rc == 0);
        convert_finish(s, ap, res);
        return 0;
    }
    if (!p->checked)
        checked_keep(p, res);
    p->slicing = true;
    list_push_back(&s->slicing, &p->slice_node);
    ready_push(s->r, &s->slice_work);
    return -EAGAIN;
}

static void slice_begin(struct shard *s, struct part *p)
{
    struct shard_append_part *ap = held_head(p);
    SL_ASSERT(ap && p->slicing);
    rules_fill(s, log_get_config(p->log), ap->req, &s->slice.rules);
    s->slice.part = p;
    if (p->checked) { // to be converted only
        s->slice.out = *p->checked;
        checked_drop(p);
        return;
    }
    s->slice.out.error = validate_header(&s->slice.rules, ap->records, (size_t)ap->bytes, &s->slice.out);
    s->slice.walking = !s->slice.out.error;
    if (s->slice.walking)
        s->slice.out.error = validator_begin(&s->slice.v, &s->slice.rules, &s->slice.ctx,
                                             ap->records + BATCH_RECORDS, &s->slice.out);
}

static void slice_end(struct shard *s)
{
    if (s->slice.walking)
        validator_end(&s->slice.v);
    if (s->slice.converting)
        free(convert_end(&s->slice.converter));
    s->slice.walking = s->slice.converting = false;
    s->slice.part->slicing = false;
    s->slice.part = NULL;
    if (!list_empty(&s->slicing))
        ready_push(s->r, &s->slice_work);
}

// True while there is more to do: the walk, then the conversion.
static bool slice_step(struct shard *s, struct part *p)
{
    struct shard_append_part *ap = held_head(p);
    if (s->slice.walking) {
        if (!s->slice.out.error && validator_step(&s->slice.v, WALK_SLICE) == -EAGAIN)
            return true;
        validator_end(&s->slice.v);
        s->slice.walking = false;
    }
    if (!s->slice.converting) {
        if (!convert_wanted(p, ap, &s->slice.out))
            return false;
        convert_start(p, ap, &s->slice.out);
        s->slice.converting = true;
        return true;
    }
    if (convert_step(&s->slice.converter, CONVERT_SLICE) == -EAGAIN)
        return true;
    s->slice.converting = false;
    convert_finish(s, ap, &s->slice.out);
    return false;
}

void append_run_slices(struct ready *w)
{
    struct shard *s = SL_CONTAINER_OF(w, struct shard, slice_work);
    if (!s->slice.part) {
        struct list_node *n = s->converted_bytes < CONVERTED_MAX ? list_pop_front(&s->slicing) : NULL;
        if (!n)
            return; // what is converted and waits for room comes first; converted_drop goes on here
        slice_begin(s, list_entry(n, struct part, slice_node));
    }
    struct part *p = s->slice.part;
    if (slice_step(s, p)) {
        ready_push(s->r, w);
        return;
    }
    slice_end(s);
    checked_keep(p, &s->slice.out);
    append_resume(p);
}

// ---- order ---------------------------------------------------------------------------------------------------------------
// True when the append is past the point of holding: answered, or waiting for the disk.
static bool append_try(struct part *p, struct shard_append_part *ap)
{
    struct shard *s = p->s;
    struct validate_rules r;
    struct validate_result res;
    const struct log_config *c = log_get_config(p->log);
    if (s->env.failed) {
        append_finish(s, ap, KERR_KAFKA_STORAGE_ERROR, "the log directory is offline");
        return true;
    }
    if (!ap->req->internal && reactor_group_stopping(reactor_get_group(s->r))) {
        // Its connection closes: what has not begun is not worth a stop's time. Retries find the next leader.
        append_finish(s, ap, KERR_NOT_LEADER_OR_FOLLOWER, NULL);
        checked_drop(p);
        return true;
    }
    if (ap->req->acks == -1 && c->min_insync_replicas > 1) {
        append_finish(s, ap, KERR_NOT_ENOUGH_REPLICAS, NULL);
        return true;
    }
    rules_fill(s, c, ap->req, &r);
    if (p->checked)
        res = *p->checked;
    else if (!append_header(p, ap, &r, &res))
        return true;
    else if (append_walk(p, ap, &r, &res))
        return false;
    if (convert_wanted(p, ap, &res) && append_convert(p, ap, &res))
        return false;
    if (!res.error && !append_room(p, &res)) {
        if (!p->checked)
            checked_keep(p, &res);
        return false;
    }
    checked_drop(p);
    append_checked(p, ap, &r, &res);
    return true;
}

void append_resume(struct part *p)
{
    struct shard_append_part *ap;
    p->refs++;
    while (!p->making_room && !p->waiting_journal && !p->slicing && (ap = held_head(p))) {
        list_remove(&ap->node);
        if (!append_try(p, ap)) {
            list_push_front(&p->held, &ap->node);
            break;
        }
    }
    shard_part_unref(p);
}

// There is no space for it now, perhaps for the next one of its producer.
static void note_refusal(struct part *p, const struct shard_append_part *ap)
{
    struct batch_info b;
    if (batch_parse(ap->records, ap->bytes, &b) || b.producer_id < 0 || b.base_sequence < 0)
        return;
    const struct producer_entry *e = producer_state_find(log_producers(p->log), b.producer_id);
    if (!e || e->epoch != b.producer_epoch)
        refusals_note(&p->refusals, b.producer_id, b.producer_epoch, b.base_sequence);
}

void append_fail_all(struct part *p, int16_t error)
{
    bool refused = error == KERR_KAFKA_STORAGE_ERROR && !p->s->env.failed;
    struct list_node *n;
    if (p->slicing && p->s->slice.part == p) { // a walk in progress reads the head's bytes: it ends first
        slice_end(p->s);
    } else if (p->slicing) {
        list_remove(&p->slice_node);
        p->slicing = false;
    }
    checked_drop(p);
    while ((n = list_pop_front(&p->held))) {
        struct shard_append_part *ap = list_entry(n, struct shard_append_part, node);
        if (refused)
            note_refusal(p, ap);
        append_finish(p->s, ap, error, NULL);
    }
}

static void append_one(struct shard *s, struct shard_append_part *ap)
{
    struct part *p = shard_find(s, &ap->topic_id, ap->partition);
    ap->bad_n = 0;
    ap->refused = false;
    ap->converted = NULL;
    ap->error_text[0] = 0;
    ap->log_start = -1;
    ap->log_append_time = -1;
    if (!p) {
        append_finish(s, ap, KERR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
        return;
    }
    list_push_back(&p->held, &ap->node);
    struct shard *owner = p->s;
    if (p->held.next == &ap->node)
        append_resume(p);
    background_start(owner);
}

void append_handle(struct shard *s, uint32_t from, struct shard_append *a)
{
    a->from = from;
    a->t_taken = io_now_ns(reactor_io(s->r));
    a->t_appended = a->t_written = a->t_durable = 0;
    a->pending = a->n + 1; // one more, so that the answer cannot leave before all parts were looked at
    for (uint32_t i = 0; i < a->n; i++) {
        a->parts[i].req = a;
        append_one(s, &a->parts[i]);
    }
    a->pending--;
    append_reply_if_done(s, a);
}
