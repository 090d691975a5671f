/* sluice docs: pages of docs/ that are printed from the code's own tables. */
#include <stdio.h>
#include <string.h>

#include "engine/base/config.h"
#include "tools/sluice/command.h"

int command_docs(int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "config") != 0) {
        fprintf(stderr, "usage: %s config\n", argv[0]);
        return 2;
    }
    config_print_docs(stdout);
    return fflush(stdout) ? 1 : 0;
}
