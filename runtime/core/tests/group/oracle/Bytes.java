package org.apache.kafka.connect.runtime.distributed;

import java.nio.ByteBuffer;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.connect.util.ConnectorTaskId;

/**
 * Prints what Kafka Connect's own classes make of assignments and worker states, one a line, tab-separated:
 * kind (assignment, state), protocol (default, compatible, sessioned), how (sorted: the lists are in order, so that there is only one way
 * to write it; any; read: bytes that were cut or lengthened), hex, and what is read from it again ("error" when it cannot be read).
 */
public class Bytes {
    static final Random RANDOM = new Random(4031);
    static final String[] PROTOCOLS = {"default", "compatible", "sessioned"};
    static final String[] SHORT = {"a", "b", "c", "d", "e", "f", "g", "h"};
    static final String[] LONG = {"jdbc-source", "es sink", "größe-\u4e16", "a", "-", "x-1", "mongo", "S3"};

    public static void main(String[] args) {
        for (int i = 0; i < 60; i++) {
            boolean sorted = i % 2 == 0;
            short protocol = (short) (i / 2 % 3);
            ExtendedAssignment a = assignment(protocol, sorted, i);
            assignment(protocol, sorted ? "sorted" : "any", write(a, protocol));
            if (i < 6) cut(protocol, "assignment", bytes(write(a, protocol)));
            boolean held = i % 5 != 0;
            ExtendedWorkerState s = new ExtendedWorkerState("http://w" + i + ":8083/", i * 1_000_000_007L - 1, held ? a : null);
            ByteBuffer state = protocol == 0 ? ConnectProtocol.serializeMetadata(s)
                : IncrementalCooperativeConnectProtocol.serializeMetadata(s, protocol == 2);
            line("state", protocol, sorted ? "sorted" : "any", bytes(state));
            if (i < 6) cut(protocol, "state", bytes(state));
        }
    }

    static ExtendedAssignment assignment(short version, boolean sorted, int i) {
        String[] names = sorted ? SHORT : LONG;
        return new ExtendedAssignment(version, (short) (i % 7 == 0 ? 1 : 0), "worker-" + i + "-" + (sorted ? "s" : "\u00fc"), "http://leader:" + i + "/",
            i == 3 ? -1 : RANDOM.nextInt() * 3L, connectors(names, sorted), tasks(names, sorted), connectors(names, sorted), tasks(names, sorted),
            i % 3 == 0 ? 0 : RANDOM.nextInt(400_000));
    }

    static List<String> connectors(String[] names, boolean sorted) {
        List<String> some = Arrays.stream(names).filter(n -> RANDOM.nextInt(3) == 0).collect(Collectors.toCollection(ArrayList::new));
        if (!sorted) Collections.shuffle(some, RANDOM);
        return some;
    }

    static List<ConnectorTaskId> tasks(String[] names, boolean sorted) {
        List<ConnectorTaskId> some = new ArrayList<>();
        for (String name : names) for (int t = 0; t < 12; t++) if (RANDOM.nextInt(9) == 0) some.add(new ConnectorTaskId(name, t));
        if (!sorted) Collections.shuffle(some, RANDOM);
        return some;
    }

    static ByteBuffer write(ExtendedAssignment a, short protocol) {
        return protocol == 0 ? ConnectProtocol.serializeAssignment(a) : IncrementalCooperativeConnectProtocol.serializeAssignment(a, protocol == 2);
    }

    static void assignment(short protocol, String how, ByteBuffer bytes) { line("assignment", protocol, how, bytes(bytes)); }

    /** Every beginning of it, and some that are longer. */
    static void cut(short protocol, String kind, byte[] bytes) {
        int step = Math.max(1, bytes.length / 25);
        for (int end = 0; end < bytes.length; end += end + 12 > bytes.length ? 1 : step) line(kind, protocol, "read", Arrays.copyOf(bytes, end));
        for (int more : new int[] {1, 4, 9}) line(kind, protocol, "read", Arrays.copyOf(bytes, bytes.length + more));
    }

    static void line(String kind, short protocol, String how, byte[] bytes) {
        String read;
        try {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            read = kind.equals("state") ? text(IncrementalCooperativeConnectProtocol.deserializeMetadata(buffer))
                : text(IncrementalCooperativeConnectProtocol.deserializeAssignment(buffer));
        } catch (RuntimeException e) {
            read = "error";
        }
        System.out.println(kind + "\t" + PROTOCOLS[protocol] + "\t" + how + "\t" + HexFormat.of().formatHex(bytes) + "\t" + read);
    }

    static String text(ExtendedWorkerState s) {
        // Without an assignment, Kafka Connect reads one that has no leader.
        return s.url() + "|" + s.offset() + "|" + (s.assignment().leader() == null ? "none" : text(s.assignment()));
    }

    static String text(ExtendedAssignment a) {
        return String.join("|", "" + a.version(), "" + a.error(), a.leader(), a.leaderUrl(), "" + a.offset(), sorted(a.connectors().stream()),
            sorted(a.tasks().stream().map(ConnectorTaskId::toString)), sorted(a.revokedConnectors().stream()),
            sorted(a.revokedTasks().stream().map(ConnectorTaskId::toString)), "" + a.delay());
    }

    static String sorted(Stream<String> some) { return some.sorted().collect(Collectors.joining(",")); }

    static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }
}
