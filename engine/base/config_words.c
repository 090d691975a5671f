/* Kafka's words for a value that a row refuses: clients show them to people, and some match them. */
#include "engine/base/config_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *type_word(enum cfg_type type)
{
    return type == CFG_SHORT ? "SHORT" : type == CFG_INT ? "INT" : type == CFG_LONG ? "LONG" : "DOUBLE";
}

/* As Java prints a double: the fewest digits that give it back, at least one behind the point, an exponent outside of
 * [0.001, 10000000). */
void config_double_text(double d, char *buf, size_t len)
{
    char shown[48];
    int digits = 0;
    do
        snprintf(shown, sizeof(shown), "%.*e", digits, d);
    while (strtod(shown, NULL) != d && ++digits < 17);
    int exponent = atoi(strchr(shown, 'e') + 1);
    if (d != 0 && (exponent < -3 || exponent >= 7)) {
        snprintf(shown, sizeof(shown), "%.*e", SL_MAX(digits, 1), d);
        *strchr(shown, 'e') = '\0';
        snprintf(buf, len, "%sE%d", shown, exponent);
    } else {
        snprintf(buf, len, "%.*f", SL_MAX(digits - exponent, 1), d);
    }
}

static const char *listed(const char *words, char *buf, size_t len)
{
    size_t n = 0;
    for (const char *p = words; *p && n + 3 < len; p++) {
        buf[n++] = *p == '|' ? ',' : *p;
        if (*p == '|')
            buf[n++] = ' ';
    }
    buf[n] = '\0';
    return buf;
}

static void bounds_words(const struct cfg_spec *s, const char *text, bool below, char *err, size_t len)
{
    char lo[32], hi[32];
    bool real = s->type == CFG_DOUBLE;
    if (real) {
        snprintf(lo, sizeof(lo), "%.0f", s->check.dlo);
        snprintf(hi, sizeof(hi), "%.0f", s->check.dhi);
    } else {
        snprintf(lo, sizeof(lo), "%lld", (long long)s->check.lo);
        snprintf(hi, sizeof(hi), "%lld", (long long)s->check.hi);
    }
    if (s->check.kind == CFG_CHECK_GZIP_LEVEL)
        snprintf(err, len,
                 "Invalid value %s for configuration %s: Value must be between 1 and 9 or equal to -1", text,
                 s->name);
    else if (below)
        snprintf(err, len, "Invalid value %s for configuration %s: Value must be at least %s", text, s->name,
                 lo);
    else
        snprintf(err, len, "Invalid value %s for configuration %s: Value must be no more than %s", text,
                 s->name, hi);
}

static void number_words(const struct cfg_spec *s, const char *text, char *err, size_t len)
{
    char *end, shown[40];
    errno = 0;
    long long n = strtoll(text, &end, 10);
    bool number = end != text && *end == '\0' && errno == 0;
    if (s->type == CFG_INT)
        number &= n >= INT32_MIN && n <= INT32_MAX;
    else if (s->type == CFG_SHORT)
        number &= n >= INT16_MIN && n <= INT16_MAX;
    if (!number) {
        snprintf(err, len, "Invalid value %s for configuration %s: Not a number of type %s", text, s->name,
                 type_word(s->type));
        return;
    }
    snprintf(shown, sizeof(shown), "%lld", n);
    bounds_words(s, shown, n < s->check.lo, err, len);
}

static void double_words(const struct cfg_spec *s, const char *text, char *err, size_t len)
{
    char *end, shown[40];
    double d = strtod(text, &end);
    if (end == text || *end || !isfinite(d)) {
        snprintf(err, len, "Invalid value %s for configuration %s: Not a number of type DOUBLE", text,
                 s->name);
        return;
    }
    config_double_text(d, shown, sizeof(shown));
    bounds_words(s, shown, d < s->check.dlo, err, len);
}

/* The first item that is not allowed, or NULL. */
static const char *bad_item(const struct cfg_spec *s, char *text, bool *empty)
{
    *empty = false;
    for (char *p = text; p;) {
        char *next = strchr(p, ',');
        if (next)
            *next++ = '\0';
        char *item = config_trim(p);
        if (!*item)
            *empty = true;
        else if (s->check.words && !config_word_in(s->check.words, item, false, NULL))
            return item;
        p = next;
    }
    return NULL;
}

static void list_words(const struct cfg_spec *s, const char *text, char *err, size_t len)
{
    char words[256], *copy = config_strndup(text, strlen(text));
    bool empty;
    const char *item = bad_item(s, copy, &empty);
    if (s->check.kind == CFG_CHECK_THROTTLED)
        snprintf(
            err, len,
            "Invalid value [%s] for configuration %s: %s must be the literal '*' or a list of replicas in "
            "the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            text, s->name, s->name);
    else if (!*text)
        snprintf(err, len, "Configuration '%s' must not be empty. Valid values include: any non-empty value",
                 s->name);
    else if (empty)
        snprintf(err, len, "Configuration '%s' values must not be empty.", s->name);
    else if (item)
        snprintf(err, len, "Invalid value %s for configuration %s: String must be one of: %s", item, s->name,
                 listed(s->check.words, words, sizeof(words)));
    else
        snprintf(err, len, "Configuration '%s' values must not be duplicated.", s->name);
    free(copy);
}

static void string_words(const struct cfg_spec *s, const char *text, char *err, size_t len)
{
    char words[256];
    if (s->check.kind == CFG_CHECK_ONE_OF || s->check.kind == CFG_CHECK_NOCASE)
        snprintf(err, len, "Invalid value %s for configuration %s: String must be one of%s: %s", text,
                 s->name, s->check.kind == CFG_CHECK_NOCASE ? " (case insensitive)" : "",
                 listed(s->check.words, words, sizeof(words)));
    else
        snprintf(err, len, "Invalid value %s for configuration %s: String must be non-empty", text, s->name);
}

void config_refusal(const struct cfg_spec *s, const char *value, char *err, size_t len)
{
    char *copy = config_strndup(value, strlen(value)), *text = config_trim(copy);
    switch (s->type) {
    case CFG_BOOLEAN:
        snprintf(err, len, "Invalid value %s for configuration %s: Expected value to be either true or false",
                 text, s->name);
        break;
    case CFG_INT:
    case CFG_SHORT:
    case CFG_LONG:
        number_words(s, text, err, len);
        break;
    case CFG_DOUBLE:
        double_words(s, text, err, len);
        break;
    case CFG_LIST:
        list_words(s, text, err, len);
        break;
    case CFG_STRING:
    case CFG_CLASS:
    case CFG_PASSWORD:
        string_words(s, s->type == CFG_PASSWORD ? "[hidden]" : text, err, len);
        break;
    }
    free(copy);
}

int config_value_read(const struct cfg_spec *s, const char *text, struct cfg_value *out, char *err,
                      size_t err_len)
{
    int rc = config_value_parse(s, text, out, err, err_len);
    if (rc)
        config_refusal(s, text, err, err_len);
    return rc;
}
