#include "engine/base/sbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SBUF_FIRST 64u

void sbuf_init(struct sbuf *b)
{
    *b = (struct sbuf){0};
}

void sbuf_free(struct sbuf *b)
{
    free(b->data);
    sbuf_init(b);
}

void sbuf_reset(struct sbuf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

int sbuf_reserve(struct sbuf *b, size_t n)
{
    if (b->failed)
        return -ENOMEM;
    if (b->cap > b->len && n < b->cap - b->len)
        return 0;
    if (n > SIZE_MAX / 4 - b->len)
        goto err;
    size_t cap = SL_MAX(b->cap * 2, (size_t)SBUF_FIRST);
    cap = SL_MAX(cap, b->len + n + 1);
    char *data = realloc(b->data, cap);
    if (!data)
        goto err;
    data[b->len] = '\0';
    b->data = data;
    b->cap = cap;
    return 0;
err:
    b->failed = true;
    return -ENOMEM;
}

int sbuf_append(struct sbuf *b, const void *p, size_t n)
{
    int rc = sbuf_reserve(b, n);
    if (rc)
        return rc;
    if (n > 0)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
    return 0;
}

int sbuf_puts(struct sbuf *b, const char *s)
{
    return sbuf_append(b, s, strlen(s));
}

int sbuf_putc(struct sbuf *b, char c)
{
    return sbuf_append(b, &c, 1);
}

int sbuf_printf(struct sbuf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    SL_ASSERT(n >= 0);
    int rc = sbuf_reserve(b, (size_t)n);
    if (rc == 0) {
        (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return rc;
}

const char *sbuf_cstr(const struct sbuf *b)
{
    return b->data ? b->data : "";
}

char *sbuf_steal(struct sbuf *b)
{
    char *data = sbuf_reserve(b, 0) ? NULL : b->data;
    if (!data)
        free(b->data);
    sbuf_init(b);
    return data;
}
