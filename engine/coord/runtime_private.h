// Between runtime.c and load.c; see runtime.h.
#ifndef SLUICE_ENGINE_COORD_RUNTIME_PRIVATE_H
#define SLUICE_ENGINE_COORD_RUNTIME_PRIVATE_H

#include "engine/coord/runtime.h"

// A message to the shard is under way.
void crt_ref(struct crt_part *p);
void crt_unref(struct crt_part *p);
void crt_appended(struct crt_part *p);
// The log is in memory: requests are served from now on.
void crt_loaded(struct crt_part *p);
// Cannot go on: loads again after a pause.
void crt_fail(struct crt_part *p, int16_t error);

// load.c
void load_begin(struct crt_part *p);
void load_again(struct crt_part *p); // memory was short
void load_cancel(struct crt_part *p);
void load_slice_came(struct crt_part *p);

#endif
