import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import org.apache.kafka.connect.data.*;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;
import org.apache.kafka.connect.storage.StringConverter;

/**
 * Fills the tables of this folder with what Kafka Connect's own converters answer. Lines are tab-separated; input columns
 * are kept, expected ones are written anew. Bytes outside printable ASCII, tabs and % are written %XX.
 *
 *   java -Duser.timezone=UTC -cp 'lib/*' Oracle.java json.tsv header.tsv     (lib: connect-json, connect-runtime 4.3.1 and what they need)
 */
public class Oracle {
    public static void main(String[] args) throws Exception {
        for (String file : args) {
            List<String> out = new ArrayList<>();
            for (String line : Files.readAllLines(Path.of(file), StandardCharsets.UTF_8)) {
                if (line.startsWith("#") || line.isBlank()) { out.add(line); continue; }
                out.add(file.contains("header") ? header(line) : json(line));
            }
            Files.write(Path.of(file), out, StandardCharsets.UTF_8);
        }
    }

    /** name, options (a=b,c=d), input -> schema, value or error; JSON written back with the same options; StringConverter's text */
    static String json(String line) {
        String[] c = line.split("\t", -1);
        Map<String, String> options = new HashMap<>();
        for (String pair : c[1].split(";")) if (pair.contains("=")) options.put(pair.split("=", 2)[0], unescape(pair.split("=", 2)[1]));
        String start = c[0] + "\t" + c[1] + "\t" + c[2] + "\t";
        JsonConverter converter = new JsonConverter();
        SchemaAndValue read;
        try {
            converter.configure(options, false);
            read = converter.toConnectData("t", bytes(c[2]));
        } catch (Exception e) {
            return start + "error\t" + message(e) + "\t\t";
        }
        String back, text;
        try {
            byte[] written = converter.fromConnectData("t", read.schema(), read.value());
            back = written == null ? "null" : escape(written);
        } catch (Exception e) {
            back = "error " + message(e);
        }
        text = read.value() instanceof byte[] ? "" : escape(String.valueOf(read.value()).getBytes(StandardCharsets.UTF_8));
        return start + schema(read.schema()) + "\t" + value(read.value()) + "\t" + back + "\t" + text;
    }

    /** input -> schema, value; text written back */
    static String header(String line) {
        String[] c = line.split("\t", -1);
        SimpleHeaderConverter converter = new SimpleHeaderConverter();
        SchemaAndValue read;
        try {
            read = converter.toConnectHeader("t", "h", bytes(c[0]));
        } catch (Exception e) {
            return c[0] + "\terror\t" + message(e) + "\t";
        }
        if (read == null) return c[0] + "\t-\tnull\tnull";
        String back;
        try {
            byte[] written = converter.fromConnectHeader("t", "h", read.schema(), read.value());
            back = written == null ? "null" : escape(written);
        } catch (Exception e) {
            back = "error " + message(e);
        }
        return c[0] + "\t" + schema(read.schema()) + "\t" + value(read.value()) + "\t" + back;
    }

    static String message(Exception e) {
        return escape(String.valueOf(e.getMessage()).split("\n")[0].getBytes(StandardCharsets.UTF_8));
    }

    static String schema(Schema s) {
        if (s == null) return "-";
        StringBuilder b = new StringBuilder(s.type().name());
        if (s.isOptional()) b.append('?');
        StringBuilder m = new StringBuilder();
        if (s.name() != null) m.append("name=").append(s.name()).append(';');
        if (s.version() != null) m.append("version=").append(s.version()).append(';');
        if (s.doc() != null) m.append("doc=").append(s.doc()).append(';');
        if (s.parameters() != null) for (var p : s.parameters().entrySet()) m.append(p.getKey()).append(':').append(p.getValue()).append(';');
        if (s.defaultValue() != null) m.append("default=").append(value(s.defaultValue())).append(';');
        if (m.length() > 0) b.append('<').append(m).append('>');
        if (s.type() == Schema.Type.STRUCT) {
            b.append('{');
            for (Field f : s.fields()) b.append(f.name()).append(':').append(schema(f.schema())).append(',');
            b.append('}');
        } else if (s.type() == Schema.Type.ARRAY) {
            b.append('[').append(schema(s.valueSchema())).append(']');
        } else if (s.type() == Schema.Type.MAP) {
            b.append('[').append(schema(s.keySchema())).append(',').append(schema(s.valueSchema())).append(']');
        }
        return escape(b.toString().getBytes(StandardCharsets.UTF_8));
    }

    static String value(Object v) {
        if (v == null) return "null";
        if (v instanceof Boolean) return v.toString();
        if (v instanceof Byte) return "int8(" + v + ")";
        if (v instanceof Short) return "int16(" + v + ")";
        if (v instanceof Integer) return "int32(" + v + ")";
        if (v instanceof Long) return "int64(" + v + ")";
        if (v instanceof Float) return String.format("float32(%08x)", Float.floatToRawIntBits((Float) v));
        if (v instanceof Double) return String.format("float64(%016x)", Double.doubleToRawLongBits((Double) v));
        if (v instanceof String) return "\"" + escape(((String) v).getBytes(StandardCharsets.UTF_8)) + "\"";
        if (v instanceof byte[]) return "bytes(" + HexFormat.of().formatHex((byte[]) v) + ")";
        if (v instanceof BigDecimal) return "decimal(" + ((BigDecimal) v).unscaledValue() + "," + ((BigDecimal) v).scale() + ")";
        if (v instanceof java.util.Date) return "instant(" + ((java.util.Date) v).getTime() + ")";
        if (v instanceof List) {
            StringJoiner j = new StringJoiner(",", "[", "]");
            for (Object e : (List<?>) v) j.add(value(e));
            return j.toString();
        }
        if (v instanceof Map) {
            TreeSet<String> entries = new TreeSet<>();
            for (var e : ((Map<?, ?>) v).entrySet()) entries.add(value(e.getKey()) + ":" + value(e.getValue()));
            return "{" + String.join(",", entries) + "}";
        }
        Struct s = (Struct) v;
        StringJoiner j = new StringJoiner(",", "(", ")");
        for (Field f : s.schema().fields()) j.add(f.name() + "=" + value(s.getWithoutDefault(f.name())));
        return j.toString();
    }

    static byte[] bytes(String text) {
        if (text.equals("null")) return "null".getBytes();
        if (text.equals("%none")) return null;
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) == '%') { out.write(Integer.parseInt(text.substring(i + 1, i + 3), 16)); i += 2; }
            else out.write(text.charAt(i));
        }
        return out.toByteArray();
    }

    static String unescape(String text) { return new String(bytes(text), StandardCharsets.UTF_8); }

    static String escape(byte[] bytes) {
        StringBuilder b = new StringBuilder();
        for (byte x : bytes) if (x >= 0x20 && x < 0x7f && x != '%') b.append((char) x); else b.append(String.format("%%%02X", x & 0xff));
        return b.toString();
    }
}
