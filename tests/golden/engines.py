"""The two engines: a real Kafka Connect worker, and Millrace with the same properties."""
import os, pathlib, signal, socket, subprocess, time, urllib.error, urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CTL = ROOT / "tests/services/ctl"
COMMAND = "distributed"
PROPERTIES = {
    "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false",
    "config.storage.replication.factor": "1", "offset.storage.replication.factor": "1", "status.storage.replication.factor": "1",
    "offset.storage.partitions": "5", "status.storage.partitions": "2",
    "offset.flush.interval.ms": "1000", "scheduled.rebalance.max.delay.ms": "0",
}


def ctl(*words, **variables):
    """Runs tests/services/ctl; the variables it exports are ours from then on."""
    done = subprocess.run([CTL, *words], stdout=subprocess.PIPE, text=True, env={**os.environ, **variables})
    if done.returncode:
        raise SystemExit(f"tests/services/ctl {' '.join(words)} failed")
    for line in done.stdout.splitlines():
        if line.startswith("export "):
            key, _, value = line.removeprefix("export ").partition("=")
            os.environ[key] = value.strip("'\"")


class Engine:
    """A running worker: `host` is its host and port, `topics` its internal topics, None without any."""

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.host}{path}", timeout=5) as answer:
            return answer.status


class KafkaConnect(Engine):
    name = "kafka-connect"

    def start(self, extra):
        ctl("stop", "connect")
        for key in [key for key in os.environ if key.startswith("MILLRACE_TEST_CONNECT")]:
            del os.environ[key]
        ctl("start", "connect", MILLRACE_CONNECT_PROPS="\n".join(extra))
        self.host = os.environ["MILLRACE_TEST_CONNECT"].removeprefix("http://")
        port = self.host.rpartition(":")[2]
        self.topics = {which: f"connect-{port}-{which}" for which in ("configs", "offsets", "status")}

    def stop(self):
        ctl("stop", "connect")


class Millrace(Engine):
    name = "millrace"

    def __init__(self, binary, folder, run):
        self.binary, self.folder, self.run, self.starts = binary, folder, run, 0

    def start(self, extra):
        self.starts += 1
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.host = f"127.0.0.1:{port}"
        name = f"golden-{self.run}-{self.starts}"
        self.topics = {which: f"{name}-{which}" for which in ("configs", "offsets", "status")}
        properties = {"bootstrap.servers": os.environ["MILLRACE_TEST_KAFKA"], "group.id": name, "listeners": f"http://{self.host}",
                      "rest.advertised.host.name": "127.0.0.1", "rest.advertised.port": str(port), **PROPERTIES,
                      "config.storage.topic": self.topics["configs"], "offset.storage.topic": self.topics["offsets"],
                      "status.storage.topic": self.topics["status"]}
        properties["data.dir"] = str(self.folder / "data")  # one for all starts: compiled components are kept there
        properties |= dict(line.split("=", 1) for line in extra)
        if COMMAND == "standalone":
            self.topics = None
        file = self.folder / f"worker-{self.starts}.properties"
        file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        self.log = self.folder / f"millrace-{self.starts}.log"
        self.process = subprocess.Popen([self.binary, COMMAND, str(file)], stdout=self.log.open("w"), stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 300  # a debug binary takes its time to compile components
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"Millrace did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)

    def ready(self):
        try:
            return self.get("/connectors") == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
