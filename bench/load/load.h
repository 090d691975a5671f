// `sluice bench`: a load generator for any Kafka broker. See plan.h for what it can do, run.h for how.
#ifndef SLUICE_BENCH_LOAD_LOAD_H
#define SLUICE_BENCH_LOAD_LOAD_H

// argv[0] is "sluice bench". Returns 0; 1: the run failed or what was read is wrong; 2: called wrongly.
int load_main(int argc, char **argv);

#endif
