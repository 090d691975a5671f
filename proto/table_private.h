/* Tables that the codegen fills. */
#ifndef SLUICE_PROTO_TABLE_PRIVATE_H
#define SLUICE_PROTO_TABLE_PRIVATE_H

#include "proto/codec.h"

extern const struct kp_api kp_apis[]; /* ascending keys */
extern const uint32_t kp_apis_n;
extern const int16_t kp_api_index[]; /* by key 0..kp_api_key_max: place in kp_apis, or -1 */
extern const int16_t kp_api_key_max;
extern const struct kp_message kp_messages[];
extern const uint32_t kp_messages_n;

#endif
