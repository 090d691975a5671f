// Batches made ahead of time, and cheap ways to make them right at the last moment.
//
// A prep holds the encoded records of one full batch. All records have the batch's own time stamp (delta 0) and
// consecutive offsets, so the first n of them are the records of a batch of n, and several requests may send
// the same bytes. The CRC of every such prefix is known; what changes per batch lies in the 40 header bytes
// that the CRC covers, so its CRC is one combine of two (crc32c_combine): no pass over the records.
//
// Stamped records carry in the first bytes of their value, big-endian:
//   0  4  magic "SLB1"
//   4  4  producer
//   8  8  sequence: counts the records of this producer and partition from 0
//  16  8  intended time: microseconds since the epoch, by the generator's clock
// These differ per record, so stamped (and compressed) batches are copied and their CRC computed in full.
#ifndef SLUICE_BENCH_LOAD_PREP_H
#define SLUICE_BENCH_LOAD_PREP_H

#include "engine/log/record.h"

enum { PREP_STAMP_SIZE = 24, PREP_SIZES_MAX = 32 };
#define PREP_STAMP_MAGIC 0x534c4231u

// A distribution of sizes: classes with cumulative weights, each uniform from lo to hi.
struct prep_sizes {
    uint32_t n;
    uint32_t lo[PREP_SIZES_MAX], hi[PREP_SIZES_MAX];
    double upto[PREP_SIZES_MAX]; // cumulative share, the last is 1
    double mean;
};

// The full batch's records, compressed once.
struct prep_packed {
    uint8_t *p;
    uint32_t len, crc;
};

struct prep {
    uint32_t max_n;             // records of a full batch, >= 1
    uint8_t *records;           // their encoded bytes
    uint32_t *ends;             // ends[n]: bytes of the first n; ends[0] = 0
    uint32_t *crcs;             // crcs[n]: CRC-32C of those bytes
    uint64_t *payload;          // payload[n]: key and value bytes of the first n
    uint32_t *value;            // value[i]: where record i's value begins
    struct prep_packed *packed; // NULL: not asked for
};

struct prep_spec {
    struct prep_sizes values, keys;
    uint64_t key_space;
    uint32_t batch_bytes;
    uint32_t compressible; // per cent
    uint64_t seed;
};

// What the header of one batch says.
struct prep_header {
    int64_t time_ms;
    int64_t producer_id;
    int32_t sequence;
    int16_t epoch;
    uint16_t attributes;
};

struct prep_stamp {
    uint32_t producer;
    uint64_t sequence;
    uint64_t time_us;
};

SL_EXTERN_C_BEGIN

// "N", "N-M", or "N:w,N-M:w,...". Sizes from 0 to 16 MiB. 0 or -EINVAL.
int prep_parse_sizes(const char *text, struct prep_sizes *out);

// NULL when memory is short.
struct prep *prep_make(const struct prep_spec *spec);
void prep_free(struct prep *p);

// The header, CRC included, of a batch of the first n records (1..max_n), which follow it unchanged.
void prep_header_plain(const struct prep *p, uint32_t n, const struct prep_header *h, uint8_t *out);

// Compresses the full batch's records with a codec other than none. 0, -ENOMEM or -EIO.
int prep_pack(struct prep *p, struct compress_ctx *ctx, unsigned codec);

// The header of a full batch whose records are p->packed.
void prep_header_packed(const struct prep *p, const struct prep_header *h, uint8_t *out);

// The header of a batch of n records whose `len` bytes after the header are at `body`.
void prep_header_over(uint32_t n, const struct prep_header *h, const uint8_t *body, uint32_t len,
                      uint8_t *out);

void prep_stamp_write(uint8_t *value, const struct prep_stamp *s);
// False: the value carries none.
bool prep_stamp_read(struct record_bytes value, struct prep_stamp *s);

SL_EXTERN_C_END

#endif
