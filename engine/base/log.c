#include "engine/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

static int log_level = SL_INFO;
static sl_log_clock_fn log_clock;
static void *log_clock_ctx;
static sl_log_sink_fn log_sink;
static void *log_sink_ctx;

void sl_log_set_level(enum sl_log_level level)
{
    __atomic_store_n(&log_level, (int)level, __ATOMIC_RELAXED);
}

int sl_log_parse_level(const char *text, enum sl_log_level *out)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(level_names); i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *out = (enum sl_log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool sl_log_enabled(enum sl_log_level level)
{
    return (int)level >= __atomic_load_n(&log_level, __ATOMIC_RELAXED);
}

void sl_log_set_clock(sl_log_clock_fn fn, void *ctx)
{
    log_clock = fn;
    log_clock_ctx = ctx;
}

void sl_log_set_sink(sl_log_sink_fn fn, void *ctx)
{
    log_sink = fn;
    log_sink_ctx = ctx;
}

static uint64_t log_now_us(void)
{
    if (log_clock)
        return log_clock(log_clock_ctx);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

/* Time, level and module; returns the length. */
static size_t log_format_head(char *line, size_t cap, enum sl_log_level level, const char *module)
{
    uint64_t us = log_now_us();
    time_t sec = (time_t)(us / 1000000u);
    struct tm tm;
    gmtime_r(&sec, &tm);
    int n = snprintf(line, cap, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ %-5s %s ", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(us % 1000000u),
                     level_names[level], module);
    return n < 0 ? 0 : SL_MIN((size_t)n, cap - 1);
}

static void log_write_stderr(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);
        if (n < 0 && errno == EINTR)
            continue;
        /* Nowhere to complain about a broken log. */
        if (n <= 0)
            return;
        line += n;
        len -= (size_t)n;
    }
}

void sl_log(enum sl_log_level level, const char *module, const char *fmt, ...)
{
    SL_ASSERT((unsigned)level < SL_ARRAY_LEN(level_names));
    if (!sl_log_enabled(level))
        return;
    int saved = errno;
    char line[SL_LOG_LINE_MAX + 1];
    size_t head = log_format_head(line, 128, level, module);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line + head, SL_LOG_LINE_MAX - head, fmt, ap);
    va_end(ap);
    size_t len = head + (n < 0 ? 0 : SL_MIN((size_t)n, SL_LOG_LINE_MAX - head - 1));
    for (size_t i = head; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c < 0x20 || c == 0x7f)
            line[i] = '.';
    }
    line[len++] = '\n';
    line[len] = '\0';
    if (log_sink)
        log_sink(log_sink_ctx, level, line, len);
    else
        log_write_stderr(line, len);
    errno = saved;
}

/* Relaxed atomics: a race costs at most one line too many. */
bool sl_log_every_due(struct sl_log_every *e, uint64_t ms, uint64_t *suppressed)
{
    uint64_t now = log_now_us();
    uint64_t next = __atomic_load_n(&e->next_us, __ATOMIC_RELAXED);
    /* A wall clock set back must not silence the line for longer than the period. */
    if (now < next && next - now <= ms * 1000u) {
        __atomic_fetch_add(&e->suppressed, 1, __ATOMIC_RELAXED);
        return false;
    }
    __atomic_store_n(&e->next_us, now + ms * 1000u, __ATOMIC_RELAXED);
    *suppressed = __atomic_exchange_n(&e->suppressed, 0, __ATOMIC_RELAXED);
    return true;
}
