#include "engine/log/textfiles.h"

#include <errno.h>
#include <string.h>

#include "engine/log/textfiles_private.h"

bool text_line(const char **p, const char *end, struct text_token *out)
{
    if (*p == end)
        return false;
    const char *nl = memchr(*p, '\n', (size_t)(end - *p));
    const char *stop = nl ? nl : end;
    *out = (struct text_token){.p = *p, .n = (size_t)(stop - *p)};
    if (nl && out->n && out->p[out->n - 1] == '\r')
        out->n--;
    *p = nl ? nl + 1 : end;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

unsigned text_split(struct text_token line, struct text_token out[TEXT_TOKENS_MAX])
{
    unsigned count = 0;
    const char *p = line.p, *end = line.p + line.n;
    while (end > p && is_blank(end[-1]))
        end--;
    do {
        const char *start = p;
        while (p < end && !is_blank(*p))
            p++;
        if (count == TEXT_TOKENS_MAX)
            return TEXT_TOKENS_MAX + 1;
        out[count++] = (struct text_token){.p = start, .n = (size_t)(p - start)};
        while (p < end && is_blank(*p))
            p++;
    } while (p < end);
    return count;
}

int text_int(struct text_token t, int64_t min, int64_t max, int64_t *out)
{
    const char *p = t.p, *end = t.p + t.n;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end || end - p > 19)
        return -EBADMSG;
    uint64_t v = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return -EBADMSG;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    /* 19 digits fit 64 unsigned bits; the sign's bound is checked here. */
    if (v > (uint64_t)INT64_MAX + negative)
        return -EBADMSG;
    int64_t value = negative ? (int64_t)(0 - v) : (int64_t)v;
    if (value < min || value > max)
        return -EBADMSG;
    *out = value;
    return 0;
}

int text_checkpoint_parse(const char *p, size_t n, text_line_fn fn, void *arg)
{
    const char *end = p + n;
    struct text_token line, tokens[TEXT_TOKENS_MAX];
    int64_t version, count, seen = 0;
    if (!text_line(&p, end, &line))
        return 0;
    if (text_int(line, 0, 0, &version) < 0)
        return -EBADMSG;
    if (!text_line(&p, end, &line))
        return 0;
    if (text_int(line, 0, INT32_MAX, &count) < 0)
        return -EBADMSG;
    for (; text_line(&p, end, &line); seen++) {
        if (seen == count)
            return -EBADMSG;
        int rc = fn(arg, tokens, text_split(line, tokens));
        if (rc < 0)
            return rc;
    }
    return seen == count ? 0 : -EBADMSG;
}

bool topic_name_ok(const char *s, size_t n)
{
    if (n == 0 || n > TEXT_TOPIC_MAX || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
              c == '_' || c == '-'))
            return false;
    }
    return true;
}

struct offset_sink {
    offset_checkpoint_fn fn;
    void *arg;
};

static int offset_line(void *arg, const struct text_token *t, unsigned tokens)
{
    const struct offset_sink *sink = arg;
    struct offset_checkpoint c;
    int64_t partition;
    if (tokens != 3 || !topic_name_ok(t[0].p, t[0].n) || text_int(t[1], 0, INT32_MAX, &partition) < 0 ||
        text_int(t[2], INT64_MIN, INT64_MAX, &c.offset) < 0)
        return -EBADMSG;
    memcpy(c.topic, t[0].p, t[0].n);
    c.topic[t[0].n] = '\0';
    c.partition = (int32_t)partition;
    return sink->fn(sink->arg, &c);
}

int offset_checkpoint_parse(const char *p, size_t n, offset_checkpoint_fn fn, void *arg)
{
    struct offset_sink sink = {.fn = fn, .arg = arg};
    return text_checkpoint_parse(p, n, offset_line, &sink);
}

int offset_checkpoint_print_begin(struct sbuf *out, uint32_t count)
{
    return sbuf_printf(out, "0\n%u\n", count);
}

int offset_checkpoint_print(struct sbuf *out, const char *topic, int32_t partition, int64_t offset)
{
    SL_ASSERT(topic_name_ok(topic, strlen(topic)) && partition >= 0);
    return sbuf_printf(out, "%s %d %lld\n", topic, partition, (long long)offset);
}

static bool token_is(struct text_token t, const char *s)
{
    return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0;
}

int partition_metadata_parse(const char *p, size_t n, struct sl_uuid *topic_id)
{
    const char *end = p + n;
    struct text_token line, t[TEXT_TOKENS_MAX];
    int64_t version;
    struct sl_uuid id;
    if (!text_line(&p, end, &line) || text_split(line, t) != 2 || !token_is(t[0], "version:") ||
        text_int(t[1], 0, INT32_MAX, &version) < 0)
        return -EBADMSG;
    if (!text_line(&p, end, &line) || text_split(line, t) != 2 || !token_is(t[0], "topic_id:") ||
        sl_uuid_from_text(t[1].p, t[1].n, &id) < 0 || sl_uuid_is_zero(&id))
        return -EBADMSG;
    *topic_id = id;
    return 0;
}

int partition_metadata_print(struct sbuf *out, const struct sl_uuid *topic_id)
{
    char text[SL_UUID_TEXT_LEN + 1];
    sl_uuid_to_text(topic_id, text);
    return sbuf_printf(out, "version: 0\ntopic_id: %s", text);
}

/* Java properties, as far as these files go: "key=value" or "key:value" lines, white space around the
 * separator, comments behind # or !, a backslash takes the next character as it is. Continued lines, \uXXXX
 * and control characters are refused. */
static int property_take(const char **p, const char *end, bool key, char *buf, size_t cap)
{
    size_t n = 0;
    for (; *p < end; (*p)++) {
        char c = **p;
        if (key && (c == '=' || c == ':' || is_blank(c)))
            break;
        if (c == '\\') {
            if (++*p == end || **p == 'u' || **p == 't' || **p == 'n' || **p == 'r' || **p == 'f')
                return -EBADMSG;
            c = **p;
        }
        if ((unsigned char)c < 0x20 || n + 1 >= cap)
            return -EBADMSG;
        buf[n++] = c;
    }
    buf[n] = '\0';
    return 0;
}

/* 1: a property; 0: a comment or an empty line. */
static int property_parse(struct text_token line, char *key, size_t key_cap, char *value, size_t value_cap)
{
    const char *p = line.p, *end = line.p + line.n;
    while (p < end && is_blank(*p))
        p++;
    if (p == end || *p == '#' || *p == '!')
        return 0;
    if (property_take(&p, end, true, key, key_cap) < 0)
        return -EBADMSG;
    while (p < end && is_blank(*p))
        p++;
    if (p < end && (*p == '=' || *p == ':'))
        p++;
    while (p < end && is_blank(*p))
        p++;
    return property_take(&p, end, false, value, value_cap) < 0 ? -EBADMSG : 1;
}

struct properties {
    char version[16], node[16], cluster[TEXT_CLUSTER_ID_MAX + 1], directory[32];
};

static int property_store(struct properties *m, const char *key, const char *value)
{
    const struct {
        const char *name;
        char *to;
        size_t cap;
    } fields[] = {{"version", m->version, sizeof(m->version)},
                  {"node.id", m->node, sizeof(m->node)},
                  {"cluster.id", m->cluster, sizeof(m->cluster)},
                  {"directory.id", m->directory, sizeof(m->directory)}};
    for (size_t i = 0; i < SL_ARRAY_LEN(fields); i++) {
        if (strcmp(key, fields[i].name) != 0)
            continue;
        if (strlen(value) >= fields[i].cap || fields[i].to[0] != '\0')
            return -EBADMSG;
        strcpy(fields[i].to, value);
    }
    return 0;
}

static struct text_token token_of(const char *s)
{
    return (struct text_token){.p = s, .n = strlen(s)};
}

int meta_properties_parse(const char *p, size_t n, struct meta_properties *out)
{
    const char *end = p + n;
    struct properties m = {0};
    struct text_token line;
    while (text_line(&p, end, &line)) {
        char key[256], value[1024];
        int rc = property_parse(line, key, sizeof(key), value, sizeof(value));
        if (rc > 0)
            rc = property_store(&m, key, value);
        if (rc < 0)
            return rc;
    }
    int64_t version, node;
    /* Without a version the file is of version 0. */
    if (m.version[0] == '\0')
        return -EPROTONOSUPPORT;
    if (text_int(token_of(m.version), 0, INT32_MAX, &version) < 0)
        return -EBADMSG;
    if (version != 1)
        return -EPROTONOSUPPORT;
    *out = (struct meta_properties){0};
    if (text_int(token_of(m.node), 0, INT32_MAX, &node) < 0 || m.cluster[0] == '\0')
        return -EBADMSG;
    out->node_id = (int32_t)node;
    strcpy(out->cluster_id, m.cluster);
    out->has_directory_id = m.directory[0] != '\0';
    if (out->has_directory_id && sl_uuid_from_text(m.directory, strlen(m.directory), &out->directory_id) < 0)
        return -EBADMSG;
    return 0;
}

/* A value with the characters escaped that Java's reader would take for something else. */
static void property_print(struct sbuf *out, const char *key, const char *value)
{
    sbuf_printf(out, "%s=", key);
    for (const char *s = value; *s; s++) {
        if (strchr("\\=:#!", *s) || (*s == ' ' && s == value))
            sbuf_putc(out, '\\');
        sbuf_putc(out, *s);
    }
    sbuf_putc(out, '\n');
}

int meta_properties_print(struct sbuf *out, const struct meta_properties *m)
{
    char directory[SL_UUID_TEXT_LEN + 1];
    property_print(out, "cluster.id", m->cluster_id);
    if (m->has_directory_id) {
        sl_uuid_to_text(&m->directory_id, directory);
        property_print(out, "directory.id", directory);
    }
    sbuf_printf(out, "node.id=%d\nversion=1\n", m->node_id);
    return out->failed ? -ENOMEM : 0;
}
