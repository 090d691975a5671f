/* The one table of metrics. A row is X(ID, "name", "labels", KIND, "unit", "prose"): ID becomes METRIC_ID;
 * KIND is COUNTER, GAUGE or HISTOGRAM; labels is "" or label="value" pairs, and rows that differ only in
 * labels stand together. Rooms add rows here; docs/METRICS.md is printed from it. Names follow Prometheus:
 * counters end in _total, and a unit is part of the name. */
#ifndef SLUICE_BASE_METRICS_TABLE_H
#define SLUICE_BASE_METRICS_TABLE_H

/* clang-format off */
#define METRICS_TABLE(X) \
    X(COMMIT_GROUPS, "sluice_commit_groups_total", "", COUNTER, "groups", \
      "Commit groups made durable, one journal write each") \
    X(COMMIT_GROUP_BYTES, "sluice_commit_group_bytes", "", HISTOGRAM, "bytes", \
      "Size of a commit group's journal write") \
    X(COMMIT_GROUP_ENTRIES, "sluice_commit_group_entries", "", HISTOGRAM, "entries", \
      "Journal entries in one commit group, most of them a record batch each") \
    X(COMMIT_NS, "sluice_commit_ns", "", HISTOGRAM, "ns", \
      "Time from closing a commit group to its being durable") \
    X(JOURNAL_BYTES, "sluice_journal_bytes_total", "", COUNTER, "bytes", \
      "Bytes written to the journal, padding included") \
    X(JOURNAL_INLINE_BYTES, "sluice_journal_inline_bytes_total", "", COUNTER, "bytes", \
      "Batch bytes written inline to the journal") \
    X(JOURNAL_DIRECT_BYTES, "sluice_journal_direct_bytes_total", "", COUNTER, "bytes", \
      "Batch bytes written to segments only, with an entry in the journal that refers to them") \
    X(CHECKPOINTS, "sluice_checkpoints_total", "", COUNTER, "checkpoints", \
      "Checkpoints finished") \
    X(CHECKPOINT_NS, "sluice_checkpoint_ns", "", HISTOGRAM, "ns", \
      "Time that a checkpoint took") \
    X(SEGMENTS_ROLLED, "sluice_segments_rolled_total", "", COUNTER, "segments", \
      "Segments that logs began") \
    X(SEGMENTS_AHEAD, "sluice_segments_ahead_total", "", COUNTER, "segments", \
      "Segments that logs began in a file made ahead, so that no append waited for it") \
    X(SEGMENTS_REMOVED, "sluice_segments_removed_total", "", COUNTER, "segments", \
      "Segments that retention or DeleteRecords removed") \
    X(COMPACTIONS, "sluice_compactions_total", "", COUNTER, "passes", \
      "Passes of compaction over a log that ended well") \
    X(FSYNCS, "sluice_fsyncs_total", "", COUNTER, "calls", \
      "fsync and fdatasync calls") \
    X(DSYNC_WRITES, "sluice_dsync_writes_total", "", COUNTER, "writes", \
      "Writes that were durable when they ended") \
    X(RING_OPERATIONS, "sluice_ring_operations_total", "", COUNTER, "operations", \
      "Operations handed to the kernel") \
    X(RING_ENTERS, "sluice_ring_enters_total", "", COUNTER, "calls", \
      "System calls that handed them over or waited") \
    X(RING_COMPLETIONS, "sluice_ring_completions_total", "", COUNTER, "completions", \
      "Completions taken from the kernel") \
    X(PRODUCE_REQUESTS, "sluice_produce_requests_total", "", COUNTER, "requests", \
      "Produce requests handled") \
    X(FETCH_REQUESTS, "sluice_fetch_requests_total", "", COUNTER, "requests", \
      "Fetch requests handled") \
    X(APPEND_BATCHES, "sluice_append_batches_total", "", COUNTER, "batches", \
      "Record batches appended to logs") \
    X(APPEND_RECORDS, "sluice_append_records_total", "", COUNTER, "records", \
      "Records appended to logs") \
    X(APPEND_BYTES, "sluice_append_bytes_total", "", COUNTER, "bytes", \
      "Bytes of record batches appended to logs") \
    X(NET_BYTES_IN, "sluice_net_received_bytes_total", "", COUNTER, "bytes", \
      "Bytes received from clients") \
    X(NET_BYTES_OUT, "sluice_net_sent_bytes_total", "", COUNTER, "bytes", \
      "Bytes sent to clients") \
    X(OFFLINE_DIRS, "sluice_offline_log_dirs", "", GAUGE, "directories", \
      "Log directories that could not be opened, or failed since") \
    X(NET_CONNECTIONS, "sluice_net_connections", "", GAUGE, "connections", \
      "Open client connections") \
    X(THROTTLED_REQUESTS, "sluice_throttled_requests_total", "", COUNTER, "requests", \
      "Requests whose answers named a throttle time, by a client quota") \
    X(PRODUCE_PARSED, "sluice_produce_stage_ns", "stage=\"parsed\"", HISTOGRAM, "ns", \
      "Time of Produce requests, by stage: decoding and planning") \
    X(PRODUCE_QUEUED, "sluice_produce_stage_ns", "stage=\"queued\"", HISTOGRAM, "ns", \
      "Time of Produce requests, by stage: the way to the shard") \
    X(PRODUCE_APPENDED, "sluice_produce_stage_ns", "stage=\"appended\"", HISTOGRAM, "ns", \
      "Time of Produce requests, by stage: validation, checks and the append in memory") \
    X(PRODUCE_WRITTEN, "sluice_produce_stage_ns", "stage=\"written\"", HISTOGRAM, "ns", \
      "Time of Produce requests, by stage: waiting for its commit group to be closed") \
    X(PRODUCE_DURABLE, "sluice_produce_stage_ns", "stage=\"durable\"", HISTOGRAM, "ns", \
      "Time of Produce requests, by stage: the write of its commit group") \
    X(PRODUCE_ANSWERED, "sluice_produce_stage_ns", "stage=\"answered\"", HISTOGRAM, "ns", \
      "Time of Produce requests, by stage: the way back, and answers before it") \
    X(PRODUCE_SENT, "sluice_produce_stage_ns", "stage=\"sent\"", HISTOGRAM, "ns", \
      "Time of Produce requests, by stage: until the socket took the answer") \
    X(PRODUCE_TOTAL, "sluice_produce_stage_ns", "stage=\"total\"", HISTOGRAM, "ns", \
      "Time of Produce requests, by stage: from the whole frame to the answer sent") \
    X(FETCH_PARSED, "sluice_fetch_stage_ns", "stage=\"parsed\"", HISTOGRAM, "ns", \
      "Time of Fetch requests, by stage: decoding and planning") \
    X(FETCH_WAITED, "sluice_fetch_stage_ns", "stage=\"waited\"", HISTOGRAM, "ns", \
      "Time of Fetch requests, by stage: waiting for records (min.bytes, max.wait.ms)") \
    X(FETCH_READ, "sluice_fetch_stage_ns", "stage=\"read\"", HISTOGRAM, "ns", \
      "Time of Fetch requests, by stage: the shards' look-up, cold reads too") \
    X(FETCH_ANSWERED, "sluice_fetch_stage_ns", "stage=\"answered\"", HISTOGRAM, "ns", \
      "Time of Fetch requests, by stage: gathering and encoding") \
    X(FETCH_SENT, "sluice_fetch_stage_ns", "stage=\"sent\"", HISTOGRAM, "ns", \
      "Time of Fetch requests, by stage: until the socket took the answer") \
    X(FETCH_TOTAL, "sluice_fetch_stage_ns", "stage=\"total\"", HISTOGRAM, "ns", \
      "Time of Fetch requests, by stage: from the whole frame to the answer sent") \
    X(COLD_HITS, "sluice_cold_hits_total", "", COUNTER, "extents", \
      "Extents of segments that a reader of old records found in the cache") \
    X(COLD_JOINED, "sluice_cold_joined_total", "", COUNTER, "extents", \
      "Extents that were being read already when a reader wanted them") \
    X(COLD_MISSES, "sluice_cold_misses_total", "", COUNTER, "extents", \
      "Extents that were read because a reader waited for them") \
    X(COLD_READ_BYTES, "sluice_cold_read_bytes_total", "", COUNTER, "bytes", \
      "Bytes of segments read from disk for readers, read-ahead included") \
    X(COLD_EVICTIONS, "sluice_cold_evictions_total", "", COUNTER, "extents", \
      "Extents that left the cache for others") \
    X(COLD_WASTED, "sluice_cold_wasted_bytes_total", "", COUNTER, "bytes", \
      "Bytes read ahead for a reader that did not come") \
    X(COLD_HELD, "sluice_cold_bytes", "", GAUGE, "bytes", \
      "Bytes in the cache of old records") \
    X(CQ_OVERFLOWS, "sluice_cq_overflows_total", "", COUNTER, "events", \
      "Completion queue overflows; must stay 0") \
    X(TURNS, "sluice_reactor_turns_total", "", COUNTER, "turns", \
      "Reactor turns") \
    X(STALLS_MESSAGES, "sluice_reactor_stalls_total", "phase=\"messages\"", COUNTER, "turns", \
      "Turns over the stall threshold, by the phase that took longest") \
    X(STALLS_COMPLETIONS, "sluice_reactor_stalls_total", "phase=\"completions\"", COUNTER, "turns", \
      "Turns over the stall threshold, by the phase that took longest") \
    X(STALLS_READY, "sluice_reactor_stalls_total", "phase=\"ready\"", COUNTER, "turns", \
      "Turns over the stall threshold, by the phase that took longest") \
    X(STALLS_FLUSH, "sluice_reactor_stalls_total", "phase=\"flush\"", COUNTER, "turns", \
      "Turns over the stall threshold, by the phase that took longest") \
    X(STALLS_PUBLISH, "sluice_reactor_stalls_total", "phase=\"publish\"", COUNTER, "turns", \
      "Turns over the stall threshold, by the phase that took longest") \
    X(STALLS_BUSY, "sluice_reactor_stalls_busy_total", "", COUNTER, "turns", \
      "Turns over the stall threshold in which the thread itself ran that long; in others it waited for a CPU or the kernel") \
    X(DOORBELLS, "sluice_doorbells_total", "", COUNTER, "doorbells", \
      "Wake-ups sent to sleeping reactors") \
    X(MESSAGES, "sluice_messages_total", "", COUNTER, "messages", \
      "Messages sent between reactors")
/* clang-format on */

#endif
