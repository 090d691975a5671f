// The service on every reactor: the agent holds the reactor's current image; on one reactor it is the
// controller too,
// which runs requests one after another in a fiber.
//
// A new image becomes current as soon as its message is taken, and is acknowledged a whole turn later: what
// had read the
// old image in the same turn may go on with it, and the old one is freed only after every reactor's
// acknowledgement.
#include "engine/meta/meta_private.h"

#include <errno.h>
#include <stdlib.h>

const struct meta_image *meta_image_get(struct reactor *r)
{
    struct service *s = reactor_service(r, SVC_META);
    return s ? SL_CONTAINER_OF(s, struct meta_agent, svc)->current : NULL;
}

// ---- the agent --------------------------------------------------------------------------------------------
static void agent_switch(struct meta_agent *a, uint32_t from, const struct spsc_msg *msg)
{
    SL_ASSERT(!a->switched); // one publication at a time
    a->current = a->switched = (const struct meta_image *)(uintptr_t)msg->u[0];
    a->from = from;
    a->turns = 0;
}

static bool agent_flush(struct service *svc)
{
    struct meta_agent *a = SL_CONTAINER_OF(svc, struct meta_agent, svc);
    if (!a->switched)
        return false;
    if (a->turns++ == 0)
        return true; // another turn follows
    reactor_send(a->r, a->from, META_IMAGE_ACK)->u[0] = (uint64_t)(uintptr_t)a->switched;
    a->switched = NULL;
    return true;
}

// ---- publishing -------------------------------------------------------------------------------------------
// The partitions of topics whose settings changed work by the new ones before anybody reads of them.
static void configure_topics(struct meta *m)
{
    struct meta_open run = {.m = m, .configure = true};
    int16_t ignored = 0; // a partition that could not be opened has no settings
    for (uint32_t i = 0; i < m->reconfigured_n; i++) {
        struct topic_state *t = state_find_id(m, &m->reconfigured[i]);
        if (t)
            meta_open_topic(&run, t->frozen, 0, &ignored);
    }
    meta_open_wait(&run);
    m->reconfigured_n = 0;
}

void meta_publish_begin(struct meta *m)
{
    SL_ASSERT(!m->next_image);
    m->next_image = meta_freeze(m);
    if (!m->next_image) // records are durable that no image shows: only a new start can go on
        sl_panic("meta: out of memory for an image");
    if (m->reconfigured_n)
        configure_topics(m);
}

void meta_publish_end(struct meta *m)
{
    struct image *img = m->next_image, *old = m->image;
    struct meta_wait *w = &m->publishing;
    SL_ASSERT(img && w->pending == 0);
    m->image = img;
    m->next_image = NULL;
    dirs_tell(m);
    w->fiber = fiber_current();
    w->pending = m->agents_n;
    for (uint32_t i = 0; i < m->agents_n; i++) {
        call_credit(m, i);
        reactor_request(m->r, i, META_IMAGE, SVC_META)->u[0] = (uint64_t)(uintptr_t)&img->pub;
    }
    call_wait(w, 0);
    image_free(old);
}

void meta_publish(struct meta *m)
{
    meta_publish_begin(m);
    meta_publish_end(m);
}

// ---- the controller's queue -------------------------------------------------------------------------------
static void run_job(struct meta *m, struct meta_job *j)
{
    switch (j->op) {
    case META_CREATE_TOPICS:
        op_create_topics(m, j->req);
        break;
    case META_DELETE_TOPICS:
        op_delete_topics(m, j->req);
        break;
    case META_CREATE_PARTITIONS:
        op_create_partitions(m, j->req);
        break;
    case META_ALLOC_PIDS:
        op_alloc_pids(m, j->req);
        break;
    case META_ALTER_CONFIGS:
        op_alter_configs(m, j->req);
        break;
    case META_ALTER_QUOTAS:
        op_alter_quotas(m, j->req);
        break;
    case META_UPDATE_FEATURES:
        op_update_features(m, j->req);
        break;
    case META_UNREGISTER:
        op_unregister_broker(m, j->req);
        break;
    default:
        SL_ASSERT(!"an operation of the controller");
    }
    reactor_reply(m->r, j->from, j->op, j->kind)->u[0] = (uint64_t)(uintptr_t)j->req;
    free(j);
}

static void worker(void *arg)
{
    struct meta *m = arg;
    struct list_node *n;
    for (;;) {
        if (m->dirs_due && !m->dirs_waiting)
            dirs_offline(m);
        else if ((n = list_pop_front(&m->jobs)))
            run_job(m, list_entry(n, struct meta_job, node));
        else if (m->reopen_due)
            meta_reopen(m);
        else if (m->trim_due)
            meta_trim(m);
        else
            break;
        snapshot_maybe(m);
    }
    m->working = false;
}

void meta_work(struct meta *m)
{
    bool due = m->reopen_due || m->trim_due || (m->dirs_due && !m->dirs_waiting);
    if (m->working || !m->begun || (list_empty(&m->jobs) && !due))
        return;
    m->working = true;
    if (!fiber_spawn(m->r, worker, m, 0))
        sl_panic("meta: out of memory for a fiber");
}

static void enqueue(struct meta *m, uint32_t from, const struct spsc_msg *msg)
{
    struct meta_job *j = malloc(sizeof(*j));
    if (!j)
        sl_panic("meta: out of memory for a request"); // bounded by the senders' credits
    *j = (struct meta_job){.op = msg->op,
                           .kind = (enum service_kind)(msg->flags & MSG_ASKER),
                           .from = from,
                           .req = (void *)(uintptr_t)msg->u[0]};
    list_init(&j->node);
    list_push_back(&m->jobs, &j->node);
    meta_work(m);
}

static void shard_answered(struct meta *m, uint32_t from, const struct spsc_msg *msg)
{
    void *req = (void *)(uintptr_t)msg->u[0];
    reactor_credit_give(m->r, from, 1);
    switch (msg->op) {
    case SHARD_APPEND:
        call_done(((struct shard_append *)req)->owner);
        break;
    case SHARD_OPEN:
    case SHARD_CONFIG:
        call_done(((struct shard_open *)req)->owner);
        break;
    case SHARD_DELETE:
        call_done(((struct shard_delete *)req)->owner);
        break;
    case SHARD_DESCRIBE:
        call_done(((struct shard_describe *)req)->owner);
        break;
    case SHARD_DELETE_RECORDS:
        call_done(((struct shard_trim *)req)->owner);
        break;
    default:
        sl_panic("meta: unexpected message %u", msg->op);
    }
}

static void agent_on_msg(struct service *svc, uint32_t from, const struct spsc_msg *msg)
{
    struct meta_agent *a = SL_CONTAINER_OF(svc, struct meta_agent, svc);
    struct meta *m = a->m;
    if (msg->op == META_IMAGE) {
        agent_switch(a, from, msg);
        return;
    }
    if (msg->op == META_DIR_OFFLINE) {
        dirs_on_msg(a, from, msg);
        return;
    }
    SL_ASSERT(a->r == m->r); // everything else is for the controller
    if (msg->op == META_IMAGE_ACK) {
        reactor_credit_give(m->r, from, 1);
        call_done(&m->publishing);
    } else if (MSG_KIND(msg->op) == SVC_META) {
        enqueue(m, from, msg);
    } else {
        shard_answered(m, from, msg);
    }
}

// ---- start and stop ---------------------------------------------------------------------------------------
static void stop_fiber(void *arg)
{
    struct meta *m = arg;
    while (m->beginning || m->working)
        fiber_sleep(1000 * 1000);
    if (m->begun && meta_append_fence(m))
        sl_log(SL_WARN, "meta",
               "the broker could not be fenced: another broker on this directory waits for its session");
    reactor_service_stopped(m->r, &m->agents[m->controller].svc);
}

static void controller_stop(struct service *svc)
{
    struct meta *m = SL_CONTAINER_OF(svc, struct meta_agent, svc)->m;
    m->stopping = true;
    timer_cancel(m->r, &m->reopen);
    timer_cancel(m->r, &m->trim);
    if (!fiber_spawn(m->r, stop_fiber, m, 0))
        sl_panic("meta: out of memory for a fiber");
}

int meta_start(struct meta *m, struct reactor_group *g, const struct placement *pl)
{
    uint32_t n = reactor_group_size(g);
    m->agents = calloc(n, sizeof(*m->agents));
    if (!m->agents)
        return -ENOMEM;
    m->agents_n = n;
    m->group = g;
    m->placement = *pl;
    m->controller = pl->shard_reactor[shard_of(&meta_topic_uuid, 0, pl->shards)];
    m->r = reactor_group_get(g, m->controller);
    for (uint32_t i = 0; i < n; i++) {
        struct meta_agent *a = &m->agents[i];
        a->m = m;
        a->r = reactor_group_get(g, i);
        a->svc = (struct service){
            .kind = SVC_META, .name = "meta", .on_msg = agent_on_msg, .on_flush = agent_flush};
        if (i == m->controller)
            a->svc.on_stop = controller_stop;
        reactor_add_service(a->r, &a->svc);
    }
    return 0;
}
