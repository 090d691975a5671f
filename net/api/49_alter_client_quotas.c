// AlterClientQuotas (key 49), versions 0-1 (KIP-546): quotas of users, clients and addresses, set and removed by the
// controller.
//
// Deviations from upstream 4.3: the name of an address is not looked up; it must be an address or localhost.
#include "net/api/common.h"

#include "proto/gen/alter_client_quotas_request.h"
#include "proto/gen/alter_client_quotas_response.h"

typedef struct kp_alter_client_quotas_request_entry_data in_entry;
typedef struct kp_alter_client_quotas_response_entry_data out_entry;

struct state {
    struct kp_alter_client_quotas_request m;
    struct meta_alter_quotas ask;
    struct call call;
    struct kp_alter_client_quotas_response out;
    const in_entry **in; // of each answer
    uint32_t *asked;     // of each answer: its place in ask.entries, or UINT32_MAX
};

static bool names_sound(const in_entry *in)
{
    bool ok = true;
    for (int32_t i = 0; i < in->entity_n; i++)
        ok &= in->entity[i].entity_name.n < 0 ||
              !memchr(in->entity[i].entity_name.p, 0, (size_t)in->entity[i].entity_name.n);
    return ok;
}

static void entry_ask(struct req *r, struct state *st, const in_entry *in)
{
    struct meta_quota_entry *e = &st->ask.entries[st->ask.n++];
    struct meta_quota_entity *entity = req_alloc_array(r, (size_t)SL_MAX(in->entity_n, 0), sizeof(*entity));
    struct meta_quota_op *ops = req_alloc_array(r, (size_t)SL_MAX(in->ops_n, 0), sizeof(*ops));
    for (int32_t i = 0; i < in->entity_n; i++)
        entity[i] = (struct meta_quota_entity){api_cstr(r, in->entity[i].entity_type),
                                               api_cstr(r, in->entity[i].entity_name)};
    for (int32_t i = 0; i < in->ops_n; i++)
        ops[i] = (struct meta_quota_op){api_cstr(r, in->ops[i].key), in->ops[i].value, in->ops[i].remove};
    e->entity = entity;
    e->entity_n = (uint32_t)SL_MAX(in->entity_n, 0);
    e->ops = ops;
    e->ops_n = (uint32_t)SL_MAX(in->ops_n, 0);
}

// "user=u, client-id=<default>" as upstream prints an entity, which also tells entities apart.
static struct kp_str entity_text(struct req *r, const in_entry *in)
{
    struct kp_str text = KP_STR_LIT("");
    for (int32_t i = 0; i < in->entity_n; i++) {
        const struct kp_alter_client_quotas_request_entity_data *e = &in->entity[i];
        text = api_text(r, "%.*s%s%.*s=%.*s", text.n, text.p, i ? ", " : "", e->entity_type.n,
                        e->entity_type.p, e->entity_name.n < 0 ? 4 : e->entity_name.n,
                        e->entity_name.n < 0 ? "null" : e->entity_name.p);
    }
    return text;
}

static bool key_twice(struct req *r, const in_entry *in)
{
    struct api_set keys;
    api_set_init(r, &keys, (uint32_t)SL_MAX(in->ops_n, 0));
    for (int32_t i = 0; i < in->ops_n; i++)
        if (api_set_put(&keys, in->ops[i].key.p, (size_t)SL_MAX(in->ops[i].key.n, 0), (uint32_t)i) !=
            (uint32_t)i)
            return true;
    return false;
}

static void refuse(struct req *r, out_entry *o, struct kp_str entity)
{
    o->error_code = KERR_INVALID_REQUEST;
    o->error_message =
        api_text(r, "Ignoring duplicate entity ClientQuotaEntity(entries={%.*s})", entity.n, entity.p);
}

static void plan(struct req *r, struct state *st)
{
    uint32_t n = (uint32_t)SL_MAX(st->m.entries_n, 0);
    struct api_set seen;
    api_set_init(r, &seen, n);
    kp_alter_client_quotas_response_init(&st->out);
    st->out.entries = req_alloc_array(r, n, sizeof(*st->out.entries));
    st->ask.entries = req_alloc_array(r, n, sizeof(*st->ask.entries));
    st->in = req_alloc_array(r, n, sizeof(*st->in));
    st->asked = req_alloc_array(r, n, sizeof(*st->asked));
    for (uint32_t i = 0; i < n; i++) {
        const in_entry *in = &st->m.entries[i];
        struct kp_str text = entity_text(r, in);
        uint32_t at = api_set_put(&seen, text.p, (size_t)text.n, (uint32_t)st->out.entries_n);
        bool again = at != (uint32_t)st->out.entries_n;
        out_entry *o = &st->out.entries[at];
        if (!again) {
            st->out.entries_n++;
            st->in[at] = in;
            o->error_message = KP_STR_NULL;
        }
        if (again || key_twice(r, in))
            refuse(r, o, text);
        if (!names_sound(in)) {
            o->error_code = KERR_INVALID_REQUEST;
            o->error_message = KP_STR_LIT("A name has a NUL character.");
        }
    }
    for (int32_t i = 0; i < st->out.entries_n; i++) {
        st->asked[i] = st->out.entries[i].error_code ? UINT32_MAX : st->ask.n;
        if (!st->out.entries[i].error_code)
            entry_ask(r, st, st->in[i]);
    }
}

// Of a type that comes twice the last counts, and is shown.
static void entity_fill(struct req *r, const in_entry *in, out_entry *o)
{
    o->entity = req_alloc_array(r, (size_t)SL_MAX(in->entity_n, 0), sizeof(*o->entity));
    for (int32_t i = 0; i < in->entity_n; i++) {
        int32_t k = 0;
        while (k < o->entity_n && !kp_str_eq(o->entity[k].entity_type, in->entity[i].entity_type))
            k++;
        o->entity[k] = (struct kp_alter_client_quotas_response_entity_data){in->entity[i].entity_type,
                                                                            in->entity[i].entity_name};
        o->entity_n = SL_MAX(o->entity_n, k + 1);
    }
}

static void respond(struct req *r, struct state *st)
{
    for (int32_t i = 0; i < st->out.entries_n; i++) {
        out_entry *o = &st->out.entries[i];
        entity_fill(r, st->in[i], o);
        if (st->asked[i] == UINT32_MAX)
            continue;
        const struct meta_quota_entry *e = &st->ask.entries[st->asked[i]];
        o->error_code = e->error;
        o->error_message = e->error ? kp_str_of(e->message) : KP_STR_NULL;
    }
    REQ_RESPOND(r, &st->out, alter_client_quotas_response);
}

static void altered(struct call *c)
{
    respond(c->req, c->req->state);
}

static void start(struct req *r)
{
    struct state *st = req_alloc(r, sizeof(*st));
    r->state = st;
    if (!REQ_DECODE(r, &st->m, alter_client_quotas_request))
        return;
    plan(r, st);
    st->ask.validate_only = st->m.validate_only;
    if (st->ask.n)
        call_send(&st->call, r, net_controller_reactor(r->net), META_ALTER_QUOTAS, &st->ask, altered);
    else
        respond(r, st);
}

const struct api_handler api_alter_client_quotas = {
    .key = 49, .min = 0, .max = 1, .advertise_min = 0, .start = start};
