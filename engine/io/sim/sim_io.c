// One reactor's io in the simulated world, and the processes that own them. See sim.h.
#include "engine/io/sim/sim_private.h"

#include "engine/base/canary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- operations and completions ------------------------------------------------------------------------------------
struct sim_op *sim_op_new(struct sim_io *io, struct io_op *op, enum sim_kind kind)
{
    SL_ASSERT(op->done);
    struct sim_op *o = sim_alloc(sizeof(*o));
    o->io = io;
    o->op = op;
    o->w = io->w;
    o->kind = kind;
    list_init(&o->disk_node);
    list_push_back(&io->ops, &o->io_node);
    op->priv[0] = (uint64_t)(uintptr_t)o;
    op->priv[1] = (uint64_t)(uintptr_t)io;
    return o;
}

void sim_op_free(struct sim_op *o)
{
    sim_event_cancel(o->w, &o->ev);
    if (o->io)
        list_remove(&o->io_node);
    list_remove(&o->disk_node);
    if (o->ino)
        sim_inode_unref(o->disk, o->ino);
    sim_file_covered_free(o);
    if (o->iov != &o->iov1)
        free(o->iov);
    free(o->copy);
    free(o->path);
    free(o->path2);
    free(o);
}

struct sim_cqe *sim_complete(struct sim_op *o, int32_t res, uint32_t flags, bool last)
{
    struct sim_cqe *c = sim_alloc(sizeof(*c));
    c->op = o->op;
    c->res = res;
    c->flags = flags;
    c->sop = last ? o : NULL;
    if (last) {
        list_remove(&o->disk_node);
        list_remove(&o->io_node);
        list_init(&o->io_node);
    }
    list_push_back(&o->io->cqes, &c->node);
    return c;
}

void sim_complete_now(struct sim_io *io, struct io_op *op, int32_t res)
{
    SL_ASSERT(op->done);
    struct sim_cqe *c = sim_alloc(sizeof(*c));
    c->op = op;
    c->res = res;
    op->priv[0] = 0;
    list_push_back(&io->cqes, &c->node);
}

static void hand_out(struct sim_io *io, struct sim_cqe *c)
{
    struct io_op *op = c->op;
    int32_t res = c->res;
    op->flags = c->flags;
    if (c->flags & IO_OP_BUFFER) {
        op->buf = c->buf;
        op->buf_id = c->buf_id;
    }
    if (c->sop) {
        op->priv[0] = 0;
        sim_op_free(c->sop);
    }
    free(c);
    io->counters[IO_CTR_CQES]++;
    op->done(op, res); // may free or reuse the op
}

static int reap(struct sim_io *io)
{
    uint32_t most = io->w->cfg.poll_batch ? io->w->cfg.poll_batch : UINT32_MAX;
    // What completes during this call waits for the next one.
    struct list_node batch;
    list_init(&batch);
    for (uint32_t k = 0; k < most && !list_empty(&io->cqes); k++)
        list_push_back(&batch, list_pop_front(&io->cqes));
    int n = 0;
    while (!list_empty(&batch)) {
        hand_out(io, list_entry(list_pop_front(&batch), struct sim_cqe, node));
        n++;
    }
    return n;
}

static int sim_poll(struct io *base, uint64_t wait_ns)
{
    struct sim_io *io = sim_io_of(base);
    struct sim_world *w = io->w;
    io->counters[IO_CTR_ENTERS]++;
    sim_run_due(w);
    bool rung = io->bell;
    io->bell = false;
    if (!list_empty(&io->cqes) || rung || wait_ns == 0)
        return reap(io);
    uint64_t until = wait_ns > UINT64_MAX - w->now ? UINT64_MAX : w->now + wait_ns;
    if (w->scheduled) {
        io->idle = true;
        io->wake_at = until;
        return 0;
    }
    while (list_empty(&io->cqes) && !io->bell && sim_next_event(w) <= until)
        if (!sim_step(w))
            break;
    if (list_empty(&io->cqes) && !io->bell) {
        if (until == UINT64_MAX)
            sim_fail(w, "io_poll would wait for ever");
        else
            w->now = SL_MAX(w->now, until);
    }
    io->bell = false;
    return reap(io);
}

// ---- the small parts of the vtable ------------------------------------------------------------------------------------
static void sim_cancel(struct io *base, struct io_op *op)
{
    (void)base;
    struct sim_op *o = (struct sim_op *)(uintptr_t)op->priv[0];
    if (o)
        sim_sock_cancel(o); // disk operations run to their end, as the kernel's do
}

static int sim_register_slab(struct io *base, void *mem, size_t len, uint32_t slab_index)
{
    struct sim_io *io = sim_io_of(base);
    (void)mem;
    (void)len;
    (void)slab_index;
    return sl_rand_chance(&io->w->rng, 1, 4) ? -ENOMEM : 0;
}

static uint64_t sim_now(struct io *base)
{
    return sim_io_of(base)->w->now;
}

static int64_t sim_wall(struct io *base)
{
    struct sim_world *w = sim_io_of(base)->w;
    return w->cfg.wall_ms + (int64_t)(w->now / 1000000) + w->wall_offset;
}

static void sim_random(struct io *base, void *buf, size_t len)
{
    sl_rand_bytes(&sim_io_of(base)->w->rng, buf, len);
}

static void sim_doorbell(struct io *from, struct io *to)
{
    if (from)
        sim_io_of(from)->counters[IO_CTR_DOORBELLS]++;
    sim_io_of(to)->bell = true;
}

static uint64_t sim_counter(struct io *base, uint32_t which)
{
    return which < IO_CTR_COUNT ? sim_io_of(base)->counters[which] : 0;
}

static int lock_register(struct io *base, int lock)
{
    if (sl_canary_active == SL_CANARY_LOCK_NOT_REGISTERED)
        return 0;
    return sim_file_lock_register(base, lock);
}

// Operations in flight when an io goes: late writes go on without it, under the ring's locks.
static void io_orphan(struct sim_io *io)
{
    struct sim_grave *g = NULL;
    list_foreach_safe(n, &io->ops)
    {
        struct sim_op *o = list_entry(n, struct sim_op, io_node);
        if (!o->disk)
            continue;
        list_remove(&o->io_node);
        list_init(&o->io_node);
        o->io = NULL;
        struct io_op *op = o->op;
        o->op = NULL;
        if (o->kind == SIM_WRITE) {
            g = g ? g : sim_alloc(sizeof(*g));
            g->writes++;
            g->disk = o->disk;
            o->grave = g;
        }
        sim_file_orphan(o);
        sim_complete_now(io, op, -ECANCELED);
    }
    if (g) {
        g->locks_n = io->locks_n;
        for (uint32_t k = 0; k < g->locks_n; k++) {
            g->locks[k] = io->locks[k];
            g->locks[k]->holds++;
        }
    }
    io->locks_n = 0;
}

static void sim_destroy(struct io *base)
{
    struct sim_io *io = sim_io_of(base);
    list_foreach(n, &io->ops)
    {
        struct sim_op *o = list_entry(n, struct sim_op, io_node);
        if (o->disk)
            sim_fail(io->w, "an io was destroyed with operation %d on file %llu in flight", (int)o->kind,
                     o->ino ? (unsigned long long)o->ino->id : 0);
    }
    io_orphan(io);
    list_foreach_safe(n, &io->ops)
    { // socket operations
        struct sim_op *o = list_entry(n, struct sim_op, io_node);
        sim_sock_cancel(o);
    }
    while (!list_empty(&io->cqes)) {
        struct sim_cqe *c = list_entry(list_pop_front(&io->cqes), struct sim_cqe, node);
        if (c->sop)
            sim_op_free(c->sop);
        free(c);
    }
    SL_ASSERT(list_empty(&io->ops));
    list_remove(&io->node);
    free(io->bufs);
    free(io->free_bufs);
    free(io);
}

const struct io_vtable sim_vtable = {
    .name = "sim",
    .open = sim_file_open,
    .close = sim_file_close,
    .read = sim_file_read,
    .write = sim_file_write,
    .writev = sim_file_writev,
    .fsync = sim_file_fsync,
    .syncfs = sim_file_syncfs,
    .fallocate = sim_file_fallocate,
    .ftruncate = sim_file_ftruncate,
    .mkdir = sim_file_mkdir,
    .rename = sim_file_rename,
    .unlink = sim_file_unlink,
    .stat = sim_file_stat,
    .can_syncfs = sim_file_can_syncfs,
    .listdir = sim_file_listdir,
    .lock_file = sim_file_lock,
    .lock_register = lock_register,
    .unlock = sim_file_unlock,
    .listen = sim_sock_listen,
    .accept = sim_sock_accept,
    .connect = sim_sock_connect,
    .recv = sim_sock_recv,
    .recv_multi = sim_sock_recv_multi,
    .buf_return = sim_sock_buf_return,
    .send = sim_sock_send,
    .shutdown = sim_sock_shutdown,
    .abort = sim_sock_abort,
    .close_sock = sim_sock_close,
    .sock_name = sim_sock_name,
    .cancel = sim_cancel,
    .register_slab = sim_register_slab,
    .now_ns = sim_now,
    .wall_ms = sim_wall,
    .cpu_ns = sim_now,
    .random = sim_random,
    .poll = sim_poll,
    .doorbell = sim_doorbell,
    .counter = sim_counter,
    .destroy = sim_destroy,
};

// ---- processes -----------------------------------------------------------------------------------------------------------
struct sim_process *sim_process_create(struct sim_world *w, struct sim_host *host)
{
    struct sim_process *p = sim_alloc(sizeof(*p));
    p->w = w;
    p->host = host;
    p->id = ++w->next_proc;
    list_init(&p->ios);
    list_init(&p->socks);
    list_push_back(&w->procs, &p->node);
    sim_trace(w, "process", p->id, 0, 0);
    return p;
}

struct io *sim_io_create(struct sim_process *p)
{
    struct sim_io *io = sim_alloc(sizeof(*io));
    const struct sim_config *cfg = &p->w->cfg;
    io->io.vt = &sim_vtable;
    io->w = p->w;
    io->p = p;
    io->dead = p->dead;
    list_init(&io->ops);
    list_init(&io->cqes);
    io->bufs = sim_alloc((size_t)cfg->recv_buffers * cfg->recv_size);
    list_init(&io->starved);
    io->free_bufs = sim_alloc(cfg->recv_buffers * sizeof(*io->free_bufs));
    for (uint32_t k = 0; k < cfg->recv_buffers; k++)
        io->free_bufs[io->free_n++] = k;
    list_push_back(&p->ios, &io->node);
    return &io->io;
}

void sim_process_drop(struct sim_process *p)
{
    list_foreach(n, &p->ios)
    {
        struct sim_io *io = list_entry(n, struct sim_io, node);
        io->dead = true;
        io_orphan(io);
    }
    sim_socks_kill(p);
    if (p->host) {
        sim_handles_close(p);
        sim_locks_drop(p);
    }
}

void sim_process_kill(struct sim_process *p)
{
    if (p->dead)
        return;
    sim_trace(p->w, "kill", p->id, 0, 0);
    p->w->stats.kills++;
    p->dead = true;
    sim_process_drop(p);
}

bool sim_process_dead(const struct sim_process *p)
{
    return p->dead;
}

void sim_process_free(struct sim_process *p)
{
    SL_ASSERT(list_empty(&p->ios));
    p->dead = true;
    sim_process_drop(p);
    SL_ASSERT(list_empty(&p->socks));
    list_remove(&p->node);
    free(p->handles);
    free(p->socktab);
    free(p);
}
