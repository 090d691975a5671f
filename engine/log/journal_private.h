// The journal's own header: format helpers shared by writer and replay, and the writer's structures.
#ifndef SLUICE_ENGINE_LOG_JOURNAL_PRIVATE_H
#define SLUICE_ENGINE_LOG_JOURNAL_PRIVATE_H

#include "engine/log/journal.h"

#define JOURNAL_MAGIC 0x474a454349554c53ull // "SLUICEJG", little-endian

// ---- format (journal_format.c), pure
// -------------------------------------------------------------------------------- Stores the crc field of an
// encoded header.
void jgroup_set_crc(uint8_t header[JOURNAL_HEADER], uint32_t crc);
// The initial value of every group's crc in a life.
uint32_t jgroup_crc_seed(const struct sl_uuid *life);
// The crc so far after the header, its crc field taken as zero.
uint32_t jgroup_crc_header(const uint8_t header[JOURNAL_HEADER], const struct sl_uuid *life);
// Bytes of payload that follow the entry, without padding.
uint64_t jentry_payload_len(const struct jentry *e);

#endif
