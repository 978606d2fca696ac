package org.apache.kafka.connect.runtime.distributed;

import java.util.*;
import java.util.stream.*;
import org.apache.kafka.common.message.JoinGroupResponseData.JoinGroupResponseMember;
import org.apache.kafka.common.utils.LogContext;
import org.apache.kafka.connect.storage.ClusterConfigState;

/**
 * Prints what Kafka Connect's eager leader decides, one decision a line, tab-separated: members with the offset that each has read, the first is
 * the leader; offset that the leader has read; connectors with the number of their tasks; what each member gets, as hex.
 */
public class Eager {
    public static void main(String[] args) throws Exception {
        Random r = new Random(1);
        var field = Class.forName("sun.misc.Unsafe").getDeclaredField("theUnsafe");
        field.setAccessible(true);
        var unsafe = (sun.misc.Unsafe) field.get(null);
        for (int i = 0; i < 40; i++) {
            List<String> ids = IntStream.range(0, 1 + r.nextInt(5)).mapToObj(n -> "m-" + r.nextInt(1000) + "-" + n).toList();
            Map<String, Long> members = new LinkedHashMap<>();
            for (String id : ids) members.put(id, 10L + r.nextInt(2) * (i % 5 == 0 ? 5 : 0));
            long read = 10 + (i % 10 == 0 ? 0 : 5);
            members.put(ids.get(0), read);
            Map<String, Integer> work = new TreeMap<>();
            for (int c = r.nextInt(8); c > 0; c--) work.put("" + (char) ('a' + r.nextInt(8)), r.nextInt(13));
            Map<String, Map<String, String>> configs = new HashMap<>();
            work.keySet().forEach(c -> configs.put(c, Map.of()));
            var state = new ClusterConfigState(read, null, work, configs, Map.of(), Map.of(), Map.of(), Map.of(), Map.of(), Set.of(), Set.of());
            // The coordinator is only asked for the configuration; without a network it cannot be constructed.
            WorkerCoordinator coordinator = (WorkerCoordinator) unsafe.allocateInstance(Stand.class);
            coordinator.configSnapshot(state);
            List<JoinGroupResponseMember> joined = members.entrySet().stream().map(e -> new JoinGroupResponseMember().setMemberId(e.getKey())
                .setMetadata(ConnectProtocol.serializeMetadata(new ConnectProtocol.WorkerState("http://" + e.getKey() + "/", e.getValue())).array())).toList();
            var decided = new EagerAssignor(new LogContext()).performAssignment(ids.get(0), ConnectProtocolCompatibility.EAGER, joined, coordinator);
            System.out.println(members.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).collect(Collectors.joining(",")) + "\t" + read + "\t"
                + work.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).collect(Collectors.joining(",")) + "\t"
                + ids.stream().map(id -> HexFormat.of().formatHex(decided.get(id).array())).collect(Collectors.joining(",")));
        }
    }

    static class Stand extends WorkerCoordinator {
        Stand() { super(null, null, null, null, null, null, null, null, null, null, 0); }
        @Override public ClusterConfigState configFreshSnapshot() { return configSnapshot(); }
    }
}
