/* Kafka's messages in C: what the generated encoders and decoders share.
 *
 * proto/defs/ holds one definition per message: requests, responses, frame headers, KRaft metadata records,
 * the records of the group and transaction coordinators, and a few stored structures. tools/codegen/ turns
 * them at build time into proto/gen/<message>.h, which a user includes (proto/gen/all.h has all of them), and
 * C files.
 *
 * A definition
 *
 *     # notes, free text
 *     request Fetch key 1 class A versions 4-18 flexible 12 hot
 *
 *     ClusterId string? @12+ tag 0 = null ignorable
 *     Topics []FetchTopic {
 *         Topic string @4-12 ignorable
 *         Partitions []FetchPartition { ... }
 *     }
 *     struct Shared @4+ { ... }
 *
 * Head: kind (request response header metadata group-key group-value txn-key txn-value data), Kafka's name
 * without Request or Response, `key` (API key or record type), `class` (requests and responses: how soon
 * clients need it, A first), the versions we serve, the first flexible version (KIP-482) or `never`, and
 * `hot` for messages whose helpers are inlined. Field: Name, type, options in this order:
 *     []T         array of T                        T?       may be null in every version that has the field
 *     T?7+ T?1-3  may be null in those versions     @3 @3+ @3-9  versions that have the field; without: all
 *     tag N       a tagged field                    = V      default; without: zero, empty, false
 *     ignorable   an encoder drops the value in a version that cannot carry it, instead of failing
 *     inflexible  keeps its plain length in flexible versions (the client id of the request header)
 * Types: bool int8 int16 uint16 int32 uint32 int64 float64 uuid string bytes records, and structures, opened
 * in place by a brace or by `struct` at the end of the file. Versions of an inner field lie within those of
 * the structure around it.
 *
 * The C of a message, snake_case of Kafka's names, KRaft in one piece (kraft_version):
 *     struct kp_fetch_request, struct kp_fetch_request_fetch_topic ...
 *     array        `struct kp_fetch_request_fetch_topic *topics; int32_t topics_n;`   topics_n < 0: null
 *     nullable structure   a pointer, NULL for null; any other structure is embedded
 *     void kp_<message>_init(m), kp_<message>_<structure>_init(s)    every field to its default
 *     int64_t kp_<message>_decode(m, buf, len, version, arena)
 *         Bytes consumed (the caller decides about a rest), or -EBADMSG (malformed), -ENOMEM (the arena is at
 *         its limit), -EPROTONOSUPPORT (version not defined). Every field is set, so m needs no init.
 *         Strings, bytes and records point into buf and live as long; arrays and nullable structures come
 *         from the arena.
 *     int64_t kp_<message>_size(m, version)
 *         Encoded bytes, spliced ones not counted; -EINVAL when m does not fit the version: a field that is
 *         neither default nor ignorable and that the version lacks, a null where none may be, a string over
 *         32767 bytes; -EPROTONOSUPPORT.
 *     int kp_<message>_encode(m, version, w)
 *         Appends at w->len. 0, -EINVAL and -EPROTONOSUPPORT as above, or -ENOBUFS: w->cap or w->splices_cap
 *         is reached. On failure len and splices_n are as before and w->err keeps the error: later calls
 *         return it.
 *
 * A nullable structure without `= null` defaults to a shared, read-only empty structure: do not write through
 * a pointer that init or decode left there, set your own.
 * All functions are pure: any thread, no globals written.
 */
#ifndef SLUICE_PROTO_CODEC_H
#define SLUICE_PROTO_CODEC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/base/uuid.h"

/* UTF-8, not terminated. n < 0: null. */
struct kp_str {
    const char *p;
    int32_t n;
};

/* n < 0: null. */
struct kp_bytes {
    const uint8_t *p;
    int32_t n;
};

/* Record batches. n < 0: null. With ext the encoder writes only the length n and notes a splice. */
struct kp_records {
    const uint8_t *p;
    int32_t n;
    void *ext; /* the caller's, borrowed; handed on in kp_splice */
};

#define kp_uuid sl_uuid

/* len bytes of ext belong behind the first `at` bytes of the writer's buffer, in the order of the splices. */
struct kp_splice {
    size_t at;
    void *ext;
    int32_t len;
};

/* Where an encoder writes: the caller's memory throughout. Zero it, then set buf and cap, and splices and
 * splices_cap if records may carry ext. */
struct kp_writer {
    uint8_t *buf;
    size_t cap;
    size_t len;
    struct kp_splice *splices;
    uint32_t splices_n;
    uint32_t splices_cap;
    int err; /* first error, sticky */
};

/* A C string literal or terminated string as kp_str. */
#define KP_STR_LIT(s) ((struct kp_str){(s), (int32_t)sizeof(s) - 1})
#define KP_STR_NULL   ((struct kp_str){NULL, -1})
#define KP_BYTES_NULL ((struct kp_bytes){NULL, -1})

static inline struct kp_str kp_str_of(const char *s)
{
    struct kp_str r = {s, s ? (int32_t)strlen(s) : -1};
    return r;
}

/* Null equals only null. */
static inline bool kp_str_eq(struct kp_str a, struct kp_str b)
{
    return a.n == b.n && (a.n <= 0 || memcmp(a.p, b.p, (size_t)a.n) == 0);
}

/* One Kafka API, as defined here. */
struct kp_api {
    int16_t key;
    int16_t min, max;      /* versions served */
    int16_t flexible_from; /* first flexible version; INT16_MAX: never */
    const char *name;      /* "Produce" */
#ifdef __cplusplus
    char class_;
#else
    char class; /* 'A', 'B', 'C': see docs/PROTOCOL.md */
#endif
};

enum kp_kind {
    KP_KIND_REQUEST,
    KP_KIND_RESPONSE,
    KP_KIND_HEADER,
    KP_KIND_METADATA,  /* __cluster_metadata; key: the record type */
    KP_KIND_GROUP_KEY, /* __consumer_offsets; key: the record type, which is the int16 in front of the key */
    KP_KIND_GROUP_VALUE, /* key as of its KP_KIND_GROUP_KEY; the int16 in front of a value is its version */
    KP_KIND_TXN_KEY,     /* __transaction_state, likewise */
    KP_KIND_TXN_VALUE,
    KP_KIND_DATA,
};

/* A message without its type: for tests and tools, not for the data path. The functions are those described
 * above, m a struct kp_<message>. */
struct kp_message {
    const char *name;   /* "ProduceRequest" */
    const char *c_name; /* "produce_request" */
    uint32_t struct_size;
    int16_t min, max, flexible_from;
    int16_t key; /* -1: none */
    uint8_t kind;
    void (*init)(void *m);
    int64_t (*decode)(void *m, const uint8_t *buf, size_t len, int16_t version, struct arena *a);
    int64_t (*size)(const void *m, int16_t version);
    int (*encode)(const void *m, int16_t version, struct kp_writer *w);
};

SL_EXTERN_C_BEGIN

/* The definition of an API key, or NULL when there is none. */
const struct kp_api *kp_api_find(int16_t key);

/* All APIs in ascending order of key; *n says how many. */
const struct kp_api *kp_api_all(uint32_t *n);

/* Version of the RequestHeader (1 or 2) that goes with a request of this key and version; -1 for an unknown
 * key. A version out of range is answered as if it were in. */
int16_t kp_request_header_version(int16_t key, int16_t version);

/* Version of the ResponseHeader (0 or 1) likewise; that of ApiVersions is always 0. */
int16_t kp_response_header_version(int16_t key, int16_t version);

/* Every message, sorted by kind, key and name; *n says how many. */
const struct kp_message *kp_message_all(uint32_t *n);

/* The message of this kind and key (the latter as in kp_message), or NULL. Meant for kinds that have keys. */
const struct kp_message *kp_message_find(enum kp_kind kind, int16_t key);

/* The message of Kafka's name ("FetchRequest", "TopicRecord"), or NULL. */
const struct kp_message *kp_message_named(const char *name);

SL_EXTERN_C_END

#endif
