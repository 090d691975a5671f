// A log's memory: ends, segments, append on the data path. See log.h.
#include "engine/log/log_private.h"

#include "engine/base/canary.h"
#include "engine/base/crc32c.h"
#include "engine/log/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A segment rolls before relative offsets run out: no batch holds more records than this.
enum { RECORDS_PER_BATCH_MAX = 400 * 1000 * 1000, CONFIRM_OTHERS = 2 };

struct segment *log_active(const struct log *l)
{
    return l->segments_n ? l->segments[l->segments_n - 1] : NULL;
}

void log_dir_path(const char *dir, const char *topic, int32_t partition, char *out, size_t cap)
{
    snprintf(out, cap, "%s/%s-%d", dir, topic, partition);
}

struct log *log_alloc(struct log_env *env, const char *dir, const char *topic, const struct sl_uuid *topic_id,
                      int32_t partition, const struct log_config *cfg)
{
    char path[1400];
    struct log *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    log_dir_path(dir, topic, partition, path, sizeof(path));
    l->env = env;
    l->topic = strdup(topic);
    l->dir = strdup(path);
    l->topic_id = *topic_id;
    l->partition = partition;
    l->cfg = *cfg;
    l->leader_epoch = -1;
    fiber_mutex_init(&l->life_lock);
    producer_state_init(&l->producers, 0);
    list_init(&l->dirty_node);
    list_init(&l->confirm_node);
    list_init(&l->directs);
    list_init(&l->streams);
    fiber_mutex_init(&l->io_lock);
    fiber_mutex_init(&l->space_lock);
    fiber_mutex_init(&l->name_lock);
    ahead_init(l);
    log_room_init(l);
    if (l->topic && l->dir)
        return l;
    log_destroy(l);
    return NULL;
}

int log_push_segment(struct log *l, struct segment *s)
{
    if (l->segments_n == l->segments_cap) {
        uint32_t cap = l->segments_cap ? l->segments_cap * 2 : 4;
        struct segment **p = realloc(l->segments, cap * sizeof(*p));
        if (!p)
            return -ENOMEM;
        l->segments = p;
        l->segments_cap = cap;
    }
    l->segments[l->segments_n++] = s;
    return 0;
}

void log_destroy(struct log *l)
{
    if (!l)
        return;
    stream_drop_all(l);
    ahead_forget(l);
    for (uint32_t i = 0; i < l->segments_n; i++)
        segment_free(l->segments[i]);
    log_mark_written(l, l->dirty_bytes);
    list_remove(&l->confirm_node);
    producer_state_destroy(&l->producers);
    aborted_list_free(&l->aborted);
    epoch_cache_destroy(&l->epochs);
    free(l->segments);
    free(l->marks);
    free(l->topic);
    free(l->dir);
    free(l);
}

void log_env_init(struct log_env *env, struct reactor *r, struct store *store)
{
    *env = (struct log_env){.r = r, .store = store, .trash_step = TRASH_STEP};
    list_init(&env->dirty);
    list_init(&env->lru);
    list_init(&env->trash);
    list_init(&env->streams);
    list_init(&env->idle);
    files_init(&env->files, 0);
    later_init(&env->spares, 1);
    later_init(&env->names, 2);
    later_init(&env->seals, 2);
    later_init(&env->grows, 2);
    pace_init(&env->pace);
}

void log_env_destroy(struct log_env *env)
{
    trash_forget(env);
}

void log_adopt(struct log *l, struct log_env *env)
{
    SL_ASSERT(!list_linked(&l->dirty_node));
    l->env = env;
}

struct segment *log_segment_for(const struct log *l, int64_t offset, uint32_t *index)
{
    uint32_t lo = 0, hi = l->segments_n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (l->segments[mid]->base_offset <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo)
        return NULL;
    if (index)
        *index = lo - 1;
    return l->segments[lo - 1];
}

struct segment *log_segment_behind(const struct log *l, int64_t base)
{
    uint32_t i = 0;
    if (!log_segment_for(l, base, &i))
        return l->segments_n ? l->segments[0] : NULL;
    return i + 1 < l->segments_n ? l->segments[i + 1] : NULL;
}

int64_t log_segment_end(const struct log *l, const struct segment *s)
{
    const struct segment *next = log_segment_behind(l, s->base_offset);
    return next ? next->base_offset : -1;
}

struct segment *log_segment_next(const struct log *l, const struct segment *s, int64_t end)
{
    struct segment *at = log_segment_for(l, SL_MAX(end, s->base_offset), NULL);
    return at && at != s ? at : log_segment_behind(l, SL_MAX(s->base_offset, end - 1));
}

// ---- what it is -----------------------------------------------------------------------------------------------------------
const struct sl_uuid *log_topic_id(const struct log *l)
{
    return &l->topic_id;
}

const char *log_topic(const struct log *l)
{
    return l->topic;
}

int32_t log_partition(const struct log *l)
{
    return l->partition;
}

void log_get_ends(const struct log *l, struct log_ends *out)
{
    *out = (struct log_ends){.log_start = l->log_start,
                             .appended_end = l->appended.offset,
                             .durable_end = l->durable.offset,
                             .high_watermark = l->visible.offset,
                             .leader_epoch = l->leader_epoch};
    out->last_stable = producer_state_last_stable(&l->producers, l->visible.offset, l->log_start);
}

const struct log_config *log_get_config(const struct log *l)
{
    return &l->cfg;
}

void log_set_config(struct log *l, const struct log_config *cfg)
{
    l->cfg = *cfg;
    ahead_measure(l);
}

struct producer_state *log_producers(struct log *l)
{
    return &l->producers;
}

struct epoch_cache *log_epochs(struct log *l)
{
    return &l->epochs;
}

uint64_t log_size_bytes(const struct log *l)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < l->segments_n; i++)
        n += l->segments[i]->size;
    return n;
}

uint32_t log_segment_count(const struct log *l)
{
    return l->segments_n;
}

uint64_t log_memory_bytes(const struct log *l)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < l->segments_n; i++)
        n += l->segments[i]->size - l->segments[i]->mem_start;
    return n;
}

void *log_user(const struct log *l)
{
    return l->user;
}

void log_set_user(struct log *l, void *user)
{
    l->user = user;
}

int log_set_leader_epoch(struct log *l, int32_t epoch)
{
    if (epoch <= l->leader_epoch)
        return 0;
    int rc = epoch_cache_assign(&l->epochs, epoch, l->appended.offset);
    if (rc >= 0)
        l->leader_epoch = epoch;
    return SL_MIN(rc, 0);
}

// ---- dirty bytes ------------------------------------------------------------------------------------------------------------
void log_mark_dirty(struct log *l, uint32_t bytes)
{
    l->env->dirty_bytes += bytes;
    l->dirty_bytes += bytes;
    if (!list_linked(&l->dirty_node)) {
        l->dirty_since = reactor_now(l->env->r);
        list_push_back(&l->env->dirty, &l->dirty_node);
    }
}

void log_mark_written(struct log *l, uint64_t bytes)
{
    SL_ASSERT(l->env->dirty_bytes >= l->dirty_bytes && l->dirty_bytes >= bytes);
    l->env->dirty_bytes -= bytes;
    l->dirty_bytes -= bytes;
    if (!l->dirty_bytes)
        list_remove(&l->dirty_node);
}

// It was looked at: what is still dirty has its turn again after the others.
void log_dirty_later(struct log *l)
{
    if (!l->dirty_bytes)
        return;
    list_remove(&l->dirty_node);
    l->dirty_since = reactor_now(l->env->r);
    list_push_back(&l->env->dirty, &l->dirty_node);
}

bool log_is_dirty(const struct log *l)
{
    return l->dirty_bytes > 0;
}

uint32_t log_env_count_dirty(const struct log_env *env)
{
    uint32_t n = 0;
    list_foreach(x, &env->dirty)
    {
        n++;
    }
    return n;
}

struct log *log_env_oldest(const struct log_env *env)
{
    list_foreach(n, &env->dirty)
    {
        struct log *l = list_entry(n, struct log, dirty_node);
        if (!l->io_lock.held)
            return l;
    }
    return NULL;
}

uint64_t log_env_oldest_dirty(const struct log_env *env)
{
    const struct log *l = log_env_oldest(env);
    return l ? l->dirty_since : UINT64_MAX;
}

static uint64_t reclaim_pass(struct log_env *env, uint64_t bytes)
{
    uint64_t freed = 0;
    list_foreach_safe(n, &env->lru)
    {
        struct extent *e = list_entry(n, struct extent, lru);
        struct segment *s = e->seg;
        uint32_t cap = e->cap;
        if (freed >= bytes)
            break;
        if (!segment_may_leave(s, e))
            continue;
        // Memory leaves a segment from the front only; an extent behind another waits for it.
        if (list_first(&s->extents) != &e->node) {
            list_remove(&e->lru);
            continue;
        }
        bool dropped = segment_drop_first(s, &env->lru);
        SL_ASSERT(dropped);
        freed += cap;
    }
    return freed;
}

void log_env_reclaim(struct log_env *env, uint64_t bytes)
{
    for (uint64_t freed = 1; bytes && freed; bytes -= SL_MIN(bytes, freed))
        freed = reclaim_pass(env, bytes);
}

// ---- append -----------------------------------------------------------------------------------------------------------------
static bool must_roll(const struct log *l, const struct segment *s, uint32_t bytes, int64_t max_timestamp)
{
    if (s->size == 0)
        return false;
    if ((uint64_t)s->size + bytes > l->cfg.segment_bytes || s->sealed)
        return true;
    if (offset_index_is_full(&s->index) || time_index_is_full(&s->timeindex))
        return true;
    if (l->appended.offset - s->base_offset > INT32_MAX - RECORDS_PER_BATCH_MAX)
        return true;
    return s->first_timestamp >= 0 && max_timestamp >= 0 &&
           max_timestamp - s->first_timestamp > l->cfg.segment_ms - s->jitter_ms;
}

bool log_wants_roll(const struct log *l, uint32_t bytes, int64_t max_timestamp)
{
    struct segment *s = log_active(l);
    return !s || must_roll(l, s, bytes, max_timestamp);
}

bool log_has_room(struct log *l, uint32_t bytes, int64_t max_timestamp)
{
    struct segment *s = log_active(l);
    if (l->env->failed)
        return true; // the append itself will say so
    if (l->rolling || log_wants_roll(l, bytes, max_timestamp) || s->file < 0 || !s->index_loaded ||
        !segment_tail_in_memory(s))
        return false;
    if ((uint64_t)s->size + bytes > s->allocated)
        return false;
    if (segment_reserve(s, l->env->tail_pool, bytes))
        return true;
    log_env_reclaim(l->env, bytes + (1u << 20));
    return segment_tail_in_memory(s) && segment_reserve(s, l->env->tail_pool, bytes);
}

static void marks_push(struct log *l, const struct log_mark *m)
{
    if (l->marks_n == l->marks_cap) {
        uint32_t cap = l->marks_cap ? l->marks_cap * 2 : 8;
        struct log_mark *p = malloc(cap * sizeof(*p));
        if (!p)
            sl_panic("%s-%d: out of memory for appends in flight", l->topic, l->partition);
        for (uint32_t i = 0; i < l->marks_n; i++)
            p[i] = l->marks[(l->marks_head + i) % l->marks_cap];
        free(l->marks);
        l->marks = p;
        l->marks_cap = cap;
        l->marks_head = 0;
    }
    l->marks[(l->marks_head + l->marks_n++) % l->marks_cap] = *m;
}

// Logs the head of the block that `pos` lies in, unless the open generation has it: `head` holds pos % IO_BLOCK bytes.
// Requires journal_room.
void log_journal_head(struct log *l, struct segment *s, uint32_t pos, const uint8_t *head)
{
    uint64_t generation = journal_open_generation(l->env->journal);
    uint32_t in = pos % IO_BLOCK;
    if (l->touched == generation)
        return;
    l->touched = generation;
    if (!in || SL_CANARY(NO_PREFIX))
        return;
    struct jentry e = {.type = JE_PREFIX,
                       .flags = JE_INLINE,
                       .topic_id = l->topic_id,
                       .partition = l->partition,
                       .incarnation = l->incarnation,
                       .segment_base = s->base_offset,
                       .position = pos - in,
                       .bytes = in,
                       .base_offset = l->appended.offset,
                       .last_offset = l->appended.offset,
                       .producer_id = -1,
                       .base_sequence = -1,
                       .producer_epoch = -1,
                       .leader_epoch = l->leader_epoch};
    struct iovec iov = {.iov_base = (void *)head, .iov_len = in};
    s->tail_sequence = journal_add(l->env->journal, &e, &iov, 1);
}

// The first entry of a log in a journal file is the head of the block that it will rewrite (S5, journal.h).
static void journal_prefix(struct log *l, struct segment *s, uint32_t pos)
{
    uint8_t head[IO_BLOCK];
    uint32_t in = pos % IO_BLOCK;
    if (l->touched == journal_open_generation(l->env->journal))
        return;
    bool there = !in || segment_peek(s, pos - in, head, in);
    SL_ASSERT(there);
    log_journal_head(l, s, pos, head);
}

// Behind the prefix of what is appended.
static void journal_confirm(struct log *l)
{
    int64_t upto = direct_confirmed(l);
    list_remove(&l->confirm_node);
    if (l->confirmed >= upto)
        return;
    struct jentry e = {.type = JE_CONFIRMED,
                       .topic_id = l->topic_id,
                       .partition = l->partition,
                       .incarnation = l->incarnation,
                       .base_offset = l->log_start,
                       .last_offset = upto,
                       .producer_id = -1,
                       .base_sequence = -1,
                       .producer_epoch = -1,
                       .max_timestamp = -1,
                       .leader_epoch = l->leader_epoch};
    (void)journal_add(l->env->journal, &e, NULL, 0);
    l->confirmed = upto;
}

// Other logs may get nothing for long, and what is not confirmed is read whole by a start after a crash. A few with each append:
// they come no faster, and the place reserved for such entries is small.
static void journal_confirm_others(struct log_env *env)
{
    struct list_node *n;
    for (uint32_t i = 0; i < CONFIRM_OTHERS && (n = list_first(&env->direct.unconfirmed)); i++)
        journal_confirm(list_entry(n, struct log, confirm_node));
}

// The journal takes the bytes from the request, which are what was stored and warm in the cache; of a direct batch its edges.
static uint64_t journal_batch(struct log *l, struct segment *s, uint32_t pos, const struct log_append *a,
                              const struct batch_info *b, bool direct)
{
    struct iovec iov[2] = {{.iov_base = a->batch, .iov_len = a->bytes}};
    uint32_t head = 0, tail = 0;
    if (direct && jentry_edges(pos, a->bytes, &head, &tail)) {
        iov[0].iov_len = head;
        iov[1] = (struct iovec){.iov_base = a->batch + a->bytes - tail, .iov_len = tail};
    }
    struct jentry e = {.type = JE_BATCH,
                       .flags = direct ? JE_EDGES : JE_INLINE,
                       .attributes = b->attributes,
                       .crc = b->crc,
                       .topic_id = l->topic_id,
                       .partition = l->partition,
                       .incarnation = l->incarnation,
                       .segment_base = s->base_offset,
                       .position = pos,
                       .bytes = a->bytes,
                       .base_offset = a->base_offset,
                       .last_offset = a->last_offset,
                       .producer_id = b->producer_id,
                       .base_sequence = b->base_sequence,
                       .producer_epoch = b->producer_epoch,
                       .max_timestamp = b->max_timestamp,
                       .leader_epoch = b->leader_epoch,
                       .record_count = b->record_count};
    return journal_add(l->env->journal, &e, iov, direct ? 2 : 1);
}

// Indexes and timestamps of a batch that now lies at `pos`. Also used by recovery.
void log_index_batch(struct log *l, struct segment *s, uint32_t pos, const struct batch_info *b)
{
    int64_t last = b->base_offset + b->last_offset_delta;
    if (s->first_timestamp < 0)
        s->first_timestamp = b->max_timestamp;
    if (b->max_timestamp > s->max_timestamp) {
        s->max_timestamp = b->max_timestamp;
        s->max_timestamp_offset = last;
    }
    if (offset_index_on_batch(&s->index, l->cfg.index_interval_bytes, last, pos, b->size) == 1)
        time_index_append(&s->timeindex, s->max_timestamp, s->max_timestamp_offset, false);
}

// What is in the journal cannot be taken back: state that does not follow it is the end.
static void apply_state(struct log *l, const uint8_t *batch, const struct batch_info *b)
{
    struct producer_completed done = {.first_offset = -1};
    int rc = 0;
    if (b->producer_id >= 0 && (b->attributes & BATCH_ATTR_CONTROL))
        rc = producer_state_apply_batch(&l->producers, batch, b->size, &done);
    else
        rc = producer_state_apply(&l->producers, b);
    if (!rc && b->leader_epoch > epoch_cache_latest(&l->epochs))
        rc = SL_MIN(epoch_cache_assign(&l->epochs, b->leader_epoch, b->base_offset), 0);
    log_aborted_add(l, &done);
    if (rc)
        sl_panic("%s-%d: producer state: %s", l->topic, l->partition, strerror(-rc));
}

int log_append(struct log *l, struct log_append *a)
{
    struct segment *s = log_active(l);
    if (l->env->failed)
        return l->env->failed;
    if (!a->as_is) {
        batch_set_base_offset(a->batch, l->appended.offset);
        batch_set_leader_epoch(a->batch, l->leader_epoch);
    }
    struct batch_info b = a->info;
    b.base_offset = batch_base_offset(a->batch);
    b.leader_epoch = batch_leader_epoch(a->batch);
    SL_ASSERT(b.base_offset >= l->appended.offset && s->size + a->bytes <= s->allocated &&
              b.size == a->bytes);
    uint32_t pos = s->size;
    segment_copy_in(s, pos, a->batch, BATCH_ATTRIBUTES, 0, false);
    uint32_t crc = segment_copy_in(s, pos + BATCH_ATTRIBUTES, a->batch + BATCH_ATTRIBUTES,
                                   a->bytes - BATCH_ATTRIBUTES, 0, a->check_crc);
    if (a->check_crc && crc != b.crc)
        return -EBADMSG; // what was copied lies behind the end: the next append goes over it
    journal_prefix(l, s, pos);
    segment_publish(s, a->bytes);
    journal_confirm(l);
    a->base_offset = b.base_offset;
    a->last_offset = b.base_offset + b.last_offset_delta;
    bool direct = !(b.attributes & BATCH_ATTR_CONTROL) && direct_wanted(l, s, pos, a->bytes);
    a->sequence = journal_batch(l, s, pos, a, &b, direct);
    if (direct)
        direct_add(l, s, pos, a->bytes, l->appended.offset, a->last_offset + 1);
    l->last_sequence = a->sequence;
    l->appended = (struct log_mark){.offset = a->last_offset + 1, .seg = s, .pos = s->size};
    marks_push(l, &l->appended);
    log_index_batch(l, s, pos, &b);
    log_mark_dirty(l, a->bytes);
    apply_state(l, a->batch, &b);
    journal_confirm_others(l->env); // not before the batch: nothing may part it from its prefix
    if (s->allocated - s->size < SL_MIN(s->allocated / 2, (uint32_t)LOG_AHEAD))
        log_allocate_ahead(l);
    if (s->size >= l->ahead.at && s->base_offset != l->ahead.asked_for)
        ahead_later(l);
    return 0;
}

uint32_t log_durable_position(const struct log *l, const struct segment *s)
{
    const struct segment *at = l->durable.seg;
    if (at == s)
        return l->durable.pos;
    return at && s->base_offset < at->base_offset ? s->size : 0;
}

uint64_t log_durable_to(struct log *l, int64_t end_offset)
{
    uint64_t bytes = 0;
    end_offset = direct_settled(l, end_offset);
    while (l->marks_n && l->marks[l->marks_head].offset <= end_offset) {
        const struct log_mark *m = &l->marks[l->marks_head];
        bytes += m->seg == l->durable.seg ? m->pos - l->durable.pos : m->pos;
        l->durable = *m;
        l->marks_head = (l->marks_head + 1) % l->marks_cap;
        l->marks_n--;
    }
    SL_ASSERT(l->durable.offset == end_offset || !bytes);
    if (bytes && l->durable.seg->cov_n)
        log_pass_direct(l, l->durable.seg);
    return bytes;
}

void log_set_high_watermark(struct log *l, int64_t hw)
{
    if (hw <= l->visible.offset)
        return;
    SL_ASSERT(hw == l->durable.offset || hw == l->appended.offset);
    l->visible = hw == l->durable.offset ? l->durable : l->appended;
    producer_state_on_high_watermark(&l->producers, hw);
}
