/* sluice version: what to quote in a report. */
#include <stdio.h>

#include "tools/sluice/command.h"

int command_version(int argc, char **argv)
{
    if (argc != 1) {
        fprintf(stderr, "usage: %s\n", argv[0]);
        return 2;
    }
    printf("sluice %s\nprotocol: Kafka 4.3\ncompiler: %s\n", SLUICE_VERSION, __VERSION__);
#ifdef SLUICE_SANITIZED
    printf("sanitizers: on\n");
#endif
    return fflush(stdout) ? 1 : 0;
}
