import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** One Elasticsearch node out of the published jars: the server's own main class wants a whole installation around it. */
public final class TestNode {
    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]);
        System.setProperty("es.path.home", home.toString());
        LogConfigurator.registerErrorListener();
        Environment start = InternalSettingsPreparer.prepareEnvironment(
            Settings.EMPTY, Map.of("path.home", home.toString()), home.resolve("config"), () -> "millrace-test");
        LogConfigurator.setNodeName("millrace-test");
        LogConfigurator.configure(start, true);
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(start.modulesDir()), Set.of(), Map.of(), false);
        Node node = new Node(start, plugins);
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
            ended.countDown();
        }));
        node.start();
        ended.await();
    }
}
