/* The table's rows as structs, and the search by name. */
#include "engine/base/config_private.h"

#include <errno.h>
#include <string.h>

#define CHECK_ANY                                                                                            \
    {                                                                                                        \
        .kind = CFG_CHECK_ANY                                                                                \
    }
#define CHECK_AT_LEAST(l)                                                                                    \
    {                                                                                                        \
        .kind = CFG_CHECK_RANGE, .lo = (l), .hi = INT64_MAX                                                  \
    }
#define CHECK_RANGE(l, h)                                                                                    \
    {                                                                                                        \
        .kind = CFG_CHECK_RANGE, .lo = (l), .hi = (h)                                                        \
    }
#define CHECK_REALS(l, h)                                                                                    \
    {                                                                                                        \
        .kind = CFG_CHECK_RANGE, .dlo = (l), .dhi = (h)                                                      \
    }
#define CHECK_ONE_OF(w)                                                                                      \
    {                                                                                                        \
        .kind = CFG_CHECK_ONE_OF, .words = (w)                                                               \
    }
#define CHECK_NOCASE(w)                                                                                      \
    {                                                                                                        \
        .kind = CFG_CHECK_NOCASE, .words = (w)                                                               \
    }
#define CHECK_ITEMS(w)                                                                                       \
    {                                                                                                        \
        .kind = CFG_CHECK_ITEMS, .words = (w)                                                                \
    }
#define CHECK_SOME_ITEMS(w)                                                                                  \
    {                                                                                                        \
        .kind = CFG_CHECK_ITEMS, .words = (w), .not_empty = true                                             \
    }
#define CHECK_SOME                                                                                           \
    {                                                                                                        \
        .kind = CFG_CHECK_ITEMS, .not_empty = true                                                           \
    }
#define CHECK_NOT_EMPTY                                                                                      \
    {                                                                                                        \
        .kind = CFG_CHECK_NOT_EMPTY                                                                          \
    }
#define CHECK_GZIP_LEVEL                                                                                     \
    {                                                                                                        \
        .kind = CFG_CHECK_GZIP_LEVEL                                                                         \
    }
#define CHECK_THROTTLED                                                                                      \
    {                                                                                                        \
        .kind = CFG_CHECK_THROTTLED                                                                          \
    }

const struct cfg_row cfg_rows[CFG_KEY_COUNT] = {
#define ROW_(id, n, t, def, chk, imp, upd, mean, flag, text)                                                 \
    [CFG_##id] = {.spec = {.name = (n),                                                                      \
                           .type = CFG_##t,                                                                  \
                           .fallback = def,                                                                  \
                           .check = CHECK_##chk,                                                             \
                           .meaning = CFG_##mean,                                                            \
                           .flags = CFG_FLAG_##flag,                                                         \
                           .doc = text},                                                                     \
                  .importance = CFG_##imp,                                                                   \
                  .update = CFG_##upd},
    CFG_TABLE(ROW_)
#undef ROW_
};

#define FIELD_NONE                                                                                           \
    {                                                                                                        \
        .kind = TOPIC_FIELD_NONE                                                                             \
    }
#define FIELD_NUMBER(f)                                                                                      \
    {                                                                                                        \
        .kind = TOPIC_FIELD_NUMBER, .offset = offsetof(struct topic_config, f)                               \
    }
#define FIELD_FLAG(f)                                                                                        \
    {                                                                                                        \
        .kind = TOPIC_FIELD_FLAG, .offset = offsetof(struct topic_config, f)                                 \
    }
#define FIELD_REAL(f)                                                                                        \
    {                                                                                                        \
        .kind = TOPIC_FIELD_REAL, .offset = offsetof(struct topic_config, f)                                 \
    }
#define FIELD_POLICY(f)                                                                                      \
    {                                                                                                        \
        .kind = TOPIC_FIELD_POLICY, .offset = offsetof(struct topic_config, f)                               \
    }
#define FIELD_CODEC(f)                                                                                       \
    {                                                                                                        \
        .kind = TOPIC_FIELD_CODEC, .offset = offsetof(struct topic_config, f)                                \
    }
#define FIELD_STAMP(f)                                                                                       \
    {                                                                                                        \
        .kind = TOPIC_FIELD_STAMP, .offset = offsetof(struct topic_config, f)                                \
    }

#define SYN_NO_SYNONYM                                                                                       \
    {                                                                                                        \
        .count = 0                                                                                           \
    }
#define SYN_SYNONYM(id)                                                                                      \
    {                                                                                                        \
        .count = 1, .at = { {CFG_##id, 1} }                                                                  \
    }
#define SYN_SYNONYMS(...)                                                                                    \
    {                                                                                                        \
        .count = sizeof((int64_t[][2]){__VA_ARGS__}) / sizeof(int64_t[2]), .at = { __VA_ARGS__ }             \
    }

const struct topic_row topic_rows[TOPIC_KEY_COUNT] = {
#define ROW_(id, n, t, def, chk, mean, flag, where, syn, text)                                               \
    [TOPIC_##id] = {.spec = {.name = (n),                                                                    \
                             .type = CFG_##t,                                                                \
                             .fallback = def,                                                                \
                             .check = CHECK_##chk,                                                           \
                             .meaning = CFG_##mean,                                                          \
                             .flags = CFG_FLAG_##flag,                                                       \
                             .doc = text},                                                                   \
                    .field = FIELD_##where,                                                                  \
                    .synonyms = SYN_##syn},
    TOPIC_TABLE(ROW_)
#undef ROW_
};

/* One bit per key in topic_config.overridden. */
SL_STATIC_ASSERT(TOPIC_KEY_COUNT <= 64, "topic_config.overridden is too small");

int cfg_key_find(const char *name)
{
    for (int i = 0; i < CFG_KEY_COUNT; i++) {
        if (strcmp(cfg_rows[i].spec.name, name) == 0)
            return i;
    }
    return -ENOENT;
}

int topic_key_find(const char *name)
{
    for (int i = 0; i < TOPIC_KEY_COUNT; i++) {
        if (strcmp(topic_rows[i].spec.name, name) == 0)
            return i;
    }
    return -ENOENT;
}

const char *cfg_key_name(enum cfg_key key)
{
    SL_ASSERT((unsigned)key < CFG_KEY_COUNT);
    return cfg_rows[key].spec.name;
}

const char *topic_key_name(enum topic_key key)
{
    SL_ASSERT((unsigned)key < TOPIC_KEY_COUNT);
    return topic_rows[key].spec.name;
}
