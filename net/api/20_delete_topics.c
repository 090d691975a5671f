// DeleteTopics (key 20), versions 1-6: by name, and from version 6 by id as well. The answer comes when the deletion is
// durable and every reactor has the new image.
// Partitions count for the client's quota on changes (KIP-599): who owes is refused from version 5 on, before it he is
// throttled only.
//
// Deviations from upstream 4.3: the timeout is not applied; answers stand in request order, where upstream shuffles them
// to hide what an unauthorized client may not see.
#include "net/api/common.h"

#include "proto/gen/delete_topics_request.h"
#include "proto/gen/delete_topics_response.h"

#include <string.h>

typedef struct kp_delete_topics_response_deletable_topic_result out_topic;

enum { QUOTA_STRICT_SINCE = 5 };

struct asked { // one topic of the request, in the form of version 6
    struct kp_str name;
    struct sl_uuid id;
    uint32_t times;
};
struct state {
    struct kp_delete_topics_request m;
    struct asked *asked;
    uint32_t asked_n;
    struct meta_delete del;
    struct call call;
    struct kp_delete_topics_response out;
};

static out_topic *add(struct state *st, struct kp_str name, const struct sl_uuid *id, int16_t error,
                      const char *why)
{
    out_topic *o = &st->out.responses[st->out.responses_n++];
    kp_delete_topics_response_deletable_topic_result_init(o);
    o->name = name;
    if (id)
        o->topic_id = *id;
    o->error_code = error;
    o->error_message = kp_str_of(why);
    return o;
}

static void deleted(struct call *c)
{
    struct req *r = c->req;
    struct state *st = r->state;
    for (uint32_t i = 0; i < st->del.n; i++) {
        const struct meta_delete_topic *t = &st->del.topics[i];
        const char *why = !t->error ? NULL : t->message[0] ? t->message : api_error_text(t->error);
        struct kp_str name = t->name ? (struct kp_str){t->name, t->name_len} : KP_STR_NULL;
        bool found = !t->error || t->error == KERR_THROTTLING_QUOTA_EXCEEDED;
        if (!t->name && found)
            name = kp_str_of(t->out_name);
        add(st, name, t->name && found ? &t->out_id : &t->id, t->error, why);
    }
    quota_mutated(r, &st->del.quota);
    REQ_RESPOND(r, &st->out, delete_topics_response);
}

static const char *contradiction(const struct asked *a)
{
    bool id = !sl_uuid_is_zero(&a->id);
    if (a->name.n < 0 && !id)
        return "Neither topic name nor id were specified.";
    if (a->name.n >= 0 && id)
        return "You may not specify both topic name and topic id.";
    if (a->times > 1)
        return id ? "Duplicate topic id." : "Duplicate topic name.";
    return NULL;
}

static const void *asked_key(const struct asked *a, size_t *n)
{
    bool by_name = a->name.n >= 0;
    *n = by_name ? (size_t)a->name.n : sizeof(a->id);
    return by_name ? (const void *)a->name.p : a->id.b;
}

// Repetitions count at their first place, names and ids apart.
static void asked_count(struct req *r, struct state *st)
{
    struct api_set names, ids;
    api_set_init(r, &names, st->asked_n);
    api_set_init(r, &ids, st->asked_n);
    for (uint32_t i = 0; i < st->asked_n; i++) {
        struct asked *a = &st->asked[i];
        size_t n;
        const void *key = asked_key(a, &n);
        if (contradiction(a))
            a->times = 1;
        else
            st->asked[api_set_put(a->name.n >= 0 ? &names : &ids, key, n, i)].times++;
    }
    for (uint32_t i = 0; i < st->asked_n; i++) { // a topic that is given by name and by id
        struct asked *a = &st->asked[i];
        const struct meta_topic *t = a->name.n >= 0 ? api_topic(r, a->name) : NULL;
        uint32_t by_id = t ? api_set_get(&ids, t->id.b, sizeof(t->id)) : UINT32_MAX;
        if (by_id == UINT32_MAX || a->times == 0 || contradiction(a))
            continue;
        add(st, a->name, &t->id, KERR_INVALID_REQUEST,
            "The provided topic name maps to an ID that was already supplied.");
        a->times = 0;
        st->asked[by_id].times = 0; // neither is carried out: the topic stays
    }
}

static void plan(struct req *r, struct state *st)
{
    uint32_t n = st->asked_n;
    kp_delete_topics_response_init(&st->out);
    st->out.responses = req_alloc_array(r, n, sizeof(*st->out.responses));
    st->del.topics = req_alloc_array(r, n, sizeof(*st->del.topics));
    asked_count(r, st);
    for (uint32_t i = 0; i < n; i++) {
        const struct asked *a = &st->asked[i];
        const char *why = contradiction(a);
        if (a->times == 0)
            continue;
        if (why)
            add(st, a->name, &a->id, KERR_INVALID_REQUEST, why);
        else
            st->del.topics[st->del.n++] = (struct meta_delete_topic){
                .name = a->name.n >= 0 ? api_cstr(r, a->name) : NULL, .name_len = a->name.n, .id = a->id};
    }
}

static void asked_make(struct req *r, struct state *st)
{
    const struct kp_delete_topics_request *m = &st->m;
    bool v6 = r->version >= 6;
    st->asked_n = (uint32_t)SL_MAX(v6 ? m->topics_n : m->topic_names_n, 0);
    st->asked = req_alloc_array(r, st->asked_n, sizeof(*st->asked));
    for (uint32_t i = 0; i < st->asked_n; i++) {
        st->asked[i].name = v6 ? m->topics[i].name : m->topic_names[i];
        if (v6)
            st->asked[i].id = m->topics[i].topic_id;
    }
}

static void answer_disabled(struct req *r, struct state *st)
{
    int16_t error = r->version < 3 ? KERR_INVALID_REQUEST : KERR_TOPIC_DELETION_DISABLED;
    kp_delete_topics_response_init(&st->out);
    st->out.responses = req_alloc_array(r, st->asked_n, sizeof(*st->out.responses));
    for (uint32_t i = 0; i < st->asked_n; i++)
        add(st, st->asked[i].name, &st->asked[i].id, error, NULL);
    REQ_RESPOND(r, &st->out, delete_topics_response);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, delete_topics_request))
        return;
    asked_make(r, st);
    if (!cfg_bool(r->net->cfg.cfg, CFG_DELETE_TOPIC_ENABLE)) {
        answer_disabled(r, st);
        return;
    }
    plan(r, st);
    quota_mutations(r, QUOTA_STRICT_SINCE, &st->del.quota);
    if (st->del.n)
        call_send(&st->call, r, net_controller_reactor(r->net), META_DELETE_TOPICS, &st->del, deleted);
    else
        REQ_RESPOND(r, &st->out, delete_topics_response);
}

const struct api_handler api_delete_topics = {
    .key = 20, .min = 1, .max = 6, .advertise_min = 1, .start = start};
