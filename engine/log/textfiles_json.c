/* The two JSON files. A value is walked by recursive descent with a bound on its depth; fields that nobody
 * asked for are checked for syntax and passed over. */
#include <errno.h>
#include <string.h>

#include "engine/log/textfiles.h"
#include "engine/log/textfiles_private.h"

#define DEPTH_MAX 8

struct json {
    const char *p, *end;
};

static void blanks(struct json *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
        j->p++;
}

/* Takes character c, with white space before it. */
static bool take(struct json *j, char c)
{
    blanks(j);
    if (j->p == j->end || *j->p != c)
        return false;
    j->p++;
    return true;
}

static bool take_word(struct json *j, const char *word)
{
    size_t n = strlen(word);
    blanks(j);
    if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0)
        return false;
    j->p += n;
    return true;
}

/* A string into buf (cap counts the NUL), or passed over when buf is NULL. Escapes other than of quote,
 * backslash and slash are refused where the string is wanted. */
static int take_string(struct json *j, char *buf, size_t cap)
{
    size_t n = 0;
    if (!take(j, '"'))
        return -EBADMSG;
    for (; j->p < j->end && *j->p != '"'; j->p++) {
        char c = *j->p;
        if ((unsigned char)c < 0x20)
            return -EBADMSG;
        if (c == '\\') {
            if (++j->p == j->end)
                return -EBADMSG;
            c = *j->p;
            if (buf && c != '"' && c != '\\' && c != '/')
                return -EBADMSG;
        }
        if (!buf)
            continue;
        if (n + 1 >= cap)
            return -EBADMSG;
        buf[n++] = c;
    }
    if (j->p == j->end)
        return -EBADMSG;
    j->p++;
    if (buf)
        buf[n] = '\0';
    return 0;
}

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static struct text_token take_number_text(struct json *j)
{
    blanks(j);
    struct text_token t = {.p = j->p};
    while (j->p < j->end && is_number_char(*j->p))
        j->p++;
    t.n = (size_t)(j->p - t.p);
    return t;
}

static int take_int(struct json *j, int64_t min, int64_t max, int64_t *out)
{
    return text_int(take_number_text(j), min, max, out);
}

/* The characters between '[' or '{' and its end, items given to `item` one by one. */
static int take_list(struct json *j, char close, int (*item)(struct json *, unsigned, void *), unsigned depth,
                     void *arg)
{
    if (depth == 0)
        return -EBADMSG;
    if (take(j, close))
        return 0;
    do {
        int rc = item(j, depth - 1, arg);
        if (rc < 0)
            return rc;
    } while (take(j, ','));
    return take(j, close) ? 0 : -EBADMSG;
}

static int skip_value(struct json *j, unsigned depth, void *arg);

static int skip_member(struct json *j, unsigned depth, void *arg)
{
    if (take_string(j, NULL, 0) < 0 || !take(j, ':'))
        return -EBADMSG;
    return skip_value(j, depth, arg);
}

static int skip_value(struct json *j, unsigned depth, void *arg)
{
    blanks(j);
    if (j->p == j->end)
        return -EBADMSG;
    if (take(j, '['))
        return take_list(j, ']', skip_value, depth, arg);
    if (take(j, '{'))
        return take_list(j, '}', skip_member, depth, arg);
    if (*j->p == '"')
        return take_string(j, NULL, 0);
    if (take_word(j, "true") || take_word(j, "false") || take_word(j, "null"))
        return 0;
    return take_number_text(j).n ? 0 : -EBADMSG;
}

/* A document: one object, its members given to `member`, and white space. */
static int document(const char *p, size_t n, int (*member)(struct json *, unsigned, void *), void *arg)
{
    struct json j = {.p = p, .end = p + n};
    if (!take(&j, '{'))
        return -EBADMSG;
    int rc = take_list(&j, '}', member, DEPTH_MAX, arg);
    blanks(&j);
    return rc < 0 ? rc : j.p == j.end ? 0 : -EBADMSG;
}

static int take_key(struct json *j, char *key, size_t cap)
{
    if (take_string(j, key, cap) < 0 || !take(j, ':'))
        return -EBADMSG;
    return 0;
}

struct shutdown_fields {
    int64_t version, epoch;
    bool has_epoch;
};

static int shutdown_member(struct json *j, unsigned depth, void *arg)
{
    struct shutdown_fields *f = arg;
    char key[64];
    if (take_key(j, key, sizeof(key)) < 0)
        return -EBADMSG;
    if (strcmp(key, "version") == 0)
        return take_int(j, INT32_MIN, INT32_MAX, &f->version);
    if (strcmp(key, "brokerEpoch") != 0)
        return skip_value(j, depth, NULL);
    f->has_epoch = true;
    return take_int(j, INT64_MIN, INT64_MAX, &f->epoch);
}

int clean_shutdown_parse(const char *p, size_t n, int64_t *broker_epoch)
{
    struct shutdown_fields f = {0};
    int rc = document(p, n, shutdown_member, &f);
    if (rc < 0 || !f.has_epoch)
        return -EBADMSG;
    *broker_epoch = f.epoch;
    return 0;
}

int clean_shutdown_print(struct sbuf *out, int64_t broker_epoch)
{
    return sbuf_printf(out, "{\"version\":0,\"brokerEpoch\":%lld}", (long long)broker_epoch);
}

/* Bits of the fields that were there. */
enum quorum_field {
    Q_CLUSTER = 1,
    Q_LEADER = 2,
    Q_EPOCH = 4,
    Q_VOTED = 8,
    Q_VOTED_DIRECTORY = 16,
    Q_APPLIED = 32,
    Q_VOTERS = 64,
    Q_VERSION = 128,
};
#define Q_BOTH (Q_LEADER | Q_EPOCH | Q_VOTED | Q_VERSION)
#define Q_V0   (Q_BOTH | Q_CLUSTER | Q_APPLIED | Q_VOTERS)
#define Q_V1   (Q_BOTH | Q_VOTED_DIRECTORY)

struct quorum_fields {
    struct quorum_state *q;
    unsigned seen;
    int64_t version;
};

static int voter_member(struct json *j, unsigned depth, void *arg)
{
    int64_t *id = arg;
    char key[64];
    if (take_key(j, key, sizeof(key)) < 0)
        return -EBADMSG;
    return strcmp(key, "voterId") == 0 ? take_int(j, 0, INT32_MAX, id) : skip_value(j, depth, NULL);
}

static int voter(struct json *j, unsigned depth, void *arg)
{
    struct quorum_state *q = arg;
    int64_t id = -1;
    if (!take(j, '{') || take_list(j, '}', voter_member, depth, &id) < 0 || id < 0 ||
        q->voter_count == QUORUM_VOTERS_MAX)
        return -EBADMSG;
    q->voters[q->voter_count++] = (int32_t)id;
    return 0;
}

static int take_int32(struct json *j, int32_t *out)
{
    int64_t v;
    if (take_int(j, INT32_MIN, INT32_MAX, &v) < 0)
        return -EBADMSG;
    *out = (int32_t)v;
    return 0;
}

static int take_uuid(struct json *j, struct sl_uuid *out)
{
    char text[SL_UUID_TEXT_LEN + 8];
    if (take_string(j, text, sizeof(text)) < 0)
        return -EBADMSG;
    return sl_uuid_from_text(text, strlen(text), out) < 0 ? -EBADMSG : 0;
}

static int take_field(struct json *j, struct quorum_fields *f, enum quorum_field field, unsigned depth)
{
    struct quorum_state *q = f->q;
    switch (field) {
    case Q_CLUSTER:
        return take_string(j, q->cluster_id, sizeof(q->cluster_id));
    case Q_LEADER:
        return take_int32(j, &q->leader_id);
    case Q_EPOCH:
        return take_int32(j, &q->leader_epoch);
    case Q_VOTED:
        return take_int32(j, &q->voted_id);
    case Q_VOTED_DIRECTORY:
        return take_uuid(j, &q->voted_directory_id);
    case Q_APPLIED:
        return take_int(j, INT64_MIN, INT64_MAX, &q->applied_offset);
    case Q_VERSION:
        return take_int(j, 0, INT16_MAX, &f->version);
    case Q_VOTERS:
        if (take_word(j, "null"))
            return 0;
        return take(j, '[') ? take_list(j, ']', voter, depth, q) : -EBADMSG;
    }
    return -EBADMSG;
}

static int quorum_member(struct json *j, unsigned depth, void *arg)
{
    static const struct {
        const char *name;
        enum quorum_field field;
    } fields[] = {{"clusterId", Q_CLUSTER},     {"leaderId", Q_LEADER},
                  {"leaderEpoch", Q_EPOCH},     {"votedId", Q_VOTED},
                  {"appliedOffset", Q_APPLIED}, {"votedDirectoryId", Q_VOTED_DIRECTORY},
                  {"currentVoters", Q_VOTERS},  {"data_version", Q_VERSION}};
    struct quorum_fields *f = arg;
    char key[64];
    if (take_key(j, key, sizeof(key)) < 0)
        return -EBADMSG;
    for (size_t i = 0; i < SL_ARRAY_LEN(fields); i++) {
        if (strcmp(key, fields[i].name) != 0)
            continue;
        if (f->seen & fields[i].field)
            return -EBADMSG;
        f->seen |= fields[i].field;
        return take_field(j, f, fields[i].field, depth);
    }
    return skip_value(j, depth, NULL);
}

int quorum_state_parse(const char *p, size_t n, struct quorum_state *out)
{
    struct quorum_state q = {0};
    struct quorum_fields f = {.q = &q};
    int rc = document(p, n, quorum_member, &f);
    if (rc < 0)
        return rc;
    if (!(f.seen & Q_VERSION))
        return -EBADMSG;
    if (f.version > 1)
        return -EPROTONOSUPPORT;
    unsigned needed = f.version == 0 ? Q_V0 : Q_V1;
    if ((f.seen & needed) != needed)
        return -EBADMSG;
    q.version = (int16_t)f.version;
    *out = q;
    return 0;
}

static void print_string(struct sbuf *out, const char *s)
{
    sbuf_putc(out, '"');
    for (; *s; s++) {
        SL_ASSERT((unsigned char)*s >= 0x20);
        if (*s == '"' || *s == '\\')
            sbuf_putc(out, '\\');
        sbuf_putc(out, *s);
    }
    sbuf_putc(out, '"');
}

int quorum_state_print(struct sbuf *out, const struct quorum_state *q)
{
    SL_ASSERT(q->version == 0 || q->version == 1);
    sbuf_putc(out, '{');
    if (q->version == 0) {
        sbuf_puts(out, "\"clusterId\":");
        print_string(out, q->cluster_id);
        sbuf_putc(out, ',');
    }
    sbuf_printf(out, "\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":%d,", q->leader_id, q->leader_epoch,
                q->voted_id);
    if (q->version == 1) {
        char id[SL_UUID_TEXT_LEN + 1];
        sl_uuid_to_text(&q->voted_directory_id, id);
        sbuf_printf(out, "\"votedDirectoryId\":\"%s\",", id);
    } else {
        sbuf_printf(out, "\"appliedOffset\":%lld,\"currentVoters\":[", (long long)q->applied_offset);
        for (unsigned i = 0; i < q->voter_count; i++)
            sbuf_printf(out, "%s{\"voterId\":%d}", i ? "," : "", q->voters[i]);
        sbuf_puts(out, "],");
    }
    sbuf_printf(out, "\"data_version\":%d}", q->version);
    return out->failed ? -ENOMEM : 0;
}
