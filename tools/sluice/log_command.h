/* sluice log: the offline tools over a log directory; see docs/OPERATIONS.md. Everything here is one thread and reads
 * only, unless a function says otherwise. */
#ifndef SLUICE_TOOLS_SLUICE_LOG_COMMAND_H
#define SLUICE_TOOLS_SLUICE_LOG_COMMAND_H

#include "tools/sluice/logfile.h"

struct log_dump_options {
    bool records; /* each record, not only each batch */
    bool values;  /* and the bytes of its key and value */
};

/* log.c: prints the usage to standard error; returns 2. */
int log_usage(void);

/* `sluice log dump` and `sluice log check`: argv[0] is the subcommand. The exit status. */
int log_command_dump(int argc, char **argv);
int log_command_check(int argc, char **argv);

/* What a file holds, on standard output. 0, or -EBADMSG when it is damaged behind what was printed. */
int log_dump_batches(const struct logfile *f, const struct log_dump_options *o);
/* The records of one batch of n bytes, if the options ask for them. 0, or -EBADMSG when it or they cannot be read. */
int log_dump_batch(const uint8_t *p, size_t n, const struct log_dump_options *o);
int log_dump_journal(const struct logfile *f, const struct log_dump_options *o);
int log_dump_shard_checkpoint(const struct logfile *f);
/* A producer snapshot's entries; its length and CRC were checked. */
void log_print_producers(const uint8_t *p, size_t n);

#endif
