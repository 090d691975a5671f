/* What the config module's files share: rows as structs, values, and the parser of one value. */
#ifndef SLUICE_BASE_CONFIG_PRIVATE_H
#define SLUICE_BASE_CONFIG_PRIVATE_H

#include "engine/base/config.h"

enum cfg_check_kind {
    CFG_CHECK_ANY,
    CFG_CHECK_RANGE, /* lo..hi, or dlo..dhi for a DOUBLE */
    CFG_CHECK_ONE_OF,
    CFG_CHECK_NOCASE,
    CFG_CHECK_ITEMS,
    CFG_CHECK_NOT_EMPTY,
    CFG_CHECK_GZIP_LEVEL,
    CFG_CHECK_THROTTLED
};

struct cfg_check {
    enum cfg_check_kind kind;
    bool not_empty; /* a list needs an item */
    int64_t lo, hi; /* both included */
    double dlo, dhi;
    const char *words; /* "a|b|c", or NULL for any word */
};

enum cfg_flags { CFG_FLAG_0 = 0, CFG_FLAG_INTERNAL = 1 };

/* What broker rows and topic rows have in common. */
struct cfg_spec {
    const char *name;
    enum cfg_type type;
    const char *fallback; /* the default as text; NULL is null */
    struct cfg_check check;
    enum cfg_meaning meaning;
    enum cfg_flags flags;
    const char *doc;
};

struct cfg_row {
    struct cfg_spec spec;
    enum cfg_importance importance;
    enum cfg_update update;
};

/* How a topic key's value is kept in struct topic_config. */
enum topic_field_kind {
    TOPIC_FIELD_NONE,   /* not at all */
    TOPIC_FIELD_NUMBER, /* int64_t */
    TOPIC_FIELD_FLAG,   /* bool */
    TOPIC_FIELD_REAL,   /* double */
    TOPIC_FIELD_POLICY, /* CFG_CLEANUP_ bits */
    TOPIC_FIELD_CODEC,  /* enum cfg_compression */
    TOPIC_FIELD_STAMP   /* enum cfg_timestamp_type */
};

struct topic_field {
    enum topic_field_kind kind;
    size_t offset;
};

#define TOPIC_SYNONYMS_MAX 3

struct topic_synonyms {
    size_t count;
    struct {
        enum cfg_key key;
        int64_t unit; /* the broker key's value times this is the topic's */
    } at[TOPIC_SYNONYMS_MAX];
};

struct topic_row {
    struct cfg_spec spec;
    struct topic_field field;
    struct topic_synonyms synonyms;
};

extern const struct cfg_row cfg_rows[CFG_KEY_COUNT];
extern const struct topic_row topic_rows[TOPIC_KEY_COUNT];

/* One parsed value; owns its text and list. */
struct cfg_value {
    char *text;     /* canonical; NULL is null */
    int64_t number; /* INT, SHORT, LONG; BOOLEAN as 0 or 1 */
    double real;    /* DOUBLE */
    struct cfg_list list;
    enum cfg_from from;
};

#define CFG_LISTENERS_MAX 32

enum { CFG_LAYER_CLUSTER, CFG_LAYER_BROKER, CFG_LAYERS };

struct config {
    const struct config *below;               /* of an overlay: what it lies on */
    char *dynamic[CFG_LAYERS][CFG_KEY_COUNT]; /* of an overlay: what each layer sets, as it was given */
    struct cfg_value values[CFG_KEY_COUNT];
    struct cfg_listener listeners[CFG_LISTENERS_MAX];
    struct cfg_listener advertised[CFG_LISTENERS_MAX];
    size_t listener_count;
    size_t advertised_count;
    char **notices;
    size_t notice_count;
    bool finished;
};

/* Like snprintf into err, and returns -EINVAL: `return config_fail(err, n, "...")`. */
__attribute__((format(printf, 3, 4))) int config_fail(char *err, size_t err_len, const char *fmt, ...);

/* strdup and friends that panic when there is no memory: configuration is read once, at start. */
char *config_strndup(const char *s, size_t len);
void *config_calloc(size_t n, size_t size);

/* Parses and checks text for a row. On success *out owns fresh memory; on failure it is untouched, and err
 * says "name=text: must ...". Returns 0 or -EINVAL. */
int config_value_parse(const struct cfg_spec *s, const char *text, struct cfg_value *out, char *err,
                       size_t err_len);
void config_value_clear(struct cfg_value *v);

/* The same with Kafka's words for a refusal: "Invalid value x for configuration name: ...". */
int config_value_read(const struct cfg_spec *s, const char *text, struct cfg_value *out, char *err,
                      size_t err_len);
void config_refusal(const struct cfg_spec *s, const char *value, char *err, size_t len);
void config_double_text(double d, char *buf, size_t len);

/* Cuts blanks off both ends, in place. */
char *config_trim(char *s);

/* The allowed values of a row in words, "between 1 and 10", into buf; "" when anything goes. */
const char *config_allowed(const struct cfg_spec *s, char *buf, size_t len);

/* True when `word` is one of "a|b|c"; *index its place. nocase ignores case. */
bool config_word_in(const char *words, const char *word, bool nocase, size_t *index);

/* Parts of config_finish: config_checks.c, config_listeners.c. */
int config_finish_checks(const struct config *c, char *err, size_t err_len);
int config_finish_listeners(struct config *c, char *err, size_t err_len);
int config_finish_quorum(struct config *c, char *err, size_t err_len);

/* The first of a topic row's synonyms that has a value; count of them when none has. */
size_t topic_synonym_pick(const struct config *c, const struct topic_row *row);

#endif
