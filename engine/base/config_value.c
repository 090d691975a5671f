/* One value: text to number, bool, list, with the checks of its row. Text is trimmed and kept in a canonical
 * form: numbers in decimal, booleans in lower case, lists joined by a comma. */
#include "engine/base/config_private.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int config_fail(char *err, size_t err_len, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (err_len > 0)
        vsnprintf(err, err_len, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

void *config_calloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        sl_panic("config: out of memory");
    return p;
}

char *config_strndup(const char *s, size_t len)
{
    char *p = config_calloc(len + 1, 1);
    memcpy(p, s, len);
    return p;
}

char *config_trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t len = strlen(s);
    while (len > 0 && isspace((unsigned char)s[len - 1]))
        s[--len] = '\0';
    return s;
}

void config_value_clear(struct cfg_value *v)
{
    for (size_t i = 0; i < v->list.count; i++)
        free(v->list.items[i]);
    free(v->list.items);
    free(v->text);
    *v = (struct cfg_value){0};
}

bool config_word_in(const char *words, const char *word, bool nocase, size_t *index)
{
    size_t len = strlen(word);
    size_t i = 0;
    for (const char *p = words; len > 0; i++) {
        size_t n = strcspn(p, "|");
        if (n == len && (nocase ? strncasecmp(p, word, n) : strncmp(p, word, n)) == 0) {
            if (index)
                *index = i;
            return true;
        }
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    return false;
}

/* Largest and smallest number that the type holds. */
static void type_bounds(enum cfg_type type, int64_t *lo, int64_t *hi)
{
    *lo = type == CFG_SHORT ? INT16_MIN : type == CFG_INT ? INT32_MIN : INT64_MIN;
    *hi = type == CFG_SHORT ? INT16_MAX : type == CFG_INT ? INT32_MAX : INT64_MAX;
}

/* The row's bounds cut to its type's. */
static void number_bounds(const struct cfg_spec *s, int64_t *lo, int64_t *hi)
{
    type_bounds(s->type, lo, hi);
    if (s->check.kind == CFG_CHECK_RANGE) {
        *lo = SL_MAX(*lo, s->check.lo);
        *hi = SL_MIN(*hi, s->check.hi);
    }
}

static const char *allowed_words(const struct cfg_spec *s, const char *lead, char *buf, size_t len)
{
    int n = snprintf(buf, len, "%s", lead);
    for (const char *p = s->check.words; *p && n > 0 && (size_t)n < len; p++)
        n += snprintf(buf + n, len - (size_t)n, *p == '|' ? ", " : "%c", *p);
    return buf;
}

static const char *allowed_number(const struct cfg_spec *s, char *buf, size_t len)
{
    int64_t lo, hi, tlo, thi;
    type_bounds(s->type, &tlo, &thi);
    number_bounds(s, &lo, &hi);
    if (s->check.kind != CFG_CHECK_RANGE && s->type == CFG_LONG)
        snprintf(buf, len, "a whole number");
    else if (hi == thi && s->type == CFG_LONG)
        snprintf(buf, len, "at least %lld", (long long)lo);
    else
        snprintf(buf, len, "between %lld and %lld", (long long)lo, (long long)hi);
    return buf;
}

const char *config_allowed(const struct cfg_spec *s, char *buf, size_t len)
{
    buf[0] = '\0';
    if (s->check.kind == CFG_CHECK_GZIP_LEVEL)
        snprintf(buf, len, "between 1 and 9, or -1");
    else if (s->check.kind == CFG_CHECK_THROTTLED)
        snprintf(buf, len, "a list of partition:broker, or *");
    else if (s->check.kind == CFG_CHECK_ONE_OF || s->check.kind == CFG_CHECK_NOCASE)
        return allowed_words(s, "one of ", buf, len);
    else if (s->check.kind == CFG_CHECK_ITEMS && s->check.words)
        return allowed_words(s, "a list of ", buf, len);
    else if (s->check.not_empty)
        snprintf(buf, len, "a list of at least one item");
    else if (s->check.kind == CFG_CHECK_NOT_EMPTY)
        snprintf(buf, len, "at least one character");
    else if (s->type == CFG_INT || s->type == CFG_SHORT || s->type == CFG_LONG)
        return allowed_number(s, buf, len);
    else if (s->type == CFG_DOUBLE && s->check.kind == CFG_CHECK_RANGE)
        snprintf(buf, len, "between %g and %g", s->check.dlo, s->check.dhi);
    else if (s->type == CFG_DOUBLE)
        snprintf(buf, len, "a number");
    else if (s->type == CFG_BOOLEAN)
        snprintf(buf, len, "true or false");
    return buf;
}

/* "name=text: must be <allowed>"; a password's text is not repeated. */
static int not_allowed(const struct cfg_spec *s, const char *text, char *err, size_t err_len)
{
    char buf[256];
    return config_fail(err, err_len, "%s=%s: must be %s", s->name,
                       s->type == CFG_PASSWORD ? "[hidden]" : text, config_allowed(s, buf, sizeof(buf)));
}

static int parse_number(const struct cfg_spec *s, const char *text, struct cfg_value *v, char *err,
                        size_t err_len)
{
    int64_t lo, hi;
    number_bounds(s, &lo, &hi);
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    /* strtoll would skip blanks and take nothing for 0. */
    bool ok =
        !isspace((unsigned char)text[0]) && end != text && *end == '\0' && errno == 0 && n >= lo && n <= hi;
    if (ok && s->check.kind == CFG_CHECK_GZIP_LEVEL)
        ok = n == -1 || (n >= 1 && n <= 9);
    if (!ok)
        return not_allowed(s, text, err, err_len);
    char buf[24];
    v->number = n;
    v->text = config_strndup(buf, (size_t)snprintf(buf, sizeof(buf), "%lld", n));
    return 0;
}

static int parse_double(const struct cfg_spec *s, const char *text, struct cfg_value *v, char *err,
                        size_t err_len)
{
    char *end;
    double d = strtod(text, &end);
    bool ok = end != text && *end == '\0' && isfinite(d);
    if (ok && s->check.kind == CFG_CHECK_RANGE)
        ok = d >= s->check.dlo && d <= s->check.dhi;
    if (!ok)
        return not_allowed(s, text, err, err_len);
    char buf[40];
    config_double_text(d, buf, sizeof(buf));
    v->real = d;
    v->text = config_strndup(buf, strlen(buf));
    return 0;
}

static int parse_bool(const struct cfg_spec *s, const char *text, struct cfg_value *v, char *err,
                      size_t err_len)
{
    if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
        return not_allowed(s, text, err, err_len);
    v->number = strcasecmp(text, "true") == 0;
    v->text = v->number ? config_strndup("true", 4) : config_strndup("false", 5);
    return 0;
}

static int parse_string(const struct cfg_spec *s, const char *text, struct cfg_value *v, char *err,
                        size_t err_len)
{
    bool ok = true;
    if (s->check.kind == CFG_CHECK_ONE_OF || s->check.kind == CFG_CHECK_NOCASE)
        ok = config_word_in(s->check.words, text, s->check.kind == CFG_CHECK_NOCASE, NULL);
    else if (s->check.kind == CFG_CHECK_NOT_EMPTY)
        ok = *text != '\0';
    if (!ok)
        return not_allowed(s, text, err, err_len);
    v->text = config_strndup(text, strlen(text));
    return 0;
}

/* Splits at commas and trims blanks around each item; an empty text has no items. */
static void split_list(const char *text, struct cfg_list *list)
{
    size_t max = 1;
    for (const char *p = text; *p; p++)
        max += *p == ',';
    list->items = config_calloc(max, sizeof(char *));
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, ",");
        const char *next = p + len + (p[len] == ',');
        while (len > 0 && isspace((unsigned char)*p))
            p++, len--;
        while (len > 0 && isspace((unsigned char)p[len - 1]))
            len--;
        list->items[list->count++] = config_strndup(p, len);
        p = next;
    }
}

static bool is_throttled_replica(const char *item)
{
    size_t a = strspn(item, "0123456789");
    if (a == 0 || item[a] != ':')
        return false;
    size_t b = strspn(item + a + 1, "0123456789");
    return b > 0 && item[a + 1 + b] == '\0';
}

static bool list_allowed(const struct cfg_spec *s, const struct cfg_list *l)
{
    bool star = l->count == 1 && strcmp(l->items[0], "*") == 0;
    for (size_t i = 0; i < l->count; i++) {
        if (s->check.kind == CFG_CHECK_THROTTLED && !star && !is_throttled_replica(l->items[i]))
            return false;
        if (s->check.words && !config_word_in(s->check.words, l->items[i], false, NULL))
            return false;
    }
    return l->count > 0 || !s->check.not_empty;
}

/* Upstream takes a word that comes twice for one. */
static void drop_repeated(struct cfg_list *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->count; i++) {
        size_t k = 0;
        while (k < n && strcmp(l->items[k], l->items[i]) != 0)
            k++;
        if (k < n)
            free(l->items[i]);
        else
            l->items[n++] = l->items[i];
    }
    l->count = n;
}

/* What is wrong with a list whatever its row says; NULL when nothing is. */
static const char *list_fault(const struct cfg_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i][0] == '\0')
            return "has an empty item";
        for (size_t j = 0; j < i; j++) {
            if (strcmp(l->items[i], l->items[j]) == 0)
                return "has an item twice";
        }
    }
    return NULL;
}

static int parse_list(const struct cfg_spec *s, const char *text, struct cfg_value *v, char *err,
                      size_t err_len)
{
    struct cfg_value t = {0};
    int rc = 0;
    split_list(text, &t.list);
    if (s->check.words)
        drop_repeated(&t.list);
    const char *fault = list_fault(&t.list);
    if (fault)
        rc = config_fail(err, err_len, "%s=%s: %s", s->name, text, fault);
    else if (!list_allowed(s, &t.list))
        rc = not_allowed(s, text, err, err_len);
    if (rc) {
        config_value_clear(&t);
        return rc;
    }
    t.text = config_calloc(strlen(text) + 1, 1);
    for (size_t i = 0, at = 0; i < t.list.count; i++) {
        size_t len = strlen(t.list.items[i]);
        if (i > 0)
            t.text[at++] = ',';
        memcpy(t.text + at, t.list.items[i], len);
        at += len;
    }
    *v = t;
    return 0;
}

int config_value_parse(const struct cfg_spec *s, const char *text, struct cfg_value *out, char *err,
                       size_t err_len)
{
    char *copy = config_strndup(text, strlen(text)), *trimmed = config_trim(copy);
    struct cfg_value v = {0};
    int rc = -EINVAL;
    switch (s->type) {
    case CFG_BOOLEAN:
        rc = parse_bool(s, trimmed, &v, err, err_len);
        break;
    case CFG_INT:
    case CFG_SHORT:
    case CFG_LONG:
        rc = parse_number(s, trimmed, &v, err, err_len);
        break;
    case CFG_DOUBLE:
        rc = parse_double(s, trimmed, &v, err, err_len);
        break;
    case CFG_LIST:
        rc = parse_list(s, trimmed, &v, err, err_len);
        break;
    case CFG_STRING:
    case CFG_CLASS:
    case CFG_PASSWORD:
        rc = parse_string(s, trimmed, &v, err, err_len);
        break;
    }
    free(copy);
    if (rc == 0)
        *out = v;
    return rc;
}
