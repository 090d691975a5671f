// The ring: set-up, submission with a budget of completions, the poll, doorbells, cancels.
//
// Submission entries carry the op's address as user_data; the low bits tag the few entries that have no op:
enum up_tag {
    TAG_OP = 0,
    TAG_WAKE = 1,   // a peer's doorbell arrived
    TAG_BELL = 2,   // our doorbell to the peer at this address failed
    TAG_EVENT = 3,  // the eventfd was written
    TAG_IGNORE = 4, // a cancel that found nothing
    TAG_MASK = 7,
};

#include "engine/io/uring/uring_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/log.h"

// Completions kept free for what has no budget: doorbells, failed cancels, bursts of a multishot accept (whose backlog
// up_listen limits to half of it).
enum { UP_CQ_SLACK = 2048 };
enum { UP_WORKERS = 64, UP_PLUG_ENTRIES = 3 };
enum { UP_LOCK_SLOTS = 64, UP_SLAB_SLOTS = 8192 };

// ---- queues ------------------------------------------------------------------------------------------------------

void up_fifo_push(struct up_fifo *q, struct io_op *op)
{
    up_of(op)->next = NULL;
    if (q->last)
        up_of(q->last)->next = op;
    else
        q->first = op;
    q->last = op;
}

struct io_op *up_fifo_pop(struct up_fifo *q)
{
    struct io_op *op = q->first;
    if (!op)
        return NULL;
    q->first = up_of(op)->next;
    if (!q->first)
        q->last = NULL;
    return op;
}

// Takes `op`, which is in the queue, out: cold, cancels only.
static void fifo_remove(struct up_fifo *q, struct io_op *op)
{
    struct io_op *prev = NULL;
    for (struct io_op *i = q->first; i != op; i = up_of(i)->next) {
        SL_ASSERT(i);
        prev = i;
    }
    if (prev)
        up_of(prev)->next = up_of(op)->next;
    else
        q->first = up_of(op)->next;
    if (q->last == op)
        q->last = prev;
}

struct up_aux *up_aux_get(struct uring *u)
{
    struct up_aux *a = u->aux_free;
    if (a)
        u->aux_free = a->next;
    else
        a = malloc(sizeof(*a));
    return a;
}

void up_aux_put(struct uring *u, struct up_aux *a)
{
    a->next = u->aux_free;
    u->aux_free = a;
}

// ---- submission --------------------------------------------------------------------------------------------------

uint32_t up_cqes_of(enum up_kind kind)
{
    return kind == UK_SEND_ZC ? 2 : 1;
}

static struct up_budget *budget_of(struct uring *u, enum up_kind kind)
{
    return kind <= UK_STAT ? &u->file : &u->sock;
}

static int ring_enable(struct uring *u)
{
    // Not io_uring_enable_rings: the shared library of 2.3 declares it and does not export it.
    int rc = io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (rc < 0)
        return rc;
    u->enabled = true;
    u->owner = gettid();
    // Saves the kernel looking the descriptor up at each entry; not fatal where it is refused.
    (void)io_uring_register_ring_fd(&u->ring);
    // Syncs block a kernel worker each, and those that run together share a commit of the file system: more at a time
    // than the kernel's default of four for each core.
    unsigned workers[2] = {UP_WORKERS, 0};
    (void)io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_IOWQ_MAX_WORKERS, workers, 2);
    return 0;
}

// A submission entry, submitting what is queued to make room; NULL if the kernel takes none now.
static struct io_uring_sqe *ring_sqe(struct uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (!sqe && u->enabled) {
        up_count(u, IO_CTR_ENTERS);
        if (io_uring_submit(&u->ring) > 0)
            sqe = io_uring_get_sqe(&u->ring);
    }
    if (sqe)
        up_count(u, IO_CTR_SQES);
    return sqe;
}

static void op_fly(struct uring *u, struct io_op *op, struct io_uring_sqe *sqe)
{
    struct up_op *o = up_of(op);
    io_uring_prep_rw(o->opcode, sqe, o->fd, (const void *)(uintptr_t)o->addr, o->len, o->off);
    sqe->rw_flags = (int)op->buf_id;
    sqe->flags = o->sqe_flags;
    sqe->ioprio = o->ioprio;
    sqe->buf_index = o->buf_index;
    sqe->user_data = (uint64_t)(uintptr_t)op;
    u->writes_staged |=
        o->opcode == IORING_OP_WRITE || o->opcode == IORING_OP_WRITEV || o->opcode == IORING_OP_WRITE_FIXED;
    o->state = US_FLYING;
}

void up_issue(struct uring *u, struct io_op *op)
{
    struct up_op *o = up_of(op);
    struct up_budget *b = budget_of(u, o->kind);
    uint32_t weight = up_cqes_of(o->kind);
    struct io_uring_sqe *sqe = NULL;
    SL_DASSERT(((uintptr_t)op & TAG_MASK) == 0);
    // Behind what waits already, to stay in order.
    if (!b->q.first && b->used + weight <= b->cap)
        sqe = io_uring_get_sqe(&u->ring);
    if (!sqe) {
        o->state = US_QUEUED;
        up_fifo_push(&b->q, op);
        return;
    }
    up_count(u, IO_CTR_SQES);
    b->used += weight;
    op_fly(u, op, sqe);
}

void up_local(struct uring *u, struct io_op *op, int32_t res)
{
    struct up_op *o = up_of(op);
    o->state = US_LOCAL;
    o->res = res;
    up_fifo_push(&u->local, op);
}

static void budget_drain(struct uring *u, struct up_budget *b)
{
    while (b->q.first) {
        struct io_op *op = b->q.first;
        uint32_t weight = up_cqes_of(up_of(op)->kind);
        if (b->used + weight > b->cap)
            break;
        struct io_uring_sqe *sqe = ring_sqe(u);
        if (!sqe)
            break;
        up_fifo_pop(&b->q);
        b->used += weight;
        op_fly(u, op, sqe);
    }
}

// Without an entry now, the next poll tries again.
static void event_arm(struct uring *u)
{
    struct io_uring_sqe *sqe = ring_sqe(u);
    u->event_armed = sqe != NULL;
    if (!sqe)
        return;
    io_uring_prep_read(sqe, u->efd, &u->efd_value, sizeof(u->efd_value), 0);
    sqe->user_data = TAG_EVENT;
}

// Receives that wait for a provided buffer: as many start in a poll as there are buffers, so that each can have one and a
// crowd does not try in vain again and again. Those that start and have nothing to receive leave theirs to others: true
// if some of these still wait.
static bool starved_drain(struct uring *u)
{
    uint32_t free = u->buf_n - u->buf_out;
    struct io_op *op;
    u->buf_dry = false;
    for (uint32_t i = 0; i < free && (op = up_fifo_pop(&u->starved)); i++)
        up_issue(u, op);
    return free && u->starved.first;
}

// ---- completion --------------------------------------------------------------------------------------------------

// Frees what the op held besides itself and returns the result to hand out.
static int32_t op_finish(struct uring *u, struct io_op *op, int32_t res)
{
    struct up_op *o = up_of(op);
    switch ((enum up_kind)o->kind) {
    case UK_STAT:
        return up_stat_done(o, res);
    case UK_CALL:
        return up_call_done(o, res);
    case UK_CONNECT:
        return up_connect_done(u, o, res);
    case UK_SENDMSG:
    case UK_SEND_ZC:
        if (o->aux)
            up_aux_put(u, o->aux);
        return res;
    default:
        return res;
    }
}

static void op_take_buffer(struct uring *u, struct io_op *op, int32_t res, uint32_t cqe_flags)
{
    uint32_t id = cqe_flags >> IORING_CQE_BUFFER_SHIFT;
    SL_ASSERT(id < u->buf_n && u->buf_out < u->buf_n);
    u->buf_out++;
    if (res <= 0) { // some kernels hand a buffer out with the end of the stream
        up_buf_return(&u->io, id);
        return;
    }
    op->flags |= IO_OP_BUFFER;
    op->buf_id = id;
    op->buf = u->bufs + (size_t)id * u->buf_size;
}

static void op_complete(struct uring *u, struct io_op *op, int32_t res, uint32_t cqe_flags)
{
    struct up_op *o = up_of(op);
    SL_ASSERT(o->state == US_FLYING);
    op->flags = cqe_flags & IORING_CQE_F_MORE ? IO_OP_MORE : 0;
    if (cqe_flags & IORING_CQE_F_NOTIF) {
        op->flags |= IO_OP_NOTIF;
        if ((uint32_t)res & UC_NOTIF_USAGE_ZC_COPIED)
            op->flags |= IO_OP_ZC_COPIED;
        res = 0;
    }
    if (cqe_flags & IORING_CQE_F_BUFFER)
        op_take_buffer(u, op, res, cqe_flags);
    u->buf_dry |= res == -ENOBUFS && o->kind == UK_RECV_MULTI;
    if (!(cqe_flags & IORING_CQE_F_MORE)) {
        struct up_budget *b = budget_of(u, o->kind);
        SL_ASSERT(b->used >= up_cqes_of(o->kind));
        b->used -= up_cqes_of(o->kind);
        o->state = US_IDLE;
        res = op_finish(u, op, res);
    }
    op->done(op, res);
}

// Returns how many done callbacks ran.
static int cqe_handle(struct uring *u, const struct io_uring_cqe *c)
{
    void *p = (void *)(uintptr_t)(c->user_data & ~(uint64_t)TAG_MASK);
    switch ((enum up_tag)(c->user_data & TAG_MASK)) {
    case TAG_OP:
        op_complete(u, p, c->res, c->flags);
        return 1;
    case TAG_BELL: // its ring is not enabled yet, or takes no message: the slow bell works always
        io_doorbell(NULL, p);
        return 0;
    case TAG_EVENT:
        u->event_armed = false;
        return 0;
    default:
        return 0;
    }
}

static int local_reap(struct uring *u)
{
    struct up_fifo q = u->local;
    int n = 0;
    u->local = (struct up_fifo){0};
    for (struct io_op *op; (op = up_fifo_pop(&q)); n++) {
        struct up_op *o = up_of(op);
        int32_t res = (int32_t)o->res;
        SL_ASSERT(o->state == US_LOCAL);
        o->state = US_IDLE;
        op->flags = 0;
        op->done(op, res);
    }
    return n;
}

static int ring_reap(struct uring *u)
{
    struct io_uring_cq *cq = &u->ring.cq;
    unsigned head = *cq->khead;
    unsigned tail = io_uring_smp_load_acquire(cq->ktail);
    int n = 0;
    while (head != tail) {
        struct io_uring_cqe *slot = &cq->cqes[head & cq->ring_mask];
        struct io_uring_cqe c = {.user_data = slot->user_data, .res = slot->res, .flags = slot->flags};
        // Given back before the callback runs: what it submits may complete into the slot.
        io_uring_smp_store_release(cq->khead, ++head);
        up_count(u, IO_CTR_CQES);
        n += cqe_handle(u, &c);
    }
    return n;
}

// Direct I/O that ends before its submission does is completed by the submitting thread, which for RWF_DSYNC waits for the disk's
// flush and otherwise converts unwritten extents: a third to two thirds of synced writes on a fast disk. It cannot end so soon
// while a block plug holds it back until all entries are through, and the kernel uses one for three entries or more
// (IO_PLUG_THRESHOLD in io_uring.c): so a lone write has company.
static void ring_plug(struct uring *u)
{
    if (!u->writes_staged)
        return;
    u->writes_staged = false;
    for (unsigned n = io_uring_sq_ready(&u->ring); n < UP_PLUG_ENTRIES; n++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
        if (!sqe)
            return;
        io_uring_prep_nop(sqe);
        sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = TAG_IGNORE;
    }
}

// One entry into the kernel if there is a reason for one.
static int ring_enter(struct uring *u, uint64_t wait_ns)
{
    unsigned kflags = IO_URING_READ_ONCE(*u->ring.sq.kflags);
    bool ready = u->self_wake || u->local.first || io_uring_cq_ready(&u->ring) > 0;
    int rc;
    u->self_wake = false;
    ring_plug(u);
    if (kflags & IORING_SQ_CQ_OVERFLOW) {
        up_count(u, IO_CTR_CQ_OVERFLOW);
        SL_LOG_EVERY(10000, SL_ERROR, "io", "completion queue overflow cq_entries=%u",
                     u->ring.cq.ring_entries);
    }
    if (wait_ns && !ready) {
        struct __kernel_timespec ts = {.tv_sec = (long long)(wait_ns / 1000000000u),
                                       .tv_nsec = (long long)(wait_ns % 1000000000u)};
        struct io_uring_cqe *cqe;
        up_count(u, IO_CTR_ENTERS);
        rc = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
    } else if (io_uring_sq_ready(&u->ring) || (kflags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))) {
        // DEFER_TASKRUN: completions appear only when we enter and ask for them.
        up_count(u, IO_CTR_ENTERS);
        rc = io_uring_submit_and_get_events(&u->ring);
    } else {
        return 0;
    }
    // EAGAIN, EBUSY: the kernel is short of memory or wants completions reaped; what is staged goes next time.
    if (rc == -ETIME || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY)
        rc = 0;
    return rc < 0 ? rc : 0;
}

static int up_poll(struct io *io, uint64_t wait_ns)
{
    struct uring *u = up_ring(io);
    int rc;
    if (sl_unlikely(!u->enabled)) {
        rc = ring_enable(u);
        if (rc < 0)
            return rc;
    }
    if (sl_unlikely(!u->event_armed))
        event_arm(u);
    SL_DASSERT(u->owner == gettid());
    budget_drain(u, &u->file);
    budget_drain(u, &u->sock);
    if (sl_unlikely(u->starved.first || u->buf_dry) && starved_drain(u))
        wait_ns = 0;
    rc = ring_enter(u, wait_ns);
    if (rc < 0)
        return rc;
    int n = local_reap(u);
    return n + ring_reap(u);
}

// ---- cancel, doorbell, counters, clock ---------------------------------------------------------------------------

static void up_cancel(struct io *io, struct io_op *op)
{
    struct uring *u = up_ring(io);
    struct up_op *o = up_of(op);
    switch ((enum up_state)o->state) {
    case US_QUEUED:
    case US_STARVED:
        fifo_remove(o->state == US_STARVED ? &u->starved : &budget_of(u, o->kind)->q, op);
        up_local(u, op, op_finish(u, op, -ECANCELED));
        return;
    case US_FLYING:
        break;
    default:
        return;
    }
    struct io_uring_sqe *sqe = ring_sqe(u);
    if (sqe) {
        io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)op, 0);
        sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = TAG_IGNORE;
        return;
    }
    struct io_uring_sync_cancel_reg reg = {.addr = (uint64_t)(uintptr_t)op, .fd = -1};
    (void)io_uring_register_sync_cancel(&u->ring, &reg);
}

static void up_doorbell(struct io *from, struct io *to)
{
    struct uring *t = up_ring(to);
    if (from == to) {
        t->self_wake = true;
        return;
    }
    struct io_uring_sqe *sqe = NULL;
    if (from) {
        struct uring *f = up_ring(from);
        up_count(f, IO_CTR_DOORBELLS);
        if (f->features & UP_MSG_RING)
            sqe = ring_sqe(f);
    }
    if (!sqe) {
        uint64_t one = 1;
        int saved = errno; // a signal handler may be calling: one write(2), and nothing else is touched
        ssize_t rc = write(t->efd, &one, sizeof(one));
        (void)rc;
        errno = saved;
        return;
    }
    io_uring_prep_msg_ring(sqe, t->ring.ring_fd, 0, TAG_WAKE, 0);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = (uint64_t)(uintptr_t)t | TAG_BELL;
}

static uint64_t up_counter(struct io *io, uint32_t which)
{
    SL_ASSERT(which < IO_CTR_COUNT);
    return __atomic_load_n(&up_ring(io)->ctr[which], __ATOMIC_RELAXED);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t up_now_ns(struct io *io)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t up_cpu_ns(struct io *io)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int64_t up_wall_ms(struct io *io)
{
    return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000);
}

static void up_random(struct io *io, void *buf, size_t len)
{
    uint8_t *p = buf;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        SL_ASSERT(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

// ---- life --------------------------------------------------------------------------------------------------------

static void up_destroy(struct io *io)
{
    struct uring *u = up_ring(io);
    // The registration belongs to the thread that made it: from another thread, index 0 is another ring's.
    if (u->owner != gettid() && (u->ring.int_flags & UC_INT_FLAG_REG_RING)) {
        u->ring.int_flags &= (uint8_t)~UC_INT_FLAG_REG_RING;
        u->ring.enter_ring_fd = u->ring.ring_fd;
    }
    io_uring_queue_exit(&u->ring);
    up_buffers_destroy(u);
    if (u->efd >= 0)
        close(u->efd);
    for (struct up_aux *a; (a = u->aux_free);) {
        u->aux_free = a->next;
        free(a);
    }
    free(u->slabs);
    free(u);
}

static const struct io_vtable up_vtable = {
    .name = "io_uring",
    .open = up_open,
    .close = up_close,
    .read = up_read,
    .write = up_write,
    .writev = up_writev,
    .fsync = up_fsync,
    .syncfs = up_syncfs,
    .fallocate = up_fallocate,
    .ftruncate = up_ftruncate,
    .mkdir = up_mkdir,
    .rename = up_rename,
    .unlink = up_unlink,
    .stat = up_statx,
    .can_syncfs = up_can_syncfs,
    .listdir = up_listdir,
    .lock_file = up_lock_file,
    .lock_register = up_lock_register,
    .unlock = up_unlock,
    .listen = up_listen,
    .accept = up_accept,
    .connect = up_connect,
    .recv = up_recv,
    .recv_multi = up_recv_multi,
    .buf_return = up_buf_return,
    .send = up_send,
    .shutdown = up_shutdown,
    .abort = up_abort,
    .close_sock = up_close_sock,
    .sock_name = up_sock_name,
    .cancel = up_cancel,
    .register_slab = up_register_slab,
    .now_ns = up_now_ns,
    .wall_ms = up_wall_ms,
    .cpu_ns = up_cpu_ns,
    .random = up_random,
    .poll = up_poll,
    .doorbell = up_doorbell,
    .counter = up_counter,
    .destroy = up_destroy,
};

// Shares the completion queue out between files and sockets.
static void budgets_set(struct uring *u, const struct uring_config *cfg)
{
    uint32_t cq = u->ring.cq.ring_entries;
    uint32_t fixed = UP_CQ_SLACK + cfg->recv_buffers;
    u->file.cap = SL_MIN(2 * cfg->entries, cq / 4);
    // Where the kernel clamped the queue, sockets get what is left, and at least a few.
    u->sock.cap = cq > fixed + u->file.cap + 64 ? cq - fixed - u->file.cap : 64;
}

static int uring_init(struct uring *u, const struct uring_config *cfg, char *err, size_t cap)
{
    uint32_t sockets = cfg->sockets ? cfg->sockets : cfg->entries;
    // A socket has a receive and a send in flight, which with zero-copy posts twice.
    uint32_t need = 2 * cfg->entries + 3 * sockets + cfg->recv_buffers + UP_CQ_SLACK;
    uint32_t cq = cfg->entries * 8;
    while (cq < need)
        cq *= 2;
    uint32_t flags;
    int rc = up_ring_setup(&u->ring, cfg->entries, cq, &flags);
    if (rc < 0) {
        up_explain_setup_here(-rc, err, cap);
        return rc;
    }
    u->features = up_features_of(&u->ring) | (flags & IORING_SETUP_DEFER_TASKRUN ? UP_DEFER_TASKRUN : 0u);
    budgets_set(u, cfg);
    u->efd = eventfd(0, EFD_CLOEXEC);
    if (u->efd < 0) {
        snprintf(err, cap, "eventfd: %s", strerror(errno));
        return -errno;
    }
    u->files_ok = io_uring_register_files_sparse(&u->ring, UP_LOCK_SLOTS) == 0;
    u->slots_ok =
        (u->features & UP_SPARSE_BUFS) && io_uring_register_buffers_sparse(&u->ring, UP_SLAB_SLOTS) == 0;
    rc = cfg->recv_buffers ? up_buffers_create(u, cfg->recv_buffers, cfg->recv_size) : 0;
    if (rc < 0)
        snprintf(err, cap, "provided buffers for receiving (%u of %u bytes): %s", cfg->recv_buffers,
                 cfg->recv_size, strerror(-rc));
    return rc;
}

struct io *uring_create(const struct uring_config *cfg, char *err, size_t err_cap)
{
    SL_ASSERT(cfg->entries >= 4 && (cfg->entries & (cfg->entries - 1)) == 0);
    SL_ASSERT((cfg->recv_buffers & (cfg->recv_buffers - 1)) == 0 && cfg->recv_buffers <= 32768);
    struct uring *u = calloc(1, sizeof(*u));
    if (!u) {
        snprintf(err, err_cap, "out of memory");
        return NULL;
    }
    u->io.vt = &up_vtable;
    u->efd = -1;
    u->ring.ring_fd = -1;
    if (uring_init(u, cfg, err, err_cap) == 0)
        return &u->io;
    if (u->ring.ring_fd >= 0)
        up_destroy(&u->io);
    else
        free(u);
    return NULL;
}
