/* Shared by producer_state.c and producer_state_snapshot.c. */
#ifndef SLUICE_LOG_PRODUCER_STATE_PRIVATE_H
#define SLUICE_LOG_PRODUCER_STATE_PRIVATE_H

#include "engine/log/producer_state.h"

/* Room for one more producer, and if txn for a transaction of it to begin and to complete. 0 or -ENOMEM. */
int producer_state_reserve(struct producer_state *s, bool txn);

/* A new entry of which nothing is known, in reserved room. */
struct producer_entry *producer_state_add(struct producer_state *s, int64_t producer_id);

/* Keeps the order by first offset, in reserved room. */
void producer_txns_insert(struct producer_txns *x, struct producer_txn t);

/* The newest batch, or NULL. */
const struct producer_batch *producer_entry_last_batch(const struct producer_entry *e);

/* Adds the newest batch; drops the oldest of five. */
void producer_entry_add_batch(struct producer_entry *e, struct producer_batch b);

bool producer_entry_expired(const struct producer_entry *e, int64_t now_ms, int64_t expiration_ms);

#endif
