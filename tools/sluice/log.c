/* sluice log: dump and check, by subcommand. */
#include <stdio.h>
#include <string.h>

#include "tools/sluice/command.h"
#include "tools/sluice/log_command.h"

int log_usage(void)
{
    fputs("usage: sluice log dump [--records | --values] FILE...\n"
          "       sluice log check [--repair] DIR...\n"
          "\n"
          "dump   prints what segments, indexes, snapshots, checkpoints and journals hold\n"
          "check  verifies a stopped broker's log directories: every batch, index, snapshot and journal; "
          "exit status\n"
          "       0: sound, 1: something is wrong, 2: it could not be checked. --repair writes damaged "
          "indexes\n"
          "       anew from the batches; it never removes a batch\n",
          stderr);
    return 2;
}

int command_log(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "dump") == 0)
        return log_command_dump(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "check") == 0)
        return log_command_check(argc - 1, argv + 1);
    return log_usage();
}
