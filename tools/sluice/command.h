/* Subcommands of the sluice program. One function each, in a file of its own, with a row in main.c's table. */
#ifndef SLUICE_TOOLS_SLUICE_COMMAND_H
#define SLUICE_TOOLS_SLUICE_COMMAND_H

/* A subcommand: argv[0] is "sluice NAME", the rest are its own arguments, up to a NULL. Returns the exit status:
 * 0, 1 when it failed, 2 when it was called wrongly. */
typedef int (*command_fn)(int argc, char **argv);

int command_bench(int argc, char **argv);       /* bench.c */
int command_crash_check(int argc, char **argv); /* crash_check.c */
int command_docs(int argc, char **argv);        /* docs.c */
int command_log(int argc, char **argv);         /* log.c */
int command_version(int argc, char **argv);     /* version.c */

#endif
