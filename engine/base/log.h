/* Structured log lines on stderr, one write(2) a line:
 *
 *   2025-01-31T09:30:00.123456Z INFO  shard recovered partition=orders-3 bytes=1048576
 *
 * time (UTC, microseconds), level, module, message. The message starts with a phrase and goes on with
 * key=value pairs. Any thread may log. It is not for the data path: a line formats and writes to a file
 * descriptor.
 */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include "engine/base/err.h"

enum sl_log_level { SL_DEBUG = 0, SL_INFO = 1, SL_WARN = 2, SL_ERROR = 3 };

/* Longest line, newline included; longer messages are cut. */
#define SL_LOG_LINE_MAX 2048

/* Wall clock in microseconds since the epoch. */
typedef uint64_t (*sl_log_clock_fn)(void *ctx);

/* Takes one finished line of `len` bytes, newline included, NUL behind it. */
typedef void (*sl_log_sink_fn)(void *ctx, enum sl_log_level level, const char *line, size_t len);

SL_EXTERN_C_BEGIN

/* Lines below this level are dropped. Starts at SL_INFO. Any thread, at any time. */
void sl_log_set_level(enum sl_log_level level);

/* "debug", "info", "warn" or "error", in any case, to *out. Returns 0 or -EINVAL. */
int sl_log_parse_level(const char *text, enum sl_log_level *out);

/* True when a line of this level would be written: for lines whose arguments cost something. */
bool sl_log_enabled(enum sl_log_level level);

/* The simulator's clock instead of the system's; NULL restores the system's. Set before other threads log. */
void sl_log_set_clock(sl_log_clock_fn fn, void *ctx);

/* Lines go to fn instead of stderr; NULL restores stderr. Set before other threads log. */
void sl_log_set_sink(sl_log_sink_fn fn, void *ctx);

/* Writes one line. level: an enum sl_log_level; module: a short word, the room or one of its modules. Control
 * characters in the message become
 * '.', so that a client's string cannot forge a line. */
__attribute__((format(printf, 3, 4))) void sl_log(enum sl_log_level level, const char *module,
                                                  const char *fmt, ...);

/* State of one SL_LOG_EVERY. */
struct sl_log_every {
    uint64_t next_us;    /* no line before this time */
    uint64_t suppressed; /* lines dropped since the last one */
};

/* True when a line may be written now, and then *suppressed has the lines dropped since the last. Any thread:
 * threads that race may both write. */
bool sl_log_every_due(struct sl_log_every *e, uint64_t ms, uint64_t *suppressed);

SL_EXTERN_C_END

/* At most one line every `ms` milliseconds from this place in the code; it says how many were dropped since.
 * SL_LOG_EVERY(1000, SL_WARN, "net", "frame too large size=%u", size); fmt must be a literal. */
#define SL_LOG_EVERY(ms, level, module, fmt, ...)                                                            \
    do {                                                                                                     \
        static struct sl_log_every sl_every_;                                                                \
        uint64_t sl_dropped_;                                                                                \
        if (sl_log_enabled(level) && sl_log_every_due(&sl_every_, (ms), &sl_dropped_))                       \
            sl_log((level), (module), fmt " suppressed=%llu", ##__VA_ARGS__,                                 \
                   (unsigned long long)sl_dropped_);                                                         \
    } while (0)

#endif
