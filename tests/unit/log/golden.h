/* Reading fixtures of tests/golden/records. Header-only; for the log room's unit tests. SLUICE_GOLDEN_DIR comes from the
 * build: __FILE__ may be relative to a directory that the program does not run in. */
#ifndef SLUICE_TESTS_UNIT_LOG_GOLDEN_H
#define SLUICE_TESTS_UNIT_LOG_GOLDEN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"

/* The whole file in memory of exactly its size, so that a sanitizer sees reads beyond it. The caller frees
 * it. */
static inline uint8_t *golden_read(const char *name, size_t *n)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/records/%s", SLUICE_GOLDEN_DIR, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        sl_panic("cannot open %s", path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*n ? *n : 1);
    SL_ASSERT(p != NULL && fread(p, 1, *n, f) == *n);
    fclose(f);
    return p;
}

#endif
