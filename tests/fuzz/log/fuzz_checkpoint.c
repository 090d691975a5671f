// Checkpoint images of any content, with and without a right crc: nothing is read outside them, and what is handed out
// lies inside.
#include <stdlib.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/crc32c.h"
#include "engine/log/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bounds {
    const uint8_t *from, *to;
    uint32_t logs;
};

static int see(void *arg, const struct ckpt_head *h, const struct ckpt_log *l)
{
    struct bounds *b = arg;
    SL_ASSERT(++b->logs <= h->logs);
    SL_ASSERT(!l->producers == !l->producers_len && !l->epochs == !l->epochs_len && l->epochs_len % 12 == 0);
    SL_ASSERT(!l->producers || (l->producers >= b->from && l->producers + l->producers_len <= b->to));
    SL_ASSERT(!l->epochs || (l->epochs >= b->from && l->epochs + l->epochs_len <= b->to));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t n = size - 1;
    uint8_t *p = malloc(n + 1);
    memcpy(p, data + 1, n);
    if ((data[0] & 1) && n >= 56) {
        memcpy(p, "SLUICECP\1\0\0", 12);
        le32_store(p + 12, crc32c(0, p + 16, n - 16));
    }
    struct bounds b = {p, p + n, 0};
    struct ckpt_head h;
    if (ckpt_walk(p, n, &h, see, &b) == 0) {
        SL_ASSERT(b.logs == h.logs);
        SL_ASSERT(ckpt_rebrand(p, n, &h.life, 7, 9) == 0);
        SL_ASSERT(ckpt_walk(p, n, &h, NULL, NULL) == 0 && h.shard == 7 && h.first_generation == 9);
    }
    free(p);
    return 0;
}
