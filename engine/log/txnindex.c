#include "engine/log/txnindex.h"

#include <errno.h>

#include "engine/base/bytes.h"

enum { AT_VERSION = 0, AT_PRODUCER_ID = 2, AT_FIRST = 10, AT_LAST = 18, AT_LAST_STABLE = 26 };
SL_STATIC_ASSERT(AT_LAST_STABLE + 8 == TXN_INDEX_ENTRY_SIZE, "an entry is 34 bytes");

void aborted_txn_encode(const struct aborted_txn *t, uint8_t dst[TXN_INDEX_ENTRY_SIZE])
{
    be16_store(dst + AT_VERSION, 0);
    be64_store(dst + AT_PRODUCER_ID, (uint64_t)t->producer_id);
    be64_store(dst + AT_FIRST, (uint64_t)t->first_offset);
    be64_store(dst + AT_LAST, (uint64_t)t->last_offset);
    be64_store(dst + AT_LAST_STABLE, (uint64_t)t->last_stable_offset);
}

int aborted_txn_decode(const uint8_t *p, struct aborted_txn *out)
{
    struct aborted_txn t = {
        .producer_id = (int64_t)be64_load(p + AT_PRODUCER_ID),
        .first_offset = (int64_t)be64_load(p + AT_FIRST),
        .last_offset = (int64_t)be64_load(p + AT_LAST),
        .last_stable_offset = (int64_t)be64_load(p + AT_LAST_STABLE),
    };
    if (be16_load(p + AT_VERSION) != 0 || t.producer_id < 0 || t.first_offset < 0 ||
        t.first_offset > t.last_offset || t.last_stable_offset < 0)
        return -EBADMSG;
    *out = t;
    return 0;
}

int64_t txn_index_check(const uint8_t *p, size_t n, int64_t base_offset)
{
    int64_t last = base_offset - 1;
    if (n % TXN_INDEX_ENTRY_SIZE != 0)
        return -EBADMSG;
    for (size_t at = 0; at < n; at += TXN_INDEX_ENTRY_SIZE) {
        struct aborted_txn t;
        if (aborted_txn_decode(p + at, &t) < 0 || t.last_offset <= last)
            return -EBADMSG;
        last = t.last_offset;
    }
    return (int64_t)(n / TXN_INDEX_ENTRY_SIZE);
}

bool aborted_txn_match(const struct aborted_txn *t, int64_t fetch_offset, int64_t upper_bound, bool *stop)
{
    *stop = t->last_stable_offset >= upper_bound;
    return t->last_offset >= fetch_offset && t->first_offset < upper_bound;
}
