/* Entries of Kafka's index of aborted transactions (.txnindex). File: entries of 34 bytes, big-endian, in
 * the order in which the transactions were aborted (so last offsets rise):
 *    0  2  version, 0
 *    2  8  producer id
 *   10  8  first offset of the transaction
 *   18  8  last offset: of its abort marker
 *   26  8  last stable offset when the marker was written
 * Pure; any thread. */
#ifndef SLUICE_LOG_TXNINDEX_H
#define SLUICE_LOG_TXNINDEX_H

#include "engine/base/err.h"

#define TXN_INDEX_ENTRY_SIZE 34

struct aborted_txn {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;
    int64_t last_stable_offset;
};

SL_EXTERN_C_BEGIN

void aborted_txn_encode(const struct aborted_txn *t, uint8_t dst[TXN_INDEX_ENTRY_SIZE]);

/* Returns 0, or -EBADMSG for a version above 0, negative numbers, or a first offset above the last. */
int aborted_txn_decode(const uint8_t *p, struct aborted_txn *out);

/* Checks the n bytes of a file: whole valid entries whose last offsets rise, none below base_offset.
 * Returns the number of entries or -EBADMSG. */
int64_t txn_index_check(const uint8_t *p, size_t n, int64_t base_offset);

/* Whether a read_committed fetch of [fetch_offset, upper_bound) must name this transaction. Entries are to
 * be shown in file order, segment after segment, until *stop says that no later one can matter. */
bool aborted_txn_match(const struct aborted_txn *t, int64_t fetch_offset, int64_t upper_bound, bool *stop);

SL_EXTERN_C_END

#endif
