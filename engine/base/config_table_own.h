/* Rows of the configuration table: keys of Sluice alone. Columns: config_table.h. */
#ifndef SLUICE_BASE_CONFIG_TABLE_OWN_H
#define SLUICE_BASE_CONFIG_TABLE_OWN_H

/* clang-format off */
/* Keys of Sluice alone. */
#define CFG_TABLE_OWN(X) \
    X(WRITE_CACHING_DEFAULT, "write.caching.default", BOOLEAN, "false", ANY, MEDIUM, READ_ONLY, \
      USED, 0, \
      "Whether topics are answered before their records are on disk, unless they say so themselves " \
      "(write.caching). A crash may then lose acknowledged records.") \
    X(RECORD_VALIDATION, "record.validation", STRING, "full", ONE_OF("full|header"), MEDIUM, \
      READ_ONLY, USED, 0, \
      "How deep a produced batch is checked: full walks every record, compressed ones too; header " \
      "trusts the records.") \
    X(SLUICE_REACTORS, "sluice.reactors", INT, "0", RANGE(0, 256), HIGH, READ_ONLY, USED, 0, \
      "Number of reactors, each one thread with one ring; 0 is one per core.") \
    X(SLUICE_PLACEMENT, "sluice.placement", STRING, "fused", ONE_OF("fused|split"), MEDIUM, \
      READ_ONLY, USED, 0, \
      "fused: every reactor serves connections and partitions. split: half of them each.") \
    X(SLUICE_PIN_CORES, "sluice.pin.cores", BOOLEAN, "true", ANY, MEDIUM, READ_ONLY, USED, 0, \
      "Whether each reactor is pinned to a core.") \
    X(SLUICE_POOL_BYTES, "sluice.pool.bytes", LONG, "268435456", RANGE(16777216, INT64_C(1) << 42), \
      HIGH, READ_ONLY, USED, 0, \
      "Memory for frames and cached records of all reactors; reserved at start, registered as it is " \
      "needed. Half of it holds the newest records, a quarter the cache of what was read from disk.") \
    X(SLUICE_READ_AHEAD_BYTES, "sluice.read.ahead.bytes", INT, "4194304", RANGE(0, 1073741824), MEDIUM, \
      READ_ONLY, USED, 0, \
      "Bytes that are read ahead at most for a reader that goes through old records in order; all readers of " \
      "a reactor together have half of its cache at most. 0: nothing is.") \
    X(SLUICE_JOURNAL_FILE_BYTES, "sluice.journal.file.bytes", LONG, "33554432", \
      RANGE(65536, 1073741824), MEDIUM, READ_ONLY, USED, 0, \
      "Size of one journal file; a multiple of 4096.") \
    X(SLUICE_JOURNAL_FILES, "sluice.journal.files", INT, "4", RANGE(3, 64), MEDIUM, READ_ONLY, USED, \
      0, "Journal files per shard and log directory.") \
    X(SLUICE_JOURNAL_SLOTS, "sluice.journal.slots", INT, "1", RANGE(1, 4), MEDIUM, READ_ONLY, USED, \
      0, "Commit groups that may be in flight at a time per shard and log directory.") \
    X(SLUICE_COMMIT_MAX_BYTES, "sluice.commit.max.bytes", INT, "4194304", RANGE(65536, 67108864), \
      MEDIUM, READ_ONLY, USED, 0, "Most bytes of one commit group.") \
    X(SLUICE_DIRECT_MIN_BYTES, "sluice.direct.min.bytes", INT, "65536", RANGE(0, 1073741824), MEDIUM, \
      READ_ONLY, USED, 0, \
      "Bytes of one partition in a commit group from which its large batches are written to the segment " \
      "only, not to the journal as well; 0: never.") \
    X(SLUICE_WRITEBACK_DIRTY_BYTES, "sluice.writeback.dirty.bytes", LONG, "67108864", \
      RANGE(65536, INT64_C(1) << 40), MEDIUM, READ_ONLY, USED, 0, \
      "Bytes held by the journal only, after which segments are written.") \
    X(SLUICE_WRITEBACK_AGE_MS, "sluice.writeback.age.ms", INT, "1000", RANGE(1, 3600000), MEDIUM, \
      READ_ONLY, USED, 0, "Age of such bytes after which segments are written.") \
    X(SLUICE_OPEN_SEGMENTS_MAX, "sluice.open.segments.max", INT, "0", RANGE(0, INT32_MAX), MEDIUM, \
      READ_ONLY, USED, 0, \
      "Segment files that are kept open, about: those used longest ago are closed. 0: half of what the " \
      "process may open.") \
    X(SLUICE_ZERO_COPY_MIN_BYTES, "sluice.zero.copy.min.bytes", INT, "32768", RANGE(0, INT32_MAX), \
      LOW, READ_ONLY, USED, 0, "Smallest send that is done without a copy; 0 always copies.") \
    X(SLUICE_METRICS_LISTENER, "sluice.metrics.listener", STRING, "", ANY, MEDIUM, READ_ONLY, USED, 0, \
      "host:port of an HTTP endpoint with metrics for Prometheus (/metrics) and the slowest requests " \
      "(/slow); empty: none.") \
    X(SLUICE_STALL_WARN_MS, "sluice.stall.warn.ms", INT, "100", RANGE(1, 60000), LOW, READ_ONLY, \
      USED, 0, "A reactor's turn that takes longer is logged with the phase that took the time.")

/* clang-format on */

#endif
