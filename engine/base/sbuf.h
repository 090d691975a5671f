/* A growable byte and text buffer on malloc, for cold paths: configuration, dumps, tools. Owner thread only.
 *
 * A failure to grow is remembered in `failed` and returned by every later call, so that a writer may check
 * once at its end; what was there before the failure stays. */
#ifndef SLUICE_BASE_SBUF_H
#define SLUICE_BASE_SBUF_H

#include "engine/base/err.h"

struct sbuf {
    char *data; /* NUL-terminated once anything was appended; NULL before */
    size_t len; /* without the NUL */
    size_t cap;
    bool failed;
};

SL_EXTERN_C_BEGIN

/* An empty buffer; allocates nothing. */
void sbuf_init(struct sbuf *b);

/* Gives the memory back; the buffer is as after sbuf_init. */
void sbuf_free(struct sbuf *b);

/* Forgets the content and a failure, keeps the memory. */
void sbuf_reset(struct sbuf *b);

/* Makes room for n more bytes and the NUL. Returns 0 or -ENOMEM, as the functions below do. */
int sbuf_reserve(struct sbuf *b, size_t n);

/* Appends n bytes, a C string, one byte, printf-style text. */
int sbuf_append(struct sbuf *b, const void *p, size_t n);
int sbuf_puts(struct sbuf *b, const char *s);
int sbuf_putc(struct sbuf *b, char c);
__attribute__((format(printf, 2, 3))) int sbuf_printf(struct sbuf *b, const char *fmt, ...);

/* The content as a C string, "" when empty; the buffer's own. */
const char *sbuf_cstr(const struct sbuf *b);

/* Hands the content to the caller, who frees it; "" in new memory when empty; NULL after a failure. The
 * buffer is empty afterwards. */
char *sbuf_steal(struct sbuf *b);

SL_EXTERN_C_END

#endif
