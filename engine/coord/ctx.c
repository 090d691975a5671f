// See ctx.h.
#include "engine/coord/ctx.h"

#include "engine/base/bytes.h"

#include <stdlib.h>

enum { RECORD_ROOM = 32 }; // of a record's own fields in a batch, at most

void coord_ctx_init(struct coord_ctx *x, size_t batch_limit)
{
    memset(x, 0, sizeof(*x));
    heap_init(&x->timers);
    arena_init(&x->sink.arena, 0);
    list_init(&x->answered);
    x->batch_limit = batch_limit;
}

void coord_ctx_destroy(struct coord_ctx *x)
{
    arena_free(&x->sink.arena);
    free(x->sink.v);
    x->sink.v = NULL;
    x->sink.cap = x->sink.n = 0;
}

void coord_ctx_begin(struct coord_ctx *x, uint64_t now_ns, int64_t wall_ms)
{
    SL_ASSERT(list_empty(&x->answered));
    x->now_ns = now_ns;
    x->wall_ms = wall_ms;
    x->touch = 0;
    x->forgot = false;
    coord_emit_undo(x);
}

// ---- records -------------------------------------------------------------------------------------------------------
static struct coord_record *sink_grow(struct coord_sink *s)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->v = realloc(s->v, s->cap * sizeof(*s->v));
        if (!s->v)
            sl_panic("coordinator: out of memory for records");
    }
    return &s->v[s->n];
}

// An int16 (record type, or version of the value) and the message behind it.
static int encode(struct coord_sink *s, const struct kp_message *k, int16_t front, int16_t version,
                  const void *msg, struct kp_bytes *out)
{
    int64_t size = k->size(msg, version);
    if (size < 0)
        return (int)size;
    uint8_t *p = arena_alloc(&s->arena, (size_t)size + 2);
    if (!p)
        sl_panic("coordinator: out of memory for a record of %lld bytes", (long long)size);
    be16_store(p, (uint16_t)front);
    struct kp_writer w = {.buf = p + 2, .cap = (size_t)size};
    int rc = k->encode(msg, version, &w);
    *out = (struct kp_bytes){p, (int32_t)size + 2};
    return rc;
}

static int emit(struct coord_ctx *x, coord_mark *mark, enum kp_kind key_kind, enum kp_kind value_kind,
                int16_t type, const void *key, int16_t version, const void *value)
{
    struct coord_sink *s = &x->sink;
    struct coord_record *r = sink_grow(s);
    *r = (struct coord_record){.value = KP_BYTES_NULL, .producer_id = -1, .mark = mark};
    int rc = encode(s, kp_message_find(key_kind, type), type, 0, key, &r->key);
    if (!rc && value)
        rc = encode(s, kp_message_find(value_kind, type), version, version, value, &r->value);
    if (rc)
        return rc;
    s->n++;
    s->bytes += (size_t)r->key.n + (size_t)SL_MAX(r->value.n, 0) + RECORD_ROOM;
    return 0;
}

int coord_emit(struct coord_ctx *x, coord_mark *mark, int16_t type, const void *key, int16_t version,
               const void *value)
{
    return emit(x, mark, KP_KIND_GROUP_KEY, KP_KIND_GROUP_VALUE, type, key, version, value);
}

int coord_emit_txn(struct coord_ctx *x, coord_mark *mark, int16_t type, const void *key, int16_t version,
                   const void *value)
{
    return emit(x, mark, KP_KIND_TXN_KEY, KP_KIND_TXN_VALUE, type, key, version, value);
}

bool coord_fits(const struct coord_ctx *x)
{
    return x->sink.bytes <= x->batch_limit;
}

void coord_emit_undo(struct coord_ctx *x)
{
    x->sink.n = 0;
    x->sink.bytes = 0;
    x->sink.split = false;
    arena_reset(&x->sink.arena);
}

void coord_forget(struct coord_ctx *x, coord_mark *mark)
{
    coord_see(x, *mark);
    x->forgot = true;
    if (*mark > x->gone)
        x->gone = *mark;
    for (uint32_t i = 0; i < x->sink.n; i++)
        if (x->sink.v[i].mark == mark)
            x->sink.v[i].mark = NULL;
}

// ---- answers -------------------------------------------------------------------------------------------------------------
void coord_answer(struct coord_ctx *x, struct coord_req *q)
{
    SL_ASSERT(!q->answered);
    q->answered = true;
    list_push_back(&x->answered, &q->node);
}

// ---- timers --------------------------------------------------------------------------------------------------------------
void coord_timer_set(struct coord_ctx *x, struct coord_timer *t, int64_t after_ms)
{
    coord_timer_cancel(x, t);
    heap_push(&x->timers, &t->node, x->now_ns + (uint64_t)SL_MAX(after_ms, 0) * 1000000);
    t->armed = true;
}

void coord_timer_cancel(struct coord_ctx *x, struct coord_timer *t)
{
    if (t->armed)
        heap_remove(&x->timers, &t->node);
    t->armed = false;
}

uint64_t coord_timer_next(const struct coord_ctx *x)
{
    const struct heap_node *n = heap_min(&x->timers);
    return n ? n->key : UINT64_MAX;
}

struct coord_timer *coord_timer_due(struct coord_ctx *x)
{
    if (coord_timer_next(x) > x->now_ns)
        return NULL;
    struct coord_timer *t = SL_CONTAINER_OF(heap_pop(&x->timers), struct coord_timer, node);
    t->armed = false;
    return t;
}

// ---- ids -----------------------------------------------------------------------------------------------------------------
void coord_random_uuid(struct coord_ctx *x, char out[37])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t b[16];
    x->random(x->random_arg, b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex[b[i] >> 4];
        *p++ = hex[b[i] & 15];
    }
    *p = 0;
}
