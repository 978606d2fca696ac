package org.apache.kafka.connect.storage;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintWriter;
import java.lang.reflect.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import javax.crypto.spec.SecretKeySpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.runtime.*;
import org.apache.kafka.connect.runtime.distributed.DistributedConfig;
import org.apache.kafka.connect.util.*;

/**
 * Records what Kafka Connect's own stores make of records, and which records they write, as lines of JSON:
 * config.jsonl, status.jsonl, offsets.jsonl (folds over random records), writes.jsonl, and a standalone worker's standalone.offsets.
 *
 *   javac -d /tmp/oracle -cp 'lib/*' Oracle.java && java -cp '/tmp/oracle:lib/*' org.apache.kafka.connect.storage.Oracle .
 *   (lib: connect-runtime, connect-json 4.3.1 and what they need; Java 17)
 */
public class Oracle {
    static final ObjectMapper JSON = new ObjectMapper();
    static final Random RANDOM = new Random(4311);
    static String folder;

    public static void main(String[] args) throws Exception {
        folder = args[0] + "/";
        config();
        status();
        offsets();
        writes();
        file();
        System.exit(0);
    }

    // Folds

    static void config() throws Exception {
        try (PrintWriter out = new PrintWriter(folder + "config.jsonl", StandardCharsets.UTF_8)) {
            for (int i = 0; i < 240; i++) {
                List<String[]> records = new ArrayList<>();
                int length = 1 + RANDOM.nextInt(24);
                for (int n = 0; n < length; n++) records.add(configRecord(i % 4 == 3));
                out.println(JSON.writeValueAsString(foldConfig(records, RANDOM.nextInt(length + 1))));
            }
        }
    }

    static String name() { return pick("a", "b", "a-1", "connector-a", "", "é😀"); }

    @SafeVarargs
    static <T> T pick(T... values) { return values[RANDOM.nextInt(values.length)]; }

    static String props() {
        return pick("{\"properties\":{\"k\":\"" + RANDOM.nextInt(3) + "\"}}", "{\"properties\":{\"k\":\"1\",\"name\":\"x\"}}",
            "{\"properties\":{}}");
    }

    static String oddProps() {
        return pick(null, "null", "", "{}", "[]", "7", "\"text\"", "{\"properties\":null}", "{\"properties\":[]}", "{", "{\"properties\":{\"n\":5,\"b\":true,\"z\":null}}");
    }

    static String[] configRecord(boolean odd) {
        String c = name();
        boolean bad = odd && RANDOM.nextInt(3) == 0;
        switch (RANDOM.nextInt(14)) {
            case 0: case 1: return new String[] {"connector-" + c, bad ? oddProps() : props()};
            case 2: return new String[] {"connector-" + c, null};
            case 3: case 4: case 5: return new String[] {"task-" + c + "-" + RANDOM.nextInt(3), bad ? oddProps() : props()};
            case 6: case 7: return new String[] {"commit-" + c, bad ? pick(null, "null", "{}", "[]", "{\"tasks\":\"1\"}", "{\"tasks\":1.5}", "{\"tasks\":null}") : "{\"tasks\":" + RANDOM.nextInt(3) + "}"};
            case 8: return new String[] {"target-state-" + c, bad
                ? pick("null", "{}", "[]", "{\"state\":7}", "{\"state\":\"PAUSED\",\"state.v2\":7}", "{\"state\":\"PAUSED\",\"state.v2\":null}", "{\"state\":\"NO\"}", "{\"state\":\"PAUSED\",\"state.v2\":\"NO\"}", "{\"state.v2\":\"STOPPED\"}")
                : pick("{\"state\":\"STARTED\",\"state.v2\":\"STARTED\"}", "{\"state\":\"PAUSED\",\"state.v2\":\"PAUSED\"}", "{\"state\":\"PAUSED\",\"state.v2\":\"STOPPED\"}", "{\"state\":\"PAUSED\"}")};
            case 9: return new String[] {"target-state-" + c, null};
            case 10: return new String[] {"tasks-fencing-" + c, bad ? oddProps() : "{\"task-count\":" + RANDOM.nextInt(3) + "}"};
            case 11: return new String[] {"restart-connector-" + c, bad ? pick(null, "[]", "{}", "{\"include-tasks\":1,\"only-failed\":\"x\"}") : "{\"include-tasks\":" + RANDOM.nextBoolean() + ",\"only-failed\":" + RANDOM.nextBoolean() + "}"};
            case 12: return new String[] {"session-key", bad
                ? pick(null, "[]", "{}", "{\"key\":7,\"algorithm\":\"A\",\"creation-timestamp\":1}", "{\"key\":\"!\",\"algorithm\":\"A\",\"creation-timestamp\":1}", "{\"key\":\"\",\"algorithm\":\"A\",\"creation-timestamp\":1}", "{\"key\":\"QQ==\",\"algorithm\":\"A\",\"creation-timestamp\":1.5}")
                : "{\"key\":\"" + pick("QUJD", "MTIzNA==") + "\",\"algorithm\":\"HmacSHA256\",\"creation-timestamp\":" + RANDOM.nextInt(100) + "}"};
            default: return bad
                ? new String[] {pick("", "task-", "task-a", "task-a-x", "task--1", "task-a-1-", "task-a-1--", "task-a-+1", "what", "connecto", "session-key2", "commit"), props()}
                : new String[] {"logger-cluster-" + pick("root", "org.x"), odd ? pick(null, "{}", "{\"level\":1}") : "{\"level\":\"DEBUG\"}"};
        }
    }

    static KafkaConfigBackingStore configStore() throws Exception {
        Map<String, String> props = new HashMap<>();
        props.put("bootstrap.servers", "127.0.0.1:1");
        props.put("group.id", "g");
        for (String topic : List.of("config", "offset", "status")) props.put(topic + ".storage.topic", topic);
        props.put("key.converter", "org.apache.kafka.connect.json.JsonConverter");
        props.put("value.converter", "org.apache.kafka.connect.json.JsonConverter");
        DistributedConfig config = new DistributedConfig(props);
        field(WorkerConfig.class, "kafkaClusterId").set(config, "x");
        return new KafkaConfigBackingStore(converter(), config, null, () -> null, "x");
    }

    static JsonConverter converter() {
        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", "false"), false);
        return converter;
    }

    static Field field(Class<?> type, String name) throws Exception {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    static Map<String, Object> foldConfig(List<String[]> records, int started) throws Exception {
        KafkaConfigBackingStore store = configStore();
        List<Object> events = new ArrayList<>();
        store.setUpdateListener(new ConfigBackingStore.UpdateListener() {
            public void onConnectorConfigRemove(String connector) { events.add(List.of("removed", connector)); }
            public void onConnectorConfigUpdate(String connector) { events.add(List.of("updated", connector)); }
            public void onTaskConfigUpdate(Collection<ConnectorTaskId> tasks) { events.add(List.of("tasks")); }
            public void onConnectorTargetStateChange(String connector) { events.add(List.of("target", connector)); }
            public void onSessionKeyUpdate(SessionKey key) { events.add(List.of("key")); }
            public void onRestartRequest(RestartRequest r) { events.add(List.of("restart", r.connectorName(), r.includeTasks(), r.onlyFailed())); }
            public void onLoggingLevelUpdate(String namespace, String level) { events.add(List.of("logger", namespace, level)); }
        });
        Class<?> type = Class.forName("org.apache.kafka.connect.storage.KafkaConfigBackingStore$ConsumeCallback");
        Constructor<?> constructor = type.getDeclaredConstructor(KafkaConfigBackingStore.class);
        constructor.setAccessible(true);
        @SuppressWarnings("unchecked")
        Callback<ConsumerRecord<String, byte[]>> callback = (Callback<ConsumerRecord<String, byte[]>>) constructor.newInstance(store);
        long offset = 0;
        for (String[] record : records) {
            if (offset == started) field(KafkaConfigBackingStore.class, "started").set(store, true);
            try {
                callback.onCompletion(null, new ConsumerRecord<>("config", 0, offset, record[0], bytes(record[1])));
            } catch (RuntimeException e) {
                // KafkaBasedLog logs it and goes on
            }
            offset++;
        }
        ClusterConfigState state = store.snapshot();
        Map<String, Object> connectors = new TreeMap<>();
        Set<String> names = new TreeSet<>(state.connectorConfigs.keySet());
        names.addAll(state.connectorTaskCountRecords.keySet());
        names.addAll(state.connectorsPendingFencing);
        names.addAll(state.inconsistentConnectors);
        names.addAll(state.connectorTaskConfigGenerations.keySet());
        for (String name : names) {
            Map<String, Object> one = new LinkedHashMap<>();
            Map<String, String> config = state.rawConnectorConfig(name);
            one.put("config", texts(config));
            one.put("target", config == null ? null : String.valueOf(state.targetState(name)));
            one.put("count", state.connectorTaskCounts.get(name));
            List<Object> tasks = new ArrayList<>();
            for (ConnectorTaskId task : state.tasks(name)) tasks.add(texts(state.rawTaskConfig(task)));
            one.put("tasks", tasks);
            one.put("applied", texts(state.appliedConnectorConfig(name)));
            one.put("inconsistent", state.inconsistentConnectors().contains(name));
            one.put("fenced", state.taskCountRecord(name));
            one.put("pending", state.pendingFencing(name));
            one.put("generation", state.taskConfigGeneration(name));
            connectors.put(name, one);
        }
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("records", records);
        result.put("started", started);
        result.put("offset", state.offset());
        SessionKey key = state.sessionKey();
        result.put("key", key == null ? null : List.of(Base64.getEncoder().encodeToString(key.key().getEncoded()), key.key().getAlgorithm(), key.creationTimestamp()));
        result.put("connectors", connectors);
        result.put("events", events);
        return result;
    }

    static Map<String, String> texts(Map<?, ?> map) {
        if (map == null) return null;
        Map<String, String> result = new TreeMap<>();
        map.forEach((key, value) -> { if (value != null) result.put((String) key, String.valueOf(value)); });
        return result;
    }

    static byte[] bytes(String text) { return text == null ? null : text.getBytes(StandardCharsets.UTF_8); }

    static String text(byte[] bytes) { return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8); }

    static void status() throws Exception {
        try (PrintWriter out = new PrintWriter(folder + "status.jsonl", StandardCharsets.UTF_8)) {
            for (int i = 0; i < 120; i++) {
                KafkaStatusBackingStore store = new KafkaStatusBackingStore(Time.SYSTEM, converter(), "status", () -> null, new Sent<String>());
                List<String[]> records = new ArrayList<>();
                int length = 1 + RANDOM.nextInt(20);
                for (int n = 0; n < length; n++) {
                    String[] record = statusRecord(i % 4 == 3);
                    records.add(record);
                    try {
                        store.read(new ConsumerRecord<>("status", 0, n, record[0], bytes(record[1])));
                    } catch (RuntimeException e) {
                        // as above
                    }
                }
                Map<String, Object> result = new LinkedHashMap<>();
                result.put("records", records);
                Map<String, Object> connectors = new TreeMap<>(), tasks = new TreeMap<>(), topics = new TreeMap<>();
                for (String name : NAMES) {
                    if (store.get(name) != null) connectors.put(name, dump(store.get(name)));
                    for (TaskStatus task : store.getAll(name)) tasks.put(name + "|" + task.id().task(), dump(task));
                    for (TopicStatus topic : store.getAllTopics(name)) topics.put(name + "|" + topic.topic(), List.of(topic.connector(), topic.task(), topic.discoverTimestamp()));
                }
                result.put("connectors", connectors);
                result.put("tasks", tasks);
                result.put("topics", topics);
                // May another worker of generation 5 write over it?
                Map<String, Object> safe = new TreeMap<>();
                for (String name : NAMES) {
                    Sent<String> sent = new Sent<>();
                    field(KafkaStatusBackingStore.class, "kafkaLog").set(store, sent);
                    store.putSafe(new ConnectorStatus(name, AbstractStatus.State.UNASSIGNED, "w9:1", 5, null));
                    safe.put(name, !sent.records.isEmpty());
                }
                result.put("safe", safe);
                out.println(JSON.writeValueAsString(result));
            }
        }
    }

    static final String[] NAMES = {"a", "b", "a-1", "connector-a", ":", "", "1"};

    static Object dump(AbstractStatus<?> status) {
        return Arrays.asList(status.state().name(), status.trace(), status.workerId(), status.generation(), status.version());
    }

    static String[] statusRecord(boolean odd) {
        String c = pick("a", "b", "a-1", "connector-a", ":");
        boolean bad = odd && RANDOM.nextInt(3) == 0;
        String value = RANDOM.nextInt(6) == 0 ? null
            : "{\"state\":\"" + pick("RUNNING", "RUNNING", "UNASSIGNED", "UNASSIGNED", "FAILED", "PAUSED", "STOPPED", "RESTARTING") + "\",\"trace\":" + pick("null", "\"t\\n\"")
            + ",\"worker_id\":\"w" + RANDOM.nextInt(3) + ":1\",\"generation\":" + RANDOM.nextInt(8) + ",\"version\":" + pick("null", "\"4.3.1\"") + "}";
        String topic = "{\"topic\":{\"name\":\"t1\",\"connector\":\"" + c + "\",\"task\":" + RANDOM.nextInt(3) + ",\"discoverTimestamp\":" + RANDOM.nextInt(100) + "}}";
        if (bad) {
            value = pick("", "null", "{}", "[]", "{", "{\"state\":\"NO\",\"worker_id\":\"w\",\"generation\":1}", "{\"state\":\"RUNNING\",\"worker_id\":\"w\",\"generation\":\"1\"}",
                "{\"state\":\"RUNNING\",\"worker_id\":\"w\",\"generation\":1}", "{\"state\":\"RUNNING\",\"trace\":5,\"worker_id\":\"w\",\"generation\":1}");
            topic = pick("", "{}", "{\"topic\":{}}", "{\"topic\":{\"name\":\"t1\",\"connector\":\"a\",\"task\":\"0\",\"discoverTimestamp\":1}}", "{\"topic\":{\"name\":\"t1\",\"task\":0,\"discoverTimestamp\":1}}");
        }
        switch (RANDOM.nextInt(6)) {
            case 0: case 1: return new String[] {"status-connector-" + c, value};
            case 2: case 3: return new String[] {"status-task-" + c + "-" + RANDOM.nextInt(2), value};
            case 4: return new String[] {"status-topic-t1:connector-" + c, RANDOM.nextInt(5) == 0 ? null : topic};
            default: return new String[] {bad ? pick("", "status-connector-", "status-task-a", "status-task-a-x", "status-task--1", "status-task-a-1-", "status-topic-", "status-topic-t1", "status-topic-:connector-a", "status-topic-t1:connector-") : "status-connector-" + c, value};
        }
    }

    static void offsets() throws Exception {
        try (PrintWriter out = new PrintWriter(folder + "offsets.jsonl", StandardCharsets.UTF_8)) {
            for (int i = 0; i < 100; i++) {
                KafkaOffsetBackingStore store = new KafkaOffsetBackingStore(() -> null, () -> "x", converter());
                List<String[]> records = new ArrayList<>();
                int length = 1 + RANDOM.nextInt(16);
                for (int n = 0; n < length; n++) {
                    String p = pick("{\"f\":\"x\"}", "{\"f\":\"y\"}", "{\"f\":1}", "{}", "{\"a\":1.0,\"b\":true}", "{\"x\":null}");
                    String key = "[\"" + pick("a", "b", "é") + "\"," + p + "]";
                    if (i % 4 == 3) key = pick(key, "", "null", "7", "[]", "[\"a\"]", "[1,{}]", "[\"a\",null]", "[\"a\",{},1]", "[\"a\",[]]", "{");
                    String value = RANDOM.nextInt(4) == 0 ? null : "{\"position\":" + RANDOM.nextInt(10) + "}";
                    records.add(new String[] {key, value});
                    store.consumedCallback.onCompletion(null, new ConsumerRecord<>("o", 0, n, bytes(key), bytes(value)));
                }
                Map<String, Object> connectors = new TreeMap<>();
                for (String name : List.of("a", "b", "é")) {
                    OffsetStorageReaderImpl reader = new OffsetStorageReaderImpl(new Read(store), name, converter(), converter());
                    List<Object> all = new ArrayList<>();
                    for (Map<String, Object> partition : store.connectorPartitions(name)) {
                        Map<String, Object> found = reader.offset(partition);
                        // Kafka Connect does not find what is not written as it would write it.
                        if (found != null) all.add(List.of(partition, found));
                    }
                    connectors.put(name, all);
                }
                Map<String, Object> result = new LinkedHashMap<>();
                result.put("records", records);
                result.put("connectors", connectors);
                out.println(JSON.writeValueAsString(result));
            }
        }
    }

    /** A store that has read to the end. */
    static class Read extends MemoryOffsetBackingStore {
        Read(KafkaOffsetBackingStore store) { data = store.data; executor = Executors.newSingleThreadExecutor(task -> { Thread thread = new Thread(task); thread.setDaemon(true); return thread; }); }
        public Set<Map<String, Object>> connectorPartitions(String name) { return Set.of(); }
    }

    // Records that are written

    /** A log that keeps what is sent. */
    static class Sent<K> extends KafkaBasedLog<K, byte[]> {
        final List<Object[]> records = new ArrayList<>();
        Sent() { super("t", new HashMap<>(), new HashMap<>(), () -> null, (error, record) -> { }, Time.SYSTEM, null); }
        public void send(K key, byte[] value) { records.add(new Object[] {key, value}); }
        public void send(K key, byte[] value, org.apache.kafka.clients.producer.Callback callback) { send(key, value); }
        public Future<RecordMetadata> sendWithReceipt(K key, byte[] value) { send(key, value); return CompletableFuture.completedFuture(null); }
        public Future<Void> readToEnd() { return CompletableFuture.completedFuture(null); }
    }

    static PrintWriter written;

    static void writes() throws Exception {
        written = new PrintWriter(folder + "writes.jsonl", StandardCharsets.UTF_8);
        String[] texts = {"x", "", "a b/c", "q\"\\/\b\f\n\r\t\u0000\u001f\u007f", "é ü 中 😀 \u2028", "<>&'"};
        for (String text : texts) {
            Map<String, String> props = new LinkedHashMap<>();
            props.put("name", text);
            props.put(text, "v");
            props.put("connector.class", "FileStreamSource");
            for (TargetState target : new TargetState[] {null, TargetState.STARTED, TargetState.PAUSED, TargetState.STOPPED})
                config("connector", store -> store.putConnectorConfig(text, props, target), text, props, target);
            config("delete", store -> store.removeConnectorConfig(text), text);
            config("tasks", store -> store.putTaskConfigs(text, List.of(new HashMap<>(props), Map.of())), text, List.of(props, Map.of()));
            config("logger", store -> store.putLoggerLevel(text, "INFO"), text, "INFO");
            status("connector-status", store -> store.put(new ConnectorStatus(text, AbstractStatus.State.FAILED, text, "h:1", 7, null)), text, text);
            status("task-status", store -> store.put(new TaskStatus(new ConnectorTaskId(text, 3), AbstractStatus.State.RUNNING, "h:1", -1, null, text)), text, text);
            status("topic-status", store -> store.put(new TopicStatus("t-1", text, 2, 1795215667121L)), text);
            status("gone", store -> {
                store.put(new ConnectorStatus(text, AbstractStatus.State.DESTROYED, "h:1", 1, null));
                store.put(new TaskStatus(new ConnectorTaskId(text, 3), AbstractStatus.State.DESTROYED, "h:1", 1));
                store.deleteTopic(text, "t-1");
            }, text);
            offset(text, map("k", text, text, true), map("z", null, "position", 6L));
        }
        for (TargetState target : TargetState.values()) config("target", store -> store.putTargetState("c", target), "c", target);
        config("no-tasks", store -> store.putTaskConfigs("c", List.of()), "c");
        config("fencing", store -> store.putTaskCountRecord("c", 3), "c", 3);
        for (int bits = 0; bits < 4; bits++) {
            boolean failed = (bits & 1) > 0, tasks = (bits & 2) > 0;
            config("restart", store -> store.putRestartRequest(new RestartRequest("c", failed, tasks)), "c", tasks, failed);
        }
        byte[] key = new byte[32];
        for (int i = 0; i < 32; i++) key[i] = (byte) (i * 37);
        config("session-key", store -> store.putSessionKey(new SessionKey(new SecretKeySpec(key, "HmacSHA256"), 1795215623697L)),
            Base64.getEncoder().encodeToString(key), "HmacSHA256", 1795215623697L);
        offset("n", map("l", Long.MAX_VALUE, "m", Long.MIN_VALUE, "i", -1L, "d", 1.5, "e", 1.0E10, "f", 1.0E-5, "g", 100.0, "h", -0.0),
            map("d", 0.1, "e", 123456789.123, "f", 3.0E-300, "g", 9007199254740993L));
        for (int i = 0; i < 120; i++) {
            Map<String, Object> partition = new LinkedHashMap<>();
            int size = RANDOM.nextInt(i < 90 ? 8 : 40);
            for (int n = 0; n < size; n++) partition.put(word(i % 3), (long) n);
            offset("c", partition, partition);
            Map<String, String> props = new LinkedHashMap<>();
            partition.forEach((name, value) -> props.put(name, "v" + value));
            config("tasks", store -> store.putTaskConfigs("c", List.of(new HashMap<>(props))), "c", List.of(props));
        }
        for (int size = 2; size <= 10; size++) {
            Map<String, Object> partition = new LinkedHashMap<>();
            for (int n = 0; n < size; n++) partition.put(colliding(n), (long) n);
            partition.put("other", 1L);
            offset("c", partition, Map.of());
        }
        written.close();
    }

    static void file() throws Exception {
        Map<String, String> props = new HashMap<>();
        props.put("bootstrap.servers", "127.0.0.1:1");
        props.put("key.converter", "org.apache.kafka.connect.json.JsonConverter");
        props.put("value.converter", "org.apache.kafka.connect.json.JsonConverter");
        props.put("offset.storage.file.filename", folder + "standalone.offsets");
        FileOffsetBackingStore store = new FileOffsetBackingStore(converter());
        store.configure(new org.apache.kafka.connect.runtime.standalone.StandaloneConfig(props));
        store.start();
        Map<ByteBuffer, ByteBuffer> values = new HashMap<>();
        for (int i = 0; i < 20; i++)
            values.put(ByteBuffer.wrap(bytes("[\"c\",{\"filename\":\"/tmp/" + i + "\"}]")), i == 7 ? null : ByteBuffer.wrap(bytes("{\"position\":" + i + "}")));
        store.set(values, null).get();
        store.stop();
    }

    static Map<String, Object> map(Object... entries) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < entries.length; i += 2) map.put((String) entries[i], entries[i + 1]);
        return map;
    }

    static String word(int kind) {
        if (kind == 0) return pick("connector.class", "tasks.max", "name", "topic", "file", "task.class", "protocol", "table", "schema", "database", "server", "batch.size", "topics", "value.converter", "key.converter", "incrementing", "timestamp", "mode") + pick("", "", "_1");
        if (kind == 1) return pick("Aa", "BB") + pick("Aa", "BB") + pick("", "x");
        StringBuilder word = new StringBuilder();
        for (int n = RANDOM.nextInt(6); n >= 0; n--) word.appendCodePoint(pick((int) 'a', (int) 'Z', 0xe9, 0x4e2d, 0x1f600, RANDOM.nextInt(0xd800 - 32) + 32));
        return word.toString();
    }

    static String colliding(int n) {
        StringBuilder word = new StringBuilder();
        for (int bit = 0; bit < 4; bit++) word.append((n >> bit & 1) == 0 ? "Aa" : "BB");
        return word.toString();
    }

    interface Use<S> { void with(S store) throws Exception; }

    static void config(String kind, Use<KafkaConfigBackingStore> use, Object... args) throws Exception {
        KafkaConfigBackingStore store = configStore();
        Sent<String> sent = new Sent<>();
        store.setConfigLog(sent);
        use.with(store);
        line(kind, args, sent.records);
    }

    static void status(String kind, Use<KafkaStatusBackingStore> use, Object... args) throws Exception {
        Sent<String> sent = new Sent<>();
        use.with(new KafkaStatusBackingStore(Time.SYSTEM, converter(), "status", () -> null, sent));
        line(kind, args, sent.records);
    }

    /** Maps are made as the converter makes them when it reads a request. */
    static void offset(String connector, Map<String, Object> partition, Map<String, Object> offset) throws Exception {
        KafkaOffsetBackingStore store = new KafkaOffsetBackingStore(() -> null, () -> "x", converter());
        Sent<byte[]> sent = new Sent<>();
        store.offsetLog = sent;
        OffsetStorageWriter writer = new OffsetStorageWriter(store, connector, converter(), converter());
        writer.offset(made(partition), made(offset));
        writer.beginFlush();
        writer.doFlush((error, result) -> { });
        line("offset", new Object[] {connector, partition, offset}, sent.records);
    }

    static Map<String, Object> made(Map<String, Object> map) {
        Map<String, Object> made = new HashMap<>();
        made.putAll(Map.of());
        map.forEach(made::put);
        return made;
    }

    static void line(String kind, Object[] args, List<Object[]> records) throws Exception {
        List<Object> shown = new ArrayList<>();
        for (Object[] record : records) {
            String key = record[0] instanceof byte[] ? text((byte[]) record[0]) : (String) record[0];
            shown.add(Arrays.asList(key, text((byte[]) record[1])));
        }
        written.println(JSON.writeValueAsString(map("kind", kind, "args", args, "records", shown)));
    }
}
