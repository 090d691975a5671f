/* Java properties files, as java.util.Properties reads them, but in UTF-8. */
#include "engine/base/config_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* No sane file is longer; a wrong path (a device, a log) is told apart early. */
#define CONFIG_FILE_MAX (1u << 20)

struct reader {
    const char *p, *end;
    unsigned line; /* of p, from 1 */
};

struct buffer {
    char *data; /* as long as the whole text: unescaping never makes it longer */
    size_t len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_eol(char c)
{
    return c == '\n' || c == '\r';
}

static void skip_eol(struct reader *r)
{
    if (r->p < r->end && *r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n')
        r->p++;
    if (r->p < r->end)
        r->p++;
    r->line++;
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && is_blank(*r->p))
        r->p++;
}

/* Skips empty lines and comments; false at the end of the text. */
static bool next_logical_line(struct reader *r)
{
    while (r->p < r->end) {
        skip_blanks(r);
        if (r->p < r->end && (*r->p == '#' || *r->p == '!')) {
            while (r->p < r->end && !is_eol(*r->p))
                r->p++;
        }
        if (r->p < r->end && !is_eol(*r->p))
            return true;
        skip_eol(r);
    }
    return false;
}

static void put_utf8(struct buffer *b, unsigned cp)
{
    if (cp < 0x80) {
        b->data[b->len++] = (char)cp;
    } else if (cp < 0x800) {
        b->data[b->len++] = (char)(0xC0 | cp >> 6);
        b->data[b->len++] = (char)(0x80 | (cp & 0x3F));
    } else {
        b->data[b->len++] = (char)(0xE0 | cp >> 12);
        b->data[b->len++] = (char)(0x80 | (cp >> 6 & 0x3F));
        b->data[b->len++] = (char)(0x80 | (cp & 0x3F));
    }
}

/* \uXXXX, p behind the u. NUL and surrogates make no text here. */
static int read_unicode(struct reader *r, struct buffer *b)
{
    unsigned cp = 0;
    for (int i = 0; i < 4; i++, r->p++) {
        char digit[2] = {r->p < r->end ? *r->p : '\0', '\0'};
        char *stop;
        unsigned long v = strtoul(digit, &stop, 16);
        if (stop == digit)
            return -EINVAL;
        cp = cp << 4 | (unsigned)v;
    }
    if (cp == 0 || (cp >= 0xD800 && cp <= 0xDFFF))
        return -EINVAL;
    put_utf8(b, cp);
    return 0;
}

/* What follows a backslash. A line's end continues the line; blanks that lead the next line do not count. */
static int read_escape(struct reader *r, struct buffer *b)
{
    if (r->p == r->end)
        return 0;
    if (is_eol(*r->p)) {
        skip_eol(r);
        skip_blanks(r);
        return 0;
    }
    char c = *r->p++;
    if (c == 'u')
        return read_unicode(r, b);
    static const char from[] = "tnrf", to[] = "\t\n\r\f";
    const char *at = strchr(from, c);
    b->data[b->len++] = at && c ? to[at - from] : c;
    return 0;
}

static int read_key(struct reader *r, struct buffer *b)
{
    while (r->p < r->end && !is_eol(*r->p) && !is_blank(*r->p) && *r->p != '=' && *r->p != ':') {
        char c = *r->p++;
        if (c != '\\')
            b->data[b->len++] = c;
        else if (read_escape(r, b))
            return -EINVAL;
    }
    skip_blanks(r);
    if (r->p < r->end && (*r->p == '=' || *r->p == ':'))
        r->p++;
    skip_blanks(r);
    b->data[b->len] = '\0';
    return 0;
}

static int read_text(struct reader *r, struct buffer *b)
{
    while (r->p < r->end && !is_eol(*r->p)) {
        char c = *r->p++;
        if (c != '\\')
            b->data[b->len++] = c;
        else if (read_escape(r, b))
            return -EINVAL;
    }
    skip_eol(r);
    b->data[b->len] = '\0';
    return 0;
}

int config_load_text(struct config *c, const char *name, const char *text, size_t len, char *err,
                     size_t err_len)
{
    struct reader r = {.p = text, .end = text + len, .line = 1};
    struct buffer key = {.data = config_calloc(len + 1, 1)}, value = {.data = config_calloc(len + 1, 1)};
    int rc = 0;
    if (memchr(text, '\0', len))
        rc = config_fail(err, err_len, "%s: is not a text file", name);
    while (rc == 0 && next_logical_line(&r)) {
        unsigned line = r.line;
        char why[512] = "malformed \\uXXXX escape";
        key.len = value.len = 0;
        rc = read_key(&r, &key);
        if (rc == 0)
            rc = read_text(&r, &value);
        if (rc == 0)
            rc = config_set(c, key.data, value.data, CFG_FROM_FILE, why, sizeof(why));
        if (rc)
            config_fail(err, err_len, "%s:%u: %s", name, line, why);
    }
    free(key.data);
    free(value.data);
    return rc;
}

int config_load_file(struct config *c, const char *path, char *err, size_t err_len)
{
    int rc = 0;
    char *text = config_calloc(CONFIG_FILE_MAX + 1, 1);
    FILE *f = fopen(path, "re");
    size_t len = f ? fread(text, 1, CONFIG_FILE_MAX + 1, f) : 0;
    if (!f || ferror(f)) {
        rc = -errno;
        config_fail(err, err_len, "%s: %s", path, strerror(errno));
    } else if (len > CONFIG_FILE_MAX) {
        rc = -EFBIG;
        config_fail(err, err_len, "%s: is longer than %u bytes", path, CONFIG_FILE_MAX);
    } else {
        rc = config_load_text(c, path, text, len, err, err_len);
    }
    if (f)
        fclose(f);
    free(text);
    return rc;
}
