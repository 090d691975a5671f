#include "engine/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The message is put together on the stack and written with one write(2): no allocation, no stdio lock, and
 * lines of two threads that fail together do not mix. */
void sl_panic(const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    int n = snprintf(line, sizeof(line), "sluice: panic: ");
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    size_t len = (size_t)n + (m < 0 ? 0 : (size_t)m);
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
    abort();
}

void sl_assert_failed(const char *file, int line, const char *func, const char *cond)
{
    sl_panic("%s:%d: %s: assertion failed: %s", file, line, func, cond);
}
