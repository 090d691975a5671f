#include "bench/load/plan.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, COUNT, SIZE, REAL, FLAG, CHOICE };

struct key {
    const char *name;
    enum kind kind;
    size_t at; // in struct plan
    double min, max;
    const char *def;
    const char *choices; // CHOICE: "a|b|c", the value is the index
    const char *prose;
};

#define AT(f) offsetof(struct plan, f)
static const struct key KEYS[] = {
    {"name", TEXT, AT(name), 0, 0, "", NULL, "what the run is called in the report"},
    {"brokers", TEXT, AT(brokers), 0, 0, "127.0.0.1:9092", NULL,
     "host:port to begin with, several with commas"},
    {"topic", TEXT, AT(topic), 0, 0, "bench", NULL, "topic name; with topics above 1, a prefix"},
    {"topics", COUNT, AT(topics), 1, 10000, "1", NULL, "number of topics"},
    {"partitions", COUNT, AT(partitions), 1, 100000, "1", NULL, "partitions of each topic"},
    {"replication", COUNT, AT(replication), 1, 16, "1", NULL, "replication factor of topics that are made"},
    {"topic.config", TEXT, AT(topic_config), 0, 0, "", NULL,
     "settings of topics that are made: key=value,..."},
    {"create", FLAG, AT(create), 0, 1, "1", NULL, "make topics that are missing"},
    {"producers", COUNT, AT(producers), 0, 10000, "0", NULL,
     "producers in all, a connection per broker each"},
    {"consumers", COUNT, AT(consumers), 0, 10000, "0", NULL, "consumers of each subscription"},
    {"subscriptions", COUNT, AT(subscriptions), 1, 1000, "1", NULL, "how many times everything is read"},
    {"catchup", COUNT, AT(catchup), 0, 1000, "0", NULL,
     "further consumers that read everything from the beginning, again and again"},
    {"group", TEXT, AT(group), 0, 0, "", NULL,
     "consumers are members of this group (of NAME-0, NAME-1, ... with several subscriptions); none: each "
     "has its "
     "share of the partitions from the start"},
    {"group.protocol", CHOICE, AT(group_protocol), 0, 0, "classic", "classic|consumer",
     "classic: a member assigns, by range; consumer: the broker assigns (KIP-848)"},
    {"commit.ms", COUNT, AT(commit_ms), 0, 3600000, "5000", NULL,
     "members commit their offsets so often, and when they give partitions up; 0: never"},
    {"session.ms", COUNT, AT(session_ms), 100, 3600000, "45000", NULL,
     "classic: a member is out when the broker has not heard from it for so long"},
    {"heartbeat.ms", COUNT, AT(heartbeat_ms), 10, 3600000, "3000", NULL,
     "classic: how often a member says that it is there"},
    {"churn.s", REAL, AT(churn_s), 0, 86400, "0", NULL,
     "every so often one member of each group, in turn, leaves it for half of that time; 0: never"},
    {"committers", COUNT, AT(committers), 0, 10000, "0", NULL,
     "who commit offsets, a connection per coordinator each; not together with producers"},
    {"groups", COUNT, AT(groups), 1, 1000000, "1000", NULL, "groups that offsets are committed for, in turn"},
    {"commit.offsets", COUNT, AT(commit_offsets), 1, 10000, "1", NULL, "partitions of one commit"},
    {"threads", COUNT, AT(threads), 1, 16, "1", NULL, "threads of the generator"},
    {"rate", REAL, AT(rate), 0, 1e9, "0", NULL,
     "records a second, all producers together, or offsets, all committers; 0: as fast as possible"},
    {"arrival", CHOICE, AT(arrival), 0, 0, "constant", "constant|poisson",
     "how paced records are spread in time"},
    {"inflight", COUNT, AT(inflight), 1, 1000, "5", NULL, "unanswered requests on a connection"},
    {"batch.bytes", SIZE, AT(batch_bytes), 256, 64 << 20, "64k", NULL, "a batch is full at this size"},
    {"request.bytes", SIZE, AT(request_bytes), 1024, 64 << 20, "1m", NULL,
     "batches of one request, together"},
    {"buffer.bytes", SIZE, AT(buffer_bytes), 65536, 1ll << 40, "32m", NULL,
     "records a producer holds before it stops making more (their intended times stand)"},
    {"linger.ms", REAL, AT(linger_ms), 0, 60000, "0", NULL, "how long a paced batch waits to be full"},
    {"acks", CHOICE, AT(acks), 0, 0, "all", "all|1|0", "acks"},
    {"idempotence", FLAG, AT(idempotence), 0, 1, "1", NULL, "producer ids and sequences; needs acks=all"},
    {"compression", CHOICE, AT(compression), 0, 0, "none", "none|gzip|snappy|lz4|zstd", "codec of batches"},
    {"compressible", COUNT, AT(compressible), 0, 100, "50", NULL,
     "share of a value, in per cent, that repeats and so compresses well"},
    {"record.bytes", TEXT, AT(record_bytes), 0, 0, "1000", NULL,
     "value size: N, N-M (uniform), or N:weight,M:weight,..."},
    {"key.bytes", TEXT, AT(key_bytes), 0, 0, "0", NULL, "key size, in the same forms; 0: no key"},
    {"keys", COUNT, AT(keys), 1, 1 << 30, "1000000", NULL, "number of distinct keys"},
    {"spread", CHOICE, AT(spread), 0, 0, "round-robin", "round-robin|sticky|random|zipf",
     "which partition a record goes to; sticky: a batch each, zipf: partition k with weight 1/(k+1)"},
    {"stamp", FLAG, AT(stamp), 0, 1, "0", NULL,
     "time and sequence inside each record, for end-to-end latency"},
    {"metrics", TEXT, AT(metrics), 0, 0, "", NULL,
     "host:port of the broker's metrics endpoint (sluice.metrics.listener): its stages beside our view"},
    {"from", CHOICE, AT(from), 0, 0, "latest", "latest|earliest", "where consumers begin"},
    {"fetch.min.bytes", SIZE, AT(fetch_min), 0, 1 << 30, "1", NULL, "a fetch waits for so much"},
    {"fetch.wait.ms", COUNT, AT(fetch_wait_ms), 0, 60000, "500", NULL, "but not longer"},
    {"fetch.bytes", SIZE, AT(fetch_bytes), 1024, 1 << 30, "8m", NULL, "most bytes of a fetch"},
    {"fetch.partition.bytes", SIZE, AT(fetch_partition_bytes), 1024, 1 << 30, "1m", NULL,
     "and of one partition in it"},
    {"fetch.session", FLAG, AT(fetch_session), 0, 1, "1", NULL,
     "fetches name only what changed since the last one (KIP-227); 0: all partitions, every time"},
    {"verify", CHOICE, AT(verify), 0, 0, "crc", "none|crc|records",
     "of what is read: offsets only, CRCs too, or every record parsed and stamps in sequence"},
    {"warmup.s", REAL, AT(warmup_s), 0, 86400, "0", NULL, "load before measuring begins"},
    {"duration.s", REAL, AT(duration_s), 0, 864000, "10", NULL,
     "measured time; 0: until `records`, or the end"},
    {"records", COUNT, AT(records), 0, 1e15, "0", NULL,
     "records to send, all producers together; 0: no limit"},
    {"drain.s", REAL, AT(drain_s), 0, 3600, "10", NULL, "how long answers may come in after the end"},
    {"pause.every.s", REAL, AT(pause_every_s), 0, 86400, "0", NULL,
     "producers pause after so long; 0: never"},
    {"pause.s", REAL, AT(pause_s), 0, 86400, "0", NULL, "for so long"},
    {"timeout.ms", COUNT, AT(timeout_ms), 1, 3600000, "30000", NULL,
     "request timeout, and how long a broker may be away"},
    {"reconnect", FLAG, AT(reconnect), 0, 1, "1", NULL,
     "go on after lost connections (up to timeout.ms) and moved leaders; 0: the first one ends the run"},
    {"late.ms", REAL, AT(late_ms), 0, 60000, "1", NULL,
     "the generator says that it was late when its own p99 lateness is above it"},
    {"ramp.p99.ms", REAL, AT(ramp_p99_ms), 0, 60000, "10", NULL, "ramp: the bound on the p99 latency"},
    {"ramp.from", REAL, AT(ramp_from), 1, 1e9, "10000", NULL, "ramp: the first rate"},
    {"ramp.to", REAL, AT(ramp_to), 1, 1e9, "10000000", NULL, "ramp: the last rate"},
    {"ramp.step.s", REAL, AT(ramp_step_s), 0.5, 3600, "5", NULL,
     "ramp: length of a step, its first fifth not measured"},
    {"seed", COUNT, AT(seed), 0, 1e15, "1", NULL, "of keys, sizes and random spreads"},
};

static const struct {
    const char *name;
    const char *pairs[5];
} MODES[] = {
    {"produce", {"producers=1"}},
    {"consume", {"consumers=1", "from=earliest", "duration.s=0", "create=0"}},
    {"e2e", {"producers=1", "consumers=1", "stamp=1", "rate=10000"}},
    {"mixed", {"producers=1", "consumers=1"}},
    {"commit", {"committers=100", "groups=1000", "rate=10000", "partitions=10"}},
    {"ramp", {"producers=1", "ramp.step.s=5"}},
};

struct plan *plan_new(void)
{
    struct plan *p = calloc(1, sizeof(*p));
    char err[256];
    SL_ASSERT(p);
    for (size_t i = 0; i < SL_ARRAY_LEN(KEYS); i++)
        SL_ASSERT(plan_set(p, KEYS[i].name, KEYS[i].def, err, sizeof(err)) == 0);
    return p;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < SL_ARRAY_LEN(KEYS); i++)
        if (KEYS[i].kind == TEXT)
            free(*(char **)((char *)p + KEYS[i].at));
    free(p->set_by_mode);
    free(p);
}

// ---- values -------------------------------------------------------------------------------------------------------
bool plan_parse_size(const char *s, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (end == s || errno || v < 0)
        return false;
    int shift = 0;
    switch (tolower((unsigned char)*end)) {
    case 'k':
        shift = 10;
        break;
    case 'm':
        shift = 20;
        break;
    case 'g':
        shift = 30;
        break;
    default:
        break;
    }
    end += shift > 0;
    if (*end || v > (INT64_MAX >> shift))
        return false;
    *out = v << shift;
    return true;
}

static int64_t choice_of(const char *choices, const char *value)
{
    int64_t i = 0;
    size_t n = strlen(value);
    for (const char *p = choices; p; i++) {
        size_t len = strcspn(p, "|");
        if (len == n && memcmp(p, value, n) == 0)
            return i;
        p = p[len] ? p + len + 1 : NULL;
    }
    return -1;
}

static int set_text(char **at, const char *value)
{
    char *copy = strdup(value);
    SL_ASSERT(copy);
    free(*at);
    *at = copy;
    return 0;
}

static int set_number(const struct key *k, void *at, const char *value, char *err, size_t cap)
{
    char *end = NULL;
    int64_t whole = 0;
    double v = 0;
    bool ok;
    if (k->kind == REAL) {
        v = strtod(value, &end);
        ok = end != value && !*end && isfinite(v);
    } else {
        ok = plan_parse_size(value, &whole) &&
             (k->kind == SIZE || isdigit((unsigned char)value[strlen(value) - 1]));
        v = (double)whole;
    }
    if (!ok || v < k->min || v > k->max) {
        snprintf(err, cap, "%s=%s: must be a%s number from %.15g to %.15g%s", k->name, value,
                 k->kind == REAL ? "" : " whole", k->min, k->max,
                 k->kind == SIZE ? ", k, m or g may follow" : "");
        return -EINVAL;
    }
    if (k->kind == REAL)
        *(double *)at = v;
    else
        *(int64_t *)at = whole;
    return 0;
}

static const struct key *key_find(const char *name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(KEYS); i++)
        if (!strcmp(KEYS[i].name, name))
            return &KEYS[i];
    return NULL;
}

static int no_such_key(const char *name, char *err, size_t cap)
{
    size_t n = (size_t)snprintf(err, cap, "%s: no such key; allowed are", name);
    for (size_t i = 0; i < SL_ARRAY_LEN(KEYS) && n < cap; i++)
        n += (size_t)snprintf(err + n, cap - n, "%s %s", i ? "," : "", KEYS[i].name);
    return -EINVAL;
}

int plan_set(struct plan *p, const char *key, const char *value, char *err, size_t cap)
{
    const struct key *k = key_find(key);
    SL_ASSERT(p && value);
    if (!k)
        return no_such_key(key, err, cap);
    void *at = (char *)p + k->at;
    if (k->kind == TEXT)
        return set_text(at, value);
    if (k->kind != CHOICE)
        return set_number(k, at, value, err, cap);
    int64_t i = choice_of(k->choices, value);
    if (i < 0) {
        snprintf(err, cap, "%s=%s: must be one of %s", key, value, k->choices);
        return -EINVAL;
    }
    *(int64_t *)at = i;
    return 0;
}

// Cuts blanks off both ends, in place.
static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        s[--n] = 0;
    return s;
}

int plan_set_pair(struct plan *p, const char *pair, char *err, size_t cap)
{
    char *copy = strdup(pair);
    SL_ASSERT(copy);
    char *eq = strchr(copy, '=');
    int rc = -EINVAL;
    if (!eq) {
        snprintf(err, cap, "%s: must be key=value", pair);
    } else {
        *eq = 0;
        rc = plan_set(p, trim(copy), trim(eq + 1), err, cap);
    }
    free(copy);
    return rc;
}

int plan_set_mode(struct plan *p, const char *mode, char *err, size_t cap)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(MODES); i++) {
        if (strcmp(MODES[i].name, mode))
            continue;
        for (size_t k = 0; k < SL_ARRAY_LEN(MODES[i].pairs) && MODES[i].pairs[k]; k++)
            SL_ASSERT(plan_set_pair(p, MODES[i].pairs[k], err, cap) == 0);
        return set_text(&p->set_by_mode, mode);
    }
    snprintf(err, cap, "%s: no such mode; allowed are produce, consume, e2e, mixed, commit, ramp", mode);
    return -EINVAL;
}

// ---- files --------------------------------------------------------------------------------------------------------
static int load_line(struct plan *p, char *line, char *err, size_t cap)
{
    line = trim(line);
    if (!*line || *line == '#')
        return 0;
    if (!strncmp(line, "mode", 4) && strchr(" =", line[4]) && strchr(line, '='))
        return plan_set_mode(p, trim(strchr(line, '=') + 1), err, cap);
    return plan_set_pair(p, line, err, cap);
}

int plan_load(struct plan *p, const char *path, char *err, size_t cap)
{
    char line[4096], why[1024];
    FILE *f = fopen(path, "r");
    int rc = 0, number = 0;
    if (!f) {
        rc = -errno;
        snprintf(err, cap, "%s: %s", path, strerror(errno));
        return rc;
    }
    while (rc == 0 && fgets(line, sizeof(line), f)) {
        number++;
        rc = load_line(p, line, why, sizeof(why));
    }
    if (rc)
        snprintf(err, cap, "%s:%d: %s", path, number, why);
    fclose(f);
    return rc;
}

bool plan_writes(const struct plan *p)
{
    return p->producers + p->committers > 0;
}

bool plan_has_groups(const struct plan *p)
{
    return p->group[0] && p->consumers;
}

bool plan_is_ramp(const struct plan *p)
{
    return p->set_by_mode && !strcmp(p->set_by_mode, "ramp");
}

static const char *committers_check(const struct plan *p)
{
    if (p->producers || plan_is_ramp(p))
        return "committers and producers do not go together";
    if (p->committers > p->groups)
        return "committers is above groups";
    if (p->commit_offsets > p->topics * p->partitions)
        return "commit.offsets is above the number of partitions";
    return p->duration_s == 0 ? "committers need duration.s" : NULL;
}

int plan_check(const struct plan *p, char *err, size_t cap)
{
    const char *why = NULL;
    if (p->producers + p->consumers + p->catchup + p->committers == 0)
        why = "producers, consumers, catchup and committers are all 0: nothing to do";
    else if (p->committers)
        why = committers_check(p);
    else if (p->idempotence && p->acks != PLAN_ACKS_ALL)
        why = "idempotence=1 needs acks=all; set idempotence=0";
    else if (p->idempotence && p->inflight > 5)
        why = "idempotence=1 allows inflight up to 5";
    else if (p->batch_bytes > p->request_bytes)
        why = "batch.bytes is above request.bytes";
    else if (p->producers && p->duration_s == 0 && p->records == 0 && !plan_is_ramp(p))
        why = "producers without an end: set duration.s or records";
    else if ((p->pause_every_s > 0) != (p->pause_s > 0))
        why = "pause.every.s and pause.s go together";
    else if (p->pause_s > 0 && p->rate == 0)
        why = "pauses need a rate";
    else if (plan_is_ramp(p) && !p->producers)
        why = "a ramp needs producers";
    else if (p->group[0] && !p->consumers)
        why = "a group needs consumers";
    else if (strlen(p->group) > 200)
        why = "group is longer than 200 bytes";
    else if (p->churn_s > 0 && !p->group[0])
        why = "churn.s needs a group";
    else if (p->ramp_from > p->ramp_to)
        why = "ramp.from is above ramp.to";
    if (!why)
        return 0;
    snprintf(err, cap, "%s", why);
    return -EINVAL;
}

// ---- printing -----------------------------------------------------------------------------------------------------
void plan_print_keys(FILE *out)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(KEYS); i++) {
        const struct key *k = &KEYS[i];
        fprintf(out, "  %-22s %s%s%s%s\n", k->name, k->prose, k->choices ? " (" : "",
                k->choices ? k->choices : "", k->choices ? ")" : "");
        fprintf(out, "  %-22s default: %s\n", "", k->def[0] ? k->def : "none");
    }
}

static void choice_json(const struct key *k, int64_t i, struct sbuf *out)
{
    const char *p = k->choices;
    for (; i > 0; i--)
        p = strchr(p, '|') + 1;
    sbuf_printf(out, "\"%.*s\"", (int)strcspn(p, "|"), p);
}

static void text_json(const char *s, struct sbuf *out)
{
    sbuf_putc(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            sbuf_putc(out, '\\');
        if ((unsigned char)*s < 0x20)
            sbuf_printf(out, "\\u%04x", *s);
        else
            sbuf_putc(out, *s);
    }
    sbuf_putc(out, '"');
}

void plan_json(const struct plan *p, struct sbuf *out)
{
    sbuf_puts(out, "{");
    for (size_t i = 0; i < SL_ARRAY_LEN(KEYS); i++) {
        const struct key *k = &KEYS[i];
        const void *at = (const char *)p + k->at;
        sbuf_printf(out, "%s\"%s\": ", i ? ", " : "", k->name);
        if (k->kind == TEXT)
            text_json(*(char *const *)at, out);
        else if (k->kind == CHOICE)
            choice_json(k, *(const int64_t *)at, out);
        else if (k->kind == REAL)
            sbuf_printf(out, "%.15g", *(const double *)at);
        else
            sbuf_printf(out, "%lld", (long long)*(const int64_t *)at);
    }
    sbuf_puts(out, "}");
}
