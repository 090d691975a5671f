/* Any bytes as any message: the first two choose the message, the third its version, the rest is the input.
 * What decodes must encode, to an image that decodes whole and encodes to itself. */
#include <stdlib.h>

#include "proto/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The image of msg, malloc'ed to the byte so that the sanitizer sees any overrun. */
static uint8_t *encode(const struct kp_message *m, const void *msg, int16_t version, size_t *len)
{
    int64_t n = m->size(msg, version);
    SL_ASSERT(n >= 0);
    struct kp_writer w = {.buf = malloc((size_t)n + 1), .cap = (size_t)n};
    SL_ASSERT(w.buf);
    SL_ASSERT(m->encode(msg, version, &w) == 0);
    SL_ASSERT(w.len == (size_t)n);
    *len = w.len;
    return w.buf;
}

static void check(const struct kp_message *m, int16_t version, const uint8_t *in, size_t in_len,
                  struct arena *a)
{
    void *msg = malloc(m->struct_size), *again = malloc(m->struct_size);
    uint8_t *in_copy = malloc(in_len ? in_len : 1);
    SL_ASSERT(msg && again && in_copy);
    if (in_len)
        memcpy(in_copy, in, in_len);
    int64_t used = m->decode(msg, in_copy, in_len, version, a);
    SL_ASSERT(used <= (int64_t)in_len);
    if (used >= 0) {
        size_t len, len2;
        uint8_t *image = encode(m, msg, version, &len);
        SL_ASSERT(m->decode(again, image, len, version, a) == (int64_t)len);
        uint8_t *image2 = encode(m, again, version, &len2);
        SL_ASSERT(len == len2 && memcmp(image, image2, len) == 0);
        free(image);
        free(image2);
    } else {
        SL_ASSERT(used == -EBADMSG || used == -ENOMEM);
    }
    free(in_copy);
    free(msg);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t n;
    const struct kp_message *all = kp_message_all(&n);
    if (size < 3)
        return 0;
    const struct kp_message *m = &all[(data[0] << 8 | data[1]) % n];
    int16_t version = (int16_t)(m->min + data[2] % (m->max - m->min + 1));
    struct arena a;
    arena_init(&a,
               0); /* the input bounds it: the second decode must not meet a limit that the first escaped */
    check(m, version, data + 3, size - 3, &a);
    arena_free(&a);
    return 0;
}
