/* Lines and tokens of Kafka's small text files; used by textfiles.c and epoch.c. */
#ifndef SLUICE_LOG_TEXTFILES_PRIVATE_H
#define SLUICE_LOG_TEXTFILES_PRIVATE_H

#include "engine/base/err.h"

/* A run of bytes in the file; no NUL behind it. */
struct text_token {
    const char *p;
    size_t n;
};

#define TEXT_TOKENS_MAX 4

/* Takes a line off [*p, end), without its "\n" or "\r\n". False at the end. */
bool text_line(const char **p, const char *end, struct text_token *out);

/* Splits a line at runs of spaces and tabs. Returns the number of tokens, TEXT_TOKENS_MAX + 1 when there
 * are more. A line that starts with white space has an empty first token, as upstream's split gives it. */
unsigned text_split(struct text_token line, struct text_token out[TEXT_TOKENS_MAX]);

/* A decimal number in [min, max], with an optional sign. 0 or -EBADMSG. */
int text_int(struct text_token t, int64_t min, int64_t max, int64_t *out);

/* A line of a checkpoint file. Returns 0 or a negative error, which ends the parse. */
typedef int (*text_line_fn)(void *arg, const struct text_token *tokens, unsigned count);

/* A checkpoint file: "0", the number of entries, and a line for each, which goes to fn. An empty file has
 * no entries, and neither has one with a version only. 0, -EBADMSG, or fn's error. */
int text_checkpoint_parse(const char *p, size_t n, text_line_fn fn, void *arg);

#endif
