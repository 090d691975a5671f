/* What a message is made of, at run time: for tests and for tools that print messages. Linked only where
 * used. */
#ifndef SLUICE_PROTO_REFLECT_H
#define SLUICE_PROTO_REFLECT_H

#include "proto/codec.h"

enum kp_type {
    KP_TYPE_BOOL,
    KP_TYPE_INT8,
    KP_TYPE_INT16,
    KP_TYPE_UINT16,
    KP_TYPE_INT32,
    KP_TYPE_UINT32,
    KP_TYPE_INT64,
    KP_TYPE_FLOAT64,
    KP_TYPE_UUID,
    KP_TYPE_STRING,
    KP_TYPE_BYTES,
    KP_TYPE_RECORDS,
    KP_TYPE_STRUCT,
};

struct kp_struct_info;

struct kp_field_info {
    const char *name;                 /* Kafka's */
    const struct kp_struct_info *sub; /* KP_TYPE_STRUCT: its parts */
    uint32_t offset;                  /* in the structure; of the pointer, for an array */
    uint32_t offset_n;                /* of an array's count */
    int16_t min, max;                 /* versions that have it */
    int16_t null_min, null_max;       /* versions in which it may be null; -1, -1: none */
    int16_t tag;                      /* -1: not tagged */
    uint8_t type;                     /* enum kp_type, of an element for an array */
    bool array;
    bool pointer; /* a nullable structure */
    bool ignorable;
};

struct kp_struct_info {
    const char *name;
    const struct kp_field_info *fields;
    uint32_t fields_n;
    uint32_t size; /* in C */
    void (*init)(void *s);
};

SL_EXTERN_C_BEGIN

/* The parts of a message; m comes from kp_message_all, kp_message_find or kp_message_named. */
const struct kp_struct_info *kp_message_reflect(const struct kp_message *m);

SL_EXTERN_C_END

#endif
