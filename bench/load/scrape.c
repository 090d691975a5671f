#include "bench/load/scrape.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

// ---- parsing ------------------------------------------------------------------------------------------------------
static struct scrape_stage *stage_of(struct scrape *s, const char *api, const char *stage)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (!strcmp(s->stages[i].api, api) && !strcmp(s->stages[i].stage, stage))
            return &s->stages[i];
    if (s->n == SCRAPE_STAGES)
        return NULL;
    struct scrape_stage *t = &s->stages[s->n++];
    *t = (struct scrape_stage){0};
    snprintf(t->api, sizeof(t->api), "%s", api);
    snprintf(t->stage, sizeof(t->stage), "%s", stage);
    return t;
}

// sluice_produce_stage_ns_bucket{stage="parsed",le="511"} 12
static void line_take(const char *line, struct scrape *s)
{
    char api[16], stage[16], le[24];
    unsigned long long count;
    if (sscanf(line, "sluice_%15[a-z]_stage_ns_bucket{stage=\"%15[a-z]\",le=\"%23[^\"]\"} %llu", api, stage,
               le, &count) != 4)
        return;
    struct scrape_stage *t = stage_of(s, api, stage);
    if (!t || t->n == SCRAPE_BUCKETS)
        return;
    t->b[t->n].upto = strcmp(le, "+Inf") ? strtoull(le, NULL, 10) : UINT64_MAX;
    t->b[t->n++].count = count;
}

void scrape_parse(const char *text, struct scrape *out)
{
    out->n = 0;
    for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        line_take(p, out);
}

// ---- fetching -----------------------------------------------------------------------------------------------------
static int connect_to(const char *address)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    struct timeval limit = {.tv_sec = 2};
    if (!colon || (size_t)(colon - address) >= sizeof(host))
        return -EINVAL;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    if (getaddrinfo(host, colon + 1, &hints, &a))
        return -EADDRNOTAVAIL;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -errno : 0;
    if (!rc) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        rc = connect(fd, a->ai_addr, a->ai_addrlen) ? -errno : 0;
    }
    freeaddrinfo(a);
    if (rc && fd >= 0)
        close(fd);
    return rc ? rc : fd;
}

int scrape_fetch(const char *address, struct scrape *out)
{
    static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: sluice\r\n\r\n";
    char buf[65536];
    struct sbuf page;
    ssize_t n;
    out->n = 0;
    int fd = connect_to(address);
    if (fd < 0)
        return fd;
    sbuf_init(&page);
    if (send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(ask) - 1)
        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0 && page.len < 16u << 20)
            sbuf_append(&page, buf, (size_t)n);
    close(fd);
    bool ok = !page.failed && !strncmp(sbuf_cstr(&page), "HTTP/1.1 200", 12);
    if (ok)
        scrape_parse(sbuf_cstr(&page), out);
    sbuf_free(&page);
    return ok ? 0 : -EPROTO;
}

// ---- differences --------------------------------------------------------------------------------------------------
// How many values of `stage` were <= upto.
static uint64_t count_upto(const struct scrape_stage *t, uint64_t upto)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < t->n && t->b[i].upto <= upto; i++)
        n = t->b[i].count;
    return n;
}

static const struct scrape_stage *earlier(const struct scrape *before, const struct scrape_stage *t)
{
    for (uint32_t i = 0; i < before->n; i++)
        if (!strcmp(before->stages[i].api, t->api) && !strcmp(before->stages[i].stage, t->stage))
            return &before->stages[i];
    return NULL;
}

static uint64_t new_upto(const struct scrape *before, const struct scrape_stage *t, uint64_t upto)
{
    const struct scrape_stage *e = earlier(before, t);
    return count_upto(t, upto) - (e ? count_upto(e, upto) : 0);
}

uint64_t scrape_count(const struct scrape *before, const struct scrape *after, uint32_t stage)
{
    SL_ASSERT(stage < after->n);
    return new_upto(before, &after->stages[stage], UINT64_MAX);
}

uint64_t scrape_percentile(const struct scrape *before, const struct scrape *after, uint32_t stage,
                           double percent)
{
    const struct scrape_stage *t = &after->stages[stage];
    double want = (double)scrape_count(before, after, stage) * percent / 100.0;
    for (uint32_t i = 0; i < t->n; i++) {
        uint64_t n = new_upto(before, t, t->b[i].upto);
        if (n && (double)n >= want)
            return t->b[i].upto;
    }
    return 0;
}

void scrape_text(const struct scrape *before, const struct scrape *after, FILE *out)
{
    for (uint32_t i = 0; i < after->n; i++) {
        const struct scrape_stage *t = &after->stages[i];
        uint64_t n = scrape_count(before, after, i);
        if (n)
            fprintf(out, "broker     %s %-8s  p50 %9.1f  p99 %9.1f  p99.9 %9.1f us  (%llu)\n", t->api,
                    t->stage, (double)scrape_percentile(before, after, i, 50) / 1e3,
                    (double)scrape_percentile(before, after, i, 99) / 1e3,
                    (double)scrape_percentile(before, after, i, 99.9) / 1e3, (unsigned long long)n);
    }
}

void scrape_json(const struct scrape *before, const struct scrape *after, struct sbuf *out)
{
    bool any = false;
    sbuf_puts(out, "\"stages_us\": {");
    for (uint32_t i = 0; i < after->n; i++) {
        const struct scrape_stage *t = &after->stages[i];
        uint64_t n = scrape_count(before, after, i);
        if (!n)
            continue;
        sbuf_printf(out, "%s\"%s.%s\": {\"count\": %llu, \"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f}",
                    any ? ", " : "", t->api, t->stage, (unsigned long long)n,
                    (double)scrape_percentile(before, after, i, 50) / 1e3,
                    (double)scrape_percentile(before, after, i, 99) / 1e3,
                    (double)scrape_percentile(before, after, i, 99.9) / 1e3);
        any = true;
    }
    sbuf_puts(out, "}");
}
