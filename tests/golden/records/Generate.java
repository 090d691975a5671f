// Writes the fixtures of this folder with Kafka's own classes; see README.md. Not part of the build.
import java.io.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.utils.*;
import org.apache.kafka.metadata.properties.*;
import org.apache.kafka.raft.ElectionState;
import org.apache.kafka.raft.FileQuorumStateStore;
import org.apache.kafka.raft.ReplicaKey;
import org.apache.kafka.server.common.*;
import org.apache.kafka.server.storage.log.*;
import org.apache.kafka.server.util.*;
import org.apache.kafka.storage.internals.checkpoint.*;
import org.apache.kafka.storage.internals.epoch.*;
import org.apache.kafka.storage.internals.log.*;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

public class Generate {
    static final long T0 = 1700000000000L;
    static Path out;

    static byte[] utf8(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static void write(String name, byte[] b) throws IOException {
        Files.write(out.resolve(name), b);
    }

    static byte[] bytes(ByteBuffer b) {
        ByteBuffer d = b.duplicate();
        byte[] r = new byte[d.remaining()];
        d.get(r);
        return r;
    }

    // The records that test_batch.c and test_record.c build as well.
    static List<SimpleRecord> sample(int n) {
        List<SimpleRecord> l = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            byte[] key = i % 5 == 0 ? null : utf8("key-" + i);
            byte[] value = i % 7 == 3 ? null : utf8("value-" + i + "-" + "x".repeat(i * 13 % 200));
            Header[] h = i % 4 == 1
                ? new Header[] {new RecordHeader("h1", utf8("v" + i)), new RecordHeader("h2", (byte[]) null)}
                : new Header[0];
            l.add(new SimpleRecord(T0 + i * 10 + (i == 7 ? 100000 : 0), key, value, h));
        }
        return l;
    }

    static byte[] batch(Compression c, List<SimpleRecord> recs, long pid, short epoch, int seq, boolean txn) {
        ByteBuffer buf = ByteBuffer.allocate(1 << 16);
        MemoryRecordsBuilder b = new MemoryRecordsBuilder(new ByteBufferOutputStream(buf), RecordBatch.MAGIC_VALUE_V2, c,
            TimestampType.CREATE_TIME, 0L, 0L, pid, epoch, seq, txn, false, RecordBatch.NO_PARTITION_LEADER_EPOCH,
            1 << 26, RecordBatch.NO_TIMESTAMP);
        for (SimpleRecord r : recs)
            b.append(r);
        return bytes(b.build().buffer());
    }

    static byte[] plain(Compression c, List<SimpleRecord> recs) {
        return batch(c, recs, -1L, (short) -1, -1, false);
    }

    static Compression codec(int id) {
        return Compression.of(CompressionType.forId(id)).build();
    }

    static void batches() throws IOException {
        for (int id = 0; id <= 4; id++) {
            String name = CompressionType.forId(id).name;
            write("batch-" + name + ".bin", plain(codec(id), sample(40)));
            // Several blocks of each codec: 300 KB, mostly repeating.
            List<SimpleRecord> big = new ArrayList<>();
            Random rnd = new Random(7);
            for (int i = 0; i < 300; i++) {
                byte[] v = new byte[1000];
                Arrays.fill(v, (byte) i);
                for (int k = 0; k < 10; k++)
                    v[rnd.nextInt(1000)] = (byte) rnd.nextInt();
                big.add(new SimpleRecord(T0 + i, utf8("k" + i), v));
            }
            if (id != 0)
                write("big-" + name + ".bin", plain(codec(id), big));
        }
        write("batch-idempotent.bin", batch(Compression.NONE, sample(3), 4711L, (short) 5, 2147483646, true));
        ByteBuffer b = ByteBuffer.allocate(1024);
        write("control-commit.bin", bytes(MemoryRecords.withEndTransactionMarker(12L, T0, 3, 4711L, (short) 5,
            new EndTransactionMarker(ControlRecordType.COMMIT, 77)).buffer()));
        write("control-abort.bin", bytes(MemoryRecords.withEndTransactionMarker(13L, T0, 3, 4711L, (short) 5,
            new EndTransactionMarker(ControlRecordType.ABORT, 77)).buffer()));
        LeaderChangeMessage lc = new LeaderChangeMessage().setVersion((short) 0).setLeaderId(1).setVoters(List.of(
            new LeaderChangeMessage.Voter().setVoterId(1), new LeaderChangeMessage.Voter().setVoterId(2)))
            .setGrantingVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(1)));
        write("control-leader-change.bin", bytes(MemoryRecords.withLeaderChangeMessage(0L, T0, 4, b, lc).buffer()));
        b = ByteBuffer.allocate(1024);
        write("control-kraft-version.bin", bytes(MemoryRecords.withKRaftVersionRecord(1L, T0, 4, b,
            new KRaftVersionRecord().setVersion((short) 0).setKRaftVersion((short) 1)).buffer()));
        b = ByteBuffer.allocate(1024);
        VotersRecord.EndpointCollection e = new VotersRecord.EndpointCollection();
        e.add(new VotersRecord.Endpoint().setName("CONTROLLER").setHost("localhost").setPort(9093));
        VotersRecord v = new VotersRecord().setVersion((short) 0).setVoters(List.of(new VotersRecord.Voter()
            .setVoterId(1).setVoterDirectoryId(new Uuid(0x0102030405060708L, 0x1112131415161718L)).setEndpoints(e)
            .setKRaftVersionFeature(new VotersRecord.KRaftVersionFeature().setMinSupportedVersion((short) 0)
                .setMaxSupportedVersion((short) 1))));
        write("control-kraft-voters.bin", bytes(MemoryRecords.withVotersRecord(2L, T0, 4, b, v).buffer()));
        b = ByteBuffer.allocate(1024);
        write("control-snapshot-header.bin", bytes(MemoryRecords.withSnapshotHeaderRecord(0L, T0, 4, b,
            new SnapshotHeaderRecord().setVersion((short) 0).setLastContainedLogTimestamp(T0 + 5)).buffer()));
        b = ByteBuffer.allocate(1024);
        write("control-snapshot-footer.bin", bytes(MemoryRecords.withSnapshotFooterRecord(9L, T0, 4, b,
            new SnapshotFooterRecord().setVersion((short) 0)).buffer()));
    }

    static class Never extends CompletableFuture<Object> implements ScheduledFuture<Object> {
        public long getDelay(TimeUnit u) { return 0; }
        public int compareTo(Delayed o) { return 0; }
    }

    static class NoScheduler implements Scheduler {
        public void startup() { }
        public void shutdown() { }
        public ScheduledFuture<?> schedule(String name, Runnable task, long delayMs, long periodMs) {
            return new Never();
        }
        public void resizeThreadPool(int n) { }
    }

    static class Clock implements Time {
        long now = T0;
        public long milliseconds() { return now; }
        public long hiResClockMs() { return now; }
        public long nanoseconds() { return now * 1000000; }
        public void sleep(long ms) { now += ms; }
        public void waitObject(Object o, java.util.function.Supplier<Boolean> c, long d) { throw new IllegalStateException(); }
        public org.apache.kafka.common.utils.Timer timer(long t) { throw new IllegalStateException(); }
    }

    static Clock clock = new Clock();

    static UnifiedLog open(Path dir, Map<String, String> props) throws IOException {
        return UnifiedLog.create(dir.toFile(), new LogConfig(props), 0L, 0L, new NoScheduler(), new BrokerTopicStats(), clock,
            900000, new ProducerStateManagerConfig(86400000, false), 600000, new LogDirFailureChannel(1), true,
            Optional.of(new Uuid(1, 2)));
    }

    // ---- validate-cases.bin ----

    record Rules(int version, boolean appendTime, boolean compacted, long now, long before, long after, int max, int segment) { }

    static DataOutputStream cases;
    static int caseCount;
    static Path tmp;

    static void run(boolean strict, Rules r, byte[] in) throws Exception {
        Map<String, String> p = new HashMap<>();
        p.put("max.message.bytes", "" + r.max);
        p.put("segment.bytes", "" + r.segment);
        p.put("segment.index.bytes", "1000");
        p.put("cleanup.policy", r.compacted ? "compact" : "delete");
        p.put("message.timestamp.type", r.appendTime ? "LogAppendTime" : "CreateTime");
        p.put("message.timestamp.before.max.ms", "" + r.before);
        p.put("message.timestamp.after.max.ms", "" + r.after);
        clock.now = r.now;
        Path dir = tmp.resolve("case-" + caseCount + "-0").resolve("t-0");
        UnifiedLog log = open(dir, p);
        short error = 0;
        List<Integer> bad = new ArrayList<>();
        long maxTs = -1, appendTime = -1;
        int attributes = 0;
        long crc = 0;
        byte[] copy = in.clone();
        MemoryRecords recs = MemoryRecords.readableRecords(ByteBuffer.wrap(copy));
        try {
            ProduceRequest.validateRecords((short) r.version, recs);
            LogAppendInfo info = log.appendAsLeader(recs, 9, AppendOrigin.CLIENT, RequestLocal.noCaching(),
                VerificationGuard.SENTINEL, TransactionVersion.TV_UNKNOWN);
            maxTs = info.maxTimestamp();
            appendTime = info.logAppendTime();
            ByteBuffer b = ByteBuffer.wrap(Files.readAllBytes(dir.resolve("00000000000000000000.log")));
            attributes = b.getShort(21);
            crc = b.getInt(17) & 0xffffffffL;
        } catch (RecordValidationException e) {
            error = Errors.forException(e.invalidException()).code();
            for (var re : e.recordErrors())
                bad.add(re.batchIndex);
        } catch (Throwable e) {
            error = Errors.forException(e).code();
        }
        log.close();
        cases.writeByte(strict ? 1 : 0);
        cases.writeShort(r.version);
        cases.writeByte(r.appendTime ? 1 : 0);
        cases.writeByte(r.compacted ? 1 : 0);
        cases.writeLong(r.now);
        cases.writeLong(r.before);
        cases.writeLong(r.after);
        cases.writeInt(r.max);
        cases.writeInt(r.segment);
        cases.writeInt(in.length);
        cases.write(in);
        cases.writeShort(error);
        cases.writeLong(maxTs);
        cases.writeLong(appendTime);
        cases.writeInt(attributes);
        cases.writeInt((int) crc);
        cases.writeInt(bad.size());
        for (int i : bad)
            cases.writeInt(i);
        caseCount++;
    }

    interface Edit { void apply(ByteBuffer b); }

    static byte[] edit(byte[] in, boolean seal, Edit e) {
        byte[] c = in.clone();
        ByteBuffer b = ByteBuffer.wrap(c);
        e.apply(b);
        return seal ? seal(c) : c;
    }

    static byte[] seal(byte[] c) {
        ByteBuffer b = ByteBuffer.wrap(c);
        b.putInt(8, c.length - 12);
        b.putInt(17, (int) Crc32C.compute(b, 21, c.length - 21));
        return c;
    }

    static byte[] concat(byte[]... parts) {
        ByteArrayOutputStream o = new ByteArrayOutputStream();
        for (byte[] p : parts)
            o.writeBytes(p);
        return o.toByteArray();
    }

    static void validation() throws Exception {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        cases = new DataOutputStream(body);
        Rules d = new Rules(13, false, false, T0 + 1000, Long.MAX_VALUE, 3600000, 1048588, 1 << 20);
        Rules lat = new Rules(13, true, false, T0 + 1000, Long.MAX_VALUE, 3600000, 1048588, 1 << 20);
        Rules comp = new Rules(13, false, true, T0 + 1000, Long.MAX_VALUE, 3600000, 1048588, 1 << 20);
        Rules tight = new Rules(13, false, false, T0 + 100, 40, 50, 1048588, 1 << 20);
        Rules both = new Rules(13, false, true, T0 + 100, 40, 50, 1048588, 1 << 20);
        for (int id = 0; id <= 4; id++) {
            byte[] ok = plain(codec(id), sample(12));
            for (Rules r : List.of(d, lat, comp, tight, both))
                run(true, r, ok);
            for (int version : new int[] {3, 6, 7, 9})
                run(true, new Rules(version, false, false, T0, Long.MAX_VALUE, 3600000, 1048588, 1 << 20), ok);
            run(true, d, edit(ok, false, b -> b.putInt(17, b.getInt(17) ^ 1)));
            run(true, d, edit(ok, false, b -> b.put(60 + 5, (byte) (b.get(65) ^ 0x10))));
            for (int magic : new int[] {0, 1, 3, 255})
                run(true, d, edit(ok, true, b -> b.put(16, (byte) magic)));
            for (int len : new int[] {-1, 0, 13, Integer.MAX_VALUE - 12, ok.length - 11, ok.length - 13})
                run(true, d, edit(ok, false, b -> b.putInt(8, len)));
            for (int n : new int[] {0, 5, 11, 12, 16, 17, 60, ok.length - 1})
                run(true, d, Arrays.copyOf(ok, n));
            run(true, d, edit(ok, true, b -> b.putLong(0, 5)));
            for (int delta : new int[] {-1, 0, 10, 12, Integer.MAX_VALUE})
                run(true, d, edit(ok, true, b -> b.putInt(23, delta)));
            for (int count : new int[] {-1, 0, 11, 13})
                run(true, d, edit(ok, true, b -> b.putInt(57, count)));
            for (int n : new int[] {11, 13})
                run(true, d, edit(ok, true, b -> { b.putInt(57, n); b.putInt(23, n - 1); }));
            run(true, d, edit(ok, true, b -> b.putShort(21, (short) (b.getShort(21) | 0x20))));
            run(true, d, edit(ok, true, b -> b.putShort(21, (short) (b.getShort(21) | 0x40))));
            for (int bits : new int[] {0x80, 0x100, 0xff00})
                for (Rules r : List.of(d, lat))
                    run(true, r, edit(ok, true, b -> b.putShort(21, (short) (b.getShort(21) | bits))));
            for (Rules r : List.of(d, lat, tight)) {
                run(true, r, edit(ok, true, b -> b.putShort(21, (short) (b.getShort(21) | 8))));
                run(true, r, edit(ok, true, b -> { b.putShort(21, (short) (b.getShort(21) | 8)); b.putLong(35, -1); }));
                run(true, r, edit(ok, true, b -> b.putLong(35, 1)));
                run(true, r, edit(ok, true, b -> b.putLong(35, Long.MAX_VALUE)));
                run(true, r, edit(ok, true, b -> b.putLong(27, -1)));
                run(true, r, edit(ok, true, b -> b.putLong(27, Long.MAX_VALUE)));
                run(true, r, edit(ok, true, b -> b.putLong(27, Long.MIN_VALUE)));
            }
            run(true, d, edit(ok, true, b -> b.putLong(43, 9)));
            run(true, d, edit(ok, true, b -> { b.putLong(43, 9); b.putInt(53, 0); b.putShort(51, (short) 0); }));
            for (int c : new int[] {5, 6, 7})
                for (int version : new int[] {6, 9})
                    run(true, new Rules(version, false, false, T0, Long.MAX_VALUE, 3600000, 1048588, 1 << 20),
                        edit(ok, true, b -> b.putShort(21, (short) c)));
            run(true, new Rules(13, false, false, T0, Long.MAX_VALUE, 3600000, ok.length - 1, 1 << 20), ok);
            run(true, new Rules(13, false, false, T0, Long.MAX_VALUE, 3600000, ok.length, 1 << 20), ok);
            run(true, d, concat(ok, ok));
            run(true, d, concat(ok, new byte[5]));
            run(true, d, concat(ok, new byte[20]));
            run(true, d, concat(ok, Arrays.copyOf(ok, 50)));
            // The stream is whole, then goes on; or it is not the codec's at all.
            run(id == 0, d, seal(concat(ok, new byte[3])));
            run(id == 0, d, seal(Arrays.copyOf(ok, ok.length - 3)));
            run(id == 0, d, seal(Arrays.copyOf(ok, 61)));
            run(id == 0, d, seal(Arrays.copyOf(ok, 63)));
            run(false, d, seal(concat(Arrays.copyOf(ok, 61), random(100, id))));
            Random rnd = new Random(id);
            for (int i = 0; i < 50; i++)
                run(false, i % 2 == 0 ? d : both, edit(ok, true, b -> {
                    for (int k = 0; k <= rnd.nextInt(3); k++)
                        b.put(61 + rnd.nextInt(ok.length - 61), (byte) rnd.nextInt());
                }));
        }
        DataOutputStream o = new DataOutputStream(new FileOutputStream(out.resolve("validate-cases.bin").toFile()));
        o.writeInt(caseCount);
        o.write(body.toByteArray());
        o.close();
        System.out.println(caseCount + " cases");
    }

    static byte[] random(int n, long seed) {
        byte[] b = new byte[n];
        new Random(seed).nextBytes(b);
        return b;
    }

    // ---- producer-trace.txt and the files of the log that it made ----

    static void producers() throws Exception {
        Map<String, String> p = new HashMap<>();
        p.put("index.interval.bytes", "300");
        p.put("message.timestamp.after.max.ms", "" + Long.MAX_VALUE);
        clock.now = T0;
        Path dir = tmp.resolve("trace").resolve("t-0");
        UnifiedLog log = open(dir, p);
        StringBuilder trace = new StringBuilder();
        Random rnd = new Random(42);
        int[] next = {0, 0, Integer.MAX_VALUE - 7, 100, 0, 0};
        int[] epoch = {0, 0, 3, 7, 0, 0};
        int[] lastFirst = new int[6], lastCount = {1, 1, 1, 1, 1, 1};
        boolean[] open = new boolean[6];
        for (int i = 0; i < 1500; i++) {
            int pid = rnd.nextInt(6);
            long ts = T0 + i * 7 - (rnd.nextInt(4) == 0 ? rnd.nextInt(100) : 0);
            String head;
            MemoryRecords recs;
            AppendOrigin origin = AppendOrigin.CLIENT;
            short tv = TransactionVersion.TV_UNKNOWN;
            int dice = rnd.nextInt(20);
            if (dice == 0) {
                log.updateHighWatermark(log.logEndOffset() - rnd.nextInt((int) Math.min(5, log.logEndOffset() + 1)));
                trace.append("H ").append(log.highWatermark()).append(" -> ").append(log.lastStableOffset()).append('\n');
                continue;
            } else if (dice <= 3) {
                boolean commit = rnd.nextBoolean();
                tv = (short) (rnd.nextBoolean() ? 2 : 0);
                int e = epoch[pid] + (tv == 2 ? 1 : 0) - (rnd.nextInt(8) == 0 ? 1 : 0);
                int coordinator = 5 + i / 300 - (rnd.nextInt(10) == 0 ? 1 : 0);
                recs = MemoryRecords.withEndTransactionMarker(ts, pid, (short) e,
                    new EndTransactionMarker(commit ? ControlRecordType.COMMIT : ControlRecordType.ABORT, coordinator));
                origin = AppendOrigin.COORDINATOR;
                head = "M " + pid + " " + e + " " + coordinator + " " + (commit ? 1 : 0) + " " + tv + " " + ts;
                if (tv == 2 && e > epoch[pid]) {
                    epoch[pid] = e;
                    next[pid] = 0;
                }
                open[pid] = false;
            } else {
                int count = 1 + rnd.nextInt(4);
                int seq = next[pid];
                int e = epoch[pid];
                boolean txn = pid >= 3 ? (open[pid] || rnd.nextInt(3) == 0) : rnd.nextInt(40) == 0;
                if (pid >= 3 && rnd.nextInt(25) == 0)
                    txn = !txn;
                int kind = rnd.nextInt(14);
                if (kind == 0) {
                    seq = lastFirst[pid];
                    count = lastCount[pid];
                } else if (kind == 1) {
                    seq = rnd.nextInt(5);
                } else if (kind == 2) {
                    e = Math.max(0, e - 1);
                } else if (kind == 3) {
                    e = e + 1;
                    seq = rnd.nextInt(3) == 0 ? 1 : 0;
                } else if (kind == 4) {
                    seq = DefaultRecordBatch.incrementSequence(seq, 1);
                }
                List<SimpleRecord> l = new ArrayList<>();
                for (int k = 0; k < count; k++)
                    l.add(new SimpleRecord(ts, utf8("k" + k), utf8("v".repeat(k * 10))));
                recs = MemoryRecords.readableRecords(ByteBuffer.wrap(batch(Compression.NONE, l, pid, (short) e, seq, txn)));
                head = "D " + pid + " " + e + " " + seq + " " + count + " " + (txn ? 1 : 0) + " " + ts + " " + recs.sizeInBytes();
            }
            short error = 0;
            long first = -1, last = -1;
            long end = log.logEndOffset();
            try {
                LogAppendInfo info = log.appendAsLeader(recs, 1, origin, RequestLocal.noCaching(), VerificationGuard.SENTINEL, tv);
                first = info.firstOffset();
                last = info.lastOffset();
                if (log.logEndOffset() == end)
                    error = Errors.DUPLICATE_SEQUENCE_NUMBER.code();
                else if (head.startsWith("D")) {
                    RecordBatch b = recs.batches().iterator().next();
                    lastFirst[pid] = b.baseSequence();
                    lastCount[pid] = (int) (last - first + 1);
                    epoch[pid] = b.producerEpoch();
                    next[pid] = DefaultRecordBatch.incrementSequence(b.baseSequence(), lastCount[pid]);
                    open[pid] |= b.isTransactional();
                }
            } catch (Throwable t) {
                error = Errors.forException(t).code();
            }
            trace.append(head).append(" -> ").append(error).append(' ').append(first).append(' ').append(last).append('\n');
        }
        log.updateHighWatermark(log.logEndOffset());
        trace.append("H ").append(log.highWatermark()).append(" -> ").append(log.lastStableOffset()).append('\n');
        write("producer-trace.txt", utf8(trace.toString()));
        log.takeProducerSnapshot();
        long end = log.logEndOffset();
        log.close();
        String base = "00000000000000000000";
        write("trace.index", Files.readAllBytes(dir.resolve(base + ".index")));
        write("trace.timeindex", Files.readAllBytes(dir.resolve(base + ".timeindex")));
        write("trace.txnindex", Files.readAllBytes(dir.resolve(base + ".txnindex")));
        write("trace.snapshot", Files.readAllBytes(dir.resolve(String.format("%020d.snapshot", end))));
    }

    static void texts() throws Exception {
        LogDirFailureChannel f = new LogDirFailureChannel(1);
        File dir = tmp.resolve("texts").toFile();
        dir.mkdirs();
        File part = new File(dir, "t-0");
        part.mkdirs();
        LeaderEpochCheckpointFile e = new LeaderEpochCheckpointFile(LeaderEpochCheckpointFile.newFile(part), f);
        e.write(List.of(new EpochEntry(0, 0), new EpochEntry(3, 17), new EpochEntry(4, 9000000000L)));
        write("leader-epoch-checkpoint", Files.readAllBytes(LeaderEpochCheckpointFile.newFile(part).toPath()));
        File oc = new File(dir, "recovery-point-offset-checkpoint");
        Map<TopicPartition, Long> m = new LinkedHashMap<>();
        m.put(new TopicPartition("topic-a", 0), 1234L);
        m.put(new TopicPartition("topic.b_c", 70000), 9000000000L);
        new OffsetCheckpointFile(oc, f).write(m);
        write("recovery-point-offset-checkpoint", Files.readAllBytes(oc.toPath()));
        PartitionMetadataFile pm = new PartitionMetadataFile(PartitionMetadataFile.newFile(part), f);
        pm.record(new Uuid(0x0102030405060708L, 0xf112131415161718L));
        pm.maybeFlush();
        write("partition.metadata", Files.readAllBytes(PartitionMetadataFile.newFile(part).toPath()));
        new CleanShutdownFileHandler(dir.getPath()).write(42L);
        write("kafka_cleanshutdown", Files.readAllBytes(dir.toPath().resolve(".kafka_cleanshutdown")));
        FileQuorumStateStore q = new FileQuorumStateStore(new File(dir, "quorum-state"));
        q.writeElectionState(ElectionState.withElectedLeader(7, 1, Optional.empty(), Set.of(1)), KRaftVersion.KRAFT_VERSION_0);
        write("quorum-state-0", Files.readAllBytes(q.path()));
        q.writeElectionState(ElectionState.withVotedCandidate(8, ReplicaKey.of(1, new Uuid(0x0102030405060708L, 0xf112131415161718L)),
            Set.of()), KRaftVersion.KRAFT_VERSION_1);
        write("quorum-state-1", Files.readAllBytes(q.path()));
        MetaProperties mp = new MetaProperties.Builder().setVersion(MetaPropertiesVersion.V1).setClusterId("a b:c=1")
            .setNodeId(12).setDirectoryId(new Uuid(0x0102030405060708L, 0xf112131415161718L)).build();
        PropertiesUtils.writePropertiesFile(mp.toProperties(), out.resolve("meta.properties").toString(), false);
    }

    public static void main(String[] args) throws Exception {
        out = Paths.get(args[0]);
        tmp = Files.createTempDirectory("fixtures");
        batches();
        texts();
        producers();
        validation();
    }
}
