/* sluice docs: pages of docs/ that are printed from the code's own tables. */
#include <stdio.h>
#include <string.h>

#include "engine/base/config.h"
#include "engine/base/metrics.h"
#include "tools/sluice/command.h"

static void print_metrics_docs(void)
{
    struct sbuf b;
    sbuf_init(&b);
    metrics_print_docs(&b);
    fputs(sbuf_cstr(&b), stdout);
    sbuf_free(&b);
}

int command_docs(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "config") == 0) {
        config_print_docs(stdout);
    } else if (argc == 2 && strcmp(argv[1], "metrics") == 0) {
        print_metrics_docs();
    } else {
        fprintf(stderr, "usage: %s config|metrics\n", argv[0]);
        return 2;
    }
    return fflush(stdout) ? 1 : 0;
}
