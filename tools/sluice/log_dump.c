/* sluice log dump FILE...: what the files of a log directory hold, a line an entry. Works on a copy, on a stopped
 * broker's directory, and on a running one's, where the newest batches may still be in the journal alone. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/log/index.h"
#include "engine/log/producer_state.h"
#include "engine/log/timeindex.h"
#include "engine/log/txnindex.h"
#include "tools/sluice/log_command.h"

static int dump_index(const struct logfile *f)
{
    struct offset_index x;
    offset_index_init(&x, SL_MAX(f->base_offset, 0), INT32_MAX);
    int rc = offset_index_load(&x, f->data, f->len - f->len % OFFSET_INDEX_ENTRY_SIZE, UINT32_MAX);
    for (uint32_t i = 0; i < x.count; i++)
        printf("offset %" PRId64 " position %u\n", x.base_offset + x.e[i].relative_offset, x.e[i].position);
    offset_index_destroy(&x);
    return rc;
}

static int dump_timeindex(const struct logfile *f)
{
    struct time_index x;
    time_index_init(&x, SL_MAX(f->base_offset, 0), INT32_MAX);
    int rc = time_index_load(&x, f->data, f->len - f->len % TIME_INDEX_ENTRY_SIZE);
    for (uint32_t i = 0; i < x.count; i++) {
        struct timestamp_offset e = time_index_at(&x, i);
        printf("timestamp %" PRId64 " offset %" PRId64 "\n", e.timestamp, e.offset);
    }
    time_index_destroy(&x);
    return rc;
}

static int dump_txnindex(const struct logfile *f)
{
    for (size_t at = 0; at + TXN_INDEX_ENTRY_SIZE <= f->len; at += TXN_INDEX_ENTRY_SIZE) {
        struct aborted_txn t;
        int rc = aborted_txn_decode(f->data + at, &t);
        if (rc)
            return rc;
        printf("aborted producer %" PRId64 " offsets %" PRId64 "..%" PRId64 " last stable offset %" PRId64
               "\n",
               t.producer_id, t.first_offset, t.last_offset, t.last_stable_offset);
    }
    return f->len % TXN_INDEX_ENTRY_SIZE ? -EBADMSG : 0;
}

static int dump_producers(const struct logfile *f)
{
    struct producer_state s;
    producer_state_init(&s, SL_MAX(f->base_offset, 0));
    int rc = producer_state_snapshot_load(&s, f->data, f->len, SL_MAX(f->base_offset, 0), 0, INT64_MAX);
    if (!rc)
        log_print_producers(f->data, f->len);
    producer_state_destroy(&s);
    return rc;
}

static int dump_file(const struct logfile *f, const struct log_dump_options *o)
{
    switch (f->kind) {
    case LOGFILE_SEGMENT:
        return log_dump_batches(f, o);
    case LOGFILE_INDEX:
        return dump_index(f);
    case LOGFILE_TIMEINDEX:
        return dump_timeindex(f);
    case LOGFILE_TXNINDEX:
        return dump_txnindex(f);
    case LOGFILE_PRODUCERS:
        return dump_producers(f);
    case LOGFILE_JOURNAL:
        return log_dump_journal(f, o);
    case LOGFILE_SHARD:
        return log_dump_shard_checkpoint(f);
    case LOGFILE_TEXT:
        fwrite(f->data, 1, f->len, stdout);
        return 0;
    case LOGFILE_UNKNOWN:
        break;
    }
    return -EOPNOTSUPP;
}

static int dump_path(const char *path, const struct log_dump_options *o)
{
    struct logfile f;
    int rc = logfile_open(&f, path);
    if (rc) {
        fprintf(stderr, "%s: %s\n", path, strerror(-rc));
        return 1;
    }
    printf("# %s, %zu bytes\n", path, f.len);
    rc = f.len ? dump_file(&f, o) : 0;
    fflush(stdout);
    if (rc == -EOPNOTSUPP)
        fprintf(
            stderr,
            "%s: not a file that can be dumped: allowed are .log, .index, .timeindex, .txnindex, .snapshot, "
            ".checkpoint, .journal and the text files of a log directory\n",
            path);
    else if (rc)
        fprintf(stderr, "%s: damaged: what was printed is what could be read\n", path);
    logfile_close(&f);
    return rc ? 1 : 0;
}

int log_command_dump(int argc, char **argv)
{
    struct log_dump_options o = {0};
    int failed = 0, files = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--records") == 0)
            o.records = true;
        else if (strcmp(argv[i], "--values") == 0)
            o.records = o.values = true;
        else if (argv[i][0] == '-')
            return log_usage();
        else
            files++;
    }
    if (!files)
        return log_usage();
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-')
            failed |= dump_path(argv[i], &o);
    }
    return failed;
}
