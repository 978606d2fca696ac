import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import org.apache.kafka.connect.converters.*;
import org.apache.kafka.connect.data.*;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.HeaderConverter;

/**
 * Writes what Kafka Connect's converters of single numbers and booleans answer. Tab-separated: class, `read` (bytes in hex, `null`) or
 * `write` (schema, value), and the answer: schema and value, bytes in hex, or `error` and its message.
 *
 *   java -cp 'lib/*' Primitives.java primitives.tsv     (lib: connect-runtime 4.3.1 and what it needs)
 */
public class Primitives {
    static final List<Converter> CONVERTERS = List.of(new BooleanConverter(), new ShortConverter(), new IntegerConverter(),
        new LongConverter(), new FloatConverter(), new DoubleConverter());

    public static void main(String[] args) throws Exception {
        List<String> out = new ArrayList<>();
        for (Converter converter : CONVERTERS) {
            String name = converter.getClass().getSimpleName();
            converter.configure(Map.of("converter.type", "value"), false);
            for (String bytes : reads()) {
                String as = answer(() -> shown(converter.toConnectData("t", parse(bytes))));
                String header = answer(() -> shown(((HeaderConverter) converter).toConnectHeader("t", "h", parse(bytes))));
                if (!as.equals(header)) throw new IllegalStateException(name + " " + bytes + ": " + as + " " + header);
                out.add(String.join("\t", name, "read", bytes, "", as));
            }
            for (String schema : SCHEMAS.keySet()) {
                for (String value : VALUES.keySet()) {
                    String as = answer(() -> hex(converter.fromConnectData("t", SCHEMAS.get(schema), VALUES.get(value))));
                    String header = answer(() -> hex(((HeaderConverter) converter).fromConnectHeader("t", "h", SCHEMAS.get(schema), VALUES.get(value))));
                    if (!as.equals(header)) throw new IllegalStateException(name + " " + schema + " " + value + ": " + as + " " + header);
                    out.add(String.join("\t", name, "write", schema, value, as));
                }
            }
        }
        Files.write(Path.of(args[0]), out, StandardCharsets.UTF_8);
    }

    static final Map<String, Schema> SCHEMAS = new LinkedHashMap<>();
    static final Map<String, Object> VALUES = new LinkedHashMap<>();
    static {
        SCHEMAS.put("none", null);
        for (Schema.Type type : Schema.Type.values()) {
            if (!type.isPrimitive()) continue;
            SCHEMAS.put(type.getName(), new SchemaBuilder(type).build());
            SCHEMAS.put("optional " + type.getName(), new SchemaBuilder(type).optional().build());
        }
        VALUES.put("null", null);
        VALUES.put("true", true);
        VALUES.put("false", false);
        VALUES.put("byte -7", (byte) -7);
        VALUES.put("short -7", (short) -7);
        VALUES.put("int 70000", 70000);
        VALUES.put("long 5000000000", 5000000000L);
        VALUES.put("float 1.5", 1.5f);
        VALUES.put("double 2.5", 2.5);
        VALUES.put("string 7", "7");
    }

    static List<String> reads() {
        List<String> reads = new ArrayList<>(List.of("null", "", "00", "01", "02", "ff", "ffff", "8000", "7fff", "80000000", "7fffffff",
            "3fc00000", "7fc00000", "ff800000", "00000001", "8000000000000000", "7fffffffffffffff", "3ff8000000000000", "7ff8000000000000", "fff0000000000000"));
        for (int length : new int[] {3, 5, 6, 7, 9, 16}) reads.add("01".repeat(length));
        return reads;
    }

    interface Answer { String get() throws Exception; }

    static String answer(Answer answer) {
        try {
            return answer.get();
        } catch (Exception e) {
            return "error " + e.getClass().getSimpleName() + " " + e.getMessage() + (e.getCause() == null || e.getCause() instanceof ClassCastException ? "" : " <- " + e.getCause().getMessage());
        }
    }

    static String shown(SchemaAndValue read) {
        Object value = read.value();
        String text = value instanceof Float f ? String.format("%08x", Float.floatToRawIntBits(f))
            : value instanceof Double d ? String.format("%016x", Double.doubleToRawLongBits(d)) : String.valueOf(value);
        String schema = read.schema() == null ? "none" : (read.schema().isOptional() ? "optional " : "") + read.schema().type().getName();
        return schema + " " + text;
    }

    static byte[] parse(String hex) {
        return hex.equals("null") ? null : HexFormat.of().parseHex(hex);
    }

    static String hex(byte[] bytes) {
        return bytes == null ? "null" : HexFormat.of().formatHex(bytes);
    }
}
