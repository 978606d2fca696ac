package org.apache.kafka.connect.runtime.distributed;

import java.lang.reflect.Proxy;
import java.nio.file.*;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.common.utils.LogContext;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.connect.runtime.distributed.WorkerCoordinator.ConnectorsAndTasks;
import org.apache.kafka.connect.storage.ClusterConfigState;
import org.apache.kafka.connect.util.ConnectorTaskId;

/**
 * Plays the stories in the given file to groups whose leader is Kafka Connect's own assignor, and prints them with what came of it.
 * Steps: `join url`, `crash url`, `connector name tasks`, `remove name`, `pass ms`; `round` (a rebalance, and those that follow at once
 * because members gave something up), `once` (only the first of these) and `settle` (rounds and waiting until nothing is waited for) are followed by
 * `-> delay, moves, idle, connectors, tasks`: what members were told to wait, how much running work was taken from somebody else's duplicate-free
 * hands so far, how much nobody runs, and how much each worker has, sorted.
 */
public class Stories {
    static class Member {
        String id, url;
        Set<String> connectors = new TreeSet<>();
        Set<ConnectorTaskId> tasks = new TreeSet<>();
        IncrementalCooperativeAssignor assignor;
        int completed = -1;
    }

    static long now;
    static int maxDelay, generation, next, moves;
    static List<Member> members;
    static Map<String, Integer> work;

    public static void main(String[] args) throws Exception {
        List<String> lines = Files.readAllLines(Path.of(args[0]));
        List<String> all = new ArrayList<>(lines.stream().filter(l -> !l.startsWith("->")).toList());
        if (all.stream().noneMatch(l -> l.startsWith("story random"))) random(all);
        for (String line : all) {
            System.out.println(line);
            String[] w = line.split(" ");
            switch (w[0]) {
                case "story" -> { now = 1_000; generation = 0; next = 0; moves = 0; members = new ArrayList<>(); work = new TreeMap<>(); }
                case "delay" -> maxDelay = Integer.parseInt(w[1]);
                case "join" -> join(w[1]);
                case "crash" -> members.removeIf(m -> m.url.equals(w[1]));
                case "connector" -> work.put(w[1], Integer.parseInt(w[2]));
                case "remove" -> work.remove(w[1]);
                case "pass" -> now += Long.parseLong(w[1]);
                case "round" -> report(rounds(12));
                case "once" -> report(rounds(1));
                case "settle" -> {
                    int delay = rounds(12);
                    for (int i = 0; delay > 0 && i < 10; i++) { now += delay; delay = rounds(12); }
                    report(delay);
                }
                default -> { }
            }
        }
    }

    static void join(String url) {
        Member m = new Member();
        m.id = String.format("m%03d", ++next);
        m.url = url;
        Time time = (Time) Proxy.newProxyInstance(Stories.class.getClassLoader(), new Class<?>[] {Time.class}, (p, method, a) -> now);
        m.assignor = new IncrementalCooperativeAssignor(new LogContext(), time, maxDelay);
        members.add(m);
    }

    static int rounds(int most) {
        int delay = 0;
        for (int i = 0; i < most; i++) {
            generation++;
            Map<String, ConnectorsAndTasks> held = new LinkedHashMap<>();
            for (Member m : members) held.put(m.id, new ConnectorsAndTasks.Builder().with(m.connectors, m.tasks).build());
            Member leader = members.get(0);
            var decided = leader.assignor.performTaskAssignment(state(), leader.completed, generation, held);
            boolean again = false;
            for (Member m : members) {
                var stop = decided.newlyRevokedConnectors(m.id);
                var stopTasks = decided.newlyRevokedTasks(m.id);
                moves += (int) stop.stream().filter(c -> work.containsKey(c) && members.stream().filter(o -> o.connectors.contains(c)).count() == 1).count();
                moves += (int) stopTasks.stream().filter(t -> exists(t) && members.stream().filter(o -> o.tasks.contains(t)).count() == 1).count();
                again |= !stop.isEmpty() || !stopTasks.isEmpty();
            }
            for (Member m : members) {
                m.connectors.removeAll(decided.newlyRevokedConnectors(m.id));
                m.tasks.removeAll(decided.newlyRevokedTasks(m.id));
                m.connectors.addAll(decided.newlyAssignedConnectors(m.id));
                m.tasks.addAll(decided.newlyAssignedTasks(m.id));
                m.completed = generation;
            }
            delay = leader.assignor.delay;
            if (!again || most == 1) return delay;
        }
        throw new IllegalStateException("no end");
    }

    static boolean exists(ConnectorTaskId t) { return t.task() < work.getOrDefault(t.connector(), 0); }

    static ClusterConfigState state() {
        Map<String, Map<String, String>> configs = new HashMap<>();
        work.keySet().forEach(c -> configs.put(c, Map.of()));
        return new ClusterConfigState(1, null, new HashMap<>(work), configs, Map.of(), Map.of(), Map.of(), Map.of(), Map.of(), Set.of(), Set.of());
    }

    static void report(int delay) {
        Set<Object> running = new HashSet<>();
        members.forEach(m -> { running.addAll(m.connectors); running.addAll(m.tasks); });
        int all = work.size() + work.values().stream().mapToInt(t -> t).sum();
        int idle = all - (int) running.stream().filter(u -> u instanceof String c ? work.containsKey(c) : exists((ConnectorTaskId) u)).count();
        System.out.println("-> " + delay + ", " + moves + ", " + idle + ", " + counts(m -> m.connectors.size()) + ", " + counts(m -> m.tasks.size()));
    }

    static String counts(java.util.function.ToIntFunction<Member> of) {
        return members.stream().map(m -> "" + of.applyAsInt(m)).sorted(Comparator.comparingInt(Integer::parseInt)).collect(Collectors.joining(" "));
    }

    /** Stories about workers that come and go and connectors that change; the group settles in between. */
    static void random(List<String> out) {
        Random r = new Random(415);
        for (int s = 0; s < 60; s++) {
            out.addAll(List.of("", "story random " + s, "delay " + (r.nextInt(4) == 0 ? 0 : 300_000)));
            int url = 0;
            List<String> there = new ArrayList<>();
            for (int i = 1 + r.nextInt(4); i > 0; i--) { there.add("w" + url); out.add("join w" + url++); }
            for (int i = 1 + r.nextInt(4); i > 0; i--) out.add("connector c" + i + " " + r.nextInt(8));
            out.add("settle");
            for (int i = 3 + r.nextInt(8); i > 0; i--) {
                switch (r.nextInt(6)) {
                    case 0, 1 -> { there.add("w" + url); out.add("join w" + url++); }
                    case 2 -> { if (there.size() > 1) out.add("crash " + there.remove(1 + r.nextInt(there.size() - 1))); }
                    case 3 -> out.add("remove c" + (1 + r.nextInt(5)));
                    default -> out.add("connector c" + (1 + r.nextInt(5)) + " " + r.nextInt(9));
                }
                if (r.nextInt(3) == 0) out.add("round");
                out.add("settle");
            }
        }
    }
}
