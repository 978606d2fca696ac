import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.sourcelab.kafka.connect.apiclient.Configuration;
import org.sourcelab.kafka.connect.apiclient.KafkaConnectClient;
import org.sourcelab.kafka.connect.apiclient.request.Request;
import org.sourcelab.kafka.connect.apiclient.request.RequestMethod;
import org.sourcelab.kafka.connect.apiclient.request.dto.ConnectorDefinition;
import org.sourcelab.kafka.connect.apiclient.request.dto.ConnectorPlugin;
import org.sourcelab.kafka.connect.apiclient.request.dto.ConnectorPluginConfigDefinition;
import org.sourcelab.kafka.connect.apiclient.request.dto.ConnectorStatus;
import org.sourcelab.kafka.connect.apiclient.request.dto.NewConnectorDefinition;
import org.sourcelab.kafka.connect.apiclient.request.dto.Task;
import org.sourcelab.kafka.connect.apiclient.request.post.PostConnectorRestart;
import org.sourcelab.kafka.connect.apiclient.rest.HttpClientRestClient;
import org.sourcelab.kafka.connect.apiclient.rest.RestResponse;
import org.sourcelab.kafka.connect.apiclient.rest.exceptions.ConcurrentConfigModificationException;
import org.sourcelab.kafka.connect.apiclient.rest.exceptions.InvalidRequestException;
import org.sourcelab.kafka.connect.apiclient.rest.exceptions.ResourceNotFoundException;

/** Everything the library can do, against the worker at args[0]; files of connectors are in the folder args[1]. */
public final class Client {
    private static final String SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector";
    private static final String SINK = "org.apache.kafka.connect.file.FileStreamSinkConnector";
    private static final String STRINGS = "org.apache.kafka.connect.storage.StringConverter";
    private static final long PATIENCE_MS = 60_000;
    /** Once something has not come, what follows waits for the same. */
    private static long patience = PATIENCE_MS;

    private final KafkaConnectClient client;
    private final HttpClientRestClient rest = new HttpClientRestClient();
    private final Path input;
    private final Path output;
    // The library escapes what needs it in a path.
    private final String source = "sourcelab source + " + System.nanoTime();
    private final String sink = "sourcelab-sink-" + System.nanoTime();
    private final String topic = "sourcelab-" + System.nanoTime();
    private int passed;
    private int failed;

    private Client(String url, Path folder) {
        Configuration configuration = new Configuration(url);
        client = new KafkaConnectClient(configuration);
        rest.init(configuration);
        input = folder.resolve("in.txt");
        output = folder.resolve("out.txt");
    }

    public static void main(String[] args) throws Exception {
        Client run = new Client(args[0], Path.of(args[1]));
        run.all();
        System.out.println(run.passed + " passed, " + run.failed + " failed");
        System.exit(run.failed == 0 ? 0 : 1);
    }

    private interface Step {
        void run() throws Exception;
    }

    /** One check; those that follow go on even so. */
    private void check(String what, Step step) {
        try {
            step.run();
            passed++;
            System.out.println("ok   " + what);
        } catch (Exception | AssertionError error) {
            failed++;
            System.out.println("FAIL " + what + ": " + error);
        }
    }

    private static void same(Object wanted, Object seen) {
        if (!Objects.equals(wanted, seen)) {
            throw new AssertionError("wanted " + wanted + ", seen " + seen);
        }
    }

    private static void holds(boolean holds, Object seen) {
        if (!holds) {
            throw new AssertionError("seen " + seen);
        }
    }

    private static <E extends Exception> E thrown(Class<E> wanted, Step step) throws Exception {
        try {
            step.run();
        } catch (Exception error) {
            if (wanted.isInstance(error)) {
                return wanted.cast(error);
            }
            throw error;
        }
        throw new AssertionError("nothing was thrown, not even " + wanted.getSimpleName());
    }

    private static void until(String what, BooleanSupplier done) throws InterruptedException {
        long began = System.currentTimeMillis();
        while (true) {
            try {
                if (done.getAsBoolean()) {
                    return;
                }
            } catch (ResourceNotFoundException | ConcurrentConfigModificationException notYet) {
                // A status is written a moment after the connector; a rebalance takes a moment.
            }
            long waited = System.currentTimeMillis() - began;
            if (waited > patience) {
                patience = 5_000;
                throw new AssertionError("not within " + waited + " ms: " + what);
            }
            Thread.sleep(100);
        }
    }

    private void untilState(String connector, String state, int tasks) throws InterruptedException {
        until(connector + " " + state, () -> {
            ConnectorStatus status = client.getConnectorStatus(connector);
            return status.getConnector().get("state").equals(state) && status.getTasks().size() == tasks
                && status.getTasks().stream().allMatch(task -> task.getState().equals(state));
        });
    }

    private void append(int from, int to) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int n = from; n < to; n++) {
            text.append(String.format("line-%05d%n", n));
        }
        Files.writeString(input, text, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private void untilLines(int... ranges) throws InterruptedException {
        List<String> wanted = new ArrayList<>();
        for (int at = 0; at < ranges.length; at += 2) {
            for (int n = ranges[at]; n < ranges[at + 1]; n++) {
                wanted.add(String.format("line-%05d", n));
            }
        }
        Collections.sort(wanted);
        until(wanted.size() + " lines", () -> {
            try {
                List<String> seen = Files.exists(output) ? new ArrayList<>(Files.readAllLines(output)) : new ArrayList<>();
                Collections.sort(seen);
                return seen.equals(wanted);
            } catch (IOException error) {
                return false;
            }
        });
    }

    /** What the library has no request for goes through its own HTTP client, which has no PATCH. */
    private RestResponse send(RequestMethod method, String path) {
        return rest.submitRequest(new Request<String>() {
            @Override
            public String getApiEndpoint() {
                return path;
            }

            @Override
            public RequestMethod getRequestMethod() {
                return method;
            }

            @Override
            public Object getRequestBody() {
                return "";
            }

            @Override
            public String parseResponse(String response) {
                return response;
            }
        });
    }

    private JsonNode offsets(String connector) throws IOException {
        return new ObjectMapper().readTree(send(RequestMethod.GET, "/connectors/" + connector + "/offsets").getResponseStr()).get("offsets");
    }

    private Map<String, String> sinkConfig(int tasks) {
        return new TreeMap<>(Map.of("connector.class", SINK, "file", output.toString(), "topics", topic,
            "tasks.max", Integer.toString(tasks), "value.converter", STRINGS, "key.converter", STRINGS));
    }

    private void all() throws Exception {
        append(0, 100);
        check("version", () -> {
            holds(client.getConnectServerVersion().getVersion().matches("\\d+\\.\\d+\\.\\d+.*"), client.getConnectServerVersion());
            same(22, client.getConnectServerVersion().getKafkaClusterId().length());
            holds(!client.getConnectServerVersion().getCommit().isEmpty(), client.getConnectServerVersion());
        });
        check("plugins", () -> {
            Map<String, String> types = new TreeMap<>();
            for (ConnectorPlugin plugin : client.getConnectorPlugins()) {
                types.put(plugin.getClassName(), plugin.getType());
                holds(plugin.getVersion() != null && !plugin.getVersion().isEmpty(), plugin);
            }
            same("source", types.get(SOURCE));
            same("sink", types.get(SINK));
        });
        validating();
        creating();
        looking();
        changing();
        restarting();
        offsets();
        deleting();
    }

    private void validating() {
        check("a valid configuration", () -> {
            var result = client.validateConnectorPluginConfig(ConnectorPluginConfigDefinition.newBuilder()
                .withName(SINK).withConfig(sinkConfig(1)).withConfig("name", sink).build());
            same(SINK, result.getName());
            same(0, result.getErrorCount());
            holds(result.getGroups().contains("Common"), result.getGroups());
            var topics = result.getConfigs().stream().filter(one -> "topics".equals(one.getDefinition().getName())).findFirst().orElseThrow();
            same(topic, topics.getValue().getValue());
            same("LIST", topics.getDefinition().getType());
        });
        check("an invalid configuration", () -> {
            var result = client.validateConnectorPluginConfig(ConnectorPluginConfigDefinition.newBuilder()
                .withName("FileStreamSink").withConfig("connector.class", SINK).withConfig("name", sink).withConfig("tasks.max", "many").build());
            holds(result.getErrorCount() > 0, result);
            var tasks = result.getConfigs().stream().filter(one -> "tasks.max".equals(one.getDefinition().getName())).findFirst().orElseThrow();
            holds(tasks.getValue().getErrors().stream().anyMatch(error -> error.contains("many")), tasks.getValue().getErrors());
        });
    }

    private void creating() {
        check("create a source", () -> {
            ConnectorDefinition made = client.addConnector(NewConnectorDefinition.newBuilder().withName(source)
                .withConfig("connector.class", SOURCE).withConfig("tasks.max", 1).withConfig("file", input.toString())
                .withConfig("topic", topic).withConfig("value.converter", STRINGS).withConfig("key.converter", STRINGS).build());
            same(source, made.getName());
            same("source", made.getType());
            same(topic, made.getConfig().get("topic"));
            same(source, made.getConfig().get("name"));
        });
        check("the source runs", () -> untilState(source, "RUNNING", 1));
        check("what exists is a conflict", () -> thrown(ConcurrentConfigModificationException.class, () -> client.addConnector(
            NewConnectorDefinition.newBuilder().withName(source).withConfig("connector.class", SOURCE).withConfig("topic", topic).build())));
        check("an invalid connector is refused", () -> {
            InvalidRequestException error = thrown(InvalidRequestException.class, () -> client.addConnector(
                NewConnectorDefinition.newBuilder().withName("invalid").withConfig("connector.class", SINK).withConfig("tasks.max", "many").build()));
            same(400, error.getErrorCode());
            holds(error.getMessage().contains("tasks.max"), error.getMessage());
        });
        check("create a sink by its configuration", () -> {
            ConnectorDefinition made = client.updateConnectorConfig(sink, sinkConfig(1));
            same(sink, made.getName());
            same("sink", made.getType());
        });
        check("the sink runs", () -> untilState(sink, "RUNNING", 1));
        check("its lines", () -> untilLines(0, 100));
    }

    private void looking() {
        check("list", () -> holds(client.getConnectors().containsAll(List.of(source, sink)), client.getConnectors()));
        check("get", () -> {
            ConnectorDefinition definition = client.getConnector(source);
            same(source, definition.getName());
            same(1, definition.getTasks().size());
            same(source, definition.getTasks().get(0).getConnector());
            same(0, definition.getTasks().get(0).getTask());
        });
        check("configuration", () -> {
            Map<String, String> wanted = new TreeMap<>(sinkConfig(1));
            wanted.put("name", sink);
            same(wanted, new TreeMap<>(client.getConnectorConfig(sink)));
        });
        check("status", () -> {
            ConnectorStatus status = client.getConnectorStatus(source);
            same("source", status.getType());
            holds(status.getConnector().get("worker_id").matches(".+:\\d+"), status);
            same(status.getConnector().get("worker_id"), status.getTasks().get(0).getWorkerId());
        });
        check("tasks", () -> {
            Task task = client.getConnectorTasks(source).iterator().next();
            same(source, task.getId().getConnector());
            same(input.toString(), task.getConfig().get("file"));
            same("RUNNING", client.getConnectorTaskStatus(source, 0).getState());
        });
        check("expanded", () -> {
            same("RUNNING", client.getConnectorsWithExpandedStatus().getStatusForConnector(sink).getConnector().get("state"));
            same("sink", client.getConnectorsWithExpandedInfo().getDefinitionForConnector(sink).getType());
            var both = client.getConnectorsWithAllExpandedMetadata();
            holds(new TreeSet<>(both.getConnectorNames()).containsAll(List.of(source, sink)), both.getConnectorNames());
            same(topic, both.getDefinitionForConnector(sink).getConfig().get("topics"));
            same(1, both.getStatusForConnector(source).getTasks().size());
        });
        check("topics", () -> until("topics", () -> client.getConnectorTopics(source).getTopics().equals(List.of(topic))));
        check("topics reset", () -> same(true, client.resetConnectorTopics(source)));
        check("what does not exist", () -> {
            thrown(ResourceNotFoundException.class, () -> client.getConnector("nobody"));
            thrown(ResourceNotFoundException.class, () -> client.getConnectorStatus("nobody"));
            thrown(ResourceNotFoundException.class, () -> client.getConnectorTaskStatus(source, 7));
        });
    }

    private void changing() {
        check("update", () -> {
            same("2", client.updateConnectorConfig(sink, sinkConfig(2)).getConfig().get("tasks.max"));
            untilState(sink, "RUNNING", 2);
            same("2", client.getConnectorConfig(sink).get("tasks.max"));
        });
        check("pause", () -> {
            same(true, client.pauseConnector(source));
            untilState(source, "PAUSED", 1);
            append(100, 150);
        });
        check("resume", () -> {
            same(true, client.resumeConnector(source));
            untilState(source, "RUNNING", 1);
            untilLines(0, 150);
        });
    }

    private void restarting() {
        check("restart", () -> {
            same(true, client.restartConnector(source));
            untilState(source, "RUNNING", 1);
        });
        check("restart with tasks", () -> {
            same(true, client.restartConnector(new PostConnectorRestart(sink).withIncludeTasks(true).withOnlyFailed(false)));
            untilState(sink, "RUNNING", 2);
        });
        check("restart what has failed", () -> same(true, client.restartConnector(new PostConnectorRestart(sink).withIncludeTasks(true).withOnlyFailed(true))));
        check("restart a task", () -> {
            same(true, client.restartConnectorTask(source, 0));
            untilState(source, "RUNNING", 1);
            append(150, 200);
            untilLines(0, 200);
        });
        check("restart what does not exist", () -> {
            thrown(ResourceNotFoundException.class, () -> client.restartConnector("nobody"));
            thrown(ResourceNotFoundException.class, () -> client.restartConnectorTask(source, 7));
        });
    }

    private void offsets() {
        check("offsets of a sink", () -> until("offset 200", () -> {
            try {
                JsonNode offsets = offsets(sink);
                return offsets.size() == 1 && offsets.get(0).at("/partition/kafka_topic").asText().equals(topic)
                    && offsets.get(0).at("/offset/kafka_offset").asInt() == 200;
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }));
        check("offsets are reset when it is stopped", () -> {
            same(400, send(RequestMethod.DELETE, "/connectors/" + sink + "/offsets").getHttpCode());
            same(204, send(RequestMethod.PUT, "/connectors/" + sink + "/stop").getHttpCode());
            untilState(sink, "STOPPED", 0);
            until("reset", () -> send(RequestMethod.DELETE, "/connectors/" + sink + "/offsets").getHttpCode() == 200);
            same(0, offsets(sink).size());
            same(true, client.resumeConnector(sink));
            untilState(sink, "RUNNING", 2);
            untilLines(0, 200, 0, 200);
        });
    }

    private void deleting() {
        check("delete", () -> {
            same(true, client.deleteConnector(source));
            same(true, client.deleteConnector(sink));
            until("gone", () -> Collections.disjoint(client.getConnectors(), List.of(source, sink)));
            thrown(ResourceNotFoundException.class, () -> client.getConnector(source));
            thrown(ResourceNotFoundException.class, () -> client.deleteConnector(source));
        });
    }
}
