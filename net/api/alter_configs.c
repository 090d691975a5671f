// See alter_configs.h.
#include "net/api/alter_configs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct alter_state *alter_new(struct req *r, uint32_t n)
{
    struct alter_state *st = req_alloc(r, sizeof(*st));
    st->items = req_alloc_array(r, n, sizeof(*st->items));
    st->n = n;
    st->ask.resources = req_alloc_array(r, n, sizeof(*st->ask.resources));
    return st;
}

void alter_entry(struct req *r, struct alter_item *it, struct kp_str key, struct kp_str value, int8_t op)
{
    it->entries[it->entries_n++] =
        (struct meta_alter_entry){.key = api_cstr(r, key), .value = api_cstr(r, value), .op = op};
}

static void refuse(struct alter_item *it, int16_t error, struct kp_str why)
{
    it->error = error;
    it->message = why;
}

// ---- loggers: "root" is the only one ---------------------------------------------------------------------------------
static bool level_of(const char *text, enum sl_log_level *out)
{
    static const struct {
        const char *word;
        enum sl_log_level level;
    } levels[] = {{"TRACE", SL_DEBUG}, {"DEBUG", SL_DEBUG}, {"INFO", SL_INFO},
                  {"WARN", SL_WARN},   {"ERROR", SL_ERROR}, {"FATAL", SL_ERROR}};
    for (size_t i = 0; i < SL_ARRAY_LEN(levels); i++)
        if (!strcasecmp(levels[i].word, text)) {
            *out = levels[i].level;
            return true;
        }
    return false;
}

static void logger_entry(struct req *r, struct alter_item *it, const struct meta_alter_entry *e,
                         enum sl_log_level *level)
{
    bool root = !strcmp(e->key, "root");
    if (e->op == META_APPEND || e->op == META_SUBTRACT)
        refuse(it, KERR_INVALID_REQUEST,
               api_text(r, "%s operation is not allowed for the BROKER_LOGGER resource",
                        e->op == META_APPEND ? "APPEND" : "SUBTRACT"));
    else if (e->op != META_SET && e->op != META_DELETE)
        refuse(it, KERR_INVALID_REQUEST, api_text(r, "Unknown operation type %d", e->op));
    else if (!root)
        refuse(it, KERR_INVALID_CONFIG, api_text(r, "Logger %s does not exist!", e->key));
    else if (e->op == META_DELETE)
        refuse(it, KERR_INVALID_REQUEST,
               KP_STR_LIT("Removing the log level of the root logger is not allowed"));
    else if (!level_of(e->value, level))
        refuse(
            it, KERR_INVALID_CONFIG,
            api_text(r,
                     "Cannot set the log level of root to %s as it is not a supported log level. Valid log "
                     "levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
                     e->value));
}

static bool entries_sound(struct alter_item *it)
{
    for (uint32_t i = 0; i < it->entries_n; i++)
        for (uint32_t k = i + 1; k < it->entries_n; k++)
            if (!strcmp(it->entries[i].key, it->entries[k].key)) {
                refuse(it, KERR_INVALID_REQUEST, KP_STR_LIT("Error due to duplicate config keys"));
                return false;
            }
    return true;
}

static void alter_logger(struct req *r, struct alter_item *it, bool validate_only)
{
    const char *name = api_cstr(r, it->name);
    char *end;
    enum sl_log_level level = SL_INFO;
    if (!entries_sound(it))
        return;
    for (uint32_t i = 0; i < it->entries_n; i++)
        if (!it->entries[i].value && it->entries[i].op != META_DELETE) {
            refuse(it, KERR_INVALID_REQUEST,
                   api_text(r, "Null value not supported for : %s", it->entries[i].key));
            return;
        }
    long id = strtol(name, &end, 10);
    if (end == name || *end) {
        refuse(it, KERR_INVALID_REQUEST, api_text(r, "Node id must be an integer, but it is: %s", name));
        return;
    }
    if (id != net_image(r->net)->node_id) {
        refuse(it, KERR_INVALID_REQUEST,
               api_text(r, "Unexpected node id. Expected %d, but received %s", net_image(r->net)->node_id,
                        name));
        return;
    }
    for (uint32_t i = 0; i < it->entries_n && !it->error; i++)
        logger_entry(r, it, &it->entries[i], &level);
    if (!it->error && !validate_only && it->entries_n)
        sl_log_set_level(level);
}

// ---- the controller ----------------------------------------------------------------------------------------------------
static bool sound_text(struct kp_str s)
{
    return s.n >= 0 && !memchr(s.p, 0, (size_t)s.n);
}

static bool item_sound(struct alter_item *it)
{
    bool ok = sound_text(it->name);
    for (uint32_t i = 0; i < it->entries_n; i++)
        ok &= it->entries[i].key != NULL;
    if (!ok)
        refuse(it, KERR_INVALID_REQUEST, KP_STR_LIT("A name is null or has a NUL character."));
    return ok;
}

static void mark_repeated(struct req *r, struct alter_state *st)
{
    struct api_set seen;
    uint32_t *times = req_alloc_array(r, st->n, sizeof(*times)),
             *first = req_alloc_array(r, st->n, sizeof(*first));
    api_set_init(r, &seen, st->n);
    for (uint32_t i = 0; i < st->n; i++) {
        size_t n = (size_t)SL_MAX(st->items[i].name.n, 0);
        char *key = req_alloc(r, n + 1);
        key[0] = (char)st->items[i].type;
        if (n)
            memcpy(key + 1, st->items[i].name.p, n);
        first[i] = api_set_put(&seen, key, n + 1, i);
        times[first[i]]++;
    }
    for (uint32_t i = 0; i < st->n; i++)
        if (times[first[i]] > 1)
            refuse(&st->items[i], KERR_INVALID_REQUEST,
                   KP_STR_LIT("Each resource must appear at most once."));
}

static void altered(struct call *c)
{
    struct alter_state *st = c->req->state;
    for (uint32_t i = 0; i < st->n; i++) {
        const struct meta_alter_resource *a = st->items[i].asked;
        if (a)
            refuse(&st->items[i], a->error, a->error && a->message[0] ? kp_str_of(a->message) : KP_STR_NULL);
    }
    st->answer(c->req, st);
}

void alter_go(struct req *r, struct alter_state *st, bool incremental, bool validate_only,
              void (*answer)(struct req *r, struct alter_state *st))
{
    r->state = st;
    st->answer = answer;
    st->ask.incremental = incremental;
    st->ask.validate_only = validate_only;
    for (uint32_t i = 0; i < st->n; i++)
        st->items[i].message = KP_STR_NULL;
    mark_repeated(r, st);
    for (uint32_t i = 0; i < st->n; i++) {
        struct alter_item *it = &st->items[i];
        if (it->error || !item_sound(it))
            continue;
        if (it->type == META_RES_LOGGER && incremental) {
            alter_logger(r, it, validate_only);
            continue;
        }
        it->asked = &st->ask.resources[st->ask.n++];
        *it->asked = (struct meta_alter_resource){.type = it->type,
                                                  .name = api_cstr(r, it->name),
                                                  .entries = it->entries,
                                                  .entries_n = it->entries_n};
    }
    if (st->ask.n)
        call_send(&st->call, r, net_controller_reactor(r->net), META_ALTER_CONFIGS, &st->ask, altered);
    else
        answer(r, st);
}
