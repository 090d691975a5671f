// Fetch on a shard: reads each part in turn within the request's budget, from memory or from disk, and answers with
// references to extents. There is no waiting here: what is missing leaves a watch (watch.c), which may come back here for
// its answer when it fired.
#include "engine/shard/shard_private.h"

#include <errno.h>
#include <stdlib.h>

// Parts after which a fetch asks whether its turn is spent.
enum { PARTS_A_LOOK = 32 };

struct pin {
    struct log_piece *pieces;
    uint32_t n;
    struct aborted_txn *aborted;
};
// What a reply holds on to until SHARD_RELEASE.
struct shard_pins {
    uint32_t n;
    struct pin pins[];
};

struct fetch_run {
    struct shard *s;
    struct shard_fetch *f;
    struct watch *w; // whose question it is; NULL: that of a message
    uint32_t at;
    uint32_t left;     // of the request's budget
    struct part *part; // that is being read
    struct log_read rd;
    struct ready again; // when the turn was spent
};

void fetch_release(struct shard *s, struct shard_pins *pins)
{
    for (uint32_t i = 0; i < pins->n; i++) {
        log_pieces_free(&s->env, pins->pins[i].pieces, pins->pins[i].n); // of whichever directory
        free(pins->pins[i].aborted);
    }
    free(pins);
}

static void pins_add(struct fetch_run *run, const struct pin *pin)
{
    struct shard_fetch *f = run->f;
    if (!f->pins) {
        f->pins = malloc(sizeof(*f->pins) + f->n * sizeof(f->pins->pins[0]));
        if (!f->pins)
            sl_panic("shard %u: out of memory for a fetch", run->s->cfg.shard);
        f->pins->n = 0;
    }
    f->pins->pins[f->pins->n++] = *pin;
}

static void fetch_reply(struct fetch_run *run)
{
    struct shard *s = run->s;
    struct shard_fetch *f = run->f;
    bool state = false; // an error is worth an answer now
    for (uint32_t i = 0; i < f->n; i++)
        state |= f->parts[i].error != 0 || f->parts[i].diverging;
    if (!run->w && f->watch_key) {
        if (!state && f->total < f->watch_bytes)
            watch_register(s, f->from & 0xffff, f);
        else
            watch_drop(s, f->from & 0xffff, f->watch_key);
    }
    reactor_count(s->r, METRIC_FETCH_REQUESTS, 1);
    if (run->w)
        watch_read_done(s, run->w, state);
    else
        shard_reply(s, f->from, SHARD_FETCH, f);
    free(run);
}

// KIP-595: a fetcher whose last epoch ended earlier here is told where.
static void part_diverging(struct part *p, struct shard_fetch_part *fp)
{
    if (fp->last_fetched_epoch < 0)
        return;
    struct log_ends ends;
    log_get_ends(p->log, &ends);
    struct epoch_end e =
        epoch_cache_end_offset(log_epochs(p->log), fp->last_fetched_epoch, ends.appended_end);
    if (e.epoch < 0) {
        fp->error = KERR_OFFSET_OUT_OF_RANGE;
    } else if (e.epoch < fp->last_fetched_epoch || e.end_offset < fp->fetch_offset) {
        fp->diverging = true;
        fp->diverging_epoch = e.epoch;
        fp->diverging_end = e.end_offset;
    }
}

static struct part *part_prepare(struct shard *s, struct shard_fetch_part *fp, struct log_ends *e)
{
    fp->error = 0;
    fp->bytes = fp->pieces_n = fp->aborted_n = 0;
    fp->next_offset = fp->fetch_offset;
    fp->pieces = NULL;
    fp->aborted = NULL;
    fp->high_watermark = fp->last_stable = fp->log_start = -1;
    fp->leader_epoch = -1;
    fp->diverging = false;
    struct part *p = shard_find(s, &fp->topic_id, fp->partition);
    if (!p) {
        fp->error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
        return NULL;
    }
    log_get_ends(p->log, e);
    fp->leader_epoch = e->leader_epoch;
    fp->error = p->s->env.failed ? KERR_KAFKA_STORAGE_ERROR : shard_check_epoch(p, fp->current_leader_epoch);
    if (fp->error)
        return NULL;
    fp->high_watermark = e->high_watermark;
    fp->last_stable = e->last_stable;
    fp->log_start = e->log_start;
    part_diverging(p, fp);
    if (!fp->error && !fp->diverging &&
        (fp->fetch_offset < e->log_start || fp->fetch_offset > e->appended_end)) {
        fp->error = KERR_OFFSET_OUT_OF_RANGE;
        fp->high_watermark = fp->last_stable = -1;
    }
    return fp->error || fp->diverging ? NULL : p;
}

// Its first offset was deleted while it was read: the answer says where the log starts now.
static void part_went(struct shard *s, struct shard_fetch_part *fp)
{
    struct part *p = shard_find(s, &fp->topic_id, fp->partition);
    struct log_ends e;
    fp->error = p ? KERR_OFFSET_OUT_OF_RANGE : KERR_UNKNOWN_TOPIC_OR_PARTITION;
    fp->high_watermark = fp->last_stable = -1;
    if (!p)
        return;
    log_get_ends(p->log, &e);
    fp->log_start = e.log_start;
}

static void fetch_part_done(struct fetch_run *run, struct shard_fetch_part *fp)
{
    struct log_read *rd = &run->rd;
    if (rd->err == -ERANGE)
        part_went(run->s, fp);
    else if (rd->err == -ENOMEM)
        fp->error = 0; // memory is short: fewer bytes now, the client comes again
    else if (rd->err)
        fp->error = KERR_KAFKA_STORAGE_ERROR;
    if (!rd->pieces_n)
        return;
    fp->pieces = rd->pieces;
    fp->pieces_n = rd->pieces_n;
    fp->bytes = rd->bytes;
    if (run->w)
        fp->next_offset = log_read_end(rd);
    run->f->total += rd->bytes;
    run->left = rd->bytes < run->left ? run->left - rd->bytes : 0;
    struct pin pin = {.pieces = rd->pieces, .n = rd->pieces_n};
    if (run->f->read_committed) // what was read is below the last stable offset: its transactions are decided
        fp->aborted_n = log_aborted_read(run->part->log, rd, &pin.aborted);
    fp->aborted = pin.aborted;
    pins_add(run, &pin);
}

static void fetch_go(struct fetch_run *run);

static void fetch_again(struct ready *w)
{
    fetch_go(SL_CONTAINER_OF(w, struct fetch_run, again));
}

static void fetch_read_done(struct log_read *rd)
{
    struct fetch_run *run = rd->arg;
    fetch_part_done(run, &run->f->parts[run->at]);
    shard_part_unref(run->part);
    run->at++;
    fetch_go(run);
}

// Reads parts until the end, or until one has to wait for the disk. A loop, not recursion: most parts end at once.
static void fetch_go(struct fetch_run *run)
{
    struct shard_fetch *f = run->f;
    for (uint32_t done = 1; run->at < f->n; run->at++, done++) {
        if (done % PARTS_A_LOOK == 0 && reactor_turn_spent(run->s->r)) {
            ready_push(run->s->r, &run->again);
            return;
        }
        struct shard_fetch_part *fp = &f->parts[run->at];
        struct log_ends e = {0};
        if (run->w && !run->w->all && !run->w->nodes[run->at].news)
            continue; // its last answer holds
        struct part *p = part_prepare(run->s, fp, &e);
        if (!p)
            continue;
        int64_t limit = f->read_committed ? e.last_stable : e.high_watermark;
        uint32_t max = fp->max_bytes > 0 ? (uint32_t)fp->max_bytes : 0;
        bool first = f->min_one && f->total == 0;
        if (fp->fetch_offset >= limit || (!first && (max == 0 || run->left == 0)))
            continue;
        run->rd = (struct log_read){.offset = fp->fetch_offset,
                                    .limit = limit,
                                    .max_bytes = SL_MIN(max, run->left),
                                    .min_one = first,
                                    .done = fetch_read_done,
                                    .arg = run};
        run->part = p;
        if (log_read_start(p->log, &run->rd) == -EINPROGRESS) {
            p->refs++; // until it is done
            return;
        }
        fetch_part_done(run, fp);
    }
    fetch_reply(run);
}

static void fetch_start(struct shard *s, struct shard_fetch *f, struct watch *w)
{
    struct fetch_run *run = malloc(sizeof(*run));
    if (!run)
        sl_panic("shard %u: out of memory for a fetch", s->cfg.shard);
    f->pins = NULL;
    f->total = 0;
    *run = (struct fetch_run){.s = s, .f = f, .w = w, .left = SL_MIN(f->max_bytes, s->cfg.fetch_window)};
    run->again.run = fetch_again;
    fetch_go(run);
}

void fetch_handle(struct shard *s, uint32_t from, struct shard_fetch *f)
{
    f->from = from;
    fetch_start(s, f, NULL);
}

void fetch_watched(struct shard *s, struct watch *w)
{
    fetch_start(s, w->f, w);
}
