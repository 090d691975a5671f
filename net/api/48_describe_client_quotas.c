// DescribeClientQuotas (key 48), versions 0-1 (KIP-546): the quotas whose entities a filter takes.
//
// Deviations from upstream 4.3: none known.
#include "net/api/common.h"

#include "proto/gen/describe_client_quotas_request.h"
#include "proto/gen/describe_client_quotas_response.h"

typedef struct kp_describe_client_quotas_request_component_data in_part;
typedef struct kp_describe_client_quotas_response_entry_data out_entry;

enum { EXACT = 0, DEFAULT = 1, ANY = 2 };

static int type_of(struct kp_str type)
{
    for (int t = 0; t < META_QUOTA_TYPES; t++)
        if (kp_str_eq(type, kp_str_of(meta_quota_types[t])))
            return t;
    return -1;
}

static int16_t fail(struct kp_describe_client_quotas_response *out, int16_t error, struct kp_str why)
{
    out->error_code = error;
    out->error_message = why;
    out->entries = NULL;
    out->entries_n = -1;
    return error;
}

static int16_t check_part(struct req *r, const in_part *c, struct kp_describe_client_quotas_response *out)
{
    if (c->entity_type.n <= 0)
        return fail(out, KERR_INVALID_REQUEST, KP_STR_LIT("Invalid empty entity type."));
    if (c->match_type == EXACT && c->match.n < 0)
        return fail(out, KERR_INVALID_REQUEST,
                    KP_STR_LIT("Request specified MATCH_TYPE_EXACT, but set match string to null."));
    if ((c->match_type == DEFAULT || c->match_type == ANY) && c->match.n >= 0)
        return fail(out, KERR_INVALID_REQUEST,
                    api_text(r, "Request specified MATCH_TYPE_%s, but also specified a match string.",
                             c->match_type == DEFAULT ? "DEFAULT" : "SPECIFIED"));
    if (c->match_type < EXACT || c->match_type > ANY)
        return fail(out, KERR_INVALID_REQUEST, api_text(r, "Unknown match type %d", c->match_type));
    if (type_of(c->entity_type) < 0)
        return fail(out, KERR_UNSUPPORTED_VERSION,
                    api_text(r, "Unsupported entity type %.*s", c->entity_type.n, c->entity_type.p));
    return KERR_NONE;
}

static int16_t check(struct req *r, const struct kp_describe_client_quotas_request *m,
                     struct kp_describe_client_quotas_response *out)
{
    uint32_t seen = 0;
    for (int32_t i = 0; i < m->components_n; i++) {
        const in_part *c = &m->components[i];
        if (check_part(r, c, out))
            return out->error_code;
        uint32_t bit = 1u << type_of(c->entity_type);
        if (seen & bit)
            return fail(out, KERR_INVALID_REQUEST,
                        api_text(r, "Entity type %.*s cannot appear more than once in the filter.",
                                 c->entity_type.n, c->entity_type.p));
        seen |= bit;
    }
    if (seen & 1u << META_QUOTA_IP && seen & ~(1u << META_QUOTA_IP))
        return fail(
            out, KERR_INVALID_REQUEST,
            KP_STR_LIT("Invalid entity filter component combination. IP filter component should not be used "
                       "with user or clientId filter component."));
    return KERR_NONE;
}

static bool takes(const in_part *c, const struct meta_quota *q)
{
    int t = type_of(c->entity_type);
    if (!q->has[t])
        return false;
    return c->match_type == ANY ||
           (c->match_type == DEFAULT ? !q->names[t]
                                     : q->names[t] && kp_str_eq(c->match, kp_str_of(q->names[t])));
}

static bool matches(const struct kp_describe_client_quotas_request *m, const struct meta_quota *q)
{
    int32_t types = 0;
    for (int t = 0; t < META_QUOTA_TYPES; t++)
        types += q->has[t];
    for (int32_t i = 0; i < m->components_n; i++)
        if (!takes(&m->components[i], q))
            return false;
    return !m->strict || types == SL_MAX(m->components_n, 0);
}

static void add(struct req *r, const struct meta_quota *q, out_entry *e)
{
    *e = (out_entry){0};
    e->entity = req_alloc_array(r, META_QUOTA_TYPES, sizeof(*e->entity));
    e->values = req_alloc_array(r, META_QUOTA_KEYS, sizeof(*e->values));
    for (int t = 0; t < META_QUOTA_TYPES; t++)
        if (q->has[t])
            e->entity[e->entity_n++] = (struct kp_describe_client_quotas_response_entity_data){
                kp_str_of(meta_quota_types[t]), kp_str_of(q->names[t])};
    for (int k = 0; k < META_QUOTA_KEYS; k++)
        if (q->set & 1u << k)
            e->values[e->values_n++] = (struct kp_describe_client_quotas_response_value_data){
                kp_str_of(meta_quota_keys[k]), q->values[k]};
}

static void start(struct req *r)
{
    struct kp_describe_client_quotas_request m;
    struct kp_describe_client_quotas_response out;
    if (!REQ_DECODE(r, &m, describe_client_quotas_request))
        return;
    const struct meta_image *img = net_image(r->net);
    if (!img) {
        req_close(r, "the metadata is not loaded yet");
        return;
    }
    kp_describe_client_quotas_response_init(&out);
    if (!check(r, &m, &out)) {
        out.error_message = KP_STR_LIT("");
        out.entries = req_alloc_array(r, img->quotas_n, sizeof(*out.entries));
        out.entries_n = 0;
        for (uint32_t i = 0; i < img->quotas_n; i++)
            if (matches(&m, &img->quotas[i]))
                add(r, &img->quotas[i], &out.entries[out.entries_n++]);
    }
    REQ_RESPOND(r, &out, describe_client_quotas_response);
}

const struct api_handler api_describe_client_quotas = {
    .key = 48, .min = 0, .max = 1, .advertise_min = 0, .start = start};
