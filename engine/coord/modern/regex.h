/* Regular expressions over topic names, in RE2's syntax, as KIP-848 has it: libre2 behind C.
 *
 * A pattern's size and memory are bounded (CG_REGEX_MEM), and matching takes time linear in the text. A pattern
 * matches a name only as a whole. */
#ifndef SLUICE_ENGINE_COORD_MODERN_REGEX_H
#define SLUICE_ENGINE_COORD_MODERN_REGEX_H

#include "engine/base/err.h"

#define CG_REGEX_MEM (1 << 20) /* bytes that one compiled pattern may take */

SL_EXTERN_C_BEGIN

struct cg_regex;

/* Compiles n bytes of pattern. NULL when they are no regular expression, or too large a one; *why then says so in a
 * few words (static storage). */
struct cg_regex *cg_regex_compile(const char *pattern, size_t n, const char **why);

/* Whether the whole of the n bytes at text match. */
bool cg_regex_matches(const struct cg_regex *re, const char *text, size_t n);

/* NULL is allowed. */
void cg_regex_free(struct cg_regex *re);

SL_EXTERN_C_END

#endif
