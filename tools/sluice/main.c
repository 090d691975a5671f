/* sluice: the command line beside the daemon. `sluice NAME ARGS` runs one subcommand. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/err.h"
#include "tools/sluice/command.h"

const char *argp_program_version = "sluice " SLUICE_VERSION;

static const struct {
    const char *name;
    const char *usage; /* what follows the name */
    const char *doc;
    command_fn run;
} commands[] = {
    {"bench", "[MODE] [KEY=VALUE...]", "put load on a broker and measure it", command_bench},
    {"crash-check", "[OPTIONS] DIRECTORY", "kill a broker on this disk, and verify what was acknowledged",
     command_crash_check},
    {"docs", "config|metrics", "print docs/CONFIG.md or docs/METRICS.md from the tables", command_docs},
    {"log", "dump|check", "print or verify the files of log directories", command_log},
    {"version", "", "print the version and what this build was made with", command_version},
};

struct chosen {
    size_t index;
    int at; /* of the subcommand's name in argv */
};

/* The list of subcommands, behind the options in --help. */
static char *help_filter(int key, const char *text, void *input)
{
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    char *out = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&out, &len);
    if (!f)
        return (char *)text;
    fputs("Commands:\n", f);
    for (size_t i = 0; i < SL_ARRAY_LEN(commands); i++)
        fprintf(f, "  %-11s %-22s %s\n", commands[i].name, commands[i].usage, commands[i].doc);
    fclose(f);
    return out;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct chosen *c = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        for (c->index = 0; c->index < SL_ARRAY_LEN(commands); c->index++) {
            if (strcmp(commands[c->index].name, arg) == 0)
                break;
        }
        if (c->index == SL_ARRAY_LEN(commands))
            argp_error(state, "no such command: %s", arg);
        c->at = state->next - 1;
        state->next = state->argc; /* the rest is the subcommand's */
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {NULL,
                                     parse,
                                     "COMMAND [ARGS...]",
                                     "Works on the data and the settings of sluiced, the broker.\v ",
                                     NULL,
                                     help_filter,
                                     NULL};
    struct chosen c = {0};
    char name[64];
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &c))
        return 2;
    snprintf(name, sizeof(name), "sluice %s", commands[c.index].name);
    argv[c.at] = name;
    return commands[c.index].run(argc - c.at, argv + c.at);
}
