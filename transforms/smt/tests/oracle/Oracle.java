// Runs the cases of the *.jsonl files through Kafka Connect's own transformations and writes what they answer beside each case.
// See README.md for the command. One case a line: {"name", "class", "config", "record"}; the answer goes to "want".

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.header.Headers;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

@SuppressWarnings({"rawtypes", "unchecked"})
public class Oracle {
    static final ObjectMapper JSON = new ObjectMapper();
    static final long DAY = 86_400_000L;

    public static void main(String[] files) throws Exception {
        if (files[0].equals("tables")) {
            tables();
            return;
        }
        for (String file : files) {
            Path path = Path.of(file);
            List<String> out = new ArrayList<>();
            for (String line : Files.readAllLines(path)) {
                if (line.isBlank()) {
                    continue;
                }
                ObjectNode test = (ObjectNode) JSON.readTree(line);
                test.remove("want");
                test.set("want", answer(test));
                out.add(JSON.writeValueAsString(test));
            }
            Files.write(path, (String.join("\n", out) + "\n").getBytes(StandardCharsets.UTF_8));
        }
    }

    static final String[] CLASSES = {
        "Cast$Key", "Cast$Value", "DropHeaders", "ExtractField$Key", "ExtractField$Value", "Filter", "Flatten$Key", "Flatten$Value",
        "HeaderFrom$Key", "HeaderFrom$Value", "HoistField$Key", "HoistField$Value", "InsertField$Key", "InsertField$Value",
        "InsertHeader", "MaskField$Key", "MaskField$Value", "RegexRouter", "ReplaceField$Key", "ReplaceField$Value",
        "SetSchemaMetadata$Key", "SetSchemaMetadata$Value", "TimestampConverter$Key", "TimestampConverter$Value",
        "TimestampRouter", "ValueToKey", "predicates.HasHeaderKey", "predicates.RecordIsTombstone", "predicates.TopicNameMatches",
    };

    /** One key a line: class, name, type, default, importance. */
    static void tables() throws Exception {
        for (String name : CLASSES) {
            Object plugin = Class.forName("org.apache.kafka.connect.transforms." + name).getDeclaredConstructor().newInstance();
            ConfigDef def = plugin instanceof Predicate predicate ? predicate.config() : ((Transformation) plugin).config();
            System.out.println(name);
            for (ConfigDef.ConfigKey key : def.configKeys().values()) {
                String value = key.hasDefault() ? ConfigDef.convertToString(key.defaultValue, key.type) : null;
                String shown = !key.hasDefault() ? "(required)" : value == null ? "(null)" : "\"" + value + "\"";
                System.out.printf("  %s %s %s %s %d %s%n", key.name, key.type, shown, key.importance, key.orderInGroup, key.width);
            }
        }
    }

    static JsonNode answer(ObjectNode test) throws Exception {
        ObjectNode want = JSON.createObjectNode();
        Map<String, String> config = new LinkedHashMap<>();
        test.path("config").fields().forEachRemaining(e -> config.put(e.getKey(), e.getValue().asText()));
        Object plugin = Class.forName(test.get("class").asText()).getDeclaredConstructor().newInstance();
        try {
            if (plugin instanceof Predicate predicate) {
                predicate.configure(config);
            } else {
                ((Transformation) plugin).configure(config);
            }
        } catch (ConfigException e) {
            return want.put("refused", e.getMessage());
        }
        if (!test.has("record")) {
            return want.put("accepted", true);
        }
        ConnectRecord record = record((ObjectNode) test.get("record"));
        try {
            if (plugin instanceof Predicate predicate) {
                return want.put("matches", predicate.test(record));
            }
            ConnectRecord result = ((Transformation) plugin).apply(record);
            if (result == null) {
                return want.put("dropped", true);
            }
            want.put("topic", result.topic());
            want.set("keySchema", schema(result.keySchema()));
            want.set("key", value(result.keySchema(), result.key()));
            want.set("valueSchema", schema(result.valueSchema()));
            want.set("value", value(result.valueSchema(), result.value()));
            if (!result.headers().isEmpty()) {
                want.set("headers", headers(result.headers()));
            }
            return want;
        } catch (Exception e) {
            return want.put("failed", e.getMessage()).put("exception", e.getClass().getName());
        }
    }

    static ConnectRecord record(ObjectNode node) {
        String topic = node.has("topic") ? node.get("topic").asText() : "orders";
        Integer partition = node.has("partition") ? (node.get("partition").isNull() ? null : node.get("partition").asInt()) : Integer.valueOf(3);
        Long timestamp = node.has("timestamp") ? (node.get("timestamp").isNull() ? null : node.get("timestamp").asLong()) : Long.valueOf(1_763_647_200_123L);
        Schema keySchema = readSchema(node.get("keySchema"));
        Schema valueSchema = readSchema(node.get("valueSchema"));
        Object key = readValue(keySchema, node.get("key"));
        Object value = readValue(valueSchema, node.get("value"));
        ConnectRecord record = node.path("source").asBoolean()
            ? new SourceRecord(Map.of(), Map.of(), topic, partition, keySchema, key, valueSchema, value, timestamp)
            : new SinkRecord(topic, partition, keySchema, key, valueSchema, value,
                node.has("offset") ? node.get("offset").asLong() : 42L, timestamp, TimestampType.CREATE_TIME);
        if (node.path("headers").isArray()) {
            for (JsonNode header : node.get("headers")) {
                Schema schema = readSchema(header.get("schema"));
                record.headers().add(header.get("name").asText(), readValue(schema, header.get("value")), schema);
            }
        } else {
            node.path("headers").fields().forEachRemaining(h -> record.headers().add(h.getKey(), readValue(null, h.getValue()), null));
        }
        return record;
    }

    static JsonNode headers(Headers headers) {
        ArrayNode array = JSON.createArrayNode();
        for (Header header : headers) {
            ObjectNode node = array.addObject().put("name", header.key());
            node.set("schema", schema(header.schema()));
            node.set("value", value(header.schema(), header.value()));
        }
        return array;
    }

    static Schema readSchema(JsonNode node) {
        if (node == null || node.isNull()) {
            return null;
        }
        if (node.isTextual()) {
            String text = node.asText();
            boolean optional = text.endsWith("?");
            SchemaBuilder builder = builder(optional ? text.substring(0, text.length() - 1) : text);
            return (optional ? builder.optional() : builder).build();
        }
        SchemaBuilder builder;
        switch (node.get("type").asText()) {
            case "array": builder = SchemaBuilder.array(readSchema(node.get("items"))); break;
            case "map": builder = SchemaBuilder.map(readSchema(node.get("keys")), readSchema(node.get("values"))); break;
            case "struct":
                builder = SchemaBuilder.struct();
                for (Map.Entry<String, JsonNode> field : (Iterable<Map.Entry<String, JsonNode>>) () -> node.get("fields").fields()) {
                    builder.field(field.getKey(), readSchema(field.getValue()));
                }
                break;
            default: builder = builder(node.get("type").asText());
        }
        if (node.has("name")) builder.name(node.get("name").asText());
        if (node.has("version")) builder.version(node.get("version").asInt());
        if (node.has("doc")) builder.doc(node.get("doc").asText());
        node.path("parameters").fields().forEachRemaining(p -> builder.parameter(p.getKey(), p.getValue().asText()));
        if (node.path("optional").asBoolean()) builder.optional();
        if (node.has("default")) builder.defaultValue(readValue(builder, node.get("default")));
        return builder.build();
    }

    static SchemaBuilder builder(String type) {
        if (type.startsWith("decimal:")) return Decimal.builder(Integer.parseInt(type.substring(8)));
        switch (type) {
            case "date": return org.apache.kafka.connect.data.Date.builder();
            case "time": return Time.builder();
            case "timestamp": return Timestamp.builder();
            default: return SchemaBuilder.type(Schema.Type.valueOf(type.toUpperCase()));
        }
    }

    static Object readValue(Schema schema, JsonNode node) {
        if (node == null || node.isNull()) return null;
        if (node.isTextual()) return node.asText();
        if (node.isBoolean()) return node.asBoolean();
        if (node.isIntegralNumber()) return node.asLong();
        if (node.isNumber()) return node.asDouble();
        if (node.isArray()) {
            List<Object> list = new ArrayList<>();
            Schema items = schema == null ? null : schema.valueSchema();
            node.forEach(item -> list.add(readValue(items, item)));
            return list;
        }
        if (node.size() == 1 && node.fieldNames().next().startsWith("$")) {
            Map.Entry<String, JsonNode> e = node.fields().next();
            JsonNode v = e.getValue();
            switch (e.getKey()) {
                case "$i8": return (byte) v.asInt();
                case "$i16": return (short) v.asInt();
                case "$i32": return v.asInt();
                case "$f32": return (float) v.asDouble();
                case "$f64": return v.asDouble();
                case "$bytes": return HexFormat.of().parseHex(v.asText());
                case "$decimal": return new BigDecimal(v.asText());
                case "$date": return new Date(v.asLong() * DAY);
                case "$time": case "$timestamp": return new Date(v.asLong());
                default: throw new IllegalArgumentException(e.getKey());
            }
        }
        if (schema != null && schema.type() == Schema.Type.STRUCT) {
            Struct struct = new Struct(schema);
            for (Field field : schema.fields()) {
                Object value = readValue(field.schema(), node.get(field.name()));
                if (value != null) struct.put(field, value);
            }
            return struct;
        }
        Map<String, Object> map = new HashMap<>();
        Schema values = schema == null ? null : schema.valueSchema();
        node.fields().forEachRemaining(e -> map.put(e.getKey(), readValue(values, e.getValue())));
        return map;
    }

    static JsonNode schema(Schema schema) {
        if (schema == null) return JSON.nullNode();
        ObjectNode node = JSON.createObjectNode();
        node.put("type", schema.type().getName());
        if (schema.isOptional()) node.put("optional", true);
        if (schema.name() != null) node.put("name", schema.name());
        if (schema.version() != null) node.put("version", schema.version());
        if (schema.doc() != null) node.put("doc", schema.doc());
        if (schema.parameters() != null && !schema.parameters().isEmpty()) {
            ObjectNode parameters = node.putObject("parameters");
            schema.parameters().forEach(parameters::put);
        }
        if (schema.defaultValue() != null) node.set("default", value(schema, schema.defaultValue()));
        switch (schema.type()) {
            case STRUCT:
                ObjectNode fields = node.putObject("fields");
                for (Field field : schema.fields()) fields.set(field.name(), schema(field.schema()));
                break;
            case MAP:
                node.set("keys", schema(schema.keySchema()));
                node.set("values", schema(schema.valueSchema()));
                break;
            case ARRAY: node.set("items", schema(schema.valueSchema())); break;
            default:
        }
        return node;
    }

    static JsonNode value(Schema schema, Object value) {
        if (value == null) return JSON.nullNode();
        ObjectNode typed = JSON.createObjectNode();
        if (value instanceof String s) return JSON.getNodeFactory().textNode(s);
        if (value instanceof Boolean b) return JSON.getNodeFactory().booleanNode(b);
        if (value instanceof Long n) return JSON.getNodeFactory().numberNode(n);
        if (value instanceof Byte n) return typed.put("$i8", n.intValue());
        if (value instanceof Short n) return typed.put("$i16", n.intValue());
        if (value instanceof Integer n) return typed.put("$i32", n);
        if (value instanceof Float n) return typed.put("$f32", n.doubleValue());
        if (value instanceof Double n) return typed.put("$f64", n);
        if (value instanceof BigDecimal n) return typed.put("$decimal", n.toPlainString());
        if (value instanceof byte[] b) return typed.put("$bytes", HexFormat.of().formatHex(b));
        if (value instanceof ByteBuffer b) return typed.put("$bytes", HexFormat.of().formatHex(b.array()));
        if (value instanceof Date d) {
            String name = schema == null ? null : schema.name();
            if (org.apache.kafka.connect.data.Date.LOGICAL_NAME.equals(name)) return typed.put("$date", Math.floorDiv(d.getTime(), DAY));
            return typed.put(Time.LOGICAL_NAME.equals(name) ? "$time" : "$timestamp", d.getTime());
        }
        if (value instanceof List list) {
            ArrayNode array = JSON.createArrayNode();
            for (Object item : list) array.add(value(schema == null ? null : schema.valueSchema(), item));
            return array;
        }
        if (value instanceof Struct struct) {
            for (Field field : struct.schema().fields()) typed.set(field.name(), value(field.schema(), struct.getWithoutDefault(field.name())));
            return typed;
        }
        ((Map<Object, Object>) value).entrySet().stream().sorted((a, b) -> a.getKey().toString().compareTo(b.getKey().toString()))
            .forEach(e -> typed.set(e.getKey().toString(), value(schema == null ? null : schema.valueSchema(), e.getValue())));
        return typed;
    }
}
