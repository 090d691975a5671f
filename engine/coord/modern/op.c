// One operation on a group: see modern_private.h.
#include "engine/coord/modern/modern_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void cg_op_begin(struct cg_op *op, struct groups *gs, struct kp_str group)
{
    memset(op, 0, sizeof(*op));
    op->gs = gs;
    op->first = gs->x->sink.n;
    op->first_bytes = gs->x->sink.bytes;
    arena_init(&op->a, 0);
    op->group = (struct kp_str){arena_strndup(&op->a, group.p, (size_t)group.n), group.n}; // the group may go
    if (!op->group.p)
        sl_panic("coordinator: out of memory for an operation");
    cg_settings_of(gs, op->group.p, &op->set);
    cg_init(&op->fresh, gs, NULL);
    struct group *g = groups_find(gs, group);
    op->cg = g && cg_of(g) ? cg_of(g) : &op->fresh;
    op->epoch = op->cg->epoch;
}

int16_t cg_op_fail(struct cg_op *op, int16_t error, const char *format, ...)
{
    char text[512];
    va_list ap;
    SL_ASSERT(error != KERR_NONE);
    if (op->error)
        return op->error;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    op->error = error;
    op->text = arena_strndup(&op->a, text, SL_MIN((size_t)SL_MAX(n, 0), sizeof(text) - 1));
    return error;
}

// The group may have come into being, changed its kind or gone while the records were replayed.
static void set_marks(struct cg_op *op, uint32_t n)
{
    struct group *g = NULL;
    HASH_FIND(hh, op->gs->table, op->group.p, (unsigned)op->group.n, g);
    for (uint32_t i = op->first; g && i < n; i++)
        op->gs->x->sink.v[i].mark = &g->mark;
    op->cg = g ? cg_of(g) : NULL;
}

// What was replayed stays.
static void undo(struct cg_op *op)
{
    op->gs->x->sink.n = op->first;
    op->gs->x->sink.bytes = op->first_bytes;
}

bool cg_op_end(struct cg_op *op)
{
    struct coord_ctx *x = op->gs->x;
    if (!op->error && !coord_fits(x))
        cg_op_fail(op, KERR_UNKNOWN_SERVER_ERROR, "The records of this change are too large for one batch.");
    if (op->error) {
        undo(op);
        return false;
    }
    uint32_t n = x->sink.n;
    for (uint32_t i = op->first; i < n; i++)
        if (groups_replay(op->gs, &x->sink.v[i]))
            sl_panic("coordinator: a record of group %.*s cannot be read again", op->group.n, op->group.p);
    SL_ASSERT(x->sink.n == n);
    set_marks(op, n);
    op->first = n;
    op->first_bytes = x->sink.bytes;
    if (SL_DEBUG_BUILD && op->cg)
        cg_check(op->cg);
    return true;
}

void cg_op_free(struct cg_op *op)
{
    arena_free(&op->a);
}

void cg_op_answer_error(struct cg_op *op, struct coord_req *q)
{
    SL_ASSERT(op->error);
    if (op->text) // a C string, unlike what req_str makes
        q->message = arena_strndup(&q->arena, op->text, strlen(op->text));
    coord_answer_error(op->gs->x, q, op->error);
}
