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
    X(COMMIT_GROUP_BATCHES, "sluice_commit_group_batches", "", HISTOGRAM, "batches", \
      "Record batches acknowledged by one commit group") \
    X(COMMIT_NS, "sluice_commit_ns", "", HISTOGRAM, "ns", \
      "Time from closing a commit group to its being durable") \
    X(JOURNAL_INLINE_BYTES, "sluice_journal_inline_bytes_total", "", COUNTER, "bytes", \
      "Batch bytes written inline to the journal") \
    X(JOURNAL_DIRECT_BYTES, "sluice_journal_direct_bytes_total", "", COUNTER, "bytes", \
      "Batch bytes written to segments only, with an entry in the journal that refers to them") \
    X(CHECKPOINTS, "sluice_checkpoints_total", "", COUNTER, "checkpoints", \
      "Checkpoints finished") \
    X(CHECKPOINT_NS, "sluice_checkpoint_ns", "", HISTOGRAM, "ns", \
      "Time that a checkpoint took") \
    X(FSYNCS, "sluice_fsyncs_total", "", COUNTER, "calls", \
      "fsync and fdatasync calls") \
    X(DISK_WRITE_BYTES, "sluice_disk_write_bytes_total", "", COUNTER, "bytes", \
      "Bytes written to disk: journal, segments, indexes") \
    X(DISK_READ_BYTES, "sluice_disk_read_bytes_total", "", COUNTER, "bytes", \
      "Bytes read from disk") \
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
    X(NET_CONNECTIONS, "sluice_net_connections", "", GAUGE, "connections", \
      "Open client connections") \
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
    X(DOORBELLS, "sluice_doorbells_total", "", COUNTER, "doorbells", \
      "Wake-ups sent to sleeping reactors") \
    X(MESSAGES, "sluice_messages_total", "", COUNTER, "messages", \
      "Messages sent between reactors") \
    X(POOL_RESERVED_BYTES, "sluice_pool_reserved_bytes", "", GAUGE, "bytes", \
      "Bytes that buffer pools hold from the system") \
    X(POOL_USED_BYTES, "sluice_pool_used_bytes", "", GAUGE, "bytes", \
      "Bytes of buffer pools that are in use")
/* clang-format on */

#endif
