/* sluice bench: the load generator (bench/load). */
#include "bench/load/load.h"
#include "tools/sluice/command.h"

int command_bench(int argc, char **argv)
{
    return load_main(argc, argv);
}
